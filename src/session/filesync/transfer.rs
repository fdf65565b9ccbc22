//! One DiffCopy exchange, the sender's side: announce the tree, send what is asked for.
//!
//! Two threads at most: the caller walks and then sends data; a helper sends data as soon as
//! there are requests. More data threads gained nothing in trials, nor did a walk ahead.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Builder, Scope, ScopedJoinHandle},
};

use bytes::{Bytes, BytesMut};
use rustix::{
    buffer::spare_capacity,
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat},
    io::{Errno, read, retry_on_intr},
};

use super::{
    BATCH_BYTES, CHUNK_BYTES, Counters, MESSAGE_BYTES_MAX, Report, Sink, SinkClosed,
    error::TransferError,
    filter::Filter,
    gopath::base,
    inbox::{Inbox, Task},
    root::Root,
    table::{Asked, Fresh, NameId, NodeId, Table},
    walk::{Entry, Facts, Visit, walk},
    wire,
};

const STACK_BYTES: usize = 256 << 10;

/// With less room left a batch is sent before the next file is begun.
const ROOM_BYTES_MIN: usize = 8 << 10;

/// Buffers of one thread that may be on their way out at the same time.
const LENT_MAX: usize = 4;

const _: () = assert!(CHUNK_BYTES + wire::DATA_MARGIN_BYTES <= wire::DATA_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES + 2 * wire::DATA_MARGIN_BYTES <= MESSAGE_BYTES_MAX);
const _: () = assert!(ROOM_BYTES_MIN + 2 * wire::DATA_MARGIN_BYTES < BATCH_BYTES);

/// What all threads of one transfer share.
pub(super) struct Transfer<'a> {
    pub(super) root: &'a Root,
    pub(super) inbox: &'a Inbox,
    pub(super) sink: &'a dyn Sink,
    /// Of the whole build.
    pub(super) counters: &'a Counters,
    /// Of this transfer.
    own: Counters,
    table: Mutex<Table>,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        root: &'a Root,
        inbox: &'a Inbox,
        sink: &'a dyn Sink,
        counters: &'a Counters,
    ) -> Self {
        let (own, table) = (Counters::default(), Mutex::default());
        Self { root, inbox, sink, counters, own, table }
    }

    /// Runs the exchange to its end.
    pub(super) fn run(&self, filter: &Filter<'_>) -> Result<Report, TransferError> {
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
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Report {
            entries: load(&self.own.entries),
            files: load(&self.own.requested),
            bytes_sent: load(&self.own.bytes_sent),
        })
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

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, of: impl Fn(&Counters) -> &AtomicU64, more: u64) {
        of(self.counters).fetch_add(more, Ordering::Relaxed);
        of(&self.own).fetch_add(more, Ordering::Relaxed);
    }

    fn send(&self, frames: Bytes) -> Result<(), TransferError> {
        self.count(|counters| &counters.bytes_sent, frames.len() as u64);
        self.sink.send(frames).map_err(|SinkClosed| TransferError::Closed)
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
            let builder = Builder::new().name("pbx-data".to_owned()).stack_size(STACK_BYTES);
            let transfer = self.transfer;
            self.handle = builder.spawn_scoped(self.scope, || transfer.serve()).ok();
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

enum Step {
    Again,
    Done,
}

/// Sends the files that are asked for, small ones many to a batch.
struct Worker<'t, 'a> {
    transfer: &'t Transfer<'a>,
    small: Buffers,
    large: Buffers,
    batch: Vec<u8>,
    name: Vec<u8>,
    /// The directory of the last file, open: the next one is mostly in the same.
    dir: Option<(NodeId, OwnedFd)>,
}

impl<'t, 'a> Worker<'t, 'a> {
    fn new(transfer: &'t Transfer<'a>) -> Self {
        Self {
            transfer,
            small: Buffers::new(BATCH_BYTES),
            large: Buffers::new(CHUNK_BYTES + wire::DATA_MARGIN_BYTES),
            batch: Vec::new(),
            name: Vec::new(),
            dir: None,
        }
    }

    /// Serves one request; waits for it if there is none, after sending what is collected.
    fn poll(&mut self) -> Result<Step, TransferError> {
        let mut task = self.transfer.inbox.poll_task();
        if task == Task::Idle {
            self.flush()?;
            task = self.transfer.inbox.wait_task();
        }
        match task {
            Task::Send(id) => {
                self.transfer.count(|counters| &counters.requested, 1);
                let asked = self.transfer.table().ask(id, &mut self.name)?;
                self.send_file(id, &asked)?;
                Ok(Step::Again)
            }
            // A daemon that says FIN has everything: there is nothing left to flush.
            Task::Idle | Task::Finish => Ok(Step::Done),
        }
    }

    fn send_file(&mut self, id: u32, asked: &Asked) -> Result<(), TransferError> {
        let opened = self.open(asked.dir);
        let file = match opened {
            Ok(file) => file,
            Err(Errno::NXIO) if self.is_same_socket(asked) => return self.end_file(id),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(TransferError::changed(&self.path(asked)));
            }
            Err(errno) => return Err(TransferError::open(&self.path(asked), errno)),
        };
        let size = match self.send_first(id, asked, file.as_fd())? {
            Sent::All => return self.end_file(id),
            Sent::Part { size, sent } => self.send_rest(id, asked, file.as_fd(), size, sent)?,
        };
        let facts = fstat(&file).map_err(|errno| TransferError::read(&self.path(asked), errno))?;
        let facts = Facts::new(&facts);
        if facts.size != size || facts.fingerprint() != asked.fingerprint {
            return Err(TransferError::changed(&self.path(asked)));
        }
        self.end_file(id)
    }

    /// Reads as much as the batch has room for, then looks whether that was all, and whether it
    /// still is the announced file: for a small file that makes four system calls in all.
    fn send_first(
        &mut self,
        id: u32,
        asked: &Asked,
        file: BorrowedFd<'_>,
    ) -> Result<Sent, TransferError> {
        self.make_room(ROOM_BYTES_MIN)?;
        let sent = self.read_data(id, file);
        let facts = fstat(file).map(|stat| Facts::new(&stat));
        let facts = facts.map_err(|errno| TransferError::read(&self.path(asked), errno))?;
        if facts.fingerprint() != asked.fingerprint {
            return Err(TransferError::changed(&self.path(asked)));
        }
        let sent = sent.map_err(|errno| TransferError::read(&self.path(asked), errno))?;
        match sent == facts.size {
            true => Ok(Sent::All),
            false => Ok(Sent::Part { size: facts.size, sent }),
        }
    }

    /// Sends what follows the first `sent` bytes; gives how many there were in all.
    fn send_rest(
        &mut self,
        id: u32,
        asked: &Asked,
        file: BorrowedFd<'_>,
        size: u64,
        mut sent: u64,
    ) -> Result<u64, TransferError> {
        self.transfer.inbox.share();
        while sent < size {
            if self.transfer.inbox.is_stopped() {
                return Err(TransferError::Closed);
            }
            self.flush()?;
            let is_large = size - sent > BATCH_BYTES as u64;
            self.batch = if is_large { self.large.take() } else { self.small.take() };
            let len = self.read_data(id, file);
            let len = len.map_err(|errno| TransferError::read(&self.path(asked), errno))?;
            if len == 0 {
                break;
            }
            sent += len;
        }
        Ok(sent)
    }

    /// Reads into the room that is left, up to the end of the file, as one DATA packet.
    fn read_data(&mut self, id: u32, file: BorrowedFd<'_>) -> Result<u64, Errno> {
        let start = self.batch.len();
        wire::put_data_head(&mut self.batch, id);
        let head_len = self.batch.len() - start;
        let mut result = Ok(0);
        while self.batch.len() < self.batch.capacity() {
            match retry_on_intr(|| read(file, spare_capacity(&mut self.batch))) {
                Ok(0) => break,
                // A regular file gives less than asked for only at its end, which the size tells.
                Ok(_) if self.batch.capacity() <= BATCH_BYTES => break,
                Ok(_) => {}
                Err(errno) => {
                    result = Err(errno);
                    break;
                }
            }
        }
        let len = (self.batch.len() - start - head_len) as u64;
        if len == 0 || result.is_err() {
            self.batch.truncate(start);
            return result;
        }
        wire::set_data_len(&mut self.batch[start..], head_len);
        self.transfer.count(|counters| &counters.bytes_read, len);
        Ok(len)
    }

    fn end_file(&mut self, id: u32) -> Result<(), TransferError> {
        self.make_room(wire::DATA_MARGIN_BYTES)?;
        wire::put_data_end(&mut self.batch, id);
        Ok(())
    }

    /// Sends the batch if it has not `room` for more.
    fn make_room(&mut self, room: usize) -> Result<(), TransferError> {
        if self.batch.capacity() - self.batch.len() < room {
            self.flush()?;
            self.batch = self.small.take();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let full = mem::take(&mut self.batch);
        let is_large = full.capacity() > BATCH_BYTES;
        let buffers = if is_large { &mut self.large } else { &mut self.small };
        let frames = buffers.lend(full);
        self.transfer.send(frames)
    }

    /// Opens the file called `name` in `dir`; never waits for a FIFO's writer.
    fn open(&mut self, dir: NodeId) -> Result<OwnedFd, Errno> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        if dir != NodeId::ROOT && self.dir.as_ref().is_none_or(|(open, _)| *open != dir) {
            let path = self.transfer.table().dir_path(dir);
            self.dir = Some((dir, self.transfer.root.pass_dir(&path)?));
        }
        retry_on_intr(|| openat(self.dir_fd(dir), &self.name[..], flags, Mode::empty()))
    }

    /// The descriptor of `dir`, which [`Self::open`] has opened.
    fn dir_fd(&self, dir: NodeId) -> BorrowedFd<'_> {
        match &self.dir {
            Some((open, fd)) if *open == dir => fd.as_fd(),
            _ => self.transfer.root.fd(),
        }
    }

    /// Whether what could not be opened is the socket that was announced.
    fn is_same_socket(&self, asked: &Asked) -> bool {
        let dir = self.dir_fd(asked.dir);
        let found = statat(dir, &self.name[..], AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|stat| {
            let facts = Facts::new(&stat);
            facts.file_type() == FileType::Socket && facts.fingerprint() == asked.fingerprint
        })
    }

    /// The path of the file called `name`, for messages.
    fn path(&self, asked: &Asked) -> Vec<u8> {
        let mut path = self.transfer.table().dir_path(asked.dir);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&self.name);
        path
    }
}

enum Sent {
    All,
    Part { size: u64, sent: u64 },
}

/// Buffers of one size that come back once they were sent, so that none is allocated per batch.
struct Buffers {
    bytes: usize,
    lent: Vec<Bytes>,
}

impl Buffers {
    fn new(bytes: usize) -> Self {
        Self { bytes, lent: Vec::new() }
    }

    /// An empty buffer.
    fn take(&mut self) -> Vec<u8> {
        let back = self.lent.iter().position(Bytes::is_unique);
        let back = back.and_then(|at| self.lent.swap_remove(at).try_into_mut().ok());
        match back {
            Some(mut buffer) => {
                // Before it becomes a Vec, so that there is nothing to copy.
                BytesMut::clear(&mut buffer);
                Vec::from(buffer)
            }
            None => Vec::with_capacity(self.bytes),
        }
    }

    /// Freezes a full buffer, to be taken again when the receiver has dropped it.
    fn lend(&mut self, full: Vec<u8>) -> Bytes {
        let frames = Bytes::from(full);
        if self.lent.len() == LENT_MAX {
            self.lent.swap_remove(0);
        }
        self.lent.push(frames.clone());
        frames
    }
}
