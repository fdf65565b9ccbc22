//! A daemon of one test's own, to be hurt.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{daemon::variable, wait::eventually};

/// Which daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Newest,
    /// The oldest that is supported.
    Oldest,
    /// A Docker Engine; BuildKit is inside.
    Docker,
}

/// Ended with all it has started when dropped.
pub(crate) struct Private {
    kind: Kind,
    child: Child,
    dir: TempDir,
    address: String,
}

impl Private {
    /// Starts the newest BuildKit on an empty cache and waits until it listens.
    pub(crate) fn start() -> Self {
        Self::of(Kind::Newest)
    }

    /// Starts a daemon on an empty cache and waits until it listens.
    pub(crate) fn of(kind: Kind) -> Self {
        let dir = tempfile::Builder::new().prefix("pbx-it-bk").tempdir_in("/var/tmp").unwrap();
        let address = format!("unix://{}", dir.path().join("bk.sock").display());
        let child = start(kind, dir.path(), &address);
        Self { kind, child, dir, address }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// For `--buildkit`, or `DOCKER_HOST`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn wait_for_the_end(&mut self, patience: Duration) {
        let child = &mut self.child;
        eventually("the private daemon has ended", patience, || child.try_wait().unwrap());
    }

    /// Starts it on what it had in its cache; it has ended.
    pub(crate) fn start_again(&mut self) {
        self.child.wait().unwrap();
        end_processes_below(self.dir.path());
        drop(fs::remove_file(self.dir.path().join("bk.sock")));
        drop(fs::remove_file(self.dir.path().join("pid")));
        self.child = start(self.kind, self.dir.path(), &self.address);
    }
}

fn start(kind: Kind, dir: &Path, address: &str) -> Child {
    let at = |name: &str| dir.join(name);
    let mut command = match kind {
        Kind::Newest => {
            let mut command = Command::new(variable("PEELBOX_TEST_BUILDKITD"));
            command.arg("--otel-socket-path").arg(at("otel.sock"));
            command
        }
        Kind::Oldest => Command::new(variable("PEELBOX_TEST_BUILDKITD_0_11")),
        Kind::Docker => {
            let dockerd = variable("PEELBOX_TEST_DOCKERD");
            let tools = Path::new(&dockerd).parent().unwrap().display();
            let mut command = Command::new(&dockerd);
            command.arg("--config-file").arg(engine_config(dir, address));
            command.env(
                "PATH",
                format!("{tools}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            );
            command
        }
    };
    if kind != Kind::Docker {
        command.args(["--config", &variable("PEELBOX_TEST_BUILDKITD_TOML"), "--addr", address]);
        command.arg("--root").arg(at("root"));
    }
    // It mounts what it copies below this folder.
    command.env("TMPDIR", dir).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(fs::File::create(at("log")).unwrap()).spawn().unwrap();
    eventually("the private daemon listens", Duration::from_secs(60), || {
        let log = || fs::read_to_string(at("log")).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "it ended:\n{}", log());
        let is_ready = kind != Kind::Docker || log().contains("API listen on");
        UnixStream::connect(at("bk.sock")).ok().filter(|_| is_ready)
    });
    child
}

/// As the testbed's engine, in a place of its own.
fn engine_config(dir: &Path, address: &str) -> std::path::PathBuf {
    let text = fs::read_to_string(variable("PEELBOX_TEST_DOCKERD_JSON")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let settings = config.as_object_mut().unwrap();
    settings.retain(|name, _| !name.starts_with("tls"));
    let own = [("data-root", "data"), ("exec-root", "exec"), ("pidfile", "pid")];
    for (name, file) in own {
        settings.insert(name.to_owned(), json!(dir.join(file)));
    }
    settings.insert("hosts".to_owned(), json!([address]));
    let path = dir.join("daemon.json");
    fs::write(&path, config.to_string()).unwrap();
    path
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
