//! Command lines of scripts: what they call, what they set, whether they only serve while somebody develops.

use crate::detect::paths::glob;

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
    "polymer serve", "brunch watch", "brunch w", "sanity dev", "sanity start", "sanity preview",
    "mastra dev", "xmcp dev", "nitro dev", "nitropack dev", "firebase",
];

/// Package managers that images of Node.js lack.
pub(super) const MANAGERS: &[&str] =
    &["pnpm", "pnpx", "yarn", "yarnpkg", "bun", "bunx", "corepack"];

/// The commands of a line, wherever a shell tells them apart.
pub(super) fn commands(line: &str) -> Vec<&str> {
    let (mut all, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '&' | '|' | ';' | '\n') => {
                all.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(&line[start..]);
    all.into_iter().map(str::trim).filter(|command| !command.is_empty()).collect()
}

/// A chain of commands is what its last one is.
pub(super) fn is_development(line: &str) -> bool {
    let last = line.rsplit(['&', ';']).next().unwrap_or(line).trim();
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
    DEVELOPMENT.iter().any(|dev| {
        bare.strip_prefix(dev).is_some_and(|rest| match *dev {
            // Alone, or with options.
            "vite" | "nuxt" => rest.is_empty() || rest.starts_with(" -") || rest.starts_with(" ."),
            _ => rest.is_empty() || rest.starts_with(' '),
        })
    })
}

/// Whether a script has one of these programs among its words.
pub(super) fn calls_any(script: &str, programs: &[&str]) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || "-_:@/.".contains(c);
    script.split(|c| !is_part(c)).any(|word| {
        let word = word.rsplit('/').next().unwrap_or(word);
        programs.contains(&word)
    })
}

/// Programs that serve a folder of files.
const FILE_SERVERS: &[&str] = &[
    "serve", "http-server", "sirv", "live-server", "lite-server", "static-server", "superstatic",
    "httpster", "light-server",
];

/// The folder of files that a line serves, when it does nothing else, and whether one page answers for all paths.
pub(super) fn served_folder(line: &str) -> Option<(String, bool)> {
    let line = without_environment(line).1;
    let line = line.strip_prefix("npx ").unwrap_or(line);
    // `serve -s build -l $PORT` is what people write.
    let mut words = line.split_whitespace();
    if !FILE_SERVERS.contains(&words.next()?) || line.contains(['&', ';', '|']) {
        return None;
    }
    let (mut folder, mut is_spa) = (None, false);
    while let Some(word) = words.next() {
        match word {
            "-s" | "--single" => is_spa = true,
            "-l" | "--listen" | "-p" | "--port" | "-a" | "-c" | "--config" | "--host" => {
                words.next();
            }
            word if word.starts_with('-') => {}
            word => folder = folder.or(Some(word)),
        }
    }
    let folder = folder.unwrap_or(".").trim_start_matches("./").trim_end_matches('/');
    let folder = if folder.is_empty() { "." } else { folder };
    (!folder.starts_with('/')).then(|| (folder.to_owned(), is_spa))
}

/// `npm run x`, `yarn x`, `pnpm x`, `bun run x`, and nothing else; that they shall be silent is no matter.
pub(super) fn called_script(line: &str) -> Option<&str> {
    match call(line)? {
        (name, rest) if rest.is_empty() => Some(name),
        _ => None,
    }
}

/// A script or a program of a dependency that is called, and what it is given.
pub(super) fn call(line: &str) -> Option<(&str, Vec<&str>)> {
    let words = line.split_whitespace().filter(|word| !SILENT.contains(word));
    let words: Vec<&str> = words.collect();
    match words[..] {
        ["pnpm" | "yarn", "exec", name, ref rest @ ..]
        | ["bun", "x", name, ref rest @ ..]
        | ["bunx" | "pnpx", name, ref rest @ ..]
            if !name.starts_with('-') =>
        {
            Some((name, rest.to_vec()))
        }
        ["npm" | "yarn" | "pnpm" | "bun", "run" | "run-script", name, ref rest @ ..] => {
            Some((name, rest.to_vec()))
        }
        ["npm" | "bun", "start", ref rest @ ..] => Some(("start", rest.to_vec())),
        ["yarn" | "pnpm", name, ref rest @ ..] if !name.starts_with('-') => {
            Some((name, rest.to_vec()))
        }
        _ => None,
    }
}

/// The scripts that a line runs by a program for that (`run-s a b:*`, `concurrently npm:a npm:b`): its commands, and
/// whether one comes after the other.
pub(super) fn several<'p>(
    line: &'p str,
    scripts: &[(&'p str, &'p str)],
) -> Option<(Vec<String>, bool)> {
    let (first, rest) = line.split_once(char::is_whitespace)?;
    if first == "concurrently" {
        let words: Vec<&str> =
            match ['"', '\''].into_iter().find(|quote: &char| rest.contains(*quote)) {
                Some(quote) => rest.split(quote).skip(1).step_by(2).collect(),
                None => rest.split_whitespace().filter(|word| word.starts_with("npm:")).collect(),
            };
        let all = words.into_iter().flat_map(|word| match word.strip_prefix("npm:") {
            Some(pattern) => matching(scripts, pattern),
            None => vec![word.to_owned()],
        });
        let all: Vec<String> = all.collect();
        return (!all.is_empty()).then_some((all, false));
    }
    let is_parallel = |word: &str| ["-p", "--parallel"].contains(&word);
    let in_order = match first {
        "run-s" => true,
        "run-p" => false,
        "npm-run-all" | "npm-run-all2" => !rest.split_whitespace().any(is_parallel),
        _ => return None,
    };
    let names = rest.split_whitespace().filter(|word| !word.starts_with('-'));
    let all: Vec<Vec<String>> = names.map(|pattern| matching(scripts, pattern)).collect();
    let is_known = !all.is_empty() && all.iter().all(|part| !part.is_empty());
    is_known.then(|| (all.concat(), in_order))
}

/// The lines of the scripts that a pattern names: `*` stands for a part between colons, `**` for any.
fn matching(scripts: &[(&str, &str)], pattern: &str) -> Vec<String> {
    let path = |name: &str| name.replace(':', "/");
    let named = scripts.iter().filter(|(name, _)| glob(&path(pattern), &path(name)));
    named.map(|(_, line)| (*line).to_owned()).collect()
}

/// Options that say no more of what is called.
const SILENT: &[&str] = &["-s", "--silent", "--if-present", "-q", "--quiet"];

/// Takes builds off the front of a line, which would otherwise run in the image: `npm run build && node dist`.
pub(super) fn without_build(line: &str) -> &str {
    let mut rest = line;
    while let Some((first, after)) = rest.split_once("&&") {
        let first = first.trim();
        let builds = [
            "tsc", "webpack", "rimraf", "vite build", "next build", "prisma generate", "nest build",
        ];
        let is_build =
            builds.iter().any(|build| first == *build || first.starts_with(&format!("{build} ")))
                || called_script(first)
                    .is_some_and(|name| name.contains("build") || name.contains("compile"));
        if !is_build {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// Takes `NAME=value`, `cross-env` and `env` off the front.
pub(super) fn without_environment(line: &str) -> (Vec<(String, String)>, &str) {
    let mut env = Vec::new();
    let mut rest = line.trim();
    loop {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if ["cross-env", "env", "cross-env-shell", "exec"].contains(&word) && !after.is_empty() {
            rest = after.trim_start();
            continue;
        }
        let Some((name, value)) = word.split_once('=') else { break };
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || after.is_empty() || value.contains(['$', '\'', '"', '`']) {
            break;
        }
        env.push((name.to_owned(), value.to_owned()));
        rest = after.trim_start();
    }
    (env, rest)
}

/// Whether a script is for all members of a workspace, and so for no service in particular.
pub(super) fn delegates(line: &str) -> bool {
    let to_all = [
        "turbo", "lerna", "nx", "concurrently", "npm-run-all", "run-p", "run-s", "rush", "moon",
        "wsrun", "ultra",
    ];
    let selects = [
        " -w ", "--workspace", "--filter", " -F ", "yarn workspace", "pnpm -r", "--recursive",
        " -C ", "--prefix", "--cwd",
    ];
    line.starts_with("cd ")
        || calls_any(line, &to_all)
        || selects.iter().any(|part| line.contains(part))
}

/// Whether code opens a port.
pub(super) fn opens_port(code: &str) -> bool {
    OPENS.iter().any(|call| code.contains(call))
}

const OPENS: &[&str] = &[
    ".listen(", "createServer(", "Bun.serve(", "serve({", "WebSocketServer(", "WebSocket.Server(",
    "serve(app",
];

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

    #[test]
    fn a_program_is_a_word_of_its_own() {
        assert!(calls_any("NODE_ENV=x next build && y", &["next"]));
        assert!(calls_any("node_modules/.bin/next start", &["next"]));
        assert!(!calls_any("nextjs-thing build", &["next"]));
        assert!(!calls_any("node next.js", &["next"]));
    }

    #[test]
    fn the_folder_of_a_file_server_is_found() {
        let check = |line: &str, expected: Option<(&str, bool)>| {
            let found = served_folder(line);
            let found = found.as_ref().map(|(folder, spa)| (folder.as_str(), *spa));
            assert_eq!(found, expected, "{line}");
        };
        check("serve -s build -l 3000", Some(("build", true)));
        check("http-server ./public/ -p $PORT", Some(("public", false)));
        check("npx serve", Some((".", false)));
        check("serve ../x", Some(("../x", false)));
        check("serve /x", None);
        check("node x", None);
        check("npm run build && serve dist", None);
    }

    #[test]
    fn builds_before_a_start_are_taken_off() {
        assert_eq!(without_build("npm run build && node dist"), "node dist");
        assert_eq!(without_build("tsc -p . && yarn compile && node a"), "node a");
        assert_eq!(without_build("node migrate && node a"), "node migrate && node a");
    }

    #[test]
    fn variables_before_a_command_are_taken_off() {
        let (env, rest) = without_environment("cross-env NODE_ENV=production PORT=3000 node a.js");
        assert_eq!((env.len(), rest), (2, "node a.js"));
        assert_eq!(without_environment("A=$B node x").1, "A=$B node x");
        assert_eq!(called_script("npm run start:prod"), Some("start:prod"));
        assert_eq!(called_script("npm run a -- --b"), None);
    }
}
