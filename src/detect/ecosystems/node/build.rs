//! The spec of a package: stages, commands, artifacts.

use super::{
    Unit, in_folder,
    install::{self, Install},
    manager::Installer,
    outcome::{Outcome, Runs, Server, Site},
    package::Package,
    version,
};
use crate::{
    detect::{
        Decision, Evidence,
        ecosystems::{
            draft::{self, OUT_DIR},
            file_server::{self, Missing},
        },
        images::{self, Family},
        join,
    },
    spec::{Artifact, UniversalBuild},
};

/// Where the image has the application.
const APP: &str = "/app";

pub(super) fn spec(
    unit: &Unit<'_>,
    outcome: &Outcome,
    decisions: &mut Vec<Decision>,
) -> UniversalBuild {
    let mut spec = UniversalBuild {
        metadata: Default::default(),
        build: Default::default(),
        runtime: Default::default(),
    };
    bases(unit, &mut spec, decisions);
    let commands = build_commands(unit, outcome);
    let needs_dev = needs_dev(unit, outcome);
    let install = install::plan(unit, &outcome.runs, !commands.is_empty(), needs_dev);
    let is_plain = matches!(outcome.runs, Runs::Site(_)) && commands.is_empty();
    let install = if is_plain { Install::nothing() } else { install };
    let (build_packages, runtime_packages) = install::system_packages(unit);
    spec.build.packages.extend(build_packages.iter().map(|name| (*name).to_owned()));
    if !install.is_empty() {
        spec.build.cache.push(unit.manager.cache().to_owned());
        decisions.extend(install_decision(unit, &install));
    }
    environment(unit, &mut spec);
    spec.build.exclude = vec![".git".to_owned(), "**/node_modules".to_owned()];
    let is_production = install.is_production;
    let has_modules = !install.is_empty();
    spec.build.dependencies.extend(install.step);
    spec.build.commands.extend(install.late);
    if !commands.is_empty() {
        let place = unit.build_script().map(|(name, _)| unit.package.script_place(name));
        let rule =
            if place.is_some() { "script of the package" } else { "the framework's own build" };
        decisions.push(Decision::new("build command", commands.join("; "), rule, place));
    }
    spec.build.commands.extend(commands);
    match &outcome.runs {
        Runs::Server(server) => {
            let is_pruned =
                !is_production && has_modules && !needs_dev && !server.is_self_contained;
            let is_workspace = unit.packages.members(unit.root).is_some();
            let prune = unit.manager.prune(unit.node, is_workspace).filter(|_| is_pruned);
            spec.build.commands.extend(prune.map(|command| in_folder(&unit.root.dir, &command)));
            spec.runtime.packages.extend(runtime_packages.iter().map(|name| (*name).to_owned()));
            self::server(unit, server, &mut spec, has_modules, decisions);
        }
        Runs::Site(site) => self::site(unit, site, &mut spec, decisions),
        Runs::Nothing { why } => {
            decisions.push(Decision::new("start command", "", *why, []));
            let to = APP.to_owned();
            spec.runtime.copy = vec![Artifact { from: unit.package.dir.clone(), to }];
            spec.runtime.workdir = Some(APP.to_owned());
        }
    }
    spec
}

fn bases(unit: &Unit<'_>, spec: &mut UniversalBuild, decisions: &mut Vec<Decision>) {
    let family = unit.project.bases;
    if unit.is_bun {
        let tag = unit.manager.bun_tag();
        let (build, runtime) =
            (format!("docker.io/oven/bun:{tag}"), format!("docker.io/oven/bun:{tag}-slim"));
        if family != Family::Official {
            decisions.push(Decision::new(
                "base",
                &*runtime,
                "the family has no Bun: its own image",
                [],
            ));
        }
        (spec.build.base, spec.runtime.base) = (images::image(&build), images::image(&runtime));
        spec.runtime.user = Some("bun".to_owned());
        return;
    }
    let Some(base) = images::plain(family) else {
        let base = images::official(&version::tag(unit.node));
        (spec.build.base, spec.runtime.base) = (base.clone(), base);
        spec.runtime.user = Some("node".to_owned());
        return;
    };
    (spec.build.base, spec.runtime.base) = (base.clone(), base);
    let node = match family {
        Family::Wolfi => {
            let known = WOLFI.iter().copied();
            let near =
                known.min_by_key(|major| (major.abs_diff(unit.node), *major)).unwrap_or(unit.node);
            if near != unit.node {
                let rule = format!("Wolfi has no Node.js {}: the nearest it has", unit.node);
                decisions.push(Decision::new("base", format!("nodejs-{near}"), rule, []));
            }
            format!("nodejs-{near}")
        }
        _ => {
            if unit.node != DEBIAN {
                let rule = format!("Debian bookworm has Node.js {DEBIAN} alone, not {}", unit.node);
                decisions.push(Decision::new("base", "nodejs", rule, []));
            }
            "nodejs".to_owned()
        }
    };
    spec.build.packages = vec![node.clone(), "npm".to_owned()];
    spec.runtime.packages = vec![node];
    spec.runtime.user = Some(images::plain_user(family).to_owned());
}

/// Majors that are packages of Wolfi.
const WOLFI: &[u32] = &[18, 20, 22, 24, 25];
/// The one that is a package of Debian bookworm.
const DEBIAN: u32 = 18;

fn environment(unit: &Unit<'_>, spec: &mut UniversalBuild) {
    let mut set = |name: &str, value: &str| {
        spec.build.env.insert(name.to_owned(), value.to_owned());
    };
    if unit.manager.tool == super::manager::Tool::Berry {
        // Node.js alone can't run from Plug'n'Play's archives.
        set("YARN_NODE_LINKER", "node-modules");
    }
    if unit.root.has("husky") || unit.package.has("husky") {
        set("HUSKY", "0");
    }
    if unit.package.has("puppeteer") {
        set("PUPPETEER_SKIP_DOWNLOAD", "true");
    }
    let members = unit.packages.members(unit.root).unwrap_or_default();
    let members = members.iter().filter_map(|dir| unit.packages.all.get(dir));
    let members = members.take(LOOKED_AT_MAX);
    let installed: Vec<&Package> = members.chain([unit.root, unit.package]).collect();
    for (name, variable, value) in DOWNLOADS {
        if installed.iter().any(|package| package.dependency(name).is_some_and(|d| d.is_dev)) {
            set(variable, value);
        }
    }
    if unit.has("next") {
        set("NEXT_TELEMETRY_DISABLED", "1");
    }
}

/// Members of a workspace that are looked at for each of them; there may be thousands.
const LOOKED_AT_MAX: usize = 40;

/// What packages for tests and desktops fetch when they are installed, and how to keep them from it.
const DOWNLOADS: &[(&str, &str, &str)] = &[
    ("chromedriver", "CHROMEDRIVER_SKIP_DOWNLOAD", "true"),
    ("cypress", "CYPRESS_INSTALL_BINARY", "0"),
    ("electron", "ELECTRON_SKIP_BINARY_DOWNLOAD", "1"),
    ("playwright", "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"),
    ("puppeteer", "PUPPETEER_SKIP_DOWNLOAD", "true"),
];

fn install_decision(unit: &Unit<'_>, install: &Install) -> Option<Decision> {
    let commands = install.step.as_ref().map_or(&install.late, |step| &step.commands);
    let command = commands.last()?;
    let place = unit.manager.lock.clone().unwrap_or_else(|| unit.root.path.clone());
    let rule = match (&unit.manager.lock, install.step.is_some()) {
        (Some(_), true) => "frozen by the lock file",
        (None, true) => "there is no lock file",
        (_, false) => "scripts of the install need the source",
    };
    Some(Decision::new("install command", command, rule, [Evidence::file(place)]))
}

// Commands.

fn build_commands(unit: &Unit<'_>, outcome: &Outcome) -> Vec<String> {
    let mut commands = Vec::new();
    if let Some(whole) = &outcome.whole_build {
        return whole.clone();
    }
    if matches!(outcome.runs, Runs::Nothing { .. })
        && !unit.is_member()
        && unit.packages.members(unit.root).is_some()
    {
        return commands;
    }
    if install::schema(unit.project, unit.package).is_some()
        && unit.has("prisma")
        && !unit.package.scripts().any(|(_, line)| line.contains("prisma generate"))
    {
        commands.push(unit.in_package(&unit.manager.exec("prisma generate")));
    }
    commands.extend(outcome.before_build.iter().map(|command| unit.in_package(command)));
    let own = unit.build_script();
    if unit.is_member() {
        commands.extend(member_commands(unit, own.map(|(name, _)| name)));
    } else if let Some((name, _)) = own {
        commands.push(unit.in_package(&unit.manager.run(name)));
    }
    if own.is_none()
        && let Runs::Server(server) = &outcome.runs
        && let Some(hook) = &server.start.hook
    {
        commands.push(unit.in_package(&unit.manager.run(hook)));
    } else if own.is_none()
        && let Some(build) = outcome.build.as_deref().filter(|build| !build.is_empty())
    {
        commands.push(unit.in_package(&unit.manager.exec(build)));
    }
    commands.extend(outcome.after_build.iter().cloned());
    commands
}

/// Builds the members that a member needs, then itself, with the tool of the workspace.
fn member_commands(unit: &Unit<'_>, own: Option<&str>) -> Vec<String> {
    let in_root = |command: String| in_folder(&unit.root.dir, &command);
    let has_turbo = unit.root.has("turbo") && unit.project.tree.has(&unit.root.join("turbo.json"));
    if let (true, Some("build"), Some(name)) = (has_turbo, own, unit.package.name()) {
        let filter = crate::detect::shell::quote(name);
        return vec![in_root(unit.manager.exec(&format!("turbo run build --filter={filter}")))];
    }
    let mut commands = Vec::new();
    for package in unit.packages.build_order(unit.package) {
        let script =
            if package.dir == unit.package.dir { own } else { package.first_script(&["build"]) };
        if let Some(script) = script {
            let command = unit.manager.run_in(package, script);
            let is_selected = unit.manager.selects(package);
            commands.push(if is_selected { in_root(command) } else { command });
        }
    }
    commands
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
fn needs_dev(unit: &Unit<'_>, outcome: &Outcome) -> bool {
    let Runs::Server(server) = &outcome.runs else { return true };
    let is_dev = |name: &str| {
        let found = unit.package.dependency(name).or_else(|| unit.root.dependency(name));
        found.is_some_and(|dependency| dependency.is_dev)
    };
    let line = format!("{} {}", server.start.line, server.start.words.join(" "));
    // What the build adds is in no manifest, and would be removed with the rest.
    let is_added = |word: &str| {
        let mut added = outcome.before_build.iter().flat_map(|command| command.split(' ').skip(2));
        word != "npx" && added.any(|name| name.split('@').next() == Some(word))
    };
    let is_part = |c: char| c.is_alphanumeric() || "-_@/.".contains(c);
    let words = line.split(|c| !is_part(c)).filter(|word| !word.is_empty());
    let needs = |word: &str| {
        let known =
            PROGRAMS.iter().find(|(program, _)| *program == word).map(|(_, package)| *package);
        let module = word.split('/').next().unwrap_or(word);
        is_dev(word) || is_dev(module) || known.is_some_and(is_dev) || is_added(word)
    };
    let framework = super::framework::SERVERS.iter().find(|f| Some(f.id) == outcome.framework);
    let hosts_framework = framework.is_some_and(|f| f.packages.iter().any(|name| is_dev(name)));
    words.into_iter().any(needs) || hosts_framework
}

// Images.

fn server(
    unit: &Unit<'_>,
    server: &Server,
    spec: &mut UniversalBuild,
    has_modules: bool,
    decisions: &mut Vec<Decision>,
) {
    let is_member = unit.is_member();
    let workdir = if is_member && !server.is_self_contained {
        join(APP, unit.below_root())
    } else {
        APP.to_owned()
    };
    spec.runtime.copy =
        match (server.copy.is_empty() || is_member && !server.is_self_contained, is_member) {
            (false, _) => listed(unit, server),
            (true, true) => member_files(unit, has_modules),
            (true, false) => whole(unit, server, spec, decisions),
        };
    let runtime = &mut spec.runtime;
    runtime.workdir = Some(workdir);
    let script = server.start.script.as_deref().unwrap_or("start");
    let runner = if unit.is_bun { "bun" } else { "npm" };
    // What the hook builds is built already.
    let skip = server.start.hook.as_ref().map(|_| "--ignore-scripts");
    let words = [Some(runner), Some("run"), skip.filter(|_| !unit.is_bun), Some(script)];
    let by_script = || words.into_iter().flatten().map(str::to_owned).collect();
    runtime.command = server.command.clone().unwrap_or_else(by_script);
    let start = &server.start;
    let shown = runtime.command.join(" ");
    decisions.push(Decision::new("start command", shown, &*start.rule, [start.place.clone()]));
    let is_plain = unit.project.bases != Family::Official && !unit.is_bun;
    if is_plain
        && runtime.command.first().is_some_and(|program| program == "npm" || program == "npx")
    {
        runtime.packages.push("npm".to_owned());
    }
    let env = &mut runtime.env;
    env.insert("NODE_ENV".to_owned(), "production".to_owned());
    env.extend(server.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    env.extend(start.env.iter().filter(|(name, _)| name != "PORT").cloned());
    if unit.package.has("puppeteer") {
        env.insert("PUPPETEER_EXECUTABLE_PATH".to_owned(), "/usr/bin/chromium".to_owned());
    }
    if let Some(port) = server.port {
        runtime.ports = vec![port];
        if server.reads_port || start.env.iter().any(|(name, _)| name == "PORT") {
            env.insert("PORT".to_owned(), port.to_string());
        }
    }
    runtime.health = server.health.clone();
}

/// The folder of the package; where the program writes beside itself, so that everybody may.
fn whole(
    unit: &Unit<'_>,
    server: &Server,
    spec: &mut UniversalBuild,
    decisions: &mut Vec<Decision>,
) -> Vec<Artifact> {
    let Some(place) = writes(unit, server) else {
        return vec![Artifact { from: unit.package.dir.clone(), to: APP.to_owned() }];
    };
    let (out, from) = (format!("{OUT_DIR}{APP}"), crate::detect::shell::quote(&unit.package.dir));
    // Only a folder that is copied with what holds it keeps its mode.
    spec.build.commands.push(format!(
        "mkdir -p {OUT_DIR} && cp -a {from} {out} && \
         find {out} -path {out}/node_modules -prune -o -exec chmod a+rwX {{}} +"
    ));
    decisions.push(Decision::new("artifacts", APP, "the program writes beside itself", [place]));
    vec![Artifact { from: OUT_DIR.to_owned(), to: "/".to_owned() }]
}

/// Packages of databases in a file, and of what else is kept in files.
const KEEPS_FILES: &[&str] = &[
    "@keystone-6/core", "@seald-io/nedb", "@strapi/strapi", "better-sqlite3", "directus", "level",
    "lowdb", "nedb", "nedb-promises", "node-json-db", "session-file-store", "sqlite", "sqlite3",
    "strapi",
];

fn writes(unit: &Unit<'_>, server: &Server) -> Option<Evidence> {
    let package = KEEPS_FILES.iter().find(|name| unit.package.has(name));
    let schema = || {
        let path = install::schema(unit.project, unit.package)?;
        let text = unit.project.tree.read(&path)?;
        Some(Evidence::line(&path, Some(text.line_of("\"sqlite\"")?)))
    };
    package.map(|name| unit.package.place(name)).or_else(schema).or_else(|| server.writes.clone())
}

/// What a framework says the image needs; `@` is the package's folder in its workspace.
fn listed(unit: &Unit<'_>, server: &Server) -> Vec<Artifact> {
    let below = match unit.below_root() {
        "." => String::new(),
        below => format!("/{below}"),
    };
    let artifact = |(from, to): &(String, &'static str)| {
        let to = match (*to, to.strip_prefix('@')) {
            (".", _) => format!("{APP}/"),
            (_, Some(rest)) => format!("{APP}{below}{rest}"),
            (to, None) => format!("{APP}/{to}"),
        };
        // The content of a folder goes to `/app` itself.
        let is_all = from.ends_with("standalone") || from.starts_with('/');
        let to = if is_all { APP.to_owned() } else { to };
        let is_outside = from.starts_with('/');
        let from = if is_outside { from.clone() } else { join(&unit.package.dir, from) };
        Artifact { from, to }
    };
    server.copy.iter().map(artifact).collect()
}

/// The member, the members it is built from, and what was installed at the root.
fn member_files(unit: &Unit<'_>, has_modules: bool) -> Vec<Artifact> {
    let artifact = |from: String, to: &str| Artifact { from, to: join(APP, to) };
    let mut copy = Vec::new();
    let modules = match unit.manager.installer {
        Some(Installer::Rush(_)) => "common/temp/node_modules",
        _ => "node_modules",
    };
    if has_modules {
        copy.push(artifact(unit.root.join(modules), modules));
    }
    if unit.root.has_manifest() {
        copy.push(artifact(unit.root.path.clone(), "package.json"));
    }
    let below = |package: &Package| match unit.root.dir.as_str() {
        "." => package.dir.clone(),
        root => package.dir[root.len()..].trim_start_matches('/').to_owned(),
    };
    let order = unit.packages.run_order(unit.package);
    copy.extend(order.iter().map(|package| artifact(package.dir.clone(), &below(package))));
    copy
}

fn site(unit: &Unit<'_>, site: &Site, spec: &mut UniversalBuild, decisions: &mut Vec<Decision>) {
    // A script may serve what lies beside the package.
    let folder = draft::resolve(&unit.package.dir, &site.folder);
    let folder = folder.unwrap_or_else(|| unit.package.dir.clone());
    decisions.push(Decision::new("artifacts", &*folder, site.rule, site.place.clone()));
    let missing = if site.is_spa { Missing::Index } else { Missing::NotFound };
    spec.runtime = Default::default();
    if spec.build.commands.is_empty() && spec.build.dependencies.is_empty() && !site.is_spa {
        spec.build.packages.clear();
        file_server::serve_as_is(spec, unit.project.bases, &folder);
    } else {
        file_server::serve(spec, unit.project.bases, &folder, missing);
    }
    let command = spec.runtime.command.join(" ");
    let rule = "files for a browser, served by Caddy";
    decisions.push(Decision::new("start command", command, rule, []));
    decisions.push(Decision::new(
        "port",
        file_server::PORT.to_string(),
        "the file server's own",
        [],
    ));
}
