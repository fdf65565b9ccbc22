//! rpm's own database files of SUSE (rpm, `lib/backend/ndb/rpmpkg.c`): pages of slots, then blobs in blocks of 16 bytes.

use super::{Allowance, u32_le};

/// Calls `each` with every header.
pub(super) fn blobs(bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let damaged = || "is a damaged ndb file".to_owned();
    let mut allowance = Allowance(bytes.len());
    let pages = u32_le(bytes, 12).ok_or_else(damaged)?;
    let slots_bytes = usize::try_from(pages).unwrap_or(usize::MAX).saturating_mul(PAGE_BYTES);
    let slots = bytes.get(HEADER_BYTES..slots_bytes.min(bytes.len())).ok_or_else(damaged)?;
    for slot in slots.chunks_exact(SLOT_BYTES).filter(|slot| slot.starts_with(b"Slot")) {
        let is_free = u32_le(slot, 4) == Some(0);
        if is_free {
            continue;
        }
        let start = u32_le(slot, 8).and_then(|block| usize::try_from(block).ok());
        let start = start.and_then(|block| block.checked_mul(BLOCK_BYTES)).ok_or_else(damaged)?;
        let head =
            bytes.get(start..).filter(|head| head.starts_with(b"BlbS")).ok_or_else(damaged)?;
        let len = usize::try_from(u32_le(head, 12).ok_or_else(damaged)?).map_err(|_| damaged())?;
        let blob = head.get(BLOB_HEADER_BYTES..).and_then(|rest| rest.get(..len));
        allowance.take(len)?;
        each(blob.ok_or_else(damaged)?);
    }
    Ok(())
}

const PAGE_BYTES: usize = 4_096;
/// As long as two slots.
const HEADER_BYTES: usize = 32;
const SLOT_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;
const BLOB_HEADER_BYTES: usize = 16;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    /// A file with one page of slots.
    pub(in crate::sbom::rpm) fn database(blobs: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"RpmP\0\0\0\0\x01\0\0\0\x01\0\0\0".to_vec();
        bytes.resize(PAGE_BYTES, 0);
        for slot in bytes[HEADER_BYTES..].chunks_exact_mut(SLOT_BYTES) {
            slot[..4].copy_from_slice(b"Slot");
        }
        for (at, blob) in blobs.iter().enumerate() {
            let slot = HEADER_BYTES + at * SLOT_BYTES;
            let block = (bytes.len() / BLOCK_BYTES) as u32;
            bytes[slot + 4..slot + 8].copy_from_slice(&(at as u32 + 1).to_le_bytes());
            bytes[slot + 8..slot + 12].copy_from_slice(&block.to_le_bytes());
            bytes.extend(b"BlbS\x01\0\0\0\x01\0\0\0");
            bytes.extend((blob.len() as u32).to_le_bytes());
            bytes.extend(*blob);
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut found = Vec::new();
        blobs(bytes, &mut |blob| found.push(blob.to_vec()))?;
        Ok(found)
    }

    #[test]
    fn blobs_are_read() {
        assert_eq!(read(&database(&[b"one", &[2; 500]])).unwrap(), [b"one".to_vec(), vec![2; 500]]);
    }

    #[test]
    fn a_blob_that_many_slots_have_is_refused() {
        let mut file = database(&[&[1; 5_000], b"x"]);
        let slot = file[HEADER_BYTES..HEADER_BYTES + SLOT_BYTES].to_vec();
        file[HEADER_BYTES + SLOT_BYTES..HEADER_BYTES + 2 * SLOT_BYTES].copy_from_slice(&slot);
        assert!(read(&file).unwrap_err().contains("in each other"));
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(&database(&[b"one", b"two"])[..], b"\x00\xff\x01SB", 3_000, |bytes| {
            drop(read(bytes))
        });
        assert!(read(b"RpmP").is_err());
    }
}
