//! UniversalBuild: what `peelbox detect` writes and `peelbox build` reads.
//!
//! Values of these types are valid: paths are clean, references are parsed, names are checked.
//! Nobody after [`parse`](self) asks again.

use std::collections::BTreeMap;

pub use self::{
    error::{Excerpt, Problem, SpecError},
    json::SPEC_BYTES_MAX,
    nearest::nearest,
    texts::Text,
};
use self::{json::Value, node::Report};

mod check;
mod error;
mod fields;
mod json;
mod nearest;
mod node;
pub mod reference;
mod syntax;
#[cfg(test)]
mod tests;
mod texts;

/// Reads a spec file.
///
/// `name` is what errors call the file; `-` is standard input.
///
/// # Errors
/// [`SpecError::Invalid`] with every mistake that could be found.
pub fn parse(text: &[u8], name: &str) -> Result<SpecFile, SpecError> {
    let text = json::decode(text).map_err(|unreadable| {
        let (shown, flaw) = *unreadable;
        error::invalid(name, &shown, vec![flaw])
    })?;
    let root = Value::parse(text).map_err(|flaw| error::invalid(name, text, vec![flaw]))?;
    let report = Report::default();
    let services = fields::services(root, &report);
    let flaws = report.into_flaws();
    if !flaws.is_empty() {
        return Err(error::invalid(name, text, flaws));
    }
    Ok(SpecFile { name: name.to_owned(), services })
}

/// A spec file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecFile {
    /// What errors call the file; `-` is standard input.
    pub name: String,
    /// In file order, at least one; no name occurs twice.
    pub services: Vec<Service>,
}

/// One service and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What the file says of it.
    pub spec: UniversalBuild,
    /// `services[2]` in a file that holds an array, else empty; for later errors.
    pub path: String,
}

impl SpecFile {
    /// The service of this name; without a name, the only one.
    ///
    /// # Errors
    /// [`SpecError::ServiceNotChosen`] and [`SpecError::UnknownService`] list the names.
    pub fn select(&self, service: Option<&str>) -> Result<&Service, SpecError> {
        let name_of = |service: &Service| service.spec.metadata.project_name.clone();
        let names = || self.services.iter().filter_map(name_of).collect();
        let Some(asked) = service else {
            return match self.services.as_slice() {
                [only] => Ok(only),
                _ => Err(SpecError::ServiceNotChosen { file: self.name.clone(), names: names() }),
            };
        };
        self.services
            .iter()
            .find(|service| service.spec.metadata.project_name.as_deref() == Some(asked))
            .ok_or_else(|| SpecError::UnknownService {
                file: self.name.clone(),
                asked: asked.to_owned(),
                names: names(),
            })
    }
}

/// The JSON Schema (draft 2020-12) of the format, as `peelbox schema` prints it.
pub const SCHEMA: &str = include_str!("../../docs/universalbuild.schema.json");

/// The versions of the format that are understood.
pub const VERSIONS: [&str; 1] = ["1.0"];

/// The base of stages that name none.
pub const DEFAULT_BASE: &str = "cgr.dev/chainguard/wolfi-base:latest";

/// Reads arbitrary bytes as a spec file; must not panic.
#[doc(hidden)]
pub fn fuzz_spec(data: &[u8]) {
    match parse(data, "fuzz.json") {
        Ok(file) => {
            for service in &file.services {
                let name = service.spec.metadata.project_name.as_deref();
                let selected = name.map(|name| file.select(Some(name)));
                assert!(selected.is_none_or(|found| found == Ok(service)), "a name finds its own");
                let UniversalBuild { build, runtime, .. } = &service.spec;
                let copied =
                    runtime.copy.iter().flat_map(|artifact| [&artifact.from, &artifact.to]);
                let files = build.files.iter().chain(&runtime.files).map(|file| &file.path);
                let paths = build.cache.iter().chain(copied).chain(files);
                for path in paths.chain(&runtime.workdir) {
                    let dotted = path.split('/').any(|part| matches!(part, "." | ".."));
                    assert!(path.starts_with('/') && !dotted, "`{path}` is absolute and clean");
                    assert!(!path.contains("//"), "`{path}` is clean");
                }
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("fuzz.json:"), "an error begins with its place");
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "an error is safe");
        }
    }
}

/// The folder of the build stage that holds the context; commands run here.
pub const BUILD_DIR: &str = "/build";

/// Bytes that all `files` of a service may have together.
pub const FILES_BYTES_MAX: usize = 256 << 10;

/// Entries that each `files` may have.
pub const FILES_MAX: usize = 1000;

/// Permissions of a file that says none.
pub const FILE_MODE: u32 = 0o644;

/// Whether a clean path is `dir` or below it.
pub fn is_within(path: &str, dir: &str) -> bool {
    match path.strip_prefix(dir) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || dir == "/",
        None => false,
    }
}

/// One service: how it is built and what its image looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniversalBuild {
    /// Who and where.
    pub metadata: Metadata,
    /// The build stage.
    pub build: Build,
    /// The image.
    pub runtime: Runtime,
}

/// `metadata`: all but the name and the path is informative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Service name; picks the entry with `--service`, default image name.
    pub project_name: Option<String>,
    /// Language id.
    pub language: Option<String>,
    /// Build system id.
    pub build_system: Option<String>,
    /// Framework id.
    pub framework: Option<String>,
    /// Why `detect` decided as it did.
    pub reasoning: Option<String>,
    /// The service's folder relative to the context root, clean; `.` is the root.
    pub path: Option<String>,
}

/// `build`: the stage whose result is thrown away but for the copied artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// What the stage starts from.
    pub base: Base,
    /// Installed with the base's package manager; sorted, no duplicates.
    pub packages: Vec<String>,
    /// Environment of the commands.
    pub env: BTreeMap<String, String>,
    /// Steps that see only some files and run before the whole context appears.
    pub dependencies: Vec<DependencyStep>,
    /// Shell commands, in order.
    pub commands: Vec<String>,
    /// Absolute, clean paths kept between builds; sorted, no duplicates.
    pub cache: Vec<String>,
    /// `.dockerignore` patterns on top of the ignore files, in order.
    pub exclude: Vec<String>,
    /// Files that the commands find; sorted by path, none at or below another, none in a cache.
    pub files: Vec<File>,
    /// Secrets the commands may read.
    pub secrets: Vec<Secret>,
}

/// One entry of `build.dependencies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyStep {
    /// Globs relative to the context root (same syntax as `.dockerignore`), clean.
    pub files: Vec<String>,
    /// Shell commands, in order.
    pub commands: Vec<String>,
}

/// One entry of `build.files` or `runtime.files`: a file whose content stands in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Absolute, clean path.
    pub path: String,
    /// All bytes of it.
    pub content: Vec<u8>,
    /// Permissions, at most `0o777`.
    pub mode: u32,
}

/// One entry of `build.secrets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What `--secret id=` names.
    pub id: String,
    /// Where the commands find it.
    pub target: SecretTarget,
    /// Without it the build does not start.
    pub required: bool,
}

/// How a secret reaches a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretTarget {
    /// Environment variable.
    Env(String),
    /// Absolute path of a file.
    File(String),
}

/// `runtime`: the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// What the image starts from.
    pub base: Base,
    /// Installed in the image; sorted, no duplicates.
    pub packages: Vec<String>,
    /// Image environment, on top of the base's.
    pub env: BTreeMap<String, String>,
    /// Artifacts taken from the build stage, in order.
    pub copy: Vec<Artifact>,
    /// Files that the image gets besides; sorted by path, none at or below another.
    pub files: Vec<File>,
    /// Entrypoint in exec form; empty keeps the base's.
    pub command: Vec<String>,
    /// Exposed TCP ports; sorted, no duplicates.
    pub ports: Vec<u16>,
    /// HTTP path of the health check, with its leading `/`.
    pub health: Option<String>,
    /// User of the process, `name`, `uid`, `name:group` or `uid:gid`.
    pub user: Option<String>,
    /// Absolute, clean working directory.
    pub workdir: Option<String>,
    /// Image labels.
    pub labels: BTreeMap<String, String>,
    /// Such as `SIGTERM`.
    pub stop_signal: Option<String>,
}

/// One entry of `runtime.copy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Absolute, clean path in the build stage; may hold `*`, `?`, `[…]`.
    pub from: String,
    /// Absolute, clean path in the image; a trailing `/` means into.
    pub to: String,
}

/// Where a stage starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An image of a registry, normalised: `docker.io/library/node:22-bookworm-slim`.
    Image(String),
    /// An OCI layout in a local folder, served by the client.
    OciLayout {
        /// The folder as written; relative paths start at the context root.
        dir: String,
        /// Tag in the layout's index (`org.opencontainers.image.ref.name`).
        tag: Option<String>,
        /// `sha256:…` of the manifest or index.
        digest: Option<String>,
    },
}

impl Default for Base {
    /// What a stage starts from that names no base: [`DEFAULT_BASE`].
    fn default() -> Self {
        Self::Image(DEFAULT_BASE.to_owned())
    }
}
