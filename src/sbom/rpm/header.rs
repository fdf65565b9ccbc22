//! The header of a package (rpm, "RPM v4 header format"), as databases have it: counts, an index, the values.

use crate::sbom::system::{NAMES_MAX, Record, line};

/// The package that a header tells of; `None` if it is damaged.
pub(super) fn record(header: &[u8]) -> Option<Record> {
    let header = Header::new(header)?;
    let text = |tag| header.strings(tag, 1).into_iter().next().unwrap_or_default();
    let epoch = header.number(EPOCH).map(|epoch| epoch.to_string()).unwrap_or_default();
    let (version, release) = (text(VERSION), text(RELEASE));
    let release = if release.is_empty() { release } else { format!("-{release}") };
    let colon = if epoch.is_empty() { "" } else { ":" };
    let one_line = |tag| line(text(tag).as_bytes());
    let upstream = text(SOURCE).replace("(none)", "");
    let record = Record {
        name: text(NAME),
        version: format!("{epoch}{colon}{version}{release}"),
        architecture: text(ARCHITECTURE),
        license: one_line(LICENSE),
        supplier: one_line(VENDOR),
        upstream,
        epoch,
        requires: header.strings(REQUIRES, NAMES_MAX),
        provides: header.strings(PROVIDES, NAMES_MAX),
    };
    record.is_sound().then_some(record)
}

/// Index and values.
struct Header<'a> {
    index: &'a [u8],
    values: &'a [u8],
}

impl<'a> Header<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let entries = u32_be(bytes, 0).filter(|entries| *entries <= ENTRIES_MAX)?;
        let values = usize::try_from(u32_be(bytes, 4)?).ok()?;
        let index_bytes = usize::try_from(entries).ok()? * ENTRY_BYTES;
        let index = bytes.get(8..8 + index_bytes)?;
        let values = bytes.get(8 + index_bytes..)?.get(..values)?;
        Some(Self { index, values })
    }

    /// Type, offset and count of the values of a tag.
    fn find(&self, tag: u32) -> Option<(u32, usize, usize)> {
        let entry = self.index.chunks_exact(ENTRY_BYTES).find(|e| u32_be(e, 0) == Some(tag))?;
        let offset = usize::try_from(u32_be(entry, 8)?).ok()?;
        Some((u32_be(entry, 4)?, offset, usize::try_from(u32_be(entry, 12)?).ok()?))
    }

    fn strings(&self, tag: u32, count_max: usize) -> Vec<String> {
        let Some((STRING | STRINGS | TRANSLATED, offset, count)) = self.find(tag) else {
            return Vec::new();
        };
        let values = self.values.get(offset..).unwrap_or_default();
        let strings = values.split(|byte| *byte == 0).take(count.min(count_max));
        strings
            .map(|text| {
                String::from_utf8_lossy(&text[..text.len().min(STRING_BYTES_MAX)]).into_owned()
            })
            .collect()
    }

    fn number(&self, tag: u32) -> Option<u32> {
        match self.find(tag)? {
            (NUMBER, offset, 1..) => u32_be(self.values, offset),
            _ => None,
        }
    }
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(number.try_into().ok()?))
}

/// Tags.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const ARCHITECTURE: u32 = 1022;
const SOURCE: u32 = 1044;
const PROVIDES: u32 = 1047;
const REQUIRES: u32 = 1049;
/// Types.
const NUMBER: u32 = 4;
const STRING: u32 = 6;
const STRINGS: u32 = 8;
const TRANSLATED: u32 = 9;

const ENTRY_BYTES: usize = 16;
/// As rpm itself has it.
const ENTRIES_MAX: u32 = 0xffff;
/// Longest value of those that are read.
const STRING_BYTES_MAX: usize = 4_096;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    /// A header of strings, and an epoch.
    pub(in crate::sbom::rpm) fn header(strings: &[(u32, &[&str])], epoch: Option<u32>) -> Vec<u8> {
        let mut index = Vec::new();
        let mut values = Vec::new();
        let mut entry = |tag: u32, kind: u32, offset: usize, count: usize| {
            index.extend([tag, kind, offset as u32, count as u32].map(u32::to_be_bytes).concat());
        };
        if let Some(epoch) = epoch {
            entry(EPOCH, NUMBER, 0, 1);
            values.extend(epoch.to_be_bytes());
        }
        for (tag, texts) in strings {
            entry(*tag, if texts.len() == 1 { STRING } else { STRINGS }, values.len(), texts.len());
            for text in *texts {
                values.extend(text.as_bytes());
                values.push(0);
            }
        }
        let mut bytes = ((index.len() / ENTRY_BYTES) as u32).to_be_bytes().to_vec();
        bytes.extend((values.len() as u32).to_be_bytes());
        bytes.extend([index, values].concat());
        bytes
    }

    /// One as Fedora has it.
    pub(in crate::sbom::rpm) fn openssl() -> Vec<u8> {
        header(
            &[
                (NAME, &["openssl"]),
                (VERSION, &["3.0.7"]),
                (RELEASE, &["6.el9"]),
                (VENDOR, &["Red Hat, Inc."]),
                (LICENSE, &["ASL 2.0"]),
                (ARCHITECTURE, &["x86_64"]),
                (SOURCE, &["openssl-3.0.7-6.el9.src.rpm"]),
                (PROVIDES, &["openssl", "openssl(x86-64)"]),
                (REQUIRES, &["libc.so.6()(64bit)", "bash"]),
            ],
            Some(1),
        )
    }

    #[test]
    fn headers_become_records() {
        let record = record(&openssl()).unwrap();
        assert_eq!(record.version, "1:3.0.7-6.el9");
        assert_eq!(record.epoch, "1");
        assert_eq!(record.license.as_deref(), Some("ASL 2.0"));
        assert_eq!(record.supplier.as_deref(), Some("Red Hat, Inc."));
        assert_eq!(record.upstream, "openssl-3.0.7-6.el9.src.rpm");
        assert_eq!(record.requires, ["libc.so.6()(64bit)", "bash"]);
        assert_eq!(record.provides, ["openssl", "openssl(x86-64)"]);
    }

    #[test]
    fn damaged_headers_are_refused() {
        let good = openssl();
        for len in 0..good.len() {
            assert_eq!(record(&good[..len]), None, "{len}");
        }
        assert_eq!(record(&header(&[(NAME, &["a b"]), (VERSION, &["1"])], None)), None);
        assert_eq!(record(&[0xff; 64]), None);
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(&openssl(), b"\x00\xff\x04\x08", 5_000, |bytes| drop(record(bytes)));
    }
}
