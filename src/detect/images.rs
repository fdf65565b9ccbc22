//! Base images: the families, and how references are written. Which versions there are is each ecosystem's own table.

pub use super::language::{DEBIAN, NOBODY, Packaged};
use crate::spec::{Base, DEFAULT_BASE};

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

/// `nonroot` of Wolfi.
pub const WOLFI_NONROOT: &str = "65532:65532";

/// An official image of Docker Hub: `official("node:22-bookworm-slim")`.
pub fn official(tag: &str) -> Base {
    Base::Image(format!("docker.io/library/{tag}"))
}

/// Any image by its full name.
pub fn image(reference: &str) -> Base {
    Base::Image(reference.to_owned())
}

/// What both stages start from in a family that has no image for each language; `None` for the official images.
pub fn plain(family: Family) -> Option<Base> {
    match family {
        Family::Official => None,
        Family::Wolfi => Some(image(DEFAULT_BASE)),
        Family::Debian => Some(image(DEBIAN)),
    }
}

/// The user of the image on such a base.
pub fn plain_user(family: Family) -> &'static str {
    match family {
        Family::Wolfi => WOLFI_NONROOT,
        _ => NOBODY,
    }
}

/// Wolfi's base.
pub fn wolfi() -> Base {
    image(DEFAULT_BASE)
}

/// Debian's base.
pub fn debian() -> Base {
    image(DEBIAN)
}
