//! Gleam: applications on Erlang as a shipment, those on JavaScript run by Node.js.

use super::{
    draft::{APP_DIR, draft, image, within},
    pins, source,
};
use crate::detect::{
    Decision, Evidence, Project, Service, Weight, images, join, manifest::Value, versions::Version,
};

/// Images of the project itself; Docker Hub has none.
const IMAGE: &str = "ghcr.io/gleam-lang/gleam";
const DEFAULT: &str = "1.12.0";

/// Packages of frameworks, in the order in which they are looked for.
const FRAMEWORKS: &[(&str, &str)] =
    &[("wisp", "wisp"), ("lustre", "lustre"), ("mist", "mist"), ("elli", "elli"), ("glen", "glen")];

/// Services of Gleam.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let dirs = project.tree.dirs().filter(|(_, entries)| entries.has("gleam.toml"));
    dirs.filter_map(|(dir, _)| service(project, dir)).collect()
}

fn service(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "gleam.toml");
    let toml = project.tree.toml(&path)?;
    let mut service = draft(dir, "gleam", "gleam");
    let place = |value: Option<&Value>| Evidence::line(&path, value.map(|value| value.line));
    service.decide("language", "gleam", "gleam.toml", [place(None)]);
    service.decide("build system", "gleam", "gleam.toml", [place(None)]);
    let name = toml.str_at(&["name"]).unwrap_or_default();
    service.name(name);
    let version = version(project, dir, &mut service);
    let dependency = |package: &str| toml.at(&["dependencies", package]);
    let is_javascript = toml.str_at(&["target"]) == Some("javascript");
    let listens =
        ["wisp", "mist", "elli", "glen"].iter().any(|package| dependency(package).is_some());
    let named = FRAMEWORKS.iter().find_map(|(package, id)| Some((*id, dependency(package)?)));
    let main = join(dir, &format!("src/{name}.gleam"));
    let runs = project.tree.read(&main).is_some_and(|text| text.text.contains("pub fn main"));
    if let Some((id, value)) = named {
        service.spec.metadata.framework = Some(id.to_owned());
        service.decide("framework", id, "dependency", [place(Some(value))]);
    }
    service.weight = match (runs, listens) {
        (true, true) => Weight::Framework,
        (true, false) => Weight::Starts,
        (false, _) => Weight::Manifest,
    };
    let kind = if is_javascript { "node" } else { "erlang" };
    let base = image(&format!("{IMAGE}:v{version}-{kind}"));
    service.spec.build.base = base.clone();
    service.spec.runtime.base = base;
    service.spec.runtime.user = Some(images::NOBODY.to_owned());
    let files = ["gleam.toml", "manifest.toml"].map(|name| join(dir, name));
    let is_local = |value: &Value| value.has("path");
    let has_local = toml
        .get("dependencies")
        .into_iter()
        .flat_map(Value::members)
        .any(|(_, value)| is_local(value));
    let download = within(dir, "gleam deps download");
    service.spec.build.exclude = vec![".git".to_owned(), join(dir, "build")];
    let mut commands = Vec::new();
    if has_local {
        commands.push(download);
    } else {
        service.dependencies(
            files.into_iter().filter(|path| project.tree.has(path)).collect(),
            vec![download],
        );
    }
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    service.env("HOME", "/tmp");
    if is_javascript {
        commands.push(within(dir, "gleam build --target javascript"));
        service.copy(dir, APP_DIR);
        let call =
            format!("import('/app/build/dev/javascript/{name}/{name}.mjs').then(m => m.main())");
        if runs {
            service.start(
                ["node", "--input-type=module", "-e", call.as_str()],
                "main of the package",
                [Evidence::file(&main)],
            );
        }
    } else {
        commands.push(within(dir, "gleam export erlang-shipment"));
        service.copy(&join(dir, "build/erlang-shipment"), APP_DIR);
        if runs {
            service.start(
                ["/app/entrypoint.sh", "run"],
                "main of the package",
                [Evidence::file(&main)],
            );
        }
    }
    if !runs {
        service.decide("start command", "", "no main in the module of the package's name", []);
    }
    service.decide("build command", commands.join("; "), "steps of Gleam", [place(None)]);
    service.spec.build.commands = commands;
    let sources = source::gather(project, dir, &["gleam"], &|_| false);
    let ports = source::ports(&sources, &["mist.port(", "port("]);
    match ports.number.filter(|_| listens) {
        Some((port, place)) => service.port(port, "port in the source", [place]),
        None if listens => service.port(4000, "default of mist", []),
        None => service.decide("port", "", "nothing listens", []),
    }
    if let Some(port) = service.spec.runtime.ports.first().copied() {
        service.env("PORT", port.to_string());
    }
    Some(service)
}

/// Tags have all three numbers.
fn version(project: &Project<'_>, dir: &str, service: &mut Service) -> String {
    let stated = pins::stated(project, dir).into_iter();
    let managed = pins::pins(project, dir, &[], &["gleam"]);
    let pinned = stated.chain(managed).find_map(|pin| {
        let version = Version::parse(&pin.version).filter(|version| version.patch.is_some())?;
        Some((version.to_string(), pin))
    });
    let (version, decision) = match pinned {
        Some((version, pin)) => {
            let decision = Decision::new("version", &*version, pin.rule, [pin.evidence]);
            (version, decision)
        }
        None => {
            (DEFAULT.to_owned(), Decision::new("version", DEFAULT, "default, nothing pins one", []))
        }
    };
    service.decisions.push(decision);
    version
}
