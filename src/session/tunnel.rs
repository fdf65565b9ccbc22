//! A byte stream inside a gRPC stream: `Control/Session` carries a whole HTTP/2 connection in `BytesMessage`s.
//!
//! Message boundaries mean nothing there, so what the nested connection writes is packed into messages as large as
//! its flushes allow: one large message costs the daemon much less than many small ones.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    grpc::{
        Status,
        client::Responses,
        stream::{Receiver, Sender},
    },
    pb::control::BytesMessage,
};

/// One message is sealed when it holds so many bytes; larger ones gained nothing in trials.
const MESSAGE_BYTES: usize = 256 << 10;
/// Room for the gRPC prefix (5), the field's key (1) and its length (at most 5).
const HEADROOM_BYTES: usize = 11;

/// Where the tunnel's bytes come from.
#[derive(Debug)]
pub enum Source {
    /// We opened the stream.
    Client(Responses),
    /// The peer did (a test's daemon).
    Server(Receiver),
}

impl Source {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        match self {
            Self::Client(responses) => responses.poll_message(cx),
            Self::Server(receiver) => receiver.poll_message(cx),
        }
    }
}

/// The tunnel as a byte stream for `h2`.
#[derive(Debug)]
pub struct Tunnel {
    source: Source,
    sender: Sender,
    /// Received, not yet read.
    inbound: Bytes,
    /// Written, not yet sealed; starts with the headroom.
    outbound: BytesMut,
    /// Sealed, not yet taken by the stream.
    sealed: Bytes,
}

impl Tunnel {
    /// Joins the two halves of a stream.
    pub fn new(source: Source, sender: Sender) -> Self {
        Self {
            source,
            sender,
            inbound: Bytes::new(),
            outbound: empty_message(),
            sealed: Bytes::new(),
        }
    }

    /// Makes a message of what was written.
    fn seal(&mut self) {
        let mut whole = std::mem::replace(&mut self.outbound, empty_message());
        let data_len = whole.len() - HEADROOM_BYTES;
        let key_and_len = 1 + prost::length_delimiter_len(data_len);
        let start = HEADROOM_BYTES - 5 - key_and_len;
        let mut head = &mut whole[start..HEADROOM_BYTES];
        head.put_u8(0);
        head.put_u32((key_and_len + data_len) as u32);
        head.put_u8(BYTES_FIELD_KEY);
        prost::encode_length_delimiter(data_len, &mut head)
            .expect("the headroom was measured for it");
        whole.advance(start);
        self.sealed = whole.freeze();
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.poll_send(cx, &mut self.sealed).map_err(io::Error::other)
    }
}

/// Field 1, length-delimited.
const BYTES_FIELD_KEY: u8 = 0x0a;

fn empty_message() -> BytesMut {
    let mut message = BytesMut::with_capacity(4 << 10);
    message.put_bytes(0, HEADROOM_BYTES);
    message
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.inbound.is_empty() {
            match ready!(self.source.poll_message(cx)) {
                Some(Ok(raw)) => {
                    self.inbound = BytesMessage::decode(raw).map_err(io::Error::other)?.data;
                }
                Some(Err(status)) => return Poll::Ready(Err(io::Error::other(status))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = buf.remaining().min(self.inbound.len());
        buf.put_slice(&self.inbound.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.outbound.len() >= MESSAGE_BYTES {
            ready!(self.poll_send(cx))?;
            self.seal();
        }
        let n = buf.len().min(MESSAGE_BYTES);
        self.outbound.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        for buf in bufs.iter().filter(|b| !b.is_empty()) {
            match self.as_mut().poll_write(cx, buf) {
                Poll::Ready(Ok(n)) => written += n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending if written == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if self.outbound.len() == HEADROOM_BYTES {
                return Poll::Ready(Ok(()));
            }
            self.seal();
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.sender.close();
        Poll::Ready(Ok(()))
    }
}
