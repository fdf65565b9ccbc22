//! The session: what the daemon may call back on while it builds.
//!
//! It is an HTTP/2 connection of its own, with the roles turned round, inside the bytes of one `Control/Session`
//! stream ([`tunnel`]). Each service here answers one kind of question; [`start`] announces exactly those that are served.

use std::{
    error, fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue};

use crate::{
    credentials::CredentialsError,
    grpc::{
        CallOptions, Cancel, Channel, Service, Status,
        driver::Handle,
        server::{HEALTH_CHECK, serve},
    },
    oci_layout::OciLayoutError,
    output::OutputError,
    session::filesync::TransferError,
};

pub mod auth;
pub mod content;
pub mod context;
pub mod filesend;
pub mod filesync;
pub mod folder;
pub mod gather;
pub mod secrets;
pub mod tunnel;

use tunnel::{Source, Tunnel};

/// Identity of a session, unique among those alive (BuildKit `session/session.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId(pub String);

/// What went wrong on our side of a served call. The daemon hears a text; the user should hear this.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The result could not be written.
    Output(OutputError),
    /// The context could not be sent as it is.
    Context(TransferError),
    /// A base in a local OCI layout could not be read.
    Layout(OciLayoutError),
    /// The user's Docker configuration could not be read, or a credential helper failed.
    Credentials(CredentialsError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => error.fmt(f),
            Self::Context(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
            Self::Credentials(error) => error.fmt(f),
        }
    }
}

impl error::Error for Failure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Output(error) => error.source(),
            Self::Context(error) => error.source(),
            Self::Layout(error) => error.source(),
            Self::Credentials(error) => error.source(),
        }
    }
}

/// Keeps the first [`Failure`] of a session; later ones are mostly its consequences.
#[derive(Clone, Debug, Default)]
pub struct RootCause(Arc<Mutex<Option<Failure>>>);

impl RootCause {
    /// Keeps `failure` unless there is one already.
    pub fn set(&self, failure: Failure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    /// Gives the failure out.
    pub fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A running session; it ends when this is dropped.
#[derive(Debug)]
pub struct Session {
    ended: Arc<Mutex<Option<String>>>,
    cancel: Cancel,
}

impl Session {
    /// Why the session ended, if it has.
    pub fn end_reason(&self) -> Option<String> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Opens a session on `channel` and serves `services` on it; returns when the request is on its way.
///
/// `shared_key` keeps the daemon's copy of the context apart per project: the same key means that unchanged files
/// never cross again (BuildKit `source/local/source.go`).
///
/// # Errors
/// The connection is gone.
pub fn start(
    channel: &Channel,
    driver: &Handle,
    id: &SessionId,
    shared_key: &str,
    services: Vec<Arc<dyn Service>>,
) -> Result<Session, Status> {
    let mut metadata = HeaderMap::new();
    let text = |value: &str| {
        HeaderValue::from_str(value)
            .map_err(|_| Status::protocol("a session id or key is not ASCII"))
    };
    metadata.insert("x-docker-expose-session-uuid", text(&id.0)?);
    metadata.insert("x-docker-expose-session-sharedkey", text(shared_key)?);
    metadata.insert("x-docker-expose-session-name", HeaderValue::from_static("peelbox"));
    let methods = services.iter().flat_map(|s| s.methods()).chain([&HEALTH_CHECK]);
    for method in methods {
        metadata.append("x-docker-expose-session-grpc-method", HeaderValue::from_static(method));
    }
    let options = CallOptions { metadata, ..CallOptions::default() };
    let (sender, responses) = channel.open("/moby.buildkit.v1.Control/Session", options)?;
    let tunnel = Tunnel::new(Source::Client(responses), sender);

    let session = Session { ended: Arc::default(), cancel: Cancel::default() };
    let (ended, cancel) = (Arc::clone(&session.ended), session.cancel.clone());
    let nested = driver.clone();
    driver.spawn(async move {
        let served = cancel.guard(serve(nested, tunnel, services.into())).await;
        let reason = match served {
            None => "it was closed".to_owned(),
            Some(Ok(())) => "the daemon closed it".to_owned(),
            Some(Err(e)) => e.to_string(),
        };
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    });
    Ok(session)
}
