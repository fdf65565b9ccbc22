//! The end of a build: what was received gets its name, and what is said of it is written beside it.

use super::{
    attested::{Attested, Built},
    delivery::{AttestationTarget, Delivery, Makes, Sink},
    error::BuildError,
    event::{BuildEvent, EventSink},
    image_memory::ImageMemory,
    outcome::{Attestation, BuildOutcome, Written},
    request::BuildRequest,
};
use crate::{
    attestation::{self, Subject},
    digest,
    output::{self, Dest},
    session::{
        context::Upload,
        folder::{FolderReport, Received},
    },
};

/// Gives what was received its name, and writes what is said of it.
pub(super) fn finish(
    request: &BuildRequest,
    delivery: &Delivery,
    built: Built,
    file: Option<output::Sink>,
    folder: Option<Received>,
    upload: Upload,
    sink: &EventSink,
) -> Result<BuildOutcome, BuildError> {
    let Built { mut response, digests, mut attested, loaded, planned } = built;
    match delivery.makes {
        // An index has none of its own.
        Makes::Image => {
            if let Some(config) = digests.as_ref().and_then(|digests| digests.config.clone()) {
                response.entry("containerimage.config.digest".to_owned()).or_insert(config);
            }
        }
        // Old daemons speak of the images that the build began with.
        Makes::Files => response.retain(|key, _| !key.starts_with("containerimage.")),
        Makes::Nothing => {}
    }
    let is_image = delivery.makes == Makes::Image;
    let mut subjects = Vec::new();
    let written = match (file, folder, &delivery.sink) {
        (Some(file), _, _) => Some(of_stream(file, delivery, &mut subjects)?),
        (None, Some(folder), _) => Some(of_folder(folder, &mut subjects, sink)?),
        (None, None, _) if delivery.makes == Makes::Files => {
            let text = "the daemon says it is done and did not send all files";
            return Err(BuildError::Protocol(text));
        }
        (None, None, Sink::Stream(_)) => return Err(no_image()),
        (None, None, Sink::Engine) if loaded.is_none() => return Err(no_image()),
        _ => None,
    };
    let made = response.get("containerimage.digest");
    // Under its id there Docker knows the image.
    let id = loaded.as_ref().map(|loaded| &loaded.id).or(made).cloned();
    if is_image {
        let subject = |name: &str| Subject {
            name: attestation::image_purl(name, &planned.platform),
            digest: id.clone().unwrap_or_default(),
        };
        let own = request.tags.is_empty().then(|| request.project.name());
        subjects = request.tags.iter().map(String::as_str).chain(own).map(subject).collect();
    }
    let digest = if is_image { id } else { subjects.first().map(|subject| subject.digest.clone()) };
    write_files(request, delivery, &mut attested, &subjects, digest.as_deref(), is_image)?;
    Ok(BuildOutcome {
        response,
        manifest: digests.map(|digests| digests.manifest),
        loaded,
        delivery: delivery.clone(),
        written,
        attestations: Attestation {
            spdx: attested.spdx,
            cyclonedx: attested.cyclonedx,
            packages: attested.packages,
            was_there: attested.is_there,
            files: attested.files,
        },
        upload,
        planned,
    })
}

fn no_image() -> BuildError {
    BuildError::Protocol("the daemon says it is done and did not send all of the image")
}

fn of_stream(
    file: output::Sink,
    delivery: &Delivery,
    subjects: &mut Vec<Subject>,
) -> Result<Written, BuildError> {
    let digest = file.digest();
    let bytes = file.finish().map_err(BuildError::Output)?;
    let name = match &delivery.sink {
        Sink::Stream(Dest::File(path)) => {
            path.file_name().unwrap_or_default().to_string_lossy().into()
        }
        _ => "-".to_owned(),
    };
    subjects.extend(digest.map(|digest| Subject { name, digest: digest::named(digest) }));
    Ok(Written { files: None, bytes })
}

fn of_folder(
    folder: Received,
    subjects: &mut Vec<Subject>,
    sink: &EventSink,
) -> Result<Written, BuildError> {
    let FolderReport { files, bytes, digests, skipped_devices, lost_owners } =
        folder.finish().map_err(BuildError::Output)?;
    if skipped_devices > 0 {
        let text = format!("{skipped_devices} device nodes are left out: only root can make them");
        sink(BuildEvent::Warning(text));
    }
    if lost_owners > 0 {
        let text = format!("{lost_owners} entries could not be given to their owners");
        sink(BuildEvent::Warning(text));
    }
    subjects.extend(digests.into_iter().map(|(name, digest)| Subject { name, digest }));
    Ok(Written { files: Some(files), bytes })
}

/// Writes SBOM and provenance that the result does not hold, unless they are there since an earlier build.
fn write_files(
    request: &BuildRequest,
    delivery: &Delivery,
    attested: &mut Attested,
    subjects: &[Subject],
    digest: Option<&str>,
    is_image: bool,
) -> Result<(), BuildError> {
    let is_beside = delivery.attestations == AttestationTarget::Files;
    let Some(dir) = delivery.dir.as_ref().filter(|_| attested.files.is_empty()) else {
        return Ok(());
    };
    if !is_beside && attested.cyclonedx.is_none() {
        return Ok(());
    }
    let digest = match digest {
        Some(digest) => digest,
        None if is_image => {
            let text = "the daemon does not say which digest the image has";
            return Err(BuildError::Protocol(text));
        }
        None => "",
    };
    attested.files = dir.write_about(attested, is_beside, subjects, digest)?;
    if is_beside && is_image && !attested.key.is_empty() {
        let memory = ImageMemory::new(request.cache_dir.as_deref());
        memory.remember_beside(digest, &attested.key, &attested.files);
    }
    Ok(())
}
