//! Servers for applications with the interface of WSGI (PEP 3333) or ASGI, and how each is called.

use super::candidate::{Candidate, Module};
use crate::detect::shell::quote;

/// Packages of servers, with their command lines as [`line`] fills them.
const SERVERS: &[(&str, &str)] = &[
    ("uvicorn", "uvicorn {listen}{factory} {target}"),
    ("hypercorn", "hypercorn --bind 0.0.0.0:$PORT {call}"),
    ("granian", "granian --interface asgi {listen}{factory} {target}"),
    ("daphne", "daphne -b 0.0.0.0 -p $PORT {target}"),
    ("gunicorn", "gunicorn --bind 0.0.0.0:$PORT {call}"),
    ("waitress", "waitress-serve --host=0.0.0.0 --port=$PORT {target}"),
    ("uwsgi", "uwsgi --http 0.0.0.0:$PORT --master --module {module} --callable {object}"),
    ("sanic", "sanic {call} --host=0.0.0.0 --port=$PORT"),
];

/// The command line of a server.
pub(super) fn of(server: &str) -> &'static str {
    SERVERS.iter().find(|(name, _)| *name == server).map_or("", |(_, line)| line)
}

/// The command line of the usual server, or of another that is a dependency where that one is not.
pub(super) fn choose(c: &mut Candidate<'_>, usual: &str, others: &[&str]) -> &'static str {
    let other = others.iter().find(|name| c.manifest.has(name) && !c.manifest.has(usual));
    let server = other.unwrap_or(&usual);
    c.needs(server);
    of(server)
}

/// Fills `{listen}` (the usual options), `{module}`, `{object}`, `{target}` (both), `{call}` (the same, called where it is a factory) and `{factory}` (the
/// option that says so).
pub(super) fn line(template: &str, module: &Module, object: &str, is_factory: bool) -> String {
    let name = &module.name;
    let (call, factory) = if is_factory { ("()", " --factory") } else { ("", "") };
    let filled = [
        ("{listen}", "--host 0.0.0.0 --port $PORT".to_owned()),
        ("{factory}", factory.to_owned()),
        ("{module}", quote(name)),
        ("{object}", quote(&format!("{object}{call}"))),
        ("{target}", quote(&format!("{name}:{object}"))),
        ("{call}", quote(&format!("{name}:{object}{call}"))),
    ];
    filled.iter().fold(template.to_owned(), |line, (name, value)| line.replace(name, value))
}
