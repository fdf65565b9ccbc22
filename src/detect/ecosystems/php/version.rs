//! Which PHP a project gets, and its images.

use super::composer::Composer;
use crate::detect::{prelude::*, versions::composer::Constraint};

/// PHP: with Apache where the images bring it.
pub(super) static PHP: Language = Language {
    id: "php",
    tool: "none",
    version_files: &[".php-version"],
    version_tools: &["php"],
    sources: &["php", "inc"],
    listens: &["SocketServer(", "listen(", "Worker("],
    home: "/var/www/html",
    images: Images {
        official: Pair::both("php:{v}-{kind}-{suite}").user("www-data").brings(&[APACHE, TOOLS]),
        wolfi: Pair::wolfi(
            &[
                "php-{v}", "php-{v}-ctype", "php-{v}-curl", "php-{v}-dom", "php-{v}-fileinfo",
                "php-{v}-iconv", "php-{v}-mbstring", "php-{v}-openssl", "php-{v}-pdo",
                "php-{v}-phar", "php-{v}-xml", "composer", "git", "unzip",
            ],
            &[
                "php-{v}", "php-{v}-ctype", "php-{v}-curl", "php-{v}-dom", "php-{v}-fileinfo",
                "php-{v}-iconv", "php-{v}-mbstring", "php-{v}-openssl", "php-{v}-pdo",
                "php-{v}-phar", "php-{v}-xml",
            ],
        ),
        debian: Pair::debian(
            &[
                "composer", "git", "php-cli", "unzip", "php-curl", "php-mbstring", "php-xml",
                "php-sqlite3", "php-zip",
            ],
            &[
                "ca-certificates", "php-cli", "php-curl", "php-mbstring", "php-xml", "php-sqlite3",
                "php-zip",
            ],
        )
        .user("www-data"),
    },
    // github.com/docker-library/php
    suites: &[
        ("stretch", &[(5, 6), (7, 0)]),
        ("buster", &[(7, 1), (7, 2)]),
        ("bullseye", &[(7, 3), (7, 4), (8, 0)]),
        ("bookworm", &[(8, 1), (8, 2), (8, 3), (8, 4), (8, 5)]),
    ],
    packaged: Some(Packaged { language: "PHP", wolfi: ((8, 2), (8, 5)), debian: (8, 2) }),
    ..NOTHING
};

/// Images that bring Apache, with its settings where Debian has them.
pub(super) const APACHE: &str = "apache2";
/// Images that bring tools to compile extensions, and neither extensions nor Composer as packages.
pub(super) const TOOLS: &str = "docker-php-ext-install";

const DEFAULT: Version = Version::of(8, 4);

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

/// The version and why: what is pinned, else what the project, its framework and its locked packages allow.
pub(super) fn version(at: Folder<'_>, composer: Option<&Composer<'_>>) -> (Version, Decision) {
    let decided = |version: Version, rule: Rule, place: Evidence| {
        (version, Decision::new(What::Version, version.to_string(), rule, [place]))
    };
    let pinned = |pin: Pin| {
        let version = minor(&pin.version)?;
        Some((version, Rule::Named(pin.rule), pin.evidence))
    };
    if let Some((version, rule, place)) = pins::stated(at.project, at.dir).and_then(pinned) {
        return decided(version, rule, place);
    }
    let managed = at.managed(&PHP).into_iter().find_map(pinned);
    let required = composer.and_then(|c| c.require("php").or_else(|| c.require("php-64bit")));
    let (Some(composer), Some(required)) = (composer, required) else {
        let platform = || composer.and_then(platform);
        let suited = || {
            let (version, place) = suited(composer?)?;
            Some((version, Rule::NewestFor(FRAMEWORK), place))
        };
        return match platform().or(managed).or_else(suited) {
            Some((version, rule, place)) => decided(version, rule, place),
            None => {
                let default = DEFAULT.to_string();
                (DEFAULT, Decision::new(What::Version, default, Fixed::NothingPins, []))
            }
        };
    };
    if let Some((version, rule, place)) = platform(composer) {
        return decided(version, rule, place);
    }
    let text = required.as_str().unwrap_or_default();
    let place = composer.place(Some(required));
    let Some(constraint) = Constraint::parse(text) else {
        return decided(DEFAULT, Rule::NotUnderstood(text.to_owned(), "constraint"), place);
    };
    let range = || Rule::Range(REQUIRE.to_owned(), text.to_owned());
    if let Some((version, rule, place)) =
        managed.filter(|(version, ..)| constraint.allows(*version))
    {
        let rule = Rule::Within(rule.to_string(), REQUIRE.to_owned(), text.to_owned());
        return decided(version, rule, place);
    }
    // All locked packages have to run on it, too.
    let locked: Vec<Constraint> = composer
        .locked()
        .iter()
        .filter_map(|package| Constraint::parse(package.str_at(&["require", "php"])?))
        .collect();
    let newest = best(&constraint, &locked);
    match suited(composer).filter(|(v, _)| *v < newest && constraint.allows(*v)) {
        Some((version, place)) => decided(version, range().and(Rule::NewestFor(FRAMEWORK)), place),
        None if newest == best(&constraint, &[]) => decided(newest, range(), place),
        None => {
            let lock = Rule::WhatAllows(composer.at.path("composer.lock"));
            decided(newest, range().and(lock), place)
        }
    }
}

const REQUIRE: &str = "require.php";
const FRAMEWORK: &str = "the framework";

fn minor(text: &str) -> Option<Version> {
    Version::parse(text).filter(|version| version.minor.is_some()).map(Version::major_minor)
}

/// `config.platform.php`, which often is the oldest that is supported: Debian's archive has no packages for so old an
/// image any more.
fn platform(composer: &Composer<'_>) -> Option<(Version, Rule, Evidence)> {
    let value = composer.json.at(&["config", "platform", "php"])?;
    let version = minor(value.as_str()?)?;
    let is_kept = !["stretch", "buster"].contains(&PHP.suite(version));
    let is_taken = is_kept || composer.require("php").is_none();
    is_taken.then(|| {
        let rule = Rule::Named("config.platform.php".to_owned());
        (version, rule, composer.place(Some(value)))
    })
}

/// The default if it is allowed, else the nearest before it, else the oldest after it.
fn best(constraint: &Constraint, locked: &[Constraint]) -> Version {
    let fits = |version| constraint.allows(version) && locked.iter().all(|one| one.allows(version));
    let found = PHP.best(DEFAULT, fits);
    let found = found.or_else(|| PHP.best(DEFAULT, |version| constraint.allows(version)));
    found.or_else(|| constraint.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

/// The newest PHP that the framework's version runs on, where that is not told by what it requires.
fn suited(composer: &Composer<'_>) -> Option<(Version, Evidence)> {
    let (name, required, limits) = LIMITS.iter().find_map(|(names, limits)| {
        names.iter().find_map(|name| Some((*name, composer.require(name)?, limits)))
    })?;
    let locked = composer.locked().iter().find(|package| package.str_at(&["name"]) == Some(name));
    let locked = locked.and_then(|package| Version::parse(package.str_at(&["version"])?));
    let version = locked.or_else(|| Constraint::parse(required.as_str()?)?.lowest())?.triple();
    let (_, newest) = limits.iter().find(|((major, minor), _)| version < (*major, *minor, 0))?;
    let newest = Version::of(newest.0, newest.1);
    (newest < DEFAULT).then(|| (newest, composer.place(Some(required))))
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
