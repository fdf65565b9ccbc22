//! The end of a build: the outputs become what they are called, and the summary says so.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{
    cli::{
        args::BuildArgs, failure::output_error, follow::End, job::Request, print_stdout,
        probe::describe,
    },
    error::{Error, Kind},
    output::{self, Output, image_id, metadata_json, write_atomically},
    progress::{
        ContextTotals, Failure, Loaded, Outcome, Progress, StepState, Summary, VertexDigest,
    },
    spec::reference::familiar,
};

/// Puts the result where it belongs, then says so.
pub(crate) fn finish(
    args: &BuildArgs,
    request: &Request,
    builder: String,
    end: End,
    started: Instant,
) -> Result<(), Error> {
    let End { result, progress, upload, file_send, load, docker, warnings, work } = end;
    let written = file_send.as_ref().and_then(|send| send.take());
    let settled = result.and_then(|response| {
        let has_loaded = file_send.as_ref().is_some_and(|send| send.has_loaded());
        if file_send.is_some() && written.is_none() && !has_loaded {
            return Err(Error::new(Kind::Internal, "the daemon says it is done and sent no image"));
        }
        let size_bytes = written.map(|sink| sink.finish().map_err(output_error)).transpose()?;
        if let Some(path) = &args.metadata_file {
            write_atomically(path, &metadata_json(&response, &extra(request)))
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
        Ok((response, size_bytes))
    });
    let now = started.elapsed();
    match settled {
        Ok((response, size_bytes)) => {
            let digest = response.get("containerimage.digest").cloned().unwrap_or_default();
            let ran = work.iter().filter(|digest| has_run(&progress, digest)).count();
            let tags = match request.output {
                Output::None => Vec::new(),
                Output::Docker { .. } | Output::Oci { .. } => {
                    request.tags.iter().map(|t| familiar(t).to_owned()).collect()
                }
            };
            let summary = Summary {
                tags,
                digest: digest.clone(),
                size_bytes,
                outputs: request.output.dest().map(ToString::to_string).into_iter().collect(),
                loaded: docker.as_ref().map(|engine| Loaded {
                    place: describe(engine),
                    is_unchanged: load.is_unchanged.load(Ordering::Relaxed),
                }),
                steps: work.len(),
                cached: work.len() - ran,
                warnings,
                context: Some(ContextTotals {
                    entries: upload.counters.entries.load(Ordering::Relaxed),
                    bytes_sent: upload.counters.bytes_sent.load(Ordering::Relaxed),
                }),
                elapsed: now,
                builder,
            };
            progress.finish(&Outcome::Succeeded(Box::new(summary)), now);
            if args.quiet && !digest.is_empty() && !is_stdout(request) {
                return print_stdout(format!("{digest}\n").as_bytes());
            }
            Ok(())
        }
        Err(error) => {
            let outcome = match error.kind {
                Kind::Interrupted => Outcome::Interrupted,
                _ => Outcome::Failed(failures(&progress, &error, now)),
            };
            progress.finish(&outcome, now);
            Err(error)
        }
    }
}

/// Whether a step did its work in this build; of what was found in the cache the daemon may not even speak.
fn has_run(progress: &Progress, digest: &str) -> bool {
    let model = progress.model();
    let step = model.step_of(&VertexDigest(digest.to_owned()));
    step.is_some_and(|id| model.step(id).state() == StepState::Done)
}

/// Reports of the steps that failed; none when the fault lies elsewhere.
fn failures(progress: &Progress, error: &Error, now: Duration) -> Vec<Failure> {
    if error.kind == Kind::Build { progress.failures(now) } else { Vec::new() }
}

fn is_stdout(request: &Request) -> bool {
    request.output.dest() == Some(&output::Dest::Stdout)
}

fn extra(request: &Request) -> BTreeMap<&'static str, serde_json::Value> {
    BTreeMap::from([("service", request.project.name.clone().into())])
}
