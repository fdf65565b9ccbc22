//! Maven: one service for each module that is packaged to be run.

use std::collections::BTreeMap;

use super::{
    framework::Names,
    java::{self, MAVEN, Wanted, major},
    launch::{self, Layout, Program},
    pom::{Model, Poms, deep_text},
    sources::Sources,
};
use crate::detect::prelude::*;

/// Plugins whose settings may name the class to start, and properties that do.
const STARTERS: &[&str] = &[
    "maven-jar-plugin", "maven-shade-plugin", "maven-assembly-plugin", "exec-maven-plugin",
    "spring-boot-maven-plugin",
];
const CLASSES: &[&str] =
    &["exec.mainClass", "mainClass", "main.class", "start-class", "mainVerticle"];
/// What gives the jar another name: a plugin, and elements of its settings.
const RENAMED: &[(&str, &[&str])] = &[
    ("maven-shade-plugin", &["finalName", "outputFile", "shadedClassifierName"]),
    ("maven-assembly-plugin", &["finalName", "appendAssemblyId"]),
    ("spring-boot-maven-plugin", &["classifier"]),
];
/// Properties that name the version of Java.
const VERSIONS: &[&str] = &[
    "maven.compiler.release", "java.version", "maven.compiler.target", "maven.compiler.source",
    "jdk.version", "javaVersion", "java-version", "kotlin.compiler.jvmTarget",
];
/// What Quarkus serves or runs.
const QUARKUS: &[&str] =
    &["@Path(", "@Incoming(", "@QuarkusMain", "@Scheduled", "@GrpcService", "@Route("];

/// All services that Maven builds.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    let poms = Poms::read(project);
    let mut reactors: BTreeMap<&str, Vec<Module<'_>>> = BTreeMap::new();
    for model in poms.models() {
        reactors.entry(&model.pom.reactor).or_default().push(Module::new(project, model));
    }
    reactors.into_values().flat_map(|modules| services(&modules)).collect()
}

/// The services of modules that are built together; without any the library that the topmost is.
fn services(modules: &[Module<'_>]) -> Vec<Facts> {
    let all = modules.iter().filter_map(Module::service);
    let (packed, plain): (Vec<_>, Vec<_>) = all.partition(|(_, is_packed)| *is_packed);
    // A `main` without anything that packages it is a tool, where its neighbours are packaged.
    let least = if packed.is_empty() { Weight::Files } else { Weight::Stated };
    let plain = plain.into_iter().filter(|(facts, _)| facts.weight >= least);
    let top = || modules.iter().find(|module| module.model.pom.reactor == module.program.at.dir);
    launch::deployed(plain.chain(packed).map(|(facts, _)| facts), || top().map(Module::library))
}

struct Module<'a> {
    model: Model<'a>,
    program: Program<'a>,
}

impl<'a> Module<'a> {
    fn new(project: &'a Project<'a>, model: Model<'a>) -> Self {
        let at = Folder::new(project, &model.pom.dir);
        let has_sources = model.pom.modules.is_empty() || at.has_dir("src/main");
        let sources = if has_sources { Sources::read(at) } else { Sources::default() };
        let program = Program::new(at, Names(model.names()), sources);
        Self { model, program }
    }

    /// The service, and whether it is packed to be run; `None` where nothing is started.
    fn service(&self) -> Option<(Facts, bool)> {
        let (mut facts, java) = self.facts();
        let layout = self.layout(&mut facts, java)?;
        self.dependencies(&mut facts);
        // Maven builds the front end itself, with a Node.js that the plugin fetches.
        let front_end = self.model.set_folder("frontend-maven-plugin", "workingDirectory");
        facts.claims.extend(front_end.filter(|folder| folder != self.program.at.dir));
        self.program.launch(&mut facts, &layout);
        Some((facts, !matches!(layout, Layout::Class(..))))
    }

    /// What the packaging and the plugins make, and the steps that make it.
    fn layout(&self, facts: &mut Facts, java: u32) -> Option<Layout> {
        let Self { model, program: Program { at, sources, names, .. } } = self;
        let kind = model.own(&["packaging"]);
        let parent = |name: &str| model.pom.project.text_at(&["parent", name]).unwrap_or_default();
        let has_main = !sources.mains.is_empty();
        let is_single = model.pom.reactor == at.dir && model.pom.modules.is_empty();
        let is_boot = model.has_plugin("spring-boot-maven-plugin");
        let is_helidon = parent("groupId") == "io.helidon.applications";
        let is_micronaut = model.has_plugin("micronaut-maven-plugin")
            || parent("artifactId") == "micronaut-parent";
        Some(match kind.as_deref().unwrap_or("jar") {
            "pom" | "maven-plugin" | "eclipse-plugin" | "maven-archetype" => return None,
            "war" if is_boot => self.package(facts, "war"),
            "war" => self.war(facts, java),
            "quarkus" => self.quarkus(facts),
            // A library inherits the plugin too, but has nothing that is served.
            _ if model.has_plugin("quarkus-maven-plugin") => {
                (is_single || sources.mention(QUARKUS)).then(|| self.quarkus(facts))?
            }
            _ if is_boot && (has_main || is_single) => self.package(facts, "jar"),
            _ if is_helidon && names.have(&["io.helidon"]) => {
                facts.take(&at.path("target/libs"), "libs");
                self.package(facts, "jar")
            }
            _ if is_micronaut && has_main => self.package(facts, "jar"),
            _ if model.has_plugin("vertx-maven-plugin") => self.package(facts, "jar"),
            _ => {
                let class = self.main_class()?;
                match model.has_plugin("maven-shade-plugin") || self.assembles() {
                    true => self.package(facts, "jar"),
                    false => self.plain(facts, class),
                }
            }
        })
    }

    /// A jar or a war that has everything in it.
    fn package(&self, facts: &mut Facts, extension: &str) -> Layout {
        facts.build(&self.model.pom.reactor, self.maven("package"));
        self.jar(facts, extension)
    }

    /// A war for a server.
    fn war(&self, facts: &mut Facts, java: u32) -> Layout {
        facts.build(&self.model.pom.reactor, self.maven("package"));
        let target = self.program.at.path("target");
        match self.final_name() {
            // The war plugin leaves the unpacked application beside the war.
            Some(name) => Layout::War(format!("{target}/{name}"), java),
            None => launch::war(facts, &target, java),
        }
    }

    fn quarkus(&self, facts: &mut Facts) -> Layout {
        facts.build(&self.model.pom.reactor, self.maven("package"));
        facts.take(&self.program.at.path("target/quarkus-app"), "");
        Layout::Quarkus
    }

    /// A jar beside the jars that it needs.
    fn plain(&self, facts: &mut Facts, class: String) -> Layout {
        facts.build(&self.model.pom.reactor, self.maven(&format!("package {COPIES}")));
        self.jar(facts, "jar");
        // A module without dependencies leaves no folder.
        facts.build(".", format!("mkdir -p {OUT}/lib"));
        facts.program("lib");
        Layout::Class(&["app.jar", "lib/*"], vec![class])
    }

    /// Whether the assembly plugin makes a jar with dependencies.
    fn assembles(&self) -> bool {
        let made = self.model.set("maven-assembly-plugin", &["descriptorRef"]);
        made == Some("jar-with-dependencies") && self.main_class().is_some()
    }

    /// The class to start: what a plugin's manifest or a property names, else what the sources have.
    fn main_class(&self) -> Option<String> {
        let model = self.model;
        let set = |plugin| model.text(model.set(plugin, &["mainClass", "Main-Class"])?);
        let property = || CLASSES.iter().find_map(|name| Some(model.property(name)?.0));
        let named = STARTERS.iter().find_map(|plugin| set(plugin)).or_else(property);
        named.or_else(|| Some(self.program.sources.main()?.class.clone()))
    }

    /// The file in `target`, without extension, if it is known.
    fn final_name(&self) -> Option<String> {
        self.model.inherited(&["build", "finalName"]).or_else(|| {
            let (version, _) = self.model.property("project.version")?;
            Some(format!("{}-{version}", self.model.own(&["artifactId"])?))
        })
    }

    fn facts(&self) -> (Facts, u32) {
        let why = (Rule::Manifest("pom.xml"), Some(self.model.pom.place(None)));
        let language = self.program.sources.language("java");
        let wanted = self.wanted();
        let (mut facts, java) = java::facts(self.program.at, MAVEN, language, why, wanted);
        facts.name = self.model.own(&["artifactId"]).unwrap_or_default();
        (facts, java)
    }

    fn library(&self) -> Facts {
        let (facts, place) = (self.facts().0, Some(self.model.pom.place(None)));
        let (dir, command) = (&self.model.pom.reactor, self.maven("package"));
        launch::library(facts, dir, &command, Fixed::NothingPacked, place)
    }

    /// A command that builds the module and what it needs of the reactor.
    fn maven(&self, goals: &str) -> String {
        format!("{} -DskipTests{} {goals}", self.program(), self.selection())
    }

    fn selection(&self) -> String {
        match relative(&self.model.pom.reactor, self.program.at.dir).as_str() {
            "." => String::new(),
            module => format!(" -pl {} -am", quote(module)),
        }
    }

    /// The jar in the image: by its name, if that can be known, else found by a command.
    fn jar(&self, facts: &mut Facts, extension: &str) -> Layout {
        let target = self.program.at.path("target");
        // A shaded jar or one with a classifier may have yet another name.
        let is_renamed =
            RENAMED.iter().any(|(plugin, names)| self.model.set(plugin, names).is_some());
        let classifier = if self.assembles() { "-jar-with-dependencies" } else { "" };
        let Some(name) = self.final_name().filter(|_| !is_renamed) else {
            return launch::jar(facts, &target, extension);
        };
        facts.take(&format!("{target}/{name}{classifier}.{extension}"), "app.jar");
        Layout::Jar
    }

    /// The step that downloads what the poms name; what it can't fetch, the build does.
    ///
    /// `dependency:go-offline` fails where modules need each other, as nothing of them is there yet. Compiling poms
    /// without sources fetches the same.
    fn dependencies(&self, facts: &mut Facts) {
        let reactor = self.reactor();
        let settings = [reactor.dir, "."].into_iter().flat_map(|dir| {
            let folder = join(dir, ".mvn");
            let entries = self.program.at.project.tree.entries(&folder);
            let names = entries.into_iter().flat_map(|entries| &entries.files);
            names.map(|name| join(&folder, name)).collect::<Vec<_>>()
        });
        let mut files = self.model.files();
        files.extend(settings);
        let command = match self.model.built_with().len() {
            ..=1 => format!("{} dependency:go-offline", self.program()),
            _ => format!("{}{} compile", self.program(), self.selection()),
        };
        if self.has_wrapper() {
            let wrapper = ["maven-wrapper.jar", "maven-wrapper.properties"];
            let wrapper = wrapper.map(|name| join(".mvn/wrapper", name));
            files.extend(reactor.those(&["mvnw", &wrapper[0], &wrapper[1]]));
            // The image's own value is taken for an argument by the wrapper.
            facts.build_env("MAVEN_CONFIG", "");
        }
        facts.install(files, [launch::ahead(reactor.dir, &command)]);
    }

    fn reactor(&self) -> Folder<'_> {
        Folder { dir: &self.model.pom.reactor, ..self.program.at }
    }

    /// Whether the project brings a Maven of its own, in a script that a shell of Linux reads.
    fn has_wrapper(&self) -> bool {
        let at = self.reactor();
        let script = at.read("mvnw").filter(|script| !script.text.contains('\r'));
        script.is_some() && at.has(".mvn/wrapper/maven-wrapper.properties")
    }

    /// How Maven is called.
    fn program(&self) -> &'static str {
        if self.has_wrapper() { "chmod +x mvnw && ./mvnw -B" } else { "mvn -B" }
    }

    /// What the pom says of Java.
    fn wanted(&self) -> Wanted {
        let model = self.model;
        let pin = |version, rule: &str, line| Pin::new(version, rule, &model.pom.path, line);
        let toolchains =
            model.managed("maven-toolchains-plugin").into_iter().filter_map(|plugin| {
                let version = deep_text(plugin, "version").filter(|text| major(text).is_some())?;
                Some(pin(version.to_owned(), "maven-toolchains-plugin", plugin.line))
            });
        let properties = VERSIONS.iter().filter_map(|name| {
            let (version, evidence) = model.property(name)?;
            Some(Pin { version, rule: (*name).to_owned(), evidence })
        });
        let compiler = model.managed("maven-compiler-plugin").into_iter().flat_map(|plugin| {
            ["release", "target", "source"].into_iter().filter_map(move |name| {
                let set = plugin.at(&["configuration", name])?;
                let rule = format!("maven-compiler-plugin {name}");
                Some(pin(model.text(&set.text)?, &rule, set.line))
            })
        });
        let build = toolchains.chain(properties).chain(compiler).collect();
        // The parent's own `java.version`.
        let boot = model.parent_version("spring-boot-starter-parent").and_then(Version::parse);
        match boot.map(|version| version.major) {
            Some(3..) => Wanted { build, fallback: (17, Fixed::JavaOfSpringParent), least: 17 },
            Some(_) => Wanted { build, fallback: (8, Fixed::JavaOfSpringParent), least: 8 },
            None => Wanted { build, ..Wanted::default() },
        }
    }
}

/// Goal that copies the jars a module needs.
const COPIES: &str =
    "dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=/out/lib";
