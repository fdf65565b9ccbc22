//! What a rule found out, and why.

pub(super) use super::paths::{join, parent, upward};
use super::why::Decision;
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
