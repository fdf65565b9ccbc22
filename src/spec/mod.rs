//! UniversalBuild: what `peelbox detect` writes and `peelbox build` reads.
//!
//! Values of these types are valid: paths are clean, references are parsed, names are checked.
//! Nobody after [`parse`](self) asks again.

use std::collections::BTreeMap;

/// The folder of the build stage that holds the context; commands run here.
pub const BUILD_DIR: &str = "/build";

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// What the image starts from.
    pub base: Base,
    /// Installed in the image; sorted, no duplicates.
    pub packages: Vec<String>,
    /// Image environment, on top of the base's.
    pub env: BTreeMap<String, String>,
    /// Artifacts taken from the build stage, in order.
    pub copy: Vec<Artifact>,
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
