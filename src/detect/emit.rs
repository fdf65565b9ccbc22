//! Services → spec file, with a fixed order of fields; the same services give the same bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    detect::{Decision, Service},
    spec::{
        self, Artifact, BUILD_DIR, Base, Build, File, Metadata, Runtime, Secret, SecretTarget,
        UniversalBuild,
    },
};

/// The text of a spec file: an object for one service, an array for several.
pub fn emit(services: &[UniversalBuild]) -> String {
    let mut values = services.iter().map(service);
    let value = match (services.len(), values.next()) {
        (1, Some(only)) => only,
        (_, first) => Value::Array(first.into_iter().chain(values).collect()),
    };
    format!("{value:#}\n")
}

/// Writes what stands outside the rules' reach (path, reasoning) and makes every value one that a spec can have.
///
/// Rules may write paths relative to `/build` and lists in any order; what comes back is as [`spec::parse`] gives it.
///
/// # Errors
/// The service makes no spec: an odd name of a folder, or a fault of a rule.
pub(super) fn finish(service: &mut Service) -> Result<(), spec::SpecError> {
    service.decisions.sort_by_key(|decision| decision.what);
    let metadata = &mut service.spec.metadata;
    metadata.path = Some(service.dir.clone());
    metadata.reasoning = Some(reasoning(&service.decisions).replace('\0', "\u{fffd}"));
    // Code may have a route that no HTTP client asks for as it stands.
    service.spec.runtime.health.take_if(|path| !is_path(path));
    let text = emit(std::slice::from_ref(&service.spec));
    let parsed = spec::parse(text.as_bytes(), "spec")?;
    service.spec = parsed.select(None)?.spec.clone();
    Ok(())
}

/// RFC 3986, sections 3.3 and 3.4, without characters that would have to be encoded.
fn is_path(path: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&b);
    path.starts_with('/') && path.bytes().all(fits)
}

/// The decisions a reader looks for first, each with its rule and place.
fn reasoning(decisions: &[Decision]) -> String {
    let mut told = decisions.to_vec();
    told.retain(|decision| decision.what.is_in_reasoning());
    told.sort_by_key(|decision| decision.what);
    told.dedup_by_key(|decision| decision.what);
    let texts: Vec<String> = told.iter().map(sentence).collect();
    texts.join("; ")
}

fn sentence(decision: &Decision) -> String {
    let Decision { what, value, rule, evidence, rejected } = decision;
    let mut text = match value.is_empty() {
        true => format!("no {what} was found: {rule}"),
        false => {
            let places: Vec<String> = evidence.iter().map(ToString::to_string).collect();
            let rule = Some(rule.to_string()).filter(|rule| !places.contains(rule));
            let why: Vec<String> = rule.into_iter().chain(places).collect();
            format!("{what} {value} ({})", why.join(", "))
        }
    };
    for lost in rejected {
        text += &format!(", not {}", lost.value);
        if let Some(evidence) = &lost.evidence {
            text += &format!(" of {evidence}");
        }
    }
    text
}

fn service(spec: &UniversalBuild) -> Value {
    let UniversalBuild { metadata, build, runtime } = spec;
    json!({
        "version": spec::VERSIONS[0],
        "metadata": metadata_of(metadata),
        "build": build_of(build),
        "runtime": runtime_of(runtime),
    })
}

fn metadata_of(metadata: &Metadata) -> Value {
    let Metadata { project_name, language, build_system, framework, reasoning, path } = metadata;
    json!({
        "project_name": project_name,
        "language": language,
        "build_system": build_system,
        "framework": framework,
        "reasoning": reasoning,
        "path": path,
    })
}

fn build_of(build: &Build) -> Value {
    let mut fields = Map::new();
    fields.insert("base".into(), base(&build.base));
    fields.insert("packages".into(), json!(build.packages));
    fields.insert("env".into(), json!(build.env));
    let step =
        |step: &spec::DependencyStep| json!({"files": step.files, "commands": step.commands});
    let steps: Vec<Value> = build.dependencies.iter().map(step).collect();
    given(&mut fields, "dependencies", steps);
    fields.insert("commands".into(), json!(build.commands));
    let cache: Vec<&str> = build.cache.iter().map(|path| in_build(path)).collect();
    fields.insert("cache".into(), json!(cache));
    given(&mut fields, "exclude", build.exclude.iter().map(|text| json!(text)).collect());
    given(&mut fields, "files", files(&build.files, in_build));
    given(&mut fields, "secrets", build.secrets.iter().map(secret).collect());
    Value::Object(fields)
}

fn runtime_of(runtime: &Runtime) -> Value {
    let mut fields = Map::new();
    fields.insert("base".into(), base(&runtime.base));
    fields.insert("packages".into(), json!(runtime.packages));
    fields.insert("env".into(), json!(runtime.env));
    let copy = |Artifact { from, to }: &Artifact| json!({"from": in_build(from), "to": to});
    fields.insert("copy".into(), runtime.copy.iter().map(copy).collect());
    given(&mut fields, "files", files(&runtime.files, |path| path));
    fields.insert("command".into(), json!(runtime.command));
    fields.insert("ports".into(), json!(runtime.ports));
    let health = runtime.health.as_ref().map(|endpoint| json!({"endpoint": endpoint}));
    fields.insert("health".into(), health.into());
    for (name, value) in [("user", &runtime.user), ("workdir", &runtime.workdir)] {
        if let Some(value) = value {
            fields.insert(name.into(), json!(value));
        }
    }
    if !runtime.labels.is_empty() {
        fields.insert("labels".into(), json!(runtime.labels));
    }
    if let Some(signal) = &runtime.stop_signal {
        fields.insert("stop_signal".into(), json!(signal));
    }
    Value::Object(fields)
}

fn given(fields: &mut Map<String, Value>, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        fields.insert(name.to_owned(), Value::Array(items));
    }
}

/// Text as it is, other bytes as base64; the usual permissions go without saying.
fn files(files: &[File], shown: fn(&str) -> &str) -> Vec<Value> {
    let value = |File { path, content, mode }: &File| {
        let mut fields = Map::new();
        fields.insert("path".into(), json!(shown(path)));
        // No string of a spec holds a NUL.
        let text = str::from_utf8(content).ok().filter(|text| !text.contains('\0'));
        match text {
            Some(text) => fields.insert("content".into(), json!(text)),
            None => fields.insert("base64".into(), json!(STANDARD.encode(content))),
        };
        if *mode != spec::FILE_MODE {
            fields.insert("mode".into(), json!(format!("{mode:04o}")));
        }
        Value::Object(fields)
    };
    files.iter().map(value).collect()
}

fn secret(secret: &Secret) -> Value {
    let (place, value) = match &secret.target {
        SecretTarget::Env(name) => ("env", name),
        SecretTarget::File(path) => ("target", path),
    };
    json!({"id": secret.id, place: value, "required": secret.required})
}

/// As people write it: relative to the folder of the build.
fn in_build(path: &str) -> &str {
    match path.strip_prefix(BUILD_DIR) {
        Some("") => ".",
        Some(rest) => rest.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(path),
        None => path,
    }
}

fn base(base: &Base) -> Value {
    match base {
        Base::Scratch => "scratch".into(),
        Base::Image(name) => name.as_str().into(),
        Base::OciLayout { dir, tag, digest } => {
            let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
            format!("oci-layout://{dir}{tag}{digest}").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::detect::{Evidence, Fixed, Rule, What};

    #[test]
    fn what_is_written_reads_as_the_same_value() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/spec/accepted");
        let mut seen = 0;
        for entry in fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let Ok(file) = spec::parse(&fs::read(&path).unwrap(), "spec") else { continue };
            let specs: Vec<UniversalBuild> = file.services.into_iter().map(|s| s.spec).collect();
            let text = emit(&specs);
            let again = spec::parse(text.as_bytes(), "spec").unwrap();
            let again: Vec<UniversalBuild> = again.services.into_iter().map(|s| s.spec).collect();
            assert_eq!(again, specs, "{}\n{text}", path.display());
            assert_eq!(emit(&again), text);
            seen += 1;
        }
        assert!(seen >= 4);
    }

    #[test]
    fn reasoning_names_rule_and_place_and_what_lost() {
        let decisions = [
            Decision::new(What::Port, "", Fixed::NothingListens, []),
            Decision::new(
                What::Version,
                "22",
                Rule::Named("engines.node".to_owned()),
                [Evidence::line("package.json", Some(4))],
            )
            .not("18", Some(Evidence::line(".nvmrc", Some(1))), Fixed::NoSuchVersion),
        ];
        let expected = "version 22 (engines.node, package.json:4), not 18 of .nvmrc:1; no port was found: nothing listens";
        assert_eq!(reasoning(&decisions), expected);
    }
}
