//! The report of a step that failed: which, what it ran, how it ended, what it said last.

use std::fmt::Write as _;
use std::time::Duration;

use crate::progress::DaemonTime;
use crate::progress::format::{count, duration};
use crate::progress::log::LogLine;
use crate::progress::step::Step;
use crate::progress::style::Style;
use crate::terminal_text::{clean_name, without_color};

/// A step that failed, for people.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Display name of the step.
    pub name: String,
    /// What it ran, when the daemon says so.
    pub command: Option<String>,
    /// How the command ended, when it was one.
    pub exit_code: Option<i32>,
    /// The daemon's words, one line.
    pub error: String,
    /// How long it ran.
    pub elapsed: Duration,
    /// The last lines of its output.
    pub tail: Vec<LogLine>,
    /// Lines of output in all.
    pub lines_total: u64,
    /// What to try, one line.
    pub hint: Option<String>,
}

impl Failure {
    pub(super) fn of(step: &Step, daemon_now: DaemonTime) -> Self {
        let error = clean_name(step.error().unwrap_or_default());
        let process = ProcessError::parse(step.error().unwrap_or_default());
        let tail = step.tail().skip(step.tail().len().saturating_sub(TAIL_LINES));
        Self {
            name: step.name().to_owned(),
            exit_code: process.as_ref().and_then(|process| process.exit_code),
            hint: process.as_ref().and_then(|process| hint(process.exit_code?)),
            command: process.map(|process| process.command),
            error,
            elapsed: step.elapsed(daemon_now),
            tail: tail.cloned().collect(),
            lines_total: step.lines_total(),
        }
    }

    /// The block of lines for stderr, each with its line end.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let style = Style { color };
        let mut text = String::new();
        let how = match self.exit_code {
            Some(code) => format!("exit code {code}, "),
            None => String::new(),
        };
        let head = format!("{} {}", style.error("failed:"), style.bold(&self.name));
        line(&mut text, &format!("{head}  ({how}{})", duration(self.elapsed)));
        match &self.command {
            Some(command) => line(&mut text, &format!("  command: {command}")),
            None => line(&mut text, &format!("  reason: {}", self.error)),
        }
        self.render_tail(&mut text, style);
        if let Some(hint) = &self.hint {
            line(&mut text, &format!("  {} {hint}", style.note("hint:")));
        }
        text
    }

    fn render_tail(&self, text: &mut String, style: Style) {
        if self.tail.is_empty() {
            return line(text, "  it wrote no output");
        }
        let left_out = self.lines_total.saturating_sub(self.tail.len() as u64);
        if left_out > 0 {
            line(text, &style.faint(&format!("  | … {} lines before", count(left_out))));
        }
        let bar = style.error("|");
        for tail_line in &self.tail {
            let said = if style.color && tail_line.text.contains('\x1b') {
                format!("{}\x1b[0m", tail_line.text)
            } else {
                without_color(&tail_line.text).into_owned()
            };
            line(text, format!("  {bar} {said}").trim_end());
        }
    }
}

/// BuildKit's error of a process that ended badly (`executor/runcexecutor`, `solver/llbsolver/ops/exec.go`):
/// ``process "/bin/sh -c npm ci" did not complete successfully: exit code: 1``.
struct ProcessError {
    command: String,
    exit_code: Option<i32>,
}

impl ProcessError {
    fn parse(error: &str) -> Option<Self> {
        let (_, rest) = error.split_once("process \"")?;
        let (command, rest) = rest.split_once("\" did not complete successfully")?;
        let exit_code = rest.split_once("exit code: ").and_then(|(_, code)| {
            let end = code.find(|char: char| !char.is_ascii_digit()).unwrap_or(code.len());
            code[..end].parse().ok()
        });
        Some(Self { command: clean_name(&unquote(command)), exit_code })
    }
}

/// Takes the backslashes of Go's `%q` away; line ends become spaces with their backslash.
fn unquote(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            text.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some(escaped @ ('"' | '\\')) => text.push(escaped),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

/// What exit codes of shells and kernels usually mean (POSIX shell, 2.8.2; 128 + signal).
fn hint(exit_code: i32) -> Option<String> {
    let text = match exit_code {
        126 => "the command was found but may not be executed: check its mode and its `#!` line",
        127 => "the command was not found: is its package among the step's packages?",
        134 => "the process aborted itself (SIGABRT)",
        137 => "the process was killed (SIGKILL), most often for lack of memory",
        139 => "the process crashed (SIGSEGV)",
        _ => return None,
    };
    Some(text.to_owned())
}

fn line(text: &mut String, content: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{content}");
}

/// Lines of output in a report.
const TAIL_LINES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &str, command: &str, exit_code: Option<i32>) {
        let process = ProcessError::parse(error).unwrap();
        assert_eq!((&*process.command, process.exit_code), (command, exit_code), "{error}");
    }

    #[test]
    fn the_command_and_exit_code_are_read_from_the_daemons_error() {
        check(
            "process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1",
            "/bin/sh -c npm ci",
            Some(1),
        );
        check(
            r#"process "/bin/sh -c echo \"a\\b\"\nfalse" did not complete successfully: exit code: 137: cannot allocate memory"#,
            r#"/bin/sh -c echo "a\b" false"#,
            Some(137),
        );
        check("process \"x\" did not complete successfully: killed", "x", None);
        assert!(ProcessError::parse("failed to compute cache key: not found").is_none());
    }

    #[test]
    fn a_code_with_a_meaning_has_a_hint() {
        let hinted: Vec<i32> = (0..256).filter(|&code| hint(code).is_some()).collect();
        assert_eq!(hinted, [126, 127, 134, 137, 139]);
    }
}
