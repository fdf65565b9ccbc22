//! Registries that references name.

use std::collections::BTreeSet;

/// Registries of these references, which are normalised: a host stands first.
pub(super) fn hosts<'a>(references: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    references.into_iter().filter_map(|name| name.split('/').next()).map(str::to_owned).collect()
}
