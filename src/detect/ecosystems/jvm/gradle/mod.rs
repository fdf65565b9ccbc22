//! Gradle: one service for each project that applies a plugin which makes something to run.

use std::collections::BTreeSet;

use self::{
    build::{Build, LOGIC, SCRIPTS, SETTINGS},
    version::boot_version,
};
use super::{
    framework::{self, Facts},
    java,
    launch::{self, Layout},
    script::Script,
    sources::Sources,
};
use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::draft::{APP_DIR, OUT_DIR, draft, last_part, official, quote, within},
    images::Family,
    model::join,
};

mod build;
mod version;

/// All services that Gradle builds.
pub(super) fn find(project: &Project<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for root in build::roots(project) {
        let build = Build::read(project, &root);
        services.extend(build.services());
    }
    services
}

struct Module<'a> {
    build: &'a Build<'a>,
    /// Project path without its first colon.
    path: String,
    dir: String,
    script: Script,
    plugins: Vec<(String, Evidence)>,
    facts: Facts,
    sources: Sources,
    /// Major and minor version of Spring Boot's plugin.
    boot: Option<(u32, u32)>,
}

impl<'a> Module<'a> {
    fn read(build: &'a Build<'a>, path: &str, dir: &str) -> Option<Self> {
        let top = build.script(&build.root).unwrap_or_default();
        let shared = top.block("allprojects");
        let own = match dir == build.root {
            true => top.without(&["subprojects", "buildscript"]),
            false => build
                .script(dir)
                .unwrap_or_default()
                .without(&["buildscript"])
                .and(&shared)
                .and(&top.block("subprojects")),
        };
        let mut plugins = own.plugins(&build.catalog);
        let mut script = own;
        // What a convention plugin says counts as the module's own.
        let mut at = 0;
        while let Some((id, _)) = plugins.get(at).cloned() {
            if let Some(convention) = build.conventions.get(&id).filter(|_| plugins.len() < 100) {
                plugins.extend(convention.plugins(&build.catalog));
                script = script.and(convention);
            }
            at += 1;
        }
        let mut names = script.dependencies(&build.catalog);
        let mut seen = BTreeSet::from([path.to_owned()]);
        let mut queue = script.projects();
        while let Some(next) = queue.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            let Some(script) = build.modules.get(&next).and_then(|dir| build.script(dir)) else {
                continue;
            };
            names.extend(script.dependencies(&build.catalog));
            queue.extend(script.projects());
        }
        names.extend(plugins.iter().cloned());
        if script.lines.is_empty() && dir != build.root {
            return None;
        }
        let sources = Sources::read(build.project, dir);
        let boot = boot_version(build, &script, &top);
        Some(Self {
            boot,
            build,
            path: path.to_owned(),
            dir: dir.to_owned(),
            script,
            plugins,
            facts: Facts { names },
            sources,
        })
    }

    fn has(&self, part: &str) -> bool {
        self.plugins.iter().any(|(id, _)| id == part || part.ends_with('.') && id.starts_with(part))
    }

    fn is_alone(&self) -> bool {
        self.build.modules.len() == 1
    }

    /// The language of most sources; without any that of the plugins.
    fn language(&self) -> &'static str {
        match self.sources.files.is_empty() {
            true if self.has("org.jetbrains.kotlin.") => "kotlin",
            true if self.has("scala") => "scala",
            _ => self.sources.language(),
        }
    }

    /// A task of this project.
    fn task(&self, name: &str) -> String {
        match self.path.as_str() {
            "" if self.is_alone() => name.to_owned(),
            "" => format!(":{name}"),
            path => format!(":{path}:{name}"),
        }
    }

    /// The project's name: the last part of its path, for the root what the settings say or the folder's name.
    fn name(&self) -> String {
        if let Some(last) = self.path.rsplit(':').next().filter(|part| !part.is_empty()) {
            return last.to_owned();
        }
        let given = self.build.settings.setting("rootProject.name").map(|(name, _)| name);
        // The context lies in `/build`.
        given.unwrap_or_else(|| last_part(&self.dir).unwrap_or("build").to_owned())
    }

    fn main_class(&self) -> Option<String> {
        let plain = |class: &String| {
            class.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '$'))
        };
        ["mainClass", "mainClassName", "Main-Class", "main"]
            .iter()
            .filter_map(|name| Some(self.script.setting(name)?.0))
            .find(plain)
            .or_else(|| Some(self.sources.main()?.class.clone()))
    }

    fn base(&self) -> (Service, u32) {
        let project = self.build.project;
        let mut service = draft(&self.dir, self.language(), "gradle");
        service.weight = Weight::Starts;
        let first = self.sources.files.first().map(|file| Evidence::file(&file.path));
        service.decide("language", self.language(), "its sources", first);
        let script = project
            .tree
            .first_of(&self.dir, SCRIPTS)
            .or_else(|| project.tree.first_of(&self.build.root, SETTINGS));
        service.decide("build system", "gradle", "its build script", script.map(Evidence::file));
        service.name(
            match self.path.is_empty() && last_part(&self.dir).is_none() && self.name() == "build" {
                true => String::new(),
                false => self.name(),
            },
        );
        let (version, decision) = self.version();
        service.decisions.push(decision);
        service.spec.build.base = match (project.bases, self.build.has_wrapper) {
            (Family::Official, true) => {
                service.cache(["/root/.gradle"]);
                official(&format!("eclipse-temurin:{version}-jdk"))
            }
            (Family::Official, false) => {
                let (tag, why, evidence) = self.image(version);
                service.decide("base", tag.clone(), why, evidence);
                service.cache(["/home/gradle/.gradle"]);
                official(&tag)
            }
            (Family::Wolfi | Family::Debian, has_wrapper) => {
                service.cache(["/root/.gradle"]);
                let base = java::jdk(project, &mut service, version);
                if !has_wrapper {
                    service.build_packages(["gradle"]);
                }
                base
            }
        };
        (service, version)
    }

    /// The image with Gradle in it, for projects without a whole wrapper.
    fn image(&self, java: u32) -> (String, String, Option<Evidence>) {
        if let Some((version, evidence)) = &self.build.wrapper {
            let tag = format!("gradle:{}-jdk{java}", version.major_minor());
            return (
                tag,
                "the wrapper's version; the wrapper itself is not whole".into(),
                Some(evidence.clone()),
            );
        }
        match self.old_configuration() {
            Some(seen) => (
                format!("gradle:6.9-jdk{}", java.min(11)),
                "`compile` is gone since Gradle 7".into(),
                Some(seen),
            ),
            None if self.boot.is_some_and(|boot| boot < (2, 5)) => (
                format!("gradle:6.9-jdk{}", java.min(11)),
                "the newest that this Spring Boot builds with".into(),
                None,
            ),
            None if self.boot.is_some_and(|boot| boot < (3, 0)) => (
                format!("gradle:7.6-jdk{}", java.min(17)),
                "the newest that this Spring Boot builds with".into(),
                None,
            ),
            None if java > 21 => {
                (format!("gradle:9-jdk{java}"), "no wrapper: the newest".into(), None)
            }
            None => (
                format!("gradle:8-jdk{java}"),
                "no wrapper: a default that most builds work with".into(),
                None,
            ),
        }
    }

    /// Where a configuration is used that Gradle 7 dropped.
    fn old_configuration(&self) -> Option<Evidence> {
        let old = ["compile '", "compile \"", "compile(", "compile group", "compile project"];
        let found = self
            .script
            .lines
            .iter()
            .find(|(line, _)| old.iter().any(|form| line.starts_with(form)));
        found.map(|(_, seen)| seen.clone())
    }

    fn library(&self) -> Service {
        let (mut service, version) = self.base();
        java::runtime(self.build.project, &mut service, version);
        service.weight = Weight::Manifest;
        service.spec.build.commands = vec![self.gradle_command(&self.task("assemble"))];
        let evidence = self.build.project.tree.first_of(&self.dir, SCRIPTS).map(Evidence::file);
        service.decide(
            "start command",
            "",
            "no plugin makes something to run: a library",
            evidence,
        );
        service
    }

    fn gradle_command(&self, arguments: &str) -> String {
        let gradle = self.build.gradle();
        // A checkout may have lost the permission.
        let prepare = if self.build.has_wrapper { "chmod +x gradlew && " } else { "" };
        within(&self.build.root, &format!("{prepare}{gradle} --no-daemon {arguments}"))
    }

    /// Whether a plugin starts what is built.
    fn applies(&self) -> bool {
        let plugins = ["application", "io.micronaut.application", "io.ktor.plugin"];
        plugins.iter().chain(RATPACK).any(|id| self.has(id))
    }

    /// Whether a plugin makes something to run.
    fn packs(&self) -> bool {
        let plugins = ["org.springframework.boot", "io.quarkus", "war", "org.gretty"];
        let mut all = plugins.iter().chain(SHADOW);
        self.applies() || all.any(|id| self.has(id)) && !self.sources.mains.is_empty()
    }

    fn service(&self) -> Option<Service> {
        let applies = self.applies();
        let elsewhere = [
            "org.jetbrains.kotlin.multiplatform",
            "org.jetbrains.kotlin.js",
            "org.jetbrains.compose",
        ];
        let is_elsewhere = elsewhere.iter().any(|id| self.has(id)) && !applies;
        if is_elsewhere || self.has("com.android.application") || self.has("com.android.library") {
            return None;
        }
        let has_main = !self.sources.mains.is_empty();
        let is_boot = self.has("org.springframework.boot") && (has_main || self.is_alone());
        let is_war = self.has("war") || self.has("org.gretty");
        let is_shadow = SHADOW.iter().any(|id| self.has(id));
        let libs = join(&self.dir, "build/libs");
        let (mut service, version) = self.base();
        let framework = framework::find(&self.facts);
        if let Some((framework, evidence)) = &framework {
            service.framework(framework.id, "a dependency or plugin", [evidence.clone()]);
        }
        java::runtime(self.build.project, &mut service, version);
        self.dependencies(&mut service);
        let mut commands = Vec::new();
        let mut strong = true;
        let layout = if self.has("io.quarkus") {
            commands.push(self.gradle_command(&format!("{} -x test", self.task("build"))));
            service.copy(&join(&self.dir, "build/quarkus-app"), APP_DIR);
            Layout::Quarkus
        } else if is_boot {
            let (task, extension) = if is_war { ("bootWar", "war") } else { ("bootJar", "jar") };
            commands.push(self.gradle_command(&self.task(task)));
            commands.push(launch::pick_jar(&libs, extension));
            service.copy(&format!("{OUT_DIR}/app.jar"), &format!("{APP_DIR}/app.jar"));
            Layout::Jar
        } else if is_war && !applies {
            commands.push(self.gradle_command(&self.task("war")));
            commands.push(format!(
                "mkdir -p {OUT_DIR}/ROOT && cd {OUT_DIR}/ROOT && jar -xf /build/{}/*.war",
                quote(&libs)
            ));
            launch::tomcat(
                self.build.project,
                &mut service,
                &self.facts,
                &self.sources,
                version,
                &format!("{OUT_DIR}/ROOT"),
            );
            Layout::Tomcat
        } else if applies && (self.main_class().is_some() || RATPACK.iter().any(|id| self.has(id)))
        {
            strong = framework.is_some() || has_main;
            commands.push(self.gradle_command(&self.task("installDist")));
            let name = self
                .script
                .setting("applicationName")
                .map_or_else(|| self.name(), |(name, _)| name);
            service.copy(&join(&self.dir, &format!("build/install/{name}")), APP_DIR);
            Layout::Script(name)
        } else if is_shadow && self.main_class().is_some() {
            commands.push(self.gradle_command(&self.task("shadowJar")));
            commands.push(launch::pick_jar(&libs, "jar"));
            service.copy(&format!("{OUT_DIR}/app.jar"), &format!("{APP_DIR}/app.jar"));
            Layout::Jar
        } else if self.script.mention("Main-Class").is_some()
            && self.script.mention("zipTree").is_some()
        {
            // A jar task that packs what the program needs into the jar.
            let task = self.script.mention("fatJar").map_or("jar", |_| "fatJar");
            commands.push(self.gradle_command(&self.task(task)));
            commands.push(launch::pick_jar(&libs, "jar"));
            service.copy(&format!("{OUT_DIR}/app.jar"), &format!("{APP_DIR}/app.jar"));
            Layout::Jar
        } else {
            strong = framework.is_some() && has_main;
            let class = self.main_class().filter(|_| has_main)?;
            commands.push(format!("printf '%s\\n' {} > /tmp/libraries.gradle", quote(LIBRARIES)));
            commands.push(self.gradle_command(&format!(
                "-I /tmp/libraries.gradle {}",
                self.task("peelboxLibraries")
            )));
            service.copy(&format!("{OUT_DIR}/lib"), &format!("{APP_DIR}/lib"));
            Layout::Libraries(class)
        };
        service.weight = if strong { Weight::Framework } else { Weight::Starts };
        let evidence = self.plugins.first().map(|(_, seen)| seen.clone());
        service.decide("build command", commands.join(" && "), "the task of its plugin", evidence);
        service.spec.build.commands = commands;
        launch::launch(
            self.build.project,
            &mut service,
            &launch::Launch {
                layout,
                dir: &self.dir,
                framework: framework.map(|(framework, _)| framework),
                facts: &self.facts,
                sources: &self.sources,
            },
        );
        Some(service)
    }

    /// The step that fetches Gradle, plugins and what is known of the dependencies: it sees scripts and settings alone.
    fn dependencies(&self, service: &mut Service) {
        let tree = self.build.project.tree;
        let root = &self.build.root;
        let mut files = Vec::new();
        for dir in self.build.modules.values().chain([root]) {
            let Some(entries) = tree.entries(dir) else { continue };
            let takes = |name: &&String| {
                name.ends_with(".gradle")
                    || name.ends_with(".gradle.kts")
                    || name.ends_with(".properties")
                    || *name == "gradlew"
            };
            files.extend(entries.files.iter().filter(takes).map(|name| join(dir, name)));
        }
        let folders = LOGIC.iter().copied().chain(["gradle"]).map(|name| join(root, name));
        files.extend(folders.filter(|dir| tree.has_dir(dir)));
        let command = self.gradle_command(&format!("{} --quiet", self.task("dependencies")));
        service.dependencies(files, vec![command]);
    }
}

/// Copies a project's jar and all that it needs into one folder: for projects whose plugins pack nothing to run.
const LIBRARIES: &str = "allprojects { plugins.withId('java') { tasks.register('peelboxLibraries', Copy) { from tasks.named('jar'); from configurations.runtimeClasspath; into '/out/lib' } } }";

/// Plugins that bring the main class along.
const RATPACK: &[&str] = &["io.ratpack.ratpack-java", "io.ratpack.ratpack-groovy"];

const SHADOW: &[&str] =
    &["com.github.johnrengelman.shadow", "com.gradleup.shadow", "io.github.goooler.shadow"];
