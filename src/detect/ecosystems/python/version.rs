//! Which Python: what the project pins, resolved to the official images.

use super::manifest::Manifest;
use crate::{
    detect::{prelude::*, versions::pep440::Specifiers},
    spec::BUILD_DIR,
};

/// Programs in `/app`; `{slim}` says which image is built in.
pub(in crate::detect::ecosystems) static PYTHON: Language = ROW;

/// uv looks for an interpreter by itself unless it is told.
pub(super) static WITH_UV: Language = Language {
    images: Images {
        official: ON_OFFICIAL.env(&[("UV_PYTHON", "/usr/local/bin/python3")]),
        wolfi: ON_WOLFI.env(&[OF_SYSTEM, ("UV_PYTHON", "/usr/bin/python3")]),
        debian: ON_DEBIAN.env(&[OF_SYSTEM, ("UV_PYTHON", "/usr/bin/python3")]),
    },
    ..ROW
};

/// Environments with links into the work tree, which then has to be at the same place in the image.
pub(super) static IN_PLACE: Language = Language { home: BUILD_DIR, ..ROW };

const ROW: Language = Language {
    id: "python",
    default: "3.13",
    version_files: &[".python-version", "runtime.txt"],
    version_tools: &["python"],
    sources: &["py"],
    listens: &[
        ".run(", "run_app(", "run_simple(", ".listen(", "serve(", "serve_forever", "HTTPServer(",
        "TCPServer(", ".bind(", "make_server(", "launch(", "run(", "WSGIServer((",
    ],
    images: Images {
        official: ON_OFFICIAL,
        wolfi: ON_WOLFI.env(&[OF_SYSTEM]),
        debian: ON_DEBIAN.env(&[OF_SYSTEM]),
    },
    // github.com/docker-library/python
    suites: &[
        ("buster", &[(2, 7), (3, 5)]),
        ("stretch", &[(3, 4)]),
        ("bullseye", &[(3, 6)]),
        ("bookworm", &[(3, 7), (3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14)]),
    ],
    packaged: Some(Packaged { language: "Python", wolfi: OF_WOLFI, debian: (3, 11) }),
    ..NOTHING
};

const OF_WOLFI: Kept = Kept::Each(&[(3, 10), (3, 11), (3, 12), (3, 13), (3, 14)]);

/// The full image has compilers and headers, the slim one has the same interpreter at the same place.
const ON_OFFICIAL: Pair =
    Pair::of(stage("python:{v}{slim}-{suite}", &[]), stage("python:{v}-slim-{suite}", &[]));

const ON_WOLFI: Pair = Pair::wolfi(
    &["python-{v}", "py{v}-pip", "python-{v}-dev", "build-base", "git"],
    &["python-{v}"],
);

const ON_DEBIAN: Pair = Pair::debian(
    &["build-essential", "git", "python-is-python3", "python3-dev", "python3-pip", "python3-venv"],
    &["ca-certificates", "python-is-python3", "python3"],
);

/// The system's own Python lets tools be installed beside it only when it is told to.
const OF_SYSTEM: (&str, &str) = ("PIP_BREAK_SYSTEM_PACKAGES", "1");

/// What projects get that pin nothing.
const DEFAULT: Version = Version::of(3, 13);

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
pub(super) fn decide(at: Folder<'_>, manifest: &Manifest) -> (Version, Decision) {
    let stated = pins::stated(at.project, at.dir);
    if let Some((version, pin)) = stated.and_then(|pin| Some((exact(&pin.version)?, pin))) {
        return (version, decision(version, &pin));
    }
    let suited = suited(manifest).filter(|(version, ..)| *version < DEFAULT);
    let top = suited.as_ref().map_or(DEFAULT, |(version, ..)| *version);
    let range = |pin: &Pin| Specifiers::parse(&pin.version);
    let pins = at.managed(&PYTHON).into_iter().chain(manifest.pythons.iter().cloned());
    let pins: Vec<Pin> = pins.collect();
    let strange = pins.first().cloned();
    let mut pins = pins.into_iter().filter_map(|pin| {
        let version = exact(&pin.version).or_else(|| Some(best(&range(&pin)?, top)))?;
        Some((version, pin))
    });
    if let Some((first, pin)) = pins.next() {
        let mut found = decision(first, &pin);
        for (version, pin) in pins {
            // A range that allows what was pinned says the same.
            if version != first && !range(&pin).is_some_and(|range| range.allows(first)) {
                found = found.not(pin.version, Some(pin.evidence), Fixed::OtherIsFirst);
            }
        }
        return (first, found);
    }
    let strange = strange.map(|pin| pin.not_understood(DEFAULT, "version of Python"));
    let hinted = at.hinted(&["python"]).into_iter().find_map(|pin| pin.found(exact));
    let hinted = hinted.filter(|(version, ..)| *version <= top && *version >= HINTED_LEAST);
    let hinted = hinted.filter(|_| strange.is_none());
    pins::decided(hinted.or(suited).or(strange), DEFAULT)
}

/// What another tool's file may ask for at least: older ones are mostly files that nobody uses any more.
const HINTED_LEAST: Version = Version::of(3, 9);

fn decision(version: Version, pin: &Pin) -> Decision {
    let (version, written) = (version.to_string(), pin.version.trim());
    let rule = match written == version {
        true => Rule::Named(pin.rule.clone()),
        false => Rule::Range(pin.rule.clone(), written.to_owned()),
    };
    Decision::new(What::Version, version, rule, [pin.evidence.clone()])
}

/// The first releases of Python 3 with images of Debian 12, by minor and patch; for an older one the newest of its minor
/// stands in.
const PATCHES: &[(u32, u32)] =
    &[(7, 17), (8, 17), (9, 17), (10, 12), (11, 4), (12, 0), (13, 0), (14, 0)];

/// A lone version (`3.12.1`, `python-3.8`), as exact as there are images for it.
fn exact(text: &str) -> Option<Version> {
    let text = text.trim().trim_matches(['"', '\'']);
    let starts = ["python-", "cpython-", "cpython@", "=="];
    let text = starts.iter().fold(text, |text, start| text.strip_prefix(start).unwrap_or(text));
    let fits = |c: char| c.is_ascii_digit() || c == '.' || c == '*' || c == 'x';
    let numbers = text.trim().split(['-', 'r', 'b', 'a', '+']).next()?;
    if !numbers.starts_with(|c: char| c.is_ascii_digit()) || !numbers.chars().all(fits) {
        return None;
    }
    let version = Version::parse(numbers)?;
    let has_image = |patch: u32| {
        let fits = |(minor, first): &&(u32, u32)| version.minor == Some(*minor) && patch >= *first;
        version.major == 3 && numbers == text.trim() && PATCHES.iter().any(|row| fits(&row))
    };
    let version = match version.patch.is_some_and(has_image) {
        true => version,
        false => version.major_minor(),
    };
    match (version.major, version.minor) {
        (_, Some(_)) => Some(version),
        (3, None) => Some(DEFAULT),
        (2, None) => Some(Version::of(2, 7)),
        _ => None,
    }
}

/// The newest Python 3 of the range up to `top`, else the oldest after it, else Python 2.
fn best(range: &Specifiers, top: Version) -> Version {
    let from = |least| PYTHON.best(top, |v| v.major >= least && range.allows(v));
    // Newer than the table: the lower bound is there.
    let lowest = || range.lowest().map(Version::major_minor);
    from(3).or_else(|| from(2)).or_else(lowest).unwrap_or(DEFAULT)
}

/// The newest Python 3 that all dependencies install on whose version is known, and the one that sets it.
fn suited(manifest: &Manifest) -> Option<Found> {
    let limits = LIMITS.iter().filter_map(|(name, bounds)| {
        let written = || {
            let dependency = manifest.dependencies.get(*name)?;
            Some((newest_of(&dependency.spec)?, dependency.place.clone()))
        };
        let in_lock = manifest.lock.as_ref().and_then(|lock| lock.version(name));
        let (version, place) = in_lock.or_else(written)?;
        let (_, minor) = bounds.iter().find(|(below, _)| {
            Version::parse(below).is_some_and(|below| version.triple() < below.triple())
        })?;
        Some((Version::of(3, *minor), Rule::InstallsOn(name), place))
    });
    limits.min_by_key(|(version, ..)| *version)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_versions_are_told_from_ranges() {
        let check = |text: &str, want: &str| {
            assert_eq!(exact(text).map(|v| v.to_string()).unwrap_or_default(), want, "{text}");
        };
        check("3.12.1", "3.12.1");
        check("3.11.3", "3.11");
        check("python-3.11.4", "3.11.4");
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
            let top = suited.map_or(DEFAULT, |minor| Version::of(3, minor));
            assert_eq!(best(&range, top).to_string(), want, "{text}");
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
