//! A daemon that is there and does not take the connection.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    fd::OwnedFd,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    },
    process::Signal,
};

use crate::support::{
    peelbox::Running,
    wait::eventually,
    workdir::{Workdir, debian},
};

/// A socket file whose queue is full: whoever connects waits. Lasts as long as what is returned.
pub(crate) fn full(path: &Path) -> Vec<OwnedFd> {
    let address = SocketAddrUnix::new(path).unwrap();
    let new = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = new();
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let mut held = vec![listener];
    loop {
        let client = new();
        let is_taken = connect(&client, &address).is_ok();
        held.push(client);
        if !is_taken {
            return held;
        }
    }
}

fn start(work: &Workdir) -> (Running, Vec<OwnedFd>) {
    let socket = work.path("full.sock");
    let held = full(&socket);
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--output", "type=none"];
    let address = format!("unix://{}", socket.display());
    (work.peelbox().args(args).args(["--buildkit", &address]).start(), held)
}

#[test]
fn a_socket_that_takes_no_connection_is_given_up_in_time() {
    let work = Workdir::with_spec(&debian("full-queue", &["true"]));
    let (running, _held) = start(&work);
    let run = running.finish().ended(3).says(&["no answer in time"]);
    assert!(run.elapsed < Duration::from_secs(15), "{:?}", run.elapsed);
}

#[test]
fn ctrl_c_ends_the_wait_for_a_connection() {
    let work = Workdir::with_spec(&debian("full-queue-interrupted", &["true"]));
    let (running, _held) = start(&work);
    eventually("it connects", Duration::from_secs(5), || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", running.pid().as_raw_nonzero()));
        let mut names = tasks.unwrap().flatten().map(|t| std::fs::read(t.path().join("comm")));
        names.any(|name| name.is_ok_and(|name| name == b"pbx-connect\n")).then_some(())
    });
    let sent = Instant::now();
    running.signal(Signal::INT);
    let run = running.finish().ended(130);
    assert!(sent.elapsed() < Duration::from_secs(2), "{:?}\n{}", sent.elapsed(), run.stderr);
}

#[test]
fn an_address_from_the_environment_that_makes_no_sense_is_told_to_come_from_there() {
    let work = Workdir::with_spec(&debian("odd-address", &["true"]));
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--output", "type=none"];
    let run = work.peelbox().args(args).env("BUILDKIT_HOST", "x://y").run().ended(2);
    drop(run.says(&["cannot understand the address `x://y`", "`BUILDKIT_HOST`"]));
}

#[test]
fn every_file_to_be_written_is_looked_at_before_a_daemon_is_asked() {
    let work = Workdir::with_spec(&debian("no-folder", &["true"])).on("unix:///none.sock");
    for flag in ["--metadata-file", "--iidfile"] {
        let output = ["--output", "type=oci,dest=app.tar"];
        let run = work.build().args(output).args([flag, "no/such/folder/file"]).run();
        drop(run.ended(6).says(&["no/such/folder"]));
    }
}
