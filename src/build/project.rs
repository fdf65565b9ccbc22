//! One service of one source tree, opened: spec, context, ignore file, local bases.

use std::{
    collections::{BTreeMap, BTreeSet},
    error, fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use sha2::{Digest as _, Sha256};

use super::{delivery::ClassicCannot, registries::hosts};
use crate::{
    attestation::credential,
    connect::{Builder, ImageStore},
    control::Daemon,
    digest::hex,
    frontend::{self, ResolveError},
    gateway::Gateway,
    grpc::{Status, client::Pending},
    oci_layout::{OciLayout, OciLayoutError},
    pb::gateway::SolveResponse,
    plan::{self, Lookup, Options, Plan, PlanError, Platform},
    revision::{self, Changes},
    session::{
        content::Stores,
        filesync::{self, IgnoreError},
        secrets::Values,
    },
    spec::{Base, Secret, Text, UniversalBuild},
};

/// What is built, as plain data.
#[derive(Clone, Debug)]
pub struct ProjectOptions {
    /// The spec of the service.
    pub spec: UniversalBuild,
    /// `sha256:…` of the file that the spec is from, for the provenance.
    pub spec_digest: String,
    /// The folder with the source tree.
    pub context: PathBuf,
    /// Platform of the image; the builder's own when `None`.
    pub platform: Option<Platform>,
    /// What the image starts instead of the spec's command.
    pub entrypoint: Option<Vec<String>>,
    /// Runs every step anew.
    pub no_cache: bool,
    /// `SOURCE_DATE_EPOCH`, in seconds.
    pub epoch: Option<i64>,
    /// Values of secrets.
    pub secrets: Values,
}

impl ProjectOptions {
    /// Builds `spec` from the folder `context`, with nothing else said.
    pub fn new(spec: UniversalBuild, context: impl Into<PathBuf>) -> Self {
        Self {
            spec,
            spec_digest: String::new(),
            context: context.into(),
            platform: None,
            entrypoint: None,
            no_cache: false,
            epoch: None,
            secrets: Values::default(),
        }
    }
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be looked at, or built by another client.
    Show,
    /// To be built.
    Build,
    /// To be built for Docker, whose images have more to say.
    BuildForDocker,
}

/// One service of one source tree.
pub struct Project {
    options: ProjectOptions,
    /// The context with no link in its path.
    pub(super) folder: PathBuf,
    /// Name of the service, and of the image when no tag is given.
    name: String,
    pub(super) root: Arc<filesync::Root>,
    /// Digests of bases in local layouts.
    local_digests: BTreeMap<Base, String>,
    /// The layouts of those bases.
    pub(super) stores: Arc<Stores>,
    /// What the context leaves out.
    pub(super) exclude: Vec<String>,
    /// Stable per folder of this machine.
    key: String,
    revision: Option<String>,
    /// Of the context against its commit, once they are looked for.
    changes: Option<Changes>,
    parameters: OnceLock<BTreeMap<String, String>>,
    pub(super) secrets: Arc<Values>,
}

impl Project {
    /// Registries of its bases.
    pub(super) fn registries(&self) -> BTreeSet<String> {
        let bases: Vec<String> =
            plan::bases(&self.options.spec).iter().map(|b| b.display()).collect();
        hosts(bases.iter().map(String::as_str))
    }

    /// Opens the context, its ignore file and the local bases.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub fn open(mut options: ProjectOptions) -> Result<Self, ProjectError> {
        let unopened = |source| ProjectError::Context { path: options.context.clone(), source };
        let folder = fs::canonicalize(&options.context).map_err(unopened)?;
        let root = filesync::Root::open(&folder).map_err(unopened)?;
        let mut exclude = ignored(&root)?;
        exclude.extend(options.spec.build.exclude.iter().cloned());
        let mut stores = Stores::new();
        let local_digests = open_layouts(&options.spec, &folder, &mut stores)?;
        let named = options.spec.metadata.project_name.clone();
        Ok(Self {
            name: named.unwrap_or_else(|| folder_name(&folder)),
            root: Arc::new(root),
            local_digests,
            stores: Arc::new(stores),
            exclude,
            key: project_key(&folder),
            revision: revision::of(&folder),
            changes: None,
            parameters: OnceLock::new(),
            folder,
            secrets: Arc::new(std::mem::take(&mut options.secrets)),
            options,
        })
    }

    /// Name of the service, and of the image when no other is given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn epoch(&self) -> Option<i64> {
        self.options.epoch
    }

    /// The key under which the daemon keeps its copy of this context (see `session::start`).
    pub(crate) fn shared_key(&self) -> &str {
        &self.key
    }

    /// Resolves the bases through `gateway` and plans on them.
    ///
    /// `session` is named in the graph when the graph is to be built by it, and not only shown.
    pub(crate) fn plan(
        &self,
        gateway: &Gateway,
        builder: &Builder,
        session: &str,
        purpose: Purpose,
    ) -> Result<Plan, PlanFailure> {
        let cannot_ask = |status| PlanFailure::Ask("ask what the daemon can do", status);
        // Both questions are on their way at once.
        let pong = gateway.ping().map_err(cannot_ask)?;
        let mut options = self.options_on(builder, session, purpose);
        let lookup = Lookup {
            platform: &options.platform,
            session: Some(session),
            prefers_local: options.prefers_local_images,
        };
        let bases = frontend::resolve(gateway, &self.options.spec, &lookup, &self.local_digests)
            .map_err(PlanFailure::Base)?;
        let caps = pong.wait().map_err(cannot_ask)?.llb_caps.into_iter();
        options.caps = caps.filter(|cap| cap.enabled).map(|cap| cap.id).collect();
        Plan::new(&self.options.spec, &bases, &options).map_err(PlanFailure::Plan)
    }

    /// Lets the daemon fetch the context of the build that will be planned, if it will need one; see [`Gateway::begin`].
    pub(crate) fn begin_context(
        &self,
        gateway: &Gateway,
        builder: &Builder,
        session: &str,
    ) -> Result<Option<Pending<SolveResponse>>, PlanFailure> {
        let options = self.options_on(builder, session, Purpose::Build);
        let definition = plan::context_definition(&self.options.spec, &options);
        let begun = definition.map(|definition| gateway.begin(definition)).transpose();
        begun.map_err(|status| PlanFailure::Ask("begin to build", status))
    }

    /// All but what the daemon can do.
    fn options_on(&self, builder: &Builder, session: &str, purpose: Purpose) -> Options {
        let platform = self.platform_on(&builder.connection.daemon);
        Options {
            project: self.key.clone(),
            entrypoint: self.options.entrypoint.clone(),
            no_cache: self.options.no_cache,
            source_date_epoch: self.options.epoch,
            revision: self.revision.clone(),
            session: (purpose != Purpose::Show).then(|| session.to_owned()),
            prefers_local_images: builder.engine().is_some(),
            is_for_docker: purpose == Purpose::BuildForDocker,
            exclude: self.exclude.clone(),
            ..Options::new(platform, self.name.clone())
        }
    }

    /// Folders of the context that may hold lock files: its root, the service's, and those that dependency steps name;
    /// relative, empty for the root.
    pub(crate) fn dependency_dirs(&self) -> BTreeSet<String> {
        let literal = |glob: &String| {
            let parts = glob.split('/').take_while(|part| !part.contains(['*', '?', '[']));
            let parts: Vec<_> = parts.collect();
            // The last part of a glob without wildcards is a file.
            let count = if parts.join("/") == *glob { parts.len() - 1 } else { parts.len() };
            parts[..count].join("/")
        };
        let steps =
            self.options.spec.build.dependencies.iter().flat_map(|step| &step.files).map(literal);
        let own = self.options.spec.metadata.path.iter().filter(|path| *path != ".").cloned();
        steps.chain(own).chain([String::new()]).collect()
    }

    /// Begins to look whether the context differs from its commit.
    ///
    /// A provenance tells it, so it is asked early: git takes its time.
    pub fn look_for_changes(&mut self) {
        if self.revision.is_some() {
            self.changes = Changes::look(&self.folder);
        }
    }

    /// What a provenance shall tell of how peelbox was called (BuildKit takes `vcs:` as facts of the source).
    pub(crate) fn parameters(&self) -> &BTreeMap<String, String> {
        self.parameters.get_or_init(|| self.new_parameters())
    }

    fn new_parameters(&self) -> BTreeMap<String, String> {
        let mut parameters = BTreeMap::from([
            ("peelbox:version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("peelbox:spec".to_owned(), self.options.spec_digest.clone()),
            ("peelbox:service".to_owned(), self.name.clone()),
        ]);
        if let Some(revision) = &self.revision {
            let is_dirty = self.changes.as_ref().is_some_and(Changes::are_there);
            let dirty = if is_dirty { "-dirty" } else { "" };
            parameters.insert("vcs:revision".to_owned(), format!("{revision}{dirty}"));
        }
        parameters
    }

    /// Refuses credentials in what a provenance would make public.
    ///
    /// # Errors
    /// [`ProjectError::PublicSecret`].
    pub fn refuse_secrets(&self) -> Result<(), ProjectError> {
        for Text { field, name, text } in self.options.spec.graph_texts() {
            if let Some(sign) = credential::find(name, &text) {
                return Err(ProjectError::PublicSecret { field, sign: sign.to_string() });
            }
        }
        Ok(())
    }

    /// Refuses a build without secrets that it needs, all at once; gives the ids of those that it goes on without.
    ///
    /// # Errors
    /// [`ProjectError::NoSecrets`].
    pub fn has_secrets(&self) -> Result<Vec<String>, ProjectError> {
        check_secrets(&self.options.spec.build.secrets, &self.secrets)
    }

    /// Whether that builder can have all bases.
    pub(crate) fn can_be_built_by(&self, builder: &Builder) -> Result<(), ClassicCannot> {
        let bases = plan::bases(&self.options.spec);
        match bases.iter().find(|request| request.store().is_some()) {
            Some(local) if builder.store() == ImageStore::Classic => {
                Err(ClassicCannot::UseBase { base: local.display(), fields: local.fields() })
            }
            _ => Ok(()),
        }
    }

    fn platform_on(&self, daemon: &Daemon) -> Platform {
        self.options.platform.clone().unwrap_or_else(|| {
            let own = daemon.workers.first().and_then(|w| w.platforms.first());
            own.map_or_else(
                || Platform::new("linux", std::env::consts::ARCH, ""),
                |p| Platform::new(&p.os, &p.architecture, &p.variant),
            )
        })
    }
}

fn check_secrets(needed: &[Secret], values: &Values) -> Result<Vec<String>, ProjectError> {
    let missing = |is_required: bool| {
        let secrets = needed.iter().filter(|secret| !values.0.contains_key(&secret.id));
        let ids = secrets.filter(|secret| secret.required == is_required);
        let ids: BTreeSet<&str> = ids.map(|secret| secret.id.as_str()).collect();
        ids.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    match missing(true) {
        ids if ids.is_empty() => Ok(missing(false)),
        ids => Err(ProjectError::NoSecrets { ids }),
    }
}

/// Patterns of the context's ignore file; they travel in the graph, so they must be text.
fn ignored(root: &filesync::Root) -> Result<Vec<String>, ProjectError> {
    let patterns = filesync::ignore_patterns(root).map_err(ProjectError::IgnoreFile)?;
    let text = |pattern: Vec<u8>| {
        String::from_utf8(pattern).map_err(|e| ProjectError::IgnoreNotText {
            pattern: e.as_bytes().escape_ascii().to_string(),
        })
    };
    patterns.into_iter().map(text).collect()
}

fn open_layouts(
    spec: &UniversalBuild,
    context: &Path,
    stores: &mut Stores,
) -> Result<BTreeMap<Base, String>, ProjectError> {
    let mut digests = BTreeMap::new();
    for request in plan::bases(spec) {
        let (Base::OciLayout { dir, tag, digest }, Some(store)) = (&request.base, request.store())
        else {
            continue;
        };
        let wrong = |source| ProjectError::Base {
            base: request.display(),
            fields: request.fields(),
            source: Box::new(source),
        };
        let layout = OciLayout::open(&context.join(dir)).map_err(wrong)?;
        // The spec's reader has refused what is no digest.
        let digest = digest.as_deref().and_then(|text| text.parse().ok());
        let root = layout.resolve(tag.as_deref(), digest.as_ref()).map_err(wrong)?;
        stores.insert(store, layout);
        digests.insert(request.base, root.digest.as_str().to_owned());
    }
    Ok(digests)
}

fn folder_name(context: &Path) -> String {
    let name = context.file_name().map(|n| n.to_string_lossy().to_lowercase());
    let name: String = name
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

/// Tells this folder of this machine from all others; daemons may serve several machines.
fn project_key(context: &Path) -> String {
    let machine = fs::read("/etc/machine-id").unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(b"peelbox context\0");
    hash.update(machine.trim_ascii());
    hash.update(b"\0");
    hash.update(context.as_os_str().as_encoded_bytes());
    hex(&hash.finalize()[..16])
}

/// Why a project cannot be opened or built as it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProjectError {
    /// The context cannot be opened.
    Context {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ignore file cannot be read or understood.
    IgnoreFile(IgnoreError),
    /// The ignore file has a pattern that is not UTF-8: patterns travel in the graph.
    IgnoreNotText {
        /// The pattern, escaped.
        pattern: String,
    },
    /// A base in a local OCI layout cannot be used.
    Base {
        /// The base.
        base: String,
        /// Fields of the spec that name it.
        fields: String,
        /// What is wrong with the layout.
        source: Box<OciLayoutError>,
    },
    /// The build needs secrets that were not given.
    NoSecrets {
        /// Their ids.
        ids: Vec<String>,
    },
    /// A text of the spec looks like a secret, and a provenance would make it public.
    PublicSecret {
        /// Its field.
        field: String,
        /// What shows it.
        sign: String,
    },
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum PlanFailure {
    /// What was wanted of the daemon, and how that ended.
    Ask(&'static str, Status),
    Base(ResolveError),
    Plan(PlanError),
}

impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context { path, .. } => {
                write!(f, "cannot open the context `{}`", path.display())
            }
            Self::IgnoreFile(error) => error.fmt(f),
            Self::IgnoreNotText { pattern } => {
                write!(f, "the ignore file has a pattern that is not UTF-8: `{pattern}`")
            }
            Self::Base { base, fields, .. } => write!(f, "cannot use `{base}` ({fields})"),
            Self::NoSecrets { ids } => {
                let plural = if ids.len() > 1 { "s" } else { "" };
                write!(f, "the build needs the secret{plural} `{}`", ids.join("`, `"))
            }
            Self::PublicSecret { field, sign } => write!(
                f,
                "`{field}` looks like a secret: it {sign}. The provenance would make it public"
            ),
        }
    }
}

impl error::Error for ProjectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Context { source, .. } => Some(source),
            Self::IgnoreFile(error) => error.source(),
            Self::Base { source, .. } => Some(source.as_ref()),
            Self::IgnoreNotText { .. } | Self::NoSecrets { .. } | Self::PublicSecret { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SecretTarget;

    #[test]
    fn all_secrets_that_are_missing_are_named_at_once() {
        let secret = |id: &str, required| Secret {
            id: id.to_owned(),
            target: SecretTarget::Env(id.to_owned()),
            required,
        };
        let mut needed = vec![secret("B", true), secret("A", true), secret("C", false)];
        let mut values = Values::default();
        let told = check_secrets(&needed, &values).unwrap_err().to_string();
        assert_eq!(told, "the build needs the secrets `A`, `B`");
        for id in ["A", "B"] {
            values.0.insert(id.to_owned(), Vec::new());
        }
        assert_eq!(check_secrets(&needed, &values).unwrap(), ["C"]);
        needed.pop();
        assert!(check_secrets(&needed, &values).unwrap().is_empty());
    }
}
