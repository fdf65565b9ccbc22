//! Ctrl-C ends the build here and in the daemon, and leaves nothing behind.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{
    daemon,
    peelbox::Running,
    relay::Relay,
    wait::eventually,
    workdir::{Workdir, debian},
};

/// How long the daemon may take to end what runs in it.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// A build whose step waits for longer than any test, in a way that the process table shows.
struct Waiting {
    work: Workdir,
    seconds: String,
}

impl Waiting {
    fn new(name: &str) -> Self {
        // Unique, so that the step is no other build's and not in any cache.
        let unique = std::process::id();
        let seconds = format!("{}.{unique}", 1000 + name.len());
        let command = format!("echo under way since $((40 + 2)); sleep {seconds} # {name}");
        Self { work: Workdir::with_spec(&debian(name, &[&command])), seconds }
    }

    /// Started, and its step runs.
    fn start(&self, address: &str) -> Running {
        let output = ["--output", "type=oci,dest=app.tar", "--buildkit", address];
        let spec = self.work.spec().to_str().unwrap();
        let mut running = self
            .work
            .peelbox()
            .args(["build", "--spec", spec, "--context", "context"])
            .args(output)
            .start();
        running.wait_for("under way since 42");
        eventually("the step's process runs", END_PATIENCE, || self.is_running().then_some(()));
        running
    }

    /// Does the daemon's process run?
    fn is_running(&self) -> bool {
        let expected = format!("sleep\0{}\0", self.seconds).into_bytes();
        let commands = fs::read_dir("/proc").unwrap().flatten();
        commands
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .any(|command| command == expected)
    }

    fn wait_for_the_end(&self) {
        eventually("the step's process is gone", END_PATIENCE, || {
            (!self.is_running()).then_some(())
        });
    }

    fn assert_nothing_is_left(&self) {
        let mut names: Vec<_> = fs::read_dir(self.work.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".sock"))
            .collect();
        names.sort();
        assert_eq!(names, ["context", "home", "universalbuild.json"]);
    }
}

fn check(waiting: &Waiting, address: &str, signal: Signal) {
    let running = waiting.start(address);
    let sent = Instant::now();
    running.signal(signal);
    let run = running.finish().ended(130);
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}\n{}", sent.elapsed(), run.stderr);
    drop(run.says(&["interrupted"]));
    waiting.wait_for_the_end();
    waiting.assert_nothing_is_left();
}

#[test]
fn ctrl_c_cancels_the_running_step_in_the_daemon() {
    check(&Waiting::new("ctrl-c"), &daemon::newest(), Signal::INT);
}

#[test]
fn ctrl_c_cancels_the_running_step_in_the_oldest_supported_daemon() {
    check(&Waiting::new("ctrl-c-oldest"), &daemon::oldest(), Signal::INT);
}

#[test]
fn a_termination_signal_is_taken_as_ctrl_c() {
    check(&Waiting::new("terminated"), &daemon::newest(), Signal::TERM);
}

#[test]
fn a_hang_up_of_the_terminal_is_taken_as_ctrl_c() {
    check(&Waiting::new("hang-up"), &daemon::newest(), Signal::HUP);
}

#[test]
fn a_second_ctrl_c_leaves_at_once_though_the_daemon_does_not_answer() {
    let waiting = Waiting::new("twice-interrupted");
    let relay = Relay::start(&waiting.work.path("relay.sock"), &daemon::newest());
    let mut running = waiting.start(relay.address());
    relay.freeze();
    running.signal(Signal::INT);
    running.wait_for("once more to leave at once");
    let second = Instant::now();
    running.signal(Signal::INT);
    let run = running.finish().ended(130);
    assert!(second.elapsed() < Duration::from_secs(1), "{:?}\n{}", second.elapsed(), run.stderr);
    // The daemon hears of it when the connection is gone.
    drop(relay);
    waiting.wait_for_the_end();
    waiting.assert_nothing_is_left();
}

#[test]
fn a_daemon_that_does_not_answer_holds_up_ctrl_c_for_seconds_only() {
    let waiting = Waiting::new("once-interrupted-frozen");
    let relay = Relay::start(&waiting.work.path("relay.sock"), &daemon::newest());
    let running = waiting.start(relay.address());
    relay.freeze();
    let sent = Instant::now();
    running.signal(Signal::INT);
    let run = running.finish().ended(130);
    assert!(sent.elapsed() < Duration::from_secs(10), "{:?}\n{}", sent.elapsed(), run.stderr);
    drop(relay);
    waiting.wait_for_the_end();
}

#[test]
fn a_daemon_that_falls_silent_is_given_up_in_bounded_time() {
    let waiting = Waiting::new("a-daemon-that-falls-silent");
    let relay = Relay::start(&waiting.work.path("relay.sock"), &daemon::newest());
    let running = waiting.start(relay.address());
    relay.freeze();
    let silent = Instant::now();
    let run = running.finish().ended(7);
    assert!(silent.elapsed() < Duration::from_secs(90), "{:?}\n{}", silent.elapsed(), run.stderr);
    drop(run.says(&["the daemon went away in the middle of the build", "has said nothing for 6"]));
    drop(relay);
    waiting.wait_for_the_end();
    waiting.assert_nothing_is_left();
}

#[test]
fn a_killed_client_is_noticed_by_the_daemon() {
    let waiting = Waiting::new("killed-client");
    let running = waiting.start(&daemon::newest());
    running.signal(Signal::KILL);
    assert_eq!(running.finish().signal, Some(9));
    waiting.wait_for_the_end();
    waiting.assert_nothing_is_left();
}
