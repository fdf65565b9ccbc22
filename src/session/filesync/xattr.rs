//! Extended attributes: one system call per entry that has none.

use std::{
    ffi::CStr,
    io::Write,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
};

use rustix::{
    buffer::spare_capacity,
    fd::OwnedFd,
    fs::{
        AtFlags, FileType, Mode, OFlags, fgetxattr, flistxattr, lgetxattr, llistxattr,
        llistxattr_query, openat, statat,
    },
    io::{Errno, retry_on_intr},
};

use super::root::Root;

/// What Linux lets a list of attribute names or an attribute hold, at most.
const KERNEL_BYTES_MAX: usize = 64 << 10;

/// An extended attribute: name and value.
pub(super) type Xattr = (Vec<u8>, Vec<u8>);

/// Reads the attributes of a walk's entries.
///
/// Linux before 6.13 has no call for a name in an open directory. The way round,
/// `/proc/self/fd/N/name`, takes 3.1 µs, the whole path 1.2 µs (measured on ext4, four directories
/// deep). So the path is asked first: mostly it says that there are none. Anything else it may
/// say is asked again the safe way, which cannot be led astray by a directory that was moved.
pub(super) struct Xattrs {
    /// The root's path with a slash, and room for the entry's.
    path: Option<Vec<u8>>,
    path_len: usize,
    /// `/proc/self/fd/N/` of the current directory.
    prefix: Vec<u8>,
    prefix_len: usize,
    has_proc: bool,
    list: Vec<u8>,
    value: Vec<u8>,
}

impl Xattrs {
    pub(super) fn new(root: &Root, fd: &OwnedFd) -> Self {
        let path = root.real_path().map(|path| [path.as_os_str().as_bytes(), b"/"].concat());
        let mut xattrs = Self {
            path_len: path.as_ref().map_or(0, Vec::len),
            path,
            prefix: Vec::new(),
            prefix_len: 0,
            has_proc: true,
            list: Vec::with_capacity(KERNEL_BYTES_MAX),
            value: Vec::with_capacity(KERNEL_BYTES_MAX),
        };
        xattrs.enter(fd);
        xattrs.has_proc = statat(fd, xattrs.proc_path(c"."), AtFlags::empty()).is_ok();
        xattrs
    }

    pub(super) fn enter(&mut self, dir: &OwnedFd) {
        self.prefix.clear();
        // Writing to a Vec cannot fail.
        write!(self.prefix, "/proc/self/fd/{}/", dir.as_raw_fd()).unwrap_or_default();
        self.prefix_len = self.prefix.len();
    }

    fn proc_path(&mut self, name: &CStr) -> &CStr {
        self.prefix.truncate(self.prefix_len);
        self.prefix.extend_from_slice(name.to_bytes_with_nul());
        CStr::from_bytes_until_nul(&self.prefix).unwrap_or_default()
    }

    /// Whether the entry `path` surely has no attributes.
    fn has_none(&mut self, path: &[u8]) -> bool {
        let Some(full) = &mut self.path else { return false };
        full.truncate(self.path_len);
        full.extend_from_slice(path);
        full.push(0);
        let full = CStr::from_bytes_until_nul(full).unwrap_or_default();
        matches!(llistxattr_query(full), Ok(0) | Err(Errno::NOTSUP))
    }

    pub(super) fn of_name(
        &mut self,
        dir: &OwnedFd,
        name: &CStr,
        path: &[u8],
        file_type: FileType,
    ) -> Result<Vec<Xattr>, Errno> {
        if self.has_none(path) {
            return Ok(Vec::new());
        }
        if !self.has_proc {
            return self.of_name_without_proc(dir, name, file_type);
        }
        self.proc_path(name);
        let path = CStr::from_bytes_until_nul(&self.prefix).unwrap_or_default();
        self.list.clear();
        let listed = llistxattr(path, spare_capacity(&mut self.list));
        read_values(listed, &self.list, &mut self.value, |name, value| {
            lgetxattr(path, name, spare_capacity(value))
        })
    }

    /// Where /proc is not mounted only attributes of regular files that may be read are seen.
    fn of_name_without_proc(
        &mut self,
        dir: &OwnedFd,
        name: &CStr,
        file_type: FileType,
    ) -> Result<Vec<Xattr>, Errno> {
        if file_type != FileType::RegularFile {
            return Ok(Vec::new());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match retry_on_intr(|| openat(dir, name, flags, Mode::empty())) {
            Ok(file) => self.of_open(&file),
            Err(Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::NXIO) => Ok(Vec::new()),
            Err(errno) => Err(errno),
        }
    }

    pub(super) fn of_open(&mut self, fd: &OwnedFd) -> Result<Vec<Xattr>, Errno> {
        self.list.clear();
        let listed = flistxattr(fd, spare_capacity(&mut self.list));
        read_values(listed, &self.list, &mut self.value, |name, value| {
            fgetxattr(fd, name, spare_capacity(value))
        })
    }
}

/// The attributes of which `list` has the names, each with a NUL behind; fsutil stat_unix.go,
/// `loadXattr`, drops Apple's and those that cannot be read.
pub(super) fn read_values(
    listed: Result<usize, Errno>,
    list: &[u8],
    value: &mut Vec<u8>,
    mut get: impl FnMut(&[u8], &mut Vec<u8>) -> Result<usize, Errno>,
) -> Result<Vec<Xattr>, Errno> {
    match listed {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut xattrs = Vec::new();
    for name in list.split(|&byte| byte == 0) {
        if name.is_empty() || name.starts_with(b"com.apple.") {
            continue;
        }
        value.clear();
        if get(name, value).is_ok() {
            xattrs.push((name.to_vec(), value.clone()));
        }
    }
    Ok(xattrs)
}
