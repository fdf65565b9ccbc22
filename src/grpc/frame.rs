//! The five bytes before every gRPC message: a compression flag and a big-endian length. Pure.

use std::fmt;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;

/// Length of the prefix.
pub const PREFIX_BYTES: usize = 5;

/// Why bytes of the peer are no gRPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The peer compressed although nothing was agreed on.
    Compressed,
    /// The announced length is above the limit.
    TooLarge {
        /// Announced.
        len: usize,
        /// Allowed.
        limit: usize,
    },
    /// The stream ended inside a message.
    Truncated,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed => {
                f.write_str("the peer sent a compressed message, none was agreed on")
            }
            Self::TooLarge { len, limit } => {
                write!(f, "the peer sent a message of {len} bytes, the limit is {limit}")
            }
            Self::Truncated => f.write_str("the stream ended inside a message"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Takes one message off the front of `buf`; `None` asks for more bytes.
pub fn split_message(buf: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(&[flag, a, b, c, d]) = buf.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    if flag != 0 {
        return Err(FrameError::Compressed);
    }
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if len > limit {
        return Err(FrameError::TooLarge { len, limit });
    }
    if buf.len() - PREFIX_BYTES < len {
        return Ok(None);
    }
    buf.advance(PREFIX_BYTES);
    Ok(Some(buf.split_to(len).freeze()))
}

/// A message with its prefix.
///
/// Messages are bounded by their makers; one above 4 GiB is a fault of the program.
pub fn encode(message: &impl Message) -> Bytes {
    let len = message.encoded_len();
    let mut buf = BytesMut::with_capacity(PREFIX_BYTES + len);
    buf.put_u8(0);
    buf.put_u32(u32::try_from(len).expect("messages are bounded far below 4 GiB"));
    message.encode(&mut buf).expect("the buffer has room for the whole message");
    buf.freeze()
}

#[doc(hidden)]
pub fn fuzz_frame(data: &[u8]) {
    let mut buf = BytesMut::from(data);
    while let Ok(Some(message)) = split_message(&mut buf, 1 << 10) {
        assert!(message.len() <= 1 << 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_message_waits_until_the_last_byte_of_the_body() {
        let whole = [0, 0, 0, 0, 3, b'a', b'b', b'c'];
        for cut in 0..whole.len() {
            assert_eq!(
                split_message(&mut BytesMut::from(&whole[..cut]), 64),
                Ok(None),
                "cut at {cut}"
            );
        }
        let got = split_message(&mut BytesMut::from(&whole[..]), 64);
        assert_eq!(got, Ok(Some(Bytes::from_static(b"abc"))));
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_messages() {
        let stream: Vec<u8> =
            (0..20_u8).flat_map(|n| [vec![0, 0, 0, 0, n], vec![n; n as usize]].concat()).collect();
        for step in 1..40 {
            let mut buf = BytesMut::new();
            let mut lengths = Vec::new();
            for piece in stream.chunks(step) {
                buf.extend_from_slice(piece);
                while let Some(message) = split_message(&mut buf, 64).unwrap() {
                    lengths.push(message.len());
                }
            }
            assert_eq!(lengths, (0..20).collect::<Vec<_>>(), "pieces of {step}");
        }
    }

    #[test]
    fn limits_are_checked_before_the_body_arrives() {
        let too_large = split_message(&mut BytesMut::from(&[0, 0, 0, 0, 9][..]), 8);
        assert_eq!(too_large, Err(FrameError::TooLarge { len: 9, limit: 8 }));
        let compressed = split_message(&mut BytesMut::from(&[1, 0, 0, 0, 0][..]), 8);
        assert_eq!(compressed, Err(FrameError::Compressed));
    }

    #[test]
    fn hostile_prefixes_do_not_panic() {
        for first in 0..=255_u8 {
            fuzz_frame(&[first, 255, 255, 255, 255, 1]);
            fuzz_frame(&[0, 0, 0, first, first, 1, 2, 3]);
        }
    }
}
