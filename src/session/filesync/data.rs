//! Sends the contents of the files that are asked for.

use std::mem;

use rustix::{
    buffer::spare_capacity,
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat},
    io::{Errno, read, retry_on_intr},
};

use super::{
    BATCH_BYTES, CHUNK_BYTES, MESSAGE_BYTES_MAX,
    buffers::Buffers,
    error::TransferError,
    inbox::Task,
    shared::Transfer,
    table::{Asked, NodeId},
    walk::Facts,
    wire,
};

/// With less room left a batch is sent before the next file is begun.
const ROOM_BYTES_MIN: usize = 8 << 10;

const _: () = assert!(CHUNK_BYTES + wire::DATA_MARGIN_BYTES <= wire::DATA_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES + 2 * wire::DATA_MARGIN_BYTES <= MESSAGE_BYTES_MAX);
const _: () = assert!(ROOM_BYTES_MIN + 2 * wire::DATA_MARGIN_BYTES < BATCH_BYTES);

/// What a worker says after a request.
pub(super) enum Step {
    Again,
    Done,
}

/// Sends the files that are asked for, small ones many to a batch.
pub(super) struct Worker<'t, 'a> {
    transfer: &'t Transfer<'a>,
    small: Buffers,
    large: Buffers,
    batch: Vec<u8>,
    name: Vec<u8>,
    /// The directory of the last file, open: the next one is mostly in the same.
    dir: Option<(NodeId, OwnedFd)>,
}

impl<'t, 'a> Worker<'t, 'a> {
    pub(super) fn new(transfer: &'t Transfer<'a>) -> Self {
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
    pub(super) fn poll(&mut self) -> Result<Step, TransferError> {
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
