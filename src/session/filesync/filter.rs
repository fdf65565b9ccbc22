//! Which entries are sent, which directories are looked into: fsutil's filter, pure.

use super::pattern::{PatternError, PatternList};

/// What to do with one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Announce it; look into it if it is a directory.
    Send,
    /// Look into the directory; announce it only when something below it is announced.
    Hold,
    /// Leave it out with everything below it.
    Skip,
}

/// Patterns ready to judge the entries of a walk.
#[derive(Debug)]
pub(super) struct Filter {
    include: Option<Include>,
    exclude: Exclude,
    /// Words of the pattern sets of one level: include, exclude.
    words: [usize; 2],
}

impl Filter {
    /// `include` holds the resolved follow paths too; without any everything is included.
    pub(super) fn new(include: &[Vec<u8>], exclude: &[Vec<u8>]) -> Result<Self, PatternError> {
        let include = Some(Include::new(include)?).filter(|include| !include.list.is_empty());
        let exclude = Exclude::new(exclude)?;
        let words = [
            include.as_ref().map_or(0, |include| include.list.set_words()),
            exclude.list.set_words(),
        ];
        Ok(Self { include, exclude, words })
    }

    /// A walk's place in the tree, at its root.
    pub(super) fn trail(&self) -> Trail {
        Trail { sets: vec![0; self.words.iter().sum()] }
    }

    /// Judges the entry `path`, whose parent directory was the last one judged at `depth` − 1.
    ///
    /// `depth` counts the slashes of `path`. Children judge by what is kept in `trail` of their
    /// parents: whether a pattern matched one of them (`MatchesUsingParentResults`).
    pub(super) fn judge(
        &self,
        trail: &mut Trail,
        path: &[u8],
        depth: usize,
        is_dir: bool,
    ) -> Verdict {
        let stride: usize = self.words.iter().sum();
        if stride == 0 {
            return Verdict::Send;
        }
        trail.sets.resize((depth + 2) * stride, 0);
        let (above, own) = trail.sets.split_at_mut((depth + 1) * stride);
        let parent = &above[depth * stride..];
        own.fill(0);
        let exclude_at = self.words[0];
        let verdict = match &self.include {
            Some(include) => include.judge(path, is_dir, parent, own),
            None => Verdict::Send,
        };
        if verdict == Verdict::Skip || self.exclude.list.is_empty() {
            return verdict;
        }
        let own = &mut own[exclude_at..];
        verdict.max(self.exclude.judge(path, is_dir, &parent[exclude_at..], own))
    }
}

/// Which patterns matched the directories above, level by level.
#[derive(Debug)]
pub(super) struct Trail {
    sets: Vec<u64>,
}

/// Patterns of which one must match.
#[derive(Debug)]
struct Include {
    list: PatternList,
    has_plain_stems: bool,
}

impl Include {
    fn new(patterns: &[Vec<u8>]) -> Result<Self, PatternError> {
        let list = PatternList::new(patterns)?;
        let has_plain_stems =
            list.patterns.iter().all(|pattern| pattern.is_exception || pattern.has_plain_stem());
        Ok(Self { list, has_plain_stems })
    }

    fn judge(&self, path: &[u8], is_dir: bool, parent: &[u64], own: &mut [u64]) -> Verdict {
        if self.list.matches(path, parent, own) {
            return Verdict::Send;
        }
        if !is_dir {
            return Verdict::Skip;
        }
        // What fsutil calls an optimisation decides about `a/*/**`, whose stem is `a`: it does not
        // look below `a/b`. The context shall be the same, so neither do we.
        let mut wanted = self.list.patterns.iter().filter(|pattern| !pattern.is_exception);
        if self.has_plain_stems && !wanted.any(|pattern| pattern.may_match_below(path)) {
            return Verdict::Skip;
        }
        Verdict::Hold
    }
}

/// Patterns of which none may match.
#[derive(Debug)]
struct Exclude {
    list: PatternList,
    below: Below,
}

/// Whether to look into an excluded directory for exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    /// Only where an exception's stem leads: all stems are plain.
    AlongStems,
    Always,
}

impl Exclude {
    fn new<P: AsRef<[u8]>>(patterns: &[P]) -> Result<Self, PatternError> {
        let list = PatternList::new(patterns)?;
        let has_plain_stems =
            list.patterns.iter().all(|pattern| !pattern.is_exception || pattern.has_plain_stem());
        let below = if has_plain_stems { Below::AlongStems } else { Below::Always };
        Ok(Self { list, below })
    }

    fn judge(&self, path: &[u8], is_dir: bool, parent: &[u64], own: &mut [u64]) -> Verdict {
        if !self.list.matches(path, parent, own) {
            return Verdict::Send;
        }
        let mut exceptions = self.list.patterns.iter().filter(|pattern| pattern.is_exception);
        match self.below {
            Below::Always if is_dir => Verdict::Hold,
            Below::AlongStems if is_dir && exceptions.any(|e| e.may_match_below(path)) => {
                Verdict::Hold
            }
            _ => Verdict::Skip,
        }
    }
}
