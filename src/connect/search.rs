//! Candidates → the first daemon that answers, or a private one, or the account of why none does.

use std::{
    ops::ControlFlow,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::{
    builder::Builder,
    error::{ConnectError, Tried},
    places::{Places, Private},
    probe::{Found, Prober, Refusal, is_in_the_clear},
};
use crate::{
    daemonless::{Daemonless, Notice, Options},
    docker::{self, Engine},
    endpoint::{Candidate, Endpoint, Origin, Place, Reason, Surroundings, candidates},
    grpc::Cancel,
    threads::{LARGE_STACK_BYTES, spawn_with},
};

/// How often Ctrl-C is looked for meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long all places together may take on top of the time to connect.
const ANSWER_PATIENCE: Duration = Duration::from_secs(6);
/// How long to let a daemon that is to be waited for alone.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);

/// Connects to the first place that gives a builder; `wants_docker`: the image shall be in a Docker Engine.
///
/// `on_notice` is told what is waited for.
///
/// # Errors
/// [`ConnectError`]; while nobody answers it is tried again for as long as [`Places::wait`] says.
pub fn connect(
    places: &Places,
    wants_docker: bool,
    cancel: &Cancel,
    on_notice: &dyn Fn(Notice<'_>),
) -> Result<Builder, ConnectError> {
    let search = Search::new(places, wants_docker, cancel)?;
    let deadline = places.wait.map(|wait| Instant::now() + wait);
    loop {
        let result = search.once(on_notice);
        let is_late = deadline.is_none_or(|deadline| Instant::now() >= deadline);
        match result {
            Err(e) if e.may_pass() && !is_late && !cancel.is_cancelled() => {
                thread::park_timeout(WAIT_INTERVAL);
            }
            other => return other,
        }
    }
}

/// The places of one run.
pub struct Search {
    prober: Prober,
    /// Where a builder may be.
    pub builders: Vec<Candidate>,
    /// Where a Docker may be that is no candidate for a builder.
    pub engines: Vec<Candidate>,
    wants_docker: bool,
}

/// What the places say, as far as it is known.
pub struct Answers {
    /// Of [`Search::builders`]; `None`: not known yet.
    pub builders: Vec<Option<Result<Found, Refusal>>>,
    /// Of [`Search::engines`]; `None`: not known yet.
    pub engines: Vec<Option<Result<Arc<Engine>, Reason>>>,
    news: Receiver<Answer>,
}

enum Answer {
    Builder(usize, Result<Found, Refusal>),
    Engine(usize, Result<Arc<Engine>, Reason>),
}

impl Search {
    /// Puts the places together; nothing is asked.
    ///
    /// # Errors
    /// An address cannot be understood.
    pub fn new(places: &Places, wants_docker: bool, cancel: &Cancel) -> Result<Self, ConnectError> {
        let docker = docker::context::candidates(&places.docker.surroundings());
        let around = Surroundings {
            flag: places.address.as_deref(),
            buildkit_host: places.buildkit_host.as_deref(),
            xdg_runtime_dir: places.docker.xdg_runtime_dir.as_deref(),
            uid: rustix::process::getuid().as_raw(),
            docker: &docker,
        };
        let mut builders = candidates(&around).map_err(|source| ConnectError::Address {
            source,
            is_of_variable: around.flag.is_none(),
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
        let prober = Prober { places: Arc::new(places.clone()), cancel: cancel.clone() };
        Ok(Self { prober, builders, engines, wants_docker })
    }

    /// Probes all places at the same time.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub fn ask(&self) -> Result<Answers, ConnectError> {
        let (tx, news) = bounded(self.builders.len() + self.engines.len());
        let start = |body: Box<dyn FnOnce() -> Answer + Send>| {
            let tx = tx.clone();
            // It may come too late.
            // With a large stack: the system's resolver has needs of its own.
            spawn_with("pbx-connect", LARGE_STACK_BYTES, move || drop(tx.send(body())))
                .map(drop)
                .map_err(ConnectError::Thread)
        };
        for (at, candidate) in self.builders.iter().enumerate() {
            let (prober, place) = (self.prober.clone(), candidate.place.clone());
            start(Box::new(move || Answer::Builder(at, prober.probe(&place))))?;
        }
        for (at, candidate) in self.engines.iter().enumerate() {
            let (prober, place) = (self.prober.clone(), candidate.place.clone());
            start(Box::new(move || Answer::Engine(at, prober.probe_engine(&place))))?;
        }
        Ok(Answers {
            builders: self.builders.iter().map(|_| None).collect(),
            engines: self.engines.iter().map(|_| None).collect(),
            news,
        })
    }

    fn once(&self, on_notice: &dyn Fn(Notice<'_>)) -> Result<Builder, ConnectError> {
        let mut answers = self.ask()?;
        let deadline = self.deadline();
        let cancel = &self.prober.cancel;
        answers.wait(cancel, deadline, |answers| first(&answers.builders).is_some())?;
        let winner = first(&answers.builders).flatten();
        if winner.is_none() && self.places().private.is_none() {
            return Err(self.nothing(answers));
        }
        let inside =
            winner.and_then(|at| answers.builders[at].as_ref()?.as_ref().ok()?.engine.clone());
        let docker = match (&inside, self.wants_docker) {
            (_, false) => None,
            (Some(engine), true) => Some(Arc::clone(engine)),
            (None, true) => {
                answers.wait(cancel, deadline, |answers| answers.docker().is_some())?;
                match answers.docker().flatten() {
                    Some(engine) => Some(engine),
                    None => return Err(self.no_docker(answers)),
                }
            }
        };
        let used = inside.as_ref().or(docker.as_ref());
        let mut warnings = used.map_or_else(Vec::new, |used| self.passed_over(&answers, used));
        let Some(at) = winner else {
            return Ok(self.start_private(on_notice)?.with_docker(docker).warned(warnings));
        };
        let place = self.builders[at].place.clone();
        if is_in_the_clear(&place, &self.places().tls) {
            warnings.push(format!(
                "{place} is not encrypted: whoever is on the way can read and change what is built"
            ));
        }
        match answers.builders[at].take() {
            Some(Ok(Found { connection, engine })) => {
                let builder = Builder::new(connection, place).inside(engine);
                Ok(builder.with_docker(docker).warned(warnings))
            }
            _ => Err(ConnectError::Gone),
        }
    }

    fn places(&self) -> &Places {
        &self.prober.places
    }

    /// When to give up those that have not answered.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.places().connect_timeout + ANSWER_PATIENCE
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
    fn nothing(&self, answers: Answers) -> ConnectError {
        let refusals = answers.builders.into_iter().map(|answer| match answer {
            Some(Err(refusal)) => refusal,
            _ => Refusal::NotThere(Reason::TimedOut),
        });
        let mut tried: Vec<(Candidate, Refusal)> =
            self.builders.iter().cloned().zip(refusals).collect();
        if let [(Candidate { place, .. }, Refusal::Unfit(_))] = tried.as_slice() {
            let place = place.to_string();
            let Some((_, Refusal::Unfit(source))) = tried.pop() else { unreachable!("just seen") };
            return ConnectError::Unfit { source, place };
        }
        let tried = tried.into_iter().map(|(one, refusal)| (one, refusal.into_reason())).collect();
        ConnectError::NoBuilder(Tried { places: tried, installed: self.places().installed() })
    }

    /// A builder is there, but no Docker for the image.
    fn no_docker(&self, answers: Answers) -> ConnectError {
        // A BuildKit that answered is not where a Docker could be.
        let builders = answers.builders.into_iter().map(|slot| Some(slot?.err()?.into_reason()));
        let engines = answers.engines.into_iter().map(|slot| slot?.err());
        let places = self.builders.iter().chain(&self.engines).cloned();
        let tried = places
            .zip(builders.chain(engines))
            .filter_map(|(one, reason)| Some((one, reason?)))
            .collect();
        ConnectError::NoDocker(Tried { places: tried, installed: self.places().installed() })
    }

    /// Starts a daemon of our own; its cache is kept for the next build.
    fn start_private(&self, on_notice: &dyn Fn(Notice<'_>)) -> Result<Builder, ConnectError> {
        let Some(Private { config, cache_dir: Some(cache_dir), runtime_dir }) =
            &self.places().private
        else {
            return Err(ConnectError::NoCacheFolder);
        };
        let cancel = &self.prober.cancel;
        let search_path = self.places().search_path.clone().unwrap_or_default();
        let mut options = Options::new(search_path, cache_dir.clone(), runtime_dir.clone());
        options.rootless = !rustix::process::getuid().is_root();
        options.config.clone_from(config);
        let mut watch = |notice: Notice<'_>| {
            on_notice(notice);
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let private = Daemonless::start(&options, &mut watch).map_err(ConnectError::Private)?;
        let place = Place::BuildKit(private.endpoint());
        match self.prober.probe(&place) {
            Ok(Found { connection, .. }) => Ok(Builder::new(connection, place).private(private)),
            Err(_) if cancel.is_cancelled() => Err(ConnectError::Cancelled),
            Err(Refusal::Unfit(source)) => {
                Err(ConnectError::Unfit { source, place: place.to_string() })
            }
            Err(refusal) => {
                Err(ConnectError::PrivateIsSilent { refusal, log_tail: private.log_tail() })
            }
        }
    }
}

impl Answers {
    /// Takes answers in until there are enough, all are there, or `deadline` comes.
    ///
    /// # Errors
    /// `cancel` was thrown.
    pub fn wait(
        &mut self,
        cancel: &Cancel,
        deadline: Instant,
        is_enough: impl Fn(&Self) -> bool,
    ) -> Result<(), ConnectError> {
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
        if cancel.is_cancelled() { Err(ConnectError::Cancelled) } else { Ok(()) }
    }

    /// The first Docker of all places; `None`: not known yet.
    pub fn docker(&self) -> Option<Option<Arc<Engine>>> {
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

/// The first place that gives a builder: `None` while a place before it has not answered, `Some(None)` when none does.
pub fn first(answers: &[Option<Result<Found, Refusal>>]) -> Option<Option<usize>> {
    for (at, answer) in answers.iter().enumerate() {
        match answer {
            None => return None,
            Some(Ok(_)) => return Some(Some(at)),
            Some(Err(_)) => {}
        }
    }
    Some(None)
}
