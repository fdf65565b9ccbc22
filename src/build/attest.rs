//! SBOM and provenance of a build: what is wanted, how it is made, and where it goes.
//!
//! An output that can carry them has them inside: the daemon makes the provenance, peelbox the SBOM, which is handed over
//! with the result. For the others the provenance is taken from the daemon's record of the build, and both become files.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    attestation::{
        self, INVOCATION_PREDICATE, Mode, PROVENANCE_PREDICATE, Provenance, SPDX_PREDICATE, Subject,
    },
    build::image_sbom::Digests,
    cli::{
        args::{BuildArgs, SbomFormat},
        env::Environment,
        failure::output_error,
    },
    connect::search::Reached,
    control,
    error::{Error, Kind},
    gateway::Gateway,
    grpc::{Cancel, Status},
    llb::{Graph, State, op},
    output::{Dest, Output, beside_folder, check_dest, write_atomically},
    pb::gateway::{self as pb, Attestation},
    sbom::Problem,
    session::{RootCause, SessionId, context::Context, filesync::Root},
};

/// By which the session knows the folder of long documents.
const FOLDER_NAME: &str = "peelbox-documents";
/// Most bytes of documents in a graph: BuildKit before v0.13 takes messages of 4 MiB.
const GRAPH_BYTES_MAX: usize = 2 << 20;
/// Name of the SBOM in the result that holds it, and of the file beside an image.
const SBOM_FILE: &str = "sbom.spdx.json";
/// Name of the provenance beside an image, as BuildKit's folder exports have it.
const PROVENANCE_FILE: &str = "provenance.json";
/// Name of the statement of how peelbox was called.
const INVOCATION_FILE: &str = "invocation.json";
/// Name of the further SBOM.
const CYCLONEDX_FILE: &str = "sbom.cdx.json";

/// What the flags ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) sbom: Sbom,
    /// CycloneDX too, beside.
    pub(crate) is_cyclonedx: bool,
    pub(crate) provenance: Option<Provenance>,
    /// Where files go; `None`: next to the image, or the user's data folder.
    dir: Option<PathBuf>,
    /// Rather no image than files beside it.
    is_inside_required: bool,
}

/// Which SBOM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sbom {
    /// None.
    No,
    /// Peelbox's own.
    Own,
    /// That of a scanner image that the daemon runs.
    Generator(String),
}

/// Where what is said of an image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// There is no image, or nothing to say.
    Nobody,
    /// Whoever asked for the SBOM, and nothing else.
    Caller,
    /// The image.
    Image,
    /// Files beside it.
    Files(Beside),
}

/// A carrier that may have to wait for an engine to say how it keeps images.
#[derive(Debug)]
pub(crate) struct Carriage {
    inside: Carrier,
    beside: Carrier,
    is_inside: OnceLock<bool>,
}

impl Carriage {
    /// The one, whatever an engine says.
    pub(crate) fn of(carrier: Carrier) -> Self {
        Self { beside: carrier.clone(), inside: carrier, is_inside: OnceLock::new() }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.inside != self.beside && self.is_inside.get().is_none()
    }

    /// An engine has said whether it keeps such things in images.
    pub(crate) fn settle(&self, is_inside: bool) {
        self.is_inside.get_or_init(|| is_inside);
    }

    /// The image while it is open.
    pub(crate) fn carrier(&self) -> &Carrier {
        if self.is_inside.get() == Some(&false) { &self.beside } else { &self.inside }
    }
}

/// Where files beside an image lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// In this folder.
    Dir(PathBuf),
    /// Next to this file, whose name goes before theirs: `app.tar.provenance.json`.
    File(PathBuf),
    /// In a folder of this one, named by the image's digest.
    Data(PathBuf),
}

/// What was made and is to be written, or was handed over.
#[derive(Debug, Default)]
pub(crate) struct Attested {
    /// The SPDX document.
    pub(crate) spdx: Option<Vec<u8>>,
    /// The CycloneDX document.
    pub(crate) cyclonedx: Option<Vec<u8>>,
    /// Type and predicate, from the daemon's record.
    pub(crate) provenance: Option<(String, Value)>,
    /// Packages in the SBOM.
    pub(crate) packages: usize,
    /// Files that the SBOM could not take into account.
    pub(crate) problems: Vec<Problem>,
    /// Of the image itself, when it was looked into.
    pub(crate) digests: Option<Digests>,
    /// The engine holds the image with what was said of it before, in it or in `files`.
    pub(crate) is_there: bool,
    /// Beside the image, since they were written.
    pub(crate) files: Vec<PathBuf>,
    /// Stands for what is said, apart from times; empty when that is not remembered.
    pub(crate) key: String,
    /// Why the build failed.
    pub(crate) failure: Option<Status>,
    /// `linux/amd64`
    pub(crate) platform: String,
}

impl Wanted {
    pub(crate) fn resolve(args: &BuildArgs) -> Result<Self, Error> {
        let usage = |text: String| Error::new(Kind::Usage, text);
        let sbom = match args.sbom.as_deref() {
            _ if args.no_sbom => Sbom::No,
            None | Some("true") => Sbom::Own,
            Some(text) => match text.strip_prefix("generator=") {
                Some(image) if !image.is_empty() && !image.contains(',') => {
                    Sbom::Generator(image.to_owned())
                }
                _ => {
                    return Err(usage(format!("`--sbom {text}` is not understood")).hint(
                        "without the flag peelbox makes the SBOM itself; `--sbom=generator=IMAGE` runs a scanner, `--no-sbom` makes none",
                    ));
                }
            },
        };
        let provenance = match &args.provenance {
            _ if args.no_provenance => None,
            None => Some(Provenance::default()),
            Some(text) => Some(text.parse().map_err(|e| Error::from_error(Kind::Usage, e))?),
        };
        let is_cyclonedx = args.sbom_format == Some(SbomFormat::Cyclonedx);
        if is_cyclonedx && sbom != Sbom::Own {
            return Err(usage(
                "`--sbom-format cyclonedx` needs the SBOM that peelbox makes".to_owned(),
            ));
        }
        if args.require_attestations && sbom == Sbom::No && provenance.is_none() {
            return Err(usage("`--require-attestations` and nothing to attest".to_owned()));
        }
        Ok(Self {
            sbom,
            is_cyclonedx,
            provenance,
            dir: args.attest_dir.clone(),
            is_inside_required: args.require_attestations,
        })
    }

    /// The SBOM that peelbox makes, in both formats.
    pub(crate) fn sbom_alone() -> Self {
        Self {
            sbom: Sbom::Own,
            is_cyclonedx: true,
            provenance: None,
            dir: None,
            is_inside_required: false,
        }
    }

    /// Whether nothing is to be said of the image.
    pub(crate) fn is_nothing(&self) -> bool {
        self.sbom == Sbom::No && self.provenance.is_none()
    }

    /// Where it all goes, before anything is built. An engine beside the builder says later how it keeps images, unless one
    /// of the two ways is refused: to ask it takes 6 ms (29.8).
    pub(crate) fn carriage(
        &self,
        output: &Output,
        reached: &Reached,
        env: &Environment,
    ) -> Result<Carriage, Error> {
        let carrier = |is_kept| self.carrier(output, is_kept, env);
        if !matches!(output, Output::Docker { dest: None, .. }) || self.is_nothing() {
            return carrier(false).map(Carriage::of);
        }
        match (carrier(true), carrier(false)) {
            (Ok(inside), Ok(beside)) if !reached.keeps_image() => {
                Ok(Carriage { inside, beside, is_inside: OnceLock::new() })
            }
            (inside, beside) => {
                let is_inside = reached.engine_keeps_attestations()?;
                if is_inside { inside } else { beside }.map(Carriage::of)
            }
        }
    }

    /// The same once it is known whether the engine that shall hold the image keeps such things.
    fn carrier(&self, output: &Output, is_kept: bool, env: &Environment) -> Result<Carrier, Error> {
        let keeps_attestations = match output {
            Output::None => {
                if self.is_inside_required {
                    let text = "`--require-attestations` needs an image, `type=none` makes none";
                    return Err(Error::new(Kind::Usage, text));
                }
                return Ok(Carrier::Nobody);
            }
            _ if self.is_nothing() => return Ok(Carrier::Nobody),
            Output::Oci { .. } | Output::Image { .. } => true,
            Output::Docker { dest: Some(_), .. } | Output::Local { .. } | Output::Tar { .. } => {
                false
            }
            Output::Docker { dest: None, .. } => is_kept,
        };
        if keeps_attestations {
            if self.is_cyclonedx {
                self.check_dir(&self.beside(output, env)?)?;
            }
            return Ok(Carrier::Image);
        }
        let place = match output {
            Output::Docker { dest: None, .. } => "a Docker Engine with the classic image store",
            Output::Local { .. } => "a folder",
            Output::Tar { .. } => "a tar of files",
            _ => "a tar for `docker load`",
        };
        if self.is_inside_required {
            return Err(Error::new(Kind::Feature, format!("{place} cannot hold attestations"))
                .hint("`--output type=oci,dest=FILE` and Docker with the containerd image store can; without `--require-attestations` they are written beside the image"));
        }
        if let Sbom::Generator(_) = self.sbom {
            return Err(Error::new(Kind::Feature, format!("{place} cannot hold the SBOM of a scanner"))
                .hint("without `--sbom` peelbox makes one itself and writes it beside the image; or use `--output type=oci,dest=FILE`"));
        }
        let beside = self.beside(output, env)?;
        self.check_dir(&beside)?;
        Ok(Carrier::Files(beside))
    }

    /// Where files go.
    pub(crate) fn beside(&self, output: &Output, env: &Environment) -> Result<Beside, Error> {
        if let Some(dir) = &self.dir {
            return Ok(Beside::Dir(dir.clone()));
        }
        if let Some(folder) = output.folder() {
            return Ok(Beside::File(beside_folder(folder)));
        }
        if let Some(Dest::File(path)) = output.dest() {
            return Ok(Beside::File(path.clone()));
        }
        env.data_dir.clone().map(|dir| Beside::Data(dir.join("attestations"))).ok_or_else(|| {
            Error::new(Kind::Usage, "there is no folder for SBOM and provenance: HOME is not set")
                .hint("name one with `--attest-dir DIR`")
        })
    }

    fn check_dir(&self, beside: &Beside) -> Result<(), Error> {
        match beside {
            Beside::Dir(dir) if !dir.is_dir() => {
                // Made when it is needed; what is in the way is told before the build.
                let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
                let is_possible = !dir.exists() && parent.is_none_or(Path::is_dir);
                if is_possible {
                    return Ok(());
                }
                Err(Error::new(
                    Kind::Output,
                    format!("`--attest-dir {}` is no folder", dir.display()),
                ))
            }
            Beside::File(path) => {
                let file = Dest::File(suffixed(path, PROVENANCE_FILE));
                let advice =
                    "SBOM and provenance go there: name another folder with `--attest-dir DIR`";
                check_dest(&file).map_err(|error| output_error(error).hint(advice))
            }
            Beside::Dir(_) | Beside::Data(_) => Ok(()),
        }
    }

    /// What the daemon is told at the start.
    pub(crate) fn frontend_attrs(&self, carrier: &Carrier) -> BTreeMap<String, String> {
        let mut attrs = BTreeMap::new();
        if *carrier == Carrier::Image {
            if let Some(provenance) = &self.provenance {
                attrs.insert("attest:provenance".to_owned(), provenance.attr());
            }
            if let Sbom::Generator(image) = &self.sbom {
                attrs.insert("attest:sbom".to_owned(), format!("generator={image}"));
            }
        }
        attrs
    }

    /// Whether the daemon shall remember the build: its record has the provenance that no image can hold.
    pub(crate) fn needs_record(&self, carrier: &Carrier) -> bool {
        matches!(carrier, Carrier::Files(_)) && self.provenance.is_some()
    }

    /// Whether peelbox reads the image.
    pub(crate) fn makes_sbom(&self, carrier: &Carrier) -> bool {
        self.sbom == Sbom::Own && *carrier != Carrier::Nobody
    }
}

/// Hands documents to the daemon as files of a result of their own (`frontend/gateway`, `Result.attestations`): no scanner
/// runs, no image is pulled. Each is about the image of that platform.
///
/// They travel in the graph, or, when they are too long for a message, as a folder of the session.
pub(crate) fn attach(
    gateway: &Gateway,
    session: &SessionId,
    platform: &str,
    documents: &[Document<'_>],
    folder: &Folder,
) -> Result<BTreeMap<String, Vec<Attestation>>, Error> {
    let mut graph = Graph::new();
    let length: usize = documents.iter().map(|document| document.predicate.len()).sum();
    let meta = op::Meta { name: Some("attach SBOM".to_owned()), ignore_cache: false };
    let state = if length > GRAPH_BYTES_MAX {
        folder.fill(documents)?;
        let source = op::LocalSource {
            name: FOLDER_NAME.to_owned(),
            session: Some(session.0.clone()),
            ..op::LocalSource::default()
        };
        graph.source(&op::Source::Local(source), &meta)
    } else {
        let mkfile = |document: &Document<'_>| op::FileAction::Mkfile {
            path: format!("/{}", document.file),
            mode: 0o644,
            data: document.predicate.to_vec(),
        };
        let files: Vec<_> = documents.iter().map(mkfile).collect();
        graph.file(State::SCRATCH, &files, &meta)
    };
    let reference = gateway.solve(graph.definition(state)).map_err(no_sbom)?;
    let attestations = documents.iter().map(|document| Attestation {
        kind: pb::attestation::Kind::InToto.into(),
        metadata: document.metadata(),
        r#ref: Some(pb::Ref { id: reference.0.clone(), def: None }),
        path: format!("/{}", document.file),
        in_toto_predicate_type: document.kind.to_owned(),
        in_toto_subjects: vec![pb::attestation::Subject {
            kind: pb::attestation::SubjectKind::Self_.into(),
            ..pb::attestation::Subject::default()
        }],
    });
    Ok(BTreeMap::from([(platform.to_owned(), attestations.collect())]))
}

pub(crate) fn no_sbom(status: Status) -> Error {
    Error::new(Kind::Internal, "cannot make the SBOM of the image")
        .because(status)
        .hint("`--no-sbom` builds without one")
}

/// A folder of the session for long documents; it is gone when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// What the session serves.
    pub(crate) served: Arc<OnceLock<Context>>,
    dir: OnceLock<TempDir>,
}

impl Folder {
    fn fill(&self, documents: &[Document<'_>]) -> Result<(), Error> {
        let failed = |e: io::Error| {
            Error::new(Kind::Output, "cannot write the SBOM to a temporary folder").because(e)
        };
        let dir = TempDir::with_prefix("peelbox-").map_err(failed)?;
        for document in documents {
            std::fs::write(dir.path().join(document.file), document.predicate).map_err(failed)?;
        }
        let root = Arc::new(Root::open(dir.path()).map_err(failed)?);
        let context = Context::new(FOLDER_NAME, root, Arc::default(), RootCause::default());
        // It is filled once.
        drop((self.dir.set(dir), self.served.set(context)));
        Ok(())
    }
}

/// What is handed over with an image.
pub(crate) struct Document<'a> {
    /// Its name in the result that holds it.
    pub(crate) file: &'static str,
    /// Type of the predicate.
    pub(crate) kind: &'static str,
    /// The predicate, JSON.
    pub(crate) predicate: &'a [u8],
}

impl<'a> Document<'a> {
    pub(crate) fn spdx(predicate: &'a [u8]) -> Self {
        Self { file: SBOM_FILE, kind: SPDX_PREDICATE, predicate }
    }

    pub(crate) fn invocation(predicate: &'a [u8]) -> Self {
        Self { file: INVOCATION_FILE, kind: INVOCATION_PREDICATE, predicate }
    }

    /// Tells the daemon that an SBOM is one, so that it makes none and adds the layers of its packages.
    fn metadata(&self) -> BTreeMap<String, Vec<u8>> {
        if self.kind != SPDX_PREDICATE {
            return BTreeMap::new();
        }
        BTreeMap::from([
            ("reason".to_owned(), b"sbom".to_vec()),
            ("sbom-core".to_owned(), b"sbom".to_vec()),
        ])
    }
}

/// The provenance in the daemon's record of the build named `reference`, as much of it as is wanted.
pub(crate) fn recorded_provenance(
    reached: &Reached,
    reference: &str,
    wanted: &Provenance,
    parameters: &BTreeMap<String, String>,
    cancel: &Cancel,
) -> Result<(String, Value), Status> {
    let channel = &reached.connection.channel;
    let recorded = control::recorded_attestations(channel, reference, cancel)?;
    let found = recorded.into_iter().find(|(kind, _)| kind.starts_with(PROVENANCE_PREDICATE));
    let (kind, data) =
        found.ok_or_else(|| Status::protocol("the daemon's record has no provenance"))?;
    let mut predicate = attestation::predicate(&data).ok_or_else(|| {
        Status::protocol("the provenance in the daemon's record is no JSON object")
    })?;
    if wanted.mode == Mode::Min {
        attestation::minimize(&mut predicate);
    }
    attestation::add_parameters(&mut predicate, parameters);
    Ok((kind, predicate))
}

impl Beside {
    fn path(&self, digest: &str, name: &str) -> PathBuf {
        match self {
            Self::Dir(dir) => dir.join(name),
            Self::File(path) => suffixed(path, name),
            Self::Data(dir) => dir.join(digest.replace(':', "-")).join(name),
        }
    }

    /// Writes one file, its folder too if need be.
    fn write(&self, digest: &str, name: &str, data: &[u8]) -> Result<PathBuf, Error> {
        let path = self.path(digest, name);
        if let (Self::Dir(_) | Self::Data(_), Some(dir)) = (self, path.parent()) {
            std::fs::create_dir_all(dir).map_err(|e| {
                Error::new(Kind::Output, format!("cannot create the folder `{}`", dir.display()))
                    .because(e)
            })?;
        }
        write_atomically(&path, data).map_err(output_error)?;
        Ok(path)
    }
}

/// Writes what the image does not hold; gives the paths.
pub(crate) fn write_beside(
    beside: &Beside,
    carrier: &Carrier,
    attested: &Attested,
    tags: &[String],
    digest: &str,
) -> Result<Vec<PathBuf>, Error> {
    let subjects: Vec<Subject> = tags
        .iter()
        .map(|tag| Subject {
            name: attestation::image_purl(tag, &attested.platform),
            digest: digest.to_owned(),
        })
        .collect();
    write_about(beside, carrier, attested, &subjects, digest)
}

/// Writes what is said of `subjects`; `digest` names the folder where that needs a name.
pub(crate) fn write_about(
    beside: &Beside,
    carrier: &Carrier,
    attested: &Attested,
    subjects: &[Subject],
    digest: &str,
) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    if let Carrier::Files(_) = carrier {
        if let Some(predicate) = attested.spdx.as_deref().and_then(attestation::predicate) {
            let data = attestation::statement(SPDX_PREDICATE, subjects, &predicate);
            written.push(beside.write(digest, SBOM_FILE, &data)?);
        }
        if let Some((kind, predicate)) = &attested.provenance {
            let data = attestation::statement(kind, subjects, predicate);
            written.push(beside.write(digest, PROVENANCE_FILE, &data)?);
        }
    }
    if let Some(cyclonedx) = &attested.cyclonedx {
        written.push(beside.write(digest, CYCLONEDX_FILE, cyclonedx)?);
    }
    Ok(written)
}

fn suffixed(path: &Path, name: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(".");
    file.push(name);
    file.into()
}
