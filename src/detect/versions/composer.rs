//! Constraints of Composer: <https://getcomposer.org/doc/articles/versions.md>, without stability flags.

use super::Version;

type Triple = (u32, u32, u32);

/// Alternatives (`||` or `|`), each the versions from a first to before a last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    alternatives: Vec<(Triple, Triple)>,
}

const ZERO: Triple = (0, 0, 0);
const END: Triple = (u32::MAX, 0, 0);

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
        let (first, last) = span(version);
        self.alternatives.iter().any(|&(from, to)| from.max(first) < to.min(last))
    }

    /// The lowest version that is named as a lower bound.
    pub fn lowest(&self) -> Option<Version> {
        let from = self.alternatives.iter().map(|(from, _)| *from).min()?;
        (from > ZERO).then_some(Version { major: from.0, minor: Some(from.1), patch: Some(from.2) })
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
            ">" => ((first.0, first.1, first.2.saturating_add(1)), END),
            "<" => (ZERO, first),
            "<=" => (ZERO, last),
            "~" => (first, parsed.map_or(last, tilde_end)),
            "^" => (first, parsed.map_or(last, caret_end)),
            "!=" | "<>" => (ZERO, END),
            _ => return None,
        };
        range = (range.0.max(from), range.1.min(to));
    }
    Some(range)
}

/// `>= 8.1` → `>=8.1`
fn join_operators(text: &str) -> String {
    let mut joined = String::new();
    for word in text.split_whitespace() {
        if !joined.is_empty() && !joined.ends_with(['<', '>', '=', '~', '^', '!', ',']) {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined
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

fn span(version: Version) -> (Triple, Triple) {
    let (major, minor, patch) = version.triple();
    let last = match (version.minor, version.patch) {
        (None, _) => (major.saturating_add(1), 0, 0),
        (_, None) => (major, minor.saturating_add(1), 0),
        _ => (major, minor, patch.saturating_add(1)),
    };
    ((major, minor, patch), last)
}

/// `~8.1` lets the last part that was written grow: below 9; `~8.1.2` below 8.2.
fn tilde_end(version: Version) -> Triple {
    match (version.minor, version.patch) {
        (Some(minor), Some(_)) => (version.major, minor.saturating_add(1), 0),
        _ => (version.major.saturating_add(1), 0, 0),
    }
}

/// `^` lets everything change but the first number that is not 0.
fn caret_end(version: Version) -> Triple {
    let (major, minor, patch) = version.triple();
    match (major, version.minor, version.patch) {
        (1.., _, _) | (0, None, _) => (major.saturating_add(1), 0, 0),
        (0, Some(1..), _) | (0, Some(0), None) => (0, minor.saturating_add(1), 0),
        _ => (0, 0, patch.saturating_add(1)),
    }
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
