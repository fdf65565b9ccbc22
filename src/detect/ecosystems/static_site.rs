//! Sites that are only files: plain HTML, and the generators that are no package of another ecosystem.

use super::{
    MANIFESTS,
    file_server::{self, Missing},
    static_python::{mkdocs, pelican, sphinx},
};
use crate::{
    detect::{
        Decision, Entries, Evidence, Facts, Folder, Project, Service, Weight, assemble,
        images::{self, Family},
        is_below, join,
        manifest::Value,
        parent,
    },
    spec::{DependencyStep, UniversalBuild},
};

/// Folders that hold a site for the folder they lie in.
const OUTPUTS: &[&str] =
    &["public", "dist", "www", "html", "site", "_site", "htdocs", "build", "static", "web", "src"];
/// Folders whose pages are parts of something else.
const PARTS: &[&str] = &[
    "templates", "views", "layouts", "_includes", "_layouts", "includes", "partials", "resources",
    "assets",
];

/// Sites in the tree.
pub fn find(project: &Project<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for (dir, entries) in project.tree.dirs() {
        let at = Folder::new(project, dir);
        let of_python = |rule: fn(Folder<'_>) -> Option<Facts>| {
            Some(assemble::all(project, [rule(at)?]).remove(0))
        };
        let generated = [hugo, jekyll]
            .iter()
            .find_map(|rule| rule(project, dir, entries))
            .or_else(|| of_python(mkdocs))
            .or_else(|| [zola, mdbook].iter().find_map(|rule| rule(project, dir, entries)))
            .or_else(|| of_python(pelican))
            .or_else(|| of_python(sphinx));
        services.extend(generated);
    }
    let generated: Vec<String> = services.iter().map(|service| service.dir.clone()).collect();
    services.extend(plain(project, &generated));
    services
}

// Plain HTML.

fn plain(project: &Project<'_>, generated: &[String]) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for (folder, entries) in project.tree.dirs() {
        let Some(page) = entries.first_of(&["index.html", "index.htm"]) else { continue };
        let name = folder.rsplit('/').next().unwrap_or(folder);
        if folder.split('/').any(|part| PARTS.contains(&part)) {
            continue;
        }
        let dir = if OUTPUTS.contains(&name) { parent(folder) } else { folder };
        let is_inside = |other: &str| is_below(dir, other);
        let has_owner = services.iter().any(|service| is_inside(&service.dir))
            || generated.iter().any(|other| is_inside(other))
            || owner(project, dir).is_some();
        if has_owner {
            continue;
        }
        services.push(page_service(project, dir, folder, page));
    }
    services
}

/// The nearest folder, itself or above, that has a manifest or code of a server.
fn owner<'d>(project: &Project<'_>, dir: &'d str) -> Option<&'d str> {
    let above = std::iter::successors(Some(dir), |dir| (*dir != ".").then(|| parent(dir)));
    let mut owners = above.filter(|dir| {
        let Some(entries) = project.tree.entries(dir) else { return false };
        let has_code = || {
            let codes =
                [".py", ".php", ".rb", ".go", ".java", ".cs", ".csproj", ".fsproj", ".ex", ".pl"];
            codes.iter().any(|end| entries.ending(end).next().is_some())
        };
        entries.first_of(MANIFESTS).is_some() || has_code()
    });
    owners.next()
}

fn page_service(project: &Project<'_>, dir: &str, folder: &str, page: &str) -> Service {
    let mut spec = empty("static", "none", None);
    file_server::serve_as_is(&mut spec, project.bases, folder);
    let place = Evidence::file(join(folder, page));
    let mut decisions = vec![
        Decision::new("language", "static", page, [place.clone()]),
        Decision::new("artifacts", folder, "the folder of the first page", [place]),
    ];
    decisions.extend(served(&spec));
    let weight = if dir.split('/').count() > 3 { Weight::Files } else { Weight::Starts };
    Service { dir: dir.to_owned(), spec, weight, claims: Vec::new(), decisions }
}

fn served(spec: &UniversalBuild) -> [Decision; 2] {
    let command = spec.runtime.command.join(" ");
    [
        Decision::new("start command", command, "files for a browser, served by Caddy", []),
        Decision::new("port", file_server::PORT.to_string(), "the file server's own", []),
    ]
}

pub(super) fn empty(language: &str, build_system: &str, framework: Option<&str>) -> UniversalBuild {
    let mut spec = UniversalBuild {
        metadata: Default::default(),
        build: Default::default(),
        runtime: Default::default(),
    };
    spec.metadata.language = Some(language.to_owned());
    spec.metadata.build_system = Some(build_system.to_owned());
    spec.metadata.framework = framework.map(str::to_owned);
    spec.build.exclude = vec![".git".to_owned()];
    spec
}

// Generators.

/// What is known of a generator's project.
pub(super) struct Site<'s> {
    pub(super) id: &'s str,
    pub(super) language: &'s str,
    pub(super) build_system: &'s str,
    pub(super) build: String,
    /// Relative to the folder.
    pub(super) output: String,
    pub(super) place: Evidence,
    pub(super) weight: Weight,
}

pub(super) fn generated(
    project: &Project<'_>,
    dir: &str,
    mut spec: UniversalBuild,
    site: Site<'_>,
) -> Service {
    let folder = join_folder(dir, &site.output);
    spec.build.commands.push(in_folder(dir, &site.build));
    file_server::serve(&mut spec, project.bases, &folder, Missing::NotFound);
    let mut decisions = vec![
        Decision::new("language", site.language, site.id, [site.place.clone()]),
        Decision::new("framework", site.id, "its configuration", [site.place.clone()]),
        Decision::new("build system", site.build_system, site.id, []),
        Decision::new("build command", &*site.build, "the generator's own", []),
        Decision::new("artifacts", folder, "where it writes", [site.place]),
    ];
    decisions.extend(served(&spec));
    Service { dir: dir.to_owned(), spec, weight: site.weight, claims: Vec::new(), decisions }
}

fn join_folder(dir: &str, folder: &str) -> String {
    join(dir, folder.trim_start_matches("./").trim_matches('/'))
}

fn in_folder(dir: &str, command: &str) -> String {
    match dir {
        "." => command.to_owned(),
        dir => format!("cd {} && {command}", crate::detect::shell::quote(dir)),
    }
}

/// A manual of a program lies in the program's tree, and is not deployed with it.
pub(super) fn weight_of_manual(project: &Project<'_>, dir: &str, own: &[&str]) -> Weight {
    let above = std::iter::successors(Some(dir), |dir| (*dir != ".").then(|| parent(dir)));
    let mut found = above.filter_map(|dir| project.tree.entries(dir));
    let has_program = found.any(|entries| {
        MANIFESTS.iter().any(|name| !own.contains(name) && entries.has(name))
            || entries.ending(".csproj").next().is_some()
    });
    if has_program { Weight::Manual } else { Weight::Framework }
}

/// Alpine has the newest of the generators that are one program (pkgs.alpinelinux.org, community); Debian bookworm has an
/// old Hugo and none of the others.
fn with_program(spec: &mut UniversalBuild, family: Family, program: &str) {
    spec.build.base = match family {
        Family::Wolfi if program == "hugo" => images::image(crate::spec::DEFAULT_BASE),
        Family::Debian if program == "hugo" => images::image(images::DEBIAN),
        _ => images::official("alpine:3.22"),
    };
    spec.build.packages.push(program.to_owned());
}

/// <https://gohugo.io/configuration/introduction/>: `hugo.*`, or `config.*` of before 0.110.
fn hugo(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    let named = entries.first_of(&["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"]);
    let has = |name: &str| entries.dirs.iter().any(|folder| folder == name);
    let is_hugo = || {
        has("content")
            && (has("archetypes") || has("themes") || has("layouts"))
            && !entries.has("package.json")
    };
    let old = || {
        let name = entries.first_of(&["config.toml", "config.yaml", "config.yml"])?;
        is_hugo().then_some(name).filter(|_| !is_zola(project, &join(dir, name)))
    };
    let split = || {
        (has("config") && project.tree.has_dir(&join(dir, "config/_default")))
            .then_some("config/_default")
            .filter(|_| has("content"))
    };
    let config = named.or_else(old).or_else(split)?;
    let path = join(dir, config);
    let output = read_config(project, &path)
        .and_then(|value| Some(value.str_at(&["publishDir"])?.to_owned()));
    let mut spec = empty("static", "none", Some("hugo"));
    with_program(&mut spec, project.bases, "hugo");
    if entries.has("go.mod") {
        // Themes as modules are fetched by Go, from git.
        spec.build.packages.extend(["git", "go"].map(str::to_owned));
    }
    let output = output.unwrap_or_else(|| "public".to_owned());
    let place = Evidence::file(path);
    let site = Site {
        id: "hugo",
        language: "static",
        build_system: "none",
        build: "hugo --minify".to_owned(),
        output,
        place,
        weight: Weight::Framework,
    };
    Some(generated(project, dir, spec, site))
}

fn read_config(project: &Project<'_>, path: &str) -> Option<Value> {
    match path.rsplit('.').next()? {
        "toml" => project.tree.toml(path),
        "yaml" | "yml" => project.tree.yaml(path),
        "json" => project.tree.json(path),
        _ => None,
    }
}

/// <https://jekyllrb.com/docs/>, and Middleman, which is installed alike.
fn jekyll(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    let gemfile = join(dir, "Gemfile");
    let gems = project.tree.read(&gemfile);
    let names = |gem: &str| {
        gems.as_ref().and_then(|text| {
            text.lines()
                .find(|(_, line)| {
                    let line = line.trim_start();
                    line.starts_with("gem")
                        && (line.contains(&format!("'{gem}'"))
                            || line.contains(&format!("\"{gem}\"")))
                })
                .map(|(at, _)| at)
        })
    };
    let config = join(dir, "_config.yml");
    let has_config = project.tree.has(&config);
    let line = names("jekyll").or_else(|| names("github-pages"));
    let is_bare = || {
        let has = |name: &str| entries.dirs.iter().any(|folder| folder == name);
        has_config
            && gems.is_none()
            && (has("_posts") || has("_layouts") || entries.has("index.md"))
            && !entries.has("package.json")
    };
    let middleman = names("middleman").filter(|_| entries.has("config.rb"));
    if line.is_none() && middleman.is_none() && !is_bare() {
        return None;
    }
    // Rails applications have gems for their pages too.
    if entries.has("config.ru") && project.tree.has_dir(&join(dir, "app")) {
        return None;
    }
    let mut spec =
        empty("ruby", "bundler", Some(if middleman.is_some() { "middleman" } else { "jekyll" }));
    let mut version = None;
    if let Some(text) = project.tree.read(&join(dir, ".ruby-version")) {
        version =
            crate::detect::versions::Version::parse(text.text.trim().trim_start_matches("ruby-"));
    }
    let version =
        version.map_or_else(|| "3.3".to_owned(), |version| version.major_minor().to_string());
    spec.build.base = images::plain(project.bases)
        .unwrap_or_else(|| images::official(&format!("ruby:{version}-bookworm")));
    if project.bases == Family::Wolfi {
        spec.build.packages.extend([
            "build-base".to_owned(),
            format!("ruby-{version}"),
            format!("ruby{version}-bundler"),
            format!("ruby-{version}-dev"),
        ]);
    } else if project.bases == Family::Debian {
        spec.build.packages.extend(["build-essential", "ruby-dev", "bundler"].map(str::to_owned));
    }
    spec.build.env.insert("JEKYLL_ENV".to_owned(), "production".to_owned());
    let build = match (gems.is_some(), middleman.is_some()) {
        (_, true) => "bundle exec middleman build",
        (true, _) => "bundle exec jekyll build",
        (false, _) => "jekyll build",
    };
    let install = if gems.is_some() {
        in_folder(dir, "bundle install --jobs 4")
    } else {
        "gem install jekyll minima jekyll-feed jekyll-seo-tag".to_owned()
    };
    let lock = join(dir, "Gemfile.lock");
    match gems.is_some() {
        true => {
            let mut files = vec![gemfile.clone()];
            files.extend(project.tree.has(&lock).then_some(lock));
            spec.build.dependencies.push(DependencyStep { files, commands: vec![install] });
        }
        false => spec.build.commands.push(install),
    }
    let destination = project
        .tree
        .yaml(&config)
        .and_then(|value| Some(value.str_at(&["destination"])?.to_owned()));
    let output = if middleman.is_some() {
        "build".to_owned()
    } else {
        destination.unwrap_or_else(|| "_site".to_owned())
    };
    let place = match line.or(middleman) {
        Some(line) => Evidence::line(gemfile, Some(line)),
        None => Evidence::file(config),
    };
    let id = if middleman.is_some() { "middleman" } else { "jekyll" };
    let site = Site {
        id,
        language: "ruby",
        build_system: "bundler",
        build: build.to_owned(),
        output,
        place,
        weight: Weight::Framework,
    };
    Some(generated(project, dir, spec, site))
}

/// `base_url` is what Zola must have (<https://www.getzola.org/documentation/getting-started/configuration/>).
fn is_zola(project: &Project<'_>, path: &str) -> bool {
    project.tree.has(path)
        && path.ends_with("config.toml")
        && project.tree.toml(path).is_some_and(|toml| toml.has("base_url"))
}

fn zola(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    let path = join(dir, "config.toml");
    let has = |name: &str| entries.dirs.iter().any(|folder| folder == name);
    if !(has("content") || has("templates") || has("themes")) || !is_zola(project, &path) {
        return None;
    }
    let output =
        project.tree.toml(&path).and_then(|toml| Some(toml.str_at(&["output_dir"])?.to_owned()));
    let mut spec = empty("static", "none", Some("zola"));
    with_program(&mut spec, project.bases, "zola");
    let output = output.unwrap_or_else(|| "public".to_owned());
    let place = Evidence::file(path);
    let site = Site {
        id: "zola",
        language: "static",
        build_system: "none",
        build: "zola build".to_owned(),
        output,
        place,
        weight: Weight::Framework,
    };
    Some(generated(project, dir, spec, site))
}

/// <https://rust-lang.github.io/mdBook/format/configuration/>
fn mdbook(project: &Project<'_>, dir: &str, entries: &Entries) -> Option<Service> {
    if !entries.has("book.toml") {
        return None;
    }
    let path = join(dir, "book.toml");
    let config = project.tree.toml(&path);
    let output = config.and_then(|toml| Some(toml.str_at(&["build", "build-dir"])?.to_owned()));
    let mut spec = empty("static", "none", Some("mdbook"));
    with_program(&mut spec, project.bases, "mdbook");
    let output = output.unwrap_or_else(|| "book".to_owned());
    let weight = weight_of_manual(project, dir, &[]);
    let place = Evidence::file(path);
    let site = Site {
        id: "mdbook",
        language: "static",
        build_system: "none",
        build: "mdbook build".to_owned(),
        output,
        place,
        weight,
    };
    Some(generated(project, dir, spec, site))
}
