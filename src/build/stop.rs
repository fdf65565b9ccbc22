//! The end of a build from another thread.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::delivery::Sink;
use crate::{
    grpc::{Cancel, Service},
    output,
    session::{
        RootCause,
        filesend::FileSend,
        folder::{FolderSend, Received},
    },
};

/// Ends a build from another thread; its clones are one switch.
#[derive(Clone, Default)]
pub struct Stop {
    cancel: Cancel,
    receivers: Arc<Mutex<Receivers>>,
}

/// What takes the result of a build on our side.
#[derive(Clone, Debug, Default)]
pub(super) struct Receivers {
    pub(super) file: Option<Arc<FileSend>>,
    pub(super) folder: Option<Arc<FolderSend>>,
}

impl Stop {
    /// Asks the daemon to cancel the build; [`run`](super::run) returns when it has.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether that was asked.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// The switch of [`Stop::cancel`], for a search for the daemon.
    pub fn switch(&self) -> &Cancel {
        &self.cancel
    }

    /// Removes what is half written, for a caller that leaves and does not wait for the end of the build.
    pub fn abandon(&self) {
        let receivers = self.receivers().clone();
        drop((receivers.take_file(), receivers.take_folder()));
    }

    pub(super) fn watch(&self, receivers: &Receivers) {
        *self.receivers() = receivers.clone();
    }

    fn receivers(&self) -> MutexGuard<'_, Receivers> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

impl Receivers {
    /// What the sink of a delivery needs, engines apart.
    pub(super) fn of(sink: &Sink, is_hashed: bool, root_cause: &RootCause) -> Self {
        let mut receivers = Self::default();
        match sink {
            Sink::Stream(dest) => {
                let send = FileSend::new(dest.clone(), root_cause.clone()).hashed(is_hashed);
                receivers.file = Some(Arc::new(send));
            }
            Sink::Folder(dest) => {
                let send = FolderSend::new(dest.clone(), is_hashed, root_cause.clone());
                receivers.folder = Some(Arc::new(send));
            }
            Sink::Nothing | Sink::Builder | Sink::BuilderEngine | Sink::Engine => {}
        }
        receivers
    }

    pub(super) fn service(&self) -> Option<Arc<dyn Service>> {
        let file = self.file.clone().map(|send| send as Arc<dyn Service>);
        file.or_else(|| self.folder.clone().map(|send| send as Arc<dyn Service>))
    }

    /// What came of a stream. Taken while bytes still come it ends their call, and dropped it leaves nothing.
    pub(super) fn take_file(&self) -> Option<output::Sink> {
        self.file.as_ref().and_then(|send| send.take())
    }

    /// The same of a folder.
    pub(super) fn take_folder(&self) -> Option<Received> {
        self.folder.as_ref().and_then(|send| send.take())
    }
}
