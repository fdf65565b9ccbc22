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
    /// Bytes of the daemon's text that the steps keep; at most `KEPT_BYTES_MAX` and one step's share more.
    kept_bytes: usize,
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
            let is_full = self.kept_bytes >= KEPT_BYTES_MAX;
            if self.change(id, |step| step.report(status, is_full).is_some()) {
                changes.touch(id);
            }
        }
        self.attach_transfers();
        for warning in &update.warnings {
            let Some(&(id, _)) = self.by_digest.get(&warning.vertex) else { continue };
            if self.kept_bytes < KEPT_BYTES_MAX && self.change(id, |step| step.warn(warning)) {
                changes.touch(id);
            }
        }
        for log in &update.logs {
            let Some(&(id, member)) = self.by_digest.get(&log.vertex) else { continue };
            let mut lines = Vec::new();
            let is_full = self.kept_bytes >= KEPT_BYTES_MAX;
            self.change(id, |step| {
                step.write(member, log, now, &mut lines);
                if is_full {
                    step.finish_lines(|_| true, &mut lines);
                    step.forget_output();
                }
            });
            changes.add_lines(id, lines);
        }
        changes
    }

    /// Changes a step and counts what it keeps.
    fn change<T>(&mut self, id: StepId, change: impl FnOnce(&mut Step) -> T) -> T {
        let step = &mut self.steps[id.0];
        self.kept_bytes -= step.kept_bytes();
        let result = change(step);
        self.kept_bytes += step.kept_bytes();
        result
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

    /// Ends all begun lines, and after a build that went well all begun steps: nothing more will come.
    pub fn finish(&mut self, has_succeeded: bool) -> Changes {
        let mut changes = Changes::default();
        for id in (0..self.steps.len()).map(StepId) {
            let mut lines = Vec::new();
            self.change(id, |step| step.finish_lines(|_| true, &mut lines));
            changes.add_lines(id, lines);
            if has_succeeded && self.steps[id.0].settle() {
                changes.touch(id);
            }
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
    #[cfg(test)]
    pub(super) fn build_totals(&self) -> Totals {
        Totals::over(self.steps.iter().filter(|step| !step.is_internal()))
    }

    /// How many warnings the daemon gave.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.steps.iter().map(|step| step.warnings().len()).sum()
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
        let is_full = self.kept_bytes >= KEPT_BYTES_MAX;
        let is_new = self.change(id, |step| {
            let was_shown = step.is_shown();
            step.announce(member, vertex, is_full, &mut lines);
            !was_shown && step.is_shown()
        });
        if is_new {
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
        if self.by_digest.len() == VERTEXES_MAX || self.kept_bytes >= KEPT_BYTES_MAX {
            return None;
        }
        let id = match &vertex.group {
            Some(group) => self.locate_group(group),
            None => self.add(Step::vertex()),
        };
        let is_weak = vertex.group.as_ref().is_some_and(|group| group.weak);
        let member = self.steps[id.0].add_member(is_weak)?;
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
const VERTEXES_MAX: usize = 20_000;
/// When so much of the daemon's text is kept, no further step, sub-task or warning is; output is shown and forgotten.
const KEPT_BYTES_MAX: usize = 12 << 20;
const TRANSFERS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::fixture::{Action, Sequence};

    /// Takes each status of a sequence in and gives the model after each.
    fn after_each(text: &str, mut look: impl FnMut(&Model)) -> Model {
        let mut model = Model::new();
        for (now, action) in Sequence::parse(text).actions {
            match action {
                Action::Status(update) => drop(model.update(&update, now)),
                Action::Transfer(transfer) => drop(model.transfer(transfer)),
                _ => {}
            }
            look(&model);
        }
        model
    }

    fn state(model: &Model, vertex: &str) -> StepState {
        let digest = VertexDigest(format!("sha256:{vertex}"));
        model.step(model.step_of(&digest).unwrap()).state()
    }

    #[test]
    fn a_step_lives_as_its_vertex_does() {
        let mut seen = Vec::new();
        let model = after_each(
            "0 vertex a A\n0 start a\n1 done a\n2 start a\n4 cached a\n5 error a oops\n6 canceled a",
            |model| seen.push(state(model, "a")),
        );
        use StepState::{Cached, Canceled, Done, Failed, Running, Waiting};
        assert_eq!(seen, [Waiting, Running, Done, Running, Cached, Failed, Canceled]);
        // One second, a pause of one, then four more to the last completion.
        let elapsed = model.step(StepId(0)).elapsed(DaemonTime::ZERO);
        assert_eq!(elapsed, Duration::from_secs(5));
    }

    #[test]
    fn a_replay_never_shows_an_older_state_again() {
        let text = "0 vertex a A\n0 start a\n0.5 status a s 5 10\n1 done a\n2 start a\n3 cached a";
        let updates = Sequence::parse(text).actions;
        let mut model = after_each(text, |_| {});
        let before = model.totals();
        model.restart_stream();
        for (_, action) in &updates {
            let Action::Status(update) = action else { continue };
            model.update(update, Duration::from_secs(9));
            assert_eq!((state(&model, "a"), model.totals()), (StepState::Cached, before));
            assert_eq!(model.step(StepId(0)).elapsed(DaemonTime::ZERO), Duration::from_secs(2));
        }
    }

    #[test]
    fn a_step_whose_end_the_daemon_did_not_tell_is_cached_when_the_build_went_well() {
        for (has_succeeded, expected) in [(true, StepState::Cached), (false, StepState::Running)] {
            let mut model = Model::new();
            let digest = VertexDigest("sha256:a".to_owned());
            let vertex = Vertex {
                digest: digest.clone(),
                inputs: Vec::new(),
                name: "a".to_owned(),
                cached: false,
                started: Some(Duration::from_secs(9)),
                completed: None,
                error: String::new(),
                group: None,
            };
            let update = StatusUpdate { vertexes: vec![vertex], ..StatusUpdate::default() };
            drop(model.update(&update, Duration::ZERO));
            drop(model.finish(has_succeeded));
            let id = model.step_of(&digest).unwrap();
            assert_eq!(model.step(id).state(), expected);
        }
    }

    #[test]
    fn totals_leave_hidden_groups_out_and_build_totals_what_the_daemon_adds() {
        let model = after_each(
            "0 vertex c \"[internal] load context\"\n0 vertex a A\n0 vertex b B\n\
             0 vertex h H weakly-in g G\n0 start h\n1 cached h\n0 start c\n1 done c\n1 start a\n2 cached a",
            |_| {},
        );
        let all = Totals { total: 3, completed: 2, cached: 1, ..Totals::default() };
        assert_eq!(model.totals(), all);
        let of_build = Totals { total: 2, completed: 1, cached: 1, ..Totals::default() };
        assert_eq!(model.build_totals(), of_build);
    }

    #[test]
    fn the_clocks_are_joined_by_the_header_or_the_first_start() {
        let at = Duration::from_secs;
        let mut model = Model::new();
        model.set_daemon_clock(at(1000), at(3));
        assert_eq!(model.daemon_now(at(5)), at(1002));
        model.set_daemon_clock(at(1), at(3));
        assert_eq!((model.daemon_now(at(5)), model.daemon_now(at(1))), (at(3), at(0)));
        let guessed = after_each("7 vertex a A\n8 start a", |_| {});
        assert_eq!(guessed.daemon_now(at(9)), at(1_700_000_009));
    }

    #[test]
    fn a_transfer_joins_the_daemons_status_of_the_same_name() {
        let text = "0 transfer context 5 1 900\n0 vertex a A\n0 start a\n\
                    1 status a \"transferring context:\" 100 0\n2 transfer context 5 1 1000 done";
        let mut unreported = Vec::new();
        let model = after_each(text, |model| unreported.push(model.unreported_transfers().count()));
        assert_eq!(unreported, [1, 1, 1, 0, 0]);
        let (_, status) = model.step(StepId(0)).statuses().next().unwrap();
        assert_eq!((status.amount(), status.is_done()), ("5 entries, 1.0kB".to_owned(), true));
    }

    #[test]
    fn a_graph_beyond_the_limit_is_not_remembered() {
        let mut sequence = Sequence::parse("0 vertex a A");
        let Some((now, Action::Status(mut update))) = sequence.actions.pop() else { panic!() };
        let vertex = update.vertexes[0].clone();
        update.vertexes = (0..VERTEXES_MAX + 10)
            .map(|number| Vertex { digest: VertexDigest(number.to_string()), ..vertex.clone() })
            .collect();
        let mut model = Model::new();
        model.update(&update, now);
        assert_eq!(model.totals().total, VERTEXES_MAX);
    }

    #[test]
    fn only_steps_that_failed_by_themselves_are_reported() {
        let model = after_each(
            "0 vertex a A\n0 vertex b B\n0 start a\n0 start b\n1 out b last\n2 error b broken\n2 canceled a",
            |_| {},
        );
        let failures = model.failures(Duration::from_secs(2));
        let [failure] = &failures[..] else { panic!("{failures:?}") };
        assert_eq!((&*failure.name, &*failure.error, failure.exit_code), ("B", "broken", None));
        assert_eq!(failure.tail.iter().map(|line| &*line.text).collect::<Vec<_>>(), ["last"]);
    }
}
