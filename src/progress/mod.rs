//! Status events → lines for people and machines. Depends on nothing of the crate.

use std::time::Duration;

/// A vertex of the graph, by the digest the daemon gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VertexDigest(pub String);

/// Time since 1970, as the daemon's clock says.
pub type DaemonTime = Duration;

/// News of one moment, as one `StatusResponse` carries it.
#[derive(Clone, Debug, Default)]
pub struct StatusUpdate {
    /// New or changed vertexes.
    pub vertexes: Vec<Vertex>,
    /// Sub-tasks of vertexes, such as one layer's download.
    pub statuses: Vec<VertexStatus>,
    /// Output of the steps; not line aligned.
    pub logs: Vec<VertexLog>,
    /// Warnings of frontends and the solver.
    pub warnings: Vec<VertexWarning>,
}

/// State of one vertex; announced several times.
#[derive(Clone, Debug)]
pub struct Vertex {
    /// Identity.
    pub digest: VertexDigest,
    /// Digests of its inputs.
    pub inputs: Vec<VertexDigest>,
    /// Display name.
    pub name: String,
    /// The result came from the cache.
    pub cached: bool,
    /// Begin of the current interval.
    pub started: Option<DaemonTime>,
    /// End of the current interval.
    pub completed: Option<DaemonTime>,
    /// Empty, or why it failed; ends in `context canceled` when it was cancelled.
    pub error: String,
    /// Members of one group are shown as one vertex.
    pub group: Option<ProgressGroup>,
}

/// A group of vertexes shown as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressGroup {
    /// Identity.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Stays hidden while only weak members have started.
    pub weak: bool,
}

/// A sub-task of a vertex.
#[derive(Clone, Debug)]
pub struct VertexStatus {
    /// Identity within the vertex, also its display text.
    pub id: String,
    /// The vertex.
    pub vertex: VertexDigest,
    /// A second display text, often empty.
    pub name: String,
    /// Units done, bytes when `total` is in bytes.
    pub current: i64,
    /// Units in all; 0 when unknown.
    pub total: i64,
    /// When this was measured.
    pub timestamp: Option<DaemonTime>,
    /// Begin.
    pub started: Option<DaemonTime>,
    /// End.
    pub completed: Option<DaemonTime>,
}

/// A piece of a step's output.
#[derive(Clone, Debug)]
pub struct VertexLog {
    /// The vertex.
    pub vertex: VertexDigest,
    /// 1 standard output, 2 standard error.
    pub stream: i64,
    /// Raw bytes.
    pub data: Vec<u8>,
    /// When it was written.
    pub timestamp: Option<DaemonTime>,
}

/// A warning.
#[derive(Clone, Debug)]
pub struct VertexWarning {
    /// The vertex.
    pub vertex: VertexDigest,
    /// 1 is the most important.
    pub level: i64,
    /// One line.
    pub short: Vec<u8>,
    /// More lines.
    pub detail: Vec<Vec<u8>>,
    /// Where to read more.
    pub url: String,
}
