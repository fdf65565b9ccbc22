//! Version specifiers of Python: <https://packaging.python.org/en/latest/specifications/version-specifiers/>, without
//! pre-releases, and what Poetry adds to them (`^3.9`, `~3.9`, `||`, `*`).

use super::{
    Version,
    spans::{END, Triple, ZERO, after, caret_end, growing_end, join_operators, lowest, span},
};

/// Alternatives (`||`), each with versions from a first to before a last, and holes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Specifiers {
    alternatives: Vec<Alternative>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    from: Triple,
    to: Triple,
    holes: Vec<(Triple, Triple)>,
}

impl Specifiers {
    /// `None` for what is no specifier, such as `system` or a URL.
    pub fn parse(text: &str) -> Option<Self> {
        let alternatives: Option<Vec<_>> = text.split("||").map(alternative).collect();
        Some(Self { alternatives: alternatives? })
    }

    /// Whether any release of this minor (3.12) is allowed.
    pub fn allows(&self, version: Version) -> bool {
        let (first, last) = span(version);
        self.alternatives.iter().any(|one| {
            let from = one.from.max(first);
            let to = one.to.min(last);
            let is_hole = one.holes.iter().any(|(start, end)| *start <= from && to <= *end);
            from < to && !is_hole
        })
    }

    /// The lowest version that is named as a lower bound.
    pub fn lowest(&self) -> Option<Version> {
        lowest(self.alternatives.iter().map(|one| one.from))
    }

    /// Where the versions end that are allowed, when they do.
    pub fn end(&self) -> Option<Version> {
        let to = self.alternatives.iter().map(|one| one.to).max()?;
        (to < END).then_some(Version { major: to.0, minor: Some(to.1), patch: Some(to.2) })
    }
}

fn alternative(text: &str) -> Option<Alternative> {
    let mut found = Alternative { from: ZERO, to: END, holes: Vec::new() };
    // Poetry takes blanks between clauses, too.
    let text = join_operators(text);
    for clause in text.split([',', ' ']).filter(|clause| !clause.is_empty()) {
        let end = clause.find(|c: char| !"<>=~^!".contains(c)).unwrap_or(clause.len());
        let (operator, version) = clause.split_at(end);
        let (first, last) = partial(version)?;
        let (from, to) = match operator {
            "" | "=" | "==" | "===" => (first, last),
            ">=" => (first, END),
            // `>3.9` excludes 3.9.0 alone where minors are compared.
            ">" => (after(first), END),
            "<" => (ZERO, first),
            "<=" => (ZERO, last),
            "~=" => (first, growing_end(Version::parse(version)?)),
            "~" => (first, tilde_end(version)?),
            "^" => (first, caret_end(Version::parse(version)?)),
            "!=" => {
                found.holes.push((first, last));
                continue;
            }
            _ => return None,
        };
        found.from = found.from.max(from);
        found.to = found.to.min(to);
    }
    Some(found)
}

/// `3.9`, `3.9.*`, `*`: all the versions that begin so.
fn partial(text: &str) -> Option<(Triple, Triple)> {
    let text = text.trim_start_matches('v');
    if text.starts_with('*') {
        return Some((ZERO, END));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || ".*-+!".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fits) {
        return None;
    }
    Some(span(Version::parse(text)?))
}

/// `~3.9` and `~3.9.2` stay below 3.10, `~3` below 4.
fn tilde_end(text: &str) -> Option<Triple> {
    Some(span(Version::parse(text)?.major_minor()).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

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
