//! Node.js and Bun: npm, yarn, pnpm, bun; servers, meta-frameworks, single-page apps and static sites.
//!
//! A package is looked at in this order: what it is installed with (`package`, `manager`, `version`: a `unit`), what
//! becomes of it (`outcome`, by the tables of `framework`: a `plan`), and the build that makes it (`build`).

use std::collections::{BTreeMap, BTreeSet};

use self::{
    manager::Manager,
    meta::clean,
    outcome::offers_code,
    package::{Package, Packages},
    plan::Plan,
    start::starts_another,
    unit::Unit,
};
use crate::detect::prelude::*;

mod assets;
mod bare;
mod build;
mod config;
mod database;
mod entry;
mod framework;
mod health;
mod lines;
mod locked;
mod manager;
mod meta;
mod nest;
mod nx;
mod outcome;
mod package;
mod plan;
mod programs;
mod references;
mod site;
mod source;
mod start;
mod tool;
mod unit;
mod version;

/// All packages that can be deployed, and those that are libraries, which weigh less.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let packages = Packages::of(project);
    let mut managers: BTreeMap<&str, Manager> = BTreeMap::new();
    let mut services = Vec::new();
    for package in packages.all.values().filter(|package| package.has_manifest()) {
        let root = packages.root_of(package);
        let manager = managers.entry(root.at.dir).or_insert_with(|| Manager::of(root)).clone();
        let unit = Unit::new(&packages, package, manager);
        let mut applications = nx::services(&unit);
        applications.extend(nx::nest_services(&unit));
        let mut own = service(&unit);
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
    lighten_linked(&packages, &mut services);
    lighten_documented(&packages, &mut services);
    services.extend(bare::services(project, &packages));
    services
}

/// The root of a workspace whose members are deployed is no service because of a script that runs something, though
/// nothing says that it listens.
fn lighten_roots(packages: &Packages<'_>, services: &mut [Facts]) {
    let deployed = services.iter().filter(|service| service.weight >= Weight::Starts);
    let deployed: BTreeSet<String> = deployed.map(|service| service.dir.clone()).collect();
    for service in services {
        let is_light = service.framework.is_none()
            && service.port_number().is_none()
            && !matches!(service.serves, Serves::Files(_))
            && service.weight < Weight::Stated;
        if is_light && packages.members(&service.dir).any(|m| deployed.contains(m.at.dir)) {
            service.weight = service.weight.min(Weight::Manifest);
        }
    }
}

/// What other packages depend on by its path is a library, unless it listens.
fn lighten_linked(packages: &Packages<'_>, services: &mut [Facts]) {
    let linked: BTreeSet<String> = packages.all.values().flat_map(references::linked).collect();
    for service in services.iter_mut().filter(|service| linked.contains(&service.dir)) {
        if service.port_number().is_none() && service.weight < Weight::Stated {
            service.weight = service.weight.min(Weight::Library);
        }
    }
}

/// A published package whose script runs something that listens nowhere is a library where it has a manual.
fn lighten_documented(packages: &Packages<'_>, services: &mut [Facts]) {
    let is_manual = |service: &&Facts| service.weight == Weight::Manual;
    let manuals: Vec<String> =
        services.iter().filter(is_manual).map(|service| service.dir.clone()).collect();
    for service in services.iter_mut().filter(|service| service.weight == Weight::Starts) {
        let has_manual = || manuals.iter().any(|dir| is_below(dir, &service.dir));
        let is_published = |package: &Package<'_>| {
            let is_private = package.json.get("private").is_some_and(Value::is_true);
            !is_private || package.json.has("bin")
        };
        let is_silent = matches!(service.serves, Serves::Process(_))
            && service.framework.is_none()
            && service.port_number().is_none();
        let package = packages.all.get(service.dir.as_str());
        if is_silent && has_manual() && package.is_some_and(is_published) {
            service.weight = Weight::Library;
        }
    }
}

fn service(unit: &Unit<'_>) -> Option<Facts> {
    let mut plan = outcome::of(unit);
    let is_root = unit.is_in_workspace() && !unit.is_member();
    if plan.start.as_ref().is_some_and(|start| start.is_guess())
        && is_root
        && plan.facts.framework.is_none()
    {
        // `main` of a root that only holds its members together.
        plan.stop(Fixed::RootOfWorkspace);
    }
    let claims = claims(unit);
    if runs_what_another_installs(unit, &plan, &claims) {
        plan.stop(Fixed::StartsAnotherPackage);
    }
    let members = unit.packages.members(unit.root.at.dir).count();
    let is_nothing = matches!(plan.facts.serves, Serves::Nothing(..));
    if is_nothing && unit.is_member() && members > MEMBERS_MANY {
        // The root stands for libraries, and each of them would be planned with all others.
        return None;
    }
    let weight = weight(unit, &plan);
    let starts_another =
        plan.start.as_ref().is_some_and(|start| start.is_stated() && starts_another(&start.line));
    let mut facts = build::facts(unit, plan);
    (facts.weight, facts.starts_another) = (weight, starts_another);
    if weight >= Weight::Starts {
        facts.claims = claims;
    }
    facts.rewrite(unit.at().project, |line| start::rewritten(unit.package, line));
    // A script that calls a tool may need what is for development only.
    let is_program = |line: &str| line.starts_with("node ") && !line.contains("--watch");
    let worker = unit.package.first_script(WORKERS);
    let line = worker.and_then(|name| unit.package.script(name)).filter(|line| is_program(line));
    if let (Serves::Process(_), Some(name), Some(line)) = (&facts.serves, worker, line) {
        let place = unit.package.script_place(name);
        facts.worker("worker", line, Fixed::ScriptOfWorker, place);
    }
    Some(facts)
}

/// Scripts that start a worker.
const WORKERS: &[&str] =
    &["worker:prod", "start:worker", "worker:start", "worker", "start:queue", "queue"];

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

fn weight(unit: &Unit<'_>, plan: &Plan) -> Weight {
    let (at, framework) = (unit.at(), plan.facts.framework);
    let has_project = || at.entries().is_some_and(|all| all.ending(".csproj").next().is_some());
    let is_site = matches!(plan.facts.serves, Serves::Files(_));
    let Some(start) = plan.start.as_ref().filter(|_| !is_site) else {
        return match framework {
            _ if !is_site && offers_code(unit.package) => Weight::Library,
            _ if !is_site || at.first_of(OTHERS).is_some() || has_project() => Weight::Manifest,
            // A page of a library shows what it does.
            None if offers_code(unit.package) => Weight::Library,
            None => Weight::Starts,
            Some(id) if SECONDARY.contains(&id) => Weight::Manual,
            Some(_) => Weight::Framework,
        };
    };
    match framework {
        _ if start.is_stated() => Weight::Stated,
        Some(_) => Weight::Framework,
        None if start.script.is_some() || plan.facts.port_number().is_some() => Weight::Starts,
        None => Weight::Manifest,
    }
}

/// Packages below that scripts of this one install or build: a client that its server delivers.
fn claims(unit: &Unit<'_>) -> Vec<String> {
    const SCRIPTS: &[&str] = &[
        "build", "heroku-postbuild", "postinstall", "install", "preinstall", "prebuild",
        "postbuild", "build:client", "client:build",
    ];
    let own = unit.at().dir;
    if unit.packages.is_root(unit.package) {
        return Vec::new();
    }
    let lines = SCRIPTS.iter().filter_map(|name| unit.package.script(name));
    let words = lines.flat_map(|line| line.split([' ', '&', ';', '=', '"', '\'']));
    let named: BTreeSet<String> = words.map(clean).collect();
    let below = unit.packages.all.keys().filter(|dir| **dir != own && is_below(dir, own));
    below.filter(|dir| named.contains(&relative(own, dir))).map(|dir| (*dir).to_owned()).collect()
}

/// A start file inside another package, whose dependencies nobody installs from here.
fn runs_what_another_installs(unit: &Unit<'_>, plan: &Plan, claims: &[String]) -> bool {
    let Some(file) = plan.start.as_ref().and_then(|start| start.file()) else { return false };
    let path = unit.at().path(file);
    let owner = upward(parent(&path)).find_map(|dir| unit.packages.all.get(dir));
    // Self-made `{"type": "module"}` files mark folders and own nothing.
    plan.facts.framework.is_none()
        && owner.is_some_and(|owner| {
            owner.at.dir != unit.at().dir
                && owner.dependencies().next().is_some()
                && !claims.iter().any(|claim| claim == owner.at.dir)
        })
}
