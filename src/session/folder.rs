//! `FileSend` of the exporter `local`: the daemon sends a folder, which is put on the disk.
//!
//! The daemon says what there is (STAT), is asked for the content of files by their number (REQ) and sends it (DATA), all
//! in one stream (fsutil `send.go`). What it says is not trusted: see [`disk`] for where things may go, [`entry`] for names.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prost::Message as _;

use crate::{
    digest,
    grpc::{Call, Code, Service, Status},
    output::{OutputError, check_folder},
    pb::fsutil::{Packet, Stat, packet::PacketType},
    session::{
        RootCause,
        filesend::{FileSend, ReceiveError, cancelled},
    },
};

mod disk;
mod entry;
mod names;
#[cfg(test)]
mod tests;

use disk::{Counts, Disk};
use entry::{Entry, Kind, shown};

/// Files asked for and not yet here; the daemon queues 128 and then reads no further requests.
const IN_FLIGHT_MAX: usize = 32;
/// Most that is kept of entries whose turn is still to come, or that are needed once more at the end: some 300,000 of them.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// Receives one folder.
///
/// The folder is made when the daemon has something to send, and finished by the caller, when the daemon says that the
/// whole build went well.
#[derive(Debug)]
pub struct FolderSend {
    dest: PathBuf,
    is_hashed: bool,
    slot: Mutex<Slot>,
    root_cause: RootCause,
}

#[derive(Debug, Default)]
struct Slot {
    transfer: Option<Transfer>,
    /// Nothing is taken any more.
    is_over: bool,
}

/// A folder that has all its files and not yet its name. Dropped it leaves nothing half done.
#[derive(Debug)]
pub struct Received(Disk);

/// What a folder got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderReport {
    /// Regular files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Path and `sha256:…` of each, when digests were wanted.
    pub digests: Vec<(String, String)>,
    /// Device nodes that could not be made.
    pub skipped_devices: u64,
    /// Entries that could not be given to whom they belong.
    pub lost_owners: u64,
}

impl FolderSend {
    /// Receives for `dest`; `is_hashed`: digests of the files are wanted.
    pub fn new(dest: PathBuf, is_hashed: bool, root_cause: RootCause) -> Self {
        Self { dest, is_hashed, slot: Mutex::default(), root_cause }
    }

    /// Gives out what was received; `None` when that was nothing, or not all.
    ///
    /// Taken while files still come, it ends their call and removes what is not whole.
    pub fn take(&self) -> Option<Received> {
        let mut slot = self.slot();
        slot.is_over = true;
        let transfer = slot.transfer.take()?;
        transfer.has_sent_fin.then(|| Received(transfer.disk))
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<(), ReceiveError> {
        let mut slot = self.slot();
        if slot.is_over {
            return Err(cancelled().into());
        }
        if slot.transfer.is_some() {
            return Err(Status::protocol("a second folder comes, of one that was asked for").into());
        }
        let place = check_folder(&self.dest)?;
        slot.transfer = Some(Transfer::new(Disk::new(&self.dest, place, self.is_hashed)?));
        Ok(())
    }

    /// Takes a packet; gives what the daemon is to be told. Nothing is sent while the slot is locked: the daemon may not
    /// read.
    fn on_packet(&self, packet: Packet) -> Result<Option<Vec<Packet>>, ReceiveError> {
        let mut slot = self.slot();
        let transfer = slot.transfer.as_mut().ok_or_else(cancelled)?;
        transfer.on_packet(packet)
    }

    fn receive(&self, call: &mut Call) -> Result<(), ReceiveError> {
        let Call { receiver, sender, .. } = call;
        let receiver = receiver.as_mut().ok_or_else(|| Status::protocol("no stream"))?;
        self.begin()?;
        while let Some(raw) = receiver.receive()? {
            let packet = Packet::decode(raw).map_err(|e| Status::protocol(e.to_string()))?;
            let Some(answers) = self.on_packet(packet)? else { return Ok(()) };
            for answer in answers {
                sender.message(&answer)?;
            }
        }
        Err(Status::protocol("the daemon stopped in the middle of a folder").into())
    }
}

impl Service for FolderSend {
    fn methods(&self) -> &'static [&'static str] {
        FileSend::METHODS
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        self.receive(call).map_err(|error| error.told(&self.root_cause))
    }
}

impl Received {
    /// Gives the folder its name.
    ///
    /// # Errors
    /// [`OutputError`]; of a folder that was to be new nothing is left then.
    pub fn finish(self) -> Result<FolderReport, OutputError> {
        let disk::Written { counts, files } = self.0.finish()?;
        let Counts { files: count, bytes, skipped_devices, lost_owners } = counts;
        let digest = |(path, digest): (Vec<u8>, [u8; 32])| {
            let path = String::from_utf8_lossy(&path).into_owned();
            (path, digest::named(digest))
        };
        let digests = files.into_iter().map(digest).collect();
        Ok(FolderReport { files: count, bytes, digests, skipped_devices, lost_owners })
    }
}

/// One folder on its way.
#[derive(Debug)]
struct Transfer {
    disk: Disk,
    /// Not yet asked for.
    waiting: VecDeque<(u32, Entry)>,
    /// Further names of files, made when all files are there.
    links: Vec<Entry>,
    next_id: u32,
    memory_bytes: usize,
    is_announced: bool,
    /// All is there.
    has_sent_fin: bool,
}

impl Transfer {
    fn new(disk: Disk) -> Self {
        Self {
            disk,
            waiting: VecDeque::new(),
            links: Vec::new(),
            next_id: 0,
            memory_bytes: 0,
            is_announced: false,
            has_sent_fin: false,
        }
    }

    /// `None`: the daemon has said its last word.
    fn on_packet(&mut self, packet: Packet) -> Result<Option<Vec<Packet>>, ReceiveError> {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::Stat) if self.is_announced => {
                return Err(Status::protocol("an entry after the last one").into());
            }
            Ok(PacketType::Stat) => match packet.stat {
                Some(stat) => self.on_stat(stat)?,
                None => self.is_announced = true,
            },
            Ok(PacketType::Data) => self.on_data(packet.id, &packet.data)?,
            Ok(PacketType::Fin) if self.has_sent_fin => return Ok(None),
            Ok(PacketType::Err) => {
                return Err(Status::new(Code::Unknown, shown(&packet.data)).into());
            }
            Ok(PacketType::Req | PacketType::Fin) | Err(_) => {
                let text = "a packet that no sender of a folder sends then";
                return Err(Status::protocol(text).into());
            }
        }
        self.next().map(Some)
    }

    fn on_stat(&mut self, stat: Stat) -> Result<(), ReceiveError> {
        let id = self.next_id;
        // Both sides count so.
        self.next_id = self.next_id.wrapping_add(1);
        let entry = Entry::new(stat)?;
        // Folders and files are needed to the end, all else is done with at once.
        if !matches!(entry.kind, Kind::Symlink(_) | Kind::Fifo | Kind::Device { .. }) {
            self.memory_bytes += entry.cost();
        }
        if self.memory_bytes > MEMORY_BYTES_MAX {
            return Err(Status::protocol("the result has too many files to keep track of").into());
        }
        match entry.kind {
            Kind::File(_) => self.waiting.push_back((id, entry)),
            Kind::Link(_) => self.links.push(entry),
            _ => self.disk.make(entry)?,
        }
        Ok(())
    }

    fn on_data(&mut self, id: u32, data: &[u8]) -> Result<(), ReceiveError> {
        let done = if data.is_empty() { self.disk.end(id) } else { self.disk.write(id, data) };
        let done = done.ok_or_else(|| {
            Status::protocol("the content of a file is not what was announced or asked for")
        })?;
        Ok(done?)
    }

    /// What to ask for next, or the end.
    fn next(&mut self) -> Result<Vec<Packet>, ReceiveError> {
        let mut packets = Vec::new();
        let packet = |kind: PacketType, id| Packet { r#type: kind.into(), id, ..Packet::default() };
        while self.disk.open_files() < IN_FLIGHT_MAX
            && let Some((id, entry)) = self.waiting.pop_front()
        {
            self.disk.begin(id, entry)?;
            packets.push(packet(PacketType::Req, id));
        }
        let is_over = self.is_announced && self.disk.open_files() == 0;
        if is_over && !self.has_sent_fin {
            for entry in std::mem::take(&mut self.links) {
                let linked = self.disk.link(&entry);
                linked.ok_or_else(|| {
                    Status::protocol(format!(
                        "`{}` is another name of nothing",
                        shown(&entry.place.path())
                    ))
                })??;
            }
            self.has_sent_fin = true;
            packets.push(packet(PacketType::Fin, 0));
        }
        Ok(packets)
    }
}
