//! Front ends that a server delivers: their files are built into the server's folder, are compiled into the server, or are
//! copied there by a script of the project or in its image. Such a front end becomes a part of the server's build.

use crate::detect::prelude::*;

/// Gives the front ends among `found`, the services of each ecosystem, to the servers that deliver them.
pub(super) fn deliver(project: &Project<'_>, found: &mut [Vec<Facts>]) {
    let all = || found.iter().flatten().filter(|facts| facts.weight >= Weight::Starts);
    let runs = |facts: &&Facts| matches!(facts.serves, Serves::Process(_));
    let others = all().filter(|facts| !is_for_browsers(facts));
    let nodes = all().filter(|facts| is_for_browsers(facts)).filter(runs);
    let servers: Vec<Server> =
        others.chain(nodes).map(|facts| Server::of(project, facts)).collect();
    if servers.is_empty() {
        return;
    }
    let sites: Vec<Site> = all().filter_map(|facts| Site::of(project, facts)).collect();
    for site in sites {
        let is_claimed = found.iter().flatten().any(|facts| site.is_claimed_by(facts));
        let delivery = if is_claimed { None } else { site.delivery(project, &servers) };
        if let Some(delivery) = &delivery {
            let server = &servers[delivery.server];
            let Some(facts) = found.iter_mut().flatten().find(|facts| server.is(facts)) else {
                continue;
            };
            delivery.apply(project, &site, server, facts);
        }
        if is_claimed || delivery.is_some() {
            // Of two services of one weight the one whose folder comes first would stay, claimed or not.
            for services in &mut *found {
                services.retain(|facts| facts.dir != site.facts.dir || !is_site(facts));
            }
        }
    }
}

/// Whether a service is of a language whose front ends are services of their own.
fn is_for_browsers(facts: &Facts) -> bool {
    ["javascript", "typescript", "deno", "static", "shell"].contains(&facts.id)
}

/// Whether a service is files for a browser that a build of Node.js makes.
fn is_site(facts: &Facts) -> bool {
    let is_built = matches!(&facts.serves, Serves::Files(files) if !files.is_as_is);
    is_built && is_for_browsers(facts)
}

/// A service that may deliver front ends.
struct Server {
    dir: String,
    name: String,
    language: &'static Language,
    /// Whether Node.js or its like runs it: what its scripts do not copy is a service of its own.
    is_node: bool,
    /// The folder its build runs in: that of the workspace.
    home: String,
}

impl Server {
    fn of(project: &Project<'_>, facts: &Facts) -> Self {
        let roots = facts.language.roots;
        let above =
            upward(&facts.dir).filter(|dir| project.tree.first_of(dir, roots).is_some()).last();
        let home = above.unwrap_or(&facts.dir).to_owned();
        let (dir, name) = (facts.dir.clone(), facts.name.clone());
        Self { dir, name, language: facts.language, is_node: is_for_browsers(facts), home }
    }

    fn is(&self, facts: &Facts) -> bool {
        self.dir == facts.dir
            && self.name == facts.name
            && std::ptr::eq(self.language, facts.language)
    }

    /// Where the program takes up files from a path that `takes` says yes to.
    fn embeds(
        &self,
        project: &Project<'_>,
        dir: &str,
        takes: &dyn Fn(&str) -> bool,
    ) -> Option<Evidence> {
        self.language.embeds?(project, &self.home, dir, takes)
    }
}

/// A front end and how it is built as a service of its own.
struct Site {
    facts: Facts,
    /// Where its files are built to.
    output: String,
    manifest: Value,
}

/// Which server delivers a site, and how that is known.
struct Delivery {
    server: usize,
    /// Where the files lie once they are built.
    output: String,
    /// The script that builds them there.
    script: Option<String>,
    /// What copies them where the server wants them.
    copying: Option<Step>,
    rule: Fixed,
    place: Evidence,
}

impl Site {
    fn of(project: &Project<'_>, facts: &Facts) -> Option<Self> {
        let Serves::Files(files) = &facts.serves else { return None };
        let manifest = project.tree.json(&join(&facts.dir, "package.json"))?;
        let output = files.folder.clone();
        is_site(facts).then(|| Self { facts: facts.clone(), output, manifest })
    }

    fn place(&self, line: Option<usize>) -> Evidence {
        Evidence::line(join(&self.facts.dir, "package.json"), line)
    }

    fn delivery(&self, project: &Project<'_>, all: &[Server]) -> Option<Delivery> {
        let (others, nodes) = all.split_at(all.partition_point(|server| !server.is_node));
        let of_node = || {
            // Its workspace installs and builds them together.
            let nodes = if self.facts.workspace.is_empty() { nodes } else { &[] };
            let found = self
                .copied(project, nodes)
                .or_else(|| self.in_image(project, nodes))
                .or_else(|| self.named(project, nodes))?;
            Some(Delivery { server: found.server + others.len(), ..found })
        };
        self.written(others)
            .or_else(|| self.scripted(others))
            .or_else(|| self.embedded(project, others))
            .or_else(|| self.copied(project, others))
            .or_else(|| self.served(project, others))
            .or_else(|| self.in_image(project, others))
            .or_else(of_node)
    }

    /// Whether the rules of another language gave it to a server.
    fn is_claimed_by(&self, facts: &Facts) -> bool {
        let dir = &self.facts.dir;
        !is_for_browsers(facts)
            && facts.weight >= Weight::Starts
            && !is_below(&facts.dir, dir)
            && facts.claims.iter().any(|claim| is_below(dir, claim))
    }

    /// The server whose folder holds a path, the nearest one.
    fn owner(&self, servers: &[Server], path: &str) -> Option<usize> {
        let holds = |server: &Server| {
            let top = path.split('/').next().unwrap_or_default();
            // The root's `dist` is where the tools of a workspace put everything.
            let is_anybodys = ["dist", "build", "out"].contains(&top) && server.dir != ".";
            !is_below(path, &self.facts.dir)
                && (is_below(path, &server.dir) || is_below(path, &server.home) && !is_anybodys)
        };
        let of = servers.iter().enumerate().filter(|(_, server)| holds(server));
        let nearest = of.max_by_key(|(at, server)| {
            let is_own = is_below(path, &server.dir);
            (is_own, if is_own { server.dir.len() } else { 0 }, std::cmp::Reverse(*at))
        });
        nearest.map(|(at, _)| at)
    }

    fn to(&self, server: usize, output: String, rule: Fixed, place: Evidence) -> Delivery {
        Delivery { server, output, script: None, copying: None, rule, place }
    }

    /// Its build writes into a server's folder.
    fn written(&self, servers: &[Server]) -> Option<Delivery> {
        let server = self.owner(servers, &self.output)?;
        let place = self.place(None);
        Some(self.to(server, self.output.clone(), Fixed::BuildWritesThere, place))
    }

    /// One of its scripts does.
    fn scripted(&self, servers: &[Server]) -> Option<Delivery> {
        self.manifest.get("scripts")?.members().find_map(|(name, script)| {
            if NO_BUILDS.iter().any(|word| name.contains(word)) {
                return None;
            }
            let output = resolve(&self.facts.dir, flag(script.as_str()?)?)?;
            let server = self.owner(servers, &output)?;
            let place = self.place(Some(script.line));
            let delivery = self.to(server, output, Fixed::ScriptBuildsThere, place);
            Some(Delivery { script: Some(name.to_owned()), ..delivery })
        })
    }

    /// Its files are compiled into a program.
    fn embedded(&self, project: &Project<'_>, servers: &[Server]) -> Option<Delivery> {
        // Of several programs the one that is called like a server.
        let is_named = |server: &Server| {
            ["server", "api", "web"].iter().any(|word| file_name(&server.dir).contains(word))
        };
        let mut all: Vec<(usize, &Server)> = servers.iter().enumerate().collect();
        all.sort_by_key(|(at, server)| (!is_named(server), *at));
        let is_around = |path: &str| {
            is_below(path, &self.output) || is_below(&self.output, path) && path != "."
        };
        let dir = self.facts.dir.as_str();
        let (server, place) = all.into_iter().find_map(|(at, server)| {
            let own = server.embeds(project, dir, &is_around);
            Some((at, own.or_else(|| server.embeds(project, parent(dir), &is_around))?))
        })?;
        Some(self.to(server, self.output.clone(), Fixed::CompiledIn, place))
    }

    /// A script of the project copies its files to a server.
    fn copied(&self, project: &Project<'_>, servers: &[Server]) -> Option<Delivery> {
        let scripts = self.manifest.get("scripts").into_iter().flat_map(Value::members);
        let own = scripts.filter_map(|(_, script)| {
            Some((script.as_str()?.to_owned(), self.place(Some(script.line))))
        });
        let texts = recipes(project, &self.facts.dir);
        let lines = texts.iter().flat_map(|text| {
            let lines = text.lines().filter(|(_, line)| COPIERS.iter().any(|c| line.contains(c)));
            lines.map(|(at, line)| (line.to_owned(), Evidence::line(&text.path, Some(at))))
        });
        own.chain(lines).find_map(|(line, place)| {
            let to = self.copies_to(&line)?;
            let server = self.owner(servers, &to)?;
            let (into, from) = (quote(&to), quote(&self.output));
            let copying = format!("mkdir -p {into} && cp -a {from}/. {into}/");
            let copying = Some(Step::new(Kind::Build, ".", copying));
            Some(Delivery { copying, ..self.to(server, to, Fixed::ScriptCopiesThere, place) })
        })
    }

    /// A server names the folder of its files, or a file there, as a path below its own folder.
    fn served(&self, project: &Project<'_>, servers: &[Server]) -> Option<Delivery> {
        servers.iter().enumerate().find_map(|(at, server)| {
            let is_reached =
                is_below(&self.output, &server.home) && server.language.embeds.is_some();
            let files = is_reached.then(|| {
                source::gather(project, &server.dir, server.language.sources, &|_| false)
            })?;
            let (_, place) = source::paths(&files).find(|(path, _)| {
                let named = resolve(&server.home, path);
                named.is_some_and(|path| is_below(&path, &self.output))
            })?;
            Some(self.to(at, self.output.clone(), Fixed::ServerNamesIt, place))
        })
    }

    /// Code of a server for Node.js serves its files, by a path from the file or from the server's folder.
    fn named(&self, project: &Project<'_>, nodes: &[Server]) -> Option<Delivery> {
        let is_package = |dir: &str| project.tree.has(&join(dir, "package.json"));
        nodes.iter().enumerate().find_map(|(at, server)| {
            let files = source::gather(project, &server.dir, NODE_SOURCES, &is_package);
            let place = files.iter().find_map(|file| {
                let is_own = |path: &str| {
                    let path = path.trim_start_matches('/');
                    [parent(&file.path), &server.dir]
                        .iter()
                        .filter_map(|base| resolve(base, path))
                        .any(|path| is_below(&path, &self.output))
                };
                let mut lines = file.lines().filter(|(_, line)| line.len() <= LINE_BYTES_MAX);
                let (number, _) = lines.find(|(_, line)| {
                    let is_served = SERVES.iter().any(|call| line.contains(call));
                    is_served && !source::is_comment(line) && joined(line).split('"').any(is_own)
                })?;
                Some(Evidence::line(&file.path, Some(number)))
            })?;
            Some(self.to(at, self.output.clone(), Fixed::ServerNamesIt, place))
        })
    }

    /// The project's own image has its files in the working directory of a server.
    fn in_image(&self, project: &Project<'_>, servers: &[Server]) -> Option<Delivery> {
        servers.iter().enumerate().find_map(|(at, server)| {
            let mut dirs = [&server.dir, &server.home].into_iter();
            let file = dirs.find_map(|dir| project.tree.read(&join(dir, "Dockerfile")))?;
            let (to, line) = copied_from_stage(&file.text, &self.facts.dir, &self.output)?;
            let to = resolve(&server.home, &to)?;
            let (into, from) = (quote(&to), quote(&self.output));
            let copying = format!("mkdir -p {into} && cp -a {from}/. {into}/");
            let copying = (to != self.output).then(|| Step::new(Kind::Build, ".", copying));
            let place = Evidence::line(&file.path, Some(line));
            Some(Delivery { copying, ..self.to(at, to, Fixed::OwnImageHasIt, place) })
        })
    }

    /// Where a command line copies its files to: `cp -r dist/* ../server/static`.
    fn copies_to(&self, line: &str) -> Option<String> {
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        let dir = self.facts.dir.as_str();
        line.split(['&', ';', '|']).find_map(|command| {
            let command = command.trim_end().trim_end_matches('\\');
            let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            words.by_ref().find(|word| COPIERS.contains(word))?;
            let paths: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
            let [from @ .., to] = paths.as_slice() else { return None };
            [".", dir].into_iter().find_map(|base| {
                let clean = |path: &str| {
                    let path = path.trim_end_matches("/*").trim_end_matches("/.");
                    resolve(base, path).filter(|_| !path.contains(['$', '*', '?', '{', '`']))
                };
                let is_own = from.iter().filter_map(|path| clean(path)).any(|path| {
                    is_below(&path, &self.output)
                        || is_below(&self.output, &path) && is_below(&path, dir)
                });
                clean(to).filter(|to| is_own && !is_below(to, dir))
            })
        })
    }
}

impl Delivery {
    fn apply(&self, project: &Project<'_>, site: &Site, server: &Server, facts: &mut Facts) {
        let dir = site.facts.dir.as_str();
        if facts.claims.iter().any(|claim| claim == dir) || is_below(&facts.dir, dir) {
            return;
        }
        facts.claims.push(dir.to_owned());
        let why = Rule::FrontEnd(dir.to_owned(), self.rule);
        facts.decide(What::Service, facts.dir.clone(), why, [self.place.clone()]);
        let script = self.script.as_deref();
        let mut clean = Vec::new();
        let build = match script.is_none() && !site.facts.workspace.is_empty() {
            true => facts.front_end_of(project, &site.facts),
            false => facts.front_end(project, dir, script).map(|front| {
                // The whole folder of such a server is in its image.
                clean = if server.is_node { front.clean } else { Vec::new() };
                front.build
            }),
        };
        let build = build.unwrap_or_default().into_iter();
        facts.steps.splice(0..0, build.chain(self.copying.clone()).chain(clean));
        // Programs are copied alone; what they read beside them has to follow.
        let is_around = |path: &str| is_below(&self.output, path) && path != ".";
        let is_compiled_in = || {
            upward(&self.output)
                .take(EMBED_LEVELS)
                .any(|dir| server.embeds(project, dir, &is_around).is_some())
        };
        if self.rule == Fixed::ServerNamesIt {
            // The files alone, not what they are built from.
            facts.takes.retain(|take| take.from != dir);
        }
        let is_taken = facts.takes.iter().any(|take| is_below(&self.output, &take.from));
        let to = relative(&server.home, &self.output);
        if server.is_node && self.rule == Fixed::ServerNamesIt && to.starts_with("..") {
            // `../pages` of the server's folder is beside its home, which is at the top.
            facts.take(&self.output, &format!("/{}", to.trim_start_matches("../")));
        }
        if server.language.embeds.is_some()
            && !is_taken
            && !is_compiled_in()
            && !to.starts_with("..")
        {
            facts.take(&self.output, &to);
        }
    }
}

/// Where the last stage of a `Dockerfile` puts what a stage before built in `dir`, below its working directory; with the line.
fn copied_from_stage(text: &str, dir: &str, output: &str) -> Option<(String, usize)> {
    let (mut stages, mut workdir) = (Vec::<(String, bool)>::new(), "/".to_owned());
    let last = text.lines().filter(|line| is_instruction(line, "FROM")).count();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if is_instruction(line, "FROM") {
            let name = words.last().copied().unwrap_or_default().to_owned();
            stages.push((name, dir == "."));
            "/".clone_into(&mut workdir);
            continue;
        }
        let folder = words.get(1).copied().unwrap_or_default().trim_end_matches('/');
        if is_instruction(line, "WORKDIR") {
            workdir =
                if folder.starts_with('/') { folder.to_owned() } else { join(&workdir, folder) };
        }
        if let Some((_, sees)) = stages.last_mut() {
            let names =
                |word: &&str| word.trim_matches('/').trim_start_matches("./").ends_with(dir);
            *sees |= words.iter().any(names);
        }
        let [copy, from, source, to] = words.as_slice() else { continue };
        let is_last = stages.len() == last && copy.eq_ignore_ascii_case("COPY");
        let stage = from.strip_prefix("--from=").filter(|_| is_last);
        let sees = |stage: &&str| {
            let mut known = stages.iter().enumerate();
            known.any(|(at, (name, sees))| *sees && (name == stage || at.to_string() == **stage))
        };
        let is_output = file_name(source.trim_end_matches('/')) == file_name(output);
        if stage.filter(sees).is_some() && is_output {
            let to = to.trim_end_matches('/');
            let below = to.strip_prefix(&workdir).map(|below| below.trim_start_matches('/'));
            let below = if to.starts_with('/') { below } else { Some(to.trim_start_matches("./")) };
            return Some((below.filter(|below| !below.is_empty())?.to_owned(), number + 1));
        }
    }
    None
}

fn is_instruction(line: &str, name: &str) -> bool {
    line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(name))
}

/// A line with paths in place of their parts, all in double quotes: `'..', 'pages'` is `"../pages"`.
fn joined(line: &str) -> String {
    line.replace(['\'', '`'], "\"").replace("\", \"", "/").replace("\",\"", "/")
}

/// The folder that an option of a bundler names.
fn flag(line: &str) -> Option<&str> {
    let names = ["--outDir", "--out-dir", "--output-path", "--dist-dir", "--dest"];
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if names.contains(&name) {
            let value = if value.is_empty() { words.next()? } else { value };
            return Some(value.trim_matches(['"', '\'']));
        }
    }
    None
}

/// Files with commands of the project: of the root, of the folders above the front end, and its own.
fn recipes(project: &Project<'_>, dir: &str) -> Vec<Rc<Text>> {
    let folders = upward(dir).chain(["scripts", "script", "bin", "build", "docker", ".docker"]);
    let texts = folders.flat_map(|folder| {
        let files = project.tree.entries(folder).map(|entries| entries.files.as_slice());
        let is_recipe = |name: &&String| name.ends_with(".sh") || RECIPES.contains(&name.as_str());
        let names = files.unwrap_or_default().iter().filter(is_recipe).take(FILES_MAX);
        names.filter_map(|name| project.tree.read(&join(folder, name))).collect::<Vec<_>>()
    });
    texts.collect()
}

const RECIPES: &[&str] = &[
    "Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "Taskfile.yml", "build",
    "Dockerfile",
];
const NODE_SOURCES: &[&str] = &["js", "mjs", "cjs", "ts", "mts"];
/// Calls that serve files, or make the path of a folder.
const SERVES: &[&str] = &["static(", "serveStatic", "sendFile(", "join(", "resolve(", "root:"];
const COPIERS: &[&str] = &["cp", "mv", "rsync", "copyfiles", "cpx", "cpy", "ncp", "cpr"];
/// Parts of the names of scripts that do not build for production.
const NO_BUILDS: &[&str] = &["dev", "watch", "start", "test", "serve", "preview", "storybook"];
const FILES_MAX: usize = 40;
const LINE_BYTES_MAX: usize = 1000;
/// How far above its folder a program names files that are compiled into it.
const EMBED_LEVELS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn site(dir: &str, output: &str) -> Site {
        let manifest = crate::manifest::json("{}").unwrap();
        Site { facts: Facts::new(&NOTHING, dir), output: output.into(), manifest }
    }

    #[test]
    fn a_copying_command_names_where_files_go() {
        let check = |line: &str, want: Option<&str>| {
            assert_eq!(site("UI/Web", "UI/Web/dist/browser").copies_to(line).as_deref(), want);
        };
        check("    cp -R dist/browser/* ../../API/wwwroot", Some("API/wwwroot"));
        check("cp -r UI/Web/dist/browser/. API/wwwroot/", Some("API/wwwroot"));
        check("cd UI/Web && npm run build && mv dist ../../static", Some("static"));
        check("    && mv ./UI/Web/dist/browser/* ./public \\", Some("public"));
        check("cp -R dist/browser dist/other", None);
        check("cp README.md ../../API", None);
        check("cp -r dist $OUT/www", None);
        check("scp dist host:/srv", None);
    }

    #[test]
    fn a_dockerfile_says_where_a_server_looks_for_its_pages() {
        let check = |text: &str, want: Option<(&str, usize)>| {
            let found = copied_from_stage(text, "web", "web/dist");
            assert_eq!(found.as_ref().map(|(to, line)| (to.as_str(), *line)), want, "{text}");
        };
        let stage = "FROM node AS ui\nWORKDIR /src/web\nCOPY web/ .\nRUN npm run build\nFROM go\n";
        let with = |last: &str| format!("{stage}WORKDIR /app\n{last}\n");
        check(&with("COPY --from=ui /src/web/dist ./public"), Some(("public", 7)));
        check(&with("COPY --from=ui /src/web/dist/ /app/public/"), Some(("public", 7)));
        check(&with("COPY --from=0 /src/web/dist static"), Some(("static", 7)));
        check(&with("COPY --from=ui /src/web/dist /var/www"), None);
        check(&with("COPY --from=ui /src/web/other ./public"), None);
        check(&with("COPY --from=other /x/dist ./public"), None);
        check("FROM node AS ui\nCOPY docs .\nFROM go\nCOPY --from=ui /dist ./public\n", None);
    }

    #[test]
    fn the_nearest_server_owns_a_path() {
        let server = |dir: &str, home: &str| Server {
            dir: dir.into(),
            name: String::new(),
            language: &NOTHING,
            is_node: false,
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
            drop(copied_from_stage(&text, "a", "a/b"));
            assert!(flag(&text).is_none_or(|folder| text.contains(folder)));
        });
    }
}
