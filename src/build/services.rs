//! What the daemon may ask of every run.

use std::{collections::BTreeSet, sync::Arc};

use super::{project::Project, request::Credentials};
use crate::{
    grpc::Service,
    session::{
        RootCause,
        auth::{Auth, OnRefused},
        content::Content,
    },
};

/// Registry credentials from Docker's configuration, and bases in local layouts.
pub(super) fn services(
    project: &Project,
    credentials: &Credentials,
    hosts: BTreeSet<String>,
    on_refused: Box<OnRefused>,
    root_cause: &RootCause,
) -> Vec<Arc<dyn Service>> {
    let config = credentials.docker_config.as_ref().map(|dir| dir.join("config.json"));
    vec![
        Arc::new(Auth::new(
            config,
            credentials.search_path.clone(),
            root_cause.clone(),
            hosts,
            on_refused,
        )),
        Arc::new(Content::new(Arc::clone(&project.stores), root_cause.clone())),
    ]
}
