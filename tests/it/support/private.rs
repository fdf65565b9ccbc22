//! A BuildKit daemon of one test's own, to be hurt.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{daemon, wait::eventually};

/// Ended with all it has started when dropped.
pub(crate) struct Private {
    child: Child,
    dir: TempDir,
    address: String,
}

impl Private {
    /// Starts the newest BuildKit on an empty cache and waits until it listens.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("pbx-it-bk").tempdir_in("/var/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        let address = format!("unix://{}", at("bk.sock").display());
        let log = fs::File::create(at("log")).unwrap();
        let mut child = Command::new(daemon::variable("PEELBOX_TEST_BUILDKITD"))
            .args(["--config", &daemon::variable("PEELBOX_TEST_BUILDKITD_TOML")])
            .args(["--addr", &address, "--root"])
            .arg(at("root"))
            .arg("--otel-socket-path")
            .arg(at("otel.sock"))
            // It mounts what it copies below this folder.
            .env("TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually("the private daemon listens", Duration::from_secs(60), || {
            let log = || fs::read_to_string(at("log")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "it ended:\n{}", log());
            UnixStream::connect(at("bk.sock")).ok()
        });
        Self { child, dir, address }
    }

    /// For `--buildkit`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
        }
        drop(self.child.wait());
        end_processes_below(self.dir.path());
        unmount_below(self.dir.path());
    }
}

/// What a killed daemon left: `runc` has its state below `dir`, a container the layers of its root.
pub(crate) fn end_processes_below(dir: &Path) {
    let dir = dir.to_str().unwrap();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let read = |file| fs::read(entry.path().join(file)).unwrap_or_default();
        let (command, mounts) = (read("cmdline"), read("mountinfo"));
        let mounts = String::from_utf8_lossy(&mounts);
        let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
        if String::from_utf8_lossy(&command).contains(dir) || root.is_some_and(|l| l.contains(dir))
        {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

/// Takes away mounts of what lies below `dir`, wherever they are.
pub(crate) fn unmount_below(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for line in mounts.lines().rev().filter(|line| line.contains(dir.to_str().unwrap())) {
        let point = line.split(' ').nth(4).unwrap();
        drop(Command::new("umount").args(["--lazy", point]).output());
        // The daemon makes them in the folder for temporary files.
        if point.contains("/buildkit-mount") {
            drop(fs::remove_dir(point));
        }
    }
}
