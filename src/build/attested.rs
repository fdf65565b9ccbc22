//! What is attested of a result while its build runs.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use super::event::Planned;
use crate::{docker::load::Loaded, sbom::Problem};

/// What the exporter says: `containerimage.digest` and the like.
pub(super) type Response = BTreeMap<String, String>;

/// What a build has made so far.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) response: Response,
    pub(super) digests: Option<Digests>,
    pub(super) attested: Attested,
    pub(super) loaded: Option<Loaded>,
    pub(super) planned: Planned,
}

/// What an image is, whatever index it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    /// `sha256:…` of its manifest.
    pub(super) manifest: String,
    /// `sha256:…` of its config.
    pub(super) config: Option<String>,
}

/// What was made and is to be written, or was handed over.
#[derive(Debug, Default)]
pub(super) struct Attested {
    /// The SPDX document.
    pub(super) spdx: Option<Vec<u8>>,
    /// The CycloneDX document.
    pub(super) cyclonedx: Option<Vec<u8>>,
    /// Packages in the SBOM.
    pub(super) packages: usize,
    /// Files that the SBOM could not take into account.
    pub(super) problems: Vec<Problem>,
    /// Type and predicate, from the daemon's record.
    pub(super) provenance: Option<(String, Value)>,
    /// The engine holds the image with what was said of it before, in it or in `files`.
    pub(super) is_there: bool,
    /// Beside the image, since they were written.
    pub(super) files: Vec<PathBuf>,
    /// Stands for what is said, apart from times; empty when that is not remembered.
    pub(super) key: String,
}
