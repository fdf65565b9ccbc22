//! Reads values of `os-release` (os-release(5)).

/// Value of `key`; the last line wins, as in a shell.
pub(crate) fn value(os_release: &[u8], key: &str) -> Option<String> {
    let head = &os_release[..os_release.len().min(OS_RELEASE_BYTES_MAX)];
    let text = String::from_utf8_lossy(head);
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .rfind(|(name, _)| *name == key)
        .map(|(_, value)| unquote(value))
}

/// Takes the quotes of a shell word off: `'…'` is literal, in `"…"` a backslash protects
/// `"`, `\`, `$` and `` ` ``, outside of quotes any character.
fn unquote(value: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t') => break,
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if c == q => quote = None,
            (None, '\\') => out.extend(chars.next()),
            (Some('"'), '\\') if chars.peek().is_some_and(|c| "\"\\$`".contains(*c)) => {
                out.extend(chars.next());
            }
            _ => out.push(c),
        }
    }
    out
}

/// Must not panic, whatever the bytes.
#[doc(hidden)]
pub fn fuzz_os_release(data: &[u8]) {
    drop((value(data, "ID"), value(data, "ID_LIKE")));
}

/// Real ones have a few hundred bytes.
const OS_RELEASE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn values_are_read_with_the_quoting_rules_of_a_shell() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(value(text.as_bytes(), "ID").as_deref(), want, "{text:?}");
        };
        check("ID=debian\n", Some("debian"));
        check("NAME=\"x\"\nID=\"wolfi\"\n", Some("wolfi"));
        check("ID='alpine'", Some("alpine"));
        check("  ID=ubuntu\r\n", Some("ubuntu"));
        check("ID=one\nID=two\n", Some("two"));
        check("#ID=comment\n", None);
        check("VERSION_ID=12\n", None);
        check("ID=\n", Some(""));
        check(r#"ID="a\"b\\c\$d\`e\f""#, Some("a\"b\\c$d`e\\f"));
        check(r"ID='a\b'", Some(r"a\b"));
        check(r"ID=a\ b", Some("a b"));
        check("ID=a b", Some("a"));
        check("ID=\"open", Some("open"));
        check("ID=a\\", Some("a"));
    }

    #[test]
    fn reading_never_panics_on_foreign_bytes() {
        let good = b"NAME=\"Wolfi\"\nID='wolfi'\nID_LIKE=\"a\\\"b c\"\nX=\\\n";
        mutate(good, b"\"'\\=\n$`", 5_000, fuzz_os_release);
        fuzz_os_release(&vec![b'='; OS_RELEASE_BYTES_MAX + 1]);
    }
}
