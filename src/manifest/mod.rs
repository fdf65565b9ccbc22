//! Lenient, bounded readers of the formats that manifests have: JSON with comments, TOML, YAML, XML, properties.
//!
//! JSON, TOML and YAML become one [`Value`], which knows the line of everything, for evidence. A file that cannot be read
//! as what it should be is noted (`path:line: why`) and counts as absent.

mod json;
mod properties;
mod toml;
mod value;
mod xml;
mod yaml;

pub use self::{
    json::parse as json,
    properties::Properties,
    toml::parse as toml,
    value::{DEPTH_MAX, Kind, Malformed, VALUES_MAX, Value},
    xml::{Element, parse as xml},
    yaml::parse as yaml,
};

/// Reads arbitrary bytes in every format; must not panic.
#[doc(hidden)]
pub fn fuzz_manifest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = text.lines().count() + 1;
    for parsed in [json(&text), toml(&text), yaml(&text)] {
        match parsed {
            Ok(value) => assert!(value.line <= lines, "a line of the file"),
            Err(malformed) => assert!(malformed.line <= lines, "{malformed}"),
        }
    }
    drop(xml(&text));
    drop(Properties::parse(&text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn members_are_found_by_key_and_the_last_of_two_counts() {
        let value = json(r#"{"a": {"b": ["x", 1]}, "a": {"b": "y"}}"#).unwrap();
        assert_eq!(value.str_at(&["a", "b"]), Some("y"));
        assert_eq!(value.at(&["a", "c"]), None);
        assert_eq!(value.at(&["a", "b"]).unwrap().texts(), ["y"]);
        assert_eq!(value["a"]["b"].as_str(), Some("y"));
        assert_eq!(value["b"]["c"].kind, Kind::Null);
    }

    #[test]
    fn too_many_values_are_refused() {
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        for refused in [json(&many), toml(&format!("a = {many}")), yaml(&many)] {
            assert!(refused.unwrap_err().why.contains("more than 500000 values"));
        }
    }

    #[test]
    fn a_small_stack_is_enough() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = move || {
            assert!(json(&nested(DEPTH_MAX)).is_ok());
            assert!(toml(&format!("a = {}", nested(DEPTH_MAX))).is_ok());
            assert!(yaml(&nested(DEPTH_MAX)).is_ok());
        };
        std::thread::Builder::new().stack_size(512 << 10).spawn(read).unwrap().join().unwrap();
    }

    #[test]
    fn no_bytes_make_a_reader_panic() {
        let seeds: [&[u8]; 7] = [
            b"{\"a\": [1, true, null, \"\\u00e9\\ud83d\\ude00\"], /* c */ \"b\": {}, // d\n}",
            b"[a.b]\nc = \"x\"\nd = [1, {e = 2}]\n[[f]]\ng = '''t'''\n",
            b"a: &x\n  - b: |\n      text\n  - {c: d, e: [f]}\ng: *x\n---\nh\n",
            b"<?xml version=\"1.0\"?><a xmlns=\"n\"><b c=\"&amp;\">t<![CDATA[x]]></b><!-- d --></a>",
            b"a.b = c \\\n  d\n# e\nf: g\nh\\u0041=i\nexport J=\"k\"",
            b"a: [*x, &x [*x]]\nb: !!str 1\n? c\n: d\n",
            b"\xef\xbb\xbf{}",
        ];
        for seed in seeds {
            mutate(seed, b"{}[]\"'\\:,&*-#<>/=!|\n \t\0", 3000, fuzz_manifest);
        }
    }

    #[test]
    fn nesting_ends_at_a_limit_in_every_format() {
        let deep =
            |open: &str, close: &str| format!("{}{}", open.repeat(60_000), close.repeat(60_000));
        assert!(json(&deep("[", "]")).is_err());
        assert!(json(&deep("{\"a\":", "}")).is_err());
        assert!(toml(&format!("a = {}", deep("[", "]"))).is_err());
        assert!(yaml(&deep("[", "]")).is_err());
        assert!(xml(&deep("<a>", "</a>")).is_err());
    }
}
