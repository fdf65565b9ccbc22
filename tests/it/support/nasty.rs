//! A tree of everything a file system can hold and a context may have.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, chown, lchown, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, setxattr, utimensat,
};

/// Bytes of the deepest path. The daemon adds the path of its own folder and stops at PATH_MAX (4096).
const DEEP_BYTES: usize = 3500;

/// Fills `root`; all times are of the past, so that nothing is of this moment by chance.
pub(crate) fn make(root: &Path) {
    let at = |name: &str| root.join(name);
    let write = |name: &str, text: &str| {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), text).unwrap();
    };
    write("empty-file", "");
    fs::create_dir(at("empty-dir")).unwrap();
    write("plain.txt", "plain\n");
    write("dir/inner/file", "inner\n");
    // 32 KiB is what fsutil's sender puts in a packet.
    for size in [1, 32 << 10, (32 << 10) + 1, 1_000_003] {
        write(&format!("sizes/{size}"), &"0123456789abcdef"[..].repeat(size / 16 + 1)[..size]);
    }
    names(root);
    orders(root);
    links(root);
    modes(root);
    drop(UnixListener::bind(at("socket")).unwrap());
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    write("xattr", "x");
    setxattr(at("xattr"), "user.note", b"of \xffbytes", XattrFlags::empty()).unwrap();
    setxattr(at("dir"), "user.of-a-dir", b"1", XattrFlags::empty()).unwrap();
    owners(root);
    deep(root);
    times(root);
}

/// Only root can make these; for anybody else the tree is that much poorer.
fn owners(root: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let null = rustix::fs::makedev(1, 3);
    mknodat(CWD, root.join("device"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), null)
        .unwrap();
    fs::write(root.join("of-another"), "o").unwrap();
    chown(root.join("of-another"), Some(1234), Some(4321)).unwrap();
    lchown(root.join("links/dangling"), Some(1234), None).unwrap();
}

fn names(root: &Path) {
    let names: &[&[u8]] = &[
        b"with space",
        b" leading and trailing ",
        b"new\nline",
        b"tab\tand\x01control",
        b"back\\slash",
        b"quote'\"`$HOME",
        b"star*[a-z]?{b}",
        b"!exclaim",
        b"#hash",
        b"-dash",
        b"..dots",
        b"...",
        b"\xff\xfe not UTF-8",
        b"gr\xfc\xdfe latin-1",
        "größe 深い 🦀".as_bytes(),
        // The same letter once composed, once not: two files.
        "e\u{301}".as_bytes(),
        "\u{e9}".as_bytes(),
        &[b'n'; 255],
    ];
    for folder in [&b"names"[..], b"names/non-UTF-8 \xc3("] {
        let folder = root.join(OsStr::from_bytes(folder));
        fs::create_dir(&folder).unwrap();
        for name in names {
            fs::write(folder.join(OsStr::from_bytes(name)), name).unwrap();
        }
    }
}

/// Names with bytes below `/`: fsutil's order is by path components, not by bytes.
fn orders(root: &Path) {
    for name in ["a", "a!", "a-b", "a.b", "a b", "a0", "a\x1f"] {
        fs::create_dir_all(root.join("order").join(name)).unwrap();
        fs::write(root.join("order").join(name).join("in"), name).unwrap();
        fs::write(root.join("order").join(format!("{name}.txt")), name).unwrap();
    }
}

fn links(root: &Path) {
    let dir = root.join("links");
    fs::create_dir(&dir).unwrap();
    let targets: &[(&str, &[u8])] = &[
        ("file", b"../plain.txt"),
        ("dir", b"../dir"),
        ("out", b"../../../../../etc/passwd"),
        ("absolute", b"/etc/hostname"),
        ("dangling", b"nowhere/at/all"),
        ("self", b"self"),
        ("dot", b"."),
        ("unclean", b"..//dir/./inner/../inner"),
        ("not-utf-8", b"\xff\xfe"),
        ("long", &[b'l'; 3000]),
    ];
    for (name, target) in targets {
        symlink(OsStr::from_bytes(target), dir.join(name)).unwrap();
    }
    fs::write(dir.join("original"), "hard\n").unwrap();
    fs::hard_link(dir.join("original"), dir.join("hard")).unwrap();
    // Sorts before what it is a link to, and lies in another folder.
    fs::hard_link(dir.join("original"), root.join("a-hard-link")).unwrap();
    fs::write(dir.join("empty-original"), "").unwrap();
    fs::hard_link(dir.join("empty-original"), dir.join("zero-hard")).unwrap();
}

fn modes(root: &Path) {
    let dir = root.join("modes");
    fs::create_dir(&dir).unwrap();
    for mode in [0o000, 0o001, 0o200, 0o444, 0o600, 0o777, 0o4755, 0o2755, 0o1644, 0o6711, 0o7777] {
        let path = dir.join(format!("file-{mode:04o}"));
        fs::write(&path, "m").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    for mode in [0o500, 0o711, 0o1777, 0o2775, 0o700] {
        let path = dir.join(format!("dir-{mode:04o}"));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "m").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
}

fn deep(root: &Path) {
    let mut path = PathBuf::from("deep");
    while path.as_os_str().len() < DEEP_BYTES - 210 {
        path.push("d".repeat(200));
    }
    path.push("f".repeat(DEEP_BYTES - path.as_os_str().len() - 1));
    fs::create_dir_all(root.join(&path).parent().unwrap()).unwrap();
    fs::write(root.join(&path), "deep").unwrap();
}

/// Every entry gets a time of its own, the deepest first: a folder's must survive its content.
fn times(root: &Path) {
    let mut seconds = 1_500_000_000;
    set_times(root, &mut seconds);
    for (name, sec, nsec) in [
        ("plain.txt", -1, 999_999_999),
        ("xattr", -2_000_000_000, 1),
        ("empty-file", 0, 0),
        ("empty-dir", 4_102_444_800, 123_456_789),
    ] {
        set_time(&root.join(name), sec, nsec);
    }
}

fn set_times(folder: &Path, seconds: &mut i64) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.symlink_metadata().unwrap().is_dir() {
            set_times(&path, seconds);
        }
        *seconds += 1;
        set_time(&path, *seconds, *seconds % 1_000_000_000);
    }
}

fn set_time(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
