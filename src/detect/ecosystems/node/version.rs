//! Which Node.js: what the project pins, resolved to a major of the official images.

use super::{outcome::METEOR, package::Package, workspace::RUSH};
use crate::detect::{
    Decision, Evidence, Project, join,
    versions::{Version, npm::Range},
};

/// Majors that the official images have, with the end of their tags.
///
/// From 12 on it is the newest Debian their last release was built for (github.com/nodejs/docker-node); older ones are on
/// Debian releases that are gone, where the tag without a suite is the surest.
const IMAGES: &[(u32, &str)] = &[
    (4, "slim"),
    (6, "slim"),
    (8, "buster-slim"),
    (9, "slim"),
    (10, "buster-slim"),
    (11, "slim"),
    (12, "bullseye-slim"),
    (13, "buster-slim"),
    (14, "bullseye-slim"),
    (15, "buster-slim"),
    (16, "bookworm-slim"),
    (17, "bullseye-slim"),
    (18, "bookworm-slim"),
    (19, "bullseye-slim"),
    (20, "bookworm-slim"),
    (21, "bookworm-slim"),
    (22, "bookworm-slim"),
    (23, "bookworm-slim"),
    (24, "bookworm-slim"),
    (25, "bookworm-slim"),
    (26, "bookworm-slim"),
];

/// What projects get that pin nothing: the long-term release that most packages are tested with.
pub(super) const DEFAULT: u32 = 24;
/// The newest there is.
const NEWEST: u32 = 26;

/// Names of long-term releases (github.com/nodejs/Release).
const CODENAMES: &[(&str, u32)] = &[
    ("argon", 4),
    ("boron", 6),
    ("carbon", 8),
    ("dubnium", 10),
    ("erbium", 12),
    ("fermium", 14),
    ("gallium", 16),
    ("hydrogen", 18),
    ("iron", 20),
    ("jod", 22),
    ("krypton", 24),
];

/// The tag of the official image for a major.
pub(super) fn tag(major: u32) -> String {
    let suite = IMAGES.iter().find(|(known, _)| *known == major).map_or("bookworm-slim", |i| i.1);
    format!("node:{major}-{suite}")
}

/// One place that pins a version.
struct Pin {
    rule: &'static str,
    text: String,
    place: Evidence,
}

/// The major to build and run with, and why.
///
/// `engines` says what the project runs on, so it decides; the files of version managers choose within it. Each is looked
/// for in the package's folder, then in that of its workspace.
pub(super) fn decide(project: &Project<'_>, package: &Package, root: &Package) -> (u32, Decision) {
    if let Some(set) = project.settings.service(&package.dir)
        && let Some(major) = set.version.as_deref().and_then(major)
    {
        let place = Evidence::line(crate::detect::settings::FILE, Some(set.line));
        return (
            major,
            Decision::new("version", major.to_string(), "version in peelbox.toml", [place]),
        );
    }
    let dirs = if package.dir == root.dir { vec![package] } else { vec![package, root] };
    let pins: Vec<Pin> = dirs.iter().flat_map(|package| pins(project, package)).collect();
    let engines: Option<Pin> = dirs.iter().find_map(|package| engines(package));
    let engines = engines.or_else(|| rush(project, root));
    let range = engines.as_ref().and_then(|pin| Range::parse(&pin.text));
    let Some((engines, range)) = engines.zip(range) else {
        return without_engines(pins, package);
    };
    let allows = |major: u32| range.allows(Version { major, minor: None, patch: None });
    let mut lost = Vec::new();
    for pin in pins {
        match major(&pin.text) {
            Some(major) if allows(major) => {
                let places = [pin.place, engines.place];
                let rule = format!("{}, within {} `{}`", pin.rule, engines.rule, engines.text);
                let decision = Decision::new("version", major.to_string(), rule, places);
                return (major, with_lost(decision, lost));
            }
            _ => lost.push((pin, "the range of versions does not allow it")),
        }
    }
    let suited = suited(package).map(|(major, _)| major).filter(|major| allows(*major));
    let major = suited.unwrap_or_else(|| best(&range));
    let rule = format!("{} `{}`", engines.rule, engines.text);
    let decision = Decision::new("version", major.to_string(), rule, [engines.place]);
    (major, with_lost(decision, lost))
}

fn with_lost(decision: Decision, lost: Vec<(Pin, &str)>) -> Decision {
    lost.into_iter()
        .fold(decision, |decision, (pin, why)| decision.not(pin.text, Some(pin.place), why))
}

fn without_engines(pins: Vec<Pin>, package: &Package) -> (u32, Decision) {
    let mut found: Option<(u32, Decision)> = None;
    for pin in pins {
        let Some(major) = major(&pin.text) else { continue };
        found = Some(match found {
            None => (major, Decision::new("version", major.to_string(), pin.rule, [pin.place])),
            Some((first, decision)) if first == major => (first, decision),
            Some((first, decision)) => {
                (first, decision.not(pin.text, Some(pin.place), "the other is looked at first"))
            }
        });
    }
    found.unwrap_or_else(|| match suited(package) {
        Some((major, name)) => {
            let rule = format!("the newest that this version of {name} builds with");
            (major, Decision::new("version", major.to_string(), rule, [package.place(name)]))
        }
        None => {
            let decision =
                Decision::new("version", DEFAULT.to_string(), "default, nothing pins one", []);
            (DEFAULT, decision)
        }
    })
}

/// The default if the range allows it, else the highest long-term release in it, else the highest, else the lowest named.
fn best(range: &Range) -> u32 {
    let allows = |major: u32| range.allows(Version { major, minor: None, patch: None });
    if allows(DEFAULT) {
        return DEFAULT;
    }
    let known = || IMAGES.iter().rev().map(|(major, _)| *major).filter(|major| allows(*major));
    let named = range.lowest_major().filter(|major| *major > 0);
    known().find(|major| major % 2 == 0).or_else(|| known().next()).or(named).unwrap_or(DEFAULT)
}

fn engines(package: &Package) -> Option<Pin> {
    let node = package.json().at(&["engines", "node"])?;
    let place = Evidence::line(&package.path, Some(node.line));
    Some(Pin { rule: "engines.node", text: node.text()?, place })
}

/// Rush refuses to run on any other version.
fn rush(project: &Project<'_>, root: &Package) -> Option<Pin> {
    let path = root.join(RUSH);
    let json = project.tree.json(&path)?;
    let range = json.get("nodeSupportedVersionRange")?;
    let place = Evidence::line(&path, Some(range.line));
    Some(Pin { rule: "nodeSupportedVersionRange", text: range.text()?, place })
}

fn pins(project: &Project<'_>, package: &Package) -> Vec<Pin> {
    let tree = project.tree;
    let mut pins: Vec<Pin> = meteor(project, package).into_iter().collect();
    let json = package.json();
    if let Some(node) = json.at(&["volta", "node"]).filter(|node| node.as_str().is_some()) {
        let place = Evidence::line(&package.path, Some(node.line));
        pins.push(Pin { rule: "volta.node", text: node.text().unwrap_or_default(), place });
    }
    for name in [".nvmrc", ".node-version"] {
        let path = join(&package.dir, name);
        let Some(text) = tree.read(&path) else { continue };
        let filled =
            text.lines().map(|(at, line)| (at, line.split('#').next().unwrap_or("").trim()));
        if let Some((at, line)) = filled.into_iter().find(|(_, line)| !line.is_empty()) {
            pins.push(Pin {
                rule: name,
                text: line.to_owned(),
                place: Evidence::line(&path, Some(at)),
            });
        }
    }
    pins.extend(tool_versions(project, &package.dir));
    pins.extend(mise(project, &package.dir));
    let runtimes = json.at(&["devEngines", "runtime"]);
    for runtime in runtimes.into_iter().flat_map(|r| std::iter::once(r).chain(r.items())) {
        if runtime.str_at(&["name"]) == Some("node")
            && let Some(version) = runtime.get("version")
        {
            let place = Evidence::line(&package.path, Some(version.line));
            let text = version.text().unwrap_or_default();
            pins.push(Pin { rule: "devEngines.runtime", text, place });
        }
    }
    pins
}

/// Each release of Meteor runs on the Node.js it was made with (docs.meteor.com, changelog).
fn meteor(project: &Project<'_>, package: &Package) -> Option<Pin> {
    let path = package.join(METEOR);
    let text = project.tree.read(&path)?;
    let release = Version::parse(text.text.trim().strip_prefix("METEOR@")?)?;
    let node = match (release.major, release.minor.unwrap_or(0)) {
        (3.., 1..) | (4.., _) => "22",
        (3, 0) => "20",
        (2, 3..) => "14",
        (2, _) | (1, 9..) => "12",
        _ => "8",
    };
    Some(Pin { rule: METEOR, text: node.to_owned(), place: Evidence::line(path, Some(1)) })
}

fn tool_versions(project: &Project<'_>, dir: &str) -> Option<Pin> {
    let path = join(dir, ".tool-versions");
    let text = project.tree.read(&path)?;
    text.lines().find_map(|(at, line)| {
        let mut words = line.split_whitespace();
        let is_node = words.next().is_some_and(|tool| tool == "nodejs" || tool == "node");
        let version = words.next().filter(|_| is_node)?;
        let place = Evidence::line(&path, Some(at));
        Some(Pin { rule: ".tool-versions", text: version.to_owned(), place })
    })
}

fn mise(project: &Project<'_>, dir: &str) -> Option<Pin> {
    let names = ["mise.toml", ".mise.toml", ".mise/config.toml", ".config/mise.toml"];
    let path = project.tree.first_of(dir, &names)?;
    let toml = project.tree.toml(&path)?;
    let node = toml.at(&["tools", "node"]).or_else(|| toml.at(&["tools", "nodejs"]))?;
    let version = node.get("version").or_else(|| node.items().first()).unwrap_or(node);
    let place = Evidence::line(&path, Some(node.line));
    Some(Pin { rule: "mise.toml", text: version.text()?, place })
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
    if let Some(name) = pin.strip_prefix("lts/").or_else(|| pin.strip_prefix("lts-")) {
        if let Some(back) = name.strip_prefix('-').and_then(|n| n.parse::<u32>().ok()) {
            return DEFAULT.checked_sub(back.checked_mul(2)?).filter(|major| *major >= 4);
        }
        return CODENAMES.iter().find(|(known, _)| *known == name).map(|(_, major)| *major);
    }
    if let Some((_, major)) = CODENAMES.iter().find(|(known, _)| *known == pin) {
        return Some(*major);
    }
    match Version::parse(pin) {
        Some(version) if version.major > 0 => Some(version.major),
        _ => Range::parse(pin).map(|range| best(&range)),
    }
}

/// The newest major that an old tool still builds with: (package, its major below, Node.js).
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

fn suited(package: &Package) -> Option<(u32, &'static str)> {
    let fits = |(name, below, node): &(&'static str, u32, u32)| {
        let major = package.major(name)?;
        // `^0.0.0` and `latest` say nothing.
        (major > 0 && major < *below).then_some((*node, *name))
    };
    // The first row of a package that fits is its own; of several packages the oldest Node.js counts.
    let mut seen = Vec::new();
    let rows = SUITED.iter().filter_map(fits).filter(|(_, name)| {
        let is_new = !seen.contains(name);
        seen.push(*name);
        is_new
    });
    rows.collect::<Vec<_>>().into_iter().min()
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
    fn tags_are_of_a_suite_that_the_major_was_built_for() {
        assert_eq!(tag(22), "node:22-bookworm-slim");
        assert_eq!(tag(14), "node:14-bullseye-slim");
        assert_eq!(tag(28), "node:28-bookworm-slim");
    }
}
