//! The event loop of a build: everything a person sees on the way passes here.

use std::{
    fs,
    io::{self, IsTerminal as _},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, bounded, never, select, tick};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    build::work::{Build, Built, Note},
    cli::{args, env::Environment, failure::explain},
    docker::{Engine, load::LoadProgress},
    error::{Error, Kind},
    grpc::{Cancel, io::spawn},
    plan::CONTEXT_NAME,
    progress::{
        DaemonTime, Look, Mode, Progress, StatusUpdate, TerminalSize, Transfer, Vertex,
        VertexDigest, VertexStatus,
    },
    session::{context::Upload, filesend::FileSend, folder::FolderSend},
    solve::{News, SolveError},
};

/// How often the terminal's size is looked at and our own transfer is shown.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// How a build ended, after the last line of its progress.
pub(crate) struct End {
    pub(crate) result: Result<Built, Error>,
    pub(crate) progress: Progress,
    pub(crate) upload: Arc<Upload>,
    pub(crate) file_send: Option<Arc<FileSend>>,
    /// Takes the files of `type=local`.
    pub(crate) folder_send: Option<Arc<FolderSend>>,
    pub(crate) load: Arc<LoadProgress>,
    /// The engine that shall hold the image.
    pub(crate) docker: Option<Arc<Engine>>,
    /// Warnings of the daemon and of the plan.
    pub(crate) warnings: usize,
    /// Digests of the steps that work.
    pub(crate) work: Vec<String>,
}

/// The event loop: everything a person sees passes here.
pub(crate) fn follow(
    build: Build,
    mut progress: Progress,
    signals: &Receiver<()>,
    started: Instant,
) -> End {
    let beat = progress.tick_interval().map_or_else(never, tick);
    let look = tick(LOOK_AROUND);
    let mut size = terminal_size();
    let mut warnings = 0;
    let mut loading = Loading::default();
    let result = loop {
        select! {
            recv(build.news) -> news => match news {
                Ok(news) => show(&mut progress, &news, started.elapsed()),
                Err(_) => {
                    // All news are out; only the end is left.
                    break build.done.recv().unwrap_or_else(|_| Err(SolveError::Frontend(lost())));
                }
            },
            recv(build.notes) -> note => if let Ok(note) = note {
                warnings += tell(&mut progress, note);
            },
            recv(beat) -> _ => progress.tick(started.elapsed()),
            recv(look) -> _ => {
                let now = terminal_size();
                if now != size {
                    size = now;
                    progress.resize(size);
                }
                show_transfer(&mut progress, &build.upload, started.elapsed());
                loading.show(&mut progress, &build.load, started.elapsed());
            },
            recv(signals) -> _ => {
                if build.cancel.is_cancelled() {
                    break Err(SolveError::Cancelled);
                }
                build.cancel.cancel();
                progress.note("interrupted: the build is being cancelled; once more to leave at once");
            }
        }
    };
    warnings += build.notes.try_iter().map(|note| tell(&mut progress, note)).sum::<usize>();
    show_transfer(&mut progress, &build.upload, started.elapsed());
    loading.show(&mut progress, &build.load, started.elapsed());
    warnings += progress.model().warnings();
    let result =
        result.map_err(|error| explain(error, &progress, &build.root_cause, &build.reached));
    let work = build.work.get().cloned().unwrap_or_default();
    let Build { upload, file_send, folder_send, load, reached, .. } = build;
    let docker = reached.docker.clone();
    End { result, progress, upload, file_send, folder_send, load, docker, warnings, work }
}

/// Tells how many warnings it was.
fn tell(progress: &mut Progress, note: Note) -> usize {
    match note {
        Note::Info(text) => {
            progress.note(&text);
            0
        }
        Note::Warning(text) => {
            progress.note(&format!("warning: {text}"));
            1
        }
    }
}

/// The build's thread ended without a word; what it said last is on standard error.
fn lost() -> Error {
    Error::new(Kind::Internal, "the build's thread failed")
}

fn show(progress: &mut Progress, news: &News, now: Duration) {
    match news {
        News::Update(update) => progress.on_status(update, now),
        News::Clock(clock) => progress.set_daemon_clock(*clock, now),
        News::Restarted => progress.restart_stream(),
    }
}

fn show_transfer(progress: &mut Progress, upload: &Upload, now: Duration) {
    let counters = &upload.counters;
    let entries = counters.entries.load(Ordering::Relaxed);
    if entries == 0 {
        return;
    }
    let transfer = Transfer {
        name: CONTEXT_NAME.to_owned(),
        entries_scanned: entries,
        files_sent: counters.requested.load(Ordering::Relaxed),
        bytes_sent: counters.bytes_sent.load(Ordering::Relaxed),
        total_bytes: None,
        done: upload.is_done.load(Ordering::Relaxed),
    };
    progress.on_transfer(transfer, now);
}

/// The image's way into an engine, shown as a step: the daemon knows nothing of it.
#[derive(Default)]
struct Loading {
    started: Option<DaemonTime>,
    shown_bytes: u64,
    is_done: bool,
}

impl Loading {
    fn show(&mut self, progress: &mut Progress, load: &LoadProgress, now: Duration) {
        if self.is_done || !load.has_begun.load(Ordering::Relaxed) {
            return;
        }
        let time = progress.model().daemon_now(now);
        let is_first = self.started.is_none();
        let started = *self.started.get_or_insert(time);
        let sent_bytes = load.sent_bytes.load(Ordering::Relaxed);
        self.is_done = load.is_done.load(Ordering::Relaxed);
        if !is_first && !self.is_done && sent_bytes == self.shown_bytes {
            return;
        }
        self.shown_bytes = sent_bytes;
        let is_unchanged = load.is_unchanged.load(Ordering::Relaxed);
        let digest = VertexDigest("peelbox:load".to_owned());
        let vertex = Vertex {
            digest: digest.clone(),
            name: "loading into docker".to_owned(),
            cached: self.is_done && is_unchanged,
            started: Some(started),
            completed: self.is_done.then_some(time),
            ..Vertex::default()
        };
        let status = VertexStatus {
            id: "sending tarball".to_owned(),
            vertex: digest,
            current: i64::try_from(sent_bytes).unwrap_or(i64::MAX),
            timestamp: Some(time),
            started: Some(started),
            completed: load.is_sent.load(Ordering::Relaxed).then_some(time),
            ..VertexStatus::default()
        };
        // Before the first byte the engine may still say that it has the image.
        let statuses = if sent_bytes > 0 { vec![status] } else { Vec::new() };
        let update = StatusUpdate { vertexes: vec![vertex], statuses, ..StatusUpdate::default() };
        progress.on_status(&update, now);
    }
}

pub(crate) fn progress(
    shown: args::Progress,
    env: &Environment,
    title: String,
    started: Instant,
) -> Progress {
    let is_terminal = io::stderr().is_terminal();
    let mode = match shown {
        args::Progress::Quiet => Mode::Quiet,
        args::Progress::Plain => Mode::Plain,
        args::Progress::Tty => Mode::Tty,
        args::Progress::Rawjson => Mode::RawJson,
        args::Progress::Auto => Mode::auto(is_terminal, env.term.as_deref()),
    };
    let color = Look::allows_color(is_terminal, env.no_color.as_deref(), env.term.as_deref());
    let look = Look { color, size: terminal_size(), title };
    Progress::new(mode, look, Box::new(io::stderr()), started.elapsed())
}

fn terminal_size() -> TerminalSize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or_else(
        |_| TerminalSize::default(),
        |w| TerminalSize { width: w.ws_col, height: w.ws_row },
    )
}

/// Signals that ask us to end, as they come; one that nobody takes in time ends the process.
///
/// What whoever started us has chosen to ignore (`nohup`, a script's background jobs) stays ignored.
pub(crate) fn watch_signals() -> io::Result<Receiver<()>> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored_signals(&status);
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|n| ignored & (1 << (n - 1)) == 0);
    let mut signals = Signals::new(wanted)?;
    let (tx, rx) = bounded(2);
    spawn("pbx-signals", move || {
        for signal in signals.forever() {
            // Two wait to be heard: whoever should hear them is stuck, in a write that nobody reads for instance.
            if tx.try_send(()).is_err() {
                // Without a handler to fall back on all stays as it is.
                drop(signal_hook::low_level::emulate_default_handler(signal));
            }
        }
    })?;
    Ok(rx)
}

/// The set of ignored signals, signal 1 the lowest bit (proc(5), `SigIgn`); empty where that is not told.
fn ignored_signals(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or_default()
}

/// Makes a blocking step end on Ctrl-C.
pub(crate) struct Interrupt<'a> {
    pub(crate) signals: &'a Receiver<()>,
    pub(crate) cancel: &'a Cancel,
}

impl Interrupt<'_> {
    pub(crate) fn during<T>(
        &self,
        step: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error>
    where
        T: Send,
    {
        let (tx, done) = bounded::<()>(0);
        thread::scope(|scope| {
            let watch = move || {
                select! {
                    recv(self.signals) -> signal => if signal.is_ok() { self.cancel.cancel() },
                    recv(done) -> _ => {}
                }
            };
            // Without the thread the step is only harder to interrupt.
            drop(
                thread::Builder::new().name("pbx-interrupt".to_owned()).spawn_scoped(scope, watch),
            );
            let result = step();
            drop(tx);
            result
        })
    }
}
