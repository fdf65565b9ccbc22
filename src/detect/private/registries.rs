//! Registries that the settings of package managers name, and what hands over their credentials.

use super::lines::{ASKING, address, is_comment};
use crate::{
    detect::{
        Folder,
        paths::{join, parent},
    },
    manifest::Value,
    spec::SecretTarget,
};

/// A registry, and what hands its credentials over.
pub(super) struct Registry {
    pub(super) url: String,
    pub(super) line: usize,
    pub(super) targets: Vec<(String, SecretTarget)>,
    /// What tells the tool that it is private.
    pub(super) told_by: Option<(&'static str, String)>,
}

impl Registry {
    fn new(url: &str, line: usize, targets: Vec<(String, SecretTarget)>) -> Self {
        Self { url: url.to_owned(), line, targets, told_by: None }
    }
}

/// Lines with the address of a registry after one of these keys.
fn lines(
    at: Folder<'_>,
    name: &str,
    keys: &[&str],
    target: (String, SecretTarget),
) -> Vec<Registry> {
    let Some(text) = at.read(name) else { return Vec::new() };
    let registry = |(line, text): (usize, &str)| {
        let key = keys.iter().find(|key| text.contains(**key)).filter(|_| !is_comment(text))?;
        let url = text.split_once(key)?.1.trim_start_matches([' ', '=', ':', '(']).trim();
        let url = url.trim_matches(['"', '\'', ')']).to_owned();
        Some(Registry::new(&url, line, vec![target.clone()]))
    };
    text.lines().filter_map(registry).collect()
}

/// npm reads the user's own `.npmrc` too.
pub(super) fn npm(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let mut all = lines(at, name, &["registry"], file("npmrc", "/root/.npmrc"));
    let text = at.read(name);
    let has_auth = |registry: &Registry| {
        let host = address(&registry.url).and_then(|url| url.split('/').next()).unwrap_or_default();
        let mut lines = text.iter().flat_map(|text| text.lines());
        lines.any(|(_, line)| line.starts_with("//") && line.contains(host))
    };
    all.retain(|registry| !has_auth(registry));
    all
}

pub(super) fn yarn(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let has_auth = at.read(name).is_some_and(|text| text.text.contains("npmAuth"));
    match has_auth {
        true => Vec::new(),
        false => lines(at, name, &["npmRegistryServer"], env("YARN_NPM_AUTH_TOKEN")),
    }
}

pub(super) fn pip(at: Folder<'_>, name: &str) -> Vec<Registry> {
    lines(at, name, &["index-url"], netrc())
}

/// Indexes of uv and sources of Poetry have variables by their name.
pub(super) fn python(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let Some(manifest) = at.toml(name) else { return Vec::new() };
    let both =
        |start: String| vec![env(format!("{start}_USERNAME")), env(format!("{start}_PASSWORD"))];
    let each = |keys: &[&str], start: &'static str| -> Vec<Registry> {
        let items = manifest.at(keys).map(Value::items).unwrap_or_default();
        let registry = |item: &Value| {
            let targets = match item.str_at(&["name"]) {
                Some(name) => both(format!("{start}_{}", upper(name))),
                None => vec![netrc()],
            };
            Some(Registry::new(item.str_at(&["url"])?, item.line, targets))
        };
        items.iter().filter_map(registry).collect()
    };
    let poetry = each(&["tool", "poetry", "source"], "POETRY_HTTP_BASIC");
    let uv =
        each(&["tool", "uv", "index"], "UV_INDEX").into_iter().chain(each(&["index"], "UV_INDEX"));
    poetry.into_iter().chain(uv).collect()
}

/// A pom cannot hold credentials; Maven has them from the user's settings.
pub(super) fn maven(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let Some(text) = at.read(name) else { return Vec::new() };
    let has_settings = ["settings.xml", ".mvn/settings.xml"].iter().any(|name| at.has(name));
    let mut is_published = false;
    let mut all = Vec::new();
    for (line, text) in text.lines() {
        is_published |= text.contains("<distributionManagement>");
        let url =
            text.split_once("<url>").map(|(_, rest)| rest.split('<').next().unwrap_or_default());
        if let Some(url) =
            url.filter(|url| !is_published && ASKING.iter().any(|part| url.contains(part)))
        {
            let targets = vec![file("maven-settings", "/root/.m2/settings.xml")];
            all.push(Registry::new(url, line, targets));
        }
        is_published &= !text.contains("</distributionManagement>");
    }
    all.retain(|_| !has_settings);
    all
}

/// A source without credentials in the file takes them from a variable that has its name.
pub(super) fn nuget(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let Some(text) = at.read(name) else { return Vec::new() };
    let registry = |(line, text): (usize, &str)| {
        let of = |key: &str| {
            Some(text.split_once(&format!("{key}=\""))?.1.split('"').next()?.to_owned())
        };
        let url = of("value").filter(|url| text.contains("<add") && url.contains("://"))?;
        let targets = vec![env(format!("NuGetPackageSourceCredentials_{}", of("key")?))];
        Some(Registry::new(&url, line, targets))
    };
    let is_name = |registry: &Registry| {
        let name = &registry.targets[0].0;
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let all = text.lines().filter_map(registry).filter(is_name);
    all.filter(|_| !text.text.contains("packageSourceCredentials")).collect()
}

pub(super) fn cargo(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let Some(config) = at.toml(name) else { return Vec::new() };
    let root = parent(at.dir);
    let is_used = |name: &str| {
        let manifests =
            ["Cargo.toml", "Cargo.lock"].map(|file| at.project.tree.read(&join(root, file)));
        let quoted = format!("\"{name}\"");
        manifests.iter().flatten().any(|text| text.text.contains(&quoted))
    };
    let all = config.get("registries").into_iter().flat_map(Value::members);
    let registry = |(name, value): (&str, &Value)| {
        let url = value.str_at(&["index"]).filter(|_| is_used(name))?;
        let targets = vec![env(format!("CARGO_REGISTRIES_{}_TOKEN", upper(name)))];
        Some(Registry::new(url, value.line, targets))
    };
    all.filter_map(registry).collect()
}

/// Bundler has a variable for each host: `.` is `__`, `-` is `___`.
pub(super) fn bundler(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let mut all = lines(at, name, &["source"], netrc());
    for registry in &mut all {
        let url = registry.url.split(['"', '\'']).next().unwrap_or_default().to_owned();
        let host = address(&url).and_then(|url| url.split(['/', ':']).next()).unwrap_or_default();
        let name = host.replace('-', "___").replace('.', "__").to_ascii_uppercase();
        (registry.url, registry.targets) = (url, vec![env(format!("BUNDLE_{name}"))]);
    }
    all
}

pub(super) fn composer(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let Some(manifest) = at.json(name).filter(|_| !at.has("auth.json")) else { return Vec::new() };
    let repositories = manifest.get("repositories");
    let listed = repositories.into_iter().flat_map(|value| value.items());
    let named = repositories.into_iter().flat_map(Value::members).map(|(_, value)| value);
    let registry = |value: &Value| {
        let url = value.str_at(&["url"]).filter(|_| value.str_at(&["type"]) == Some("composer"))?;
        Some(Registry::new(url, value.line, vec![env("COMPOSER_AUTH")]))
    };
    listed.chain(named).filter_map(registry).collect()
}

/// Modules that a file of the project calls private, if the manifest requires such.
pub(super) fn go(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let (Some(text), Some(module)) = (at.read(name), at.read("go.mod")) else { return Vec::new() };
    let registry = |(line, text): (usize, &str)| {
        let rest = text.split_once("GOPRIVATE")?.1.trim_start_matches([' ', ':', '?', '=']);
        let word = rest.split([' ', '\t', '"', '\'', ';', '&']).find(|word| !word.is_empty())?;
        let is_required = |pattern: &str| {
            let start = pattern.split('*').next().unwrap_or_default();
            let mut lines = module.text.lines().filter(|line| !line.starts_with("module"));
            !start.is_empty() && lines.any(|line| line.contains(start))
        };
        let private = word.split(',').find(|pattern| is_required(pattern))?;
        let told_by = Some(("GOPRIVATE", word.to_owned()));
        Some(Registry {
            told_by,
            ..Registry::new(&format!("https://{private}"), line, vec![netrc()])
        })
    };
    text.lines().filter_map(registry).collect()
}

/// A name as part of a variable's: letters in upper case, `_` for the rest.
fn upper(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(upper).collect()
}

fn env(name: impl Into<String>) -> (String, SecretTarget) {
    let name = name.into();
    (name.clone(), SecretTarget::Env(name))
}

fn file(id: &str, path: &str) -> (String, SecretTarget) {
    (id.to_owned(), SecretTarget::File(path.to_owned()))
}

fn netrc() -> (String, SecretTarget) {
    file("netrc", "/root/.netrc")
}
