//! A build under way: what the daemon is given and asked, on the thread `pbx-build`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender, bounded};

use serde_json::Value;

use crate::{
    attestation::{self, Provenance},
    build::{
        attest::{
            Attested, Carriage, Carrier, Document, Folder, Wanted, attach, no_sbom,
            recorded_provenance,
        },
        export::{build_job, exporter_beside, is_in_stages, metadata},
        image_sbom::{Draft, Inspector},
        layer_cache::BaseFiles,
        prefetch::Ahead,
        project::{Project, Purpose, unique_id},
        services,
        stages::Response,
    },
    cli::{
        env::Environment,
        failure::{daemon_error, system},
        files::needs_digests,
    },
    connect::search::Reached,
    control,
    docker::{
        Image,
        load::{EngineLoader, LoadProgress},
    },
    error::{Error, Kind},
    gateway::{Gateway, RefId},
    grpc::{Cancel, Code, Service, Status, io::spawn},
    output::{Loader, Output},
    pb::gateway::Attestation,
    plan::{CONTEXT_NAME, Plan},
    sbom::Problem,
    session::{
        RootCause, SessionId,
        context::{Context, Folders, Upload},
        filesend::FileSend,
        folder::FolderSend,
        gather::{Exports, Gather},
    },
    solve::{self, Answer, Host, News, Running, SolveError},
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
    pub(crate) attest: Wanted,
    pub(crate) carriage: Carriage,
    /// Where SBOMs are kept.
    pub(crate) cache_dir: Option<PathBuf>,
}

impl Request {
    pub(crate) fn carrier(&self) -> &Carrier {
        self.carriage.carrier()
    }

    /// Names of the image, normalised; what is pushed by its digest gets no tag.
    pub(crate) fn names(&self) -> Vec<String> {
        let repository = |tag: &String| match tag.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name.to_owned(),
            _ => tag.clone(),
        };
        if self.output.is_pushed_by_digest() {
            self.tags.iter().map(repository).collect()
        } else {
            self.tags.clone()
        }
    }
}

/// What came of a build.
pub(crate) struct Built {
    /// What the exporter says.
    pub(crate) response: BTreeMap<String, String>,
    pub(crate) attested: Attested,
}

/// A build under way.
pub(crate) struct Build {
    pub(crate) news: Receiver<News>,
    pub(crate) done: Receiver<Result<Built, BuildError>>,
    pub(crate) notes: Receiver<Note>,
    pub(crate) cancel: Cancel,
    pub(crate) upload: Arc<Upload>,
    pub(crate) root_cause: RootCause,
    pub(crate) file_send: Option<Arc<FileSend>>,
    /// Takes the files of `type=local`.
    pub(crate) folder_send: Option<Arc<FolderSend>>,
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

impl From<Error> for BuildError {
    fn from(error: Error) -> Self {
        Self::Frontend(error)
    }
}

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
        let loader = match &reached.docker {
            Some(engine) if request.output.dest().is_none() => {
                let (engine, tags) = (Arc::clone(engine), request.tags.clone());
                Some(Arc::new(EngineLoader::new(engine, tags, Arc::clone(&load))))
            }
            _ => None,
        };
        if let Some(loader) = &loader {
            loader.look_ahead();
        }
        let is_hashed = needs_digests(&request);
        let folder_send = request
            .output
            .folder()
            .map(|dest| Arc::new(FolderSend::new(dest.to_owned(), is_hashed, root_cause.clone())));
        let file_send = match (request.output.dest(), &loader) {
            (Some(dest), _) => {
                Some(FileSend::new(dest.clone(), root_cause.clone()).hashed(is_hashed))
            }
            (None, Some(loader)) if !reached.keeps_image() => {
                let loader = Arc::clone(loader) as Arc<dyn Loader>;
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
        let folder = Folder::default();
        let mut services: Vec<Arc<dyn Service>> = vec![
            Arc::new(Folders::new(context, Arc::clone(&folder.served))),
            services::auth(env, &root_cause),
            services::content(project, &root_cause),
            services::secrets(project),
        ];
        let gather = Arc::new(Gather::default());
        let image = file_send.clone().map(|send| send as Arc<dyn Service>);
        let image = image.or_else(|| folder_send.clone().map(|send| send as Arc<dyn Service>));
        services.push(Arc::new(Exports { gather: Arc::clone(&gather), image }));
        let session = SessionId(unique_id());
        let shared_key = project.shared_key().to_owned();
        let host = Host { session: session.clone(), shared_key, services };

        let (news_tx, news) = bounded(NEWS_MAX);
        let (done_tx, done) = bounded(1);
        let (notes_tx, notes) = bounded(NEWS_MAX);
        for warning in &reached.warnings {
            // Nobody reads yet; a place has few of them.
            drop(notes_tx.try_send(Note::Warning(warning.clone())));
        }
        let ahead = Ahead::begin(&request, &reached, loader.as_ref())
            .map_err(|e| system("cannot start a thread", e))?;
        let planned = Arc::new(OnceLock::new());
        let work = Work {
            request,
            reached: Arc::clone(&reached),
            gather,
            session,
            folder,
            loader,
            notes: notes_tx,
            cancel: cancel.clone(),
            planned: Arc::clone(&planned),
            load: Arc::clone(&load),
            began: Instant::now(),
            base: Mutex::default(),
            ahead,
        };
        spawn("pbx-build", move || {
            let result = work.run(host, &news_tx);
            // All news are out when nobody can send any.
            drop((work, news_tx));
            // The printer may have left on a second Ctrl-C.
            drop(done_tx.send(result));
        })
        .map_err(|e| system("cannot start the build's thread", e))?;
        Ok(Self {
            news,
            done,
            notes,
            cancel,
            upload,
            root_cause,
            file_send,
            folder_send,
            load,
            reached,
            work: planned,
        })
    }
}

/// What the thread of a build is given.
pub(crate) struct Work {
    pub(super) request: Arc<Request>,
    pub(super) reached: Arc<Reached>,
    pub(super) gather: Arc<Gather>,
    session: SessionId,
    folder: Folder,
    /// Looks after the image in the engine that shall hold it.
    pub(super) loader: Option<Arc<EngineLoader>>,
    notes: Sender<Note>,
    cancel: Cancel,
    planned: Arc<OnceLock<Vec<String>>>,
    pub(super) load: Arc<LoadProgress>,
    pub(super) began: Instant,
    pub(super) base: Mutex<BaseFiles>,
    ahead: Ahead,
}

impl Work {
    fn run(&self, host: Host, news: &Sender<News>) -> Result<Built, BuildError> {
        let Self { request, reached, load, cancel, loader, .. } = self;
        let job = build_job(request, reached);
        let name = job.reference.clone();
        let mut before: Option<Image> = None;
        let mut attested = Attested::default();
        let mut exported: Option<Response> = None;
        let response = solve::run(&reached.connection, host, job, news, cancel, |running| {
            // It comes while the bases are looked up. The call stays until the build is over.
            let begun =
                request.project.begin_context(&running.gateway, reached, &self.session.0)?;
            let plan = self.plan(&running.gateway)?;
            attested.platform = plan.platform().to_string();
            self.begin_base(running, &plan);
            if reached.keeps_image() {
                // Before the engine can give the name to the new image.
                before = loader.as_ref().and_then(|loader| loader.before());
            }
            let answer = if is_in_stages(request) {
                let (answer, response) = self.in_stages(running, &plan, &mut attested)?;
                exported = response;
                answer
            } else {
                self.at_once(running, &plan, &mut attested)?
            };
            drop(begun);
            Ok(answer)
        })
        .map_err(|error| match error {
            SolveError::Frontend(error) => error,
            SolveError::Daemon(status) => SolveError::Daemon(status),
            SolveError::Cancelled => SolveError::Cancelled,
        })?;
        if let Some(status) = attested.failure.take() {
            let error = Error::new(
                Kind::Internal,
                "the daemon says that the build went well, after it had failed",
            )
            .because(status)
            .hint("try again");
            return Err(error.into());
        }
        let response = exported.unwrap_or(response);
        if let (true, None, Some(made)) =
            (reached.keeps_image(), load.id.get(), response.get("containerimage.digest"))
        {
            let is_unchanged = before.is_some_and(|image| image.id == *made);
            load.is_unchanged.store(is_unchanged, Ordering::Relaxed);
            drop(load.id.set(made.clone()));
        }
        if !is_in_stages(request)
            && request.attest.needs_record(request.carrier())
            && let Some(wanted) = &request.attest.provenance
        {
            attested.provenance = Some(self.recorded(&name, wanted)?);
        }
        Ok(Built { response, attested })
    }

    /// The SBOM needs it once all is built.
    fn begin_base(&self, running: &Running<'_>, plan: &Plan) {
        let Self { request, reached, base, .. } = self;
        let is_wanted = reached.tells_digests()
            && !request.output.is_files()
            && request.attest.makes_sbom(request.carrier());
        let parts = plan.parts().filter(|_| is_wanted);
        if let Some(parts) = parts {
            let (lister, gateway) = (self.lister(running), running.gateway.clone());
            let begun = BaseFiles::begin(parts, request.cache_dir.as_deref(), lister, gateway);
            *base.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        }
    }

    fn plan(&self, gateway: &Gateway) -> Result<Plan, Error> {
        let Self { request, reached, planned, session, .. } = self;
        let purpose = match request.output {
            Output::Docker { .. } => Purpose::BuildForDocker,
            _ => Purpose::Build,
        };
        let plan = request.project.plan(gateway, reached, &session.0, purpose)?;
        // A frontend plans once.
        drop(planned.set(plan.work()));
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
            self.tell(note);
        }
        Ok(plan)
    }

    /// The result of a build that exports it too.
    fn at_once(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        attested: &mut Attested,
    ) -> Result<Answer, Error> {
        let Self { request, .. } = self;
        let gateway = &running.gateway;
        let (reference, is_built) = build(gateway, plan, attested)?;
        if is_built && request.attest.makes_sbom(request.carrier()) {
            self.sbom(running, plan, &reference, attested)?;
        }
        let attestations = self.attach(gateway, attested)?;
        Ok(Answer { reference, metadata: metadata(plan), attestations })
    }

    /// Makes the SBOM of what was built.
    fn sbom(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
        attested: &mut Attested,
    ) -> Result<(), Error> {
        let Self { request, reached, .. } = self;
        let inspector = self.inspector(running);
        // Files are not asked for the digests of an image that nobody wants: its layers would be made for that.
        if reached.tells_digests() && !request.output.is_files() {
            let digests = inspector.digests(plan, exporter_beside(request, plan));
            attested.digests = Some(digests.map_err(no_sbom)?);
        }
        let manifest = attested.digests.as_ref().map(|digests| digests.manifest.as_str());
        let draft = self.draft(&attested.platform, manifest).map_err(no_sbom)?;
        self.make_sbom(&inspector, plan, reference, draft, attested)
    }

    /// The SBOM of the image with that digest.
    pub(super) fn draft(&self, platform: &str, digest: Option<&str>) -> Result<Draft, Status> {
        let gave_up = || Status::new(Code::Internal, "nobody has read the lock files");
        let context = self.ahead.context.take().ok_or_else(gave_up)?;
        Ok(Draft::new(&self.request, context, platform, digest))
    }

    /// Must be known before the image is exported, or asked for its digests.
    pub(super) fn settle_carriage(&self) -> Result<(), Error> {
        if let Some(is_inside) = self.ahead.is_inside.take() {
            self.request.carriage.settle(is_inside?);
        }
        Ok(())
    }

    pub(super) fn make_sbom(
        &self,
        inspector: &Inspector<'_>,
        plan: &Plan,
        reference: &RefId,
        draft: Draft,
        attested: &mut Attested,
    ) -> Result<(), Error> {
        inspector.document(&self.request, plan, reference, draft, attested).map_err(no_sbom)?;
        for Problem { path, why } in &attested.problems {
            self.tell(Note::Warning(format!("SBOM may lack packages: `{path}` {why}")));
        }
        Ok(())
    }

    /// Hands over what the image shall carry and the daemon does not make.
    pub(super) fn attach(
        &self,
        gateway: &Gateway,
        attested: &Attested,
    ) -> Result<BTreeMap<String, Vec<Attestation>>, Error> {
        let Self { request, .. } = self;
        if *request.carrier() != Carrier::Image {
            return Ok(BTreeMap::new());
        }
        let with_provenance = request.attest.provenance.is_some();
        let invocation =
            with_provenance.then(|| attestation::invocation(request.project.parameters()));
        let spdx = attested.spdx.as_deref().map(Document::spdx);
        let invocation = invocation.as_deref().map(Document::invocation);
        let documents: Vec<_> = spdx.into_iter().chain(invocation).collect();
        if documents.is_empty() {
            return Ok(BTreeMap::new());
        }
        attach(gateway, &self.session, &attested.platform, &documents, &self.folder)
    }

    pub(super) fn recorded(
        &self,
        name: &str,
        wanted: &Provenance,
    ) -> Result<(String, Value), BuildError> {
        let parameters = self.request.project.parameters();
        let found = recorded_provenance(&self.reached, name, wanted, parameters, &self.cancel);
        if !self.request.keeps_record || is_in_stages(&self.request) {
            // It was kept for this alone. A record that stays harms nobody.
            drop(control::forget(&self.reached.connection.channel, name));
        }
        found.map_err(|status| {
            let error = Error::new(Kind::Internal, "cannot read the provenance of the build")
                .because(status)
                .hint("the image is there; `--no-provenance` builds without it");
            SolveError::Frontend(error)
        })
    }

    fn tell(&self, note: Note) {
        // The printer may have left on a second Ctrl-C.
        drop(self.notes.send(note));
    }
}

/// Builds the graph; false: that failed. Then the result is the graph, and the end of `Solve` says why, with the step that
/// is to blame.
pub(super) fn build(
    gateway: &Gateway,
    plan: &Plan,
    attested: &mut Attested,
) -> Result<(RefId, bool), Error> {
    match gateway.build(plan.definition().clone()) {
        Ok(reference) => Ok((reference, true)),
        Err(status) => {
            attested.failure = Some(status);
            let reference = gateway.solve(plan.definition().clone());
            Ok((reference.map_err(|status| daemon_error(&status, None))?, false))
        }
    }
}
