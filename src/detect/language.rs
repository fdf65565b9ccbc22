//! One row for each language: how its version is pinned, what its sources look like, and the images of the three families.

use super::{
    decision::{Decision, Evidence, Rule},
    project::{Family, Project},
    versions::Version,
    why::{Fixed, What},
};
use crate::spec::{Base, DEFAULT_BASE};

/// What all services of a language have in common.
#[derive(Debug)]
pub struct Language {
    /// Id in `metadata.language`.
    pub id: &'static str,
    /// Id of its build system in `metadata.build_system`, where it has one.
    pub tool: &'static str,
    /// Version of a project that pins none.
    pub default: &'static str,
    /// Files that hold a version alone, such as `.go-version`.
    pub version_files: &'static [&'static str],
    /// Names of the tool in the files of asdf and mise.
    pub version_tools: &'static [&'static str],
    /// Extensions of sources.
    pub sources: &'static [&'static str],
    /// Calls in sources that open a port.
    pub listens: &'static [&'static str],
    /// Folders and files that programs read at run time, when their sources name them.
    pub reads: &'static [&'static str],
    /// Folder of the program in the image; empty: `/app`; `/`: there is no program.
    pub home: &'static str,
    /// Manifests of workspaces: the build runs in the outermost folder above a service that has one.
    pub roots: &'static [&'static str],
    /// Where programs take up files when they are compiled, for languages whose image is the program alone.
    pub embeds: Option<Embeds>,
    /// Folders that its tools keep between builds.
    pub cache: &'static [&'static str],
    /// Images of each family of bases.
    pub images: Images,
    /// Versions of its official images by the newest Debian that they are built on, which is `{suite}`.
    pub suites: &'static [Suite],
    /// Versions that Wolfi and Debian have as packages.
    pub packaged: Option<Packaged>,
}

/// Name of a Debian, and the versions (major and minor) whose official images are built on it.
pub type Suite = (&'static str, &'static [(u32, u32)]);

/// A place where a program takes up files from a path that the last argument says yes to: in the workspace (second), in
/// what lies in the folder (third).
pub type Embeds = fn(&Project<'_>, &str, &str, &dyn Fn(&str) -> bool) -> Option<Evidence>;

/// The images of each family.
#[derive(Debug)]
pub struct Images {
    /// Official images of the language.
    pub official: Pair,
    /// Wolfi's base with apk packages.
    pub wolfi: Pair,
    /// Debian with apt packages.
    pub debian: Pair,
}

/// The two stages of one build.
///
/// Names of images and packages may hold variables: `{v}` is the version, `{major}` the major that the family has of it,
/// `{least}` the least version that does (`>=1.24`, empty for the default of the row), others are set by [`super::Facts::set`]; a package whose name becomes empty is left out.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Where it is built.
    pub build: Stage,
    /// What it runs on.
    pub run: Stage,
    /// User of the image; empty: the family's own.
    pub user: &'static str,
    /// Environment of the build that other families' images bring along.
    pub env: &'static [(&'static str, &'static str)],
    /// Why it is not the family's own image.
    pub why: Option<Fixed>,
    /// What the images bring that those of other families may lack; rules ask for it by [`Pair::has`].
    pub brings: &'static [&'static str],
}

/// A base and the packages that are installed on it.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// Reference; `node:22` is short for `docker.io/library/node:22`.
    pub base: &'static str,
    /// Packages.
    pub packages: &'static [&'static str],
}

/// The base of the family Debian.
pub const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";
/// The base of the family Wolfi.
pub const WOLFI: &str = DEFAULT_BASE;
/// A user without rights, by number, for bases that have none of their own.
pub const NOBODY: &str = "1000:1000";
/// The user `nonroot` of Wolfi and of distroless images.
pub const NONROOT: &str = "65532:65532";

/// A stage: base and packages.
pub const fn stage(base: &'static str, packages: &'static [&'static str]) -> Stage {
    Stage { base, packages }
}

impl Pair {
    /// The same base for both stages.
    pub const fn both(base: &'static str) -> Self {
        Self::of(stage(base, &[]), stage(base, &[]))
    }

    /// Both stages.
    pub const fn of(build: Stage, run: Stage) -> Self {
        Self { build, run, user: "", env: &[], why: None, brings: &[] }
    }

    /// Wolfi's base with packages of the build stage and of the image.
    pub const fn wolfi(build: &'static [&'static str], run: &'static [&'static str]) -> Self {
        Self::of(stage(WOLFI, build), stage(WOLFI, run))
    }

    /// Debian with packages of the build stage and of the image.
    pub const fn debian(build: &'static [&'static str], run: &'static [&'static str]) -> Self {
        Self::of(stage(DEBIAN, build), stage(DEBIAN, run))
    }

    /// With a user of the image's own.
    pub const fn user(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    /// With environment of the build that other families' images bring along.
    pub const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    /// With the reason why the family's own image does not do.
    pub const fn why(self, why: Fixed) -> Self {
        Self { why: Some(why), ..self }
    }

    /// With what the images bring that those of other families may lack.
    pub const fn brings(self, brings: &'static [&'static str]) -> Self {
        Self { brings, ..self }
    }

    /// Whether the images bring that.
    pub fn has(&self, name: &str) -> bool {
        self.brings.contains(&name)
    }
}

impl Language {
    /// The Debian that the official image of a version is built on: that of the table, else Debian 12.
    pub fn suite(&self, version: Version) -> &'static str {
        let (major, minor, _) = version.triple();
        let has = |(_, versions): &&Suite| versions.contains(&(major, minor));
        self.suites.iter().find(has).map_or("bookworm", |(suite, _)| suite)
    }

    /// The newest version of the official images that is allowed and not above `top`, else the oldest above.
    pub fn best(&self, top: Version, is_allowed: impl Fn(Version) -> bool) -> Option<Version> {
        let all = self.suites.iter().flat_map(|(_, versions)| *versions);
        let all = all.map(|(major, minor)| Version::of(*major, *minor));
        let mut all: Vec<Version> = all.filter(|version| is_allowed(*version)).collect();
        all.sort();
        all.iter().rev().find(|version| **version <= top).or_else(|| all.first()).copied()
    }
}

impl Images {
    /// The stages of a family.
    pub fn of(&self, family: Family) -> &Pair {
        match family {
            Family::Official => &self.official,
            Family::Wolfi => &self.wolfi,
            Family::Debian => &self.debian,
        }
    }
}

impl Language {
    /// The version of the family's packages that is used for the one that is asked for; the decision when it is another.
    pub fn nearest(&self, family: Family, asked: Version) -> (Version, Option<Decision>) {
        match &self.packaged {
            Some(packaged) => packaged.nearest(family, asked, Version::parse(self.default)),
            None => (asked, None),
        }
    }

    /// The variables that the version of the family's packages gives to their names.
    pub fn versions(&self, used: Version) -> [(&'static str, String); 3] {
        let is_default = Version::parse(self.default) == Some(used);
        let least = if is_default { String::new() } else { format!(">={used}") };
        [("v", used.to_string()), ("major", used.major.to_string()), ("least", least)]
    }
}

/// A row that says nothing, for `..NOTHING`.
pub const NOTHING: Language = Language {
    id: "",
    tool: "none",
    default: "",
    version_files: &[],
    version_tools: &[],
    sources: &[],
    listens: &[],
    reads: &[],
    home: "",
    roots: &[],
    embeds: None,
    cache: &[],
    images: Images {
        official: Pair::debian(&[], &[]),
        wolfi: Pair::wolfi(&[], &[]),
        debian: Pair::debian(&[], &[]),
    },
    suites: &[],
    packaged: None,
};

/// The versions of a language that the families without an image for each have as packages.
#[derive(Clone, Copy, Debug)]
pub struct Packaged {
    /// Name of the language as people write it.
    pub language: &'static str,
    /// Those of Wolfi.
    pub wolfi: Kept,
    /// The one of Debian 12.
    pub debian: (u32, u32),
}

/// The versions of a language that Wolfi keeps; a release that is out of support leaves it within weeks.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    /// A package for each of these, oldest first.
    Each(&'static [(u32, u32)]),
    /// The newest, which builds what was written for older ones: its package is named without a version.
    Newest,
}

impl Packaged {
    /// The version of the family that is used for the one that is asked for, the next that there is, else the newest; the
    /// decision when that is another.
    fn nearest(
        &self,
        family: Family,
        asked: Version,
        default: Option<Version>,
    ) -> (Version, Option<Decision>) {
        let numbers = (asked.major, asked.minor.unwrap_or(0));
        let told = |base: &str, rule| Some(Decision::new(What::Base, base, rule, []));
        let (base, kept) = match (family, self.wolfi) {
            (Family::Official, _) => return (asked, None),
            (Family::Wolfi, Kept::Newest) => {
                let rule = Rule::Newest(self.language, asked.to_string());
                return (asked, told(WOLFI, rule).filter(|_| default != Some(asked)));
            }
            (Family::Wolfi, Kept::Each(kept)) => (WOLFI, kept),
            (Family::Debian, _) => (DEBIAN, &[self.debian][..]),
        };
        let next = kept.iter().find(|version| **version >= numbers).or_else(|| kept.last());
        let (major, minor) = *next.unwrap_or(&numbers);
        let used = Version::of(major, minor);
        if (major, minor) == numbers {
            return (used, None);
        }
        let decision = told(base, Rule::Nearest(self.language, used.to_string()));
        let not = |d: Decision| d.not(asked.to_string(), None, Fixed::NoSuchVersion);
        (used, decision.map(not))
    }
}

/// A version of a framework, and the newest version of its language that all before it run on, as major and minor.
pub type Limit = (&'static str, u32, u32);

/// The newest version of a language that this version of a framework runs on, if that is limited.
pub fn newest_for(limits: &[Limit], framework: Version) -> Option<Version> {
    let is_below = |limit: &str| {
        Version::parse(limit).is_some_and(|limit| framework.triple() < limit.triple())
    };
    let (_, major, minor) = limits.iter().find(|(limit, ..)| is_below(limit))?;
    Some(Version::of(*major, *minor))
}

/// The reference of an image: Docker Hub's own names may be written short.
pub fn reference(name: &str) -> Base {
    let host = name.split('/').next().unwrap_or_default();
    Base::Image(match name.contains('/') {
        true if host.contains(['.', ':']) => name.to_owned(),
        true => format!("docker.io/{name}"),
        false => format!("docker.io/library/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packaged: Packaged, family: Family, asked: &str, used: &str, tells: bool) {
        let row = Language { default: "1.26", packaged: Some(packaged), ..NOTHING };
        let (version, decision) = row.nearest(family, Version::parse(asked).unwrap());
        assert_eq!((version.to_string().as_str(), decision.is_some()), (used, tells), "{asked}");
    }

    #[test]
    fn a_version_that_a_family_lacks_gives_the_next_and_says_so() {
        let wolfi = Kept::Each(&[(3, 2), (3, 3), (4, 0)]);
        let language = Packaged { language: "X", wolfi, debian: (3, 1) };
        check(language, Family::Official, "2.7.1", "2.7.1", false);
        check(language, Family::Wolfi, "3.3.6", "3.3", false);
        check(language, Family::Wolfi, "2.7", "3.2", true);
        check(language, Family::Wolfi, "3.9", "4.0", true);
        check(language, Family::Wolfi, "5.1", "4.0", true);
        check(language, Family::Debian, "3.4", "3.1", true);
        check(language, Family::Debian, "3.1", "3.1", false);
    }

    #[test]
    fn a_language_whose_newest_builds_all_is_asked_for_by_the_least_that_does() {
        let language = Packaged { language: "X", wolfi: Kept::Newest, debian: (1, 19) };
        check(language, Family::Wolfi, "1.22", "1.22", true);
        check(language, Family::Wolfi, "1.26", "1.26", false);
        check(language, Family::Debian, "1.22", "1.19", true);
        let row = Language { default: "1.26", packaged: Some(language), ..NOTHING };
        let least = |minor| row.versions(Version::of(1, minor)).map(|(_, value)| value)[2].clone();
        assert_eq!((least(22).as_str(), least(26).as_str()), (">=1.22", ""));
    }

    #[test]
    fn versions_of_the_table_have_a_suite_and_an_order() {
        let suites: &[Suite] = &[("trixie", &[(8, 1)]), ("bullseye", &[(7, 4), (7, 3)])];
        let language = Language { suites, ..NOTHING };
        let suite = |major, minor| language.suite(Version::of(major, minor));
        assert_eq!((suite(7, 4), suite(8, 0), suite(8, 1)), ("bullseye", "bookworm", "trixie"));
        let best = |allowed: &[u32]| {
            let best = language.best(Version::of(8, 0), |version| allowed.contains(&version.major));
            best.map(|version| version.to_string())
        };
        assert_eq!(best(&[7, 8]).as_deref(), Some("7.4"));
        assert_eq!((best(&[8]).as_deref(), best(&[9])), (Some("8.1"), None));
    }

    #[test]
    fn names_of_docker_hub_may_be_short() {
        let check = |name, full: &str| assert_eq!(reference(name), Base::Image(full.to_owned()));
        check("node:22", "docker.io/library/node:22");
        check("oven/bun:1", "docker.io/oven/bun:1");
        check("ghcr.io/a/b:1", "ghcr.io/a/b:1");
    }
}
