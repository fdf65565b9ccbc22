//! In-toto statements: what they are about, and the few facts of their predicates that a person wants to see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    attestation::{INVOCATION_PREDICATE, PROVENANCE_PREDICATE, SPDX_PREDICATE},
    oci_layout::null_is_empty,
};

/// A statement, as far as it is looked at.
pub(super) struct Statement {
    pub(super) predicate_type: String,
    /// Digests by name; `sha256:…`.
    pub(super) subjects: Vec<Subject>,
    pub(super) facts: Facts,
}

/// What a statement says it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: String,
    /// Of SHA-256; empty if it has no such digest.
    pub(super) digest: String,
}

/// What a predicate says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Facts {
    /// A list of packages.
    Sbom {
        /// `SPDX-2.3`, `CycloneDX 1.6`.
        format: String,
        /// Packages, without those that stand for the image and its distribution.
        packages: usize,
        /// Who made it.
        creators: Vec<String>,
        /// When, as it is written.
        created: Option<String>,
    },
    /// How the image was made.
    Provenance {
        /// Of SLSA: `v1`, `v0.2`.
        version: String,
        /// `max` with all steps, or else `min`.
        mode: &'static str,
        /// Who built; may be empty.
        builder: String,
        /// What kind of build it was.
        build_type: String,
        /// Sources with their digests.
        materials: usize,
        /// When it began, as it is written.
        started: Option<String>,
        /// When it was done.
        finished: Option<String>,
    },
    /// How peelbox was called.
    Invocation {
        /// `peelbox:version` and its like.
        parameters: BTreeMap<String, String>,
    },
    /// Something that peelbox does not know.
    #[default]
    Other,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(rename = "predicateType", default)]
    predicate_type: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    subject: Vec<RawSubject>,
    #[serde(borrow)]
    predicate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawSubject {
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    digest: BTreeMap<String, String>,
}

/// Reads a statement; its predicate is gone through without being kept.
pub(super) fn parse(bytes: &[u8]) -> Result<Statement, serde_json::Error> {
    let raw: Raw<'_> = serde_json::from_slice(bytes)?;
    let subject = |subject: RawSubject| Subject {
        name: subject.name,
        digest: subject.digest.get("sha256").map(|hex| format!("sha256:{hex}")).unwrap_or_default(),
    };
    let predicate = raw.predicate.map_or("null", RawValue::get);
    // A predicate of another form than its type has is one that peelbox does not know.
    let facts = facts(&raw.predicate_type, predicate).unwrap_or_default();
    Ok(Statement {
        predicate_type: raw.predicate_type,
        subjects: raw.subject.into_iter().map(subject).collect(),
        facts,
    })
}

/// The predicate of a statement as it stands there, written anew with two blanks for each level.
///
/// # Errors
/// That of the statement's JSON.
pub fn predicate(statement: &[u8]) -> Result<String, serde_json::Error> {
    let raw: Raw<'_> = serde_json::from_slice(statement)?;
    Ok(indented(raw.predicate.map_or("null", RawValue::get)))
}

fn facts(kind: &str, predicate: &str) -> Option<Facts> {
    if kind == SPDX_PREDICATE {
        return spdx(predicate).ok();
    }
    if kind == INVOCATION_PREDICATE {
        #[derive(Deserialize)]
        struct Invocation {
            parameters: BTreeMap<String, String>,
        }
        let Invocation { parameters } = serde_json::from_str(predicate).ok()?;
        return Some(Facts::Invocation { parameters });
    }
    if kind.starts_with("https://cyclonedx.org/bom") {
        return cyclonedx(predicate).ok();
    }
    let version = kind.strip_prefix(PROVENANCE_PREDICATE)?;
    match version {
        "v0.2" => provenance_v0_2(predicate).ok(),
        _ => provenance_v1(version, predicate).ok(),
    }
}

fn spdx(predicate: &str) -> Result<Facts, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        spdx_version: String,
        #[serde(default)]
        creation_info: CreationInfo,
        #[serde(default, deserialize_with = "null_is_empty")]
        packages: Vec<Package>,
    }
    #[derive(Default, Deserialize)]
    struct CreationInfo {
        created: Option<String>,
        #[serde(default, deserialize_with = "null_is_empty")]
        creators: Vec<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Package {
        primary_package_purpose: Option<String>,
    }
    let Document { spdx_version, creation_info, packages } = serde_json::from_str(predicate)?;
    let is_other = |package: &&Package| {
        let purpose = package.primary_package_purpose.as_deref();
        matches!(purpose, Some("CONTAINER" | "OPERATING-SYSTEM"))
    };
    let others = packages.iter().filter(is_other).count();
    Ok(Facts::Sbom {
        format: spdx_version,
        packages: packages.len() - others,
        creators: creation_info.creators.into_iter().take(CREATORS_MAX).collect(),
        created: creation_info.created,
    })
}

/// Facts of a CycloneDX document, and the digest that the image in it has.
pub(super) fn cyclonedx_file(document: &[u8]) -> Result<(Facts, String), serde_json::Error> {
    #[derive(Default, Deserialize)]
    struct Document {
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    struct Metadata {
        #[serde(default)]
        component: Component,
    }
    #[derive(Default, Deserialize)]
    struct Component {
        #[serde(default)]
        version: String,
    }
    let text = std::str::from_utf8(document).unwrap_or_default();
    let facts = cyclonedx(text)?;
    let Document { metadata } = serde_json::from_str(text)?;
    Ok((facts, metadata.component.version))
}

fn cyclonedx(predicate: &str) -> Result<Facts, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        spec_version: String,
        #[serde(default, deserialize_with = "null_is_empty")]
        components: Vec<Component>,
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Component {
        r#type: Option<String>,
    }
    #[derive(Default, Deserialize)]
    struct Metadata {
        timestamp: Option<String>,
    }
    let document: Document = serde_json::from_str(predicate)?;
    let is_package = |component: &&Component| {
        !matches!(component.r#type.as_deref(), Some("container" | "operating-system"))
    };
    Ok(Facts::Sbom {
        format: format!("CycloneDX {}", document.spec_version),
        packages: document.components.iter().filter(is_package).count(),
        creators: Vec::new(),
        created: document.metadata.timestamp,
    })
}

fn provenance_v1(version: &str, predicate: &str) -> Result<Facts, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Predicate {
        build_definition: Definition,
        run_details: Details,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Definition {
        #[serde(default)]
        build_type: String,
        #[serde(default)]
        internal_parameters: Parameters,
        #[serde(default, deserialize_with = "null_is_empty")]
        resolved_dependencies: Vec<IgnoredAny>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        build_config: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Details {
        #[serde(default)]
        builder: Builder,
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        started_on: Option<String>,
        finished_on: Option<String>,
    }
    let Predicate { build_definition, run_details } = serde_json::from_str(predicate)?;
    Ok(Facts::Provenance {
        version: version.to_owned(),
        mode: mode(build_definition.internal_parameters.build_config.is_some()),
        builder: run_details.builder.id,
        build_type: build_definition.build_type,
        materials: build_definition.resolved_dependencies.len(),
        started: run_details.metadata.started_on,
        finished: run_details.metadata.finished_on,
    })
}

fn provenance_v0_2(predicate: &str) -> Result<Facts, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Predicate {
        #[serde(default)]
        builder: Builder,
        #[serde(default)]
        build_type: String,
        #[serde(default, deserialize_with = "null_is_empty")]
        materials: Vec<IgnoredAny>,
        build_config: Option<IgnoredAny>,
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        build_started_on: Option<String>,
        build_finished_on: Option<String>,
    }
    let predicate: Predicate = serde_json::from_str(predicate)?;
    Ok(Facts::Provenance {
        version: "v0.2".to_owned(),
        mode: mode(predicate.build_config.is_some()),
        builder: predicate.builder.id,
        build_type: predicate.build_type,
        materials: predicate.materials.len(),
        started: predicate.metadata.build_started_on,
        finished: predicate.metadata.build_finished_on,
    })
}

#[derive(Default, Deserialize)]
struct Builder {
    #[serde(default)]
    id: String,
}

/// Makers of an SBOM that are named.
const CREATORS_MAX: usize = 16;

/// BuildKit writes all steps in mode `max` alone (`docs/attestations/slsa-provenance.md`).
fn mode(has_steps: bool) -> &'static str {
    if has_steps { "max" } else { "min" }
}

/// Valid JSON with a line for each value and two blanks for each level.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 8);
    let mut depth = 0_usize;
    let mut is_text = false;
    let mut is_escaped = false;
    let mut rest = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = rest.next() {
        if is_text {
            out.push(c);
            is_text = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            '"' => {
                out.push(c);
                is_text = true;
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mutation::mutate;

    fn facts_of(kind: &str, predicate: &Value) -> Facts {
        let statement = json!({"predicateType": kind, "predicate": predicate});
        parse(statement.to_string().as_bytes()).unwrap().facts
    }

    #[test]
    fn subjects_have_names_and_digests() {
        let statement = json!({
            "predicateType": "x",
            "subject": [
                {"name": "pkg:docker/a@1", "digest": {"sha256": "ab", "sha512": "cd"}},
                {"name": "b", "digest": {"sha512": "cd"}},
            ],
        });
        let read = parse(statement.to_string().as_bytes()).unwrap();
        let digests: Vec<_> = read.subjects.iter().map(|subject| subject.digest.as_str()).collect();
        assert_eq!(digests, ["sha256:ab", ""]);
        assert_eq!(read.facts, Facts::Other);
        assert!(parse(br#"{"predicateType":"x","subject":null}"#).unwrap().subjects.is_empty());
        assert!(parse(b"[]").is_err());
    }

    #[test]
    fn packages_are_counted_without_the_image_itself() {
        let document = json!({
            "spdxVersion": "SPDX-2.3",
            "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"]},
            "packages": [
                {"name": "app", "primaryPackagePurpose": "CONTAINER"},
                {"name": "debian", "primaryPackagePurpose": "OPERATING-SYSTEM"},
                {"name": "bash"},
                {"name": "libc6", "primaryPackagePurpose": "LIBRARY"},
            ],
        });
        let Facts::Sbom { format, packages, creators, created } =
            facts_of(SPDX_PREDICATE, &document)
        else {
            panic!("an SBOM")
        };
        assert_eq!((format.as_str(), packages), ("SPDX-2.3", 2));
        assert_eq!(
            (creators, created.as_deref()),
            (vec!["Tool: x".to_owned()], Some("2026-01-01T00:00:00Z"))
        );
        assert_eq!(facts_of(SPDX_PREDICATE, &json!({"packages": 1})), Facts::Other);
    }

    #[test]
    fn provenances_of_both_versions_are_understood() {
        let v1 = json!({
            "buildDefinition": {
                "buildType": "t",
                "internalParameters": {"buildConfig": {"llbDefinition": []}},
                "resolvedDependencies": [{"uri": "a"}, {"uri": "b"}],
            },
            "runDetails": {
                "builder": {"id": "me"},
                "metadata": {"startedOn": "1", "finishedOn": "2"},
            },
        });
        let expected = |version: &str, mode, materials| Facts::Provenance {
            version: version.to_owned(),
            mode,
            builder: "me".to_owned(),
            build_type: "t".to_owned(),
            materials,
            started: Some("1".to_owned()),
            finished: Some("2".to_owned()),
        };
        let kind = |version: &str| format!("{PROVENANCE_PREDICATE}{version}");
        assert_eq!(facts_of(&kind("v1"), &v1), expected("v1", "max", 2));
        let v0_2 = json!({
            "builder": {"id": "me"},
            "buildType": "t",
            "materials": [{"uri": "a"}],
            "metadata": {"buildStartedOn": "1", "buildFinishedOn": "2"},
        });
        assert_eq!(facts_of(&kind("v0.2"), &v0_2), expected("v0.2", "min", 1));
        assert_eq!(facts_of(&kind("v1"), &v0_2), Facts::Other);
    }

    #[test]
    fn cyclonedx_files_name_their_image() {
        let document = json!({
            "specVersion": "1.6",
            "components": [{"type": "operating-system"}, {"type": "library"}],
            "metadata": {"component": {"version": "sha256:ab"}},
        });
        let (facts, digest) = cyclonedx_file(document.to_string().as_bytes()).unwrap();
        assert!(matches!(facts, Facts::Sbom { packages: 1, .. }), "{facts:?}");
        assert_eq!(digest, "sha256:ab");
    }

    #[test]
    fn json_is_indented_and_otherwise_as_it_was() {
        let text = r#"{ "a":[1,{"b" : "x, {\"y\\"} ], "c":[ ],"d":{},"e":1.50}"#;
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x, {\\\"y\\\\\"\n    }\n  ],\n  \"c\": [],\n  \"d\": {},\n  \"e\": 1.50\n}\n";
        assert_eq!(indented(text), expected);
        assert_eq!(indented(expected), expected);
        let statement = format!(r#"{{"predicateType":"x","predicate":{text}}}"#);
        assert_eq!(predicate(statement.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let seed = br#"{"predicateType":"https://slsa.dev/provenance/v1","subject":[{"name":"a","digest":{"sha256":"b"}}],"predicate":{"buildDefinition":{"resolvedDependencies":[{}]},"runDetails":{"builder":{"id":"x"}}}}"#;
        mutate(seed, b"{}[]\":,\\\xFF-9", 2_000, |data| {
            drop(parse(data));
            drop(predicate(data));
            drop(cyclonedx_file(data));
        });
    }
}
