//! What is attested of an image, as plain data.

use std::path::PathBuf;

use crate::attestation::Provenance;

/// What is attested of an image, and where it goes when the image cannot hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestations {
    /// Which SBOM.
    pub sbom: Sbom,
    /// An SBOM in the format CycloneDX too, as a file.
    pub is_cyclonedx: bool,
    /// Which provenance.
    pub provenance: Option<Provenance>,
    /// The folder for files; `None`: next to the image, or a folder of [`BuildRequest::data_dir`](super::BuildRequest::data_dir).
    pub dir: Option<PathBuf>,
    /// Rather no image than files beside it.
    pub is_inside_required: bool,
    /// The SBOM is handed back with the outcome and goes nowhere else.
    pub is_returned: bool,
}

/// Which SBOM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sbom {
    /// None.
    No,
    /// The one that peelbox makes.
    Own,
    /// That of a scanner, an image that the daemon runs.
    Generator(String),
}

impl Attestations {
    /// Nothing is attested.
    pub fn none() -> Self {
        Self {
            sbom: Sbom::No,
            is_cyclonedx: false,
            provenance: None,
            dir: None,
            is_inside_required: false,
            is_returned: false,
        }
    }

    /// The SBOM that peelbox makes, in both formats, handed back with the outcome.
    pub fn returned() -> Self {
        Self { sbom: Sbom::Own, is_cyclonedx: true, is_returned: true, ..Self::none() }
    }

    /// Whether nothing is attested.
    pub fn is_nothing(&self) -> bool {
        self.sbom == Sbom::No && self.provenance.is_none()
    }
}

impl Default for Attestations {
    /// SBOM and provenance, in the image or beside it.
    fn default() -> Self {
        Self { sbom: Sbom::Own, provenance: Some(Provenance::default()), ..Self::none() }
    }
}
