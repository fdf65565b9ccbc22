//! What is said of an image beside the image: provenance (SLSA) and SBOM, as in-toto statements.
//!
//! Where the output can carry them the daemon puts them in; the words for that are here. Where it can't, they become
//! files: [`statement`] is what stands in one.

use std::{collections::BTreeMap, error, fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub mod credential;

/// Type of a predicate that is an SPDX document (in-toto attestation specification, `spec/predicates/spdx.md`).
pub const SPDX_PREDICATE: &str = "https://spdx.dev/Document";
/// Types of predicates that are provenances begin so.
pub const PROVENANCE_PREDICATE: &str = "https://slsa.dev/provenance/";
/// Type of a predicate that says how peelbox was called: the parameters of [`invocation`].
///
/// BuildKit takes parameters into its provenance only from a frontend that it runs itself
/// (`solver/llbsolver/provenance.go`: a bridge has a request only in `Solve` with `Frontend`), and refuses a provenance of the
/// client's. So where the daemon writes the provenance they stand beside it.
pub const INVOCATION_PREDICATE: &str = "urn:peelbox:invocation:v1";
/// Media type of a statement.
pub const STATEMENT_MEDIA_TYPE: &str = "application/vnd.in-toto+json";
/// What a statement says it is.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// How much of the build's course a provenance tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Sources and parameters.
    Min,
    /// All steps and layers too.
    #[default]
    Max,
}

/// Which SLSA format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// SLSA 0.2
    V0_2,
    /// SLSA 1
    V1,
}

/// Which provenance is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// How much it tells.
    pub mode: Mode,
    /// `None`: what the daemon takes by itself, SLSA 1 since BuildKit v0.30.
    pub version: Option<Version>,
}

/// Why the value of `--provenance` is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceError(String);

impl fmt::Display for ProvenanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`--provenance`: `{}` is not understood: say `min`, `max`, `version=v1` or `version=v0.2`, with commas between",
            self.0
        )
    }
}

impl error::Error for ProvenanceError {}

impl FromStr for Provenance {
    type Err = ProvenanceError;

    /// `min`, `max`, `mode=max`, `version=v1`, with commas between.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut wanted = Self::default();
        for word in text.split(',') {
            match word {
                "min" | "mode=min" => wanted.mode = Mode::Min,
                "max" | "mode=max" | "true" => wanted.mode = Mode::Max,
                "version=v1" => wanted.version = Some(Version::V1),
                "version=v0.2" => wanted.version = Some(Version::V0_2),
                other => return Err(ProvenanceError(other.to_owned())),
            }
        }
        Ok(wanted)
    }
}

impl Provenance {
    /// What the daemon reads under `attest:provenance` (BuildKit `frontend/attestations/parse.go`).
    pub fn attr(&self) -> String {
        let mode = match self.mode {
            Mode::Min => "mode=min",
            Mode::Max => "mode=max",
        };
        match self.version {
            None => mode.to_owned(),
            Some(Version::V1) => format!("{mode},version=v1"),
            Some(Version::V0_2) => format!("{mode},version=v0.2"),
        }
    }
}

/// One thing that a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// A package URL, or a file's name.
    pub name: String,
    /// `sha256:…`
    pub digest: String,
}

/// An in-toto statement as a file holds it: about `subjects`, `predicate` of type `kind`.
pub fn statement(kind: &str, subjects: &[Subject], predicate: &Value) -> Vec<u8> {
    let subjects: Vec<Value> = subjects
        .iter()
        .map(|subject| {
            let (algorithm, hex) = subject.digest.split_once(':').unwrap_or(("", &subject.digest));
            json!({"name": subject.name, "digest": {algorithm: hex}})
        })
        .collect();
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "predicateType": kind,
        "subject": subjects,
        "predicate": predicate,
    });
    let mut text = format!("{statement:#}").into_bytes();
    text.push(b'\n');
    text
}

/// Takes out of a provenance of mode `max` what one of mode `min` does not tell (BuildKit
/// `solver/llbsolver/provenance.go`): steps, layers, samples of resources, build arguments and labels.
pub fn minimize(predicate: &mut Value) {
    fn take(value: &mut Value, path: &[&str]) {
        let Some((last, way)) = path.split_last() else { return };
        let holder = way.iter().try_fold(value, |value, key| value.get_mut(*key));
        if let Some(Value::Object(map)) = holder {
            map.shift_remove(*last);
        }
    }
    const BUILDKIT: &str = "https://mobyproject.org/buildkit@v1#metadata";
    for path in [
        &["buildDefinition", "internalParameters", "buildConfig"][..],
        &["runDetails", "metadata", "buildkit_metadata", "layers"],
        &["runDetails", "metadata", "buildkit_metadata", "source"],
        &["runDetails", "metadata", "buildkit_metadata", "sysUsage"],
        &["buildConfig"],
        &["metadata", BUILDKIT, "layers"],
        &["metadata", BUILDKIT, "source"],
        &["metadata", BUILDKIT, "sysUsage"],
    ] {
        take(predicate, path);
    }
    for path in [
        &["buildDefinition", "externalParameters", "request", "args"][..],
        &["invocation", "parameters", "args"],
    ] {
        let args = path.iter().try_fold(&mut *predicate, |value, key| value.get_mut(*key));
        if let Some(Value::Object(args)) = args {
            args.retain(|key, _| !key.starts_with("build-arg:") && !key.starts_with("label:"));
        }
    }
}

/// The predicate of [`INVOCATION_PREDICATE`]: `{"parameters": {"peelbox:version": …, "peelbox:spec": "sha256:…", …}}`.
pub fn invocation(parameters: &BTreeMap<String, String>) -> Vec<u8> {
    json!({ "parameters": parameters }).to_string().into_bytes()
}

/// Puts parameters where a provenance of either version has those of the request.
pub fn add_parameters(predicate: &mut Value, parameters: &BTreeMap<String, String>) {
    let way: &[&str] = if predicate.get("buildDefinition").is_some() {
        &["buildDefinition", "externalParameters", "request", "args"]
    } else {
        &["invocation", "parameters", "args"]
    };
    let mut place = predicate;
    for key in way {
        let Value::Object(map) = place else { return };
        let entry = map.entry(*key).or_insert(Value::Null);
        if entry.is_null() {
            *entry = json!({});
        }
        place = entry;
    }
    if let Value::Object(args) = place {
        args.extend(parameters.iter().map(|(k, v)| (k.clone(), v.clone().into())));
    }
}

/// Sets the time at which the build began to one earlier by that much; a time that is none stays.
pub fn begin_earlier(predicate: &mut Value, by: Duration) {
    for path in [&["runDetails", "metadata", "startedOn"][..], &["metadata", "buildStartedOn"]] {
        let place = path.iter().try_fold(&mut *predicate, |value, key| value.get_mut(*key));
        let Some(Value::String(text)) = place else { continue };
        let began = text.parse::<Timestamp>().ok().and_then(|time| time.checked_sub(by).ok());
        if let Some(began) = began {
            *text = began.to_string();
        }
    }
}

/// The package URL by which BuildKit names an image in a statement: `pkg:docker/app@1?platform=linux%2Famd64`.
///
/// `reference` is normalised (`docker.io/library/app:1`).
pub fn image_purl(reference: &str, platform: &str) -> String {
    let (name, tag) = match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    };
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    let escape = |text: &str, kept: &str| -> String {
        text.bytes()
            .map(|b| match char::from(b) {
                c if c.is_ascii_alphanumeric() || "-._~".contains(c) || kept.contains(c) => {
                    c.to_string()
                }
                _ => format!("%{b:02X}"),
            })
            .collect()
    };
    let tag = tag.map(|tag| format!("@{}", escape(tag, ":"))).unwrap_or_default();
    format!("pkg:docker/{}{tag}?platform={}", escape(name, "/:"), escape(platform, ""))
}

/// Parses a predicate; `None` for what is no JSON object.
pub fn predicate(data: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Map<String, Value>>(data).ok().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_words_with_commas_between() {
        let of =
            |text: &str| text.parse::<Provenance>().map(|p| p.attr()).map_err(|e| e.to_string());
        assert_eq!(of("min"), Ok("mode=min".to_owned()));
        assert_eq!(of("mode=max"), Ok("mode=max".to_owned()));
        assert_eq!(of("max,version=v0.2"), Ok("mode=max,version=v0.2".to_owned()));
        assert_eq!(of("version=v1"), Ok("mode=max,version=v1".to_owned()));
        assert!(of("full").unwrap_err().contains("`full`"));
        assert!(of("").is_err());
    }

    #[test]
    fn an_image_is_named_as_buildkit_names_it() {
        assert_eq!(
            image_purl("docker.io/library/app:1.2", "linux/amd64"),
            "pkg:docker/app@1.2?platform=linux%2Famd64"
        );
        assert_eq!(
            image_purl("localhost:5000/team/app:x", "linux/arm/v7"),
            "pkg:docker/localhost:5000/team/app@x?platform=linux%2Farm%2Fv7"
        );
    }

    #[test]
    fn what_min_does_not_tell_is_taken_out() {
        let mut predicate = json!({
            "buildDefinition": {
                "externalParameters": {"request": {"args": {"build-arg:A": "1", "peelbox:version": "2"}}},
                "internalParameters": {"buildConfig": {"llbDefinition": []}, "builderPlatform": "linux/amd64"},
            },
            "runDetails": {"metadata": {"buildkit_metadata": {"layers": {}, "vcs": {"revision": "r"}}}},
        });
        minimize(&mut predicate);
        assert_eq!(
            predicate,
            json!({
                "buildDefinition": {
                    "externalParameters": {"request": {"args": {"peelbox:version": "2"}}},
                    "internalParameters": {"builderPlatform": "linux/amd64"},
                },
                "runDetails": {"metadata": {"buildkit_metadata": {"vcs": {"revision": "r"}}}},
            })
        );
    }

    #[test]
    fn parameters_stand_where_each_version_has_them() {
        let parameters = BTreeMap::from([("peelbox:version".to_owned(), "1".to_owned())]);
        let mut v1 =
            json!({"buildDefinition": {"externalParameters": {"request": {"args": {"a": "b"}}}}});
        add_parameters(&mut v1, &parameters);
        let args = &v1["buildDefinition"]["externalParameters"]["request"]["args"];
        assert_eq!(*args, json!({"a": "b", "peelbox:version": "1"}));
        let mut v0_2 = json!({"invocation": {"parameters": {}}});
        add_parameters(&mut v0_2, &parameters);
        assert_eq!(v0_2["invocation"]["parameters"]["args"], json!({"peelbox:version": "1"}));
    }

    #[test]
    fn a_build_began_before_it_was_recorded() {
        let by = Duration::from_millis(1500);
        let mut v1 = json!({"runDetails": {"metadata": {"startedOn": "2026-01-01T00:00:01.25Z"}}});
        begin_earlier(&mut v1, by);
        assert_eq!(v1["runDetails"]["metadata"]["startedOn"], "2025-12-31T23:59:59.75Z");
        let mut v02 = json!({"metadata": {"buildStartedOn": "2026-01-01T00:00:02Z"}});
        begin_earlier(&mut v02, by);
        assert_eq!(v02["metadata"]["buildStartedOn"], "2026-01-01T00:00:00.5Z");
        let mut none = json!({"metadata": {"buildStartedOn": "soon"}});
        begin_earlier(&mut none, by);
        assert_eq!(none["metadata"]["buildStartedOn"], "soon");
    }

    #[test]
    fn a_statement_names_what_it_is_about() {
        let subject = Subject { name: "pkg:docker/app".to_owned(), digest: "sha256:ab".to_owned() };
        let text = statement(SPDX_PREDICATE, &[subject], &json!({"a": 1}));
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["subject"][0]["digest"]["sha256"], "ab");
        assert_eq!(value["predicateType"], SPDX_PREDICATE);
        assert_eq!(value["predicate"]["a"], 1);
    }
}
