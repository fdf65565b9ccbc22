//! What runs without an application of a framework: functions, bare callables, notebooks, programs.

use super::{
    apps,
    candidate::{Candidate, Module},
    imports::{assignment, imports_module, is_name},
    server,
    version::PYTHON,
};
use crate::detect::{paths::below, prelude::*};

/// What Google's framework for functions serves: the function of `main.py` that has its decorator, or takes a request
/// (github.com/GoogleCloudPlatform/functions-framework-python).
pub(super) fn function(c: &mut Candidate<'_>) -> Option<()> {
    let dependency = c.manifest.place("functions-framework")?;
    let file = c.at.read("main.py")?;
    let mut kind = None;
    let (line, target) = file.lines().find_map(|(at, line)| {
        if let Some(decorator) = line.strip_prefix("@functions_framework.") {
            kind = Some(decorator.trim_end_matches("()").trim());
        }
        let (name, arguments) = line.strip_prefix("def ")?.split_once('(')?;
        let is_plain = arguments.starts_with("request") || arguments.starts_with("req)");
        (kind.is_some() || is_plain).then_some((at, name.trim()))
    })?;
    is_name(target).then_some(())?;
    let signature = if kind == Some("cloud_event") { " --signature-type=cloudevent" } else { "" };
    let line_of = format!("functions-framework --target={target}{signature} --port=$PORT");
    let place = Evidence::line(&file.path, Some(line));
    c.facts.framework("functions-framework", Fixed::Dependency, [place.clone()]);
    c.start(&line_of, Fixed::CloudFunction, [dependency, place], &Module::of(c.at.dir));
    c.facts.port(Port::told(8080, Rule::DefaultOf("functions-framework".to_owned()), None));
    Some(())
}

/// Voilà serves the notebooks of a folder.
pub(super) fn notebooks(c: &mut Candidate<'_>) -> Option<()> {
    let place = c.manifest.place("voila")?;
    c.at.entries()?.ending(".ipynb").next()?;
    c.facts.framework("voila", Fixed::Dependency, [place.clone()]);
    let line = "voila --no-browser --Voila.ip=0.0.0.0 --port=$PORT";
    c.start(line, Fixed::Notebooks, [place], &Module::of(c.at.dir));
    c.facts.port(Port::told(8866, Rule::DefaultOf("voila".to_owned()), None));
    c.facts.env("HOME", "/tmp");
    Some(())
}

/// `def app(environ, start_response):` of PEP 3333, `async def app(scope, receive, send):` of ASGI, without a framework.
pub(super) fn callable(c: &mut Candidate<'_>) -> Option<()> {
    let names = ["app", "application", "simple_app", "handler", "main", "asgi", "wsgi"];
    let callable = |(at, line): (usize, &str)| {
        let (rest, first, server) = match line.strip_prefix("async def ") {
            Some(rest) => (rest, "scope", "uvicorn"),
            None => (line.strip_prefix("def ")?, "environ", "gunicorn"),
        };
        let (name, arguments) = rest.split_once('(')?;
        let is_one = arguments.trim_start().starts_with(first) && names.contains(&name);
        is_one.then(|| (name.to_owned(), at, server))
    };
    let mut files = c.files.iter().filter(|file| !apps::is_aside(c.at.dir, &file.path));
    let (file, (name, at, server)) =
        files.find_map(|file| Some((file.clone(), file.lines().find_map(callable)?)))?;
    // A file that runs a server of its own knows better.
    if LISTENS[..5].iter().any(|word| file.text.contains(word)) {
        return None;
    }
    c.needs(server);
    serve(c, server, &name, Fixed::InterfaceOfServers.into(), Evidence::line(&file.path, Some(at)));
    c.facts.port(Port::told(8000, Fixed::ServerDefault, None));
    Some(())
}

/// An application of a library that no rule knows: the entry file only makes it, and a server for it is a dependency.
pub(super) fn handed_over(c: &mut Candidate<'_>) -> Option<()> {
    let servers = ["uvicorn", "hypercorn", "granian", "daphne", "gunicorn", "waitress"];
    let server = servers.into_iter().find(|server| c.manifest.has(server))?;
    let names = ["main.py", "app.py", "server.py", "asgi.py", "wsgi.py", "application.py"];
    let file = c.at.read(c.at.first_of(&names)?)?;
    let runs = ["__main__", ".run(", ".start(", "serve_forever", ".listen(", ".launch("];
    if runs.iter().any(|word| file.text.contains(word)) {
        return None;
    }
    let (at, name) = file.lines().find_map(|(at, line)| {
        let (name, value) = assignment(line)?;
        let is_one = ["app", "application", "api", "asgi", "server"].contains(&name);
        let is_call = value.starts_with(char::is_alphabetic) && value.contains('(');
        (is_one && is_call).then_some((at, name))
    })?;
    serve(c, server, name, Rule::ServedBy(server), Evidence::line(&file.path, Some(at)));
    c.facts.port(Port::told(8000, Rule::DefaultOf(server.to_owned()), None));
    Some(())
}

/// Starts a server for an object of the file at `place`.
fn serve(c: &mut Candidate<'_>, server: &str, object: &str, rule: Rule, place: Evidence) {
    let module = c.module(&place.file);
    let line = server::line(server::of(server), &module, object, false);
    c.start(&line, rule, [place], &module);
}

/// Names of files that are run where nothing else tells.
const ENTRIES: &[&str] = &[
    "main.py", "app.py", "server.py", "run.py", "start.py", "bot.py", "index.py", "__main__.py",
    "hello.py", "application.py", "api.py", "web.py", "worker.py", "cli.py",
];

/// Words of programs that listen; a number elsewhere is no port of theirs.
const LISTENS: &[&str] = &[
    "HTTPServer", "TCPServer", "make_server", "serve_forever", ".listen(", "socketserver",
    "uvicorn", "gunicorn", "WSGIServer", "grpc.server", "websockets.serve", "start_server",
    "hypercorn", "waitress", "asyncio.start_server", "add_insecure_port",
];

/// A program without a framework: a file whose name says so, a lone file, a script of the project.
pub(super) fn program(c: &mut Candidate<'_>) -> Option<()> {
    let (line, rule, place, module) = match entry(c) {
        Some(path) => {
            let module = c.module(&path);
            // `python -m pkg` runs its `__main__`.
            let line = match module.name.strip_suffix(".__main__") {
                Some(package) => format!("python -m {}", quote(package)),
                None => c.script(&path, &module),
            };
            let name = file_name(&path);
            c.is_guess = !ENTRIES.contains(&name) || name == "cli.py";
            (line, Fixed::EntryFile, Evidence::file(path), module)
        }
        None => {
            let scripts = &c.manifest.scripts;
            let own = scripts.iter().find(|one| Some(&one.name) == c.manifest.name.as_ref());
            let own = own.or_else(|| scripts.first())?.clone();
            c.needs_project = true;
            (own.name, Fixed::ProjectScript, own.place, Module::of(c.at.dir))
        }
    };
    c.start(&line, rule, [place.clone()], &module);
    let mut files = c.files.clone();
    files.retain(|file| LISTENS.iter().any(|word| file.text.contains(word)));
    let ports = source::ports(&files, PYTHON.listens);
    let found = match (ports.number, ports.env) {
        (Some((port, place)), _) => Some((port, Fixed::PortInSource, place)),
        (None, Some(place)) => Some((8000, Fixed::PortIsRead, place)),
        (None, None) => {
            // A server of a library that no rule knows: the file that is run names its address.
            let own: Vec<Rc<Text>> = c.at.project.tree.read(&place.file).into_iter().collect();
            source::address(&own).map(|(port, place)| (port, Fixed::AddressInSource, place))
        }
    };
    if let Some((port, rule, place)) = found {
        c.facts.port(Port::told(port, rule, Some(place)));
        c.health();
    }
    Some(())
}

fn entry(c: &Candidate<'_>) -> Option<String> {
    let dir = c.at.dir;
    // A package that can be run: `src/shop/__main__.py`, `shop/__main__.py`, `app/main.py`.
    let in_package = |name: &&str| {
        let is_one = |path: &&str| {
            let below = below(dir, path);
            let inner = below.strip_prefix("src/").unwrap_or(below);
            inner.matches('/').count() <= 1
                && file_name(path) == *name
                && !folders::is_beside_product(parent(below))
                && !below.starts_with("scripts/")
        };
        let paths = c.files.iter().map(|file| file.path.as_str()).filter(is_one);
        paths.min_by_key(|path| (path.matches('/').count(), *path)).map(str::to_owned)
    };
    let lone = || only(c.at.entries()?.ending(".py").filter(|name| !apps::HOOKS.contains(name)));
    let runs = |file: &&Rc<Text>| {
        let name = file_name(&file.path);
        parent(&file.path) == dir
            && file.text.contains("__name__")
            && file.text.contains("__main__")
            && !apps::HOOKS.contains(&name)
            && !["setup.py", "manage.py"].iter().any(|other| name.ends_with(other))
            && !name.starts_with("test_")
    };
    let lone_that_runs = || only(c.files.iter().filter(runs).map(|file| file_name(&file.path)));
    let of_folder = c.at.first_of(ENTRIES).map(|name| c.at.path(name));
    let serves = |file: &&Rc<Text>| LISTENS.iter().any(|word| file.text.contains(word));
    let server = only(c.files.iter().filter(|file| runs(file) && serves(file)).map(|f| &*f.path));
    // Clients and tools come behind the program that serves, unless they start it.
    let is_before = |path: &String| {
        let module = server.map(|path| file_name(path.trim_end_matches(".py")));
        let text = c.at.project.tree.read(path);
        let starts = |module| text.is_some_and(|text| imports_module(&text.text, module));
        module.is_none_or(starts)
    };
    of_folder
        .clone()
        .filter(|path| Some(path.as_str()) == server || is_before(path))
        .or_else(|| server.map(str::to_owned))
        .or(of_folder)
        .or_else(|| in_package(&"__main__.py"))
        .or_else(|| ENTRIES[..4].iter().find_map(in_package))
        .or_else(|| lone().or_else(lone_that_runs).map(|name| c.at.path(name)))
}

/// The only one of them.
fn only<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names.next().filter(|_| names.next().is_none())
}
