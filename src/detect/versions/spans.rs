//! What all ways to write a range come to: spans of versions, each from a first to before a last.

use super::Version;

/// All three numbers of a version.
pub(super) type Triple = (u32, u32, u32);

/// The first version there can be.
pub(super) const ZERO: Triple = (0, 0, 0);
/// Before this come all.
pub(super) const END: Triple = (u32::MAX, 0, 0);

/// The versions that a partial version stands for: `1.2` is from 1.2.0 to before 1.3.0.
pub(super) fn span(version: Version) -> (Triple, Triple) {
    let (major, minor, patch) = version.triple();
    let last = match (version.minor, version.patch) {
        (None, _) => (major.saturating_add(1), 0, 0),
        (_, None) => (major, minor.saturating_add(1), 0),
        _ => after((major, minor, patch)),
    };
    ((major, minor, patch), last)
}

/// The next version.
pub(super) fn after(version: Triple) -> Triple {
    (version.0, version.1, version.2.saturating_add(1))
}

/// Lets the last number that was written grow: `3.2` stays below 4, `3.2.1` below 3.3.
pub(super) fn growing_end(version: Version) -> Triple {
    match (version.minor, version.patch) {
        (Some(minor), Some(_)) => (version.major, minor.saturating_add(1), 0),
        _ => (version.major.saturating_add(1), 0, 0),
    }
}

/// `^` lets everything change but the first number that is not 0.
pub(super) fn caret_end(version: Version) -> Triple {
    let (major, minor, patch) = version.triple();
    match (major, version.minor, version.patch) {
        (1.., _, _) | (0, None, _) => (major.saturating_add(1), 0, 0),
        (0, Some(1..), _) | (0, Some(0), None) => (0, minor.saturating_add(1), 0),
        _ => (0, 0, patch.saturating_add(1)),
    }
}

/// Whether any version that `version` stands for lies in one of them.
pub(super) fn allow(spans: &[(Triple, Triple)], version: Version) -> bool {
    let (first, last) = span(version);
    spans.iter().any(|&(from, to)| from.max(first) < to.min(last))
}

/// The lowest of these bounds, if one was named.
pub(super) fn lowest(bounds: impl Iterator<Item = Triple>) -> Option<Version> {
    let (major, minor, patch) = bounds.min().filter(|from| *from > ZERO)?;
    Some(Version { major, minor: Some(minor), patch: Some(patch) })
}

/// Puts operators and versions together: `>= 8.1` → `>=8.1`.
pub(super) fn join_operators(text: &str) -> String {
    let mut joined = String::new();
    for word in text.split_whitespace() {
        if !joined.is_empty() && !joined.ends_with(['<', '>', '=', '~', '^', '!', ',']) {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined
}
