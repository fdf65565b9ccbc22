//! Code for Node.js without a `package.json`: a file that listens is a server all the same.

use super::{
    framework::SERVERS, in_folder, manager, package::Package, source, start, version,
    workspace::Packages,
};
use crate::{
    detect::{
        Decision, Evidence, Project, Service, Weight, ecosystems::MANIFESTS, images, join, parent,
        procfile::procfile, shell::quote,
    },
    spec::{Artifact, UniversalBuild},
};

/// Folders with an entry file and no manifest, themselves or above.
pub(super) fn services(project: &Project<'_>, packages: &Packages) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let above = std::iter::successors(Some(dir), |dir| (*dir != ".").then(|| parent(dir)));
        let mut above = above.filter_map(|dir| project.tree.entries(dir));
        let has_pages = ["index.html", "index.htm"].iter().any(|page| entries.has(page));
        if has_pages || above.any(|entries| entries.first_of(MANIFESTS).is_some()) {
            continue;
        }
        // `src/` of a folder that was found.
        if services.iter().any(|service| crate::detect::is_below(dir, &service.dir)) {
            continue;
        }
        services.extend(service(project, packages, dir));
    }
    services
}

/// Packages of a registry that a file imports; `None` when one has a name that none can have.
fn required(text: &str) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().take(LINES_MAX).map(str::trim) {
        let is_import =
            line.contains("require(") || line.starts_with("import ") || line.starts_with("} from ");
        if !is_import || line.starts_with("//") || line.len() > LINE_BYTES_MAX {
            continue;
        }
        let after = line.split_once("require(").map_or(line, |(_, rest)| rest);
        let Some(name) = after.split(['\'', '"']).nth(1) else { continue };
        let is_own = name.starts_with(['.', '/', '#']) || name.contains(':');
        let mut parts = name.split('/');
        let first = parts.next().unwrap_or_default();
        let name = match (first.starts_with('@'), parts.next()) {
            (true, Some(second)) => format!("{first}/{second}"),
            _ => first.to_owned(),
        };
        if is_own || BUILT_IN.contains(&name.as_str()) || found.contains(&name) {
            continue;
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "@/._-".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return None;
        }
        found.push(name);
    }
    Some(found)
}

fn service(project: &Project<'_>, packages: &Packages, dir: &str) -> Option<Service> {
    if packages.all.contains_key(dir) {
        return None;
    }
    let entry = start::entry_file(project, dir)?;
    let path = join(dir, &entry);
    let home = project.tree.entries(parent(&path))?;
    if home.first_of(MANIFESTS).is_some() {
        return None;
    }
    let text = project.tree.read(&path)?;
    let source = source::scan(project, dir, Some(&entry));
    let is_node = [
        "require(", "process.", "module.exports", "from 'node:", "from \"node:", "from 'http'",
        "from \"http\"",
    ]
    .iter()
    .any(|sign| text.text.contains(sign));
    let is_bun = text.text.lines().any(manager::is_for_bun);
    if !is_node && !is_bun || text.text.contains("Deno.") || text.text.contains("document.") {
        return None;
    }
    let is_typescript = entry.ends_with("ts");
    let package = Package::without_manifest(dir);
    let (node, version) = version::decide(project, &package, &package);
    let mut spec = UniversalBuild {
        metadata: Default::default(),
        build: Default::default(),
        runtime: Default::default(),
    };
    let language = if is_typescript { "typescript" } else { "javascript" };
    spec.metadata.language = Some(language.to_owned());
    let build_system = if is_bun { "bun" } else { "none" };
    spec.metadata.build_system = Some(build_system.to_owned());
    let place = Evidence::file(&path);
    let mut decisions = vec![
        Decision::new("language", language, "name and content of the entry file", [place.clone()]),
        Decision::new("build system", build_system, "there is no package.json", []),
    ];
    if !is_bun {
        decisions.push(version);
    }
    match images::plain(project.bases) {
        _ if is_bun => {
            spec.runtime.base = images::image("docker.io/oven/bun:1-slim");
            spec.runtime.user = Some("bun".to_owned());
        }
        Some(base) => {
            spec.runtime.base = base;
            let name = if project.bases == images::Family::Wolfi {
                format!("nodejs-{node}")
            } else {
                "nodejs".to_owned()
            };
            spec.runtime.packages.push(name);
            spec.runtime.user = Some(images::plain_user(project.bases).to_owned());
        }
        None => {
            spec.runtime.base = images::official(&version::tag(node));
            spec.runtime.user = Some("node".to_owned());
        }
    }
    spec.build.base = spec.runtime.base.clone();
    spec.build.exclude = vec![".git".to_owned(), "**/node_modules".to_owned()];
    spec.runtime.copy = vec![Artifact { from: dir.to_owned(), to: "/app".to_owned() }];
    spec.runtime.workdir = Some("/app".to_owned());
    spec.runtime.env.insert("NODE_ENV".to_owned(), "production".to_owned());
    if let Some(packages) = required(&text.text).filter(|packages| !packages.is_empty()) {
        let install = if is_bun { "bun add" } else { "npm install --no-audit --no-fund" };
        let list: Vec<String> = packages.iter().map(|name| quote(name)).collect();
        let command = in_folder(dir, &format!("{install} {}", list.join(" ")));
        decisions.push(Decision::new(
            "install command",
            &*command,
            "what the entry file imports, as no manifest names it",
            [place.clone()],
        ));
        spec.build.commands.push(command);
        let known =
            SERVERS.iter().find(|f| packages.iter().any(|p| f.packages.contains(&p.as_str())));
        if let Some(framework) = known {
            spec.metadata.framework = Some(framework.id.to_owned());
            decisions.push(Decision::new("framework", framework.id, "imported", [place.clone()]));
        }
    }
    let listens = source.listens || source.reads_port.is_some();
    let mut weight = if listens { Weight::Starts } else { Weight::Files };
    let (command, rule, place) = match procfile(project, dir) {
        Some(process) => {
            weight = Weight::Stated;
            (process.command, format!("Procfile {}", process.name), process.evidence)
        }
        None => {
            let program = if is_bun { "bun" } else { "node" };
            (vec![program.to_owned(), entry], "name of the entry file".to_owned(), place)
        }
    };
    decisions.push(Decision::new("start command", command.join(" "), rule, [place]));
    spec.runtime.command = command;
    let port = source.port.clone().or_else(|| Some((3000, source.reads_port.clone()?)));
    if let Some((port, place)) = port.filter(|_| listens) {
        decisions.push(Decision::new(
            "port",
            port.to_string(),
            "what the code listens on",
            [place],
        ));
        spec.runtime.ports = vec![port];
        if source.reads_port.is_some() {
            spec.runtime.env.insert("PORT".to_owned(), port.to_string());
        }
    }
    spec.runtime.health = source.health.map(|(path, _)| path);
    Some(Service { dir: dir.to_owned(), spec, weight, claims: Vec::new(), decisions })
}

const LINES_MAX: usize = 2000;
const LINE_BYTES_MAX: usize = 500;

/// Modules of Node.js itself, and of Bun.
const BUILT_IN: &[&str] = &[
    "assert", "async_hooks", "buffer", "bun", "child_process", "cluster", "console", "crypto",
    "dgram", "dns", "domain", "events", "fs", "http", "http2", "https", "inspector", "module",
    "net", "os", "path", "perf_hooks", "process", "punycode", "querystring", "readline", "repl",
    "sqlite", "stream", "string_decoder", "sys", "test", "timers", "tls", "tty", "url", "util",
    "v8", "vm", "wasi", "worker_threads", "zlib",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn what_a_file_imports_is_installed() {
        let check = |text: &str, want: &[&str]| {
            let want: Vec<String> = want.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(required(text), Some(want), "{text}");
        };
        check("const express = require('express');\nconst fs = require(\"fs\");", &["express"]);
        check("import { Hono } from 'hono/tiny'\nimport x from '@a/b/c'", &["hono", "@a/b"]);
        check("import './x.js'\nimport http from 'node:http'\n// require('no')", &[]);
        assert_eq!(required("require('$(x)')"), None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "import { é } from '@a/b'\nrequire(\"c/d\")\n} from 'e'";
        mutate(seed.as_bytes(), b"'\"/@(\n \xc3", 3000, |bytes| {
            drop(required(&String::from_utf8_lossy(bytes)));
        });
    }
}
