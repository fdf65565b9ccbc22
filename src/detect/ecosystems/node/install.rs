//! How dependencies are installed: with which files, when, and what else they need.

use std::collections::BTreeSet;

use super::{manager::Installer, package::Package, unit::Unit};
use crate::detect::{facts::Need, prelude::*};

/// Scripts that package managers run when they install.
const LIFECYCLE: &[&str] =
    &["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];

/// Programs that such scripts may run before the source is there.
const HARMLESS: &[&str] = &[
    "husky", "is-ci", "patch-package", "prisma", "only-allow", "simple-git-hooks", "lefthook",
    "ngcc", "nuxt", "nuxi", "svelte-kit", "echo", "exit", "true", "opencollective",
    "opencollective-postinstall", "node_modules/.bin/ngcc", "git", "check-node-version",
    "fumadocs-mdx", "wxt", "rimraf", "yarn-deduplicate", "npx", "panda", "skip-ci",
];

/// Packages that are compiled when they are installed, as far as they bring nothing that is built already.
const NATIVE: &[&str] = &[
    "node-sass", "canvas", "sqlite3", "better-sqlite3", "bcrypt", "argon2", "serialport", "zeromq",
    "re2", "isolated-vm", "libpq", "pg-native", "kerberos", "node-pty", "deasync", "leveldown",
    "sodium-native", "couchbase", "grpc", "node-gyp", "utf-8-validate", "bufferutil", "microtime",
    "node-rdkafka", "farmhash", "snappy", "integer", "ursa", "heapdump",
];

/// What one install is.
#[derive(Default)]
pub(super) struct Install {
    /// Patterns of the files that it sees; `None`: scripts of the install need the source.
    pub(super) files: Option<Vec<String>>,
    /// Commands; none when there is nothing to install.
    pub(super) steps: Vec<Step>,
    /// Only what is needed to run is installed.
    pub(super) is_production: bool,
}

/// Plans the install of a package or its workspace; `may_omit` tells that nothing is needed but to run.
pub(super) fn plan(unit: &Unit<'_>, may_omit: bool) -> Install {
    let installed: Vec<&Package<'_>> = installed(unit).collect();
    let has_any = installed.iter().any(|package| package.dependencies().next().is_some());
    if !has_any && unit.manager.lock.is_none() {
        return Install { is_production: true, ..Install::default() };
    }
    let has_hooks = installed.iter().any(|package| lifecycle(package).next().is_some());
    let needs_source = installed.iter().any(|package| {
        // A native module of the package's own is made when it is installed.
        package.json.get("gypfile").is_some_and(Value::is_true)
            || lifecycle(package).any(|line| !is_harmless(package, line, 0))
    });
    let has_dev = installed.iter().any(|package| package.has_dev_dependencies());
    let may_omit = may_omit && has_dev && !has_hooks && !unit.is_member();
    let production = unit.manager.production(unit.node).filter(|_| may_omit);
    let is_production = production.is_some() || !has_dev;
    let command = unit.manager.install(unit.node, production.unwrap_or_default());
    let mut steps: Vec<Step> = unit.manager.setup(unit.node, unit.is_bun).into_iter().collect();
    steps.push(Step::new(Kind::Install, unit.root.at.dir, command));
    if let Some(Installer::Lerna(bootstrap)) = unit.manager.installer {
        steps.push(Step::new(Kind::Install, unit.root.at.dir, bootstrap));
    }
    let files = (!needs_source).then(|| files(unit, &installed));
    Install { files, steps, is_production }
}

/// All packages that one install is for.
fn installed<'a>(unit: &Unit<'a>) -> impl Iterator<Item = &'a Package<'a>> + Clone {
    let root = Some(unit.root).filter(|root| root.has_manifest());
    root.into_iter().chain(unit.packages.members(unit.root.at.dir))
}

fn lifecycle<'p>(package: &'p Package<'_>) -> impl Iterator<Item = &'p str> {
    LIFECYCLE.iter().filter_map(|name| package.script(name))
}

/// Programs that only call others.
const CALLERS: &[&str] =
    &["npx", "yarn", "pnpm", "exec", "cross-env", "-y", "--yes", "bunx", "dlx"];

/// Whether a script of the install does well without the source.
fn is_harmless(package: &Package<'_>, line: &str, depth: usize) -> bool {
    let mut parts =
        line.split(['&', '|', ';', '(', ')']).map(str::trim).filter(|part| !part.is_empty());
    parts.all(|part| {
        let mut words = part.split_whitespace();
        let calls = |word: &&str| !word.contains('=') && !CALLERS.contains(word);
        let first = words.find(calls).unwrap_or("true");
        if HARMLESS.contains(&first) {
            return true;
        }
        let called = match first {
            "npm" | "bun" | "run" => words.find(|word| *word != "run" && !word.starts_with('-')),
            _ => Some(first),
        };
        let script = called.and_then(|name| package.script(name)).filter(|_| depth < 3);
        script.is_some_and(|script| script != line && is_harmless(package, script, depth + 1))
    })
}

/// Patterns of everything the install looks at.
fn files(unit: &Unit<'_>, installed: &[&Package<'_>]) -> Vec<String> {
    let mut files: Vec<String> = match installed.len() {
        0..=MANIFESTS_MAX => installed.iter().map(|package| package.path()).collect(),
        _ => vec![unit.root.at.path("**/package.json")],
    };
    files.extend(unit.manager.files(unit.root.at));
    let is_lerna = matches!(unit.manager.installer, Some(Installer::Lerna(_)));
    for package in installed {
        if is_lerna {
            // Each was installed for itself.
            files.extend(package.at.those(&["package-lock.json", "yarn.lock"]));
        }
        if installed.len() > 1 {
            files.extend(programs(package));
        }
        files.extend(schema(package));
        files.extend(local(package));
    }
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.clone()));
    files
}

/// Programs that a member offers: pnpm links only what is there.
fn programs(package: &Package<'_>) -> Vec<String> {
    let Some(bin) = package.json.get("bin") else { return Vec::new() };
    let named = bin.as_str().into_iter().chain(bin.members().filter_map(|(_, v)| v.as_str()));
    let paths = named.map(|path| path.trim_start_matches("./")).filter(|path| package.at.has(path));
    paths.take(PROGRAMS_MAX).map(|path| package.at.path(path)).collect()
}

/// Programs of one package that are looked at.
const PROGRAMS_MAX: usize = 20;

/// Prisma makes its client from this when it is installed.
pub(super) fn schema(package: &Package<'_>) -> Option<String> {
    if !package.has_any(&["prisma", "@prisma/client"]) {
        return None;
    }
    let stated = package.json.str_at(&["prisma", "schema"]);
    let stated = stated.map(|path| path.trim_start_matches("./")).into_iter();
    let mut candidates = stated.chain(["prisma/schema.prisma", "schema.prisma"]);
    let found = candidates.find(|path| package.at.has(path));
    let found = found.or_else(|| package.at.has_dir("prisma").then_some("prisma"));
    found.map(|path| package.at.path(path))
}

/// Folders that dependencies name as `file:` or `link:`.
fn local(package: &Package<'_>) -> impl Iterator<Item = String> {
    let tree = package.at.project.tree;
    let named = package.dependencies().filter_map(|(_, range)| {
        range.strip_prefix("file:").or_else(|| range.strip_prefix("link:"))
    });
    // Those that begin with `/` are meant from here, too.
    let paths = named.filter_map(|path| resolve(package.at.dir, &format!("./{path}")));
    paths.filter(move |path| path != "." && (tree.has_dir(path) || tree.has(path)))
}

/// Packages of the system for the build stage and, where something runs, for the image.
pub(super) fn system_packages(unit: &Unit<'_>, facts: &mut Facts, runs: bool) {
    let order = unit.packages.build_order(unit.package);
    let has_any = |names: &[&str]| order.iter().any(|package| package.has_any(names));
    if has_any(NATIVE) {
        facts.needs.push(Need::Compiler);
    }
    let from_git =
        |range: &str| ["git+", "git:", "github:", "git@"].iter().any(|p| range.starts_with(p));
    if order.iter().any(|package| package.dependencies().any(|(_, range)| from_git(range))) {
        facts.packages_everywhere(&["ca-certificates", "git"], &[]);
    }
    if has_any(&["prisma", "@prisma/client"]) {
        // Its engines look for the library of OpenSSL, which slim images lack.
        facts.packages_everywhere(&["openssl"], if runs { &["openssl"] } else { &[] });
    }
    if runs && has_any(&["puppeteer"]) {
        facts.packages_everywhere(&[], &["chromium"]);
    }
}

/// More manifests than this are named by a pattern.
const MANIFESTS_MAX: usize = 40;
