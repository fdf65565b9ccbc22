//! Elixir: Mix; Phoenix, Plug and other applications as releases, umbrella projects.

use super::{
    draft::{APP_DIR, debian, draft, image, official, within, wolfi},
    pins, source,
};
use crate::detect::{
    Decision, Evidence, Project, Service, Text, Weight,
    images::{self, Family},
    is_below, join, parent,
    procfile::procfile,
    versions::{Version, gem::Requirement},
};

/// Minors of Elixir with the Erlang/OTP that their images are tagged with, by
/// <https://hexdocs.pm/elixir/compatibility-and-deprecations.html>; 0 where tags name none.
const IMAGES: &[(u32, u32, u32)] = &[
    (1, 7, 0),
    (1, 8, 0),
    (1, 9, 0),
    (1, 10, 0),
    (1, 11, 0),
    (1, 12, 24),
    (1, 13, 25),
    (1, 14, 26),
    (1, 15, 26),
    (1, 16, 26),
    (1, 17, 27),
    (1, 18, 27),
    (1, 19, 28),
];

const DEFAULT: Version = Version { major: 1, minor: Some(18), patch: None };

/// Frameworks by package, with the port of their generators.
const FRAMEWORKS: &[(&str, &str)] = &[
    ("phoenix", "phoenix"),
    ("ash_phoenix", "phoenix"),
    ("bandit", "bandit"),
    ("plug_cowboy", "plug"),
    ("plug", "plug"),
    ("cowboy", "cowboy"),
];

/// Services of Elixir.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut umbrellas: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        if !entries.has("mix.exs") || umbrellas.iter().any(|above| is_below(dir, above)) {
            continue;
        }
        if let Some(text) = project.tree.read(&join(dir, "mix.exs")) {
            if text.text.contains("apps_path") {
                umbrellas.push(dir.to_owned());
            }
            found.push(service(project, dir, &text));
        }
    }
    found
}

fn service(project: &Project<'_>, dir: &str, mix: &Text) -> Service {
    let is_umbrella = mix.text.contains("apps_path");
    let manifests = manifests(project, dir, mix, is_umbrella);
    let mut service = draft(dir, "elixir", "mix");
    let here = |line| Evidence::line(&mix.path, line);
    service.decide("language", "elixir", "mix.exs", [here(None)]);
    service.decide("build system", "mix", "mix.exs", [here(None)]);
    let app = atom_of(&mix.text, "app:");
    if let Some(app) = &app {
        service.name(app.clone());
    }
    let (version, decision) = version(project, dir, mix);
    service.decisions.push(decision);
    let otp = otp(project, dir, version);
    bases(project, version, otp, &mut service);
    let named = FRAMEWORKS
        .iter()
        .find_map(|(package, id)| Some((*package, *id, dependency(&manifests, package)?)));
    if let Some((_, id, place)) = &named {
        service.framework(id, "dependency", [place.clone()]);
    }
    let is_phoenix = service.spec.metadata.framework.as_deref() == Some("phoenix");
    let files = source::gather(project, dir, &["ex", "exs"], &|_| false);
    // Without a module to start, a project is a library.
    let runs = manifests.iter().any(|text| {
        text.text.lines().any(|line| {
            line.trim_start().starts_with("mod:")
                || line.contains(" mod: {")
                || line.contains("[mod: {")
        })
    });
    if !runs && !is_phoenix {
        service.weight = Weight::Manifest;
    } else {
        service.weight = service.weight.max(Weight::Starts);
    }
    let release = release(mix, app.as_deref(), is_umbrella);
    build(project, &mut service, &manifests, is_phoenix, release.as_deref());
    start(project, &mut service, runs || is_phoenix, release.as_deref());
    if let Some(process) =
        procfile(project, dir).filter(|p| p.line.contains("mix ") || p.line.contains("bin/"))
    {
        // The image of a release has no Mix.
        if !process.line.contains("mix ") || release.is_none() {
            service.decisions.retain(|decision| decision.what != "start command");
            let words: Vec<&str> = process.command.iter().map(String::as_str).collect();
            service.start(words, format!("Procfile {}", process.name), [process.evidence]);
        }
        service.weight = Weight::Stated;
    }
    port(&mut service, is_phoenix, named.is_some(), &files);
    if let Some((path, rule)) = health(&files) {
        service.spec.runtime.health = Some(path.to_owned());
        service.decide("health", path, rule, []);
    }
    service
}

/// The project's manifest, and those of its applications.
fn manifests(project: &Project<'_>, dir: &str, mix: &Text, is_umbrella: bool) -> Vec<Text> {
    let own = Text { path: mix.path.clone(), text: mix.text.clone() };
    let mut found = vec![own];
    if is_umbrella {
        let below = project
            .tree
            .dirs_below(dir)
            .filter(|(at, entries)| *at != dir && entries.has("mix.exs"));
        let texts =
            below.take(APPS_MAX).filter_map(|(at, _)| project.tree.read(&join(at, "mix.exs")));
        found.extend(texts.map(|text| Text { path: text.path.clone(), text: text.text.clone() }));
    }
    found
}

/// `{:phoenix, "~> 1.7"}`
fn dependency(manifests: &[Text], name: &str) -> Option<Evidence> {
    manifests.iter().find_map(|text| {
        let is_one = |line: &str| {
            !line.trim_start().starts_with('#')
                && line
                    .split_once(&format!("{{:{name}"))
                    .is_some_and(|(_, rest)| rest.trim_start().starts_with(','))
                && !line.contains("only: :dev")
                && !line.contains("only: :test")
                && !line.contains("only: [")
        };
        let (at, _) = text.lines().find(|(_, line)| is_one(line))?;
        Some(Evidence::line(&text.path, Some(at)))
    })
}

/// `app: :shop` → `shop`
fn atom_of(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = after_key(line, key)?.strip_prefix(':')?;
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        (!name.is_empty()).then_some(name)
    })
}

/// What stands behind a key of a keyword list, the list's first or a later one.
fn after_key<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let at = line.find(key)?;
    let is_key = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:\"".contains(c));
    let is_comment = line.trim_start().starts_with('#');
    (is_key && !is_comment).then(|| line[at + key.len()..].trim_start())
}

/// The release that is built: the first that is declared, else that of the application. An umbrella has to declare one.
fn release(mix: &Text, app: Option<&str>, is_umbrella: bool) -> Option<String> {
    let declared = mix
        .text
        .split_once("releases: [")
        .or_else(|| mix.text.split_once("defp releases do"))
        .map(|(_, rest)| rest);
    let first = declared.and_then(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '[');
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        (rest[name.len()..].starts_with(':') && !name.is_empty()).then_some(name)
    });
    first.or_else(|| app.filter(|_| !is_umbrella).map(str::to_owned))
}

fn version(project: &Project<'_>, dir: &str, mix: &Text) -> (Version, Decision) {
    let decided = |version: Version, rule: String, place: Evidence| {
        (version, Decision::new("version", version.to_string(), rule, [place]))
    };
    let exact =
        |text: &str| Version::parse(text).filter(|v| v.minor.is_some()).map(Version::major_minor);
    let stated = pins::stated(project, dir).into_iter();
    let managed = pins::pins(project, dir, &[".elixir-version"], &["elixir"]);
    let found = stated
        .chain(managed)
        .chain(buildpack(project, dir, "elixir_version"))
        .find_map(|pin| Some((exact(&pin.version)?, pin)));
    if let Some((version, pin)) = found {
        return decided(version, pin.rule, pin.evidence);
    }
    let required = mix.lines().find_map(|(at, line)| {
        let text = after_key(line, "elixir:")?.strip_prefix('"')?.split('"').next()?;
        Some((text.to_owned(), at))
    });
    let Some((text, at)) = required else {
        return (
            DEFAULT,
            Decision::new("version", DEFAULT.to_string(), "default, nothing pins one", []),
        );
    };
    let place = Evidence::line(&mix.path, Some(at));
    let Some(range) = Requirement::parse(&text) else {
        return decided(DEFAULT, format!("default, `{text}` is no requirement"), place);
    };
    decided(best(&range), format!("elixir: `{text}`"), place)
}

fn best(range: &Requirement) -> Version {
    let all = IMAGES.iter().map(|(major, minor, _)| Version {
        major: *major,
        minor: Some(*minor),
        patch: None,
    });
    let allowed: Vec<Version> = all.filter(|version| range.allows(*version)).collect();
    let found = allowed
        .iter()
        .rev()
        .find(|version| **version <= DEFAULT)
        .or_else(|| allowed.first())
        .copied();
    found.or_else(|| range.lowest().map(Version::major_minor)).unwrap_or(DEFAULT)
}

/// `elixir_buildpack.config` of Heroku's and Gigalixir's buildpack: `erlang_version=26.0`.
fn buildpack(project: &Project<'_>, dir: &str, key: &str) -> Option<pins::Pin> {
    let path = join(dir, "elixir_buildpack.config");
    let file = project.tree.properties(&path)?;
    let (version, line) = file.get(key)?;
    Some(pins::Pin::new(version.trim(), "elixir_buildpack.config", path, line))
}

/// The major of Erlang/OTP in the tag.
fn otp(project: &Project<'_>, dir: &str, version: Version) -> u32 {
    let fitting = IMAGES
        .iter()
        .find(|(major, minor, _)| *major == version.major && Some(*minor) == version.minor);
    let fitting = fitting.map_or(28, |image| image.2);
    // `elixir 1.16.2-otp-26` says it, too.
    let of_elixir = pins::pins(project, dir, &[], &["elixir"]);
    let suffix = of_elixir.iter().find_map(|pin| pin.version.split_once("-otp-")?.1.parse().ok());
    let managed = pins::pins(project, dir, &[], &["erlang"])
        .into_iter()
        .chain(buildpack(project, dir, "erlang_version"));
    let pinned = suffix
        .or_else(|| managed.into_iter().find_map(|pin| Some(Version::parse(&pin.version)?.major)));
    match pinned {
        // What Elixir does not run on has no image.
        Some(otp) if fitting > 0 && otp <= fitting && otp + 3 > fitting => otp,
        _ => fitting,
    }
}

fn bases(project: &Project<'_>, version: Version, otp: u32, service: &mut Service) {
    let spec = &mut service.spec;
    match project.bases {
        Family::Official => {
            let tag = if otp > 0 { format!("{version}-otp-{otp}") } else { version.to_string() };
            spec.build.base = official(&format!("elixir:{tag}"));
            // A release brings Erlang along, which is linked to the libraries of this very Debian.
            spec.runtime.base = official(&format!("elixir:{tag}-slim"));
            spec.runtime.user = Some(images::NOBODY.to_owned());
        }
        Family::Wolfi => {
            (spec.build.base, spec.runtime.base) = (wolfi(), wolfi());
            spec.runtime.user = Some(images::WOLFI_NONROOT.to_owned());
            let (elixir, erlang) = (format!("elixir-{version}"), format!("erlang-{otp}"));
            service.build_packages([elixir.as_str(), erlang.as_str(), "build-base", "git"]);
            service.runtime_packages(["libgcc", "libstdc++", "ncurses", "openssl"]);
        }
        Family::Debian => {
            (spec.build.base, spec.runtime.base) = (debian(), image(images::DEBIAN));
            spec.runtime.user = Some(images::NOBODY.to_owned());
            service
                .build_packages(["build-essential", "ca-certificates", "elixir", "erlang", "git"]);
            service.runtime_packages(["ca-certificates", "libncurses6", "libstdc++6", "openssl"]);
            let base =
                Decision::new("base", images::DEBIAN, "the only Elixir of Debian 12 is 1.14", []);
            service.decisions.push(base.not(version.to_string(), None, "Debian has one version"));
        }
    }
}

fn build(
    project: &Project<'_>,
    service: &mut Service,
    manifests: &[Text],
    is_phoenix: bool,
    release: Option<&str>,
) {
    let dir = service.dir.clone();
    service.build_env("MIX_ENV", "prod");
    service.build_env("MIX_HOME", "/opt/mix");
    service.build_env("HEX_HOME", "/root/.hex");
    service.cache(["/root/.hex"]);
    let made = [".git".to_owned(), join(&dir, "_build"), join(&dir, "deps")];
    service.spec.build.exclude.extend(made);
    let mut files: Vec<String> = manifests.iter().map(|text| text.path.clone()).collect();
    for name in ["mix.lock", "config/config.exs", "config/prod.exs"] {
        files.extend(Some(join(&dir, name)).filter(|path| project.tree.has(path)));
    }
    let tools = "mix local.hex --force && mix local.rebar --force";
    let step =
        ["mix deps.get --only prod", "mix deps.compile"].map(|command| within(&dir, command));
    let step: Vec<String> = [tools.to_owned()].into_iter().chain(step).collect();
    let has_local = manifests.iter().any(|text| {
        text.text.lines().any(|line| {
            line.contains("{:") && line.contains(" path: \"") && !line.trim_start().starts_with('#')
        })
    });
    let mut commands = Vec::new();
    if has_local {
        commands.extend(step);
    } else {
        service.dependencies(files, step);
    }
    // Settings that are imported may lie in files of their own, so what depends on them is compiled with all of them.
    commands.push(within(&dir, "mix compile"));
    let web = manifests.iter().find(|text| text.text.contains("assets.deploy"));
    let asset_dirs = manifests.iter().map(|text| join(parent(&text.path), "assets"));
    for at in asset_dirs.filter(|at| project.tree.has(&join(at, "package.json"))) {
        service.claims.push(at.clone());
        if let Some(assets) = service.assets(project, &at) {
            commands.extend(assets.build);
        } else {
            // Before Phoenix 1.6 the script was called `deploy`; later the packages alone are wanted.
            let lock = join(&at, "package-lock.json");
            let install = if project.tree.has(&lock) { "npm ci" } else { "npm install" };
            let has_deploy = project
                .tree
                .json(&join(&at, "package.json"))
                .is_some_and(|json| json.at(&["scripts", "deploy"]).is_some());
            service.build_packages(["nodejs", "npm"]);
            let run = if has_deploy { " && npm run deploy" } else { "" };
            commands.push(within(&at, &format!("{install}{run}")));
        }
    }
    match web {
        Some(text) => {
            let at = parent(&text.path);
            if text.text.contains("assets.setup") {
                commands.push(within(at, "mix assets.setup"));
            }
            commands.push(within(at, "mix assets.deploy"));
        }
        None if is_phoenix && project.tree.has_dir(&join(&dir, "priv/static")) => {
            commands.push(within(&dir, "mix phx.digest"))
        }
        None => {}
    }
    if let Some(name) = release {
        commands.push(within(&dir, &format!("mix release {name} --overwrite")));
    }
    service.decide(
        "build command",
        commands.join("; "),
        "steps of Mix",
        [Evidence::file(join(&dir, "mix.exs"))],
    );
    service.spec.build.commands = commands;
}

fn start(project: &Project<'_>, service: &mut Service, runs: bool, release: Option<&str>) {
    let dir = service.dir.clone();
    let mix = Evidence::file(join(&dir, "mix.exs"));
    service.env("HOME", "/tmp");
    service.env("LANG", "C.UTF-8");
    service.env("MIX_ENV", "prod");
    service.spec.runtime.workdir = Some(APP_DIR.to_owned());
    match release {
        Some(name) => {
            service.copy(&join(&dir, &format!("_build/prod/rel/{name}")), APP_DIR);
            // `mix phx.gen.release` writes this script.
            let overlay = join(&dir, "rel/overlays/bin/server");
            if project.tree.has(&overlay) {
                service.start(
                    ["/app/bin/server"],
                    "script of the release",
                    [Evidence::file(overlay)],
                );
            } else if runs {
                let program = format!("/app/bin/{name}");
                service.start([program.as_str(), "start"], "release", [mix]);
            }
        }
        None => {
            // Without a release the project runs by Mix, with all that was built.
            service.copy("/opt/mix", "/opt/mix");
            service.copy(&dir, APP_DIR);
            service.env("MIX_HOME", "/opt/mix");
            let is_phoenix = service.spec.metadata.framework.as_deref() == Some("phoenix");
            let task = if is_phoenix { "phx.server" } else { "run" };
            let mut words = vec!["mix", task, "--no-compile", "--no-deps-check"];
            if !is_phoenix {
                words.push("--no-halt");
            }
            service.start(words, "no release is declared", [mix]);
        }
    }
    if !service.decisions.iter().any(|decision| decision.what == "start command") {
        service.decide("start command", "", "mix.exs names no module to start", []);
    }
}

fn port(service: &mut Service, is_phoenix: bool, is_web: bool, files: &[std::rc::Rc<Text>]) {
    if is_phoenix {
        service.env("PHX_SERVER", "true");
        let runtime: Vec<_> = files
            .iter()
            .filter(|f| {
                f.path.ends_with("config/runtime.exs") || f.path.ends_with("config/prod.exs")
            })
            .cloned()
            .collect();
        let ports = source::ports(&runtime, &[]);
        // 443 and 80 are those of the proxy in front, which the addresses in pages have.
        let own = ports.number.filter(|(port, _)| !matches!(port, 80 | 443));
        match ports.env.and(own) {
            Some((port, place)) => service.port(port, "port in the settings", [place]),
            None => service.port(4000, "default of Phoenix", []),
        }
    } else {
        let ports = source::ports(files, &["Plug.Cowboy", "Bandit", "cowboy", "port:"]);
        match (ports.number, is_web) {
            (Some((port, place)), _) => service.port(port, "port in the source", [place]),
            (None, true) => service.port(4000, "default of Plug", []),
            (None, false) => service.decide("port", "", "nothing listens", []),
        }
    }
    if let Some(port) = service.spec.runtime.ports.first().copied() {
        service.env("PORT", port.to_string());
    }
}

fn health(files: &[std::rc::Rc<Text>]) -> Option<(&'static str, String)> {
    ["/healthz", "/health", "/api/health", "/healthcheck", "/ping"].into_iter().find_map(|path| {
        let place = source::mention(files, &format!("get \"{path}\""))?;
        Some((path, format!("route at {place}")))
    })
}

/// Applications of an umbrella that are looked at.
const APPS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    const MIX: &str = "defmodule Shop.MixProject do\n  def project do\n    [\n      app: :shop,\n      elixir: \"~> 1.14\",\n      releases: [\n        web: [applications: [a: :permanent]]\n      ]\n    ]\n  end\n  defp deps do\n    [{:phoenix, \"~> 1.7\"}, {:x, \"1\"},\n     {:plug_cowboy, \"~> 2.0\", only: [:test]}]\n  end\nend\n";

    fn text(text: &str) -> Text {
        Text { path: "mix.exs".into(), text: text.into() }
    }

    #[test]
    fn mix_exs_names_application_release_and_dependencies() {
        assert_eq!(atom_of(MIX, "app:").as_deref(), Some("shop"));
        assert_eq!(release(&text(MIX), Some("shop"), false).as_deref(), Some("web"));
        assert_eq!(release(&text("app: :x"), Some("x"), true), None);
        assert!(dependency(&[text(MIX)], "phoenix").is_some());
        assert_eq!(dependency(&[text(MIX)], "plug_cowboy"), None);
        assert_eq!(dependency(&[text(MIX)], "pho"), None);
    }

    #[test]
    fn a_requirement_gives_the_default_or_the_nearest_before_it() {
        let check = |range: &str, want: &str| {
            assert_eq!(best(&Requirement::parse(range).unwrap()).to_string(), want)
        };
        check("~> 1.14", "1.18");
        check("~> 1.14.0", "1.14");
        check(">= 1.19.0", "1.19");
        check("~> 1.30", "1.30");
    }

    #[test]
    fn no_text_makes_the_readers_panic() {
        mutate(MIX.as_bytes(), b":[]{},\" \n\xc3", 3000, |data| {
            let mix = text(&String::from_utf8_lossy(data));
            drop(atom_of(&mix.text, "app:"));
            drop(release(&mix, None, false));
            drop(dependency(&[mix], "phoenix"));
        });
    }
}
