//! `Content`: blobs of local OCI layouts, for bases that no registry has.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use crate::{
    grpc::{Call, Code, Service, Status},
    oci_layout::{Blob, OciLayout, OciLayoutError},
    pb::content::{Info, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse},
    session::{Failure, RootCause},
};

const INFO: &str = "/containerd.services.content.v1.Content/Info";
const READ: &str = "/containerd.services.content.v1.Content/Read";
/// Bytes of one answer; messages to BuildKit before v0.13 must stay below 4 MiB.
const CHUNK_BYTES: u64 = 1 << 20;

/// Layouts by the id of their store; the daemon asks for `oci:<id>`.
pub type Stores = BTreeMap<String, OciLayout>;

/// Serves the blobs of some layouts, to be read only.
#[derive(Debug)]
pub struct Content {
    stores: Arc<Stores>,
    root_cause: RootCause,
}

impl Content {
    /// Serves `stores`.
    pub fn new(stores: Arc<Stores>, root_cause: RootCause) -> Self {
        Self { stores, root_cause }
    }

    fn blob(&self, call: &Call, digest: &str) -> Result<Blob, Status> {
        let store = call
            .header("buildkit-attachable-store-id")
            .ok_or_else(|| Status::new(Code::InvalidArgument, "the call names no content store"))?;
        let layout = store.strip_prefix("oci:").and_then(|id| self.stores.get(id));
        let layout = layout
            .ok_or_else(|| Status::new(Code::NotFound, format!("there is no store `{store}`")))?;
        layout.blob(digest).map_err(|error| {
            let code = match error {
                OciLayoutError::NotFound { .. } => Code::NotFound,
                OciLayoutError::BadDigest(_) => Code::InvalidArgument,
                _ => Code::Unknown,
            };
            let status = Status::new(code, error.to_string());
            // A blob the daemon only looks for may well be absent; another fault is the layout's.
            if code == Code::Unknown {
                self.root_cause.set(Failure::Layout(error));
            }
            status
        })
    }

    fn info(&self, call: &mut Call) -> Result<(), Status> {
        let request: InfoRequest = call.request()?;
        let size = self.blob(call, &request.digest)?.size() as i64;
        let info = Info { digest: request.digest, size, ..Info::default() };
        call.sender.message(&InfoResponse { info: Some(info) })
    }

    fn read(&self, call: &mut Call) -> Result<(), Status> {
        let request: ReadContentRequest = call.request()?;
        let blob = self.blob(call, &request.digest)?;
        let out_of_range = || Status::new(Code::OutOfRange, "the blob has no such bytes");
        let mut offset = u64::try_from(request.offset).map_err(|_| out_of_range())?;
        let rest = blob.size().checked_sub(offset).ok_or_else(out_of_range)?;
        // No size means all of it (containerd api/services/content/v1/content.proto).
        let size = match u64::try_from(request.size).map_err(|_| out_of_range())? {
            0 => rest,
            size => size.min(rest),
        };
        let end = offset + size;
        while offset < end {
            let mut chunk = vec![0; (end - offset).min(CHUNK_BYTES) as usize];
            let n = blob
                .read_at(offset, &mut chunk)
                .map_err(|e| Status::new(Code::Unknown, e.to_string()))?;
            if n == 0 {
                return Err(Status::new(Code::DataLoss, "the blob ended before its size"));
            }
            chunk.truncate(n);
            let data = Bytes::from(chunk);
            call.sender.message(&ReadContentResponse { offset: offset as i64, data })?;
            offset += n as u64;
        }
        Ok(())
    }
}

impl Service for Content {
    fn methods(&self) -> &'static [&'static str] {
        &[INFO, READ]
    }

    fn serve(&self, call: &mut Call) -> Result<(), Status> {
        if call.method.eq_ignore_ascii_case(INFO) { self.info(call) } else { self.read(call) }
    }
}
