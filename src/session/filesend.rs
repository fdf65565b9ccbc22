//! `FileSend`: the tar stream of an exporter, into the sink the user chose.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message as _;

use crate::{
    grpc::{Call, Code, Service, Status},
    output::{Dest, OutputError, Sink},
    pb::filesync::BytesMessage,
    session::{Failure, RootCause},
};

/// Receives one tar stream.
///
/// The sink is opened when the daemon has something to send, so a build that fails leaves nothing behind, and it is
/// finished by the caller, when the daemon says that the whole build went well.
#[derive(Debug)]
pub struct FileSend {
    dest: Dest,
    slot: Mutex<Slot>,
    root_cause: RootCause,
}

#[derive(Debug, Default)]
struct Slot {
    sink: Option<Sink>,
    /// Nothing is taken any more.
    is_over: bool,
}

impl FileSend {
    /// Receives for `dest`.
    pub fn new(dest: Dest, root_cause: RootCause) -> Self {
        Self { dest, slot: Mutex::default(), root_cause }
    }

    /// Gives out what was received; `None` when the daemon sent nothing.
    ///
    /// Taken while bytes still come, it ends their call. It never waits for the reader of a stream.
    pub fn take(&self) -> Option<Sink> {
        let mut slot = self.slot();
        slot.is_over = true;
        slot.sink.take()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, call: &mut Call) -> Result<(), ReceiveError> {
        self.keep(Sink::open(&self.dest).map_err(ReceiveError::Output)?)?;
        let receiver = call.receiver.as_mut().ok_or_else(|| Status::protocol("no stream"))?;
        while let Some(raw) = receiver.receive()? {
            let message = BytesMessage::decode(raw).map_err(|e| Status::protocol(e.to_string()))?;
            self.write(&message.data)?;
        }
        Ok(())
    }

    /// A file is written while it is in the slot, so that [`take`](Self::take) can remove it; a stream outside, because
    /// its reader may never read on.
    fn write(&self, data: &[u8]) -> Result<(), ReceiveError> {
        let mut slot = self.slot();
        let sink = slot.sink.as_mut().ok_or_else(cancelled)?;
        if !sink.is_stream() {
            return sink.write(data).map_err(ReceiveError::Output);
        }
        let mut stream = slot.sink.take().ok_or_else(cancelled)?;
        drop(slot);
        stream.write(data).map_err(ReceiveError::Output)?;
        self.keep(stream)
    }

    fn keep(&self, sink: Sink) -> Result<(), ReceiveError> {
        let mut slot = self.slot();
        if slot.is_over {
            return Err(cancelled().into());
        }
        slot.sink = Some(sink);
        Ok(())
    }
}

fn cancelled() -> Status {
    Status::new(Code::Canceled, "cancelled")
}

enum ReceiveError {
    Output(OutputError),
    Stream(Status),
}

impl From<Status> for ReceiveError {
    fn from(status: Status) -> Self {
        Self::Stream(status)
    }
}

impl Service for FileSend {
    fn methods(&self) -> &'static [&'static str] {
        &["/moby.filesync.v1.FileSend/DiffCopy"]
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        match self.receive(call) {
            Ok(()) => Ok(()),
            Err(ReceiveError::Stream(status)) => Err(status),
            Err(ReceiveError::Output(error)) => {
                let status = Status::new(Code::Unknown, error.to_string());
                self.root_cause.set(Failure::Output(error));
                Err(status)
            }
        }
    }
}
