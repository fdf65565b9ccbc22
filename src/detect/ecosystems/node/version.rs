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
    version_files: &[".bun-version"],
    version_tools: &["bun"],
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
/// What another tool's file may ask for at least: older ones are mostly files that nobody uses any more.
const HINTED_LEAST: u32 = 18;
/// The newest there is.
const NEWEST: u32 = 26;

/// Names of long-term releases (github.com/nodejs/Release): of 4, 6, 8 and so on.
const CODENAMES: &[&str] = &[
    "argon", "boron", "carbon", "dubnium", "erbium", "fermium", "gallium", "hydrogen", "iron",
    "jod", "krypton",
];

/// The end of the official image's tag.
///
/// From 12 on it is the newest Debian their last release was built for (github.com/nodejs/docker-node); older ones are on
/// Debian releases that are gone, where the tag without a suite is the surest. So it is for releases before that Debian.
fn suite(version: Version) -> &'static str {
    let (major, minor, patch) = version.triple();
    let first = match (version.patch, major) {
        (None, _) => 0,
        (_, 12) => 23,
        (_, 14) => 18,
        (_, 17 | 19) => 0,
        (_, 18) => 17,
        (_, 20) => 4,
        (_, 16) if patch < 2 => 21,
        (_, 16) => 20,
        _ => 0,
    };
    match major {
        _ if minor < first => "slim",
        4 | 6 | 9 | 11 => "slim",
        8 | 10 | 13 | 15 => "buster-slim",
        12 | 14 | 17 | 19 => "bullseye-slim",
        _ => "bookworm-slim",
    }
}

/// Names the images and packages of a version; packages are of a major.
pub(super) fn set(facts: &mut Facts, version: Version, family: Family) {
    let is_exact = family == Family::Official;
    facts.set("v", if is_exact { version } else { version.major_only() });
    facts.set("suite", suite(version));
}

/// The version to build and run with, and why: a major, or what a pin narrows it down to.
///
/// `engines` says what the project runs on, so it decides; what is pinned chooses within it: in the manifest of the package,
/// by files of version managers in its folder and those above, in the manifest of its workspace.
pub(super) fn decide(package: &Package<'_>, root: &Package<'_>) -> (Version, Decision) {
    let decision = |version: Version, rule: Rule, places: Vec<Evidence>| {
        Decision::new(What::Version, version.to_string(), rule, places)
    };
    if let Some(pin) = pins::stated(package.at.project, package.at.dir)
        && let Some(version) = pinned(&pin.version)
    {
        let rule = Fixed::VersionInSettings.into();
        return (version, decision(version, rule, vec![pin.evidence]));
    }
    let both = [Some(package), Some(root).filter(|root| root.at.dir != package.at.dir)];
    let both = || both.into_iter().flatten();
    let (mut chosen, mut lost) = (None, Vec::new());
    let engines = both().find_map(engines).or_else(|| rush(root));
    let engines = engines.and_then(|pin| match Range::parse(&pin.version) {
        Some(range) => Some((range, pin)),
        None => {
            lost.push((pin, Fixed::NoVersion));
            None
        }
    });
    let allows = |v: Version| engines.as_ref().is_none_or(|(range, _)| range.allows(v));
    let stated = pins(package).into_iter().chain(package.at.managed(&NODE));
    let shared = both().skip(1).flat_map(pins);
    for pin in stated.chain(shared) {
        match (pinned(&pin.version), &chosen) {
            (Some(version), None) if allows(version) => chosen = Some((version, pin)),
            (None, None) => lost.push((pin, Fixed::NoVersion)),
            (_, None) if engines.is_some() => lost.push((pin, Fixed::RangeForbids)),
            (Some(other), Some((version, _))) if engines.is_none() && other != *version => {
                lost.push((pin, Fixed::OtherPinFirst));
            }
            _ => {}
        }
    }
    if chosen.is_none() && lost.is_empty() {
        let fits = |version: &Version| allows(*version) && version.major >= HINTED_LEAST;
        let version = |text: &str| pinned(text).map(Version::major_only).filter(fits);
        let mut hinted = package.at.hinted(&["node"]).into_iter();
        chosen = hinted.find_map(|pin| Some((version(&pin.version)?, pin)));
    }
    let suited = suited(package).map(|(major, name)| (of_major(major), name));
    let suited = suited.filter(|(version, _)| allows(*version));
    let (version, rule, places) = match (chosen, engines, suited) {
        (Some((version, pin)), None, _) => (version, Rule::Named(pin.rule), vec![pin.evidence]),
        (Some((version, pin)), Some((range, by)), _) => {
            let rule = Rule::Within(pin.rule, by.rule, by.version);
            (narrowed(&range, version), rule, vec![pin.evidence, by.evidence])
        }
        (None, Some((range, by)), suited) => {
            let version = suited.map_or_else(|| best(&range), |(v, _)| narrowed(&range, v));
            (version, Rule::Range(by.rule, by.version), vec![by.evidence])
        }
        (None, None, Some((version, name))) => {
            (version, Rule::BuildsWith(name), vec![package.place(name)])
        }
        (None, None, None) => {
            let unknown = lost.first().map(|(pin, _)| pin.version.clone());
            let told = |text| Rule::NotUnderstood(text, "version of Node.js");
            let rule = unknown.map_or_else(|| Fixed::NothingPins.into(), told);
            (of_major(DEFAULT), rule, Vec::new())
        }
    };
    let with_lost =
        |all: Decision, (pin, why): (Pin, Fixed)| all.not(pin.version, Some(pin.evidence), why);
    (version, lost.into_iter().fold(decision(version, rule, places), with_lost))
}

fn of_major(major: u32) -> Version {
    Version { major, minor: None, patch: None }
}

/// A version whose newest release the range allows: the one that is asked for, else the newest of that major in the range.
fn narrowed(range: &Range, version: Version) -> Version {
    let newest = || range.newest().filter(|newest| newest.major == version.major);
    if range.allows_newest(version) { version } else { newest().unwrap_or(version) }
}

/// The default if the range allows its newest release, else the highest long-term release of which it does, else the highest,
/// else the newest that the range names, else the lowest.
fn best(range: &Range) -> Version {
    let all = || MAJORS.iter().rev().copied();
    let fits = |major: &u32| range.allows_newest(of_major(*major));
    let majors = || std::iter::once(DEFAULT).chain(all().filter(|major| major % 2 == 0));
    let found = majors().chain(all()).find(fits).map(of_major);
    let newest = || range.newest().filter(|newest| range.allows(*newest));
    let named = || range.lowest_major().filter(|major| *major > 0).map(of_major);
    found.or_else(newest).or_else(named).unwrap_or_else(|| of_major(DEFAULT))
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

/// The version that a pin stands for: a version, a range, or a name such as `lts/hydrogen`.
fn pinned(pin: &str) -> Option<Version> {
    let pin = pin.trim().trim_matches(['"', '\'']).to_lowercase();
    let pin = pin.strip_prefix("node@").or_else(|| pin.strip_prefix("node-")).unwrap_or(&pin);
    match pin {
        "node" | "latest" | "current" | "stable" | "*" => return Some(of_major(NEWEST)),
        "lts" | "lts/*" | "--lts" => return Some(of_major(DEFAULT)),
        _ => {}
    }
    let codename = |name: &str| (4..).step_by(2).zip(CODENAMES).find(|(_, known)| **known == name);
    let codename = |name| codename(name).map(|(major, _)| of_major(major));
    if let Some(name) = pin.strip_prefix("lts/").or_else(|| pin.strip_prefix("lts-")) {
        if let Some(back) = name.strip_prefix('-').and_then(|n| n.parse::<u32>().ok()) {
            let major = DEFAULT.checked_sub(back.checked_mul(2)?);
            return major.filter(|major| *major >= 4).map(of_major);
        }
        return codename(name);
    }
    let is_one = !pin.contains(['|', ' ']);
    let number = || Version::parse(pin).filter(|version| version.major > 0 && is_one);
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
        let check = |pin: &str, expected: Option<&str>| {
            assert_eq!(pinned(pin).map(|v| v.to_string()).as_deref(), expected, "{pin}")
        };
        check("v18.19.0", Some("18.19.0"));
        check("20", Some("20"));
        check("20.11", Some("20.11"));
        check("lts/*", Some("24"));
        check("lts/-1", Some("22"));
        check("lts/hydrogen", Some("18"));
        check("Iron", Some("20"));
        check("node", Some("26"));
        check("^16.13.0", Some("16"));
        check(">=14", Some("24"));
        check("18.x", Some("18"));
        check("18 || 20", Some("20"));
        check("system", None);
        check("lts/-99", None);
    }

    #[test]
    fn ranges_resolve_to_the_default_or_the_nearest_long_term_release() {
        let check = |range: &str, expected: &str| {
            assert_eq!(best(&Range::parse(range).unwrap()).to_string(), expected, "{range}");
        };
        check(">=18", "24");
        check(">=16 <20", "18");
        check("19.x", "19");
        check("<=16", "16");
        check("^28.0.0", "28");
        check(">=12 <13 || 14.x", "14");
        check("20.11.1", "20.11.1");
        check("~20.11.0", "20.11");
        check(">=18.0.0 <20.10.0", "18");
        check(">=20.5 <=20.11.1", "20.11.1");
        check(">=20 <20.10", "20.9");
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
        let both = r#"{"engines": {"node": "<=20.9.0"}, "volta": {"node": "20"}}"#;
        write("d/package.json", both);
        write("e/package.json", r#"{"engines": {"node": "my own"}}"#);
        write("e/.tool-versions", "nodejs 24\n");
        let tree = crate::detect::Tree::walk(dir.path(), &[]).unwrap();
        let settings = crate::detect::settings::Settings::default();
        let project = Project { tree: &tree, bases: Family::Official, settings: &settings };
        let check = |dir, version: &str, rule: &str| {
            let package = Package::load(&project, dir).unwrap();
            let (found, decision) = decide(&package, &package);
            let rule_of = decision.rule.to_string();
            assert_eq!((found.to_string().as_str(), rule_of.as_str()), (version, rule));
            decision.rejected
        };
        check("a", "20.11.0", ".tool-versions");
        check("b", "22.1.0", "volta.node");
        check("c", "24", "engines.node `>=22`");
        check("d", "20.9.0", "volta.node, within engines.node `<=20.9.0`");
        let lost = check("e", "24", ".tool-versions");
        assert_eq!(lost[0].value, "my own");
    }

    #[test]
    fn tags_are_of_a_suite_that_the_major_was_built_for() {
        let check = |version: &str, expected: &str| {
            assert_eq!(suite(Version::parse(version).unwrap()), expected, "{version}");
        };
        check("22", "bookworm-slim");
        check("14", "bullseye-slim");
        check("28", "bookworm-slim");
        check("22.1.0", "bookworm-slim");
        check("18.12.1", "slim");
        check("18.20.4", "bookworm-slim");
        check("16.20.1", "slim");
    }
}
