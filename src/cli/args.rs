//! What was typed, not yet what it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Turns a source tree into a container image by speaking to BuildKit itself.
#[derive(Debug, Parser)]
#[command(name = "peelbox", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the spec of a source tree
    #[cfg(feature = "detect")]
    Detect(Box<DetectArgs>),
    /// Build an image from a spec
    Build(Box<BuildArgs>),
    /// Show what a build would do, without building
    Plan(Box<PlanArgs>),
    /// Show what is in an image file, and whether it is what it says
    Inspect(InspectArgs),
    /// Print the SBOM of an image file, or of what a build would make
    Sbom(Box<SbomArgs>),
    /// Show every place where a build could run, and which one it would take
    Doctor(Box<DoctorArgs>),
    /// Print the JSON Schema of the spec, or of `peelbox.toml`
    Schema(SchemaArgs),
    /// Removed: use `peelbox build`
    #[command(hide = true, disable_help_flag = true)]
    Frontend(RemovedArgs),
}

#[cfg(feature = "detect")]
#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// Folder with the source tree
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Write the spec to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite that file when it is there
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// Family of the base images
    #[arg(long, value_enum, default_value_t = Bases::Official)]
    pub(crate) base: Bases,
    /// Write this service alone, by its `metadata.project_name`
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Print why each decision was taken, in place of the spec
    #[arg(long)]
    pub(crate) explain: bool,
    /// How `--explain` prints
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text, requires = "explain")]
    pub(crate) format: ExplainFormat,
    /// Fail when a service has no start command
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write nothing: fail, with the difference, when a spec is not what is detected now [default: DIR/universalbuild.json]
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["output", "explain"])]
    pub(crate) check: Option<Option<PathBuf>>,
    /// Settings in place of DIR/peelbox.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) set: SetArgs,
}

/// What a person sets for one service.
#[cfg(feature = "detect")]
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// What runs, in place of what was found [env: PEELBOX_START_CMD]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) start_cmd: Option<String>,
    /// Command that builds, in place of those found; `...` stands for them; may be given several times [env: PEELBOX_BUILD_CMD]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) build_cmd: Vec<String>,
    /// Command that installs dependencies, likewise [env: PEELBOX_INSTALL_CMD]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) install_cmd: Vec<String>,
    /// Variable of the image; may be given several times [env: PEELBOX_ENV, one on each line]
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Packages of the image, on top of those found [env: PEELBOX_PACKAGES]
    #[arg(long, value_name = "NAME[,NAME]", value_delimiter = ',')]
    pub(crate) packages: Vec<String>,
    /// Packages of the build stage, likewise [env: PEELBOX_BUILD_PACKAGES]
    #[arg(long, value_name = "NAME[,NAME]", value_delimiter = ',')]
    pub(crate) build_packages: Vec<String>,
    /// Port it listens on [env: PEELBOX_PORT]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which file
    #[arg(value_enum, value_name = "FILE", default_value_t = SchemaOf::Spec)]
    pub(crate) of: SchemaOf,
}

/// Which spec of which project.
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    /// UniversalBuild spec; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: PathBuf,
    /// Service to take from a spec with several, by its `metadata.project_name`
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Folder with the source tree
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) context: PathBuf,
    /// Platform of the image, such as `linux/arm64` [default: the daemon's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,
    /// Program the image starts instead of the spec's: one word, or a JSON array
    #[arg(long, value_name = "COMMAND")]
    pub(crate) entrypoint: Option<String>,
    /// Run every step anew
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// A secret of `build.secrets`, from a file or with `,env=VARIABLE` from the environment; may be given several times
    #[arg(long, value_name = "id=ID[,src=FILE]")]
    pub(crate) secret: Vec<String>,
    #[command(flatten)]
    pub(crate) daemon: DaemonArgs,
}

/// Which daemon.
#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    /// Address of the BuildKit daemon: `unix://PATH`, `tcp://HOST:PORT`, `docker-container://NAME`, `ssh://HOST`, …
    /// [env: BUILDKIT_HOST] [default: the usual sockets, then the BuildKit inside Docker]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) buildkit: Option<String>,
    /// CA of a `tcp://` daemon that speaks TLS [env: PEELBOX_TLSCACERT]
    #[arg(long, value_name = "FILE")]
    pub(crate) tlscacert: Option<PathBuf>,
    /// Our certificate for it [env: PEELBOX_TLSCERT]
    #[arg(long, value_name = "FILE")]
    pub(crate) tlscert: Option<PathBuf>,
    /// The key of our certificate [env: PEELBOX_TLSKEY]
    #[arg(long, value_name = "FILE")]
    pub(crate) tlskey: Option<PathBuf>,
    /// Name its certificate must have, when that is not the address's [env: PEELBOX_TLSSERVERNAME]
    #[arg(long, value_name = "NAME")]
    pub(crate) tlsservername: Option<String>,
    /// Folder with `ca.pem`, `cert.pem`, `key.pem`, or `ca.crt`, `tls.crt`, `tls.key` [env: PEELBOX_TLSDIR]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tlscacert", "tlscert", "tlskey"])]
    pub(crate) tlsdir: Option<PathBuf>,
    /// How long a daemon may take to accept a connection
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) connect_timeout: u64,
    /// Wait for a daemon that is not there yet [default when given without a value: 60]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "60", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub(crate) wait: Option<u64>,
    /// Start a private `buildkitd` (found on PATH) when no daemon answers, and end it afterwards
    #[arg(long)]
    pub(crate) daemonless: bool,
    /// Configuration file for the daemon started by `--daemonless`
    #[arg(long, value_name = "FILE", requires = "daemonless")]
    pub(crate) buildkitd_config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    /// Name of the image, such as `app:1.2`; may be given several times
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(crate) tag: Vec<String>,
    /// Where the image goes: `type=docker` (into Docker; with `dest=FILE` a file for `docker load`), `type=oci,dest=FILE`
    /// (`-` is standard output), `type=image[,push=true]` (the builder keeps or pushes it), `type=registry`, or no image:
    /// `type=local,dest=DIR`, `type=tar,dest=FILE` (its files) or `type=none` [default: type=docker]
    #[arg(short, long, value_name = "type=TYPE[,KEY=VALUE]")]
    pub(crate) output: Option<String>,
    /// Push the image to the registries of its names: short for `--output type=registry`
    #[arg(long)]
    pub(crate) push: bool,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,
    /// Write digests and names of the result to a JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Write the image's id to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Which SBOM: `generator=IMAGE` lets the daemon run that scanner [default: the one that peelbox makes itself]
    #[arg(long, value_name = "generator=IMAGE", conflicts_with = "no_sbom")]
    pub(crate) sbom: Option<String>,
    /// Make no SBOM
    #[arg(long)]
    pub(crate) no_sbom: bool,
    /// Write the SBOM in another format too, beside the image
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) sbom_format: Option<SbomFormat>,
    /// How much the provenance tells: `min` or `max`, with `,version=v1` or `,version=v0.2` [default: max]
    #[arg(long, value_name = "MODE", conflicts_with = "no_provenance")]
    pub(crate) provenance: Option<String>,
    /// Make no provenance
    #[arg(long)]
    pub(crate) no_provenance: bool,
    /// Folder for SBOM and provenance of an image that cannot hold them [default: next to the file, or the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) attest_dir: Option<PathBuf>,
    /// Fail when the image cannot hold SBOM and provenance
    #[arg(long)]
    pub(crate) require_attestations: bool,
    /// Keep a record in the daemon's history (`docker buildx history`, `buildctl debug histories`)
    #[arg(long)]
    pub(crate) record: bool,
    /// Show nothing but errors; print the image's digest on standard output
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Say more: which daemon, which bases, what was sent
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Removed: the context is named by `--context`
    #[arg(long, value_name = "NAME", hide = true, num_args = 0..=1, default_missing_value = "context")]
    pub(crate) context_name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    /// Text for people, JSON for programs, or the LLB definition itself
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) format: PlanFormat,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) daemon: DaemonArgs,
    /// A table for people, JSON for programs
    #[arg(long, value_enum, default_value_t = DoctorFormat::Text)]
    pub(crate) format: DoctorFormat,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Image in a tar (`type=oci`, `type=docker,dest=…`, `docker save`), or an OCI image layout as a folder
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Text for people, JSON for programs
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub(crate) format: InspectFormat,
}

#[derive(Debug, Args)]
pub(crate) struct SbomArgs {
    /// Image in a tar (`type=oci`, `type=docker,dest=…`, `docker save`), or an OCI image layout as a folder
    #[arg(value_name = "FILE", required_unless_present = "spec", conflicts_with = "spec")]
    pub(crate) file: Option<PathBuf>,
    /// Which format
    #[arg(long, value_enum, default_value_t = SbomFormat::Spdx)]
    pub(crate) format: SbomFormat,
    /// Read the layers, also when the image has an SBOM
    #[arg(long, conflicts_with = "spec")]
    pub(crate) scan: bool,
    /// Platform of the image, such as `linux/arm64` [default: the only one; of a build the daemon's]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Build what this spec says, without an output; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Service to take from a spec with several, by its `metadata.project_name`
    #[arg(long, value_name = "NAME", requires = "spec")]
    pub(crate) service: Option<String>,
    /// Folder with the source tree
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) context: PathBuf,
    /// A secret of `build.secrets`, from a file or with `,env=VARIABLE` from the environment; may be given several times
    #[arg(long, value_name = "id=ID[,src=FILE]", requires = "spec")]
    pub(crate) secret: Vec<String>,
    /// How progress of a build is shown on standard error
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,
    #[command(flatten)]
    pub(crate) daemon: DaemonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemovedArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// `tty` on a terminal, else `plain`
    Auto,
    /// Lines, each as it comes
    Plain,
    /// A view that is redrawn
    Tty,
    /// Only errors
    Quiet,
    /// One JSON object per message of the daemon
    Rawjson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SbomFormat {
    /// SPDX 2.3, JSON
    Spdx,
    /// CycloneDX 1.6, JSON
    Cyclonedx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[cfg(feature = "detect")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bases {
    /// The language's official image
    Official,
    /// Wolfi, tools as apk packages
    Wolfi,
    /// Debian, tools as apt packages
    Debian,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// `universalbuild.json`
    Spec,
    /// `peelbox.toml`
    #[cfg(feature = "detect")]
    Settings,
}

#[cfg(feature = "detect")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DoctorFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// The definition's bytes, for `buildctl build --local context=. <plan.llb`
    Llb,
}
