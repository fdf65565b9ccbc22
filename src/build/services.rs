//! What the daemon may ask of every run.

use std::sync::Arc;

use super::{project::Project, request::Credentials};
use crate::{
    grpc::Service,
    session::{RootCause, auth::Auth, content::Content},
};

/// Registry credentials from Docker's configuration, and bases in local layouts.
pub(super) fn services(
    project: &Project,
    credentials: &Credentials,
    root_cause: &RootCause,
) -> Vec<Arc<dyn Service>> {
    let config = credentials.docker_config.as_ref().map(|dir| dir.join("config.json"));
    vec![
        Arc::new(Auth::new(config, credentials.search_path.clone(), root_cause.clone())),
        Arc::new(Content::new(Arc::clone(&project.stores), root_cause.clone())),
    ]
}
