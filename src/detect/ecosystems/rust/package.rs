//! `Cargo.toml`: packages, their programs and the workspace they are in.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::{
    Evidence, Project,
    ecosystems::draft::resolve,
    manifest::Value,
    model::{join, parent},
};

/// One package of Cargo.
#[derive(Clone, Debug)]
pub(super) struct Package {
    /// Its folder.
    pub(super) dir: String,
    /// Its name.
    pub(super) name: String,
    /// Its manifest.
    pub(super) manifest: Value,
    /// Folder of the workspace it is built in; its own when there is none.
    pub(super) root: String,
    /// Names of its programs, sorted, each with its file.
    pub(super) programs: BTreeMap<String, String>,
    /// Files without which Cargo refuses to read the manifest.
    pub(super) targets: BTreeSet<String>,
}

/// All packages of the tree, by folder, and the manifests of the workspaces.
#[derive(Debug, Default)]
pub(super) struct Packages {
    pub(super) all: BTreeMap<String, Package>,
    pub(super) workspaces: BTreeMap<String, Value>,
}

impl Packages {
    /// Reads every `Cargo.toml`.
    pub(super) fn read(project: &Project<'_>) -> Self {
        let mut packages = Self::default();
        for (dir, entries) in project.tree.dirs() {
            if !entries.has("Cargo.toml") {
                continue;
            }
            let Some(manifest) = project.tree.toml(&join(dir, "Cargo.toml")) else { continue };
            if manifest.has("workspace") {
                packages.workspaces.insert(dir.to_owned(), manifest.clone());
            }
            let name = manifest
                .str_at(&["package", "name"])
                .or_else(|| manifest.str_at(&["project", "name"]));
            let Some(name) = name.map(str::to_owned) else { continue };
            let (programs, targets) = targets(project, dir, &name, &manifest);
            let package = Package {
                dir: dir.to_owned(),
                name,
                manifest,
                root: dir.to_owned(),
                programs,
                targets,
            };
            packages.all.insert(dir.to_owned(), package);
        }
        let roots: Vec<(String, String)> = packages
            .all
            .keys()
            .filter_map(|dir| Some((dir.clone(), packages.workspace_of(dir)?)))
            .collect();
        for (dir, root) in roots {
            if let Some(package) = packages.all.get_mut(&dir) {
                package.root = root;
            }
        }
        packages
    }

    /// The workspace of a folder: the nearest manifest with `[workspace]` that does not exclude it
    /// (doc.rust-lang.org/cargo/reference/workspaces.html).
    fn workspace_of(&self, dir: &str) -> Option<String> {
        let mut at = dir;
        loop {
            if let Some(workspace) = self.workspaces.get(at).and_then(|m| m.get("workspace"))
                && (at == dir || self.is_member(workspace, at, dir))
            {
                return Some(at.to_owned());
            }
            if at == "." {
                return None;
            }
            at = parent(at);
        }
    }

    fn is_member(&self, workspace: &Value, root: &str, dir: &str) -> bool {
        let matches = |key: &str| {
            let globs = workspace.get(key).map(Value::texts).unwrap_or_default();
            globs.iter().any(|glob| resolve(root, glob).is_some_and(|glob| fits(&glob, dir)))
        };
        if matches("exclude") {
            return false;
        }
        // Path dependencies below the root are members without being named.
        matches("members")
            || self.all.get(root).is_some_and(|package| package.path_dependencies().contains(dir))
    }

    /// The packages of a workspace, by folder.
    pub(super) fn members(&self, root: &str) -> impl Iterator<Item = &Package> {
        self.all.values().filter(move |package| package.root == root)
    }

    /// A package and all of the tree that it depends on.
    pub(super) fn closure<'a>(&'a self, package: &'a Package) -> Vec<&'a Package> {
        let mut found: Vec<&Package> = vec![package];
        let mut seen = BTreeSet::from([package.dir.clone()]);
        let mut at = 0;
        while let Some(package) = found.get(at).copied() {
            let mut dirs = package.path_dependencies();
            dirs.extend(self.inherited(package));
            for dir in dirs {
                if let Some(next) = self.all.get(&dir).filter(|_| seen.insert(dir.clone())) {
                    found.push(next);
                }
            }
            at += 1;
        }
        found
    }

    /// Folders of dependencies that the workspace names: `lib.workspace = true`.
    fn inherited(&self, package: &Package) -> BTreeSet<String> {
        let Some(workspace) = self.workspaces.get(&package.root) else { return BTreeSet::new() };
        let Some(table) = workspace.at(&["workspace", "dependencies"]) else {
            return BTreeSet::new();
        };
        package
            .dependencies()
            .filter(|(_, value)| value.get("workspace").is_some_and(Value::is_true))
            .filter_map(|(name, _)| table.str_at(&[name, "path"]))
            .filter_map(|path| resolve(&package.root, path))
            .collect()
    }
}

impl Package {
    /// Direct dependencies, those of one platform too.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = (&str, &Value)> {
        let targets = self.manifest.get("target").into_iter().flat_map(Value::members);
        let tables = targets.filter_map(|(_, target)| target.get("dependencies"));
        self.manifest.get("dependencies").into_iter().chain(tables).flat_map(Value::members)
    }

    /// Where a dependency on the crate `name` stands, renamed ones too.
    pub(super) fn depends(&self, name: &str) -> Option<Evidence> {
        self.dependencies()
            .find(|(key, value)| value.str_at(&["package"]).unwrap_or(key) == name)
            .map(|(_, value)| self.evidence(Some(value.line)))
    }

    /// Whether other packages can use it.
    pub(super) fn has_library(&self, project: &Project<'_>) -> bool {
        let path = self.manifest.str_at(&["lib", "path"]).unwrap_or("src/lib.rs");
        self.manifest.has("lib") || project.tree.has(&join(&self.dir, path))
    }

    /// A line of its manifest.
    pub(super) fn evidence(&self, line: Option<usize>) -> Evidence {
        Evidence::line(join(&self.dir, "Cargo.toml"), line)
    }

    /// Folders of the dependencies that lie in the tree.
    pub(super) fn path_dependencies(&self) -> BTreeSet<String> {
        let build = self.manifest.get("build-dependencies").into_iter().flat_map(Value::members);
        self.dependencies()
            .chain(build)
            .filter_map(|(_, value)| resolve(&self.dir, value.str_at(&["path"])?))
            .collect()
    }
}

/// Whether a member glob names a folder; `*` stands for anything within a part.
fn fits(glob: &str, dir: &str) -> bool {
    let (glob, dir): (Vec<&str>, Vec<&str>) = (glob.split('/').collect(), dir.split('/').collect());
    glob.len() == dir.len() && glob.iter().zip(&dir).all(|(glob, part)| part_fits(glob, part))
        || glob.last() == Some(&"**") && dir.starts_with(&glob[..glob.len() - 1])
}

fn part_fits(glob: &str, part: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = part.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Programs, and the files that a manifest needs (doc.rust-lang.org/cargo/reference/cargo-targets.html).
fn targets(
    project: &Project<'_>,
    dir: &str,
    name: &str,
    manifest: &Value,
) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let mut programs = BTreeMap::new();
    let mut targets = BTreeSet::new();
    let has = |path: &str| project.tree.has(&join(dir, path));
    let discovers = manifest
        .at(&["package", "autobins"])
        .is_none_or(|value| value.text().as_deref() != Some("false"));
    if discovers && has("src/main.rs") {
        programs.insert(name.to_owned(), join(dir, "src/main.rs"));
    }
    if discovers && let Some(entries) = project.tree.entries(&join(dir, "src/bin")) {
        for file in entries.files.iter().filter_map(|file| file.strip_suffix(".rs")) {
            programs.insert(file.to_owned(), join(dir, &format!("src/bin/{file}.rs")));
        }
        for folder in &entries.dirs {
            let main = format!("src/bin/{folder}/main.rs");
            if has(&main) {
                programs.insert(folder.clone(), join(dir, &main));
            }
        }
    }
    for bin in manifest.get("bin").map(Value::items).unwrap_or_default() {
        let Some(bin_name) = bin.str_at(&["name"]) else { continue };
        let guesses = [
            format!("src/bin/{bin_name}.rs"),
            format!("src/bin/{bin_name}/main.rs"),
            "src/main.rs".into(),
        ];
        let path = match bin.str_at(&["path"]) {
            Some(path) => Some(path.to_owned()),
            None => guesses.into_iter().find(|path| has(path)),
        };
        let Some(path) = path.and_then(|path| resolve(dir, &path)) else { continue };
        // The file has one name only: `[[bin]]` renames what was found by itself.
        programs.retain(|_, known| *known != path);
        programs.insert(bin_name.to_owned(), path);
    }
    targets.extend(programs.values().cloned());
    let lib = manifest.str_at(&["lib", "path"]).unwrap_or("src/lib.rs");
    targets.extend(has(lib).then(|| join(dir, lib)));
    for (kind, folder) in [("bench", "benches"), ("example", "examples"), ("test", "tests")] {
        for target in manifest.get(kind).map(Value::items).unwrap_or_default() {
            let Some(name) = target.str_at(&["name"]) else { continue };
            let named = target.str_at(&["path"]).map(str::to_owned);
            let guesses = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs")];
            let found = named.into_iter().chain(guesses).find(|path| has(path));
            targets.extend(found.and_then(|path| resolve(dir, &path)));
        }
    }
    (programs, targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_globs_match_whole_parts() {
        let check = |glob: &str, dir: &str, want| assert_eq!(fits(glob, dir), want, "{glob} {dir}");
        check("crates/*", "crates/api", true);
        check("crates/*", "crates/api/sub", false);
        check("crates/svc-*", "crates/svc-api", true);
        check("crates/svc-*-x", "crates/svc-x", false);
        check("api", "api", true);
        check("api", "apis", false);
        check("crates/**", "crates/a/b", true);
        check("*", "é", true);
    }
}
