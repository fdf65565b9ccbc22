//! What breaks JSON itself: the words for it and where it is.

use super::error::{Flaw, SHOWN_CHARS_MAX, line_of, safe};

/// Refuses deep nesting; else the start of the innermost bracket that is never closed.
///
/// serde_json skips values without recursion, so this bounds what a person reads, not the stack.
pub(super) fn depth(text: &str) -> Result<Option<usize>, Flaw> {
    let mut open = Vec::new();
    let mut in_string = false;
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' if open.len() == DEPTH_MAX => {
                let message = format!("expected at most {DEPTH_MAX} levels of nesting, found more");
                return Err(Flaw::new(offset, 1, message));
            }
            b'[' | b'{' => open.push(offset),
            b']' | b'}' => drop(open.pop()),
            _ => {}
        }
    }
    Ok(open.pop())
}

/// Says in our own words what serde_json found in `text`.
pub(super) fn flaw(text: &str, error: &serde_json::Error, unclosed: Option<usize>) -> Flaw {
    let full = error.to_string();
    let reason = full.split(" at line ").next().unwrap_or_default();
    if error.is_eof() {
        let message = match reason {
            "EOF while parsing a string" => "the file ends inside a string",
            "EOF while parsing a list" => "the file ends inside an array",
            "EOF while parsing an object" => "the file ends inside an object",
            _ => "the file ends where a value is expected",
        };
        let help = unclosed.map(|at| {
            let bracket = if text[at..].starts_with('{') { "}" } else { "]" };
            format!("no `{bracket}` closes what line {} opens", line_of(text, at))
        });
        return Flaw { help, ..Flaw::new(text.trim_end().len(), 1, message) };
    }
    let offset = offset_of(text, error.line(), error.column());
    let found = word_at(text, offset);
    let expected = |what: &str| format!("expected {what}, found {}", found_shown(found));
    let message = match reason {
        "expected value" | "expected ident" | "trailing comma" => expected("a JSON value"),
        "key must be a string" => expected("a key in double quotes"),
        "trailing characters" => expected("the end of the file"),
        "invalid escape" => "unknown escape sequence in a string".to_owned(),
        "invalid number" => "expected a JSON number".to_owned(),
        _ if reason.starts_with("control character") => {
            "a string holds a raw control character".to_owned()
        }
        _ if reason.starts_with("expected `") => expected(&reason["expected ".len()..]),
        _ => safe(reason, SHOWN_CHARS_MAX),
    };
    let after_comma = text[..offset].trim_end().ends_with(',');
    let help = match found {
        "}" | "]" if after_comma => Some("leave out the comma before it"),
        found => advice(reason, found),
    };
    Flaw { help: help.map(str::to_owned), ..Flaw::new(offset, found.len().max(1), message) }
}

fn advice(reason: &str, found: &str) -> Option<&'static str> {
    match (reason, found.as_bytes().first()) {
        ("invalid escape", _) => Some("write a backslash as `\\\\`"),
        ("invalid number", _) => Some("no leading zeros, no `+`, digits on both sides of the dot"),
        (reason, _) if reason.starts_with("control character") => {
            Some("write a line break as `\\n` and a tab as `\\t`")
        }
        (reason, Some(b'"')) if reason.contains("`,`") => Some("a comma is missing before it"),
        (_, Some(b'/' | b'#')) => {
            Some("JSON has no comments; fields that start with `x-` can hold notes")
        }
        (_, Some(b'\'')) => Some("JSON strings take double quotes"),
        ("trailing characters", _) => Some("several services are one array: `[{…}, {…}]`"),
        _ => match found {
            "NaN" | "Infinity" | "undefined" | "None" => {
                Some("write `null`, or leave the field out")
            }
            "True" | "False" => Some("write `true` and `false` in lower case"),
            _ => None,
        },
    }
}

/// serde_json counts bytes from 1; column 0 is the line break before the line.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start = match line.checked_sub(2) {
        Some(newlines) => text.match_indices('\n').nth(newlines).map_or(0, |(at, _)| at + 1),
        None => 0,
    };
    let mut offset = (start + column).saturating_sub(1).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The word that begins at `offset`, else the character.
fn word_at(text: &str, offset: usize) -> &str {
    let rest = &text[offset..];
    let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    match word {
        0 => &rest[..rest.chars().next().map_or(0, char::len_utf8)],
        word => &rest[..word],
    }
}

fn found_shown(found: &str) -> String {
    match found {
        "\n" | "\r" => "the end of the line".to_owned(),
        "\"" => "a string".to_owned(),
        found => format!("`{}`", safe(found, SHOWN_CHARS_MAX)),
    }
}

/// The format itself needs five levels, six in an array; the rest is for `x-` fields.
const DEPTH_MAX: usize = 64;
