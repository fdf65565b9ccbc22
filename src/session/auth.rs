//! `Auth/Credentials`: what the user's Docker configuration holds for a registry.
//!
//! The token calls are not served: told so, the daemon fetches tokens itself with these credentials
//! (BuildKit `util/resolver/authorizer.go`).

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use crate::{
    credentials::{Credential, Credentials, CredentialsError},
    grpc::{Call, Code, Service, Status},
    pb::filesync::{CredentialsRequest, CredentialsResponse},
    session::{Failure, RootCause},
};

/// Answers from a Docker configuration, which is read when a registry first asks: most builds never do.
pub struct Auth {
    config_path: Option<PathBuf>,
    search_path: Option<OsString>,
    credentials: Mutex<Option<Credentials>>,
    root_cause: RootCause,
}

impl Auth {
    /// Answers from the file `config_path`; helpers are searched in `search_path` (as `PATH`).
    pub fn new(
        config_path: Option<PathBuf>,
        search_path: Option<OsString>,
        root_cause: RootCause,
    ) -> Self {
        Self { config_path, search_path, credentials: Mutex::default(), root_cause }
    }

    fn lookup(&self, host: &str) -> Result<Option<Credential>, CredentialsError> {
        let Some(path) = &self.config_path else { return Ok(None) };
        let mut slot = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(Credentials::load(path, self.search_path.clone())?);
        }
        slot.as_ref().map_or(Ok(None), |credentials| credentials.lookup(host))
    }
}

impl Service for Auth {
    fn methods(&self) -> &'static [&'static str] {
        &["/moby.filesync.v1.Auth/Credentials"]
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        let request: CredentialsRequest = call.request()?;
        let found = self.lookup(&request.host).map_err(|error| {
            let status = Status::new(Code::Unknown, error.to_string());
            self.root_cause.set(Failure::Credentials(error));
            status
        })?;
        // No credentials are an empty answer: the daemon then asks the registry as nobody.
        let answer = found.map_or_else(CredentialsResponse::default, |c| CredentialsResponse {
            username: c.username,
            secret: c.secret.reveal().to_owned(),
        });
        call.sender.message(&answer)
    }
}
