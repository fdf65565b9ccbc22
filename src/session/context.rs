//! `FileSync`: the build context over gRPC. What is sent and in which order is [`filesync`]'s.

use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    grpc::{
        Call, Code, Service, Status,
        stream::{Receiver, Sender},
    },
    session::{
        Failure, RootCause,
        filesync::{self, Counters, Inbox, Request, Root, Sink, SinkClosed, error_frame},
    },
};

/// How often it is told how far the upload is.
const TELL_INTERVAL: Duration = Duration::from_millis(100);

/// How far the upload of a folder is; all transfers of it together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// Files, folders and links announced.
    pub entries: u64,
    /// Files that the daemon asked for.
    pub files: u64,
    /// Bytes sent, framing included.
    pub bytes_sent: u64,
    /// Nothing more will come.
    pub is_done: bool,
}

/// Takes what [`Context`] tells of its upload: from time to time, and when a transfer ends.
pub type UploadSink = Arc<dyn Fn(Upload) + Send + Sync>;

/// Serves one folder under one name.
pub struct Context {
    name: &'static str,
    root: Arc<Root>,
    counters: Counters,
    is_done: AtomicBool,
    told: Mutex<Instant>,
    sink: UploadSink,
    root_cause: RootCause,
    /// What the daemon must not ask for.
    exclude: Option<Vec<Vec<u8>>>,
}

impl Context {
    /// Serves `root` as `local://name`.
    pub fn new(
        name: &'static str,
        root: Arc<Root>,
        sink: UploadSink,
        root_cause: RootCause,
    ) -> Self {
        let (counters, is_done) = (Counters::default(), AtomicBool::default());
        let told = Mutex::new(Instant::now());
        Self { name, root, counters, is_done, told, sink, root_cause, exclude: None }
    }

    /// What `patterns` leave out is not handed out, whatever the daemon asks for: an honest one sends them back as they
    /// stand in the graph.
    #[must_use]
    pub fn without(self, patterns: &[String]) -> Self {
        let exclude = patterns.iter().map(|pattern| pattern.clone().into_bytes()).collect();
        Self { exclude: Some(exclude), ..self }
    }

    /// How far the upload is.
    pub fn upload(&self) -> Upload {
        Upload {
            entries: self.counters.entries.load(Ordering::Relaxed),
            files: self.counters.requested.load(Ordering::Relaxed),
            bytes_sent: self.counters.bytes_sent.load(Ordering::Relaxed),
            is_done: self.is_done.load(Ordering::Relaxed),
        }
    }

    /// Tells how far it is, unless that was told a moment ago.
    fn tell_sometimes(&self) {
        // Whoever else is at it tells.
        let Ok(mut told) = self.told.try_lock() else { return };
        if told.elapsed() >= TELL_INTERVAL {
            *told = Instant::now();
            drop(told);
            (self.sink)(self.upload());
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All folders of a session: they have one method, and the call names the folder.
#[derive(Debug)]
pub struct Folders {
    context: Arc<Context>,
    /// Documents that are too long for a message; there when the image is known.
    documents: Arc<OnceLock<Context>>,
}

impl Folders {
    /// Serves `context`, and `documents` once they are there.
    pub fn new(context: Arc<Context>, documents: Arc<OnceLock<Context>>) -> Self {
        Self { context, documents }
    }
}

impl Service for Folders {
    fn methods(&self) -> &'static [&'static str] {
        &["/moby.filesync.v1.FileSync/DiffCopy"]
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        let metadata = call.metadata.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let request = Request::from_metadata(metadata)
            .map_err(|e| Status::new(Code::InvalidArgument, e.to_string()))?;
        let mut folders = [Some(&*self.context), self.documents.get()].into_iter().flatten();
        match folders.find(|folder| request.name == folder.name.as_bytes()) {
            Some(folder) => folder.send(&request, call),
            None => {
                // With this code the daemon asks other sessions (BuildKit `source/local/source.go`).
                let name = String::from_utf8_lossy(&request.name);
                Err(Status::new(Code::NotFound, format!("no access to folder `{name}`")))
            }
        }
    }
}

impl Context {
    fn send(&self, request: &Request, call: &mut Call) -> Result<(), Status> {
        if self.exclude.as_ref().is_some_and(|exclude| *exclude != request.exclude) {
            let text = "it asks for files that the project leaves out of the context";
            return Err(Status::new(Code::PermissionDenied, text));
        }
        let receiver =
            call.receiver.take().ok_or_else(|| Status::protocol("the call has no stream"))?;
        let inbox = Arc::new(Inbox::default());
        // On the driver's thread: a thread of its own would be woken for every file.
        call.driver.spawn(read(receiver, Reading(Arc::clone(&inbox))));
        let sent = {
            let sink = StreamSink { stream: Mutex::new(&mut call.sender), context: self };
            filesync::send(&self.root, request, &inbox, &sink, &self.counters)
        };
        self.is_done.store(sent.is_ok(), Ordering::Relaxed);
        (self.sink)(self.upload());
        sent.map_err(|error| {
            let (frame, status) =
                (error_frame(&error), Status::new(Code::Unknown, error.to_string()));
            // Before the daemon hears of it: it may end the build at once.
            if !error.is_cancelled() {
                self.root_cause.set(Failure::Context(error));
            }
            // The daemon may be gone; then nobody needs the packet.
            drop(call.sender.send(frame));
            status
        })
    }
}

async fn read(mut receiver: Receiver, reading: Reading) {
    loop {
        match poll_fn(|cx| receiver.poll_message(cx)).await {
            Some(Ok(message)) => reading.0.on_message(message),
            Some(Err(status)) => return reading.0.on_end(Err(status.to_string())),
            None => return reading.0.on_end(Ok(())),
        }
    }
}

/// Ends the transfer when its reading ends, however that happens: a driver that is dropped drops what it polls, and
/// nobody else would wake the threads that wait for requests.
struct Reading(Arc<Inbox>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.on_end(Err("the connection was closed".to_owned()));
    }
}

/// One stream for the walker and the data workers. The lock is held while the stream waits for room: whoever comes
/// later would wait for the same room, and frames of one batch stay together.
struct StreamSink<'a> {
    stream: Mutex<&'a mut Sender>,
    context: &'a Context,
}

impl Sink for StreamSink<'_> {
    fn send(&self, frames: Bytes) -> Result<(), SinkClosed> {
        let sent = {
            let mut sender = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            sender.send(frames).map_err(|_| SinkClosed)
        };
        self.context.tell_sometimes();
        sent
    }
}
