//! Frameworks that own the whole application: how each is built, and what runs of it, where a row cannot say it.

use super::{
    config::Config,
    lines::calls_any,
    plan::{Plan, production},
    site,
    source::Source,
    start::Start,
    unit::Unit,
    version::METEOR,
};
use crate::detect::prelude::*;

/// What npm installs and the build makes, for outputs that need both.
const MODULES_AND_DIST: &[&str] = &["node_modules", "dist", "package.json"];
const OUTPUT_SERVER: &str = ".output/server/index.mjs";

pub(super) fn redwood(unit: &Unit<'_>, place: Evidence) -> Plan {
    let start = Start::npx("rw serve", Fixed::ServerOfRedwood, place);
    Plan::built(unit, "rw build", start, 8910)
}

pub(super) fn next(unit: &Unit<'_>, place: Evidence) -> Plan {
    let at = unit.at();
    let config = Config::read(at, &["next.config"]);
    let dist = config.text_of("distDir").map(|(dist, _)| clean(&dist));
    let (output, said) = config.text_of("output").unzip();
    if output.as_deref() == Some("export") {
        let (folder, _) = site::output(unit, "next build", dist.as_deref().unwrap_or("out"));
        let why = (Fixed::OutputExport, said);
        return Plan::site(unit, "next build", &folder, Missing::NotFound, why);
    }
    if unit.build_script().is_some_and(|(_, line)| line.contains("next export")) {
        return Plan::files(unit, "next build", "out", Missing::NotFound);
    }
    let dist = dist.unwrap_or_else(|| ".next".to_owned());
    let is_custom = production(unit).is_some_and(|start| {
        !calls_any(&start.line, &["next"]) && !start.line.contains("standalone")
    });
    if output.as_deref() == Some("standalone")
        && let Some(place) = said.filter(|_| !is_custom)
    {
        // The server stands in the output as deep as the package does in its workspace.
        let inside = unit.below_root(at.dir);
        let start = Start::node(&join(&inside, "server.js"), Fixed::OutputStandalone, place);
        let mut plan = Plan::made(unit, "next build", start, 3000).taking(unit, &[]);
        plan.facts.take(&at.path(&format!("{dist}/standalone")), "");
        plan.facts.take(&at.path(&format!("{dist}/static")), &join(&inside, ".next/static"));
        // Pages that it makes anew are kept there.
        let standalone = quote(&format!("{dist}/standalone"));
        plan.after = Some(unit.step(format!("chmod -R a+rwX {standalone}")));
        if at.has_dir("public") {
            plan.facts.take(&at.path("public"), &join(&inside, "public"));
        }
        return plan.env("HOSTNAME", "0.0.0.0");
    }
    let own = Start::npx("next start", Fixed::ServerOfFramework, place);
    let mut plan = Plan::scripted(unit, "next build", own, 3000);
    // Pages and images that it makes anew are kept there.
    plan.after = Some(unit.step(format!("chmod -R a+rwX {}", quote(&dist))));
    plan
}

pub(super) fn nuxt(unit: &Unit<'_>, _: Evidence) -> Plan {
    let config = Config::read(unit.at(), &["nuxt.config"]);
    let place = unit.place("nuxt");
    let generates = unit.build_script().is_some_and(|(_, line)| line.contains("generate"));
    if unit.major("nuxt").is_some_and(|major| major < 3) || unit.has("nuxt-edge") {
        if config.is_one_of("target", &["static"]) || generates {
            return Plan::files(unit, "nuxt generate", "dist", Missing::NotFound);
        }
        let own = Start::npx("nuxt start", Fixed::ServerOfFramework, place);
        return Plan::scripted(unit, "nuxt build", own, 3000).env("HOST", "0.0.0.0");
    }
    if generates || config.is_one_of("preset", &["static", "github-pages", "github_pages"]) {
        return Plan::files(unit, "nuxt generate", ".output/public", Missing::NotFound);
    }
    let start = Start::node(OUTPUT_SERVER, Rule::WrittenBy("nuxt build"), place);
    Plan::made(unit, "nuxt build", start, 3000).taking(unit, &[".output"])
}

/// What TanStack Start builds without Nitro is for a server of the web's `fetch` (tanstack.com/start, hosting).
pub(super) fn tanstack(unit: &Unit<'_>, place: Evidence) -> Plan {
    let brings = ["nitro", "nitropack", "vinxi", "@tanstack/nitro-v2-vite-plugin"];
    let config = Config::read(unit.at(), &["vite.config"]);
    let is_told = config.says("target", "") || config.code.contains("nitro");
    let has_own = production(unit).is_some() || config.place().is_none();
    if has_own || is_told || brings.iter().any(|name| unit.has(name)) {
        return nitro(unit, place);
    }
    let line = "srvx --prod -s ../client dist/server/server.js";
    let place = unit.place("@tanstack/react-start");
    let start = Start::npx(line, Rule::WrittenBy("vite build"), place);
    let mut plan = Plan::made(unit, "vite build", start, 3000).taking(unit, MODULES_AND_DIST);
    plan.before = vec![unit.step(unit.manager.add("srvx"))];
    plan.needs_dev = true;
    plan
}

pub(super) fn nitro(unit: &Unit<'_>, _: Evidence) -> Plan {
    let build = match () {
        () if unit.has("vinxi") => "vinxi build",
        () if unit.has("vite") => "vite build",
        () => "nitro build",
    };
    let is_output = |line: &str| line.contains(".output/") || calls_any(line, &["vinxi"]);
    let place = match production(unit) {
        Some(start) if !is_output(&start.line) => return Plan::built(unit, build, start, 3000),
        Some(start) => start.place,
        None => unit.package.line(None),
    };
    let start = Start::node(OUTPUT_SERVER, Fixed::WhereBuildWrites, place);
    Plan::made(unit, build, start, 3000).taking(unit, &[".output"])
}

pub(super) fn remix(unit: &Unit<'_>, _: Evidence) -> Plan {
    let config = Config::read(unit.at(), &["vite.config"]);
    let (build, server) = match unit.has("vite") {
        true if config.says("ssr", "false") => {
            return Plan::files(unit, "remix vite:build", "build/client", Missing::Index);
        }
        true => ("remix vite:build", "remix-serve build/server/index.js"),
        false => ("remix build", "remix-serve build/index.js"),
    };
    let own = Start::npx(server, Fixed::WhereBuildWrites, unit.package.line(None));
    Plan::scripted(unit, build, own, 3000)
}

pub(super) fn react_router(unit: &Unit<'_>, place: Evidence) -> Plan {
    if Config::read(unit.at(), &["react-router.config"]).says("ssr", "false") {
        return Plan::files(unit, "react-router build", "build/client", Missing::Index);
    }
    let server = "react-router-serve build/server/index.js";
    let own = Start::npx(server, Fixed::WhereBuildWrites, place);
    Plan::scripted(unit, "react-router build", own, 3000)
}

pub(super) fn astro(unit: &Unit<'_>, _: Evidence) -> Plan {
    const ADAPTER: &str = "@astrojs/node";
    let config = Config::read(unit.at(), &["astro.config"]);
    let is_left_out = config.place().is_some() && !config.code.contains(ADAPTER);
    if is_left_out || !unit.has(ADAPTER) {
        return Plan::files(unit, "astro build", "dist", Missing::NotFound);
    }
    let is_middleware = config.is_one_of("mode", &["middleware"]);
    let plan = match production(unit).filter(|_| is_middleware) {
        Some(start) => Plan::built(unit, "astro build", start, 4321),
        None => {
            let (out, _) = site::output(unit, "astro build", "dist");
            let file = format!("{out}/server/entry.mjs");
            let start = Start::node(&file, Fixed::AdapterOfAstro, unit.place(ADAPTER));
            let taken = ["node_modules", &*out, "package.json"];
            Plan::made(unit, "astro build", start, 4321).taking(unit, &taken)
        }
    };
    plan.env("HOST", "0.0.0.0")
}

pub(super) fn sveltekit(unit: &Unit<'_>, _: Evidence) -> Plan {
    let config = Config::read(unit.at(), &["svelte.config", "vite.config"]);
    if config.code.contains("@sveltejs/adapter-static") {
        let missing = match config.text_of("fallback") {
            Some(_) => Missing::Index,
            None => Missing::NotFound,
        };
        let Some((pages, place)) = config.text_of("pages") else {
            return Plan::files(unit, "vite build", "build", missing);
        };
        let folder = site::written(unit.at(), "", &pages).unwrap_or_else(|| clean(&pages));
        let why = (Fixed::ConfiguredOutput, Some(place));
        return Plan::site(unit, "vite build", &folder, missing, why);
    }
    let start = Start::node("build", Fixed::OutputOfAdapter, unit.package.line(None));
    let taken = ["node_modules", "build", "package.json"];
    let mut plan = Plan::made(unit, "vite build", start, 3000).taking(unit, &taken);
    if !config.code.contains("@sveltejs/adapter-node") {
        let is_old = unit.major("@sveltejs/kit").is_some_and(|major| major < 2);
        let adapter = if is_old { "@sveltejs/adapter-node@1" } else { "@sveltejs/adapter-node@5" };
        let place = config.place();
        let name = place.as_ref().map_or("svelte.config.js", |place| file_name(&place.file));
        let replace = format!(
            "sed -i -E 's#@sveltejs/adapter-(auto|vercel|netlify|cloudflare(-workers)?)#@sveltejs/adapter-node#' {name}"
        );
        plan.before = vec![unit.step(unit.manager.add(adapter)), unit.step(replace)];
        plan.facts.decide(What::Packages, adapter, Fixed::AdapterOfSvelte, place);
    }
    plan
}

pub(super) fn angular(unit: &Unit<'_>, _: Evidence) -> Plan {
    let Some(found) = site::angular(unit.at()) else {
        return Plan::files(unit, "ng build", "dist", Missing::Index);
    };
    let Some((server, is_bundled)) = &found.server else {
        let why = (Fixed::OutputOfAngular, Some(found.place));
        return Plan::site(unit, "ng build", &found.folder, Missing::Index, why);
    };
    let own = production(unit).filter(|start| start.line.contains("dist/"));
    let start = own.unwrap_or_else(|| Start::node(server, Fixed::ServerOfBuild, found.place));
    let plan = Plan::made(unit, "ng build", start, 4000);
    if !is_bundled {
        let both = unit.package.first_script(&["build:ssr"]);
        let whole_build = both.map(|both| vec![unit.step(unit.manager.run(both))]);
        return Plan { whole_build, ..plan };
    }
    let mut plan = plan.taking(unit, &[]);
    let top = found.folder.split('/').next().unwrap_or("dist");
    plan.facts.take(&unit.at().path(top), "dist");
    plan
}

pub(super) fn adonis(unit: &Unit<'_>, place: Evidence) -> Plan {
    let is_new = unit.major("@adonisjs/core").is_none_or(|major| major >= 6);
    let (build, server) = match is_new {
        true => ("node ace build", "build/bin/server.js"),
        false => ("node ace build --production", "build/server.js"),
    };
    let start = Start::node(server, Rule::WrittenBy("node ace build"), place);
    let mut plan = Plan::built(unit, "", start, 3333);
    if unit.build_script().is_none() {
        plan.before = vec![unit.step(build)];
    }
    plan.env("HOST", "0.0.0.0")
}

/// <https://docs.meteor.com/cli/#meteorbuild>: the bundle is a project of npm of its own.
pub(super) fn meteor(unit: &Unit<'_>) -> Plan {
    let place = unit.at().place(METEOR, None);
    let start = Start::node("main.js", Fixed::BundleOfMeteor, place.clone());
    let plan = Plan::made(unit, "", start, 3000).taking(unit, &[]);
    let mut plan = plan.env("ROOT_URL", "http://localhost:3000");
    let bundle = format!("{OUT}/bundle");
    plan.facts.take(&bundle, "");
    plan.facts.framework("meteor", Rule::Named(METEOR.to_owned()), [place]);
    let build = format!("meteor build --directory {OUT} --server-only --allow-superuser");
    let server = format!("{bundle}/programs/server");
    plan.whole_build = Some(vec![
        Step::new(Kind::Setup, ".", "npm install -g meteor --foreground-scripts"),
        unit.step(build),
        Step::new(Kind::Install, &server, "npm install --omit=dev"),
    ]);
    plan
}

/// A server of the project's own, else that of Vike, which listens for its own machine alone (vike.dev/preview).
pub(super) fn vike(unit: &Unit<'_>, place: Evidence) -> Plan {
    let own = production(unit).filter(|start| !calls_any(&start.line, &["vike"]));
    let line = "vike preview --host 0.0.0.0 --port 3000";
    let start = own.unwrap_or_else(|| Start::npx(line, Fixed::ServerOfFramework, place));
    Plan::built(unit, "vike build", start, 3000)
}

/// Qwik City without an adapter: its build has no page for a file server, what shows it is the preview of Vite.
pub(super) fn qwik(unit: &Unit<'_>, _: Evidence) -> Plan {
    if let Some(start) = production(unit) {
        return Plan::built(unit, "qwik build", start, 3000);
    }
    let at = unit.at();
    let entry = at.first_of(&["src/entry.preview.tsx", "src/entry.preview.jsx"]);
    let Some(entry) = entry.filter(|_| !at.has_dir("adapters")) else {
        return Plan::files(unit, "vite build", "dist", Missing::Index);
    };
    let line = "vite preview --host 0.0.0.0 --port 3000";
    let start = Start::npx(line, Fixed::PreviewOfVite, at.place(entry, None));
    let mut plan = Plan::server(unit, start, None, &Source::default());
    // Vite writes its bundled settings beside them.
    plan.writes = Some(at.place(entry, None));
    let server = format!("npx vite build --ssr {entry}");
    plan.whole_build = Some(vec![unit.step("npx vite build"), unit.step(server)]);
    plan
}

pub(super) fn expo(unit: &Unit<'_>, _: Evidence) -> Plan {
    match unit.has("react-native-web") {
        true => Plan::files(unit, "expo export --platform web", "dist", Missing::Index),
        false => Plan::nothing(unit, Fixed::ForPhones),
    }
}

pub(super) fn manual(unit: &Unit<'_>, tool: &str) -> Plan {
    let (dir, output, place) = site::documentation(unit, tool);
    let rule = if place.is_some() { Fixed::ConfiguredOutput } else { Fixed::OutputOfFramework };
    let why = (rule, place);
    Plan::site(unit, &format!("{tool} build {dir}"), &output, Missing::NotFound, why)
}

/// A framework whose row tells what it makes.
pub(super) fn by_row(unit: &Unit<'_>, makes: Makes, port: u16, place: Evidence) -> Plan {
    match makes {
        Makes::Served { build, start } => {
            let own = Start::npx(start, Fixed::ServerOfFramework, place);
            Plan::scripted(unit, build, own, port)
        }
        Makes::Written { build, file } => {
            let own = Start::node(file, Fixed::WhereBuildWrites, place);
            Plan::scripted(unit, build, own, port)
        }
        Makes::Site { build, output, missing } => Plan::files(unit, build, output, missing),
        Makes::Bundler { build, output } => Plan::files(unit, build, output, Missing::Index),
        Makes::Process => Plan::nothing(unit, Fixed::NothingStarts),
    }
}

/// A folder without what need not be written.
pub(super) fn clean(path: &str) -> String {
    path.trim_start_matches("./").trim_end_matches('/').to_owned()
}
