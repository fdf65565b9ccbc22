//! The end of a daemon's log, gathered by a thread of its own so that the daemon never waits.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, PipeReader, Read as _},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, bounded};

use crate::threads::{STACK_BYTES, spawn_with};

/// What a process wrote last.
#[derive(Debug)]
pub(super) struct Log {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    /// Closed when the thread has seen the end.
    ended: Receiver<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Log {
    /// Begins to read `pipe`, of which the last `max_bytes` are kept.
    pub(super) fn start(pipe: PipeReader, max_bytes: usize) -> io::Result<Self> {
        let bytes = Arc::new(Mutex::new(VecDeque::new()));
        let (alive, ended) = bounded(0);
        let kept = Arc::clone(&bytes);
        let thread = spawn_with("pbx-daemon-log", STACK_BYTES, move || {
            gather(pipe, &kept, max_bytes);
            drop(alive);
        })?;
        Ok(Self { bytes, ended, thread: Some(thread) })
    }

    /// Gives what was written last, beginning with a whole line.
    pub(super) fn tail(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let (a, b) = bytes.as_slices();
        let text = [a, b].concat();
        drop(bytes);
        String::from_utf8_lossy(text.trim_ascii_end()).into_owned()
    }

    /// Waits for the last words of a process that is gone. If something that it started
    /// lives on with its pipe, the thread is left alone.
    pub(super) fn end(&mut self) {
        let is_over = self.ended.recv_timeout(END_PATIENCE).is_err_and(|e| e.is_disconnected());
        if let Some(thread) = self.thread.take_if(|_| is_over) {
            drop(thread.join());
        }
    }
}

fn gather(mut pipe: PipeReader, kept: &Mutex<VecDeque<u8>>, max_bytes: usize) {
    let mut buffer = [0; 4096];
    loop {
        let n = match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut bytes = kept.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend(&buffer[..n]);
        if bytes.len() > max_bytes {
            let surplus = bytes.len() - max_bytes;
            let line_end = bytes.iter().skip(surplus).position(|byte| *byte == b'\n');
            bytes.drain(..surplus + line_end.map_or(0, |at| at + 1));
        }
    }
}

/// Puts the last lines below an error, each on a line of its own.
pub(super) fn write_last_lines(f: &mut fmt::Formatter<'_>, log: &str) -> fmt::Result {
    let lines = without_stacks(log);
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        write!(f, "\n  | ")?;
        for c in line.chars().filter(|c| !c.is_control() || *c == '\t').take(SHOWN_CHARS) {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}

const END_PATIENCE: Duration = Duration::from_secs(1);

/// A Go error prints its stack below itself, a function and its place per frame: more lines than are shown.
fn without_stacks(log: &str) -> Vec<&str> {
    let is_place = |line: &&str| {
        line.starts_with('\t')
            && line.rsplit_once(':').is_some_and(|(_, n)| n.parse::<u32>().is_ok())
    };
    let mut lines: Vec<&str> = Vec::new();
    for line in log.lines() {
        // The place stands below its function.
        if is_place(&line) {
            lines.pop();
        } else {
            lines.push(line);
        }
    }
    lines
}

const SHOWN_LINES: usize = 12;

const SHOWN_CHARS: usize = 400;

#[cfg(test)]
mod tests {
    use super::without_stacks;

    #[test]
    fn the_frames_of_a_go_stack_make_room_for_what_happened() {
        let log = "running server\nbuildkitd: toml: expected character =\nfailed to parse config\n\
                   main.main.func3\n\tgithub.com/moby/buildkit@v0.32.2/cmd/buildkitd/main.go:270\n\
                   runtime.goexit\n\truntime/asm_amd64.s:1771\n\tindented: words";
        let expected = [
            "running server",
            "buildkitd: toml: expected character =",
            "failed to parse config",
            "\tindented: words",
        ];
        assert_eq!(without_stacks(log), expected);
    }
}
