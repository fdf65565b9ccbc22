//! `pom.xml`: what a module inherits, is made of, and is packaged as (maven.apache.org/pom.html).

use std::collections::{BTreeMap, BTreeSet};

use crate::{detect::prelude::*, manifest::Element};

/// One pom of the tree.
pub(super) struct Pom {
    pub(super) dir: String,
    /// The whole of it.
    pub(super) project: Element,
    /// Folders of the modules it builds.
    pub(super) modules: Vec<String>,
    /// Folder from which Maven builds it: that of the topmost pom whose modules lead to it.
    pub(super) reactor: String,
}

/// All poms of the tree.
pub(super) struct Poms<'p> {
    project: &'p Project<'p>,
    /// By folder.
    all: BTreeMap<String, Pom>,
    /// Artifact id → folders.
    artifacts: BTreeMap<String, Vec<String>>,
}

/// A pom with all that it inherits.
#[derive(Clone, Copy)]
pub(super) struct Model<'p> {
    poms: &'p Poms<'p>,
    pub(super) pom: &'p Pom,
    /// How many properties are being resolved.
    depth: usize,
}

const DEPENDENCIES: &[&str] = &["dependencies", "dependency"];
const MODULES: &[&str] = &["modules", "module"];
const PARENT: &[&str] = &["parent"];
const PLUGINS: &[&str] = &["build", "plugins", "plugin"];
const MANAGED: &[&str] = &["build", "pluginManagement", "plugins", "plugin"];
const PROFILES: &[&str] = &["profiles", "profile"];

const ANCESTORS_MAX: usize = 10;
const DEPTH_MAX: usize = 5;
const TEXT_BYTES_MAX: usize = 4096;

impl Pom {
    fn read(project: &Project<'_>, dir: &str) -> Option<Self> {
        let root = project.tree.xml(&join(dir, "pom.xml")).filter(|root| root.name == "project")?;
        let active = root.all(PROFILES).filter(|profile| is_default(profile));
        let named = [&root].into_iter().chain(active).flat_map(|part| part.all(MODULES));
        let dirs = named.map(|module| module.text.trim_end_matches("pom.xml"));
        let modules = dirs.filter_map(|module| resolve(dir, module)).collect();
        Some(Self { dir: dir.to_owned(), project: root, modules, reactor: String::new() })
    }

    /// A place in it.
    pub(super) fn place(&self, line: Option<usize>) -> Evidence {
        Evidence::line(self.path(), line)
    }

    pub(super) fn path(&self) -> String {
        join(&self.dir, "pom.xml")
    }
}

impl<'p> Poms<'p> {
    /// Reads every `pom.xml`.
    pub(super) fn read(project: &'p Project<'p>) -> Self {
        let all = project.tree.dirs().filter_map(|(dir, _)| Pom::read(project, dir));
        let mut all: BTreeMap<String, Pom> = all.map(|pom| (pom.dir.clone(), pom)).collect();
        let mut aggregators = BTreeMap::new();
        let mut artifacts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (dir, pom) in &all {
            for module in pom.modules.iter().filter(|module| *module != dir) {
                aggregators.entry(module.clone()).or_insert_with(|| dir.clone());
            }
            if let Some(artifact) = pom.project.text_at(&["artifactId"]) {
                artifacts.entry(artifact.to_owned()).or_default().push(dir.clone());
            }
        }
        for pom in all.values_mut() {
            let (mut root, mut seen) = (&pom.dir, BTreeSet::new());
            while seen.insert(root) {
                root = aggregators.get(root).unwrap_or(root);
            }
            pom.reactor = root.clone();
        }
        Self { project, all, artifacts }
    }

    pub(super) fn models(&self) -> impl Iterator<Item = Model<'_>> {
        self.all.values().map(|pom| Model { poms: self, pom, depth: 0 })
    }

    /// The parent of a pom in the tree: what `relativePath` names (`../pom.xml` without it), if it is the one that is meant.
    fn parent(&self, pom: &Pom) -> Option<&Pom> {
        let wanted = pom.project.child("parent")?;
        let path = wanted.child("relativePath").map_or("../pom.xml", |path| path.text.as_str());
        let dir = resolve(&pom.dir, path.strip_suffix("pom.xml").unwrap_or(path))?;
        let found = self.all.get(&dir).filter(|_| !path.is_empty())?;
        (found.project.text_at(&["artifactId"]) == wanted.text_at(&["artifactId"])).then_some(found)
    }
}

impl<'p> Model<'p> {
    /// The model of an artifact that is built together with this one.
    fn beside(self, artifact: &str) -> Option<Self> {
        let dirs = self.poms.artifacts.get(artifact)?.iter();
        let mut poms = dirs.filter_map(|dir| self.poms.all.get(dir));
        let pom = poms.find(|pom| pom.reactor == self.pom.reactor)?;
        Some(Self { pom, ..self })
    }

    /// The models that are built with it, itself included, by folder.
    pub(super) fn built_with(self) -> Vec<Self> {
        let pom = |dir: &str| self.poms.all.get(dir);
        let modules = |dir: &str| pom(dir).map(|pom| pom.modules.clone()).unwrap_or_default();
        let mut dirs = compiled::reach(vec![self.pom.reactor.clone()], modules);
        dirs.sort();
        dirs.iter().filter_map(|dir| Some(Self { pom: pom(dir)?, ..self })).collect()
    }

    /// Its pom and all that that inherits from, the nearest first.
    pub(super) fn line(self) -> Vec<&'p Pom> {
        let mut line = vec![self.pom];
        while line.len() < ANCESTORS_MAX
            && let Some(parent) = line.last().and_then(|pom| self.poms.parent(pom))
            && line.iter().all(|known| known.dir != parent.dir)
        {
            line.push(parent);
        }
        line
    }

    /// The elements at a path, its own first, then what it inherits; each with the pom that has it.
    fn elements(self, path: &[&str]) -> Vec<(&'p Pom, &'p Element)> {
        let of = |pom: &'p Pom| pom.project.all(path).map(move |element| (pom, element));
        self.line().into_iter().flat_map(of).collect()
    }

    /// A text of its own.
    pub(super) fn own(self, path: &[&str]) -> Option<String> {
        self.text(self.pom.project.text_at(path)?)
    }

    /// The first text at a path, its own or inherited.
    pub(super) fn inherited(self, path: &[&str]) -> Option<String> {
        self.text(self.line().into_iter().find_map(|pom| pom.project.text_at(path))?)
    }

    /// A text with its `${…}` resolved; `None` when one is unknown.
    pub(super) fn text(self, text: &str) -> Option<String> {
        let inner = Self { depth: self.depth + 1, ..self };
        let mut out = String::new();
        let mut rest = text.trim();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            out = out + before + &inner.property(name)?.0;
            rest = after;
            if out.len() > TEXT_BYTES_MAX {
                return None;
            }
        }
        Some(out + rest)
    }

    /// The value of a property, with its place, its own references resolved.
    pub(super) fn property(self, name: &str) -> Option<(String, Evidence)> {
        let own: &[&[&str]] = match name {
            _ if self.depth > DEPTH_MAX => return None,
            "project.artifactId" | "artifactId" | "pom.artifactId" => &[&["artifactId"]],
            "project.name" => &[&["name"]],
            "project.version" | "version" | "pom.version" => {
                &[&["version"], &["parent", "version"]]
            }
            "project.parent.version" => &[&["parent", "version"]],
            "project.groupId" => &[&["groupId"], &["parent", "groupId"]],
            _ => &[],
        };
        let own = own.iter().filter_map(|path| Some((self.pom, self.pom.project.at(path)?)));
        let mut all = own.chain(self.elements(&["properties", name]));
        all.find_map(|(pom, element)| {
            Some((self.text(&element.text)?, pom.place(Some(element.line))))
        })
    }

    /// The build plugins of a module, its own first, then what it inherits; each with the pom that names it.
    fn plugins(self) -> Vec<(&'p Pom, &'p Element)> {
        let of = |pom: &'p Pom| {
            let active = pom.project.all(PROFILES).filter(move |profile| self.is_active(profile));
            let builds = [&pom.project].into_iter().chain(active);
            builds.flat_map(|build| build.all(PLUGINS)).map(move |plugin| (pom, plugin))
        };
        self.line().into_iter().flat_map(of).collect()
    }

    /// Whether a profile is active without being asked for: by default, or by a file of the module.
    fn is_active(self, profile: &Element) -> bool {
        let is_there = |file: &str| {
            let tree = self.poms.project.tree;
            let path = resolve(&self.pom.dir, &without_basedir(file));
            path.is_some_and(|path| tree.has(&path) || tree.has_dir(&path))
        };
        let file = profile.text_at(&["activation", "file", "exists"]);
        is_default(profile) || file.is_some_and(is_there)
    }

    /// A build plugin.
    fn plugin(self, artifact: &str) -> Option<(&'p Pom, &'p Element)> {
        self.plugins().into_iter().find(|(_, plugin)| is_artifact(plugin, artifact))
    }

    pub(super) fn has_plugin(self, artifact: &str) -> bool {
        self.plugin(artifact).is_some()
    }

    /// The text of the first of these elements in what is set for a plugin.
    pub(super) fn set(self, plugin: &str, names: &[&str]) -> Option<&'p str> {
        let (_, plugin) = self.plugin(plugin)?;
        names.iter().find_map(|name| deep_text(plugin, name))
    }

    /// The folder that is set for a plugin.
    pub(super) fn set_folder(self, plugin: &str, name: &str) -> Option<String> {
        let (pom, _) = self.plugin(plugin)?;
        resolve(&pom.dir, &self.text(&without_basedir(self.set(plugin, &[name])?))?)
    }

    /// What is set for a plugin: in the module, or managed by what it inherits from.
    pub(super) fn managed(self, artifact: &str) -> Vec<&'p Element> {
        let all = self.plugins().into_iter().chain(self.elements(MANAGED));
        all.map(|(_, plugin)| plugin).filter(|plugin| is_artifact(plugin, artifact)).collect()
    }

    /// Dependencies, but for those of tests, plugins and parents of a module as `group:artifact`, and the dependencies of
    /// modules of the tree that it depends on.
    pub(super) fn names(self) -> Vec<(String, Evidence)> {
        let mut names = Vec::new();
        let mut queue = vec![self];
        let mut seen = vec![&self.pom.dir];
        while let Some(model) = queue.pop() {
            for (pom, dependency) in model.elements(DEPENDENCIES) {
                if dependency.text_at(&["scope"]) == Some("test") {
                    continue;
                }
                let name = model.coordinates(dependency, "");
                let near = name.split_once(':').and_then(|(_, artifact)| model.beside(artifact));
                let near = near.filter(|near| !seen.contains(&&near.pom.dir) && seen.len() < 50);
                seen.extend(near.map(|near| &near.pom.dir));
                queue.extend(near);
                names.push((name, pom.place(Some(dependency.line))));
            }
        }
        let default = "org.apache.maven.plugins";
        let plugins = self.plugins().into_iter().map(|(pom, plugin)| (pom, plugin, default));
        let parents = self.elements(PARENT).into_iter().map(|(pom, parent)| (pom, parent, ""));
        names.extend(plugins.chain(parents).map(|(pom, element, default)| {
            (self.coordinates(element, default), pom.place(Some(element.line)))
        }));
        names
    }

    /// `group:artifact` of what an element names, with a group for one that names none.
    fn coordinates(self, element: &Element, default: &str) -> String {
        let text = |name, default| {
            let text = element.text_at(&[name]).unwrap_or(default);
            self.text(text).unwrap_or_else(|| text.to_owned())
        };
        format!("{}:{}", text("groupId", default), text("artifactId", ""))
    }

    /// Version of the nearest parent of that name.
    pub(super) fn parent_version(self, artifact: &str) -> Option<&'p str> {
        let mut parents = self.elements(PARENT).into_iter();
        let (_, parent) = parents.find(|(_, parent)| is_artifact(parent, artifact))?;
        parent.text_at(&["version"])
    }
}

fn is_artifact(element: &Element, artifact: &str) -> bool {
    element.text_at(&["artifactId"]) == Some(artifact)
}

fn is_default(profile: &Element) -> bool {
    profile.text_at(&["activation", "activeByDefault"]) == Some("true")
}

fn without_basedir(path: &str) -> String {
    path.replace("${project.basedir}/", "").replace("${basedir}/", "")
}

/// The text of the first element of this name below `element`.
pub(super) fn deep_text<'e>(element: &'e Element, name: &str) -> Option<&'e str> {
    element.children.iter().find_map(|child| {
        let own = (child.name == name).then_some(child.text.as_str());
        own.filter(|text| !text.is_empty()).or_else(|| deep_text(child, name))
    })
}
