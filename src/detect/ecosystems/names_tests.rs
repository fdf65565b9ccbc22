//! Names of packages: every one that a table holds or a pinned version leads to is a package of the base it is installed on.
//!
//! `tests/names/*.txt` hold what the bases have, so the test needs no network. How they are renewed stands in each.

use std::{collections::BTreeSet, fs, path::Path};

use crate::detect::{
    Family, detect,
    language::{DEBIAN, WOLFI, reference},
};
use crate::spec::Base;

const FAMILIES: [Family; 3] = [Family::Official, Family::Wolfi, Family::Debian];

/// The systems whose names are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum System {
    Wolfi,
    Debian,
    Alpine,
}

type Names = BTreeSet<(System, String)>;

fn known() -> Names {
    let lists = [
        (System::Wolfi, include_str!("../../../tests/names/wolfi.txt")),
        (System::Debian, include_str!("../../../tests/names/debian-12.txt")),
        (System::Alpine, include_str!("../../../tests/names/alpine.txt")),
    ];
    let lines =
        lists.iter().flat_map(|(system, text)| text.lines().map(move |line| (system, line)));
    let names = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    names.map(|(system, line)| (*system, line.to_owned())).collect()
}

/// What a name asks for, less a constraint on its version.
fn bare(name: &str) -> &str {
    name.split(['>', '=', '<', '~']).next().unwrap_or(name)
}

/// The system of a base: official images are Debian's, and of releases that are gone nothing is known.
fn system(base: &Base) -> Option<System> {
    let Base::Image(name) = base else { return None };
    let is_old = ["stretch", "buster", "bullseye", "trixie"].iter().any(|s| name.contains(s));
    match name {
        _ if *base == reference(WOLFI) => Some(System::Wolfi),
        _ if *base == reference(DEBIAN) => Some(System::Debian),
        _ if name.contains("/alpine:") => Some(System::Alpine),
        _ => (!is_old).then_some(System::Debian),
    }
}

/// The packages of all services of a tree in all families.
fn collect(root: &Path, names: &mut Names) {
    for family in FAMILIES {
        for service in detect(root, family).unwrap().services {
            let (build, run) = (service.spec.build, service.spec.runtime);
            for (base, packages) in [(build.base, build.packages), (run.base, run.packages)] {
                let Some(system) = system(&base) else { continue };
                names.extend(packages.iter().map(|name| (system, bare(name).to_owned())));
            }
        }
    }
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn collect_files(files: &[(&str, &str)], names: &mut Names) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    collect(dir.path(), names);
}

/// Trees that pin every version there was, and some to come.
fn pinned(names: &mut Names) {
    let mut pin = |files: &[(&str, &str)]| collect_files(files, names);
    for major in 4..30 {
        let node = format!("{major}\n");
        let package =
            "{\"scripts\": {\"start\": \"node a.js\"}, \"dependencies\": {\"sharp\": \"1\"}}";
        pin(&[(".nvmrc", &node), ("package.json", package), ("a.js", "")]);
        pin(&[(".nvmrc", &node), ("server.js", "require('http').createServer().listen(3000);")]);
        let project = |sdk: &str| {
            format!(
                "<Project Sdk=\"Microsoft.NET.Sdk{sdk}\"><PropertyGroup><TargetFramework>net{major}.0</TargetFramework><OutputType>Exe</OutputType></PropertyGroup></Project>"
            )
        };
        pin(&[("a.csproj", &project("")), ("A.cs", "")]);
        pin(&[("a.csproj", &project(".Web")), ("A.cs", "")]);
        let java = format!("{major}\n");
        let main = ("src/main/java/A.java", "class A { public static void main(String[] a) {} }");
        let pom = "<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>a</artifactId><version>1</version></project>";
        pin(&[(".java-version", &java), ("pom.xml", pom), main]);
    }
    for (manifest, text) in [
        ("build.gradle", "plugins { id 'application' }\napplication { mainClass = 'A' }\n"),
        ("build.sbt", "name := \"a\"\n"),
        ("project.clj", "(defproject a \"1\" :main a.core)\n"),
        ("deps.edn", "{:paths [\"src\"]}\n"),
    ] {
        pin(&[(manifest, text), ("src/main/java/A.java", "class A {}")]);
    }
    let tools = "golang 1.{}\nrust 1.{}\nelixir 1.{}\ncrystal 1.{}\n";
    for minor in 0..30 {
        let tools = tools.replace("{}", &minor.to_string());
        let go = ("a/main.go", "package main\nfunc main() {}\n");
        let rust = ("b/src/main.rs", "fn main() {}\n");
        pin(&[
            (".tool-versions", &tools),
            ("a/go.mod", "module m\n"),
            go,
            ("b/Cargo.toml", "[package]\nname = \"b\"\n"),
            rust,
            ("c/mix.exs", "defmodule A.MixProject do\nend\n"),
            ("d/shard.yml", "name: d\n"),
            ("d/src/d.cr", ""),
        ]);
    }
    let versions = [
        ("python", 2, 3..8),
        ("python", 3, 0..18),
        ("ruby", 2, 0..8),
        ("ruby", 3, 0..6),
        ("ruby", 4, 0..3),
        ("php", 5, 3..7),
        ("php", 7, 0..5),
        ("php", 8, 0..8),
    ];
    for (tool, major, minors) in versions {
        for minor in minors {
            let tools = format!("{tool} {major}.{minor}\n");
            let tools = (".tool-versions", &*tools);
            match tool {
                "python" => pin(&[
                    tools,
                    ("requirements.txt", "flask\n"),
                    ("app.py", "app = Flask(__name__)\n"),
                ]),
                "php" => pin(&[tools, ("index.php", "<?php\n")]),
                _ => {
                    pin(&[tools, ("Gemfile", "gem 'sinatra'\n"), ("config.ru", "")]);
                    pin(&[tools, ("Gemfile", "gem 'jekyll'\n"), ("_config.yml", "")]);
                }
            }
        }
    }
}

/// Trees whose packages no call names by a literal: tables that are looked up.
fn looked_up(names: &mut Names) {
    collect_files(&[("hugo.toml", ""), ("go.mod", "module m\n"), ("content/a.md", "")], names);
    let wanted = crate::detect::hints::apply::PACKAGES.join(" ");
    let dockerfile =
        format!("FROM debian AS build\nFROM debian\nRUN apt-get install -y {wanted}\n");
    let app = ("app.py", "from flask import Flask\napp = Flask(__name__)\n");
    collect_files(&[app, ("requirements.txt", "flask\n"), ("Dockerfile", &dockerfile)], names);
    let script = "#!/bin/bash\ncurl; jq; git; nc; socat\n";
    collect_files(&[("start.sh", script)], names);
    let requires = ["cjson", "copas", "http.server", "lfs", "lpeg", "posix", "socket", "ssl"];
    let lua: String = requires.map(|name| format!("require('{name}')\n")).concat();
    for version in ["5.1", "5.2", "5.3", "5.4", "5.9"] {
        let spec = ("a-1-1.rockspec", "dependencies = { 'lua >= 5.1', 'pegasus' }\n");
        collect_files(&[("main.lua", &lua), (".lua-version", version), spec], names);
    }
    for version in ["7.4", "8.2", "8.3", "8.4", "8.5"] {
        let extensions = [
            "apcu", "bcmath", "bz2", "curl", "gd", "gmp", "imagick", "intl", "ldap", "mbstring",
            "memcached", "mongodb", "mysqli", "pdo_mysql", "pdo_pgsql", "pdo_sqlite", "pgsql",
            "redis", "soap", "sqlite3", "xsl", "zip", "ffi", "tidy", "imap", "enchant", "gettext",
            "snmp", "pcntl", "sockets", "exif", "calendar", "opcache",
        ];
        let all: Vec<String> =
            extensions.iter().map(|name| format!("\"ext-{name}\": \"*\"")).collect();
        let composer = format!("{{\"require\": {{\"php\": \"{version}\", {}}}}}", all.join(", "));
        collect_files(&[("composer.json", &composer), ("index.php", "<?php\n")], names);
    }
}

/// Calls that take names of packages, and of which systems.
const CALLS: &[(&str, &[System])] = &[
    ("Pair::wolfi(", &[System::Wolfi]),
    (".wolfi(", &[System::Wolfi]),
    ("stage(WOLFI,", &[System::Wolfi]),
    ("Pair::debian(", &[System::Debian]),
    ("stage(DEBIAN,", &[System::Debian]),
    (".packages(", &[System::Debian]),
    (" library(", &[System::Debian]),
    (".packages_everywhere(", &[System::Wolfi, System::Debian]),
    ("on_alpine(", &[System::Alpine]),
];

/// The arguments of a call: what follows, up to the parenthesis that closes it.
fn arguments(text: &str) -> &str {
    let (mut depth, mut quoted) = (1, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// Names that calls in the sources of a folder have as literals.
fn written(dir: &Path, names: &mut Names) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            written(&path, names);
            continue;
        }
        if path.to_str().is_none_or(|path| !path.ends_with(".rs") || path.ends_with("tests.rs")) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        for (call, systems) in CALLS {
            for (at, _) in text.match_indices(call) {
                let arguments = arguments(&text[at + call.len()..]);
                // The first argument of `library` is what needs it.
                let skipped = usize::from(call.ends_with(" library("));
                let literals = arguments.split('"').skip(1).step_by(2).skip(skipped);
                for name in literals {
                    names.extend(systems.iter().map(|system| (*system, name.to_owned())));
                }
            }
        }
    }
}

fn bases(family: Family, files: &[(&str, &str)]) -> (String, String, String) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    let found = detect(dir.path(), family).unwrap();
    let spec = &found.services[0].spec;
    let name = |base: &Base| match base {
        Base::Image(name) => name.trim_start_matches("docker.io/library/").to_owned(),
        _ => String::new(),
    };
    let packages = spec.build.packages.join(" ");
    (name(&spec.build.base), packages, crate::detect::explain::text(&found))
}

#[test]
fn a_version_that_wolfi_lacks_is_told_with_what_stands_in_for_it() {
    let check = |files: &[(&str, &str)], base: &str, packages: &str, told: &str| {
        let found = bases(Family::Wolfi, files);
        assert_eq!((found.0.as_str(), found.1.as_str()), (base, packages));
        assert!(found.2.contains(told), "{}", found.2);
    };
    let node = ("server.js", "require('http').createServer().listen(3000);");
    let told = "the nearest Node.js that this base has: 24";
    check(&[node, (".nvmrc", "14\n")], WOLFI, "nodejs-24 npm", told);
    let go = ("main.go", "package main\nimport \"C\"\nfunc main() {}\n");
    let told = "the newest Go that this base has: 1.28 or later";
    check(&[go, ("go.mod", "module m\ngo 1.28\n")], WOLFI, "build-base go>=1.28", told);
    let project = |version: &str| {
        format!(
            "<Project Sdk=\"Microsoft.NET.Sdk.Web\"><PropertyGroup><TargetFramework>net{version}</TargetFramework></PropertyGroup></Project>"
        )
    };
    let told = "the family has no package of what is needed: the official image";
    let (eight, ten) = (project("8.0"), project("10.0"));
    check(&[("a.csproj", &eight)], "mcr.microsoft.com/dotnet/sdk:8.0", "", told);
    check(&[("a.csproj", &ten)], WOLFI, "dotnet-10-sdk", "");
    let rust = ("src/main.rs", "fn main() {}\n");
    let manifest = ("Cargo.toml", "[package]\nname = \"a\"\n");
    let nightly = ("rust-toolchain", "nightly-2026-01-01\n");
    check(&[rust, manifest, nightly], "rust:1.95-slim-bookworm", "", told);
    check(&[rust, manifest], WOLFI, "build-base rust", "");
}

#[test]
fn a_front_end_beside_a_language_that_wolfi_lacks_is_built_with_names_of_debian() {
    let files = [
        ("shard.yml", "name: a\n"),
        ("src/a.cr", ""),
        ("package.json", "{\"scripts\": {\"build\": \"vite build\"}}"),
        ("package-lock.json", "{}"),
    ];
    let (base, packages, _) = bases(Family::Wolfi, &files);
    let crystal = "docker.io/crystallang/crystal:latest";
    assert_eq!((base.as_str(), packages.as_str()), (crystal, "nodejs npm"));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &files);
    let found = detect(dir.path(), Family::Wolfi).unwrap();
    let steps = &found.services[0].spec.build.dependencies[0].commands;
    assert_eq!(steps[0], "npm install -g node@24");
}

#[test]
fn every_name_of_a_package_is_one_of_its_system() {
    let known = known();
    let mut made = Names::new();
    pinned(&mut made);
    looked_up(&mut made);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for example in fs::read_dir(root.join("tests/examples")).unwrap() {
        collect(&example.unwrap().path(), &mut made);
    }
    let mut tables = Names::new();
    written(Path::new(file!()).parent().unwrap().parent().unwrap(), &mut tables);
    assert!(tables.len() > 100 && made.len() > 100, "{} {}", tables.len(), made.len());
    let mut unmade = Vec::new();
    for (system, name) in tables {
        match name.split_once('{') {
            None => drop(made.insert((system, name))),
            // `py{v}-pip`: the pinned trees have to lead to such names.
            Some((start, rest)) => {
                let end = rest.rsplit('}').next().unwrap_or_default();
                let is_such = |made: &str| made.starts_with(start) && made.ends_with(end);
                if !made.iter().any(|(of, made)| *of == system && is_such(made)) {
                    unmade.push(name);
                }
            }
        }
    }
    assert_eq!(unmade, [""; 0], "no tree of this test leads to such a name");
    let unknown: Vec<_> = made.difference(&known).collect();
    assert!(unknown.is_empty(), "names that the lists in tests/names do not have: {unknown:?}");
}
