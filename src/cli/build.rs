//! `peelbox build`: typed → resolved request → a build on its own thread → event loop → outputs.
//!
//! The main thread owns the terminal; `pbx-build` owns the build and tells it how it ended.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    cli::{
        args::BuildArgs,
        connect::{self, Reached},
        env::Environment,
        failure::{daemon_error, output_error, system},
        finish::finish,
        follow::{Interrupt, follow, progress, watch_signals},
        project::{Project, unique_id},
        services,
    },
    error::{Error, Kind},
    grpc::{Cancel, Service, io::spawn},
    output::{self, Output},
    pb::control::Exporter,
    plan::CONTEXT_NAME,
    session::{
        RootCause, SessionId,
        context::{Context, Upload},
        filesend::FileSend,
    },
    solve::{self, Answer, Job, News, SolveError},
    spec::reference::{normalize, tag_reference},
};

/// News the printer may be behind; then the daemon waits.
const NEWS_MAX: usize = 256;

/// Everything that is known before the daemon is asked.
pub(crate) struct Request {
    pub(crate) project: Project,
    pub(crate) output: Output,
    pub(crate) tags: Vec<String>,
    pub(crate) is_verbose: bool,
}

/// Builds what the arguments say.
pub(crate) fn run(args: &BuildArgs, env: &Environment) -> Result<(), Error> {
    if args.context_name.is_some() {
        return Err(Error::new(
            Kind::Usage,
            "`--context-name` was removed: the context has one name",
        )
        .hint(format!("peelbox build --spec {} --context DIR", args.project.spec.display())));
    }
    let started = Instant::now();
    let request = Arc::new(resolve(args, env)?);
    let cancel = Cancel::default();
    let signals = watch_signals().map_err(|e| system("cannot watch for Ctrl-C", e))?;
    let reached = {
        let interrupt = Interrupt { signals: &signals, cancel: &cancel };
        interrupt.during(|| connect::reach(&args.project.daemon, env, &cancel))?
    };
    let title = format!("BuildKit {} at {}", reached.connection.daemon.version, reached.endpoint);
    let progress = progress(args, env, title.clone(), started);
    let build = Build::start(Arc::clone(&request), Arc::new(reached), env, cancel)?;
    let end = follow(build, progress, &signals, started);
    finish(args, &request, title, end, started)
}

fn resolve(args: &BuildArgs, env: &Environment) -> Result<Request, Error> {
    let output = match &args.output {
        Some(text) => Output::parse(text).map_err(|e| Error::from_error(Kind::Usage, e))?,
        None => {
            return Err(Error::new(
                Kind::Usage,
                "`--output` is missing: where shall the image go?",
            )
            .hint("`--output type=oci,dest=app.tar` writes an image file")
            .hint("`--output type=none` only builds"));
        }
    };
    output.dest().map_or(Ok(()), output::check_dest).map_err(output_error)?;
    let project = Project::load(&args.project, env)?;
    let tags = tags(&args.tag, &project.name)?;
    Ok(Request { project, output, tags, is_verbose: args.verbose })
}

/// Normalised references; the service's name when none was given.
fn tags(typed: &[String], name: &str) -> Result<Vec<String>, Error> {
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

/// A build under way.
pub(crate) struct Build {
    pub(crate) news: Receiver<News>,
    pub(crate) done: Receiver<Result<BTreeMap<String, String>, BuildError>>,
    pub(crate) notes: Receiver<String>,
    pub(crate) cancel: Cancel,
    pub(crate) upload: Arc<Upload>,
    pub(crate) root_cause: RootCause,
    pub(crate) file_send: Option<Arc<FileSend>>,
    pub(crate) reached: Arc<Reached>,
}

/// Why there is no image, as the thread that builds knows it.
pub(crate) type BuildError = SolveError<Error>;

impl Build {
    fn start(
        request: Arc<Request>,
        reached: Arc<Reached>,
        env: &Environment,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let root_cause = RootCause::default();
        let upload = Arc::new(Upload::default());
        let file_send = request
            .output
            .dest()
            .map(|dest| Arc::new(FileSend::new(dest.clone(), root_cause.clone())));
        let project = &request.project;
        let context = Context::new(
            CONTEXT_NAME,
            Arc::clone(&project.root),
            Arc::clone(&upload),
            root_cause.clone(),
        );
        let mut services: Vec<Arc<dyn Service>> = vec![
            Arc::new(context),
            services::auth(env, &root_cause),
            services::content(project, &root_cause),
        ];
        services.extend(file_send.clone().map(|s| s as Arc<dyn Service>));
        let job = job(&request, services);

        let (news_tx, news) = bounded(NEWS_MAX);
        let (done_tx, done) = bounded(1);
        let (notes_tx, notes) = bounded(NEWS_MAX);
        let (theirs, daemon, stop) = (request, Arc::clone(&reached), cancel.clone());
        spawn("pbx-build", move || {
            let result = build(&theirs, job, &daemon, &news_tx, &notes_tx, &stop);
            drop(daemon);
            // The printer may have left on a second Ctrl-C.
            drop(done_tx.send(result));
        })
        .map_err(|e| system("cannot start the build's thread", e))?;
        Ok(Self { news, done, notes, cancel, upload, root_cause, file_send, reached })
    }
}

fn job(request: &Request, services: Vec<Arc<dyn Service>>) -> Job {
    let epoch = request.project.epoch.map(|e| e.to_string());
    let exporter = request.output.exporter().map(|name| {
        let mut attrs = request.output.exporter_attrs();
        attrs.insert("name".to_owned(), request.tags.join(","));
        if epoch.is_some() {
            // Files too, not only the config: else a rebuilt layer has another digest.
            attrs.entry("rewrite-timestamp".to_owned()).or_insert_with(|| "true".to_owned());
        }
        Exporter { r#type: name.to_owned(), attrs }
    });
    Job {
        reference: unique_id(),
        session: SessionId(unique_id()),
        shared_key: request.project.shared_key().to_owned(),
        services,
        exporter,
        frontend_attrs: epoch
            .map(|epoch| ("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch))
            .into_iter()
            .collect(),
        internal: false,
    }
}

fn build(
    request: &Request,
    job: Job,
    reached: &Reached,
    news: &Sender<News>,
    notes: &Sender<String>,
    cancel: &Cancel,
) -> Result<BTreeMap<String, String>, BuildError> {
    let connection = &reached.connection;
    let session = job.session.0.clone();
    solve::run(connection, job, news, cancel, |gateway| {
        let plan = request.project.plan(gateway, &connection.daemon, &session, true)?;
        let mut told: Vec<String> = Vec::new();
        if request.is_verbose {
            told.push(format!("platform: {}", plan.platform()));
            told.extend(plan.bases().map(|(stage, base)| format!("{} base: {base}", stage.name())));
            told.push(format!("ignore patterns: {}", request.project.exclude.join(" ")));
        }
        told.extend(plan.warnings().iter().map(|warning| format!("warning: {warning}")));
        for note in told {
            // The printer may have left on a second Ctrl-C.
            drop(notes.send(note));
        }
        let reference = gateway
            .solve(plan.definition().clone())
            .map_err(|status| daemon_error(&status, None))?;
        let mut metadata =
            BTreeMap::from([("containerimage.config".to_owned(), plan.image_config())]);
        if let Some(config) = plan.base_config() {
            metadata.insert("containerimage.base.config".to_owned(), config.to_vec());
        }
        // Result metadata reaches every exporter, unlike attributes of one (`exptypes/annotations.go`).
        metadata.extend(
            plan.annotations()
                .iter()
                .map(|(k, v)| (format!("annotation.{k}"), v.clone().into_bytes())),
        );
        Ok(Answer { reference, metadata })
    })
}
