//! The session: what the daemon may call back on while it builds.

pub mod filesync;
