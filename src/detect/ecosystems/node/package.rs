//! `package.json`, and what else of a folder the rules ask for.

use crate::detect::{manifest, prelude::*};

/// A folder with a `package.json`.
#[derive(Debug)]
pub(super) struct Package<'a> {
    /// The folder.
    pub(super) at: Folder<'a>,
    /// The manifest; empty where there is none.
    pub(super) json: Value,
}

const MANIFEST: &str = "package.json";
const GROUPS: [&str; 4] =
    ["dependencies", "optionalDependencies", "peerDependencies", "devDependencies"];

impl<'a> Package<'a> {
    /// Reads the manifest of a folder.
    pub(super) fn load(project: &'a Project<'a>, dir: &'a str) -> Option<Self> {
        let at = Folder::new(project, dir);
        Some(Self { at, json: at.json(MANIFEST)? })
    }

    /// A folder that has none.
    pub(super) fn without_manifest(project: &'a Project<'a>, dir: &'a str) -> Self {
        let json = Value { line: 1, kind: manifest::Kind::Table(Vec::new()) };
        Self { at: Folder::new(project, dir), json }
    }

    /// Whether there is a manifest.
    pub(super) fn has_manifest(&self) -> bool {
        self.json.members().next().is_some()
    }

    /// Path of the manifest.
    pub(super) fn path(&self) -> String {
        self.at.path(MANIFEST)
    }

    /// A line of the manifest.
    pub(super) fn line(&self, line: Option<usize>) -> Evidence {
        self.at.place(MANIFEST, line)
    }

    /// `name`.
    pub(super) fn name(&self) -> Option<&str> {
        self.json.str_at(&["name"]).filter(|name| !name.trim().is_empty())
    }

    /// A script that is not empty.
    pub(super) fn script(&self, name: &str) -> Option<&str> {
        let script = self.json.str_at(&["scripts", name])?;
        // What `npm init` writes.
        let is_filled = !script.trim().is_empty() && !script.contains("no test specified");
        is_filled.then_some(script)
    }

    /// Where a script stands.
    pub(super) fn script_place(&self, name: &str) -> Evidence {
        self.line(self.json.at(&["scripts", name]).map(|script| script.line))
    }

    /// The first of these scripts that is there.
    pub(super) fn first_script<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.script(name).is_some())
    }

    /// All scripts, in order.
    pub(super) fn scripts(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.json.get("scripts").into_iter().flat_map(Value::members);
        members.filter_map(|(name, script)| Some((name, script.as_str()?)))
    }

    /// The range of a dependency, and whether it is needed only to develop; of two, the one that is needed to run.
    fn dependency(&self, name: &str) -> Option<(&Value, bool)> {
        let ranges = GROUPS.iter().map(|group| (self.json.at(&[group, name]), *group == GROUPS[3]));
        let mut ranges = ranges.filter_map(|(range, is_dev)| Some((range?, is_dev)));
        ranges.find(|(range, _)| range.text().is_some())
    }

    /// Whether there is such a dependency.
    pub(super) fn has(&self, name: &str) -> bool {
        GROUPS.iter().any(|group| self.json.at(&[group, name]).is_some())
    }

    /// Whether there is any of these dependencies.
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// Whether a dependency is needed only to develop and build; `None` where there is none.
    pub(super) fn is_dev(&self, name: &str) -> Option<bool> {
        self.dependency(name).map(|(_, is_dev)| is_dev)
    }

    /// Where a dependency stands.
    pub(super) fn place(&self, name: &str) -> Evidence {
        self.line(self.dependency(name).map(|(range, _)| range.line))
    }

    /// The first number of a dependency's range.
    pub(super) fn major(&self, name: &str) -> Option<u32> {
        let range = self.dependency(name)?.0.text()?;
        let rest = &range[range.find(|c: char| c.is_ascii_digit())?..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    }

    /// All dependencies with their ranges, in order of the groups.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = (&str, &str)> {
        GROUPS.iter().flat_map(|group| {
            let members = self.json.get(group).into_iter().flat_map(Value::members);
            members.filter_map(|(name, range)| Some((name, range.as_str()?)))
        })
    }

    /// Whether something is needed only to develop and build.
    pub(super) fn has_dev_dependencies(&self) -> bool {
        self.json.get(GROUPS[3]).is_some_and(|group| group.members().next().is_some())
    }
}
