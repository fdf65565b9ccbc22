//! Cache mounts: their names, and artifacts that lie in one.
//!
//! A cache outside of `/build` belongs to a tool (`/root/.npm`), so it is shared by all projects
//! with the same base and platform: what pip or npm built against one libc is of no use to
//! another. Two builds may use it at once; tools lock their caches themselves.
//! A cache below `/build` holds what one service of one project has built (`/build/target`): it
//! is shared with nobody, and a second build of the same service waits.
//! The daemon leaves these names out of the cache keys of the steps
//! (`solver/llbsolver/ops/exec.go`, `checkShouldClearCacheOpts`).

use super::{PlanError, Planner, base::Image, script};
use crate::{
    llb::{
        State,
        op::{FileAction, Mount, MountKind, Owner, Sharing},
    },
    spec::{BUILD_DIR, UniversalBuild, is_within},
};

/// Whether an artifact lies in one of the cache mounts, so that no snapshot has it.
pub(super) fn holds(caches: &[String], artifact: &str) -> bool {
    caches.iter().any(|cache| is_within(artifact, cache))
}

/// Refuses caches that hide the stage, and artifacts that nobody puts into a cache.
pub(super) fn check(spec: &UniversalBuild) -> Result<(), PlanError> {
    for (index, path) in spec.build.cache.iter().enumerate() {
        if is_within(BUILD_DIR, path) {
            return Err(PlanError::CachePath { index, path: path.clone() });
        }
    }
    if super::first_command(spec).is_some() {
        return Ok(());
    }
    for (index, artifact) in spec.runtime.copy.iter().enumerate() {
        if holds(&spec.build.cache, &artifact.from) {
            return Err(PlanError::CachedArtifact { index, path: artifact.from.clone() });
        }
    }
    Ok(())
}

impl Planner<'_> {
    /// The cache mounts of a build command.
    pub(super) fn cache_mounts(&mut self, base: &Image<'_>, owner: Option<&Owner>) -> Vec<Mount> {
        if self.spec.build.cache.is_empty() {
            return Vec::new();
        }
        let (from, selector) = self.owned_dir(owner);
        let user = if owner.is_some() { base.user() } else { "" };
        let mount = |path: &String| {
            let own = is_within(path, BUILD_DIR);
            let scope = match own {
                true => format!("{}/{}", self.options.project, self.options.service),
                false => String::new(),
            };
            let id = self.cache_id(base, &[&scope, user, path]);
            let sharing = if own { Sharing::Locked } else { Sharing::Shared };
            let selector = selector.clone();
            Mount { dest: path.clone(), kind: MountKind::Cache { id, sharing, from, selector } }
        };
        self.spec.build.cache.iter().map(mount).collect()
    }

    pub(super) fn cache_id(&self, base: &Image<'_>, parts: &[&str]) -> String {
        let mut id = format!("peelbox {} {}", self.options.platform, base.display());
        for part in parts.iter().filter(|part| !part.is_empty()) {
            id.push(' ');
            id.push_str(part);
        }
        id
    }

    /// An empty folder that the commands may write to: state and sub-folder.
    ///
    /// An empty state belongs to root; another user needs a folder of its own in it.
    pub(super) fn owned_dir(&mut self, owner: Option<&Owner>) -> (State, String) {
        let Some(owner) = owner else { return (State::SCRATCH, String::new()) };
        let path = "/owned".to_owned();
        let owner = Some(owner.clone());
        let mkdir = FileAction::Mkdir { path: path.clone(), mode: 0o755, owner, time_ns: None };
        let meta = self.options.step("make folders of the build's user");
        (self.graph.file(State::SCRATCH, &[mkdir], &meta), path)
    }
}

/// Arguments that run `command` and then copy `artifacts` below `to`, each under its own path.
///
/// The command line is passed on as arguments, so nothing in it is quoted anew.
pub(super) fn keep_artifacts(command: Vec<String>, artifacts: &[String], to: &str) -> Vec<String> {
    let paths: Vec<String> =
        artifacts.iter().map(|path| script::quote_glob(&format!(".{path}"))).collect();
    let script = format!(
        "\"$@\" && cd / && for p in {}; do \
         mkdir -p \"{to}/${{p%/*}}\" && cp -a \"$p\" \"{to}/${{p%/*}}/\" || exit 1; done",
        paths.join(" ")
    );
    let mut args = ["/bin/sh", "-c", &script, "peelbox"].map(str::to_owned).to_vec();
    args.extend(command);
    args
}
