//! `peelbox detect`: a source tree → services → UniversalBuild specs, with the evidence of every decision.
//!
//! The way is a straight line: [`Tree`] is what was walked, read only; the rules of each ecosystem look for services and
//! give [`Facts`] of each; `deliver` gives front ends to the servers that deliver them; `choose` drops what another claims
//! and gives every service a name of its own; `assemble` makes specs for a family of bases; `emit` writes them, `explain`
//! the reasons. No network, no daemon, no execution of the project's code. The same tree gives the same bytes.

use std::{error, fmt, path::Path};

pub use self::{
    assemble::Service,
    decision::{Decision, Evidence, Rejected, Rule},
    facts::{Facts, Weight},
    folder::Folder,
    overrule::by_command_line,
    parts::{Kind, Serves, Step},
    paths::{is_below, join, parent, upward},
    project::{Family, Project},
    source::Port,
    tree::{Entries, Text, Tree, WalkError},
    why::{Fixed, What},
};

mod assemble;
mod called;
mod choose;
pub mod compiled;
pub mod decision;
mod deliver;
pub mod ecosystems;
pub mod emit;
pub mod explain;
pub mod facts;
pub mod folder;
mod folders;
pub mod framework;
mod hints;
mod ignored;
pub mod language;
pub mod loopback;
mod overrule;
pub mod parts;
pub mod paths;
pub mod pins;
mod prelude;
mod private;
pub mod procfile;
mod project;
mod scripts;
pub mod settings;
pub mod shell;
pub mod source;
mod tree;
mod unknown;
pub mod versions;
pub mod why;
mod workers;
#[cfg(test)]
mod workers_tests;

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

/// Looks for services in the folder `root`, with the settings that lie in it.
///
/// No service found is no error: the list is empty.
///
/// # Errors
/// [`DetectError`].
pub fn detect(root: &Path, bases: Family) -> Result<Detected, DetectError> {
    let settings = settings::Settings::load(root).map_err(DetectError::Settings)?;
    detect_with(root, bases, &settings)
}

/// The same with settings from elsewhere.
///
/// # Errors
/// [`DetectError`].
pub fn detect_with(
    root: &Path,
    bases: Family,
    settings: &settings::Settings,
) -> Result<Detected, DetectError> {
    let tree = Tree::walk(root, &settings.ignore).map_err(DetectError::Walk)?;
    let project = Project { tree: &tree, bases, settings };
    let mut found: Vec<Vec<Facts>> =
        ecosystems::ALL.iter().map(|ecosystem| (ecosystem.find)(&project)).collect();
    deliver::deliver(&project, &mut found);
    hints::apply::apply(&project, &mut found);
    let mut chosen = choose::choose(&project, found);
    private::find(&project, &mut chosen);
    let mut services = Vec::new();
    for mut facts in workers::beside(&project, chosen) {
        scripts::needs(&project, &mut facts);
        let sources = facts.language.sources;
        let mut service = assemble::assemble(bases, facts);
        ignored::bring_back(&tree, &mut service, sources);
        overrule::by_settings(&mut service, settings).map_err(DetectError::Settings)?;
        match emit::finish(&mut service) {
            Ok(()) => services.push(service),
            // A folder whose name has a meaning in globs, or a manifest with an odd command.
            Err(error) => {
                tree.note(format!("{}: left out, it makes no spec: {error}", service.dir))
            }
        }
    }
    if services.is_empty() {
        unknown::tell(&tree);
    }
    Ok(Detected { services, notes: tree.notes() })
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
                    if let Ok(found) = detect(&to, Family::Official) {
                        drop(explain::text(&found));
                    }
                });
                fs::write(to.join(file), seed).unwrap();
            }
        }
    }

    const ROUNDS: usize = 4;
}
