//! An image for Docker with what is attested of it, in two stages: all is built; then it is exported, if need be.
//!
//! An index with attestations is another one in each build, as it tells when that was. So Docker never has it, and what it
//! costs to make it is lost where Docker holds that image, with these attestations, from the build before. The first build
//! exports nothing. It tells the digest of the image's manifest; when that is new, a second build within its session
//! exports, and finds all steps done. Docker's classic store tells no digest before it has the image: there the second
//! build always runs, and the SBOM is looked for under the image's id.
//!
//! What an index holds no engine tells, so that is remembered here when it was made. Where nothing is remembered it is made
//! once more.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use crate::{
    cli::{
        attest::{Attested, Carrier, Sbom, no_sbom},
        contents::{Digests, Draft, Inspector, hex_digest},
        export::{epoch_attrs, export_job, exporter_beside, metadata},
        failure::{daemon_error, output_error},
        job::{BuildError, Work, build},
        kept::Kept,
    },
    docker::Image,
    gateway::RefId,
    grpc::Status,
    plan::Plan,
    solve::{Answer, Running},
};

/// Images of which it is known what they hold.
const IMAGES_MAX: usize = 1000;

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
        let draft = self.draft(&attested.platform, &digests.manifest).map_err(no_sbom)?;
        let holds = self.holds(&digests, draft.as_ref());
        let is_there = self.is_there(&digests.config, &holds)?;
        attested.is_there = is_there && request.carrier == Carrier::Image;
        // What is in the image is left as it is; files beside it are written each time.
        if let Some(draft) = draft.filter(|_| !attested.is_there || request.attest.is_cyclonedx) {
            self.make_sbom(&inspector, plan, reference, draft, attested)?;
        }
        if !is_there {
            let response = self.export(running, plan, attested)?;
            self.remember(&response, &holds);
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
        if let Some(draft) = self.draft(&attested.platform, id).map_err(no_sbom)? {
            self.make_sbom(&self.inspector(running), plan, reference, draft, attested)?;
        }
        Ok(response)
    }

    pub(super) fn inspector<'a>(&'a self, running: &'a Running<'a>) -> Inspector<'a> {
        Inspector { running, gather: &self.gather, frontend_attrs: epoch_attrs(&self.request) }
    }

    fn draft(&self, platform: &str, digest: &str) -> Result<Option<Draft>, Status> {
        let is_made = self.request.attest.makes_sbom(&self.request.carrier);
        is_made.then(|| Draft::new(&self.request, platform, Some(digest))).transpose()
    }

    /// Whether Docker has the image; then it has all its names too.
    fn is_there(&self, config: &Option<String>, holds: &Holds) -> Result<bool, BuildError> {
        let Some(loader) = &self.loader else { return Ok(false) };
        let is_it = |image: &Image| match self.request.carrier {
            Carrier::Image => self.remembered(&image.id).is_some_and(|known| known == *holds),
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
        let attest = &self.request.attest;
        let sbom = match &attest.sbom {
            Sbom::Generator(image) => image.clone(),
            Sbom::No | Sbom::Own => draft.map(|draft| draft.key.clone()).unwrap_or_default(),
        };
        let provenance = attest.provenance.as_ref().map(|provenance| provenance.attr());
        let attested = hex_digest(&format!("{sbom} {provenance:?}"));
        Holds { manifest: digests.manifest.clone(), attested }
    }

    fn kept(&self) -> Option<Kept> {
        let dir = self.request.cache_dir.as_deref()?;
        Some(Kept::new(dir, "images", IMAGES_MAX))
    }

    fn remembered(&self, id: &str) -> Option<Holds> {
        let text = String::from_utf8(self.kept()?.find(&hex_digest(id))?).ok()?;
        let (manifest, attested) = text.split_once(' ')?;
        Some(Holds { manifest: manifest.to_owned(), attested: attested.to_owned() })
    }

    fn remember(&self, response: &Response, holds: &Holds) {
        let id = response.get("containerimage.digest");
        if let (Some(id), Some(kept), Carrier::Image) = (id, self.kept(), &self.request.carrier) {
            let Holds { manifest, attested } = holds;
            kept.keep(&hex_digest(id), format!("{manifest} {attested}").as_bytes());
        }
    }
}

/// What an image is and what is attested of it.
#[derive(Debug, PartialEq, Eq)]
struct Holds {
    manifest: String,
    /// The same for the same SBOM and a provenance of the same kind, which differs in times from build to build.
    attested: String,
}
