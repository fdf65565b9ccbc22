//! The shape of `src`: how long its functions are, and which of its files need each other.
//!
//! A file needs another one when it names something of it by `crate::`, `super::` or `self::`. That the head of a folder
//! names its children is not counted: it declares them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::tidy::program;

/// Lines of one function, its braces included.
const FUNCTION_LINES_MAX: usize = 70;

/// A file: its module's path and its lines without those that only tests have.
pub(crate) struct File {
    path: PathBuf,
    pub(crate) module: Vec<String>,
    pub(crate) lines: Vec<String>,
}

/// All files of `src` but those that only tests have.
pub(crate) fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = program();
    paths.sort();
    let is_for_tests = |path: &&PathBuf| {
        let stem = path.file_stem().unwrap().to_string_lossy();
        stem == "tests" || stem.ends_with("_tests")
    };
    let file = |path: &PathBuf| {
        let below = path.strip_prefix(&root).unwrap().with_extension("");
        let names = below.iter().map(|part| part.to_string_lossy().into_owned());
        let module = names.filter(|name| name != "mod" && name != "lib").collect();
        let lines = without_tests(&fs::read_to_string(path).unwrap());
        File { path: path.clone(), module, lines }
    };
    paths.iter().filter(|path| !is_for_tests(path)).map(file).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The lines of a file but for blank ones and for what `#[cfg(test)]` marks; the code is laid out by rustfmt.
fn without_tests(text: &str) -> Vec<String> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut kept = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push(line.to_owned());
            continue;
        }
        let Some(item) = lines.by_ref().find(|line| !line.trim().starts_with('#')) else { break };
        if item.trim_end().ends_with('{') {
            let end = format!("{}}}", " ".repeat(indent(item)));
            lines.by_ref().find(|line| **line == end);
        }
    }
    kept
}

#[test]
fn functions_fit_on_a_screen() {
    let mut faults = Vec::new();
    for file in files() {
        for (at, line) in file.lines.iter().enumerate() {
            let code = line.trim_start();
            let is_function = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "const fn "]
                .iter()
                .any(|start| code.starts_with(start))
                || code.starts_with("pub") && code.contains(" fn ");
            if !is_function {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indent(line)));
            let length = file.lines[at..].iter().position(|line| *line == end).unwrap_or(0) + 1;
            if length > FUNCTION_LINES_MAX && !line.trim_end().ends_with([';', '}']) {
                faults.push(format!("{}: {code} {length} lines", file.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

// Who needs whom.

/// All paths of `use` items and of expressions that begin with `crate::`, `super::` or `self::`, absolute.
fn used(file: &File) -> Vec<Vec<String>> {
    let text: String = file
        .lines
        .iter()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                expand(&text[at..], Vec::new(), &mut found);
            }
        }
    }
    found.into_iter().map(|path| absolute(&path, &file.module)).collect()
}

/// A path from the root of the crate. `super` of a file is the module its folder belongs to.
fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let mut at = module.to_vec();
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ => break,
        }
        rest = tail;
    }
    at.extend(rest.iter().cloned());
    at
}

/// Expands `a::{b, c::d}` at the start of a text; gives how many bytes it took.
fn expand(text: &str, mut prefix: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start().len();
        let rest = &text[at..];
        if rest.starts_with('{') {
            at += 1;
            while at < text.len() && !text[at..].starts_with('}') {
                let taken = expand(&text[at..], prefix.clone(), found);
                at += taken;
                let rest = &text[at..];
                let skipped = rest.find([',', '}']).unwrap_or(rest.len());
                at += skipped;
                if text[at..].starts_with(',') {
                    at += 1;
                }
            }
            return at + 1;
        }
        let word: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '*')).collect();
        if word.is_empty() {
            return at;
        }
        at += word.len();
        prefix.push(word);
        match text[at..].starts_with("::") {
            true => at += 2,
            false => {
                found.push(prefix);
                return at;
            }
        }
    }
}

/// The file that a path leads to: through re-exports of the modules of folders, to where the name is defined.
fn target(
    path: &[String],
    modules: &BTreeMap<Vec<String>, usize>,
    exports: &BTreeMap<Vec<String>, Vec<String>>,
    depth: usize,
) -> Option<usize> {
    if depth > 8 {
        return None;
    }
    for length in (1..=path.len()).rev() {
        if let Some(real) = exports.get(&path[..length])
            && real != &path[..length]
        {
            let onward: Vec<String> = real.iter().chain(&path[length..]).cloned().collect();
            return target(&onward, modules, exports, depth + 1);
        }
        if let Some(file) = modules.get(&path[..length]) {
            return Some(*file);
        }
    }
    None
}

/// Names that modules re-export: `detect::Facts` → `detect::facts::Facts`.
fn exports(files: &[File]) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut found = BTreeMap::new();
    for file in files {
        let text = file.lines.join("\n");
        for (at, _) in text.match_indices("pub") {
            let is_start = text[..at].ends_with('\n') || at == 0;
            let Some(use_at) = text[at..].find("use ").filter(|_| is_start) else { continue };
            let between = &text[at + 3..at + use_at];
            if !between.chars().all(|c| c.is_alphanumeric() || "() ".contains(c)) {
                continue;
            }
            let mut paths = Vec::new();
            expand(&text[at + use_at + 4..], Vec::new(), &mut paths);
            for path in paths {
                let real = absolute(&path, &file.module);
                let name = match real.last() {
                    Some(last) if last == "self" => real[real.len() - 2].clone(),
                    Some(last) => last.clone(),
                    None => continue,
                };
                let real: Vec<String> = real.into_iter().filter(|part| part != "self").collect();
                let mut own = file.module.clone();
                own.push(name);
                found.insert(own, real);
            }
        }
    }
    found
}

/// Files that need each other, directly or by others.
#[test]
fn no_two_files_need_each_other() {
    let files = files();
    let modules: BTreeMap<Vec<String>, usize> =
        files.iter().enumerate().map(|(at, file)| (file.module.clone(), at)).collect();
    let exports = exports(&files);
    let mut needs: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); files.len()];
    for (at, file) in files.iter().enumerate() {
        for path in used(file) {
            let path: Vec<String> =
                path.into_iter().filter(|part| part != "*" && part != "self").collect();
            let is_below = |to: &usize| files[*to].module.starts_with(&file.module);
            needs[at].extend(target(&path, &modules, &exports, 0).filter(|to| !is_below(to)));
        }
    }
    let reach: Vec<BTreeSet<usize>> = (0..files.len())
        .map(|from| {
            let mut seen = BTreeSet::new();
            let mut pending: Vec<usize> = needs[from].iter().copied().collect();
            while let Some(at) = pending.pop() {
                if seen.insert(at) {
                    pending.extend(&needs[at]);
                }
            }
            seen
        })
        .collect();
    let name = |at: usize| files[at].module.join("::");
    let mut circles = BTreeSet::new();
    for at in (0..files.len()).filter(|at| reach[*at].contains(at)) {
        let members: Vec<String> =
            reach[at].iter().filter(|to| reach[**to].contains(&at)).map(|to| name(*to)).collect();
        circles.insert(members);
    }
    let arrows: Vec<String> = circles
        .iter()
        .flatten()
        .flat_map(|from| {
            let at = (0..files.len()).find(|at| name(*at) == *from).unwrap();
            let inside =
                needs[at].iter().filter(|to| circles.iter().flatten().any(|c| *c == name(**to)));
            inside.map(|to| format!("{from} -> {}", name(*to))).collect::<Vec<_>>()
        })
        .collect();
    assert!(circles.is_empty(), "{circles:#?}\n{arrows:#?}");
}

#[test]
fn paths_are_found_in_every_form_of_use() {
    let mut found = Vec::new();
    expand("super::{a::{B, c::*}, d}; x", Vec::new(), &mut found);
    let shown: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(shown, ["super::a::B", "super::a::c::*", "super::d"]);
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let check = |used: &str, from: &str, to: &str| {
        assert_eq!(absolute(&path(used), &path(from)).join("::"), to, "{used}");
    };
    check("super::pins", "detect::folder", "detect::pins");
    check("self::build::x", "detect::ecosystems::node", "detect::ecosystems::node::build::x");
    check("crate::detect::facts", "detect::a::b", "detect::facts");
    let lines = without_tests("fn a() {}\n\n#[cfg(test)]\nmod tests {\n    x\n}\nfn b() {}\n");
    assert_eq!(lines, ["fn a() {}", "fn b() {}"]);
}
