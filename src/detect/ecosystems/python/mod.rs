//! Python: pip, Poetry, Pipenv, PDM, uv; servers behind WSGI and ASGI, apps with a server of their own, programs.

use std::collections::BTreeSet;

use self::{
    candidate::Candidate, frameworks::FRAMEWORKS, lock::Lock, manager::VENV, manifest::Manifest,
};
pub(super) use self::{imports::quoted, version::PYTHON};
use crate::detect::{prelude::*, procfile::Process, shell::option};

mod apps;
mod bare;
mod candidate;
mod django;
mod frameworks;
mod health;
mod imports;
mod local;
mod lock;
mod manager;
mod manifest;
mod migrate;
mod names;
mod script;
mod server;
mod settings;
mod system;
mod version;
mod workers;

/// Services of Python.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let dirs = folders(project);
    dirs.iter().filter_map(|dir| service(Folder::new(project, dir), &dirs)).collect()
}

/// Folders with a manifest, and those of lone programs that belong to no other.
fn folders(project: &Project<'_>) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let is_part = |found: &BTreeSet<String>, dir: &str| upward(dir).any(|dir| found.contains(dir));
    for (dir, _) in project.tree.dirs() {
        let at = Folder::new(project, dir);
        // `manage.py` below a manifest is a part of that project.
        let is_of_django = at.has("manage.py") && is_part(&found, dir);
        if manifest::is_here(at) && !(is_of_django && Manifest::load(at).is_empty()) {
            found.insert(dir.to_owned());
        }
    }
    let names = ["main.py", "app.py", "server.py", "wsgi.py", "bot.py", "index.py"];
    for (dir, entries) in project.tree.dirs() {
        let is_program = entries.first_of(&names).is_some()
            || dir == "." && entries.ending(".py").next().is_some();
        if is_program && !is_part(&found, dir) {
            found.insert(dir.to_owned());
        }
    }
    found
}

fn service(at: Folder<'_>, dirs: &BTreeSet<String>) -> Option<Facts> {
    let mut manifest = Manifest::load(at);
    let files = at.sources(PYTHON.sources, &|path| path != at.dir && dirs.contains(path));
    let home = manifest.workspace.as_ref().map_or(at.dir, |(root, _)| root);
    manifest.lock = Lock::load(Folder::new(at.project, home));
    let (mut manager, mut decision) = manager::decide(at, &manifest);
    let mut programs = files.iter().filter(|_| manager.is_none());
    let inline = programs.find_map(|file| Some((file.clone(), imports::inline(&file.text)?)));
    if let Some((file, stated)) = &inline
        && let Some(python) = stated.get("requires-python")
    {
        manifest.pythons.push(Pin {
            version: python.text().unwrap_or_default(),
            rule: "requires-python".to_owned(),
            evidence: Evidence::file(&file.path),
        });
    }
    let mut facts = Facts::new(manager::language(manager, &manifest), at.dir);
    let place = decision.evidence.first().cloned();
    let place = place.or_else(|| Some(Evidence::file(files.first()?.path.clone())));
    facts.decide(What::Language, facts.id, Fixed::PythonFiles, place);
    let (version, why) = version::decide(at, &manifest);
    facts.version((version, why));
    facts.name = manifest.name.clone().unwrap_or_default();
    facts.weight = if manager.is_none() { Weight::Files } else { Weight::Manifest };
    let mut c = Candidate::new(at, manifest, files, facts);
    let starts = start(&mut c).is_some();
    // A program that nothing says is one is no service beside others.
    if !starts && manager.is_none() {
        return None;
    }
    if !starts && c.manifest.is_package() {
        c.facts.weight = Weight::Library;
    }
    if let Some(process) = at.procfile().filter(|process| is_ours(&process.line)) {
        start_process(&mut c, process);
    }
    let manifest = &c.manifest;
    c.facts.rewrite(at.project, |line| Some(manifest.unwrapped(line)));
    workers::find(&mut c);
    if manager.is_none() {
        add_imported(&mut c, inline.as_ref().and_then(|(_, stated)| stated.get("dependencies")));
        if !c.adds.is_empty() {
            manager = Some(&manager::PIP);
            decision = Decision::new(What::BuildSystem, "pip", Fixed::ForImports, []);
        }
    }
    migrate::first(&mut c);
    system::browsers(&mut c);
    c.facts.tool = manager.map_or("none", |manager| manager.id);
    c.facts.decisions.push(decision);
    let built = manager.map(|manager| manager::install(&mut c, manager, version));
    Some(finish(c, built))
}

/// Looks for what runs, and the framework when there is one.
fn start(c: &mut Candidate<'_>) -> Option<()> {
    let of_frameworks = [django::start, bare::function, application, bare::notebooks];
    if of_frameworks.iter().any(|rule| rule(c).is_some()) {
        return Some(());
    }
    let others = [bare::callable, bare::handed_over, bare::program];
    others.iter().find_map(|rule| rule(c))?;
    // Below the root, a package that offers a program, or one that is only the one there is, is more often a tool than a
    // service.
    let is_tool =
        c.at.dir != "." && (c.needs_project || c.is_guess && c.facts.port_number().is_none());
    if !is_tool && c.facts.weight == Weight::Manifest {
        c.facts.weight = Weight::Starts;
    }
    // A dependency says what it is, even where its application is not found.
    if let Some(known) = framework::find(FRAMEWORKS, |package| c.manifest.place(package)) {
        c.facts.framework = Some(known.framework.id);
        c.facts.decide(What::Framework, known.framework.id, Fixed::Dependency, [known.place]);
    }
    Some(())
}

/// Starts the application of a framework that the sources make.
fn application(c: &mut Candidate<'_>) -> Option<()> {
    let app = apps::find(c.at.dir, &c.files)?;
    let packages = app.framework.marks.iter();
    let declared = packages.copied().find_map(|package| c.manifest.place(package));
    let is_files = c.facts.weight == Weight::Files;
    let places = declared.into_iter().chain([app.place()]);
    c.facts.framework(app.framework.id, Fixed::ImportAndApplication, places);
    if app.is_worker() {
        c.facts.weight = Weight::Starts;
    }
    let mut above = upward(c.at.dir);
    if is_files && above.any(|dir| super::has_manifest(c.at.project, dir)) {
        // An example beside a project of another language, rather than a service.
        c.facts.weight = Weight::Files;
    }
    if script::start(c, &app).is_none() {
        app.start(c);
    }
    Some(())
}

/// Whether a Procfile does not start another of the project's languages.
fn is_ours(line: &str) -> bool {
    let others = [
        "node ", "npm ", "yarn ", "pnpm ", "bundle ", "rails ", "java ", "php ",
        "vendor/bin/heroku-php",
    ];
    !others.iter().any(|word| line.trim_start().starts_with(word))
}

/// Starts what a Procfile says.
fn start_process(c: &mut Candidate<'_>, process: Process) {
    let Process { name, line, evidence, .. } = process;
    let line = c.manifest.unwrapped(&line);
    c.needs_project |= c.manifest.scripts.iter().any(|script| line.starts_with(&script.name));
    c.adds.retain(|name| line.contains(name));
    c.facts.start_line(&line, Rule::Procfile(name), [evidence.clone()]);
    c.facts.run_in = c.in_home(c.at.dir);
    c.facts.weight = Weight::Stated;
    if let Some(port) = fixed_port(&line) {
        c.facts.port(Port::told(port, Fixed::PortInProcfile, Some(evidence)));
    } else if let Some((port, place)) = gunicorn_bind(c.at, &line) {
        c.facts.port(Port::told(port, Fixed::BindOfGunicorn, Some(place)));
    } else if line.contains("PORT") && c.facts.port_number().is_none() {
        c.facts.port(Port::told(8000, Fixed::PortIsRead, None));
    }
    if line.starts_with("make ") {
        c.facts.packages_everywhere(&[], &["make"]);
    }
}

/// `--port 8080` or `0.0.0.0:8080`.
fn fixed_port(line: &str) -> Option<u16> {
    let mut options = ["--port", "--bind", "-b", "-p", "runserver"].into_iter();
    options.find_map(|name| source::number(option(line, &[name])?))
}

/// The port of `bind` in the file that gunicorn is told to read, or reads by itself; where it comes from the
/// environment, the one that stands in for it.
fn gunicorn_bind(at: Folder<'_>, line: &str) -> Option<(u16, Evidence)> {
    line.split(' ').any(|word| file_name(word) == "gunicorn").then_some(())?;
    let named = option(line, &["--config", "-c"]);
    let named = named.map(|file| file.trim_start_matches("file:").trim_start_matches("./"));
    let file = at.read(named.unwrap_or("gunicorn.conf.py"))?;
    let mut lines = file.lines().filter_map(|(at, line)| Some((at, imports::assignment(line)?)));
    let (at, (_, value)) = lines.find(|(_, (name, _))| *name == "bind")?;
    Some((source::number(value)?, Evidence::line(&file.path, Some(at))))
}

/// Packages for a program without a manifest: what it says of itself, else those of what it imports.
fn add_imported(c: &mut Candidate<'_>, stated: Option<&Value>) {
    let mut adds: Vec<String> = match stated {
        Some(list) => list.texts().into_iter().map(str::to_owned).collect(),
        None => {
            let row = |id| FRAMEWORKS.iter().find(|row| row.id == id);
            let package = |id| row(id).and_then(|row| row.marks.first().copied()).unwrap_or(id);
            let package = c.facts.framework.map(|id| package(id).to_owned());
            package.into_iter().chain(imports::imported(&c.files)).collect()
        }
    };
    adds.append(&mut c.adds);
    let mut seen = BTreeSet::new();
    adds.retain(|name| seen.insert(name.clone()));
    c.adds = adds;
}

/// Adds what the image is made of; `built` are steps of the manager, if there is one, that need all files.
fn finish(c: Candidate<'_>, built: Option<Vec<Step>>) -> Facts {
    let is_in_place = c.is_in_place();
    let Candidate { at, manifest, files, mut facts, last, .. } = c;
    facts.set("slim", if built.is_some() { "" } else { "-slim" });
    facts.env("PYTHONDONTWRITEBYTECODE", "1");
    facts.env("PYTHONUNBUFFERED", "1");
    if built.is_some() {
        for (name, value) in [("PATH", PATH), ("VIRTUAL_ENV", VENV)] {
            facts.env(name, value);
            facts.build_env(name, value);
        }
        facts.take(VENV, VENV);
    }
    system::needs(at, &manifest, &mut facts);
    let own = files.iter().filter(|file| !apps::is_aside(at.dir, &file.path)).cloned();
    let own: Vec<Rc<Text>> = own.collect();
    system::started(&own, &mut facts);
    facts.exclude = exclude(&manifest);
    // A front end of its own folder is a service of its own; what lies beside `manage.py` belongs to the server.
    let front_end = facts.front_end(at.project, at.dir, None).unwrap_or_default();
    let steps = [front_end.build, front_end.clean, built.unwrap_or_default(), last];
    facts.steps.extend(steps.into_iter().flatten());
    match WRITES.iter().find_map(|needle| source::mention(&own, needle)) {
        // Links of the environment lead to where the work tree is in the build.
        _ if is_in_place => facts.take(".", ""),
        Some(place) => facts.take_writable(at.dir, "", place),
        None => facts.take(at.dir, ""),
    }
    match &facts.serves {
        Serves::Process(process) if process.port.is_none() => {
            facts.decide(What::Port, "", Fixed::NothingListens, []);
            facts
        }
        Serves::Process(_) => facts,
        _ => facts.nothing(Fixed::NoEntry, []),
    }
}

const PATH: &str = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What databases in files, uploads and logs are written by, which lie beside the program, mostly.
const WRITES: &[&str] = &[
    "sqlite:///", "sqlite3.connect(", "django.db.backends.sqlite3", ".sqlite3'",
    "sqlite+aiosqlite:///", "MEDIA_ROOT", "UPLOAD_FOLDER", "UPLOAD_DIR", "FileHandler",
    "makedirs(", ".mkdir(", ".write_text(", ".write_bytes(", "\"w\")", "'w')", "\"wb\")", "'wb')",
    "\"a\")", "'a')", "shelve.open(", "TinyDB(",
];

/// What a work tree holds that no build needs. Some projects read their version from the history of git.
fn exclude(manifest: &Manifest) -> Vec<String> {
    let requires = manifest.project_at(&["build-system", "requires"]);
    let requires = requires.map(Value::texts).unwrap_or_default();
    let is_reader = |name: &&str| name.contains("scm") || name.contains("vcs");
    let reads_history = manifest.has_setup || requires.iter().any(is_reader);
    let git = (!reads_history).then_some(".git");
    let made = ["**/__pycache__", "**/.venv", "**/venv"];
    git.into_iter().chain(made).map(str::to_owned).collect()
}
