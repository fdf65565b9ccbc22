//! How dependencies are installed: with which files, when, and what else they need.

use super::{
    Unit, in_folder,
    manager::{Installer, Tool},
    outcome::Runs,
    package::Package,
};
use crate::{
    detect::{Project, images::Family, join},
    spec::DependencyStep,
};

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
pub(super) struct Install {
    /// The step that sees manifests alone; `None` when there is nothing to install, or it needs the source.
    pub(super) step: Option<DependencyStep>,
    /// Commands that install after the source is there.
    pub(super) late: Vec<String>,
    /// Only what is needed to run was installed.
    pub(super) is_production: bool,
}

impl Install {
    pub(super) fn nothing() -> Self {
        Self { step: None, late: Vec::new(), is_production: true }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.step.is_none() && self.late.is_empty()
    }
}

/// Plans the install of a package or its workspace. `is_needed_to_run` tells that no development dependency is needed.
pub(super) fn plan(unit: &Unit<'_>, runs: &Runs, is_built: bool, needs_dev: bool) -> Install {
    let installed: Vec<&Package> = installed(unit);
    let has_any = installed.iter().any(|package| package.dependencies().next().is_some());
    if !has_any && unit.manager.lock.is_none() {
        return Install::nothing();
    }
    let hooks = || installed.iter().flat_map(|package| lifecycle(package));
    let has_hooks = hooks().next().is_some();
    let needs_source = installed.iter().any(|package| {
        lifecycle(package).any(|line| !is_harmless(package, line, 0)) || has_late_hook(package)
    });
    let has_dev = installed.iter().any(|package| package.has_dev_dependencies());
    let is_server = matches!(runs, Runs::Server(_));
    let may_omit = is_server && !is_built && !has_hooks && !needs_dev && !unit.is_member();
    let production = unit.manager.install_production(unit.node).filter(|_| may_omit && has_dev);
    let is_production = production.is_some() || !has_dev;
    let command = production.unwrap_or_else(|| unit.manager.install(unit.node));
    let mut commands = unit.manager.setup(unit.node, unit.project.bases, unit.is_bun);
    commands.push(in_folder(&unit.root.dir, &command));
    if let Some(Installer::Lerna(bootstrap)) = unit.manager.installer {
        commands.push(in_folder(&unit.root.dir, bootstrap));
    }
    if needs_source {
        return Install { step: None, late: commands, is_production };
    }
    let files = files(unit, &installed);
    Install { step: Some(DependencyStep { files, commands }), late: Vec::new(), is_production }
}

/// All packages that one install is for.
fn installed<'a>(unit: &Unit<'a>) -> Vec<&'a Package> {
    let members = unit.packages.members(unit.root).unwrap_or_default();
    let members = members.iter().filter_map(|dir| unit.packages.all.get(dir));
    std::iter::once(unit.root).filter(|root| root.has_manifest()).chain(members).collect()
}

fn lifecycle(package: &Package) -> impl Iterator<Item = &str> {
    LIFECYCLE.iter().filter_map(|name| package.script(name))
}

/// A native module of the package's own.
fn has_late_hook(package: &Package) -> bool {
    package.json().get("gypfile").is_some_and(super::super::super::manifest::Value::is_true)
}

/// Whether a script of the install does well without the source.
fn is_harmless(package: &Package, line: &str, depth: usize) -> bool {
    line.split(['&', '|', ';', '(', ')']).map(str::trim).filter(|part| !part.is_empty()).all(
        |part| {
            let mut words = part.split_whitespace().skip_while(|word| {
                word.contains('=')
                    || ["npx", "yarn", "pnpm", "exec", "cross-env", "-y", "--yes", "bunx", "dlx"]
                        .contains(word)
            });
            let first = words.next().unwrap_or("true");
            if HARMLESS.contains(&first) {
                return true;
            }
            let called = match first {
                "npm" | "bun" | "run" => {
                    words.find(|word| *word != "run" && !word.starts_with('-'))
                }
                _ => Some(first),
            };
            let script = called.and_then(|name| package.script(name));
            depth < 3
                && script
                    .is_some_and(|script| script != line && is_harmless(package, script, depth + 1))
        },
    )
}

/// Globs of everything the install looks at.
fn files(unit: &Unit<'_>, installed: &[&Package]) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    match installed.len() {
        0..=MANIFESTS_MAX => files.extend(installed.iter().map(|package| package.path.clone())),
        _ => files.push(join(&unit.root.dir, "**/package.json")),
    }
    files.extend(unit.manager.files(unit.project, unit.root));
    let is_lerna = matches!(unit.manager.installer, Some(Installer::Lerna(_)));
    for package in installed {
        // Each was installed for itself.
        let locks = ["package-lock.json", "yarn.lock"].map(|name| package.join(name));
        files.extend(locks.into_iter().filter(|lock| is_lerna && unit.project.tree.has(lock)));
        if installed.len() > 1 {
            files.extend(programs(unit.project, package));
        }
        files.extend(schema(unit.project, package));
        files.extend(local(unit.project, package));
    }
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.clone()));
    files
}

/// Programs that a member offers: pnpm links only what is there.
fn programs(project: &Project<'_>, package: &Package) -> Vec<String> {
    let Some(bin) = package.json().get("bin") else { return Vec::new() };
    let named = bin.as_str().into_iter().chain(bin.members().filter_map(|(_, v)| v.as_str()));
    let paths = named.map(|path| package.join(path.trim_start_matches("./")));
    paths.filter(|path| project.tree.has(path)).take(PROGRAMS_MAX).collect()
}

/// Programs of one package that are looked at.
const PROGRAMS_MAX: usize = 20;

/// Prisma makes its client from this when it is installed.
pub(super) fn schema(project: &Project<'_>, package: &Package) -> Option<String> {
    if !package.has("prisma") && !package.has("@prisma/client") {
        return None;
    }
    let stated =
        package.json().str_at(&["prisma", "schema"]).map(|path| path.trim_start_matches("./"));
    let candidates = stated.into_iter().chain(["prisma/schema.prisma", "schema.prisma"]);
    let found = candidates.map(|path| package.join(path)).find(|path| project.tree.has(path));
    found.or_else(|| project.tree.has_dir(&package.join("prisma")).then(|| package.join("prisma")))
}

/// Folders that dependencies name as `file:` or `link:`.
fn local(project: &Project<'_>, package: &Package) -> Vec<String> {
    let named = package.dependencies().filter_map(|(_, range)| {
        range.strip_prefix("file:").or_else(|| range.strip_prefix("link:"))
    });
    let path = |named: &str| {
        let mut parts: Vec<&str> = match package.dir.as_str() {
            "." => Vec::new(),
            dir => dir.split('/').collect(),
        };
        for part in named.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        let path = parts.join("/");
        let is_there = project.tree.has_dir(&path) || project.tree.has(&path);
        (!path.is_empty() && is_there).then_some(path)
    };
    named.filter_map(path).collect()
}

/// Packages of the system for the build stage and for the image.
pub(super) fn system_packages(unit: &Unit<'_>) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut build, mut runtime) = (Vec::new(), Vec::new());
    let order = unit.packages.build_order(unit.package);
    let has = |name: &str| order.iter().any(|package| package.has(name));
    let family = unit.project.bases;
    if NATIVE.iter().any(|name| has(name)) {
        match family {
            Family::Wolfi => build.extend(["build-base", "python-3.13"]),
            _ => build.extend(["g++", "make", "python3"]),
        }
    }
    let from_git =
        |range: &str| ["git+", "git:", "github:", "git@"].iter().any(|p| range.starts_with(p));
    if order.iter().any(|package| package.dependencies().any(|(_, range)| from_git(range))) {
        build.extend(["ca-certificates", "git"]);
    }
    if has("prisma") || has("@prisma/client") {
        // Its engines look for the library of OpenSSL, which slim images lack.
        build.push("openssl");
        runtime.push("openssl");
    }
    if has("puppeteer") {
        runtime.push("chromium");
    }
    if unit.manager.tool == Tool::Bun && unit.is_bun && family != Family::Official {
        build.clear();
        runtime.clear();
    }
    (build, runtime)
}

/// More manifests than this are named by a pattern.
const MANIFESTS_MAX: usize = 40;
