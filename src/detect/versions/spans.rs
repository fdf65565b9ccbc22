//! What all ways to write a range come to: spans of versions, each from a first to before a last.

use std::marker::PhantomData;

use super::Version;

/// All three numbers of a version.
pub(super) type Triple = (u32, u32, u32);

/// Versions from a first to before a last.
pub(super) type Span = (Triple, Triple);

/// The first version there can be.
const ZERO: Triple = (0, 0, 0);
/// Before this come all.
pub(super) const END: Triple = (u32::MAX, 0, 0);
/// All versions there can be.
pub(super) const ALL: Span = (ZERO, END);

/// How an ecosystem writes ranges.
pub trait Dialect {
    /// Operators beside those that all have, and in place of them.
    const OPERATORS: &'static [(&'static str, Operator)];
    /// The operator that makes a hole.
    const EXCEPT: Option<&'static str> = None;
    /// What begins a text that stands for any version.
    const WILDCARDS: &'static [char] = &['*'];

    /// Alternatives, each with conditions that all have to be met.
    fn alternatives(text: &str) -> Vec<&str> {
        text.split("||").collect()
    }
}

/// The versions that an operator allows, by the version behind it.
pub(super) type Operator = fn(Written) -> Span;

/// Operators of all ecosystems.
const COMMON: &[(&str, Operator)] = &[
    ("", Written::exact),
    ("=", Written::exact),
    ("==", Written::exact),
    (">=", |version| (version.first, END)),
    // `>3.9` excludes 3.9.0 alone where minors are compared.
    (">", |version| (after(version.first), END)),
    ("<", |version| (ZERO, version.first)),
    ("<=", |version| (ZERO, version.last)),
];

/// A version of a range: `1.2`, `1.2.*`, `*`.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// The first version that begins so.
    first: Triple,
    /// Before this come all that begin so.
    pub(super) last: Triple,
    /// `None` when any version does.
    version: Option<Version>,
}

impl Written {
    fn parse<D: Dialect>(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        if text.starts_with(D::WILDCARDS) {
            return Some(Self { first: ZERO, last: END, version: None });
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || ".*-+!".contains(c);
        if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(fits) {
            return None;
        }
        let version = Version::parse(text)?;
        let (first, last) = span(version);
        Some(Self { first, last, version: Some(version) })
    }

    /// All that begin so.
    pub(super) fn exact(self) -> Span {
        (self.first, self.last)
    }

    /// From it on within its minor: `3.2` and `3.2.1` stay below 3.3, `3` below 4.
    pub(super) fn minor(self) -> Span {
        self.within(Version::major_minor)
    }

    /// From it on while the last number that was written grows: `3.2` stays below 4, `3.2.1` below 3.3.
    pub(super) fn growing(self) -> Span {
        self.within(|version| match version.patch {
            Some(_) => version.major_minor(),
            None => version.major_only(),
        })
    }

    /// From it on while the first number that is not 0 stays.
    pub(super) fn caret(self) -> Span {
        self.within(|version| match (version.triple(), version.minor) {
            ((1.., ..), _) | (_, None) => version.major_only(),
            ((_, 1.., _), _) => version.major_minor(),
            _ => version,
        })
    }

    fn within(self, fixed: fn(Version) -> Version) -> Span {
        (self.first, self.version.map_or(END, |version| span(fixed(version)).1))
    }
}

/// Versions that a project allows, in the words of `D`. Pre-releases are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range<D> {
    alternatives: Vec<Alternative>,
    dialect: PhantomData<D>,
}

/// A span with holes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    from: Triple,
    to: Triple,
    holes: Vec<Span>,
}

impl<D: Dialect> Range<D> {
    /// `None` for what is no range, such as `latest`, `dev-main`, `system` or a URL.
    pub fn parse(text: &str) -> Option<Self> {
        let alternatives: Option<Vec<_>> =
            D::alternatives(text).into_iter().map(alternative::<D>).collect();
        let alternatives = alternatives.filter(|all| !all.is_empty())?;
        Some(Self { alternatives, dialect: PhantomData })
    }

    /// Whether any version of this major, or of this major and minor, is allowed.
    pub fn allows(&self, version: Version) -> bool {
        let (first, last) = span(version);
        self.alternatives.iter().any(|one| {
            let (from, to) = (one.from.max(first), one.to.min(last));
            let is_hole = one.holes.iter().any(|(start, end)| *start <= from && to <= *end);
            from < to && !is_hole
        })
    }

    /// Whether the newest version that begins so is allowed.
    pub fn allows_newest(&self, version: Version) -> bool {
        let (first, last) = span(version);
        self.alternatives.iter().any(|one| {
            let is_hole = one.holes.iter().any(|(start, end)| *start < last && last <= *end);
            one.from.max(first) < last && last <= one.to && !is_hole
        })
    }

    /// The newest that is allowed, as far as it is written: `<20.10` gives 20.9, `<=20.11.1` that, `<21` nothing.
    pub fn newest(&self) -> Option<Version> {
        let (major, minor, patch) = self.end()?.triple();
        match (minor, patch) {
            (0, 0) => None,
            (_, 0) => Some(Version::of(major, minor - 1)),
            _ => Some(Version::from((major, minor, patch - 1))),
        }
    }

    /// The lowest version that is named as a lower bound.
    pub fn lowest(&self) -> Option<Version> {
        let lowest = self.alternatives.iter().map(|one| one.from).min();
        lowest.filter(|from| *from > ZERO).map(Version::from)
    }

    /// The lowest major that is allowed.
    pub fn lowest_major(&self) -> Option<u32> {
        let filled = self.alternatives.iter().filter(|one| one.from < one.to);
        filled.map(|one| one.from.0).min()
    }

    /// Where the versions end that are allowed, when they do.
    pub fn end(&self) -> Option<Version> {
        let end = self.alternatives.iter().map(|one| one.to).max();
        end.filter(|to| *to < END).map(Version::from)
    }
}

fn alternative<D: Dialect>(text: &str) -> Option<Alternative> {
    let mut found = Alternative { from: ZERO, to: END, holes: Vec::new() };
    if let Some((from, to)) = text.split_once(" - ") {
        found.from = Written::parse::<D>(from)?.first;
        found.to = Written::parse::<D>(to)?.last;
        return Some(found);
    }
    let is_between = |c: char| c == ',' || c.is_whitespace();
    let text = text.replace(" and ", ",");
    let mut rest = text.trim_matches(is_between);
    while !rest.is_empty() {
        let end = rest.find(|c| !"<>=~^!".contains(c)).unwrap_or(rest.len());
        let (operator, after) = rest.split_at(end);
        let after = after.trim_start();
        let (version, after) = after.split_at(after.find(is_between).unwrap_or(after.len()));
        rest = after.trim_start_matches(is_between);
        let version = Written::parse::<D>(version)?;
        if D::EXCEPT == Some(operator) {
            found.holes.push(version.exact());
            continue;
        }
        let (_, span) = D::OPERATORS.iter().chain(COMMON).find(|(sign, _)| *sign == operator)?;
        let (from, to) = span(version);
        found.from = found.from.max(from);
        found.to = found.to.min(to);
    }
    Some(found)
}

/// The versions that begin like this one: `1.2` is from 1.2.0 to before 1.3.0.
fn span(version: Version) -> Span {
    let (major, minor, patch) = version.triple();
    let last = match (version.minor, version.patch) {
        (None, _) => (major.saturating_add(1), 0, 0),
        (_, None) => (major, minor.saturating_add(1), 0),
        _ => after(version.triple()),
    };
    ((major, minor, patch), last)
}

/// The next version.
fn after((major, minor, patch): Triple) -> Triple {
    (major, minor, patch.saturating_add(1))
}
