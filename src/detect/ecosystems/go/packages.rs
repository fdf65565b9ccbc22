//! Go packages: which folders hold a program, and which files belong to it.

use std::collections::BTreeSet;

use super::{embed::embeds, module::ModFile};
use crate::detect::prelude::*;

/// The head of a Go file: what stands before the first declaration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Name of the package.
    pub(super) package: String,
    /// Import paths.
    pub(super) imports: Vec<String>,
    /// `//go:build ignore`: a script, not part of the package.
    pub(super) is_ignored: bool,
}

impl Head {
    /// Reads package clause and imports (go.dev/ref/spec, "Source file organization").
    pub(super) fn parse(text: &str) -> Self {
        let mut head = Self::default();
        let (mut in_comment, mut in_imports) = (false, false);
        for line in text.lines().take(HEAD_LINES_MAX).map(str::trim) {
            if in_comment || line.starts_with("/*") {
                in_comment = !line.contains("*/");
            } else if let Some(constraint) =
                line.strip_prefix("//go:build").or_else(|| line.strip_prefix("// +build"))
            {
                head.is_ignored |= constraint.split_whitespace().any(|tag| tag == "ignore");
            } else if line.starts_with("//") || line.is_empty() {
            } else if let Some(name) = line.strip_prefix("package ") {
                let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                head.package = name.unwrap_or_default().to_owned();
            } else if in_imports {
                in_imports = !line.starts_with(')');
                head.imports.extend(quoted(line));
            } else if let Some(rest) = line.strip_prefix("import") {
                in_imports = rest.trim_start().starts_with('(') && !rest.contains(')');
                head.imports.extend(quoted(rest));
            } else if !head.package.is_empty() {
                break;
            }
        }
        head
    }
}

fn quoted(text: &str) -> Option<String> {
    text.split(['"', '`']).nth(1).map(str::to_owned)
}

/// Folders of the module with a program, sorted, the module's own folder first; `others` are those of all modules.
pub(super) fn mains(module: Folder<'_>, others: &BTreeSet<&str>) -> Vec<String> {
    let is_own = |dir: &&str| {
        upward(dir).take_while(|dir| *dir != module.dir).all(|dir| {
            let name = file_name(dir);
            let is_beside = folders::is_beside_product(name) || TOOL_FOLDERS.contains(&name);
            !is_beside && !name.starts_with(['.', '_']) && !others.contains(dir)
        })
    };
    let dirs = module.project.tree.dirs_below(module.dir).map(|(dir, _)| dir).filter(is_own);
    let is_main = |dir: &&str| is_main(Folder::new(module.project, dir));
    dirs.take(FOLDERS_MAX).filter(is_main).take(MAINS_MAX).map(str::to_owned).collect()
}

/// Folders of the programs that GoReleaser builds: a released example is the product.
pub(super) fn released(at: Folder<'_>) -> Vec<String> {
    let names = [".goreleaser.yaml", ".goreleaser.yml", "goreleaser.yaml", "goreleaser.yml"];
    let file = at.first_of(&names).and_then(|name| at.yaml(name));
    let builds = file.as_ref().and_then(|file| file.get("builds")).map(Value::items);
    let mains = builds.unwrap_or_default().iter().filter_map(|build| {
        let path = resolve(at.dir, build.str_at(&["main"])?)?;
        Some(if path.ends_with(".go") { parent(&path).to_owned() } else { path })
    });
    mains.collect()
}

/// Whether the folder's files are a program: the package is that of the first file that belongs to one; `cmd/go` refuses
/// folders with two.
pub(super) fn is_main(at: Folder<'_>) -> bool {
    let mut files = go_files(at);
    files.sort_by_key(|name| *name != "main.go");
    let texts = files.iter().take(HEADS_MAX).filter_map(|name| at.read(name));
    let mut heads = texts.map(|text| Head::parse(&text.text)).filter(|head| !head.is_ignored);
    heads.find(|head| !head.package.is_empty()).is_some_and(|head| head.package == "main")
}

/// Names of the files that `go build` takes on Linux, as far as names say.
fn go_files(at: Folder<'_>) -> Vec<&str> {
    let is_left_out = |name: &str| {
        let end = name.trim_end_matches(".go").rsplit_once('_').map(|(_, end)| end);
        name.starts_with(['_', '.']) || end.is_some_and(|end| LEFT_OUT.contains(&end))
    };
    let all = at.entries().into_iter().flat_map(|entries| entries.ending(".go"));
    all.filter(|name| !is_left_out(name)).collect()
}

/// A program: its files and those of all packages of the same modules that it imports.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Its folder.
    pub(super) dir: String,
    /// Own files first.
    pub(super) files: Vec<Rc<Text>>,
    /// Imported packages of other modules and of the standard library.
    pub(super) imports: BTreeSet<String>,
    /// Whether a file calls C.
    pub(super) has_cgo: bool,
    /// Folders and files that `//go:embed` names, relative to the root.
    pub(super) embeds: BTreeSet<String>,
}

impl Program {
    /// Follows the imports from `dir`; `modules` are those of the tree.
    pub(super) fn load(project: &Project<'_>, dir: String, modules: &[ModFile]) -> Self {
        let mut program = Self { dir: dir.clone(), ..Self::default() };
        compiled::reach(vec![dir], |dir| program.add(Folder::new(project, dir), modules));
        program
    }

    /// Adds the files of a package, and gives the folders of those that it imports.
    fn add(&mut self, at: Folder<'_>, modules: &[ModFile]) -> Vec<String> {
        let mut folders = Vec::new();
        let room = FILES_MAX.saturating_sub(self.files.len());
        for text in go_files(at).into_iter().filter_map(|name| at.read(name)).take(room) {
            let head = Head::parse(&text.text);
            if head.is_ignored {
                continue;
            }
            self.embeds.extend(embeds(at.dir, &text.text).map(|(path, _)| path));
            for import in head.imports {
                self.has_cgo |= import == "C";
                match folder(&import, modules) {
                    Some(folder) => folders.push(folder),
                    None => drop(self.imports.insert(import)),
                }
            }
            self.files.push(text);
        }
        folders
    }

    /// Whether a package of `module` is imported, in any major version.
    pub(super) fn uses(&self, module: &str) -> bool {
        self.imports.iter().any(|import| is_below(import, module))
    }

    /// Whether a package is imported with that part in its path: `cli` for `github.com/urfave/cli/v2`, `kingpin` for
    /// `gopkg.in/alecthomas/kingpin.v2`.
    pub(super) fn imports_part(&self, name: &str) -> bool {
        let is_it = |part: &str| part.split('.').next() == Some(name);
        let mut foreign = self.imports.iter().filter(|import| import.contains('.'));
        foreign.any(|import| import.split('/').skip(1).any(is_it))
    }

    /// Whether one of its files holds a text.
    pub(super) fn has(&self, text: &str) -> bool {
        self.files.iter().any(|file| file.text.contains(text))
    }

    /// Where one of its files holds a text.
    pub(super) fn place(&self, text: &str) -> Option<Evidence> {
        let mut files = self.files.iter();
        files.find_map(|file| Some(Evidence::line(&file.path, Some(file.line_of(text)?))))
    }

    /// Whether its folder or one above is called so.
    pub(super) fn is_in(&self, name: &str) -> bool {
        self.dir.split('/').any(|part| part == name)
    }
}

/// The folder of an imported package that lies in the tree.
fn folder(import: &str, modules: &[ModFile]) -> Option<String> {
    let of = |module: &ModFile| {
        let rest = import.strip_prefix(&module.module).filter(|_| !module.module.is_empty())?;
        let rest = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
        Some((module.module.len(), resolve(module.dir(), rest)?))
    };
    modules.iter().filter_map(of).max_by_key(|(length, _)| *length).map(|(_, folder)| folder)
}

/// Folders of programs that developers run.
const TOOL_FOLDERS: &[&str] = &[
    "tools", "tool", "scripts", "script", "hack", "magefiles", "codegen", "generate",
    "node_modules", "mocks", "mock",
];

/// Ends of names of files that are tests or for other systems.
const LEFT_OUT: &[&str] =
    &["test", "windows", "darwin", "freebsd", "openbsd", "netbsd", "js", "wasm", "plan9"];

const HEAD_LINES_MAX: usize = 400;
const HEADS_MAX: usize = 4;
const FOLDERS_MAX: usize = 4000;
const MAINS_MAX: usize = 64;
const FILES_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn a_head_has_package_imports_and_constraints() {
        let head = Head::parse(
            "// Copyright\n/* long\n package no */\n//go:build ignore\n\npackage main // x\n\nimport \"fmt\"\nimport (\n\t\"net/http\"\n\n\tpb \"example.com/shop/pb\" // gen\n)\n\nfunc main() {}\n",
        );
        assert_eq!(head.package, "main");
        assert_eq!(head.imports, ["fmt", "net/http", "example.com/shop/pb"]);
        assert!(head.is_ignored);
    }

    #[test]
    fn an_import_belongs_to_the_longest_module() {
        let module = |path: &str, module: &str| ModFile {
            path: path.into(),
            module: module.into(),
            ..ModFile::default()
        };
        let modules = [module("go.mod", "example.com/a"), module("sub/go.mod", "example.com/a/b")];
        assert_eq!(folder("example.com/a/x", &modules).as_deref(), Some("x"));
        assert_eq!(folder("example.com/a/b/x", &modules).as_deref(), Some("sub/x"));
        assert_eq!(folder("example.com/a", &modules).as_deref(), Some("."));
        assert_eq!(folder("example.com/ab", &modules), None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "//go:build ignore\npackage main\nimport (\n\"fmt\"\n)\n//go:embed a b\n";
        mutate(seed.as_bytes(), b"\"`()\n/* ", 3000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            drop(Head::parse(&text));
            assert!(embeds("a", &text).all(|(path, _)| !path.starts_with('/')));
        });
    }
}
