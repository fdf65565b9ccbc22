//! Layers as the tars that they are: gzip, zstd, or nothing around them.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{
    FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use super::{Piece, PieceReader, tar};

/// How data that begins so is compressed.
pub(super) fn compression(magic: &[u8]) -> Option<&'static str> {
    match magic {
        [0x1F, 0x8B, ..] => Some("gzip"),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Some("zstd"),
        // A frame of zstd that is skipped, as layers of eStargz' kin may begin with.
        [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Some("zstd"),
        [0x42, 0x5A, 0x68, ..] => Some("bzip2"),
        [0xFD, 0x37, 0x7A, 0x58, ..] => Some("xz"),
        _ => None,
    }
}

/// A layer without its compression, as long as it is not longer than a limit.
pub(super) struct Layer {
    body: Body,
    bytes_left: u64,
}

enum Body {
    Plain(PieceReader),
    Gzip(Box<MultiGzDecoder<io::BufReader<PieceReader>>>),
    Zstd(Box<Zstd>),
}

impl Layer {
    /// Opens what a blob holds; how it is compressed is told from its first bytes.
    pub(super) fn open(blob: &Piece, bytes_max: u64) -> io::Result<Self> {
        let mut magic = [0; 4];
        let filled = super::ReadAt::read_at(blob, 0, &mut magic)?;
        let body = match compression(&magic[..filled]) {
            None => Body::Plain(blob.reader()),
            Some("gzip") => {
                Body::Gzip(Box::new(MultiGzDecoder::new(io::BufReader::new(blob.reader()))))
            }
            Some("zstd") => Body::Zstd(Box::new(Zstd::new(blob.reader()))),
            Some(other) => {
                return Err(io::Error::other(format!("it is compressed with {other}")));
            }
        };
        Ok(Self { body, bytes_left: bytes_max })
    }

    /// Whether its content lies in the image file as it is.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.body, Body::Plain(_))
    }
}

impl Read for Layer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.body {
            Body::Plain(reader) => reader.read(buf)?,
            Body::Gzip(reader) => reader.read(buf)?,
            Body::Zstd(reader) => reader.read(buf)?,
        };
        self.bytes_left = self
            .bytes_left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it is longer than the layers of any image"))?;
        Ok(count)
    }
}

impl tar::Source for Layer {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if let Body::Plain(reader) = &mut self.body {
            return reader.skip(bytes);
        }
        let mut buf =
            vec![0; super::BUFFER_BYTES.min(usize::try_from(bytes).unwrap_or(usize::MAX))];
        let mut left = bytes;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            match self.read(&mut buf[..wanted])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => left -= count as u64,
            }
        }
        Ok(())
    }
}

/// The frames of a zstd stream, one after the other.
struct Zstd {
    source: PieceReader,
    decoder: FrameDecoder,
    is_in_frame: bool,
}

impl Zstd {
    fn new(source: PieceReader) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES_MAX);
        Self { source, decoder, is_in_frame: false }
    }

    /// Goes into the next frame that has data; whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.source.is_at_end()? {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => tar::Source::skip(&mut self.source, u64::from(length))?,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl Read for Zstd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
        loop {
            if !self.is_in_frame {
                self.is_in_frame = self.begin()?;
                if !self.is_in_frame {
                    return Ok(0);
                }
            }
            let count = self.decoder.read(buf)?;
            if count > 0 || buf.is_empty() {
                return Ok(count);
            }
            if self.decoder.is_finished() {
                self.is_in_frame = false;
            } else {
                self.decoder
                    .decode_blocks(&mut self.source, UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
        }
    }
}

impl PieceReader {
    fn is_at_end(&mut self) -> io::Result<bool> {
        if self.from == self.buffer.len() {
            self.fill()?;
        }
        Ok(self.from == self.buffer.len())
    }
}

/// Largest window of a zstd frame; level 19 has 8 MiB, and only `--ultra` more than this.
const ZSTD_WINDOW_BYTES_MAX: u64 = 32 << 20;
