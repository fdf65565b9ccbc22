//! What is said of an image: in-toto statements, read out of the image or from the files beside it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::image::Image;

/// Predicate type of an SPDX document.
pub(crate) const SPDX: &str = "https://spdx.dev/Document";
/// Predicate types of provenances: SLSA 1 and 0.2.
pub(crate) const SLSA_1: &str = "https://slsa.dev/provenance/v1";
pub(crate) const SLSA_0_2: &str = "https://slsa.dev/provenance/v0.2";

/// One platform's image, and what is said of it.
#[derive(Debug)]
pub(crate) struct Attested {
    /// `linux/amd64`
    pub(crate) platform: String,
    /// Digest of the manifest of the image.
    pub(crate) manifest: String,
    pub(crate) statements: Vec<Value>,
}

impl Attested {
    /// The predicate of that type; each is there once.
    pub(crate) fn predicate(&self, kind: &str) -> &Value {
        let mut found = self.statements.iter().filter(|s| s["predicateType"] == kind);
        let statement = found.next().unwrap_or_else(|| panic!("no {kind}: {:?}", self.kinds()));
        assert!(found.next().is_none(), "{kind} twice");
        &statement["predicate"]
    }

    pub(crate) fn spdx(&self) -> &Value {
        self.predicate(SPDX)
    }

    pub(crate) fn kinds(&self) -> BTreeSet<&str> {
        self.statements.iter().map(|s| s["predicateType"].as_str().unwrap()).collect()
    }

    /// All statements are of the image's manifest.
    pub(crate) fn check_subjects(&self) {
        assert!(!self.statements.is_empty());
        for statement in &self.statements {
            assert_eq!(subjects(statement), BTreeSet::from([self.manifest.clone()]));
        }
    }
}

/// The digests that a statement is about.
pub(crate) fn subjects(statement: &Value) -> BTreeSet<String> {
    let listed = statement["subject"].as_array().unwrap();
    assert!(!listed.is_empty(), "{statement}");
    let digest = |subject: &Value| {
        assert!(!subject["name"].as_str().unwrap().is_empty());
        format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap())
    };
    listed.iter().map(digest).collect()
}

/// The images of an index with what is said of each; `blob` gives what has a digest.
///
/// Where the index says what belongs together: BuildKit `docs/attestations/attestation-storage.md`.
pub(crate) fn images(index: &Value, blob: impl Fn(&str) -> Vec<u8>) -> Vec<Attested> {
    let json = |digest: &str| serde_json::from_slice::<Value>(&checked(&blob, digest)).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let digest = |entry: &Value| entry["digest"].as_str().unwrap().to_owned();
    let about = |entry: &Value| {
        let annotations = &entry["annotations"];
        (annotations["vnd.docker.reference.type"] == "attestation-manifest")
            .then(|| annotations["vnd.docker.reference.digest"].as_str().unwrap().to_owned())
    };
    let (said, images): (Vec<_>, Vec<_>) = entries.iter().partition(|e| about(e).is_some());
    let statements = |manifest: &str| {
        let own: Vec<_> =
            said.iter().filter(|entry| about(entry).as_deref() == Some(manifest)).collect();
        assert!(own.len() <= 1, "one attestation manifest for each platform: {index}");
        let mut statements = Vec::new();
        for entry in own {
            assert_eq!(entry["platform"]["architecture"], "unknown", "no engine may run it");
            let manifest = json(&digest(entry));
            for layer in manifest["layers"].as_array().unwrap() {
                assert_eq!(layer["mediaType"], "application/vnd.in-toto+json");
                let statement = json(layer["digest"].as_str().unwrap());
                let kind = &layer["annotations"]["in-toto.io/predicate-type"];
                assert_eq!(*kind, statement["predicateType"]);
                statements.push(statement);
            }
        }
        statements
    };
    let attested = |entry: &&Value| {
        let manifest = digest(entry);
        // The image itself is there and whole.
        assert!(json(&manifest)["layers"].is_array(), "{entry}");
        let platform = &entry["platform"];
        let [os, architecture] =
            ["os", "architecture"].map(|k| platform[k].as_str().unwrap_or_default());
        Attested {
            platform: format!("{os}/{architecture}"),
            statements: statements(&manifest),
            manifest,
        }
    };
    images.iter().map(attested).collect()
}

fn checked(blob: &impl Fn(&str) -> Vec<u8>, digest: &str) -> Vec<u8> {
    let data = blob(digest);
    let got: String = Sha256::digest(&data).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(digest.strip_prefix("sha256:"), Some(&*got));
    data
}

/// What a tar of the OCI layout holds, of which all names are of one image.
pub(crate) fn in_tar(image: &Image) -> Vec<Attested> {
    let index: Value = serde_json::from_slice(image.blob(&image.top())).unwrap();
    images(&index, |digest| image.blob(digest).to_vec())
}

/// The same, of one platform.
pub(crate) fn one_in_tar(tar: &Path) -> Attested {
    one(in_tar(&Image::read(tar)))
}

pub(crate) fn one(images: Vec<Attested>) -> Attested {
    let count = images.len();
    let [image] = <[_; 1]>::try_from(images).unwrap_or_else(|_| panic!("{count} platforms"));
    image
}

/// What skopeo copies from `source` into the new folder `dir`.
pub(crate) fn by_skopeo(source: &str, dir: &Path) -> Vec<Attested> {
    skopeo_copy(source, &format!("dir:{}", dir.display()));
    let index: Value =
        serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    images(&index, |digest| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        fs::read(dir.join(hex))
            .or_else(|_| fs::read(dir.join(format!("{hex}.manifest.json"))))
            .unwrap()
    })
}

/// Copies all platforms of an image.
pub(crate) fn skopeo_copy(source: &str, target: &str) {
    let done = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"])
        .args(["--src-tls-verify=false", "--dest-tls-verify=false", source, target])
        .output()
        .unwrap();
    assert!(done.status.success(), "{source}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A statement in a file.
pub(crate) fn statement(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let statement: Value = serde_json::from_slice(&text).unwrap();
    assert!(statement["_type"].as_str().unwrap().starts_with("https://in-toto.io/Statement/"));
    statement
}

/// `name version` of the packages of an SPDX document whose purl begins with `pkg:KIND/`.
pub(crate) fn packages(spdx: &Value, kind: &str) -> BTreeSet<String> {
    let begin = format!("pkg:{kind}/");
    let is_of_kind = |package: &&Value| {
        let mut references = package["externalRefs"].as_array().into_iter().flatten();
        references.any(|r| r["referenceLocator"].as_str().is_some_and(|p| p.starts_with(&begin)))
    };
    let line = |package: &Value| {
        let [name, version] = ["name", "versionInfo"].map(|k| package[k].as_str().unwrap_or(""));
        format!("{name} {version}")
    };
    spdx["packages"].as_array().unwrap().iter().filter(is_of_kind).map(line).collect()
}
