//! A script and nothing else: `start.sh`.

use super::has_manifest;
use crate::detect::{prelude::*, scripts::interpreter};

static SHELL: Language = Language {
    id: "shell",
    listens: &["nc -l", "ncat -l", "socat", "--port", "http.server"],
    ..NOTHING
};

const NAMES: &[&str] =
    &["start.sh", "run.sh", "entrypoint.sh", "main.sh", "server.sh", "docker-entrypoint.sh"];

/// Programs that a script may call, and their packages; each family has another netcat, this one listens alike in both.
const PROGRAMS: &[(&[&str], &str)] = &[
    (&["curl"], "curl"),
    (&["jq"], "jq"),
    (&["git"], "git"),
    (&["nc", "netcat"], "netcat-openbsd"),
    (&["socat"], "socat"),
    (&["curl", "git"], "ca-certificates"),
];

/// Folders that are started by a script and hold no manifest; others outweigh them.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let dirs = project.tree.dirs().filter(|(dir, _)| !has_manifest(project, dir));
    dirs.filter_map(|(dir, _)| service(Folder::new(project, dir))).collect()
}

/// The script of `./serve.sh …` or `sh serve.sh …`.
fn script(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let word = if matches!(first, "sh" | "bash") { words.next()? } else { first };
    let name = word.trim_start_matches("./");
    (name.ends_with(".sh") && !name.contains('/')).then(|| name.to_owned())
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let process = at.procfile();
    let stated = process.as_ref().and_then(|process| script(&process.line));
    let stated = stated.filter(|name| at.has(name));
    let name = stated.as_deref().or_else(|| at.first_of(NAMES))?;
    let text = at.read(name)?;
    let place = at.place(name, Some(1));
    let mut facts = Facts::new(&SHELL, at.dir);
    facts.decide(What::Language, "shell", Rule::Named(name.to_owned()), [place.clone()]);
    facts.exclude = vec![".git".to_owned()];
    facts.take(at.dir, "");
    let words: Vec<&str> = text.text.split(|c: char| !c.is_alphanumeric()).collect();
    let called = PROGRAMS.iter().filter(|(names, _)| names.iter().any(|n| words.contains(n)));
    let packages: Vec<&str> = called.map(|(_, package)| *package).collect();
    facts.packages_everywhere(&[], &packages);
    match process {
        Some(process) => {
            facts.start(process.command, Rule::Procfile(process.name), [process.evidence]);
            facts.weight = Weight::Starts;
        }
        None => {
            // The file may have lost its mode on the way, so the interpreter is named.
            let shell = interpreter(&text.text).unwrap_or("sh");
            facts.start([shell, name], Fixed::NameOfScript, [place]);
            facts.weight = Weight::Files;
        }
    }
    // What the script listens on, or starts a server with.
    let found = source::ports(&[text], SHELL.listens);
    let number = found.number.or_else(|| Some((8080, found.env.clone()?)));
    facts.port(number.map(|(number, place)| Port {
        number,
        rule: Fixed::ScriptText.into(),
        place: Some(place),
        is_told: found.env.is_some(),
    }));
    Some(facts)
}
