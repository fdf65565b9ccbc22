//! `peelbox plan`: what a build would do, and the bytes another client can build it with.

use std::collections::BTreeMap;

use prost::Message as _;

use crate::{
    build::{
        project::{Project, Purpose, unique_id},
        services,
    },
    cli::{
        args::{PlanArgs, PlanFormat},
        env::Environment,
        print_stdout,
    },
    connect::search as connect,
    error::{Error, Kind},
    gateway::RefId,
    grpc::Cancel,
    plan::Plan,
    session::{RootCause, SessionId},
    solve::{self, Answer, Host, Job, SolveError},
};

/// The daemon is asked for the bases, nothing is built.
pub(crate) fn run(args: &PlanArgs, env: &Environment) -> Result<(), Error> {
    let project = Project::load(&args.project, env)?;
    let cancel = Cancel::default();
    let reached = connect::reach(&args.project.daemon, env, false, &cancel)?;
    project.can_be_built_by(&reached)?;
    let plan = plan(&project, &reached, env, &cancel)?;
    match args.format {
        PlanFormat::Text => print_stdout(plan.to_string().as_bytes()),
        PlanFormat::Json => {
            let text = format!("{:#}\n", plan.to_json());
            print_stdout(text.as_bytes())
        }
        PlanFormat::Llb => print_stdout(&plan.definition().encode_to_vec()),
    }
}

fn plan(
    project: &Project,
    reached: &connect::Reached,
    env: &Environment,
    cancel: &Cancel,
) -> Result<Plan, Error> {
    let root_cause = RootCause::default();
    let session = SessionId(unique_id());
    let host = Host {
        session: session.clone(),
        shared_key: project.shared_key().to_owned(),
        services: vec![services::auth(env, &root_cause), services::content(project, &root_cause)],
    };
    let job = Job {
        reference: unique_id(),
        exporter: None,
        frontend_attrs: BTreeMap::new(),
        internal: true,
    };
    // Nobody reads the news of a plan.
    let (news, _) = crossbeam_channel::bounded(1);
    let connection = &reached.connection;
    let mut planned = None;
    let result = solve::run(connection, host, job, &news, cancel, |running| {
        planned = Some(project.plan(&running.gateway, reached, &session.0, Purpose::Show)?);
        Ok::<_, Error>(Answer {
            reference: RefId(String::new()),
            metadata: BTreeMap::new(),
            attestations: BTreeMap::new(),
        })
    });
    match (result, planned) {
        (Err(SolveError::Frontend(error)), _) => Err(services::explain(error, &root_cause)),
        (Err(SolveError::Daemon(status)), None) => Err(Error::from_error(Kind::Internal, status)),
        (_, Some(plan)) => Ok(plan),
        _ => Err(Error::new(Kind::Interrupted, "interrupted")),
    }
}
