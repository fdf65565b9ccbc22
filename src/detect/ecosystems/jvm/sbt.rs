//! sbt: Play, sbt-native-packager, sbt-assembly, and projects with none of them.

use super::{
    framework::Names,
    java::{self, SBT, Wanted},
    launch::{self, Layout, Program},
    script::Script,
    sources::Sources,
};
use crate::detect::prelude::*;

/// The newest Java that versions of sbt before one run on.
const LIMITS: &[Limit] = &[("1.0", 8, 0), ("1.5", 11, 0), ("1.9", 17, 0)];

/// All services that sbt builds.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    let builds = project.tree.outermost(|dir, entries| {
        let is_root = entries.has("build.sbt") && last_part(dir) != Some("project");
        is_root.then(|| services(&Sbt::read(Folder::new(project, dir))))
    });
    builds.into_iter().flatten().collect()
}

fn services(build: &Sbt<'_>) -> Vec<Facts> {
    let modules = build.modules();
    // A root that only holds the others together.
    let is_holder = modules.len() > 1
        && !has_sources(build.root)
        && build.root.entries().is_none_or(|entries| entries.ending(".scala").next().is_none());
    let deployed = modules.iter().filter(|module| !is_holder || module.dir != build.root.dir);
    let services = deployed.filter_map(|module| build.service(module));
    launch::deployed(services, || modules.first().map(|module| build.library(module)))
}

fn has_sources(at: Folder<'_>) -> bool {
    ["src", "app"].iter().any(|name| at.has_dir(name))
}

/// One project of a build: the name of its `val`, and its folder.
struct Module {
    name: Option<String>,
    dir: String,
    script: Script,
}

/// A build.
struct Sbt<'a> {
    root: Folder<'a>,
    script: Script,
    /// Paths of the scripts and sources in `project`.
    files: Vec<String>,
    /// The scripts in `project`, as one.
    plugins: Script,
    /// Libraries and plugins that are named for all projects.
    names: Vec<(String, Evidence)>,
}

impl<'a> Sbt<'a> {
    fn read(root: Folder<'a>) -> Self {
        let folder = root.path("project");
        let entries = root.project.tree.entries(&folder);
        let all = entries.into_iter().flat_map(|entries| &entries.files);
        let all = all.filter(|name| name.ends_with(".sbt") || name.ends_with(".scala"));
        let files: Vec<String> = all.map(|name| join(&folder, name)).collect();
        let of = |extension| {
            let paths = files.iter().filter(|path| path.ends_with(extension));
            Script::all(root.project, paths.cloned())
        };
        let (sources, plugins) = (of(".scala"), of(".sbt"));
        let script = Script::all(root.project, [root.path("build.sbt")]);
        let names = [&script, &sources, &plugins].map(Script::libraries).concat();
        Self { root, script, files, plugins, names }
    }

    /// `lazy val api = project.in(file("api"))`, `(project in file("api"))`; without any the root alone.
    fn modules(&self) -> Vec<Module> {
        let (root, lines) = (self.root, &self.script.lines);
        let mut found: Vec<Module> = Vec::new();
        for (at, (line, seen)) in lines.iter().enumerate() {
            // `lazy val shop =` may have its project on the next line.
            let next = lines.get(at + 1).filter(|_| line.ends_with('='));
            let whole = next.map_or_else(|| line.clone(), |(next, _)| format!("{line} {next}"));
            if let Some((name, folder)) = declared(&whole)
                && let Some(dir) = resolve(root.dir, folder.unwrap_or(name))
                && root.project.tree.has_dir(&dir)
            {
                found.push(Module { name: Some(name.to_owned()), dir, script: Script::default() });
            }
            if let Some(module) = found.last_mut() {
                module.script.lines.push((line.clone(), seen.clone()));
            }
        }
        for module in found.iter_mut().filter(|module| module.dir != root.dir) {
            let own = Script::all(root.project, [join(&module.dir, "build.sbt")]);
            module.script.lines.extend(own.lines);
        }
        let has_root = found.iter().any(|module| module.dir == root.dir);
        if !has_root && (found.is_empty() || has_sources(root)) {
            let script = self.script.clone();
            found.insert(0, Module { name: None, dir: root.dir.to_owned(), script });
        }
        found
    }

    fn program<'m>(&'m self, module: &'m Module) -> Program<'m> {
        let at = Folder::new(self.root.project, &module.dir);
        let names = [&module.script.libraries()[..], &self.names].concat();
        Program::new(at, Names(names), Sources::read(at))
    }

    fn facts(&self, module: &Module, program: &Program<'_>) -> Facts {
        let root = self.root;
        let wanted = Wanted { fallback: self.fallback(), ..Wanted::default() };
        let why = (Rule::Manifest("build.sbt"), Some(root.place("build.sbt", None)));
        let language = program.sources.language("scala");
        let (mut facts, _) = java::facts(program.at, SBT, language, why, wanted);
        facts.name = self.name(module).unwrap_or_default();
        facts.library(&TOOLS, root.place("build.sbt", None));
        let mut files = root.those(&[
            "build.sbt", "project/build.properties", "version.sbt", ".jvmopts", ".sbtopts",
        ]);
        files.extend_from_slice(&self.files);
        // The launcher reads `project/build.properties` and fetches the sbt that is named there.
        let launcher = format!(
            "curl -fsSL https://github.com/sbt/sbt/releases/download/v{LAUNCHER}/sbt-{LAUNCHER}.tgz | tar -xz -C /usr/local --strip-components=1"
        );
        let launcher = Step::new(Kind::Setup, ".", launcher);
        facts.install(files, [launcher, launch::ahead(root.dir, "sbt -batch update")]);
        facts
    }

    /// Old versions of Play and of Scala do not run on new Java.
    fn fallback(&self) -> (u32, Fixed) {
        let properties = self.root.properties("project/build.properties");
        let sbt = properties.as_ref().and_then(|file| Version::parse(file.get("sbt.version")?.0));
        match sbt.and_then(|sbt| newest_for(LIMITS, sbt)).map(|java| java.major) {
            Some(8) => (8, Fixed::JavaOfOldSbt),
            Some(java) => (java, Fixed::JavaOfSbt),
            None => Wanted::default().fallback,
        }
    }

    /// `name := "shop"`, as files are named: lower case, anything odd a dash.
    fn name(&self, module: &Module) -> Option<String> {
        let of_root = || (module.dir == self.root.dir).then(|| self.script.assigned("name"))?;
        let name = module.script.assigned("name").or_else(of_root);
        let name = name.or_else(|| module.name.clone())?;
        Some(name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
    }

    fn setting(&self, module: &Module, name: &str) -> Option<String> {
        module.script.assigned(name).or_else(|| self.script.assigned(name))
    }

    fn task(&self, module: &Module, task: &str) -> String {
        match module.name.as_deref().filter(|_| module.dir != self.root.dir) {
            Some(name) => format!("{name}/{task}"),
            None => task.to_owned(),
        }
    }

    fn library(&self, module: &Module) -> Facts {
        let facts = self.facts(module, &self.program(module));
        let place = self.root.place("build.sbt", None);
        let why = Fixed::NothingStarted;
        launch::library(facts, self.root.dir, "sbt -batch package", why, Some(place))
    }

    fn service(&self, module: &Module) -> Option<Facts> {
        let mut program = self.program(module);
        let has_any = |names: &[&str]| {
            module.script.mentions(names) || module.name.is_none() && self.script.mentions(names)
        };
        let is_play = self.plugins.mentions(&["org.playframework", "com.typesafe.play"])
            && (has_any(&["PlayScala", "PlayJava", "PlayService"])
                || program.at.has("conf/application.conf"));
        let browsers = ["ScalaJSPlugin", "ScalaJSBundlerPlugin"];
        let is_for_browsers = module.script.mentions(&browsers);
        let has_main = program.sources.main().is_some();
        if !is_play && !has_main || is_for_browsers && module.dir != self.root.dir {
            return None;
        }
        let mut facts = self.facts(module, &program);
        if is_play {
            program.framework = program.names.only(|name| name.contains("sbt-plugin")).framework();
        } else if let Some(own) = Names(module.script.libraries()).framework() {
            // What the module itself names tells it from its neighbours.
            program.framework = Some(own);
        }
        let task = |task: &str| format!("sbt -batch {}", self.task(module, task));
        let packs = has_any(&["JavaAppPackaging", "JavaServerAppPackaging", "PackPlugin"]);
        let layout = if is_play || packs {
            facts.build(self.root.dir, task("stage"));
            let stage = quote(&program.at.path("target/universal/stage"));
            facts.build(".", format!("mkdir -p {OUT} && cp -r {stage} {OUT}/app"));
            facts.take(&format!("{OUT}/app"), "");
            // The script is called like the project, in lower case.
            let given = self.setting(module, "executableScriptName").or_else(|| self.name(module));
            let folder = || last_part(&module.dir).unwrap_or("build").to_owned();
            Layout::Script(given.unwrap_or_else(folder))
        } else if self.plugins.mentions(&["sbt-assembly"]) {
            facts.build(self.root.dir, task("assembly"));
            let target = quote(&program.at.path("target"));
            launch::first_jar(
                &mut facts,
                ".",
                &format!(
                    "ls {target}/scala-*/*.jar {target}/*.jar 2>/dev/null | grep -e assembly -e fat -e '\\.jar'"
                ),
            )
        } else {
            let own = || Some(program.sources.main()?.class.clone());
            let class = self.setting(module, "mainClass").or_else(own)?;
            let export = self.task(module, "Runtime/fullClasspathAsJars");
            // Without a plugin that packs, sbt says which jars the program needs.
            facts.build(self.root.dir, format!(
                "mkdir -p {OUT}/lib && sbt -batch -error 'export {export}' | tail -n 1 | tr ':' '\\n' | xargs -I{{}} cp {{}} {OUT}/lib/"
            ));
            facts.program("lib");
            Layout::Class(&["lib/*"], vec![class])
        };
        program.launch(&mut facts, &layout);
        if is_play {
            play(&mut facts, &layout);
        }
        Some(facts)
    }
}

/// Name and folder of the project that a line declares.
fn declared(line: &str) -> Option<(&str, Option<&str>)> {
    let rest = line.strip_prefix("lazy ").unwrap_or(line).strip_prefix("val ")?;
    let (name, value) = rest.split_once('=')?;
    let value = value.trim();
    let is_project = ["project", "(project"].iter().any(|form| value.starts_with(form))
        || value.contains("crossProject(");
    let name = name.split(':').next().unwrap_or(name).trim().trim_matches('`');
    let folder = value.split_once("file(\"").and_then(|(_, rest)| rest.split_once('"'));
    is_project.then_some((name, folder.map(|(folder, _)| folder)))
}

/// Play writes a file with its process id into its folder, which is not writable, and wants a secret.
fn play(facts: &mut Facts, script: &Layout) {
    let port = format!("-Dhttp.port={}", facts.port_number().unwrap_or(9000));
    let options = ["-Dplay.server.pidfile.path=/dev/null", "-Dhttp.address=0.0.0.0", &port];
    let command = script.command(facts.language).into_iter();
    facts.env.remove("PLAY_HTTP_PORT");
    facts.start(command.chain(options.map(str::to_owned)), Fixed::PlayScript, []);
}

/// The launcher, and the scripts of packed programs, are scripts of bash.
static TOOLS: Library = library("sbt", &["ca-certificates", "curl"], &[])
    .wolfi(&["bash", "ca-certificates", "curl"], &["bash"]);

/// The launcher that is fetched; it runs any sbt from 0.13 on.
const LAUNCHER: &str = "1.10.7";
