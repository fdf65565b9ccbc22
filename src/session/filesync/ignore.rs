//! Ignore files: which patterns a context brings along.

use std::{error::Error, fmt, io};

use super::{
    filter::LocalFilter,
    gopath::{clean, trim_space},
    pattern::PatternError,
    root::Root,
};

const DOCKERIGNORE: &str = ".dockerignore";

const GITIGNORE: &str = ".gitignore";

const IGNORE_FILE_BYTES_MAX: usize = 4 << 20;

/// What a context leaves out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreRules {
    /// Where the patterns are from.
    pub source: IgnoreSource,
    /// By the rules of `.dockerignore`; what comes last counts.
    pub patterns: Vec<Vec<u8>>,
}

/// Where ignore patterns are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreSource {
    /// `.dockerignore`, read as docker does, and nothing else.
    Dockerignore,
    /// The `.gitignore` at the root, as far as it can be said in docker's patterns; and `.git`.
    Gitignore,
    /// There is no ignore file: `.git` alone.
    Default,
}

/// An ignore file that cannot be read.
#[derive(Debug)]
pub struct IgnoreError {
    file: &'static str,
    source: io::Error,
}

impl fmt::Display for IgnoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read `{}`", self.file)
    }
}

impl Error for IgnoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl IgnoreRules {
    /// These rules, and `more` patterns after them, as a filter.
    ///
    /// # Errors
    /// The first pattern that cannot be used.
    pub fn filter(&self, more: &[Vec<u8>]) -> Result<LocalFilter, PatternError> {
        let patterns = [&self.patterns[..], more].concat();
        match self.source {
            IgnoreSource::Gitignore => LocalFilter::with_git_rule(&patterns),
            IgnoreSource::Dockerignore | IgnoreSource::Default => LocalFilter::new(&patterns),
        }
    }
}

/// Reads the ignore file at the root of a context.
///
/// With a `.dockerignore`, exactly what docker leaves out is left out, so `.git` only if it says
/// so, and no `.gitignore` is looked at. Without one `.git` is left out, and what the `.gitignore`
/// at the root says; those of other directories are not read, nor Git's own configuration.
///
/// # Errors
/// If there is an ignore file and it cannot be read.
pub fn ignore_patterns(root: &Root) -> Result<IgnoreRules, IgnoreError> {
    let read = |file| {
        root.read_file(file, IGNORE_FILE_BYTES_MAX).map_err(|source| IgnoreError { file, source })
    };
    if let Some(text) = read(DOCKERIGNORE)? {
        let patterns = parse_dockerignore(&text);
        return Ok(IgnoreRules { source: IgnoreSource::Dockerignore, patterns });
    }
    let git = b"**/.git".to_vec();
    let from_gitignore = read(GITIGNORE)?.and_then(|text| parse_gitignore(&text));
    Ok(match from_gitignore {
        Some(mut patterns) => {
            patterns.push(git);
            IgnoreRules { source: IgnoreSource::Gitignore, patterns }
        }
        None => IgnoreRules { source: IgnoreSource::Default, patterns: vec![git] },
    })
}

/// The patterns of a `.dockerignore`: moby/patternmatcher v0.6.1, ignorefile/ignorefile.go.
fn parse_dockerignore(text: &[u8]) -> Vec<Vec<u8>> {
    let mut patterns = Vec::new();
    for line in lines(text) {
        if line.starts_with(b"#") {
            continue;
        }
        let line = trim_space(line);
        let (sign, body) = match line.strip_prefix(b"!") {
            Some(body) => (&b"!"[..], trim_space(body)),
            None => (&b""[..], line),
        };
        if line.is_empty() {
            continue;
        }
        let mut pattern = sign.to_vec();
        if !body.is_empty() {
            let body = clean(body);
            let is_absolute = body.len() > 1 && body[0] == b'/';
            pattern.extend_from_slice(&body[usize::from(is_absolute)..]);
        }
        patterns.push(pattern);
    }
    patterns
}

/// The patterns of a `.gitignore` in docker's words; `None` if an exception cannot be said, for
/// then something would be left out that Git keeps.
///
/// A line that cannot be said is dropped: then more is sent. What is only meant for directories
/// becomes a pattern for all that is in them, so that such a directory is sent, but empty.
fn parse_gitignore(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut patterns = Vec::new();
    for line in lines(text) {
        let line = without_trailing_spaces(line);
        let (is_exception, line) = match line.strip_prefix(b"!") {
            Some(line) => (true, line),
            None => (false, line),
        };
        if line.is_empty() || (!is_exception && line.starts_with(b"#")) {
            continue;
        }
        match translate_git_line(line) {
            Some(pattern) if is_exception => patterns.push([b"!", &pattern[..]].concat()),
            Some(pattern) => patterns.push(pattern),
            None if is_exception => return None,
            None => {}
        }
    }
    Some(patterns)
}

/// One line without its `!`, in docker's words.
fn translate_git_line(line: &[u8]) -> Option<Vec<u8>> {
    let (line, is_for_dirs) = match line.strip_suffix(b"/") {
        Some(line) => (line, true),
        None => (line, false),
    };
    // A slash at the start or in the middle ties it to the root.
    let (line, is_tied) = match line.strip_prefix(b"/") {
        Some(line) => (line, true),
        None => (line, line.contains(&b'/')),
    };
    let is_plain = |part: &[u8]| part == b"**" || !part.windows(2).any(|pair| pair == b"**");
    let is_said_alike = line.split(|&byte| byte == b'/').all(is_plain)
        // Only Git has `[!a]`, and the languages of escapes and classes differ in more.
        && !line.iter().any(|byte| b"[]\\".contains(byte))
        && trim_space(line) == line
        && clean(line) == line
        && !matches!(line, b"" | b"." | b"..")
        && !line.starts_with(b"../")
        && !line.starts_with(b"!");
    if !is_said_alike {
        return None;
    }
    let mut pattern = Vec::new();
    if !is_tied {
        pattern.extend_from_slice(b"**/");
    }
    pattern.extend_from_slice(line);
    if is_for_dirs {
        pattern.extend_from_slice(b"/**");
    }
    Some(pattern)
}

/// Lines without their ends, and without a byte order mark before the first.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    // `\ ` keeps its space in Git; the backslash makes the line untranslatable anyway.
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(patterns: &[Vec<u8>]) -> Vec<String> {
        patterns.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect()
    }

    #[test]
    fn dockerignore_lines_become_patterns_as_docker_reads_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("\u{feff}a\nb", &["a", "b"]),
            ("# comment\n #not\n\n  \t\na\r\n", &["#not", "a"]),
            (" a b \n/abs/x/\n/\n", &["a b", "abs/x", "/"]),
            ("./a/../b\n../c\n", &["b", "../c"]),
            ("!a\n! /b/ \n!\n!!c", &["!a", "!b", "!", "!!c"]),
        ] {
            assert_eq!(shown(&parse_dockerignore(text.as_bytes())), expected, "{text:?}");
        }
    }

    #[test]
    fn gitignore_lines_are_said_in_dockers_words_or_dropped() {
        for (text, expected) in [
            ("", Some(&[][..])),
            ("# comment\n\n*.log  \r\n", Some(&["**/*.log"])),
            ("target\n/dist\ndoc/out\n", Some(&["**/target", "dist", "doc/out"])),
            ("node_modules/\n/build/\n", Some(&["**/node_modules/**", "build/**"])),
            ("**/x\na/**/b\nc/**\n", Some(&["**/x", "a/**/b", "c/**"])),
            (".env*\n!.env.example\n!/keep\n", Some(&["**/.env*", "!**/.env.example", "!keep"])),
            // Said by no pattern of docker, or by one that means something else.
            ("[!a]\n\\#x\nfoo**bar\n./x\na//b\n../x\n/\n", Some(&[])),
            ("a\n![b]\n", None),
            ("a\n!foo**\n", None),
        ] {
            let got = parse_gitignore(text.as_bytes());
            let got = got.map(|patterns| shown(&patterns));
            assert_eq!(
                got.as_deref(),
                expected.map(|e| e.iter().map(|&e| e.to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_dockerignore_is_all_that_is_looked_at_and_else_git_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let rules = || ignore_patterns(&Root::open(folder.path()).unwrap()).unwrap();
        let write = |name, text| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(
            (rules().source, shown(&rules().patterns)),
            (IgnoreSource::Default, vec!["**/.git".to_owned()])
        );
        write(".gitignore", "x\n");
        assert_eq!(rules().source, IgnoreSource::Gitignore);
        assert_eq!(shown(&rules().patterns), ["**/x", "**/.git"]);
        write(".gitignore", "x\n![x]\n");
        assert_eq!(rules().source, IgnoreSource::Default);
        write(".dockerignore", "");
        assert_eq!((rules().source, rules().patterns), (IgnoreSource::Dockerignore, vec![]));
        assert!(rules().filter(&[b"[".to_vec()]).is_err());
    }

    #[test]
    fn an_ignore_file_that_cannot_be_read_is_an_error_and_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".dockerignore");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let error = ignore_patterns(&Root::open(folder.path()).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `.dockerignore`");
        assert_eq!(error.source().unwrap().to_string(), "it is not a regular file");
    }
}
