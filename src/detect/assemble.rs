//! Facts and a family of bases → a spec with its decisions.
//!
//! What is known of images, users, work folders, caches, copies and `PORT` stands here and in the rows of languages.

use std::collections::BTreeMap;

use super::{
    Family,
    decision::{Decision, Rule},
    facts::{Facts, Weight},
    language::{DEBIAN, Language, NOBODY, NONROOT, Stage, WOLFI, reference},
    parts::{Files, Kind, Library, Missing, Need, Serves, Step, Take, WrittenFile},
    paths::literal,
    source::Port,
    versions::Version,
    why::{Fixed, What},
};
use crate::spec::{
    Artifact, BUILD_DIR, Base, Build, DependencyStep, FILE_MODE, File, Metadata, Runtime, Secret,
    SecretTarget, UniversalBuild,
};

/// Where a program and what it reads lie in the image, unless its row says otherwise.
const HOME: &str = "/app";

/// One deployable service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Folder relative to the root, clean, `/` between parts; `.` is the root.
    pub dir: String,
    /// What is built and what runs. `metadata.path` and `metadata.reasoning` are written when it is emitted.
    pub spec: UniversalBuild,
    /// How sure it is that something is deployed from here.
    pub weight: Weight,
    /// Which process of its folder it is; empty: the one that the others stand beside.
    pub process: String,
    /// How many of `build.commands`, from the first on, make tools ready and install dependencies.
    pub installs: usize,
    /// Every decision, in the order of [`What`] once it is emitted.
    pub decisions: Vec<Decision>,
}

impl Language {
    /// Path in the image of something in the program's home; empty: the home itself, `.`: in it by its own name.
    pub(super) fn in_home(&self, name: &str) -> String {
        match name {
            "" => self.home().to_owned(),
            "." => format!("{}/", self.home()),
            name => format!("{}/{name}", self.home()),
        }
    }

    fn home(&self) -> &'static str {
        if self.home.is_empty() { HOME } else { self.home }
    }
}

/// The spec of a service on a family of bases.
pub(super) fn assemble(family: Family, mut facts: Facts) -> Service {
    let mut spec = UniversalBuild {
        metadata: Metadata {
            project_name: Some(std::mem::take(&mut facts.name)).filter(|name| !name.is_empty()),
            language: Some(facts.id.to_owned()),
            build_system: Some(facts.tool.to_owned()),
            framework: facts.framework.map(str::to_owned),
            ..Metadata::default()
        },
        build: Build::default(),
        runtime: Runtime::default(),
    };
    let family = images(family, &mut facts, &mut spec);
    files(&mut facts, &mut spec);
    steps(family, &mut facts, &mut spec.build);
    needs(family, &mut facts, &mut spec);
    let (language, run) = (facts.language, facts.runs_on.unwrap_or(facts.language));
    let cache = language.cache.iter().map(|path| (*path).to_owned()).chain(facts.cache);
    spec.build.cache = sorted(cache.map(|path| in_build(&path)).collect());
    spec.build.exclude = facts.exclude;
    spec.build.env.extend(facts.build_env);
    let is_set = |secret: &Secret| matches!(&secret.target, SecretTarget::Env(name) if spec.build.env.contains_key(name));
    spec.build.secrets = facts.secrets.into_iter().filter(|secret| !is_set(secret)).collect();
    spec.runtime.env = facts.env;
    spec.runtime.copy = facts.takes.iter().map(|take| artifact(run, take)).collect();
    spec.runtime.workdir = Some(run.in_home(&facts.run_in)).filter(|dir| dir != "/");
    spec.runtime.health = facts.health;
    match facts.serves {
        Serves::Process(process) => {
            spec.runtime.command = process.command;
            if !has_home(&spec.runtime) {
                spec.runtime.env.entry("HOME".to_owned()).or_insert_with(|| "/tmp".to_owned());
            }
            if let Some(port) = process.port {
                let port = allowed(port, &mut spec.runtime);
                let number = port.number.to_string();
                spec.runtime.ports = vec![port.number];
                if port.is_told {
                    spec.runtime.env.insert("PORT".to_owned(), number.clone());
                }
                // What else was decided about ports, such as that no other machine reaches it, comes after it.
                facts.decisions.insert(0, Decision::new(What::Port, number, port.rule, port.place));
            }
        }
        Serves::Files(files) => serve(family, &files, &mut spec, &mut facts.decisions),
        Serves::Nothing(why, places) => {
            facts.decisions.push(Decision::new(What::StartCommand, "", why, places));
        }
    }
    spec.build.packages = sorted(spec.build.packages);
    spec.runtime.packages = sorted(spec.runtime.packages);
    let is_early = |step: &&Step| matches!(step.kind, Kind::Setup | Kind::Install);
    let early = facts.steps.iter().filter(|step| step.not_on != Some(family)).take_while(is_early);
    let (installs, process) = (early.count(), facts.process);
    let (dir, weight, decisions) = (facts.dir, facts.weight, facts.decisions);
    Service { dir, spec, weight, process, installs, decisions }
}

/// Whether the user of an image has a folder of its own there: without one `HOME` is `/`, where only root may write.
fn has_home(runtime: &Runtime) -> bool {
    match runtime.user.as_deref() {
        Some(NONROOT) => runtime.base != reference(DEBIAN),
        // The home of `www-data` is a folder of root.
        Some(user) => ![NOBODY, "www-data"].contains(&user),
        None => true,
    }
}

/// A port below 1024 is for root: the program gets another where it reads `PORT`, else it runs as root.
fn allowed(port: Port, runtime: &mut Runtime) -> Port {
    if port.number >= USER_PORTS {
        return port;
    }
    if port.is_told {
        return Port { number: FILES_PORT, rule: port.rule.and(Fixed::UserPort), ..port };
    }
    runtime.user = Some("0:0".to_owned());
    Port { rule: port.rule.and(Fixed::PortOfRootUser), ..port }
}

/// The first port that a user without rights may have everywhere.
const USER_PORTS: u16 = 1024;

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// Bases, their packages and the user of a family; the family that they are of, as one without images for the language
/// has the official ones.
fn images(family: Family, facts: &mut Facts, spec: &mut UniversalBuild) -> Family {
    let is_lacking = facts.lacking.contains(&family);
    let family = if is_lacking { Family::Official } else { family };
    let language = facts.language;
    let build = language.images.of(family);
    let run = facts.runs_on.unwrap_or(language).images.of(family);
    let asked = facts.vars.get("v").and_then(|version| Version::parse(version));
    if let (Some(_), Some(asked)) = (&language.packaged, asked) {
        let (used, decision) = language.nearest(family, asked);
        facts.decisions.extend(decision);
        for (name, value) in language.versions(used) {
            if name != "v" || family != Family::Official {
                facts.set(name, value);
            }
        }
    }
    if let (false, Some(asked)) = (language.suites.is_empty(), asked) {
        facts.set("suite", language.suite(asked));
    }
    let stage = |stage: &Stage| {
        let packages = stage.packages.iter().map(|name| fill(name, &facts.vars));
        let packages = packages.filter(|name| !name.is_empty());
        (reference(&fill(stage.base, &facts.vars)), packages.collect::<Vec<_>>())
    };
    (spec.build.base, spec.build.packages) = stage(&build.build);
    (spec.runtime.base, spec.runtime.packages) = stage(&run.run);
    let env = build.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    spec.build.env = env.collect();
    if let Some(why) = is_lacking.then_some(Fixed::NotPackaged).or(run.why) {
        let base = fill(run.run.base, &facts.vars);
        facts.decisions.push(Decision::new(What::Base, base, why, []));
    }
    let user = match (run.user, family) {
        ("", Family::Wolfi) => NONROOT,
        ("", _) => NOBODY,
        (user, _) => user,
    };
    spec.runtime.user = Some(fill(user, &facts.vars));
    let is_official = family == Family::Wolfi && spec.build.base != reference(WOLFI);
    if is_official { Family::Official } else { family }
}

/// A name whose variables are replaced: `python:{v}-slim-{suite}`.
fn fill(name: &str, vars: &BTreeMap<&'static str, String>) -> String {
    let mut filled = name.to_owned();
    for (variable, value) in vars {
        filled = filled.replace(&format!("{{{variable}}}"), value);
    }
    filled
}

/// Small files of both stages.
fn files(facts: &mut Facts, spec: &mut UniversalBuild) {
    for WrittenFile { path, content, is_for_build } in std::mem::take(&mut facts.files) {
        let file = File { path, content: content.into_bytes(), mode: FILE_MODE };
        let stage = if is_for_build { &mut spec.build.files } else { &mut spec.runtime.files };
        stage.push(file);
    }
}

fn steps(family: Family, facts: &mut Facts, build: &mut Build) {
    let lines = |steps: &[Step], is_told: &dyn Fn(&Step) -> bool| {
        let steps = steps.iter().filter(|step| step.not_on != Some(family) && is_told(step));
        steps.map(Step::line).collect::<Vec<_>>()
    };
    let all = |steps: &[Step]| lines(steps, &|_| true);
    let layers = facts.layers.iter();
    build.dependencies = layers
        .map(|layer| DependencyStep { files: layer.files.clone(), commands: all(&layer.steps) })
        .collect();
    build.commands = all(&facts.steps);
    let installs = |step: &Step| step.kind == Kind::Install;
    let early = facts.layers.iter().flat_map(|layer| lines(&layer.steps, &installs)).collect();
    let told = [
        (What::InstallCommand, early, Fixed::SeesItsFiles),
        (What::InstallCommand, lines(&facts.steps, &installs), Fixed::NeedsTheSources),
        (What::BuildCommand, lines(&facts.steps, &|step| !installs(step)), Fixed::WhatIsLeft),
    ];
    for (what, lines, rule) in told.into_iter().filter(|(_, lines, _)| !lines.is_empty()) {
        let lines: Vec<String> = lines;
        facts.decisions.push(Decision::new(what, lines.join("; "), rule, []));
    }
}

fn needs(family: Family, facts: &mut Facts, spec: &mut UniversalBuild) {
    let is_alpine = matches!(&spec.build.base, Base::Image(name) if name.contains("/alpine:"));
    // Alpine's names are those of Wolfi.
    let has_apk = family == Family::Wolfi || is_alpine;
    let left_out = |names: Vec<&str>| {
        let decision = Decision::new(What::Packages, "", Fixed::NamesOfDebian, []);
        decision.not(names.join(", "), None, Fixed::PackagesOfDebian)
    };
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for need in &facts.needs {
        match need {
            Need::Packages { in_wolfi: false, build, run } if has_apk => {
                let names = run.iter().chain(build).map(String::as_str);
                facts.decisions.push(left_out(names.collect()));
            }
            Need::Packages { build, run, .. } => {
                let filled = |name: &String| fill(name, &facts.vars);
                spec.build.packages.extend(build.iter().map(filled));
                spec.runtime.packages.extend(run.iter().map(filled));
            }
            Need::Library(Library { debian: [build, run], wolfi: None, .. }, _) if has_apk => {
                facts.decisions.push(left_out([*run, *build].concat()));
            }
            Need::Library(library, place) => {
                let [build, run] = library.wolfi.filter(|_| has_apk).unwrap_or(library.debian);
                if build.is_empty() && run.is_empty() {
                    continue;
                }
                spec.build.packages.extend(owned(build));
                spec.runtime.packages.extend(owned(run));
                let names = [build, run].concat().join(" ");
                let rule = Rule::DependencyOn(library.name.to_owned());
                let decision = Decision::new(What::Packages, names, rule, [place.clone()]);
                facts.decisions.push(decision);
            }
            Need::Compiler => {
                let names: &[&str] = match family {
                    Family::Wolfi => &["build-base", "python3"],
                    _ => &["g++", "make", "python3"],
                };
                spec.build.packages.extend(owned(names));
            }
            Need::Tools(language, version) => {
                let (names, decision) = tools(family, language, *version);
                spec.build.packages.extend(names);
                facts.decisions.extend(decision);
            }
        }
    }
}

/// Packages of the build stage with the tools of a language, for a stage that starts from another language's image.
fn tools(family: Family, language: &Language, asked: Version) -> (Vec<String>, Option<Decision>) {
    // Official images are made from Debian.
    let (family, stage) = match family {
        Family::Wolfi => (family, &language.images.wolfi.build),
        _ => (Family::Debian, &language.images.debian.build),
    };
    let (used, decision) = language.nearest(family, asked);
    // Elsewhere a step fetches the one that is wanted.
    let decision = decision.filter(|_| family == Family::Wolfi);
    let vars = language.versions(used).into();
    (stage.packages.iter().map(|name| fill(name, &vars)).collect(), decision)
}

/// A path of the build: absolute, or below the folder where the context is.
fn in_build(path: &str) -> String {
    match path.strip_prefix('/') {
        Some(_) => path.to_owned(),
        None if path == "." => BUILD_DIR.to_owned(),
        None => format!("{BUILD_DIR}/{path}"),
    }
}

fn artifact(language: &Language, take: &Take) -> Artifact {
    let to = match take.to.strip_prefix('/') {
        Some(_) => take.to.clone(),
        None => language.in_home(&take.to),
    };
    Artifact { from: in_build(&literal(&take.from)), to }
}

// Files for a browser.
//
// Caddy serves them: an official image of 20 MB that needs no configuration to serve a folder and ten lines to let one
// page answer for all paths, runs as any user, reads its port from `PORT`, and is a package of Debian too.
// nginx needs a writable `/var/cache` and a rewritten main configuration to run without root.

/// The image of the file server.
const CADDY: &str = "caddy:2-alpine";
/// Where the files are in the image.
const ROOT: &str = "/srv";
/// The port of the file server unless `PORT` says otherwise.
const FILES_PORT: u16 = 8080;
/// Where the image has the settings of Caddy.
const SETTINGS: &str = "/etc/caddy/Caddyfile";

fn serve(family: Family, files: &Files, spec: &mut UniversalBuild, decisions: &mut Vec<Decision>) {
    decisions.push(Decision::new(
        What::Artifacts,
        &*files.folder,
        files.rule.clone(),
        files.place.clone(),
    ));
    let UniversalBuild { build, runtime, .. } = spec;
    if family == Family::Wolfi {
        decisions.push(Decision::new(What::Base, CADDY, Fixed::NotPackaged, []));
    }
    let (base, packages, user) = match family {
        Family::Official | Family::Wolfi => (reference(CADDY), Vec::new(), NOBODY),
        Family::Debian => (reference(DEBIAN), vec!["caddy".to_owned()], NOBODY),
    };
    *runtime = Runtime {
        base,
        packages,
        copy: vec![Artifact { from: in_build(&literal(&files.folder)), to: ROOT.to_owned() }],
        ports: vec![FILES_PORT],
        health: Some(format!("{}/", files.base)),
        user: Some(user.to_owned()),
        workdir: Some(ROOT.to_owned()),
        ..Runtime::default()
    };
    let mut env = vec![("PORT", FILES_PORT.to_string())];
    if files.is_as_is {
        build.base = runtime.base.clone();
        build.packages.clear();
    }
    if files.is_as_is && files.missing == Missing::NotFound {
        let line = format!("exec caddy file-server --root {ROOT} --listen :$PORT");
        runtime.command = vec!["/bin/sh".to_owned(), "-c".to_owned(), line];
    } else {
        let content = settings(files).into_bytes();
        runtime.files = vec![File { path: SETTINGS.to_owned(), content, mode: FILE_MODE }];
        let command = ["caddy", "run", "--config", SETTINGS, "--adapter", "caddyfile"];
        runtime.command = command.map(str::to_owned).to_vec();
        // Caddy saves its configuration where it can, and warns where it can't; Debian's 2.6 has no `persist_config`.
        env.push(("XDG_CONFIG_HOME", "/tmp".to_owned()));
    }
    runtime.env.extend(env.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let command = runtime.command.join(" ");
    decisions.push(Decision::new(What::StartCommand, command, Fixed::FilesByCaddy, []));
    let port = FILES_PORT.to_string();
    decisions.push(Decision::new(What::Port, port, Fixed::FileServerPort, []));
}

/// The settings of Caddy.
fn settings(files: &Files) -> String {
    let (last, errors) = match files.missing {
        Missing::Index => (" /index.html", ""),
        Missing::NotFound => ("", "handle_errors {\n\trewrite * /404.html\n\tfile_server\n}\n"),
    };
    let base = match files.base.as_str() {
        "" => String::new(),
        base => format!("redir / {base}/\nuri strip_prefix {base}\n"),
    };
    format!(
        "{{\n\tadmin off\n\tauto_https off\n}}\n:{{$PORT:{FILES_PORT}}}\nroot * {ROOT}\nencode gzip\n\
         {base}try_files {{path}} {{path}}.html {{path}}/index.html{last}\nfile_server\n{errors}"
    )
}
