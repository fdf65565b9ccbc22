//! `Cargo.toml`: packages, their programs and the workspace they are in.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::{paths::glob, prelude::*};

/// One package of Cargo.
#[derive(Clone, Debug)]
pub(super) struct Package<'a> {
    pub(super) at: Folder<'a>,
    pub(super) name: String,
    pub(super) manifest: Value,
    /// Folder of the workspace it is built in; its own when there is none.
    pub(super) root: Folder<'a>,
    /// Names of its programs, sorted, each with its file.
    pub(super) programs: BTreeMap<String, String>,
    /// Files without which Cargo refuses to read the manifest.
    pub(super) targets: BTreeSet<String>,
}

/// All packages of the tree, by folder, and the manifests of the workspaces.
#[derive(Debug, Default)]
pub(super) struct Packages<'a> {
    pub(super) all: BTreeMap<&'a str, Package<'a>>,
    pub(super) workspaces: BTreeMap<&'a str, Value>,
}

impl<'a> Packages<'a> {
    /// Reads every `Cargo.toml`.
    pub(super) fn read(project: &'a Project<'a>) -> Self {
        let mut packages = Self::default();
        for (dir, _) in project.tree.dirs().filter(|(_, entries)| entries.has("Cargo.toml")) {
            let at = Folder::new(project, dir);
            let Some(manifest) = at.toml("Cargo.toml") else { continue };
            if manifest.has("workspace") {
                packages.workspaces.insert(dir, manifest.clone());
            }
            let name =
                ["package", "project"].iter().find_map(|key| manifest.str_at(&[key, "name"]));
            if let Some(name) = name.map(str::to_owned) {
                let programs = programs(at, &name, &manifest);
                let targets = targets(at, &manifest, &programs);
                let package = Package { at, name, manifest, root: at, programs, targets };
                packages.all.insert(dir, package);
            }
        }
        let roots: Vec<_> = packages.all.keys().map(|dir| packages.workspace_of(dir)).collect();
        for (package, root) in packages.all.values_mut().zip(roots) {
            package.root.dir = root.unwrap_or(package.at.dir);
        }
        packages
    }

    /// The workspace of a folder: the nearest manifest with `[workspace]` that does not exclude it
    /// (doc.rust-lang.org/cargo/reference/workspaces.html).
    fn workspace_of<'d>(&self, dir: &'d str) -> Option<&'d str> {
        upward(dir).find(|root| {
            let workspace =
                self.workspaces.get(root).and_then(|manifest| manifest.get("workspace"));
            workspace.is_some_and(|table| *root == dir || self.is_member(table, root, dir))
        })
    }

    fn is_member(&self, workspace: &Value, root: &str, dir: &str) -> bool {
        let matches = |key: &str| {
            let globs = workspace.get(key).map(Value::texts).unwrap_or_default();
            globs.iter().filter_map(|pattern| resolve(root, pattern)).any(|p| glob(&p, dir))
        };
        // Path dependencies below the root are members without being named.
        let is_dependency =
            || self.all.get(root).is_some_and(|p| p.path_dependencies().any(|path| path == dir));
        !matches("exclude") && (matches("members") || is_dependency())
    }

    /// The packages of a workspace, by folder.
    pub(super) fn members(&self, root: &str) -> impl Iterator<Item = &Package<'a>> {
        self.all.values().filter(move |package| package.root.dir == root)
    }

    /// Folders that take the place of crates in all packages of a workspace.
    pub(super) fn patches(&self, root: Folder<'_>) -> Vec<String> {
        let own = || Some(&self.all.get(root.dir)?.manifest);
        let manifest = self.workspaces.get(root.dir).or_else(own);
        let registries =
            manifest.and_then(|it| it.get("patch")).into_iter().flat_map(Value::members);
        let crates = registries.flat_map(|(_, crates)| crates.members());
        crates.filter_map(|(_, it)| resolve(root.dir, it.str_at(&["path"])?)).collect()
    }

    /// A package and all of the tree that it depends on.
    pub(super) fn closure(&self, package: &Package<'_>) -> Vec<&Package<'a>> {
        let reached = compiled::reach(vec![package.at.dir.to_owned()], |dir| {
            let package = self.all.get(dir).into_iter();
            let named = package.flat_map(|p| p.path_dependencies().chain(self.inherited(p)));
            named.filter(|dir| self.all.contains_key(&**dir)).collect()
        });
        reached.iter().filter_map(|dir| self.all.get(&**dir)).collect()
    }

    /// Folders of dependencies that the workspace names: `lib.workspace = true`.
    fn inherited(&self, package: &Package<'_>) -> impl Iterator<Item = String> {
        let workspace = self.workspaces.get(package.root.dir);
        let table = workspace.and_then(|manifest| manifest.at(&["workspace", "dependencies"]));
        let is_inherited = |value: &Value| value.get("workspace").is_some_and(Value::is_true);
        let names = package.dependencies().filter(move |(_, value)| is_inherited(value));
        names
            .filter_map(move |(name, _)| resolve(package.root.dir, table?.str_at(&[name, "path"])?))
    }
}

impl Package<'_> {
    /// Whether other packages can use it.
    pub(super) fn has_library(&self) -> bool {
        self.manifest.has("lib") || self.at.has("src/lib.rs")
    }

    /// Sources of its own, not those of packages in its folder.
    pub(super) fn sources(&self) -> Vec<Rc<Text>> {
        let is_package = |dir: &str| self.at.project.tree.has(&join(dir, "Cargo.toml"));
        self.at.sources(&["rs"], &is_package)
    }

    /// Direct dependencies, those of one platform too.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = (&str, &Value)> {
        let targets = self.manifest.get("target").into_iter().flat_map(Value::members);
        let tables = targets.filter_map(|(_, target)| target.get("dependencies"));
        self.manifest.get("dependencies").into_iter().chain(tables).flat_map(Value::members)
    }

    /// A dependency under the name that it has here.
    pub(super) fn dependency(&self, name: &str) -> Option<&Value> {
        self.dependencies().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Where a dependency on the crate `name` stands, renamed ones too.
    pub(super) fn depends(&self, name: &str) -> Option<Evidence> {
        self.dependencies()
            .find(|(key, value)| value.str_at(&["package"]).unwrap_or(key) == name)
            .map(|(_, value)| self.place(Some(value.line)))
    }

    /// A line of its manifest.
    pub(super) fn place(&self, line: Option<usize>) -> Evidence {
        self.at.place("Cargo.toml", line)
    }

    /// Folders of the dependencies that lie in the tree.
    fn path_dependencies(&self) -> impl Iterator<Item = String> {
        let build = self.manifest.get("build-dependencies").into_iter().flat_map(Value::members);
        let all = self.dependencies().chain(build);
        all.filter_map(|(_, value)| resolve(self.at.dir, value.str_at(&["path"])?))
    }
}

/// Programs by name, with their files (doc.rust-lang.org/cargo/reference/cargo-targets.html).
fn programs(at: Folder<'_>, name: &str, manifest: &Value) -> BTreeMap<String, String> {
    let mut programs = BTreeMap::new();
    let discovers = manifest
        .at(&["package", "autobins"])
        .is_none_or(|value| value.text().as_deref() != Some("false"));
    if discovers {
        let bins = at.path("src/bin");
        let entries = at.project.tree.entries(&bins);
        let files = entries.into_iter().flat_map(|entries| entries.ending(".rs"));
        let files = files.map(|file| (file.trim_end_matches(".rs"), join(&bins, file)));
        let folders = entries.into_iter().flat_map(|entries| &entries.dirs);
        let folders = folders.map(|name| (name.as_str(), format!("{bins}/{name}/main.rs")));
        let main = (name, at.path("src/main.rs"));
        let all = [main].into_iter().chain(files).chain(folders);
        let there = all.filter(|(_, path)| at.project.tree.has(path));
        programs.extend(there.map(|(name, path)| (name.to_owned(), path)));
    }
    for (name, path) in listed(at, manifest, "bin", "src/bin") {
        // The file has one name only: `[[bin]]` renames what was found by itself.
        programs.retain(|_, known| *known != path);
        programs.insert(name, path);
    }
    programs
}

/// The files that a manifest needs.
fn targets(
    at: Folder<'_>,
    manifest: &Value,
    programs: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let mut targets: BTreeSet<String> = programs.values().cloned().collect();
    targets.extend(at.those(&[manifest.str_at(&["lib", "path"]).unwrap_or("src/lib.rs")]));
    for (kind, folder) in [("bench", "benches"), ("example", "examples"), ("test", "tests")] {
        let listed = listed(at, manifest, kind, folder).into_iter().map(|(_, path)| path);
        targets.extend(listed.filter(|path| at.project.tree.has(path)));
    }
    targets
}

/// Targets that a manifest lists, with their files.
fn listed(at: Folder<'_>, manifest: &Value, kind: &str, folder: &str) -> Vec<(String, String)> {
    let all = manifest.get(kind).map(Value::items).unwrap_or_default().iter();
    let target = |target: &Value| {
        let name = target.str_at(&["name"])?;
        let guesses = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs")];
        let mut guesses = guesses.into_iter().chain(["src/main.rs".to_owned()]);
        let named = target.str_at(&["path"]).map(str::to_owned);
        let path = named.or_else(|| guesses.find(|path| at.has(path)))?;
        Some((name.to_owned(), resolve(at.dir, &path)?))
    };
    all.filter_map(target).collect()
}
