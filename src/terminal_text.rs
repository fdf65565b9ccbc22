//! Foreign text made safe to print, and its width on a terminal.
//!
//! A step's output may hold anything. What leaves [`clean`] has printable characters, tabs and
//! colour sequences (SGR) and nothing else, so no build can move our cursor, set a title or
//! answer a terminal query. Printers without colour also apply [`without_color`].

use std::{borrow::Cow, path::Path};

use unicode_width::UnicodeWidthChar;

/// One line of output without its line end, made safe; colour sequences stay.
///
/// Bytes that are not UTF-8 become U+FFFD. A backspace takes the character before it away.
#[must_use]
pub fn clean(raw: &[u8]) -> String {
    if raw.iter().all(|&byte| is_printable_ascii(byte)) {
        return raw.iter().map(|&byte| char::from(byte)).collect();
    }
    let text = String::from_utf8_lossy(raw);
    let mut rest = &*text;
    let mut line = String::with_capacity(rest.len());
    // A backspace must not bite into a colour sequence that was kept.
    let mut erasable_from = 0;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match char {
            ESC | C1_CSI | C1_DCS | C1_SOS..=C1_ST | C1_OSC..=C1_APC => {
                let (sequence, after) = split_sequence(char, rest);
                if let Some(parameters) = sequence {
                    line.push_str("\x1b[");
                    line.push_str(parameters);
                    line.push('m');
                    erasable_from = line.len();
                }
                rest = after;
            }
            '\u{8}' if line.len() > erasable_from => drop(line.pop()),
            '\t' => line.push(char),
            _ if is_unprintable(char) => {}
            _ => line.push(char),
        }
    }
    line
}

/// A name for one line of a display: no colours, no line ends, of bounded length.
#[must_use]
pub fn clean_name(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let line = clean(name[..end].replace(['\n', '\r', '\t'], " ").as_bytes());
    without_color(&line).trim_end().to_owned()
}

/// Foreign text as a part of a message of ours: one line of a few kilobytes.
#[must_use]
pub fn one_line(text: &str) -> String {
    clean_name(&ends(text, NAME_BYTES_MAX))
}

/// A text that is too long without its middle: the end of an error names the cause.
#[must_use]
pub fn ends(text: &str, bytes_max: usize) -> Cow<'_, str> {
    const GAP: &str = " … ";
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let half = bytes_max.saturating_sub(GAP.len()) / 2;
    let (mut head, mut tail) = (half, text.len() - half);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    Cow::Owned(format!("{}{GAP}{}", &text[..head], &text[tail..]))
}

/// A path as a part of a message.
#[must_use]
pub fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

/// A message of several lines, whatever got into it: no sequences, nothing that turns directions, of bounded length.
#[must_use]
pub fn message(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line = |line: &str| without_color(&clean(line.as_bytes())).into_owned();
    let mut lines: Vec<String> = text[..end].split('\n').map(line).collect();
    if end < text.len() {
        lines.push(format!("… and {} bytes more", text.len() - end));
    }
    lines.join("\n")
}

/// JSON whose texts hold no character that steers a terminal: such ones stand in strings only, and are escaped.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| is_printable_ascii(byte) || byte == b'\n') {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        // All of them are in the first plane.
        match char {
            '\n' | '\t' => escaped.push(char),
            _ if is_unprintable(char) => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            _ => escaped.push(char),
        }
    }
    Cow::Owned(escaped)
}

/// Cleaned text without its colour sequences.
#[must_use]
pub fn without_color(cleaned: &str) -> Cow<'_, str> {
    if !cleaned.contains(ESC) {
        return Cow::Borrowed(cleaned);
    }
    let mut text = String::with_capacity(cleaned.len());
    let mut parts = cleaned.split(ESC);
    text.extend(parts.next());
    for part in parts {
        // `clean` leaves only sequences that end in `m` and have no `m` inside.
        text.extend(part.split_once('m').map(|(_, after)| after));
    }
    Cow::Owned(text)
}

/// Terminal columns of cleaned text without colours.
///
/// The sum over the characters: an emoji joined of several may come out too wide, never too
/// narrow, so a line held to this width does not wrap.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

/// As much of `text` as fits, the last column an ellipsis if something was cut; tabs widened.
#[must_use]
pub fn fit(text: &str, columns_max: usize) -> String {
    let text = widen_tabs(text);
    if columns(&text) <= columns_max {
        return text.into_owned();
    }
    let Some(room) = columns_max.checked_sub(1) else { return String::new() };
    let mut used = 0;
    let mut cut = String::new();
    for char in text.chars() {
        used += char_columns(char);
        if used > room {
            break;
        }
        cut.push(char);
    }
    cut.push('…');
    cut
}

fn widen_tabs(text: &str) -> Cow<'_, str> {
    if !text.contains('\t') {
        return Cow::Borrowed(text);
    }
    let mut wide = String::with_capacity(text.len() + TAB_COLUMNS);
    let mut column = 0;
    for char in text.chars() {
        if char != '\t' {
            wide.push(char);
            column += char_columns(char);
            continue;
        }
        let gap = TAB_COLUMNS - column % TAB_COLUMNS;
        wide.extend(std::iter::repeat_n(' ', gap));
        column += gap;
    }
    Cow::Owned(wide)
}

fn char_columns(char: char) -> usize {
    // U+FE0F asks for the emoji form of the character before it, which is two columns wide.
    if char == '\u{fe0f}' {
        return 1;
    }
    char.width().unwrap_or(0)
}

/// Splits the sequence that `introducer` began off `rest`: SGR parameters if it is one, the rest.
///
/// ECMA-48, 5.4: a control sequence is parameters 0x30-0x3F, intermediates 0x20-0x2F and a final
/// byte 0x40-0x7E; a control string (5.6) ends in ST, for xterm also in BEL. A sequence that is
/// broken off takes only what belongs to it, so the text after it stays readable.
fn split_sequence(introducer: char, rest: &str) -> (Option<&str>, &str) {
    let (kind, rest) = if introducer == ESC {
        match rest.chars().next() {
            Some(second @ ('[' | ']' | 'P' | 'X' | '^' | '_')) => (second, &rest[1..]),
            _ => return (None, skip_short_escape(rest)),
        }
    } else {
        (if introducer == C1_CSI { '[' } else { ']' }, rest)
    };
    if kind != '[' {
        return (None, skip_control_string(rest));
    }
    let parameters_end = rest.find(|char| !matches!(char, '0'..='?')).unwrap_or(rest.len());
    let (parameters, tail) = rest.split_at(parameters_end);
    let after_intermediates = tail.trim_start_matches(|char| matches!(char, ' '..='/'));
    let Some(last @ '@'..='~') = after_intermediates.chars().next() else {
        return (None, after_intermediates);
    };
    let is_color = last == 'm'
        && tail.len() == after_intermediates.len()
        && parameters.len() <= SGR_BYTES_MAX
        && parameters.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'));
    (is_color.then_some(parameters), &after_intermediates[1..])
}

fn skip_control_string(rest: &str) -> &str {
    for (index, char) in rest.char_indices() {
        match char {
            '\u{7}' | C1_ST => return &rest[index + char.len_utf8()..],
            // ST is ESC `\`; any other escape ends the string and begins anew.
            ESC if rest[index + 1..].starts_with('\\') => return &rest[index + 2..],
            ESC => return &rest[index..],
            _ => {}
        }
    }
    ""
}

fn skip_short_escape(rest: &str) -> &str {
    let after_intermediates = rest.trim_start_matches(|char| matches!(char, ' '..='/'));
    match after_intermediates.chars().next() {
        Some('0'..='~') => &after_intermediates[1..],
        _ => after_intermediates,
    }
}

fn is_printable_ascii(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

/// Controls of both sets, line ends of Unicode, and the characters that turn the direction of what follows.
fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const ESC: char = '\u{1b}';
const C1_DCS: char = '\u{90}';
const C1_SOS: char = '\u{98}';
const C1_CSI: char = '\u{9b}';
const C1_ST: char = '\u{9c}';
const C1_OSC: char = '\u{9d}';
const C1_APC: char = '\u{9f}';
const SGR_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 4096;
const MESSAGE_BYTES_MAX: usize = 64 << 10;
const TAB_COLUMNS: usize = 8;

/// Fuzz target: cleaning any bytes gives text that holds nothing but text and colours.
#[doc(hidden)]
pub fn fuzz_log_text(data: &[u8]) {
    let cleaned = clean(data);
    let bare = without_color(&cleaned);
    assert!(!bare.chars().any(|char| char != '\t' && is_unprintable(char)), "{bare:?}");
    assert_eq!(clean(cleaned.as_bytes()), cleaned, "cleaning twice changes nothing");
    for columns_max in [0, 1, 2, 7] {
        assert!(columns(&fit(&bare, columns_max)) <= columns_max, "{bare:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn clean_keeps_text_and_colors_and_nothing_else() {
        let cases: [(&[u8], &str); 22] = [
            (b"plain text\tand tab", "plain text\tand tab"),
            (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
            (b"\x1b[38;2;1;2;3mtrue\x1b[m", "\x1b[38;2;1;2;3mtrue\x1b[m"),
            (b"\x1b[2J\x1b[1;1Hwiped", "wiped"),
            (b"\x1b[?25lhidden cursor", "hidden cursor"),
            (b"\x1b[>4;2mnot a colour", "not a colour"),
            (b"\x1b]0;new title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1bP+q544e\x1b\\dcs", "dcs"),
            (b"\x1b]52;c;never ended", ""),
            (b"\x1b]0;title\x1b[31mred", "\x1b[31mred"),
            (b"\x1b(Bcharset", "charset"),
            (b"\x1bcreset", "reset"),
            (b"broken off \x1b[3", "broken off "),
            (b"at the end \x1b", "at the end "),
            (b"bell\x07 null\0 del\x7f", "bell null del"),
            ("C1 \u{9b}2Jcsi \u{9d}0;t\u{9c}osc \u{85}nel".as_bytes(), "C1 csi osc nel"),
            (b"\xff\xfe bad utf-8 \xc3", "\u{fffd}\u{fffd} bad utf-8 \u{fffd}"),
            (b"-\x08\\\x08|\x08/", "/"),
            (b"\x1b[1m\x08\x08x", "\x1b[1mx"),
            ("abc\u{202e}fdp.exe".as_bytes(), "abcfdp.exe"),
            ("grüße 日本 🎉".as_bytes(), "grüße 日本 🎉"),
        ];
        for (raw, expected) in cases {
            assert_eq!(clean(raw), expected, "{:?}", String::from_utf8_lossy(raw));
            fuzz_log_text(raw);
        }
    }

    #[test]
    fn names_are_one_line_without_colors() {
        assert_eq!(
            clean_name("RUN <<EOF\nset -e\n\x1b[31mnpm ci\x1b[0m\n"),
            "RUN <<EOF set -e npm ci"
        );
        assert_eq!(clean_name(&"é".repeat(5000)).len(), NAME_BYTES_MAX);
    }

    #[test]
    fn messages_keep_their_lines_and_foreign_text_in_them_is_one() {
        assert_eq!(message("a\n  ^\x1b[31m b\x1b]0;t\x07\u{9b}2J\u{2028}\nc"), "a\n  ^ b\nc");
        assert_eq!(one_line("a\r\nerror: \u{200f}x"), "a  error: x");
        let middle = one_line(&format!("head {} tail", "é".repeat(9000)));
        assert!(middle.starts_with("head é") && middle.ends_with("é tail"), "{middle}");
        assert!(middle.len() <= NAME_BYTES_MAX, "{}", middle.len());
        let long = message(&"x".repeat(100_000));
        assert!(long.len() < 66_000 && long.ends_with("bytes more"), "{}", long.len());
    }

    #[test]
    fn json_means_the_same_without_characters_that_steer() {
        let texts = ["plain", "\u{9b}31m \u{7f} \u{202e} \u{2028} é 日", "\x1b[0m \n \t \"\\"];
        let given = serde_json::to_string(&texts).unwrap();
        let escaped = json(&given);
        assert!(!escaped.chars().any(is_unprintable), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), texts);
    }

    #[test]
    fn fit_never_passes_the_width() {
        let cases = [
            ("short", 10, "short"),
            ("exactly10!", 10, "exactly10!"),
            ("eleven long", 10, "eleven lo…"),
            ("日本語テキスト", 7, "日本語…"),
            ("日本語テキスト", 6, "日本…"),
            ("a\tb", 10, "a       b"),
            ("anything", 1, "…"),
            ("anything", 0, ""),
            ("", 0, ""),
        ];
        for (text, columns_max, expected) in cases {
            assert_eq!(fit(text, columns_max), expected, "{text} in {columns_max}");
        }
    }

    #[test]
    fn hostile_bytes_never_leave_a_control_sequence() {
        let seeds: [&[u8]; 4] = [
            b"\x1b[31;1mred\x1b[0m \x1b]0;t\x07 \x1bPq\x1b\\ \x08\x08",
            "\u{9b}31m\u{9d}x\u{9c}日本\u{202e}🎉\u{fe0f}".as_bytes(),
            b"\xff\xc3\x1b\x1b[[\x1b]\x1b\\mm",
            b"\x1b[\x1b[\x1b[31m\x1b#8\x1b%G",
        ];
        for seed in seeds {
            mutate(seed, b"\x1b[]m;0\x07\x9b\xc2", 5000, fuzz_log_text);
        }
    }
}
