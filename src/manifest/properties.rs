//! `.properties` files of Java, and files of `NAME=value` lines such as `.env`.

/// Keys and values in order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<(String, String, usize)>,
}

impl Properties {
    /// Reads any text; a line that makes no sense is an entry without a value.
    ///
    /// As `java.util.Properties.load` does: `#` and `!` begin comments, `=`, `:` or a blank ends the key, a backslash at
    /// the end of a line joins the next. Beyond that `export` before a key and quotes around a value are dropped.
    pub fn parse(text: &str) -> Self {
        let mut entries = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let mut whole = line.trim().to_owned();
            if whole.is_empty() || whole.starts_with(['#', '!']) {
                continue;
            }
            while ends_in_backslash(&whole) {
                whole.pop();
                let Some((_, next)) = lines.next() else { break };
                whole.push_str(next.trim());
            }
            let whole = whole.strip_prefix("export ").unwrap_or(&whole).trim_start();
            let end = whole.find(|c: char| "=: \t".contains(c)).unwrap_or(whole.len());
            let (key, rest) = whole.split_at(end);
            let rest = rest.trim_start();
            let value = unquoted(rest.strip_prefix(['=', ':']).unwrap_or(rest).trim());
            entries.push((key.to_owned(), value.replace("\\:", ":"), at + 1));
        }
        Self { entries }
    }

    /// Value and line of a key; of two the last counts.
    pub fn get(&self, key: &str) -> Option<(&str, usize)> {
        let mut found = self.entries.iter().rev().filter(|(name, _, _)| name == key);
        found.next().map(|(_, value, line)| (value.as_str(), *line))
    }

    /// All keys and values with their lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.entries.iter().map(|(key, value, line)| (key.as_str(), value.as_str(), *line))
    }
}

fn ends_in_backslash(line: &str) -> bool {
    let backslashes = line.bytes().rev().take_while(|b| *b == b'\\').count();
    backslashes % 2 == 1
}

fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_a_sign_and_lines_may_go_on() {
        let text = "# c\nserver.port=8081\na : b\nc d\nlong = x \\\n   y\nexport T='u'\nurl=https\\://h\nserver.port = 9\n";
        let read = Properties::parse(text);
        assert_eq!(read.get("server.port"), Some(("9", 9)));
        assert_eq!(read.get("a"), Some(("b", 3)));
        assert_eq!(read.get("c"), Some(("d", 4)));
        assert_eq!(read.get("long"), Some(("x y", 5)));
        assert_eq!(read.get("T"), Some(("u", 7)));
        assert_eq!(read.get("url"), Some(("https://h", 8)));
        assert_eq!(read.get("none"), None);
        assert_eq!(read.iter().count(), 7);
    }
}
