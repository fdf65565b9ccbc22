//! `/etc/os-release` → package manager (os-release(5)).

use super::{PlanError, base::Image};
use crate::os_release::value;

/// A package manager that packages can be installed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackageManager {
    /// Alpine, Wolfi, Chainguard.
    Apk,
    /// Debian, Ubuntu.
    Apt,
}

/// The package manager of a base, as its `/etc/os-release` says; never guessed from its name.
pub(super) fn package_manager(
    base: &Image<'_>,
    field: &'static str,
) -> Result<PackageManager, PlanError> {
    let Some(os_release) = base.os_release() else {
        return Err(PlanError::NoOsRelease { field, base: base.display() });
    };
    let id = value(os_release, "ID").unwrap_or_default();
    let like = value(os_release, "ID_LIKE").unwrap_or_default();
    let known = std::iter::once(id.as_str()).chain(like.split_whitespace()).find_map(by_id);
    known.ok_or_else(|| PlanError::UnknownDistribution { field, base: base.display(), id })
}

fn by_id(id: &str) -> Option<PackageManager> {
    match id {
        "alpine" | "wolfi" | "chainguard" => Some(PackageManager::Apk),
        "debian" | "ubuntu" => Some(PackageManager::Apt),
        _ => None,
    }
}
