//! One folder of the tree, as rules look at it.

use std::rc::Rc;

use super::{
    Entries, Evidence, Project, Text, hints,
    language::{Language, Pair},
    paths::join,
    pins::{self, Pin},
    procfile::{Process, procfile},
    source,
};
use crate::manifest::{Properties, Value};

/// A folder of a project.
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    /// The project.
    pub project: &'a Project<'a>,
    /// Path of the folder, clean.
    pub dir: &'a str,
}

impl<'a> Folder<'a> {
    /// The folder `dir` of a project.
    pub fn new(project: &'a Project<'a>, dir: &'a str) -> Self {
        Self { project, dir }
    }

    /// Path of a file or folder in it.
    pub fn path(&self, name: &str) -> String {
        join(self.dir, name)
    }

    /// What it holds.
    pub fn entries(&self) -> Option<&'a Entries> {
        self.project.tree.entries(self.dir)
    }

    /// Whether it holds a file.
    pub fn has(&self, name: &str) -> bool {
        self.project.tree.has(&self.path(name))
    }

    /// Whether it holds a folder.
    pub fn has_dir(&self, name: &str) -> bool {
        self.project.tree.has_dir(&self.path(name))
    }

    /// The first of these names that it holds as a file.
    pub fn first_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// Paths of those of these files that it holds.
    pub fn those(&self, names: &[&str]) -> Vec<String> {
        names.iter().filter(|name| self.has(name)).map(|name| self.path(name)).collect()
    }

    /// A file's text.
    pub fn read(&self, name: &str) -> Option<Rc<Text>> {
        self.project.tree.read(&self.path(name))
    }

    /// A file as JSON.
    pub fn json(&self, name: &str) -> Option<Value> {
        self.project.tree.json(&self.path(name))
    }

    /// A file as TOML.
    pub fn toml(&self, name: &str) -> Option<Value> {
        self.project.tree.toml(&self.path(name))
    }

    /// A file as YAML.
    pub fn yaml(&self, name: &str) -> Option<Value> {
        self.project.tree.yaml(&self.path(name))
    }

    /// A file of properties.
    pub fn properties(&self, name: &str) -> Option<Properties> {
        self.project.tree.properties(&self.path(name))
    }

    /// A place in one of its files.
    pub fn place(&self, name: &str, line: Option<usize>) -> Evidence {
        Evidence::line(self.path(name), line)
    }

    /// Sources of the language in it and below, but for tests, examples and folders that `skip` names.
    pub fn sources(&self, extensions: &[&str], skip: &dyn Fn(&str) -> bool) -> Vec<Rc<Text>> {
        source::gather(self.project, self.dir, extensions, skip)
    }

    /// The process of a `Procfile` that a container of this folder runs.
    pub fn procfile(&self) -> Option<Process> {
        procfile(self.project, self.dir)
    }

    /// The images that a service of the language gets.
    pub fn images(&self, language: &'static Language) -> &'static Pair {
        language.images.of(self.project.bases)
    }

    /// What `peelbox.toml` says of the version, then what version managers pin, the nearest folder first.
    pub fn pins(&self, language: &Language) -> Vec<Pin> {
        let stated = pins::stated(self.project, self.dir).into_iter();
        stated.chain(self.managed(language)).collect()
    }

    /// What files of other tools have for an image or a tool of one of these names, such as a `Dockerfile`: hints.
    pub fn hinted(&self, names: &[&str]) -> Vec<Pin> {
        hints::pins(self.project, self.dir, names)
    }

    /// What version managers pin, the nearest folder first.
    pub fn managed(&self, language: &Language) -> Vec<Pin> {
        pins::pins(self.project, self.dir, language.version_files, language.version_tools)
    }
}
