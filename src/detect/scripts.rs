//! Interpreters that scripts name in their first line: the image that runs a script needs its own.

use crate::detect::{facts::Need, prelude::*};

/// Interpreters and their packages, in the stage of the build.
static OF_BUILD: &[Library] = &[
    library("bash", &[], &[]).wolfi(&["bash"], &[]),
    library("fish", &["fish"], &[]),
    library("gawk", &["gawk"], &[]),
    library("ksh", &["ksh"], &[]),
    library("node", &["nodejs"], &[]).wolfi(&["nodejs"], &[]),
    library("perl", &["perl"], &[]).wolfi(&["perl"], &[]),
    library("php", &["php-cli"], &[]).wolfi(&["php"], &[]),
    library("python3", &["python3"], &[]).wolfi(&["python3"], &[]),
    library("ruby", &["ruby"], &[]).wolfi(&["ruby"], &[]),
    library("tclsh", &["tcl"], &[]),
    library("zsh", &["zsh"], &[]),
];

/// The same in the image.
static OF_IMAGE: &[Library] = &[
    library("bash", &[], &[]).wolfi(&[], &["bash"]),
    library("fish", &[], &["fish"]),
    library("gawk", &[], &["gawk"]),
    library("ksh", &[], &["ksh"]),
    library("node", &[], &["nodejs"]).wolfi(&[], &["nodejs"]),
    library("perl", &[], &["perl"]).wolfi(&[], &["perl"]),
    library("php", &[], &["php-cli"]).wolfi(&[], &["php"]),
    library("python3", &[], &["python3"]).wolfi(&[], &["python3"]),
    library("ruby", &[], &["ruby"]).wolfi(&[], &["ruby"]),
    library("tclsh", &[], &["tcl"]),
    library("zsh", &[], &["zsh"]),
];

/// Languages whose images have an interpreter by themselves.
const OWN: &[(&str, &[&str])] = &[
    ("node", &["javascript", "typescript"]),
    ("perl", &["perl"]),
    ("php", &["php"]),
    ("python3", &["python"]),
    ("ruby", &["ruby"]),
];

/// The program that runs a script, and its arguments: `#!/usr/bin/env -S python3 -u` names `python3 -u`.
pub(super) fn first_line(text: &str) -> Option<Vec<&str>> {
    let line = text.strip_prefix("#!")?.lines().next()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_program = |word: &&str| !word.starts_with('-') && !word.contains('=');
    let at = match file_name(words.first()?) {
        "env" => 1 + words[1..].iter().position(is_program)?,
        _ => 0,
    };
    Some(words[at..].to_vec())
}

/// The name of the program that runs a script.
pub(super) fn interpreter(text: &str) -> Option<&str> {
    first_line(text)?.first().copied().map(file_name)
}

/// Lets the stages of a service have the interpreters of the scripts that they run.
pub(super) fn needs(project: &Project<'_>, facts: &mut Facts) {
    let steps = facts.layers.iter().flat_map(|layer| &layer.steps).chain(&facts.steps);
    let lines = steps.map(|step| (OF_BUILD, step.dir.as_str(), step.command.clone()));
    let mut lines: Vec<(&[Library], &str, String)> = lines.collect();
    if let Serves::Process(process) = &facts.serves {
        let home = format!("{}/", facts.runs_on.unwrap_or(facts.language).in_home(""));
        lines.push((OF_IMAGE, &facts.dir, process.command.join(" ").replace(&home, "")));
    }
    let mut needs = Vec::new();
    for (table, dir, line) in lines {
        let called = called(Folder::new(project, dir), &line);
        for path in scripts(project, dir, &line).chain(scripts(project, dir, &called)) {
            needs.extend(need(project, table, path, facts.id));
        }
    }
    facts.needs.extend(needs);
}

/// The scripts of `package.json` that a line calls by name.
fn called(at: Folder<'_>, line: &str) -> String {
    if !["npm ", "pnpm ", "yarn "].iter().any(|tool| line.contains(tool)) {
        return String::new();
    }
    let Some(package) = at.json("package.json") else { return String::new() };
    let lines = line.split_whitespace().filter_map(|name| package.str_at(&["scripts", name]));
    lines.collect::<Vec<_>>().join("; ")
}

/// The package with the interpreter of a script, unless the language's images have it.
fn need(
    project: &Project<'_>,
    table: &'static [Library],
    path: String,
    language: &str,
) -> Option<Need> {
    let head = project.tree.head(&path, HEAD_BYTES)?;
    let name = match interpreter(&head)? {
        "python" => "python3",
        "nodejs" => "node",
        name => name,
    };
    let has_own = OWN.iter().any(|(own, ids)| *own == name && ids.contains(&language));
    let library = table.iter().find(|library| library.name == name && !has_own)?;
    Some(Need::Library(library, Evidence::line(path, Some(1))))
}

/// The scripts of the project that a line names, as paths.
fn scripts<'a>(
    project: &'a Project<'_>,
    dir: &'a str,
    line: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let words = line.split(|c: char| c.is_whitespace() || "\"'`;&|()<>=".contains(c));
    // A file whose type is told by its name is run by what the line names before it.
    let is_script =
        |word: &&str| word.ends_with(".sh") || word.contains('/') && !file_name(word).contains('.');
    let paths = words.filter(is_script).filter_map(move |word| resolve(dir, word));
    paths.filter(|path| project.tree.has(path))
}

/// More of a file is not looked at.
pub(super) const HEAD_BYTES: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_interpreter() {
        let check = |text: &str, name: Option<&str>| assert_eq!(interpreter(text), name, "{text}");
        check("#!/bin/bash -e\n", Some("bash"));
        check("#! /usr/bin/env python3\nprint()", Some("python3"));
        check("#!/usr/bin/env -S A=b node --x\n", Some("node"));
        check("#!\n", None);
        check("echo\n#!/bin/sh", None);
        let check = |text: &str, words: &[&str]| assert_eq!(first_line(text).unwrap(), words);
        check("#!/usr/bin/env node -r esm\n", &["node", "-r", "esm"]);
        check("#!/usr/bin/env -S A=b node --x", &["node", "--x"]);
        check("#!/bin/sh -e", &["/bin/sh", "-e"]);
    }
}
