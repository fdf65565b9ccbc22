//! What languages have in common whose programs run as they lie there: Perl, Lua, R, Julia.

use super::{has_manifest, is_below_project};
use crate::detect::prelude::*;

/// How a language is told, and what is run.
pub(super) struct Scripted {
    pub(super) language: &'static Language,
    /// Names of manifests, and how others end.
    pub(super) manifests: &'static [&'static str],
    pub(super) ending: &'static str,
    /// Names of files that are run, the surest first.
    pub(super) entries: &'static [&'static str],
    pub(super) frameworks: &'static [Framework],
    /// Calls that serve, whether or not there is a framework.
    pub(super) serves: &'static [&'static str],
    /// The program that runs a file, and its arguments; `{v}` is the version.
    pub(super) runs: &'static str,
    /// What of a pinned version names an image.
    pub(super) version: fn(Version) -> Option<Version>,
}

/// A service of such a language, before its dependencies are installed.
pub(super) struct Program<'a> {
    pub(super) at: Folder<'a>,
    pub(super) facts: Facts,
    pub(super) manifest: Option<String>,
    pub(super) sources: Vec<Rc<Text>>,
    pub(super) known: Option<Known>,
}

/// All services of a language; below one nothing is looked for.
pub(super) fn find(
    project: &Project<'_>,
    row: &'static Scripted,
    finish: fn(Program<'_>) -> Facts,
) -> Vec<Facts> {
    project.tree.outermost(|dir, _| Some(finish(program(Folder::new(project, dir), row)?)))
}

fn program<'a>(at: Folder<'a>, row: &'static Scripted) -> Option<Program<'a>> {
    let entries = at.entries()?;
    let other = (!row.ending.is_empty()).then(|| entries.ending(row.ending).next()).flatten();
    let manifest = at.first_of(row.manifests).or(other).map(str::to_owned);
    let entry = at.first_of(row.entries);
    let is_part = || {
        is_below_project(at, |_, name| row.manifests.contains(&name))
            || has_manifest(at.project, at.dir)
            || folders::is_beside_product(at.dir)
    };
    if manifest.is_none() && (entry.is_none() || is_part()) {
        return None;
    }
    let place = at.place(manifest.as_deref().or(entry)?, None);
    let mut facts = Facts::new(row.language, at.dir);
    facts.known_as(Fixed::ItsSources, Fixed::ItsPackageFiles, place);
    let parse = |text: &str| Some((row.version)(Version::parse(text)?)?.to_string());
    let (version, decision) = pins::choose(at.pins(row.language), parse, row.language.default);
    facts.version((&version, decision));
    facts.take(at.dir, "");
    facts.exclude = vec![".git".to_owned()];
    let sources = at.sources(row.language.sources, &|_| false);
    let known = framework::find(row.frameworks, |mark| source::mention(&sources, mark));
    facts.of_framework(known.as_ref(), Fixed::Imported);
    let is_open = row.serves.iter().any(|call| source::mention(&sources, call).is_some());
    if let Some(process) = at.procfile() {
        facts.start(process.command, Rule::Procfile(process.name), [process.evidence]);
        facts.weight = Weight::Stated;
    } else if let Some(entry) = entry {
        let runs = row.runs.replace("{v}", &version);
        facts.start(runs.split(' ').chain([entry]), Fixed::NameOfEntry, [at.place(entry, None)]);
        let is_sure = manifest.is_some() || is_open && at.dir == ".";
        facts.weight = facts.weight.max(if is_sure { Weight::Starts } else { Weight::Files });
    } else {
        facts.weight = Weight::Library;
        facts = facts.nothing(Fixed::NothingStarts, []);
    }
    facts.listen(&sources, known.as_ref(), row.serves);
    Some(Program { at, facts, manifest, sources, known })
}

impl Program<'_> {
    /// Starts what a framework's own program serves, on the port of `PORT`.
    pub(super) fn serve(&mut self, command: Vec<String>, port: u16, place: Evidence) {
        if self.facts.weight < Weight::Stated {
            self.facts.weight = Weight::Framework;
            self.facts.start(command, Fixed::ServerOfFramework, [place]);
            self.facts.port(Port::told(port, Fixed::FrameworkDefault, None));
        }
    }

    /// Whether the sources import a module.
    pub(super) fn imports(&self, mark: &str) -> bool {
        source::mention(&self.sources, mark).is_some()
    }
}
