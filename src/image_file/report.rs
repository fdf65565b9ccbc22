//! What is in an image file and what is wrong with it; as JSON it is what `peelbox inspect --format json` prints.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Facts;

/// A file with its images.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What it is.
    pub form: Form,
    /// Of a tar.
    pub size_bytes: Option<u64>,
    /// In the order of its index.
    pub images: Vec<Image>,
    /// Files next to it that speak of it.
    pub beside: Vec<Beside>,
    /// Blobs that have the digest by which they are called.
    pub verified_blobs: usize,
    /// What is not as it should be; empty if all is well.
    pub faults: Vec<String>,
}

/// How images lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A tar that is an OCI image layout.
    OciTar,
    /// The same with what `docker load` of the classic image store reads.
    OciAndDockerTar,
    /// A tar of `docker save` without an index.
    DockerTar,
    /// A folder.
    OciFolder,
}

/// One image, of one or several platforms.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Image {
    /// References or tags.
    pub names: Vec<String>,
    /// Of its index, or else its manifest; a tar of `docker save` may have neither.
    pub digest: Option<String>,
    /// Of that.
    pub media_type: String,
    /// Those that are in the file.
    pub manifests: Vec<Manifest>,
    /// Those that are only named.
    pub elsewhere: Vec<OtherPlatform>,
}

/// A platform that the index of an image names and the file does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherPlatform {
    /// Of its manifest.
    pub digest: String,
    /// As the index says.
    pub platform: Option<String>,
}

/// The image of one platform.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Manifest {
    /// `linux/arm/v7`
    pub platform: String,
    /// Of the manifest, if there is one.
    pub digest: Option<String>,
    /// Of the manifest.
    pub media_type: String,
    /// Of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Which id it has in Docker's classic image store.
    pub config_digest: String,
    /// What it says.
    pub config: Config,
    /// Bytes of manifest, config and layers.
    pub size_bytes: u64,
    /// From the base on.
    pub layers: Vec<Layer>,
    /// What is said of it inside the file.
    pub attestations: Vec<Attestation>,
}

/// What a container of the image gets; of variables only the names, for their values may be secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are those of the OCI image configuration")]
pub struct Config {
    pub created: Option<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<String>,
    pub user: String,
    pub working_dir: String,
    pub exposed_ports: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

/// One layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Of the blob.
    pub digest: String,
    /// As the manifest says.
    pub media_type: String,
    /// Of the blob.
    pub size_bytes: u64,
    /// Of the tar in it, if it was looked at.
    pub unpacked_bytes: Option<u64>,
    /// SHA-256 of that tar, as the config says.
    pub diff_id: Option<String>,
    /// The line of the history that made it.
    pub created_by: Option<String>,
    /// File in the tar, where it is not called by its digest.
    #[serde(skip)]
    pub(super) file: Option<String>,
}

/// A statement about an image, inside the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attestation {
    /// Of the manifest that holds it.
    pub manifest_digest: String,
    /// Of the statement.
    pub digest: String,
    /// Of the statement.
    pub size_bytes: u64,
    /// What it is, with a few facts.
    #[serde(flatten)]
    pub statement: StatementOf,
}

/// A file next to the image that speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// Its name, without folders.
    pub file: String,
    /// Its size.
    pub size_bytes: u64,
    /// What it is, with a few facts.
    #[serde(flatten)]
    pub statement: StatementOf,
}

/// A statement without the place where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatementOf {
    /// What it states, by an address.
    pub predicate_type: String,
    /// Names of what it is about.
    pub subjects: Vec<String>,
    /// Whether all of that is the image.
    pub is_about_image: bool,
    /// What it says.
    pub predicate: Facts,
}
