//! `FileSend`: the tar stream of an exporter, into the sink the user chose or an engine that loads it.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use prost::Message as _;

use crate::{
    digest::Digest,
    grpc::{Call, Code, Service, Status, stream::Receiver},
    output::{Announced, Dest, Loader, OutputError, Sink},
    pb::filesync::BytesMessage,
    session::{Failure, RootCause},
};

/// Receives one tar stream.
///
/// A sink is opened when the daemon has something to send, so a build that fails leaves nothing behind, and it is
/// finished by the caller, when the daemon says that the whole build went well. A loader has the image when its call ends.
#[derive(Debug)]
pub struct FileSend {
    place: Place,
    is_hashed: bool,
    slot: Mutex<Slot>,
    root_cause: RootCause,
}

#[derive(Debug)]
enum Place {
    Sink(Dest),
    Loader(Arc<dyn Loader>),
}

#[derive(Debug, Default)]
struct Slot {
    sink: Option<Sink>,
    /// A call has come.
    is_begun: bool,
    /// The daemon has said that there is no more to come.
    is_whole: bool,
    /// Nothing is taken any more.
    is_over: bool,
}

impl FileSend {
    /// What a daemon calls to export anything to the client.
    pub(crate) const METHODS: &[&str] = &["/moby.filesync.v1.FileSend/DiffCopy"];

    /// Receives for `dest`.
    pub fn new(dest: Dest, root_cause: RootCause) -> Self {
        Self::of(Place::Sink(dest), root_cause)
    }

    /// Receives for `loader`.
    pub fn loading(loader: Arc<dyn Loader>, root_cause: RootCause) -> Self {
        Self::of(Place::Loader(loader), root_cause)
    }

    fn of(place: Place, root_cause: RootCause) -> Self {
        Self { place, is_hashed: false, slot: Mutex::default(), root_cause }
    }

    /// The sink shall know the digest of what it got.
    #[must_use]
    pub fn hashed(mut self, is_hashed: bool) -> Self {
        self.is_hashed = is_hashed;
        self
    }

    /// Gives out what was received; `None` when that was nothing, or not all.
    ///
    /// Taken while bytes still come, it ends their call. It never waits for the reader of a stream.
    pub fn take(&self) -> Option<Sink> {
        let mut slot = self.slot();
        slot.is_over = true;
        let sink = slot.sink.take()?;
        slot.is_whole.then_some(sink)
    }

    /// An image comes once: bytes of two would be mixed.
    fn begin(&self) -> Result<(), Status> {
        let mut slot = self.slot();
        if std::mem::replace(&mut slot.is_begun, true) {
            return Err(Status::protocol("a second image comes, of one that was asked for"));
        }
        Ok(())
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, call: &mut Call) -> Result<(), ReceiveError> {
        let receiver = call.receiver.as_mut().ok_or_else(|| Status::protocol("no stream"))?;
        self.begin()?;
        let dest = match &self.place {
            Place::Sink(dest) => dest,
            Place::Loader(loader) => {
                return self.load(loader.as_ref(), &announced(&call.metadata), receiver);
            }
        };
        let mut sink = Sink::open(dest).map_err(ReceiveError::Output)?;
        if self.is_hashed {
            sink.hash();
        }
        self.keep(sink)?;
        while let Some(data) = next(receiver)? {
            self.write(&data)?;
        }
        self.slot().is_whole = true;
        Ok(())
    }

    fn load(
        &self,
        loader: &dyn Loader,
        announced: &Announced,
        receiver: &mut Receiver,
    ) -> Result<(), ReceiveError> {
        let mut body = Body { receiver, data: Bytes::new(), end: None, file_send: self };
        let loaded = loader.load(announced, &mut body);
        match (loaded, body.end) {
            // The daemon stopped in the middle: its reason is the cause, not the engine's.
            (_, Some(status)) => Err(status.into()),
            (Err(e), None) => Err(ReceiveError::Output(e)),
            (Ok(is_new), None) => {
                if is_new {
                    return Ok(());
                }
                // The exporter takes this for success (BuildKit `exporter/oci/export.go`).
                Err(Status::new(Code::AlreadyExists, "the image is there").into())
            }
        }
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

fn next(receiver: &mut Receiver) -> Result<Option<Bytes>, Status> {
    let Some(raw) = receiver.receive()? else { return Ok(None) };
    let message = BytesMessage::decode(raw).map_err(|e| Status::protocol(e.to_string()))?;
    Ok(Some(message.data))
}

/// What the daemon knows of the image goes before its bytes (BuildKit `session/filesync/filesync.go`, v0.11).
fn announced(metadata: &HeaderMap) -> Announced {
    let digest =
        |name: &str| Some(Digest::parse(metadata.get(name)?.to_str().ok()?)?.as_str().to_owned());
    Announced {
        digest: digest("exporter-md-containerimage.digest"),
        config_digest: digest("exporter-md-containerimage.config.digest"),
    }
}

/// A stream of messages as a loader reads it.
struct Body<'a> {
    receiver: &'a mut Receiver,
    data: Bytes,
    /// Why there is no more, if it ended badly.
    end: Option<Status>,
    file_send: &'a FileSend,
}

impl Read for Body<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.data.is_empty() {
            if self.file_send.slot().is_over {
                self.end = Some(cancelled());
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match next(self.receiver) {
                Ok(Some(data)) => self.data = data,
                Ok(None) => return Ok(0),
                Err(status) => {
                    let error = io::Error::other(status.clone());
                    self.end = Some(status);
                    return Err(error);
                }
            }
        }
        let n = buf.len().min(self.data.len());
        self.data.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

pub(super) fn cancelled() -> Status {
    Status::new(Code::Canceled, "cancelled")
}

/// Why what comes is not received: who is to blame.
#[derive(Debug)]
pub(super) enum ReceiveError {
    Output(OutputError),
    Stream(Status),
}

impl ReceiveError {
    /// What the daemon is told; the cause on our side is noted first.
    pub(super) fn told(self, root_cause: &RootCause) -> Status {
        match self {
            Self::Stream(status) => status,
            Self::Output(error) => {
                let status = Status::new(Code::Unknown, error.to_string());
                root_cause.set(Failure::Output(error));
                status
            }
        }
    }
}

impl From<OutputError> for ReceiveError {
    fn from(error: OutputError) -> Self {
        Self::Output(error)
    }
}

impl From<Status> for ReceiveError {
    fn from(status: Status) -> Self {
        Self::Stream(status)
    }
}

impl Service for FileSend {
    fn methods(&self) -> &'static [&'static str] {
        Self::METHODS
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        self.receive(call).map_err(|error| error.told(&self.root_cause))
    }
}
