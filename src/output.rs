//! Where the result goes: the `--output` flag, the file or stream that takes the
//! exporter's bytes, and the small files written beside it.
//!
//! A file appears under its final name only when it is whole: bytes go to a temporary
//! name in the same folder, are synced, and are renamed at the end.

use std::{
    error, fmt,
    io::{self, Read},
    path::PathBuf,
};

use crate::terminal_text::shown;

mod flag;
mod folder;
mod metadata;
mod sink;

pub(crate) use flag::split_record;
pub use flag::{Dest, FlagError, Output, fuzz_output_flag};
pub use folder::{FolderPlace, beside_folder, check_folder};
pub use metadata::{image_id, metadata_json};
pub use sink::{Sink, check_dest, forsake, write_atomically};

/// Who has to act when an output fails; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputErrorKind {
    /// The flag says something peelbox does not understand (exit code 2).
    Usage,
    /// The file system, or the reader of the stream, refused (exit code 6).
    Output,
}

/// What a daemon says of an image before it sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announced {
    /// `sha256:…` of the manifest or index.
    pub digest: Option<String>,
    /// `sha256:…` of the config; not of an index.
    pub config_digest: Option<String>,
}

/// Takes a whole image and keeps it, elsewhere than in a file.
pub trait Loader: fmt::Debug + Send + Sync {
    /// Reads `body`, a tar file, to its end and returns when the image is where it belongs; false: it was there before,
    /// and nothing was read.
    ///
    /// # Errors
    /// [`OutputError::Load`].
    fn load(&self, announced: &Announced, body: &mut dyn Read) -> Result<bool, OutputError>;
}

/// Why an output cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutputError {
    /// The value of `--output` is wrong.
    Flag(FlagError),
    /// The destination is a folder.
    IsDirectory(PathBuf),
    /// The destination shall hold files and is no folder.
    NoDirectory(PathBuf),
    /// The destination is the root of this system, whose own files would be replaced.
    SystemRoot(PathBuf),
    /// The destination is a socket, which takes no file.
    IsSocket(PathBuf),
    /// The folder that shall hold the destination is not there.
    NoFolder {
        /// The destination as it was given.
        dest: PathBuf,
        /// The folder that is missing.
        folder: PathBuf,
    },
    /// What shall hold the destination is not a folder.
    NotAFolder {
        /// The destination as it was given.
        dest: PathBuf,
        /// What should have been a folder.
        folder: PathBuf,
    },
    /// Symbolic links lead from the destination in a circle.
    LinkLoop(PathBuf),
    /// Stdout is a terminal, where a tar file helps nobody.
    Terminal,
    /// The destination cannot be looked at.
    Look {
        /// What was looked at.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The destination, or the temporary file beside it, cannot be created or opened.
    Create {
        /// The destination as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk, or the quota, is full.
    NoSpace {
        /// The destination as it was given.
        path: PathBuf,
        /// How much had been handed over by then.
        written_bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed for another reason; for a stream, its reader may have gone.
    Write {
        /// The destination as it was given, `-` for stdout.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The image could not be loaded.
    Load {
        /// Where it should be, such as the address of a Docker Engine.
        place: String,
        /// Why it is not.
        source: Box<dyn error::Error + Send + Sync>,
    },
    /// The whole file or folder could not be given its final name.
    Rename {
        /// The destination as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OutputError {
    /// Tells who has to act.
    pub fn kind(&self) -> OutputErrorKind {
        match self {
            Self::Flag(_) => OutputErrorKind::Usage,
            _ => OutputErrorKind::Output,
        }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::IsDirectory(path) => {
                write!(f, "cannot write `{}`: it is a folder, name a file in it", shown(path))
            }
            Self::NoDirectory(path) => {
                write!(f, "cannot write into `{}`: it is no folder", shown(path))
            }
            Self::SystemRoot(path) => write!(
                f,
                "cannot write into `{}`: it is the root of this system, whose files would be replaced",
                shown(path)
            ),
            Self::IsSocket(path) => {
                write!(f, "cannot write `{}`: it is a socket, name a file", shown(path))
            }
            Self::NoFolder { dest, folder } => write!(
                f,
                "cannot write `{}`: there is no folder `{}`",
                shown(dest),
                shown(folder)
            ),
            Self::NotAFolder { dest, folder } => write!(
                f,
                "cannot write `{}`: `{}` is not a folder",
                shown(dest),
                shown(folder)
            ),
            Self::LinkLoop(path) => {
                write!(f, "cannot write `{}`: its symbolic links form a circle", shown(path))
            }
            Self::Terminal => f.write_str(
                "cannot write an image to a terminal: name a file with `--output type=oci,dest=FILE`, or send stdout to a file or a pipe",
            ),
            Self::Look { path, .. } => write!(f, "cannot look at `{}`", shown(path)),
            Self::Create { path, .. } => write!(f, "cannot create `{}`", shown(path)),
            Self::NoSpace { path, written_bytes, .. } => {
                write!(f, "no room for `{}` after {written_bytes} bytes", shown(path))
            }
            Self::Write { path, .. } if path.as_os_str() == "-" => {
                f.write_str("cannot write to stdout")
            }
            Self::Write { path, .. } => write!(f, "cannot write `{}`", shown(path)),
            Self::Load { place, .. } => write!(f, "cannot load the image into Docker at {place}"),
            Self::Rename { path, .. } => {
                write!(f, "cannot give what is finished its name `{}`", shown(path))
            }
        }
    }
}

impl error::Error for OutputError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Look { source, .. }
            | Self::Create { source, .. }
            | Self::NoSpace { source, .. }
            | Self::Write { source, .. }
            | Self::Rename { source, .. } => Some(source),
            Self::Load { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl From<FlagError> for OutputError {
    fn from(flag: FlagError) -> Self {
        Self::Flag(flag)
    }
}
