//! Calls we make: unary, server-streaming and two-way, all blocking the thread that makes them.

use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::grpc::{
    Cancel, Code, RECEIVE_LIMIT_BYTES, SEND_LIMIT_BYTES, Status,
    driver::Handle,
    frame,
    headers::Limited,
    stream::{Receiver, Sender, within},
};
use crate::terminal_text::one_line;

/// Receive window of one stream, in bytes; a daemon's exporter then never waits for us.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// Receive window of the connection, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// Bytes `h2` may hold back per stream.
pub(super) const SEND_BUFFER_BYTES: usize = 1 << 20;
/// Longest headers or trailers that are taken: the details of a failure come in them.
const HEADER_LIST_BYTES_MAX: u32 = 1 << 20;
/// `h2` closes a connection over many unread small DATA frames, and a daemon asks for each file with one of about
/// twenty bytes: enough for two million of them (`h2` 0.4.18, `data_frame_budget`).
pub(super) const DATA_FRAME_BUDGET: usize = 512 << 20;
const _: () = assert!(
    SEND_BUFFER_BYTES <= SEND_LIMIT_BYTES && STREAM_WINDOW_BYTES <= CONNECTION_WINDOW_BYTES
);

/// A connection to a gRPC server; clones share it.
#[derive(Clone, Debug)]
pub struct Channel {
    requests: Arc<SendRequest<Bytes>>,
    authority: HeaderValue,
    closing: Cancel,
    /// How many were begun.
    calls: Arc<AtomicUsize>,
}

/// What goes with a call besides its message.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Request headers of the caller.
    pub metadata: HeaderMap,
    /// How long the whole call may take; also told to the server (`grpc-timeout`).
    pub timeout: Option<Duration>,
    /// Ends the call from another thread.
    pub cancel: Cancel,
}

impl Channel {
    /// Speaks HTTP/2 over `io`; returns when the preface is on its way.
    ///
    /// # Errors
    /// The connection broke at once, or nothing was written for `timeout`.
    pub fn start<T>(
        driver: &Handle,
        io: T,
        authority: &str,
        timeout: Duration,
    ) -> Result<Self, Status>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self::start_with_window(driver, io, authority, timeout, STREAM_WINDOW_BYTES)
    }

    /// As [`start`](Self::start), granting the peer `window_bytes` on each stream.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_window<T>(
        driver: &Handle,
        io: T,
        authority: &str,
        timeout: Duration,
        window_bytes: u32,
    ) -> Result<Self, Status>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (tx, rx) = crossbeam_channel::bounded(1);
        let closing = Cancel::default();
        let heard = closing.clone();
        let calls = Arc::<AtomicUsize>::default();
        let io = Limited::new(io, Arc::clone(&calls));
        driver.spawn(async move {
            let mut builder = h2::client::Builder::new();
            builder
                .initial_window_size(window_bytes)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_send_buffer_size(SEND_BUFFER_BYTES)
                .max_header_list_size(HEADER_LIST_BYTES_MAX)
                .data_frame_budget(DATA_FRAME_BUDGET)
                .enable_push(false);
            let (requests, mut connection) = match builder.handshake(io).await {
                Ok((requests, connection)) => (Arc::new(requests), connection),
                Err(e) => return drop(tx.send(Err(e))),
            };
            // Held weakly: a connection ends by itself when nobody can make calls any more.
            let usable = Arc::downgrade(&requests);
            drop(tx.send(Ok(requests)));
            // How it ends is told to every stream on it, but a GOAWAY lets those that are open live on.
            let connection = poll_fn(|cx| {
                let end = Pin::new(&mut connection).poll(cx);
                if !heard.is_cancelled() && (end.is_ready() || is_closed_for_calls(&usable, cx)) {
                    heard.cancel();
                }
                end
            });
            drop(connection.await);
        });
        let requests = rx
            .recv_timeout(timeout)
            .map_err(|_| Status::new(Code::DeadlineExceeded, "the peer took no bytes"))?
            .map_err(Status::from_h2)?;
        let authority = HeaderValue::from_str(authority)
            .unwrap_or_else(|_| HeaderValue::from_static("localhost"));
        Ok(Self { requests, authority, closing, calls })
    }

    /// Thrown when the peer takes no further calls: it is shutting down (GOAWAY), or gone.
    pub fn closing(&self) -> &Cancel {
        &self.closing
    }

    /// Opens a stream; messages may be sent and received from now on.
    ///
    /// # Errors
    /// The connection is gone, or the call was cancelled while it waited for a free stream.
    pub fn open(
        &self,
        path: &'static str,
        options: CallOptions,
    ) -> Result<(Sender, Responses), Status> {
        let deadline = options.timeout.map(|t| Instant::now() + t);
        let mut requests = SendRequest::clone(&self.requests);
        within(poll_fn(|cx| requests.poll_ready(cx)), deadline, &options.cancel)?
            .map_err(Status::from_h2)?;
        let request = self.http_request(path, &options)?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let (response, stream) = requests.send_request(request, false).map_err(Status::from_h2)?;
        let responses = Responses {
            state: State::Headers(response),
            headers: HeaderMap::new(),
            deadline,
            cancel: options.cancel,
        };
        Ok((Sender::new(stream), responses))
    }

    /// Sends a call with one message; its answers can be waited for later.
    ///
    /// # Errors
    /// As [`open`](Self::open); also a message that no daemon takes.
    pub fn request(
        &self,
        path: &'static str,
        message: &impl Message,
        options: CallOptions,
    ) -> Result<Answers, Status> {
        self.send(path, frames(path, message)?, options)
    }

    fn send(
        &self,
        path: &'static str,
        frames: Bytes,
        options: CallOptions,
    ) -> Result<Answers, Status> {
        let (mut sender, responses) = self.open(path, options)?;
        // The peer may have ended the call already: its answer says more than our broken write.
        drop(sender.send_last(frames, responses.deadline, &responses.cancel));
        Ok(Answers { responses, _sender: sender })
    }

    /// Sends a call with one message and one answer, which can be waited for later.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn call<R: Message + Default>(
        &self,
        path: &'static str,
        message: &impl Message,
        options: CallOptions,
    ) -> Result<Pending<R>, Status> {
        let frames = frames(path, message)?;
        let again =
            Again { channel: self.clone(), path, frames: frames.clone(), options: options.clone() };
        let answers = self.send(path, frames, options)?;
        Ok(Pending { answers, message: None, again: Some(again), answer: PhantomData })
    }

    /// Calls and waits.
    ///
    /// # Errors
    /// How the call ended, or why it could not be made.
    pub fn unary<R: Message + Default>(
        &self,
        path: &'static str,
        message: &impl Message,
        options: CallOptions,
    ) -> Result<R, Status> {
        self.call(path, message, options)?.wait()
    }

    fn http_request(
        &self,
        path: &'static str,
        options: &CallOptions,
    ) -> Result<Request<()>, Status> {
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(http::uri::Scheme::HTTP);
        uri.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
        uri.authority = http::uri::Authority::try_from(self.authority.as_bytes()).ok();
        let uri = Uri::from_parts(uri).map_err(|e| Status::protocol(e.to_string()))?;
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = options.metadata.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        let agent = concat!("peelbox/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        if let Some(timeout) = options.timeout {
            headers.insert("grpc-timeout", timeout_header(timeout));
        }
        Ok(request)
    }
}

/// `h2` tells of a GOAWAY whoever wants to make a call, and nobody else.
fn is_closed_for_calls(requests: &Weak<SendRequest<Bytes>>, cx: &mut Context<'_>) -> bool {
    let Some(requests) = requests.upgrade() else { return false };
    let mut requests = SendRequest::clone(&requests);
    matches!(requests.poll_ready(cx), Poll::Ready(Err(_)))
}

/// A message as it travels.
fn frames(path: &str, message: &impl Message) -> Result<Bytes, Status> {
    let frames = frame::encode(message);
    if frames.len() > SEND_LIMIT_BYTES {
        let text = format!(
            "the message for `{path}` has {} bytes, the limit is {SEND_LIMIT_BYTES}",
            frames.len()
        );
        return Err(Status::new(Code::ResourceExhausted, text));
    }
    Ok(frames)
}

/// At most eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn timeout_header(timeout: Duration) -> HeaderValue {
    const DIGITS_MAX: u128 = 99_999_999;
    let text = if timeout.as_millis() <= DIGITS_MAX {
        format!("{}m", timeout.as_millis().max(1))
    } else {
        format!("{}S", u128::from(timeout.as_secs()).min(DIGITS_MAX))
    };
    HeaderValue::from_str(&text).expect("digits and a letter are a header value")
}

/// The answers to a call with one message.
#[derive(Debug)]
pub struct Answers {
    responses: Responses,
    // Dropped early it would reset the call.
    _sender: Sender,
}

impl Answers {
    /// As [`Responses::receive`].
    ///
    /// # Errors
    /// How the call ended.
    pub fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        self.responses.receive()
    }

    /// As [`Responses::headers`].
    pub fn headers(&self) -> &HeaderMap {
        self.responses.headers()
    }
}

/// A call whose answer has not been waited for.
#[derive(Debug)]
pub struct Pending<R> {
    answers: Answers,
    message: Option<Bytes>,
    /// How to make the call once more; `None` when that was done.
    again: Option<Again>,
    answer: PhantomData<R>,
}

/// A call as it was made.
#[derive(Debug)]
struct Again {
    channel: Channel,
    path: &'static str,
    frames: Bytes,
    options: CallOptions,
}

impl<R: Message + Default> Pending<R> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// How the call ended.
    pub fn wait(mut self) -> Result<R, Status> {
        let deadline = self.answers.responses.deadline;
        self.wait_until(deadline, &Cancel::default())
            .unwrap_or_else(|| Err(Status::new(Code::DeadlineExceeded, "no answer in time")))
    }

    /// Waits for the answer until `deadline` at most, or until `pause` is thrown; `None`: it has not come, and can be
    /// waited for on.
    ///
    /// A call that the peer refused before looking at it is made once more (RFC 9113, section 8.7).
    pub fn wait_until(
        &mut self,
        deadline: Option<Instant>,
        pause: &Cancel,
    ) -> Option<Result<R, Status>> {
        loop {
            let responses = &mut self.answers.responses;
            let cancel = responses.cancel.clone();
            let next = pause.guard(poll_fn(|cx| responses.poll_message(cx)));
            let next = match within(next, deadline, &cancel) {
                Ok(None) => return None,
                Ok(Some(next)) => Ok(next),
                Err(status) => Err(status),
            };
            match next {
                Ok(Some(Ok(raw))) => self.message = self.message.take().or(Some(raw)),
                Ok(Some(Err(status))) => match self.again.take() {
                    Some(again) if status.is_unprocessed => match again.make() {
                        Ok(answers) => self.answers = answers,
                        Err(status) => return Some(Err(status)),
                    },
                    _ => return Some(Err(status)),
                },
                Ok(None) => {
                    let Some(raw) = self.message.take() else {
                        return Some(Err(Status::protocol("the daemon answered with no message")));
                    };
                    return Some(R::decode(raw).map_err(|e| Status::protocol(e.to_string())));
                }
                Err(status) if status.code == Code::DeadlineExceeded => return None,
                Err(status) => {
                    self.answers.responses.state = State::Ended;
                    return Some(Err(status));
                }
            }
        }
    }
}

impl Again {
    fn make(self) -> Result<Answers, Status> {
        self.channel.send(self.path, self.frames, self.options)
    }
}

/// The answers of one call, and at their end its status.
#[derive(Debug)]
pub struct Responses {
    state: State,
    headers: HeaderMap,
    deadline: Option<Instant>,
    cancel: Cancel,
}

#[derive(Debug)]
enum State {
    Headers(ResponseFuture),
    Messages(Receiver),
    Ended,
}

impl Responses {
    /// The next message; `None` when the call ended well.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        loop {
            match &mut self.state {
                State::Headers(response) => {
                    let response = match ready!(Pin::new(response).poll(cx)) {
                        Ok(response) => response,
                        Err(e) => return self.end(Err(Status::from_h2(e))),
                    };
                    let (parts, body) = response.into_parts();
                    if let Err(status) = check_headers(&parts, body.is_end_stream()) {
                        return self.end(status);
                    }
                    self.headers = parts.headers;
                    self.state = State::Messages(Receiver::new(body, RECEIVE_LIMIT_BYTES));
                }
                State::Messages(receiver) => {
                    if let Some(message) = ready!(receiver.poll_message(cx)) {
                        if message.is_err() {
                            self.state = State::Ended;
                        }
                        return Poll::Ready(Some(message));
                    }
                    let status = match ready!(receiver.poll_trailers(cx)) {
                        Ok(trailers) => Status::from_trailers(&trailers).unwrap_or_else(|| {
                            Err(Status::new(Code::Unavailable, "the stream ended without a status"))
                        }),
                        Err(e) => Err(e),
                    };
                    return self.end(status);
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Waits for the next message; `None` when the call ended well.
    ///
    /// # Errors
    /// How the call ended otherwise, `Canceled` or `DeadlineExceeded` when we gave it up.
    pub fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        let (deadline, cancel) = (self.deadline, self.cancel.clone());
        let result = within(poll_fn(|cx| self.poll_message(cx)), deadline, &cancel);
        if result.is_err() {
            // Dropping the halves resets the stream: the daemon stops working for it.
            self.state = State::Ended;
        }
        result?.transpose()
    }

    /// Response headers; empty until the first message came.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn end(&mut self, status: Result<(), Status>) -> Poll<Option<Result<Bytes, Status>>> {
        self.state = State::Ended;
        Poll::Ready(status.err().map(Err))
    }
}

/// `Err` holds how the call ended when these headers are all there is.
fn check_headers(parts: &http::response::Parts, ended: bool) -> Result<(), Result<(), Status>> {
    if let Some(status) = Status::from_trailers(&parts.headers) {
        return Err(status);
    }
    if parts.status != StatusCode::OK {
        let text = format!("the peer answered HTTP {}: it does not speak gRPC here", parts.status);
        return Err(Err(Status::new(Code::from_http(parts.status), text)));
    }
    let content_type =
        parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !content_type.starts_with(b"application/grpc") {
        let text = format!(
            "the peer answered with `{}`, not gRPC",
            one_line(&String::from_utf8_lossy(content_type))
        );
        return Err(Err(Status::new(Code::Unknown, text)));
    }
    if ended {
        return Err(Err(Status::new(Code::Unavailable, "the stream ended without a status")));
    }
    Ok(())
}
