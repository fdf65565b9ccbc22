//! One call of a credential helper: `docker-credential-NAME get`, the server on its input,
//! JSON on its output.

use std::{
    ffi::OsStr,
    io::{self, Read, Write as _},
    os::fd::AsFd,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use serde::Deserialize;

use crate::credentials::{Credential, CredentialsError, Secret};

/// What to ask, and how long to wait.
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) server: &'a str,
    pub(super) search_path: Option<&'a OsStr>,
    pub(super) patience: Duration,
}

/// A helper's answer; no `Debug`, it holds the secret.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

impl Call<'_> {
    /// Runs the helper; `None` if it knows nothing of the server.
    pub(super) fn get(&self) -> Result<Option<Credential>, CredentialsError> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.starts_with(['-', '.']) || !self.name.chars().all(known) {
            return Err(CredentialsError::BadHelperName(self.name.to_owned()));
        }
        let program = format!("docker-credential-{}", self.name);
        let mut child = self.spawn(&program)?;
        let spoken = self.listen(&mut child);
        // Whatever happened: no helper stays behind, and none stays a zombie.
        drop(child.kill());
        drop(child.wait());
        let run = |source| CredentialsError::HelperRun { program: program.clone(), source };
        let Some(Spoken { status, stdout, stderr }) = spoken.map_err(run)? else {
            return Err(CredentialsError::HelperTimeout { program, patience: self.patience });
        };
        if !status.success() {
            if String::from_utf8_lossy(&stdout).contains(NOT_FOUND) {
                return Ok(None);
            }
            let said = last_words(&stdout, &stderr, status);
            return Err(CredentialsError::HelperFailed {
                program,
                server: self.server.to_owned(),
                said,
            });
        }
        let Ok(answer) = serde_json::from_slice::<Answer>(&stdout) else {
            return Err(CredentialsError::HelperAnswer { program });
        };
        Ok(match answer {
            Answer { secret, .. } if secret.is_empty() => None,
            Answer { username, secret } if username == TOKEN_USER => {
                Some(Credential { username: String::new(), secret: Secret::new(secret) })
            }
            Answer { username, secret } => {
                Some(Credential { username, secret: Secret::new(secret) })
            }
        })
    }

    fn spawn(&self, program: &str) -> Result<Child, CredentialsError> {
        let mut command = Command::new(program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(path) = self.search_path {
            command.env("PATH", path);
        }
        command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CredentialsError::HelperMissing {
                program: program.to_owned(),
                server: self.server.to_owned(),
            },
            _ => CredentialsError::HelperRun { program: program.to_owned(), source },
        })
    }

    /// Sends the server and gathers what comes until the helper ends; `None` when the time
    /// is over.
    fn listen(&self, child: &mut Child) -> io::Result<Option<Spoken>> {
        let deadline = Instant::now() + self.patience;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not care to read is no error. The line fits into the pipe.
            drop(writeln!(stdin, "{}", self.server));
        }
        let mut stdout = Gathered::new(child.stdout.take());
        let mut stderr = Gathered::new(child.stderr.take());
        loop {
            let status = child.try_wait()?;
            let left = deadline.saturating_duration_since(Instant::now());
            // After its end only what is in the pipes already: a grandchild may hold them open.
            let wait = if status.is_some() { Duration::ZERO } else { left.min(LOOK_INTERVAL) };
            let more = gather([&mut stdout, &mut stderr], wait)?;
            match status {
                Some(status) if !more => {
                    return Ok(Some(Spoken { status, stdout: stdout.bytes, stderr: stderr.bytes }));
                }
                None if left.is_zero() => return Ok(None),
                _ => {}
            }
        }
    }
}

/// What a helper said in its life.
struct Spoken {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// The end of a pipe; of what comes only the last bytes are kept.
struct Gathered<R> {
    /// `None` after the end.
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Gathered<R> {
    fn new(pipe: Option<R>) -> Self {
        Self { pipe, bytes: Vec::new() }
    }

    /// Reads once; only to be called when the pipe has something.
    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut buffer = [0; 4096];
        match pipe.read(&mut buffer)? {
            0 => self.pipe = None,
            n => {
                self.bytes.extend_from_slice(&buffer[..n]);
                if self.bytes.len() > SPOKEN_MAX_BYTES {
                    self.bytes.drain(..self.bytes.len() - SPOKEN_MAX_BYTES);
                }
            }
        }
        Ok(())
    }
}

/// A pipe of either kind.
trait Gather {
    fn poll_fd(&self) -> Option<PollFd<'_>>;
    fn read(&mut self) -> io::Result<()>;
}

impl<R: Read + AsFd> Gather for Gathered<R> {
    fn poll_fd(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN))
    }

    fn read(&mut self) -> io::Result<()> {
        Self::read(self)
    }
}

/// Waits for either pipe, reads what is there, and tells whether something was.
fn gather(pipes: [&mut dyn Gather; 2], wait: Duration) -> io::Result<bool> {
    let mut ready = [false; 2];
    {
        let mut fds = Vec::with_capacity(2);
        let mut which = Vec::with_capacity(2);
        for (n, pipe) in pipes.iter().enumerate() {
            if let Some(fd) = pipe.poll_fd() {
                fds.push(fd);
                which.push(n);
            }
        }
        let timeout = Timespec::try_from(wait).unwrap_or_default();
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for (fd, n) in fds.iter().zip(which) {
            ready[n] = !fd.revents().is_empty();
        }
    }
    for (pipe, ready) in pipes.into_iter().zip(ready) {
        if ready {
            pipe.read()?;
        }
    }
    Ok(ready.contains(&true))
}

/// Puts the end of what a failed helper said on one line. Its stdout counts only when it is
/// plain words: there its answer would be, secret and all.
fn last_words(stdout: &[u8], stderr: &[u8], status: ExitStatus) -> String {
    let plain = !stdout.contains(&b'{');
    let words = if stderr.trim_ascii().is_empty() && plain { stdout } else { stderr };
    let words = String::from_utf8_lossy(words.trim_ascii()).into_owned();
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let skip = line.chars().count().saturating_sub(WORDS_MAX_CHARS);
    match (line.is_empty(), skip) {
        (true, _) => status.to_string(),
        (false, 0) => line,
        (false, _) => format!("…{}", line.chars().skip(skip).collect::<String>()),
    }
}

/// What a helper says on its stdout when it knows nothing
/// (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found in native keychain";

/// The user name that marks an identity token (Docker CLI, `cli/config/credentials`).
const TOKEN_USER: &str = "<token>";

/// An answer is some hundred bytes, with a large token a few thousand.
const SPOKEN_MAX_BYTES: usize = 256 * 1024;

const WORDS_MAX_CHARS: usize = 400;

/// How often to look whether the helper has ended while its pipes are open.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
