//! Whole transfers against the receiver in memory.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    thread,
};

use bytes::{Buf, Bytes};
use prost::Message;
use rustix::{
    fd::OwnedFd,
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags, lsetxattr, mkdirat,
        mknodat, openat, renameat, unlinkat, utimensat,
    },
    io::Errno,
};
use tempfile::TempDir;

use super::{
    receiver::{Manner, Received, transfer},
    *,
};
use crate::pb::fsutil::{Packet, Stat, packet::PacketType};

/// A tree in a temporary folder.
struct Tree(TempDir);

impl Tree {
    /// Paths: `dir/`, `link>target`, or files that contain their own path.
    fn new(entries: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for entry in entries {
            match entry.split_once('>') {
                Some((path, target)) => symlink(target, tree.path(path)).unwrap(),
                None => tree.add(entry, entry.as_bytes()),
            }
        }
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn add(&self, path: &str, contents: &[u8]) {
        let full = self.path(path);
        let is_dir = path.ends_with('/');
        fs::create_dir_all(if is_dir { &full } else { full.parent().unwrap() }).unwrap();
        if !is_dir {
            fs::write(full, contents).unwrap();
        }
    }

    fn root(&self) -> Root {
        Root::open(self.0.path()).unwrap()
    }

    fn send(&self, request: &Request, local: &LocalFilter) -> Received {
        let (result, received) = transfer(&self.root(), request, local, Manner::Good, &|_| {});
        let report = result.unwrap();
        assert_eq!(report.entries, received.stats.len() as u64);
        assert_eq!(report.files, received.files.len() as u64);
        received
    }

    fn send_all(&self) -> Received {
        self.send(&Request::default(), &LocalFilter::none())
    }

    fn error(&self, manner: Manner, on_packet: &(dyn Fn(&Packet) + Sync)) -> String {
        let (request, local) = (Request::default(), LocalFilter::none());
        let (result, _) = transfer(&self.root(), &request, &local, manner, on_packet);
        result.unwrap_err().to_string()
    }

    /// The error when `change` is done as soon as the file `path` was announced.
    fn error_after_announcing(&self, path: &str, change: impl Fn() + Sync) -> String {
        self.error(Manner::Good, &|packet| {
            if packet.stat.as_ref().is_some_and(|stat| stat.path == path.as_bytes()) {
                change();
            }
        })
    }
}

fn strings(paths: &[&[u8]]) -> Vec<String> {
    paths.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

fn patterns(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn stat_of<'r>(received: &'r Received, path: &str) -> &'r Stat {
    received.stats.iter().find(|stat| stat.path == path.as_bytes()).unwrap()
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[test]
fn entries_come_in_the_order_of_bytes_within_each_directory() {
    let tree = Tree::new(&["a/x", "a.b", "a b/y", "ab", "A", "empty/", "a/.z"]);
    let received = tree.send_all();
    assert_eq!(
        strings(&received.paths()),
        ["A", "a", "a/.z", "a/x", "a b", "a b/y", "a.b", "ab", "empty"]
    );
    for (path, contents) in &received.files {
        assert_eq!(path, contents);
    }
    assert_eq!(received.files.len(), 6);
}

#[test]
fn an_empty_root_is_a_good_transfer() {
    let received = Tree::new(&[]).send_all();
    assert_eq!((received.stats.len(), received.files.len()), (0, 0));
}

#[test]
fn a_root_that_is_a_symlink_is_what_it_leads_to() {
    let tree = Tree::new(&["real/x", "link>real"]);
    let root = Root::open(tree.path("link")).unwrap();
    let (request, local) = (Request::default(), LocalFilter::none());
    let (result, received) = transfer(&root, &request, &local, Manner::Good, &|_| {});
    assert_eq!(result.unwrap().entries, 1);
    assert_eq!(strings(&received.paths()), ["x"]);
}

#[test]
fn a_root_that_is_no_directory_is_refused() {
    let tree = Tree::new(&["file"]);
    assert_eq!(
        Root::open(tree.path("file")).unwrap_err().kind(),
        std::io::ErrorKind::NotADirectory
    );
}

#[test]
fn random_trees_arrive_as_they_are() {
    for seed in 1..=12 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed);
        let tree = Tree::new(&[]);
        let mut dirs = vec![String::new()];
        let mut expected: BTreeMap<String, (u32, Vec<u8>, String)> = BTreeMap::new();
        let mut files: Vec<String> = Vec::new();
        for step in 0..120 {
            let names = ["a", "b", "a.b", "a b", "é", "!", "~", "x\ny", "-", "0"];
            let dir = &dirs[random.below(dirs.len())];
            let path = format!("{dir}{}{}", names[random.below(names.len())], random.below(4));
            if expected.contains_key(&path) {
                continue;
            }
            let full = tree.path(&path);
            match random.below(8) {
                0..=2 => {
                    fs::create_dir(&full).unwrap();
                    expected.insert(path.clone(), (0x8000_0000, Vec::new(), String::new()));
                    dirs.push(format!("{path}/"));
                }
                3 => {
                    let target = format!("../{step}");
                    symlink(&target, &full).unwrap();
                    expected.insert(path, (0x0800_0000, Vec::new(), target));
                }
                4 if !files.is_empty() => {
                    let first = files[random.below(files.len())].clone();
                    fs::hard_link(tree.path(&first), &full).unwrap();
                    expected.insert(path, (0, fs::read(&full).unwrap(), first));
                }
                _ => {
                    let sizes = [0, 1, 1000, 65_000, 65_536, 300_000, 700_001];
                    let mut contents = vec![0; sizes[random.below(sizes.len())]];
                    contents.iter_mut().for_each(|b| *b = random.below(256).to_le_bytes()[0]);
                    fs::write(&full, &contents).unwrap();
                    expected.insert(path.clone(), (0, contents, String::new()));
                    files.push(path);
                }
            }
        }
        let manner = if seed % 2 == 0 { Manner::Good } else { Manner::AsksLate };
        let (request, local) = (Request::default(), LocalFilter::none());
        let (result, received) = transfer(&tree.root(), &request, &local, manner, &|_| {});
        result.unwrap();
        assert_eq!(received.stats.len(), expected.len(), "seed {seed}");
        for stat in &received.stats {
            let path = str::from_utf8(&stat.path).unwrap();
            let (kind, contents, link) = &expected[path];
            assert_eq!(stat.mode & 0x8F28_0000, *kind, "{path}");
            let meta = fs::symlink_metadata(tree.path(path)).unwrap();
            assert_eq!(stat.mod_time, meta.mtime() * 1_000_000_000 + meta.mtime_nsec(), "{path}");
            assert_eq!(stat.size, if meta.is_dir() { 0 } else { meta.size().cast_signed() });
            // Which of the names is the first one is a matter of order, so contents are compared.
            let linked = str::from_utf8(&stat.linkname).unwrap();
            match *kind {
                0x0800_0000 => assert_eq!(linked, link, "{path}"),
                0 if linked.is_empty() => assert_eq!(&received.files[&stat.path], contents),
                0 => {
                    assert_eq!(meta.ino(), fs::metadata(tree.path(linked)).unwrap().ino());
                    assert_eq!(&received.files[&stat.linkname], contents);
                }
                _ => assert_eq!(linked, ""),
            }
        }
    }
}

#[test]
fn modes_are_gos_and_owners_are_root() {
    let tree = Tree::new(&["setuid", "plain", "sticky/", "link>plain"]);
    let chmod = |path: &str, mode| {
        fs::set_permissions(tree.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("setuid", 0o6755);
    chmod("plain", 0o640);
    chmod("sticky/", 0o1777);
    mknodat(CWD, tree.path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    chmod("fifo", 0o600);
    let socket = UnixListener::bind(tree.path("socket")).unwrap();
    chmod("socket", 0o755);
    let received = tree.send_all();
    drop(socket);
    for (path, mode) in [
        ("setuid", 0x00C0_0000 | 0o755),
        ("plain", 0o640),
        ("sticky", 0x8010_0000 | 0o777),
        ("link", 0x0800_0000 | 0o777),
        ("fifo", 0x0200_0000 | 0o600),
        ("socket", 0o755),
    ] {
        let stat = stat_of(&received, path);
        assert_eq!(stat.mode, mode, "{path}: {:o}", stat.mode);
        assert_eq!((stat.uid, stat.gid), (0, 0), "{path}");
    }
    // A socket is an empty regular file (fsutil stat.go), which may be asked for.
    assert_eq!(received.files[&b"socket"[..]], b"");
    assert!(!received.files.contains_key(&b"fifo"[..]));
}

#[test]
fn device_nodes_have_their_numbers() {
    let stat = rustix::fs::stat("/dev/null").unwrap();
    let facts = walk::Facts::new(&stat);
    let entry = walk::Entry { path: b"null", facts, linkname: b"", xattrs: &[] };
    let mut frame = Vec::new();
    wire::put_stat(&mut frame, &entry);
    let stat = Packet::decode(&frame[5..]).unwrap().stat.unwrap();
    assert_eq!((stat.devmajor, stat.devminor), (1, 3));
    assert_eq!(stat.mode & !0o777, 0x0420_0000);
}

#[test]
fn times_before_1970_and_their_nanoseconds_are_kept() {
    let tree = Tree::new(&["old"]);
    let time = Timespec { tv_sec: -2, tv_nsec: 7 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, tree.path("old"), &times, AtFlags::empty()).unwrap();
    assert_eq!(stat_of(&tree.send_all(), "old").mod_time, -1_999_999_993);
}

#[test]
fn extended_attributes_come_along_but_apples_do_not() {
    let tree = Tree::new(&["file", "dir/x", "held/y"]);
    let set = |path: &str, name: &str, value: &[u8]| {
        lsetxattr(tree.path(path), name, value, XattrFlags::empty()).unwrap();
    };
    set("file", "user.one", b"1\0\xff");
    set("file", "user.none", b"");
    set("dir", "user.dir", b"d");
    set("held", "user.held", b"h");
    // Linux knows no name that starts with `com.apple.`, so the rule is shown by one it allows.
    let listed = Ok(b"com.apple.x\0user.x\0".len());
    let kept = xattr::read_values(listed, b"com.apple.x\0user.x\0", &mut Vec::new(), |_, value| {
        value.push(b'v');
        Ok(1)
    });
    assert_eq!(kept, Ok(vec![(b"user.x".to_vec(), b"v".to_vec())]));

    let request = Request { include: patterns(&["file", "dir", "held/y"]), ..Request::default() };
    let received = tree.send(&request, &LocalFilter::none());
    let xattrs = |path: &str| stat_of(&received, path).xattrs.clone();
    let pairs = |pairs: &[(&str, &[u8])]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect()
    };
    assert_eq!(xattrs("file"), pairs(&[("user.one", b"1\0\xff"), ("user.none", b"")]));
    assert_eq!(xattrs("dir"), pairs(&[("user.dir", b"d")]));
    assert_eq!(xattrs("held"), pairs(&[("user.held", b"h")]));
    assert_eq!(xattrs("dir/x"), pairs(&[]));
}

#[test]
fn names_need_not_be_text_and_may_be_as_long_as_linux_lets_them() {
    use std::os::unix::ffi::OsStrExt;
    let tree = Tree::new(&[]);
    let mut names = vec![b"\xff\xfe".to_vec(), b"\x01".to_vec(), b"a\\b".to_vec(), vec![b'z'; 255]];
    for name in &names {
        let path = tree.0.path().join(std::ffi::OsStr::from_bytes(name));
        fs::write(path, name).unwrap();
    }
    let received = tree.send_all();
    names.sort();
    assert_eq!(received.paths(), names);
    assert!(received.files.iter().all(|(path, contents)| path == contents));
}

#[test]
fn a_hard_link_is_rebased_when_its_first_name_was_left_out() {
    let tree = Tree::new(&["a"]);
    for name in ["b", "c", "d"] {
        fs::hard_link(tree.path("a"), tree.path(name)).unwrap();
    }
    let request = Request { exclude: patterns(&["a", "c"]), ..Request::default() };
    let received = tree.send(&request, &LocalFilter::none());
    let links: Vec<_> =
        received.stats.iter().map(|stat| (&stat.path[..], &stat.linkname[..])).collect();
    assert_eq!(links, [(&b"b"[..], &b""[..]), (b"d", b"b")]);
    assert_eq!(received.files, [(b"b".to_vec(), b"a".to_vec())].into());
}

/// Makes `levels` directories called `d` in each other, with a file at the bottom.
fn make_deep(root: &Path, levels: usize) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut fd = openat(CWD, root, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        mkdirat(&fd, "d", Mode::RWXU).unwrap();
        fd = openat(&fd, "d", flags, Mode::empty()).unwrap();
    }
    let create = OFlags::CREATE | OFlags::WRONLY;
    rustix::io::write(openat(&fd, "file", create, Mode::RUSR).unwrap(), b"deep").unwrap();
}

/// Removes what [`make_deep`] made: nothing that removes by path or by recursion could.
fn remove_deep(root: &Path) {
    let fd: OwnedFd = openat(CWD, root, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    loop {
        match renameat(&fd, "d/d", &fd, "e") {
            Ok(()) => {
                unlinkat(&fd, "d", AtFlags::REMOVEDIR).unwrap();
                renameat(&fd, "e", &fd, "d").unwrap();
            }
            Err(Errno::NOENT) => return,
            Err(errno) => panic!("{errno}"),
        }
    }
}

#[test]
fn a_tree_deeper_than_any_path_may_be_long_is_walked_and_read() {
    const LEVELS: usize = 5000;
    let tree = Tree::new(&["after"]);
    make_deep(tree.0.path(), LEVELS);
    let received = tree.send_all();
    remove_deep(tree.0.path());
    assert_eq!(received.stats.len(), LEVELS + 2);
    assert_eq!(received.files.len(), 2);
    let deepest = received.stats.last().unwrap();
    assert_eq!(deepest.path, ["d/".repeat(LEVELS), "file".to_owned()].concat().as_bytes());
    assert_eq!(received.files[&deepest.path], b"deep");
}

#[test]
fn small_files_share_a_message_batch_and_large_ones_go_in_chunks() {
    let tree = Tree::new(&[]);
    for number in 0..500 {
        tree.add(&format!("small{number:03}"), &[b'x'; 100]);
    }
    let received = tree.send_all();
    // 500 STATs of 40 bytes, 500 files of 130 bytes: each fits in two batches.
    assert!(received.frames < 20, "{} frames", received.frames);
    assert!(received.frames_bytes_max <= BATCH_BYTES);

    let tree = Tree::new(&[]);
    tree.add("large", &vec![7; 4 << 20]);
    let received = tree.send_all();
    assert_eq!(received.files[&b"large"[..]], vec![7; 4 << 20]);
    assert!(received.frames_bytes_max > CHUNK_BYTES);
    assert!(received.frames < 24, "{} frames", received.frames);
}

#[test]
fn sparse_files_arrive_as_zeros() {
    let tree = Tree::new(&["sparse"]);
    let file = fs::File::options().write(true).open(tree.path("sparse")).unwrap();
    file.set_len(9 << 20).unwrap();
    let received = tree.send_all();
    let mut contents = vec![0; 9 << 20];
    contents[..6].copy_from_slice(b"sparse");
    assert!(received.files[&b"sparse"[..]] == contents);
}

#[test]
fn an_unchanged_context_costs_announcements_only() {
    let tree = Tree::new(&["a", "b/c"]);
    let (request, local) = (Request::default(), LocalFilter::none());
    let (result, received) = transfer(&tree.root(), &request, &local, Manner::AsksNothing, &|_| {});
    assert_eq!(result.unwrap().files, 0);
    assert_eq!(received.stats.len(), 3);
    // The announcements, and FIN.
    assert_eq!(received.frames, 2);
}

#[test]
fn a_file_that_is_not_what_was_announced_is_an_error_with_its_path() {
    type Change<'c> = &'c (dyn Fn(&Tree) + Sync);
    let changes: [(&str, Change<'_>); 7] = [
        ("`dir/file` changed while it was sent", &|t| {
            fs::write(t.path("dir/file"), "longer than before").unwrap();
        }),
        ("`dir/file` changed while it was sent", &|t| {
            let time = Timespec { tv_sec: 1, tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(CWD, t.path("dir/file"), &times, AtFlags::empty()).unwrap();
        }),
        ("`dir/file` changed while it was sent", &|t| {
            fs::remove_file(t.path("dir/file")).unwrap();
            symlink("/etc/passwd", t.path("dir/file")).unwrap();
        }),
        ("`dir/file` changed while it was sent", &|t| {
            fs::remove_file(t.path("dir/file")).unwrap();
            let mode = Mode::from_raw_mode(0o600);
            mknodat(CWD, t.path("dir/file"), FileType::Fifo, mode, 0).unwrap();
        }),
        ("`dir/file` changed while it was sent", &|t| {
            fs::remove_file(t.path("dir/file")).unwrap();
            fs::create_dir(t.path("dir/file")).unwrap();
        }),
        ("cannot open `dir/file`", &|t| fs::remove_file(t.path("dir/file")).unwrap()),
        // A symlink in place of the directory is not followed.
        ("`dir/file` changed while it was sent", &|t| {
            fs::rename(t.path("dir"), t.path("moved")).unwrap();
            symlink("moved", t.path("dir")).unwrap();
        }),
    ];
    for (at, (expected, change)) in changes.into_iter().enumerate() {
        let tree = Tree::new(&["dir/file"]);
        let error = tree.error_after_announcing("dir/file", || change(&tree));
        assert_eq!(error, expected, "change {at}");
    }
}

#[test]
fn a_file_truncated_or_grown_while_it_is_read_is_an_error() {
    for len in [1 << 20, 3 << 20] {
        let tree = Tree::new(&[]);
        tree.add("large", &vec![1; 2 << 20]);
        let error = tree.error(Manner::Good, &|packet| {
            if packet.r#type == i32::from(PacketType::Data) {
                let file = fs::File::options().write(true).open(tree.path("large")).unwrap();
                file.set_len(len).unwrap();
            }
        });
        assert_eq!(error, "`large` changed while it was sent", "{len}");
    }
}

#[test]
fn a_daemon_that_breaks_the_rules_or_gives_up_is_an_error() {
    let tree = Tree::new(&["a", "b/c", "d"]);
    let twice = tree.error(Manner::AsksTwice, &|_| {});
    assert!(twice.ends_with("which it must not"), "{twice}");
    for (manner, expected) in [
        (Manner::AsksFor(1), "the daemon asked for file 1, which it must not"),
        (Manner::AsksFor(77), "the daemon asked for file 77, which it must not"),
        (Manner::GivesUp, "the daemon stopped the transfer: disk is full"),
        (Manner::Ends, "the daemon ended the transfer early"),
        (Manner::ClosesAfter(1), "the transfer of the context was cut off"),
        (Manner::ClosesAfter(2), "the transfer of the context was cut off"),
    ] {
        assert_eq!(tree.error(manner, &|_| {}), expected, "{manner:?}");
    }
}

#[test]
fn a_stream_that_breaks_stops_a_long_walk_at_once() {
    let tree = Tree::new(&[]);
    for number in 0..3000 {
        tree.add(&format!("{number:0100}"), b"");
    }
    let inbox = Inbox::default();
    struct Breaks<'a>(&'a Inbox);
    impl Sink for Breaks<'_> {
        fn send(&self, _: Bytes) -> Result<(), SinkClosed> {
            self.0.on_end(Err("connection reset".to_owned()));
            Ok(())
        }
    }
    let counters = Counters::default();
    let (request, local) = (Request::default(), LocalFilter::none());
    let result = send(&tree.root(), &request, &local, &inbox, &Breaks(&inbox), &counters);
    let text = "the transfer of the context was cut off: connection reset";
    assert_eq!(result.unwrap_err().to_string(), text);
    assert!(counters.entries.load(Ordering::Relaxed) < 1000);
}

#[test]
fn a_panic_of_the_data_thread_is_an_error_and_not_a_hang() {
    let tree = Tree::new(&["a", "b", "c"]);
    struct Panics(Inbox);
    impl Sink for Panics {
        fn send(&self, mut frames: Bytes) -> Result<(), SinkClosed> {
            assert_ne!(thread::current().name(), Some("pbx-data"), "a panic on purpose");
            let ask = |id| {
                let request = Packet { r#type: 1, id, ..Packet::default() };
                self.0.on_message(request.encode_to_vec().into());
            };
            frames.advance(1);
            let len = frames.get_u32() as usize;
            if Packet::decode(frames.split_to(len)).unwrap().stat.is_some() {
                (0..2).for_each(ask);
                return Ok(());
            }
            // The caller is busy here, so the other thread has to take the last request.
            ask(2);
            while !self.0.is_stopped() {
                thread::yield_now();
            }
            Ok(())
        }
    }
    let sink = Panics(Inbox::default());
    let (request, local) = (Request::default(), LocalFilter::none());
    let result = send(&tree.root(), &request, &local, &sink.0, &sink, &Counters::default());
    assert!(matches!(result, Err(TransferError::Panicked)), "{result:?}");
}

#[test]
fn an_error_frame_is_an_err_packet_with_all_causes() {
    let text = |error: &TransferError| {
        let mut frame = error_frame(error);
        assert_eq!(frame.get_u8(), 0);
        assert_eq!(frame.get_u32() as usize, frame.len());
        let packet = Packet::decode(frame).unwrap();
        assert_eq!(packet.r#type, i32::from(PacketType::Err));
        String::from_utf8(packet.data.to_vec()).unwrap()
    };
    let open = TransferError::open(b"src/main.rs", Errno::ACCESS);
    assert_eq!(text(&open), "cannot open `src/main.rs`: Permission denied (os error 13)");
    let long = TransferError::Daemon("é".repeat(9000));
    assert!((4090..=4096).contains(&text(&long).len()));
}

#[test]
fn what_the_walk_sends_is_what_fsutil_sends() {
    // In step with tests/corpus/pattern/walk.txt, whose rows were made with fsutil 6d9dc2ebad62:
    // x: exclude, i: include, f: follow; then the paths that were sent.
    let tree = Tree::new(&[
        "a/b/c/x",
        "a/b/x.log",
        "a/x",
        "a.b",
        "ab/a",
        "ab/link>../lib",
        "ab/x.log",
        "abs>/lib/sub",
        "empty/",
        "foo",
        "lib/a/x",
        "lib/sub/deep/y",
        "lib/sub/x.log",
        "lib/y",
        "loop1>loop2",
        "loop2>loop1/x",
        "node_modules/foo/index.js",
        "node_modules/foo/node_modules/x",
        "out>../../etc/passwd",
        "src/a/a",
        "src/a/link>../../ab/link",
        "src/b>a",
        "src/main.rs",
        "src/node_modules/y",
        "x.log",
        "y>foo",
    ]);
    let rows = include_str!("../../../tests/corpus/pattern/walk.txt");
    for row in rows.lines() {
        let (given, expected) = row.split_once(" => ").unwrap();
        let of = |kind: &str| {
            patterns(&given.split(' ').filter_map(|arg| arg.strip_prefix(kind)).collect::<Vec<_>>())
        };
        let request = Request {
            include: of("i:"),
            exclude: of("x:"),
            follow_paths: of("f:"),
            ..Request::default()
        };
        let received = tree.send(&request, &LocalFilter::none());
        assert_eq!(strings(&received.paths()).join(" "), expected, "{given}");
    }
    assert_eq!(rows.lines().count(), 240);
}

#[test]
fn local_rules_and_the_daemons_both_leave_out() {
    let tree = Tree::new(&["a/x", "a/y", "b/x", "c/d/keep", "c/d/drop", "z"]);
    let request = Request { exclude: patterns(&["b", "**/y"]), ..Request::default() };
    for (local, expected) in [
        (&["z"][..], "a a/x c c/d c/d/drop c/d/keep"),
        (&["c", "!c/d/keep"], "a a/x c c/d c/d/keep z"),
        (&["*", "!a"], "a a/x"),
        (&["b", "**/y"], "a a/x c c/d c/d/drop c/d/keep z"),
        (&[], "a a/x c c/d c/d/drop c/d/keep z"),
    ] {
        let filter = LocalFilter::new(&patterns(local)).unwrap();
        let received = tree.send(&request, &filter);
        assert_eq!(strings(&received.paths()).join(" "), expected, "{local:?}");
    }
    let git = LocalFilter::with_git_rule(&patterns(&["c", "!**/keep"])).unwrap();
    assert_eq!(strings(&tree.send(&request, &git).paths()).join(" "), "a a/x z");
}

#[test]
fn a_bad_pattern_of_the_daemon_is_named() {
    let tree = Tree::new(&["a"]);
    let request = Request { exclude: patterns(&["[b-a]"]), ..Request::default() };
    let (result, _) = transfer(&tree.root(), &request, &LocalFilter::none(), Manner::Good, &|_| {});
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "cannot filter the context");
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "cannot use pattern `[b-a]`: a range in its `[` runs backwards");
}

#[test]
fn follow_paths_end_in_cycles_and_long_chains_and_stay_inside() {
    let tree = Tree::new(&["loop>loop", "a>b/x", "b>a/x", "up>../../../etc", "end"]);
    for number in 0..3000 {
        let target = format!("chain{}", number + 1);
        symlink(target, tree.path(&format!("chain{number}"))).unwrap();
    }
    symlink("end", tree.path("chain3000")).unwrap();
    let send = |paths: &[&str]| {
        let request = Request { follow_paths: patterns(paths), ..Request::default() };
        tree.send(&request, &LocalFilter::none())
    };
    assert_eq!(strings(&send(&["loop/y", "a", "up/passwd"]).paths()), ["a", "b", "loop", "up"]);
    let chain = send(&["chain0"]);
    assert_eq!(chain.stats.len(), 3002);
    assert_eq!(chain.files.len(), 1);
}

#[test]
fn packets_of_any_bytes_do_not_panic() {
    let mut random = Random(7);
    let good = Packet { r#type: 1, id: 300, data: Bytes::from_static(b"x"), stat: None };
    let good = good.encode_to_vec();
    for len in 0..=good.len() {
        fuzz_packet(&good[..len]);
    }
    for _ in 0..2000 {
        let mut data = good.clone();
        for _ in 0..3 {
            let at = random.below(data.len());
            data[at] = random.below(256).to_le_bytes()[0];
        }
        fuzz_packet(&data);
    }
}
