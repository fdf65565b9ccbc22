//! An image for Docker with what is attested of it, in two stages: all is built; then it is exported, if need be.
//!
//! An index with attestations is another one in each build, as it tells when that was. So Docker never has it, and what it
//! costs to make it is lost where Docker holds that image, with these attestations, from the build before. The first build
//! exports nothing. It tells the digest of the image's manifest; when that is new, a second build within its session
//! exports, and finds all steps done. Docker's classic store tells no digest before it has the image: there the second
//! build always runs.
//!
//! Files beside an image are written when they are not there yet. The daemon's record of a build has their provenance, and
//! to write one costs it some 15 ms: so the first build leaves none, and a third one, of nothing but the graph, is recorded
//! when files are to be written, while the SBOM is made.

use std::{collections::BTreeMap, thread};

use serde_json::Value;

use super::{
    attestations::Sbom,
    attested::{Attested, Built, Digests, Response},
    delivery::{AttestationTarget, Sink},
    error::{BuildError, flatten},
    event::BuildEvent,
    export::{export_job, metadata, record_job},
    image_memory::{Holds, ImageMemory},
    image_sbom::Draft,
    request::BuildRequest,
    work::Work,
};
use crate::{
    attestation::{self, Provenance},
    digest::sha256_hex,
    docker::{Image, load::LoadEvent},
    gateway::RefId,
    grpc::Status,
    plan::Plan,
    solve::{Answer, Running},
    threads::{LARGE_STACK_BYTES, spawn_scoped},
};

impl Work<'_> {
    /// Exports what is built, unless Docker has it all.
    pub(super) fn in_stages(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
    ) -> Result<Built, BuildError> {
        self.settle()?;
        match self.digests(&self.inspector(running), plan)? {
            Some(digests) => self.export_what_is_new(running, plan, reference, digests),
            None => self.export_first(running, plan, reference),
        }
    }

    fn export_what_is_new(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
        digests: Digests,
    ) -> Result<Built, BuildError> {
        let mut attested = Attested::default();
        let draft = self.draft_if_wanted(plan, &digests.manifest)?;
        let holds = self.holds(&digests, draft.as_ref());
        let is_there = self.is_there(&digests.config, &holds)?;
        attested.key.clone_from(&holds.attested);
        let loaded = self.loader.as_ref().and_then(|loader| loader.loaded()).filter(|_| is_there);
        if let Some(loaded) = loaded {
            self.find_attested(&loaded.id, &mut attested);
        }
        self.make_attested(running, plan, reference, draft, &mut attested)?;
        if let Some(loaded) = loaded {
            let said = [
                ("containerimage.digest", Some(loaded.id.clone())),
                ("containerimage.config.digest", digests.config.clone()),
                ("image.name", Some(self.request.tags.join(","))),
            ];
            let response =
                said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            let response = response.collect();
            return Ok(Built { response, digests: Some(digests), attested, ..Built::default() });
        }
        let response = self.export(running, plan, &attested)?;
        let id = response.get("containerimage.digest");
        if let (Some(id), AttestationTarget::Image) = (id, self.delivery().attestations) {
            self.memory().remember(id, &holds);
        }
        Ok(Built { response, digests: Some(digests), attested, ..Built::default() })
    }

    /// Exports at once: the image's id says what it is, and no sooner.
    fn export_first(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
    ) -> Result<Built, BuildError> {
        let mut attested = Attested::default();
        let response = self.export(running, plan, &attested)?;
        let id = response.get("containerimage.digest").map_or("", String::as_str);
        let draft = self.draft_if_wanted(plan, id)?;
        attested.key = self.attested(draft.as_ref());
        self.find_attested(id, &mut attested);
        self.make_attested(running, plan, reference, draft, &mut attested)?;
        Ok(Built { response, attested, ..Built::default() })
    }

    fn draft_if_wanted(&self, plan: &Plan, digest: &str) -> Result<Option<Draft>, BuildError> {
        self.delivery().makes_sbom.then(|| self.draft(plan, Some(digest))).transpose()
    }

    /// What is attested of the image with that id may be in it, or beside it.
    fn find_attested(&self, id: &str, attested: &mut Attested) {
        match self.delivery().attestations {
            // The further SBOM is beside it, and written each time.
            AttestationTarget::Image => {
                attested.is_there = !self.request.attestations.is_cyclonedx;
            }
            AttestationTarget::Files => {
                let files = self.memory().beside(id, &attested.key);
                attested.is_there = files.is_some();
                attested.files = files.unwrap_or_default();
            }
            AttestationTarget::Nowhere | AttestationTarget::Caller => {}
        }
    }

    /// Makes what is not there yet: the SBOM, and the provenance of files beside the image.
    fn make_attested(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
        draft: Option<Draft>,
        attested: &mut Attested,
    ) -> Result<(), BuildError> {
        if attested.is_there {
            return Ok(());
        }
        let needs_record = self.delivery().needs_record;
        let wanted = self.request.attestations.provenance.as_ref().filter(|_| needs_record);
        thread::scope(|scope| {
            let recorded = wanted.map(|wanted| {
                let record = move || self.record(running, plan, wanted);
                spawn_scoped(scope, "pbx-record", LARGE_STACK_BYTES, record)
            });
            let recorded = recorded.transpose().map_err(BuildError::Thread)?;
            if let Some(draft) = draft {
                self.make_sbom(&self.inspector(running), plan, reference, draft, attested)?;
            }
            if let Some(recorded) = recorded {
                let gave_up = || BuildError::Provenance(Status::protocol("nothing was recorded"));
                attested.provenance = Some(recorded.join().unwrap_or_else(|_| Err(gave_up()))?);
            }
            Ok(())
        })
    }

    /// Lets the daemon record the graph, all of which is built, and takes the provenance from that.
    fn record(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        wanted: &Provenance,
    ) -> Result<(String, Value), BuildError> {
        let job = record_job(self.request);
        let name = job.reference.clone();
        let before = self.began.elapsed();
        let built = running.within(job, plan.definition(), |running| {
            let reference = running.gateway.build(plan.definition().clone());
            let reference = reference.map_err(|status| self.refused(status))?;
            let (metadata, attestations) = (metadata(plan), BTreeMap::new());
            Ok::<_, BuildError>(Answer { reference, metadata, attestations })
        });
        built.map_err(|error| flatten(error, &*self.steps))?;
        let (kind, mut predicate) = self.recorded(&name, wanted)?;
        // The build began with its steps.
        attestation::begin_earlier(&mut predicate, before);
        Ok((kind, predicate))
    }

    /// Whether Docker has the image; then it has all its names too.
    fn is_there(&self, config: &Option<String>, holds: &Holds) -> Result<bool, BuildError> {
        let Some(loader) = &self.loader else { return Ok(false) };
        let is_it = |image: &Image| match self.delivery().attestations {
            AttestationTarget::Image => self.memory().of_image(&image.id).as_ref() == Some(holds),
            _ => config.as_ref() == Some(&image.id),
        };
        let is_there = loader.hold(is_it).map_err(BuildError::Output)?;
        if is_there && self.delivery().sink == Sink::Engine {
            // It would be sent there, and that is shown as a step.
            self.tell(BuildEvent::Load(LoadEvent::Began));
            self.tell(BuildEvent::Load(LoadEvent::Done { is_unchanged: true }));
        }
        Ok(is_there)
    }

    fn export(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        attested: &Attested,
    ) -> Result<Response, BuildError> {
        let job = export_job(self.request, self.delivery());
        let exported = running.within(job, plan.definition(), |running| {
            let reference = running.gateway.solve(plan.definition().clone());
            let reference = reference.map_err(|status| self.refused(status))?;
            let attestations = self.attach(&running.gateway, plan, attested)?;
            Ok(Answer { reference, metadata: metadata(plan), attestations })
        });
        exported.map_err(|error| flatten(error, &*self.steps))
    }

    fn holds(&self, digests: &Digests, draft: Option<&Draft>) -> Holds {
        Holds { manifest: digests.manifest.clone(), attested: self.attested(draft) }
    }

    /// Stands for all that is attested, without times.
    fn attested(&self, draft: Option<&Draft>) -> String {
        let BuildRequest { attestations: wanted, tags, project, .. } = self.request;
        let sbom = match &wanted.sbom {
            Sbom::Generator(image) => image.clone(),
            Sbom::No | Sbom::Own => draft.map(|draft| draft.key.clone()).unwrap_or_default(),
        };
        let provenance = wanted.provenance.as_ref().map(|provenance| provenance.attr());
        let mut text = format!("{sbom} {provenance:?}");
        if self.delivery().attestations == AttestationTarget::Files {
            // They are small, so even a new commit with the same image gets its own.
            let parameters = provenance.map(|_| project.parameters());
            text = format!("{text} {:?} {tags:?} {parameters:?}", self.delivery().dir);
        }
        sha256_hex(text)
    }

    fn memory(&self) -> ImageMemory {
        ImageMemory::new(self.request.cache_dir.as_deref())
    }
}
