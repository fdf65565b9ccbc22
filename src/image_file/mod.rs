//! An image in a file: what `type=oci` and `docker save` write, or an OCI image layout as a folder.
//!
//! [`ImageFile::open`] reads the names of what is in the tar, [`ImageFile::inspect`] what they are and whether they are
//! what they say, [`ImageFile::gather`] the files of an image that an SBOM is made of. The file may come from anywhere:
//! nothing is unpacked, every size and count has a limit, and what is read of an image is compared with its digest.

use std::{
    collections::BTreeMap,
    error, fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::{
    digest::hex,
    oci_layout::{Digest, OciLayout, OciLayoutError},
    sbom::ReadAt,
};

mod decompress;
mod documents;
mod gather;
mod inspect;
mod layer;
mod report;
mod statement;
mod tar;

#[cfg(test)]
mod tests;

pub use self::{
    inspect::Depth,
    layer::gather_layer,
    report::{
        Attestation, Beside, Config, Form, Image, Layer, Manifest, OtherPlatform, Report,
        StatementOf,
    },
    statement::{Facts, predicate},
    tar::TarError,
};

/// An opened file, whose parts can be read in any order.
#[derive(Debug)]
pub struct ImageFile {
    /// For messages.
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Tar { file: Arc<File>, size_bytes: u64, entries: BTreeMap<String, (u64, u64)> },
    Folder(OciLayout),
}

/// A part of a file, such as a blob in a tar.
#[derive(Clone, Debug)]
pub struct Piece {
    file: Arc<File>,
    offset: u64,
    size_bytes: u64,
}

impl ImageFile {
    /// Opens a tar, or a folder, and finds what is in it.
    ///
    /// # Errors
    /// [`ImageFileError`] if that is no image, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, ImageFileError> {
        let open = |source: io::Error| ImageFileError::Open { path: path.to_owned(), source };
        // A FIFO would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| open(error.into()))?,
        );
        let metadata = file.metadata().map_err(open)?;
        if metadata.is_dir() {
            let layout = OciLayout::open(path).map_err(ImageFileError::Layout)?;
            return Ok(Self { path: path.to_owned(), place: Place::Folder(layout) });
        }
        if !metadata.is_file() {
            return Err(ImageFileError::NoFile(path.to_owned()));
        }
        let (file, size_bytes) = (Arc::new(file), metadata.len());
        let whole = Piece { file: Arc::clone(&file), offset: 0, size_bytes };
        let mut magic = [0; 4];
        let filled = whole.read_at(0, &mut magic).map_err(open)?;
        if let Some(name) = decompress::compression(&magic[..filled]) {
            return Err(ImageFileError::Compressed { path: path.to_owned(), name });
        }
        let entries = list(&whole).map_err(|problem| match problem {
            ListProblem::Tar(source) => ImageFileError::Tar { path: path.to_owned(), source },
            ListProblem::Twice(name) => ImageFileError::Twice { path: path.to_owned(), name },
        })?;
        if ![INDEX, DOCKER_MANIFEST].iter().any(|name| entries.contains_key(*name)) {
            return Err(ImageFileError::NoImage(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), place: Place::Tar { file, size_bytes, entries } })
    }

    /// Its size in bytes; of a folder it is not known.
    fn size_bytes(&self) -> Option<u64> {
        match &self.place {
            Place::Tar { size_bytes, .. } => Some(*size_bytes),
            Place::Folder(_) => None,
        }
    }

    /// A file of the tar.
    fn file(&self, name: &str) -> Option<Piece> {
        let Place::Tar { file, entries, .. } = &self.place else { return None };
        let (offset, size_bytes) = *entries.get(name)?;
        Some(Piece { file: Arc::clone(file), offset, size_bytes })
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Piece>, ImageFileError> {
        match &self.place {
            Place::Tar { .. } => Ok(self.file(&format!("blobs/sha256/{}", digest.hex()))),
            Place::Folder(layout) => match layout.blob(digest.as_str()) {
                Ok(blob) => {
                    let size_bytes = blob.size();
                    let file = Arc::new(blob.into_file());
                    Ok(Some(Piece { file, offset: 0, size_bytes }))
                }
                Err(OciLayoutError::NotFound { .. }) => Ok(None),
                Err(error) => Err(ImageFileError::Layout(error)),
            },
        }
    }

    fn open_error(&self, source: io::Error) -> ImageFileError {
        ImageFileError::Open { path: self.path.clone(), source }
    }
}

enum ListProblem {
    Tar(TarError),
    Twice(String),
}

/// Names of the regular files of a tar and of the links to them, with where their content is and how long.
///
/// `docker save` writes a layer that two images share once, and a symbolic link for the other (moby
/// `image/tarexport/save.go`).
fn list(whole: &Piece) -> Result<BTreeMap<String, (u64, u64)>, ListProblem> {
    let mut entries = tar::Entries::new(whole.reader(), FILE_ENTRIES_MAX);
    let (mut found, mut links) = (BTreeMap::new(), BTreeMap::new());
    let mut names_left = FILE_NAMES_BYTES_MAX;
    while let Some(entry) = entries.next().map_err(ListProblem::Tar)? {
        // Images are described by plain names; what has another one is not looked at.
        let Ok(path) = String::from_utf8(entry.path) else { continue };
        let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
        let target = match entry.kind {
            tar::Kind::File => None,
            tar::Kind::HardLink => Some(layer::absolute(&entry.target)),
            tar::Kind::SymbolicLink => Some(layer::linked(&path, &entry.target)),
            tar::Kind::Folder | tar::Kind::Other => continue,
        };
        let too_many = TarError { offset: entry.offset, fault: tar::Fault::Entries };
        let names = path.len() + target.as_ref().map_or(0, String::len);
        names_left = names_left.checked_sub(names).ok_or(ListProblem::Tar(too_many))?;
        // Two tools could take two of them for the image.
        if found.contains_key(&path) || links.contains_key(&path) {
            return Err(ListProblem::Twice(path));
        }
        match target {
            None => drop(found.insert(path, (entry.offset, entry.size_bytes))),
            Some(target) => drop(links.insert(path, target)),
        }
    }
    // A link leads to a file, not to a further link.
    for (path, target) in links {
        if let Some(place) = found.get(target.trim_start_matches('/')).copied() {
            found.entry(path).or_insert(place);
        }
    }
    Ok(found)
}

impl Piece {
    /// Reads it from the beginning.
    fn reader(&self) -> PieceReader {
        PieceReader { piece: self.clone(), at: 0, buffer: Vec::new(), from: 0 }
    }

    /// Reads it whole.
    fn read(&self, bytes_max: u64) -> io::Result<Vec<u8>> {
        if self.size_bytes > bytes_max {
            return Err(io::Error::other(format!("more than {bytes_max} bytes")));
        }
        let mut data = Vec::new();
        self.reader().read_to_end(&mut data)?;
        Ok(data)
    }

    /// SHA-256 of it, in hexadecimal digits.
    fn sha256(&self) -> io::Result<String> {
        let mut hash = Sha256::new();
        let mut buf = vec![0; BUFFER_BYTES];
        let mut at = 0;
        loop {
            match self.read_at(at, &mut buf)? {
                0 if at < self.size_bytes => return Err(io::ErrorKind::UnexpectedEof.into()),
                0 => return Ok(hex(hash.finalize())),
                count => {
                    hash.update(&buf[..count]);
                    at += count as u64;
                }
            }
        }
    }
}

impl Piece {
    /// All of a file.
    ///
    /// # Errors
    /// The file does not say how long it is.
    pub fn of_file(file: File) -> io::Result<Self> {
        let size_bytes = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), offset: 0, size_bytes })
    }
}

impl ReadAt for Piece {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.size_bytes.saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let mut filled = 0;
        while filled < length {
            let at = self.offset + offset + filled as u64;
            match self.file.read_at(&mut buf[filled..length], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }
}

/// A piece as a stream.
struct PieceReader {
    piece: Piece,
    at: u64,
    buffer: Vec<u8>,
    /// What of the buffer is given out.
    from: usize,
}

impl PieceReader {
    /// Reads on, once all of the buffer is given out.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.resize(BUFFER_BYTES, 0);
        let count = self.piece.read_at(self.at, &mut self.buffer);
        self.buffer.truncate(*count.as_ref().unwrap_or(&0));
        self.from = 0;
        self.at += count? as u64;
        Ok(())
    }
}

impl Read for PieceReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.from == self.buffer.len() {
            self.fill()?;
        }
        let count = out.len().min(self.buffer.len() - self.from);
        out[..count].copy_from_slice(&self.buffer[self.from..self.from + count]);
        self.from += count;
        Ok(count)
    }
}

impl tar::Source for PieceReader {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let buffered = (self.buffer.len() - self.from) as u64;
        if bytes <= buffered {
            self.from += bytes as usize;
            return Ok(());
        }
        self.buffer.clear();
        self.from = 0;
        self.at += bytes - buffered;
        if self.at > self.piece.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// Why there is no image to look at.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImageFileError {
    /// It cannot be opened or read.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pipe, a device.
    NoFile(PathBuf),
    /// The tar as a whole is compressed.
    Compressed {
        /// The file.
        path: PathBuf,
        /// How.
        name: &'static str,
    },
    /// It is no tar, or a damaged one.
    Tar {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: TarError,
    },
    /// A tar has two files of one name.
    Twice {
        /// The tar.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A tar without an image.
    NoImage(PathBuf),
    /// A document that is not the JSON it should be.
    Json {
        /// The file.
        path: PathBuf,
        /// The document in it.
        name: String,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A part that has not the length, digest or form that it should have.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part, and what is wrong with it.
        problem: String,
    },
    /// A folder that is no OCI image layout.
    Layout(OciLayoutError),
    /// What is read of layers needs a place.
    Spool {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for ImageFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, .. } | Self::Tar { path, .. } => {
                write!(f, "cannot read `{}`", path.display())
            }
            Self::NoFile(path) => {
                write!(f, "`{}` is neither a file nor a folder", path.display())
            }
            Self::Compressed { path, name } => {
                write!(f, "`{}` is compressed with {name}", path.display())
            }
            Self::Twice { path, name } => {
                write!(f, "`{}` has two files `{}`", path.display(), name.escape_debug())
            }
            Self::NoImage(path) => write!(
                f,
                "`{}` is a tar without an image: it has neither `{INDEX}` nor `{DOCKER_MANIFEST}`",
                path.display()
            ),
            Self::Json { path, name, .. } => {
                write!(f, "cannot understand `{}` in `{}`", name.escape_debug(), path.display())
            }
            Self::Damaged { path, problem } => {
                write!(f, "`{}` is damaged: {problem}", path.display())
            }
            Self::Layout(error) => error.fmt(f),
            Self::Spool { folder, .. } => {
                write!(f, "cannot keep files of the image in `{}`", folder.display())
            }
        }
    }
}

impl error::Error for ImageFileError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Open { source, .. } | Self::Spool { source, .. } => Some(source),
            Self::Tar { source, .. } => Some(source),
            Self::Json { source, .. } => Some(source),
            Self::Layout(error) => error.source(),
            _ => None,
        }
    }
}

/// What an OCI image layout begins with.
const INDEX: &str = "index.json";
/// What `docker load` begins with.
const DOCKER_MANIFEST: &str = "manifest.json";
/// Files in the tar of an image; one of 20 platforms with 100 layers each has some 2,000.
const FILE_ENTRIES_MAX: u64 = 100_000;
/// All their names.
const FILE_NAMES_BYTES_MAX: usize = 16 << 20;
/// What is read at once.
const BUFFER_BYTES: usize = 64 << 10;
