//! The image config (OCI image-spec, `config.md`), on top of the base's.
//!
//! The daemon's exporter (`exporter/containerimage/writer.go`, `patchImageConfig`) replaces
//! `rootfs`, completes `history` and keeps everything else. As in a Dockerfile build the base's
//! history stays and every layer of ours has an entry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Options, Platform, base::Image, packages::set_env, script::quote};
use crate::spec::Runtime;

/// The config of the image; `layers` says what each layer on top of the base is.
pub(super) fn config(
    base: &Image<'_>,
    runtime: &Runtime,
    options: &Options,
    layers: &[String],
) -> Value {
    let mut image = Map::new();
    if let Some(created) = options.created() {
        image.insert("created".into(), created.to_string().into());
    }
    let Platform { os, architecture, variant } = &options.platform;
    image.insert("architecture".into(), architecture.as_str().into());
    image.insert("os".into(), os.as_str().into());
    if !variant.is_empty() {
        image.insert("variant".into(), variant.as_str().into());
    }
    for name in ["os.version", "os.features"] {
        if let Some(value) = present(base.image(), name) {
            image.insert(name.into(), value.clone());
        }
    }
    image.insert("config".into(), container(base, runtime, options).into());
    image.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": [] }));
    image.insert("history".into(), history(base, layers, options.created()).into());
    image.into()
}

/// Annotations of the manifest.
pub(super) fn annotations(base: &Image<'_>, options: &Options) -> BTreeMap<String, String> {
    let mut annotations: BTreeMap<String, String> = facts(options).collect();
    if let Some((name, digest)) = base.reference() {
        annotations.insert("org.opencontainers.image.base.name".to_owned(), name.to_owned());
        annotations.insert("org.opencontainers.image.base.digest".to_owned(), digest.to_owned());
    }
    annotations.extend(options.annotations.clone());
    annotations
}

/// The member `config`: of the base's what BuildKit's own type has (`OnBuild` is used up by a
/// build, `ArgsEscaped` is for Windows), then the spec.
fn container(base: &Image<'_>, runtime: &Runtime, options: &Options) -> Map<String, Value> {
    let none = Map::new();
    let mut old = base.config().unwrap_or(&none).clone();
    let mut env = base.env();
    for (name, value) in &runtime.env {
        set_env(&mut env, name, value);
    }
    if !env.iter().any(|pair| pair.starts_with("PATH=")) {
        env.insert(0, DEFAULT_PATH.to_owned());
    }
    old.insert("Env".into(), env.into());
    let command = options.entrypoint.as_ref().unwrap_or(&runtime.command);
    if !command.is_empty() {
        old.insert("Entrypoint".into(), command.clone().into());
        old.remove("Cmd");
    }
    if let Some(user) = &runtime.user {
        old.insert("User".into(), user.clone().into());
    }
    if let Some(signal) = &runtime.stop_signal {
        old.insert("StopSignal".into(), signal.clone().into());
    }
    let inherited =
        present(&old, "WorkingDir").and_then(Value::as_str).filter(|dir| !dir.is_empty());
    let dir = runtime.workdir.as_deref().or(inherited).unwrap_or("/").to_owned();
    old.insert("WorkingDir".into(), dir.into());
    let ports: Vec<(String, Value)> =
        runtime.ports.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
    old.insert("ExposedPorts".into(), sorted(&old, "ExposedPorts", ports).into());
    if options.is_for_docker
        && let Some(check) = health_check(base, runtime)
    {
        old.insert("Healthcheck".into(), check);
    }
    let labels = labels(&old, runtime, options);
    old.insert("Labels".into(), labels.into());

    let mut new = Map::new();
    for name in CONFIG_FIELDS {
        match present(&old, name) {
            Some(Value::Object(map)) if map.is_empty() => {}
            Some(value) => drop(new.insert(name.into(), value.clone())),
            None => {}
        }
    }
    new
}

/// How Docker asks whether the service is well; `None` where nothing in the image could ask, or no port is known.
fn health_check(base: &Image<'_>, runtime: &Runtime) -> Option<Value> {
    let (endpoint, port) = (runtime.health.as_ref()?, runtime.ports.first()?);
    // In an image from scratch there is no shell.
    base.config()?;
    let path = quote(endpoint);
    // Images have one of these, seldom all.
    let script = format!(
        "u=http://127.0.0.1:${{PORT:-{port}}}{path}; has() {{ command -v \"$1\" >/dev/null; }}; \
         if has curl; then exec curl -fsS -o /dev/null \"$u\"; \
         elif has wget; then exec wget -q -O /dev/null \"$u\"; \
         elif has node; then exec node -e 'fetch(process.argv[1]).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))' \"$u\"; \
         elif has python3; then exec python3 -c 'import sys,urllib.request as r;r.urlopen(sys.argv[1])' \"$u\"; fi"
    );
    Some(json!({ "Test": ["CMD-SHELL", script] }))
}

/// Labels of the base stay, but for those that the OCI defines: they say what the base is, not
/// what this image is.
fn labels(old: &Map<String, Value>, runtime: &Runtime, options: &Options) -> Map<String, Value> {
    let mut labels = sorted(old, "Labels", []);
    labels.retain(|name, _| !name.starts_with(OCI_LABELS));
    let mut own: BTreeMap<String, String> = facts(options).collect();
    if let Some(endpoint) = &runtime.health {
        own.insert(HEALTH_LABEL.to_owned(), endpoint.clone());
    }
    own.extend(runtime.labels.clone());
    own.extend(options.labels.clone());
    labels.extend(own.into_iter().map(|(name, value)| (name, value.into())));
    sorted_map(labels)
}

/// What is known about any image: title, time, revision.
fn facts(options: &Options) -> impl Iterator<Item = (String, String)> {
    let facts = [
        ("title", Some(options.service.clone())),
        ("created", options.created().map(|created| created.to_string())),
        ("revision", options.revision.clone()),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((format!("{OCI_LABELS}{name}"), value?)))
}

fn history(base: &Image<'_>, layers: &[String], created: Option<Timestamp>) -> Vec<Value> {
    let old = present(base.image(), "history").and_then(Value::as_array);
    let mut history = old.cloned().unwrap_or_default();
    let described =
        history.iter().filter(|entry| entry.get("empty_layer") != Some(&Value::Bool(true))).count();
    let rootfs =
        present(base.image(), "rootfs").and_then(|rootfs| rootfs.get("diff_ids")?.as_array());
    // The exporter counts entries from the bottom: with gaps in the base's history ours would
    // stand for layers of the base. It then describes the missing ones itself.
    if described != rootfs.map_or(0, Vec::len) {
        return history;
    }
    for layer in layers {
        let mut entry = Map::new();
        if let Some(created) = created {
            entry.insert("created".into(), created.to_string().into());
        }
        entry.insert("created_by".into(), layer.clone().into());
        entry.insert("comment".into(), "peelbox".into());
        history.push(entry.into());
    }
    history
}

/// An object of the base with additions, in the order of its keys.
fn sorted(
    old: &Map<String, Value>,
    name: &str,
    more: impl IntoIterator<Item = (String, Value)>,
) -> Map<String, Value> {
    let mut map = present(old, name).and_then(Value::as_object).cloned().unwrap_or_default();
    map.extend(more);
    sorted_map(map)
}

fn sorted_map(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}

/// A member that is there and not `null`: Go writes `null` for empty.
fn present<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

/// Order of the fields in the result.
const CONFIG_FIELDS: [&str; 12] = [
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "StopTimeout", "Healthcheck", "Shell",
];
const OCI_LABELS: &str = "org.opencontainers.image.";
const HEALTH_LABEL: &str = "io.peelbox.health.endpoint";
/// What the daemon gives a process without PATH, and an image without config.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
