//! Front ends that a server of another language delivers: what they are built to lies in the server's folder, is compiled
//! into the server, or is copied there by a script of the project. Such a front end is a part of the server's build.

use super::{
    draft::{APP_DIR, quote, relative, resolve},
    node,
    source::{gather, is_comment},
};
use crate::{
    detect::{
        Decision, Evidence, Project, Service, Text, Weight, is_below, join, manifest::Value,
        parent, shell::option, upward,
    },
    spec::Build,
};

/// Gives the front ends among `found`, the services of each ecosystem, to the servers that deliver them.
pub(in crate::detect) fn deliver(project: &Project<'_>, found: &mut [Vec<Service>]) {
    let all = found.iter().flatten().filter(|service| service.weight >= Weight::Starts);
    let (sites, others): (Vec<&Service>, Vec<&Service>) = all.partition(|s| is_site(s));
    let servers: Vec<Server> =
        others.into_iter().filter(|s| !is_of_node(s)).map(|s| Server::of(project, s)).collect();
    if servers.is_empty() {
        return;
    }
    let sites: Vec<Site> = sites.iter().filter_map(|service| Site::of(project, service)).collect();
    for site in sites {
        if found.iter().flatten().any(|service| site.is_claimed_by(service)) {
            site.drop_from(found);
            continue;
        }
        let Some(delivery) = site.delivery(project, &servers) else { continue };
        let server = &servers[delivery.server];
        let mut all = found.iter_mut().flatten();
        if let Some(service) = all.find(|service| server.is(service)) {
            delivery.apply(project, &site, server, service);
            site.drop_from(found);
        }
    }
}

/// Files for a browser, made by a build of Node.js.
fn is_site(service: &Service) -> bool {
    is_of_node(service) && service.spec.runtime.command.first().is_some_and(|word| word == "caddy")
}

fn is_of_node(service: &Service) -> bool {
    let language = service.spec.metadata.language.as_deref().unwrap_or_default();
    ["javascript", "typescript", "deno", "static", "shell"].contains(&language)
}

struct Server {
    dir: String,
    name: Option<String>,
    language: String,
    /// The folder its build runs in: that of the workspace.
    home: String,
}

impl Server {
    fn of(project: &Project<'_>, service: &Service) -> Self {
        let language = service.spec.metadata.language.clone().unwrap_or_default();
        let manifests: &[&str] = match language.as_str() {
            "rust" => &["Cargo.toml"],
            "go" => &["go.mod"],
            _ => &[],
        };
        let above = upward(&service.dir)
            .filter(|dir| project.tree.first_of(dir, manifests).is_some())
            .last();
        let home = above.unwrap_or(&service.dir).to_owned();
        Self {
            dir: service.dir.clone(),
            name: service.spec.metadata.project_name.clone(),
            language,
            home,
        }
    }

    fn is(&self, service: &Service) -> bool {
        self.dir == service.dir
            && self.name == service.spec.metadata.project_name
            && service.spec.metadata.language.as_deref() == Some(&self.language)
    }
}

struct Site {
    dir: String,
    /// How it is built as a service of its own.
    build: Build,
    /// Where its files are built to, relative to the root.
    output: String,
    manifest: Value,
}

/// Which server delivers a site, and how that is known.
struct Delivery {
    server: usize,
    /// Where the files lie once they are built, when the server reads them from there.
    output: String,
    /// The script that builds them there.
    script: Option<String>,
    /// What copies them where the server wants them.
    copying: Option<String>,
    rule: &'static str,
    evidence: Evidence,
}

impl Site {
    fn of(project: &Project<'_>, service: &Service) -> Option<Self> {
        let output = &service.spec.runtime.copy.first()?.from;
        let output = output.strip_prefix("/build/").unwrap_or(output).to_owned();
        let manifest = project.tree.json(&join(&service.dir, "package.json"))?;
        let mut build = service.spec.build.clone();
        // The last command writes the settings of its own server.
        build.commands.retain(|command| !command.starts_with("printf "));
        Some(Self { dir: service.dir.clone(), build, output, manifest })
    }

    fn delivery(&self, project: &Project<'_>, servers: &[Server]) -> Option<Delivery> {
        self.written(servers)
            .or_else(|| self.scripted(servers))
            .or_else(|| self.embedded(project, servers))
            .or_else(|| self.copied(project, servers))
    }

    /// Whether the rules of another language gave it to a server.
    fn is_claimed_by(&self, service: &Service) -> bool {
        let claims = || service.claims.iter().any(|claim| is_below(&self.dir, claim));
        !is_of_node(service)
            && service.weight >= Weight::Starts
            && !is_below(&service.dir, &self.dir)
            && claims()
    }

    /// Of two services of one weight the one whose folder comes first would stay, claimed or not.
    fn drop_from(&self, found: &mut [Vec<Service>]) {
        for services in found {
            services.retain(|service| service.dir != self.dir || !is_site(service));
        }
    }

    /// Whether it is installed with others, from a folder above.
    fn is_member(&self) -> bool {
        let files = self.build.dependencies.iter().flat_map(|step| &step.files);
        files.into_iter().any(|file| !is_below(file, &self.dir))
            || self.build.dependencies.is_empty()
                && self.build.commands.iter().any(|command| !command.starts_with("cd "))
    }

    /// Lets the server's build make it as its own build would; gives the commands.
    fn build_within(&self, project: &Project<'_>, service: &mut Service) -> Vec<String> {
        let Some(assets) = node::assets(project, &self.dir) else { return Vec::new() };
        service.build_packages(assets.packages.iter().map(String::as_str));
        service.cache(assets.cache.iter().map(String::as_str));
        service.spec.build.exclude.extend(assets.exclude);
        let is_setup = |command: &String| {
            command.starts_with("npm install -g node@")
                || command.starts_with("npm install -g yarn@")
        };
        let mut setup: Vec<String> =
            assets.install.iter().chain(&assets.build).filter(|c| is_setup(c)).cloned().collect();
        let mut steps = self.build.dependencies.clone();
        let mut commands = self.build.commands.clone();
        match steps.first_mut() {
            Some(first) => drop(first.commands.splice(0..0, setup)),
            None => {
                setup.append(&mut commands);
                commands = setup;
            }
        }
        service.spec.build.dependencies.extend(steps);
        service.spec.build.env.extend(self.build.env.clone());
        commands
    }

    /// The server whose folder holds a path, the nearest one.
    fn owner(&self, servers: &[Server], path: &str) -> Option<usize> {
        let holds = |server: &Server| {
            let top = path.split('/').next().unwrap_or_default();
            // The root's `dist` is where the tools of a workspace put everything.
            let is_anybodys = ["dist", "build", "out"].contains(&top) && server.dir != ".";
            !is_below(path, &self.dir)
                && (is_below(path, &server.dir) || is_below(path, &server.home) && !is_anybodys)
        };
        let of = servers.iter().enumerate().filter(|(_, server)| holds(server));
        let nearest = of.max_by_key(|(at, server)| {
            let is_own = is_below(path, &server.dir);
            (is_own, if is_own { server.dir.len() } else { 0 }, std::cmp::Reverse(*at))
        });
        nearest.map(|(at, _)| at)
    }

    /// Its build writes into a server's folder.
    fn written(&self, servers: &[Server]) -> Option<Delivery> {
        Some(Delivery {
            server: self.owner(servers, &self.output)?,
            output: self.output.clone(),
            script: None,
            copying: None,
            rule: "its build writes there",
            evidence: Evidence::file(join(&self.dir, "package.json")),
        })
    }

    /// One of its scripts does.
    fn scripted(&self, servers: &[Server]) -> Option<Delivery> {
        let scripts = self.manifest.get("scripts")?;
        scripts.members().find_map(|(name, script)| {
            let line = script.as_str()?;
            if NO_BUILDS.iter().any(|word| name.contains(word)) {
                return None;
            }
            let output = resolve(&self.dir, flag(line)?)?;
            Some(Delivery {
                server: self.owner(servers, &output)?,
                output,
                script: Some(name.to_owned()),
                copying: None,
                rule: "a script of its builds it there",
                evidence: Evidence::line(join(&self.dir, "package.json"), Some(script.line)),
            })
        })
    }

    /// Its files are compiled into a program.
    fn embedded(&self, project: &Project<'_>, servers: &[Server]) -> Option<Delivery> {
        // Of several programs the one that is called like a server.
        let is_named = |server: &Server| {
            let name = server.dir.rsplit('/').next().unwrap_or_default();
            ["server", "api", "web"].iter().any(|word| name.contains(word))
        };
        let mut all: Vec<(usize, &Server)> = servers.iter().enumerate().collect();
        all.sort_by_key(|(at, server)| (!is_named(server), *at));
        let (server, evidence) = all.into_iter().find_map(|(at, server)| {
            let is_around = |path: &str| {
                is_below(path, &self.output) || is_below(&self.output, path) && path != "."
            };
            let seen = match server.language.as_str() {
                "go" => go_embed(project, &self.dir, &is_around)
                    .or_else(|| go_embed(project, parent(&self.dir), &is_around)),
                "rust" => rust_embed(project, &server.home, &is_around),
                _ => None,
            };
            Some((at, seen?))
        })?;
        Some(Delivery {
            server,
            output: self.output.clone(),
            script: None,
            copying: None,
            rule: "its files are compiled in",
            evidence,
        })
    }

    /// A script of the project copies its files to a server.
    fn copied(&self, project: &Project<'_>, servers: &[Server]) -> Option<Delivery> {
        let scripts = self.manifest.get("scripts");
        let own = scripts.into_iter().flat_map(Value::members).filter_map(|(_, script)| {
            let evidence = Evidence::line(join(&self.dir, "package.json"), Some(script.line));
            Some((script.as_str()?.to_owned(), evidence))
        });
        let texts = recipes(project, &self.dir);
        let lines = texts.iter().flat_map(|text| {
            let lines = text.lines().filter(|(_, line)| COPIERS.iter().any(|c| line.contains(c)));
            lines.map(|(at, line)| (line.to_owned(), Evidence::line(&text.path, Some(at))))
        });
        own.chain(lines).find_map(|(line, evidence)| {
            let to = self.copies_to(&line)?;
            let server = self.owner(servers, &to)?;
            let copying = format!(
                "mkdir -p {to} && cp -a {from}/. {to}/",
                to = quote(&to),
                from = quote(&self.output)
            );
            Some(Delivery {
                server,
                output: to,
                script: None,
                copying: Some(copying),
                rule: "a script copies it there",
                evidence,
            })
        })
    }

    /// Where a command line copies its files to: `cp -r dist/* ../server/static`.
    fn copies_to(&self, line: &str) -> Option<String> {
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        line.split(['&', ';', '|']).find_map(|command| {
            let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            words.by_ref().find(|word| COPIERS.contains(word))?;
            let paths: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
            let [from @ .., to] = paths.as_slice() else { return None };
            [".", self.dir.as_str()].into_iter().find_map(|base| {
                let clean = |path: &str| {
                    let path = path.trim_end_matches("/*").trim_end_matches("/.");
                    resolve(base, path).filter(|_| !path.contains(['$', '*', '?', '{', '`']))
                };
                let is_own = from.iter().filter_map(|path| clean(path)).any(|path| {
                    is_below(&path, &self.output)
                        || is_below(&self.output, &path) && is_below(&path, &self.dir)
                });
                clean(to).filter(|to| is_own && !is_below(to, &self.dir))
            })
        })
    }
}

impl Delivery {
    fn apply(self, project: &Project<'_>, site: &Site, server: &Server, service: &mut Service) {
        if service.claims.contains(&site.dir) || is_below(&service.dir, &site.dir) {
            return;
        }
        service.claims.push(site.dir.clone());
        let why = format!("the front end in {}: {}", site.dir, self.rule);
        service.decisions.push(Decision::new("service", service.dir.clone(), why, [self.evidence]));
        let script = self.script.as_deref();
        let mut commands = match script.is_none() && site.is_member() {
            true => site.build_within(project, service),
            false => {
                let front = service.assets_of(project, &site.dir, script);
                front.map(|front| front.build).unwrap_or_default()
            }
        };
        commands.extend(self.copying);
        service.spec.build.commands.splice(0..0, commands);
        // Programs are copied alone; what they read beside them has to follow.
        let is_program = ["go", "rust"].contains(&server.language.as_str());
        let is_around = |path: &str| is_below(&self.output, path) && path != ".";
        let is_compiled_in = || {
            upward(&self.output)
                .take(EMBED_LEVELS)
                .any(|dir| server.language == "go" && go_embed(project, dir, &is_around).is_some())
                || server.language == "rust"
                    && rust_embed(project, &server.home, &is_around).is_some()
        };
        let is_copied = |path: &str| {
            let mut copies = service.spec.runtime.copy.iter();
            copies.any(|copy| is_below(path, copy.from.trim_start_matches("/build/")))
        };
        if is_program && !is_copied(&self.output) && !is_compiled_in() {
            let to = relative(&server.home, &self.output);
            if !to.starts_with("..") {
                service.copy(&self.output, &format!("{APP_DIR}/{to}"));
            }
        }
    }
}

/// The folder that an option of a bundler names.
fn flag(line: &str) -> Option<&str> {
    option(line, &["--outDir", "--out-dir", "--dist-dir", "--output-path", "--dest"])
}

/// A `//go:embed` in a file of the folder with a path that `takes` says yes to.
fn go_embed(project: &Project<'_>, dir: &str, takes: &dyn Fn(&str) -> bool) -> Option<Evidence> {
    let entries = project.tree.entries(dir)?;
    entries.ending(".go").take(FILES_MAX).find_map(|name| {
        let text = project.tree.read(&join(dir, name))?;
        text.lines().find_map(|(at, line)| {
            let words = line.trim().strip_prefix("//go:embed ")?.split_whitespace();
            let mut paths = words.map(|word| word.trim_matches(['"', '`']));
            let is_it = paths.any(|path| {
                let path = path.strip_prefix("all:").unwrap_or(path);
                let fixed = path.split(['*', '?', '[']).next().unwrap_or_default();
                resolve(dir, fixed.trim_end_matches('/')).is_some_and(|path| takes(&path))
            });
            is_it.then(|| Evidence::line(&text.path, Some(at)))
        })
    })
}

/// A folder that `rust-embed` or `include_dir` compiles in: both count from the folder of the crate.
fn rust_embed(project: &Project<'_>, home: &str, takes: &dyn Fn(&str) -> bool) -> Option<Evidence> {
    let files = gather(project, home, &["rs"], &|_| false);
    files.iter().find_map(|file| {
        let marks = ["#[folder", "include_dir!("];
        let mut lines = file.text.lines().enumerate();
        lines.find_map(|(at, line)| {
            if is_comment(line) || !marks.iter().any(|mark| line.contains(mark)) {
                return None;
            }
            let path = line.split('"').nth(1)?;
            let path = path.trim_start_matches("$CARGO_MANIFEST_DIR").trim_start_matches('/');
            let home = upward(parent(&file.path))
                .find(|dir| project.tree.has(&join(dir, "Cargo.toml")))?;
            let path = resolve(home, path)?;
            takes(&path).then(|| Evidence::line(&file.path, Some(at + 1)))
        })
    })
}

/// Files with commands of the project: of the root, of the folders above the front end, and its own.
fn recipes(project: &Project<'_>, dir: &str) -> Vec<std::rc::Rc<Text>> {
    let beside = ["scripts", "script", "bin", "build"].map(str::to_owned);
    let folders = upward(dir).map(str::to_owned).chain(beside);
    let mut found = Vec::new();
    for folder in folders {
        let Some(entries) = project.tree.entries(&folder) else { continue };
        let is_recipe = |name: &&String| name.ends_with(".sh") || RECIPES.contains(&name.as_str());
        let names = entries.files.iter().filter(is_recipe).take(FILES_MAX);
        found.extend(names.filter_map(|name| project.tree.read(&join(&folder, name))));
    }
    found
}

const RECIPES: &[&str] =
    &["Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "Taskfile.yml", "build"];
const COPIERS: &[&str] = &["cp", "mv", "rsync", "copyfiles", "cpx", "cpy", "ncp", "cpr"];
/// Parts of the names of scripts that do not build for production.
const NO_BUILDS: &[&str] = &["dev", "watch", "start", "test", "serve", "preview", "storybook"];
const FILES_MAX: usize = 40;
const LINE_BYTES_MAX: usize = 1000;
/// How far above its folder a program names files for `//go:embed`.
const EMBED_LEVELS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn site(dir: &str, output: &str) -> Site {
        let manifest = crate::detect::manifest::json("{}").unwrap();
        Site { dir: dir.into(), build: Build::default(), output: output.into(), manifest }
    }

    #[test]
    fn a_copying_command_names_where_files_go() {
        let check = |line: &str, want: Option<&str>| {
            assert_eq!(site("UI/Web", "UI/Web/dist/browser").copies_to(line).as_deref(), want);
        };
        check("    cp -R dist/browser/* ../../API/wwwroot", Some("API/wwwroot"));
        check("cp -r UI/Web/dist/browser/. API/wwwroot/", Some("API/wwwroot"));
        check("cd UI/Web && npm run build && mv dist ../../static", Some("static"));
        check("cp -R dist/browser dist/other", None);
        check("cp README.md ../../API", None);
        check("cp -r dist $OUT/www", None);
        check("scp dist host:/srv", None);
    }

    #[test]
    fn the_nearest_server_owns_a_path() {
        let server = |dir: &str, home: &str| Server {
            dir: dir.into(),
            name: None,
            language: "rust".into(),
            home: home.into(),
        };
        let servers = [server("api", "api"), server("src/bin", "."), server("api/v2", "api/v2")];
        let site = site("web", "web/dist");
        let check = |path: &str, want| assert_eq!(site.owner(&servers, path), want, "{path}");
        check("api/static", Some(0));
        check("api/v2/static", Some(2));
        check("templates/html", Some(1));
        check("web/dist", None);
        check("dist/web", None);
    }

    #[test]
    fn an_option_names_the_output() {
        assert_eq!(
            flag("vite build --outDir=../server/dist --emptyOutDir"),
            Some("../server/dist")
        );
        assert_eq!(flag("ng build --output-path '../api/www'"), Some("../api/www"));
        assert_eq!(flag("vite build"), None);
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "cp -R 'dist/*' ../../é && mv \"a\" --outDir= ../b/.";
        mutate(seed.as_bytes(), b"'\"/.*&;=- \xc3", 3000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            drop(site("a/b", "a/b/dist").copies_to(&text));
            assert!(flag(&text).is_none_or(|folder| text.contains(folder)));
        });
    }
}
