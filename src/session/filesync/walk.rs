//! A directory → its entries, filtered and in the order the daemon demands.
//!
//! Everything is reached by directory descriptors and single names: no path is resolved twice, no
//! symlink leads out, and a tree may be deeper than PATH_MAX. What is kept in memory are the
//! names of the directories on the way down to the current one.

use std::{ffi::CStr, mem};

use rustix::{
    buffer::spare_capacity,
    fd::OwnedFd,
    fs::{
        AtFlags, FileType, Mode, RawDir, Stat, fstat, major, minor, openat, readlinkat_raw, statat,
    },
    io::{Errno, retry_on_intr},
};

use super::{
    error::TransferError,
    filter::{Filter, Trail, Verdict},
    root::{READ_DIR, Root},
    table::NodeId,
    xattr::{Xattr, Xattrs},
};

/// Directories kept open on the way down; those above are reopened by `..` on the way up.
const OPEN_DIRS_MAX: usize = 64;

const DIR_BUFFER_BYTES: usize = 32 << 10;

/// No file system of Linux has longer symlinks.
const LINK_BYTES_MAX: usize = 64 << 10;

/// One entry as it will be announced.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Relative to the root, without a slash in front.
    pub(super) path: &'a [u8],
    pub(super) facts: Facts,
    /// Where a symlink leads, or the path of the entry that this one is a hard link to.
    pub(super) linkname: &'a [u8],
    pub(super) xattrs: &'a [Xattr],
}

/// What the file system says about one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// `st_mode`.
    pub(super) mode: u32,
    /// Zero for a directory.
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    /// Device and inode it is stored at.
    pub(super) inode: (u64, u64),
    pub(super) links: u64,
    /// Major and minor number of a device node.
    pub(super) device: (u64, u64),
}

impl Facts {
    pub(super) fn new(stat: &Stat) -> Self {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_device = matches!(kind, FileType::BlockDevice | FileType::CharacterDevice);
        let is_dir = kind == FileType::Directory;
        // Overflows as Go's UnixNano does, far from any date that occurs.
        let seconds_ns = signed(stat.st_mtime).wrapping_mul(1_000_000_000);
        Self {
            mode: stat.st_mode,
            size: if is_dir { 0 } else { unsigned(stat.st_size) },
            mtime_ns: seconds_ns.wrapping_add(signed(stat.st_mtime_nsec)),
            inode: (unsigned(stat.st_dev), unsigned(stat.st_ino)),
            links: unsigned(stat.st_nlink),
            device: if is_device {
                (u64::from(major(stat.st_rdev)), u64::from(minor(stat.st_rdev)))
            } else {
                (0, 0)
            },
        }
    }

    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// A short form of what must not change until the file was sent.
    pub(super) fn fingerprint(&self) -> u64 {
        let (device, inode) = self.inode;
        let kind = u64::from(self.mode & 0o170_000);
        [device, inode, self.size, self.mtime_ns.cast_unsigned(), kind].into_iter().fold(
            0x9E37_79B9_7F4A_7C15,
            |hash: u64, part| {
                // The finalizer of splitmix64.
                let mut mixed = hash.rotate_left(7) ^ part;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                mixed ^ (mixed >> 31)
            },
        )
    }
}

/// The field types of `Stat` differ between architectures.
fn unsigned<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or_default()
}

fn signed<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or_default()
}

/// What is done with the entries of a walk.
pub(super) trait Visit {
    /// Takes the next entry; what it returns for a directory comes back with its children.
    fn visit(&mut self, parent: NodeId, entry: &Entry<'_>) -> Result<NodeId, TransferError>;

    /// Asked for every name read; an error ends the walk.
    fn check(&mut self) -> Result<(), TransferError>;
}

/// Visits everything below `root` that `filter` lets through.
///
/// Names are visited in the order of their bytes within each directory, a directory before what
/// is in it: what fsutil's validator.go demands. An entry that vanishes meanwhile is left out.
pub(super) fn walk(
    root: &Root,
    filter: &Filter<'_>,
    visitor: &mut dyn Visit,
) -> Result<(), TransferError> {
    // A descriptor of its own: the position of reading belongs to the open directory.
    let fd = retry_on_intr(|| openat(root.fd(), c".", READ_DIR, Mode::empty()))
        .map_err(|errno| TransferError::walk(b".", errno))?;
    let stat = fstat(&fd).map_err(|errno| TransferError::walk(b".", errno))?;
    let mut walk = Walk {
        filter,
        visitor,
        trail: filter.trail(),
        path: Vec::new(),
        names: Names::default(),
        frames: Vec::new(),
        announced: 1,
        xattrs: Xattrs::new(root, &fd),
        fd,
        dir_buffer: Vec::with_capacity(DIR_BUFFER_BYTES),
        link: Vec::with_capacity(LINK_BYTES_MAX),
    };
    walk.push_frame(Facts::new(&stat), NodeId::ROOT, Vec::new())?;
    while let Some(frame) = walk.frames.last_mut() {
        match walk.names.list.get(frame.next).copied() {
            Some(name) => {
                frame.next += 1;
                walk.visitor.check()?;
                walk.look_at(name)?;
            }
            None => walk.leave()?,
        }
    }
    Ok(())
}

struct Walk<'a> {
    filter: &'a Filter<'a>,
    visitor: &'a mut dyn Visit,
    trail: Trail,
    /// The entry looked at; its start is the path of the current directory.
    path: Vec<u8>,
    names: Names,
    /// The directories from the root down to the current one.
    frames: Vec<Frame>,
    /// How many of `frames` were announced; the others wait for something below them.
    announced: usize,
    /// The current directory.
    fd: OwnedFd,
    xattrs: Xattrs,
    dir_buffer: Vec<u8>,
    link: Vec<u8>,
}

struct Frame {
    /// Open while a directory below is the current one, unless too many are.
    parked: Option<OwnedFd>,
    facts: Facts,
    xattrs: Vec<Xattr>,
    node: NodeId,
    path_len: usize,
    /// The next of the names to look at; they reach to the end of the list.
    next: usize,
    names_start: usize,
    bytes_start: usize,
}

/// The sorted names of all directories on the way down, as a stack.
#[derive(Default)]
struct Names {
    /// Each name with its NUL.
    bytes: Vec<u8>,
    list: Vec<Name>,
}

#[derive(Clone, Copy)]
struct Name {
    start: usize,
    len: u32,
    file_type: FileType,
}

impl Names {
    fn get(&self, name: Name) -> &[u8] {
        &self.bytes[name.start..name.start + name.len as usize]
    }

    fn get_c(&self, name: Name) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes[name.start..]).unwrap_or_default()
    }
}

impl Walk<'_> {
    fn look_at(&mut self, name: Name) -> Result<(), TransferError> {
        let depth = self.frames.len() - 1;
        self.link.clear();
        self.path.truncate(self.frames[depth].path_len);
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(self.names.get(name));
        let mut facts = None;
        let mut file_type = name.file_type;
        if file_type == FileType::Unknown {
            let Some(found) = self.stat(name)? else { return Ok(()) };
            file_type = found.file_type();
            facts = Some(found);
        }
        let is_dir = file_type == FileType::Directory;
        match self.filter.judge(&mut self.trail, &self.path, depth, is_dir) {
            Verdict::Skip => Ok(()),
            verdict if is_dir => self.look_at_dir(name, verdict),
            _ => match facts {
                Some(facts) => self.look_at_leaf(name, facts),
                None => match self.stat(name)? {
                    Some(facts) => self.look_at_leaf(name, facts),
                    None => Ok(()),
                },
            },
        }
    }

    fn look_at_dir(&mut self, name: Name, verdict: Verdict) -> Result<(), TransferError> {
        let opened =
            retry_on_intr(|| openat(&self.fd, self.names.get_c(name), READ_DIR, Mode::empty()));
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(TransferError::changed(&self.path)),
            // fsutil ignores what it may not read if it would not have sent it.
            Err(Errno::ACCESS | Errno::PERM) if verdict == Verdict::Hold => return Ok(()),
            Err(errno) => return Err(TransferError::walk(&self.path, errno)),
        };
        let fail = |errno| TransferError::walk(&self.path, errno);
        let facts = Facts::new(&fstat(&fd).map_err(fail)?);
        let xattrs = self.xattrs.of_open(&fd).map_err(fail)?;
        let mut node = NodeId::ROOT;
        if verdict == Verdict::Send {
            self.announce_parents()?;
            node = self.visit(facts, &xattrs)?;
        }
        if let Some(parent) = self.frames.last_mut() {
            parent.parked = Some(mem::replace(&mut self.fd, fd));
        }
        if let Some(distant) = self.frames.len().checked_sub(OPEN_DIRS_MAX) {
            self.frames[distant].parked = None;
        }
        self.push_frame(facts, node, xattrs)?;
        if verdict == Verdict::Send {
            self.announced = self.frames.len();
        }
        Ok(())
    }

    fn look_at_leaf(&mut self, name: Name, facts: Facts) -> Result<(), TransferError> {
        match facts.file_type() {
            FileType::Directory => return Err(TransferError::changed(&self.path)),
            FileType::Symlink => {
                let target = spare_capacity(&mut self.link);
                match readlinkat_raw(&self.fd, self.names.get_c(name), target) {
                    Ok(_) => {}
                    Err(Errno::NOENT) => return Ok(()),
                    Err(Errno::INVAL) => return Err(TransferError::changed(&self.path)),
                    Err(errno) => return Err(TransferError::walk(&self.path, errno)),
                }
            }
            _ => {}
        }
        let name = self.names.get_c(name);
        let xattrs = match self.xattrs.of_name(&self.fd, name, &self.path, facts.file_type()) {
            Ok(xattrs) => xattrs,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(TransferError::walk(&self.path, errno)),
        };
        self.announce_parents()?;
        self.visit(facts, &xattrs)?;
        Ok(())
    }

    fn stat(&self, name: Name) -> Result<Option<Facts>, TransferError> {
        match statat(&self.fd, self.names.get_c(name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Facts::new(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(TransferError::walk(&self.path, errno)),
        }
    }

    fn visit(&mut self, facts: Facts, xattrs: &[Xattr]) -> Result<NodeId, TransferError> {
        let parent = self.frames.last().map_or(NodeId::ROOT, |frame| frame.node);
        let entry = Entry { path: &self.path, facts, linkname: &self.link, xattrs };
        self.visitor.visit(parent, &entry)
    }

    /// Announces the directories on the way down that waited for something to be sent.
    fn announce_parents(&mut self) -> Result<(), TransferError> {
        while self.announced < self.frames.len() {
            let parent = self.frames[self.announced - 1].node;
            let frame = &mut self.frames[self.announced];
            frame.node = self.visitor.visit(
                parent,
                &Entry {
                    path: &self.path[..frame.path_len],
                    facts: frame.facts,
                    linkname: &[],
                    xattrs: &frame.xattrs,
                },
            )?;
            self.announced += 1;
        }
        Ok(())
    }

    /// Makes the directory that `path` and `fd` say the current one.
    fn push_frame(
        &mut self,
        facts: Facts,
        node: NodeId,
        xattrs: Vec<Xattr>,
    ) -> Result<(), TransferError> {
        let names_start = self.names.list.len();
        self.frames.push(Frame {
            parked: None,
            facts,
            xattrs,
            node,
            path_len: self.path.len(),
            next: names_start,
            names_start,
            bytes_start: self.names.bytes.len(),
        });
        self.xattrs.enter(&self.fd);
        self.read_names().map_err(|errno| TransferError::walk(&self.path, errno))?;
        let bytes = &self.names.bytes;
        let name_of = |name: &Name| &bytes[name.start..name.start + name.len as usize];
        self.names.list[names_start..].sort_unstable_by(|a, b| name_of(a).cmp(name_of(b)));
        Ok(())
    }

    fn read_names(&mut self) -> Result<(), Errno> {
        let mut dir = RawDir::new(&self.fd, self.dir_buffer.spare_capacity_mut());
        loop {
            let entry = match dir.next() {
                // A directory removed while it is open is an empty one.
                None | Some(Err(Errno::NOENT)) => return Ok(()),
                Some(Err(Errno::INTR)) => continue,
                Some(entry) => entry?,
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let start = self.names.bytes.len();
            let len = u32::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?;
            self.names.bytes.extend_from_slice(entry.file_name().to_bytes_with_nul());
            self.names.list.push(Name { start, len, file_type: entry.file_type() });
        }
    }

    /// Goes back to the parent directory.
    fn leave(&mut self) -> Result<(), TransferError> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        self.announced = self.announced.min(self.frames.len()).max(1);
        self.names.list.truncate(frame.names_start);
        self.names.bytes.truncate(frame.bytes_start);
        let Some(parent) = self.frames.last_mut() else { return Ok(()) };
        self.path.truncate(parent.path_len);
        self.fd = match parent.parked.take() {
            Some(fd) => fd,
            None => {
                let fail = |errno| TransferError::walk(&self.path, errno);
                let fd = retry_on_intr(|| openat(&self.fd, c"..", READ_DIR, Mode::empty()));
                let fd = fd.map_err(fail)?;
                // Moved meanwhile: what `..` leads to may lie outside the root.
                if Facts::new(&fstat(&fd).map_err(fail)?).inode != parent.facts.inode {
                    return Err(TransferError::changed(&self.path));
                }
                fd
            }
        };
        self.xattrs.enter(&self.fd);
        Ok(())
    }
}
