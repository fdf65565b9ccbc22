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

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread,
};

use serde_json::Value;

use crate::{
    attestation::{self, Provenance},
    build::{
        attest::{Attested, Carrier, Sbom, no_sbom},
        export::{epoch_attrs, export_job, exporter_beside, metadata, record_job},
        image_memory::{Holds, Known},
        image_sbom::{Digests, Draft, Inspector, Lister},
        work::{BuildError, Request, Work, build},
    },
    cli::failure::{daemon_error, output_error, system},
    digest::sha256_hex,
    docker::Image,
    error::Error,
    gateway::RefId,
    grpc::Status,
    plan::Plan,
    solve::{Answer, Running, SolveError},
};

/// Most that is read of new layers for their SBOM, compressed: on this machine it is 0.1 s for 10 MB.
const NEAR_BYTES_MAX: u64 = 64 << 20;
/// The same through a network; the names of all files of an image are 1 MB.
const FAR_BYTES_MAX: u64 = 4 << 20;

/// What the exporter says: `containerimage.digest` and the like.
pub(crate) type Response = BTreeMap<String, String>;

impl Work {
    /// Builds, and exports unless Docker has it all; no response: the build has failed.
    pub(super) fn in_stages(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        attested: &mut Attested,
    ) -> Result<(Answer, Option<Response>), BuildError> {
        let answer = |reference| Answer {
            reference,
            metadata: metadata(plan),
            attestations: BTreeMap::new(),
        };
        let (reference, is_built) = build(&running.gateway, plan, attested)?;
        if !is_built {
            return Ok((answer(reference), None));
        }
        self.settle_carriage()?;
        let response = if self.reached.tells_digests() {
            self.export_what_is_new(running, plan, &reference, attested)?
        } else {
            self.export_first(running, plan, &reference, attested)?
        };
        Ok((answer(reference), Some(response)))
    }

    fn export_what_is_new(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
        attested: &mut Attested,
    ) -> Result<Response, BuildError> {
        let Self { request, load, .. } = self;
        let inspector = self.inspector(running);
        let digests = inspector.digests(plan, exporter_beside(request, plan)).map_err(no_sbom)?;
        attested.digests = Some(digests.clone());
        let draft = self.draft_sbom(&attested.platform, &digests.manifest).map_err(no_sbom)?;
        let holds = self.holds(&digests, draft.as_ref());
        let is_there = self.is_there(&digests.config, &holds)?;
        attested.key.clone_from(&holds.attested);
        if let (true, Some(id)) = (is_there, load.id.get()) {
            self.find_attested(id, attested);
        }
        self.make_attested(running, plan, reference, draft, attested)?;
        if !is_there {
            let response = self.export(running, plan, attested)?;
            let id = response.get("containerimage.digest");
            if let (Some(id), Carrier::Image) = (id, request.carrier()) {
                self.known().remember(id, &holds);
            }
            return Ok(response);
        }
        let said = [
            ("containerimage.digest", load.id.get().cloned()),
            ("containerimage.config.digest", digests.config),
            ("image.name", Some(request.tags.join(","))),
        ];
        Ok(said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
    }

    /// The image's id says what it is, and no sooner.
    fn export_first(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        reference: &RefId,
        attested: &mut Attested,
    ) -> Result<Response, BuildError> {
        let response = self.export(running, plan, attested)?;
        let id = response.get("containerimage.digest").map_or("", String::as_str);
        let draft = self.draft_sbom(&attested.platform, id).map_err(no_sbom)?;
        attested.key = self.attested(draft.as_ref());
        self.find_attested(id, attested);
        self.make_attested(running, plan, reference, draft, attested)?;
        Ok(response)
    }

    pub(super) fn inspector(&self, running: &Running<'_>) -> Inspector<'_> {
        let (lister, gateway) = (self.lister(running), running.gateway.clone());
        let cache_dir = self.request.cache_dir.as_deref();
        let layers_bytes_max = if self.reached.is_far() { FAR_BYTES_MAX } else { NEAR_BYTES_MAX };
        Inspector { lister, gateway, base: &self.base, cache_dir, layers_bytes_max }
    }

    pub(super) fn lister(&self, running: &Running<'_>) -> Lister {
        let frontend_attrs = epoch_attrs(&self.request);
        Lister { aside: running.aside(), gather: Arc::clone(&self.gather), frontend_attrs }
    }

    fn draft_sbom(&self, platform: &str, digest: &str) -> Result<Option<Draft>, Status> {
        let is_made = self.request.attest.makes_sbom(self.request.carrier());
        is_made.then(|| self.draft(platform, Some(digest))).transpose()
    }

    /// What is attested of the image with that id may be in it, or beside it.
    fn find_attested(&self, id: &str, attested: &mut Attested) {
        match self.request.carrier() {
            // The further SBOM is beside it, and written each time.
            Carrier::Image => attested.is_there = !self.request.attest.is_cyclonedx,
            Carrier::Files(_) => {
                let files = self.known().beside(id, &attested.key);
                attested.is_there = files.is_some();
                attested.files = files.unwrap_or_default();
            }
            Carrier::Nobody | Carrier::Caller => {}
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
        let Self { request, .. } = self;
        let needs_record = request.attest.needs_record(request.carrier());
        let wanted = request.attest.provenance.as_ref().filter(|_| needs_record);
        thread::scope(|scope| {
            let recorder = thread::Builder::new().name("pbx-record".to_owned());
            let recorded = wanted.map(|wanted| {
                recorder.spawn_scoped(scope, move || self.record(running, plan, wanted))
            });
            let recorded = recorded.transpose().map_err(|e| system("cannot start a thread", e))?;
            if let Some(draft) = draft {
                self.make_sbom(&self.inspector(running), plan, reference, draft, attested)?;
            }
            if let Some(recorded) = recorded {
                let gave_up = || SolveError::Daemon(Status::protocol("nothing was recorded"));
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
        let job = record_job(&self.request);
        let name = job.reference.clone();
        let before = self.began.elapsed();
        running.within(job, plan.definition(), |running| {
            let reference = running.gateway.build(plan.definition().clone());
            let reference = reference.map_err(|status| daemon_error(&status, None))?;
            let (metadata, attestations) = (metadata(plan), BTreeMap::new());
            Ok::<_, Error>(Answer { reference, metadata, attestations })
        })?;
        let (kind, mut predicate) = self.recorded(&name, wanted)?;
        // The build began with its steps.
        attestation::begin_earlier(&mut predicate, before);
        Ok((kind, predicate))
    }

    /// Whether Docker has the image; then it has all its names too.
    fn is_there(&self, config: &Option<String>, holds: &Holds) -> Result<bool, BuildError> {
        let Some(loader) = &self.loader else { return Ok(false) };
        let is_it = |image: &Image| match self.request.carrier() {
            Carrier::Image => self.known().of_image(&image.id).as_ref() == Some(holds),
            _ => config.as_ref() == Some(&image.id),
        };
        let is_there = loader.hold(is_it).map_err(output_error)?;
        // It would be sent there, and that is shown as a step.
        self.load.has_begun.store(is_there && !self.reached.keeps_image(), Ordering::Relaxed);
        Ok(is_there)
    }

    fn export(
        &self,
        running: &Running<'_>,
        plan: &Plan,
        attested: &Attested,
    ) -> Result<Response, BuildError> {
        let job = export_job(&self.request, &self.reached);
        running.within(job, plan.definition(), |running| {
            let reference = running.gateway.solve(plan.definition().clone());
            let reference = reference.map_err(|status| daemon_error(&status, None))?;
            let attestations = self.attach(&running.gateway, attested)?;
            Ok(Answer { reference, metadata: metadata(plan), attestations })
        })
    }

    fn holds(&self, digests: &Digests, draft: Option<&Draft>) -> Holds {
        Holds { manifest: digests.manifest.clone(), attested: self.attested(draft) }
    }

    /// Stands for all that is attested, without times.
    fn attested(&self, draft: Option<&Draft>) -> String {
        let Request { attest, tags, project, .. } = &*self.request;
        let sbom = match &attest.sbom {
            Sbom::Generator(image) => image.clone(),
            Sbom::No | Sbom::Own => draft.map(|draft| draft.key.clone()).unwrap_or_default(),
        };
        let provenance = attest.provenance.as_ref().map(|provenance| provenance.attr());
        let mut text = format!("{sbom} {provenance:?}");
        if let Carrier::Files(place) = self.request.carrier() {
            // They are small, so even a new commit with the same image gets its own.
            let parameters = provenance.map(|_| project.parameters());
            text = format!("{text} {place:?} {tags:?} {parameters:?}");
        }
        sha256_hex(text)
    }

    fn known(&self) -> Known {
        Known::new(self.request.cache_dir.as_deref())
    }
}
