//! A daemon that is connected and can build, and the Docker Engines that belong to it.

use std::sync::Arc;

use crate::{daemonless::Daemonless, docker::Engine, endpoint::Place, solve::Connection};

use super::probe::is_far;

/// A BuildKit daemon that is connected and can build.
#[derive(Debug)]
pub struct Builder {
    pub(crate) connection: Connection,
    place: Place,
    inside: Option<Arc<Engine>>,
    docker: Option<Arc<Engine>>,
    /// What a user should know of the way to the daemon, a sentence each.
    pub warnings: Vec<String>,
    // Ended when this is dropped; after the connection.
    private: Option<Daemonless>,
}

/// Where the builder keeps images, and so what it can do with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageStore {
    /// A BuildKit daemon by itself, with a store of its own.
    BuildKit,
    /// The BuildKit inside a Docker Engine with the containerd image store.
    Containerd,
    /// The BuildKit inside a Docker Engine with the classic image store, which holds no attestations and gives no image to
    /// BuildKit's exporters.
    Classic,
}

impl Builder {
    pub(super) fn new(connection: Connection, place: Place) -> Self {
        let warnings = Vec::new();
        Self { connection, place, inside: None, docker: None, warnings, private: None }
    }

    pub(super) fn with_docker(mut self, docker: Option<Arc<Engine>>) -> Self {
        self.docker = docker;
        self
    }

    pub(super) fn inside(mut self, engine: Option<Arc<Engine>>) -> Self {
        self.inside = engine;
        self
    }

    pub(super) fn warned(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    pub(super) fn private(mut self, private: Daemonless) -> Self {
        self.private = Some(private);
        self
    }

    /// The version of BuildKit, as the daemon says it.
    pub fn version(&self) -> &str {
        &self.connection.daemon.version
    }

    /// Which daemon it is: nobody else has both its place and the name of its worker.
    pub(crate) fn identity(&self) -> String {
        let worker = self.connection.daemon.workers.first().map_or("", |worker| &worker.id);
        format!("{} {worker}", self.place)
    }

    /// The Docker Engine that the BuildKit is inside of.
    pub fn engine(&self) -> Option<&Arc<Engine>> {
        self.inside.as_ref()
    }

    /// The Docker Engine that shall hold the image, when one shall.
    pub fn docker(&self) -> Option<&Arc<Engine>> {
        self.docker.as_ref()
    }

    /// Where the builder keeps images.
    pub fn store(&self) -> ImageStore {
        match (&self.inside, self.connection.daemon.snapshotter()) {
            (None, _) => ImageStore::BuildKit,
            (Some(_), Some(_)) => ImageStore::Containerd,
            (Some(_), None) => ImageStore::Classic,
        }
    }

    /// Whether a network lies between.
    pub(crate) fn is_far(&self) -> bool {
        is_far(&self.place)
    }

    /// What builds, and where: `BuildKit v0.32.2 at unix:///run/buildkit/buildkitd.sock`.
    pub fn describe(&self) -> String {
        describe_builder(&self.connection, self.inside.as_deref(), &self.place)
    }

    /// The end of the log of the daemon that was started for this build, if one was.
    pub fn private_log(&self) -> Option<String> {
        self.private.as_ref().map(Daemonless::log_tail)
    }
}

/// A Docker Engine by its version and place.
pub fn describe_engine(engine: &Engine) -> String {
    format!("Docker Engine {} at {}", engine.version, engine.host)
}

/// What builds, and where.
pub fn describe_builder(connection: &Connection, inside: Option<&Engine>, place: &Place) -> String {
    let version = &connection.daemon.version;
    match inside {
        Some(engine) => format!("BuildKit {version} in {}", describe_engine(engine)),
        None => format!("BuildKit {version} at {place}"),
    }
}
