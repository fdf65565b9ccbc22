//! Frameworks that own the whole application: how each is built, and what runs of it.

use super::{
    Unit,
    config::Config,
    framework::{self, Framework, Kind},
    outcome::{
        METEOR, Outcome, Runs, Server, by_words, clean, files, is_other_program, known_by, nothing,
        server,
    },
    site,
    source::{self, Source},
    start::{self, Start},
};
use crate::detect::{
    Decision, Evidence, ecosystems::draft::OUT_DIR, join, procfile::procfile, shell::quote,
};

pub(super) fn of(unit: &Unit<'_>, framework: &'static Framework, dependency: &str) -> Outcome {
    let mut outcome = match framework.kind {
        Kind::Next => next(unit),
        Kind::Nuxt => nuxt(unit),
        Kind::Remix => remix(unit),
        Kind::ReactRouter => react_router(unit),
        Kind::Astro => astro(unit),
        Kind::SvelteKit => sveltekit(unit),
        Kind::Angular => angular(unit),
        Kind::Adonis => adonis(unit),
        Kind::Redwood => {
            let start = by_words("redwood's own server", "npx rw serve", unit.place(dependency));
            built_server(unit, "rw build", start, 8910)
        }
        Kind::Expo => expo(unit),
        Kind::Qwik => match production(unit) {
            Some(start) => built_server(unit, "qwik build", start, 3000),
            None => qwik(unit).unwrap_or_else(|| files(unit, "vite build", "dist", true)),
        },
        Kind::Nitro => nitro(unit, framework.id),
        Kind::Vike => vike(unit, unit.place(dependency)),
        Kind::VitePress => site::documentation(unit, "vitepress", ".vitepress/dist"),
        Kind::VuePress => site::documentation(unit, "vuepress", ".vuepress/dist"),
        Kind::Built { build, start, port } => {
            let place = unit.place(dependency);
            let start = match production(unit) {
                Some(found) if framework.id != "nestjs" || !found.line.starts_with("nest ") => {
                    found
                }
                _ if framework.id == "nestjs" => {
                    by_words("where nest build writes", "node dist/main", place)
                }
                _ if start.starts_with("node ") => by_words("where the build writes", start, place),
                _ => by_words("the framework's own server", &format!("npx {start}"), place),
            };
            let has_cli = framework.id != "nestjs" || unit.has("@nestjs/cli");
            built_server(unit, if has_cli { build } else { "tsc" }, start, port)
        }
        Kind::Site { build, output, is_spa } => files(unit, build, output, is_spa),
        Kind::Server { .. } | Kind::Worker | Kind::Bundler { .. } => {
            nothing("no framework of its own")
        }
    };
    if let Some(process) = procfile(unit.project, &unit.package.dir)
        && let Runs::Server(server) = &mut outcome.runs
        && !is_other_program(&process.line)
    {
        server.start.rule = format!("Procfile {}", process.name);
        server.start.place = process.evidence;
        server.start.line = process.line;
        server.command = Some(process.command);
        server.copy.clear();
        server.is_self_contained = false;
    }
    let ionic = ["@ionic/angular", "@ionic/react", "@ionic/vue"].iter().any(|name| unit.has(name));
    outcome.framework =
        Some(if ionic && framework.id == "angular" { "ionic" } else { framework.id });
    outcome.decisions.insert(0, known_by(unit, framework, dependency));
    outcome
}

/// The script that starts it in production.
fn production(unit: &Unit<'_>) -> Option<Start> {
    let start = start::script(unit.package)?;
    let is_fine = !start.is_development() && start.served_folder().is_none() && !start.delegates();
    is_fine.then_some(start)
}

/// A server of a framework, with its whole folder in the image.
fn built_server(unit: &Unit<'_>, build: &str, start: Start, default: u16) -> Outcome {
    let source = match start.words.first() {
        Some(program) if program == "node" => {
            source::scan(unit.project, &unit.package.dir, start.file())
        }
        _ => Source::default(),
    };
    let mut decisions = Vec::new();
    let mut server =
        server(start, Some((default, "the framework")), false, &source, &mut decisions);
    server.reads_port = source.port.is_none() || source.reads_port.is_some();
    let build = Some(build.to_owned());
    Outcome {
        framework: None,
        build,
        whole_build: None,
        before_build: Vec::new(),
        after_build: Vec::new(),
        runs: Runs::Server(Box::new(server)),
        decisions,
    }
}

/// Qwik City without an adapter: its build has no page for a file server, what shows it is the preview of Vite.
fn qwik(unit: &Unit<'_>) -> Option<Outcome> {
    let tree = unit.project.tree;
    let has_adapter = tree.has_dir(&unit.package.join("adapters"));
    let entry = ["src/entry.preview.tsx", "src/entry.preview.jsx"]
        .into_iter()
        .find(|entry| tree.has(&unit.package.join(entry)))
        .filter(|_| !has_adapter)?;
    let place = Evidence::file(unit.package.join(entry));
    let line = "npx vite preview --host 0.0.0.0 --port 3000";
    let start = by_words("there is no adapter: the preview of Vite", line, place.clone());
    let mut outcome = built_server(unit, "vite build", start, 3000);
    if let Runs::Server(server) = &mut outcome.runs {
        server.reads_port = false;
        // Vite writes its bundled settings beside them.
        server.writes = Some(place);
    }
    let dir = |command: &str| unit.in_package(command);
    outcome.whole_build =
        Some(vec![dir("npx vite build"), dir(&format!("npx vite build --ssr {entry}"))]);
    Some(outcome)
}

/// A server whose output holds all it needs.
fn contained(
    build: &str,
    start: Start,
    port: u16,
    copy: Vec<(String, &'static str)>,
    is_self_contained: bool,
) -> Outcome {
    let port_decision = Decision::new("port", port.to_string(), "default of the framework", []);
    let server = Server {
        command: Some(start.words.clone()),
        start,
        port: Some(port),
        reads_port: true,
        env: Vec::new(),
        health: None,
        copy,
        is_self_contained,
        writes: None,
    };
    Outcome {
        framework: None,
        build: Some(build.to_owned()),
        whole_build: None,
        before_build: Vec::new(),
        after_build: Vec::new(),
        runs: Runs::Server(Box::new(server)),
        decisions: vec![port_decision],
    }
}

fn with_env(mut outcome: Outcome, name: &'static str, value: &str) -> Outcome {
    if let Runs::Server(server) = &mut outcome.runs {
        server.env.push((name, value.to_owned()));
    }
    outcome
}

fn next(unit: &Unit<'_>) -> Outcome {
    let config = Config::find(unit, &["next.config"]);
    let output = config.as_ref().and_then(|config| config.text_of("output"));
    let dist =
        config.as_ref().and_then(|config| config.text_of("distDir")).map(|(dist, _)| clean(&dist));
    let exports = unit.build_script().is_some_and(|(_, line)| line.contains("next export"));
    match output.as_ref().map(|(output, place)| (output.as_str(), place.clone())) {
        Some(("export", place)) => {
            let folder = dist.unwrap_or_else(|| "out".to_owned());
            let mut outcome = files(unit, "next build", &folder, false);
            if let Runs::Site(site) = &mut outcome.runs {
                (site.place, site.rule) = (Some(place), "output `export`");
            }
            return outcome;
        }
        _ if exports => return files(unit, "next build", "out", false),
        _ => {}
    }
    let dist = dist.unwrap_or_else(|| ".next".to_owned());
    let script = production(unit);
    let is_custom = script.as_ref().is_some_and(|start| {
        !framework::calls_any(&start.line, &["next"]) && !start.line.contains("standalone")
    });
    if let Some(("standalone", place)) = output.as_ref().map(|(o, p)| (o.as_str(), p.clone()))
        && !is_custom
    {
        // The server stands in the output as deep as the package does in its workspace.
        let inside = unit.below_root();
        let program = join(inside, "server.js");
        let start = by_words("output `standalone`", &format!("node {program}"), place);
        let mut copy = vec![(format!("{dist}/standalone"), ".")];
        copy.push((format!("{dist}/static"), "@/.next/static"));
        if unit.project.tree.has_dir(&unit.package.join("public")) {
            copy.push(("public".to_owned(), "@/public"));
        }
        return with_env(contained("next build", start, 3000, copy, true), "HOSTNAME", "0.0.0.0");
    }
    let place = unit.place("next");
    let start =
        script.unwrap_or_else(|| by_words("the framework's own server", "npx next start", place));
    let mut outcome = built_server(unit, "next build", start, 3000);
    // Pages and images that it makes anew are kept there.
    outcome.after_build = vec![unit.in_package(&format!("chmod -R a+rwX {}", quote(&dist)))];
    outcome
}

fn nuxt(unit: &Unit<'_>) -> Outcome {
    let config = Config::find(unit, &["nuxt.config"]);
    let text_of = |key: &str| config.as_ref().and_then(|config| config.text_of(key));
    let place = unit.place("nuxt");
    let generates = unit.build_script().is_some_and(|(_, line)| line.contains("generate"));
    let is_old = unit.major("nuxt").is_some_and(|major| major < 3) || unit.has("nuxt-edge");
    if is_old {
        let is_static = text_of("target").is_some_and(|(target, _)| target == "static");
        if is_static || generates {
            return files(unit, "nuxt generate", "dist", false);
        }
        let start = production(unit)
            .unwrap_or_else(|| by_words("the framework's own server", "npx nuxt start", place));
        return with_env(built_server(unit, "nuxt build", start, 3000), "HOST", "0.0.0.0");
    }
    let preset = text_of("preset").map(|(preset, _)| preset);
    let is_static = preset.is_some_and(|preset| {
        ["static", "github-pages", "github_pages"].contains(&preset.as_str())
    });
    if generates || is_static {
        return files(unit, "nuxt generate", ".output/public", false);
    }
    let start = by_words("where nuxt build writes", "node .output/server/index.mjs", place);
    contained("nuxt build", start, 3000, vec![(".output".to_owned(), ".output")], true)
}

/// What TanStack Start builds without Nitro is for a server of the web's `fetch` (tanstack.com/start, hosting).
fn without_nitro(unit: &Unit<'_>) -> Outcome {
    let place = unit.place("@tanstack/react-start");
    let line = "npx srvx --prod -s ../client dist/server/server.js";
    let start = by_words("where vite build writes", line, place);
    let copy = ["node_modules", "dist"].map(|folder| (folder.to_owned(), folder));
    let copy = copy.into_iter().chain([("package.json".to_owned(), ".")]).collect();
    let mut outcome = contained("vite build", start, 3000, copy, false);
    outcome.before_build = vec![unit.manager.add("srvx")];
    outcome
}

fn nitro(unit: &Unit<'_>, id: &str) -> Outcome {
    let script = production(unit);
    let config = Config::find(unit, &["vite.config"]);
    let brings = ["nitro", "nitropack", "vinxi", "@tanstack/nitro-v2-vite-plugin"];
    let has_nitro = brings.iter().any(|name| unit.has(name))
        || config
            .as_ref()
            .is_none_or(|config| config.says("target", "") || config.text().contains("nitro"));
    if id == "tanstack-start" && script.is_none() && !has_nitro {
        return without_nitro(unit);
    }
    let is_own = script.as_ref().is_some_and(|start| {
        !start.line.contains(".output/") && !framework::calls_any(&start.line, &["vinxi"])
    });
    let build = if unit.has("vinxi") {
        "vinxi build"
    } else if unit.has("vite") {
        "vite build"
    } else {
        "nitro build"
    };
    match script {
        Some(start) if is_own => built_server(unit, build, start, 3000),
        script => {
            let place =
                script.map_or_else(|| Evidence::file(&unit.package.path), |start| start.place);
            let start = by_words("where the build writes", "node .output/server/index.mjs", place);
            contained(build, start, 3000, vec![(".output".to_owned(), ".output")], true)
        }
    }
}

fn remix(unit: &Unit<'_>) -> Outcome {
    let is_vite = unit.has("vite");
    let config = Config::find(unit, &["vite.config"]);
    if is_vite && config.is_some_and(|config| config.says("ssr", "false")) {
        return files(unit, "remix vite:build", "build/client", true);
    }
    let (build, server) = match is_vite {
        true => ("remix vite:build", "npx remix-serve build/server/index.js"),
        false => ("remix build", "npx remix-serve build/index.js"),
    };
    let place = Evidence::file(&unit.package.path);
    let start =
        production(unit).unwrap_or_else(|| by_words("where the build writes", server, place));
    built_server(unit, build, start, 3000)
}

fn react_router(unit: &Unit<'_>) -> Outcome {
    let config = Config::find(unit, &["react-router.config"]);
    if config.is_some_and(|config| config.says("ssr", "false")) {
        return files(unit, "react-router build", "build/client", true);
    }
    let place = unit.place("@react-router/dev");
    let server = "npx react-router-serve build/server/index.js";
    let start =
        production(unit).unwrap_or_else(|| by_words("where the build writes", server, place));
    built_server(unit, "react-router build", start, 3000)
}

fn astro(unit: &Unit<'_>) -> Outcome {
    let config = Config::find(unit, &["astro.config"]);
    let has_adapter = unit.has("@astrojs/node")
        && config.as_ref().is_none_or(|config| config.text().contains("@astrojs/node"));
    if !has_adapter {
        return files(unit, "astro build", "dist", false);
    }
    let is_middleware =
        config.is_some_and(|c| c.text_of("mode").is_some_and(|(mode, _)| mode == "middleware"));
    let place = unit.place("@astrojs/node");
    let outcome = match production(unit) {
        Some(start) if is_middleware => built_server(unit, "astro build", start, 4321),
        _ => {
            let start = by_words("adapter @astrojs/node", "node dist/server/entry.mjs", place);
            let copy = vec![
                ("node_modules".to_owned(), "node_modules"),
                ("dist".to_owned(), "dist"),
                ("package.json".to_owned(), "."),
            ];
            contained("astro build", start, 4321, copy, false)
        }
    };
    with_env(outcome, "HOST", "0.0.0.0")
}

fn sveltekit(unit: &Unit<'_>) -> Outcome {
    let config = Config::find(unit, &["svelte.config", "vite.config"]);
    let names =
        |adapter: &str| config.as_ref().is_some_and(|config| config.text().contains(adapter));
    if names("@sveltejs/adapter-static") {
        let is_spa = config.as_ref().is_some_and(|config| config.text_of("fallback").is_some());
        let mut outcome = files(unit, "vite build", "build", is_spa);
        if let (Runs::Site(site), Some((pages, place))) =
            (&mut outcome.runs, config.as_ref().and_then(|config| config.text_of("pages")))
        {
            let folder = site::written(unit, "", &pages).unwrap_or_else(|| clean(&pages));
            (site.folder, site.place) = (folder, Some(place));
        }
        return outcome;
    }
    let copy = ["node_modules", "build"].map(|folder| (folder.to_owned(), folder));
    let copy: Vec<_> = copy.into_iter().chain([("package.json".to_owned(), ".")]).collect();
    let place = Evidence::file(&unit.package.path);
    let start = by_words("adapter-node's output", "node build", place);
    let mut outcome = contained("vite build", start, 3000, copy, false);
    if !names("@sveltejs/adapter-node") {
        let major = unit.major("@sveltejs/kit").unwrap_or(2);
        let adapter =
            if major < 2 { "@sveltejs/adapter-node@1" } else { "@sveltejs/adapter-node@5" };
        let file = config.as_ref().map(|config| config.place().file);
        let name =
            file.as_deref().and_then(|file| file.rsplit('/').next()).unwrap_or("svelte.config.js");
        outcome.before_build = vec![
            unit.manager.add(adapter),
            format!(
                "sed -i -E 's#@sveltejs/adapter-(auto|vercel|netlify|cloudflare(-workers)?)#@sveltejs/adapter-node#' {name}"
            ),
        ];
        let rule = "the project's adapter makes no server that runs by itself: adapter-node takes its place";
        let place = config.as_ref().map(Config::place);
        outcome.decisions.push(Decision::new("build command", adapter, rule, place));
    }
    outcome
}

fn angular(unit: &Unit<'_>) -> Outcome {
    let Some(found) = site::angular(unit) else {
        return files(unit, "ng build", "dist", true);
    };
    let production = production(unit);
    if let Some(server) = &found.server {
        let start = by_words("server of the build", &format!("node {server}"), found.place.clone());
        let start = production.filter(|start| start.line.contains("dist/")).unwrap_or(start);
        let copy = vec![(found.folder.split('/').next().unwrap_or("dist").to_owned(), "dist")];
        let mut outcome = contained("ng build", start, 4000, copy, found.is_bundled);
        if !found.is_bundled
            && let Runs::Server(server) = &mut outcome.runs
        {
            server.copy.clear();
        }
        let both = unit.package.first_script(&["build:ssr"]).filter(|_| !found.is_bundled);
        outcome.whole_build = both.map(|both| vec![unit.in_package(&unit.manager.run(both))]);
        return outcome;
    }
    let mut outcome = files(unit, "ng build", &found.folder, true);
    if let Runs::Site(site) = &mut outcome.runs {
        (site.folder, site.place, site.rule) =
            (found.folder, Some(found.place), "output of angular.json");
    }
    outcome
}

fn adonis(unit: &Unit<'_>) -> Outcome {
    let is_new = unit.major("@adonisjs/core").is_none_or(|major| major >= 6);
    let (build, server) = match is_new {
        true => ("node ace build", "node build/bin/server.js"),
        false => ("node ace build --production", "node build/server.js"),
    };
    let place = unit.place("@adonisjs/core");
    let start = by_words("where node ace build writes", server, place);
    let mut outcome = built_server(unit, "", start, 3333);
    if unit.build_script().is_none() {
        outcome.before_build = vec![unit.in_package(build)];
    }
    outcome.build = None;
    with_env(outcome, "HOST", "0.0.0.0")
}

/// <https://docs.meteor.com/cli/#meteorbuild>: the bundle is a project of npm of its own.
pub(super) fn meteor(unit: &Unit<'_>) -> Outcome {
    let place = Evidence::file(unit.package.join(METEOR));
    let start = by_words("meteor's bundle", "node main.js", place.clone());
    let copy = vec![(format!("{OUT_DIR}/bundle"), ".")];
    let outcome = contained("", start, 3000, copy, true);
    let mut outcome = with_env(outcome, "ROOT_URL", "http://localhost:3000");
    outcome.whole_build = Some(vec![
        "npm install -g meteor --foreground-scripts".to_owned(),
        unit.in_package(&format!(
            "meteor build --directory {OUT_DIR} --server-only --allow-superuser"
        )),
        format!("cd {OUT_DIR}/bundle/programs/server && npm install --omit=dev"),
    ]);
    outcome.framework = Some("meteor");
    outcome.decisions.insert(0, Decision::new("framework", "meteor", METEOR, [place]));
    outcome
}

/// A server of the project's own, else that of Vike, which listens for its own machine alone (vike.dev/preview).
fn vike(unit: &Unit<'_>, place: Evidence) -> Outcome {
    let own = production(unit).filter(|start| !framework::calls_any(&start.line, &["vike"]));
    let line = "npx vike preview --host 0.0.0.0 --port 3000";
    let start = own.unwrap_or_else(|| by_words("the framework's own server", line, place));
    built_server(unit, "vike build", start, 3000)
}

fn expo(unit: &Unit<'_>) -> Outcome {
    if !unit.has("react-native-web") {
        return nothing("an application for phones");
    }
    files(unit, "expo export --platform web", "dist", true)
}
