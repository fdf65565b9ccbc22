//! Crystal: `shard.yml`.

use crate::detect::{
    Evidence, Project, Service, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, debian, draft, image, quote, within, wolfi},
        pins::{Pin, pins, stated},
        source,
    },
    images::{Family, plain_user},
    manifest::Value,
    model::join,
    versions::Version,
};

/// What is taken when nothing is pinned.
const DEFAULT: &str = "latest";

/// All services in Crystal.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let shards = project.tree.dirs().filter(|(dir, entries)| {
        entries.has("shard.yml") && !dir.split('/').any(|part| part == "lib")
    });
    shards.filter_map(|(dir, _)| service(project, dir)).collect()
}

fn service(project: &Project<'_>, dir: &str) -> Option<Service> {
    let path = join(dir, "shard.yml");
    let shard = project.tree.yaml(&path)?;
    let mut service = draft(dir, "crystal", "shards");
    service.decide("language", "crystal", "a shard.yml", [Evidence::file(&path)]);
    service.decide("build system", "shards", "a shard.yml", [Evidence::file(&path)]);
    let name = shard.str_at(&["name"]).unwrap_or("app").to_owned();
    service.name(name.clone());
    let version = version(project, &mut service, dir, &path, &shard);
    match project.bases {
        Family::Wolfi => {
            service.spec.build.base = wolfi();
            service.spec.runtime.base = wolfi();
            service.build_packages([
                "crystal", "shards", "build-base", "openssl-dev", "zlib-dev", "libyaml-dev",
                "gc-dev", "pcre2-dev", "libevent-dev",
            ]);
            service.runtime_packages([
                "libgcc", "libssl3", "libcrypto3", "zlib", "yaml", "gc", "pcre2", "libevent",
            ]);
        }
        Family::Official | Family::Debian => {
            service.spec.build.base = image(&format!("docker.io/crystallang/crystal:{version}"));
            service.spec.runtime.base = debian();
            service.runtime_packages([
                "ca-certificates", "libevent-2.1-7", "libgc1", "libpcre2-8-0", "libssl3",
                "libyaml-0-2", "zlib1g", "libgmp10", "libxml2",
            ]);
        }
    }
    service.spec.runtime.user = Some(plain_user(project.bases).to_owned());
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    let lock = join(dir, "shard.lock");
    let is_locked = project.tree.has(&lock);
    let mut files = vec![path.clone(), lock, join(dir, "shard.override.yml")];
    files.retain(|file| project.tree.has(file));
    let production = if is_locked { " --production" } else { "" };
    if shard.get("dependencies").is_some() {
        service.dependencies(files, vec![within(dir, &format!("shards install{production}"))]);
    }
    service.cache(["/root/.cache/crystal", "/root/.cache/shards"]);
    let targets: Vec<(String, Option<String>, usize)> = shard
        .get("targets")
        .into_iter()
        .flat_map(Value::members)
        .map(|(name, target)| {
            (name.to_owned(), target.str_at(&["main"]).map(str::to_owned), target.line)
        })
        .collect();
    let sources =
        source::gather(project, dir, &["cr"], &|path| path.rsplit('/').next() == Some("lib"));
    let chosen = ["server", "web", "app"]
        .iter()
        .find_map(|wanted| targets.iter().find(|target| target.0 == *wanted));
    let target = chosen
        .or_else(|| targets.iter().find(|target| target.0 == name))
        .or_else(|| targets.first());
    let (program, main, evidence) = match target {
        Some((target, main, line)) => {
            let main = main.clone().unwrap_or_else(|| format!("src/{target}.cr"));
            (target.clone(), main, Evidence::line(&path, Some(*line)))
        }
        None => {
            let guesses = [
                format!("src/{name}.cr"),
                "src/main.cr".to_owned(),
                "src/server.cr".to_owned(),
                "src/app.cr".to_owned(),
            ];
            let guess = guesses.into_iter().find(|guess| project.tree.has(&join(dir, guess)));
            // Small programs lie beside their shard.yml.
            let Some(main) = guess.or_else(|| beside(project, dir)) else {
                service.decide(
                    "start command",
                    "",
                    "no target and no main file: a library",
                    [Evidence::file(path)],
                );
                return Some(service);
            };
            let evidence = Evidence::file(join(dir, &main));
            (name.clone(), main, evidence)
        }
    };
    service.weight = Weight::Starts;
    // Shards that are needed for development alone are not installed, so `shards build` would ask for them.
    let build = within(
        dir,
        &format!(
            "mkdir -p {OUT_DIR} && crystal build --release --no-debug {} -o {OUT_DIR}/{}",
            quote(&main),
            quote(&program)
        ),
    );
    service.decide("build command", build.clone(), "the target, optimised", [evidence.clone()]);
    // Lucky looks for the manifest of its assets while it is compiled.
    service.spec.build.commands = service.front_end(project, dir);
    service.spec.build.commands.push(build);
    service.copy(&format!("{OUT_DIR}/{program}"), &format!("{APP_DIR}/{program}"));
    for name in ["public", "views", "config", "db", "locales"] {
        let folder = join(dir, name);
        if project.tree.has_dir(&folder)
            && (name == "public" || source::names_path(&sources, name).is_some())
        {
            service.copy(&folder, &format!("{APP_DIR}/{name}"));
        }
    }
    let command = format!("{APP_DIR}/{program}");
    service.start([command.as_str()], "the built target", [evidence]);
    let frameworks = [
        ("lucky", 3000),
        ("amber", 3000),
        ("kemal", 3000),
        ("athena", 3000),
        ("marten", 8000),
        ("spider-gazelle", 3000),
        ("grip", 3000),
        ("router_cr", 8080),
    ];
    let found = frameworks.iter().find_map(|(name, port)| {
        let value = shard.at(&["dependencies", name])?;
        Some((*name, *port, Evidence::line(&path, Some(value.line))))
    });
    let serves = found.is_some() || source::mention(&sources, "HTTP::Server").is_some();
    let default = found.as_ref().map_or(8080, |(_, port, _)| *port);
    let id = found.as_ref().map_or("", |(id, ..)| *id);
    if let Some((id, _, evidence)) = &found {
        service.framework(id, "a dependency", [evidence.clone()]);
    }
    if serves {
        let ports = source::ports(&sources, &["bind_tcp", ".listen", "Kemal.run", "port ="]);
        match ports.number {
            Some((port, evidence)) => service.port(port, "the program's text", [evidence]),
            None => service.port(default, "a default: nothing says otherwise", []),
        }
        if let Some(port) =
            service.spec.runtime.ports.first().copied().filter(|_| ports.env.is_some())
        {
            service.env("PORT", port.to_string());
        }
    } else if let Some((port, evidence)) = source::address(&sources) {
        service.port(port, "the address that the program binds to", [evidence]);
    }
    if id == "lucky" {
        service.env("LUCKY_ENV", "production");
    }
    if id == "kemal" {
        service.env("KEMAL_ENV", "production");
    }
    Some(service)
}

/// A program in the folder itself: by its name, else the only one.
fn beside(project: &Project<'_>, dir: &str) -> Option<String> {
    let entries = project.tree.entries(dir)?;
    if let Some(name) = entries.first_of(&["server.cr", "app.cr", "main.cr", "index.cr"]) {
        return Some(name.to_owned());
    }
    let mut all = entries.ending(".cr");
    all.next().filter(|_| all.next().is_none()).map(str::to_owned)
}

fn version(
    project: &Project<'_>,
    service: &mut Service,
    dir: &str,
    path: &str,
    shard: &Value,
) -> String {
    let mut found: Vec<Pin> = stated(project, dir).into_iter().collect();
    found.extend(pins(project, dir, &[".crystal-version"], &["crystal"]));
    if let Some(version) = shard.get("crystal")
        && let Some(text) =
            version.text().filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
    {
        found.push(Pin::new(text, "crystal", path, version.line));
    }
    for pin in found {
        // Crystal below 1.0 wrote another language; what is needed at least is met by a later one.
        if let Some(version) = Version::parse(&pin.version).filter(|version| version.major >= 1) {
            let (major, minor, patch) = version.triple();
            let version = format!("{major}.{minor}.{patch}");
            service.decide("version", version.clone(), pin.rule, [pin.evidence]);
            return version;
        }
    }
    service.decide("version", DEFAULT, "default of the table", []);
    DEFAULT.to_owned()
}
