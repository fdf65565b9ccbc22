//! What the readers of JSON, TOML and YAML make: one value with the line of everything, within limits.

use std::{fmt, ops};

/// Values of one file; one with more counts as unreadable. A lock file of 10,000 packages has about 200,000; a value takes
/// up to 64 bytes beside its text.
pub const VALUES_MAX: usize = 500_000;
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

    /// The keys of its members in order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.members().map(|(key, _)| key)
    }

    /// Whether a table has this member.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

/// The member of a table; nothing if it is not there: `value["dist"]["shasum"].as_str()`.
impl ops::Index<&str> for Value {
    type Output = Self;

    fn index(&self, key: &str) -> &Self {
        static NOTHING: Value = Value { line: 1, kind: Kind::Null };
        self.get(key).unwrap_or(&NOTHING)
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
    pub(super) fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.why)
    }
}

/// How many values there may still be, so that no file makes more of them than there is room for.
pub(super) struct Budget(pub(super) usize);

impl Budget {
    pub(super) fn take(&mut self, values: usize, line: usize) -> Result<(), Malformed> {
        let left = self.0.checked_sub(values);
        self.0 =
            left.ok_or_else(|| Malformed::new(line, format!("more than {VALUES_MAX} values")))?;
        Ok(())
    }
}

/// Refuses what lies within too many others.
pub(super) fn check_depth(depth: usize, line: usize) -> Result<(), Malformed> {
    match depth {
        0..=DEPTH_MAX => Ok(()),
        _ => Err(Malformed::new(line, format!("more than {DEPTH_MAX} levels inside each other"))),
    }
}

/// Where the lines of a text end.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line (from 1) of a byte.
    pub(super) fn line_at(&self, at: usize) -> usize {
        self.0.partition_point(|end| *end < at) + 1
    }
}
