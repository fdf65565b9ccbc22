//! The built binary, started as a user would start it, in surroundings that are known.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{Read, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, bounded};
use rustix::process::{Pid, Signal, kill_process};

use super::{daemon::binary, progress::Steps, workdir::Workdir};

/// Longest any run may take; a build that compiles many crates takes three minutes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pieces of output a test may be behind; then the process waits.
const PIECES_MAX: usize = 4096;

/// Has no rights to speak of.
const NOBODY: u32 = 65534;

/// A command that is put together.
pub(crate) struct Peelbox {
    command: Command,
    stdin: Vec<u8>,
    is_nobody: bool,
}

impl Peelbox {
    pub(super) fn new(work: &Workdir) -> Self {
        let mut command = Command::new(binary());
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", work.path("home"))
            .env("COLUMNS", "100")
            .current_dir(work.root())
            .stdout(Stdio::piped());
        Self { command, stdin: Vec::new(), is_nobody: false }
    }

    #[must_use]
    pub(crate) fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    #[must_use]
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    #[must_use]
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs on a terminal of its own, whose whole content becomes standard output.
    #[must_use]
    pub(crate) fn on_terminal(mut self) -> Self {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let quoted = |word: &OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''"));
        let line: Vec<String> = words.map(quoted).collect();
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
        command.env_clear().env("TERM", "xterm").stdout(Stdio::piped());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.command.get_current_dir().unwrap());
        self.command = command;
        self
    }

    /// Its peak of memory, in KiB, goes to that file.
    #[must_use]
    pub(crate) fn measured(mut self, file: &Path) -> Self {
        let mut command = Command::new("/usr/bin/time");
        command.args(["--quiet", "--format", "%M", "--output"]).arg(file).env_clear();
        command.arg(self.command.get_program()).args(self.command.get_args());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.command.get_current_dir().unwrap()).stdout(Stdio::piped());
        self.command = command;
        self
    }

    /// Runs as nobody in particular where it would run as root.
    ///
    /// The program is copied, because the folder it was built in may be closed to others.
    #[must_use]
    pub(crate) fn not_root(mut self, work: &Workdir) -> Self {
        if !rustix::process::geteuid().is_root() {
            return self;
        }
        let copy = work.path("peelbox");
        fs::copy(binary(), &copy).unwrap();
        for path in [copy.as_path(), work.root()] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new(copy);
        command.args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(work.root()).stdout(Stdio::piped()).uid(NOBODY).gid(NOBODY);
        self.command = command;
        self.is_nobody = true;
        self
    }

    /// Meets no daemon of this machine: its `/run` is the folder `run` of `work`, with what is in there.
    #[must_use]
    pub(crate) fn alone(mut self, work: &Workdir) -> Self {
        fs::create_dir_all(work.path("run")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind run /run && exec \"$@\"", "sh"]);
        if self.is_nobody {
            let user = NOBODY.to_string();
            command.args(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
        }
        command.arg(self.command.get_program()).args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(work.root()).stdout(Stdio::piped());
        self.command = command;
        self
    }

    /// In its folder `dir` there is room for little; what is left there is told on standard output.
    #[must_use]
    pub(crate) fn with_little_room(mut self, work: &Workdir, dir: &str) -> Self {
        let mut command = Command::new("unshare");
        let script = format!(
            "mount -t tmpfs -o size=8m tmpfs {dir}; \"$@\"; code=$?; echo left: $(ls -A {dir}); exit $code"
        );
        command.args(["--mount", "sh", "-c", &script, "sh"]);
        command.arg(self.command.get_program()).args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(work.root()).stdout(Stdio::piped());
        self.command = command;
        self
    }

    /// What it can read from standard input.
    #[must_use]
    pub(crate) fn stdin(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.stdin = data.into();
        self
    }

    /// Standard output goes to a file.
    #[must_use]
    pub(crate) fn stdout(mut self, file: File) -> Self {
        self.command.stdout(file);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Run {
        self.start().finish()
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Running {
        let line = format!("{:?}", self.command);
        self.command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("{line}: {e}"));
        let mut stdin = child.stdin.take().unwrap();
        let data = self.stdin;
        // It may end without reading: not a failure of the test.
        named("stdin", move || drop(stdin.write_all(&data)));
        let stdout = child.stdout.take().map(|pipe| pieces("stdout", pipe));
        let stderr = pieces("stderr", child.stderr.take().unwrap());
        let started = Instant::now();
        Running { child, line, stdout, stderr, seen: Vec::new(), started }
    }
}

fn named(name: &str, body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.to_owned()).spawn(body).unwrap();
}

fn pieces(name: &str, mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (tx, rx) = bounded(PIECES_MAX);
    named(name, move || {
        let mut buf = vec![0; 1 << 16];
        while let Ok(n @ 1..) = pipe.read(&mut buf) {
            if tx.send(buf[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    rx
}

/// A process under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
    line: String,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    started: Instant,
}

impl Running {
    /// Waits until `text` has been written to standard error.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(&format!("`{text}`"), |stderr| stderr.contains(text));
    }

    /// Waits until standard error is as wanted; fails when the process ends before.
    pub(crate) fn wait_until(&mut self, what: &str, is_there: impl Fn(&str) -> bool) {
        let deadline = self.started + PATIENCE;
        while !is_there(&String::from_utf8_lossy(&self.seen)) {
            match self.stderr.recv_deadline(deadline) {
                Ok(piece) => self.seen.extend(piece),
                Err(e) => panic!(
                    "no {what} ({e}) from {}:\n{}",
                    self.line,
                    String::from_utf8_lossy(&self.seen)
                ),
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to this process alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Has it ended?
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Run {
        let deadline = self.started + PATIENCE;
        let stderr = self.stderr.clone();
        let mut seen = std::mem::take(&mut self.seen);
        // At its own pace, so that neither stream holds up the other.
        let stdout = self.stdout.take().map(|rx| {
            let (tx, all) = bounded(1);
            named("collect", move || drop(tx.send(rx.iter().flatten().collect::<Vec<u8>>())));
            all
        });
        loop {
            match stderr.recv_deadline(deadline) {
                Ok(piece) => seen.extend(piece),
                Err(e) if e.is_timeout() => {
                    panic!("no end of {}:\n{}", self.line, String::from_utf8_lossy(&seen))
                }
                Err(_) => break,
            }
        }
        let stdout = stdout.map_or_else(Vec::new, |all| all.recv_deadline(deadline).unwrap());
        let status = self.child.wait().unwrap();
        Run {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr: String::from_utf8_lossy(&seen).into_owned(),
            elapsed: self.started.elapsed(),
            line: std::mem::take(&mut self.line),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// How a run ended.
#[must_use = "a run that nobody looks at proves nothing"]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
    line: String,
}

impl Run {
    /// It did what was asked.
    pub(crate) fn ok(self) -> Self {
        self.ended(0)
    }

    /// It ended with that exit code.
    pub(crate) fn ended(self, code: i32) -> Self {
        let Self { line, stderr, signal, .. } = &self;
        assert_eq!(self.code, Some(code), "{line}\nsignal {signal:?}\n{stderr}");
        self
    }

    /// Standard error has all of these.
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "expected `{text}` from {}, got:\n{}",
                self.line,
                self.stderr
            );
        }
        self
    }

    /// Standard output as text.
    pub(crate) fn stdout_text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// What became of the steps, from `--progress rawjson`.
    pub(crate) fn steps(&self) -> Steps {
        Steps::parse(&self.stderr)
    }
}
