//! Test material: sequences of events from text or from a recorded rawjson stream, and mutations.
//!
//! A sequence is a line per event, seconds first (see `tests/golden/progress/README.md`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use crate::mutation::Random;

/// What a sequence does at one moment.
pub(super) enum Action {
    Status(StatusUpdate),
    /// The stream is lost, opened again, and says all it had said.
    Replay,
    Transfer(Transfer),
    Note(String),
    Resize(TerminalSize),
    /// Shows the screen in the golden file.
    Screen,
    /// Lets time go by.
    Wait,
}

/// Events and the end of one build.
pub(super) struct Sequence {
    pub(super) actions: Vec<(LocalTime, Action)>,
    pub(super) end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Succeeded,
    Failed,
    Interrupted,
}

impl Sequence {
    pub(super) fn parse(text: &str) -> Self {
        let mut sequence = Self { actions: Vec::new(), end: End::Succeeded };
        let mut vertexes: BTreeMap<String, Vertex> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words = words(line);
            let now = seconds(&words[0]);
            let rest: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            let action = match rest[..] {
                ["end", how] => {
                    sequence.end = match how {
                        "ok" => End::Succeeded,
                        "failed" => End::Failed,
                        "interrupted" => End::Interrupted,
                        _ => panic!("{line}"),
                    };
                    Action::Wait
                }
                ["replay"] => Action::Replay,
                ["wait"] => Action::Wait,
                ["screen"] => Action::Screen,
                ["note", text] => Action::Note(text.to_owned()),
                ["size", width, height] => Action::Resize(TerminalSize {
                    width: width.parse().unwrap(),
                    height: height.parse().unwrap(),
                }),
                ["transfer", name, entries, files, bytes, ref more @ ..] => {
                    Action::Transfer(Transfer {
                        name: name.to_owned(),
                        entries_scanned: entries.parse().unwrap(),
                        files_sent: files.parse().unwrap(),
                        bytes_sent: bytes.parse().unwrap(),
                        total_bytes: more.first().and_then(|total| total.parse().ok()),
                        done: more.contains(&"done"),
                    })
                }
                _ => Action::Status(status(&rest, EPOCH + now, &mut vertexes)),
            };
            sequence.actions.push((now, action));
        }
        sequence
    }

    /// Reads what `buildctl --progress=rawjson` wrote; each message arrives when its newest part says.
    pub(super) fn from_rawjson(text: &str) -> Self {
        let mut begin = None;
        let mut now = Duration::ZERO;
        let mut actions = Vec::new();
        for line in text.lines() {
            let update = update_of_json(&serde_json::from_str(line).unwrap());
            let newest = newest_time(&update);
            if let Some(newest) = newest {
                let begin = *begin.get_or_insert(newest);
                now = now.max(newest.saturating_sub(begin));
            }
            actions.push((now, Action::Status(update)));
        }
        Self { actions, end: End::Succeeded }
    }

    /// Plays the events as the main loop would, ticks between them included.
    pub(super) fn play(
        &self,
        progress: &mut Progress,
        mut on_screen: impl FnMut(LocalTime, &mut Progress, Option<TerminalSize>),
    ) -> LocalTime {
        let mut said: Vec<&StatusUpdate> = Vec::new();
        let (mut ticked, mut end) = (Duration::ZERO, Duration::ZERO);
        for (now, action) in &self.actions {
            while let Some(interval) = progress.tick_interval().filter(|i| ticked + *i < *now) {
                ticked += interval;
                progress.tick(ticked);
            }
            match action {
                Action::Status(update) => {
                    said.push(update);
                    progress.on_status(update, *now);
                }
                Action::Replay => {
                    progress.restart_stream();
                    said.iter().for_each(|update| progress.on_status(update, *now));
                }
                Action::Transfer(transfer) => progress.on_transfer(transfer.clone(), *now),
                Action::Note(text) => progress.note(text),
                Action::Resize(size) => on_screen(*now, progress, Some(*size)),
                Action::Screen => on_screen(*now, progress, None),
                Action::Wait => {}
            }
            end = *now;
        }
        end
    }

    pub(super) fn outcome(&self, progress: &Progress, now: LocalTime) -> Outcome {
        let totals = progress.model().build_totals();
        let transfer = progress.model().transfers().next();
        match self.end {
            End::Interrupted => Outcome::Interrupted,
            End::Failed => Outcome::Failed(progress.failures(now)),
            End::Succeeded => Outcome::Succeeded(Box::new(Summary {
                tags: vec!["app:latest".to_owned()],
                digest: format!("sha256:{}", "4f3c".repeat(16)),
                size_bytes: Some(58_312_345),
                attested: Vec::new(),
                loaded: None,
                content: None,
                outputs: vec!["app.tar".to_owned()],
                pushed: Vec::new(),
                steps: totals.completed,
                cached: totals.cached,
                warnings: 0,
                context: transfer.map(|transfer| ContextTotals {
                    entries: transfer.entries_scanned,
                    bytes_sent: transfer.bytes_sent,
                }),
                elapsed: now,
                builder: "buildkitd v0.32.2".to_owned(),
            })),
        }
    }
}

/// A writer whose bytes can be looked at.
#[derive(Clone, Default)]
pub(super) struct Written(Rc<RefCell<Vec<u8>>>);

impl Written {
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.take()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Calls `target` with each seed and with `rounds` mutations of them, the same in every run.
pub(super) fn mutations(seeds: &[&[u8]], rounds: u32, target: impl Fn(&[u8])) {
    seeds.iter().for_each(|seed| target(seed));
    let mut random = Random::new(0);
    for _ in 0..rounds {
        let mut data = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..=random.below(6) {
            let place = random.below(data.len());
            match random.below(5) {
                0 if !data.is_empty() => data[place] = u8::try_from(random.below(256)).unwrap(),
                1 => data.insert(place, b"\x1b\r\n\x08m[;\x9b\xc2"[random.below(9)]),
                2 if !data.is_empty() => drop(data.remove(place)),
                3 => {
                    let other = seeds[random.below(seeds.len())];
                    data.extend_from_slice(&other[random.below(other.len())..]);
                }
                _ => data.truncate(place),
            }
        }
        target(&data);
    }
}

fn status(words: &[&str], at: DaemonTime, vertexes: &mut BTreeMap<String, Vertex>) -> StatusUpdate {
    let mut update = StatusUpdate::default();
    let name = words[1].to_owned();
    let digest = VertexDigest(format!("sha256:{name}"));
    let vertex = vertexes.entry(name).or_insert_with(|| Vertex {
        digest: digest.clone(),
        inputs: Vec::new(),
        name: String::new(),
        cached: false,
        started: None,
        completed: None,
        error: String::new(),
        group: None,
    });
    match *words {
        ["vertex", _, name, ref group @ ..] => {
            vertex.name = name.to_owned();
            if let [how, id, group_name] = *group {
                let weak = how == "weakly-in";
                vertex.group =
                    Some(ProgressGroup { id: id.to_owned(), name: group_name.to_owned(), weak });
            }
            update.vertexes.push(vertex.clone());
        }
        ["start", _] => {
            (vertex.started, vertex.completed) = (Some(at), None);
            update.vertexes.push(vertex.clone());
        }
        ["done" | "cached" | "error" | "canceled", _, ref error @ ..] => {
            vertex.started.get_or_insert(at);
            vertex.completed = Some(at);
            vertex.cached = words[0] == "cached";
            vertex.error = match words[0] {
                "canceled" => "context canceled".to_owned(),
                _ => error.concat(),
            };
            update.vertexes.push(vertex.clone());
        }
        ["out" | "err" | "bytes", _, ref text @ ..] => update.logs.push(VertexLog {
            vertex: digest,
            stream: if words[0] == "err" { 2 } else { 1 },
            data: match words[0] {
                "bytes" => text.iter().map(|hex| u8::from_str_radix(hex, 16).unwrap()).collect(),
                _ => text.concat().into_bytes(),
            },
            timestamp: Some(at),
        }),
        ["warn", _, text] => update.warnings.push(VertexWarning {
            vertex: digest,
            level: 1,
            short: text.as_bytes().to_vec(),
            detail: Vec::new(),
            url: String::new(),
        }),
        ["status", _, id, current, total, ref done @ ..] => update.statuses.push(VertexStatus {
            id: id.to_owned(),
            vertex: digest,
            name: String::new(),
            current: current.parse().unwrap(),
            total: total.parse().unwrap(),
            timestamp: Some(at),
            started: Some(vertex.started.unwrap_or(at)),
            completed: done.first().map(|_| at),
        }),
        _ => panic!("{words:?}"),
    }
    update
}

/// Words apart by spaces; a word in quotes is a JSON string.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let length = if rest.starts_with('"') {
            let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            words.push(strings.next().unwrap().unwrap_or_else(|error| panic!("{line}: {error}")));
            strings.byte_offset()
        } else {
            let length = rest.find(' ').unwrap_or(rest.len());
            words.push(rest[..length].to_owned());
            length
        };
        rest = rest[length..].trim_start();
    }
    words
}

fn seconds(text: &str) -> Duration {
    Duration::try_from_secs_f64(text.parse().unwrap()).unwrap()
}

pub(super) fn update_of_json(json: &Value) -> StatusUpdate {
    StatusUpdate {
        vertexes: list(&json["vertexes"]).map(vertex_of_json).collect(),
        statuses: list(&json["statuses"])
            .map(|json| VertexStatus {
                id: text(&json["id"]),
                vertex: VertexDigest(text(&json["vertex"])),
                name: text(&json["name"]),
                current: json["current"].as_i64().unwrap_or(0),
                total: json["total"].as_i64().unwrap_or(0),
                timestamp: time(&json["timestamp"]),
                started: time(&json["started"]),
                completed: time(&json["completed"]),
            })
            .collect(),
        logs: list(&json["logs"])
            .map(|json| VertexLog {
                vertex: VertexDigest(text(&json["vertex"])),
                stream: json["stream"].as_i64().unwrap_or(0),
                data: STANDARD.decode(text(&json["data"])).unwrap(),
                timestamp: time(&json["timestamp"]),
            })
            .collect(),
        warnings: list(&json["warnings"])
            .map(|json| VertexWarning {
                vertex: VertexDigest(text(&json["vertex"])),
                level: json["level"].as_i64().unwrap_or(0),
                short: STANDARD.decode(text(&json["short"])).unwrap(),
                detail: list(&json["detail"])
                    .map(|line| STANDARD.decode(text(line)).unwrap())
                    .collect(),
                url: text(&json["url"]),
            })
            .collect(),
    }
}

fn vertex_of_json(json: &Value) -> Vertex {
    let group = &json["progressGroup"];
    Vertex {
        digest: VertexDigest(text(&json["digest"])),
        inputs: list(&json["inputs"]).map(|input| VertexDigest(text(input))).collect(),
        name: text(&json["name"]),
        cached: json["cached"].as_bool().unwrap_or(false),
        started: time(&json["started"]),
        completed: time(&json["completed"]),
        error: text(&json["error"]),
        group: group.is_object().then(|| ProgressGroup {
            id: text(&group["id"]),
            name: text(&group["name"]),
            weak: group["weak"].as_bool().unwrap_or(false),
        }),
    }
}

fn newest_time(update: &StatusUpdate) -> Option<DaemonTime> {
    let vertexes = update.vertexes.iter().flat_map(|vertex| [vertex.started, vertex.completed]);
    let statuses = update.statuses.iter().map(|status| status.timestamp);
    let logs = update.logs.iter().map(|log| log.timestamp);
    vertexes.chain(statuses).chain(logs).flatten().max()
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn time(json: &Value) -> Option<DaemonTime> {
    let time: jiff::Timestamp = json.as_str()?.parse().unwrap();
    Some(Duration::try_from(time.as_duration()).unwrap())
}

const EPOCH: DaemonTime = Duration::from_secs(1_700_000_000);
