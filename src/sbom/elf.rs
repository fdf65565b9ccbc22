//! Sections of ELF files (System V ABI, chapter 4).

use std::io;

use super::{ReadAt, pieces::read_range};

/// An ELF file whose table of sections was read.
pub(super) struct Elf {
    /// Name, offset, size.
    sections: Vec<(String, u64, u64)>,
}

impl Elf {
    /// `None` if the file is no ELF or has no table of sections, or none that makes sense.
    pub(super) fn read(file: &dyn ReadAt) -> io::Result<Option<Self>> {
        let head = read_range(file, 0, HEAD_BYTES)?;
        let Some((layout, table)) = header(&head) else { return Ok(None) };
        let bytes = table.count * layout.entry_bytes();
        // The table is behind the header (Go) or at the end of the file, and then with the names before it.
        let end = usize::try_from(table.offset).ok().and_then(|offset| offset.checked_add(bytes));
        let (piece_offset, piece) = match end {
            Some(end) if end <= head.len() => (0, head),
            _ => {
                let before = table.offset.min(NAMES_BEFORE_BYTES);
                let len = bytes + usize::try_from(before).unwrap_or_default();
                (table.offset - before, read_range(file, table.offset - before, len)?)
            }
        };
        let at = usize::try_from(table.offset - piece_offset).unwrap_or(usize::MAX);
        let Some(entries) = at.checked_add(bytes).and_then(|end| piece.get(at..end)) else {
            return Ok(None);
        };
        let entries: Vec<_> =
            entries.chunks_exact(layout.entry_bytes()).filter_map(|e| layout.entry(e)).collect();
        let Some((_, offset, size)) = entries.get(table.names).copied() else { return Ok(None) };
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(NAMES_BYTES_MAX);
        let kept = offset.checked_sub(piece_offset).and_then(|at| {
            let at = usize::try_from(at).ok()?;
            piece.get(at..at.checked_add(size)?)
        });
        let names = match kept {
            Some(kept) => kept.to_vec(),
            None => read_range(file, offset, size)?,
        };
        let sections = entries
            .into_iter()
            .filter_map(|(name, offset, size)| Some((text_at(&names, name)?, offset, size)));
        Ok(Some(Self { sections: sections.collect() }))
    }

    /// Whether there is a section of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|(known, ..)| known == name)
    }

    /// The section of this name, its first `bytes_max` bytes.
    pub(super) fn section(
        &self,
        file: &dyn ReadAt,
        name: &str,
        bytes_max: usize,
    ) -> io::Result<Vec<u8>> {
        let section = self.sections.iter().find(|(known, ..)| known == name);
        let Some((_, offset, size)) = section else { return Ok(Vec::new()) };
        let size = usize::try_from(*size).unwrap_or(usize::MAX).min(bytes_max);
        read_range(file, *offset, size)
    }
}

/// Where the table of sections is.
struct Table {
    offset: u64,
    count: usize,
    /// Which section has the names.
    names: usize,
}

/// Width and order of numbers.
#[derive(Clone, Copy)]
struct Layout {
    is_64: bool,
    is_little: bool,
}

impl Layout {
    fn entry_bytes(self) -> usize {
        if self.is_64 { 64 } else { 40 }
    }

    fn number(self, bytes: &[u8], at: usize, len: usize) -> Option<u64> {
        let bytes = bytes.get(at..at + len)?.iter();
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.is_little { bytes.rev().fold(0, add) } else { bytes.fold(0, add) })
    }

    /// Where its name is, offset, size.
    fn entry(self, entry: &[u8]) -> Option<(usize, u64, u64)> {
        let (offset, size, len) = if self.is_64 { (24, 32, 8) } else { (16, 20, 4) };
        let name = usize::try_from(self.number(entry, 0, 4)?).ok()?;
        Some((name, self.number(entry, offset, len)?, self.number(entry, size, len)?))
    }
}

fn header(head: &[u8]) -> Option<(Layout, Table)> {
    let [0x7f, b'E', b'L', b'F', class @ (1 | 2), order @ (1 | 2), ..] = head else { return None };
    let layout = Layout { is_64: *class == 2, is_little: *order == 1 };
    let (offset, rest, len) = if layout.is_64 { (0x28, 0x3a, 8) } else { (0x20, 0x2e, 4) };
    let entry_bytes = layout.number(head, rest, 2)?;
    let table = Table {
        offset: layout.number(head, offset, len)?,
        count: usize::try_from(layout.number(head, rest + 2, 2)?).ok()?.min(SECTIONS_MAX),
        names: usize::try_from(layout.number(head, rest + 4, 2)?).ok()?,
    };
    let makes_sense =
        entry_bytes == layout.entry_bytes() as u64 && table.count > 0 && table.offset > 0;
    makes_sense.then_some((layout, table))
}

fn text_at(names: &[u8], at: usize) -> Option<String> {
    let rest = names.get(at..)?;
    let end = rest.iter().take(NAME_BYTES_MAX).position(|byte| *byte == 0)?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

/// Holds the header, and the table of sections where Go's linker puts it.
const HEAD_BYTES: usize = 4 * 1024;
/// What is read before a table at the end of a file, to have the names too.
const NAMES_BEFORE_BYTES: u64 = 2 * 1024;
const NAMES_BYTES_MAX: usize = 64 * 1024;
const NAME_BYTES_MAX: usize = 256;
/// Linked programs have some dozens.
const SECTIONS_MAX: usize = 2_048;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    /// A 64-bit little-endian file with these sections; its table is at the end.
    pub(in crate::sbom) fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        let mut names = vec![0];
        let mut table = vec![0; 64];
        let mut add =
            |bytes: &mut Vec<u8>, names: &mut Vec<u8>, name: &str, content: Option<&[u8]>| {
                let mut entry = vec![0; 64];
                entry[..4].copy_from_slice(&(names.len() as u32).to_le_bytes());
                names.extend(name.as_bytes());
                names.push(0);
                let content = content.unwrap_or(names).to_vec();
                entry[24..32].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
                entry[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
                bytes.extend(content);
                table.extend(entry);
            };
        for (name, content) in sections {
            add(&mut bytes, &mut names, name, Some(content));
        }
        add(&mut bytes, &mut names, ".shstrtab", None);
        let offset = bytes.len() as u64;
        bytes.extend(table);
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[0x28..0x30].copy_from_slice(&offset.to_le_bytes());
        bytes[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
        bytes[0x3c..0x3e].copy_from_slice(&(sections.len() as u16 + 2).to_le_bytes());
        bytes[0x3e..0x40].copy_from_slice(&(sections.len() as u16 + 1).to_le_bytes());
        bytes
    }

    #[test]
    fn sections_are_found_by_name() {
        for padding in [10, 100_000] {
            let file = elf(&[(".text", &vec![1; padding]), (".note", b"hello")]);
            let elf = Elf::read(&file).unwrap().unwrap();
            assert!(elf.has(".note") && elf.has(".shstrtab") && !elf.has("note"));
            assert_eq!(elf.section(&file, ".note", 100).unwrap(), b"hello");
            assert_eq!(elf.section(&file, ".note", 4).unwrap(), b"hell");
            assert_eq!(elf.section(&file, ".none", 4).unwrap(), b"");
        }
    }

    #[test]
    fn the_running_program_has_sections() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(Elf::read(&program).unwrap().unwrap().has(".text"));
    }

    #[test]
    fn other_files_are_no_elf() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0x7f, b'E', b'L', b'F', 2, 1, 0, 0]] {
            assert!(Elf::read(&bytes.to_vec()).unwrap().is_none());
        }
    }

    #[test]
    fn mutations_are_read_or_refused() {
        let seed = elf(&[(".text", b"x"), (".note", b"hello")]);
        mutate(&seed, b"\x00\xff\x01\x40", 5_000, |bytes| {
            let bytes = bytes.to_vec();
            if let Ok(Some(elf)) = Elf::read(&bytes) {
                drop(elf.section(&bytes, ".note", 1_000));
            }
        });
    }
}
