//! What the user hears of a build that failed: our own side's failure before the daemon's echo of it.

use std::io;

use crate::{
    build::services,
    connect::search::Reached,
    control,
    error::{Error, Kind},
    grpc::{Code, Status},
    output::{OutputError, OutputErrorKind},
    progress::{Progress, VertexDigest},
    session::RootCause,
    solve::SolveError,
};

/// What the user should hear of a build that failed: our own side's failure before the daemon's echo of it.
pub(crate) fn explain(
    error: SolveError<Error>,
    progress: &Progress,
    root_cause: &RootCause,
    reached: &Reached,
) -> Error {
    let error = match error {
        SolveError::Cancelled => return Error::new(Kind::Interrupted, "interrupted"),
        SolveError::Frontend(error) => error,
        SolveError::Daemon(status) => {
            let error = daemon_error(&status, Some(progress));
            // A command that ran and failed did so by itself, whatever else our side knows of.
            if control::failure_details(&status).exit_code.is_some() {
                return error;
            }
            error
        }
    };
    let mut error = services::explain(error, root_cause);
    if let (Some(private), Kind::Internal) = (&reached.private, error.kind) {
        error.hints.push(format!("the private daemon's log ends:\n{}", private.log_tail()));
    }
    error
}

pub(crate) fn daemon_error(status: &Status, progress: Option<&Progress>) -> Error {
    let details = control::failure_details(status);
    if status.is_transport {
        return Error::new(Kind::Internal, "the daemon went away in the middle of the build")
            .because(status.clone())
            .hint("look at the daemon's log; what was built so far is in its cache");
    }
    let message = &status.message;
    // Refused before the first step; the text of a step's own failure may say anything.
    let is_refused = details.vertex.is_none();
    if is_refused
        && ["is not supported by build server", "unknown API capability", "could not be found"]
            .iter()
            .any(|text| message.contains(text))
    {
        return Error::new(Kind::Feature, format!("the daemon cannot build this: {message}"));
    }
    let step = details.vertex.and_then(|digest| {
        let model = progress?.model();
        Some(model.step(model.step_of(&VertexDigest(digest))?).name().to_owned())
    });
    let is_base = step.as_deref().is_some_and(|name| name.contains("FROM "));
    match (step, details.exit_code) {
        (Some(step), Some(code)) => {
            Error::new(Kind::Build, format!("step `{step}` failed with exit code {code}"))
        }
        (Some(step), None) if is_base => {
            Error::new(Kind::Registry, format!("step `{step}` failed: {message}"))
        }
        (Some(step), None) => Error::new(Kind::Build, format!("step `{step}` failed: {message}")),
        (None, _) if message.contains("failed to push") => {
            let error = Error::new(Kind::Registry, format!("cannot push the image: {message}"));
            let says = |text: &&str| message.contains(text);
            // Go's words (`net/http`, `transport.go`).
            if message.contains("server gave HTTP response to HTTPS client") {
                error.hint(
                    "for a registry without TLS: `--output type=registry,registry.insecure=true`",
                )
            } else if ["401", "403", "denied", "authoriz"].iter().any(says) {
                error.hint("peelbox reads the credentials of `docker login`")
            } else {
                error
            }
        }
        (None, _) => {
            // No step is to blame. Builds fail with `Unknown`; these codes say that the exchange did.
            let kind = match status.code {
                Code::Unavailable | Code::Internal | Code::Canceled | Code::DeadlineExceeded => {
                    Kind::Internal
                }
                // Our own limit: the graph of this spec is too large to be sent.
                Code::ResourceExhausted => Kind::Usage,
                _ => Kind::Build,
            };
            Error::new(kind, format!("the build failed: {message}"))
        }
    }
}

pub(crate) fn output_error(error: OutputError) -> Error {
    let kind = match error.kind() {
        OutputErrorKind::Usage => Kind::Usage,
        OutputErrorKind::Output => Kind::Output,
    };
    Error::from_error(kind, error)
}

pub(crate) fn system(what: &str, error: io::Error) -> Error {
    Error::new(Kind::Internal, what).because(error)
}
