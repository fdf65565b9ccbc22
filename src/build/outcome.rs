//! What came of a build.

use std::{collections::BTreeMap, path::PathBuf};

use super::{delivery::Delivery, event::Planned};
use crate::{docker::load::Loaded, session::context::Upload};

/// What came of a build that went well. Files have their names by now.
#[derive(Debug)]
pub struct BuildOutcome {
    /// What BuildKit's exporter said, by its keys: `containerimage.digest`, `image.name` and others.
    pub response: BTreeMap<String, String>,
    /// Digest of the image's manifest, when it was asked for.
    pub manifest: Option<String>,
    /// The image in the Docker Engine that got it.
    pub loaded: Option<Loaded>,
    /// Where it went.
    pub delivery: Delivery,
    /// What was written to a file, a stream or a folder.
    pub written: Option<Written>,
    /// SBOM and provenance.
    pub attestations: Attestation,
    /// How much of the context was sent.
    pub upload: Upload,
    /// What was planned.
    pub planned: Planned,
}

/// What was written to a file, a stream or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Regular files, when it was a folder.
    pub files: Option<u64>,
    /// Bytes in all.
    pub bytes: u64,
}

/// What is attested of a result, and where it is.
#[derive(Clone, Debug, Default)]
pub struct Attestation {
    /// The SPDX document, if one was made in this build.
    pub spdx: Option<Vec<u8>>,
    /// The CycloneDX document, if one was wanted.
    pub cyclonedx: Option<Vec<u8>>,
    /// Packages in the SBOM.
    pub packages: usize,
    /// It was there before this build, in the image or in `files`.
    pub was_there: bool,
    /// Files with attestations.
    pub files: Vec<PathBuf>,
}
