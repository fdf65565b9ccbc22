//! Node.js and Bun: npm, yarn, pnpm, bun; servers, meta-frameworks, single-page apps and static sites.
//!
//! A package is looked at in this order: what it is installed with (`workspace`, `manager`, `version`), what becomes of it
//! (`outcome`, by the tables of `framework`), and the build that makes it (`build`).

use std::collections::{BTreeMap, BTreeSet};

use self::{manager::Manager, outcome::Runs, package::Package, workspace::Packages};
use crate::detect::{Decision, Evidence, Project, Service, Weight, is_below, join, shell::quote};

pub use self::assets::{Assets, assets, assets_of};

mod assets;
mod bare;
mod build;
mod config;
mod development;
mod framework;
mod install;
mod manager;
mod meta;
mod nx;
mod outcome;
mod package;
mod site;
mod source;
mod start;
mod version;
mod workspace;

/// All packages that can be deployed, and those that are libraries, which weigh less.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let packages = Packages::of(project);
    let mut managers: BTreeMap<String, Manager> = BTreeMap::new();
    let mut services = Vec::new();
    for package in packages.all.values().filter(|package| package.has_manifest()) {
        let root = packages.root_of(package);
        let manager =
            managers.entry(root.dir.clone()).or_insert_with(|| Manager::of(project, root)).clone();
        let (node, version) = version::decide(project, package, root);
        let is_bun = runs_on_bun(project, package, &manager);
        let unit = Unit { project, packages: &packages, package, root, manager, node, is_bun };
        let applications = nx::services(&unit, &language(&unit), &version);
        let mut own = service(&unit, version);
        if let Some(root) = own.as_mut().filter(|root| root.weight < Weight::Stated)
            && !applications.is_empty()
        {
            // Its dependencies are those of the applications.
            root.weight = root.weight.min(Weight::Manifest);
            root.claims.clear();
        }
        services.extend(applications);
        services.extend(own);
    }
    lighten_roots(&packages, &mut services);
    services.extend(bare::services(project, &packages));
    services
}

/// The root of a workspace whose members are deployed is no service because of a script that runs something, though
/// nothing says that it listens.
fn lighten_roots(packages: &Packages, services: &mut [Service]) {
    let deployed: BTreeSet<String> = services
        .iter()
        .filter(|service| service.weight >= Weight::Starts)
        .map(|service| service.dir.clone())
        .collect();
    for service in services {
        let members = packages.all.get(&service.dir).and_then(|package| packages.members(package));
        let is_light = service.spec.metadata.framework.is_none()
            && service.spec.runtime.ports.is_empty()
            && service.weight < Weight::Stated;
        if is_light && members.unwrap_or_default().iter().any(|member| deployed.contains(member)) {
            service.weight = service.weight.min(Weight::Manifest);
        }
    }
}

/// One package and what it is installed with.
struct Unit<'a> {
    project: &'a Project<'a>,
    packages: &'a Packages,
    package: &'a Package,
    /// Where its dependencies are installed: itself, or the root of its workspace.
    root: &'a Package,
    manager: Manager,
    /// The major of Node.js.
    node: u32,
    /// Bun runs it, not only installs it.
    is_bun: bool,
}

/// Scripts that build for production, in the order in which they count.
const BUILDS: &[&str] = &[
    "build", "build:prod", "build:production", "build:app", "heroku-postbuild", "gcp-build",
    "generate", "docs:build", "build:docs",
];

impl Unit<'_> {
    /// The script that builds: its name and its line.
    fn build_script(&self) -> Option<(&str, &str)> {
        let name = self.package.first_script(BUILDS)?;
        let line = self.package.script(name)?;
        let is_other = line.starts_with("docker ")
            || line.starts_with("echo ")
            || line.starts_with("electron-builder");
        (!is_other).then_some((name, line))
    }

    /// Where a dependency stands, of the package or of the root of its workspace.
    fn place(&self, dependency: &str) -> Evidence {
        let package = if self.package.has(dependency) { self.package } else { self.root };
        package.place(dependency)
    }

    /// Whether the package, or the root of its workspace, has such a dependency.
    fn has(&self, dependency: &str) -> bool {
        self.package.has(dependency) || self.root.has(dependency)
    }

    /// The first number of a dependency's range.
    fn major(&self, dependency: &str) -> Option<u32> {
        self.package.major(dependency).or_else(|| self.root.major(dependency))
    }

    /// Whether it is a member of a workspace.
    fn is_member(&self) -> bool {
        self.package.dir != self.root.dir
    }

    /// The package's folder below that of its workspace; `.` for the root itself.
    fn below_root(&self) -> &str {
        match self.root.dir.as_str() {
            _ if !self.is_member() => ".",
            "." => &self.package.dir,
            root => self.package.dir[root.len()..].trim_start_matches('/'),
        }
    }

    /// A command that runs in the folder of the package.
    fn in_package(&self, command: &str) -> String {
        in_folder(&self.package.dir, command)
    }
}

/// A command that runs in a folder of the tree.
fn in_folder(dir: &str, command: &str) -> String {
    match dir {
        "." => command.to_owned(),
        dir => format!("cd {} && {command}", quote(dir)),
    }
}

/// Whether scripts or dependencies are made for Bun; a lock file alone says that it installs.
fn runs_on_bun(project: &Project<'_>, package: &Package, manager: &Manager) -> bool {
    let script = start::script(package);
    let is_started = script.as_ref().is_some_and(|start| {
        start.words.first().is_some_and(|word| word == "bun")
            || start.line.starts_with("bun ") && !start.line.contains("--bun ")
    });
    let is_own = package.has("elysia");
    let is_native = manager.tool == manager::Tool::Bun
        && script.is_none()
        && (package.has("@types/bun")
            || package.has("bun-types")
            || package.first_script(&["dev"]).is_none());
    let is_framework =
        ["next", "nuxt", "astro", "@sveltejs/kit"].iter().any(|name| package.has(name));
    let is_written = || script.is_none() && manager::written_for_bun(project, package).is_some();
    (is_started || is_own || is_native || is_written()) && !is_framework
}

fn service(unit: &Unit<'_>, version: Decision) -> Option<Service> {
    let mut outcome = outcome::of(unit);
    let is_workspace = unit.packages.members(unit.root).is_some() && !unit.is_member();
    if is_workspace
        && outcome.framework.is_none()
        && let Runs::Server(server) = &outcome.runs
        && server.start.script.is_none()
        && !server.start.rule.starts_with("Procfile")
    {
        // `main` of a root that only holds its members together.
        outcome.runs = Runs::Nothing { why: "the root of a workspace" };
    }
    if runs_what_another_installs(unit, &outcome) {
        outcome.runs = Runs::Nothing { why: "it starts another package of the tree" };
    }
    let members = unit.packages.members(unit.root).map_or(0, <[String]>::len);
    if matches!(outcome.runs, Runs::Nothing { .. }) && unit.is_member() && members > MEMBERS_MANY {
        // The root stands for libraries, and each of them would be planned with all others.
        return None;
    }
    let weight = weight(unit, &outcome);
    let claims = if weight >= Weight::Starts { claims(unit) } else { Vec::new() };
    let language = language(unit);
    let mut decisions = vec![language.clone(), unit.manager.decision.clone(), version];
    decisions.append(&mut outcome.decisions);
    let mut spec = build::spec(unit, &outcome, &mut decisions);
    spec.metadata.project_name = unit.package.name().map(str::to_owned);
    spec.metadata.language = Some(language.value);
    spec.metadata.build_system = Some(unit.manager.tool.id().to_owned());
    spec.metadata.framework = outcome.framework.map(str::to_owned);
    Some(Service { dir: unit.package.dir.clone(), spec, weight, claims, decisions })
}

/// A workspace with more members has services, or nobody wants to read of each of its libraries.
const MEMBERS_MANY: usize = 100;

/// Manifests of languages whose servers often have a `package.json` beside them for what the browser gets.
const OTHERS: &[&str] = &[
    "composer.json", "Gemfile", "manage.py", "requirements.txt", "pyproject.toml", "Pipfile",
    "go.mod", "pom.xml", "build.gradle", "build.gradle.kts", "mix.exs", "Cargo.toml",
    "project.clj", "deps.edn", "build.sbt", "gleam.toml",
];

/// Generators of manuals, and what makes applications for phones that have a page for browsers, too.
const SECONDARY: &[&str] = &["docusaurus", "vitepress", "vuepress", "expo"];

fn weight(unit: &Unit<'_>, outcome: &outcome::Outcome) -> Weight {
    let entries = unit.project.tree.entries(&unit.package.dir);
    let is_beside = entries.is_some_and(|entries| {
        entries.first_of(OTHERS).is_some() || entries.ending(".csproj").next().is_some()
    });
    match &outcome.runs {
        Runs::Nothing { .. } if outcome::offers_code(unit) => Weight::Library,
        Runs::Nothing { .. } => Weight::Manifest,
        Runs::Server(server) if server.start.rule.starts_with("Procfile") => Weight::Stated,
        Runs::Site(_) if is_beside => Weight::Manifest,
        // A page of a library shows what it does.
        Runs::Site(_) if outcome.framework.is_none() && outcome::offers_code(unit) => {
            Weight::Library
        }
        Runs::Site(_) if outcome.framework.is_some_and(|id| SECONDARY.contains(&id)) => {
            Weight::Manual
        }
        Runs::Server(_) | Runs::Site(_) if outcome.framework.is_some() => Weight::Framework,
        Runs::Site(_) => Weight::Starts,
        Runs::Server(server) if server.start.script.is_some() || server.port.is_some() => {
            Weight::Starts
        }
        Runs::Server(_) => Weight::Manifest,
    }
}

/// Packages below that scripts of this one install or build: a client that its server delivers.
fn claims(unit: &Unit<'_>) -> Vec<String> {
    const SCRIPTS: &[&str] = &[
        "build", "heroku-postbuild", "postinstall", "install", "preinstall", "prebuild",
        "postbuild", "build:client", "client:build",
    ];
    if unit.packages.members(unit.package).is_some() {
        return Vec::new();
    }
    let lines: Vec<&str> = SCRIPTS.iter().filter_map(|name| unit.package.script(name)).collect();
    let below = unit
        .packages
        .all
        .keys()
        .filter(|dir| **dir != unit.package.dir && is_below(dir, &unit.package.dir));
    let is_named = |dir: &&String| {
        let inner = match unit.package.dir.as_str() {
            "." => dir.as_str(),
            own => dir[own.len()..].trim_start_matches('/'),
        };
        lines.iter().any(|line| names_folder(line, inner))
    };
    below.filter(is_named).cloned().collect()
}

fn names_folder(line: &str, folder: &str) -> bool {
    line.split([' ', '&', ';', '=', '"', '\''])
        .any(|word| word.trim_start_matches("./").trim_end_matches('/') == folder)
}

/// A start file inside another package, whose dependencies nobody installs from here.
fn runs_what_another_installs(unit: &Unit<'_>, outcome: &outcome::Outcome) -> bool {
    let Runs::Server(server) = &outcome.runs else { return false };
    let Some(file) = server.start.file() else { return false };
    let path = join(&unit.package.dir, file);
    let owner = workspace::ancestors(&path).find_map(|dir| unit.packages.all.get(dir));
    let Some(owner) = owner.filter(|owner| owner.dir != unit.package.dir) else { return false };
    // Self-made `{"type": "module"}` files mark folders and own nothing.
    owner.dependencies().next().is_some()
        && !claims(unit).contains(&owner.dir)
        && outcome.framework.is_none()
}

/// TypeScript where there is a `tsconfig.json`, or files and a compiler for them.
fn language(unit: &Unit<'_>) -> Decision {
    let tree = unit.project.tree;
    let place = |file: String| [Evidence::file(file)];
    let tsconfig = unit.package.join("tsconfig.json");
    if tree.has(&tsconfig) {
        return Decision::new("language", "typescript", "tsconfig.json", place(tsconfig));
    }
    let source = ["", "src", "app", "pages", "server", "routes"].iter().find_map(|folder| {
        let dir =
            if folder.is_empty() { unit.package.dir.clone() } else { unit.package.join(folder) };
        let entries = tree.entries(&dir)?;
        let is_source = |name: &&String| {
            (name.ends_with(".ts") || name.ends_with(".tsx"))
                && !name.ends_with(".d.ts")
                && !name.contains(".config.")
        };
        entries.files.iter().find(is_source).map(|name| join(&dir, name))
    });
    match source {
        Some(file) => Decision::new("language", "typescript", "a source file", place(file)),
        None => Decision::new(
            "language",
            "javascript",
            "package.json",
            place(unit.package.path.clone()),
        ),
    }
}
