//! What the daemon may ask of this run, and the failures only our side knows.

use std::sync::Arc;

use crate::{
    build::project::Project,
    cli::env::Environment,
    error::{Error, Kind},
    grpc::Service,
    session::{Failure, RootCause, auth::Auth, content::Content, secrets::Secrets},
};

/// Registry credentials from Docker's configuration.
pub(crate) fn auth(env: &Environment, root_cause: &RootCause) -> Arc<dyn Service> {
    let config = env.docker_config.as_ref().map(|dir| dir.join("config.json"));
    Arc::new(Auth::new(config, env.path.clone(), root_cause.clone()))
}

/// Bases in local layouts.
pub(crate) fn content(project: &Project, root_cause: &RootCause) -> Arc<dyn Service> {
    Arc::new(Content::new(Arc::clone(&project.stores), root_cause.clone()))
}

/// Values of `--secret`.
pub(crate) fn secrets(project: &Project) -> Arc<dyn Service> {
    Arc::new(Secrets(Arc::clone(&project.secrets)))
}

/// The failure on our side behind `error`, if there is one: the daemon heard only a part of it.
pub(crate) fn explain(error: Error, root_cause: &RootCause) -> Error {
    match root_cause.take() {
        None => error,
        Some(Failure::Output(e)) => Error::from_error(Kind::Output, e),
        Some(Failure::Credentials(e)) => Error::from_error(Kind::Registry, e)
            .hint("peelbox reads the credentials of `docker login`"),
        Some(Failure::Context(e)) if e.is_protocol() => Error::from_error(Kind::Internal, e),
        Some(Failure::Context(e)) => Error::from_error(Kind::Usage, e),
        Some(Failure::Layout(e)) => Error::from_error(Kind::Usage, e),
    }
}
