//! Where a display writes: one write per change, and a reader that went away is no error.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

/// Collects bytes and hands them over in one piece.
pub(super) struct Output {
    writer: Box<dyn Write>,
    pending: Vec<u8>,
    /// Cleared by the first write that fails: a build does not end because `| head` did.
    is_open: bool,
}

impl Output {
    pub(super) fn new(writer: Box<dyn Write>) -> Self {
        Self { writer, pending: Vec::new(), is_open: true }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.pending.extend_from_slice(text.as_bytes());
        if self.pending.len() >= PENDING_BYTES_MAX {
            self.flush();
        }
    }

    /// Writes what was collected.
    pub(super) fn flush(&mut self) {
        if self.is_open && !self.pending.is_empty() {
            self.is_open = write_patiently(&mut *self.writer, &self.pending).is_ok();
        }
        self.pending.clear();
    }
}

/// Writes all, and waits where a terminal was set to non-blocking by another process.
fn write_patiently(writer: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    let mut retries = 0;
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                retries = 0;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && retries < RETRIES_MAX => {
                retries += 1;
                thread::park_timeout(RETRY_AFTER);
            }
            Err(error) => return Err(error),
        }
    }
    writer.flush()
}

const PENDING_BYTES_MAX: usize = 256 * 1024;
const RETRY_AFTER: Duration = Duration::from_millis(2);
const RETRIES_MAX: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Answers each write from a script: how many bytes it takes, or how it fails.
    struct Scripted {
        script: Vec<Result<usize, io::ErrorKind>>,
        taken: Rc<RefCell<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.script.is_empty() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let length = self.script.remove(0)?.min(bytes.len());
            self.taken.borrow_mut().extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(script: Vec<Result<usize, io::ErrorKind>>, expected: &str) {
        let taken = Rc::new(RefCell::new(Vec::new()));
        let mut output = Output::new(Box::new(Scripted { script, taken: Rc::clone(&taken) }));
        for text in ["one\n", "two\n"] {
            output.text(text);
            output.flush();
        }
        assert_eq!(String::from_utf8(taken.take()).unwrap(), expected);
    }

    #[test]
    fn short_and_blocked_writes_lose_nothing() {
        let (wait, again) = (io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted);
        check(vec![Ok(1), Err(wait), Ok(9), Err(again), Ok(2), Err(wait), Ok(9)], "one\ntwo\n");
    }

    #[test]
    fn a_closed_pipe_ends_the_display_and_nothing_else() {
        check(vec![Ok(9), Err(io::ErrorKind::BrokenPipe), Ok(9)], "one\n");
        check(vec![Err(io::ErrorKind::BrokenPipe), Ok(9)], "");
        check(vec![Ok(0), Ok(9)], "");
    }
}
