//! Dart and Flutter: `pubspec.yaml`.

use crate::detect::prelude::*;

static DART: Language = Language {
    id: "dart",
    tool: "dart",
    default: "stable",
    version_files: &[".dart-version"],
    version_tools: &["dart"],
    sources: &["dart"],
    listens: &["serve(", ".bind(", ".listen("],
    reads: &["public", "static", "assets", "web", "templates", "config"],
    cache: &["/root/.pub-cache"],
    images: Images {
        official: OFFICIAL,
        wolfi: OFFICIAL.why(Fixed::NoDart),
        debian: OFFICIAL.why(Fixed::NoDart),
    },
    ..NOTHING
};

const OFFICIAL: Pair =
    Pair::of(stage("dart:{v}", &[]), stage(DEBIAN, &["ca-certificates"])).user(NOBODY);

/// Flutter for the web makes files.
static FLUTTER: Language = Language {
    images: Images { official: FLUTTER_IMAGE, wolfi: FLUTTER_IMAGE, debian: FLUTTER_IMAGE },
    ..DART
};

const FLUTTER_IMAGE: Pair = Pair::both("ghcr.io/cirruslabs/flutter:stable");

static FRAMEWORKS: &[Framework] = &[
    framework("dart_frog", &["dart_frog"], 8080),
    framework("serverpod", &["serverpod"], 8080),
    framework("angel3_framework", &["angel3_framework"], 3000),
    framework("conduit", &["conduit"], 8888),
    framework("conduit_core", &["conduit_core"], 8888),
    framework("jaguar", &["jaguar"], 8080),
    framework("alfred", &["alfred"], 3000),
    framework("shelf", &["shelf"], 8080),
    framework("relic", &["relic"], 8080),
];

/// All services in Dart.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let packages = project.tree.dirs().filter(|(_, entries)| entries.has("pubspec.yaml"));
    packages.filter_map(|(dir, _)| service(Folder::new(project, dir))).collect()
}

fn service(at: Folder<'_>) -> Option<Facts> {
    let pubspec = at.yaml("pubspec.yaml")?;
    let here = |line| at.place("pubspec.yaml", line);
    let depends = |name: &str| Some(here(Some(pubspec.at(&["dependencies", name])?.line)));
    let flutter = depends("flutter");
    let language = if flutter.is_some() { &FLUTTER } else { &DART };
    let rule = Rule::Manifest("pubspec.yaml");
    let mut facts = Facts::new(language, at.dir).known_by(rule, here(None));
    facts.name = pubspec.str_at(&["name"]).unwrap_or_default().to_owned();
    if let Some(place) = flutter {
        return Some(web_application(at, facts, place));
    }
    facts.version(version(at, &pubspec));
    let root = workspace(at, &pubspec);
    let locked = if root.has("pubspec.lock") { " --enforce-lockfile" } else { "" };
    let get = Step::new(Kind::Install, at.dir, format!("dart pub get{locked}"));
    facts.install(manifests(at, root), [get]);
    let known = framework::find(FRAMEWORKS, depends);
    let is_frog = known.as_ref().is_some_and(|known| known.mark == "dart_frog");
    let Some(entry) = compile(at, &mut facts, is_frog) else {
        return Some(facts.nothing(Fixed::NoDartProgram, [here(None)]));
    };
    let command = facts.program("server");
    facts.start([command], Fixed::CompiledProgram, [Evidence::file(entry)]);
    let sources = at.sources(DART.sources, &|_| false);
    facts.take_read(at.project, |name| match source::names_path(&sources, name) {
        None if name == "public" => Some(Vec::new()),
        seen => seen.map(|place| vec![place]),
    });
    let serves = known.is_some() || source::mention(&sources, "HttpServer.bind").is_some();
    // A command line tool beside services is not deployed; alone it is what there is.
    let is_tool = !serves && at.dir != "." && !source::is_background(&facts.name);
    facts.weight = if is_tool { Weight::Manifest } else { Weight::Starts };
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    if serves {
        let default = known.map_or(8080, |known| known.framework.port);
        let default = (default, Fixed::FrameworkDefault.into());
        let port = source::port(&sources, DART.listens, Some(default));
        facts.port(port.map(|port| Port { is_told: port.is_told || is_frog, ..port }));
    }
    Some(facts)
}

/// The folder whose lock file counts: that of the workspace, if the package is resolved with one (dart.dev/tools/pub/workspaces).
fn workspace<'a>(at: Folder<'a>, pubspec: &Value) -> Folder<'a> {
    let is_member = pubspec.str_at(&["resolution"]) == Some("workspace");
    let has_members = |dir: &&str| {
        let above = Folder { dir, ..at }.yaml("pubspec.yaml");
        above.is_some_and(|above| above.has("workspace"))
    };
    let root = upward(at.dir).skip(1).find(has_members).filter(|_| is_member);
    Folder { dir: root.unwrap_or(at.dir), ..at }
}

/// What `pub get` must see: the manifests of the package, of its workspace, and of all that they name by path.
fn manifests(at: Folder<'_>, root: Folder<'_>) -> Vec<String> {
    let dirs = compiled::reach(vec![at.dir.to_owned(), root.dir.to_owned()], |dir| {
        let files = [MANIFEST, OVERRIDES].map(|name| Folder { dir, ..at }.yaml(name));
        let named = files.into_iter().flatten().flat_map(|file| {
            let members = file.get("workspace").into_iter().flat_map(Value::texts);
            let mut named: Vec<String> = members.map(str::to_owned).collect();
            let lists = ["dependencies", "dev_dependencies", "dependency_overrides"];
            let packages = lists.iter().filter_map(|list| file.get(list)).flat_map(Value::members);
            named.extend(
                packages.filter_map(|(_, package)| Some(package.str_at(&["path"])?.to_owned())),
            );
            named
        });
        named.filter_map(|path| resolve(dir, &path)).collect()
    });
    let names = [MANIFEST, OVERRIDES, "pubspec.lock"];
    dirs.iter().flat_map(|dir| Folder { dir, ..at }.those(&names)).collect()
}

const MANIFEST: &str = "pubspec.yaml";
const OVERRIDES: &str = "pubspec_overrides.yaml";

/// Compiles the program ahead of time; gives its entry file, or the folder of the routes that Dart Frog makes one from.
fn compile(at: Folder<'_>, facts: &mut Facts, is_frog: bool) -> Option<String> {
    let compile = |entry: &str| format!("dart compile exe {} -o {OUT}/server", quote(entry));
    if is_frog {
        let cli = "dart_frog_cli";
        facts.build(
            at.dir,
            format!("dart pub global activate {cli} && dart pub global run {cli}:dart_frog build"),
        );
        let compile = compile("bin/server.dart");
        facts.build(&at.path("build"), format!("dart pub get && mkdir -p {OUT} && {compile}"));
        return Some(at.path("routes"));
    }
    let own = format!("bin/{}.dart", facts.name);
    let names = [
        "bin/server.dart", "bin/main.dart", &*own, "server.dart", "lib/main.dart",
        "lib/server.dart", "main.dart",
    ];
    let first = || {
        let bin = at.project.tree.entries(&at.path("bin"))?;
        bin.ending(".dart").next().map(|name| format!("bin/{name}"))
    };
    let entry = at.first_of(&names).map(str::to_owned).or_else(first)?;
    facts.build(at.dir, "dart pub get --offline || dart pub get");
    facts.build(at.dir, format!("mkdir -p {OUT} && {}", compile(&entry)));
    Some(at.path(&entry))
}

/// A web application in Flutter: static files.
fn web_application(at: Folder<'_>, mut facts: Facts, place: Evidence) -> Facts {
    let has_web = at.has_dir("web");
    if !has_web && !at.has("lib/main.dart") {
        return facts.nothing(Fixed::NoFlutterWeb, []);
    }
    facts.framework("flutter", Fixed::ADependency, [place]);
    facts.decide(What::Version, "stable", Fixed::TableDefault, []);
    let get = Step::new(Kind::Install, at.dir, "flutter pub get");
    facts.install(manifests(at, at), [get]);
    // The platform's folder may never have been made.
    let create = if has_web { "" } else { "flutter create --platforms web . && " };
    facts.build(at.dir, format!("{create}flutter build web --release"));
    facts.files(at.path("build/web"), Missing::Index, Fixed::WhereItWrites, None);
    facts
}

/// The newest Dart of the major version that the package allows, unless one is pinned.
fn version(at: Folder<'_>, pubspec: &Value) -> (String, Decision) {
    let parse = |text: &str| Some(Version::parse(text)?.to_string());
    if let Some(found) = pins::first(at.pins(&DART), parse) {
        return found;
    }
    let sdk = pubspec.at(&["environment", "sdk"]);
    let Some((sdk, text)) = sdk.map(|sdk| (sdk, sdk.text().unwrap_or_default())) else {
        return pins::or_default(None, DART.default, Fixed::TableDefault);
    };
    // `>=2.12.0 <3.0.0` is what a package says that Dart 3 may build as well (dart.dev/language/versions).
    let old = text.starts_with(">=2.0") || text.starts_with(">=2.1 ") || text.starts_with("<");
    let value = if old && text.contains("<3.0.0") { "2.19" } else { DART.default };
    let rule = Rule::Named(format!("environment.sdk {text}"));
    let place = at.place("pubspec.yaml", Some(sdk.line));
    (value.to_owned(), Decision::new(What::Version, value, rule, [place]))
}
