//! The front end inside a project of another language: what its build has to add.

use super::{
    build,
    manager::Manager,
    package::{Package, Packages},
    tool::Tool,
    unit::Unit,
    version::{self, NODE},
};
use crate::detect::{
    facts::{FrontEnd, Need},
    prelude::*,
};

/// Scripts that build what a browser gets.
const BUILDS: &[&str] =
    &["build", "production", "prod", "build:prod", "build:production", "build:assets", "build:css"];
/// The Node.js that Debian bookworm has.
const DEBIAN_HAS: u32 = 18;

impl Facts {
    /// Lets the build make the front end of `dir` too, by `script` or the one that builds: `None` when there is no
    /// `package.json` with such a script. The steps of its install see only the files they need, where that can be.
    pub fn front_end(
        &mut self,
        project: &Project<'_>,
        dir: &str,
        script: Option<&str>,
    ) -> Option<FrontEnd> {
        let package = Package::load(project, dir)?;
        let script = script.or_else(|| package.first_script(BUILDS))?;
        let manager = Manager::of(&package);
        let is_yarn = matches!(manager.tool, Tool::Classic | Tool::Berry);
        let packages = Packages::of_one(package);
        let unit = Unit::new(&packages, packages.all.get(dir)?, manager);
        let planned = build::plan_install(&unit, false);
        let install = planned.steps.into_iter().map(|step| match step.not_on {
            // The images of other languages have no Yarn of their own.
            Some(_) if is_yarn => Step::new(Kind::Setup, ".", "npm install -g yarn@1"),
            _ => step,
        });
        let install = self.node(unit.version).into_iter().chain(install).collect();
        self.cache.push(unit.manager.cache().to_owned());
        self.exclude.push("**/node_modules".to_owned());
        let mut build = Vec::new();
        match planned.files {
            Some(mut files) => {
                files.sort();
                self.layer(files, install);
            }
            None => build = install,
        }
        build.push(unit.step(unit.manager.run(script)));
        let modules = format!("rm -rf {}", quote(&unit.at().path("node_modules")));
        Some(FrontEnd { build, clean: vec![Step::new(Kind::Clean, ".", modules)] })
    }

    /// Lets the build make the front end in `dir`, if there is one, before what it does from now on.
    pub fn build_front_end(&mut self, project: &Project<'_>, dir: &str) {
        let front_end = self.front_end(project, dir, None);
        self.steps.extend(front_end.map(|front| front.build).unwrap_or_default());
    }

    /// Gives the build the Node.js that the front end in `dir` wants, for build tools that call npm themselves.
    pub fn with_node(&mut self, project: &Project<'_>, dir: &str) {
        let package = Package::load(project, dir);
        let package = package.filter(|package| package.first_script(BUILDS).is_some());
        let version = package.map(|package| version::decide(&package, &package).0);
        let setup = self.node(version.unwrap_or_else(|| Version::of(DEBIAN_HAS, 0).major_only()));
        self.steps.splice(0..0, setup);
    }

    /// Gives the build this Node.js, unless it has one; the step that fetches it.
    ///
    /// Debian's is too old for most bundlers of today, so npm then fetches the one that the project wants, as a package of
    /// its own registry (`node`), into `/usr/local`.
    fn node(&mut self, version: Version) -> Option<Step> {
        if self.id == "javascript" || self.id == "typescript" {
            return None;
        }
        self.needs.push(Need::Tools(&NODE, version));
        let step = Step::new(Kind::Setup, ".", format!("npm install -g node@{version}"));
        let is_other = version.major != DEBIAN_HAS || version.minor.is_some();
        is_other.then(|| step.not_on(Family::Wolfi))
    }

    /// Lets the build make a front end as its own build does, with the tools of its workspace; the steps that build it.
    pub(in crate::detect) fn front_end_of(
        &mut self,
        project: &Project<'_>,
        site: &Self,
    ) -> Option<Vec<Step>> {
        let mut own = Self::default();
        let front = own.front_end(project, &site.dir, None)?;
        self.needs.extend(own.needs);
        self.cache.extend(own.cache);
        self.exclude.extend(own.exclude);
        let (mut layers, mut build) = (site.layers.clone(), site.steps.clone());
        let installs = own.layers.iter().flat_map(|layer| &layer.steps);
        let all = || layers.iter().flat_map(|layer| &layer.steps).chain(&build);
        let is_new = |step: &&Step| step.kind == Kind::Setup && !all().any(|own| own == *step);
        let setup: Vec<Step> = installs.chain(&front.build).filter(is_new).cloned().collect();
        match layers.first_mut() {
            Some(first) => first.steps.splice(0..0, setup),
            None => build.splice(0..0, setup),
        };
        self.layers.extend(layers);
        self.build_env.extend(site.build_env.clone());
        Some(build)
    }
}
