//! Ignore patterns as moby/patternmatcher v0.6.1 reads them, over raw bytes.
//!
//! That library turns a pattern into a Go regular expression and leaves to it whatever it does
//! not understand, so `[*]`, `\d` or `^` mean what the expression happens to say. The same is
//! done here: a pattern becomes the characters of that expression, which a [`Program`] runs in
//! time at most path × pattern.

use std::{error, fmt};

use super::{
    gopath::{clean, decode, match_name, trim_space},
    program::Program,
};

const WORD_BITS: usize = 64;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: Vec<u8>,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use pattern `{}`: {}", self.pattern.escape_ascii(), self.reason)
    }
}

impl error::Error for PatternError {}

/// An ordered list of patterns; the last one that matches decides.
#[derive(Debug, Default)]
pub(super) struct PatternList {
    pub(super) patterns: Vec<Pattern>,
    pub(super) has_exceptions: bool,
}

impl PatternList {
    /// Compiles `patterns`; blank ones are dropped.
    pub(super) fn new<P: AsRef<[u8]>>(patterns: &[P]) -> Result<Self, PatternError> {
        let mut list = Self::default();
        for given in patterns {
            let trimmed = trim_space(given.as_ref());
            if trimmed.is_empty() {
                continue;
            }
            let pattern = Pattern::new(clean(trimmed))
                .map_err(|reason| PatternError { pattern: given.as_ref().to_vec(), reason })?;
            list.has_exceptions |= pattern.is_exception;
            list.patterns.push(pattern);
        }
        Ok(list)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// How many words a set with one bit per pattern takes.
    pub(super) fn set_words(&self) -> usize {
        self.patterns.len().div_ceil(WORD_BITS)
    }

    /// Tells whether `path` matches, given which patterns matched its parent directory.
    ///
    /// `own` is all zero on entry and holds afterwards what the children need. A pattern that
    /// matched the parent holds for everything below it, and a pattern that could not change the
    /// state so far is not tried (patternmatcher.go, `MatchesUsingParentResults`).
    pub(super) fn matches(&self, path: &[u8], parent: &[u64], own: &mut [u64]) -> bool {
        let mut is_matched = false;
        for (index, pattern) in self.patterns.iter().enumerate() {
            let (word, bit) = (index / WORD_BITS, 1 << (index % WORD_BITS));
            let is_inherited = parent[word] & bit != 0;
            if !is_inherited && pattern.is_exception != is_matched {
                continue;
            }
            if is_inherited || pattern.matches(path) {
                own[word] |= bit;
                is_matched = !pattern.is_exception;
            }
        }
        is_matched
    }
}

/// One compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Cleaned, without its `!`.
    text: Vec<u8>,
    pub(super) is_exception: bool,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Exact,
    /// `x/**`: everything that starts with `x/`. The text ends in two stars.
    Prefix,
    /// `**/x`: everything that ends in `/x`, and `x` itself. The text starts with two stars.
    Suffix,
    Program(Box<Program>),
}

impl Pattern {
    fn new(cleaned: Vec<u8>) -> Result<Self, &'static str> {
        let (is_exception, text) = match cleaned.strip_prefix(b"!") {
            Some([]) => return Err("nothing stands after its `!`"),
            Some(rest) => (true, rest.to_vec()),
            None => (false, cleaned),
        };
        // The library asks Go's filepath.Match about the syntax and throws its answer away.
        if match_name(&text, b".").is_err() {
            return Err("`[` is not closed, or nothing stands after `\\`");
        }
        let (kind, codes) = translate(&text);
        let matcher = match kind {
            Kind::Exact => Matcher::Exact,
            Kind::Prefix => Matcher::Prefix,
            Kind::Suffix => Matcher::Suffix,
            Kind::Expression => Matcher::Program(Box::new(Program::new(&codes)?)),
        };
        Ok(Self { text, is_exception, matcher })
    }

    fn matches(&self, path: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.text,
            Matcher::Prefix => path.starts_with(&self.text[..self.text.len() - 2]),
            Matcher::Suffix => {
                let suffix = &self.text[2..];
                path.ends_with(suffix) || suffix.strip_prefix(b"/") == Some(path)
            }
            Matcher::Program(program) => program.matches(path),
        }
    }

    /// The pattern without a last `/**` and a `/*` before it: what stands above all it can match.
    fn stem(&self) -> &[u8] {
        let text = self.text.strip_suffix(b"/**").unwrap_or(&self.text);
        text.strip_suffix(b"/*").unwrap_or(text)
    }

    /// Whether the stem is a plain path (fsutil filter.go, `patternChars`).
    pub(super) fn has_plain_stem(&self) -> bool {
        !self.stem().iter().any(|byte| b"*[]?^\\".contains(byte))
    }

    /// Whether fsutil looks below the directory `dir` for matches, if all stems are plain.
    pub(super) fn may_match_below(&self, dir: &[u8]) -> bool {
        match self.stem().strip_prefix(dir) {
            Some(rest) => rest.is_empty() || rest[0] == b'/',
            None => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Prefix,
    Suffix,
    Expression,
}

/// The regular expression that patternmatcher.go, `compile`, makes of `text`, if it needs one.
fn translate(text: &[u8]) -> (Kind, Vec<u32>) {
    // Go's text/scanner drops a byte order mark in front.
    let mut rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut kind = Kind::Exact;
    let mut out = vec![u32::from('^')];
    let mut is_first = true;
    while let Some((code, len)) = decode(rest) {
        rest = &rest[len..];
        match char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER) {
            '*' if rest.starts_with(b"*") => {
                rest = &rest[1..];
                rest = rest.strip_prefix(b"/").unwrap_or(rest);
                kind = match (rest, kind) {
                    ([], Kind::Exact) => Kind::Prefix,
                    ([], _) => {
                        say(&mut out, ".*");
                        Kind::Expression
                    }
                    _ => {
                        say(&mut out, "(.*/)?");
                        Kind::Expression
                    }
                };
                if is_first {
                    kind = Kind::Suffix;
                }
            }
            '*' => {
                say(&mut out, "[^/]*");
                kind = Kind::Expression;
            }
            '?' => {
                say(&mut out, "[^/]");
                kind = Kind::Expression;
            }
            // Not `{`, `|` and `}`: the library means to, but its table only reaches to `?`.
            '.' | '+' | '(' | ')' | '$' => {
                say(&mut out, "\\");
                out.push(code);
            }
            '\\' => {
                out.push(code);
                if let Some((escaped, len)) = decode(rest) {
                    rest = &rest[len..];
                    out.push(escaped);
                    kind = Kind::Expression;
                }
            }
            '[' | ']' => {
                out.push(code);
                kind = Kind::Expression;
            }
            _ => out.push(code),
        }
        is_first = false;
    }
    say(&mut out, "$");
    (kind, out)
}

fn say(out: &mut Vec<u32>, text: &str) {
    out.extend(text.chars().map(u32::from));
}

/// Compiles the first line of `data` as a pattern and tries it on the second.
#[doc(hidden)]
pub fn fuzz_pattern(data: &[u8]) {
    let mut lines = data.splitn(2, |&byte| byte == b'\n');
    let (pattern, path) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Ok(list) = PatternList::new(&[pattern, b"!*/x"]) {
        let mut own = [0];
        let is_matched = list.matches(path, &[0], &mut own);
        assert!(!is_matched || own[0] & 1 == 1 || list.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Random;

    /// Undoes the corpus's `%XX`.
    fn unescape(text: &str) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            if byte == b'%' {
                let digits = str::from_utf8(&rest[..2]).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[2..];
            } else {
                out.push(byte);
            }
        }
        out
    }

    /// What a walk down `path` finds at each step: `1` matched, `0` not; `E` for a bad pattern.
    fn judged(patterns: &[Vec<u8>], path: &[u8]) -> String {
        let Ok(list) = PatternList::new(patterns) else { return "E".to_owned() };
        let words = list.set_words();
        let mut parent = vec![0; words];
        let ends = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()])
            .map(|end| {
                let mut own = vec![0; words];
                let is_matched = list.matches(&path[..end], &parent, &mut own);
                parent = own;
                if is_matched { '1' } else { '0' }
            })
            .collect()
    }

    /// Rows of patterns, a path, and what moby/patternmatcher v0.6.1 finds at each step down to it.
    const GOLDEN: &str = include_str!("../../../tests/corpus/pattern/golden.txt");

    fn rows() -> impl Iterator<Item = (Vec<Vec<u8>>, Vec<u8>, &'static str)> {
        GOLDEN.lines().map(|row| {
            let [patterns, path, expected] =
                row.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
            (patterns.split(',').map(unescape).collect(), unescape(path), expected)
        })
    }

    #[test]
    fn patterns_match_what_moby_patternmatcher_matches() {
        let mut wrong = Vec::new();
        for ((patterns, path, expected), row) in rows().zip(GOLDEN.lines()) {
            let got = judged(&patterns, &path);
            if got != expected {
                wrong.push(format!("{row}: got {got}"));
            }
        }
        assert!(rows().count() >= 4000);
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    #[test]
    fn hostile_patterns_take_time_in_proportion_to_their_length() {
        let path = "a".repeat(4000);
        for pattern in ["a*".repeat(200) + "b", "**/".repeat(300) + "*b", "a{1000}".repeat(16)] {
            // Backtracking would not come back; this takes milliseconds.
            assert_eq!(judged(&[pattern.into_bytes()], path.as_bytes()), "0");
        }
        let too_long = "a{1000}".repeat(17).into_bytes();
        let error = PatternList::new(&[[&too_long[..], b"*"].concat()]).unwrap_err();
        assert_eq!(error.reason, "it is too long");
    }

    #[test]
    fn an_error_names_the_pattern_as_it_was_given() {
        let error = PatternList::new(&[&b"ok"[..], b" [\xff "]).unwrap_err();
        assert_eq!(
            error.to_string(),
            r"cannot use pattern ` [\xff `: `[` is not closed, or nothing stands after `\`"
        );
    }

    #[test]
    fn no_bytes_make_the_matcher_panic() {
        let mut random = Random::new(0);
        for (patterns, path, _) in rows() {
            let mut data = [&patterns.concat()[..], b"\n", &path].concat();
            fuzz_pattern(&data);
            for _ in 0..8 {
                let at = random.below(data.len());
                match random.below(3) {
                    0 => data[at] = random.below(256) as u8,
                    1 => data.insert(at, b"*[]\\{}|?-^"[random.below(10)]),
                    _ => drop(data.remove(at)),
                }
                fuzz_pattern(&data);
                if data.is_empty() {
                    break;
                }
            }
        }
    }
}
