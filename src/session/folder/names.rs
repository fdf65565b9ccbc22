//! Names in folders that are open, and how what they stand for is removed. No path is resolved, no link followed.

use std::{
    ffi::{CStr, CString},
    os::fd::AsRawFd as _,
};

use rustix::{
    fd::{BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Mode, OFlags, RawDir, chmodat, fchmod, fstat, openat, renameat, unlinkat},
    io::{Errno, retry_on_intr},
};

/// How folders are opened to be written.
const OWN_DIR: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What its owner needs to work in a folder.
const OWNER_ALL: u32 = 0o700;
/// For names of the entries of a folder.
const NAMES_BYTES: usize = 16 << 10;

/// Opens the folder `name` so that all can be done in it, whatever its mode was.
pub(super) fn open_own_dir(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let open = |flags| retry_on_intr(|| openat(at, name, flags, Mode::empty()));
    let dir = match open(OWN_DIR) {
        Err(Errno::ACCESS) => {
            chmod_open(&open(OWN_DIR.union(OFlags::PATH))?, OWNER_ALL)?;
            open(OWN_DIR)?
        }
        opened => opened?,
    };
    let mode = fstat(&dir)?.st_mode & 0o7777;
    if mode & OWNER_ALL != OWNER_ALL {
        // Another's folder: what may be done in it shows when it is done.
        let _ = fchmod(&dir, Mode::from_raw_mode(mode | OWNER_ALL));
    }
    Ok(dir)
}

/// Sets the mode of what was opened by `O_PATH`, which `fchmod` does not take.
pub(super) fn chmod_open(fd: &OwnedFd, mode: u32) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// Removes what has that name, with all that is in it.
///
/// A tree may be as deep as it likes: folders are moved up until none has another in it. A few are open at a time.
pub(super) fn remove_tree(at: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    if remove_file(at, name)? {
        return Ok(());
    }
    let top = open_own_dir(at, name)?;
    let mut serial = 0;
    each_entry(&top, |entry| {
        if !remove_file(borrow(&top), entry)? {
            move_folders_up(&top, entry, &mut serial)?;
            unlinkat(&top, entry, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    })?;
    unlinkat(at, name, AtFlags::REMOVEDIR)
}

/// Empties the folder `name` of `top`; folders in it are moved to `top`.
fn move_folders_up(top: &OwnedFd, name: &CStr, serial: &mut u64) -> Result<(), Errno> {
    let dir = open_own_dir(borrow(top), name)?;
    each_entry(&dir, |entry| {
        if remove_file(borrow(&dir), entry)? {
            return Ok(());
        }
        // Only what may be written can be moved to another folder.
        drop(open_own_dir(borrow(&dir), entry)?);
        loop {
            *serial += 1;
            let fresh = CString::new(format!(".peelbox-{serial}.gone")).unwrap_or_default();
            match renameat(&dir, entry, top, &fresh) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                moved => return moved,
            }
        }
    })
}

/// Removes a name; false: it is that of a folder.
fn remove_file(at: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Does `work` for each entry, which removes it, until there is none.
fn each_entry(
    dir: &OwnedFd,
    mut work: impl FnMut(&CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut buffer = Vec::with_capacity(NAMES_BYTES);
    loop {
        // Some file systems skip entries while others are removed: so it is read again until nothing is left.
        let reader = retry_on_intr(|| openat(dir, c".", OWN_DIR, Mode::empty()))?;
        let mut entries = RawDir::new(&reader, spare_capacity_of(&mut buffer));
        let mut is_empty = true;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                is_empty = false;
                work(name)?;
            }
        }
        if is_empty {
            return Ok(());
        }
    }
}

fn spare_capacity_of(buffer: &mut Vec<u8>) -> &mut [std::mem::MaybeUninit<u8>] {
    buffer.clear();
    buffer.spare_capacity_mut()
}

fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
    rustix::fd::AsFd::as_fd(fd)
}
