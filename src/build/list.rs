//! Results looked into beside a build: the names of their files, and pieces of them.

use std::{collections::BTreeMap, io, sync::Arc};

use super::{attested::Response, id::unique_id};
use crate::{
    gateway::{Gateway, RefId},
    grpc::Status,
    llb::Definition,
    sbom::{
        ReadAt,
        gathered::{Gathered, want},
    },
    session::gather::Gather,
    solve::{Aside, Exporter},
};

/// Most that is read of a binary in one call: BuildKit before v0.13 takes messages of 4 MiB.
const READ_BYTES_MAX: usize = 3 << 20;

/// Exports results beside a build to see what is in them.
#[derive(Clone)]
pub(super) struct Lister {
    pub(super) aside: Aside,
    pub(super) gather: Arc<Gather>,
    /// Of this build; what is asked beside it is exported alike.
    pub(super) frontend_attrs: BTreeMap<String, String>,
}

impl Lister {
    /// The files of a result that an SBOM is made of.
    pub(super) fn folder(&self, definition: Definition) -> Result<Gathered, Status> {
        let folder = self.gather.expect_folder(Arc::new(want));
        // In a folder of its platform; else the daemon walks it once more, to see that two platforms have no file in common
        // (BuildKit `exporter/local/export.go`).
        let attrs = BTreeMap::from([("platform-split".to_owned(), "true".to_owned())]);
        self.export(definition, Exporter { name: "local".to_owned(), attrs })?;
        folder.take().ok_or_else(|| Status::protocol("the daemon sent nothing of the result"))
    }

    pub(super) fn export(
        &self,
        definition: Definition,
        exporter: Exporter,
    ) -> Result<Response, Status> {
        self.aside.export(unique_id(), definition, exporter, self.frontend_attrs.clone())
    }
}

/// A file of a result, read through the daemon.
pub(super) struct Remote {
    gateway: Gateway,
    reference: RefId,
    path: String,
    size_bytes: u64,
}

impl Remote {
    pub(super) fn new(gateway: &Gateway, reference: &RefId, path: &str, size_bytes: u64) -> Self {
        let (gateway, reference) = (gateway.clone(), reference.clone());
        Self { gateway, reference, path: path.to_owned(), size_bytes }
    }

    /// All of it, up to its size; links on the way are followed.
    pub(super) fn read_to_end(&self) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        loop {
            let left = usize::try_from(self.size_bytes).unwrap_or(usize::MAX) - data.len();
            let mut part = vec![0; left.min(READ_BYTES_MAX)];
            // A length of 0 would ask for everything.
            let count = if left == 0 { 0 } else { self.read_at(data.len() as u64, &mut part)? };
            if count == 0 {
                return Ok(data);
            }
            data.extend_from_slice(&part[..count]);
        }
    }
}

impl ReadAt for Remote {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let length = buf.len().min(READ_BYTES_MAX);
        let data = self
            .gateway
            .read_range(&self.reference, &self.path, offset, length as u64)
            .map_err(io::Error::other)?;
        let count = data.len().min(buf.len());
        buf[..count].copy_from_slice(&data[..count]);
        Ok(count)
    }
}
