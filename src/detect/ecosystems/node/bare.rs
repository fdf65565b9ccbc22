//! Code for Node.js without a `package.json`: a file that listens is a server all the same.

use super::{
    entry::entry_file,
    framework::SERVERS,
    manager,
    package::{Package, Packages},
    source,
    start::starts_another,
    unit::EXCLUDED,
    version::{self, BUN, NODE},
};
use crate::detect::{ecosystems::MANIFESTS, prelude::*};

/// Folders with an entry file and no manifest, themselves or above.
pub(super) fn services(project: &Project<'_>, packages: &Packages<'_>) -> Vec<Facts> {
    let mut services: Vec<Facts> = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let has_pages = entries.first_of(&["index.html", "index.htm"]).is_some();
        // `src/` of a folder that was found.
        let is_found = services.iter().any(|service| is_below(dir, &service.dir));
        let is_known = || upward(dir).any(|dir| has_manifest(packages, project, dir));
        if !has_pages && !is_found && !packages.all.contains_key(dir) && !is_known() {
            services.extend(service(packages, Folder::new(project, dir)));
        }
    }
    services
}

/// Whether a folder has a manifest that says something.
fn has_manifest(packages: &Packages<'_>, project: &Project<'_>, dir: &str) -> bool {
    let at = Folder::new(project, dir);
    let is_empty = || at.json("package.json").is_some_and(|json| json.members().next().is_none());
    let says = |name: &&&str| at.has(name) && (**name != "package.json" || !is_empty());
    packages.all.get(dir).is_some_and(Package::has_manifest)
        || MANIFESTS.iter().any(|name| says(&name))
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

/// What only programs of Node.js say.
const SIGNS: &[&str] = &[
    "require(", "process.", "module.exports", "from 'node:", "from \"node:", "from 'http'",
    "from \"http\"",
];

fn service(packages: &Packages<'_>, at: Folder<'_>) -> Option<Facts> {
    let entry = entry_file(at)?;
    let text = at.read(&entry)?;
    if has_manifest(packages, at.project, parent(&text.path)) {
        return None;
    }
    let is_bun = text.text.lines().any(manager::is_for_bun);
    let holds = |signs: &[&str]| signs.iter().any(|sign| text.text.contains(sign));
    if !is_bun && !holds(SIGNS) || holds(&["Deno.", "document."]) {
        return None;
    }
    let here = at.place(&entry, None);
    let mut facts = Facts::new(if is_bun { &BUN } else { &NODE }, at.dir);
    facts.id = if entry.ends_with("ts") { "typescript" } else { "javascript" };
    facts.decide(What::Language, facts.id, Fixed::EntryFileContent, [here.clone()]);
    if is_bun {
        facts.tool = "bun";
        facts.set("v", "1");
        facts.set("stage", "-slim");
    } else {
        let package = Package::without_manifest(at.project, at.dir);
        let (node, version) = version::decide(&package, &package);
        version::set(&mut facts, node, at.project.bases);
        facts.decisions.push(version);
    }
    facts.decide(What::BuildSystem, facts.tool, Fixed::NoPackageJson, []);
    facts.exclude = EXCLUDED.map(str::to_owned).to_vec();
    facts.env("NODE_ENV", "production");
    facts.take(at.dir, "");
    let source = source::scan(at, Some(&entry));
    facts.weight = if source.is_server() { Weight::Starts } else { Weight::Files };
    let program = if is_bun { "bun" } else { "node" };
    facts.start([program, &entry], Fixed::NameOfEntry, [here.clone()]);
    if let Some(process) = at.procfile() {
        facts.weight = Weight::Stated;
        facts.starts_another = starts_another(&process.line);
        facts.start(process.command, Rule::Procfile(process.name), [process.evidence]);
    }
    if let Some(packages) = required(&text.text).filter(|packages| !packages.is_empty()) {
        let install = if is_bun { "bun add" } else { "npm install --no-audit --no-fund" };
        let names: Vec<String> = packages.iter().map(|name| quote(name)).collect();
        let command = format!("{install} {}", names.join(" "));
        facts.steps.push(Step::new(Kind::Install, at.dir, command));
        let is_imported = |mark: &&str| packages.iter().any(|name| name == mark);
        let known = SERVERS.iter().find(|row| row.marks.iter().any(is_imported));
        if let Some(row) = known {
            facts.framework = Some(row.id);
            facts.decide(What::Framework, row.id, Fixed::Imported, [here]);
        }
    }
    let (listens, is_told) = (source.is_server(), source.reads_port.is_some());
    let port = source.port.or_else(|| Some((3000, source.reads_port?))).filter(|_| listens);
    let port = port.map(|(number, place)| Port::new(number, Fixed::CodeListens, Some(place)));
    facts.port(port.map(|port| Port { is_told, ..port }));
    facts.health = source.health.map(|(path, _)| path);
    Some(facts)
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
