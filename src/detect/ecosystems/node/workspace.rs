//! Workspaces: which packages are installed and built together.

use std::collections::{BTreeMap, BTreeSet};

use super::package::Package;
use crate::detect::{paths::glob, prelude::*};

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
        let dirs = project.tree.dirs().filter(|(_, entries)| entries.has("package.json"));
        let mut all: BTreeMap<&str, Package<'_>> =
            dirs.filter_map(|(dir, _)| Some((dir, Package::load(project, dir)?))).collect();
        for (dir, _) in project.tree.dirs().filter(|(_, entries)| entries.has(RUSH)) {
            // Rush needs no manifest at its root.
            all.entry(dir).or_insert_with(|| Package::without_manifest(project, dir));
        }
        let (mut roots, mut workspaces) = (BTreeMap::new(), BTreeMap::new());
        for (&dir, package) in &all {
            let Some(globs) = globs(package) else { continue };
            let below = all.keys().copied().filter(|path| *path != dir && is_below(path, dir));
            let members: Vec<&str> =
                below.filter(|path| globs.allow(&relative(dir, path))).collect();
            // The nearest root counts.
            roots.extend(members.iter().map(|member| (*member, dir)));
            workspaces.insert(dir, members);
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

    /// Whether it is the root of a workspace.
    pub(super) fn is_root(&self, package: &Package<'_>) -> bool {
        self.workspaces.contains_key(package.at.dir)
    }

    /// The members of the workspace whose root is in a folder.
    pub(super) fn members(&self, root: &str) -> impl Iterator<Item = &Package<'a>> + Clone {
        let members = self.workspaces.get(root).map(Vec::as_slice).unwrap_or_default();
        members.iter().filter_map(|dir| self.all.get(dir))
    }

    /// The members that a member is built from, in the order to build them; itself last.
    pub(super) fn build_order<'p>(&'p self, package: &'p Package<'a>) -> Vec<&'p Package<'a>> {
        self.order(package, true)
    }

    /// The members that a member needs when it runs; itself last.
    pub(super) fn run_order<'p>(&'p self, package: &'p Package<'a>) -> Vec<&'p Package<'a>> {
        self.order(package, false)
    }

    fn order<'p>(&'p self, package: &'p Package<'a>, with_dev: bool) -> Vec<&'p Package<'a>> {
        let root = self.root_of(package);
        let members = self.members(root.at.dir).filter_map(|m| Some((m.name()?, m)));
        let by_name: BTreeMap<&str, &Package<'_>> = members.collect();
        let needed = |by: &'p Package<'a>, with_dev: bool| {
            let counts =
                move |name: &str| by.is_dev(name).is_some_and(|is_dev| with_dev || !is_dev);
            let names = by.dependencies().map(|(name, _)| name).filter(move |name| counts(name));
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

/// Patterns of members; those with `!` take some out again.
struct Globs(Vec<String>);

impl Globs {
    fn allow(&self, path: &str) -> bool {
        let matching =
            self.0.iter().rev().find(|pattern| glob(pattern.trim_start_matches('!'), path));
        matching.is_some_and(|glob| !glob.starts_with('!'))
    }
}

/// What makes a package the root of a workspace.
fn globs(package: &Package<'_>) -> Option<Globs> {
    let texts = |value: &Value| value.texts().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let pnpm = package.at.yaml("pnpm-workspace.yaml");
    let field = package.json.get("workspaces");
    let field = field.map(|field| field.get("packages").unwrap_or(field));
    let mut globs: Vec<String> =
        pnpm.as_ref().and_then(|yaml| yaml.get("packages")).map(texts).unwrap_or_default();
    globs.extend(field.map(texts).unwrap_or_default());
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
    (!globs.is_empty()).then(|| Globs(globs.into_iter().take(GLOBS_MAX).map(clean).collect()))
}

const GLOBS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_with_a_bang_takes_members_out_again() {
        let globs = Globs(["a/**", "!**/test/**", "a/test/keep"].map(str::to_owned).to_vec());
        assert!(globs.allow("a/b") && globs.allow("a/test/keep"));
        assert!(!globs.allow("a/test/x") && !globs.allow("b"));
    }
}
