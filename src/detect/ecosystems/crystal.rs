//! Crystal: `shard.yml`.

use crate::detect::prelude::*;

static CRYSTAL: Language = Language {
    id: "crystal",
    tool: "shards",
    default: "latest",
    version_files: &[".crystal-version"],
    version_tools: &["crystal"],
    sources: &["cr"],
    listens: &["bind_tcp", ".listen", "Kemal.run", "port ="],
    reads: &["public", "views", "config", "db", "locales"],
    cache: &["/root/.cache/crystal", "/root/.cache/shards"],
    images: Images {
        official: ON_DEBIAN,
        wolfi: ON_DEBIAN.why(Fixed::NoCrystal),
        debian: ON_DEBIAN,
    },
    ..NOTHING
};

const ON_DEBIAN: Pair = Pair::of(
    stage("crystallang/crystal:{v}", &[]),
    stage(
        DEBIAN,
        &[
            "ca-certificates", "libevent-2.1-7", "libgc1", "libpcre2-8-0", "libssl3",
            "libyaml-0-2", "zlib1g", "libgmp10", "libxml2",
        ],
    ),
);

static FRAMEWORKS: &[Framework] = &[
    framework("lucky", &["lucky"], 3000).env(&[("LUCKY_ENV", "production")]),
    framework("amber", &["amber"], 3000),
    framework("kemal", &["kemal"], 3000).env(&[("KEMAL_ENV", "production")]),
    framework("athena", &["athena"], 3000),
    framework("marten", &["marten"], 8000),
    framework("spider-gazelle", &["spider-gazelle"], 3000),
    framework("grip", &["grip"], 3000),
    framework("router_cr", &["router_cr"], 8080),
];

/// All services in Crystal.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let shards = project.tree.dirs().filter(|(dir, entries)| {
        entries.has("shard.yml") && !dir.split('/').any(|part| part == "lib")
    });
    shards.filter_map(|(dir, _)| service(Folder::new(project, dir))).collect()
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let shard = at.yaml("shard.yml")?;
    let here = |line| at.place("shard.yml", line);
    let mut facts = Facts::new(&CRYSTAL, at.dir).known_by(Rule::Manifest("shard.yml"), here(None));
    facts.name = shard.str_at(&["name"]).unwrap_or("app").to_owned();
    facts.version(version(at, &shard));
    if shard.get("dependencies").is_some() {
        let locked = if at.has("shard.lock") { " --production" } else { "" };
        let install = Step::new(Kind::Install, at.dir, format!("shards install{locked}"));
        let files = at.those(&["shard.yml", "shard.lock", "shard.override.yml"]);
        facts.install(files, [install]);
    }
    let Some((program, main, place)) = target(at, &shard, &facts.name) else {
        return Some(facts.nothing(Fixed::NoCrystalMain, [here(None)]));
    };
    facts.weight = Weight::Starts;
    // Lucky looks for the manifest of its assets while it is compiled.
    facts.build_front_end(at.project, at.dir);
    // Shards that are needed for development alone are not installed, so `shards build` would ask for them.
    let (from, to) = (quote(&main), quote(&program));
    facts.build(
        at.dir,
        format!("mkdir -p {OUT} && crystal build --release --no-debug {from} -o {OUT}/{to}"),
    );
    let command = facts.program(&program);
    facts.start([command], Fixed::BuiltTarget, [place]);
    let sources = at.sources(CRYSTAL.sources, &|path| file_name(path) == "lib");
    facts.take_read(at.project, |name| match source::names_path(&sources, name) {
        None if name == "public" => Some(Vec::new()),
        seen => seen.map(|place| vec![place]),
    });
    let known = framework::find(FRAMEWORKS, |name| {
        Some(here(Some(shard.at(&["dependencies", name])?.line)))
    });
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    facts.listen(&sources, known.as_ref(), &["HTTP::Server"]);
    Some(facts)
}

/// The program, its main file and where that is said: a target, else a file that is named like one.
fn target(at: Folder<'_>, shard: &Value, name: &str) -> Option<(String, String, Evidence)> {
    let targets = || shard.get("targets").into_iter().flat_map(Value::members);
    let named = |wanted: &str| targets().find(|(target, _)| *target == wanted);
    let chosen = ["server", "web", "app", name].iter().find_map(|wanted| named(wanted));
    if let Some((target, value)) = chosen.or_else(|| targets().next()) {
        let main = value.str_at(&["main"]).map(str::to_owned);
        let main = main.unwrap_or_else(|| format!("src/{target}.cr"));
        return Some((target.to_owned(), main, at.place("shard.yml", Some(value.line))));
    }
    let own = format!("src/{name}.cr");
    let guess = at.first_of(&[&own, "src/main.cr", "src/server.cr", "src/app.cr"]);
    // Small programs lie beside their shard.yml.
    let beside = || {
        let mut all = at.entries()?.ending(".cr");
        let first = at.first_of(&["server.cr", "app.cr", "main.cr", "index.cr"]);
        first.or_else(|| all.next().filter(|_| all.next().is_none()))
    };
    let main = guess.or_else(beside)?;
    Some((name.to_owned(), main.to_owned(), at.place(main, None)))
}

fn version(at: Folder<'_>, shard: &Value) -> (String, Decision) {
    let least = shard.get("crystal").and_then(|version| {
        let text = version.text()?;
        let is_plain = text.starts_with(|c: char| c.is_ascii_digit());
        is_plain.then(|| Pin::new(text, "crystal", at.path("shard.yml"), version.line))
    });
    // Crystal below 1.0 wrote another language; what is needed at least is met by a later one.
    let parse = |text: &str| {
        let version = Version::parse(text).filter(|version| version.major >= 1)?;
        let (major, minor, patch) = version.triple();
        Some(format!("{major}.{minor}.{patch}"))
    };
    pins::choose(at.pins(&CRYSTAL).into_iter().chain(least), parse, CRYSTAL.default)
}
