//! What is said of one folder.

use std::collections::BTreeMap;

use crate::detect::{Evidence, Project, pins::Pin};

/// A value, and where it stands.
pub(super) type Seen<T> = (T, Evidence);

/// What is said of one folder; of several files the first that says something counts.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Names of images or tools, with a version.
    pub(super) pins: Vec<(String, Pin)>,
    pub(super) start: Option<Seen<String>>,
    pub(super) port: Option<Seen<u16>>,
    pub(super) health: Option<Seen<String>>,
    pub(super) release: Option<Seen<String>>,
    pub(super) env: BTreeMap<String, Seen<String>>,
    pub(super) packages: Vec<Seen<String>>,
    /// Folders of the image that the program writes to.
    pub(super) volumes: Vec<Seen<String>>,
    pub(super) workers: Vec<(String, Seen<String>)>,
    /// Where a file server is told to answer with the first page.
    pub(super) falls_back: Option<Evidence>,
    /// Folder that a file server serves.
    pub(super) root: Option<Seen<String>>,
}

/// A folder whose files are read.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) project: &'a Project<'a>,
    pub(super) dir: &'a str,
}

impl Hints {
    pub(super) fn env(&mut self, name: &str, value: impl Into<String>, place: Evidence) {
        self.env.entry(name.to_owned()).or_insert_with(|| (value.into(), place));
    }
}

/// Sets what is not set yet.
pub(super) fn give<T>(
    to: &mut Option<Seen<T>>,
    value: Option<T>,
    place: impl FnOnce() -> Evidence,
) {
    if to.is_none() {
        *to = value.map(|value| (value, place()));
    }
}
