//! One build from its request to its outcome.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
    time::Instant,
};

use super::{
    attach::Folder,
    attested::{Attested, Built, Digests},
    delivery::{
        AttestationTarget, Decision, Delivery, EngineOf, Makes, Place, Sink, Stages, Wish, decide,
    },
    disk_cache::of_daemon,
    error::{BuildError, flatten},
    event::{BuildEvent, EventSink},
    export::{build_job, metadata},
    finish::finish,
    id::unique_id,
    outcome::BuildOutcome,
    prefetch::{Prefetch, ask_engine},
    request::BuildRequest,
    services::services,
    steps::SeenSteps,
    stop::{Receivers, Stop},
    work::Work,
};
use crate::{
    connect::{Builder, ImageStore},
    docker::{
        Image,
        load::{EngineLoader, Loaded},
    },
    gateway::RefId,
    grpc::Service,
    output::{Loader, Output},
    plan::{CONTEXT_NAME, Plan},
    session::{
        RootCause, SessionId,
        context::{Context, Folders},
        filesend::FileSend,
        gather::{Exports, Gather},
        secrets::Secrets,
    },
    solve::{self, Answer, Host, News, NewsSink, Running},
};

/// Builds what a request says; `sink` is told what happens, the last of it before this returns.
///
/// # Errors
/// [`BuildError`]; nothing half written is left then.
pub fn run(
    builder: &Builder,
    request: BuildRequest,
    stop: &Stop,
    sink: &EventSink,
) -> Result<BuildOutcome, BuildError> {
    Build::prepare(request, builder)?.run(builder, stop, sink)
}

/// A build that can begin: what can be told before the daemon is asked to build is told.
pub struct Build {
    request: Arc<BuildRequest>,
    decision: Decision,
}

impl Build {
    /// Decides where the result goes.
    ///
    /// # Errors
    /// The project lacks a secret, or the builder or the output cannot do what is wanted.
    pub fn prepare(mut request: BuildRequest, builder: &Builder) -> Result<Self, BuildError> {
        let cache_dir = request.cache_dir.take();
        request.cache_dir = cache_dir.map(|dir| of_daemon(&dir, &builder.identity()));
        let BuildRequest { project, output, attestations, .. } = &request;
        project.has_secrets()?;
        if attestations.provenance.is_some() && *output != Output::None {
            project.refuse_secrets()?;
        }
        project.can_be_built_by(builder)?;
        let place = place(builder);
        let wish = Wish {
            attestations,
            tags: &request.tags,
            has_epoch: project.epoch().is_some(),
            data_dir: request.data_dir.as_deref(),
        };
        let decision = decide(output, place, wish, || match (place.engine, builder.docker()) {
            (EngineOf::Another, Some(engine)) => ask_engine(engine),
            (EngineOf::Builder, _) => Ok(place.store == ImageStore::Containerd),
            (EngineOf::Another | EngineOf::Nobody, _) => Ok(false),
        })?;
        Ok(Self { request: Arc::new(request), decision })
    }

    /// The request.
    pub fn request(&self) -> &Arc<BuildRequest> {
        &self.request
    }

    /// Builds.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(
        self,
        builder: &Builder,
        stop: &Stop,
        sink: &EventSink,
    ) -> Result<BuildOutcome, BuildError> {
        let Self { request, decision } = self;
        for warning in &builder.warnings {
            sink(BuildEvent::Warning(warning.clone()));
        }
        let root_cause = RootCause::default();
        let delivery = decision.delivery();
        let loader = loader(&request, builder, delivery, sink);
        let mut receivers = Receivers::of(&delivery.sink, needs_digests(delivery), &root_cause);
        if let (Sink::Engine, Some(loader)) = (&delivery.sink, &loader) {
            let loader = Arc::clone(loader) as Arc<dyn Loader>;
            receivers.file = Some(Arc::new(FileSend::loading(loader, root_cause.clone())));
        }
        stop.watch(&receivers);
        let context = context(&request, sink, &root_cause);
        let folder = Folder::default();
        let gather = Arc::new(Gather::default());
        let mut served: Vec<Arc<dyn Service>> = vec![
            Arc::new(Folders::new(Arc::clone(&context), Arc::clone(&folder.served))),
            Arc::new(Secrets(Arc::clone(&request.project.secrets))),
            Arc::new(Exports { gather: Arc::clone(&gather), image: receivers.service() }),
        ];
        let (project, credentials) = (&request.project, &request.credentials);
        let to_user = Arc::clone(sink);
        let on_refused = Box::new(move |host: &str| {
            to_user(BuildEvent::Warning(format!(
                "the daemon asks for credentials of `{host}`, which this build does not name: it gets none"
            )));
        });
        let hosts = request.registries();
        served.extend(services(project, credentials, hosts, on_refused, &root_cause));
        let session = SessionId(unique_id());
        let shared_key = request.project.shared_key().to_owned();
        let host = Host { session: session.clone(), shared_key, services: served };
        let prefetch = Prefetch::begin(&request, &decision, loader.as_ref());
        let work = Work {
            request: &request,
            decision: &decision,
            builder,
            gather,
            session,
            folder,
            loader,
            sink: Arc::clone(sink),
            cancel: stop.switch().clone(),
            planned: OnceLock::new(),
            steps: Arc::default(),
            began: Instant::now(),
            base: Mutex::default(),
            prefetch: prefetch.map_err(BuildError::Thread)?,
        };
        let result = work.run(host).map_err(|error| error.or_cause(&root_cause));
        // What is not finished is removed here.
        let (file, files) = (receivers.take_file(), receivers.take_folder());
        finish(&request, decision.delivery(), result?, file, files, context.upload(), sink)
    }
}

fn place(builder: &Builder) -> Place {
    let engine = match (builder.docker(), builder.engine()) {
        (None, _) => EngineOf::Nobody,
        (Some(_), Some(_)) => EngineOf::Builder,
        (Some(_), None) => EngineOf::Another,
    };
    Place { store: builder.store(), engine }
}

/// Whether something will be said of files, which names them by their digests.
fn needs_digests(delivery: &Delivery) -> bool {
    delivery.attestations == AttestationTarget::Files && delivery.makes == Makes::Files
}

/// Looks after the image in the engine that shall hold it, and asks at once which one has its name.
fn loader(
    request: &BuildRequest,
    builder: &Builder,
    delivery: &Delivery,
    sink: &EventSink,
) -> Option<Arc<EngineLoader>> {
    let is_in_engine = matches!(delivery.sink, Sink::Engine | Sink::BuilderEngine);
    let engine = builder.docker().filter(|_| is_in_engine)?;
    let sink = Arc::clone(sink);
    let tell = Arc::new(move |event| sink(BuildEvent::Load(event)));
    let loader = Arc::new(EngineLoader::new(Arc::clone(engine), request.tags.clone(), tell));
    loader.look_ahead();
    Some(loader)
}

fn context(request: &BuildRequest, sink: &EventSink, root_cause: &RootCause) -> Arc<Context> {
    let sink = Arc::clone(sink);
    let tell = Arc::new(move |upload| sink(BuildEvent::Upload(upload)));
    let root = Arc::clone(&request.project.root);
    let context = Context::new(CONTEXT_NAME, root, tell, root_cause.clone());
    Arc::new(context.without(&request.project.exclude))
}

fn news_sink(sink: &EventSink, steps: &Arc<SeenSteps>) -> NewsSink {
    let (sink, steps) = (Arc::clone(sink), Arc::clone(steps));
    Arc::new(move |news| match news {
        News::Update(update) => {
            steps.see(&update);
            sink(BuildEvent::Status(update));
        }
        News::Clock(clock) => sink(BuildEvent::Clock(clock)),
        News::Restarted => sink(BuildEvent::StreamRestarted),
    })
}

impl Work<'_> {
    fn run(&self, host: Host) -> Result<Built, BuildError> {
        let Self { request, builder, .. } = self;
        let job = build_job(request, self.delivery());
        let name = job.reference.clone();
        let news = news_sink(&self.sink, &self.steps);
        let mut before: Option<Image> = None;
        let mut failure = None;
        let mut built = Built::default();
        let connection = &builder.connection;
        let response = solve::run(connection, host, job, &news, &self.cancel, |running| {
            // It comes while the bases are looked up. The call stays until the build is over.
            let begun =
                request.project.begin_context(&running.gateway, builder, &self.session.0)?;
            let plan = self.plan(&running.gateway)?;
            self.begin_base(running, &plan);
            if self.delivery().sink == Sink::BuilderEngine {
                // Before the engine can give the name to the new image.
                before = self.loader.as_ref().and_then(|loader| loader.before());
            }
            let answer = match running.gateway.build(plan.definition().clone()) {
                Ok(reference) => self.deliver(running, &plan, reference, &mut built)?,
                // The result is the graph, and the end of `Solve` says why, with the step that is to blame.
                Err(status) => {
                    failure = Some(status);
                    let reference = running.gateway.solve(plan.definition().clone());
                    let reference = reference.map_err(|status| self.refused(status))?;
                    Answer { reference, metadata: metadata(&plan), attestations: BTreeMap::new() }
                }
            };
            drop(begun);
            Ok(answer)
        });
        let response = response.map_err(|error| flatten(error, &*self.steps))?;
        if let Some(status) = failure {
            return Err(BuildError::Contradiction(status));
        }
        if self.delivery().stages == Stages::One {
            built.response = response;
            built.attested.provenance = self.provenance_at_once(&name)?;
        }
        built.loaded = self.loaded(&built, before);
        built.planned = self.planned.get().cloned().unwrap_or_default();
        Ok(built)
    }

    /// Delivers what is built: with the build itself, or in stages of their own.
    fn deliver(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: RefId,
        built: &mut Built,
    ) -> Result<Answer, BuildError> {
        let metadata = metadata(plan);
        if self.delivery().stages == Stages::Two {
            *built = self.in_stages(running, plan, &reference)?;
            return Ok(Answer { reference, metadata, attestations: BTreeMap::new() });
        }
        let Built { attested, digests, .. } = built;
        if self.delivery().makes_sbom {
            *digests = self.make_sbom_at_once(running, plan, &reference, attested)?;
        }
        let attestations = self.attach(&running.gateway, plan, attested)?;
        Ok(Answer { reference, metadata, attestations })
    }

    fn make_sbom_at_once(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
        attested: &mut Attested,
    ) -> Result<Option<Digests>, BuildError> {
        let inspector = self.inspector(running);
        let digests = self.digests(&inspector, plan)?;
        let draft = self.draft(plan, digests.as_ref().map(|digests| digests.manifest.as_str()))?;
        self.make_sbom(&inspector, plan, reference, draft, attested)?;
        Ok(digests)
    }

    /// The provenance that no image holds, from the record of the build that has just ended.
    fn provenance_at_once(
        &self,
        name: &str,
    ) -> Result<Option<(String, serde_json::Value)>, BuildError> {
        let wanted = self.request.attestations.provenance.as_ref();
        let wanted = wanted.filter(|_| self.delivery().needs_record);
        wanted.map(|wanted| self.recorded(name, wanted)).transpose()
    }

    /// The image in the engine.
    fn loaded(&self, built: &Built, before: Option<Image>) -> Option<Loaded> {
        let loader = self.loader.as_ref()?;
        if let Some(loaded) = loader.loaded() {
            return Some(loaded.clone());
        }
        let id = built.response.get("containerimage.digest")?;
        let is_own = self.delivery().sink == Sink::BuilderEngine;
        let is_unchanged = before.is_some_and(|image| image.id == *id);
        is_own.then(|| Loaded { id: id.clone(), is_unchanged })
    }
}
