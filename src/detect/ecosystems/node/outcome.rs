//! What becomes of a package: a server, a folder of files, or nothing that is deployed.

use super::{
    config::Config,
    entry,
    framework::{BUNDLERS, META, NITRO, Own, SERVERS, imported, used},
    health,
    lines::{call, calls_any},
    meta::{self, clean},
    package::Package,
    plan::Plan,
    site, source,
    start::{self, Runner, Start, is_compiled},
    unit::Unit,
    version::METEOR,
};
use crate::detect::prelude::*;

pub(super) fn of(unit: &Unit<'_>) -> Plan {
    let package = unit.package;
    if package.at.has(METEOR) {
        return meta::meteor(unit);
    }
    if let Some(known) = used(unit, META) {
        return owned(unit, &known);
    }
    let script = start::script(package);
    // The root of a workspace that serves what a member has built.
    let served = script.as_ref().filter(|_| !unit.packages.is_root(package));
    let served = served.and_then(|start| served_folder(unit, start));
    let production = script.filter(|start| {
        // What `cd ..` comes before lies beside the package.
        start.is_production()
            && !start.line.split_whitespace().next().is_some_and(is_compiled)
            && !start.line.contains("cd ..")
            && !is_ejected(unit, start)
    });
    let (production, missing_file) = match production {
        Some(start) if is_missing(unit, &start) => (None, Some(start)),
        production => (production, None),
    };
    let stated = Start::stated(package).filter(|start| !calls_root(unit, &start.line));
    // What a bundler makes is files, whatever shows them.
    if let Some(start) = stated {
        let folder = start.served_folder();
        let is_shown = start.is_development() || folder.is_some();
        let plan = match is_shown && used(unit, BUNDLERS).is_some() {
            true => bundled(unit, folder.or(served)),
            false => None,
        };
        return plan.unwrap_or_else(|| own_server(unit, start));
    }
    let is_output = |start: &Start| start.line.contains(".output/");
    if let Some(known) = used(unit, NITRO).filter(|_| production.as_ref().is_none_or(is_output)) {
        return owned(unit, &known);
    }
    if let Some(start) = production.or_else(|| functions_framework(unit)) {
        // What shows the page while somebody works on it.
        let folder = start.file().and_then(|file| file.split_once('/')).map(|(folder, _)| folder);
        let is_tool = folder.is_some_and(|folder| TOOLS.contains(&folder));
        let plan = own_server(unit, start);
        let has_page = is_tool && !serves(&plan);
        return page(unit).filter(|_| has_page).unwrap_or(plan);
    }
    if let Some(plan) = bundled(unit, served.clone()) {
        return plan;
    }
    if let Some((folder, is_spa)) = served {
        let why = (Fixed::ScriptServes, Some(package.script_place("start")));
        return Plan::site(unit, "", &folder, missing(is_spa), why);
    }
    let entry = program_of_image(unit);
    let mut plan = match entry.or_else(|| entry::find(package, unit.build_script().is_some())) {
        Some(start) => own_server(unit, start),
        None => unstarted(unit, missing_file.is_some()),
    };
    if let Some(lost) = missing_file {
        tell_missing(unit, &mut plan, lost);
    }
    if serves(&plan) { plan } else { page(unit).unwrap_or(plan) }
}

/// The program of a member that the project's own image starts and whose members serve for it: `bin` that a build makes.
fn program_of_image(unit: &Unit<'_>) -> Option<Start> {
    let package = unit.package;
    let is_made = |path: &&str| !package.at.has(path) && unit.build_script().is_some();
    let serves = |member: &&&Package<'_>| {
        let marks = SERVERS.iter().filter(|row| row.port > 0).flat_map(|row| row.marks);
        marks.into_iter().any(|name| member.is_dev(name) == Some(false))
    };
    let path = entry::programs(package).find(is_made).filter(|_| unit.is_member())?;
    unit.packages.order(package, false).iter().find(serves)?;
    let image = [package.at, unit.root.at].into_iter().find_map(|at| at.read("Dockerfile"))?;
    let starts = |(_, line): &(usize, &str)| {
        ["CMD", "ENTRYPOINT"].iter().any(|word| line.starts_with(word)) && line.contains(path)
    };
    let (line, _) = image.lines().find(starts)?;
    Some(Start::node(path, Fixed::Bin, Evidence::line(&image.path, Some(line))))
}

/// A package that has nothing to start, unless its script names a file that is missing.
fn unstarted(unit: &Unit<'_>, lacks_file: bool) -> Plan {
    let why = elsewhere(unit).or_else(|| lacks_file.then_some(Fixed::FileIsMissing));
    let plan = Plan::nothing(unit, why.unwrap_or(Fixed::NothingStarts));
    match used(unit, SERVERS).filter(|_| lacks_file) {
        Some(known) => plan.of(known.framework.id, known.mark, known.place),
        None => plan,
    }
}

fn tell_missing(unit: &Unit<'_>, plan: &mut Plan, lost: Start) {
    let why = Fixed::FileIsMissing;
    unit.at().project.tree.note(format!("{}: `{}`: {why}", lost.place, lost.line));
    let mut decisions = plan.facts.decisions.iter_mut();
    if let Some(decision) = decisions.find(|decision| decision.what == What::StartCommand) {
        *decision = decision.clone().not(lost.line, Some(lost.place), why);
    }
}

/// The folder that a script serves; `http-server` that is given none takes `public` first.
fn served_folder(unit: &Unit<'_>, start: &Start) -> Option<(String, bool)> {
    let (folder, is_spa) = start.served_folder()?;
    let is_public = folder == "." && calls_any(&start.line, &["http-server"]);
    let folder =
        if is_public && unit.at().has_dir("public") { "public".to_owned() } else { folder };
    Some((folder, is_spa))
}

/// Whether a script names a file that is not there and that nothing builds.
fn is_missing(unit: &Unit<'_>, start: &Start) -> bool {
    let (at, package) = (unit.at(), unit.package);
    let Some(file) = start.file().filter(|_| start.runner == Runner::Node) else { return false };
    let ends = ["", ".js", ".mjs", ".cjs", ".json", "/index.js", "/package.json"];
    let is_there = |end: &&str| at.project.tree.is_there(&unit.resolved(&format!("{file}{end}")));
    let builds =
        ["build", "prestart", "postinstall", "install", "preinstall", "prepare", "compile"];
    let is_made = package.first_script(&builds).is_some()
        || unit.build_script().is_some()
        || unit.has("typescript")
        || unit.is_in_workspace()
        || start.hook.is_some()
        || at.project.settings.service(at.dir).is_some_and(|set| set.start.is_some());
    !is_made && !file.contains(['$', '*']) && !ends.iter().any(is_there)
}

/// Why a package without a start script runs on other machines.
fn elsewhere(unit: &Unit<'_>) -> Option<Fixed> {
    const FUNCTIONS: &[&str] = &[
        "firebase-functions", "@azure/functions", "serverless", "@netlify/functions", "aws-lambda",
    ];
    match () {
        () if unit.package.has_any(FUNCTIONS) => Some(Fixed::ForFunctions),
        () if unit.has("wrangler") => Some(Fixed::ForCloudflare),
        () => None,
    }
}

fn missing(is_spa: bool) -> Missing {
    if is_spa { Missing::Index } else { Missing::NotFound }
}

/// An application of a framework that owns it.
fn owned(unit: &Unit<'_>, known: &Known<Own>) -> Plan {
    let (framework, place) = (known.framework, known.place.clone());
    let mut plan = match framework.own {
        Some(own) => own(unit, place.clone()),
        None => meta::by_row(unit, framework.makes, framework.port, place.clone()),
    };
    plan = plan.well(health::of_files(unit, framework.id));
    for (name, value) in framework.env {
        plan.facts.env(name, *value);
    }
    if let Some(stated) = Start::stated(unit.package) {
        plan.restart(unit, stated);
    }
    let ionic = ["@ionic/angular", "@ionic/react", "@ionic/vue"];
    let is_ionic = framework.id == "angular" && ionic.iter().any(|name| unit.has(name));
    plan.of(if is_ionic { "ionic" } else { framework.id }, known.mark, place)
}

impl Plan {
    /// With a framework that a dependency shows.
    fn of(mut self, id: &'static str, mark: &str, place: Evidence) -> Self {
        self.facts.framework(id, Rule::DependencyOn(mark.to_owned()), [place]);
        self
    }
}

/// Whether something listens, or works for a framework.
fn serves(plan: &Plan) -> bool {
    plan.facts.framework.is_some() || plan.facts.port_number().is_some()
}

/// Files with a first page, beside which the manifest is there for tools.
fn page(unit: &Unit<'_>) -> Option<Plan> {
    let find = |folder: &&'static str| {
        // One with a manifest of its own is built.
        let dir = unit.at().path(folder);
        if *folder != "." && unit.packages.all.contains_key(dir.as_str()) {
            return None;
        }
        let pages = ["index.html", "index.htm"].map(|page| join(folder, page));
        let page = pages.into_iter().find(|page| unit.at().has(page))?;
        Some((*folder, unit.at().place(&page, None)))
    };
    let (folder, page) = PAGES.iter().find_map(find)?;
    Some(Plan::site(unit, "", folder, Missing::NotFound, (Fixed::FirstPage, Some(page))))
}

/// Folders of programs that build.
const TOOLS: &[&str] = &["scripts", "tools", "tasks", "build", "gulp"];

/// Folders that hold a site, before that of the package.
const PAGES: &[&str] = &["dist", "build", "public", "_site", "www", "site", "."];

/// A script of the workspace's root, which can't be called where the member is.
fn calls_root(unit: &Unit<'_>, line: &str) -> bool {
    call(line).is_some_and(|(name, _)| {
        let is_there = |package: &Package<'_>| package.script(name).is_some();
        unit.is_member() && !is_there(unit.package) && is_there(unit.root)
    })
}

/// Google's framework for functions starts the one that the code exports.
fn functions_framework(unit: &Unit<'_>) -> Option<Start> {
    unit.package.has("@google-cloud/functions-framework").then_some(())?;
    let entry = entry::find(unit.package, false)?;
    let text = unit.at().read(entry.file()?)?;
    let signs = [
        "functions.http(", "http(", "cloudEvent(", "exports.", "export const ", "export function ",
    ];
    let mut names = signs.iter().filter_map(|sign| {
        let rest = text.text.split_once(sign)?.1.trim_start_matches(['\'', '"', ' ']);
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
    });
    let target = names.find(|name| !name.is_empty())?;
    let line = format!("functions-framework --target={target}");
    Some(Start::npx(&line, Fixed::ExportedFunction, entry.place))
}

const EJECTED: &str = "react-dev-utils";

/// create-react-app after `eject` has its development server in a script of its own.
fn is_ejected(unit: &Unit<'_>, start: &Start) -> bool {
    unit.package.has(EJECTED) && start.line.contains("scripts/start")
}

// Servers that the project's own code starts.

fn own_server(unit: &Unit<'_>, mut start: Start) -> Plan {
    let known = used(unit, SERVERS).or_else(|| hoisted(unit, &start));
    let named = |plan: Plan| match &known {
        Some(known) => plan.of(known.framework.id, known.mark, known.place.clone()),
        None => plan,
    };
    let source = source::scan(unit.at(), start.file());
    let is_guess = start.is_guess();
    // A library has a `main` too.
    let is_dev = |k: &Known<Own>| unit.package.is_dev(k.mark) == Some(true);
    let is_private = unit.package.json.get("private").is_some_and(Value::is_true);
    let shows = known.as_ref().is_some_and(is_dev) && !is_private && !start.is_stated();
    if shows && offers_code(unit.package) {
        return Plan::nothing(unit, Fixed::LibraryStartsNothing);
    }
    let is_started = known.is_some() || source.is_server();
    let is_silent = unit.is_member() && !source.is_server();
    let is_offered = unit.is_member() && offers_code(unit.package) && !source.entry_listens;
    let is_library = offers_code(unit.package) || unit.is_member() || unit.package.json.has("bin");
    let is_program = matches!(start.rule, Rule::Is(Fixed::Bin));
    if is_guess && (!is_started || is_silent || is_offered) && is_library && !is_program {
        return Plan::nothing(unit, Fixed::LibraryStartsNothing);
    }
    if let Some(why) = elsewhere(unit).filter(|_| is_guess && !source.listens) {
        return named(Plan::nothing(unit, why));
    }
    if known.is_some() && !source.is_server() && is_exported(unit, &start) {
        return named(Plan::nothing(unit, Fixed::ExportedOnly));
    }
    if let Some(file) = start.file().filter(|_| unit.is_bun && is_guess).map(str::to_owned)
        && start.runner == Runner::Node
    {
        start.run(Runner::Bun, ["bun", &file]);
    }
    drop_missing_environment(unit.at(), &mut start.words);
    if let Some(file) = in_foreground(unit.at(), &start) {
        start.run(Runner::Node, ["node", &file]);
    }
    let build = typescript(unit, &mut start);
    let row = known.as_ref().map(|known| known.framework);
    let default = row.map(|row| (row.port, Rule::DefaultOf(row.id.to_owned())));
    let plan = named(Plan::server(unit, start, default, &source));
    Plan { build: build.to_owned(), ..plan }
}

/// Whether the start file only exports an application, which Bun and Deno would serve, but not Node.js.
fn is_exported(unit: &Unit<'_>, start: &Start) -> bool {
    let Some(text) = start.file().and_then(|file| unit.at().read(file)) else { return false };
    let holds = |signs: &[&str]| signs.iter().any(|sign| text.text.contains(sign));
    let starts = ["listen", "serve(", "start(", "run(", "createServer", "init(", "boot"];
    !unit.is_bun
        && !start.is_stated()
        && holds(&["module.exports", "export default", "export const", "exports."])
        && imported(&text.text, |_| true).is_some()
        && !holds(&starts)
}

/// Node.js does not start when `--env-file` names a file that is not there, and secrets are not in the tree.
fn drop_missing_environment(at: Folder<'_>, words: &mut Vec<String>) {
    words.retain(|word| word.strip_prefix("--env-file=").is_none_or(|file| at.has(file)));
    if let Some(option) = words.iter().position(|word| word == "--env-file")
        && words.get(option + 1).is_some_and(|file| !at.has(file))
    {
        words.drain(option..option + 2);
    }
}

/// `pm2 start ecosystem.config.js` goes to the background, and the container would end: the program it starts.
fn in_foreground(at: Folder<'_>, start: &Start) -> Option<String> {
    let is_background = start.line.contains("pm2 start") && !start.line.contains("--no-daemon");
    if !is_background || !start.words.is_empty() {
        return None;
    }
    let config = Config::read(at, &["ecosystem.config", "pm2.config"]);
    let script = match config.place() {
        Some(_) => config.text_of("script")?.0,
        None => {
            let names = ["ecosystem.config.json", "ecosystem.json", "pm2.json"];
            let json = names.iter().find_map(|name| at.json(name))?;
            let apps = json.get("apps").unwrap_or(&json);
            apps.items().first().unwrap_or(apps).str_at(&["script"])?.to_owned()
        }
    };
    let script = clean(&script);
    let is_code = [".js", ".cjs", ".mjs"].iter().any(|end| script.ends_with(end));
    (is_code && !script.starts_with('/')).then_some(script)
}

/// A framework of the workspace's root that the start file imports.
fn hoisted(unit: &Unit<'_>, start: &Start) -> Option<Known<Own>> {
    let text = unit.at().read(start.file()?).filter(|_| unit.is_member())?;
    let (framework, mark) = imported(&text.text, |name| unit.root.has(name))?;
    Some(Known { framework, mark, place: unit.place(mark) })
}

/// Whether the manifest tells others what they may import.
pub(super) fn offers_code(package: &Package<'_>) -> bool {
    let keys =
        ["files", "exports", "types", "typings", "module", "publishConfig", "peerDependencies"];
    keys.iter().any(|key| package.json.has(key))
}

/// A start file in TypeScript: built where a build says where to, else run as it is. Gives what builds it.
fn typescript(unit: &Unit<'_>, start: &mut Start) -> &'static str {
    let at = unit.at();
    let Some(file) = start.file().map(str::to_owned) else { return "" };
    let has_compiler = unit.has("typescript");
    let compiles = if unit.build_script().is_none() { "tsc" } else { "" };
    if ![".ts", ".mts", ".cts"].iter().any(|end| file.ends_with(end)) {
        // `node dist/index.js` without a script that makes it.
        let is_missing = !at.has(&file) && !at.has(&format!("{file}.js"));
        return if is_missing && has_compiler { compiles } else { "" };
    }
    if start.runner != Runner::Node || unit.is_bun || start.script.is_some() {
        return "";
    }
    let json = at.json("tsconfig.json").filter(|_| has_compiler);
    let option = |key| Some(clean(json.as_ref()?.str_at(&["compilerOptions", key])?));
    if let Some(out) = option("outDir") {
        let top = if file.contains('/') { "src" } else { "" };
        let root = option("rootDir").unwrap_or_else(|| top.to_owned());
        let inside = file.strip_prefix(&format!("{root}/")).unwrap_or(&file);
        let stem = inside.rsplit_once('.').map_or(inside, |(stem, _)| stem);
        start.run(Runner::Node, ["node", &join(&out, &format!("{stem}.js"))]);
        return compiles;
    }
    // Without a runner Node.js takes the types out itself from 22.18 on (nodejs.org/api/typescript.html).
    if let Some(runner) = ["tsx", "ts-node"].into_iter().find(|runner| unit.has(runner)) {
        start.run(Runner::Npx, ["npx", runner, &file]);
    }
    ""
}

// Bundlers.

fn bundled(unit: &Unit<'_>, served: Option<(String, bool)>) -> Option<Plan> {
    let package = unit.package;
    if let Some(why) = for_other_machines(unit) {
        return Some(Plan::nothing(unit, why));
    }
    if start::script(package).is_some_and(|start| is_ejected(unit, &start)) {
        let mark = EJECTED;
        let plan = Plan::files(unit, "", "build", Missing::Index);
        return Some(plan.of("create-react-app", mark, package.place(mark)));
    }
    let known = used(unit, BUNDLERS)?;
    if matches!(known.framework.makes, Makes::Bundler { .. }) {
        let is_private = package.json.get("private").is_some_and(Value::is_true);
        if !is_private && offers_code(package) {
            return Some(Plan::nothing(unit, Fixed::PageOfLibrary));
        }
        site::has_page(unit).then_some(())?;
    }
    let mut plan = meta::by_row(unit, known.framework.makes, 0, known.place.clone());
    if let (Serves::Files(files), Some((folder, is_spa))) = (&mut plan.facts.serves, served)
        && folder != "."
        && files.place.is_none()
    {
        if is_spa {
            files.missing = Missing::Index;
        }
        files.folder = unit.resolved(&folder);
        (files.rule, files.place) = (Fixed::ScriptServes.into(), Some(package.line(None)));
    }
    let is_ionic = package.has_any(&["@ionic/react", "@ionic/vue", "@ionic/core"]);
    Some(plan.of(if is_ionic { "ionic" } else { known.framework.id }, known.mark, known.place))
}

/// Why it is made for no server, where that is so.
fn for_other_machines(unit: &Unit<'_>) -> Option<Fixed> {
    let package = unit.package;
    let is_mobile = package.has("react-native") && !unit.has("react-native-web");
    if package.has_any(&["@crxjs/vite-plugin", "wxt", "plasmo", "web-ext"]) {
        Some(Fixed::ForBrowsers)
    } else if package.has_any(&["electron", "@tauri-apps/cli", "@neutralinojs/neu"]) {
        Some(Fixed::ForDesktops)
    } else {
        (is_mobile && used(unit, SERVERS).is_none()).then_some(Fixed::ForPhones)
    }
}
