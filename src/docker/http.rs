//! Docker's API over HTTP/1.1: calls with an answer through `ureq`, upgrades on a socket of their own.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::Uri;
use ureq::{
    Agent,
    config::Config,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport},
    },
};

use crate::{
    docker::{EngineError, dial},
    endpoint::DockerHost,
    transport::{Socket, tls::Inside},
};

/// Longest head of an answer to an upgrade, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most headers of such an answer.
const HEADERS_MAX: usize = 64;
/// Buffers of one connection: requests are small, bodies come in larger pieces.
const BUFFER_BYTES: usize = 64 << 10;
/// Longest text of an engine that is shown.
const MESSAGE_CHARS_MAX: usize = 2000;

/// An agent whose every connection goes to `host`; `is_deaf` is set when the engine takes no more bytes.
pub(super) fn agent(
    host: &DockerHost,
    connect_timeout: Duration,
    is_deaf: Arc<AtomicBool>,
) -> Agent {
    let config = Config::builder()
        .http_status_as_error(false)
        // The environment's proxies are for the network; an engine is a socket, or was named.
        .proxy(None)
        .max_redirects(0)
        .max_idle_connections(1)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .user_agent(concat!("peelbox/", env!("CARGO_PKG_VERSION")))
        .build();
    let connector = EngineConnector { host: host.clone(), timeout: connect_timeout, is_deaf };
    Agent::with_parts(config, connector, NoNames)
}

/// The engine's address is known: the name in a request's URI is only for its `Host` header.
#[derive(Debug)]
struct NoNames;

impl Resolver for NoNames {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut list = self.empty();
        list.push(SocketAddr::from(([0, 0, 0, 0], 0)));
        Ok(list)
    }
}

#[derive(Debug)]
struct EngineConnector {
    host: DockerHost,
    timeout: Duration,
    is_deaf: Arc<AtomicBool>,
}

impl Connector for EngineConnector {
    type Out = EngineTransport;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<EngineTransport>, ureq::Error> {
        let socket = dial(&self.host, Inside::Http1, self.timeout)
            .map_err(|e| ureq::Error::Other(Box::new(e)))?;
        let buffers = LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES);
        self.is_deaf.store(false, Ordering::Relaxed);
        Ok(Some(EngineTransport { socket, buffers, is_deaf: Arc::clone(&self.is_deaf) }))
    }
}

/// One connection.
#[derive(Debug)]
struct EngineTransport {
    socket: Socket,
    buffers: LazyBuffers,
    /// The engine takes no more bytes; what it has to say can still be read.
    is_deaf: Arc<AtomicBool>,
}

fn deadline(timeout: NextTimeout) -> Option<Instant> {
    timeout.not_zero().map(|left| Instant::now() + *left)
}

fn failed(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    }
}

impl Transport for EngineTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// An engine that refuses a body answers and closes while the body still comes. Its answer says why; a broken
    /// pipe does not. So it is no failure here, and what follows is not sent: reading the answer tells.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        if self.is_deaf.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut stream = self.socket.blocking(deadline(timeout));
        let output = &self.buffers.output()[..amount];
        match stream.write_all(output).and_then(|()| stream.flush()) {
            Err(e) if matches!(e.kind(), BrokenPipe | ConnectionReset) => {
                self.is_deaf.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(e) => Err(failed(e, timeout)),
            Ok(()) => Ok(()),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let mut stream = self.socket.blocking(deadline(timeout));
        let n = stream.read(self.buffers.input_append_buf()).map_err(|e| failed(e, timeout))?;
        self.buffers.input_appended(n);
        Ok(n > 0)
    }

    fn is_open(&mut self) -> bool {
        // Nothing may come between two calls: what is readable is the end.
        !self.is_deaf.load(Ordering::Relaxed) && !self.socket.is_readable()
    }
}

/// What a socket becomes when the engine agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/2 without TLS.
    H2c,
    /// Bytes of a process.
    Tcp,
}

impl Protocol {
    fn token(self) -> &'static str {
        match self {
            Self::H2c => "h2c",
            Self::Tcp => "tcp",
        }
    }
}

/// Asks on `socket` for another protocol; when the engine agrees, what it sends from then on is to be read next.
///
/// # Errors
/// The engine answered with something else, in its own words, or broke the connection.
pub(super) fn upgrade(
    socket: &mut Socket,
    path: &str,
    protocol: Protocol,
    body: &str,
    deadline: Instant,
) -> Result<(), EngineError> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: {}\r\nUser-Agent: peelbox/{}\r\n",
        protocol.token(),
        env!("CARGO_PKG_VERSION")
    );
    if !body.is_empty() {
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    request += body;
    let mut stream = socket.blocking(Some(deadline));
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush())?;
    let mut answer = Vec::new();
    let mut piece = [0; 2 << 10];
    let head = loop {
        if let Some(head) = read_head(&answer)? {
            break head;
        }
        if answer.len() >= HEAD_BYTES_MAX {
            return Err(EngineError::NotDocker("its answer has no end".to_owned()));
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            n => answer.extend_from_slice(&piece[..n]),
        }
    };
    let mut rest = answer.split_off(head.len);
    if head.status == 101 {
        socket.unread(rest);
        return Ok(());
    }
    // An error has a short body; what is not there yet comes soon.
    while rest.len() < head.body_len.unwrap_or(0).min(HEAD_BYTES_MAX) {
        match stream.read(&mut piece) {
            Ok(n @ 1..) => rest.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    Err(EngineError::Refused { status: head.status, message: message(&rest) })
}

/// Status line and headers of an answer.
struct Head {
    status: u16,
    /// Bytes of the head itself.
    len: usize,
    body_len: Option<usize>,
}

/// `None`: there is more to come.
fn read_head(bytes: &[u8]) -> Result<Option<Head>, EngineError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(len)) => {
            let length = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let body_len =
                length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
            Ok(Some(Head { status: response.code.unwrap_or(0), len, body_len }))
        }
        Err(e) => Err(EngineError::NotDocker(format!("it does not speak HTTP ({e})"))),
    }
}

/// Takes `data` for an answer to an upgrade; must not panic.
#[doc(hidden)]
pub fn fuzz_upgrade_response(data: &[u8]) {
    if let Ok(Some(head)) = read_head(data) {
        assert!(head.len <= data.len());
    }
    assert!(!message(data).contains('\n'));
}

/// The text of an engine's error (`{"message": "…"}`), on one line.
pub(super) fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Answer {
        message: String,
    }
    let text = serde_json::from_slice(body).map(|answer: Answer| answer.message);
    one_line(&text.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned()))
}

/// Text of a peer as it may be shown.
pub(super) fn one_line(text: &str) -> String {
    crate::terminal_text::one_line(text).trim().chars().take(MESSAGE_CHARS_MAX).collect()
}

/// A reference or an id as one part of a path or query.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, transport::memory};

    /// An engine that answers with these bytes; what the client then reads, or its error.
    fn check(answer: &[u8]) -> Result<Vec<u8>, String> {
        let (mut client, engine) = memory().unwrap();
        engine.blocking(None).write_all(answer).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        upgrade(&mut client, "/grpc", Protocol::H2c, "", deadline).map_err(|e| e.to_string())?;
        engine.shutdown_write();
        let mut rest = Vec::new();
        client.blocking(Some(deadline)).read_to_end(&mut rest).unwrap();
        Ok(rest)
    }

    #[test]
    fn bytes_that_follow_the_answer_belong_to_the_new_protocol() {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04";
        assert_eq!(check(answer).unwrap(), b"\0\0\0\x04");
    }

    #[test]
    fn an_engine_that_refuses_says_why() {
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 29\r\n\r\n{\"message\":\"page not found\"}\n";
        assert!(check(answer).unwrap_err().contains("page not found"));
        assert!(check(b"SSH-2.0-OpenSSH_9\r\n").unwrap_err().contains("HTTP"));
    }

    #[test]
    fn a_reference_is_one_part_of_a_path() {
        assert_eq!(Escaped("docker.io/a/b:1?x y").to_string(), "docker.io/a/b:1%3Fx%20y");
    }

    #[test]
    fn no_answer_makes_it_panic() {
        let seed = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nContent-Length: 9\r\n\r\nabc";
        mutate(seed, b"\r\n: 1{}\"", 2000, fuzz_upgrade_response);
    }
}
