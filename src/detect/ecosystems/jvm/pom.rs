//! `pom.xml`: what a module inherits, is made of, and is packaged as (maven.apache.org/pom.html).

use std::collections::{BTreeMap, BTreeSet};

use crate::{detect::prelude::*, manifest::Element};

/// One pom of the tree.
pub(super) struct Pom {
    pub(super) dir: String,
    /// Its file, which a parent may call as it likes.
    pub(super) path: String,
    /// The whole of it.
    pub(super) project: Element,
    /// Folders of the modules it builds.
    pub(super) modules: Vec<String>,
    /// Poms of the modules of any profile.
    profiled: Vec<String>,
    /// Folder from which Maven builds it: that of the topmost pom whose modules lead to it.
    pub(super) reactor: String,
}

/// All poms of the tree.
pub(super) struct Poms<'p> {
    project: &'p Project<'p>,
    /// By folder.
    all: BTreeMap<String, Pom>,
    /// Parents with another name than `pom.xml`, by path.
    parents: BTreeMap<String, Pom>,
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
    fn read(project: &Project<'_>, path: &str) -> Option<Self> {
        let (path, dir) = (path.to_owned(), parent(path));
        let root = project.tree.xml(&path).filter(|root| root.name == "project")?;
        let active = root.all(PROFILES).filter(|profile| is_default(profile));
        let named = [&root].into_iter().chain(active).flat_map(|part| part.all(MODULES));
        let dirs = named.map(|module| module.text.trim_end_matches("pom.xml"));
        let modules = dirs.filter_map(|module| resolve(dir, module)).collect();
        let profiles = root.all(PROFILES).flat_map(|profile| profile.all(MODULES));
        let profiled = profiles.filter_map(|module| {
            let path = resolve(dir, &module.text)?;
            Some(if project.tree.has(&path) { path } else { join(&path, "pom.xml") })
        });
        let profiled = profiled.filter(|path| project.tree.has(path)).collect();
        let (dir, reactor) = (dir.to_owned(), String::new());
        Some(Self { dir, path, project: root, modules, profiled, reactor })
    }

    /// A place in it.
    pub(super) fn place(&self, line: Option<usize>) -> Evidence {
        Evidence::line(&self.path, line)
    }

    /// The path that its `relativePath` names, without it `../pom.xml`; empty where there is none to look at.
    fn parent_path(&self) -> Option<String> {
        let wanted = self.project.child("parent")?;
        let path = wanted.child("relativePath").map_or("../pom.xml", |path| path.text.as_str());
        resolve(&self.dir, path).filter(|_| !path.is_empty())
    }

    /// Paths of files and folders of the tree that it refers to: jars, repositories, files that plugins read.
    fn references(&self, project: &Project<'_>) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = vec![&self.project];
        while let Some(element) = pending.pop() {
            pending.extend(&element.children);
            let text = element.text.trim();
            let path = text.strip_prefix("file:").map(|path| path.trim_start_matches("//"));
            let path = path.unwrap_or(text);
            let own = BASES.iter().find_map(|base| path.trim_start_matches('/').strip_prefix(base));
            let is_named = element.name == "systemPath" || path.len() < text.len();
            let path = own.or_else(|| is_named.then_some(path));
            let path = path.and_then(|path| resolve(&self.dir, path.trim_start_matches('/')));
            let is_repository = element.name == "url";
            found.extend(path.filter(|path| {
                project.tree.has(path) || is_repository && project.tree.has_dir(path)
            }));
        }
        found
    }
}

/// What stands for the folder of a pom.
const BASES: &[&str] =
    &["${project.basedir}", "${basedir}", "${maven.multiModuleProjectDirectory}", "${pom.basedir}"];

impl<'p> Poms<'p> {
    /// Reads every `pom.xml`.
    pub(super) fn read(project: &'p Project<'p>) -> Self {
        let paths = project.tree.dirs().map(|(dir, _)| join(dir, "pom.xml"));
        let all = paths.filter_map(|path| Pom::read(project, &path));
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
        let mut parents: BTreeMap<String, Pom> = BTreeMap::new();
        let mut wanted: Vec<String> = all.values().filter_map(Pom::parent_path).collect();
        while let Some(path) = wanted.pop() {
            let is_other = file_name(&path) != "pom.xml" && !parents.contains_key(&path);
            if let Some(pom) = is_other.then(|| Pom::read(project, &path)).flatten() {
                wanted.extend(pom.parent_path());
                parents.insert(path, pom);
            }
        }
        Self { project, all, parents, artifacts }
    }

    pub(super) fn models(&self) -> impl Iterator<Item = Model<'_>> {
        self.all.values().map(|pom| Model { poms: self, pom, depth: 0 })
    }

    /// The pom at a path, or in a folder of that path.
    fn at(&self, path: &str) -> Option<&Pom> {
        let dir = if file_name(path) == "pom.xml" { parent(path) } else { path };
        self.parents.get(path).or_else(|| self.all.get(dir))
    }

    /// The parent of a pom in the tree, if it is the one that is meant.
    fn parent(&self, pom: &Pom) -> Option<&Pom> {
        let wanted = pom.project.child("parent")?;
        let found = self.at(&pom.parent_path()?)?;
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

    /// The files that Maven must see to build it: poms with their parents, those of all profiles' modules, and what they
    /// refer to.
    pub(super) fn files(self) -> Vec<String> {
        let built = self.built_with();
        let known = built.iter().flat_map(|model| model.line().into_iter().map(|pom| &pom.path));
        let pom = |path: &str| self.poms.at(path);
        let mut paths = compiled::reach(known.cloned().collect(), |path| {
            let named = pom(path).map(|pom| pom.profiled.iter().cloned().chain(pom.parent_path()));
            named.into_iter().flatten().collect()
        });
        paths.retain(|path| pom(path).is_some());
        let referred = paths.iter().filter_map(|path| pom(path));
        let referred: Vec<String> =
            referred.flat_map(|pom| pom.references(self.poms.project)).collect();
        paths.extend(referred);
        paths
    }

    /// Its pom and all that that inherits from, the nearest first.
    pub(super) fn line(self) -> Vec<&'p Pom> {
        let mut line = vec![self.pom];
        while line.len() < ANCESTORS_MAX
            && let Some(parent) = line.last().and_then(|pom| self.poms.parent(pom))
            && line.iter().all(|known| known.path != parent.path)
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
