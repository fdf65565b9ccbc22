//! The indented files of yarn and pnpm: entries with fields, fields with items.
//!
//! These files are written by their tools and by nobody else, in a small part of YAML (classic yarn: something like it): two
//! spaces per level, keys and values on one line, quoted if need be, a long key as `? key`. This reads exactly that part; lines
//! of another shape end up in fields that nobody asks for.

use std::borrow::Cow;

use super::found::lines;

/// One entry with what is indented below it.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    /// The top-level key above the entry (`packages` in pnpm's file); empty where entries are at the top.
    pub(super) section: &'a str,
    /// As written, quotes included and without the colon: `"a@^1", b@^2`.
    pub(super) key: &'a str,
    fields: Vec<Field<'a>>,
}

#[derive(Debug)]
struct Field<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
    items: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Block<'a> {
    /// The value of a field; empty if it is not there.
    pub(super) fn value(&self, key: &str) -> &str {
        self.field(key).map_or("", |field| &field.value)
    }

    /// What is listed below a field as key and value; none if it is not there.
    pub(super) fn items(&self, key: &str) -> &[(Cow<'a, str>, Cow<'a, str>)] {
        self.field(key).map_or(&[], |field| &field.items)
    }

    fn field(&self, key: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.key == key)
    }
}

/// Reads entries that stand at the top: yarn.
pub(super) fn top_level(bytes: &[u8]) -> Result<Vec<Block<'_>>, String> {
    read(bytes, 0)
}

/// Reads entries that stand below sections: pnpm.
pub(super) fn in_sections(bytes: &[u8]) -> Result<Vec<Block<'_>>, String> {
    read(bytes, 1)
}

fn read(bytes: &[u8], entry_level: usize) -> Result<Vec<Block<'_>>, String> {
    let text = str::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))?;
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut section = "";
    for line in lines(text)? {
        let mut content = line.trim_start_matches(' ');
        let mut level = (line.len() - content.len()) / 2;
        // `? key` and then `: first field`, as YAML has it where a key is long.
        if let Some(value) = content.strip_prefix(": ") {
            level += 1;
            content = value;
        }
        let content = content.trim_end();
        if content.is_empty() || content.starts_with('#') || matches!(content, ":" | "---") {
            continue;
        }
        if level < entry_level {
            section = entry_key(content);
        } else if level == entry_level {
            blocks.push(Block { section, key: entry_key(content), fields: Vec::new() });
        } else if let Some(block) = blocks.last_mut().filter(|block| block.section == section) {
            let (key, value) = key_and_value(content);
            if level == entry_level + 1 {
                block.fields.push(Field { key, value, items: Vec::new() });
            } else if let (Some(field), true) = (block.fields.last_mut(), level == entry_level + 2)
            {
                field.items.push((key, value));
            }
        }
    }
    Ok(blocks)
}

fn entry_key(content: &str) -> &str {
    let content = content.strip_prefix("? ").unwrap_or(content);
    content.strip_suffix(':').unwrap_or(content)
}

/// `key: value`, and classic yarn's `key value`.
fn key_and_value(content: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    let (key, rest) = match quoted(content) {
        Some((key, rest)) => (key, rest),
        None => {
            let end = content.find([' ', ':']).unwrap_or(content.len());
            let colon_inside = content[end..].starts_with(':')
                && !matches!(content.as_bytes().get(end + 1), None | Some(b' '));
            let end = if colon_inside {
                content[end..].find(' ').map_or(content.len(), |more| end + more)
            } else {
                end
            };
            let key = &content[..end];
            (Cow::Borrowed(key.strip_suffix(':').unwrap_or(key)), &content[end..])
        }
    };
    (key, scalar(rest.strip_prefix(':').unwrap_or(rest).trim_start()))
}

/// A value without its quotes.
pub(super) fn scalar(text: &str) -> Cow<'_, str> {
    match quoted(text) {
        Some((value, "")) => value,
        _ => Cow::Borrowed(text),
    }
}

/// A text in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let quote = text.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let inside = &text[1..];
    let bytes = inside.as_bytes();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'\\' if quote == b'"' => at += 2,
            byte if byte != quote => at += 1,
            _ if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 2,
            _ => break,
        }
    }
    let raw = &inside[..at];
    let value = match quote {
        b'\'' if raw.contains("''") => Cow::Owned(raw.replace("''", "'")),
        b'"' if raw.contains('\\') => Cow::Owned(raw.replace("\\\"", "\"").replace("\\\\", "\\")),
        _ => Cow::Borrowed(raw),
    };
    Some((value, &inside[at + 1..]))
}

/// `value` of `{key: value, …}` on one line.
pub(super) fn flow_value<'a>(flow: &'a str, key: &str) -> Option<Cow<'a, str>> {
    let inside = flow.strip_prefix('{')?.strip_suffix('}')?;
    inside.split(", ").find_map(|pair| {
        let value = pair.trim().strip_prefix(key)?.strip_prefix(':')?;
        Some(scalar(value.trim()))
    })
}

/// `[a, b]` on one line.
pub(super) fn flow_list(flow: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let inside = flow.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or("");
    inside.split(',').map(|item| scalar(item.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const PNPM: &str = "lockfileVersion: '9.0'\n\npackages:\n\n  'a@1.0.0':\n    resolution: {integrity: sha512-x, tarball: 'y'}\n    os: [darwin, '!linux']\n    deps:\n      '@b/c': 1.0\n      d: it''s\n  ? long\n  : version: 2\n    dev: true\n\nother:\n  e: f\n";

    #[test]
    fn entries_fields_and_items_are_found_by_their_indentation() {
        let blocks = in_sections(PNPM.as_bytes()).unwrap();
        let keys: Vec<_> = blocks.iter().map(|block| (block.section, block.key)).collect();
        assert_eq!(keys, [("packages", "'a@1.0.0'"), ("packages", "long"), ("other", "e: f")]);
        let flow = blocks[0].value("resolution");
        assert_eq!(flow_value(flow, "integrity").unwrap(), "sha512-x");
        assert_eq!(flow_value(flow, "tarball").unwrap(), "y");
        assert_eq!(flow_value(flow, "path"), None);
        assert_eq!(flow_list(blocks[0].value("os")).collect::<Vec<_>>(), ["darwin", "!linux"]);
        let deps = blocks[0].items("deps");
        assert_eq!(deps, [("@b/c".into(), "1.0".into()), ("d".into(), "it''s".into())]);
        assert_eq!(blocks[1].value("version"), "2");
        assert_eq!(blocks[1].value("dev"), "true");
        assert_eq!(blocks[1].value("none"), "");
    }

    #[test]
    fn keys_and_values_are_split_in_both_manners() {
        for (line, key, value) in [
            ("\"@b/c\" \"^7.0.0\"", "@b/c", "^7.0.0"),
            ("version \"1.0\"", "version", "1.0"),
            ("'it''s': \"a \\\"b\\\" \\\\\"", "it's", "a \"b\" \\"),
            ("version: 1.0", "version", "1.0"),
            ("dependencies:", "dependencies", ""),
            ("a:b: 1", "a:b", "1"),
            ("\"open", "\"open", ""),
            ("- item", "-", "item"),
        ] {
            let (got_key, got_value) = key_and_value(line);
            assert_eq!((&*got_key, &*got_value), (key, value), "{line}");
        }
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(PNPM.as_bytes(), b" :'\"\n\\?{[,", 5_000, |bytes| {
            for block in in_sections(bytes).into_iter().chain(top_level(bytes)).flatten() {
                drop(flow_value(block.value("resolution"), "integrity"));
                let _ = flow_list(block.value("os")).count();
            }
        });
    }
}
