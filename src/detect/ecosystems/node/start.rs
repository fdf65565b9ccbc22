//! How a package is started: scripts, `main`, and the names that entry files have.

use super::{development::is_development, framework::calls_any, package::Package};
use crate::detect::{Evidence, Project, join, shell};

/// What runs, found in the manifest or by the name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// The program and its arguments; empty: it must be run through the script `script`.
    pub(super) words: Vec<String>,
    /// Variables set before it.
    pub(super) env: Vec<(String, String)>,
    /// The command as written.
    pub(super) line: String,
    /// The same with the scripts it calls in place of the calls.
    pub(super) expanded: String,
    /// The script that holds it.
    pub(super) script: Option<String>,
    /// A script that runs before it and builds.
    pub(super) hook: Option<String>,
    /// `scripts.start`, `main`, …
    pub(super) rule: String,
    /// Where it stands.
    pub(super) place: Evidence,
}

/// Scripts that start what is deployed, in the order people rely on.
const STARTS: &[&str] = &[
    "start:prod", "start:prd", "start:production", "start-prod", "prod", "start", "start:server",
    "serve:prod", "server", "serve", "production",
];
/// Options of `node`, `ts-node` and `tsx` that name a module to be loaded first.
const REQUIRES: &[&str] = &["-r", "--require"];
/// Names of entry files, in the order in which they are looked for.
const STEMS: &[&str] = &["server", "app", "index", "main", "bot", "worker", "start"];
const FOLDERS: &[&str] = &["", "src", "server", "src/server", "app", "lib"];
const EXTENSIONS: &[&str] = &["js", "mjs", "cjs", "ts", "mts", "cts"];

/// Programs that serve a folder of files.
const FILE_SERVERS: &[&str] = &[
    "serve", "http-server", "sirv", "live-server", "lite-server", "static-server", "superstatic",
    "httpster", "light-server",
];

impl Start {
    /// One that is in no script.
    pub(super) fn new(words: Vec<String>, line: String, rule: &str, place: Evidence) -> Self {
        let (env, expanded, rule) = (Vec::new(), line.clone(), rule.to_owned());
        Self { words, env, line, expanded, script: None, hook: None, rule, place }
    }

    /// The same, for a package whose scripts it may call.
    pub(super) fn within(mut self, package: &Package) -> Self {
        self.expanded = expanded(package, without_build(&self.line));
        self
    }

    /// Whether it only serves while somebody develops.
    pub(super) fn is_development(&self) -> bool {
        is_development(&self.expanded)
    }

    /// Whether it is for members of a workspace.
    pub(super) fn delegates(&self) -> bool {
        delegates(&self.expanded)
    }

    /// The folder it serves, when it does nothing else, and whether one page answers for all paths.
    pub(super) fn served_folder(&self) -> Option<(String, bool)> {
        let last = self.expanded.rsplit("&&").next().unwrap_or(&self.line);
        served_folder(last)
    }

    /// The file that Node.js or a runner of TypeScript is given.
    pub(super) fn file(&self) -> Option<&str> {
        let is_code = |word: &&String| {
            EXTENSIONS.iter().any(|e| word.ends_with(&format!(".{e}"))) || word.ends_with("bin/www")
        };
        let runner = self.words.first()?;
        let runs = ["node", "bun", "tsx", "ts-node", "npx"].contains(&runner.as_str());
        if !runs {
            return None;
        }
        let file = self
            .words
            .iter()
            .skip(1)
            .find(is_code)
            .or_else(|| self.words.iter().skip(1).find(|word| !word.starts_with('-')));
        file.map(|file| file.trim_start_matches("./"))
    }
}

fn served_folder(line: &str) -> Option<(String, bool)> {
    let line = without_environment(line).1;
    let line = line.strip_prefix("npx ").unwrap_or(line);
    // `serve -s build -l $PORT` is what people write.
    let words: Vec<&str> = line.split_whitespace().collect();
    let (program, rest) = words.split_first()?;
    if !FILE_SERVERS.contains(program) || line.contains(['&', ';', '|']) {
        return None;
    }
    let mut folder = None;
    let mut is_spa = false;
    let mut is_value = false;
    for word in rest {
        match *word {
            _ if is_value => is_value = false,
            "-s" | "--single" => is_spa = true,
            "-l" | "--listen" | "-p" | "--port" | "-a" | "-c" | "--config" | "--host" => {
                is_value = true
            }
            word if word.starts_with('-') => {}
            word => folder = folder.or(Some(word)),
        }
    }
    let folder = folder.unwrap_or(".").trim_start_matches("./").trim_end_matches('/');
    let folder = if folder.is_empty() { "." } else { folder };
    (!folder.starts_with('/')).then(|| (folder.to_owned(), is_spa))
}

/// The script that starts what is deployed.
pub(super) fn script(package: &Package) -> Option<Start> {
    let found = STARTS.iter().filter_map(|name| resolve(package, name));
    // What shows a build may be the server of production as well, when it is a program of the project's own.
    let shown = resolve(package, "preview").filter(|start| !start.words.is_empty());
    // One that serves for production, else whatever there is.
    let all: Vec<Start> = found.chain(shown).collect();
    let production = all.iter().position(|start| !start.is_development());
    all.into_iter().nth(production.unwrap_or(0))
}

/// Follows `npm run other` to the script that does the work.
fn resolve(package: &Package, name: &str) -> Option<Start> {
    let mut name = name.to_owned();
    let mut env = Vec::new();
    for _ in 0..HOPS_MAX {
        let line = package.script(&name)?.trim();
        let (own, bare) = without_environment(without_build(line));
        env.extend(own);
        let next =
            called_script(bare).filter(|next| *next != name && package.script(next).is_some());
        let before = format!("pre{name}");
        let hook = package.script(&before);
        let builds = hook.is_some_and(|line| {
            ["build", "tsc", "webpack", "compile", "babel", "dist", "bundle"]
                .iter()
                .any(|word| line.contains(word))
        });
        let has_hooks = hook.is_some() && !builds;
        if let Some(next) = next.filter(|_| hook.is_none()) {
            name = next.to_owned();
            continue;
        }
        let words = if has_hooks { None } else { plain(package, bare) };
        return Some(Start {
            words: words.unwrap_or_default(),
            env,
            line: line.to_owned(),
            expanded: expanded(package, without_build(line)),
            hook: builds.then_some(before),
            rule: format!("scripts.{name}"),
            place: package.script_place(&name),
            script: Some(name),
        });
    }
    None
}

/// `npm run x`, `yarn x`, `pnpm x`, `bun run x`, and nothing else; that they shall be silent is no matter.
fn called_script(line: &str) -> Option<&str> {
    match call(line)? {
        (name, rest) if rest.is_empty() => Some(name),
        _ => None,
    }
}

/// A script that is called, and what it is given.
pub(super) fn call(line: &str) -> Option<(&str, Vec<&str>)> {
    let words = line.split_whitespace().filter(|word| !SILENT.contains(word));
    let words: Vec<&str> = words.collect();
    match words[..] {
        ["npm" | "yarn" | "pnpm" | "bun", "run" | "run-script", name, ref rest @ ..] => {
            Some((name, rest.to_vec()))
        }
        ["npm", "start", ref rest @ ..] => Some(("start", rest.to_vec())),
        ["yarn" | "pnpm", name, ref rest @ ..] if !name.starts_with('-') => {
            Some((name, rest.to_vec()))
        }
        _ => None,
    }
}

/// A line with the scripts it calls in place of the calls.
fn expanded(package: &Package, line: &str) -> String {
    let mut left = CALLS_MAX;
    let mut done: Vec<String> = Vec::new();
    // A stack of our own: scripts may call each other.
    let mut pending = vec![line.to_owned()];
    while let Some(next) = pending.pop() {
        let next = next.trim();
        // Elsewhere, scripts are another package's.
        let is_elsewhere = next.starts_with("cd ");
        let chain = next.split_once("&&").or_else(|| next.split_once(';'));
        if let Some((first, rest)) = chain.filter(|_| !is_elsewhere) {
            pending.extend([rest.to_owned(), first.to_owned()]);
            continue;
        }
        let called = call(without_environment(next).1).filter(|_| left > 0 && !is_elsewhere);
        let script = called.and_then(|(name, rest)| Some((package.script(name)?, rest)));
        let Some((script, rest)) = script else {
            done.push(next.to_owned());
            continue;
        };
        left -= 1;
        let rest = rest.iter().filter(|word| **word != "--").copied();
        pending.push(std::iter::once(script).chain(rest).collect::<Vec<_>>().join(" "));
    }
    done.join(" && ")
}

/// Calls of scripts that are followed in one line.
const CALLS_MAX: usize = 20;
/// Options that say no more of what is called.
const SILENT: &[&str] = &["-s", "--silent", "--if-present", "-q", "--quiet"];

/// Takes builds off the front of a line, which would otherwise run in the image: `npm run build && node dist`.
fn without_build(line: &str) -> &str {
    let mut rest = line;
    while let Some((first, after)) = rest.split_once("&&") {
        let first = first.trim();
        let builds = [
            "tsc", "webpack", "rimraf", "vite build", "next build", "prisma generate", "nest build",
        ];
        let is_build =
            builds.iter().any(|build| first == *build || first.starts_with(&format!("{build} ")))
                || called_script(first)
                    .is_some_and(|name| name.contains("build") || name.contains("compile"));
        if !is_build {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// Takes `NAME=value`, `cross-env` and `env` off the front.
pub(super) fn without_environment(line: &str) -> (Vec<(String, String)>, &str) {
    let mut env = Vec::new();
    let mut rest = line.trim();
    loop {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if ["cross-env", "env", "cross-env-shell", "exec"].contains(&word) && !after.is_empty() {
            rest = after.trim_start();
            continue;
        }
        let Some((name, value)) = word.split_once('=') else { break };
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || after.is_empty() || value.contains(['$', '\'', '"', '`']) {
            break;
        }
        env.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    (env, rest)
}

/// A command that can run without its script: Node.js with a file, and the programs that only watch it.
fn plain(package: &Package, line: &str) -> Option<Vec<String>> {
    let mut words = shell::words(line)?;
    if words.len() > 1 && words[0] == "npx" {
        words.remove(0);
    }
    let code = |words: &[String]| {
        let mut code = words.iter().skip(1).filter(|word| !word.starts_with('-'));
        code.find(|word| word.contains('.') || word.contains('/')).cloned()
    };
    let first = words.first()?.clone();
    match first.as_str() {
        "node" => {
            words.retain(|word| word != "--watch" && !word.starts_with("--inspect"));
            (words.len() > 1).then_some(words)
        }
        "nodemon" | "node-dev" | "supervisor" | "forever" | "pm2-runtime" | "pm2" => {
            let file = code(&words)?;
            let is_plain = [".js", ".mjs", ".cjs", "/www"].iter().any(|end| file.ends_with(end));
            let runs_other =
                words.iter().any(|word| word == "--exec" || word == "-x" || word == "-r");
            let is_plain = is_plain
                && !file.ends_with(".config.js")
                && !file.ends_with(".config.cjs")
                && !runs_other;
            is_plain.then(|| vec!["node".to_owned(), file])
        }
        "ts-node-dev" | "tsx" | "ts-node" => {
            // A module that is required first has a path too.
            let file = words.iter().find(|word| is_code(word)).cloned().or_else(|| code(&words))?;
            let at = words.iter().position(|word| *word == file)?;
            let required = words[..at].windows(2).filter(|pair| REQUIRES.contains(&&*pair[0]));
            let required = required.flat_map(|pair| ["-r".to_owned(), pair[1].clone()]);
            let runner = match first.as_str() {
                "tsx" => "tsx",
                _ => "ts-node",
            };
            let is_there = package.has(runner) || package.has(&first);
            let command = ["npx".to_owned(), runner.to_owned()].into_iter().chain(required);
            is_there.then(|| command.chain([file]).collect())
        }
        "bun" => {
            words.retain(|word| word != "--watch" && word != "--hot");
            let file = code(&words)?;
            let is_code = EXTENSIONS.iter().any(|e| file.ends_with(&format!(".{e}")));
            is_code.then_some(words)
        }
        _ => None,
    }
}

/// `main`, or a file with one of the names that entry files have; `built` knows which files a build will make.
pub(super) fn entry(project: &Project<'_>, package: &Package, has_build: bool) -> Option<Start> {
    if let Some(main) = package.json().get("main")
        && let Some(path) = main.as_str().map(|path| path.trim_start_matches("./"))
    {
        let candidates = [path.to_owned(), format!("{path}.js"), format!("{path}/index.js")];
        let found = candidates.iter().find(|path| project.tree.has(&package.join(path)));
        // What is not there yet, the build makes.
        let leaves = path.is_empty() || path.starts_with('/') || path.contains("..");
        let built = (has_build && is_output(path) && !leaves).then_some(&candidates[0]);
        if let Some(path) = found.or(built).filter(|path| is_code(path)) {
            let place = Evidence::line(&package.path, Some(main.line));
            return Some(run_file(path, "main", place));
        }
    }
    if let Some(bin) = package.json().get("bin") {
        let first = bin.as_str().or_else(|| bin.members().next()?.1.as_str());
        let path = first.map(|path| path.trim_start_matches("./"));
        if let Some(path) = path.filter(|path| project.tree.has(&package.join(path))) {
            return Some(run_file(path, "bin", Evidence::line(&package.path, Some(bin.line))));
        }
    }
    let file = entry_file(project, &package.dir)?;
    let place = Evidence::file(join(&package.dir, &file));
    Some(run_file(&file, "name of the entry file", place))
}

/// The first entry file of a folder, relative to it.
pub(super) fn entry_file(project: &Project<'_>, dir: &str) -> Option<String> {
    FOLDERS.iter().find_map(|folder| {
        let names =
            STEMS.iter().flat_map(|stem| EXTENSIONS.iter().map(move |e| format!("{stem}.{e}")));
        let mut files =
            names.map(|name| if folder.is_empty() { name } else { format!("{folder}/{name}") });
        files.find(|file| project.tree.has(&join(dir, file)))
    })
}

fn run_file(file: &str, rule: &str, place: Evidence) -> Start {
    let words = vec!["node".to_owned(), file.to_owned()];
    let line = format!("node {file}");
    Start::new(words, line, rule, place)
}

fn is_code(path: &str) -> bool {
    EXTENSIONS.iter().any(|e| path.ends_with(&format!(".{e}")))
}

/// Folders that builds write to.
fn is_output(path: &str) -> bool {
    ["dist/", "build/", "out/", "lib/", "output/", ".output/"]
        .iter()
        .any(|dir| path.starts_with(dir))
}

/// Whether a script is for all members of a workspace, and so for no service in particular.
fn delegates(line: &str) -> bool {
    let to_all = [
        "turbo", "lerna", "nx", "concurrently", "npm-run-all", "run-p", "run-s", "rush", "moon",
        "wsrun", "ultra",
    ];
    let selects = [
        " -w ", "--workspace", "--filter", " -F ", "yarn workspace", "pnpm -r", "--recursive",
        " -C ", "--prefix", "--cwd",
    ];
    line.starts_with("cd ")
        || calls_any(line, &to_all)
        || selects.iter().any(|part| line.contains(part))
}

const HOPS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_file_server_is_found() {
        let check = |line: &str, expected: Option<(&str, bool)>| {
            let found = served_folder(line);
            let found = found.as_ref().map(|(folder, spa)| (folder.as_str(), *spa));
            assert_eq!(found, expected, "{line}");
        };
        check("serve -s build -l 3000", Some(("build", true)));
        check("http-server ./public/ -p $PORT", Some(("public", false)));
        check("npx serve", Some((".", false)));
        check("serve ../x", Some(("../x", false)));
        check("serve /x", None);
        check("node x", None);
        check("npm run build && serve dist", None);
    }

    #[test]
    fn builds_before_a_start_are_taken_off() {
        assert_eq!(without_build("npm run build && node dist"), "node dist");
        assert_eq!(without_build("tsc -p . && yarn compile && node a"), "node a");
        assert_eq!(without_build("node migrate && node a"), "node migrate && node a");
    }

    #[test]
    fn variables_before_a_command_are_taken_off() {
        let (env, rest) = without_environment("cross-env NODE_ENV=production PORT=3000 node a.js");
        assert_eq!((env.len(), rest), (2, "node a.js"));
        assert_eq!(without_environment("A=$B node x").1, "A=$B node x");
        assert_eq!(called_script("npm run start:prod"), Some("start:prod"));
        assert_eq!(called_script("npm run a -- --b"), None);
    }
}
