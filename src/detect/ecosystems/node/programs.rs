//! The programs that a start needs: what each is, and where it comes from.

use super::{
    lines::{MANAGERS, commands},
    package::Package,
    start::Start,
    unit::Unit,
};
use crate::detect::prelude::*;

/// A program, or a module that is loaded before one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// As the command names it, without a path.
    pub(super) name: String,
    pub(super) from: Provider,
    /// Whether the shell looks for it.
    pub(super) is_called: bool,
}

/// Where a program comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Provider {
    /// The image has it: Node.js, npm, what every shell has.
    Image,
    /// A package manager that the image need not have.
    Manager,
    /// A file of the project.
    Project,
    /// A dependency, and whether it is needed only to develop.
    Package { is_dev: bool },
    /// Nobody that is known.
    Unknown,
}

/// What images and their shells have.
const IMAGE: &[&str] = &[
    "node", "npm", "npx", "sh", "bash", ".", ":", "[", "cat", "cd", "chmod", "cp", "date", "echo",
    "eval", "exec", "exit", "export", "false", "find", "grep", "if", "kill", "ln", "ls", "mkdir",
    "mv", "printf", "pwd", "rm", "sed", "set", "sleep", "source", "test", "then", "touch", "trap",
    "true", "tee", "ulimit", "umask", "wait", "fi", "else", "for", "do", "done", "while",
];

/// Programs whose package has another name, which no rule gives.
const PACKAGES: &[(&str, &[&str])] = &[
    ("babel-node", &["@babel/node", "babel-cli"]),
    ("dotenvx", &["@dotenvx/dotenvx"]),
    ("keystone", &["@keystone-6/core", "@keystone-next/keystone"]),
    ("medusa", &["@medusajs/cli", "@medusajs/medusa"]),
    ("modern", &["@modern-js/app-tools"]),
    ("ng", &["@angular/cli"]),
    ("nest", &["@nestjs/cli"]),
    ("npm-run-all", &["npm-run-all", "npm-run-all2"]),
    ("pm2-runtime", &["pm2"]),
    ("rw", &["@redwoodjs/core"]),
    ("react-router-serve", &["@react-router/serve"]),
    ("remix-serve", &["@remix-run/serve"]),
    ("run-p", &["npm-run-all", "npm-run-all2"]),
    ("run-s", &["npm-run-all", "npm-run-all2"]),
    ("strapi", &["@strapi/strapi", "strapi"]),
    ("tsc", &["typescript"]),
    ("vike", &["vike", "vite"]),
];

/// All programs that a start needs.
pub(super) fn of(unit: &Unit<'_>, start: &Start) -> Vec<Program> {
    let line = start.run_line();
    let mut all = Vec::new();
    for command in commands(&line) {
        let mut is_program = true;
        let words = command.split_whitespace();
        for word in words.map(|word| word.trim_matches(['"', '\'', '(', ')'])) {
            if is_program && word.contains('=') {
                continue;
            }
            let provider = provider(unit, word);
            // Other words are options and files, and here and there a module.
            let is_module = matches!(provider, Provider::Package { .. }) && is_named(unit, word);
            if is_program || is_module {
                all.push(Program { name: word.to_owned(), from: provider, is_called: is_program });
            }
            is_program = word == "--" || is_program && CALLERS.contains(&word);
        }
    }
    all
}

/// Programs that run the one that comes next.
const CALLERS: &[&str] = &["npx", "bunx", "exec", "cross-env", "cross-env-shell"];

/// Packages that are looked at first: the program's own for the command line, then that of its name.
fn provider(unit: &Unit<'_>, word: &str) -> Provider {
    let word = word.rsplit_once("node_modules/.bin/").map_or(word, |(_, name)| name);
    let name = word;
    let is_dev = |package: &str| unit.package.is_dev(package).or_else(|| unit.root.is_dev(package));
    let package = |is_dev| Provider::Package { is_dev };
    if MANAGERS.contains(&name) && is_dev(name).is_none() {
        return Provider::Manager;
    }
    if IMAGE.contains(&name) || name.is_empty() || name.starts_with(['-', '$']) {
        return Provider::Image;
    }
    let installed = word.rsplit_once("node_modules/").map_or(name, |(_, rest)| rest);
    let mut parts = installed.splitn(3, '/');
    let module = match (parts.next(), parts.next()) {
        (Some(scope), Some(module)) if scope.starts_with('@') => format!("{scope}/{module}"),
        (Some(module), _) => module.to_owned(),
        _ => return Provider::Image,
    };
    let listed = PACKAGES.iter().find(|(program, _)| *program == name);
    let listed = listed.into_iter().flat_map(|(_, packages)| *packages).copied();
    let tools = [format!("{name}-cli"), format!("@{name}/cli"), module];
    let mut candidates = listed.chain(tools.iter().map(String::as_str));
    if let Some(is_dev) = candidates.find_map(is_dev) {
        return package(is_dev);
    }
    if name.contains('/') {
        return Provider::Project;
    }
    let ends = [format!("/{name}"), format!("/{name}-cli")];
    let is_like = |(known, _): &(&str, &str)| ends.iter().any(|end| known.ends_with(&**end));
    let near = [unit.package, unit.root].into_iter().find_map(|all| {
        let (known, _) = all.dependencies().find(is_like)?;
        all.is_dev(known)
    });
    match near.or_else(|| by_lock_file(unit, name)) {
        Some(is_dev) => package(is_dev),
        None => Provider::Unknown,
    }
}

/// Whether a word is the name of a dependency, or of a module in it.
fn is_named(unit: &Unit<'_>, word: &str) -> bool {
    let first = |package: &Package<'_>| {
        let module = word.split('/').next().unwrap_or(word);
        package.has(word) || package.has(module) || word.contains("node_modules/")
    };
    first(unit.package) || first(unit.root)
}

/// The lock file of npm knows the programs of each package, and what is for development alone.
fn by_lock_file(unit: &Unit<'_>, program: &str) -> Option<bool> {
    let lock = unit.manager.lock.as_ref().filter(|lock| lock.ends_with(".json"))?;
    let json = unit.at().project.tree.json(lock)?;
    let mut packages = json.get("packages")?.members().map(|(_, package)| package);
    let package = packages.find(|package| package.at(&["bin", program]).is_some())?;
    Some(package.get("dev").is_some_and(Value::is_true))
}
