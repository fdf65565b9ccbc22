//! Spec and platform → the graph of steps and the image config. No I/O, no randomness, no clock.
//!
//! Planning has two stages, because the configs of the bases come from the daemon:
//! [`bases`] says what must be resolved, [`Plan::new`] makes the graph from the answers.
//!
//! # The graph
//!
//! * The build stage is two chains of snapshots. The *root* is the base with its packages; the
//!   *work tree* is mounted at `/build` and is not part of the root. Every command is a step of
//!   its own with both as inputs and both as outputs.
//! * The work tree starts as a copy of the context made in the daemon by a file step, keyed by
//!   content. Mounting the context itself writable would save that copy, but a writable mount
//!   makes the daemon freeze its copy of the context (`cache/refs.go`, `finalize`), so that the
//!   next build has to send everything again. Seen with v0.32.2, 5,000 files and 108 MB: after
//!   every run of a command all 108 MB crossed again; with the copy 0.13 MB, the file list.
//! * A dependency step sees its files alone; the whole context comes over them later and leaves
//!   what the commands made (`node_modules`) in place, as `COPY . .` does.
//! * Commands run in `/build`, where the context root is, whatever `metadata.path` says: a
//!   command that belongs in a sub-folder names it itself.
//! * Artifacts are file steps: from the work tree when their path is below `/build`, else from
//!   the root. What lies in a cache mount is in neither; the last command then copies it to an
//!   output of its own, in the same step, so that a cached step and its artifact stay together.
//!   A folder that *contains* a cache mount is copied without what is in the mount.
//! * Where no command runs and no file of the spec belongs in the work tree there is none: artifacts
//!   come from the context directly.
//! * Files of `build.files` are in every state that a command sees: what belongs in the work tree is
//!   copied over the context by the step that copies the context, the rest comes after the packages.
//! * One layer per artifact, as for `COPY`: an unchanged artifact keeps its layer.
//!   From [`ARTIFACT_LAYERS_MAX`] on, neighbours share one.
//! * Files of `runtime.files` are at most two layers: those that no artifact can bring below the
//!   artifacts, so that a change of the sources leaves their layer, and the others above them.

mod base;
mod build;
mod caches;
mod error;
mod files;
mod image;
mod os_release;
mod packages;
mod print;
mod runtime;
mod script;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    llb::{Definition, Graph, op::Meta},
    spec::{Base, UniversalBuild},
};

pub use crate::llb::op::{Platform, PlatformError};
#[doc(hidden)]
pub use crate::os_release::fuzz_os_release;
pub use base::{BaseRequest, Lookup, ResolvedBase, ResolvedBases, Stage, bases, source_definition};
pub use build::context_definition;
pub use error::PlanError;
pub use print::{Copy, Step};
pub use runtime::{ARTIFACT_LAYERS_MAX, Parts};

/// Name by which the session serves the context (`buildctl build --local context=DIR`).
pub const CONTEXT_NAME: &str = "context";

/// All that a plan depends on besides the spec and the bases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What the image is for.
    pub platform: Platform,
    /// Shown in front of every step, and the default title of the image.
    pub service: String,
    /// Stable text that tells this project from others: caches below `/build` are its own.
    pub project: String,
    /// Replaces `runtime.command`; see [`parse_entrypoint`].
    pub entrypoint: Option<Vec<String>>,
    /// Runs every step anew. The daemon empties the cache mounts of such steps too.
    pub no_cache: bool,
    /// `SOURCE_DATE_EPOCH`, in seconds: the image's time of creation, before `created`.
    pub source_date_epoch: Option<i64>,
    /// The image's time of creation. Without it the daemon takes the time of the last layer, so
    /// that a rebuild of nothing gives the same image.
    pub created: Option<Timestamp>,
    /// Revision of the source, such as a commit.
    pub revision: Option<String>,
    /// Labels on top of `runtime.labels`.
    pub labels: BTreeMap<String, String>,
    /// Annotations on top of the plan's own.
    pub annotations: BTreeMap<String, String>,
    /// Session that serves the context and local bases. Without it the definition depends on the
    /// input alone, but two builds that run at once share their context.
    pub session: Option<String>,
    /// What the context leaves out, `.dockerignore` syntax, `build.exclude` included.
    pub exclude: Vec<String>,
    /// Names the daemon's copy of the context.
    pub shared_key_hint: Option<String>,
    /// LLB capabilities that the daemon has.
    pub caps: BTreeSet<String>,
    /// What the daemon has under the name of a base will do, as in `docker build`; else the registry is asked.
    pub prefers_local_images: bool,
    /// The image is for Docker: `runtime.health` becomes a health check, which OCI images do not have.
    pub is_for_docker: bool,
}

impl Options {
    /// Options with nothing switched on.
    pub fn new(platform: Platform, service: impl Into<String>) -> Self {
        Self {
            platform,
            service: service.into(),
            project: String::new(),
            entrypoint: None,
            no_cache: false,
            source_date_epoch: None,
            created: None,
            revision: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            session: None,
            exclude: Vec::new(),
            shared_key_hint: None,
            caps: BTreeSet::new(),
            prefers_local_images: false,
            is_for_docker: false,
        }
    }

    /// Display name and cache switch of a step: `[service] what`.
    fn step(&self, what: impl std::fmt::Display) -> Meta {
        Meta { name: Some(format!("[{}] {what}", self.service)), ignore_cache: self.no_cache }
    }

    fn lookup(&self) -> Lookup<'_> {
        Lookup {
            platform: &self.platform,
            session: self.session.as_deref(),
            prefers_local: self.prefers_local_images,
        }
    }

    fn created(&self) -> Option<Timestamp> {
        match self.source_date_epoch.map(Timestamp::from_second) {
            Some(Ok(epoch)) => Some(epoch),
            // `Plan::new` has refused an epoch that is no time.
            Some(Err(_)) | None => self.created,
        }
    }
}

/// What will be done, and what the image will say about itself.
#[derive(Clone, Debug)]
pub struct Plan {
    service: String,
    platform: Platform,
    bases: Vec<(Stage, String)>,
    definition: Definition,
    image_config: serde_json::Value,
    base_config: Option<Vec<u8>>,
    annotations: BTreeMap<String, String>,
    warnings: Vec<String>,
    parts: Option<Parts>,
}

impl Plan {
    /// Plans one service.
    ///
    /// # Errors
    /// [`PlanError`] names the field of the spec and has a hint.
    pub fn new(
        spec: &UniversalBuild,
        resolved: &ResolvedBases,
        options: &Options,
    ) -> Result<Self, PlanError> {
        check(spec, options)?;
        let build_base = base::Image::of(&spec.build.base, resolved, &options.platform)?;
        let runtime_base = base::Image::of(&spec.runtime.base, resolved, &options.platform)?;
        let mut planner = Planner { spec, options, graph: Graph::new(), warnings: Vec::new() };
        let same = spec.build.base == spec.runtime.base;
        let build = planner.build_stage(&build_base, if same { "" } else { " build" })?;
        let runtime =
            planner.runtime_stage(&runtime_base, &build, if same { "" } else { " runtime" })?;

        let mut warnings = planner.warnings;
        for (stage, base) in [(Stage::Build, &build_base), (Stage::Runtime, &runtime_base)] {
            if base.has_triggers() {
                warnings.push(format!(
                    "`{}.base`: the ONBUILD triggers of `{}` do not run",
                    stage.name(),
                    base.display()
                ));
            }
        }
        let bases = [(Stage::Build, &build_base), (Stage::Runtime, &runtime_base)]
            .map(|(stage, base)| (stage, base.pinned()));
        Ok(Self {
            service: options.service.clone(),
            platform: options.platform.clone(),
            bases: bases.into(),
            definition: planner.graph.definition(runtime.state),
            image_config: image::config(&runtime_base, &spec.runtime, options, &runtime.layers),
            base_config: runtime_base.config_bytes(),
            annotations: image::annotations(&runtime_base, options),
            warnings,
            parts: runtime.parts,
        })
    }

    /// The steps for the daemon; empty if the image has no files.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// OCI image config (JSON), without the layers: the daemon adds them
    /// (exporter attribute or result metadata `containerimage.config`).
    pub fn image_config(&self) -> Vec<u8> {
        self.image_config.to_string().into_bytes()
    }

    /// Config of the runtime base as it came, for `containerimage.base.config`: with it a
    /// `SOURCE_DATE_EPOCH` leaves the base's layers alone.
    pub fn base_config(&self) -> Option<&[u8]> {
        self.base_config.as_deref()
    }

    /// Annotations for the manifest.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// Where each stage starts, with the digest.
    pub fn bases(&self) -> impl Iterator<Item = (Stage, &str)> {
        self.bases.iter().map(|(stage, base)| (*stage, base.as_str()))
    }

    /// The two parts of which the image is made; none of an image without base.
    pub fn parts(&self) -> Option<&Parts> {
        self.parts.as_ref()
    }

    /// What the image is for.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// What a user may want to know before the build; one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// A graph in the making.
struct Planner<'a> {
    spec: &'a UniversalBuild,
    options: &'a Options,
    graph: Graph,
    warnings: Vec<String>,
}

/// Reads `--entrypoint`: a JSON array is taken as it is, anything else is the name of one program.
///
/// A text with spaces is neither, because it could mean two things: nothing is split here.
///
/// # Errors
/// [`PlanError::Entrypoint`].
pub fn parse_entrypoint(text: &str) -> Result<Vec<String>, PlanError> {
    let bad = || PlanError::Entrypoint { text: text.to_owned() };
    let words = match text.trim_start().starts_with('[') {
        true => serde_json::from_str::<Vec<String>>(text).map_err(|_| bad())?,
        false if text.contains(char::is_whitespace) => return Err(bad()),
        false => vec![text.to_owned()],
    };
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(bad()),
    }
}

/// What no graph can be made of.
fn check(spec: &UniversalBuild, options: &Options) -> Result<(), PlanError> {
    if options.platform.os != "linux" {
        return Err(PlanError::Platform { platform: options.platform.clone() });
    }
    if let Some(epoch) = options.source_date_epoch
        && Timestamp::from_second(epoch).is_err()
    {
        return Err(PlanError::Epoch { epoch });
    }
    if spec.build.base == Base::Scratch {
        if let Some(field) = first_command(spec) {
            return Err(PlanError::ScratchCommands { field });
        }
        if !spec.build.packages.is_empty() {
            return Err(PlanError::ScratchPackages { field: "build.packages" });
        }
    }
    if spec.runtime.base == Base::Scratch && !spec.runtime.packages.is_empty() {
        return Err(PlanError::ScratchPackages { field: "runtime.packages" });
    }
    caches::check(spec)
}

/// Field of the first command that runs in the build stage.
fn first_command(spec: &UniversalBuild) -> Option<String> {
    let step = spec.build.dependencies.iter().position(|step| !step.commands.is_empty());
    match step {
        Some(step) => Some(format!("build.dependencies[{step}].commands")),
        None if spec.build.commands.is_empty() => None,
        None => Some("build.commands".to_owned()),
    }
}

#[cfg(test)]
mod tests;
