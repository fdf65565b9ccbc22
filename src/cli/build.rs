//! `peelbox build`: typed → request → a build on its own thread → event loop → outputs.
//!
//! The main thread owns the terminal; `pbx-build` owns the build and tells it how it ended.

use std::{sync::Arc, time::Instant};

use crate::{
    build::{Build, Stop},
    cli::{
        args::{BuildArgs, Progress},
        env::Environment,
        error::{build_error, system},
        event_loop::{Interrupt, follow, progress, watch_signals},
        finish::finish,
        places::reach,
        request::resolve,
        title,
    },
    error::{Error, Kind},
};

/// Builds what the arguments say.
pub(crate) fn run(args: &BuildArgs, env: &Environment) -> Result<(), Error> {
    if args.context_name.is_some() {
        return Err(context_name_is_gone(&args.project.spec.display().to_string()));
    }
    let started = Instant::now();
    let request = resolve(args, env)?;
    let stop = Stop::default();
    let signals = watch_signals().map_err(|e| system("cannot watch for Ctrl-C", e))?;
    let builder = {
        let interrupt = Interrupt { signals: &signals, cancel: stop.switch() };
        let wants_docker = request.output.is_for_docker();
        interrupt.during(|| reach(&args.project.daemon, env, wants_docker, stop.switch()))?
    };
    let build = Build::prepare(request, &builder).map_err(|e| build_error(e, &builder))?;
    let request = Arc::clone(build.request());
    let shown = if args.quiet { Progress::Quiet } else { args.progress };
    let progress = progress(shown, env, title(&builder), started);
    let builder = Arc::new(builder);
    let end = follow(build, &builder, progress, &signals, &stop, args.verbose, started)?;
    finish(args, &request, &builder, end, started)
}

/// The flag named the context of the pipe into `buildctl`.
pub(crate) fn context_name_is_gone(spec: &str) -> Error {
    Error::new(Kind::Usage, "`--context-name` was removed: the context has one name")
        .hint(format!("peelbox build --spec {spec} --context DIR"))
}
