//! The gateway of a running build: peelbox is its own frontend.
//!
//! Every build takes this route, raw definitions none: the base's image config and its `/etc/os-release` are read
//! through the daemon before the graph is known, the image config travels as result metadata (the only way Docker's
//! classic store honours), and attestations and further platforms need it. It costs two more round trips.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderValue};

use crate::{
    grpc::{CallOptions, Cancel, Channel, Code, Status, client::Pending},
    pb::{
        gateway::{
            Attestation, Attestations, PingRequest, PongResponse, ReadFileRequest,
            ReadFileResponse, Ref, ResolveImageConfigRequest, ResolveImageConfigResponse,
            Result as GatewayResult, ReturnRequest, ReturnResponse, SolveRequest, SolveResponse,
            result,
        },
        llb::{Definition, Platform},
        rpc,
    },
};

const SOLVE: &str = "/moby.buildkit.v1.frontend.LLBBridge/Solve";
/// Most that is read of one file; messages are bounded too.
const READ_FILE_BYTES_MAX: u64 = 1 << 20;
/// How long handing over the result may take: it starts the build, it does not wait for it.
const RETURN_TIMEOUT: Duration = Duration::from_secs(60);

/// Calls on one running build.
#[derive(Clone, Debug)]
pub struct Gateway {
    channel: Channel,
    metadata: HeaderMap,
    cancel: Cancel,
}

/// A solved (or lazily to be solved) result; empty is scratch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefId(pub String);

/// Where an image's config is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// A registry.
    Registry {
        /// `default` asks the registry; `local` prefers what the daemon has.
        resolve_mode: String,
    },
    /// The session's content store of this id.
    OciLayout {
        /// Who serves it.
        session: String,
        /// Which store.
        store: String,
    },
}

/// An image config found by the daemon.
#[derive(Clone, Debug)]
pub struct ImageConfig {
    /// Digest of the manifest or index the reference stands for.
    pub digest: String,
    /// OCI image config, JSON.
    pub config: Vec<u8>,
}

impl Gateway {
    /// The gateway of the build named `reference` (`SolveRequest.ref`); the daemon waits up to 3 s for it to appear.
    ///
    /// # Errors
    /// The name is not ASCII.
    pub fn new(channel: &Channel, reference: &str, cancel: &Cancel) -> Result<Self, Status> {
        let mut metadata = HeaderMap::new();
        let value = HeaderValue::from_str(reference)
            .map_err(|_| Status::protocol("a build reference is not ASCII"))?;
        metadata.insert("buildkit-controlapi-buildid", value);
        Ok(Self { channel: channel.clone(), metadata, cancel: cancel.clone() })
    }

    /// Starts to ask what the daemon can do: names of its LLB and gateway capabilities.
    ///
    /// # Errors
    /// The call could not be made.
    pub fn ping(&self) -> Result<Pending<PongResponse>, Status> {
        self.channel.call(
            "/moby.buildkit.v1.frontend.LLBBridge/Ping",
            &PingRequest {},
            self.options(None),
        )
    }

    /// Starts to look up an image's config.
    ///
    /// # Errors
    /// The call could not be made.
    pub fn resolve_image_config(
        &self,
        reference: &str,
        platform: &Platform,
        source: &ImageSource,
        log_name: &str,
    ) -> Result<Pending<ResolveImageConfigResponse>, Status> {
        let mut request = ResolveImageConfigRequest {
            r#ref: reference.to_owned(),
            platform: Some(platform.clone()),
            log_name: log_name.to_owned(),
            ..ResolveImageConfigRequest::default()
        };
        match source {
            ImageSource::Registry { resolve_mode } => request.resolve_mode.clone_from(resolve_mode),
            ImageSource::OciLayout { session, store } => {
                request.resolver_type = 1;
                request.session_id.clone_from(session);
                request.store_id.clone_from(store);
            }
        }
        self.channel.call(
            "/moby.buildkit.v1.frontend.LLBBridge/ResolveImageConfig",
            &request,
            self.options(None),
        )
    }

    /// Gives the daemon a graph; nothing is built before its result is needed.
    ///
    /// # Errors
    /// How the call ended; a graph the daemon refuses among them.
    pub fn solve(&self, definition: Definition) -> Result<RefId, Status> {
        self.solve_request(definition, false)
    }

    /// Gives the daemon a graph that it begins to build; the call may be dropped when the build is over, not before.
    ///
    /// # Errors
    /// The call could not be made.
    pub fn begin(&self, definition: Definition) -> Result<Pending<SolveResponse>, Status> {
        let options = self.options(None);
        self.channel.call(SOLVE, &request(definition, true), options)
    }

    /// Gives the daemon a graph and waits until its result is built.
    ///
    /// # Errors
    /// How the call ended; a step that failed among them.
    pub fn build(&self, definition: Definition) -> Result<RefId, Status> {
        self.solve_request(definition, true)
    }

    fn solve_request(&self, definition: Definition, evaluate: bool) -> Result<RefId, Status> {
        let answer: SolveResponse =
            self.channel.unary(SOLVE, &request(definition, evaluate), self.options(None))?;
        match answer.result.and_then(|r| r.result) {
            Some(result::Result::Ref(reference)) => Ok(RefId(reference.id)),
            Some(result::Result::RefDeprecated(id)) => Ok(RefId(id)),
            _ => Err(Status::protocol("the daemon answered a graph with no single result")),
        }
    }

    /// Reads the beginning of a file of a result, which is built for it; links are followed inside the result.
    ///
    /// # Errors
    /// `NotFound` (or another code with such a text) when it is absent.
    pub fn read_file(&self, reference: &RefId, path: &str) -> Result<Vec<u8>, Status> {
        self.read_range(reference, path, 0, READ_FILE_BYTES_MAX)
    }

    /// Reads at most `length` bytes of a file of a result from `offset` on.
    ///
    /// # Errors
    /// How the call ended.
    pub fn read_range(
        &self,
        reference: &RefId,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, Status> {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let request = ReadFileRequest {
            r#ref: reference.0.clone(),
            file_path: path.to_owned(),
            range: Some(crate::pb::gateway::FileRange {
                offset: number(offset),
                length: number(length),
            }),
        };
        let answer: ReadFileResponse = self.channel.unary(
            "/moby.buildkit.v1.frontend.LLBBridge/ReadFile",
            &request,
            self.options(None),
        )?;
        Ok(answer.data)
    }

    /// Hands over the result: the daemon builds and exports it, then answers the `Solve` behind this gateway.
    ///
    /// `attestations` are what the client says of it, by platform (`linux/amd64`).
    ///
    /// # Errors
    /// How the call ended.
    pub fn return_result(
        &self,
        reference: RefId,
        metadata: BTreeMap<String, Vec<u8>>,
        attestations: BTreeMap<String, Vec<Attestation>>,
    ) -> Result<(), Status> {
        let result = GatewayResult {
            result: Some(result::Result::Ref(Ref { id: reference.0, def: None })),
            metadata,
            attestations: attestations
                .into_iter()
                .map(|(platform, attestation)| (platform, Attestations { attestation }))
                .collect(),
        };
        self.finish(&ReturnRequest { result: Some(result), error: None })
    }

    /// Ends the build: the `Solve` behind this gateway fails with this text.
    ///
    /// # Errors
    /// How the call ended.
    pub fn return_error(&self, code: Code, message: &str) -> Result<(), Status> {
        let error =
            rpc::Status { code: code as i32, message: message.to_owned(), details: Vec::new() };
        self.finish(&ReturnRequest { result: None, error: Some(error) })
    }

    fn finish(&self, request: &ReturnRequest) -> Result<(), Status> {
        let options = self.options(Some(RETURN_TIMEOUT));
        let _: ReturnResponse =
            self.channel.unary("/moby.buildkit.v1.frontend.LLBBridge/Return", request, options)?;
        Ok(())
    }

    fn options(&self, timeout: Option<Duration>) -> CallOptions {
        CallOptions { metadata: self.metadata.clone(), timeout, cancel: self.cancel.clone() }
    }
}

fn request(definition: Definition, evaluate: bool) -> SolveRequest {
    SolveRequest {
        definition: Some(definition),
        evaluate,
        allow_result_return: true,
        allow_result_array_ref: true,
        ..SolveRequest::default()
    }
}

impl From<ResolveImageConfigResponse> for ImageConfig {
    fn from(answer: ResolveImageConfigResponse) -> Self {
        Self { digest: answer.digest, config: answer.config }
    }
}
