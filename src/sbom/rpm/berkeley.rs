//! rpm's hash in a Berkeley DB file (Berkeley DB, `dbinc/db_page.h`), as RHEL had it until 8.

use super::{Allowance, u16_le, u32_le};

/// Calls `each` with every header.
pub(super) fn blobs(bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let unknown = || "is no database that rpm makes, or one of another byte order".to_owned();
    let is_hash = u32_le(bytes, 12) == Some(HASH_MAGIC);
    let page_bytes = u32_le(bytes, 20).filter(|bytes| is_hash && PAGE_BYTES.contains(bytes));
    let page_bytes = usize::try_from(page_bytes.ok_or_else(unknown)?).map_err(|_| unknown())?;
    let mut allowance = Allowance(bytes.len());
    for page in bytes.chunks_exact(page_bytes).skip(1).filter(|page| is_of_hash(page)) {
        let count = usize::from(u16_le(page, 20).unwrap_or_default());
        let item = |at: usize| u16_le(page, HEADER_BYTES + 2 * at).map(usize::from);
        // Keys and values take turns, and grow from the end of the page.
        for at in (1..count).step_by(2) {
            let (Some(start), Some(end)) = (item(at), item(at - 1)) else { break };
            let value = page.get(start..end).unwrap_or_default();
            match value {
                [ON_PAGE, blob @ ..] if blob.len() > COUNTER_BYTES => {
                    allowance.take(blob.len())?;
                    each(blob);
                }
                [OFF_PAGE, ..] => {
                    let blob = overflow(bytes, page_bytes, value, &mut allowance)?;
                    each(&blob);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A value that has pages of its own: the first one's number and the length stand in its place.
fn overflow(
    bytes: &[u8],
    page_bytes: usize,
    value: &[u8],
    allowance: &mut Allowance,
) -> Result<Vec<u8>, String> {
    let damaged = || "is a damaged Berkeley DB file".to_owned();
    let mut number = u32_le(value, 4).ok_or_else(damaged)?;
    let len = usize::try_from(u32_le(value, 8).ok_or_else(damaged)?).map_err(|_| damaged())?;
    allowance.take(len)?;
    let mut blob = Vec::new();
    while blob.len() < len {
        let start = usize::try_from(number).ok().and_then(|n| n.checked_mul(page_bytes));
        let page = start.and_then(|start| bytes.get(start..start.checked_add(page_bytes)?));
        let page = page.filter(|page| page[TYPE_AT] == OVERFLOW).ok_or_else(damaged)?;
        let part = usize::from(u16_le(page, 22).ok_or_else(damaged)?);
        let part = page.get(HEADER_BYTES..HEADER_BYTES + part).ok_or_else(damaged)?;
        if part.is_empty() || part.len() > len - blob.len() {
            return Err(damaged());
        }
        blob.extend(part);
        number = u32_le(page, 16).ok_or_else(damaged)?;
    }
    Ok(blob)
}

fn is_of_hash(page: &[u8]) -> bool {
    matches!(page[TYPE_AT], HASH_UNSORTED | HASH)
}

const HASH_MAGIC: u32 = 0x0006_1561;
/// What Berkeley DB allows.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;
const HEADER_BYTES: usize = 26;
const TYPE_AT: usize = 25;
/// Types of pages.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
/// Types of items.
const ON_PAGE: u8 = 1;
const OFF_PAGE: u8 = 3;
/// The value for key 0 is the highest number in use.
const COUNTER_BYTES: usize = 4;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    /// A file of 512-byte pages: one with a counter and all the values, then those of the values.
    pub(in crate::sbom::rpm) fn database(blobs: &[&[u8]]) -> Vec<u8> {
        const PAGE: usize = 512;
        let mut meta = vec![0; PAGE];
        meta[12..16].copy_from_slice(&HASH_MAGIC.to_le_bytes());
        meta[20..24].copy_from_slice(&(PAGE as u32).to_le_bytes());
        let mut hash = vec![0; PAGE];
        hash[TYPE_AT] = HASH;
        hash[20] = blobs.len() as u8 * 2 + 2;
        let mut pages = Vec::new();
        let mut end = PAGE;
        let mut add = |at: usize, item: &[u8]| {
            end -= item.len();
            hash[HEADER_BYTES + at * 2..HEADER_BYTES + at * 2 + 2]
                .copy_from_slice(&(end as u16).to_le_bytes());
            hash[end..end + item.len()].copy_from_slice(item);
        };
        add(0, &[1, 0, 0, 0, 0]);
        add(1, &[1, 9, 0, 0, 0]);
        for (at, blob) in blobs.iter().enumerate() {
            add(at * 2 + 2, &[1, at as u8 + 1, 0, 0, 0]);
            if blob.len() < 50 {
                add(at * 2 + 3, &[&[1], *blob].concat());
                continue;
            }
            let first = pages.len() as u32 + 2;
            let numbers = [first, blob.len() as u32].map(u32::to_le_bytes).concat();
            add(at * 2 + 3, &[vec![3, 0, 0, 0], numbers].concat());
            for part in blob.chunks(PAGE - HEADER_BYTES) {
                let mut page = vec![0; PAGE];
                page[TYPE_AT] = OVERFLOW;
                page[16..20].copy_from_slice(&(pages.len() as u32 + 3).to_le_bytes());
                page[22..24].copy_from_slice(&(part.len() as u16).to_le_bytes());
                page[HEADER_BYTES..HEADER_BYTES + part.len()].copy_from_slice(part);
                pages.push(page);
            }
        }
        [vec![meta, hash], pages].concat().concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut found = Vec::new();
        blobs(bytes, &mut |blob| found.push(blob.to_vec()))?;
        Ok(found)
    }

    #[test]
    fn blobs_are_read_on_their_page_and_off_it() {
        let want = [b"hello world".to_vec(), vec![2; 1_500]];
        assert_eq!(read(&database(&[&want[0], &want[1]])).unwrap(), want);
    }

    #[test]
    fn pages_that_are_their_own_next_ones_are_refused() {
        let mut file = database(&[&[2; 1_500]]);
        file[1024 + 16..1024 + 20].copy_from_slice(&2_u32.to_le_bytes());
        // 1,500 bytes again, of the same page: no harm, and no more than it says.
        assert!(read(&file).is_err());
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(&database(&[b"hello", &[2; 600]]), b"\x00\xff\x01\x02\x03\x07", 5_000, |bytes| {
            drop(read(bytes))
        });
        assert!(read(b"").unwrap_err().contains("no database"));
    }
}
