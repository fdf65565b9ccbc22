//! Gradle: one service for each project that applies a plugin which makes something to run.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    framework::Names,
    java::{self, GRADLE, GRADLEW, JAVA, Wanted, major},
    launch::{self, Layout, Program},
    script::{Catalog, Script, word},
    sources::Sources,
};
use crate::detect::prelude::*;

const SETTINGS: &[&str] = &["settings.gradle.kts", "settings.gradle"];
const SCRIPTS: &[&str] = &["build.gradle.kts", "build.gradle"];
/// Folders of plugins for the build itself.
const LOGIC: &[&str] = &[
    "buildSrc", "build-logic", "buildLogic", "gradle-plugins", "build-conventions", "build-src",
    "build-plugin",
];
/// Plugins that start what is built.
const STARTERS: &[&str] = &["application", "io.micronaut.application", "io.ktor.plugin", RATPACK];
/// Brings the main class along.
const RATPACK: &str = "io.ratpack.";
const SHADOW: &[&str] =
    &["com.github.johnrengelman.shadow", "com.gradleup.shadow", "io.github.goooler.shadow"];
const WAR: &[&str] = &["war", "org.gretty"];
const BOOT: &str = "org.springframework.boot";
const ANDROID: &[&str] = &["com.android.application", "com.android.library"];
/// Plugins of what runs elsewhere, unless another makes something to run.
const ELSEWHERE: &[&str] =
    &["org.jetbrains.kotlin.multiplatform", "org.jetbrains.kotlin.js", "org.jetbrains.compose"];
/// Settings that name the version of Java.
const VERSIONS: &[&str] = &[
    "JavaLanguageVersion.of", "jvmToolchain", "options.release", "release", "targetCompatibility",
    "sourceCompatibility", "jvmTarget", "javaVersion",
];
/// The newest Java with an image that versions of Gradle before one run on (docs.gradle.org, "Compatibility Matrix").
const LIMITS: &[Limit] = &[("5.0", 8, 0), ("7.3", 11, 0), ("8.5", 17, 0)];
/// Copies a project's jar and all that it needs into one folder: for projects whose plugins pack nothing to run.
const LIBRARIES: &str = "allprojects {
    plugins.withId('java') {
        tasks.register('peelboxLibraries', Copy) {
            from tasks.named('jar')
            from configurations.runtimeClasspath
            into '/out/lib'
        }
    }
}
";
/// Gradle as a package keeps its files where the image has them.
const PACKAGED: Language = {
    let env = &[("GRADLE_USER_HOME", "/home/gradle/.gradle")];
    let Images { official, wolfi, debian } = JAVA.images;
    let images = Images { official, wolfi: wolfi.env(env), debian: debian.env(env) };
    Language { images, ..JAVA }
};

/// All services that Gradle builds: from folders with settings, and those with a build script that no settings include.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    let is_logic = |dir: &str| dir.split('/').any(|part| LOGIC.contains(&part));
    let having = |names: &'static [&'static str]| {
        let dirs = project.tree.dirs().filter(|(_, entries)| entries.first_of(names).is_some());
        dirs.map(|(dir, _)| dir).filter(|dir| !is_logic(dir)).collect::<Vec<_>>()
    };
    let read = |dir| Build::read(Folder::new(project, dir));
    let mut builds: Vec<Build<'_>> = having(SETTINGS).into_iter().map(read).collect();
    let known = builds.iter().flat_map(|build| build.modules.values().cloned());
    let known: BTreeSet<String> = known.collect();
    let lone = having(SCRIPTS).into_iter().filter(|dir| !known.contains(*dir));
    builds.extend(lone.map(read));
    builds.iter().flat_map(Build::services).collect()
}

/// A build: the root and its projects.
struct Build<'a> {
    root: Folder<'a>,
    /// Project path (without its first colon, the root's is empty) → folder.
    modules: BTreeMap<String, String>,
    settings: Script,
    /// Script of the root.
    top: Script,
    catalog: Catalog,
    /// Names of convention plugins → their scripts.
    conventions: BTreeMap<String, Script>,
    /// Version of the wrapper.
    wrapper: Option<Version>,
    /// Whether the wrapper is whole.
    has_wrapper: bool,
}

impl<'a> Build<'a> {
    fn read(root: Folder<'a>) -> Self {
        let settings = script(root, SETTINGS);
        let mut modules = BTreeMap::from([(String::new(), root.dir.to_owned())]);
        let given = settings.project_dirs();
        for path in settings.includes() {
            let folder = given.get(&path).cloned().unwrap_or_else(|| path.replace(':', "/"));
            let dir = resolve(root.dir, folder.trim_start_matches("$rootDir/"));
            modules.extend(dir.map(|dir| (path, dir)));
        }
        let wrapper =
            root.properties("gradle/wrapper/gradle-wrapper.properties").and_then(|file| {
                let (url, _) = file.get("distributionUrl")?;
                Version::parse(file_name(url).strip_prefix("gradle-")?)
            });
        let files = ["gradle/wrapper/gradle-wrapper.jar", "gradlew"];
        Self {
            root,
            modules,
            settings,
            top: script(root, SCRIPTS),
            catalog: Catalog(root.toml("gradle/libs.versions.toml")),
            conventions: conventions(root),
            wrapper,
            has_wrapper: wrapper.is_some() && files.iter().all(|name| root.has(name)),
        }
    }

    fn services(&self) -> Vec<Facts> {
        let modules = self.modules.iter();
        let modules: Vec<Module<'_>> =
            modules.filter_map(|(path, dir)| Module::read(self, path, dir)).collect();
        // A module that others are built with is a library, unless a plugin makes something to run of it.
        let used: BTreeSet<String> = modules.iter().flat_map(|it| it.script.projects()).collect();
        let deployed = modules.iter().filter(|it| !used.contains(&it.path) || it.packs());
        launch::deployed(deployed.filter_map(Module::service), || {
            let is_android = modules.iter().any(|module| module.has("com.android."));
            let root = modules.iter().find(|module| module.path.is_empty());
            root.or_else(|| modules.first()).filter(|_| !is_android).map(Module::library)
        })
    }

    fn at<'b>(&'b self, dir: &'b str) -> Folder<'b> {
        Folder::new(self.root.project, dir)
    }
}

/// The first of these scripts that a folder has.
fn script(at: Folder<'_>, names: &[&str]) -> Script {
    Script::all(at.project, at.first_of(names).map(|name| at.path(name)))
}

/// Scripts of `buildSrc` and its like that are plugins: `my.conventions.gradle.kts` is `my.conventions`.
fn conventions(root: Folder<'_>) -> BTreeMap<String, Script> {
    let tree = root.project.tree;
    let is_logic = |dir: &str| LOGIC.iter().any(|name| is_below(dir, &root.path(name)));
    let dirs = tree.dirs_below(root.dir).filter(|(dir, _)| is_logic(dir));
    let files = dirs.flat_map(|(dir, entries)| entries.files.iter().map(move |name| (dir, name)));
    let scripts = files.filter_map(|(dir, name)| {
        let stem = name.strip_suffix(".kts").unwrap_or(name).strip_suffix(".gradle");
        let stem = stem.filter(|stem| !matches!(*stem, "build" | "settings"))?;
        Some((stem.to_owned(), Script::all(root.project, [join(dir, name)])))
    });
    scripts.take(200).collect()
}

struct Module<'a> {
    build: &'a Build<'a>,
    /// Project path without its first colon.
    path: String,
    program: Program<'a>,
    script: Script,
    plugins: Vec<(String, Evidence)>,
}

impl<'a> Module<'a> {
    fn read(build: &'a Build<'a>, path: &str, dir: &'a str) -> Option<Self> {
        let (at, catalog, top) = (build.at(dir), &build.catalog, &build.top);
        let mut script = match path.is_empty() {
            true => top.without(&["subprojects", "buildscript"]),
            false => {
                let own = script(at, SCRIPTS).without(&["buildscript"]);
                own.and(&top.block("allprojects")).and(&top.block("subprojects"))
            }
        };
        let mut plugins = script.plugins(catalog);
        // What a convention plugin says counts as the module's own.
        let mut next = 0;
        while let Some((id, _)) = plugins.get(next) {
            if let Some(convention) = build.conventions.get(id).filter(|_| plugins.len() < 100) {
                plugins.extend(convention.plugins(catalog));
                script = script.and(convention);
            }
            next += 1;
        }
        if script.lines.is_empty() && !path.is_empty() {
            return None;
        }
        // What it depends on brings its own dependencies.
        let other = |path: &str| {
            let dir = build.modules.get(path);
            dir.map(|dir| self::script(build.at(dir), SCRIPTS)).unwrap_or_default()
        };
        let others = compiled::reach(script.projects(), |path| other(path).projects());
        let mut names = script.dependencies(catalog);
        names.extend(others.iter().flat_map(|path| other(path).dependencies(catalog)));
        names.extend_from_slice(&plugins);
        let program = Program::new(at, Names(names), Sources::read(at));
        Some(Self { build, path: path.to_owned(), program, script, plugins })
    }

    /// Whether a plugin is applied; of those with one beginning, which ends in a dot, any.
    fn has(&self, part: &str) -> bool {
        self.plugins.iter().any(|(id, _)| id == part || part.ends_with('.') && id.starts_with(part))
    }

    fn has_any(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.has(part))
    }

    /// A task of this project.
    fn task(&self, name: &str) -> String {
        match self.path.as_str() {
            "" if self.build.modules.len() == 1 => name.to_owned(),
            "" => format!(":{name}"),
            path => format!(":{path}:{name}"),
        }
    }

    /// The project's name: the last part of its path, for the root what the settings say or the folder's name.
    fn name(&self) -> Option<String> {
        let last = last_part(&self.path).and_then(|path| path.rsplit(':').next());
        let given = || Some(self.build.settings.setting("rootProject.name")?.0);
        let folder = || last_part(self.program.at.dir).map(str::to_owned);
        last.map(str::to_owned).or_else(given).or_else(folder)
    }

    fn main_class(&self) -> Option<String> {
        let is_class = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '$');
        let names = ["mainClass", "mainClassName", "Main-Class", "main"];
        let mut named = names.iter().filter_map(|name| Some(self.script.setting(name)?.0));
        let named = named.find(|class| class.chars().all(is_class));
        named.or_else(|| Some(self.program.sources.main()?.class.clone()))
    }

    fn facts(&self) -> (Facts, u32) {
        let (build, at) = (self.build, self.program.at);
        let of_plugins = match () {
            () if self.has("org.jetbrains.kotlin.") => "kotlin",
            () if self.has("scala") => "scala",
            () => "java",
        };
        let script = at.first_of(SCRIPTS).map(|name| at.place(name, None));
        let settings = || Some(build.root.place(build.root.first_of(SETTINGS)?, None));
        let why = (Fixed::ItsBuildScript, script.or_else(settings));
        let tool = if build.has_wrapper { GRADLEW } else { GRADLE };
        let language = self.program.sources.language(of_plugins);
        let (mut facts, java) = java::facts(at, tool, language, why, self.wanted());
        if !build.has_wrapper {
            facts.language = &PACKAGED;
            facts.set("image", self.image(java));
        }
        facts.name = self.name().unwrap_or_default();
        (facts, java)
    }

    /// The image with Gradle in it, for projects without a whole wrapper.
    fn image(&self, java: u32) -> String {
        let before = |version| self.boot().is_some_and(|boot| boot < version);
        let (gradle, newest) = match self.build.wrapper {
            Some(version) => (version.major_minor().to_string(), java),
            None if self.is_old() || before((2, 5)) => ("6.9".to_owned(), 11),
            None if before((3, 0)) => ("7.6".to_owned(), 17),
            None if java > 21 => ("9".to_owned(), java),
            // Most builds work with it.
            None => ("8".to_owned(), java),
        };
        format!("gradle:{gradle}-jdk{}", java.min(newest))
    }

    /// Whether a configuration is used that Gradle 7 dropped.
    fn is_old(&self) -> bool {
        let old = ["compile '", "compile \"", "compile(", "compile group", "compile project"];
        self.script.lines.iter().any(|(line, _)| old.iter().any(|form| line.starts_with(form)))
    }

    fn library(&self) -> Facts {
        let at = self.program.at;
        let place = at.first_of(SCRIPTS).map(|name| at.place(name, None));
        let (facts, why) = (self.facts().0, Fixed::NothingRunByPlugin);
        let command = self.gradle(&self.task("assemble"));
        launch::library(facts, self.build.root.dir, &command, why, place)
    }

    /// A command of Gradle, for the root.
    fn gradle(&self, arguments: &str) -> String {
        // A checkout may have lost the permission.
        let whole = "chmod +x gradlew && ./gradlew";
        let gradle = if self.build.has_wrapper { whole } else { "gradle" };
        format!("{gradle} --no-daemon {arguments}")
    }

    /// Whether a plugin makes something to run.
    fn packs(&self) -> bool {
        let has_main = !self.program.sources.mains.is_empty();
        let packers = [&[BOOT, "io.quarkus"], WAR, SHADOW].concat();
        self.has_any(STARTERS) || has_main && self.has_any(&packers)
    }

    fn service(&self) -> Option<Facts> {
        let (at, script) = (self.program.at, &self.script);
        let (applies, is_war) = (self.has_any(STARTERS), self.has_any(WAR));
        if self.has_any(ANDROID) || self.has_any(ELSEWHERE) && !applies {
            return None;
        }
        let has_main = !self.program.sources.mains.is_empty();
        let is_boot = self.has(BOOT) && (has_main || self.build.modules.len() == 1);
        let class = self.main_class();
        let (mut facts, java) = self.facts();
        self.dependencies(&mut facts);
        let libs = at.path("build/libs");
        let run = |facts: &mut Facts, arguments: &str| {
            facts.build(self.build.root.dir, self.gradle(arguments));
        };
        let jar = |facts: &mut Facts, task: &str, extension: &str| {
            run(facts, &self.task(task));
            launch::jar(facts, &libs, extension)
        };
        let layout = if self.has("io.quarkus") {
            run(&mut facts, &format!("{} -x test", self.task("build")));
            facts.take(&at.path("build/quarkus-app"), "");
            Layout::Quarkus
        } else if is_boot && is_war {
            jar(&mut facts, "bootWar", "war")
        } else if is_boot {
            jar(&mut facts, "bootJar", "jar")
        } else if is_war && !applies {
            run(&mut facts, &self.task("war"));
            launch::war(&mut facts, &libs, java)
        } else if applies && (class.is_some() || self.has(RATPACK)) {
            run(&mut facts, &self.task("installDist"));
            let given = script.setting("applicationName").map(|(name, _)| name);
            // The context lies in `/build`.
            let name = given.or_else(|| self.name()).unwrap_or_else(|| "build".to_owned());
            facts.take(&at.path(&format!("build/install/{name}")), "");
            Layout::Script(name)
        } else if self.has_any(SHADOW) && class.is_some() {
            jar(&mut facts, "shadowJar", "jar")
        } else if script.mentions(&["Main-Class"]) && script.mentions(&["zipTree"]) {
            // A jar task that packs what the program needs into the jar.
            jar(&mut facts, if script.mentions(&["fatJar"]) { "fatJar" } else { "jar" }, "jar")
        } else {
            let class = class.filter(|_| has_main)?;
            let init = "/tmp/libraries.gradle";
            facts.write_for_build(init, LIBRARIES);
            run(&mut facts, &format!("-I {init} {}", self.task("peelboxLibraries")));
            facts.program("lib");
            Layout::Class(&["lib/*"], vec![class])
        };
        self.program.launch(&mut facts, &layout);
        Some(facts)
    }

    /// The step that fetches Gradle, plugins and what is known of the dependencies: it sees scripts and settings alone.
    fn dependencies(&self, facts: &mut Facts) {
        let root = self.build.root;
        let takes = |name: &str| {
            let ends = [".gradle", ".gradle.kts", ".properties"];
            ends.iter().any(|end| name.ends_with(end)) || name == "gradlew"
        };
        let dirs = self.build.modules.values().map(|dir| self.build.at(dir));
        let scripts = dirs.flat_map(|at| {
            let names = at.entries().into_iter().flat_map(|entries| &entries.files);
            names.filter(|name| takes(name)).map(move |name| at.path(name))
        });
        let folders = LOGIC.iter().chain(&["gradle"]).filter(|name| root.has_dir(name));
        let mut files: Vec<String> = scripts.chain(folders.map(|name| root.path(name))).collect();
        let read = self.build.modules.values().map(|dir| script(self.build.at(dir), SCRIPTS));
        let read = read.chain([self.build.settings.clone()]);
        match read.map(|script| script.references(root)).collect::<Option<Vec<_>>>() {
            Some(referred) => files.extend(referred.into_iter().flatten()),
            // A script that can't be told: the step sees everything.
            None => files.clear(),
        }
        let command = self.gradle(&format!("{} --quiet", self.task("dependencies")));
        facts.install(files, [launch::ahead(root.dir, &command)]);
    }

    /// What the scripts say of Java, and what Gradle and Spring Boot can live with.
    fn wanted(&self) -> Wanted {
        let pins = [&self.script, &self.build.top].into_iter().flat_map(|holder| {
            VERSIONS.iter().filter_map(|name| {
                let (value, evidence) = holder.setting(name)?;
                let is_version = major(&value).is_some();
                let version = if is_version { value } else { self.named(&value)? };
                Some(Pin { version, rule: (*name).to_owned(), evidence })
            })
        });
        let old = self.is_old().then_some(Version::of(6, 9));
        let gradle = self.build.wrapper.or(old);
        let is_new = self.boot() >= Some((3, 0)) || gradle.is_some_and(|it| it.major >= 9);
        let newest = gradle.and_then(|gradle| newest_for(LIMITS, gradle));
        let default = Wanted::default();
        let fallback = newest.map_or(default.fallback, |java| (java.major, Fixed::JavaOfWrapper));
        Wanted { build: pins.collect(), fallback, least: if is_new { 17 } else { default.least } }
    }

    /// The value of the catalog, of `gradle.properties` or of the script by its name.
    fn named(&self, reference: &str) -> Option<String> {
        let name = reference
            .trim_matches(['$', '{', '}'])
            .trim_start_matches("project.")
            .trim_start_matches("libs.versions.");
        let name = name.split(".get").next()?;
        let of_properties = || {
            let properties = self.build.root.properties("gradle.properties")?;
            properties.get(name).map(|(value, _)| value.to_owned())
        };
        let of_script = || {
            let is_plain = !name.is_empty() && word(name, "") == name;
            let (value, _) = self.script.setting(name).filter(|_| is_plain)?;
            major(&value).map(|_| value)
        };
        self.build.catalog.version(name).or_else(of_properties).or_else(of_script)
    }

    /// Major and minor version of Spring Boot's plugin: of the plugin block, the build's class path, or the catalog.
    fn boot(&self) -> Option<(u32, u32)> {
        let version = |text: &str| {
            let version = Version::parse(text.trim_start_matches(|c: char| !c.is_ascii_digit()))?;
            Some((version.major, version.minor.unwrap_or(0)))
        };
        let top = &self.build.top;
        let of_line = |line: &str| match line.split_once("spring-boot-gradle-plugin:") {
            Some((_, rest)) if rest.starts_with('$') => {
                version(&top.setting(word(rest.trim_start_matches(['$', '{']), ""))?.0)
            }
            Some((_, rest)) => version(rest),
            None => version(line.split_once(BOOT)?.1.split_once("version")?.1),
        };
        let mut lines = self.script.lines.iter().chain(&top.lines);
        let mut names = ["spring-boot", "springBoot"].iter();
        let listed = || version(&names.find_map(|name| self.build.catalog.version(name))?);
        lines.find_map(|(line, _)| of_line(line)).or_else(listed)
    }
}
