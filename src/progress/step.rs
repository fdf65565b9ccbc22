//! What is shown as one: a vertex, or the vertexes of a progress group.

use std::collections::HashMap;
use std::time::Duration;

use crate::progress::format::{bytes_tight, count};
use crate::progress::log::{LineAssembler, LogLine, LogSource, LogTail, PartialLine};
use crate::progress::{
    DaemonTime, LocalTime, Transfer, Vertex, VertexLog, VertexStatus, VertexWarning,
};
use crate::terminal_text::clean_name;

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Announced, not started.
    Waiting,
    /// Started and not completed.
    Running,
    /// Completed with work done.
    Done,
    /// Completed without work: the result was there.
    Cached,
    /// Completed with an error of its own.
    Failed,
    /// Ended because the build was.
    Canceled,
}

/// A time from start to completion; open while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// Begin.
    pub start: DaemonTime,
    /// End, `None` while it runs.
    pub end: Option<DaemonTime>,
}

/// One line of a display and what belongs to it.
#[derive(Debug)]
pub struct Step {
    name: String,
    /// A single non-weak one unless this is a group.
    members: Vec<Member>,
    is_group: bool,
    /// Union of the members' intervals, ordered and disjoint.
    intervals: Vec<Interval>,
    statuses: Vec<Status>,
    status_by_id: HashMap<String, usize>,
    warnings: Vec<Warning>,
    tail: LogTail,
    assemblers: Vec<(usize, LineAssembler)>,
    /// Bytes of names, statuses and warnings that are kept.
    text_bytes: usize,
}

/// A sub-task of a step, such as one layer's download.
#[derive(Clone, Debug)]
pub struct Status {
    /// Display text.
    pub id: String,
    /// Bytes done.
    pub current: u64,
    /// Bytes in all, 0 when unknown.
    pub total: u64,
    /// Begin; one that has not begun is not shown.
    pub started: Option<DaemonTime>,
    /// End.
    pub completed: Option<DaemonTime>,
    /// When the daemon measured it.
    pub timestamp: Option<DaemonTime>,
    /// Our own side of the transfer, which knows more and sooner.
    pub transfer: Option<Transfer>,
}

/// A warning on a step, safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// One line.
    pub short: String,
    /// More lines.
    pub detail: Vec<String>,
    /// Where to read more, may be empty.
    pub url: String,
}

/// One vertex of a step, as last announced.
#[derive(Debug, Default)]
struct Member {
    is_weak: bool,
    is_cached: bool,
    error: String,
    /// By start; at most `INTERVALS_MAX`.
    intervals: Vec<Interval>,
}

impl Step {
    pub(super) fn vertex() -> Self {
        Self::new(String::new(), false)
    }

    pub(super) fn group(name: &str) -> Self {
        Self::new(clean_name(name), true)
    }

    fn new(name: String, is_group: bool) -> Self {
        Self {
            name,
            members: Vec::new(),
            is_group,
            intervals: Vec::new(),
            statuses: Vec::new(),
            status_by_id: HashMap::new(),
            warnings: Vec::new(),
            tail: LogTail::default(),
            assemblers: Vec::new(),
            text_bytes: 0,
        }
    }

    /// Bytes of the daemon's text that are kept here.
    pub(super) fn kept_bytes(&self) -> usize {
        let begun: usize = self.assemblers.iter().map(|(_, lines)| lines.kept_bytes()).sum();
        self.text_bytes + self.tail.kept_bytes() + begun
    }

    /// Display name: one line without control characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> StepState {
        let Some(latest) = self.intervals.last() else { return StepState::Waiting };
        if latest.end.is_none() {
            return StepState::Running;
        }
        match self.error() {
            Some(error) if error.ends_with(CANCELED) => StepState::Canceled,
            Some(_) => StepState::Failed,
            None if self.members.iter().all(|member| member.is_cached) => StepState::Cached,
            None => StepState::Done,
        }
    }

    /// The first error of its members.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.members.iter().map(|member| &*member.error).find(|error| !error.is_empty())
    }

    /// Whether it may be shown: started, and not a group of which only weak members started.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        let has_strong_start =
            self.members.iter().any(|member| !member.is_weak && !member.intervals.is_empty());
        !self.intervals.is_empty() && (has_strong_start || self.error().is_some())
    }

    /// Whether the solver did something of its own: load a context, export, import a cache.
    ///
    /// Those are shown, and are not counted as steps of the build.
    #[cfg(test)]
    pub(super) fn is_internal(&self) -> bool {
        INTERNAL_PREFIXES.iter().any(|prefix| self.name.starts_with(prefix))
    }

    /// When it completed last; `None` while it runs.
    #[must_use]
    pub fn completed_at(&self) -> Option<DaemonTime> {
        self.intervals.last()?.end
    }

    /// Time it has run in all, until `daemon_now` if it still does.
    #[must_use]
    pub fn elapsed(&self, daemon_now: DaemonTime) -> Duration {
        let lengths = self
            .intervals
            .iter()
            .map(|interval| interval.end.unwrap_or(daemon_now).saturating_sub(interval.start));
        lengths.sum()
    }

    /// Its sub-tasks that have started, in the order they were announced.
    pub fn statuses(&self) -> impl Iterator<Item = (usize, &Status)> {
        self.statuses.iter().enumerate().filter(|(_, status)| status.started.is_some())
    }

    /// Its warnings.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The last lines of its output; none once it has succeeded.
    pub fn tail(&self) -> impl DoubleEndedIterator<Item = &LogLine> + ExactSizeIterator {
        self.tail.lines()
    }

    /// Lines of output it has had.
    #[must_use]
    pub fn lines_total(&self) -> u64 {
        self.tail.pushed
    }

    /// Lines that have begun and not ended, one per stream.
    pub fn partial_lines(&self) -> impl Iterator<Item = PartialLine> {
        self.assemblers.iter().filter_map(|(member, assembler)| {
            let (begin, since, text) = assembler.partial()?;
            let source = LogSource { member: *member, stream: assembler.stream };
            let line = LogLine { at: self.since_start(begin), source, text: text.into() };
            Some(PartialLine { line, since })
        })
    }

    /// The position of another vertex; `None`: there is no room.
    pub(super) fn add_member(&mut self, is_weak: bool) -> Option<usize> {
        if self.members.len() == MEMBERS_MAX {
            return None;
        }
        self.members.push(Member { is_weak, ..Member::default() });
        Some(self.members.len() - 1)
    }

    /// Takes an announcement in; the lines that ended with it go to `lines`.
    pub(super) fn announce(
        &mut self,
        index: usize,
        vertex: &Vertex,
        is_full: bool,
        lines: &mut Vec<LogLine>,
    ) {
        if !self.is_group && !vertex.name.is_empty() && !is_full {
            self.text_bytes -= self.name.len();
            self.name = clean_name(&vertex.name);
            self.text_bytes += self.name.len();
        }
        // So many that all of them together are few.
        let intervals_max = (INTERVALS_MAX / self.members.len()).max(2);
        let member = &mut self.members[index];
        self.text_bytes -= member.error.len();
        let is_changed = member.announce(vertex, intervals_max);
        if is_full {
            keep_end(&mut member.error, SHORT_ERROR_BYTES);
        }
        self.text_bytes += member.error.len();
        if is_changed {
            let all = self.members.iter().flat_map(|member| &member.intervals).copied().collect();
            self.intervals = merge(all);
        }
        if vertex.completed.is_some() {
            self.finish_lines(|member| member == index, lines);
        }
        if matches!(self.state(), StepState::Done | StepState::Cached) {
            self.tail.forget();
        }
    }

    /// Closes what is open after a build that went well, and says whether anything was.
    ///
    /// Of a chain that was found in the cache the daemon does not always tell the end: what has begun then and did
    /// no work was cached.
    pub(super) fn settle(&mut self) -> bool {
        let mut is_changed = false;
        for member in &mut self.members {
            for interval in member.intervals.iter_mut().filter(|interval| interval.end.is_none()) {
                interval.end = Some(interval.start);
                member.is_cached = true;
                is_changed = true;
            }
        }
        let all = self.members.iter().flat_map(|member| &member.intervals).copied().collect();
        self.intervals = merge(all);
        is_changed
    }

    /// Takes a status in and says its position if anything changed; when all `is_full`, no new one is kept.
    pub(super) fn report(&mut self, news: &VertexStatus, is_full: bool) -> Option<usize> {
        if let Some(&index) = self.status_by_id.get(&news.id) {
            return self.statuses[index].update(news).then_some(index);
        }
        if is_full || self.statuses.len() == STATUSES_MAX {
            return None;
        }
        let mut status = Status {
            id: clean_name(&news.id),
            current: 0,
            total: 0,
            started: None,
            completed: None,
            timestamp: None,
            transfer: None,
        };
        status.update(news);
        self.text_bytes += status.id.len() + news.id.len();
        self.statuses.push(status);
        self.status_by_id.insert(news.id.clone(), self.statuses.len() - 1);
        Some(self.statuses.len() - 1)
    }

    /// Puts our side of a transfer beside the daemon's, if this step has it.
    pub(super) fn attach(&mut self, status_id: &str, transfer: &Transfer) -> bool {
        let Some(&index) = self.status_by_id.get(status_id) else { return false };
        self.statuses[index].transfer = Some(transfer.clone());
        true
    }

    /// Takes a piece of output in; the lines that ended in it go to `lines`.
    pub(super) fn write(
        &mut self,
        member: usize,
        log: &VertexLog,
        now: LocalTime,
        lines: &mut Vec<LogLine>,
    ) {
        let stream = if log.stream == 1 { 1 } else { 2 };
        let known = self
            .assemblers
            .iter()
            .position(|(owner, assembler)| *owner == member && assembler.stream == stream);
        let index = known.unwrap_or_else(|| {
            self.assemblers.push((member, LineAssembler::new(stream)));
            self.assemblers.len() - 1
        });
        let start = self.intervals.last().map(|interval| interval.start);
        let (tail, source) = (&mut self.tail, LogSource { member, stream });
        self.assemblers[index].1.push(&log.data, log.timestamp, now, |begin, raw| {
            let line = LogLine::new(start, source, begin, raw);
            tail.push(line.clone());
            lines.push(line);
        });
    }

    /// Keeps nothing of what it wrote but what has begun.
    pub(super) fn forget_output(&mut self) {
        self.tail.forget();
    }

    /// Takes a warning in unless it is known.
    pub(super) fn warn(&mut self, news: &VertexWarning) -> bool {
        let text = |bytes: &Vec<u8>| clean_name(&String::from_utf8_lossy(bytes));
        let warning = Warning {
            short: text(&news.short),
            detail: news.detail.iter().take(WARNINGS_MAX).map(text).collect(),
            url: clean_name(&news.url),
        };
        if self.warnings.len() == WARNINGS_MAX || self.warnings.contains(&warning) {
            return false;
        }
        let details: usize = warning.detail.iter().map(String::len).sum();
        self.text_bytes += warning.short.len() + details + warning.url.len();
        self.warnings.push(warning);
        true
    }

    pub(super) fn restart_stream(&mut self) {
        self.assemblers.iter_mut().for_each(|(_, assembler)| assembler.restart());
    }

    /// Ends the begun lines of some members, or at the end of the build of all.
    pub(super) fn finish_lines(
        &mut self,
        is_ended: impl Fn(usize) -> bool,
        lines: &mut Vec<LogLine>,
    ) {
        let start = self.intervals.last().map(|interval| interval.start);
        for (member, assembler) in self.assemblers.iter_mut().filter(|(owner, _)| is_ended(*owner))
        {
            let source = LogSource { member: *member, stream: assembler.stream };
            assembler.finish(|begin, raw| {
                let line = LogLine::new(start, source, begin, raw);
                self.tail.push(line.clone());
                lines.push(line);
            });
        }
    }

    fn since_start(&self, at: DaemonTime) -> Duration {
        self.intervals.last().map_or(Duration::ZERO, |interval| at.saturating_sub(interval.start))
    }
}

impl LogLine {
    fn new(start: Option<DaemonTime>, source: LogSource, begin: DaemonTime, raw: &[u8]) -> Self {
        let at = start.map_or(Duration::ZERO, |start| begin.saturating_sub(start));
        Self { at, source, text: crate::terminal_text::clean(raw).into() }
    }
}

impl Member {
    /// Takes an announcement in, and says whether its times changed; one that a replay repeats changes nothing.
    fn announce(&mut self, vertex: &Vertex, intervals_max: usize) -> bool {
        let Some(start) = vertex.started else {
            if self.intervals.is_empty() {
                self.error.clone_from(&vertex.error);
            }
            return false;
        };
        let latest = self.intervals.iter().max().copied();
        let news = Interval { start, end: vertex.completed };
        if latest.is_none_or(|latest| news >= latest) {
            self.is_cached = vertex.cached;
            self.error.clone_from(&vertex.error);
        }
        match self.intervals.iter_mut().find(|interval| interval.start == start) {
            Some(known) if vertex.completed.is_none() || known.end == vertex.completed => {
                return false;
            }
            Some(known) => known.end = vertex.completed,
            None => self.intervals.push(news),
        }
        if self.intervals.len() > intervals_max {
            self.intervals = merge(std::mem::take(&mut self.intervals));
            self.intervals.truncate(intervals_max);
        }
        true
    }
}

impl Status {
    /// A transfer of ours that the daemon does not report.
    pub(super) fn of_transfer(transfer: &Transfer) -> Self {
        Self {
            id: clean_name(&format!("transferring {}:", transfer.name)),
            current: transfer.bytes_sent,
            total: transfer.total_bytes.unwrap_or(0),
            started: None,
            completed: None,
            timestamp: None,
            transfer: Some(transfer.clone()),
        }
    }

    /// How far it is: bytes, and for a transfer of ours entries; empty when unknown.
    #[must_use]
    pub fn amount(&self) -> String {
        let entries = self.transfer.as_ref().map_or(0, |transfer| transfer.entries_scanned);
        let (done, total) = (self.bytes_done(), self.bytes_total());
        let mut parts = Vec::new();
        if entries > 0 {
            parts.push(counted_entries(entries));
        }
        if total > 0 {
            parts.push(format!("{} / {}", bytes_tight(done), bytes_tight(total)));
        } else if done > 0 {
            parts.push(bytes_tight(done));
        }
        parts.join(", ")
    }

    /// Bytes done, as our side says where it is ours.
    #[must_use]
    pub fn bytes_done(&self) -> u64 {
        self.transfer.as_ref().map_or(self.current, |transfer| transfer.bytes_sent)
    }

    /// Bytes in all, 0 when unknown.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.transfer.as_ref().map_or(self.total, |transfer| transfer.total_bytes.unwrap_or(0))
    }

    /// Whether it has ended, on the daemon's side or ours.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.completed.is_some() || self.transfer.as_ref().is_some_and(|transfer| transfer.done)
    }

    /// Time it has run.
    #[must_use]
    pub fn elapsed(&self, daemon_now: DaemonTime) -> Duration {
        let end = self.completed.unwrap_or(daemon_now);
        self.started.map_or(Duration::ZERO, |start| end.saturating_sub(start))
    }

    /// Takes news in unless they are older than what is known, as a replay's are.
    fn update(&mut self, news: &VertexStatus) -> bool {
        if news.timestamp < self.timestamp || (self.completed.is_some() && news.completed.is_none())
        {
            return false;
        }
        self.current = u64::try_from(news.current).unwrap_or(0);
        self.total = u64::try_from(news.total).unwrap_or(0);
        self.started = news.started.or(self.started);
        self.completed = news.completed;
        let is_changed = news.timestamp > self.timestamp || self.timestamp.is_none();
        self.timestamp = news.timestamp;
        is_changed
    }
}

/// Cuts an error to its end, which names the cause.
fn keep_end(text: &mut String, bytes_max: usize) {
    let Some(mut from) = text.len().checked_sub(bytes_max) else { return };
    while !text.is_char_boundary(from) {
        from += 1;
    }
    *text = text[from..].to_owned();
}

/// `1 entry`, `1,204 entries`.
pub(super) fn counted_entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{} entries", count(number)) }
}

/// The union of intervals, ordered and disjoint; an open one takes in all that follows.
fn merge(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable_by_key(|interval| interval.start);
    let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        match merged.last_mut() {
            Some(Interval { end: None, .. }) => break,
            Some(Interval { end: Some(end), .. }) if *end < next.start => merged.push(next),
            Some(last) => last.end = last.end.zip(next.end).map(|(one, other)| one.max(other)),
            None => merged.push(next),
        }
    }
    merged
}

/// Go's text for a cancelled context ends the error of a vertex that was cancelled.
const CANCELED: &str = "context canceled";
#[cfg(test)]
const INTERNAL_PREFIXES: [&str; 8] = [
    "[internal]", "[auth]", "exporting ", "importing ", "inferring ", "pushing ", "writing ",
    "resolve image config ",
];
const INTERVALS_MAX: usize = 256;
/// What stays of an error when there is no room.
const SHORT_ERROR_BYTES: usize = 200;
/// Vertexes of one group.
const MEMBERS_MAX: usize = 256;
const STATUSES_MAX: usize = 4096;
const WARNINGS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn interval((start, end): (u64, Option<u64>)) -> Interval {
        Interval { start: Duration::from_secs(start), end: end.map(Duration::from_secs) }
    }

    fn check_merge(given: &[(u64, Option<u64>)], expected: &[(u64, Option<u64>)]) {
        let merged = merge(given.iter().copied().map(interval).collect());
        let expected: Vec<_> = expected.iter().copied().map(interval).collect();
        assert_eq!(merged, expected, "{given:?}");
    }

    #[test]
    fn intervals_are_merged_to_their_union() {
        check_merge(&[], &[]);
        check_merge(&[(0, Some(1))], &[(0, Some(1))]);
        check_merge(&[(2, Some(3)), (0, Some(1))], &[(0, Some(1)), (2, Some(3))]);
        check_merge(&[(0, Some(5)), (1, Some(2))], &[(0, Some(5))]);
        check_merge(&[(0, Some(2)), (1, Some(3))], &[(0, Some(3))]);
        check_merge(&[(0, Some(1)), (1, Some(2))], &[(0, Some(2))]);
        check_merge(&[(0, None), (1, Some(2)), (5, None)], &[(0, None)]);
        check_merge(&[(0, Some(3)), (1, None), (9, Some(10))], &[(0, None)]);
    }
}
