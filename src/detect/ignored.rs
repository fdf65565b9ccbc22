//! What the project's `.dockerignore` leaves out of the context, although the build needs it.
//!
//! The file was written for the project's own Dockerfile. That copies what it names and no more, so the list may let
//! nothing else through (`*`, then `!target`), or leave out a lock file that the Dockerfile does not use. Exceptions of
//! `build.exclude` come after the lines of the ignore file: a line that leaves out what the spec names is lifted.

use super::{
    Evidence, Service, Tree,
    decision::Decision,
    join,
    paths::glob,
    why::{Fixed, What},
};
use crate::spec::BUILD_DIR;

/// What stays out when a list of exceptions is lifted: what tools fetch and git keeps.
const NEVER: [&str; 3] = [".git", "**/node_modules", "**/.venv"];

/// Texts that manifests of Python name, and builds of packages read.
const TEXTS: [&str; 3] = ["README", "LICENSE", "LICENCE"];

/// Rules of Apache for a folder.
const HTACCESS: &str = ".htaccess";

/// A line of the file.
struct Line<'a> {
    number: usize,
    is_exception: bool,
    pattern: &'a str,
}

/// Brings back what the spec of a service needs; `sources` are the extensions of its language.
pub(super) fn bring_back(tree: &Tree, service: &mut Service, sources: &[&str]) {
    const FILE: &str = ".dockerignore";
    let Some(text) = tree.read(FILE) else { return };
    let lines: Vec<Line<'_>> = text.lines().filter_map(line).collect();
    let everything = lines.iter().find(|line| !line.is_exception && line.is_everything());
    let (places, exceptions) = match everything {
        Some(line) => {
            let never = NEVER.map(str::to_owned).into_iter();
            (vec![line.number], ["!**".to_owned()].into_iter().chain(never).collect::<Vec<_>>())
        }
        None => {
            let paths = needed(tree, service, sources).into_iter();
            let mut lifted: Vec<&Line<'_>> =
                paths.filter_map(|path| left_out(&lines, &path)).collect();
            lifted.extend(without_sources(tree, service, sources, &lines));
            lifted.sort_by_key(|line| line.number);
            lifted.dedup_by_key(|line| line.number);
            let exceptions = lifted.iter().map(|line| format!("!{}", line.pattern)).collect();
            (lifted.iter().map(|line| line.number).collect(), exceptions)
        }
    };
    if exceptions.is_empty() {
        return;
    }
    let told = exceptions.join(" ");
    let places =
        places.into_iter().map(|line| Evidence { file: FILE.to_owned(), line: Some(line) });
    service.decisions.push(Decision::new(What::Context, told, Fixed::ForItsDockerfile, places));
    let mut all = exceptions;
    for pattern in std::mem::take(&mut service.spec.build.exclude) {
        if !all.contains(&pattern) {
            all.push(pattern);
        }
    }
    service.spec.build.exclude = all;
}

fn line((number, text): (usize, &str)) -> Option<Line<'_>> {
    let text = text.trim();
    let (is_exception, pattern) = match text.strip_prefix('!') {
        Some(pattern) => (true, pattern.trim()),
        None => (false, text),
    };
    let pattern = pattern.trim_start_matches("./").trim_matches('/');
    let line = Line { number, is_exception, pattern };
    (!text.starts_with('#') && !pattern.is_empty()).then_some(line)
}

impl Line<'_> {
    fn is_everything(&self) -> bool {
        matches!(self.pattern, "*" | "**" | "**/*" | "*/**" | ".")
    }

    /// Whether it names a path, or a folder above it.
    fn names(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.map(|end| &path[..end]).any(|part| glob(self.pattern, part))
    }
}

/// The line that leaves out a path: the last one that names it.
fn left_out<'l, 'a>(lines: &'l [Line<'a>], path: &str) -> Option<&'l Line<'a>> {
    lines.iter().rev().find(|line| line.names(path)).filter(|line| !line.is_exception)
}

/// The lines that together leave out every source of a service.
fn without_sources<'l, 'a>(
    tree: &Tree,
    service: &Service,
    extensions: &[&str],
    lines: &'l [Line<'a>],
) -> Vec<&'l Line<'a>> {
    let files = tree.dirs_below(&service.dir).flat_map(|(dir, entries)| {
        entries
            .files
            .iter()
            .filter(|name| is_source(name, extensions))
            .map(move |name| join(dir, name))
    });
    let mut by = Vec::new();
    for file in files {
        match left_out(lines, &file) {
            Some(line) => by.push(line),
            None => return Vec::new(),
        }
    }
    by
}

fn is_source(name: &str, extensions: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// Files and folders of the tree that the spec of a service names.
fn needed(tree: &Tree, service: &Service, sources: &[&str]) -> Vec<String> {
    let build = &service.spec.build;
    let mut paths: Vec<String> = build.dependencies.iter().flat_map(|d| d.files.clone()).collect();
    let started = service.decisions.iter().filter(|d| d.what == What::StartCommand);
    let places = started.flat_map(|d| &d.evidence).map(|place| place.file.clone());
    paths.extend(places.filter(|file| is_source(file, sources)));
    let below = |from: &str| from.strip_prefix(BUILD_DIR)?.strip_prefix('/').map(str::to_owned);
    paths.extend(service.spec.runtime.copy.iter().filter_map(|copy| below(&copy.from)));
    for manifest in ["pyproject.toml", "setup.cfg", "setup.py"] {
        let Some(text) = tree.read(&join(&service.dir, manifest)) else { continue };
        let files = tree.entries(&service.dir).map(|entries| &*entries.files).unwrap_or_default();
        let named = files.iter().filter(|name| {
            TEXTS.iter().any(|start| name.starts_with(start)) && text.line_of(name).is_some()
        });
        paths.extend(named.map(|name| join(&service.dir, name)));
    }
    if sources.contains(&"php") {
        // Apache reads them in every folder that it serves.
        let dirs = tree.dirs_below(&service.dir).filter(|(_, entries)| entries.has(HTACCESS));
        paths.extend(dirs.map(|(dir, _)| join(dir, HTACCESS)));
    }
    paths.retain(|path| tree.has(path) || tree.has_dir(path));
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Family, detect};

    fn check(ignore: &str, want: &[&str]) {
        let files = [
            ("pyproject.toml", "[project]\nname = \"shop\"\nreadme = \"README.md\"\n[tool.uv]\n"),
            ("uv.lock", "version = 1\n"),
            ("README.md", "Shop\n"),
            ("main.py", "from flask import Flask\napp = Flask(__name__)\napp.run(port=5000)\n"),
        ];
        check_files(&files, ignore, want);
    }

    fn check_files(files: &[(&str, &str)], ignore: &str, want: &[&str]) {
        let tree = tempfile::tempdir().unwrap();
        for (name, text) in files.iter().chain([&(".dockerignore", ignore)]) {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = detect(tree.path(), Family::Official).unwrap();
        let exclude = &found.services[0].spec.build.exclude;
        let back: Vec<&str> =
            exclude.iter().map(String::as_str).filter(|line| line.starts_with('!')).collect();
        assert_eq!(back, want, "{ignore}");
    }

    #[test]
    fn a_line_that_leaves_out_what_the_spec_names_is_lifted() {
        check("tests\n.git\n", &[]);
        check("*.lock\n*.md\n", &["!*.lock", "!*.md"]);
        check("*.lock\n!uv.lock\n# main.py\n", &[]);
        check("/main.py/\n", &["!main.py"]);
        check("**/*.py\n", &["!**/*.py"]);
    }

    #[test]
    fn rules_of_apache_come_back_for_php_alone() {
        let check = |program: (&str, &str), ignore: &str, want: &[&str]| {
            check_files(&[program, ("a/.htaccess", "Deny from all\n")], ignore, want);
        };
        let php = ("index.php", "<?php echo 1;\n");
        check(php, "**/.htaccess\n", &["!**/.htaccess"]);
        check(php, ".ht*\n", &[]);
        check(php, "docs\n", &[]);
        check(("main.py", "import flask\napp = flask.Flask(__name__)\n"), "**/.htaccess\n", &[]);
    }

    #[test]
    fn a_list_of_what_is_let_through_counts_no_more() {
        check("*\n!main.py\n", &["!**"]);
        check("**\n!/target\n", &["!**"]);
    }
}
