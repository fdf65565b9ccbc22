//! The application in the sources: the object that a server is given, the function that makes it, the file that is run.
//!
//! Python is not parsed: imports, assignments at the start of a line and calls of known classes are looked for.

use super::{
    frameworks::{App, FRAMEWORKS, Own, Serve},
    imports::{assignment, imports, is_name},
};
use crate::detect::{paths::below, prelude::*};

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
    let vendored = vendored(dir, files);
    let is_own = |file: &&Rc<Text>| {
        let is_copy = is_framework(file_name(&file.path).trim_end_matches(".py"))
            || vendored.iter().any(|folder| is_below(&file.path, folder));
        !is_aside(dir, &file.path) && !is_copy
    };
    let own: Vec<&Rc<Text>> = files.iter().filter(is_own).collect();
    let best = |apps: Vec<App>| apps.into_iter().min_by_key(|app| rank(dir, app, files));
    let found = best(own.iter().filter_map(|file| in_file(file)).collect())?;
    if let Some(launched) = own.iter().find_map(|file| launched(dir, file, &found)) {
        return Some(launched);
    }
    if let Some(started) = own.iter().find_map(|file| started_by(dir, file, &found, &own)) {
        return Some(started);
    }
    if !matches!(found.own.serve, Serve::Wsgi | Serve::Asgi | Serve::Brings(_)) {
        return Some(found);
    }
    // `wsgi.py` takes the application from elsewhere.
    let passed_on = own.iter().filter_map(|file| passes_on(file, &found));
    best(passed_on.chain([found.clone()]).collect())
}

/// The application as a file of the folder itself runs it that takes it from its module: `from shop.web import app`.
fn launched(dir: &str, file: &Text, found: &App) -> Option<App> {
    let inner = below(dir, &found.file);
    let stem = inner.strip_prefix("src/").unwrap_or(inner).trim_end_matches(".py");
    let module = stem.trim_end_matches("/__init__").replace('/', ".");
    let package = module.rsplit_once('.').map_or("", |(package, _)| package);
    let takes = || {
        let mut imported = imports(&file.text).into_iter().map(|(name, _)| name);
        file.text.contains(&format!("{module}:"))
            || imported.any(|name| name == module || name == package)
    };
    let is_one = parent(&file.path) == dir
        && file.path != found.file
        && file.text.contains("__main__")
        && takes();
    let calls: &[&str] = match found.own.serve {
        _ if !is_one => &[],
        Serve::Script | Serve::Line("{script}") => &[".run(", ".launch(", "run_app(", ".start("],
        // The server of Flask is for development.
        Serve::Wsgi if listens_to_all(file) => &["serve(", "WSGIServer(", "socketio.run("],
        Serve::Asgi if listens_to_all(file) => ASGI_CALLS,
        _ => &[],
    };
    let (line, _) = file.lines().find(|(_, line)| calls.iter().any(|call| line.contains(call)))?;
    let own = Own { serve: Serve::Script, code: None, ..found.own };
    Some(App { file: file.path.clone(), line, object: String::new(), own, ..found.clone() })
}

/// The application as a file of the folder itself runs it that calls the package: `from shop import main`, and `main()`.
/// The package has a server; an object in one of its modules may be incomplete until then.
fn started_by(dir: &str, file: &Text, found: &App, own: &[&Rc<Text>]) -> Option<App> {
    let package = below(dir, &found.file).split_once('/')?.0;
    let is_of = |name: &str| name.split('.').next() == Some(package);
    let (guard, _) = file.lines().find(|(_, line)| line.starts_with("if __name__"))?;
    let calls = |line: &str| {
        let code = line.trim_start();
        ["main(", ".main(", ".run(", "cli(", ".start("].iter().any(|call| {
            let name = code.split('(').next().unwrap_or_default();
            code.contains(call) && name.split('.').all(is_name)
        })
    };
    let has_server = |text: &Rc<Text>| {
        below(dir, &text.path).split('/').next() == Some(package)
            && SERVERS.iter().any(|call| text.text.contains(call))
    };
    let serves = |text: &&Rc<Text>| text.path == found.file && text.text.contains("__main__");
    let is_part = match found.own.serve {
        Serve::Wsgi | Serve::Asgi => true,
        Serve::Script => !own.iter().any(serves),
        _ => false,
    };
    let is_one = parent(&file.path) == dir
        && is_part
        && imports(&file.text).iter().any(|(name, _)| is_of(name))
        && file.lines().any(|(at, line)| at > guard && calls(line))
        && own.iter().any(|text| has_server(text));
    let script = Own { serve: Serve::Script, code: None, ..found.own };
    let (path, object) = (file.path.clone(), String::new());
    is_one.then(|| App { file: path, line: guard, object, own: script, ..found.clone() })
}

/// Servers of production that a program starts by itself.
pub(super) const SERVERS: &[&str] = &[
    "WSGIServer(", "HTTPServer(", "waitress.serve(", "socketio.run(", "uvicorn.run(", "hypercorn",
    "make_server(", "cheroot", "web.run_app(", "uvicorn.Server(", "cherrypy.server.start(",
    "cherrypy.engine.start(", "cherrypy.quickstart(",
];

/// Folders of other projects' code in the tree: those with a framework's own package, `lib/` where there is
/// `lib/cherrypy/__init__.py`; beside the project's own code, that package alone.
fn vendored<'f>(dir: &str, files: &'f [Rc<Text>]) -> Vec<&'f str> {
    let package = |file: &'f Rc<Text>| {
        let package = file.path.strip_suffix("/__init__.py")?;
        is_framework(file_name(package)).then_some(())?;
        let above = parent(package);
        let is_own = above == dir || file_name(above) == "src";
        Some(if is_own { package } else { above })
    };
    files.iter().filter_map(package).collect()
}

fn is_framework(module: &str) -> bool {
    FRAMEWORKS.iter().any(|known| known.marks.contains(&module))
}

/// Calls that serve an application of ASGI.
pub(super) const ASGI_CALLS: &[&str] = &["uvicorn.run(", "hypercorn", "granian", "Server("];

/// Whether a program that serves is reached from elsewhere, and is not run for development.
pub(super) fn listens_to_all(file: &Text) -> bool {
    ["0.0.0.0", "\"::\""].iter().any(|host| file.text.contains(host))
        && !file.text.contains("reload=True")
}

type Rank = (bool, bool, bool, usize, usize, Option<usize>, String);

fn rank(dir: &str, app: &App, files: &[Rc<Text>]) -> Rank {
    let below = below(dir, &app.file);
    let inner = below.strip_prefix("src/").unwrap_or(below);
    // Of files that are run, the one that does something when it is.
    let does = |file: &Rc<Text>| file.text.contains("__main__") || file.text.contains("run(");
    let is_run = !app.object.is_empty() || files.iter().any(|f| f.path == app.file && does(f));
    (
        app.is_worker(),
        app.is_factory,
        !is_run && app.own.serve == Serve::Script,
        inner.matches('/').count(),
        NAMES.iter().position(|known| *known == file_name(below)).unwrap_or(NAMES.len()),
        FRAMEWORKS.iter().position(|framework| framework.id == app.framework.id),
        app.file.clone(),
    )
}

/// Files that tools run: builds, tests, tasks, servers that read their settings.
pub(super) const HOOKS: &[&str] = &[
    "__init__.py", "conftest.py", "dodo.py", "fabfile.py", "gunicorn.conf.py",
    "gunicorn_config.py", "gunicorn_conf.py", "hatch_build.py", "noxfile.py", "pavement.py",
    "pdm_build.py", "setup.py", "versioneer.py",
];

/// Tests and tools have applications of their own.
pub(super) fn is_aside(dir: &str, path: &str) -> bool {
    let below = below(dir, path);
    let (folder, name) = below.rsplit_once('/').unwrap_or(("", below));
    let asides = ["scripts", "migrations", "notebooks", "alembic"];
    name.starts_with("test_")
        || name.ends_with("_test.py")
        || name != "__init__.py" && HOOKS.contains(&name)
        || folders::is_beside_product(folder)
        || folder.split('/').any(|part| asides.contains(&part))
}

/// The first framework of the table that makes an application in this file.
fn in_file(file: &Rc<Text>) -> Option<App> {
    let imported = imports(&file.text);
    let has = |text: &&str| file.text.contains(*text);
    FRAMEWORKS.iter().find_map(|framework| {
        let own = framework.own?;
        let modules = if own.modules.is_empty() { framework.marks } else { own.modules };
        let is_known = |name: &str| modules.contains(&name.split('.').next().unwrap_or(name));
        let (module, line) = imported.iter().find(|(name, _)| is_known(name))?;
        let is_used = own.uses.is_empty() || own.uses.iter().any(has);
        let (object, line, is_factory) = match own.calls {
            [] => is_used.then(|| (String::new(), *line, false))?,
            calls => object(file, calls)?,
        };
        let is_asgi = module.contains("asgi")
            || imported.iter().any(|(name, _)| name.starts_with("falcon.asgi"))
            || has(&"falcon.asgi.App(");
        Some(App { framework, own, file: file.path.clone(), line, object, is_factory, is_asgi })
    })
}

/// Calls of classes that the file derives from those of the framework: `class Shop(Flask):`.
fn derived(text: &str, calls: &[&str]) -> Vec<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().trim().to_owned();
    let known: Vec<String> = calls.iter().map(|call| last(call.trim_end_matches('('))).collect();
    let definitions = text.lines().filter_map(|line| line.strip_prefix("class ")?.split_once('('));
    let is_derived = |(name, bases): &(&str, &str)| {
        let bases = bases.split(')').next().unwrap_or_default();
        is_name(name) && bases.split(',').any(|base| known.contains(&last(base)))
    };
    let names = definitions.filter(is_derived).map(|(name, _)| format!("{name}("));
    names.take(DERIVED_MAX).collect()
}

const DERIVED_MAX: usize = 10;

/// An object's name (none: the file is run), the line where it is made, and whether it is a function that makes it.
type Object = (String, usize, bool);

/// `app = Class(` at the start of a line, or in a function that needs no arguments.
fn object(file: &Text, calls: &[&str]) -> Option<Object> {
    let derived = derived(&file.text, calls);
    let find = |line: &str| {
        let all = calls.iter().copied().chain(derived.iter().map(String::as_str));
        all.into_iter().find_map(|call| find_word(line, call))
    };
    let mut function: Option<&str> = None;
    // `try:` and its like, whose names are those of the module.
    let mut is_block = false;
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
            let definition = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ");
            function = definition.and_then(callable);
            let word = line.split([' ', ':', '(']).next().unwrap_or_default();
            is_block = BLOCKS.contains(&word) && !line.contains("__name__");
        }
        let Some(class) = find(line) else { continue };
        let code = line.trim_start();
        if code.starts_with(['#', '"', '\'']) || code.starts_with("class ") {
            continue;
        }
        let target = line[..class].rfind('=').map(|equals| line[..equals].trim());
        let target = target.and_then(|target| target.split([',', ':']).next()).map(str::trim);
        if let Some(name) = target.filter(|name| (is_top || is_block) && is_name(name)) {
            return Some((name.to_owned(), at, false));
        }
        factory = factory.or_else(|| Some((function?.to_owned(), at, true)));
        run.get_or_insert(at);
    }
    let called = factory.as_ref().and_then(|(name, ..)| called(file, name));
    // Made where the file is run, or in a function that wants something.
    called.or(factory).or_else(|| Some((String::new(), run?, false)))
}

const BLOCKS: &[&str] = &["try", "except", "else", "finally", "if", "elif", "with"];

/// `app = create_app()` at the start of a line.
fn called(file: &Text, function: &str) -> Option<Object> {
    file.lines().find_map(|(at, line)| {
        let (name, value) = assignment(line)?;
        let is_call = value.strip_prefix(function)?.starts_with('(');
        is_call.then(|| (name.to_owned(), at, false))
    })
}

/// The name of a function that can be called without arguments: `create_app(config=None):`.
fn callable(definition: &str) -> Option<&str> {
    let (name, rest) = definition.split_once('(')?;
    let arguments = rest.split("):").next()?.split(") ->").next()?;
    let mut depth = 0i32;
    let ends = |c: char| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    };
    let is_optional = |argument: &str| {
        let argument = argument.trim();
        argument.is_empty() || argument.contains('=') || argument.starts_with(['*', '/'])
    };
    (is_name(name.trim()) && arguments.split(ends).all(is_optional)).then(|| name.trim())
}

/// `app = create_app()` or `from shop import app` in a file that is made for servers, or is run.
fn passes_on(file: &Text, best: &App) -> Option<App> {
    let module = best.file.trim_end_matches(".py").trim_end_matches("/__init__");
    let takes = |(name, _): &(&str, usize)| name.split('.').next_back() == Some(file_name(module));
    // A function that wants arguments gets them in a file of any name.
    let is_called = || best.object.is_empty() && imports(&file.text).iter().any(takes);
    if file.path == best.file || !NAMES[..9].contains(&file_name(&file.path)) && !is_called() {
        return None;
    }
    let made = format!("{}(", best.object);
    let makes = |value: &str| {
        FACTORIES.iter().any(|call| find_word(value, call).is_some())
            || best.is_factory && value.starts_with(&made)
    };
    let (object, line) = file.lines().find_map(|(at, line)| {
        if let Some((target, _)) = assignment(line).filter(|(_, value)| makes(value)) {
            return Some((target, at));
        }
        let (_, names) = line.strip_prefix("from ")?.split_once(" import ")?;
        names.split(',').filter(|_| !best.is_factory).find_map(|name| {
            let (name, alias) = name.split_once(" as ").unwrap_or((name, name));
            let alias = alias.split('#').next().unwrap_or(alias).trim();
            let is_one = ["app", "application"].contains(&alias)
                || ["app", "application", "server"].contains(&name.trim());
            (is_one && name.trim() == best.object).then_some((alias, at))
        })
    })?;
    let (file, object) = (file.path.clone(), object.to_owned());
    Some(App { file, line, object, is_factory: false, ..best.clone() })
}

/// Where `word` stands in the line, not as the end of a longer name.
fn find_word(line: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).map(|(at, _)| at).find(|at| !line[..*at].ends_with(is_part))
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
        let shop = ("shop.py", "from site_app import create_app\napp = create_app(Config())\n");
        check(&[("site_app/__init__.py", wants), shop], "flask", "shop.py", "app", false);
        let other = ("shop.py", "from other import create_app\napp = create_app(Config())\n");
        check(&[("site_app.py", wants), other], "flask", "site_app.py", "", false);
    }

    #[test]
    fn an_application_may_be_of_a_class_of_its_own() {
        let own = "from flask import Flask\nclass Shop(Flask):\n    pass\ndef create_app():\n    app = Shop(__name__)\n    return app\n";
        check(&[("shop/app.py", own)], "flask", "shop/app.py", "create_app", true);
        let served = ("shop/wsgi.py", "from shop.app import create_app\napp = create_app()\n");
        check(&[("shop/app.py", own), served], "flask", "shop/wsgi.py", "app", false);
    }

    #[test]
    fn a_program_that_calls_its_package_is_started_itself() {
        let site = ("shop/web.py", "from flask import Flask\napp = Flask(__name__)\n");
        let start = "from shop.main import main\nif __name__ == '__main__':\n    main()\n";
        let server =
            ("shop/server.py", "from gevent.pywsgi import WSGIServer\nWSGIServer(sock, app)\n");
        check(&[site, ("shop.py", start), server], "flask", "shop.py", "", false);
        check(&[site, ("shop.py", start)], "flask", "shop/web.py", "app", false);
        let other = "from other import main\nif __name__ == '__main__':\n    main()\n";
        check(&[site, ("tool.py", other), server], "flask", "shop/web.py", "app", false);
    }

    #[test]
    fn a_framework_in_the_tree_is_no_application() {
        let copy = "import bottle\napp = bottle.Bottle()\n";
        assert!(find(".", &files(&[("shop/bottle.py", copy)])).is_none());
        let copy = "from flask import Flask\napp = Flask(__name__)\n";
        let package = ("lib/flask/__init__.py", "");
        assert!(find(".", &files(&[package, ("lib/flask/wsgi.py", copy)])).is_none());
        assert!(find(".", &files(&[package, ("lib/other/app.py", copy)])).is_none());
        let own = ("shop/app.py", copy);
        check(&[("flask/__init__.py", ""), own], "flask", "shop/app.py", "app", false);
        check(&[("flask/app.py", copy)], "flask", "flask/app.py", "app", false);
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
