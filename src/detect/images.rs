//! Base images: the families, and how references are written. Which versions there are is each ecosystem's own table.

use crate::{
    detect::{Decision, versions::Version},
    spec::{Base, DEFAULT_BASE},
};

/// Which family of bases is written: `--base official|wolfi|debian`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// The official image of the language, Debian variant.
    #[default]
    Official,
    /// `cgr.dev/chainguard/wolfi-base`, tools as apk packages.
    Wolfi,
    /// `docker.io/library/debian:bookworm-slim`, tools as apt packages.
    Debian,
}

/// A base of the family Debian.
pub const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";
/// A user that may do nothing in particular, by number, for bases that have none of their own.
pub const NOBODY: &str = "1000:1000";
/// `nonroot` of Wolfi.
pub const WOLFI_NONROOT: &str = "65532:65532";

/// An official image of Docker Hub: `official("node:22-bookworm-slim")`.
pub fn official(tag: &str) -> Base {
    Base::Image(format!("docker.io/library/{tag}"))
}

/// Any image by its full name.
pub fn image(reference: &str) -> Base {
    Base::Image(reference.to_owned())
}

/// What both stages start from in a family that has no image for each language; `None` for the official images.
pub fn plain(family: Family) -> Option<Base> {
    match family {
        Family::Official => None,
        Family::Wolfi => Some(image(DEFAULT_BASE)),
        Family::Debian => Some(image(DEBIAN)),
    }
}

/// The user of the image on such a base.
pub fn plain_user(family: Family) -> &'static str {
    match family {
        Family::Wolfi => WOLFI_NONROOT,
        _ => NOBODY,
    }
}

/// The versions of a language that the families without an image for each have as packages.
#[derive(Debug)]
pub struct Packaged {
    /// Its name as people write it.
    pub language: &'static str,
    /// The oldest and the newest of Wolfi, and all between.
    pub wolfi: ((u32, u32), (u32, u32)),
    /// The one of Debian 12.
    pub debian: (u32, u32),
}

impl Packaged {
    /// The version of the family that is used for the one that is asked for; the decision when that is another.
    pub fn nearest(&self, family: Family, asked: Version) -> (Version, Option<Decision>) {
        let (base, (first, last)) = match family {
            Family::Official => return (asked, None),
            Family::Wolfi => (DEFAULT_BASE, self.wolfi),
            Family::Debian => (DEBIAN, (self.debian, self.debian)),
        };
        let used = asked.clamped(first, last);
        if used == asked.major_minor() {
            return (used, None);
        }
        let rule = format!("the nearest {} that this base has: {used}", self.language);
        let why = "no such version there; the build may need `--base official`";
        (used, Some(Decision::new("base", base, rule, []).not(asked.to_string(), None, why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_a_family_lacks_gives_the_nearest_and_says_so() {
        let language = Packaged { language: "X", wolfi: ((3, 2), (4, 0)), debian: (3, 1) };
        let check = |family, asked: &str, used: &str, tells: bool| {
            let asked = Version::parse(asked).unwrap();
            let (version, decision) = language.nearest(family, asked);
            assert_eq!(
                (version.to_string().as_str(), decision.is_some()),
                (used, tells),
                "{asked}"
            );
        };
        check(Family::Official, "2.7.1", "2.7.1", false);
        check(Family::Wolfi, "3.3.6", "3.3", false);
        check(Family::Wolfi, "2.7", "3.2", true);
        check(Family::Debian, "3.4", "3.1", true);
        check(Family::Debian, "3.1", "3.1", false);
    }
}
