//! How a daemon's bytes come and go: one non-blocking socket.

use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::{Shutdown, TcpStream, ToSocketAddrs as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

use rustix::net::sockopt;

/// A connected, non-blocking socket. Reading and writing need only `&self`, as the kernel's sockets do.
#[derive(Debug)]
pub enum Socket {
    /// `unix://`, and the two ends of [`memory`].
    Unix(UnixStream),
    /// `tcp://`.
    Tcp(TcpStream),
}

/// Connects to a socket file.
///
/// # Errors
/// As the system gives them: absent, permission denied, refused.
pub fn connect_unix(path: &Path) -> io::Result<Socket> {
    let stream = UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    Ok(Socket::Unix(stream))
}

/// Connects to the first address of `host` that answers within `timeout` in all.
///
/// # Errors
/// The last address's error, or that the name has no address.
pub fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<Socket> {
    let deadline = Instant::now() + timeout;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                stream.set_nonblocking(true)?;
                return Ok(Socket::Tcp(stream));
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
    a.set_nonblocking(true)?;
    b.set_nonblocking(true)?;
    Ok((Socket::Unix(a), Socket::Unix(b)))
}

impl Socket {
    /// Reads what is there; zero bytes are the end.
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => (&mut &*s).read(buf),
            Self::Tcp(s) => (&mut &*s).read(buf),
        }
    }

    /// Writes what fits.
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => (&mut &*s).write(buf),
            Self::Tcp(s) => (&mut &*s).write(buf),
        }
    }

    /// Writes what fits of several buffers.
    pub(crate) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => (&mut &*s).write_vectored(bufs),
            Self::Tcp(s) => (&mut &*s).write_vectored(bufs),
        }
    }

    /// Says that no more bytes will come; a socket that is gone already has been told.
    pub(crate) fn shutdown_write(&self) {
        drop(match self {
            Self::Unix(s) => s.shutdown(Shutdown::Write),
            Self::Tcp(s) => s.shutdown(Shutdown::Write),
        });
    }

    /// What to wait on before reading again.
    pub(crate) fn read_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(s) => s.as_fd(),
            Self::Tcp(s) => s.as_fd(),
        }
    }

    /// What to wait on before writing again.
    pub(crate) fn write_fd(&self) -> BorrowedFd<'_> {
        self.read_fd()
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
        let Socket::Tcp(stream) = socket else { panic!("not TCP") };
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), Duration::from_secs(15));
    }
}
