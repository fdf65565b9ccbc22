//! What is found out on threads of their own while the daemon plans and builds.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crate::{
    build::{image_memory::Known, image_sbom::read_lock_files, work::Request},
    connect::search::Reached,
    docker::load::EngineLoader,
    error::Error,
    sbom::Catalogue,
};

/// Of a thread that may have to shake hands with an encrypted engine.
const TLS_STACK_BYTES: usize = 2 << 20;

/// What is found out while the daemon plans and builds.
pub(crate) struct Ahead {
    /// What the lock files of the context say, if an SBOM is to be made.
    pub(crate) context: Later<Catalogue>,
    /// Whether the engine keeps SBOM and provenance in images, if that is open.
    pub(crate) is_inside: Later<Result<bool, Error>>,
}

impl Ahead {
    pub(crate) fn begin(
        request: &Arc<Request>,
        reached: &Arc<Reached>,
        loader: Option<&Arc<EngineLoader>>,
    ) -> io::Result<Self> {
        let makes_sbom = request.attest.makes_sbom(request.carrier());
        let context = makes_sbom.then(|| read_lock_files(Arc::clone(request)));
        let is_inside = request.carriage.is_open().then(|| {
            let (request, reached) = (Arc::clone(request), Arc::clone(reached));
            let loader = loader.cloned();
            let ask = move || keeps_attestations(&request, &reached, loader.as_deref());
            Later::begin("pbx-store", TLS_STACK_BYTES, ask)
        });
        Ok(Self {
            context: context.transpose()?.unwrap_or_default(),
            is_inside: is_inside.transpose()?.unwrap_or_default(),
        })
    }
}

/// Whether the engine keeps SBOM and provenance in images. To ask costs it 6 ms of work (29.8): so first it is looked whether
/// it has an image that is known to hold them, under the name that the new one shall have.
fn keeps_attestations(
    request: &Request,
    reached: &Reached,
    loader: Option<&EngineLoader>,
) -> Result<bool, Error> {
    let known = Known::new(request.cache_dir.as_deref());
    let before = loader.and_then(EngineLoader::before);
    if before.is_some_and(|image| known.of_image(&image.id).is_some()) {
        return Ok(true);
    }
    reached.engine_keeps_attestations()
}

/// An answer that will be there; it is taken once.
#[derive(Debug)]
pub(crate) struct Later<T>(Mutex<Option<JoinHandle<T>>>);

impl<T: Send + 'static> Later<T> {
    /// On a thread with that name, of which 15 bytes are seen, and a stack of so many bytes.
    pub(crate) fn begin(
        name: &str,
        stack_bytes: usize,
        find_out: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
        Ok(Self(Mutex::new(Some(thread.spawn(find_out)?))))
    }

    /// Waits for it; `None`: it was never begun, or taken before, or the thread gave up.
    pub(crate) fn take(&self) -> Option<T> {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.and_then(|thread| thread.join().ok())
    }
}

/// What was never begun.
impl<T> Default for Later<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_once() {
        let later = Later::begin("test", 1 << 20, || 7).unwrap();
        assert_eq!([later.take(), later.take()], [Some(7), None]);
        assert_eq!(Later::<i32>::default().take(), None);
    }
}
