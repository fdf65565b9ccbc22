//! Everything a rule may look at.

use super::{settings::Settings, tree::Tree};

/// A tree, what the project says of itself, and what is asked for.
#[derive(Debug)]
pub struct Project<'a> {
    /// What was walked.
    pub tree: &'a Tree,
    /// Which family of bases is written.
    pub bases: Family,
    /// `peelbox.toml`.
    pub settings: &'a Settings,
}

/// Which family of bases is written: `--base official|wolfi|debian`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// The official image of the language, Debian variant.
    #[default]
    Official,
    /// `cgr.dev/chainguard/wolfi-base`, tools as apk packages.
    Wolfi,
    /// `docker.io/library/debian:bookworm-slim`, tools as apt packages.
    Debian,
}
