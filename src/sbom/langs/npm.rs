//! npm: `package.json`, `package-lock.json` in its three versions, `bun.lock`.

use std::{borrow::Cow, collections::BTreeMap};

use super::found::{Found, Index, Installed, json};
use crate::manifest::{Kind, Value};

/// The `package.json` of an installed package; `None` if it names no package (`{"type": "module"}`). Copies that packages bring
/// along, and applications, are often without a version.
pub(super) fn package_json(bytes: &[u8]) -> Result<Option<Installed>, String> {
    let json = json(bytes)?;
    let Some(name) = json["name"].as_str() else { return Ok(None) };
    let version = json["version"].as_str().unwrap_or_default().trim();
    let Some(mut found) = Found::new(name, version) else { return Ok(None) };
    set_license(&mut found, &json);
    let requires = RUNTIME.iter().flat_map(|field| json[field].keys()).map(str::to_owned);
    Ok(Some(Installed { requires: requires.collect(), found }))
}

/// `license` is a text, an object with `type`, or a list of these; `licenses` is how it was written before npm 2.
fn set_license(found: &mut Found, json: &Value) {
    let text = |value: &'_ Value| -> Option<String> {
        value.as_str().or_else(|| value["type"].as_str()).map(str::to_owned)
    };
    for field in [&json["license"], &json["licenses"]] {
        let texts: Vec<_> = match text(field) {
            Some(one) => vec![one],
            None => field.items().iter().filter_map(text).collect(),
        };
        found.set_licenses(texts.iter().map(String::as_str));
        if found.license.is_some() {
            return;
        }
    }
}

/// A package of a lock file at its place in the tree of `node_modules`.
struct Place<'a> {
    path: Cow<'a, str>,
    found: Found,
    entry: &'a Value,
}

/// `package-lock.json`, `npm-shrinkwrap.json` and `node_modules/.package-lock.json`, `lockfileVersion` 1 to 3.
pub(super) fn package_lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let json = json(bytes)?;
    let mut places = Vec::new();
    let mut links = BTreeMap::new();
    if let Kind::Table(packages) = &json["packages"].kind {
        for (path, entry) in packages {
            if entry["link"].is_true() {
                links.insert(path.as_str(), entry["resolved"].as_str().unwrap_or_default());
            } else if let Some(place) = place_of_packages(path, entry) {
                places.push(place);
            }
        }
    } else {
        flatten("", &json["dependencies"], &mut places);
    }
    let mut index: Index<'_> =
        places.iter().enumerate().map(|(at, place)| (place.path.clone(), at)).collect();
    for (path, target) in links {
        if let Some(&at) = index.get(target) {
            index.insert(path.into(), at);
        }
    }
    let needs: Vec<Vec<usize>> = places.iter().map(|place| needs_of(place, &index)).collect();
    let with_needs = |(place, needs)| Found { needs, ..Place::into_found(place) };
    Ok(places.into_iter().zip(needs).map(with_needs).collect())
}

impl Place<'_> {
    fn into_found(self) -> Found {
        self.found
    }
}

/// An entry of `packages` (version 2 and 3): the path is the key, `name` is there if the path says another one.
fn place_of_packages<'a>(path: &'a str, entry: &'a Value) -> Option<Place<'a>> {
    // The project itself: its own `package.json` speaks for it.
    if path.is_empty()
        || path.len() > PATH_BYTES_MAX
        || not_for_linux(entry["os"].texts().into_iter())
    {
        return None;
    }
    let by_path = path.rsplit_once("node_modules/").map(|(_, name)| name);
    let name = entry["name"].as_str().or(by_path)?;
    let mut found = found_of_entry(name, entry["version"].as_str().unwrap_or_default(), entry)?;
    found.dev = entry["dev"].is_true();
    set_license(&mut found, entry);
    Some(Place { path: path.into(), found, entry })
}

/// Entries of `dependencies` (version 1), which nest as `node_modules` does.
fn flatten<'a>(parent: &str, entries: &'a Value, places: &mut Vec<Place<'a>>) {
    for (name, entry) in entries.members() {
        let path =
            format!("{parent}{}node_modules/{name}", if parent.is_empty() { "" } else { "/" });
        if path.len() > PATH_BYTES_MAX {
            continue;
        }
        let version = entry["version"].as_str().unwrap_or_default();
        let alias = version.strip_prefix("npm:").and_then(split_at);
        // A Git repository or a file, which is no version.
        let plain = if version.contains([':', '/']) { "" } else { version };
        let (name, version) = alias.unwrap_or((name, plain));
        if let Some(mut found) = found_of_entry(name, version, entry) {
            found.dev = entry["dev"].is_true();
            places.push(Place { path: path.clone().into(), found, entry });
        }
        flatten(&path, &entry["dependencies"], places);
    }
}

fn found_of_entry(name: &str, version: &str, entry: &Value) -> Option<Found> {
    let mut found = Found::new(name, version)?;
    found.set_integrity(entry["integrity"].as_str().unwrap_or_default());
    Some(found)
}

fn needs_of(place: &Place<'_>, index: &Index<'_>) -> Vec<usize> {
    let fields = RUNTIME.iter().chain(["requires"].iter());
    let names = fields.flat_map(|field| match &place.entry[field].kind {
        // In version 1 these are packages below this one, and `requires` says what is needed.
        Kind::Table(entries) if entries.iter().all(|(_, value)| value.as_str().is_some()) => {
            entries.as_slice()
        }
        _ => &[],
    });
    let mut needs: Vec<_> = names
        .filter_map(|(name, _)| resolve(&place.path, name, |path| index.get(path).copied()))
        .collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// Finds `name` as Node does from a package at `from`: in its own `node_modules`, then in those of the folders above (Node.js
/// documentation, "Loading from node_modules folders").
pub(super) fn resolve<T>(from: &str, name: &str, at: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut folder = from;
    for _ in 0..FOLDERS_UP_MAX {
        let slash = if folder.is_empty() || folder.ends_with('/') { "" } else { "/" };
        if let Some(found) = at(&format!("{folder}{slash}node_modules/{name}")) {
            return Some(found);
        }
        if folder.is_empty() {
            return None;
        }
        folder = match folder.rfind("node_modules/") {
            Some(end) => folder[..end].trim_end_matches('/'),
            None => folder.rsplit_once('/').map_or("", |(above, _)| above),
        };
    }
    None
}

/// `bun.lock`: `packages` has the path in the tree as key and a list as value: `name@version`, registry, details, integrity.
pub(super) fn bun_lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let json = json(bytes)?;
    let mut index = Index::new();
    let mut all = Vec::new();
    for (path, entry) in json["packages"].members() {
        let items = entry.items();
        let Some((name, version)) = items.first().and_then(Value::as_str).and_then(split_at) else {
            continue;
        };
        let details = items.iter().find(|item| matches!(item.kind, Kind::Table(_)));
        if version.starts_with("workspace:") || path.len() > PATH_BYTES_MAX {
            continue;
        }
        let os = details.and_then(|details| details.get("os")).map(Value::texts);
        if not_for_linux(os.into_iter().flatten()) {
            continue;
        }
        // A Git repository or a file, which is no version.
        let version = if version.contains([':', '/']) { "" } else { version };
        let Some(mut found) = Found::new(name, version) else { continue };
        if let Some(integrity) = items.last().and_then(Value::as_str) {
            found.set_integrity(integrity);
        }
        index.insert(path.into(), all.len());
        all.push((path, found, details));
    }
    let with_needs = |(path, found, details): (&str, Found, Option<&Value>)| {
        let names = RUNTIME.iter().filter_map(|field| details?.get(field)).flat_map(Value::keys);
        let needs = names.filter_map(|name| resolve_bun(path, name, &index)).collect();
        Found { needs, ..found }
    };
    Ok(all.into_iter().map(with_needs).collect())
}

/// `parent/name`, else a level up, at last `name`.
fn resolve_bun(from: &str, name: &str, index: &Index<'_>) -> Option<usize> {
    let mut path = from;
    for _ in 0..FOLDERS_UP_MAX {
        if path.is_empty() {
            break;
        }
        if let Some(&at) = index.get(format!("{path}/{name}").as_str()) {
            return Some(at);
        }
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
    index.get(name).copied()
}

/// `name@version`, where a scope begins with `@` as well.
pub(super) fn split_at(text: &str) -> Option<(&str, &str)> {
    let at = text.get(1..)?.find('@')? + 1;
    Some((&text[..at], &text[at + 1..]))
}

/// Whether a package's `os` says that it is not installed here; images are Linux.
pub(super) fn not_for_linux<'a>(os: impl Iterator<Item = &'a str>) -> bool {
    let mut os = os.filter(|name| !matches!(*name, "" | "any" | "none")).peekable();
    os.peek().is_some()
        && os.all(|name| name != "linux" && (!name.starts_with('!') || name == "!linux"))
}

/// What a package needs to run, in `package.json` and in the lock files.
const RUNTIME: [&str; 3] = ["dependencies", "optionalDependencies", "peerDependencies"];
/// Deepest search; real trees are less than ten deep.
const FOLDERS_UP_MAX: usize = 16;
/// Longest path of a package in a lock file, so that searching it stays cheap.
const PATH_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    fn license(json: &str) -> Option<String> {
        let text = format!(r#"{{"name": "a", "version": "1.0.0", {json}}}"#);
        package_json(text.as_bytes()).unwrap().unwrap().found.license
    }

    #[test]
    fn licences_are_read_in_all_forms_that_npm_ever_had() {
        for (json, expected) in [
            (r#""license": "MIT""#, Some("MIT")),
            (r#""license": {"type": "ISC", "url": "x"}"#, Some("ISC")),
            (r#""license": ["MIT", {"type": "ISC"}]"#, Some("(MIT OR ISC)")),
            (r#""licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}]"#, Some("(MIT OR GPL-2.0)")),
            (r#""licenses": {"type": "BSD"}"#, Some("BSD")),
            (r#""license": 3, "licenses": "Zlib""#, Some("Zlib")),
            (r#""license": """#, None),
        ] {
            assert_eq!(license(json).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn a_package_json_without_name_is_no_package() {
        for text in
            [r#"{"type": "module"}"#, r#"{"name": ""}"#, r#"{"name": 1, "version": "1"}"#, "[]"]
        {
            assert_eq!(package_json(text.as_bytes()), Ok(None), "{text}");
        }
        let versionless = package_json(br#"{"name": "a"}"#).unwrap().unwrap();
        assert_eq!(versionless.found, Found::new("a", "").unwrap());
        assert!(package_json(b"{").is_err());
    }

    const V3: &str = r#"{"name": "app", "lockfileVersion": 3, "packages": {
        "": {"name": "app", "version": "1.0.0", "dependencies": {"a": "^1"}},
        "packages/w": {"name": "@x/w", "version": "0.1.0", "dependencies": {"b": "^2"}},
        "node_modules/@x/w": {"resolved": "packages/w", "link": true},
        "node_modules/a": {"version": "1.0.0", "license": "MIT", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            "dependencies": {"b": "^1", "@x/w": "*"}, "peerDependencies": {"none": "*"}},
        "node_modules/a/node_modules/b": {"version": "1.5.0"},
        "node_modules/b": {"version": "2.0.0", "dev": true, "dependencies": {"c": "1"}},
        "node_modules/alias": {"name": "c", "version": "3.0.0"},
        "node_modules/c": {"version": "1.0.0", "optional": true, "os": ["linux", "darwin"]},
        "node_modules/fsevents": {"version": "2.3.3", "optional": true, "os": ["darwin"]}}}"#;

    #[test]
    fn version_3_is_resolved_as_node_does() {
        assert_eq!(
            listing(package_lock(V3.as_bytes())),
            [
                "@x/w@0.1.0 -> b@2.0.0",
                "a@1.0.0 (MIT) SHA1 -> @x/w@0.1.0 b@1.5.0",
                "b@1.5.0",
                "b@2.0.0 dev -> c@1.0.0",
                "c@3.0.0",
                "c@1.0.0",
            ]
        );
    }

    const V1: &str = r#"{"lockfileVersion": 1, "requires": true, "dependencies": {
        "a": {"version": "1.0.0", "requires": {"b": "^1", "g": "x"}, "dependencies": {"b": {"version": "1.5.0", "dev": true}}},
        "b": {"version": "2.0.0"},
        "c": {"version": "npm:@x/d@4.0.0"},
        "g": {"version": "git+ssh://git@example.com/g.git#abc"}}}"#;

    #[test]
    fn version_1_is_read_as_the_tree_it_is() {
        let expected = ["a@1.0.0 -> b@1.5.0 g@", "b@1.5.0 dev", "b@2.0.0", "@x/d@4.0.0", "g@"];
        assert_eq!(listing(package_lock(V1.as_bytes())), expected);
    }

    const BUN: &str = r#"{
      "lockfileVersion": 1,
      "workspaces": {"": {"name": "app", "dependencies": {"a": "^1"},},},
      "packages": {
        "a": ["a@1.0.0", "", {"dependencies": {"b": "^1", "@x/c": "1"}}, "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="],
        "a/b": ["b@1.5.0", "", {}, "sha512-x"],
        "b": ["b@2.0.0", "", {"os": "darwin"}, ""],
        "@x/c": ["@x/c@1.0.0", "", {"dependencies": {"b": "^2"}}, ""],
        "w": ["w@workspace:packages/w"],
        "g": ["g@github:x/g#abc", {}, "x-g-abc"],
      },
    }"#;

    #[test]
    fn bun_lock_is_read_without_workspaces_and_other_systems() {
        let expected = ["a@1.0.0 SHA1 -> b@1.5.0 @x/c@1.0.0", "b@1.5.0", "@x/c@1.0.0", "g@"];
        assert_eq!(listing(bun_lock(BUN.as_bytes())), expected);
    }

    #[test]
    fn os_lists_say_where_a_package_is_installed() {
        for (os, expected) in [
            (&["darwin"][..], true),
            (&["linux"], false),
            (&["!win32"], false),
            (&["!linux"], true),
            (&["none"], false),
            (&[], false),
        ] {
            assert_eq!(not_for_linux(os.iter().copied()), expected, "{os:?}");
        }
    }

    #[test]
    fn a_deep_path_costs_little() {
        let deep = "node_modules/a/".repeat(100_000);
        let text = format!(r#"{{"packages": {{"{deep}node_modules/a": {{"version": "1"}}}}}}"#);
        assert_eq!(package_lock(text.as_bytes()), Ok(Vec::new()));
    }

    #[test]
    fn mutations_are_read_or_refused() {
        let tokens = b"{}[]\",:@/ n1";
        mutate(V3.as_bytes(), tokens, 2_000, |bytes| {
            let _ = package_lock(bytes).is_ok();
            let _ = package_json(bytes).is_ok();
        });
        mutate(V1.as_bytes(), tokens, 2_000, |bytes| drop(package_lock(bytes)));
        mutate(BUN.as_bytes(), tokens, 2_000, |bytes| drop(bun_lock(bytes)));
    }
}
