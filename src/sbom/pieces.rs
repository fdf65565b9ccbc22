//! Reads of files that are held elsewhere: few and bounded.

use std::{cell::RefCell, collections::VecDeque, io};

use super::ReadAt;

/// The bytes from `offset`, fewer at the end of the file.
pub(super) fn read_range(file: &dyn ReadAt, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let there = file.size_bytes().saturating_sub(offset);
    let len = usize::try_from(there).map_or(len, |there| len.min(there));
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        let read = file.read_at(offset + filled as u64, &mut bytes[filled..])?;
        if read == 0 {
            break;
        }
        filled += read.min(len - filled);
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// A file of which whole blocks are read, and some kept: for archives, whose parts are small and near each other.
pub(super) struct Blocks<'a> {
    file: &'a dyn ReadAt,
    kept: RefCell<VecDeque<(u64, Vec<u8>)>>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(file: &'a dyn ReadAt) -> Self {
        Self { file, kept: RefCell::default() }
    }
}

impl ReadAt for Blocks<'_> {
    fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let start = offset - offset % BLOCK_BYTES as u64;
        let mut kept = self.kept.borrow_mut();
        if !kept.iter().any(|(at, _)| *at == start) {
            let block = read_range(self.file, start, BLOCK_BYTES)?;
            if kept.len() == BLOCKS_MAX {
                kept.pop_front();
            }
            kept.push_back((start, block));
        }
        let block = kept.iter().find(|(at, _)| *at == start).map(|(_, block)| block.as_slice());
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX);
        Ok(copy(block.and_then(|block| block.get(from..)).unwrap_or_default(), buf))
    }
}

/// A part of a file as a file.
pub(super) struct Part<'a> {
    pub(super) file: &'a dyn ReadAt,
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl ReadAt for Part<'_> {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let there = self.size.saturating_sub(offset);
        let len = usize::try_from(there).map_or(buf.len(), |there| buf.len().min(there));
        if len == 0 {
            return Ok(0);
        }
        let offset = self.offset.checked_add(offset).ok_or(io::ErrorKind::InvalidInput)?;
        self.file.read_at(offset, &mut buf[..len])
    }
}

impl ReadAt for Vec<u8> {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(copy(self.get(from..).unwrap_or_default(), buf))
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    len
}

/// Small enough for one answer of a daemon, large enough for several jars.
const BLOCK_BYTES: usize = 1024 * 1024;
const BLOCKS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Gives three bytes at most, and counts.
    struct Slow {
        bytes: Vec<u8>,
        reads: Cell<usize>,
    }

    impl ReadAt for Slow {
        fn size_bytes(&self) -> u64 {
            self.bytes.size_bytes()
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.reads.set(self.reads.get() + 1);
            let len = buf.len().min(3);
            self.bytes.read_at(offset, &mut buf[..len])
        }
    }

    #[test]
    fn ranges_are_read_to_their_end_or_that_of_the_file() {
        let file = Slow { bytes: (0..10).collect(), reads: Cell::new(0) };
        assert_eq!(read_range(&file, 2, 5).unwrap(), [2, 3, 4, 5, 6]);
        assert_eq!(read_range(&file, 8, 5).unwrap(), [8, 9]);
        assert!(read_range(&file, u64::MAX, usize::MAX).unwrap().is_empty());
    }

    #[test]
    fn blocks_are_read_once_while_they_are_kept() {
        let file = Slow { bytes: (0..10).collect(), reads: Cell::new(0) };
        let blocks = Blocks::new(&file);
        assert_eq!(read_range(&blocks, 2, 5).unwrap(), [2, 3, 4, 5, 6]);
        let reads = file.reads.get();
        assert_eq!(read_range(&blocks, 0, 20).unwrap(), (0..10).collect::<Vec<u8>>());
        assert_eq!(file.reads.get(), reads);
    }

    #[test]
    fn blocks_meet_at_their_borders() {
        let bytes: Vec<u8> =
            (0..BLOCK_BYTES * 2 + 5).map(|at| at as u8 ^ (at >> 8) as u8).collect();
        let blocks = Blocks::new(&bytes);
        let want = bytes[BLOCK_BYTES - 3..].to_vec();
        assert_eq!(read_range(&blocks, BLOCK_BYTES as u64 - 3, usize::MAX).unwrap(), want);
    }

    #[test]
    fn parts_end_where_they_end() {
        let bytes: Vec<u8> = (0..10).collect();
        let part = Part { file: &bytes, offset: 4, size: 3 };
        assert_eq!(read_range(&part, 1, 10).unwrap(), [5, 6]);
        let beyond = Part { file: &bytes, offset: u64::MAX, size: 3 };
        assert!(read_range(&beyond, 1, 1).is_err());
    }
}
