//! What the facts of a service are made of: steps, layers, what the image takes and needs, and what it runs.

use super::{
    Family,
    decision::{Evidence, Rule},
    language::Language,
    paths::within,
    source::Port,
    versions::Version,
};

/// Where build commands put what the image takes: outside of the context, so that it meets no file of the project.
pub const OUT: &str = "/out";

/// A command of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is for.
    pub kind: Kind,
    /// Folder it runs in.
    pub dir: String,
    /// Line for a shell.
    pub command: String,
    /// Family whose images have by themselves what it makes ready.
    pub not_on: Option<Family>,
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes a tool ready.
    Setup,
    /// Installs dependencies.
    Install,
    /// Builds.
    Build,
    /// Removes what only the build needed, or gives what is left its mode.
    Clean,
}

/// Steps that run before the context appears and see only some of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Patterns of the files.
    pub files: Vec<String>,
    /// Steps.
    pub steps: Vec<Step>,
}

/// Something that the image takes: `from` is relative to the root or absolute, `to` below the program's home or absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Path in the build.
    pub from: String,
    /// Path in the image; empty: the home itself, `.`: in it by its own name.
    pub to: String,
}

/// A small file that is written as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Path, absolute.
    pub path: String,
    /// Text.
    pub content: String,
    /// Whether steps of the build read it; else it is for the image.
    pub is_for_build: bool,
}

/// Packages of the system that something in the project needs.
#[derive(Clone, Debug)]
pub enum Need {
    /// Packages of the build and of the image; by the names of Debian unless `in_wolfi` says that Wolfi has the same.
    Packages {
        /// Packages of the build stage.
        build: Vec<String>,
        /// Packages of the image.
        run: Vec<String>,
        /// Whether Wolfi has packages of these names.
        in_wolfi: bool,
    },
    /// A library or tool, and what asks for it.
    Library(&'static Library, Evidence),
    /// What compiles native modules when they are installed: C++, make and Python, in the build stage.
    Compiler,
    /// The tools of another language in the build stage, of that version or the nearest.
    Tools(&'static Language, Version),
}

/// A library or tool of the system: the packages that hold it.
#[derive(Debug, PartialEq, Eq)]
pub struct Library {
    /// Dependency of projects that needs it.
    pub name: &'static str,
    /// Packages of Debian: of the build stage, and of the image.
    pub debian: [&'static [&'static str]; 2],
    /// Packages of Wolfi, where their names are known.
    pub wolfi: Option<[&'static [&'static str]; 2]>,
}

/// A library by its packages of Debian, for the build stage and for the image.
pub const fn library(
    name: &'static str,
    build: &'static [&'static str],
    run: &'static [&'static str],
) -> Library {
    Library { name, debian: [build, run], wolfi: None }
}

impl Library {
    /// With the packages of Wolfi.
    pub const fn wolfi(self, build: &'static [&'static str], run: &'static [&'static str]) -> Self {
        Self { wolfi: Some([build, run]), ..self }
    }
}

/// What a service is when it runs.
#[derive(Clone, Debug)]
pub enum Serves {
    /// A process.
    Process(Process),
    /// Files for a browser.
    Files(Files),
    /// Nothing.
    Nothing(Rule, Vec<Evidence>),
}

/// A process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Program and arguments; a program that the build makes is named by [`Facts::program`].
    pub command: Vec<String>,
    /// Port it listens on.
    pub port: Option<Port>,
}

/// A process of the same image beside the one that serves.
#[derive(Clone, Debug)]
pub struct Worker {
    /// `worker`, `clock`, …
    pub name: String,
    /// In exec form.
    pub command: Vec<String>,
    /// Why there is one.
    pub rule: Rule,
    /// Where that is seen.
    pub place: Evidence,
    /// Whether it runs the program of the one that serves, with other arguments.
    pub is_of_same_program: bool,
}

/// Files for a browser.
#[derive(Clone, Debug)]
pub struct Files {
    /// Folder, relative to the root or absolute.
    pub folder: String,
    /// What a path without a file of its own gets.
    pub missing: Missing,
    /// Path that they are built for, such as `/shop`; empty: `/`.
    pub base: String,
    /// Whether they are there without a build.
    pub is_as_is: bool,
    /// Why it is this folder.
    pub rule: Rule,
    /// Where that is said.
    pub place: Option<Evidence>,
}

/// What a path without a file of its own gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The first page, which has a router.
    Index,
    /// `404.html` if there is one.
    NotFound,
}

/// Steps for a front end that a server delivers.
#[derive(Clone, Debug, Default)]
pub struct FrontEnd {
    /// Make it.
    pub build: Vec<Step>,
    /// Remove what was installed for that.
    pub clean: Vec<Step>,
}

impl Step {
    /// A command in a folder.
    pub fn new(kind: Kind, dir: &str, command: impl Into<String>) -> Self {
        Self { kind, dir: dir.to_owned(), command: command.into(), not_on: None }
    }

    /// The same, but for a family whose images have what it makes ready.
    pub fn not_on(self, family: Family) -> Self {
        Self { not_on: Some(family), ..self }
    }

    /// The line for a shell that starts in the root.
    pub fn line(&self) -> String {
        within(&self.dir, &self.command)
    }
}
