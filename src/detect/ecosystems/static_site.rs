//! Sites that are only files: plain HTML, and the generators that are no package of another ecosystem.

use super::{
    MANIFESTS,
    static_python::{mkdocs, pelican, sphinx},
};
use crate::{
    detect::{Entries, prelude::*},
    spec::UniversalBuild,
};

/// Pages that are there already.
static PAGES: Language = Language { id: "static", ..NOTHING };

/// Alpine has the newest of the generators that are one program (pkgs.alpinelinux.org, community); Debian bookworm has an
/// old Hugo and none of the others.
const fn on_alpine(packages: &'static [&'static str]) -> Pair {
    let base = stage("alpine:3.22", packages);
    Pair::of(base, base)
}

static HUGO: Language = Language {
    id: "static",
    images: Images {
        official: on_alpine(&["hugo"]),
        wolfi: Pair::wolfi(&["hugo"], &[]),
        debian: Pair::debian(&["hugo"], &[]),
    },
    ..NOTHING
};

static ZOLA: Language = Language {
    id: "static",
    images: Images {
        official: on_alpine(&["zola"]),
        wolfi: on_alpine(&["zola"]),
        debian: on_alpine(&["zola"]),
    },
    ..NOTHING
};

static MDBOOK: Language = Language {
    id: "static",
    images: Images {
        official: on_alpine(&["mdbook"]),
        wolfi: on_alpine(&["mdbook"]),
        debian: on_alpine(&["mdbook"]),
    },
    ..NOTHING
};

/// Jekyll and Middleman.
static RUBY: Language = Language {
    id: "ruby",
    tool: "bundler",
    default: "3.3",
    version_files: &[".ruby-version"],
    version_tools: &["ruby"],
    images: Images {
        official: Pair::both("ruby:{v}-bookworm"),
        wolfi: Pair::wolfi(&["build-base", "ruby-{v}", "ruby{v}-bundler", "ruby-{v}-dev"], &[]),
        debian: Pair::debian(&["build-essential", "ruby-dev", "bundler"], &[]),
    },
    packaged: Some(Packaged { language: "Ruby", wolfi: ((3, 2), (4, 0)), debian: (3, 1) }),
    ..NOTHING
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
        let own = [hugo, jekyll, zola, mdbook].iter().find_map(|rule| rule(at, entries));
        let own = assemble::all(project, own).into_iter().next();
        let of_python =
            || [mkdocs, pelican, sphinx].iter().find_map(|rule| rule(project, dir, entries));
        services.extend(own.or_else(of_python));
    }
    let generated: Vec<String> = services.iter().map(|service| service.dir.clone()).collect();
    services.extend(assemble::all(project, plain(project, &generated)));
    services
}

// Plain HTML.

fn plain(project: &Project<'_>, generated: &[String]) -> Vec<Facts> {
    let mut services: Vec<Facts> = Vec::new();
    for (folder, entries) in project.tree.dirs() {
        let Some(page) = entries.first_of(&["index.html", "index.htm"]) else { continue };
        if folder.split('/').any(|part| PARTS.contains(&part)) {
            continue;
        }
        let is_output = OUTPUTS.contains(&file_name(folder));
        let dir = if is_output { parent(folder) } else { folder };
        let has_owner = services.iter().any(|service| is_below(dir, &service.dir))
            || generated.iter().any(|other| is_below(dir, other))
            || upward(dir).any(|dir| is_of_program(project, dir));
        if !has_owner {
            services.push(page_facts(dir, folder, page));
        }
    }
    services
}

/// Whether a folder has a manifest or code of a server.
fn is_of_program(project: &Project<'_>, dir: &str) -> bool {
    let codes = [".py", ".php", ".rb", ".go", ".java", ".cs", ".csproj", ".fsproj", ".ex", ".pl"];
    project.tree.entries(dir).is_some_and(|entries| {
        entries.first_of(MANIFESTS).is_some()
            || codes.iter().any(|end| entries.ending(end).next().is_some())
    })
}

fn page_facts(dir: &str, folder: &str, page: &str) -> Facts {
    let mut facts = Facts::new(&PAGES, dir);
    let place = Evidence::file(join(folder, page));
    facts.decide(What::Language, "static", Rule::Named(page.to_owned()), [place.clone()]);
    facts.exclude = vec![".git".to_owned()];
    facts.serves = Serves::Files(Files {
        folder: folder.to_owned(),
        missing: Missing::NotFound,
        is_as_is: true,
        rule: Fixed::FolderOfPage.into(),
        place: Some(place),
    });
    facts.weight = if dir.split('/').count() > 3 { Weight::Files } else { Weight::Starts };
    facts
}

// Generators.

/// A project of a generator, known by `place`.
fn generator(
    at: Folder<'_>,
    language: &'static Language,
    id: &'static str,
    place: &Evidence,
) -> Facts {
    let mut facts = Facts::new(language, at.dir);
    let rule = || Rule::Named(id.to_owned());
    facts.decide(What::Language, facts.id, rule(), [place.clone()]);
    facts.framework(id, Fixed::ItsConfiguration, [place.clone()]);
    facts.decide(What::BuildSystem, facts.tool, rule(), []);
    facts.exclude = vec![".git".to_owned()];
    facts
}

/// Builds with a command that writes to a folder of the project.
fn writes(at: Folder<'_>, facts: &mut Facts, command: &str, folder: &str, place: Evidence) {
    facts.build(at.dir, command);
    let folder = at.path(folder.trim_start_matches("./").trim_matches('/'));
    facts.files(folder, Missing::NotFound, Fixed::WhereItWrites, Some(place));
}

/// The text at a place of a configuration, else a default.
fn text_at(config: Option<&Value>, keys: &[&str], default: &str) -> String {
    config.and_then(|value| value.str_at(keys)).unwrap_or(default).to_owned()
}

/// Whether a manual lies in the tree of a program, which is not deployed with it. `own` are the manual's manifests.
pub(super) fn is_manual(at: Folder<'_>, own: &[&str]) -> bool {
    upward(at.dir).filter_map(|dir| at.project.tree.entries(dir)).any(|entries| {
        MANIFESTS.iter().any(|name| !own.contains(name) && entries.has(name))
            || entries.ending(".csproj").next().is_some()
    })
}

/// <https://gohugo.io/configuration/introduction/>: `hugo.*`, or `config.*` of before 0.110.
fn hugo(at: Folder<'_>, entries: &Entries) -> Option<Facts> {
    let named = entries.first_of(&["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"]);
    let has_theme = ["archetypes", "themes", "layouts"].iter().any(|name| at.has_dir(name));
    let old = || {
        let name = entries.first_of(&["config.toml", "config.yaml", "config.yml"])?;
        let is_hugo = at.has_dir("content") && has_theme && !entries.has("package.json");
        (is_hugo && !is_zola(at, name)).then_some(name)
    };
    let split = "config/_default";
    let is_split = || (at.has_dir(split) && at.has_dir("content")).then_some(split);
    let name = named.or_else(old).or_else(is_split)?;
    let config = match name.rsplit('.').next()? {
        "toml" => at.toml(name),
        "yaml" | "yml" => at.yaml(name),
        "json" => at.json(name),
        _ => None,
    };
    let place = at.place(name, None);
    let mut facts = generator(at, &HUGO, "hugo", &place);
    if entries.has("go.mod") {
        // Themes as modules are fetched by Go, from git.
        facts.packages_everywhere(&["git", "go"], &[]);
    }
    let output = text_at(config.as_ref(), &["publishDir"], "public");
    writes(at, &mut facts, "hugo --minify", &output, place);
    Some(facts)
}

/// <https://jekyllrb.com/docs/>, and Middleman, which is installed alike.
fn jekyll(at: Folder<'_>, entries: &Entries) -> Option<Facts> {
    let gems = at.read("Gemfile");
    let names = |gem: &str| {
        let quoted = [format!("'{gem}'"), format!("\"{gem}\"")];
        let is_gem = |line: &str| {
            line.trim_start().starts_with("gem") && quoted.iter().any(|name| line.contains(name))
        };
        Some(gems.as_ref()?.lines().find(|(_, line)| is_gem(line))?.0)
    };
    let is_bare = || {
        at.has("_config.yml")
            && gems.is_none()
            && (at.has_dir("_posts") || at.has_dir("_layouts") || entries.has("index.md"))
            && !entries.has("package.json")
    };
    let line = names("jekyll").or_else(|| names("github-pages"));
    let middleman = names("middleman").filter(|_| entries.has("config.rb"));
    // Applications of Rails have gems for their pages too.
    let is_rails = entries.has("config.ru") && at.has_dir("app");
    if line.or(middleman).is_none() && !is_bare() || is_rails {
        return None;
    }
    let place = match line.or(middleman) {
        Some(line) => at.place("Gemfile", Some(line)),
        None => at.place("_config.yml", None),
    };
    let id = if middleman.is_some() { "middleman" } else { "jekyll" };
    let mut facts = generator(at, &RUBY, id, &place);
    let parse = |text: &str| {
        let version = Version::parse(text.trim_start_matches("ruby-"))?;
        version.minor.map(|_| version.major_minor().to_string())
    };
    facts.version(pins::choose(at.pins(&RUBY), parse, RUBY.default));
    facts.build_env("JEKYLL_ENV", "production");
    match gems.is_some() {
        true => {
            let install = Step::new(Kind::Install, at.dir, "bundle install --jobs 4");
            facts.layer(at.those(&["Gemfile", "Gemfile.lock"]), vec![install]);
        }
        false => facts.steps.push(Step::new(
            Kind::Install,
            ".",
            "gem install jekyll minima jekyll-feed jekyll-seo-tag",
        )),
    }
    let exec = if gems.is_some() { "bundle exec " } else { "" };
    let config = at.yaml("_config.yml").filter(|_| middleman.is_none());
    let default = if middleman.is_some() { "build" } else { "_site" };
    let output = text_at(config.as_ref(), &["destination"], default);
    writes(at, &mut facts, &format!("{exec}{id} build"), &output, place);
    Some(facts)
}

/// `base_url` is what Zola must have (<https://www.getzola.org/documentation/getting-started/configuration/>).
fn is_zola(at: Folder<'_>, name: &str) -> bool {
    name == "config.toml" && at.toml(name).is_some_and(|toml| toml.has("base_url"))
}

fn zola(at: Folder<'_>, _: &Entries) -> Option<Facts> {
    let name = "config.toml";
    let has_any = ["content", "templates", "themes"].iter().any(|name| at.has_dir(name));
    if !has_any || !is_zola(at, name) {
        return None;
    }
    let place = at.place(name, None);
    let mut facts = generator(at, &ZOLA, "zola", &place);
    let output = text_at(at.toml(name).as_ref(), &["output_dir"], "public");
    writes(at, &mut facts, "zola build", &output, place);
    Some(facts)
}

/// <https://rust-lang.github.io/mdBook/format/configuration/>
fn mdbook(at: Folder<'_>, entries: &Entries) -> Option<Facts> {
    let name = entries.first_of(&["book.toml"])?;
    let place = at.place(name, None);
    let mut facts = generator(at, &MDBOOK, "mdbook", &place);
    if is_manual(at, &[]) {
        facts.weight = Weight::Manual;
    }
    let output = text_at(at.toml(name).as_ref(), &["build", "build-dir"], "book");
    writes(at, &mut facts, "mdbook build", &output, place);
    Some(facts)
}

// LEGACY
fn served(spec: &UniversalBuild) -> [Decision; 2] {
    let command = spec.runtime.command.join(" ");
    [
        Decision::new("start command", command, "files for a browser, served by Caddy", []),
        Decision::new("port", super::file_server::PORT.to_string(), "the file server's own", []),
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
    super::file_server::serve(
        &mut spec,
        project.bases,
        &folder,
        super::file_server::Missing::NotFound,
    );
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
    within(dir, command)
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
