//! Clojure: Leiningen (`project.clj`) and the Clojure tools (`deps.edn`).

use super::{
    java::{self, CLOJURE, LEIN, Wanted},
    launch::{self, Layout},
};
use crate::detect::prelude::*;

static FRAMEWORKS: &[Framework] = &[
    framework("luminus", &["luminus"], 3000),
    framework("kit", &["kit-clj"], 3000),
    framework("pedestal", &["io.pedestal"], 8080),
    framework("compojure", &["compojure"], 3000),
    framework("reitit", &["metosin/reitit"], 3000),
    framework("http-kit", &["http-kit"], 3000),
    framework("aleph", &["aleph"], 3000),
    framework("ring", &["ring"], 3000),
];

/// Calls and keys that name the port.
const LISTENS: &[&str] = &[":port", "run-jetty", "run-server", "start-server"];

/// All services in Clojure.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    project.tree.dirs().filter_map(|(dir, _)| service(Folder::new(project, dir))).collect()
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let manifest = at.first_of(&["project.clj", "deps.edn"])?;
    let text = at.read(manifest)?;
    let is_lein = manifest == "project.clj";
    let place = || Some(Evidence::file(&text.path));
    let language = ("clojure", Fixed::ItsManifest, place());
    let tool = if is_lein { LEIN } else { CLOJURE };
    let why = (Fixed::ItsManifest, place());
    let (mut facts, _) = java::facts(at, tool, language, why, Wanted::default());
    // Debian has no Clojure that reads `deps.edn`.
    facts.lacking = if is_lein { &[Family::Wolfi] } else { &[Family::Wolfi, Family::Debian] };
    let known = framework::find(FRAMEWORKS, |name| {
        Some(Evidence::line(&text.path, Some(text.line_of(name)?)))
    });
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    if is_lein {
        lein(&mut facts, at, &text)
    } else {
        tools(&mut facts, at, &text)
    }
    if !facts.takes.is_empty() {
        facts.weight = facts.weight.max(Weight::Starts);
    }
    let files = at.sources(&["clj", "cljc", "edn"], &|_| false);
    let default = known.map(|known| (known.framework.port, Fixed::FrameworkDefault.into()));
    let is_told = source::mention(&files, "(env :port").is_some();
    let port = source::port(&files, LISTENS, default);
    facts.port(port.map(|port| Port { is_told: port.is_told || is_told, ..port }));
    Some(facts)
}

fn install(facts: &mut Facts, manifest: &Text, command: &str) {
    let step = launch::ahead(&facts.dir, command);
    facts.install(vec![manifest.path.clone()], [step]);
}

/// Starts the `-main` of a namespace.
fn start(
    facts: &mut Facts,
    path: &'static [&'static str],
    namespace: &str,
    why: impl Into<Rule>,
    place: Evidence,
) {
    let words = ["clojure.main", "-m", namespace].map(str::to_owned).into();
    facts.start(Layout::Class(path, words).command(facts.language), why, [place]);
}

fn lein(facts: &mut Facts, at: Folder<'_>, manifest: &Text) {
    let text = &manifest.text;
    let word = |key: &str| text.split(key).nth(1)?.split_whitespace().next();
    let name = word("(defproject").and_then(|name| name.rsplit('/').next());
    facts.name = name.unwrap_or_default().to_owned();
    install(facts, manifest, "lein deps");
    let main = manifest.line_of(":main");
    let ring = manifest.line_of("lein-ring").or_else(|| manifest.line_of(":ring"));
    let place = Evidence::line(&manifest.path, main.or(ring));
    let process = at.procfile();
    if main.or(ring).is_none() && process.is_none() {
        facts.build(at.dir, "lein jar");
        return facts.start(None::<String>, Fixed::NoLeinMain, [place]);
    }
    let is_ring = main.is_none() && ring.is_some();
    facts.build(at.dir, if is_ring { "lein ring uberjar" } else { "lein uberjar" });
    let jar = word(":uberjar-name").map(|name| name.trim_matches([')', '}']).trim_matches('"'));
    let jar = quote(jar.unwrap_or("*standalone*"));
    let lists = format!("find target -name '*.jar' -name {jar}");
    let layout = launch::first_jar(facts, at.dir, &lists);
    // Without :main the jar does not say what to start, the Procfile does.
    if let Some(process) = process.filter(|_| main.is_none())
        && let Some((_, words)) = process.line.split_once("clojure.main ")
        && let Some((_, words)) = words.split_once("-m ")
        && let Some(namespace) = words.split_whitespace().next()
    {
        let why = Rule::Procfile(process.name);
        return start(facts, &["app.jar"], namespace, why, process.evidence);
    }
    facts.start(layout.command(facts.language), Fixed::PackedJar, [place]);
}

fn tools(facts: &mut Facts, at: Folder<'_>, manifest: &Text) {
    if let Some(script) = at.read("build.clj") {
        install(facts, manifest, "clojure -P && clojure -P -T:build");
        let mut tasks = ["uberjar", "uber", "ci"].into_iter();
        let task = tasks.find(|name| script.text.contains(&format!("(defn {name}")));
        facts.build(at.dir, format!("clojure -T:build {}", task.unwrap_or("uber")));
        let command = launch::jar(facts, &at.path("target"), "jar").command(facts.language);
        return facts.start(command, Fixed::PackedJar, [at.place("build.clj", None)]);
    }
    install(facts, manifest, "clojure -P");
    // Without a build the program runs from its sources: the class path is worked out while it is built.
    let files = at.sources(&["clj", "cljc"], &|_| false);
    let main = files.iter().find(|file| file.text.contains("(defn -main"));
    let namespace = main.and_then(|file| file.text.split("(ns").nth(1)?.split_whitespace().next());
    let Some((main, namespace)) = main.zip(namespace) else {
        let mut aliases = [":run-m", ":run", ":main", ":server", ":start"].into_iter();
        let alias = aliases.find_map(|name| Some((name, manifest.line_of(name)?)));
        let (why, line) = match alias.filter(|_| manifest.text.contains(":main-opts")) {
            Some((name, line)) => (Rule::Alias(name), Some(line)),
            None => (Fixed::NoClojureMain.into(), None),
        };
        return facts.start(None::<String>, why, [Evidence::line(&manifest.path, line)]);
    };
    facts.build(at.dir, format!(
        "mkdir -p {OUT}/lib && clojure -Spath | tr ':' '\\n' | grep '\\.jar$' | xargs -I{{}} cp {{}} {OUT}/lib/"
    ));
    facts.program("lib");
    for name in ["src", "resources", "config"].into_iter().filter(|name| at.has_dir(name)) {
        facts.take(&at.path(name), name);
    }
    let place = Evidence::line(&main.path, main.line_of("(defn -main"));
    let (path, why) = (&["src", "resources", "lib/*"], Fixed::NamespaceWithMain);
    start(facts, path, namespace.trim_end_matches(')'), why, place);
}
