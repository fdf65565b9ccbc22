//! A plan → facts: how a package is installed and built, with what, and what of it the image takes.

use std::collections::BTreeSet;

use super::{
    database::{self, schema},
    framework::SERVERS,
    manager::Installer,
    package::Package,
    plan::Plan,
    programs::{self, Program, Provider},
    references,
    tool::Tool,
    unit::Unit,
};
use crate::detect::{parts::Need, paths::literal, prelude::*};

/// All that is known of a package whose plan is made.
pub(super) fn facts(unit: &Unit<'_>, mut plan: Plan) -> Facts {
    let commands = commands(unit, &plan);
    let needs_dev = needs_dev(unit, &plan);
    let runs = plan.start.is_some();
    let is_plain = matches!(plan.facts.serves, Serves::Files(_)) && commands.is_empty();
    let install = match is_plain {
        true => Install::default(),
        false => plan_install(unit, runs && commands.is_empty() && !needs_dev),
    };
    let has_modules = !install.steps.is_empty();
    let facts = &mut plan.facts;
    system_packages(unit, facts, runs);
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
            browsers(unit, &mut plan.facts);
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
    let members = unit.packages.members(unit.root.at.dir).take(LOOKED_AT_MAX);
    let installed: Vec<&Package<'_>> = members.chain([unit.root, unit.package]).collect();
    for (name, for_all, variable, value) in VARIABLES {
        let is_dev = |package: &&Package<'_>| package.is_dev(name) == Some(true);
        if *for_all && unit.has(name) || installed.iter().any(is_dev) {
            facts.build_env(variable, *value);
        }
    }
}

/// Members of a workspace that are looked at for each of them; there may be thousands.
const LOOKED_AT_MAX: usize = 40;

const PUPPETEER: &str = "puppeteer";

/// Variables for what is needed only to develop, or (`true`) to run as well: what packages for tests and desktops fetch
/// when they are installed.
const VARIABLES: &[(&str, bool, &str, &str)] = &[
    ("chromedriver", false, "CHROMEDRIVER_SKIP_DOWNLOAD", "true"),
    ("cypress", false, "CYPRESS_INSTALL_BINARY", "0"),
    ("electron", false, "ELECTRON_SKIP_BINARY_DOWNLOAD", "1"),
    ("husky", true, "HUSKY", "0"),
    ("next", true, "NEXT_TELEMETRY_DISABLED", "1"),
    ("playwright", false, "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"),
    (PUPPETEER, true, "PUPPETEER_SKIP_DOWNLOAD", "true"),
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
    if schema(unit.package).is_some()
        && unit.has("prisma")
        && !unit.package.scripts().any(generates)
    {
        steps.push(unit.step(unit.manager.exec("prisma generate")));
    }
    steps.extend(plan.before.iter().cloned());
    let own = unit.build_script().map(|(name, _)| name);
    if unit.is_member() {
        steps.extend(member_steps(unit, own));
    }
    let hook = plan.start.as_ref().and_then(|start| start.hook.as_deref());
    match own.or(hook) {
        Some(_) if unit.is_member() && own.is_some() => {}
        Some(script) => steps.push(unit.step(unit.manager.run(script))),
        None if plan.build.is_empty() => {}
        None => steps.push(unit.step(unit.manager.exec(&plan.build))),
    }
    steps.extend(plan.after.clone());
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
    let step = |package: &Package<'_>| {
        let is_own = package.at.dir == unit.at().dir;
        let script = if is_own { own } else { package.first_script(&["build"]) };
        Some(unit.manager.run_in(root.dir, package, script?))
    };
    unit.packages.order(unit.package, true).into_iter().filter_map(step).collect()
}

/// Whether what runs needs something that is a development dependency.
fn needs_dev(unit: &Unit<'_>, plan: &Plan) -> bool {
    let Some(start) = &plan.start else { return true };
    let is_dev = |name: &str| {
        unit.package.is_dev(name).or_else(|| unit.root.is_dev(name)).unwrap_or_default()
    };
    let keeps = |program: &Program| {
        matches!(program.from, Provider::Package { is_dev: true } | Provider::Unknown)
    };
    let mut hosts = SERVERS.iter().filter(|row| Some(row.id) == plan.facts.framework);
    plan.needs_dev
        || programs::of(unit, start).iter().any(keeps)
        || hosts.any(|row| row.marks.iter().any(|name| is_dev(name)))
}

/// What a process is given: its environment, and what of the package.
fn process(unit: &Unit<'_>, plan: &mut Plan, has_modules: bool) {
    let writes = writes(unit, plan);
    let facts = &mut plan.facts;
    facts.env.entry("NODE_ENV".to_owned()).or_insert_with(|| "production".to_owned());
    let set = plan.start.iter().flat_map(|start| &start.env);
    facts.env.extend(set.filter(|(name, _)| name != "PORT").cloned());
    let run_in = unit.run_in();
    if unit.is_member() && !plan.is_contained {
        facts.run_in = run_in;
        facts.takes.clear();
        member_files(unit, facts, has_modules);
    } else if facts.takes.is_empty() {
        match writes {
            _ if run_in != "." => {
                for dir in unit.linked().chain([run_in.clone()]) {
                    facts.take(&dir, &dir);
                }
                facts.run_in = run_in;
            }
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
    let place = package
        .map(|name| unit.package.place(name))
        .or_else(|| database::in_file(unit).map(|(place, _)| place));
    place.or_else(|| plan.writes.clone())
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
    for package in unit.packages.order(unit.package, false) {
        facts.take(package.at.dir, &unit.below_root(package.at.dir));
    }
}

// Install.

/// Scripts that package managers run when they install.
const LIFECYCLE: &[&str] =
    &["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

/// Programs that such scripts may run before the source is there.
const HARMLESS: &[&str] = &[
    "husky", "is-ci", "patch-package", "prisma", "only-allow", "simple-git-hooks", "lefthook",
    "ngcc", "nuxt", "nuxi", "svelte-kit", "echo", "exit", "true", "opencollective",
    "opencollective-postinstall", "node_modules/.bin/ngcc", "git", "check-node-version",
    "fumadocs-mdx", "wxt", "rimraf", "yarn-deduplicate", "npx", "panda", "skip-ci",
];

/// Packages that are compiled when they are installed, as far as they bring nothing that is built already.
const NATIVE: &[&str] = &[
    "node-sass", "canvas", "sqlite3", "better-sqlite3", "bcrypt", "argon2", "serialport", "zeromq",
    "re2", "isolated-vm", "libpq", "pg-native", "kerberos", "node-pty", "deasync", "leveldown",
    "sodium-native", "couchbase", "grpc", "node-gyp", "utf-8-validate", "bufferutil", "microtime",
    "node-rdkafka", "farmhash", "snappy", "integer", "ursa", "heapdump",
];

/// What one install is.
#[derive(Default)]
pub(super) struct Install {
    /// Patterns of the files that it sees; `None`: scripts of the install need the source.
    pub(super) files: Option<Vec<String>>,
    /// Commands; none when there is nothing to install.
    pub(super) steps: Vec<Step>,
    /// Only what is needed to run is installed.
    pub(super) is_production: bool,
}

/// Plans the install of a package or its workspace; `may_omit` tells that nothing is needed but to run.
pub(super) fn plan_install(unit: &Unit<'_>, may_omit: bool) -> Install {
    let installed: Vec<&Package<'_>> = installed(unit).collect();
    let has_any = installed.iter().any(|package| package.dependencies().next().is_some());
    if !has_any && unit.manager.lock.is_none() {
        return Install { is_production: true, ..Install::default() };
    }
    let has_hooks = installed.iter().any(|package| lifecycle(package).next().is_some());
    let needs_source = installed.iter().any(|package| {
        // A native module of the package's own is made when it is installed.
        package.json.get("gypfile").is_some_and(Value::is_true)
            || lifecycle(package).any(|line| !is_harmless(package, line, 0))
            || references::is_unknown(package)
    });
    let has_dev = installed.iter().any(|package| package.has_dev_dependencies());
    let may_omit = may_omit && has_dev && !has_hooks && !unit.is_member();
    let production = unit.manager.production(unit.node).filter(|_| may_omit);
    let is_production = production.is_some() || !has_dev;
    let command = unit.manager.install(unit.node, production.unwrap_or_default());
    let mut steps: Vec<Step> = unit.manager.setup(unit.node, unit.is_bun).into_iter().collect();
    steps.push(Step::new(Kind::Install, unit.root.at.dir, command));
    if let Some(Installer::Lerna(bootstrap)) = unit.manager.installer {
        steps.push(Step::new(Kind::Install, unit.root.at.dir, bootstrap));
    }
    let files = (!needs_source).then(|| files(unit, &installed));
    Install { files, steps, is_production }
}

/// All packages that one install is for.
fn installed<'a>(unit: &Unit<'a>) -> impl Iterator<Item = &'a Package<'a>> + Clone {
    let root = Some(unit.root).filter(|root| root.has_manifest());
    root.into_iter().chain(unit.packages.members(unit.root.at.dir))
}

fn lifecycle<'p>(package: &'p Package<'_>) -> impl Iterator<Item = &'p str> {
    LIFECYCLE.iter().filter_map(|name| package.script(name))
}

/// Programs that only call others.
const CALLERS: &[&str] =
    &["npx", "yarn", "pnpm", "exec", "cross-env", "-y", "--yes", "bunx", "dlx"];

/// Whether a script of the install does well without the source.
fn is_harmless(package: &Package<'_>, line: &str, depth: usize) -> bool {
    let mut parts =
        line.split(['&', '|', ';', '(', ')']).map(str::trim).filter(|part| !part.is_empty());
    parts.all(|part| {
        let mut words = part.split_whitespace();
        let calls = |word: &&str| !word.contains('=') && !CALLERS.contains(word);
        let first = words.find(calls).unwrap_or("true");
        if HARMLESS.contains(&first) {
            return true;
        }
        let called = match first {
            "npm" | "bun" | "run" => words.find(|word| *word != "run" && !word.starts_with('-')),
            _ => Some(first),
        };
        let script = called.and_then(|name| package.script(name)).filter(|_| depth < 3);
        script.is_some_and(|script| script != line && is_harmless(package, script, depth + 1))
    })
}

/// Patterns of everything the install looks at.
fn files(unit: &Unit<'_>, installed: &[&Package<'_>]) -> Vec<String> {
    let mut files: Vec<String> = match installed.len() {
        0..=MANIFESTS_MAX => installed.iter().map(|package| package.path()).collect(),
        _ => vec![unit.root.at.path("**/package.json")],
    };
    files.extend(unit.manager.files(unit.root.at));
    let is_lerna = matches!(unit.manager.installer, Some(Installer::Lerna(_)));
    for package in installed {
        if is_lerna {
            // Each was installed for itself.
            files.extend(package.at.those(&["package-lock.json", "yarn.lock"]));
        }
        if installed.len() > 1 {
            files.extend(programs(package));
        }
        files.extend(schema(package));
        files.extend(references::paths(package).iter().map(|path| literal(path)));
    }
    let mut seen = BTreeSet::new();
    // Of a folder that is there all of it is.
    files.retain(|file| {
        !upward(file).any(|above| seen.contains(above)) && seen.insert(file.clone())
    });
    files
}

/// Programs that a member offers: pnpm links only what is there.
fn programs(package: &Package<'_>) -> Vec<String> {
    let Some(bin) = package.json.get("bin") else { return Vec::new() };
    let named = std::iter::once(bin).chain(bin.members().map(|(_, path)| path));
    let paths = named
        .filter_map(Value::as_str)
        .map(|path| path.trim_start_matches("./"))
        .filter(|path| package.at.has(path));
    paths.take(PROGRAMS_MAX).map(|path| package.at.path(path)).collect()
}

/// Programs of one package that are looked at.
const PROGRAMS_MAX: usize = 20;

/// Packages of the system for the build stage and, where something runs, for the image.
fn system_packages(unit: &Unit<'_>, facts: &mut Facts, runs: bool) {
    let order = unit.packages.order(unit.package, true);
    let has_any = |names: &[&str]| order.iter().any(|package| package.has_any(names));
    if has_any(NATIVE) {
        facts.needs.push(Need::Compiler);
    }
    if unit.manager.locked.has_repositories || installed(unit).any(references::needs_git) {
        facts.packages_everywhere(&["ca-certificates", "git"], &[]);
    }
    if has_any(&["prisma", "@prisma/client"]) {
        // Its engines look for the library of OpenSSL, which slim images lack.
        facts.packages_everywhere(&["openssl"], if runs { &["openssl"] } else { &[] });
    }
}

/// Browsers for a program that drives one, not for its tests.
fn browsers(unit: &Unit<'_>, facts: &mut Facts) {
    let order = unit.packages.order(unit.package, false);
    let drives = |names: &[&str]| {
        names.iter().any(|name| order.iter().any(|package| package.is_dev(name) == Some(false)))
    };
    if drives(&[PUPPETEER, "puppeteer-core", "playwright"]) {
        facts.lacking = &[Family::Wolfi];
    }
    if drives(&[PUPPETEER, "puppeteer-core"]) && !drives(&["@sparticuz/chromium"]) {
        facts.env("PUPPETEER_EXECUTABLE_PATH", "/usr/bin/chromium");
        facts.packages(&[], &["chromium"]);
    }
    if drives(&["playwright"]) {
        // It drives the build of its own version alone; that needs the libraries of the system's.
        facts.packages(&[], &["chromium"]);
        for env in [&mut facts.env, &mut facts.build_env] {
            env.insert("PLAYWRIGHT_BROWSERS_PATH".to_owned(), BROWSERS.to_owned());
        }
        let installs = |step: &Step| matches!(step.kind, Kind::Setup | Kind::Install);
        let at = facts.steps.iter().take_while(|step| installs(step)).count();
        facts.steps.insert(at, unit.step(unit.manager.exec("playwright install chromium")));
        facts.take(BROWSERS, BROWSERS);
    }
}

/// Where Playwright keeps its browsers.
const BROWSERS: &str = "/opt/browsers";

/// More manifests than this are named by a pattern.
const MANIFESTS_MAX: usize = 40;
