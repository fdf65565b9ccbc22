//! How a built JVM application is started, on which port, and where it tells its health.

use super::{
    framework::{self, Facts, Framework, LISTENING},
    settings,
    sources::Sources,
};
use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, official, quote},
        node, source,
    },
    images::Family,
    model::join,
    procfile::procfile,
};

/// What lies in the image.
pub(super) enum Layout {
    /// `/app/app.jar` with everything in it.
    Jar,
    /// `/app/app.jar` and `/app/lib`; the class to start.
    ClassPath(String),
    /// All jars in `/app/lib`; the class to start.
    Libraries(String),
    /// Class files in `/app/lib`; the class to start.
    Classes(String),
    /// Quarkus' folder in `/app`.
    Quarkus,
    /// A start script: `/app/bin/NAME`.
    Script(String),
    /// An application in Tomcat.
    Tomcat,
}

/// What is launched.
pub(super) struct Launch<'a> {
    pub(super) layout: Layout,
    pub(super) dir: &'a str,
    pub(super) framework: Option<&'static Framework>,
    pub(super) facts: &'a Facts,
    pub(super) sources: &'a Sources,
}

/// Sets start command, port, health and the environment they need.
pub(super) fn launch(project: &Project<'_>, service: &mut Service, launch: &Launch<'_>) {
    let mut rule = "what the build makes";
    let mut command: Vec<String> = match &launch.layout {
        Layout::Jar => ["java", "-jar", "/app/app.jar"].map(str::to_owned).into(),
        Layout::ClassPath(class) => {
            rule = "the class with a main method";
            vec!["java".into(), "-cp".into(), "/app/app.jar:/app/lib/*".into(), class.clone()]
        }
        Layout::Libraries(class) => {
            rule = "the class with a main method";
            vec!["java".into(), "-cp".into(), "/app/lib/*".into(), class.clone()]
        }
        Layout::Classes(class) => {
            rule = "the class with a main method";
            vec!["java".into(), "-cp".into(), "/app/lib".into(), class.clone()]
        }
        Layout::Quarkus => ["java", "-jar", "/app/quarkus-run.jar"].map(str::to_owned).into(),
        Layout::Script(name) => vec![format!("{APP_DIR}/bin/{name}")],
        Layout::Tomcat => ["catalina.sh", "run"].map(str::to_owned).into(),
    };
    let id = launch.framework.map_or("", |framework| framework.id);
    if service.spec.runtime.workdir.is_none() {
        service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    }
    if id == "dropwizard" {
        command.extend(dropwizard(project, service, launch.dir));
    }
    let mut evidence: Vec<Evidence> =
        launch.sources.main().map(|main| main.evidence.clone()).into_iter().collect();
    if let Some(process) = procfile(project, launch.dir)
        && let Some(arguments) = java_arguments(&process.line)
        && matches!(launch.layout, Layout::Jar)
    {
        // The paths are those of the image; options and arguments are the project's.
        let shell = arguments.iter().any(|word| word.contains('$'));
        let (before, after) = split_at_jar(&arguments);
        command = match shell {
            true => {
                let line = format!("exec java {before} -jar /app/app.jar {after}");
                vec![
                    "/bin/sh".into(),
                    "-c".into(),
                    line.split_whitespace().collect::<Vec<_>>().join(" "),
                ]
            }
            false => {
                let words =
                    |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                let mut all = vec!["java".to_owned()];
                all.extend(words(&before));
                all.extend(["-jar".to_owned(), "/app/app.jar".to_owned()]);
                all.extend(words(&after));
                all
            }
        };
        service.weight = Weight::Stated;
        rule = "Procfile web";
        evidence = vec![process.evidence];
    }
    let is_class =
        matches!(launch.layout, Layout::ClassPath(_) | Layout::Libraries(_) | Layout::Classes(_));
    if let Some(process) = procfile(project, launch.dir).filter(|_| is_class)
        && let Some(class) = started_class(&process.line)
    {
        // The class and its arguments are the project's, where the classes lie is the image's.
        command.pop();
        command.extend(class);
        if command.iter().any(|word| word.contains('$')) {
            let words: Vec<String> = command.iter().map(|word| in_shell(word)).collect();
            command = vec!["/bin/sh".into(), "-c".into(), format!("exec {}", words.join(" "))];
        }
        service.weight = Weight::Stated;
        rule = "Procfile web";
        evidence = vec![process.evidence];
    }
    service.start(command.iter().map(String::as_str), rule, evidence);
    // What lies among the sources is packed with them.
    service.claims.push(join(launch.dir, "src/main"));
    quinoa(project, service, launch);
    if matches!(launch.layout, Layout::Tomcat) {
        service.port(8080, "Tomcat's default", []);
        return;
    }
    port(project, service, launch, id);
    if service.spec.runtime.ports.is_empty() {
        let works = source::is_background(launch.dir)
            || launch.facts.names.iter().any(|(name, _)| source::is_background(name));
        if is_class
            && id.is_empty()
            && !works
            && launch.dir != "."
            && service.weight < Weight::Stated
        {
            // A program that nothing packs and that neither serves nor waits for work is a tool beside services.
            service.weight = Weight::Manifest;
        }
        return;
    }
    if let Some((path, evidence)) = framework::health(id, launch.facts) {
        let prefix = settings::context_path(project, launch.dir, id);
        let path = format!("{prefix}{path}");
        service.decide("health", path.clone(), "a dependency brings it", [evidence]);
        service.spec.runtime.health = Some(path);
    }
}

/// Quinoa lets Quarkus build the front end in `src/main/webui`, with the npm that is there.
fn quinoa(project: &Project<'_>, service: &mut Service, launch: &Launch<'_>) {
    let Some(evidence) = launch.facts.find("quarkus-quinoa") else { return };
    let Some(assets) = node::assets(project, &join(launch.dir, "src/main/webui")) else { return };
    service.build_packages(assets.packages.iter().map(String::as_str));
    service.decide("packages", "nodejs npm", "Quinoa builds the front end", [evidence]);
    let update = assets.install.into_iter().find(|c| c.starts_with("npm install -g node@"));
    service.spec.build.commands.splice(0..0, update);
}

/// Options, the jar and arguments of `java … -jar X …`; `None` for any other command.
fn java_arguments(line: &str) -> Option<Vec<String>> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let java = words.iter().position(|word| word == "java" || word.ends_with("/java"))?;
    let plain = !line.contains(['|', ';', '&', '\'', '"', '`']);
    let has_jar = words.iter().any(|word| word == "-jar");
    (plain && has_jar).then(|| words[java + 1..].to_vec())
}

/// Class and arguments of `java -cp PATH CLASS …`; `None` for any other command.
fn started_class(line: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let java = words.iter().position(|word| *word == "java" || word.ends_with("/java"))?;
    let plain = !line.contains(['|', ';', '&', '\'', '"', '`']);
    let path =
        words.iter().position(|word| ["-cp", "-classpath", "--class-path"].contains(word))?;
    let rest = words.get(path + 2..).filter(|_| plain && java == 0)?;
    let class = rest.iter().position(|word| !word.starts_with(['-', '$']))?;
    let is_class = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
    let found = rest[class..].iter().map(|word| (*word).to_owned()).collect();
    rest[class].chars().all(is_class).then_some(found)
}

/// A word for a shell that is to expand variables in it and nothing else.
fn in_shell(word: &str) -> String {
    if word.contains('*') { quote(word) } else { word.to_owned() }
}

fn split_at_jar(words: &[String]) -> (String, String) {
    let at = words.iter().position(|word| word == "-jar").unwrap_or(words.len());
    let after = words.get(at + 2..).unwrap_or_default();
    (words[..at].join(" "), after.join(" "))
}

fn port(project: &Project<'_>, service: &mut Service, launch: &Launch<'_>, id: &str) {
    let set = settings::port(project, launch.dir, id);
    // What Spring, Quarkus and Micronaut listen on stands in their settings, never in the text.
    let by_settings =
        matches!(id, "spring-boot" | "quarkus" | "micronaut" | "helidon" | "grails" | "play");
    let text = match by_settings {
        true => source::Ports::default(),
        false => source::ports(&launch.sources.files, LISTENING),
    };
    let is_spring = id == "spring-boot";
    let serves = match id {
        "spring-boot" => set.number.is_some() || framework::is_spring_web(launch.facts),
        "" => framework::serves(launch.sources) || text.env.is_some(),
        _ => true,
    };
    if !serves {
        if id.is_empty()
            && let Some((port, evidence)) = source::address(&launch.sources.files)
        {
            service.port(port, "the address that the program binds to", [evidence]);
        }
        if is_spring {
            service.decide("port", "", "no starter brings a web server", []);
        }
        return;
    }
    let number = set.number.clone().or_else(|| text.number.clone());
    let default = launch.framework.map_or(8080, |framework| framework.port);
    match number {
        Some((port, evidence)) => service.port(port, "its settings or its text", [evidence]),
        None => {
            service.port(if default == 0 { 8080 } else { default }, "the framework's default", [])
        }
    }
    let port = service.spec.runtime.ports.first().copied().unwrap_or(8080).to_string();
    if set.env.is_some() || text.env.is_some() {
        service.env("PORT", port.clone());
    }
    match id {
        "play" => {
            // Play refuses to start without a secret; this one is for a first run and is to be replaced.
            service.env("PLAY_HTTP_PORT", port);
        }
        "quarkus" => service.env("QUARKUS_HTTP_HOST", "0.0.0.0"),
        _ => {}
    }
}

/// `server config.yml`: without them a Dropwizard application prints its usage.
fn dropwizard(project: &Project<'_>, service: &mut Service, dir: &str) -> Vec<String> {
    let entries = project.tree.entries(dir);
    let mut found = entries.into_iter().flat_map(|entries| &entries.files).filter(|name| {
        name.ends_with(".yml")
            && !name.starts_with('.')
            && !name.contains("docker")
            && !name.contains("compose")
    });
    match found.next() {
        Some(name) => {
            let path = join(dir, name);
            service.copy(&path, &format!("{APP_DIR}/{name}"));
            vec!["server".into(), format!("{APP_DIR}/{name}")]
        }
        None => vec!["server".into()],
    }
}

/// A command that puts the one jar of a folder that can be started at a known place.
pub(super) fn pick_jar(folder: &str, extension: &str) -> String {
    format!(
        "mkdir -p {OUT_DIR} && cp \"$(ls {}/*.{extension} | grep -v -e '-plain\\.' -e '-sources\\.' -e '-javadoc\\.' -e '-tests\\.' -e '/original-' | head -n 1)\" {OUT_DIR}/app.jar",
        quote(folder)
    )
}

/// An application that Tomcat serves, unpacked: its folder is not writable for the user, so Tomcat can't unpack it.
pub(super) fn tomcat(
    project: &Project<'_>,
    service: &mut Service,
    facts: &Facts,
    sources: &Sources,
    java: u32,
    from: &str,
) {
    // Tomcat 10 has the packages of Jakarta EE 9, Tomcat 9 those of Java EE 8 (tomcat.apache.org/whichversion.html).
    let jakarta = facts.find("jakarta.").or_else(|| sources.mention("import jakarta.servlet"));
    let old = facts.find("javax.servlet").or_else(|| sources.mention("import javax.servlet"));
    let version = if jakarta.is_some() && old.is_none() && java >= 11 { "10.1" } else { "9.0" };
    match project.bases {
        Family::Official => {
            service.spec.runtime.base = official(&format!("tomcat:{version}-jre{java}-temurin"));
            service.copy(from, "/usr/local/tomcat/webapps/ROOT");
            service.spec.runtime.workdir = Some("/usr/local/tomcat".to_owned());
        }
        Family::Wolfi | Family::Debian => {
            // Neither has a Tomcat that is laid out for containers.
            service.spec.runtime.base = official(&format!("tomcat:{version}-jre{java}-temurin"));
            service.spec.runtime.packages.clear();
            service.copy(from, "/usr/local/tomcat/webapps/ROOT");
            service.spec.runtime.workdir = Some("/usr/local/tomcat".to_owned());
            service.decide("base", "tomcat", "the family has no Tomcat of its own", []);
        }
    }
    let evidence = jakarta.or(old);
    service.decide(
        "base",
        format!("tomcat:{version}"),
        "a war needs a servlet container",
        evidence,
    );
}
