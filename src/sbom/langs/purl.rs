//! Package URLs of language packages, by the rules that purl-spec has for each type.

use super::{Kind, pypi};
use crate::sbom::purl::Purl;

/// `pkg:npm/%40babel/core@7.0.0`; without `@` if the version is not known.
pub(super) fn of(kind: Kind, name: &str, version: &str) -> String {
    let (package_type, name) = match kind {
        Kind::Npm => ("npm", name.to_owned()),
        Kind::Pypi => ("pypi", pypi::normalized(name)),
        Kind::Cargo => ("cargo", name.to_owned()),
        Kind::Golang => ("golang", name.to_owned()),
        Kind::Maven => ("maven", name.replacen(':', "/", 1)),
        Kind::Gem => ("gem", name.to_owned()),
        Kind::Composer => ("composer", name.to_lowercase()),
        Kind::Nuget => ("nuget", name.to_owned()),
        Kind::Hex => ("hex", name.to_lowercase()),
        Kind::Apk | Kind::Deb | Kind::Rpm => ("generic", name.to_owned()),
    };
    let (namespace, name) = name.rsplit_once('/').unwrap_or(("", &name));
    Purl { kind: package_type, namespace, name, version, qualifiers: &[] }.encode()
}
