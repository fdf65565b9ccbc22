//! Routes that are mostly there to ask whether a service is well.

use super::{candidate::Candidate, imports::quoted};
use crate::detect::prelude::*;

/// Paths of questions whether a service is well.
pub(super) const HEALTH: &[&str] = &[
    "/healthz", "/health", "/healthz/", "/health/", "/api/health", "/api/health/", "/api/healthz",
    "/healthcheck", "/health-check", "/health_check", "/livez", "/readyz", "/ping",
];

/// What a line that declares a route holds.
const ROUTES: &[&str] = &[
    "@", "route(", "Route(", "add_get(", "add_route(", "add_api_route(", "path(", "add_url_rule(",
    "add_view(", "@get(",
];

/// Calls that put the routes of an object below a path.
const MOUNTS: &[&str] = &[".include_router(", ".register_blueprint("];
/// Objects within each other; more are not followed.
const DEPTH_MAX: usize = 4;
/// Lines of one call.
const CALL_LINES_MAX: usize = 6;

impl Candidate<'_> {
    /// Takes such a path where the source has it as a route.
    pub(super) fn health(&mut self) {
        let is_route = |line: &str| {
            ROUTES.iter().any(|word| line.contains(word)) && !line.trim_start().starts_with('#')
        };
        let route = |path: &&str| {
            ["\"", "'"].iter().find_map(|quote| {
                let written = format!("{quote}{path}{quote}");
                self.files.iter().find_map(|file| {
                    file.text.contains(&written).then_some(())?;
                    let mut lines = file.lines();
                    let (at, line) = lines.find(|(_, l)| l.contains(&written) && is_route(l))?;
                    let whole = format!("{}{path}", mounted_route(&self.files, file, line)?);
                    source::is_plain_path(&whole)
                        .then(|| (whole, Evidence::line(&file.path, Some(at))))
                })
            })
        };
        let found = HEALTH.iter().find_map(route);
        if let Some((path, place)) = found.filter(|_| self.facts.health.is_none()) {
            self.facts.health(path, Rule::RouteAt(place), []);
        }
    }
}

/// What stands before the path of a route that a router or blueprint has: `@router.get("/health")`.
fn mounted_route(files: &[Rc<Text>], file: &Text, line: &str) -> Option<String> {
    let object = line.trim_start().strip_prefix('@').and_then(|line| line.split_once('.'));
    object.map_or_else(|| Some(String::new()), |(object, _)| mounted(files, file, object, 0))
}

/// The path that an object of a file is below; `None` where that is not written down.
fn mounted(files: &[Rc<Text>], file: &Text, object: &str, depth: usize) -> Option<String> {
    let makes = |line: &str| {
        let made = line.strip_prefix(object).is_some_and(|rest| rest.starts_with([' ', '=', ':']));
        made && (line.contains("Router(") || line.contains("Blueprint("))
    };
    let Some(own) = calls(file, makes).next() else { return Some(String::new()) };
    let own = prefix(&own)?;
    let name = file_name(file.path.trim_end_matches(".py"));
    let is_it = |argument: &str, text: &str| {
        argument == format!("{name}.{object}")
            || argument == format!("{name}_{object}")
            || argument == object && (text.contains(name) || text == file.text)
    };
    for other in files {
        for mount in MOUNTS {
            for call in calls(other, |line| line.contains(mount)) {
                let Some((caller, rest)) = call.split_once(mount) else { continue };
                let argument = rest.split([',', ')']).next().unwrap_or_default().trim();
                if depth < DEPTH_MAX && is_it(argument, &other.text) {
                    let above = mounted(files, other, caller.trim(), depth + 1)?;
                    return Some(format!("{above}{}{own}", prefix(rest)?));
                }
            }
        }
    }
    Some(own)
}

/// Calls that begin on lines of a kind, up to the bracket that ends them.
fn calls(file: &Text, fits: impl Fn(&str) -> bool) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|at| fits(lines[*at])).collect();
    starts.into_iter().map(move |at| {
        let mut call = String::new();
        for line in lines[at..].iter().take(CALL_LINES_MAX) {
            call += line;
            if call.matches('(').count() <= call.matches(')').count() {
                break;
            }
        }
        call
    })
}

/// The prefix that a call gives: empty without one, `None` where it is no text.
fn prefix(call: &str) -> Option<String> {
    match call.split_once("prefix=") {
        None => Some(String::new()),
        Some((_, value)) => Some(quoted(value.trim_start())?.trim_end_matches('/').to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_of_a_router_is_below_what_mounts_it() {
        let check = |main: &str, routes: &str, want: Option<&str>| {
            let file =
                |path: &str, text: &str| Rc::new(Text { path: path.into(), text: text.into() });
            let files = [file("main.py", main), file("api/health.py", routes)];
            let line = routes.lines().find(|line| line.contains('@')).unwrap();
            assert_eq!(mounted_route(&files, &files[1], line).as_deref(), want, "{main}");
        };
        let router = "router = APIRouter()\n@router.get('/health')\n";
        let below = "router = APIRouter(\n    prefix='/v1',\n)\n@router.get('/health')\n";
        let main = "from api import health\napp = FastAPI()\napp.include_router(health.router";
        check(&format!("{main})\n"), router, Some(""));
        check(&format!("{main}, prefix='/api')\n"), router, Some("/api"));
        check(&format!("{main}, prefix='/api')\n"), below, Some("/api/v1"));
        check(&format!("{main},\n    prefix=settings.API,\n)\n"), router, None);
        check("", "app = FastAPI()\n@app.get('/health')\n", Some(""));
        let blueprint = "bp = Blueprint('x', __name__, url_prefix='/b')\n@bp.route('/health')\n";
        check("from api.health import bp\napp.register_blueprint(bp)\n", blueprint, Some("/b"));
        let twice = "from api.health import router as health_router\napp = FastAPI()\nall = APIRouter()\n\
                     all.include_router(health_router, prefix='/x')\napp.include_router(all, prefix='/api')\n";
        check(twice, router, Some("/api/x"));
    }
}
