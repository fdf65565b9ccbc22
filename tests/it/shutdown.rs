//! The daemon is asked to stop, killed or frozen while it builds: both sides end, and the next build is well.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    net::TcpListener,
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    peelbox::{Peelbox, Running},
    private::{Kind, Private},
    workdir::{Workdir, debian, on_base},
};

/// How long either side may take to end; a frozen daemon is given 60 s.
const END_PATIENCE: Duration = Duration::from_secs(15);
/// How long a daemon that says nothing is waited for, with what a busy machine adds.
const FROZEN_PATIENCE: Duration = Duration::from_secs(90);

/// What the build is doing when it happens.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Context,
    GatewayCall,
    Step,
}

/// A build that stays in one phase.
struct Stuck {
    work: Workdir,
    // Takes connections and answers none of them.
    _registry: TcpListener,
    phase: Phase,
}

impl Stuck {
    fn new(phase: Phase, kind: Kind) -> Self {
        let registry = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("shutdown-{phase:?}-{kind:?}").to_lowercase();
        let spec = match phase {
            Phase::GatewayCall => {
                let base = format!("{}/nothing:1", registry.local_addr().unwrap());
                on_base(&base, &name, &["true"])
            }
            Phase::Context => debian(&name, &["test -e huge", "mkdir /out"]),
            Phase::Step => debian(&name, &["echo under way since $((40 + 2)); sleep 987.65"]),
        };
        let work = Workdir::with_spec(&spec);
        if let Phase::Context = phase {
            // Takes no room here.
            File::create(work.context().join("huge")).unwrap().set_len(2 << 30).unwrap();
        }
        Self { work, _registry: registry, phase }
    }

    fn start(&self, daemon: &Private) -> Running {
        let spec = self.work.spec().to_str().unwrap();
        let build = self.work.peelbox().args(["build", "--context", "context", "--spec", spec]);
        let mut running = at(daemon, build).args(["--progress", "plain"]).start();
        running.wait_for(match self.phase {
            Phase::Context => "load context",
            Phase::GatewayCall => "load metadata",
            Phase::Step => "under way since 42",
        });
        running
    }

    /// The daemon builds another thing.
    fn is_well(&self, daemon: &Private, next: &Value) {
        self.work.set_spec(next);
        drop(fs::remove_file(self.work.context().join("huge")));
        let spec = self.work.spec().to_str().unwrap();
        let build = self.work.peelbox().args(["build", "--context", "context", "--spec", spec]);
        drop(at(daemon, build).run().ok());
    }

    fn nothing_is_left(&self) {
        let mut names: Vec<_> = fs::read_dir(self.work.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["context", "home", "universalbuild.json"]);
    }
}

fn at(daemon: &Private, build: Peelbox) -> Peelbox {
    match daemon.kind() {
        Kind::Docker => build.env("DOCKER_HOST", daemon.address()),
        _ => build.args(["--buildkit", daemon.address(), "--output", "type=oci,dest=app.tar"]),
    }
}

fn check(kind: Kind, phase: Phase, signal: Signal) {
    let mut daemon = Private::of(kind);
    let stuck = Stuck::new(phase, kind);
    let running = stuck.start(&daemon);
    daemon.signal(signal);
    let sent = Instant::now();
    let run = running.finish();
    let told = format!("{kind:?} {phase:?} {signal:?}: {:?}\n{}", sent.elapsed(), run.stderr);
    assert!(sent.elapsed() < END_PATIENCE, "{told}");
    assert_eq!(run.code, Some(7), "{told}");
    let texts = match signal {
        Signal::TERM if kind != Kind::Docker => &["the daemon is shutting down"][..],
        _ => &["daemon"],
    };
    assert!(texts.iter().all(|text| run.stderr.contains(text)), "{told}");
    stuck.nothing_is_left();
    daemon.wait_for_the_end(END_PATIENCE);
    daemon.start_again();
    stuck.is_well(&daemon, &debian("after-shutdown", &["mkdir /out; date > /out/date"]));
}

fn check_all(kind: Kind) {
    for phase in [Phase::Step, Phase::GatewayCall, Phase::Context] {
        for signal in [Signal::TERM, Signal::KILL] {
            check(kind, phase, signal);
        }
    }
}

#[test]
fn a_daemon_that_is_stopped_or_killed_ends_the_build_and_itself() {
    check_all(Kind::Newest);
}

#[test]
fn the_oldest_daemon_that_is_stopped_or_killed_ends_the_build_and_itself() {
    check_all(Kind::Oldest);
}

#[test]
fn an_engine_that_is_stopped_or_killed_ends_the_build_and_itself() {
    check_all(Kind::Docker);
}

#[test]
fn an_export_goes_on_when_the_daemon_is_asked_to_stop() {
    for kind in [Kind::Newest, Kind::Oldest] {
        let mut daemon = Private::of(kind);
        let random = "mkdir /out && head -c 5000000 /dev/urandom >/out/none";
        let work = Workdir::with_spec(&debian("stopped-export", &[random])).on(daemon.address());
        let (mut reader, writer) = io::pipe().unwrap();
        let mut running = work
            .build()
            .args(["--output", "type=oci,dest=-", "--no-sbom", "--no-provenance"])
            .stdout(File::from(OwnedFd::from(writer)))
            .start();
        // The first bytes are there, and more than the pipe can hold follows.
        reader.read_exact(&mut [0; 512]).unwrap();
        running.wait_for("sending tarball");
        daemon.signal(Signal::TERM);
        let image = thread::spawn(move || io::copy(&mut reader, &mut io::sink()).unwrap());
        let run = running.finish();
        // The old one cancels its builds.
        assert!(run.code == Some(0) || kind == Kind::Oldest, "{kind:?}\n{}", run.stderr);
        assert!(image.join().unwrap() > 5_000_000 || kind == Kind::Oldest, "{}", run.stderr);
        daemon.wait_for_the_end(END_PATIENCE);
    }
}

#[test]
fn a_daemon_that_is_frozen_is_given_up_in_every_phase() {
    let phases = [Phase::Step, Phase::GatewayCall, Phase::Context];
    let frozen = phases.map(|phase| {
        thread::spawn(move || {
            let mut daemon = Private::start();
            let stuck = Stuck::new(phase, Kind::Newest);
            let running = stuck.start(&daemon);
            daemon.signal(Signal::STOP);
            let sent = Instant::now();
            let run = running.finish().ended(7).says(&["has said nothing for 6"]);
            assert!(sent.elapsed() < FROZEN_PATIENCE, "{phase:?} {}", run.stderr);
            stuck.nothing_is_left();
            daemon.signal(Signal::CONT);
            stuck.is_well(&daemon, &debian("thawed", &["mkdir /out; date > /out/date"]));
        })
    });
    frozen.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_daemon_that_is_frozen_or_gone_before_the_build_begins_is_told_soon() {
    let mut daemon = Private::start();
    let work = Workdir::with_spec(&debian("frozen", &["true"])).on(daemon.address());
    for signal in [Signal::STOP, Signal::KILL] {
        daemon.signal(signal);
        let begun = Instant::now();
        let run = work.build().args(["--output", "type=none"]).run().ended(3);
        assert!(begun.elapsed() < Duration::from_secs(30), "{signal:?} {}", run.stderr);
    }
}
