//! A directory → ordered stats and file contents, as fsutil demands.
//!
//! Serves `moby.filesync.v1.FileSync/DiffCopy` as the sending side. The daemon gets a STAT for
//! every entry of the tree, in order; it asks for the files it does not have yet, by their place
//! in that order; it gets their data; then both sides say FIN.
//!
//! What decides: [`Request`]. What goes out: [`Sink`]. What comes in:
//! [`Inbox`]. All of it together: [`send`].

mod buffers;
mod data;
mod error;
mod expression;
mod filter;
mod follow;
mod gopath;
mod ignore;
mod inbox;
mod pattern;
mod program;
mod request;
mod root;
mod shared;
mod step;
mod table;
mod transfer;
mod walk;
mod wire;
mod xattr;

use std::{error::Error, fmt::Write, sync::atomic::AtomicU64};

use bytes::Bytes;

pub use self::{
    error::TransferError,
    ignore::{IgnoreError, ignore_patterns},
    inbox::{Inbox, fuzz_packet},
    pattern::{PatternError, fuzz_pattern},
    request::{MetadataError, Request},
    root::Root,
};
use self::{filter::Filter, shared::Transfer};

/// Small messages are collected up to this size: half the processor time of one message each.
pub const BATCH_BYTES: usize = 64 << 10;

/// Data of large files goes in messages of about this size: a third faster than 32 KiB, while
/// 1 MiB gains nothing more.
pub const CHUNK_BYTES: usize = 256 << 10;

/// No message is larger: BuildKit before 0.13 takes 4 MiB.
pub const MESSAGE_BYTES_MAX: usize = 3 << 20;

/// An error text longer than this is cut.
const ERROR_TEXT_BYTES_MAX: usize = 4 << 10;

/// Where finished gRPC frames go.
pub trait Sink: Sync {
    /// Sends length-prefixed messages, several back to back; waits while the receiver is slow.
    ///
    /// Called from two threads; the frames of one call must stay together. At most
    /// [`BATCH_BYTES`], or one message of at most [`MESSAGE_BYTES_MAX`]; data of large files comes
    /// in slightly more than [`CHUNK_BYTES`]. Buffers are used again once `frames` is dropped.
    ///
    /// # Errors
    /// If nothing can be sent any more.
    fn send(&self, frames: Bytes) -> Result<(), SinkClosed>;
}

/// A [`Sink`] that takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkClosed;

/// What was done so far; read by the progress printer while transfers run.
#[derive(Debug, Default)]
pub struct Counters {
    /// Entries announced.
    pub entries: AtomicU64,
    /// Bytes read from files.
    pub bytes_read: AtomicU64,
    /// Files the daemon asked for and a thread has begun to send.
    pub requested: AtomicU64,
    /// Bytes handed to the sink, framing included.
    pub bytes_sent: AtomicU64,
}

/// Serves one DiffCopy call to its end, on the calling thread and at most one more.
///
/// After `Ok` the stream is to be closed with status 0. After an error, [`error_frame`] and
/// another status are to be sent, and the error kept: the daemon will only say `context canceled`.
///
/// # Errors
/// The first cause; the end of the stream or a closed sink only if there is no other.
pub fn send(
    root: &Root,
    request: &Request,
    inbox: &Inbox,
    sink: &dyn Sink,
    counters: &Counters,
) -> Result<(), TransferError> {
    let include = follow::includes(root, inbox, &request.include, &request.follow_paths)?;
    let filter = Filter::new(&include, &request.exclude)?;
    Transfer::new(root, inbox, sink, counters).run(&filter)
}

/// The fsutil ERR packet that tells the daemon why a transfer failed, as a gRPC frame.
pub fn error_frame(error: &TransferError) -> Bytes {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        // Writing to a String cannot fail.
        write!(text, ": {source}").unwrap_or_default();
        cause = source.source();
    }
    let end = (0..=text.len().min(ERROR_TEXT_BYTES_MAX)).rfind(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or_default());
    wire::err_frame(&text)
}

#[cfg(test)]
mod receiver;

#[cfg(test)]
mod tests;
