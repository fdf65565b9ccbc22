//! What several themes need.

pub(crate) mod daemon;
pub(crate) mod fake;
