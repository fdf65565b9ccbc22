//! JSON and TOML as a tree of few shapes, with a limit on how many values it may have.
//!
//! Metadata that packages carry is often wrong in places that do not matter here: a licence that is a number, a key that is
//! there twice. A typed reading would lose the whole file for it; this one answers "no text here" and goes on.

use std::{collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value; numbers and null are [`Tree::Other`], since no reader needs them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Text(String),
    Flag(bool),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    Other,
}

impl Tree {
    /// The value of a key, the last one if it is there more than once; [`Tree::Other`] if it is not there.
    pub(super) fn get(&self, key: &str) -> &Self {
        self.entries().iter().rev().find(|(name, _)| name == key).map_or(&Self::Other, |(_, it)| it)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        *self == Self::Flag(true)
    }

    /// The items of a list; none of anything else.
    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    /// The texts of a list of texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.list().iter().filter_map(Self::text)
    }

    /// Keys and values in the order of the file; none of anything but a map.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values by their keys, where many are asked for.
    pub(super) fn by_key(&self) -> BTreeMap<&str, &Self> {
        self.entries().iter().map(|(key, value)| (key.as_str(), value)).collect()
    }

    /// Keys in the order of the file.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().map(|(key, _)| key.as_str())
    }
}

/// Reads JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Tree, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut left = Left { values: VALUES_MAX, levels: LEVELS_MAX };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let tree = Seed(&mut left).deserialize(&mut reader).and_then(|tree| {
        reader.end()?;
        Ok(tree)
    });
    tree.map_err(|error| format!("is not the JSON that was expected: {error}"))
}

/// Reads JSON as Bun writes it: a comma may stand before a closing bracket.
pub(super) fn json_with_trailing_commas(bytes: &[u8]) -> Result<Tree, String> {
    let mut strict = Vec::with_capacity(bytes.len());
    let (mut in_text, mut escaped) = (false, false);
    for &byte in bytes {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_text = true;
        } else if matches!(byte, b'}' | b']') {
            let end = strict.trim_ascii_end().len();
            if strict[..end].last() == Some(&b',') {
                strict.truncate(end - 1);
            }
        }
        strict.push(byte);
    }
    json(&strict)
}

/// Reads TOML.
pub(super) fn toml(bytes: &[u8]) -> Result<Tree, String> {
    let text = str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    // `toml` holds the whole file before it gives the first value, in some 150 bytes for each of these.
    let marks = bytes.iter().filter(|byte| matches!(byte, b'=' | b',' | b'[' | b'\n')).count();
    if marks > TOML_MARKS_MAX {
        return Err(format!("has more than {TOML_MARKS_MAX} lines, keys and values"));
    }
    let mut left = Left { values: VALUES_MAX, levels: LEVELS_MAX };
    let tree = toml::Deserializer::parse(text)
        .and_then(|reader| Seed(&mut left).deserialize(reader))
        .map_err(|error| format!("is not the TOML that was expected: {}", error.message()))?;
    Ok(tree)
}

/// How much a tree may still grow.
struct Left {
    values: usize,
    levels: usize,
}

/// Builds a tree within limits.
struct Seed<'a>(&'a mut Left);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Tree, D::Error> {
        if self.0.levels == 0 {
            return Err(D::Error::custom(format_args!("nested deeper than {LEVELS_MAX} levels")));
        }
        if self.0.values == 0 {
            return Err(D::Error::custom(format_args!("more than {VALUES_MAX} values")));
        }
        self.0.values -= 1;
        self.0.levels -= 1;
        let tree = reader.deserialize_any(Seed(self.0));
        self.0.levels += 1;
        tree
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Seed(self.0))? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.push((key, entries.next_value_seed(Seed(self.0))?));
        }
        Ok(Tree::Map(map))
    }
}

/// Values of one file. A lock file of 10,000 packages has about 200,000; a value takes up to 56 bytes beside its text.
const VALUES_MAX: usize = 500_000;
/// A tree of `package-lock.json` in its first version has two for each level of `node_modules`, of which there are few.
const LEVELS_MAX: usize = 48;
/// Characters that stand beside values of TOML; a lock file of uv has about ten for each file of a package.
const TOML_MARKS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn a_key_that_is_there_twice_counts_as_the_last_one() {
        let tree = json(br#"{"a": "first", "a": "last"}"#).unwrap();
        assert_eq!(tree.get("a").text(), Some("last"));
        assert_eq!(tree.get("b"), &Tree::Other);
    }

    #[test]
    fn shapes_that_are_not_asked_for_are_read_over() {
        let tree = json(b"\xef\xbb\xbf{\"a\": [1, -2, 3.5, null, \"x\"], \"b\": true}").unwrap();
        assert_eq!(tree.get("a").texts().collect::<Vec<_>>(), ["x"]);
        assert!(tree.get("b").is_true());
        assert_eq!(tree.get("b").get("c").text(), None);
    }

    #[test]
    fn what_is_deep_or_has_too_many_values_is_refused() {
        let deep = "[".repeat(100_000);
        assert!(json(deep.as_bytes()).unwrap_err().contains("deeper than 48"), "JSON");
        assert!(toml(format!("a = {deep}").as_bytes()).is_err(), "TOML");
        for dotted in ["{}=1", "[{}]", "[[{}]]", "a={{{}=1}}"] {
            let text = dotted.replace("{}", &format!("{}a", "a.".repeat(500_000)));
            assert!(
                toml(text.replace("{{", "{").replace("}}", "}").as_bytes()).is_err(),
                "{dotted}"
            );
        }
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        assert!(json(many.as_bytes()).unwrap_err().contains("more than 500000 values"));
        let many = format!("a = [{}0]", "0,".repeat(VALUES_MAX));
        assert!(toml(many.as_bytes()).unwrap_err().contains("more than 500000 values"));
        let many = "\n".repeat(TOML_MARKS_MAX + 1);
        assert!(toml(many.as_bytes()).unwrap_err().contains("more than 1000000"));
        assert!(json(b"{} x").is_err(), "something follows");
    }

    #[test]
    fn a_small_stack_is_enough() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = move || {
            assert!(json(nested(LEVELS_MAX).as_bytes()).is_ok());
            assert!(toml(format!("a = {}", nested(LEVELS_MAX - 1)).as_bytes()).is_ok());
        };
        std::thread::Builder::new().stack_size(512 << 10).spawn(read).unwrap().join().unwrap();
    }

    #[test]
    fn trailing_commas_are_dropped_but_not_those_in_texts() {
        let tree = json_with_trailing_commas(br#"{"a": ["x,]", "\",}", ], "b": {}, }"#).unwrap();
        assert_eq!(tree.get("a").texts().collect::<Vec<_>>(), ["x,]", "\",}"]);
        assert!(json(br#"{"a": [1, ]}"#).is_err());
    }

    #[test]
    fn mutations_are_read_or_refused() {
        let seed = br#"{"a": ["x", 1, {"b": null}, ], "c": "\u00e9\"",}"#;
        mutate(seed, b"[]{}\",:\\ u", 3_000, |bytes| {
            let _ = json(bytes).is_ok();
            let _ = json_with_trailing_commas(bytes).is_ok();
        });
        let seed =
            b"version = 3\n[[package]]\nname = \"a\"\nd = [{ x = 1979-05-27 }, \"\"\"b\"\"\"]\n";
        mutate(seed, b"[]{}\"=\n.'#", 3_000, |bytes| {
            let _ = toml(bytes).is_ok();
        });
    }
}
