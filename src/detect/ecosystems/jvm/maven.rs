//! Maven: one service for each module that is packaged to be run.

use std::collections::BTreeSet;

use super::{
    framework::{self, Facts},
    java::{self, Wanted},
    launch::{self, Layout},
    pom::{Pom, Poms},
    sources::Sources,
};
use crate::detect::{
    Decision, Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, draft, official, quote, relative, resolve, within},
        pins::{Pin, stated},
    },
    images::Family,
    model::join,
};

/// All services that Maven builds.
pub(super) fn find(project: &Project<'_>) -> Vec<Service> {
    let poms = Poms::read(project);
    let mut services = Vec::new();
    let mut libraries = Vec::new();
    let mut packed: BTreeSet<String> = BTreeSet::new();
    let mut plain: BTreeSet<String> = BTreeSet::new();
    for pom in poms.all.values() {
        let module = Module::new(project, &poms, pom);
        match module.packaging() {
            Some(packaging) => {
                match packaging {
                    Packaging::Plain(_) => plain.insert(pom.dir.clone()),
                    _ => packed.insert(module.reactor.clone()),
                };
                services.push((module.reactor.clone(), module.service(packaging)));
            }
            None if module.reactor == pom.dir => libraries.push(module),
            None => {}
        }
    }
    // A `main` without anything that packages it is a tool, where its neighbours are packaged.
    services.retain(|(root, service)| {
        !packed.contains(root) || !plain.contains(&service.dir) || service.weight == Weight::Stated
    });
    let strong: Vec<String> = services
        .iter()
        .filter(|(_, s)| s.weight >= Weight::Framework)
        .map(|(root, _)| root.clone())
        .collect();
    services
        .retain(|(root, service)| service.weight >= Weight::Framework || !strong.contains(root));
    for library in libraries {
        if !services.iter().any(|(root, _)| *root == library.reactor) {
            services.push((library.reactor.clone(), library.library()));
        }
    }
    services.into_iter().map(|(_, service)| service).collect()
}

/// What a module becomes.
enum Packaging {
    /// A jar with everything in it.
    FatJar,
    /// A war that can be started.
    BootWar,
    /// A war for a server.
    War,
    /// `target/quarkus-app`.
    Quarkus,
    /// A jar beside the jars it needs; the class to start.
    Plain(String),
    /// The same, but the manifest and the plugin of Helidon know how.
    Helidon,
}

struct Module<'a> {
    project: &'a Project<'a>,
    poms: &'a Poms,
    pom: &'a Pom,
    reactor: String,
    sources: Sources,
    facts: Facts,
}

impl<'a> Module<'a> {
    fn new(project: &'a Project<'a>, poms: &'a Poms, pom: &'a Pom) -> Self {
        let sources =
            match pom.modules.is_empty() || project.tree.has_dir(&join(&pom.dir, "src/main")) {
                true => Sources::read(project, &pom.dir),
                false => Sources { files: Vec::new(), mains: Vec::new() },
            };
        Self {
            project,
            poms,
            pom,
            reactor: poms.reactor(&pom.dir),
            sources,
            facts: facts(poms, pom),
        }
    }

    fn has_plugin(&self, artifact: &str) -> bool {
        self.poms.plugin(self.pom, artifact).is_some()
    }

    fn field(&self, names: &[&str]) -> Option<String> {
        let holder =
            self.poms.line(self.pom).into_iter().find_map(|pom| pom.project.text_at(names))?;
        self.poms.text(self.pom, holder)
    }

    fn packaging(&self) -> Option<Packaging> {
        let kind = self.pom.project.text_at(&["packaging"]).unwrap_or("jar");
        let kind = self.poms.text(self.pom, kind).unwrap_or_else(|| "jar".to_owned());
        let is_boot = self.has_plugin("spring-boot-maven-plugin");
        match kind.as_str() {
            "pom" | "maven-plugin" | "eclipse-plugin" | "maven-archetype" => return None,
            "war" if is_boot => return Some(Packaging::BootWar),
            "war" => return Some(Packaging::War),
            "quarkus" => return Some(Packaging::Quarkus),
            _ => {}
        }
        let has_main = !self.sources.mains.is_empty();
        let is_single = self.reactor == self.pom.dir && self.pom.modules.is_empty();
        if self.has_plugin("quarkus-maven-plugin") {
            // A library inherits the plugin too, but has nothing that is served.
            let serves =
                ["@Path(", "@Incoming(", "@QuarkusMain", "@Scheduled", "@GrpcService", "@Route("];
            let is_application = serves.iter().any(|mark| self.sources.mention(mark).is_some());
            return (is_single || is_application).then_some(Packaging::Quarkus);
        }
        if is_boot && (has_main || is_single) {
            return Some(Packaging::FatJar);
        }
        if self.facts.find("io.helidon").is_some()
            && self.pom.project.text_at(&["parent", "groupId"]) == Some("io.helidon.applications")
        {
            return Some(Packaging::Helidon);
        }
        let is_micronaut = self.has_plugin("micronaut-maven-plugin")
            || self.pom.project.text_at(&["parent", "artifactId"]) == Some("micronaut-parent");
        if is_micronaut && has_main {
            return Some(Packaging::FatJar);
        }
        if self.has_plugin("vertx-maven-plugin") {
            return Some(Packaging::FatJar);
        }
        let shades = self.has_plugin("maven-shade-plugin") && self.main_class().is_some();
        if shades || self.assembles() {
            return Some(Packaging::FatJar);
        }
        Some(Packaging::Plain(self.main_class()?))
    }

    /// Whether the assembly plugin makes a jar with dependencies that can be started.
    fn assembles(&self) -> bool {
        self.poms.plugin(self.pom, "maven-assembly-plugin").is_some_and(|(_, plugin)| {
            deep_text(plugin, "descriptorRef", 0)
                .is_some_and(|text| text == "jar-with-dependencies")
        }) && self.main_class().is_some()
    }

    /// The class to start: what a plugin's manifest or a property names, else what the sources have.
    fn main_class(&self) -> Option<String> {
        let plugins = [
            "maven-jar-plugin", "maven-shade-plugin", "maven-assembly-plugin", "exec-maven-plugin",
            "spring-boot-maven-plugin",
        ];
        let named = plugins.iter().find_map(|name| {
            let (_, plugin) = self.poms.plugin(self.pom, name)?;
            let class =
                deep_text(plugin, "mainClass", 0).or_else(|| deep_text(plugin, "Main-Class", 0))?;
            self.poms.text(self.pom, class)
        });
        let properties =
            ["exec.mainClass", "mainClass", "main.class", "start-class", "mainVerticle"];
        let property =
            || properties.iter().find_map(|name| Some(self.poms.property(self.pom, name)?.0));
        named.or_else(property).or_else(|| Some(self.sources.main()?.class.clone()))
    }

    /// The file in `target`, without extension, if it is known.
    fn final_name(&self) -> Option<String> {
        self.field(&["build", "finalName"]).or_else(|| {
            let artifact = self.poms.text(self.pom, self.pom.project.text_at(&["artifactId"])?)?;
            Some(format!("{artifact}-{}", self.poms.property(self.pom, "project.version")?.0))
        })
    }

    fn base(&self) -> (Service, u32) {
        let mut service = draft(&self.pom.dir, self.sources.language(), "maven");
        service.weight = Weight::Starts;
        let evidence = || [Evidence::file(&self.pom.path)];
        let first = self.sources.files.first().map(|file| Evidence::file(&file.path));
        service.decide("language", self.sources.language(), "its sources", first);
        service.decide("build system", "maven", "a pom.xml", evidence());
        if let Some(name) = self.pom.project.text_at(&["artifactId"]) {
            service.name(self.poms.text(self.pom, name).unwrap_or_default());
        }
        let (version, decision) = self.version();
        service.decisions.push(decision);
        service.spec.build.base = match self.project.bases {
            Family::Official => official(&format!("maven:3.9-eclipse-temurin-{version}")),
            Family::Wolfi | Family::Debian => {
                let base = java::jdk(self.project, &mut service, version);
                service.build_packages(["maven"]);
                base
            }
        };
        service.cache(["/root/.m2"]);
        (service, version)
    }

    fn library(&self) -> Service {
        let (mut service, version) = self.base();
        java::runtime(self.project, &mut service, version);
        service.weight = Weight::Manifest;
        service.spec.build.commands = vec![self.maven("package")];
        service.decide(
            "start command",
            "",
            "no module is packaged to be run: a library",
            [Evidence::file(&self.pom.path)],
        );
        service
    }

    /// A Maven command for the module and what it needs of the reactor.
    fn maven(&self, goals: &str) -> String {
        let module = relative(&self.reactor, &self.pom.dir);
        let select =
            if module == "." { String::new() } else { format!(" -pl {} -am", quote(&module)) };
        within(&self.reactor, &format!("mvn -B -DskipTests{select} {goals}"))
    }

    fn service(&self, packaging: Packaging) -> Service {
        let (mut service, version) = self.base();
        let dir = &self.pom.dir;
        let framework = framework::find(&self.facts);
        if let Some((framework, evidence)) = &framework {
            service.framework(framework.id, "a dependency or plugin", [evidence.clone()]);
        }
        java::runtime(self.project, &mut service, version);
        self.dependencies(&mut service);
        // Maven builds the front end itself, with a Node.js that the plugin fetches.
        if let Some((holder, plugin)) = self.poms.plugin(self.pom, "frontend-maven-plugin") {
            let folder = deep_text(plugin, "workingDirectory", 0).and_then(|text| {
                let text = self.poms.text(
                    self.pom,
                    &text.replace("${project.basedir}/", "").replace("${basedir}/", ""),
                )?;
                resolve(&holder.dir, &text)
            });
            service.claims.extend(folder.filter(|folder| folder != dir));
        }
        let target = join(dir, "target");
        let mut commands = Vec::new();
        let layout = match packaging {
            Packaging::FatJar => {
                service.weight = service.weight.max(Weight::Framework);
                commands.push(self.maven("package"));
                self.jar(&mut service, &mut commands, &target, "jar");
                Layout::Jar
            }
            Packaging::BootWar => {
                service.weight = Weight::Framework;
                commands.push(self.maven("package"));
                self.jar(&mut service, &mut commands, &target, "war");
                Layout::Jar
            }
            Packaging::War => {
                service.weight = Weight::Framework;
                commands.push(self.maven("package"));
                // The war plugin leaves the unpacked application beside the war.
                match self.final_name() {
                    Some(name) => launch::tomcat(
                        self.project,
                        &mut service,
                        &self.facts,
                        &self.sources,
                        version,
                        &format!("{target}/{name}"),
                    ),
                    None => {
                        commands.push(format!("mkdir -p {OUT_DIR}/ROOT && cd {OUT_DIR}/ROOT && jar -xf /build/{}/*.war", quote(&target)));
                        launch::tomcat(
                            self.project,
                            &mut service,
                            &self.facts,
                            &self.sources,
                            version,
                            &format!("{OUT_DIR}/ROOT"),
                        );
                    }
                }
                Layout::Tomcat
            }
            Packaging::Quarkus => {
                commands.push(self.maven("package"));
                service.copy(&format!("{target}/quarkus-app"), APP_DIR);
                Layout::Quarkus
            }
            Packaging::Helidon => {
                commands.push(self.maven("package"));
                self.jar(&mut service, &mut commands, &target, "jar");
                service.copy(&format!("{target}/libs"), &format!("{APP_DIR}/libs"));
                Layout::Jar
            }
            Packaging::Plain(class) => {
                let copy = format!(
                    "package dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory={OUT_DIR}/lib"
                );
                commands.push(self.maven(&copy));
                self.jar(&mut service, &mut commands, &target, "jar");
                // A module without dependencies leaves no folder.
                commands.push(format!("mkdir -p {OUT_DIR}/lib"));
                service.copy(&format!("{OUT_DIR}/lib"), &format!("{APP_DIR}/lib"));
                Layout::ClassPath(class)
            }
        };
        service.decide(
            "build command",
            commands.join(" && "),
            "Maven's package phase",
            [Evidence::file(&self.pom.path)],
        );
        service.spec.build.commands = commands;
        launch::launch(
            self.project,
            &mut service,
            &launch::Launch {
                layout,
                dir,
                framework: framework.map(|(framework, _)| framework),
                facts: &self.facts,
                sources: &self.sources,
            },
        );
        service
    }

    /// The jar in the image: by its name, if that can be known, else found by a command.
    fn jar(
        &self,
        service: &mut Service,
        commands: &mut Vec<String>,
        target: &str,
        extension: &str,
    ) {
        let classifier = match self.assembles() {
            true => "-jar-with-dependencies",
            false => "",
        };
        // A shaded jar or one with a classifier may have yet another name.
        let shade = self.poms.plugin(self.pom, "maven-shade-plugin").map(|(_, plugin)| plugin);
        let renamed = shade.is_some_and(|plugin| {
            deep_text(plugin, "finalName", 0).is_some()
                || deep_text(plugin, "outputFile", 0).is_some()
                || deep_text(plugin, "shadedClassifierName", 0).is_some()
        });
        let assembly =
            self.poms.plugin(self.pom, "maven-assembly-plugin").map(|(_, plugin)| plugin);
        let reassembled = assembly.is_some_and(|plugin| {
            deep_text(plugin, "finalName", 0).is_some()
                || deep_text(plugin, "appendAssemblyId", 0).is_some()
        });
        let boot = self.poms.plugin(self.pom, "spring-boot-maven-plugin").map(|(_, plugin)| plugin);
        let classified = boot.is_some_and(|plugin| deep_text(plugin, "classifier", 0).is_some());
        match self.final_name().filter(|_| !renamed && !classified && !reassembled) {
            Some(name) => service.copy(
                &format!("{target}/{name}{classifier}.{extension}"),
                &format!("{APP_DIR}/app.jar"),
            ),
            None => {
                commands.push(launch::pick_jar(target, extension));
                service.copy(&format!("{OUT_DIR}/app.jar"), &format!("{APP_DIR}/app.jar"));
            }
        }
    }

    /// The step that downloads what the poms name.
    ///
    /// `dependency:go-offline` fails where modules need each other, as nothing of them is there yet. Compiling poms
    /// without sources fetches the same; a plugin that wants sources may fail, and then the build fetches the rest.
    fn dependencies(&self, service: &mut Service) {
        let built = self.poms.built_by(&self.reactor);
        let mut files: Vec<String> = built.iter().map(|pom| pom.path.clone()).collect();
        for pom in &built {
            files.extend(self.poms.line(pom).into_iter().map(|pom| pom.path.clone()));
        }
        for dir in [self.reactor.as_str(), "."] {
            let names = ["settings.xml", "extensions.xml", "maven.config", "jvm.config"];
            files.extend(names.map(|name| join(dir, &format!(".mvn/{name}"))));
        }
        files.retain(|file| self.project.tree.has(file));
        let mut command = "mvn -B".to_owned();
        if built.len() > 1 {
            let module = relative(&self.reactor, &self.pom.dir);
            if module != "." {
                command.push_str(&format!(" -pl {} -am", quote(&module)));
            }
            command.push_str(" compile || true");
        } else {
            command.push_str(" dependency:go-offline");
        }
        service.dependencies(files, vec![within(&self.reactor, &command)]);
    }

    fn version(&self) -> (u32, Decision) {
        let mut build: Vec<Pin> = stated(self.project, &self.pom.dir).into_iter().collect();
        let enforced = self.poms.managed(self.pom, "maven-toolchains-plugin");
        for plugin in enforced {
            if let Some(version) =
                deep_text(plugin, "version", 2).filter(|text| java::major(text).is_some())
            {
                build.push(Pin::new(
                    version, "maven-toolchains-plugin", &self.pom.path, plugin.line,
                ));
            }
        }
        for name in [
            "maven.compiler.release", "java.version", "maven.compiler.target",
            "maven.compiler.source", "jdk.version", "javaVersion", "java-version",
            "kotlin.compiler.jvmTarget",
        ] {
            if let Some((version, evidence)) = self.poms.property(self.pom, name) {
                build.push(Pin { version, rule: name.to_owned(), evidence });
            }
        }
        for plugin in self.poms.managed(self.pom, "maven-compiler-plugin") {
            for name in ["release", "target", "source"] {
                let Some(text) = plugin.at(&["configuration", name]) else { continue };
                let Some(version) = self.poms.text(self.pom, &text.text) else { continue };
                build.push(Pin::new(
                    version,
                    format!("maven-compiler-plugin {name}"),
                    &self.pom.path,
                    text.line,
                ));
            }
        }
        let boot = self.boot_version();
        let fallback = match boot {
            // The parent's own `java.version`.
            Some(3..) => (17, "the java.version of spring-boot-starter-parent"),
            Some(_) => (8, "the java.version of spring-boot-starter-parent"),
            None => (java::DEFAULT, "default of the table"),
        };
        java::version(
            self.project,
            &self.pom.dir,
            Wanted { build, fallback, least: if boot >= Some(3) { 17 } else { 8 } },
        )
    }

    /// Major version of Spring Boot's parent.
    fn boot_version(&self) -> Option<u32> {
        self.poms.line(self.pom).into_iter().find_map(|pom| {
            let parent = pom.project.child("parent")?;
            (parent.text_at(&["artifactId"]) == Some("spring-boot-starter-parent")).then_some(())?;
            parent.text_at(&["version"])?.split('.').next()?.parse().ok()
        })
    }
}

/// Dependencies and plugins of a module, and those of modules of the tree that it depends on.
fn facts(poms: &Poms, pom: &Pom) -> Facts {
    let mut names = Vec::new();
    let mut queue = vec![pom];
    let mut seen = vec![pom.dir.clone()];
    while let Some(pom) = queue.pop() {
        for (name, evidence) in poms.dependencies(pom) {
            let artifact = name.split_once(':').map_or("", |(_, artifact)| artifact);
            let near = poms.beside(pom, artifact);
            if let Some(near) = near.filter(|near| !seen.contains(&near.dir) && seen.len() < 50) {
                seen.push(near.dir.clone());
                queue.push(near);
            }
            names.push((name, evidence));
        }
    }
    for (holder, plugin) in poms.plugins(pom) {
        let group = plugin.text_at(&["groupId"]).unwrap_or("org.apache.maven.plugins");
        let group = poms.text(pom, group).unwrap_or_else(|| group.to_owned());
        let name = format!("{group}:{}", plugin.text_at(&["artifactId"]).unwrap_or_default());
        names.push((name, Evidence::line(&holder.path, Some(plugin.line))));
    }
    for holder in poms.line(pom) {
        if let Some(parent) = holder.project.child("parent") {
            let text = |name| parent.text_at(&[name]).unwrap_or_default().to_owned();
            let name = format!("{}:{}", text("groupId"), text("artifactId"));
            names.push((name, Evidence::line(&holder.path, Some(parent.line))));
        }
    }
    Facts { names }
}

/// The text of the first element of this name below `element`.
fn deep_text<'a>(
    element: &'a crate::detect::manifest::Element,
    name: &str,
    depth: usize,
) -> Option<&'a str> {
    if depth > 12 {
        return None;
    }
    element.children.iter().find_map(|child| {
        if child.name == name && !child.text.is_empty() {
            return Some(child.text.as_str());
        }
        deep_text(child, name, depth + 1)
    })
}
