//! The rules, one file or folder for each ecosystem.

use crate::detect::{Facts, Folder, Project, upward};

#[cfg(test)]
mod compiled_tests;
pub mod cpp;
pub mod crystal;
pub mod dart;
pub mod deno;
pub mod dotnet;
pub mod elixir;
mod generators;
pub mod gleam;
pub mod go;
pub mod haskell;
mod julia;
pub mod jvm;
mod lua;
#[cfg(test)]
mod names_tests;
mod nim;
#[cfg(test)]
mod nim_tests;
pub mod node;
#[cfg(test)]
mod node_tests;
mod ocaml;
mod perl;
pub mod php;
#[cfg(test)]
mod php_tests;
pub mod python;
#[cfg(test)]
mod python_tests;
mod r;
pub mod ruby;
#[cfg(test)]
mod ruby_tests;
pub mod rust;
mod scripted;
#[cfg(test)]
mod shape_tests;
pub mod shell_script;
#[cfg(test)]
mod small_tests;

mod static_python;
pub mod static_site;
pub mod swift;
pub mod zig;

/// One ecosystem: the languages that share manifests and tools.
///
/// A rule applies what the ecosystem's own tools do; it knows of other ecosystems through methods of [`Facts`] alone
/// (`Facts::front_end` for a PHP or Rails project with a `package.json`).
pub struct Ecosystem {
    /// What `--explain` calls it.
    pub name: &'static str,
    /// The files it goes by, in a few words, for whoever hears that nothing was found.
    pub looks_for: &'static str,
    /// All its services in the tree, in order of their folders. Of a workspace one for each deployable member.
    pub find: fn(&Project<'_>) -> Vec<Facts>,
}

/// All ecosystems; where two find something of one weight in one folder, the earlier wins.
///
/// Servers of other languages often have a `package.json` beside them for what the browser gets, so Node.js comes after
/// them; plain files come last.
pub static ALL: &[Ecosystem] = &[
    Ecosystem {
        name: "python",
        looks_for: "requirements.txt, pyproject.toml, Pipfile, *.py",
        find: python::find,
    },
    Ecosystem { name: "ruby", looks_for: "Gemfile, config.ru", find: ruby::find },
    Ecosystem { name: "php", looks_for: "composer.json, index.php", find: php::find },
    Ecosystem { name: "elixir", looks_for: "mix.exs", find: elixir::find },
    Ecosystem { name: "gleam", looks_for: "gleam.toml", find: gleam::find },
    Ecosystem { name: "go", looks_for: "go.mod, main.go", find: go::find },
    Ecosystem { name: "rust", looks_for: "Cargo.toml", find: rust::find },
    Ecosystem {
        name: "jvm",
        looks_for: "pom.xml, build.gradle, build.sbt, project.clj, deps.edn",
        find: jvm::find,
    },
    Ecosystem { name: "dotnet", looks_for: "*.csproj, *.fsproj, *.cs", find: dotnet::find },
    Ecosystem { name: "swift", looks_for: "Package.swift", find: swift::find },
    Ecosystem { name: "dart", looks_for: "pubspec.yaml", find: dart::find },
    Ecosystem { name: "haskell", looks_for: "stack.yaml, *.cabal", find: haskell::find },
    Ecosystem { name: "crystal", looks_for: "shard.yml", find: crystal::find },
    Ecosystem { name: "zig", looks_for: "build.zig", find: zig::find },
    Ecosystem { name: "nim", looks_for: "*.nimble", find: nim::find },
    Ecosystem { name: "ocaml", looks_for: "dune-project", find: ocaml::find },
    Ecosystem { name: "perl", looks_for: "cpanfile, *.psgi, app.pl", find: perl::find },
    Ecosystem { name: "r", looks_for: "app.R, plumber.R, renv.lock", find: r::find },
    Ecosystem { name: "julia", looks_for: "Project.toml", find: julia::find },
    Ecosystem { name: "lua", looks_for: "*.rockspec, main.lua", find: lua::find },
    Ecosystem { name: "deno", looks_for: "deno.json", find: deno::find },
    Ecosystem { name: "node", looks_for: "package.json", find: node::find },
    Ecosystem { name: "cpp", looks_for: "CMakeLists.txt, meson.build, Makefile", find: cpp::find },
    Ecosystem {
        name: "static",
        looks_for: "index.html, or a site of Hugo, Jekyll, MkDocs, Zola, mdBook, Pelican or Sphinx",
        find: static_site::find,
    },
    Ecosystem { name: "shell", looks_for: "start.sh", find: shell_script::find },
];

/// Whether a folder has a manifest of any ecosystem.
pub(super) fn has_manifest(project: &Project<'_>, dir: &str) -> bool {
    let names = [".csproj", ".fsproj", ".vbproj", ".sln"];
    project
        .tree
        .entries(dir)
        .is_some_and(|entries| entries.first_of(MANIFESTS).is_some() || entries.has_ending(&names))
}

/// Whether a folder has, or lies below one that has, a manifest that is not the service's `own`, which is told its folder
/// and name: files are parts of that project then.
fn is_below_project(at: Folder<'_>, own: impl Fn(&str, &str) -> bool) -> bool {
    upward(at.dir).any(|dir| {
        let manifest = Folder::new(at.project, dir).first_of(MANIFESTS);
        manifest.is_some_and(|name| !own(dir, name))
    })
}

/// Manifests of all ecosystems: a folder with one, and what lies below it, is not mere files.
const MANIFESTS: &[&str] = &[
    "package.json", "deno.json", "deno.jsonc", "requirements.txt", "pyproject.toml", "setup.py",
    "Pipfile", "manage.py", "environment.yml", "go.mod", "go.work", "Cargo.toml", "pom.xml",
    "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "build.sbt",
    "project.clj", "deps.edn", "Gemfile", "gems.rb", "config.ru", "composer.json", "index.php",
    "mix.exs", "rebar.config", "gleam.toml", "Package.swift", "pubspec.yaml", "stack.yaml",
    "package.yaml", "cabal.project", "build.zig", "shard.yml", "CMakeLists.txt", "cpanfile",
    "dune-project", "renv.lock", "Project.toml", "meson.build", "global.json",
];
