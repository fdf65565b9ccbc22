//! Where BuildKit may listen: addresses, the places that are tried, and the account of them
//! when none answers.
//!
//! Nothing here connects or runs anything. What is in the environment comes as [`Surroundings`].

use std::{error, fmt, path::PathBuf};

mod account;
mod candidates;
mod docker_host;
mod parts;

pub use account::{Installed, NotReachable, Reason, WANTS_TLS};
pub use candidates::{
    Candidate, DockerCandidate, Origin, Place, Surroundings, candidates, runtime_dir,
};
pub use docker_host::{DockerAddress, DockerHost, DockerTls, fuzz_docker_host};
pub use parts::is_context_name;
use parts::{Check, HostPort, SSH_FORM, SshParts};

/// An address of a BuildKit daemon.
///
/// No value of one that was parsed can be taken for a flag by a program, or for anything but
/// itself by a shell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `unix://PATH`
    Unix(PathBuf),
    /// `tcp://HOST:PORT`
    Tcp {
        /// A name or an address; IPv6 without its brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// `docker-container://NAME[?context=CONTEXT]`
    DockerContainer {
        /// The container's name or id.
        name: String,
        /// The Docker context that has it; the Docker that is found as usual if `None`.
        context: Option<String>,
    },
    /// `podman-container://NAME`
    PodmanContainer {
        /// The container's name or id.
        name: String,
    },
    /// `nerdctl-container://NAME[?namespace=NAMESPACE]`
    NerdctlContainer {
        /// The container's name or id.
        name: String,
        /// The namespace of containerd.
        namespace: Option<String>,
    },
    /// `kube-pod://POD[?context=CONTEXT&namespace=NAMESPACE&container=CONTAINER]`
    KubePod {
        /// The pod's name.
        pod: String,
        /// The context of kubectl.
        context: Option<String>,
        /// The pod's namespace.
        namespace: Option<String>,
        /// Which container of the pod.
        container: Option<String>,
    },
    /// `ssh://[USER@]HOST[:PORT][/SOCKET]`
    Ssh {
        /// Who to be there.
        user: Option<String>,
        /// A name or an address; IPv6 without its brackets.
        host: String,
        /// Never 0.
        port: Option<u16>,
        /// Where the daemon listens on that host.
        socket: Option<PathBuf>,
    },
    /// `docker://[CONTEXT]`: the BuildKit inside Docker Engine
    Docker {
        /// The Docker context; the Docker that is found as usual if `None`.
        context: Option<String>,
    },
}

impl Endpoint {
    /// Reads an address as buildctl's `--addr` takes it, or the bare path of a socket.
    ///
    /// # Errors
    /// [`EndpointError`] says what would be understood.
    pub fn parse(address: &str) -> Result<Self, EndpointError> {
        Self::read(address).map_err(|problem| EndpointError::new(address, problem))
    }

    fn read(address: &str) -> Result<Self, Problem> {
        let Some((scheme, rest)) = address.split_once("://") else {
            // A path has a slash at its beginning or after its dots; `host:port` has not.
            return match address.starts_with(['/', '.']) {
                true => parts::socket(address).map(Self::Unix),
                false => Err(Problem::NoScheme),
            };
        };
        match scheme {
            "unix" => parts::socket(rest).map(Self::Unix),
            "tcp" => match parts::tcp(rest)? {
                HostPort { host, port: Some(port) } => Ok(Self::Tcp { host, port }),
                HostPort { port: None, .. } => Err(Problem::BadPort),
            },
            "docker-container" => {
                let keys = [("context", is_context_name as Check)];
                let (name, [context]) =
                    parts::named(rest, DOCKER_CONTAINER_FORM, parts::is_container_name, keys)?;
                Ok(Self::DockerContainer { name, context })
            }
            "podman-container" => {
                let (name, []) =
                    parts::named(rest, PODMAN_CONTAINER_FORM, parts::is_container_name, [])?;
                Ok(Self::PodmanContainer { name })
            }
            "nerdctl-container" => {
                let keys = [("namespace", parts::is_container_name as Check)];
                let (name, [namespace]) =
                    parts::named(rest, NERDCTL_CONTAINER_FORM, parts::is_container_name, keys)?;
                Ok(Self::NerdctlContainer { name, namespace })
            }
            "kube-pod" => {
                let keys = [
                    ("context", parts::is_kube_context as Check),
                    ("namespace", parts::is_kube_name),
                    ("container", parts::is_kube_name),
                ];
                let (pod, [context, namespace, container]) =
                    parts::named(rest, KUBE_POD_FORM, parts::is_kube_name, keys)?;
                Ok(Self::KubePod { pod, context, namespace, container })
            }
            "ssh" => {
                let SshParts { user, host, port, socket } = SshParts::parse(rest)?;
                Ok(Self::Ssh { user, host, port, socket })
            }
            "docker" if rest.is_empty() => Ok(Self::Docker { context: None }),
            "docker" => {
                let (name, []) = parts::named(rest, DOCKER_FORM, is_context_name, [])?;
                Ok(Self::Docker { context: Some(name) })
            }
            "http" | "https" | "grpc" | "h2c" => Err(Problem::SayTcp),
            _ => Err(Problem::UnknownScheme),
        }
    }

    /// Gives the program and its arguments whose standard input and output are the daemon's
    /// connection; `None` for addresses that are reached without one.
    ///
    /// The same commands as buildctl's (BuildKit v0.32, `client/connhelper`), but flags without
    /// a value are left out.
    pub fn command(&self) -> Option<Vec<String>> {
        let mut argv = match self {
            Self::Unix(_)
            | Self::Tcp { .. }
            | Self::DockerContainer { .. }
            | Self::Docker { .. } => {
                return None;
            }
            Self::PodmanContainer { name } => words(&["podman", "exec", "-i", name]),
            Self::NerdctlContainer { name, namespace } => {
                let mut argv = words(&["nerdctl", "exec"]);
                if let Some(namespace) = namespace {
                    argv.extend(words(&["--namespace", namespace]));
                }
                argv.extend(words(&["-i", name]));
                argv
            }
            Self::KubePod { pod, context, namespace, container } => {
                let flag = |name: &str, value: &Option<String>| {
                    value.as_ref().map(|value| format!("--{name}={value}"))
                };
                let mut argv = words(&["kubectl"]);
                argv.extend(flag("context", context));
                argv.extend(flag("namespace", namespace));
                argv.push("exec".to_owned());
                argv.extend(flag("container", container));
                argv.extend(words(&["-i", pod, "--"]));
                argv
            }
            Self::Ssh { user, host, port, socket } => {
                let mut argv = parts::ssh_command(user.as_deref(), *port, host);
                argv.push("buildctl".to_owned());
                if let Some(socket) = socket {
                    argv.extend(["--addr".to_owned(), format!("unix://{}", socket.display())]);
                }
                argv.push("dial-stdio".to_owned());
                return Some(argv);
            }
        };
        argv.extend(words(&["buildctl", "dial-stdio"]));
        Some(argv)
    }
}

impl Endpoint {
    /// What HTTP/2 calls the daemon (`:authority`); daemons do not look at it.
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port } => parts::authority(host, *port),
            _ => LOCALHOST.to_owned(),
        }
    }
}

/// For what has no host of its own.
const LOCALHOST: &str = "localhost";

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => {
                f.write_str("tcp://")?;
                parts::write_authority(f, None, host, Some(*port))
            }
            Self::DockerContainer { name, context } => {
                write!(f, "docker-container://{name}")?;
                parts::write_query(f, &[("context", context)])
            }
            Self::PodmanContainer { name } => write!(f, "podman-container://{name}"),
            Self::NerdctlContainer { name, namespace } => {
                write!(f, "nerdctl-container://{name}")?;
                parts::write_query(f, &[("namespace", namespace)])
            }
            Self::KubePod { pod, context, namespace, container } => {
                write!(f, "kube-pod://{pod}")?;
                let values =
                    [("context", context), ("namespace", namespace), ("container", container)];
                parts::write_query(f, &values)
            }
            Self::Ssh { user, host, port, socket } => {
                f.write_str("ssh://")?;
                parts::write_authority(f, user.as_deref(), host, *port)?;
                socket.iter().try_for_each(|path| path.display().fmt(f))
            }
            Self::Docker { context } => {
                write!(f, "docker://{}", context.as_deref().unwrap_or_default())
            }
        }
    }
}

/// An address that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointError {
    /// What was given, without a password.
    pub address: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl EndpointError {
    fn new(address: &str, problem: Problem) -> Self {
        Self { address: parts::without_password(address), problem }
    }
}

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// No `scheme://` and not a path.
    NoScheme,
    /// A scheme nobody knows.
    UnknownScheme,
    /// A web address, where `tcp://` is meant.
    SayTcp,
    /// Not an address of a Docker Engine.
    NotDockerHost,
    /// `npipe://` or `fd://`.
    NotServed,
    /// `unix://` and nothing more.
    NoPath,
    /// A NUL byte or a line break in the path.
    BadPath,
    /// An abstract socket.
    Abstract,
    /// More bytes than the system takes.
    LongPath,
    /// `tcp://` without a host, or with one that cannot be a host.
    BadHost,
    /// `tcp://` without a port from 1 to 65535.
    BadPort,
    /// More than host and port.
    TcpWithMore,
    /// A part of another kind of address that cannot be one.
    BadPart {
        /// How such an address looks.
        form: &'static str,
        /// Which part.
        part: &'static str,
    },
    /// A key behind `?` that this kind of address does not have.
    UnknownKey {
        /// How such an address looks.
        form: &'static str,
        /// The key.
        key: String,
    },
    /// A key behind `?` that comes twice.
    RepeatedKey(&'static str),
    /// A password, which would be seen by everybody on this machine.
    Password,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot understand the address `{}`: ", self.address.escape_debug())?;
        match &self.problem {
            Problem::NoScheme | Problem::UnknownScheme => write!(f, "expected {FORMS}"),
            Problem::SayTcp => f.write_str("expected `tcp://HOST:PORT`"),
            Problem::NotDockerHost => write!(f, "expected {DOCKER_HOST_FORMS}"),
            Problem::NotServed => {
                write!(f, "this kind of address is not served, use {DOCKER_HOST_FORMS}")
            }
            Problem::NoPath => f.write_str("the path of the socket is missing"),
            Problem::BadPath => f.write_str("the path has a control character"),
            Problem::Abstract => f.write_str("abstract sockets are not served, name a path"),
            Problem::LongPath => {
                write!(f, "the path of a socket has at most {} bytes", parts::SOCKET_PATH_MAX_BYTES)
            }
            Problem::BadHost => f.write_str("expected `tcp://HOST:PORT`, the host is not one"),
            Problem::BadPort => {
                f.write_str("expected `tcp://HOST:PORT` with a port from 1 to 65535")
            }
            Problem::TcpWithMore => f.write_str("expected `tcp://HOST:PORT` and nothing behind"),
            Problem::BadPart { form, part } => {
                write!(f, "expected `{form}`, the {part} is not one")
            }
            Problem::UnknownKey { form, key } => {
                write!(f, "expected `{form}`, there is no key `{}`", key.escape_debug())
            }
            Problem::RepeatedKey(key) => write!(f, "the key `{key}` comes twice"),
            Problem::Password => {
                write!(f, "passwords are not taken, use a key and an agent; expected `{SSH_FORM}`")
            }
        }
    }
}

impl error::Error for EndpointError {}

/// Takes `data` for an address; must not panic, what is printed must be read back, and no
/// argument of a command may be one that the program or a shell reads in another way.
#[doc(hidden)]
pub fn fuzz_endpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Endpoint::parse(text) {
        Ok(endpoint) => {
            assert_eq!(Endpoint::parse(&endpoint.to_string()).as_ref(), Ok(&endpoint));
            parts::assert_harmless(&endpoint.command().unwrap_or_default());
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

const DOCKER_CONTAINER_FORM: &str = "docker-container://NAME[?context=CONTEXT]";
const PODMAN_CONTAINER_FORM: &str = "podman-container://NAME";
const NERDCTL_CONTAINER_FORM: &str = "nerdctl-container://NAME[?namespace=NAMESPACE]";
const KUBE_POD_FORM: &str =
    "kube-pod://POD[?context=CONTEXT&namespace=NAMESPACE&container=CONTAINER]";
const DOCKER_FORM: &str = "docker://[CONTEXT]";

/// All that is understood.
const FORMS: &str = "`unix://PATH`, `tcp://HOST:PORT`, `docker://[CONTEXT]`, \
    `docker-container://NAME`, `podman-container://NAME`, `nerdctl-container://NAME`, \
    `kube-pod://POD` or `ssh://[USER@]HOST[:PORT][/SOCKET]`";

/// The same for a Docker Engine.
const DOCKER_HOST_FORMS: &str =
    "`unix://PATH`, `tcp://HOST[:PORT]` or `ssh://[USER@]HOST[:PORT][/SOCKET]`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    fn tcp_to(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.to_owned(), port }
    }

    fn check(address: &str, expected: &Endpoint) {
        assert_eq!(Endpoint::parse(address).as_ref(), Ok(expected), "{address}");
    }

    fn refused(address: &str, expected: Problem, says: &str) {
        let error = Endpoint::parse(address).expect_err(address);
        assert_eq!(error.problem, expected, "{address}");
        let text = error.to_string();
        assert!(text.contains(says), "`{text}` should say `{says}`");
    }

    /// Every address is refused for that part, and the text says how it should look.
    fn bad_part(form: &'static str, part: &'static str, addresses: &[&str]) {
        for address in addresses {
            refused(address, Problem::BadPart { form, part }, &format!("expected `{form}`, the "));
        }
    }

    /// An address, how it is printed, and the command it stands for.
    fn golden(address: &str, printed: &str, command: &str) {
        let endpoint = Endpoint::parse(address).expect(address);
        assert_eq!(endpoint.to_string(), printed, "{address}");
        assert_eq!(Endpoint::parse(printed).as_ref(), Ok(&endpoint), "{address}");
        let argv = endpoint.command().unwrap_or_default();
        assert_eq!(argv.join(" "), command, "{address}");
    }

    #[test]
    fn sockets_are_named_by_address_or_by_path() {
        let socket = Endpoint::Unix("/run/x.sock".into());
        check("unix:///run/x.sock", &socket);
        check("/run/x.sock", &socket);
        check("unix://x.sock", &Endpoint::Unix("x.sock".into()));
        check("./a b.sock", &Endpoint::Unix("./a b.sock".into()));
        check(
            &format!("/{}", "x".repeat(106)),
            &Endpoint::Unix(format!("/{}", "x".repeat(106)).into()),
        );
        refused("unix://", Problem::NoPath, "missing");
        refused("/", Problem::NoPath, "missing");
        refused("unix://@x", Problem::Abstract, "abstract");
        refused("unix:///a\0b", Problem::BadPath, "control");
        refused("unix:///a\nb", Problem::BadPath, "\\n");
        refused(&format!("/{}", "x".repeat(107)), Problem::LongPath, "107 bytes");
    }

    #[test]
    fn tcp_addresses_have_a_host_and_a_port() {
        check("tcp://127.0.0.1:1234", &tcp_to("127.0.0.1", 1234));
        check("tcp://buildkit.example:65535", &tcp_to("buildkit.example", 65535));
        check("tcp://[::1]:1234", &tcp_to("::1", 1234));
        check("tcp://[fe80::1%eth0]:1", &tcp_to("fe80::1%eth0", 1));
        for address in ["tcp://host", "tcp://host:", "tcp://host:0", "tcp://host:65536"] {
            refused(address, Problem::BadPort, "65535");
        }
        refused("tcp://host:+80", Problem::BadPort, "65535");
        refused("tcp://[::1]", Problem::BadPort, "65535");
        for address in ["tcp://:1", "tcp://::1:80", "tcp://[x]:1", "tcp://[::1:1", "tcp://-a:1"] {
            refused(address, Problem::BadHost, "not one");
        }
        refused("tcp://host:1/path", Problem::TcpWithMore, "nothing behind");
        refused("tcp://me@host:1", Problem::TcpWithMore, "nothing behind");
    }

    #[test]
    fn schemes_that_are_not_understood_are_answered_with_those_that_are() {
        refused("https://host:1", Problem::SayTcp, "expected `tcp://HOST:PORT`");
        for address in ["UNIX:///x", "npipe:////./pipe/buildkitd", "://"] {
            refused(address, Problem::UnknownScheme, "`unix://PATH`, `tcp://HOST:PORT`");
        }
        refused("", Problem::NoScheme, "``");
        let error = Endpoint::parse("host:1234").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot understand the address `host:1234`: expected `unix://PATH`, `tcp://HOST:PORT`, \
             `docker://[CONTEXT]`, `docker-container://NAME`, `podman-container://NAME`, \
             `nerdctl-container://NAME`, `kube-pod://POD` or `ssh://[USER@]HOST[:PORT][/SOCKET]`"
        );
        for form in error.to_string().split('`').skip(3).step_by(2) {
            let address = form.replace("[USER@]HOST[:PORT][/SOCKET]", "u@host:1/x");
            let address = address.replace("PORT", "1").replace("[CONTEXT]", "x");
            assert!(Endpoint::parse(&address.to_lowercase()).is_ok(), "{address}");
        }
    }

    #[test]
    fn sockets_need_no_command() {
        golden("/run/x.sock", "unix:///run/x.sock", "");
        golden("tcp://[::1]:1234", "tcp://[::1]:1234", "");
    }

    #[test]
    fn docker_containers_have_a_name_and_a_context() {
        golden("docker-container://buildkitd", "docker-container://buildkitd", "");
        golden("docker-container://a_b.c-1?context=", "docker-container://a_b.c-1", "");
        golden(
            "docker-container://x?context=r%2Bm%6Fte",
            "docker-container://x?context=r%2Bmote",
            "",
        );
        check(
            "docker-container://x?context=a+b",
            &Endpoint::DockerContainer { name: "x".into(), context: Some("a+b".into()) },
        );
        bad_part(
            DOCKER_CONTAINER_FORM,
            "name",
            &[
                "docker-container://",
                "docker-container://-x",
                "docker-container://_x",
                "docker-container://x/",
                "docker-container://me@x",
                "docker-container://a b",
                "docker-container://a\nb",
                "docker-container://a%62",
                "docker-container://é",
                "docker-container://?context=x",
                "docker-container://x#y",
            ],
        );
        bad_part(
            DOCKER_CONTAINER_FORM,
            "context",
            &[
                "docker-container://x?context=-y",
                "docker-container://x?context=%2Dy",
                "docker-container://x?context=../y",
                "docker-container://x?context=a%0Ab",
                "docker-container://x?context=a%00",
                "docker-container://x?context=%ff",
                "docker-container://x?context=%",
                "docker-container://x?context=%4",
                "docker-container://x?context=%+4",
                "docker-container://x?context=a?b",
                "docker-container://x?context=a#b",
                "docker-container://x?context=a=b",
            ],
        );
    }

    #[test]
    fn podman_containers_have_a_name() {
        golden(
            "podman-container://buildkitd",
            "podman-container://buildkitd",
            "podman exec -i buildkitd buildctl dial-stdio",
        );
        let name = ["podman-container://", "podman-container://--help", "podman-container://a;b"];
        bad_part(PODMAN_CONTAINER_FORM, "name", &name);
        let problem =
            Problem::UnknownKey { form: PODMAN_CONTAINER_FORM, key: "context".to_owned() };
        refused("podman-container://x?context=y", problem, "there is no key `context`");
    }

    #[test]
    fn nerdctl_containers_have_a_name_and_a_namespace() {
        golden(
            "nerdctl-container://x",
            "nerdctl-container://x",
            "nerdctl exec -i x buildctl dial-stdio",
        );
        golden(
            "nerdctl-container://x?namespace=k8s.io",
            "nerdctl-container://x?namespace=k8s.io",
            "nerdctl exec --namespace k8s.io -i x buildctl dial-stdio",
        );
        bad_part(NERDCTL_CONTAINER_FORM, "name", &["nerdctl-container://-x"]);
        bad_part(NERDCTL_CONTAINER_FORM, "namespace", &["nerdctl-container://x?namespace=-n"]);
    }

    #[test]
    fn kube_pods_have_a_name_and_three_values() {
        golden(
            "kube-pod://buildkitd",
            "kube-pod://buildkitd",
            "kubectl exec -i buildkitd -- buildctl dial-stdio",
        );
        golden(
            "kube-pod://p-0?container=c&namespace=n&context=me%40cluster",
            "kube-pod://p-0?context=me@cluster&namespace=n&container=c",
            "kubectl --context=me@cluster --namespace=n exec --container=c -i p-0 -- buildctl dial-stdio",
        );
        golden(
            "kube-pod://p?context=arn:aws:eks:eu-1:1:cluster/x_y&namespace=&container=",
            "kube-pod://p?context=arn:aws:eks:eu-1:1:cluster/x_y",
            "kubectl --context=arn:aws:eks:eu-1:1:cluster/x_y exec -i p -- buildctl dial-stdio",
        );
        bad_part(
            KUBE_POD_FORM,
            "name",
            &["kube-pod://a b", "kube-pod://", "kube-pod://-p", "kube-pod://P", "kube-pod://a/b"],
        );
        bad_part(KUBE_POD_FORM, "namespace", &["kube-pod://p?namespace=N"]);
        bad_part(KUBE_POD_FORM, "container", &["kube-pod://p?container=-c"]);
        let context =
            ["kube-pod://p?context=-x", "kube-pod://p?context=a%20b", "kube-pod://p?context=$(x)"];
        bad_part(KUBE_POD_FORM, "context", &context);
    }

    #[test]
    fn keys_that_are_unknown_or_repeated_are_named() {
        let unknown =
            |key: &str| Problem::UnknownKey { form: DOCKER_CONTAINER_FORM, key: key.to_owned() };
        refused("docker-container://x?Context=y", unknown("Context"), "no key `Context`");
        refused("docker-container://x?a\nb", unknown("a\nb"), "no key `a\\nb`");
        refused("docker-container://x?", unknown(""), "no key ``");
        refused("docker-container://x?context=y&", unknown(""), "no key ``");
        for address in
            ["docker-container://x?context=y&context=y", "docker-container://x?context=&context=y"]
        {
            refused(address, Problem::RepeatedKey("context"), "the key `context` comes twice");
        }
    }

    #[test]
    fn ssh_addresses_have_a_host_and_may_have_more() {
        golden(
            "ssh://far.example",
            "ssh://far.example",
            "ssh -T -- far.example buildctl dial-stdio",
        );
        golden(
            "ssh://me@far.example:2222/run/bk/x.sock",
            "ssh://me@far.example:2222/run/bk/x.sock",
            "ssh -l me -p 2222 -T -- far.example buildctl --addr unix:///run/bk/x.sock dial-stdio",
        );
        golden(
            "ssh://me@[fe80::1%eth0]:22/",
            "ssh://me@[fe80::1%eth0]:22",
            "ssh -l me -p 22 -T -- fe80::1%eth0 buildctl dial-stdio",
        );
        bad_part(
            SSH_FORM,
            "host",
            &[
                "ssh://", "ssh:///x", "ssh://me@", "ssh://-oProxyCommand=x",
                "ssh://me@-oProxyCommand=x", "ssh://a b", "ssh://a;b", "ssh://host?x=y",
                "ssh://host#x", "ssh://h%6Fst", "ssh://[-x]", "ssh://::1",
            ],
        );
        bad_part(SSH_FORM, "user", &["ssh://-lroot@host", "ssh://@host", "ssh://a b@host"]);
        bad_part(SSH_FORM, "port", &["ssh://host:", "ssh://host:0", "ssh://[::1]22"]);
        bad_part(
            SSH_FORM,
            "path of the socket",
            &[
                "ssh://host/a b", "ssh://host/$(x)", "ssh://host/x;y", "ssh://host/x'",
                "ssh://host/%20", "ssh://host/x?a=b", "ssh://host/a\nb",
            ],
        );
        let long = format!("ssh://host/{}", "x".repeat(107));
        refused(&long, Problem::LongPath, "107 bytes");
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for address in ["ssh://me:s3cret@host", "ssh://me:s3cret@more@host:1/x", "ssh://:s3cret@h"]
        {
            refused(address, Problem::Password, "passwords are not taken");
        }
        for address in [
            "ssh://me:s3cret@host", "tcp://me:s3cret@host:1", "sssh://me:s3cret@host",
            "me:s3cret@host", "ssh://me:s3cret/more@host",
        ] {
            let error = Endpoint::parse(address).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("s3cret") && text.contains("me:…@host"), "{text}");
        }
    }

    #[test]
    fn docker_itself_may_have_a_context() {
        golden("docker://", "docker://", "");
        golden("docker://remote", "docker://remote", "");
        check("docker://", &Endpoint::Docker { context: None });
        check("docker://default", &Endpoint::Docker { context: Some("default".into()) });
        bad_part(DOCKER_FORM, "name", &["docker://-x", "docker:///", "docker://a:1", "docker://?"]);
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let seeds: [&[u8]; 10] = [
            b"unix:///run/buildkit/buildkitd.sock",
            b"tcp://[fe80::1%eth0]:1234",
            b"tcp://127.0.0.1:1234",
            b"docker-container://x?context=y",
            b"podman-container://x",
            b"nerdctl-container://x?namespace=n",
            b"kube-pod://p?context=a%40b&namespace=n&container=c",
            b"ssh://me@[::1]:22/run/x.sock",
            b"docker://x",
            b"../a\xC3\xA4\x80.sock",
        ];
        for seed in seeds {
            mutate(seed, b":/[]%@.\n\0a1?&=-+", 2000, fuzz_endpoint);
        }
    }
}
