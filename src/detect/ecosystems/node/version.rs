//! Which Node.js: what the project pins, resolved to a major of the official images.

use super::package::{Package, RUSH};
use crate::detect::{prelude::*, versions::npm::Range};

/// Node.js; a program that npm starts needs npm in the image.
pub(super) static NODE: Language = node(&["nodejs-{major}"], &["nodejs"]);
pub(super) static NODE_BY_NPM: Language = node(&["nodejs-{major}", "npm"], &["nodejs", "npm"]);

const fn node(wolfi: &'static [&'static str], debian: &'static [&'static str]) -> Language {
    Language {
        version_files: &[".nvmrc", ".node-version"],
        version_tools: &["nodejs", "node"],
        images: Images {
            official: Pair::both("node:{v}-{suite}").user("node"),
            wolfi: Pair::wolfi(&["nodejs-{major}", "npm"], wolfi),
            debian: Pair::debian(&["nodejs", "npm"], debian),
        },
        packaged: Some(Packaged {
            language: "Node.js",
            wolfi: Kept::Each(&[(24, 0), (26, 0)]),
            debian: (18, 0),
        }),
        ..NOTHING
    }
}

/// Bun; `{stage}` is the end of the tag of the image that builds.
pub(super) static BUN: Language = Language {
    images: Images { official: WITH_BUN, wolfi: BUN_FOR_ALL, debian: BUN_FOR_ALL },
    ..NOTHING
};

const WITH_BUN: Pair =
    Pair::of(stage("oven/bun:{v}{stage}", &[]), stage("oven/bun:{v}-slim", &[])).user("bun");
const BUN_FOR_ALL: Pair = WITH_BUN.why(Fixed::NoBun);

/// What only projects of Meteor have; it names the release.
pub(super) const METEOR: &str = ".meteor/release";

/// Majors that the official images have.
const MAJORS: &[u32] =
    &[4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26];

/// What projects get that pin nothing: the long-term release that most packages are tested with.
pub(super) const DEFAULT: u32 = 24;
/// The newest there is.
const NEWEST: u32 = 26;

/// Names of long-term releases (github.com/nodejs/Release): of 4, 6, 8 and so on.
const CODENAMES: &[&str] = &[
    "argon", "boron", "carbon", "dubnium", "erbium", "fermium", "gallium", "hydrogen", "iron",
    "jod", "krypton",
];

/// The end of the official image's tag for a major.
///
/// From 12 on it is the newest Debian their last release was built for (github.com/nodejs/docker-node); older ones are on
/// Debian releases that are gone, where the tag without a suite is the surest.
fn suite(major: u32) -> &'static str {
    match major {
        4 | 6 | 9 | 11 => "slim",
        8 | 10 | 13 | 15 => "buster-slim",
        12 | 14 | 17 | 19 => "bullseye-slim",
        _ => "bookworm-slim",
    }
}

/// Names the images and packages of a major.
pub(super) fn set(facts: &mut Facts, major: u32) {
    facts.set("v", major);
    facts.set("suite", suite(major));
}

/// The major to build and run with, and why.
///
/// `engines` says what the project runs on, so it decides; what is pinned chooses within it: in the manifest of the package,
/// by files of version managers in its folder and those above, in the manifest of its workspace.
pub(super) fn decide(package: &Package<'_>, root: &Package<'_>) -> (u32, Decision) {
    let decision = |major: u32, rule: Rule, places: Vec<Evidence>| {
        Decision::new(What::Version, major.to_string(), rule, places)
    };
    if let Some(pin) = pins::stated(package.at.project, package.at.dir)
        && let Some(major) = major(&pin.version)
    {
        let rule = Fixed::VersionInSettings.into();
        return (major, decision(major, rule, vec![pin.evidence]));
    }
    let both = [Some(package), Some(root).filter(|root| root.at.dir != package.at.dir)];
    let both = || both.into_iter().flatten();
    let engines = both().find_map(engines).or_else(|| rush(root));
    let engines = engines.and_then(|pin| Some((Range::parse(&pin.version)?, pin)));
    let allows = |major: u32| engines.as_ref().is_none_or(|(range, _)| allows(range, major));
    let (mut chosen, mut lost) = (None, Vec::new());
    let stated = pins(package).into_iter().chain(package.at.managed(&NODE));
    let shared = both().skip(1).flat_map(pins);
    for pin in stated.chain(shared) {
        match (major(&pin.version), &chosen) {
            (Some(major), None) if allows(major) => chosen = Some((major, pin)),
            (_, None) if engines.is_some() => lost.push((pin, Fixed::RangeForbids)),
            (Some(other), Some((major, _))) if engines.is_none() && other != *major => {
                lost.push((pin, Fixed::OtherPinFirst));
            }
            _ => {}
        }
    }
    let suited = suited(package).filter(|(major, _)| allows(*major));
    let (major, rule, places) = match (chosen, engines, suited) {
        (Some((major, pin)), None, _) => (major, Rule::Named(pin.rule), vec![pin.evidence]),
        (Some((major, pin)), Some((_, by)), _) => {
            let rule = Rule::Within(pin.rule, by.rule, by.version);
            (major, rule, vec![pin.evidence, by.evidence])
        }
        (None, Some((range, by)), suited) => {
            let major = suited.map_or_else(|| best(&range), |(major, _)| major);
            (major, Rule::Range(by.rule, by.version), vec![by.evidence])
        }
        (None, None, Some((major, name))) => {
            (major, Rule::BuildsWith(name), vec![package.place(name)])
        }
        (None, None, None) => (DEFAULT, Fixed::NothingPins.into(), Vec::new()),
    };
    let with_lost =
        |all: Decision, (pin, why): (Pin, Fixed)| all.not(pin.version, Some(pin.evidence), why);
    (major, lost.into_iter().fold(decision(major, rule, places), with_lost))
}

fn allows(range: &Range, major: u32) -> bool {
    range.allows(Version { major, minor: None, patch: None })
}

/// The default if the range allows it, else the highest long-term release in it, else the highest, else the lowest named.
fn best(range: &Range) -> u32 {
    let known = || MAJORS.iter().rev().copied().filter(|major| allows(range, *major));
    let default = Some(DEFAULT).filter(|major| allows(range, *major));
    let named = range.lowest_major().filter(|major| *major > 0);
    let found = default.or_else(|| known().find(|major| major % 2 == 0));
    found.or_else(|| known().next()).or(named).unwrap_or(DEFAULT)
}

fn engines(package: &Package<'_>) -> Option<Pin> {
    pin(package, package.json.at(&["engines", "node"])?, "engines.node")
}

fn pin(package: &Package<'_>, value: &Value, rule: &str) -> Option<Pin> {
    Some(Pin::new(value.text()?, rule, package.path(), value.line))
}

/// Rush refuses to run on any other version.
fn rush(root: &Package<'_>) -> Option<Pin> {
    let json = root.at.json(RUSH)?;
    let range = json.get("nodeSupportedVersionRange")?;
    Some(Pin::new(range.text()?, "nodeSupportedVersionRange", root.at.path(RUSH), range.line))
}

/// What a manifest pins, and Meteor.
fn pins(package: &Package<'_>) -> Vec<Pin> {
    let volta = package.json.at(&["volta", "node"]);
    let volta = volta.and_then(|node| pin(package, node, "volta.node"));
    let runtimes = package.json.at(&["devEngines", "runtime"]).into_iter();
    let runtimes = runtimes.flat_map(|r| std::iter::once(r).chain(r.items()));
    let runtimes = runtimes.filter(|runtime| runtime.str_at(&["name"]) == Some("node"));
    let runtimes = runtimes.filter_map(|runtime| runtime.get("version"));
    let runtimes = runtimes.filter_map(|version| pin(package, version, "devEngines.runtime"));
    meteor(package.at).into_iter().chain(volta).chain(runtimes).collect()
}

/// Each release of Meteor runs on the Node.js it was made with (docs.meteor.com, changelog).
fn meteor(at: Folder<'_>) -> Option<Pin> {
    let text = at.read(METEOR)?;
    let release = Version::parse(text.text.trim().strip_prefix("METEOR@")?)?;
    let node = match (release.major, release.minor.unwrap_or(0)) {
        (3.., 1..) | (4.., _) => "22",
        (3, 0) => "20",
        (2, 3..) => "14",
        (2, _) | (1, 9..) => "12",
        _ => "8",
    };
    Some(Pin::new(node, METEOR, at.path(METEOR), 1))
}

/// The major that a pin stands for: a version, a range, or a name such as `lts/hydrogen`.
fn major(pin: &str) -> Option<u32> {
    let pin = pin.trim().trim_matches(['"', '\'']).to_lowercase();
    let pin = pin.strip_prefix("node@").or_else(|| pin.strip_prefix("node-")).unwrap_or(&pin);
    match pin {
        "node" | "latest" | "current" | "stable" | "*" => return Some(NEWEST),
        "lts" | "lts/*" | "--lts" => return Some(DEFAULT),
        _ => {}
    }
    let codename = |name: &str| (4..).step_by(2).zip(CODENAMES).find(|(_, known)| **known == name);
    let codename = |name| codename(name).map(|(major, _)| major);
    if let Some(name) = pin.strip_prefix("lts/").or_else(|| pin.strip_prefix("lts-")) {
        if let Some(back) = name.strip_prefix('-').and_then(|n| n.parse::<u32>().ok()) {
            return DEFAULT.checked_sub(back.checked_mul(2)?).filter(|major| *major >= 4);
        }
        return codename(name);
    }
    let number = || Version::parse(pin).map(|version| version.major).filter(|major| *major > 0);
    let by_range = || Range::parse(pin).map(|range| best(&range));
    codename(pin).or_else(number).or_else(by_range)
}

/// The newest major that an old tool still builds with: (package, its major below, Node.js), the rows of a package together.
///
/// webpack 4 hashes with MD4, which OpenSSL 3 of Node.js 17 refuses; Angular's and node-sass's own tables say the rest.
const SUITED: &[(&str, u32, u32)] = &[
    ("node-sass", 5, 14),
    ("node-sass", 7, 16),
    ("node-sass", 9, 18),
    ("@angular/core", 9, 12),
    ("@angular/core", 13, 14),
    ("@angular/core", 15, 16),
    ("@angular/core", 17, 18),
    ("@angular/core", 18, 20),
    ("@angular/core", 20, 22),
    ("react-scripts", 5, 16),
    ("@vue/cli-service", 5, 16),
    ("next", 11, 16),
    ("nuxt", 3, 16),
    ("gatsby", 3, 16),
    ("gatsby", 5, 18),
    ("webpack", 5, 16),
    ("gulp", 4, 10),
];

fn suited(package: &Package<'_>) -> Option<(u32, &'static str)> {
    // `^0.0.0` and `latest` say nothing.
    let fits = |name: &str, below: u32| package.major(name).is_some_and(|m| m > 0 && m < below);
    // The first row of a package that fits is its own; of several packages the oldest Node.js counts.
    let all = SUITED.iter().filter(|(name, below, _)| fits(name, *below));
    let mut rows: Vec<_> = all.map(|(name, _, node)| (*node, *name)).collect();
    rows.dedup_by_key(|(_, name)| *name);
    rows.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_of_every_form_stand_for_a_major() {
        let check = |pin: &str, expected: Option<u32>| assert_eq!(major(pin), expected, "{pin}");
        check("v18.19.0", Some(18));
        check("20", Some(20));
        check("lts/*", Some(DEFAULT));
        check("lts/-1", Some(22));
        check("lts/hydrogen", Some(18));
        check("Iron", Some(20));
        check("node", Some(NEWEST));
        check("^16.13.0", Some(16));
        check(">=14", Some(DEFAULT));
        check("18.x", Some(18));
        check("system", None);
        check("lts/-99", None);
    }

    #[test]
    fn ranges_resolve_to_the_default_or_the_nearest_long_term_release() {
        let check = |range: &str, expected: u32| {
            assert_eq!(best(&Range::parse(range).unwrap()), expected, "{range}");
        };
        check(">=18", DEFAULT);
        check(">=16 <20", 18);
        check("19.x", 19);
        check("<=16", 16);
        check("^28.0.0", 28);
        check(">=12 <13 || 14.x", 14);
    }

    #[test]
    fn what_is_pinned_above_counts_unless_the_package_pins_one() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(".tool-versions", "python 3.12\nnodejs 20.11.0\n");
        write("a/package.json", "{}");
        write("b/package.json", r#"{"volta": {"node": "22.1.0"}}"#);
        write("c/package.json", r#"{"engines": {"node": ">=22"}}"#);
        let tree = crate::detect::Tree::walk(dir.path(), &[]).unwrap();
        let settings = crate::detect::settings::Settings::default();
        let project = Project { tree: &tree, bases: Family::Official, settings: &settings };
        let check = |dir, major: u32, rule: &str| {
            let package = Package::load(&project, dir).unwrap();
            let (found, decision) = decide(&package, &package);
            assert_eq!((found, decision.rule.to_string().as_str()), (major, rule));
        };
        check("a", 20, ".tool-versions");
        check("b", 22, "volta.node");
        check("c", 24, "engines.node `>=22`");
    }

    #[test]
    fn tags_are_of_a_suite_that_the_major_was_built_for() {
        assert_eq!(suite(22), "bookworm-slim");
        assert_eq!(suite(14), "bullseye-slim");
        assert_eq!(suite(28), "bookworm-slim");
    }
}
