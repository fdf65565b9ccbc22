//! Rust: packages and workspaces of Cargo; one service for each program that is deployed.

use std::collections::BTreeSet;

use crate::detect::{framework::Known, prelude::*};

mod framework;
mod language;
mod native;
mod package;
mod wasm;

use self::{
    framework::{Own, known, of_package},
    language::{LIBRARY, PROGRAM, facts},
    package::{Package, Packages},
};

/// All services written in Rust.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let packages = Packages::read(project);
    let roots: BTreeSet<&str> = packages.all.values().map(|p| p.root.as_str()).collect();
    let mut found: Vec<Facts> =
        roots.into_iter().flat_map(|root| services(&packages, root)).collect();
    found.sort_by(|a, b| a.dir.cmp(&b.dir));
    assemble::all(project, found)
}

/// The services of one workspace (or of one package that is in none).
fn services(packages: &Packages<'_>, root: &str) -> Vec<Facts> {
    let members: Vec<&Package> = packages.members(root).collect();
    let chosen = deployed(packages, &members);
    if chosen.is_empty() {
        // A library is told of once, whatever it is split into.
        return members.first().map(|package| library(packages, package)).into_iter().collect();
    }
    let mut services: Vec<Facts> =
        chosen.into_iter().flat_map(|package| programs(packages, package)).collect();
    if source::is_beside_product(root) {
        services.iter_mut().for_each(|facts| facts.weight = Weight::Manifest);
    }
    services
}

/// The packages with programs that are deployed.
fn deployed<'p>(packages: &Packages<'_>, members: &[&'p Package]) -> Vec<&'p Package> {
    let is_helper = |package: &&&Package| {
        source::is_beside_product(&relative(&package.root, &package.dir))
            || HELPERS.contains(&package.name.as_str())
            || HELPERS.contains(&file_name(&package.dir))
    };
    let all = || members.iter().filter(|package| is_runnable(packages, package));
    let mut chosen: Vec<&Package> = all().filter(|package| !is_helper(package)).copied().collect();
    if chosen.is_empty() {
        chosen = all().copied().collect();
    }
    let listens = |package: &Package| is_open(&packages.sources(package));
    // What others stand on, and does not listen itself, is a library with a program to help its developers.
    let users = chosen.clone();
    chosen.retain(|package| {
        let uses = |user: &&Package| {
            user.dir != package.dir && packages.closure(user).iter().any(|p| p.dir == package.dir)
        };
        !packages.has_library(package) || !users.iter().any(uses) || listens(package)
    });
    let serves_itself = |package: &&Package| {
        of_package(package).is_some() || wasm::is_page(packages, package) || listens(package)
    };
    let serves = |package: &&Package| serves_itself(package) || known(packages, package).is_some();
    let is_worker = |package: &&Package| WORKERS.iter().any(|word| package.name.contains(word));
    let is_called_so = |package: &&Package| {
        let mut parts = package.name.split(['-', '_']);
        parts.any(|part| SERVERS.contains(&part))
    };
    if chosen.iter().any(serves_itself) {
        // What has a server only among the libraries it uses is a tool beside those that have it themselves.
        chosen.retain(|package| {
            serves_itself(package) || is_worker(package) || is_called_so(package) && serves(package)
        });
    } else if chosen.iter().any(serves) {
        chosen.retain(|package| serves(package) || is_worker(package));
    } else if let Some(root) = chosen.iter().find(|package| package.dir == package.root).copied() {
        chosen = vec![root];
    }
    chosen
}

/// Whether a text opens a port.
fn is_open(files: &[Rc<Text>]) -> bool {
    files.iter().any(|file| OPENS.iter().any(|call| file.text.contains(call)))
}

/// A program for servers, or a page. What Tauri builds is a program for a desktop.
fn is_runnable(packages: &Packages<'_>, package: &Package) -> bool {
    let is_desktop =
        ["tauri", "eframe", "iced", "bevy"].iter().any(|name| package.depends(name).is_some());
    !is_desktop && !package.programs.is_empty() || wasm::is_page(packages, package)
}

/// The programs of a package that are deployed.
fn programs(packages: &Packages<'_>, package: &Package) -> Vec<Facts> {
    if wasm::is_page(packages, package) {
        return vec![wasm::page(packages, package)];
    }
    let all = || package.programs.keys().map(String::as_str);
    let named = |wanted: &str| all().find(|name| *name == wanted);
    let stated = package.manifest.str_at(&["package", "default-run"]).and_then(named);
    let one = stated.or_else(|| named(&package.name));
    let one = one.or_else(|| SERVERS.iter().find_map(|name| named(name)));
    let listens = |name: &&str| {
        let text = packages.project.tree.read(&package.programs[*name]);
        text.is_some_and(|text| PROGRAM.listens.iter().any(|call| text.text.contains(call)))
    };
    let mut chosen: Vec<&str> = one.into_iter().collect();
    if one.is_none() {
        chosen.extend(all().filter(listens));
    }
    if chosen.is_empty() {
        chosen.extend(all().next());
    }
    let mut services: Vec<Facts> =
        chosen.iter().map(|name| service(packages, package, name)).collect();
    if let ([name], [facts]) = (chosen.as_slice(), services.as_mut_slice()) {
        let why = if stated.is_some() { Fixed::DefaultRun } else { Fixed::NamedLikeNoServer };
        let others = package.programs.iter().filter(|(other, _)| other != name);
        let others = others.map(|(other, path)| (other.clone(), Some(Evidence::file(path))));
        facts.choose(name, Fixed::ProgramThatIsRun, others, why);
    } else {
        for (facts, name) in services.iter_mut().zip(chosen) {
            facts.name = name.to_owned();
        }
    }
    services
}

fn library(packages: &Packages<'_>, package: &Package) -> Facts {
    let mut facts = facts(packages, package);
    facts.language = &LIBRARY;
    facts.dir = package.root.clone();
    facts.build(&package.root, "cargo build --release");
    facts.nothing(Fixed::NoRustProgram, [package.place(None)])
}

fn service(packages: &Packages<'_>, package: &Package, program: &str) -> Facts {
    let mut facts = facts(packages, package);
    facts.weight = Weight::Starts;
    let known = known(packages, package);
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    let own = known.as_ref().and_then(|known| known.framework.own);
    for (library, place) in native::needed(packages, package) {
        facts.library(library, place);
    }
    build(&mut facts, packages, package, program);
    if let Some(build) = own.and_then(|own| own.build) {
        build(&mut facts, packages, package, program);
    }
    let path = PROGRAM.in_home(program);
    match own.and_then(|own| own.start) {
        Some((command, why)) => facts.start([path.as_str(), command], why, []),
        None => {
            let place = package.programs.get(program).map(Evidence::file);
            facts.start([path.as_str()], Fixed::BuiltProgram, place);
        }
    }
    let closure = packages.closure(package);
    let files: Vec<Rc<Text>> =
        closure.iter().flat_map(|package| packages.sources(package)).collect();
    if known.is_some() || is_open(&files) {
        serve(&mut facts, packages, package, known.as_ref(), &files);
    } else {
        facts.port(source::port(&files, &[], None));
    }
    match facts.port_number() {
        Some(_) => facts.weight = Weight::Framework,
        None => {
            let libraries = closure.iter().flat_map(|package| package.dependencies());
            let libraries = libraries.map(|(name, _)| name);
            facts.weigh_silent(libraries.chain([package.name.as_str()]));
        }
    }
    read(&mut facts, packages, package, own, &files);
    facts.start_stated(compiled::stated(packages.at(package), &path));
    facts
}

/// The command, the step that fetches crates, and the program in the image.
fn build(facts: &mut Facts, packages: &Packages<'_>, package: &Package, program: &str) {
    let root = packages.root(package);
    let is_locked = root.has("Cargo.lock");
    let locked = if is_locked { " --locked" } else { "" };
    let mut command = format!("cargo build --release{locked}");
    if packages.members(root.dir).count() > 1 || package.dir != *root.dir {
        command += &format!(" -p {}", quote(&package.name));
    }
    if package.programs.len() > 1 {
        command += &format!(" --bin {}", quote(program));
    }
    if !is_locked {
        facts.decide(What::Packages, "unlocked", Fixed::NoCargoLock, [package.place(None)]);
    }
    let saved = [".sqlx", "sqlx-data.json"].into_iter();
    if let Some(name) = saved.into_iter().find(|name| root.has(name) || root.has_dir(name)) {
        // Queries are checked against what was saved: there is no database while the image is built.
        facts.build_env("SQLX_OFFLINE", "true");
        let place = root.place(name, None);
        facts.decide(What::Packages, "SQLX_OFFLINE", Fixed::SavedQueries, [place]);
    }
    if packages.members(root.dir).any(|member| member.dependencies().next().is_some()) {
        let (files, prepare) = manifests(packages, package);
        let fetch = format!("cargo fetch{locked}");
        let steps = [(".", prepare), (root.dir, fetch)];
        facts.install(files, steps.map(|(dir, line)| Step::new(Kind::Install, dir, line)));
    }
    // Where Cargo writes.
    let config = root.toml(".cargo/config.toml").or_else(|| root.toml(".cargo/config"));
    let text = |key| config.as_ref()?.str_at(&["build", key]);
    let target = text("target-dir").and_then(|dir| resolve(root.dir, dir)).filter(|d| d != ".");
    let target = target.unwrap_or_else(|| root.path("target"));
    let mut release = format!("{target}/release");
    if let Some(triple) = text("target").filter(|triple| !triple.ends_with(".json")) {
        command = format!("rustup target add {} && {command}", quote(triple));
        release = format!("{target}/{triple}/release");
        if triple.contains("musl") {
            facts.packages(&["musl-tools"], &[]);
        }
    }
    facts.cache.push(target);
    if packages.at(package).has("package.json") {
        let front_end = facts.front_end(packages.project, &package.dir, None);
        facts.steps.extend(front_end.map(|front| front.build).unwrap_or_default());
    }
    facts.build(root.dir, command);
    facts.take(&format!("{release}/{program}"), program);
}

/// What `cargo fetch` must see, and a command that makes the files it looks for but does not read.
fn manifests(packages: &Packages<'_>, package: &Package) -> (Vec<String>, String) {
    // Cargo reads the manifests of all members, whichever is built, and of all that they depend on.
    let members = packages.members(&package.root);
    let all: Vec<&Package> = members.flat_map(|member| packages.closure(member)).collect();
    let own = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", ".cargo/config"];
    let mut files = packages.root(package).those(&own);
    files.extend(language::toolchains(packages.at(package)).into_iter().map(|p| p.evidence.file));
    files.extend(all.iter().map(|member| member.place(None).file));
    let targets: BTreeSet<&str> =
        all.iter().flat_map(|member| member.targets.iter().map(String::as_str)).collect();
    let folders: BTreeSet<&str> = targets.iter().map(|file| parent(file)).collect();
    let list = |paths: BTreeSet<&str>| paths.into_iter().map(quote).collect::<Vec<_>>().join(" ");
    (files, format!("mkdir -p {} && touch {}", list(folders), list(targets)))
}

/// The port of a program that serves.
fn serve(
    facts: &mut Facts,
    packages: &Packages<'_>,
    package: &Package,
    known: Option<&Known<Own>>,
    files: &[Rc<Text>],
) {
    let own = known.and_then(|known| known.framework.own);
    let ports = source::ports(files, PROGRAM.listens);
    let folders = [packages.at(package), packages.root(package)];
    let of_framework = folders.into_iter().find_map(|at| {
        source::setting(at.project, at.dir, own?.settings.iter().copied(), &["port"])
    });
    let of_settings = || {
        package.depends("config").or_else(|| package.depends("figment"))?;
        folders.into_iter().find_map(setting).filter(|_| ports.env.is_none())
    };
    let in_text = || ports.number.clone().filter(|_| !own.is_some_and(|own| own.is_configured));
    let found = of_framework.or_else(of_settings).or_else(in_text);
    let default = known.map_or(0, |known| known.framework.port);
    let port = Port::of(found, Fixed::ProgramOrSettings, default);
    for (name, value) in own.map(|own| own.env).unwrap_or_default() {
        facts.env(name, value.replace("{port}", &port.number.to_string()));
    }
    facts.port(Some(Port { is_told: ports.env.is_some(), ..port }));
    let local = files.iter().find_map(|file| {
        let mut lines = file.lines().filter(|(_, line)| LOCAL.iter().any(|h| line.contains(h)));
        let (at, _) = lines.find(|(_, line)| PROGRAM.listens.iter().any(|c| line.contains(c)))?;
        Some(Evidence::line(&file.path, Some(at)))
    });
    if let Some(place) = local {
        facts.decide(What::Port, "127.0.0.1", Fixed::LoopbackAlone, [place]);
    }
}

/// The port in the settings that the crate `config` and its like read: `application.port` of `configuration/base.yaml`.
fn setting(at: Folder<'_>) -> Option<(u16, Evidence)> {
    let folders = ["configuration/", "config/", "configs/", "settings/", ""];
    let names = ["production", "prod", "base", "default", "config", "settings", "application"];
    let keys = ["application", "server", "http", "app", "web", "service"];
    let files = folders.iter().flat_map(|folder| names.map(|name| format!("{folder}{name}")));
    files.into_iter().find_map(|file| {
        let [yaml, yml, toml] = ["yaml", "yml", "toml"].map(|end| format!("{file}.{end}"));
        let yaml = [yaml, yml].into_iter().find_map(|path| Some((at.yaml(&path)?, path)));
        let (file, path) = yaml.or_else(|| Some((at.toml(&toml)?, toml)))?;
        let port = keys.iter().find_map(|key| file.at(&[key, "port"]));
        let port = port.or_else(|| file.get("port"))?;
        Some((source::number(&port.text()?)?, at.place(&path, Some(port.line))))
    })
}

/// Takes what the program reads when it runs.
fn read(
    facts: &mut Facts,
    packages: &Packages<'_>,
    package: &Package,
    own: Option<Own>,
    files: &[Rc<Text>],
) {
    for dir in BTreeSet::from([&package.dir, &package.root]) {
        let at = Folder::new(packages.project, dir);
        facts.take_read_of(at, |name| {
            let below = Folder::new(packages.project, name);
            let is_package = ["Cargo.toml", "package.json"].iter().any(|f| at.has(&below.path(f)));
            let seen = source::names_path(files, name);
            let is_read = seen.is_some() || own.is_some_and(|own| own.reads.contains(&name));
            (is_read && !is_package).then(|| seen.into_iter().collect())
        });
    }
}

/// Calls that make a program a server.
const OPENS: &[&str] = &["TcpListener::bind", "Server::bind", "HttpServer::new"];

/// Hosts that no other machine reaches.
const LOCAL: &[&str] = &["127.0.0.1", "localhost"];

/// Names of packages and folders that are there for developers.
const HELPERS: &[&str] = &[
    "xtask", "tools", "tool", "scripts", "codegen", "fuzz", "benches", "examples",
    "integration-tests",
];

/// Names of packages that run in the background.
const WORKERS: &[&str] =
    &["worker", "consumer", "scheduler", "daemon", "agent", "bot", "watcher", "indexer"];

/// Names that the program among several has that is the service.
const SERVERS: &[&str] = &["server", "api", "web", "app", "main", "backend", "service"];
