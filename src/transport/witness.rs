//! What a connection showed besides the bytes it carried: enough to say why it is none.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::tls_error::TlsError;

/// How many of the peer's first bytes are kept: a line of them, should it be one.
const GREETING_BYTES_MAX: usize = 512;
/// How much of what a carrying program or container said is kept: the end of it.
const WORDS_BYTES_MAX: usize = 4 << 10;

/// Shared by a socket and whoever must explain it.
#[derive(Debug, Default)]
pub struct Witness {
    greeting: OnceLock<Vec<u8>>,
    received_bytes: AtomicU64,
    tls_error: OnceLock<TlsError>,
    words: Mutex<Words>,
    /// Rung when no more words will come.
    silence: Condvar,
}

#[derive(Debug, Default)]
struct Words {
    bytes: Vec<u8>,
    /// More may come.
    is_open: bool,
}

/// What the first bytes of a peer look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// None came.
    Silence,
    /// A SETTINGS frame, with which every HTTP/2 peer begins (RFC 9113, section 3.4).
    Http2,
    /// `HTTP/1.…`
    Http1,
    /// A record of TLS (RFC 8446, section 5.1).
    Tls,
    /// Nothing that is known here.
    Other,
}

impl Witness {
    /// Bytes read so far; while it grows, the peer is alive.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// What the peer's first bytes look like.
    pub fn greeting(&self) -> Greeting {
        match self.greeting.get().map_or(&[][..], Vec::as_slice) {
            [] => Greeting::Silence,
            [0, _, _, 4, ..] => Greeting::Http2,
            [b'H', b'T', b'T', b'P', b'/', ..] => Greeting::Http1,
            [20..=23, 3, 0..=4, ..] => Greeting::Tls,
            _ => Greeting::Other,
        }
    }

    /// The peer's first bytes as text, without control characters.
    pub fn greeting_text(&self) -> String {
        printable(self.greeting.get().map_or(&[][..], Vec::as_slice))
    }

    /// What TLS said when it ended the connection; whoever reads or writes may only have heard that it broke.
    pub fn tls_error(&self) -> Option<&TlsError> {
        self.tls_error.get()
    }

    /// What a carrying program, or the container, said on its standard error; trimmed, without control characters.
    pub fn words(&self) -> String {
        printable(&self.lock().bytes)
    }

    /// The same of a program that has ended: its last words may come `patience` later than the end of its output.
    pub fn last_words(&self, patience: Duration) -> String {
        let waited = self.silence.wait_timeout_while(self.lock(), patience, |words| words.is_open);
        let (words, _) = waited.unwrap_or_else(PoisonError::into_inner);
        printable(&words.bytes)
    }

    pub(super) fn on_read(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.greeting.get().is_none() {
            let kept = bytes.len().min(GREETING_BYTES_MAX);
            // Another thread can only have kept the same connection's first bytes.
            drop(self.greeting.set(bytes[..kept].to_vec()));
        }
    }

    pub(super) fn on_tls_error(&self, error: TlsError) {
        // The first one ended the connection.
        drop(self.tls_error.set(error));
    }

    pub(super) fn on_words(&self, bytes: &[u8]) {
        let words = &mut self.lock().bytes;
        words.extend_from_slice(bytes);
        let surplus = words.len().saturating_sub(WORDS_BYTES_MAX);
        words.drain(..surplus);
    }

    /// Somebody listens for words now, or has heard the last one.
    pub(super) fn set_listening(&self, is_open: bool) {
        self.lock().is_open = is_open;
        self.silence.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    shown.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn the_first_bytes_tell_who_speaks() {
        for (bytes, expected) in [
            (&b""[..], Greeting::Silence),
            (b"\0\0\x06\x04\0\0\0\0\0", Greeting::Http2),
            (b"HTTP/1.1 400 Bad Request\r\n", Greeting::Http1),
            (b"\x15\x03\x01\0\x02\x02\x46", Greeting::Tls),
            (b"SSH-2.0-OpenSSH\r\n", Greeting::Other),
        ] {
            let witness = Witness::default();
            witness.on_read(bytes);
            witness.on_read(b"HTTP/1.1 later");
            if !bytes.is_empty() {
                assert_eq!(witness.greeting(), expected, "{bytes:?}");
            }
        }
        assert_eq!(Witness::default().greeting(), Greeting::Silence);
    }

    #[test]
    fn of_many_words_the_last_are_kept_without_control_characters() {
        let witness = Witness::default();
        witness.on_words(&[b'x'; 5000]);
        witness.on_words(b"\x1b[31mthe end\n");
        let words = witness.words();
        assert!(words.len() <= WORDS_BYTES_MAX && words.ends_with("[31mthe end"), "{words}");
    }

    #[test]
    fn last_words_are_waited_for_while_somebody_listens() {
        let witness = Arc::new(Witness::default());
        assert_eq!(witness.last_words(Duration::MAX), "");
        witness.set_listening(true);
        witness.on_words(b"first");
        assert_eq!(witness.last_words(Duration::from_millis(1)), "first");
        let theirs = Arc::clone(&witness);
        let listener = thread::Builder::new().spawn(move || {
            theirs.on_words(b" and last");
            theirs.set_listening(false);
        });
        assert_eq!(witness.last_words(Duration::from_secs(20)), "first and last");
        listener.unwrap().join().unwrap();
    }
}
