//! A daemon in memory that misbehaves on purpose: our own driver with the roles turned round.

use std::{
    collections::BTreeMap,
    os::unix::net::UnixListener,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use crossbeam_channel::{Receiver as Queue, Sender as Feed, bounded};
use h2::{Reason, RecvStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use peelbox::{
    control::DaemonError,
    gateway::RefId,
    grpc::{
        CallOptions, Cancel, Channel, Code, RECEIVE_LIMIT_BYTES, Service, Status,
        driver::{Driver, Handle},
        frame,
        stream::{Receiver, Sender},
    },
    pb::{
        control, gateway,
        health::{HealthCheckRequest, HealthCheckResponse},
        llb, worker,
    },
    session::{
        SessionId,
        tunnel::{Source, Tunnel},
    },
    solve::{Answer, Connection, Host, Job, News, NewsSink, Patience, SolveError, run},
    transport::{Socket, memory},
};
use prost::Message;

/// Longest any test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Of the image that it says it has made.
pub(crate) const FAKE_DIGEST: &str =
    "sha256:fafafafafafafafafafafafafafafafafafafafafafafafafafafafafafafafa";

type Solve = dyn Fn(&Stage) -> Result<(), Status> + Send + Sync;
type Answering = dyn Fn(&str, &mut Sender) -> Option<Result<(), Status>> + Send + Sync;
type Intercept = dyn Fn(&str, &mut SendResponse<Bytes>) -> bool + Send + Sync;

/// What the daemon does where a good one would do something else.
pub(crate) struct Script {
    /// Runs in `Control/Solve`, with a way to call the session.
    pub(crate) solve: Box<Solve>,
    /// Runs before any other call is answered; `false` leaves the call unanswered.
    pub(crate) intercept: Box<Intercept>,
    /// Answers a call where a good daemon would do it in another way; `None` leaves that to it.
    pub(crate) answer: Box<Answering>,
    /// What its exporter says.
    pub(crate) response: BTreeMap<String, String>,
    /// Window the daemon grants on the session's streams, in bytes.
    pub(crate) session_window_bytes: Option<u32>,
    /// The `Status` stream breaks this many times before it is whole.
    pub(crate) status_breaks: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            solve: Box::new(|_| Ok(())),
            intercept: Box::new(|_, _| true),
            answer: Box::new(|_, _| None),
            response: BTreeMap::from([(
                "containerimage.digest".to_owned(),
                FAKE_DIGEST.to_owned(),
            )]),
            session_window_bytes: None,
            status_breaks: 0,
        }
    }
}

/// What `Script::solve` plays on.
pub(crate) struct Stage {
    /// Calls into the session.
    pub(crate) session: Channel,
    /// What the gateway was given, once it was.
    pub(crate) returned: Queue<gateway::ReturnRequest>,
    shut: Feed<Reason>,
}

impl Stage {
    /// Ends the outer connection with a GOAWAY; without an error what runs may end.
    pub(crate) fn go_away(&self, reason: Reason) {
        self.shut.send(reason).unwrap();
        self.is_asked();
    }

    /// Whether the session answers a question about its health; any traffic wakes the connection, too.
    pub(crate) fn is_asked(&self) -> bool {
        let timeout = Some(Duration::from_secs(1));
        let health: Result<HealthCheckResponse, _> = self.session.unary(
            "/grpc.health.v1.Health/Check",
            &HealthCheckRequest::default(),
            CallOptions { timeout, ..CallOptions::default() },
        );
        health.is_ok()
    }
}

/// A running fake; ends when dropped.
pub(crate) struct Fake {
    _driver: Driver,
}

struct Shared {
    script: Script,
    driver: Handle,
    sessions: (Feed<Channel>, Queue<Channel>),
    returns: (Feed<gateway::ReturnRequest>, Queue<gateway::ReturnRequest>),
    shut: Feed<Reason>,
    status_calls: Mutex<usize>,
    unanswered: Mutex<Vec<(Request<RecvStream>, SendResponse<Bytes>)>>,
}

impl Fake {
    /// Starts it; the socket is the client's end.
    pub(crate) fn start(script: Script) -> (Socket, Self) {
        let (ours, theirs) = memory().unwrap();
        (ours, Self::on(theirs, script))
    }

    /// Starts one for each connection to the socket at `path`.
    pub(crate) fn listen(path: &Path, script: impl Fn() -> Script + Send + 'static) {
        let listener = UnixListener::bind(path).unwrap();
        spawn(move || {
            let mut running = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                running.push(Self::on(Socket::unix(stream).unwrap(), script()));
            }
        });
    }

    /// Starts it behind a wire that is cut after `bytes` of the daemon's bytes.
    pub(crate) fn start_cut(script: Script, bytes: usize) -> (Socket, Self) {
        use std::os::unix::net::UnixStream;
        let (client, wire_client) = UnixStream::pair().unwrap();
        let (wire_daemon, daemon) = UnixStream::pair().unwrap();
        let (to_daemon, from_client) =
            (wire_daemon.try_clone().unwrap(), wire_client.try_clone().unwrap());
        spawn(move || drop(std::io::copy(&mut &from_client, &mut &to_daemon)));
        spawn(move || {
            use std::{io::Read as _, net::Shutdown};
            drop(std::io::copy(&mut (&wire_daemon).take(bytes as u64), &mut &wire_client));
            drop(wire_client.shutdown(Shutdown::Both));
            drop(wire_daemon.shutdown(Shutdown::Both));
        });
        (Socket::unix(client).unwrap(), Self::on(Socket::unix(daemon).unwrap(), script))
    }

    fn on(socket: Socket, script: Script) -> Self {
        let driver = Driver::start().unwrap();
        let (shut, shut_asked) = bounded(1);
        let shared = Arc::new(Shared {
            script,
            driver: driver.handle().clone(),
            sessions: bounded(1),
            returns: bounded(1),
            shut,
            status_calls: Mutex::new(0),
            unanswered: Mutex::default(),
        });
        let io = driver.handle().register(socket);
        let (bell, rung) = (driver.handle().clone(), shut_asked);
        driver.handle().spawn(async move {
            let Ok(mut connection) = h2::server::handshake(io).await else { return };
            // `abrupt_shutdown` needs the connection: asked for between two polls of it.
            std::future::poll_fn(|cx| {
                match rung.try_recv() {
                    Ok(Reason::NO_ERROR) => connection.graceful_shutdown(),
                    Ok(reason) => connection.abrupt_shutdown(reason),
                    Err(_) => {}
                }
                while let std::task::Poll::Ready(next) = connection.poll_accept(cx) {
                    let Some(Ok((request, respond))) = next else {
                        return std::task::Poll::Ready(());
                    };
                    let shared = Arc::clone(&shared);
                    spawn(move || shared.serve(request, respond));
                }
                std::task::Poll::Pending
            })
            .await;
        });
        drop(bell);
        Self { _driver: driver }
    }
}

impl Shared {
    fn serve(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let path = request.uri().path().to_owned();
        if !(self.script.intercept)(&path, &mut respond) {
            // Dropped they would be reset.
            return self.unanswered.lock().unwrap().push((request, respond));
        }
        let mut response = Response::new(());
        response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let Ok(stream) = respond.send_response(response, false) else { return };
        let mut receiver = Receiver::new(request.into_body(), RECEIVE_LIMIT_BYTES);
        let mut sender = Sender::new(stream);
        if let Some(result) = (self.script.answer)(&path, &mut sender) {
            return sender.finish(&result);
        }
        let (service, method) = path.rsplit_once('/').unwrap();
        let result = match (service, method) {
            ("/moby.buildkit.v1.Control", "Session") => {
                self.start_session(receiver, sender);
                return;
            }
            ("/moby.buildkit.v1.Control", "Info") => answer(&mut sender, &info()),
            ("/moby.buildkit.v1.Control", "ListWorkers") => answer(&mut sender, &workers()),
            ("/moby.buildkit.v1.Control", "Solve") => self.solve(&mut sender),
            ("/moby.buildkit.v1.Control", "Status") => match self.status(&mut sender) {
                Some(result) => result,
                None => return sender.reset(Reason::INTERNAL_ERROR),
            },
            ("/moby.buildkit.v1.frontend.LLBBridge", "Solve") => {
                answer(&mut sender, &gateway_solve())
            }
            ("/moby.buildkit.v1.frontend.LLBBridge", "Ping") => {
                answer(&mut sender, &gateway::PongResponse::default())
            }
            ("/moby.buildkit.v1.frontend.LLBBridge", "ResolveImageConfig") => {
                answer(&mut sender, &image_config(FAKE_DIGEST, "{}"))
            }
            ("/moby.buildkit.v1.frontend.LLBBridge", "Return") => {
                drop(self.returns.0.send(receiver.only().unwrap()));
                answer(&mut sender, &gateway::ReturnResponse {})
            }
            _ => Err(Status::new(Code::Unimplemented, format!("unknown method {path}"))),
        };
        sender.finish(&result);
    }

    fn start_session(&self, receiver: Receiver, sender: Sender) {
        let tunnel = Tunnel::new(Source::Server(receiver), sender);
        let channel = match self.script.session_window_bytes {
            None => Channel::start(&self.driver, tunnel, "localhost", PATIENCE).unwrap(),
            Some(window) => {
                Channel::start_with_window(&self.driver, tunnel, "localhost", PATIENCE, window)
                    .unwrap()
            }
        };
        drop(self.sessions.0.send(channel));
    }

    fn solve(&self, sender: &mut Sender) -> Result<(), Status> {
        let no_session = |_| Status::new(Code::Unavailable, "no active session");
        let session = self.sessions.1.recv_timeout(PATIENCE).map_err(no_session)?;
        let stage = Stage { session, returned: self.returns.1.clone(), shut: self.shut.clone() };
        (self.script.solve)(&stage)?;
        let exporter_response = self.script.response.clone();
        answer(sender, &control::SolveResponse { exporter_response })
    }

    /// `None` breaks the stream.
    fn status(&self, sender: &mut Sender) -> Option<Result<(), Status>> {
        let mut calls = self.status_calls.lock().unwrap();
        *calls += 1;
        let vertex = control::Vertex {
            digest: "sha256:one".into(),
            name: "one".into(),
            ..Default::default()
        };
        let news = control::StatusResponse { vertexes: vec![vertex], ..Default::default() };
        let result = answer(sender, &news);
        (*calls > self.script.status_breaks).then_some(result)
    }
}

fn answer(sender: &mut Sender, message: &impl Message) -> Result<(), Status> {
    sender.send(frame::encode(message))
}

/// A base with that digest, and with that in its config.
pub(crate) fn image_config(digest: &str, config: &str) -> gateway::ResolveImageConfigResponse {
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    gateway::ResolveImageConfigResponse {
        digest: digest.to_owned(),
        config: config.into_bytes(),
        ..Default::default()
    }
}

fn info() -> control::InfoResponse {
    let version = worker::BuildkitVersion { version: "v0.99.0".into(), ..Default::default() };
    control::InfoResponse { buildkit_version: Some(version) }
}

fn workers() -> control::ListWorkersResponse {
    let platform =
        llb::Platform { architecture: "amd64".into(), os: "linux".into(), ..Default::default() };
    let record =
        worker::WorkerRecord { id: "w".into(), platforms: vec![platform], ..Default::default() };
    control::ListWorkersResponse { record: vec![record] }
}

fn gateway_solve() -> gateway::SolveResponse {
    let reference = gateway::Ref { id: "r".into(), def: None };
    let result = gateway::Result {
        result: Some(gateway::result::Result::Ref(reference)),
        ..Default::default()
    };
    gateway::SolveResponse { result: Some(result), ..Default::default() }
}

/// How a build against a fake ended.
pub(crate) type Outcome = Result<BTreeMap<String, String>, SolveError<Status>>;

/// A build whose frontend answers at once.
pub(crate) fn build(
    socket: Socket,
    services: Vec<Arc<dyn Service>>,
) -> (Result<Outcome, DaemonError>, Vec<News>) {
    build_with(socket, services, Patience::default())
}

/// The same, of a client that waits as long as is said.
pub(crate) fn build_with(
    socket: Socket,
    services: Vec<Arc<dyn Service>>,
    patience: Patience,
) -> (Result<Outcome, DaemonError>, Vec<News>) {
    let connection = match Connection::open(socket, "localhost", &Cancel::default()) {
        Ok(connection) => connection.with_patience(patience),
        Err(e) => return (Err(e), Vec::new()),
    };
    let host = Host { session: SessionId("session".into()), shared_key: "key".into(), services };
    let job = Job {
        reference: "ref".into(),
        exporter: None,
        frontend_attrs: BTreeMap::new(),
        internal: false,
    };
    let (news, rx) = listen();
    let outcome = run(&connection, host, job, &news, &Cancel::default(), |running| {
        let reference = running.gateway.solve(llb::Definition::default())?;
        assert_eq!(reference, RefId("r".into()));
        Ok(Answer { reference, metadata: BTreeMap::new(), attestations: BTreeMap::new() })
    });
    drop(news);
    (Ok(outcome), rx.iter().collect())
}

/// A sink for news, and what comes out of it.
pub(crate) fn listen() -> (NewsSink, Queue<News>) {
    let (tx, rx) = bounded(1000);
    (Arc::new(move |news| drop(tx.send(news))), rx)
}

/// Answers a call with HTTP headers alone.
pub(crate) fn answer_headers(
    respond: &mut SendResponse<Bytes>,
    status: u16,
    headers: &[(&str, &str)],
) {
    let mut response = Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    *response.headers_mut() = map;
    drop(respond.send_response(response, true));
}

fn spawn(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name("fake".into()).spawn(body).unwrap();
}
