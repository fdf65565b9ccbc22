//! A view that is redrawn in place: one write per frame, and only of rows that changed.
//!
//! Within a frame the cursor is hidden and lines do not wrap, and the frame itself undoes both, so
//! that a build that is killed leaves the terminal as it was. Terminals that know mode 2026 show a
//! frame at once.

use std::fmt::Write as _;
use std::time::Duration;

use crate::progress::model::{Changes, Model};
use crate::progress::output::Output;
use crate::progress::style::Style;
use crate::progress::summary::closing;
use crate::progress::view::{Frame, Row, View};
use crate::progress::{Display, LocalTime, Look, Outcome, TerminalSize};
use crate::terminal_text::{clean, clean_name, without_color};

/// Redraws the end of the terminal.
pub(super) struct TtyDisplay {
    out: Output,
    look: Look,
    view: View,
    begun: LocalTime,
    drawn_at: Option<LocalTime>,
    /// The rows that stand above the cursor, as written.
    drawn: Vec<Row>,
    /// The rows above the cursor are not where `drawn` says: all are written anew.
    is_torn: bool,
}

impl TtyDisplay {
    pub(super) fn new(out: Output, look: Look, now: LocalTime) -> Self {
        let view = View::new(Style { color: look.color }, look.size, clean_name(&look.title));
        Self { out, look, view, begun: now, drawn_at: None, drawn: Vec::new(), is_torn: false }
    }
}

impl Display for TtyDisplay {
    fn update(&mut self, model: &Model, _changes: &Changes, now: LocalTime) {
        let is_due = self.drawn_at.is_none_or(|at| now.saturating_sub(at) >= FRAME_MIN);
        if is_due {
            self.tick(model, now);
        }
    }

    fn tick(&mut self, model: &Model, now: LocalTime) {
        self.drawn_at = Some(now);
        let frame = self.view.frame(model, self.begun, now);
        self.draw(&frame);
    }

    /// Written where the view began; the view moves below it.
    fn note(&mut self, text: &str) {
        let mut bytes = BEGIN_FRAME.to_owned();
        self.climb(&mut bytes, self.drawn.len());
        bytes.push_str(ERASE_BELOW);
        // Notes may be longer than a row and are read whole.
        bytes.push_str(WRAP);
        for line in text.lines() {
            let line = clean(line.as_bytes());
            let line = if self.look.color { line.into() } else { without_color(&line) };
            bytes.push_str(&line);
            bytes.push_str(if line.contains('\x1b') { "\x1b[0m\r\n" } else { "\r\n" });
        }
        bytes.push_str(NO_WRAP);
        for row in &self.drawn {
            bytes.push_str(&row.text);
            bytes.push_str("\r\n");
        }
        bytes.push_str(END_FRAME);
        self.out.text(&bytes);
        self.out.flush();
    }

    fn resize(&mut self, size: TerminalSize) {
        if size == self.look.size {
            return;
        }
        // Most terminals break rows that have become too long for them: climb over all pieces.
        if let Some(width) = std::num::NonZeroUsize::new(usize::from(size.width)) {
            let pieces = self.drawn.iter().map(|row| row.columns.div_ceil(width.get()).max(1));
            let pieces: usize = pieces.sum();
            let empty = Row { text: String::new(), columns: 0 };
            self.drawn.resize(pieces, empty);
        }
        if size.height > 0 {
            self.drawn.truncate(usize::from(size.height) - 1);
        }
        self.is_torn = true;
        self.look.size = size;
        self.view.resize(size);
    }

    fn finish(&mut self, model: &Model, outcome: &Outcome, now: LocalTime) {
        let ending = match outcome {
            Outcome::Succeeded(_) => "FINISHED",
            Outcome::Failed(_) => "FAILED",
            Outcome::Interrupted => "INTERRUPTED",
        };
        let frame = self.view.last_frame(model, self.begun, now, ending);
        self.draw(&frame);
        let closing = closing(outcome, &self.look);
        if !closing.is_empty() {
            self.out.text("\r\n");
            self.out.text(&closing.replace('\n', "\r\n"));
            self.out.flush();
        }
    }

    fn tick_interval(&self) -> Option<Duration> {
        Some(TICK)
    }
}

impl TtyDisplay {
    fn draw(&mut self, frame: &Frame) {
        if frame.leaving.is_empty() && frame.live == self.drawn && !self.is_torn {
            return;
        }
        let mut bytes = BEGIN_FRAME.to_owned();
        self.climb(&mut bytes, self.drawn.len());
        if self.is_torn {
            bytes.push_str(ERASE_BELOW);
            self.drawn.clear();
        }
        for (index, row) in frame.leaving.iter().chain(&frame.live).enumerate() {
            if self.drawn.get(index) != Some(row) {
                bytes.push_str(&row.text);
                bytes.push_str(ERASE_RIGHT);
            }
            bytes.push_str("\r\n");
        }
        bytes.push_str(ERASE_BELOW);
        bytes.push_str(END_FRAME);
        self.out.text(&bytes);
        self.out.flush();
        self.drawn.clone_from(&frame.live);
        self.is_torn = false;
    }

    fn climb(&self, bytes: &mut String, rows: usize) {
        bytes.push('\r');
        if rows > 0 {
            // Writing to a string does not fail.
            let _ = write!(bytes, "\x1b[{rows}A");
        }
    }
}

/// Begin of a synchronized update, hidden cursor, no wrap; for terminals that do not know them nothing.
const BEGIN_FRAME: &str = "\x1b[?2026h\x1b[?25l\x1b[?7l";
const END_FRAME: &str = "\x1b[?7h\x1b[?25h\x1b[?2026l";
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
const ERASE_RIGHT: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";
const TICK: Duration = Duration::from_millis(100);
const FRAME_MIN: Duration = Duration::from_millis(50);
