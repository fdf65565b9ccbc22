//! Bases: what must be resolved, and what their configs say.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{PlanError, Platform};
use crate::{
    digest::hex,
    llb::{
        Definition, Graph, State, oci_layout_reference,
        op::{Meta, Source},
    },
    spec::{Base, UniversalBuild},
};

/// Longest name of a system or an architecture.
const WORD_CHARS_MAX: usize = 64;

/// One of the two halves of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Where commands run.
    Build,
    /// What becomes the image.
    Runtime,
}

impl Stage {
    /// `build` or `runtime`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Runtime => "runtime",
        }
    }
}

/// A base that must be resolved before planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseRequest {
    /// Never [`Base::Scratch`].
    pub base: Base,
    /// Stages that start from it.
    pub stages: Vec<Stage>,
    /// Packages are installed on it: [`ResolvedBase::os_release`] is needed.
    pub needs_os_release: bool,
}

impl BaseRequest {
    /// Id of the content store that serves a local base (the daemon asks for `oci:<id>`).
    pub fn store(&self) -> Option<String> {
        match &self.base {
            Base::OciLayout { dir, .. } => Some(store_id(dir)),
            Base::Image(_) | Base::Scratch => None,
        }
    }

    /// As a person writes it.
    pub fn display(&self) -> String {
        display(&self.base)
    }

    /// Fields of the spec that name it: `build.base`, `runtime.base`.
    pub fn fields(&self) -> String {
        let names: Vec<String> = self.stages.iter().map(|s| format!("{}.base", s.name())).collect();
        names.join(", ")
    }

    /// What the daemon is asked for its config; `digest` is that of a local layout.
    pub fn reference(&self, digest: Option<&str>) -> String {
        match (&self.base, self.store(), digest) {
            (_, Some(store), Some(digest)) => oci_layout_reference(&store, digest),
            (Base::Image(reference), ..) => reference.clone(),
            _ => self.display(),
        }
    }
}

/// What the daemon said about a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedBase {
    /// `sha256:…` of the manifest or index.
    pub digest: String,
    /// OCI image config (JSON) for the platform.
    pub config: Vec<u8>,
    /// Content of `/etc/os-release`, if it was asked for and is there.
    pub os_release: Option<Vec<u8>>,
}

/// The answers to all requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedBases(pub BTreeMap<Base, ResolvedBase>);

/// The bases of a spec that must be resolved, each once, the build's first.
pub fn bases(spec: &UniversalBuild) -> Vec<BaseRequest> {
    let mut requests: Vec<BaseRequest> = Vec::new();
    for (stage, base, packages) in [
        (Stage::Build, &spec.build.base, &spec.build.packages),
        (Stage::Runtime, &spec.runtime.base, &spec.runtime.packages),
    ] {
        let needs_os_release = !packages.is_empty();
        match requests.iter_mut().find(|request| request.base == *base) {
            _ if *base == Base::Scratch => {}
            Some(request) => {
                request.stages.push(stage);
                request.needs_os_release |= needs_os_release;
            }
            None => requests.push(BaseRequest {
                base: base.clone(),
                stages: vec![stage],
                needs_os_release,
            }),
        }
    }
    requests
}

/// How bases are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// Which of their platforms.
    pub platform: &'a Platform,
    /// Who serves those in local layouts.
    pub session: Option<&'a str>,
    /// See [`Options::prefers_local_images`](super::Options::prefers_local_images).
    pub prefers_local: bool,
}

/// A definition with nothing but the base: solve it to read `/etc/os-release`.
pub fn source_definition(base: &Base, digest: &str, lookup: &Lookup<'_>) -> Definition {
    let mut graph = Graph::new();
    let name = format!("[internal] read {}", display(base));
    let state = match source(base, digest, lookup) {
        Some(source) => graph.source(&source, &Meta::named(name)),
        None => State::SCRATCH,
    };
    graph.definition(state)
}

/// A base with its config, ready to plan on.
pub(super) struct Image<'a> {
    base: &'a Base,
    resolved: Option<&'a ResolvedBase>,
    config: Map<String, Value>,
}

impl<'a> Image<'a> {
    /// # Errors
    /// The daemon takes an image without an index for any platform; what is for another one is refused here.
    pub(super) fn of(
        base: &'a Base,
        bases: &'a ResolvedBases,
        platform: &Platform,
    ) -> Result<Self, PlanError> {
        if *base == Base::Scratch {
            return Ok(Self { base, resolved: None, config: Map::new() });
        }
        let Some(resolved) = bases.0.get(base) else {
            return Err(PlanError::Unresolved { base: display(base) });
        };
        let config: Map<String, Value> = serde_json::from_slice(&resolved.config)
            .map_err(|source| PlanError::BaseConfig { base: display(base), source })?;
        let image = Self { base, resolved: Some(resolved), config };
        match image.foreign_platform(platform) {
            None => Ok(image),
            Some(has) => {
                let wanted = platform.clone();
                Err(PlanError::BasePlatform {
                    base: display(base),
                    has: has.into(),
                    wanted: wanted.into(),
                })
            }
        }
    }

    pub(super) fn source(&self, lookup: &Lookup<'_>) -> Option<Source> {
        source(self.base, &self.resolved?.digest, lookup)
    }

    /// As a person writes it.
    pub(super) fn display(&self) -> String {
        display(self.base)
    }

    /// The same with its digest.
    pub(super) fn pinned(&self) -> String {
        match (self.base, self.resolved) {
            (Base::Image(reference), Some(resolved)) => pin(reference, &resolved.digest),
            (Base::OciLayout { dir, .. }, Some(resolved)) => {
                format!("oci-layout://{dir}@{}", resolved.digest)
            }
            _ => display(self.base),
        }
    }

    /// Reference of a registry image and digest, for annotations.
    pub(super) fn reference(&self) -> Option<(&str, &str)> {
        match (self.base, self.resolved) {
            (Base::Image(reference), Some(resolved)) if !resolved.digest.is_empty() => {
                Some((without_digest(reference), &resolved.digest))
            }
            _ => None,
        }
    }

    pub(super) fn os_release(&self) -> Option<&[u8]> {
        self.resolved?.os_release.as_deref()
    }

    pub(super) fn config_bytes(&self) -> Option<Vec<u8>> {
        self.resolved.map(|resolved| resolved.config.clone())
    }

    /// Number of its layers; none of a base without config.
    pub(super) fn layers(&self) -> Option<usize> {
        Some(self.config.get("rootfs")?.get("diff_ids")?.as_array()?.len())
    }

    /// The image config, outer object.
    pub(super) fn image(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Its member `config`.
    pub(super) fn config(&self) -> Option<&Map<String, Value>> {
        self.config.get("config")?.as_object()
    }

    pub(super) fn env(&self) -> Vec<String> {
        self.strings("Env")
    }

    pub(super) fn user(&self) -> &str {
        self.config().and_then(|config| config.get("User")?.as_str()).unwrap_or_default()
    }

    /// What a shell command is appended to.
    pub(super) fn shell(&self) -> Vec<String> {
        match self.strings("Shell") {
            shell if shell.is_empty() => ["/bin/sh", "-c"].map(str::to_owned).to_vec(),
            shell => shell,
        }
    }

    /// Whether it has instructions for Dockerfiles that start from it.
    pub(super) fn has_triggers(&self) -> bool {
        !self.strings("OnBuild").is_empty()
    }

    /// Its platform, if it says one and that is another than `wanted`; variants run on one another more often than not.
    fn foreign_platform(&self, wanted: &Platform) -> Option<Platform> {
        let field = |name: &str| self.config.get(name).and_then(Value::as_str).unwrap_or_default();
        let (os, architecture) = (field("os"), field("architecture"));
        if os.is_empty() || architecture.is_empty() {
            return None;
        }
        // It becomes part of a hint, as something to type.
        let word = |text: &str| {
            let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            text.chars().filter(is_plain).take(WORD_CHARS_MAX).collect::<String>()
        };
        let own = Platform::new(&word(os), &word(architecture), &word(field("variant")));
        ((&own.os, &own.architecture) != (&wanted.os, &wanted.architecture)).then_some(own)
    }

    fn strings(&self, name: &str) -> Vec<String> {
        let list = self.config().and_then(|config| config.get(name)?.as_array());
        list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    }
}

fn source(base: &Base, digest: &str, lookup: &Lookup<'_>) -> Option<Source> {
    let Lookup { platform, session, prefers_local } = *lookup;
    match base {
        Base::Scratch => None,
        Base::Image(reference) => Some(Source::Image {
            reference: pin(reference, digest),
            platform: platform.clone(),
            prefers_local,
        }),
        Base::OciLayout { dir, .. } => Some(Source::OciLayout {
            store: store_id(dir),
            digest: digest.to_owned(),
            session: session.map(str::to_owned),
            platform: platform.clone(),
        }),
    }
}

fn display(base: &Base) -> String {
    match base {
        Base::Scratch => "scratch".to_owned(),
        Base::Image(reference) => without_digest(reference).to_owned(),
        Base::OciLayout { dir, tag, .. } => {
            let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            format!("oci-layout://{dir}{tag}")
        }
    }
}

/// An image that only a Docker with the classic store has is known by its name alone: no registry gave it a digest.
fn pin(reference: &str, digest: &str) -> String {
    if digest.is_empty() {
        return reference.to_owned();
    }
    format!("{}@{digest}", without_digest(reference))
}

fn without_digest(reference: &str) -> &str {
    reference.split_once('@').map_or(reference, |(name, _)| name)
}

/// Stable, and free of what a reference must not hold: the daemon reads it as part of one.
fn store_id(dir: &str) -> String {
    let hash = Sha256::digest(dir.as_bytes());
    format!("base-{}", hex(&hash[..STORE_ID_BYTES]))
}

const STORE_ID_BYTES: usize = 8;
