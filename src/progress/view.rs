//! What a terminal shows at one moment: model, size and time → rows. Pure.
//!
//! A header, then the steps in the order they started. Running steps have their open sub-tasks and
//! last log lines below them. What is finished stays in sight as long as there is room and then
//! leaves for good, into the terminal's history.

use std::collections::HashMap;

use crate::progress::format::timer;
use crate::progress::model::{Model, StepId, Totals};
use crate::progress::step::{Status, Step, StepState};
use crate::progress::style::Style;
use crate::progress::{DaemonTime, LocalTime, TerminalSize};
use crate::terminal_text::{columns, fit, without_color};

/// One row and the columns it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) columns: usize,
}

/// What to show now: rows that leave for good, and below them rows that will be drawn again.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) leaving: Vec<Row>,
    pub(super) live: Vec<Row>,
}

/// Makes frames, and knows which steps have left.
pub(super) struct View {
    pub(super) style: Style,
    /// Columns a row may take: one less than the terminal has, so that no row ever wraps.
    columns: usize,
    rows: usize,
    title: String,
    /// The completion each step left with; a vertex may start again after it.
    left: HashMap<StepId, DaemonTime>,
}

/// A running step, and how many rows it gets for what.
struct Running<'model> {
    id: StepId,
    step: &'model Step,
    statuses: Vec<&'model Status>,
    log_rows: usize,
}

impl View {
    pub(super) fn new(style: Style, size: TerminalSize, title: String) -> Self {
        let mut view = Self { style, columns: 0, rows: 0, title, left: HashMap::new() };
        view.resize(size);
        view
    }

    pub(super) fn resize(&mut self, size: TerminalSize) {
        let known = |length: u16, default| if length == 0 { default } else { usize::from(length) };
        self.columns = known(size.width, DEFAULT_WIDTH) - 1;
        // The cursor stands below the last row.
        self.rows = known(size.height, DEFAULT_HEIGHT) - 1;
    }

    /// The frame while the build runs.
    pub(super) fn frame(&mut self, model: &Model, begun: LocalTime, now: LocalTime) -> Frame {
        let mut frame = Frame::default();
        let daemon_now = model.daemon_now(now);
        frame.live.push(self.header(model.totals(), begun, now, ""));
        for transfer in model.unreported_transfers().filter(|transfer| !transfer.done) {
            let status = Status::of_transfer(transfer);
            frame.live.push(self.titled(" => ", &status.id, &status.amount(), ""));
        }
        frame.live.truncate(self.rows);
        let budget = self.rows - frame.live.len();
        let (running, room) = self.plan_running(model, budget);
        let staying = self.plan_finished(model, room, &mut frame.leaving, daemon_now);
        let hidden = model.totals().running.saturating_sub(running.len());
        for (id, step) in model.shown() {
            if let Some(running) = running.iter().find(|running| running.id == id) {
                self.running_rows(running, daemon_now, &mut frame.live);
            } else if staying.contains(&id) {
                self.finished_rows(step, &mut frame.live);
            }
        }
        if hidden > 0 && frame.live.len() < self.rows {
            frame.live.push(self.titled(" => ", &format!("… and {hidden} more running"), "", ""));
        }
        frame
    }

    /// The last frame: all that has not left, and how it ended.
    pub(super) fn last_frame(
        &mut self,
        model: &Model,
        begun: LocalTime,
        now: LocalTime,
        ending: &str,
    ) -> Frame {
        let mut rows = vec![self.header(model.totals(), begun, now, ending)];
        for (id, step) in model.shown() {
            match step.completed_at() {
                Some(completed) if self.left.get(&id) == Some(&completed) => {}
                Some(_) => self.finished_rows(step, &mut rows),
                None => rows.push(self.step_row(step, model.daemon_now(now))),
            }
        }
        Frame { leaving: rows, live: Vec::new() }
    }

    /// Gives rows to running steps, then to their sub-tasks, then to their logs; and says what is left.
    fn plan_running<'model>(
        &self,
        model: &'model Model,
        budget: usize,
    ) -> (Vec<Running<'model>>, usize) {
        let all = model.shown().filter(|(_, step)| step.state() == StepState::Running);
        let mut running: Vec<Running<'_>> =
            all.map(|(id, step)| Running { id, step, statuses: Vec::new(), log_rows: 0 }).collect();
        if running.len() > budget {
            // One row says how many more there are.
            running.truncate(budget.saturating_sub(1));
            return (running, 0);
        }
        let mut room = budget - running.len();
        for step in &mut running {
            let open = step.step.statuses().map(|(_, status)| status);
            let open = open.filter(|status| !status.is_done());
            step.statuses = open.take(room.min(STATUS_ROWS_MAX)).collect();
            room -= step.statuses.len();
        }
        // Fairly, row by row: no flood takes the rows of a step that says little.
        for rows in 1..=LOG_ROWS_MAX {
            for step in running.iter_mut().filter(|step| log_length(step.step) >= rows) {
                if room > 0 {
                    step.log_rows = rows;
                    room -= 1;
                }
            }
        }
        (running, room)
    }

    /// Which finished steps stay in sight; the others leave, first completed first.
    fn plan_finished(
        &mut self,
        model: &Model,
        mut room: usize,
        leaving: &mut Vec<Row>,
        daemon_now: DaemonTime,
    ) -> Vec<StepId> {
        let present = model.shown().filter_map(|(id, step)| {
            let completed = step.completed_at()?;
            (self.left.get(&id) != Some(&completed)).then_some((completed, id, step))
        });
        let mut present: Vec<(DaemonTime, StepId, &Step)> = present.collect();
        present.sort_by_key(|&(completed, id, _)| (completed, id));
        let mut staying = Vec::new();
        let mut leaves = 0;
        for (index, (_, id, step)) in present.iter().enumerate().rev() {
            let rows = 1 + step.warnings().len();
            if rows > room {
                leaves = index + 1;
                break;
            }
            room -= rows;
            staying.push(*id);
        }
        for (completed, id, step) in &present[..leaves] {
            // A vertex that completed this moment may start again: it gives up its row only.
            if daemon_now.saturating_sub(*completed) >= SETTLED_AFTER {
                self.finished_rows(step, leaving);
                self.left.insert(*id, *completed);
            }
        }
        staying
    }

    fn header(&self, totals: Totals, begun: LocalTime, now: LocalTime, ending: &str) -> Row {
        let Totals { completed, total, .. } = totals;
        let elapsed = timer(now.saturating_sub(begun));
        let text = format!("[+] Building {elapsed} ({completed}/{total}) {ending}");
        let text = fit(text.trim_end(), self.columns);
        let (text_columns, title_columns) = (columns(&text), columns(&self.title));
        let row = self.style.bold(&text);
        if self.title.is_empty() || text_columns + title_columns + TITLE_GAP > self.columns {
            return Row { text: row, columns: text_columns };
        }
        let gap = " ".repeat(self.columns - text_columns - title_columns);
        let text = format!("{row}{gap}{}", self.style.faint(&self.title));
        Row { text, columns: self.columns }
    }

    fn running_rows(&self, running: &Running<'_>, daemon_now: DaemonTime, rows: &mut Vec<Row>) {
        rows.push(self.step_row(running.step, daemon_now));
        for status in &running.statuses {
            let elapsed = timer(status.elapsed(daemon_now));
            let id = shorten_digests(&status.id);
            rows.push(self.titled(" => => ", &id, &status.amount(), &elapsed));
        }
        for line in last_log_lines(running.step, running.log_rows) {
            let row = self.titled(" => => # ", &without_color(&line), "", "");
            rows.push(Row { text: self.style.faint(&row.text), ..row });
        }
    }

    fn finished_rows(&self, step: &Step, rows: &mut Vec<Row>) {
        rows.push(self.step_row(step, step.completed_at().unwrap_or_default()));
        for warning in step.warnings() {
            let row = self.titled(" => => ", &format!("WARN: {}", warning.short), "", "");
            rows.push(Row { text: self.style.warning(&row.text), ..row });
        }
    }

    fn step_row(&self, step: &Step, daemon_now: DaemonTime) -> Row {
        let mark = match step.state() {
            StepState::Cached => "CACHED ",
            StepState::Failed => "ERROR ",
            StepState::Canceled => "CANCELED ",
            StepState::Waiting | StepState::Running | StepState::Done => "",
        };
        let title = format!("{mark}{}", shorten_digests(step.name()));
        let row = self.titled(" => ", &title, "", &timer(step.elapsed(daemon_now)));
        let text = match step.state() {
            StepState::Waiting | StepState::Running => row.text,
            StepState::Done | StepState::Cached => self.style.done(&row.text),
            StepState::Failed => self.style.error(&row.text),
            StepState::Canceled => self.style.warning(&row.text),
        };
        Row { text, columns: row.columns }
    }

    /// `prefix title amount … timer`: the title gives way first, then the timer, then the amount.
    fn titled(&self, prefix: &str, title: &str, amount: &str, timer: &str) -> Row {
        let mut tail = if timer.is_empty() { String::new() } else { format!(" {timer}") };
        let mut amount = if amount.is_empty() { String::new() } else { format!(" {amount}") };
        let taken = columns(prefix);
        if taken + TITLE_COLUMNS_MIN + columns(&amount) + columns(&tail) > self.columns {
            tail.clear();
        }
        if taken + TITLE_COLUMNS_MIN + columns(&amount) > self.columns {
            amount.clear();
        }
        let room = self.columns.saturating_sub(taken + columns(&amount) + columns(&tail));
        let title = fit(title, room);
        let text = fit(&format!("{prefix}{title}{amount}"), self.columns);
        if tail.is_empty() {
            let columns = columns(&text);
            return Row { text, columns };
        }
        let gap = " ".repeat(self.columns - columns(&text) - columns(&tail));
        Row { text: format!("{text}{gap}{tail}"), columns: self.columns }
    }
}

fn log_length(step: &Step) -> usize {
    step.tail().len() + step.partial_lines().count()
}

/// The last lines of output, begun ones included.
fn last_log_lines(step: &Step, rows: usize) -> Vec<String> {
    let partial: Vec<String> =
        step.partial_lines().map(|part| part.line.text.to_string()).collect();
    let whole = step.tail().len().saturating_sub(rows.saturating_sub(partial.len()));
    let lines = step.tail().skip(whole).map(|line| line.text.to_string());
    let lines: Vec<String> = lines.chain(partial).collect();
    lines[lines.len().saturating_sub(rows)..].to_vec()
}

/// Cuts each `sha256:…` to as much as tells images apart.
fn shorten_digests(text: &str) -> String {
    let mut parts = text.split(ALGORITHM);
    let mut short: String = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short.push_str(ALGORITHM);
        let hex = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        if hex < DIGEST_HEX {
            short.push_str(part);
        } else {
            short.push_str(&part[..SHORT_HEX]);
            short.push_str(&part[hex..]);
        }
    }
    short
}

const ALGORITHM: &str = "sha256:";
const DIGEST_HEX: usize = 64;
const SHORT_HEX: usize = 12;
const DEFAULT_WIDTH: usize = 80;
const DEFAULT_HEIGHT: usize = 24;
const LOG_ROWS_MAX: usize = 6;
const STATUS_ROWS_MAX: usize = 8;
const TITLE_COLUMNS_MIN: usize = 12;
const TITLE_GAP: usize = 3;
/// The solver completes a vertex and starts it again within milliseconds.
const SETTLED_AFTER: std::time::Duration = std::time::Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_cut_and_nothing_else_is() {
        let digest = "a1".repeat(32);
        let cases = [
            (format!("FROM debian@sha256:{digest}"), "FROM debian@sha256:a1a1a1a1a1a1".to_owned()),
            (format!("sha256:{digest} and more"), "sha256:a1a1a1a1a1a1 and more".to_owned()),
            ("sha256:short".to_owned(), "sha256:short".to_owned()),
            ("no digest".to_owned(), "no digest".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(shorten_digests(&text), expected);
        }
    }
}
