//! Go: modules, workspaces and lone files; one service for each program that is deployed.

use std::collections::BTreeSet;

use crate::detect::{
    compiled::{WORKERS, is_called},
    prelude::*,
};

mod cgo;
mod command;
mod embed;
mod flags;
mod framework;
mod language;
mod module;
mod packages;

use self::{
    framework::{known, serves},
    language::{LIBRARY, STATIC, WITH_PROGRAMS, WITH_SHELL},
    module::{ModFile, minor},
    packages::{Program, is_main},
};

/// All services written in Go.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let modules = mod_files(project, "go.mod");
    let works = mod_files(project, "go.work");
    let dirs: BTreeSet<&str> = modules.iter().map(ModFile::dir).collect();
    let context = |dir| {
        let root = Folder::new(project, dir);
        Context { root, modules: &modules, module: None, work: None }
    };
    let mut found = Vec::new();
    for module in &modules {
        // Without `use` of it in a workspace a module stands alone.
        let uses = |work: &&ModFile| work.named_folders().any(|dir| dir == module.dir());
        let work = works.iter().find(uses);
        let context = Context { module: Some(module), work, ..context(module.dir()) };
        found.extend(context.services(&dirs));
    }
    let lone = folders_without_module(project, &dirs).into_iter().map(context);
    let lone = lone.filter(|context| is_main(context.root));
    found.extend(lone.map(|context| {
        let dir = context.root.dir;
        context.service(dir, &context.program(dir.to_owned()))
    }));
    found
}

fn mod_files(project: &Project<'_>, name: &str) -> Vec<ModFile> {
    let has = project.tree.dirs().filter(|(_, entries)| entries.has(name));
    let texts = has.filter_map(|(dir, _)| project.tree.read(&join(dir, name)));
    texts.map(|text| ModFile::parse(&text)).collect()
}

/// Folders with a `main.go` that belong to no module: a file that was never put into one, or one of the time of GOPATH.
fn folders_without_module<'a>(project: &'a Project<'_>, modules: &BTreeSet<&str>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let is_within = |root: &&str| is_below(dir, root);
        let is_left_out = folders::is_beside_product(dir);
        let has_go = entries.has("main.go") || dir == "." && entries.ending(".go").next().is_some();
        if has_go && !is_left_out && !modules.iter().chain(&found).any(is_within) {
            found.push(dir);
        }
    }
    found
}

/// What the programs of one module share.
struct Context<'a> {
    /// The module's folder; that of the program where there is none.
    root: Folder<'a>,
    modules: &'a [ModFile],
    module: Option<&'a ModFile>,
    work: Option<&'a ModFile>,
}

impl Context<'_> {
    fn at<'d>(&'d self, dir: &'d str) -> Folder<'d> {
        Folder::new(self.root.project, dir)
    }

    fn program(&self, dir: String) -> Program {
        Program::load(self.root.project, dir, self.modules)
    }

    /// The services of one module: its programs, less those that are there for developers.
    fn services(&self, others: &BTreeSet<&str>) -> Vec<Facts> {
        let mut mains = packages::mains(self.root, others);
        for dir in packages::released(self.root) {
            if !mains.contains(&dir) && is_main(self.at(&dir)) {
                mains.push(dir);
            }
        }
        let programs: Vec<Program> = mains.into_iter().map(|dir| self.program(dir)).collect();
        match self.deployed(&programs).as_slice() {
            [] => vec![self.library()],
            [program] => {
                let mut facts = self.service(self.root.dir, program);
                let others = programs.iter().filter(|other| other.dir != program.dir);
                let others = others.map(|o| (o.dir.clone(), Some(Evidence::file(&o.dir))));
                facts.choose(&program.dir, Fixed::ProgramThatServes, others, Fixed::ToolBeside);
                vec![facts]
            }
            several => several.iter().map(|program| self.service(&program.dir, program)).collect(),
        }
    }

    /// Which of the module's programs are deployed: all that serve or work in the background; if none does, the one in
    /// the root, then the one named like the module, then all but tools.
    fn deployed<'p>(&self, programs: &'p [Program]) -> Vec<&'p Program> {
        // Where there is a `cmd`, that is where the programs are.
        let has_cmd = programs.iter().any(|program| program.is_in("cmd"));
        let has_outer = programs.iter().any(|program| !program.is_in("internal"));
        let is_tool = |program: &Program| {
            is_called(file_name(&program.dir), HELPERS)
                || program.is_in("internal") && (has_cmd || has_outer)
                || program.is_in("pkg") && has_cmd
        };
        let name = self.module.map(ModFile::name).unwrap_or_default();
        let named = || programs.iter().find(|program| last_part(&program.dir) == Some(name));
        let main = programs.first().filter(|program| program.dir == self.root.dir).or_else(named);
        let all: Vec<&Program> = programs.iter().collect();
        let serves = |program: &Program| serves(program) && !is_tool(program);
        let works = |program: &Program| is_called(file_name(&program.dir), WORKERS);
        compiled::deployed(&all, serves, works, main).unwrap_or_else(|| {
            let mains: Vec<&Program> = all.iter().copied().filter(|p| !is_tool(p)).collect();
            if mains.is_empty() { all.into_iter().take(1).collect() } else { mains }
        })
    }

    fn library(&self) -> Facts {
        let mut facts = self.facts(self.root.dir);
        facts.language = &LIBRARY;
        facts.build(self.root.dir, "go build ./...");
        facts.nothing(Fixed::NoPackageMain, [])
    }

    /// What is known of all services, whatever they run.
    fn facts(&self, dir: &str) -> Facts {
        let at = self.at(dir);
        let mut facts = Facts::new(&STATIC, dir);
        if let Some(module) = self.module {
            facts = facts.known_by(Rule::Manifest("go.mod"), Evidence::file(&module.path));
            facts.name = module.name().to_owned();
        } else {
            let main = at.place("main.go", None);
            facts.decide(What::Language, "go", Fixed::MainWithoutModule, [main]);
            facts.decide(What::BuildSystem, "go", Fixed::OnlyOfGo, []);
        }
        facts.version(language::version(at, self.module.into_iter().chain(self.work)));
        facts
    }

    /// A program as the service of `dir`.
    fn service(&self, dir: &str, program: &Program) -> Facts {
        let mut facts = self.facts(dir);
        facts.weight = Weight::Starts;
        if dir != self.root.dir {
            facts.name = last_part(dir).unwrap_or("app").to_owned();
        }
        let binary = binary_name(&facts.name, &program.dir);
        cgo::settle(&mut facts, program, self.module);
        if let Some(front_end) = self.front_end(program) {
            facts.claims.extend(Some(front_end.to_owned()).filter(|dir| dir != self.root.dir));
            facts.build_front_end(self.root.project, front_end);
        }
        self.build(&mut facts, &binary, &program.dir);
        let is_static = std::ptr::eq(facts.language, &raw const STATIC);
        if called::started(&program.files, &mut facts) && is_static {
            facts.language = &WITH_PROGRAMS;
        }
        let path = facts.program(&binary);
        let stated = compiled::stated(self.root, &path);
        let needs_shell = stated.as_ref().is_some_and(|stated| stated.needs_shell);
        if needs_shell && std::ptr::eq(facts.language, &raw const STATIC) {
            facts.language = &WITH_SHELL;
        }
        let (mut arguments, seen) = command::arguments(self.root, program, self.module);
        if known(program, self.module).is_some() || serves(program) {
            // Of a program of several commands the one that is started has the option.
            let is_whole = !arguments.is_empty() || !command::has_commands(program);
            let given = is_whole.then_some(arguments.as_slice());
            let more = facts.leave_loopback(&program.files, given);
            arguments.extend(more);
        }
        let place = seen.unwrap_or_else(|| Evidence::file(&program.dir));
        facts.start([path].into_iter().chain(arguments), Fixed::BuiltProgram, [place]);
        self.serve(&mut facts, program);
        if command::is_pocketbase(program, self.module)
            && facts.port_number() != Some(command::POCKETBASE_PORT)
        {
            facts.port(Some(Port::of(None, Fixed::ProgramText, command::POCKETBASE_PORT)));
        }
        facts.take_named([self.root, self.at(&program.dir)], &program.files, &[], |path| {
            self.is_code(program, path)
        });
        facts.start_stated(stated);
        if self.module.is_some() && folders::is_beside_product(self.root.dir) {
            facts.weight = Weight::Manifest;
        }
        facts
    }

    /// The framework, and the port of a program that serves.
    fn serve(&self, facts: &mut Facts, program: &Program) {
        let known = known(program, self.module);
        facts.of_framework(known.as_ref(), Fixed::Imported);
        if known.is_none() && !serves(program) {
            let port = source::port(&program.files, &[], None);
            if port.is_none() {
                let name = last_part(&program.dir).or_else(|| last_part(self.root.dir));
                let libraries = program.imports.iter().map(String::as_str);
                facts.weigh_silent(libraries.chain(name));
            }
            return facts.port(port);
        }
        facts.weight = Weight::Framework;
        let ports = source::ports(&program.files, STATIC.listens);
        // Gin's Run takes PORT by itself when it gets no address.
        let is_gin = facts.framework == Some("gin") && program.has(".Run()");
        let is_told = ports.env.is_some() || is_gin;
        let has_option = !is_told || program.uses(framework::TOOLKIT);
        let of_flags = if has_option { flags::default(program) } else { None };
        let (found, rule) = match (of_flags, ports.number) {
            (Some(flags::Default { port, variable }), _) => {
                let port = moved(facts, port, variable);
                return facts.port(Some(port));
            }
            (None, None) => (self.config_port(), Fixed::ConfigFile),
            (None, found) => (found, Fixed::ProgramText),
        };
        let default = known.map_or(0, |known| known.framework.port);
        facts.port(Some(Port { is_told, ..Port::of(found, rule, default) }));
    }

    /// The port in the config file of a framework that has one.
    fn config_port(&self) -> Option<(u16, Evidence)> {
        let etc = self.root.project.tree.entries(&self.root.path("etc"));
        let etc = etc.into_iter().flat_map(|entries| entries.ending(".yaml"));
        let etc: Vec<String> = etc.map(|name| format!("etc/{name}")).collect();
        let files = CONFIG_FILES.iter().copied().chain(etc.iter().map(String::as_str));
        source::setting(self.root.project, self.root.dir, files, CONFIG_KEYS)
    }

    /// Builds the program in `main`.
    fn build(&self, facts: &mut Facts, binary: &str, main: &str) {
        let root = self.root.dir;
        let target = relative(root, main);
        let target = if target == "." { target } else { format!("./{target}") };
        let list = self.root.path("vendor/modules.txt");
        let is_vendored = self.root.project.tree.has_unsearched(&list);
        let written_for = self.module.and_then(|module| minor(&module.go.as_ref()?.version));
        let written_for = written_for.map_or((1, 16, 0), Version::triple);
        // What toolchains of that time did by themselves (go.dev/ref/mod#build-commands).
        let mode = match written_for {
            (1, ..14, _) if is_vendored => "-mod=vendor ",
            (1, ..16, _) if !is_vendored => "-mod=mod ",
            _ => "",
        };
        let flags = format!("{mode}-trimpath -ldflags='-s -w'");
        let build = format!("go build {flags} -o {OUT}/{binary} {}", quote(&target));
        let line = match self.module {
            // Without a module path `go build` refuses imports; `tidy` finds what they need.
            None => format!("go mod init {binary} && go mod tidy && {build}"),
            Some(module) if module.all().next().is_none() || is_vendored => build,
            Some(module) if self.root.has("go.sum") || self.work.is_some() => {
                let download = Step::new(Kind::Install, root, "go mod download");
                facts.install(self.mod_files(module), [download]);
                build
            }
            Some(module) => {
                let place = Evidence::file(&module.path);
                facts.decide(What::Packages, "unlocked", Fixed::NoGoSum, [place]);
                format!("go mod tidy && {build}")
            }
        };
        facts.build(root, line);
    }

    /// What the step that downloads modules must see: the files of all modules that the build reads.
    fn mod_files(&self, module: &ModFile) -> Vec<String> {
        let mut dirs = vec![module.dir().to_owned()];
        dirs.extend(self.work.into_iter().flat_map(ModFile::named_folders));
        // A replaced module is read from its folder, and so are those that it replaces itself.
        let dirs = compiled::reach(dirs, |dir| {
            let module = self.modules.iter().find(|module| module.dir() == dir);
            module.into_iter().flat_map(ModFile::named_folders).collect()
        });
        let of_work = self.work.map(|work| self.at(work.dir()).those(&["go.work", "go.work.sum"]));
        let of_modules = dirs.iter().flat_map(|dir| self.at(dir).those(&["go.mod", "go.sum"]));
        of_work.into_iter().flatten().chain(of_modules).collect()
    }

    /// Whether a file or folder is compiled in or holds packages, so that the image need not have it.
    fn is_code(&self, program: &Program, path: &str) -> bool {
        let entries = self.root.project.tree.entries(path);
        program.embeds.iter().any(|embed| is_below(embed, path))
            || entries.is_some_and(|found| {
                !found.files.is_empty() && found.files.iter().all(|file| file.ends_with(".go"))
            })
    }

    /// The folder of a front end that `//go:embed` takes up, else the module's own if what is built there is for a browser:
    /// other packages beside a `go.mod` are tools.
    fn front_end<'p>(&'p self, program: &'p Program) -> Option<&'p str> {
        let root = self.root;
        let above = |path| upward(path).take_while(|dir| *dir != "." && *dir != root.dir);
        let mut dirs = program.embeds.iter().flat_map(|path| above(path));
        let embedded = dirs.find(|dir| self.at(dir).has("package.json"));
        embedded.or_else(|| {
            let package = root.json("package.json")?;
            let lists = ["dependencies", "devDependencies"].map(|list| package.get(list));
            let mut names = lists.into_iter().flatten().flat_map(Value::members);
            let is_missing = |path: &String| {
                let tree = root.project.tree;
                !path.contains('*') && !tree.has(path) && !tree.has_dir(path)
            };
            let bundles = names.any(|(name, _)| BUNDLERS.contains(&name));
            (bundles || program.embeds.iter().any(is_missing)).then_some(root.dir)
        })
    }
}

/// Name of the program's file: that of the service, else of the folder of its package, as `go build` has it.
fn binary_name(wished: &str, main: &str) -> String {
    let folder = last_part(main).filter(|name| !matches!(*name, "src" | "cmd" | "main"));
    let name = Some(wished).filter(|name| !name.is_empty()).or(folder).unwrap_or("app");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().filter(|c| plain(*c)).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

/// The port that a flag has by default; another in its variable, where that is for root.
fn moved(facts: &mut Facts, port: (u16, Evidence), variable: Option<(String, String)>) -> Port {
    let (number, place) = port;
    match variable {
        Some((variable, prefix)) if number < 1024 => {
            facts.env.insert(variable, format!("{prefix}{USERS_PORT}"));
            let rule = Rule::from(Fixed::ProgramText).and(Fixed::UserPort);
            Port::new(USERS_PORT, rule, Some(place))
        }
        _ => Port::new(number, Fixed::ProgramText, Some(place)),
    }
}

/// The port in place of one below 1024.
const USERS_PORT: u16 = 8080;

/// Files that frameworks read the port from, and how lines with it begin.
const CONFIG_FILES: &[&str] = &[
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
const CONFIG_KEYS: &[&str] = &["httpport", "http.port", "port:", "port =", "addr:"];

/// Packages that make files for a browser.
const BUNDLERS: &[&str] = &[
    "@angular/cli", "@parcel/core", "@rspack/core", "@tailwindcss/cli", "@vue/cli-service",
    "astro", "browserify", "esbuild", "grunt", "gulp", "laravel-mix", "next", "nuxt", "parcel",
    "postcss-cli", "react-scripts", "rollup", "sass", "svelte", "tailwindcss", "vite", "webpack",
];

/// Names of programs that are run by hand.
const HELPERS: &[&str] = &[
    "migrat", "seed", "gen", "tool", "cli", "ctl", "example", "test", "bench", "demo", "lint",
    "mock", "debug", "script", "dump", "import", "export", "backfill", "doc", "fake", "load",
];
