//! Lenient, bounded readers of the formats that manifests have: JSON with comments, TOML, YAML, XML, properties.
//!
//! JSON, TOML and YAML become one [`Value`], which knows the line of everything, for evidence. A file that cannot be read
//! as what it should be is noted (`path:line: why`) and counts as absent.

use std::fmt;

use crate::detect::tree::{Text, Tree};

mod json;
mod properties;
mod toml;
mod xml;
mod yaml;

pub use self::{
    json::parse as json,
    properties::Properties,
    toml::parse as toml,
    xml::{Element, parse as xml},
    yaml::parse as yaml,
};

/// Values of one file; a manifest with more counts as unreadable.
pub const VALUES_MAX: usize = 200_000;
/// Values inside each other.
pub const DEPTH_MAX: usize = 64;

/// A value of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Where it stands, from 1; of a member of a table the line of its key.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, date or time as it was written.
    Number(String),
    /// Text.
    String(String),
    /// Values in order.
    Array(Vec<Value>),
    /// Members in order of the file; of two with one key the last counts.
    Table(Vec<(String, Value)>),
}

impl Value {
    /// A member of a table.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members().rev().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// A member of tables in tables: `at(&["engines", "node"])`.
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Its text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text at a place.
    pub fn str_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.as_str()
    }

    /// Its text, also of a number or a truth: versions are often written without quotes.
    pub fn text(&self) -> Option<String> {
        match &self.kind {
            Kind::String(text) | Kind::Number(text) => Some(text.clone()),
            Kind::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        self.kind == Kind::Bool(true)
    }

    /// Its items; none of what is no array.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::Array(items) => items,
            _ => &[],
        }
    }

    /// The texts among its items; of a lone text that.
    pub fn texts(&self) -> Vec<&str> {
        match &self.kind {
            Kind::String(text) => vec![text],
            _ => self.items().iter().filter_map(Self::as_str).collect(),
        }
    }

    /// Its members in order of the file; none of what is no table.
    pub fn members(&self) -> impl DoubleEndedIterator<Item = (&str, &Self)> {
        let members: &[(String, Self)] = match &self.kind {
            Kind::Table(members) => members,
            _ => &[],
        };
        members.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether a table has this member.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

/// Why a text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// From 1.
    pub line: usize,
    /// In a few words.
    pub why: String,
}

impl Malformed {
    fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.why)
    }
}

/// How many values there may still be, so that no file makes more of them than there is room for.
struct Budget(usize);

impl Budget {
    fn take(&mut self, values: usize, line: usize) -> Result<(), Malformed> {
        let left = self.0.checked_sub(values);
        self.0 =
            left.ok_or_else(|| Malformed::new(line, format!("more than {VALUES_MAX} values")))?;
        Ok(())
    }
}

/// Refuses what lies within too many others.
fn check_depth(depth: usize, line: usize) -> Result<(), Malformed> {
    match depth {
        0..=DEPTH_MAX => Ok(()),
        _ => Err(Malformed::new(line, format!("more than {DEPTH_MAX} levels inside each other"))),
    }
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line (from 1) of a byte.
    fn line_at(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}

impl Tree {
    /// A JSON file; `None` when it is absent or malformed, which is noted.
    pub fn json(&self, path: &str) -> Option<Value> {
        self.parsed(path, json)
    }

    /// A TOML file, likewise.
    pub fn toml(&self, path: &str) -> Option<Value> {
        self.parsed(path, toml)
    }

    /// A YAML file, likewise.
    pub fn yaml(&self, path: &str) -> Option<Value> {
        self.parsed(path, yaml)
    }

    /// An XML file, likewise.
    pub fn xml(&self, path: &str) -> Option<Element> {
        self.parsed(path, xml)
    }

    /// A `.properties` file, or one of `NAME=value` lines.
    pub fn properties(&self, path: &str) -> Option<Properties> {
        Some(Properties::parse(&self.read(path)?.text))
    }

    fn parsed<T>(&self, path: &str, parse: fn(&str) -> Result<T, Malformed>) -> Option<T> {
        let text = self.read(path)?;
        parse(&text.text).map_err(|malformed| self.note(format!("{path}:{malformed}"))).ok()
    }
}

impl Text {
    /// Lines with their numbers (from 1).
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
}

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
