//! The event loop of a build: everything a person sees on the way passes here.

use std::{
    fs,
    io::{self, IsTerminal as _},
    process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, after, bounded, never, select, tick};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    build::{Build, BuildError, BuildEvent, BuildOutcome, EventSink, Planned, Stop},
    cli::{
        args,
        env::Environment,
        error::{build_error, system},
    },
    connect::Builder,
    docker::load::LoadEvent,
    error::{Error, Kind},
    grpc::Cancel,
    output,
    plan::CONTEXT_NAME,
    progress::{Done, LocalStep, Look, Mode, Progress, TerminalSize, Transfer},
    session::context::Upload,
    threads::{STACK_BYTES, spawn, spawn_scoped},
};

/// Messages that the printer may be behind; then the daemon waits.
const MESSAGES_MAX: usize = 256;
/// How often the terminal's size is looked at.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// How a build ended, after the last line of its progress.
pub(crate) struct End {
    pub(crate) result: Result<BuildOutcome, Error>,
    pub(crate) progress: Progress,
    /// Warnings of the daemon, of the plan and of the outputs.
    pub(crate) warnings: usize,
}

/// What the build's thread says.
enum Message {
    Event(BuildEvent),
    End(Box<Result<BuildOutcome, BuildError>>),
}

/// Starts the build's thread.
fn start(build: Build, builder: &Arc<Builder>, stop: &Stop) -> Result<Receiver<Message>, Error> {
    let (tx, messages) = bounded(MESSAGES_MAX);
    let events = tx.clone();
    let sink: EventSink = Arc::new(move |event| {
        // How far something is will be told again; whoever transfers it shall not wait for a slow terminal.
        let is_passing = match &event {
            BuildEvent::Upload(upload) => !upload.is_done,
            BuildEvent::Load(event) => matches!(event, LoadEvent::Sent(_)),
            _ => false,
        };
        let event = Message::Event(event);
        // The printer may have left on a second Ctrl-C.
        match is_passing {
            true => drop(events.try_send(event)),
            false => drop(events.send(event)),
        }
    });
    let (builder, stop) = (Arc::clone(builder), stop.clone());
    spawn("pbx-build", move || {
        let result = build.run(&builder, &stop, &sink);
        // A private daemon ends with the last of them, and main waits for that alone.
        drop(builder);
        drop(tx.send(Message::End(Box::new(result))));
    })
    .map_err(|e| system("cannot start the build's thread", e))?;
    Ok(messages)
}

/// The event loop: everything a person sees passes here.
pub(crate) fn follow(
    build: Build,
    builder: &Arc<Builder>,
    progress: Progress,
    signals: &Receiver<()>,
    stop: &Stop,
    is_verbose: bool,
    started: Instant,
) -> Result<End, Error> {
    let messages = start(build, builder, stop)?;
    let beat = progress.tick_interval().map_or_else(never, tick);
    let look = tick(LOOK_AROUND);
    let mut size = terminal_size();
    let mut shown = Shown { progress, warnings: 0, is_verbose, started, load: None };
    let result = loop {
        select! {
            recv(messages) -> message => match message {
                Ok(Message::Event(event)) => shown.show(event),
                Ok(Message::End(result)) => break *result,
                Err(_) => break Err(BuildError::Protocol("the build's thread failed")),
            },
            recv(beat) -> _ => shown.progress.tick(started.elapsed()),
            recv(look) -> _ => {
                let now = terminal_size();
                if now != size {
                    size = now;
                    shown.progress.resize(size);
                }
            },
            recv(signals) -> _ => {
                if stop.is_cancelled() {
                    stop.abandon();
                    break Err(BuildError::Cancelled);
                }
                stop.cancel();
                shown.progress.note("interrupted: the build is being cancelled; once more to leave at once");
            }
        }
    };
    if let Ok(outcome) = &result {
        shown.show_upload(outcome.upload);
    }
    let Shown { progress, mut warnings, .. } = shown;
    warnings += progress.model().warnings();
    let result = result.map_err(|error| build_error(error, builder));
    Ok(End { result, progress, warnings })
}

/// What is shown of a build.
struct Shown {
    progress: Progress,
    warnings: usize,
    is_verbose: bool,
    started: Instant,
    /// The image's way into an engine, which the daemon knows nothing of.
    load: Option<LocalStep>,
}

impl Shown {
    fn show(&mut self, event: BuildEvent) {
        let now = self.started.elapsed();
        match event {
            BuildEvent::Status(update) => self.progress.on_status(&update, now),
            BuildEvent::Clock(clock) => self.progress.set_daemon_clock(clock, now),
            BuildEvent::StreamRestarted => self.progress.restart_stream(),
            BuildEvent::Upload(upload) => self.show_upload(upload),
            BuildEvent::Load(event) => self.show_load(event),
            BuildEvent::Warning(text) => {
                self.progress.note(&format!("warning: {text}"));
                self.warnings += 1;
            }
            BuildEvent::Planned(planned) if self.is_verbose => self.show_plan(&planned),
            BuildEvent::Planned(_) => {}
        }
    }

    fn show_plan(&mut self, planned: &Planned) {
        self.progress.note(&format!("platform: {}", planned.platform));
        for (stage, base) in &planned.bases {
            self.progress.note(&format!("{stage} base: {base}"));
        }
        self.progress.note(&format!("ignore patterns: {}", planned.exclude.join(" ")));
    }

    fn show_upload(&mut self, upload: Upload) {
        if upload.entries == 0 {
            return;
        }
        let transfer = Transfer {
            name: CONTEXT_NAME.to_owned(),
            entries_scanned: upload.entries,
            files_sent: upload.files,
            bytes_sent: upload.bytes_sent,
            total_bytes: None,
            done: upload.is_done,
        };
        self.progress.on_transfer(transfer, self.started.elapsed());
    }

    fn show_load(&mut self, event: LoadEvent) {
        let new = || LocalStep::new("peelbox:load", "loading into docker", "sending tarball");
        let step = self.load.get_or_insert_with(new);
        match event {
            LoadEvent::Began => {}
            LoadEvent::Sent(bytes) => step.sent_bytes = bytes,
            LoadEvent::AllSent(bytes) => (step.sent_bytes, step.is_sent) = (bytes, true),
            LoadEvent::Done { is_unchanged } => step.done = Some(Done { is_unchanged }),
        }
        self.progress.on_local_step(step, self.started.elapsed());
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

/// How long the event loop may take to leave on a second signal.
const LEAVE_PATIENCE: Duration = Duration::from_millis(700);

/// Signals that ask us to end, as they come; with the second the process ends, whatever else is under way.
///
/// What whoever started us has chosen to ignore (`nohup`, a script's background jobs) stays ignored.
pub(crate) fn watch_signals() -> io::Result<Receiver<()>> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored_signals(&status);
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|n| ignored & (1 << (n - 1)) == 0);
    let mut signals = Signals::new(wanted)?;
    let (tx, rx) = bounded(2);
    spawn("pbx-signals", move || {
        for (heard, _) in signals.forever().enumerate() {
            // There is room for those that count.
            let _ = tx.try_send(());
            if heard > 0 {
                // Whoever should hear it may be busy or stuck, in a write that nobody reads for instance.
                let _ = after(LEAVE_PATIENCE).recv();
                output::forsake();
                process::exit(i32::from(Kind::Interrupted.exit_code()));
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
            drop(spawn_scoped(scope, "pbx-interrupt", STACK_BYTES, watch));
            let result = step();
            drop(tx);
            result
        })
    }
}
