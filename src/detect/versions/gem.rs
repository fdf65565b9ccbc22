//! Version requirements of RubyGems and Hex, which differ little: <https://guides.rubygems.org/patterns/#semantic-versioning>,
//! <https://hexdocs.pm/elixir/Version.html#module-requirements>. Without pre-releases.

use super::spans::{ALL, Dialect, Operator, Range, Written};

/// A requirement such as `~> 3.2, != 3.2.1` (RubyGems) or `~> 1.14 and < 1.17` (Elixir).
pub type Requirement = Range<Gem>;

/// How RubyGems and Elixir write ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gem;

impl Dialect for Gem {
    const OPERATORS: &'static [(&'static str, Operator)] =
        &[("~>", Written::growing), ("!=", |_| ALL)];

    fn alternatives(text: &str) -> Vec<&str> {
        text.split(" or ").filter(|part| !part.trim().is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::versions::Version, mutation::mutate};

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
