//! Ranges as npm resolves them: <https://github.com/npm/node-semver#ranges>, without pre-releases.

use super::{
    Version,
    spans::{END, Triple, ZERO, caret_end, span},
};

/// Alternatives (`||`), each the versions from a first to before a last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    alternatives: Vec<(Triple, Triple)>,
}

impl Range {
    /// `None` for what is no range, such as `latest` or a URL.
    pub fn parse(text: &str) -> Option<Self> {
        let alternatives: Option<Vec<_>> = text.split("||").map(alternative).collect();
        let alternatives = alternatives?;
        (!alternatives.is_empty()).then_some(Self { alternatives })
    }

    /// Whether any version of this major, or of this major and minor, is in the range.
    pub fn allows(&self, version: Version) -> bool {
        let (first, last) = span(version);
        self.alternatives.iter().any(|&(from, to)| from < last && first < to && from < to)
    }

    /// The lowest major there is in the range.
    pub fn lowest_major(&self) -> Option<u32> {
        let filled = self.alternatives.iter().filter(|(from, to)| from < to);
        filled.map(|(from, _)| from.0).min()
    }
}

fn alternative(text: &str) -> Option<(Triple, Triple)> {
    let text = text.trim();
    if let Some((from, to)) = text.split_once(" - ") {
        let (from, _) = partial(from)?;
        let (_, to) = partial(to)?;
        return Some((from, to));
    }
    let mut range = (ZERO, END);
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let end = word.find(|c: char| !"<>=~^".contains(c)).unwrap_or(word.len());
        let (operator, mut version) = word.split_at(end);
        if version.is_empty() {
            version = words.next()?;
        }
        let (from, to) = comparator(operator, version.trim_end_matches(','))?;
        range = (range.0.max(from), range.1.min(to));
    }
    Some(range)
}

fn comparator(operator: &str, version: &str) -> Option<(Triple, Triple)> {
    let (first, last) = partial(version)?;
    Some(match operator {
        "" | "=" | "==" => (first, last),
        ">=" => (first, END),
        ">" => (last, END),
        "<" => (ZERO, first),
        "<=" => (ZERO, last),
        "~" | "~>" => {
            let parsed = Version::parse(version);
            match parsed {
                Some(version) => (first, span(version.major_minor()).1),
                None => (first, last),
            }
        }
        "^" => (first, Version::parse(version).map_or(last, caret_end)),
        _ => return None,
    })
}

/// `1.2`, `1.x`, `*`, nothing at all.
fn partial(text: &str) -> Option<(Triple, Triple)> {
    let text = text.trim().trim_start_matches(['v', '=']);
    if text.is_empty() || text.starts_with(['*', 'x', 'X']) {
        return Some((ZERO, END));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || ".*-+".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fits) {
        return None;
    }
    Some(span(Version::parse(text)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

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
