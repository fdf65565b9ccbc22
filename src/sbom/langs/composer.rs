//! Composer: `vendor/composer/installed.json`, `composer.lock`.

use super::found::{Found, Index, json};
use crate::manifest::Value;

/// What Composer has installed: a list (version 1), or an object with `packages` (version 2).
pub(super) fn installed(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let json = json(bytes)?;
    let packages = json.items().iter().chain(json["packages"].items());
    Ok(read(packages.map(|entry| (entry, false))))
}

/// `composer.lock`: `packages` and `packages-dev`.
pub(super) fn lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let json = json(bytes)?;
    let packages = json["packages"].items().iter().map(|entry| (entry, false));
    Ok(read(packages.chain(json["packages-dev"].items().iter().map(|entry| (entry, true)))))
}

fn read<'a>(entries: impl Iterator<Item = (&'a Value, bool)>) -> Vec<Found> {
    let mut index = Index::new();
    let mut all = Vec::new();
    for (entry, dev) in entries {
        let name = entry["name"].as_str().unwrap_or_default();
        let version = entry["version"].as_str().unwrap_or_default();
        let Some(mut found) = Found::new(name, version) else { continue };
        found.dev = dev;
        found.set_licenses(entry["license"].texts().into_iter());
        found.set_checksum(entry["dist"]["shasum"].as_str().unwrap_or_default());
        index.insert(name.into(), all.len());
        all.push((found, entry));
    }
    let with_needs = |(found, entry): (Found, &Value)| {
        let needs = entry["require"].keys().filter_map(|name| index.get(name).copied());
        Found { needs: needs.collect(), ..found }
    };
    all.into_iter().map(with_needs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const PACKAGES: &str = r#"[
        {"name": "a/a", "version": "v1.0.0", "require": {"php": ">=8", "b/b": "^2"}, "license": ["MIT", "GPL-2.0-only"],
         "dist": {"shasum": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}},
        {"name": "b/b", "version": "2.0.0", "license": "ISC", "dist": {"shasum": ""}}]"#;

    #[test]
    fn both_versions_of_installed_json_are_read() {
        let first = listing(installed(PACKAGES.as_bytes()));
        assert_eq!(
            first,
            ["a/a@v1.0.0 ((MIT OR GPL-2.0-only)) SHA1 -> b/b@2.0.0", "b/b@2.0.0 (ISC)"]
        );
        let text =
            format!(r#"{{"packages": {PACKAGES}, "dev": true, "dev-package-names": ["b/b"]}}"#);
        assert_eq!(listing(installed(text.as_bytes())), first);
    }

    #[test]
    fn a_lock_has_its_development_packages_apart() {
        let text = format!(r#"{{"packages": [], "packages-dev": {PACKAGES}}}"#);
        assert_eq!(listing(lock(text.as_bytes()))[1], "b/b@2.0.0 (ISC) dev");
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(PACKAGES.as_bytes(), b"{}[]:\",", 3_000, |bytes| {
            drop(installed(bytes));
            drop(lock(bytes));
        });
    }
}
