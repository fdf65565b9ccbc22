//! Words and names for the shell and for the eye.

/// A word that `sh` takes as one literal argument.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+,-./:=@_%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The same, but `*`, `?` and `[…]` keep their meaning.
///
/// `[^…]`, as Go's path.Match has it, becomes `[!…]`, as `sh` has it.
pub(super) fn quote_glob(pattern: &str) -> String {
    let mut out = String::new();
    let mut before = None;
    for c in pattern.chars() {
        match c {
            '*' | '?' | '[' | ']' => out.push(c),
            '^' if before == Some('[') => out.push('!'),
            c if c.is_ascii_alphanumeric() || "-./_!".contains(c) => out.push(c),
            // A backslash before a line end would swallow it; quotes do not.
            c => out.push_str(&quote(c.encode_utf8(&mut [0; 4]))),
        }
        before = Some(c);
    }
    out
}

/// Whether a path of the spec is a pattern.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// A command as the name of a step: its first line, shortened.
pub(super) fn headline(command: &str) -> String {
    let mut lines = command.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    shorten(first, lines.next().is_some())
}

/// Items in one line, shortened.
pub(super) fn list(items: &[String]) -> String {
    shorten(&items.join(", "), false)
}

fn shorten(text: &str, more: bool) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None if more => format!("{text} …"),
        None => text,
    }
}

/// A terminal's line, less what the printer puts before and after.
const NAME_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_single_literal_arguments() {
        let check = |word: &str, want: &str| assert_eq!(quote(word), want);
        check("libc6-dev", "libc6-dev");
        check("nodejs=22.1-r0", "nodejs=22.1-r0");
        check("go>1.2", "'go>1.2'");
        check("$(id)", "'$(id)'");
        check("it's", r"'it'\''s'");
        check("a b", "'a b'");
        check("", "''");
    }

    #[test]
    fn quoted_globs_keep_their_pattern_and_nothing_else() {
        let check = |word: &str, want: &str| assert_eq!(quote_glob(word), want);
        check("build/target/*/app-[^0-9]?", "build/target/*/app-[!0-9]?");
        check("a b/*.jar", "a' 'b/*.jar");
        check("a$(x)", "a'$''('x')'");
        check("it's", r"it''\'''s");
    }

    #[test]
    fn names_of_steps_fit_on_a_line() {
        let check = |command: &str, want: &str| assert_eq!(headline(command), want);
        check("npm ci", "npm ci");
        check("\n  set -e\n  npm ci\n", "set -e …");
        check("a\tb", "a b");
        check("", "");
        assert_eq!(headline(&"é".repeat(300)), format!("{}…", "é".repeat(100)));
    }
}
