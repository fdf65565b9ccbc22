//! A program that carries a daemon's bytes: `ssh … dial-stdio` and its like.

use std::{
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use crate::transport::Socket;

/// The program under way; it is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Carrier {
    child: Child,
}

/// Starts the program of `words`; its standard input and output are the other end of the socket, and it ends with it.
///
/// Both are one socket pair and no pipes: so a carrier is a socket like any other, and can be told that no more comes.
/// What it says on standard error is kept by the socket's witness.
///
/// # Errors
/// The program cannot be started: it is not there, or may not be run.
pub fn start(words: &[String]) -> io::Result<Socket> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let (ours, theirs) = UnixStream::pair()?;
    let mut socket = Socket::unix(ours)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(OwnedFd::from(theirs.try_clone()?))
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stderr) = child.stderr.take() {
        let witness = Arc::clone(socket.witness());
        let listen = move || {
            let mut buf = [0; 1 << 10];
            while let Ok(n @ 1..) = stderr.read(&mut buf) {
                witness.on_words(&buf[..n]);
            }
        };
        thread::Builder::new().name("pbx-stderr".to_owned()).stack_size(64 << 10).spawn(listen)?;
    }
    socket.carrier = Some(Carrier { child });
    Ok(socket)
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // Fails when it has ended, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn bytes_go_through_the_program_and_its_complaints_are_kept() {
        let socket = start(&words(&["sh", "-c", "echo careful >&2; exec cat"])).unwrap();
        let mut stream = socket.blocking(None);
        stream.write_all(b"there and back").unwrap();
        socket.shutdown_write();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        assert_eq!(all, "there and back");
        let witness = Arc::clone(socket.witness());
        drop(socket);
        // Its standard error is closed by now: the thread that listens ends.
        while Arc::strong_count(&witness) > 1 {
            thread::yield_now();
        }
        assert_eq!(witness.words(), "careful");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = start(&words(&["/no/such/program"])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(start(&[]).is_err());
    }
}
