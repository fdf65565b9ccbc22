//! The context as a build step sees it is the directory, and is what buildctl would have sent.

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::support::{
    buildctl, daemon,
    listing::{self, GIB},
    nasty,
    workdir::{Workdir, debian, lister},
};

/// The same as [`listing::seen`] through buildctl, every step run anew.
fn seen_through_buildctl(work: &Workdir) -> Vec<String> {
    let plan = work.plan().args(["--format", "llb", "--no-cache"]).run().ok();
    fs::write(work.path("plan.llb"), &plan.stdout).unwrap();
    buildctl::build(work, &work.path("plan.llb"), ["--output", "type=local,dest=through-buildctl"]);
    listing::read(&work.path("through-buildctl/listing"))
}

#[test]
fn a_build_step_sees_the_directory_as_it_is_and_as_buildctl_sends_it() {
    let work = Workdir::with_spec(&lister("nasty"));
    nasty::make(&work.context());
    let expected = listing::expected(&work.context());
    assert!(expected.len() > 120, "{expected:#?}");
    listing::assert_same("the context in a step", &expected, &listing::seen(&work));
    listing::assert_same("buildctl", &expected, &seen_through_buildctl(&work));
}

#[test]
fn the_oldest_supported_daemon_sees_the_directory_as_it_is() {
    let work = Workdir::with_spec(&lister("nasty-old")).on(&daemon::oldest());
    nasty::make(&work.context());
    let expected = listing::expected(&work.context());
    listing::assert_same("the context in a step", &expected, &listing::seen(&work));
}

#[test]
fn a_file_of_one_gib_without_a_block_on_the_disk_arrives_whole() {
    let work = Workdir::with_spec(&lister("sparse"));
    File::create(work.context().join("sparse")).unwrap().set_len(GIB).unwrap();
    work.write("z", "after it");
    let expected = listing::expected(&work.context());
    listing::assert_same("the context in a step", &expected, &listing::seen(&work));
}

#[test]
fn what_changed_since_the_last_build_is_seen_and_nothing_else_is_sent() {
    let work = Workdir::with_spec(&lister("changes"));
    let at = |name: &str| work.context().join(name);
    for n in 0..200 {
        work.write(&format!("many/{n}"), format!("{n}").repeat(2000));
    }
    for name in ["gone", "content", "mode", "to-dir", "to-link", "from/inner", "kept/file"] {
        work.write(name, "first");
    }
    work.write("large", vec![7; 3_000_000]);
    // No daemon has this tree in its cache.
    work.write("unique", work.root().as_os_str().as_encoded_bytes());
    let build = || {
        let args = ["--output", "type=none", "--progress", "rawjson"];
        work.build().args(args).run().ok().steps()
    };
    let first = build();
    assert!(first.received_bytes > 3_000_000, "{first:?}");
    let second = build();
    // A line of the list takes about 30 bytes.
    assert!(second.received_bytes < 15_000, "{second:?}");
    assert_eq!(second.worked(), Vec::<&str>::new());
    let before = listing::seen(&work);
    listing::assert_same("before", &listing::expected(&work.context()), &before);

    fs::remove_file(at("gone")).unwrap();
    work.write("content", "2nd..");
    fs::set_permissions(at("mode"), Permissions::from_mode(0o4711)).unwrap();
    fs::remove_file(at("to-dir")).unwrap();
    work.write("to-dir/inner", "new");
    fs::remove_file(at("to-link")).unwrap();
    symlink("kept", at("to-link")).unwrap();
    fs::remove_dir_all(at("from")).unwrap();
    work.write("from", "a file now");
    work.write("added/deep/file", "new");
    let third = build();
    assert!(third.received_bytes < 15_000, "{third:?}");
    assert!(!third.is_cached("copy context"), "{third:?}");
    let after = listing::seen(&work);
    listing::assert_same("after", &listing::expected(&work.context()), &after);
    assert_ne!(before, after);
}

#[test]
fn a_context_that_is_no_folder_is_refused_with_its_name() {
    let work = Workdir::with_spec(&debian("missing", &["true"]));
    work.write("file", "");
    for (context, why) in [("none/such", "No such file"), ("context/file", "Not a directory")] {
        let run = work
            .peelbox()
            .args(["build", "--output", "type=none", "--context", context, "--spec"])
            .arg(work.spec())
            .run();
        drop(run.ended(2).says(&[&format!("cannot open the context `{context}`"), why]));
    }
}

#[test]
fn a_file_that_may_not_be_read_is_an_error_with_its_path() {
    let work = Workdir::with_spec(&debian("unreadable", &["true"]));
    work.write("some/secret", "s");
    work.write("another", "a");
    fs::set_permissions(work.context().join("some/secret"), Permissions::from_mode(0o000)).unwrap();
    // Whoever runs the tests: root may read everything, and the daemon's socket is often root's.
    let work = work.on(&daemon::newest_tcp());
    let run = work.build().args(["--output", "type=none"]).not_root(&work).run();
    drop(run.ended(2).says(&["error: cannot open `some/secret`", "denied"]));
}

/// Builds while `change` works on a file of 64 MiB as fast as it can.
fn build_while(change: impl Fn(&mut File) + Sync) {
    const SIZE: u64 = 64 << 20;
    let work = Workdir::with_spec(&debian("changing", &["true"]));
    work.write("some/other", "x");
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(work.context().join("some/restless"))
        .unwrap();
    file.set_len(SIZE).unwrap();
    let is_over = AtomicBool::new(false);
    let run = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                change(&mut file);
            }
        });
        let run = work.build().args(["--output", "type=none", "--progress", "plain"]).run();
        is_over.store(true, Ordering::Relaxed);
        run
    });
    drop(run.ended(2).says(&["error: `some/restless` changed while it was sent"]));
}

#[test]
fn a_file_that_grows_while_it_is_sent_is_an_error_with_its_path() {
    build_while(|file| file.write_all(b"x").unwrap());
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_is_an_error_with_its_path() {
    build_while(|file| {
        let len = file.metadata().unwrap().len();
        file.set_len(len.saturating_sub(1)).unwrap();
    });
}

#[test]
fn a_path_that_is_too_deep_for_the_daemon_is_an_error_and_not_left_out() {
    let work = Workdir::with_spec(&debian("too-deep", &["true"]));
    let mut folder =
        rustix::fs::open(work.context(), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
            .unwrap();
    let name = "d".repeat(250);
    // 5 kB: more than any system call takes in one piece.
    for _ in 0..20 {
        rustix::fs::mkdirat(&folder, &*name, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        folder = rustix::fs::openat(
            &folder,
            &*name,
            rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
    }
    let run = work.build().args(["--output", "type=none", "--progress", "plain"]).run();
    drop(run.ended(2).says(&["file name too long", &name]));
}
