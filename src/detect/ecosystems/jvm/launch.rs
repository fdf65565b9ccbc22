//! How a built JVM application is started, on which port, and where it tells its health.

use super::{
    framework::{self, COMMON, Names, SERVERS, SPRING_WEB, Settings},
    java::{JAVA, LIBRARY, TOMCAT},
    sources::Sources,
};
use crate::{
    detect::{framework::Known, prelude::*},
    spec::BUILD_DIR,
};

/// What lies in the image; its parts are below the home.
pub(super) enum Layout {
    /// `app.jar`, with what it needs inside or where its manifest says.
    Jar,
    /// The folder that Quarkus makes.
    Quarkus,
    /// A class path; the class to start and its arguments.
    Class(&'static [&'static str], Vec<String>),
    /// A start script in `bin`.
    Script(String),
    /// An application in Tomcat: the folder where the build leaves it unpacked, and the version of Java.
    War(String, u32),
}

/// A module, as build files and sources tell of it.
pub(super) struct Program<'a> {
    pub(super) at: Folder<'a>,
    pub(super) names: Names,
    pub(super) sources: Sources,
    pub(super) framework: Option<Known<Settings>>,
}

impl<'a> Program<'a> {
    pub(super) fn new(at: Folder<'a>, names: Names, sources: Sources) -> Self {
        Self { at, framework: names.framework(), names, sources }
    }

    /// Adds its framework, what it is started with, port, health and the environment they need.
    pub(super) fn launch(&self, facts: &mut Facts, layout: &Layout) {
        let is_packed = match layout {
            Layout::Class(..) => false,
            Layout::Script(_) => !self.sources.mains.is_empty(),
            _ => true,
        };
        facts.weight = if is_packed { Weight::Framework } else { Weight::Starts };
        facts.of_framework(self.framework.as_ref(), Fixed::DependencyOrPlugin);
        // What lies among the sources is packed with them.
        facts.claims.push(self.at.path("src/main"));
        self.quinoa(facts);
        self.start(facts, layout);
        if let Layout::War(folder, java) = layout {
            return self.tomcat(facts, folder, *java);
        }
        let port = self.port(facts);
        facts.port(port);
        let Some(port) = facts.port_number() else {
            let is_class = matches!(layout, Layout::Class(..));
            if is_class && facts.framework.is_none() && facts.weight < Weight::Stated {
                let names = self.names.0.iter().map(|(name, _)| name.as_str());
                facts.weigh_silent(names.chain([self.at.dir]));
            }
            return;
        };
        if facts.framework == Some("play") {
            facts.env("PLAY_HTTP_PORT", port.to_string());
        }
        let settings = self.framework.as_ref().and_then(|known| known.framework.own);
        if let Some(settings) = settings.filter(|settings| !settings.health.1.is_empty())
            && let Some(place) = self.names.find(settings.health.0)
            && let Some(path) = framework::health(self.at, settings, port)
        {
            facts.health(path, Fixed::BroughtByDependency, [place]);
        }
    }

    fn start(&self, facts: &mut Facts, layout: &Layout) {
        let mut command = layout.command(facts.language);
        if facts.framework == Some("dropwizard") {
            command.extend(self.dropwizard(facts));
        }
        let process = self.at.procfile();
        let stated = process.and_then(|it| Some((layout.stated(&command, &it.line)?, it)));
        if let Some((command, process)) = stated {
            facts.weight = Weight::Stated;
            return facts.start(command, Rule::Procfile(process.name), [process.evidence]);
        }
        let is_class = matches!(layout, Layout::Class(..));
        let rule = if is_class { Fixed::ClassWithMain } else { Fixed::MadeByBuild };
        facts.start(command, rule, self.sources.main().map(|main| main.place.clone()));
    }

    /// Quinoa lets Quarkus build the front end in `src/main/webui`, with the npm that is there.
    fn quinoa(&self, facts: &mut Facts) {
        let folder = self.at.path("src/main/webui");
        let has_front_end = self.at.project.tree.has(&join(&folder, "package.json"));
        if has_front_end && self.names.have(&["quarkus-quinoa"]) {
            facts.with_node(self.at.project, &folder);
        }
    }

    /// `server config.yml`: without them a Dropwizard application prints its usage.
    fn dropwizard(&self, facts: &mut Facts) -> Vec<String> {
        let mut names = self.at.entries().into_iter().flat_map(|entries| entries.ending(".yml"));
        let is_other = |name: &str| name.contains("docker") || name.contains("compose");
        let config = names.find(|name| !name.starts_with('.') && !is_other(name)).map(|name| {
            facts.take(&self.at.path(name), name);
            facts.language.in_home(name)
        });
        ["server".to_owned()].into_iter().chain(config).collect()
    }

    fn port(&self, facts: &mut Facts) -> Option<Port> {
        let files = &self.sources.files;
        let framework = self.framework.as_ref().map(|known| known.framework);
        let own = framework.and_then(|framework| framework.own);
        let set = framework::ports(match facts.framework {
            Some("dropwizard") => framework::connectors(self.at),
            _ => framework::values(self.at, own.unwrap_or(COMMON).port),
        });
        let text = match own {
            Some(own) => {
                let number = framework::in_sources(files, own.port);
                source::Ports { env: None, number }
            }
            None => source::ports(files, JAVA.listens),
        };
        let found = set.number.or(text.number);
        let serves = match facts.framework {
            Some("spring-boot") => found.is_some() || self.names.have(SPRING_WEB),
            Some(_) => true,
            None => text.env.is_some() || self.sources.mention(SERVERS),
        };
        match framework {
            None if !serves => return source::port(files, &[], None),
            Some(_) if !serves => {
                facts.decide(What::Port, "", Fixed::NoWebStarter, []);
                return None;
            }
            _ => {}
        }
        let default = framework.map_or(8080, |framework| framework.port);
        let is_told = set.env.or(text.env).is_some();
        Some(Port { is_told, ..Port::of(found, Fixed::SettingsOrText, default) })
    }

    /// An application that Tomcat serves, unpacked: its folder is not writable for the user, so Tomcat can't unpack it.
    fn tomcat(&self, facts: &mut Facts, folder: &str, java: u32) {
        // Tomcat 10 has the packages of Jakarta EE 9, Tomcat 9 those of Java EE 8 (tomcat.apache.org/whichversion.html).
        let uses = |name, import| self.names.have(&[name]) || self.sources.mention(&[import]);
        let is_new = java >= 11 && uses("jakarta.", "import jakarta.servlet");
        let is_old = uses("javax.servlet", "import javax.servlet");
        facts.set("tomcat", if is_new && !is_old { "10.1" } else { "9.0" });
        facts.runs_on = Some(&TOMCAT);
        facts.take(folder, "webapps/ROOT");
        let rule = Fixed::TomcatDefault.into();
        facts.port(Some(Port { number: 8080, rule, place: None, is_told: false }));
    }
}

impl Layout {
    /// What is started; everything is in the home of the row.
    pub(super) fn command(&self, row: &Language) -> Vec<String> {
        let java = |option: &str, path: String| vec!["java".to_owned(), option.to_owned(), path];
        match self {
            Self::Jar => java("-jar", row.in_home("app.jar")),
            Self::Quarkus => java("-jar", row.in_home("quarkus-run.jar")),
            Self::Class(path, words) => {
                let path: Vec<String> = path.iter().map(|part| row.in_home(part)).collect();
                [java("-cp", path.join(":")), words.clone()].concat()
            }
            Self::Script(name) => vec![row.in_home(&format!("bin/{name}"))],
            Self::War(..) => ["catalina.sh", "run"].map(str::to_owned).into(),
        }
    }

    /// What a line `java OPTIONS -jar JAR ARGUMENTS` or `java OPTIONS -cp PATH CLASS ARGUMENTS` of a `Procfile` means for
    /// it: the path is that of its own command; options, class and arguments are the project's.
    fn stated(&self, own: &[String], line: &str) -> Option<Vec<String>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let find = |names: &[&str]| words.iter().position(|word| names.contains(word));
        let java = words.iter().position(|word| *word == "java" || word.ends_with("/java"))?;
        let (before, after) = match self {
            _ if line.contains(['|', ';', '&', '\'', '"', '`']) => return None,
            Self::Jar => {
                let jar = find(&["-jar"])?;
                (words.get(java + 1..jar)?, words.get(jar + 2..).unwrap_or_default())
            }
            Self::Class(..) if java == 0 => {
                let rest = words.get(find(&["-cp", "-classpath", "--class-path"])? + 2..)?;
                let class = rest.iter().position(|word| !word.starts_with(['-', '$']))?;
                let is_class = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
                rest[class].chars().all(is_class).then_some((&[][..], &rest[class..]))?
            }
            _ => return None,
        };
        let path = quote(&own[2]);
        let line = [&["java"][..], before, &[&own[1], &path], after].concat();
        Some(exec_form(&line.join(" ")))
    }
}

/// Fetches dependencies before the sources are there; what fails then, for want of a source or else, the build does again.
pub(super) fn ahead(dir: &str, command: &str) -> Step {
    Step::new(Kind::Install, dir, format!("{command} || true"))
}

/// The first jar that a command lists, at a known place.
pub(super) fn first_jar(facts: &mut Facts, dir: &str, lists: &str) -> Layout {
    facts.build(dir, format!("mkdir -p {OUT} && cp \"$({lists} | head -n 1)\" {OUT}/app.jar"));
    facts.program("app.jar");
    Layout::Jar
}

/// The one jar of a folder that can be started.
pub(super) fn jar(facts: &mut Facts, folder: &str, extension: &str) -> Layout {
    let others = "-e '-plain\\.' -e '-sources\\.' -e '-javadoc\\.' -e '-tests\\.' -e '/original-'";
    let lists = format!("ls {}/*.{extension} | grep -v {others}", quote(folder));
    first_jar(facts, ".", &lists)
}

/// The war of a folder, unpacked.
pub(super) fn war(facts: &mut Facts, folder: &str, java: u32) -> Layout {
    let root = format!("{OUT}/ROOT");
    let folder = quote(folder);
    facts.build(".", format!("mkdir -p {root} && cd {root} && jar -xf {BUILD_DIR}/{folder}/*.war"));
    Layout::War(root, java)
}

/// A module of which nothing is started: a command still builds it.
pub(super) fn library(
    mut facts: Facts,
    dir: &str,
    command: &str,
    why: Fixed,
    place: Option<Evidence>,
) -> Facts {
    facts.runs_on = Some(&LIBRARY);
    facts.build(dir, command);
    facts.nothing(why, place)
}

/// Those that are packed or stand on a framework, where there are any: what merely has a `main` beside them is a tool.
/// Without any service the library.
pub(super) fn deployed(
    services: impl Iterator<Item = Facts>,
    library: impl FnOnce() -> Option<Facts>,
) -> Vec<Facts> {
    let mut all: Vec<Facts> = services.collect();
    if all.iter().any(|facts| facts.weight >= Weight::Framework) {
        all.retain(|facts| facts.weight >= Weight::Framework);
    }
    if all.is_empty() { library().into_iter().collect() } else { all }
}
