//! Commands that serve only while somebody develops.

use super::{framework::calls_any, start::without_environment};

/// Programs that serve while somebody develops; what they show is built for production.
const DEVELOPMENT: &[&str] = &[
    "vite", "vite dev", "vite serve", "react-scripts start", "react-app-rewired start",
    "craco start", "vue-cli-service serve", "ng serve", "ng s", "next dev", "nuxt dev", "nuxi dev",
    "nuxt", "gatsby develop", "gatsby start", "astro dev", "astro start", "webpack serve",
    "webpack-dev-server", "webpack server", "ember serve", "ember server", "rsbuild dev",
    "expo start", "ionic serve", "docusaurus start", "vuepress dev", "vitepress dev",
    "snowpack dev", "snowpack start", "rollup -c -w", "preact watch", "stencil build", "remix dev",
    "remix vite:dev", "nest start --watch", "vinxi dev", "parcel", "eleventy --serve",
    "hexo server", "hexo s", "slidev", "umi dev", "max dev", "svelte-kit dev", "react-router dev",
    "turbo", "concurrently", "lerna", "nx", "npm-run-all", "run-p", "gulp", "grunt", "electron",
    "electron-forge start", "electron-vite", "electron-builder", "electron-webpack", "tauri",
    "neu run", "expo", "react-native start", "storybook", "start-storybook", "tsc -w",
    "tsc --watch", "docker", "docker-compose", "ionic-app-scripts serve", "wrangler",
    "strapi develop", "vite preview", "vite start", "browser-sync", "echo", "solid-start dev",
    "wmr", "shadow-cljs watch", "shadow-cljs server", "nps", "au run", "qwik dev",
    "gridsome develop", "meteor", "sst", "netlify", "vercel", "serverless", "sls", "func",
];

/// A chain of commands is what its last one is.
pub(super) fn is_development(line: &str) -> bool {
    let last = line.rsplit("&&").next().unwrap_or(line).rsplit(';').next().unwrap_or(line).trim();
    serves_development(if last.is_empty() { line } else { last })
}

fn serves_development(line: &str) -> bool {
    let watchers = [
        "webpack", "rollup", "esbuild", "tailwindcss", "sass", "tsc", "babel", "postcss", "parcel",
    ];
    let watches = line.contains("--watch") || line.ends_with(" -w") || line.contains(" -w ");
    let words: Vec<&str> = line.split_whitespace().collect();
    // A configuration of a bundler is a build, not a server.
    let runs_config =
        words.first() == Some(&"node") && words.iter().any(|word| word.contains(".config."));
    if watches && (calls_any(line, &watchers) || runs_config) {
        return true;
    }
    // Metro serves an application to the phones of its developers.
    if words.iter().any(|word| word.contains("node_modules/react-native")) {
        return true;
    }
    let bare = without_environment(line).1;
    // Without a file it watches what `main` or its configuration names.
    if bare == "nodemon" {
        return true;
    }
    let bare = bare.strip_prefix("npx ").unwrap_or(bare).trim();
    DEVELOPMENT.iter().any(|dev| match bare.strip_prefix(dev) {
        // `vite` alone, or with options.
        Some(rest) if *dev == "vite" || *dev == "nuxt" => {
            rest.is_empty() || rest.starts_with(" -") || rest.starts_with(" .")
        }
        Some(rest) => rest.is_empty() || rest.starts_with(' '),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serves_for_development_is_told_apart() {
        let check =
            |line: &str, expected: bool| assert_eq!(is_development(line), expected, "{line}");
        check("vite", true);
        check("vite --port 3000", true);
        check("vite build", false);
        check("NODE_ENV=development react-scripts start", true);
        check("cross-env PORT=1 ng serve --open", true);
        check("next start", false);
        check("nuxt start", false);
        check("node server.js", false);
        check("npx webpack serve", true);
        check("nodemon", true);
        check("yarn && vite", true);
        check("docker compose up -d && node server.js", false);
    }
}
