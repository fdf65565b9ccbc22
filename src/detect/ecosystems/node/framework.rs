//! The frameworks: by which package each is known, what it makes, and how it is served.

use super::{Unit, package::Package};

/// One framework.
#[derive(Debug)]
pub(super) struct Framework {
    /// The id in `metadata.framework`.
    pub(super) id: &'static str,
    /// Any of these packages says that it is used.
    pub(super) packages: &'static [&'static str],
    /// Programs that scripts of an application call; a library that only knows the framework calls none. Empty: no matter.
    pub(super) programs: &'static [&'static str],
    /// Files that only an application has, without their extensions.
    pub(super) configs: &'static [&'static str],
    /// What becomes of it.
    pub(super) kind: Kind,
}

/// What a framework makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Next,
    Nuxt,
    Remix,
    ReactRouter,
    Astro,
    SvelteKit,
    Angular,
    Adonis,
    Redwood,
    Expo,
    Qwik,
    VitePress,
    VuePress,
    Vike,
    /// `.output/server/index.mjs` of Nitro.
    Nitro,
    /// A server with a build of its own: commands for when there are no scripts.
    Built {
        build: &'static str,
        start: &'static str,
        port: u16,
    },
    /// A server that the project's own code starts.
    Server {
        port: u16,
    },
    /// Something that listens nowhere.
    Worker,
    /// Files: command for when there is no script, output folder, whether one page answers for all paths.
    Site {
        build: &'static str,
        output: &'static str,
        is_spa: bool,
    },
    /// The same, but the tool has other uses: it needs an `index.html` or a template.
    Bundler {
        build: &'static str,
        output: &'static str,
    },
}

const fn row(
    id: &'static str,
    packages: &'static [&'static str],
    programs: &'static [&'static str],
    kind: Kind,
) -> Framework {
    Framework { id, packages, programs, configs: &[], kind }
}

const fn site(build: &'static str, output: &'static str, is_spa: bool) -> Kind {
    Kind::Site { build, output, is_spa }
}

/// Frameworks that own the whole application, those built on others first.
pub(super) static META: &[Framework] = &[
    row("redwoodjs", &["@redwoodjs/core"], &[], Kind::Redwood),
    row(
        "hydrogen",
        &["@shopify/hydrogen"],
        &["shopify", "h2"],
        Kind::Built {
            build: "shopify hydrogen build",
            start: "shopify hydrogen preview",
            port: 3000,
        },
    ),
    row(
        "sapper",
        &["sapper"],
        &["sapper"],
        Kind::Built { build: "sapper build", start: "node __sapper__/build", port: 3000 },
    ),
    row("sanity", &["sanity"], &["sanity"], site("sanity build", "dist", true)),
    row(
        "scully",
        &["@scullyio/init", "@scullyio/scully"],
        &["scully"],
        site("scully", "dist/static", false),
    ),
    row(
        "blitz",
        &["blitz"],
        &["blitz"],
        Kind::Built { build: "blitz build", start: "blitz start", port: 3000 },
    ),
    row(
        "keystone",
        &["@keystone-6/core", "@keystone-next/keystone"],
        &["keystone"],
        Kind::Built { build: "keystone build", start: "keystone start", port: 3000 },
    ),
    Framework {
        id: "nextjs",
        packages: &["next"],
        programs: &["next"],
        configs: &["next.config"],
        kind: Kind::Next,
    },
    Framework {
        id: "nuxt",
        packages: &["nuxt", "nuxt3", "nuxt-edge", "nuxt-nightly"],
        programs: &["nuxt", "nuxi", "nuxt-ts"],
        configs: &["nuxt.config"],
        kind: Kind::Nuxt,
    },
    row(
        "tanstack-start",
        &["@tanstack/react-start", "@tanstack/solid-start", "@tanstack/start"],
        &[],
        Kind::Nitro,
    ),
    row("solidstart", &["@solidjs/start", "solid-start"], &[], Kind::Nitro),
    Framework {
        id: "react-router",
        packages: &["@react-router/dev"],
        programs: &["react-router"],
        configs: &["react-router.config"],
        kind: Kind::ReactRouter,
    },
    Framework {
        id: "remix",
        packages: &["@remix-run/dev", "@remix-run/serve", "@remix-run/react"],
        programs: &["remix", "remix-serve", "vite", "remix:vite"],
        configs: &["remix.config"],
        kind: Kind::Remix,
    },
    Framework {
        id: "sveltekit",
        packages: &["@sveltejs/kit"],
        programs: &["vite", "svelte-kit"],
        configs: &["svelte.config"],
        kind: Kind::SvelteKit,
    },
    Framework {
        id: "qwik",
        packages: &["@builder.io/qwik-city", "@qwik.dev/router", "@builder.io/qwik"],
        programs: &["qwik", "vite"],
        configs: &[],
        kind: Kind::Qwik,
    },
    row(
        "docusaurus",
        &["@docusaurus/core"],
        &["docusaurus"],
        site("docusaurus build", "build", false),
    ),
    row(
        "docusaurus",
        &["docusaurus"],
        &["docusaurus-build"],
        site("docusaurus-build", "build", false),
    ),
    row("vitepress", &["vitepress"], &["vitepress"], Kind::VitePress),
    row("vuepress", &["vuepress", "@vuepress/cli"], &["vuepress"], Kind::VuePress),
    Framework {
        id: "astro",
        packages: &["astro"],
        programs: &["astro"],
        configs: &["astro.config"],
        kind: Kind::Astro,
    },
    Framework {
        id: "gatsby",
        packages: &["gatsby"],
        programs: &["gatsby"],
        configs: &["gatsby-config"],
        kind: site("gatsby build", "public", false),
    },
    row("gridsome", &["gridsome"], &["gridsome"], site("gridsome build", "dist", false)),
    row("adonisjs", &["@adonisjs/core"], &["ace", "adonis"], Kind::Adonis),
    row(
        "strapi",
        &["@strapi/strapi", "strapi"],
        &["strapi"],
        Kind::Built { build: "strapi build", start: "strapi start", port: 1337 },
    ),
    row(
        "directus",
        &["directus"],
        &["directus"],
        Kind::Built { build: "", start: "directus start", port: 8055 },
    ),
    row(
        "modernjs",
        &["@modern-js/app-tools"],
        &["modern"],
        Kind::Built { build: "modern build", start: "modern serve", port: 8080 },
    ),
    row(
        "waku",
        &["waku"],
        &["waku"],
        Kind::Built { build: "waku build", start: "waku start", port: 8080 },
    ),
    row("vike", &["vike", "vite-plugin-ssr"], &["vike"], Kind::Vike),
    row(
        "analog",
        &["@analogjs/platform"],
        &[],
        Kind::Built { build: "vite build", start: "node dist/analog/server/index.mjs", port: 3000 },
    ),
    row(
        "medusa",
        &["@medusajs/medusa"],
        &["medusa"],
        Kind::Built { build: "medusa build", start: "medusa start", port: 9000 },
    ),
    row(
        "nestjs",
        &["@nestjs/core"],
        &[],
        Kind::Built { build: "nest build", start: "", port: 3000 },
    ),
    Framework {
        id: "angular",
        packages: &["@angular/core"],
        programs: &["ng"],
        configs: &["angular.json", ".angular-cli.json"],
        kind: Kind::Angular,
    },
    row("eleventy", &["@11ty/eleventy"], &["eleventy"], site("eleventy", "_site", false)),
    row("hexo", &["hexo"], &["hexo"], site("hexo generate", "public", false)),
    row("slidev", &["@slidev/cli"], &["slidev"], site("slidev build", "dist", true)),
    row("expo", &["expo"], &["expo"], Kind::Expo),
];

/// Frameworks of servers that the project's own code starts; the more telling first.
pub(super) static SERVERS: &[Framework] = &[
    row("feathers", &["@feathersjs/feathers"], &[], Kind::Server { port: 3030 }),
    row("loopback", &["@loopback/core", "loopback"], &[], Kind::Server { port: 3000 }),
    row("sails", &["sails"], &[], Kind::Server { port: 1337 }),
    row("payload", &["payload"], &[], Kind::Server { port: 3000 }),
    row("tsed", &["@tsed/core"], &[], Kind::Server { port: 8083 }),
    row("moleculer", &["moleculer"], &[], Kind::Server { port: 3000 }),
    row("egg", &["egg"], &[], Kind::Server { port: 7001 }),
    row("elysia", &["elysia"], &[], Kind::Server { port: 3000 }),
    row("hono", &["hono"], &[], Kind::Server { port: 3000 }),
    row("fastify", &["fastify", "fastify-cli"], &[], Kind::Server { port: 3000 }),
    row("koa", &["koa"], &[], Kind::Server { port: 3000 }),
    row("hapi", &["@hapi/hapi", "hapi"], &[], Kind::Server { port: 3000 }),
    row("restify", &["restify"], &[], Kind::Server { port: 8080 }),
    row(
        "functions-framework",
        &["@google-cloud/functions-framework"],
        &[],
        Kind::Server { port: 8080 },
    ),
    row("polka", &["polka"], &[], Kind::Server { port: 3000 }),
    row(
        "apollo-server",
        &["@apollo/server", "apollo-server", "apollo-server-express"],
        &[],
        Kind::Server { port: 4000 },
    ),
    row("graphql-yoga", &["graphql-yoga"], &[], Kind::Server { port: 4000 }),
    row("express", &["express"], &[], Kind::Server { port: 3000 }),
    row("h3", &["h3"], &[], Kind::Server { port: 3000 }),
    row("micro", &["micro"], &[], Kind::Server { port: 3000 }),
    row("json-server", &["json-server"], &[], Kind::Server { port: 3000 }),
    row("connect", &["connect"], &[], Kind::Server { port: 3000 }),
    row("socket.io", &["socket.io"], &[], Kind::Server { port: 3000 }),
    row("ws", &["ws"], &[], Kind::Server { port: 8080 }),
    row("discord.js", &["discord.js"], &[], Kind::Worker),
    row("telegraf", &["telegraf"], &[], Kind::Worker),
    row("grammy", &["grammy"], &[], Kind::Worker),
    row("bolt", &["@slack/bolt"], &[], Kind::Server { port: 3000 }),
    row("bullmq", &["bullmq", "bull"], &[], Kind::Worker),
];

/// Nitro alone, which is part of many of the others.
pub(super) static NITRO: Framework = Framework {
    id: "nitro",
    packages: &["nitropack", "nitro"],
    programs: &["nitro", "nitropack"],
    configs: &["nitro.config"],
    kind: Kind::Nitro,
};

/// Tools that make files for a browser.
pub(super) static BUNDLERS: &[Framework] = &[
    row(
        "create-react-app",
        &["react-scripts", "react-app-rewired", "@craco/craco"],
        &["react-scripts", "react-app-rewired", "craco"],
        site("react-scripts build", "build", true),
    ),
    row(
        "vue-cli",
        &["@vue/cli-service"],
        &["vue-cli-service"],
        site("vue-cli-service build", "dist", true),
    ),
    row(
        "ember",
        &["ember-cli"],
        &["ember"],
        site("ember build --environment=production", "dist", true),
    ),
    row(
        "quasar",
        &["@quasar/app-vite", "@quasar/app-webpack", "@quasar/app"],
        &["quasar"],
        site("quasar build", "dist/spa", true),
    ),
    row("preact", &["preact-cli"], &["preact"], site("preact build", "build", true)),
    row("umi", &["umi", "@umijs/max"], &["umi", "max"], site("umi build", "dist", true)),
    row("stencil", &["@stencil/core"], &["stencil"], site("stencil build", "www", true)),
    row(
        "vite",
        &["vite", "rolldown-vite"],
        &["vite"],
        Kind::Bundler { build: "vite build", output: "dist" },
    ),
    row("rsbuild", &["@rsbuild/core"], &["rsbuild"], site("rsbuild build", "dist", true)),
    row(
        "parcel",
        &["parcel", "parcel-bundler"],
        &["parcel"],
        Kind::Bundler { build: "parcel build index.html", output: "dist" },
    ),
    row(
        "snowpack",
        &["snowpack"],
        &["snowpack"],
        Kind::Bundler { build: "snowpack build", output: "build" },
    ),
    row(
        "webpack",
        &["webpack"],
        &["webpack", "webpack-dev-server", "webpack-cli"],
        Kind::Bundler { build: "webpack --mode production", output: "dist" },
    ),
    row("svelte", &["svelte"], &["rollup"], site("rollup -c", "public", false)),
    row("brunch", &["brunch"], &["brunch"], site("brunch build --production", "public", true)),
    row("polymer", &["polymer-cli"], &["polymer"], site("polymer build", "build/default", true)),
    row(
        "dojo",
        &["@dojo/cli", "@dojo/framework"],
        &["dojo"],
        site("dojo build --mode dist", "output/dist", true),
    ),
    row("saber", &["saber"], &["saber"], site("saber build", "public", false)),
    row("rollup", &["rollup"], &["rollup"], Kind::Bundler { build: "rollup -c", output: "public" }),
];

impl Framework {
    /// Whether a package is an application of this framework, and by which dependency.
    ///
    /// A member of a workspace may use what only the root depends on; then a script or a configuration has to say so.
    pub(super) fn used_by(&self, unit: &Unit<'_>) -> Option<&'static str> {
        let package = unit.package;
        let of = |package: &Package| {
            self.packages.iter().copied().find(|name| {
                let own = ["dependencies", "devDependencies"];
                own.iter().any(|group| package.json().at(&[group, name]).is_some())
            })
        };
        let own = of(package);
        let known = own.or_else(|| of(unit.root).filter(|_| unit.is_member()))?;
        let has_config = || {
            let entries = unit.project.tree.entries(&package.dir);
            entries.is_some_and(|entries| {
                let is_config = |file: &String| {
                    self.configs.iter().any(|config| {
                        file == config
                            || file.strip_prefix(config).is_some_and(|e| e.starts_with('.'))
                    })
                };
                entries.files.iter().any(is_config)
            })
        };
        let mut scripts = package.scripts().peekable();
        // The root of a workspace has dependencies for its members, and libraries among them know frameworks too.
        let is_alone = !unit.is_member() && unit.packages.members(package).is_none();
        let has_none = scripts.peek().is_none() && is_alone;
        let is_called = scripts.any(|(_, script)| calls_any(script, self.programs));
        let is_used = match own {
            Some(_) => self.programs.is_empty() || has_none || is_called,
            None => is_called,
        };
        (is_used || has_config()).then_some(known)
    }
}

/// Whether a script has one of these programs among its words.
pub(super) fn calls_any(script: &str, programs: &[&str]) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "-_:@/.".contains(c);
    script.split(|c| !is_part(c)).any(|word| {
        let word = word.rsplit('/').next().unwrap_or(word);
        programs.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_word_of_its_own() {
        assert!(calls_any("NODE_ENV=x next build && y", &["next"]));
        assert!(calls_any("node_modules/.bin/next start", &["next"]));
        assert!(!calls_any("nextjs-thing build", &["next"]));
        assert!(!calls_any("node next.js", &["next"]));
    }
}
