//! Constraints of Composer: <https://getcomposer.org/doc/articles/versions.md>, without stability flags.

use super::spans::{ALL, Dialect, Operator, Range, Written};

/// A constraint such as `^7.4 || ~8.1.0`.
pub type Constraint = Range<Composer>;

/// How Composer writes ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composer;

impl Dialect for Composer {
    const OPERATORS: &'static [(&'static str, Operator)] =
        &[("~", Written::growing), ("^", Written::caret), ("!=", |_| ALL), ("<>", |_| ALL)];

    /// One `|` separates as two do; `@` begins a stability flag.
    fn alternatives(text: &str) -> Vec<&str> {
        let parts = text.split('|').filter(|part| !part.is_empty());
        parts.filter_map(|part| part.split('@').next()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::versions::Version, mutation::mutate};

    #[track_caller]
    fn check(text: &str, minors: &[u32]) {
        let parsed = Constraint::parse(text).unwrap();
        let allowed =
            |minor: &u32| parsed.allows(Version { major: 8, minor: Some(*minor), patch: None });
        let found: Vec<u32> = (0..=5).filter(allowed).collect();
        assert_eq!(found, minors, "{text}");
    }

    #[test]
    fn constraints_allow_what_composer_allows() {
        check("^8.2", &[2, 3, 4, 5]);
        check("~8.2.0", &[2]);
        check("~8.2", &[2, 3, 4, 5]);
        check("8.1.*", &[1]);
        check("^7.4|^8.0", &[0, 1, 2, 3, 4, 5]);
        check("^7.4 || ~8.1.0 || ~8.2.0", &[1, 2]);
        check(">=7.4 <8.2", &[0, 1]);
        check(">= 8.1, <8.4", &[1, 2, 3]);
        check("8.0 - 8.2", &[0, 1, 2]);
        check("*", &[0, 1, 2, 3, 4, 5]);
        check("^7.3", &[]);
        check("^8.1@dev", &[1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_no_constraint_is_told_apart() {
        for text in ["dev-main", "", "self.version"] {
            assert_eq!(Constraint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let target = |data: &[u8]| drop(Constraint::parse(&String::from_utf8_lossy(data)));
        mutate(
            b"^7.4 || ~8.1.0 | >=8, <9 - 8.* || 4294967295.4294967295",
            b"<>=~^!|,. -*019",
            3000,
            target,
        );
    }
}
