//! What happens while a build runs: all of it, in one closed list.

use std::{sync::Arc, time::Duration};

use crate::{
    docker::load::LoadEvent, progress::StatusUpdate, session::context::Upload, solve::Weighed,
};

/// Takes the events of a build, on the threads where they happen; whoever is told waits until it returns.
pub type EventSink = Arc<dyn Fn(BuildEvent) + Send + Sync>;

/// What happens while a build runs.
#[derive(Debug)]
pub enum BuildEvent {
    /// The graph is known.
    Planned(Planned),
    /// What the daemon says of its steps.
    Status(Weighed<StatusUpdate>),
    /// The daemon's clock, since 1970.
    Clock(Duration),
    /// The stream of [`BuildEvent::Status`] was lost; it is sent again from the first moment.
    StreamRestarted,
    /// How far the upload of the context is.
    Upload(Upload),
    /// What becomes of the image on its way into a Docker Engine.
    Load(LoadEvent),
    /// Something that the user should know, a sentence.
    Warning(String),
}

/// What is known once the graph is.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// Digests of the steps that do work, other than to fetch or copy.
    pub steps: Vec<String>,
    /// The platform of the image, such as `linux/amd64`.
    pub platform: String,
    /// The bases: `build` or `runtime`, and the reference with its digest.
    pub bases: Vec<(&'static str, String)>,
    /// Patterns of what the context leaves out.
    pub exclude: Vec<String>,
}
