//! Generators of sites that are one program, or gems: Hugo, Jekyll and Middleman, Zola, mdBook.

use super::MANIFESTS;
use super::ruby::OF_WOLFI as RUBY_OF_WOLFI;
use crate::detect::prelude::*;

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

static GO: Library = library("go", &["git", "golang-go"], &[]).wolfi(&["git", "go"], &[]);

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
    packaged: Some(Packaged { language: "Ruby", wolfi: RUBY_OF_WOLFI, debian: (3, 1) }),
    ..NOTHING
};

/// A project of a generator, known by `place`.
pub(super) fn generator(
    at: Folder<'_>,
    (language, tool): (&'static Language, &'static str),
    id: &'static str,
    place: &Evidence,
) -> Facts {
    let mut facts = Facts::new(language, at.dir);
    facts.tool = tool;
    let rule = || Rule::Named(id.to_owned());
    facts.decide(What::Language, facts.id, rule(), [place.clone()]);
    facts.framework(id, Fixed::ItsConfiguration, [place.clone()]);
    facts.decide(What::BuildSystem, facts.tool, rule(), []);
    facts.exclude = vec![".git".to_owned()];
    facts
}

/// Builds with a command that writes to a folder of the project.
pub(super) fn writes(
    at: Folder<'_>,
    facts: &mut Facts,
    command: &str,
    folder: &str,
    place: Evidence,
) {
    facts.build(at.dir, command);
    let folder = at.path(folder.trim_start_matches("./").trim_matches('/'));
    facts.files(folder, Missing::NotFound, Fixed::WhereItWrites, Some(place));
}

/// The text at a place of a configuration, else a default.
pub(super) fn text_at(config: Option<&Value>, keys: &[&str], default: &str) -> String {
    config.and_then(|value| value.str_at(keys)).unwrap_or(default).to_owned()
}

/// Whether a manual lies in the tree of a program, which is not deployed with it. `own` are the manual's manifests.
pub(super) fn is_manual(at: Folder<'_>, own: &[&str]) -> bool {
    upward(at.dir).filter_map(|dir| at.project.tree.entries(dir)).any(|entries| {
        MANIFESTS.iter().any(|name| !own.contains(name) && entries.has(name))
            || entries.ending(".csproj").next().is_some()
    })
}

/// <https://gohugo.io/configuration/introduction/>: `hugo.*`, `config.*` of before 0.110, or a folder of them.
pub(super) fn hugo(at: Folder<'_>) -> Option<Facts> {
    let folders = ["archetypes", "themes", "layouts", "static", "content"];
    let is_site = folders.iter().any(|name| at.has_dir(name));
    let is_theme = upward(at.dir)
        .any(|dir| parent(dir) != dir && last_part(parent(dir)) == Some("themes"))
        || at.has("theme.toml") && !at.has_dir("content");
    if !is_site || is_theme {
        return None;
    }
    let named = at.first_of(&["hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"]);
    // Many programs have a `config.yaml`; that of a site has an address.
    let old = || {
        let name = at.first_of(&["config.toml", "config.yaml", "config.yml", "config.json"])?;
        let text = at.read(name)?.text.to_ascii_lowercase();
        let is_hugo = ["baseurl", "languagecode"].iter().any(|key| text.contains(key));
        (is_hugo && !at.has("package.json") && !is_zola(at, name)).then_some(name)
    };
    let split = "config/_default";
    let has = |name: &str| at.has_dir("config") && at.project.tree.has(&at.path(name));
    let ends = ["toml", "yaml", "yml", "json"];
    let is_split = || {
        let names = ends.iter().flat_map(|end| ["hugo", "config"].map(|it| format!("{it}.{end}")));
        let mut names = names.map(|name| join(split, &name));
        names.any(|name| has(&name)).then_some(split)
    };
    let name = named.or_else(old).or_else(is_split)?;
    let config = match name.rsplit('.').next()? {
        "toml" => at.toml(name),
        "yaml" | "yml" => at.yaml(name),
        "json" => at.json(name),
        _ => None,
    };
    let place = at.place(name, None);
    let mut facts = generator(at, (&HUGO, "none"), "hugo", &place);
    if at.has("go.mod") {
        // Themes as modules are fetched by Go, from git.
        facts.library(&GO, at.place("go.mod", None));
    }
    let output = text_at(config.as_ref(), &["publishDir"], "public");
    writes(at, &mut facts, "hugo --minify", &output, place);
    Some(facts)
}

/// <https://jekyllrb.com/docs/>, and Middleman, which is installed alike.
pub(super) fn jekyll(at: Folder<'_>) -> Option<Facts> {
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
            && (at.has_dir("_posts") || at.has_dir("_layouts") || at.has("index.md"))
            && !at.has("package.json")
    };
    let line = names("jekyll").or_else(|| names("github-pages"));
    let middleman = names("middleman").filter(|_| at.has("config.rb"));
    // Applications of Rails have gems for their pages too.
    let is_rails = at.has("config.ru") && at.has_dir("app");
    if line.or(middleman).is_none() && !is_bare() || is_rails {
        return None;
    }
    let place = match line.or(middleman) {
        Some(line) => at.place("Gemfile", Some(line)),
        None => at.place("_config.yml", None),
    };
    let id = if middleman.is_some() { "middleman" } else { "jekyll" };
    let mut facts = generator(at, (&RUBY, "bundler"), id, &place);
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

pub(super) fn zola(at: Folder<'_>) -> Option<Facts> {
    let name = "config.toml";
    let has_any = ["content", "templates", "themes"].iter().any(|name| at.has_dir(name));
    if !has_any || !is_zola(at, name) {
        return None;
    }
    let place = at.place(name, None);
    let mut facts = generator(at, (&ZOLA, "none"), "zola", &place);
    let output = text_at(at.toml(name).as_ref(), &["output_dir"], "public");
    writes(at, &mut facts, "zola build", &output, place);
    Some(facts)
}

/// <https://rust-lang.github.io/mdBook/format/configuration/>
pub(super) fn mdbook(at: Folder<'_>) -> Option<Facts> {
    let name = at.first_of(&["book.toml"])?;
    let place = at.place(name, None);
    let mut facts = generator(at, (&MDBOOK, "none"), "mdbook", &place);
    if is_manual(at, &[]) {
        facts.weight = Weight::Manual;
    }
    let output = text_at(at.toml(name).as_ref(), &["build", "build-dir"], "book");
    writes(at, &mut facts, "mdbook build", &output, place);
    Some(facts)
}
