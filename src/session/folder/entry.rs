//! What the daemon says of one entry of a result, made sure of.

use std::{collections::BTreeMap, ffi::CString};

use crate::{grpc::Status, pb::fsutil::Stat, terminal_text::one_line};

/// Longest path, in bytes; a daemon reads none that is longer than PATH_MAX.
const PATH_BYTES_MAX: usize = 16 << 10;

/// Attributes of one entry.
const XATTRS_MAX: usize = 512;
/// Bytes that an attribute takes besides its name and value.
const XATTR_COST: usize = 128;

/// Bits of Go's `os.FileMode` (Go `io/fs`).
const GO_DIR: u32 = 0x8000_0000;
const GO_SYMLINK: u32 = 0x0800_0000;
const GO_DEVICE: u32 = 0x0400_0000;
const GO_FIFO: u32 = 0x0200_0000;
const GO_SOCKET: u32 = 0x0100_0000;
const GO_CHAR_DEVICE: u32 = 0x0020_0000;
const GO_IRREGULAR: u32 = 0x0008_0000;
const GO_SETUID: u32 = 0x0080_0000;
const GO_SETGID: u32 = 0x0040_0000;
const GO_STICKY: u32 = 0x0010_0000;

/// An entry whose names lead nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) kind: Kind,
    /// Unix' permission bits, with set-ID and sticky.
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) mtime_ns: i64,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

/// A path below the folder that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Of the folder it lies in, `usr/bin`; empty for the first one.
    pub(super) dir: Vec<u8>,
    pub(super) name: CString,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Dir,
    /// So many bytes.
    File(u64),
    /// What it says.
    Symlink(CString),
    /// Another name of the file at that path.
    Link(Vec<u8>),
    Fifo,
    /// Major and minor number.
    Device {
        is_block: bool,
        major: u32,
        minor: u32,
    },
}

impl Entry {
    /// # Errors
    /// No honest daemon says this.
    pub(super) fn new(stat: Stat) -> Result<Self, Status> {
        let Stat { path, mode, uid, gid, size, mod_time, linkname, devmajor, devminor, xattrs } =
            stat;
        let place = Place::new(&path)?;
        // Linux lists 64 KiB of names (xattr(7)).
        if xattrs.len() > XATTRS_MAX {
            let text = format!("`{}` has {} attributes", shown(&path), xattrs.len());
            return Err(Status::protocol(text));
        }
        let wrong = |what: &str| Status::protocol(format!("`{}` {what}", shown(&path)));
        let kind = if mode & GO_DIR != 0 {
            Kind::Dir
        } else if mode & GO_SYMLINK != 0 {
            let target = CString::new(linkname).ok().filter(|target| !target.is_empty());
            Kind::Symlink(target.ok_or_else(|| wrong("is a link to nothing"))?)
        } else if mode & GO_FIFO != 0 {
            Kind::Fifo
        } else if mode & GO_DEVICE != 0 {
            let number =
                |n: i64| u32::try_from(n).map_err(|_| wrong("is a device without a number"));
            Kind::Device {
                is_block: mode & GO_CHAR_DEVICE == 0,
                major: number(devmajor)?,
                minor: number(devminor)?,
            }
        } else if mode & (GO_SOCKET | GO_IRREGULAR) != 0 {
            return Err(wrong("is of a kind that no result has"));
        } else if !linkname.is_empty() {
            Place::new(&linkname)?;
            Kind::Link(linkname)
        } else {
            Kind::File(u64::try_from(size).map_err(|_| wrong("has less than no bytes"))?)
        };
        Ok(Self {
            place,
            kind,
            mode: unix_mode(mode),
            owner: (uid, gid),
            mtime_ns: mod_time,
            xattrs,
        })
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn cost(&self) -> usize {
        let links = match &self.kind {
            Kind::Symlink(target) => target.as_bytes().len(),
            Kind::Link(first) => first.len(),
            _ => 0,
        };
        // What each of them takes in a map, and what the allocator adds.
        let xattr = |(name, value): (&String, &Vec<u8>)| XATTR_COST + name.len() + value.len();
        let xattrs: usize = self.xattrs.iter().map(xattr).sum();
        size_of::<Self>() + self.place.cost() + links + xattrs
    }
}

impl Place {
    /// # Errors
    /// The path is absolute, empty, not clean, or leads upwards.
    pub(super) fn new(path: &[u8]) -> Result<Self, Status> {
        let is_name = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
        if path.len() > PATH_BYTES_MAX || !path.split(|&byte| byte == b'/').all(is_name) {
            let text = shown(&path[..path.len().min(PATH_BYTES_MAX)]);
            return Err(Status::protocol(format!("`{text}` is no path below a folder")));
        }
        let cut = path.iter().rposition(|&byte| byte == b'/');
        let (dir, name) = cut.map_or((&[][..], path), |cut| (&path[..cut], &path[cut + 1..]));
        // It has no NUL.
        Ok(Self { dir: dir.to_vec(), name: CString::new(name).unwrap_or_default() })
    }

    /// `usr/bin/env`
    pub(super) fn path(&self) -> Vec<u8> {
        let slash: &[u8] = if self.dir.is_empty() { b"" } else { b"/" };
        [&self.dir, slash, self.name.as_bytes()].concat()
    }

    fn cost(&self) -> usize {
        self.dir.len() + self.name.as_bytes().len()
    }
}

/// A path as text for people; what would steer a terminal is taken out.
pub(super) fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let visible = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    one_line(&text.chars().map(visible).collect::<String>())
}

fn unix_mode(go: u32) -> u32 {
    let mut mode = go & 0o777;
    for (bit, unix) in [(GO_SETUID, 0o4000), (GO_SETGID, 0o2000), (GO_STICKY, 0o1000)] {
        if go & bit != 0 {
            mode |= unix;
        }
    }
    mode
}
