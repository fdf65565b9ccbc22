//! `go.mod` and `go.work` (go.dev/ref/mod).

use crate::detect::prelude::*;

/// What of a `go.mod` or `go.work` matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModFile {
    /// Where it was read.
    pub(super) path: String,
    /// Import path of the module; empty in a `go.work`.
    pub(super) module: String,
    /// `go 1.22`.
    pub(super) go: Option<Pin>,
    /// `toolchain go1.22.3`, without `go`.
    pub(super) toolchain: Option<Pin>,
    /// Direct requirements: module path and line.
    pub(super) requires: Vec<(String, usize)>,
    /// Indirect requirements: module path and line.
    pub(super) indirect: Vec<(String, usize)>,
    /// Folders that `replace` or `use` name, as written.
    pub(super) folders: Vec<String>,
}

impl ModFile {
    /// Reads it line by line, as the grammar has it; what makes no sense is skipped.
    pub(super) fn parse(text: &Text) -> Self {
        let mut file = Self { path: text.path.clone(), ..Self::default() };
        let mut block = None;
        for (at, line) in text.lines() {
            let (code, comment) = line.split_once("//").unwrap_or((line, ""));
            let mut words: Vec<&str> = code.split_whitespace().collect();
            match words.as_slice() {
                [")"] => block = None,
                [directive, "("] => block = Some(*directive),
                _ => {
                    words.splice(0..0, block.filter(|_| !words.is_empty()));
                    file.directive(&words, at, comment.trim() == "indirect");
                }
            }
        }
        file
    }

    fn directive(&mut self, words: &[&str], line: usize, is_indirect: bool) {
        let pin = |version: &str, rule| Some(Pin::new(version, rule, &self.path, line));
        match words {
            ["module", path, ..] => self.module = path.trim_matches(['"', '`']).to_owned(),
            ["go", version] => self.go = pin(version, "the go directive"),
            ["toolchain", version] => {
                let version = version.strip_prefix("go");
                self.toolchain = version.and_then(|v| pin(v, "the toolchain directive"));
            }
            ["require", path, _, ..] => {
                let list = if is_indirect { &mut self.indirect } else { &mut self.requires };
                list.push(((*path).to_owned(), line));
            }
            ["use", folder] => self.folders.push(folder.trim_matches('"').to_owned()),
            ["replace", .., "=>", target] if target.starts_with('.') => {
                self.folders.push((*target).to_owned());
            }
            _ => {}
        }
    }

    /// The folder it lies in.
    pub(super) fn dir(&self) -> &str {
        parent(&self.path)
    }

    /// Folders that it names, relative to the root.
    pub(super) fn named_folders(&self) -> impl Iterator<Item = String> {
        self.folders.iter().filter_map(|folder| resolve(self.dir(), folder))
    }

    /// The last element of the module's path that is no major version: `example.com/shop/v2` is `shop`.
    pub(super) fn name(&self) -> &str {
        let is_major = |part: &str| part.strip_prefix('v').is_some_and(is_number);
        self.module.rsplit('/').find(|part| !is_major(part)).unwrap_or_default()
    }

    /// The line of a direct requirement of `module`, or of one of its major versions (`…/v4`).
    pub(super) fn requires(&self, module: &str) -> Option<Evidence> {
        let (_, line) = self.requires.iter().find(|(path, _)| is_module(path, module))?;
        Some(Evidence::line(&self.path, Some(*line)))
    }

    /// The same of any requirement.
    pub(super) fn needs(&self, module: &str) -> Option<Evidence> {
        let (_, line) = self.all().find(|(path, _)| is_module(path, module))?;
        Some(Evidence::line(&self.path, Some(*line)))
    }

    /// Whether the path of a requirement holds a text.
    pub(super) fn mentions(&self, part: &str) -> bool {
        self.all().any(|(path, _)| path.contains(part))
    }

    /// All requirements.
    pub(super) fn all(&self) -> impl Iterator<Item = &(String, usize)> {
        self.requires.iter().chain(&self.indirect)
    }
}

/// Whether a path is that of a module, or of one of its major versions.
fn is_module(path: &str, module: &str) -> bool {
    let is_major = |rest: &str| rest.strip_prefix("/v").is_some_and(is_number);
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || is_major(rest))
}

/// Major and minor of a Go version: `1.22`, `1.22.3`, `1.21rc2`; `None` when it is none.
pub(super) fn minor(text: &str) -> Option<Version> {
    let version = Version::parse(text.trim().trim_start_matches("go"))?;
    Some(Version { minor: version.minor.or(Some(0)), patch: None, ..version })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const SAMPLE: &str = "module example.com/shop // the shop\n\ngo 1.22.0\ntoolchain go1.23.4\n\nrequire (\n\tgithub.com/gin-gonic/gin v1.9.1\n\tgolang.org/x/net v0.10.0 // indirect\n)\nrequire github.com/labstack/echo/v4 v4.1.0\nreplace example.com/lib v1.0.0 => ../lib\n";

    fn parse(text: &str) -> ModFile {
        ModFile::parse(&Text { path: "api/go.mod".into(), text: text.into() })
    }

    #[test]
    fn directives_are_read_in_blocks_and_alone() {
        let file = parse(SAMPLE);
        assert_eq!(file.module, "example.com/shop");
        assert_eq!(file.go.as_ref().map(|pin| pin.version.as_str()), Some("1.22.0"));
        assert_eq!(file.toolchain.as_ref().map(|pin| pin.version.as_str()), Some("1.23.4"));
        assert_eq!(file.folders, ["../lib"]);
        assert_eq!(file.dir(), "api");
        let at = |line| Some(Evidence::line("api/go.mod", Some(line)));
        assert_eq!(file.requires("github.com/gin-gonic/gin"), at(7));
        assert_eq!(file.requires("github.com/labstack/echo"), at(10));
        assert_eq!(file.requires("golang.org/x/net"), None, "indirect");
    }

    #[test]
    fn a_module_is_called_by_its_last_element() {
        let named = |module: &str| ModFile { module: module.into(), ..ModFile::default() };
        let check = |path: &str, want: &str| assert_eq!(named(path).name(), want);
        check("example.com/team/shop/v2", "shop");
        check("shop", "shop");
        check("example.com/vault", "vault");
        check("", "");
    }

    #[test]
    fn versions_have_a_major_and_a_minor() {
        let check = |text: &str, want: Option<(u32, u32)>| {
            let found = minor(text).map(|version| (version.major, version.minor.unwrap()));
            assert_eq!(found, want, "{text}");
        };
        check("1.22.3", Some((1, 22)));
        check("1.21rc2", Some((1, 21)));
        check("go1.20", Some((1, 20)));
        check("1", Some((1, 0)));
        check("latest", None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        mutate(SAMPLE.as_bytes(), b"(){}\n\t/\"v.=> ", 3000, |bytes| {
            let file = parse(&String::from_utf8_lossy(bytes));
            drop(file.requires("github.com/gin-gonic/gin"));
            assert!(file.go.is_none_or(|pin| {
                minor(&pin.version).is_none_or(|version| version.major < u32::MAX)
            }));
        });
    }
}
