//! `peelbox build`: typed → resolved request → a build on its own thread → event loop → outputs.
//!
//! The main thread owns the terminal; `pbx-build` owns the build and tells it how it ended.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use crate::{
    build::{
        attest::{Carriage, Carrier, Wanted},
        project::Project,
        work::{Build, Request},
    },
    cli::{
        args::{BuildArgs, Progress},
        env::Environment,
        failure::{output_error, system},
        files,
        finish::finish,
        follow::{Interrupt, follow, progress, watch_signals},
    },
    connect::search::{self as connect, Reached},
    error::{Error, Kind},
    grpc::Cancel,
    output::{self, Dest, Output},
    spec::reference::{normalize, tag_reference},
};

/// Builds what the arguments say.
pub(crate) fn run(args: &BuildArgs, env: &Environment) -> Result<(), Error> {
    if args.context_name.is_some() {
        return Err(context_name_is_gone(&args.project.spec.display().to_string()));
    }
    let started = Instant::now();
    let mut request = resolve(args, env)?;
    let cancel = Cancel::default();
    let signals = watch_signals().map_err(|e| system("cannot watch for Ctrl-C", e))?;
    let reached = {
        let interrupt = Interrupt { signals: &signals, cancel: &cancel };
        let wants_docker = request.output.is_for_docker();
        interrupt.during(|| connect::reach(&args.project.daemon, env, wants_docker, &cancel))?
    };
    can_write(&request.output, &reached)?;
    request.project.can_be_built_by(&reached)?;
    request.carriage = request.attest.carriage(&request.output, &reached, env)?;
    let request = Arc::new(request);
    let builder = reached.builder();
    let shown = if args.quiet { Progress::Quiet } else { args.progress };
    let progress = progress(shown, env, reached.title(), started);
    let build = Build::start(Arc::clone(&request), Arc::new(reached), env, cancel)?;
    let end = follow(build, progress, &signals, started);
    if request.output.is_files() {
        return files::finish(args, &request, builder, end, started);
    }
    finish(args, env, &request, builder, end, started)
}

/// The flag named the context of the pipe into `buildctl`.
pub(crate) fn context_name_is_gone(spec: &str) -> Error {
    Error::new(Kind::Usage, "`--context-name` was removed: the context has one name")
        .hint(format!("peelbox build --spec {spec} --context DIR"))
}

fn resolve(args: &BuildArgs, env: &Environment) -> Result<Request, Error> {
    let usage = |e| Error::from_error(Kind::Usage, e);
    let output = args.output.as_deref().map(Output::parse).transpose();
    let output = match (output.map_err(usage)?, args.push) {
        (Some(output), true) => output.pushed().map_err(usage)?,
        (Some(output), false) => output,
        (None, true) => Output::Image { attrs: BTreeMap::new() }.pushed().map_err(usage)?,
        (None, false) => Output::default(),
    };
    let files = [&args.metadata_file, &args.iidfile].into_iter().flatten().cloned().map(Dest::File);
    for dest in output.dest().cloned().into_iter().chain(files) {
        output::check_dest(&dest).map_err(output_error)?;
    }
    if let Some(dest) = output.folder() {
        output::check_folder(dest).map_err(output_error)?;
    }
    if !output.has_image() && args.iidfile.is_some() {
        let name = output.exporter().unwrap_or("none");
        let text = format!("`--iidfile` needs an image, `type={name}` makes none");
        return Err(Error::new(Kind::Usage, text));
    }
    let mut project = Project::load(&args.project, env)?;
    project.has_secrets()?;
    let tags = tags(&args.tag, &project.name)?;
    let (is_verbose, keeps_record) = (args.verbose, args.record);
    let attest = Wanted::resolve(args)?;
    if attest.provenance.is_some() && output != Output::None {
        project.refuse_secrets()?;
        project.look_for_changes();
    }
    // Where it goes is known when the builder is.
    let carriage = Carriage::of(Carrier::Nobody);
    let cache_dir = env.cache_dir.clone();
    Ok(Request { project, output, tags, is_verbose, keeps_record, attest, carriage, cache_dir })
}

/// A Docker Engine with the classic image store gives no image away.
fn can_write(output: &Output, reached: &Reached) -> Result<(), Error> {
    if let Output::Image { .. } = output {
        return reached.refuse_if_classic("cannot push an image while it builds").map_err(|error| {
            error.hint("build with `--output type=docker`, then `docker push`; or switch that engine to the containerd image store, or name a BuildKit daemon with `--buildkit ADDRESS`")
        });
    }
    if output.dest().is_none() || output.is_files() {
        return Ok(());
    }
    reached.refuse_if_classic("cannot write an image to a file").map_err(|error| {
        error.hint("build with `--output type=docker`, then `docker save`; or switch that engine to the containerd image store, or name a BuildKit daemon with `--buildkit ADDRESS`")
    })
}

/// Normalised references; the service's name when none was given.
pub(crate) fn tags(typed: &[String], name: &str) -> Result<Vec<String>, Error> {
    if typed.is_empty() {
        return normalize(name).map(|tag| vec![tag]).map_err(|e| {
            Error::new(Kind::Usage, format!("`{name}` cannot name the image: {e}"))
                .hint("name it with `--tag app:latest`")
        });
    }
    let mut tags: Vec<String> = Vec::with_capacity(typed.len());
    for text in typed {
        let tag = tag_reference(text).map_err(|e| {
            let mut error = Error::new(Kind::Usage, format!("`--tag {text}`: {e}"));
            error.hints.extend(e.help());
            error
        })?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}
