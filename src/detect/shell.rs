//! Command lines as projects write them, and the exec form that an image needs.

/// The words of a command that needs no shell; `None` when it uses one (`&&`, `$PORT`, globs, assignments, comments).
pub fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        '$' | '`' | '\\' if c == '"' => return None,
                        inner => word.push(inner),
                    }
                }
            }
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '\\' | '*' | '?' | '[' | ']'
            | '{' | '}' | '~' | '#' | '!' | '\n' | '\r' => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    // `NAME=value program` is for a shell.
    (!words.first()?.contains('=')).then_some(words)
}

/// A command line in exec form: its words, or a shell that reads it.
pub fn exec_form(line: &str) -> Vec<String> {
    let shell = || {
        let line = line.trim();
        let is_plain = !line.contains([';', '&', '|', '\n', '(']);
        // The program takes the shell's place, so that it gets the signals.
        let starts_builtin = line.starts_with("exec ") || line.starts_with("cd ");
        let assigns = line.split_whitespace().next().is_some_and(|word| word.contains('='));
        let exec = if is_plain && !starts_builtin && !assigns { "exec " } else { "" };
        ["/bin/sh", "-c"].map(str::to_owned).into_iter().chain([format!("{exec}{line}")]).collect()
    };
    words(line).unwrap_or_else(shell)
}

/// A word that `sh` takes as one literal argument.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+,-./:=@_%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The value of an option on a command line: `--port 3000`, `--port=3000`.
pub fn option<'l>(line: &'l str, names: &[&str]) -> Option<&'l str> {
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word, None), |(n, v)| (n, Some(v)));
        if names.contains(&name) {
            return value.or_else(|| words.next()).map(|value| value.trim_matches(['\'', '"']));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn only_what_needs_a_shell_gets_one() {
        let check = |line: &str, expected: &[&str]| assert_eq!(exec_form(line), expected, "{line}");
        check("node server.js", &["node", "server.js"]);
        check(
            "  gunicorn 'my app:app'  --bind \"0.0.0.0:80\"",
            &["gunicorn", "my app:app", "--bind", "0.0.0.0:80"],
        );
        check("gunicorn -b :$PORT a:b", &["/bin/sh", "-c", "exec gunicorn -b :$PORT a:b"]);
        check("a && b", &["/bin/sh", "-c", "a && b"]);
        check("A=b c", &["/bin/sh", "-c", "A=b c"]);
        check("cd x && y", &["/bin/sh", "-c", "cd x && y"]);
        check("it's", &["/bin/sh", "-c", "exec it's"]);
        check("a ''", &["a", ""]);
    }

    #[test]
    fn quoted_words_are_single_literal_arguments() {
        assert_eq!(
            (quote("a/b-c"), quote("a b"), quote("it's")),
            ("a/b-c".into(), "'a b'".into(), r"'it'\''s'".into())
        );
    }

    #[test]
    fn options_have_their_value_behind_a_blank_or_a_sign() {
        assert_eq!(option("next start -p 4000", &["-p", "--port"]), Some("4000"));
        assert_eq!(option("x --port=5000 y", &["-p", "--port"]), Some("5000"));
        assert_eq!(option("x --portable", &["--port"]), None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let target = |data: &[u8]| drop(exec_form(&String::from_utf8_lossy(data)));
        mutate(b"a 'b' \"c\" $d && e", b"'\"$\\ &|\n", 2000, target);
    }
}
