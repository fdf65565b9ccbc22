//! The end of a build whose result is files: a folder, or a tar of them.

use std::{path::PathBuf, time::Instant};

use crate::{
    attestation::Subject,
    build::{
        attest::{Attested, Carrier, write_about},
        work::{Built, Request},
    },
    cli::{
        args::BuildArgs,
        failure::output_error,
        finish::{extra, said, show_failure, totals},
        follow::End,
    },
    digest,
    error::{Error, Kind},
    output::{Dest, Sink, metadata_json, write_atomically},
    progress::{Content, Outcome, Summary},
    session::folder::{FolderReport, Received},
};

/// What was written.
struct Written {
    content: Content,
    /// What SBOM and provenance are about.
    subjects: Vec<Subject>,
    warnings: Vec<String>,
}

/// Whether something will be said of what is written, which names it by its digest.
pub(crate) fn needs_digests(request: &Request) -> bool {
    request.output.is_files() && matches!(request.carrier(), Carrier::Files(_))
}

/// Gives what was written its name, then says so.
pub(crate) fn finish(
    args: &BuildArgs,
    request: &Request,
    builder: String,
    end: End,
    started: Instant,
) -> Result<(), Error> {
    let End { result, mut progress, upload, file_send, folder_send, mut warnings, work, .. } = end;
    let tar = file_send.and_then(|send| send.take());
    let received = folder_send.and_then(|send| send.take());
    let settled = result.and_then(|built| {
        let Built { mut response, attested } = built;
        // Old daemons speak of the images that the build began with.
        response.retain(|key, _| !key.starts_with("containerimage."));
        let written = match (tar, received) {
            (Some(tar), _) => of_tar(request, tar)?,
            (None, Some(received)) => of_folder(received)?,
            (None, None) => {
                let text = "the daemon says it is done and did not send all files";
                return Err(Error::new(Kind::Internal, text));
            }
        };
        if let Some(path) = &args.metadata_file {
            write_atomically(path, &metadata_json(&response, &extra(request, &attested)))
                .map_err(output_error)?;
        }
        let beside = beside(request, &attested, &written)?;
        Ok((attested, written, beside))
    });
    let now = started.elapsed();
    match settled {
        Ok((attested, written, beside)) => {
            for warning in &written.warnings {
                progress.note(&format!("warning: {warning}"));
                warnings += 1;
            }
            let folder = request.output.folder().map(|folder| folder.display().to_string());
            let output = folder.or_else(|| request.output.dest().map(Dest::to_string));
            let summary = Summary {
                outputs: output.into_iter().collect(),
                content: Some(written.content),
                attested: said(request, &attested, &beside),
                ..totals(&progress, &work, &upload, warnings, now, builder)
            };
            progress.finish(&Outcome::Succeeded(Box::new(summary)), now);
            Ok(())
        }
        Err(error) => {
            show_failure(progress, &error, now);
            Err(error)
        }
    }
}

fn of_tar(request: &Request, tar: Sink) -> Result<Written, Error> {
    let digest = tar.digest();
    let bytes = tar.finish().map_err(output_error)?;
    let name = match request.output.dest() {
        Some(Dest::File(path)) => path.file_name().unwrap_or_default().to_string_lossy().into(),
        Some(Dest::Stdout) | None => "-".to_owned(),
    };
    let subject = digest.map(|digest| Subject { name, digest: digest::named(digest) });
    Ok(Written {
        content: Content { files: None, bytes },
        subjects: subject.into_iter().collect(),
        warnings: Vec::new(),
    })
}

fn of_folder(received: Received) -> Result<Written, Error> {
    let FolderReport { files, bytes, digests, skipped_devices, lost_owners } =
        received.finish().map_err(output_error)?;
    let skipped = (skipped_devices > 0)
        .then(|| format!("{skipped_devices} device nodes are left out: only root can make them"));
    let lost = (lost_owners > 0)
        .then(|| format!("{lost_owners} entries could not be given to their owners"));
    Ok(Written {
        content: Content { files: Some(files), bytes },
        subjects: digests.into_iter().map(|(name, digest)| Subject { name, digest }).collect(),
        warnings: skipped.into_iter().chain(lost).collect(),
    })
}

/// Writes SBOM and provenance.
fn beside(
    request: &Request,
    attested: &Attested,
    written: &Written,
) -> Result<Vec<PathBuf>, Error> {
    let Carrier::Files(place) = request.carrier() else { return Ok(Vec::new()) };
    let digest = written.subjects.first().map_or("", |subject| subject.digest.as_str());
    write_about(place, request.carrier(), attested, &written.subjects, digest)
}
