//! Candidates → probed places → a daemon that builds.

pub(crate) mod probe;
pub(crate) mod search;
