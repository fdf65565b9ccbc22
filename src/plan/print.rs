//! A plan for people and as JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde::Serialize;
use serde_json::Value;

use super::Plan;
use crate::llb::{View, views};

/// One step of a plan, as `peelbox plan --format json` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Number, from 1; every input has a smaller one.
    pub step: usize,
    /// As the progress shows it.
    pub name: String,
    /// What kind of step it is.
    pub kind: &'static str,
    /// Steps it stands on.
    pub inputs: Vec<usize>,
    /// Where a source comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Program and arguments of a process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// User of a process, if not root.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Environment of a process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Paths of its cache mounts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<String>,
    /// What a file step copies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<Copy>,
    /// Files whose content stands in a file step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// One copy of a file step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// Path or pattern in the other step's result.
    pub from: String,
    /// Path here.
    pub to: String,
    /// Only these paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    service: &'a str,
    platform: String,
    bases: BTreeMap<&'static str, &'a str>,
    steps: Vec<Step>,
    image_config: &'a Value,
    annotations: &'a BTreeMap<String, String>,
    warnings: &'a [String],
}

impl Plan {
    /// The steps in the order of the definition.
    pub fn steps(&self) -> Vec<Step> {
        // The definition is our own: its inputs come before what stands on them.
        views(&self.definition).unwrap_or_default().iter().map(step).collect()
    }

    /// Digests of the steps that work: all that stand on another. The news of the others say little of what was done: the
    /// daemon calls them done when it has asked for their key alone (BuildKit v0.32 `solver/jobs.go`, `CacheMap`).
    pub fn work(&self) -> Vec<String> {
        let views = views(&self.definition).unwrap_or_default();
        views.into_iter().filter(|v| !v.inputs.is_empty()).map(|v| v.digest).collect()
    }

    /// The plan as JSON; the order of fields is fixed.
    pub fn to_json(&self) -> Value {
        let document = Document {
            service: &self.service,
            platform: self.platform.to_string(),
            bases: self.bases.iter().map(|(stage, base)| (stage.name(), base.as_str())).collect(),
            steps: self.steps(),
            image_config: &self.image_config,
            annotations: &self.annotations,
            warnings: &self.warnings,
        };
        serde_json::to_value(document).expect("maps have text keys, and nothing else can fail")
    }

    fn image_line(&self, f: &mut fmt::Formatter<'_>, name: &str, field: &str) -> fmt::Result {
        let value = match &self.image_config["config"][field] {
            Value::Null => return Ok(()),
            Value::String(text) => text.clone(),
            Value::Object(map) if map.values().all(Value::is_object) => {
                map.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        writeln!(f, "  {name:<11} {value}")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({})", self.service, self.platform)?;
        writeln!(f, "\nbases")?;
        for (stage, base) in &self.bases {
            writeln!(f, "  {:<8} {base}", stage.name())?;
        }
        writeln!(f, "\nsteps")?;
        for step in self.steps() {
            write!(f, "{:>4}  {}", step.step, step.name)?;
            let inputs: Vec<String> = step.inputs.iter().map(usize::to_string).collect();
            if !inputs.is_empty() {
                write!(f, "  ← {}", inputs.join(" "))?;
            }
            f.write_char('\n')?;
            for cache in &step.caches {
                writeln!(f, "        cache {cache}")?;
            }
        }
        writeln!(f, "\nimage")?;
        for (name, field) in [
            ("entrypoint", "Entrypoint"),
            ("cmd", "Cmd"),
            ("user", "User"),
            ("workdir", "WorkingDir"),
            ("ports", "ExposedPorts"),
            ("stop signal", "StopSignal"),
        ] {
            self.image_line(f, name, field)?;
        }
        let config = &self.image_config["config"];
        for pair in config["Env"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            writeln!(f, "  {:<11} {}", "env", pair.escape_debug())?;
        }
        for (name, value) in config["Labels"].as_object().into_iter().flatten() {
            writeln!(f, "  {:<11} {name}={}", "label", value.as_str().unwrap_or_default())?;
        }
        for warning in &self.warnings {
            writeln!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}

fn step(view: &View) -> Step {
    let mut inputs: Vec<usize> = view.inputs.iter().map(|input| input.step).collect();
    inputs.sort_unstable();
    inputs.dedup();
    Step {
        step: view.number,
        name: view.name.clone().unwrap_or_default(),
        kind: view.kind(),
        inputs,
        source: view.source().map(str::to_owned),
        args: view.args().to_vec(),
        user: view.user().to_owned(),
        env: view.env().to_vec(),
        caches: view.caches().map(str::to_owned).collect(),
        copies: view.copies().map(copy).collect(),
        files: view.files().map(str::to_owned).collect(),
    }
}

fn copy((from, to, include): (&str, &str, &[String])) -> Copy {
    Copy { from: from.to_owned(), to: to.to_owned(), include: include.to_vec() }
}
