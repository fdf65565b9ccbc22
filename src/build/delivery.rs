//! Where the result of a build goes: decided once, from the output, the builder's image store and what is attested.
//!
//! Everything that a build does differently for one output than for another is a field of [`Delivery`]; nothing after
//! [`decide`] asks what the output is.

use std::{
    collections::BTreeMap,
    error, fmt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::{
    attestations::{Attestations, Sbom},
    beside::{AttestationDir, AttestationDirError},
};
use crate::{
    connect::ImageStore,
    output::{Dest, Output, OutputError, beside_folder},
    solve::Exporter,
};

/// Where one result goes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What there will be.
    pub makes: Makes,
    /// What exports the result; `None`: nothing does.
    pub exporter: Option<Exporter>,
    /// What takes what the exporter sends.
    pub sink: Sink,
    /// Whether the build exports at once.
    pub stages: Stages,
    /// Where SBOM and provenance are stored.
    pub attestations: AttestationTarget,
    /// Where attestations that are files go, if there may be some.
    pub dir: Option<AttestationDir>,
    /// Names of the image; empty when there is none.
    pub names: Vec<String>,
    /// What the daemon itself attests, as it is told (`attest:…`).
    pub daemon_attests: BTreeMap<String, String>,
    /// Peelbox reads the image and makes its SBOM.
    pub makes_sbom: bool,
    /// The daemon's record of the build has the provenance, as no image can hold it.
    pub needs_record: bool,
    /// What makes the same image beside the build, to tell its digests before it is delivered; `None`: nobody wants to know,
    /// or the store does not tell.
    pub digest_exporter: Option<Exporter>,
    /// Health checks are part of the image: one for Docker.
    pub is_for_docker: bool,
}

/// What a build makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// An image, which has digests and may have names.
    Image,
    /// The files of the result, and no image.
    Files,
    /// Nothing that leaves the builder's cache.
    Nothing,
}

/// What takes the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Nothing: the result stays in the builder's cache.
    Nothing,
    /// The builder keeps it as an image, or pushes it.
    Builder,
    /// The Docker Engine that the builder is inside of, without a transfer.
    BuilderEngine,
    /// A Docker Engine, which is sent the image.
    Engine,
    /// A stream of bytes: an image or a tar of files.
    Stream(Dest),
    /// A folder.
    Folder(PathBuf),
}

/// Whether the build exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stages {
    /// The build exports its result.
    One,
    /// All is built, then a second build exports if need be (`stages.rs`).
    Two,
}

/// Where attestations are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttestationTarget {
    /// Nowhere: there is no image, or nothing is attested.
    Nowhere,
    /// With the caller, who asked for the SBOM and nothing else.
    Caller,
    /// In the image.
    Image,
    /// In files beside it.
    Files,
}

/// The builder, as far as a delivery depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the builder keeps images.
    pub store: ImageStore,
    /// Which Docker Engine shall hold an image for Docker.
    pub engine: EngineOf,
}

/// Which Docker Engine shall hold an image for Docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineOf {
    /// None.
    Nobody,
    /// The one that the builder is inside of.
    Builder,
    /// One beside the builder.
    Another,
}

/// What decides a delivery besides the output and the place.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// What is attested.
    pub attestations: &'a Attestations,
    /// Names of the image.
    pub tags: &'a [String],
    /// A time of creation is given, which files in layers get too.
    pub has_epoch: bool,
    /// Where attestations go that have no other place.
    pub data_dir: Option<&'a Path>,
}

/// A delivery that may have to wait for a Docker Engine to say whether its store holds attestations: to ask takes 6 ms
/// (29.8), so the build begins meanwhile.
#[derive(Debug)]
pub struct Decision {
    inside: Delivery,
    beside: Delivery,
    is_inside: OnceLock<bool>,
}

impl Decision {
    /// Whether it is still to be found out.
    pub fn is_open(&self) -> bool {
        self.inside != self.beside && self.is_inside.get().is_none()
    }

    /// The engine has said whether its store holds attestations.
    pub fn settle(&self, is_inside: bool) {
        self.is_inside.get_or_init(|| is_inside);
    }

    /// The delivery; while it is open the one with attestations in the image.
    pub fn delivery(&self) -> &Delivery {
        if self.is_inside.get() == Some(&false) { &self.beside } else { &self.inside }
    }
}

impl From<Delivery> for Decision {
    fn from(delivery: Delivery) -> Self {
        Self { beside: delivery.clone(), inside: delivery, is_inside: OnceLock::new() }
    }
}

/// Decides where a result goes. `holds_attestations` asks the engine that shall hold the image, if that cannot wait.
///
/// # Errors
/// [`DeliveryError`], or that the engine cannot be asked.
pub fn decide<E: From<DeliveryError>>(
    output: &Output,
    place: Place,
    wish: Wish<'_>,
    holds_attestations: impl FnOnce() -> Result<bool, E>,
) -> Result<Decision, E> {
    let deliver = |is_held| {
        let delivery = deliver(output, place, wish, is_held)?;
        if let Some(dir) = &delivery.dir {
            dir.check()?;
        }
        Ok::<_, DeliveryError>(delivery)
    };
    if !is_in_docker(output) || wish.attestations.is_nothing() {
        return Ok(deliver(false)?.into());
    }
    match (deliver(true), deliver(false)) {
        (Ok(inside), Ok(beside)) if place.engine == EngineOf::Another => {
            Ok(Decision { inside, beside, is_inside: OnceLock::new() })
        }
        (inside, beside) => {
            Ok(if holds_attestations()? { inside } else { beside }.map(Decision::from)?)
        }
    }
}

fn is_in_docker(output: &Output) -> bool {
    matches!(output, Output::Docker { dest: None, .. })
}

/// The table of deliveries. `is_held`: the engine that shall hold the image holds attestations.
fn deliver(
    output: &Output,
    place: Place,
    wish: Wish<'_>,
    is_held: bool,
) -> Result<Delivery, DeliveryError> {
    refuse_classic(output, place.store)?;
    let Wish { attestations: wanted, tags, .. } = wish;
    let target = target(output, wanted, is_held)?;
    let is_image = target == AttestationTarget::Image;
    let keeps_image = is_in_docker(output) && place.engine == EngineOf::Builder;
    let names: Vec<String> = match output.is_pushed_by_digest() {
        // What is pushed by its digest gets no tag.
        true => tags.iter().map(|tag| without_tag(tag).to_owned()).collect(),
        false if output.has_image() => tags.to_vec(),
        false => Vec::new(),
    };
    let dir = match target {
        AttestationTarget::Files => Some(attestation_dir(output, wish)?),
        AttestationTarget::Image if wanted.is_cyclonedx => Some(attestation_dir(output, wish)?),
        _ => None,
    };
    let mut daemon_attests = BTreeMap::new();
    if is_image {
        if let Some(provenance) = &wanted.provenance {
            daemon_attests.insert("attest:provenance".to_owned(), provenance.attr());
        }
        if let Sbom::Generator(image) = &wanted.sbom {
            daemon_attests.insert("attest:sbom".to_owned(), format!("generator={image}"));
        }
    }
    let stages = match is_in_docker(output) && !wanted.is_nothing() {
        // Where a file is written it is written each time, and without SBOM and provenance an export costs less than the
        // question whether it is needed.
        true => Stages::Two,
        false => Stages::One,
    };
    let makes_sbom = wanted.sbom == Sbom::Own && target != AttestationTarget::Nowhere;
    let tells_digests = (makes_sbom || stages == Stages::Two)
        && place.store != ImageStore::Classic
        && !output.is_files();
    Ok(Delivery {
        makes: match output {
            Output::None => Makes::Nothing,
            Output::Local { .. } | Output::Tar { .. } => Makes::Files,
            Output::Docker { .. } | Output::Oci { .. } | Output::Image { .. } => Makes::Image,
        },
        exporter: exporter(output, keeps_image, is_image, &names, wish.has_epoch),
        sink: match output {
            Output::None => Sink::Nothing,
            Output::Image { .. } => Sink::Builder,
            Output::Local { dest, .. } => Sink::Folder(dest.clone()),
            Output::Oci { dest, .. }
            | Output::Tar { dest, .. }
            | Output::Docker { dest: Some(dest), .. } => Sink::Stream(dest.clone()),
            Output::Docker { dest: None, .. } if keeps_image => Sink::BuilderEngine,
            Output::Docker { dest: None, .. } => Sink::Engine,
        },
        stages,
        attestations: target,
        dir,
        names,
        daemon_attests,
        makes_sbom,
        needs_record: target == AttestationTarget::Files && wanted.provenance.is_some(),
        digest_exporter: tells_digests.then(|| digest_exporter(output, is_image, wish.has_epoch)),
        is_for_docker: matches!(output, Output::Docker { .. }),
    })
}

/// The classic store gives no image away and takes none from the exporters of BuildKit.
fn refuse_classic(output: &Output, store: ImageStore) -> Result<(), DeliveryError> {
    match output {
        _ if store != ImageStore::Classic => Ok(()),
        Output::Image { .. } => Err(DeliveryError::Classic(ClassicCannot::Push)),
        Output::Oci { .. } | Output::Docker { dest: Some(_), .. } => {
            Err(DeliveryError::Classic(ClassicCannot::WriteFile))
        }
        _ => Ok(()),
    }
}

fn target(
    output: &Output,
    wanted: &Attestations,
    is_held: bool,
) -> Result<AttestationTarget, DeliveryError> {
    if wanted.is_returned {
        return Ok(AttestationTarget::Caller);
    }
    let holder = match output {
        Output::None if wanted.is_inside_required => return Err(DeliveryError::NoImage),
        Output::None => return Ok(AttestationTarget::Nowhere),
        _ if wanted.is_nothing() => return Ok(AttestationTarget::Nowhere),
        Output::Oci { .. } | Output::Image { .. } => return Ok(AttestationTarget::Image),
        Output::Docker { dest: None, .. } if is_held => return Ok(AttestationTarget::Image),
        Output::Docker { dest: None, .. } => Holder::ClassicStore,
        Output::Docker { dest: Some(_), .. } => Holder::DockerTar,
        Output::Local { .. } => Holder::Folder,
        Output::Tar { .. } => Holder::TarOfFiles,
    };
    if wanted.is_inside_required {
        return Err(DeliveryError::CannotHold(holder));
    }
    match wanted.sbom {
        Sbom::Generator(_) => Err(DeliveryError::CannotHoldScanner(holder)),
        Sbom::Own | Sbom::No => Ok(AttestationTarget::Files),
    }
}

fn attestation_dir(output: &Output, wish: Wish<'_>) -> Result<AttestationDir, DeliveryError> {
    if let Some(dir) = &wish.attestations.dir {
        return Ok(AttestationDir::Dir(dir.clone()));
    }
    if let Some(folder) = output.folder() {
        return Ok(AttestationDir::Beside(beside_folder(folder)));
    }
    if let Some(Dest::File(path)) = output.dest() {
        return Ok(AttestationDir::Beside(path.clone()));
    }
    let data_dir = wish.data_dir.ok_or(DeliveryError::NoDataDir)?;
    Ok(AttestationDir::ByDigest(data_dir.join("attestations")))
}

fn exporter(
    output: &Output,
    keeps_image: bool,
    is_image: bool,
    names: &[String],
    has_epoch: bool,
) -> Option<Exporter> {
    let name = output.exporter()?;
    if output.is_files() {
        // These know nothing of images.
        return Some(Exporter { name: name.to_owned(), attrs: output.exporter_attrs() });
    }
    let name = match name {
        _ if keeps_image => "moby",
        // Docker takes an OCI image too, and only that holds attestations.
        _ if is_in_docker(output) && is_image => "oci",
        _ => name,
    };
    let mut exporter = image_exporter(output, name, has_epoch);
    if !names.is_empty() {
        exporter.attrs.insert("name".to_owned(), names.join(","));
    }
    Some(exporter)
}

/// What makes the same image beside the build, of which only the digests are wanted: it goes nowhere and gets no name. For
/// files nobody wants them, and layers would be made for that.
fn digest_exporter(output: &Output, is_image: bool, has_epoch: bool) -> Exporter {
    let is_oci = match output {
        Output::Docker { dest: Some(_), .. } => false,
        // What goes into the classic store of an engine beside the builder.
        Output::Docker { .. } => is_image,
        _ => true,
    };
    let mut exporter = image_exporter(output, "image", has_epoch);
    exporter.attrs.retain(|key, _| !Output::is_of_image(key));
    // As the exporters `oci` and `docker` make it if nobody says another word.
    let media_types = exporter.attrs.entry("oci-mediatypes".to_owned());
    media_types.or_insert_with(|| is_oci.to_string());
    exporter.attrs.insert("store".to_owned(), "false".to_owned());
    exporter
}

fn image_exporter(output: &Output, name: &str, has_epoch: bool) -> Exporter {
    let mut attrs = output.exporter_attrs();
    // BuildKit before v0.13 writes sources into the image's config, which the provenance tells better; newer ones leave the
    // attribute alone.
    attrs.entry("buildinfo".to_owned()).or_insert_with(|| "false".to_owned());
    if has_epoch {
        // Files too, not only the config: else a rebuilt layer has another digest.
        attrs.entry("rewrite-timestamp".to_owned()).or_insert_with(|| "true".to_owned());
    }
    Exporter { name: name.to_owned(), attrs }
}

fn without_tag(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    }
}

/// Why a result cannot be delivered as it is wanted.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The builder is inside a Docker Engine with the classic image store.
    Classic(ClassicCannot),
    /// Attestations must be in the image, and there is none.
    NoImage,
    /// Attestations must be in the image, which cannot hold them.
    CannotHold(Holder),
    /// Only an image can hold the SBOM of a scanner.
    CannotHoldScanner(Holder),
    /// There is no folder for attestations.
    NoDataDir,
    /// The folder for attestations cannot be one.
    Dir(PathBuf),
    /// Nothing can be written where attestations would go.
    Beside(OutputError),
}

/// What a Docker Engine with the classic image store cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassicCannot {
    /// Push an image while it builds.
    Push,
    /// Write an image to a file.
    WriteFile,
    /// Use a base in a local OCI layout.
    UseBase {
        /// The base.
        base: String,
        /// Fields of the spec that name it.
        fields: String,
    },
}

/// What cannot hold attestations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A Docker Engine with the classic image store.
    ClassicStore,
    /// A folder.
    Folder,
    /// A tar of files.
    TarOfFiles,
    /// A tar for `docker load`.
    DockerTar,
}

impl fmt::Display for ClassicCannot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Push => f.write_str("cannot push an image while it builds"),
            Self::WriteFile => f.write_str("cannot write an image to a file"),
            Self::UseBase { base, fields } => write!(f, "cannot use `{base}` ({fields})"),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClassicStore => "a Docker Engine with the classic image store",
            Self::Folder => "a folder",
            Self::TarOfFiles => "a tar of files",
            Self::DockerTar => "a tar for `docker load`",
        })
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classic(cannot) => {
                write!(f, "a Docker Engine with the classic image store {cannot}")
            }
            Self::NoImage => f.write_str("attestations need an image, and none is made"),
            Self::CannotHold(holder) => write!(f, "{holder} cannot hold attestations"),
            Self::CannotHoldScanner(holder) => {
                write!(f, "{holder} cannot hold the SBOM of a scanner")
            }
            Self::NoDataDir => f.write_str("there is no folder for SBOM and provenance"),
            Self::Dir(dir) => write!(f, "`{}` is no folder", dir.display()),
            Self::Beside(error) => error.fmt(f),
        }
    }
}

impl error::Error for DeliveryError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Beside(error) => error.source(),
            _ => None,
        }
    }
}

impl From<AttestationDirError> for DeliveryError {
    fn from(error: AttestationDirError) -> Self {
        match error {
            AttestationDirError::NoFolder(dir) => Self::Dir(dir),
            AttestationDirError::Output(error) => Self::Beside(error),
        }
    }
}

#[cfg(test)]
mod tests;
