//! What the daemon says while it receives: requests for files, and how it ends.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use prost::Message;

use super::error::TransferError;
use crate::{
    pb::fsutil::{Packet, packet::PacketType},
    terminal_text::one_line,
};

/// With fewer requests waiting one awake worker keeps up: waking another costs more than it gives.
const WAKE_ANOTHER_AT: usize = 32;

/// Where the connection's driver puts what the daemon sends on one DiffCopy stream.
///
/// Nothing here waits for more than a short lock.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
    /// Nothing will be sent any more; the walk asks this for every entry.
    is_stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Four bytes for each request not yet served, in their order. The daemon does not limit them
    /// (fsutil receive.go starts a goroutine per file), and not reading them would be a deadlock.
    requests: VecDeque<u32>,
    announced: usize,
    requested: usize,
    sleepers: usize,
    has_fin: bool,
    failure: Option<TransferError>,
    is_stopped: bool,
}

/// What a worker shall do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    Send(u32),
    /// Nothing now, but there may be more.
    Idle,
    /// The daemon has everything, or the transfer failed.
    Finish,
}

impl Inbox {
    /// Takes one message of the daemon.
    pub fn on_message(&self, payload: Bytes) {
        let packet = Packet::decode(payload).unwrap_or_default();
        let mut state = self.lock();
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::Req) => {
                state.requests.push_back(packet.id);
                state.requested += 1;
                if state.requested > state.announced {
                    self.fail(&mut state, TransferError::UnknownId(packet.id));
                } else if state.requests.len() == 1 || state.requests.len() >= WAKE_ANOTHER_AT {
                    self.wake_one(&mut state);
                }
            }
            Ok(PacketType::Fin) => {
                state.has_fin = true;
                state.sleepers = 0;
                self.changed.notify_all();
            }
            Ok(PacketType::Err) => {
                let text = one_line(&String::from_utf8_lossy(&packet.data));
                self.fail(&mut state, TransferError::Daemon(text));
            }
            // What cannot be decoded looks like a STAT, which no receiver sends.
            Ok(PacketType::Stat | PacketType::Data) | Err(_) => {
                self.fail(&mut state, TransferError::BadPacket);
            }
        }
    }

    /// Takes the end of the daemon's half of the stream, or the reason why it broke.
    pub fn on_end(&self, result: Result<(), String>) {
        let mut state = self.lock();
        if !state.has_fin {
            self.fail(&mut state, TransferError::Ended(result.err()));
        }
    }

    /// Whether the transfer is over early. Cheap, and may lag behind.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Ends all waiting, for the reason `error`.
    pub(super) fn stop(&self, error: TransferError) {
        self.fail(&mut self.lock(), error);
    }

    /// Why the transfer was stopped, if it was.
    pub(super) fn take_failure(&self) -> Option<TransferError> {
        self.lock().failure.take()
    }

    /// Takes note how many files were announced so far.
    pub(super) fn set_announced(&self, files: usize) {
        self.lock().announced = files;
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().requests.len()
    }

    /// Lets another worker join if there is work for it: the caller will be busy for a while.
    pub(super) fn share(&self) {
        let mut state = self.lock();
        if !state.requests.is_empty() {
            self.wake_one(&mut state);
        }
    }

    /// The next task, without waiting.
    pub(super) fn poll_task(&self) -> Task {
        task(&mut self.lock())
    }

    /// The next task; never [`Task::Idle`].
    pub(super) fn wait_task(&self) -> Task {
        let mut state = self.lock();
        loop {
            match task(&mut state) {
                Task::Idle => {
                    state.sleepers += 1;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                task => return task,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, state: &mut State, error: TransferError) {
        match &state.failure {
            // A closed stream is only the echo of a cause that may be told later.
            None | Some(TransferError::Closed) => state.failure = Some(error),
            Some(_) => {}
        }
        state.is_stopped = true;
        self.is_stopped.store(true, Ordering::Relaxed);
        state.sleepers = 0;
        self.changed.notify_all();
    }

    /// Whoever is woken no longer counts as asleep, so that the next request does not wake it too.
    fn wake_one(&self, state: &mut State) {
        if state.sleepers > 0 {
            state.sleepers -= 1;
            self.changed.notify_one();
        }
    }
}

fn task(state: &mut State) -> Task {
    if state.is_stopped {
        return Task::Finish;
    }
    match state.requests.pop_front() {
        Some(id) => Task::Send(id),
        None if state.has_fin => Task::Finish,
        None => Task::Idle,
    }
}

/// Feeds foreign bytes to an [`Inbox`].
#[doc(hidden)]
pub fn fuzz_packet(data: &[u8]) {
    let inbox = Inbox::default();
    inbox.on_message(Bytes::copy_from_slice(data));
    inbox.on_end(Ok(()));
    assert_eq!(inbox.is_stopped(), inbox.take_failure().is_some());
}
