//! Deno: `deno.json`, tasks, and files that only Deno runs.

use crate::detect::{prelude::*, shell};

static DENO: Language = Language {
    id: "deno",
    tool: "deno",
    version_files: &[".dvmrc", ".deno-version"],
    version_tools: &["deno"],
    images: Images { official: IMAGE, wolfi: IMAGE, debian: IMAGE },
    ..NOTHING
};

const IMAGE: Pair = Pair::both("denoland/deno:{v}").user("deno");

const CONFIGS: &[&str] = &["deno.json", "deno.jsonc"];
const ENTRIES: &[&str] = &[
    "main.ts", "server.ts", "app.ts", "index.ts", "mod.ts", "main.tsx", "server.tsx", "main.js",
    "server.js", "index.js", "src/main.ts", "src/server.ts", "src/index.ts", "src/app.ts",
    "src/mod.ts", "src/main.tsx",
];

/// Frameworks by a part of what is imported.
static FRAMEWORKS: &[Framework] = &[
    framework("fresh", &["@fresh/core", "deno.land/x/fresh", "jsr:@fresh"], 8000),
    framework("oak", &["@oak/oak", "deno.land/x/oak", "jsr:@oak/oak"], 8000),
    framework("hono", &["@hono/hono", "npm:hono", "deno.land/x/hono"], 8000),
    framework("express", &["npm:express"], 3000),
    framework("aleph", &["deno.land/x/aleph"], 3000),
    framework("react-router", &["npm:@react-router/dev"], 8000),
];

/// One release of each line, as the images are tagged by release alone; the last is the default.
const RELEASES: &[(u32, u32, u32)] =
    &[(1, 46, 3), (2, 0, 6), (2, 1, 4), (2, 2, 0), (2, 3, 5), (2, 4, 4), (2, 5, 6), (2, 8, 0)];

/// Where the image keeps what was fetched.
const FETCHED: &str = "/deno-dir";

/// Projects of Deno in the tree.
pub fn find(project: &Project<'_>) -> Vec<Facts> {
    let mut services: Vec<Facts> = Vec::new();
    for (dir, _) in project.tree.dirs() {
        let at = Folder::new(project, dir);
        // `src/` of a folder whose entry file lies there.
        let above = if file_name(dir) == "src" { parent(dir) } else { dir };
        let is_part = services.iter().any(|service| service.dir == above);
        if !is_part || at.first_of(CONFIGS).is_some() {
            services.extend(Found::read(at).map(|found| found.facts()));
        }
    }
    services
}

struct Found<'a> {
    at: Folder<'a>,
    config: Option<(&'static str, Value)>,
    /// The entry file.
    entry: Option<Rc<Text>>,
    /// The script `start` of a `package.json` beside it, if it calls Deno.
    script: Option<(String, Evidence)>,
}

/// Whether a text has what only Deno understands.
fn says_so(text: &Text) -> bool {
    let signs =
        ["Deno.", "https://deno.land/", "from \"jsr:", "from 'jsr:", "from \"npm:", "from 'npm:"];
    signs.iter().any(|sign| text.text.contains(sign))
}

/// Whether a module exports a handler of requests.
fn exports_handler(text: &Text) -> bool {
    text.text.contains("export default") && text.text.contains("fetch")
}

impl<'a> Found<'a> {
    fn read(at: Folder<'a>) -> Option<Self> {
        let config = CONFIGS.iter().find_map(|name| Some((*name, at.json(name)?)));
        let entry = ENTRIES.iter().find_map(|name| at.read(name));
        if config.is_none() && !at.has("deno.lock") {
            let is_code = entry.as_ref().is_some_and(|text| is_for_deno(at, text));
            let has_config = |dir: &str| at.project.tree.first_of(dir, CONFIGS).is_some();
            if at.has("package.json") || !is_code || upward(at.dir).skip(1).any(has_config) {
                return None;
            }
        }
        let script = start_script(at);
        let named = script.as_ref().and_then(|(line, _)| {
            let file = line.split_whitespace().find(|word| word.ends_with(".ts"))?;
            at.read(file.trim_start_matches("./"))
        });
        let found = Self { at, config, entry: named.or(entry), script };
        found.is_deployed().then_some(found)
    }

    /// Whether it is more than the tools of a project of Node.js.
    fn is_deployed(&self) -> bool {
        let Some(package) = self.at.json("package.json") else { return !self.is_unread_package() };
        let imports_for_it = || {
            let names = ["deps.ts", "mod.ts", "app.ts"];
            names.iter().any(|name| self.at.read(name).is_some_and(|text| says_so(&text)))
        };
        let config = self.config.as_ref().map(|(_, config)| config);
        let is_configured = self.entry.is_some()
            && !package.has("scripts")
            && config.is_some_and(|config| config.has("imports"));
        config.is_some() && imports_for_it()
            || is_configured
            || self.script.is_some()
            || self.is_started()
    }

    fn is_started(&self) -> bool {
        self.task("start").is_some()
            || self.task("serve").is_some()
            || self.entry.as_ref().is_some_and(|text| says_so(text))
    }

    /// A `package.json` that is there and can't be read.
    fn is_unread_package(&self) -> bool {
        self.at.has("package.json") && !self.is_started()
    }

    fn task(&self, name: &str) -> Option<(&str, Evidence)> {
        let (path, config) = self.config.as_ref()?;
        let task = config.at(&["tasks", name])?;
        let line = task.as_str().or_else(|| task.str_at(&["command"]))?;
        Some((line, self.at.place(path, Some(task.line))))
    }

    fn place(&self) -> Evidence {
        match (&self.config, &self.entry) {
            (Some((name, _)), _) => self.at.place(name, None),
            (None, Some(entry)) => Evidence::file(&entry.path),
            (None, None) => self.at.place("deno.lock", None),
        }
    }

    /// The entry file as seen from the folder.
    fn entry_name(&self) -> Option<String> {
        Some(relative(self.at.dir, &self.entry.as_ref()?.path))
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::new(&DENO, self.at.dir);
        let name = self.config.as_ref().and_then(|(_, config)| config.str_at(&["name"]));
        facts.name = name.unwrap_or_default().to_owned();
        let is_javascript = self.entry.as_ref().is_some_and(|text| text.path.ends_with(".js"));
        let rule = if is_javascript { Fixed::JavaScriptForDeno } else { Fixed::TypeScriptForDeno };
        facts.decide(What::Language, "deno", rule, [self.place()]);
        facts.decide(What::BuildSystem, "deno", Fixed::DenoJson, [self.place()]);
        facts.version(self.version());
        facts.build_env("DENO_DIR", FETCHED);
        facts.exclude = vec![".git".to_owned(), "**/node_modules".to_owned()];
        self.build(&mut facts);
        let lume = self.imports("lume").filter(|_| self.task("build").is_some());
        if let Some(place) = lume {
            // A site of static files: <https://lume.land>
            facts.framework("lume", Rule::Import("lume".to_owned()), [place]);
            let folder = self.at.path("_site");
            facts.files(folder, Missing::NotFound, Fixed::WhereItWrites, None);
            return facts;
        }
        if !facts.steps.is_empty() || !facts.layers.is_empty() {
            facts.take(FETCHED, FETCHED);
        }
        facts.take(self.at.dir, "");
        facts.env("DENO_DIR", FETCHED);
        self.run(&mut facts);
        facts
    }

    fn version(&self) -> (String, Decision) {
        let tag = |release: &(u32, u32, u32)| format!("{}.{}.{}", release.0, release.1, release.2);
        let parse = |text: &str| {
            let version = Version::parse(text)?;
            let fits = |release: &&(u32, u32, u32)| {
                release.0 == version.major && version.minor.is_none_or(|minor| release.1 == minor)
            };
            Some(match version.patch {
                Some(_) => version.to_string(),
                None => match RELEASES.iter().rev().find(fits) {
                    Some(known) => tag(known),
                    None => tag(&(version.major, version.minor.unwrap_or(0), 0)),
                },
            })
        };
        let pinned = pins::first(self.at.pins(&DENO), parse);
        let newest = RELEASES.last().map(tag).unwrap_or_default();
        pins::or_default(pinned, &newest, Fixed::NothingPins)
    }

    /// Where a module is imported: in the import map, in `package.json`, else in the entry file.
    fn imports(&self, sign: &str) -> Option<Evidence> {
        let config = self.config.as_ref();
        // `importMap` of `deno.json` names a file with more of them.
        let map = config.and_then(|(_, config)| {
            let name = config.str_at(&["importMap"])?.trim_start_matches("./");
            Some((name, self.at.json(name)?))
        });
        let maps = config.map(|(name, config)| (*name, config));
        for (name, config) in maps.into_iter().chain(map.as_ref().map(|(n, map)| (*n, map))) {
            let mut imports = config.get("imports").into_iter().flat_map(Value::members);
            let named = |(name, target): &(&str, &Value)| {
                name.contains(sign) || target.as_str().is_some_and(|text| text.contains(sign))
            };
            if let Some((_, target)) = imports.find(named) {
                return Some(self.at.place(name, Some(target.line)));
            }
        }
        let package = || {
            let (name, package) = (sign.strip_prefix("npm:")?, self.at.json("package.json")?);
            let groups = ["dependencies", "devDependencies"];
            let found = groups.iter().find_map(|group| package.at(&[group, name]))?;
            Some(self.at.place("package.json", Some(found.line)))
        };
        let code = || {
            let text = self.entry.as_ref()?;
            let is_import = |line: &str| line.contains("import") && line.contains(sign);
            let (line, _) = text.lines().find(|(_, line)| is_import(line))?;
            Some(Evidence::line(&text.path, Some(line)))
        };
        package().or_else(code)
    }

    fn build(&self, facts: &mut Facts) {
        let at = self.at;
        let package = at.json("package.json");
        let imports = |config: &Value| config.has("imports") && !config.has("workspace");
        let config = self.config.as_ref();
        if package.is_some() || config.is_some_and(|(_, config)| imports(config)) {
            let lock = at.read("deno.lock");
            let locked = |name: &str| lock.as_ref().is_some_and(|lock| lock.text.contains(name));
            let groups = ["dependencies", "devDependencies"];
            let groups = groups.iter().filter_map(|group| package.as_ref()?.get(group));
            // A lock file that lacks something would stop the install.
            let is_locked = lock.is_some() && groups.flat_map(Value::keys).all(locked);
            let frozen = if is_locked { " --frozen" } else { "" };
            let install = Step::new(Kind::Install, at.dir, format!("deno install{frozen}"));
            let name = config.map_or("deno.json", |(name, _)| name);
            facts.layer(at.those(&[name, "deno.lock", "package.json"]), vec![install]);
        }
        if let Some(entry) = self.entry_name() {
            facts.build(at.dir, format!("deno cache {}", quote(&entry)));
        }
        if self.task("build").is_some() {
            facts.build(at.dir, "deno task build");
        }
    }

    fn start_task(&self) -> Option<(&'static str, &str, Evidence)> {
        ["start", "serve", "prod", "preview", "run"].into_iter().find_map(|name| {
            let (line, place) = self.task(name)?;
            Some((name, line, place))
        })
    }

    /// The command, by which rule, and how much that says.
    fn command(&self, framework: Option<&str>) -> Option<(Vec<String>, Rule, Evidence, Weight)> {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        if let Some(process) = self.at.procfile() {
            let rule = Rule::Procfile(process.name);
            return Some((process.command, rule, process.evidence, Weight::Stated));
        }
        if let Some((name, line, place)) = self.start_task() {
            let words = shell::words(line).filter(|words| words[0] == "deno");
            let words = words.map(|words| self.for_production(words, framework));
            let command = words.unwrap_or_else(|| own(&["deno", "task", name]));
            return Some((command, Rule::Named(format!("tasks.{name}")), place, Weight::Starts));
        }
        if let Some((line, place)) = &self.script {
            let words = self.for_production(shell::words(line).unwrap_or_default(), None);
            let rule = Rule::Named("scripts.start".to_owned());
            return Some((words, rule, place.clone(), Weight::Starts));
        }
        let (entry, text) = (self.entry_name()?, self.entry.as_ref()?);
        let command = match exports_handler(text) {
            true => own(&["deno", "serve", "-A", "--port", "8000", &entry]),
            false => own(&["deno", "run", "-A", &entry]),
        };
        let place = Evidence::file(&text.path);
        Some((command, Fixed::NameOfEntry.into(), place, Weight::Starts))
    }

    fn run(&self, facts: &mut Facts) {
        let known = framework::find(FRAMEWORKS, |sign| self.imports(sign));
        if let Some(known) = &known {
            let rule = Rule::Import(known.mark.to_owned());
            facts.framework(known.framework.id, rule, [known.place.clone()]);
        }
        let Some((command, rule, place, weight)) = self.command(facts.framework) else {
            facts.weight = Weight::Manifest;
            facts.serves = Serves::Nothing(Fixed::NoTaskNoEntry.into(), Vec::new());
            return;
        };
        let calls = ["Deno.serve", "serve(", ".listen(", "Deno.listen"];
        let entry = self.entry.as_ref();
        let listens = known.is_some()
            || entry.is_some_and(|text| calls.iter().any(|call| text.text.contains(call)))
            || entry.is_some_and(|text| exports_handler(text))
            || command.get(1).is_some_and(|word| word == "serve");
        let is_library = self.config.as_ref().is_some_and(|(_, config)| config.has("exports"));
        let is_silent = (!listens || is_library) && self.start_task().is_none();
        facts.weight = match weight {
            // `mod.ts` of a library.
            Weight::Starts if is_silent => Weight::Manifest,
            Weight::Starts if known.is_some() => Weight::Framework,
            weight => weight,
        };
        let default = known.map_or(8000, |known| known.framework.port);
        let port = listens.then(|| self.port(default, &command));
        facts.start(command, rule, [place]);
        facts.port(port);
    }

    /// A command less what is for development. Before version 2, Fresh starts for development with `dev.ts`, and in
    /// production with `main.ts` (fresh.deno.dev/docs/1.x).
    fn for_production(&self, mut words: Vec<String>, framework: Option<&str>) -> Vec<String> {
        words.retain(|word| !word.starts_with("--watch"));
        let is_fresh = framework == Some("fresh") && self.at.has("main.ts");
        if let Some(dev) = words.last_mut().filter(|word| *word == "dev.ts" && is_fresh) {
            *dev = "main.ts".to_owned();
        }
        words
    }

    fn port(&self, default: u16, command: &[String]) -> Port {
        let otherwise = |number| Port {
            number,
            rule: Fixed::DefaultOfDeno.into(),
            place: None,
            is_told: false,
        };
        let by_flag = command.iter().enumerate().find_map(|(at, word)| {
            match word.strip_prefix("--port")? {
                "" => command.get(at + 1)?.parse().ok(),
                rest => rest.strip_prefix('=')?.parse().ok(),
            }
        });
        if let Some(number) = by_flag {
            return otherwise(number);
        }
        let Some(text) = &self.entry else { return otherwise(default) };
        let asks = |line: &str| line.contains("\"PORT\"") || line.contains("'PORT'");
        let is_told = text.text.lines().any(asks);
        let found = text.lines().find_map(|(at, line)| {
            let names = line.to_ascii_lowercase().contains("port") || line.contains(".listen(");
            Some((number_in(line).filter(|_| names)?, at))
        });
        match found {
            Some((number, line)) => Port {
                number,
                rule: Fixed::CodeListens.into(),
                place: Some(Evidence::line(&text.path, Some(line))),
                is_told,
            },
            None => Port { is_told, ..otherwise(default) },
        }
    }
}

/// Whether code without a configuration is for Deno: it says so, or it is a handler without anything that says for whom
/// (projects of Bun and Cloudflare have a manifest).
fn is_for_deno(at: Folder<'_>, text: &Text) -> bool {
    let others = ["package.json", "wrangler.toml", "wrangler.json", "wrangler.jsonc"];
    let is_handler = || {
        text.path.ends_with(".ts")
            && text.text.contains("export default {")
            && text.text.contains("fetch")
            && !text.text.contains("Bun.")
            && !upward(at.dir).any(|dir| at.project.tree.first_of(dir, &others).is_some())
    };
    says_so(text) || is_handler()
}

/// `start` of a `package.json`, from the word `deno` on; what is set before it is for libraries of Node.js.
fn start_script(at: Folder<'_>) -> Option<(String, Evidence)> {
    let package = at.json("package.json")?;
    let script = package.at(&["scripts", "start"])?;
    let line = script.as_str()?;
    let start = line.find("deno ")?;
    let is_set = line[..start].split_whitespace().all(|word| word.contains('='));
    let plain = !line.contains(['&', '|', ';', '$']);
    let place = at.place("package.json", Some(script.line));
    (is_set && plain).then(|| (line[start..].to_owned(), place))
}

/// The first number in a line that can be a port.
fn number_in(line: &str) -> Option<u16> {
    let numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|text| text.len() >= 4);
    numbers.filter_map(|text| text.parse().ok()).find(|port| *port >= 1024)
}
