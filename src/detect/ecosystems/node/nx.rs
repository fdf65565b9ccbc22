//! Applications of an Nx workspace that have a `project.json` and no scripts of their own, and of a workspace of Nest.
//!
//! <https://nx.dev/reference/project-configuration>: `nx build NAME` builds one with all it depends on, mostly into `dist/` of
//! the workspace, and everything is installed at the root.

use super::{
    build,
    config::{Config, has_config},
    framework::imported,
    health,
    lines::delegates,
    nest,
    package::Package,
    plan::Plan,
    source,
    start::{self, Start},
    unit::Unit,
};
use crate::detect::prelude::*;

/// An application.
struct App<'a> {
    unit: &'a Unit<'a>,
    at: Folder<'a>,
    name: String,
    json: Value,
}

/// The applications of the workspace whose root `unit` is.
pub(super) fn services(unit: &Unit<'_>) -> Vec<Facts> {
    let root = unit.at();
    if !unit.package.has_any(&["nx", "@nrwl/workspace"]) {
        return Vec::new();
    }
    let dirs = root.project.tree.dirs_below(root.dir);
    let dirs = dirs.filter(|(_, entries)| entries.has(PROJECT)).map(|(dir, _)| dir);
    // A package with scripts is looked at as one, unless they only call Nx.
    let is_own = |package: Package<'_>| match package.at.dir == root.dir {
        true => start::script(&package).is_none_or(|start| !delegates(&start.expanded)),
        false => package.scripts().next().is_some(),
    };
    let others = dirs.filter(|dir| !Package::load(root.project, dir).is_some_and(is_own));
    let facts = others.filter_map(|dir| {
        let at = Folder::new(root.project, dir);
        let json = at.json(PROJECT)?;
        let name = json.str_at(&["name"]).unwrap_or_else(|| file_name(dir)).to_owned();
        let is_application = json.str_at(&["projectType"]) == Some("application");
        let is_deployed = is_application && !name.ends_with("-e2e");
        if is_deployed { App { unit, at, name, json }.facts() } else { None }
    });
    facts.collect()
}

/// The applications of a workspace that has several.
pub(super) fn nest_services(unit: &Unit<'_>) -> Vec<Facts> {
    let at = unit.at();
    let apps = if unit.package.has("@nestjs/core") { nest::apps(at) } else { Vec::new() };
    let service = |app: &nest::App| {
        let (dir, place) = (join_clean(at.dir, &app.root), at.place(nest::SETTINGS, None));
        let start = Start::node(&app.file, Rule::WrittenBy("nest build"), place.clone());
        let sources = join_clean(at.dir, &app.sources);
        let source = source::scan(Folder::new(at.project, &sources), Some("main.ts"));
        let default = (3000, Rule::DefaultOf("nestjs".to_owned()));
        let health = health::of_nest(Folder::new(at.project, &dir), "src/main.ts");
        let mut plan = Plan::server(unit, start, Some(default), &source).well(health);
        let build = unit.manager.exec(&format!("nest build {}", quote(&app.name)));
        plan.whole_build = Some(vec![unit.step(build)]);
        let mut facts = build::facts(unit, plan);
        (facts.dir, facts.name) = (dir, app.name.clone());
        facts.framework("nestjs", Rule::Named(nest::SETTINGS.to_owned()), [place]);
        facts
    };
    if apps.len() > 1 { apps.iter().map(service).collect() } else { Vec::new() }
}

const PROJECT: &str = "project.json";

impl App<'_> {
    fn facts(&self) -> Option<Facts> {
        let (id, mut plan) = self.plan()?;
        let command = self.unit.manager.exec(&format!("nx build {}", quote(&self.name)));
        plan.whole_build = Some(vec![self.unit.step(command)]);
        let mut facts = build::facts(self.unit, plan);
        (facts.dir, facts.name) = (self.at.dir.to_owned(), self.name.clone());
        facts.weight = Weight::Starts;
        if let Some(id) = id {
            facts.framework(id, Fixed::ProjectOfNx, [self.at.place(PROJECT, None)]);
        }
        facts.build_env("NX_DAEMON", "false");
        Some(facts)
    }

    fn target(&self, name: &str, key: &str) -> Option<&Value> {
        self.json.at(&["targets", name, key]).or_else(|| self.json.at(&["architect", name, key]))
    }

    fn executor(&self, target: &str) -> &str {
        let named = ["executor", "builder"].iter().find_map(|key| self.target(target, key));
        named.and_then(Value::as_str).unwrap_or_default()
    }

    fn option(&self, keys: &[&str]) -> Option<&str> {
        self.target("build", "options")?.str_at(keys)
    }

    /// Where the build writes, relative to the root of the workspace.
    fn output(&self) -> String {
        let below = self.unit.below_root(self.at.dir);
        let listed = || self.target("build", "outputs")?.items().first()?.as_str();
        let stated = self.option(&["outputPath"]).or_else(|| self.option(&["outputPath", "base"]));
        let text = stated.or_else(listed).filter(|text| !text.contains("{options"));
        let text = text.map(|text| {
            let text = text.replace("{workspaceRoot}/", "").replace("{projectRoot}", &below);
            let text = text.replace("{projectName}", &self.name);
            text.trim_start_matches("./").trim_matches('/').to_owned()
        });
        let is_fine = |text: &String| {
            !text.is_empty() && !text.contains(['{', '*']) && !text.split('/').any(|p| p == "..")
        };
        let below = if below == "." { &self.name } else { &below };
        text.filter(is_fine).unwrap_or_else(|| format!("dist/{below}"))
    }

    /// Whether it is a program for Node.js.
    fn is_node(&self, executor: &str) -> bool {
        let builds = ["@nx/node", "@nrwl/node", ":esbuild", "@nx/js:tsc", "@nx/js:swc"];
        let serves = ["@nx/js:node", "@nrwl/js:node", "@nx/node", "@nrwl/node"];
        let serve = self.executor("serve");
        let webpack = Config::read(self.at, &["webpack.config"]);
        self.option(&["target"]) == Some("node")
            || builds.iter().any(|part| executor.contains(part))
            || serves.iter().any(|part| serve.contains(part))
            || webpack.says("target", "'node'")
            || webpack.says("target", "\"node\"")
    }

    /// The framework and what becomes of it.
    fn plan(&self) -> Option<(Option<&'static str>, Plan)> {
        let (executor, output) = (self.executor("build"), self.output());
        let (by_build, place) = (Rule::WrittenBy("nx build"), self.at.place(PROJECT, None));
        if executor.contains("/next") || has_config(self.at, "next.config") {
            // A plugin that infers its targets leaves the output in the project.
            let folder = if executor.is_empty() { self.at.dir } else { &output };
            let mut start = Start::npx("next start", by_build, place);
            start.words.push(folder.to_owned());
            return Some((Some("nextjs"), self.server(start, true)));
        }
        if self.is_node(executor) {
            let start = Start::node(&format!("{output}/main.js"), by_build, place);
            let id = self.framework();
            return Some((id, self.server(start, id.is_some())));
        }
        if executor.contains("angular") {
            let browser = self.option(&["outputPath", "browser"]).unwrap_or("browser");
            let is_new = executor.ends_with(":application") && !browser.is_empty();
            let folder = if is_new { format!("{output}/{browser}") } else { output };
            return Some((Some("angular"), self.site(&folder)));
        }
        let bundler = ["vite", "webpack", "rspack", "rsbuild", "rollup"]
            .into_iter()
            .find(|tool| executor.contains(tool) || has_config(self.at, &format!("{tool}.config")));
        let is_web = bundler.is_some() || executor.contains("web:") || executor.contains("react");
        is_web.then(|| (Some(bundler.unwrap_or("webpack")), self.site(&output)))
    }

    fn site(&self, folder: &str) -> Plan {
        let why = (Fixed::OutputOfProject, Some(self.at.place(PROJECT, None)));
        Plan::site(self.unit, "", folder, Missing::Index, why)
    }

    /// The framework that the entry file imports.
    fn framework(&self) -> Option<&'static str> {
        let entry = self.at.read(ENTRY)?;
        match entry.text.contains("@nestjs/core") {
            true => Some("nestjs"),
            false => imported(&entry.text, |_| true).map(|(framework, _)| framework.id),
        }
    }

    fn server(&self, start: Start, is_known: bool) -> Plan {
        let source = source::scan(self.at, Some(ENTRY));
        let is_told = source.reads_port.is_some() || source.port.is_none();
        let default = is_known.then_some(3000);
        let number = source.port.as_ref().map(|(port, _)| *port).or(default);
        let rule = Rule::Is(Fixed::CodeListensOrDefault);
        let mut plan = Plan::server(self.unit, start, Some((0, rule.clone())), &source);
        plan.facts.port(number.map(|number| Port { is_told, ..Port::new(number, rule, None) }));
        // Which application of the workspace a route is of, the code does not say.
        plan.facts.decisions.retain(|decision| decision.what != What::Health);
        plan
    }
}

const ENTRY: &str = "src/main.ts";
