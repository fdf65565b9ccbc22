//! Private registries: what the settings of package managers take from the environment, or from files of the user, has to be
//! handed to the build → `build.secrets`. A value is never copied; one that stands in the tree is told.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Evidence, Facts, Folder, Kind, Project,
    facts::Need,
    paths::{file_name, glob, is_below, join, literal, parent, upward},
};
use crate::{
    manifest::Value,
    spec::{BUILD_DIR, Secret, SecretTarget},
};

/// A file in which a package manager finds its registries.
struct Settings {
    /// Names, which may have `*`; looked for in the folders of the install steps and above.
    names: &'static [&'static str],
    /// Ids of the build systems that read it.
    tools: &'static [&'static str],
    /// How it names variables: what stands before and after a name.
    variables: &'static [(&'static str, &'static str)],
    /// What happens when such a variable is not set.
    unset: Unset,
    /// Blocks that its variables must and must not stand in.
    blocks: Option<(&'static [&'static str], &'static [&'static str])>,
    /// Registries that it names and whose credentials come from elsewhere.
    registries: fn(Folder<'_>, &str) -> Vec<Registry>,
    /// The variable, and the text before the path, by which the tool is told of the file.
    told_by: Option<(&'static str, &'static str)>,
}

/// What a package manager does without a variable that its settings name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unset {
    /// It fails.
    Fails,
    /// It goes on without the credential, which is enough for public packages.
    FailsIfPrivate,
    /// The settings say what happens; mostly it goes on.
    GoesOn,
}

/// A registry, and what hands its credentials over.
struct Registry {
    url: String,
    line: usize,
    targets: Vec<(String, SecretTarget)>,
    /// What tells the tool that it is private.
    told_by: Option<(&'static str, String)>,
}

impl Registry {
    fn new(url: &str, line: usize, targets: Vec<(String, SecretTarget)>) -> Self {
        Self { url: url.to_owned(), line, targets, told_by: None }
    }
}

const NODE: &[&str] = &["npm", "yarn", "pnpm", "bun"];
const PYTHON: &[&str] = &["pip", "pipenv", "pdm", "poetry", "uv"];
const BRACES: &[(&str, &str)] = &[("${", "}")];
const SHELL: &[(&str, &str)] = &[("${", "}"), ("$", "")];

const ROW: Settings = Settings {
    names: &[],
    tools: &[],
    variables: &[],
    unset: Unset::GoesOn,
    blocks: None,
    registries: |_, _| Vec::new(),
    told_by: None,
};

static SETTINGS: &[Settings] = &[
    Settings {
        names: &[".npmrc"],
        tools: NODE,
        variables: BRACES,
        unset: Unset::FailsIfPrivate,
        registries: npm,
        ..ROW
    },
    Settings {
        names: &[".yarnrc.yml"],
        tools: &["yarn"],
        variables: BRACES,
        unset: Unset::Fails,
        registries: yarn,
        ..ROW
    },
    Settings {
        names: &["bunfig.toml"],
        tools: &["bun"],
        variables: SHELL,
        unset: Unset::FailsIfPrivate,
        ..ROW
    },
    Settings {
        names: &["*requirements*.txt", "Pipfile"],
        tools: PYTHON,
        variables: SHELL,
        unset: Unset::FailsIfPrivate,
        registries: pip,
        ..ROW
    },
    Settings {
        names: &["pip.conf"],
        tools: &["pip"],
        registries: pip,
        told_by: Some(("PIP_CONFIG_FILE", "")),
        ..ROW
    },
    Settings {
        names: &["pyproject.toml", "uv.toml"],
        tools: PYTHON,
        variables: BRACES,
        unset: Unset::FailsIfPrivate,
        registries: python,
        ..ROW
    },
    Settings {
        names: &["settings.xml", ".mvn/settings.xml"],
        tools: &["maven"],
        variables: &[("${env.", "}")],
        unset: Unset::FailsIfPrivate,
        told_by: Some(("MAVEN_ARGS", "--settings ")),
        ..ROW
    },
    Settings { names: &["pom.xml"], tools: &["maven"], registries: maven, ..ROW },
    Settings {
        names: &["build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"],
        tools: &["gradle"],
        variables: &[
            ("System.getenv(\"", "\""),
            ("System.getenv('", "'"),
            ("System.env.", ""),
            ("environmentVariable(\"", "\""),
        ],
        blocks: Some((
            &["repositories", "credentials"],
            &["publishing", "uploadArchives", "signing", "nexusPublishing", "mavenPublishing"],
        )),
        ..ROW
    },
    Settings {
        names: &["build.sbt", "project/plugins.sbt"],
        tools: &["sbt"],
        variables: &[
            ("sys.env(\"", "\""),
            ("sys.env.get(\"", "\""),
            ("sys.env.getOrElse(\"", "\""),
        ],
        ..ROW
    },
    Settings {
        names: &["NuGet.Config", "nuget.config", "NuGet.config"],
        tools: &["dotnet"],
        variables: &[("%", "%")],
        unset: Unset::FailsIfPrivate,
        registries: nuget,
        ..ROW
    },
    Settings {
        names: &[".cargo/config.toml", ".cargo/config"],
        tools: &["cargo"],
        registries: cargo,
        ..ROW
    },
    Settings {
        names: &["Gemfile", "gems.rb"],
        tools: &["bundler"],
        variables: &[
            ("ENV[\"", "\""),
            ("ENV['", "'"),
            ("ENV.fetch(\"", "\""),
            ("ENV.fetch('", "'"),
        ],
        registries: bundler,
        ..ROW
    },
    Settings { names: &["composer.json"], tools: &["composer"], registries: composer, ..ROW },
    Settings {
        names: &["mix.exs"],
        tools: &["mix"],
        variables: &[("System.get_env(\"", "\""), ("System.fetch_env!(\"", "\"")],
        blocks: Some((&["deps"], &[])),
        ..ROW
    },
    Settings {
        names: &["Makefile", "Dockerfile", "go.env", ".gitlab-ci.yml"],
        tools: &["go"],
        registries: go,
        ..ROW
    },
];

/// Lines that hold one of these are about registries and credentials, and not about folders of the tool.
const ABOUT_CREDENTIALS: &[&str] =
    &["registry", "auth", "pass", "token", "user", "cred", "secret", "key", "://", "source"];

/// Variables that every process has.
const ORDINARY: &[&str] = &["HOME", "USER", "PWD", "PATH", "CI", "TMPDIR", "TEMP", "LANG", "SHELL"];

/// Parts of addresses that always ask who it is.
const ASKING: &[&str] = &[
    "pkg.github.com", "pkgs.dev.azure.com", ".pkg.visualstudio.com", ".codeartifact.",
    "/_packaging/", "gitlab.com/api/v4/", "gitlab.com:", "-npm.pkg.dev", "-python.pkg.dev",
    "-maven.pkg.dev", "repo.packagist.com", "gems.contribsys.com", "enterprise.contribsys.com",
    "nova.laravel.com", "npm.fontawesome.com", "dl.fontawesome.com", "composer.fluxui.dev",
    "/basic/", "gems.graphql.pro",
];

/// Parts of addresses that never do.
const PUBLIC: &[&str] = &[
    "registry.npmjs.org", "registry.yarnpkg.com", "npm.jsr.io", "pypi.org", "pythonhosted.org",
    "download.pytorch.org", "pypi.nvidia.com", "pypi.ngc.nvidia.com", "mirror", "index.crates.io",
    "crates.io-index", "rubygems.org", "rails-assets.org", "nuget.org", "dotnet/public",
    "packagist.org", "packages.drupal.org", "api.nuget.org", "alphacephei.com", "github.io",
    "huggingface.co", ".edu.", "dnceng/public", "myget.org/F", "localhost", "127.0.0.1",
];

/// Adds to each service the secrets that its install steps need.
pub(super) fn find(project: &Project<'_>, chosen: &mut [Facts]) {
    let mut told = BTreeSet::new();
    for facts in chosen {
        let tools: Vec<&str> = [facts.tool]
            .into_iter()
            .chain(facts.needs.iter().filter_map(|need| match need {
                Need::Tools(language, _) => Some(language.tool),
                _ => None,
            }))
            .collect();
        let dirs = install_dirs(facts);
        for row in SETTINGS.iter().filter(|row| row.tools.iter().any(|tool| tools.contains(tool))) {
            for path in dirs.iter().flat_map(|dir| files(Folder::new(project, dir), row.names)) {
                of_file(project, row, &path, facts);
            }
        }
        for path in dirs.iter().flat_map(|dir| files(Folder::new(project, dir), SSH_NAMES)) {
            told.extend(over_ssh(project, &path));
        }
    }
    told.into_iter().for_each(|note| project.tree.note(note));
}

/// Folders in which dependencies are installed, and all above them.
fn install_dirs(facts: &Facts) -> BTreeSet<String> {
    let steps = facts.layers.iter().flat_map(|layer| &layer.steps).chain(&facts.steps);
    let installs = steps.filter(|step| step.kind == Kind::Install).map(|step| step.dir.as_str());
    let layers = facts.layers.iter().flat_map(|layer| &layer.files).map(|file| parent(file));
    let dirs = installs.chain(layers).chain([facts.dir.as_str()]);
    dirs.flat_map(upward).map(str::to_owned).collect()
}

fn files(at: Folder<'_>, names: &[&str]) -> BTreeSet<String> {
    let (patterns, plain): (Vec<&str>, Vec<&str>) = names.iter().partition(|n| n.contains('*'));
    let all = at.entries().into_iter().flat_map(|entries| &entries.files);
    let like = all.filter(|file| patterns.iter().any(|pattern| glob(pattern, file)));
    like.map(|file| at.path(file)).chain(at.those(&plain)).collect()
}

fn of_file(project: &Project<'_>, row: &Settings, path: &str, facts: &mut Facts) {
    let Some(text) = project.tree.read(path) else { return };
    let urls: Vec<&str> = text.lines().filter_map(|(_, line)| address(line)).collect();
    let is_public = urls.iter().all(|url| is_public(url));
    let mut found = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    for (at, line) in text.lines() {
        track(&mut blocks, line);
        if is_comment(line) || !is_about_credentials(line) || !row.counts(&blocks) {
            continue;
        }
        if holds_a_value(line) {
            let why = "holds a credential as text; name a variable there, and renew the credential";
            project.tree.note(format!("{path}:{at}: {why}"));
        }
        for (name, has_default) in variables(line, row.variables) {
            let fails =
                row.unset == Unset::Fails || row.unset == Unset::FailsIfPrivate && !is_public;
            let target = SecretTarget::Env(name.clone());
            found.push((Secret { id: name, target, required: fails && !has_default }, at));
        }
    }
    for registry in (row.registries)(Folder::new(project, parent(path)), file_name(path)) {
        let asks = ASKING.iter().any(|part| registry.url.contains(part));
        let required = asks || registry.told_by.is_some();
        if let Some((name, value)) = registry.told_by {
            facts.build_env(name, value);
        }
        for (id, target) in
            registry.targets.into_iter().filter(|_| !is_public_registry(&registry.url))
        {
            found.push((Secret { id, target, required }, registry.line));
        }
    }
    if let Some((variable, before)) = row.told_by {
        let told = Folder::new(project, parent(path)).read(".mvn/maven.config");
        let is_told = told.is_some_and(|config| config.text.contains("settings"));
        if !is_told && (variable != "MAVEN_ARGS" || text.text.contains("<settings")) {
            facts.build_env(variable, format!("{before}{BUILD_DIR}/{path}"));
        }
    }
    if row.told_by.is_some() || !found.is_empty() {
        show(facts, path);
    }
    found
        .into_iter()
        .for_each(|(secret, line)| facts.secret(secret, Evidence::line(path, Some(line))));
}

/// Lets the steps that install in the folder of a file, or below it, see the file.
fn show(facts: &mut Facts, path: &str) {
    let dir =
        parent(path).trim_end_matches(".mvn").trim_end_matches(".cargo").trim_end_matches('/');
    let dir = if dir.is_empty() { "." } else { dir };
    for layer in &mut facts.layers {
        let installs =
            layer.steps.iter().any(|step| step.kind == Kind::Install && is_below(&step.dir, dir));
        if installs && !layer.files.iter().any(|file| glob(file, path) || *file == literal(path)) {
            layer.files.push(literal(path));
        }
    }
}

impl Settings {
    fn counts(&self, blocks: &[String]) -> bool {
        let Some((wanted, unwanted)) = self.blocks else { return true };
        let is_in = |names: &[&str]| blocks.iter().any(|block| names.contains(&block.as_str()));
        is_in(wanted) && !is_in(unwanted)
    }
}

/// Blocks that are open after a line: the first word before each brace, or before `do`.
fn track(blocks: &mut Vec<String>, line: &str) {
    let mut start = 0;
    for (at, c) in line.char_indices() {
        match c {
            '{' => {
                let head = line[start..at].trim_start();
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                blocks.push(head.chars().take_while(|c| is_name(*c)).collect());
                start = at + 1;
            }
            '}' => drop(blocks.pop()),
            _ => {}
        }
        if matches!(c, '}' | ';') {
            start = at + 1;
        }
    }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(['#', ';']) || line.starts_with("// ") || line.starts_with("<!--")
}

fn is_about_credentials(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ABOUT_CREDENTIALS.iter().any(|word| line.contains(word))
}

/// Names of variables in a line, and whether each has a default there.
fn variables(line: &str, forms: &[(&str, &str)]) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    for (open, close) in forms {
        for (at, _) in line.match_indices(open) {
            let rest = &line[at + open.len()..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
            let has_default = rest.starts_with(['-', '?']) || rest.starts_with(":-");
            let ends =
                close.is_empty() || rest.starts_with(close) || has_default && rest.contains(close);
            let is_variable =
                name.starts_with(|c: char| !c.is_ascii_digit()) && !ORDINARY.contains(&name);
            if is_variable && ends {
                // What follows a closed call may say what stands in for it.
                let stands_in =
                    !close.is_empty() && rest[close.len().min(rest.len())..].contains("?:");
                found.insert(name.to_owned(), has_default || stands_in);
            }
        }
    }
    found
}

/// The address in a line: from `://` or, as `.npmrc` has it, from `//` on.
fn address(line: &str) -> Option<&str> {
    let at = line.find("//")?;
    let end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ',');
    let url = line[at + 2..].split(end).next().unwrap_or_default();
    url.contains('.').then_some(url)
}

fn is_public(url: &str) -> bool {
    PUBLIC.iter().any(|part| url.contains(part)) && !ASKING.iter().any(|part| url.contains(part))
}

/// Whether nothing has to be handed over for a registry: it is public, or its address says who asks.
fn is_public_registry(url: &str) -> bool {
    let names_somebody = url.split('/').any(|part| part.contains('@'));
    is_public(url) || names_somebody || !url.contains("://") || url.contains("file:")
}

/// Whether a line has a password in an address, or a token that is no variable.
fn holds_a_value(line: &str) -> bool {
    let in_address = line.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', '"', '\'', ' ', '<']).next().unwrap_or_default();
        let user = host.rsplit_once('@').map(|(user, _)| user);
        let password = user.and_then(|user| user.split_once(':')).map(|(_, password)| password);
        password.is_some_and(is_value)
    });
    let keys = [":_authToken=", ":_password=", ":_auth=", "npmAuthToken:", "npmAuthIdent:"];
    in_address
        || keys.iter().any(|key| line.split_once(key).is_some_and(|(_, v)| is_value(v.trim())))
}

fn is_value(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'']);
    !text.is_empty() && !text.contains(['$', '%', '{', '<', '#']) && !text.starts_with("env.")
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

// Registries of each package manager.

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
fn npm(at: Folder<'_>, name: &str) -> Vec<Registry> {
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

fn yarn(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let has_auth = at.read(name).is_some_and(|text| text.text.contains("npmAuth"));
    match has_auth {
        true => Vec::new(),
        false => lines(at, name, &["npmRegistryServer"], env("YARN_NPM_AUTH_TOKEN")),
    }
}

fn pip(at: Folder<'_>, name: &str) -> Vec<Registry> {
    lines(at, name, &["index-url"], netrc())
}

/// Indexes of uv and sources of Poetry have variables by their name.
fn python(at: Folder<'_>, name: &str) -> Vec<Registry> {
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
fn maven(at: Folder<'_>, name: &str) -> Vec<Registry> {
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
fn nuget(at: Folder<'_>, name: &str) -> Vec<Registry> {
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

fn cargo(at: Folder<'_>, name: &str) -> Vec<Registry> {
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
fn bundler(at: Folder<'_>, name: &str) -> Vec<Registry> {
    let mut all = lines(at, name, &["source"], netrc());
    for registry in &mut all {
        let url = registry.url.split(['"', '\'']).next().unwrap_or_default().to_owned();
        let host = address(&url).and_then(|url| url.split(['/', ':']).next()).unwrap_or_default();
        let name = host.replace('-', "___").replace('.', "__").to_ascii_uppercase();
        (registry.url, registry.targets) = (url, vec![env(format!("BUNDLE_{name}"))]);
    }
    all
}

fn composer(at: Folder<'_>, name: &str) -> Vec<Registry> {
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
fn go(at: Folder<'_>, name: &str) -> Vec<Registry> {
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

// Dependencies from repositories over SSH.

/// Manifests, and what a line of a dependency from a repository holds.
const SSH: &[(&str, &[&str])] = &[
    ("package.json", &["\"git+ssh:", "\"git@", "\"ssh:"]),
    ("*requirements*.txt", &["git+ssh:"]),
    ("pyproject.toml", &["git+ssh:", "git = \"ssh:", "git = \"git@"]),
    ("Pipfile", &["git+ssh:", "git = \"ssh:", "git = \"git@"]),
    ("Cargo.toml", &["git = \"ssh:", "git = \"git@"]),
    ("Gemfile", &["\"git@", "'git@", "\"ssh:", "'ssh:"]),
    ("composer.json", &["\"url\": \"git@", "\"url\": \"ssh:"]),
    ("mix.exs", &["git: \"git@", "git: \"ssh:"]),
    ("pubspec.yaml", &["url: git@", "url: ssh:", "git: git@", "git: ssh:"]),
    ("Package.swift", &["url: \"git@", "url: \"ssh:"]),
    ("shard.yml", &["git: git@", "git: ssh:"]),
    ("deps.edn", &["\"git@", "\"ssh:"]),
];

const SSH_NAMES: &[&str] = &[
    "package.json", "*requirements*.txt", "pyproject.toml", "Pipfile", "Cargo.toml", "Gemfile",
    "composer.json", "mix.exs", "pubspec.yaml", "Package.swift", "shard.yml", "deps.edn",
];

/// A note for each dependency of a manifest that is fetched over SSH.
fn over_ssh(project: &Project<'_>, path: &str) -> Vec<String> {
    let marks = SSH.iter().find(|(name, _)| glob(name, file_name(path))).map(|(_, marks)| *marks);
    let (Some(marks), Some(text)) = (marks, project.tree.read(path)) else { return Vec::new() };
    // Where a project lives is no dependency; Composer's repositories alone are named so.
    let about = ["repository", "homepage", "bugs", "\"url\":"];
    let about = if file_name(path) == "composer.json" { &about[..3] } else { &about };
    let counts = |line: &str| {
        !is_comment(line)
            && marks.iter().any(|mark| line.contains(mark))
            && !about.iter().any(|key| line.contains(key))
    };
    let note = |(at, _): (usize, &str)| {
        format!(
            "{path}:{at}: this dependency is fetched over SSH, and a build has no SSH key: write its https address, and hand \
             a token over as the secret `netrc` (docs/reference/detect.md, \"Private registries\")"
        )
    };
    text.lines().filter(|(_, line)| counts(line)).map(note).collect()
}
