//! Candidates → the first daemon that answers, or a private one, or the account of why none does.

use std::{io, path::Path, time::Duration};

use crate::{
    cli::{args::DaemonArgs, env::Environment},
    control::DaemonError,
    daemonless::{Daemonless, Options},
    endpoint::{Candidate, Endpoint, NotReachable, Reason, Surroundings, candidates},
    error::{Error, Kind},
    grpc::{Cancel, Code},
    solve::Connection,
    transport::{Socket, connect_tcp, connect_unix},
};

/// How long one address may take to accept (buildctl waits as long).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A daemon that answered.
pub(crate) struct Reached {
    pub(crate) connection: Connection,
    pub(crate) endpoint: Endpoint,
    /// Ended when this is dropped; after the connection.
    pub(crate) private: Option<Daemonless>,
}

/// Connects to the first candidate that is a BuildKit daemon.
pub(crate) fn reach(args: &DaemonArgs, env: &Environment, cancel: &Cancel) -> Result<Reached, Error> {
    let around = Surroundings {
        flag: args.buildkit.as_deref(),
        buildkit_host: env.buildkit_host.as_deref(),
        xdg_runtime_dir: env.xdg_runtime_dir.as_deref(),
        uid: rustix::process::getuid().as_raw(),
    };
    let candidates = candidates(&around).map_err(|e| Error::from_error(Kind::Usage, e))?;
    let mut tried: Vec<(Candidate, Reason)> = Vec::new();
    for candidate in candidates {
        match connect(&candidate.endpoint, cancel) {
            Ok(connection) => {
                return Ok(Reached { connection, endpoint: candidate.endpoint, private: None });
            }
            Err(Refusal::Unusable(error)) => return Err(error),
            Err(Refusal::NotThere(reason)) => tried.push((candidate, reason)),
        }
    }
    if args.daemonless {
        return start_private(args, env, cancel);
    }
    let buildkitd = env.path.as_deref().and_then(|path| find_on_path(path, "buildkitd"));
    Err(not_reachable(NotReachable::new(tried, buildkitd.as_deref())))
}

fn not_reachable(account: NotReachable) -> Error {
    let mut error = Error::new(Kind::NoDaemon, account.to_string());
    error.hints = account.hints;
    error
}

/// Why an address gives no connection.
enum Refusal {
    /// The next one may.
    NotThere(Reason),
    /// A daemon answered, but not one to build with.
    Unusable(Error),
}

fn connect(endpoint: &Endpoint, cancel: &Cancel) -> Result<Connection, Refusal> {
    let socket = open(endpoint).map_err(|e| Refusal::NotThere(Reason::from_io(e)))?;
    let authority = match endpoint {
        Endpoint::Unix(_) => "localhost".to_owned(),
        Endpoint::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Endpoint::Tcp { host, port } => format!("{host}:{port}"),
    };
    Connection::open(socket, &authority, cancel).map_err(|error| refusal(error, endpoint))
}

fn refusal(error: DaemonError, endpoint: &Endpoint) -> Refusal {
    match error {
        DaemonError::Call(status) if status.code == Code::Canceled => {
            Refusal::Unusable(Error::new(Kind::Interrupted, "interrupted"))
        }
        DaemonError::Call(status) if status.code == Code::DeadlineExceeded => {
            Refusal::NotThere(Reason::TimedOut)
        }
        DaemonError::Call(status) => Refusal::NotThere(Reason::NotBuildKit(status.to_string())),
        DaemonError::TooOld { .. } => Refusal::Unusable(
            Error::new(Kind::Feature, format!("{error} ({endpoint})"))
                .hint("upgrade the daemon; Docker Engine has such a BuildKit from version 24 on"),
        ),
        DaemonError::NoWorker => Refusal::Unusable(
            Error::new(Kind::Feature, format!("{error} ({endpoint})"))
                .hint("look at the daemon's log: its worker did not start"),
        ),
    }
}

fn open(endpoint: &Endpoint) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Unix(path) => connect_unix(path),
        Endpoint::Tcp { host, port } => connect_tcp(host, *port, CONNECT_TIMEOUT),
    }
}
