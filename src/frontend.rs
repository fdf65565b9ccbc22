//! What a plan must know first, asked of the daemon through the gateway: the bases and what they hold.

use std::{collections::BTreeMap, fmt};

use crate::{
    daemon_words,
    digest::Digest,
    gateway::{Gateway, ImageConfig, ImageSource},
    grpc::{Code, Status, client::Pending},
    pb::gateway::ResolveImageConfigResponse,
    plan::{self, BaseRequest, Lookup, ResolvedBase, ResolvedBases},
    spec::{Base, UniversalBuild},
    terminal_text::one_line,
};

/// Where the package manager of a base is read from.
const OS_RELEASE: &str = "/etc/os-release";

/// Why a base could not be resolved.
#[derive(Debug)]
pub enum ResolveError {
    /// The image, or its config.
    Base {
        /// Which.
        base: String,
        /// Fields that name it: `build.base, runtime.base`.
        fields: String,
        /// What the daemon said.
        status: Status,
    },
    /// A file in it.
    OsRelease {
        /// Which.
        base: String,
        /// What the daemon said.
        status: Status,
    },
}

impl ResolveError {
    /// What the daemon said.
    pub fn status(&self) -> &Status {
        match self {
            Self::Base { status, .. } | Self::OsRelease { status, .. } => status,
        }
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base { base, fields, .. } => write!(f, "cannot resolve `{base}` ({fields})"),
            Self::OsRelease { base, .. } => write!(f, "cannot read `{OS_RELEASE}` of `{base}`"),
        }
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.status())
    }
}

/// Asks for all bases of `spec` at once; `local_digests` are those of OCI layouts, known before.
///
/// # Errors
/// The first base that can't be had.
pub fn resolve(
    gateway: &Gateway,
    spec: &UniversalBuild,
    lookup: &Lookup<'_>,
    local_digests: &BTreeMap<Base, String>,
) -> Result<ResolvedBases, ResolveError> {
    let requests = plan::bases(spec);
    let mut lookups = Vec::with_capacity(requests.len());
    for request in &requests {
        lookups.push(look_up(gateway, request, lookup, local_digests)?);
    }
    let mut resolved = ResolvedBases::default();
    for (request, pending) in requests.iter().zip(lookups) {
        let ImageConfig { digest, config } =
            pending.wait().map_err(|status| failed(request, status))?.into();
        let digest = local_digests.get(&request.base).cloned().unwrap_or(digest);
        if Digest::parse(&digest).is_none() {
            let text = format!("`{}` is no digest", one_line(&digest));
            return Err(failed(request, Status::protocol(text)));
        }
        let os_release = if request.needs_os_release {
            read_os_release(gateway, request, &digest, lookup)?
        } else {
            None
        };
        resolved.0.insert(request.base.clone(), ResolvedBase { digest, config, os_release });
    }
    Ok(resolved)
}

fn look_up(
    gateway: &Gateway,
    request: &BaseRequest,
    lookup: &Lookup<'_>,
    local_digests: &BTreeMap<Base, String>,
) -> Result<Pending<ResolveImageConfigResponse>, ResolveError> {
    let digest = local_digests.get(&request.base).map(String::as_str);
    let source = match request.store() {
        Some(store) => {
            let session = lookup.session.unwrap_or_default().to_owned();
            ImageSource::OciLayout { session, store }
        }
        None if lookup.prefers_local => ImageSource::Registry { resolve_mode: "local".to_owned() },
        None => ImageSource::Registry { resolve_mode: "default".to_owned() },
    };
    let log_name = format!("[internal] load metadata for {}", request.display());
    gateway
        .resolve_image_config(
            &request.reference(digest),
            &lookup.platform.to_pb(),
            &source,
            &log_name,
        )
        .map_err(|status| failed(request, status))
}

/// `None` when the base has no such file: what follows from that is the plan's to say.
fn read_os_release(
    gateway: &Gateway,
    request: &BaseRequest,
    digest: &str,
    lookup: &Lookup<'_>,
) -> Result<Option<Vec<u8>>, ResolveError> {
    let unreadable = |status| ResolveError::OsRelease { base: request.display(), status };
    let definition = plan::source_definition(&request.base, digest, lookup);
    let reference = gateway.solve(definition).map_err(unreadable)?;
    match gateway.read_file(&reference, OS_RELEASE) {
        Ok(text) => Ok(Some(text)),
        Err(status)
            if status.code == Code::NotFound || daemon_words::is_no_such_file(&status.message) =>
        {
            Ok(None)
        }
        Err(status) => Err(unreadable(status)),
    }
}

fn failed(request: &BaseRequest, status: Status) -> ResolveError {
    ResolveError::Base { base: request.display(), fields: request.fields(), status }
}
