//! Applications of an Nx workspace that have a `project.json` and no scripts of their own.
//!
//! <https://nx.dev/reference/project-configuration>: `nx build NAME` builds one with all it depends on, mostly into `dist/` of
//! the workspace, and everything is installed at the root.

use super::{
    Unit, build, framework,
    outcome::{Outcome, Runs, Server, Site},
    package::Package,
    source,
    start::{self, Start},
};
use crate::detect::{
    Decision, Evidence, Service, Weight, is_below, join, manifest::Value, shell::quote,
};

/// An application.
struct App<'a> {
    unit: &'a Unit<'a>,
    dir: String,
    name: String,
    json: Value,
    place: Evidence,
}

/// The applications of the workspace whose root `unit` is.
pub(super) fn services(unit: &Unit<'_>, language: &Decision, version: &Decision) -> Vec<Service> {
    if !unit.package.has("nx") && !unit.package.has("@nrwl/workspace") {
        return Vec::new();
    }
    let tree = unit.project.tree;
    let dirs =
        tree.dirs_below(&unit.package.dir).filter(|(_, entries)| entries.has("project.json"));
    let dirs: Vec<String> = dirs.map(|(dir, _)| dir.to_owned()).collect();
    let mut services = Vec::new();
    for dir in dirs.into_iter().filter(|dir| is_below(dir, &unit.package.dir)) {
        // A package with scripts is looked at as one, unless they only call Nx.
        let own = Package::load(unit.project, &dir);
        let is_own = |package: &Package| match dir == unit.package.dir {
            true => start::script(package).is_none_or(|start| !start.delegates()),
            false => package.scripts().next().is_some(),
        };
        if own.as_ref().is_some_and(is_own) {
            continue;
        }
        let path = join(&dir, "project.json");
        let Some(json) = tree.json(&path) else { continue };
        let folder = dir.rsplit('/').next().unwrap_or_default();
        let name = json.str_at(&["name"]).unwrap_or(folder).to_owned();
        let is_application = json.str_at(&["projectType"]) == Some("application");
        if !is_application || name.ends_with("-e2e") {
            continue;
        }
        let app = App { unit, dir, name, json, place: Evidence::file(path) };
        services.extend(app.service(language, version));
    }
    services
}

impl App<'_> {
    fn service(&self, language: &Decision, version: &Decision) -> Option<Service> {
        let (id, runs) = self.runs()?;
        let framework = Decision::new(
            "framework",
            id.unwrap_or_default(),
            "project.json of Nx",
            [self.place.clone()],
        );
        let command = self.unit.manager.exec(&format!("nx build {}", quote(&self.name)));
        let mut decisions =
            vec![language.clone(), self.unit.manager.decision.clone(), version.clone()];
        decisions.extend(id.map(|_| framework));
        let mut outcome = Outcome {
            framework: id,
            build: None,
            whole_build: Some(vec![super::in_folder(&self.unit.package.dir, &command)]),
            before_build: Vec::new(),
            after_build: Vec::new(),
            runs,
            decisions: Vec::new(),
        };
        if let Runs::Server(server) = &mut outcome.runs
            && let Some(port) = server.port
        {
            decisions.push(Decision::new(
                "port",
                port.to_string(),
                "what the code listens on, or the default",
                [],
            ));
        }
        let mut spec = build::spec(self.unit, &outcome, &mut decisions);
        spec.build.env.insert("NX_DAEMON".to_owned(), "false".to_owned());
        spec.metadata.project_name = Some(self.name.clone());
        spec.metadata.language = Some(language.value.clone());
        spec.metadata.build_system = Some(self.unit.manager.tool.id().to_owned());
        spec.metadata.framework = id.map(str::to_owned);
        let weight = if id.is_some() { Weight::Framework } else { Weight::Starts };
        Some(Service { dir: self.dir.clone(), spec, weight, claims: Vec::new(), decisions })
    }

    fn target(&self, name: &str, key: &str) -> Option<&Value> {
        self.json.at(&["targets", name, key]).or_else(|| self.json.at(&["architect", name, key]))
    }

    fn executor(&self, target: &str) -> &str {
        let named = self.target(target, "executor").or_else(|| self.target(target, "builder"));
        named.and_then(Value::as_str).unwrap_or_default()
    }

    fn has_config(&self, stem: &str) -> bool {
        let entries = self.unit.project.tree.entries(&self.dir);
        entries.is_some_and(|entries| {
            entries
                .files
                .iter()
                .any(|file| file.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.')))
        })
    }

    /// Where the build writes, relative to the root of the workspace.
    fn output(&self) -> String {
        let below = match self.unit.package.dir.as_str() {
            "." => self.dir.as_str(),
            root => self.dir[root.len()..].trim_start_matches('/'),
        };
        let options = self.target("build", "options");
        let path = options.and_then(|options| options.get("outputPath"));
        let text = path.and_then(|path| path.as_str().or_else(|| path.str_at(&["base"])));
        let listed = || self.target("build", "outputs")?.items().first()?.as_str();
        let text = text.or_else(listed).filter(|text| !text.contains("{options"));
        let text = text.map(|text| {
            text.replace("{workspaceRoot}/", "")
                .replace("{projectRoot}", below)
                .replace("{projectName}", &self.name)
        });
        let text = text.map(|text| text.trim_start_matches("./").trim_matches('/').to_owned());
        let below = if below == "." { &self.name } else { below };
        let is_fine = |text: &String| {
            !text.is_empty() && !text.contains(['{', '*']) && !text.split('/').any(|p| p == "..")
        };
        text.filter(is_fine).unwrap_or_else(|| format!("dist/{below}"))
    }

    fn runs(&self) -> Option<(Option<&'static str>, Runs)> {
        let executor = self.executor("build");
        let serve = self.executor("serve");
        let output = self.output();
        let options = self.target("build", "options");
        let target = options.and_then(|options| options.str_at(&["target"])).unwrap_or_default();
        let webpack = config_text(self, "webpack.config");
        let is_node = target == "node"
            || ["@nx/node", "@nrwl/node", ":esbuild", "@nx/js:tsc", "@nx/js:swc"]
                .iter()
                .any(|part| executor.contains(part))
            || ["@nx/js:node", "@nrwl/js:node", "@nx/node", "@nrwl/node"]
                .iter()
                .any(|part| serve.contains(part))
            || webpack.contains("target: 'node'")
            || webpack.contains("target: \"node\"");
        if executor.contains("/next") || self.has_config("next.config") {
            // A plugin that infers its targets leaves the output in the project.
            let folder = if executor.is_empty() { &self.dir } else { &output };
            let words = ["npx", "next", "start", folder].map(str::to_owned).to_vec();
            return Some((Some("nextjs"), self.server(words, Some(3000))));
        }
        if is_node {
            let words = vec!["node".to_owned(), format!("{output}/main.js")];
            let id = self.framework();
            return Some((id, self.server(words, id.map(|_| 3000))));
        }
        let site = |folder: String| {
            let place = Some(self.place.clone());
            Runs::Site(Site { folder, is_spa: true, place, rule: "output of project.json" })
        };
        if executor.contains("angular") {
            let browser = options.and_then(|options| options.str_at(&["outputPath", "browser"]));
            let folder = match (executor.ends_with(":application"), browser.unwrap_or("browser")) {
                (true, browser) if !browser.is_empty() => format!("{output}/{browser}"),
                _ => output,
            };
            return Some((Some("angular"), site(folder)));
        }
        let bundler = ["vite", "webpack", "rspack", "rsbuild", "rollup"]
            .into_iter()
            .find(|tool| executor.contains(tool) || self.has_config(&format!("{tool}.config")));
        let is_web = bundler.is_some() || executor.contains("web:") || executor.contains("react");
        is_web.then(|| (Some(bundler.unwrap_or("webpack")), site(output)))
    }

    /// The framework that the entry file imports.
    fn framework(&self) -> Option<&'static str> {
        let entry = self.unit.project.tree.read(&join(&self.dir, "src/main.ts"))?;
        if entry.text.contains("@nestjs/core") {
            return Some("nestjs");
        }
        let imports = |name: &&str| {
            entry.text.contains(&format!("'{name}'")) || entry.text.contains(&format!("\"{name}\""))
        };
        framework::SERVERS.iter().find(|f| f.packages.iter().any(imports)).map(|f| f.id)
    }

    fn server(&self, words: Vec<String>, default_port: Option<u16>) -> Runs {
        let source = source::scan(self.unit.project, &self.dir, Some("src/main.ts"));
        let place = self.place.clone();
        let start = Start::new(words.clone(), words.join(" "), "where nx build writes", place);
        Runs::Server(Box::new(Server {
            command: Some(words),
            start,
            port: source.port.as_ref().map(|(port, _)| *port).or(default_port),
            reads_port: source.reads_port.is_some() || source.port.is_none(),
            env: source.reads_host.then(|| ("HOST", "0.0.0.0".to_owned())).into_iter().collect(),
            health: source.health.map(|(path, _)| path),
            copy: Vec::new(),
            is_self_contained: false,
            writes: source.writes,
        }))
    }
}

fn config_text(app: &App<'_>, stem: &str) -> String {
    let extensions = ["js", "ts", "cjs", "mjs"];
    let mut paths =
        extensions.iter().map(|extension| join(&app.dir, &format!("{stem}.{extension}")));
    let text = paths.find_map(|path| app.unit.project.tree.read(&path));
    text.map(|text| text.text.clone()).unwrap_or_default()
}
