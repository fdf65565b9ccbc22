//! Follow paths: include patterns found by following symlinks, as fsutil followlinks.go does.
//!
//! Its order of steps decides what is found, so it is kept: a symlink that was met before ends
//! the search there, whatever was to follow behind it.

use std::collections::BTreeSet;

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, FileType, Mode, RawDir, openat, readlinkat, statat},
    io::{Errno, retry_on_intr},
};

use super::{
    error::TransferError,
    gopath::{base, clean, dir, join, match_name},
    inbox::Inbox,
    root::{READ_DIR, Root},
};

/// Paths looked at before the links are held to lead on without end.
const STEPS_MAX: usize = 1 << 16;

/// Names of a folder that a pattern is compared with, for one step.
const NAMES_PER_STEP: usize = 256;

/// Longer paths lead nowhere on Linux.
const PATH_BYTES_MAX: usize = 64 << 10;

const DIR_BUFFER_BYTES: usize = 32 << 10;

/// The include patterns together with what `follow_paths` lead to (fsutil filter.go,
/// `NewFilterFS`); an empty list includes everything.
pub(super) fn includes(
    root: &Root,
    inbox: &Inbox,
    include: &[Vec<u8>],
    follow_paths: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, TransferError> {
    let mut patterns = include.to_vec();
    if follow_paths.is_empty() {
        return Ok(patterns);
    }
    let mut resolver = Resolver { root, inbox, resolved: BTreeSet::new(), steps_left: STEPS_MAX };
    resolver.follow(follow_paths)?;
    let Some(targets) = without_nested(resolver.resolved) else { return Ok(patterns) };
    patterns.extend(targets);
    Ok(without_nested(patterns).unwrap_or_default())
}

/// Drops paths below the path before; `None` if one of them is the root, which is everything.
fn without_nested(paths: impl IntoIterator<Item = Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for path in paths {
        if path == b"." {
            return None;
        }
        let last = out.last().map_or(&b""[..], Vec::as_slice);
        if path.strip_prefix(last).is_some_and(|rest| rest.starts_with(b"/")) {
            continue;
        }
        out.push(path);
    }
    Some(out)
}

struct Resolver<'a> {
    root: &'a Root,
    inbox: &'a Inbox,
    resolved: BTreeSet<Vec<u8>>,
    steps_left: usize,
}

impl Resolver<'_> {
    fn follow(&mut self, paths: &[Vec<u8>]) -> Result<(), TransferError> {
        for path in paths {
            // A stack instead of recursion: chains of links may be long.
            let mut pending = vec![path.clone()];
            while let Some(path) = pending.pop() {
                self.follow_one(&path, &mut pending)?;
            }
        }
        Ok(())
    }

    /// Goes down `path` to its first symlink, and puts what that leads to on `pending`.
    fn follow_one(&mut self, path: &[u8], pending: &mut Vec<Vec<u8>>) -> Result<(), TransferError> {
        let path = join(b".", path);
        if path.len() > PATH_BYTES_MAX {
            return Err(TransferError::TooManyLinks);
        }
        let mut rest = &path[..];
        let mut current = b".".to_vec();
        loop {
            let (first, behind) = match rest.iter().position(|&byte| byte == b'/') {
                Some(slash) => (&rest[..slash], &rest[slash + 1..]),
                None => (rest, &b""[..]),
            };
            rest = behind;
            current = join(&current, first);
            self.step(1)?;
            if self.inbox.is_stopped() {
                let failure = self.inbox.take_failure();
                return Err(failure.unwrap_or(TransferError::Ended(None)));
            }
            let targets = self.targets(&current)?;
            if rest.is_empty() || !targets.is_empty() {
                if !self.resolved.insert(current.clone()) {
                    return Ok(());
                }
                // The first target is followed first, with all that it leads to.
                pending.extend(targets.iter().rev().map(|target| join(target, rest)));
                return Ok(());
            }
        }
    }

    /// Where the symlinks that `path` means lead, as paths from the root; none if it means none.
    fn targets(&mut self, path: &[u8]) -> Result<Vec<Vec<u8>>, TransferError> {
        let failed = |errno| TransferError::walk(path, errno);
        let name = base(path);
        if !has_wildcards(name) {
            return Ok(self.link_target(path).map_err(failed)?.into_iter().collect());
        }
        let mut targets = Vec::new();
        let parent = dir(path);
        let names = self.names(&parent).map_err(failed)?;
        // To read and match them takes about as long as so many steps.
        self.step(names.len() / NAMES_PER_STEP)?;
        for found in names {
            if match_name(name, &found) == Ok(true) {
                targets.extend(self.link_target(&join(&parent, &found)).map_err(failed)?);
            }
        }
        Ok(targets)
    }

    fn step(&mut self, steps: usize) -> Result<(), TransferError> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(TransferError::TooManyLinks)?;
        Ok(())
    }

    fn link_target(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        if leaves_root(path) || path == b"." {
            return Ok(None);
        }
        let parent = dir(path);
        let Some(fd) = self.open_dir(&parent)? else { return Ok(None) };
        let name = base(path);
        let stat = match statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => return Ok(None),
            stat => stat?,
        };
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type != FileType::Symlink {
            return Ok(None);
        }
        let link = clean(readlinkat(&fd, name, Vec::new())?.as_bytes());
        if link.starts_with(b"/") {
            return Ok(Some(link));
        }
        // From the root, so that `..` does not lead out of it.
        Ok(Some(join(b"/", &join(&parent, &link))))
    }

    /// The sorted names in the directory `path`; none if there is no such directory.
    fn names(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = Vec::new();
        let Some(passed) = self.open_dir(path)? else { return Ok(names) };
        let fd = retry_on_intr(|| openat(&passed, c".", READ_DIR, Mode::empty()))?;
        let mut buffer = Vec::with_capacity(DIR_BUFFER_BYTES);
        let mut reader = RawDir::new(fd.as_fd(), buffer.spare_capacity_mut());
        while let Some(entry) = reader.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open_dir(&self, path: &[u8]) -> Result<Option<OwnedFd>, Errno> {
        if leaves_root(path) {
            return Ok(None);
        }
        match self.root.pass_dir(path) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

fn leaves_root(path: &[u8]) -> bool {
    path == b".." || path.starts_with(b"../")
}

fn has_wildcards(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&byte, behind)) = rest.split_first() {
        match byte {
            b'\\' => rest = behind.get(1..).unwrap_or_default(),
            b'*' | b'?' | b'[' => return true,
            _ => rest = behind,
        }
    }
    false
}
