//! Why no place gives a daemon, and the one next step.

use std::{error, fmt, io, path::PathBuf};

use crate::endpoint::{Candidate, Endpoint, Origin, Place};

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
    /// Something answers, in words that are not Docker's; the text says what.
    NotDocker(String),
    /// None of the places where Docker may be has one; the text says which.
    NoDocker(String),
    /// A Docker whose BuildKit is too old; the text names its version.
    TooOld(String),
    /// No TLS connection comes about.
    Tls {
        /// Why.
        what: String,
        /// What to do about it, where flags name the files.
        step: Option<&'static str>,
    },
    /// The program that gives the connection cannot be started; the text says which, and why.
    Program(String),
    /// The program that gives the connection has failed; the text is its standard error.
    Command(String),
    /// The container does not run; the text says so.
    Container(String),
    /// There is no such container, or it is none of BuildKit; the text says which.
    NoContainer(String),
    /// It cannot be known where it is, as with a Docker context that cannot be read.
    Address(String),
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
            Self::NotDocker(what) => write!(f, "not Docker: {}", one_line(what)),
            Self::Command(said) => match one_line(said) {
                said if said.is_empty() => f.write_str("the command ended without a word"),
                said => write!(f, "the command said: {said}"),
            },
            Self::Tls { what, .. } => write!(f, "no TLS connection: {}", one_line(what)),
            Self::TooOld(what)
            | Self::NoDocker(what)
            | Self::Program(what)
            | Self::Container(what)
            | Self::NoContainer(what)
            | Self::Address(what) => f.write_str(&one_line(what)),
            Self::Other(error) => error.fmt(f),
        }
    }
}

/// What is on this machine to go on with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// The program, if it is on `PATH`.
    pub buildkitd: Option<PathBuf>,
    /// Whether Docker's daemon is on `PATH`.
    pub dockerd: bool,
    /// Whether Docker's command is on `PATH`.
    pub docker: bool,
}

/// No candidate is a daemon: what was tried, why each failed, what to do.
///
/// `{}` gives the account; `{:#}` adds the hint on a line of its own.
#[derive(Debug)]
pub struct NotReachable {
    /// In the order it was tried.
    pub tried: Vec<(Candidate, Reason)>,
    /// The next step on this machine: one sentence with the line to type.
    pub hint: String,
}

impl NotReachable {
    /// Puts the account together.
    pub fn new(tried: Vec<(Candidate, Reason)>, installed: &Installed) -> Self {
        let hint = hint(&tried, installed);
        Self { tried, hint }
    }
}

impl fmt::Display for NotReachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no BuildKit daemon answers")?;
        for (Candidate { place, origin }, reason) in &self.tried {
            write!(f, "\n  {place} ({origin}): {reason}")?;
        }
        if f.alternate() {
            write!(f, "\nhint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl error::Error for NotReachable {}

/// The first rule that fits decides.
fn hint(tried: &[(Candidate, Reason)], installed: &Installed) -> String {
    if let Some((Candidate { place, origin }, reason)) = tried.first()
        && let Some(way_out) = way_out_of_name(origin)
    {
        return format!("{}, or {way_out} to try the usual sockets", step_for_named(place, reason));
    }
    let is_docker = |one: &Candidate| matches!(one.place, Place::Docker(_));
    let any = |wanted: fn(&Reason) -> bool, of_docker| {
        tried.iter().any(|(one, reason)| wanted(reason) && is_docker(one) == of_docker)
    };
    let is_denied = |reason: &Reason| matches!(reason, Reason::PermissionDenied);
    if any(is_denied, true) {
        return JOIN_DOCKER.to_owned();
    }
    if any(is_denied, false) {
        return format!("{JOIN_GROUP}, or start a daemon of your own (`rootlesskit buildkitd`)");
    }
    if any(|reason| matches!(reason, Reason::TooOld(_)), true) {
        return UPGRADE_DOCKER.to_owned();
    }
    if let Some(hint) = tried.iter().find_map(|(one, reason)| step_for_docker(one, reason)) {
        return hint;
    }
    if installed.dockerd || installed.docker {
        return START_DOCKER.to_owned();
    }
    match &installed.buildkitd {
        Some(program) => format!(
            "add `--daemonless` to let peelbox start `{}` for this build, or name a daemon with `--buildkit ADDRESS`",
            program.display()
        ),
        None => "install Docker 24 or newer, or name a BuildKit daemon with `--buildkit ADDRESS` or `BUILDKIT_HOST`".to_owned(),
    }
}

/// How not to name that address, if it was named.
fn way_out_of_name(origin: &Origin) -> Option<&'static str> {
    match origin {
        Origin::Flag => Some("leave `--buildkit` out"),
        Origin::Environment => Some("unset `BUILDKIT_HOST`"),
        _ => None,
    }
}

fn step_for_named(place: &Place, reason: &Reason) -> String {
    let is_docker = matches!(
        place,
        Place::BuildKit(Endpoint::Docker { .. } | Endpoint::DockerContainer { .. })
    );
    let step = match reason {
        Reason::PermissionDenied if is_docker => JOIN_DOCKER,
        Reason::PermissionDenied => JOIN_GROUP,
        Reason::TooOld(_) => UPGRADE_DOCKER,
        Reason::Address(_) => OTHER_CONTEXT,
        Reason::NoDocker(_) => START_DOCKER,
        Reason::Container(_) => "start that container",
        Reason::NoContainer(_) => "name a container with BuildKit in it",
        Reason::Tls { .. } if is_docker => DOCKER_CERTIFICATES,
        Reason::Tls { step: Some(step), .. } => step,
        Reason::Program(_) => INSTALL,
        Reason::Command(_) => {
            if let Some(step) = command_of(place).map(make_work) {
                return step;
            }
            START
        }
        _ => START,
    };
    step.to_owned()
}

/// What to do about a Docker that was named and is of no use.
fn step_for_docker(Candidate { place, origin }: &Candidate, reason: &Reason) -> Option<String> {
    let carried = match reason {
        Reason::Program(_) => Some(INSTALL.to_owned()),
        Reason::Command(_) => command_of(place).map(make_work),
        _ => None,
    };
    let of_context = |name: &str| carried.clone().unwrap_or_else(|| step_for_context(name, reason));
    let (step, way_out) = match origin {
        Origin::DockerHost if matches!(reason, Reason::Address(_) | Reason::NotDocker(_)) => {
            (step_for_host(reason).to_owned(), "unset it to try the usual sockets")
        }
        Origin::DockerHost => {
            let step = carried.clone().unwrap_or_else(|| step_for_host(reason).to_owned());
            (step, "unset `DOCKER_HOST` to try the usual sockets")
        }
        Origin::DockerContext(name) => (of_context(name), "unset `DOCKER_CONTEXT`"),
        Origin::CurrentContext(name) if name.is_empty() => {
            return Some("mend the config file of Docker".to_owned());
        }
        Origin::CurrentContext(name) => {
            (of_context(name), "leave it with `docker context use default`")
        }
        _ => return None,
    };
    Some(format!("{step}, or {way_out}"))
}

fn step_for_host(reason: &Reason) -> &'static str {
    match reason {
        Reason::Tls { what, .. } if what == WANTS_TLS => {
            "set `DOCKER_TLS_VERIFY=1`, and `DOCKER_CERT_PATH` to the folder with its `ca.pem`, `cert.pem` and `key.pem`"
        }
        Reason::Tls { .. } => "look at the certificates in `DOCKER_CERT_PATH`",
        Reason::Address(_) | Reason::NotDocker(_) => "correct `DOCKER_HOST`",
        _ => "start that Docker",
    }
}

fn step_for_context(name: &str, reason: &Reason) -> String {
    let name = name.escape_debug();
    match reason {
        Reason::Address(_) => OTHER_CONTEXT.to_owned(),
        Reason::Tls { .. } => format!("look at the certificates of the context `{name}`"),
        Reason::NotDocker(_) => format!("correct the address of the context `{name}`"),
        _ => format!("start the Docker of the context `{name}`"),
    }
}

/// The program that gives the connection.
fn command_of(place: &Place) -> Option<Vec<String>> {
    match place {
        Place::BuildKit(endpoint) => endpoint.command(),
        Place::Docker(host) => host.as_ref().ok()?.address.command(),
    }
}

fn make_work(command: Vec<String>) -> String {
    // No word of it means anything else to a shell.
    format!("make this work in a shell: `{}`", command.join(" "))
}

/// Gives foreign words as one line of bounded length: the last lines, for there the error is.
fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LINES_MAX)..].join("; ");
    let mut shown = String::new();
    for (at, c) in last.chars().enumerate() {
        if at == CHARS_MAX {
            shown.push('…');
            break;
        }
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

const JOIN_DOCKER: &str = "join the group of Docker: `sudo usermod -aG docker $USER`, then log in again (or run with sudo)";
const JOIN_GROUP: &str = "the socket belongs to another user: join its group";
/// What is said of a server that was asked in the clear and speaks TLS.
pub const WANTS_TLS: &str = "the server speaks TLS";
const START: &str = "start that daemon";
const START_DOCKER: &str = "start Docker: `sudo systemctl start docker`";
const INSTALL: &str = "install that program";
const DOCKER_CERTIFICATES: &str = "look at the certificates that Docker's client uses (`DOCKER_CERT_PATH`, or those of its context)";
const OTHER_CONTEXT: &str = "name a context that `docker context ls` lists";
const UPGRADE_DOCKER: &str = "upgrade to Docker 24 or newer";

/// How much of foreign words is shown.
const LINES_MAX: usize = 3;
const CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use std::{
        os::unix::net::{UnixListener, UnixStream},
        path::Path,
    };

    use super::*;
    use crate::endpoint::DockerHost;

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

    #[test]
    fn foreign_words_are_shown_in_one_short_line() {
        let said = |text: &str| Reason::Command(text.to_owned()).to_string();
        assert_eq!(said(" \n"), "the command ended without a word");
        assert_eq!(
            said("Warning: x\r\n\n  ssh: a\x1b[1m\nb\nc\n"),
            "the command said: ssh: a\\u{1b}[1m; b; c"
        );
        let long = said(&"ä".repeat(1000));
        assert!(long.ends_with("ä…") && long.chars().count() == 319, "{long}");
        for (reason, text) in [
            (Reason::NotDocker("a\nb".to_owned()), "not Docker: a; b"),
            (Reason::Tls { what: "expired".to_owned(), step: None }, "no TLS connection: expired"),
            (Reason::NoDocker("no `z`".to_owned()), "no `z`"),
            (Reason::Program("no `ssh`".to_owned()), "no `ssh`"),
            (Reason::TooOld("Docker 20 is old".to_owned()), "Docker 20 is old"),
            (Reason::Container("no `x`".to_owned()), "no `x`"),
            (Reason::Address("no `y`".to_owned()), "no `y`"),
        ] {
            assert_eq!(reason.to_string(), text);
        }
    }

    fn buildkit(address: &str, origin: Origin) -> Candidate {
        Candidate { place: Place::BuildKit(Endpoint::parse(address).unwrap()), origin }
    }

    fn docker(origin: Origin) -> Candidate {
        let host = DockerHost::parse("/var/run/docker.sock").map_err(|e| e.to_string());
        Candidate { place: Place::Docker(host), origin }
    }

    /// What is tried where nothing was named, all of it absent.
    fn usual() -> Vec<(Candidate, Reason)> {
        vec![
            (
                buildkit("/run/user/7/buildkit/buildkitd.sock", Origin::RootlessDefault),
                Reason::Absent,
            ),
            (buildkit("/run/buildkit/buildkitd.sock", Origin::RootDefault), Reason::Absent),
            (docker(Origin::DockerDefault), Reason::Absent),
        ]
    }

    fn nothing() -> Installed {
        Installed::default()
    }

    fn all() -> Installed {
        Installed { buildkitd: Some("/usr/bin/buildkitd".into()), dockerd: true, docker: true }
    }

    /// The hint begins so, whatever is installed.
    fn hints(tried: fn() -> Vec<(Candidate, Reason)>, says: &str) {
        for installed in [nothing(), all()] {
            let hint = NotReachable::new(tried(), &installed).hint;
            assert!(hint.starts_with(says), "`{hint}` should begin with `{says}`");
            assert!(!hint.contains('\n'), "{hint}");
        }
    }

    #[test]
    fn the_account_tells_every_place_its_reason_and_the_next_step() {
        let mut tried = usual();
        tried[1].1 = Reason::PermissionDenied;
        let unknown = Candidate {
            place: Place::Docker(Err("x".to_owned())),
            origin: Origin::CurrentContext("far".to_owned()),
        };
        tried.insert(2, (unknown, Reason::Address("there is no Docker context `far`".to_owned())));
        let account = NotReachable::new(tried, &all());
        assert_eq!(
            format!("{account:#}"),
            "no BuildKit daemon answers
  unix:///run/user/7/buildkit/buildkitd.sock (rootless default): there is no such socket
  unix:///run/buildkit/buildkitd.sock (default): permission denied
  Docker (current Docker context `far`): there is no Docker context `far`
  Docker at unix:///var/run/docker.sock (Docker's default): there is no such socket
hint: the socket belongs to another user: join its group, or start a daemon of your own (`rootlesskit buildkitd`)"
        );
        assert!(!account.to_string().contains("hint"));
    }

    #[test]
    fn a_named_address_is_to_be_started_or_left_out() {
        hints(
            || vec![(buildkit("tcp://a:1", Origin::Flag), Reason::Refused)],
            "start that daemon, or leave `--buildkit` out to try the usual sockets",
        );
        hints(
            || vec![(buildkit("tcp://a:1", Origin::Environment), Reason::NotBuildKit("x".into()))],
            "start that daemon, or unset `BUILDKIT_HOST` to try the usual sockets",
        );
        hints(
            || vec![(buildkit("/x", Origin::Flag), Reason::PermissionDenied)],
            "the socket belongs to another user: join its group, or leave `--buildkit` out",
        );
        hints(
            || vec![(buildkit("docker://", Origin::Flag), Reason::PermissionDenied)],
            "join the group of Docker: `sudo usermod -aG docker $USER`, then",
        );
        hints(
            || vec![(buildkit("docker://", Origin::Flag), Reason::TooOld("20".into()))],
            "upgrade to Docker 24 or newer, or leave `--buildkit` out",
        );
        hints(
            || vec![(buildkit("docker://x", Origin::Flag), Reason::Address("no".into()))],
            "name a context that `docker context ls` lists, or leave",
        );
        hints(
            || vec![(buildkit("docker-container://x", Origin::Flag), Reason::Container("".into()))],
            "start that container, or leave",
        );
        hints(
            || {
                let reason = Reason::NoContainer("no `x`".into());
                vec![(buildkit("docker-container://x", Origin::Flag), reason)]
            },
            "name a container with BuildKit in it, or leave",
        );
        hints(
            || {
                let reason = Reason::Tls { what: "late".into(), step: Some("renew it") };
                vec![(buildkit("tcp://a:1", Origin::Flag), reason)]
            },
            "renew it, or leave `--buildkit` out",
        );
        hints(
            || vec![(buildkit("docker://", Origin::Flag), Reason::NoDocker("none".into()))],
            "start Docker: `sudo systemctl start docker`, or leave",
        );
        hints(
            || vec![(buildkit("ssh://a", Origin::Flag), Reason::Program("no `ssh`".into()))],
            "install that program, or leave",
        );
        hints(
            || vec![(buildkit("ssh://a", Origin::Flag), Reason::Command("denied".into()))],
            "make this work in a shell: `ssh -T -- a buildctl dial-stdio`, or leave",
        );
    }

    #[test]
    fn a_closed_docker_socket_is_opened_by_its_group() {
        hints(
            || {
                let mut tried = usual();
                tried[1].1 = Reason::PermissionDenied;
                tried[2].1 = Reason::PermissionDenied;
                tried
            },
            "join the group of Docker: `sudo usermod -aG docker $USER`, then log in again (or run with sudo)",
        );
    }

    #[test]
    fn a_closed_buildkit_socket_is_opened_by_its_group() {
        hints(
            || {
                let mut tried = usual();
                tried[1].1 = Reason::PermissionDenied;
                tried[2].1 = Reason::TooOld("20".to_owned());
                tried
            },
            "the socket belongs to another user: join its group, or start a daemon of your own",
        );
    }

    #[test]
    fn an_old_docker_is_to_be_upgraded() {
        hints(
            || {
                let mut tried = usual();
                tried.insert(2, (docker(Origin::DockerHost), Reason::Refused));
                tried[3].1 = Reason::TooOld("Docker Engine 20.10.24 has an old one".to_owned());
                tried
            },
            "upgrade to Docker 24 or newer",
        );
    }

    #[test]
    fn a_docker_that_was_named_is_to_be_started_or_not_named() {
        hints(
            || vec![(docker(Origin::DockerHost), Reason::Refused)],
            "start that Docker, or unset `DOCKER_HOST`",
        );
        hints(
            || vec![(docker(Origin::DockerHost), Reason::Address("not one".to_owned()))],
            "correct `DOCKER_HOST`, or unset it",
        );
        hints(
            || vec![(docker(Origin::DockerContext("x".to_owned())), Reason::TimedOut)],
            "start the Docker of the context `x`, or unset `DOCKER_CONTEXT`",
        );
        hints(
            || vec![(docker(Origin::CurrentContext("x".to_owned())), Reason::Refused)],
            "start the Docker of the context `x`, or leave it with `docker context use default`",
        );
        hints(
            || {
                vec![(
                    docker(Origin::CurrentContext("x".to_owned())),
                    Reason::Tls { what: "y".to_owned(), step: None },
                )]
            },
            "look at the certificates of the context `x`, or leave it with",
        );
        hints(
            || vec![(docker(Origin::DockerContext("x".to_owned())), Reason::NotDocker("y".into()))],
            "correct the address of the context `x`, or unset `DOCKER_CONTEXT`",
        );
        hints(
            || vec![(docker(Origin::DockerHost), Reason::Tls { what: "y".to_owned(), step: None })],
            "look at the certificates in `DOCKER_CERT_PATH`, or unset `DOCKER_HOST`",
        );
        hints(
            || {
                vec![(
                    docker(Origin::DockerHost),
                    Reason::Tls { what: WANTS_TLS.to_owned(), step: None },
                )]
            },
            "set `DOCKER_TLS_VERIFY=1`, and `DOCKER_CERT_PATH` to the folder with its",
        );
        hints(
            || {
                let reason = Reason::Tls { what: "y".to_owned(), step: Some("for BuildKit") };
                vec![(docker(Origin::DockerHost), reason)]
            },
            "look at the certificates in `DOCKER_CERT_PATH`",
        );
        hints(
            || {
                let host = DockerHost::parse("ssh://a").map_err(|e| e.to_string());
                let far = Candidate { place: Place::Docker(host), origin: Origin::DockerHost };
                vec![(far, Reason::Command("denied".to_owned()))]
            },
            "make this work in a shell: `ssh -T -- a docker system dial-stdio`, or unset `DOCKER_HOST`",
        );
        hints(
            || {
                let origin = Origin::CurrentContext("x".to_owned());
                vec![(docker(origin), Reason::Address("no".to_owned()))]
            },
            "name a context that `docker context ls` lists, or leave it with `docker context use",
        );
        hints(
            || {
                let origin = Origin::CurrentContext(String::new());
                vec![(docker(origin), Reason::Address("not JSON".to_owned()))]
            },
            "mend the config file of Docker",
        );
    }

    #[test]
    fn without_a_fault_to_mend_the_hint_fits_what_is_installed() {
        let hint = |installed| NotReachable::new(usual(), &installed).hint;
        let start = "start Docker: `sudo systemctl start docker`";
        assert_eq!(hint(all()), start);
        assert_eq!(hint(Installed { docker: true, ..nothing() }), start);
        assert_eq!(hint(Installed { dockerd: true, ..nothing() }), start);
        assert_eq!(
            hint(Installed { dockerd: false, docker: false, ..all() }),
            "add `--daemonless` to let peelbox start `/usr/bin/buildkitd` for this build, or name a daemon with `--buildkit ADDRESS`"
        );
        assert_eq!(
            hint(nothing()),
            "install Docker 24 or newer, or name a BuildKit daemon with `--buildkit ADDRESS` or `BUILDKIT_HOST`"
        );
    }
}
