//! Workspaces: which packages are installed and built together.

use std::collections::{BTreeMap, BTreeSet};

use super::package::Package;
use crate::detect::{Project, is_below, manifest::Value, parent};

/// What makes a folder the root of a workspace of Rush.
pub(super) const RUSH: &str = "rush.json";

/// All packages of a tree, and which workspace each belongs to.
pub(super) struct Packages {
    /// By folder.
    pub(super) all: BTreeMap<String, Package>,
    /// Folder of a member → folder of its workspace's root.
    roots: BTreeMap<String, String>,
    /// Folders of the roots of workspaces.
    workspaces: BTreeMap<String, Vec<String>>,
}

impl Packages {
    pub(super) fn of(project: &Project<'_>) -> Self {
        let dirs = project.tree.dirs().filter(|(_, entries)| entries.has("package.json"));
        let load = |(dir, _): (&str, _)| Some((dir.to_owned(), Package::load(project, dir)?));
        let mut all: BTreeMap<String, Package> = dirs.filter_map(load).collect();
        for (dir, _) in project.tree.dirs().filter(|(_, entries)| entries.has(RUSH)) {
            // Rush needs no manifest at its root.
            all.entry(dir.to_owned()).or_insert_with(|| Package::without_manifest(dir));
        }
        let (mut roots, mut workspaces) = (BTreeMap::new(), BTreeMap::new());
        for (dir, package) in &all {
            let Some(globs) = globs(project, package) else { continue };
            let is_member = |path: &&String| {
                *path != dir && is_below(path, dir) && globs.allow(relative(path, dir))
            };
            let members: Vec<String> = all.keys().filter(is_member).cloned().collect();
            for member in &members {
                // The nearest root counts.
                roots.insert(member.clone(), dir.clone());
            }
            workspaces.insert(dir.clone(), members);
        }
        Self { all, roots, workspaces }
    }

    /// One package, which is no member of anything.
    pub(super) fn of_one(project: &Project<'_>, dir: &str) -> Self {
        let package = Package::load(project, dir).map(|package| (dir.to_owned(), package));
        Self {
            all: package.into_iter().collect(),
            roots: BTreeMap::new(),
            workspaces: BTreeMap::new(),
        }
    }

    /// The package where dependencies of a package are installed.
    pub(super) fn root_of<'a>(&'a self, package: &'a Package) -> &'a Package {
        self.roots.get(&package.dir).and_then(|root| self.all.get(root)).unwrap_or(package)
    }

    /// The members of a workspace; `None` of what is none.
    pub(super) fn members(&self, root: &Package) -> Option<&[String]> {
        self.workspaces.get(&root.dir).map(Vec::as_slice)
    }

    /// The members that a member is built from, in the order to build them; itself last.
    pub(super) fn build_order<'a>(&'a self, package: &'a Package) -> Vec<&'a Package> {
        self.order(package, |_| true)
    }

    /// The members that a member needs when it runs; itself last.
    pub(super) fn run_order<'a>(&'a self, package: &'a Package) -> Vec<&'a Package> {
        self.order(package, |is_dev| !is_dev)
    }

    fn order<'a>(&'a self, package: &'a Package, counts: fn(bool) -> bool) -> Vec<&'a Package> {
        let root = self.root_of(package);
        let members = self.members(root).unwrap_or_default();
        let by_name: BTreeMap<&str, &Package> = members
            .iter()
            .filter_map(|dir| self.all.get(dir))
            .filter_map(|member| Some((member.name()?, member)))
            .collect();
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        // A stack of our own: a chain of packages may be long.
        let mut pending = vec![(package, false)];
        while let Some((next, is_ready)) = pending.pop() {
            if is_ready {
                order.push(next);
                continue;
            }
            if !seen.insert(&next.dir) {
                continue;
            }
            pending.push((next, true));
            let counted = next.dependencies().filter(|(name, _)| {
                next.dependency(name).is_some_and(|dependency| counts(dependency.is_dev))
            });
            let needed = counted.filter_map(|(name, _)| by_name.get(name));
            pending.extend(needed.map(|member| (*member, false)));
            if next.dir == package.dir && package.dir != root.dir {
                // What the root depends on, its members may use.
                let shared = root.dependencies().filter(|(name, _)| {
                    root.dependency(name).is_some_and(|dependency| !dependency.is_dev)
                });
                let shared = shared.filter_map(|(name, _)| by_name.get(name));
                pending.extend(shared.map(|member| (*member, false)));
            }
        }
        order
    }
}

/// The path of a folder below another.
fn relative<'p>(path: &'p str, dir: &str) -> &'p str {
    match dir {
        "." => path,
        _ => path.strip_prefix(dir).unwrap_or(path).trim_start_matches('/'),
    }
}

/// Patterns of members; those with `!` take some out again.
struct Globs(Vec<String>);

impl Globs {
    fn allow(&self, path: &str) -> bool {
        let matching =
            self.0.iter().rev().find(|glob| glob_matches(glob.trim_start_matches('!'), path));
        matching.is_some_and(|glob| !glob.starts_with('!'))
    }
}

/// What makes a package the root of a workspace.
fn globs(project: &Project<'_>, package: &Package) -> Option<Globs> {
    let tree = project.tree;
    let text = |value: &Value| value.texts().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let pnpm = tree.yaml(&package.join("pnpm-workspace.yaml"));
    let field = package.json().get("workspaces");
    let field = field.map(|field| field.get("packages").unwrap_or(field));
    let mut globs = Vec::new();
    globs.extend(pnpm.as_ref().and_then(|yaml| yaml.get("packages")).map(text).unwrap_or_default());
    globs.extend(field.map(text).unwrap_or_default());
    if globs.is_empty()
        && let Some(lerna) = tree.json(&package.join("lerna.json"))
    {
        globs = lerna.get("packages").map_or_else(|| vec!["packages/*".to_owned()], text);
    }
    if globs.is_empty()
        && let Some(rush) = tree.json(&package.join(RUSH))
    {
        let projects = rush.get("projects").map(Value::items).unwrap_or_default();
        let folders = projects.iter().filter_map(|p| p.str_at(&["projectFolder"]));
        globs = folders.map(str::to_owned).collect();
    }
    let clean = |glob: String| {
        let (bang, rest) = match glob.strip_prefix('!') {
            Some(rest) => ("!", rest),
            None => ("", glob.as_str()),
        };
        let rest = rest.trim_start_matches("./").trim_end_matches('/');
        format!("{bang}{rest}")
    };
    (!globs.is_empty()).then(|| Globs(globs.into_iter().take(GLOBS_MAX).map(clean).collect()))
}

/// `*` within a part of a path, `**` for any parts, `{a,b}` for one of several words.
pub(super) fn glob_matches(glob: &str, path: &str) -> bool {
    if let (Some(open), Some(close)) = (glob.find('{'), glob.find('}'))
        && open < close
    {
        let (head, tail) = (&glob[..open], &glob[close + 1..]);
        // One pair of braces; another one inside the tail would multiply.
        let is_last = !tail.contains('{');
        return is_last
            && glob[open + 1..close]
                .split(',')
                .any(|word| glob_matches(&format!("{head}{word}{tail}"), path));
    }
    let globs: Vec<&str> = glob.split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    parts_match(&globs, &parts)
}

fn parts_match(globs: &[&str], parts: &[&str]) -> bool {
    // Row by row, so that many `**` cost no more than their number times the path's.
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for glob in globs {
        let mut next = vec![false; parts.len() + 1];
        for at in 0..=parts.len() {
            next[at] = match *glob {
                "**" => reached[at] || at > 0 && next[at - 1],
                _ => at > 0 && reached[at - 1] && word_matches(glob, parts[at - 1]),
            };
        }
        reached = next;
    }
    reached[parts.len()]
}

fn word_matches(glob: &str, word: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| word.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Folders above a folder, the nearest first.
pub(super) fn ancestors(dir: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(dir), |dir| (*dir != ".").then(|| parent(dir))).skip(1)
}

const GLOBS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_package_managers_do() {
        let check = |glob: &str, path: &str, expected: bool| {
            assert_eq!(glob_matches(glob, path), expected, "{glob} {path}");
        };
        check("packages/*", "packages/a", true);
        check("packages/*", "packages/a/b", false);
        check("packages/**", "packages/a/b", true);
        check("apps/{web,api}", "apps/api", true);
        check("apps/{web,api}", "apps/x", false);
        check("**", "a", true);
        check("p*-x/a*b*c", "pp-x/aabbc", true);
        check("p*-x/a*b*c", "pp-x/aabb", false);
        check("web", "web", true);
    }

    #[test]
    fn a_pattern_with_a_bang_takes_members_out_again() {
        let globs = Globs(["a/**", "!**/test/**", "a/test/keep"].map(str::to_owned).to_vec());
        assert!(globs.allow("a/b") && globs.allow("a/test/keep"));
        assert!(!globs.allow("a/test/x") && !globs.allow("b"));
    }

    #[test]
    fn folders_above_end_at_the_root() {
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a", "."]);
        assert_eq!(ancestors(".").count(), 0);
    }
}
