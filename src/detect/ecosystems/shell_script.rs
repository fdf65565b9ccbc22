//! A script and nothing else: `start.sh`.

use super::source;
use crate::{
    detect::{
        Decision, Evidence, Project, Service, Weight,
        images::{self, Family},
        join,
        procfile::procfile,
    },
    spec::{Artifact, UniversalBuild},
};

const NAMES: &[&str] =
    &["start.sh", "run.sh", "entrypoint.sh", "main.sh", "server.sh", "docker-entrypoint.sh"];

/// Folders that are started by a script and hold no manifest; others outweigh them.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let has_manifest = super::has_manifest(project, dir);
        if has_manifest {
            continue;
        }
        let stated = procfile(project, dir).and_then(|process| script(&process.line));
        let stated = stated.filter(|name| entries.has(name));
        let Some(name) = stated.as_deref().or_else(|| entries.first_of(NAMES)) else { continue };
        services.extend(service(project, dir, name));
    }
    services
}

/// The script of `./serve.sh …` or `sh serve.sh …`.
fn script(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let word = if matches!(first, "sh" | "bash") { words.next()? } else { first };
    let name = word.trim_start_matches("./");
    (name.ends_with(".sh") && !name.contains('/')).then(|| name.to_owned())
}

fn service(project: &Project<'_>, dir: &str, name: &str) -> Option<Service> {
    let path = join(dir, name);
    let text = project.tree.read(&path)?;
    let shebang =
        text.text.lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or("/bin/sh");
    let is_bash = shebang.contains("bash");
    let mut spec = UniversalBuild {
        metadata: Default::default(),
        build: Default::default(),
        runtime: Default::default(),
    };
    spec.metadata.language = Some("shell".to_owned());
    spec.metadata.build_system = Some("none".to_owned());
    let base = images::plain(project.bases).unwrap_or_else(|| images::image(images::DEBIAN));
    (spec.build.base, spec.runtime.base) = (base.clone(), base);
    if is_bash && project.bases == Family::Wolfi {
        spec.runtime.packages.push("bash".to_owned());
    }
    let uses =
        |program: &str| text.text.split(|c: char| !c.is_alphanumeric()).any(|word| word == program);
    for program in ["curl", "jq", "git"] {
        if uses(program) {
            spec.runtime.packages.push(program.to_owned());
        }
    }
    // Each family has another netcat; this one listens alike in all of them.
    if uses("nc") || uses("netcat") {
        spec.runtime.packages.push("netcat-openbsd".to_owned());
    }
    if uses("socat") {
        spec.runtime.packages.push("socat".to_owned());
    }
    if spec.runtime.packages.iter().any(|package| package == "curl" || package == "git") {
        spec.runtime.packages.push("ca-certificates".to_owned());
    }
    spec.build.exclude = vec![".git".to_owned()];
    spec.runtime.copy = vec![Artifact { from: dir.to_owned(), to: "/app".to_owned() }];
    spec.runtime.workdir = Some("/app".to_owned());
    spec.runtime.user = Some(images::plain_user(project.bases).to_owned());
    let shell = if is_bash { "bash" } else { "sh" };
    let place = Evidence::line(&path, Some(1));
    let mut decisions = vec![Decision::new("language", "shell", name, [place.clone()])];
    let mut weight = Weight::Files;
    match procfile(project, dir) {
        Some(process) => {
            spec.runtime.command = process.command;
            let command = spec.runtime.command.join(" ");
            let rule = format!("Procfile {}", process.name);
            decisions.push(Decision::new("start command", command, rule, [process.evidence]));
            weight = Weight::Starts;
        }
        None => {
            // The file may have lost its mode on the way, so the shell is named.
            spec.runtime.command = vec![shell.to_owned(), name.to_owned()];
            decisions.push(Decision::new(
                "start command",
                format!("{shell} {name}"),
                "name of the script",
                [place],
            ));
        }
    }
    // What the script listens on, or starts a server with.
    let texts = [text];
    let ports = source::ports(&texts, &["nc -l", "ncat -l", "socat", "--port", "http.server"]);
    let number = ports.number.or_else(|| Some((8080, ports.env.clone()?)));
    if let Some((port, place)) = number {
        decisions.push(Decision::new("port", port.to_string(), "the script's text", [place]));
        spec.runtime.ports = vec![port];
        if ports.env.is_some() {
            spec.runtime.env.insert("PORT".to_owned(), port.to_string());
        }
    }
    Some(Service { dir: dir.to_owned(), spec, weight, claims: Vec::new(), decisions })
}
