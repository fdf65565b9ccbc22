//! Where a Docker Engine listens, as `DOCKER_HOST` and Docker's contexts say it.

use std::{fmt, path::PathBuf};

use crate::endpoint::{
    EndpointError, LOCALHOST, Problem,
    parts::{self, HostPort, SshParts},
};

/// Where a Docker Engine listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DockerHost {
    /// Where to connect.
    pub address: DockerAddress,
    /// Only with [`DockerAddress::Tcp`].
    pub tls: Option<DockerTls>,
}

/// An address of a Docker Engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DockerAddress {
    /// `unix://PATH`
    Unix(PathBuf),
    /// `tcp://HOST[:PORT]`
    Tcp {
        /// A name or an address; IPv6 without its brackets.
        host: String,
        /// Never 0.
        port: u16,
    },
    /// `ssh://[USER@]HOST[:PORT][/SOCKET]`
    Ssh {
        /// Who to be there.
        user: Option<String>,
        /// A name or an address; IPv6 without its brackets.
        host: String,
        /// Never 0.
        port: Option<u16>,
        /// Where Docker listens on that host; its program knows if `None`.
        socket: Option<PathBuf>,
    },
}

/// The files and the rule of a TLS connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DockerTls {
    /// Whose certificates are believed.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Whether any certificate is taken.
    pub skip_verify: bool,
}

impl DockerHost {
    /// Reads a value of `DOCKER_HOST`, or the bare path of a socket; without TLS.
    ///
    /// # Errors
    /// [`EndpointError`] says what would be understood.
    pub fn parse(value: &str) -> Result<Self, EndpointError> {
        Self::with_tls(value, None)
    }

    /// The same with TLS, which counts for `tcp://` alone and changes its port if none is given:
    /// 2376 in place of 2375.
    ///
    /// # Errors
    /// [`EndpointError`] says what would be understood.
    pub fn with_tls(value: &str, tls: Option<DockerTls>) -> Result<Self, EndpointError> {
        let default_port = match tls {
            Some(_) => TLS_PORT,
            None => PORT,
        };
        let address = DockerAddress::read(value, default_port)
            .map_err(|problem| EndpointError::new(value, problem))?;
        let tls = tls.filter(|_| matches!(address, DockerAddress::Tcp { .. }));
        Ok(Self { address, tls })
    }
}

impl fmt::Display for DockerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl DockerAddress {
    /// Gives the program and its arguments whose standard input and output are a connection to
    /// Docker; `None` for addresses that are reached without one.
    ///
    /// Needs Docker's program on that host (docker/cli v28, `cli/connhelper/connhelper.go`).
    pub fn command(&self) -> Option<Vec<String>> {
        let Self::Ssh { user, host, port, socket } = self else { return None };
        let mut argv = parts::ssh_command(user.as_deref(), *port, host);
        argv.push("docker".to_owned());
        if let Some(socket) = socket {
            argv.extend(["-H".to_owned(), format!("unix://{}", socket.display())]);
        }
        argv.extend(["system".to_owned(), "dial-stdio".to_owned()]);
        Some(argv)
    }

    fn read(value: &str, default_port: u16) -> Result<Self, Problem> {
        let Some((scheme, rest)) = value.split_once("://") else {
            return match value.starts_with(['/', '.']) {
                true => parts::socket(value).map(Self::Unix),
                false => Err(Problem::NotDockerHost),
            };
        };
        match scheme {
            "unix" => parts::socket(rest).map(Self::Unix),
            "tcp" => {
                let HostPort { host, port } = parts::tcp(rest)?;
                Ok(Self::Tcp { host, port: port.unwrap_or(default_port) })
            }
            "ssh" => {
                let SshParts { user, host, port, socket } = SshParts::parse(rest)?;
                Ok(Self::Ssh { user, host, port, socket })
            }
            "http" | "https" => Err(Problem::SayTcp),
            "npipe" | "fd" => Err(Problem::NotServed),
            _ => Err(Problem::NotDockerHost),
        }
    }
}

impl DockerAddress {
    /// As [`Endpoint::authority`](crate::endpoint::Endpoint::authority).
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port } => parts::authority(host, *port),
            _ => LOCALHOST.to_owned(),
        }
    }
}

impl fmt::Display for DockerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } => {
                f.write_str("tcp://")?;
                parts::write_authority(f, None, host, Some(*port))
            }
            Self::Ssh { user, host, port, socket } => {
                f.write_str("ssh://")?;
                parts::write_authority(f, user.as_deref(), host, *port)?;
                socket.iter().try_for_each(|path| path.display().fmt(f))
            }
        }
    }
}

/// Takes `data` for a value of `DOCKER_HOST`; must not panic, what is printed must be read back,
/// and no argument of a command may be one that a program or a shell reads in another way.
#[doc(hidden)]
pub fn fuzz_docker_host(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match DockerHost::parse(text) {
        Ok(host) => {
            assert_eq!(DockerHost::parse(&host.to_string()).as_ref(), Ok(&host));
            parts::assert_harmless(&host.address.command().unwrap_or_default());
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

/// Docker's ports without and with TLS (docker/cli v28, `opts/hosts.go`).
const PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    /// A value, how it is printed, and the command it stands for.
    fn check(value: &str, printed: &str, command: &str) {
        let host = DockerHost::parse(value).expect(value);
        assert_eq!(host.to_string(), printed, "{value}");
        assert_eq!(DockerHost::parse(printed).as_ref(), Ok(&host), "{value}");
        let argv = host.address.command().unwrap_or_default();
        assert_eq!(argv.join(" "), command, "{value}");
    }

    fn refused(value: &str, expected: Problem, says: &str) {
        let error = DockerHost::parse(value).expect_err(value);
        assert_eq!(error.problem, expected, "{value}");
        let text = error.to_string();
        assert!(text.contains(says), "`{text}` should say `{says}`");
    }

    #[test]
    fn hosts_are_sockets_or_tcp_or_behind_ssh() {
        check("unix:///var/run/docker.sock", "unix:///var/run/docker.sock", "");
        check("/x/docker.sock", "unix:///x/docker.sock", "");
        check("tcp://10.0.0.1:1", "tcp://10.0.0.1:1", "");
        check("tcp://[::1]", "tcp://[::1]:2375", "");
        check(
            "ssh://far.example",
            "ssh://far.example",
            "ssh -T -- far.example docker system dial-stdio",
        );
        check(
            "ssh://me@far.example:22/run/user/7/docker.sock",
            "ssh://me@far.example:22/run/user/7/docker.sock",
            "ssh -l me -p 22 -T -- far.example docker -H unix:///run/user/7/docker.sock system dial-stdio",
        );
    }

    #[test]
    fn other_values_are_refused_with_what_would_do() {
        let forms = "`unix://PATH`, `tcp://HOST[:PORT]` or `ssh://[USER@]HOST[:PORT][/SOCKET]`";
        for value in ["", "host:2375", "docker://x", "docker-container://x", "x://y"] {
            refused(value, Problem::NotDockerHost, forms);
        }
        for value in ["npipe:////./pipe/docker_engine", "fd://", "fd://3"] {
            refused(value, Problem::NotServed, forms);
        }
        for value in ["http://host:2375", "https://host"] {
            refused(value, Problem::SayTcp, "expected `tcp://HOST:PORT`");
        }
        refused("unix://", Problem::NoPath, "missing");
        refused("tcp://host:0", Problem::BadPort, "65535");
        refused("tcp://-x", Problem::BadHost, "not one");
        refused("tcp://host:1/v1", Problem::TcpWithMore, "nothing behind");
        refused("ssh://me:s3cret@host", Problem::Password, "`ssh://me:…@host`");
        let part = Problem::BadPart { form: parts::SSH_FORM, part: "host" };
        refused("ssh://-oProxyCommand=x", part, "the host is not one");
    }

    #[test]
    fn tls_is_for_tcp_and_changes_the_port_that_is_not_given() {
        let with = |value| {
            let host = DockerHost::with_tls(value, Some(DockerTls::default())).unwrap();
            (host.to_string(), host.tls.is_some())
        };
        assert_eq!(with("tcp://a"), ("tcp://a:2376".to_owned(), true));
        assert_eq!(with("tcp://a:2375"), ("tcp://a:2375".to_owned(), true));
        assert_eq!(with("/x"), ("unix:///x".to_owned(), false));
        assert_eq!(with("ssh://a"), ("ssh://a".to_owned(), false));
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let seeds: [&[u8]; 4] = [
            b"unix:///var/run/docker.sock",
            b"tcp://[fe80::1%eth0]",
            b"ssh://me@far.example:22/run/docker.sock",
            b"npipe:////./pipe/docker_engine",
        ];
        for seed in seeds {
            mutate(seed, b":/[]%@.\n\0a1?&=-+", 2000, fuzz_docker_host);
        }
    }
}
