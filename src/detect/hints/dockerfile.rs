//! What a `Dockerfile` says of the image that its last stage makes.

use std::collections::BTreeMap;

use super::said::{At, Hints, give};
use crate::detect::{
    Evidence, Text,
    paths::{file_name, is_below, join},
    pins::Pin,
    shell,
    source::is_plain_path,
};

/// Programs that start another.
const INITS: &[&str] = &["tini", "dumb-init", "--", "catatonit", "-g", "/sbin/tini", "exec"];

/// Packages that images have for what is done while they are built.
const OF_BUILDS: &[&str] = &["git", "jq", "openssh-client", "rsync", "tzdata", "unzip", "zip"];

/// Ports of an image that are for no browser: none, and that of SSH.
const ASIDE: &[u16] = &[0, 22];

/// An instruction: its line, its name, and the rest.
type Instruction = (usize, String, String);

pub(super) fn dockerfile(at: At<'_>, hints: &mut Hints) {
    let Some(text) = at.project.tree.read(&join(at.dir, "Dockerfile")) else { return };
    let place = |line: usize| Evidence::line(&text.path, Some(line));
    let mut args: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<(String, String, Vec<Instruction>)> = Vec::new();
    for (line, name, rest) in instructions(&text) {
        match (name.as_str(), stages.last_mut()) {
            ("ARG", None) => args.extend(rest.split_once('=').map(|(name, value)| {
                (name.trim().to_owned(), value.trim().trim_matches('"').to_owned())
            })),
            ("FROM", _) => {
                let words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
                let words: Vec<String> = words.map(|word| filled(word, &args)).collect();
                let image = words.first().cloned().unwrap_or_default();
                if let Some((name, tag)) = image.rsplit_once(':') {
                    let version = tag.split('-').next().unwrap_or_default();
                    if version.starts_with(|c: char| c.is_ascii_digit()) {
                        let pin = Pin::new(version, format!("FROM {image}"), &text.path, line);
                        hints.pins.push((file_name(name).to_owned(), pin));
                    }
                }
                stages.push((words.get(2).cloned().unwrap_or_default(), image, Vec::new()));
            }
            (_, Some((.., all))) => all.push((line, name, rest)),
            _ => {}
        }
    }
    // A stage that starts from another has what that one sets.
    let mut chain = Vec::new();
    let mut at = stages.len().checked_sub(1);
    while let Some(stage) = at {
        chain.push(stage);
        at = stages[..stage]
            .iter()
            .position(|(name, ..)| !name.is_empty() && *name == stages[stage].1);
    }
    let all: Vec<&Instruction> = chain.iter().rev().flat_map(|stage| &stages[*stage].2).collect();
    image(&all, &place, hints);
    if stages.len() == 1 {
        // What only the build of it calls is there too.
        hints.packages.retain(|(name, _)| !OF_BUILDS.contains(&name.as_str()));
    }
}

/// Instructions with their first lines; what a backslash continues is one, and so is a here-document.
fn instructions(text: &Text) -> Vec<Instruction> {
    let mut all: Vec<Instruction> = Vec::new();
    let (mut continues, mut document) = (false, None::<String>);
    for (at, line) in text.lines() {
        let line = line.trim();
        if let (Some(end), Some((.., rest))) = (&document, all.last_mut()) {
            match line == end {
                true => document = None,
                false => *rest = format!("{rest}; {line}"),
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part.trim(), true),
            None => (line, false),
        };
        match (continues, all.last_mut()) {
            (true, Some((.., rest))) => *rest = format!("{rest} {part}").trim().to_owned(),
            _ => {
                let (name, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
                all.push((at, name.to_ascii_uppercase(), rest.trim().to_owned()));
            }
        }
        let end = part.split_once("<<").map(|(_, end)| end.trim_start_matches(['-', '"', '\'']));
        let end = end.and_then(|end| end.split([' ', '"', '\'', '>']).next());
        document = end.filter(|end| !end.is_empty()).map(str::to_owned);
        continues = goes_on;
    }
    all
}

/// A text with the defaults of build arguments.
fn filled(text: &str, args: &BTreeMap<String, String>) -> String {
    args.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    })
}

/// What the instructions of the last image say.
fn image(all: &[&Instruction], place: &dyn Fn(usize) -> Evidence, hints: &mut Hints) {
    let mut workdir = "";
    let mut started = [Vec::new(), Vec::new()];
    let mut line_of_start = 0;
    for (line, name, rest) in all {
        match name.as_str() {
            "WORKDIR" => workdir = rest,
            "EXPOSE" => {
                let mut ports = rest.split_whitespace().filter_map(|port| {
                    let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
                    port.parse().ok().filter(|port| protocol == "tcp" && !ASIDE.contains(port))
                });
                give(&mut hints.port, ports.next(), || place(*line));
            }
            "ENV" => variables(rest).into_iter().for_each(|(name, value)| {
                hints.env(&name, value, place(*line));
            }),
            "RUN" => packages(rest).into_iter().for_each(|name| {
                hints.packages.push((name, place(*line)));
            }),
            "VOLUME" => {
                let list = rest.replace(['[', ']', '"', ','], " ");
                let own = list.split_whitespace().filter(|path| is_of_data(path, workdir));
                let own = own.map(|path| (path.trim_end_matches('/').to_owned(), place(*line)));
                hints.volumes.extend(own);
            }
            "HEALTHCHECK" => give(&mut hints.health, path_of(rest), || place(*line)),
            "ENTRYPOINT" => (started, line_of_start) = ([words(rest), Vec::new()], *line),
            "CMD" => {
                started[1] = words(rest);
                line_of_start = *line;
            }
            _ => {}
        }
    }
    let words: Vec<String> = started.concat();
    let words = words.iter().skip_while(|word| INITS.contains(&word.as_str()));
    // What lies in the work folder lies in the one of any other image.
    let root = format!("{}/", workdir.trim_end_matches('/'));
    let words: Vec<&str> = words
        .map(|word| word.strip_prefix(&root).filter(|_| root != "/").unwrap_or(word))
        .collect();
    let is_other = |word: &&str| {
        word.starts_with('/') && !word.starts_with("/dev/")
            || word.ends_with(".sh")
            || *word == "--reload"
    };
    if !words.is_empty() && !words.iter().any(is_other) {
        let line = words
            .iter()
            .map(|word| if word.contains('$') { (*word).to_owned() } else { shell::quote(word) });
        let line = line.collect::<Vec<_>>().join(" ");
        give(&mut hints.start, Some(line), || place(line_of_start));
    }
}

/// Folders of the system, and those of users that another image does not have.
const OF_SYSTEM: &[&str] = &[
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "proc", "root", "run", "sbin", "sys",
    "tmp", "usr",
];

/// Whether a folder is one for data that is at the same place in any image: outside of the work folder.
fn is_of_data(path: &str, workdir: &str) -> bool {
    let workdir = workdir.trim_matches(['"', '/']);
    let Some(inner) = path.strip_prefix('/') else { return false };
    let first = inner.split('/').next().unwrap_or_default();
    is_plain_path(path)
        && !first.is_empty()
        && !OF_SYSTEM.contains(&first)
        && !path.starts_with("/var/run")
        && (workdir.is_empty() || !is_below(inner.trim_end_matches('/'), workdir))
}

/// The words of a command in exec form, or of a line for a shell.
fn words(rest: &str) -> Vec<String> {
    let listed = serde_json::from_str::<Vec<String>>(rest).ok();
    let plain = || rest.split_whitespace().map(str::to_owned).collect();
    listed.unwrap_or_else(|| shell::words(rest).unwrap_or_else(plain))
}

/// `A=b C="d e"`, or the old `A b`.
fn variables(rest: &str) -> Vec<(String, String)> {
    let pair = |word: &String| {
        word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    match rest.split_once(char::is_whitespace) {
        Some((name, value)) if !name.contains('=') => {
            vec![(name.to_owned(), value.trim().to_owned())]
        }
        _ => {
            // The first word of a line with an assignment is for a shell; here all are assignments.
            let line = format!("env {rest}");
            let all = shell::words(&line)
                .unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect());
            all.iter().filter_map(pair).collect()
        }
    }
}

/// Names after `apt-get install`.
fn packages(rest: &str) -> Vec<String> {
    let commands = rest.split(['&', ';', '|']).filter_map(|command| {
        let command = command.trim();
        let command = command.strip_prefix("apt-get ").or_else(|| command.strip_prefix("apt "))?;
        command.split_once("install ").map(|(_, names)| names)
    });
    let names = commands.flat_map(str::split_whitespace);
    names.filter(|name| !name.starts_with('-')).map(str::to_owned).collect()
}

/// The path that a health check asks for on the machine itself.
fn path_of(rest: &str) -> Option<String> {
    let rest = rest.split_once("://localhost").or_else(|| rest.split_once("://127.0.0.1"))?.1;
    let path = &rest[rest.find('/')?..];
    let path = path.split([' ', '"', '\'', ')', ',', ']']).next()?;
    (path.len() > 1 && is_plain_path(path)).then(|| path.to_owned())
}
