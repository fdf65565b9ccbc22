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
                "php-{v}-phar", "php-{v}-posix", "php-{v}-simplexml", "php-{v}-xml",
                "php-{v}-xmlreader", "php-{v}-xmlwriter", "composer", "git", "unzip",
            ],
            &[
                "php-{v}", "php-{v}-ctype", "php-{v}-curl", "php-{v}-dom", "php-{v}-fileinfo",
                "php-{v}-iconv", "php-{v}-mbstring", "php-{v}-openssl", "php-{v}-pdo",
                "php-{v}-phar", "php-{v}-posix", "php-{v}-simplexml", "php-{v}-xml",
                "php-{v}-xmlreader", "php-{v}-xmlwriter",
            ],
        )
        .brings(&[APK]),
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
    packaged: Some(Packaged { language: "PHP", wolfi: OF_WOLFI, debian: (8, 2) }),
    ..NOTHING
};

const OF_WOLFI: Kept = Kept::Each(&[(8, 2), (8, 3), (8, 4), (8, 5)]);

/// Images that bring Apache, with its settings where Debian has them.
pub(super) const APACHE: &str = "apache2";
/// Packages of Wolfi, which are named by the version of PHP.
pub(super) const APK: &str = "php-{v}-*";
/// Images that bring tools to compile extensions, and neither extensions nor Composer as packages.
pub(super) const TOOLS: &str = "docker-php-ext-install";

const DEFAULT: Version = Version::of(8, 4);

/// Packages of frameworks, and the newest PHP of their versions (laravel.com/docs/releases, symfony.com/releases).
const LIMITS: &[(&str, &[Limit])] = &[
    ("laravel/framework", LARAVEL),
    ("laravel/lumen-framework", LARAVEL),
    ("symfony/framework-bundle", SYMFONY),
    ("symfony/symfony", SYMFONY),
];
const LARAVEL: &[Limit] =
    &[("5.5", 7, 1), ("6.0", 7, 4), ("8.0", 8, 0), ("9.0", 8, 1), ("10.0", 8, 2), ("11.0", 8, 3)];
const SYMFONY: &[Limit] = &[("3.4", 7, 1), ("4.4", 7, 4), ("5.4", 8, 1), ("6.0", 8, 3)];

/// The version and why: what is pinned, else what the project, its framework and its locked packages allow.
pub(super) fn version(composer: &Composer<'_>) -> (Version, Decision) {
    let at = composer.at;
    let managed = || at.managed(&PHP).into_iter().find_map(|pin| pin.found(minor));
    let stated = pins::stated(at.project, at.dir).and_then(|pin| pin.found(minor));
    let required = composer.require("php").or_else(|| composer.require("php-64bit"));
    let found = stated.or_else(|| platform(composer)).or_else(|| match required {
        Some(required) => Some(allowed(composer, required, managed())),
        None => managed().or_else(|| {
            let hinted = || at.hinted(&["php"]).into_iter().find_map(|pin| pin.found(minor));
            suited(composer).or_else(hinted)
        }),
    });
    let strange =
        || Some(at.managed(&PHP).into_iter().next()?.not_understood(DEFAULT, "version of PHP"));
    pins::decided(found.or_else(strange), DEFAULT)
}

fn minor(text: &str) -> Option<Version> {
    Version::parse(text).filter(|version| version.minor.is_some()).map(Version::major_minor)
}

/// `config.platform.php`. Often it is the oldest that is supported, and Debian's archive has no packages for so old an
/// image any more.
fn platform(composer: &Composer<'_>) -> Option<Found> {
    let value = composer.get(&["config", "platform", "php"])?;
    let version = minor(value.as_str()?)?;
    let is_kept = !["stretch", "buster"].contains(&PHP.suite(version));
    let rule = Rule::Named("config.platform.php".to_owned());
    let is_taken = is_kept || composer.require("php").is_none();
    is_taken.then(|| (version, rule, composer.place(value)))
}

/// What `require.php` allows: the version that a version manager has, else what all packages run on.
fn allowed(composer: &Composer<'_>, required: &Value, managed: Option<Found>) -> Found {
    let text = required.as_str().unwrap_or_default();
    let (key, text, place) = ("require.php".to_owned(), text.to_owned(), composer.place(required));
    let Some(constraint) = Constraint::parse(&text) else {
        return (DEFAULT, Rule::NotUnderstood(text, "constraint"), place);
    };
    let is_allowed = |(version, ..): &Found| constraint.allows(*version);
    if let Some((version, rule, place)) = managed.filter(is_allowed) {
        return (version, Rule::Within(rule.to_string(), key, text), place);
    }
    let locked = composer.locked().iter();
    let locked = locked.filter_map(|one| Constraint::parse(one.str_at(&["require", "php"])?));
    let newest = best(&constraint, &locked.collect::<Vec<_>>());
    let range = Rule::Range(key, text);
    match suited(composer).filter(is_allowed).filter(|(version, ..)| *version < newest) {
        Some((version, rule, place)) => (version, range.and(rule), place),
        None if newest == best(&constraint, &[]) => (newest, range, place),
        None => (newest, range.and(Rule::WhatAllows(composer.at.path("composer.lock"))), place),
    }
}

/// The default if it is allowed, else the nearest before it, else the oldest after it.
fn best(constraint: &Constraint, locked: &[Constraint]) -> Version {
    let fits = |version| constraint.allows(version) && locked.iter().all(|one| one.allows(version));
    let found = PHP.best(DEFAULT, fits);
    let found = found.or_else(|| PHP.best(DEFAULT, |version| constraint.allows(version)));
    found.or_else(|| constraint.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

/// The newest PHP that the framework's version runs on, where that is not told by what it requires.
fn suited(composer: &Composer<'_>) -> Option<Found> {
    let (name, required, limits) =
        LIMITS.iter().find_map(|(name, limits)| Some((*name, composer.require(name)?, *limits)))?;
    let locked = composer.locked().iter().find(|package| package.str_at(&["name"]) == Some(name));
    let locked = locked.and_then(|package| Version::parse(package.str_at(&["version"])?));
    let version = locked.or_else(|| Constraint::parse(required.as_str()?)?.lowest())?;
    Some((newest_for(limits, version)?, Rule::NewestFor("the framework"), composer.place(required)))
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
