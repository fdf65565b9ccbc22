//! PyPI: installed metadata, and the lock files of Poetry, uv, PDM and Pipenv.

use std::collections::BTreeMap;

use super::found::{Found, Index, Installed, json, lines, lossy, toml};
use crate::manifest::{Kind, Value};

/// `METADATA` and `PKG-INFO` (Core Metadata Specifications): headers as in a mail, then the description, which is not read.
pub(super) fn metadata(bytes: &[u8]) -> Result<Option<Installed>, String> {
    let text = lossy(bytes);
    let mut name = "";
    let mut version = "";
    let mut license = "";
    let mut expression = "";
    let mut classifiers = Vec::new();
    let mut requires = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        // A folded line begins with a space; none of the fields wanted here is folded, but for a licence's text.
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match field {
            "Name" => name = value,
            "Version" => version = value,
            "License-Expression" => expression = value,
            "License" => license = value,
            "Classifier" => classifiers.extend(classified_license(value)),
            "Requires-Dist" if requires.len() < REQUIRES_MAX => requires.extend(required(value)),
            _ => {}
        }
    }
    if name.is_empty() {
        return Err("has no `Name` among its headers".to_owned());
    }
    // The interpreter's own metadata, on Debian: no package of the index.
    let found = Found::new(name, version).filter(|_| name != "Python");
    let Some(mut found) = found else { return Ok(None) };
    // The last one that says something counts.
    found.set_licenses(classifiers.into_iter());
    found.set_license(license);
    found.set_license(expression);
    Ok(Some(Installed { found, requires }))
}

/// `License :: OSI Approved :: MIT License`; the last part alone, if it names one.
fn classified_license(classifier: &str) -> Option<&str> {
    let (_, last) = classifier.strip_prefix("License ::")?.rsplit_once("::").unzip();
    last.map(str::trim).filter(|name| *name != "OSI Approved")
}

/// The normalised name in a requirement, `None` if only an extra asks for it (`pytest>=7; extra == 'test'`).
fn required(requirement: &str) -> Option<String> {
    let (requirement, marker) = requirement.split_once(';').unwrap_or((requirement, ""));
    let name = requirement_name(requirement);
    (!name.is_empty() && !marker.contains("extra")).then(|| normalized(name))
}

/// What stands before a version or an extra.
fn requirement_name(requirement: &str) -> &str {
    let requirement = requirement.trim_start();
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = requirement.find(|c| !in_name(c)).unwrap_or(requirement.len());
    &requirement[..end]
}

/// Lower case, and `-` for each run of `-`, `_` and `.` (PEP 503).
pub(in crate::sbom) fn normalized(name: &str) -> String {
    let mut normalized = String::with_capacity(name.len());
    for c in name.chars() {
        if !matches!(c, '-' | '_' | '.') {
            normalized.push(c.to_ascii_lowercase());
        } else if !normalized.ends_with('-') {
            normalized.push('-');
        }
    }
    normalized
}

/// `poetry.lock`, `uv.lock` and `pdm.lock`: a list `package` of the same outlines. `pylock.toml` (PEP 751) calls it `packages`.
pub(super) fn toml_lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let toml = toml(bytes)?;
    // Until Poetry 1.2 all files stood together.
    let poetry_files: BTreeMap<_, _> = toml["metadata"]["files"].members().collect();
    let mut entries = Vec::new();
    for entry in toml["package"].items().iter().chain(toml["packages"].items()) {
        let name = entry["name"].as_str().unwrap_or_default();
        let version = entry["version"].as_str().unwrap_or_default();
        let Some(mut found) = Found::new(name, version) else { continue };
        found.dev = entry["category"].as_str() == Some("dev");
        set_only_hash(&mut found, entry, poetry_files.get(name).copied());
        entries.push((found, entry));
    }
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, (found, _)) in entries.iter().enumerate() {
        by_name.entry(normalized(&found.name)).or_default().push(at);
    }
    let needs: Vec<Vec<usize>> = entries
        .iter()
        .map(|(_, entry)| {
            let wanted = dependencies(&entry["dependencies"]);
            wanted
                .filter_map(|(name, version)| {
                    let places = by_name.get(&normalized(name))?;
                    let is_version = |at: &&usize| entries[**at].0.version == version;
                    places
                        .iter()
                        .take(VERSIONS_MAX)
                        .find(is_version)
                        .or_else(|| places.first())
                        .copied()
                })
                .collect()
        })
        .collect();
    let with_needs = |((found, _), needs)| Found { needs, ..found };
    Ok(entries.into_iter().zip(needs).map(with_needs).collect())
}

/// Names, with a version where there is one. Poetry: a table by name. uv: a list of tables. PDM: a list of requirements.
fn dependencies(dependencies: &Value) -> impl Iterator<Item = (&str, &str)> {
    let by_name = dependencies.keys().map(|name| (name, ""));
    let listed = dependencies.items().iter().filter_map(|item| match &item.kind {
        Kind::String(requirement) => Some((requirement_name(requirement), "")),
        _ => Some((item["name"].as_str()?, item["version"].as_str().unwrap_or_default())),
    });
    by_name.chain(listed)
}

/// The checksum, if there is one file only: of several nobody knows which one was installed.
fn set_only_hash(found: &mut Found, entry: &Value, poetry_files: Option<&Value>) {
    let lists = [&entry["files"], &entry["wheels"]].into_iter().chain(poetry_files);
    let tables = lists.flat_map(Value::items).chain([&entry["sdist"], &entry["archive"]]);
    let mut hashes = tables.filter_map(|table| {
        let hashes = table["hashes"]["sha256"].as_str();
        hashes.or_else(|| table["hash"].as_str()?.strip_prefix("sha256:"))
    });
    if let (Some(only), None) = (hashes.next(), hashes.next()) {
        found.set_checksum(only);
    }
}

/// `Pipfile.lock`: `default` and `develop`, name → `version` with `==`.
pub(super) fn pipfile_lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let json = json(bytes)?;
    let mut all = Vec::new();
    for (group, dev) in [("default", false), ("develop", true)] {
        for (name, entry) in json[group].members() {
            let version = entry["version"].as_str().unwrap_or_default();
            let Some(mut found) = Found::new(name, version.trim_start_matches('=')) else {
                continue;
            };
            found.dev = dev;
            let mut hashes =
                entry["hashes"].texts().into_iter().filter_map(|it| it.strip_prefix("sha256:"));
            if let (Some(only), None) = (hashes.next(), hashes.next()) {
                found.set_checksum(only);
            }
            all.push(found);
        }
    }
    Ok(all)
}

/// `requirements.txt`: the lines that pin one version (`name==1.0`), as `pip freeze` and `pip-compile` write them.
pub(super) fn requirements(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let text = lossy(bytes).replace("\\\r\n", " ").replace("\\\n", " ");
    let mut all = Vec::new();
    let mut index = Index::new();
    for line in lines(&text)? {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let mut hashes =
            line.match_indices("--hash=sha256:").map(|(at, key)| &line[at + key.len()..]);
        let pin = line.split([';', ' ']).next().unwrap_or_default();
        // `name == 1.0` has spaces that belong to it.
        let spaced = line.split(';').next().unwrap_or_default().replace(' ', "");
        let pin = if pin.contains("==") { pin } else { &spaced };
        let Some((name, version)) = pin.split_once("==") else { continue };
        let (name, extras) = name.split_once('[').unwrap_or((name, "]"));
        let version = version.trim_start_matches('=').split("--").next().unwrap_or_default();
        let version = version.split('@').next().unwrap_or_default();
        let is_name = requirement_name(name) == name && extras.ends_with(']');
        if !is_name || version.is_empty() || version.contains(['*', ',', '<', '>', '!']) {
            continue;
        }
        let Some(mut found) = Found::new(name, version) else { continue };
        if let (Some(only), None) = (hashes.next(), hashes.next()) {
            found.set_checksum(only.split(' ').next().unwrap_or_default());
        }
        let known = index.insert(format!("{name}=={version}").into(), all.len());
        if known.is_none() {
            all.push(found);
        }
    }
    Ok(all)
}

/// Requirements of one package; the longest list seen has about 300.
const REQUIRES_MAX: usize = 2_000;
/// Versions of one package that are compared; a lock that forks by Python version has a few.
const VERSIONS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const METADATA: &str = "Metadata-Version: 2.1\nName: Foo.Bar_baz\nVersion: 1.0\nClassifier: Programming Language :: Python\nClassifier: License :: OSI Approved :: MIT License\nRequires-Dist: requests[socks] (>=2.0)\nRequires-Dist: PyYAML>=5; python_version > \"3\"\nRequires-Dist: pytest; extra == 'test'\nDescription-Content-Type: text/markdown\n\nName: other\n";

    #[test]
    fn metadata_is_read_up_to_the_description() {
        let installed = metadata(METADATA.as_bytes()).unwrap().unwrap();
        assert_eq!((&*installed.found.name, &*installed.found.version), ("Foo.Bar_baz", "1.0"));
        assert_eq!(installed.found.license.as_deref(), Some("MIT License"));
        assert_eq!(installed.requires, ["requests", "pyyaml"]);
        assert!(metadata(b"\nName: a\n").is_err());
        assert_eq!(metadata(b"Name: Python\nVersion: 2.7.18\n"), Ok(None));
    }

    #[test]
    fn an_expression_goes_before_a_licence_and_this_before_classifiers() {
        let license = |headers: &str| {
            let text = format!("Name: a\nVersion: 1\n{headers}");
            metadata(text.as_bytes()).unwrap().unwrap().found.license
        };
        let classifier = "Classifier: License :: OSI Approved :: MIT License\n";
        assert_eq!(license(&format!("{classifier}License: MIT\n")).unwrap(), "MIT");
        assert_eq!(license(&format!("{classifier}License: UNKNOWN\n")).unwrap(), "MIT License");
        let expression = "License: x\nLicense-Expression: MIT OR Apache-2.0\n";
        assert_eq!(license(expression).unwrap(), "MIT OR Apache-2.0");
        assert_eq!(license("Classifier: License :: OSI Approved\n"), None);
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(normalized("Foo.Bar__baz-._1"), "foo-bar-baz-1");
    }

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    const POETRY: &str = r#"
[[package]]
name = "a"
version = "1.0"
optional = false
files = [{file = "a.whl", hash = "sha256:HASH"}]
[package.dependencies]
B = ">=2"
none = {version = "*", optional = true}
[[package]]
name = "b"
version = "2.0"
category = "dev"
files = [{file = "b.whl", hash = "sha256:HASH"}, {file = "b.tar.gz", hash = "sha256:HASH"}]
[metadata.files]
b = []
"#;

    #[test]
    fn poetry_lock_is_read_with_the_checksum_of_an_only_file() {
        let text = POETRY.replace("HASH", HASH);
        assert_eq!(listing(toml_lock(text.as_bytes())), ["a@1.0 SHA256 -> b@2.0", "b@2.0 dev"]);
    }

    const UV: &str = r#"
version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "b", version = "2.0", marker = "x" }, { name = "c" }]
[[package]]
name = "b"
version = "1.0"
source = { registry = "x" }
sdist = { url = "x", hash = "sha256:HASH", size = 1 }
[[package]]
name = "b"
version = "2.0"
[[package]]
name = "c"
version = "3.0"
sdist = { url = "x", hash = "sha256:HASH" }
wheels = [{ url = "x", hash = "sha256:HASH" }]
"#;

    #[test]
    fn uv_lock_is_read_with_its_forks() {
        let text = UV.replace("HASH", HASH);
        let expected = ["app@0.1.0 -> b@2.0 c@3.0", "b@1.0 SHA256", "b@2.0", "c@3.0"];
        assert_eq!(listing(toml_lock(text.as_bytes())), expected);
    }

    #[test]
    fn pdm_lock_and_pylock_are_read() {
        let pdm = "[[package]]\nname = \"a\"\nversion = \"1\"\ndependencies = [\"b[x]>=2; y\"]\n[[package]]\nname = \"b\"\nversion = \"2\"\n";
        assert_eq!(listing(toml_lock(pdm.as_bytes())), ["a@1 -> b@2", "b@2"]);
        let pylock = format!(
            "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1\"\nwheels = [{{hashes = {{sha256 = \"{HASH}\"}}}}]\n"
        );
        assert_eq!(listing(toml_lock(pylock.as_bytes())), ["a@1 SHA256"]);
    }

    const PIPFILE: &str = r#"{"_meta": {}, "default": {"a": {"version": "==1.0", "hashes": ["sha256:x"]}, "g": {"git": "x", "ref": "y"}}, "develop": {"b": {"version": "==2"}}}"#;

    #[test]
    fn pipfile_lock_is_read() {
        assert_eq!(listing(pipfile_lock(PIPFILE.as_bytes())), ["a@1.0", "g@", "b@2 dev"]);
    }

    #[test]
    fn requirements_count_if_they_are_pinned() {
        let text = format!(
            "# pip-compile\n-r other.txt\n--index-url x\na==1.0 ; python_version > '3' \\\n    --hash=sha256:{HASH}\nB[x,y] == 2.0  # via a\nc>=1\nd==1.*\ne===3\nf==1,!=2\ng @ https://x/==1\nhttp://x/==1\na==1.0\nh==1 --hash=sha256:x --hash=sha256:y\ni==4;x=='y'\nj==5@git+https://x\n"
        );
        let expected = ["a@1.0 SHA256", "B@2.0", "e@3", "h@1", "i@4", "j@5"];
        assert_eq!(listing(requirements(text.as_bytes())), expected);
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(METADATA.as_bytes(), b":\n ;[\xff", 3_000, |bytes| drop(metadata(bytes)));
        mutate(POETRY.as_bytes(), b"[]{}=\"\n.", 2_000, |bytes| drop(toml_lock(bytes)));
        mutate(UV.as_bytes(), b"[]{}=\"\n.", 2_000, |bytes| drop(toml_lock(bytes)));
        mutate(PIPFILE.as_bytes(), b"{}[]:\",=", 2_000, |bytes| drop(pipfile_lock(bytes)));
        let text = b"a==1.0;x \\\n --hash=sha256:x\nB[x] == 2.0 # y\n";
        mutate(text, b"=[];\\\n #-", 3_000, |bytes| drop(requirements(bytes)));
    }
}
