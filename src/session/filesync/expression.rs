//! The part of Go's regular expressions that an ignore pattern can turn into, parsed.
//!
//! As regexp/syntax of Go 1.26 reads them with Perl flags. Not there: `\p` and `\P`, which need
//! tables of all scripts; a pattern with one is refused.

use super::{
    gopath::as_go,
    step::{Set, Step},
};

const LAST_CODE: u32 = char::MAX as u32;

const SLASH: u32 = '/' as u32;

/// Go's limit for the numbers in `{n,m}`.
const REPEAT_MAX: usize = 1000;

/// A path is matched in at most so many steps per character.
const STEPS_MAX: usize = 1 << 14;

const BAD_ESCAPE: &str = "`\\` stands before a letter or digit without a meaning";

const UNCLOSED: &str = "`[` is not closed";

/// The alternatives of `expression`, which is given as characters.
pub(super) fn parse(expression: &[u32]) -> Result<Vec<Vec<Step>>, &'static str> {
    let mut parser = Parser { rest: expression, atom: None, steps: Vec::new() };
    let mut alternatives = Vec::new();
    let mut steps_left = STEPS_MAX;
    while let Some(code) = parser.next() {
        if code == u32::from('|') {
            alternatives.push(std::mem::take(&mut parser.steps));
            parser.atom = None;
        } else {
            let before = parser.steps.len();
            parser.step(code)?;
            let added = parser.steps.len().saturating_sub(before);
            steps_left = steps_left.checked_sub(added).ok_or("it is too long")?;
        }
    }
    alternatives.push(parser.steps);
    Ok(alternatives)
}

/// Reads an expression as Go's regexp/syntax does with Perl flags.
struct Parser<'a> {
    rest: &'a [u32],
    /// What was read last and may be repeated.
    atom: Option<Atom>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Atom {
    /// The last step.
    Single,
    /// Go forbids to repeat a repetition.
    Repeated,
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

    fn step(&mut self, code: u32) -> Result<(), &'static str> {
        let step = match char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER) {
            // The translation writes a bare `(` only as the start of `(.*/)?`.
            '(' => {
                self.rest = self.rest.get(5..).unwrap_or_default();
                let slash = Step::One(Set::Literal(SLASH));
                self.steps.extend([Step::Skip(3), Step::Star(Set::Dot), slash]);
                self.atom = Some(Atom::Repeated);
                return Ok(());
            }
            '*' => return self.repeat(0, None),
            '{' => match self.repeat_counts() {
                Some((min, max)) => return self.repeat(min, max),
                None => Step::One(Set::Literal(code)),
            },
            '^' => Step::Start,
            '$' => Step::End,
            '.' => Step::One(Set::Dot),
            '[' => Step::One(self.class()?),
            '\\' => match self.peek(0) {
                Some('Q') => return self.quoted(),
                _ => self.escape()?,
            },
            _ => Step::One(Set::Literal(code)),
        };
        self.push(step);
        Ok(())
    }

    fn push(&mut self, step: Step) {
        self.atom = Some(Atom::Single);
        self.steps.push(step);
    }

    /// Repeats what stands before; without a `max` there is no end.
    fn repeat(&mut self, min: usize, max: Option<usize>) -> Result<(), &'static str> {
        if min.max(max.unwrap_or_default()) > REPEAT_MAX || max.is_some_and(|max| max < min) {
            return Err("it repeats something too often");
        }
        if self.atom != Some(Atom::Single) {
            return Err("it repeats nothing, or a repetition");
        }
        let Some(step) = self.steps.pop() else { return Ok(()) };
        self.atom = Some(Atom::Repeated);
        self.steps.extend((0..min).map(|_| step.clone()));
        match (max, step) {
            (None, Step::One(set)) => self.steps.push(Step::Star(set)),
            // What takes no character is there or is not.
            (None, step) => self.steps.extend([Step::Skip(2), step]),
            (Some(max), step) => {
                let more = (min..max).flat_map(|_| [Step::Skip(2), step.clone()]);
                self.steps.extend(more);
            }
        }
        Ok(())
    }

    /// The counts of `{n}`, `{n,}` or `{n,m}`, the `{` being read; else it is a literal.
    fn repeat_counts(&mut self) -> Option<(usize, Option<usize>)> {
        let end = self.rest.iter().position(|&code| code == u32::from('}'))?;
        let inside: Option<String> =
            self.rest[..end].iter().map(|&code| char::from_u32(code)).collect();
        let inside = inside?;
        let number = |digits: &str| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.is_empty()
                && (digits == "0" || !digits.starts_with('0'));
            // Too large a number is too large in any case.
            is_number.then(|| digits.parse().unwrap_or(usize::MAX))
        };
        let counts = match inside.split_once(',') {
            None => (number(&inside)?, Some(number(&inside)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        self.rest = &self.rest[end + 1..];
        Some(counts)
    }

    /// Literal text up to `\E`, the first backslash being read.
    fn quoted(&mut self) -> Result<(), &'static str> {
        self.rest = &self.rest[1..];
        let end = [u32::from('\\'), u32::from('E')];
        while let Some(code) = self.next() {
            if code == end[0] && self.rest.first() == Some(&end[1]) {
                self.rest = &self.rest[1..];
                break;
            }
            self.push(Step::One(Set::Literal(code)));
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<Step, &'static str> {
        let edge = match self.peek(0) {
            Some('A') => Step::Start,
            Some('z') => Step::End,
            Some('b') => Step::WordEdge(true),
            Some('B') => Step::WordEdge(false),
            _ => {
                return Ok(Step::One(match self.perl_class() {
                    Some(ranges) => Set::Ranges(ranges),
                    None => Set::Literal(self.escaped_char()?),
                }));
            }
        };
        self.rest = &self.rest[1..];
        Ok(edge)
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
            'x' => return self.hex_char().ok_or(BAD_ESCAPE),
            '0' => return Ok(self.octal_char(0)),
            '1'..='7' if self.digit(0, 8).is_some() => return Ok(self.octal_char(code - 0x30)),
            _ if char.is_ascii_alphanumeric() => return Err(BAD_ESCAPE),
            _ => char,
        }))
    }

    /// Up to two more octal digits.
    fn octal_char(&mut self, first: u32) -> u32 {
        let mut code = first;
        for _ in 0..2 {
            let Some(digit) = self.digit(0, 8) else { break };
            code = code * 8 + digit;
            self.rest = &self.rest[1..];
        }
        code
    }

    /// Two hexadecimal digits, or any number of them in braces.
    fn hex_char(&mut self) -> Option<u32> {
        if self.peek(0) != Some('{') {
            let code = self.digit(0, 16)? * 16 + self.digit(1, 16)?;
            self.rest = &self.rest[2..];
            return Some(code);
        }
        let len = self.rest[1..].iter().position(|&code| code == u32::from('}'))?;
        let mut code = 0;
        for at in 1..=len {
            code = Some(code * 16 + self.digit(at, 16)?).filter(|&code| code <= LAST_CODE)?;
        }
        self.rest = &self.rest[len + 2..];
        (len > 0).then_some(code)
    }

    fn digit(&self, at: usize, radix: u32) -> Option<u32> {
        self.peek(at)?.to_digit(radix)
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
