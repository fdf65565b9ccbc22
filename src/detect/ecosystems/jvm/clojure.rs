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
    let tool = if is_lein { &LEIN } else { &CLOJURE };
    let place = || Some(Evidence::file(&text.path));
    let language = ("clojure", Fixed::ItsManifest, place());
    let why = (Fixed::ItsManifest, place());
    let (mut facts, _) = java::facts(at, tool, language, why, Wanted::default());
    let known = framework::find(FRAMEWORKS, |name| {
        Some(Evidence::line(&text.path, Some(text.line_of(name)?)))
    });
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    facts = if is_lein { lein(facts, at, &text) } else { tools(facts, at, &text) };
    if let Some(known) = known {
        let files = at.sources(&["clj", "cljc", "edn"], &|_| false);
        let default = (known.framework.port, Fixed::FrameworkDefault.into());
        let mut port = source::port(&files, LISTENS, Some(default));
        if let Some(port) = port.as_mut() {
            port.is_told |= source::mention(&files, "(env :port").is_some();
        }
        facts.port(port);
    }
    Some(facts)
}

fn install(facts: &mut Facts, manifest: &Text, command: &str) {
    let step = Step::new(Kind::Install, &facts.dir, command);
    facts.install(vec![manifest.path.clone()], [step]);
}

fn lein(mut facts: Facts, at: Folder<'_>, manifest: &Text) -> Facts {
    let text = &manifest.text;
    let word = |key: &str| text.split(key).nth(1)?.split_whitespace().next();
    let name = word("(defproject").and_then(|name| name.rsplit('/').next());
    facts.name = name.unwrap_or_default().to_owned();
    install(&mut facts, manifest, "lein deps");
    let main = manifest.line_of(":main");
    let ring = manifest.line_of("lein-ring").or_else(|| manifest.line_of(":ring"));
    let place = [Evidence::line(&manifest.path, main.or(ring))];
    let process = at.procfile();
    if main.or(ring).is_none() && process.is_none() {
        facts.build(at.dir, "lein jar");
        facts.start(None::<String>, Fixed::NoLeinMain, place);
        return facts;
    }
    facts.weight = facts.weight.max(Weight::Starts);
    let is_ring = main.is_none() && ring.is_some();
    facts.build(at.dir, if is_ring { "lein ring uberjar" } else { "lein uberjar" });
    let jar = word(":uberjar-name").map(|name| name.trim_matches([')', '}']).trim_matches('"'));
    let jar = jar.map_or("'*standalone*'".to_owned(), quote);
    facts.build(at.dir, format!(
        "mkdir -p {OUT} && cp \"$(find target -name '*.jar' -name {jar} | head -n 1)\" {OUT}/app.jar"
    ));
    facts.program("app.jar");
    // Without :main the jar does not say what to start, the Procfile does.
    let process = process.filter(|_| main.is_none()).and_then(|process| {
        let mut words = process.line.split_whitespace().skip_while(|word| *word != "clojure.main");
        words.find(|word| *word == "-m")?;
        Some((words.next()?.to_owned(), process))
    });
    match process {
        Some((namespace, process)) => {
            let command = namespace_of(&["app.jar"], namespace).command(facts.language);
            facts.start(command, Rule::Procfile(process.name), [process.evidence]);
        }
        None => facts.start(Layout::Jar.command(facts.language), Fixed::PackedJar, place),
    }
    facts
}

/// A namespace whose `-main` is started.
fn namespace_of(path: &'static [&'static str], namespace: String) -> Layout {
    Layout::Class(path, ["clojure.main".to_owned(), "-m".to_owned(), namespace].into())
}

fn tools(mut facts: Facts, at: Folder<'_>, manifest: &Text) -> Facts {
    if let Some(script) = at.read("build.clj") {
        install(&mut facts, manifest, "clojure -P && clojure -P -T:build");
        let mut tasks = ["uberjar", "uber", "ci"].into_iter();
        let task = tasks.find(|name| script.text.contains(&format!("(defn {name}")));
        facts.weight = facts.weight.max(Weight::Starts);
        facts.build(at.dir, format!("clojure -T:build {}", task.unwrap_or("uber")));
        let command = launch::jar(&mut facts, &at.path("target"), "jar").command(facts.language);
        facts.start(command, Fixed::PackedJar, [at.place("build.clj", None)]);
        return facts;
    }
    install(&mut facts, manifest, "clojure -P");
    // Without a build the program runs from its sources: the class path is worked out while it is built.
    let files = at.sources(&["clj", "cljc"], &|_| false);
    let main = files.iter().find(|file| file.text.contains("(defn -main"));
    let namespace = main.and_then(|file| file.text.split("(ns").nth(1)?.split_whitespace().next());
    let Some((main, namespace)) = main.zip(namespace) else {
        let aliases = [":run-m", ":run", ":main", ":server", ":start"].into_iter();
        let alias = aliases.filter_map(|name| Some((name, manifest.line_of(name)?))).next();
        let (why, line) = match alias.filter(|_| manifest.text.contains(":main-opts")) {
            Some((name, line)) => (Rule::Alias(name), Some(line)),
            None => (Fixed::NoClojureMain.into(), None),
        };
        facts.start(None::<String>, why, [Evidence::line(&manifest.path, line)]);
        return facts;
    };
    facts.weight = facts.weight.max(Weight::Starts);
    facts.build(at.dir, format!(
        "mkdir -p {OUT}/lib && clojure -Spath | tr ':' '\\n' | grep '\\.jar$' | xargs -I{{}} cp {{}} {OUT}/lib/"
    ));
    facts.program("lib");
    for name in ["src", "resources", "config"].into_iter().filter(|name| at.has_dir(name)) {
        facts.take(&at.path(name), name);
    }
    let namespace = namespace.trim_end_matches(')').to_owned();
    let command = namespace_of(&["src", "resources", "lib/*"], namespace).command(facts.language);
    let place = Evidence::line(&main.path, main.line_of("(defn -main"));
    facts.start(command, Fixed::NamespaceWithMain, [place]);
    facts
}
