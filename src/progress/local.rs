//! A step that this side does and the daemon knows nothing of, shown like one of the daemon's.

use super::{DaemonTime, LocalTime, Progress, StatusUpdate, Vertex, VertexDigest, VertexStatus};

/// A step that this side does: something is sent elsewhere than to the daemon.
#[derive(Clone, Debug)]
pub struct LocalStep {
    digest: &'static str,
    name: &'static str,
    task: &'static str,
    started: Option<DaemonTime>,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// All bytes are sent.
    pub is_sent: bool,
    /// The step is over.
    pub done: Option<Done>,
}

/// The end of a [`LocalStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// There was nothing to do.
    pub is_unchanged: bool,
}

impl LocalStep {
    /// A step by its identity and its name; `task` is what is shown while it sends.
    pub fn new(digest: &'static str, name: &'static str, task: &'static str) -> Self {
        Self { digest, name, task, started: None, sent_bytes: 0, is_sent: false, done: None }
    }

    fn update(&self, started: DaemonTime, time: DaemonTime) -> StatusUpdate {
        let digest = VertexDigest(self.digest.to_owned());
        let vertex = Vertex {
            digest: digest.clone(),
            name: self.name.to_owned(),
            cached: self.done.is_some_and(|done| done.is_unchanged),
            started: Some(started),
            completed: self.done.map(|_| time),
            ..Vertex::default()
        };
        let status = VertexStatus {
            id: self.task.to_owned(),
            vertex: digest,
            current: i64::try_from(self.sent_bytes).unwrap_or(i64::MAX),
            timestamp: Some(time),
            started: Some(started),
            completed: self.is_sent.then_some(time),
            ..VertexStatus::default()
        };
        // Before the first byte there may be nothing to send.
        let statuses = if self.sent_bytes > 0 { vec![status] } else { Vec::new() };
        StatusUpdate { vertexes: vec![vertex], statuses, ..StatusUpdate::default() }
    }
}

impl Progress {
    /// Takes the state of a step of ours in; it begins when it is told for the first time.
    pub fn on_local_step(&mut self, step: &mut LocalStep, now: LocalTime) {
        let time = self.model().daemon_now(now);
        let started = *step.started.get_or_insert(time);
        self.on_status(&step.update(started, time), now);
    }
}
