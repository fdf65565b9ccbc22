//! Candidates → the first daemon that answers, or a private one, or the account of why none does.

use std::{
    cell::Cell,
    io::{self, Write as _},
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::{
    cli::{args::DaemonArgs, env::Environment},
    connect::probe::{Found, Refusal, Ways, describe, describe_builder, is_far, is_in_the_clear},
    control::DaemonError,
    daemonless::{Daemonless, DaemonlessError, Notice, Options, find_program},
    docker::{self, Engine},
    endpoint::{
        Candidate, Endpoint, Installed, NotReachable, Origin, Place, Reason, Surroundings,
        candidates,
    },
    error::{Error, Kind},
    grpc::Cancel,
    solve::Connection,
    transport::tls::{TlsError, TlsFiles},
};

/// How often Ctrl-C is looked for meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long all places together may take on top of the time to connect.
const ANSWER_PATIENCE: Duration = Duration::from_secs(6);
/// How long to let a daemon that is to be waited for alone.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);

/// A daemon that answered.
pub(crate) struct Reached {
    pub(crate) connection: Connection,
    /// Where it is.
    place: Place,
    /// The engine it is inside of.
    pub(crate) inside: Option<Arc<Engine>>,
    /// The engine that shall hold the image, when one shall.
    pub(crate) docker: Option<Arc<Engine>>,
    /// What the user should know of the way there.
    pub(crate) warnings: Vec<String>,
    /// Ended when this is dropped; after the connection.
    pub(crate) private: Option<Daemonless>,
}

impl Reached {
    /// What builds, for the head of the progress.
    pub(crate) fn title(&self) -> String {
        let version = &self.connection.daemon.version;
        match &self.inside {
            Some(engine) => format!("Using Docker's BuildKit {version} ({})", describe(engine)),
            None => self.builder(),
        }
    }

    /// Whether a network lies between.
    pub(crate) fn is_far(&self) -> bool {
        is_far(&self.place)
    }

    /// A Docker Engine with the classic image store gives no image away and takes none from us.
    ///
    /// # Errors
    /// It is one; `text` says what it cannot do.
    pub(crate) fn refuse_if_classic(&self, text: &str) -> Result<(), Error> {
        if self.inside.is_none() || self.connection.daemon.snapshotter().is_some() {
            return Ok(());
        }
        let place = self.builder();
        let text = format!("a Docker Engine with the classic image store {text} ({place})");
        Err(Error::new(Kind::Feature, text))
    }

    /// Whether the engine that shall hold the image keeps SBOM and provenance with it: the classic store does not.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(crate) fn engine_keeps_attestations(&self) -> Result<bool, Error> {
        match &self.docker {
            _ if self.keeps_image() => Ok(self.connection.daemon.snapshotter().is_some()),
            None => Ok(false),
            Some(engine) => engine.keeps_attestations().map_err(|e| {
                let text = format!("cannot ask Docker at {} how it keeps images", engine.host);
                Error::new(Kind::NoDaemon, text).because(e)
            }),
        }
    }

    /// Whether the builder can say which digests an image has before it is where it shall be: with its classic store Docker
    /// exports nothing but images of its own.
    pub(crate) fn tells_digests(&self) -> bool {
        self.inside.is_none() || self.connection.daemon.snapshotter().is_some()
    }

    /// What has built, for the end.
    pub(crate) fn builder(&self) -> String {
        describe_builder(&self.connection, self.inside.as_deref(), &self.place)
    }

    /// Whether the engine that builds is the one that shall hold the image: then nothing is sent.
    pub(crate) fn keeps_image(&self) -> bool {
        self.inside.is_some() && self.docker.is_some()
    }
}

/// Connects to the first candidate that is a BuildKit daemon; `wants_docker`: the image shall be in Docker.
pub(crate) fn reach(
    args: &DaemonArgs,
    env: &Environment,
    wants_docker: bool,
    cancel: &Cancel,
) -> Result<Reached, Error> {
    let search = Search::new(args, env, wants_docker, cancel)?;
    let deadline = args.wait.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        let result = search.once(args, env);
        let is_late = deadline.is_none_or(|deadline| Instant::now() >= deadline);
        match result {
            Err(e) if e.kind == Kind::NoDaemon && !is_late && !cancel.is_cancelled() => {
                thread::park_timeout(WAIT_INTERVAL);
            }
            other => return other,
        }
    }
}

/// The places of one run.
pub(crate) struct Search {
    ways: Ways,
    /// Where a builder may be.
    pub(crate) builders: Vec<Candidate>,
    /// Where a Docker may be that is no candidate for a builder.
    pub(crate) engines: Vec<Candidate>,
    wants_docker: bool,
}

/// What the places say, as far as it is known.
pub(crate) struct Answers {
    pub(crate) builders: Vec<Option<Result<Found, Refusal>>>,
    pub(crate) engines: Vec<Option<Result<Arc<Engine>, Reason>>>,
    news: Receiver<Answer>,
}

enum Answer {
    Builder(usize, Result<Found, Refusal>),
    Engine(usize, Result<Arc<Engine>, Reason>),
}

impl Search {
    pub(crate) fn new(
        args: &DaemonArgs,
        env: &Environment,
        wants_docker: bool,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let docker = docker::context::candidates(&env.docker());
        let around = Surroundings {
            flag: args.buildkit.as_deref(),
            buildkit_host: env.buildkit_host.as_deref(),
            xdg_runtime_dir: env.xdg_runtime_dir.as_deref(),
            uid: rustix::process::getuid().as_raw(),
            docker: &docker,
        };
        let mut builders = candidates(&around).map_err(|e| {
            let error = Error::from_error(Kind::Usage, e);
            match around.flag {
                Some(_) => error,
                None => error.hint("the address is that of `BUILDKIT_HOST`"),
            }
        })?;
        // Which Docker is meant is found as usual, and told as usual when it is none.
        if let [Candidate { place: Place::BuildKit(Endpoint::Docker { context: None }), .. }] =
            builders.as_slice()
        {
            builders = docker.iter().map(Candidate::from).collect();
        }
        let is_listed = builders.iter().any(|one| matches!(one.place, Place::Docker(_)));
        let engines = match wants_docker && !is_listed {
            true => docker.iter().map(Candidate::from).collect(),
            false => Vec::new(),
        };
        let ways = Ways {
            env: Arc::new(env.clone()),
            tls: tls_files(args, env)?,
            connect_timeout: Duration::from_secs(args.connect_timeout),
            cancel: cancel.clone(),
        };
        Ok(Self { ways, builders, engines, wants_docker })
    }

    /// Probes all places at the same time.
    pub(crate) fn ask(&self) -> Result<Answers, Error> {
        let (tx, news) = bounded(self.builders.len() + self.engines.len());
        let start = |body: Box<dyn FnOnce() -> Answer + Send>| {
            let tx = tx.clone();
            // It may come too late. With the usual stack: the system's resolver has needs of its own.
            thread::Builder::new()
                .name("pbx-connect".to_owned())
                .spawn(move || drop(tx.send(body())))
                .map(drop)
                .map_err(|e| Error::new(Kind::Internal, "cannot start a thread").because(e))
        };
        for (at, candidate) in self.builders.iter().enumerate() {
            let (ways, place) = (self.ways.clone(), candidate.place.clone());
            start(Box::new(move || Answer::Builder(at, ways.probe(&place))))?;
        }
        for (at, candidate) in self.engines.iter().enumerate() {
            let (ways, place) = (self.ways.clone(), candidate.place.clone());
            start(Box::new(move || Answer::Engine(at, ways.probe_engine(&place))))?;
        }
        Ok(Answers {
            builders: self.builders.iter().map(|_| None).collect(),
            engines: self.engines.iter().map(|_| None).collect(),
            news,
        })
    }

    fn once(&self, args: &DaemonArgs, env: &Environment) -> Result<Reached, Error> {
        let mut answers = self.ask()?;
        let deadline = self.deadline();
        answers.wait(&self.ways.cancel, deadline, |answers| first(&answers.builders).is_some())?;
        let winner = first(&answers.builders).flatten();
        if winner.is_none() && !args.daemonless {
            return Err(self.nothing(answers, env));
        }
        let inside =
            winner.and_then(|at| answers.builders[at].as_ref()?.as_ref().ok()?.engine.clone());
        let docker = match (&inside, self.wants_docker) {
            (_, false) => None,
            (Some(engine), true) => Some(Arc::clone(engine)),
            (None, true) => {
                answers.wait(&self.ways.cancel, deadline, |answers| answers.docker().is_some())?;
                match answers.docker().flatten() {
                    Some(engine) => Some(engine),
                    None => return Err(self.no_docker(answers, env)),
                }
            }
        };
        let used = inside.as_ref().or(docker.as_ref());
        let mut warnings = used.map_or_else(Vec::new, |used| self.passed_over(&answers, used));
        let Some(at) = winner else { return self.start_private(args, env, docker, warnings) };
        let place = self.builders[at].place.clone();
        if is_in_the_clear(&place, &self.ways.tls) {
            warnings.push(format!(
                "{place} is not encrypted: whoever is on the way can read and change what is built"
            ));
        }
        match answers.builders[at].take() {
            Some(Ok(Found { connection, engine })) => {
                Ok(Reached { connection, place, inside: engine, docker, warnings, private: None })
            }
            _ => Err(Error::new(Kind::Internal, "the daemon is gone")),
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.ways.connect_timeout + ANSWER_PATIENCE
    }

    /// Dockers that were named, where another one is used: the user should know.
    fn passed_over(&self, answers: &Answers, used: &Arc<Engine>) -> Vec<String> {
        let is_named = |origin: &Origin| {
            matches!(
                origin,
                Origin::DockerHost | Origin::DockerContext(_) | Origin::CurrentContext(_)
            )
        };
        let mut told = Vec::new();
        let places = self.builders.iter().chain(&self.engines);
        for (Candidate { place, origin }, answer) in places.zip(answers.dockers()) {
            let Some((engine, refusal)) = answer else { continue };
            if engine.is_some_and(|engine| Arc::ptr_eq(engine, used)) {
                break;
            }
            if let (true, Some(refusal)) = (is_named(origin), refusal) {
                let used = &used.host;
                told.push(format!(
                    "{place} ({origin}) is not used: {refusal}; using Docker at {used}"
                ));
            }
        }
        told
    }

    /// No place gives a builder.
    fn nothing(&self, answers: Answers, env: &Environment) -> Error {
        let refusals = answers.builders.into_iter().map(|answer| match answer {
            Some(Err(refusal)) => refusal,
            _ => Refusal::NotThere(Reason::TimedOut),
        });
        let mut tried: Vec<(Candidate, Refusal)> =
            self.builders.iter().cloned().zip(refusals).collect();
        if let [(Candidate { place, .. }, Refusal::Unfit(_))] = tried.as_slice() {
            let place = place.to_string();
            let Some((_, Refusal::Unfit(error))) = tried.pop() else { unreachable!("just seen") };
            return unfit(&error, &place);
        }
        let tried: Vec<(Candidate, Reason)> =
            tried.into_iter().map(|(one, refusal)| (one, refusal.into_reason())).collect();
        let kind = kind_of(&tried);
        let account = NotReachable::new(tried, &installed(env));
        Error::new(kind, account.to_string()).hint(account.hint)
    }

    /// A builder is there, but no Docker for the image.
    fn no_docker(&self, answers: Answers, env: &Environment) -> Error {
        // A BuildKit that answered is not where a Docker could be.
        let builders = answers.builders.into_iter().map(|slot| Some(slot?.err()?.into_reason()));
        let engines = answers.engines.into_iter().map(|slot| slot?.err());
        let places = self.builders.iter().chain(&self.engines).cloned();
        let mut tried: Vec<(Candidate, Reason)> = places
            .zip(builders.chain(engines))
            .filter_map(|(one, reason)| Some((one, reason?)))
            .collect();
        let mut text = "there is no Docker to load the image into".to_owned();
        for (Candidate { place, origin }, reason) in &tried {
            text += &format!("\n  {place} ({origin}): {reason}");
        }
        let kind = kind_of(&tried);
        tried.retain(|(one, _)| matches!(one.place, Place::Docker(_)));
        let installed = Installed { buildkitd: None, ..installed(env) };
        let step = NotReachable::new(tried, &installed).hint;
        Error::new(kind, text).hint(format!(
            "{step}; or add `--output type=oci,dest=app.tar`: a file needs no Docker"
        ))
    }

    /// Starts a daemon of our own; its cache is kept for the next build.
    fn start_private(
        &self,
        args: &DaemonArgs,
        env: &Environment,
        docker: Option<Arc<Engine>>,
        warnings: Vec<String>,
    ) -> Result<Reached, Error> {
        let Some(cache_dir) = &env.cache_dir else {
            return Err(Error::new(Kind::Usage, "`--daemonless` needs a folder for its cache")
                .hint("set HOME or XDG_CACHE_HOME"));
        };
        let cancel = &self.ways.cancel;
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
        let place = Place::BuildKit(private.endpoint());
        match self.ways.probe(&place) {
            Ok(Found { connection, .. }) => {
                let (inside, private) = (None, Some(private));
                Ok(Reached { connection, place, inside, docker, warnings, private })
            }
            Err(_) if cancel.is_cancelled() => Err(interrupted()),
            Err(Refusal::Unfit(error)) => Err(unfit(&error, &place.to_string())),
            Err(refusal) => {
                let text = format!(
                    "the private daemon does not answer: {refusal}\n{}",
                    private.log_tail()
                );
                Err(Error::new(Kind::NoDaemon, text))
            }
        }
    }
}

impl Answers {
    /// Takes answers in until there are enough, all are there, or `deadline` comes.
    pub(crate) fn wait(
        &mut self,
        cancel: &Cancel,
        deadline: Instant,
        is_enough: impl Fn(&Self) -> bool,
    ) -> Result<(), Error> {
        while !is_enough(self) {
            match self.news.recv_timeout(LOOK_INTERVAL) {
                Ok(Answer::Builder(at, answer)) => self.builders[at] = Some(answer),
                Ok(Answer::Engine(at, answer)) => self.engines[at] = Some(answer),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => break,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    let late = || Reason::TimedOut;
                    for slot in self.builders.iter_mut().filter(|slot| slot.is_none()) {
                        *slot = Some(Err(late().into()));
                    }
                    for slot in self.engines.iter_mut().filter(|slot| slot.is_none()) {
                        *slot = Some(Err(late()));
                    }
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        if cancel.is_cancelled() { Err(interrupted()) } else { Ok(()) }
    }

    /// The first Docker of all places; `None`: not known yet.
    pub(crate) fn docker(&self) -> Option<Option<Arc<Engine>>> {
        for answer in self.dockers() {
            if let (Some(engine), _) = answer? {
                return Some(Some(Arc::clone(engine)));
            }
        }
        Some(None)
    }

    /// Which Docker every place has, and why not or why nothing can be built in it; `None`: not known yet.
    fn dockers(&self) -> impl Iterator<Item = Option<DockerAnswer<'_>>> {
        let inside = self.builders.iter().map(|slot| {
            Some(match slot.as_ref()? {
                Ok(found) => (found.engine.as_ref(), None),
                Err(refusal @ Refusal::EngineOnly(engine, _)) => {
                    (Some(engine), Some(refusal.to_string()))
                }
                Err(refusal) => (None, Some(refusal.to_string())),
            })
        });
        let beside = self.engines.iter().map(|slot| {
            Some(match slot.as_ref()? {
                Ok(engine) => (Some(engine), None),
                Err(reason) => (None, Some(reason.to_string())),
            })
        });
        inside.chain(beside)
    }
}

/// The Docker of a place, and why it is of no use.
type DockerAnswer<'a> = (Option<&'a Arc<Engine>>, Option<String>);

/// Who must act when no place will do: what is there and too old wants an upgrade.
pub(crate) fn kind_of(tried: &[(Candidate, Reason)]) -> Kind {
    match tried.iter().any(|(_, reason)| matches!(reason, Reason::TooOld(_))) {
        true => Kind::Feature,
        false => Kind::NoDaemon,
    }
}

/// The first place that gives a builder: `None` while a place before it has not answered, `Some(None)` when none does.
pub(crate) fn first(answers: &[Option<Result<Found, Refusal>>]) -> Option<Option<usize>> {
    for (at, answer) in answers.iter().enumerate() {
        match answer {
            None => return None,
            Some(Ok(_)) => return Some(Some(at)),
            Some(Err(_)) => {}
        }
    }
    Some(None)
}

pub(crate) fn installed(env: &Environment) -> Installed {
    let find = |name| env.path.as_deref().and_then(|path| find_program(name, path));
    Installed {
        buildkitd: find("buildkitd"),
        dockerd: find("dockerd").is_some(),
        docker: find("docker").is_some(),
    }
}

/// Which TLS files were named, by flags and then by variables.
fn tls_files(args: &DaemonArgs, env: &Environment) -> Result<TlsFiles, Error> {
    // Of no use beside flags for all that is in it.
    let is_complete = args.tlscacert.is_some() && args.tlscert.is_some() && args.tlskey.is_some();
    let dir = args.tlsdir.as_ref().or_else(|| env.tls.dir.as_ref().filter(|_| !is_complete));
    let mut files = match dir {
        Some(dir) => TlsFiles::in_dir(dir).map_err(tls_error)?,
        None => TlsFiles::default(),
    };
    // A folder that was typed counts more than files of the environment.
    let by_variable = |file: &Option<PathBuf>| file.clone().filter(|_| args.tlsdir.is_none());
    let single = [
        (&mut files.ca, args.tlscacert.clone().or_else(|| by_variable(&env.tls.ca))),
        (&mut files.cert, args.tlscert.clone().or_else(|| by_variable(&env.tls.cert))),
        (&mut files.key, args.tlskey.clone().or_else(|| by_variable(&env.tls.key))),
    ];
    for (slot, named) in single {
        if named.is_some() {
            *slot = named;
        }
    }
    let name = args.tlsservername.as_ref().or(env.tls.server_name.as_ref());
    files.server_name = name.cloned();
    files.check().map_err(tls_error)?;
    Ok(files)
}

fn tls_error(error: TlsError) -> Error {
    let step = error.remedy();
    let mut shown = Error::from_error(Kind::Usage, error);
    shown.hints.extend(step.map(str::to_owned));
    shown
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

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted")
}

fn unfit(error: &DaemonError, place: &str) -> Error {
    let shown = Error::new(Kind::Feature, format!("{error} ({place})"));
    match error {
        DaemonError::NoWorker => shown.hint("look at the daemon's log: its worker did not start"),
        _ => shown.hint("upgrade the daemon; Docker Engine has such a BuildKit from version 24 on"),
    }
}
