//! What runs: the server and its arguments, the port, what the program needs of its surroundings.

use std::rc::Rc;

use super::{
    apps::{App, Serve},
    django::Django,
    imports,
    manifest::Manifest,
};
use crate::detect::{
    Evidence, Project, Text,
    ecosystems::{
        draft::{quote, relative},
        source,
    },
    join, parent,
};

/// How a service is started.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// A line for a shell, or words in exec form when it needs none.
    pub(super) line: String,
    pub(super) rule: String,
    pub(super) place: Option<Evidence>,
    /// Folder it runs in, relative to the root of the tree.
    pub(super) run_dir: String,
    /// Folder whose modules are found although it is not `run_dir`.
    pub(super) module_dir: Option<String>,
    /// Packages that are needed on top of those of the manifest.
    pub(super) adds: Vec<String>,
    pub(super) port: Option<(u16, String, Option<Evidence>)>,
    pub(super) env: Vec<(&'static str, String)>,
    pub(super) health: Option<(String, String)>,
    /// Commands of the build, run in `run_dir`.
    pub(super) build: Vec<String>,
    /// The program is one of the project's own.
    pub(super) needs_project: bool,
    /// The file has no name that tells of an entry.
    pub(super) is_guess: bool,
}

/// Where a file is run, and what it is called there as a module.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) run_dir: String,
    pub(super) module_dir: Option<String>,
}

pub(super) fn module(project: &Project<'_>, dir: &str, file: &str, files: &[Rc<Text>]) -> Module {
    let below = if dir == "." { file } else { file.get(dir.len() + 1..).unwrap_or(file) };
    let stem = below.strip_suffix(".py").unwrap_or(below);
    let folder = parent(below);
    let plain = |path: &str| path.trim_end_matches("/__init__").replace('/', ".");
    let at = |name: String| Module { name, run_dir: dir.to_owned(), module_dir: None };
    if folder == "." {
        return at(plain(stem));
    }
    let text = files.iter().find(|text| text.path == file);
    let is_in = |top: &str, name: &str| {
        let path = join(top, name);
        project.tree.has(&format!("{path}.py")) || project.tree.has_dir(&path)
    };
    let inner = join(dir, folder);
    let uses_sibling = |top: &str| {
        let is_sibling = |name: &str| is_in(&inner, name) && !is_in(top, name);
        inner != top && text.is_some_and(|text| imports::imports_sibling(&text.text, &is_sibling))
    };
    let here = |stem: &str| Module {
        name: stem.rsplit('/').next().unwrap_or(stem).to_owned(),
        run_dir: inner.clone(),
        module_dir: None,
    };
    if let Some(rest) = stem.strip_prefix("src/")
        && !files.iter().any(|text| imports::imports_module(&text.text, "src"))
    {
        let src = join(dir, "src");
        if uses_sibling(&src) {
            return here(stem);
        }
        return Module { name: plain(rest), run_dir: dir.to_owned(), module_dir: Some(src) };
    }
    if uses_sibling(dir) && !stem.ends_with("/__init__") {
        return here(stem);
    }
    at(plain(stem))
}

/// The command for an application that was found in the sources.
pub(super) fn app(
    project: &Project<'_>,
    manifest: &Manifest,
    app: &App,
    files: &[Rc<Text>],
) -> Start {
    let dir = manifest.dir.as_str();
    let module = module(project, dir, &app.file, files);
    let own: Vec<Rc<Text>> = files.iter().filter(|file| file.path == app.file).cloned().collect();
    let mut start = Start {
        rule: format!("application of {}", app.framework.id),
        place: Some(app.place()),
        run_dir: module.run_dir.clone(),
        module_dir: module.module_dir.clone(),
        port: Some(port(app, &own, files)),
        ..Start::default()
    };
    let has = |name: &str| manifest.has(name);
    let file = relative(&module.run_dir, &app.file);
    let file = quote(&file);
    let target = match app.object.as_str() {
        "" => String::new(),
        object => format!("{}:{object}", module.name),
    };
    let wsgi = if app.is_factory { quote(&format!("{target}()")) } else { target.clone() };
    let serve = match app.framework.serve {
        Serve::Wsgi if app.is_asgi => Serve::Asgi,
        Serve::Wsgi | Serve::Asgi | Serve::Hypercorn | Serve::Sanic if target.is_empty() => {
            Serve::Script
        }
        serve => serve,
    };
    let factory = if app.is_factory { " --factory" } else { "" };
    let text = own.first().map(|text| text.text.as_str()).unwrap_or_default();
    match serve {
        Serve::Wsgi if has("uwsgi") && !has("gunicorn") => {
            let (module, object) = target.split_once(':').unwrap_or((&target, "app"));
            let call = if app.is_factory { format!("'{object}()'") } else { object.to_owned() };
            start.line =
                format!("uwsgi --http 0.0.0.0:$PORT --master --module {module} --callable {call}");
        }
        Serve::Wsgi if has("waitress") && !has("gunicorn") && !app.is_factory => {
            start.line = format!("waitress-serve --host=0.0.0.0 --port=$PORT {target}");
        }
        Serve::Wsgi => {
            start.needs(manifest, "gunicorn");
            let threads = if has("flask-socketio") { " --workers 1 --threads 100" } else { "" };
            start.line = format!("gunicorn --bind 0.0.0.0:$PORT{threads} {wsgi}");
        }
        Serve::Asgi if has("hypercorn") && !has("uvicorn") && !app.is_factory => {
            start.line = format!("hypercorn --bind 0.0.0.0:$PORT {target}");
        }
        Serve::Asgi if has("granian") && !has("uvicorn") => {
            start.line =
                format!("granian --interface asgi --host 0.0.0.0 --port $PORT{factory} {target}");
        }
        Serve::Asgi => {
            if app.framework.id != "fasthtml" {
                start.needs(manifest, "uvicorn");
            }
            start.line = format!("uvicorn --host 0.0.0.0 --port $PORT{factory} {target}");
        }
        Serve::Hypercorn => {
            start.line = format!("hypercorn --bind 0.0.0.0:$PORT {wsgi}");
        }
        Serve::Sanic => start.line = format!("sanic {wsgi} --host=0.0.0.0 --port=$PORT"),
        Serve::Streamlit => {
            start.line = format!(
                "streamlit run {file} --server.address=0.0.0.0 --server.port=$PORT --server.headless=true"
            );
            start.health = Some(("/_stcore/health".to_owned(), "path of Streamlit".to_owned()));
            start.env.push(("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false".to_owned()));
            start.env.push(("HOME", "/tmp".to_owned()));
        }
        Serve::Chainlit => {
            start.line = format!("chainlit run {file} --host 0.0.0.0 --port $PORT --headless");
            // It writes its settings and uploads beside the program.
            start.build.push(
                "mkdir -p .chainlit/translations .files && touch chainlit.md && \
                 chmod -R a+rwX .chainlit .files chainlit.md"
                    .to_owned(),
            );
        }
        Serve::Panel => {
            start.line = format!(
                "panel serve {file} --address 0.0.0.0 --port $PORT --allow-websocket-origin='*'"
            );
        }
        Serve::Shiny => start.line = format!("shiny run --host 0.0.0.0 --port $PORT {file}"),
        Serve::Solara => {
            start.line = format!("solara run {file} --host 0.0.0.0 --port $PORT --production");
        }
        Serve::Mesop => start.line = format!("gunicorn --bind 0.0.0.0:$PORT {}:me", module.name),
        Serve::Reflex => {
            start.line =
                "reflex run --env prod --single-port --backend-host 0.0.0.0 --backend-port $PORT"
                    .to_owned();
        }
        Serve::Dash => {
            let server = text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                let is_server =
                    value.trim().ends_with(".server") && !line.starts_with([' ', '\t', '#']);
                is_server.then(|| name.trim().to_owned())
            });
            match server {
                Some(name) if has("gunicorn") => {
                    start.line = format!("gunicorn --bind 0.0.0.0:$PORT {}:{name}", module.name);
                }
                _ => {
                    start.line = format!("python {file}");
                    start.env.push(("HOST", "0.0.0.0".to_owned()));
                }
            }
        }
        Serve::Gradio => {
            start.line = script(&file, text, &module.name);
            start.env.push(("GRADIO_SERVER_NAME", "0.0.0.0".to_owned()));
            let port = start.port.as_ref().map_or(0, |(port, ..)| *port);
            start.env.push(("GRADIO_SERVER_PORT", port.to_string()));
        }
        Serve::Marimo => {
            start.line = format!("marimo run {file} --host 0.0.0.0 --port $PORT --headless");
            start.env.push(("HOME", "/tmp".to_owned()));
        }
        Serve::Taipy => {
            start.line = format!("taipy run {file} --host 0.0.0.0 --port $PORT --no-reloader");
        }
        Serve::NiceGui => {
            start.line = script(&file, text, &module.name);
            start.env.push(("NICEGUI_STORAGE_PATH", "/tmp/nicegui".to_owned()));
        }
        Serve::Emmett => {
            start.line = format!("emmett -a {file} serve --host 0.0.0.0 --port $PORT");
        }
        Serve::Robyn => {
            start.line = script(&file, text, &module.name);
            let port = start.port.as_ref().map_or(0, |(port, ..)| *port);
            start.env.push(("ROBYN_HOST", "0.0.0.0".to_owned()));
            start.env.push(("ROBYN_PORT", port.to_string()));
        }
        Serve::Celery => {
            start.line = format!("celery --app {} worker --loglevel info", module.name);
            start.port = None;
        }
        Serve::Worker => {
            start.line = script(&file, text, &module.name);
            start.port = None;
        }
        Serve::Script if app.framework.id == "pyramid" && pyramid(project, dir).is_some() => {
            let settings = pyramid(project, dir).unwrap_or_default();
            start.line = format!("pserve {settings} http_host=0.0.0.0 http_port=$PORT");
            start.run_dir = dir.to_owned();
            start.needs_project = manifest.has_setup;
        }
        Serve::Script => {
            start.line = script(&file, text, &module.name);
            // What the file does by itself listens where it says.
            if app.framework.id == "flask" {
                start.line = format!("flask --app {} run --host 0.0.0.0 --port $PORT", module.name);
            }
        }
    }
    if start.port.is_some() && start.health.is_none() {
        start.health = health(files);
    }
    start
}

/// Settings file of `pserve`.
fn pyramid(project: &Project<'_>, dir: &str) -> Option<&'static str> {
    let entries = project.tree.entries(dir)?;
    entries.first_of(&["production.ini", "development.ini"])
}

impl Start {
    pub(super) fn needs(&mut self, manifest: &Manifest, server: &str) {
        if !manifest.has(server) {
            self.adds.push(server.to_owned());
        }
    }
}

/// Runs a file; as a module when it takes others from its own package.
fn script(file: &str, text: &str, module: &str) -> String {
    let first = module.split('.').next().unwrap_or(module);
    let is_nested = module.contains('.');
    let is_relative = text.lines().any(|line| line.trim_start().starts_with("from ."));
    if is_nested && (is_relative || imports::imports_module(text, first)) {
        return format!("python -m {module}");
    }
    format!("python {file}")
}

/// What the file that is run says, else what the framework does.
fn port(app: &App, own: &[Rc<Text>], files: &[Rc<Text>]) -> (u16, String, Option<Evidence>) {
    let ports = source::ports(own, LISTEN);
    if let Some((port, place)) = ports.number {
        return (port, "port in the source".to_owned(), Some(place));
    }
    // Elsewhere only what is said together with `PORT`, or where the application is run.
    let run: Vec<Rc<Text>> = files.iter().filter(|f| f.text.contains(".run(")).cloned().collect();
    let elsewhere = source::ports(&run, LISTEN);
    if let (Some(_), Some((port, place))) = (elsewhere.env, elsewhere.number) {
        return (port, "port in the source".to_owned(), Some(place));
    }
    let id = app.framework.id;
    (app.framework.port, format!("default of {id}"), None)
}

const LISTEN: &[&str] = &[
    ".run(", "run_app(", "run_simple(", ".listen(", "serve(", "serve_forever", "HTTPServer(",
    "TCPServer(", ".bind(", "make_server(", "launch(", "run(", "WSGIServer((",
];

/// Django: a server for its module, static files collected when something serves them.
pub(super) fn django(manifest: &Manifest, django: &Django, files: &[Rc<Text>]) -> Start {
    let mut start = Start {
        rule: "project of Django".to_owned(),
        place: Some(django.place.clone()),
        run_dir: django.root.clone(),
        port: Some((8000, "default of Django".to_owned(), None)),
        health: health(files),
        ..Start::default()
    };
    let has = |name: &str| manifest.has(name);
    match (&django.wsgi, &django.asgi) {
        (_, Some((target, place))) if has("daphne") && !has("gunicorn") => {
            start.line = format!("daphne -b 0.0.0.0 -p $PORT {target}");
            start.place = Some(place.clone());
        }
        (_, Some((target, place))) if has("uvicorn") && !has("gunicorn") => {
            start.line = format!("uvicorn --host 0.0.0.0 --port $PORT {target}");
            start.place = Some(place.clone());
        }
        (Some((target, place)), _) if has("waitress") && !has("gunicorn") => {
            start.line = format!("waitress-serve --host=0.0.0.0 --port=$PORT {target}");
            start.place = Some(place.clone());
        }
        (Some((target, place)), _) => {
            start.needs(manifest, "gunicorn");
            let module = target.strip_suffix(":application").unwrap_or(target);
            start.line = format!("gunicorn --bind 0.0.0.0:$PORT {module}");
            start.place = Some(place.clone());
        }
        (None, Some((target, place))) => {
            start.needs(manifest, "uvicorn");
            start.line = format!("uvicorn --host 0.0.0.0 --port $PORT {target}");
            start.place = Some(place.clone());
        }
        (None, None) => start.line = "python manage.py runserver 0.0.0.0:$PORT".to_owned(),
    }
    let values: String = django
        .stand_ins()
        .iter()
        .map(|(name, value)| format!("{name}={} ", quote(value)))
        .collect();
    if django.keeps_a_file() {
        // Tables of a database that is there from the first start on.
        start.build.push(format!("{values}python manage.py migrate --noinput"));
    }
    let collects = has("whitenoise") || django.setting("whitenoise").is_some();
    if collects && django.setting("STATIC_ROOT").is_some() {
        start.build.push(format!("{values}python manage.py collectstatic --noinput"));
    }
    start
}

/// Names of files that are run where nothing else tells.
const ENTRIES: &[&str] = &[
    "main.py", "app.py", "server.py", "run.py", "start.py", "bot.py", "index.py", "__main__.py",
    "hello.py", "application.py", "api.py", "web.py", "worker.py", "cli.py",
];

/// A program without a framework: a script of the project, a file whose name says so, a lone file.
pub(super) fn plain(
    project: &Project<'_>,
    manifest: &Manifest,
    files: &[Rc<Text>],
) -> Option<Start> {
    let dir = manifest.dir.as_str();
    let file = entry(project, dir, files);
    let mut start = match file {
        Some(path) => {
            let at = module(project, dir, &path, files);
            let name = relative(&at.run_dir, &path);
            let text = project.tree.read(&path);
            let text = text.as_ref().map(|text| text.text.as_str()).unwrap_or_default();
            // `python -m pkg` runs its `__main__`.
            let line = match at.name.strip_suffix(".__main__") {
                Some(package) => format!("python -m {package}"),
                None => script(&quote(&name), text, &at.name),
            };
            let named = path.rsplit('/').next().unwrap_or_default();
            Start {
                line,
                is_guess: !ENTRIES.contains(&named) || named == "cli.py",
                rule: "entry file".to_owned(),
                place: Some(Evidence::file(path)),
                run_dir: at.run_dir,
                module_dir: at.module_dir,
                ..Start::default()
            }
        }
        None => {
            let script =
                manifest.scripts.iter().find(|script| Some(&script.name) == manifest.name.as_ref());
            let script = script.or_else(|| manifest.scripts.first())?;
            Start {
                line: script.name.clone(),
                rule: "script of the project".to_owned(),
                place: Some(script.place.clone()),
                run_dir: dir.to_owned(),
                needs_project: true,
                ..Start::default()
            }
        }
    };
    let listens = |file: &&Rc<Text>| LISTENS.iter().any(|word| file.text.contains(word));
    let listening: Vec<Rc<Text>> = files.iter().filter(listens).cloned().collect();
    let ports = source::ports(&listening, LISTEN);
    start.port = match (ports.number, ports.env) {
        (Some((port, place)), _) => Some((port, "port in the source".to_owned(), Some(place))),
        (None, Some(place)) => Some((8000, "`PORT` is read".to_owned(), Some(place))),
        (None, None) => None,
    };
    if start.port.is_none()
        && let Some(Evidence { file, .. }) = &start.place
    {
        // A server of a library that no rule knows: the file that is run names its address.
        let own: Vec<Rc<Text>> = project.tree.read(file).into_iter().collect();
        let found = source::address(&own);
        start.port = found.map(|(port, at)| (port, "address in the source".to_owned(), Some(at)));
    }
    if start.port.is_some() {
        start.health = health(files);
    }
    Some(start)
}

/// Words of programs that listen; a number elsewhere is no port of theirs.
pub(super) const LISTENS: &[&str] = &[
    "HTTPServer", "TCPServer", "make_server", "serve_forever", ".listen(", "socketserver",
    "uvicorn", "gunicorn", "WSGIServer", "grpc.server", "websockets.serve", "start_server",
    "hypercorn", "waitress", "asyncio.start_server", "add_insecure_port",
];

fn entry(project: &Project<'_>, dir: &str, files: &[Rc<Text>]) -> Option<String> {
    let own = |name: &str| Some(join(dir, name)).filter(|path| project.tree.has(path));
    let package = |name: &str| {
        // A package that can be run: `src/shop/__main__.py`, `shop/__main__.py`, `app/main.py`.
        let depth = |path: &str| path.matches('/').count();
        let is_one = |file: &&Rc<Text>| {
            let below = if dir == "." {
                file.path.as_str()
            } else {
                file.path.get(dir.len() + 1..).unwrap_or("")
            };
            let inner = below.strip_prefix("src/").unwrap_or(below);
            inner.matches('/').count() <= 1
                && below.rsplit('/').next() == Some(name)
                && !source::is_beside_product(parent(below))
                && !below.starts_with("scripts/")
        };
        files
            .iter()
            .filter(is_one)
            .map(|file| file.path.clone())
            .min_by_key(|path| (depth(path), path.clone()))
    };
    let lone = || {
        let entries = project.tree.entries(dir)?;
        let mut names = entries.ending(".py").filter(|name| {
            !matches!(*name, "setup.py" | "conftest.py" | "noxfile.py" | "__init__.py")
        });
        let only = names.next()?;
        names.next().is_none().then(|| join(dir, only))
    };
    let runs = || {
        let is_one = |file: &&Rc<Text>| {
            parent(&file.path) == dir
                && file.text.contains("__name__")
                && file.text.contains("__main__")
                && !file.path.ends_with("setup.py")
                && !file.path.ends_with("manage.py")
                && !file.path.rsplit('/').next().unwrap_or("").starts_with("test_")
        };
        let mut all = files.iter().filter(is_one);
        let only = all.next()?;
        all.next().is_none().then(|| only.path.clone())
    };
    ENTRIES
        .iter()
        .find_map(|name| own(name))
        .or_else(|| package("__main__.py"))
        .or_else(|| ENTRIES[..4].iter().find_map(|name| package(name)))
        .or_else(lone)
        .or_else(runs)
}

/// Paths that are mostly there to ask whether a service is well, where the source has one of them as a route.
pub(super) fn health(files: &[Rc<Text>]) -> Option<(String, String)> {
    const PATHS: &[&str] = &[
        "/healthz", "/health", "/healthz/", "/health/", "/api/health", "/api/health/",
        "/api/healthz", "/healthcheck", "/health-check", "/health_check", "/livez", "/readyz",
        "/ping",
    ];
    let found = |path: &&&str| {
        ["\"", "'"].iter().find_map(|quote| {
            let needle = format!("{quote}{path}{quote}");
            files.iter().find_map(|file| {
                let is_route = |line: &str| {
                    line.contains(&needle)
                        && ROUTES.iter().any(|word| line.contains(word))
                        && !line.trim_start().starts_with('#')
                };
                let at = file.lines().find(|(_, line)| is_route(line))?.0;
                Some(format!("route at {}:{at}", file.path))
            })
        })
    };
    PATHS.iter().find_map(|path| Some(((*path).to_owned(), found(&path)?)))
}

/// What a line that declares a route holds.
const ROUTES: &[&str] = &[
    "@", "route(", "Route(", "add_get(", "add_route(", "add_api_route(", "path(", "add_url_rule(",
    "add_view(", "@get(",
];
