//! What of the hints is taken.

use std::collections::BTreeMap;

use super::{of, said::Hints};
use crate::detect::{
    Evidence, Facts, Fixed, Port, Project, Rule, Serves, Weight, What,
    parts::Missing,
    paths::{file_name, is_below, join},
    shell,
};

/// Programs that run the sources of a language.
const STARTERS: &[(&str, &[&str])] = &[
    (
        "python",
        &[
            "python", "python3", "gunicorn", "uvicorn", "hypercorn", "daphne", "waitress-serve",
            "flask", "celery",
        ],
    ),
    ("ruby", &["ruby", "bundle", "puma", "rackup"]),
    ("php", &["php"]),
    ("javascript", &["node"]),
    ("typescript", &["node"]),
];

/// What runs a command in the environment of a manager of Python, which the image has without that manager.
const RUNNERS: &[&str] = &["poetry run ", "pipenv run ", "uv run ", "pdm run ", "hatch run "];
/// Managers that an image need not have.
const MANAGERS: &[&str] =
    &["pnpm ", "yarn ", "bun ", "poetry ", "uv ", "cargo ", "go run ", "mvn ", "./"];

/// Packages of Debian that programs of any language call, by names that releases of Debian share.
pub(in crate::detect) const PACKAGES: &[&str] = &[
    "chromium", "default-mysql-client", "espeak-ng", "ffmpeg", "fontconfig", "fonts-dejavu",
    "fonts-liberation", "fonts-noto", "fonts-noto-cjk", "fonts-noto-color-emoji",
    "fonts-freefont-ttf", "gdal-bin", "gettext", "ghostscript", "graphviz", "imagemagick", "jq",
    "libimage-exiftool-perl", "libmagic1", "libreoffice", "libreoffice-writer", "mediainfo",
    "mupdf-tools", "nmap", "openssh-client", "p7zip-full", "pandoc", "pngquant", "poppler-utils",
    "postgresql-client", "qpdf", "redis-tools", "rsync", "sox", "sqlite3", "tesseract-ocr", "tidy",
    "unpaper", "unzip", "xvfb", "zip", "optipng", "jpegoptim", "gifsicle", "webp", "iputils-ping",
    "dnsutils", "traceroute", "aria2", "yt-dlp", "git", "tzdata", "pdftk",
];

/// Beginnings of variables that are for the tools of an image, and not for the program.
const OF_TOOLS: &[&str] = &[
    "PATH", "HOME", "USER", "PORT", "HOSTNAME", "HOST", "LANG", "LC_", "DEBIAN_FRONTEND", "PYTHON",
    "PIP_", "POETRY_", "UV_", "PDM_", "VIRTUAL_ENV", "NODE_", "NPM_", "YARN_", "PNPM_",
    "COREPACK_", "BUN_", "BUNDLE_", "GEM_", "RAILS_ENV", "RACK_ENV", "COMPOSER_", "APACHE_",
    "PHP_", "GO", "CGO_", "CARGO_", "RUST", "JAVA_", "MAVEN_", "GRADLE_", "DOTNET_", "ASPNETCORE_",
    "MIX_", "BP_", "GOOGLE_", "NIXPACKS_", "RAILPACK_", "DOCKER", "FLY_", "CI", "NX_", "TURBO_",
    "BUILD_", "PRIMARY_REGION", "LD_", "TERM", "TZ", "NVM_", "GUNICORN_CMD_ARGS",
    "WEB_CONCURRENCY", "NO_", "HTTP_PROXY", "HTTPS_PROXY",
];

/// Parts of names of variables whose values nobody may see.
const SECRET: &[&str] =
    &["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "DSN", "AUTH", "SALT", "PRIVATE"];

/// Adds to services what the files of other tools say, where nothing better says it.
pub(in crate::detect) fn apply(project: &Project<'_>, found: &mut [Vec<Facts>]) {
    let mut known: BTreeMap<String, Hints> = BTreeMap::new();
    let members: Vec<(String, Vec<String>)> = found.iter().flatten().filter_map(member).collect();
    for facts in found.iter_mut().flatten() {
        // The image of a workspace is that of the member whose program it starts.
        let own = member(facts).filter(|(root, command)| {
            let start = of(project, root).start;
            start.is_some_and(|(line, _)| shell::exec_form(&line) == *command)
        });
        let is_of_member = own.is_some();
        let dir = own.map_or_else(|| facts.dir.clone(), |(root, _)| root);
        let hints = known.entry(dir).or_insert_with_key(|dir| of(project, dir));
        let is_members = |(line, _): &(String, Evidence)| {
            members.contains(&(facts.dir.clone(), shell::exec_form(line)))
        };
        if !hints.start.as_ref().is_some_and(is_members) {
            start(facts, hints);
        }
        serves(project, facts, hints);
        if let (true, Some((port, place)), Serves::Process(process)) =
            (is_of_member, &hints.port, &facts.serves)
            && process
                .port
                .as_ref()
                .is_some_and(|port| port.rule == Rule::Is(Fixed::CodeSaysNoNumber))
        {
            facts.port(Port::new(*port, named(place), Some(place.clone())));
        }
        if facts.weight >= Weight::Starts && matches!(facts.serves, Serves::Process(_)) {
            process(project, facts, hints);
        }
    }
}

/// The root of a member's workspace, and what starts the member.
fn member(facts: &Facts) -> Option<(String, Vec<String>)> {
    let Serves::Process(process) = &facts.serves else { return None };
    let is_member = !facts.workspace.is_empty() && facts.workspace != facts.dir;
    is_member.then(|| (facts.workspace.clone(), process.command.clone()))
}

/// How a service starts for which nothing else says it.
fn start(facts: &mut Facts, hints: &Hints) {
    let (Serves::Nothing(..), Some((line, place))) = (&facts.serves, &hints.start) else { return };
    let program = line.split_whitespace().next().map(file_name).unwrap_or_default();
    let is_ours = STARTERS.iter().any(|(id, programs)| {
        [facts.id, facts.language.id].contains(id) && programs.contains(&program)
    });
    let has_sources = facts.takes.iter().any(|take| is_below(&facts.dir, &take.from));
    if is_ours && has_sources && facts.weight <= Weight::Manifest {
        facts.weight = Weight::Starts;
        facts.start(shell::exec_form(line), named(place), [place.clone()]);
    }
}

/// A file by its own name.
fn named(place: &Evidence) -> Rule {
    Rule::Named(file_name(&place.file).to_owned())
}

/// What a file server is told.
fn serves(project: &Project<'_>, facts: &mut Facts, hints: &Hints) {
    let Serves::Files(files) = &mut facts.serves else { return };
    if let Some((root, place)) = hints.root.as_ref().filter(|_| files.is_as_is) {
        let folder = join(&facts.dir, root);
        if project.tree.has(&join(&folder, "index.html")) {
            (files.folder, files.rule, files.place) = (folder, named(place), Some(place.clone()));
        }
    }
    if let Some(place) = hints.falls_back.as_ref().filter(|_| files.missing != Missing::Index) {
        files.missing = Missing::Index;
        facts.decide(What::Artifacts, "index.html", Fixed::FirstPageAnswers, [place.clone()]);
    }
}

/// Port, health, environment, packages, and what runs beside a process.
fn process(project: &Project<'_>, facts: &mut Facts, hints: &Hints) {
    if let (None, Some((port, place))) = (facts.port_number(), &hints.port) {
        facts.decisions.retain(|decision| decision.what != What::Port);
        facts.port(Port::told(*port, named(place), Some(place.clone())));
    }
    if let Some((port, place)) = hints.port.as_ref().filter(|_| is_guessed(facts)) {
        facts.port(Port::new(*port, named(place), Some(place.clone())));
    }
    if let (None, Some(_), Some((path, place))) =
        (&facts.health, facts.port_number(), &hints.health)
    {
        facts.health(path, named(place), [place.clone()]);
    }
    for (name, (value, place)) in &hints.env {
        if !facts.env.contains_key(name) && is_for_program(name, value) {
            facts.env(name, value);
            let told = format!("{name}={value}");
            facts.decide(What::Environment, told, named(place), [place.clone()]);
        }
    }
    let fits = |name: &str| PACKAGES.contains(&name) || name.starts_with("tesseract-ocr-");
    for (name, place) in hints.packages.iter().filter(|(name, _)| fits(name)) {
        facts.packages(&[], &[name]);
        facts.decide(What::Packages, name, named(place), [place.clone()]);
    }
    // The home is the user's already.
    let home = facts.language.in_home("");
    let mut volumes = hints.volumes.iter().filter(|(path, _)| !is_below(path, &home)).peekable();
    if let Some((_, place)) = volumes.peek().copied() {
        let folders = volumes.map(|(folder, _)| folder.as_str());
        facts.folders_of_data(folders, named(place), place.clone());
    }
    if project.tree.has(&join(&facts.dir, "Procfile")) {
        return;
    }
    if let Some((line, place)) = &hints.release {
        facts.decide(What::ReleaseCommand, line, named(place), [place.clone()]);
    }
    if !hints.workers.is_empty() {
        facts.workers.clear();
    }
    for (name, (line, place)) in &hints.workers {
        let line = RUNNERS.iter().find_map(|runner| line.strip_prefix(runner)).unwrap_or(line);
        if !MANAGERS.iter().any(|manager| line.starts_with(manager)) {
            facts.worker(name, line, named(place), place.clone());
        }
    }
}

/// Whether nothing of the project says where the program listens, and nothing that starts it tells it.
fn is_guessed(facts: &Facts) -> bool {
    let Serves::Process(process) = &facts.serves else { return false };
    let Some(port) = process.port.as_ref().filter(|port| !port.is_told) else { return false };
    let defaults = [Fixed::NothingElseSays, Fixed::NothingSaysOtherwise, Fixed::FrameworkDefault];
    let number = port.number.to_string();
    let tells = |text: &String| text.contains(&number);
    defaults.into_iter().any(|default| port.rule == Rule::Is(default))
        && !process.command.iter().chain(facts.env.values()).any(tells)
        && !facts.files.iter().any(|file| tells(&file.content))
}

/// Whether a variable is one of the program, with a value that is good in another image and that everybody may see.
fn is_for_program(name: &str, value: &str) -> bool {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_plain = !value.is_empty()
        && !value.contains(['$', '\n', '@'])
        && !value.contains("://")
        && !value.split([':', ',', '=']).any(|part| part.starts_with('/'));
    let upper = name.to_ascii_uppercase();
    is_name
        && is_plain
        && !OF_TOOLS.iter().any(|start| upper.starts_with(start))
        && !["VERSION", "MAJOR", "DEPS"].iter().any(|end| upper.ends_with(end))
        && !SECRET.iter().any(|part| upper.contains(part))
}
