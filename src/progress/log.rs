//! Pieces of output → lines: joins, splits, bounds, and skips what a replay says again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::progress::{DaemonTime, LocalTime};
use crate::terminal_text::clean;

/// One complete line of a step's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Since the step's latest start.
    pub at: Duration,
    /// Which writer of the step it came from.
    pub source: LogSource,
    /// Printable text and colour sequences only, see [`clean`].
    pub text: Arc<str>,
}

/// One stream of one member of a step: what lines are joined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSource {
    /// Position of the vertex among the members of its step.
    pub member: usize,
    /// 1 standard output, 2 standard error.
    pub stream: i64,
}

/// A line that has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialLine {
    /// The line as far as it is known.
    pub line: LogLine,
    /// When we received its first byte.
    pub since: LocalTime,
}

/// Joins the pieces of one stream to lines.
///
/// A carriage return starts the line again, so of a progress bar the last state stays.
#[derive(Debug)]
pub(super) struct LineAssembler {
    pub(super) stream: i64,
    /// The begun line; at most `LOG_LINE_BYTES_MAX` and one piece; no carriage return but at its end.
    partial: Vec<u8>,
    partial_at: DaemonTime,
    partial_since: LocalTime,
    /// Bytes of this stream that were taken in, of all connections.
    seen_bytes: u64,
    /// Where a replay stands; `None` once it has caught up with `seen_bytes`.
    replayed_bytes: Option<u64>,
    newest: Option<DaemonTime>,
}

impl LineAssembler {
    pub(super) fn new(stream: i64) -> Self {
        Self {
            stream,
            partial: Vec::new(),
            partial_at: DaemonTime::ZERO,
            partial_since: LocalTime::ZERO,
            seen_bytes: 0,
            replayed_bytes: None,
            newest: None,
        }
    }

    /// Bytes of the begun line.
    pub(super) fn kept_bytes(&self) -> usize {
        self.partial.len()
    }

    /// The same bytes will come again from the first one on.
    pub(super) fn restart(&mut self) {
        self.replayed_bytes = Some(0);
    }

    /// Takes a piece in and gives each line that ends in it to `emit`, with its begin.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        at: Option<DaemonTime>,
        now: LocalTime,
        mut emit: impl FnMut(DaemonTime, &[u8]),
    ) {
        let mut rest = self.unseen(piece, at);
        let at = at.unwrap_or_default();
        while !rest.is_empty() {
            if self.partial.is_empty() {
                (self.partial_at, self.partial_since) = (at, now);
            }
            // A line without end is cut: memory stays bounded and nothing is lost.
            let room = LOG_LINE_BYTES_MAX.saturating_sub(self.partial.len()).max(1);
            let window = &rest[..rest.len().min(room)];
            let line_end = window.iter().position(|&byte| byte == b'\n');
            match line_end {
                Some(end) if self.partial.is_empty() => emit(at, last_state(&window[..end])),
                Some(end) => {
                    self.extend_partial(&window[..end], at);
                    emit(self.partial_at, last_state(&self.partial));
                    self.partial.clear();
                }
                None => {
                    self.extend_partial(window, at);
                    self.cut_partial(&mut emit);
                }
            }
            rest = &rest[line_end.map_or(window.len(), |end| end + 1)..];
        }
    }

    /// Ends the begun line, as the stream has ended.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(DaemonTime, &[u8])) {
        if !self.partial.is_empty() {
            emit(self.partial_at, last_state(&self.partial));
            self.partial.clear();
        }
    }

    /// The begun line: its begin, when we got it, its printable text.
    pub(super) fn partial(&self) -> Option<(DaemonTime, LocalTime, String)> {
        if self.partial.is_empty() {
            return None;
        }
        let state = last_state(&self.partial);
        let text = clean(&state[..whole_chars(state)]);
        Some((self.partial_at, self.partial_since, text))
    }

    /// Adds to the begun line; where a carriage return starts it again, so does its time.
    fn extend_partial(&mut self, window: &[u8], at: DaemonTime) {
        let old_length = self.partial.len();
        self.partial.extend_from_slice(window);
        let line = trim_returns(&self.partial);
        let (line_end, start) = (line.len(), line.len() - last_state(line).len());
        if start > 0 && start >= old_length {
            self.partial_at = at;
        }
        // One return is enough to remember that the next byte starts the line again.
        self.partial.truncate(line_end + 1);
        self.partial.drain(..start);
    }

    fn cut_partial(&mut self, emit: &mut impl FnMut(DaemonTime, &[u8])) {
        if self.partial.len() >= LOG_LINE_BYTES_MAX {
            let end = whole_chars(&self.partial);
            emit(self.partial_at, last_state(&self.partial[..end]));
            self.partial.drain(..end);
        }
    }

    /// What of `piece` was not taken in before the stream was lost.
    ///
    /// The daemon replays the output of a vertex in its order (BuildKit
    /// `util/progress/multireader.go`, v0.32), so the position in bytes tells old from new however
    /// it is cut. A time beyond all we know is new in any case: then the replay has a gap.
    fn unseen<'piece>(&mut self, piece: &'piece [u8], at: Option<DaemonTime>) -> &'piece [u8] {
        let is_newer = at.is_some() && at > self.newest;
        self.newest = self.newest.max(at);
        let Some(position) = self.replayed_bytes.filter(|_| !is_newer) else {
            self.replayed_bytes = None;
            self.seen_bytes += piece.len() as u64;
            return piece;
        };
        let known = usize::try_from(self.seen_bytes - position).unwrap_or(usize::MAX);
        if piece.len() < known {
            self.replayed_bytes = Some(position + piece.len() as u64);
            return &[];
        }
        self.replayed_bytes = None;
        self.seen_bytes = position + piece.len() as u64;
        &piece[known..]
    }
}

/// The last lines of a step, for the view of running steps and the failure report.
#[derive(Debug, Default)]
pub(super) struct LogTail {
    /// At most `LOG_TAIL_LINES_MAX` lines of `LOG_TAIL_BYTES_MAX` bytes together.
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// Lines ever pushed.
    pub(super) pushed: u64,
}

impl LogTail {
    pub(super) fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        self.pushed += 1;
        while self.lines.len() > LOG_TAIL_LINES_MAX || self.bytes > LOG_TAIL_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }

    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &LogLine> + ExactSizeIterator {
        self.lines.iter()
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn forget(&mut self) {
        self.lines = VecDeque::new();
        self.bytes = 0;
    }
}

/// What a terminal would show of a line with carriage returns: what the last one left.
fn last_state(line: &[u8]) -> &[u8] {
    let line = trim_returns(line);
    match line.iter().rposition(|&byte| byte == b'\r') {
        Some(last) => &line[last + 1..],
        None => line,
    }
}

fn trim_returns(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1);
    &line[..end]
}

/// Length without a UTF-8 character whose last bytes have not come yet.
fn whole_chars(bytes: &[u8]) -> usize {
    let tail_start = bytes.len().saturating_sub(3);
    for (index, &byte) in bytes.iter().enumerate().skip(tail_start).rev() {
        let length = match byte {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => return bytes.len(),
        };
        let is_whole = index + length <= bytes.len() || index == 0;
        return if is_whole { bytes.len() } else { index };
    }
    bytes.len()
}

/// Longer lines are cut there.
pub(super) const LOG_LINE_BYTES_MAX: usize = 16 * 1024;
/// Lines kept of each step that has not succeeded.
pub(super) const LOG_TAIL_LINES_MAX: usize = 100;
/// Bytes kept of each step that has not succeeded; holds one line that `clean` made longer.
pub(super) const LOG_TAIL_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(LOG_TAIL_BYTES_MAX >= 3 * LOG_LINE_BYTES_MAX);

/// Fuzz target: however output is cut, the same lines come out.
#[doc(hidden)]
pub fn fuzz_log_lines(data: &[u8]) {
    let whole = lines_of([data].into_iter());
    let middle = data.len() / 2;
    let halves = lines_of([&data[..middle], &data[middle..]].into_iter());
    let bytewise = lines_of(data.chunks(1));
    // Only a line beyond the limit may be cut elsewhere.
    if data.len() < LOG_LINE_BYTES_MAX {
        assert_eq!(whole, halves);
        assert_eq!(whole, bytewise);
    }
}

fn lines_of<'piece>(pieces: impl Iterator<Item = &'piece [u8]>) -> Vec<String> {
    let mut assembler = LineAssembler::new(1);
    let mut lines = Vec::new();
    for piece in pieces {
        assembler.push(piece, None, LocalTime::ZERO, |_, line| lines.push(clean(line)));
        drop(assembler.partial());
    }
    assembler.finish(|_, line| lines.push(clean(line)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::fixture::mutations;

    fn check(pieces: &[&str], expected: &[&str]) {
        assert_eq!(lines_of(pieces.iter().map(|piece| piece.as_bytes())), expected, "{pieces:?}");
    }

    #[test]
    fn pieces_are_joined_to_lines() {
        check(&["one\ntwo\n"], &["one", "two"]);
        check(&["o", "ne\nt", "wo"], &["one", "two"]);
        check(&["\n\n"], &["", ""]);
        check(&["windows\r\nends\r", "\n"], &["windows", "ends"]);
        check(&[""], &[]);
    }

    #[test]
    fn a_carriage_return_leaves_the_last_state() {
        check(&["10%\r20%\r30%\n"], &["30%"]);
        check(&["\r10%", "\r20%", "\r", "30%", "\n"], &["30%"]);
        check(&["10%\r", "20%\r", "\r\n", "next\n"], &["20%", "next"]);
        check(&["\r\r\r"], &[""]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_loses_nothing() {
        let flood = "ä".repeat(LOG_LINE_BYTES_MAX);
        let lines = lines_of(flood.as_bytes().chunks(1000));
        assert!(lines.iter().all(|line| line.len() <= LOG_LINE_BYTES_MAX));
        assert_eq!(lines.concat(), flood);
    }

    #[test]
    fn a_partial_line_shows_no_half_character() {
        let mut assembler = LineAssembler::new(1);
        let text = "naïve 日本".as_bytes();
        for end in 0..text.len() {
            assembler.push(&text[end..=end], None, LocalTime::ZERO, |_, _| {});
            let (_, _, shown) = assembler.partial().unwrap();
            assert!("naïve 日本".starts_with(&shown), "{shown}");
        }
    }

    #[test]
    fn a_replay_gives_only_what_is_new_however_it_is_cut() {
        let text = b"first\nsecond\nthird\nfourth\n";
        for seen in 0..=text.len() {
            for cut in [1, 3, 7, 100] {
                let mut assembler = LineAssembler::new(1);
                let mut lines = Vec::new();
                let mut feed = |assembler: &mut LineAssembler, bytes: &[u8], size| {
                    for piece in bytes.chunks(size) {
                        let at = Some(DaemonTime::from_secs(1));
                        assembler
                            .push(piece, at, LocalTime::ZERO, |_, line| lines.push(clean(line)));
                    }
                };
                feed(&mut assembler, &text[..seen], 4);
                assembler.restart();
                feed(&mut assembler, text, cut);
                assert_eq!(lines, ["first", "second", "third", "fourth"], "{seen} {cut}");
            }
        }
    }

    #[test]
    fn output_newer_than_all_known_is_never_taken_for_a_replay() {
        let mut assembler = LineAssembler::new(1);
        let mut lines = Vec::new();
        let mut push = |assembler: &mut LineAssembler, text: &str, seconds| {
            let at = Some(DaemonTime::from_secs(seconds));
            assembler.push(text.as_bytes(), at, LocalTime::ZERO, |_, line| lines.push(clean(line)));
        };
        push(&mut assembler, "old\n", 1);
        assembler.restart();
        push(&mut assembler, "new\n", 2);
        assert_eq!(lines, ["old", "new"]);
    }

    #[test]
    fn the_tail_keeps_the_last_lines_within_both_limits() {
        let source = LogSource { member: 0, stream: 1 };
        let line = |text: String| LogLine { at: Duration::ZERO, source, text: text.into() };
        let mut tail = LogTail::default();
        for number in 0..10_000 {
            tail.push(line(number.to_string()));
        }
        assert_eq!(tail.lines().len(), LOG_TAIL_LINES_MAX);
        assert_eq!(&*tail.lines().next_back().unwrap().text, "9999");
        for _ in 0..10 {
            tail.push(line("x".repeat(LOG_LINE_BYTES_MAX)));
        }
        assert_eq!(tail.lines().len(), LOG_TAIL_BYTES_MAX / LOG_LINE_BYTES_MAX);
        assert_eq!(tail.pushed, 10_010);
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_were_cut() {
        let seeds: [&[u8]; 3] = [
            b"10%\r20%\r\n\r\rdone\n\nlast",
            "ein Ümlaut\r\n日本\r語\n".as_bytes(),
            b"\r\r\r\n\r\n\n\rx\r",
        ];
        mutations(&seeds, 20_000, fuzz_log_lines);
    }
}
