//! No daemon: every address that was tried, why each failed, and what to do.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    thread,
    time::Duration,
};

use crate::support::{
    daemon,
    peelbox::Peelbox,
    workdir::{Workdir, debian},
};

fn work() -> Workdir {
    Workdir::with_spec(&debian("nowhere", &["true"]))
}

/// A build that names no daemon.
fn build(work: &Workdir) -> Peelbox {
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--output", "type=none"];
    work.peelbox().args(args)
}

/// Standard error says of that address exactly that.
fn check(run: Peelbox, address: &str, origin: &str, reason: &str) {
    let line = format!("\n  {address} ({origin}): {reason}");
    drop(run.run().ended(3).says(&["error: no BuildKit daemon answers", &line, "\nhint: "]));
}

#[test]
fn an_address_that_was_named_is_the_only_one_tried() {
    let work = work();
    let absent = format!("unix://{}", work.path("absent.sock").display());
    let reason = "there is no such socket";
    check(build(&work).args(["--buildkit", &absent]), &absent, "from `--buildkit`", reason);
    let by_host = build(&work).env("BUILDKIT_HOST", &absent);
    check(by_host, &absent, "from `BUILDKIT_HOST`", reason);
    let run = build(&work).env("BUILDKIT_HOST", &absent).run().ended(3);
    assert!(!run.stderr.contains("/run/buildkit"), "{}", run.stderr);
    let plan = work.peelbox().arg("plan").arg("--spec").arg(work.spec());
    check(plan.env("BUILDKIT_HOST", &absent), &absent, "from `BUILDKIT_HOST`", reason);
}

#[test]
fn a_daemon_is_reached_by_flag_or_environment_over_unix_and_tcp() {
    let work = Workdir::with_spec(&debian("reached", &["mkdir /out"]));
    for address in [daemon::newest(), daemon::newest_tcp()] {
        let shown = format!(" at {address}\n");
        let by_flag = build(&work).args(["--buildkit", &address]);
        let by_host = build(&work).env("BUILDKIT_HOST", &address);
        for run in [by_flag, by_host] {
            drop(run.args(["--progress", "plain"]).run().ok().says(&["#0 BuildKit v0.", &shown]));
        }
        // What was typed counts more.
        let both = build(&work).env("BUILDKIT_HOST", "tcp://127.0.0.1:1");
        drop(both.args(["--buildkit", &address]).run().ok());
    }
}

#[test]
fn without_a_name_the_usual_sockets_are_tried_in_order() {
    let work = work();
    let run_dir = work.path("run");
    let rootless = format!("unix://{}/buildkit/buildkitd.sock", run_dir.display());
    if Path::new("/run/buildkit/buildkitd.sock").exists() {
        // A daemon of this machine would answer, and rightly so.
        eprintln!("only the rootless address is looked at: this machine has a daemon of its own");
        let verbose = build(&work).env("XDG_RUNTIME_DIR", &run_dir).run();
        assert_ne!(verbose.code, Some(2), "{}", verbose.stderr);
        return;
    }
    let run = build(&work).env("XDG_RUNTIME_DIR", &run_dir).run().ended(3);
    let first = format!("\n  {rootless} (rootless default): there is no such socket");
    let second = "\n  unix:///run/buildkit/buildkitd.sock (default): there is no such socket";
    let docker = "\n  Docker at unix:///var/run/docker.sock (Docker's default): ";
    let run = run.says(&[&first, second, docker, "\nhint: "]);
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
    assert!(run.stderr.find(&first) < run.stderr.find(second), "{}", run.stderr);
}

#[test]
fn a_socket_that_nobody_holds_open_is_told_from_one_that_is_not_there() {
    let work = work();
    let path = work.path("stale.sock");
    drop(UnixListener::bind(&path).unwrap());
    let address = format!("unix://{}", path.display());
    let reason = "connection refused, nobody listens there";
    check(build(&work).args(["--buildkit", &address]), &address, "from `--buildkit`", reason);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("tcp://127.0.0.1:{port}");
    check(build(&work).args(["--buildkit", &address]), &address, "from `--buildkit`", reason);
}

#[test]
fn a_socket_of_somebody_else_is_told_as_such() {
    let work = work();
    let path = work.path("closed.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let address = format!("unix://{}", path.display());
    let run = build(&work).args(["--buildkit", &address]).not_root(&work);
    check(run, &address, "from `--buildkit`", "permission denied");
}

#[test]
fn a_server_that_is_not_buildkit_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let server = thread::Builder::new()
        .spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").unwrap();
        })
        .unwrap();
    let work = work();
    let run = build(&work).args(["--buildkit", &address]);
    check(run, &address, "from `--buildkit`", "not BuildKit: ");
    server.join().unwrap();
}

#[test]
fn a_server_that_says_nothing_is_given_up_soon() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let work = work();
    let run = build(&work).args(["--buildkit", &address]).run().ended(3);
    let run = run.says(&[&format!("\n  {address} (from `--buildkit`): "), "\nhint: "]);
    assert!(run.elapsed < Duration::from_secs(15), "{:?}\n{}", run.elapsed, run.stderr);
}

#[test]
fn an_address_that_makes_no_sense_is_a_usage_error() {
    let work = work();
    for address in
        ["buildkitd.sock", "http://localhost:1234", "tcp://localhost", "unix://", "x://y"]
    {
        let run = build(&work).args(["--buildkit", address]).run().ended(2);
        drop(run.says(&[&format!("cannot understand the address `{address}`")]));
    }
}
