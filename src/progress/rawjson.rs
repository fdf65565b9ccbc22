//! One JSON object per status message, in the words of `buildctl --progress=rawjson`.
//!
//! Field names, their order and which are left out when empty follow BuildKit `client/graph.go`
//! (v0.32): programs that read that stream read this one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use crate::progress::model::{Changes, Model};
use crate::progress::output::Output;
use crate::progress::{
    DaemonTime, Display, LocalTime, Outcome, ProgressGroup, StatusUpdate, Vertex, VertexDigest,
    VertexLog, VertexStatus, VertexWarning,
};

/// Writes status messages as they come.
pub(super) struct RawJsonDisplay {
    out: Output,
}

impl RawJsonDisplay {
    pub(super) fn new(out: Output) -> Self {
        Self { out }
    }
}

impl Display for RawJsonDisplay {
    fn raw(&mut self, update: &StatusUpdate) {
        // Numbers, strings and lists only: there is nothing that cannot be written.
        let Ok(object) = serde_json::to_string(&SolveStatus::of(update)) else { return };
        let object = crate::terminal_text::json(&object);
        self.out.text(&object);
        self.out.text("\n");
        self.out.flush();
    }

    fn update(&mut self, _model: &Model, _changes: &Changes, _now: LocalTime) {}

    fn tick(&mut self, _model: &Model, _now: LocalTime) {}

    fn note(&mut self, _text: &str) {}

    fn finish(&mut self, _model: &Model, _outcome: &Outcome, _now: LocalTime) {}

    fn tick_interval(&self) -> Option<Duration> {
        None
    }
}

#[derive(Serialize)]
struct SolveStatus<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertexes: Vec<JsonVertex<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<JsonStatus<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<JsonLog<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<JsonWarning<'a>>,
}

#[derive(Serialize)]
struct JsonVertex<'a> {
    digest: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Rfc3339Nano>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<Rfc3339Nano>,
    #[serde(skip_serializing_if = "is_false")]
    cached: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    #[serde(rename = "progressGroup", skip_serializing_if = "Option::is_none")]
    group: Option<JsonGroup<'a>>,
}

#[derive(Serialize)]
struct JsonGroup<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    weak: bool,
}

#[derive(Serialize)]
struct JsonStatus<'a> {
    id: &'a str,
    vertex: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    total: i64,
    current: i64,
    timestamp: Rfc3339Nano,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Rfc3339Nano>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed: Option<Rfc3339Nano>,
}

#[derive(Serialize)]
struct JsonLog<'a> {
    vertex: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    stream: i64,
    data: Base64<'a>,
    timestamp: Rfc3339Nano,
}

#[derive(Serialize)]
struct JsonWarning<'a> {
    vertex: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    level: i64,
    #[serde(skip_serializing_if = "Base64::is_empty")]
    short: Base64<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detail: Vec<Base64<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
}

impl<'a> SolveStatus<'a> {
    fn of(update: &'a StatusUpdate) -> Self {
        Self {
            vertexes: update.vertexes.iter().map(JsonVertex::of).collect(),
            statuses: update.statuses.iter().map(JsonStatus::of).collect(),
            logs: update.logs.iter().map(JsonLog::of).collect(),
            warnings: update.warnings.iter().map(JsonWarning::of).collect(),
        }
    }
}

impl<'a> JsonVertex<'a> {
    fn of(vertex: &'a Vertex) -> Self {
        Self {
            digest: digest(&vertex.digest),
            inputs: vertex.inputs.iter().map(digest).collect(),
            name: &vertex.name,
            started: vertex.started.map(Rfc3339Nano),
            completed: vertex.completed.map(Rfc3339Nano),
            cached: vertex.cached,
            error: &vertex.error,
            group: vertex.group.as_ref().map(JsonGroup::of),
        }
    }
}

impl<'a> JsonGroup<'a> {
    fn of(group: &'a ProgressGroup) -> Self {
        Self { id: &group.id, name: &group.name, weak: group.weak }
    }
}

impl<'a> JsonStatus<'a> {
    fn of(status: &'a VertexStatus) -> Self {
        Self {
            id: &status.id,
            vertex: digest(&status.vertex),
            name: &status.name,
            total: status.total,
            current: status.current,
            timestamp: Rfc3339Nano(status.timestamp.unwrap_or_default()),
            started: status.started.map(Rfc3339Nano),
            completed: status.completed.map(Rfc3339Nano),
        }
    }
}

impl<'a> JsonLog<'a> {
    fn of(log: &'a VertexLog) -> Self {
        Self {
            vertex: digest(&log.vertex),
            stream: log.stream,
            data: Base64(&log.data),
            timestamp: Rfc3339Nano(log.timestamp.unwrap_or_default()),
        }
    }
}

impl<'a> JsonWarning<'a> {
    fn of(warning: &'a VertexWarning) -> Self {
        Self {
            vertex: digest(&warning.vertex),
            level: warning.level,
            short: Base64(&warning.short),
            detail: warning.detail.iter().map(|line| Base64(line)).collect(),
            url: &warning.url,
        }
    }
}

fn digest(digest: &VertexDigest) -> &str {
    &digest.0
}

/// Go's text of a time: UTC, as many decimals as it takes.
struct Rfc3339Nano(DaemonTime);

impl Serialize for Rfc3339Nano {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let since_1970 =
            jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX);
        let time = jiff::Timestamp::from_duration(since_1970).unwrap_or(jiff::Timestamp::MAX);
        serializer.collect_str(&time)
    }
}

struct Base64<'a>(&'a [u8]);

impl Base64<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(update: &StatusUpdate, expected: &str) {
        assert_eq!(serde_json::to_string(&SolveStatus::of(update)).unwrap(), expected);
    }

    #[test]
    fn empty_members_are_left_out() {
        check(&StatusUpdate::default(), "{}");
    }

    #[test]
    fn names_and_times_are_those_of_buildctl() {
        let vertex = VertexDigest("sha256:aa".to_owned());
        let seconds = |text: &str| Some(Duration::from_secs_f64(text.parse().unwrap()));
        check(
            &StatusUpdate {
                vertexes: vec![Vertex {
                    digest: vertex.clone(),
                    inputs: vec![VertexDigest("sha256:bb".to_owned())],
                    name: "[api] \"npm\" ci".to_owned(),
                    cached: true,
                    started: seconds("1700000000"),
                    completed: seconds("1700000000.25"),
                    error: "context canceled".to_owned(),
                    group: Some(ProgressGroup {
                        id: "g".to_owned(),
                        name: "G".to_owned(),
                        weak: true,
                    }),
                }],
                statuses: vec![VertexStatus {
                    id: "extracting".to_owned(),
                    vertex: vertex.clone(),
                    name: String::new(),
                    current: 0,
                    total: 7,
                    timestamp: None,
                    started: seconds("1.5"),
                    completed: None,
                }],
                logs: vec![VertexLog {
                    vertex: vertex.clone(),
                    stream: 2,
                    data: b"hi\xff\n".to_vec(),
                    timestamp: Some(Duration::new(1_700_000_000, 120_030)),
                }],
                warnings: vec![VertexWarning {
                    vertex,
                    level: 1,
                    short: b"w".to_vec(),
                    detail: vec![b"d".to_vec()],
                    url: "https://example.com".to_owned(),
                }],
            },
            concat!(
                r#"{"vertexes":[{"digest":"sha256:aa","inputs":["sha256:bb"],"name":"[api] \"npm\" ci","#,
                r#""started":"2023-11-14T22:13:20Z","completed":"2023-11-14T22:13:20.25Z","cached":true,"#,
                r#""error":"context canceled","progressGroup":{"id":"g","name":"G","weak":true}}],"#,
                r#""statuses":[{"id":"extracting","vertex":"sha256:aa","total":7,"current":0,"#,
                r#""timestamp":"1970-01-01T00:00:00Z","started":"1970-01-01T00:00:01.5Z"}],"#,
                r#""logs":[{"vertex":"sha256:aa","stream":2,"data":"aGn/Cg==","#,
                r#""timestamp":"2023-11-14T22:13:20.00012003Z"}],"#,
                r#""warnings":[{"vertex":"sha256:aa","level":1,"short":"dw==","detail":["ZA=="],"#,
                r#""url":"https://example.com"}]}"#,
            ),
        );
    }
}
