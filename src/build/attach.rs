//! Documents handed over with an image: the daemon stores them as its attestations.

use std::{
    collections::BTreeMap,
    fs, io,
    sync::{Arc, OnceLock},
};

use tempfile::TempDir;

use super::{beside::SBOM_FILE, error::BuildError};
use crate::{
    attestation::{INVOCATION_PREDICATE, SPDX_PREDICATE},
    gateway::Gateway,
    llb::{Graph, State, op},
    pb::gateway::{self as pb, Attestation},
    session::{RootCause, SessionId, context::Context, filesync::Root},
};

/// By which the session knows the folder of long documents.
const FOLDER_NAME: &str = "peelbox-documents";
/// Most bytes of documents in a graph: BuildKit before v0.13 takes messages of 4 MiB.
const GRAPH_BYTES_MAX: usize = 2 << 20;
/// Name of the statement of how peelbox was called.
const INVOCATION_FILE: &str = "invocation.json";

/// Hands documents to the daemon as files of a result of their own (`frontend/gateway`, `Result.attestations`): no scanner
/// runs, no image is pulled. Each is about the image of that platform.
///
/// They travel in the graph, or, when they are too long for a message, as a folder of the session.
pub(super) fn attach(
    gateway: &Gateway,
    session: &SessionId,
    platform: &str,
    documents: &[Document<'_>],
    folder: &Folder,
) -> Result<BTreeMap<String, Vec<Attestation>>, BuildError> {
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
    let reference = gateway.solve(graph.definition(state)).map_err(BuildError::Sbom)?;
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

/// A folder of the session for long documents; it is gone when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// What the session serves.
    pub(super) served: Arc<OnceLock<Context>>,
    dir: OnceLock<TempDir>,
}

impl Folder {
    fn fill(&self, documents: &[Document<'_>]) -> Result<(), BuildError> {
        let failed = |e: io::Error| BuildError::TemporaryFolder(e);
        let dir = TempDir::with_prefix("peelbox-").map_err(failed)?;
        for document in documents {
            fs::write(dir.path().join(document.file), document.predicate).map_err(failed)?;
        }
        let root = Arc::new(Root::open(dir.path()).map_err(failed)?);
        let context = Context::new(FOLDER_NAME, root, Arc::new(drop), RootCause::default());
        // It is filled once.
        drop((self.dir.set(dir), self.served.set(context)));
        Ok(())
    }
}

/// What is handed over with an image.
pub(super) struct Document<'a> {
    /// Its name in the result that holds it.
    pub(super) file: &'static str,
    /// Type of the predicate.
    pub(super) kind: &'static str,
    /// The predicate, JSON.
    pub(super) predicate: &'a [u8],
}

impl<'a> Document<'a> {
    pub(super) fn spdx(predicate: &'a [u8]) -> Self {
        Self { file: SBOM_FILE, kind: SPDX_PREDICATE, predicate }
    }

    pub(super) fn invocation(predicate: &'a [u8]) -> Self {
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
