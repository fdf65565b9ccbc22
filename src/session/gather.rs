//! Chosen files of a result, asked for while its build still runs.
//!
//! BuildKit's exporter `local` sends a STAT for every entry of the result, and of the files those that are asked for
//! (fsutil `send.go`). So one stream gives the names of all files and the content of a few: no step of the graph copies
//! them, and no call is made for each folder. Nothing is written to disk.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded};
use prost::Message as _;

use crate::{
    grpc::{Call, Code, Service, Status, stream},
    pb::fsutil::{Packet, Stat, packet::PacketType},
    sbom::gathered::{FILES_MAX, Gathered, TOO_MANY, TOTAL_BYTES_MAX, Want, too_long},
    session::filesend::FileSend,
    terminal_text::one_line,
};

/// Files asked for and not yet here; the daemon queues 128 and then reads no further requests.
const IN_FLIGHT_MAX: usize = 32;
/// How long the last bytes may take when the daemon has sent all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most that is kept of names, links and reasons.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// What an entry takes besides its texts.
const ENTRY_COST: usize = 160;
/// Go's bit of a folder.
const GO_MODE_DIR: u32 = 0x8000_0000;
/// Bits of Go's `os.FileMode` that a regular file has not (Go `io/fs`, `ModeType`).
const GO_MODE_TYPE: u32 = 0x8F28_0000;

/// Says for an absolute path, its size and Go's permission bits what to do with a regular file.
pub type Choose = dyn Fn(&str, u64, u32) -> Want + Send + Sync;

/// Takes one export beside that of the build.
#[derive(Default)]
pub struct Gather(Mutex<Option<Expected>>);

struct Expected {
    choose: Arc<Choose>,
    answer: Sender<Gathered>,
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").finish_non_exhaustive()
    }
}

impl Gather {
    /// The next export that the daemon sends is a folder, of which `choose` says what is wanted.
    pub fn expect_folder(&self, choose: Arc<Choose>) -> Gathering<'_> {
        let (tx, answer) = bounded(1);
        *self.expected() = Some(Expected { choose, answer: tx });
        Gathering { gather: self, answer }
    }

    fn expected(&self) -> MutexGuard<'_, Option<Expected>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves the call if something is expected.
    fn serve(&self, call: &mut Call) -> Option<Result<(), Status>> {
        let Expected { choose, answer } = self.expected().take()?;
        Some(receive(call, &*choose).map(|gathered| {
            // Nobody may wait any more.
            drop(answer.send(gathered));
        }))
    }
}

/// An export that is expected; nothing is any more when this is dropped.
pub struct Gathering<'a> {
    gather: &'a Gather,
    answer: Receiver<Gathered>,
}

impl Gathering<'_> {
    /// What came, once the daemon says that it has exported; `None` when it sent nothing.
    ///
    /// It may say so before the thread of the call has put the last bytes away.
    pub fn take(self) -> Option<Gathered> {
        let is_untouched = self.gather.expected().take().is_some();
        if is_untouched { None } else { self.answer.recv_timeout(PATIENCE).ok() }
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        *self.gather.expected() = None;
    }
}

/// All exports of a session have one method; which of them comes is known from what was asked for.
pub struct Exports {
    /// Comes first, if it is expected.
    pub gather: Arc<Gather>,
    /// The image, or the files of the result.
    pub image: Option<Arc<dyn Service>>,
}

impl Service for Exports {
    fn methods(&self) -> &'static [&'static str] {
        FileSend::METHODS
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        if let Some(served) = self.gather.serve(call) {
            return served;
        }
        match &self.image {
            Some(image) => image.serve(call),
            None => Err(Status::new(Code::Unimplemented, "nothing is taken here")),
        }
    }
}

fn receive(call: &mut Call, choose: &Choose) -> Result<Gathered, Status> {
    let Call { receiver, sender, .. } = call;
    let receiver = receiver.as_mut().ok_or_else(|| Status::protocol("no stream"))?;
    let mut transfer = Transfer::new(choose);
    while let Some(raw) = receiver.receive()? {
        let packet = Packet::decode(raw).map_err(|e| Status::protocol(e.to_string()))?;
        if transfer.on_packet(packet)? == Next::Finish {
            return Ok(transfer.gathered);
        }
        transfer.ask(sender)?;
    }
    Err(Status::protocol("the daemon stopped in the middle of a folder"))
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Finish,
}

struct Transfer<'a> {
    choose: &'a Choose,
    gathered: Gathered,
    /// Chosen, not yet asked for: number, path, size.
    waiting: VecDeque<(u32, String, u64)>,
    /// Asked for: path, size, what has come.
    in_flight: BTreeMap<u32, (String, u64, Vec<u8>)>,
    /// Further names of files that were sent: path, first path.
    links: Vec<(String, String)>,
    /// Goes before all paths, with its `/`; empty when nothing does.
    platform: Vec<u8>,
    next_id: u32,
    total_bytes: u64,
    /// What names, links and reasons take.
    kept_bytes: usize,
    is_announced: bool,
    has_sent_fin: bool,
}

impl<'a> Transfer<'a> {
    fn new(choose: &'a Choose) -> Self {
        Self {
            choose,
            gathered: Gathered::default(),
            waiting: VecDeque::new(),
            in_flight: BTreeMap::new(),
            links: Vec::new(),
            platform: Vec::new(),
            next_id: 0,
            total_bytes: 0,
            kept_bytes: 0,
            is_announced: false,
            has_sent_fin: false,
        }
    }

    fn on_packet(&mut self, packet: Packet) -> Result<Next, Status> {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::Stat) => match packet.stat {
                Some(stat) => self.on_stat(stat)?,
                None => self.is_announced = true,
            },
            Ok(PacketType::Data) => self.on_data(packet)?,
            Ok(PacketType::Fin) => {
                self.link();
                return Ok(Next::Finish);
            }
            Ok(PacketType::Err) => {
                let text = one_line(&String::from_utf8_lossy(&packet.data));
                return Err(Status::new(Code::Unknown, text));
            }
            Ok(PacketType::Req) | Err(_) => {
                return Err(Status::protocol("a packet that no sender of a folder sends"));
            }
        }
        Ok(Next::GoOn)
    }

    fn on_stat(&mut self, stat: Stat) -> Result<(), Status> {
        let id = self.next_id;
        // Both sides count so.
        self.next_id = self.next_id.wrapping_add(1);
        if id == 0 && is_platform(&stat) {
            self.platform = [&*stat.path, b"/"].concat();
        }
        if stat.mode & GO_MODE_TYPE != 0 {
            return Ok(());
        }
        let Some(path) = self.absolute(&stat.path) else { return Ok(()) };
        let size = u64::try_from(stat.size).unwrap_or_default();
        let want = (self.choose)(&path, size, stat.mode & 0o777);
        if want != Want::Nothing {
            self.kept_bytes += ENTRY_COST + 2 * (path.len() + stat.linkname.len());
            if self.kept_bytes > KEPT_BYTES_MAX {
                return Err(Status::protocol("the result has too many files to list"));
            }
        }
        match want {
            Want::Nothing => {}
            Want::Name if self.gathered.names.len() < FILES_MAX => {
                self.gathered.names.insert(path, size);
            }
            Want::Content { bytes_max } if size > bytes_max => {
                self.gathered.missing.insert(path, too_long(size, bytes_max));
            }
            Want::Content { .. } if !stat.linkname.is_empty() => {
                if let Some(first) = self.absolute(&stat.linkname) {
                    self.links.push((path, first));
                }
            }
            Want::Content { .. }
                if self.total_bytes + size <= TOTAL_BYTES_MAX && self.has_room() =>
            {
                self.total_bytes += size;
                self.waiting.push_back((id, path, size));
            }
            Want::Content { .. } | Want::Name => {
                self.gathered.missing.insert(path, TOO_MANY.to_owned());
            }
        }
        Ok(())
    }

    /// `usr/bin/env` → `/usr/bin/env`; `None` for names that are no text.
    fn absolute(&self, path: &[u8]) -> Option<String> {
        let path = path.strip_prefix(&*self.platform).unwrap_or(path);
        let path = std::str::from_utf8(path).ok()?;
        Some(format!("/{}", path.trim_start_matches('/')))
    }

    fn has_room(&self) -> bool {
        let missing = self.gathered.missing.len() + self.links.len();
        self.waiting.len() + self.in_flight.len() + self.gathered.contents.len() + missing
            < FILES_MAX
    }

    fn on_data(&mut self, packet: Packet) -> Result<(), Status> {
        let Some((path, size, data)) = self.in_flight.get_mut(&packet.id) else {
            return Err(Status::protocol("data of a file that was not asked for"));
        };
        if !packet.data.is_empty() {
            if (data.len() + packet.data.len()) as u64 > *size {
                let path = path.clone();
                return Err(Status::protocol(format!("`{path}` is longer than it was announced")));
            }
            data.extend_from_slice(&packet.data);
            return Ok(());
        }
        if let Some((path, _, data)) = self.in_flight.remove(&packet.id) {
            self.gathered.contents.insert(path, data);
        }
        Ok(())
    }

    /// Further names of one file get its content, when that was wanted under its first name.
    fn link(&mut self) {
        for (path, first) in std::mem::take(&mut self.links) {
            match self.gathered.contents.get(&first) {
                Some(data) if self.total_bytes + data.len() as u64 <= TOTAL_BYTES_MAX => {
                    self.total_bytes += data.len() as u64;
                    let data = data.clone();
                    self.gathered.contents.insert(path, data);
                }
                _ => {
                    let why = format!("it is another name of `{first}`");
                    self.gathered.missing.insert(path, why);
                }
            }
        }
    }

    fn ask(&mut self, sender: &mut stream::Sender) -> Result<(), Status> {
        while self.in_flight.len() < IN_FLIGHT_MAX
            && let Some((id, path, size)) = self.waiting.pop_front()
        {
            sender.message(&Packet { r#type: PacketType::Req.into(), id, ..Packet::default() })?;
            self.in_flight.insert(id, (path, size, Vec::new()));
        }
        let is_over = self.is_announced && self.in_flight.is_empty() && self.waiting.is_empty();
        if is_over && !self.has_sent_fin {
            self.has_sent_fin = true;
            sender.message(&Packet { r#type: PacketType::Fin.into(), ..Packet::default() })?;
        }
        Ok(())
    }
}

/// Whether this is the folder of a platform in which the daemon puts the result: `linux_amd64`.
fn is_platform(stat: &Stat) -> bool {
    stat.mode & GO_MODE_DIR != 0 && stat.path.starts_with(b"linux_") && !stat.path.contains(&b'/')
}
