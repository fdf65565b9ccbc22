//! Status events → lines for people and machines. Depends on nothing of the crate.
//!
//! [`Progress`] takes events in and owns the rest: the [`Model`] says what is, a [`Display`] shows
//! it. Time is an argument everywhere; two clocks meet in the model only: the daemon's, since
//! 1970, and ours, any that does not go back.

use std::io::Write;
use std::time::Duration;

mod failure;
pub mod format;
mod local;
mod log;
mod model;
mod output;
mod plain;
mod quiet;
mod rawjson;
mod step;
mod style;
mod summary;
mod tty;
mod view;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod screen;

pub use failure::Failure;
pub use local::{Done, LocalStep};
pub use log::{LogLine, LogSource, PartialLine, fuzz_log_lines};
pub use model::{Changes, Model, StepId, Totals};
pub use step::{Interval, Status, Step, StepState, Warning};
pub use summary::{Content, ContextTotals, Loaded, Summary};

/// A build's progress: events in, lines out. The thread that owns the terminal owns it.
pub struct Progress {
    model: Model,
    display: Box<dyn Display>,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Lines one after the other, for logs.
    Plain,
    /// A view that is redrawn, for terminals.
    Tty,
    /// Failures only.
    Quiet,
    /// One JSON object per status message, for programs.
    RawJson,
}

/// What the terminal can do and what to name.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Whether colours may be written, see [`Look::allows_color`].
    pub color: bool,
    /// Size of the terminal; of no meaning to modes that write lines.
    pub size: TerminalSize,
    /// What builds, such as `buildkitd v0.32.2 at unix:///…`; may be empty.
    pub title: String,
}

/// Size of a terminal in characters; 0 stands for unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// How the build ended.
#[derive(Debug)]
pub enum Outcome {
    /// There is an image, or what was asked for.
    Succeeded(Box<Summary>),
    /// It failed; empty when no step is to blame. [`Progress::failures`] gives them.
    Failed(Vec<Failure>),
    /// It was stopped from outside.
    Interrupted,
}

/// Shows a model.
pub trait Display {
    /// Gets each status message before the model does.
    fn raw(&mut self, _update: &StatusUpdate) {}
    /// The model has changed.
    fn update(&mut self, model: &Model, changes: &Changes, now: LocalTime);
    /// Time has gone by.
    fn tick(&mut self, model: &Model, now: LocalTime);
    /// Shows a line of ours among the progress.
    fn note(&mut self, text: &str);
    /// The terminal has another size.
    fn resize(&mut self, _size: TerminalSize) {}
    /// Shows what is left and how it ended; nothing follows.
    fn finish(&mut self, model: &Model, outcome: &Outcome, now: LocalTime);
    /// How often [`Display::tick`] wants to be called, if at all.
    fn tick_interval(&self) -> Option<Duration>;
}

impl Mode {
    /// The mode of `--progress=auto`: a view is redrawn on a terminal that can move its cursor (not `TERM=dumb`).
    #[must_use]
    pub fn auto(is_terminal: bool, term: Option<&str>) -> Self {
        if is_terminal && term != Some("dumb") { Self::Tty } else { Self::Plain }
    }
}

impl Look {
    /// Whether to write colours: a terminal, not `NO_COLOR` (any value but empty), not `TERM=dumb`.
    #[must_use]
    pub fn allows_color(is_terminal: bool, no_color: Option<&str>, term: Option<&str>) -> bool {
        is_terminal && no_color.is_none_or(str::is_empty) && term != Some("dumb")
    }
}

impl Progress {
    /// A display of `mode` that writes to `writer`, usually stderr.
    #[must_use]
    pub fn new(mode: Mode, look: Look, writer: Box<dyn Write>, now: LocalTime) -> Self {
        let out = output::Output::new(writer);
        let display: Box<dyn Display> = match mode {
            Mode::Plain => Box::new(plain::PlainDisplay::new(out, look, now)),
            Mode::Tty => Box::new(tty::TtyDisplay::new(out, look, now)),
            Mode::Quiet => Box::new(quiet::QuietDisplay::new(out, look)),
            Mode::RawJson => Box::new(rawjson::RawJsonDisplay::new(out)),
        };
        Self { model: Model::new(), display }
    }

    /// Takes one message of the Status stream in.
    pub fn on_status(&mut self, update: &StatusUpdate, now: LocalTime) {
        self.display.raw(update);
        let changes = self.model.update(update, now);
        self.display.update(&self.model, &changes, now);
    }

    /// Takes our own news of a context upload in.
    pub fn on_transfer(&mut self, transfer: Transfer, now: LocalTime) {
        let changes = self.model.transfer(transfer);
        self.display.update(&self.model, &changes, now);
    }

    /// The Status stream was lost and opened again: it will repeat all it said.
    pub fn restart_stream(&mut self) {
        self.model.restart_stream();
    }

    /// Sets the daemon's clock, as told by the header `buildkit-current-timestamp`.
    pub fn set_daemon_clock(&mut self, daemon: DaemonTime, now: LocalTime) {
        self.model.set_daemon_clock(daemon, now);
    }

    /// Shows a line of ours, such as a warning; several lines if it holds several.
    ///
    /// Quiet and rawjson leave it out.
    pub fn note(&mut self, text: &str) {
        self.display.note(text);
    }

    /// Lets time go by; call it every [`Progress::tick_interval`].
    pub fn tick(&mut self, now: LocalTime) {
        self.display.tick(&self.model, now);
    }

    /// How often to call [`Progress::tick`]; `None` if never.
    #[must_use]
    pub fn tick_interval(&self) -> Option<Duration> {
        self.display.tick_interval()
    }

    /// The terminal has another size.
    pub fn resize(&mut self, size: TerminalSize) {
        self.display.resize(size);
    }

    /// What is known of the build.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Reports of the steps that failed, for [`Outcome::Failed`].
    #[must_use]
    pub fn failures(&self, now: LocalTime) -> Vec<Failure> {
        self.model.failures(now)
    }

    /// Shows what is left and how the build ended, and gives the model back.
    pub fn finish(mut self, outcome: &Outcome, now: LocalTime) -> Model {
        let changes = self.model.finish(matches!(outcome, Outcome::Succeeded(_)));
        self.display.update(&self.model, &changes, now);
        self.display.finish(&self.model, outcome, now);
        self.model
    }
}

/// A vertex of the graph, by the digest the daemon gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VertexDigest(pub String);

/// Time since 1970, as the daemon's clock says.
pub type DaemonTime = Duration;

/// Time of our own clock, which does not go back; any zero will do, such as the start.
pub type LocalTime = Duration;

/// Our side of one context upload, told while it runs and once when it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Name of the local source, such as `context`.
    pub name: String,
    /// Files, folders and links found so far.
    pub entries_scanned: u64,
    /// Files whose content was sent.
    pub files_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes to send, when known.
    pub total_bytes: Option<u64>,
    /// Nothing more will be sent.
    pub done: bool,
}

/// News of one moment, as one `StatusResponse` carries it.
#[derive(Clone, Debug, Default)]
pub struct StatusUpdate {
    /// New or changed vertexes.
    pub vertexes: Vec<Vertex>,
    /// Sub-tasks of vertexes, such as one layer's download.
    pub statuses: Vec<VertexStatus>,
    /// Output of the steps; not line aligned.
    pub logs: Vec<VertexLog>,
    /// Warnings of frontends and the solver.
    pub warnings: Vec<VertexWarning>,
}

impl StatusUpdate {
    /// What it takes in memory, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_vertex = |v: &Vertex| {
            let inputs: usize =
                v.inputs.iter().map(|input| input.0.len() + size_of::<String>()).sum();
            size_of::<Vertex>() + v.name.len() + v.error.len() + inputs
        };
        let of_warning = |w: &VertexWarning| {
            let detail: usize = w.detail.iter().map(|line| line.len() + size_of::<String>()).sum();
            size_of::<VertexWarning>() + w.short.len() + detail
        };
        let of_status = |s: &VertexStatus| size_of::<VertexStatus>() + s.id.len() + s.name.len();
        self.vertexes.iter().map(of_vertex).sum::<usize>()
            + self.statuses.iter().map(of_status).sum::<usize>()
            + self.logs.iter().map(|l| size_of::<VertexLog>() + l.data.len()).sum::<usize>()
            + self.warnings.iter().map(of_warning).sum::<usize>()
    }

    /// Keeps what is said of steps that `is_wanted`.
    pub fn retain(&mut self, is_wanted: impl Fn(&VertexDigest) -> bool) {
        self.vertexes.retain(|vertex| is_wanted(&vertex.digest));
        self.statuses.retain(|status| is_wanted(&status.vertex));
        self.logs.retain(|log| is_wanted(&log.vertex));
        self.warnings.retain(|warning| is_wanted(&warning.vertex));
    }
}

/// State of one vertex; announced several times.
#[derive(Clone, Debug, Default)]
pub struct Vertex {
    /// Identity.
    pub digest: VertexDigest,
    /// Digests of its inputs.
    pub inputs: Vec<VertexDigest>,
    /// Display name.
    pub name: String,
    /// The result came from the cache.
    pub cached: bool,
    /// Begin of the current interval.
    pub started: Option<DaemonTime>,
    /// End of the current interval.
    pub completed: Option<DaemonTime>,
    /// Empty, or why it failed; ends in `context canceled` when it was cancelled.
    pub error: String,
    /// Members of one group are shown as one vertex.
    pub group: Option<ProgressGroup>,
}

/// A group of vertexes shown as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressGroup {
    /// Identity.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Stays hidden while only weak members have started.
    pub weak: bool,
}

/// A sub-task of a vertex.
#[derive(Clone, Debug, Default)]
pub struct VertexStatus {
    /// Identity within the vertex, also its display text.
    pub id: String,
    /// The vertex.
    pub vertex: VertexDigest,
    /// A second display text, often empty.
    pub name: String,
    /// Units done, bytes when `total` is in bytes.
    pub current: i64,
    /// Units in all; 0 when unknown.
    pub total: i64,
    /// When this was measured.
    pub timestamp: Option<DaemonTime>,
    /// Begin.
    pub started: Option<DaemonTime>,
    /// End.
    pub completed: Option<DaemonTime>,
}

/// A piece of a step's output.
#[derive(Clone, Debug)]
pub struct VertexLog {
    /// The vertex.
    pub vertex: VertexDigest,
    /// 1 standard output, 2 standard error.
    pub stream: i64,
    /// Raw bytes.
    pub data: Vec<u8>,
    /// When it was written.
    pub timestamp: Option<DaemonTime>,
}

/// A warning.
#[derive(Clone, Debug)]
pub struct VertexWarning {
    /// The vertex.
    pub vertex: VertexDigest,
    /// 1 is the most important.
    pub level: i64,
    /// One line.
    pub short: Vec<u8>,
    /// More lines.
    pub detail: Vec<Vec<u8>>,
    /// Where to read more.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_cannot_move_its_cursor_gets_lines_without_colours() {
        for (is_terminal, term, mode, color) in [
            (true, Some("xterm"), Mode::Tty, true),
            (true, None, Mode::Tty, true),
            (true, Some("dumb"), Mode::Plain, false),
            (false, Some("xterm"), Mode::Plain, false),
        ] {
            assert_eq!(Mode::auto(is_terminal, term), mode, "{term:?}");
            assert_eq!(Look::allows_color(is_terminal, None, term), color, "{term:?}");
        }
        assert!(!Look::allows_color(true, Some("1"), None));
    }
}
