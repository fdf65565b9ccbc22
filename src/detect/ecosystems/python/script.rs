//! A program of the project itself that starts its server: `[project.scripts]`, those of Poetry.

use super::{
    apps::{ASGI_CALLS, listens_to_all},
    candidate::{Candidate, Module},
    frameworks::{App, Serve},
    manifest::Script,
};
use crate::detect::prelude::*;

/// Starts the application by such a program, where its function serves it to others.
pub(super) fn start(c: &mut Candidate<'_>, app: &App) -> Option<()> {
    let calls = match app.own.serve {
        Serve::Asgi => ASGI_CALLS,
        Serve::Wsgi => &["serve(", "WSGIServer(", "gunicorn"],
        _ => return None,
    };
    // Without a backend nothing installs it.
    c.manifest.is_package().then_some(())?;
    let (script, file, line) = c.manifest.scripts.iter().find_map(|script| {
        let (file, line) = serves(c, script, calls)?;
        Some((script.clone(), file, line))
    })?;
    c.needs_project = true;
    let places = [script.place, Evidence::line(&file.path, Some(line))];
    c.start(&quote(&script.name), Fixed::ProjectScript, places, &Module::of(c.at.dir));
    App { file: file.path.clone(), line, ..app.clone() }.started(c);
    Some(())
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
