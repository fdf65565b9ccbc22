//! A layer as a change: what it adds, and what it hides of those below.

use std::io;

use super::{
    Piece, decompress,
    tar::{Entries, Entry, Kind, TarError},
};
use crate::sbom::{
    self, Interest, Origin,
    gathered::{FILES_MAX, Gathered, TOO_MANY, TOTAL_BYTES_MAX, Want, too_long, want},
};

/// Reads a layer, compressed or not, as far as an SBOM needs it. `lower` is what lies below.
///
/// What is hidden is told whatever lies below, but for files of no interest that stand where a folder was: those count when
/// `lower` knows something in that folder.
///
/// # Errors
/// It is no layer, is damaged, unpacks to more than 4 GiB, or has too many names to be kept.
pub fn gather_layer(layer: &Piece, lower: &Gathered) -> io::Result<Gathered> {
    gather_within(layer, lower, NAMES_BYTES_MAX)
}

fn gather_within(layer: &Piece, lower: &Gathered, names_bytes_max: u64) -> io::Result<Gathered> {
    let unpacked = decompress::Layer::open(layer, UNPACKED_BYTES_MAX)?;
    let mut entries = Entries::new(unpacked, ENTRIES_MAX);
    let mut change =
        Change { lower, gathered: Gathered::default(), total_bytes: 0, names_bytes: 0 };
    while let Some(entry) = entries.next().map_err(io::Error::other)? {
        // Names that are no text are nobody's.
        let Ok(path) = std::str::from_utf8(&entry.path) else { continue };
        let path = absolute(path.as_bytes());
        let (known, length) = (change.gathered.len(), path.len() as u64);
        change.add(&mut entries, &entry, path).map_err(io::Error::other)?;
        change.names_bytes += length * (change.gathered.len() - known) as u64;
        if change.names_bytes > names_bytes_max {
            return Err(io::Error::other("it has too many names"));
        }
    }
    Ok(change.gathered)
}

struct Change<'a> {
    lower: &'a Gathered,
    gathered: Gathered,
    /// Of contents.
    total_bytes: u64,
    /// Of the paths that are kept.
    names_bytes: u64,
}

impl Change<'_> {
    fn add<S: super::tar::Source>(
        &mut self,
        entries: &mut Entries<S>,
        entry: &Entry,
        path: String,
    ) -> Result<(), TarError> {
        match Whiteout::of(&path) {
            Some(Whiteout::Below(hidden) | Whiteout::Of(hidden)) => {
                self.gathered.hidden.insert(hidden);
                return Ok(());
            }
            Some(Whiteout::Nothing) => return Ok(()),
            None => {}
        }
        let is_folder = entry.kind == Kind::Folder;
        let is_file = matches!(entry.kind, Kind::File | Kind::HardLink);
        let is_of_interest = sbom::interest(&path, Origin::Image) != Interest::None;
        let hides_whatever = !is_folder && (!is_file || is_of_interest);
        if hides_whatever || self.lower.knows(&path, is_folder) {
            self.gathered.hidden.insert(path.clone());
        }
        match entry.kind {
            Kind::File => self.file(entries, entry, path),
            Kind::HardLink if is_of_interest => {
                self.link(entry, path);
                Ok(())
            }
            Kind::HardLink | Kind::SymbolicLink | Kind::Folder | Kind::Other => Ok(()),
        }
    }

    fn file<S: super::tar::Source>(
        &mut self,
        entries: &mut Entries<S>,
        entry: &Entry,
        path: String,
    ) -> Result<(), TarError> {
        let size = entry.size_bytes;
        let gathered = &mut self.gathered;
        match want(&path, size, entry.mode) {
            Want::Nothing => {}
            Want::Content { bytes_max } if size > bytes_max => {
                gathered.missing.insert(path, too_long(size, bytes_max));
            }
            Want::Content { .. } | Want::Name if !has_room(gathered) => {
                gathered.missing.insert(path, TOO_MANY.to_owned());
            }
            Want::Name => {
                gathered.names.insert(path, size);
            }
            Want::Content { .. } if self.total_bytes + size > TOTAL_BYTES_MAX => {
                gathered.missing.insert(path, TOO_MANY.to_owned());
            }
            Want::Content { bytes_max } => {
                self.total_bytes += size;
                gathered.contents.insert(path, entries.content(bytes_max)?);
            }
        }
        Ok(())
    }

    /// A further name of a file of this layer.
    fn link(&mut self, entry: &Entry, path: String) {
        let first = absolute(&entry.target);
        let gathered = &mut self.gathered;
        let size = gathered.names.get(&first).copied().unwrap_or_default();
        match want(&path, size, entry.mode) {
            Want::Nothing => {}
            Want::Name => {
                gathered.names.insert(path, size);
            }
            Want::Content { .. } => match gathered.contents.get(&first) {
                Some(data) if self.total_bytes + data.len() as u64 <= TOTAL_BYTES_MAX => {
                    self.total_bytes += data.len() as u64;
                    let data = data.clone();
                    gathered.contents.insert(path, data);
                }
                _ => {
                    let why = format!("it is another name of `{first}`");
                    gathered.missing.insert(path, why);
                }
            },
        }
    }
}

fn has_room(gathered: &Gathered) -> bool {
    gathered.contents.len() + gathered.names.len() < FILES_MAX && gathered.missing.len() < FILES_MAX
}

/// An entry that is no file, but hides what lies below (OCI image specification, `layer.md`).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout {
    /// This, and all that is in it.
    Of(String),
    /// All that is in this folder.
    Below(String),
    /// AUFS' own, such as `.wh..wh.plnk`.
    Nothing,
}

impl Whiteout {
    /// `/a/.wh.b` hides `/a/b`.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == OPAQUE {
            return Some(Self::Below(folder.to_owned()));
        }
        let hidden = name.strip_prefix(WHITEOUT)?;
        let is_of_a_file = !hidden.is_empty() && !hidden.starts_with(WHITEOUT);
        Some(if is_of_a_file { Self::Of(format!("{folder}/{hidden}")) } else { Self::Nothing })
    }
}

/// `./usr//bin/env` → `/usr/bin/env`; nothing leads above the root.
pub(super) fn absolute(path: &[u8]) -> String {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.iter().map(|part| format!("/{}", String::from_utf8_lossy(part))).collect()
}

/// Where the symbolic link at `path` leads: `/var/lib/dpkg` with `../../usr/lib/dpkg` → `/usr/lib/dpkg`.
pub(super) fn linked(path: &str, target: &[u8]) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_absolute = target.starts_with(b"/");
    let from = if is_absolute { b"" } else { folder.as_bytes() };
    absolute(&[from, target].join(&b'/'))
}

/// Prefix of a file that hides one of a layer below.
const WHITEOUT: &str = ".wh.";
/// A folder in which it is hides all that is in it in layers below.
const OPAQUE: &str = ".wh..wh..opq";

/// Paths that are kept of a layer; those of 100,000 files have some 10 MB.
const NAMES_BYTES_MAX: u64 = 32 << 20;
/// Entries of a layer.
const ENTRIES_MAX: u64 = 1_000_000;
/// A layer unpacked.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs::File, io::Write as _};

    use super::{
        super::tar::tests::{entry, header},
        *,
    };
    use crate::mutation::mutate;

    fn piece(bytes: &[u8]) -> Piece {
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Piece::of_file(file).unwrap()
    }

    fn layer() -> Vec<u8> {
        let link = |name: &str, target: &str| header(name, b'1', 0, target);
        let program = vec![1; 600];
        [
            entry("etc/os-release", b'0', b"ID=x", ""),
            entry("usr/bin/app", b'0', &program, ""),
            link("usr/bin/again", "usr/bin/app"),
            entry("app/", b'5', b"", ""),
            entry("app/.wh.package.json", b'0', b"", ""),
            entry("lib/.wh..wh..opq", b'0', b"", ""),
            entry("lib/.wh..wh.plnk", b'0', b"", ""),
            header("bin", b'2', 0, "usr/bin"),
            entry("notes.txt", b'0', b"1", ""),
            entry("text.txt", b'0', b"1", ""),
            vec![0; 1024],
        ]
        .concat()
    }

    #[test]
    fn a_layer_adds_files_and_hides_others() {
        let contents = |path: &str| (path.to_owned(), Vec::new());
        let lower = Gathered {
            contents: [contents("/notes.txt/package.json")].into(),
            ..Gathered::default()
        };
        let found = gather_layer(&piece(&layer()), &lower).unwrap();
        assert_eq!(found.contents.get("/etc/os-release").map(Vec::as_slice), Some(&b"ID=x"[..]));
        let names: Vec<_> = found.names.iter().map(|(path, size)| (path.as_str(), *size)).collect();
        assert_eq!(names, [("/usr/bin/again", 600), ("/usr/bin/app", 600)]);
        let hidden: BTreeSet<&str> = found.hidden.iter().map(String::as_str).collect();
        assert_eq!(
            hidden,
            BTreeSet::from([
                "/app/package.json", "/bin", "/etc/os-release", "/lib", "/notes.txt",
                "/usr/bin/again", "/usr/bin/app",
            ])
        );
    }

    #[test]
    fn a_layer_of_endless_names_is_refused() {
        // A link is kept, as it hides what lies below whatever that is.
        let links = (0..100).flat_map(|n| header(&format!("{n:0>9}"), b'2', 0, "x"));
        let layer: Vec<u8> = links.chain([0; 1024]).collect();
        let gather = |bytes_max| gather_within(&piece(&layer), &Gathered::default(), bytes_max);
        assert_eq!(gather(1000).unwrap().hidden.len(), 100);
        assert_eq!(gather(999).unwrap_err().to_string(), "it has too many names");
    }

    #[test]
    fn a_damaged_layer_is_an_error_and_no_panic() {
        let layer = layer();
        assert!(gather_layer(&piece(&layer[..700]), &Gathered::default()).is_err());
        mutate(&layer, b"\0\x01.wh/", 500, |data| {
            drop(gather_layer(&piece(data), &Gathered::default()));
        });
    }
}
