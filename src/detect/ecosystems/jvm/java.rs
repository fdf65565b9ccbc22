//! Which Java a project is built with and runs on.

use crate::{
    detect::{
        Decision, Project, Service,
        ecosystems::{
            draft::{base_name, debian, official, wolfi},
            pins::{Pin, pins},
        },
        images::Family,
        model::{join, parent},
    },
    spec::Base,
};

/// What is taken when nothing is pinned.
pub(super) const DEFAULT: u32 = 21;

/// The newest Java that Debian 12 has.
const DEBIAN: u32 = 17;

/// What a project pins, and what its build tool can live with.
pub(super) struct Wanted {
    /// From the build files, the most binding first.
    pub(super) build: Vec<Pin>,
    /// What is taken without a pin, and why.
    pub(super) fallback: (u32, &'static str),
    /// The least that the build tool runs on.
    pub(super) least: u32,
}

/// The major version of Java to use, and the decision about it.
///
/// What a version manager pins is the JDK that developers have; it wins over what the build files compile for, unless it
/// is too old for that.
pub(super) fn version(project: &Project<'_>, dir: &str, wanted: Wanted) -> (u32, Decision) {
    let mut found: Vec<(u32, Pin)> = Vec::new();
    let managers = pins(project, dir, &[".java-version"], &["java"]);
    let all = managers.into_iter().chain(files(project, dir));
    found.extend(all.filter_map(|pin| Some((major(&pin.version)?, pin))));
    let build: Vec<(u32, Pin)> =
        wanted.build.into_iter().filter_map(|pin| Some((major(&pin.version)?, pin))).collect();
    let needed = build.first().map_or(0, |(version, _)| *version).max(wanted.least);
    let first = found.iter().position(|(version, _)| *version >= needed);
    let mut others: Vec<(u32, Pin)>;
    let chosen;
    match first {
        Some(at) => {
            chosen = Some(found.remove(at));
            others = found;
            others.extend(build);
        }
        None => {
            let mut build = build.into_iter();
            chosen = build.next();
            others = found;
            others.extend(build);
        }
    }
    let Some((version, pin)) = chosen else {
        let (version, why) = wanted.fallback;
        let version = offered(version.max(wanted.least));
        return (version, Decision::new("version", version.to_string(), why, []));
    };
    let used = offered(version.max(wanted.least));
    let mut rule = pin.rule.clone();
    if used != version {
        rule.push_str(&format!(
            " asks for {version}; the nearest that there is and that builds it"
        ));
    }
    let mut decision = Decision::new("version", used.to_string(), rule, [pin.evidence]);
    for (other, pin) in others.into_iter().filter(|(other, _)| *other != version) {
        let why = format!("{}: another has the last word", pin.rule);
        decision = decision.not(other.to_string(), Some(pin.evidence), why);
    }
    (used, decision)
}

/// Heroku's `system.properties` and SDKMAN's `.sdkmanrc`.
fn files(project: &Project<'_>, dir: &str) -> Vec<Pin> {
    let mut found = Vec::new();
    let mut at = dir;
    loop {
        for (name, key) in [("system.properties", "java.runtime.version"), (".sdkmanrc", "java")] {
            let path = join(at, name);
            let Some(file) = project.tree.properties(&path) else { continue };
            if let Some((version, line)) = file.get(key) {
                found.push(Pin::new(version, name, path, line));
            }
        }
        if at == "." {
            return found;
        }
        at = parent(at);
    }
}

/// The major version: `17` of `17.0.9-tem`, `1.8`, `temurin-17.0.2`, `VERSION_17`, `JavaVersion.VERSION_1_8`, `openjdk-17`.
pub(super) fn major(text: &str) -> Option<u32> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = text[start..].split(|c: char| !c.is_ascii_digit());
    let first: u32 = numbers.next()?.parse().ok()?;
    match first {
        1 => numbers.next()?.parse().ok(),
        first => Some(first),
    }
    .filter(|version| (5..100).contains(version))
}

/// The version of the images that is used for one: Temurin has 8, 11, 17 and all from 21 on; others compile for older ones.
pub(super) fn offered(version: u32) -> u32 {
    match version {
        0..=8 => 8,
        9..=11 => 11,
        12..=17 => 17,
        18..=21 => 21,
        newer => newer,
    }
}

/// A JDK, without a build tool.
pub(super) fn jdk(project: &Project<'_>, service: &mut Service, version: u32) -> Base {
    match project.bases {
        Family::Official => official(&format!("eclipse-temurin:{version}-jdk")),
        Family::Wolfi => {
            service.spec.build.packages.push(format!("openjdk-{version}-default-jdk"));
            wolfi()
        }
        Family::Debian => {
            service.spec.build.packages.push(format!("openjdk-{DEBIAN}-jdk-headless"));
            debian()
        }
    }
}

/// Sets what it runs on, and notes what the family has not.
pub(super) fn runtime(project: &Project<'_>, service: &mut Service, version: u32) {
    service.spec.runtime.base = match project.bases {
        Family::Official => official(&format!("eclipse-temurin:{version}-jre")),
        Family::Wolfi => {
            service.spec.runtime.packages.push(format!("openjdk-{version}-default-jvm"));
            wolfi()
        }
        Family::Debian => {
            service.spec.runtime.packages.push(format!("openjdk-{DEBIAN}-jre-headless"));
            if version != DEBIAN {
                let decision =
                    Decision::new("version", DEBIAN.to_string(), "all that Debian 12 has", []);
                let why = "Debian 12 has Java 17 alone; the build may need `--base official`";
                service.decisions.push(decision.not(version.to_string(), None, why));
            }
            debian()
        }
    };
    let base = base_name(&service.spec.runtime.base).to_owned();
    service.decide("base", base, "a runtime without compiler", []);
    service.spec.runtime.user = Some("1000:1000".to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_all_spellings() {
        let check = |text: &str, want| assert_eq!(major(text), want, "{text}");
        check("17", Some(17));
        check("1.8", Some(8));
        check("JavaVersion.VERSION_1_8", Some(8));
        check("JavaVersion.VERSION_21", Some(21));
        check("temurin-17.0.2+8", Some(17));
        check("21.0.1-tem", Some(21));
        check("17.ea", Some(17));
        check("${java.version}", None);
        check("99999999999", None);
    }

    #[test]
    fn a_version_without_image_takes_the_next_that_has_one() {
        assert_eq!([6, 8, 10, 16, 18, 22, 25].map(offered), [8, 8, 11, 17, 21, 22, 25]);
    }
}
