//! Gleam: applications on Erlang as a shipment, those on JavaScript run by Node.js.

use crate::detect::prelude::*;

static GLEAM: Language = Language {
    id: "gleam",
    tool: "gleam",
    default: "1.12.0",
    version_tools: &["gleam"],
    sources: &["gleam"],
    listens: &["mist.port(", "port("],
    images: Images { official: IMAGE, wolfi: IMAGE, debian: IMAGE },
    ..NOTHING
};

/// Image of the project itself; Docker Hub has none.
const IMAGE: Pair = Pair::both("ghcr.io/gleam-lang/gleam:v{v}-{target}").user(NOBODY);

static FRAMEWORKS: &[Framework] = &[
    framework("wisp", &["wisp"], 4000),
    // Pages for a browser: it needs one of the others to serve them.
    framework("lustre", &["lustre"], 0),
    framework("mist", &["mist"], 4000),
    framework("elli", &["elli"], 4000),
    framework("glen", &["glen"], 4000),
];

/// Services of Gleam.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let dirs = project.tree.dirs().filter(|(_, entries)| entries.has("gleam.toml"));
    dirs.filter_map(|(dir, _)| service(Folder::new(project, dir))).collect()
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let toml = at.toml("gleam.toml")?;
    let here = |line| at.place("gleam.toml", line);
    let mut facts =
        Facts::new(&GLEAM, at.dir).known_by(Rule::Named("gleam.toml".to_owned()), here(None));
    let name = toml.str_at(&["name"]).unwrap_or_default();
    facts.name = name.to_owned();
    facts.version(version(at));
    let is_javascript = toml.str_at(&["target"]) == Some("javascript");
    facts.set("target", if is_javascript { "node" } else { "erlang" });
    let seen = |mark| Some(here(Some(toml.at(&["dependencies", mark])?.line)));
    let named = framework::find(FRAMEWORKS, seen);
    let server =
        FRAMEWORKS.iter().find(|framework| framework.port > 0 && seen(framework.id).is_some());
    facts.of_framework(named.as_ref(), Fixed::Dependency);
    let main = at.path(&format!("src/{name}.gleam"));
    let runs = at.project.tree.read(&main).is_some_and(|text| text.text.contains("pub fn main"));
    facts.weight = match (runs, server) {
        (true, Some(_)) => Weight::Framework,
        (true, None) => Weight::Starts,
        (false, _) => Weight::Manifest,
    };
    facts.exclude = vec![".git".to_owned(), at.path("build")];
    let download = Step::new(Kind::Install, at.dir, "gleam deps download");
    let dependencies = toml.get("dependencies").into_iter().flat_map(Value::members);
    match dependencies.into_iter().any(|(_, value)| value.has("path")) {
        true => facts.steps.push(download),
        false => facts.install(at.those(&["gleam.toml", "manifest.toml"]), [download]),
    }
    facts.env("HOME", "/tmp");
    let command: Vec<String> = if is_javascript {
        facts.build(at.dir, "gleam build --target javascript");
        facts.take(at.dir, "");
        let module = GLEAM.in_home(&format!("build/dev/javascript/{name}/{name}.mjs"));
        let call = format!("import('{module}').then(m => m.main())");
        ["node", "--input-type=module", "-e", &*call].map(str::to_owned).into()
    } else {
        facts.build(at.dir, "gleam export erlang-shipment");
        facts.take(&at.path("build/erlang-shipment"), "");
        vec![GLEAM.in_home("entrypoint.sh"), "run".to_owned()]
    };
    if !runs {
        return Some(facts.nothing(Fixed::NoGleamMain, []));
    }
    facts.start(command, Fixed::GleamMain, [Evidence::file(&main)]);
    let Some(server) = server else {
        facts.decide(What::Port, "", Fixed::NothingListens, []);
        return Some(facts);
    };
    let sources = at.sources(GLEAM.sources, &|_| false);
    let default = (server.port, Rule::DefaultOf("mist".to_owned()));
    let mut port = source::port(&sources, GLEAM.listens, Some(default));
    if let Some(port) = &mut port {
        port.is_told = true;
    }
    facts.port(port);
    Some(facts)
}

/// Tags have all three numbers.
fn version(at: Folder<'_>) -> (String, Decision) {
    let parse = |text: &str| {
        Some(Version::parse(text).filter(|version| version.patch.is_some())?.to_string())
    };
    pins::or_default(pins::first(at.pins(&GLEAM), parse), GLEAM.default, Fixed::NothingPins)
}
