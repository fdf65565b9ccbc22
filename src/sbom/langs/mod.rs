//! Packages of the languages, from installed metadata and lock files.
//!
//! **In the image** what is installed is what counts, as each ecosystem itself notes it: `package.json` of npm's packages,
//! `METADATA` of Python's, specifications of gems, Composer's `installed.json`, .NET's `*.deps.json`. A lock file there says
//! what somebody wanted, often with what only development needs, so it makes packages itself only where nothing tells what
//! was installed, and without those for development:
//!
//! | lock file | in the image |
//! | --- | --- |
//! | `Cargo.lock`, `mix.lock` | counts: what is built of it carries no metadata |
//! | of npm, yarn, pnpm, bun; `composer.lock` | counts if nothing is installed in its project (yarn's Plug'n'Play, bundles) |
//! | of Poetry, uv, PDM, Pipenv; `Gemfile.lock`, `packages.lock.json` | counts if nothing of its ecosystem is installed in the image |
//! | `go.mod`, `go.sum`, `gradle.lockfile`, `pom.xml`, `requirements.txt` | does not count: binaries and archives say it themselves |
//!
//! A lock file that does not count still adds checksums and dependencies to installed packages of the same name and version.
//!
//! **In the context** it is the other way round: lock files with all that is in them, for it took part in the build, and
//! manifests only where there is no lock file in their folder or above.
//!
//! Files that came inside of other packages (a `yarn.lock` in a gem, a `Cargo.lock` in Cargo's registry) tell nothing of
//! either and are left.

use std::collections::{BTreeMap, BTreeSet};

use super::{Files, Interest, Kind, Origin, Package, Problem};
use formats::{Format, InImage, Reader, Role};
use found::{Found, Installed};

mod blocks;
mod cargo;
mod composer;
mod formats;
mod found;
mod gem;
mod go;
mod hex;
mod maven;
mod npm;
mod nuget;
mod pnpm;
mod purl;
mod pypi;
mod yarn;

/// What of an image is wanted; `path` is absolute and clean.
pub fn interest(path: &str) -> Interest {
    wanted(path, Origin::Image)
}

/// What of a build context is wanted: lock files and manifests; `path` is absolute and clean, the context being `/`.
pub fn context_interest(path: &str) -> Interest {
    wanted(path, Origin::Context)
}

fn wanted(path: &str, origin: Origin) -> Interest {
    match formats::of(path).filter(|format| format.role.is_for(origin)) {
        Some(format) => Interest::Text { bytes_max: format.bytes_max },
        None => Interest::None,
    }
}

/// Reads all files that [`interest`] (or [`context_interest`]) asks for; others are left. `packed` are texts in archives, by
/// the path of the archive, `!` and the path in it.
///
/// A purl may come more than once, from several files. Packages past 100,000 are left out, with a [`Problem`].
pub fn catalogue(
    files: &Files,
    packed: &BTreeMap<String, Vec<u8>>,
    origin: Origin,
    out: &mut Vec<Package>,
    problems: &mut Vec<Problem>,
) {
    let wanted: Vec<_> = files
        .texts
        .iter()
        .chain(packed)
        .filter_map(|(path, bytes)| Some(File { path, bytes, format: formats::of(path)? }))
        .filter(|file| file.format.role.is_for(origin))
        .collect();
    let mut catalogue = Catalogue { origin, packages: Vec::new(), problems };
    match origin {
        Origin::Image => image(&wanted, &mut catalogue),
        Origin::Context => context(&wanted, &mut catalogue),
    }
    out.append(&mut catalogue.packages);
}

/// A file whose format is known.
#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a str,
    bytes: &'a [u8],
    format: &'static Format,
}

impl<'a> File<'a> {
    /// The folder it is in; `/` is the empty text.
    fn folder(&self) -> &'a str {
        parent(self.path)
    }
}

/// What was found so far in one origin.
struct Catalogue<'a> {
    origin: Origin,
    packages: Vec<Package>,
    problems: &'a mut Vec<Problem>,
}

impl Catalogue<'_> {
    fn add(&mut self, file: &File<'_>, found: Found) -> Option<usize> {
        if self.packages.len() >= PACKAGES_MAX {
            let why = format!("has packages beyond the {PACKAGES_MAX} that are listed");
            if self.problems.last().is_none_or(|last| last.path != file.path) {
                self.problem(file, why);
            }
            return None;
        }
        let Found { name, version, license, checksums, .. } = found;
        self.packages.push(Package {
            kind: file.format.kind,
            purl: purl::of(file.format.kind, &name, &version),
            name,
            version,
            license,
            supplier: None,
            checksums,
            locations: BTreeSet::from([file.path.to_owned()]),
            origin: self.origin,
            depends_on: BTreeSet::new(),
        });
        Some(self.packages.len() - 1)
    }

    /// Adds what a file lists, with their dependencies among each other.
    fn add_list(&mut self, file: &File<'_>, list: Vec<Found>, with_dev: bool) {
        let needs: Vec<_> = list.iter().map(|found| found.needs.clone()).collect();
        let added: Vec<_> = list
            .into_iter()
            .map(|found| (with_dev || !found.dev).then(|| self.add(file, found)).flatten())
            .collect();
        for (at, needs) in added.iter().zip(needs) {
            let Some(at) = *at else { continue };
            for needed in needs.into_iter().filter_map(|needed| *added.get(needed)?) {
                self.depend(at, needed);
            }
        }
    }

    /// Adds checksums, licences and dependencies to packages that are there already.
    fn enrich(&mut self, kind: Kind, list: &[Found]) {
        // The first of several copies: they become one package.
        let mut by_purl: BTreeMap<String, usize> = BTreeMap::new();
        for (at, package) in self.packages.iter().enumerate().filter(|(_, it)| it.kind == kind) {
            by_purl.entry(package.purl.clone()).or_insert(at);
        }
        let purls: Vec<_> =
            list.iter().map(|found| purl::of(kind, &found.name, &found.version)).collect();
        for (found, purl) in list.iter().zip(&purls) {
            let Some(&at) = by_purl.get(purl) else { continue };
            let package = &mut self.packages[at];
            for (algorithm, hex) in &found.checksums {
                package.checksums.entry(algorithm).or_insert_with(|| hex.clone());
            }
            if package.license.is_none() {
                package.license.clone_from(&found.license);
            }
            let needs = found.needs.iter().filter_map(|&needed| purls.get(needed));
            let needs = needs.filter(|it| *it != purl && by_purl.contains_key(*it));
            package.depends_on.extend(needs.cloned());
        }
    }

    fn depend(&mut self, at: usize, needed: usize) {
        let purl = self.packages[needed].purl.clone();
        if self.packages[at].purl != purl {
            self.packages[at].depends_on.insert(purl);
        }
    }

    fn problem(&mut self, file: &File<'_>, why: String) {
        self.problems.push(Problem { path: file.path.to_owned(), why });
    }

    /// What the readers say, or a problem.
    fn read<T>(&mut self, file: &File<'_>, read: fn(&[u8]) -> Result<T, String>) -> Option<T> {
        match read(file.bytes) {
            Ok(read) => Some(read),
            Err(why) => {
                self.problem(file, why);
                None
            }
        }
    }
}

fn image(files: &[File<'_>], catalogue: &mut Catalogue<'_>) {
    let (installed, locks): (Vec<&File<'_>>, Vec<_>) =
        files.iter().partition(|file| matches!(file.format.role, Role::Installed));
    let mut evidence = Evidence::default();
    let mut ones = Vec::new();
    for file in installed {
        let before = catalogue.packages.len();
        match file.format.reader {
            Reader::One(read) => {
                let Some(Installed { found, requires }) = catalogue.read(file, read).flatten()
                else {
                    continue;
                };
                if let Some(at) = catalogue.add(file, found) {
                    ones.push(One { file: *file, at, requires });
                }
            }
            Reader::Many(read) => {
                if let Some(list) = catalogue.read(file, read) {
                    catalogue.add_list(file, list, false);
                }
            }
            Reader::Unreadable(_) => {}
        }
        if catalogue.packages.len() > before {
            evidence.note(file);
        }
    }
    connect(&ones, catalogue);
    let (counting, adding): (Vec<&File<'_>>, Vec<_>) =
        locks.into_iter().partition(|file| evidence.lets_count(file));
    // First those that add, so that they add only to what is installed.
    for file in adding {
        if let Reader::Many(read) = file.format.reader
            && let Some(list) = catalogue.read(file, read)
        {
            catalogue.enrich(file.format.kind, &list);
        }
    }
    for file in counting {
        list_of(file, catalogue, false);
    }
}

fn context(files: &[File<'_>], catalogue: &mut Catalogue<'_>) {
    let locked: BTreeSet<(Kind, &str)> = files
        .iter()
        .filter(|file| matches!(file.format.role, Role::Lock(_)) && is_complete(file))
        .map(|file| (file.format.kind, file.folder()))
        .collect();
    for file in files {
        let is_locked =
            || folders_up(file.folder()).any(|up| locked.contains(&(file.format.kind, up)));
        if matches!(file.format.role, Role::Lock(_)) || !is_locked() {
            list_of(file, catalogue, true);
        }
    }
}

fn list_of(file: &File<'_>, catalogue: &mut Catalogue<'_>, with_dev: bool) {
    match file.format.reader {
        Reader::Many(read) => {
            if let Some(list) = catalogue.read(file, read) {
                catalogue.add_list(file, list, with_dev);
            }
        }
        Reader::Unreadable(why) => catalogue.problem(file, why.to_owned()),
        Reader::One(_) => {}
    }
}

/// Whether manifests beside it have nothing to add; `go.sum` has where `go.mod` is an old one.
fn is_complete(file: &File<'_>) -> bool {
    file.format.kind != Kind::Golang || go::is_complete(file.bytes)
}

/// What is known to be installed, so that lock files need not be believed.
#[derive(Default)]
struct Evidence<'a> {
    kinds: BTreeSet<Kind>,
    /// Folders of projects, with and without what is above and below them.
    projects: BTreeSet<(Kind, &'a str)>,
}

impl<'a> Evidence<'a> {
    fn note(&mut self, file: &File<'a>) {
        let kind = file.format.kind;
        self.kinds.insert(kind);
        let project = match kind {
            Kind::Npm => file.path.find("/node_modules/").map(|end| &file.path[..end]),
            // `vendor/composer/installed.json`, whatever `vendor` is called.
            Kind::Composer => Some(parent(parent(file.folder()))),
            _ => None,
        };
        self.projects.extend(project.map(|folder| (kind, folder)));
    }

    fn lets_count(&self, lock: &File<'_>) -> bool {
        let kind = lock.format.kind;
        match lock.format.role {
            Role::Lock(InImage::Always) => true,
            Role::Lock(InImage::UnlessInstalled) => !self.kinds.contains(&kind),
            Role::Lock(InImage::UnlessInstalledInProject) => {
                let folder = lock.folder();
                let above = folders_up(folder).any(|up| self.projects.contains(&(kind, up)));
                let inside = format!("{folder}/");
                let mut below = self.projects.range((kind, inside.as_str())..);
                let below =
                    below.next().is_some_and(|(of, it)| *of == kind && it.starts_with(&inside));
                !above && !below
            }
            _ => false,
        }
    }
}

/// An installed package that has its own file.
struct One<'a> {
    file: File<'a>,
    at: usize,
    requires: Vec<String>,
}

/// Finds what installed packages depend on among them, as their ecosystems do when they run.
fn connect(ones: &[One<'_>], catalogue: &mut Catalogue<'_>) {
    let mut by_folder = BTreeMap::new();
    let mut by_name = BTreeMap::new();
    for one in ones {
        let package = &catalogue.packages[one.at];
        match package.kind {
            Kind::Npm => {
                by_folder.insert(one.file.folder().trim_start_matches('/'), one.at);
            }
            Kind::Pypi => {
                by_name.insert((one.home(), pypi::normalized(&package.name)), one.at);
            }
            _ => {
                by_name.insert((one.home(), package.name.clone()), one.at);
                // A gem may need one of another folder: the default ones are apart.
                by_name.entry(("", package.name.clone())).or_insert(one.at);
            }
        }
    }
    let mut left = REQUIRES_MAX;
    for one in ones {
        for name in one.requires.iter().take(left) {
            let needed = if one.file.format.kind == Kind::Npm {
                let from = one.file.folder().trim_start_matches('/');
                npm::resolve(from, name, |folder| by_folder.get(folder).copied())
            } else {
                let here = by_name.get(&(one.home(), name.clone()));
                here.or_else(|| by_name.get(&("", name.clone()))).copied()
            };
            if let Some(needed) = needed {
                catalogue.depend(one.at, needed);
            }
        }
        left = left.saturating_sub(one.requires.len());
    }
}

impl<'a> One<'a> {
    /// Where its neighbours are: `site-packages`, `specifications`.
    fn home(&self) -> &'a str {
        let folder = self.file.folder();
        if self.file.path.ends_with("/METADATA") || self.file.path.ends_with("/PKG-INFO") {
            return parent(folder);
        }
        folder
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A folder and those above it, at most [`FOLDERS_UP_MAX`]; `/` is the empty text.
fn folders_up(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| folder.rfind('/').map(|end| &folder[..end]))
        .take(FOLDERS_UP_MAX)
}

/// Packages of one call. The largest images seen have a few thousand.
const PACKAGES_MAX: usize = 100_000;
/// Requirements of installed packages that are followed.
const REQUIRES_MAX: usize = 500_000;
/// Folders above a manifest that are asked for a lock file.
const FOLDERS_UP_MAX: usize = 32;

#[cfg(test)]
mod tests;
