//! Whoever should read what peelbox writes does not: Ctrl-C ends the build all the same.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{
    daemon,
    workdir::{Workdir, debian},
};

#[test]
fn ctrl_c_does_not_wait_for_the_reader_of_the_image() {
    let random = "mkdir /out && head -c 5000000 /dev/urandom >/out/none";
    let work = Workdir::with_spec(&debian("stuck-reader", &[random])).on(&daemon::newest());
    let (mut reader, writer) = io::pipe().unwrap();
    let mut running = work
        .build()
        .args(["--output", "type=oci,dest=-"])
        .stdout(File::from(OwnedFd::from(writer)))
        .start();
    // The first bytes are there, so the pipe is in use; more than it can hold follows.
    reader.read_exact(&mut [0; 512]).unwrap();
    running.wait_for("sending tarball");
    let sent = Instant::now();
    running.signal(Signal::TERM);
    let run = running.finish().ended(130).says(&["interrupted"]);
    assert!(sent.elapsed() < Duration::from_secs(10), "{:?}\n{}", sent.elapsed(), run.stderr);
}
