//! What becomes of a package: a server, a folder of files, or nothing that is deployed.

use super::{
    Unit,
    config::{self, Config},
    framework::{BUNDLERS, Framework, Kind, META, NITRO, SERVERS},
    meta,
    package::Package,
    site,
    source::{self, Source},
    start::{self, Start},
};
use crate::detect::{Decision, Evidence, join, manifest::Value, procfile::procfile, shell};

/// What only projects of Meteor have; it names the release.
pub(super) const METEOR: &str = ".meteor/release";

/// What was found out about a package.
pub(super) struct Outcome {
    pub(super) framework: Option<&'static str>,
    /// What builds it when no script does: a program of a dependency with its arguments.
    pub(super) build: Option<String>,
    /// All commands of the build, in place of scripts.
    pub(super) whole_build: Option<Vec<String>>,
    /// Commands right before the build.
    pub(super) before_build: Vec<String>,
    /// Commands after it.
    pub(super) after_build: Vec<String>,
    pub(super) runs: Runs,
    pub(super) decisions: Vec<Decision>,
}

pub(super) enum Runs {
    Server(Box<Server>),
    Site(Site),
    /// A library, or something for other machines than servers.
    Nothing {
        why: &'static str,
    },
}

/// A process.
pub(super) struct Server {
    pub(super) start: Start,
    /// `None`: run through the script.
    pub(super) command: Option<Vec<String>>,
    pub(super) port: Option<u16>,
    pub(super) reads_port: bool,
    pub(super) env: Vec<(&'static str, String)>,
    pub(super) health: Option<String>,
    /// Folders and files of the package that the image needs, and where they go below the working directory; empty: all.
    pub(super) copy: Vec<(String, &'static str)>,
    /// The output holds what it needs of the dependencies.
    pub(super) is_self_contained: bool,
    /// Where it says that it writes files.
    pub(super) writes: Option<Evidence>,
}

/// Files for a browser.
pub(super) struct Site {
    /// Relative to the package.
    pub(super) folder: String,
    /// One page answers for all paths.
    pub(super) is_spa: bool,
    pub(super) place: Option<Evidence>,
    pub(super) rule: &'static str,
}

pub(super) fn of(unit: &Unit<'_>) -> Outcome {
    let project = unit.project;
    if project.tree.has(&unit.package.join(METEOR)) {
        return meta::meteor(unit);
    }
    let found = META.iter().find_map(|f| Some((f, f.used_by(unit)?)));
    if let Some((framework, dependency)) = found {
        return meta::of(unit, framework, dependency);
    }
    let script = start::script(unit.package);
    let is_root = unit.packages.members(unit.package).is_some();
    // The root of a workspace that serves what a member has built.
    let served = script.as_ref().and_then(Start::served_folder).filter(|_| !is_root);
    let production = script.filter(|start| {
        !start.is_development()
            && !start.line.split_whitespace().next().is_some_and(is_compiled)
            // It runs what lies beside the package.
            && !start.line.contains("cd ..")
            && start.served_folder().is_none()
            && !start.delegates()
            && !is_ejected(unit, start)
    });
    let stated = procfile(project, &unit.package.dir).map(|process| {
        let rule = format!("Procfile {}", process.name);
        Start::new(process.command, process.line, &rule, process.evidence).within(unit.package)
    });
    let stated =
        stated.filter(|start| !is_other_program(&start.line) && !calls_root(unit, &start.line));
    // What a bundler makes is files, whatever shows them.
    let shown = stated.as_ref().filter(|start| {
        let is_bundled = || BUNDLERS.iter().any(|f| f.used_by(unit).is_some());
        (start.is_development() || start.served_folder().is_some()) && is_bundled()
    });
    if let Some(start) = shown
        && let Some(outcome) = bundled(unit, start.served_folder().or_else(|| served.clone()))
    {
        return outcome;
    }
    if let Some(start) = stated {
        return own_server(unit, start);
    }
    let function = || functions_framework(unit);
    if let Some(start) = production.or_else(function) {
        // What shows the page while somebody works on it.
        let is_tool = start.file().is_some_and(|file| {
            TOOLS.contains(&file.split('/').next().unwrap_or_default()) && file.contains('/')
        });
        let outcome = own_server(unit, start);
        let has_page = is_tool && !serves(&outcome);
        return page(unit).filter(|_| has_page).unwrap_or(outcome);
    }
    if let Some(outcome) = bundled(unit, served.clone()) {
        return outcome;
    }
    if let Some((folder, is_spa)) = served {
        let site = Site {
            folder,
            is_spa,
            place: Some(unit.package.script_place("start")),
            rule: "the script serves it",
        };
        let build = None;
        return Outcome {
            framework: None,
            build,
            whole_build: None,
            before_build: Vec::new(),
            after_build: Vec::new(),
            runs: Runs::Site(site),
            decisions: Vec::new(),
        };
    }
    if let Some(dependency) = NITRO.used_by(unit) {
        return meta::of(unit, &NITRO, dependency);
    }
    let has_build = unit.build_script().is_some();
    let outcome = match start::entry(project, unit.package, has_build) {
        Some(start) => own_server(unit, start),
        None => nothing("no script, `main` or entry file starts it"),
    };
    if serves(&outcome) { outcome } else { page(unit).unwrap_or(outcome) }
}

/// Whether something listens, or works for a framework.
fn serves(outcome: &Outcome) -> bool {
    outcome.framework.is_some()
        || matches!(&outcome.runs, Runs::Server(server) if server.port.is_some())
}

/// Files with a first page, beside which the manifest is there for tools.
fn page(unit: &Unit<'_>) -> Option<Outcome> {
    let find = |folder: &&'static str| {
        let pages = ["index.html", "index.htm"].map(|page| unit.package.join(&join(folder, page)));
        let page = pages.into_iter().find(|page| unit.project.tree.has(page))?;
        Some((*folder, page))
    };
    let (folder, page) = PAGES.iter().find_map(find)?;
    let rule = "the folder of the first page";
    let place = Some(Evidence::file(page));
    let mut outcome = nothing(rule);
    outcome.runs = Runs::Site(Site { folder: folder.to_owned(), is_spa: false, place, rule });
    Some(outcome)
}

/// Folders of programs that build.
const TOOLS: &[&str] = &["scripts", "tools", "tasks", "build", "gulp"];

/// Folders that hold a site, before that of the package.
const PAGES: &[&str] = &["dist", "build", "public", "_site", "www", "site", "."];

pub(super) fn nothing(why: &'static str) -> Outcome {
    Outcome {
        framework: None,
        build: None,
        whole_build: None,
        before_build: Vec::new(),
        after_build: Vec::new(),
        runs: Runs::Nothing { why },
        decisions: Vec::new(),
    }
}

/// A script of the workspace's root, which can't be called where the member is.
fn calls_root(unit: &Unit<'_>, line: &str) -> bool {
    start::call(line).is_some_and(|(name, _)| {
        let is_there = |package: &Package| package.script(name).is_some();
        unit.is_member() && !is_there(unit.package) && is_there(unit.root)
    })
}

/// A `Procfile` beside a `package.json` may be another language's.
pub(super) fn is_other_program(line: &str) -> bool {
    let others = [
        "python",
        "python3",
        "gunicorn",
        "uvicorn",
        "flask",
        "bundle",
        "rails",
        "puma",
        "java",
        "php",
        "vendor/bin/heroku-php-apache2",
        "vendor/bin/heroku-php-nginx",
        "mix",
        "dotnet",
        "go",
        "heroku-php-apache2",
        "daphne",
        "celery",
    ];
    let program = line.split_whitespace().next().unwrap_or_default();
    others.contains(&program) || is_compiled(program)
}

/// A program in the folder that Cargo, sbt and Maven build into.
fn is_compiled(program: &str) -> bool {
    program.starts_with("target/") || program.contains("/target/")
}

/// Google's framework for functions starts the one that the code exports.
fn functions_framework(unit: &Unit<'_>) -> Option<Start> {
    const NAME: &str = "@google-cloud/functions-framework";
    unit.package.has(NAME).then_some(())?;
    let entry = start::entry(unit.project, unit.package, false)?;
    let text = unit.project.tree.read(&unit.package.join(entry.file()?))?;
    let after = |sign: &str| {
        let rest = text.text.split_once(sign)?.1.trim_start_matches(['\'', '"', ' ']);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_owned())
    };
    let signs = [
        "functions.http(", "http(", "cloudEvent(", "exports.", "export const ", "export function ",
    ];
    let target = signs.iter().find_map(|sign| after(sign))?;
    let line = format!("npx functions-framework --target={target}");
    Some(by_words("the function that the code exports", &line, entry.place))
}

/// create-react-app after `eject` has its development server in a script of its own.
fn is_ejected(unit: &Unit<'_>, start: &Start) -> bool {
    unit.package.has("react-dev-utils") && start.line.contains("scripts/start")
}

pub(super) fn known_by(unit: &Unit<'_>, framework: &Framework, dependency: &str) -> Decision {
    let rule = format!("dependency `{dependency}`");
    Decision::new("framework", framework.id, rule, [unit.place(dependency)])
}

// Servers that the project's own code starts.

fn own_server(unit: &Unit<'_>, start: Start) -> Outcome {
    let project = unit.project;
    let found = SERVERS.iter().find_map(|f| Some((f, f.used_by(unit)?)));
    let found = found.or_else(|| hoisted(unit, &start));
    let mut decisions = Vec::new();
    let mut default_port = None;
    let mut is_worker = false;
    if let Some((framework, dependency)) = found {
        decisions.push(known_by(unit, framework, dependency));
        match framework.kind {
            Kind::Server { port } => default_port = Some((port, framework.id)),
            _ => is_worker = true,
        }
    }
    let is_guess = start.script.is_none() && !start.rule.starts_with("Procfile");
    let source = source::scan(project, &unit.package.dir, start.file());
    // A library has a `main` too.
    let is_started = found.is_some() || source.listens || source.reads_port.is_some();
    let is_member = unit.is_member() && !source.listens && source.reads_port.is_none();
    let is_offered = unit.is_member() && offers_code(unit) && !source.entry_listens;
    if is_guess
        && (!is_started || is_member || is_offered)
        && is_library(unit)
        && start.rule != "bin"
    {
        return nothing("a library: its code starts nothing that listens");
    }
    if is_guess && unit.has("wrangler") && !source.listens {
        let runs = Runs::Nothing { why: "a worker for the machines of Cloudflare" };
        let framework = found.map(|(framework, _)| framework.id);
        return Outcome { framework, runs, decisions, ..nothing("") };
    }
    let mut start = start;
    if unit.is_bun && is_guess && start.words.first().is_some_and(|program| program == "node") {
        start.words[0] = "bun".to_owned();
        start.line = start.words.join(" ");
    }
    drop_missing_environment(unit, &mut start);
    start.words = in_foreground(unit, &start).unwrap_or(start.words);
    let (start, build, typescript) = typescript(unit, start);
    decisions.extend(typescript);
    let server = server(start, default_port, is_worker, &source, &mut decisions);
    Outcome {
        framework: found.map(|(framework, _)| framework.id),
        build,
        whole_build: None,
        before_build: Vec::new(),
        after_build: Vec::new(),
        runs: Runs::Server(Box::new(server)),
        decisions,
    }
}

/// Node.js does not start when `--env-file` names a file that is not there, and secrets are not in the tree.
fn drop_missing_environment(unit: &Unit<'_>, start: &mut Start) {
    let is_missing = |file: &str| !unit.project.tree.has(&unit.package.join(file));
    start
        .words
        .retain(|word| word.strip_prefix("--env-file=").is_none_or(|file| !is_missing(file)));
    let at = start.words.iter().position(|word| word == "--env-file");
    if let Some(at) = at
        && start.words.get(at + 1).is_some_and(|file| is_missing(file))
    {
        start.words.drain(at..at + 2);
    }
}

/// `pm2 start ecosystem.config.js` goes to the background, and the container would end: the program it starts.
fn in_foreground(unit: &Unit<'_>, start: &Start) -> Option<Vec<String>> {
    let is_background = start.line.contains("pm2 start") && !start.line.contains("--no-daemon");
    if !is_background || !start.words.is_empty() {
        return None;
    }
    let script = match Config::find(unit, &["ecosystem.config", "pm2.config"]) {
        Some(config) => config.text_of("script")?.0,
        None => {
            let names = ["ecosystem.config.json", "ecosystem.json", "pm2.json"];
            let (json, _) = names.iter().find_map(|name| Config::json(unit, name))?;
            let apps = json.get("apps").unwrap_or(&json);
            apps.items().first().unwrap_or(apps).str_at(&["script"])?.to_owned()
        }
    };
    let script = clean(&script);
    is_code_file(&script).then(|| vec!["node".to_owned(), script])
}

fn is_code_file(path: &str) -> bool {
    [".js", ".cjs", ".mjs"].iter().any(|end| path.ends_with(end)) && !path.starts_with('/')
}

/// A framework of the workspace's root that the start file imports.
fn hoisted(unit: &Unit<'_>, start: &Start) -> Option<(&'static Framework, &'static str)> {
    let path = unit.package.join(start.file()?);
    let text = unit.project.tree.read(&path).filter(|_| unit.is_member())?;
    SERVERS.iter().find_map(|framework| {
        let is_imported = |name: &&&str| {
            unit.root.has(name)
                && ['\'', '"'].iter().any(|q| text.text.contains(&format!("{q}{name}{q}")))
        };
        Some((framework, *framework.packages.iter().find(is_imported)?))
    })
}

fn is_library(unit: &Unit<'_>) -> bool {
    offers_code(unit) || unit.is_member() || unit.package.json().has("bin")
}

/// Whether others get it from a registry.
fn is_published(unit: &Unit<'_>) -> bool {
    let is_private = unit.package.json().get("private").is_some_and(Value::is_true);
    !is_private && offers_code(unit)
}

/// Whether the manifest tells others what they may import.
pub(super) fn offers_code(unit: &Unit<'_>) -> bool {
    let json = unit.package.json();
    ["files", "exports", "types", "typings", "module", "publishConfig", "peerDependencies"]
        .iter()
        .any(|key| json.has(key))
}

/// A server by its start command, what its code says, and the framework's default.
pub(super) fn server(
    start: Start,
    default_port: Option<(u16, &str)>,
    is_worker: bool,
    source: &Source,
    decisions: &mut Vec<Decision>,
) -> Server {
    let stated = stated_port(&start);
    let listens = source.listens || source.reads_port.is_some();
    let port = match (&stated, &source.port, default_port) {
        (Some(port), ..) => {
            let place = start.place.clone();
            Some(Decision::new("port", port.to_string(), "the start command sets it", [place]))
        }
        // A number alone may be a port of anything.
        (None, Some((port, place)), default) if listens || !is_worker && default.is_some() => Some(
            Decision::new("port", port.to_string(), "what the code listens on", [place.clone()]),
        ),
        (None, None, Some((port, id))) => {
            let place = source.reads_port.clone();
            Some(Decision::new("port", port.to_string(), format!("default of {id}"), place))
        }
        _ if listens && !is_worker => {
            let place = source.reads_port.clone();
            Some(Decision::new("port", "3000", "the code listens, and says no number", place))
        }
        _ => None,
    };
    let number = port.as_ref().and_then(|port| port.value.parse().ok());
    decisions.extend(port);
    if let Some((path, place)) = &source.health {
        decisions.push(Decision::new("health", path, "a route of the code", [place.clone()]));
    }
    let reads_port = source.reads_port.is_some() || source.port.is_none() && stated.is_none();
    let command = (!start.words.is_empty()).then(|| start.words.clone()).or_else(|| open(&start));
    // Code that asks for it has `localhost` for its default more often than not.
    let host = source.reads_host.then(|| ("HOST", "0.0.0.0".to_owned()));
    let fastify =
        start.line.contains("fastify start").then(|| ("FASTIFY_ADDRESS", "0.0.0.0".to_owned()));
    Server {
        command,
        port: number,
        reads_port: reads_port && number.is_some(),
        env: host.into_iter().chain(fastify).collect(),
        health: source.health.as_ref().map(|(path, _)| path.clone()),
        start,
        copy: Vec::new(),
        is_self_contained: false,
        writes: source.writes.clone(),
    }
}

/// A command that listens for its own machine alone unless it is told otherwise, told otherwise.
fn open(start: &Start) -> Option<Vec<String>> {
    let mut words = shell::words(&start.line)?;
    let says_host = words.iter().any(|word| word == "-H" || word.starts_with("--host"));
    if words.first()? != "json-server" || says_host {
        return None;
    }
    words.extend(["--host", "0.0.0.0"].map(str::to_owned));
    Some(std::iter::once("npx".to_owned()).chain(words).collect())
}

/// `PORT=3000 …`, `-p 3000`, `--port=3000`.
fn stated_port(start: &Start) -> Option<u16> {
    let by_env = start.env.iter().find(|(name, _)| name == "PORT").map(|(_, value)| value.as_str());
    let by_flag = || config::flag(&start.line, &["--port", "-p", "-l", "--listen"]);
    let text = by_env.or_else(by_flag)?;
    text.rsplit(':').next()?.parse().ok().filter(|port| *port > 0)
}

/// A start file in TypeScript: built where a build says where to, else run as it is.
fn typescript(unit: &Unit<'_>, start: Start) -> (Start, Option<String>, Option<Decision>) {
    let has_compiler = unit.has("typescript");
    let file = start.file().map(str::to_owned);
    let Some(file) = file else { return (start, None, None) };
    let is_source = [".ts", ".mts", ".cts"].iter().any(|end| file.ends_with(end));
    let is_missing = !unit.project.tree.has(&unit.package.join(&file))
        && !unit.project.tree.has(&unit.package.join(&format!("{file}.js")));
    if !is_source {
        // `node dist/index.js` without a script that makes it.
        let compiles = is_missing && has_compiler && unit.build_script().is_none();
        return (start, compiles.then(|| "tsc".to_owned()), None);
    }
    let runs_it = start.words.first().is_some_and(|program| program != "node") || unit.is_bun;
    let is_stated = start.script.is_some();
    let tsconfig = Config::json(unit, "tsconfig.json");
    let out = tsconfig
        .as_ref()
        .and_then(|(json, _)| json.str_at(&["compilerOptions", "outDir"]).map(clean));
    if let Some(out) = out.filter(|_| has_compiler && !runs_it && !is_stated) {
        let root =
            tsconfig.as_ref().and_then(|(json, _)| json.str_at(&["compilerOptions", "rootDir"]));
        let root = root
            .map_or_else(|| file.split('/').rev().nth(1).map_or("", |_| "src").to_owned(), clean);
        let inside = file.strip_prefix(&format!("{root}/")).unwrap_or(&file);
        let stem = inside.rsplit_once('.').map_or(inside, |(stem, _)| stem);
        let built = join(&out, &format!("{stem}.js"));
        let place = tsconfig.map(|(_, place)| place);
        let decision = Decision::new("artifacts", &*out, "outDir of tsconfig.json", place);
        let words = vec!["node".to_owned(), built.clone()];
        let start = Start { words, line: format!("node {built}"), ..start };
        return (start, unit.build_script().is_none().then(|| "tsc".to_owned()), Some(decision));
    }
    if runs_it || is_stated {
        return (start, None, None);
    }
    let runner = ["tsx", "ts-node"].into_iter().find(|runner| unit.has(runner));
    match runner {
        Some(runner) => {
            let words = ["npx", runner, &file].map(str::to_owned).to_vec();
            (Start { words, ..start }, None, None)
        }
        // Node.js takes the types out itself from 22.18 on (nodejs.org/api/typescript.html).
        None => (start, None, None),
    }
}

pub(super) fn clean(path: &str) -> String {
    path.trim_start_matches("./").trim_end_matches('/').to_owned()
}

pub(super) fn by_words(rule: &str, line: &str, place: Evidence) -> Start {
    let words = line.split_whitespace().map(str::to_owned).collect();
    Start::new(words, line.to_owned(), rule, place)
}

/// A folder of files that a build makes.
pub(super) fn files(unit: &Unit<'_>, build: &str, output: &str, is_spa: bool) -> Outcome {
    let (folder, place) = site::output(unit, build, output);
    let rule = if place.is_some() {
        "output folder of the configuration"
    } else {
        "output folder of the framework"
    };
    let site = Site { folder, is_spa, place, rule };
    Outcome {
        framework: None,
        build: Some(build.to_owned()),
        whole_build: None,
        before_build: Vec::new(),
        after_build: Vec::new(),
        runs: Runs::Site(site),
        decisions: Vec::new(),
    }
}

// Bundlers.

fn bundled(unit: &Unit<'_>, served: Option<(String, bool)>) -> Option<Outcome> {
    let extension = ["@crxjs/vite-plugin", "wxt", "plasmo", "web-ext"];
    if extension.iter().any(|name| unit.package.has(name)) {
        return Some(nothing("an extension for browsers"));
    }
    let desktop = ["electron", "@tauri-apps/cli", "@neutralinojs/neu"];
    if desktop.iter().any(|name| unit.package.has(name)) {
        return Some(nothing("an application for desktops"));
    }
    let is_mobile = unit.package.has("react-native") && !unit.has("react-native-web");
    if is_mobile && !SERVERS.iter().any(|server| server.used_by(unit).is_some()) {
        return Some(nothing("an application for phones"));
    }
    if start::script(unit.package).is_some_and(|start| is_ejected(unit, &start)) {
        let outcome = files(unit, "", "build", true);
        let decision = Decision::new(
            "framework",
            "create-react-app",
            "dependency `react-dev-utils`",
            [unit.package.place("react-dev-utils")],
        );
        return Some(Outcome {
            framework: Some("create-react-app"),
            decisions: vec![decision],
            ..outcome
        });
    }
    let (framework, dependency) = BUNDLERS.iter().find_map(|f| Some((f, f.used_by(unit)?)))?;
    let outcome = match framework.kind {
        Kind::Site { build, output, is_spa } => files(unit, build, output, is_spa),
        Kind::Bundler { .. } if is_published(unit) => {
            return Some(nothing("a library: its page only shows it"));
        }
        Kind::Bundler { build, output } if site::has_page(unit) => files(unit, build, output, true),
        _ => return None,
    };
    let ionic =
        ["@ionic/react", "@ionic/vue", "@ionic/core"].iter().any(|name| unit.package.has(name));
    let id = if ionic { "ionic" } else { framework.id };
    let mut outcome = Outcome { framework: Some(id), ..outcome };
    if let (Runs::Site(site), Some((folder, is_spa))) = (&mut outcome.runs, served)
        && folder != "."
        && site.place.is_none()
    {
        site.is_spa |= is_spa;
        (site.folder, site.rule) = (folder, "the script serves it");
        site.place = Some(Evidence::file(&unit.package.path));
    }
    outcome.decisions.insert(0, known_by(unit, framework, dependency));
    Some(outcome)
}
