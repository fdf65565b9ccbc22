//! Ends a daemon whose owner was killed.
//!
//! A shell reads from a pipe that only the owner holds. Its end means that the owner is
//! gone: then the daemon is asked to end, after a while forced to, and its folder removed.
//! The lock on the cache lives in the shell as well, so the next build waits for all that.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command},
};

use rustix::process::Pid;

/// A running watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    /// Closed by the kernel when this process ends, however it ends.
    life: Option<PipeWriter>,
}

impl Watchdog {
    /// Watches over the process `pid`, the leader of a group of its own, which writes to `log`.
    ///
    /// Somebody must be able to read the log until the daemon is gone: else its next line kills it (Go programs end on
    /// SIGPIPE of their standard error), in the middle of a step, whose file systems stay mounted.
    ///
    /// The number stays the daemon's while its parent lives, because the parent dismisses
    /// the watchdog before it reaps the daemon.
    pub(super) fn start(pid: Pid, folder: &Path, lock: &File, log: PipeReader) -> io::Result<Self> {
        let (reader, life) = io::pipe()?;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "peelbox-watchdog", &pid.as_raw_nonzero().to_string()])
            .arg(folder)
            .stdin(reader)
            .stdout(lock.try_clone()?)
            // Its own words are lost on an end for reading, as they should be.
            .stderr(log)
            // A Ctrl-C or the terminal's end shall not reach it.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell, life: Some(life) })
    }

    /// Ends the watchdog without any of its work.
    pub(super) fn dismiss(&mut self) {
        drop(self.shell.kill());
        drop(self.shell.wait());
        self.life = None;
    }
}

/// `$1` is the daemon and its group, `$2` its folder.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r _
kill -TERM "$1"
n=0
while kill -0 "$1" && [ "$n" -lt 10 ]; do
    sleep 1
    n=$((n + 1))
done
kill -KILL -- "-$1"
rm -rf -- "$2"
"#;
