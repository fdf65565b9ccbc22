//! The frames in which Docker Engine sends the output of a process without a terminal (Engine API, "Attach to a
//! container", section "Stream format").

use std::{io, sync::Arc};

use crate::transport::{CarrierEnded, Witness};

/// `[stream, 0, 0, 0, length as u32 big-endian]`
const HEADER_BYTES: usize = 8;

/// Takes the frames away and leaves what the process wrote to standard output.
#[derive(Debug)]
pub struct Demultiplexer {
    header: [u8; HEADER_BYTES],
    /// Bytes of `header` that are there.
    header_len: usize,
    /// Bytes of the frame's payload that are still to come.
    left: usize,
    /// Gets what is for the eye.
    witness: Arc<Witness>,
}

impl Demultiplexer {
    /// What comes on standard error is told to `witness`.
    pub fn new(witness: Arc<Witness>) -> Self {
        Self { header: [0; HEADER_BYTES], header_len: 0, left: 0, witness }
    }

    /// Moves the bytes of standard output in `buf` to its front and tells how many they are.
    ///
    /// # Errors
    /// A stream that does not exist, and an error of the engine itself, whose text is then told to the witness.
    pub fn strip(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut kept = 0;
        let mut at = 0;
        while at < buf.len() {
            if self.left == 0 {
                let n = (HEADER_BYTES - self.header_len).min(buf.len() - at);
                self.header[self.header_len..self.header_len + n].copy_from_slice(&buf[at..at + n]);
                self.header_len += n;
                at += n;
                if self.header_len < HEADER_BYTES {
                    break;
                }
                self.header_len = 0;
                let [stream, _, _, _, a, b, c, d] = self.header;
                if stream > SYSTEM_ERROR {
                    let text = format!("the engine sent a frame of the unknown stream {stream}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                continue;
            }
            let n = self.left.min(buf.len() - at);
            match self.header[0] {
                STDERR => self.witness.on_words(&buf[at..at + n]),
                SYSTEM_ERROR => {
                    self.witness.on_words(&buf[at..at + n]);
                    let ended = CarrierEnded { words: self.witness.words() };
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, ended));
                }
                // Standard input never comes back; Docker's own client takes it for output.
                _ => {
                    buf.copy_within(at..at + n, kept);
                    kept += n;
                }
            }
            self.left -= n;
            at += n;
        }
        Ok(kept)
    }
}

const STDERR: u8 = 2;
const SYSTEM_ERROR: u8 = 3;

/// Takes `data` for what an engine sends; must not panic, nor give out more than came in.
#[doc(hidden)]
pub fn fuzz_multiplexed(data: &[u8]) {
    let mut frames = Demultiplexer::new(Arc::default());
    for piece in data.chunks(7) {
        let mut buf = piece.to_vec();
        match frames.strip(&mut buf) {
            Ok(n) => assert!(n <= piece.len()),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn frame(stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![stream, 0, 0, 0];
        frame.extend((payload.len() as u32).to_be_bytes());
        frame.extend(payload);
        frame
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_bytes() {
        let parts =
            [frame(1, b"PRI * "), frame(2, b"a warning"), frame(1, b""), frame(1, b"HTTP/2.0")];
        let whole = parts.concat();
        for size in 1..=whole.len() {
            let witness = Arc::new(Witness::default());
            let mut frames = Demultiplexer::new(Arc::clone(&witness));
            let mut out: Vec<u8> = Vec::new();
            for piece in whole.chunks(size) {
                let mut buf = piece.to_vec();
                let n = frames.strip(&mut buf).unwrap();
                out.extend(&buf[..n]);
            }
            assert_eq!(&out[..], b"PRI * HTTP/2.0", "pieces of {size}");
            assert_eq!(witness.words(), "a warning");
        }
    }

    #[test]
    fn an_error_of_the_engine_ends_the_stream_and_is_kept() {
        let witness = Arc::new(Witness::default());
        let mut frames = Demultiplexer::new(Arc::clone(&witness));
        frames.strip(&mut frame(3, b"container gone")).unwrap_err();
        assert_eq!(witness.words(), "container gone");
        assert!(frames.strip(&mut frame(9, b"x")).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        mutate(&frame(1, b"hello"), b"\0\x01\x02\x03\xff", 1000, fuzz_multiplexed);
    }
}
