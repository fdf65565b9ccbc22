//! The front end inside a project of another language: what its build has to add.

use super::{
    Unit, install, manager, outcome::Runs, package::Package, version, workspace::Packages,
};
use crate::detect::{Decision, Project, images::Family, join};

/// What the build stage of a server needs so that the `package.json` beside it is built too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assets {
    /// Globs of the dependency step: manifest, lock file, settings of the package manager.
    pub files: Vec<String>,
    /// Commands of that step; they begin with what makes Node.js and the package manager ready.
    pub install: Vec<String>,
    /// Commands for after the whole context has appeared.
    pub build: Vec<String>,
    /// Packages of the build stage (apt or apk, by the family of bases).
    pub packages: Vec<String>,
    /// Cache mounts.
    pub cache: Vec<String>,
    /// Patterns for `build.exclude`.
    pub exclude: Vec<String>,
    /// Folders with what was installed, relative to `/build`; the image needs none of it.
    pub artifacts: Vec<String>,
    /// What was decided.
    pub decisions: Vec<Decision>,
}

/// Scripts that build what a browser gets.
const BUILDS: &[&str] =
    &["build", "production", "prod", "build:prod", "build:production", "build:assets", "build:css"];
/// The Node.js that Debian bookworm has.
const DEBIAN: u32 = 18;

/// The assets of a folder: `None` when there is no `package.json` with a script that builds.
///
/// Debian's Node.js is too old for most bundlers of today, so npm then fetches the one that the project wants, as a package
/// of its own registry (`node`), into `/usr/local`.
pub fn assets(project: &Project<'_>, dir: &str) -> Option<Assets> {
    assets_of(project, dir, None)
}

/// The same with the script that builds.
pub fn assets_of(project: &Project<'_>, dir: &str, script: Option<&str>) -> Option<Assets> {
    let package = Package::load(project, dir)?;
    let script = script.or_else(|| package.first_script(BUILDS))?;
    let packages = Packages::of_one(project, dir);
    let package = packages.all.get(dir)?;
    let manager = manager::Manager::of(project, package);
    let (node, _) = version::decide(project, package, package);
    let unit =
        Unit { project, packages: &packages, package, root: package, manager, node, is_bun: false };
    let planned = install::plan(&unit, &Runs::Nothing { why: "assets" }, true, true);
    let mut assets = Assets {
        packages: match project.bases {
            Family::Wolfi => vec![format!("nodejs-{node}"), "npm".to_owned()],
            _ => vec!["nodejs".to_owned(), "npm".to_owned()],
        },
        cache: vec![unit.manager.cache().to_owned()],
        exclude: vec!["**/node_modules".to_owned()],
        artifacts: vec![join(dir, "node_modules")],
        ..Assets::default()
    };
    if project.bases != Family::Wolfi && node != DEBIAN {
        assets.install.push(format!("npm install -g node@{node}"));
    }
    // The images of other languages have no Yarn of their own.
    let is_yarn = matches!(unit.manager.tool, manager::Tool::Classic | manager::Tool::Berry);
    if is_yarn && unit.manager.setup(node, Family::Official, false).is_empty() {
        assets.install.push("npm install -g yarn@1".to_owned());
    }
    if let Some(step) = planned.step {
        assets.files = step.files;
        assets.install.extend(step.commands);
    } else {
        assets.build.append(&mut assets.install);
        assets.build.extend(planned.late);
    }
    let build = unit.in_package(&unit.manager.run(script));
    let rule = "script of package.json, for what the browser gets";
    assets.decisions.push(Decision::new(
        "build command",
        &*build,
        rule,
        [package.script_place(script)],
    ));
    assets.build.push(build);
    Some(assets)
}
