//! What a project installs from its own tree: archives, folders, members of its workspace.

use std::collections::{BTreeMap, BTreeSet};

use super::{manifest::Manifest, names::normalized};
use crate::detect::prelude::*;

/// Folders that are installed because of others; more are not followed.
const FOLDERS_MAX: usize = 40;

impl Manifest {
    /// Takes a path of a manifest in `at`: `./lib`, `file:vendor/x.whl`, `file:///${PROJECT_ROOT}/lib`.
    pub(super) fn refer(&mut self, at: Folder<'_>, path: &str, place: Evidence) {
        let path = path.split(['[', '#', ';']).next().unwrap_or(path).trim();
        let path = path.strip_prefix("file:").unwrap_or(path).trim_start_matches("//");
        let path = path.trim_start_matches("/${PROJECT_ROOT}/");
        let tree = at.project.tree;
        match resolve(at.dir, path) {
            Some(path) if tree.has(&path) || tree.has_unsearched(&path) => self.archives.push(path),
            path => {
                self.locals.extend(path.filter(|path| tree.has_dir(path)));
                self.local.get_or_insert(place);
            }
        }
    }

    /// Takes a folder of archives, unless it is an address.
    pub(super) fn find_links(&mut self, at: Folder<'_>, path: &str) {
        let path = resolve(at.dir, path.strip_prefix("file:").unwrap_or(path));
        self.archives.extend(path.filter(|path| at.project.tree.has_dir(path)));
    }

    /// What the folders need that are installed with the project, and where they say so.
    pub(super) fn brought(&self, at: Folder<'_>) -> BTreeMap<String, Evidence> {
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::from([at.dir.to_owned()]);
        let mut pending = self.folders(at);
        while let Some(dir) = pending.pop() {
            if seen.len() >= FOLDERS_MAX || !seen.insert(dir.clone()) {
                continue;
            }
            let at = Folder::new(at.project, &dir);
            let manifest = Self::load(at);
            pending.extend(manifest.folders(at));
            for (name, dependency) in manifest.dependencies {
                found.entry(name).or_insert(dependency.place);
            }
        }
        found
    }

    /// Folders that are dependencies, those of members of the workspace too.
    fn folders(&self, at: Folder<'_>) -> Vec<String> {
        let mut found = self.locals.clone();
        if !self.members.is_empty() {
            let root = self.workspace.as_ref().map_or(at.dir, |(root, _)| root);
            let all = at.project.tree.dirs_below(root);
            let all = all.filter(|(_, entries)| entries.has("pyproject.toml"));
            let is_member = |dir: &str| {
                let toml = at.project.tree.toml(&join(dir, "pyproject.toml"));
                let name = toml.as_ref().and_then(|toml| toml.str_at(&["project", "name"]));
                name.is_some_and(|name| self.members.contains(&normalized(name)))
            };
            found.extend(all.map(|(dir, _)| dir.to_owned()).filter(|dir| is_member(dir)));
        }
        found
    }
}
