//! What is known of the steps of a build, for the one that fails.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use super::error::Steps;
use crate::{
    llb::{self, Definition},
    progress::StatusUpdate,
};

/// Steps whose names are known; a spec makes some dozens.
const STEPS_MAX: usize = 5000;
/// As much of a name as a message needs.
const NAME_CHARS_MAX: usize = 1000;

/// The steps that the daemon has told of, and the graph they are of.
#[derive(Debug, Default)]
pub(super) struct SeenSteps {
    names: Mutex<BTreeMap<String, String>>,
    graph: OnceLock<Definition>,
}

impl SeenSteps {
    pub(super) fn see(&self, update: &StatusUpdate) {
        if update.vertexes.is_empty() {
            return;
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for vertex in &update.vertexes {
            if names.len() < STEPS_MAX || names.contains_key(&vertex.digest.0) {
                let name = vertex.name.chars().take(NAME_CHARS_MAX).collect();
                names.insert(vertex.digest.0.clone(), name);
            }
        }
    }

    pub(super) fn planned(&self, graph: &Definition) {
        // A build plans once.
        drop(self.graph.set(graph.clone()));
    }
}

impl Steps for SeenSteps {
    fn name(&self, digest: &str) -> Option<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn fetches_image(&self, digest: &str) -> bool {
        self.graph.get().is_some_and(|graph| llb::fetches_image(graph, digest))
    }
}
