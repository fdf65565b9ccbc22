//! How a package is started: `Procfile`, scripts, `main`, and the names that entry files have.

use super::{
    config::is_code,
    lines::{
        MANAGERS, call, called_script, commands, delegates, is_development, served_folder, several,
        without_build, without_environment,
    },
    package::Package,
};
use crate::detect::{prelude::*, scripts, shell};

/// Program that a command begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runner {
    Node,
    Bun,
    Npm,
    Npx,
    /// A runner of TypeScript.
    Typed,
    Other,
}

/// What runs, found in the manifest or by the name of a file.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) runner: Runner,
    /// The program and its arguments; empty: it must be run through the script `script`.
    pub(super) words: Vec<String>,
    /// Variables set before it.
    pub(super) env: Vec<(String, String)>,
    /// The command as written.
    pub(super) line: String,
    /// The same with the scripts it calls in place of the calls, without what builds.
    pub(super) expanded: String,
    /// All that its script runs; what is run in place of it where that calls what an image need not have.
    full: String,
    /// Commands that a program runs at the same time.
    parts: Vec<String>,
    /// Whether `expanded` is run in place of `words` or the script.
    is_rewritten: bool,
    /// The script that holds it.
    pub(super) script: Option<String>,
    /// A script that runs before it and builds.
    pub(super) hook: Option<String>,
    /// `scripts.start`, `main`, …
    pub(super) rule: Rule,
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

impl Start {
    /// One that is in no script.
    fn new(runner: Runner, words: Vec<String>, rule: Rule, place: Evidence) -> Self {
        let (env, line) = (Vec::new(), words.join(" "));
        let (expanded, full, parts) = (line.clone(), line.clone(), Vec::new());
        let (is_rewritten, script, hook) = (false, None, None);
        Self {
            runner,
            words,
            env,
            line,
            expanded,
            full,
            parts,
            is_rewritten,
            script,
            hook,
            rule,
            place,
        }
    }

    /// A file for Node.js.
    pub(super) fn node(file: &str, rule: impl Into<Rule>, place: Evidence) -> Self {
        Self::new(Runner::Node, owned(["node", file]), rule.into(), place)
    }

    /// A program of a dependency, and its arguments.
    pub(super) fn npx(line: &str, rule: impl Into<Rule>, place: Evidence) -> Self {
        let words = owned(std::iter::once("npx").chain(line.split_whitespace()));
        Self::new(Runner::Npx, words, rule.into(), place)
    }

    /// The process of the package's `Procfile`; one of another language is not for us.
    pub(super) fn stated(package: &Package<'_>) -> Option<Self> {
        let process = package.at.procfile().filter(|process| !is_other_program(&process.line))?;
        let Expanded { line: expanded, is_replaced, parts } =
            expand(package, without_build(&process.line));
        let runner = match process.command.first()?.as_str() {
            "node" => Runner::Node,
            "bun" => Runner::Bun,
            "npm" => Runner::Npm,
            "npx" => Runner::Npx,
            "tsx" | "ts-node" => Runner::Typed,
            _ => Runner::Other,
        };
        let rule = Rule::Procfile(process.name);
        let start = Self::new(runner, process.command, rule, process.evidence);
        let is_rewritten = is_replaced && !calls_manager(&expanded);
        let full = expanded.clone();
        Some(Self { line: process.line, expanded, full, parts, is_rewritten, ..start })
    }

    /// Whether a `Procfile` says so.
    pub(super) fn is_stated(&self) -> bool {
        matches!(self.rule, Rule::Procfile(_))
    }

    /// Whether no script and no `Procfile` says so.
    pub(super) fn is_guess(&self) -> bool {
        self.script.is_none() && !self.is_stated()
    }

    pub(super) fn is_development(&self) -> bool {
        match self.parts.is_empty() {
            true => is_development(&self.expanded),
            false => self.parts.iter().any(|part| is_development(part)),
        }
    }

    /// Whether it starts a program of production: it is for no members of a workspace, and serves no folder of files.
    pub(super) fn is_production(&self) -> bool {
        let is_own = match self.parts.is_empty() {
            true => !delegates(&self.expanded),
            false => !self.parts.iter().any(|part| delegates(part)),
        };
        is_own && !self.is_development() && self.served_folder().is_none()
    }

    /// The line that is run in the end, with all that it calls.
    pub(super) fn run_line(&self) -> String {
        let is_shell = self.words.first().is_some_and(|word| word == "/bin/sh");
        match self.words.is_empty() {
            _ if self.is_rewritten => self.expanded.clone(),
            false if !is_shell => self.words.join(" "),
            false => self.expanded.clone(),
            true => self.full.clone(),
        }
    }

    /// The folder it serves, when it does nothing else, and whether one page answers for all paths.
    pub(super) fn served_folder(&self) -> Option<(String, bool)> {
        served_folder(self.expanded.rsplit("&&").next().unwrap_or(&self.line))
    }

    /// Runs something else in its place.
    pub(super) fn run<'w>(&mut self, runner: Runner, words: impl IntoIterator<Item = &'w str>) {
        (self.runner, self.words) = (runner, owned(words));
        self.line = self.words.join(" ");
    }

    /// Runs a command first.
    pub(super) fn after(&mut self, first: &str) {
        self.expanded = format!("{first} && {}", self.run_line());
        self.is_rewritten = true;
    }

    /// The command in exec form.
    pub(super) fn command(&self, is_bun: bool) -> Vec<String> {
        if self.is_rewritten {
            return exec_form(&with_exec(&self.expanded));
        }
        if !self.words.is_empty() {
            return self.words.clone();
        }
        let script = self.script.as_deref().unwrap_or("start");
        let by_script = || match self.hook {
            _ if is_bun => owned(["bun", "run", script]),
            // What the hook builds is built already.
            Some(_) => owned(["npm", "run", "--ignore-scripts", script]),
            None => owned(["npm", "run", script]),
        };
        self.opened().unwrap_or_else(by_script)
    }

    /// A command that listens for its own machine alone unless it is told otherwise, told otherwise.
    fn opened(&self) -> Option<Vec<String>> {
        let mut words = shell::words(&self.line)?;
        let says_host = words.iter().any(|word| word == "-H" || word.starts_with("--host"));
        let is_closed = words.first()? == "json-server" && !says_host;
        words.insert(0, "npx".to_owned());
        words.extend(owned(["--host", "0.0.0.0"]));
        is_closed.then_some(words)
    }

    /// The port that it sets: `PORT=3000 …`, `-p 3000`, `--port=3000`.
    pub(super) fn port(&self) -> Option<u16> {
        let option = || shell::option(&self.line, &["--port", "-p", "-l", "--listen"]);
        let text = self.variable("PORT").or_else(option)?;
        text.rsplit(':').next()?.parse().ok().filter(|port| *port > 0)
    }

    /// The value of a variable that is set before it.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The file that Node.js or a runner of TypeScript is given.
    pub(super) fn file(&self) -> Option<&str> {
        let words = self.words.get(1..)?;
        if matches!(self.runner, Runner::Npm | Runner::Other) {
            return None;
        }
        let code = words.iter().find(|word| is_code(word) || word.ends_with("bin/www"));
        let is_required = |at: usize| at > 0 && REQUIRES.contains(&&*words[at - 1]);
        let mut plain = words.iter().enumerate().filter(|(_, word)| !word.starts_with('-'));
        let file = code.or_else(|| plain.find(|(at, _)| !is_required(*at)).map(|(_, word)| word));
        file.map(|file| file.trim_start_matches("./"))
    }
}

/// Whether a line calls a package manager that the image need not have.
fn calls_manager(line: &str) -> bool {
    let firsts =
        commands(line).into_iter().filter_map(|c| without_environment(c).1.split(' ').next());
    firsts.into_iter().any(|word| MANAGERS.contains(&word))
}

/// A chain whose last program takes the place of the shell, so that it gets the signals.
fn with_exec(line: &str) -> String {
    match line.rsplit_once(" && ") {
        Some((head, last)) if !last.contains(['=', '&', '|', ';', '(']) => {
            format!("{head} && exec {last}")
        }
        _ => line.to_owned(),
    }
}

/// A `Procfile` beside a `package.json` may be another language's.
fn is_other_program(line: &str) -> bool {
    let others = [
        "python", "python3", "gunicorn", "uvicorn", "flask", "bundle", "rails", "puma", "java",
        "php", "heroku-php-apache2", "heroku-php-nginx", "mix", "dotnet", "go", "daphne", "celery",
    ];
    let program = line.split_whitespace().next().unwrap_or_default();
    others.contains(&program.trim_start_matches("vendor/bin/")) || is_compiled(program)
}

/// A program in the folder that Cargo, sbt and Maven build into.
pub(super) fn is_compiled(program: &str) -> bool {
    program.starts_with("target/") || program.contains("/target/")
}

/// Whether a command starts nothing of Node.js.
pub(super) fn starts_another(line: &str) -> bool {
    !line.split([' ', '/', ';', '&']).any(|word| TOOLS.contains(&word))
}

/// What starts a program of Node.js.
const TOOLS: &[&str] = &[
    "node", "nodejs", "npm", "npx", "yarn", "pnpm", "bun", "bunx", "deno", "next", "nuxt", "serve",
    "pm2", "pm2-runtime", "ts-node", "tsx", "http-server", "meteor", "forever", "nodemon", "sails",
    "nest",
];

/// The script that starts what is deployed.
pub(super) fn script(package: &Package<'_>) -> Option<Start> {
    let found = STARTS.iter().filter_map(|name| follow(package, name));
    // What shows a build may be the server of production as well, when it is a program of the project's own.
    let shown = follow(package, "preview").filter(|start| !start.words.is_empty());
    let mut all = found.chain(shown).peekable();
    // One that serves for production, else whatever there is.
    let first = all.peek().cloned();
    all.find(|start| !start.is_development()).or(first)
}

/// What scripts that build have in their lines.
const BUILDERS: &[&str] = &["build", "tsc", "webpack", "compile", "babel", "dist", "bundle"];

/// Follows `npm run other` to the script that does the work.
fn follow(package: &Package<'_>, name: &str) -> Option<Start> {
    let mut name = name.to_owned();
    let mut env = Vec::new();
    for _ in 0..HOPS_MAX {
        let line = package.script(&name)?.trim();
        let (own, bare) = without_environment(without_build(line));
        env.extend(own);
        let before = format!("pre{name}");
        let hook = package.script(&before);
        let next = called_script(bare).filter(|next| *next != name && hook.is_none());
        if let Some(next) = next.filter(|next| package.script(next).is_some()) {
            name = next.to_owned();
            continue;
        }
        let builds = hook.is_some_and(|line| BUILDERS.iter().any(|word| line.contains(word)));
        let plain = if hook.is_some() && !builds { None } else { plain(package, bare) };
        let (runner, words) = plain.unwrap_or((Runner::Npm, Vec::new()));
        let Expanded { line: expanded, is_replaced, parts } = expand(package, without_build(line));
        let before_it = hook.filter(|_| !builds).map(|hook| format!("{hook} && "));
        let full = format!("{}{line}", before_it.unwrap_or_default());
        return Some(Start {
            runner,
            env,
            line: line.to_owned(),
            full: expand(package, &full).line,
            is_rewritten: words.is_empty()
                && is_replaced
                && hook.is_none()
                && !calls_manager(&expanded),
            words,
            expanded,
            parts,
            hook: builds.then_some(before),
            rule: Rule::Named(format!("scripts.{name}")),
            place: package.script_place(&name),
            script: Some(name),
        });
    }
    None
}

/// A line with the scripts it calls in place of the calls.
#[derive(Default)]
struct Expanded {
    line: String,
    /// Whether it called them by a program that an image need not have.
    is_replaced: bool,
    /// What a program runs at the same time.
    parts: Vec<String>,
}

/// A line of a `Procfile` without the package manager that an image need not have.
pub(super) fn rewritten(package: &Package<'_>, line: &str) -> Option<String> {
    let Expanded { line, is_replaced, .. } = expand(package, line);
    (is_replaced && !calls_manager(&line)).then(|| with_exec(&line))
}

fn expand(package: &Package<'_>, line: &str) -> Expanded {
    let scripts: Vec<(&str, &str)> = package.scripts().collect();
    let (mut left, mut done, mut all) = (CALLS_MAX, Vec::new(), Expanded::default());
    // A stack of our own: scripts may call each other.
    let mut pending = vec![line.to_owned()];
    while let Some(next) = pending.pop() {
        let next = next.trim();
        // Elsewhere, scripts are another package's.
        let is_here = !next.starts_with("cd ");
        let chain = next.split_once("&&").or_else(|| next.split_once(';'));
        let bare = without_environment(next).1;
        let program = bare.split_whitespace().next().unwrap_or_default();
        let called = || {
            let (name, rest) = call(bare)?;
            let is_program = MANAGERS.contains(&program) && !name.contains(':');
            let script = package.script(name).or_else(|| is_program.then_some(name))?;
            Some((script, rest))
        };
        if let Some((first, rest)) = chain.filter(|_| is_here) {
            pending.extend([rest.to_owned(), first.to_owned()]);
        } else if let Some((lines, in_order)) = several(bare, &scripts).filter(|_| left > 0) {
            left -= 1;
            if in_order {
                all.is_replaced = true;
                pending.extend(lines.into_iter().rev());
            } else {
                let part = |line: String| {
                    call(&line)
                        .and_then(|(name, _)| package.script(name))
                        .map_or_else(|| line.clone(), str::to_owned)
                };
                all.parts = lines.into_iter().map(part).collect();
                done.push(next.to_owned());
            }
        } else if let Some((script, rest)) = called().filter(|_| is_here && left > 0) {
            left -= 1;
            all.is_replaced |= MANAGERS.contains(&program);
            let rest = rest.into_iter().filter(|word| *word != "--");
            let set = next[..next.len() - bare.len()].trim();
            let set = Some(set).filter(|set| !set.is_empty());
            let words = set.into_iter().chain([script]).chain(rest);
            pending.push(words.collect::<Vec<_>>().join(" "));
        } else {
            done.push(next.to_owned());
        }
    }
    all.line = done.join(" && ");
    all
}

/// Calls of scripts that are followed in one line.
const CALLS_MAX: usize = 20;

/// A command that can run without its script: Node.js with a file, and the programs that only watch it.
fn plain(package: &Package<'_>, line: &str) -> Option<(Runner, Vec<String>)> {
    let mut words = shell::words(line)?;
    if words.len() > 1 && words[0] == "npx" {
        words.remove(0);
    }
    let first = words.first()?.clone();
    let mut plain = words.iter().skip(1).filter(|word| !word.starts_with('-'));
    let path = plain.find(|word| word.contains(['.', '/'])).cloned();
    match first.as_str() {
        "node" => {
            words.retain(|word| word != "--watch" && !word.starts_with("--inspect"));
            (words.len() > 1).then_some((Runner::Node, words))
        }
        "nodemon" | "node-dev" | "supervisor" | "forever" | "pm2-runtime" | "pm2" => {
            let file = path?;
            let is_code = [".js", ".mjs", ".cjs", "/www"].iter().any(|end| file.ends_with(end));
            let is_config = [".config.js", ".config.cjs"].iter().any(|end| file.ends_with(end));
            let runs_other = words.iter().any(|word| ["--exec", "-x", "-r"].contains(&&**word));
            let is_plain = is_code && !is_config && !runs_other;
            is_plain.then(|| (Runner::Node, owned(["node", &file])))
        }
        "ts-node-dev" | "tsx" | "ts-node" => {
            // A module that is required first has a path too.
            let file = words.iter().find(|word| is_code(word)).cloned().or(path)?;
            let at = words.iter().position(|word| *word == file)?;
            let required = words[..at].windows(2).filter(|pair| REQUIRES.contains(&&*pair[0]));
            let required = required.flat_map(|pair| ["-r", &pair[1]]);
            let runner = if first == "tsx" { "tsx" } else { "ts-node" };
            let command = owned(["npx", runner].into_iter().chain(required).chain([&*file]));
            package.has_any(&[runner, &first]).then_some((Runner::Npx, command))
        }
        "bun" => {
            words.retain(|word| word != "--watch" && word != "--hot");
            is_code(&path?).then_some((Runner::Bun, words))
        }
        file => {
            // Linux gives `env` one argument, whatever stands in the first line of the file.
            let path = resolve(package.at.dir, file).filter(|_| file.contains('/'))?;
            let head = package.at.project.tree.head(&path, scripts::HEAD_BYTES)?;
            let called = scripts::first_line(&head).filter(|called| called.len() > 1)?;
            let words = called.into_iter().chain(words.iter().map(String::as_str));
            let command = owned(words);
            (command[0] == "node").then_some((Runner::Node, command))
        }
    }
}

fn owned<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

const HOPS_MAX: usize = 6;
