//! Versions that projects pin, as ranges of their ecosystem, resolved against the table of images.
//!
//! A file for each ecosystem's way to write a range; what they share is [`Version`] and a table of operators.

use std::fmt;

pub mod composer;
pub mod gem;
pub mod npm;
pub mod pep440;
mod spans;

/// A version as far as it was written: `22`, `22.1`, `22.1.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number, when there is one.
    pub minor: Option<u32>,
    /// Third number, when there is one.
    pub patch: Option<u32>,
}

impl Version {
    /// `22.1`.
    pub const fn of(major: u32, minor: u32) -> Self {
        Self { major, minor: Some(minor), patch: None }
    }

    /// Reads up to three numbers with dots between; a leading `v` and what follows the numbers (`-rc1`, `.Final`) are dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches(['v', 'V', '=']).trim_start();
        let mut rest = Some(text);
        let mut number = || {
            let text = rest?;
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let number = text[..end].parse().ok();
            rest = text[end..].strip_prefix('.').filter(|_| number.is_some());
            number
        };
        Some(Self { major: number()?, minor: number(), patch: number() })
    }

    /// `22`.
    pub fn major_only(self) -> Self {
        Self { minor: None, patch: None, ..self }
    }

    /// `22.1`, or `22` when that is all that was written.
    pub fn major_minor(self) -> Self {
        Self { patch: None, ..self }
    }

    /// All three numbers; what was not written counts as 0.
    pub fn triple(self) -> (u32, u32, u32) {
        (self.major, self.minor.unwrap_or(0), self.patch.unwrap_or(0))
    }
}

impl From<(u32, u32, u32)> for Version {
    fn from((major, minor, patch): (u32, u32, u32)) -> Self {
        Self { major, minor: Some(minor), patch: Some(patch) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)?;
        for number in [self.minor, self.patch].into_iter().flatten() {
            write!(f, ".{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_far_as_they_go() {
        let check = |text: &str, expected: &str| {
            let shown = Version::parse(text).map(|v| v.to_string()).unwrap_or_default();
            assert_eq!(shown, expected, "{text}");
        };
        check("v22.1.3", "22.1.3");
        check("22", "22");
        check("3.12-dev", "3.12");
        check("3.x", "3");
        check("1.2.3.4", "1.2.3");
        check(" =1.2.", "1.2");
        check("lts", "");
        check("99999999999", "");
    }
}
