//! Rust: packages and workspaces of Cargo; one service for each program that is deployed.

use std::collections::BTreeSet;

use crate::detect::{
    compiled::{WORKERS, is_called},
    framework::Known,
    prelude::*,
};

mod framework;
mod language;
mod native;
mod package;
mod wasm;

use self::{
    framework::{OWN, Own, known, of_package},
    language::{LIBRARY, PROGRAM, facts, toolchains},
    package::{Package, Packages},
};

/// All services written in Rust.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let packages = Packages::read(project);
    let roots: BTreeSet<&str> = packages.all.values().map(|p| p.root.dir).collect();
    let mut found: Vec<Facts> =
        roots.into_iter().flat_map(|root| services(&packages, root)).collect();
    found.sort_by(|a, b| a.dir.cmp(&b.dir));
    found
}

/// The services of one workspace (or of one package that is in none).
fn services(packages: &Packages<'_>, root: &str) -> Vec<Facts> {
    let deployed = deployed(packages, root).into_iter();
    let mut services: Vec<Facts> =
        deployed.flat_map(|package| programs(packages, package)).collect();
    if services.is_empty() {
        // A library is told of once, whatever it is split into.
        return packages.members(root).take(1).map(|package| library(packages, package)).collect();
    }
    if folders::is_beside_product(root) {
        services.iter_mut().for_each(|facts| facts.weight = Weight::Manifest);
    }
    services
}

/// The packages with programs that are deployed.
fn deployed<'p>(packages: &'p Packages<'_>, root: &str) -> Vec<&'p Package<'p>> {
    let is_helper = |package: &Package<'_>| {
        folders::is_beside_product(&relative(root, package.at.dir))
            || HELPERS.contains(&package.name.as_str())
            || HELPERS.contains(&file_name(package.at.dir))
    };
    let mut all: Vec<&Package<'_>> = packages.members(root).filter(|p| is_runnable(p)).collect();
    if !all.iter().all(|package| is_helper(package)) {
        all.retain(|package| !is_helper(package));
    }
    let listens = |package: &Package<'_>| is_open(&package.sources());
    // What others stand on, and does not listen itself, is a library with a program to help its developers.
    let users = all.clone();
    all.retain(|package| {
        let uses = |user: &&Package<'_>| {
            let mut closure = packages.closure(user).into_iter().skip(1);
            closure.any(|used| used.at.dir == package.at.dir)
        };
        !package.has_library() || !users.iter().any(uses) || listens(package)
    });
    let serves_itself = |package: &Package<'_>| {
        of_package(package).is_some() || wasm::is_page(package) || listens(package)
    };
    // What has a server only among the libraries it uses is a tool beside those that have it themselves.
    let has_server = all.iter().any(|package| serves_itself(package));
    let has_name = |name: &str| name.split(['-', '_']).any(|part| SERVERS.contains(&part));
    let serves = |package: &Package<'_>| {
        serves_itself(package)
            || known(packages, package).is_some() && (!has_server || has_name(&package.name))
    };
    let main = all.iter().find(|package| package.at.dir == root).copied();
    let works = |package: &Package<'_>| is_called(&package.name, WORKERS);
    compiled::deployed(&all, serves, works, main).unwrap_or(all)
}

/// Whether a text opens a port.
fn is_open(files: &[Rc<Text>]) -> bool {
    files.iter().any(|file| OPENS.iter().any(|call| file.text.contains(call)))
}

/// A program for servers, or a page. What Tauri builds is a program for a desktop.
fn is_runnable(package: &Package<'_>) -> bool {
    let is_desktop =
        ["tauri", "eframe", "iced", "bevy"].iter().any(|name| package.depends(name).is_some());
    !is_desktop && !package.programs.is_empty() || wasm::is_page(package)
}

/// The programs of a package that are deployed.
fn programs(packages: &Packages<'_>, package: &Package<'_>) -> Vec<Facts> {
    if wasm::is_page(package) {
        return vec![wasm::page(packages, package)];
    }
    let all = || package.programs.keys().map(String::as_str);
    let named = |wanted: &str| all().find(|name| *name == wanted);
    let stated = package.manifest.str_at(&["package", "default-run"]).and_then(named);
    let one = stated.or_else(|| named(&package.name));
    let one = one.or_else(|| SERVERS.iter().find_map(|name| named(name)));
    let listens = |name: &&str| {
        let text = package.at.project.tree.read(&package.programs[*name]);
        text.is_some_and(|text| PROGRAM.listens.iter().any(|call| text.text.contains(call)))
    };
    let mut chosen: Vec<&str> = match one {
        Some(one) => vec![one],
        None => all().filter(listens).collect(),
    };
    if chosen.is_empty() {
        chosen.extend(all().next());
    }
    let service = |name: &&str| Program::new(packages, package, name).service();
    let mut services: Vec<Facts> = chosen.iter().map(service).collect();
    if let ([name], [facts]) = (chosen.as_slice(), services.as_mut_slice()) {
        let why = if stated.is_some() { Fixed::DefaultRun } else { Fixed::NamedLikeNoServer };
        let others = package.programs.iter().filter(|(other, _)| other != name);
        let others = others.map(|(other, path)| (other.clone(), Some(Evidence::file(path))));
        facts.choose(name, Fixed::ProgramThatIsRun, others, why);
    } else {
        services.iter_mut().zip(chosen).for_each(|(facts, name)| facts.name = name.to_owned());
    }
    services
}

fn library(packages: &Packages<'_>, package: &Package<'_>) -> Facts {
    let mut facts = facts(packages, package);
    facts.language = &LIBRARY;
    facts.dir = package.root.dir.to_owned();
    facts.build(package.root.dir, "cargo build --release");
    facts.nothing(Fixed::NoRustProgram, [package.place(None)])
}

/// A program that is deployed.
struct Program<'a> {
    packages: &'a Packages<'a>,
    package: &'a Package<'a>,
    name: &'a str,
    known: Option<Known<Own>>,
    own: Own,
    /// Sources of its package and of all that it depends on.
    files: Vec<Rc<Text>>,
}

impl<'a> Program<'a> {
    fn new(packages: &'a Packages<'a>, package: &'a Package<'a>, name: &'a str) -> Self {
        let known = known(packages, package);
        let own = known.as_ref().and_then(|known| known.framework.own).unwrap_or(OWN);
        let files = packages.closure(package).into_iter().flat_map(Package::sources).collect();
        Self { packages, package, name, known, own, files }
    }

    fn service(&self) -> Facts {
        let (packages, package) = (self.packages, self.package);
        let mut facts = facts(packages, package);
        facts.weight = Weight::Starts;
        facts.of_framework(self.known.as_ref(), Fixed::ADependency);
        for (library, place) in native::needed(package) {
            facts.library(library, place);
        }
        called::started(&self.files, &mut facts);
        self.build(&mut facts);
        if let Some(build) = self.own.build {
            build(&mut facts, packages, package, self.name);
        }
        let path = PROGRAM.in_home(self.name);
        let (mut command, why) = match self.own.start {
            Some((command, why)) => (vec![path.as_str(), command], why),
            None => (vec![path.as_str()], Fixed::BuiltProgram),
        };
        let serves = self.known.is_some() || is_open(&self.files);
        let given =
            (!self.files.iter().any(|file| file.text.contains("Subcommand"))).then_some(&[][..]);
        let more = if serves { facts.leave_loopback(&self.files, given) } else { Vec::new() };
        command.extend(more.iter().map(String::as_str));
        let place = package.programs.get(self.name).filter(|_| command.len() == 1);
        facts.start(command, why, place.map(Evidence::file));
        match serves {
            true => self.serve(&mut facts),
            false => facts.port(source::port(&self.files, &[], None)),
        }
        if facts.port_number().is_some() {
            facts.weight = Weight::Framework;
        } else {
            let closure = packages.closure(package);
            let libraries = closure.iter().flat_map(|package| package.dependencies());
            let libraries = libraries.map(|(name, _)| name);
            facts.weigh_silent(libraries.chain([package.name.as_str()]));
        }
        facts.take_named([package.at, package.root], &self.files, self.own.reads, |path| {
            package.at.project.tree.first_of(path, &["Cargo.toml", "package.json"]).is_some()
        });
        facts.start_stated(compiled::stated(package.at, &path));
        facts
    }

    /// The command, the step that fetches crates, and the program in the image.
    fn build(&self, facts: &mut Facts) {
        let (package, root) = (self.package, self.package.root);
        let members = || self.packages.members(root.dir);
        let is_locked = root.has("Cargo.lock");
        let locked = if is_locked { " --locked" } else { "" };
        let mut command = format!("cargo build --release{locked}");
        if members().count() > 1 || package.at.dir != root.dir {
            command += &format!(" -p {}", quote(&package.name));
        }
        if package.programs.len() > 1 {
            command += &format!(" --bin {}", quote(self.name));
        }
        if !is_locked {
            facts.decide(What::Packages, "unlocked", Fixed::NoCargoLock, [package.place(None)]);
        }
        let saved = [".sqlx", "sqlx-data.json"];
        if let Some(name) = saved.iter().find(|name| root.has(name) || root.has_dir(name)) {
            // Queries are checked against what was saved: there is no database while the image is built.
            facts.build_env("SQLX_OFFLINE", "true");
            let place = root.place(name, None);
            facts.decide(What::Packages, "SQLX_OFFLINE", Fixed::SavedQueries, [place]);
        }
        if members().any(|member| member.dependencies().next().is_some()) {
            let (files, prepare) = self.manifests();
            let steps = [(".", prepare), (root.dir, format!("cargo fetch{locked}"))];
            facts.install(files, steps.map(|(dir, line)| Step::new(Kind::Install, dir, line)));
        }
        // Where Cargo writes.
        let config = root.toml(".cargo/config.toml").or_else(|| root.toml(".cargo/config"));
        let text = |key| config.as_ref()?.str_at(&["build", key]);
        let target = text("target-dir").and_then(|dir| resolve(root.dir, dir));
        let target = target.filter(|dir| dir != ".").unwrap_or_else(|| root.path("target"));
        let mut release = format!("{target}/release");
        if let Some(triple) = text("target").filter(|triple| !triple.ends_with(".json")) {
            command = format!("rustup target add {} && {command}", quote(triple));
            release = format!("{target}/{triple}/release");
            facts.lacking = language::NO_RUSTUP;
            if triple.contains("musl") {
                facts.packages(&["musl-tools"], &[]);
            }
        }
        facts.cache.push(target);
        facts.build_front_end(package.at.project, package.at.dir);
        facts.build(root.dir, command);
        facts.take(&format!("{release}/{}", self.name), self.name);
    }

    /// What `cargo fetch` must see, and a command that makes the files it looks for but does not read.
    fn manifests(&self) -> (Vec<String>, String) {
        let root = self.package.root;
        // Cargo reads the manifests of all members, whichever is built, and of all that they depend on.
        let members = self.packages.members(root.dir);
        let mut all: Vec<_> = members.flat_map(|member| self.packages.closure(member)).collect();
        let mut patched = self.packages.patches(root);
        patched.retain(|dir| match self.packages.all.get(dir.as_str()) {
            Some(package) => {
                all.extend(self.packages.closure(package));
                false
            }
            None => true,
        });
        let own = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", ".cargo/config"];
        let mut files = root.those(&own);
        files.extend(sources(root).into_iter().chain(patched));
        files.extend(toolchains(self.package.at).into_iter().map(|pin| pin.evidence.file));
        files.extend(all.iter().map(|member| member.place(None).file));
        let targets: BTreeSet<&str> =
            all.iter().flat_map(|member| member.targets.iter().map(String::as_str)).collect();
        let folders: BTreeSet<&str> = targets.iter().map(|file| parent(file)).collect();
        let list =
            |paths: BTreeSet<&str>| paths.into_iter().map(quote).collect::<Vec<_>>().join(" ");
        (files, format!("mkdir -p {} && touch {}", list(folders), list(targets)))
    }

    /// The port of a program that serves.
    fn serve(&self, facts: &mut Facts) {
        let ports = source::ports(&self.files, PROGRAM.listens);
        let folders = [self.package.at, self.package.root];
        let of_framework = folders.into_iter().find_map(|at| {
            source::setting(at.project, at.dir, self.own.settings.iter().copied(), &["port"])
        });
        let of_settings = || {
            self.package.depends("config").or_else(|| self.package.depends("figment"))?;
            folders.into_iter().find_map(setting).filter(|_| ports.env.is_none())
        };
        let of_settings = || {
            let setting = of_settings()?;
            self.open(facts, &setting);
            Some((setting.port, setting.place))
        };
        let in_text = || ports.number.clone().filter(|_| self.own.settings.is_empty());
        let found = of_framework.or_else(of_settings).or_else(in_text);
        let default = self.known.as_ref().map_or(0, |known| known.framework.port);
        let port = Port::of(found, Fixed::ProgramOrSettings, default);
        for (name, value) in self.own.env {
            facts.env(name, value.replace("{port}", &port.number.to_string()));
        }
        facts.port(Some(Port { is_told: ports.env.is_some(), ..port }));
    }

    /// Lets a program whose settings have the loopback address listen on all, by the variable that the crate `config` reads in
    /// their place; where it reads none, that is said.
    fn open(&self, facts: &mut Facts, setting: &Setting) {
        if !["127.0.0.1:", "localhost:"].iter().any(|host| setting.value.starts_with(host)) {
            return;
        }
        let has = |text: &str| source::mention(&self.files, text).is_some();
        let is_read = has("Environment::default()") && has(".separator(\"__\")");
        let (told, rule) = match is_read {
            true => {
                let name = setting.key.join("__").to_ascii_uppercase();
                let value = format!("0.0.0.0:{}", setting.port);
                facts.env(&name, &*value);
                (format!("{name}={value}"), Fixed::LoopbackUnlessTold)
            }
            false => ("127.0.0.1".to_owned(), Fixed::LoopbackAlone),
        };
        facts.decide(What::Port, told, rule, [setting.place.clone()]);
    }
}

/// The port in a file of settings.
struct Setting {
    /// Its place in the file: `server.address`.
    key: Vec<&'static str>,
    /// As it stands there.
    value: String,
    port: u16,
    place: Evidence,
}

/// Folders of the tree that the settings of Cargo take crates from: vendored ones, local registries, overrides.
fn sources(root: Folder<'_>) -> Vec<String> {
    let configs =
        [".cargo/config.toml", ".cargo/config"].into_iter().filter_map(|name| root.toml(name));
    let named = configs.flat_map(|config| {
        let sources = config.get("source").into_iter().flat_map(Value::members);
        let keys = ["directory", "local-registry"];
        let folders = sources
            .flat_map(|(_, source)| keys.map(|key| source.str_at(&[key]).map(str::to_owned)));
        let overrides = config.get("paths").into_iter().flat_map(Value::texts).map(str::to_owned);
        folders.flatten().chain(overrides).collect::<Vec<_>>()
    });
    named.filter_map(|path| resolve(root.dir, &path)).filter(|path| path != ".").collect()
}

/// The port in the settings that the crate `config` and its like read: `application.port` of `configuration/base.yaml`, else
/// `server.address` of `config.toml`.
fn setting(at: Folder<'_>) -> Option<Setting> {
    let folders = ["configuration/", "config/", "configs/", "settings/", ""];
    let names = ["production", "prod", "base", "default", "config", "settings", "application"];
    let sections = ["application", "server", "http", "app", "web", "service"];
    let keys = ["port", "address", "addr", "bind", "listen"].into_iter().flat_map(|name| {
        sections.map(|section| vec![section, name]).into_iter().chain([vec![name]])
    });
    let keys: Vec<Vec<&'static str>> = keys.collect();
    let mut files = folders.iter().flat_map(|folder| names.map(|name| format!("{folder}{name}")));
    files.find_map(|file| {
        let [yaml, yml, toml] = ["yaml", "yml", "toml"].map(|end| format!("{file}.{end}"));
        let yaml = [yaml, yml].into_iter().find_map(|path| Some((at.yaml(&path)?, path)));
        let (file, path) = yaml.or_else(|| Some((at.toml(&toml)?, toml)))?;
        keys.iter().find_map(|key| {
            let found = file.at(key)?;
            let value = found.text()?;
            let digits = value
                .rsplit(':')
                .next()
                .filter(|_| key.ends_with(&["port"]) || value.contains(':'));
            let port = source::number(digits?)?;
            Some(Setting {
                key: key.clone(),
                value,
                port,
                place: at.place(&path, Some(found.line)),
            })
        })
    })
}

/// Calls that make a program a server.
const OPENS: &[&str] = &["TcpListener::bind", "Server::bind", "HttpServer::new"];

/// Names of packages and folders that are there for developers.
const HELPERS: &[&str] = &[
    "xtask", "tools", "tool", "scripts", "codegen", "fuzz", "benches", "examples",
    "integration-tests",
];

/// Names that the program among several has that is the service.
const SERVERS: &[&str] = &["server", "api", "web", "app", "main", "backend", "service"];
