//! One place → what answers there, or why nothing does that could build.

use std::{
    fmt, io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::places::Places;
use crate::{
    control::DaemonError,
    docker::{Engine, EngineError, context, exec::ContainerError},
    endpoint::{DockerAddress, DockerCandidate, DockerHost, Endpoint, Place, Reason, WANTS_TLS},
    grpc::{Cancel, Code, Status},
    solve::Connection,
    transport::{
        CarrierEnded, Greeting, Socket, Witness, command, connect_tcp, connect_unix_within,
        tls::{Inside, TlsError, TlsFiles},
    },
};

/// How long the words of a program that gave up may be on their way.
const WORDS_PATIENCE: Duration = Duration::from_millis(300);
/// How the daemon's own client speaks on its standard input and output.
const DIAL_STDIO: [&str; 2] = ["buildctl", "dial-stdio"];

/// What a probe needs to know besides the place.
#[derive(Debug, Clone)]
pub(super) struct Prober {
    pub(super) places: Arc<Places>,
    pub(super) cancel: Cancel,
}

/// A daemon that answered.
#[derive(Debug)]
pub struct Found {
    /// The connection to it.
    pub connection: Connection,
    /// The engine it is inside of.
    pub engine: Option<Arc<Engine>>,
}

/// Why a place gives no daemon to build with.
#[derive(Debug)]
pub enum Refusal {
    /// Nothing is there that could be asked.
    NotThere(Reason),
    /// A BuildKit answered that cannot be built with.
    Unfit(DaemonError),
    /// An engine is there, the BuildKit inside it is of no use.
    EngineOnly(Arc<Engine>, Box<Self>),
}

impl Refusal {
    /// For an account of several places.
    pub fn into_reason(self) -> Reason {
        match self {
            Self::NotThere(reason) => reason,
            Self::Unfit(error @ DaemonError::TooOld { .. }) => Reason::TooOld(error.to_string()),
            Self::Unfit(error) => Reason::NotBuildKit(error.to_string()),
            Self::EngineOnly(_, refusal) => refusal.into_reason(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere(reason) => reason.fmt(f),
            Self::Unfit(error) => error.fmt(f),
            Self::EngineOnly(_, refusal) => refusal.fmt(f),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::NotThere(reason)
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self::NotThere(engine_reason(error))
    }
}

impl Prober {
    /// Connects and asks what is there.
    pub(super) fn probe(&self, place: &Place) -> Result<Found, Refusal> {
        match place {
            Place::BuildKit(Endpoint::Docker { context }) => {
                self.embedded(self.docker(context.as_deref())?)
            }
            Place::BuildKit(endpoint) => {
                let connection = self.standalone(endpoint)?;
                Ok(Found { connection, engine: None })
            }
            Place::Docker(Ok(host)) => self.embedded(self.engine(host)?),
            Place::Docker(Err(why)) => Err(Reason::Address(why.clone()).into()),
        }
    }

    /// Asks an engine what it is, and nothing of the BuildKit inside it.
    pub(super) fn probe_engine(&self, place: &Place) -> Result<Arc<Engine>, Reason> {
        match place {
            Place::Docker(Ok(host)) => self.engine(host).map(Arc::new).map_err(engine_reason),
            Place::Docker(Err(why)) => Err(Reason::Address(why.clone())),
            Place::BuildKit(_) => Err(Reason::NotDocker("it is BuildKit".to_owned())),
        }
    }

    fn engine(&self, host: &DockerHost) -> Result<Engine, EngineError> {
        if host.tls.as_ref().is_some_and(|tls| tls.skip_verify) {
            let text = "it is to be reached without looking at its certificate, which peelbox does not do: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH";
            return Err(EngineError::NotDocker(text.to_owned()));
        }
        Engine::probe(host, self.places.connect_timeout)
    }

    fn embedded(&self, engine: Engine) -> Result<Found, Refusal> {
        let engine = Arc::new(engine);
        let opened = engine
            .builder()
            .map_err(Refusal::from)
            .and_then(|socket| self.speak(socket, &engine.host.address.authority()));
        match opened {
            Ok(connection) => Ok(Found { connection, engine: Some(engine) }),
            Err(refusal) => Err(Refusal::EngineOnly(engine, Box::new(refusal))),
        }
    }

    fn standalone(&self, endpoint: &Endpoint) -> Result<Connection, Refusal> {
        let authority = endpoint.authority();
        let mut is_first = true;
        loop {
            let socket = self.dial(endpoint)?;
            let witness = Arc::clone(socket.witness());
            match self.speak(socket, &authority) {
                Ok(connection) => return Ok(connection),
                // A daemon that is about to end may take a connection and close it unheard. To ask once more is safe: a
                // question changes nothing.
                Err(Refusal::NotThere(_))
                    if is_first
                        && witness.greeting() == Greeting::Http2
                        && !self.cancel.is_cancelled() =>
                {
                    is_first = false;
                }
                Err(refusal) => return Err(self.explain(refusal, &witness, endpoint)),
            }
        }
    }

    fn speak(&self, socket: Socket, authority: &str) -> Result<Connection, Refusal> {
        let witness = Arc::clone(socket.witness());
        Connection::open(socket, authority, &self.cancel).map_err(|error| match error {
            DaemonError::Call(status) => Refusal::NotThere(reason_of(&status, &witness)),
            error => Refusal::Unfit(error),
        })
    }

    fn dial(&self, endpoint: &Endpoint) -> Result<Socket, Refusal> {
        if let Some(words) = endpoint.command() {
            return command::start(&words)
                .map_err(|e| Reason::Program(cannot_start(&words[0], &e)).into());
        }
        match endpoint {
            Endpoint::Unix(path) => connect_unix_within(path, self.places.connect_timeout)
                .map_err(|e| Reason::from_io(e).into()),
            Endpoint::Tcp { host, port } => {
                let deadline = Instant::now() + self.places.connect_timeout;
                let socket = connect_tcp(host, *port, self.places.connect_timeout)
                    .map_err(Reason::from_io)?;
                if self.places.tls.is_empty() {
                    return Ok(socket);
                }
                socket.encrypt(&self.places.tls, host, Inside::Http2, deadline).map_err(|e| match e
                {
                    TlsError::Io(e) => Reason::from_io(e).into(),
                    e => tls_reason(&e).into(),
                })
            }
            Endpoint::DockerContainer { name, context } => {
                let engine = self.docker(context.as_deref())?;
                engine.exec(name, &DIAL_STDIO).map_err(|e| container_reason(name, e).into())
            }
            other => Err(Reason::NotBuildKit(format!("{other} has no way to it")).into()),
        }
    }

    /// The engine that is named, or the first of the usual ones that is one.
    fn docker(&self, context: Option<&str>) -> Result<Engine, Reason> {
        let around = self.places.docker.surroundings();
        if let Some(name) = context {
            let host = context::named(name, &around);
            let host = host.map_err(|e| Reason::Address(e.to_string()))?;
            return self.engine(&host).map_err(engine_reason);
        }
        let mut absent = Vec::new();
        let mut first = None;
        for DockerCandidate { host, origin } in context::candidates(&around) {
            let reason = match host {
                Err(why) => Reason::Address(why),
                Ok(host) => match self.engine(&host) {
                    Ok(engine) => return Ok(engine),
                    Err(e) => {
                        absent.push(format!("{host} ({origin})"));
                        engine_reason(e)
                    }
                },
            };
            // The first that is there at all says most.
            if !matches!(reason, Reason::Absent) {
                first = first.or(Some(reason));
            }
        }
        let nowhere = || Reason::NoDocker(format!("no Docker at {}", absent.join(", ")));
        Err(first.unwrap_or_else(nowhere))
    }

    /// What the peer showed says more than that the call failed.
    fn explain(&self, refusal: Refusal, witness: &Witness, endpoint: &Endpoint) -> Refusal {
        let Refusal::NotThere(reason) = refusal else { return refusal };
        if !matches!(reason, Reason::NotBuildKit(_)) || self.cancel.is_cancelled() {
            return reason.into();
        }
        let is_tcp = matches!(endpoint, Endpoint::Tcp { .. });
        let is_plain = is_tcp && self.places.tls.is_empty();
        match (witness.greeting(), endpoint) {
            (Greeting::Tls, _) if is_plain => speaks_tls(),
            (Greeting::Silence, Endpoint::Tcp { host, port })
                if is_plain && self.speaks_tls(host, *port) =>
            {
                speaks_tls()
            }
            (Greeting::Http1, _) => {
                let first = witness.greeting_text();
                let line = first.lines().next().unwrap_or_default().trim();
                Reason::NotBuildKit(format!("it speaks HTTP/1.1 (`{line}`)"))
            }
            // In place of the program's bytes an engine sends why there is no program.
            (Greeting::Other, Endpoint::DockerContainer { name, .. }) => {
                let text = witness.greeting_text();
                let line = text.lines().next().unwrap_or_default().trim();
                Reason::NoContainer(format!(
                    "`buildctl dial-stdio` cannot be started in the container `{name}`, is it a BuildKit daemon? ({line})"
                ))
            }
            // It came about, and what answers is none.
            (Greeting::Http2, _) if witness.last_words(WORDS_PATIENCE).is_empty() => reason,
            (_, Endpoint::DockerContainer { name, .. }) => {
                let said = witness.last_words(WORDS_PATIENCE);
                Reason::Container(format!("`buildctl dial-stdio` in the container `{name}` gave up: {said}"))
            }
            _ if endpoint.command().is_some() => Reason::Command(witness.last_words(WORDS_PATIENCE)),
            _ => reason,
        }
        .into()
    }

    /// A server that waits for a client's first word of TLS takes anything else for nonsense and hangs up.
    fn speaks_tls(&self, host: &str, port: u16) -> bool {
        let deadline = Instant::now() + self.places.connect_timeout;
        let Ok(socket) = connect_tcp(host, port, self.places.connect_timeout) else { return false };
        socket.speaks_tls(host, deadline)
    }
}

fn speaks_tls() -> Reason {
    let what = "the server speaks TLS: name its CA".to_owned();
    let step = "add `--tlscacert FILE`, or `--tlsdir DIR` with the folder of all files";
    Reason::Tls { what, step: Some(step) }
}

fn tls_reason(error: &TlsError) -> Reason {
    Reason::Tls { what: error.to_string(), step: error.remedy() }
}

fn cannot_start(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("cannot start `{program}`: there is no such program on PATH")
        }
        _ => format!("cannot start `{program}`: {error}"),
    }
}

fn reason_of(status: &Status, witness: &Witness) -> Reason {
    match witness.tls_error() {
        Some(error) => tls_reason(error),
        None if status.code == Code::DeadlineExceeded => Reason::TimedOut,
        None => Reason::NotBuildKit(status.to_string()),
    }
}

fn engine_reason(error: EngineError) -> Reason {
    match error {
        EngineError::Io(e) => match CarrierEnded::of(&e) {
            Some(CarrierEnded { words }) => Reason::Command(words.clone()),
            None => Reason::from_io(e),
        },
        EngineError::TimedOut => Reason::TimedOut,
        EngineError::Tls(e) => tls_reason(&e),
        EngineError::WantsTls => Reason::Tls { what: WANTS_TLS.to_owned(), step: None },
        EngineError::Program { name, source } => Reason::Program(cannot_start(&name, &source)),
        EngineError::NotDocker(what) => Reason::NotDocker(what),
        e @ (EngineError::TooOld { .. } | EngineError::TooNew { .. }) => {
            Reason::TooOld(e.to_string())
        }
        e => Reason::NotDocker(e.to_string()),
    }
}

fn container_reason(name: &str, error: ContainerError) -> Reason {
    match error {
        ContainerError::Missing => Reason::NoContainer(format!("there is no container `{name}`")),
        ContainerError::NotRunning(words) => {
            Reason::Container(format!("the container `{name}` does not run: {words}"))
        }
        ContainerError::Engine(e) => engine_reason(e),
    }
}

/// What to tell whoever sends a source tree through a network in the clear.
pub(super) fn is_in_the_clear(place: &Place, tls: &TlsFiles) -> bool {
    match place {
        Place::BuildKit(Endpoint::Tcp { host, .. }) => tls.is_empty() && !is_loopback(host),
        Place::Docker(Ok(DockerHost { address: DockerAddress::Tcp { host, .. }, tls })) => {
            tls.is_none() && !is_loopback(host)
        }
        _ => false,
    }
}

/// Whether a network lies between, so that what is sent takes its time.
pub(super) fn is_far(place: &Place) -> bool {
    match place {
        Place::BuildKit(Endpoint::Tcp { host, .. })
        | Place::Docker(Ok(DockerHost { address: DockerAddress::Tcp { host, .. }, .. })) => {
            !is_loopback(host)
        }
        Place::BuildKit(Endpoint::KubePod { .. } | Endpoint::Ssh { .. })
        | Place::Docker(Ok(DockerHost { address: DockerAddress::Ssh { .. }, .. })) => true,
        _ => false,
    }
}

fn is_loopback(host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    address.map_or_else(|| host == "localhost" || host.ends_with(".localhost"), |a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_what_leaves_this_machine_can_be_overheard() {
        let tcp = |host: &str| Place::BuildKit(Endpoint::Tcp { host: host.to_owned(), port: 1234 });
        let none = TlsFiles::default();
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1", "a.localhost"] {
            assert!(!is_in_the_clear(&tcp(host), &none), "{host}");
        }
        for host in ["10.0.0.1", "builder", "fe80::1", "localhost.example"] {
            assert!(is_in_the_clear(&tcp(host), &none), "{host}");
            let tls = TlsFiles { ca: Some("ca.pem".into()), ..TlsFiles::default() };
            assert!(!is_in_the_clear(&tcp(host), &tls), "{host}");
        }
    }

    #[test]
    fn a_connection_that_broke_is_not_called_timed_out() {
        let late = Status::new(Code::DeadlineExceeded, "late");
        let witness = Witness::default();
        assert!(matches!(reason_of(&late, &witness), Reason::TimedOut));
        let gone = Status::new(Code::Unavailable, "gone");
        assert!(matches!(reason_of(&gone, &witness), Reason::NotBuildKit(_)));
        let refused = EngineError::Io(io::ErrorKind::ConnectionRefused.into());
        assert!(matches!(engine_reason(refused), Reason::Refused));
    }
}
