//! Spec, context and options of one run: typed → resolved, before any daemon is asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use sha2::{Digest as _, Sha256};

use crate::{
    attestation::credential,
    cli::{args::ProjectArgs, env::Environment, note, secrets},
    connect::search::Reached,
    control::Daemon,
    digest::{hex, sha256},
    error::{Error, Kind},
    frontend::{self, ResolveError},
    gateway::Gateway,
    grpc::{Status, client::Pending},
    oci_layout::OciLayout,
    pb::gateway::SolveResponse,
    plan::{self, Lookup, Options, Plan, PlanError, Platform},
    revision::{self, Changes},
    session::{content::Stores, filesync, secrets::Values},
    spec::{self, Base, Text, UniversalBuild},
};

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
pub(crate) struct Project {
    pub(crate) spec: UniversalBuild,
    /// Name of the service, and of the image when no tag is given.
    pub(crate) name: String,
    pub(crate) root: Arc<filesync::Root>,
    /// Digests of bases in local layouts.
    local_digests: BTreeMap<Base, String>,
    /// The layouts of those bases.
    pub(crate) stores: Arc<Stores>,
    /// What the context leaves out.
    pub(crate) exclude: Vec<String>,
    /// Stable per folder of this machine.
    key: String,
    revision: Option<String>,
    /// Of the context against its commit, once they are looked for.
    changes: Option<Changes>,
    parameters: OnceLock<BTreeMap<String, String>>,
    pub(crate) folder: PathBuf,
    /// `sha256:…` of the spec file.
    spec_digest: String,
    platform: Option<Platform>,
    entrypoint: Option<Vec<String>>,
    no_cache: bool,
    pub(crate) epoch: Option<i64>,
    /// What the flags say of secrets.
    pub(crate) secrets: Arc<Values>,
}

impl Project {
    /// Reads what was typed: spec, context, ignore files, local bases.
    pub(crate) fn load(args: &ProjectArgs, env: &Environment) -> Result<Self, Error> {
        let (file, spec_digest) = read_spec(&args.spec)?;
        let service =
            file.select(args.service.as_deref()).map_err(|e| Error::from_error(Kind::Usage, e))?;
        let spec = service.spec.clone();
        let context =
            fs::canonicalize(&args.context).map_err(|e| context_error(&args.context, e))?;
        let root = filesync::Root::open(&context).map_err(|e| context_error(&args.context, e))?;
        let mut exclude = ignored(&root)?;
        exclude.extend(spec.build.exclude.iter().cloned());

        let mut stores = Stores::new();
        let local_digests = open_layouts(&spec, &context, &mut stores)?;
        let name = spec.metadata.project_name.clone().unwrap_or_else(|| folder_name(&context));
        let usage = |e: PlanError| plan_error(&e);
        let mut values = secrets::load(&args.secret, env)?;
        secrets::from_environment(&spec.build.secrets, &mut values, env);
        Ok(Self {
            name,
            root: Arc::new(root),
            local_digests,
            stores: Arc::new(stores),
            exclude,
            key: project_key(&context),
            revision: revision::of(&context),
            changes: None,
            parameters: OnceLock::new(),
            folder: context.clone(),
            spec_digest,
            platform: args.platform.as_deref().map(parse_platform).transpose()?,
            entrypoint: args
                .entrypoint
                .as_deref()
                .map(plan::parse_entrypoint)
                .transpose()
                .map_err(usage)?,
            no_cache: args.no_cache,
            secrets: Arc::new(values),
            epoch: env.source_date_epoch.as_deref().map(parse_epoch).transpose()?,
            spec,
        })
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
        reached: &Reached,
        session: &str,
        purpose: Purpose,
    ) -> Result<Plan, Error> {
        let cannot_ask =
            |e: Status| Error::new(Kind::Internal, "cannot ask what the daemon can do").because(e);
        // Both questions are on their way at once.
        let pong = gateway.ping().map_err(cannot_ask)?;
        let mut options = self.options(reached, session, purpose);
        let lookup = Lookup {
            platform: &options.platform,
            session: Some(session),
            prefers_local: options.prefers_local_images,
        };
        let bases = frontend::resolve(gateway, &self.spec, &lookup, &self.local_digests)
            .map_err(resolve_error)?;
        let caps = pong.wait().map_err(cannot_ask)?.llb_caps.into_iter();
        options.caps = caps.filter(|cap| cap.enabled).map(|cap| cap.id).collect();
        Plan::new(&self.spec, &bases, &options).map_err(|e| plan_error(&e))
    }

    /// Lets the daemon fetch the context of the build that will be planned, if it will need one; see [`Gateway::begin`].
    pub(crate) fn begin_context(
        &self,
        gateway: &Gateway,
        reached: &Reached,
        session: &str,
    ) -> Result<Option<Pending<SolveResponse>>, Error> {
        let options = self.options(reached, session, Purpose::Build);
        let definition = plan::context_definition(&self.spec, &options);
        let begun = definition.map(|definition| gateway.begin(definition)).transpose();
        begun.map_err(|e| Error::new(Kind::Internal, "cannot begin to build").because(e))
    }

    /// All but what the daemon can do.
    fn options(&self, reached: &Reached, session: &str, purpose: Purpose) -> Options {
        let platform = self.platform_on(&reached.connection.daemon);
        Options {
            project: self.key.clone(),
            entrypoint: self.entrypoint.clone(),
            no_cache: self.no_cache,
            source_date_epoch: self.epoch,
            revision: self.revision.clone(),
            session: (purpose != Purpose::Show).then(|| session.to_owned()),
            prefers_local_images: reached.inside.is_some(),
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
        let steps = self.spec.build.dependencies.iter().flat_map(|step| &step.files).map(literal);
        let own = self.spec.metadata.path.iter().filter(|path| *path != ".").cloned();
        steps.chain(own).chain([String::new()]).collect()
    }

    /// Begins to look whether the context differs from its commit.
    pub(crate) fn look_for_changes(&mut self) {
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
            ("peelbox:spec".to_owned(), self.spec_digest.clone()),
            ("peelbox:service".to_owned(), self.name.clone()),
        ]);
        if let Some(revision) = &self.revision {
            let is_dirty = self.changes.as_ref().is_some_and(Changes::are_there);
            let dirty = if is_dirty { "-dirty" } else { "" };
            parameters.insert("vcs:revision".to_owned(), format!("{revision}{dirty}"));
        }
        parameters
    }

    /// A provenance is public: no credential has a place in what it tells.
    pub(crate) fn refuse_secrets(&self) -> Result<(), Error> {
        for Text { field, name, text } in self.spec.graph_texts() {
            let Some(sign) = credential::find(name, &text) else { continue };
            let text = format!(
                "`{field}` looks like a secret: it {sign}. The provenance would make it public"
            );
            return Err(Error::new(Kind::Usage, text)
                .hint("take it out of the spec and name it in `build.secrets`, then hand it over with `--secret id=ID,env=VARIABLE`: a secret is in no layer, no cache key and no provenance")
                .hint("`--no-provenance` builds with it; it is then still in the daemon's cache"));
        }
        Ok(())
    }

    /// Whether all that it needs was given; says what it goes on without.
    pub(crate) fn has_secrets(&self) -> Result<(), Error> {
        let without = secrets::check(&self.spec.build.secrets, &self.secrets)?;
        if !without.is_empty() {
            note(&format!("the build goes on without the secrets `{}`", without.join("`, `")));
        }
        Ok(())
    }

    /// Whether that daemon can have all bases.
    pub(crate) fn can_be_built_by(&self, reached: &Reached) -> Result<(), Error> {
        let bases = plan::bases(&self.spec);
        let Some(local) = bases.iter().find(|request| request.store().is_some()) else {
            return Ok(());
        };
        let (base, fields) = (local.display(), local.fields());
        reached.refuse_if_classic(&format!("cannot use `{base}` ({fields})")).map_err(|error| {
            error.hint("switch that engine to the containerd image store, or name a BuildKit daemon with `--buildkit ADDRESS`")
        })
    }

    fn platform_on(&self, daemon: &Daemon) -> Platform {
        self.platform.clone().unwrap_or_else(|| {
            let own = daemon.workers.first().and_then(|w| w.platforms.first());
            own.map_or_else(
                || Platform::new("linux", std::env::consts::ARCH, ""),
                |p| Platform::new(&p.os, &p.architecture, &p.variant),
            )
        })
    }
}

/// The spec, and the digest of its file.
fn read_spec(path: &Path) -> Result<(spec::SpecFile, String), Error> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| {
        let error = Error::new(Kind::Usage, format!("cannot read the spec `{name}`")).because(e);
        error.hint(
            "`--spec` names a UniversalBuild file; its format: docs/reference/universalbuild.md",
        )
    };
    let mut text = Vec::new();
    // One byte more than allowed tells the parser that there is more.
    let limit = spec::SPEC_BYTES_MAX as u64 + 1;
    if name == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut text).map_err(unreadable)?;
    } else {
        let file = fs::File::open(path).map_err(unreadable)?;
        file.take(limit).read_to_end(&mut text).map_err(unreadable)?;
    }
    let file = spec::parse(&text, &name).map_err(|e| Error::from_error(Kind::Usage, e))?;
    Ok((file, sha256(&text)))
}

fn context_error(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Usage, format!("cannot open the context `{}`", path.display()))
        .because(error)
        .hint("`--context` names the folder with the source tree")
}

/// Patterns of the context's ignore file; they travel in the graph, so they must be text.
fn ignored(root: &filesync::Root) -> Result<Vec<String>, Error> {
    let patterns =
        filesync::ignore_patterns(root).map_err(|e| Error::from_error(Kind::Usage, e))?;
    let text = |pattern: Vec<u8>| {
        String::from_utf8(pattern).map_err(|e| {
            let shown = e.as_bytes().escape_ascii().to_string();
            Error::new(
                Kind::Usage,
                format!("the ignore file has a pattern that is not UTF-8: `{shown}`"),
            )
        })
    };
    patterns.into_iter().map(text).collect()
}

fn open_layouts(
    spec: &UniversalBuild,
    context: &Path,
    stores: &mut Stores,
) -> Result<BTreeMap<Base, String>, Error> {
    let mut digests = BTreeMap::new();
    for request in plan::bases(spec) {
        let (Base::OciLayout { dir, tag, digest }, Some(store)) = (&request.base, request.store())
        else {
            continue;
        };
        let wrong = |e| {
            let what = format!("cannot use `{}` ({})", request.display(), request.fields());
            Error::new(Kind::Usage, what).because(e)
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

fn parse_platform(text: &str) -> Result<Platform, Error> {
    if text.contains(',') {
        return Err(Error::new(
            Kind::Usage,
            format!("`--platform {text}` names several platforms"),
        )
        .hint("build them one by one; images for several platforms come with a later version"));
    }
    text.parse().map_err(|e| Error::new(Kind::Usage, format!("`--platform`: {e}")))
}

fn parse_epoch(text: &str) -> Result<i64, Error> {
    text.parse().ok().filter(|epoch| *epoch >= 0).ok_or_else(|| {
        Error::new(Kind::Usage, format!("SOURCE_DATE_EPOCH is `{text}`, not a number of seconds"))
            .hint("SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)")
    })
}

fn plan_error(error: &PlanError) -> Error {
    let mut shown = Error::new(Kind::Usage, error.to_string());
    if let Some(source) = std::error::Error::source(error) {
        shown = shown.because(source.to_string());
    }
    shown.hints.extend(error.hint());
    shown
}

fn resolve_error(error: ResolveError) -> Error {
    use crate::grpc::Code;
    let status = error.status();
    let kind = match status.code {
        // Not by us: who interrupts a build is told so by `solve::run`.
        Code::Canceled => Kind::Internal,
        _ if status.is_transport => Kind::Internal,
        _ => Kind::Registry,
    };
    let text = status.message.clone();
    let shown = Error::from_error(kind, error);
    if ["401", "403", "denied", "authoriz"].iter().any(|word| text.contains(word)) {
        return shown.hint("log in with `docker login`; peelbox reads Docker's configuration");
    }
    if kind == Kind::Registry {
        return shown
            .hint("the daemon fetches bases itself: check the name, and its way to the registry");
    }
    shown
}

/// Letters and digits enough for an identity nobody else has (BuildKit uses 25 of them as well).
pub(crate) fn unique_id() -> String {
    let mut bytes = [0_u8; 25];
    // Blocks only in the first moments of a machine's life.
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    debug_assert_eq!(filled, Ok(bytes.len()));
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    bytes.iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect()
}
