//! `pom.xml`: what a module inherits, is made of, and is packaged as (maven.apache.org/pom.html).

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::{
    Evidence, Project, ecosystems::draft::resolve, manifest::Element, model::join,
};

/// One pom of the tree.
#[derive(Clone, Debug)]
pub(super) struct Pom {
    /// Its folder.
    pub(super) dir: String,
    /// Its file.
    pub(super) path: String,
    /// The whole of it.
    pub(super) project: Element,
    /// Folder of the parent, if that lies in the tree.
    pub(super) parent: Option<String>,
    /// Files that profiles ask for and that are there.
    present: BTreeSet<String>,
    /// Folders of the modules it builds.
    pub(super) modules: Vec<String>,
}

/// All poms of the tree.
#[derive(Debug, Default)]
pub(super) struct Poms {
    /// By folder.
    pub(super) all: BTreeMap<String, Pom>,
    /// Folder of a module → folder of the pom that builds it with others.
    aggregators: BTreeMap<String, String>,
    /// Artifact id → folders.
    artifacts: BTreeMap<String, Vec<String>>,
}

impl Poms {
    /// Reads every `pom.xml`.
    pub(super) fn read(project: &Project<'_>) -> Self {
        let mut poms = BTreeMap::new();
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for (dir, entries) in project.tree.dirs() {
            let path = join(dir, "pom.xml");
            let Some(root) = entries.has("pom.xml").then(|| project.tree.xml(&path)).flatten()
            else {
                continue;
            };
            if root.name != "project" {
                continue;
            }
            let modules = |element: &Element| -> Vec<String> {
                let all =
                    element.child("modules").into_iter().flat_map(|m| m.children_named("module"));
                all.filter_map(|module| resolve(dir, module.text.trim_end_matches("pom.xml")))
                    .collect()
            };
            let mut found = modules(&root);
            // A profile that is active by itself.
            for profile in
                root.child("profiles").into_iter().flat_map(|p| p.children_named("profile"))
            {
                if profile.text_at(&["activation", "activeByDefault"]) == Some("true") {
                    found.extend(modules(profile));
                }
            }
            let asked = profiles(&root)
                .filter_map(|profile| profile.text_at(&["activation", "file", "exists"]));
            wanted.extend(asked.map(str::to_owned).take(20));
            let pom = Pom {
                dir: dir.to_owned(),
                path,
                project: root,
                parent: None,
                present: BTreeSet::new(),
                modules: found,
            };
            poms.insert(dir.to_owned(), pom);
        }
        for pom in poms.values_mut() {
            let name = |file: &str| {
                resolve(
                    &pom.dir,
                    file.trim_start_matches("${basedir}/")
                        .trim_start_matches("${project.basedir}/"),
                )
            };
            let is_there = |file: &&String| {
                name(file)
                    .is_some_and(|path| project.tree.has(&path) || project.tree.has_dir(&path))
            };
            pom.present = wanted.iter().filter(is_there).cloned().collect();
        }
        let parents: Vec<(String, Option<String>)> =
            poms.values().map(|pom| (pom.dir.clone(), parent(pom, &poms))).collect();
        for (dir, parent) in parents {
            if let Some(pom) = poms.get_mut(&dir) {
                pom.parent = parent;
            }
        }
        let mut aggregators = BTreeMap::new();
        let mut artifacts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pom in poms.values() {
            for module in pom.modules.iter().filter(|module| **module != pom.dir) {
                aggregators.entry(module.clone()).or_insert_with(|| pom.dir.clone());
            }
            if let Some(artifact) = pom.project.text_at(&["artifactId"]) {
                artifacts.entry(artifact.to_owned()).or_default().push(pom.dir.clone());
            }
        }
        Self { all: poms, aggregators, artifacts }
    }

    /// The pom of an artifact that is built together with `pom`.
    pub(super) fn beside(&self, pom: &Pom, artifact: &str) -> Option<&Pom> {
        let reactor = self.reactor(&pom.dir);
        let dirs = self.artifacts.get(artifact)?;
        dirs.iter().find(|dir| self.reactor(dir) == reactor).and_then(|dir| self.all.get(dir))
    }

    /// A pom and all that it inherits from, the nearest first.
    pub(super) fn line<'a>(&'a self, pom: &'a Pom) -> Vec<&'a Pom> {
        let mut line = vec![pom];
        let mut at = pom;
        while let Some(parent) = at.parent.as_ref().and_then(|dir| self.all.get(dir)) {
            if line.len() >= DEPTH_MAX || line.iter().any(|known| known.dir == parent.dir) {
                break;
            }
            line.push(parent);
            at = parent;
        }
        line
    }

    /// The folder from which Maven builds a module: the topmost pom whose modules lead to it.
    pub(super) fn reactor(&self, dir: &str) -> String {
        let mut root = dir.to_owned();
        let mut seen = BTreeSet::new();
        while seen.insert(root.clone()) {
            match self.aggregators.get(&root) {
                Some(above) => root = above.clone(),
                None => break,
            }
        }
        root
    }

    /// The poms that a reactor builds, itself included, by folder.
    pub(super) fn built_by(&self, root: &str) -> Vec<&Pom> {
        let mut found = BTreeMap::new();
        let mut queue = vec![root.to_owned()];
        while let Some(dir) = queue.pop() {
            let Some(pom) = self.all.get(&dir) else { continue };
            if found.insert(dir, pom).is_none() {
                queue.extend(pom.modules.iter().cloned());
            }
        }
        found.into_values().collect()
    }

    /// The value of a property of a module, with its place, its own references resolved.
    pub(super) fn property(&self, pom: &Pom, name: &str) -> Option<(String, Evidence)> {
        self.property_within(pom, name, 0)
    }

    fn property_within(&self, pom: &Pom, name: &str, depth: usize) -> Option<(String, Evidence)> {
        if depth > DEPTH_MAX {
            return None;
        }
        let built_in = match name {
            "project.artifactId" | "artifactId" | "pom.artifactId" => {
                pom.project.child("artifactId")
            }
            "project.name" => pom.project.child("name"),
            "project.version" | "version" | "pom.version" => return self.version(pom, depth + 1),
            "project.parent.version" => pom.project.at(&["parent", "version"]),
            "project.groupId" => {
                pom.project.child("groupId").or_else(|| pom.project.at(&["parent", "groupId"]))
            }
            _ => None,
        };
        if let Some(element) = built_in {
            let value = self.text_within(pom, &element.text, depth + 1)?;
            return Some((value, Evidence::line(&pom.path, Some(element.line))));
        }
        self.line(pom).into_iter().find_map(|holder| {
            let element = holder.project.at(&["properties", name])?;
            let value = self.text_within(pom, &element.text, depth + 1)?;
            Some((value, Evidence::line(&holder.path, Some(element.line))))
        })
    }

    fn version(&self, pom: &Pom, depth: usize) -> Option<(String, Evidence)> {
        let element =
            pom.project.child("version").or_else(|| pom.project.at(&["parent", "version"]))?;
        let value = self.text_within(pom, &element.text, depth)?;
        Some((value, Evidence::line(&pom.path, Some(element.line))))
    }

    /// A text with its `${…}` resolved; `None` when one is unknown.
    pub(super) fn text(&self, pom: &Pom, text: &str) -> Option<String> {
        self.text_within(pom, text, 0)
    }

    fn text_within(&self, pom: &Pom, text: &str, depth: usize) -> Option<String> {
        let mut out = String::new();
        let mut rest = text.trim();
        while let Some(at) = rest.find("${") {
            let end = at + rest[at..].find('}')?;
            out.push_str(&rest[..at]);
            out.push_str(&self.property_within(pom, &rest[at + 2..end], depth + 1)?.0);
            rest = &rest[end + 1..];
            if out.len() > TEXT_BYTES_MAX {
                return None;
            }
        }
        out.push_str(rest);
        Some(out)
    }

    /// The build plugins of a module, its own first, then what it inherits; each with the pom that names it.
    pub(super) fn plugins<'a>(&'a self, pom: &'a Pom) -> Vec<(&'a Pom, &'a Element)> {
        let of = |holder: &'a Pom| {
            let active = profiles(&holder.project).filter(|profile| is_active(profile, pom));
            let builds = [&holder.project].into_iter().chain(active);
            let plugins = builds.filter_map(|build| build.at(&["build", "plugins"]));
            plugins
                .flat_map(|plugins| plugins.children_named("plugin"))
                .map(move |plugin| (holder, plugin))
                .collect::<Vec<_>>()
        };
        self.line(pom).into_iter().flat_map(of).collect()
    }

    /// A build plugin of a module.
    pub(super) fn plugin<'a>(
        &'a self,
        pom: &'a Pom,
        artifact: &str,
    ) -> Option<(&'a Pom, &'a Element)> {
        self.plugins(pom)
            .into_iter()
            .find(|(_, plugin)| plugin.text_at(&["artifactId"]) == Some(artifact))
    }

    /// What is set for a plugin: in the module, or managed by what it inherits from.
    pub(super) fn managed<'a>(&'a self, pom: &'a Pom, artifact: &'a str) -> Vec<&'a Element> {
        let managed = self.line(pom).into_iter().flat_map(|holder| {
            let plugins = holder.project.at(&["build", "pluginManagement", "plugins"]).into_iter();
            plugins.flat_map(|plugins| plugins.children_named("plugin"))
        });
        let own = self.plugins(pom).into_iter().map(|(_, plugin)| plugin);
        own.chain(managed)
            .filter(|plugin| plugin.text_at(&["artifactId"]) == Some(artifact))
            .collect()
    }

    /// Dependencies that a module declares or inherits, as `group:artifact`, but for those of tests.
    pub(super) fn dependencies(&self, pom: &Pom) -> Vec<(String, Evidence)> {
        let mut found = Vec::new();
        for holder in self.line(pom) {
            let all = holder.project.child("dependencies").into_iter();
            for dependency in all.flat_map(|all| all.children_named("dependency")) {
                if dependency.text_at(&["scope"]) == Some("test") {
                    continue;
                }
                let text = |name| {
                    let text = dependency.text_at(&[name]).unwrap_or_default();
                    self.text(pom, text).unwrap_or_else(|| text.to_owned())
                };
                let name = format!("{}:{}", text("groupId"), text("artifactId"));
                found.push((name, Evidence::line(&holder.path, Some(dependency.line))));
            }
        }
        found
    }
}

fn profiles(project: &Element) -> impl Iterator<Item = &Element> {
    project.child("profiles").into_iter().flat_map(|profiles| profiles.children_named("profile"))
}

/// Whether a profile is active for a module without being asked for: by default, or by a file of the module.
fn is_active(profile: &Element, pom: &Pom) -> bool {
    profile.text_at(&["activation", "activeByDefault"]) == Some("true")
        || profile
            .text_at(&["activation", "file", "exists"])
            .is_some_and(|file| pom.present.contains(file))
}

/// The parent of a pom in the tree: what `relativePath` names (`../pom.xml` without it), if it is the one that is meant.
fn parent(pom: &Pom, poms: &BTreeMap<String, Pom>) -> Option<String> {
    let wanted = pom.project.child("parent")?;
    let path = match wanted.child("relativePath") {
        Some(path) if path.text.is_empty() => return None,
        Some(path) => path.text.as_str(),
        None => "../pom.xml",
    };
    let dir = resolve(&pom.dir, path.strip_suffix("pom.xml").unwrap_or(path))?;
    let found = poms.get(&dir)?;
    (found.project.text_at(&["artifactId"]) == wanted.text_at(&["artifactId"])).then_some(dir)
}

const DEPTH_MAX: usize = 10;
const TEXT_BYTES_MAX: usize = 4096;
