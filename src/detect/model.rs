//! What a rule found out, and why.

use std::fmt;

use crate::spec::UniversalBuild;

/// One deployable service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its folder relative to the root, clean, `/` between parts; `.` is the root.
    pub dir: String,
    /// What is built and what runs. `metadata.path` and `metadata.reasoning` are written later, from `dir` and
    /// `decisions`; `metadata.project_name` is a wish (the manifest's name), made unique later.
    pub spec: UniversalBuild,
    /// How sure it is that something is deployed from here.
    pub weight: Weight,
    /// Folders that belong to it and hold no service of their own, whatever other rules think: an embedded front end, a
    /// workspace's libraries. Relative to the root, clean.
    pub claims: Vec<String>,
    /// Every decision, in the order a reader wants: language, build system, version, framework, build, start, port, health.
    pub decisions: Vec<Decision>,
}

/// Decides between rules that found something in one folder; the heavier wins, then the order of `ecosystems::ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Files of that language, no manifest: a lone `index.html`, a `main.py`.
    Files,
    /// A manifest without a way to start it, or one that is there for tools (assets, linters).
    Manifest,
    /// A manifest of a package that others use. What shows or checks it is no service.
    Library,
    /// A manual, or what is made for phones first: it is deployed when the tree has nothing else that is.
    Manual,
    /// A manifest and a start command or an entry file.
    Starts,
    /// A known framework that serves HTTP.
    Framework,
    /// A `Procfile`, or `peelbox.toml`, says so.
    Stated,
}

/// One decision: `what` = `value` because of `rule`, seen at `evidence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// `language`, `build system`, `version`, `framework`, `build command`, `artifacts`, `start command`, `port`, `health`,
    /// `base`, `packages`, `service`.
    pub what: &'static str,
    /// What was decided; empty when nothing was found.
    pub value: String,
    /// The rule in a few words: `engines.node`, `Procfile web`, `default of the table`.
    pub rule: String,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
    /// What else was there and lost.
    pub rejected: Vec<Rejected>,
}

/// A place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Relative to the root.
    pub file: String,
    /// Counted from 1.
    pub line: Option<usize>,
}

/// An alternative that lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What it would have been.
    pub value: String,
    /// Where it was seen.
    pub evidence: Option<Evidence>,
    /// Why it lost.
    pub why: String,
}

impl Evidence {
    /// A whole file.
    pub fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None }
    }

    /// A line of it.
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
    /// A decision seen at one place.
    pub fn new(
        what: &'static str,
        value: impl Into<String>,
        rule: impl Into<String>,
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
        why: impl Into<String>,
    ) -> Self {
        self.rejected.push(Rejected { value: value.into(), evidence, why: why.into() });
        self
    }
}

/// Paths of the tree: clean, relative to the root, `/` between parts, `.` is the root.
pub fn join(dir: &str, name: &str) -> String {
    if dir == "." { name.to_owned() } else { format!("{dir}/{name}") }
}

/// A folder and all those it lies in, the root last.
pub fn upward(dir: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(dir), |dir| (*dir != ".").then(|| parent(dir)))
}

/// The folder a path lies in; `.` for what lies in the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(dir, _)| dir)
}
