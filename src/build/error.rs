//! Why a build came to nothing: whose fault it is, and the step or the cause on our side if there is one.

use std::{error, fmt, io, path::PathBuf};

use super::{
    beside::WriteError,
    delivery::{ClassicCannot, DeliveryError},
    project::{PlanFailure, ProjectError},
};
use crate::{
    control::{self, FailureDetails},
    daemon_words,
    docker::EngineError,
    frontend::ResolveError,
    grpc::Status,
    output::OutputError,
    plan::PlanError,
    session::{Failure, RootCause},
    solve::SolveError,
};

/// Why a build came to nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// [`Stop`](super::Stop) was thrown.
    Cancelled,
    /// The project cannot be built as it is.
    Project(Box<ProjectError>),
    /// The result cannot go where it shall.
    Delivery(DeliveryError),
    /// The graph cannot be planned.
    Plan(PlanError),
    /// A base cannot be had.
    Base(Box<ResolveError>),
    /// A step of the build failed.
    Step(FailedStep),
    /// The daemon cannot build this: it lacks a feature.
    Unsupported(Status),
    /// The image cannot be pushed.
    Push(Status),
    /// The build failed, and no step is to blame.
    Daemon(Status),
    /// The connection broke.
    Lost(Status),
    /// The daemon did not answer a question.
    Ask {
        /// What was wanted, such as `ask what the daemon can do`.
        what: &'static str,
        /// What came of it.
        status: Status,
    },
    /// The daemon says that the build went well, after it had failed.
    Contradiction(Status),
    /// The daemon broke a rule of the protocol; the text says which.
    Protocol(&'static str),
    /// Something on our side of the session failed: the output, the context, a local base or credentials.
    Session(Box<Failure>),
    /// The result, or a file beside it, cannot be written.
    Output(OutputError),
    /// A folder cannot be made.
    Folder {
        /// Which.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The SBOM cannot be made.
    Sbom(Status),
    /// The SBOM cannot be written to a temporary folder.
    TemporaryFolder(io::Error),
    /// The provenance cannot be read from the daemon's record.
    Provenance(Status),
    /// A Docker Engine does not say how it keeps images.
    Engine {
        /// Where it is.
        place: String,
        /// What came of the question.
        source: EngineError,
    },
    /// The system has no room for another thread.
    Thread(io::Error),
}

/// A step that failed.
#[derive(Clone, Debug)]
pub struct FailedStep {
    /// Its digest.
    pub digest: String,
    /// Its name.
    pub name: String,
    /// The exit code of its command, if it was one that failed.
    pub exit_code: Option<u32>,
    /// It fetches an image.
    pub fetches_image: bool,
    /// What the daemon says.
    pub message: String,
}

/// What is known of steps when one of them fails.
pub(super) trait Steps {
    /// The name of the step with that digest.
    fn name(&self, digest: &str) -> Option<String>;
    /// Whether it fetches an image.
    fn fetches_image(&self, digest: &str) -> bool;
}

impl BuildError {
    /// Reads what the daemon says of a build that failed.
    pub(super) fn of_daemon(status: Status, steps: &dyn Steps) -> Self {
        if status.is_transport {
            return Self::Lost(status);
        }
        let FailureDetails { vertex, exit_code } = control::failure_details(&status);
        // Refused before the first step; the text of a step's own failure may say anything.
        if vertex.is_none() && daemon_words::is_unsupported(&status.message) {
            return Self::Unsupported(status);
        }
        let named = vertex.and_then(|digest| Some((steps.name(&digest)?, digest)));
        match named {
            Some((name, digest)) => Self::Step(FailedStep {
                name,
                exit_code,
                fetches_image: steps.fetches_image(&digest),
                digest,
                message: status.message,
            }),
            None if daemon_words::is_failed_push(&status.message) => Self::Push(status),
            None => Self::Daemon(status),
        }
    }

    /// Prefers the error on our side over what the daemon heard of it. A command that ran and failed did so by itself.
    pub(super) fn or_cause(self, root_cause: &RootCause) -> Self {
        match self {
            Self::Cancelled | Self::Step(FailedStep { exit_code: Some(_), .. }) => self,
            error => root_cause.take().map_or(error, |failure| Self::Session(Box::new(failure))),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("interrupted"),
            Self::Project(error) => error.fmt(f),
            Self::Delivery(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Base(error) => error.fmt(f),
            Self::Step(FailedStep { name, exit_code: Some(code), .. }) => {
                write!(f, "step `{name}` failed with exit code {code}")
            }
            Self::Step(FailedStep { name, message, .. }) => {
                write!(f, "step `{name}` failed: {message}")
            }
            Self::Unsupported(status) => {
                write!(f, "the daemon cannot build this: {}", status.message)
            }
            Self::Push(status) => write!(f, "cannot push the image: {}", status.message),
            Self::Daemon(status) => write!(f, "the build failed: {}", status.message),
            Self::Lost(_) => f.write_str("the daemon went away in the middle of the build"),
            Self::Ask { what, .. } => write!(f, "cannot {what}"),
            Self::Contradiction(_) => {
                f.write_str("the daemon says that the build went well, after it had failed")
            }
            Self::Protocol(text) => f.write_str(text),
            Self::Session(failure) => failure.fmt(f),
            Self::Output(error) => error.fmt(f),
            Self::Folder { dir, .. } => write!(f, "cannot create the folder `{}`", dir.display()),
            Self::Sbom(_) => f.write_str("cannot make the SBOM of the image"),
            Self::TemporaryFolder(_) => f.write_str("cannot write the SBOM to a temporary folder"),
            Self::Provenance(_) => f.write_str("cannot read the provenance of the build"),
            Self::Engine { place, .. } => {
                write!(f, "cannot ask Docker at {place} how it keeps images")
            }
            Self::Thread(_) => f.write_str("cannot start a thread"),
        }
    }
}

impl error::Error for BuildError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Project(error) => error.source(),
            Self::Delivery(error) => error.source(),
            Self::Plan(error) => error.source(),
            Self::Base(error) => error.source(),
            Self::Session(failure) => failure.source(),
            Self::Output(error) => error.source(),
            Self::Lost(status)
            | Self::Ask { status, .. }
            | Self::Contradiction(status)
            | Self::Sbom(status)
            | Self::Provenance(status) => Some(status),
            Self::Folder { source, .. } | Self::TemporaryFolder(source) | Self::Thread(source) => {
                Some(source)
            }
            Self::Engine { source, .. } => Some(source),
            Self::Cancelled
            | Self::Step(_)
            | Self::Unsupported(_)
            | Self::Push(_)
            | Self::Daemon(_)
            | Self::Protocol(_) => None,
        }
    }
}

impl From<ProjectError> for BuildError {
    fn from(error: ProjectError) -> Self {
        Self::Project(Box::new(error))
    }
}

impl From<PlanFailure> for BuildError {
    fn from(failure: PlanFailure) -> Self {
        match failure {
            PlanFailure::Ask(what, status) => Self::Ask { what, status },
            PlanFailure::Base(error) => Self::Base(Box::new(error)),
            PlanFailure::Plan(error) => Self::Plan(error),
        }
    }
}

impl From<DeliveryError> for BuildError {
    fn from(error: DeliveryError) -> Self {
        Self::Delivery(error)
    }
}

impl From<ClassicCannot> for BuildError {
    fn from(cannot: ClassicCannot) -> Self {
        Self::Delivery(DeliveryError::Classic(cannot))
    }
}

impl From<WriteError> for BuildError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Folder { dir, source } => Self::Folder { dir, source },
            WriteError::Output(error) => Self::Output(error),
        }
    }
}

/// How a nested build ended, told by the one around it.
pub(super) fn flatten(error: SolveError<BuildError>, steps: &dyn Steps) -> BuildError {
    match error {
        SolveError::Frontend(error) => error,
        SolveError::Daemon(status) => BuildError::of_daemon(status, steps),
        SolveError::Cancelled => BuildError::Cancelled,
    }
}
