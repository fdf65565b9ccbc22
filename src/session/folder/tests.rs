//! A daemon in memory, honest and hostile.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{mutation::mutate, output::FolderPlace};

const DIR: u32 = 0x8000_0000;
const SYMLINK: u32 = 0x0800_0000;
const FIFO: u32 = 0x0200_0000;
const CHAR_DEVICE: u32 = 0x0420_0000;
const BLOCK_DEVICE: u32 = 0x0400_0000;
const SETUID: u32 = 0x0080_0000;
const STICKY: u32 = 0x0010_0000;
const TIME: i64 = 1_500_000_000_000_000_123;

fn stat(path: &str, mode: u32) -> Stat {
    Stat { path: path.into(), mode, mod_time: TIME, ..Stat::default() }
}

fn file(path: &str, mode: u32, content: &[u8]) -> (Stat, Vec<u8>) {
    (Stat { size: i64::try_from(content.len()).unwrap(), ..stat(path, mode) }, content.to_vec())
}

fn dir(path: &str, mode: u32) -> (Stat, Vec<u8>) {
    (stat(path, DIR | mode), Vec::new())
}

fn link_to(path: &str, target: &str) -> (Stat, Vec<u8>) {
    (Stat { linkname: target.into(), ..stat(path, SYMLINK | 0o777) }, Vec::new())
}

fn same_as(path: &str, first: &str) -> (Stat, Vec<u8>) {
    (Stat { linkname: first.into(), ..stat(path, 0o644) }, Vec::new())
}

fn entry(stat: Stat) -> Packet {
    Packet { stat: Some(stat), ..Packet::default() }
}

fn packet(kind: PacketType, id: u32, data: &[u8]) -> Packet {
    let data = Bytes::copy_from_slice(data);
    Packet { r#type: kind.into(), id, data, ..Packet::default() }
}

/// Surroundings with something to lose.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(world.at("outside")).unwrap();
        fs::write(world.at("outside/secret"), "kept").unwrap();
        world
    }

    /// The folder is there already.
    fn with_folder() -> Self {
        let world = Self::new();
        fs::create_dir(world.at("out")).unwrap();
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn transfer(&self) -> Transfer {
        let out = self.at("out");
        let place = check_folder(&out).unwrap();
        Transfer::new(Disk::new(&out, place, true).unwrap())
    }

    fn assert_unharmed(&self) {
        assert_eq!(names(&self.at("outside")), ["secret"]);
        assert_eq!(fs::read_to_string(self.at("outside/secret")).unwrap(), "kept");
        assert!(names(self.dir.path()).iter().all(|name| name == "out" || name == "outside"));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Sends all, and answers what it is asked, in pieces.
fn send(transfer: &mut Transfer, entries: &[(Stat, Vec<u8>)]) -> Result<(), ReceiveError> {
    let mut asked = VecDeque::new();
    let mut open = 0;
    let mut say = |transfer: &mut Transfer, asked: &mut VecDeque<u32>, packet| {
        for answer in transfer.on_packet(packet)?.expect("it is not over") {
            match PacketType::try_from(answer.r#type).unwrap() {
                PacketType::Req => asked.push_back(answer.id),
                PacketType::Fin => return Ok(true),
                other => panic!("{other:?}"),
            }
        }
        open = open.max(asked.len());
        assert!(open <= IN_FLIGHT_MAX);
        Ok::<bool, ReceiveError>(false)
    };
    for (stat, _) in entries {
        assert!(!say(transfer, &mut asked, entry(stat.clone()))?);
    }
    let mut is_over = say(transfer, &mut asked, Packet::default())?;
    while let Some(id) = asked.pop_front() {
        for piece in entries[id as usize].1.chunks(3) {
            say(transfer, &mut asked, packet(PacketType::Data, id, piece))?;
        }
        is_over = say(transfer, &mut asked, packet(PacketType::Data, id, b""))?;
    }
    assert!(is_over, "all was sent");
    assert!(transfer.on_packet(packet(PacketType::Fin, 0, b""))?.is_none());
    Ok(())
}

fn receive(world: &World, entries: &[(Stat, Vec<u8>)]) -> FolderReport {
    let mut transfer = world.transfer();
    send(&mut transfer, entries).unwrap();
    Received(transfer.disk).finish().unwrap()
}

/// Told as a person would hear it.
fn refused(world: &World, entries: &[(Stat, Vec<u8>)]) -> String {
    let mut transfer = world.transfer();
    let error = send(&mut transfer, entries).expect_err("it is refused");
    drop(transfer);
    match error {
        ReceiveError::Output(error) => error.to_string(),
        ReceiveError::Stream(status) => status.message,
    }
}

fn tree() -> Vec<(Stat, Vec<u8>)> {
    vec![
        dir("bin", 0o555),
        (
            Stat { uid: 0, gid: 42, ..file("bin/su", SETUID | 0o755, b"run as another").0 },
            b"run as another".to_vec(),
        ),
        same_as("bin/su-again", "bin/su"),
        file("empty", 0o600, b""),
        link_to("lib", "usr/lib"),
        (stat("pipe", FIFO | 0o640), Vec::new()),
        dir("tmp", STICKY | 0o777),
        dir("usr", 0o755),
        dir("usr/lib", 0o711),
        file("usr/lib/a", 0o444, &[7; 1000]),
    ]
}

fn check_tree(out: &Path) {
    let mode = |path: &str| fs::symlink_metadata(out.join(path)).unwrap().mode() & 0o7777;
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(mode("bin"), 0o555);
    assert_eq!(mode("bin/su"), if is_root { 0o4755 } else { 0o755 });
    assert_eq!(fs::metadata(out.join("bin/su")).unwrap().gid() == 42, is_root);
    assert_eq!((mode("tmp"), mode("usr/lib"), mode("usr/lib/a")), (0o1777, 0o711, 0o444));
    assert_eq!((mode("empty"), mode("pipe")), (0o600, 0o640));
    let inode = |path: &str| fs::metadata(out.join(path)).unwrap().ino();
    assert_eq!(inode("bin/su"), inode("bin/su-again"));
    assert_eq!(fs::read(out.join("bin/su-again")).unwrap(), b"run as another");
    assert_eq!(fs::read(out.join("lib/a")).unwrap(), [7; 1000]);
    assert_eq!(fs::read(out.join("empty")).unwrap(), b"");
    assert_eq!(fs::read_link(out.join("lib")).unwrap(), Path::new("usr/lib"));
    for path in ["bin", "bin/su", "lib", "usr", "usr/lib/a", "pipe"] {
        let found = fs::symlink_metadata(out.join(path)).unwrap();
        assert_eq!((found.mtime(), found.mtime_nsec()), (1_500_000_000, 123), "{path}");
    }
    assert_eq!(names(&out.join("bin")), ["su", "su-again"]);
}

#[test]
fn a_new_folder_has_its_name_when_it_is_whole() {
    let world = World::new();
    let mut transfer = world.transfer();
    send(&mut transfer, &tree()).unwrap();
    assert!(!world.at("out").exists());
    let report = Received(transfer.disk).finish().unwrap();
    check_tree(&world.at("out"));
    assert_eq!((report.files, report.bytes), (4, 14 + 1000));
    let digests: BTreeMap<_, _> = report.digests.into_iter().collect();
    assert_eq!(
        digests.keys().collect::<Vec<_>>(),
        ["bin/su", "bin/su-again", "empty", "usr/lib/a"]
    );
    assert_eq!(digests["bin/su"], digests["bin/su-again"]);
    let of_nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digests["empty"], of_nothing);
    // As any new folder.
    fs::create_dir(world.at("outside/plain")).unwrap();
    let mode = |name: &str| fs::metadata(world.at(name)).unwrap().mode();
    assert_eq!(mode("out"), mode("outside/plain"));
    fs::remove_dir(world.at("outside/plain")).unwrap();
    world.assert_unharmed();
}

#[test]
fn what_a_folder_has_already_stays_or_is_replaced() {
    let world = World::with_folder();
    let out = world.at("out");
    fs::write(out.join("mine"), "stays").unwrap();
    // All that may be in the way: a folder for a file, a file for a folder, links for both.
    fs::create_dir_all(out.join("empty/deep/er")).unwrap();
    fs::write(out.join("empty/deep/er/x"), "gone").unwrap();
    fs::set_permissions(out.join("empty/deep"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::write(out.join("tmp"), "gone").unwrap();
    symlink("../outside", out.join("usr")).unwrap();
    fs::create_dir(out.join("bin")).unwrap();
    symlink("../../outside/secret", out.join("bin/su")).unwrap();
    fs::hard_link(world.at("outside/secret"), out.join("bin/su-again")).unwrap();
    fs::create_dir(out.join("lib")).unwrap();
    // Three times: read-only folders and files of the last time are no hindrance.
    for _ in 0..3 {
        let report = receive(&world, &tree());
        assert_eq!(report.files, 4);
        check_tree(&out);
        assert_eq!(fs::read_to_string(out.join("mine")).unwrap(), "stays");
        assert_eq!(names(&out), ["bin", "empty", "lib", "mine", "pipe", "tmp", "usr"]);
        world.assert_unharmed();
    }
}

#[test]
fn what_is_given_up_leaves_nothing() {
    let part = |transfer: &mut Transfer| {
        for (stat, _) in tree() {
            transfer.on_packet(entry(stat)).unwrap();
        }
        transfer.on_packet(packet(PacketType::Data, 1, b"run")).unwrap();
    };
    let world = World::new();
    let mut transfer = world.transfer();
    part(&mut transfer);
    assert_eq!(names(world.dir.path()).len(), 2);
    drop(transfer);
    assert_eq!(names(world.dir.path()), ["outside"]);

    // All is there, but the build fails in the end.
    let mut transfer = world.transfer();
    send(&mut transfer, &tree()).unwrap();
    drop(Received(transfer.disk));
    assert_eq!(names(world.dir.path()), ["outside"]);

    let world = World::with_folder();
    fs::create_dir(world.at("out/bin")).unwrap();
    fs::write(world.at("out/bin/su"), "old").unwrap();
    let mut transfer = world.transfer();
    part(&mut transfer);
    assert_eq!(names(&world.at("out/bin")).len(), 2, "one is on its way");
    drop(transfer);
    assert_eq!(names(&world.at("out/bin")), ["su"]);
    assert_eq!(fs::read_to_string(world.at("out/bin/su")).unwrap(), "old");
    assert_eq!(fs::metadata(world.at("out/bin")).unwrap().mode() & 0o777, 0o555);
}

#[test]
fn no_path_leads_out_of_the_folder() {
    for path in [
        "", "/", "/etc", "..", "../outside/x", "a/../../outside/x", "a/..", "./a", "a/.", "a//b",
        "a/", "a\0b",
    ] {
        for entries in [
            [dir("a", 0o755), file(path, 0o644, b"bad")],
            [dir("a", 0o755), dir(path, 0o755)],
            [file("a", 0o644, b"a"), same_as("b", path)],
            [file("a", 0o644, b"a"), link_to(path, "x")],
        ] {
            if path.is_empty() && !entries[1].0.path.is_empty() {
                // A link to nothing is a file, and has all its bytes.
                continue;
            }
            for world in [World::new(), World::with_folder()] {
                let text = refused(&world, &entries);
                assert!(text.contains("no path below a folder"), "{path:?}: {text}");
                world.assert_unharmed();
            }
        }
    }
    let long = "x".repeat(20 << 10);
    let world = World::new();
    assert!(refused(&world, &[file(&long, 0o644, b"")]).contains("no path below"));
}

#[test]
fn no_link_leads_out_of_the_folder() {
    for target in ["../outside", "/", "/proc/self/cwd", "."] {
        let through = [link_to("a", target), file("a/secret", 0o644, b"bad")];
        let deeper = [link_to("a", target), dir("a/outside", 0o755)];
        let linked = [link_to("a", target), file("b", 0o644, b"b"), same_as("a/c", "b")];
        let source = [link_to("a", target), same_as("b", "a/secret")];
        for entries in [&through[..], &deeper, &linked, &source] {
            for world in [World::new(), World::with_folder()] {
                drop(refused(&world, entries));
                world.assert_unharmed();
                // The same link was there before, and the daemon says nothing of it.
                let world = World::with_folder();
                symlink(target, world.at("out/a")).unwrap();
                drop(refused(&world, &entries[1..]));
                world.assert_unharmed();
            }
        }
    }
}

#[test]
fn links_that_were_there_are_replaced_and_not_followed() {
    let world = World::with_folder();
    let out = world.at("out");
    for name in ["file", "dir", "link"] {
        symlink("../outside", out.join(name)).unwrap();
    }
    symlink("../outside/secret", out.join("secret")).unwrap();
    let entries = [
        dir("dir", 0o700),
        file("dir/secret", 0o600, b"new"),
        file("file", 0o600, b"new"),
        link_to("link", "file"),
        file("secret", 0o600, b"new"),
    ];
    drop(receive(&world, &entries));
    world.assert_unharmed();
    for path in ["dir/secret", "file", "link", "secret"] {
        assert_eq!(fs::read_to_string(out.join(path)).unwrap(), "new", "{path}");
    }
    assert!(!out.join("dir").is_symlink() && !out.join("secret").is_symlink());
}

#[test]
fn only_files_that_were_sent_get_another_name() {
    let world = World::with_folder();
    fs::write(world.at("out/there"), "before").unwrap();
    for first in ["there", "missing", "d", "l"] {
        let entries = [dir("d", 0o755), link_to("l", "there"), same_as("new", first)];
        let text = refused(&world, &entries);
        assert!(text.contains("`new` is another name of nothing"), "{text}");
    }
    assert!(!world.at("out/new").exists());
}

#[test]
fn a_daemon_that_breaks_the_protocol_is_refused() {
    let start = |world: &World| {
        let mut transfer = world.transfer();
        let asked = transfer.on_packet(entry(file("a", 0o644, b"abc").0)).unwrap().unwrap();
        assert_eq!(asked.len(), 1);
        transfer
    };
    let data = |id, text: &[u8]| packet(PacketType::Data, id, text);
    let last = Packet::default;
    for packets in [
        vec![data(0, b"abcd")],
        vec![data(0, b"ab"), data(0, b"")],
        vec![data(0, b"abc"), data(0, b""), data(0, b"")],
        vec![data(0, b"abc"), data(0, b""), data(0, b"x")],
        vec![data(1, b"abc")],
        vec![data(7, b"")],
        vec![last(), last()],
        vec![last(), entry(stat("b", DIR))],
        vec![packet(PacketType::Fin, 0, b"")],
        vec![packet(PacketType::Req, 0, b"")],
        vec![packet(PacketType::Err, 0, b"\x1b[2Jno")],
        vec![Packet { r#type: 99, ..Packet::default() }],
        vec![entry(Stat { size: -1, ..stat("b", 0o644) })],
        vec![entry(stat("b", 0x0008_0000))],
        vec![entry(stat("b", 0x0100_0000))],
        vec![entry(stat("l", SYMLINK))],
        vec![entry(Stat { devmajor: -1, ..stat("c", CHAR_DEVICE) })],
    ] {
        let world = World::new();
        let mut transfer = start(&world);
        let shown = format!("{packets:?}");
        let (wrong, before) = packets.split_last().unwrap();
        for packet in before {
            transfer.on_packet(packet.clone()).unwrap();
        }
        let error = transfer.on_packet(wrong.clone()).expect_err(&shown);
        let ReceiveError::Stream(status) = error else { panic!("{error:?}") };
        assert!(!status.message.contains('\x1b'), "{status:?}");
        drop(transfer);
        assert_eq!(names(world.dir.path()), ["outside"], "{shown}");
    }
}

#[test]
fn the_number_of_entries_has_an_end() {
    let world = World::new();
    let mut transfer = world.transfer();
    transfer.memory_bytes = MEMORY_BYTES_MAX - 10;
    let error = transfer.on_packet(entry(file("a", 0o644, b"").0)).unwrap_err();
    let ReceiveError::Stream(status) = error else { panic!("{error:?}") };
    assert!(status.message.contains("too many files"), "{status:?}");
}

#[test]
fn many_files_come_a_few_at_a_time() {
    let world = World::new();
    let entries: Vec<_> =
        (0..500).map(|n| file(&format!("{n:04}"), 0o644, format!("{n}").as_bytes())).collect();
    assert_eq!(receive(&world, &entries).files, 500);
    for n in [0, 31, 32, 33, 499] {
        let path = world.at("out").join(format!("{n:04}"));
        assert_eq!(fs::read_to_string(path).unwrap(), n.to_string());
    }
}

#[test]
fn a_tree_may_be_deeper_than_any_path_and_is_removed_all_the_same() {
    let world = World::with_folder();
    let mut transfer = world.transfer();
    let mut path = "deep".to_owned();
    // Longer than a path of Linux, with more folders than may be open.
    for n in 0..1500 {
        transfer.on_packet(entry(dir(&path, 0o500).0)).unwrap();
        if n % 100 == 0 {
            transfer.on_packet(entry(link_to(&format!("{path}/link"), "x").0)).unwrap();
        }
        path.push_str("/dd");
    }
    transfer.on_packet(Packet::default()).unwrap();
    drop(Received(transfer.disk).finish().unwrap());
    assert_eq!(names(&world.at("out")), ["deep"]);
    // What takes its place is no folder.
    drop(receive(&world, &[file("deep", 0o644, b"flat")]));
    assert_eq!(fs::read_to_string(world.at("out/deep")).unwrap(), "flat");
    assert_eq!(names(&world.at("out")), ["deep"]);
}

#[test]
fn devices_are_made_or_left_out_and_counted() {
    let world = World::new();
    let null = Stat { devmajor: 1, devminor: 3, ..stat("null", CHAR_DEVICE | 0o622) };
    let block = Stat { devmajor: 7, devminor: 99, ..stat("block", BLOCK_DEVICE | 0o600) };
    let entries = [(null, Vec::new()), (block, Vec::new()), file("x", 0o644, b"x")];
    let report = receive(&world, &entries);
    for (name, mode, number) in [("null", 0o020_622, (1, 3)), ("block", 0o060_600, (7, 99))] {
        let found = fs::symlink_metadata(world.at("out").join(name));
        assert_eq!(found.is_err(), report.skipped_devices == 2);
        if let Ok(found) = found {
            let number = rustix::fs::makedev(number.0, number.1);
            assert_eq!((found.mode(), found.rdev()), (mode, number), "{name}");
        }
    }
    assert_eq!(report.files, 1);
}

#[test]
fn attributes_are_set_where_that_is_possible_and_survive_the_owner() {
    let world = World::new();
    let user = ("user.peelbox".to_owned(), b"value".to_vec());
    // Version 2, `cap_net_bind_service` (Linux `uapi/linux/capability.h`).
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
    let refused = ("unknown.kind".to_owned(), b"ignored".to_vec());
    let xattrs = [user, ("security.capability".to_owned(), capability.clone()), refused].into();
    let (plain, content) = file("program", 0o755, b"x");
    receive(&world, &[(Stat { uid: 7, xattrs, ..plain }, content)]);
    let read = |name: &str| {
        let mut value = vec![0; 64];
        let path = world.at("out/program");
        let length = rustix::fs::getxattr(path, name, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    };
    let probe = world.at("outside/secret");
    let can = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&probe, name, value, rustix::fs::XattrFlags::empty()).is_ok()
    };
    let expected = can("user.x", b"").then(|| b"value".to_vec());
    assert_eq!(read("user.peelbox"), expected);
    let expected = can("security.capability", &capability).then_some(capability);
    assert_eq!(read("security.capability"), expected);
}

#[test]
fn what_was_taken_takes_nothing_more() {
    let world = World::new();
    let send = FolderSend::new(world.at("out"), false, RootCause::default());
    send.begin().unwrap();
    assert!(send.begin().is_err(), "one folder was asked for");
    send.on_packet(entry(file("a", 0o644, b"abc").0)).unwrap();
    assert!(send.take().is_none(), "it is not whole");
    assert_eq!(names(world.dir.path()), ["outside"]);
    assert!(send.on_packet(packet(PacketType::Data, 0, b"abc")).is_err());
    assert!(send.begin().is_err());

    let send = FolderSend::new(world.at("out"), false, RootCause::default());
    send.begin().unwrap();
    send.on_packet(Packet::default()).unwrap();
    let report = send.take().expect("an empty folder is one").finish().unwrap();
    assert_eq!(report, FolderReport::default());
    assert_eq!(names(&world.at("out")), [""; 0]);
}

#[test]
fn a_folder_that_came_in_between_is_not_touched() {
    let world = World::new();
    let mut transfer = world.transfer();
    send(&mut transfer, &tree()).unwrap();
    fs::create_dir(world.at("out")).unwrap();
    fs::write(world.at("out/mine"), "stays").unwrap();
    let error = Received(transfer.disk).finish().unwrap_err();
    assert!(matches!(error, OutputError::Rename { .. }), "{error:?}");
    assert_eq!(names(&world.at("out")), ["mine"]);
    world.assert_unharmed();
}

#[test]
fn errors_of_the_disk_name_the_file() {
    let world = World::with_folder();
    let sys = FolderPlace::There("/sys".into());
    let mut disk = Disk::new(&world.at("out"), sys, false).unwrap();
    let made = disk.make(Entry::new(dir("x\n", 0o755).0).unwrap()).unwrap_err();
    assert!(matches!(made, OutputError::Write { .. }), "{made:?}");
    assert!(made.to_string().ends_with("/out/x\u{fffd}`"), "{made}");
    let begun = disk.begin(0, Entry::new(file("x", 0o644, b"").0).unwrap()).unwrap_err();
    assert!(matches!(begun, OutputError::Write { .. }), "{begun:?}");
}

#[test]
fn no_packets_make_it_write_elsewhere_or_panic() {
    let mut seed = Vec::new();
    for (stat, content) in tree() {
        seed.extend(entry(stat).encode_length_delimited_to_vec());
        seed.extend(packet(PacketType::Data, 1, &content).encode_length_delimited_to_vec());
    }
    seed.extend(entry(link_to("usr/up", "../../outside").0).encode_length_delimited_to_vec());
    seed.extend(entry(file("usr/up/x", 0o644, b"").0).encode_length_delimited_to_vec());
    let world = World::with_folder();
    mutate(&seed, b"../\0", 300, |data| {
        let mut rest = data;
        let mut transfer = world.transfer();
        while let Ok(packet) = Packet::decode_length_delimited(&mut rest) {
            if rest.is_empty() || transfer.on_packet(packet).is_err() {
                break;
            }
        }
    });
    world.assert_unharmed();
}
