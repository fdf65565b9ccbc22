//! Dependencies from repositories over SSH.

use super::lines::is_comment;
use crate::detect::{
    Project,
    paths::{file_name, glob},
};

/// Manifests, and what a line of a dependency from a repository holds.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("package.json", &["\"git+ssh:", "\"git@", "\"ssh:"]),
    ("*requirements*.txt", &["git+ssh:"]),
    ("pyproject.toml", &["git+ssh:", "git = \"ssh:", "git = \"git@"]),
    ("Pipfile", &["git+ssh:", "git = \"ssh:", "git = \"git@"]),
    ("Cargo.toml", &["git = \"ssh:", "git = \"git@"]),
    ("Gemfile", &["\"git@", "'git@", "\"ssh:", "'ssh:"]),
    ("composer.json", &["\"url\": \"git@", "\"url\": \"ssh:"]),
    ("mix.exs", &["git: \"git@", "git: \"ssh:"]),
    ("pubspec.yaml", &["url: git@", "url: ssh:", "git: git@", "git: ssh:"]),
    ("Package.swift", &["url: \"git@", "url: \"ssh:"]),
    ("shard.yml", &["git: git@", "git: ssh:"]),
    ("deps.edn", &["\"git@", "\"ssh:"]),
];

pub(super) const NAMES: &[&str] = &[
    "package.json", "*requirements*.txt", "pyproject.toml", "Pipfile", "Cargo.toml", "Gemfile",
    "composer.json", "mix.exs", "pubspec.yaml", "Package.swift", "shard.yml", "deps.edn",
];

/// A note for each dependency of a manifest that is fetched over SSH.
pub(super) fn notes(project: &Project<'_>, path: &str) -> Vec<String> {
    let marks =
        DEPENDENCIES.iter().find(|(name, _)| glob(name, file_name(path))).map(|(_, marks)| *marks);
    let (Some(marks), Some(text)) = (marks, project.tree.read(path)) else { return Vec::new() };
    // Where a project lives is no dependency; Composer's repositories alone are named so.
    let about = ["repository", "homepage", "bugs", "\"url\":"];
    let about = if file_name(path) == "composer.json" { &about[..3] } else { &about };
    let counts = |line: &str| {
        !is_comment(line)
            && marks.iter().any(|mark| line.contains(mark))
            && !about.iter().any(|key| line.contains(key))
    };
    let note = |(at, _): (usize, &str)| {
        format!(
            "{path}:{at}: this dependency is fetched over SSH, and a build has no SSH key: write its https address, and hand \
             a token over as the secret `netrc` (docs/reference/detect.md, \"Private registries\")"
        )
    };
    text.lines().filter(|(_, line)| counts(line)).map(note).collect()
}
