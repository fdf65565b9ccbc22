//! A program of the project itself that starts its server: `[project.scripts]`, those of Poetry.

use super::{
    apps::{ASGI_CALLS, SERVERS, is_aside, listens_to_all},
    candidate::{Candidate, Module},
    frameworks::{App, Serve},
    manifest::Script,
    names::normalized,
};
use crate::detect::{paths::below, prelude::*};

/// Starts the application by such a program, where its function serves it to others, or where only the program makes an
/// application of it.
pub(super) fn start(c: &mut Candidate<'_>, app: &App) -> Option<()> {
    let calls = match app.own.serve {
        Serve::Asgi => ASGI_CALLS,
        Serve::Wsgi => &["serve(", "WSGIServer(", "gunicorn"],
        _ => return None,
    };
    // Without a backend nothing installs it.
    c.manifest.is_package().then_some(())?;
    let serving = c.manifest.scripts.iter().find_map(|script| {
        let (file, line) = serves(c, script, calls)?;
        Some((script.clone(), file.path.clone(), line))
    });
    let completing = || Some((completes(c, app)?.clone(), app.file.clone(), app.line));
    let (script, file, line) = serving.or_else(completing)?;
    c.needs_project = true;
    let places = [script.place, Evidence::line(&file, Some(line))];
    c.start(&quote(&script.name), Fixed::ProjectScript, places, &Module::of(c.at.dir));
    App { file, line, ..app.clone() }.started(c);
    Some(())
}

/// The program of a project whose application is incomplete until it runs: an object of a class, or a name of the module that
/// a function sets (`global app`). The package has a server of its own.
fn completes<'c>(c: &'c Candidate<'_>, app: &App) -> Option<&'c Script> {
    let inner = |path| {
        let below = below(c.at.dir, path);
        below.strip_prefix("src/").unwrap_or(below)
    };
    let package = inner(&app.file).split_once('/')?.0;
    let own = || c.files.iter().filter(|file| inner(&file.path).split('/').next() == Some(package));
    let global = format!("global {}", app.object);
    let is_set = |file: &Rc<Text>| {
        file.path == app.file && file.text.lines().any(|line| line.trim() == global)
    };
    let serves = |file: &Rc<Text>| {
        !is_aside(c.at.dir, &file.path) && SERVERS.iter().any(|call| file.text.contains(call))
    };
    let is_one = (app.object.is_empty() || own().any(is_set)) && own().any(serves);
    let name = normalized(c.manifest.name.as_deref().unwrap_or_default());
    let scripts = &c.manifest.scripts;
    let named = scripts.iter().find(|script| normalized(&script.name) == name);
    let only = || scripts.first().filter(|_| scripts.len() == 1);
    let script = named.or_else(only).filter(|_| is_one)?;
    (script.target.split(['.', ':']).next() == Some(package)).then_some(script)
}

/// The file with the function of a script, and the line in it that serves.
fn serves(c: &Candidate<'_>, script: &Script, calls: &[&str]) -> Option<(Rc<Text>, usize)> {
    let (module, function) = script.target.split_once(':')?;
    let stem = module.trim().replace('.', "/");
    let named = ["", "src/"].into_iter().flat_map(|folder| {
        [".py", "/__init__.py"].map(|end| c.at.path(&format!("{folder}{stem}{end}")))
    });
    let mut named = named.filter_map(|path| c.files.iter().find(|file| file.path == path));
    let file = named.next()?.clone();
    let head = format!("def {}(", function.trim());
    let mut body = file.lines().skip_while(|(_, line)| !line.starts_with(&head)).skip(1);
    let (line, _) = body
        .by_ref()
        .take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '\t', ')', '#']))
        .find(|(_, line)| calls.iter().any(|call| line.contains(call)))?;
    let is_open = listens_to_all(&file) || c.files.iter().any(|other| is_settings(other));
    (is_open && !file.text.contains("reload=True")).then(|| (file.clone(), line))
}

/// Whether a file holds the address of all interfaces as the default of a setting.
fn is_settings(file: &Text) -> bool {
    let mut lines = file.text.lines().filter(|line| !source::is_comment(line));
    lines.any(|line| line.contains("0.0.0.0") && line.to_ascii_lowercase().contains("host"))
}
