//! Go's view of a path: `strings.TrimSpace`, `path/filepath` `Clean`, `Join` and `Match`, and
//! reading characters out of bytes that may not be UTF-8. On bytes, for Unix.

use std::str;

/// Codes from here on stand for stray bytes; Go sees U+FFFD for each of them.
const STRAY: u32 = 0x11_0000;

const REPLACEMENT: u32 = 0xFFFD;

/// A syntax that Go's `filepath.Match` refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPattern;

/// The first character of `bytes` and its length; a byte that starts none is one by itself.
pub(super) fn decode(bytes: &[u8]) -> Option<(u32, usize)> {
    let &first = bytes.first()?;
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let head = &bytes[..bytes.len().min(4)];
    let valid = match str::from_utf8(head) {
        Ok(text) => text,
        // What precedes the fault is valid by the definition of `valid_up_to`.
        Err(fault) => str::from_utf8(&head[..fault.valid_up_to()]).unwrap_or_default(),
    };
    Some(match valid.chars().next() {
        Some(char) => (u32::from(char), char.len_utf8()),
        None => (STRAY + u32::from(first), 1),
    })
}

/// What Go makes of `code`.
pub(super) fn as_go(code: u32) -> u32 {
    if code >= STRAY { REPLACEMENT } else { code }
}

/// The bytes `code` was decoded from.
pub(super) fn encode(code: u32, out: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.push(code.to_le_bytes()[0]),
    }
}

/// Strips white space at both ends; beyond ASCII only where `bytes` is UTF-8 as a whole.
pub(super) fn trim_space(bytes: &[u8]) -> &[u8] {
    if let Ok(text) = str::from_utf8(bytes) {
        return text.trim().as_bytes();
    }
    let is_space = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
    let start = bytes.iter().position(|byte| !is_space(byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// `filepath.Clean`: the shortest path of the same meaning; `.` for an empty one.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let is_rooted = path.first() == Some(&b'/');
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(&last) if last != b".." => {
                    parts.pop();
                }
                _ if is_rooted => {}
                _ => parts.push(part),
            },
            _ => parts.push(part),
        }
    }
    let mut out = if is_rooted { b"/".to_vec() } else { Vec::new() };
    out.extend_from_slice(&parts.join(&b'/'));
    if out.is_empty() { b".".to_vec() } else { out }
}

/// `filepath.Join`: both with a slash between, cleaned; empty if both are.
pub(super) fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    match (first, second) {
        ([], []) => Vec::new(),
        ([], only) | (only, []) => clean(only),
        _ => clean(&[first, second].join(&b'/')),
    }
}

/// `filepath.Dir`: everything before the last slash, cleaned.
pub(super) fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    clean(&path[..end])
}

/// The part behind the last slash of a cleaned path.
pub(super) fn base(path: &[u8]) -> &[u8] {
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    &path[start..]
}

/// `filepath.Match` of Go 1.26: also what it overlooks, such as bad syntax behind a mismatch.
///
/// Every `*` goes on from the first place where what follows it fits: at most
/// pattern × name steps for each chunk between two `*`.
pub(super) fn match_name(pattern: &[u8], name: &[u8]) -> Result<bool, BadPattern> {
    let (mut pattern, mut name) = (pattern, name);
    'chunks: while !pattern.is_empty() {
        let (is_star, chunk, rest) = split_chunk(pattern);
        pattern = rest;
        if is_star && chunk.is_empty() {
            return Ok(!name.contains(&b'/'));
        }
        let fits = |tail: Option<&[u8]>| tail.is_some_and(|t| t.is_empty() || !rest.is_empty());
        let tail = match_chunk(chunk, name)?;
        if fits(tail) {
            name = tail.unwrap_or_default();
            continue;
        }
        let skippable = name.iter().take_while(|&&byte| byte != b'/').count();
        for skipped in 1..=if is_star { skippable } else { 0 } {
            let tail = match_chunk(chunk, &name[skipped..])?;
            if fits(tail) {
                name = tail.unwrap_or_default();
                continue 'chunks;
            }
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Leading stars, what follows up to the next star, and the rest.
fn split_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|&&byte| byte == b'*').count();
    let body = &pattern[stars..];
    let (mut at, mut in_range) = (0, false);
    while at < body.len() {
        match body[at] {
            b'\\' if at + 1 < body.len() => at += 1,
            b'[' => in_range = true,
            b']' => in_range = false,
            b'*' if !in_range => break,
            _ => {}
        }
        at += 1;
    }
    (stars > 0, &body[..at], &body[at..])
}

/// Matches a chunk without stars at the start of `name`; gives what is left of it.
///
/// Goes on to the end of the chunk after a mismatch, to see bad syntax.
fn match_chunk<'n>(chunk: &[u8], name: &'n [u8]) -> Result<Option<&'n [u8]>, BadPattern> {
    let (mut chunk, mut name, mut has_failed) = (chunk, name, false);
    while let Some(&first) = chunk.first() {
        has_failed |= name.is_empty();
        match first {
            b'[' => {
                let (code, len) = if has_failed { (0, 0) } else { decode(name).unwrap_or((0, 0)) };
                name = &name[len..];
                let (is_in, rest) = match_range(&chunk[1..], as_go(code))?;
                has_failed |= !is_in;
                chunk = rest;
            }
            b'?' => {
                if !has_failed {
                    has_failed = name[0] == b'/';
                    name = &name[decode(name).map_or(1, |(_, len)| len)..];
                }
                chunk = &chunk[1..];
            }
            _ => {
                if first == b'\\' {
                    chunk = &chunk[1..];
                }
                let &literal = chunk.first().ok_or(BadPattern)?;
                if !has_failed {
                    has_failed = literal != name[0];
                    name = &name[1..];
                }
                chunk = &chunk[1..];
            }
        }
    }
    Ok((!has_failed).then_some(name))
}

/// Whether `code` is in the range whose `[` was just read, and what follows its `]`.
fn match_range(chunk: &[u8], code: u32) -> Result<(bool, &[u8]), BadPattern> {
    let (mut rest, is_negated) = match chunk.strip_prefix(b"^") {
        Some(rest) => (rest, true),
        None => (chunk, false),
    };
    let (mut is_in, mut is_first) = (false, true);
    loop {
        if !is_first && rest.first() == Some(&b']') {
            return Ok((is_in != is_negated, &rest[1..]));
        }
        let low;
        (low, rest) = range_char(rest)?;
        let mut high = low;
        if rest[0] == b'-' {
            (high, rest) = range_char(&rest[1..])?;
        }
        is_in |= low <= code && code <= high;
        is_first = false;
    }
}

/// One character of a range, and what follows, of which there must be something.
fn range_char(chunk: &[u8]) -> Result<(u32, &[u8]), BadPattern> {
    if matches!(chunk.first(), None | Some(b'-' | b']')) {
        return Err(BadPattern);
    }
    let chunk = chunk.strip_prefix(b"\\").unwrap_or(chunk);
    let (code, len) = decode(chunk).ok_or(BadPattern)?;
    if code >= STRAY || len == chunk.len() {
        return Err(BadPattern);
    }
    Ok((code, &chunk[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_gives_the_shortest_path_as_go_does() {
        for (path, expected) in [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("a//b/", "a/b"),
            ("./a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/..", "."),
            ("../a", "../a"),
            ("../../a", "../../a"),
            ("a/../../b", "../b"),
            ("/../a", "/a"),
            ("//a", "/a"),
            ("!../a", "!../a"),
            ("!a/..", "."),
        ] {
            assert_eq!(clean(path.as_bytes()), expected.as_bytes(), "{path:?}");
        }
    }

    #[test]
    fn match_name_agrees_with_the_table_of_gos_own_tests() {
        // The rows of match_test.go of Go 1.26 that hold on Unix, by meaning.
        for (pattern, name, expected) in [
            ("abc", "abc", Ok(true)),
            ("*", "abc", Ok(true)),
            ("*c", "abc", Ok(true)),
            ("a*", "ab/c", Ok(false)),
            ("a*/b", "abc/b", Ok(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Ok(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Ok(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Ok(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Ok(false)),
            ("ab[c]", "abc", Ok(true)),
            ("ab[^c]", "abc", Ok(false)),
            ("ab[^e-g]", "abc", Ok(true)),
            ("a\\*b", "a*b", Ok(true)),
            ("a?b", "a☺b", Ok(true)),
            ("a[^a]b", "a☺b", Ok(true)),
            ("a???b", "a☺b", Ok(false)),
            ("a?b", "a/b", Ok(false)),
            ("[\\]a]", "]", Ok(true)),
            ("[]a]", "]", Err(BadPattern)),
            ("[-]", "-", Err(BadPattern)),
            ("[x-]", "x", Err(BadPattern)),
            ("[a-b-c]", "a", Err(BadPattern)),
            ("[", "a", Err(BadPattern)),
            ("[^bc", "a", Err(BadPattern)),
            ("a[", "ab", Err(BadPattern)),
            ("a*[", "b", Ok(false)),
            ("*x", "xxx", Ok(true)),
            ("\\", "a", Err(BadPattern)),
        ] {
            assert_eq!(match_name(pattern.as_bytes(), name.as_bytes()), expected, "{pattern:?}");
        }
    }

    #[test]
    fn stray_bytes_are_characters_of_their_own() {
        let mut codes = Vec::new();
        let mut rest = &b"a\xffb\xc3\xa9\xf0\x9f"[..];
        while let Some((code, len)) = decode(rest) {
            codes.push((code, len));
            rest = &rest[len..];
        }
        assert_eq!(
            codes,
            [
                (0x61, 1),
                (STRAY + 0xff, 1),
                (0x62, 1),
                (0xe9, 2),
                (STRAY + 0xf0, 1),
                (STRAY + 0x9f, 1)
            ]
        );
        let mut back = Vec::new();
        codes.iter().for_each(|&(code, _)| encode(code, &mut back));
        assert_eq!(back, b"a\xffb\xc3\xa9\xf0\x9f");
    }
}
