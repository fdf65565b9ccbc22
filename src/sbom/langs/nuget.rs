//! NuGet: an application's `*.deps.json`, `packages.lock.json`.

use std::{collections::BTreeSet, mem};

use super::found::{Found, Index, json};
use crate::manifest::Value;

/// `*.deps.json` beside an application: `libraries` has its packages as `name/version`, `targets` what they depend on and
/// which files they brought.
///
/// Packages that brought none, nor did what they depend on, only took part in the build (analyzers, references) and are marked
/// as development's; so are projects that others refer to.
pub(super) fn deps(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let json = json(bytes)?;
    let mut index = Index::new();
    let mut all: Vec<Found> = Vec::new();
    let mut projects = BTreeSet::new();
    for (key, entry) in json["libraries"].members() {
        // `reference` is a file that no package brought.
        let of_type = entry["type"].as_str();
        if of_type == Some("reference") {
            continue;
        }
        let Some(found) = key.split_once('/').and_then(|(name, version)| Found::new(name, version))
        else {
            continue;
        };
        // `sha512` is that of the package's content without its signature, so of no file.
        index.insert(key.into(), all.len());
        if of_type == Some("project") {
            projects.insert(all.len());
        }
        all.push(found);
    }
    let mut has_files = vec![false; all.len()];
    for (_, target) in json["targets"].members() {
        for (key, entry) in target.members() {
            let Some(&at) = index.get(key) else { continue };
            has_files[at] |= FILES.iter().any(|field| entry[field].members().next().is_some());
            for (name, version) in entry["dependencies"].members() {
                let key = format!("{name}/{}", version.as_str().unwrap_or_default());
                all[at].needs.extend(index.get(key.as_str()));
            }
        }
    }
    spread_to_dependents(&all, &mut has_files);
    for (found, has_files) in all.iter_mut().zip(has_files) {
        found.dev = !has_files;
    }
    // The application is a project too; one that it refers to is a part of it and no package.
    let needed: BTreeSet<usize> = all.iter().flat_map(|found| found.needs.clone()).collect();
    for at in needed.intersection(&projects) {
        all[*at].dev = true;
    }
    Ok(all)
}

/// Marks all that depend on a marked one, however many steps away.
fn spread_to_dependents(all: &[Found], marked: &mut [bool]) {
    let mut dependents = vec![Vec::new(); all.len()];
    for (at, found) in all.iter().enumerate() {
        for &needed in &found.needs {
            dependents[needed].push(at);
        }
    }
    let mut todo: Vec<_> = (0..all.len()).filter(|at| marked[*at]).collect();
    while let Some(at) = todo.pop() {
        for &dependent in &dependents[at] {
            if !mem::replace(&mut marked[dependent], true) {
                todo.push(dependent);
            }
        }
    }
}

/// Fields of a package in a target that list files in the application.
const FILES: [&str; 4] = ["runtime", "native", "resources", "runtimeTargets"];

/// `packages.lock.json`: for each framework a table by name.
pub(super) fn lock(bytes: &[u8]) -> Result<Vec<Found>, String> {
    let json = json(bytes)?;
    let mut all: Vec<Found> = Vec::new();
    for (_, framework) in json["dependencies"].members() {
        let mut index = Index::new();
        let first = all.len();
        let mut entries: Vec<&Value> = Vec::new();
        for (name, entry) in framework.members() {
            // A project has no version of its own here.
            let Some(version) = entry["resolved"].as_str() else { continue };
            let Some(found) = Found::new(name, version) else { continue };
            index.insert(name.to_lowercase().into(), all.len());
            all.push(found);
            entries.push(entry);
        }
        for (at, entry) in entries.into_iter().enumerate() {
            for name in entry["dependencies"].keys() {
                all[first + at].needs.extend(index.get(name.to_lowercase().as_str()));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mutation::mutate, sbom::langs::tests::listing};

    const DEPS: &str = r#"{"runtimeTarget": {"name": ".NETCoreApp,Version=v8.0"},
        "targets": {".NETCoreApp,Version=v8.0": {
            "App/1.0.0": {"dependencies": {"A": "13.0.3", "Part": "1.0.0"}, "runtime": {"App.dll": {}}},
            "A/13.0.3": {"runtime": {"lib/A.dll": {}}}, "Meta/1.0.0": {"dependencies": {"A": "13.0.3"}}, "Part/1.0.0": {"runtime": {"Part.dll": {}}},
            "Analyzer/1.0.0": {"dependencies": {}, "compile": {"ref/x.dll": {}}}}},
        "libraries": {"App/1.0.0": {"type": "project"}, "Part/1.0.0": {"type": "project"}, "A/13.0.3": {"type": "package", "sha512": "sha512-x"},
            "Local/1.0": {"type": "reference"}, "Analyzer/1.0.0": {"type": "package"}, "Meta/1.0.0": {"type": "package"}}}"#;

    #[test]
    fn an_applications_packages_are_read() {
        let expected = [
            "App@1.0.0 -> A@13.0.3 Part@1.0.0",
            "Part@1.0.0 dev",
            "A@13.0.3",
            "Analyzer@1.0.0 dev",
            "Meta@1.0.0 -> A@13.0.3",
        ];
        assert_eq!(listing(deps(DEPS.as_bytes())), expected);
    }

    const LOCK: &str = r#"{"version": 1, "dependencies": {"net8.0": {
        "A": {"type": "Direct", "requested": "[1, )", "resolved": "1.0.0", "dependencies": {"b": "2.0.0"}},
        "B": {"type": "Transitive", "resolved": "2.0.0"},
        "lib": {"type": "Project"}}, "net8.0/linux-x64": {"B": {"resolved": "2.0.0"}}}}"#;

    #[test]
    fn a_lock_is_read_for_each_framework() {
        assert_eq!(listing(lock(LOCK.as_bytes())), ["A@1.0.0 -> B@2.0.0", "B@2.0.0", "B@2.0.0"]);
    }

    #[test]
    fn mutations_are_read_or_refused() {
        mutate(DEPS.as_bytes(), b"{}[]:\",/", 3_000, |bytes| drop(deps(bytes)));
        mutate(LOCK.as_bytes(), b"{}[]:\",/", 3_000, |bytes| drop(lock(bytes)));
    }
}
