//! The daemon's side of a transfer, in memory: checks what fsutil's receiver checks, asks for
//! files, and keeps what it got.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, atomic::Ordering},
};

use bytes::{Buf, Bytes};
use prost::Message;

use super::{
    BATCH_BYTES, CHUNK_BYTES, Counters, Inbox, Request, Root, Sink, SinkClosed, TransferError, send,
};
use crate::pb::fsutil::{Packet, Stat, packet::PacketType};

/// Go's `ModeType`.
const MODE_TYPE: u32 = 0x8F28_0000;

const MODE_DIR: u32 = 0x8000_0000;

const MODE_SYMLINK: u32 = 0x0800_0000;

/// How the daemon behaves, besides asking for every file as soon as it is announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    #[default]
    Good,
    /// Asks for nothing: it has everything already.
    AsksNothing,
    /// Asks for files only when all are announced, the last one first.
    AsksLate,
    /// Asks for every file twice.
    AsksTwice,
    /// Asks for this id besides.
    AsksFor(u32),
    /// Sends ERR at the last STAT.
    GivesUp,
    /// Closes the stream after so many frames.
    ClosesAfter(usize),
    /// Ends its half of the stream at the last STAT.
    Ends,
}

/// What was received.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) stats: Vec<Stat>,
    pub(super) files: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) frames: usize,
    pub(super) frames_bytes_max: usize,
    open: BTreeMap<u32, Vec<u8>>,
    ended: BTreeSet<u32>,
    wanted: Vec<u32>,
    /// Each open directory with the last name seen in it.
    dirs: Vec<(Vec<u8>, Vec<u8>)>,
    plain: BTreeSet<Vec<u8>>,
    has_last_stat: bool,
    has_fin: bool,
}

pub(super) struct Receiver<'a> {
    inbox: Inbox,
    manner: Manner,
    received: Mutex<Received>,
    on_packet: &'a (dyn Fn(&Packet) + Sync),
}

/// What one transfer came to.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) entries: u64,
    pub(super) files: u64,
}

/// Runs a transfer of `root` to the end and gives both sides' results.
pub(super) fn transfer(
    root: &Root,
    request: &Request,
    manner: Manner,
    on_packet: &(dyn Fn(&Packet) + Sync),
) -> (Result<Report, TransferError>, Received) {
    let receiver =
        Receiver { inbox: Inbox::default(), manner, received: Mutex::default(), on_packet };
    let counters = Counters::default();
    let result = send(root, request, &receiver.inbox, &receiver, &counters);
    let result = result.map(|()| Report {
        entries: counters.entries.load(Ordering::Relaxed),
        files: counters.requested.load(Ordering::Relaxed),
    });
    let received = receiver.received.into_inner().unwrap();
    assert_eq!(result.is_ok(), received.has_fin, "FIN ends a good transfer only: {result:?}");
    (result, received)
}

impl Sink for Receiver<'_> {
    fn send(&self, mut frames: Bytes) -> Result<(), SinkClosed> {
        let mut received = self.received.lock().unwrap();
        received.frames += 1;
        received.frames_bytes_max = received.frames_bytes_max.max(frames.len());
        assert!(frames.len() <= CHUNK_BYTES + 2 * BATCH_BYTES);
        if self.manner == Manner::ClosesAfter(received.frames) {
            return Err(SinkClosed);
        }
        assert!(!received.has_fin, "nothing follows FIN");
        while frames.has_remaining() {
            assert_eq!(frames.get_u8(), 0, "no compression");
            let len = frames.get_u32() as usize;
            self.take(&mut received, Packet::decode(frames.split_to(len)).unwrap());
        }
        Ok(())
    }
}

impl Receiver<'_> {
    fn take(&self, received: &mut Received, packet: Packet) {
        (self.on_packet)(&packet);
        match PacketType::try_from(packet.r#type).unwrap() {
            PacketType::Stat => match packet.stat {
                Some(stat) => self.take_stat(received, stat),
                None => self.take_last_stat(received),
            },
            PacketType::Data => take_data(received, packet.id, packet.data),
            PacketType::Fin => {
                received.has_fin = true;
                self.inbox.on_end(Ok(()));
            }
            kind => panic!("{kind:?} from the sender"),
        }
        if received.has_last_stat
            && !received.has_fin
            && received.ended.len() == received.wanted.len()
        {
            self.tell(PacketType::Fin, 0);
        }
    }

    fn take_stat(&self, received: &mut Received, stat: Stat) {
        assert!(!received.has_last_stat, "a STAT behind the last one");
        received.check_order(&stat);
        received.check_link(&stat);
        let id = u32::try_from(received.stats.len()).unwrap();
        if stat.mode & MODE_TYPE == 0
            && stat.linkname.is_empty()
            && self.manner != Manner::AsksNothing
        {
            received.wanted.push(id);
            if self.manner != Manner::AsksLate {
                self.tell(PacketType::Req, id);
            }
            if self.manner == Manner::AsksTwice {
                self.tell(PacketType::Req, id);
            }
        }
        received.stats.push(stat);
    }

    fn take_last_stat(&self, received: &mut Received) {
        received.has_last_stat = true;
        match self.manner {
            Manner::AsksLate => {
                received.wanted.iter().rev().for_each(|&id| self.tell(PacketType::Req, id));
            }
            Manner::AsksFor(id) => {
                received.wanted.push(id);
                self.tell(PacketType::Req, id);
            }
            Manner::GivesUp => {
                let data = Bytes::from_static(b"disk is full");
                let packet = Packet { r#type: PacketType::Err.into(), data, ..Packet::default() };
                self.inbox.on_message(packet.encode_to_vec().into());
            }
            Manner::Ends => self.inbox.on_end(Ok(())),
            _ => {}
        }
    }

    fn tell(&self, kind: PacketType, id: u32) {
        let packet = Packet { r#type: kind.into(), id, ..Packet::default() };
        self.inbox.on_message(packet.encode_to_vec().into());
    }
}

fn take_data(received: &mut Received, id: u32, data: Bytes) {
    assert!(received.wanted.contains(&id), "data of file {id} that nobody asked for");
    assert!(!received.ended.contains(&id), "data of file {id} behind its end");
    if !data.is_empty() {
        received.open.entry(id).or_default().extend_from_slice(&data);
        return;
    }
    received.ended.insert(id);
    let contents = received.open.remove(&id).unwrap_or_default();
    received.files.insert(received.stats[id as usize].path.clone(), contents);
}

impl Received {
    pub(super) fn paths(&self) -> Vec<&[u8]> {
        self.stats.iter().map(|stat| &stat.path[..]).collect()
    }

    /// The order that fsutil's validator.go demands.
    fn check_order(&mut self, stat: &Stat) {
        let path = &stat.path;
        let (dir, base) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], &path[..]),
        };
        let is_clean = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
        assert!(path.split(|&byte| byte == b'/').all(is_clean), "{}", path.escape_ascii());
        if self.dirs.is_empty() {
            self.dirs.push((Vec::new(), Vec::new()));
        }
        while self.dirs.last().is_some_and(|(open, _)| open != dir) {
            self.dirs.pop();
        }
        let shown = path.escape_ascii();
        let (_, last) = self.dirs.last_mut().unwrap_or_else(|| panic!("no parent of {shown}"));
        assert!(&last[..] < base, "{shown} comes behind {}", last.escape_ascii());
        *last = base.to_vec();
        if stat.mode & MODE_DIR != 0 {
            self.dirs.push((path.clone(), Vec::new()));
        }
    }

    /// What fsutil's hardlinks.go demands.
    fn check_link(&mut self, stat: &Stat) {
        if stat.mode & (MODE_DIR | MODE_SYMLINK) != 0 {
            return;
        }
        if stat.linkname.is_empty() {
            self.plain.insert(stat.path.clone());
        } else {
            assert!(self.plain.contains(&stat.linkname), "a link to nothing: {stat:?}");
        }
    }
}
