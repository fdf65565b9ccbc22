//! A Gradle build: which folders are its projects, and what they share.

use std::collections::{BTreeMap, BTreeSet};

use super::Module;
use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::{
        draft::resolve,
        jvm::script::{Catalog, Script},
    },
    model::join,
    versions::Version,
};

/// Folders from which Gradle builds: those with settings, and those with a build script that no settings include.
pub(super) fn roots(project: &Project<'_>) -> BTreeSet<String> {
    let mut roots = BTreeSet::new();
    let mut members = BTreeSet::new();
    for (dir, entries) in project.tree.dirs() {
        if entries.first_of(SETTINGS).is_some() && !is_build_logic(dir) {
            roots.insert(dir.to_owned());
            members.extend(Build::read(project, dir).modules.into_values());
        }
    }
    for (dir, entries) in project.tree.dirs() {
        if entries.first_of(SCRIPTS).is_some() && !members.contains(dir) && !is_build_logic(dir) {
            roots.insert(dir.to_owned());
        }
    }
    roots
}

/// Folders that hold plugins for the build itself.
fn is_build_logic(dir: &str) -> bool {
    dir.split('/').any(|part| LOGIC.contains(&part))
}

/// A build: the root and its projects.
pub(super) struct Build<'a> {
    pub(super) project: &'a Project<'a>,
    pub(super) root: String,
    /// Project path (without its first colon, the root's is empty) → folder.
    pub(super) modules: BTreeMap<String, String>,
    pub(super) settings: Script,
    pub(super) catalog: Catalog,
    /// Names of convention plugins → their scripts.
    pub(super) conventions: BTreeMap<String, Script>,
    pub(super) wrapper: Option<(Version, Evidence)>,
    pub(super) has_wrapper: bool,
}

impl<'a> Build<'a> {
    pub(super) fn read(project: &'a Project<'a>, root: &str) -> Self {
        let settings = project
            .tree
            .first_of(root, SETTINGS)
            .and_then(|path| project.tree.read(&path))
            .map(|text| Script::read(&text))
            .unwrap_or_default();
        let given = settings.project_dirs();
        let mut modules = BTreeMap::from([(String::new(), root.to_owned())]);
        for path in settings.includes() {
            let folder = given.get(&path).cloned().unwrap_or_else(|| path.replace(':', "/"));
            let folder = folder.trim_start_matches("$rootDir/").to_owned();
            if let Some(dir) = resolve(root, &folder) {
                modules.insert(path, dir);
            }
        }
        let catalog = Catalog::new(project.tree.toml(&join(root, "gradle/libs.versions.toml")));
        let wrapper = join(root, "gradle/wrapper/gradle-wrapper.properties");
        let version = project.tree.properties(&wrapper).and_then(|file| {
            let (url, line) = file.get("distributionUrl")?;
            let version = url.rsplit('/').next()?.strip_prefix("gradle-")?;
            Some((Version::parse(version)?, Evidence::line(&wrapper, Some(line))))
        });
        let has_jar = project.tree.has(&join(root, "gradle/wrapper/gradle-wrapper.jar"));
        let has_wrapper = version.is_some() && has_jar && project.tree.has(&join(root, "gradlew"));
        let conventions = conventions(project, root);
        Self {
            project,
            root: root.to_owned(),
            modules,
            settings,
            catalog,
            conventions,
            wrapper: version,
            has_wrapper,
        }
    }

    pub(super) fn services(&self) -> Vec<Service> {
        let modules: Vec<Module<'_>> =
            self.modules.iter().filter_map(|(path, dir)| Module::read(self, path, dir)).collect();
        // A module that others are built with is a library, unless a plugin makes something to run of it.
        let used: BTreeSet<String> =
            modules.iter().flat_map(|module| module.script.projects()).collect();
        let is_library = |module: &&Module<'_>| used.contains(&module.path) && !module.packs();
        let mut services: Vec<Service> = modules
            .iter()
            .filter(|module| !is_library(module))
            .filter_map(Module::service)
            .collect();
        if services.iter().any(|service| service.weight >= Weight::Framework) {
            services.retain(|service| service.weight >= Weight::Framework);
        }
        if services.is_empty() {
            let is_android = modules.iter().any(|module| module.has("com.android."));
            let root =
                modules.iter().find(|module| module.dir == self.root).or_else(|| modules.first());
            services.extend(root.filter(|_| !is_android).map(Module::library));
        }
        services
    }

    pub(super) fn script(&self, dir: &str) -> Option<Script> {
        let path = self.project.tree.first_of(dir, SCRIPTS)?;
        Some(Script::read(&*self.project.tree.read(&path)?))
    }

    pub(super) fn gradle(&self) -> &'static str {
        if self.has_wrapper { "./gradlew" } else { "gradle" }
    }
}

/// Scripts of `buildSrc` and its like that are plugins: `my.conventions.gradle.kts` is `my.conventions`.
fn conventions(project: &Project<'_>, root: &str) -> BTreeMap<String, Script> {
    let mut found = BTreeMap::new();
    for logic in LOGIC.iter().map(|name| join(root, name)).filter(|dir| project.tree.has_dir(dir)) {
        for (dir, entries) in project.tree.dirs_below(&logic) {
            for name in &entries.files {
                let stem =
                    name.strip_suffix(".gradle.kts").or_else(|| name.strip_suffix(".gradle"));
                let Some(stem) = stem.filter(|stem| !matches!(*stem, "build" | "settings")) else {
                    continue;
                };
                let path = join(dir, name);
                if let Some(text) = project.tree.read(&path).filter(|_| found.len() < 200) {
                    found.insert(stem.to_owned(), Script::read(&text));
                }
            }
        }
    }
    found
}

pub(super) const SETTINGS: &[&str] = &["settings.gradle.kts", "settings.gradle"];
pub(super) const SCRIPTS: &[&str] = &["build.gradle.kts", "build.gradle"];
pub(super) const LOGIC: &[&str] = &[
    "buildSrc", "build-logic", "buildLogic", "gradle-plugins", "build-conventions", "build-src",
    "build-plugin",
];
