//! What was decided about a service, by which rule, and where that was seen.
//!
//! Rules are values; their text is for people and is written here and in [`super::why`] alone. Nothing in the program compares
//! that text.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{
    versions::Version,
    why::{Fixed, What},
};

/// One decision: `what` is `value` because of `rule`, seen at `evidence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What was decided.
    #[serde(serialize_with = "as_text")]
    pub what: What,
    /// The outcome; empty when nothing was found.
    pub value: String,
    /// Why.
    #[serde(serialize_with = "as_text")]
    pub rule: Rule,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
    /// Alternatives that lost.
    pub rejected: Vec<Rejected>,
}

/// A place in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Path relative to the root.
    pub file: String,
    /// Line, counted from 1.
    pub line: Option<usize>,
}

/// An alternative that lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// What it would have been.
    pub value: String,
    /// Where it was seen.
    pub evidence: Option<Evidence>,
    /// Why it lost.
    #[serde(serialize_with = "as_text")]
    pub why: Rule,
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Why something was decided so, or why an alternative lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A rule that needs no detail.
    Is(Fixed),
    /// A file, key, script or directive in the project's own words: `.nvmrc`, `engines.node`.
    Named(String),
    /// A manifest of that name.
    Manifest(&'static str),
    /// A range at a key: (`engines.node`, `>=20`).
    Range(String, String),
    /// A pin at a key, within the range at another.
    Within(String, String, String),
    /// A process type of a `Procfile`.
    Procfile(String),
    /// The dependency of that name.
    DependencyOn(String),
    /// An import that holds that text.
    Import(String),
    /// What something listens on by itself.
    DefaultOf(String),
    /// What a value asks for is not understood, so it is the default: (value, what it should be).
    NotUnderstood(String, &'static str),
    /// The newest version of the language that the project's version of a framework runs on.
    NewestFor(&'static str),
    /// The newest version of the language that the project's version of a package installs on.
    InstallsOn(&'static str),
    /// An application of a framework.
    ApplicationOf(&'static str),
    /// An application of a library that no rule knows, and the server that is there for it.
    ServedBy(&'static str),
    /// What the packages of a lock file allow.
    WhatAllows(String),
    /// Another rule, and the version of an SDK that `global.json` asks for.
    WithSdk(Box<Self>, Version),
    /// Another rule, and the release that it asks for gets no fixes any more.
    Unmaintained(Box<Self>),
    /// Both of two rules.
    And(Box<[Self; 2]>),
    /// The nearest version of a language that a base has: (language, version).
    Nearest(&'static str, String),
    /// The newest version of a language that a base has, which does for this one: (language, version).
    Newest(&'static str, String),
    /// The front end in that folder, and how its server gets it.
    FrontEnd(String, Fixed),
    /// A route in the sources.
    RouteAt(Evidence),
    /// What a command makes: `nest build`.
    WrittenBy(&'static str),
    /// The newest version that a version of a dependency builds with.
    BuildsWith(&'static str),
    /// A pin of a version that there is no image for: (pin, version); the nearest later one is taken.
    AsksFor(String, String),
    /// An alias of `deps.edn` whose namespace is in no file.
    Alias(&'static str),
}

impl From<Fixed> for Rule {
    fn from(fixed: Fixed) -> Self {
        Self::Is(fixed)
    }
}

impl Rule {
    /// This rule and another.
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self::And(Box::new([self, other.into()]))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(fixed) => fixed.fmt(f),
            Self::Named(name) => f.write_str(name),
            Self::Manifest(name) => write!(f, "a {name}"),
            Self::Range(key, range) => write!(f, "{key} `{range}`"),
            Self::Within(pin, key, range) => write!(f, "{pin}, within {key} `{range}`"),
            Self::Procfile(name) => write!(f, "Procfile {name}"),
            Self::DependencyOn(name) => write!(f, "dependency `{name}`"),
            Self::Import(sign) => write!(f, "import `{sign}`"),
            Self::DefaultOf(name) => write!(f, "default of {name}"),
            Self::NotUnderstood(text, wanted) => write!(f, "default, `{text}` is no {wanted}"),
            Self::NewestFor(name) => write!(f, "the newest that this version of {name} runs on"),
            Self::InstallsOn(name) => {
                write!(f, "the newest that this version of {name} installs on")
            }
            Self::ApplicationOf(framework) => write!(f, "application of {framework}"),
            Self::ServedBy(server) => write!(f, "an application, and {server} to serve it"),
            Self::FrontEnd(dir, how) => write!(f, "the front end in {dir}: {how}"),
            Self::RouteAt(place) => write!(f, "route at {place}"),
            Self::WhatAllows(file) => write!(f, "what {file} allows"),
            Self::WithSdk(rule, sdk) => write!(f, "{rule}; SDK {sdk} by global.json"),
            Self::Unmaintained(rule) => write!(f, "{rule}; this release gets no fixes any more"),
            Self::And(rules) => write!(f, "{} and {}", rules[0], rules[1]),
            Self::WrittenBy(command) => write!(f, "where {command} writes"),
            Self::BuildsWith(name) => {
                write!(f, "the newest that this version of {name} builds with")
            }
            Self::AsksFor(pin, version) => {
                write!(f, "{pin} asks for {version}; the nearest that there is and that builds it")
            }
            Self::Alias(name) => {
                write!(f, "the alias {name} names no namespace that could be found")
            }
            Self::Newest(language, version) => {
                write!(f, "the newest {language} that this base has: {version} or later")
            }
            Self::Nearest(language, version) => {
                write!(f, "the nearest {language} that this base has: {version}")
            }
        }
    }
}

impl Evidence {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None }
    }

    /// A line of a file.
    pub fn line(file: impl Into<String>, line: Option<usize>) -> Self {
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Evidence {
    /// `app/package.json:3`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

impl Decision {
    /// A decision and where it was seen.
    pub fn new(
        what: What,
        value: impl Into<String>,
        rule: impl Into<Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) -> Self {
        Self {
            what,
            value: value.into(),
            rule: rule.into(),
            evidence: evidence.into_iter().collect(),
            rejected: Vec::new(),
        }
    }

    /// Adds an alternative that lost.
    pub fn not(
        mut self,
        value: impl Into<String>,
        evidence: Option<Evidence>,
        why: impl Into<Rule>,
    ) -> Self {
        self.rejected.push(Rejected { value: value.into(), evidence, why: why.into() });
        self
    }
}
