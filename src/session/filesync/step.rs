//! Steps of a compiled expression.

use super::gopath::as_go;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    One(Set),
    Star(Set),
    /// Goes on, or jumps forward by so many steps.
    Skip(usize),
    Start,
    End,
    /// `\b` if true, `\B` if false.
    WordEdge(bool),
}

/// Characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Set {
    Any,
    Literal(u32),
    NotSlash,
    /// Go's `.`, which is no line break.
    Dot,
    /// Inclusive ranges.
    Ranges(Vec<(u32, u32)>),
}

impl Set {
    pub(super) fn contains(&self, code: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => *literal == code || *literal == as_go(code),
            Self::NotSlash => code != u32::from('/'),
            Self::Dot => code != u32::from('\n'),
            Self::Ranges(ranges) => {
                let code = as_go(code);
                ranges.iter().any(|&(low, high)| low <= code && code <= high)
            }
        }
    }
}
