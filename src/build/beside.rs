//! SBOM and provenance as files beside what they are about.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::attested::Attested;
use crate::{
    attestation::{self, SPDX_PREDICATE, Subject},
    digest::{Digest, sha256_hex},
    output::{Dest, OutputError, check_dest, write_atomically},
};

/// Name of the SBOM beside an image.
pub(super) const SBOM_FILE: &str = "sbom.spdx.json";
/// Name of the provenance beside an image, as BuildKit's folder exports have it.
const PROVENANCE_FILE: &str = "provenance.json";
/// Name of the further SBOM.
const CYCLONEDX_FILE: &str = "sbom.cdx.json";

/// Where files beside a result lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttestationDir {
    /// In this folder.
    Dir(PathBuf),
    /// Next to this file, whose name goes before theirs: `app.tar.provenance.json`.
    Beside(PathBuf),
    /// In a folder of this one, named by the image's digest.
    ByDigest(PathBuf),
}

/// Why nothing can be written there.
#[derive(Debug)]
pub(super) enum AttestationDirError {
    NoFolder(PathBuf),
    Output(OutputError),
}

/// Why a file beside a result was not written.
#[derive(Debug)]
pub(super) enum WriteError {
    Folder { dir: PathBuf, source: io::Error },
    Output(OutputError),
}

impl AttestationDir {
    /// Tells what is in the way before anything is built; folders are made when they are needed.
    pub(super) fn check(&self) -> Result<(), AttestationDirError> {
        match self {
            Self::Dir(dir) if !dir.is_dir() => {
                let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
                if !dir.exists() && parent.is_none_or(Path::is_dir) {
                    return Ok(());
                }
                Err(AttestationDirError::NoFolder(dir.clone()))
            }
            Self::Beside(path) => check_dest(&Dest::File(suffixed(path, PROVENANCE_FILE)))
                .map_err(AttestationDirError::Output),
            Self::Dir(_) | Self::ByDigest(_) => Ok(()),
        }
    }

    fn path(&self, digest: &str, name: &str) -> PathBuf {
        match self {
            Self::Dir(dir) => dir.join(name),
            Self::Beside(path) => suffixed(path, name),
            Self::ByDigest(dir) => {
                // Text of a daemon or an engine is no name of a folder.
                let digits = Digest::parse(digest).map(|digest| digest.digits().to_owned());
                let digits = digits.unwrap_or_else(|| sha256_hex(digest));
                dir.join(format!("sha256-{digits}")).join(name)
            }
        }
    }

    /// Writes one file, its folder too if need be.
    fn write(&self, digest: &str, name: &str, data: &[u8]) -> Result<PathBuf, WriteError> {
        let path = self.path(digest, name);
        if let (Self::Dir(_) | Self::ByDigest(_), Some(dir)) = (self, path.parent()) {
            fs::create_dir_all(dir)
                .map_err(|source| WriteError::Folder { dir: dir.to_owned(), source })?;
        }
        write_atomically(&path, data).map_err(WriteError::Output)?;
        Ok(path)
    }

    /// Writes what is said of `subjects`; `digest` names the folder where that needs a name. `with_statements`: SPDX and
    /// provenance too, as the result does not hold them. Gives the paths.
    pub(super) fn write_about(
        &self,
        attested: &Attested,
        with_statements: bool,
        subjects: &[Subject],
        digest: &str,
    ) -> Result<Vec<PathBuf>, WriteError> {
        let mut written = Vec::new();
        if with_statements {
            if let Some(predicate) = attested.spdx.as_deref().and_then(attestation::predicate) {
                let data = attestation::statement(SPDX_PREDICATE, subjects, &predicate);
                written.push(self.write(digest, SBOM_FILE, &data)?);
            }
            if let Some((kind, predicate)) = &attested.provenance {
                let data = attestation::statement(kind, subjects, predicate);
                written.push(self.write(digest, PROVENANCE_FILE, &data)?);
            }
        }
        if let Some(cyclonedx) = &attested.cyclonedx {
            written.push(self.write(digest, CYCLONEDX_FILE, cyclonedx)?);
        }
        Ok(written)
    }
}

fn suffixed(path: &Path, name: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(".");
    file.push(name);
    file.into()
}
