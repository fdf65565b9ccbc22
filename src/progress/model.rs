//! Status updates → steps, and questions about them. Pure: time is an argument.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::progress::failure::Failure;
use crate::progress::log::LogLine;
use crate::progress::step::{Step, StepState};
use crate::progress::{
    DaemonTime, LocalTime, ProgressGroup, StatusUpdate, Transfer, Vertex, VertexDigest,
};

/// All that is known of a build's progress.
///
/// A Status stream that was lost can be opened again; the daemon then says everything from the
/// start. Announce that with [`Model::restart_stream`]: nothing is shown twice.
#[derive(Debug, Default)]
pub struct Model {
    /// At most `VERTEXES_MAX`, groups counted as one.
    steps: Vec<Step>,
    by_digest: HashMap<VertexDigest, (StepId, usize)>,
    by_group: HashMap<String, StepId>,
    /// Steps that may be shown, in the order they came to be.
    shown: Vec<StepId>,
    transfers: Vec<AttachedTransfer>,
    clock: Option<ClockOffset>,
}

/// Position of a step in its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub(super) usize);

/// What one update brought.
#[derive(Debug, Default)]
pub struct Changes {
    /// Lines that ended, in order of arrival.
    pub lines: Vec<(StepId, LogLine)>,
    /// Steps that changed in any way.
    pub touched: BTreeSet<StepId>,
}

/// How many steps stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Known steps; groups that stay hidden are none.
    pub total: usize,
    /// Those that have completed, in whatever way.
    pub completed: usize,
    /// Those that had their result already.
    pub cached: usize,
    /// Those that are running.
    pub running: usize,
    /// Those that failed by themselves.
    pub failed: usize,
}

/// A transfer of ours and the step that shows it.
#[derive(Debug)]
struct AttachedTransfer {
    transfer: Transfer,
    /// The daemon's status for the same transfer.
    status_id: String,
    step: Option<StepId>,
}

/// Daemon time minus local time.
#[derive(Clone, Copy, Debug)]
enum ClockOffset {
    Ahead(Duration),
    Behind(Duration),
}

impl Model {
    /// A model that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the daemon's clock against ours.
    ///
    /// The daemon tells its time in the header `buildkit-current-timestamp` of the Status answer.
    /// Without it the first start of a vertex is taken to be now.
    pub fn set_daemon_clock(&mut self, daemon: DaemonTime, now: LocalTime) {
        self.clock = Some(match daemon.checked_sub(now) {
            Some(ahead) => ClockOffset::Ahead(ahead),
            None => ClockOffset::Behind(now - daemon),
        });
    }

    /// The daemon's time, as far as it is known.
    #[must_use]
    pub fn daemon_now(&self, now: LocalTime) -> DaemonTime {
        match self.clock {
            Some(ClockOffset::Ahead(offset)) => now + offset,
            Some(ClockOffset::Behind(offset)) => now.saturating_sub(offset),
            None => now,
        }
    }

    /// The next update is the first one of a new Status stream of the same build.
    pub fn restart_stream(&mut self) {
        self.steps.iter_mut().for_each(Step::restart_stream);
    }

    /// Takes one message of the Status stream in.
    pub fn update(&mut self, update: &StatusUpdate, now: LocalTime) -> Changes {
        let mut changes = Changes::default();
        for vertex in &update.vertexes {
            self.announce(vertex, now, &mut changes);
        }
        for status in &update.statuses {
            let Some(&(id, _)) = self.by_digest.get(&status.vertex) else { continue };
            if self.steps[id.0].report(status).is_some() {
                changes.touch(id);
            }
        }
        self.attach_transfers();
        for warning in &update.warnings {
            let Some(&(id, _)) = self.by_digest.get(&warning.vertex) else { continue };
            if self.steps[id.0].warn(warning) {
                changes.touch(id);
            }
        }
        for log in &update.logs {
            let Some(&(id, member)) = self.by_digest.get(&log.vertex) else { continue };
            let mut lines = Vec::new();
            self.steps[id.0].write(member, log, now, &mut lines);
            changes.add_lines(id, lines);
        }
        changes
    }

    /// Takes our side of a transfer in.
    pub fn transfer(&mut self, transfer: Transfer) -> Changes {
        let is_full = self.transfers.len() == TRANSFERS_MAX;
        let known = self.transfers.iter_mut().find(|known| known.transfer.name == transfer.name);
        match known {
            Some(known) => known.transfer = transfer,
            None if is_full => {}
            None => {
                let status_id = format!("transferring {}:", transfer.name);
                self.transfers.push(AttachedTransfer { transfer, status_id, step: None });
            }
        }
        let mut changes = Changes::default();
        for attached in &self.transfers {
            let Some(id) = attached.step else { continue };
            self.steps[id.0].attach(&attached.status_id, &attached.transfer);
            changes.touch(id);
        }
        self.attach_transfers();
        changes
    }

    /// Ends all begun lines: nothing more will come.
    pub fn finish(&mut self) -> Changes {
        let mut changes = Changes::default();
        for (index, step) in self.steps.iter_mut().enumerate() {
            let mut lines = Vec::new();
            step.finish_lines(|_| true, &mut lines);
            changes.add_lines(StepId(index), lines);
        }
        changes
    }

    /// The step with this id.
    #[must_use]
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.0]
    }

    /// The step a vertex belongs to.
    #[must_use]
    pub fn step_of(&self, vertex: &VertexDigest) -> Option<StepId> {
        self.by_digest.get(vertex).map(|&(id, _)| id)
    }

    /// Steps that may be shown, in the order they started.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = (StepId, &Step)> {
        self.shown.iter().map(|&id| (id, &self.steps[id.0]))
    }

    /// Transfers of ours that the daemon has not begun to report.
    pub fn unreported_transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.iter().filter(|known| known.step.is_none()).map(|known| &known.transfer)
    }

    /// Our side of every transfer, for the summary.
    pub fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.iter().map(|known| &known.transfer)
    }

    /// Counts over all steps, what the daemon does of its own included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::over(self.steps.iter())
    }

    /// Counts over the steps of the build alone: no exports, no context loads.
    #[must_use]
    pub fn build_totals(&self) -> Totals {
        Totals::over(self.steps.iter().filter(|step| !step.is_internal()))
    }

    /// A report of each step that failed by itself, in the order they started.
    #[must_use]
    pub fn failures(&self, now: LocalTime) -> Vec<Failure> {
        let failed = self.shown().filter(|(_, step)| step.state() == StepState::Failed);
        failed.map(|(_, step)| Failure::of(step, self.daemon_now(now))).collect()
    }

    fn announce(&mut self, vertex: &Vertex, now: LocalTime, changes: &mut Changes) {
        if let (None, Some(started)) = (self.clock, vertex.started) {
            self.set_daemon_clock(started, now);
        }
        let Some((id, member)) = self.locate(vertex) else { return };
        let mut lines = Vec::new();
        let step = &mut self.steps[id.0];
        let was_shown = step.is_shown();
        step.announce(member, vertex, &mut lines);
        if !was_shown && step.is_shown() {
            self.shown.push(id);
        }
        changes.add_lines(id, lines);
        changes.touch(id);
    }

    /// The step and member of a vertex, made if it is new and there is room.
    fn locate(&mut self, vertex: &Vertex) -> Option<(StepId, usize)> {
        if let Some(&place) = self.by_digest.get(&vertex.digest) {
            return Some(place);
        }
        if self.by_digest.len() == VERTEXES_MAX {
            return None;
        }
        let id = match &vertex.group {
            Some(group) => self.locate_group(group),
            None => self.add(Step::vertex()),
        };
        let is_weak = vertex.group.as_ref().is_some_and(|group| group.weak);
        let member = self.steps[id.0].add_member(is_weak);
        self.by_digest.insert(vertex.digest.clone(), (id, member));
        Some((id, member))
    }

    fn locate_group(&mut self, group: &ProgressGroup) -> StepId {
        if let Some(&id) = self.by_group.get(&group.id) {
            return id;
        }
        let id = self.add(Step::group(&group.name));
        self.by_group.insert(group.id.clone(), id);
        id
    }

    fn add(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        StepId(self.steps.len() - 1)
    }

    /// Joins transfers of ours to the daemon's status of the same transfer, so that one line shows.
    fn attach_transfers(&mut self) {
        for waiting in self.transfers.iter_mut().filter(|known| known.step.is_none()) {
            let found = self
                .steps
                .iter_mut()
                .position(|step| step.attach(&waiting.status_id, &waiting.transfer));
            waiting.step = found.map(StepId);
        }
    }
}

impl Changes {
    fn touch(&mut self, id: StepId) {
        self.touched.insert(id);
    }

    fn add_lines(&mut self, id: StepId, lines: Vec<LogLine>) {
        if !lines.is_empty() {
            self.touch(id);
            self.lines.extend(lines.into_iter().map(|line| (id, line)));
        }
    }
}

impl Totals {
    fn over<'step>(steps: impl Iterator<Item = &'step Step>) -> Self {
        let mut totals = Self::default();
        for step in steps.filter(|step| step.is_shown() || step.state() == StepState::Waiting) {
            totals.total += 1;
            match step.state() {
                StepState::Waiting => continue,
                StepState::Running => {
                    totals.running += 1;
                    continue;
                }
                StepState::Cached => totals.cached += 1,
                StepState::Failed => totals.failed += 1,
                StepState::Done | StepState::Canceled => {}
            }
            totals.completed += 1;
        }
        totals
    }
}

/// BuildKit has no limit of its own; a graph of this size does not come from a spec.
const VERTEXES_MAX: usize = 100_000;
const TRANSFERS_MAX: usize = 16;
