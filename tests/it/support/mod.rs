//! What several themes need.

pub(crate) mod attested;
pub(crate) mod buildctl;
pub(crate) mod daemon;
pub(crate) mod docker;
pub(crate) mod fake;
pub(crate) mod image;
pub(crate) mod listing;
pub(crate) mod middle;
pub(crate) mod nasty;
pub(crate) mod peelbox;
pub(crate) mod private;
pub(crate) mod progress;
pub(crate) mod relay;
pub(crate) mod wait;
pub(crate) mod workdir;
