//! Which Python: what the project pins, resolved to the official images.

use super::manifest::Manifest;
use crate::detect::{
    Decision, Evidence, Project, join,
    pins::{self, Pin},
    versions::{Version, pep440::Specifiers},
};

/// Minors that the official images have, with the newest Debian their last release was built for
/// (github.com/docker-library/python).
const IMAGES: &[(u32, u32, &str)] = &[
    (2, 7, "buster"),
    (3, 4, "stretch"),
    (3, 5, "buster"),
    (3, 6, "bullseye"),
    (3, 7, "bookworm"),
    (3, 8, "bookworm"),
    (3, 9, "bookworm"),
    (3, 10, "bookworm"),
    (3, 11, "bookworm"),
    (3, 12, "bookworm"),
    (3, 13, "bookworm"),
    (3, 14, "bookworm"),
];

/// What projects get that pin nothing.
pub(super) const DEFAULT: Version = Version { major: 3, minor: Some(13), patch: None };

/// The suite of the images of a version.
pub(super) fn suite(version: Version) -> &'static str {
    let known = |(major, minor, _): &&(u32, u32, &str)| {
        *major == version.major && Some(*minor) == version.minor
    };
    IMAGES.iter().find(known).map_or("bookworm", |image| image.2)
}

/// Packages whose older releases do not install on newer Pythons: below which version, and the last minor of Python 3 that
/// has wheels or still builds. Each list goes up; from the last bound on nothing is said.
const LIMITS: &[(&str, &[(&str, u32)])] = &[
    ("aiohttp", &[("3.8", 9), ("3.9", 11), ("3.10", 12)]),
    (
        "django",
        &[("2.0", 6), ("2.2", 7), ("3.1", 9), ("3.2", 9), ("4.1", 10), ("4.2", 11), ("5.0", 12)],
    ),
    ("gevent", &[("21", 8), ("22", 10), ("23", 11), ("24.10", 12)]),
    ("greenlet", &[("1", 9), ("2", 10), ("3", 11), ("3.1", 12)]),
    ("grpcio", &[("1.42", 9), ("1.50", 10), ("1.59", 11), ("1.66.2", 12)]),
    ("jinja2", &[("2.11.3", 9), ("3", 9)]),
    ("lxml", &[("4.6.5", 9), ("4.9", 10), ("4.9.3", 11), ("5.3", 12)]),
    ("markupsafe", &[("2.0", 9), ("2.1", 10), ("2.1.2", 11), ("3", 12)]),
    ("matplotlib", &[("3.3", 8), ("3.5", 9), ("3.6", 10), ("3.8", 11), ("3.9.2", 12)]),
    ("numpy", &[("1.19.3", 8), ("1.21", 9), ("1.23", 10), ("1.26", 11), ("2.1", 12)]),
    ("pandas", &[("1.1.4", 8), ("1.3", 9), ("1.5", 10), ("2.1.1", 11), ("2.2.3", 12)]),
    ("pillow", &[("8", 8), ("8.4", 9), ("9.3", 10), ("10.1", 11), ("10.4", 12)]),
    ("psycopg2", &[("2.9", 9), ("2.9.5", 10), ("2.9.9", 11), ("2.9.10", 12)]),
    ("psycopg2-binary", &[("2.9", 9), ("2.9.5", 10), ("2.9.9", 11), ("2.9.10", 12)]),
    (
        "pydantic",
        &[("1.8", 9), ("1.10", 10), ("1.10.13", 11), ("2.0", 12), ("2.5", 11), ("2.8", 12)],
    ),
    ("pyyaml", &[("6.0", 9), ("6.0.1", 10), ("6.0.2", 12)]),
    ("scikit-learn", &[("0.24", 8), ("1.0", 9), ("1.1.3", 10), ("1.3", 11), ("1.5.2", 12)]),
    ("scipy", &[("1.5.4", 8), ("1.7.2", 9), ("1.9.2", 10), ("1.11.2", 11), ("1.14.1", 12)]),
    ("sqlalchemy", &[("1.3", 9), ("1.4", 11), ("2.0", 12), ("2.0.31", 12)]),
    ("tensorflow", &[("2.5", 8), ("2.8", 9), ("2.12", 10), ("2.16", 11), ("2.20", 12)]),
    ("torch", &[("1.8", 8), ("1.11", 9), ("2.0", 10), ("2.2", 11), ("2.5", 12)]),
    ("uvloop", &[("0.17", 10), ("0.19", 11), ("0.21", 12)]),
    ("werkzeug", &[("1.0", 9)]),
];

/// The version to build and run with, and why.
pub(super) fn decide(project: &Project<'_>, manifest: &Manifest) -> (Version, Decision) {
    if let Some(pin) = pins::stated(project, &manifest.dir)
        && let Some(version) = exact(&pin.version)
    {
        return (version, decision(version, &pin));
    }
    let dir = &manifest.dir;
    let mut pins = pins::pins(project, dir, &[".python-version", "runtime.txt"], &["python"]);
    pins.extend(manifest.pythons.iter().cloned());
    let suited = suited(project, manifest);
    let mut found: Option<(Version, Decision)> = None;
    for pin in pins {
        let version = match exact(&pin.version) {
            Some(version) => Some(version),
            None => Specifiers::parse(&pin.version).map(|range| best(&range, suited.as_ref())),
        };
        let Some(version) = version else { continue };
        found = Some(match found {
            None => (version, decision(version, &pin)),
            Some((first, found)) if first == version => (first, found),
            // A range that allows what was pinned says the same.
            Some((first, found))
                if Specifiers::parse(&pin.version).is_some_and(|r| r.allows(first)) =>
            {
                (first, found)
            }
            Some((first, found)) => {
                (first, found.not(pin.version, Some(pin.evidence), "the other is looked at first"))
            }
        });
    }
    found.unwrap_or_else(|| match suited {
        Some((minor, name, place)) if minor < DEFAULT.minor.unwrap_or(0) => {
            let version = Version { minor: Some(minor), ..DEFAULT };
            let rule = format!("the newest that this version of {name} installs on");
            (version, Decision::new("version", version.to_string(), rule, [place]))
        }
        _ => {
            let rule = "default, nothing pins one";
            (DEFAULT, Decision::new("version", DEFAULT.to_string(), rule, []))
        }
    })
}

fn decision(version: Version, pin: &Pin) -> Decision {
    let rule = match pin.version.trim() == version.to_string() {
        true => pin.rule.clone(),
        false => format!("{} `{}`", pin.rule, pin.version.trim()),
    };
    Decision::new("version", version.to_string(), rule, [pin.evidence.clone()])
}

/// A lone version (`3.12.1`, `python-3.8`); the images are chosen by major and minor.
fn exact(text: &str) -> Option<Version> {
    let text = text.trim().trim_matches(['"', '\'']);
    let text =
        text.strip_prefix("python-").or_else(|| text.strip_prefix("cpython-")).unwrap_or(text);
    let text = text.strip_prefix("cpython@").unwrap_or(text);
    let text = text.strip_prefix("==").unwrap_or(text).trim();
    let fits = |c: char| c.is_ascii_digit() || c == '.' || c == '*' || c == 'x';
    if !text.starts_with(|c: char| c.is_ascii_digit())
        || !text.split(['-', 'r', 'b', 'a', '+']).next()?.chars().all(fits)
    {
        return None;
    }
    let version = Version::parse(text)?.major_minor();
    match (version.major, version.minor) {
        (_, Some(_)) => Some(version),
        (3, None) => Some(DEFAULT),
        (2, None) => Some(Version { minor: Some(7), ..version }),
        _ => None,
    }
}

/// The default if the range allows it, else the newest before it, else the oldest after it; not newer than what suits the
/// dependencies, where the range leaves a choice.
fn best(range: &Specifiers, suited: Option<&(u32, String, Evidence)>) -> Version {
    let top = suited.map(|(minor, ..)| *minor).or(DEFAULT.minor).unwrap_or_default();
    let version =
        |image: &(u32, u32, &str)| Version { major: image.0, minor: Some(image.1), patch: None };
    let allowed: Vec<Version> = IMAGES.iter().map(version).filter(|v| range.allows(*v)).collect();
    let fits = |v: &&Version| v.major < 3 || v.minor <= Some(top);
    let before = allowed.iter().rev().find(|v| v.major == 3 && fits(v));
    let chosen =
        before.or_else(|| allowed.iter().find(|v| v.major == 3)).or_else(|| allowed.last());
    // Newer than the table: the lower bound is there.
    chosen.copied().or_else(|| range.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

/// The newest minor of Python 3 that all dependencies install on whose version is known.
fn suited(project: &Project<'_>, manifest: &Manifest) -> Option<(u32, String, Evidence)> {
    let locked = locked(project, &manifest.dir);
    let mut found: Option<(u32, String, Evidence)> = None;
    for (name, bounds) in LIMITS {
        let written = manifest
            .dependencies
            .get(*name)
            .and_then(|dependency| Some((newest_of(&dependency.spec)?, dependency.place.clone())));
        let in_lock = locked.iter().find(|(locked, ..)| locked == name);
        let Some((version, place)) = in_lock.map(|(_, v, p)| (*v, p.clone())).or(written) else {
            continue;
        };
        let limit = bounds.iter().find(|(below, _)| {
            Version::parse(below).is_some_and(|below| version.triple() < below.triple())
        });
        let Some((_, minor)) = limit else { continue };
        if found.as_ref().is_none_or(|(lowest, ..)| minor < lowest) {
            found = Some((*minor, (*name).to_owned(), place));
        }
    }
    found
}

/// The newest version that a specifier allows, when it says so: `==1.2`, `~=1.2.3`, `^1.2`, `<2`.
fn newest_of(spec: &str) -> Option<Version> {
    if let Some(pinned) = spec.strip_prefix("==") {
        return Version::parse(pinned.trim_start_matches('='));
    }
    if spec.starts_with(|c: char| c.is_ascii_digit()) {
        return Version::parse(spec);
    }
    let (major, minor, patch) = Specifiers::parse(spec)?.end()?.triple();
    Some(match (minor, patch) {
        (0, 0) => Version { major: major.checked_sub(1)?, minor: Some(999), patch: Some(999) },
        (_, 0) => Version { major, minor: Some(minor - 1), patch: Some(999) },
        _ => Version { major, minor: Some(minor), patch: Some(patch - 1) },
    })
}

/// Versions of packages with limits that a lock file has; its lines are looked through, as it may be long.
fn locked(project: &Project<'_>, dir: &str) -> Vec<(String, Version, Evidence)> {
    let mut found = Vec::new();
    for name in ["uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"] {
        let path = join(dir, name);
        let Some(text) = project.tree.read(&path) else { continue };
        let mut package = None;
        for (at, line) in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("name = ") {
                package = Some(name.trim_matches('"').to_ascii_lowercase());
            } else if let Some(name) = line.strip_suffix(": {").map(|name| name.trim_matches('"')) {
                package = Some(name.to_ascii_lowercase());
            } else if let Some(version) =
                line.strip_prefix("version = ").or_else(|| line.strip_prefix("\"version\": "))
            {
                let version = version.trim_matches([',', '"', ' ']).trim_start_matches('=');
                let Some(package) = package.take() else { continue };
                let is_limited = LIMITS.iter().any(|(name, _)| *name == package);
                if let Some(version) = Version::parse(version).filter(|_| is_limited) {
                    found.push((package, version, Evidence::line(&path, Some(at))));
                }
            }
        }
        break;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_versions_are_told_from_ranges() {
        let check = |text: &str, want: &str| {
            assert_eq!(exact(text).map(|v| v.to_string()).unwrap_or_default(), want, "{text}");
        };
        check("3.12.1", "3.12");
        check("python-3.8.10", "3.8");
        check("3", "3.13");
        check("2", "2.7");
        check("==3.11.*", "3.11");
        check("3.14.0rc1", "3.14");
        check("pypy3.9-7.3", "");
        check("my-env", "");
        check(">=3.9", "");
        check("3.9,<4", "");
    }

    #[test]
    fn a_range_gives_the_default_or_the_nearest_before_it() {
        let check = |text: &str, suited: Option<u32>, want: &str| {
            let range = Specifiers::parse(text).unwrap();
            let suited = suited.map(|minor| (minor, "numpy".to_owned(), Evidence::file("x")));
            assert_eq!(best(&range, suited.as_ref()).to_string(), want, "{text}");
        };
        check(">=3.8", None, "3.13");
        check(">=3.8,<3.12", None, "3.11");
        check(">=3.8", Some(10), "3.10");
        check(">=3.14", None, "3.14");
        check(">=3.11", Some(9), "3.11");
        check("<3", None, "2.7");
        check(">=2.7", None, "3.13");
        check(">=3.17", None, "3.17");
    }

    #[test]
    fn limits_go_up_and_name_known_pythons() {
        for (name, bounds) in LIMITS {
            let versions: Vec<_> =
                bounds.iter().map(|(v, _)| Version::parse(v).unwrap().triple()).collect();
            assert!(versions.is_sorted(), "{name}");
            assert!(bounds.iter().all(|(_, minor)| (6..13).contains(minor)), "{name}");
        }
    }

    #[test]
    fn the_newest_version_of_a_specifier_is_below_its_end() {
        let check = |spec: &str, want: Option<(u32, u32)>| {
            let found = newest_of(spec).map(|v| (v.major, v.minor.unwrap_or(0)));
            assert_eq!(found, want, "{spec}");
        };
        check("==1.19.2", Some((1, 19)));
        check("~=3.2.1", Some((3, 2)));
        check("<2", Some((1, 999)));
        check("^4.1", Some((4, 999)));
        check(">=1", None);
        check("", None);
    }
}
