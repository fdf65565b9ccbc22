//! Rust: packages and workspaces of Cargo; one service for each program that is deployed.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::{
    Decision, Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, draft, last_part, procfile_of, quote, relative, within},
        source,
    },
    images::Family,
    manifest::Value,
    model::{join, parent},
};

mod framework;
mod images;
mod native;
mod package;
mod wasm;

use self::{
    framework::LISTENING,
    package::{Package, Packages},
};

/// All services written in Rust.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let packages = Packages::read(project);
    let mut services = Vec::new();
    let roots: BTreeSet<&str> =
        packages.all.values().map(|package| package.root.as_str()).collect();
    for root in roots {
        let members: Vec<&Package> = packages.members(root).collect();
        services.extend(deployed(project, &packages, &members));
    }
    services.sort_by(|a, b| a.dir.cmp(&b.dir));
    services
}

/// The services of one workspace (or of one package that is in none).
fn deployed(project: &Project<'_>, packages: &Packages, members: &[&Package]) -> Vec<Service> {
    let is_helper = |package: &Package| {
        source::is_beside_product(relative(&package.root, &package.dir).as_str())
            || HELPERS.contains(&package.name.as_str())
            || last_part(&package.dir).is_some_and(|name| HELPERS.contains(&name))
    };
    let runnable: Vec<&Package> =
        members.iter().copied().filter(|p| is_runnable(project, p)).collect();
    let products: Vec<&Package> = runnable.iter().copied().filter(|p| !is_helper(p)).collect();
    let mut chosen = if products.is_empty() { runnable } else { products };
    let serves = |package: &&Package| {
        framework::find(packages, package).is_some()
            || wasm::is_page(project, package)
            || listens(project, package)
    };
    // What others stand on, and does not listen itself, is a library with a program to help its developers.
    let users = chosen.clone();
    chosen.retain(|package| {
        let is_used = users.iter().any(|user| {
            user.dir != package.dir && packages.closure(user).iter().any(|p| p.dir == package.dir)
        });
        !(is_used && package.has_library(project)) || listens(project, package)
    });
    let is_worker = |package: &&Package| WORKERS.iter().any(|word| package.name.contains(word));
    let is_called_so = |package: &&Package| {
        let mut parts = package.name.split(['-', '_']);
        parts.any(|part| SERVERS.contains(&part))
    };
    let by_itself = |package: &&Package| {
        framework::of_package(package).is_some()
            || wasm::is_page(project, package)
            || listens(project, package)
    };
    if chosen.iter().any(by_itself) {
        // What has a server only among the libraries it uses is a tool beside those that have it themselves.
        chosen.retain(|package| {
            by_itself(package) || is_worker(package) || serves(package) && is_called_so(package)
        });
    } else if chosen.iter().any(serves) {
        chosen.retain(|package| serves(package) || is_worker(package));
    } else if let Some(root) = chosen.iter().find(|package| package.dir == package.root).copied() {
        chosen = vec![root];
    }
    if chosen.is_empty() {
        // A library is told of once, whatever it is split into.
        return members
            .first()
            .map(|package| library(project, packages, package))
            .into_iter()
            .collect();
    }
    let mut services: Vec<Service> =
        chosen.iter().flat_map(|package| programs(project, packages, package)).collect();
    if source::is_beside_product(&chosen[0].root) {
        services.iter_mut().for_each(|service| service.weight = Weight::Manifest);
    }
    services
}

/// Whether the text of a package, not of what it depends on, opens a port.
fn listens(project: &Project<'_>, package: &Package) -> bool {
    let files = package_files(project, package);
    files.iter().any(|file| LISTENING[..3].iter().any(|call| file.text.contains(call)))
}

/// A program for servers, or a page. What Tauri builds is a program for a desktop.
fn is_runnable(project: &Project<'_>, package: &Package) -> bool {
    let is_desktop =
        ["tauri", "eframe", "iced", "bevy"].iter().any(|name| package.depends(name).is_some());
    !is_desktop && !package.programs.is_empty() || wasm::is_page(project, package)
}

fn package_files(
    project: &Project<'_>,
    package: &Package,
) -> Vec<std::rc::Rc<crate::detect::Text>> {
    let skip = |dir: &str| project.tree.has(&join(dir, "Cargo.toml"));
    source::gather(project, &package.dir, &["rs"], &skip)
}

/// The programs of a package that are deployed.
fn programs(project: &Project<'_>, packages: &Packages, package: &Package) -> Vec<Service> {
    if wasm::is_page(project, package) {
        return vec![wasm::service(project, packages, package)];
    }
    let names: Vec<&String> = package.programs.keys().collect();
    let default = package.manifest.str_at(&["package", "default-run"]);
    let chosen = match names.as_slice() {
        [] | [_] => names.clone(),
        several => {
            let named = |wanted: &str| several.iter().copied().find(|name| *name == wanted);
            let one = default.and_then(named).or_else(|| named(&package.name));
            match one.or_else(|| SERVERS.iter().find_map(|name| named(name))) {
                Some(one) => vec![one],
                None => {
                    let listens = |name: &&&String| {
                        let text =
                            package.programs.get(**name).and_then(|path| project.tree.read(path));
                        text.is_some_and(|text| {
                            LISTENING.iter().any(|call| text.text.contains(call))
                        })
                    };
                    let serving: Vec<&String> = several.iter().filter(listens).copied().collect();
                    if serving.is_empty() {
                        several.iter().take(1).copied().collect()
                    } else {
                        serving
                    }
                }
            }
        }
    };
    let single = chosen.len() == 1;
    let mut services = Vec::new();
    for program in chosen {
        let mut service = program_service(project, packages, package, program);
        if !single {
            service.name(program.clone());
        }
        for other in names.iter().filter(|name| single && ***name != *program) {
            let why = if default == Some(program) {
                "default-run names the other"
            } else {
                "named like no server"
            };
            let evidence = package.programs.get(*other).map(|path| Evidence::file(path.clone()));
            let decision = Decision::new("service", program.clone(), "the program that is run", []);
            service.decisions.push(decision.not(other.to_string(), evidence, why));
        }
        services.push(service);
    }
    services
}

fn facts(project: &Project<'_>, packages: &Packages, package: &Package) -> Service {
    let mut service = draft(&package.dir, "rust", "cargo");
    let evidence = || [package.evidence(None)];
    service.decide("language", "rust", "a Cargo.toml", evidence());
    service.decide("build system", "cargo", "a Cargo.toml", evidence());
    service.name(package.name.clone());
    images::set(project, &mut service, package, packages);
    service
}

fn library(project: &Project<'_>, packages: &Packages, package: &Package) -> Service {
    let mut service = facts(project, packages, package);
    service.dir = package.root.clone();
    service.decide(
        "start command",
        "",
        "no package has a program: a library",
        [package.evidence(None)],
    );
    service.spec.build.commands = vec![within(&package.root, "cargo build --release")];
    service
}

fn program_service(
    project: &Project<'_>,
    packages: &Packages,
    package: &Package,
    program: &str,
) -> Service {
    let mut service = facts(project, packages, package);
    service.weight = Weight::Starts;
    let framework = framework::find(packages, package);
    if let Some((framework, evidence)) = &framework {
        service.framework(framework.id, "a dependency", [evidence.clone()]);
    }
    let mut files = Vec::new();
    for member in packages.closure(package) {
        files.extend(package_files(project, member));
    }
    native_packages(project, &mut service, package);
    build(project, packages, &mut service, package, program);
    let is_leptos = framework.as_ref().is_some_and(|(framework, _)| framework.id == "leptos");
    if is_leptos {
        wasm::leptos(project, &mut service, package, program);
    }
    let is_server = framework.is_some()
        || LISTENING[..3].iter().any(|call| files.iter().any(|file| file.text.contains(call)));
    if is_server {
        service.weight = Weight::Framework;
        port(project, &mut service, package, framework.map(|(framework, _)| framework), &files);
    } else if let Some((port, evidence)) = source::address(&files) {
        service.weight = Weight::Framework;
        service.port(port, "the address that the program binds to", [evidence]);
    }
    let is_server = !service.spec.runtime.ports.is_empty();
    let works = packages
        .closure(package)
        .iter()
        .any(|member| member.dependencies().any(|(name, _)| source::is_background(name)));
    if !is_server && !works && !source::is_background(&package.name) && package.dir != "." {
        // A command line tool beside services is none; alone it is what there is.
        service.weight = Weight::Manifest;
    }
    runtime_files(project, &mut service, package, &files);
    let path = format!("{APP_DIR}/{program}");
    if let Some(stated) = procfile_of(project, &package.dir, &path) {
        service.weight = Weight::Stated;
        service.start(stated.command.iter().map(String::as_str), "Procfile web", [stated.evidence]);
    }
    service
}

/// The command, the step that fetches crates, and the program in the image.
fn build(
    project: &Project<'_>,
    packages: &Packages,
    service: &mut Service,
    package: &Package,
    program: &str,
) {
    let root = &package.root;
    let lock = join(root, "Cargo.lock");
    let is_locked = project.tree.has(&lock);
    let locked = if is_locked { " --locked" } else { "" };
    let mut command = format!("cargo build --release{locked}");
    if packages.members(root).count() > 1 || package.dir != *root {
        command.push_str(&format!(" -p {}", quote(&package.name)));
    }
    if package.programs.len() > 1 {
        command.push_str(&format!(" --bin {}", quote(program)));
    }
    if !is_locked {
        let why = "there is no Cargo.lock, so the newest crates that fit are taken";
        service.decide("packages", "unlocked", why, [package.evidence(None)]);
    }
    let offline = [".sqlx", "sqlx-data.json"].map(|name| join(root, name));
    let is_there = |path: &String| project.tree.has(path) || project.tree.has_dir(path);
    if let Some(path) = offline.into_iter().find(is_there) {
        // Queries are checked against what was saved: there is no database while the image is built.
        service.build_env("SQLX_OFFLINE", "true");
        service.decide("packages", "SQLX_OFFLINE", "saved queries of SQLx", [Evidence::file(path)]);
    }
    let (files, prepare) = manifests(project, packages, package);
    let fetch = within(root, &format!("cargo fetch{locked}"));
    let has_dependencies =
        packages.members(root).any(|member| member.dependencies().next().is_some());
    if has_dependencies {
        service.dependencies(files, vec![prepare, fetch]);
    }
    let target = target_dir(project, root);
    service.cache(["/usr/local/cargo/registry", "/usr/local/cargo/git/db"]);
    if project.bases != Family::Official {
        service.build_env("CARGO_HOME", "/usr/local/cargo");
    }
    service.cache([target.cache.as_str()]);
    if let Some(triple) = &target.triple {
        command = format!("rustup target add {} && {command}", quote(triple));
        if triple.contains("musl") && project.bases != Family::Wolfi {
            service.build_packages(["musl-tools"]);
        }
    }
    let command = within(root, &command);
    service.decide(
        "build command",
        command.clone(),
        "Cargo's release profile",
        [package.evidence(None)],
    );
    if project.tree.has(&join(&package.dir, "package.json")) {
        let commands = service.front_end(project, &package.dir);
        service.spec.build.commands.extend(commands);
    }
    service.spec.build.commands.push(command);
    service.copy(&format!("{}/{program}", target.release), &format!("{APP_DIR}/{program}"));
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    let path = format!("{APP_DIR}/{program}");
    let evidence = package.programs.get(program).map(|path| Evidence::file(path.clone()));
    service.start([path.as_str()], "the built program", evidence);
}

struct Target {
    /// The folder of the tree that Cargo writes to.
    cache: String,
    /// Where the program lies.
    release: String,
    triple: Option<String>,
}

/// Where Cargo writes, as `.cargo/config.toml` has it.
fn target_dir(project: &Project<'_>, root: &str) -> Target {
    let files = ["config.toml", "config"].map(|name| join(root, &format!(".cargo/{name}")));
    let config = files.iter().find_map(|path| project.tree.toml(path));
    let text = |key| config.as_ref()?.str_at(&["build", key]).map(str::to_owned);
    let dir = text("target-dir")
        .and_then(|dir| crate::detect::ecosystems::draft::resolve(root, &dir))
        .filter(|dir| dir != ".")
        .unwrap_or_else(|| join(root, "target"));
    let triple = text("target").filter(|triple| !triple.ends_with(".json"));
    let release = match &triple {
        Some(triple) => format!("{dir}/{triple}/release"),
        None => format!("{dir}/release"),
    };
    Target { cache: dir, release, triple }
}

/// What `cargo fetch` must see, and a command that makes the files it looks for but does not read.
fn manifests(
    project: &Project<'_>,
    packages: &Packages,
    package: &Package,
) -> (Vec<String>, String) {
    let root = &package.root;
    // Cargo reads the manifests of all members, whichever is built, and of all that they depend on.
    let mut all: BTreeMap<&str, &Package> = BTreeMap::new();
    for member in packages.members(root) {
        for package in packages.closure(member) {
            all.insert(&package.dir, package);
        }
    }
    let mut files = vec![join(root, "Cargo.toml"), join(root, "Cargo.lock")];
    files.extend([".cargo/config.toml", ".cargo/config"].map(|name| join(root, name)));
    files.extend(images::toolchain_paths(project, &package.dir).into_iter().map(|seen| seen.file));
    let mut targets = BTreeSet::new();
    for member in all.values() {
        files.push(join(&member.dir, "Cargo.toml"));
        targets.extend(member.targets.iter().map(String::as_str));
    }
    files.retain(|file| project.tree.has(file));
    let folders: BTreeSet<&str> = targets.iter().map(|file| parent(file)).collect();
    let list =
        |paths: &BTreeSet<&str>| paths.iter().map(|path| quote(path)).collect::<Vec<_>>().join(" ");
    (files, format!("mkdir -p {} && touch {}", list(&folders), list(&targets)))
}

/// Packages that crates need, from the lock file or, without one, from what is required.
fn native_packages(project: &Project<'_>, service: &mut Service, package: &Package) {
    let lock = join(&package.root, "Cargo.lock");
    let text = project.tree.read(&lock);
    for native in native::NATIVE {
        let evidence = match &text {
            Some(text) => {
                let line = text.line_of(&format!("name = \"{}\"", native.name));
                line.map(|line| Evidence::line(&lock, Some(line)))
            }
            None => required(package, native.name),
        };
        let Some(evidence) = evidence else { continue };
        service.build_packages(native.build(project.bases).iter().copied());
        service.runtime_packages(native.runtime(project.bases).iter().copied());
        let names = native.build(project.bases).join(" ");
        service.decide("packages", names, format!("the crate {}", native.name), [evidence]);
    }
}

fn required(package: &Package, native: &str) -> Option<Evidence> {
    let brings =
        native::BRINGS.iter().filter(|(_, brought)| *brought == native).map(|(name, _)| *name);
    for name in brings.chain([native]) {
        let dependency = package.dependencies().find(|(key, _)| *key == name);
        let Some((_, value)) = dependency else { continue };
        let bare =
            value.get("default-features").is_some_and(|v| v.text().as_deref() == Some("false"));
        if !bare || name != "reqwest" {
            return package.depends(name);
        }
    }
    // Diesel and SeaORM bind to the libraries of the databases that their features name.
    let features = package.dependencies().find(|(key, _)| *key == "diesel")?.1.get("features");
    let names = features.map(Value::texts).unwrap_or_default();
    let feature = match native {
        "pq-sys" => "postgres",
        "mysqlclient-sys" => "mysql",
        "libsqlite3-sys" => "sqlite",
        _ => return None,
    };
    names.contains(&feature).then(|| package.depends("diesel"))?
}

fn port(
    project: &Project<'_>,
    service: &mut Service,
    package: &Package,
    framework: Option<&framework::Framework>,
    files: &[std::rc::Rc<crate::detect::Text>],
) {
    let id = framework.map_or("", |framework| framework.id);
    let default = framework.map_or(0, |framework| framework.port);
    let found = source::ports(files, LISTENING);
    let configured = config_port(project, package, id);
    let configured =
        configured.or_else(|| settings_port(project, package).filter(|_| found.env.is_none()));
    match configured.or_else(|| found.number.clone().filter(|_| id != "rocket")) {
        Some((port, evidence)) => service.port(port, "the program or its settings", [evidence]),
        None if default != 0 => service.port(default, "the framework's default", []),
        None => service.port(8080, "nothing says otherwise", []),
    }
    let port = service.spec.runtime.ports.first().copied().unwrap_or(8080).to_string();
    match id {
        "rocket" => {
            // Rocket listens on 127.0.0.1 unless told otherwise.
            service.env("ROCKET_ADDRESS", "0.0.0.0");
            service.env("ROCKET_PORT", port.clone());
        }
        "leptos" => service.env("LEPTOS_SITE_ADDR", format!("0.0.0.0:{port}")),
        "dioxus" => {
            service.env("IP", "0.0.0.0");
            service.env("PORT", port.clone());
        }
        "loco" => {
            service.env("LOCO_ENV", "production");
            let path = service.spec.runtime.command.first().cloned().unwrap_or_default();
            service.start(
                [path.as_str(), "start"],
                "Loco's server is a command of the program",
                [],
            );
        }
        _ => {}
    }
    if found.env.is_some() {
        service.env("PORT", port);
    }
    let local = ["127.0.0.1", "localhost"].iter().find_map(|host| {
        LISTENING.iter().find_map(|call| {
            files.iter().find_map(|file| {
                let at = file
                    .text
                    .lines()
                    .position(|line| line.contains(call) && line.contains(host))?;
                Some(Evidence::line(&file.path, Some(at + 1)))
            })
        })
    });
    if let Some(evidence) = local {
        let what =
            "it listens on the loopback address alone: the port can't be reached from outside";
        service.decide("port", "127.0.0.1", what, [evidence]);
    }
}

/// The port in the settings of a framework that has them.
fn config_port(project: &Project<'_>, package: &Package, id: &str) -> Option<(u16, Evidence)> {
    let dirs = [package.dir.as_str(), package.root.as_str()];
    let files: &[&str] = match id {
        "rocket" => &["Rocket.toml"],
        "loco" => &["config/production.yaml", "config/development.yaml"],
        _ => &[],
    };
    for path in dirs.iter().flat_map(|dir| files.iter().map(|file| join(dir, file))) {
        let Some(text) = project.tree.read(&path) else { continue };
        let found = text.lines().find_map(|(line, words)| {
            let is_port = words.trim_start().starts_with("port");
            Some((source::number(words).filter(|_| is_port)?, line))
        });
        if let Some((port, line)) = found {
            return Some((port, Evidence::line(path, Some(line))));
        }
    }
    None
}

/// The port in the settings that the crate `config` and its like read: `application.port` of `configuration/base.yaml`.
fn settings_port(project: &Project<'_>, package: &Package) -> Option<(u16, Evidence)> {
    package.depends("config").or_else(|| package.depends("figment"))?;
    let names = ["production", "prod", "base", "default", "config", "settings", "application"];
    let keys = ["application", "server", "http", "app", "web", "service"];
    for dir in [&package.dir, &package.root] {
        for folder in ["configuration", "config", "configs", "settings", "."] {
            let folder = if folder == "." { dir.clone() } else { join(dir, folder) };
            for name in names {
                let yaml = [".yaml", ".yml"].map(|end| join(&folder, &format!("{name}{end}")));
                let toml = join(&folder, &format!("{name}.toml"));
                let read = |path: &String| Some((path.clone(), project.tree.yaml(path)?));
                let file = yaml.iter().find_map(read);
                let file = file.or_else(|| Some((toml.clone(), project.tree.toml(&toml)?)));
                let Some((path, file)) = file else { continue };
                let port = keys.iter().find_map(|key| file.at(&[key, "port"]));
                let port = port.or_else(|| file.get("port"));
                if let Some(port) = port
                    && let Some(number) = port.text().and_then(|text| source::number(&text))
                {
                    return Some((number, Evidence::line(path, Some(port.line))));
                }
            }
        }
    }
    None
}

/// What the program reads when it runs.
fn runtime_files(
    project: &Project<'_>,
    service: &mut Service,
    package: &Package,
    files: &[std::rc::Rc<crate::detect::Text>],
) {
    let dirs: BTreeSet<&str> = [package.dir.as_str(), package.root.as_str()].into_iter().collect();
    for dir in dirs {
        let Some(entries) = project.tree.entries(dir) else { continue };
        let folders = entries.dirs.iter().filter(|name| RUNTIME_DIRS.contains(&name.as_str()));
        let settings = entries.files.iter().filter(|name| RUNTIME_FILES.contains(&name.as_str()));
        for name in folders.chain(settings) {
            let path = join(dir, name);
            if project.tree.has(&join(&path, "Cargo.toml"))
                || project.tree.has(&join(&path, "package.json"))
            {
                continue;
            }
            // Rocket and its templates, Loco and its config have their places by convention.
            let by_convention = match service.spec.metadata.framework.as_deref() {
                Some("rocket") => matches!(name.as_str(), "Rocket.toml" | "templates"),
                Some("loco") => matches!(name.as_str(), "config" | "assets"),
                _ => false,
            };
            let seen = source::names_path(files, name);
            if by_convention || seen.is_some() {
                service.decide("artifacts", path.clone(), "the program reads it", seen);
                service.copy(&path, &format!("{APP_DIR}/{name}"));
            }
        }
    }
}

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

const RUNTIME_DIRS: &[&str] = &[
    "templates", "static", "public", "assets", "migrations", "config", "configs", "locales",
    "i18n", "views", "www", "dist", "resources", "content", "data", "settings", "configuration",
];

const RUNTIME_FILES: &[&str] = &[
    "Rocket.toml", "config.toml", "config.yaml", "config.yml", "config.json", "log4rs.yaml",
    "log4rs.yml", "Settings.toml", "settings.toml", "index.html", "configuration.yaml",
    "default.toml",
];
