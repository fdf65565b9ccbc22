//! How many header blocks a peer may send: `h2` keeps those of a call until somebody reads them.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Headers and trailers (RFC 9113, section 8.1); an answer of the kind 1xx would be another block each.
const BLOCKS_PER_CALL: usize = 2;
/// More than that: for a peer that sends a few answers of the kind 1xx.
const SPARE_BLOCKS: usize = 16;
/// RFC 9113, section 4.1.
const FRAME_HEAD_BYTES: usize = 9;
/// RFC 9113, section 6.2.
const HEADERS: u8 = 1;

/// What a client reads and writes; reading fails when more header blocks come than its calls can have.
///
/// Answers of the kind 1xx say nothing in gRPC, have no limit of their own, and pile up in a call that is not waited for
/// yet.
#[derive(Debug)]
pub(super) struct Limited<T> {
    io: T,
    calls: Arc<AtomicUsize>,
    blocks: Blocks,
}

impl<T> Limited<T> {
    /// `calls`: how many were begun.
    pub(super) fn new(io: T, calls: Arc<AtomicUsize>) -> Self {
        Self { io, calls, blocks: Blocks::default() }
    }
}

/// Counts header blocks in a stream of frames, however it is cut.
#[derive(Debug, Default)]
struct Blocks {
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    payload_left: usize,
    seen: usize,
}

impl Blocks {
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let passed = bytes.len().min(self.payload_left);
            self.payload_left -= passed;
            bytes = &bytes[passed..];
            let taken = bytes.len().min(FRAME_HEAD_BYTES - self.head_bytes);
            let (of_head, rest) = bytes.split_at(taken);
            self.head[self.head_bytes..][..taken].copy_from_slice(of_head);
            self.head_bytes += taken;
            bytes = rest;
            if self.head_bytes == FRAME_HEAD_BYTES {
                let [high, middle, low, kind, ..] = self.head;
                self.payload_left = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.seen += usize::from(kind == HEADERS);
                self.head_bytes = 0;
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Limited<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.blocks.read(&buf.filled()[before..]);
        let calls = self.calls.load(Ordering::Relaxed);
        if self.blocks.seen > calls.saturating_mul(BLOCKS_PER_CALL) + SPARE_BLOCKS {
            return Poll::Ready(Err(io::Error::other("more headers come than calls were made")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Limited<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_blocks_are_counted_however_the_bytes_are_cut() {
        let frame = |kind: u8, payload: &[u8]| {
            let length = (payload.len() as u32).to_be_bytes();
            [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
        };
        // A payload that looks like the head of a frame of headers.
        let bytes = [
            frame(HEADERS, b"abc"),
            frame(0, &[0, 0, 0, HEADERS, 0, 0, 0, 0, 1, 0, 0, 0, HEADERS]),
            frame(4, b""),
            frame(HEADERS, &[HEADERS; 300]),
        ]
        .concat();
        for size in 1..=bytes.len() {
            let mut blocks = Blocks::default();
            bytes.chunks(size).for_each(|piece| blocks.read(piece));
            assert_eq!(blocks.seen, 2, "pieces of {size}");
        }
    }
}
