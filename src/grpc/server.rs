//! Calls the peer makes on us: path → [`Service`], one named thread per call.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    grpc::{
        Cancel, Code, RECEIVE_LIMIT_BYTES, Status,
        client::{DATA_FRAME_BUDGET, SEND_BUFFER_BYTES},
        driver::Handle,
        frame,
        io::spawn,
        stream::{Receiver, Sender},
    },
    pb::health::{HealthCheckResponse, health_check_response::ServingStatus},
};

/// Answered on the driver itself: a daemon ends a session whose health answer comes late twice.
pub const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Calls served at the same time; a build needs a handful.
const CALLS_MAX: usize = 64;
/// Streams that are open at the same time, those of health checks and of calls that are refused too.
const STREAMS_MAX: u32 = 128;
/// Window of a stream at first: a daemon sends an image as it opens the call, and most are refused as they are there.
const FIRST_WINDOW_BYTES: u32 = 64 << 10;
/// Once so many bytes of a call were read, the rest will be too.
const BULK_BYTES: usize = FIRST_WINDOW_BYTES as usize / 2;
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// Ignore patterns come as headers, one field each.
const HEADER_LIST_BYTES_MAX: u32 = 4 << 20;

/// One gRPC service the peer may call.
pub trait Service: Send + Sync {
    /// Full method paths, such as `/moby.filesync.v1.FileSync/DiffCopy`.
    fn methods(&self) -> &'static [&'static str];

    /// Serves one call on its own thread; the returned status ends the stream.
    ///
    /// # Errors
    /// What the peer is told.
    fn serve(&self, call: &mut Call) -> Result<(), Status>;
}

/// One call of the peer.
#[derive(Debug)]
pub struct Call {
    /// Full method path.
    pub method: String,
    /// Request headers.
    pub metadata: HeaderMap,
    /// The peer's messages; may be taken and read elsewhere.
    pub receiver: Option<Receiver>,
    /// Our messages; the status follows by itself.
    pub sender: Sender,
    /// For work that must not wait for a thread to be woken.
    pub driver: Handle,
}

impl Call {
    /// The first value of a request header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.metadata.get(name)?.to_str().ok()
    }

    /// The request of a unary call.
    ///
    /// # Errors
    /// It is missing, or not such a message.
    pub fn request<M: prost::Message + Default>(&mut self) -> Result<M, Status> {
        let receiver = self.receiver.as_mut();
        receiver.ok_or_else(|| Status::protocol("the request was taken already"))?.only()
    }
}

/// Serves HTTP/2 on `io` until the peer or `h2` ends the connection.
///
/// # Errors
/// The connection broke, or the peer broke a rule of HTTP/2.
pub async fn serve<T>(
    driver: Handle,
    io: T,
    services: Arc<[Arc<dyn Service>]>,
) -> Result<(), h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(FIRST_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .data_frame_budget(DATA_FRAME_BUDGET);
    let mut connection = builder.handshake::<_, Bytes>(io).await?;
    let active = Arc::new(AtomicUsize::new(0));
    let mut serial = 0_usize;
    // Thrown once, by whoever reads much.
    let bulk = Cancel::default();
    let mut is_wide = false;
    loop {
        let accepted = match is_wide {
            true => connection.accept().await,
            false => match bulk.guard(connection.accept()).await {
                Some(accepted) => accepted,
                None => {
                    is_wide = true;
                    // For streams that are open too (RFC 9113, section 6.9.2). `h2` has more settings to send only while
                    // the first ones are not confirmed, and then the window stays as it is.
                    drop(connection.set_initial_window_size(STREAM_WINDOW_BYTES));
                    continue;
                }
            },
        };
        let Some(accepted) = accepted else { return Ok(()) };
        let (request, mut respond) = accepted?;
        let path = request.uri().path();
        if path.eq_ignore_ascii_case(HEALTH_CHECK) {
            answer_health(&mut respond);
            continue;
        }
        let known =
            services.iter().find(|s| s.methods().iter().any(|m| path.eq_ignore_ascii_case(m)));
        let Some(service) = known else {
            let text = format!("peelbox does not serve `{path}`");
            refuse(&mut respond, &Status::new(Code::Unimplemented, text));
            continue;
        };
        if active.load(Ordering::Acquire) >= CALLS_MAX {
            refuse(&mut respond, &Status::new(Code::ResourceExhausted, "too many calls at once"));
            continue;
        }
        serial += 1;
        let (service, active) = (Arc::clone(service), Arc::clone(&active));
        start_call(&driver, serial, service, request, respond, active, bulk.clone());
    }
}

fn start_call(
    driver: &Handle,
    serial: usize,
    service: Arc<dyn Service>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    active: Arc<AtomicUsize>,
    bulk: Cancel,
) {
    // The stream is gone: nobody is left to answer.
    let Ok(stream) = respond.send_response(headers(), false) else { return };
    let (parts, body) = request.into_parts();
    let mut call = Call {
        method: parts.uri.path().to_owned(),
        metadata: parts.headers,
        receiver: Some(Receiver::new(body, RECEIVE_LIMIT_BYTES).telling(BULK_BYTES, bulk)),
        sender: Sender::new(stream),
        driver: driver.clone(),
    };
    active.fetch_add(1, Ordering::AcqRel);
    let counter = Arc::clone(&active);
    let started = spawn(&format!("pbx-call-{serial}"), move || {
        let result = service.serve(&mut call);
        call.sender.finish(&result);
        counter.fetch_sub(1, Ordering::AcqRel);
    });
    if started.is_err() {
        // The dropped call has reset its stream.
        active.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `SERVING`, in one go and without a thread.
fn answer_health(respond: &mut SendResponse<Bytes>) {
    let answer = frame::encode(&HealthCheckResponse { status: ServingStatus::Serving.into() });
    // A stream that is gone needs no answer.
    if let Ok(mut stream) = respond.send_response(headers(), false)
        && stream.send_data(answer, false).is_ok()
    {
        drop(stream.send_trailers(Status::new(Code::Ok, "").to_trailers()));
    }
}

/// A status without messages: one HEADERS frame that ends the stream.
fn refuse(respond: &mut SendResponse<Bytes>, status: &Status) {
    let mut response = headers();
    response.headers_mut().extend(status.to_trailers());
    drop(respond.send_response(response, true));
}

fn headers() -> Response<()> {
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}
