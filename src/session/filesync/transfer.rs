//! One DiffCopy exchange, the sender's side: announce the tree, send what is asked for.
//!
//! Two threads at most: the caller walks and then sends data; a helper sends data as soon as
//! there are requests. More data threads gained nothing in trials, nor did a walk ahead.

use std::{
    collections::HashMap,
    mem,
    thread::{self, Scope, ScopedJoinHandle},
};

use rustix::fs::FileType;

use super::{
    BATCH_BYTES, MESSAGE_BYTES_MAX, SinkClosed,
    buffers::Buffers,
    data::{Step, Worker},
    error::TransferError,
    filter::Filter,
    gopath::base,
    inbox::Inbox,
    shared::Transfer,
    table::{Fresh, NameId, NodeId},
    walk::{Entry, Visit, walk},
    wire,
};
use crate::threads::{STACK_BYTES, spawn_scoped};

impl Transfer<'_> {
    /// Runs the exchange to its end.
    pub(super) fn run(&self, filter: &Filter) -> Result<(), TransferError> {
        thread::scope(|scope| {
            let _alarm = Alarm(self.inbox);
            let mut announcer =
                Announcer::new(self, Helper { transfer: self, scope, handle: None });
            let announced = walk(self.root, filter, &mut announcer).and_then(|()| announcer.end());
            let Announcer { mut helper, .. } = announcer;
            let served = announced.and_then(|()| self.serve_after_walk(&mut helper));
            if let Err(error) = served {
                self.inbox.stop(error);
            }
            if helper.handle.is_some_and(|handle| handle.join().is_err()) {
                self.inbox.stop(TransferError::Panicked);
            }
        });
        if let Some(failure) = self.inbox.take_failure() {
            return Err(failure);
        }
        // The daemon sends FIN when it has everything, and waits for ours (fsutil send.go, `run`).
        self.sink
            .send(wire::fin_frame())
            .map_err(|SinkClosed| self.inbox.take_failure().unwrap_or(TransferError::Closed))?;
        Ok(())
    }

    /// The caller becomes a data thread itself; a second one helps if there is enough to do.
    fn serve_after_walk(&self, helper: &mut Helper<'_, '_, '_>) -> Result<(), TransferError> {
        let mut worker = Worker::new(self);
        loop {
            if self.inbox.waiting() > 1 {
                helper.start();
            }
            match worker.poll()? {
                Step::Done => return Ok(()),
                Step::Again => {}
            }
        }
    }

    fn serve(&self) {
        let _alarm = Alarm(self.inbox);
        let mut worker = Worker::new(self);
        loop {
            match worker.poll() {
                Ok(Step::Again) => {}
                Ok(Step::Done) => return,
                Err(error) => return self.inbox.stop(error),
            }
        }
    }
}

/// Ends the waiting of the other threads when its own one panics.
struct Alarm<'a>(&'a Inbox);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop(TransferError::Panicked);
        }
    }
}

/// The second thread, started when there is something to do for it.
struct Helper<'scope, 'env, 'a> {
    transfer: &'scope Transfer<'a>,
    scope: &'scope Scope<'scope, 'env>,
    handle: Option<ScopedJoinHandle<'scope, ()>>,
}

impl Helper<'_, '_, '_> {
    /// Without a thread to be had the caller does all the work.
    fn start(&mut self) {
        if self.handle.is_none() {
            let transfer = self.transfer;
            let serve = || transfer.serve();
            self.handle = spawn_scoped(self.scope, "pbx-data", STACK_BYTES, serve).ok();
        }
    }
}

/// Turns the entries of the walk into batches of STAT packets.
struct Announcer<'scope, 'env, 'a> {
    transfer: &'scope Transfer<'a>,
    helper: Helper<'scope, 'env, 'a>,
    buffers: Buffers,
    batch: Vec<u8>,
    fresh: Fresh,
    entries: u32,
    entries_counted: u32,
    /// The first entry of each inode that has several names, by device and inode.
    links: HashMap<u64, HashMap<u64, NameId>>,
}

impl<'scope, 'env, 'a> Announcer<'scope, 'env, 'a> {
    fn new(transfer: &'scope Transfer<'a>, helper: Helper<'scope, 'env, 'a>) -> Self {
        let mut buffers = Buffers::new(BATCH_BYTES);
        Self {
            transfer,
            helper,
            batch: buffers.take(),
            buffers,
            fresh: Fresh::default(),
            entries: 0,
            entries_counted: 0,
            links: HashMap::new(),
        }
    }

    /// Says that there are no more entries.
    fn end(&mut self) -> Result<(), TransferError> {
        self.batch.extend_from_slice(&wire::LAST_STAT);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        let transfer = self.transfer;
        let files = {
            let mut table = transfer.table();
            table.publish(&mut self.fresh);
            table.files()
        };
        transfer.inbox.set_announced(files);
        let more = self.entries - mem::replace(&mut self.entries_counted, self.entries);
        transfer.count(|counters| &counters.entries, u64::from(more));
        let full = mem::take(&mut self.batch);
        transfer.send(self.buffers.lend(full))?;
        self.batch = self.buffers.take();
        if transfer.inbox.waiting() > 0 {
            self.helper.start();
        }
        Ok(())
    }

    /// The path of the entry that `entry` is a hard link to, if that was announced; else takes
    /// note of it as the first one.
    fn first_of(
        &mut self,
        at: NameId,
        entry: &Entry<'_>,
    ) -> Result<Option<Vec<u8>>, TransferError> {
        let (device, inode) = entry.facts.inode;
        let Some(&first) = self.links.get(&device).and_then(|links| links.get(&inode)) else {
            self.links.entry(device).or_default().insert(inode, at);
            return Ok(None);
        };
        let mut table = self.transfer.table();
        table.publish(&mut self.fresh);
        Ok(Some(table.path(first)))
    }
}

impl Visit for Announcer<'_, '_, '_> {
    fn visit(&mut self, parent: NodeId, entry: &Entry<'_>) -> Result<NodeId, TransferError> {
        let id = self.entries;
        self.entries = id.checked_add(1).ok_or(TransferError::TooManyEntries)?;
        let mut node = NodeId::ROOT;
        let mut link = None;
        match entry.facts.file_type() {
            FileType::Directory => node = self.fresh.add_dir(parent, base(entry.path))?,
            FileType::Symlink => {}
            file_type => {
                // A socket is announced as an empty regular file: fsutil stat.go, `mkstat`.
                let is_file = matches!(file_type, FileType::RegularFile | FileType::Socket);
                if is_file || entry.facts.links > 1 {
                    let at = self.fresh.add_name(parent, base(entry.path))?;
                    if entry.facts.links > 1 {
                        link = self.first_of(at, entry)?;
                    }
                    if is_file && link.is_none() {
                        self.fresh.add_file(id, at, entry.facts.fingerprint());
                    }
                }
            }
        }
        let linked = Entry { linkname: link.as_deref().unwrap_or(entry.linkname), ..*entry };
        let len_max = wire::stat_len_max(&linked);
        if len_max > MESSAGE_BYTES_MAX {
            return Err(TransferError::too_large(entry.path));
        }
        if self.batch.len() + len_max > BATCH_BYTES && !self.batch.is_empty() {
            self.flush()?;
        }
        wire::put_stat(&mut self.batch, &linked);
        Ok(node)
    }

    fn check(&mut self) -> Result<(), TransferError> {
        if self.transfer.inbox.is_stopped() { Err(TransferError::Closed) } else { Ok(()) }
    }
}
