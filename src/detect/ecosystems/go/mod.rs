//! Go: modules, workspaces and lone files; one service for each program that is deployed.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::{
    Decision, Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{
            APP_DIR, OUT_DIR, draft, last_part, procfile_of, quote, relative, resolve, within,
        },
        source,
    },
    model::{join, parent},
};

mod command;
mod framework;
mod images;
mod module;
mod packages;

use self::{
    module::ModFile,
    packages::{LISTENING, Program},
};

/// All services written in Go.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let modules = mod_files(project, "go.mod");
    let works = mod_files(project, "go.work");
    let others: BTreeSet<String> = modules.iter().map(|module| module.dir().to_owned()).collect();
    let mut services = Vec::new();
    for module in &modules {
        let work = work_of(&works, module);
        let context = Context { project, modules: &modules, module: Some(module), work };
        let mut found = context.services(module.dir(), &others);
        if source::is_beside_product(module.dir()) {
            found.iter_mut().for_each(|service| service.weight = Weight::Manifest);
        }
        services.extend(found);
    }
    let lone = Context { project, modules: &modules, module: None, work: None };
    for dir in folders_without_module(project, &others) {
        if packages::is_main(project, &dir) {
            let program = Program::load(project, &dir, &modules);
            services.push(lone.service(&dir, &dir, &program));
        }
    }
    services
}

fn mod_files(project: &Project<'_>, name: &str) -> Vec<ModFile> {
    let has = project.tree.dirs().filter(|(_, entries)| entries.has(name));
    has.filter_map(|(dir, _)| project.tree.read(&join(dir, name)))
        .map(|text| ModFile::parse(&text))
        .collect()
}

/// The workspace that uses a module; without `use` of it a module stands alone.
fn work_of<'a>(works: &'a [ModFile], module: &ModFile) -> Option<&'a ModFile> {
    works.iter().find(|work| {
        let used = |folder: &String| resolve(work.dir(), folder).as_deref() == Some(module.dir());
        work.folders.iter().any(used)
    })
}

/// Folders with a `main.go` that belong to no module: a file that was never put into one, or one of the time of GOPATH.
fn folders_without_module(project: &Project<'_>, modules: &BTreeSet<String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let within =
            |root: &String| root == "." || dir == root || dir.starts_with(&format!("{root}/"));
        let left_out = dir.split('/').any(|part| source::NOT_PRODUCT.contains(&part));
        let has_go = entries.has("main.go") || dir == "." && entries.ending(".go").next().is_some();
        if has_go && !left_out && !modules.iter().any(within) && !found.iter().any(within) {
            found.push(dir.to_owned());
        }
    }
    found
}

struct Context<'a> {
    project: &'a Project<'a>,
    modules: &'a [ModFile],
    module: Option<&'a ModFile>,
    work: Option<&'a ModFile>,
}

impl Context<'_> {
    /// The services of one module: its programs, less those that are there for developers.
    fn services(&self, root: &str, others: &BTreeSet<String>) -> Vec<Service> {
        let mut mains = packages::mains(self.project, root, others);
        for dir in packages::released(self.project, root) {
            if !mains.contains(&dir) && packages::is_main(self.project, &dir) {
                mains.push(dir);
            }
        }
        let programs: Vec<(String, Program)> = mains
            .into_iter()
            .map(|dir| (dir.clone(), Program::load(self.project, &dir, self.modules)))
            .collect();
        let deployed = self.deployed(root, &programs);
        match deployed.as_slice() {
            [] => vec![self.library(root)],
            [at] => {
                let (dir, program) = &programs[*at];
                let mut service = self.service(root, dir, program);
                for (other, _) in programs.iter().filter(|(other, _)| other != dir) {
                    let decision =
                        Decision::new("service", dir.clone(), "the program that serves", []);
                    let evidence = Some(Evidence::file(other.clone()));
                    let why = "a tool: it neither serves nor is named like the module";
                    service.decisions.push(decision.not(other.clone(), evidence, why));
                }
                vec![service]
            }
            several => several
                .iter()
                .map(|at| &programs[*at])
                .map(|(dir, program)| self.service(dir, dir, program))
                .collect(),
        }
    }

    /// Which of the module's programs are deployed: all that serve or work in the background; if none does, the one in
    /// the root, then the one named like the module, then all.
    fn deployed(&self, root: &str, programs: &[(String, Program)]) -> Vec<usize> {
        let all = 0..programs.len();
        if programs.len() < 2 {
            return all.collect();
        }
        let name = |at: usize| last_part(&programs[at].0).unwrap_or_default();
        let is_called = |at: usize, words: &[&str]| {
            name(at)
                .split(['-', '_', '.'])
                .any(|part| words.iter().any(|word| part.starts_with(word)))
        };
        let is_worker = |at: usize| is_called(at, WORKERS);
        // Where there is a `cmd`, that is where the programs are.
        let has_cmd = programs.iter().any(|(dir, _)| has_part(dir, &["cmd"]));
        let is_inner = |at: usize| {
            let dir = &programs[at].0;
            let has_outer = || programs.iter().any(|(other, _)| !has_part(other, &["internal"]));
            has_cmd && has_part(dir, &["internal", "pkg"])
                || has_part(dir, &["internal"]) && has_outer()
        };
        let is_tool = |at: usize| is_called(at, HELPERS) || is_inner(at);
        let serving: Vec<usize> =
            all.clone().filter(|at| programs[*at].1.serves() && !is_tool(*at)).collect();
        if !serving.is_empty() {
            return all.filter(|at| serving.contains(at) || is_worker(*at)).collect();
        }
        if programs[0].0 == root {
            return vec![0];
        }
        let module = self.module.map(|module| module_name(&module.module)).unwrap_or_default();
        match all.clone().find(|at| name(*at) == module) {
            Some(at) => vec![at],
            None => {
                let mains: Vec<usize> = all.clone().filter(|at| !is_tool(*at)).collect();
                if mains.is_empty() { all.take(1).collect() } else { mains }
            }
        }
    }

    fn library(&self, root: &str) -> Service {
        let mut service = draft(root, "go", "go");
        self.facts(&mut service);
        images::set(self.project, &mut service, self.module, self.work, None);
        service.spec.build.commands = vec![within(root, "go build ./...")];
        service.decide(
            "start command",
            "",
            "no folder holds a program (package main): a library",
            [],
        );
        service
    }

    fn facts(&self, service: &mut Service) {
        match self.module {
            Some(module) => {
                let evidence = || [Evidence::file(&module.path)];
                service.decide("language", "go", "a go.mod", evidence());
                service.decide("build system", "go", "a go.mod", evidence());
            }
            None => {
                let evidence = || [Evidence::file(join(&service.dir, "main.go"))];
                let seen = evidence();
                service.decide("language", "go", "a package main without go.mod", seen);
                service.decide("build system", "go", "the only one of Go", []);
            }
        }
        if let Some(name) = self.module.map(|module| module_name(&module.module)) {
            service.name(name);
        }
    }

    /// The program of `main`, as the service of `dir`.
    fn service(&self, dir: &str, main: &str, program: &Program) -> Service {
        let mut service = draft(dir, "go", "go");
        service.weight = Weight::Starts;
        self.facts(&mut service);
        let root = self.module.map_or(dir, ModFile::dir);
        if dir != root {
            service.name(last_part(dir).unwrap_or("app"));
        }
        let native = native(program, self.module);
        let path = format!("{APP_DIR}/{}", binary_name(&service, main));
        let stated = procfile_of(self.project, root, &path);
        let needs_libc = program.has_cgo || !native.is_empty();
        let needs_shell = stated.as_ref().is_some_and(|stated| stated.needs_shell);
        let needs = match () {
            () if needs_libc => Some("a program with C in it needs a C library"),
            () if needs_shell => Some("the Procfile's command needs a shell"),
            () => None,
        };
        images::set(self.project, &mut service, self.module, self.work, needs);
        self.port_and_framework(&mut service, root, main, program);
        self.build(&mut service, root, main, program, &native);
        self.files(&mut service, root, main, program);
        if let Some(stated) = stated {
            service.weight = Weight::Stated;
            let words = stated.command.iter().map(String::as_str);
            service.start(words, "Procfile web", [stated.evidence]);
        }
        service
    }

    fn port_and_framework(&self, service: &mut Service, root: &str, main: &str, program: &Program) {
        let framework = framework::find(program, self.module);
        if let Some((framework, evidence)) = &framework {
            service.framework(framework.id, "imported", [evidence.clone()]);
        }
        if !program.serves() && framework.is_none() {
            if let Some((port, evidence)) = source::address(&program.files) {
                service.port(port, "the address that the program binds to", [evidence]);
                return;
            }
            // A command line tool beside services is none; alone it is what there is.
            let works = program.imports.iter().any(|import| source::is_background(import));
            let is_named =
                last_part(main).or_else(|| last_part(root)).is_some_and(source::is_background);
            if !works && !is_named && service.dir != "." {
                service.weight = Weight::Manifest;
            }
            return;
        }
        service.weight = Weight::Framework;
        let mut ports = source::ports(&program.files, LISTENING);
        // Gin's Run takes PORT by itself when it gets no address.
        let bare = program
            .files
            .iter()
            .find_map(|file| Some(Evidence::line(&file.path, Some(file.line_of(".Run()")?))));
        if let Some(evidence) = bare.filter(|_| framework.as_ref().is_some_and(|f| f.0.id == "gin"))
        {
            ports.env.get_or_insert(evidence);
        }
        let configured = config_port(self.project, root);
        let default = framework.as_ref().map_or(0, |(framework, _)| framework.port);
        match (ports.number, configured) {
            (Some((port, evidence)), _) => service.port(port, "the program's text", [evidence]),
            (None, Some((port, evidence))) => service.port(port, "its config file", [evidence]),
            (None, None) if default != 0 => service.port(default, "the framework's default", []),
            (None, None) => service.port(8080, "nothing says otherwise", []),
        }
        if let (Some(_), Some(port)) = (&ports.env, service.spec.runtime.ports.first().copied()) {
            service.env("PORT", port.to_string());
        }
    }

    fn build(
        &self,
        service: &mut Service,
        root: &str,
        main: &str,
        program: &Program,
        native: &[&Native],
    ) {
        let binary = binary_name(service, main);
        let cgo = program.has_cgo || !native.is_empty();
        let embedded = self.embedded_front_end(service, root, program);
        service.build_env("CGO_ENABLED", if cgo { "1" } else { "0" });
        if self.project.bases != crate::detect::images::Family::Official {
            service.build_env("GOPATH", "/go");
        }
        for native in native {
            service.build_packages(native.build.iter().copied());
            service.runtime_packages(native.runtime.iter().copied());
        }
        service.cache(["/go/pkg/mod", "/root/.cache/go-build"]);
        let target = relative(root, main);
        let target = if target == "." { target } else { format!("./{target}") };
        let build =
            format!("go build -trimpath -ldflags='-s -w' -o {OUT_DIR}/{binary} {}", quote(&target));
        let commands = match self.module {
            None => {
                // Without a module path `go build` refuses imports; `tidy` finds what they need.
                let init = format!("go mod init {binary} && go mod tidy && {build}");
                vec![within(root, &init)]
            }
            Some(module) => {
                let has_sums = self.project.tree.has(&join(root, "go.sum"));
                let is_vendored =
                    self.project.tree.has_unsearched(&join(root, "vendor/modules.txt"));
                let tidy =
                    module.has_requirements && !has_sums && !is_vendored && self.work.is_none();
                if module.has_requirements && !is_vendored && !tidy {
                    let (files, commands) = self.download(module);
                    service.dependencies(files, commands);
                }
                if tidy {
                    let why = "there is no go.sum: `go mod tidy` writes it";
                    service.decide("packages", "unlocked", why, [Evidence::file(&module.path)]);
                    vec![within(root, &format!("go mod tidy && {build}"))]
                } else {
                    vec![within(root, &build)]
                }
            }
        };
        let build_command = commands.join(" && ");
        service.spec.build.commands.extend(embedded);
        service.spec.build.commands.extend(commands);
        let why = if cgo { "a package needs C" } else { "pure Go: a static program" };
        service.decide("build command", build_command, why, []);
        service.copy(&format!("{OUT_DIR}/{binary}"), &format!("{APP_DIR}/{binary}"));
        service.spec.runtime.workdir = Some(APP_DIR.to_owned());
        let command = format!("{APP_DIR}/{binary}");
        let (arguments, seen) = command::arguments(self.project, root, main, program, self.module);
        let evidence = seen.unwrap_or_else(|| Evidence::file(main.to_owned()));
        service.start(
            [command.as_str()].into_iter().chain(arguments.iter().map(String::as_str)),
            "the built program",
            [evidence],
        );
        if command::is_pocketbase(program, self.module) {
            service.port(command::POCKETBASE_PORT, "the port of PocketBase", []);
            // Its database lies beside the program, whose folder only root may write to.
            let data = format!("{OUT_DIR}/pb_data");
            service.spec.build.commands.push(format!("mkdir -p {data} && chmod a+rwx {data}"));
            service.copy(&data, &format!("{APP_DIR}/pb_data"));
        }
    }

    /// The step that downloads modules, and what it must see: all modules that the build reads.
    fn download(&self, module: &ModFile) -> (Vec<String>, Vec<String>) {
        let mut files = Vec::new();
        let mut dirs = BTreeSet::from([module.dir().to_owned()]);
        if let Some(work) = self.work {
            files.push(work.path.clone());
            files.push(join(work.dir(), "go.work.sum"));
            dirs.extend(work.folders.iter().filter_map(|folder| resolve(work.dir(), folder)));
        }
        // A replaced module is read from its folder, and so are those that it replaces itself.
        let by_dir: BTreeMap<&str, &ModFile> = self.modules.iter().map(|m| (m.dir(), m)).collect();
        let mut queue: Vec<String> = dirs.iter().cloned().collect();
        while let Some(dir) = queue.pop() {
            let Some(module) = by_dir.get(dir.as_str()) else { continue };
            for folder in module.folders.iter().filter_map(|folder| resolve(&dir, folder)) {
                if dirs.insert(folder.clone()) {
                    queue.push(folder);
                }
            }
        }
        for dir in dirs {
            files.push(join(&dir, "go.mod"));
            files.push(join(&dir, "go.sum"));
        }
        files.retain(|file| self.project.tree.has(file));
        (files, vec![within(module.dir(), "go mod download")])
    }

    /// What the program reads when it runs, and is not compiled in.
    fn files(&self, service: &mut Service, root: &str, main: &str, program: &Program) {
        let folders: BTreeSet<&str> = [root, main].into_iter().collect();
        for dir in folders {
            let Some(entries) = self.project.tree.entries(dir) else { continue };
            let names = entries.dirs.iter().filter(|name| RUNTIME_DIRS.contains(&name.as_str()));
            let files = entries.files.iter().filter(|name| RUNTIME_FILES.contains(&name.as_str()));
            for name in names.chain(files) {
                let path = join(dir, name);
                let is_embedded = program
                    .embeds
                    .iter()
                    .any(|embed| *embed == path || embed.starts_with(&format!("{path}/")));
                let holds_go = self.project.tree.entries(&path).is_some_and(|found| {
                    !found.files.is_empty() && found.files.iter().all(|file| file.ends_with(".go"))
                });
                let Some(seen) = source::names_path(&program.files, name) else { continue };
                if !is_embedded && !holds_go {
                    service.decide("artifacts", path.clone(), "the program reads it", [seen]);
                    service.copy(&path, &format!("{APP_DIR}/{name}"));
                }
            }
        }
    }

    /// A front end that `//go:embed` takes up, and what builds it.
    fn embedded_front_end(
        &self,
        service: &mut Service,
        root: &str,
        program: &Program,
    ) -> Vec<String> {
        for embed in &program.embeds {
            let mut dir = embed.as_str();
            while dir != "." && dir != root {
                if self.project.tree.has(&join(dir, "package.json")) {
                    service.claims.push(dir.to_owned());
                    return service.front_end(self.project, dir);
                }
                dir = parent(dir);
            }
        }
        if self.project.tree.has(&join(root, "package.json")) {
            return service.front_end(self.project, root);
        }
        Vec::new()
    }
}

/// Name of the program's file: that of the folder of its package, else of the module, as `go build` has it.
fn binary_name(service: &Service, main: &str) -> String {
    let folder = last_part(main).filter(|name| !matches!(*name, "src" | "cmd" | "main"));
    let wished = service.spec.metadata.project_name.as_deref();
    let name = wished.or(folder).unwrap_or("app");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().filter(|c| plain(*c)).collect();
    match name.trim_matches(['.', '-']) {
        "" => "app".to_owned(),
        name => name.to_owned(),
    }
}

fn has_part(dir: &str, names: &[&str]) -> bool {
    dir.split('/').any(|part| names.contains(&part))
}

/// The last element of a module path that is no major version: `example.com/shop/v2` is `shop`.
fn module_name(path: &str) -> String {
    let is_major = |part: &str| {
        part.strip_prefix('v')
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    path.rsplit('/').find(|part| !is_major(part)).unwrap_or_default().to_owned()
}

/// The port in the config file of a framework that has one.
fn config_port(project: &Project<'_>, root: &str) -> Option<(u16, Evidence)> {
    let files = [
        "conf/app.conf",
        "configs/config.yaml",
        "config/config.yaml",
        "config.yaml",
        "conf/app.ini",
        "config/config.yml",
        "config.yml",
        "config.json",
        "config/config.json",
        "config/config.development.json",
        "config.toml",
        "config/config.toml",
    ];
    let etc = project.tree.entries(&join(root, "etc")).map(|entries| {
        let yaml = entries.files.iter().filter(|file| file.ends_with(".yaml"));
        yaml.map(|file| format!("etc/{file}")).collect::<Vec<_>>()
    });
    let etc = etc.unwrap_or_default();
    files.iter().copied().chain(etc.iter().map(String::as_str)).find_map(|file| {
        let text = project.tree.read(&join(root, file))?;
        text.lines().find_map(|(line, words)| {
            let key = words.trim_start().trim_start_matches('"').to_ascii_lowercase();
            let key = key.replace("\":", ":");
            let is_port = ["httpport", "http.port", "port:", "port =", "addr:"]
                .iter()
                .any(|k| key.starts_with(k));
            let port = source::own_number(words).filter(|_| is_port)?;
            Some((port, Evidence::line(&text.path, Some(line))))
        })
    })
}

/// A module that needs a C compiler, and what else.
struct Native {
    module: &'static str,
    build: &'static [&'static str],
    runtime: &'static [&'static str],
}

fn native(program: &Program, module: Option<&ModFile>) -> Vec<&'static Native> {
    let uses = |native: &&Native| {
        program.uses(native.module)
            || native.module == "github.com/mattn/go-sqlite3"
                && (program.uses("gorm.io/driver/sqlite")
                    || module.is_some_and(|module| module.requires(native.module).is_some()))
    };
    NATIVE.iter().filter(uses).collect()
}

static NATIVE: &[Native] = &[
    Native { module: "github.com/mattn/go-sqlite3", build: &[], runtime: &[] },
    Native { module: "github.com/confluentinc/confluent-kafka-go", build: &[], runtime: &[] },
    Native { module: "github.com/h2non/bimg", build: &["libvips-dev"], runtime: &["libvips42"] },
    Native {
        module: "github.com/davidbyttow/govips",
        build: &["libvips-dev"],
        runtime: &["libvips42"],
    },
    Native {
        module: "gopkg.in/gographics/imagick.v3",
        build: &["libmagickwand-dev"],
        runtime: &["libmagickwand-6.q16-6"],
    },
    Native {
        module: "github.com/pebbe/zmq4",
        build: &["libzmq3-dev", "pkg-config"],
        runtime: &["libzmq5"],
    },
    Native {
        module: "github.com/google/gopacket/pcap",
        build: &["libpcap-dev"],
        runtime: &["libpcap0.8"],
    },
    Native { module: "github.com/chai2010/webp", build: &[], runtime: &[] },
    Native { module: "github.com/marcboeker/go-duckdb", build: &[], runtime: &["libstdc++6"] },
];

/// Names of programs that run in the background, whether or not they listen.
const WORKERS: &[&str] = &[
    "worker", "consumer", "scheduler", "cron", "daemon", "agent", "processor", "subscriber", "bot",
];

/// Names of programs that are run by hand.
const HELPERS: &[&str] = &[
    "migrat", "seed", "gen", "tool", "cli", "ctl", "example", "test", "bench", "demo", "lint",
    "mock", "debug", "script", "dump", "import", "export", "backfill", "doc", "fake", "load",
];

/// Folders that programs read while they run.
const RUNTIME_DIRS: &[&str] = &[
    "templates", "template", "static", "public", "views", "view", "assets", "migrations",
    "locales", "i18n", "conf", "config", "configs", "etc", "resources", "web", "www", "html",
    "data", "swagger", "ui", "db", "sql", "tmpl", "dist", "content", "messages",
];

/// Files that they read.
const RUNTIME_FILES: &[&str] = &[
    "config.yaml", "config.yml", "config.json", "config.toml", "app.yaml", "app.toml",
    "index.html", "app.ini", "app.conf", "data.json", "schema.sql", "conf.yaml", "config.ini",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_called_by_its_last_element() {
        let check = |path: &str, want: &str| assert_eq!(module_name(path), want);
        check("example.com/team/shop/v2", "shop");
        check("shop", "shop");
        check("example.com/vault", "vault");
        check("", "");
    }
}
