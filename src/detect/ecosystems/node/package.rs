//! `package.json`, and what else of a folder the rules ask for.

use crate::detect::{Evidence, Project, join, manifest::Value};

/// A folder with a `package.json`.
#[derive(Debug)]
pub(super) struct Package {
    /// The folder.
    pub(super) dir: String,
    /// Path of the manifest.
    pub(super) path: String,
    json: Value,
}

/// A dependency of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The range as written.
    pub(super) range: String,
    /// Where it stands.
    pub(super) line: usize,
    /// Whether it is needed only to develop and build.
    pub(super) is_dev: bool,
}

const GROUPS: [&str; 4] =
    ["dependencies", "optionalDependencies", "peerDependencies", "devDependencies"];

impl Package {
    /// Reads the manifest of a folder.
    pub(super) fn load(project: &Project<'_>, dir: &str) -> Option<Self> {
        let path = join(dir, "package.json");
        let json = project.tree.json(&path)?;
        Some(Self { dir: dir.to_owned(), path, json })
    }

    /// A folder that has none.
    pub(super) fn without_manifest(dir: &str) -> Self {
        let json = Value { line: 1, kind: crate::detect::manifest::Kind::Table(Vec::new()) };
        Self { dir: dir.to_owned(), path: join(dir, "package.json"), json }
    }

    /// Whether there is a manifest.
    pub(super) fn has_manifest(&self) -> bool {
        self.json.members().next().is_some()
    }

    /// The manifest.
    pub(super) fn json(&self) -> &Value {
        &self.json
    }

    /// `name`.
    pub(super) fn name(&self) -> Option<&str> {
        self.json.str_at(&["name"]).filter(|name| !name.trim().is_empty())
    }

    /// A script that is not empty.
    pub(super) fn script(&self, name: &str) -> Option<&str> {
        let script = self.json.at(&["scripts", name])?.as_str()?;
        // What `npm init` writes.
        let is_filled = !script.trim().is_empty() && !script.contains("no test specified");
        is_filled.then_some(script)
    }

    /// Where a script stands.
    pub(super) fn script_place(&self, name: &str) -> Evidence {
        Evidence::line(&self.path, self.json.at(&["scripts", name]).map(|script| script.line))
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

    /// A dependency of any kind; one that is needed to run before one that is not.
    pub(super) fn dependency(&self, name: &str) -> Option<Dependency> {
        GROUPS.iter().find_map(|group| {
            let range = self.json.at(&[group, name])?;
            let is_dev = *group == "devDependencies";
            Some(Dependency { range: range.text()?, line: range.line, is_dev })
        })
    }

    /// Whether there is such a dependency.
    pub(super) fn has(&self, name: &str) -> bool {
        GROUPS.iter().any(|group| self.json.at(&[group, name]).is_some())
    }

    /// Where a dependency stands.
    pub(super) fn place(&self, name: &str) -> Evidence {
        Evidence::line(&self.path, self.dependency(name).map(|dependency| dependency.line))
    }

    /// The first number of a dependency's range.
    pub(super) fn major(&self, name: &str) -> Option<u32> {
        let range = self.dependency(name)?.range;
        let digits = range.find(|c: char| c.is_ascii_digit())?;
        let rest = &range[digits..];
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
        self.json.get("devDependencies").is_some_and(|group| group.members().next().is_some())
    }

    /// A path of this folder.
    pub(super) fn join(&self, name: &str) -> String {
        join(&self.dir, name)
    }
}
