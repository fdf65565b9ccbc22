//! `package.json`, and workspaces: which packages are installed and built together.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    detect::{paths::glob, prelude::*},
    manifest,
};

/// A folder with a `package.json`.
#[derive(Debug)]
pub(super) struct Package<'a> {
    pub(super) at: Folder<'a>,
    /// Name of the manifest.
    file: &'static str,
    /// The manifest; empty where there is none.
    pub(super) json: Value,
    dependencies: BTreeMap<String, Dependency>,
}

/// A dependency by its name; of two with one name, the one that is needed to run.
#[derive(Debug)]
struct Dependency {
    /// `None` for what is no text.
    range: Option<String>,
    line: usize,
    /// Needed only to develop and build.
    is_dev: bool,
    /// Installed for the package itself: no peer, and not optional.
    is_own: bool,
}

/// Manifests: npm's, and those that pnpm reads as well (pnpm.io/package_json).
const MANIFESTS: [&str; 3] = ["package.json", "package.json5", "package.yaml"];
const GROUPS: [&str; 4] =
    ["dependencies", "optionalDependencies", "peerDependencies", "devDependencies"];

impl<'a> Package<'a> {
    pub(super) fn load(project: &'a Project<'a>, dir: &'a str) -> Option<Self> {
        let at = Folder::new(project, dir);
        let file = MANIFESTS.into_iter().find(|file| at.has(file))?;
        let json = match file {
            "package.json" => at.json(file)?,
            "package.yaml" => {
                at.yaml(file).filter(|yaml| yaml.has("scripts") || at.has("pnpm-lock.yaml"))?
            }
            // A flow of YAML, but for comments.
            _ => {
                let text = at.read(file)?;
                let lines = text.text.lines();
                let lines =
                    lines.map(|line| if line.trim_start().starts_with("//") { "" } else { line });
                let text = lines.collect::<Vec<_>>().join("\n");
                let told = |why| project.tree.note(format!("{}:{why}", at.path(file)));
                manifest::yaml(&text).map_err(told).ok()?
            }
        };
        Some(Self::new(at, file, json))
    }

    fn new(at: Folder<'a>, file: &'static str, json: Value) -> Self {
        let mut dependencies: BTreeMap<String, Dependency> = BTreeMap::new();
        for group in GROUPS {
            let (is_dev, is_own) = (group == GROUPS[3], [GROUPS[0], GROUPS[3]].contains(&group));
            for (name, range) in json.get(group).into_iter().flat_map(Value::members) {
                let new = Dependency { range: range.text(), line: range.line, is_dev, is_own };
                match dependencies.get_mut(name) {
                    Some(known) if known.range.is_some() => known.is_own |= is_own,
                    _ => drop(dependencies.insert(name.to_owned(), new)),
                }
            }
        }
        Self { at, file, json, dependencies }
    }

    /// A folder that has none.
    pub(super) fn without_manifest(project: &'a Project<'a>, dir: &'a str) -> Self {
        let json = Value { line: 1, kind: manifest::Kind::Table(Vec::new()) };
        Self::new(Folder::new(project, dir), MANIFESTS[0], json)
    }

    pub(super) fn has_manifest(&self) -> bool {
        self.json.members().next().is_some()
    }

    pub(super) fn path(&self) -> String {
        self.at.path(self.file)
    }

    /// A line of the manifest.
    pub(super) fn line(&self, line: Option<usize>) -> Evidence {
        self.at.place(self.file, line)
    }

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

    pub(super) fn scripts(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.json.get("scripts").into_iter().flat_map(Value::members);
        members.filter_map(|(name, script)| Some((name, script.as_str()?)))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.dependencies.contains_key(name)
    }

    /// Whether a dependency is installed for the package itself.
    pub(super) fn has_own(&self, name: &str) -> bool {
        self.dependencies.get(name).is_some_and(|dependency| dependency.is_own)
    }

    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// Whether a dependency is needed only to develop and build; `None` where there is none.
    pub(super) fn is_dev(&self, name: &str) -> Option<bool> {
        self.dependencies.get(name).map(|dependency| dependency.is_dev)
    }

    /// Where a dependency stands.
    pub(super) fn place(&self, name: &str) -> Evidence {
        self.line(self.dependencies.get(name).map(|dependency| dependency.line))
    }

    /// The first number of a dependency's range.
    pub(super) fn major(&self, name: &str) -> Option<u32> {
        let range = self.dependencies.get(name)?.range.as_ref()?;
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

/// What makes a folder the root of a workspace of Rush.
pub(super) const RUSH: &str = "rush.json";

/// All packages of a tree, and which workspace each belongs to.
#[derive(Default)]
pub(super) struct Packages<'a> {
    /// By folder.
    pub(super) all: BTreeMap<&'a str, Package<'a>>,
    /// Folder of a member → folder of its workspace's root.
    roots: BTreeMap<&'a str, &'a str>,
    /// Folders of the roots of workspaces → folders of their members.
    workspaces: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Packages<'a> {
    pub(super) fn of(project: &'a Project<'a>) -> Self {
        let dirs = project.tree.dirs();
        let dirs = dirs.filter(|(_, entries)| entries.first_of(&MANIFESTS).is_some());
        let mut all: BTreeMap<&str, Package<'_>> =
            dirs.filter_map(|(dir, _)| Some((dir, Package::load(project, dir)?))).collect();
        // One that says nothing is none.
        all.retain(|_, package| package.has_manifest());
        for (dir, _) in project.tree.dirs().filter(|(_, entries)| entries.has(RUSH)) {
            // Rush needs no manifest at its root.
            all.entry(dir).or_insert_with(|| Package::without_manifest(project, dir));
        }
        let (mut roots, mut workspaces) = (BTreeMap::new(), BTreeMap::new());
        for (&dir, package) in &all {
            let globs = globs(package);
            let below = all.keys().copied().filter(|path| *path != dir && is_below(path, dir));
            let members = below.filter(|path| is_named(&globs, &relative(dir, path)));
            if !globs.is_empty() {
                workspaces.insert(dir, members.collect::<Vec<_>>());
            }
        }
        for (dir, members) in &workspaces {
            // The nearest root counts.
            roots.extend(members.iter().map(|member| (*member, *dir)));
        }
        Self { all, roots, workspaces }
    }

    /// One package, which is no member of anything.
    pub(super) fn of_one(package: Package<'a>) -> Self {
        Self { all: [(package.at.dir, package)].into(), ..Self::default() }
    }

    /// The package where dependencies of a package are installed.
    pub(super) fn root_of<'p>(&'p self, package: &'p Package<'a>) -> &'p Package<'a> {
        self.roots.get(package.at.dir).and_then(|root| self.all.get(root)).unwrap_or(package)
    }

    pub(super) fn is_root(&self, package: &Package<'_>) -> bool {
        self.workspaces.contains_key(package.at.dir)
    }

    /// The members of the workspace whose root is in a folder.
    pub(super) fn members(&self, root: &str) -> impl Iterator<Item = &Package<'a>> + Clone {
        let members = self.workspaces.get(root).map(Vec::as_slice).unwrap_or_default();
        members.iter().filter_map(|dir| self.all.get(dir))
    }

    /// The members that a member needs to run, and to be built (`with_dev`), in the order to build them; itself last.
    pub(super) fn order<'p>(
        &'p self,
        package: &'p Package<'a>,
        with_dev: bool,
    ) -> Vec<&'p Package<'a>> {
        let root = self.root_of(package);
        let members = self.members(root.at.dir).filter_map(|m| Some((m.name()?, m)));
        let by_name: BTreeMap<&str, &Package<'_>> = members.collect();
        let needed = |by: &'p Package<'a>, with_dev: bool| {
            let names = by.dependencies().map(|(name, _)| name);
            let names = names.filter(move |name| with_dev || by.is_dev(name) == Some(false));
            names.filter_map(|name| by_name.get(name).map(|member| (*member, false)))
        };
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        // A stack of our own: a chain of packages may be long.
        let mut pending = vec![(package, false)];
        while let Some((next, is_ready)) = pending.pop() {
            if is_ready {
                order.push(next);
                continue;
            }
            if !seen.insert(next.at.dir) {
                continue;
            }
            pending.push((next, true));
            pending.extend(needed(next, with_dev));
            if next.at.dir == package.at.dir && package.at.dir != root.at.dir {
                // What the root depends on, its members may use.
                pending.extend(needed(root, false));
            }
        }
        order
    }
}

/// Whether a folder is a member by these patterns; those with `!` take some out again.
fn is_named(globs: &[String], path: &str) -> bool {
    let last = globs.iter().rev().find(|pattern| glob(pattern.trim_start_matches('!'), path));
    last.is_some_and(|pattern| !pattern.starts_with('!'))
}

/// Patterns of the members, which make a package the root of a workspace.
fn globs(package: &Package<'_>) -> Vec<String> {
    let texts = |value: &Value| value.texts().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let pnpm = package.at.yaml("pnpm-workspace.yaml");
    let pnpm = pnpm.as_ref().and_then(|yaml| yaml.get("packages"));
    let field = package.json.get("workspaces");
    let field = field.map(|field| field.get("packages").unwrap_or(field));
    let mut globs: Vec<String> = [pnpm, field].into_iter().flatten().flat_map(texts).collect();
    if globs.is_empty()
        && let Some(lerna) = package.at.json("lerna.json")
    {
        globs = lerna.get("packages").map_or_else(|| vec!["packages/*".to_owned()], texts);
    }
    if globs.is_empty()
        && let Some(rush) = package.at.json(RUSH)
    {
        let projects = rush.get("projects").map(Value::items).unwrap_or_default();
        let folders = projects.iter().filter_map(|p| p.str_at(&["projectFolder"]));
        globs = folders.map(str::to_owned).collect();
    }
    let clean = |glob: String| {
        let (bang, rest) = glob.strip_prefix('!').map_or(("", &*glob), |rest| ("!", rest));
        format!("{bang}{}", rest.trim_start_matches("./").trim_end_matches('/'))
    };
    globs.into_iter().take(GLOBS_MAX).map(clean).collect()
}

const GLOBS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_a_bang_takes_members_out_again() {
        let globs = ["a/**", "!**/test/**", "a/test/keep"].map(str::to_owned);
        let allows = |path| is_named(&globs, path);
        assert!(allows("a/b") && allows("a/test/keep"));
        assert!(!allows("a/test/x") && !allows("b"));
    }
}
