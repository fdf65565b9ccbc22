//! Settings of JVM frameworks that say on which port they listen: `application.properties`, `application.yml`, `*.conf`.

use crate::detect::{
    Evidence, Project,
    ecosystems::source::{self, Ports},
    manifest::Value,
    model::join,
};

/// The port that the settings of a module name, and whether they read `PORT`.
pub(super) fn port(project: &Project<'_>, dir: &str, id: &str) -> Ports {
    let keys: &[&str] = match id {
        "quarkus" => &["quarkus.http.port"],
        "micronaut" => &["micronaut.server.port"],
        "helidon" | "spring-boot" | "grails" => &["server.port"],
        "ktor" => &["ktor.deployment.port"],
        "dropwizard" => return dropwizard(project, dir),
        _ => &["server.port", "http.port", "play.server.http.port"],
    };
    let mut ports = Ports::default();
    for file in files(project, dir) {
        for key in keys {
            let Some((value, evidence)) = value(project, &file, key) else { continue };
            if value.contains("PORT") {
                ports.env.get_or_insert_with(|| evidence.clone());
            }
            if let Some(number) = source::number(&value) {
                ports.number.get_or_insert((number, evidence));
            }
        }
    }
    ports
}

/// The path that stands before all others.
pub(super) fn context_path(project: &Project<'_>, dir: &str, id: &str) -> String {
    let key = match id {
        "spring-boot" => "server.servlet.context-path",
        "quarkus" => "quarkus.http.root-path",
        "micronaut" => "micronaut.server.context-path",
        _ => return String::new(),
    };
    let found = files(project, dir).iter().find_map(|file| value(project, file, key));
    let path = found.map(|(path, _)| path).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    match path.trim_end_matches('/') {
        path if path.starts_with('/') && path.chars().all(plain) => path.to_owned(),
        _ => String::new(),
    }
}

/// Files of settings, those of production first.
fn files(project: &Project<'_>, dir: &str) -> Vec<String> {
    let folders = [
        "src/main/resources", "src/main/resources/config", "config", "conf", "resources",
        "src/main/resources/META-INF", ".",
    ];
    let names = [
        "application-prod", "application-production", "application", "bootstrap",
        "microprofile-config",
    ];
    let mut found = Vec::new();
    for folder in folders {
        let folder = if folder == "." { dir.to_owned() } else { join(dir, folder) };
        for name in names {
            for extension in ["properties", "yml", "yaml", "conf", "toml"] {
                let path = join(&folder, &format!("{name}.{extension}"));
                if project.tree.has(&path) {
                    found.push(path);
                }
            }
        }
    }
    found
}

fn value(project: &Project<'_>, path: &str, key: &str) -> Option<(String, Evidence)> {
    match path.rsplit_once('.')?.1 {
        "properties" => {
            let file = project.tree.properties(path)?;
            let (value, line) = file.get(key)?;
            Some((value.to_owned(), Evidence::line(path, Some(line))))
        }
        "yml" | "yaml" => in_table(&project.tree.yaml(path)?, key, path),
        "toml" => in_table(&project.tree.toml(path)?, key, path),
        _ => in_conf(project, path, key),
    }
}

/// A key with dots in tables in tables; a part of it may be one key.
fn in_table(table: &Value, key: &str, path: &str) -> Option<(String, Evidence)> {
    if let Some(value) = table.get(key) {
        return Some((value.text()?, Evidence::line(path, Some(value.line))));
    }
    key.match_indices('.')
        .find_map(|(at, _)| in_table(table.get(&key[..at])?, &key[at + 1..], path))
}

/// HOCON: the last of `port = 9000` and `port = ${?PORT}` wins, so both are read.
fn in_conf(project: &Project<'_>, path: &str, key: &str) -> Option<(String, Evidence)> {
    let text = project.tree.read(path)?;
    let last = key.rsplit('.').next()?;
    let mut found: Option<(String, Evidence)> = None;
    for (line, words) in text.lines() {
        let words = words.trim();
        let Some(rest) = words.strip_prefix(key).or_else(|| words.strip_prefix(last)) else {
            continue;
        };
        let rest = rest.trim_start();
        let Some(value) = rest.strip_prefix(['=', ':']) else { continue };
        let evidence = Evidence::line(path, Some(line));
        match &mut found {
            Some((known, _)) => {
                known.push(' ');
                known.push_str(value.trim());
            }
            None => found = Some((value.trim().to_owned(), evidence)),
        }
    }
    found
}

fn dropwizard(project: &Project<'_>, dir: &str) -> Ports {
    let mut ports = Ports::default();
    let Some(entries) = project.tree.entries(dir) else { return ports };
    for name in entries.files.iter().filter(|name| name.ends_with(".yml")) {
        let path = join(dir, name);
        let Some(file) = project.tree.yaml(&path) else { continue };
        let connectors = file.at(&["server", "applicationConnectors"]);
        let first = connectors
            .and_then(|all| all.items().first())
            .or_else(|| file.at(&["server", "connector"]));
        let Some(port) = first.and_then(|connector| connector.get("port")) else { continue };
        let Some(text) = port.text() else { continue };
        let evidence = Evidence::line(&path, Some(port.line));
        if text.contains("PORT") {
            ports.env.get_or_insert_with(|| evidence.clone());
        }
        if let Some(number) = source::number(&text) {
            ports.number.get_or_insert((number, evidence));
        }
    }
    ports
}
