//! Errors of the library → what a user reads: message, hints, exit code. Nothing else in the crate knows flags in its errors
//! and exit codes.

use std::io;

use crate::{
    build::{
        BuildError, FailedStep, ProjectError,
        delivery::{ClassicCannot, DeliveryError},
    },
    connect::{Builder, ConnectError, Tried},
    control::DaemonError,
    daemon_words,
    daemonless::DaemonlessError,
    endpoint::{Installed, NotReachable, Place},
    error::{Error, Kind},
    frontend::ResolveError,
    grpc::{Code, Status},
    output::{OutputError, OutputErrorKind},
    plan::PlanError,
    session::Failure,
    transport::tls::TlsError,
};

const DOCKER_LOGIN: &str = "peelbox reads the credentials of `docker login`";

/// No builder was found.
pub(crate) fn connect_error(error: ConnectError) -> Error {
    match error {
        ConnectError::Address { source, is_of_variable } => {
            let shown = Error::from_error(Kind::Usage, source);
            match is_of_variable {
                true => shown.hint("the address is that of `BUILDKIT_HOST`"),
                false => shown,
            }
        }
        ConnectError::Unfit { source, place } => {
            let shown = Error::new(Kind::Feature, format!("{source} ({place})"));
            match source {
                DaemonError::NoWorker => {
                    shown.hint("look at the daemon's log: its worker did not start")
                }
                _ => shown.hint(
                    "upgrade the daemon; Docker Engine has such a BuildKit from version 24 on",
                ),
            }
        }
        ConnectError::NoBuilder(tried) => {
            let kind = kind_of(&tried);
            let account = NotReachable::new(tried.places, &tried.installed);
            Error::new(kind, account.to_string()).hint(account.hint)
        }
        other => connect_error_beside(other),
    }
}

fn connect_error_beside(error: ConnectError) -> Error {
    let text = error.to_string();
    match error {
        ConnectError::NoDocker(tried) => {
            let kind = kind_of(&tried);
            let Tried { mut places, installed } = tried;
            places.retain(|(one, _)| matches!(one.place, Place::Docker(_)));
            let installed = Installed { buildkitd: None, ..installed };
            let step = NotReachable::new(places, &installed).hint;
            Error::new(kind, text).hint(format!(
                "{step}; or add `--output type=oci,dest=app.tar`: a file needs no Docker"
            ))
        }
        ConnectError::NoCacheFolder => {
            Error::new(Kind::Usage, "`--daemonless` needs a folder for its cache")
                .hint("set HOME or XDG_CACHE_HOME")
        }
        ConnectError::Private(error) => {
            let kind = match &error {
                DaemonlessError::Interrupted => Kind::Interrupted,
                _ => Kind::NoDaemon,
            };
            let hint = error.hint();
            let mut shown = Error::from_error(kind, error);
            shown.hints.extend(hint.map(str::to_owned));
            shown
        }
        ConnectError::PrivateIsSilent { .. } => Error::new(Kind::NoDaemon, text),
        ConnectError::Thread(source) => Error::new(Kind::Internal, text).because(source),
        ConnectError::Cancelled => Error::new(Kind::Interrupted, text),
        _ => Error::new(Kind::Internal, text),
    }
}

/// Who must act when no place will do: what is there and too old wants an upgrade.
fn kind_of(tried: &Tried) -> Kind {
    if tried.is_too_old() { Kind::Feature } else { Kind::NoDaemon }
}

pub(crate) fn tls_error(error: TlsError) -> Error {
    let step = error.remedy();
    let mut shown = Error::from_error(Kind::Usage, error);
    shown.hints.extend(step.map(str::to_owned));
    shown
}

/// A project cannot be opened or built.
pub(crate) fn project_error(error: ProjectError) -> Error {
    let text = error.to_string();
    match error {
        ProjectError::Context { source, .. } => Error::new(Kind::Usage, text)
            .because(source)
            .hint("`--context` names the folder with the source tree"),
        ProjectError::Base { source, .. } => Error::new(Kind::Usage, text).because(source),
        ProjectError::NoSecrets { ids } => {
            let id = ids.first().map_or("ID", String::as_str);
            Error::new(Kind::Usage, text)
                .hint(format!(
                    "hand it over with `--secret id={id},src=FILE` or `--secret id={id},env=VARIABLE`"
                ))
                .hint("a variable that has the secret's own name is taken from the environment without a flag")
        }
        ProjectError::PublicSecret { .. } => Error::new(Kind::Usage, text)
            .hint("take it out of the spec and name it in `build.secrets`, then hand it over with `--secret id=ID,env=VARIABLE`: a secret is in no layer, no cache key and no provenance")
            .hint("`--no-provenance` builds with it; it is then still in the daemon's cache"),
        error => Error::from_error(Kind::Usage, error),
    }
}

/// A build came to nothing.
pub(crate) fn build_error(error: BuildError, builder: &Builder) -> Error {
    let mut shown = told(error, builder);
    if let (Some(log), Kind::Internal) = (builder.private_log(), shown.kind) {
        shown.hints.push(format!("the private daemon's log ends:\n{log}"));
    }
    shown
}

fn told(error: BuildError, builder: &Builder) -> Error {
    let text = error.to_string();
    match error {
        BuildError::Cancelled => Error::new(Kind::Interrupted, text),
        BuildError::Project(error) => project_error(*error),
        BuildError::Delivery(error) => delivery_error(error, builder),
        BuildError::Plan(error) => plan_error(&error),
        BuildError::Base(error) => base_error(*error),
        BuildError::Step(FailedStep { exit_code: None, fetches_image: true, .. }) => {
            Error::new(Kind::Registry, text)
        }
        BuildError::Step(_) => Error::new(Kind::Build, text),
        BuildError::Unsupported(_) => Error::new(Kind::Feature, text),
        BuildError::Push(status) => push_error(text, &status),
        BuildError::Daemon(status) => Error::new(kind_of_status(&status), text),
        BuildError::Lost(status) => Error::new(Kind::Internal, text)
            .because(status)
            .hint("look at the daemon's log; what was built so far is in its cache"),
        BuildError::Contradiction(status) => {
            Error::new(Kind::Internal, text).because(status).hint("try again")
        }
        BuildError::Session(failure) => session_error(*failure),
        BuildError::Output(error) => output_error(error),
        BuildError::Folder { source, .. } => Error::new(Kind::Output, text).because(source),
        BuildError::TemporaryFolder(source) => Error::new(Kind::Output, text).because(source),
        BuildError::Sbom(status) => {
            Error::new(Kind::Internal, text).because(status).hint("`--no-sbom` builds without one")
        }
        BuildError::Provenance(status) => Error::new(Kind::Internal, text)
            .because(status)
            .hint("the image is there; `--no-provenance` builds without it"),
        BuildError::Engine { source, .. } => Error::new(Kind::NoDaemon, text).because(source),
        BuildError::Ask { status, .. } => Error::new(Kind::Internal, text).because(status),
        BuildError::Thread(source) => Error::new(Kind::Internal, text).because(source),
        BuildError::Protocol(_) => Error::new(Kind::Internal, text),
    }
}

fn delivery_error(error: DeliveryError, builder: &Builder) -> Error {
    let text = error.to_string();
    match error {
        DeliveryError::Classic(cannot) => {
            let shown = Error::new(Kind::Feature, format!("{text} ({})", builder.describe()));
            let otherwise = "switch that engine to the containerd image store, or name a BuildKit daemon with `--buildkit ADDRESS`";
            shown.hint(match cannot {
                ClassicCannot::Push => {
                    format!("build with `--output type=docker`, then `docker push`; or {otherwise}")
                }
                ClassicCannot::WriteFile => {
                    format!("build with `--output type=docker`, then `docker save`; or {otherwise}")
                }
                ClassicCannot::UseBase { .. } => otherwise.to_owned(),
            })
        }
        DeliveryError::NoImage => {
            let text = "`--require-attestations` needs an image, `type=none` makes none";
            Error::new(Kind::Usage, text)
        }
        DeliveryError::CannotHold(_) => Error::new(Kind::Feature, text)
            .hint("`--output type=oci,dest=FILE` and Docker with the containerd image store can; without `--require-attestations` they are written beside the image"),
        DeliveryError::CannotHoldScanner(_) => Error::new(Kind::Feature, text)
            .hint("without `--sbom` peelbox makes one itself and writes it beside the image; or use `--output type=oci,dest=FILE`"),
        DeliveryError::NoDataDir => Error::new(Kind::Usage, format!("{text}: HOME is not set"))
            .hint("name one with `--attest-dir DIR`"),
        DeliveryError::Dir(dir) => {
            Error::new(Kind::Output, format!("`--attest-dir {}` is no folder", dir.display()))
        }
        DeliveryError::Beside(error) => output_error(error).hint(
            "SBOM and provenance go there: name another folder with `--attest-dir DIR`",
        ),
    }
}

pub(crate) fn plan_error(error: &PlanError) -> Error {
    let mut shown = Error::new(Kind::Usage, error.to_string());
    if let Some(source) = std::error::Error::source(error) {
        shown = shown.because(source.to_string());
    }
    shown.hints.extend(error.hint());
    shown
}

fn base_error(error: ResolveError) -> Error {
    let status = error.status();
    let kind = match status.code {
        // Not by us: who interrupts a build is told so by `solve::run`.
        Code::Canceled => Kind::Internal,
        _ if status.is_transport => Kind::Internal,
        _ => Kind::Registry,
    };
    let is_denied = daemon_words::is_denied(&status.message);
    let shown = Error::from_error(kind, error);
    if is_denied {
        return shown.hint("log in with `docker login`; peelbox reads Docker's configuration");
    }
    if kind == Kind::Registry {
        return shown
            .hint("the daemon fetches bases itself: check the name, and its way to the registry");
    }
    shown
}

fn push_error(text: String, status: &Status) -> Error {
    let shown = Error::new(Kind::Registry, text);
    if daemon_words::is_plain_registry(&status.message) {
        shown.hint("for a registry without TLS: `--output type=registry,registry.insecure=true`")
    } else if daemon_words::is_denied(&status.message) {
        shown.hint(DOCKER_LOGIN)
    } else {
        shown
    }
}

/// Who must act when no step is to blame. Builds fail with `Unknown`; some codes say that the exchange did.
fn kind_of_status(status: &Status) -> Kind {
    match status.code {
        Code::Unavailable | Code::Internal | Code::Canceled | Code::DeadlineExceeded => {
            Kind::Internal
        }
        // Our own limit: the graph of this spec is too large to be sent.
        Code::ResourceExhausted => Kind::Usage,
        _ => Kind::Build,
    }
}

/// Our side's failure, of which the daemon heard only a part.
fn session_error(failure: Failure) -> Error {
    match failure {
        Failure::Output(e) => Error::from_error(Kind::Output, e),
        Failure::Credentials(e) => Error::from_error(Kind::Registry, e).hint(DOCKER_LOGIN),
        Failure::Context(e) if e.is_protocol() => Error::from_error(Kind::Internal, e),
        Failure::Context(e) => Error::from_error(Kind::Usage, e),
        Failure::Layout(e) => Error::from_error(Kind::Usage, e),
    }
}

pub(crate) fn output_error(error: OutputError) -> Error {
    let kind = match error.kind() {
        OutputErrorKind::Usage => Kind::Usage,
        OutputErrorKind::Output => Kind::Output,
    };
    Error::from_error(kind, error)
}

pub(crate) fn system(what: &str, error: io::Error) -> Error {
    Error::new(Kind::Internal, what).because(error)
}
