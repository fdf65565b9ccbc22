//! A build under way: what the daemon is given and asked, on the thread `pbx-build`.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, OnceLock, atomic::Ordering},
};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    cli::{
        connect::Reached,
        env::Environment,
        failure::{daemon_error, system},
        project::{Project, Purpose, unique_id},
        services,
    },
    docker::{
        Engine,
        load::{EngineLoader, LoadProgress},
    },
    error::Error,
    grpc::{Cancel, Service, io::spawn},
    output::Output,
    pb::control::Exporter,
    plan::CONTEXT_NAME,
    session::{
        RootCause, SessionId,
        context::{Context, Upload},
        filesend::FileSend,
    },
    solve::{self, Answer, Job, News, SolveError},
};

/// News the printer may be behind; then the daemon waits.
const NEWS_MAX: usize = 256;

/// Everything that is known before the daemon is asked.
pub(crate) struct Request {
    pub(crate) project: Project,
    pub(crate) output: Output,
    pub(crate) tags: Vec<String>,
    pub(crate) is_verbose: bool,
    /// The daemon shall remember the build. It writes all logs and a whole provenance for that before it answers: 23 of 90
    /// ms of a build of nothing new (Engine 29.8).
    pub(crate) keeps_record: bool,
}

/// A build under way.
pub(crate) struct Build {
    pub(crate) news: Receiver<News>,
    pub(crate) done: Receiver<Result<BTreeMap<String, String>, BuildError>>,
    pub(crate) notes: Receiver<Note>,
    pub(crate) cancel: Cancel,
    pub(crate) upload: Arc<Upload>,
    pub(crate) root_cause: RootCause,
    pub(crate) file_send: Option<Arc<FileSend>>,
    /// How far the image is on its way into an engine.
    pub(crate) load: Arc<LoadProgress>,
    pub(crate) reached: Arc<Reached>,
    /// Digests of the steps that work, once they are planned.
    pub(crate) work: Arc<OnceLock<Vec<String>>>,
}

/// What peelbox itself has to say of a build.
pub(crate) enum Note {
    Info(String),
    Warning(String),
}

/// Why there is no image, as the thread that builds knows it.
pub(crate) type BuildError = SolveError<Error>;

impl Build {
    pub(crate) fn start(
        request: Arc<Request>,
        reached: Arc<Reached>,
        env: &Environment,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let root_cause = RootCause::default();
        let upload = Arc::new(Upload::default());
        let load = Arc::new(LoadProgress::default());
        let file_send = match (request.output.dest(), &reached.docker) {
            (Some(dest), _) => Some(FileSend::new(dest.clone(), root_cause.clone())),
            (None, Some(engine)) if !reached.keeps_image() => {
                let (engine, tags) = (Arc::clone(engine), request.tags.clone());
                let loader = Arc::new(EngineLoader::new(engine, tags, Arc::clone(&load)));
                loader.look_ahead();
                Some(FileSend::loading(loader, root_cause.clone()))
            }
            _ => None,
        };
        let file_send = file_send.map(Arc::new);
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
        let job = job(&request, &reached, services);

        let (news_tx, news) = bounded(NEWS_MAX);
        let (done_tx, done) = bounded(1);
        let (notes_tx, notes) = bounded(NEWS_MAX);
        for warning in &reached.warnings {
            // Nobody reads yet; a place has few of them.
            drop(notes_tx.try_send(Note::Warning(warning.clone())));
        }
        let loading = Arc::clone(&load);
        let (theirs, daemon, stop) = (request, Arc::clone(&reached), cancel.clone());
        let work = Arc::new(OnceLock::new());
        let planned = Arc::clone(&work);
        spawn("pbx-build", move || {
            let result =
                build(&theirs, job, &daemon, &news_tx, &notes_tx, &stop, &planned, &loading);
            drop(daemon);
            // The printer may have left on a second Ctrl-C.
            drop(done_tx.send(result));
        })
        .map_err(|e| system("cannot start the build's thread", e))?;
        Ok(Self { news, done, notes, cancel, upload, root_cause, file_send, load, reached, work })
    }
}

fn job(request: &Request, reached: &Reached, services: Vec<Arc<dyn Service>>) -> Job {
    let epoch = request.project.epoch.map(|e| e.to_string());
    let exporter = request.output.exporter().map(|name| {
        let name = if reached.keeps_image() { "moby" } else { name };
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
        internal: !request.keeps_record,
    }
}

#[expect(clippy::too_many_arguments, reason = "what a thread of its own is given")]
fn build(
    request: &Request,
    job: Job,
    reached: &Reached,
    news: &Sender<News>,
    notes: &Sender<Note>,
    cancel: &Cancel,
    work: &OnceLock<Vec<String>>,
    load: &LoadProgress,
) -> Result<BTreeMap<String, String>, BuildError> {
    let connection = &reached.connection;
    let session = job.session.0.clone();
    let before = match (&reached.inside, request.tags.first()) {
        (Some(engine), Some(tag)) if reached.keeps_image() => Some(
            look_up(Arc::clone(engine), tag.clone())
                .map_err(|e| SolveError::Frontend(system("cannot start a thread", e)))?,
        ),
        _ => None,
    };
    let mut held = None;
    let response = solve::run(connection, job, news, cancel, |gateway| {
        let purpose = match request.output {
            Output::Docker { .. } => Purpose::BuildForDocker,
            _ => Purpose::Build,
        };
        let plan = request.project.plan(gateway, reached, &session, purpose)?;
        // A frontend plans once.
        drop(work.set(plan.work()));
        let mut told: Vec<Note> = Vec::new();
        if request.is_verbose {
            let bases = plan.bases().map(|(stage, base)| format!("{} base: {base}", stage.name()));
            told.push(Note::Info(format!("platform: {}", plan.platform())));
            told.extend(bases.map(Note::Info));
            let patterns = request.project.exclude.join(" ");
            told.push(Note::Info(format!("ignore patterns: {patterns}")));
        }
        told.extend(plan.warnings().iter().cloned().map(Note::Warning));
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
        // Before the engine can give the name to the new image.
        held = before.and_then(|answer| answer.recv().ok().flatten());
        Ok(Answer { reference, metadata })
    })?;
    if reached.keeps_image()
        && let Some(made) = response.get("containerimage.digest")
    {
        load.is_unchanged.store(held.as_ref() == Some(made), Ordering::Relaxed);
        drop(load.id.set(made.clone()));
    }
    Ok(response)
}

/// Asks meanwhile which image has that name; whoever needs the answer waits for it.
fn look_up(engine: Arc<Engine>, name: String) -> io::Result<Receiver<Option<String>>> {
    let (tx, rx) = bounded(1);
    spawn("pbx-look-up", move || {
        // An engine that does not say holds another image: nothing depends on it but a word of the summary.
        drop(tx.send(engine.image(&name).ok().flatten().map(|image| image.id)));
    })?;
    Ok(rx)
}
