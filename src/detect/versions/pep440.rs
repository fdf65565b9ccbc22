//! Version specifiers of Python: <https://packaging.python.org/en/latest/specifications/version-specifiers/>, without
//! pre-releases, and what Poetry adds to them (`^3.9`, `~3.9`, `||`, `*`, blanks between clauses).

use super::spans::{Dialect, Operator, Range, Written};

/// Specifiers such as `>=3.9,<3.12`.
pub type Specifiers = Range<Python>;

/// How pip and Poetry write ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python;

impl Dialect for Python {
    const OPERATORS: &'static [(&'static str, Operator)] = &[
        ("===", Written::exact),
        ("~=", Written::growing),
        ("~", Written::minor),
        ("^", Written::caret),
    ];
    const EXCEPT: Option<&'static str> = Some("!=");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::versions::Version, mutation::mutate};

    #[track_caller]
    fn check(text: &str, minors: &[u32]) {
        let parsed = Specifiers::parse(text).unwrap();
        let allowed =
            |minor: &u32| parsed.allows(Version { major: 3, minor: Some(*minor), patch: None });
        let found: Vec<u32> = (7..=14).filter(allowed).collect();
        assert_eq!(found, minors, "{text}");
    }

    #[test]
    fn specifiers_allow_what_pip_and_poetry_allow() {
        check(">=3.9,<3.12", &[9, 10, 11]);
        check(">= 3.9, < 3.12", &[9, 10, 11]);
        check("^3.10", &[10, 11, 12, 13, 14]);
        check("~3.10", &[10]);
        check("~=3.10", &[10, 11, 12, 13, 14]);
        check("~=3.10.2", &[10]);
        check("==3.11.*", &[11]);
        check("3.11.4", &[11]);
        check("==3.8.5", &[8]);
        check(">=3.8,!=3.9.*,<3.11", &[8, 10]);
        check(">=3.8,!=3.9.1,<3.11", &[8, 9, 10]);
        check("<=3.9", &[7, 8, 9]);
        check(">3.11", &[11, 12, 13, 14]);
        check("*", &[7, 8, 9, 10, 11, 12, 13, 14]);
        check("", &[7, 8, 9, 10, 11, 12, 13, 14]);
        check("^2.7 || ^3.13", &[13, 14]);
        check(">=3.9 <3.11", &[9, 10]);
        check(">3.12,<3.11", &[]);
    }

    #[test]
    fn bounds_are_told_and_what_is_no_specifier_is_told_apart() {
        let range = Specifiers::parse(">=4.2,<5").unwrap();
        assert_eq!(range.lowest().unwrap().to_string(), "4.2.0");
        assert_eq!(range.end().unwrap().to_string(), "5.0.0");
        assert_eq!(Specifiers::parse(">=4").unwrap().end(), None);
        for text in ["system", "git+https://x", ">=x", "pypy3.9"] {
            assert_eq!(Specifiers::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let target = |data: &[u8]| {
            let parsed = Specifiers::parse(&String::from_utf8_lossy(data));
            assert!(parsed.is_none_or(|p| p.lowest().is_none_or(|v| v.minor.is_some())));
        };
        for seed in [">=3.9,!=3.10.*,<4 || ^2.7", "~=4294967295.4294967295.4294967295"] {
            mutate(seed.as_bytes(), b"^~<>=!|,. *019", 3000, target);
        }
    }
}
