//! What runs without an application of a framework: functions, bare callables, notebooks.

use std::rc::Rc;

use super::{
    apps,
    manifest::Manifest,
    serve::{LISTENS, Start, module},
};
use crate::detect::{Evidence, Project, Text, join};

/// What Google's framework for functions serves: the function of `main.py` that has its decorator, or takes a request
/// (github.com/GoogleCloudPlatform/functions-framework-python).
pub(super) fn function(project: &Project<'_>, manifest: &Manifest) -> Option<Start> {
    let dependency = manifest.dependencies.get("functions-framework")?;
    let text = project.tree.read(&join(&manifest.dir, "main.py"))?;
    let mut kind = None;
    let (line, target) = text.lines().find_map(|(at, line)| {
        if let Some(decorator) = line.strip_prefix("@functions_framework.") {
            kind = Some(decorator.trim_end_matches("()").trim());
        }
        let (name, arguments) = line.strip_prefix("def ")?.split_once('(')?;
        let is_plain = arguments.starts_with("request") || arguments.starts_with("req)");
        (kind.is_some() || is_plain).then_some((at, name.trim()))
    })?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let signature = match kind {
        Some("cloud_event") => " --signature-type=cloudevent",
        _ => "",
    };
    target.chars().all(fits).then(|| Start {
        line: format!("functions-framework --target={target}{signature} --port=$PORT"),
        rule: format!("the function of functions-framework, {}", dependency.place),
        place: Some(Evidence::line(&text.path, Some(line))),
        run_dir: manifest.dir.clone(),
        port: Some((8080, "default of functions-framework".to_owned(), None)),
        ..Start::default()
    })
}

/// `def app(environ, start_response):` of PEP 3333, `async def app(scope, receive, send):` of ASGI, without a framework.
pub(super) fn callable(
    project: &Project<'_>,
    manifest: &Manifest,
    files: &[Rc<Text>],
) -> Option<Start> {
    let dir = manifest.dir.as_str();
    let found = files.iter().filter(|file| !apps::is_aside(dir, &file.path)).find_map(|file| {
        let one = |(at, line): (usize, &str)| {
            let wsgi = line.strip_prefix("def ").map(|rest| (rest, "environ", false));
            let asgi = line.strip_prefix("async def ").map(|rest| (rest, "scope", true));
            let (rest, first, is_asgi) = wsgi.or(asgi)?;
            let (name, arguments) = rest.split_once('(')?;
            let is_one = arguments.trim_start().starts_with(first)
                && matches!(
                    name,
                    "app" | "application" | "simple_app" | "handler" | "main" | "asgi" | "wsgi"
                );
            is_one.then(|| (name.to_owned(), at, is_asgi))
        };
        file.lines().find_map(one).map(|found| (file, found))
    });
    let (file, (name, at, is_asgi)) = found?;
    // A file that runs a server of its own knows better.
    if LISTENS[..5].iter().any(|word| file.text.contains(word)) {
        return None;
    }
    let module = module(project, dir, &file.path, files);
    let target = format!("{}:{name}", module.name);
    let mut start = Start {
        rule: "a function with the interface of WSGI or ASGI".to_owned(),
        place: Some(Evidence::line(&file.path, Some(at))),
        run_dir: module.run_dir,
        module_dir: module.module_dir,
        port: Some((8000, "default of the server".to_owned(), None)),
        ..Start::default()
    };
    let server = if is_asgi { "uvicorn" } else { "gunicorn" };
    start.needs(manifest, server);
    start.line = match is_asgi {
        true => format!("uvicorn --host 0.0.0.0 --port $PORT {target}"),
        false => format!("gunicorn --bind 0.0.0.0:$PORT {target}"),
    };
    Some(start)
}

/// An application of a library that no rule knows: the entry file only makes it, and a server for it is a dependency.
pub(super) fn handed_over(
    project: &Project<'_>,
    manifest: &Manifest,
    files: &[Rc<Text>],
) -> Option<Start> {
    let servers = ["uvicorn", "hypercorn", "granian", "daphne", "gunicorn", "waitress"];
    let server = servers.into_iter().find(|server| manifest.has(server))?;
    let names = ["main.py", "app.py", "server.py", "asgi.py", "wsgi.py", "application.py"];
    let path = names.iter().map(|name| join(&manifest.dir, name)).find(|p| project.tree.has(p))?;
    let file = project.tree.read(&path)?;
    let runs = ["__main__", ".run(", ".start(", "serve_forever", ".listen(", ".launch("];
    if runs.iter().any(|word| file.text.contains(word)) {
        return None;
    }
    let (at, name) = file.lines().find_map(|(at, line)| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next()?.trim();
        let is_one = matches!(name, "app" | "application" | "api" | "asgi" | "server");
        let is_call = value.trim().starts_with(char::is_alphabetic) && value.contains('(');
        (is_one && is_call && line.starts_with(name)).then(|| (at, name.to_owned()))
    })?;
    let module = module(project, &manifest.dir, &path, files);
    let target = format!("{}:{name}", module.name);
    let line = match server {
        "uvicorn" | "granian" => format!("{server} --host 0.0.0.0 --port $PORT {target}"),
        "daphne" => format!("daphne -b 0.0.0.0 -p $PORT {target}"),
        "waitress" => format!("waitress-serve --host=0.0.0.0 --port=$PORT {target}"),
        server => format!("{server} --bind 0.0.0.0:$PORT {target}"),
    };
    let line = line.replace("granian --host", "granian --interface asgi --host");
    Some(Start {
        line,
        rule: format!("an application, and {server} to serve it"),
        place: Some(Evidence::line(&file.path, Some(at))),
        run_dir: module.run_dir,
        module_dir: module.module_dir,
        port: Some((8000, format!("default of {server}"), None)),
        ..Start::default()
    })
}

/// Voilà serves the notebooks of a folder.
pub(super) fn notebooks(project: &Project<'_>, manifest: &Manifest) -> Option<Start> {
    let dependency = manifest.dependencies.get("voila")?;
    let entries = project.tree.entries(&manifest.dir)?;
    entries.ending(".ipynb").next()?;
    Some(Start {
        line: "voila --no-browser --Voila.ip=0.0.0.0 --port=$PORT".to_owned(),
        rule: "notebooks beside voila".to_owned(),
        place: Some(dependency.place.clone()),
        run_dir: manifest.dir.clone(),
        port: Some((8866, "default of voila".to_owned(), None)),
        env: vec![("HOME", "/tmp".to_owned())],
        ..Start::default()
    })
}
