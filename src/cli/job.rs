//! A build under way: what the daemon is given and asked, on the thread `pbx-build`.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, OnceLock, atomic::Ordering},
};

use crossbeam_channel::{Receiver, Sender, bounded};

use serde_json::Value;

use crate::{
    attestation::{self, Provenance},
    cli::{
        attest::{
            Attested, Carrier, Document, Folder, Wanted, attach, no_sbom, recorded_provenance,
        },
        connect::Reached,
        contents::Inspector,
        env::Environment,
        failure::{daemon_error, system},
        project::{Project, Purpose, unique_id},
        services,
    },
    control,
    docker::{
        Engine, Image,
        load::{EngineLoader, LoadProgress},
    },
    error::{Error, Kind},
    gateway::{Gateway, RefId},
    grpc::{Cancel, Service, io::spawn},
    output::{Loader, Output},
    pb::{control::Exporter, gateway::Attestation},
    plan::{CONTEXT_NAME, Plan},
    sbom::Problem,
    session::{
        RootCause, SessionId,
        context::{Context, Folders, Upload},
        filesend::FileSend,
        gather::{Exports, Gather},
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
    pub(crate) attest: Wanted,
    pub(crate) carrier: Carrier,
    /// Where SBOMs are kept.
    pub(crate) cache_dir: Option<PathBuf>,
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
        let mut loader = None;
        let file_send = match (request.output.dest(), &reached.docker) {
            (Some(dest), _) => Some(FileSend::new(dest.clone(), root_cause.clone())),
            (None, Some(engine)) if !reached.keeps_image() => {
                let (engine, tags) = (Arc::clone(engine), request.tags.clone());
                let with_manifests = request.carrier == Carrier::Image;
                let new = EngineLoader::new(engine, tags, Arc::clone(&load), with_manifests);
                let new = loader.insert(Arc::new(new));
                new.look_ahead();
                Some(FileSend::loading(Arc::clone(new) as Arc<dyn Loader>, root_cause.clone()))
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
        ];
        let gather = Arc::new(Gather::default());
        services.push(Arc::new(Exports { gather: Arc::clone(&gather), image: file_send.clone() }));
        let job = job(&request, &reached, services);

        let (news_tx, news) = bounded(NEWS_MAX);
        let (done_tx, done) = bounded(1);
        let (notes_tx, notes) = bounded(NEWS_MAX);
        for warning in &reached.warnings {
            // Nobody reads yet; a place has few of them.
            drop(notes_tx.try_send(Note::Warning(warning.clone())));
        }
        let planned = Arc::new(OnceLock::new());
        let work = Work {
            request,
            reached: Arc::clone(&reached),
            gather,
            folder,
            loader,
            notes: notes_tx,
            cancel: cancel.clone(),
            planned: Arc::clone(&planned),
            load: Arc::clone(&load),
        };
        spawn("pbx-build", move || {
            let result = work.run(job, &news_tx);
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
            load,
            reached,
            work: planned,
        })
    }
}

fn job(request: &Request, reached: &Reached, services: Vec<Arc<dyn Service>>) -> Job {
    let exporter = exporter(request, reached).map(|mut exporter| {
        exporter.attrs.insert("name".to_owned(), request.tags.join(","));
        exporter
    });
    let mut frontend_attrs = request.attest.frontend_attrs(&request.carrier);
    if request.attest.provenance.is_some() && request.carrier != Carrier::Nobody {
        frontend_attrs.extend(request.project.parameters().clone());
    }
    frontend_attrs.extend(epoch_attrs(request));
    Job {
        reference: unique_id(),
        session: SessionId(unique_id()),
        shared_key: request.project.shared_key().to_owned(),
        services,
        exporter,
        frontend_attrs,
        internal: !request.keeps_record && !request.attest.needs_record(&request.carrier),
    }
}

/// What exports the image; its name is not given.
fn exporter(request: &Request, reached: &Reached) -> Option<Exporter> {
    let name = request.output.exporter()?;
    let name = match request.output {
        _ if reached.keeps_image() => "moby",
        // Docker takes an OCI image too, and only that holds attestations.
        Output::Docker { dest: None, .. } if request.carrier == Carrier::Image => "oci",
        _ => name,
    };
    Some(exporter_of(request, name))
}

fn exporter_of(request: &Request, name: &str) -> Exporter {
    let mut attrs = request.output.exporter_attrs();
    // BuildKit before v0.13 writes sources into the image's config, which the provenance tells better; newer ones leave the
    // attribute alone.
    attrs.entry("buildinfo".to_owned()).or_insert_with(|| "false".to_owned());
    if request.project.epoch.is_some() {
        // Files too, not only the config: else a rebuilt layer has another digest.
        attrs.entry("rewrite-timestamp".to_owned()).or_insert_with(|| "true".to_owned());
    }
    Exporter { r#type: name.to_owned(), attrs }
}

/// What exports the same image beside the build: it has no result metadata, so all is said in attributes.
fn beside(request: &Request, plan: &Plan) -> Exporter {
    let name = match request.output {
        Output::Docker { dest: Some(_), .. } => "docker",
        // What goes into the classic store of an engine beside the builder.
        Output::Docker { .. } if request.carrier != Carrier::Image => "docker",
        _ => "oci",
    };
    let mut exporter = exporter_of(request, name);
    let config = String::from_utf8_lossy(&plan.image_config()).into_owned();
    exporter.attrs.insert("containerimage.config".to_owned(), config);
    let annotations = plan.annotations().iter();
    exporter.attrs.extend(annotations.map(|(k, v)| (format!("annotation.{k}"), v.clone())));
    exporter
}

fn epoch_attrs(request: &Request) -> BTreeMap<String, String> {
    let epoch = request.project.epoch.map(|e| e.to_string());
    epoch.map(|epoch| ("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch)).into_iter().collect()
}

/// What the thread of a build is given.
struct Work {
    request: Arc<Request>,
    reached: Arc<Reached>,
    gather: Arc<Gather>,
    folder: Folder,
    loader: Option<Arc<EngineLoader>>,
    notes: Sender<Note>,
    cancel: Cancel,
    planned: Arc<OnceLock<Vec<String>>>,
    load: Arc<LoadProgress>,
}

impl Work {
    fn run(&self, job: Job, news: &Sender<News>) -> Result<Built, BuildError> {
        let Self { request, reached, load, cancel, .. } = self;
        let session = job.session.clone();
        let name = job.reference.clone();
        let before = match (&reached.inside, request.tags.first()) {
            (Some(engine), Some(tag)) if reached.keeps_image() => Some(
                look_up(Arc::clone(engine), tag.clone(), request.carrier == Carrier::Image)
                    .map_err(|e| SolveError::Frontend(system("cannot start a thread", e)))?,
            ),
            _ => None,
        };
        let mut held: Option<Image> = None;
        let mut attested = Attested::default();
        let response = solve::run(&reached.connection, job, news, cancel, |gateway| {
            let plan = self.plan(gateway, &session)?;
            attested.platform = plan.platform().to_string();
            let answer = self.answer(gateway, &session, &plan, &mut attested)?;
            // Before the engine can give the name to the new image.
            held = before.and_then(|answer| answer.recv().ok().flatten());
            Ok(answer)
        })?;
        if let Some(status) = attested.failure.take() {
            let error = Error::new(Kind::Internal, "the image was built, its SBOM was not")
                .because(status)
                .hint("try again; `--no-sbom` builds without one");
            return Err(SolveError::Frontend(error));
        }
        if reached.keeps_image()
            && let Some(made) = response.get("containerimage.digest")
        {
            let manifest = attested.digests.as_ref().map_or(made, |digests| &digests.manifest);
            let is_same = |image: &Image| image.id == *made || image.is_or_holds(manifest);
            let is_unchanged = held.as_ref().is_some_and(is_same);
            load.is_unchanged.store(is_unchanged, Ordering::Relaxed);
            drop(load.id.set(made.clone()));
        }
        if request.attest.needs_record(&request.carrier)
            && let Some(wanted) = &request.attest.provenance
        {
            attested.provenance = Some(self.recorded(&name, wanted)?);
        }
        Ok(Built { response, attested })
    }

    fn plan(&self, gateway: &Gateway, session: &SessionId) -> Result<Plan, Error> {
        let Self { request, reached, planned, .. } = self;
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

    fn answer(
        &self,
        gateway: &Gateway,
        session: &SessionId,
        plan: &Plan,
        attested: &mut Attested,
    ) -> Result<Answer, Error> {
        let Self { request, .. } = self;
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
        let definition = || plan.definition().clone();
        let lazily = |gateway: &Gateway| {
            gateway.solve(definition()).map_err(|status| daemon_error(&status, None))
        };
        let makes_sbom = request.attest.makes_sbom(&request.carrier);
        // A build that fails is told of by the end of `Solve`, with the step that is to blame.
        let reference = match makes_sbom.then(|| gateway.build(definition())) {
            None => lazily(gateway)?,
            Some(Err(status)) => {
                attested.failure = Some(status);
                lazily(gateway)?
            }
            Some(Ok(reference)) => {
                self.sbom(gateway, session, plan, &reference, attested)?;
                reference
            }
        };
        let attestations = self.attach(gateway, session, attested)?;
        Ok(Answer { reference, metadata, attestations })
    }

    /// Makes the SBOM of what was built.
    fn sbom(
        &self,
        gateway: &Gateway,
        session: &SessionId,
        plan: &Plan,
        reference: &RefId,
        attested: &mut Attested,
    ) -> Result<(), Error> {
        let Self { request, reached, gather, cancel, .. } = self;
        let frontend_attrs = epoch_attrs(request);
        let inspector = Inspector { reached, gateway, gather, session, cancel, frontend_attrs };
        attested.digests = match inspector.digests(plan, beside(request, plan)) {
            // With its classic store Docker exports nothing but images of its own; then no digest is known yet.
            Err(status) if status.message.contains("could not be found") => None,
            digests => Some(digests.map_err(no_sbom)?),
        };
        let manifest = attested.digests.as_ref().map(|digests| digests.manifest.clone());
        let is_there =
            |loader: &Arc<EngineLoader>| manifest.as_ref().is_some_and(|it| loader.expect(it));
        if request.carrier == Carrier::Image && self.loader.as_ref().is_some_and(is_there) {
            // With what was said of it when it was loaded; nothing goes there now.
            attested.is_there = true;
            return Ok(());
        }
        inspector
            .document(request, plan, reference, manifest.as_deref(), attested)
            .map_err(no_sbom)?;
        for Problem { path, why } in &attested.problems {
            self.tell(Note::Warning(format!("SBOM: cannot read `{path}`: {why}")));
        }
        Ok(())
    }

    /// Hands over what the image shall carry and the daemon does not make.
    fn attach(
        &self,
        gateway: &Gateway,
        session: &SessionId,
        attested: &Attested,
    ) -> Result<BTreeMap<String, Vec<Attestation>>, Error> {
        let Self { request, .. } = self;
        if request.carrier != Carrier::Image || attested.is_there {
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
        attach(gateway, session, &attested.platform, &documents, &self.folder)
    }

    fn recorded(&self, name: &str, wanted: &Provenance) -> Result<(String, Value), BuildError> {
        let parameters = self.request.project.parameters();
        let found = recorded_provenance(&self.reached, name, wanted, parameters, &self.cancel);
        if !self.request.keeps_record {
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

/// Asks meanwhile which image has that name; whoever needs the answer waits for it.
fn look_up(
    engine: Arc<Engine>,
    name: String,
    with_manifests: bool,
) -> io::Result<Receiver<Option<Image>>> {
    let (tx, rx) = bounded(1);
    spawn("pbx-look-up", move || {
        let image =
            if with_manifests { engine.image_with_manifests(&name) } else { engine.image(&name) };
        // An engine that does not say holds another image: nothing depends on it but a word of the summary.
        drop(tx.send(image.ok().flatten()));
    })?;
    Ok(rx)
}
