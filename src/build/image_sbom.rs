//! What is in the image that was built: read through the daemon while the build still runs, or known from before.
//!
//! The SBOM of an image depends on nothing but the image and the lock files of the context. So it is kept under the digest
//! of the image's manifest, which the daemon tells in some milliseconds; only of a new image all names are listed.

use std::{
    collections::BTreeSet,
    fs, io, mem,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{
    attested::{Attested, Digests},
    disk_cache::{DiskCache, read_bounded},
    layer_cache::{BaseFiles, Layers},
    list::{Lister, Remote},
    project::Project,
    request::BuildRequest,
};
use crate::{
    digest::sha256_hex,
    gateway::{Gateway, RefId},
    grpc::{Code, Status},
    plan::Plan,
    sbom::{
        self, Catalogue, Files, Interest, Origin, Problem, ReadAt, Subject, gathered::Gathered,
    },
    solve::Exporter,
    threads::Later,
};

/// Of the thread that reads what is in the image: JSON and TOML nest as deep as is allowed, with room to spare.
const STACK_BYTES: usize = 4 << 20;
/// Documents that are kept.
const DOCUMENTS_MAX: usize = 64;
/// Most files of the context that are read.
const CONTEXT_FILES_MAX: usize = 256;

/// What is needed to look into a result while its build still runs.
pub(super) struct Inspector<'a> {
    pub(super) lister: Lister,
    pub(super) gateway: Gateway,
    pub(super) base: &'a Mutex<BaseFiles>,
    pub(super) cache_dir: Option<&'a Path>,
    /// Most that is read of new layers; where they are longer the whole image is listed instead.
    pub(super) layers_bytes_max: u64,
}

/// An SBOM that is to be made: all that it depends on besides the content of the image.
pub(super) struct Draft {
    name: String,
    /// Stands for the content.
    digest: Option<String>,
    platform: String,
    created_seconds: i64,
    is_cyclonedx: bool,
    context: Catalogue,
    /// The same for the same document; it is the name of a file.
    pub(super) key: String,
}

/// A document with what the summary says of it, as it is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Documents {
    packages: usize,
    problems: Vec<(String, String)>,
    spdx: String,
    cyclonedx: Option<String>,
}

impl Draft {
    /// Of the image with that digest; without one it is not kept. `context` is what the lock files say.
    pub(super) fn new(
        request: &BuildRequest,
        context: Catalogue,
        platform: &str,
        digest: Option<&str>,
    ) -> Self {
        let name = request.tags.first().map_or_else(|| request.project.name(), String::as_str);
        let mut draft = Self {
            name: name.to_owned(),
            digest: digest.map(str::to_owned),
            platform: platform.to_owned(),
            created_seconds: request.project.epoch().unwrap_or_default(),
            is_cyclonedx: request.attestations.is_cyclonedx,
            context,
            key: String::new(),
        };
        let Self { context, is_cyclonedx, .. } = &draft;
        let version = env!("CARGO_PKG_VERSION");
        draft.key =
            sha256_hex(format!("{version} {:?} {context:?} {is_cyclonedx}", draft.subject()));
        draft
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            name: &self.name,
            digest: self.digest.as_deref(),
            platform: &self.platform,
            created_seconds: self.created_seconds,
        }
    }

    fn make(mut self, mut catalogue: Catalogue) -> Documents {
        sbom::merge(&mut catalogue, mem::take(&mut self.context));
        let subject = self.subject();
        let problems = catalogue.problems.iter();
        Documents {
            packages: catalogue.packages.len(),
            problems: problems.map(|p| (p.path.clone(), p.why.clone())).collect(),
            spdx: sbom::spdx::document(&catalogue, &subject).to_string(),
            cyclonedx: self
                .is_cyclonedx
                .then(|| sbom::cyclonedx::document(&catalogue, &subject).to_string()),
        }
    }
}

impl Inspector<'_> {
    /// Makes the documents, or finds them.
    pub(super) fn document(
        &self,
        request: &BuildRequest,
        plan: &Plan,
        reference: &RefId,
        draft: Draft,
        attested: &mut Attested,
    ) -> Result<(), Status> {
        let cache_dir = request.cache_dir.as_deref().filter(|_| draft.digest.is_some());
        let kept =
            cache_dir.map(|dir| (DiskCache::new(dir, "sbom", DOCUMENTS_MAX), draft.key.clone()));
        let found = kept.as_ref().and_then(|(kept, key)| kept.find(key));
        // What cannot be read is made anew.
        let documents = match found.and_then(|data| serde_json::from_slice(&data).ok()) {
            Some(documents) => documents,
            None => {
                let catalogue = self.catalogue(plan, reference, draft.digest.as_deref())?;
                let made = draft.make(catalogue);
                if let (Some((kept, key)), Ok(data)) = (&kept, serde_json::to_vec(&made)) {
                    kept.keep(key, &data);
                }
                made
            }
        };
        let Documents { packages, problems, spdx, cyclonedx } = documents;
        attested.packages = packages;
        attested.problems = problems.into_iter().map(|(path, why)| Problem { path, why }).collect();
        attested.spdx = Some(spdx.into_bytes());
        attested.cyclonedx = cyclonedx.map(String::into_bytes);
        Ok(())
    }

    /// What is in the result.
    fn catalogue(
        &self,
        plan: &Plan,
        reference: &RefId,
        manifest: Option<&str>,
    ) -> Result<Catalogue, Status> {
        let mut gathered = match self.in_layers(plan, manifest) {
            Some(gathered) => gathered,
            None => self.lister.folder(plan.definition().clone())?,
        };
        self.follow_links(&mut gathered, reference);
        let failed = |text: String| Status::new(Code::Internal, text);
        let files = self.files(gathered, reference);
        let read = read_files("pbx-sbom", Origin::Image, move || files);
        let read = read.map_err(|e| failed(format!("cannot start a thread: {e}")))?;
        read.take().ok_or_else(|| failed("its reader gave up".to_owned()))
    }

    /// Looks once more for the package database of a system that seems to have none: it may lie behind a link, which the
    /// daemon follows and a list of files does not.
    fn follow_links(&self, gathered: &mut Gathered, reference: &RefId) {
        if sbom::lacks_database(&gathered.contents) {
            for (path, bytes_max) in sbom::databases() {
                let file = Remote::new(&self.gateway, reference, &path, bytes_max);
                // Most are not there.
                if let Ok(text) = file.read_to_end() {
                    gathered.missing.remove(&path);
                    gathered.contents.insert(path, text);
                }
            }
        }
    }

    /// What is in it when its layers can be told; else all of it is listed.
    fn in_layers(&self, plan: &Plan, manifest: Option<&str>) -> Option<Gathered> {
        let (parts, base) = (plan.parts()?, self.base().take()?);
        let layers = Layers {
            aside: &self.lister.aside,
            parts,
            cache_dir: self.cache_dir,
            bytes_max: self.layers_bytes_max,
        };
        layers.put_on(base, manifest?).ok()
    }

    fn base(&self) -> MutexGuard<'_, BaseFiles> {
        self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The digests of the image, known before it is exported with what is said of it.
    pub(super) fn digests(&self, plan: &Plan, exporter: Exporter) -> Result<Digests, Status> {
        let said = self.lister.export(plan.definition().clone(), exporter);
        // While the base is listed the next export that comes is taken for a folder.
        self.base().wait();
        let mut said = said?;
        let manifest = said.remove("containerimage.digest").ok_or_else(|| {
            Status::protocol("the daemon does not say which digest the image has")
        })?;
        Ok(Digests { manifest, config: said.remove("containerimage.config.digest") })
    }

    fn files(&self, gathered: Gathered, reference: &RefId) -> Files {
        let Gathered { contents, names, missing, .. } = gathered;
        let binary = |(path, size_bytes): (String, u64)| {
            let file = Remote::new(&self.gateway, reference, &path, size_bytes);
            (path, Box::new(file) as Box<dyn ReadAt + Send>)
        };
        Files {
            texts: contents,
            binaries: names.into_iter().map(binary).collect(),
            problems: missing.into_iter().map(|(path, why)| Problem { path, why }).collect(),
        }
    }
}

/// Begins to read files, on a thread with room for what is nested in them.
fn read_files(
    thread: &str,
    origin: Origin,
    files: impl FnOnce() -> Files + Send + 'static,
) -> io::Result<Later<Catalogue>> {
    Later::begin(thread, STACK_BYTES, move || sbom::catalogue(&files(), origin))
}

/// Begins to read the lock files of the context, which depend on nothing that a daemon does.
///
/// # Errors
/// There is no room for a thread.
pub(super) fn read_lock_files(request: Arc<BuildRequest>) -> io::Result<Later<Catalogue>> {
    read_files("pbx-lock-files", Origin::Context, move || context_files(&request.project))
}

/// Lock files and manifests of the context: those beside the service, at the root, and where a dependency step has its own.
fn context_files(project: &Project) -> Files {
    let mut files = Files::default();
    let dirs = project.dependency_dirs();
    let mut paths = BTreeSet::new();
    for dir in dirs {
        let Ok(entries) = fs::read_dir(project.folder.join(&dir)) else { continue };
        for entry in entries.flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if let (true, Ok(name)) = (is_file, entry.file_name().into_string()) {
                paths.insert(if dir.is_empty() {
                    format!("/{name}")
                } else {
                    format!("/{dir}/{name}")
                });
            }
        }
    }
    let wanted =
        paths.into_iter().filter_map(|path| match sbom::interest(&path, Origin::Context) {
            Interest::Text { bytes_max } => Some((path, bytes_max)),
            Interest::None | Interest::Binary => None,
        });
    for (path, bytes_max) in wanted.take(CONTEXT_FILES_MAX) {
        match read_bounded(&project.folder.join(&path[1..]), bytes_max) {
            Ok(text) => drop(files.texts.insert(path, text)),
            Err(e) => files.problems.push(Problem { path, why: e.to_string() }),
        }
    }
    files
}
