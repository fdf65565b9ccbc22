//! The runtime stage: base, packages, artifacts.

use super::{
    PlanError, Planner,
    base::{Image, Stage},
    build::{Built, owner},
    script,
};
use crate::{
    llb::{
        Definition, State,
        op::{CopyAction, FileAction, Owner},
    },
    spec::{Artifact, BUILD_DIR, is_within},
};

/// More artifacts than this share layers: a snapshot stands on at most about 127 others.
pub const ARTIFACT_LAYERS_MAX: usize = 64;

/// Time of the files of the spec, 1980-01-02: the same files make the same layer, and a zip, which knows no time before
/// 1980, can hold it in all time zones.
const FILE_TIME_NS: i64 = 315_619_200 * 1_000_000_000;

/// The files of the image.
pub(super) struct Runtime {
    pub(super) state: State,
    /// What each layer on top of the base is, for the image's history.
    pub(super) layers: Vec<String>,
    /// What the image is made of, where it has a base.
    pub(super) parts: Option<Parts>,
}

/// An image in two parts: its base, and the layers that are put on top of it.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Names the content of the base: reference with digest, and platform.
    pub base: String,
    /// Graph of the base.
    pub base_definition: Definition,
    /// Layers of the base.
    pub base_layers: usize,
    /// Layers on top of it.
    pub layers: usize,
}

impl Planner<'_> {
    pub(super) fn runtime_stage(
        &mut self,
        base: &Image<'_>,
        built: &Built,
        label: &str,
    ) -> Result<Runtime, PlanError> {
        let root = self.base(base, label);
        let (mut state, installed) = self.install(base, root, Stage::Runtime)?;
        let mut layers: Vec<String> = installed.into_iter().collect();
        self.warn_of_hidden_caches();
        let artifacts = &self.spec.runtime.copy;
        let files = &self.spec.runtime.files;
        let files = self.files("runtime.files", files, Some(Owner::root()), Some(FILE_TIME_NS));
        let (above, below) =
            files.split(|file| artifacts.iter().any(|artifact| brings(artifact, &file.path)));
        let (written, what) = self.write(state, &below);
        state = written;
        layers.extend(what);
        let per_layer = artifacts.len().div_ceil(ARTIFACT_LAYERS_MAX).max(1);
        let mut workdir = self.own_workdir(base, root);
        for group in artifacts.chunks(per_layer) {
            let copies = group.iter().map(|artifact| self.copy(built, artifact));
            let actions: Vec<FileAction> = workdir.take().into_iter().chain(copies).collect();
            let names: Vec<String> = group.iter().map(arrow).collect();
            let what = format!("copy {}", names.join(", "));
            state = self.graph.file(state, &actions, &self.options.step(script::headline(&what)));
            layers.push(what);
        }
        let (state, what) = self.write(state, &above);
        layers.extend(what);
        let parts = self.parts(base, root, layers.len());
        Ok(Runtime { state, layers, parts })
    }

    /// Makes the working directory the user's, who may write in it then, though not change what is copied there. One that
    /// the base has stays as it is.
    fn own_workdir(&self, base: &Image<'_>, root: State) -> Option<FileAction> {
        let runtime = &self.spec.runtime;
        let path = runtime.workdir.clone().filter(|dir| dir != "/")?;
        let owner = owner(runtime.user.as_deref().unwrap_or_else(|| base.user()), root);
        // From scratch there are no names.
        let is_known = |owner: &Owner| base.config().is_some() || owner.names == State::SCRATCH;
        let owner = Some(owner.filter(is_known)?);
        Some(FileAction::Mkdir { path, mode: 0o755, owner, time_ns: Some(FILE_TIME_NS) })
    }

    fn parts(&self, base: &Image<'_>, root: State, layers: usize) -> Option<Parts> {
        let name = base.pinned();
        let base_layers = base.layers().filter(|_| name.contains('@'))?;
        let base = format!("{name} {}", self.options.platform);
        Some(Parts { base, base_definition: self.graph.definition(root), base_layers, layers })
    }

    /// As `COPY` does it: a folder gives its content, files belong to root. A pattern may match
    /// several files, so its destination is always a folder.
    fn copy(&self, built: &Built, artifact: &Artifact) -> FileAction {
        let (from, src) = built.find(&self.spec.build.cache, &artifact.from);
        let wildcard = script::is_glob(&artifact.from);
        let mut dest = artifact.to.clone();
        if wildcard && !dest.ends_with('/') {
            dest.push('/');
        }
        let owner = Some(Owner::root());
        FileAction::Copy(CopyAction { from, src, dest, wildcard, owner, ..CopyAction::default() })
    }

    fn warn_of_hidden_caches(&mut self) {
        for (index, artifact) in self.spec.runtime.copy.iter().enumerate() {
            for cache in &self.spec.build.cache {
                if artifact.from != *cache && is_within(cache, &artifact.from) {
                    self.warnings.push(format!(
                        "`runtime.copy[{index}]`: `{}` is copied without the cache `{cache}` in it",
                        artifact.from
                    ));
                }
            }
        }
    }
}

/// Whether an artifact may put something at `path`.
fn brings(artifact: &Artifact, path: &str) -> bool {
    let to = artifact.to.trim_end_matches('/');
    to.is_empty() || is_within(path, to)
}

/// `dist → /app/dist`
fn arrow(artifact: &Artifact) -> String {
    let from = match artifact.from.strip_prefix(BUILD_DIR) {
        Some("") => ".",
        Some(rest) => rest.strip_prefix('/').unwrap_or(&artifact.from),
        None => &artifact.from,
    };
    format!("{from} → {}", artifact.to)
}
