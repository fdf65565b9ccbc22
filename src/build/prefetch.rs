//! What is found out on threads of their own while the daemon plans and builds.

use std::{io, path::Path, sync::Arc};

use super::{
    delivery::Decision, error::BuildError, image_memory::ImageMemory, image_sbom::read_lock_files,
    request::BuildRequest,
};
use crate::{
    docker::{Engine, load::EngineLoader},
    sbom::Catalogue,
    threads::{LARGE_STACK_BYTES, Later},
};

/// What is found out while the daemon plans and builds.
pub(super) struct Prefetch {
    /// What the lock files of the context say, if an SBOM is to be made.
    pub(super) context: Later<Catalogue>,
    /// Whether the engine keeps SBOM and provenance in images, if that is open.
    pub(super) is_inside: Later<Result<bool, BuildError>>,
}

impl Prefetch {
    pub(super) fn begin(
        request: &Arc<BuildRequest>,
        decision: &Decision,
        loader: Option<&Arc<EngineLoader>>,
    ) -> io::Result<Self> {
        let makes_sbom = decision.delivery().makes_sbom;
        let context = makes_sbom.then(|| read_lock_files(Arc::clone(request)));
        let is_inside = loader.filter(|_| decision.is_open()).map(|loader| {
            let (request, loader) = (Arc::clone(request), Arc::clone(loader));
            let ask = move || holds_attestations(request.cache_dir.as_deref(), &loader);
            Later::begin("pbx-store", LARGE_STACK_BYTES, ask)
        });
        Ok(Self {
            context: context.transpose()?.unwrap_or_default(),
            is_inside: is_inside.transpose()?.unwrap_or_default(),
        })
    }
}

/// Whether the engine keeps SBOM and provenance in images. To ask costs it 6 ms of work (29.8): so first it is looked whether
/// it has an image that is known to hold them, under the name that the new one shall have.
fn holds_attestations(cache_dir: Option<&Path>, loader: &EngineLoader) -> Result<bool, BuildError> {
    let before = loader.before();
    if before.is_some_and(|image| ImageMemory::new(cache_dir).of_image(&image.id).is_some()) {
        return Ok(true);
    }
    ask_engine(loader.engine())
}

/// Asks the engine whether it keeps SBOM and provenance with images: the classic store does not.
pub(super) fn ask_engine(engine: &Engine) -> Result<bool, BuildError> {
    engine
        .keeps_attestations()
        .map_err(|source| BuildError::Engine { place: engine.host.to_string(), source })
}
