//! Why a transfer failed.

use std::{
    error::Error,
    ffi::OsStr,
    fmt, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::pattern::PatternError;

/// Why the transfer of a context stopped early. Paths are relative to its root.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransferError {
    /// A pattern of the daemon's request cannot be used.
    Pattern(PatternError),
    /// A directory could not be read, or an entry not be looked at.
    Walk {
        /// Of the directory or entry.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that the daemon asked for could not be opened.
    Open {
        /// Of the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that the daemon asked for could not be read.
    Read {
        /// Of the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An entry is not what it was when it was announced.
    Changed {
        /// Of the entry.
        path: PathBuf,
    },
    /// The attributes of an entry do not fit into one message.
    TooLarge {
        /// Of the entry.
        path: PathBuf,
    },
    /// More entries, or longer names, than the protocol or memory can number.
    TooManyEntries,
    /// Following symlinks for the daemon took too many steps.
    TooManyLinks,
    /// The daemon asked for an id that is no file, or asked twice.
    UnknownId(u32),
    /// The daemon sent something that is no packet of this exchange.
    BadPacket,
    /// The daemon gave up, in its words.
    Daemon(String),
    /// The stream ended before the daemon had everything; with the reason if there was one.
    Ended(Option<String>),
    /// The stream takes no more data.
    Closed,
    /// A thread of ours failed.
    Panicked,
}

impl TransferError {
    /// Whether the daemon cancelled the transfer: why it did is told by the answer to the whole build.
    ///
    /// It does so when another step fails meanwhile. A reason of its own is another matter: then it could not store
    /// what it was sent.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Daemon(text) => text.is_empty() || text.ends_with("context canceled"),
            Self::Ended(_) | Self::Closed => true,
            _ => false,
        }
    }

    /// Whether a rule of the exchange was broken, by the daemon or by us; the context is not to blame.
    pub fn is_protocol(&self) -> bool {
        matches!(self, Self::UnknownId(_) | Self::BadPacket | Self::Panicked)
    }

    pub(super) fn walk(path: &[u8], errno: Errno) -> Self {
        Self::Walk { path: as_path(path), source: errno.into() }
    }

    pub(super) fn open(path: &[u8], errno: Errno) -> Self {
        Self::Open { path: as_path(path), source: errno.into() }
    }

    pub(super) fn read(path: &[u8], errno: Errno) -> Self {
        Self::Read { path: as_path(path), source: errno.into() }
    }

    pub(super) fn changed(path: &[u8]) -> Self {
        Self::Changed { path: as_path(path) }
    }

    pub(super) fn too_large(path: &[u8]) -> Self {
        Self::TooLarge { path: as_path(path) }
    }
}

fn as_path(path: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(path)).to_path_buf()
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(_) => write!(f, "cannot filter the context"),
            Self::Walk { path, .. } => write!(f, "cannot walk `{}`", path.display()),
            Self::Open { path, .. } => write!(f, "cannot open `{}`", path.display()),
            Self::Read { path, .. } => write!(f, "cannot read `{}`", path.display()),
            Self::Changed { path } => write!(f, "`{}` changed while it was sent", path.display()),
            Self::TooLarge { path } => {
                write!(f, "the extended attributes of `{}` are too large to send", path.display())
            }
            Self::TooManyEntries => write!(f, "the context has too many entries"),
            Self::TooManyLinks => write!(f, "the symlinks of the context lead on without end"),
            Self::UnknownId(id) => write!(f, "the daemon asked for file {id}, which it must not"),
            Self::BadPacket => write!(f, "the daemon sent a packet that makes no sense"),
            Self::Daemon(text) => write!(f, "the daemon stopped the transfer: {text}"),
            Self::Ended(None) => write!(f, "the daemon ended the transfer early"),
            Self::Ended(Some(reason)) => {
                write!(f, "the transfer of the context was cut off: {reason}")
            }
            Self::Closed => write!(f, "the transfer of the context was cut off"),
            Self::Panicked => write!(f, "a thread of the transfer failed"),
        }
    }
}

impl Error for TransferError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Pattern(source) => Some(source),
            Self::Walk { source, .. } | Self::Open { source, .. } | Self::Read { source, .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}

impl From<PatternError> for TransferError {
    fn from(source: PatternError) -> Self {
        Self::Pattern(source)
    }
}
