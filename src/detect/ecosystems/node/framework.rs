//! The frameworks: by which package each is known, what it makes, and how it is served.

use super::{
    config::has_config, lines::calls_any, meta, nest, package::Package, plan::Plan, unit::Unit,
};
use crate::detect::prelude::*;

/// What becomes of a package, where a row cannot say it; the evidence is the dependency's.
pub(super) type Own = fn(&Unit<'_>, Evidence) -> Plan;

/// A list of names.
type Names = &'static [&'static str];

/// A framework with a function of its own.
const fn own(id: &'static str, marks: Names, programs: Names, own: Own) -> Framework<Own> {
    framework(id, marks, 0).programs(programs).own(own)
}

/// A framework that makes files: pages, one page for all paths, or what a bundler makes.
const fn site(id: &'static str, marks: Names, programs: Names, makes: Makes) -> Framework<Own> {
    framework(id, marks, 0).programs(programs).makes(makes)
}

const fn pages(build: &'static str, output: &'static str) -> Makes {
    Makes::Site { build, output, missing: Missing::NotFound }
}

const fn one_page(build: &'static str, output: &'static str) -> Makes {
    Makes::Site { build, output, missing: Missing::Index }
}

const fn bundle(build: &'static str, output: &'static str) -> Makes {
    Makes::Bundler { build, output }
}

/// A framework with commands that build and start.
const fn built(
    id: &'static str,
    marks: Names,
    programs: Names,
    port: u16,
    (build, start): (&'static str, &'static str),
) -> Framework<Own> {
    framework(id, marks, port).programs(programs).makes(Makes::Served { build, start })
}

/// Frameworks that own the whole application, those built on others first.
pub(super) static META: &[Framework<Own>] = &[
    own("redwoodjs", &["@redwoodjs/core"], &[], meta::redwood),
    built(
        "hydrogen",
        &["@shopify/hydrogen"],
        &["shopify", "h2"],
        3000,
        ("shopify hydrogen build", "shopify hydrogen preview"),
    ),
    framework("sapper", &["sapper"], 3000)
        .programs(&["sapper"])
        .makes(Makes::Written { build: "sapper build", file: "__sapper__/build" }),
    site("sanity", &["sanity"], &["sanity"], one_page("sanity build", "dist")),
    site("scully", SCULLY, &["scully"], pages("scully", "dist/static")),
    built("blitz", &["blitz"], &["blitz"], 3000, ("blitz build", "blitz start")),
    built("keystone", KEYSTONE, &["keystone"], 3000, ("keystone build", "keystone start")),
    own("nextjs", &["next"], &["next"], meta::next).configs(&["next.config"]),
    own("nuxt", NUXT, &["nuxt", "nuxi", "nuxt-ts"], meta::nuxt).configs(&["nuxt.config"]),
    own("tanstack-start", TANSTACK, &[], meta::tanstack),
    own("solidstart", &["@solidjs/start", "solid-start"], &[], meta::nitro),
    own("react-router", &["@react-router/dev"], &["react-router"], meta::react_router)
        .configs(&["react-router.config"]),
    own("remix", REMIX, &["remix", "remix-serve", "vite", "remix:vite"], meta::remix)
        .configs(&["remix.config"]),
    own("sveltekit", &["@sveltejs/kit"], &["vite", "svelte-kit"], meta::sveltekit)
        .configs(&["svelte.config"]),
    own("qwik", QWIK, &["qwik", "vite"], meta::qwik),
    site("docusaurus", &["@docusaurus/core"], &["docusaurus"], pages("docusaurus build", "build")),
    site("docusaurus", &["docusaurus"], &["docusaurus-build"], pages("docusaurus-build", "build")),
    own("vitepress", &["vitepress"], &["vitepress"], |unit, _| meta::manual(unit, "vitepress")),
    own("vuepress", VUEPRESS, &["vuepress"], |unit, _| meta::manual(unit, "vuepress")),
    own("astro", &["astro"], &["astro"], meta::astro).configs(&["astro.config"]),
    site("gatsby", &["gatsby"], &["gatsby"], pages("gatsby build", "public"))
        .configs(&["gatsby-config"]),
    site("gridsome", &["gridsome"], &["gridsome"], pages("gridsome build", "dist")),
    own("adonisjs", &["@adonisjs/core"], &["ace", "adonis"], meta::adonis),
    built("strapi", STRAPI, &["strapi"], 1337, ("strapi build", "strapi start")),
    built("directus", &["directus"], &["directus"], 8055, ("", "directus start")),
    built("modernjs", MODERN, &["modern"], 8080, ("modern build", "modern serve")),
    built("waku", &["waku"], &["waku"], 8080, ("waku build", "waku start")),
    own("vike", &["vike", "vite-plugin-ssr"], &["vike"], meta::vike),
    framework("analog", &["@analogjs/platform"], 3000)
        .makes(Makes::Written { build: "vite build", file: "dist/analog/server/index.mjs" }),
    built("medusa", &["@medusajs/medusa"], &["medusa"], 9000, ("medusa build", "medusa start")),
    framework("mastra", &["mastra", "@mastra/core"], 4111)
        .programs(&["mastra"])
        .env(&[("MASTRA_HOST", "0.0.0.0")])
        .makes(Makes::Written { build: "mastra build", file: ".mastra/output/index.mjs" }),
    framework("xmcp", &["xmcp"], 3001)
        .programs(&["xmcp"])
        .makes(Makes::Written { build: "xmcp build", file: "dist/http.js" }),
    own("nestjs", &["@nestjs/core"], &[], nest::nest),
    own("angular", &["@angular/core"], &["ng"], meta::angular)
        .configs(&["angular.json", ".angular-cli.json"]),
    site("eleventy", &["@11ty/eleventy"], &["eleventy"], pages("eleventy", "_site")),
    site("hexo", &["hexo"], &["hexo"], pages("hexo generate", "public")),
    site("slidev", &["@slidev/cli"], &["slidev"], one_page("slidev build", "dist")),
    own("expo", &["expo"], &["expo"], meta::expo),
];

const SCULLY: Names = &["@scullyio/init", "@scullyio/scully"];
const KEYSTONE: Names = &["@keystone-6/core", "@keystone-next/keystone"];
const NUXT: Names = &["nuxt", "nuxt3", "nuxt-edge", "nuxt-nightly"];
const TANSTACK: Names = &["@tanstack/react-start", "@tanstack/solid-start", "@tanstack/start"];
const REMIX: Names = &["@remix-run/dev", "@remix-run/serve", "@remix-run/react"];
const QWIK: Names = &["@builder.io/qwik-city", "@qwik.dev/router", "@builder.io/qwik"];
const VUEPRESS: Names = &["vuepress", "@vuepress/cli"];
const STRAPI: Names = &["@strapi/strapi", "strapi"];
const MODERN: Names = &["@modern-js/app-tools"];

/// The port of what listens nowhere.
const WORKER: u16 = 0;

/// Frameworks of servers that the project's own code starts; the more telling first.
pub(super) static SERVERS: &[Framework<Own>] = &[
    framework("feathers", &["@feathersjs/feathers"], 3030),
    framework("loopback", &["@loopback/core", "loopback"], 3000),
    framework("sails", &["sails"], 1337),
    framework("payload", &["payload"], 3000),
    framework("tsed", &["@tsed/core"], 8083),
    framework("moleculer", &["moleculer"], 3000),
    framework("egg", &["egg"], 7001),
    framework("elysia", &["elysia"], 3000),
    framework("hono", &["hono"], 3000),
    framework("fastify", &["fastify", "fastify-cli"], 3000),
    framework("koa", &["koa"], 3000),
    framework("hapi", &["@hapi/hapi", "hapi"], 3000),
    framework("restify", &["restify"], 8080),
    framework("functions-framework", &["@google-cloud/functions-framework"], 8080),
    framework("polka", &["polka"], 3000),
    framework("apollo-server", &["@apollo/server", "apollo-server", "apollo-server-express"], 4000),
    framework("graphql-yoga", &["graphql-yoga"], 4000),
    framework("express", &["express"], 3000),
    framework("h3", &["h3"], 3000),
    framework("micro", &["micro"], 3000),
    framework("json-server", &["json-server"], 3000),
    framework("connect", &["connect"], 3000),
    framework("socket.io", &["socket.io"], 3000),
    framework("ws", &["ws"], 8080),
    framework("discord.js", &["discord.js"], WORKER),
    framework("telegraf", &["telegraf"], WORKER),
    framework("grammy", &["grammy"], WORKER),
    framework("bolt", &["@slack/bolt"], 3000),
    framework("bullmq", &["bullmq", "bull"], WORKER),
];

/// Nitro alone, which is part of many of the others.
pub(super) static NITRO: &[Framework<Own>] =
    &[own("nitro", &["nitropack", "nitro"], &["nitro", "nitropack"], meta::nitro)
        .configs(&["nitro.config"])];

/// Tools that make files for a browser.
pub(super) static BUNDLERS: &[Framework<Own>] = &[
    site("create-react-app", REACT, REACT_PROGRAMS, one_page("react-scripts build", "build")),
    site("vue-cli", VUE, &["vue-cli-service"], one_page("vue-cli-service build", "dist")),
    site("ember", &["ember-cli"], &["ember"], one_page(EMBER, "dist")),
    site("quasar", QUASAR, &["quasar"], one_page("quasar build", "dist/spa")),
    site("preact", &["preact-cli"], &["preact"], one_page("preact build", "build")),
    site("umi", &["umi", "@umijs/max"], &["umi", "max"], one_page("umi build", "dist")),
    site("stencil", &["@stencil/core"], &["stencil"], one_page("stencil build", "www")),
    site("vite", &["vite", "rolldown-vite"], &["vite"], bundle("vite build", "dist")),
    site("rsbuild", &["@rsbuild/core"], &["rsbuild"], one_page("rsbuild build", "dist")),
    site("parcel", PARCEL, &["parcel"], bundle("parcel build index.html", "dist")),
    site("snowpack", &["snowpack"], &["snowpack"], bundle("snowpack build", "build")),
    site("webpack", &["webpack"], WEBPACK, bundle("webpack --mode production", "dist")),
    site("svelte", &["svelte"], &["rollup"], pages("rollup -c", "public")),
    site("brunch", &["brunch"], &["brunch"], one_page("brunch build --production", "public")),
    site("polymer", &["polymer-cli"], &["polymer"], one_page("polymer build", "build/default")),
    site("dojo", DOJO, &["dojo"], one_page("dojo build --mode dist", "output/dist")),
    site("saber", &["saber"], &["saber"], pages("saber build", "public")),
    site("rollup", &["rollup"], &["rollup"], bundle("rollup -c", "public")),
];

const REACT: Names = &["react-scripts", "react-app-rewired", "@craco/craco"];
const REACT_PROGRAMS: Names = &["react-scripts", "react-app-rewired", "craco"];
const VUE: Names = &["@vue/cli-service"];
const EMBER: &str = "ember build --environment=production";
const QUASAR: Names = &["@quasar/app-vite", "@quasar/app-webpack", "@quasar/app"];
const PARCEL: Names = &["parcel", "parcel-bundler"];
const WEBPACK: Names = &["webpack", "webpack-dev-server", "webpack-cli"];
const DOJO: Names = &["@dojo/cli", "@dojo/framework"];

/// The first framework of a table that a package is an application of.
///
/// A member of a workspace may use what only the root depends on; then a script or a configuration has to say so.
pub(super) fn used(unit: &Unit<'_>, table: &'static [Framework<Own>]) -> Option<Known<Own>> {
    table.iter().find_map(|framework| {
        let of = |package: &Package<'_>| {
            framework.marks.iter().copied().find(|name| package.has_own(name))
        };
        let own = of(unit.package);
        let mark = own.or_else(|| of(unit.root).filter(|_| unit.is_member()))?;
        // The root of a workspace has dependencies for its members, and libraries among them know frameworks too.
        let has_none = || !unit.is_in_workspace() && unit.package.scripts().next().is_none();
        let is_called =
            || unit.package.scripts().any(|(_, script)| calls_any(script, framework.programs));
        let is_used = match own {
            Some(_) => framework.programs.is_empty() || has_none() || is_called(),
            None => is_called(),
        };
        let is_configured = || framework.configs.iter().any(|stem| has_config(unit.at(), stem));
        (is_used || is_configured()).then(|| Known { framework, mark, place: unit.place(mark) })
    })
}

/// The framework of a server that an import of a text names.
pub(super) fn imported(
    text: &str,
    is_known: impl Fn(&str) -> bool,
) -> Option<(&'static Framework<Own>, &'static str)> {
    SERVERS.iter().find_map(|framework| {
        let is_imported = |name: &&&str| {
            is_known(name) && ['\'', '"'].iter().any(|q| text.contains(&format!("{q}{name}{q}")))
        };
        Some((framework, *framework.marks.iter().find(is_imported)?))
    })
}
