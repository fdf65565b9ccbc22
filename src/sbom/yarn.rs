//! Packages that Yarn's Plug'n'Play loads from archives: each archive holds one package, in `node_modules/NAME/`.

use std::collections::BTreeMap;

use super::{
    Files, Problem,
    interest::is_yarn_archive,
    pieces::Blocks,
    zip::{self, Budget},
};

/// The `package.json` of each packed package, by the path of the archive, `!` and the path in it.
pub(super) fn package_jsons(
    files: &Files,
    budget: &mut Budget,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Vec<u8>> {
    let mut texts = BTreeMap::new();
    for (path, file) in files.binaries.iter().filter(|(path, _)| is_yarn_archive(path)) {
        let archive = Blocks::new(file.as_ref());
        let read = zip::entries(&archive, budget, is_package_json).and_then(|entries| {
            for entry in entries {
                let text = zip::content(&archive, &entry, TEXT_BYTES_MAX, budget)?;
                texts.insert(format!("{path}!/{}", entry.name), text);
            }
            Ok(())
        });
        problems.extend(read.err().map(|why| Problem { path: path.clone(), why }));
    }
    texts
}

/// `node_modules/lodash/package.json`, `node_modules/@babel/core/package.json`; those deeper inside are not the package's.
fn is_package_json(name: &str) -> bool {
    let inside = name.strip_prefix("node_modules/").and_then(|it| it.strip_suffix("/package.json"));
    inside.is_some_and(|package| {
        package.split('/').count() == 1 + usize::from(package.starts_with('@'))
    })
}

/// Longest `package.json`.
const TEXT_BYTES_MAX: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbom::{Origin, catalogue, zip::tests::archive};

    fn files(archives: &[(&str, Vec<u8>)]) -> Files {
        let binary = |(path, bytes): &(&str, Vec<u8>)| {
            ((*path).to_owned(), Box::new(bytes.clone()) as Box<dyn crate::sbom::ReadAt + Send>)
        };
        Files { binaries: archives.iter().map(binary).collect(), ..Files::default() }
    }

    #[test]
    fn packages_that_stay_packed_are_listed_with_their_archive() {
        let lodash = archive(&[
            (
                "node_modules/lodash/package.json",
                br#"{"name":"lodash","version":"4.17.21","license":"MIT"}"#,
                true,
            ),
            ("node_modules/lodash/fp/package.json", br#"{"name":"inner","version":"1"}"#, true),
        ]);
        let scoped = archive(&[(
            "node_modules/@babel/core/package.json",
            br#"{"name":"@babel/core","version":"7.0.0"}"#,
            false,
        )]);
        let files = files(&[
            ("/app/.yarn/cache/lodash-npm-4.17.21-6382451519-10c0.zip", lodash),
            ("/app/.yarn/cache/@babel-core-npm-7.0.0-1.zip", scoped),
            ("/app/.yarn/cache/broken.zip", b"no archive".to_vec()),
        ]);
        let found = catalogue(&files, Origin::Image);
        let purls: Vec<_> = found.packages.iter().map(|package| package.purl.as_str()).collect();
        assert_eq!(purls, ["pkg:npm/%40babel/core@7.0.0", "pkg:npm/lodash@4.17.21"]);
        let place = "/app/.yarn/cache/lodash-npm-4.17.21-6382451519-10c0.zip!/node_modules/lodash/package.json";
        assert!(found.packages[1].locations.contains(place));
        let [problem] = found.problems.as_slice() else { panic!("{:?}", found.problems) };
        assert_eq!(problem.path, "/app/.yarn/cache/broken.zip");
    }
}
