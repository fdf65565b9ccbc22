//! A program that carries a daemon's bytes: `ssh … dial-stdio` and its like.

use std::{
    io::{self, Read as _},
    mem,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};

use crate::{threads::spawn_with, transport::Socket};

/// The program under way; it is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Carrier {
    child: Child,
}

/// All programs of this process that are under way.
static UNDER_WAY: Mutex<UnderWay> = Mutex::new(UnderWay { programs: Vec::new(), is_over: false });

struct UnderWay {
    programs: Vec<Pid>,
    /// No more are started.
    is_over: bool,
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
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(OwnedFd::from(theirs.try_clone()?))
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::piped())
        // Ctrl-C of a terminal is for us: the daemon hears of it through the program.
        .process_group(0)
        // So it may not ask the terminal for a password: ssh asks a window, if there is one, or says what it lacks.
        .env("SSH_ASKPASS_REQUIRE", "force");
    let mut child = {
        let mut under_way = under_way();
        if under_way.is_over {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        under_way.programs.push(Pid::from_child(&child));
        child
    };
    let stderr = child.stderr.take();
    socket.carrier = Some(Carrier { child });
    if let Some(mut stderr) = stderr {
        let witness = Arc::clone(socket.witness());
        witness.set_listening(true);
        let listen = move || {
            let mut buf = [0; 1 << 10];
            while let Ok(n @ 1..) = stderr.read(&mut buf) {
                witness.on_words(&buf[..n]);
            }
            witness.set_listening(false);
        };
        spawn_with("pbx-stderr", 64 << 10, listen)?;
    }
    Ok(socket)
}

/// Ends all programs that are under way: the process is about to end and does not wait for those who use them.
pub fn end_all() {
    let mut under_way = under_way();
    under_way.is_over = true;
    let programs = mem::take(&mut under_way.programs);
    programs.iter().copied().for_each(kill);
    // Not every first process of a container takes away the dead that others leave.
    let deadline = Instant::now() + END_PATIENCE;
    for program in programs {
        while waitpid(Some(program), WaitOptions::NOHANG).is_ok_and(|status| status.is_none())
            && Instant::now() < deadline
        {
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// How long programs that were killed may take to end.
const END_PATIENCE: Duration = Duration::from_millis(200);

impl Drop for Carrier {
    fn drop(&mut self) {
        let program = Pid::from_child(&self.child);
        let mut under_way = under_way();
        // Whoever ended it before has done so while its number was still its own.
        if let Some(at) = under_way.programs.iter().position(|one| *one == program) {
            under_way.programs.swap_remove(at);
            kill(program);
        }
        drop(under_way);
        drop(self.child.wait());
    }
}

/// Ends it with what it has started.
fn kill(program: Pid) {
    // Fails when it has ended, which is as good.
    let _ = kill_process_group(program, Signal::KILL);
}

fn under_way() -> MutexGuard<'static, UnderWay> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, time::Duration};

    use super::*;
    use crate::transport::CarrierEnded;

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
        assert_eq!(socket.witness().last_words(Duration::from_secs(20)), "careful");
    }

    #[test]
    fn a_program_that_ends_by_itself_has_the_last_word() {
        let socket = start(&words(&["sh", "-c", "echo early; echo lost it >&2"])).unwrap();
        let mut got = Vec::new();
        let error = socket.blocking(None).read_to_end(&mut got).unwrap_err();
        assert_eq!(got, b"early\n");
        assert_eq!(CarrierEnded::of(&error).unwrap().words, "lost it");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = start(&words(&["/no/such/program"])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(start(&[]).is_err());
    }
}
