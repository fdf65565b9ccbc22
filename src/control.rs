//! Typed calls of `moby.buildkit.v1.Control` and what a daemon says of itself.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use prost::Message as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    digest::{self, Digest},
    grpc::{CallOptions, Cancel, Channel, Code, Status, client::Answers, client::Pending},
    pb::{
        content::{ReadContentRequest, ReadContentResponse},
        control::{
            BuildHistoryEvent, BuildHistoryEventType, BuildHistoryRequest, Descriptor, InfoRequest,
            InfoResponse, ListWorkersRequest, ListWorkersResponse, SolveRequest, SolveResponse,
            StatusRequest, StatusResponse, UpdateBuildHistoryRequest, UpdateBuildHistoryResponse,
        },
        worker::{BuildkitVersion, WorkerRecord},
    },
    progress,
    terminal_text::{ends, one_line},
};

/// The label that only a worker on containerd's image store has inside Docker Engine.
const SNAPSHOTTER_LABEL: &str = "org.mobyproject.buildkit.worker.snapshotter";

/// The oldest BuildKit that can do what every build here needs.
pub const VERSION_MIN: (u64, u64) = (0, 11);

/// Says in a descriptor of an attestation what it holds (in-toto).
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// How long a daemon may take over a question about its history.
const RECORD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest attestation that is read from its history; as values it takes some sixteen times as much.
const RECORDED_BYTES_MAX: u64 = 4 << 20;
/// Events of its history that are looked through.
const EVENTS_MAX: usize = 1000;

/// How long a daemon may take to say who it is.
const INFO_TIMEOUT: Duration = Duration::from_secs(5);

/// What a daemon says of itself.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// As it says it; `v0.0.0+unknown` for many own builds.
    pub version: String,
    /// Its workers; builds run on the first.
    pub workers: Vec<WorkerRecord>,
}

impl Daemon {
    /// The snapshotter of its worker; `None` in a Docker Engine that keeps images in the classic way (docker/buildx
    /// `driver/docker/driver.go`).
    pub fn snapshotter(&self) -> Option<&str> {
        self.workers.first()?.labels.get(SNAPSHOTTER_LABEL).map(String::as_str)
    }
}

/// Why a daemon can't be used.
#[derive(Debug)]
pub enum DaemonError {
    /// Older than [`VERSION_MIN`].
    TooOld {
        /// `None`: too old to tell.
        version: Option<String>,
    },
    /// No worker.
    NoWorker,
    /// It did not answer as BuildKit does.
    Call(Status),
}

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = VERSION_MIN;
        match self {
            Self::TooOld { version: Some(version) } => {
                write!(
                    f,
                    "the daemon is BuildKit {version}, peelbox needs v{major}.{minor}.0 or newer"
                )
            }
            Self::TooOld { version: None } => write!(
                f,
                "the daemon is older than BuildKit v{major}.{minor}.0, which peelbox needs: it does not know `Control/Info`"
            ),
            Self::NoWorker => f.write_str("the daemon has no worker to build on"),
            Self::Call(_) => f.write_str("cannot ask the daemon what it is"),
        }
    }
}

impl std::error::Error for DaemonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(status) => Some(status),
            _ => None,
        }
    }
}

/// Asks both questions at once and refuses what is too old.
///
/// A version that is no release number (`v0.0.0+unknown`, a git hash) is not judged: that the daemon knows `Info`
/// says it is v0.11 or newer, and the gateway's list of capabilities says the rest.
///
/// # Errors
/// See [`DaemonError`].
pub fn probe(channel: &Channel, cancel: &Cancel) -> Result<Daemon, DaemonError> {
    let options = CallOptions {
        timeout: Some(INFO_TIMEOUT),
        cancel: cancel.clone(),
        ..CallOptions::default()
    };
    let info: Pending<InfoResponse> = channel
        .call("/moby.buildkit.v1.Control/Info", &InfoRequest {}, options.clone())
        .map_err(DaemonError::Call)?;
    let workers: Pending<ListWorkersResponse> = channel
        .call("/moby.buildkit.v1.Control/ListWorkers", &ListWorkersRequest::default(), options)
        .map_err(DaemonError::Call)?;
    let version = match info.wait() {
        Ok(InfoResponse { buildkit_version: Some(BuildkitVersion { version, .. }) }) => {
            one_line(&version)
        }
        Ok(InfoResponse { buildkit_version: None }) => String::new(),
        Err(status) if status.code == Code::Unimplemented && !status.is_transport => {
            // Every BuildKit has workers; another gRPC server (containerd's, say) knows neither call.
            return Err(match workers.wait() {
                Err(e) if e.code == Code::Unimplemented => DaemonError::Call(status),
                _ => DaemonError::TooOld { version: None },
            });
        }
        Err(status) => return Err(DaemonError::Call(status)),
    };
    if release(&version).is_some_and(|release| release < VERSION_MIN && release != (0, 0)) {
        return Err(DaemonError::TooOld { version: Some(version) });
    }
    let workers = workers.wait().map_err(DaemonError::Call)?.record;
    if workers.is_empty() {
        return Err(DaemonError::NoWorker);
    }
    Ok(Daemon { version, workers })
}

/// Whether the daemon answers at all within `timeout`.
pub fn is_alive(channel: &Channel, timeout: Duration) -> bool {
    let options = CallOptions { timeout: Some(timeout), ..CallOptions::default() };
    let info: Result<InfoResponse, Status> =
        channel.unary("/moby.buildkit.v1.Control/Info", &InfoRequest {}, options);
    info.is_ok()
}

/// Major and minor of a release number; `None` for what is none.
fn release(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.strip_prefix('v')?.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Starts a build; it lasts until the answer is there, and is cancelled when the answer is dropped.
///
/// # Errors
/// The connection is gone, or the request is too large.
pub fn solve(
    channel: &Channel,
    request: &SolveRequest,
    cancel: &Cancel,
) -> Result<Pending<SolveResponse>, Status> {
    let options = CallOptions { cancel: cancel.clone(), ..CallOptions::default() };
    channel.call("/moby.buildkit.v1.Control/Solve", request, options)
}

/// What the daemon attests of a build that has ended well and was not internal: the first statement whose predicate type
/// `is_wanted`, with that type; `None` when there is none.
///
/// Every such build leaves a provenance of mode `max` (BuildKit `solver/llbsolver/history.go`; v0.11 `solver.go`).
///
/// # Errors
/// How a call ended; `NotFound` when there is no record.
pub fn recorded_attestation(
    channel: &Channel,
    reference: &str,
    is_wanted: impl Fn(&str) -> bool,
    cancel: &Cancel,
) -> Result<Option<(String, Vec<u8>)>, Status> {
    let options = CallOptions {
        timeout: Some(RECORD_TIMEOUT),
        cancel: cancel.clone(),
        ..CallOptions::default()
    };
    let request = BuildHistoryRequest {
        r#ref: reference.to_owned(),
        early_exit: true,
        ..BuildHistoryRequest::default()
    };
    let mut events =
        channel.request("/moby.buildkit.v1.Control/ListenBuildHistory", &request, options)?;
    for _ in 0..EVENTS_MAX {
        let Some(raw) = events.receive()? else { break };
        let event = BuildHistoryEvent::decode(raw).map_err(|e| Status::protocol(e.to_string()))?;
        let Some(record) = event.record.filter(|record| record.r#ref == reference) else {
            continue;
        };
        if event.r#type != i32::from(BuildHistoryEventType::Complete) {
            continue;
        }
        let attestations = record.result.map(|r| r.attestations).unwrap_or_default();
        let kind_of = |blob: &Descriptor| blob.annotations.get(PREDICATE_TYPE).cloned();
        let found = attestations
            .iter()
            .filter_map(|blob| Some((kind_of(blob)?, blob)))
            .find(|(kind, _)| is_wanted(kind));
        return found
            .map(|(kind, blob)| Ok((kind, recorded_blob(channel, blob, cancel)?)))
            .transpose();
    }
    Err(Status::new(Code::NotFound, "the daemon has no record of the build"))
}

fn recorded_blob(channel: &Channel, blob: &Descriptor, cancel: &Cancel) -> Result<Vec<u8>, Status> {
    let mut data = Vec::new();
    read_blob(channel, &blob.digest, RECORDED_BYTES_MAX, cancel, &mut data)?;
    Ok(data)
}

/// Reads a blob of the daemon's content store, of at most so many bytes, by its digest (`sha256:…`).
///
/// # Errors
/// How the call ended, that `to` did not take it, or that the blob is not what its digest says; `to` has it then.
pub fn read_blob(
    channel: &Channel,
    digest: &str,
    bytes_max: u64,
    cancel: &Cancel,
    to: &mut dyn io::Write,
) -> Result<(), Status> {
    let digest = Digest::parse(digest)
        .ok_or_else(|| Status::protocol(format!("`{}` is no digest", one_line(digest))))?;
    let digest = digest.as_str();
    let options = CallOptions {
        timeout: Some(RECORD_TIMEOUT),
        cancel: cancel.clone(),
        ..CallOptions::default()
    };
    let mut hasher = Sha256::new();
    let request = ReadContentRequest { digest: digest.to_owned(), ..ReadContentRequest::default() };
    let mut pieces =
        channel.request("/containerd.services.content.v1.Content/Read", &request, options)?;
    let mut bytes_left = bytes_max;
    while let Some(raw) = pieces.receive()? {
        let piece =
            ReadContentResponse::decode(raw).map_err(|e| Status::protocol(e.to_string()))?;
        bytes_left = bytes_left
            .checked_sub(piece.data.len() as u64)
            .ok_or_else(|| Status::new(Code::ResourceExhausted, "it is too long"))?;
        hasher.update(&piece.data);
        to.write_all(&piece.data).map_err(|e| Status::new(Code::Internal, e.to_string()))?;
    }
    if digest::named(hasher.finalize()) != digest {
        return Err(Status::protocol(format!("the blob `{digest}` is another one")));
    }
    Ok(())
}

/// Removes a build from the daemon's history.
///
/// # Errors
/// How the call ended.
pub fn forget(channel: &Channel, reference: &str) -> Result<(), Status> {
    let request = UpdateBuildHistoryRequest { r#ref: reference.to_owned(), delete: true };
    let options = CallOptions { timeout: Some(RECORD_TIMEOUT), ..CallOptions::default() };
    let _: UpdateBuildHistoryResponse =
        channel.unary("/moby.buildkit.v1.Control/UpdateBuildHistory", &request, options)?;
    Ok(())
}

/// News of a running build.
#[derive(Debug)]
pub struct StatusStream(Answers);

/// Tells the daemon's clock, so that times of its news can be shown against ours (BuildKit `control/control.go`).
const CLOCK_HEADER: &str = "buildkit-current-timestamp";

/// News that take more are passed over; five thousand steps in one message take less.
const NEWS_COST_MAX: usize = 8 << 20;
/// Digests have 71 bytes, identities of groups 25.
const KEY_BYTES_MAX: usize = 256;
/// More of a name is not shown.
const NAME_BYTES_MAX: usize = 4096;
/// The error of a step names its command, which may be a script.
const ERROR_BYTES_MAX: usize = 16 << 10;

/// Follows the build named `reference` from its first moment; the daemon waits up to 6 s for it to appear.
///
/// # Errors
/// The connection is gone.
pub fn status(channel: &Channel, reference: &str, cancel: &Cancel) -> Result<StatusStream, Status> {
    let options = CallOptions { cancel: cancel.clone(), ..CallOptions::default() };
    let request = StatusRequest { r#ref: reference.to_owned() };
    channel.request("/moby.buildkit.v1.Control/Status", &request, options).map(StatusStream)
}

impl StatusStream {
    /// The next news; `None` when the build is over.
    ///
    /// # Errors
    /// The stream was lost; it can be opened again and replays everything.
    pub fn receive(&mut self) -> Result<Option<progress::StatusUpdate>, Status> {
        let Some(raw) = self.0.receive()? else { return Ok(None) };
        Ok(Some(update(decode(raw)?)))
    }

    /// The daemon's clock when it began to answer, since 1970; known from the first news on.
    pub fn daemon_clock(&self) -> Option<Duration> {
        let text = self.0.headers().get(CLOCK_HEADER)?.to_str().ok()?;
        let clock: jiff::Timestamp = text.parse().ok()?;
        Duration::try_from(clock.as_duration()).ok()
    }
}

fn decode(raw: Bytes) -> Result<StatusResponse, Status> {
    if decoded_cost(&raw, 2) > NEWS_COST_MAX {
        return Ok(StatusResponse::default());
    }
    StatusResponse::decode(raw).map_err(|e| Status::protocol(e.to_string()))
}

/// What a message may take in memory, roughly: an empty entry has two bytes on the wire and hundreds here.
///
/// Fields of the message and, down to `depth`, of the messages in it are counted; what is none ends the count.
fn decoded_cost(mut raw: &[u8], depth: usize) -> usize {
    /// Of a field, by how deep it may nest.
    const COSTS: [usize; 3] = [0, 48, 400];
    let mut cost = 0;
    // A varint, as is a length (https://protobuf.dev/programming-guides/encoding).
    while let Ok(key) = prost::decode_length_delimiter(&mut raw) {
        cost += COSTS[depth];
        let skipped = match key & 7 {
            0 => prost::decode_length_delimiter(&mut raw).map(|_| 0).ok(),
            1 => Some(8),
            2 => prost::decode_length_delimiter(&mut raw).ok(),
            5 => Some(4),
            _ => None,
        };
        let Some((nested, rest)) = skipped.and_then(|bytes| raw.split_at_checked(bytes)) else {
            break;
        };
        if key & 7 == 2 && depth > 1 {
            cost += decoded_cost(nested, depth - 1);
        }
        raw = rest;
    }
    cost
}

fn update(response: StatusResponse) -> progress::StatusUpdate {
    let digest = |text: String| progress::VertexDigest(cut(text, KEY_BYTES_MAX));
    let time = |t: crate::pb::Timestamp| {
        Duration::new(
            u64::try_from(t.seconds).unwrap_or_default(),
            u32::try_from(t.nanos).unwrap_or_default(),
        )
    };
    progress::StatusUpdate {
        vertexes: response
            .vertexes
            .into_iter()
            .map(|v| progress::Vertex {
                digest: digest(v.digest),
                inputs: v.inputs.into_iter().map(digest).collect(),
                name: cut(v.name, NAME_BYTES_MAX),
                cached: v.cached,
                started: v.started.map(time),
                completed: v.completed.map(time),
                error: ends(&v.error, ERROR_BYTES_MAX).into_owned(),
                group: v.progress_group.map(|g| progress::ProgressGroup {
                    id: cut(g.id, KEY_BYTES_MAX),
                    name: cut(g.name, NAME_BYTES_MAX),
                    weak: g.weak,
                }),
            })
            .collect(),
        statuses: response
            .statuses
            .into_iter()
            .map(|s| progress::VertexStatus {
                id: cut(s.id, NAME_BYTES_MAX),
                vertex: digest(s.vertex),
                name: cut(s.name, NAME_BYTES_MAX),
                current: s.current,
                total: s.total,
                timestamp: s.timestamp.map(time),
                started: s.started.map(time),
                completed: s.completed.map(time),
            })
            .collect(),
        logs: response
            .logs
            .into_iter()
            .map(|l| progress::VertexLog {
                vertex: digest(l.vertex),
                stream: l.stream,
                data: l.msg,
                timestamp: l.timestamp.map(time),
            })
            .collect(),
        warnings: response
            .warnings
            .into_iter()
            .map(|w| progress::VertexWarning {
                vertex: digest(w.vertex),
                level: w.level,
                short: w.short,
                detail: w.detail,
                url: cut(w.url, NAME_BYTES_MAX),
            })
            .collect(),
    }
}

/// The beginning of a text that is too long.
fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.shrink_to_fit();
    }
    text
}

/// What the details of a failed build say (BuildKit packs JSON into them, not protobuf).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureDetails {
    /// Digest of the step that failed.
    pub vertex: Option<String>,
    /// Exit code of the process that failed.
    pub exit_code: Option<u32>,
}

/// Reads the details; unknown ones are passed over.
pub fn failure_details(status: &Status) -> FailureDetails {
    #[derive(Deserialize)]
    struct Vertex {
        digest: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Exit {
        code: u32,
    }
    let mut found = FailureDetails::default();
    for detail in &status.details {
        match detail.type_url.rsplit('/').next() {
            Some("errdefs.Vertex+json") => {
                // The innermost comes first; wrappers repeat it.
                let vertex = serde_json::from_slice(&detail.value).ok().map(|v: Vertex| v.digest);
                found.vertex = found.vertex.take().or(vertex);
            }
            Some("gatewayapi.ExitMessage+json") => {
                let code = serde_json::from_slice(&detail.value).ok().map(|e: Exit| e.code);
                found.exit_code = found.exit_code.take().or(code);
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_of_very_many_entries_are_passed_over() {
        use crate::pb::control::Vertex;
        let of = |count: usize, inputs: usize| {
            let inputs = vec![String::new(); inputs];
            let vertexes = vec![Vertex { inputs, ..Vertex::default() }; count];
            let response = StatusResponse { vertexes, ..StatusResponse::default() };
            decode(response.encode_to_vec().into()).unwrap().vertexes.len()
        };
        assert_eq!(of(4000, 10), 4000);
        assert_eq!(of(1, 100_000), 1);
        assert_eq!(of(1_000_000, 0), 0);
        assert_eq!(of(1, 1_000_000), 0);
    }

    #[test]
    fn only_release_numbers_are_judged() {
        for (version, expected) in [
            ("v0.32.2", Some((0, 32))),
            ("v0.10.6", Some((0, 10))),
            ("v0.11.0-rc1", Some((0, 11))),
            ("v0.0.0+unknown", Some((0, 0))),
            ("3a1eec3", None),
            ("", None),
            ("vx.y", None),
        ] {
            assert_eq!(release(version), expected, "{version}");
        }
    }

    #[test]
    fn details_are_found_among_others() {
        let any = |name: &str, json: &str| crate::pb::Any {
            type_url: format!("github.com/moby/buildkit/{name}+json"),
            value: json.as_bytes().to_vec(),
        };
        let mut status = Status::new(Code::Unknown, "exit code: 7");
        status.details = vec![
            any("stack.Stack", "{\"frames\":[]}"),
            any("errdefs.Vertex", "{\"digest\":\"sha256:ab\"}"),
            any("gatewayapi.ExitMessage", "{\"Code\":7}"),
            any("errdefs.Vertex", "not json"),
        ];
        let expected = FailureDetails { vertex: Some("sha256:ab".into()), exit_code: Some(7) };
        assert_eq!(failure_details(&status), expected);
    }
}
