//! How a peer's bytes come and go: one non-blocking socket, whatever lies between it and the peer.
//!
//! A [`Socket`] is a file descriptor and up to three layers above it: TLS ([`tls`]), bytes that were read together with
//! the answer to an HTTP upgrade, and the frames in which Docker sends a container's output ([`multiplexed`]). Those who
//! read and write see only the peer's bytes. A program that carries the bytes ([`command`]) is a socket too.

use std::{
    error, fmt,
    io::{self, IoSlice, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with, sockopt},
};

pub mod command;
pub mod multiplexed;
pub mod tls;
mod tls_error;
mod witness;

use command::Carrier;
use multiplexed::Demultiplexer;
use tls::{TlsError, TlsLayer};
pub use witness::{Greeting, Witness};

/// A connected, non-blocking socket. Reading and writing need only `&self`, as the kernel's sockets do.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    /// `None`: the stream's bytes are the peer's.
    layers: Option<Mutex<Layers>>,
    witness: Arc<Witness>,
    /// Ended with the socket.
    carrier: Option<Carrier>,
    /// The peer was told that no more comes: its own end is no surprise.
    is_shut: AtomicBool,
}

/// How long the last words of a program may come after the end of its output.
const WORDS_PATIENCE: Duration = Duration::from_millis(300);

/// The program that carried the connection, here or in a container, has ended; inside an [`io::Error`].
#[derive(Debug)]
pub struct CarrierEnded {
    /// What it said last on its standard error; may be empty.
    pub words: String,
}

impl CarrierEnded {
    /// Finds it inside an error of the connection.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for CarrierEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the program that carries the connection ended")?;
        if self.words.is_empty() { Ok(()) } else { write!(f, ": {}", self.words) }
    }
}

impl error::Error for CarrierEnded {}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// From the stream upwards. Only one thread uses a socket at a time: the lock is never waited for.
#[derive(Debug, Default)]
struct Layers {
    tls: Option<TlsLayer>,
    /// Read already, not yet given out.
    early: Vec<u8>,
    frames: Option<Demultiplexer>,
}

/// Connects to a socket file.
///
/// # Errors
/// As the system gives them: absent, permission denied, refused.
pub fn connect_unix(path: &Path) -> io::Result<Socket> {
    Socket::unix(UnixStream::connect(path)?)
}

/// The same, for at most `timeout` where the listener's queue is full.
///
/// # Errors
/// As the system gives them; `WouldBlock` when the time is over.
pub fn connect_unix_within(path: &Path, timeout: Duration) -> io::Result<Socket> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Counts for connecting too (Linux, `unix_stream_connect`); a non-blocking socket does not heed it later.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(timeout))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Socket::unix(socket.into())
}

/// Connects to the first address of `host` that answers within `timeout` in all.
///
/// # Errors
/// The last address's error, or that the name has no address.
pub fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<Socket> {
    let deadline = Instant::now() + timeout;
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    connect_any(&addresses, deadline)
}

fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> io::Result<Socket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (at, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // One that swallows everything must not take the time of those that follow, as Go's `net.Dial` has it.
        match TcpStream::connect_timeout(address, left / (addresses.len() - at) as u32) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                stream.set_nonblocking(true)?;
                return Ok(Socket::new(Stream::Tcp(stream)));
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// A peer whose machine is gone says nothing: a wait for its answer would have no end. Times as of Go's `net.Dial`,
/// with which other clients of BuildKit connect.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(stream, 9)?;
    Ok(())
}

/// Two ends joined inside the process: a daemon for tests.
///
/// # Errors
/// No file descriptors left.
pub fn memory() -> io::Result<(Socket, Socket)> {
    let (a, b) = UnixStream::pair()?;
    Ok((Socket::unix(a)?, Socket::unix(b)?))
}

impl Socket {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            layers: None,
            witness: Arc::default(),
            carrier: None,
            is_shut: AtomicBool::new(false),
        }
    }

    /// Takes over a connected stream.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn unix(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::new(Stream::Unix(stream)))
    }

    /// What is known of the connection besides its bytes; outlives it.
    pub fn witness(&self) -> &Arc<Witness> {
        &self.witness
    }

    /// Gives `bytes` out before all that will be read: they came together with the answer to an HTTP upgrade.
    pub(crate) fn unread(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.layers_mut().early.extend(bytes);
        }
    }

    /// From now on what is read comes in Docker's frames.
    pub(crate) fn demultiplex(&mut self) {
        // What was seen so far was the engine's.
        self.witness = Arc::default();
        let frames = Demultiplexer::new(Arc::clone(&self.witness));
        self.layers_mut().frames = Some(frames);
    }

    fn layers_mut(&mut self) -> &mut Layers {
        let layers = self.layers.get_or_insert_default();
        layers.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> Option<MutexGuard<'_, Layers>> {
        Some(self.layers.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads what is there; zero bytes are the end.
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let read = match self.lock() {
            None => self.stream.read(buf),
            Some(mut layers) => layers.read(&self.stream, buf),
        };
        match read {
            Ok(0) if !buf.is_empty() && self.is_carried() => Err(self.carrier_ended()),
            Ok(n) => {
                self.witness.on_read(&buf[..n]);
                Ok(n)
            }
            Err(e) => Err(self.explain(e)),
        }
    }

    /// Writes what fits.
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let written = match self.tls() {
            None => self.stream.write(buf),
            Some(mut layers) => layers.tls_mut()?.write(&self.stream, buf),
        };
        written.map_err(|e| self.explain(e))
    }

    /// Writes what fits of several buffers.
    pub(crate) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = match self.tls() {
            None => self.stream.write_vectored(bufs),
            Some(mut layers) => layers.tls_mut()?.write_vectored(&self.stream, bufs),
        };
        written.map_err(|e| self.explain(e))
    }

    /// Hands all that was written to the system.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let flushed = self.tls().map_or(Ok(()), |mut layers| layers.tls_mut()?.flush(&self.stream));
        flushed.map_err(|e| self.explain(e))
    }

    /// What the error of a broken connection means.
    fn explain(&self, error: io::Error) -> io::Error {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match error.kind() {
            BrokenPipe | ConnectionReset if self.is_carried() => self.carrier_ended(),
            io::ErrorKind::WouldBlock => error,
            _ => {
                let has_certificate = self.tls().is_some_and(|mut layers| {
                    layers.tls_mut().is_ok_and(|tls| tls.has_certificate())
                });
                if let Some(why) = TlsError::in_io(&error) {
                    self.witness.on_tls_error(why.knowing_us(has_certificate));
                }
                error
            }
        }
    }

    /// Whether a program that can have something to say lies between us and the peer.
    fn is_carried(&self) -> bool {
        let is_container = || self.lock().is_some_and(|layers| layers.frames.is_some());
        !self.is_shut.load(Ordering::Relaxed) && (self.carrier.is_some() || is_container())
    }

    /// The connection is over, so nobody else can be kept waiting for the words.
    fn carrier_ended(&self) -> io::Error {
        let words = self.witness.last_words(WORDS_PATIENCE);
        io::Error::new(io::ErrorKind::ConnectionAborted, CarrierEnded { words })
    }

    /// Whether something was written that the system has not taken yet.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls().is_some_and(|mut layers| layers.tls_mut().is_ok_and(|tls| tls.wants_write()))
    }

    fn tls(&self) -> Option<MutexGuard<'_, Layers>> {
        self.lock().filter(|layers| layers.tls.is_some())
    }

    /// Says that no more bytes will come; a socket that is gone already has been told.
    pub(crate) fn shutdown_write(&self) {
        self.is_shut.store(true, Ordering::Relaxed);
        if let Some(mut layers) = self.tls()
            && let Ok(tls) = layers.tls_mut()
        {
            tls.close(&self.stream);
        }
        drop(match &self.stream {
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
        });
    }

    /// What to wait on before reading or writing again.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Unix(s) => s.as_fd(),
            Stream::Tcp(s) => s.as_fd(),
        }
    }

    /// Whether reading would give something, if only the end, at once.
    pub(crate) fn is_readable(&self) -> bool {
        if self.lock().is_some_and(|layers| layers.has_buffered()) {
            return true;
        }
        let mut fds = [PollFd::from_borrowed_fd(self.fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|n| n > 0)
    }

    /// This socket as a stream whose calls wait, until `deadline` at most.
    pub(crate) fn blocking(&self, deadline: Option<Instant>) -> Blocking<'_> {
        Blocking { socket: self, deadline }
    }
}

impl Stream {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => (&mut &*s).read(buf),
            Self::Tcp(s) => (&mut &*s).read(buf),
        }
    }

    fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => (&mut &*s).write(buf),
            Self::Tcp(s) => (&mut &*s).write(buf),
        }
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => (&mut &*s).write_vectored(bufs),
            Self::Tcp(s) => (&mut &*s).write_vectored(bufs),
        }
    }
}

impl Layers {
    fn read(&mut self, stream: &Stream, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = if self.early.is_empty() {
                match &mut self.tls {
                    Some(tls) => tls.read(stream, buf)?,
                    None => stream.read(buf)?,
                }
            } else {
                let n = buf.len().min(self.early.len());
                buf[..n].copy_from_slice(&self.early[..n]);
                self.early.drain(..n);
                n
            };
            let Some(frames) = &mut self.frames else { return Ok(n) };
            let kept = frames.strip(&mut buf[..n])?;
            if kept > 0 || n == 0 {
                return Ok(kept);
            }
        }
    }

    fn has_buffered(&self) -> bool {
        !self.early.is_empty() || self.tls.as_ref().is_some_and(TlsLayer::has_buffered)
    }

    fn tls_mut(&mut self) -> io::Result<&mut TlsLayer> {
        self.tls.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// A socket whose calls wait.
#[derive(Debug)]
pub(crate) struct Blocking<'a> {
    socket: &'a Socket,
    deadline: Option<Instant>,
}

impl Blocking<'_> {
    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // Only a duration of more than 68 years would be refused.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::from_borrowed_fd(self.socket.fd(), flags)], left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn settle<T>(
        &self,
        flags: PollFlags,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match operation() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.wait(flags)?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl io::Read for Blocking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.settle(PollFlags::IN, || self.socket.read(buf))
    }
}

impl io::Write for Blocking<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.settle(PollFlags::OUT, || self.socket.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle(PollFlags::OUT, || self.socket.flush())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_tcp_connection_notices_that_the_other_machine_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = connect_tcp("127.0.0.1", port, Duration::from_secs(5)).unwrap();
        let Stream::Tcp(stream) = &socket.stream else { panic!("not TCP") };
        assert!(sockopt::socket_keepalive(stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(stream).unwrap(), Duration::from_secs(15));
    }

    #[test]
    fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        // A queue that is full drops what knocks.
        let full = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&full, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&full, 0).unwrap();
        let silent = SocketAddr::try_from(rustix::net::getsockname(&full).unwrap()).unwrap();
        let _first = TcpStream::connect(silent).unwrap();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [silent, good.local_addr().unwrap()];
        let socket = connect_any(&addresses, Instant::now() + Duration::from_secs(2)).unwrap();
        let Stream::Tcp(stream) = &socket.stream else { panic!("not TCP") };
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    }

    #[test]
    fn bytes_that_came_early_are_read_first_and_only_once() {
        let (mut a, b) = memory().unwrap();
        a.unread(b"early".to_vec());
        assert!(a.is_readable());
        let mut buf = [0; 3];
        assert_eq!(a.read(&mut buf).unwrap(), 3);
        assert_eq!(&buf, b"ear");
        b.write(b"late").unwrap();
        let mut all = Vec::new();
        b.shutdown_write();
        a.blocking(None).read_to_end(&mut all).unwrap();
        assert_eq!(all, b"lylate");
    }

    #[test]
    fn a_blocking_read_gives_up_at_its_deadline() {
        let (a, _b) = memory().unwrap();
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = a.blocking(Some(deadline)).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
