//! A private BuildKit daemon for one build: started, waited for, and ended with everything
//! it made but its cache.
//!
//! Three things keep it from staying behind. [`Daemonless::stop`], also on drop, ends it
//! with patience first and by force then. Its own process group keeps a terminal's Ctrl-C
//! from it, so that a cancelled build ends in order. And a watchdog of a few lines of
//! shell ends it when this process is killed: the usual parent-death signal would need
//! `unsafe` code between fork and exec, or `setpriv`, which small systems lack.

use std::{
    error,
    ffi::{OsStr, OsString},
    fmt,
    fs::{self, File},
    io,
    ops::ControlFlow,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{Access, FlockOperation};
use tempfile::TempDir;

use crate::endpoint::Endpoint;

mod log;
mod probe;
mod process;
mod watchdog;

use process::Process;

/// How to start a private daemon.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program; found on `search_path` when `None`.
    pub buildkitd: Option<PathBuf>,
    /// A value like that of `PATH`, for `buildkitd` and for what it runs itself.
    pub search_path: OsString,
    /// Where the daemon keeps its cache, and we the lock for it; made if it is not there.
    pub cache_dir: PathBuf,
    /// Where a folder for the socket is made; its path must be short.
    pub runtime_dir: PathBuf,
    /// Whether to run in a user namespace by `rootlesskit`.
    pub rootless: bool,
    /// A `buildkitd.toml`; that of the system when `None`.
    pub config: Option<PathBuf>,
    /// More arguments for `buildkitd`.
    pub extra_args: Vec<OsString>,
    /// How much of the end of its log is kept.
    pub log_max_bytes: usize,
    /// How long to wait for another build that uses the same cache.
    pub lock_patience: Duration,
    /// How long the daemon may take to answer.
    pub start_patience: Duration,
    /// How long it may take to end when asked to.
    pub stop_patience: Duration,
}

impl Options {
    /// Gives the options with the usual limits.
    pub fn new(search_path: OsString, cache_dir: PathBuf, runtime_dir: PathBuf) -> Self {
        Self {
            buildkitd: None,
            search_path,
            cache_dir,
            runtime_dir,
            rootless: false,
            config: None,
            extra_args: Vec::new(),
            log_max_bytes: 64 * 1024,
            lock_patience: Duration::from_secs(600),
            start_patience: Duration::from_secs(60),
            stop_patience: Duration::from_secs(10),
        }
    }
}

/// What [`Daemonless::start`] is doing; told every few milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Another build holds the cache.
    WaitingForLock(&'a Path),
    /// The daemon runs and does not answer yet.
    Starting(&'a Path),
}

/// A running private daemon.
#[derive(Debug)]
pub struct Daemonless {
    // Dropped in this order: the lock goes last, when nothing of the daemon is left.
    process: Process,
    folder: TempDir,
    socket: PathBuf,
    _lock: File,
}

impl Daemonless {
    /// Starts a daemon and waits until it answers.
    ///
    /// `watch` hears what goes on, again and again, and can break it off.
    ///
    /// # Errors
    /// [`DaemonlessError`]; nothing is left running then.
    pub fn start(
        options: &Options,
        watch: &mut dyn FnMut(Notice<'_>) -> ControlFlow<()>,
    ) -> Result<Self, DaemonlessError> {
        let programs = Programs::find(options)?;
        let lock = lock_cache(options, watch)?;
        let folder =
            tempfile::Builder::new().prefix("peelbox-").tempdir_in(&options.runtime_dir).map_err(
                |source| DaemonlessError::RuntimeDir { path: options.runtime_dir.clone(), source },
            )?;
        let socket = folder.path().join("buildkitd.sock");
        if socket.as_os_str().len() > SOCKET_PATH_MAX_BYTES {
            return Err(DaemonlessError::LongPath(socket));
        }
        // BuildKit v0.11 does not know the flag for its trace socket and keeps that in its
        // root; later ones would take the socket of the system's daemon away.
        let mut with_trace_socket = true;
        loop {
            let command = programs.command(options, folder.path(), &socket, with_trace_socket);
            let mut process = Process::spawn(command, options, folder.path(), &lock)?;
            match process.wait_for_answer(options, &socket, watch) {
                Err(DaemonlessError::Exited { log, .. })
                    if with_trace_socket && log.contains(UNKNOWN_TRACE_FLAG) =>
                {
                    with_trace_socket = false;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(Self { process, folder, socket, _lock: lock }),
            }
        }
    }

    /// Tells where it listens.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.socket.clone())
    }

    /// Gives the end of its log, for when something failed.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Tells whether it has ended by itself.
    pub fn has_exited(&self) -> bool {
        self.process.exit_status().is_some()
    }

    /// Ends it, and waits until it is gone. Dropping does the same.
    ///
    /// Close connections to it first: it lets open calls finish until its patience is over.
    pub fn stop(mut self) {
        self.process.end();
    }

    /// The folder of its socket; gone when it is stopped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Finds a program on a search path such as the value of `PATH`.
pub fn find_program(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok())
}

/// Why there is no private daemon.
#[derive(Debug)]
#[non_exhaustive]
pub enum DaemonlessError {
    /// There is no `buildkitd`.
    NoBuildkitd,
    /// Something that a daemon without root needs is not there.
    NoRootless {
        /// The program.
        missing: &'static str,
    },
    /// The folder for the cache cannot be made or locked.
    CacheDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another build held the cache for too long.
    Locked {
        /// The folder of the cache.
        path: PathBuf,
        /// How long we waited.
        patience: Duration,
    },
    /// No folder for the socket can be made.
    RuntimeDir {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket's path has more bytes than the system takes.
    LongPath(PathBuf),
    /// A program cannot be started.
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon ended before it answered.
    Exited {
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The daemon did not answer in time.
    NoAnswer {
        /// How long it had.
        patience: Duration,
        /// The end of its log.
        log: String,
    },
    /// The caller broke it off.
    Interrupted,
}

impl DaemonlessError {
    /// Gives what the user can do, if we know something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoBuildkitd => {
                Some("install BuildKit so that `buildkitd` and `runc` are on PATH")
            }
            Self::NoRootless { missing: "rootlesskit" } => Some(
                "install RootlessKit (Debian, Ubuntu: `apt install rootlesskit`), or run as root",
            ),
            Self::NoRootless { .. } => Some(
                "install newuidmap and newgidmap (Debian, Ubuntu: `apt install uidmap`), or run as root",
            ),
            Self::LongPath(_) => Some("set XDG_RUNTIME_DIR or TMPDIR to a shorter path"),
            // BuildKit v0.11 and v0.32, `cmd/buildkitd/main.go`.
            Self::Exited { log, .. } if log.contains("no worker found") => {
                Some("install `runc` so that it is on PATH")
            }
            _ => None,
        }
    }
}

impl fmt::Display for DaemonlessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBuildkitd => {
                f.write_str("cannot start a private BuildKit: there is no `buildkitd` on PATH")
            }
            Self::NoRootless { missing } => write!(
                f,
                "cannot start a private BuildKit without root: there is no `{missing}` on PATH"
            ),
            Self::CacheDir { path, .. } => {
                write!(f, "cannot use `{}` for the cache of a private BuildKit", path.display())
            }
            Self::Locked { path, patience } => write!(
                f,
                "another build still uses the private BuildKit cache `{}` after {} s",
                path.display(),
                patience.as_secs_f32()
            ),
            Self::RuntimeDir { path, .. } => {
                write!(f, "cannot make a folder for a private BuildKit in `{}`", path.display())
            }
            Self::LongPath(path) => write!(
                f,
                "cannot listen on `{}`: the path of a socket has at most {SOCKET_PATH_MAX_BYTES} bytes",
                path.display()
            ),
            Self::Spawn { program, .. } => write!(f, "cannot start `{}`", program.display()),
            Self::Exited { status, log } => {
                write!(f, "the private BuildKit ended before it answered ({status})")?;
                log::write_last_lines(f, log)
            }
            Self::NoAnswer { patience, log } => {
                write!(f, "the private BuildKit gave no answer in {} s", patience.as_secs_f32())?;
                log::write_last_lines(f, log)
            }
            Self::Interrupted => f.write_str("interrupted while starting a private BuildKit"),
        }
    }
}

impl error::Error for DaemonlessError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::CacheDir { source, .. }
            | Self::RuntimeDir { source, .. }
            | Self::Spawn { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What is run.
struct Programs {
    buildkitd: PathBuf,
    /// `Some` without root.
    rootlesskit: Option<PathBuf>,
}

impl Programs {
    fn find(options: &Options) -> Result<Self, DaemonlessError> {
        let find = |name| find_program(name, &options.search_path);
        let buildkitd = match &options.buildkitd {
            Some(path) => path.clone(),
            None => find("buildkitd").ok_or(DaemonlessError::NoBuildkitd)?,
        };
        let mut rootlesskit = None;
        if options.rootless {
            for missing in ["rootlesskit", "newuidmap", "newgidmap"] {
                let path = find(missing).ok_or(DaemonlessError::NoRootless { missing })?;
                rootlesskit.get_or_insert(path);
            }
        }
        Ok(Self { buildkitd, rootlesskit })
    }

    fn command(
        &self,
        options: &Options,
        folder: &Path,
        socket: &Path,
        with_trace_socket: bool,
    ) -> Command {
        let mut command = match &self.rootlesskit {
            None => Command::new(&self.buildkitd),
            Some(rootlesskit) => {
                let mut command = Command::new(rootlesskit);
                command.arg("--state-dir").arg(folder.join("rootlesskit"));
                command.arg(&self.buildkitd).arg("--rootless");
                // runc keeps the state of containers there; the user's own may be missing.
                command.env("XDG_RUNTIME_DIR", folder);
                command
            }
        };
        let mut address = OsString::from("unix://");
        address.push(socket);
        command.arg("--addr").arg(address);
        command.arg("--root").arg(options.cache_dir.join("buildkitd"));
        command.arg("--containerd-worker=false");
        if with_trace_socket {
            command.arg(TRACE_FLAG).arg(folder.join("otel.sock"));
        }
        if let Some(config) = &options.config {
            command.arg("--config").arg(config);
        }
        command.args(&options.extra_args);
        command.env("PATH", &options.search_path);
        // The readiness of a service that we may be part of is not the daemon's to tell.
        command.env_remove("NOTIFY_SOCKET");
        command
    }
}

/// Takes the cache for this process; two daemons cannot share one (`buildkitd` refuses,
/// v0.32 `cmd/buildkitd/main.go`), so the second build waits.
fn lock_cache(
    options: &Options,
    watch: &mut dyn FnMut(Notice<'_>) -> ControlFlow<()>,
) -> Result<File, DaemonlessError> {
    let path = &options.cache_dir;
    let failed = |source| DaemonlessError::CacheDir { path: path.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let lock_path = path.join("daemonless.lock");
    let lock =
        File::options().create(true).append(true).mode(0o600).open(lock_path).map_err(failed)?;
    let deadline = Instant::now() + options.lock_patience;
    loop {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
        if watch(Notice::WaitingForLock(path)).is_break() {
            return Err(DaemonlessError::Interrupted);
        }
        if Instant::now() >= deadline {
            return Err(DaemonlessError::Locked {
                path: path.clone(),
                patience: options.lock_patience,
            });
        }
        thread::sleep(LOCK_INTERVAL);
    }
}

const TRACE_FLAG: &str = "--otel-socket-path";

/// What a daemon without [`TRACE_FLAG`] says of it (Go's `flag` package).
const UNKNOWN_TRACE_FLAG: &str = "flag provided but not defined: -otel-socket-path";

/// What fits into `sockaddr_un` with its closing NUL.
const SOCKET_PATH_MAX_BYTES: usize = 107;

const LOCK_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::{
            net::{UnixListener, UnixStream},
            process::{CommandExt as _, ExitStatusExt as _},
        },
        thread::Scope,
    };

    use rustix::process::{Pid, Signal};

    use super::{log::Log, watchdog::Watchdog, *};

    /// A place with a cache, a runtime folder and programs of the test's own.
    struct Place {
        dir: TempDir,
    }

    impl Place {
        fn new() -> Self {
            let place = Self { dir: tempfile::tempdir().unwrap() };
            fs::create_dir(place.at("run")).unwrap();
            fs::create_dir(place.at("bin")).unwrap();
            place
        }

        /// Adds a program, which notes its arguments and number first.
        fn with(self, name: &str, script: &str) -> Self {
            let notes = self.at(name);
            let text = format!(
                "#!/bin/sh\necho \"$*\" >>'{0}.args'\necho $$ >'{0}.pid'\n{script}\n",
                notes.display()
            );
            // Written by a child: what this process has open for writing could be inherited
            // by another test's child for a moment, and then not be run (`ETXTBSY`).
            let write = r#"printf '%s' "$1" >"$0" && chmod 755 "$0""#;
            let mut shell = Command::new("/bin/sh");
            let path = self.at("bin").join(name);
            assert!(shell.arg("-c").arg(write).arg(path).arg(text).status().unwrap().success());
            self
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn noted(&self, name: &str) -> String {
            fs::read_to_string(self.at(name)).unwrap()
        }

        /// Tells whether a process that noted its number still runs.
        fn is_running(&self, note: &str) -> bool {
            let stat = format!("/proc/{}/stat", self.noted(note).trim());
            // A zombie that nobody has reaped runs no more.
            fs::read_to_string(stat).is_ok_and(|stat| !stat.contains(") Z "))
        }

        fn options(&self) -> Options {
            let mut path = self.at("bin").into_os_string();
            path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
            let mut options = Options::new(path, self.at("cache"), self.at("run"));
            options.start_patience = Duration::from_secs(20);
            options.stop_patience = Duration::from_secs(20);
            options
        }

        fn fails(&self, options: &Options) -> DaemonlessError {
            let error = Daemonless::start(options, &mut go_on).expect_err("it should fail");
            assert_eq!(fs::read_dir(self.at("run")).unwrap().count(), 0, "the folder is gone");
            error
        }

        /// Answers in the place of a `buildkitd` that is a mere script, once that runs.
        fn answer<'scope, 'env>(
            &self,
            scope: &'scope Scope<'scope, 'env>,
            words: &'static [u8],
        ) -> impl FnMut(Notice<'_>) -> ControlFlow<()> + use<'scope, 'env> {
            let (mut listens, note) = (false, self.at("buildkitd.pid"));
            move |notice| {
                if let Notice::Starting(socket) = notice
                    && fs::read_to_string(&note).is_ok_and(|pid| pid.ends_with('\n'))
                    && !std::mem::replace(&mut listens, true)
                {
                    let listener = UnixListener::bind(socket).unwrap();
                    scope.spawn(move || {
                        let (mut stream, _) = listener.accept().unwrap();
                        let mut preface = [0; 24];
                        stream.read_exact(&mut preface).unwrap();
                        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
                        stream.write_all(words).unwrap();
                    });
                }
                ControlFlow::Continue(())
            }
        }
    }

    fn go_on(_: Notice<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// A SETTINGS frame with one setting, as grpc-go sends it.
    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0";

    const HANG: &str = "exec sleep 600";

    #[test]
    fn a_daemon_is_started_with_its_own_folders_and_ended_without_a_trace() {
        let place = Place::new().with("buildkitd", HANG);
        thread::scope(|scope| {
            let mut options = place.options();
            options.config = Some("/etc/own.toml".into());
            options.extra_args = vec!["--debug".into()];
            let daemon = Daemonless::start(&options, &mut place.answer(scope, SETTINGS)).unwrap();
            let (folder, cache) = (daemon.folder().to_owned(), place.at("cache"));
            let (shown, cache) = (folder.display(), cache.display());
            assert_eq!(daemon.endpoint().to_string(), format!("unix://{shown}/buildkitd.sock"));
            assert_eq!(
                place.noted("buildkitd.args").trim(),
                format!(
                    "--addr unix://{shown}/buildkitd.sock --root {cache}/buildkitd --containerd-worker=false \
                     --otel-socket-path {shown}/otel.sock --config /etc/own.toml --debug"
                )
            );
            assert!(place.is_running("buildkitd.pid") && !daemon.has_exited());
            daemon.stop();
            assert!(!place.is_running("buildkitd.pid"));
            assert!(!folder.exists());
        });
    }

    #[test]
    fn only_an_http2_server_counts_as_an_answer() {
        let place = Place::new().with("buildkitd", HANG);
        thread::scope(|scope| {
            let mut options = place.options();
            options.start_patience = Duration::from_secs(1);
            let words = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            let started = Daemonless::start(&options, &mut place.answer(scope, words));
            assert!(matches!(started, Err(DaemonlessError::NoAnswer { .. })), "{started:?}");
        });
        assert!(!place.is_running("buildkitd.pid"));
    }

    #[test]
    fn a_daemon_that_ends_at_once_is_told_with_its_last_lines() {
        let script = "for n in $(seq 20); do echo line $n; done\n\
                      echo 'buildkitd: no worker found, rebuild?' >&2\nexit 3";
        let place = Place::new().with("buildkitd", script);
        let error = place.fails(&place.options());
        let text = error.to_string();
        assert!(
            text.starts_with("the private BuildKit ended before it answered (exit status: 3)\n")
        );
        assert!(!text.contains("line 9\n") && text.contains("\n  | line 10\n"), "{text}");
        assert!(text.ends_with("\n  | buildkitd: no worker found, rebuild?"), "{text}");
        assert!(error.hint().unwrap().contains("runc"));
        assert_eq!(place.noted("buildkitd.args").lines().count(), 1);
        let killed = Place::new().with("buildkitd", "kill -SEGV $$");
        assert!(killed.fails(&killed.options()).to_string().contains("signal: 11"));
    }

    #[test]
    fn a_daemon_that_does_not_know_the_trace_flag_is_started_without_it() {
        let script = "case \"$*\" in *otel*) echo 'Incorrect Usage: flag provided but not \
                      defined: -otel-socket-path'; exit 1;; esac\nexec sleep 600";
        let place = Place::new().with("buildkitd", script);
        thread::scope(|scope| {
            let mut answer = place.answer(scope, SETTINGS);
            let mut watch = |notice: Notice<'_>| {
                // The first try must not be answered: it is to end by itself.
                match fs::read_to_string(place.at("buildkitd.args")) {
                    Ok(noted) if noted.lines().count() == 2 => answer(notice),
                    _ => ControlFlow::Continue(()),
                }
            };
            Daemonless::start(&place.options(), &mut watch).unwrap().stop();
        });
        let noted = place.noted("buildkitd.args");
        let with_flag: Vec<_> = noted.lines().map(|line| line.contains("otel")).collect();
        assert_eq!(with_flag, [true, false]);
    }

    #[test]
    fn a_daemon_that_hangs_or_is_given_up_is_ended() {
        let place = Place::new().with("buildkitd", "echo still waking up; exec sleep 600");
        let mut options = place.options();
        let stopped =
            Daemonless::start(&options, &mut |_| match place.at("buildkitd.pid").exists() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            });
        assert!(matches!(stopped, Err(DaemonlessError::Interrupted)), "{stopped:?}");
        assert!(!place.is_running("buildkitd.pid"));
        options.start_patience = Duration::from_millis(1500);
        let text = place.fails(&options).to_string();
        assert_eq!(text, "the private BuildKit gave no answer in 1.5 s\n  | still waking up");
        assert!(!place.is_running("buildkitd.pid"));
    }

    #[test]
    fn a_daemon_that_does_not_want_to_end_is_forced_with_all_its_children() {
        let script = "trap '' TERM\nsh -c 'echo $$ >\"$0.child.pid\"; trap \"\" TERM; while :; do sleep 1; done' \"${0%bin/*}buildkitd\" &\n\
                      while :; do sleep 1; done";
        let place = Place::new().with("buildkitd", script);
        thread::scope(|scope| {
            let mut options = place.options();
            options.stop_patience = Duration::from_millis(100);
            let mut answer = place.answer(scope, SETTINGS);
            let mut watch = |notice: Notice<'_>| match place.at("buildkitd.child.pid").exists() {
                true => answer(notice),
                false => ControlFlow::Continue(()),
            };
            let daemon = Daemonless::start(&options, &mut watch).unwrap();
            drop(daemon);
        });
        assert!(!place.is_running("buildkitd.pid"));
        assert!(!place.is_running("buildkitd.child.pid"));
    }

    #[test]
    fn a_second_build_waits_for_the_first() {
        let place = Place::new().with("buildkitd", HANG);
        thread::scope(|scope| {
            let mut options = place.options();
            let first = Daemonless::start(&options, &mut place.answer(scope, SETTINGS)).unwrap();
            options.lock_patience = Duration::ZERO;
            let error = Daemonless::start(&options, &mut go_on).unwrap_err();
            assert!(error.to_string().contains("another build still uses"), "{error}");

            options.lock_patience = Duration::from_secs(20);
            let (mut first, mut waited) = (Some(first), false);
            let mut answer = place.answer(scope, SETTINGS);
            let mut watch = |notice: Notice<'_>| {
                if notice == Notice::WaitingForLock(&place.at("cache")) {
                    waited = true;
                    drop(first.take());
                }
                answer(notice)
            };
            Daemonless::start(&options, &mut watch).unwrap().stop();
            assert!(waited);
        });
    }

    #[test]
    fn a_daemon_whose_owner_is_killed_is_ended_and_the_cache_free_only_then() {
        let place = Place::new();
        let (folder, lock_path) = (place.at("run/left"), place.at("lock"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let lock = File::create(&lock_path).unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        let (log, _) = io::pipe().unwrap();
        let watchdog = Watchdog::start(Pid::from_child(&child), &folder, &lock, log).unwrap();
        drop(lock);
        let again = File::open(&lock_path).unwrap();
        let held = rustix::fs::flock(&again, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(held, Err(rustix::io::Errno::WOULDBLOCK));
        // What the kernel does with a killed owner: its ends of pipes are closed.
        drop(watchdog);
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
        rustix::fs::flock(&again, FlockOperation::LockExclusive).unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn without_root_the_daemon_runs_in_rootlesskit_and_its_parts_must_be_there() {
        let place = Place::new();
        let mut options = place.options();
        options.search_path = place.at("bin").into_os_string();
        assert!(matches!(place.fails(&options), DaemonlessError::NoBuildkitd));
        let place = place.with("buildkitd", HANG);
        options.rootless = true;
        let place =
            ["rootlesskit", "newuidmap", "newgidmap"].into_iter().fold(place, |place, name| {
                let error = place.fails(&options);
                let text = format!("there is no `{name}` on PATH");
                assert!(error.to_string().contains(&text), "{error}");
                assert!(error.hint().unwrap().contains("apt install"));
                place.with(name, "shift 2; exec \"$@\"")
            });
        let mut options = place.options();
        options.rootless = true;
        thread::scope(|scope| {
            let daemon = Daemonless::start(&options, &mut place.answer(scope, SETTINGS)).unwrap();
            let shown = daemon.folder().display().to_string();
            let noted = place.noted("rootlesskit.args");
            let buildkitd = place.at("bin/buildkitd");
            let expected = format!(
                "--state-dir {shown}/rootlesskit {} --rootless --addr ",
                buildkitd.display()
            );
            assert!(noted.starts_with(&expected), "{noted}");
        });
    }

    #[test]
    fn only_the_last_lines_of_a_log_are_kept() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut log = Log::start(reader, 100).unwrap();
        for n in 0..5000 {
            writeln!(writer, "line {n}").unwrap();
        }
        drop(writer);
        log.end();
        let tail = log.tail();
        assert!(tail.ends_with("line 4998\nline 4999") && tail.len() <= 100, "{tail}");
        assert!(tail.starts_with("line 49"), "{tail}");
    }

    #[test]
    fn places_that_cannot_be_used_are_told() {
        let place = Place::new().with("buildkitd", HANG);
        fs::write(place.at("file"), "").unwrap();
        let mut options = place.options();
        options.cache_dir = place.at("file/cache");
        assert!(matches!(place.fails(&options), DaemonlessError::CacheDir { .. }));
        let mut options = place.options();
        options.runtime_dir = place.at("none");
        assert!(matches!(place.fails(&options), DaemonlessError::RuntimeDir { .. }));
        options.runtime_dir = place.at("x".repeat(80).as_str());
        fs::create_dir(&options.runtime_dir).unwrap();
        let error = place.fails(&options);
        assert!(error.to_string().contains("at most 107 bytes"), "{error}");
        let mut options = place.options();
        options.buildkitd = Some(place.at("file"));
        let error = place.fails(&options);
        assert!(error.to_string().contains("cannot start `"), "{error}");
    }

    /// Finds the real daemon; a run that requires it fails without.
    fn real_buildkitd() -> Option<PathBuf> {
        let found = std::env::var_os("PEELBOX_TEST_BUILDKITD").map(PathBuf::from);
        let required = std::env::var_os("PEELBOX_TEST_REQUIRE").is_some_and(|v| v == "1");
        assert!(found.is_some() || !required, "PEELBOX_TEST_BUILDKITD names no buildkitd");
        if found.is_none() {
            eprintln!("not run: PEELBOX_TEST_BUILDKITD names no buildkitd");
        }
        found
    }

    #[test]
    fn a_real_daemon_starts_on_its_cache_again_and_leaves_no_process_behind() {
        let Some(buildkitd) = real_buildkitd() else { return };
        let place = Place::new();
        let mut options = place.options();
        options.buildkitd = Some(buildkitd);
        // The daemon's word counts, not that of a config of this machine.
        fs::write(place.at("buildkitd.toml"), "").unwrap();
        options.config = Some(place.at("buildkitd.toml"));
        for round in ["first", "second"] {
            let start = Instant::now();
            let mut daemon = Daemonless::start(&options, &mut go_on).unwrap();
            eprintln!("{round} start: {:?}", start.elapsed());
            let Endpoint::Unix(socket) = daemon.endpoint() else { panic!("not a socket") };
            drop(UnixStream::connect(&socket).unwrap());
            assert!(!daemon.has_exited());
            let pid = daemon.process.pid().as_raw_nonzero();
            let start = Instant::now();
            daemon.process.end();
            eprintln!("{round} stop: {:?}", start.elapsed());
            // Only now the log is whole.
            let log = daemon.log_tail();
            assert!(log.contains("running server on"), "{log}");
            drop(daemon);
            assert!(!Path::new(&format!("/proc/{pid}")).exists());
            assert!(!socket.exists());
            assert!(place.at("cache/buildkitd/cache.db").is_file());
        }
        assert_eq!(fs::read_dir(place.at("run")).unwrap().count(), 0);
    }
}
