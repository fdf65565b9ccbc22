//! Nest: where its command line writes programs, and workspaces of several (docs.nestjs.com/cli/monorepo).

use super::{
    health,
    meta::clean,
    plan::{Plan, production},
    start::Start,
    unit::Unit,
};
use crate::detect::prelude::*;

/// An application of `nest-cli.json`; a project that has no others is one.
pub(super) struct App {
    pub(super) name: String,
    /// Folders of it and of its sources, below the package.
    pub(super) root: String,
    pub(super) sources: String,
    /// The program that its build writes.
    pub(super) file: String,
}

pub(super) const SETTINGS: &str = "nest-cli.json";

/// A project of one application.
pub(super) fn nest(unit: &Unit<'_>, place: Evidence) -> Plan {
    let own = production(unit).filter(|start| !start.line.starts_with("nest "));
    let written = || {
        let app = apps(unit.at()).into_iter().next();
        let file = app.map_or_else(|| "dist/main".to_owned(), |app| app.file);
        Start::node(&file, Rule::WrittenBy("nest build"), place)
    };
    let build = if unit.has("@nestjs/cli") { "nest build" } else { "tsc" };
    Plan::built(unit, build, own.unwrap_or_else(written), 3000)
        .well(health::of_nest(unit.at(), "src/main.ts"))
}

/// All applications of a project.
pub(super) fn apps(at: Folder<'_>) -> Vec<App> {
    let json = at.json(SETTINGS);
    let text = |keys: &[&str]| json.as_ref()?.str_at(keys);
    let entry = text(&["entryFile"]).unwrap_or("main");
    let all = json.as_ref().and_then(|json| json.get("projects"));
    let all = all.into_iter().flat_map(Value::members);
    let all = all.filter(|(_, project)| project.str_at(&["type"]) == Some("application"));
    let options = json.as_ref().and_then(|json| json.get("compilerOptions"));
    let is_packed = |options: Option<&Value>| {
        let says = |options: &Value| {
            let builder = options.get("builder");
            let builder = builder.and_then(|b| b.as_str().or_else(|| b.str_at(&["type"])));
            match options.get("webpack") {
                Some(webpack) => Some(webpack.is_true()),
                None => Some(builder? == "webpack"),
            }
        };
        options.and_then(says)
    };
    let apps = all.map(|(name, project)| {
        let text = |keys: &[&str]| Some(clean(project.str_at(keys)?));
        let root = text(&["root"]).unwrap_or_else(|| format!("apps/{name}"));
        let entry = text(&["entryFile"]).unwrap_or_else(|| entry.to_owned());
        let settings = text(&["compilerOptions", "tsConfigPath"]);
        let settings = settings.unwrap_or_else(|| join(&root, "tsconfig.app.json"));
        // webpack is what builds several, unless it is told otherwise.
        let own = is_packed(project.get("compilerOptions")).or_else(|| is_packed(options));
        let out = match own.unwrap_or(true) {
            true => join_clean("dist", &root),
            false => out_dir(at, &[&settings]).unwrap_or_else(|| join_clean("dist", &root)),
        };
        let sources = text(&["sourceRoot"]).unwrap_or_else(|| join(&root, "src"));
        App { name: name.to_owned(), root, sources, file: join(&out, &entry) }
    });
    let apps: Vec<App> = apps.collect();
    if !apps.is_empty() {
        return apps;
    }
    let out = out_dir(at, &["tsconfig.build.json", "tsconfig.json"]);
    let file = join(out.as_deref().unwrap_or("dist"), entry);
    let (name, root) = (String::new(), ".".to_owned());
    vec![App { name, root, sources: "src".to_owned(), file }]
}

/// Where the compiler of TypeScript writes, by the first of these files that says it.
fn out_dir(at: Folder<'_>, settings: &[&str]) -> Option<String> {
    settings.iter().find_map(|file| {
        let json = at.json(file)?;
        resolve(parent(file), json.str_at(&["compilerOptions", "outDir"])?)
    })
}
