//! Files of platforms and of other builders, one reader each.

use super::said::{At, Hints, give};
use crate::{
    detect::{
        Evidence,
        paths::{join, join_clean},
        pins::Pin,
    },
    manifest::Value,
};

/// The readers, those of platforms first.
pub(super) const READERS: &[fn(At<'_>, &mut Hints)] =
    &[fly, render, railpack, nixpacks, app_json, project_toml, aptfile, compose, site];

impl At<'_> {
    fn path(&self, name: &str) -> String {
        join(self.dir, name)
    }

    fn place(&self, name: &str, value: &Value) -> Evidence {
        Evidence::line(self.path(name), Some(value.line))
    }
}

fn text(value: &Value) -> Option<String> {
    value.text().filter(|text| !text.trim().is_empty())
}

fn port(value: &Value) -> Option<u16> {
    value.text()?.parse().ok().filter(|port| *port > 0)
}

/// A table of variables.
fn variables(at: At<'_>, name: &str, table: Option<&Value>, hints: &mut Hints) {
    for (key, value) in table.into_iter().flat_map(Value::members) {
        if let Some(text) = text(value) {
            hints.env(key, text, at.place(name, value));
        }
    }
}

fn packages(at: At<'_>, name: &str, list: Option<&Value>, hints: &mut Hints) {
    for value in list.into_iter().flat_map(Value::items) {
        hints.packages.extend(text(value).map(|text| (text, at.place(name, value))));
    }
}

/// fly.io/docs/reference/configuration
fn fly(at: At<'_>, hints: &mut Hints) {
    const NAME: &str = "fly.toml";
    let Some(file) = at.project.tree.toml(&at.path(NAME)) else { return };
    variables(at, NAME, file.get("env"), hints);
    let listed = file.get("services").and_then(|services| services.items().first());
    let services = [file.get("http_service"), listed, file.get("services")];
    for service in services.into_iter().flatten() {
        if let Some(value) = service.get("internal_port") {
            give(&mut hints.port, port(value), || at.place(NAME, value));
        }
        for check in ["checks", "http_checks"].into_iter().filter_map(|key| service.get(key)) {
            let first = check.items().first().unwrap_or(check);
            if let Some(path) = first.get("path") {
                give(&mut hints.health, text(path), || at.place(NAME, path));
            }
        }
    }
    if let Some(value) = file.at(&["deploy", "release_command"]) {
        give(&mut hints.release, text(value), || at.place(NAME, value));
    }
    for (name, value) in file.get("processes").into_iter().flat_map(Value::members) {
        let Some(line) = text(value) else { continue };
        match name {
            "app" | "web" => give(&mut hints.start, Some(line), || at.place(NAME, value)),
            name => hints.workers.push((name.to_owned(), (line, at.place(NAME, value)))),
        }
    }
}

/// render.com/docs/blueprint-spec: at the root, with an entry for each folder.
fn render(at: At<'_>, hints: &mut Hints) {
    let Some(file) = at.project.tree.yaml("render.yaml") else { return };
    let place = |value: &Value| Evidence::line("render.yaml", Some(value.line));
    for service in file.get("services").map(Value::items).unwrap_or_default() {
        let root = service.str_at(&["rootDir"]).unwrap_or(".");
        let root = root.trim_start_matches("./").trim_end_matches('/');
        if at.dir != if root.is_empty() { "." } else { root } {
            continue;
        }
        let start = service.get("startCommand").or_else(|| service.get("dockerCommand"));
        let line = start.and_then(|value| Some((text(value)?, place(value))));
        match service.str_at(&["type"]) {
            Some("web" | "pserv") => {
                if let Some((line, place)) = line {
                    give(&mut hints.start, Some(line), || place);
                }
                for (key, to) in [
                    ("healthCheckPath", &mut hints.health),
                    ("preDeployCommand", &mut hints.release),
                ] {
                    if let Some(value) = service.get(key) {
                        give(to, text(value), || place(value));
                    }
                }
                for variable in service.get("envVars").map(Value::items).unwrap_or_default() {
                    if let (Some(key), Some(value)) =
                        (variable.str_at(&["key"]), variable.get("value"))
                        && let Some(text) = text(value)
                    {
                        hints.env(key, text, place(value));
                    }
                }
            }
            Some("worker") => hints.workers.extend(line.map(|line| ("worker".to_owned(), line))),
            _ => {}
        }
    }
}

/// railpack.com/config/file
fn railpack(at: At<'_>, hints: &mut Hints) {
    const NAME: &str = "railpack.json";
    let Some(file) = at.project.tree.json(&at.path(NAME)) else { return };
    for (tool, value) in file.get("packages").into_iter().flat_map(Value::members) {
        let version = text(value).or_else(|| text(value.get("version")?));
        let pin = version.map(|version| Pin::new(version, NAME, at.path(NAME), value.line));
        hints.pins.extend(pin.map(|pin| (tool.to_owned(), pin)));
    }
    if let Some(value) = file.at(&["deploy", "startCommand"]) {
        give(&mut hints.start, text(value), || at.place(NAME, value));
    }
    variables(at, NAME, file.at(&["deploy", "variables"]), hints);
    packages(at, NAME, file.at(&["deploy", "aptPackages"]), hints);
}

/// nixpacks.com/docs/configuration/file
fn nixpacks(at: At<'_>, hints: &mut Hints) {
    const NAME: &str = "nixpacks.toml";
    let Some(file) = at.project.tree.toml(&at.path(NAME)) else { return };
    if let Some(value) = file.at(&["start", "cmd"]) {
        give(&mut hints.start, text(value), || at.place(NAME, value));
    }
    variables(at, NAME, file.get("variables"), hints);
    packages(at, NAME, file.at(&["phases", "setup", "aptPkgs"]), hints);
}

/// devcenter.heroku.com/articles/app-json-schema
fn app_json(at: At<'_>, hints: &mut Hints) {
    const NAME: &str = "app.json";
    let Some(file) = at.project.tree.json(&at.path(NAME)) else { return };
    for (key, value) in file.get("env").into_iter().flat_map(Value::members) {
        let value = value.get("value").unwrap_or(value);
        if let Some(text) = text(value) {
            hints.env(key, text, at.place(NAME, value));
        }
    }
}

/// Variables of buildpacks that pin a version: (variable, tool).
const VERSIONS: &[(&str, &str)] = &[
    ("BP_NODE_VERSION", "node"),
    ("GOOGLE_NODEJS_VERSION", "node"),
    ("BP_CPYTHON_VERSION", "python"),
    ("GOOGLE_PYTHON_VERSION", "python"),
    ("BP_PHP_VERSION", "php"),
    ("BP_MRI_VERSION", "ruby"),
];

/// github.com/buildpacks/spec, "Project Descriptor"
fn project_toml(at: At<'_>, hints: &mut Hints) {
    const NAME: &str = "project.toml";
    let Some(file) = at.project.tree.toml(&at.path(NAME)) else { return };
    let both = [file.at(&["io", "buildpacks", "build", "env"]), file.at(&["build", "env"])];
    for variable in both.into_iter().flatten().flat_map(Value::items) {
        let (Some(name), Some(value)) = (variable.str_at(&["name"]), variable.get("value")) else {
            continue;
        };
        let Some(text) = text(value) else { continue };
        if let Some((_, tool)) = VERSIONS.iter().find(|(variable, _)| *variable == name) {
            let version = text.trim_end_matches(".*").to_owned();
            hints
                .pins
                .push(((*tool).to_owned(), Pin::new(version, NAME, at.path(NAME), value.line)));
        } else if name == "GOOGLE_ENTRYPOINT" {
            give(&mut hints.start, Some(text), || at.place(NAME, value));
        }
    }
}

/// The packages of Heroku's buildpack for apt, one on each line.
fn aptfile(at: At<'_>, hints: &mut Hints) {
    for name in ["Aptfile", "apt.txt"] {
        let Some(file) = at.project.tree.read(&at.path(name)) else { continue };
        let named = file.lines().map(|(line, text)| (line, text.trim()));
        for (line, name) in
            named.filter(|(_, name)| !name.is_empty() && !name.starts_with(['#', ':']))
        {
            hints.packages.push((name.to_owned(), Evidence::line(&file.path, Some(line))));
        }
    }
}

/// Ports of the service that is built from this folder.
fn compose(at: At<'_>, hints: &mut Hints) {
    let names = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
    let Some(name) = names.into_iter().find(|name| at.project.tree.has(&at.path(name))) else {
        return;
    };
    let Some(file) = at.project.tree.yaml(&at.path(name)) else { return };
    let is_here = |service: &Value| {
        let build =
            service.get("build").and_then(|build| build.get("context").unwrap_or(build).as_str());
        build.is_some_and(|context| matches!(context, "." | "./"))
    };
    let mut built = file.get("services").into_iter().flat_map(Value::members);
    let (Some((_, only)), None) =
        (built.find(|(_, one)| is_here(one)), built.find(|(_, one)| is_here(one)))
    else {
        return;
    };
    let listed =
        ["ports", "expose"].into_iter().filter_map(|key| only.get(key)).flat_map(Value::items);
    for value in listed {
        let written = value.get("target").unwrap_or(value).text();
        // `127.0.0.1:8080:80/tcp`: the last is that of the container.
        let inner = written.as_deref().and_then(|text| text.rsplit(':').next());
        let number = inner.and_then(|text| text.split('/').next()?.parse().ok());
        give(&mut hints.port, number.filter(|port| *port > 0), || at.place(name, value));
    }
}

/// Settings of file servers, and of the buildpack for static files.
fn site(at: At<'_>, hints: &mut Hints) {
    let names = [
        "nginx.conf", "default.conf", "nginx/nginx.conf", "nginx/default.conf",
        "docker/nginx.conf", "Caddyfile", "Staticfile",
    ];
    for name in names {
        let Some(file) = at.project.tree.read(&join_clean(at.dir, name)) else { continue };
        for (line, text) in file.lines().map(|(line, text)| (line, text.trim())) {
            let falls_back = text.starts_with("try_files") && text.contains("/index.html")
                || text.starts_with("error_page 404") && text.contains("/index.html")
                || name == "Staticfile" && text.replace(' ', "") == "pushstate:enabled";
            if falls_back && hints.falls_back.is_none() {
                hints.falls_back = Some(Evidence::line(&file.path, Some(line)));
            }
            if let Some(root) = text.strip_prefix("root:").filter(|_| name == "Staticfile") {
                let root = root.trim().trim_matches('/').to_owned();
                give(&mut hints.root, Some(root), || Evidence::line(&file.path, Some(line)));
            }
        }
    }
}
