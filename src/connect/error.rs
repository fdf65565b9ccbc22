//! Why no builder is connected.

use std::{error, fmt, io};

use super::probe::Refusal;
use crate::{
    control::DaemonError,
    daemonless::DaemonlessError,
    endpoint::{Candidate, EndpointError, Installed, Reason},
};

/// Why no builder is connected.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be understood.
    Address {
        /// What is wrong with it.
        source: EndpointError,
        /// It is [`Places::buildkit_host`](super::Places::buildkit_host).
        is_of_variable: bool,
    },
    /// The only daemon there is cannot be used.
    Unfit {
        /// Why.
        source: DaemonError,
        /// Where it is.
        place: String,
    },
    /// No place gives a builder.
    NoBuilder(Tried),
    /// There is a builder, but no Docker Engine for the image.
    NoDocker(Tried),
    /// A private daemon has no folder for its cache.
    NoCacheFolder,
    /// A private daemon cannot be started.
    Private(DaemonlessError),
    /// A private daemon was started and does not answer.
    PrivateIsSilent {
        /// Why not.
        refusal: Refusal,
        /// The end of its log.
        log_tail: String,
    },
    /// The system has no room for another thread.
    Thread(io::Error),
    /// The daemon ended after it had answered.
    Gone,
    /// [`Cancel`](crate::grpc::Cancel) was thrown.
    Cancelled,
}

/// The places that were tried, in their order.
#[derive(Debug)]
pub struct Tried {
    /// Each with the reason why it is of no use.
    pub places: Vec<(Candidate, Reason)>,
    /// What is on this machine to go on with.
    pub installed: Installed,
}

impl Tried {
    /// Whether something is there and too old.
    pub fn is_too_old(&self) -> bool {
        is_too_old(&self.places)
    }
}

/// Whether one of the places has something that is too old: it wants an upgrade.
pub fn is_too_old(tried: &[(Candidate, Reason)]) -> bool {
    tried.iter().any(|(_, reason)| matches!(reason, Reason::TooOld(_)))
}

impl ConnectError {
    /// Whether a daemon that is being started may be there a moment later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoBuilder(tried) | Self::NoDocker(tried) => !tried.is_too_old(),
            Self::Private(error) => !matches!(error, DaemonlessError::Interrupted),
            Self::PrivateIsSilent { .. } => true,
            _ => false,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { source, .. } => source.fmt(f),
            Self::Unfit { source, place } => write!(f, "{source} ({place})"),
            Self::NoBuilder(tried) => {
                f.write_str("no BuildKit daemon answers")?;
                tried.fmt(f)
            }
            Self::NoDocker(tried) => {
                f.write_str("there is no Docker to load the image into")?;
                tried.fmt(f)
            }
            Self::NoCacheFolder => f.write_str("a private daemon needs a folder for its cache"),
            Self::Private(error) => error.fmt(f),
            Self::PrivateIsSilent { refusal, log_tail } => {
                write!(f, "the private daemon does not answer: {refusal}\n{log_tail}")
            }
            Self::Thread(_) => f.write_str("cannot start a thread"),
            Self::Gone => f.write_str("the daemon is gone"),
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Candidate { place, origin }, reason) in &self.places {
            write!(f, "\n  {place} ({origin}): {reason}")?;
        }
        Ok(())
    }
}

impl error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Address { source, .. } => source.source(),
            Self::Private(error) => error.source(),
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}
