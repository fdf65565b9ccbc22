//! Ranges as npm resolves them: <https://github.com/npm/node-semver#ranges>, without pre-releases.

use super::spans::{self, Dialect, END, Operator, Written};

/// A range such as `^18.17 || >=20`.
pub type Range = spans::Range<Npm>;

/// How npm writes ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Npm;

impl Dialect for Npm {
    const OPERATORS: &'static [(&'static str, Operator)] = &[
        (">", |version| (version.last, END)),
        ("~", Written::minor),
        ("~>", Written::minor),
        ("^", Written::caret),
    ];
    const WILDCARDS: &'static [char] = &['*', 'x', 'X'];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::versions::Version, mutation::mutate};

    #[track_caller]
    fn check(range: &str, majors: &[u32]) {
        let parsed = Range::parse(range).unwrap();
        let allowed =
            |major: &u32| parsed.allows(Version { major: *major, minor: None, patch: None });
        let found: Vec<u32> = (10..=24).step_by(2).filter(allowed).collect();
        assert_eq!(found, majors, "{range}");
    }

    #[test]
    fn ranges_allow_the_majors_that_npm_allows() {
        check("^18", &[18]);
        check("18.x", &[18]);
        check("18", &[18]);
        check("~18.17", &[18]);
        check(">=18 <21", &[18, 20]);
        check(">= 18.0.0 < 21", &[18, 20]);
        check(">=16.14.0 || ^14", &[14, 16, 18, 20, 22, 24]);
        check("16 - 20", &[16, 18, 20]);
        check("<=16", &[10, 12, 14, 16]);
        check(">16 <22", &[18, 20]);
        check("*", &[10, 12, 14, 16, 18, 20, 22, 24]);
        check("", &[10, 12, 14, 16, 18, 20, 22, 24]);
        check("v20.11.1", &[20]);
        check(">20 <18", &[]);
        check("^18.17.0 || >=20.3.0", &[18, 20, 22, 24]);
    }

    #[test]
    fn a_caret_below_one_is_narrow() {
        let minor = |minor| Version { major: 0, minor: Some(minor), patch: None };
        let range = Range::parse("^0.2.3").unwrap();
        assert!(range.allows(minor(2)) && !range.allows(minor(3)) && !range.allows(minor(1)));
    }

    #[test]
    fn what_is_no_range_is_told_apart() {
        for text in ["latest", "lts/*", "git://x", "18 or so"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let target = |data: &[u8]| drop(Range::parse(&String::from_utf8_lossy(data)));
        for seed in ["^1.2.3 || >=4 <5", "4294967295.4294967295.4294967295", "1.x - ~0.0.1"] {
            mutate(seed.as_bytes(), b"^~<>=|-. x*019", 3000, target);
        }
    }
}
