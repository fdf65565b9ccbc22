//! Constraints of Composer: <https://getcomposer.org/doc/articles/versions.md>, without stability flags.

use super::{
    Version,
    spans::{
        END, Triple, ZERO, after, allow, caret_end, growing_end, join_operators, lowest, span,
    },
};

/// Alternatives (`||` or `|`), each the versions from a first to before a last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    alternatives: Vec<(Triple, Triple)>,
}

impl Constraint {
    /// `None` for what is no constraint, such as `dev-main`.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.split('|').filter(|part| !part.is_empty());
        let alternatives: Option<Vec<_>> = parts.map(alternative).collect();
        let alternatives = alternatives.filter(|all| !all.is_empty())?;
        Some(Self { alternatives })
    }

    /// Whether any version of this minor, or of this major, is allowed.
    pub fn allows(&self, version: Version) -> bool {
        allow(&self.alternatives, version)
    }

    /// The lowest version that is named as a lower bound.
    pub fn lowest(&self) -> Option<Version> {
        lowest(self.alternatives.iter().map(|(from, _)| *from))
    }
}

fn alternative(text: &str) -> Option<(Triple, Triple)> {
    let text = text.split('@').next().unwrap_or(text).trim();
    if let Some((from, to)) = text.split_once(" - ") {
        return Some((partial(from.trim())?.0, partial(to.trim())?.1));
    }
    let mut range = (ZERO, END);
    let text = join_operators(text);
    for clause in text.split([',', ' ']).filter(|clause| !clause.is_empty()) {
        let end = clause.find(|c: char| !"<>=~^!".contains(c)).unwrap_or(clause.len());
        let (operator, version) = clause.split_at(end);
        let (first, last) = partial(version)?;
        let parsed = Version::parse(version);
        let (from, to) = match operator {
            "" | "=" | "==" => (first, last),
            ">=" => (first, END),
            ">" => (after(first), END),
            "<" => (ZERO, first),
            "<=" => (ZERO, last),
            "~" => (first, parsed.map_or(last, growing_end)),
            "^" => (first, parsed.map_or(last, caret_end)),
            "!=" | "<>" => (ZERO, END),
            _ => return None,
        };
        range = (range.0.max(from), range.1.min(to));
    }
    Some(range)
}

/// `8.1`, `8.1.*`, `*`: all the versions that begin so.
fn partial(text: &str) -> Option<(Triple, Triple)> {
    let text = text.trim_start_matches('v');
    if text.starts_with('*') {
        return Some((ZERO, END));
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(span(Version::parse(text)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

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
