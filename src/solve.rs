//! One build over one connection: session, `Solve`, `Status` and the gateway, and how they end together.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::{
    control::{self, Daemon, DaemonError},
    daemon_words,
    digest::Digest,
    gateway::{Gateway, RefId},
    grpc::{Cancel, Channel, Code, Service, Status, client::Pending, driver::Driver, io::spawn},
    pb::{
        control::{self as pb, SolveRequest, SolveResponse},
        gateway::Attestation,
        llb::Definition,
    },
    progress::StatusUpdate,
    session::{self, SessionId},
    terminal_text::one_line,
    transport::{Socket, Witness},
};

mod watch;
mod weight;

pub use watch::Patience;
use watch::{Pulse, Watch};
use weight::Scale;
pub use weight::Weighed;

/// How long the peer may take for the first bytes of HTTP/2.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long news may stay out once the build has ended (BuildKit's own client waits as long).
const STATUS_PATIENCE: Duration = Duration::from_secs(5);
/// The same after Ctrl-C: the daemon reports what it cancelled within tens of milliseconds.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);
/// The same for a build of which nothing was heard.
const REFUSED_PATIENCE: Duration = Duration::from_millis(200);
/// How long a build may take to end once no result of it is to come: what runs is ended for that.
const FAILURE_PATIENCE: Duration = Duration::from_secs(30);
/// News that wait to be shown, in bytes; then the daemon waits.
const NEWS_BYTES_MAX: usize = 4 << 20;
/// Of a daemon that ends a build by itself.
const TOO_EARLY: &str = "it says that the build went well before it was given the result";
/// How often a lost status stream is opened again.
const STATUS_RETRIES_MAX: usize = 5;
/// What the daemon is told of a frontend that failed, and says itself then.
const GAVE_UP: &str = "the client gave up";

/// A daemon that has said who it is.
#[derive(Debug)]
pub struct Connection {
    /// Calls go here.
    pub channel: Channel,
    /// What the daemon said.
    pub daemon: Daemon,
    witness: Arc<Witness>,
    patience: Patience,
    // Last, so that it outlives the streams.
    driver: Driver,
}

impl Connection {
    /// Speaks to the daemon behind `socket` and asks what it is.
    ///
    /// # Errors
    /// It is no BuildKit daemon, or too old; see [`DaemonError`].
    pub fn open(socket: Socket, authority: &str, cancel: &Cancel) -> Result<Self, DaemonError> {
        let system = |e: io::Error| DaemonError::Call(Status::new(Code::Internal, e.to_string()));
        let driver = Driver::start().map_err(system)?;
        let witness = Arc::clone(socket.witness());
        let io = driver.handle().register(socket);
        let channel = Channel::start(driver.handle(), io, authority, PREFACE_TIMEOUT)
            .map_err(DaemonError::Call)?;
        let daemon = control::probe(&channel, cancel)?;
        Ok(Self { channel, daemon, witness, patience: Patience::default(), driver })
    }

    /// Builds on it wait for other times.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }
}

/// What the daemon may call back on while it builds.
pub struct Host {
    /// Identity of the session.
    pub session: SessionId,
    /// Keeps the daemon's copies of contexts apart.
    pub shared_key: String,
    /// What is served.
    pub services: Vec<Arc<dyn Service>>,
}

/// What a build needs besides its graph.
pub struct Job {
    /// Name of the build, unique at the daemon.
    pub reference: String,
    /// Where the result goes; `None` only builds.
    pub exporter: Option<Exporter>,
    /// Attributes read by the daemon itself, such as `build-arg:SOURCE_DATE_EPOCH`.
    pub frontend_attrs: BTreeMap<String, String>,
    /// Leave no record in the daemon's build history.
    pub internal: bool,
}

/// What a frontend hands over.
#[derive(Debug)]
pub struct Answer {
    /// The result.
    pub reference: RefId,
    /// Its metadata: image configs.
    pub metadata: BTreeMap<String, Vec<u8>>,
    /// What the client says of it, by platform.
    pub attestations: BTreeMap<String, Vec<Attestation>>,
}

/// An exporter of BuildKit, and what it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exporter {
    /// Its name, such as `oci`.
    pub name: String,
    /// Its attributes.
    pub attrs: BTreeMap<String, String>,
}

/// Takes news, on the threads where they come up; the daemon waits while it does.
pub type NewsSink = Arc<dyn Fn(News) + Send + Sync>;

/// News of a build.
#[derive(Debug)]
pub enum News {
    /// Of the daemon.
    Update(Weighed<StatusUpdate>),
    /// The daemon's clock, since 1970.
    Clock(Duration),
    /// The stream was lost and starts again from the first moment.
    Restarted,
}

/// Why there is no result.
#[derive(Debug)]
pub enum SolveError<E> {
    /// The frontend gave up.
    Frontend(E),
    /// The daemon did, or the connection broke.
    Daemon(Status),
    /// [`Cancel`] was thrown.
    Cancelled,
}

/// Runs one build: `frontend` asks through the gateway what it must know and gives the graph's result.
///
/// Returns the exporter's response when everything is built and exported and the last news were sent to `news`.
///
/// # Errors
/// See [`SolveError`]; what went wrong in a served call is known to that service alone.
pub fn run<E>(
    connection: &Connection,
    host: Host,
    job: Job,
    news: &NewsSink,
    cancel: &Cancel,
    frontend: impl FnOnce(&Running<'_>) -> Result<Answer, E>,
) -> Result<BTreeMap<String, String>, SolveError<E>> {
    let Host { session: id, shared_key, services } = host;
    let driver = connection.driver.handle();
    let session = session::start(&connection.channel, driver, &id, &shared_key, services)
        .map_err(SolveError::Daemon)?;
    let news = Teller { news, hidden: Arc::default() };
    let result = Site { connection, session: &id, cancel }.run(job, news, frontend);
    let session_end = session.end_reason();
    drop(session);
    result.map_err(|error| match error {
        SolveError::Daemon(mut status) => {
            // The daemon only says that there is no session any more; why it broke is known here. A session that
            // ends because the build has failed is nothing to tell.
            if let (Some(reason), true) =
                (session_end, daemon_words::is_about_session(&status.message))
            {
                status.message.push_str("; the session had ended: ");
                status.message.push_str(&reason);
            }
            SolveError::Daemon(status)
        }
        error => error,
    })
}

/// A build that runs, as its frontend sees it.
pub struct Running<'a> {
    /// Calls on it.
    pub gateway: Gateway,
    connection: &'a Connection,
    session: &'a SessionId,
    news: &'a NewsSink,
    /// Thrown when it has ended.
    over: &'a Cancel,
}

impl Running<'_> {
    /// Runs another build in the same session, and tells its news too.
    ///
    /// Of the steps in `shared`, the graph of both, nothing is told twice (each has metadata there), and none runs twice: both
    /// builds name the same ones, which live as long as this one (BuildKit `solver/jobs.go`).
    ///
    /// # Errors
    /// As [`run`]; [`SolveError::Cancelled`] also when this build ends before that one.
    pub fn within<E>(
        &self,
        job: Job,
        shared: &Definition,
        frontend: impl FnOnce(&Running<'_>) -> Result<Answer, E>,
    ) -> Result<BTreeMap<String, String>, SolveError<E>> {
        let hidden = Arc::new(shared.metadata.keys().cloned().collect());
        let news = Teller { news: self.news, hidden };
        let site = Site { connection: self.connection, session: self.session, cancel: self.over };
        site.run(job, news, frontend)
    }

    /// What exports beside this build, while that runs; on any thread.
    pub fn aside(&self) -> Aside {
        Aside {
            channel: self.connection.channel.clone(),
            session: self.session.clone(),
            over: self.over.clone(),
        }
    }
}

/// Exports results beside a build, in its session.
#[derive(Clone)]
pub struct Aside {
    channel: Channel,
    session: SessionId,
    over: Cancel,
}

impl Aside {
    /// Exports the result of `definition` without a word.
    ///
    /// # Errors
    /// How the call ended.
    pub fn export(
        &self,
        reference: String,
        definition: Definition,
        exporter: Exporter,
        frontend_attrs: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Status> {
        let job = Job { reference, exporter: Some(exporter), frontend_attrs, internal: true };
        let request =
            SolveRequest { definition: Some(definition), ..request(job, self.session.clone()) };
        let response = control::solve(&self.channel, &request, &self.over)?.wait()?;
        checked(response.exporter_response)
    }

    /// Reads a blob that the daemon has made: of at most so many bytes, by its digest.
    ///
    /// # Errors
    /// How the call ended, or that `to` did not take it.
    pub fn blob(&self, digest: &str, bytes_max: u64, to: &mut dyn io::Write) -> Result<(), Status> {
        control::read_blob(&self.channel, digest, bytes_max, &self.over, to)
    }
}

/// Where builds run: a connection, a session on it, and what ends them.
struct Site<'a> {
    connection: &'a Connection,
    session: &'a SessionId,
    cancel: &'a Cancel,
}

impl Site<'_> {
    fn run<E>(
        &self,
        job: Job,
        news: Teller<'_>,
        frontend: impl FnOnce(&Running<'_>) -> Result<Answer, E>,
    ) -> Result<BTreeMap<String, String>, SolveError<E>> {
        let Self { connection, session, cancel } = *self;
        let channel = &connection.channel;
        let reference = job.reference.clone();
        // Thrown when its end is not waited for any more.
        let ending = cancel.child();
        let solving = control::solve(channel, &request(job, session.clone()), &ending);
        let solving = solving.map_err(|status| {
            if cancel.is_cancelled() { SolveError::Cancelled } else { SolveError::Daemon(status) }
        })?;
        // Thrown when the build has ended: no gateway call is answered any more.
        let over = Cancel::default();
        let pulse = Arc::<Pulse>::default();
        let is_handed_over = Arc::<AtomicBool>::default();
        let watch = Watch {
            channel: channel.clone(),
            witness: Arc::clone(&connection.witness),
            patience: connection.patience,
            pulse: Arc::clone(&pulse),
            is_handed_over: Arc::clone(&is_handed_over),
        };
        let solved = watch_solve(solving, watch, over.clone()).map_err(system)?;
        let status = follow(channel, &reference, &news, pulse, over.clone()).map_err(system)?;

        let gateway = Gateway::new(channel, &reference, &over).map_err(SolveError::Daemon)?;
        let running = Running { gateway, connection, session, news: news.news, over: &over };
        // What the frontend says counts unless the daemon has failed first, or can't be told any more.
        let (given, told) = match frontend(&running) {
            Ok(Answer { reference, metadata, attestations }) => {
                (None, running.gateway.return_result(reference, metadata, attestations))
            }
            Err(e) => (Some(e), running.gateway.return_error(Code::Unknown, GAVE_UP)),
        };
        let is_told = told.is_ok();
        is_handed_over.store(is_told && given.is_none(), Ordering::Release);
        let answer = match &told {
            Ok(()) if given.is_none() => solved.recv().map_err(RecvTimeoutError::from),
            // The build has failed, and mostly its own answer says why.
            _ => solved.recv_timeout(FAILURE_PATIENCE),
        };
        let result = answer.unwrap_or_else(|_| {
            Err(told.err().unwrap_or_else(|| Status::new(Code::Internal, "no answer")))
        });
        ending.cancel();
        let is_refused = result.is_err() && !status.has_news.load(Ordering::Acquire);
        status.finish(match cancel.is_cancelled() {
            true => CANCEL_PATIENCE,
            // A build refused before its first step has no news; the daemon waits 6 s for some.
            false if is_refused => REFUSED_PATIENCE,
            false => STATUS_PATIENCE,
        });
        match (given, result) {
            _ if cancel.is_cancelled() => Err(SolveError::Cancelled),
            (Some(e), _) if is_told => Err(SolveError::Frontend(e)),
            // The daemon was told, but its answer to that came later than the end of the build.
            (Some(e), Err(status)) if status.message.contains(GAVE_UP) => {
                Err(SolveError::Frontend(e))
            }
            (_, Err(status)) => Err(SolveError::Daemon(status)),
            // What the frontend says of calls that ended with the build is no cause.
            (Some(_), Ok(_)) => Err(SolveError::Daemon(Status::protocol(TOO_EARLY))),
            (None, Ok(response)) => checked(response.exporter_response).map_err(SolveError::Daemon),
        }
    }
}

/// What an exporter says, when its digests are some.
fn checked(response: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Status> {
    for key in ["containerimage.digest", "containerimage.config.digest"] {
        if let Some(text) = response.get(key)
            && Digest::parse(text).is_none()
        {
            let text = format!("its `{key}` is no digest: `{}`", one_line(text));
            return Err(Status::protocol(text));
        }
    }
    Ok(response)
}

fn system<E>(error: io::Error) -> SolveError<E> {
    SolveError::Daemon(Status::new(Code::Internal, error.to_string()))
}

/// Fills the fields of old and new daemons alike: before v0.13 there was one exporter.
fn request(job: Job, session: SessionId) -> SolveRequest {
    let exporter =
        job.exporter.map(|Exporter { name, attrs }| pb::Exporter { r#type: name, attrs });
    let deprecated = exporter.clone().unwrap_or_default();
    SolveRequest {
        r#ref: job.reference,
        session: session.0,
        exporter_deprecated: deprecated.r#type,
        exporter_attrs_deprecated: deprecated.attrs,
        exporters: exporter.into_iter().collect(),
        frontend_attrs: job.frontend_attrs,
        // v0.11 reads into it without looking.
        cache: Some(pb::CacheOptions::default()),
        internal: job.internal,
        ..SolveRequest::default()
    }
}

/// Waits for the end of the build on a thread of its own, so that a build that fails early is known early.
fn watch_solve(
    mut solving: Pending<SolveResponse>,
    watch: Watch,
    over: Cancel,
) -> io::Result<Receiver<Result<SolveResponse, Status>>> {
    let (tx, rx) = bounded(1);
    spawn("pbx-solve", move || {
        let result = watch.until_end(&mut solving);
        // Sent first: who is woken by the switch finds the reason. The other end may be gone.
        drop(tx.send(result));
        over.cancel();
    })?;
    Ok(rx)
}

/// Hands news on.
struct Teller<'a> {
    news: &'a NewsSink,
    /// Digests of steps of which another build tells; empty for the one that tells of all.
    hidden: Arc<BTreeSet<String>>,
}

/// The thread that reads the daemon's news.
struct Follower {
    thread: JoinHandle<()>,
    done: Receiver<()>,
    cancel: Cancel,
    has_news: Arc<AtomicBool>,
}

fn follow(
    channel: &Channel,
    reference: &str,
    teller: &Teller<'_>,
    pulse: Arc<Pulse>,
    over: Cancel,
) -> io::Result<Follower> {
    let (tx, done) = bounded(1);
    let cancel = Cancel::default();
    let has_news = Arc::new(AtomicBool::new(false));
    let reading = Reading {
        channel: channel.clone(),
        reference: reference.to_owned(),
        news: Arc::clone(teller.news),
        hidden: Arc::clone(&teller.hidden),
        heard: Arc::clone(&has_news),
        pulse,
        scale: Scale::new(NEWS_BYTES_MAX),
        cancel: cancel.clone(),
    };
    let thread = spawn("pbx-status", move || {
        for _ in 0..STATUS_RETRIES_MAX {
            if reading.to_end().is_ok() || reading.cancel.is_cancelled() || over.is_cancelled() {
                break;
            }
            // What is told of within another build is told again, and changes nothing.
            if !reading.is_within() {
                (reading.news)(News::Restarted);
            }
        }
        // The other end may be gone.
        let _ = tx.send(());
    })?;
    Ok(Follower { thread, done, cancel, has_news })
}

/// The news of one build, on the way to the printer.
struct Reading {
    channel: Channel,
    reference: String,
    news: NewsSink,
    hidden: Arc<BTreeSet<String>>,
    heard: Arc<AtomicBool>,
    pulse: Arc<Pulse>,
    scale: Scale,
    cancel: Cancel,
}

impl Reading {
    fn is_within(&self) -> bool {
        !self.hidden.is_empty()
    }

    fn to_end(&self) -> Result<(), Status> {
        let mut stream = control::status(&self.channel, &self.reference, &self.cancel)?;
        while let Some(mut update) = stream.receive()? {
            self.pulse.hear(&update);
            if !self.heard.swap(true, Ordering::AcqRel)
                && !self.is_within()
                && let Some(clock) = stream.daemon_clock()
            {
                (self.news)(News::Clock(clock));
            }
            if self.is_within() {
                update.retain(|digest| !self.hidden.contains(&digest.0));
            }
            let weight = update.bytes();
            let update = self.scale.weigh(update, weight, &self.cancel);
            (self.news)(News::Update(update));
        }
        Ok(())
    }
}

impl Follower {
    /// Waits for the last news, at most `patience`.
    fn finish(self, patience: Duration) {
        if self.done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            self.cancel.cancel();
        }
        // A panic on it was already reported by the panic hook.
        drop(self.thread.join());
    }
}
