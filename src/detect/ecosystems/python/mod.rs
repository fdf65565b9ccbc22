//! Python: pip, Poetry, Pipenv, PDM, uv; servers behind WSGI and ASGI, apps with a server of their own, programs.

use std::{collections::BTreeSet, rc::Rc};

use self::{
    apps::App,
    manager::{Install, Manager, Request, VENV},
    manifest::Manifest,
    serve::Start,
};
use super::{
    draft::{APP_DIR, OUT_DIR, draft, official, within},
    pins::Pin,
    source,
};
use crate::detect::{
    Decision, Evidence, Project, Service, Text, Weight,
    images::{self, Family, Packaged},
    is_below, join,
    manifest::Value,
    procfile::procfile,
    shell,
    versions::Version,
};

mod apps;
mod bare;
mod django;
mod imports;
mod manager;
mod manifest;
mod serve;
mod system;
mod version;

/// Services of Python.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let dirs = folders(project);
    dirs.iter().filter_map(|dir| service(project, dir, &dirs)).collect()
}

/// Folders with a manifest, and those of lone programs that belong to no other.
fn folders(project: &Project<'_>) -> BTreeSet<String> {
    let tree = project.tree;
    let mut found: BTreeSet<String> = BTreeSet::new();
    for (dir, _) in tree.dirs() {
        if manifest::is_here(project, dir) {
            // `manage.py` below a manifest is a part of that project.
            let only_manage = tree.has(&join(dir, "manage.py")) && !has_dependencies(project, dir);
            if !(only_manage && found.iter().any(|above| is_below(dir, above))) {
                found.insert(dir.to_owned());
            }
        }
    }
    for (dir, entries) in tree.dirs() {
        let is_program = entries
            .first_of(&["main.py", "app.py", "server.py", "wsgi.py", "bot.py", "index.py"])
            .is_some()
            || dir == "." && entries.ending(".py").next().is_some();
        if is_program && !found.iter().any(|above| is_below(dir, above)) {
            found.insert(dir.to_owned());
        }
    }
    found
}

fn has_dependencies(project: &Project<'_>, dir: &str) -> bool {
    let manifest = Manifest::load(project, dir);
    !manifest.dependencies.is_empty()
        || manifest.requirements.is_some()
        || manifest.pyproject.is_some()
}

fn service(project: &Project<'_>, dir: &str, dirs: &BTreeSet<String>) -> Option<Service> {
    let mut manifest = Manifest::load(project, dir);
    let skip = |path: &str| path != dir && dirs.contains(path);
    let files = source::gather(project, dir, &["py"], &skip);
    let (manager, root, build_system) = manager::decide(project, &manifest);
    if root != dir {
        // A workspace runs on one Python.
        manifest.pythons.extend(Manifest::load(project, &root).pythons);
    }
    let inline = files.iter().filter(|_| manager == Manager::None).find_map(|file| {
        let stated = imports::inline(&file.text)?;
        Some((file.path.clone(), stated))
    });
    if let Some((path, python)) =
        inline.as_ref().and_then(|(path, stated)| Some((path, stated.get("requires-python")?)))
    {
        manifest.pythons.push(Pin {
            version: python.text().unwrap_or_default(),
            rule: "requires-python".to_owned(),
            evidence: Evidence::file(path),
        });
    }
    let mut service = draft(dir, "python", manager.id());
    let place = files.first().map(|file| Evidence::file(file.path.clone())).into_iter();
    let place: Vec<Evidence> = build_system.evidence.iter().cloned().chain(place).take(1).collect();
    service.decide("language", "python", "manifest or sources of Python", place);
    service.decisions.push(build_system);
    let (version, decision) = version::decide(project, &manifest);
    service.decisions.push(decision);
    if let Some(name) = &manifest.name {
        service.name(name);
    }
    service.weight = if manager == Manager::None { Weight::Files } else { Weight::Manifest };

    let mut start = start(project, &manifest, &files, &mut service);
    let is_package = manifest.project_at(&["build-system"]).is_some() || manifest.has_setup;
    if start.is_none() && is_package && service.weight == Weight::Manifest {
        service.weight = Weight::Library;
    }
    // A program that nothing says is one is no service beside others.
    if start.is_none() && manager == Manager::None {
        return None;
    }
    if let Some(process) = procfile(project, dir).filter(|process| is_ours(&process.line)) {
        let mut stated = start.unwrap_or_default();
        stated.line.clone_from(&process.line);
        stated.rule = format!("Procfile {}", process.name);
        stated.place = Some(process.evidence);
        stated.run_dir = dir.to_owned();
        stated.needs_project |=
            manifest.scripts.iter().any(|script| process.line.starts_with(&script.name));
        stated.adds.retain(|name| process.line.contains(name.as_str()));
        if process.line.contains("PORT") && stated.port.is_none() {
            stated.port = Some((8000, "`PORT` is read".to_owned(), None));
        }
        if let Some(port) = fixed_port(&process.line) {
            stated.port = Some((port, "port in the Procfile".to_owned(), stated.place.clone()));
        } else if let Some((port, place)) = gunicorn_bind(project, dir, &process.line) {
            stated.port =
                Some((port, "`bind` of gunicorn's configuration".to_owned(), Some(place)));
        }
        if process.line.starts_with("make ") {
            service.runtime_packages(["make"]);
        }
        start = Some(stated);
        service.weight = Weight::Stated;
    }
    let mut start = start.unwrap_or_default();
    if manager == Manager::None {
        let framework = service.spec.metadata.framework.as_deref().and_then(package_of);
        let stated = inline.as_ref().and_then(|(_, stated)| stated.get("dependencies"));
        let mut adds: Vec<String> = framework.into_iter().map(str::to_owned).collect();
        match stated {
            Some(list) => {
                adds.clear();
                adds.extend(list.texts().into_iter().map(str::to_owned));
            }
            None => adds.extend(imports::imported(&files).into_iter().map(str::to_owned)),
        }
        adds.append(&mut start.adds);
        let mut seen = BTreeSet::new();
        adds.retain(|name| seen.insert(name.clone()));
        start.adds = adds;
        if !start.adds.is_empty() {
            let rule = "for what is imported; there is no manifest";
            service.spec.metadata.build_system = Some("pip".to_owned());
            service.decisions[1] = Decision::new("build system", "pip", rule, []);
        }
    }
    finish(
        project,
        &manifest,
        &mut service,
        &Parts { manager, root: &root, version, start: &start, files: &files },
    );
    Some(service)
}

/// Whether a folder, or one above it, has a manifest of another ecosystem.
fn is_beside_others(project: &Project<'_>, dir: &str) -> bool {
    let mut at = dir;
    loop {
        if project.tree.first_of(at, super::MANIFESTS).is_some() {
            return true;
        }
        if at == "." {
            return false;
        }
        at = crate::detect::parent(at);
    }
}

/// The package of PyPI that has a framework.
fn package_of(id: &str) -> Option<&'static str> {
    match id {
        "django" => Some("django"),
        _ => {
            apps::FRAMEWORKS.iter().find(|framework| framework.id == id)?.packages.first().copied()
        }
    }
}

/// A Procfile of a project of several languages may start another of them.
fn is_ours(line: &str) -> bool {
    let others = [
        "node ", "npm ", "yarn ", "pnpm ", "bundle ", "rails ", "java ", "php ",
        "vendor/bin/heroku-php",
    ];
    !others.iter().any(|word| line.trim_start().starts_with(word))
}

/// `--port 8080` or `0.0.0.0:8080`.
fn fixed_port(line: &str) -> Option<u16> {
    ["--port", "--bind", "-b ", "-p ", "runserver"].iter().find_map(|flag| {
        let rest = line.split_once(flag)?.1;
        source::number(rest.trim_start_matches(['=', ' ']).split(' ').next()?)
    })
}

/// The port of `bind` in the file that gunicorn is told to read, or reads by itself; where it comes from the
/// environment, the one that stands in for it.
fn gunicorn_bind(project: &Project<'_>, dir: &str, line: &str) -> Option<(u16, Evidence)> {
    if !line.split(' ').any(|word| word == "gunicorn" || word.ends_with("/gunicorn")) {
        return None;
    }
    let named = ["--config", "-c "].iter().find_map(|flag| {
        let file = line.split_once(flag)?.1.trim_start_matches(['=', ' ']).split(' ').next()?;
        Some(file.strip_prefix("file:").unwrap_or(file).trim_start_matches("./"))
    });
    let text = project.tree.read(&join(dir, named.unwrap_or("gunicorn.conf.py")))?;
    let (at, bind) = text.text.lines().enumerate().find(|(_, line)| {
        line.strip_prefix("bind").is_some_and(|rest| rest.trim_start().starts_with('='))
    })?;
    Some((source::number(bind)?, Evidence { file: text.path.clone(), line: Some(at + 1) }))
}

/// What runs, and the framework when there is one.
fn start(
    project: &Project<'_>,
    manifest: &Manifest,
    files: &[Rc<Text>],
    service: &mut Service,
) -> Option<Start> {
    if let Some(django) = django::find(project, &manifest.dir, files) {
        let place = manifest
            .dependencies
            .get("django")
            .map_or_else(|| django.place.clone(), |d| d.place.clone());
        service.framework("django", "manage.py and its settings", [place, django.place.clone()]);
        let start = serve::django(manifest, &django, files);
        return Some(start);
    }
    if let Some(start) = bare::function(project, manifest) {
        service.framework("functions-framework", "dependency", start.place.clone());
        return Some(start);
    }
    if let Some(app) = apps::find(&manifest.dir, files) {
        framework(project, manifest, &app, service);
        return Some(serve::app(project, manifest, &app, files));
    }
    if let Some(start) = bare::notebooks(project, manifest) {
        service.framework("voila", "dependency", start.place.clone());
        return Some(start);
    }
    let start = bare::callable(project, manifest, files)
        .or_else(|| bare::handed_over(project, manifest, files))
        .or_else(|| serve::plain(project, manifest, files));
    // Below the root, a package that offers a program, or one that is only the one there is, is more often a tool than a
    // service.
    let is_tool = |start: &Start| {
        manifest.dir != "." && (start.needs_project || start.is_guess && start.port.is_none())
    };
    if start.as_ref().is_some_and(|start| !is_tool(start)) {
        let is_named = service.weight == Weight::Manifest;
        service.weight = if is_named { Weight::Starts } else { Weight::Files };
    }
    // A dependency says what it is, even where its application is not found.
    let declared = apps::FRAMEWORKS.iter().find_map(|framework| {
        let (_, dependency) = manifest.first_of(framework.packages)?;
        Some((framework.id, dependency.place.clone()))
    });
    if let Some((id, place)) = declared
        && start.is_some()
    {
        service.spec.metadata.framework = Some(id.to_owned());
        service.decide("framework", id, "dependency", [place]);
    }
    start
}

fn framework(project: &Project<'_>, manifest: &Manifest, app: &App, service: &mut Service) {
    let declared = manifest.first_of(app.framework.packages).map(|(_, d)| d.place.clone());
    let is_files = service.weight == Weight::Files;
    let places: Vec<Evidence> = declared.into_iter().chain([app.place()]).collect();
    service.framework(app.framework.id, "import and application", places);
    if matches!(app.framework.serve, apps::Serve::Celery | apps::Serve::Worker) {
        service.weight = Weight::Starts;
    }
    if is_files && is_beside_others(project, &manifest.dir) {
        // An example beside a project of another language, rather than a service.
        service.weight = Weight::Files;
    }
}

/// What the parts of a spec are made of.
struct Parts<'a> {
    manager: Manager,
    root: &'a str,
    version: Version,
    start: &'a Start,
    files: &'a [Rc<Text>],
}

fn finish(project: &Project<'_>, manifest: &Manifest, service: &mut Service, parts: &Parts<'_>) {
    let start = parts.start;
    let python = if project.bases == Family::Official { "python" } else { "python3" };
    let request = Request {
        manager: parts.manager,
        root: parts.root,
        python,
        version: parts.version,
        adds: &start.adds,
        needs_project: start.needs_project,
    };
    let install = manager::install(project, manifest, &request);
    let has_venv = !install.step.is_empty() || !install.build.is_empty();
    bases(project, parts.version, has_venv, service);
    packages(project, manifest, service);
    build(project, manifest, service, start, &install);
    let home = artifacts(manifest, service, parts, &install, has_venv);
    environment(service, start, &home, has_venv);
    command(service, start);
}

/// Both stages: the full image has compilers and headers, the slim one has the same interpreter at the same place.
fn bases(project: &Project<'_>, version: Version, has_venv: bool, service: &mut Service) {
    let (packaged, decision) = PACKAGED.nearest(project.bases, version);
    service.decisions.extend(decision);
    service.plain_bases(project);
    let spec = &mut service.spec;
    spec.runtime.user = Some(images::plain_user(project.bases).to_owned());
    match project.bases {
        Family::Official => {
            let suite = version::suite(version);
            let slim = official(&format!("python:{version}-slim-{suite}"));
            let full = official(&format!("python:{version}-{suite}"));
            spec.build.base = if has_venv { full } else { slim.clone() };
            spec.runtime.base = slim;
        }
        Family::Wolfi => {
            let name = format!("python-{packaged}");
            let (pip, headers) = (format!("py{packaged}-pip"), format!("{name}-dev"));
            service.build_packages([&*name, &pip, &headers, "build-base", "git"]);
            service.runtime_packages([&*name]);
        }
        Family::Debian => {
            service.build_packages([
                "build-essential", "git", "python-is-python3", "python3-dev", "python3-pip",
                "python3-venv",
            ]);
            service.runtime_packages(["ca-certificates", "python-is-python3", "python3"]);
        }
    }
}

/// What the other families have.
const PACKAGED: Packaged =
    Packaged { language: "Python", wolfi: ((3, 10), (3, 14)), debian: (3, 11) };

fn packages(project: &Project<'_>, manifest: &Manifest, service: &mut Service) {
    let needs = system::needs(manifest);
    if needs.because.is_empty() {
        return;
    }
    let places = needs
        .because
        .iter()
        .filter_map(|name| Some(manifest.dependencies.get(*name)?.place.clone()));
    let places: Vec<Evidence> = places.collect();
    let all: Vec<&str> = needs.runtime.iter().chain(&needs.build).copied().collect();
    if project.bases == Family::Wolfi {
        let decision = Decision::new("packages", "", "names are known for Debian alone", places);
        service.decisions.push(decision.not(all.join(", "), None, "packages of Debian"));
        return;
    }
    service.decide(
        "packages",
        all.join(", "),
        "libraries of the system that dependencies load",
        places,
    );
    service.build_packages(needs.build);
    service.runtime_packages(needs.runtime);
}

fn build(
    project: &Project<'_>,
    manifest: &Manifest,
    service: &mut Service,
    start: &Start,
    install: &Install,
) {
    for (name, value) in &install.env {
        service.build_env(name, *value);
    }
    if !install.step.is_empty() || !install.build.is_empty() {
        service.build_env("PATH", path());
        service.build_env("VIRTUAL_ENV", VENV);
        if project.bases != Family::Official {
            // The system's own Python asks for this where tools are installed beside it.
            service.build_env("PIP_BREAK_SYSTEM_PACKAGES", "1");
        }
    }
    service.spec.build.exclude = exclude(manifest);
    service.dependencies(install.files.clone(), install.step.clone());
    service.cache(install.cache.iter().copied());
    let mut commands = Vec::new();
    // A front end of its own folder is a service of its own; what lies beside `manage.py` belongs to the server.
    if let Some(assets) = service.assets(project, &manifest.dir) {
        commands.extend(assets.build);
        commands.extend(assets.cleaning);
    }
    commands.extend(install.build.iter().cloned());
    commands.extend(start.build.iter().map(|command| within(&start.run_dir, command)));
    if !commands.is_empty() {
        let place: Vec<Evidence> = start.place.iter().cloned().collect();
        service.decide(
            "build command",
            commands.join("; "),
            "what is left once the sources are there",
            place,
        );
    }
    service.spec.build.commands = commands;
}

/// Puts the program and its environment into the image; where the program lies there.
fn artifacts(
    manifest: &Manifest,
    service: &mut Service,
    parts: &Parts<'_>,
    install: &Install,
    has_venv: bool,
) -> String {
    if has_venv {
        service.copy(VENV, VENV);
    }
    let dir = manifest.dir.as_str();
    if install.is_in_place {
        // Links of the environment lead to `/build`.
        service.copy(".", "/build");
        return join_dir("/build", dir);
    }
    match writes_beside_itself(parts.files) {
        // Only a folder that is copied with what holds it keeps its mode.
        Some(place) => {
            let from = if dir == "." { ".".to_owned() } else { shell::quote(dir) };
            let out = format!("{OUT_DIR}{APP_DIR}");
            service
                .spec
                .build
                .commands
                .push(format!("mkdir -p {OUT_DIR} && cp -a {from} {out} && chmod -R a+rwX {out}"));
            service.decide("artifacts", APP_DIR, "the program writes beside itself", [place]);
            service.copy(OUT_DIR, "/");
        }
        None => service.copy(dir, APP_DIR),
    }
    APP_DIR.to_owned()
}

/// A database in a file lies beside the program, mostly.
fn writes_beside_itself(files: &[Rc<Text>]) -> Option<Evidence> {
    let needles = [
        "sqlite:///", "sqlite3.connect(", "django.db.backends.sqlite3", ".sqlite3'",
        "sqlite+aiosqlite:///",
    ];
    needles.iter().find_map(|needle| source::mention(files, needle))
}

/// What a work tree holds that no build needs. Some projects read their version from the history of git.
fn exclude(manifest: &Manifest) -> Vec<String> {
    let requires = manifest.project_at(&["build-system", "requires"]).map(Value::texts);
    let reads_history = manifest.has_setup
        || requires
            .unwrap_or_default()
            .iter()
            .any(|name| name.contains("scm") || name.contains("vcs"));
    let git = (!reads_history).then_some(".git");
    let made = ["**/__pycache__", "**/.venv", "**/venv"];
    git.into_iter().chain(made).map(str::to_owned).collect()
}

fn join_dir(base: &str, dir: &str) -> String {
    if dir == "." { base.to_owned() } else { format!("{base}/{dir}") }
}

fn path() -> String {
    format!("{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

fn environment(service: &mut Service, start: &Start, home: &str, has_venv: bool) {
    let dir = service.dir.clone();
    // `run_dir` is relative to the root; the image has the service's folder.
    let below = |path: &str| match path {
        "" => home.to_owned(),
        path if path == dir => home.to_owned(),
        path if dir == "." => format!("{home}/{path}"),
        path => format!("{home}/{}", path.get(dir.len() + 1..).unwrap_or_default()),
    };
    service.spec.runtime.workdir = Some(below(&start.run_dir));
    if has_venv {
        service.env("PATH", path());
        service.env("VIRTUAL_ENV", VENV);
    }
    service.env("PYTHONDONTWRITEBYTECODE", "1");
    service.env("PYTHONUNBUFFERED", "1");
    if let Some(modules) = &start.module_dir {
        service.env("PYTHONPATH", below(modules));
    }
    for (name, value) in &start.env {
        service.env(name, value.clone());
    }
}

fn words_are_ours(start: &Start, line: &str) -> bool {
    line == start.line && line.contains("$PORT") && !start.rule.starts_with("Procfile")
}

fn command(service: &mut Service, start: &Start) {
    if start.line.is_empty() {
        let rule = "no application, no entry file, no script of the project";
        service.decide("start command", "", rule, []);
    } else {
        let mut words = shell::exec_form(&start.line);
        // Lines of our own are single commands, whatever is in quotes.
        if let Some(line) = words.get_mut(2)
            && words_are_ours(start, line)
        {
            line.insert_str(0, "exec ");
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        service.start(words, start.rule.clone(), start.place.clone());
    }
    match &start.port {
        Some((port, rule, place)) => {
            service.port(*port, rule.clone(), place.clone());
            service.env("PORT", port.to_string());
        }
        None if !start.line.is_empty() => service.decide("port", "", "nothing listens", []),
        None => {}
    }
    if let Some((path, rule)) = &start.health {
        service.spec.runtime.health = Some(path.clone());
        service.decide("health", path.clone(), rule.clone(), []);
    }
}
