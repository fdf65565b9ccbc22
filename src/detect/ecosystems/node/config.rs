//! Settings in configuration files that are programs: read as text, never run.

use crate::detect::prelude::*;

/// A configuration file such as `next.config.mjs`; where there is none, it says nothing.
#[derive(Default)]
pub(super) struct Config {
    /// Its path.
    path: Option<String>,
    /// Its text without comments that fill a line.
    pub(super) code: String,
}

/// Extensions of programs for Node.js.
pub(super) const EXTENSIONS: &[&str] = &["js", "mjs", "cjs", "ts", "mts", "cts"];

/// Whether a file is a program for Node.js by its name.
pub(super) fn is_code(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

/// Whether a folder holds a file of this name, with any extension or none.
pub(super) fn has_config(at: Folder<'_>, stem: &str) -> bool {
    let is_it = |file: &String| {
        file.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    at.entries().is_some_and(|entries| entries.files.iter().any(is_it))
}

impl Config {
    /// The first of these files of a folder, with any extension.
    pub(super) fn read(at: Folder<'_>, stems: &[&str]) -> Self {
        let all = |stem| EXTENSIONS.iter().map(move |e| format!("{stem}.{e}"));
        let found = stems.iter().flat_map(all).find_map(|name| at.read(&name));
        let Some(text) = found else { return Self::default() };
        let is_comment = |line: &str| line.starts_with("//") || line.starts_with('*');
        // Lines stay where they are.
        let lines = text.text.lines();
        let lines = lines.map(|line| if is_comment(line.trim_start()) { "" } else { line });
        let code = lines.collect::<Vec<_>>().join("\n");
        Self { path: Some(text.path.clone()), code }
    }

    /// The file, if there is one.
    pub(super) fn place(&self) -> Option<Evidence> {
        self.path.as_ref().map(Evidence::file)
    }

    /// Whether a key has one of these texts.
    pub(super) fn is_one_of(&self, key: &str, texts: &[&str]) -> bool {
        self.text_of(key).is_some_and(|(text, _)| texts.contains(&&*text))
    }

    /// The text that a key has: `key: 'text'`.
    pub(super) fn text_of(&self, key: &str) -> Option<(String, Evidence)> {
        let quotes = ['\'', '"', '`'];
        // `process.env.DIST ?? 'dist'` has a text where nobody sets the variable.
        let texts = self.after(key).map(|(at, after)| {
            let line = after.lines().next().unwrap_or_default();
            let cut = ["??", "||"].iter().find_map(|sign| Some(line.find(sign)? + sign.len()));
            let is_variable = line.starts_with("process.env");
            (at, cut.filter(|_| is_variable).map_or(after, |cut| after[cut..].trim_start()))
        });
        let (at, after) = texts.into_iter().find(|(_, after)| after.starts_with(quotes))?;
        let quote = after.chars().next()?;
        let value = after[1..].split(quote).next()?;
        (!value.contains(['\n', '$'])).then(|| (value.to_owned(), self.at(at)))
    }

    /// The text that a key has in production: `command === 'build' ? '/x/' : '/'`.
    pub(super) fn chosen_for_production(&self, key: &str) -> Option<(String, Evidence)> {
        let mut lines = self.after(key).map(|(at, after)| (at, after.lines().next().unwrap_or("")));
        lines.find_map(|(at, line)| {
            let (condition, choices) = line.split_once('?')?;
            let is_asked = ["production", "build"].iter().any(|word| condition.contains(word));
            let text = choices.split(['\'', '"', '`']).nth(1)?;
            (is_asked && condition.contains("==")).then(|| (text.to_owned(), self.at(at)))
        })
    }

    /// Whether a key has this bare value: `ssr: false`.
    pub(super) fn says(&self, key: &str, value: &str) -> bool {
        self.after(key).any(|(_, after)| after.starts_with(value))
    }

    /// Texts in the call that a key has, such as `path.resolve(__dirname, 'dist')`.
    pub(super) fn joined_path(&self, key: &str) -> Option<(String, Evidence)> {
        let (at, after) = self.after(key).find(|(_, after)| {
            ["path.", "resolve(", "join("].iter().any(|call| after.starts_with(call))
        })?;
        let call = &after[..after.find(')')?];
        let words: Vec<&str> = call.split(['\'', '"', '`']).skip(1).step_by(2).collect();
        let path = words.join("/");
        (!path.is_empty() && !path.contains(['\n', '$'])).then(|| (path, self.at(at)))
    }

    /// What follows `key:` or `key =`, wherever it stands.
    fn after<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        self.code.match_indices(key).filter_map(move |(at, _)| {
            let before = self.code[..at].chars().next_back();
            let is_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.');
            let after = self.code[at + key.len()..].trim_start_matches(['\'', '"']).trim_start();
            let value = after.strip_prefix([':', '='])?.trim_start();
            is_word.then_some((at, value))
        })
    }

    fn at(&self, offset: usize) -> Evidence {
        let line = self.code.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count() + 1;
        Evidence::line(self.path.clone().unwrap_or_default(), Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(code: &str) -> Config {
        Config { path: Some("x.config.js".to_owned()), code: code.to_owned() }
    }

    #[test]
    fn settings_are_found_by_their_key() {
        let read = config(
            "export default {\n  output: 'export',\n  build: { outDir: \"../x\" },\n  ssr:false,\n  myoutput: 'no',\n  output2: { path: path.resolve(__dirname, 'a', 'b') }\n}",
        );
        let (output, place) = read.text_of("output").unwrap();
        assert_eq!((output.as_str(), place.line), ("export", Some(2)));
        assert_eq!(read.text_of("outDir").unwrap().0, "../x");
        assert_eq!(read.joined_path("path").unwrap().0, "a/b");
        assert!(read.says("ssr", "false") && !read.says("ssr", "true"));
        assert!(read.text_of("mode").is_none());
        let read = config("pages: process.env.OUT ?? '../www',\n  x: y ?? 'z'");
        assert_eq!(read.text_of("pages").unwrap().0, "../www");
        assert!(read.text_of("x").is_none());
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let seed = "output: 'é', path: path.join(`a`, \"b\"), outDir = \"c";
        crate::mutation::mutate(seed.as_bytes(), b"'\"`:=$()\n \xc3", 4000, |data| {
            let read = config(&String::from_utf8_lossy(data));
            for key in ["output", "path", "outDir", "'"] {
                drop(read.text_of(key));
                drop(read.joined_path(key));
                assert!(!read.says(key, "é\u{0}"));
            }
        });
    }
}
