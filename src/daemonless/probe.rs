//! Asks a socket whether a gRPC server is behind it.
//!
//! A connect alone tells nothing: BuildKit listens before it has opened its stores (v0.32,
//! `cmd/buildkitd/main.go`) and may still fail. But every HTTP/2 server begins with its
//! SETTINGS frame (RFC 9113, section 3.4), so that frame is waited for.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

pub(super) struct Probe {
    socket: PathBuf,
    stream: Option<UnixStream>,
    head: Vec<u8>,
}

impl Probe {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), stream: None, head: Vec::new() }
    }

    /// Looks once, for at most about `wait`.
    pub(super) fn has_answered(&mut self, wait: Duration) -> bool {
        let Some(stream) = &mut self.stream else {
            self.stream = hello(&self.socket, wait);
            self.head.clear();
            if self.stream.is_none() {
                thread::sleep(wait);
            }
            return false;
        };
        let mut buffer = [0; FRAME_HEAD_BYTES];
        match stream.read(&mut buffer[self.head.len()..]) {
            Ok(n) if n > 0 => self.head.extend_from_slice(&buffer[self.head.len()..][..n]),
            Err(error) if is_later(error.kind()) => return false,
            _ => self.stream = None,
        }
        if self.head.len() < FRAME_HEAD_BYTES {
            return false;
        }
        // Length in three bytes, type, flags, stream 0.
        let is_settings = self.head[3] == 4 && self.head[5..] == [0; 4];
        if !is_settings {
            self.stream = None;
        }
        is_settings
    }
}

/// Connects and says what an HTTP/2 client says first: the preface and empty SETTINGS.
fn hello(socket: &Path, wait: Duration) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    stream.set_write_timeout(Some(wait)).ok()?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").ok()?;
    Some(stream)
}

fn is_later(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(kind, Interrupted | TimedOut | WouldBlock)
}

const FRAME_HEAD_BYTES: usize = 9;
