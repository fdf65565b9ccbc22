//! Version requirements of RubyGems and Hex, which differ little: <https://guides.rubygems.org/patterns/#semantic-versioning>,
//! <https://hexdocs.pm/elixir/Version.html#module-requirements>. Without pre-releases.

use super::{
    Version,
    spans::{END, Triple, ZERO, after, allow, growing_end, lowest, span},
};

/// Alternatives (`or`, Elixir's), each the versions from a first to before a last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    alternatives: Vec<(Triple, Triple)>,
}

impl Requirement {
    /// Conditions are joined with `,` (RubyGems) or `and` (Elixir). `None` for what is no requirement.
    pub fn parse(text: &str) -> Option<Self> {
        let alternatives: Option<Vec<_>> = text.split(" or ").map(alternative).collect();
        Some(Self { alternatives: alternatives? })
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
    let mut range = (ZERO, END);
    for condition in text.split(',').flat_map(|part| part.split(" and ")) {
        let condition = condition.trim();
        let end = condition.find(|c: char| !"<>=~! ".contains(c)).unwrap_or(condition.len());
        let (operator, version) = condition.split_at(end);
        if !version.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let parsed = Version::parse(version)?;
        let (first, last) = span(parsed);
        let (from, to) = match operator.trim() {
            "" | "=" | "==" => (first, last),
            ">=" => (first, END),
            ">" => (after(first), END),
            "<" => (ZERO, first),
            "<=" => (ZERO, last),
            "~>" => (first, growing_end(parsed)),
            "!=" => (ZERO, END),
            _ => return None,
        };
        range = (range.0.max(from), range.1.min(to));
    }
    Some(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[track_caller]
    fn check(text: &str, minors: &[u32]) {
        let parsed = Requirement::parse(text).unwrap();
        let allowed =
            |minor: &u32| parsed.allows(Version { major: 3, minor: Some(*minor), patch: None });
        let found: Vec<u32> = (0..=5).filter(allowed).collect();
        assert_eq!(found, minors, "{text}");
    }

    #[test]
    fn requirements_allow_what_their_tools_allow() {
        check("~> 3.2", &[2, 3, 4, 5]);
        check("~> 3.2.1", &[2]);
        check("3.2.1", &[2]);
        check(">= 3.1, < 3.4", &[1, 2, 3]);
        check(">= 3.1 and < 3.3", &[1, 2]);
        check("~> 2.7 or ~> 3.4.0", &[4]);
        check("< 3.2", &[0, 1]);
        check("!= 3.2.0", &[0, 1, 2, 3, 4, 5]);
        check("> 9", &[]);
    }

    #[test]
    fn what_is_no_requirement_is_told_apart() {
        for text in ["", "ruby", ">= x", "file: x"] {
            assert_eq!(Requirement::parse(text), None, "{text}");
        }
        assert_eq!(Requirement::parse("~> 1.14").unwrap().lowest().unwrap().to_string(), "1.14.0");
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let target = |data: &[u8]| drop(Requirement::parse(&String::from_utf8_lossy(data)));
        mutate(b"~> 3.2.1, >= 1 and < 4 or 4294967295.4294967295", b"<>=~!,. or019", 3000, target);
    }
}
