//! The application in the sources: the object that a server is given, the function that makes it, the file that is run.
//!
//! Python is not parsed: imports, assignments at the start of a line and calls of known classes are looked for.

use std::rc::Rc;

use super::imports::imports;
use crate::detect::{Evidence, Text, ecosystems::source};

/// How an application is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serve {
    /// An object with the interface of WSGI (PEP 3333).
    Wsgi,
    /// An object with the interface of ASGI.
    Asgi,
    /// By Hypercorn, which Quart brings along.
    Hypercorn,
    /// By the command of its own.
    Sanic,
    Streamlit,
    Chainlit,
    Panel,
    Shiny,
    Solara,
    Mesop,
    Reflex,
    Dash,
    Gradio,
    NiceGui,
    Marimo,
    Taipy,
    Robyn,
    Emmett,
    /// The file is run and listens on its own.
    Script,
    /// Takes work from a queue.
    Celery,
    /// The file is run and does not listen.
    Worker,
}

/// What is known of a framework.
#[derive(Debug)]
pub(super) struct Framework {
    /// The id.
    pub(super) id: &'static str,
    /// Its packages.
    pub(super) packages: &'static [&'static str],
    /// What is imported.
    modules: &'static [&'static str],
    /// Calls that make the application; of a framework without any the import is enough.
    classes: &'static [&'static str],
    pub(super) serve: Serve,
    /// The port it listens on by itself.
    pub(super) port: u16,
}

macro_rules! frameworks {
    ($($id:literal $packages:expr, $modules:expr, $classes:expr, $serve:ident $port:literal;)*) => {
        &[$(Framework {
            id: $id, packages: &$packages, modules: &$modules, classes: &$classes, serve: Serve::$serve, port: $port,
        }),*]
    };
}

/// In the order in which they are looked for in one file: what stands on another comes before it.
pub(super) const FRAMEWORKS: &[Framework] = frameworks! {
    "reflex" ["reflex"], ["reflex"], ["rx.App(", "reflex.App("], Reflex 3000;
    "dash" ["dash"], ["dash"], ["Dash("], Dash 8050;
    "fasthtml" ["python-fasthtml"], ["fasthtml"], ["fast_app(", "FastHTML("], Asgi 5001;
    "connexion" ["connexion"], ["connexion"], ["connexion.FlaskApp(", "connexion.App(", "FlaskApp("], Wsgi 8080;
    "fastapi" ["fastapi"], ["fastapi"], ["FastAPI("], Asgi 8000;
    "litestar" ["litestar", "starlite"], ["litestar", "starlite"], ["Litestar(", "Starlite("], Asgi 8000;
    "blacksheep" ["blacksheep"], ["blacksheep"], ["Application("], Asgi 8000;
    "quart" ["quart"], ["quart"], ["Quart("], Hypercorn 5000;
    "sanic" ["sanic"], ["sanic"], ["Sanic("], Sanic 8000;
    "robyn" ["robyn"], ["robyn"], ["Robyn("], Robyn 8080;
    "apiflask" ["apiflask"], ["apiflask"], ["APIFlask("], Wsgi 5000;
    "eve" ["eve"], ["eve"], ["Eve("], Wsgi 5000;
    "flask" ["flask"], ["flask"], ["Flask("], Wsgi 5000;
    "starlette" ["starlette"], ["starlette"], ["Starlette("], Asgi 8000;
    "falcon" ["falcon"], ["falcon"], ["falcon.App(", "falcon.API(", "falcon.asgi.App(", "App(", "API("], Wsgi 8000;
    "bottle" ["bottle"], ["bottle"], ["Bottle(", "default_app("], Wsgi 8080;
    "panther" ["panther"], ["panther"], ["Panther("], Asgi 8000;
    "responder" ["responder"], ["responder"], ["responder.API("], Asgi 5042;
    "emmett" ["emmett", "emmett55"], ["emmett", "emmett55"], ["App("], Emmett 8000;
    "microdot" ["microdot"], ["microdot"], ["Microdot("], Script 5000;
    "klein" ["klein"], ["klein"], ["Klein("], Script 8080;
    "web.py" ["web-py"], ["web"], ["web.application("], Script 8080;
    "cherrypy" ["cherrypy"], ["cherrypy"], [], Script 8080;
    "aiohttp" ["aiohttp"], ["aiohttp"], ["web.Application(", "aiohttp.web.Application("], Script 8080;
    "tornado" ["tornado"], ["tornado"], ["tornado.web.Application(", "web.Application(", "Application("], Script 8888;
    "pyramid" ["pyramid"], ["pyramid"], ["Configurator("], Script 6543;
    "chainlit" ["chainlit"], ["chainlit"], [], Chainlit 8000;
    "streamlit" ["streamlit"], ["streamlit"], [], Streamlit 8501;
    "nicegui" ["nicegui"], ["nicegui"], [], NiceGui 8080;
    "gradio" ["gradio"], ["gradio"], [], Gradio 7860;
    "mesop" ["mesop"], ["mesop"], [], Mesop 32123;
    "solara" ["solara"], ["solara"], [], Solara 8765;
    "shiny" ["shiny"], ["shiny"], [], Shiny 8000;
    "panel" ["panel"], ["panel"], [], Panel 5006;
    "marimo" ["marimo"], ["marimo"], ["marimo.App("], Marimo 2718;
    "taipy" ["taipy", "taipy-gui"], ["taipy"], ["Gui("], Taipy 5000;
    "celery" ["celery"], ["celery"], ["Celery("], Celery 0;
    "discord.py" ["discord-py", "discord", "py-cord", "nextcord", "disnake"], ["discord", "nextcord", "disnake"], [], Worker 0;
    "python-telegram-bot" ["python-telegram-bot"], ["telegram"], [], Worker 0;
    "aiogram" ["aiogram"], ["aiogram"], [], Worker 0;
};

/// The application that was found.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) framework: &'static Framework,
    /// Relative to the root of the tree.
    pub(super) file: String,
    pub(super) line: usize,
    /// What the module calls it: `app`; empty where the file is run.
    pub(super) object: String,
    /// Whether `object` is a function that makes it.
    pub(super) is_factory: bool,
    /// Falcon has a class of one name for each interface.
    pub(super) is_asgi: bool,
}

impl App {
    pub(super) fn place(&self) -> Evidence {
        Evidence::line(&self.file, Some(self.line))
    }
}

/// Names of files from the one that says most; others come behind.
const NAMES: &[&str] = &[
    "wsgi.py", "asgi.py", "main.py", "app.py", "server.py", "application.py", "run.py", "api.py",
    "index.py", "web.py", "service.py", "streamlit_app.py", "Home.py", "home.py", "bot.py",
    "__init__.py", "__main__.py", "manage.py", "hello.py",
];

/// Function names of modules that make an application.
const FACTORIES: &[&str] = &[
    "create_app(", "make_app(", "build_app(", "get_app(", "create_application(",
    "get_application(", "init_app(", "app_factory(", "create_server(", "get_asgi_application(",
    "get_wsgi_application(",
];

/// The best application in the files; `dir` is the folder of the service.
pub(super) fn find(dir: &str, files: &[Rc<Text>]) -> Option<App> {
    let mut found: Vec<App> =
        files.iter().filter(|f| !is_aside(dir, &f.path)).filter_map(in_file).collect();
    found.sort_by_key(|app| rank(dir, app, files));
    let best = found.first().cloned()?;
    let is_served =
        matches!(best.framework.serve, Serve::Wsgi | Serve::Asgi | Serve::Hypercorn | Serve::Sanic);
    if !is_served {
        return Some(best);
    }
    // `wsgi.py` takes the application from elsewhere.
    let mut passed_on: Vec<App> = files
        .iter()
        .filter(|file| !is_aside(dir, &file.path))
        .filter_map(|file| passes_on(file, &best))
        .collect();
    passed_on.push(best);
    passed_on.sort_by_key(|app| rank(dir, app, files));
    passed_on.into_iter().next()
}

type Rank = (bool, bool, bool, usize, usize, usize, String);

fn rank(dir: &str, app: &App, files: &[Rc<Text>]) -> Rank {
    let below = below(dir, &app.file);
    let inner = below.strip_prefix("src/").unwrap_or(below);
    let name = below.rsplit('/').next().unwrap_or(below);
    let at = FRAMEWORKS.iter().position(|f| f.id == app.framework.id).unwrap_or(usize::MAX);
    let is_work = matches!(app.framework.serve, Serve::Celery | Serve::Worker);
    // Of files that are run, the one that does something when it is.
    let is_run = !app.object.is_empty()
        || files.iter().any(|f| {
            f.path == app.file && (f.text.contains("__main__") || f.text.contains("run("))
        });
    (
        is_work,
        app.is_factory,
        !is_run && app.framework.serve == Serve::Script,
        inner.matches('/').count(),
        NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len()),
        at,
        app.file.clone(),
    )
}

fn below<'p>(dir: &str, path: &'p str) -> &'p str {
    if dir == "." {
        path
    } else {
        path.strip_prefix(dir).map_or(path, |p| p.trim_start_matches('/'))
    }
}

/// Tests and tools have applications of their own.
pub(super) fn is_aside(dir: &str, path: &str) -> bool {
    let below = below(dir, path);
    let (folder, name) = below.rsplit_once('/').unwrap_or(("", below));
    let is_test = name.starts_with("test_")
        || name.ends_with("_test.py")
        || name == "conftest.py"
        || name == "setup.py";
    is_test
        || source::is_beside_product(folder)
        || folder
            .split('/')
            .any(|part| matches!(part, "scripts" | "migrations" | "notebooks" | "alembic"))
}

/// The first framework of the table that makes an application in this file.
fn in_file(file: &Rc<Text>) -> Option<App> {
    let imported = imports(&file.text);
    FRAMEWORKS.iter().find_map(|framework| {
        let (module, line) = imported
            .iter()
            .find(|(m, _)| framework.modules.contains(&m.split('.').next().unwrap_or(m)))?;
        // Helpers of a framework are not it.
        if framework.classes.is_empty() {
            let is_used = framework.serve != Serve::Gradio
                || ["launch(", "Blocks(", "Interface("].iter().any(|call| file.text.contains(call));
            return is_used.then(|| App {
                framework,
                file: file.path.clone(),
                line: *line,
                object: String::new(),
                is_factory: false,
                is_asgi: false,
            });
        }
        let is_asgi =
            module.contains("asgi") || imported.iter().any(|(m, _)| m.starts_with("falcon.asgi"));
        let derived = derived(&file.text, framework.classes);
        let classes: Vec<&str> =
            framework.classes.iter().copied().chain(derived.iter().map(String::as_str)).collect();
        let found = object(file, &classes)?;
        Some(App {
            framework,
            is_asgi: is_asgi || file.text.contains("falcon.asgi.App("),
            ..found.into_app(framework, file)
        })
    })
}

/// Calls of classes that the file derives from those of the framework: `class Shop(Flask):`.
fn derived(text: &str, classes: &[&str]) -> Vec<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().trim().to_owned();
    let known: Vec<String> = classes.iter().map(|call| last(call.trim_end_matches('('))).collect();
    let definitions = text.lines().filter_map(|line| line.strip_prefix("class ")?.split_once('('));
    let is_derived = |(_, bases): &(&str, &str)| {
        let bases = bases.split(')').next().unwrap_or_default();
        bases.split(',').any(|base| known.contains(&last(base)))
    };
    let names = definitions.filter(is_derived).filter(|(name, _)| is_name(name));
    names.map(|(name, _)| format!("{name}(")).take(DERIVED_MAX).collect()
}

const DERIVED_MAX: usize = 10;

struct Object {
    name: String,
    line: usize,
    is_factory: bool,
}

impl Object {
    fn into_app(self, framework: &'static Framework, file: &Rc<Text>) -> App {
        App {
            framework,
            file: file.path.clone(),
            line: self.line,
            object: self.name,
            is_factory: self.is_factory,
            is_asgi: false,
        }
    }
}

/// `app = Class(` at the start of a line, or in a function that needs no arguments.
fn object(file: &Text, classes: &[&str]) -> Option<Object> {
    let mut function: Option<&str> = None;
    let mut factory = None;
    let mut run = None;
    let mut is_in_text = false;
    for (at, line) in file.lines() {
        // Documentation shows how it is done.
        let ends = line.matches("\"\"\"").count() + line.matches("'''").count();
        is_in_text ^= ends % 2 == 1;
        if is_in_text {
            continue;
        }
        let is_top = !line.starts_with([' ', '\t', ')', '#']);
        if is_top && !line.trim().is_empty() {
            function = line
                .strip_prefix("def ")
                .or_else(|| line.strip_prefix("async def "))
                .and_then(callable);
        }
        let Some(class) = classes.iter().find_map(|class| find_word(line, class)) else { continue };
        if line.trim_start().starts_with(['#', '"', '\''])
            || line.trim_start().starts_with("class ")
        {
            continue;
        }
        let target = line[..class].rfind('=').map(|equals| line[..equals].trim());
        let target = target.and_then(|target| target.split([',', ':']).next()).map(str::trim);
        if is_top && let Some(name) = target.filter(|name| is_name(name)) {
            return Some(Object { name: name.to_owned(), line: at, is_factory: false });
        }
        if let Some(name) = function.filter(|_| factory.is_none()) {
            factory = Some(Object { name: name.to_owned(), line: at, is_factory: true });
        }
        run.get_or_insert(at);
    }
    let called = factory.as_ref().and_then(|made| called(file, &made.name));
    // Made where the file is run, or in a function that wants something.
    let run = run.map(|line| Object { name: String::new(), line, is_factory: false });
    called.or(factory).or(run)
}

/// `app = create_app()` at the start of a line.
fn called(file: &Text, function: &str) -> Option<Object> {
    file.lines().find_map(|(at, line)| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next().unwrap_or(name).trim_end();
        let rest = value.trim_start().strip_prefix(function)?;
        let is_call = rest.starts_with('(') && is_name(name);
        is_call.then(|| Object { name: name.to_owned(), line: at, is_factory: false })
    })
}

/// The name of a function that can be called without arguments: `create_app(config=None):`.
fn callable(definition: &str) -> Option<&str> {
    let (name, rest) = definition.split_once('(')?;
    let arguments = rest.split("):").next()?.split(") ->").next()?;
    let mut depth = 0i32;
    let mut argument = String::new();
    let mut needs = false;
    for c in arguments.chars().chain([',']) {
        depth += match c {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        };
        if c != ',' || depth > 0 {
            argument.push(c);
            continue;
        }
        let text = argument.trim();
        needs |= !(text.is_empty() || text.contains('=') || text.starts_with('*') || text == "/");
        argument.clear();
    }
    (is_name(name.trim()) && !needs).then(|| name.trim())
}

/// `app = create_app()` or `from shop import app` in a file that is made for servers, or is run.
fn passes_on(file: &Text, best: &App) -> Option<App> {
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    if file.path == best.file || !NAMES[..9].contains(&name) {
        return None;
    }
    let app = |name: &str, line: usize| App {
        file: file.path.clone(),
        line,
        object: name.to_owned(),
        is_factory: false,
        ..best.clone()
    };
    file.lines().find_map(|(at, line)| {
        if let Some((target, value)) = line.split_once('=')
            && is_name(target.trim())
            && !line.starts_with([' ', '\t', '#'])
            && (FACTORIES.iter().any(|call| find_word(value, call).is_some())
                || best.is_factory && value.trim_start().starts_with(&format!("{}(", best.object)))
        {
            return Some(app(target.trim(), at));
        }
        let (_, names) = line.strip_prefix("from ")?.split_once(" import ")?;
        names.split(',').find_map(|name| {
            let (name, alias) = name.split_once(" as ").unwrap_or((name, name));
            let alias = alias.split('#').next().unwrap_or(alias).trim();
            let is_app = matches!(name.trim(), "app" | "application" | "server")
                && name.trim() == best.object
                || name.trim() == best.object && matches!(alias, "app" | "application");
            (is_app && !best.is_factory).then(|| app(alias, at))
        })
    })
}

/// Where `word` stands in the line, not as the end of a longer name.
fn find_word(line: &str, word: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = line[from..].find(word) {
        let at = from + found;
        if !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            return Some(at);
        }
        from = at + word.len();
    }
    None
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn files(files: &[(&str, &str)]) -> Vec<Rc<Text>> {
        files
            .iter()
            .map(|(path, text)| Rc::new(Text { path: (*path).into(), text: (*text).into() }))
            .collect()
    }

    #[track_caller]
    fn check(texts: &[(&str, &str)], id: &str, file: &str, object: &str, is_factory: bool) {
        let app = find(".", &files(texts)).unwrap();
        let found = (app.framework.id, app.file.as_str(), app.object.as_str(), app.is_factory);
        assert_eq!(found, (id, file, object, is_factory));
    }

    #[test]
    fn objects_are_found_by_their_class() {
        check(
            &[("app.py", "from flask import Flask\napp = Flask(__name__)\n")],
            "flask",
            "app.py",
            "app",
            false,
        );
        check(
            &[("x.py", "import fastapi\napi: fastapi.FastAPI = fastapi.FastAPI()\n")],
            "fastapi",
            "x.py",
            "api",
            false,
        );
        check(
            &[("main.py", "from fasthtml.common import *\napp, rt = fast_app()\n")],
            "fasthtml",
            "main.py",
            "app",
            false,
        );
        check(
            &[(
                "main.py",
                "from flask import Flask\nimport dash\nserver = Flask(__name__)\napp = dash.Dash(server=server)\n",
            )],
            "dash",
            "main.py",
            "app",
            false,
        );
    }

    #[test]
    fn a_function_that_makes_the_application_is_second_best() {
        let factory = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n";
        check(&[("shop/__init__.py", factory)], "flask", "shop/__init__.py", "create_app", true);
        check(
            &[
                ("shop/__init__.py", factory),
                ("wsgi.py", "from shop import create_app\napplication = create_app()\n"),
            ],
            "flask",
            "wsgi.py",
            "application",
            false,
        );
        let both = format!("{factory}app = create_app()\n");
        check(&[("shop.py", &both)], "flask", "shop.py", "app", false);
        let wants = "from flask import Flask\ndef create_app(config):\n    app = Flask(__name__)\n";
        check(&[("a.py", wants)], "flask", "a.py", "", false);
    }

    #[test]
    fn an_application_may_be_of_a_class_of_its_own() {
        let own = "from flask import Flask\nclass Shop(Flask):\n    pass\ndef create_app():\n    app = Shop(__name__)\n    return app\n";
        check(&[("shop/app.py", own)], "flask", "shop/app.py", "create_app", true);
        let served = ("shop/wsgi.py", "from shop.app import create_app\napp = create_app()\n");
        check(&[("shop/app.py", own), served], "flask", "shop/wsgi.py", "app", false);
    }

    #[test]
    fn tests_have_applications_of_their_own() {
        let app = "from flask import Flask\napp = Flask(__name__)\n";
        check(&[("tests/app.py", app), ("web/site.py", app)], "flask", "web/site.py", "app", false);
        assert!(find(".", &files(&[("test_app.py", app)])).is_none());
    }

    #[test]
    fn a_server_comes_before_a_worker() {
        let worker = ("celery_app.py", "from celery import Celery\ncelery = Celery('x')\n");
        check(&[worker], "celery", "celery_app.py", "celery", false);
        let deep = ("a/b/c.py", "from fastapi import FastAPI\napp = FastAPI()\n");
        check(&[worker, deep], "fastapi", "a/b/c.py", "app", false);
    }

    #[test]
    fn functions_that_want_arguments_are_told_apart() {
        assert_eq!(
            callable("create_app(config=None, *, x: int = 1) -> Flask:"),
            Some("create_app")
        );
        assert_eq!(callable("f():"), Some("f"));
        assert_eq!(callable("f(a):"), None);
        assert_eq!(callable("f(a: Dict[str, int] = {}):"), Some("f"));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "from flask import Flask, x as y\nimport os, dash\ndef create_app(a=1, *b):\n    app = Flask(__name__)\nserver: X = Flask(\n";
        mutate(seed.as_bytes(), b"()=,:. \n\t#\xc3", 3000, |data| {
            let text = String::from_utf8_lossy(data).into_owned();
            drop(find(".", &[Rc::new(Text { path: "app.py".into(), text })]));
        });
    }
}
