//! What all threads of one transfer share.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

use super::{
    Counters, Sink, SinkClosed, error::TransferError, inbox::Inbox, root::Root, table::Table,
};

/// What all threads of one transfer share.
pub(super) struct Transfer<'a> {
    pub(super) root: &'a Root,
    pub(super) inbox: &'a Inbox,
    pub(super) sink: &'a dyn Sink,
    /// Of the whole build.
    pub(super) counters: &'a Counters,
    table: Mutex<Table>,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        root: &'a Root,
        inbox: &'a Inbox,
        sink: &'a dyn Sink,
        counters: &'a Counters,
    ) -> Self {
        Self { root, inbox, sink, counters, table: Mutex::default() }
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, of: impl Fn(&Counters) -> &AtomicU64, more: u64) {
        of(self.counters).fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn send(&self, frames: Bytes) -> Result<(), TransferError> {
        self.count(|counters| &counters.bytes_sent, frames.len() as u64);
        self.sink.send(frames).map_err(|SinkClosed| TransferError::Closed)
    }
}
