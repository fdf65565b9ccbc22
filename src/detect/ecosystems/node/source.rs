//! What the code itself says: where it listens, and whether it can be asked for its health.

use std::{collections::BTreeSet, rc::Rc};

use super::{config::is_code, health::Routers, lines::opens_port};
use crate::detect::{folders::is_for_tests, prelude::*, source};

/// What was read from the code of a package.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The port it listens on, and where that is said.
    pub(super) port: Option<(u16, Evidence)>,
    /// Whether a file of settings says that.
    pub(super) is_set: bool,
    /// It asks the environment for `PORT`.
    pub(super) reads_port: Option<Evidence>,
    /// It asks the environment for `HOST`.
    pub(super) reads_host: bool,
    /// It opens a port at all.
    pub(super) listens: bool,
    /// The entry file itself does.
    pub(super) entry_listens: bool,
    /// It writes files, most likely beside itself.
    pub(super) writes: Option<Evidence>,
    /// A path that answers whether it is well.
    pub(super) health: Option<(String, Evidence)>,
    /// A port that is fixed, which counts where none goes with `PORT`.
    fixed: Option<(u16, Evidence)>,
}

/// Files read of one package, and folders below it that are looked into.
const FILES_MAX: usize = 60;
const FOLDERS: &[&str] = &[
    ".", "src", "server", "src/server", "app", "api", "bin", "config", "src/config", "lib",
    "src/lib", "backend", "src/api", "src/app", "src/routes", "routes", "start", "src/utils",
    "source",
];
/// What people have a health check at.
const HEALTH: &[&str] = &[
    "/healthz", "/health", "/healthcheck", "/health-check", "/api/health", "/api/healthz",
    "/livez", "/_health", "/ping",
];

/// Settings that a program starts with unless it is told others; the package `config` reads `config/default.*`.
const SETTINGS: &[&str] = &[
    "config/default.json", "config/default.json5", "config/default.js", "config/default.ts",
    "config/default.yml", "config/default.yaml", "config/default.toml", "defaults/config.js",
    "defaults/config.json", "config.default.js", "config.default.json", "config/config.default.js",
    "config/config.default.ts",
];
/// What the port is called there.
const PORT_KEYS: &[&str] = &["port:", "port =", "http_port:", "httpport:"];
/// Settings that an installation is given a copy of.
const SAMPLES: &[&str] = &[
    "sample_conf/config.json", "conf/config.sample.json", "config/config.sample.json",
    "config/config.example.json", "config.sample.json", "config.example.json",
    "config-sample.json", "config-example.json", "config.sample.js", "config.example.js",
    "config.json.example", "config.json.sample", "sample.config.json",
];

/// Calls and modules of programs that write files.
const WRITES: &[&str] = &[
    "node:sqlite", "bun:sqlite", "mkdirSync(", "writeFileSync(", "appendFileSync(",
    "createWriteStream(", ".writeFile(", ".appendFile(", "multer({ dest", "multer({dest",
];

impl Source {
    /// Whether it opens a port, or asks for one.
    pub(super) fn is_server(&self) -> bool {
        self.listens || self.reads_port.is_some()
    }

    fn read(&mut self, line: &str, place: impl Fn() -> Evidence) {
        let has = |calls: &[&str]| calls.iter().any(|call| line.contains(call));
        self.listens |= opens_port(line);
        self.reads_host |= has(&["env.HOST ", "env('HOST'"]);
        if has(WRITES) {
            self.writes.get_or_insert_with(&place);
        }
        if let Some(after) = after_port_variable(line) {
            self.reads_port.get_or_insert_with(&place);
            if let Some(port) = fallback(after) {
                self.port.get_or_insert_with(|| (port, place()));
            }
            return;
        }
        if let Some(port) = listen_literal(line).or_else(|| port_literal(line)) {
            self.fixed.get_or_insert_with(|| (port, place()));
        }
        let is_quoted =
            |path: &str| ["'", "\"", "`"].iter().any(|q| line.contains(&[q, path, q].concat()));
        if is_route(line)
            && let Some(path) = HEALTH.iter().find(|path| is_quoted(path))
        {
            self.health.get_or_insert_with(|| ((*path).to_owned(), place()));
        }
    }
}

/// Reads the entry file first, then others near it.
pub(super) fn scan(at: Folder<'_>, entry: Option<&str>) -> Source {
    let mut found = Source::default();
    let entry_path = entry.map(|entry| at.path(entry));
    let mut routers = Routers::default();
    for text in files(at, entry) {
        for (line, content) in text.lines().take(LINES_MAX) {
            if content.len() <= LINE_BYTES_MAX && !source::is_comment(content) {
                found.read(content, || Evidence::line(&text.path, Some(line)));
                routers.read(&text.path, line, content);
            }
        }
        if entry_path.as_ref() == Some(&text.path) {
            found.entry_listens = found.is_server();
        }
    }
    let setting = |files: &[&'static str]| {
        source::setting(at.project, at.dir, files.iter().copied(), PORT_KEYS)
    };
    if found.port.is_none() {
        let set = setting(SETTINGS);
        let fixed = found.fixed.take().filter(|_| set.is_none());
        found.is_set = fixed.is_none();
        found.port = set.or(fixed).or_else(|| setting(SAMPLES));
    }
    found.health = found.health.or_else(|| routers.find(HEALTH));
    found
}

/// A route of the application itself; a router may be mounted anywhere.
fn is_route(line: &str) -> bool {
    let owners = ["app", "server", "fastify", "application"];
    owners.iter().any(|owner| {
        [".get(", ".use(", ".all("].iter().any(|call| line.contains(&format!("{owner}{call}")))
    })
}

/// What follows `process.env.PORT` in its forms.
fn after_port_variable(line: &str) -> Option<&str> {
    const FORMS: [&str; 6] = [
        "env.PORT", "env['PORT']", "env[\"PORT\"]", "env(\"PORT\"", "env('PORT'", "env.get('PORT'",
    ];
    let after = FORMS.iter().find_map(|form| Some(&line[line.find(form)? + form.len()..]))?;
    let is_longer = after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (!is_longer).then_some(after)
}

/// `|| 3000`, `?? "3000"`, `, 3000)`: a number soon after.
fn fallback(after: &str) -> Option<u16> {
    let near = prefix(after, 80);
    let at = ["||", "??", ",", "?"]
        .iter()
        .filter_map(|sign| near.find(sign).map(|at| at + sign.len()))
        .min()?;
    let digits = near[at..].find(|c: char| c.is_ascii_digit())?;
    // Another expression in between, such as `|| config.port2`; other variables may come first.
    let between = &near[at..at + digits];
    let between = between.rsplit(['|', '?']).next().unwrap_or(between);
    let is_plain = between.chars().all(|c| " '\"`(|?:".contains(c))
        || ["Number", "parseInt"].iter().any(|call| between.contains(call));
    number(&near[at + digits..]).filter(|_| is_plain)
}

fn listen_literal(line: &str) -> Option<u16> {
    let after = &line[line.find(".listen(")? + ".listen(".len()..];
    if let Some(at) = after.find("port:") {
        return number(after[at + 5..].trim_start());
    }
    if prefix(after, 20).contains("env.") {
        return fallback(after);
    }
    number(after.trim_start_matches([' ', '\'', '"']))
}

/// `port = 3000`, `PORT: "3000"`, `const port = 3000`.
fn port_literal(line: &str) -> Option<u16> {
    if source::is_elsewhere(line) {
        return None;
    }
    let lower = line.to_ascii_lowercase();
    for (at, word) in lower.match_indices("port") {
        let before = lower[..at].chars().next_back();
        let is_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '/' && c != '-')
            || line[at..].starts_with("Port");
        let after = line[at + word.len()..].trim_start_matches(['"', '\'']).trim_start();
        // `port: number = 3000` has a type.
        let after = after.strip_prefix(": number").unwrap_or(after).trim_start();
        let Some(value) = after.strip_prefix([':', '=']) else { continue };
        let value = value.trim_start();
        // Arguments may come before the environment.
        let port = match prefix(value, 60).contains("env.") {
            true => fallback(value),
            false => number(value.trim_start_matches(['"', '\''])),
        };
        if let Some(port) =
            port.filter(|port| is_word && *port != 443 && !source::is_foreign(*port))
        {
            return Some(port);
        }
    }
    None
}

/// A port at the start of a text: two to five digits that no other number goes on with.
fn number(text: &str) -> Option<u16> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let is_alone = !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '.' || c == '_');
    text[..end].parse().ok().filter(|port| (80..u16::MAX).contains(port) && is_alone)
}

fn prefix(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

/// `test.js`, `api_test.js`, `api-test.js` beside the code that they test.
fn is_test(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    is_for_tests(stem) || ["_test", "-test", "_spec", "-spec"].iter().any(|end| stem.ends_with(end))
}

/// The entry file, then code of the folders that hold some, but for tests and configurations.
fn files(at: Folder<'_>, entry: Option<&str>) -> Vec<Rc<Text>> {
    let aside = [".test.", ".spec.", ".config.", ".d.ts", ".min."];
    let mut paths: Vec<String> = entry.iter().map(|entry| at.path(entry)).collect();
    for folder in FOLDERS {
        let folder = join_clean(at.dir, folder);
        let Some(entries) = at.project.tree.entries(&folder) else { continue };
        // Programs of Node.js may have no extension.
        let is_bare = |name: &str| folder.ends_with("bin") && !name.contains('.');
        let fits = |name: &&String| {
            (is_code(name) || name.ends_with(".tsx") || is_bare(name))
                && !name.starts_with('.')
                && !is_test(name)
                && !aside.iter().any(|part| name.contains(part))
        };
        paths.extend(entries.files.iter().filter(fits).map(|name| join(&folder, name)));
    }
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths.iter().take(FILES_MAX).filter_map(|path| at.project.tree.read(path)).collect()
}

/// Code that people write has neither.
const LINES_MAX: usize = 20_000;
const LINE_BYTES_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn read(line: &str) -> (Option<u16>, bool) {
        let mut source = Source::default();
        source.read(line, || Evidence::file("x"));
        (source.port.or(source.fixed).map(|(port, _)| port), source.reads_port.is_some())
    }

    #[test]
    fn ports_are_read_in_the_forms_people_write() {
        let check = |line: &str, port: Option<u16>, reads: bool| {
            assert_eq!(read(line), (port, reads), "{line}");
        };
        check("const port = process.env.PORT || 4000;", Some(4000), true);
        check("app.listen(process.env.PORT ?? '8080')", Some(8080), true);
        check("var port = normalizePort(process.env.PORT || '3000');", Some(3000), true);
        check("const p = parseInt(process.env.PORT, 10)", None, true);
        check("port: env('PORT', 3333),", Some(3333), true);
        check("const PORT = Number(process.env.PORT) || 5000", Some(5000), true);
        check("app.listen(5000, () => {})", Some(5000), false);
        check("app.listen(process.env.API_PORT || 5002, f)", Some(5002), false);
        check("const port = process.env.CART_SERVER_PORT || '8080'", Some(8080), false);
        check("this.port = args.port || Number(process.env.APP_PORT) || 5001", Some(5001), false);
        check("conf.port = options.port ?? process.env.X_PORT ?? '5002'", Some(5002), false);
        check("db.port = '5433'", None, false);
        check("await app.listen({ port: 3001, host: '::' })", Some(3001), false);
        check("const PORT = 3002;", Some(3002), false);
        check("export const serverPort: number = 9000", Some(9000), false);
        check("const transport = 25", None, false);
        check("import x from './report'", None, false);
        check("process.env.PORT_X || 1234", None, false);
        check("process.env.PORT || config.port", None, true);
        check("set('port', process.env.PORT || process.env.X_PORT || 8080)", Some(8080), true);
    }

    #[test]
    fn only_routes_of_the_application_tell_of_health() {
        let health = |line: &str| {
            let mut source = Source::default();
            source.read(line, || Evidence::file("x"));
            source.health.map(|(path, _)| path)
        };
        let own = health("app.get('/healthz', (q, s) => s.end())");
        assert_eq!(own.as_deref(), Some("/healthz"));
        assert_eq!(health("router.get('/health', x)"), None);
        assert_eq!(health("app.get('/healthy', x)"), None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let target = |data: &[u8]| {
            let (port, _) = read(&String::from_utf8_lossy(data));
            assert!(port.is_none_or(|port| port >= 80));
        };
        let seed =
            "const sérverPort: number = process.env.PORT || '30é00'; app.listen({port: 99999";
        mutate(seed.as_bytes(), b"|?,'\"(: 0\xc3", 5000, target);
    }
}
