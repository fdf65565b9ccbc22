//! Clojure: Leiningen (`project.clj`) and the Clojure tools (`deps.edn`).

use super::{
    java::{self, Wanted},
    launch,
};
use crate::detect::{
    Evidence, Project, Service, Text, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, draft, official, quote, within},
        pins::stated,
        source,
    },
    images::Family,
    model::join,
    procfile::procfile,
};

/// All services in Clojure.
pub(super) fn find(project: &Project<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        if entries.has("project.clj") {
            services.extend(lein(project, dir));
        } else if entries.has("deps.edn") {
            services.extend(tools(project, dir));
        }
    }
    services
}

fn base(
    project: &Project<'_>,
    dir: &str,
    system: &'static str,
    manifest: &str,
    image: &str,
) -> Service {
    let mut service = draft(dir, "clojure", system);
    let evidence = || [Evidence::file(manifest.to_owned())];
    service.decide("language", "clojure", "its manifest", evidence());
    service.decide("build system", system, "its manifest", evidence());
    let wanted = Wanted {
        build: stated(project, dir).into_iter().collect(),
        fallback: (java::DEFAULT, "default of the table"),
        least: 8,
    };
    let (version, decision) = java::version(project, dir, wanted);
    service.decisions.push(decision);
    service.spec.build.base = match project.bases {
        Family::Official => official(&format!("clojure:temurin-{version}-{image}")),
        Family::Wolfi | Family::Debian => {
            let base = java::jdk(project, &mut service, version);
            service.build_packages([if system == "lein" { "leiningen" } else { "clojure" }]);
            base
        }
    };
    java::runtime(project, &mut service, version);
    service.cache(["/root/.m2"]);
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    service
}

fn lein(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "project.clj");
    let text = project.tree.read(&path)?;
    let mut service = base(project, dir, "lein", &path, "lein");
    let name =
        text.text.split("(defproject").nth(1).and_then(|rest| rest.split_whitespace().next());
    service.name(name.and_then(|name| name.rsplit('/').next()).unwrap_or_default());
    common(project, &mut service, dir, &text);
    service.dependencies(vec![path.clone()], vec![within(dir, "lein deps")]);
    let has_main = text.line_of(":main");
    let is_ring = text.line_of("lein-ring").or_else(|| text.line_of(":ring"));
    let procfile = procfile(project, dir);
    if has_main.is_none() && is_ring.is_none() && procfile.is_none() {
        service.decide("start command", "", "project.clj names no :main", [Evidence::file(path)]);
        service.spec.build.commands = vec![within(dir, "lein jar")];
        return Some(service);
    }
    service.weight = service.weight.max(Weight::Starts);
    let task =
        if has_main.is_none() && is_ring.is_some() { "lein ring uberjar" } else { "lein uberjar" };
    let jars = "find target -name '*.jar'";
    let name = word_after(&text, ":uberjar-name").map(|name| name.trim_matches('"').to_owned());
    let pick = match name {
        Some(name) => format!("{jars} -name {}", quote(&name)),
        None => format!("{jars} -name '*standalone*'"),
    };
    service.spec.build.commands = vec![
        within(dir, task),
        within(
            dir,
            &format!("mkdir -p {OUT_DIR} && cp \"$({pick} | head -n 1)\" {OUT_DIR}/app.jar"),
        ),
    ];
    service.decide(
        "build command",
        task,
        "Leiningen packs everything into one jar",
        [Evidence::line(path, has_main.or(is_ring))],
    );
    service.copy(&format!("{OUT_DIR}/app.jar"), &format!("{APP_DIR}/app.jar"));
    let evidence = [Evidence::line(text.path.clone(), has_main.or(is_ring))];
    // Without :main the jar does not say what to start, the Procfile does.
    let namespace = procfile.as_ref().and_then(|process| {
        let mut words = process.line.split_whitespace().skip_while(|word| *word != "clojure.main");
        words.by_ref().find(|word| *word == "-m")?;
        Some((words.next()?.to_owned(), process.evidence.clone()))
    });
    match namespace {
        Some((namespace, evidence)) if has_main.is_none() => {
            let words = ["java", "-cp", "/app/app.jar", "clojure.main", "-m", namespace.as_str()];
            service.start(words, "Procfile web", [evidence]);
        }
        _ => service.start(["java", "-jar", "/app/app.jar"], "the packed jar", evidence),
    }
    Some(service)
}

fn tools(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "deps.edn");
    let text = project.tree.read(&path)?;
    let mut service = base(project, dir, "none", &path, "tools-deps");
    common(project, &mut service, dir, &text);
    service.cache(["/root/.gitlibs"]);
    let has_build = project.tree.has(&join(dir, "build.clj"));
    let alias = |names: &[&str]| {
        names.iter().find_map(|name| Some(((*name).to_owned(), text.line_of(name)?)))
    };
    let prepare = if has_build { "clojure -P && clojure -P -T:build" } else { "clojure -P" };
    service.dependencies(vec![path.clone()], vec![within(dir, prepare)]);
    if has_build {
        let script = project.tree.read(&join(dir, "build.clj"));
        let task = script.as_ref().map_or("uber", |script| {
            ["uberjar", "uber", "ci"]
                .into_iter()
                .find(|name| script.text.contains(&format!("(defn {name}")))
                .unwrap_or("uber")
        });
        service.weight = service.weight.max(Weight::Starts);
        service.spec.build.commands = vec![
            within(dir, &format!("clojure -T:build {task}")),
            within(dir, &launch::pick_jar("target", "jar")),
        ];
        service.decide(
            "build command",
            format!("clojure -T:build {task}"),
            "tools.build",
            [Evidence::file(join(dir, "build.clj"))],
        );
        service.copy(&format!("{OUT_DIR}/app.jar"), &format!("{APP_DIR}/app.jar"));
        service.start(
            ["java", "-jar", "/app/app.jar"],
            "the packed jar",
            [Evidence::file(join(dir, "build.clj"))],
        );
        return Some(service);
    }
    // Without a build the program runs from its sources: the class path is worked out while it is built.
    let files = source::gather(project, dir, &["clj", "cljc"], &|_| false);
    let main = files.iter().find(|file| file.text.contains("(defn -main"));
    let namespace = main.and_then(|file| {
        file.text.split("(ns").nth(1)?.split_whitespace().next().map(str::to_owned)
    });
    let options = alias(&[":run-m", ":run", ":main", ":server", ":start"])
        .filter(|_| text.text.contains(":main-opts"));
    let command = match (namespace, &options) {
        (Some(namespace), _) => namespace.trim_end_matches(')').to_owned(),
        (None, Some((name, line))) => {
            service.decide(
                "start command",
                "",
                format!("the alias {name} names no namespace that could be found"),
                [Evidence::line(&path, Some(*line))],
            );
            return Some(service);
        }
        (None, None) => {
            service.decide("start command", "", "no namespace has a -main", [Evidence::file(path)]);
            return Some(service);
        }
    };
    service.weight = service.weight.max(Weight::Starts);
    service.spec.build.commands = vec![within(
        dir,
        &format!(
            "mkdir -p {OUT_DIR}/lib && clojure -Spath | tr ':' '\\n' | grep '\\.jar$' | xargs -I{{}} cp {{}} {OUT_DIR}/lib/"
        ),
    )];
    service.copy(&format!("{OUT_DIR}/lib"), &format!("{APP_DIR}/lib"));
    for name in ["src", "resources", "config"] {
        let folder = join(dir, name);
        if project.tree.has_dir(&folder) {
            service.copy(&folder, &format!("{APP_DIR}/{name}"));
        }
    }
    let evidence = main.map(|file| Evidence::line(&file.path, file.line_of("(defn -main")));
    service.start(
        [
            "java",
            "-cp",
            "/app/src:/app/resources:/app/lib/*",
            "clojure.main",
            "-m",
            command.as_str(),
        ],
        "the namespace with a -main",
        evidence,
    );
    Some(service)
}

/// Framework and port.
fn common(project: &Project<'_>, service: &mut Service, dir: &str, manifest: &Text) {
    let found = FRAMEWORKS.iter().find_map(|(id, name)| Some((*id, manifest.line_of(name)?)));
    let Some((id, line)) = found else { return };
    service.framework(id, "a dependency", [Evidence::line(&manifest.path, Some(line))]);
    let files = source::gather(project, dir, &["clj", "cljc", "edn"], &|_| false);
    let ports = source::ports(&files, &[":port", "run-jetty", "run-server", "start-server"]);
    match ports.number {
        Some((port, evidence)) => service.port(port, "the program's text", [evidence]),
        None => {
            service.port(if id == "pedestal" { 8080 } else { 3000 }, "the framework's default", [])
        }
    }
    let env = ports.env.or_else(|| source::mention(&files, "(env :port"));
    if let Some(port) = env.and_then(|_| service.spec.runtime.ports.first().copied()) {
        service.env("PORT", port.to_string());
    }
}

fn word_after(text: &Text, key: &str) -> Option<String> {
    text.text
        .split(key)
        .nth(1)?
        .split_whitespace()
        .next()
        .map(|word| word.trim_matches([')', '}']).to_owned())
}

static FRAMEWORKS: &[(&str, &str)] = &[
    ("luminus", "luminus"),
    ("kit", "kit-clj"),
    ("pedestal", "io.pedestal"),
    ("compojure", "compojure"),
    ("reitit", "metosin/reitit"),
    ("http-kit", "http-kit"),
    ("aleph", "aleph"),
    ("ring", "ring"),
];
