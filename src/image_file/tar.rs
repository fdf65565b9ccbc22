//! Reading a tar one entry after the other: header, names that do not fit into it, content.
//!
//! POSIX.1-1988 (`ustar`), POSIX.1-2001 (pax) and GNU long names, which is what Go's `archive/tar` and GNU tar write. A
//! name that is longer than its field comes as the content of an entry before, in any length; so every length is
//! compared with a limit before it is read.

use std::{error, fmt, io};

/// Where the bytes come from.
pub(super) trait Source: io::Read {
    /// Leaves out bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are fewer.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A further name of a file.
    HardLink,
    SymbolicLink,
    /// A symbolic link, a device, a FIFO.
    Other,
}

/// One entry; its content is read from the [`Entries`] that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size_bytes: u64,
    /// Permission bits; none where the header has no number.
    pub(super) mode: u32,
    /// Where a link leads.
    pub(super) target: Vec<u8>,
    /// Where its content begins in the tar.
    pub(super) offset: u64,
}

/// The entries of a tar, in order.
pub(super) struct Entries<S> {
    source: S,
    /// Read so far.
    offset: u64,
    /// Of the content of the entry that was given last.
    content_left: u64,
    padding: u64,
    entries_left: u64,
    is_over: bool,
}

/// What the entries before the real one say of it.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size_bytes: Option<u64>,
}

impl<S: Source> Entries<S> {
    /// Gives at most `entries_max` entries.
    pub(super) fn new(source: S, entries_max: u64) -> Self {
        Self {
            source,
            offset: 0,
            content_left: 0,
            padding: 0,
            entries_left: entries_max,
            is_over: false,
        }
    }

    /// Gives the next entry; the content of the one before is left behind. `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extension = Extension::default();
        loop {
            self.leave()?;
            let at = self.offset;
            let Some(header) = self.header()? else { return Ok(None) };
            let fault = |fault| TarError { offset: at, fault };
            self.entries_left =
                self.entries_left.checked_sub(1).ok_or_else(|| fault(Fault::Entries))?;
            let size_bytes = number(&header[124..136]).ok_or_else(|| fault(Fault::Number))?;
            match header[156] {
                kind @ (b'L' | b'K' | b'x' | b'g') => {
                    if size_bytes > EXTENSION_BYTES_MAX {
                        return Err(fault(Fault::Extension));
                    }
                    self.content_left = size_bytes;
                    self.padding = padding(size_bytes);
                    let data = self.content(EXTENSION_BYTES_MAX)?;
                    let name = || data.split(|b| *b == 0).next().unwrap_or_default().to_vec();
                    match kind {
                        b'L' => extension.path = Some(name()),
                        b'K' => extension.target = Some(name()),
                        b'x' => extension.read(&data).map_err(fault)?,
                        // It speaks of all that follow; nothing in it is of use here.
                        _ => {}
                    }
                }
                b'S' => return Err(fault(Fault::Sparse)),
                _ => {
                    let entry = self.entry(&header, size_bytes, extension);
                    return entry.map(Some).map_err(fault);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: &[u8; BLOCK_BYTES],
        size_bytes: u64,
        extension: Extension,
    ) -> Result<Entry, Fault> {
        let field = |from: usize, to: usize| {
            header[from..to].split(|b| *b == 0).next().unwrap_or_default().to_vec()
        };
        let path = extension.path.unwrap_or_else(|| {
            let (name, prefix) = (field(0, 100), field(345, 500));
            // GNU has other things in the place of the prefix.
            if &header[257..263] == b"ustar\0" && !prefix.is_empty() {
                [prefix, name].join(&b'/')
            } else {
                name
            }
        });
        let kind = match header[156] {
            b'0' | 0 | b'7' if path.ends_with(b"/") => Kind::Folder,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::SymbolicLink,
            b'5' => Kind::Folder,
            _ => Kind::Other,
        };
        // Some say a size for what has no content (Go `archive/tar`, `isHeaderOnly`).
        let has_content = kind != Kind::Folder && !matches!(header[156], b'1'..=b'6');
        let said = extension.size_bytes.unwrap_or(size_bytes);
        let size_bytes = if has_content { said } else { 0 };
        if size_bytes > CONTENT_BYTES_MAX {
            return Err(Fault::Number);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(Fault::Path);
        }
        self.content_left = size_bytes;
        self.padding = padding(size_bytes);
        Ok(Entry {
            path,
            kind,
            size_bytes,
            mode: number(&header[100..108]).unwrap_or_default() as u32 & 0o7777,
            target: extension.target.unwrap_or_else(|| field(157, 257)),
            offset: self.offset,
        })
    }

    /// The whole content of the last entry, which must not be longer than `bytes_max`.
    pub(super) fn content(&mut self, bytes_max: u64) -> Result<Vec<u8>, TarError> {
        if self.content_left > bytes_max {
            return Err(TarError { offset: self.offset, fault: Fault::Extension });
        }
        // What is said of the length is not believed before it has come.
        let mut data = Vec::new();
        let mut buf = [0; 16 << 10];
        loop {
            match self.read(&mut buf)? {
                0 => return Ok(data),
                count => data.extend_from_slice(&buf[..count]),
            }
        }
    }

    /// The first bytes of the content of the last entry, enough to tell what it is; what is read next follows on them.
    pub(super) fn head(&mut self) -> Result<Vec<u8>, TarError> {
        let mut head = vec![0; HEAD_BYTES];
        let mut filled = 0;
        while filled < HEAD_BYTES {
            match self.read(&mut head[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        head.truncate(filled);
        Ok(head)
    }

    /// Reads on in the content of the last entry; 0 at its end.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        let wanted = usize::try_from(self.content_left).unwrap_or(usize::MAX).min(buf.len());
        if wanted == 0 {
            return Ok(0);
        }
        loop {
            match self.source.read(&mut buf[..wanted]) {
                Ok(0) => return Err(self.io(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => {
                    self.content_left -= count as u64;
                    self.offset += count as u64;
                    return Ok(count);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.io(e)),
            }
        }
    }

    /// Goes to the next header.
    fn leave(&mut self) -> Result<(), TarError> {
        let bytes = std::mem::take(&mut self.content_left) + std::mem::take(&mut self.padding);
        self.source.skip(bytes).map_err(|e| self.io(e))?;
        self.offset += bytes;
        Ok(())
    }

    /// The next header; `None` at the end, which is a block of zeros or that of the file.
    fn header(&mut self) -> Result<Option<[u8; BLOCK_BYTES]>, TarError> {
        if self.is_over {
            return Ok(None);
        }
        let mut header = [0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.source.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => break,
                Ok(0) => return Err(self.io(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.io(e)),
            }
        }
        if header.iter().all(|byte| *byte == 0) {
            self.is_over = true;
            return Ok(None);
        }
        let sum: u64 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        if number(&header[148..156]) != Some(sum) {
            let fault = if self.offset == 0 { Fault::NoTar } else { Fault::Checksum };
            return Err(TarError { offset: self.offset, fault });
        }
        self.offset += BLOCK_BYTES as u64;
        Ok(Some(header))
    }

    fn io(&self, error: io::Error) -> TarError {
        let fault = match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Truncated,
            _ => Fault::Read(error),
        };
        TarError { offset: self.offset, fault }
    }
}

impl Extension {
    /// Records of a pax header: `LENGTH KEY=VALUE\n`.
    fn read(&mut self, mut data: &[u8]) -> Result<(), Fault> {
        while !data.is_empty() {
            let space = data.iter().position(|b| *b == b' ').ok_or(Fault::Record)?;
            let length: usize = std::str::from_utf8(&data[..space])
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or(Fault::Record)?;
            let record = data.get(space + 1..length).ok_or(Fault::Record)?;
            let record = record.strip_suffix(b"\n").ok_or(Fault::Record)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or(Fault::Record)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => {
                    let digits = std::str::from_utf8(value).ok();
                    let size = digits.and_then(|digits| digits.parse().ok());
                    self.size_bytes = Some(size.ok_or(Fault::Record)?);
                }
                _ if key.starts_with(b"GNU.sparse.") => return Err(Fault::Sparse),
                _ => {}
            }
            data = &data[length..];
        }
        Ok(())
    }
}

/// Octal digits, or where they do not suffice a big-endian number behind a byte of `0x80`.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (first, rest) = field.split_first()?;
        return rest.iter().try_fold(u64::from(first & 0x7F), |number, byte| {
            (number >> 56 == 0).then(|| number << 8 | u64::from(*byte))
        });
    }
    let text = field.trim_ascii_start();
    let end = text.iter().position(|b| matches!(b, 0 | b' ')).unwrap_or(text.len());
    text[..end].iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

fn padding(size_bytes: u64) -> u64 {
    size_bytes.next_multiple_of(BLOCK_BYTES as u64) - size_bytes
}

/// What is wrong with a tar, and where.
#[derive(Debug)]
pub struct TarError {
    /// Byte of the (uncompressed) tar.
    pub offset: u64,
    pub(super) fault: Fault,
}

#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Truncated,
    NoTar,
    Checksum,
    Number,
    Record,
    Extension,
    Path,
    Sparse,
    Entries,
}

impl fmt::Display for TarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.fault {
            Fault::Read(_) => "cannot be read",
            Fault::Truncated => "the tar ends in the middle of an entry",
            Fault::NoTar => "it is no tar",
            Fault::Checksum => "the checksum of an entry is wrong",
            Fault::Number => "the size of an entry is wrong or above 1 TiB",
            Fault::Record => "a pax header is damaged",
            Fault::Extension => "what is said of an entry is longer than 1 MiB",
            Fault::Path => "a name is longer than 4096 bytes",
            Fault::Sparse => "it has a sparse file, which images do not have",
            Fault::Entries => "it has more entries than are read",
        };
        write!(f, "{text} (at byte {})", self.offset)
    }
}

impl error::Error for TarError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.fault {
            Fault::Read(error) => Some(error),
            _ => None,
        }
    }
}

const BLOCK_BYTES: usize = 512;
/// What tells a program from other files.
const HEAD_BYTES: usize = 4;
/// Longest pax header or long name.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;
/// Longest content; no image has a file of that size, and sums of such sizes do not overflow.
const CONTENT_BYTES_MAX: u64 = 1 << 40;
/// `PATH_MAX` of Linux.
const PATH_BYTES_MAX: usize = 4096;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mutation::mutate;

    impl Source for &[u8] {
        fn skip(&mut self, bytes: u64) -> io::Result<()> {
            let count = usize::try_from(bytes).unwrap_or(usize::MAX);
            *self = self.get(count..).ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(())
        }
    }

    /// A header, as `ustar` has it.
    pub(in crate::image_file) fn header(name: &str, kind: u8, size: u64, target: &str) -> Vec<u8> {
        let mut header = vec![0; BLOCK_BYTES];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000755\0");
        header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        header[156] = kind;
        header[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        sign(&mut header);
        header
    }

    fn sign(header: &mut [u8]) {
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    /// An entry with its content.
    pub(in crate::image_file) fn entry(
        name: &str,
        kind: u8,
        content: &[u8],
        target: &str,
    ) -> Vec<u8> {
        let mut bytes = header(name, kind, content.len() as u64, target);
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        bytes
    }

    fn all(bytes: &[u8]) -> Result<Vec<(String, Kind, Vec<u8>)>, TarError> {
        let mut entries = Entries::new(bytes, 100);
        let mut found = Vec::new();
        while let Some(entry) = entries.next()? {
            let content = entries.content(1 << 20)?;
            found.push((String::from_utf8_lossy(&entry.path).into_owned(), entry.kind, content));
        }
        Ok(found)
    }

    fn record(key: &str, value: &str) -> Vec<u8> {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len();
        while length != rest.len() + length.to_string().len() {
            length = rest.len() + length.to_string().len();
        }
        format!("{length}{rest}").into_bytes()
    }

    #[test]
    fn entries_have_names_kinds_and_contents() {
        let long = "d/".repeat(90);
        let mut split = header("file", b'0', 0, "");
        split[345..348].copy_from_slice(b"a/b");
        sign(&mut split);
        let tar = [
            entry("dir/", b'5', b"", ""),
            entry("a", b'0', b"hello", ""),
            entry("b", b'1', b"", "a"),
            entry("s", b'2', b"", "a"),
            entry("././@LongLink", b'L', format!("{long}x\0").as_bytes(), ""),
            entry("short", b'0', b"1", ""),
            entry("pax", b'x', &record("path", "caf\u{e9}"), ""),
            entry("cafe", 0, b"22", ""),
            split,
            vec![0; 1024],
            entry("behind the end", b'0', b"", ""),
        ];
        let found = all(&tar.concat()).unwrap();
        let expected = [
            ("dir/", Kind::Folder, ""),
            ("a", Kind::File, "hello"),
            ("b", Kind::HardLink, ""),
            ("s", Kind::SymbolicLink, ""),
            (&format!("{long}x"), Kind::File, "1"),
            ("caf\u{e9}", Kind::File, "22"),
            ("a/b/file", Kind::File, ""),
        ];
        let expected =
            expected.map(|(path, kind, text)| (path.to_owned(), kind, text.as_bytes().to_vec()));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let fault = |bytes: &[u8]| all(bytes).expect_err("a fault").to_string();
        let good = entry("a", b'0', &[7; 600], "");
        assert_eq!(fault(&good[..700]), "the tar ends in the middle of an entry (at byte 700)");
        assert_eq!(fault(&good[..100]), "the tar ends in the middle of an entry (at byte 0)");
        assert_eq!(fault(&[b'x'; 512]), "it is no tar (at byte 0)");
        let mut broken = [good.clone(), good.clone()].concat();
        broken[1536 + 3] = b'y';
        assert_eq!(fault(&broken), "the checksum of an entry is wrong (at byte 1536)");
        assert!(fault(&entry("g", b'S', b"", "")).contains("sparse"));
        assert!(fault(&entry("x", b'x', b"12 path", "")).contains("pax header"));
        assert!(fault(&entry("x", b'x', &record("size", "-1"), "")).contains("pax header"));
    }

    #[test]
    fn sizes_that_nobody_has_are_refused_before_anything_is_read() {
        let mut huge = header("a", b'0', 0, "");
        for (size, text) in [
            (&b"77777777777\0"[..], "the tar ends"),
            (&b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"[..], "the size of an entry"),
            (&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], "the size of an entry"),
            (&b"0000000000x\0"[..], "the size of an entry"),
        ] {
            huge[124..136].copy_from_slice(size);
            sign(&mut huge);
            let mut entries = Entries::new(huge.as_slice(), 10);
            let found = entries.next().and_then(|_| entries.next()).expect_err("a fault");
            assert!(found.to_string().contains(text), "{found}");
        }
        let name = header("x", b'L', 1 << 30, "");
        assert!(all(&name).expect_err("a fault").to_string().contains("longer than 1 MiB"));
        let path = entry("x", b'L', &[b'a'; 5000], "");
        let long = [path, entry("a", b'0', b"", "")].concat();
        assert!(all(&long).expect_err("a fault").to_string().contains("4096"));
        let many = entry("a", b'0', b"", "").repeat(101);
        assert!(all(&many).expect_err("a fault").to_string().contains("more entries"));
        let endless = entry("g", b'g', b"", "").repeat(101);
        assert!(all(&endless).expect_err("a fault").to_string().contains("more entries"));
    }

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   17 \0\0"), Some(0o17));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\x01\0"), Some(256));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(number(b"8\0"), None);
    }

    #[test]
    fn no_bytes_make_the_reader_panic() {
        let tar = [
            entry("a", b'0', b"hello", ""),
            entry("x", b'x', &[record("path", "b"), record("size", "3")].concat(), ""),
            entry("b", b'0', b"abc", ""),
            entry("l", b'L', b"name\0", ""),
            entry("c", b'1', b"", "a"),
        ]
        .concat();
        mutate(&tar, b"\0 017xLgS=\x80\xff", 3_000, |bytes| drop(all(bytes)));
        // With sums that are right, so that what is behind them is reached.
        mutate(&tar, b"\0 017xLgS=\x80\xff", 3_000, |bytes| {
            let mut bytes = bytes.to_vec();
            for header in bytes.chunks_exact_mut(BLOCK_BYTES).step_by(2) {
                sign(header);
            }
            drop(all(&bytes));
        });
    }
}
