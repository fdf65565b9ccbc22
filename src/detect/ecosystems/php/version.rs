//! Which PHP a project gets.

use super::{Composer, pins};
use crate::detect::{
    Decision, Evidence, Project,
    versions::{Version, composer::Constraint},
};

/// Minors of the official images, with the newest Debian their last release was built for
/// (github.com/docker-library/php).
const IMAGES: &[(u32, u32, &str)] = &[
    (5, 6, "stretch"),
    (7, 0, "stretch"),
    (7, 1, "buster"),
    (7, 2, "buster"),
    (7, 3, "bullseye"),
    (7, 4, "bullseye"),
    (8, 0, "bullseye"),
    (8, 1, "bookworm"),
    (8, 2, "bookworm"),
    (8, 3, "bookworm"),
    (8, 4, "bookworm"),
    (8, 5, "bookworm"),
];

const DEFAULT: Version = Version { major: 8, minor: Some(4), patch: None };

/// Versions as major and minor.
type Minor = (u32, u32);
/// Packages of a framework, and up to which of its versions which PHP is the newest.
type Limits = (&'static [&'static str], &'static [(Minor, Minor)]);

/// Frameworks below a version, and the newest PHP they run on (laravel.com/docs/releases, symfony.com/releases).
const LIMITS: &[Limits] = &[
    (
        &["laravel/framework", "laravel/lumen-framework"],
        &[
            ((5, 5), (7, 1)),
            ((6, 0), (7, 4)),
            ((8, 0), (8, 0)),
            ((9, 0), (8, 1)),
            ((10, 0), (8, 2)),
            ((11, 0), (8, 3)),
        ],
    ),
    (
        &["symfony/framework-bundle", "symfony/symfony"],
        &[((3, 4), (7, 1)), ((4, 4), (7, 4)), ((5, 4), (8, 1)), ((6, 0), (8, 3))],
    ),
];
const SUITED: &str = "the newest that this version of the framework runs on";

/// The version and why: what is pinned, else what the project, its framework and its locked packages allow.
pub(super) fn version(
    project: &Project<'_>,
    dir: &str,
    composer: Option<&Composer>,
) -> (Version, Decision) {
    let decided = |version: Version, rule: String, place: Evidence| {
        (version, Decision::new("version", version.to_string(), rule, [place]))
    };
    let exact =
        |text: &str| Version::parse(text).filter(|v| v.minor.is_some()).map(Version::major_minor);
    if let Some(pin) = pins::stated(project, dir)
        && let Some(version) = exact(&pin.version)
    {
        return decided(version, pin.rule, pin.evidence);
    }
    // Often it is the oldest that is supported, and Debian's archive has no packages for so old an image any more.
    let is_kept = |version: &Version| !["stretch", "buster"].contains(&suite(*version));
    let requires = composer.is_some_and(|c| c.require("php").is_some());
    if let Some(platform) = composer.and_then(|c| c.json.at(&["config", "platform", "php"]))
        && let Some(version) = platform.as_str().and_then(exact)
        && (is_kept(&version) || !requires)
    {
        let path = composer.map_or("", |c| &c.path);
        return decided(
            version,
            "config.platform.php".to_owned(),
            Evidence::line(path, Some(platform.line)),
        );
    }
    let managed =
        pins::pins(project, dir, &[".php-version"], &["php"]).into_iter().find_map(|pin| {
            let version = exact(&pin.version)?;
            Some((version, pin))
        });
    let suited = composer.and_then(suited).filter(|(newest, _)| *newest < DEFAULT);
    let Some((composer, required)) =
        composer.and_then(|c| Some((c, c.require("php").or_else(|| c.require("php-64bit"))?)))
    else {
        return match (managed, suited) {
            (Some((version, pin)), _) => decided(version, pin.rule, pin.evidence),
            (None, Some((version, place))) => decided(version, SUITED.to_owned(), place),
            (None, None) => (
                DEFAULT,
                Decision::new("version", DEFAULT.to_string(), "default, nothing pins one", []),
            ),
        };
    };
    let text = required.as_str().unwrap_or_default();
    let place = Evidence::line(&composer.path, Some(required.line));
    let Some(constraint) = Constraint::parse(text) else {
        return decided(DEFAULT, format!("default, `{text}` is no constraint"), place);
    };
    if let Some((version, pin)) = managed.filter(|(version, _)| constraint.allows(*version)) {
        return decided(
            version,
            format!("{}, within require.php `{text}`", pin.rule),
            pin.evidence,
        );
    }
    // All locked packages have to run on it, too.
    let locked: Vec<Constraint> = composer
        .locked()
        .iter()
        .filter_map(|package| Constraint::parse(package.str_at(&["require", "php"])?))
        .collect();
    let newest = best(&constraint, &locked);
    let mut rule = format!("require.php `{text}`");
    if let Some((version, place)) = suited.filter(|(v, _)| *v < newest && constraint.allows(*v)) {
        return decided(version, format!("{rule} and {SUITED}"), place);
    }
    let version = newest;
    if version != best(&constraint, &[]) {
        rule += &format!(" and what {} allows", composer.lock_path);
    }
    decided(version, rule, place)
}

/// The default if it is allowed, else the nearest before it, else the oldest after it.
fn best(constraint: &Constraint, locked: &[Constraint]) -> Version {
    let all = IMAGES.iter().map(|(major, minor, _)| Version {
        major: *major,
        minor: Some(*minor),
        patch: None,
    });
    let allowed: Vec<Version> = all.filter(|version| constraint.allows(*version)).collect();
    let fits = |version: &&Version| locked.iter().all(|one| one.allows(**version));
    let below = |version: &&Version| **version <= DEFAULT;
    let found = allowed.iter().rev().filter(below).find(fits).or_else(|| allowed.iter().find(fits));
    let found = found.or_else(|| allowed.iter().rev().find(below)).or_else(|| allowed.first());
    found.copied().or_else(|| constraint.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

pub(super) fn suite(version: Version) -> &'static str {
    let known = |(major, minor, _): &&(u32, u32, &str)| {
        *major == version.major && Some(*minor) == version.minor
    };
    IMAGES.iter().find(known).map_or("bookworm", |image| image.2)
}

/// The newest PHP that the framework's version runs on, where that is not told by what it requires.
fn suited(composer: &Composer) -> Option<(Version, Evidence)> {
    let (names, limits) = LIMITS
        .iter()
        .find(|(names, _)| names.iter().any(|name| composer.require(name).is_some()))?;
    let name = names.iter().find(|name| composer.require(name).is_some())?;
    let locked = composer.locked().iter().find(|package| package.str_at(&["name"]) == Some(name));
    let locked = locked.and_then(|package| Version::parse(package.str_at(&["version"])?));
    let required = || Constraint::parse(composer.require(name)?.as_str()?)?.lowest();
    let version = locked.or_else(required)?.triple();
    let (_, newest) = limits.iter().find(|((major, minor), _)| version < (*major, *minor, 0))?;
    let newest = Version { major: newest.0, minor: Some(newest.1), patch: None };
    Some((newest, composer.place(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_gives_the_default_or_the_nearest_before_it() {
        let check = |text: &str, locked: &[&str], want: &str| {
            let locked: Vec<_> =
                locked.iter().map(|text| Constraint::parse(text).unwrap()).collect();
            assert_eq!(
                best(&Constraint::parse(text).unwrap(), &locked).to_string(),
                want,
                "{text}"
            );
        };
        check("^8.1", &[], "8.4");
        check("^7.2.5", &[], "7.4");
        check("^7.3|^8.0", &["~8.0.0 || ~8.1.0"], "8.1");
        check(">=8.5", &[], "8.5");
        check("~8.7.0", &[], "8.7");
        check("^8.1", &["^7.0"], "8.4");
    }
}
