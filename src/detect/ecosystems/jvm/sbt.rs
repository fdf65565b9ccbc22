//! sbt: Play, sbt-native-packager, sbt-assembly, and projects with none of them.

use super::{
    framework::{self, Facts},
    java::{self, Wanted},
    launch::{self, Layout},
    script::Script,
    sources::Sources,
};
use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, draft, last_part, quote, resolve, within},
        pins::stated,
    },
    model::join,
};

/// All services that sbt builds.
pub(super) fn find(project: &Project<'_>) -> Vec<Service> {
    let roots = project
        .tree
        .dirs()
        .filter(|(dir, entries)| entries.has("build.sbt") && last_part(dir) != Some("project"));
    let roots: Vec<String> = roots.map(|(dir, _)| dir.to_owned()).collect();
    let is_nested = |dir: &str| {
        roots
            .iter()
            .any(|root| root != dir && (root == "." || dir.starts_with(&format!("{root}/"))))
    };
    roots.iter().filter(|dir| !is_nested(dir)).flat_map(|dir| build(project, dir)).collect()
}

/// One project of a build: the name of its `val`, and its folder.
struct Module {
    name: Option<String>,
    dir: String,
    script: Script,
}

fn build(project: &Project<'_>, root: &str) -> Vec<Service> {
    let Some(text) = project.tree.read(&join(root, "build.sbt")) else { return Vec::new() };
    let script = Script::read(&text);
    let plugins = project.tree.entries(&join(root, "project")).map(|entries| {
        let files = entries.ending(".sbt").map(|name| join(&join(root, "project"), name));
        let texts = files.filter_map(|path| project.tree.read(&path));
        texts.map(|text| Script::read(&text)).fold(Script::default(), |all, next| all.and(&next))
    });
    let build = Sbt { project, root, script: &script, plugins: plugins.unwrap_or_default() };
    let modules = modules(project, root, &script);
    let has_own =
        |dir: &str| ["src", "app"].iter().any(|name| project.tree.has_dir(&join(dir, name)));
    // A root that only holds the others together.
    let is_holder = |module: &&Module| {
        module.dir == root
            && modules.len() > 1
            && !has_own(root)
            && project
                .tree
                .entries(root)
                .is_none_or(|files| files.ending(".scala").next().is_none())
    };
    let deployed = modules.iter().filter(|module| !is_holder(module));
    let mut services: Vec<Service> = deployed.filter_map(|module| build.service(module)).collect();
    if services.iter().any(|service| service.weight >= Weight::Framework) {
        services.retain(|service| service.weight >= Weight::Framework);
    }
    if services.is_empty() {
        services.extend(modules.first().map(|module| build.library(module)));
    }
    services
}

/// `lazy val api = project.in(file("api"))`, `(project in file("api"))`; without any the root alone.
fn modules(project: &Project<'_>, root: &str, script: &Script) -> Vec<Module> {
    let mut found: Vec<Module> = Vec::new();
    for (at, (line, seen)) in script.lines.iter().enumerate() {
        // `lazy val shop =` may have its project on the next line.
        let next = script.lines.get(at + 1).filter(|_| line.trim_end().ends_with('='));
        let whole =
            next.map_or_else(|| line.clone(), |(next, _)| format!("{line} {}", next.trim()));
        let declared = whole
            .strip_prefix("lazy val ")
            .or_else(|| whole.strip_prefix("val "))
            .and_then(|rest| {
                let (name, value) = rest.split_once('=')?;
                let value = value.trim();
                let is_project = value.starts_with("project")
                    || value.starts_with("(project")
                    || value.contains("crossProject(");
                is_project.then(|| {
                    (
                        name.split(':').next().unwrap_or(name).trim().trim_matches('`').to_owned(),
                        value.to_owned(),
                    )
                })
            });
        if let Some((name, value)) = declared {
            let folder = value
                .split_once("file(\"")
                .and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned()));
            let dir = resolve(root, folder.as_deref().unwrap_or(&name));
            if let Some(dir) = dir.filter(|dir| project.tree.has_dir(dir)) {
                found.push(Module { name: Some(name), dir, script: Script::default() });
            }
        }
        if let Some(module) = found.last_mut() {
            module.script.lines.push((line.clone(), seen.clone()));
        }
    }
    for module in &mut found {
        if let Some(text) =
            project.tree.read(&join(&module.dir, "build.sbt")).filter(|_| module.dir != root)
        {
            module.script.lines.extend(Script::read(&text).lines);
        }
    }
    if !found.iter().any(|module| module.dir == root) {
        let has_sources = ["src", "app"].iter().any(|name| project.tree.has_dir(&join(root, name)));
        if found.is_empty() || has_sources {
            found.insert(0, Module { name: None, dir: root.to_owned(), script: script.clone() });
        }
    }
    found
}

struct Sbt<'a> {
    project: &'a Project<'a>,
    root: &'a str,
    script: &'a Script,
    plugins: Script,
}

impl Sbt<'_> {
    fn facts(&self, module: &Module) -> Facts {
        let folder = join(self.root, "project");
        let entries = self.project.tree.entries(&folder);
        let names = entries.into_iter().flat_map(|entries| entries.ending(".scala"));
        let texts = names.filter_map(|name| self.project.tree.read(&join(&folder, name)));
        let shared: Vec<Script> = texts.map(|text| Script::read(&text)).collect();
        let all = [&module.script, self.script].into_iter().chain(&shared).chain([&self.plugins]);
        Self::dependencies(all)
    }

    fn dependencies<'s>(scripts: impl IntoIterator<Item = &'s Script>) -> Facts {
        let mut names = Vec::new();
        for script in scripts {
            for (line, seen) in &script.lines {
                let line = line.replace("%%%", "%").replace("%%", "%");
                let parts: Vec<&str> = line.split('%').collect();
                for pair in parts.windows(2) {
                    let text = |part: &str, last: bool| {
                        let mut texts = part.split('"').collect::<Vec<_>>();
                        if texts.len() < 3 {
                            return None;
                        }
                        if last {
                            texts.reverse();
                        }
                        Some(texts[1].to_owned())
                    };
                    if let (Some(group), Some(artifact)) =
                        (text(pair[0], true), text(pair[1], false))
                    {
                        names.push((format!("{group}:{artifact}"), seen.clone()));
                    }
                }
            }
        }
        Facts { names }
    }

    fn base(&self, module: &Module, sources: &Sources) -> (Service, u32) {
        let mut service = draft(
            &module.dir,
            if sources.language() == "java" && !sources.files.is_empty() {
                "java"
            } else {
                "scala"
            },
            "sbt",
        );
        service.weight = Weight::Starts;
        let build = join(self.root, "build.sbt");
        let language = service.spec.metadata.language.clone().unwrap_or_default();
        let first = sources.files.first().map(|file| Evidence::file(&file.path));
        service.decide("language", language, "its sources", first);
        service.decide("build system", "sbt", "a build.sbt", [Evidence::file(&build)]);
        service.name(self.name(module).unwrap_or_default());
        let wanted = Wanted {
            build: stated(self.project, &module.dir).into_iter().collect(),
            fallback: self.fallback(),
            least: 8,
        };
        let (version, decision) = java::version(self.project, &module.dir, wanted);
        service.decisions.push(decision);
        service.spec.build.base = java::jdk(self.project, &mut service, version);
        service.build_packages(["curl", "ca-certificates"]);
        java::runtime(self.project, &mut service, version);
        service.cache(["/root/.sbt", "/root/.ivy2", "/root/.cache/coursier"]);
        let files = [
            "build.sbt", "project/build.properties", "project/plugins.sbt",
            "project/Dependencies.scala", "version.sbt", ".jvmopts", ".sbtopts",
        ];
        let mut files: Vec<String> = files.iter().map(|name| join(self.root, name)).collect();
        if let Some(entries) = self.project.tree.entries(&join(self.root, "project")) {
            let takes = |name: &&String| name.ends_with(".sbt") || name.ends_with(".scala");
            files.extend(
                entries
                    .files
                    .iter()
                    .filter(takes)
                    .map(|name| join(self.root, &format!("project/{name}"))),
            );
        }
        files.retain(|file| self.project.tree.has(file));
        // The launcher reads `project/build.properties` and fetches the sbt that is named there.
        let install = format!(
            "curl -fsSL https://github.com/sbt/sbt/releases/download/v{LAUNCHER}/sbt-{LAUNCHER}.tgz | tar -xz -C /usr/local --strip-components=1"
        );
        let update = within(self.root, "sbt -batch update");
        service.dependencies(files, vec![install, update]);
        (service, version)
    }

    /// Old versions of Play and of Scala do not run on new Java.
    fn fallback(&self) -> (u32, &'static str) {
        let properties = self.project.tree.properties(&join(self.root, "project/build.properties"));
        let sbt = properties
            .as_ref()
            .and_then(|file| file.get("sbt.version"))
            .map(|(version, _)| version.to_owned());
        let number = |text: &str| {
            text.split('.').filter_map(|part| part.parse::<u32>().ok()).collect::<Vec<_>>()
        };
        match sbt.as_deref().map(number).as_deref() {
            Some([0, ..]) => (8, "the newest that sbt 0.13 runs on"),
            Some([1, minor, ..]) if *minor < 5 => (11, "the newest that this sbt runs on"),
            Some([1, minor, ..]) if *minor < 9 => (17, "the newest that this sbt runs on"),
            _ => (java::DEFAULT, "default of the table"),
        }
    }

    /// `name := "shop"`, as files are named: lower case, anything odd a dash.
    fn name(&self, module: &Module) -> Option<String> {
        let of = |script: &Script| {
            script.lines.iter().find_map(|(line, _)| {
                let at = line.find("name :=").or_else(|| line.find("name:="))?;
                (at == 0 || !line[..at].ends_with(|c: char| c.is_alphanumeric())).then_some(())?;
                let (_, value) = line[at..].split_once('"')?;
                Some(value.trim_start_matches('"').split_once('"')?.0.to_owned())
            })
        };
        let name = of(&module.script)
            .or_else(|| (module.dir == self.root).then(|| of(self.script))?)
            .or_else(|| module.name.clone())?;
        Some(name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
    }

    fn task(&self, module: &Module, task: &str) -> String {
        match module.name.as_deref().filter(|_| module.dir != self.root) {
            Some(name) => format!("{name}/{task}"),
            None => task.to_owned(),
        }
    }

    fn library(&self, module: &Module) -> Service {
        let sources = Sources::read(self.project, &module.dir);
        let (mut service, _) = self.base(module, &sources);
        service.weight = Weight::Manifest;
        service.spec.build.commands = vec![within(self.root, "sbt -batch package")];
        service.decide(
            "start command",
            "",
            "nothing here can be started: a library",
            [Evidence::file(join(self.root, "build.sbt"))],
        );
        service
    }

    fn service(&self, module: &Module) -> Option<Service> {
        let sources = Sources::read(self.project, &module.dir);
        let facts = self.facts(module);
        let is_play = self
            .plugins
            .mention("org.playframework")
            .or_else(|| self.plugins.mention("com.typesafe.play"));
        let enables = |name: &str| {
            module
                .script
                .mention(name)
                .or_else(|| self.script.mention(name).filter(|_| module.name.is_none()))
        };
        let is_play = is_play.filter(|_| {
            enables("PlayScala")
                .or_else(|| enables("PlayJava"))
                .or_else(|| enables("PlayService"))
                .is_some()
                || self.project.tree.has(&join(&module.dir, "conf/application.conf"))
        });
        let packs = ["JavaAppPackaging", "JavaServerAppPackaging", "PackPlugin"]
            .iter()
            .find_map(|name| enables(name));
        let assembles = self.plugins.mention("sbt-assembly");
        let has_main = sources.main().is_some();
        let is_for_browsers = ["ScalaJSPlugin", "ScalaJSBundlerPlugin"]
            .iter()
            .any(|name| module.script.mention(name).is_some());
        if is_play.is_none() && !has_main || is_for_browsers && module.dir != self.root {
            return None;
        }
        let (mut service, _) = self.base(module, &sources);
        let framework = match is_play {
            Some(_) => framework::find(&Facts {
                names: facts
                    .names
                    .iter()
                    .filter(|(name, _)| name.contains("sbt-plugin"))
                    .cloned()
                    .collect(),
            }),
            // What the module itself names tells it from its neighbours.
            None => framework::find(&Self::dependencies([&module.script]))
                .or_else(|| framework::find(&facts)),
        };
        if let Some((framework, evidence)) = &framework {
            service.framework(framework.id, "a dependency or plugin", [evidence.clone()]);
        }
        let mut commands = Vec::new();
        let layout = if is_play.is_some() || packs.is_some() {
            commands.push(within(self.root, &format!("sbt -batch {}", self.task(module, "stage"))));
            let stage = join(&module.dir, "target/universal/stage");
            // The script is called like the project, in lower case.
            commands.push(format!("mkdir -p {OUT_DIR} && cp -r {} {OUT_DIR}/app", quote(&stage)));
            service.copy(&format!("{OUT_DIR}/app"), APP_DIR);
            let fallback = last_part(&module.dir).unwrap_or("build").to_owned();
            let name = self
                .setting(module, "executableScriptName")
                .or_else(|| self.name(module))
                .unwrap_or(fallback);
            Layout::Script(name)
        } else if assembles.is_some() {
            commands
                .push(within(self.root, &format!("sbt -batch {}", self.task(module, "assembly"))));
            let folder = join(&module.dir, "target");
            commands.push(format!(
                "mkdir -p {OUT_DIR} && cp \"$(ls {0}/scala-*/*.jar {0}/*.jar 2>/dev/null | grep -e assembly -e fat -e '\\.jar' | head -n 1)\" {OUT_DIR}/app.jar",
                quote(&folder)
            ));
            service.copy(&format!("{OUT_DIR}/app.jar"), &format!("{APP_DIR}/app.jar"));
            Layout::Jar
        } else {
            let class = self
                .setting(module, "mainClass")
                .or_else(|| Some(sources.main()?.class.clone()))?;
            let export = self.task(module, "Runtime/fullClasspathAsJars");
            // Without a plugin that packs, sbt says which jars the program needs.
            commands.push(within(self.root, &format!(
                "mkdir -p {OUT_DIR}/lib && sbt -batch -error 'export {export}' | tail -n 1 | tr ':' '\\n' | xargs -I{{}} cp {{}} {OUT_DIR}/lib/"
            )));
            service.copy(&format!("{OUT_DIR}/lib"), &format!("{APP_DIR}/lib"));
            Layout::Libraries(class)
        };
        if is_play.is_some() || packs.is_some() || assembles.is_some() {
            service.weight = Weight::Framework;
        }
        service.decide(
            "build command",
            commands.join(" && "),
            "what the build's plugins offer",
            [Evidence::file(join(self.root, "build.sbt"))],
        );
        service.spec.build.commands = commands;
        let is_script = matches!(layout, Layout::Script(_));
        launch::launch(
            self.project,
            &mut service,
            &launch::Launch {
                layout,
                dir: &module.dir,
                framework: framework.map(|(framework, _)| framework),
                facts: &facts,
                sources: &sources,
            },
        );
        if is_play.is_some() && is_script {
            play(&mut service);
        }
        Some(service)
    }

    fn setting(&self, module: &Module, name: &str) -> Option<String> {
        [&module.script, self.script].into_iter().find_map(|script| {
            let (line, _) =
                script.lines.iter().find(|(line, _)| line.contains(name) && line.contains(":="))?;
            let (_, value) = line[line.find(name)?..].split_once('"')?;
            Some(value.split_once('"')?.0.to_owned())
        })
    }
}

/// Play writes a file with its process id into its folder, which is not writable, and wants a secret.
fn play(service: &mut Service) {
    let script = service.spec.runtime.command.first().cloned().unwrap_or_default();
    let port = service.spec.runtime.ports.first().copied().unwrap_or(9000);
    let options = ["-Dplay.server.pidfile.path=/dev/null", "-Dhttp.address=0.0.0.0"];
    let port = format!("-Dhttp.port={port}");
    service.spec.runtime.env.remove("PLAY_HTTP_PORT");
    let words: Vec<&str> =
        [script.as_str()].into_iter().chain(options).chain([port.as_str()]).collect();
    service.start(
        words,
        "Play's script; APPLICATION_SECRET (play.http.secret.key) is to be set by who runs it",
        [],
    );
}

/// The launcher that is fetched; it runs any sbt from 0.13 on.
const LAUNCHER: &str = "1.10.7";
