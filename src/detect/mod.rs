//! `peelbox detect`: a source tree → services → UniversalBuild specs, with the evidence of every decision.
//!
//! The way is a straight line: [`Tree`] is what was walked, read only; every [`Ecosystem`] looks for the services
//! it knows and gives each as a finished [`Service`]; [`choose`] drops what another claims and gives every
//! service a name of its own; `emit` writes the spec, `explain` the reasons. No network, no daemon, no execution of the
//! project's code. The same tree gives the same bytes.

use std::{error, fmt, path::Path};

pub use self::{
    facts::{Facts, Kind, Port, Serves, Step},
    folder::Folder,
    images::Family,
    model::{Service, Weight},
    paths::{is_below, join, parent, upward},
    tree::{Entries, Text, Tree, WalkError},
    why::{Decision, Evidence, Fixed, Rejected, Rule, What},
};

mod assemble;
mod choose;
pub mod compiled;
pub mod ecosystems;
pub mod emit;
pub mod explain;
pub mod facts;
pub mod folder;
mod folders;
pub mod framework;
pub mod images;
pub mod language;
pub mod manifest;
mod model;
pub mod paths;
pub mod pins;
mod prelude;
pub mod procfile;
pub mod settings;
pub mod shell;
pub mod source;
mod tree;
pub mod versions;
pub mod why;

/// What was found in a tree.
#[derive(Debug)]
pub struct Detected {
    /// Sorted by folder; every one has a name of its own.
    pub services: Vec<Service>,
    /// What could not be used, for the user: `path:line: why`.
    pub notes: Vec<String>,
}

/// Why a tree could not be looked at.
#[derive(Debug)]
pub enum DetectError {
    /// The folder can't be walked.
    Walk(WalkError),
    /// `peelbox.toml` is wrong.
    Settings(settings::SettingsError),
}

impl fmt::Display for DetectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Walk(error) => error.fmt(f),
            Self::Settings(error) => error.fmt(f),
        }
    }
}

impl error::Error for DetectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Walk(error) => error.source(),
            Self::Settings(_) => None,
        }
    }
}

/// Looks for services in the folder `root`.
///
/// No service found is no error: the list is empty.
///
/// # Errors
/// [`DetectError`].
pub fn detect(root: &Path, bases: Family) -> Result<Detected, DetectError> {
    let settings = settings::Settings::load(root).map_err(DetectError::Settings)?;
    let tree = Tree::walk(root, &settings.ignore).map_err(DetectError::Walk)?;
    let project = Project { tree: &tree, bases, settings: &settings };
    let mut found: Vec<Vec<Service>> =
        ecosystems::ALL.iter().map(|ecosystem| (ecosystem.find)(&project)).collect();
    ecosystems::deliver(&project, &mut found);
    let mut services = choose::choose(&project, found);
    services.retain_mut(|service| match emit::finish(service) {
        Ok(()) => true,
        Err(error) => {
            // A folder whose name has a meaning in globs, or a manifest with an odd command.
            tree.note(format!("{}: left out, it makes no spec: {error}", service.dir));
            false
        }
    });
    Ok(Detected { services, notes: tree.notes() })
}

/// Everything a rule may look at.
#[derive(Debug)]
pub struct Project<'a> {
    /// What was walked.
    pub tree: &'a Tree,
    /// Which family of bases is written.
    pub bases: Family,
    /// `peelbox.toml`.
    pub settings: &'a settings::Settings,
}

/// One ecosystem: the languages that share manifests and tools.
///
/// A rule applies what the ecosystem's own tools do; it never knows of other ecosystems but through functions they offer
/// (`node::assets` for a PHP or Rails project with a `package.json`).
pub struct Ecosystem {
    /// What `--explain` calls it.
    pub name: &'static str,
    /// The files it goes by, in a few words, for whoever hears that nothing was found.
    pub looks_for: &'static str,
    /// All its services in the tree, in order of their folders. Of a workspace one for each deployable member.
    pub find: fn(&Project<'_>) -> Vec<Service>,
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::mutation::mutate;

    /// Text files of a folder that rules may read, relative to it.
    fn files(dir: &Path, below: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => files(dir, &path, all),
                false if path.file_name().is_none_or(|name| name != "expected.json") => {
                    all.push(path)
                }
                false => {}
            }
        }
    }

    #[test]
    fn no_bytes_in_a_file_of_a_project_make_a_rule_panic() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
        let work = tempfile::tempdir().unwrap();
        for example in fs::read_dir(examples).unwrap() {
            let from = example.unwrap().path();
            let to = work.path().join(from.file_name().unwrap());
            let mut all = Vec::new();
            files(&from, Path::new(""), &mut all);
            for file in &all {
                fs::create_dir_all(to.join(file).parent().unwrap()).unwrap();
                fs::copy(from.join(file), to.join(file)).unwrap();
            }
            for file in &all {
                let seed = fs::read(to.join(file)).unwrap();
                mutate(&seed, b"{}[]\"':,<>/=@.-\n *\\\0", ROUNDS, |bytes| {
                    fs::write(to.join(file), bytes).unwrap();
                    // An odd name may make no spec, which is noted.
                    if let Ok(found) = detect(&to, images::Family::Official) {
                        drop(explain::text(&found));
                    }
                });
                fs::write(to.join(file), seed).unwrap();
            }
        }
    }

    const ROUNDS: usize = 4;
}
