//! The directory that is sent, and opening what lies in it without ever leaving it.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat},
    io::{Errno, retry_on_intr},
};

/// Stays below PATH_MAX, which counts the final NUL.
const PIECE_BYTES_MAX: usize = 4000;

/// How directories are opened to be read.
pub(super) const READ_DIR: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK);

/// How directories are opened to be passed through.
const PASS_DIR: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The root of a context: an open directory, so that later renames do not matter.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
    /// Without symlinks, as far as that could be found out.
    real: Option<PathBuf>,
}

impl Root {
    /// Opens `path`; if it is a symlink, what it leads to is the root.
    ///
    /// # Errors
    /// If `path` does not lead to a directory that can be opened.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| openat(CWD, &path, flags, Mode::empty()))?;
        let inode = |stat: Stat| (stat.st_dev, stat.st_ino);
        let opened = inode(fstat(&fd)?);
        let real = fs::canonicalize(&path).ok();
        let real = real.filter(|real| statat(CWD, real, AtFlags::empty()).map(inode) == Ok(opened));
        Ok(Self { fd, path, real })
    }

    /// Where the directory is, without symlinks; nothing keeps it there.
    pub(super) fn real_path(&self) -> Option<&Path> {
        self.real.as_deref()
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::session) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Opens the directory `dir`, given relative and clean, to reach what is in it.
    ///
    /// No component may be a symlink; `dir` may be longer than PATH_MAX.
    pub(in crate::session) fn pass_dir(&self, dir: &[u8]) -> Result<OwnedFd, Errno> {
        let mut rest = dir;
        let mut at: Option<OwnedFd> = None;
        loop {
            let (piece, behind) = split_piece(rest)?;
            let next = open_piece(at.as_ref().unwrap_or(&self.fd).as_fd(), piece)?;
            if behind.is_empty() {
                return Ok(next);
            }
            at = Some(next);
            rest = behind;
        }
    }

    /// Reads the regular file `name` directly in the root, following symlinks as docker does.
    ///
    /// `None` if there is none. More than `bytes_max` is an error.
    pub(super) fn read_file(&self, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match retry_on_intr(|| openat(&self.fd, name, flags, Mode::empty())) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let file = File::from(fd);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut text = Vec::new();
        file.take(bytes_max as u64 + 1).read_to_end(&mut text)?;
        if text.len() > bytes_max {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(Some(text))
    }
}

/// As much of `path` as one system call takes, cut at a slash, and the rest.
fn split_piece(path: &[u8]) -> Result<(&[u8], &[u8]), Errno> {
    if path.len() <= PIECE_BYTES_MAX {
        return Ok((path, &[]));
    }
    let cut = path[..PIECE_BYTES_MAX].iter().rposition(|&byte| byte == b'/');
    let cut = cut.ok_or(Errno::NAMETOOLONG)?;
    Ok((&path[..cut], &path[cut + 1..]))
}

fn open_piece(at: BorrowedFd<'_>, piece: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match retry_on_intr(|| openat2(at, piece, PASS_DIR, Mode::empty(), resolve)) {
        // Linux before 5.6, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => open_by_component(at, piece),
        opened => opened,
    }
}

fn open_by_component(at: BorrowedFd<'_>, piece: &[u8]) -> Result<OwnedFd, Errno> {
    let mut reached: Option<OwnedFd> = None;
    for name in piece.split(|&byte| byte == b'/') {
        let from = reached.as_ref().map_or(at, AsFd::as_fd);
        reached = Some(retry_on_intr(|| openat(from, name, PASS_DIR, Mode::empty()))?);
    }
    reached.ok_or(Errno::NOENT)
}
