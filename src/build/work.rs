//! A build under way: what the daemon is asked, on the thread of the caller.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use serde_json::Value;

use super::{
    attach::{Document, Folder, attach},
    attested::{Attested, Digests},
    delivery::{AttestationTarget, Decision, Delivery, Stages},
    error::BuildError,
    event::{BuildEvent, EventSink, Planned},
    export::{epoch_attrs, with_config},
    image_sbom::{Draft, Inspector},
    layer_cache::BaseFiles,
    list::Lister,
    prefetch::Prefetch,
    project::Purpose,
    request::BuildRequest,
    steps::SeenSteps,
};
use crate::{
    attestation::{self, Mode, PROVENANCE_PREDICATE, Provenance},
    connect::Builder,
    control,
    docker::load::EngineLoader,
    gateway::{Gateway, RefId},
    grpc::{Cancel, Code, Status},
    pb::gateway::Attestation,
    plan::Plan,
    sbom::Problem,
    session::{SessionId, gather::Gather},
    solve::Running,
};

/// Most that is read of new layers for their SBOM, compressed: on this machine it is 0.1 s for 10 MB.
const NEAR_BYTES_MAX: u64 = 64 << 20;
/// The same through a network; the names of all files of an image are 1 MB.
const FAR_BYTES_MAX: u64 = 4 << 20;

/// A build under way.
pub(super) struct Work<'a> {
    pub(super) request: &'a BuildRequest,
    pub(super) decision: &'a Decision,
    pub(super) builder: &'a Builder,
    pub(super) gather: Arc<Gather>,
    pub(super) session: SessionId,
    pub(super) folder: Folder,
    /// Looks after the image in the engine that shall hold it.
    pub(super) loader: Option<Arc<EngineLoader>>,
    pub(super) sink: EventSink,
    pub(super) cancel: Cancel,
    pub(super) planned: OnceLock<Planned>,
    pub(super) steps: Arc<SeenSteps>,
    pub(super) began: Instant,
    pub(super) base: Mutex<BaseFiles>,
    pub(super) prefetch: Prefetch,
}

impl Work<'_> {
    pub(super) fn delivery(&self) -> &Delivery {
        self.decision.delivery()
    }

    pub(super) fn tell(&self, event: BuildEvent) {
        (self.sink)(event);
    }

    pub(super) fn refused(&self, status: Status) -> BuildError {
        BuildError::of_daemon(status, &*self.steps)
    }

    pub(super) fn plan(&self, gateway: &Gateway) -> Result<Plan, BuildError> {
        let purpose = match self.delivery().is_for_docker {
            true => Purpose::BuildForDocker,
            false => Purpose::Build,
        };
        let project = &self.request.project;
        let plan = project.plan(gateway, self.builder, &self.session.0, purpose)?;
        self.steps.planned(plan.definition());
        let planned = Planned {
            steps: plan.work(),
            platform: plan.platform().to_string(),
            bases: plan.bases().map(|(stage, base)| (stage.name(), base.to_owned())).collect(),
            exclude: project.exclude.clone(),
        };
        self.tell(BuildEvent::Planned(planned.clone()));
        // A frontend plans once.
        drop(self.planned.set(planned));
        for warning in plan.warnings() {
            self.tell(BuildEvent::Warning(warning.clone()));
        }
        Ok(plan)
    }

    /// Lists the base, which the SBOM needs once all is built.
    pub(super) fn begin_base(&self, running: &Running<'_>, plan: &Plan) {
        let delivery = self.delivery();
        let is_wanted = delivery.makes_sbom && delivery.digest_exporter.is_some();
        if let Some(parts) = plan.parts().filter(|_| is_wanted) {
            let (lister, gateway) = (self.lister(running), running.gateway.clone());
            let cache_dir = self.request.cache_dir.as_deref();
            let begun = BaseFiles::begin(parts, cache_dir, lister, gateway);
            *self.base.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        }
    }

    /// The digests of the image, when the delivery wants them and the store tells.
    pub(super) fn digests(
        &self,
        inspector: &Inspector<'_>,
        plan: &Plan,
    ) -> Result<Option<Digests>, BuildError> {
        let Some(exporter) = self.delivery().digest_exporter.clone() else { return Ok(None) };
        let digests = inspector.digests(plan, with_config(exporter, plan));
        digests.map(Some).map_err(BuildError::Sbom)
    }

    /// The SBOM of the image with that digest.
    pub(super) fn draft(&self, plan: &Plan, digest: Option<&str>) -> Result<Draft, BuildError> {
        let gave_up = || Status::new(Code::Internal, "nobody has read the lock files");
        let context = self.prefetch.context.take().ok_or_else(gave_up).map_err(BuildError::Sbom)?;
        Ok(Draft::new(self.request, context, &plan.platform().to_string(), digest))
    }

    /// Settles where attestations go: that must be known before the image is exported, or asked for its digests.
    pub(super) fn settle(&self) -> Result<(), BuildError> {
        if let Some(is_inside) = self.prefetch.is_inside.take() {
            self.decision.settle(is_inside?);
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
    ) -> Result<(), BuildError> {
        let made = inspector.document(self.request, plan, reference, draft, attested);
        made.map_err(BuildError::Sbom)?;
        for Problem { path, why } in &attested.problems {
            self.tell(BuildEvent::Warning(format!("SBOM may lack packages: `{path}` {why}")));
        }
        Ok(())
    }

    /// Hands over what the image shall carry and the daemon does not make.
    pub(super) fn attach(
        &self,
        gateway: &Gateway,
        plan: &Plan,
        attested: &Attested,
    ) -> Result<BTreeMap<String, Vec<Attestation>>, BuildError> {
        if self.delivery().attestations != AttestationTarget::Image {
            return Ok(BTreeMap::new());
        }
        let Self { request, .. } = self;
        let with_provenance = request.attestations.provenance.is_some();
        let invocation =
            with_provenance.then(|| attestation::invocation(request.project.parameters()));
        let spdx = attested.spdx.as_deref().map(Document::spdx);
        let invocation = invocation.as_deref().map(Document::invocation);
        let documents: Vec<_> = spdx.into_iter().chain(invocation).collect();
        if documents.is_empty() {
            return Ok(BTreeMap::new());
        }
        let platform = plan.platform().to_string();
        attach(gateway, &self.session, &platform, &documents, &self.folder)
    }

    /// The provenance in the daemon's record of the build with that name.
    pub(super) fn recorded(
        &self,
        name: &str,
        wanted: &Provenance,
    ) -> Result<(String, Value), BuildError> {
        let found = self.read_record(name, wanted);
        if !self.request.keeps_record || self.delivery().stages == Stages::Two {
            // It was kept for this alone. A record that stays harms nobody.
            drop(control::forget(&self.builder.connection.channel, name));
        }
        found.map_err(BuildError::Provenance)
    }

    fn read_record(&self, name: &str, wanted: &Provenance) -> Result<(String, Value), Status> {
        let channel = &self.builder.connection.channel;
        let is_wanted = |kind: &str| kind.starts_with(PROVENANCE_PREDICATE);
        let found = control::recorded_attestation(channel, name, is_wanted, &self.cancel)?;
        let (kind, data) =
            found.ok_or_else(|| Status::protocol("the daemon's record has no provenance"))?;
        let mut predicate = attestation::predicate(&data).ok_or_else(|| {
            Status::protocol("the provenance in the daemon's record is no JSON object")
        })?;
        if wanted.mode == Mode::Min {
            attestation::minimize(&mut predicate);
        }
        attestation::add_parameters(&mut predicate, self.request.project.parameters());
        Ok((kind, predicate))
    }

    pub(super) fn inspector(&self, running: &Running<'_>) -> Inspector<'_> {
        let (lister, gateway) = (self.lister(running), running.gateway.clone());
        let cache_dir = self.request.cache_dir.as_deref();
        let layers_bytes_max = if self.builder.is_far() { FAR_BYTES_MAX } else { NEAR_BYTES_MAX };
        Inspector { lister, gateway, base: &self.base, cache_dir, layers_bytes_max }
    }

    fn lister(&self, running: &Running<'_>) -> Lister {
        let frontend_attrs = epoch_attrs(self.request);
        Lister { aside: running.aside(), gather: Arc::clone(&self.gather), frontend_attrs }
    }
}
