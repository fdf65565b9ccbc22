//! Zip archives (PKWARE `APPNOTE.TXT`), read through their central directory; only what Java archives and
//! those of Yarn use.

use super::{ReadAt, pieces::read_range};

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    method: u16,
    compressed_bytes: u64,
    bytes: u64,
    header: u64,
}

/// How much may still be read and unpacked, for all archives of an image together.
pub(super) struct Budget {
    pub(super) bytes: u64,
    pub(super) archives: u32,
}

impl Budget {
    /// Takes what a read may bring.
    fn take(&mut self, bytes: u64) -> Result<(), String> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or("is beyond what is read of all archives together")?;
        Ok(())
    }
}

/// The entries whose names are `wanted`.
///
/// # Errors
/// Says why the archive can't be read.
pub(super) fn entries(
    file: &dyn ReadAt,
    budget: &mut Budget,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Entry>, String> {
    let directory = directory(file)?;
    budget.take(directory.bytes)?;
    let len = usize::try_from(directory.bytes).unwrap_or(usize::MAX);
    let bytes = read_range(file, directory.offset, len).map_err(unreadable)?;
    let mut entries = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some(head) = rest.get(..CENTRAL_BYTES).filter(|head| head.starts_with(b"PK\x01\x02"))
    {
        let name_len = usize::from(u16_at(head, 28));
        let extra_len = usize::from(u16_at(head, 30));
        let len = CENTRAL_BYTES + name_len + extra_len + usize::from(u16_at(head, 32));
        let Some(record) = rest.get(..len) else { break };
        rest = &rest[len..];
        let (name, extra) = record[CENTRAL_BYTES..].split_at(name_len);
        let Ok(name) = str::from_utf8(name) else { continue };
        if name.len() > NAME_BYTES_MAX || !wanted(name) {
            continue;
        }
        if entries.len() == ENTRIES_MAX {
            return Err(format!("has more than {ENTRIES_MAX} entries of interest"));
        }
        let mut entry = Entry {
            name: name.to_owned(),
            method: u16_at(head, 10),
            compressed_bytes: u32_at(head, 20),
            bytes: u32_at(head, 24),
            header: u32_at(head, 42),
        };
        widen(&mut entry, extra.get(..extra_len).unwrap_or_default());
        entry.header = entry.header.saturating_add(directory.shift);
        entries.push(entry);
    }
    Ok(entries)
}

/// The content of an entry of at most `bytes_max`.
///
/// # Errors
/// Says why it can't be read.
pub(super) fn content(
    file: &dyn ReadAt,
    entry: &Entry,
    bytes_max: usize,
    budget: &mut Budget,
) -> Result<Vec<u8>, String> {
    let too_long = || format!("has `{}` with more than {bytes_max} bytes", entry.name);
    if entry.bytes > bytes_max as u64 || entry.compressed_bytes > bytes_max as u64 {
        return Err(too_long());
    }
    let offset = content_offset(file, entry)?;
    budget.take(entry.compressed_bytes + entry.bytes)?;
    let len = usize::try_from(entry.compressed_bytes).unwrap_or(usize::MAX);
    let packed = read_range(file, offset, len).map_err(unreadable)?;
    match entry.method {
        STORED => Ok(packed),
        DEFLATED => {
            // What the directory says is what was taken from the budget.
            let limit = usize::try_from(entry.bytes).unwrap_or(bytes_max);
            miniz_oxide::inflate::decompress_to_vec_with_limit(&packed, limit)
                .map_err(|error| format!("has `{}` that cannot be unpacked: {error}", entry.name))
        }
        method => Err(format!("has `{}` packed by method {method}", entry.name)),
    }
}

/// Offset and length of the content, if it is stored as it is.
pub(super) fn stored(file: &dyn ReadAt, entry: &Entry) -> Result<Option<(u64, u64)>, String> {
    if entry.method != STORED {
        return Ok(None);
    }
    Ok(Some((content_offset(file, entry)?, entry.bytes)))
}

fn content_offset(file: &dyn ReadAt, entry: &Entry) -> Result<u64, String> {
    let head = read_range(file, entry.header, LOCAL_BYTES).map_err(unreadable)?;
    if head.len() < LOCAL_BYTES || !head.starts_with(b"PK\x03\x04") {
        return Err(format!("has no `{}` where its directory says", entry.name));
    }
    let names = u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
    Ok(entry.header.saturating_add(LOCAL_BYTES as u64 + names))
}

/// Where the central directory is.
struct Directory {
    offset: u64,
    bytes: u64,
    /// Bytes before the archive itself, such as a script that starts it.
    shift: u64,
}

fn directory(file: &dyn ReadAt) -> Result<Directory, String> {
    let size = file.size_bytes();
    let tail_offset = size.saturating_sub(TAIL_BYTES as u64);
    let tail = read_range(file, tail_offset, TAIL_BYTES).map_err(unreadable)?;
    let no_archive = "is no zip archive, or a damaged one";
    let at = tail
        .windows(END_BYTES)
        .rposition(|end| end.starts_with(b"PK\x05\x06"))
        .ok_or(no_archive)?;
    let end = &tail[at..];
    let mut bytes = u32_at(end, 12);
    let mut offset = u32_at(end, 16);
    let mut end_offset = tail_offset + at as u64;
    // The sizes of larger archives are in another record (section 4.3.14), which a third one finds.
    if offset == u64::from(u32::MAX) || u16_at(end, 10) == u16::MAX {
        let locator = at.checked_sub(LOCATOR_BYTES).and_then(|from| tail.get(from..at));
        if let Some(locator) = locator.filter(|l| l.starts_with(b"PK\x06\x07")) {
            end_offset = u64_at(locator, 8);
            let record = read_range(file, end_offset, END64_BYTES).map_err(unreadable)?;
            if record.len() < END64_BYTES || !record.starts_with(b"PK\x06\x06") {
                return Err(no_archive.to_owned());
            }
            bytes = u64_at(&record, 40);
            offset = u64_at(&record, 48);
        }
    }
    if bytes > DIRECTORY_BYTES_MAX {
        return Err(format!("has a directory of more than {DIRECTORY_BYTES_MAX} bytes"));
    }
    let real = end_offset.checked_sub(bytes).ok_or(no_archive)?;
    Ok(Directory { offset: real, bytes, shift: real.checked_sub(offset).ok_or(no_archive)? })
}

/// Sizes of 64 bits from the extra field 1, which has those that do not fit (section 4.5.3).
fn widen(entry: &mut Entry, mut extra: &[u8]) {
    while let Some(head) = extra.get(..4) {
        let len = usize::from(u16_at(head, 2));
        let Some(field) = extra.get(4..4 + len) else { return };
        if u16_at(head, 0) == 1 {
            let mut numbers = field.chunks_exact(8).map(|number| u64_at(number, 0));
            for value in [&mut entry.bytes, &mut entry.compressed_bytes, &mut entry.header] {
                if *value == u64::from(u32::MAX) {
                    *value = numbers.next().unwrap_or(*value);
                }
            }
        }
        extra = &extra[4 + len..];
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("cannot be read: {error}")
}

/// Numbers are little-endian; callers look that they are there.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u16_at(bytes, at)) | u64::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u32_at(bytes, at) | u32_at(bytes, at + 4) << 32
}

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Lengths of the fixed parts of records.
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const END64_BYTES: usize = 56;
const LOCATOR_BYTES: usize = 20;
/// The end record, the longest comment after it, the locator before it.
const TAIL_BYTES: usize = END_BYTES + 65_535 + LOCATOR_BYTES;
/// Archives with 200,000 classes have 25 MB.
const DIRECTORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
const ENTRIES_MAX: usize = 20_000;
const NAME_BYTES_MAX: usize = 1_024;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    pub(in crate::sbom) fn budget() -> Budget {
        Budget { bytes: 1 << 26, archives: 100 }
    }

    /// An archive of names and contents; `packed` ones are deflated.
    pub(in crate::sbom) fn archive(files: &[(&str, &[u8], bool)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut directory = Vec::new();
        for (name, content, packed) in files {
            let header = bytes.len() as u32;
            let data = match packed {
                true => miniz_oxide::deflate::compress_to_vec(content, 6),
                false => content.to_vec(),
            };
            let mut common =
                vec![20, 0, 0, 0, if *packed { 8 } else { 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            common.extend((data.len() as u32).to_le_bytes());
            common.extend((content.len() as u32).to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&common);
            bytes.extend(name.as_bytes());
            bytes.extend(data);
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(header.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let offset = bytes.len() as u32;
        let count = (files.len() as u16).to_le_bytes();
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
        bytes.extend([count, count].concat());
        bytes.extend((directory.len() as u32).to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    fn read_all(bytes: &Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut budget = budget();
        let entries = entries(bytes, &mut budget, |_| true)?;
        let read =
            |entry: &Entry| Ok((entry.name.clone(), content(bytes, entry, 1_000, &mut budget)?));
        entries.iter().map(read).collect()
    }

    #[test]
    fn contents_are_read_stored_and_deflated() {
        let archive = archive(&[("a", b"one", false), ("b/c", &[b'x'; 500], true)]);
        let want = [("a".to_owned(), b"one".to_vec()), ("b/c".to_owned(), vec![b'x'; 500])];
        assert_eq!(read_all(&archive).unwrap(), want);
        let with_script = [b"#!/bin/sh\nexec java\n".to_vec(), archive.clone()].concat();
        assert_eq!(read_all(&with_script).unwrap(), want);
        let mut with_comment = archive;
        let at = with_comment.len() - 2;
        with_comment[at] = 5;
        with_comment.extend(b"hello");
        assert_eq!(read_all(&with_comment).unwrap(), want);
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let large = archive(&[("a", &[b'x'; 1_001], true)]);
        assert!(read_all(&large).unwrap_err().contains("more than 1000"));
        let mut poor = Budget { bytes: 10, archives: 1 };
        assert!(entries(&large, &mut poor, |_| true).unwrap_err().contains("together"));
        // An entry that says less than it unpacks to.
        let mut liar = archive(&[("a", &[b'x'; 900], true)]);
        let central = liar.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
        liar[central + 24..central + 28].copy_from_slice(&10_u32.to_le_bytes());
        assert!(read_all(&liar).unwrap_err().contains("unpacked"));
    }

    #[test]
    fn sizes_of_64_bits_are_read() {
        let mut entry = Entry {
            name: String::new(),
            method: 0,
            compressed_bytes: 7,
            bytes: 0xffff_ffff,
            header: 0xffff_ffff,
        };
        let mut extra = vec![9, 9, 1, 0, 0, 1, 0, 16, 0];
        extra.extend(5_u64.to_le_bytes());
        extra.extend((1_u64 << 40).to_le_bytes());
        widen(&mut entry, &extra);
        assert_eq!((entry.bytes, entry.compressed_bytes, entry.header), (5, 7, 1 << 40));
    }

    #[test]
    fn mutations_are_read_or_refused() {
        let seed = archive(&[("a", b"one", false), ("b/c", &[b'x'; 50], true)]);
        mutate(&seed, b"PK\x01\x02\x05\x06\xff\x00", 5_000, |bytes| {
            drop(read_all(&bytes.to_vec()))
        });
        assert!(read_all(&Vec::new()).is_err());
    }
}
