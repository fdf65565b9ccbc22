//! Reads `--progress rawjson` as any program would.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Steps by digest.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    by_digest: BTreeMap<String, Step>,
    /// What all of them wrote.
    pub(crate) log: String,
    /// Bytes of the context that came in, as the daemon counts.
    pub(crate) received_bytes: u64,
}

/// What became of a step.
#[derive(Debug, Default)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) is_cached: bool,
    pub(crate) is_completed: bool,
    pub(crate) error: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    #[serde(default)]
    vertexes: Vec<Vertex>,
    #[serde(default)]
    statuses: Vec<Status>,
    #[serde(default)]
    logs: Vec<Log>,
    #[serde(default)]
    warnings: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Vertex {
    digest: String,
    name: String,
    completed: Option<String>,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    name: String,
    #[serde(default)]
    current: u64,
}

#[derive(Deserialize)]
struct Log {
    data: String,
}

impl Steps {
    /// Every line must be one message.
    pub(crate) fn parse(stderr: &str) -> Self {
        use base64::Engine as _;
        let mut steps = Self::default();
        for line in stderr.lines() {
            let message: Message =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in line: {line}"));
            for vertex in message.vertexes {
                let step = steps.by_digest.entry(vertex.digest).or_default();
                step.name = vertex.name;
                step.is_cached |= vertex.cached;
                step.is_completed |= vertex.completed.is_some();
                step.error = vertex.error;
            }
            for log in message.logs {
                let data = base64::engine::general_purpose::STANDARD.decode(log.data).unwrap();
                steps.log += &String::from_utf8_lossy(&data);
            }
            for status in message.statuses.iter().filter(|s| s.name == "transferring") {
                steps.received_bytes = steps.received_bytes.max(status.current);
            }
            assert!(message.warnings.is_empty(), "{line}");
        }
        steps
    }

    /// The one step whose name has `part`.
    pub(crate) fn step(&self, part: &str) -> &Step {
        let found: Vec<&Step> =
            self.by_digest.values().filter(|step| step.name.contains(part)).collect();
        let [step] = found[..] else { panic!("`{part}` is in {} names of {self:#?}", found.len()) };
        step
    }

    /// Was it found in the cache (and not run)?
    pub(crate) fn is_cached(&self, part: &str) -> bool {
        let step = self.step(part);
        assert!(step.is_completed, "{step:?}");
        step.is_cached
    }

    /// Names of the service's own steps that did work: not those that only fetch what the cache may then need.
    pub(crate) fn worked(&self) -> Vec<&str> {
        let is_source = |name: &str| name.contains(" FROM ") || name.contains("] load ");
        self.by_digest
            .values()
            .filter(|step| step.name.starts_with('[') && !step.name.starts_with("[internal]"))
            .filter(|step| !is_source(&step.name) && !step.is_cached)
            .map(|step| &*step.name)
            .collect()
    }
}
