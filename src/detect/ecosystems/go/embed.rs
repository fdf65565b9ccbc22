//! Files that `//go:embed` compiles into a program.

use crate::detect::prelude::*;

/// Paths, patterns among them, that the `//go:embed` lines of a file in the folder name, relative to the root, with their
/// lines.
pub(super) fn embeds<'t>(dir: &'t str, text: &'t str) -> impl Iterator<Item = (String, usize)> {
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        Some((at + 1, line.trim().strip_prefix("//go:embed ")?.split_whitespace()))
    });
    lines.flat_map(move |(line, words)| {
        words.filter_map(move |word| {
            let path = word.trim_matches(['"', '`']);
            Some((resolve(dir, path.strip_prefix("all:").unwrap_or(path))?, line))
        })
    })
}

/// A `//go:embed` in a file of the folder with a path that `takes` says yes to.
pub(super) fn embeds_path(
    project: &Project<'_>,
    _: &str,
    dir: &str,
    takes: &dyn Fn(&str) -> bool,
) -> Option<Evidence> {
    let names = project.tree.entries(dir)?.ending(".go").take(FILES_MAX);
    names.filter_map(|name| project.tree.read(&join(dir, name))).find_map(|text| {
        let (_, line) = embeds(dir, &text.text).find(|(path, _)| {
            let fixed = path.split(['*', '?', '[']).next().unwrap_or_default();
            let fixed = fixed.trim_end_matches('/');
            takes(if fixed.is_empty() { "." } else { fixed })
        })?;
        Some(Evidence::line(&text.path, Some(line)))
    })
}

/// Files of a folder that are looked at for `//go:embed`.
const FILES_MAX: usize = 40;
