//! The part of Go's regular expressions that ignore patterns can turn into, run as a set of states.

use std::mem;

use super::gopath::{as_go, decode, encode};

const LAST_CODE: u32 = char::MAX as u32;

const SLASH: u32 = '/' as u32;

/// States of patterns up to this length live on the stack.
const STACK_WORDS: usize = 4;

/// A compiled expression; state `n` means that the first `n` steps are behind.
#[derive(Debug)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// Literal characters at the start: a path without them need not be run.
    head: Vec<u8>,
    /// Literal characters at the end.
    tail: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    One(Set),
    Star(Set),
    /// Jumps behind the next two steps, or goes on: the start of `(.*/)?`.
    Optional,
    Start,
    End,
    /// `\b` if true, `\B` if false.
    WordEdge(bool),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Set {
    Literal(u32),
    NotSlash,
    /// Go's `.`, which is no line break.
    Dot,
    /// Sorted, inclusive ranges.
    Ranges(Vec<(u32, u32)>),
}

impl Set {
    fn contains(&self, code: u32) -> bool {
        match self {
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

impl Program {
    /// Parses `expression`, given as characters.
    pub(super) fn new(expression: &[u32]) -> Result<Self, &'static str> {
        let mut parser = Parser { rest: expression };
        let mut steps = Vec::new();
        while let Some(code) = parser.next() {
            parser.step(code, &mut steps)?;
        }
        let bytes = |codes: &mut dyn Iterator<Item = &Step>| {
            let mut out = Vec::new();
            for step in codes {
                match step {
                    // Go's U+FFFD stands for any stray byte, so it is no literal here.
                    Step::One(Set::Literal(code)) if *code != as_go(u32::MAX) => {
                        let mut one = Vec::new();
                        encode(*code, &mut one);
                        out.push(one);
                    }
                    _ => break,
                }
            }
            out
        };
        let head = match steps.split_first() {
            Some((Step::Start, rest)) => bytes(&mut rest.iter()).concat(),
            _ => Vec::new(),
        };
        let tail = match steps.split_last() {
            Some((Step::End, rest)) => {
                let mut reversed = bytes(&mut rest.iter().rev());
                reversed.reverse();
                reversed.concat()
            }
            _ => Vec::new(),
        };
        Ok(Self { steps, head, tail })
    }

    /// Whether the expression matches at the start of `path`.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        if !path.starts_with(&self.head) || !path.ends_with(&self.tail) {
            return false;
        }
        let words = self.steps.len() / 64 + 1;
        if words <= STACK_WORDS {
            let mut sets = [0; 2 * STACK_WORDS];
            let (current, next) = sets.split_at_mut(STACK_WORDS);
            return self.run(path, &mut current[..words], &mut next[..words]);
        }
        let mut sets = vec![0; 2 * words];
        let (current, next) = sets.split_at_mut(words);
        self.run(path, current, next)
    }

    fn run<'s>(&self, path: &[u8], mut current: &'s mut [u64], mut next: &'s mut [u64]) -> bool {
        current[0] = 1;
        let (mut rest, mut before) = (path, None);
        loop {
            let here = decode(rest);
            if self.advance(current, next, before, here.map(|(code, _)| code)) {
                return true;
            }
            let Some((code, len)) = here else { return false };
            if next.iter().all(|&word| word == 0) {
                return false;
            }
            (before, rest) = (Some(code), &rest[len..]);
            mem::swap(&mut current, &mut next);
            next.fill(0);
        }
    }

    /// Moves every state over the character `here`; true once the last step is behind.
    ///
    /// Steps only lead forward, so one pass in rising order also follows those that take no
    /// character.
    fn advance(
        &self,
        current: &mut [u64],
        next: &mut [u64],
        before: Option<u32>,
        here: Option<u32>,
    ) -> bool {
        for word in 0..current.len() {
            let mut done = 0;
            loop {
                let todo = current[word] & !done;
                if todo == 0 {
                    break;
                }
                let bit = todo.trailing_zeros() as usize;
                done |= 1 << bit;
                let state = word * 64 + bit;
                let Some(step) = self.steps.get(state) else { return true };
                match step {
                    Step::One(set) => {
                        if here.is_some_and(|code| set.contains(code)) {
                            add(next, state + 1);
                        }
                    }
                    Step::Star(set) => {
                        add(current, state + 1);
                        if here.is_some_and(|code| set.contains(code)) {
                            add(next, state);
                        }
                    }
                    Step::Optional => {
                        add(current, state + 1);
                        add(current, state + 3);
                    }
                    Step::Start if before.is_none() => add(current, state + 1),
                    Step::End if here.is_none() => add(current, state + 1),
                    Step::WordEdge(wanted) if (is_word(before) != is_word(here)) == *wanted => {
                        add(current, state + 1);
                    }
                    Step::Start | Step::End | Step::WordEdge(_) => {}
                }
            }
        }
        false
    }
}

fn add(set: &mut [u64], state: usize) {
    set[state / 64] |= 1 << (state % 64);
}

fn is_word(code: Option<u32>) -> bool {
    code.and_then(char::from_u32).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads an expression as Go's regexp/syntax does with Perl flags.
struct Parser<'a> {
    rest: &'a [u32],
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u32> {
        let (&code, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(code)
    }

    fn peek(&self, at: usize) -> Option<char> {
        self.rest.get(at).copied().and_then(char::from_u32)
    }

    fn step(&mut self, code: u32, steps: &mut Vec<Step>) -> Result<(), &'static str> {
        let step = match char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER) {
            // The translation writes a bare `(` only as the start of `(.*/)?`.
            '(' => {
                self.rest = self.rest.get(5..).unwrap_or_default();
                steps.push(Step::Optional);
                steps.push(Step::Star(Set::Dot));
                Step::One(Set::Literal(u32::from('/')))
            }
            '^' => Step::Start,
            '$' => Step::End,
            '.' => Step::One(Set::Dot),
            '*' => match steps.pop() {
                Some(Step::One(set)) => Step::Star(set),
                _ => return Err("its `*` repeats nothing"),
            },
            '[' => Step::One(self.class()?),
            '\\' => self.escape()?,
            _ => Step::One(Set::Literal(code)),
        };
        steps.push(step);
        Ok(())
    }

    fn escape(&mut self) -> Result<Step, &'static str> {
        match self.peek(0) {
            Some('A') => self.skip(Step::Start),
            Some('z') => self.skip(Step::End),
            Some('b') => self.skip(Step::WordEdge(true)),
            Some('B') => self.skip(Step::WordEdge(false)),
            _ => {
                if let Some(ranges) = self.perl_class() {
                    return Ok(Step::One(Set::Ranges(ranges)));
                }
                Ok(Step::One(Set::Literal(self.escaped_char()?)))
            }
        }
    }

    fn skip(&mut self, step: Step) -> Result<Step, &'static str> {
        self.rest = &self.rest[1..];
        Ok(step)
    }

    /// `d`, `s`, `w` and their opposites, the backslash being read.
    fn perl_class(&mut self) -> Option<Vec<(u32, u32)>> {
        let letter = self.peek(0)?;
        let ranges = match letter.to_ascii_lowercase() {
            'd' => named("digit")?,
            'w' => named("word")?,
            // Unlike [:space:] it lacks the vertical tab.
            's' => [('\t', '\n'), ('\x0c', '\r'), (' ', ' ')].map(codes).to_vec(),
            _ => return None,
        };
        self.rest = &self.rest[1..];
        Some(if letter.is_ascii_uppercase() { complement(ranges) } else { ranges })
    }

    /// A single escaped character, the backslash being read.
    fn escaped_char(&mut self) -> Result<u32, &'static str> {
        let code = self.next().ok_or("nothing stands after its `\\`")?;
        let Some(char) = char::from_u32(code).filter(char::is_ascii) else {
            return Err("`\\` stands before a letter that is not ASCII");
        };
        Ok(u32::from(match char {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            _ if char.is_ascii_alphanumeric() => {
                return Err("`\\` stands before a letter or digit that needs none");
            }
            _ => char,
        }))
    }

    /// A class, its `[` being read.
    fn class(&mut self) -> Result<Set, &'static str> {
        let is_negated = self.peek(0) == Some('^');
        if is_negated {
            self.rest = &self.rest[1..];
        }
        let mut ranges = Vec::new();
        let mut is_first = true;
        while is_first || self.peek(0) != Some(']') {
            is_first = false;
            if self.rest.is_empty() {
                return Err(UNCLOSED);
            }
            if let Some(mut more) = self.posix_class()? {
                ranges.append(&mut more);
                continue;
            }
            if self.peek(0) == Some('\\') {
                let whole = self.rest;
                self.rest = &self.rest[1..];
                if let Some(mut more) = self.perl_class() {
                    ranges.append(&mut more);
                    continue;
                }
                self.rest = whole;
            }
            let low = self.class_char()?;
            let mut high = low;
            if self.peek(0) == Some('-') && self.rest.len() > 1 && self.peek(1) != Some(']') {
                self.rest = &self.rest[1..];
                high = self.class_char()?;
            }
            if high < low {
                return Err("a range in its `[` runs backwards");
            }
            ranges.push((low, high));
        }
        self.rest = &self.rest[1..];
        ranges.sort_unstable();
        Ok(match (is_negated, &ranges[..]) {
            (true, [(SLASH, SLASH)]) => Set::NotSlash,
            _ => Set::Ranges(if is_negated { complement(ranges) } else { ranges }),
        })
    }

    fn class_char(&mut self) -> Result<u32, &'static str> {
        match self.next().ok_or(UNCLOSED)? {
            0x5C => self.escaped_char(),
            code => Ok(as_go(code)),
        }
    }

    /// `[:name:]`, if that is what comes next.
    fn posix_class(&mut self) -> Result<Option<Vec<(u32, u32)>>, &'static str> {
        if self.rest.len() <= 2 || self.peek(0) != Some('[') || self.peek(1) != Some(':') {
            return Ok(None);
        }
        let end = [u32::from(':'), u32::from(']')];
        let Some(len) = self.rest[2..].windows(2).position(|pair| pair == end) else {
            return Ok(None);
        };
        let name: String =
            self.rest[2..2 + len].iter().copied().map_while(char::from_u32).collect();
        self.rest = &self.rest[2 + len + 2..];
        let (is_negated, name) = match name.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, &name[..]),
        };
        let ranges = named(name).ok_or("it names an unknown `[:class:]`")?;
        Ok(Some(if is_negated { complement(ranges) } else { ranges }))
    }
}

const UNCLOSED: &str = "`[` is not closed";

fn named(name: &str) -> Option<Vec<(u32, u32)>> {
    let ranges: &[(char, char)] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    };
    Some(ranges.iter().copied().map(codes).collect())
}

fn codes((low, high): (char, char)) -> (u32, u32) {
    (u32::from(low), u32::from(high))
}

/// Everything that is in none of `ranges`, which overlap at will.
fn complement(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut out = Vec::new();
    let mut free = 0;
    for (low, high) in ranges {
        if low > free {
            out.push((free, low - 1));
        }
        free = free.max(high + 1);
    }
    if free <= LAST_CODE {
        out.push((free, LAST_CODE));
    }
    out
}
