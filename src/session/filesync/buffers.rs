//! Buffers for messages on their way out.

use bytes::{Bytes, BytesMut};

/// Buffers of one thread that may be on their way out at the same time.
const LENT_MAX: usize = 4;

/// Buffers of one size that come back once they were sent, so that none is allocated per batch.
pub(super) struct Buffers {
    bytes: usize,
    lent: Vec<Bytes>,
}

impl Buffers {
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes, lent: Vec::new() }
    }

    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let back = self.lent.iter().position(Bytes::is_unique);
        let back = back.and_then(|at| self.lent.swap_remove(at).try_into_mut().ok());
        match back {
            Some(mut buffer) => {
                // Before it becomes a Vec, so that there is nothing to copy.
                BytesMut::clear(&mut buffer);
                Vec::from(buffer)
            }
            None => Vec::with_capacity(self.bytes),
        }
    }

    /// Freezes a full buffer, to be taken again when the receiver has dropped it.
    pub(super) fn lend(&mut self, full: Vec<u8>) -> Bytes {
        let frames = Bytes::from(full);
        if self.lent.len() == LENT_MAX {
            self.lent.swap_remove(0);
        }
        self.lent.push(frames.clone());
        frames
    }
}
