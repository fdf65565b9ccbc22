//! The two halves of one gRPC stream, alike for calls made and calls served.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use prost::Message;

use crate::grpc::{
    Cancel, Code, Status, frame,
    io::{block_on, block_on_until},
};

/// Messages of the peer, cut out of DATA frames.
#[derive(Debug)]
pub struct Receiver {
    stream: RecvStream,
    buf: BytesMut,
    limit: usize,
    /// Thrown when so many bytes more were read.
    bulk: Option<(usize, Cancel)>,
}

impl Receiver {
    /// Reads messages of at most `limit` bytes.
    pub fn new(stream: RecvStream, limit: usize) -> Self {
        Self { stream, buf: BytesMut::new(), limit, bulk: None }
    }

    /// Throws `bulk` once `bytes` were read.
    #[must_use]
    pub fn telling(self, bytes: usize, bulk: Cancel) -> Self {
        Self { bulk: Some((bytes, bulk)), ..self }
    }

    fn count(&mut self, bytes: usize) {
        if let Some((left, bulk)) = &mut self.bulk {
            match left.checked_sub(bytes) {
                Some(rest) if rest > 0 => *left = rest,
                _ => {
                    bulk.cancel();
                    self.bulk = None;
                }
            }
        }
    }

    /// The next message; `None` at the end of the peer's data.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        loop {
            match frame::split_message(&mut self.buf, self.limit) {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(e) => return Poll::Ready(Some(Err(Status::protocol(e.to_string())))),
            }
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // At once: unreleased bytes stall the peer, on both layers.
                    if let Err(e) = self.stream.flow_control().release_capacity(data.len()) {
                        return Poll::Ready(Some(Err(Status::from_h2(e))));
                    }
                    self.count(data.len());
                    self.buf.extend_from_slice(&data);
                }
                Some(Err(e)) => return Poll::Ready(Some(Err(Status::from_h2(e)))),
                None if self.buf.is_empty() => return Poll::Ready(None),
                None => {
                    self.buf.clear();
                    let message = frame::FrameError::Truncated.to_string();
                    return Poll::Ready(Some(Err(Status::protocol(message))));
                }
            }
        }
    }

    /// The trailers after the end of the data; empty when the peer sent none.
    pub fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<HeaderMap, Status>> {
        self.stream
            .poll_trailers(cx)
            .map(|t| t.map(Option::unwrap_or_default).map_err(Status::from_h2))
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// The peer broke off or sent what is no message.
    pub fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        block_on(poll_fn(|cx| self.poll_message(cx))).transpose()
    }

    /// Waits for the one message of a unary call.
    ///
    /// # Errors
    /// As [`receive`](Self::receive); also when the message is missing or not what it should be.
    pub fn only<M: Message + Default>(&mut self) -> Result<M, Status> {
        let raw = self.receive()?.ok_or_else(|| Status::protocol("the request has no message"))?;
        M::decode(raw).map_err(|e| Status::new(Code::InvalidArgument, e.to_string()))
    }
}

/// Our bytes to the peer. One owner: `h2` streams are not for sharing.
#[derive(Debug)]
pub struct Sender {
    stream: SendStream<Bytes>,
}

impl Sender {
    /// Sends on `stream`.
    pub fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream }
    }

    /// Hands over as much of `frames` as the windows and the send buffer allow; ready when all of it is.
    ///
    /// `h2` buffers without bound what is sent without capacity, so nothing ever is.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut Bytes,
    ) -> Poll<Result<(), Status>> {
        self.poll_send_ending(cx, frames, false)
    }

    fn poll_send_ending(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut Bytes,
        is_last: bool,
    ) -> Poll<Result<(), Status>> {
        while !frames.is_empty() {
            self.stream.reserve_capacity(frames.len());
            let mut room = self.stream.capacity();
            if room == 0 {
                // Reports changes of the capacity, not its level, hence the look before.
                room = match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(room)) => room,
                    Some(Err(e)) => return Poll::Ready(Err(Status::from_h2(e))),
                    None => {
                        return Poll::Ready(Err(Status::new(
                            Code::Canceled,
                            "the stream is closed",
                        )));
                    }
                };
            }
            let piece = frames.split_to(room.min(frames.len()));
            if !piece.is_empty() {
                let ends = is_last && frames.is_empty();
                self.stream.send_data(piece, ends).map_err(Status::from_h2)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until `frames` (whole messages, prefixes included) are handed over.
    ///
    /// # Errors
    /// The peer closed or reset the stream.
    pub fn send(&mut self, mut frames: Bytes) -> Result<(), Status> {
        block_on(poll_fn(|cx| self.poll_send(cx, &mut frames)))
    }

    /// Sends the only message of a call and ends our half; given up at `deadline` or when `cancel` is thrown.
    pub(super) fn send_last(
        &mut self,
        mut frames: Bytes,
        deadline: Option<Instant>,
        cancel: &Cancel,
    ) -> Result<(), Status> {
        let sending = poll_fn(|cx| self.poll_send_ending(cx, &mut frames, true));
        within(sending, deadline, cancel)?
    }

    /// Sends one message.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn message(&mut self, message: &impl Message) -> Result<(), Status> {
        self.send(frame::encode(message))
    }

    /// Says that no more messages come (a client's half-close).
    pub fn close(&mut self) {
        // A stream that is gone already needs no end.
        drop(self.stream.send_data(Bytes::new(), true));
    }

    /// Ends a served call.
    pub fn finish(&mut self, result: &Result<(), Status>) {
        let ok = Status::new(Code::Ok, "");
        let status = result.as_ref().err().unwrap_or(&ok);
        // A stream that is gone already needs no end.
        drop(self.stream.send_trailers(status.to_trailers()));
    }

    /// Ends the stream at once.
    pub fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }
}

/// Waits for `future`, at most until `deadline`, and not when `cancel` is thrown.
pub(super) fn within<F: Future>(
    future: F,
    deadline: Option<Instant>,
    cancel: &Cancel,
) -> Result<F::Output, Status> {
    match block_on_until(cancel.guard(future), deadline) {
        Some(Some(value)) => Ok(value),
        Some(None) => Err(Status::new(Code::Canceled, "cancelled")),
        None => Err(Status::new(Code::DeadlineExceeded, "the daemon did not answer in time")),
    }
}
