//! `peelbox.toml`: what the project says itself. The page is docs/reference/detect.md.

use std::{collections::BTreeMap, fmt, path::Path};

use crate::{
    detect::{paths::join, tree},
    manifest::{self, Kind, Value},
    spec::{self, Artifact, Secret, SecretTarget},
};

/// The file's name; it is read at the root, unless another file is named.
pub const FILE: &str = "peelbox.toml";

/// JSON Schema of the file.
pub const SCHEMA: &str = include_str!("../../docs/peelbox.schema.json");

/// In a list of commands: those that were found.
pub const FOUND: &str = "...";

/// What it may set; all optional.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file, as it is told.
    pub file: String,
    /// Folders that are not searched, clean.
    pub ignore: Vec<String>,
    /// What services shall be like, by folder and process; the process of the one that serves is empty.
    pub services: BTreeMap<(String, String), ServiceSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { file: FILE.to_owned(), ignore: Vec::new(), services: BTreeMap::new() }
    }
}

/// What one service shall be like; all optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Line of the entry.
    pub line: usize,
    /// Its name.
    pub name: Option<String>,
    /// Id of its language, where rules of several find something.
    pub language: Option<String>,
    /// Version of its language, in the words of its ecosystem.
    pub version: Option<String>,
    /// Commands that install dependencies, in place of those found.
    pub install: Option<Vec<String>>,
    /// Commands that build, in place of those found.
    pub build: Option<Vec<String>>,
    /// What runs, in exec form.
    pub start: Option<Vec<String>>,
    /// The port it listens on.
    pub port: Option<u16>,
    /// HTTP path that tells whether it is well.
    pub health: Option<String>,
    /// Base of the build stage.
    pub build_base: Option<String>,
    /// Base of the image.
    pub runtime_base: Option<String>,
    /// Packages of the build stage, on top of those found.
    pub build_packages: Vec<String>,
    /// Packages of the image, on top of those found.
    pub runtime_packages: Vec<String>,
    /// Environment of the image, on top of that found.
    pub env: BTreeMap<String, String>,
    /// Folders that are kept between builds, on top of those found.
    pub caches: Vec<String>,
    /// What the steps are handed, on top of what was found.
    pub secrets: Vec<Secret>,
    /// Patterns of what the build does not get, on top of those found.
    pub exclude: Vec<String>,
    /// Patterns of what it gets although a pattern that was found leaves it out.
    pub include: Vec<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// User of the image.
    pub user: Option<String>,
    /// Working folder of the image.
    pub workdir: Option<String>,
    /// What the image takes from the build, on top of what was found.
    pub copy: Vec<Artifact>,
}

impl ServiceSettings {
    /// What counts for all processes of a folder, and not for the one that serves alone.
    pub fn shared(&self) -> Self {
        Self { name: None, start: None, port: None, health: None, ..self.clone() }
    }
}

/// Why `peelbox.toml` can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The file.
    pub file: String,
    /// From 1; `None` when the file could not be read.
    pub line: Option<usize>,
    /// In a few words.
    pub why: String,
    /// What was probably meant.
    pub help: Option<String>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.why),
            None => write!(f, "{}: {}", self.file, self.why),
        }
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads the file at the root; without one nothing is set.
    ///
    /// # Errors
    /// The file can't be read, or something in it is unknown or of the wrong type.
    pub fn load(root: &Path) -> Result<Self, SettingsError> {
        let path = root.join(FILE);
        // A link could lead out of the tree.
        if !path.symlink_metadata().is_ok_and(|found| found.is_file()) {
            return Ok(Self::default());
        }
        Self::read(&path, FILE)
    }

    /// Reads a file, which is called `name` where it is told of.
    ///
    /// # Errors
    /// As [`Self::load`]; also when there is no file.
    pub fn read(path: &Path, name: &str) -> Result<Self, SettingsError> {
        let text = tree::read_text(path).map_err(|error| fault(None, error.to_string()));
        let read = text.and_then(|text| Self::parse(&text));
        read.map(|settings| Self { file: name.to_owned(), ..settings })
            .map_err(|error| SettingsError { file: name.to_owned(), ..error })
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let root = manifest::toml(text).map_err(|found| fault(found.line, found.why))?;
        let mut settings = Self::default();
        for (key, value) in root.members() {
            match key {
                "$schema" => {}
                "ignore" => settings.ignore = all(value, folder)?,
                "service" => settings.services = services(value)?,
                _ => return Err(unknown(key, value.line, &["ignore", "service"])),
            }
        }
        Ok(settings)
    }

    /// What is set for the service of a folder.
    pub fn service(&self, dir: &str) -> Option<&ServiceSettings> {
        self.process(dir, "")
    }

    /// What is set for a process of a folder beside the one that serves.
    pub fn process(&self, dir: &str, process: &str) -> Option<&ServiceSettings> {
        self.services.get(&(dir.to_owned(), process.to_owned()))
    }
}

type Read<T> = Result<T, SettingsError>;

/// Where an entry belongs, folder and process, and what it sets.
type Entry = ((String, String), ServiceSettings);
/// Sets what a key names.
type Set = fn(&mut Entry, &Value) -> Read<()>;

const KEYS: [(&str, Set); 23] = [
    ("path", |((path, _), _), value| put(path, folder(value))),
    ("process", |((_, process), _), value| put(process, text(value))),
    ("name", |(_, to), value| put(&mut to.name, text(value))),
    ("language", |(_, to), value| put(&mut to.language, text(value))),
    ("version", |(_, to), value| put(&mut to.version, scalar(value, "a version"))),
    ("install", |(_, to), value| put(&mut to.install, all(value, text))),
    ("build", |(_, to), value| put(&mut to.build, all(value, text))),
    ("start", |(_, to), value| put(&mut to.start, start(value))),
    ("port", |(_, to), value| put(&mut to.port, port(value))),
    ("health", |(_, to), value| put(&mut to.health, health(value))),
    ("build_base", |(_, to), value| put(&mut to.build_base, text(value))),
    ("runtime_base", |(_, to), value| put(&mut to.runtime_base, text(value))),
    ("build_packages", |(_, to), value| put(&mut to.build_packages, all(value, text))),
    ("runtime_packages", |(_, to), value| put(&mut to.runtime_packages, all(value, text))),
    ("env", |(_, to), value| put(&mut to.env, texts(value))),
    ("caches", |(_, to), value| put(&mut to.caches, all(value, text))),
    ("secrets", |(_, to), value| put(&mut to.secrets, all(value, secret))),
    ("exclude", |(_, to), value| put(&mut to.exclude, all(value, text))),
    ("include", |(_, to), value| put(&mut to.include, all(value, text))),
    ("labels", |(_, to), value| put(&mut to.labels, texts(value))),
    ("user", |(_, to), value| put(&mut to.user, scalar(value, "a user"))),
    ("workdir", |(_, to), value| put(&mut to.workdir, text(value))),
    ("copy", |(_, to), value| put(&mut to.copy, all(value, artifact))),
];

fn put<T, F: Into<T>>(to: &mut T, read: Read<F>) -> Read<()> {
    *to = read?.into();
    Ok(())
}

fn services(value: &Value) -> Read<BTreeMap<(String, String), ServiceSettings>> {
    let one = std::slice::from_ref(value);
    let entries = if value.items().is_empty() { one } else { value.items() };
    let mut services = BTreeMap::new();
    for entry in entries {
        let (place, service) = service(entry)?;
        let path = place.0.clone();
        if services.insert(place, service).is_some() {
            return Err(fault(entry.line, format!("`{path}` has two entries")));
        }
    }
    Ok(services)
}

fn service(entry: &Value) -> Read<Entry> {
    if !matches!(entry.kind, Kind::Table(_)) {
        return Err(fault(entry.line, "expected a table: `[[service]]`"));
    }
    let settings = ServiceSettings { line: entry.line, ..ServiceSettings::default() };
    let mut found = ((".".to_owned(), String::new()), settings);
    for (key, value) in entry.members() {
        let Some((_, set)) = KEYS.iter().find(|(name, _)| *name == key) else {
            return Err(unknown(key, value.line, &KEYS.map(|(name, _)| name)));
        };
        set(&mut found, value)?;
    }
    Ok(found)
}

fn port(value: &Value) -> Read<u16> {
    let port = value.text().and_then(|text| text.parse().ok()).filter(|port| *port > 0);
    port.ok_or_else(|| fault(value.line, "expected a port number from 1 to 65535"))
}

fn health(value: &Value) -> Read<String> {
    match text(value)? {
        path if path.starts_with('/') => Ok(path),
        _ => Err(fault(value.line, "expected an HTTP path that begins with `/`")),
    }
}

fn texts(value: &Value) -> Read<BTreeMap<String, String>> {
    if !matches!(value.kind, Kind::Table(_)) {
        return Err(fault(value.line, "expected a table: `{NAME = \"value\"}`"));
    }
    value.members().map(|(name, value)| Ok((name.to_owned(), scalar(value, "a text")?))).collect()
}

/// A variable by its name, or a table as in the spec.
fn secret(value: &Value) -> Read<Secret> {
    let Kind::Table(_) = value.kind else {
        let id = text(value)?;
        return Ok(Secret { target: SecretTarget::Env(id.clone()), id, required: true });
    };
    let id = value.get("id").map(text).transpose()?;
    let id = id.ok_or_else(|| fault(value.line, "a secret has an `id`"))?;
    let (mut target, mut required) = (SecretTarget::File(format!("/run/secrets/{id}")), true);
    for (key, value) in value.members() {
        match key {
            "id" => {}
            "env" => target = SecretTarget::Env(text(value)?),
            "target" => target = SecretTarget::File(text(value)?),
            "required" => required = value.is_true(),
            _ => return Err(unknown(key, value.line, &["id", "env", "target", "required"])),
        }
    }
    Ok(Secret { id, target, required })
}

/// `{from = "…", to = "…"}`.
fn artifact(value: &Value) -> Read<Artifact> {
    let of = |key: &str| {
        let found = value.get(key).map(text).transpose()?;
        found.ok_or_else(|| fault(value.line, "expected `{from = \"…\", to = \"…\"}`"))
    };
    if let Some((key, value)) = value.members().find(|(key, _)| !["from", "to"].contains(key)) {
        return Err(unknown(key, value.line, &["from", "to"]));
    }
    Ok(Artifact { from: of("from")?, to: of("to")? })
}

/// One text is read by a shell, several are the program and its arguments.
fn start(value: &Value) -> Read<Vec<String>> {
    match value.as_str() {
        Some(line) if !line.trim().is_empty() => Ok(crate::detect::shell::exec_form(line)),
        Some(_) => Err(fault(value.line, "expected a command")),
        None => all(value, text),
    }
}

/// A text, or what is written without quotes.
fn scalar(value: &Value, what: &str) -> Read<String> {
    value.text().ok_or_else(|| fault(value.line, format!("expected {what}")))
}

fn text(value: &Value) -> Read<String> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(fault(value.line, "expected a text")),
    }
}

fn all<T>(value: &Value, one: fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    match &value.kind {
        Kind::Array(items) => items.iter().map(one).collect(),
        _ => Ok(vec![one(value)?]),
    }
}

/// A folder relative to the root, clean.
fn folder(value: &Value) -> Read<String> {
    let written = text(value)?;
    let mut clean = ".".to_owned();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(fault(value.line, "the folder leads out of the project")),
            part => clean = join(&clean, part),
        }
    }
    if written.starts_with('/') {
        return Err(fault(value.line, "expected a folder relative to the project"));
    }
    Ok(clean)
}

fn fault(line: impl Into<Option<usize>>, why: impl Into<String>) -> SettingsError {
    SettingsError { file: FILE.to_owned(), line: line.into(), why: why.into(), help: None }
}

fn unknown(key: &str, line: usize, known: &[&str]) -> SettingsError {
    let help = match spec::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    SettingsError { help: Some(help), ..fault(line, format!("unknown key `{key}`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_can_be_set_is_read() {
        let text = "ignore = [\"old/\", \"./a/b\"]\n\n[[service]]\npath = \"apps/api/\"\nname = \"api\"\nversion = 20\ninstall = \"make deps\"\nbuild = [\"make\", \"make x\"]\nstart = \"node a.js $PORT\"\nport = 8080\nhealth = \"/up\"\nbuild_base = \"x:1\"\nruntime_base = \"y\"\nbuild_packages = [\"git\"]\nruntime_packages = [\"curl\"]\nenv = {A = \"b\", C = 1}\n\n[[service]]\nstart = [\"a\", \"b c\"]\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.ignore, ["old", "a/b"]);
        let api = settings.service("apps/api").unwrap();
        assert_eq!((api.port, api.version.as_deref()), (Some(8080), Some("20")));
        assert_eq!(api.start.as_ref().unwrap()[2], "exec node a.js $PORT");
        assert_eq!((api.env["C"].as_str(), api.line), ("1", 3));
        assert_eq!(settings.service(".").unwrap().start.as_ref().unwrap(), &["a", "b c"]);
    }

    #[test]
    fn a_slip_is_told_with_its_line_and_what_was_meant() {
        let check = |text: &str, line: usize, why: &str, help: &str| {
            let error = Settings::parse(text).unwrap_err();
            let found = (error.line, error.why.as_str(), error.help.as_deref().unwrap_or_default());
            assert_eq!(found, (Some(line), why, help), "{text}");
        };
        check("ignores = []", 1, "unknown key `ignores`", "did you mean `ignore`?");
        check("[[service]]\nstrat = 'x'", 2, "unknown key `strat`", "did you mean `start`?");
        check("[[service]]\nport = 0", 2, "expected a port number from 1 to 65535", "");
        check("[[service]]\npath = '../x'", 2, "the folder leads out of the project", "");
        check("[[service]]\n[[service]]", 2, "`.` has two entries", "");
        check("service = 1", 1, "expected a table: `[[service]]`", "");
        check("ignore = [1]", 1, "expected a text", "");
        check("[[service]]\nsecrets = [{env = 'A'}]", 2, "a secret has an `id`", "");
        check("[[service]]\ncopy = {form = 'a'}", 2, "unknown key `form`", "did you mean `from`?");
        check("[[service]]\nlabels = 'a'", 2, "expected a table: `{NAME = \"value\"}`", "");
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let keys = |place: &serde_json::Value| -> Vec<String> {
            place["properties"].as_object().unwrap().keys().cloned().collect()
        };
        let mut known = KEYS.map(|(name, _)| name.to_owned()).to_vec();
        known.sort();
        let mut service = keys(&schema["$defs"]["service"]);
        service.sort();
        assert_eq!(service, known);
        assert_eq!(keys(&schema), ["$schema", "ignore", "service"]);
    }
}
