//! What is wrong with a spec file, in words for the one who wrote it.

use std::fmt;

use super::nearest::nearest;

/// Why a spec file, or a service in it, cannot be used.
///
/// The text of a syntax or field error has several lines; each problem begins with
/// `FILE:LINE:COLUMN:`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// The file breaks the format.
    Invalid {
        /// Name of the file; `-` is standard input.
        file: String,
        /// In file order, at least one, at most 20.
        problems: Vec<Problem>,
        /// How many more there are.
        more: usize,
    },
    /// The file holds several services and none was asked for.
    ServiceNotChosen {
        /// Name of the file; `-` is standard input.
        file: String,
        /// The services that can be asked for, in file order.
        names: Vec<String>,
    },
    /// No service of the file has this name.
    UnknownService {
        /// Name of the file; `-` is standard input.
        file: String,
        /// The name that was asked for.
        asked: String,
        /// The services that can be asked for, in file order.
        names: Vec<String>,
    },
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The field: `services[2].runtime.ports[0]`; empty for the file as a whole.
    pub path: String,
    /// What was expected and what was found; one line.
    pub message: String,
    /// What to do about it; one line.
    pub help: Option<String>,
    /// The line the problem is in, where showing it helps.
    pub excerpt: Option<Excerpt>,
}

/// A piece of a source line, fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The piece: no tabs, no control characters, at most 100 characters and two dots.
    pub text: String,
    /// Characters before the marked part.
    pub indent: usize,
    /// Characters of the marked part, at least 1.
    pub width: usize,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { file, problems, more } => {
                let file = file_shown(file);
                for (index, problem) in problems.iter().enumerate() {
                    if index > 0 {
                        write!(f, "\n\n")?;
                    }
                    problem.write(f, &file)?;
                }
                match more {
                    0 => Ok(()),
                    more => write!(f, "\n\n{file}: and {more} more"),
                }
            }
            Self::ServiceNotChosen { file, names } => {
                let file = file_shown(file);
                write!(f, "{file}: several services, and none was chosen\n{}", choice(names))
            }
            Self::UnknownService { file, asked, names } => {
                let asked_shown = safe(asked, SHOWN_CHARS_MAX);
                writeln!(f, "{}: no service is named `{asked_shown}`", file_shown(file))?;
                match nearest(asked, names.iter().map(String::as_str)) {
                    Some(name) => {
                        write!(f, "help: did you mean `{}`?", safe(name, SHOWN_CHARS_MAX))
                    }
                    None => write!(f, "{}", choice(names)),
                }
            }
        }
    }
}

impl std::error::Error for SpecError {}

impl Problem {
    fn write(&self, f: &mut fmt::Formatter<'_>, file: &str) -> fmt::Result {
        write!(f, "{file}:{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        if let Some(Excerpt { text, indent, width }) = &self.excerpt {
            let line = self.line.to_string();
            let gutter = line.len();
            write!(f, "\n  {line} | {text}")?;
            write!(f, "\n  {:gutter$} | {:indent$}{}", "", "", "^".repeat(*width))?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

/// A problem before its place is counted in lines.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    /// Byte in the text.
    pub(super) offset: usize,
    /// Bytes to mark.
    pub(super) len: usize,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Byte of what came first, where this is one too many; told as a line.
    pub(super) first: Option<usize>,
}

impl Flaw {
    pub(super) fn new(offset: usize, len: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { offset, len, path: String::new(), message, help: None, first: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Orders the flaws as the file has them and counts their lines; the rest is a number.
pub(super) fn invalid(file: &str, text: &str, mut flaws: Vec<Flaw>) -> SpecError {
    flaws.sort_by_key(|flaw| flaw.offset);
    let more = flaws.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    flaws.truncate(PROBLEMS_SHOWN_MAX);
    let problems = flaws.into_iter().map(|flaw| locate(text, flaw)).collect();
    SpecError::Invalid { file: file.to_owned(), problems, more }
}

/// Line of a byte, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&b| b == b'\n').count()
}

/// Cuts foreign text to `chars_max` and replaces what a terminal would act on.
pub(super) fn safe(text: &str, chars_max: usize) -> String {
    let mut out: String = text.chars().take(chars_max).map(safe_char).collect();
    if text.chars().nth(chars_max).is_some() {
        out.push('…');
    }
    out
}

fn locate(text: &str, flaw: Flaw) -> Problem {
    let offset = floor(text, flaw.offset);
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let line = line_of(text, start);
    let column = text[start..offset].chars().count() + 1;
    let end = text[offset..].find('\n').map_or(text.len(), |newline| offset + newline);
    let marked_end = floor(text, (offset + flaw.len).min(end));
    let marked = text[offset..marked_end].trim_end().chars().count();
    let message = match flaw.first {
        Some(first) => format!("{}, first in line {}", flaw.message, line_of(text, first)),
        None => flaw.message,
    };
    let excerpt = excerpt(text[start..end].trim_end(), column - 1, marked);
    Problem { line, column, path: flaw.path, message, help: flaw.help, excerpt }
}

/// Shows `LINE_CHARS_MAX` characters around the mark.
fn excerpt(line: &str, before: usize, marked: usize) -> Option<Excerpt> {
    if line.is_empty() {
        return None;
    }
    let total = line.chars().count();
    let first = match total > LINE_CHARS_MAX {
        true => before.saturating_sub(LINE_CHARS_MAX / 2).min(total - LINE_CHARS_MAX),
        false => 0,
    };
    let shown = total.min(first + LINE_CHARS_MAX) - first;
    let mut text = String::new();
    if first > 0 {
        text.push('…');
    }
    text.extend(line.chars().skip(first).take(shown).map(safe_char));
    if first + shown < total {
        text.push('…');
    }
    let indent = before - first + usize::from(first > 0);
    let width = marked.min((first + shown).saturating_sub(before)).max(1);
    Some(Excerpt { text, indent, width })
}

/// One character for one character, so that the caret stays below its target.
fn safe_char(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        // Invisible, or turning the reading direction around.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => '\u{fffd}',
        '\u{feff}' | '\u{061c}' => '\u{fffd}',
        c => c,
    }
}

fn file_shown(file: &str) -> String {
    match file {
        "-" => "stdin".to_owned(),
        file => safe(file, FILE_CHARS_MAX),
    }
}

fn choice(names: &[String]) -> String {
    if names.is_empty() {
        return "help: the services have no names: give them a `metadata.project_name`".to_owned();
    }
    let shown: Vec<_> = names
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(|name| format!("`{}`", safe(name, SHOWN_CHARS_MAX)))
        .collect();
    let rest = match names.len() - shown.len() {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    format!("help: choose one with `--service`: {}{rest}", shown.join(", "))
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Problems told one by one; of the others only the number is told.
const PROBLEMS_SHOWN_MAX: usize = 20;
const NAMES_SHOWN_MAX: usize = 50;
const LINE_CHARS_MAX: usize = 100;
const FILE_CHARS_MAX: usize = 300;
/// Characters shown of a name or value.
pub(super) const SHOWN_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: usize, len: usize, expected: &str) {
        let flaw = Flaw::new(offset, len, "bad");
        assert_eq!(invalid("f", text, vec![flaw]).to_string(), expected);
    }

    #[test]
    fn the_caret_stands_below_its_target() {
        check("ab\n\tcd ef\n", 4, 2, "f:2:2: bad\n  2 |  cd ef\n    |  ^^");
        check("äöü", 4, 2, "f:1:3: bad\n  1 | äöü\n    |   ^");
        check("ab\r\ncd", 2, 9, "f:1:3: bad\n  1 | ab\n    |   ^");
        check("\u{1b}[31mred", 5, 3, "f:1:6: bad\n  1 | \u{fffd}[31mred\n    |      ^^^");
        check("a\u{202e}b", 4, 1, "f:1:3: bad\n  1 | a\u{fffd}b\n    |   ^");
        check("ab", 99, 9, "f:1:3: bad\n  1 | ab\n    |   ^");
        check("a\n\n", 2, 1, "f:2:1: bad");
        check("", 0, 0, "f:1:1: bad");
    }

    #[test]
    fn a_long_line_is_cut_around_its_target() {
        let text = "x".repeat(500);
        let mark = |indent: usize| format!("{}^^^", " ".repeat(indent));
        let row = "x".repeat(100);
        check(&text, 0, 3, &format!("f:1:1: bad\n  1 | {row}…\n    | {}", mark(0)));
        check(&text, 250, 3, &format!("f:1:251: bad\n  1 | …{row}…\n    | {}", mark(51)));
        check(&text, 497, 3, &format!("f:1:498: bad\n  1 | …{row}\n    | {}", mark(98)));
        let long = SpecError::ServiceNotChosen { file: "-".to_owned(), names: vec![text] };
        assert!(long.to_string().len() < 200, "{long}");
    }

    #[test]
    fn twenty_problems_are_told_in_file_order() {
        let flaw = |offset| Flaw::new(offset, 1, format!("at {offset}"));
        let text = "y".repeat(50);
        let told = invalid("f", &text, (0..30).rev().map(flaw).collect()).to_string();
        let heads: Vec<_> = told.lines().filter(|line| line.starts_with("f:")).collect();
        assert_eq!(heads.len(), 21);
        assert_eq!(heads[0], "f:1:1: at 0");
        assert_eq!(heads[19], "f:1:20: at 19");
        assert_eq!(heads[20], "f: and 10 more");
    }
}
