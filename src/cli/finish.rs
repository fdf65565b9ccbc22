//! The end of a build: small files about it, and the summary.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    build::{
        BuildOutcome, BuildRequest, Sbom,
        delivery::{AttestationTarget, Makes, Sink},
    },
    cli::{args::BuildArgs, error::output_error, event_loop::End, print_stdout},
    connect::{Builder, describe_engine},
    error::{Error, Kind},
    output::{Dest, Output, image_id, metadata_json, write_atomically},
    progress::{
        Content, ContextTotals, Loaded, Outcome, Progress, StepState, Summary, VertexDigest,
    },
    spec::reference::familiar,
};

/// Writes what was asked for about the result, then says how the build ended.
pub(crate) fn finish(
    args: &BuildArgs,
    request: &BuildRequest,
    builder: &Builder,
    end: End,
    started: Instant,
) -> Result<(), Error> {
    let End { result, progress, warnings } = end;
    let settled = result.and_then(|outcome| {
        write_about(args, request, &outcome)?;
        Ok(outcome)
    });
    let now = started.elapsed();
    let outcome = match settled {
        Ok(outcome) => outcome,
        Err(error) => {
            show_failure(progress, &error, now);
            return Err(error);
        }
    };
    // In Docker it is asked for by this, and the classic store knows no other.
    let in_docker = outcome.loaded.as_ref().map(|loaded| &loaded.id);
    let digest = in_docker.or_else(|| outcome.response.get("containerimage.digest")).cloned();
    let digest = digest.filter(|_| outcome.delivery.makes != Makes::Files).unwrap_or_default();
    let summary = summary(request, builder, &outcome, digest.clone());
    let summary = totals(summary, &progress, &outcome, warnings, now, builder.describe());
    progress.finish(&Outcome::Succeeded(Box::new(summary)), now);
    let is_stdout = outcome.delivery.sink == Sink::Stream(Dest::Stdout);
    if args.quiet && !digest.is_empty() && !is_stdout {
        return print_stdout(format!("{digest}\n").as_bytes());
    }
    Ok(())
}

/// `--metadata-file` and `--iidfile`.
fn write_about(
    args: &BuildArgs,
    request: &BuildRequest,
    outcome: &BuildOutcome,
) -> Result<(), Error> {
    if let Some(path) = &args.metadata_file {
        let service = ("service", Value::from(request.project.name()));
        let manifest = outcome.manifest.as_ref().map(|m| ("manifest", Value::from(m.clone())));
        let extra: BTreeMap<_, _> = [service].into_iter().chain(manifest).collect();
        write_atomically(path, &metadata_json(&outcome.response, &extra)).map_err(output_error)?;
    }
    if let Some(path) = &args.iidfile {
        // In Docker it has a name there, with which it can be run.
        let in_docker = outcome.loaded.as_ref().map(|loaded| loaded.id.as_str());
        let id = in_docker.or_else(|| image_id(&outcome.response)).ok_or_else(|| {
            Error::new(Kind::Internal, "the daemon does not say which id the image has")
        })?;
        write_atomically(path, id.as_bytes()).map_err(output_error)?;
    }
    Ok(())
}

/// What a summary says of what was made and where it is.
fn summary(
    request: &BuildRequest,
    builder: &Builder,
    outcome: &BuildOutcome,
    digest: String,
) -> Summary {
    let delivery = &outcome.delivery;
    let output = match &delivery.sink {
        Sink::Stream(dest) => Some(dest.to_string()),
        Sink::Folder(dest) => Some(dest.display().to_string()),
        Sink::Nothing | Sink::Builder | Sink::BuilderEngine | Sink::Engine => None,
    };
    let written = outcome.written;
    let (content, size_bytes) = match written {
        Some(written) if delivery.makes == Makes::Files => {
            (Some(Content { files: written.files, bytes: written.bytes }), None)
        }
        written => (None, written.map(|written| written.bytes)),
    };
    let engine = builder.docker().map(|engine| describe_engine(engine));
    Summary {
        tags: delivery.names.iter().map(|name| familiar(name).to_owned()).collect(),
        digest,
        size_bytes,
        content,
        outputs: output.into_iter().collect(),
        pushed: registries(request),
        attested: attested(request, outcome),
        loaded: engine.map(|place| Loaded {
            place,
            is_unchanged: outcome.loaded.as_ref().is_some_and(|loaded| loaded.is_unchanged),
        }),
        ..Summary::default()
    }
}

/// What a summary says of every build.
pub(crate) fn totals(
    summary: Summary,
    progress: &Progress,
    outcome: &BuildOutcome,
    warnings: usize,
    elapsed: Duration,
    builder: String,
) -> Summary {
    let steps = &outcome.planned.steps;
    let ran = steps.iter().filter(|digest| has_run(progress, digest)).count();
    Summary {
        steps: steps.len(),
        cached: steps.len() - ran,
        warnings,
        context: Some(ContextTotals {
            entries: outcome.upload.entries,
            bytes_sent: outcome.upload.bytes_sent,
        }),
        elapsed,
        builder,
        ..summary
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
fn registries(request: &BuildRequest) -> Vec<String> {
    let tags = request.tags.iter().filter(|_| request.output.is_pushed());
    // They are normalised: a host stands first.
    let hosts = tags.filter_map(|tag| tag.split('/').next());
    hosts.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the summary says of SBOM and provenance: label and text.
fn attested(request: &BuildRequest, outcome: &BuildOutcome) -> Vec<(String, String)> {
    if request.output == Output::None {
        return Vec::new();
    }
    let made = &outcome.attestations;
    let sbom = match &request.attestations.sbom {
        Sbom::No => "no SBOM (--no-sbom)".to_owned(),
        Sbom::Generator(image) => format!("SBOM of {image}"),
        Sbom::Own if made.was_there => "SBOM".to_owned(),
        Sbom::Own => format!("SBOM of {} packages", made.packages),
    };
    let provenance = match request.attestations.provenance {
        None => "no provenance (--no-provenance)",
        Some(_) => "provenance",
    };
    let place = match outcome.delivery.attestations {
        AttestationTarget::Image if made.was_there => " are in the image since it was loaded",
        AttestationTarget::Image => " in the image",
        AttestationTarget::Files if made.was_there => " are beside the image since it was made",
        AttestationTarget::Files if outcome.delivery.makes == Makes::Files => " beside the files",
        AttestationTarget::Files => " beside the image",
        AttestationTarget::Nowhere | AttestationTarget::Caller => "",
    };
    let mut rows = vec![("attested".to_owned(), format!("{sbom}, {provenance}{place}"))];
    rows.extend(made.files.iter().map(|path| (String::new(), path.display().to_string())));
    rows
}

/// Whether a step did its work in this build; of what was found in the cache the daemon may not even speak.
fn has_run(progress: &Progress, digest: &str) -> bool {
    let model = progress.model();
    let step = model.step_of(&VertexDigest(digest.to_owned()));
    step.is_some_and(|id| model.step(id).state() == StepState::Done)
}
