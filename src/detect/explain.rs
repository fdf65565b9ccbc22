//! Why each decision was taken, as text and as JSON.

use serde_json::{Value, json};

use crate::detect::{Decision, Detected, Rejected, Service};

/// A paragraph for each service, a line for each decision.
pub fn text(detected: &Detected) -> String {
    let mut out = String::new();
    for service in &detected.services {
        if !out.is_empty() {
            out.push('\n');
        }
        out += &format!("{} ({})\n", name(service), service.dir);
        for decision in &service.decisions {
            out += &line(decision);
            for lost in &decision.rejected {
                out += &rejected(lost);
            }
        }
    }
    out
}

/// A line for each service: name, folder, language, framework, how it starts, where it listens.
pub fn summary(services: &[Service]) -> String {
    let line = |service: &Service| {
        let (metadata, runtime) = (&service.spec.metadata, &service.spec.runtime);
        let start = match runtime.command.is_empty() {
            true => "no start command".to_owned(),
            false => format!("starts `{}`", runtime.command.join(" ")),
        };
        let ports = runtime.ports.iter().map(|port| format!("port {port}"));
        let known = [metadata.language.clone(), metadata.framework.clone()].into_iter().flatten();
        let parts: Vec<String> = known.chain([start]).chain(ports).collect();
        format!("{} ({}): {}\n", name(service), service.dir, parts.join(", "))
    };
    services.iter().map(line).collect()
}

fn name(service: &Service) -> &str {
    service.spec.metadata.project_name.as_deref().unwrap_or_default()
}

fn line(decision: &Decision) -> String {
    let value = if decision.value.is_empty() { "none" } else { &decision.value };
    let mut why = decision.rule.to_string();
    for evidence in &decision.evidence {
        let place = evidence.to_string();
        if place != why {
            why += &format!(", {place}");
        }
    }
    format!("  {:<17}{value}  ({why})\n", decision.what.to_string())
}

fn rejected(lost: &Rejected) -> String {
    let place = lost.evidence.as_ref().map(|place| format!(" of {place}")).unwrap_or_default();
    format!("  {:<17}not {}{place}: {}\n", "", lost.value, lost.why)
}

/// One object: `services` with their `decisions`, and `notes`.
pub fn json(detected: &Detected) -> Value {
    let services: Vec<Value> = detected.services.iter().map(service).collect();
    json!({ "services": services, "notes": detected.notes })
}

fn service(service: &Service) -> Value {
    let metadata = &service.spec.metadata;
    json!({
        "service": name(service),
        "path": service.dir,
        "language": metadata.language,
        "build_system": metadata.build_system,
        "framework": metadata.framework,
        "decisions": service.decisions,
    })
}
