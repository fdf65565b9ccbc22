//! The daemon's process, with what listens to it and what watches over it.

use std::{
    fs::File,
    io,
    ops::ControlFlow,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::daemonless::{
    DaemonlessError, Notice, Options, log::Log, probe::Probe, watchdog::Watchdog,
};

/// A running daemon.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: Pid,
    log: Log,
    watchdog: Watchdog,
    stop_patience: Duration,
    /// Whether `child` was waited for; its number may be another's from then on.
    is_over: bool,
}

impl Process {
    pub(super) fn spawn(
        mut command: Command,
        options: &Options,
        folder: &Path,
        lock: &File,
    ) -> Result<Self, DaemonlessError> {
        let program = PathBuf::from(command.get_program());
        let failed = |source| DaemonlessError::Spawn { program, source };
        let (reader, writer) = io::pipe().map_err(failed.clone())?;
        let second = writer.try_clone().map_err(failed.clone())?;
        command.stdin(Stdio::null()).stdout(writer).stderr(second).process_group(0);
        let mut child = command.spawn().map_err(failed.clone())?;
        // It holds our ends of the pipe, which would keep the log open for ever.
        drop(command);
        let pid = Pid::from_child(&child);
        let guarded = reader.try_clone().and_then(|second| {
            let log = Log::start(reader, options.log_max_bytes)?;
            Ok((log, Watchdog::start(pid, folder, lock, second)?))
        });
        match guarded {
            Ok((log, watchdog)) => Ok(Self {
                child,
                pid,
                log,
                watchdog,
                stop_patience: options.stop_patience,
                is_over: false,
            }),
            Err(source) => {
                drop(child.kill());
                drop(child.wait());
                Err(failed(source))
            }
        }
    }

    pub(super) fn wait_for_answer(
        &mut self,
        options: &Options,
        socket: &Path,
        watch: &mut dyn FnMut(Notice<'_>) -> ControlFlow<()>,
    ) -> Result<(), DaemonlessError> {
        let deadline = Instant::now() + options.start_patience;
        let mut probe = Probe::new(socket);
        loop {
            if let Some(status) = self.exit_status() {
                self.end();
                return Err(DaemonlessError::Exited {
                    status: status.to_string(),
                    log: self.log.tail(),
                });
            }
            if probe.has_answered(POLL_INTERVAL) {
                return Ok(());
            }
            if watch(Notice::Starting(socket)).is_break() {
                return Err(DaemonlessError::Interrupted);
            }
            if Instant::now() >= deadline {
                return Err(DaemonlessError::NoAnswer {
                    patience: options.start_patience,
                    log: self.log.tail(),
                });
            }
        }
    }

    pub(super) fn log_tail(&self) -> String {
        self.log.tail()
    }

    /// The number of the leader: of rootlesskit, or of the daemon itself.
    #[cfg(test)]
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Looks whether the child has ended, and leaves it to be waited for: as long as that is
    /// to be done, its number is not given to another process that the watchdog could hit.
    pub(super) fn exit_status(&self) -> Option<ExitStatus> {
        if self.is_over {
            return None;
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let found = rustix::process::waitid(WaitId::Pid(self.pid), look).ok()??;
        // As `wait` would put it: the exit code in the second byte, a signal in the first.
        let raw = match (found.exit_status(), found.terminating_signal()) {
            (Some(code), _) => code << 8,
            (None, Some(signal)) => signal,
            (None, None) => 0,
        };
        Some(ExitStatus::from_raw(raw))
    }

    /// Ends the daemon and reaps it; the second time nothing happens.
    pub(super) fn end(&mut self) {
        if self.is_over {
            return;
        }
        if self.exit_status().is_none() {
            // Only the leader: rootlesskit passes the signal on, and twice is too often.
            let _ = rustix::process::kill_process(self.pid, Signal::TERM);
            let deadline = Instant::now() + self.stop_patience;
            while self.exit_status().is_none() && Instant::now() < deadline {
                thread::sleep(POLL_INTERVAL);
            }
        }
        // Also what the leader left in its group.
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        self.watchdog.dismiss();
        drop(self.child.wait());
        self.is_over = true;
        self.log.end();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(10);
