//! Entries of a result → a folder on the disk.
//!
//! Everything is made by one name in an open folder that was reached without a symbolic link ([`Root`]): nothing that
//! comes, and nothing that was there before, leads out. A folder that is new gets its name when it is whole; in one that
//! was there each file does.

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    fs::{File, Permissions},
    io::{self, Write as _},
    mem,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use rustix::{
    fd::{AsFd as _, BorrowedFd, OwnedFd},
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat,
        fchmod, fchown, fsetxattr, futimens, linkat, makedev, mkdirat, mknodat, openat, renameat,
        statat, symlinkat, unlinkat, utimensat,
    },
    io::{Errno, dup, retry_on_intr},
    process::geteuid,
};
use sha2::{Digest as _, Sha256};

use super::{
    entry::{Entry, Kind, Place, shown},
    names::{chmod_open, open_own_dir, remove_tree},
};
use crate::{
    output::{FolderPlace, OutputError},
    session::filesync::Root,
};

/// Mode of a new folder, of which the umask takes its part.
const NEW_DIR_MODE: u32 = 0o777;
/// Until what is in it is whole; nobody else shall look.
const UNFINISHED_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const UNFINISHED_DIR: Mode = Mode::RWXU;
const SET_IDS: u32 = 0o6000;

/// A folder that is being written. Dropped before [`Disk::finish`] it leaves no file that is not whole.
#[derive(Debug)]
pub(super) struct Disk {
    root: Root,
    /// What the user said, for messages.
    dest: PathBuf,
    fresh: Option<Fresh>,
    is_root: bool,
    is_hashed: bool,
    /// The folder that was written last: mostly the next entry lies there too.
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
    open: BTreeMap<u32, Open>,
    /// Get their modes and times at the end: what is put into a folder changes its time, and may be forbidden by its mode.
    dirs: Vec<Entry>,
    files: BTreeMap<Vec<u8>, [u8; 32]>,
    temps: u64,
    counts: Counts,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Regular files, further names of one counted too.
    pub(super) files: u64,
    /// Of their content.
    pub(super) bytes: u64,
    /// Device nodes that could not be made.
    pub(super) skipped_devices: u64,
    /// Entries that could not be given to whom they belong.
    pub(super) lost_owners: u64,
}

/// A folder that has a name of its own until it is whole.
#[derive(Debug)]
struct Fresh {
    temp: PathBuf,
    path: PathBuf,
}

/// A file whose content is on its way.
#[derive(Debug)]
struct Open {
    entry: Entry,
    size: u64,
    file: File,
    dir: Arc<OwnedFd>,
    /// Its name until it is whole; that in `entry` in a folder that has one itself.
    name: CString,
    written: u64,
    hasher: Option<Sha256>,
}

impl Disk {
    /// Opens or makes the folder; `is_hashed`: digests of the files are wanted.
    pub(super) fn new(
        dest: &Path,
        place: FolderPlace,
        is_hashed: bool,
    ) -> Result<Self, OutputError> {
        let create = |source| OutputError::Create { path: dest.to_owned(), source };
        let (root, fresh) = match place {
            FolderPlace::There(path) => (Root::open(path).map_err(create)?, None),
            FolderPlace::New { path, parent } => {
                let temp = tempfile::Builder::new()
                    .prefix(".peelbox-")
                    .suffix(".part")
                    .permissions(Permissions::from_mode(NEW_DIR_MODE))
                    .tempdir_in(parent)
                    .map_err(create)?;
                let root = Root::open(temp.path()).map_err(create)?;
                (root, Some(Fresh { temp: temp.keep(), path }))
            }
        };
        Ok(Self {
            root,
            dest: dest.to_owned(),
            fresh,
            is_root: geteuid().is_root(),
            is_hashed,
            last: None,
            open: BTreeMap::new(),
            dirs: Vec::new(),
            files: BTreeMap::new(),
            temps: 0,
            counts: Counts::default(),
        })
    }

    /// Files whose content is on its way.
    pub(super) fn open_files(&self) -> usize {
        self.open.len()
    }

    /// Makes what needs nothing else: a folder, a symbolic link, a device, a FIFO.
    pub(super) fn make(&mut self, entry: Entry) -> Result<(), OutputError> {
        let path = entry.place.path();
        self.try_make(entry).map_err(|errno| self.error(&path, errno))
    }

    fn try_make(&mut self, entry: Entry) -> Result<(), Errno> {
        let dir = self.reach(&entry.place.dir)?;
        match &entry.kind {
            Kind::Dir => {
                make_dir(dir.as_fd(), &entry.place.name)?;
                self.dirs.push(entry);
                Ok(())
            }
            Kind::Symlink(target) => self.put(&dir, &entry, |dir, name| {
                symlinkat(target.as_c_str(), dir, name)?;
                Ok(true)
            }),
            Kind::Fifo => self.put(&dir, &entry, |dir, name| {
                mknodat(dir, name, FileType::Fifo, UNFINISHED_FILE, 0)?;
                Ok(true)
            }),
            Kind::Device { is_block, major, minor } => {
                let kind =
                    if *is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
                let number = makedev(*major, *minor);
                self.put(&dir, &entry, |dir, name| {
                    match mknodat(dir, name, kind, UNFINISHED_FILE, number) {
                        Err(Errno::PERM) => Ok(false),
                        made => made.map(|()| true),
                    }
                })
            }
            // These have calls of their own.
            Kind::File(_) | Kind::Link(_) => Err(Errno::INVAL),
        }
    }

    /// Makes something at once: under its name, or in place of what has that name. `make` says false when it may not.
    fn put(
        &mut self,
        dir: &OwnedFd,
        entry: &Entry,
        make: impl Fn(BorrowedFd<'_>, &CStr) -> Result<bool, Errno>,
    ) -> Result<(), Errno> {
        let (name, is_made) = self.unused_name(dir, entry, make)?;
        if !is_made {
            self.counts.skipped_devices += 1;
            return Ok(());
        }
        let settled = self.settle_node(dir, &name, entry);
        settled.and_then(|()| self.name(dir, &name, &entry.place.name)).inspect_err(|_| {
            // What failed is told; this is only cleaned up.
            let _ = unlinkat(dir, &name, AtFlags::empty());
        })
    }

    /// Does `make` with a name that nothing has: that of the entry where all is new, else one for now.
    fn unused_name<T>(
        &mut self,
        dir: &OwnedFd,
        entry: &Entry,
        make: impl Fn(BorrowedFd<'_>, &CStr) -> Result<T, Errno>,
    ) -> Result<(CString, T), Errno> {
        loop {
            let name = if self.fresh.is_some() {
                entry.place.name.clone()
            } else {
                self.temps += 1;
                let text = format!(".peelbox-{}-{}.part", process::id(), self.temps);
                CString::new(text).unwrap_or_default()
            };
            match make(dir.as_fd(), &name) {
                // Of one that was killed.
                Err(Errno::EXIST) if self.fresh.is_none() => {}
                made => return Ok((name, made?)),
            }
        }
    }

    /// Owner, mode and time of a link, a FIFO or a device, none of which is opened for it.
    fn settle_node(&mut self, dir: &OwnedFd, name: &CStr, entry: &Entry) -> Result<(), Errno> {
        let is_owned = match self.owner(entry) {
            None => true,
            Some((uid, gid)) => chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).is_ok(),
        };
        self.count_owner(is_owned);
        if !matches!(entry.kind, Kind::Symlink(_)) {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let node = retry_on_intr(|| openat(dir, name, flags, Mode::empty()))?;
            chmod_open(&node, entry.mode)?;
        }
        utimensat(dir, name, &times(entry.mtime_ns), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Begins a file, whose content comes as pieces with that number.
    pub(super) fn begin(&mut self, id: u32, entry: Entry) -> Result<(), OutputError> {
        let path = entry.place.path();
        self.try_begin(id, entry).map_err(|errno| self.error(&path, errno))
    }

    fn try_begin(&mut self, id: u32, entry: Entry) -> Result<(), Errno> {
        let Kind::File(size) = entry.kind else { return Err(Errno::INVAL) };
        let dir = self.reach(&entry.place.dir)?;
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NOCTTY;
        let (name, file) = self.unused_name(&dir, &entry, |dir, name| {
            retry_on_intr(|| openat(dir, name, flags, UNFINISHED_FILE))
        })?;
        let hasher = self.is_hashed.then(Sha256::new);
        let file = File::from(file);
        self.open.insert(id, Open { entry, size, file, dir, name, written: 0, hasher });
        Ok(())
    }

    /// Takes the next piece; `None`: no such file is on its way, or it has too much already.
    pub(super) fn write(&mut self, id: u32, data: &[u8]) -> Option<Result<(), OutputError>> {
        let open = self.open.get_mut(&id)?;
        open.written += data.len() as u64;
        if open.written > open.size {
            return None;
        }
        if let Some(hasher) = &mut open.hasher {
            hasher.update(data);
        }
        self.counts.bytes += data.len() as u64;
        if let Err(source) = open.file.write_all(data) {
            let path = open.entry.place.path();
            return Some(Err(self.io_error(&path, source)));
        }
        Some(Ok(()))
    }

    /// Ends a file, which gets its name now; `None`: no such file is on its way, or it has too little.
    pub(super) fn end(&mut self, id: u32) -> Option<Result<(), OutputError>> {
        let open = self.open.get(&id)?;
        if open.written != open.size {
            return None;
        }
        let open = self.open.remove(&id)?;
        let path = open.entry.place.path();
        let done = self.settle_open(open.file.as_fd(), &open.entry);
        let done = done.and_then(|()| self.name(&open.dir, &open.name, &open.entry.place.name));
        if let Err(errno) = done {
            let _ = unlinkat(&open.dir, &open.name, AtFlags::empty());
            return Some(Err(self.error(&path, errno)));
        }
        self.counts.files += 1;
        let digest = open.hasher.map(|hasher| hasher.finalize().into()).unwrap_or_default();
        self.files.insert(path, digest);
        Some(Ok(()))
    }

    /// Gives a file another name; `None`: there is no such file.
    pub(super) fn link(&mut self, entry: &Entry) -> Option<Result<(), OutputError>> {
        let Kind::Link(first) = &entry.kind else { return None };
        let digest = *self.files.get(first)?;
        let first = Place::new(first).ok()?;
        let path = entry.place.path();
        if let Err(errno) = self.try_link(entry, &first) {
            return Some(Err(self.error(&path, errno)));
        }
        self.counts.files += 1;
        self.files.insert(path, digest);
        Some(Ok(()))
    }

    fn try_link(&mut self, entry: &Entry, first: &Place) -> Result<(), Errno> {
        let (from, to) = (self.reach(&first.dir)?, self.reach(&entry.place.dir)?);
        let (name, ()) = self.unused_name(&to, entry, |to, name| {
            linkat(&*from, &first.name, to, name, AtFlags::empty())
        })?;
        let named = self.name(&to, &name, &entry.place.name);
        // A rename does nothing where both are one file already.
        if name != entry.place.name {
            let _ = unlinkat(&to, &name, AtFlags::empty());
        }
        named
    }

    /// Gives what is whole its name; a file, link or folder that has it makes room.
    fn name(&self, dir: &OwnedFd, temp: &CStr, name: &CStr) -> Result<(), Errno> {
        if temp == name {
            return Ok(());
        }
        match renameat(dir, temp, dir, name) {
            Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                remove_tree(dir.as_fd(), name)?;
                renameat(dir, temp, dir, name)
            }
            renamed => renamed,
        }
    }

    /// Owner, mode, attributes and time of a file or folder, in an order in which none undoes another.
    fn settle_open(&mut self, fd: BorrowedFd<'_>, entry: &Entry) -> Result<(), Errno> {
        let is_owned = match self.owner(entry) {
            None => true,
            Some((uid, gid)) => fchown(fd, uid, gid).is_ok(),
        };
        self.count_owner(is_owned);
        // With another owner than it should have a program would run with rights that nobody meant to give.
        let keeps_ids = (self.is_root && is_owned) || entry.kind == Kind::Dir;
        let mode = if keeps_ids { entry.mode } else { entry.mode & !SET_IDS };
        fchmod(fd, Mode::from_raw_mode(mode))?;
        for (name, value) in &entry.xattrs {
            // Which of them can be set depends on the file system and on who we are.
            let _ = fsetxattr(fd, name.as_str(), value, XattrFlags::empty());
        }
        futimens(fd, &times(entry.mtime_ns))
    }

    /// Only root gives files away.
    fn owner(&self, entry: &Entry) -> Option<(Option<Uid>, Option<Gid>)> {
        let (uid, gid) = entry.owner;
        // That number means "as it is".
        let is_number = |id: u32| id != u32::MAX;
        self.is_root.then(|| {
            let uid = is_number(uid).then(|| Uid::from_raw(uid));
            (uid, is_number(gid).then(|| Gid::from_raw(gid)))
        })
    }

    fn count_owner(&mut self, is_owned: bool) {
        self.counts.lost_owners += u64::from(!is_owned);
    }

    /// Gives folders what is theirs, and all of it its name.
    pub(super) fn finish(mut self) -> Result<Written, OutputError> {
        self.settle_dirs(true)?;
        if let Some(Fresh { temp, path }) = &self.fresh {
            std::fs::rename(temp, path)
                .map_err(|source| OutputError::Rename { path: self.dest.clone(), source })?;
            self.fresh = None;
        }
        Ok(Written { counts: self.counts, files: mem::take(&mut self.files) })
    }

    fn settle_dirs(&mut self, is_strict: bool) -> Result<(), OutputError> {
        // The deepest first, as modes may close the way.
        while let Some(entry) = self.dirs.pop() {
            let done = self.settle_dir(&entry);
            if let (true, Err(errno)) = (is_strict, done) {
                return Err(self.error(&entry.place.path(), errno));
            }
        }
        Ok(())
    }

    fn settle_dir(&mut self, entry: &Entry) -> Result<(), Errno> {
        let parent = self.reach(&entry.place.dir)?;
        let dir = open_own_dir(parent.as_fd(), &entry.place.name)?;
        self.settle_open(dir.as_fd(), entry)
    }

    /// Opens a folder below the first one, through no link.
    fn reach(&mut self, dir: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        if let Some((path, fd)) = &self.last
            && path == dir
        {
            return Ok(Arc::clone(fd));
        }
        let fd = if dir.is_empty() { dup(self.root.fd())? } else { self.root.pass_dir(dir)? };
        let fd = Arc::new(fd);
        self.last = Some((dir.to_vec(), Arc::clone(&fd)));
        Ok(fd)
    }

    fn error(&self, path: &[u8], errno: Errno) -> OutputError {
        self.io_error(path, errno.into())
    }

    fn io_error(&self, path: &[u8], source: io::Error) -> OutputError {
        let path = self.dest.join(shown(path));
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                OutputError::NoSpace { path, written_bytes: self.counts.bytes, source }
            }
            _ => OutputError::Write { path, source },
        }
    }
}

impl Drop for Disk {
    /// Leaves nothing half done; of what cannot be removed nobody is told any more.
    fn drop(&mut self) {
        for open in mem::take(&mut self.open).into_values() {
            let _ = unlinkat(&open.dir, &open.name, AtFlags::empty());
        }
        let Some(Fresh { temp, .. }) = self.fresh.take() else {
            drop(self.settle_dirs(false));
            return;
        };
        let (Some(folder), Some(name)) = (temp.parent(), temp.file_name()) else { return };
        let name = CString::new(name.as_bytes()).unwrap_or_default();
        if let Ok(folder) = File::open(folder) {
            let _ = remove_tree(folder.as_fd(), &name);
        }
    }
}

/// What a folder got.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) counts: Counts,
    /// SHA-256 by path, all zero when it was not wanted.
    pub(super) files: BTreeMap<Vec<u8>, [u8; 32]>,
}

/// Makes a folder, or makes one that is there fit for being written; anything else makes room.
fn make_dir(parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match mkdirat(parent, name, UNFINISHED_DIR) {
        Err(Errno::EXIST) => {}
        made => return made,
    }
    let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return open_own_dir(parent, name).map(drop);
    }
    unlinkat(parent, name, AtFlags::empty())?;
    mkdirat(parent, name, UNFINISHED_DIR)
}

fn times(mtime_ns: i64) -> Timestamps {
    const SECOND_NS: i64 = 1_000_000_000;
    let time = Timespec {
        tv_sec: mtime_ns.div_euclid(SECOND_NS),
        tv_nsec: mtime_ns.rem_euclid(SECOND_NS) as _,
    };
    Timestamps { last_access: time, last_modification: time }
}
