//! A plan → facts: how a package is installed and built, and what of it the image takes.

use super::{
    framework::SERVERS,
    install::{self, Install},
    manager::Tool,
    package::Package,
    plan::Plan,
    unit::Unit,
};
use crate::detect::prelude::*;

/// All that is known of a package whose plan is made.
pub(super) fn facts(unit: &Unit<'_>, mut plan: Plan) -> Facts {
    let commands = commands(unit, &plan);
    let needs_dev = needs_dev(unit, &plan);
    let runs = plan.start.is_some();
    let is_plain = matches!(plan.facts.serves, Serves::Files(_)) && commands.is_empty();
    let install = match is_plain {
        true => Install::default(),
        false => install::plan(unit, runs && commands.is_empty() && !needs_dev),
    };
    let has_modules = !install.steps.is_empty();
    let facts = &mut plan.facts;
    install::system_packages(unit, facts, runs);
    environment(unit, facts);
    if has_modules {
        facts.cache.push(unit.manager.cache().to_owned());
    }
    match install.files {
        Some(files) => facts.layer(files, install.steps),
        None => facts.steps.extend(install.steps),
    }
    facts.steps.extend(commands);
    match &mut facts.serves {
        Serves::Process(_) => {
            if !install.is_production && has_modules && !needs_dev && !plan.is_contained {
                let prune = unit.manager.prune(unit.node, unit.is_in_workspace());
                let step = |command| Step::new(Kind::Clean, unit.root.at.dir, command);
                facts.steps.extend(prune.map(step));
            }
            process(unit, &mut plan, has_modules);
        }
        Serves::Files(files) => {
            files.is_as_is =
                is_plain && files.missing == Missing::NotFound && facts.steps.is_empty();
        }
        Serves::Nothing(..) => facts.take(unit.at().dir, ""),
    }
    plan.facts
}

/// Variables of the build by dependency.
fn environment(unit: &Unit<'_>, facts: &mut Facts) {
    if unit.manager.tool == Tool::Berry {
        // Node.js alone can't run from Plug'n'Play's archives.
        facts.build_env("YARN_NODE_LINKER", "node-modules");
    }
    for (name, variable, value) in VARIABLES {
        if unit.has(name) {
            facts.build_env(variable, *value);
        }
    }
    let members = unit.packages.members(unit.root.at.dir).take(LOOKED_AT_MAX);
    let installed: Vec<&Package<'_>> = members.chain([unit.root, unit.package]).collect();
    for (name, variable, value) in DOWNLOADS {
        let is_dev = |package: &&Package<'_>| package.is_dev(name) == Some(true);
        let runs = *name == PUPPETEER && unit.package.has(name);
        if runs || installed.iter().any(is_dev) {
            facts.build_env(variable, *value);
        }
    }
}

/// Members of a workspace that are looked at for each of them; there may be thousands.
const LOOKED_AT_MAX: usize = 40;

/// Variables that a dependency wants.
const VARIABLES: &[(&str, &str, &str)] =
    &[("husky", "HUSKY", "0"), ("next", "NEXT_TELEMETRY_DISABLED", "1")];

const PUPPETEER: &str = "puppeteer";

/// What packages for tests and desktops fetch when they are installed, and how to keep them from it.
const DOWNLOADS: &[(&str, &str, &str)] = &[
    ("chromedriver", "CHROMEDRIVER_SKIP_DOWNLOAD", "true"),
    ("cypress", "CYPRESS_INSTALL_BINARY", "0"),
    ("electron", "ELECTRON_SKIP_BINARY_DOWNLOAD", "1"),
    ("playwright", "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"),
    (PUPPETEER, "PUPPETEER_SKIP_DOWNLOAD", "true"),
];

/// Steps of the build, without the install.
fn commands(unit: &Unit<'_>, plan: &Plan) -> Vec<Step> {
    if let Some(whole) = &plan.whole_build {
        return whole.clone();
    }
    let is_root = !unit.is_member() && unit.is_in_workspace();
    if is_root && matches!(plan.facts.serves, Serves::Nothing(..)) {
        return Vec::new();
    }
    let mut steps = Vec::new();
    let generates = |(_, line): (&str, &str)| line.contains("prisma generate");
    if install::schema(unit.package).is_some()
        && unit.has("prisma")
        && !unit.package.scripts().any(generates)
    {
        steps.push(unit.step(unit.manager.exec("prisma generate")));
    }
    steps.extend(plan.before.iter().cloned());
    let own = unit.build_script().map(|(name, _)| name);
    match own {
        _ if unit.is_member() => steps.extend(member_steps(unit, own)),
        Some(name) => steps.push(unit.step(unit.manager.run(name))),
        None => {}
    }
    let hook = plan.start.as_ref().and_then(|start| start.hook.as_ref());
    match (own, hook) {
        (Some(_), _) => {}
        (None, Some(hook)) => steps.push(unit.step(unit.manager.run(hook))),
        (None, None) if plan.build.is_empty() => {}
        (None, None) => steps.push(unit.step(unit.manager.exec(&plan.build))),
    }
    steps.extend(plan.after.iter().cloned());
    steps
}

/// Builds the members that a member needs, then itself, with the tool of the workspace.
fn member_steps(unit: &Unit<'_>, own: Option<&str>) -> Vec<Step> {
    let root = unit.root.at;
    let has_turbo = unit.root.has("turbo") && root.has("turbo.json");
    if let (true, Some("build"), Some(name)) = (has_turbo, own, unit.package.name()) {
        let command = format!("turbo run build --filter={}", quote(name));
        return vec![Step::new(Kind::Build, root.dir, unit.manager.exec(&command))];
    }
    let script = |package: &Package<'_>| match package.at.dir == unit.at().dir {
        true => own.map(str::to_owned),
        false => package.first_script(&["build"]).map(str::to_owned),
    };
    let order = unit.packages.build_order(unit.package).into_iter();
    order
        .filter_map(|package| Some(unit.manager.run_in(root.dir, package, &script(package)?)))
        .collect()
}

/// Programs whose package has another name.
const PROGRAMS: &[(&str, &str)] = &[
    ("nest", "@nestjs/cli"),
    ("remix-serve", "@remix-run/serve"),
    ("react-router-serve", "@react-router/serve"),
    ("tsc", "typescript"),
    ("ng", "@angular/cli"),
    ("strapi", "@strapi/strapi"),
    ("modern", "@modern-js/app-tools"),
    ("vike", "vite"),
    ("tsconfig-paths", "tsconfig-paths"),
];

/// Whether what runs needs something that is a development dependency.
fn needs_dev(unit: &Unit<'_>, plan: &Plan) -> bool {
    let Some(start) = &plan.start else { return true };
    let is_dev = |name: &str| {
        unit.package.is_dev(name).or_else(|| unit.root.is_dev(name)).unwrap_or_default()
    };
    let is_part = |c: char| c.is_alphanumeric() || "-_@/.".contains(c);
    let needs = |word: &str| {
        let known = PROGRAMS.iter().find(|(program, _)| *program == word);
        let module = word.split('/').next().unwrap_or(word);
        is_dev(word) || is_dev(module) || known.is_some_and(|(_, package)| is_dev(package))
    };
    let line = format!("{} {}", start.line, start.words.join(" "));
    let host = SERVERS.iter().find(|row| Some(row.id) == plan.facts.framework);
    plan.needs_dev
        || line.split(|c| !is_part(c)).any(needs)
        || host.is_some_and(|row| row.marks.iter().any(|name| is_dev(name)))
}

/// What a process is given: its environment, and what of the package.
fn process(unit: &Unit<'_>, plan: &mut Plan, has_modules: bool) {
    let writes = writes(unit, plan);
    let facts = &mut plan.facts;
    facts.env.entry("NODE_ENV".to_owned()).or_insert_with(|| "production".to_owned());
    let set = plan.start.iter().flat_map(|start| &start.env);
    facts.env.extend(set.filter(|(name, _)| name != "PORT").cloned());
    if unit.package.has(PUPPETEER) {
        facts.env("PUPPETEER_EXECUTABLE_PATH", "/usr/bin/chromium");
    }
    let is_inside = unit.is_member() && !plan.is_contained;
    if is_inside {
        facts.run_in = unit.below_root(unit.at().dir);
        facts.takes.clear();
        member_files(unit, facts, has_modules);
    } else if facts.takes.is_empty() {
        match writes {
            Some(place) => facts.take_writable(unit.at().dir, "node_modules", place),
            None => facts.take(unit.at().dir, ""),
        }
    }
}

/// Packages of databases in a file, and of what else is kept in files.
const KEEPS_FILES: &[&str] = &[
    "@keystone-6/core", "@seald-io/nedb", "@strapi/strapi", "better-sqlite3", "directus", "level",
    "lowdb", "nedb", "nedb-promises", "node-json-db", "session-file-store", "sqlite", "sqlite3",
    "strapi",
];

fn writes(unit: &Unit<'_>, plan: &Plan) -> Option<Evidence> {
    let package = KEEPS_FILES.iter().find(|name| unit.package.has(name));
    let schema = || {
        let path = install::schema(unit.package)?;
        let text = unit.at().project.tree.read(&path)?;
        Some(Evidence::line(&path, Some(text.line_of("\"sqlite\"")?)))
    };
    package.map(|name| unit.package.place(name)).or_else(schema).or_else(|| plan.writes.clone())
}

/// The member, the members it is built from, and what was installed at the root.
fn member_files(unit: &Unit<'_>, facts: &mut Facts, has_modules: bool) {
    let root = unit.root.at;
    let modules = if unit.manager.is_rush() { "common/temp/node_modules" } else { "node_modules" };
    if has_modules {
        facts.take(&root.path(modules), modules);
    }
    if unit.root.has_manifest() {
        facts.take(&unit.root.path(), "package.json");
    }
    for package in unit.packages.run_order(unit.package) {
        facts.take(package.at.dir, &unit.below_root(package.at.dir));
    }
}
