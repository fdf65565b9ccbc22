//! Dart and Flutter: `pubspec.yaml`.

use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, debian, draft, image, official, within},
        file_server::{self, Missing},
        pins::{pins, stated},
        source,
    },
    images::NOBODY,
    manifest::Value,
    model::join,
    versions::Version,
};

/// All services in Dart.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let packages = project.tree.dirs().filter(|(_, entries)| entries.has("pubspec.yaml"));
    packages.filter_map(|(dir, _)| service(project, dir)).collect()
}

fn service(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "pubspec.yaml");
    let pubspec = project.tree.yaml(&path)?;
    let mut service = draft(dir, "dart", "dart");
    service.decide("language", "dart", "a pubspec.yaml", [Evidence::file(&path)]);
    service.decide("build system", "dart", "a pubspec.yaml", [Evidence::file(&path)]);
    service.name(pubspec.str_at(&["name"]).unwrap_or_default());
    let depends = |name: &str| {
        let value = pubspec.at(&["dependencies", name])?;
        Some(Evidence::line(&path, Some(value.line)))
    };
    let mut files = vec![path.clone(), join(dir, "pubspec.lock")];
    files.retain(|file| project.tree.has(file));
    let locked = if files.len() > 1 { " --enforce-lockfile" } else { "" };
    if let Some(evidence) = depends("flutter") {
        return flutter(project, service, dir, &path, evidence);
    }
    let tag = version(project, &mut service, dir, &path, &pubspec);
    service.spec.build.base = official(&format!("dart:{tag}"));
    service.spec.runtime.base = debian();
    if project.bases != crate::detect::images::Family::Official {
        service.decide("base", "dart", "the family has no Dart: its official image", []);
    }
    service.runtime_packages(["ca-certificates"]);
    service.spec.runtime.user = Some(NOBODY.to_owned());
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    service.cache(["/root/.pub-cache"]);
    service.dependencies(files, vec![within(dir, &format!("dart pub get{locked}"))]);
    let frameworks = [
        ("dart_frog", 8080),
        ("serverpod", 8080),
        ("angel3_framework", 3000),
        ("conduit", 8888),
        ("conduit_core", 8888),
        ("jaguar", 8080),
        ("alfred", 3000),
        ("shelf", 8080),
        ("relic", 8080),
    ];
    let framework = frameworks.iter().find_map(|(name, port)| Some((*name, *port, depends(name)?)));
    let sources = source::gather(project, dir, &["dart"], &|_| false);
    let get = within(dir, "dart pub get --offline || dart pub get");
    let entry = match framework.as_ref().map(|(name, ..)| *name) {
        Some("dart_frog") => {
            // Dart Frog writes a program from its routes.
            let build = within(
                dir,
                "dart pub global activate dart_frog_cli && dart pub global run dart_frog_cli:dart_frog build",
            );
            let compile = within(
                &join(dir, "build"),
                &format!(
                    "dart pub get && mkdir -p {OUT_DIR} && dart compile exe bin/server.dart -o {OUT_DIR}/server"
                ),
            );
            service.spec.build.commands = vec![build, compile];
            Some(join(dir, "routes"))
        }
        _ => {
            let name = pubspec.str_at(&["name"]).unwrap_or_default().to_owned();
            let entries = [
                "bin/server.dart".to_owned(),
                "bin/main.dart".to_owned(),
                format!("bin/{name}.dart"),
                "server.dart".to_owned(),
                "lib/main.dart".to_owned(),
                "lib/server.dart".to_owned(),
                "main.dart".to_owned(),
            ];
            let first = || {
                let bin = project.tree.entries(&join(dir, "bin"))?;
                bin.ending(".dart").next().map(|name| format!("bin/{name}"))
            };
            let entry = entries
                .into_iter()
                .find(|entry| project.tree.has(&join(dir, entry)))
                .or_else(first);
            if let Some(entry) = &entry {
                let compile = within(
                    dir,
                    &format!(
                        "mkdir -p {OUT_DIR} && dart compile exe {} -o {OUT_DIR}/server",
                        crate::detect::shell::quote(entry)
                    ),
                );
                service.spec.build.commands = vec![get, compile];
            }
            entry.map(|entry| join(dir, &entry))
        }
    };
    let Some(entry) = entry else {
        service.decide(
            "start command",
            "",
            "there is no program in bin: a library",
            [Evidence::file(path)],
        );
        return Some(service);
    };
    service.weight = Weight::Starts;
    service.decide(
        "build command",
        service.spec.build.commands.join(" && "),
        "compiled ahead of time",
        [Evidence::file(entry.clone())],
    );
    service.copy(&format!("{OUT_DIR}/server"), "/app/server");
    for name in ["public", "static", "assets", "web", "templates", "config"] {
        let folder = join(dir, name);
        if project.tree.has_dir(&folder)
            && (name == "public" || source::names_path(&sources, name).is_some())
        {
            service.copy(&folder, &format!("{APP_DIR}/{name}"));
        }
    }
    service.start(["/app/server"], "the compiled program", [Evidence::file(entry)]);
    let ports = source::ports(&sources, &["serve(", ".bind(", ".listen("]);
    let serves = framework.is_some() || source::mention(&sources, "HttpServer.bind").is_some();
    if let Some((id, _, evidence)) = &framework {
        service.framework(id, "a dependency", [evidence.clone()]);
    }
    let name = service.spec.metadata.project_name.as_deref().unwrap_or_default();
    if !serves && dir != "." && !source::is_background(name) {
        // A command line tool beside services is none; alone it is what there is.
        service.weight = Weight::Manifest;
    }
    if serves {
        let default = framework.as_ref().map_or(8080, |(_, port, _)| *port);
        match ports.number {
            Some((port, evidence)) => service.port(port, "the program's text", [evidence]),
            None => service.port(default, "the framework's default", []),
        }
        let reads =
            ports.env.is_some() || framework.as_ref().is_some_and(|(id, ..)| *id == "dart_frog");
        if let Some(port) = service.spec.runtime.ports.first().copied().filter(|_| reads) {
            service.env("PORT", port.to_string());
        }
    }
    Some(service)
}

/// A web application in Flutter: static files.
fn flutter(
    project: &Project<'_>,
    mut service: Service,
    dir: &str,
    path: &str,
    evidence: Evidence,
) -> Option<Service> {
    let has_web = project.tree.has_dir(&join(dir, "web"));
    if !has_web && !project.tree.has(&join(dir, "lib/main.dart")) {
        return Some(service);
    }
    service.framework("flutter", "a dependency", [evidence]);
    service.spec.build.base = image("ghcr.io/cirruslabs/flutter:stable");
    service.decide("version", "stable", "default of the table", []);
    service.cache(["/root/.pub-cache"]);
    let mut files = vec![path.to_owned(), join(dir, "pubspec.lock")];
    files.retain(|file| project.tree.has(file));
    service.dependencies(files, vec![within(dir, "flutter pub get")]);
    let mut build = "flutter build web --release".to_owned();
    if !has_web {
        // The platform's folder was never made.
        build = format!("flutter create --platforms web . && {build}");
    }
    service.spec.build.commands = vec![within(dir, &build)];
    service.decide(
        "build command",
        build,
        "Flutter for the web",
        [Evidence::file(path.to_owned())],
    );
    file_server::serve(&mut service.spec, project.bases, &join(dir, "build/web"), Missing::Index);
    service.decide_file_server();
    Some(service)
}

/// The newest Dart of the major version that the package allows, unless one is pinned.
fn version(
    project: &Project<'_>,
    service: &mut Service,
    dir: &str,
    path: &str,
    pubspec: &Value,
) -> String {
    let stated = stated(project, dir);
    let pinned = stated.into_iter().chain(pins(project, dir, &[".dart-version"], &["dart"]));
    for pin in pinned {
        if let Some(version) = Version::parse(&pin.version) {
            let value = version.to_string();
            service.decide("version", value.clone(), pin.rule, [pin.evidence]);
            return value;
        }
    }
    let Some(sdk) = pubspec.at(&["environment", "sdk"]) else {
        service.decide("version", "stable", "default of the table", []);
        return "stable".to_owned();
    };
    let text = sdk.text().unwrap_or_default();
    let evidence = [Evidence::line(path, Some(sdk.line))];
    // `>=2.12.0 <3.0.0` is what a package says that Dart 3 may build as well (dart.dev/language/versions).
    let old = text.starts_with(">=2.0") || text.starts_with(">=2.1 ") || text.starts_with("<");
    let value = if old && text.contains("<3.0.0") { "2.19" } else { "stable" };
    service.decide("version", value, format!("environment.sdk {text}"), evidence);
    value.to_owned()
}
