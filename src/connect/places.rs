//! Where a daemon may be and how it is reached, as plain data: who has a command line or an environment fills it from there.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use crate::{
    daemonless::find_program, docker::context::DockerSurroundings, endpoint::Installed,
    transport::tls::TlsFiles,
};

/// How long a daemon may take to accept a connection, unless something else is said.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a daemon may be, and how it is reached.
#[derive(Clone, Debug)]
pub struct Places {
    /// The address of a BuildKit daemon; then no other place is tried.
    pub address: Option<String>,
    /// The value of `BUILDKIT_HOST`, which counts when there is no `address`.
    pub buildkit_host: Option<String>,
    /// Where Docker may be.
    pub docker: DockerPlaces,
    /// TLS files for `tcp://` addresses of BuildKit.
    pub tls: TlsFiles,
    /// How long a daemon may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long to wait for a daemon that is not there yet.
    pub wait: Option<Duration>,
    /// The private daemon that is started when none answers.
    pub private: Option<Private>,
    /// A value like that of `PATH`, for `buildkitd` and for hints.
    pub search_path: Option<OsString>,
}

/// What decides where Docker is; the fields are those of [`DockerSurroundings`].
#[derive(Clone, Debug, Default)]
pub struct DockerPlaces {
    /// The value of `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// The value of `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// Whether `DOCKER_TLS_VERIFY` is not empty.
    pub tls_verify: bool,
    /// Whether `DOCKER_TLS` is not empty.
    pub tls: bool,
    /// The value of `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_CONFIG`, or `.docker` in the home folder.
    pub config_dir: Option<PathBuf>,
    /// The value of `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<String>,
}

/// A daemon that is started for one build and ended after it.
#[derive(Clone, Debug)]
pub struct Private {
    /// A `buildkitd.toml`; that of the system when `None`.
    pub config: Option<PathBuf>,
    /// Where the daemon keeps its cache; it cannot be started without.
    pub cache_dir: Option<PathBuf>,
    /// Where a folder for its socket is made; the path must be short.
    pub runtime_dir: PathBuf,
}

impl Default for Places {
    /// The usual sockets, without anything from an environment.
    fn default() -> Self {
        Self {
            address: None,
            buildkit_host: None,
            docker: DockerPlaces::default(),
            tls: TlsFiles::default(),
            connect_timeout: CONNECT_TIMEOUT,
            wait: None,
            private: None,
            search_path: None,
        }
    }
}

impl Places {
    /// One BuildKit daemon, by its address.
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..Self::default() }
    }

    /// What is on this machine to go on with, for hints.
    pub fn installed(&self) -> Installed {
        let find = |name| self.search_path.as_deref().and_then(|path| find_program(name, path));
        Installed {
            buildkitd: find("buildkitd"),
            dockerd: find("dockerd").is_some(),
            docker: find("docker").is_some(),
        }
    }
}

impl DockerPlaces {
    pub(super) fn surroundings(&self) -> DockerSurroundings<'_> {
        DockerSurroundings {
            docker_host: self.docker_host.as_deref(),
            docker_context: self.docker_context.as_deref(),
            tls_verify: self.tls_verify,
            tls: self.tls,
            cert_path: self.cert_path.as_deref(),
            config_dir: self.config_dir.as_deref(),
            xdg_runtime_dir: self.xdg_runtime_dir.as_deref(),
            uid: rustix::process::getuid().as_raw(),
        }
    }
}
