//! Lines one after the other, for logs: the look CI users know from BuildKit.
//!
//! One step at a time has the page; its lines appear as they come. Others wait their turn, so that
//! parallel steps do not tear each other apart: until the page's owner completes, is silent for
//! `QUIET_AFTER`, or they have waited `WAIT_MAX` or hold `HELD_BYTES_MAX`. Nothing is dropped.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::progress::format::{log_time, timer};
use crate::progress::log::{LogLine, LogSource};
use crate::progress::model::{Changes, Model, StepId};
use crate::progress::output::Output;
use crate::progress::step::{Status, Step, StepState};
use crate::progress::summary::closing;
use crate::progress::{DaemonTime, Display, LocalTime, Look, Outcome};
use crate::terminal_text::{clean, clean_name, without_color};

/// Writes lines and never moves the cursor.
pub(super) struct PlainDisplay {
    out: Output,
    look: Look,
    /// By step; made at its first change.
    entries: HashMap<StepId, Entry>,
    /// Who has the page.
    owner: Option<StepId>,
    /// When statuses, completions and waiting steps were last looked at.
    turns_taken: LocalTime,
    /// When the owner last wrote.
    owner_spoke: LocalTime,
    next_number: u32,
    is_page_empty: bool,
    /// The line without end that stands on the page.
    open_line: Option<OpenLine>,
    /// Transfers that the daemon does not report: when first seen, bytes and time last printed.
    unreported: HashMap<String, (LocalTime, Option<Printed>)>,
}

/// What was printed of a step and what waits.
#[derive(Default)]
struct Entry {
    number: Option<u32>,
    held: VecDeque<LogLine>,
    held_bytes: usize,
    /// Since when it has news and not the page.
    waiting_since: Option<LocalTime>,
    statuses: HashMap<usize, Printed>,
    warnings_printed: usize,
    /// The completion that was printed; a vertex may complete several times.
    completion_printed: Option<DaemonTime>,
}

/// A status as it was last printed.
#[derive(Clone, Copy)]
struct Printed {
    bytes: u64,
    at: LocalTime,
    is_done: bool,
}

/// A begun line of the owner that is on the page already.
struct OpenLine {
    source: LogSource,
    at: Duration,
    text: String,
    written: LocalTime,
}

impl PlainDisplay {
    pub(super) fn new(mut out: Output, look: Look, now: LocalTime) -> Self {
        let title = clean_name(&look.title);
        if !title.is_empty() {
            out.text(&format!("#0 {title}\n"));
            out.flush();
        }
        Self {
            out,
            entries: HashMap::new(),
            owner: None,
            turns_taken: now,
            owner_spoke: now,
            next_number: 1,
            is_page_empty: title.is_empty(),
            open_line: None,
            unreported: HashMap::new(),
            look,
        }
    }
}

impl Display for PlainDisplay {
    fn update(&mut self, model: &Model, changes: &Changes, now: LocalTime) {
        for (id, line) in &changes.lines {
            if self.owner == Some(*id) {
                self.log_line(*id, line);
                self.owner_spoke = now;
            } else {
                self.hold(*id, line, model, now);
            }
        }
        for id in &changes.touched {
            self.entries.entry(*id).or_default().waiting_since.get_or_insert(now);
        }
        // What begins and ends within a moment is not worth two lines.
        if now.saturating_sub(self.turns_taken) >= TICK {
            self.take_turns(model, now);
        }
        self.out.flush();
    }

    fn tick(&mut self, model: &Model, now: LocalTime) {
        self.take_turns(model, now);
        self.partial_line(model, now);
        self.unreported_transfers(model, now);
        self.out.flush();
    }

    fn note(&mut self, text: &str) {
        self.end_open_line();
        for line in text.lines() {
            let line = clean(line.as_bytes());
            let text = self.painted(&line);
            self.out.text(&text);
            self.out.text(line_end(&text));
        }
        self.out.flush();
    }

    fn finish(&mut self, model: &Model, outcome: &Outcome, now: LocalTime) {
        self.take_turns(model, now);
        for (id, step) in model.shown() {
            if self.has_news(id, step, now) {
                self.turn(id, model, now);
            }
        }
        self.end_open_line();
        let closing = closing(outcome, &self.look);
        if !closing.is_empty() {
            if !self.is_page_empty {
                self.out.text("\n");
            }
            self.out.text(&closing);
        }
        self.out.flush();
    }

    fn tick_interval(&self) -> Option<Duration> {
        Some(TICK)
    }
}

impl PlainDisplay {
    /// Prints what may be printed now and passes the page on when it is time.
    fn take_turns(&mut self, model: &Model, now: LocalTime) {
        self.turns_taken = now;
        if let Some(owner) = self.owner {
            self.say(owner, model.step(owner), model, now);
        }
        let waiting =
            self.entries.iter().filter_map(|(&id, entry)| Some((entry.waiting_since?, id)));
        let mut waiting: Vec<(LocalTime, StepId)> = waiting.collect();
        waiting.sort_unstable();
        // Who has completed will not disturb for long.
        let mut completed = waiting.clone();
        completed.retain(|&(_, id)| self.is_completion_due(id, model.step(id)));
        completed.sort_by_key(|&(_, id)| model.step(id).completed_at());
        for (_, id) in completed {
            self.turn(id, model, now);
        }
        for (since, id) in waiting {
            if self.owner.is_some() && !self.must_yield(since, now) {
                return;
            }
            let step = model.step(id);
            if self.has_news(id, step, now) {
                return self.turn(id, model, now);
            }
            // It may be hidden still, or have nothing to say but a status that moved too little.
            if step.is_shown()
                && let Some(entry) = self.entries.get_mut(&id)
            {
                entry.waiting_since = None;
            }
        }
    }

    fn turn(&mut self, id: StepId, model: &Model, now: LocalTime) {
        let step = model.step(id);
        self.give_page(id, step, now);
        self.say(id, step, model, now);
    }

    fn must_yield(&self, waiting_since: LocalTime, now: LocalTime) -> bool {
        now.saturating_sub(self.owner_spoke) >= QUIET_AFTER
            || now.saturating_sub(waiting_since) >= WAIT_MAX
    }

    /// Keeps a line until its step has the page; too many of them take it.
    fn hold(&mut self, id: StepId, line: &LogLine, model: &Model, now: LocalTime) {
        let entry = self.entries.entry(id).or_default();
        entry.held_bytes += line.text.len() + HELD_LINE_BYTES;
        entry.held.push_back(line.clone());
        if entry.held_bytes <= HELD_BYTES_MAX {
            return;
        }
        if model.step(id).is_shown() {
            return self.give_page(id, model.step(id), now);
        }
        // A group that is hidden may stay so: only then lines are let go.
        if let Some(oldest) = entry.held.pop_front() {
            entry.held_bytes -= oldest.text.len() + HELD_LINE_BYTES;
        }
    }

    /// Makes a step the owner and prints its name and what was held.
    fn give_page(&mut self, id: StepId, step: &Step, now: LocalTime) {
        if self.owner != Some(id) {
            self.end_open_line();
            if let Some(number) = self.owner.map(|old| self.number(old)) {
                self.out.text(&format!("#{number} ...\n"));
            }
            if !self.is_page_empty {
                self.out.text("\n");
            }
            self.is_page_empty = false;
            self.owner = Some(id);
            let number = self.number(id);
            self.out.text(&format!("#{number} {}\n", step.name()));
        }
        self.owner_spoke = now;
        let entry = self.entries.entry(id).or_default();
        entry.waiting_since = None;
        entry.held_bytes = 0;
        for line in std::mem::take(&mut entry.held) {
            self.log_line(id, &line);
        }
    }

    /// Prints the owner's statuses, warnings and completion as far as they are due.
    fn say(&mut self, id: StepId, step: &Step, model: &Model, now: LocalTime) {
        let number = self.number(id);
        let due = self.due_statuses(id, step, now);
        for (index, status) in due {
            let line = status_line(status, model.daemon_now(now));
            self.own_line(&format!("#{number} {line}\n"), now);
            let printed =
                Printed { bytes: status.bytes_done(), at: now, is_done: status.is_done() };
            self.entries.entry(id).or_default().statuses.insert(index, printed);
        }
        let entry = self.entries.entry(id).or_default();
        let known = std::mem::replace(&mut entry.warnings_printed, step.warnings().len());
        for warning in &step.warnings()[known..] {
            self.own_line(&format!("#{number} WARN: {}\n", warning.short), now);
            for more in
                warning.detail.iter().chain(Some(&warning.url)).filter(|line| !line.is_empty())
            {
                self.own_line(&format!("#{number}       {more}\n"), now);
            }
        }
        if self.is_completion_due(id, step) {
            self.own_line(&format!("#{number} {}\n", completion(step)), now);
            self.entries.entry(id).or_default().completion_printed = step.completed_at();
            self.owner = None;
        }
    }

    fn own_line(&mut self, line: &str, now: LocalTime) {
        self.end_open_line();
        self.out.text(line);
        self.owner_spoke = now;
    }

    /// Prints a line of the owner, or the rest of it if its begin is on the page.
    fn log_line(&mut self, id: StepId, line: &LogLine) {
        let text = self.painted(&line.text);
        if let Some(open) = self.open_line.take() {
            let is_same = open.source == line.source && open.at == line.at;
            if let Some(rest) = text.strip_prefix(&*open.text).filter(|_| is_same) {
                self.out.text(rest);
                return self.out.text(line_end(&text));
            }
            self.out.text("\n");
        }
        let number = self.number(id);
        self.out.text(&format!("#{number} {} {text}{}", log_time(line.at), line_end(&text)));
    }

    /// Shows a line that does not end, such as a prompt, dots or a progress bar.
    fn partial_line(&mut self, model: &Model, now: LocalTime) {
        let Some(owner) = self.owner else { return };
        let partial = model.step(owner).partial_lines().find(|partial| {
            let waited = now.saturating_sub(partial.since);
            waited >= PARTIAL_PATIENCE && !partial.line.text.is_empty()
        });
        let Some(line) = partial.map(|partial| partial.line) else { return };
        let text = self.painted(&line.text);
        if let Some(open) = &mut self.open_line {
            let is_same = open.source == line.source && open.at == line.at;
            if let Some(rest) = text.strip_prefix(&*open.text).filter(|_| is_same) {
                self.out.text(rest);
                open.text = text.into_owned();
                return;
            }
            // A progress bar began again: a new line for it, but not with every step of it.
            if now.saturating_sub(open.written) < STATUS_EVERY {
                return;
            }
            self.end_open_line();
        }
        let number = self.number(owner);
        self.out.text(&format!("#{number} {} {text}", log_time(line.at)));
        let (source, at, text) = (line.source, line.at, text.into_owned());
        self.open_line = Some(OpenLine { source, at, text, written: now });
    }

    fn end_open_line(&mut self) {
        if let Some(open) = self.open_line.take() {
            self.out.text(line_end(&open.text));
        }
    }

    /// Says what we send while the daemon says nothing of it.
    fn unreported_transfers(&mut self, model: &Model, now: LocalTime) {
        for transfer in model.unreported_transfers() {
            let (since, printed) =
                self.unreported.entry(transfer.name.clone()).or_insert((now, None));
            let status = Status::of_transfer(transfer);
            if now.saturating_sub(*since) < PARTIAL_PATIENCE || !is_due(&status, *printed, now) {
                continue;
            }
            *printed =
                Some(Printed { bytes: status.bytes_done(), at: now, is_done: status.is_done() });
            let line = status_line(&status, model.daemon_now(now));
            self.end_open_line();
            self.out.text(&format!("{line}\n"));
        }
    }

    fn has_news(&self, id: StepId, step: &Step, now: LocalTime) -> bool {
        let Some(entry) = self.entries.get(&id).filter(|_| step.is_shown()) else { return false };
        entry.number.is_none()
            || !entry.held.is_empty()
            || entry.warnings_printed < step.warnings().len()
            || self.is_completion_due(id, step)
            || !self.due_statuses(id, step, now).is_empty()
    }

    fn is_completion_due(&self, id: StepId, step: &Step) -> bool {
        let printed = self.entries.get(&id).and_then(|entry| entry.completion_printed);
        step.is_shown() && step.completed_at().is_some() && step.completed_at() != printed
    }

    fn due_statuses<'step>(
        &self,
        id: StepId,
        step: &'step Step,
        now: LocalTime,
    ) -> Vec<(usize, &'step Status)> {
        let entry = self.entries.get(&id);
        let printed = |index| entry.and_then(|entry| entry.statuses.get(&index)).copied();
        step.statuses().filter(|(index, status)| is_due(status, printed(*index), now)).collect()
    }

    fn number(&mut self, id: StepId) -> u32 {
        let next = &mut self.next_number;
        *self.entries.entry(id).or_default().number.get_or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }

    /// A log line as the writer may have it.
    fn painted<'text>(&self, cleaned: &'text str) -> Cow<'text, str> {
        if self.look.color { Cow::Borrowed(cleaned) } else { without_color(cleaned) }
    }
}

/// The end of a line, and of the colours it may have set.
fn line_end(text: &str) -> &'static str {
    if text.contains('\x1b') { "\x1b[0m\n" } else { "\n" }
}

/// Whether a status has moved enough: it is new, done, 5 % further or `STATUS_EVERY` older.
fn is_due(status: &Status, printed: Option<Printed>, now: LocalTime) -> bool {
    let Some(printed) = printed else { return true };
    if printed.is_done {
        return false;
    }
    let moved = status.bytes_done().abs_diff(printed.bytes);
    let total = status.bytes_total();
    let has_moved = total > 0 && moved >= total / STATUS_STEPS;
    status.is_done() || (moved > 0 && (has_moved || now.saturating_sub(printed.at) >= STATUS_EVERY))
}

/// `transferring context: 3.1kB 0.2s done`.
fn status_line(status: &Status, daemon_now: DaemonTime) -> String {
    let mut line = status.id.clone();
    let amount = status.amount();
    if !amount.is_empty() {
        line += &format!(" {amount}");
    }
    let elapsed = status.elapsed(daemon_now);
    if elapsed > ELAPSED_MIN {
        line += &format!(" {}", timer(elapsed));
    }
    if status.is_done() {
        line += " done";
    }
    line
}

fn completion(step: &Step) -> String {
    match step.state() {
        StepState::Cached => "CACHED".to_owned(),
        StepState::Canceled => "CANCELED".to_owned(),
        StepState::Failed => format!("ERROR: {}", clean_name(step.error().unwrap_or_default())),
        StepState::Done | StepState::Running | StepState::Waiting => {
            format!("DONE {}", timer(step.elapsed(step.completed_at().unwrap_or_default())))
        }
    }
}

const TICK: Duration = Duration::from_millis(100);
/// An owner silent for this long gives the page to who waits.
const QUIET_AFTER: Duration = Duration::from_secs(1);
/// Nobody waits longer for the page.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A line that has not ended is shown after this time.
const PARTIAL_PATIENCE: Duration = Duration::from_secs(1);
const STATUS_EVERY: Duration = Duration::from_secs(5);
const STATUS_STEPS: u64 = 20;
const ELAPSED_MIN: Duration = Duration::from_millis(10);
/// What one step may hold back, lines and their bookkeeping.
const HELD_BYTES_MAX: usize = 256 * 1024;
const HELD_LINE_BYTES: usize = size_of::<LogLine>();
