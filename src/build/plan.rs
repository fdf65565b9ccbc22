//! What a build would do: the daemon is asked for the bases, nothing is built.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    error::BuildError,
    id::unique_id,
    project::{Project, Purpose},
    request::Credentials,
    services::services,
};
use crate::{
    connect::Builder,
    gateway::RefId,
    grpc::Cancel,
    plan::Plan,
    session::{RootCause, SessionId},
    solve::{self, Answer, Host, Job, SolveError},
};

/// Plans a build, for a look at it or for another client.
///
/// # Errors
/// [`BuildError`].
pub fn plan(
    builder: &Builder,
    project: &Project,
    credentials: &Credentials,
    cancel: &Cancel,
) -> Result<Plan, BuildError> {
    project.can_be_built_by(builder)?;
    let root_cause = RootCause::default();
    let session = SessionId(unique_id());
    let host = Host {
        session: session.clone(),
        shared_key: project.shared_key().to_owned(),
        services: services(
            project,
            credentials,
            project.registries(),
            Box::new(|_| ()),
            &root_cause,
        ),
    };
    let job = Job {
        reference: unique_id(),
        exporter: None,
        frontend_attrs: BTreeMap::new(),
        internal: true,
    };
    let mut planned = None;
    let news: solve::NewsSink = Arc::new(drop);
    let result = solve::run(&builder.connection, host, job, &news, cancel, |running| {
        planned = Some(project.plan(&running.gateway, builder, &session.0, Purpose::Show)?);
        Ok::<_, BuildError>(Answer {
            reference: RefId(String::new()),
            metadata: BTreeMap::new(),
            attestations: BTreeMap::new(),
        })
    });
    match (result, planned) {
        (Err(SolveError::Frontend(error)), _) => Err(error.or_cause(&root_cause)),
        (Err(SolveError::Daemon(status)), None) => {
            Err(BuildError::Ask { what: "ask the daemon for a plan", status })
        }
        (_, Some(plan)) => Ok(plan),
        _ => Err(BuildError::Cancelled),
    }
}
