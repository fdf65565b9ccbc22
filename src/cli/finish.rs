//! The end of a build: the outputs become what they are called, and the summary says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{
    build::{
        attest::{Attested, Carrier, Sbom, write_beside},
        image_memory::Known,
        work::{Built, Request},
    },
    cli::{args::BuildArgs, env::Environment, failure::output_error, follow::End, print_stdout},
    connect::probe::describe,
    docker::load::LoadProgress,
    error::{Error, Kind},
    output::{self, Output, image_id, metadata_json, write_atomically},
    progress::{ContextTotals, Loaded, Outcome, Progress, StepState, Summary, VertexDigest},
    session::context::Upload,
    spec::reference::familiar,
};

/// Puts the result where it belongs, then says so.
pub(crate) fn finish(
    args: &BuildArgs,
    env: &Environment,
    request: &Request,
    builder: String,
    end: End,
    started: Instant,
) -> Result<(), Error> {
    let End { result, progress, upload, file_send, load, docker, warnings, work, .. } = end;
    let written = file_send.as_ref().and_then(|send| send.take());
    let settled = result.and_then(|built| {
        let Built { mut response, attested } = built;
        // An index has none of its own.
        if let Some(config) = attested.digests.as_ref().and_then(|d| d.config.clone()) {
            response.entry("containerimage.config.digest".to_owned()).or_insert(config);
        }
        let is_in_docker = load.id.get().is_some();
        if file_send.is_some() && written.is_none() && !is_in_docker {
            return Err(Error::new(Kind::Internal, "the daemon says it is done and sent no image"));
        }
        let size_bytes = written.map(|sink| sink.finish().map_err(output_error)).transpose()?;
        if let Some(path) = &args.metadata_file {
            write_atomically(path, &metadata_json(&response, &extra(request, &attested)))
                .map_err(output_error)?;
        }
        if let Some(path) = &args.iidfile {
            // In Docker it has a name there, with which it can be run.
            let in_docker = load.id.get().map(String::as_str);
            let id = in_docker.or_else(|| image_id(&response)).ok_or_else(|| {
                Error::new(Kind::Internal, "the daemon does not say which id the image has")
            })?;
            write_atomically(path, id.as_bytes()).map_err(output_error)?;
        }
        let beside = beside(request, env, &attested, &response, &load)?;
        Ok((response, size_bytes, attested, beside))
    });
    let now = started.elapsed();
    match settled {
        Ok((response, size_bytes, attested, beside)) => {
            // In Docker it is asked for by this, and the classic store knows no other.
            let digest = load.id.get().or_else(|| response.get("containerimage.digest"));
            let digest = digest.cloned().unwrap_or_default();
            let tags = match request.output {
                Output::None | Output::Local { .. } | Output::Tar { .. } => Vec::new(),
                Output::Docker { .. } | Output::Oci { .. } | Output::Image { .. } => {
                    request.names().iter().map(|name| familiar(name).to_owned()).collect()
                }
            };
            let summary = Summary {
                tags,
                digest: digest.clone(),
                size_bytes,
                outputs: request.output.dest().map(ToString::to_string).into_iter().collect(),
                pushed: registries(request),
                attested: said(request, &attested, &beside),
                loaded: docker.as_ref().map(|engine| Loaded {
                    place: describe(engine),
                    is_unchanged: load.is_unchanged.load(Ordering::Relaxed),
                }),
                ..totals(&progress, &work, &upload, warnings, now, builder)
            };
            progress.finish(&Outcome::Succeeded(Box::new(summary)), now);
            if args.quiet && !digest.is_empty() && !is_stdout(request) {
                return print_stdout(format!("{digest}\n").as_bytes());
            }
            Ok(())
        }
        Err(error) => {
            show_failure(progress, &error, now);
            Err(error)
        }
    }
}

/// What a summary says of every build.
pub(crate) fn totals(
    progress: &Progress,
    work: &[String],
    upload: &Upload,
    warnings: usize,
    elapsed: Duration,
    builder: String,
) -> Summary {
    let ran = work.iter().filter(|digest| has_run(progress, digest)).count();
    Summary {
        steps: work.len(),
        cached: work.len() - ran,
        warnings,
        context: Some(ContextTotals {
            entries: upload.counters.entries.load(Ordering::Relaxed),
            bytes_sent: upload.counters.bytes_sent.load(Ordering::Relaxed),
        }),
        elapsed,
        builder,
        ..Summary::default()
    }
}

/// Ends the progress of a build that came to nothing; steps are shown when the fault lies with them.
pub(crate) fn show_failure(progress: Progress, error: &Error, now: Duration) {
    let outcome = match error.kind {
        Kind::Interrupted => Outcome::Interrupted,
        Kind::Build => Outcome::Failed(progress.failures(now)),
        _ => Outcome::Failed(Vec::new()),
    };
    progress.finish(&outcome, now);
}

/// Where it was pushed to.
fn registries(request: &Request) -> Vec<String> {
    let tags = request.tags.iter().filter(|_| request.output.is_pushed());
    // They are normalised: a host stands first.
    let hosts = tags.filter_map(|tag| tag.split('/').next());
    hosts.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Writes SBOM and provenance that the image does not hold.
fn beside(
    request: &Request,
    env: &Environment,
    attested: &Attested,
    response: &BTreeMap<String, String>,
    load: &LoadProgress,
) -> Result<Vec<PathBuf>, Error> {
    let needs_files =
        matches!(request.carrier(), Carrier::Files(_)) || attested.cyclonedx.is_some();
    if !needs_files || !attested.files.is_empty() {
        return Ok(attested.files.clone());
    }
    let place = match request.carrier() {
        Carrier::Files(place) => place.clone(),
        _ => request.attest.beside(&request.output, env)?,
    };
    // Under this name Docker knows the image.
    let in_docker = load.id.get().map(String::as_str);
    let made = response.get("containerimage.digest").map(String::as_str);
    let digest = in_docker.or(made).ok_or_else(|| {
        Error::new(Kind::Internal, "the daemon does not say which digest the image has")
    })?;
    let files = write_beside(&place, request.carrier(), attested, &request.tags, digest)?;
    if let (Carrier::Files(_), false) = (request.carrier(), attested.key.is_empty()) {
        Known::new(request.cache_dir.as_deref()).remember_beside(digest, &attested.key, &files);
    }
    Ok(files)
}

/// What the summary says of SBOM and provenance: label and text.
pub(crate) fn said(
    request: &Request,
    attested: &Attested,
    beside: &[PathBuf],
) -> Vec<(String, String)> {
    if request.output == Output::None {
        return Vec::new();
    }
    let mut rows = Vec::new();
    let sbom = match &request.attest.sbom {
        Sbom::No => "no SBOM (--no-sbom)".to_owned(),
        Sbom::Generator(image) => format!("SBOM of {image}"),
        Sbom::Own if attested.is_there => "SBOM".to_owned(),
        Sbom::Own => format!("SBOM of {} packages", attested.packages),
    };
    let provenance = match request.attest.provenance {
        None => "no provenance (--no-provenance)",
        Some(_) => "provenance",
    };
    let place = match request.carrier() {
        Carrier::Image if attested.is_there => " are in the image since it was loaded",
        Carrier::Image => " in the image",
        Carrier::Files(_) if attested.is_there => " are beside the image since it was made",
        Carrier::Files(_) if request.output.is_files() => " beside the files",
        Carrier::Files(_) => " beside the image",
        Carrier::Nobody | Carrier::Caller => "",
    };
    rows.push(("attested".to_owned(), format!("{sbom}, {provenance}{place}")));
    rows.extend(beside.iter().map(|path| (String::new(), path.display().to_string())));
    rows
}

/// Whether a step did its work in this build; of what was found in the cache the daemon may not even speak.
fn has_run(progress: &Progress, digest: &str) -> bool {
    let model = progress.model();
    let step = model.step_of(&VertexDigest(digest.to_owned()));
    step.is_some_and(|id| model.step(id).state() == StepState::Done)
}

fn is_stdout(request: &Request) -> bool {
    request.output.dest() == Some(&output::Dest::Stdout)
}

pub(crate) fn extra(
    request: &Request,
    attested: &Attested,
) -> BTreeMap<&'static str, serde_json::Value> {
    let service = Some(("service", request.project.name.clone().into()));
    let manifest = attested.digests.as_ref().map(|d| ("manifest", d.manifest.clone().into()));
    service.into_iter().chain(manifest).collect()
}
