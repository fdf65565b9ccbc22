//! Haskell: Stack and Cabal.

use crate::detect::{
    Evidence, Project, Service, Text, Weight,
    ecosystems::{
        draft::{APP_DIR, OUT_DIR, debian, draft, official, quote, within},
        pins::{Pin, pins, stated},
        source,
    },
    images::{Family, NOBODY},
    model::join,
    versions::Version,
};

/// What is taken when nothing is pinned.
const DEFAULT: &str = "9.6";

/// All services in Haskell.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    project.tree.outermost(|dir, entries| {
        let is_root = entries.first_of(&["stack.yaml", "cabal.project", "package.yaml"]).is_some()
            || entries.ending(".cabal").next().is_some();
        is_root.then(|| service(project, dir))
    })
}

fn service(project: &Project<'_>, dir: &str) -> Service {
    let is_stack = project.tree.has(&join(dir, "stack.yaml"));
    let system = if is_stack { "stack" } else { "cabal" };
    let mut service = draft(dir, "haskell", system);
    let packages = packages(project, dir);
    let manifest = project
        .tree
        .first_of(dir, &["stack.yaml", "cabal.project"])
        .or_else(|| Some(packages.first()?.path.clone()));
    service.decide(
        "language",
        "haskell",
        "its package files",
        packages.first().map(|text| Evidence::file(&text.path)),
    );
    service.decide("build system", system, "its build file", manifest.map(Evidence::file));
    let version = version(project, &mut service, dir, is_stack);
    service.spec.build.base = official(&format!("haskell:{version}-slim"));
    service.spec.runtime.base = debian();
    if project.bases != Family::Official {
        service.decide(
            "base",
            "haskell",
            "the family's GHC is not the one that is asked for: the official image",
            [],
        );
    }
    service.runtime_packages(["ca-certificates", "libgmp10", "netbase", "zlib1g"]);
    let postgres = [
        "postgresql-simple", "postgresql-libpq", "persistent-postgresql", "hasql", "beam-postgres",
    ];
    let seen = postgres
        .iter()
        .find_map(|name| packages.iter().find_map(|text| Some((text, depends(text, name)?))));
    if let Some((text, line)) = seen {
        service.decide(
            "packages",
            "libpq-dev",
            "it binds to PostgreSQL's library",
            [Evidence::line(&text.path, Some(line))],
        );
        service.build_packages(["libpq-dev"]);
        service.runtime_packages(["libpq5"]);
    }
    service.spec.runtime.user = Some(NOBODY.to_owned());
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    let mut files: Vec<String> = packages.iter().map(|text| text.path.clone()).collect();
    for name in [
        "stack.yaml", "stack.yaml.lock", "cabal.project", "cabal.project.freeze",
        "cabal.project.local",
    ] {
        files.push(join(dir, name));
    }
    files.retain(|file| project.tree.has(file));
    if is_stack {
        service.cache(["/root/.stack"]);
        service.dependencies(files, vec![within(dir, "stack build --only-dependencies")]);
    } else {
        service.cache(["/root/.cabal/packages", "/root/.local/state/cabal/store"]);
        service.dependencies(
            files,
            vec![within(dir, "cabal update && cabal build --only-dependencies all")],
        );
    }
    let target = packages.iter().find_map(|text| executable(text));
    let Some((program, line, path)) = target else {
        service.decide(
            "start command",
            "",
            "no package has an executable: a library",
            packages.first().map(|text| Evidence::file(&text.path)),
        );
        return service;
    };
    service.weight = Weight::Starts;
    service.name(
        packages.first().and_then(|text| package_name(text)).unwrap_or_else(|| program.clone()),
    );
    let build = match is_stack {
        true => format!("mkdir -p {OUT_DIR} && stack install --local-bin-path {OUT_DIR}"),
        false => format!(
            "mkdir -p {OUT_DIR} && cabal install exe:{0} --installdir={OUT_DIR} --install-method=copy --overwrite-policy=always",
            quote(&program)
        ),
    };
    service.spec.build.commands = vec![within(dir, &build)];
    service.decide(
        "build command",
        build,
        "what installs its executables",
        [Evidence::line(&path, Some(line))],
    );
    service.copy(&format!("{OUT_DIR}/{program}"), &format!("{APP_DIR}/{program}"));
    let sources = source::gather(project, dir, &["hs", "yaml", "yml"], &|_| false);
    for name in ["static", "public", "config", "templates", "migrations", "data"] {
        let folder = join(dir, name);
        let is_read = source::names_path(&sources, name).is_some()
            || packages.iter().any(|text| text.text.contains("yesod"));
        if project.tree.has_dir(&folder) && is_read {
            service.copy(&folder, &format!("{APP_DIR}/{name}"));
        }
    }
    let command = format!("{APP_DIR}/{program}");
    service.start([command.as_str()], "the executable", [Evidence::line(&path, Some(line))]);
    let frameworks = [
        ("ihp", 8000),
        ("yesod", 3000),
        ("servant-server", 8080),
        ("servant", 8080),
        ("scotty", 3000),
        ("spock", 8080),
        ("snap-core", 8000),
        ("happstack", 8000),
        ("warp", 3000),
    ];
    let found = frameworks.iter().find_map(|(name, port)| {
        let text = packages.iter().find_map(|text| Some((text, depends(text, name)?)));
        text.map(|(text, line)| {
            (name.split('-').next().unwrap_or(name), *port, Evidence::line(&text.path, Some(line)))
        })
    });
    let Some((id, default, evidence)) = found else { return service };
    service.framework(id, "a dependency", [evidence]);
    let ports =
        source::ports(&sources, &["run ", "scotty ", "runSettings", "setPort", "warp ", "runEnv"]);
    match ports.number {
        Some((port, evidence)) => service.port(port, "the program's text", [evidence]),
        None => service.port(default, "the framework's default", []),
    }
    if let Some(port) = service.spec.runtime.ports.first().copied().filter(|_| ports.env.is_some())
    {
        service.env("PORT", port.to_string());
    }
    service
}

/// `*.cabal` and `package.yaml` of the folder and of those one below.
fn packages(project: &Project<'_>, dir: &str) -> Vec<std::rc::Rc<Text>> {
    let mut found = Vec::new();
    let below = project.tree.entries(dir).map(|entries| entries.dirs.clone()).unwrap_or_default();
    let dirs = [dir.to_owned()].into_iter().chain(below.iter().map(|name| join(dir, name)));
    for dir in dirs.take(200) {
        let Some(entries) = project.tree.entries(&dir) else { continue };
        let names =
            entries.files.iter().filter(|name| name.ends_with(".cabal") || *name == "package.yaml");
        found.extend(names.filter_map(|name| project.tree.read(&join(&dir, name))));
    }
    found
}

fn package_name(text: &Text) -> Option<String> {
    let line = text.text.lines().find(|line| line.to_ascii_lowercase().starts_with("name:"))?;
    Some(line["name:".len()..].trim().trim_matches(['"', '\'']).to_owned())
}

/// The first executable of a package, with its line and file.
fn executable(text: &Text) -> Option<(String, usize, String)> {
    let is_plain = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if text.path.ends_with(".cabal") {
        return text.lines().find_map(|(line, words)| {
            let rest = words
                .to_ascii_lowercase()
                .starts_with("executable")
                .then(|| words["executable".len()..].trim())?;
            let name = if rest.is_empty() { package_name(text)? } else { rest.to_owned() };
            is_plain(&name).then_some((name, line, text.path.clone()))
        });
    }
    let mut lines = text.lines().skip_while(|(_, words)| {
        !words.starts_with("executables:") && !words.starts_with("executable:")
    });
    let (_, head) = lines.next()?;
    if head.starts_with("executable:") {
        return Some((package_name(text)?, 1, text.path.clone()));
    }
    lines.take_while(|(_, words)| words.is_empty() || words.starts_with([' ', '#'])).find_map(
        |(line, words)| {
            let name = words.trim().strip_suffix(':')?.trim_matches(['"', '\'']);
            is_plain(name).then(|| (name.to_owned(), line, text.path.clone()))
        },
    )
}

/// The line on which a package is depended on.
fn depends(text: &Text, name: &str) -> Option<usize> {
    text.lines().find_map(|(line, words)| {
        let mut parts = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        parts.any(|part| part.eq_ignore_ascii_case(name)).then_some(line)
    })
}

/// GHC: what is pinned, else what Stack's resolver has.
fn version(project: &Project<'_>, service: &mut Service, dir: &str, is_stack: bool) -> String {
    let mut found: Vec<Pin> = stated(project, dir).into_iter().collect();
    found.extend(pins(project, dir, &[".ghc-version"], &["ghc", "haskell"]));
    let project_file = join(dir, "cabal.project");
    if let Some(text) = project.tree.read(&project_file) {
        found.extend(text.lines().find_map(|(line, words)| {
            let compiler =
                words.trim().strip_prefix("with-compiler:")?.trim().rsplit("ghc-").next()?;
            Some(Pin::new(compiler, "with-compiler", &project_file, line))
        }));
    }
    let stack = join(dir, "stack.yaml");
    if let Some(text) = project.tree.read(&stack).filter(|_| is_stack) {
        found.extend(text.lines().find_map(|(line, words)| {
            let resolver = words
                .strip_prefix("resolver:")
                .or_else(|| words.strip_prefix("snapshot:"))?
                .trim()
                .trim_matches('"');
            Some(Pin::new(of_resolver(resolver)?, format!("resolver {resolver}"), &stack, line))
        }));
    }
    for pin in found {
        if let Some(version) =
            Version::parse(&pin.version).filter(|version| version.minor.is_some())
        {
            let value = version.major_minor().to_string();
            service.decide("version", value.clone(), pin.rule, [pin.evidence]);
            return value;
        }
    }
    service.decide("version", DEFAULT, "default of the table", []);
    DEFAULT.to_owned()
}

/// The GHC of a Stackage snapshot (stackage.org/lts).
fn of_resolver(resolver: &str) -> Option<&'static str> {
    let name = resolver.rsplit('/').next()?.trim_end_matches(".yaml");
    if let Some(version) = name.strip_prefix("ghc-") {
        return ["8.10", "9.0", "9.2", "9.4", "9.6", "9.8", "9.10", "9.12"]
            .into_iter()
            .find(|known| version.starts_with(known));
    }
    let major: u32 = name.strip_prefix("lts-")?.split('.').next()?.parse().ok()?;
    Some(match major {
        ..=17 => "8.10",
        18 => "8.10",
        19 => "9.0",
        20 => "9.2",
        21 => "9.4",
        22 => "9.6",
        23 => "9.8",
        _ => "9.10",
    })
}
