//! Which Ruby a project gets, and its images.

use super::gemfile::Gems;
use crate::detect::{prelude::*, versions::gem::Requirement};

/// Ruby. The full image has compilers and headers. An exact version that is older than [`PATCHES`] has tags without the name
/// of a Debian for sure, so `{on}` is empty then.
pub(super) static RUBY: Language = Language {
    id: "ruby",
    tool: "none",
    version_files: &[".ruby-version"],
    version_tools: &["ruby"],
    sources: &["rb", "ru"],
    listens: &["port", "Port", "TCPServer", "bind"],
    images: Images {
        official: Pair::of(stage("ruby:{v}{on}", &[]), stage("ruby:{v}-slim{on}", &[])),
        wolfi: Pair::wolfi(
            &["ruby-{v}", "ruby-{v}-dev", "ruby{v}-bundler", "build-base", "git"],
            &["ruby-{v}", "ruby{v}-bundler"],
        ),
        debian: Pair::debian(
            &["bundler", "build-essential", "git", "libyaml-dev", "ruby", "ruby-dev"],
            &["bundler", "ca-certificates", "ruby"],
        ),
    },
    // github.com/docker-library/ruby
    suites: &[
        ("stretch", &[(2, 3)]),
        ("buster", &[(2, 4), (2, 5)]),
        ("bullseye", &[(2, 6), (2, 7), (3, 0)]),
        ("bookworm", &[(3, 1), (3, 2), (3, 3), (3, 4), (4, 0)]),
    ],
    packaged: Some(Packaged { language: "Ruby", wolfi: OF_WOLFI, debian: (3, 1) }),
    ..NOTHING
};

/// Rubies that Wolfi keeps.
pub(in crate::detect::ecosystems) const OF_WOLFI: Kept =
    Kept::Each(&[(3, 2), (3, 3), (3, 4), (4, 0)]);

const DEFAULT: Version = Version::of(3, 4);

/// The newest Ruby of versions of Rails.
const RAILS: &[Limit] =
    &[("5.0", 2, 3), ("5.2", 2, 5), ("6.1", 2, 7), ("7.0", 3, 0), ("7.1", 3, 2), ("7.2", 3, 3)];

/// The version, exact where Bundler insists on it: a `ruby` of the `Gemfile` with three numbers.
pub(super) fn version(at: Folder<'_>, gems: &Gems) -> (Version, Decision) {
    let minor = |text: &str| exact(text).map(Version::major_minor);
    let of_image = |text: &str| {
        let version = exact(text)?;
        Some(if has_suite(version) { version } else { version.major_minor() })
    };
    let managed = || at.managed(&RUBY).into_iter().find_map(|pin| pin.found(of_image));
    let locked = || {
        let (text, line) = gems.locked_ruby.as_ref()?;
        Pin::new(text, "RUBY VERSION", gems.lock.as_deref()?, *line).found(minor)
    };
    let required = || {
        let (text, line) = gems.ruby.as_ref()?;
        let pin = Pin::new(text, "ruby in the Gemfile", &gems.path, *line);
        pin.found(exact).or_else(|| {
            let range = Requirement::parse(text)?;
            let wished = locked().or_else(managed).filter(|(version, ..)| range.allows(*version));
            let top = suited(gems).map(|(version, ..)| version);
            let version = wished.map_or_else(|| best(&range, top), |(version, ..)| version);
            let rule = Rule::Named(format!("ruby `{text}` in the Gemfile"));
            Some((version, rule, Evidence::line(&gems.path, Some(*line))))
        })
    };
    let of_file = || {
        let file = gems.ruby_file.as_ref()?;
        let path = resolve(at.dir, file)?;
        let version = at.project.tree.read(&path)?.text.split_whitespace().find_map(exact)?;
        let rule = Rule::Named(format!("ruby file: {file:?} in the Gemfile"));
        Some((version, rule, Evidence::line(path, Some(1))))
    };
    let stated = pins::stated(at.project, at.dir).and_then(|pin| pin.found(exact));
    let found = stated.or_else(required).or_else(of_file).or_else(managed).or_else(locked);
    let strange =
        || Some(at.managed(&RUBY).into_iter().next()?.not_understood(DEFAULT, "version of Ruby"));
    let hinted = || at.hinted(&["ruby"]).into_iter().find_map(|pin| pin.found(minor));
    let top = suited(gems).map(|(version, ..)| version);
    let hinted = || hinted().filter(|(version, ..)| top.is_none_or(|top| *version <= top));
    let other = found.or_else(|| hinted().filter(|_| strange().is_none()));
    pins::decided(other.or_else(|| suited(gems)).or_else(strange), DEFAULT)
}

/// The first releases with images that name their Debian 12.
const PATCHES: &[(u32, u32, u32)] =
    &[(3, 0, 6), (3, 1, 4), (3, 2, 2), (3, 3, 0), (3, 4, 0), (4, 0, 0)];

/// Whether the images of a version name the Debian of the table.
pub(super) fn has_suite(version: Version) -> bool {
    let (major, minor, patch) = version.triple();
    let fits = |first: &&(u32, u32, u32)| (first.0, first.1) == (major, minor) && patch >= first.2;
    version.patch.is_none() || PATCHES.iter().any(|first| fits(&first))
}

/// `3.2.2`, `ruby-3.2`; no range and no other implementation.
fn exact(text: &str) -> Option<Version> {
    let text = text.trim().trim_start_matches("ruby-").trim_start_matches('=').trim();
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'p' | '-'));
    let version = Version::parse(text)
        .filter(|_| is_plain && text.starts_with(|c: char| c.is_ascii_digit()))?;
    match version.minor {
        Some(_) => Some(version),
        None if version.major == DEFAULT.major => Some(DEFAULT),
        None => Some(Version::of(version.major, 0)),
    }
}

fn best(range: &Requirement, suited: Option<Version>) -> Version {
    let found = RUBY.best(suited.unwrap_or(DEFAULT), |version| range.allows(version));
    found.or_else(|| range.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

fn suited(gems: &Gems) -> Option<Found> {
    let version = newest_for(RAILS, gems.version("rails")?)?;
    Some((version, Rule::NewestFor("rails"), gems.place("rails")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_requirements() {
        let check = |text: &str, want: &str| {
            assert_eq!(exact(text).map(|v| v.to_string()).unwrap_or_default(), want, "{text}");
        };
        check("3.2.2", "3.2.2");
        check("ruby-3.1", "3.1");
        check("3", "3.4");
        check("2.7.8p225", "2.7.8");
        check("~> 3.2", "");
        check("jruby-9.4", "");
    }

    #[test]
    fn a_requirement_gives_the_default_or_the_nearest_before_it() {
        let check = |text: &str, want: &str| {
            assert_eq!(best(&Requirement::parse(text).unwrap(), None).to_string(), want, "{text}");
        };
        check(">= 3.0", "3.4");
        check("~> 3.2.0", "3.2");
        check("< 3.2", "3.1");
        check(">= 4.0", "4.0");
        check("~> 4.7.0", "4.7");
    }
}
