//! What files of CMake and Meson declare.

use crate::detect::prelude::*;

/// A program's name and where it is declared.
pub(super) type Target = (String, Evidence);

/// Programs that the files of a build tool declare with `call`, the text of these files, and the project's name.
pub(super) fn declared(
    at: Folder<'_>,
    file: &str,
    call: &str,
) -> (Vec<Target>, String, Option<String>) {
    let project = at
        .read(file)
        .and_then(|text| calls(&text.text, "project").into_iter().next().map(|(name, _)| name));
    let (mut targets, mut all) = (Vec::new(), String::new());
    let below = at.project.tree.dirs_below(at.dir).filter(|(_, entries)| entries.has(file));
    for (folder, _) in below.take(FILES_MAX) {
        let path = join(folder, file);
        let is_beside = folders::is_beside_product(&relative(at.dir, folder));
        let Some(text) = at.project.tree.read(&path).filter(|_| !is_beside) else { continue };
        all.push_str(&text.text);
        for (word, start) in calls(&text.text, call) {
            let name = match word.as_str() {
                "${PROJECT_NAME}" | "${CMAKE_PROJECT_NAME}" | "meson.project_name(" => {
                    project.clone()
                }
                name if name.starts_with("${") => variable(&text.text, name, project.as_deref()),
                _ => Some(word),
            };
            if let Some(name) = name.filter(|name| is_plain(name)) {
                targets.push((name, Evidence::line(&path, Some(text.line_at(start)))));
            }
        }
    }
    (targets, all, project)
}

const FILES_MAX: usize = 100;

/// First arguments of the calls `name(argument …)`, with their places; names of commands know no case.
pub(super) fn calls(text: &str, name: &str) -> Vec<(String, usize)> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, _) in lower.match_indices(name).take(500) {
        let line = &text[..at].rsplit('\n').next().unwrap_or_default();
        let is_word = !line.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let Some(rest) = text[at + name.len()..].trim_start().strip_prefix('(') else { continue };
        if !is_word || line.contains('#') {
            continue;
        }
        let rest = rest.trim_start();
        let end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ',')).unwrap_or(rest.len());
        let word = rest[..end].trim_matches(['"', '\'']);
        if !word.is_empty() {
            found.push((word.to_owned(), at));
        }
    }
    found
}

/// The value of `set(NAME value)`.
fn variable(text: &str, reference: &str, project: Option<&str>) -> Option<String> {
    let name = reference.strip_prefix("${")?.strip_suffix('}')?;
    let set = text.find(&format!("set({name} ")).or_else(|| text.find(&format!("SET({name} ")))?;
    let value =
        text[set + name.len() + 5..].split(|c: char| c.is_whitespace() || c == ')').next()?;
    match value.trim_matches('"') {
        "${PROJECT_NAME}" => project.map(str::to_owned),
        value => Some(value.to_owned()),
    }
}

pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{detect::Text, mutation::mutate};

    #[test]
    fn first_arguments_of_calls_are_found() {
        let text = "project(Shop VERSION 1)\n# add_executable(no x.c)\nadd_executable(\n  shop main.cpp)\nADD_EXECUTABLE (tool t.c)\nmy_project(x)\n";
        let names = |name| calls(text, name).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(names("add_executable"), ["shop", "tool"]);
        assert_eq!(names("project"), ["Shop"]);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "set(X ${PROJECT_NAME})\nadd_executable(${X} a.c)\n";
        mutate(seed.as_bytes(), b"(){}$\n\t:= #\"", 2000, |bytes| {
            let text = Text { path: "x".into(), text: String::from_utf8_lossy(bytes).into_owned() };
            drop(calls(&text.text, "add_executable"));
            drop(variable(&text.text, "${X}", None));
        });
    }
}
