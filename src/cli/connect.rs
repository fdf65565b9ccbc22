//! Candidates → the first daemon that answers, or a private one, or the account of why none does.

use std::{
    cell::Cell,
    io::{self, Write as _},
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::{
    cli::{args::DaemonArgs, env::Environment},
    control::DaemonError,
    daemonless::{Daemonless, DaemonlessError, Notice, Options, find_program},
    endpoint::{
        Candidate, Endpoint, Installed, NotReachable, Place, Reason, Surroundings, candidates,
    },
    error::{Error, Kind},
    grpc::{Cancel, Code},
    solve::Connection,
    transport::{Socket, connect_tcp, connect_unix},
};

/// How long one address may take to accept (buildctl waits as long).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often Ctrl-C is looked for meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A daemon that answered.
pub(crate) struct Reached {
    pub(crate) connection: Connection,
    pub(crate) endpoint: Endpoint,
    /// Ended when this is dropped; after the connection.
    pub(crate) private: Option<Daemonless>,
}

/// Connects to the first candidate that is a BuildKit daemon.
pub(crate) fn reach(
    args: &DaemonArgs,
    env: &Environment,
    cancel: &Cancel,
) -> Result<Reached, Error> {
    let around = Surroundings {
        flag: args.buildkit.as_deref(),
        buildkit_host: env.buildkit_host.as_deref(),
        xdg_runtime_dir: env.xdg_runtime_dir.as_deref(),
        uid: rustix::process::getuid().as_raw(),
        docker: &[],
    };
    let candidates = candidates(&around).map_err(|e| {
        let error = Error::from_error(Kind::Usage, e);
        match around.flag {
            Some(_) => error,
            None => error.hint("the address is that of `BUILDKIT_HOST`"),
        }
    })?;
    let mut tried: Vec<(Candidate, Reason)> = Vec::new();
    for candidate in candidates {
        let endpoint = match &candidate.place {
            Place::BuildKit(endpoint) => endpoint.clone(),
            // None is asked for yet.
            Place::Docker(_) => continue,
        };
        match connect(&endpoint, cancel) {
            Ok(connection) => return Ok(Reached { connection, endpoint, private: None }),
            Err(Refusal::Unusable(error)) => return Err(error),
            Err(Refusal::NotThere(reason)) => tried.push((candidate, reason)),
        }
    }
    if args.daemonless {
        return start_private(args, env, cancel);
    }
    let buildkitd = env.path.as_deref().and_then(|path| find_program("buildkitd", path));
    let installed = Installed { buildkitd, ..Installed::default() };
    Err(not_reachable(NotReachable::new(tried, &installed)))
}

/// Starts a daemon of our own; its cache is kept for the next build.
fn start_private(args: &DaemonArgs, env: &Environment, cancel: &Cancel) -> Result<Reached, Error> {
    let Some(cache_dir) = &env.cache_dir else {
        return Err(Error::new(Kind::Usage, "`--daemonless` needs a folder for its cache")
            .hint("set HOME or XDG_CACHE_HOME"));
    };
    let search_path = env.path.clone().unwrap_or_default();
    let mut options = Options::new(search_path, cache_dir.clone(), env.runtime_dir.clone());
    options.rootless = !rustix::process::getuid().is_root();
    options.config.clone_from(&args.buildkitd_config);
    let is_told = Cell::new(false);
    let mut watch = |notice: Notice<'_>| {
        if let (Notice::WaitingForLock(path), false) = (notice, is_told.replace(true)) {
            let text = "waiting for another build with a private daemon";
            // Without a standard error the wait is silent.
            drop(writeln!(io::stderr(), "{text} ({})", path.display()));
        }
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let private = Daemonless::start(&options, &mut watch).map_err(daemonless_error)?;
    let endpoint = private.endpoint();
    match connect(&endpoint, cancel) {
        Ok(connection) => Ok(Reached { connection, endpoint, private: Some(private) }),
        Err(Refusal::Unusable(error)) => Err(error),
        Err(Refusal::NotThere(reason)) => {
            let text =
                format!("the private daemon does not answer: {reason}\n{}", private.log_tail());
            Err(Error::new(Kind::NoDaemon, text))
        }
    }
}

fn daemonless_error(error: DaemonlessError) -> Error {
    let kind = match &error {
        DaemonlessError::Interrupted => Kind::Interrupted,
        _ => Kind::NoDaemon,
    };
    let hint = error.hint();
    let mut shown = Error::from_error(kind, error);
    shown.hints.extend(hint.map(str::to_owned));
    shown
}

fn not_reachable(account: NotReachable) -> Error {
    let mut error = Error::new(Kind::NoDaemon, account.to_string());
    error.hints = vec![account.hint];
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
    let socket = open(endpoint, cancel).map_err(|e| match e.kind() {
        io::ErrorKind::Interrupted => interrupted(),
        _ => Refusal::NotThere(Reason::from_io(e)),
    })?;
    let authority = match endpoint {
        Endpoint::Unix(_) => "localhost".to_owned(),
        Endpoint::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Endpoint::Tcp { host, port } => format!("{host}:{port}"),
        _ => "localhost".to_owned(),
    };
    Connection::open(socket, &authority, cancel).map_err(|error| match error {
        DaemonError::Call(_) if cancel.is_cancelled() => interrupted(),
        error => refusal(error, endpoint),
    })
}

fn interrupted() -> Refusal {
    Refusal::Unusable(Error::new(Kind::Interrupted, "interrupted"))
}

fn refusal(error: DaemonError, endpoint: &Endpoint) -> Refusal {
    match error {
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

/// Connects on a thread of its own: looking up a name, and a socket file whose queue is full, know no time limit.
fn open(endpoint: &Endpoint, cancel: &Cancel) -> io::Result<Socket> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let (tx, opened) = bounded(1);
    let endpoint = endpoint.clone();
    let body = move || {
        let socket = match &endpoint {
            Endpoint::Unix(path) => connect_unix(path),
            Endpoint::Tcp { host, port } => connect_tcp(host, *port, CONNECT_TIMEOUT),
            _ => Err(io::Error::other("this kind of address is not served yet")),
        };
        // It may have come too late.
        drop(tx.send(socket));
    };
    // With the usual stack: the system's resolver has needs of its own.
    thread::Builder::new().name("pbx-connect".to_owned()).spawn(body)?;
    loop {
        match opened.recv_timeout(LOOK_INTERVAL) {
            Ok(socket) => return socket,
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::Other.into()),
            Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
