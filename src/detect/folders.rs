//! Names of folders that are not the product: tests, examples, manuals, tools, what builds write.

use super::paths::parent;

/// What a folder of a name holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Tests,
    Benchmarks,
    Examples,
    Tools,
    Retired,
    Manual,
}

static NAMES: &[(Role, &[&str])] = &[
    (
        Role::Tests,
        &[
            "test", "tests", "__tests__", "testing", "testdata", "test-data", "test_data",
            "test-apps", "fixtures", "__fixtures__", "e2e", "cypress", "playwright",
            "integration-tests", "integration_tests", "fuzz", "fuzzing",
        ],
    ),
    (Role::Benchmarks, &["benchmark", "benchmarks", "bench", "benches"]),
    (
        Role::Examples,
        &[
            "example", "examples", "sample", "samples", "demo", "demos", "playground",
            "playgrounds", "templates", "storybook",
        ],
    ),
    (Role::Tools, &["scripts", "tools", "hack"]),
    (Role::Retired, &["unused", "deprecated", "archived"]),
    (Role::Manual, &["docs", "doc", "documentation"]),
];

/// Ends of names of folders with examples, tests or benchmarks.
const ENDS: &[&str] = &[
    "-example", "-examples", "-sample", "-samples", "-test", "-tests", "-fixtures", "-e2e",
    "-playground", "-benchmark", "-benchmarks",
];

/// Folders whose content is deployed, whatever it is called: `apps/docs` is an application like the others there.
const APPLICATIONS: &[&str] = &["apps", "applications", "services"];

/// Folders that a build fills where the folder they lie in has a manifest; elsewhere they may be anybody's.
const OUTPUTS: &[&str] = &["build", "dist", "out", "obj", "publish"];

fn role(name: &str) -> Option<Role> {
    let is_listed = |names: &&[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    NAMES.iter().find(|(_, names)| is_listed(names)).map(|(role, _)| *role)
}

/// Whether a folder within sources is for tests; others such as `example` may be a part of a package's name.
pub(super) fn is_for_tests(name: &str) -> bool {
    matches!(role(name), Some(Role::Tests | Role::Benchmarks))
}

/// Whether a path leads to tests, examples, manuals or tools.
pub(super) fn is_beside_product(dir: &str) -> bool {
    dir.split('/').any(|part| !matches!(role(part), None | Some(Role::Retired)))
}

/// Whether a service in that folder shows or checks the project, and is not deployed with it.
pub(super) fn is_aside(dir: &str) -> bool {
    dir.to_ascii_lowercase().split('/').any(|part| {
        // `{{cookiecutter.name}}` is a template too.
        let is_template = part.contains("{{");
        let is_named = !matches!(role(part), None | Some(Role::Manual));
        is_template || is_named || ENDS.iter().any(|end| part.ends_with(end))
    })
}

/// Whether a service in that folder is a manual.
pub(super) fn is_manual(dir: &str) -> bool {
    let parts: Vec<&str> = dir.split('/').collect();
    (0..parts.len()).any(|at| {
        let is_application = at > 0 && APPLICATIONS.contains(&parts[at - 1]);
        role(parts[at]) == Some(Role::Manual) && !is_application
    })
}

/// Whether a folder lies in what a build wrote: copies of manifests are often part of that. `is_built` tells of folders
/// with a manifest.
pub(super) fn is_output(dir: &str, is_built: impl Fn(&str) -> bool) -> bool {
    super::upward(dir)
        .filter(|above| *above != ".")
        .any(|above| OUTPUTS.contains(&super::paths::file_name(above)) && is_built(parent(above)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_tell_what_is_beside_the_product() {
        let check = |dir: &str, beside: bool, aside: bool, manual: bool| {
            let found = (is_beside_product(dir), is_aside(dir), is_manual(dir));
            assert_eq!(found, (beside, aside, manual), "{dir}");
        };
        check("services/api", false, false, false);
        check("examples/api", true, true, false);
        check("apps/docs", true, false, false);
        check("docs/site", true, false, true);
        check("old/deprecated", false, true, false);
        check("shop-e2e/{{name}}", false, true, false);
        assert!(is_for_tests("Tests") && !is_for_tests("example"));
        let built = |dir: &str| dir == "web";
        assert!(is_output("web/dist/x", built) && !is_output("lib/dist", built));
    }
}
