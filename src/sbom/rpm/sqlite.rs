//! rpm's table in an SQLite file (SQLite, "Database File Format"): as much of the format as it takes to read one table.

use super::Allowance;

/// Calls `each` with every value of the column `blob` of the table `Packages`.
pub(super) fn blobs(bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    let damaged = || "is a damaged SQLite file".to_owned();
    let mut file = File::new(bytes).ok_or_else(damaged)?;
    let mut root = None;
    file.rows(1, 0, &mut |record| {
        if let Some([kind, name, _, page, ..]) = columns(record).as_deref()
            && (*kind, *name) == (b"table", b"Packages")
        {
            root = Some(page.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)));
        }
    })?;
    let root = root.ok_or("is an SQLite file without the table `Packages`")?;
    let root = u32::try_from(root).map_err(|_| damaged())?;
    file.rows(root, 0, &mut |record| {
        if let Some([_, blob, ..]) = columns(record).as_deref() {
            each(blob);
        }
    })
}

struct File<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
    /// Of a page, those that are not reserved for extensions.
    usable_bytes: usize,
    allowance: Allowance,
}

impl<'a> File<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..100).filter(|head| head.starts_with(b"SQLite format 3\0"))?;
        let page_bytes = match u16_be(head, 16)? {
            1 => 65_536,
            bytes => usize::from(bytes),
        };
        let usable_bytes = page_bytes.checked_sub(usize::from(head[20]))?;
        let is_sound = page_bytes >= 512 && page_bytes.is_power_of_two() && usable_bytes >= 480;
        let allowance = Allowance(bytes.len());
        is_sound.then_some(Self { bytes, page_bytes, usable_bytes, allowance })
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        let start = usize::try_from(number.checked_sub(1)?).ok()?.checked_mul(self.page_bytes)?;
        self.bytes.get(start..start.checked_add(self.page_bytes)?)
    }

    /// Records of the table whose tree begins at a page, in the order of their keys.
    fn rows(
        &mut self,
        number: u32,
        depth: usize,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), String> {
        let damaged = || "has damaged pages".to_owned();
        if depth > DEPTH_MAX {
            return Err(damaged());
        }
        // A page costs something too, so that none is read for ever.
        self.allowance.take(PAGE_COST)?;
        let page = self.page(number).ok_or_else(damaged)?;
        let at = if number == 1 { 100 } else { 0 };
        let cells = usize::from(u16_be(page, at + 3).ok_or_else(damaged)?);
        let pointers = match page.get(at) {
            Some(5) => at + 12,
            Some(13) => at + 8,
            _ => return Err(damaged()),
        };
        let is_leaf = pointers == at + 8;
        for cell in 0..cells {
            self.allowance.take(POINTER_BYTES)?;
            let cell =
                usize::from(u16_be(page, pointers + POINTER_BYTES * cell).ok_or_else(damaged)?);
            if is_leaf {
                each(&self.record(page, cell).ok_or_else(damaged)??);
            } else {
                self.rows(u32_be(page, cell).ok_or_else(damaged)?, depth + 1, each)?;
            }
        }
        if !is_leaf {
            self.rows(u32_be(page, at + 8).ok_or_else(damaged)?, depth + 1, each)?;
        }
        Ok(())
    }

    /// The record of a cell of a leaf, with what is on overflow pages (section 1.5).
    fn record(&mut self, page: &[u8], cell: usize) -> Option<Result<Vec<u8>, String>> {
        let (len, rest) = varint(page.get(cell..)?)?;
        let (_, rest) = varint(rest)?;
        let len = usize::try_from(len).ok()?;
        if let Err(why) = self.allowance.take(len) {
            return Some(Err(why));
        }
        let usable = self.usable_bytes;
        let local = if len <= usable - 35 {
            len
        } else {
            let min = (usable - 12) * 32 / 255 - 23;
            let local = min + (len - min) % (usable - 4);
            if local <= usable - 35 { local } else { min }
        };
        let mut record = rest.get(..local)?.to_vec();
        let mut next = if local < len { u32_be(rest, local)? } else { 0 };
        while record.len() < len {
            let page = self.page(next)?;
            let part = (len - record.len()).min(usable - 4);
            record.extend(page.get(4..4 + part)?);
            next = u32_be(page, 0)?;
        }
        Some(Ok(record))
    }
}

/// The bytes of each column (section 2.1).
fn columns(record: &[u8]) -> Option<Vec<&[u8]>> {
    let (header_bytes, _) = varint(record)?;
    let header_bytes = usize::try_from(header_bytes).ok()?;
    let (mut header, mut values) = record.split_at_checked(header_bytes)?;
    header = varint(header)?.1;
    let mut columns = Vec::new();
    while !header.is_empty() && columns.len() < COLUMNS_MAX {
        let (kind, rest) = varint(header)?;
        header = rest;
        let len = match kind {
            0 | 8..=11 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            kind => (kind - 12) / 2,
        };
        let (value, rest) = values.split_at_checked(usize::try_from(len).ok()?)?;
        columns.push(value);
        values = rest;
    }
    Some(columns)
}

/// Seven bits of each byte, eight of the ninth; the higher ones first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        if at == 8 {
            return Some((value << 8 | u64::from(*byte), &bytes[9..]));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// What a visit to a page takes of the allowance; the smallest page has 512 bytes.
const PAGE_COST: usize = 64;
/// Of a cell of a page.
const POINTER_BYTES: usize = 2;
/// Trees of rpm have three levels.
const DEPTH_MAX: usize = 16;
/// `Packages` has two, the schema five.
const COLUMNS_MAX: usize = 8;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    /// A file of 512-byte pages with the table and these blobs, each in its own leaf.
    pub(in crate::sbom::rpm) fn database(blobs: &[&[u8]]) -> Vec<u8> {
        const PAGE: usize = 512;
        let mut pages = vec![vec![0; PAGE], vec![0; PAGE]];
        pages[0][..16].copy_from_slice(b"SQLite format 3\0");
        pages[0][16] = 2;
        let schema = b"\x06\x17\x1d\x1d\x01\x0dtablePackagesPackages\x02".to_vec();
        leaf(&mut pages[0], 100, &[&[schema.len() as u8, 1], schema.as_slice()].concat());
        let mut children = Vec::new();
        for blob in blobs {
            let mut record = vec![4, 1];
            record.extend(long_varint(blob.len() as u64 * 2 + 12));
            record[0] = record.len() as u8;
            record.push(7);
            record.extend(*blob);
            let len = record.len();
            let local = if len <= PAGE - 35 {
                len
            } else {
                let min = (PAGE - 12) * 32 / 255 - 23;
                let local = min + (len - min) % (PAGE - 4);
                if local <= PAGE - 35 { local } else { min }
            };
            let mut cell = long_varint(len as u64);
            cell.push(1);
            cell.extend(&record[..local]);
            let number = pages.len() as u32 + 1;
            if local < len {
                cell.extend((number + 1).to_be_bytes());
            }
            let mut page = vec![0; PAGE];
            leaf(&mut page, 0, &cell);
            pages.push(page);
            children.push(number);
            let parts: Vec<_> = record[local..].chunks(PAGE - 4).collect();
            for (at, part) in parts.iter().enumerate() {
                let next = if at + 1 < parts.len() { pages.len() as u32 + 2 } else { 0 };
                let mut page = [&next.to_be_bytes(), *part].concat();
                page.resize(PAGE, 0);
                pages.push(page);
            }
        }
        let root = &mut pages[1];
        let (last, others) = children.split_last().unwrap();
        root[0] = 5;
        root[4] = others.len() as u8;
        root[8..12].copy_from_slice(&last.to_be_bytes());
        for (at, child) in others.iter().enumerate() {
            let cell = 400 + at * 5;
            root[12 + at * 2..14 + at * 2].copy_from_slice(&(cell as u16).to_be_bytes());
            root[cell..cell + 4].copy_from_slice(&child.to_be_bytes());
        }
        pages.concat()
    }

    fn leaf(page: &mut [u8], at: usize, cell: &[u8]) {
        let start = page.len() - cell.len();
        page[at] = 13;
        page[at + 4] = 1;
        page[at + 8..at + 10].copy_from_slice(&(start as u16).to_be_bytes());
        page[start..].copy_from_slice(cell);
    }

    fn long_varint(value: u64) -> Vec<u8> {
        vec![0x80 | (value >> 14) as u8, 0x80 | (value >> 7) as u8, value as u8 & 0x7f]
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut found = Vec::new();
        blobs(bytes, &mut |blob| found.push(blob.to_vec()))?;
        Ok(found)
    }

    #[test]
    fn blobs_of_all_sizes_are_read_in_order() {
        let (short, long, longer) = (vec![1; 5], vec![2; 500], vec![3; 5_000]);
        let file = database(&[&short, &long, &longer]);
        assert_eq!(read(&file).unwrap(), [short, long, longer]);
    }

    #[test]
    fn pages_that_are_used_again_are_refused() {
        let mut file = database(&[&[1; 5], &[2; 5]]);
        // The root is its own child.
        file[512 + 400..512 + 404].copy_from_slice(&2_u32.to_be_bytes());
        assert!(read(&file).is_err());
        let mut file = database(&[&[1; 5_000]]);
        // An overflow page is its own next one, and the record says that it is very long.
        let cell =
            file[1024..1536].windows(3).position(|bytes| bytes == long_varint(5_006)).unwrap();
        file[1024 + cell..1024 + cell + 3].copy_from_slice(&[0xff, 0xff, 0x7f]);
        file[1536..1540].copy_from_slice(&4_u32.to_be_bytes());
        assert!(read(&file).unwrap_err().contains("in each other"));
    }

    #[test]
    fn mutations_are_read_or_refused() {
        let file = database(&[&[1; 5], &[2; 900]]);
        mutate(&file, b"\x00\xff\x05\x0d\x80\x02\x03", 5_000, |bytes| drop(read(bytes)));
        assert!(read(b"SQL").is_err());
    }
}
