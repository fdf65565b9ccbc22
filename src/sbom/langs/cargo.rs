//! `Cargo.lock`, versions 1 to 4.

use std::collections::BTreeMap;

use super::found::{Found, Index, toml};

/// Lists what `cargo metadata` lists: the workspace's own packages too.
pub(super) fn lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let toml = toml(bytes)?;
    // Version 1 had all checksums together.
    let checksums: BTreeMap<_, _> = toml["metadata"].members().collect();
    let mut all = Vec::new();
    for entry in toml["package"].items() {
        let field = |key| entry[key].as_str().unwrap_or_default();
        let Some(mut found) = Found::new(field("name"), field("version")) else { continue };
        found.set_checksum(field("checksum"));
        let key = format!("checksum {} {} ({})", found.name, found.version, field("source"));
        if let Some(checksum) = checksums.get(key.as_str()).and_then(|it| it.as_str()) {
            found.set_checksum(checksum);
        }
        all.push((found, entry));
    }
    // A dependency is `name`, `name version` or `name version (source)`: as much as it takes to be one package.
    let mut index = Index::new();
    for (at, (found, _)) in all.iter().enumerate() {
        index.insert(found.name.clone().into(), at);
        index.insert(format!("{} {}", found.name, found.version).into(), at);
    }
    let needs: Vec<Vec<usize>> = all
        .iter()
        .map(|(_, entry)| {
            let wanted = entry["dependencies"].texts().into_iter();
            wanted.filter_map(|it| index.get(it.split(" (").next()?).copied()).collect()
        })
        .collect();
    Ok(all.into_iter().zip(needs).map(|((found, _), needs)| Found { needs, ..found }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    const V4: &str = r#"version = 4
[[package]]
name = "app"
version = "0.1.0"
dependencies = ["a 1.0.0", "b"]
[[package]]
name = "a"
version = "1.0.0"
source = "registry+x"
checksum = "HASH"
[[package]]
name = "a"
version = "2.0.0+meta"
source = "git+x"
[[package]]
name = "b"
version = "3.0.0"
dependencies = ["a 2.0.0+meta (git+x)"]
"#;

    #[test]
    fn version_4_is_read() {
        let expected = [
            "app@0.1.0 -> a@1.0.0 b@3.0.0", "a@1.0.0 SHA256", "a@2.0.0+meta",
            "b@3.0.0 -> a@2.0.0+meta",
        ];
        assert_eq!(listing(lock(V4.replace("HASH", HASH).as_bytes())), expected);
    }

    #[test]
    fn version_1_has_its_checksums_apart() {
        let text = format!(
            "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n\n[metadata]\n\"checksum a 1.0.0 (registry+x)\" = \"{HASH}\"\n"
        );
        assert_eq!(listing(lock(text.as_bytes())), ["a@1.0.0 SHA256"]);
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(V4.as_bytes(), b"[]=\"\n (", 3_000, |bytes| drop(lock(bytes)));
    }
}
