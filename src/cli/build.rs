//! `peelbox build`: typed → resolved request → event loop → outputs.
//!
//! The main thread owns the terminal; `pbx-build` owns the build and tells it how it ended.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    cli::{
        args::{self, BuildArgs},
        connect::{self, Reached},
        env::Environment,
        print_stdout,
        project::{Project, unique_id},
        services,
    },
    control,
    error::{Error, Kind},
    grpc::{Cancel, Service, Status, io::spawn},
    output::{self, Output, OutputErrorKind, image_id, metadata_json, write_atomically},
    pb::control::Exporter,
    plan::CONTEXT_NAME,
    progress::{
        ContextTotals, Failure, Look, Mode, Outcome, Progress, Summary, TerminalSize, Transfer,
        VertexDigest,
    },
    session::{
        RootCause, SessionId,
        context::{Context, Upload},
        filesend::FileSend,
    },
    solve::{self, Answer, Job, News, SolveError},
    spec::reference::{normalize, tag_reference},
};

/// News the printer may be behind; then the daemon waits.
const NEWS_MAX: usize = 256;
/// How often the terminal's size is looked at and our own transfer is shown.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// Everything that is known before the daemon is asked.
struct Request {
    project: Project,
    output: Output,
    tags: Vec<String>,
}

/// Builds what the arguments say.
pub(crate) fn run(args: &BuildArgs, env: &Environment) -> Result<(), Error> {
    if args.context_name.is_some() {
        return Err(Error::new(
            Kind::Usage,
            "`--context-name` was removed: the context has one name",
        )
        .hint(format!("peelbox build --spec {} --context DIR", args.project.spec.display())));
    }
    let started = Instant::now();
    let request = Arc::new(resolve(args, env)?);
    let cancel = Cancel::default();
    let signals = watch_signals().map_err(|e| system("cannot watch for Ctrl-C", e))?;
    let reached = {
        let interrupt = Interrupt { signals: &signals, cancel: &cancel };
        interrupt.during(|| connect::reach(&args.project.daemon, env, &cancel))?
    };
    let title = format!("BuildKit {} at {}", reached.connection.daemon.version, reached.endpoint);
    let progress = progress(args, env, title.clone(), started);
    let build = Build::start(Arc::clone(&request), Arc::new(reached), env, cancel)?;
    let end = follow(build, progress, &signals, started);
    finish(args, &request, title, end, started)
}

fn system(what: &str, error: io::Error) -> Error {
    Error::new(Kind::Internal, what).because(error)
}

fn resolve(args: &BuildArgs, env: &Environment) -> Result<Request, Error> {
    let output = match &args.output {
        Some(text) => Output::parse(text).map_err(|e| Error::from_error(Kind::Usage, e))?,
        None => {
            return Err(Error::new(
                Kind::Usage,
                "`--output` is missing: where shall the image go?",
            )
            .hint("`--output type=oci,dest=app.tar` writes an image file")
            .hint("`--output type=none` only builds"));
        }
    };
    output.dest().map_or(Ok(()), output::check_dest).map_err(output_error)?;
    let project = Project::load(&args.project, env)?;
    let tags = tags(&args.tag, &project.name)?;
    Ok(Request { project, output, tags })
}

fn output_error(error: output::OutputError) -> Error {
    let kind = match error.kind() {
        OutputErrorKind::Usage => Kind::Usage,
        OutputErrorKind::Output => Kind::Output,
    };
    Error::from_error(kind, error)
}

/// Normalised references; the service's name when none was given.
fn tags(typed: &[String], name: &str) -> Result<Vec<String>, Error> {
    if typed.is_empty() {
        return normalize(name).map(|tag| vec![tag]).map_err(|e| {
            Error::new(Kind::Usage, format!("`{name}` cannot name the image: {e}"))
                .hint("name it with `--tag app:latest`")
        });
    }
    let mut tags: Vec<String> = Vec::with_capacity(typed.len());
    for text in typed {
        let tag = tag_reference(text).map_err(|e| {
            let mut error = Error::new(Kind::Usage, format!("`--tag {text}`: {e}"));
            error.hints.extend(e.help());
            error
        })?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// Signals that ask us to end, as they come.
fn watch_signals() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (tx, rx) = bounded(2);
    spawn("pbx-signals", move || {
        for _ in signals.forever() {
            // More than two say nothing new.
            let _ = tx.try_send(());
        }
    })?;
    Ok(rx)
}

/// Makes a blocking step end on Ctrl-C.
struct Interrupt<'a> {
    signals: &'a Receiver<()>,
    cancel: &'a Cancel,
}

impl Interrupt<'_> {
    fn during<T>(&self, step: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error>
    where
        T: Send,
    {
        let (tx, done) = bounded::<()>(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                select! {
                    recv(self.signals) -> signal => if signal.is_ok() { self.cancel.cancel() },
                    recv(done) -> _ => {}
                }
            });
            let result = step();
            drop(tx);
            result
        })
    }
}

fn progress(args: &BuildArgs, env: &Environment, title: String, started: Instant) -> Progress {
    let is_terminal = io::stderr().is_terminal();
    let mode = match args.progress {
        _ if args.quiet => Mode::Quiet,
        args::Progress::Quiet => Mode::Quiet,
        args::Progress::Plain => Mode::Plain,
        args::Progress::Tty => Mode::Tty,
        args::Progress::Rawjson => Mode::RawJson,
        args::Progress::Auto => Mode::auto(is_terminal),
    };
    let look = Look { color: is_terminal && !env.no_color, size: terminal_size(), title };
    Progress::new(mode, look, Box::new(io::stderr()), started.elapsed())
}

fn terminal_size() -> TerminalSize {
    rustix::termios::tcgetwinsize(io::stderr()).map_or_else(
        |_| TerminalSize::default(),
        |w| TerminalSize { width: w.ws_col, height: w.ws_row },
    )
}

/// A build under way.
struct Build {
    news: Receiver<News>,
    done: Receiver<Result<BTreeMap<String, String>, BuildError>>,
    notes: Receiver<String>,
    cancel: Cancel,
    upload: Arc<Upload>,
    root_cause: RootCause,
    file_send: Option<Arc<FileSend>>,
    reached: Arc<Reached>,
}

/// Why there is no image, as the thread that builds knows it.
type BuildError = SolveError<Error>;

/// How a build ended, after the last line of its progress.
struct End {
    result: Result<BTreeMap<String, String>, Error>,
    progress: Progress,
    upload: Arc<Upload>,
    file_send: Option<Arc<FileSend>>,
}

impl Build {
    fn start(
        request: Arc<Request>,
        reached: Arc<Reached>,
        env: &Environment,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let root_cause = RootCause::default();
        let upload = Arc::new(Upload::default());
        let file_send = request
            .output
            .dest()
            .map(|dest| Arc::new(FileSend::new(dest.clone(), root_cause.clone())));
        let project = &request.project;
        let context = Context::new(
            CONTEXT_NAME,
            Arc::clone(&project.root),
            Arc::clone(&upload),
            root_cause.clone(),
        );
        let mut services: Vec<Arc<dyn Service>> = vec![
            Arc::new(context),
            services::auth(env, &root_cause),
            services::content(project, &root_cause),
        ];
        services.extend(file_send.clone().map(|s| s as Arc<dyn Service>));
        let job = job(&request, services);

        let (news_tx, news) = bounded(NEWS_MAX);
        let (done_tx, done) = bounded(1);
        let (notes_tx, notes) = bounded(NEWS_MAX);
        let (theirs, daemon, stop) = (request, Arc::clone(&reached), cancel.clone());
        spawn("pbx-build", move || {
            let result = build(&theirs, job, &daemon, &news_tx, &notes_tx, &stop);
            drop(daemon);
            // The printer may have left on a second Ctrl-C.
            drop(done_tx.send(result));
        })
        .map_err(|e| system("cannot start the build's thread", e))?;
        Ok(Self { news, done, notes, cancel, upload, root_cause, file_send, reached })
    }
}

fn job(request: &Request, services: Vec<Arc<dyn Service>>) -> Job {
    let epoch = request.project.epoch.map(|e| e.to_string());
    let exporter = request.output.exporter().map(|name| {
        let mut attrs = request.output.exporter_attrs();
        attrs.insert("name".to_owned(), request.tags.join(","));
        if epoch.is_some() {
            // Files too, not only the config: else a rebuilt layer has another digest.
            attrs.entry("rewrite-timestamp".to_owned()).or_insert_with(|| "true".to_owned());
        }
        Exporter { r#type: name.to_owned(), attrs }
    });
    Job {
        reference: unique_id(),
        session: SessionId(unique_id()),
        shared_key: request.project.shared_key().to_owned(),
        services,
        exporter,
        frontend_attrs: epoch
            .map(|epoch| ("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch))
            .into_iter()
            .collect(),
        internal: false,
    }
}

fn build(
    request: &Request,
    job: Job,
    reached: &Reached,
    news: &Sender<News>,
    notes: &Sender<String>,
    cancel: &Cancel,
) -> Result<BTreeMap<String, String>, BuildError> {
    let connection = &reached.connection;
    let session = job.session.0.clone();
    solve::run(connection, job, news, cancel, |gateway| {
        let plan = request.project.plan(gateway, &connection.daemon, &session, true)?;
        for warning in plan.warnings() {
            drop(notes.send(format!("warning: {warning}")));
        }
        let reference = gateway
            .solve(plan.definition().clone())
            .map_err(|status| daemon_error(&status, None))?;
        let mut metadata =
            BTreeMap::from([("containerimage.config".to_owned(), plan.image_config())]);
        if let Some(config) = plan.base_config() {
            metadata.insert("containerimage.base.config".to_owned(), config.to_vec());
        }
        // Result metadata reaches every exporter, unlike attributes of one (`exptypes/annotations.go`).
        metadata.extend(
            plan.annotations()
                .iter()
                .map(|(k, v)| (format!("annotation.{k}"), v.clone().into_bytes())),
        );
        Ok(Answer { reference, metadata })
    })
}

/// The event loop: everything a person sees passes here.
fn follow(build: Build, mut progress: Progress, signals: &Receiver<()>, started: Instant) -> End {
    let beat = progress.tick_interval().map_or_else(never, tick);
    let look = tick(LOOK_AROUND);
    let mut size = terminal_size();
    let result = loop {
        select! {
            recv(build.news) -> news => match news {
                Ok(news) => show(&mut progress, &news, started.elapsed()),
                Err(_) => {
                    // All news are out; only the end is left.
                    break build.done.recv().ok();
                }
            },
            recv(build.notes) -> note => if let Ok(note) = note { progress.note(&note) },
            recv(beat) -> _ => progress.tick(started.elapsed()),
            recv(look) -> _ => {
                let now = terminal_size();
                if now != size {
                    size = now;
                    progress.resize(size);
                }
                show_transfer(&mut progress, &build.upload, started.elapsed());
            },
            recv(signals) -> _ => {
                if build.cancel.is_cancelled() {
                    break None;
                }
                build.cancel.cancel();
                progress.note("interrupted: the build is being cancelled; once more to leave at once");
            }
        }
    };
    build.notes.try_iter().for_each(|note| progress.note(&note));
    show_transfer(&mut progress, &build.upload, started.elapsed());
    let result = match result {
        Some(Ok(response)) => Ok(response),
        Some(Err(error)) => Err(explain(error, &progress, &build)),
        None => Err(Error::new(Kind::Interrupted, "interrupted")),
    };
    End { result, progress, upload: build.upload, file_send: build.file_send }
}

fn show(progress: &mut Progress, news: &News, now: Duration) {
    match news {
        News::Update(update) => progress.on_status(update, now),
        News::Restarted => progress.restart_stream(),
    }
}

fn show_transfer(progress: &mut Progress, upload: &Upload, now: Duration) {
    let counters = &upload.counters;
    let entries = counters.entries.load(Ordering::Relaxed);
    if entries == 0 {
        return;
    }
    let transfer = Transfer {
        name: CONTEXT_NAME.to_owned(),
        entries_scanned: entries,
        files_sent: counters.requested.load(Ordering::Relaxed),
        bytes_sent: counters.bytes_sent.load(Ordering::Relaxed),
        total_bytes: None,
        done: upload.is_done.load(Ordering::Relaxed),
    };
    progress.on_transfer(transfer, now);
}

/// What the user should hear of a build that failed: our own side's failure before the daemon's echo of it.
fn explain(error: BuildError, progress: &Progress, build: &Build) -> Error {
    let error = match error {
        SolveError::Cancelled => return Error::new(Kind::Interrupted, "interrupted"),
        SolveError::Frontend(error) => error,
        SolveError::Daemon(status) => daemon_error(&status, Some(progress)),
    };
    let mut error = services::explain(error, &build.root_cause);
    if let Some(private) = build.reached.private.as_ref().filter(|_| error.kind == Kind::Internal) {
        error.hints.push(format!("the private daemon's log ends:\n{}", private.log_tail()));
    }
    error
}

fn daemon_error(status: &Status, progress: Option<&Progress>) -> Error {
    let details = control::failure_details(status);
    if status.is_transport {
        return Error::new(Kind::Internal, "the daemon went away in the middle of the build")
            .because(status.clone())
            .hint("look at the daemon's log; what was built so far is in its cache");
    }
    let message = &status.message;
    if ["is not supported by build server", "unknown API capability", "could not be found"]
        .iter()
        .any(|text| message.contains(text))
    {
        return Error::new(Kind::Feature, format!("the daemon cannot build this: {message}"));
    }
    let step = details.vertex.and_then(|digest| {
        let model = progress?.model();
        Some(model.step(model.step_of(&VertexDigest(digest))?).name().to_owned())
    });
    let is_base = step.as_deref().is_some_and(|name| name.contains("FROM "));
    match (step, details.exit_code) {
        (Some(step), Some(code)) => {
            Error::new(Kind::Build, format!("step `{step}` failed with exit code {code}"))
        }
        (Some(step), None) if is_base => {
            Error::new(Kind::Registry, format!("step `{step}` failed: {message}"))
        }
        (Some(step), None) => Error::new(Kind::Build, format!("step `{step}` failed: {message}")),
        (None, _) => Error::new(Kind::Build, format!("the build failed: {message}")),
    }
}

/// Puts the result where it belongs, then says so.
fn finish(
    args: &BuildArgs,
    request: &Request,
    builder: String,
    end: End,
    started: Instant,
) -> Result<(), Error> {
    let End { result, progress, upload, file_send } = end;
    let written = file_send.as_ref().and_then(|send| send.take());
    let settled = result.and_then(|response| {
        let size_bytes = written.map(|sink| sink.finish().map_err(output_error)).transpose()?;
        if let Some(path) = &args.metadata_file {
            write_atomically(path, &metadata_json(&response, &extra(request)))
                .map_err(output_error)?;
        }
        if let Some(path) = &args.iidfile {
            let id = image_id(&response).unwrap_or_default();
            write_atomically(path, id.as_bytes()).map_err(output_error)?;
        }
        Ok((response, size_bytes))
    });
    let now = started.elapsed();
    match settled {
        Ok((response, size_bytes)) => {
            let digest = response.get("containerimage.digest").cloned().unwrap_or_default();
            let totals = progress.model().build_totals();
            let summary = Summary {
                tags: if request.output.dest().is_some() {
                    request.tags.clone()
                } else {
                    Vec::new()
                },
                digest: digest.clone(),
                size_bytes,
                outputs: request.output.dest().map(ToString::to_string).into_iter().collect(),
                steps: totals.total,
                cached: totals.cached,
                warnings: 0,
                context: Some(ContextTotals {
                    entries: upload.counters.entries.load(Ordering::Relaxed),
                    bytes_sent: upload.counters.bytes_sent.load(Ordering::Relaxed),
                }),
                elapsed: now,
                builder,
            };
            progress.finish(&Outcome::Succeeded(Box::new(summary)), now);
            if args.quiet && !digest.is_empty() && !is_stdout(request) {
                return print_stdout(format!("{digest}\n").as_bytes());
            }
            Ok(())
        }
        Err(error) => {
            let outcome = match error.kind {
                Kind::Interrupted => Outcome::Interrupted,
                _ => Outcome::Failed(failures(&progress, &error, now)),
            };
            progress.finish(&outcome, now);
            Err(error)
        }
    }
}

/// Reports of the steps that failed; none when the fault lies elsewhere.
fn failures(progress: &Progress, error: &Error, now: Duration) -> Vec<Failure> {
    if error.kind == Kind::Build { progress.failures(now) } else { Vec::new() }
}

fn is_stdout(request: &Request) -> bool {
    request.output.dest() == Some(&output::Dest::Stdout)
}

fn extra(request: &Request) -> BTreeMap<&'static str, serde_json::Value> {
    BTreeMap::from([("service", request.project.name.clone().into())])
}
