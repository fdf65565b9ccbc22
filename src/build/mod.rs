//! The build engine: a request and a sink for events → what came of the build.
//!
//! [`run`] is the whole of it. A [`Project`] is opened first ([`Project::open`]), so that what is wrong with a source tree is
//! known before a daemon is asked; a [`Builder`](crate::connect::Builder) is found by [`connect`](crate::connect::connect).
//! Where the result goes is decided once, before the build begins: see [`delivery`].

mod attach;
mod attestations;
mod attested;
mod beside;
pub mod delivery;
mod disk_cache;
mod error;
mod event;
mod export;
mod finish;
mod id;
mod image_memory;
mod image_sbom;
mod layer_cache;
mod list;
mod outcome;
mod plan;
mod prefetch;
mod project;
mod registries;
mod request;
mod run;
mod services;
mod stages;
mod steps;
mod stop;
mod work;

pub use attestations::{Attestations, Sbom};
pub use beside::AttestationDir;
pub(crate) use disk_cache::read_bounded;
pub use error::{BuildError, FailedStep};
pub use event::{BuildEvent, EventSink, Planned};
pub use outcome::{Attestation, BuildOutcome, Written};
pub use plan::plan;
pub use project::{Project, ProjectError, ProjectOptions};
pub use request::{BuildRequest, Credentials};
pub use run::{Build, run};
pub use stop::Stop;
