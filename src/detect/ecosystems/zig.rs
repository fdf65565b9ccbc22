//! Zig: `build.zig` and the programs it installs.

use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, debian, draft, within, wolfi},
        pins::{Pin, pins, stated},
        source,
    },
    images::{Family, plain_user},
    model::join,
    versions::Version,
};

/// What is taken when nothing is pinned.
const DEFAULT: &str = "0.15.2";

/// All services in Zig.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let found = project.tree.outermost(|dir, entries| {
        // One that installs no program is a root too.
        entries.has("build.zig").then(|| service(project, dir))
    });
    found.into_iter().flatten().collect()
}

fn service(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "build.zig");
    let text = project.tree.read(&path)?;
    let mut service = draft(dir, "zig", "zig");
    service.decide("language", "zig", "a build.zig", [Evidence::file(&path)]);
    service.decide("build system", "zig", "a build.zig", [Evidence::file(&path)]);
    let version = version(project, &mut service, dir);
    match project.bases {
        Family::Wolfi => {
            service.spec.build.base = wolfi();
            service.spec.runtime.base = wolfi();
            service.build_packages(["zig"]);
        }
        Family::Official | Family::Debian => {
            service.spec.build.base = debian();
            service.spec.runtime.base = debian();
            service.build_packages(["ca-certificates", "curl", "xz-utils"]);
            service.runtime_packages(["ca-certificates"]);
            service.decide(
                "base",
                "debian:bookworm-slim",
                "Zig has no official image: its own archive is fetched",
                [],
            );
        }
    }
    service.spec.runtime.user = Some(plain_user(project.bases).to_owned());
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    service.cache(["/root/.cache/zig"]);
    let mut commands = Vec::new();
    if project.bases != Family::Wolfi {
        // Since 0.14.1 the archive's name begins with the architecture.
        let parsed = Version::parse(&version).map_or((0, 15, 0), Version::triple);
        let name =
            if parsed >= (0, 14, 1) { "zig-$(uname -m)-linux" } else { "zig-linux-$(uname -m)" };
        commands.push(format!(
            "mkdir -p /opt/zig && curl -fsSL https://ziglang.org/download/{version}/{name}-{version}.tar.xz | tar -xJ -C /opt/zig --strip-components=1 && ln -s /opt/zig/zig /usr/local/bin/zig"
        ));
    }
    let zon = join(dir, "build.zig.zon");
    let mut files = vec![path.clone(), zon.clone()];
    files.retain(|file| project.tree.has(file));
    let fetches = project.tree.has(&zon);
    if fetches {
        commands.push(within(dir, "zig build --fetch"));
    }
    service.dependencies(files, commands);
    // Until 0.10 the option had another name.
    let is_old = Version::parse(&version).is_some_and(|version| version.triple() < (0, 11, 0));
    let mode = if is_old { "-Drelease-safe" } else { "-Doptimize=ReleaseSafe" };
    let build = within(dir, &format!("zig build {mode} --prefix {OUT_DIR}"));
    service.decide(
        "build command",
        build.clone(),
        "build.zig installs its programs",
        [Evidence::file(&path)],
    );
    service.spec.build.commands = vec![build];
    let program = text.text.find("addExecutable").and_then(|at| {
        let rest = &text.text[at..];
        let name =
            rest.split(".name").nth(1).and_then(|rest| rest.split('"').nth(1)).or_else(|| {
                // Before 0.11: `b.addExecutable("name", …)`.
                rest.strip_prefix("addExecutable(\"")?.split('"').next()
            })?;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        plain.then(|| (name.to_owned(), text.line_at(at)))
    });
    let Some((name, line)) = program else {
        service.decide(
            "start command",
            "",
            "build.zig makes no program: a library",
            [Evidence::file(path)],
        );
        return Some(service);
    };
    service.weight = Weight::Starts;
    service.name(name.clone());
    service.copy(&format!("{OUT_DIR}/bin/{name}"), &format!("{APP_DIR}/{name}"));
    let command = format!("{APP_DIR}/{name}");
    service.start(
        [command.as_str()],
        "the program of build.zig",
        [Evidence::line(&path, Some(line))],
    );
    let files = source::gather(project, dir, &["zig", "zon"], &|_| false);
    let frameworks = [
        ("zap", "@import(\"zap\")", 3000),
        ("httpz", "@import(\"httpz\")", 5882),
        ("jetzig", "@import(\"jetzig\")", 8080),
        ("tokamak", "@import(\"tokamak\")", 8080),
    ];
    let framework = frameworks
        .iter()
        .find_map(|(id, import, port)| Some((*id, *port, source::mention(&files, import)?)));
    let listening = [".port", "listen(", "parseIp", "initIp4("];
    let serves = framework.is_some()
        || ["std.http.Server", ".listen(", "parseIp"]
            .iter()
            .any(|call| source::mention(&files, call).is_some());
    if serves {
        let ports = source::ports(&files, &listening);
        let default = framework.as_ref().map_or(8080, |(_, port, _)| *port);
        match ports.number {
            Some((port, evidence)) => service.port(port, "the program's text", [evidence]),
            None => service.port(default, "a default: nothing says otherwise", []),
        }
        if let (Some(_), Some(port)) = (ports.env, service.spec.runtime.ports.first().copied()) {
            service.env("PORT", port.to_string());
        }
    } else if let Some((port, evidence)) = source::address(&files) {
        service.port(port, "the address that the program binds to", [evidence]);
    }
    if let Some((id, _, evidence)) = framework {
        service.framework(id, "imported", [evidence]);
    }
    Some(service)
}

/// `.zigversion`, asdf and mise, then what the package needs at least.
fn version(project: &Project<'_>, service: &mut Service, dir: &str) -> String {
    let mut found: Vec<Pin> = stated(project, dir).into_iter().collect();
    found.extend(pins(project, dir, &[".zigversion", ".zig-version"], &["zig"]));
    let zon = join(dir, "build.zig.zon");
    if let Some(text) = project.tree.read(&zon) {
        found.extend(text.lines().find_map(|(line, words)| {
            let value = words.split_once(".minimum_zig_version")?.1.split('"').nth(1)?;
            Some(Pin::new(value, "minimum_zig_version", &zon, line))
        }));
    }
    // A development version is no release that stays.
    let usable = found.into_iter().find_map(|pin| {
        let version = Version::parse(&pin.version).filter(|_| !pin.version.contains("-dev"))?;
        Some((version, pin))
    });
    match usable {
        Some((version, pin)) => {
            let (major, minor, patch) = version.triple();
            let version = format!("{major}.{minor}.{patch}");
            service.decide("version", version.clone(), pin.rule, [pin.evidence]);
            version
        }
        None => {
            let (version, rule) = match project.tree.read(&join(dir, "build.zig")) {
                Some(text) => of_script(&text.text),
                None => (DEFAULT, "default of the table"),
            };
            service.decide("version", version, rule, []);
            version.to_owned()
        }
    }
}

/// The newest Zig that takes a build script: its interface changed in each version before 1.0.
fn of_script(script: &str) -> (&'static str, &'static str) {
    let has = |text: &str| script.contains(text);
    match () {
        () if has("standardReleaseOptions") || has("addExecutable(\"") => {
            ("0.10.1", "the interface that build.zig is written for")
        }
        () if has("{ .path = ") => ("0.11.0", "the interface that build.zig is written for"),
        () if has(".root_source_file = b.path") && !has("createModule") && !has("root_module") => {
            ("0.14.1", "the interface that build.zig is written for")
        }
        () => (DEFAULT, "default of the table"),
    }
}
