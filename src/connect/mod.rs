//! Places where a daemon may be → the first that can build, connected; or the account of why none does.
//!
//! All places are probed at the same time, and the first in their order that works is taken ([`connect`]). Each may be a
//! BuildKit daemon, or a Docker Engine with a BuildKit inside.

mod builder;
mod error;
mod places;
mod probe;
mod search;

pub use builder::{Builder, ImageStore, describe_builder, describe_engine};
pub use error::{ConnectError, Tried, is_too_old};
pub use places::{DockerPlaces, Places, Private};
pub use probe::{Found, Refusal};
pub use search::{Answers, Search, connect, first};
