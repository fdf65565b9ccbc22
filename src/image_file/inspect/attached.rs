//! What is said of an image: statements that its index holds, and files beside it.

use std::{collections::BTreeSet, ffi::OsString, fs::File, io, sync::Arc};

use super::{DOCUMENT_BYTES_MAX, Inspection, short};
use crate::{
    digest::sha256_hex,
    image_file::{
        Attestation, Beside, ImageFile, ImageFileError, Manifest, Piece, Place, StatementOf,
        statement,
    },
    oci_layout::{Descriptor, Digest, Document},
};

const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
const SPDX_BESIDE: &str = ".sbom.spdx.json";
const CYCLONEDX_BESIDE: &str = ".sbom.cdx.json";
/// Longest statement; an SBOM of 10,000 packages has some 10 MB.
const STATEMENT_BYTES_MAX: u64 = 64 << 20;
/// Statements of one manifest.
const STATEMENTS_MAX: usize = 64;
/// Names of subjects in the report.
const SUBJECTS_SHOWN_MAX: usize = 100;
/// What `peelbox build` writes beside an image.
const BESIDE: [&str; 3] = [SPDX_BESIDE, ".provenance.json", CYCLONEDX_BESIDE];

impl Inspection<'_> {
    /// Reads the statements that a manifest holds about another.
    pub(super) fn attach(&mut self, descriptor: &Descriptor) -> Result<(), ImageFileError> {
        let holder = &descriptor.digest;
        let about = descriptor.annotations.get(REFERENCE_DIGEST).cloned().unwrap_or_default();
        let has = |manifest: &Manifest| manifest.digest.as_deref() == Some(&about);
        let is_there = self.images.iter().flat_map(|image| &image.manifests).any(has);
        if !is_there {
            let mut elsewhere = self.images.iter().flat_map(|image| &image.elsewhere);
            if elsewhere.all(|other| other.digest != about) {
                self.fault(format!(
                    "the attestations {holder} are about `{}`, which the index does not name",
                    short(&about)
                ));
            }
            return Ok(());
        }
        let Some(blob) = self.open_blob(descriptor)? else {
            self.fault(format!("the attestations {holder} of {about} are missing"));
            return Ok(());
        };
        if self.manifests_left == 0 {
            self.fault(format!("{holder} is one manifest more than an image has"));
            return Ok(());
        }
        self.manifests_left -= 1;
        let Some(bytes) = self.read(descriptor, &blob, DOCUMENT_BYTES_MAX)? else { return Ok(()) };
        let Ok(Some(Document::Manifest { config, layers, .. })) = Document::parse(&bytes) else {
            self.fault(format!("the attestations {holder} are no manifest"));
            return Ok(());
        };
        match self.open_blob(&config)? {
            None => self.fault(format!("the config {} of {holder} is missing", config.digest)),
            Some(blob) => drop(self.read(&config, &blob, DOCUMENT_BYTES_MAX)?),
        }
        let mut found = Vec::new();
        for layer in layers.iter().take(STATEMENTS_MAX) {
            found.extend(self.attestation(holder, &about, layer)?);
        }
        if layers.len() > STATEMENTS_MAX {
            self.fault(format!("{holder} has more than {STATEMENTS_MAX} statements"));
        }
        let manifests = self.images.iter_mut().flat_map(|image| &mut image.manifests);
        // Several images of a file may share one.
        for manifest in manifests.filter(|manifest| manifest.digest.as_ref() == Some(&about)) {
            manifest.attestations.extend(found.iter().cloned());
        }
        Ok(())
    }

    fn attestation(
        &mut self,
        holder: &str,
        about: &str,
        layer: &Descriptor,
    ) -> Result<Option<Attestation>, ImageFileError> {
        let Some(blob) = self.open_blob(layer)? else {
            self.fault(format!("the statement {} of {holder} is missing", layer.digest));
            return Ok(None);
        };
        let Some(bytes) = self.read(layer, &blob, STATEMENT_BYTES_MAX)? else { return Ok(None) };
        let what = format!("the statement {}", layer.digest);
        let targets = BTreeSet::from([about.to_owned()]);
        let Some(statement) = self.state(&what, &bytes, &targets) else { return Ok(None) };
        let said = layer.annotations.get(PREDICATE_TYPE);
        if said.is_some_and(|said| *said != statement.predicate_type) {
            self.fault(format!("{what} has another type than its manifest says"));
        }
        Ok(Some(Attestation {
            manifest_digest: holder.to_owned(),
            digest: layer.digest.clone(),
            size_bytes: blob.size_bytes,
            statement,
        }))
    }

    /// Reads a statement and compares its subjects with what it should be about.
    fn state(
        &mut self,
        what: &str,
        bytes: &[u8],
        targets: &BTreeSet<String>,
    ) -> Option<StatementOf> {
        let read = match statement::parse(bytes) {
            Ok(read) => read,
            Err(e) => {
                self.fault(format!("{what} cannot be understood: {e}"));
                return None;
            }
        };
        let is_about_image = !read.subjects.is_empty()
            && read.subjects.iter().all(|subject| targets.contains(&subject.digest));
        if !is_about_image {
            let other = read.subjects.iter().find(|subject| !targets.contains(&subject.digest));
            let about = match other.map(|subject| (subject.digest.as_str(), &subject.name)) {
                None => "nothing".to_owned(),
                Some(("", name)) => format!("`{}` without a digest of SHA-256", short(name)),
                Some((digest, _)) => short(digest),
            };
            self.fault(format!("{what} is about {about}, not about the image it is with"));
        }
        Some(StatementOf {
            predicate_type: read.predicate_type,
            subjects: read
                .subjects
                .into_iter()
                .map(|subject| subject.name)
                .take(SUBJECTS_SHOWN_MAX)
                .collect(),
            is_about_image,
            predicate: read.facts,
        })
    }

    pub(super) fn beside(&mut self) -> Vec<Beside> {
        if !matches!(self.file.place, Place::Tar { .. }) {
            return Vec::new();
        }
        let mut targets = BTreeSet::new();
        for image in &self.images {
            targets.extend(image.digest.clone());
            for manifest in &image.manifests {
                targets.extend(manifest.digest.clone());
                targets.insert(manifest.config_digest.clone());
            }
        }
        BESIDE.iter().filter_map(|suffix| self.file_beside(suffix, &targets)).collect()
    }

    fn file_beside(&mut self, suffix: &str, targets: &BTreeSet<String>) -> Option<Beside> {
        let (file, bytes) = match self.file.beside(suffix)? {
            Ok(found) => found,
            Err((file, e)) => {
                self.fault(format!("`{file}` cannot be read: {e}"));
                return None;
            }
        };
        let what = format!("`{file}`");
        let statement = if *suffix == *CYCLONEDX_BESIDE {
            match statement::cyclonedx_file(&bytes) {
                Ok((predicate, digest)) => {
                    let is_about_image = targets.contains(&digest);
                    if !is_about_image {
                        self.fault(format!(
                            "{what} is about `{}`, not about this image",
                            short(&digest)
                        ));
                    }
                    StatementOf {
                        predicate_type: "https://cyclonedx.org/bom".to_owned(),
                        subjects: Vec::new(),
                        is_about_image,
                        predicate,
                    }
                }
                Err(e) => {
                    self.fault(format!("{what} cannot be understood: {e}"));
                    return None;
                }
            }
        } else {
            self.state(&what, &bytes, targets)?
        };
        Some(Beside { file, size_bytes: bytes.len() as u64, statement })
    }
}

impl ImageFile {
    /// A statement of the report, as it is in the file.
    ///
    /// # Errors
    /// [`ImageFileError`] if it is not there or has another digest.
    pub fn statement(&self, attestation: &Attestation) -> Result<Vec<u8>, ImageFileError> {
        let damaged = |what: &str| ImageFileError::Damaged {
            path: self.path.clone(),
            problem: format!("the statement {} {what}", attestation.digest),
        };
        let digest: Digest =
            attestation.digest.parse().map_err(|()| damaged("has no digest of SHA-256"))?;
        let blob = self.blob(&digest)?.ok_or_else(|| damaged("is missing"))?;
        let bytes = blob.read(STATEMENT_BYTES_MAX).map_err(|e| self.open_error(e))?;
        if sha256_hex(&bytes) != digest.hex() {
            return Err(damaged("has another digest"));
        }
        Ok(bytes)
    }

    /// A file whose name is that of this one and more; its name and content.
    #[expect(clippy::type_complexity, reason = "it is said once")]
    fn beside(&self, suffix: &str) -> Option<Result<(String, Vec<u8>), (String, io::Error)>> {
        let mut name: OsString = self.path.file_name()?.to_owned();
        name.push(suffix);
        let path = self.path.with_file_name(&name);
        let shown = name.to_string_lossy().into_owned();
        let read = || {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
            let file = File::from(rustix::fs::open(&path, flags, rustix::fs::Mode::empty())?);
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::Error::other("it is no file"));
            }
            Piece { file: Arc::new(file), offset: 0, size_bytes: metadata.len() }
                .read(STATEMENT_BYTES_MAX)
        };
        match read() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => Some(Err((shown, e))),
            Ok(bytes) => Some(Ok((shown, bytes))),
        }
    }

    /// The SPDX statement next to the file; `None` if there is none.
    ///
    /// # Errors
    /// [`ImageFileError::Open`]
    pub fn sbom_beside(&self) -> Result<Option<Vec<u8>>, ImageFileError> {
        match self.beside(SPDX_BESIDE) {
            None => Ok(None),
            Some(Ok((_, bytes))) => Ok(Some(bytes)),
            Some(Err((file, source))) => {
                Err(ImageFileError::Open { path: self.path.with_file_name(file), source })
            }
        }
    }
}
