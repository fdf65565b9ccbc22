//! `pnpm-lock.yaml`, `lockfileVersion` 5, 6 and 9.

use super::{
    blocks::{self, Block, flow_list, flow_value, scalar},
    found::{Found, Index},
    npm::not_for_linux,
};

/// Reads all three. 5 and 6 have packages with their dependencies under `packages`; 9 has there what the registry says and
/// under `snapshots` each combination with peers and what it depends on.
pub(super) fn lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let blocks = blocks::in_sections(bytes)?;
    let mut index = Index::new();
    let mut all: Vec<Found> = Vec::new();
    for block in blocks.iter().filter(|block| block.section == "packages") {
        let key = scalar(block.key);
        if let Some(found) = found_of(&key, block) {
            index.insert(key, all.len());
            all.push(found);
        }
    }
    for block in blocks.iter().filter(|block| block.section == "snapshots") {
        let key = scalar(block.key);
        if let Some(&at) = index.get(without_peers(&key)) {
            index.insert(key, at);
        }
    }
    for block in blocks.iter().filter(|block| matches!(block.section, "packages" | "snapshots")) {
        let Some(&at) = index.get(&scalar(block.key)) else { continue };
        for (name, value) in
            ["dependencies", "optionalDependencies"].iter().flat_map(|f| block.items(f))
        {
            all[at].needs.extend(resolve(name, value, &index));
        }
        all[at].needs.sort_unstable();
        all[at].needs.dedup();
    }
    Ok(all)
}

fn found_of(key: &str, block: &Block<'_>) -> Option<Found> {
    let os: Vec<_> = flow_list(block.value("os")).collect();
    if not_for_linux(os.iter().map(|name| &**name)) {
        return None;
    }
    let (by_key, version) = name_and_version(key).unwrap_or_default();
    // A folder, an archive or a Git repository: the entry may say what is in it.
    let version = if version.contains([':', '/']) { "" } else { version };
    let own = |field, other| match block.value(field) {
        "" => other,
        value => value,
    };
    let mut found = Found::new(own("name", by_key), own("version", version))?;
    if let Some(integrity) = flow_value(block.value("resolution"), "integrity") {
        found.set_integrity(&integrity);
    }
    found.dev = block.value("dev") == "true";
    Some(found)
}

/// `/@scope/name/1.0.0_peer@2` (5), `/name@1.0.0(peer@2)` (6), `name@1.0.0` (9). What comes from elsewhere than the registry
/// has another shape in 5 (`github.com/owner/repo/<commit>`).
fn name_and_version(key: &str) -> Option<(&str, &str)> {
    let from_registry = key.strip_prefix('/');
    let key = without_peers(from_registry.unwrap_or(key));
    let scope = if key.starts_with('@') { key.find('/')? + 1 } else { 0 };
    let end = scope + key[scope..].find(['/', '@'])?;
    let (name, version) = (&key[..end], &key[end + 1..]);
    if key[end..].starts_with('@') {
        return Some((name, version));
    }
    from_registry.map(|_| (name, version.split('_').next().unwrap_or(version)))
}

fn without_peers(key: &str) -> &str {
    key.split('(').next().unwrap_or(key)
}

/// The value is a version, with peers, or a whole key if another package stands under this name.
fn resolve(name: &str, value: &str, index: &Index<'_>) -> Option<usize> {
    let keys = [
        value.to_owned(),
        format!("/{name}/{value}"),
        format!("/{name}@{value}"),
        format!("{name}@{value}"),
    ];
    keys.iter().find_map(|key| index.get(key.as_str())).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const V5: &str = "lockfileVersion: 5.4\n\nspecifiers:\n  a: ^1\n\ndependencies:\n  a: 1.0.0_b@2.0.0\n\npackages:\n\n  /@x/c/3.0.0:\n    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=}\n    dev: true\n\n  /a/1.0.0_b@2.0.0:\n    resolution: {integrity: sha512-x}\n    peerDependencies:\n      b: '*'\n    dependencies:\n      '@x/c': 3.0.0\n      alias: /b/2.0.0\n    dev: false\n\n  /b/2.0.0:\n    resolution: {integrity: sha512-x}\n\n  /fsevents/2.3.3:\n    resolution: {integrity: sha512-x}\n    os: [darwin]\n\n  github.com/x/g/0123456:\n    resolution: {tarball: 'https://codeload.example/x/g/tar.gz/0123456'}\n    name: g\n    version: 0.1.0\n";

    #[test]
    fn version_5_is_read() {
        let expected =
            ["@x/c@3.0.0 SHA1 dev", "a@1.0.0 -> @x/c@3.0.0 b@2.0.0", "b@2.0.0", "g@0.1.0"];
        assert_eq!(listing(lock(V5.as_bytes())), expected);
    }

    const V6: &str = "lockfileVersion: '6.0'\n\nsettings:\n  autoInstallPeers: true\n\npackages:\n\n  /@x/c@3.0.0:\n    resolution: {integrity: sha512-x}\n    dev: true\n\n  /a@1.0.0(b@2.0.0):\n    resolution: {integrity: sha512-x}\n    dependencies:\n      '@x/c': 3.0.0\n      b: 2.0.0\n\n  /b@2.0.0:\n    resolution: {integrity: sha512-x}\n\n  file:local:\n    resolution: {directory: local, type: directory}\n    name: local\n";

    #[test]
    fn version_6_is_read() {
        let expected = ["@x/c@3.0.0 dev", "a@1.0.0 -> @x/c@3.0.0 b@2.0.0", "b@2.0.0", "local@"];
        assert_eq!(listing(lock(V6.as_bytes())), expected);
    }

    const V9: &str = "lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0(b@2.0.0)\n\npackages:\n\n  '@x/c@3.0.0':\n    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=}\n    engines: {node: '>=6'}\n\n  a@1.0.0:\n    resolution: {integrity: sha512-x}\n    peerDependencies:\n      b: '*'\n\n  b@2.0.0:\n    resolution: {integrity: sha512-x}\n\n  g@https://codeload.example/x/g/tar.gz/0123456:\n    resolution: {tarball: https://codeload.example/x/g/tar.gz/0123456}\n    version: 0.1.0\n\nsnapshots:\n\n  '@x/c@3.0.0': {}\n\n  a@1.0.0(b@2.0.0):\n    dependencies:\n      '@x/c': 3.0.0\n      alias: b@2.0.0\n\n  b@2.0.0:\n    dependencies:\n      a: 1.0.0(b@2.0.0)\n    optionalDependencies:\n      g: https://codeload.example/x/g/tar.gz/0123456\n\n  g@https://codeload.example/x/g/tar.gz/0123456: {}\n";

    #[test]
    fn version_9_is_read() {
        let expected = [
            "@x/c@3.0.0 SHA1",
            "a@1.0.0 -> @x/c@3.0.0 b@2.0.0",
            "b@2.0.0 -> a@1.0.0 g@0.1.0",
            "g@0.1.0",
        ];
        assert_eq!(listing(lock(V9.as_bytes())), expected);
    }

    #[test]
    fn mutations_are_read_or_refused() {
        for seed in [V5, V6, V9] {
            mutate(seed.as_bytes(), b" :@'\n/(){}", 2_000, |bytes| drop(lock(bytes)));
        }
    }
}
