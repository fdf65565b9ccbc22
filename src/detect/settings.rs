//! `peelbox.toml`: what the project says itself. The page is docs/reference/detect.md.

use std::{collections::BTreeMap, fmt, path::Path};

use crate::{
    detect::{
        manifest::{self, Malformed, Value},
        model::join,
        tree,
    },
    spec,
};

/// The file's name; it is read at the root alone.
pub const FILE: &str = "peelbox.toml";

/// What it may set; all optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Folders that are not searched, clean.
    pub ignore: Vec<String>,
    /// What services shall be like, by folder.
    pub services: BTreeMap<String, ServiceSettings>,
}

/// What one service shall be like; all optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Line of the entry.
    pub line: usize,
    /// Its name.
    pub name: Option<String>,
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
}

/// Why `peelbox.toml` can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
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
            Some(line) => write!(f, "{FILE}:{line}: {}", self.why),
            None => write!(f, "{FILE}: {}", self.why),
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
        match path.symlink_metadata() {
            Ok(found) if found.is_file() => {}
            _ => return Ok(Self::default()),
        }
        let text = tree::read_text(&path).map_err(|error| SettingsError {
            line: None,
            why: error.to_string(),
            help: None,
        })?;
        Self::parse(&text)
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let malformed = |m: Malformed| SettingsError { line: Some(m.line), why: m.why, help: None };
        let root = manifest::toml(text).map_err(malformed)?;
        let mut settings = Self::default();
        for (key, value) in root.members() {
            match key {
                "ignore" => settings.ignore = each(value, folder)?,
                "service" => settings.services = services(value)?,
                _ => return Err(unknown(key, value, &["ignore", "service"])),
            }
        }
        Ok(settings)
    }

    /// What is set for the service of a folder.
    pub fn service(&self, dir: &str) -> Option<&ServiceSettings> {
        self.services.get(dir)
    }
}

const KEYS: [&str; 13] = [
    "path", "name", "version", "install", "build", "start", "port", "health", "build_base",
    "runtime_base", "build_packages", "runtime_packages", "env",
];

fn services(value: &Value) -> Result<BTreeMap<String, ServiceSettings>, SettingsError> {
    let one = std::slice::from_ref(value);
    let entries = if value.items().is_empty() { one } else { value.items() };
    let mut services = BTreeMap::new();
    for entry in entries {
        let (path, service) = service(entry)?;
        if services.contains_key(&path) {
            return Err(fault(entry, format!("`{path}` has two entries")));
        }
        services.insert(path, service);
    }
    Ok(services)
}

fn service(entry: &Value) -> Result<(String, ServiceSettings), SettingsError> {
    if !matches!(entry.kind, manifest::Kind::Table(_)) {
        return Err(fault(entry, "expected a table: `[[service]]`"));
    }
    let mut path = ".".to_owned();
    let mut found = ServiceSettings { line: entry.line, ..ServiceSettings::default() };
    for (key, value) in entry.members() {
        match key {
            "path" => path = folder(value)?,
            "name" => found.name = Some(text(value)?),
            "version" => {
                let version = value.text().ok_or_else(|| fault(value, "expected a version"))?;
                found.version = Some(version);
            }
            "install" => found.install = Some(each(value, text)?),
            "build" => found.build = Some(each(value, text)?),
            "start" => found.start = Some(start(value)?),
            "port" => {
                let port = value.text().and_then(|text| text.parse().ok()).filter(|p| *p > 0);
                found.port = Some(
                    port.ok_or_else(|| fault(value, "expected a port number from 1 to 65535"))?,
                );
            }
            "health" => {
                let path = text(value)?;
                if !path.starts_with('/') {
                    return Err(fault(value, "expected an HTTP path that begins with `/`"));
                }
                found.health = Some(path);
            }
            "build_base" => found.build_base = Some(text(value)?),
            "runtime_base" => found.runtime_base = Some(text(value)?),
            "build_packages" => found.build_packages = each(value, text)?,
            "runtime_packages" => found.runtime_packages = each(value, text)?,
            "env" => {
                for (name, value) in value.members() {
                    let content = value.text().ok_or_else(|| fault(value, "expected a text"))?;
                    found.env.insert(name.to_owned(), content);
                }
            }
            _ => return Err(unknown(key, value, &KEYS)),
        }
    }
    Ok((path, found))
}

/// One text is read by a shell, several are the program and its arguments.
fn start(value: &Value) -> Result<Vec<String>, SettingsError> {
    match value.as_str() {
        Some(line) if !line.trim().is_empty() => Ok(crate::detect::shell::exec_form(line)),
        Some(_) => Err(fault(value, "expected a command")),
        None => each(value, text),
    }
}

fn text(value: &Value) -> Result<String, SettingsError> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err(fault(value, "expected a text")),
    }
}

fn each(
    value: &Value,
    one: fn(&Value) -> Result<String, SettingsError>,
) -> Result<Vec<String>, SettingsError> {
    match &value.kind {
        manifest::Kind::Array(items) => items.iter().map(one).collect(),
        _ => Ok(vec![one(value)?]),
    }
}

/// A folder relative to the root, clean.
fn folder(value: &Value) -> Result<String, SettingsError> {
    let written = text(value)?;
    let mut clean = ".".to_owned();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(fault(value, "the folder leads out of the project")),
            part => clean = join(&clean, part),
        }
    }
    if written.starts_with('/') {
        return Err(fault(value, "expected a folder relative to the project"));
    }
    Ok(clean)
}

fn fault(value: &Value, why: impl Into<String>) -> SettingsError {
    SettingsError { line: Some(value.line), why: why.into(), help: None }
}

fn unknown(key: &str, value: &Value, known: &[&str]) -> SettingsError {
    let help = match spec::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    SettingsError { line: Some(value.line), why: format!("unknown key `{key}`"), help: Some(help) }
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
    }
}
