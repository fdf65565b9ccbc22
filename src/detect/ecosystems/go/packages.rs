//! Go packages: which folders hold a program, and which files belong to it.

use std::{
    collections::{BTreeSet, VecDeque},
    rc::Rc,
};

use super::module::ModFile;
use crate::detect::{
    Project, Text,
    ecosystems::{draft::resolve, source::NOT_PRODUCT},
    model::{join, parent},
};

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
        let mut in_comment = false;
        let mut in_imports = false;
        for line in text.lines().take(HEAD_LINES_MAX) {
            let line = line.trim();
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
    let mut parts = text.split(['"', '`']);
    parts.next()?;
    let inner = parts.next()?;
    parts.next()?;
    Some(inner.to_owned())
}

/// Folders of the module with a program, sorted, the module's own folder first.
///
/// A folder's package is that of its first file that belongs to one; `cmd/go` refuses folders with two.
pub(super) fn mains(project: &Project<'_>, module: &str, others: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut queue = VecDeque::from([(module.to_owned(), 0)]);
    let mut seen = 0;
    while let Some((dir, depth)) = queue.pop_front() {
        seen += 1;
        if seen > FOLDERS_MAX || found.len() >= MAINS_MAX {
            break;
        }
        if is_main(project, &dir) {
            found.push(dir.clone());
        }
        let Some(entries) = project.tree.entries(&dir) else { continue };
        for name in &entries.dirs {
            let path = join(&dir, name);
            let is_left_out = name.starts_with(['.', '_'])
                || NOT_PRODUCT.contains(&name.as_str())
                || TOOL_FOLDERS.contains(&name.as_str())
                || others.contains(&path);
            if !is_left_out && depth < DEPTH_MAX {
                queue.push_back((path, depth + 1));
            }
        }
    }
    found.sort_by_key(|dir| (dir != module, dir.clone()));
    found
}

/// Folders of the programs that GoReleaser builds: a released example is the product.
pub(super) fn released(project: &Project<'_>, root: &str) -> Vec<String> {
    let names = [".goreleaser.yaml", ".goreleaser.yml", "goreleaser.yaml", "goreleaser.yml"];
    let Some(file) = names.iter().find_map(|name| project.tree.read(&join(root, name))) else {
        return Vec::new();
    };
    let mains = file.lines().filter_map(|(_, line)| {
        let line = line.trim_start().trim_start_matches("- ");
        let main = line.strip_prefix("main:")?.trim().trim_matches(['"', '\'']);
        let path = resolve(root, main)?;
        Some(if main.ends_with(".go") { parent(&path).to_owned() } else { path })
    });
    mains.collect()
}

/// Whether the folder's files are a program.
pub(super) fn is_main(project: &Project<'_>, dir: &str) -> bool {
    let files = go_files(project, dir);
    let main = files.iter().position(|name| name == "main.go");
    let first = main.into_iter().map(|at| &files[at]).chain(&files);
    first
        .take(HEADS_MAX)
        .filter_map(|name| project.tree.read(&join(dir, name)))
        .map(|text| Head::parse(&text.text))
        .find(|head| !head.is_ignored && !head.package.is_empty())
        .is_some_and(|head| head.package == "main")
}

/// Names of the files that `go build` takes on Linux, as far as names say.
fn go_files(project: &Project<'_>, dir: &str) -> Vec<String> {
    let Some(entries) = project.tree.entries(dir) else { return Vec::new() };
    let other_system =
        |name: &str| OTHER_SYSTEMS.iter().any(|os| name.ends_with(&format!("_{os}.go")));
    let takes = |name: &&String| {
        name.ends_with(".go")
            && !name.ends_with("_test.go")
            && !name.starts_with(['_', '.'])
            && !other_system(name)
    };
    entries.files.iter().filter(takes).cloned().collect()
}

/// A program: its files and those of all packages of the same modules that it imports.
#[derive(Debug, Default)]
pub(super) struct Program {
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
    pub(super) fn load(project: &Project<'_>, dir: &str, modules: &[ModFile]) -> Self {
        let mut program = Self::default();
        let mut seen = BTreeSet::from([dir.to_owned()]);
        let mut queue = VecDeque::from([dir.to_owned()]);
        while let Some(dir) = queue.pop_front() {
            for name in go_files(project, &dir) {
                if program.files.len() >= FILES_MAX {
                    return program;
                }
                let Some(text) = project.tree.read(&join(&dir, &name)) else { continue };
                let head = Head::parse(&text.text);
                if head.is_ignored {
                    continue;
                }
                program.embeds(&dir, &text.text);
                for import in head.imports {
                    program.has_cgo |= import == "C";
                    match folder(&import, modules) {
                        Some(folder) if seen.insert(folder.clone()) => queue.push_back(folder),
                        Some(_) => {}
                        None => drop(program.imports.insert(import)),
                    }
                }
                program.files.push(text);
            }
        }
        program
    }

    /// Whether a package of `module` is imported, in any major version.
    pub(super) fn uses(&self, module: &str) -> bool {
        self.imports.iter().any(|import| {
            import.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether a package is imported whose path holds that: `/cli` for `github.com/urfave/cli/v2`.
    pub(super) fn imports_like(&self, part: &str) -> bool {
        self.imports.iter().any(|import| {
            import.find(part).is_some_and(|at| {
                let rest = &import[at + part.len()..];
                import.contains('.') && (rest.is_empty() || rest.starts_with(['/', '.']))
            })
        })
    }

    /// Whether it calls something that serves HTTP, gRPC or TCP.
    pub(super) fn serves(&self) -> bool {
        LISTENING.iter().any(|call| self.files.iter().any(|file| file.text.contains(call)))
    }

    fn embeds(&mut self, dir: &str, text: &str) {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("//go:embed ")) {
            let words = line.split_whitespace().map(|word| word.trim_matches(['"', '`']));
            let paths = words.map(|word| word.strip_prefix("all:").unwrap_or(word));
            self.embeds.extend(paths.filter_map(|path| resolve(dir, path)));
        }
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

/// Calls that make a program a server.
pub(super) const LISTENING: &[&str] = &[
    "ListenAndServe", "net.Listen(", ".Run(\":", ".Run()", ".Run(addr", ".Run(port", ".Run(fmt",
    ".Run(\"0.0.0.0", ".Run(os.", ".Start(\":", ".Listen(", "grpc.NewServer", "http.Serve(",
    "http.Server{", ".Start(", ".Spin()", "MustNewServer(",
];

/// Folders of programs that developers run.
const TOOL_FOLDERS: &[&str] = &[
    "tools", "tool", "scripts", "script", "hack", "magefiles", "codegen", "generate",
    "node_modules", "mocks", "mock",
];

const OTHER_SYSTEMS: &[&str] =
    &["windows", "darwin", "freebsd", "openbsd", "netbsd", "js", "wasm", "plan9"];

const HEAD_LINES_MAX: usize = 400;
const HEADS_MAX: usize = 4;
const FOLDERS_MAX: usize = 4000;
const MAINS_MAX: usize = 64;
const DEPTH_MAX: usize = 12;
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
            Program::default().embeds("a", &text);
        });
    }
}
