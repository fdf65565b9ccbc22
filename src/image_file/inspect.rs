//! Goes through a file from its index to the last layer and compares everything with its digest.
//!
//! A file that is not what it says is read on: each difference becomes a fault of the report. An error is only what
//! keeps the file from being read at all.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use sha2::{Digest as _, Sha256};

use super::{
    BUFFER_BYTES, DOCKER_MANIFEST, Form, INDEX, Image, ImageFile, ImageFileError, Layer, Manifest,
    OtherPlatform, Piece, Place, Report, decompress,
    documents::{RawConfig, annotations},
};
use crate::{
    digest,
    oci_layout::{self, Descriptor, Digest, Document, Platform},
};

mod attached;
mod docker;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All but the layers, of which only names and sizes are read.
    Descriptions,
    /// Everything.
    Whole,
}

impl ImageFile {
    /// Tells what is in the file, and what of it is not as it should be.
    ///
    /// # Errors
    /// [`ImageFileError`] if the index cannot be understood, or the system does not let the file be read.
    pub fn inspect(&self, depth: Depth) -> Result<Report, ImageFileError> {
        let mut inspection = Inspection {
            file: self,
            depth,
            images: Vec::new(),
            attestations: Vec::new(),
            verified: BTreeMap::new(),
            unpacked: BTreeMap::new(),
            manifests_left: MANIFESTS_MAX,
            document_bytes_left: DOCUMENTS_BYTES_MAX,
            faults: Vec::new(),
        };
        let form = match (&self.place, self.file(INDEX), self.file(DOCKER_MANIFEST)) {
            (Place::Folder(layout), ..) => {
                inspection.entries(layout.entries())?;
                Form::OciFolder
            }
            (_, Some(index), docker) => {
                let index = self.document(&index, INDEX)?;
                let entries =
                    oci_layout::entries(&index).map_err(|source| self.json(INDEX, source))?;
                inspection.entries(&entries)?;
                match docker {
                    Some(docker) => {
                        inspection.compare_with_docker(&docker)?;
                        Form::OciAndDockerTar
                    }
                    None => Form::OciTar,
                }
            }
            (_, None, Some(docker)) => {
                inspection.docker(&docker)?;
                Form::DockerTar
            }
            // `open` has looked for them.
            (_, None, None) => return Err(ImageFileError::NoImage(self.path.clone())),
        };
        if depth == Depth::Whole {
            inspection.layers()?;
        }
        let beside = inspection.beside();
        let verified_blobs = inspection.verified.values().filter(|is_right| **is_right).count();
        Ok(Report {
            form,
            size_bytes: self.size_bytes(),
            images: inspection.images,
            beside,
            verified_blobs,
            faults: inspection.faults,
        })
    }

    fn document(&self, piece: &Piece, name: &str) -> Result<Vec<u8>, ImageFileError> {
        if piece.size_bytes > DOCUMENT_BYTES_MAX {
            let problem = format!("`{name}` has more than {DOCUMENT_BYTES_MAX} bytes");
            return Err(ImageFileError::Damaged { path: self.path.clone(), problem });
        }
        piece.read(DOCUMENT_BYTES_MAX).map_err(|e| self.open_error(e))
    }

    fn json(&self, name: &str, source: serde_json::Error) -> ImageFileError {
        ImageFileError::Json { path: self.path.clone(), name: name.to_owned(), source }
    }
}

struct Inspection<'a> {
    file: &'a ImageFile,
    depth: Depth,
    images: Vec<Image>,
    /// Descriptors of manifests that hold statements.
    attestations: Vec<Descriptor>,
    /// Digests that were compared, and whether they are right.
    verified: BTreeMap<String, bool>,
    /// Digest of a layer → that of the tar in it, and its size.
    unpacked: BTreeMap<String, Result<(String, u64), String>>,
    manifests_left: usize,
    /// Of manifests, indexes and configs together.
    document_bytes_left: u64,
    faults: Vec<String>,
}

impl Inspection<'_> {
    fn fault(&mut self, text: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text);
        }
    }

    fn fault_of_size(&mut self, descriptor: &Descriptor, blob: &Piece) {
        let (found, said) = (blob.size_bytes, descriptor.size);
        self.fault(format!("{} has {found} bytes, its descriptor says {said}", descriptor.digest));
    }

    /// What `index.json` names.
    fn entries(&mut self, entries: &[Descriptor]) -> Result<(), ImageFileError> {
        let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for entry in entries {
            let of_image = names.entry(&entry.digest).or_default();
            let name = NAMES.iter().find_map(|key| entry.annotations.get(*key));
            of_image.extend(name.filter(|name| !of_image.contains(*name)).cloned());
        }
        for entry in entries {
            // Each content once, in the order of its first name.
            let Some(names) = names.remove(entry.digest.as_str()) else { continue };
            if is_attestation(entry) {
                self.attestations.push(entry.clone());
                continue;
            }
            let image = self.image(entry, names)?;
            self.images.push(image);
        }
        if self.images.is_empty() {
            self.fault(format!("`{INDEX}` names no image"));
        }
        for descriptor in std::mem::take(&mut self.attestations) {
            self.attach(&descriptor)?;
        }
        Ok(())
    }

    fn image(&mut self, entry: &Descriptor, names: Vec<String>) -> Result<Image, ImageFileError> {
        let mut image = Image { names, digest: Some(entry.digest.clone()), ..Image::default() };
        image.media_type.clone_from(&entry.media_type);
        match self.open_blob(entry)? {
            None => self.fault(format!("{} is missing", entry.digest)),
            Some(blob) => self.below(entry, &blob, NESTING_MAX, &mut image)?,
        }
        if image.manifests.is_empty() {
            self.fault(format!("of the image {} no platform is in the file", entry.digest));
        }
        Ok(image)
    }

    /// An index or a manifest that is there.
    fn below(
        &mut self,
        entry: &Descriptor,
        blob: &Piece,
        depth_left: usize,
        image: &mut Image,
    ) -> Result<(), ImageFileError> {
        if self.manifests_left == 0 || depth_left == 0 {
            self.fault(format!("{} leads to more manifests than an image has", entry.digest));
            return Ok(());
        }
        self.manifests_left -= 1;
        let Some(bytes) = self.read(entry, blob, DOCUMENT_BYTES_MAX)? else { return Ok(()) };
        let document = match Document::parse(&bytes) {
            Ok(Some(document)) => document,
            Ok(None) => {
                self.fault(format!("{} is neither a manifest nor an index", entry.digest));
                return Ok(());
            }
            Err(e) => {
                self.fault(format!("{} cannot be understood: {e}", entry.digest));
                return Ok(());
            }
        };
        let media_type = document.media_type().to_owned();
        if image.media_type.is_empty() {
            image.media_type.clone_from(&media_type);
        }
        match document {
            Document::Manifest { config, layers, .. } => {
                let manifest = Manifest {
                    digest: Some(entry.digest.clone()),
                    media_type,
                    annotations: annotations(&bytes),
                    size_bytes: blob.size_bytes,
                    ..Manifest::default()
                };
                let manifest =
                    self.manifest(manifest, entry.platform.as_ref(), &config, &layers)?;
                image.manifests.push(manifest);
            }
            Document::Index { manifests, .. } => {
                for child in manifests {
                    if is_attestation(&child) {
                        self.attestations.push(child);
                        continue;
                    }
                    match self.open_blob(&child)? {
                        Some(blob) => self.below(&child, &blob, depth_left - 1, image)?,
                        // Another platform's.
                        None => image.elsewhere.push(OtherPlatform {
                            platform: child.platform.as_ref().map(platform_name),
                            digest: child.digest,
                        }),
                    }
                }
            }
        }
        Ok(())
    }

    fn manifest(
        &mut self,
        mut manifest: Manifest,
        platform: Option<&Platform>,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<Manifest, ImageFileError> {
        manifest.config_digest.clone_from(&config.digest);
        manifest.size_bytes +=
            layers.iter().map(|layer| layer.size).fold(config.size, u64::saturating_add);
        manifest.layers = layers.iter().map(layer_of).collect();
        let of_manifest = manifest.digest.clone().unwrap_or_default();
        for layer in layers {
            match self.open_blob(layer)? {
                // Some may only be fetched from where they are.
                None if layer.urls.is_empty() => {
                    self.fault(format!(
                        "the layer {} of {of_manifest} is missing",
                        short(&layer.digest)
                    ));
                }
                Some(blob) if blob.size_bytes != layer.size => {
                    self.fault_of_size(layer, &blob);
                }
                _ => {}
            }
        }
        match self.open_blob(config)? {
            None => self.fault(format!("the config {} of {of_manifest} is missing", config.digest)),
            Some(blob) => {
                if let Some(bytes) = self.read(config, &blob, DOCUMENT_BYTES_MAX)? {
                    // What is no image, such as a signature, has a config of its own kind.
                    let is_image = config.media_type.is_empty()
                        || IMAGE_CONFIGS.contains(&config.media_type.as_str());
                    self.configure(&mut manifest, &bytes, is_image);
                }
            }
        }
        if let Some(said) = platform.map(platform_name) {
            let differs =
                !manifest.platform.is_empty() && !is_same_platform(&said, &manifest.platform);
            if differs {
                let found = &manifest.platform;
                let fault =
                    format!("{of_manifest} is said to be for {said}, its config is for {found}");
                self.fault(fault);
            } else {
                manifest.platform = said;
            }
        }
        Ok(manifest)
    }

    /// Takes from a config what is in it.
    fn configure(&mut self, manifest: &mut Manifest, bytes: &[u8], is_image: bool) {
        let config: RawConfig = match serde_json::from_slice(bytes) {
            Ok(config) => config,
            Err(_) if !is_image => return,
            Err(e) => {
                let digest = &manifest.config_digest;
                self.fault(format!("the config {digest} cannot be understood: {e}"));
                return;
            }
        };
        if !config.platform.os.is_empty() {
            manifest.platform = platform_name(&config.platform);
        }
        let (diff_ids, layers) = (&config.rootfs.diff_ids, manifest.layers.len());
        if is_image && diff_ids.len() != layers {
            let of = manifest.digest.as_ref().unwrap_or(&manifest.config_digest);
            let named = diff_ids.len();
            self.fault(format!("{of} has {layers} layers, its config speaks of {named}"));
        }
        let made = config.history.into_iter().filter(|line| !line.empty_layer);
        let mut made = made.map(|line| line.created_by).collect::<Vec<_>>().into_iter();
        for (at, layer) in manifest.layers.iter_mut().enumerate() {
            layer.diff_id = diff_ids.get(at).cloned();
            layer.created_by = made.next().flatten().filter(|line| !line.is_empty());
        }
        manifest.config = config.config.named(config.created);
    }

    /// Compares all layers with their digests, and what is in them with the config.
    fn layers(&mut self) -> Result<(), ImageFileError> {
        let mut images = std::mem::take(&mut self.images);
        let manifests = images.iter_mut().flat_map(|image| &mut image.manifests);
        for layer in manifests.flat_map(|manifest| &mut manifest.layers) {
            let Some(piece) = self.file.layer(layer)? else { continue };
            let name = match &layer.file {
                None => {
                    if !self.is_right(&layer.digest, &piece)? {
                        continue;
                    }
                    layer.digest.clone()
                }
                Some(file) => short(file),
            };
            // Layers of other things than images are not tars.
            let Some(diff_id) = &layer.diff_id else { continue };
            match self.unpack(&name, &piece) {
                Ok((found, unpacked_bytes)) => {
                    layer.unpacked_bytes = Some(unpacked_bytes);
                    if layer.file.is_some() {
                        // Nothing but the config says which digest it has.
                        self.verified.insert(diff_id.clone(), found == *diff_id);
                    }
                    if found != *diff_id {
                        self.fault(format!(
                            "the layer {name} holds {found}, the config says {}",
                            short(diff_id)
                        ));
                    }
                }
                Err(why) => self.fault(format!("the layer {name} cannot be unpacked: {why}")),
            }
        }
        self.images = images;
        Ok(())
    }

    fn unpack(&mut self, name: &str, piece: &Piece) -> Result<(String, u64), String> {
        if let Some(known) = self.unpacked.get(name) {
            return known.clone();
        }
        let done: u64 = self.unpacked.values().flatten().map(|(_, bytes)| bytes).sum();
        let hashed = unpacked_sha256(piece, UNPACKED_BYTES_MAX.saturating_sub(done));
        let hashed = hashed.map_err(|e| e.to_string());
        self.unpacked.insert(name.to_owned(), hashed.clone());
        hashed
    }

    /// The blob that a descriptor names, if it is there.
    fn open_blob(&mut self, descriptor: &Descriptor) -> Result<Option<Piece>, ImageFileError> {
        match descriptor.digest.parse::<Digest>() {
            Ok(digest) => self.file.blob(&digest),
            Err(()) => {
                let given = short(&descriptor.digest);
                self.fault(format!("`{given}` is not `sha256:` and 64 hexadecimal digits"));
                Ok(None)
            }
        }
    }

    /// Reads a blob that is there; what is not as its descriptor says is a fault, and read all the same.
    fn read(
        &mut self,
        descriptor: &Descriptor,
        blob: &Piece,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, ImageFileError> {
        let digest = &descriptor.digest;
        if blob.size_bytes != descriptor.size {
            self.fault_of_size(descriptor, blob);
        }
        if blob.size_bytes > bytes_max {
            self.fault(format!("{digest} has more than {bytes_max} bytes, which is not read"));
            return Ok(None);
        }
        if bytes_max == DOCUMENT_BYTES_MAX {
            let Some(left) = self.document_bytes_left.checked_sub(blob.size_bytes) else {
                self.fault(format!("{digest} is not read: what describes the images is too long"));
                return Ok(None);
            };
            self.document_bytes_left = left;
        }
        self.is_right(digest, blob)?;
        blob.read(bytes_max).map(Some).map_err(|e| self.file.open_error(e))
    }

    /// Whether a blob has the digest by which it is called.
    fn is_right(&mut self, digest: &str, blob: &Piece) -> Result<bool, ImageFileError> {
        if let Some(is_right) = self.verified.get(digest) {
            return Ok(*is_right);
        }
        let found = blob.sha256().map_err(|e| self.file.open_error(e))?;
        let is_right = digest.strip_prefix("sha256:") == Some(&found);
        if !is_right {
            self.fault(format!("{digest} has the digest sha256:{found}"));
        }
        self.verified.insert(digest.to_owned(), is_right);
        Ok(is_right)
    }
}

impl ImageFile {
    /// Opens what a layer of the report is; `None` if it is not in the file.
    pub(super) fn layer(&self, layer: &Layer) -> Result<Option<Piece>, ImageFileError> {
        match (&layer.file, layer.digest.parse::<Digest>()) {
            (Some(file), _) => Ok(self.file(file)),
            (None, Ok(digest)) => self.blob(&digest),
            (None, Err(())) => Ok(None),
        }
    }
}

pub(super) fn unpacked_sha256(piece: &Piece, bytes_max: u64) -> io::Result<(String, u64)> {
    let mut layer = decompress::Layer::open(piece, bytes_max)?;
    let mut hash = Sha256::new();
    let mut buf = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        match layer.read(&mut buf)? {
            0 => return Ok((digest::named(hash.finalize()), total)),
            count => {
                hash.update(&buf[..count]);
                total += count as u64;
            }
        }
    }
}

fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest")
}

fn layer_of(descriptor: &Descriptor) -> Layer {
    Layer {
        digest: descriptor.digest.clone(),
        media_type: descriptor.media_type.clone(),
        size_bytes: descriptor.size,
        ..Layer::default()
    }
}

fn platform_name(platform: &Platform) -> String {
    let Platform { os, architecture, variant } = platform;
    [os, architecture, variant]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| short(part))
        .collect::<Vec<_>>()
        .join("/")
}

/// A variant may be left out.
fn is_same_platform(a: &str, b: &str) -> bool {
    a.split('/').take(2).eq(b.split('/').take(2))
}

/// Foreign text in a message.
fn short(text: &str) -> String {
    let text: String = text.chars().take(SHORT_CHARS_MAX).collect();
    text.escape_debug().to_string()
}

/// Containerd's whole reference before the tag by itself.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
/// How BuildKit marks a manifest with statements, and says of which (BuildKit `docs/attestations/attestation-storage.md`).
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Media types of configs of images.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Longest index, manifest and config; the daemon takes no longer ones either.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// Longest all of them; 20 platforms with attestations have some 200 kB.
const DOCUMENTS_BYTES_MAX: u64 = 32 << 20;
/// An index of indexes of manifests is three levels.
const NESTING_MAX: usize = 4;
/// Manifests and indexes of a file.
const MANIFESTS_MAX: usize = 1000;
/// Layers of all images of a tar of `docker save`.
const LAYERS_MAX: usize = 100_000;
/// What is unpacked of one file to be hashed.
const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// Faults that are told.
const FAULTS_MAX: usize = 100;
/// Foreign text in messages.
const SHORT_CHARS_MAX: usize = 120;
