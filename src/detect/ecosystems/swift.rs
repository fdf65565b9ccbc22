//! Swift: `Package.swift` and its executable targets.

use crate::detect::{
    Decision, Evidence, Project, Service, Text, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, draft, official, quote, within},
        pins::{Pin, pins, stated},
        source,
    },
    model::join,
    versions::Version,
};

/// What is taken when nothing is pinned.
const DEFAULT: (u32, u32) = (6, 1);

/// All services in Swift.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let packages = project.tree.dirs().filter(|(_, entries)| entries.has("Package.swift"));
    packages.filter_map(|(dir, _)| service(project, dir)).collect()
}

fn service(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "Package.swift");
    let text = project.tree.read(&path)?;
    let mut service = draft(dir, "swift", "swiftpm");
    service.decide("language", "swift", "a Package.swift", [Evidence::file(&path)]);
    service.decide("build system", "swiftpm", "a Package.swift", [Evidence::file(&path)]);
    let (major, minor) = version(project, &mut service, dir, &text);
    let suite = if (major, minor) >= (5, 9) { "jammy" } else { "focal" };
    service.spec.build.base = official(&format!("swift:{major}.{minor}-{suite}"));
    service.spec.runtime.base = official(&format!("swift:{major}.{minor}-{suite}-slim"));
    if project.bases != crate::detect::images::Family::Official {
        service.decide("base", "swift", "the family has no Swift: its official images", []);
    }
    service.spec.runtime.user = Some("1000:1000".to_owned());
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    service.name(
        quoted_after(&text, text.text.find("Package(").unwrap_or(0), "name:").unwrap_or_default(),
    );
    let mut files = vec![path.clone(), join(dir, "Package.resolved")];
    files.retain(|file| project.tree.has(file));
    service.cache(["/root/.cache/org.swift.swiftpm"]);
    if text.text.contains(".package(") {
        service.dependencies(files, vec![within(dir, "swift package resolve")]);
    }
    let targets = targets(project, dir, &text);
    let wanted = service.spec.metadata.project_name.clone().unwrap_or_default();
    let position =
        |name: &str| targets.iter().position(|(target, _)| target.eq_ignore_ascii_case(name));
    let at = ["Run", "App", "Server"]
        .iter()
        .find_map(|name| position(name))
        .or_else(|| position(&wanted))
        .or_else(|| {
            targets.iter().position(|(name, _)| name.to_ascii_lowercase().contains("server"))
        })
        .unwrap_or(0);
    let Some((target, line)) = targets.get(at).cloned() else {
        service.decide(
            "start command",
            "",
            "Package.swift has no executable target: a library",
            [Evidence::file(path)],
        );
        service.spec.build.commands = vec![within(dir, "swift build -c release")];
        return Some(service);
    };
    service.weight = Weight::Starts;
    for (other, line) in targets.iter().filter(|(other, _)| *other != target) {
        let decision = Decision::new("service", target.clone(), "the target that is run", []);
        let evidence = Some(Evidence::line(&path, Some(*line)));
        service.decisions.push(decision.not(other.clone(), evidence, "named like no server"));
    }
    let build = within(
        dir,
        &format!("swift build -c release --static-swift-stdlib --product {}", quote(&target)),
    );
    service.decide("build command", build.clone(), "SwiftPM, optimised", [Evidence::file(&path)]);
    // Resources lie in bundles beside the program.
    let collect = within(
        dir,
        &format!(
            "mkdir -p {OUT_DIR} && bin=\"$(swift build -c release --show-bin-path)\" && cp \"$bin\"/{} {OUT_DIR}/ && find \"$bin\" -maxdepth 1 -name '*.resources' -exec cp -r {{}} {OUT_DIR}/ ';'",
            quote(&target)
        ),
    );
    service.spec.build.commands = vec![build, collect];
    service.copy(OUT_DIR, APP_DIR);
    for name in ["Public", "Resources"] {
        let folder = join(dir, name);
        if project.tree.has_dir(&folder) {
            service.copy(&folder, &format!("{APP_DIR}/{name}"));
        }
    }
    let program = format!("{APP_DIR}/{target}");
    let evidence = [Evidence::line(&path, Some(line))];
    let frameworks = [
        ("vapor", "vapor/vapor", 8080),
        ("hummingbird", "hummingbird-project/hummingbird", 8080),
        ("kitura", "Kitura", 8080),
        ("perfect", "Perfect-HTTPServer", 8181),
        ("smoke", "smoke-framework", 8080),
    ];
    let found =
        frameworks.iter().find_map(|(id, needle, port)| Some((*id, *port, text.line_of(needle)?)));
    let Some((id, default, seen)) = found else {
        service.start([program.as_str()], "the executable target", evidence);
        let files = source::gather(project, &join(dir, "Sources"), &["swift"], &|_| false);
        if let Some((port, evidence)) = source::address(&files) {
            service.port(port, "the address that the program binds to", [evidence]);
        }
        return Some(service);
    };
    service.framework(id, "a dependency", [Evidence::line(&path, Some(seen))]);
    let files = source::gather(project, &join(dir, "Sources"), &["swift"], &|_| false);
    let ports = source::ports(&files, &["port =", "port:", ".hostname(", "addHTTPServer("]);
    let port = ports.number.as_ref().map_or(default, |(port, _)| *port);
    match ports.number {
        Some((port, evidence)) => service.port(port, "the program's text", [evidence]),
        None => service.port(default, "the framework's default", []),
    }
    if ports.env.is_some() {
        service.env("PORT", port.to_string());
    }
    match id {
        "vapor" => {
            let text = port.to_string();
            let words = [
                program.as_str(),
                "serve",
                "--env",
                "production",
                "--hostname",
                "0.0.0.0",
                "--port",
                text.as_str(),
            ];
            service.start(
                words,
                "Vapor listens on the loopback address unless told otherwise",
                evidence,
            );
        }
        _ => service.start([program.as_str()], "the executable target", evidence),
    }
    Some(service)
}

/// Names of executable targets, with their lines.
fn targets(project: &Project<'_>, dir: &str, text: &Text) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for call in [".executableTarget(", ".executable("] {
        for (at, _) in text.text.match_indices(call) {
            if let Some(name) = quoted_after(text, at, "name:").filter(|name| is_plain(name))
                && !found.iter().any(|(known, _)| *known == name)
            {
                found.push((name, text.line_at(at)));
            }
        }
    }
    // Before Swift 5.4 a target with a main.swift was a program.
    if found.is_empty() {
        for (at, _) in text.text.match_indices(".target(") {
            let Some(name) = quoted_after(text, at, "name:").filter(|name| is_plain(name)) else {
                continue;
            };
            if project.tree.has(&join(dir, &format!("Sources/{name}/main.swift"))) {
                found.push((name, text.line_at(at)));
            }
        }
    }
    found
}

fn quoted_after(text: &Text, at: usize, label: &str) -> Option<String> {
    let rest = &text.text[at..];
    let rest = &rest[rest.find(label)? + label.len()..];
    let mut parts = rest.split('"');
    let between = parts.next()?;
    between.trim().is_empty().then(|| parts.next().map(str::to_owned))?
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

/// `.swift-version`, asdf and mise; the tools version is only the least that is needed.
fn version(project: &Project<'_>, service: &mut Service, dir: &str, text: &Text) -> (u32, u32) {
    let mut found: Vec<Pin> = stated(project, dir).into_iter().collect();
    found.extend(pins(project, dir, &[".swift-version"], &["swift"]));
    let known = |pin: Pin| {
        let version = Version::parse(pin.version.trim_start_matches("swift-"))?;
        Some(((version.major, version.minor.unwrap_or(0)), pin))
    };
    if let Some((version, pin)) = found.into_iter().find_map(known) {
        service.decide("version", format!("{}.{}", version.0, version.1), pin.rule, [pin.evidence]);
        return version;
    }
    let tools = text.text.lines().next().and_then(|line| {
        let (_, version) = line
            .split_once("swift-tools-version:")
            .or_else(|| line.split_once("swift-tools-version "))?;
        let version = Version::parse(version)?;
        Some((version.major, version.minor.unwrap_or(0)))
    });
    match tools {
        Some(tools) => {
            let used = tools.max((5, 5));
            let value = format!("{}.{}", used.0, used.1);
            service.decide(
                "version",
                value,
                "swift-tools-version",
                [Evidence::line(&text.path, Some(1))],
            );
            used
        }
        None => {
            service.decide(
                "version",
                format!("{}.{}", DEFAULT.0, DEFAULT.1),
                "default of the table",
                [],
            );
            DEFAULT
        }
    }
}
