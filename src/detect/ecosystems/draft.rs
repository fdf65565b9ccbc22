//! A service in the making: what the rules of compiled languages write alike.

use std::collections::BTreeMap;

pub(super) use crate::detect::{
    images::{image, official},
    paths::{last_part, literal, relative, resolve, within},
    shell::quote,
};
use crate::{
    detect::{
        Decision, Evidence, Facts, Project, Service, Step, Weight,
        assemble::tools,
        ecosystems::node,
        facts::Need,
        images::{DEBIAN, plain},
    },
    spec::{
        Artifact, BUILD_DIR, Base, Build, DEFAULT_BASE, DependencyStep, Metadata, Runtime,
        UniversalBuild,
    },
};

/// Where an application lies in its image.
pub(super) const APP_DIR: &str = "/app";

/// Where build commands put what goes into the image: outside of the context, so that it meets no file of the project.
pub(super) const OUT_DIR: &str = "/out";

/// A service with nothing in it but what it is.
pub(super) fn draft(dir: &str, language: &str, build_system: &str) -> Service {
    let metadata = Metadata {
        language: Some(language.to_owned()),
        build_system: Some(build_system.to_owned()),
        ..Metadata::default()
    };
    Service {
        dir: dir.to_owned(),
        spec: UniversalBuild { metadata, build: Build::default(), runtime: Runtime::default() },
        weight: Weight::Manifest,
        claims: Vec::new(),
        decisions: Vec::new(),
    }
}

/// Commands for a front end that a server delivers.
pub(super) struct FrontEnd {
    /// Make it.
    pub(super) build: Vec<String>,
    /// Remove what was installed for that.
    pub(super) cleaning: Vec<String>,
}

/// What the build stage of a server needs so that the `package.json` beside it is built too, as lines; bridge to
/// [`Facts::front_end`] for ecosystems that have no facts yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assets {
    /// Patterns of the dependency step.
    pub files: Vec<String>,
    /// Commands of that step.
    pub install: Vec<String>,
    /// Commands for after the whole context has appeared.
    pub build: Vec<String>,
    /// Packages of the build stage.
    pub packages: Vec<String>,
    /// Cache mounts.
    pub cache: Vec<String>,
    /// Patterns for `build.exclude`.
    pub exclude: Vec<String>,
    /// Commands that remove what was installed.
    pub cleaning: Vec<String>,
}

/// The front end of a folder.
pub fn assets(project: &Project<'_>, dir: &str) -> Option<Assets> {
    assets_of(project, dir, None)
}

/// The same with the script that builds.
pub fn assets_of(project: &Project<'_>, dir: &str, script: Option<&str>) -> Option<Assets> {
    let mut facts = Facts::default();
    let front = node::front_end(&mut facts, project, dir, script)?;
    let lines = |steps: &[Step]| -> Vec<String> {
        let steps = steps.iter().filter(|step| step.not_on != Some(project.bases));
        steps.map(Step::line).collect()
    };
    let packages = facts.needs.iter().flat_map(|need| match need {
        Need::Tools(language, version) => tools(project.bases, language, *version),
        _ => Vec::new(),
    });
    let packages = packages.collect();
    let layer = facts.layers.pop().map(|layer| (layer.files, lines(&layer.steps)));
    let (files, install) = layer.unwrap_or_default();
    let (build, cleaning) = (lines(&front.build), lines(&front.clean));
    let Facts { cache, exclude, .. } = facts;
    Some(Assets { files, install, build, packages, cache, exclude, cleaning })
}

impl Service {
    /// Writes a decision down.
    pub(super) fn decide(
        &mut self,
        what: &'static str,
        value: impl Into<String>,
        rule: impl Into<crate::detect::Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        self.decisions.push(Decision::new(what, value, rule, evidence));
    }

    /// Takes an artifact: `from` is relative to `/build` or absolute, `to` is absolute; neither is a pattern.
    pub(super) fn copy(&mut self, from: &str, to: &str) {
        let from = &*literal(from);
        let from = match from.starts_with('/') {
            true => from.to_owned(),
            false if from == "." => BUILD_DIR.to_owned(),
            false => format!("{BUILD_DIR}/{from}"),
        };
        let artifact = Artifact { from, to: to.to_owned() };
        if !self.spec.runtime.copy.contains(&artifact) {
            self.spec.runtime.copy.push(artifact);
        }
    }

    /// Adds a step that sees only `files`.
    pub(super) fn dependencies(&mut self, files: Vec<String>, commands: Vec<String>) {
        self.step(files.iter().map(|file| literal(file)).collect(), commands);
    }

    fn step(&mut self, mut patterns: Vec<String>, commands: Vec<String>) {
        patterns.sort();
        patterns.dedup();
        if !patterns.is_empty() && !commands.is_empty() {
            self.spec.build.dependencies.push(DependencyStep { files: patterns, commands });
        }
    }

    /// Lets the build make the front end of `dir` as well; `None` where there is none. What was installed for it is removed
    /// afterwards.
    pub(super) fn assets(&mut self, project: &Project<'_>, dir: &str) -> Option<FrontEnd> {
        self.assets_of(project, dir, None)
    }

    /// The same, built by that script.
    pub(super) fn assets_of(
        &mut self,
        project: &Project<'_>,
        dir: &str,
        script: Option<&str>,
    ) -> Option<FrontEnd> {
        let assets = assets_of(project, dir, script)?;
        self.build_packages(assets.packages.iter().map(String::as_str));
        self.cache(assets.cache.iter().map(String::as_str));
        self.spec.build.exclude.extend(assets.exclude);
        // They are patterns already.
        self.step(assets.files, assets.install);
        Some(FrontEnd { build: assets.build, cleaning: assets.cleaning })
    }

    /// Starts both stages from the base of a family that has no image for each language, if it is one.
    pub(super) fn plain_bases(&mut self, project: &Project<'_>) {
        if let Some(base) = plain(project.bases) {
            (self.spec.build.base, self.spec.runtime.base) = (base.clone(), base);
        }
    }

    /// Keeps folders between builds.
    pub(super) fn cache<'p>(&mut self, paths: impl IntoIterator<Item = &'p str>) {
        for path in paths {
            let path = match path.starts_with('/') {
                true => path.to_owned(),
                false => format!("{BUILD_DIR}/{path}"),
            };
            self.spec.build.cache.push(path);
        }
        self.spec.build.cache.sort();
        self.spec.build.cache.dedup();
    }

    /// Packages of the build stage.
    pub(super) fn build_packages<'p>(&mut self, names: impl IntoIterator<Item = &'p str>) {
        add(&mut self.spec.build.packages, names);
    }

    /// Packages of the image.
    pub(super) fn runtime_packages<'p>(&mut self, names: impl IntoIterator<Item = &'p str>) {
        add(&mut self.spec.runtime.packages, names);
    }

    /// Environment of the image.
    pub(super) fn env(&mut self, name: &str, value: impl Into<String>) {
        set(&mut self.spec.runtime.env, name, value);
    }

    /// Environment of the build.
    pub(super) fn build_env(&mut self, name: &str, value: impl Into<String>) {
        set(&mut self.spec.build.env, name, value);
    }

    /// The only port, and why.
    pub(super) fn port(
        &mut self,
        port: u16,
        rule: impl Into<crate::detect::Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        self.spec.runtime.ports = vec![port];
        self.decide("port", port.to_string(), rule, evidence);
    }

    /// The program and its arguments, and why.
    pub(super) fn start<'a>(
        &mut self,
        command: impl IntoIterator<Item = &'a str>,
        rule: impl Into<crate::detect::Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        self.spec.runtime.command = command.into_iter().map(str::to_owned).collect();
        self.decisions.retain(|decision| decision.what != "start command");
        self.decide("start command", self.spec.runtime.command.join(" "), rule, evidence);
    }

    /// What [`file_server`](super::file_server) has set, as decisions.
    pub(super) fn decide_file_server(&mut self) {
        let (command, ports) =
            (self.spec.runtime.command.join(" "), self.spec.runtime.ports.clone());
        self.decide("start command", command, "a server for static files", []);
        if let Some(port) = ports.first() {
            self.decide("port", port.to_string(), "the static server's", []);
        }
    }

    /// The wished name.
    pub(super) fn name(&mut self, name: impl Into<String>) {
        let name = name.into();
        if !name.is_empty() {
            self.spec.metadata.project_name = Some(name);
        }
    }

    /// The framework, and why; the service is one of a framework from now on.
    pub(super) fn framework(
        &mut self,
        id: &str,
        rule: impl Into<crate::detect::Rule>,
        evidence: impl IntoIterator<Item = Evidence>,
    ) {
        self.spec.metadata.framework = Some(id.to_owned());
        self.weight = self.weight.max(Weight::Framework);
        self.decide("framework", id, rule, evidence);
    }
}

fn add<'p>(packages: &mut Vec<String>, names: impl IntoIterator<Item = &'p str>) {
    packages.extend(names.into_iter().map(str::to_owned));
    packages.sort();
    packages.dedup();
}

fn set(env: &mut BTreeMap<String, String>, name: &str, value: impl Into<String>) {
    env.insert(name.to_owned(), value.into());
}

/// Wolfi's base.
pub(super) fn wolfi() -> Base {
    image(DEFAULT_BASE)
}

/// Debian's base.
pub(super) fn debian() -> Base {
    image(DEBIAN)
}

/// How a base is called in a decision.
pub(super) fn base_name(base: &Base) -> &str {
    match base {
        Base::Image(name) => name,
        Base::OciLayout { dir, .. } => dir,
        Base::Scratch => "scratch",
    }
}
