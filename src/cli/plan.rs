//! `peelbox plan`: what a build would do, and the bytes another client can build it with.

use prost::Message as _;

use crate::{
    build,
    cli::{
        args::{PlanArgs, PlanFormat},
        env::Environment,
        error::build_error,
        places::reach,
        print_stdout,
        project::{self, credentials},
    },
    error::Error,
    grpc::Cancel,
};

/// The daemon is asked for the bases, nothing is built.
pub(crate) fn run(args: &PlanArgs, env: &Environment) -> Result<(), Error> {
    let project = project::load(&args.project, env)?;
    let cancel = Cancel::default();
    let builder = reach(&args.project.daemon, env, false, &cancel)?;
    let plan = build::plan(&builder, &project, &credentials(env), &cancel)
        .map_err(|e| build_error(e, &builder))?;
    match args.format {
        PlanFormat::Text => print_stdout(plan.to_string().as_bytes()),
        PlanFormat::Json => {
            let text = format!("{:#}\n", plan.to_json());
            print_stdout(text.as_bytes())
        }
        PlanFormat::Llb => print_stdout(&plan.definition().encode_to_vec()),
    }
}
