//! `Auth/Credentials`: what the user's Docker configuration holds for a registry.
//!
//! The token calls are not served: told so, the daemon fetches tokens itself with these credentials
//! (BuildKit `util/resolver/authorizer.go`).

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use crate::{
    credentials::{Credential, Credentials, CredentialsError},
    grpc::{Call, Code, Service, Status},
    pb::filesync::{CredentialsRequest, CredentialsResponse},
    session::{Failure, RootCause},
    terminal_text::one_line,
};

/// Answers from a Docker configuration, which is read when a registry first asks: most builds never do.
pub struct Auth {
    config_path: Option<PathBuf>,
    search_path: Option<OsString>,
    credentials: Mutex<Option<Credentials>>,
    root_cause: RootCause,
    hosts: BTreeSet<String>,
    refused: Mutex<BTreeSet<String>>,
    on_refused: Box<OnRefused>,
}

/// Hears of a registry that gets no credentials, once.
pub type OnRefused = dyn Fn(&str) + Send + Sync;

/// Registries that are told of.
const REFUSED_MAX: usize = 16;

impl Auth {
    /// Answers from the file `config_path`; helpers are searched in `search_path` (as `PATH`). Only `hosts`, registries that
    /// this build names, get credentials: the daemon may ask for others, and gets none.
    pub fn new(
        config_path: Option<PathBuf>,
        search_path: Option<OsString>,
        root_cause: RootCause,
        hosts: impl IntoIterator<Item = String>,
        on_refused: Box<OnRefused>,
    ) -> Self {
        let hosts = hosts.into_iter().map(|host| canonical(&host).to_owned()).collect();
        let (credentials, refused) = (Mutex::default(), Mutex::default());
        Self { config_path, search_path, credentials, root_cause, hosts, refused, on_refused }
    }

    fn is_named(&self, host: &str) -> bool {
        if self.hosts.contains(canonical(host)) {
            return true;
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_MAX && refused.insert(host.to_owned()) {
            (self.on_refused)(&one_line(host));
        }
        false
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

/// Docker Hub has several names (BuildKit `util/resolver/authorizer.go`, Docker's `config.json`).
fn canonical(host: &str) -> &str {
    const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    if HUB.contains(&host) { HUB[0] } else { host }
}

impl Service for Auth {
    fn methods(&self) -> &'static [&'static str] {
        &["/moby.filesync.v1.Auth/Credentials"]
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        let request: CredentialsRequest = call.request()?;
        let found =
            if self.is_named(&request.host) { self.lookup(&request.host) } else { Ok(None) };
        let found = found.map_err(|error| {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_registries_that_the_build_names_get_credentials() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let on_refused = Box::new(move |host: &str| hears.lock().unwrap().push(host.to_owned()));
        let hosts = ["docker.io", "127.0.0.1:5000"].map(str::to_owned);
        let auth = Auth::new(None, None, RootCause::default(), hosts, on_refused);
        for named in ["docker.io", "registry-1.docker.io", "index.docker.io", "127.0.0.1:5000"] {
            assert!(auth.is_named(named), "{named}");
        }
        let others =
            ["127.0.0.1", "127.0.0.1:5001", "ghcr.io", "docker.io.evil.example", "", "gh\x1b[2Jcr"];
        for other in others.iter().chain(&others) {
            assert!(!auth.is_named(other), "{other}");
        }
        for number in 0..100 {
            assert!(!auth.is_named(&number.to_string()));
        }
        let told = told.lock().unwrap();
        assert_eq!(told.len(), REFUSED_MAX, "{told:?}");
        assert!(told.contains(&"ghcr".to_owned()), "{told:?}");
    }
}
