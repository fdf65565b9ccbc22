//! Routes that tell whether a service is well, where a framework makes them of files, of classes or of mounted routers.

use super::{site, unit::Unit};
use crate::detect::prelude::*;

/// Names of such routes.
const NAMES: &[&str] = &["healthz", "health", "healthcheck", "health-check", "livez"];

/// Files that frameworks make routes of: framework, file, and what comes before the name in the path.
const FILES: &[(&str, &str, &str)] = &[
    ("nextjs", "pages/api/{}", "/api/"),
    ("nextjs", "src/pages/api/{}", "/api/"),
    ("nextjs", "app/api/{}/route", "/api/"),
    ("nextjs", "src/app/api/{}/route", "/api/"),
    ("nextjs", "app/{}/route", "/"),
    ("nextjs", "src/app/{}/route", "/"),
    ("nuxt", "server/api/{}", "/api/"),
    ("nuxt", "server/api/{}.get", "/api/"),
    ("nuxt", "server/routes/{}", "/"),
    ("nitro", "server/routes/{}", "/"),
    ("nitro", "routes/{}", "/"),
    ("sveltekit", "src/routes/{}/+server", "/"),
    ("sveltekit", "src/routes/api/{}/+server", "/api/"),
    ("remix", "app/routes/{}", "/"),
    ("react-router", "app/routes/{}", "/"),
    ("astro", "src/pages/{}", "/"),
    ("astro", "src/pages/api/{}", "/api/"),
];

/// The route of a framework that makes routes of files.
pub(super) fn of_files(unit: &Unit<'_>, framework: &str) -> Option<(String, Evidence)> {
    let at = unit.at();
    let base = || site::base(unit, "next build").filter(|_| framework == "nextjs");
    let rows = FILES.iter().filter(|(of, ..)| *of == framework);
    rows.into_iter().find_map(|(_, file, before)| {
        NAMES.iter().find_map(|name| {
            let stem = file.replace("{}", name);
            let all = ["ts", "js", "tsx", "jsx", "mjs"].map(|end| format!("{stem}.{end}"));
            let found = all.iter().find(|file| at.has(file))?;
            let path = format!("{}{before}{name}", base().unwrap_or_default());
            Some((path, at.place(found, None)))
        })
    })
}

/// The route of a controller of Nest: `@Controller('health')` with `@Get()`, behind the prefix of all.
pub(super) fn of_nest(at: Folder<'_>, main: &str) -> Option<(String, Evidence)> {
    let tree = at.project.tree;
    // Beside the first file lies what it leaves to others.
    let dir = at.path(parent(main));
    let names = tree.entries(&dir).into_iter().flat_map(|entries| entries.ending(".ts"));
    let texts: Vec<_> = names.filter_map(|name| tree.read(&join(&dir, name))).collect();
    let call = |call: &str| texts.iter().find_map(|text| Some(text.text.split_once(call)?.1));
    let prefix = call("setGlobalPrefix(").map_or(Some(""), quoted_alone)?;
    if call("enableVersioning(").is_some() {
        return None;
    }
    let sources = at.path("src");
    let files = tree.dirs_below(&sources).flat_map(|(dir, entries)| {
        let controllers = entries.ending(".controller.ts").map(move |name| join(dir, name));
        controllers.filter(|path| file_name(path).contains("health"))
    });
    files.filter_map(|path| tree.read(&path)).find_map(|text| {
        let (_, rest) = text.text.split_once("@Controller(")?;
        let controller = quoted(rest)?;
        let (before, route) = rest.split_once("@Get(")?;
        let line = text.line_at(text.text.len() - rest.len() + before.len());
        let route = if route.starts_with(')') { "" } else { quoted(route)? };
        let parts = [prefix, controller, route].map(|part| part.trim_matches('/'));
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let is_fixed = !parts.iter().any(|part| part.contains([':', '*', '$']));
        is_fixed.then(|| (format!("/{}", parts.join("/")), Evidence::line(&text.path, Some(line))))
    })
}

/// The same, where it is a whole argument.
fn quoted_alone(text: &str) -> Option<&str> {
    let inner = quoted(text)?;
    let (_, after) = text.split_once(inner)?;
    after[1..].trim_start().starts_with([')', ',']).then_some(inner)
}

/// A text at the start of arguments, which nothing but blanks comes before.
pub(super) fn quoted(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '{');
    let text = text.strip_prefix("path:").unwrap_or(text).trim_start();
    let quote = text.chars().next().filter(|c| ['\'', '"', '`'].contains(c))?;
    text[1..].split(quote).next()
}

/// Routers that are mounted in one file and have their routes in it or in another.
#[derive(Debug, Default)]
pub(super) struct Routers {
    /// File and name of a module → its path without an extension.
    imports: Vec<(String, String, String)>,
    /// File, path and name of what is mounted there.
    mounts: Vec<(String, String, String)>,
    /// File, path, and place of routes.
    routes: Vec<(String, String, Evidence)>,
}

impl Routers {
    /// Reads a line of a file.
    pub(super) fn read(&mut self, file: &str, number: usize, line: &str) {
        let module = line.split_once("require(").or_else(|| line.split_once(" from "));
        if let Some((before, rest)) = module
            && let Some(path) = quoted(rest).filter(|path| path.starts_with('.'))
            && let Some(path) = resolve(parent(file), path)
        {
            let words = before.split(|c: char| !c.is_alphanumeric() && c != '_');
            let mut names = words.filter(|word| !word.is_empty());
            if let Some(name) = names.next_back() {
                let path = path.trim_end_matches(".js").trim_end_matches(".ts").to_owned();
                self.imports.push((file.to_owned(), name.to_owned(), path));
            }
        }
        if let Some((_, rest)) = line.split_once(".use(") {
            let path = quoted(rest);
            let rest = path.map_or(rest, |path| rest.split_once(path).map_or("", |(_, r)| r));
            let mut names = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(name) = names.rfind(|name| !name.is_empty()) {
                let path = path.unwrap_or_default().to_owned();
                self.mounts.push((file.to_owned(), path, name.to_owned()));
            }
        }
        if let Some((owner, rest)) = line.split_once(".get(")
            && owner.to_ascii_lowercase().ends_with("router")
            && let Some(path) = quoted(rest)
        {
            let place = Evidence::line(file, Some(number));
            self.routes.push((file.to_owned(), path.to_owned(), place));
        }
    }

    /// The first route that is one of these paths, by itself or with what it is mounted at.
    pub(super) fn find(&self, known: &[&str]) -> Option<(String, Evidence)> {
        self.routes.iter().find_map(|(file, path, place)| {
            let stem = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
            let stem = stem.strip_suffix("/index").unwrap_or(stem);
            let is_it = |(at, _, name): &&(String, String, String)| {
                let mut imports = self.imports.iter();
                let import = imports.find(|(from, known, _)| from == at && known == name);
                import.map_or(at == file, |(_, _, path)| path.trim_end_matches("/index") == stem)
            };
            let (_, before, _) = self.mounts.iter().find(is_it)?;
            let own = path.trim_end_matches('/');
            let full = format!("{}{own}", before.trim_end_matches('/'));
            let is_known = [own, &full].iter().any(|path| known.contains(path));
            (is_known && !full.contains([':', '*', '$'])).then(|| (full, place.clone()))
        })
    }
}
