//! Deno: `deno.json`, tasks, and files that only Deno runs.

use super::file_server::{self, Missing};
use crate::{
    detect::{
        Decision, Entries, Evidence, Project, Service, Weight, images, join, manifest::Value,
        procfile::procfile, shell, upward, versions::Version,
    },
    spec::{Artifact, DependencyStep, UniversalBuild},
};

const CONFIGS: &[&str] = &["deno.json", "deno.jsonc"];
const ENTRIES: &[&str] = &[
    "main.ts", "server.ts", "app.ts", "index.ts", "mod.ts", "main.tsx", "server.tsx", "main.js",
    "server.js", "index.js", "src/main.ts", "src/server.ts", "src/index.ts", "src/app.ts",
    "src/mod.ts", "src/main.tsx",
];
/// Frameworks by a part of what is imported, and the port each listens on.
const FRAMEWORKS: &[(&str, &[&str], u16)] = &[
    ("fresh", &["@fresh/core", "deno.land/x/fresh", "jsr:@fresh"], 8000),
    ("oak", &["@oak/oak", "deno.land/x/oak", "jsr:@oak/oak"], 8000),
    ("hono", &["@hono/hono", "npm:hono", "deno.land/x/hono"], 8000),
    ("express", &["npm:express"], 3000),
    ("aleph", &["deno.land/x/aleph"], 3000),
    ("react-router", &["npm:@react-router/dev"], 8000),
];
/// One release of each line, as the images are tagged by release alone.
const RELEASES: &[(u32, u32, &str)] = &[
    (1, 46, "1.46.3"),
    (2, 0, "2.0.6"),
    (2, 1, "2.1.4"),
    (2, 2, "2.2.0"),
    (2, 3, "2.3.5"),
    (2, 4, "2.4.4"),
    (2, 5, "2.5.6"),
    (2, 8, "2.8.0"),
];
/// Where the image keeps what was fetched.
const FETCHED: &str = "/deno-dir";

/// Projects of Deno in the tree.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        // `src/` of a folder whose entry file lies there.
        let is_part = services.iter().any(|service| {
            dir.strip_suffix("/src").unwrap_or(if dir == "src" { "." } else { dir }) == service.dir
        });
        if !is_part || entries.first_of(CONFIGS).is_some() {
            services.extend(service(project, dir, entries));
        }
    }
    services
}

struct Found<'a> {
    project: &'a Project<'a>,
    dir: &'a str,
    config: Option<(String, Value)>,
    /// The entry file, relative to the folder, and its text.
    entry: Option<(String, String)>,
    /// The script `start` of a `package.json` beside it, if it calls Deno.
    script: Option<(String, Evidence)>,
}

fn service(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    let config = CONFIGS.iter().map(|name| join(dir, name)).find_map(|path| {
        let value = project.tree.json(&path)?;
        Some((path, value))
    });
    let entry = ENTRIES.iter().find_map(|name| {
        let text = project.tree.read(&join(dir, name))?;
        Some(((*name).to_owned(), text.text.clone()))
    });
    let is_deno = config.is_some() || entries.has("deno.lock");
    let says_so = |text: &str| {
        ["Deno.", "https://deno.land/", "from \"jsr:", "from 'jsr:", "from \"npm:", "from 'npm:"]
            .iter()
            .any(|sign| text.contains(sign))
    };
    let is_inside = || {
        std::iter::successors(Some(dir), |dir| (*dir != ".").then(|| crate::detect::parent(dir)))
            .skip(1)
            .any(|above| project.tree.first_of(above, CONFIGS).is_some())
    };
    // A handler without anything that says for whom: Bun's and Cloudflare's projects have a manifest.
    let has_other = || {
        let others = ["package.json", "wrangler.toml", "wrangler.json", "wrangler.jsonc"];
        upward(dir).any(|above| project.tree.first_of(above, &others).is_some())
    };
    let is_handler = |text: &str| {
        text.contains("export default {")
            && text.contains("fetch")
            && !text.contains("Bun.")
            && !has_other()
    };
    let is_code = || {
        !entries.has("package.json")
            && entry.as_ref().is_some_and(|(name, text)| {
                says_so(text) || name.ends_with(".ts") && is_handler(text)
            })
    };
    if !is_deno && (!is_code() || is_inside()) {
        return None;
    }
    let script = start_script(project, dir);
    let entry = script
        .as_ref()
        .and_then(|(line, _)| {
            let file = line.split_whitespace().find(|word| word.ends_with(".ts"))?;
            let text = project.tree.read(&join(dir, file))?;
            Some((file.trim_start_matches("./").to_owned(), text.text.clone()))
        })
        .or(entry);
    let found = Found { project, dir, config, entry, script };
    // Node.js projects may have Deno for their tools.
    let has_start = found.task("start").is_some() || found.task("serve").is_some();
    let imports_for_it = ["deps.ts", "mod.ts", "app.ts"]
        .iter()
        .any(|name| project.tree.read(&join(dir, name)).is_some_and(|text| says_so(&text.text)));
    let package = project.tree.json(&join(dir, "package.json"));
    let has_scripts = package.as_ref().is_some_and(|package| package.has("scripts"));
    let is_configured = found.entry.is_some()
        && !has_scripts
        && found.config.as_ref().is_some_and(|(_, config)| config.has("imports"));
    if imports_for_it && found.config.is_some() || is_configured || found.script.is_some() {
        return Some(found.service());
    }
    if entries.has("package.json")
        && !has_start
        && !found.entry.as_ref().is_some_and(|(_, text)| says_so(text))
    {
        return None;
    }
    Some(found.service())
}

/// `start` of a `package.json`, from the word `deno` on; what is set before it is for Node.js' libraries.
fn start_script(project: &Project<'_>, dir: &str) -> Option<(String, Evidence)> {
    let path = join(dir, "package.json");
    let script = project.tree.json(&path)?;
    let script = script.at(&["scripts", "start"])?;
    let line = script.as_str()?;
    let at = line.find("deno ")?;
    let is_set = line[..at].split_whitespace().all(|word| word.contains('='));
    let plain = !line.contains(['&', '|', ';', '$']);
    (is_set && plain).then(|| (line[at..].to_owned(), Evidence::line(path, Some(script.line))))
}

impl Found<'_> {
    fn task(&self, name: &str) -> Option<(&str, Evidence)> {
        let (path, config) = self.config.as_ref()?;
        let task = config.at(&["tasks", name])?;
        let line = task.as_str().or_else(|| task.str_at(&["command"]))?;
        Some((line, Evidence::line(path, Some(task.line))))
    }

    fn place(&self) -> Evidence {
        match (&self.config, &self.entry) {
            (Some((path, _)), _) => Evidence::file(path),
            (None, Some((entry, _))) => Evidence::file(join(self.dir, entry)),
            (None, None) => Evidence::file(join(self.dir, "deno.lock")),
        }
    }

    fn service(&self) -> Service {
        let (tag, version) = self.version();
        let mut spec = UniversalBuild {
            metadata: Default::default(),
            build: Default::default(),
            runtime: Default::default(),
        };
        let name = self.config.as_ref().and_then(|(_, config)| config.str_at(&["name"]));
        spec.metadata.project_name = name.map(str::to_owned);
        let is_javascript = self.entry.as_ref().is_some_and(|(entry, _)| entry.ends_with(".js"));
        spec.metadata.language = Some("deno".to_owned());
        spec.metadata.build_system = Some("deno".to_owned());
        let base = images::image(&format!("docker.io/denoland/deno:{tag}"));
        (spec.build.base, spec.runtime.base) = (base.clone(), base);
        spec.build.env.insert("DENO_DIR".to_owned(), FETCHED.to_owned());
        spec.build.exclude = vec![".git".to_owned(), "**/node_modules".to_owned()];
        let rule = if is_javascript { "JavaScript for Deno" } else { "TypeScript for Deno" };
        let mut decisions = vec![
            Decision::new("language", "deno", rule, [self.place()]),
            Decision::new("build system", "deno", "deno.json or code for Deno", [self.place()]),
            version,
        ];
        let framework = self.framework();
        if let Some((id, sign, place)) = &framework {
            spec.metadata.framework = Some((*id).to_owned());
            decisions.push(Decision::new(
                "framework",
                *id,
                format!("import `{sign}`"),
                [place.clone()],
            ));
        }
        if self.imports("lume").is_some() && self.task("build").is_some() {
            return self.lume(spec, decisions);
        }
        self.build(&mut spec, &mut decisions);
        let weight = self.run(&mut spec, framework.map(|(id, ..)| id), &mut decisions);
        Service { dir: self.dir.to_owned(), spec, weight, claims: Vec::new(), decisions }
    }

    /// `.dvmrc`, `.deno-version`, `.tool-versions`, `mise.toml`.
    fn version(&self) -> (String, Decision) {
        let tree = self.project.tree;
        let set = self
            .project
            .settings
            .service(self.dir)
            .and_then(|set| Some((set.version.clone()?, set.line)));
        let mut pin = set.map(|(version, line)| {
            (version, Evidence::line(crate::detect::settings::FILE, Some(line)))
        });
        for name in [".dvmrc", ".deno-version"] {
            let path = join(self.dir, name);
            let text = tree.read(&path).map(|text| text.text.trim().to_owned());
            pin =
                pin.or_else(|| Some((text.filter(|text| !text.is_empty())?, Evidence::file(path))));
        }
        let tools = join(self.dir, ".tool-versions");
        if let Some(text) = tree.read(&tools) {
            let line = text
                .lines()
                .find_map(|(at, line)| Some((at, line.strip_prefix("deno ")?.trim().to_owned())));
            pin = pin
                .or_else(|| line.map(|(at, version)| (version, Evidence::line(&tools, Some(at)))));
        }
        if let Some(path) = tree.first_of(self.dir, &["mise.toml", ".mise.toml"]) {
            let version = tree.toml(&path).and_then(|toml| toml.at(&["tools", "deno"])?.text());
            pin = pin.or_else(|| version.map(|version| (version, Evidence::file(path))));
        }
        let newest = RELEASES.last().map_or("2.8.0", |release| release.2);
        let parsed = pin.as_ref().and_then(|(text, _)| Version::parse(text));
        let Some((version, (_, place))) = parsed.zip(pin) else {
            return (
                newest.to_owned(),
                Decision::new("version", newest, "default, nothing pins one", []),
            );
        };
        let tag = match (version.minor, version.patch) {
            (_, Some(_)) => version.to_string(),
            (minor, None) => {
                let fits = |release: &&(u32, u32, &str)| {
                    release.0 == version.major && minor.is_none_or(|m| release.1 == m)
                };
                let known = RELEASES.iter().rev().find(fits).map(|release| release.2.to_owned());
                known.unwrap_or_else(|| format!("{}.{}.0", version.major, minor.unwrap_or(0)))
            }
        };
        let decision = Decision::new("version", &*tag, "pinned", [place]);
        (tag, decision)
    }

    /// `importMap` of `deno.json` names a file with more of them.
    fn import_map(&self) -> Option<(String, Value)> {
        let (_, config) = self.config.as_ref()?;
        let path = join(self.dir, config.str_at(&["importMap"])?.trim_start_matches("./"));
        let map = self.project.tree.json(&path)?;
        Some((path, map))
    }

    /// Where a module is imported: in the import map, else in the entry file.
    fn imports(&self, sign: &str) -> Option<Evidence> {
        let map = self.import_map();
        for (path, config) in self.config.iter().chain(&map) {
            let imports = config.get("imports").into_iter().flat_map(Value::members);
            for (name, target) in imports {
                let target_text = target.as_str().unwrap_or_default();
                if name.contains(sign) || target_text.contains(sign) {
                    return Some(Evidence::line(path, Some(target.line)));
                }
            }
        }
        let path = join(self.dir, "package.json");
        if let Some(name) = sign.strip_prefix("npm:")
            && let Some(package) = self.project.tree.json(&path)
        {
            let groups = ["dependencies", "devDependencies"];
            let found = groups.iter().find_map(|group| package.at(&[group, name]));
            if let Some(found) = found {
                return Some(Evidence::line(path, Some(found.line)));
            }
        }
        let (entry, text) = self.entry.as_ref()?;
        let line = text.lines().position(|line| line.contains("import") && line.contains(sign))?;
        Some(Evidence::line(join(self.dir, entry), Some(line + 1)))
    }

    fn framework(&self) -> Option<(&'static str, &'static str, Evidence)> {
        FRAMEWORKS.iter().find_map(|(id, signs, _)| {
            signs.iter().find_map(|sign| Some((*id, *sign, self.imports(sign)?)))
        })
    }

    fn in_dir(&self, command: &str) -> String {
        match self.dir {
            "." => command.to_owned(),
            dir => format!("cd {} && {command}", shell::quote(dir)),
        }
    }

    fn build(&self, spec: &mut UniversalBuild, decisions: &mut Vec<Decision>) {
        let lock = join(self.dir, "deno.lock");
        let has_lock = self.project.tree.has(&lock);
        let config = self.config.as_ref();
        let has_imports =
            config.is_some_and(|(_, config)| config.has("imports") && !config.has("workspace"));
        let package = join(self.dir, "package.json");
        let has_package = self.project.tree.has(&package);
        if let Some((path, _)) = config
            && (has_imports || has_package)
        {
            let mut files = vec![path.clone()];
            files.extend(has_lock.then(|| lock.clone()));
            files.extend(has_package.then_some(package));
            let frozen = if has_lock { " --frozen" } else { "" };
            let command = self.in_dir(&format!("deno install{frozen}"));
            let place = if has_lock { lock } else { path.clone() };
            decisions.push(Decision::new(
                "install command",
                &*command,
                "deno.json",
                [Evidence::file(place)],
            ));
            spec.build.dependencies.push(DependencyStep { files, commands: vec![command] });
        }
        if let Some((entry, _)) = &self.entry {
            spec.build.commands.push(self.in_dir(&format!("deno cache {}", shell::quote(entry))));
        }
        if let Some((_, place)) = self.task("build") {
            let command = self.in_dir("deno task build");
            decisions.push(Decision::new("build command", &*command, "tasks.build", [place]));
            spec.build.commands.push(command);
        }
        spec.runtime.copy = vec![Artifact { from: self.dir.to_owned(), to: "/app".to_owned() }];
        if !spec.build.commands.is_empty() || !spec.build.dependencies.is_empty() {
            let to = FETCHED.to_owned();
            spec.runtime.copy.insert(0, Artifact { from: FETCHED.to_owned(), to });
        }
    }

    fn run(
        &self,
        spec: &mut UniversalBuild,
        framework: Option<&str>,
        decisions: &mut Vec<Decision>,
    ) -> Weight {
        let entry_text = self.entry.as_ref().map(|(_, text)| text.as_str()).unwrap_or_default();
        let exports = entry_text.contains("export default") && entry_text.contains("fetch");
        let stated = procfile(self.project, self.dir);
        let (command, rule, place, mut weight) = if let Some(process) = stated {
            (
                process.command,
                format!("Procfile {}", process.name),
                Some(process.evidence),
                Weight::Stated,
            )
        } else if let Some((line, place, name)) = self.start_task() {
            let words = shell::words(line).filter(|words| words[0] == "deno").map(without_watch);
            let words = words.map(|words| self.without_dev(words, framework));
            let command =
                words.unwrap_or_else(|| ["deno", "task", name].map(str::to_owned).to_vec());
            (command, format!("tasks.{name}"), Some(place), Weight::Starts)
        } else if let Some((line, place)) = &self.script {
            let words = shell::words(line).map(without_watch).unwrap_or_default();
            (words, "scripts.start".to_owned(), Some(place.clone()), Weight::Starts)
        } else if let Some((entry, _)) = &self.entry {
            let words: &[&str] = if exports {
                &["deno", "serve", "-A", "--port", "8000", entry]
            } else {
                &["deno", "run", "-A", entry]
            };
            let command = words.iter().map(|word| (*word).to_owned()).collect();
            let place = Evidence::file(join(self.dir, entry));
            (command, "name of the entry file".to_owned(), Some(place), Weight::Starts)
        } else {
            (Vec::new(), "no task `start` and no entry file".to_owned(), None, Weight::Manifest)
        };
        if framework.is_some() && weight == Weight::Starts {
            weight = Weight::Framework;
        }
        let listens = ["Deno.serve", "serve(", ".listen(", "Deno.listen"]
            .iter()
            .any(|sign| entry_text.contains(sign))
            || exports
            || framework.is_some()
            || command.get(1).is_some_and(|word| word == "serve");
        let is_library = self.config.as_ref().is_some_and(|(_, config)| config.has("exports"));
        if (!listens || is_library) && weight < Weight::Stated && self.start_task().is_none() {
            // `mod.ts` of a library.
            weight = Weight::Manifest;
        }
        decisions.push(Decision::new("start command", command.join(" "), rule, place));
        if let Some((port, place, reads)) = listens.then(|| self.port(framework, &command)) {
            decisions.push(Decision::new(
                "port",
                port.to_string(),
                if place.is_some() {
                    "what the code listens on"
                } else {
                    "default of Deno or the framework"
                },
                place,
            ));
            spec.runtime.ports = vec![port];
            if reads {
                spec.runtime.env.insert("PORT".to_owned(), port.to_string());
            }
        }
        spec.runtime.command = command;
        spec.runtime.env.insert("DENO_DIR".to_owned(), FETCHED.to_owned());
        spec.runtime.user = Some("deno".to_owned());
        spec.runtime.workdir = Some("/app".to_owned());
        weight
    }

    /// Before version 2, Fresh starts for development with `dev.ts`, and in production with `main.ts`
    /// (fresh.deno.dev/docs/1.x).
    fn without_dev(&self, mut words: Vec<String>, framework: Option<&str>) -> Vec<String> {
        let has_main = self.project.tree.has(&join(self.dir, "main.ts"));
        if let Some(dev) = words.last_mut().filter(|word| *word == "dev.ts")
            && framework == Some("fresh")
            && has_main
        {
            *dev = "main.ts".to_owned();
        }
        words
    }

    fn start_task(&self) -> Option<(&str, Evidence, &'static str)> {
        ["start", "serve", "prod", "preview", "run"].into_iter().find_map(|name| {
            let (line, place) = self.task(name)?;
            Some((line, place, name))
        })
    }

    /// The port, where it is said, and whether the code asks for `PORT`.
    fn port(&self, framework: Option<&str>, command: &[String]) -> (u16, Option<Evidence>, bool) {
        let by_flag =
            command.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--port") {
                Some("") => command.get(at + 1)?.parse().ok(),
                Some(rest) => rest.strip_prefix('=')?.parse().ok(),
                None => None,
            });
        if let Some(port) = by_flag {
            return (port, None, false);
        }
        let default =
            FRAMEWORKS.iter().find(|row| Some(row.0) == framework).map_or(8000, |row| row.2);
        let Some((entry, text)) = &self.entry else { return (default, None, false) };
        let mut found = None;
        let mut reads = false;
        for (at, line) in text.lines().enumerate() {
            let lower = line.to_ascii_lowercase();
            let asks = line.contains("\"PORT\"") || line.contains("'PORT'");
            reads |= asks;
            if lower.contains("port") || line.contains(".listen(") {
                let place = Evidence::line(join(self.dir, entry), Some(at + 1));
                found = found.or_else(|| Some((number_in(line)?, place)));
            }
        }
        match found {
            Some((port, place)) => (port, Some(place), reads),
            None => (default, None, reads),
        }
    }

    /// A static site: <https://lume.land>
    fn lume(&self, mut spec: UniversalBuild, mut decisions: Vec<Decision>) -> Service {
        self.build(&mut spec, &mut decisions);
        spec.metadata.framework = Some("lume".to_owned());
        let place = self.imports("lume");
        decisions.push(Decision::new("framework", "lume", "import `lume`", place));
        let folder = join(self.dir, "_site");
        file_server::serve(&mut spec, self.project.bases, &folder, Missing::NotFound);
        decisions.push(Decision::new(
            "start command",
            spec.runtime.command.join(" "),
            "files for a browser, served by Caddy",
            [],
        ));
        Service {
            dir: self.dir.to_owned(),
            spec,
            weight: Weight::Framework,
            claims: Vec::new(),
            decisions,
        }
    }
}

fn without_watch(mut words: Vec<String>) -> Vec<String> {
    words.retain(|word| !word.starts_with("--watch"));
    words
}

/// The first number in a line that can be a port.
fn number_in(line: &str) -> Option<u16> {
    let is_digit = |c: char| c.is_ascii_digit();
    let numbers = line.split(|c| !is_digit(c)).filter(|text| text.len() >= 4);
    numbers.filter_map(|text| text.parse().ok()).find(|port| *port >= 1024)
}
