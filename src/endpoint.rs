//! Where BuildKit may listen: addresses, the places that are tried, and the account of them
//! when none answers.
//!
//! Nothing here connects. What is in the environment comes as [`Surroundings`].

use std::{
    error, fmt, io,
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

/// An address of a BuildKit daemon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `unix://PATH`
    Unix(PathBuf),
    /// `tcp://HOST:PORT`
    Tcp {
        /// A name or an address; IPv6 without its brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
}

impl Endpoint {
    /// Reads an address as buildctl's `--addr` takes it, or the bare path of a socket.
    ///
    /// # Errors
    /// [`EndpointError`] says what would be understood.
    pub fn parse(address: &str) -> Result<Self, EndpointError> {
        let wrong = |problem| EndpointError { address: address.to_owned(), problem };
        if let Some((scheme, rest)) = address.split_once("://") {
            return match scheme {
                "unix" => unix(rest),
                "tcp" => tcp(rest),
                "docker-container" | "podman-container" | "nerdctl-container" | "kube-pod"
                | "ssh" | "docker" => Err(Problem::LaterScheme),
                "http" | "https" | "grpc" | "h2c" => Err(Problem::SayTcp),
                _ => Err(Problem::UnknownScheme),
            }
            .map_err(wrong);
        }
        // A path has a slash at its beginning or after its dots; `host:port` has not.
        if address.starts_with(['/', '.']) {
            return unix(address).map_err(wrong);
        }
        Err(wrong(Problem::NoScheme))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// What decides the places to try, gathered by the caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The value of `--buildkit`.
    pub flag: Option<&'a str>,
    /// The value of `BUILDKIT_HOST`; empty counts as unset, as in buildctl.
    pub buildkit_host: Option<&'a str>,
    /// The value of `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<&'a str>,
    /// The user's number.
    pub uid: u32,
}

/// Who named an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `--buildkit`
    Flag,
    /// `BUILDKIT_HOST`
    Environment,
    /// Where a rootless daemon listens by itself.
    RootlessDefault,
    /// Where a daemon of root listens by itself.
    RootDefault,
}

/// An address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// Why there.
    pub origin: Origin,
}

/// Gives the addresses to try, in order.
///
/// An address that was named is the only one: a build must not land on another daemon than
/// the user meant. Never empty.
///
/// # Errors
/// [`EndpointError`] if the named address is not understood.
pub fn candidates(around: &Surroundings<'_>) -> Result<Vec<Candidate>, EndpointError> {
    let buildkit_host = around.buildkit_host.filter(|address| !address.is_empty());
    let named = match (around.flag, buildkit_host) {
        (Some(address), _) => Some((address, Origin::Flag)),
        (None, Some(address)) => Some((address, Origin::Environment)),
        (None, None) => None,
    };
    if let Some((address, origin)) = named {
        return Ok(vec![Candidate { endpoint: Endpoint::parse(address)?, origin }]);
    }
    // BuildKit takes the first of several (v0.32, `util/appdefaults/appdefaults_unix.go`).
    let runtime_dir = around
        .xdg_runtime_dir
        .and_then(|list| list.split(':').next())
        .filter(|dir| dir.starts_with('/'))
        .map(PathBuf::from);
    let runtime_dir = match (runtime_dir, around.uid) {
        (None, 0) => None,
        (None, uid) => Some(PathBuf::from(format!("/run/user/{uid}"))),
        (some, _) => some,
    };
    let rootless = runtime_dir.map(|dir| Candidate {
        endpoint: Endpoint::Unix(dir.join("buildkit/buildkitd.sock")),
        origin: Origin::RootlessDefault,
    });
    let root = Candidate {
        endpoint: Endpoint::Unix(PathBuf::from("/run/buildkit/buildkitd.sock")),
        origin: Origin::RootDefault,
    };
    Ok(rootless.into_iter().chain([root]).collect())
}

/// Why a candidate is no daemon.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such socket.
    Absent,
    /// The socket is somebody else's.
    PermissionDenied,
    /// Nobody listens there.
    Refused,
    /// Nothing came back in time.
    TimedOut,
    /// The network has no way there.
    Unreachable,
    /// Something answers, in words that are not BuildKit's; the text says what.
    NotBuildKit(String),
    /// Anything else the system says.
    Other(io::Error),
}

impl Reason {
    /// Reads the reason from a failed connect.
    pub fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Absent,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            // A blocking socket with a timeout reports it as `WouldBlock`.
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no such socket"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::Refused => f.write_str("connection refused, nobody listens there"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("the network has no way there"),
            Self::NotBuildKit(what) => write!(f, "not BuildKit: {what}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

/// No candidate is a daemon: what was tried, why each failed, what to do.
///
/// `{}` gives the account; `{:#}` adds the hints, one on a line.
#[derive(Debug)]
pub struct NotReachable {
    /// In the order it was tried.
    pub tried: Vec<(Candidate, Reason)>,
    /// What the user can do, each one sentence with the line to type.
    pub hints: Vec<String>,
}

impl NotReachable {
    /// Puts the account together; `buildkitd` is the program if one was found on `PATH`.
    pub fn new(tried: Vec<(Candidate, Reason)>, buildkitd: Option<&Path>) -> Self {
        let hints = hints(&tried, buildkitd);
        Self { tried, hints }
    }
}

impl fmt::Display for NotReachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no BuildKit daemon answers")?;
        for (candidate, reason) in &self.tried {
            let origin = match candidate.origin {
                Origin::Flag => "from `--buildkit`",
                Origin::Environment => "from `BUILDKIT_HOST`",
                Origin::RootlessDefault => "rootless default",
                Origin::RootDefault => "default",
            };
            write!(f, "\n  {} ({origin}): {reason}", candidate.endpoint)?;
        }
        if f.alternate() {
            for hint in &self.hints {
                write!(f, "\nhint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl error::Error for NotReachable {}

/// An address that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointError {
    /// What was given.
    pub address: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// No `scheme://` and not a path.
    NoScheme,
    /// A scheme nobody knows.
    UnknownScheme,
    /// A scheme that peelbox will understand.
    LaterScheme,
    /// A web address, where `tcp://` is meant.
    SayTcp,
    /// `unix://` and nothing more.
    NoPath,
    /// A NUL byte or a line break in the path.
    BadPath,
    /// An abstract socket.
    Abstract,
    /// More bytes than the system takes.
    LongPath,
    /// `tcp://` without a host, or with one that cannot be a host.
    BadHost,
    /// `tcp://` without a port from 1 to 65535.
    BadPort,
    /// More than host and port.
    TcpWithMore,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot understand the address `{}`: ", self.address.escape_debug())?;
        match self.problem {
            Problem::NoScheme | Problem::UnknownScheme => {
                f.write_str("expected `unix://PATH` or `tcp://HOST:PORT`")
            }
            Problem::LaterScheme => f.write_str(
                "this kind of address comes with a later version, use `unix://PATH` or `tcp://HOST:PORT`",
            ),
            Problem::SayTcp => f.write_str("expected `tcp://HOST:PORT`"),
            Problem::NoPath => f.write_str("the path of the socket is missing"),
            Problem::BadPath => f.write_str("the path has a control character"),
            Problem::Abstract => f.write_str("abstract sockets are not served, name a path"),
            Problem::LongPath => {
                write!(f, "the path of a socket has at most {SOCKET_PATH_MAX_BYTES} bytes")
            }
            Problem::BadHost => f.write_str("expected `tcp://HOST:PORT`, the host is not one"),
            Problem::BadPort => {
                f.write_str("expected `tcp://HOST:PORT` with a port from 1 to 65535")
            }
            Problem::TcpWithMore => f.write_str("expected `tcp://HOST:PORT` and nothing behind"),
        }
    }
}

impl error::Error for EndpointError {}

/// Takes `data` for an address; must not panic, and what is printed must be read back.
#[doc(hidden)]
pub fn fuzz_endpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Endpoint::parse(text) {
        Ok(endpoint) => assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint)),
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

fn unix(path: &str) -> Result<Endpoint, Problem> {
    match path {
        "" | "/" => Err(Problem::NoPath),
        _ if path.starts_with('@') => Err(Problem::Abstract),
        _ if path.chars().any(char::is_control) => Err(Problem::BadPath),
        _ if path.len() > SOCKET_PATH_MAX_BYTES => Err(Problem::LongPath),
        _ => Ok(Endpoint::Unix(PathBuf::from(path))),
    }
}

fn tcp(rest: &str) -> Result<Endpoint, Problem> {
    if rest.contains(['/', '?', '#', '@']) {
        return Err(Problem::TcpWithMore);
    }
    let (host, port) = match rest.strip_prefix('[').map(|inner| inner.split_once(']')) {
        Some(Some((host, after))) => {
            let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
            if address.parse::<Ipv6Addr>().is_err() || !is_host(zone) {
                return Err(Problem::BadHost);
            }
            (host, after.strip_prefix(':').ok_or(Problem::BadPort)?)
        }
        Some(None) => return Err(Problem::BadHost),
        None => {
            let (host, port) = rest.rsplit_once(':').ok_or(Problem::BadPort)?;
            if !is_host(host) {
                return Err(Problem::BadHost);
            }
            (host, port)
        }
    };
    // `parse` would take a sign as well.
    let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match port.and_then(|port| port.parse().ok()) {
        None | Some(0) => Err(Problem::BadPort),
        Some(port) => Ok(Endpoint::Tcp { host: host.to_owned(), port }),
    }
}

/// Knows names and IPv4 addresses; the resolver has the last word.
fn is_host(host: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty() && !host.starts_with('-') && host.bytes().all(known)
}

fn hints(tried: &[(Candidate, Reason)], buildkitd: Option<&Path>) -> Vec<String> {
    let mut hints = Vec::new();
    let denied = tried.iter().any(|(_, reason)| matches!(reason, Reason::PermissionDenied));
    if denied {
        hints.push("the socket belongs to another user: join its group, or start a daemon of your own (`rootlesskit buildkitd`)".to_owned());
    }
    match tried.first().map(|(candidate, _)| candidate.origin) {
        Some(Origin::Flag) => {
            hints.push("start that daemon, or leave `--buildkit` out to try the usual sockets".to_owned());
        }
        Some(Origin::Environment) => {
            hints.push("start that daemon, or unset `BUILDKIT_HOST` to try the usual sockets".to_owned());
        }
        _ => match buildkitd {
            Some(program) => hints.push(format!(
                "add `--daemonless` to let peelbox start `{}` for this build, or name a daemon with `--buildkit ADDRESS`",
                program.display()
            )),
            None => {
                hints.push("name a daemon with `--buildkit ADDRESS`, or install BuildKit so that `buildkitd` is on PATH and add `--daemonless`".to_owned());
                hints.push("with Docker: `docker run -d --name buildkitd --privileged -p 127.0.0.1:1234:1234 moby/buildkit --addr tcp://0.0.0.0:1234`, then `--buildkit tcp://127.0.0.1:1234`".to_owned());
            }
        },
    }
    hints
}

/// What fits into `sockaddr_un` with its closing NUL.
const SOCKET_PATH_MAX_BYTES: usize = 107;

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::mutation::mutate;

    fn tcp_to(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.to_owned(), port }
    }

    fn check(address: &str, expected: &Endpoint) {
        assert_eq!(Endpoint::parse(address).as_ref(), Ok(expected), "{address}");
    }

    fn refused(address: &str, expected: Problem, says: &str) {
        let error = Endpoint::parse(address).expect_err(address);
        assert_eq!(error.problem, expected, "{address}");
        let text = error.to_string();
        assert!(text.contains(says), "`{text}` should say `{says}`");
    }

    #[test]
    fn sockets_are_named_by_address_or_by_path() {
        let socket = Endpoint::Unix("/run/x.sock".into());
        check("unix:///run/x.sock", &socket);
        check("/run/x.sock", &socket);
        check("unix://x.sock", &Endpoint::Unix("x.sock".into()));
        check("./a b.sock", &Endpoint::Unix("./a b.sock".into()));
        check(
            &format!("/{}", "x".repeat(106)),
            &Endpoint::Unix(format!("/{}", "x".repeat(106)).into()),
        );
        refused("unix://", Problem::NoPath, "missing");
        refused("/", Problem::NoPath, "missing");
        refused("unix://@x", Problem::Abstract, "abstract");
        refused("unix:///a\0b", Problem::BadPath, "control");
        refused("unix:///a\nb", Problem::BadPath, "\\n");
        refused(&format!("/{}", "x".repeat(107)), Problem::LongPath, "107 bytes");
    }

    #[test]
    fn tcp_addresses_have_a_host_and_a_port() {
        check("tcp://127.0.0.1:1234", &tcp_to("127.0.0.1", 1234));
        check("tcp://buildkit.example:65535", &tcp_to("buildkit.example", 65535));
        check("tcp://[::1]:1234", &tcp_to("::1", 1234));
        check("tcp://[fe80::1%eth0]:1", &tcp_to("fe80::1%eth0", 1));
        for address in ["tcp://host", "tcp://host:", "tcp://host:0", "tcp://host:65536"] {
            refused(address, Problem::BadPort, "65535");
        }
        refused("tcp://host:+80", Problem::BadPort, "65535");
        refused("tcp://[::1]", Problem::BadPort, "65535");
        for address in ["tcp://:1", "tcp://::1:80", "tcp://[x]:1", "tcp://[::1:1", "tcp://-a:1"] {
            refused(address, Problem::BadHost, "not one");
        }
        refused("tcp://host:1/path", Problem::TcpWithMore, "nothing behind");
        refused("tcp://me@host:1", Problem::TcpWithMore, "nothing behind");
    }

    #[test]
    fn schemes_of_later_versions_are_told_apart_from_unknown_ones() {
        for scheme in ["docker-container", "podman-container", "nerdctl-container", "kube-pod"] {
            refused(&format!("{scheme}://x"), Problem::LaterScheme, "comes with a later version");
        }
        refused("ssh://me@host", Problem::LaterScheme, "comes with a later version");
        refused("docker://", Problem::LaterScheme, "comes with a later version");
        refused("https://host:1", Problem::SayTcp, "expected `tcp://HOST:PORT`");
        refused("UNIX:///x", Problem::UnknownScheme, "`unix://PATH`");
        refused("host:1234", Problem::NoScheme, "`unix://PATH` or `tcp://HOST:PORT`");
        refused("", Problem::NoScheme, "``");
    }

    fn addresses(around: &Surroundings<'_>) -> Vec<(String, Origin)> {
        let list = candidates(around).unwrap();
        list.into_iter().map(|one| (one.endpoint.to_string(), one.origin)).collect()
    }

    #[test]
    fn a_named_address_is_the_only_one() {
        let around = Surroundings {
            flag: Some("tcp://a:1"),
            buildkit_host: Some("tcp://b:2"),
            xdg_runtime_dir: Some("/run/user/7"),
            uid: 7,
        };
        assert_eq!(addresses(&around), [("tcp://a:1".into(), Origin::Flag)]);
        let around = Surroundings { flag: None, ..around };
        assert_eq!(addresses(&around), [("tcp://b:2".into(), Origin::Environment)]);
        let wrong = Surroundings { buildkit_host: Some("nonsense"), ..around };
        assert_eq!(candidates(&wrong).unwrap_err().problem, Problem::NoScheme);
        let empty = Surroundings { flag: Some(""), ..around };
        assert_eq!(candidates(&empty).unwrap_err().problem, Problem::NoScheme);
    }

    #[test]
    fn the_usual_sockets_are_tried_rootless_first() {
        let root = || ("unix:///run/buildkit/buildkitd.sock".to_owned(), Origin::RootDefault);
        let own =
            |dir: &str| (format!("unix://{dir}/buildkit/buildkitd.sock"), Origin::RootlessDefault);
        for (xdg_runtime_dir, uid, expected) in [
            (Some("/run/user/7"), 7, vec![own("/run/user/7"), root()]),
            (Some("/x:/y"), 7, vec![own("/x"), root()]),
            (None, 7, vec![own("/run/user/7"), root()]),
            (Some("relative"), 7, vec![own("/run/user/7"), root()]),
            (Some(""), 0, vec![root()]),
            (None, 0, vec![root()]),
            (Some("/run/user/0"), 0, vec![own("/run/user/0"), root()]),
        ] {
            let around = Surroundings { flag: None, buildkit_host: Some(""), xdg_runtime_dir, uid };
            assert_eq!(addresses(&around), expected, "{around:?}");
        }
    }

    #[test]
    fn reasons_are_read_from_what_the_system_really_says() {
        let dir = tempfile::tempdir().unwrap();
        let connect = |path: &Path| Reason::from_io(UnixStream::connect(path).unwrap_err());
        assert!(matches!(connect(&dir.path().join("none")), Reason::Absent));
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(connect(&file), Reason::Refused));
        assert!(matches!(connect(&file.join("below")), Reason::Absent));
        let dead = dir.path().join("dead");
        drop(UnixListener::bind(&dead).unwrap());
        assert!(matches!(connect(&dead), Reason::Refused));
        let other = Reason::from_io(io::Error::other("strange"));
        assert_eq!(other.to_string(), "strange");
        for (kind, text) in [
            (io::ErrorKind::PermissionDenied, "permission denied"),
            (io::ErrorKind::WouldBlock, "no answer in time"),
            (io::ErrorKind::HostUnreachable, "the network has no way there"),
        ] {
            assert_eq!(Reason::from_io(kind.into()).to_string(), text);
        }
    }

    fn tried(around: &Surroundings<'_>, reason: fn() -> Reason) -> Vec<(Candidate, Reason)> {
        candidates(around).unwrap().into_iter().map(|one| (one, reason())).collect()
    }

    #[test]
    fn the_account_tells_every_place_its_reason_and_the_next_step() {
        let around = Surroundings { uid: 7, ..Surroundings::default() };
        let mut list = tried(&around, || Reason::Absent);
        list[1].1 = Reason::PermissionDenied;
        let account = NotReachable::new(list, Some(Path::new("/usr/bin/buildkitd")));
        assert_eq!(
            format!("{account:#}"),
            "no BuildKit daemon answers
  unix:///run/user/7/buildkit/buildkitd.sock (rootless default): there is no such socket
  unix:///run/buildkit/buildkitd.sock (default): permission denied
hint: the socket belongs to another user: join its group, or start a daemon of your own (`rootlesskit buildkitd`)
hint: add `--daemonless` to let peelbox start `/usr/bin/buildkitd` for this build, or name a daemon with `--buildkit ADDRESS`"
        );
        assert!(!account.to_string().contains("hint"));
    }

    #[test]
    fn the_next_step_fits_who_named_the_address() {
        let first_hint = |around: Surroundings<'_>| {
            let list = tried(&around, || Reason::NotBuildKit("it speaks HTTP/1.1".to_owned()));
            NotReachable::new(list, None).hints.swap_remove(0)
        };
        let named =
            |flag, buildkit_host| Surroundings { flag, buildkit_host, ..Default::default() };
        assert!(first_hint(named(Some("tcp://a:1"), None)).contains("leave `--buildkit` out"));
        assert!(first_hint(named(None, Some("tcp://a:1"))).contains("unset `BUILDKIT_HOST`"));
        assert!(first_hint(named(None, None)).contains("install BuildKit"));
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let seeds: [&[u8]; 5] = [
            b"unix:///run/buildkit/buildkitd.sock",
            b"tcp://[fe80::1%eth0]:1234",
            b"tcp://127.0.0.1:1234",
            b"docker-container://x?context=y",
            b"../a\xC3\xA4\x80.sock",
        ];
        for seed in seeds {
            mutate(seed, b":/[]%@.\n\0a1", 2000, fuzz_endpoint);
        }
    }
}
