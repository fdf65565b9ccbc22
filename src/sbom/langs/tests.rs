//! What counts where, and what is asked for.

use super::{found::Found, *};
use crate::mutation::mutate;

/// One line for each package: `name@version (licence) CHECKSUM dev -> needed needed`.
#[track_caller]
pub(super) fn listing(list: Result<Vec<Found>, String>) -> Vec<String> {
    let list = list.unwrap_or_else(|why| panic!("{why}"));
    let id = |found: &Found| format!("{}@{}", found.name, found.version);
    list.iter()
        .map(|found| {
            let mut line = id(found);
            line.extend(found.license.iter().map(|license| format!(" ({license})")));
            line.extend(found.checksums.keys().map(|algorithm| format!(" {algorithm}")));
            line.push_str(if found.dev { " dev" } else { "" });
            line.push_str(if found.needs.is_empty() { "" } else { " ->" });
            line.extend(found.needs.iter().map(|&at| format!(" {}", id(&list[at]))));
            line
        })
        .collect()
}

fn files(texts: &[(&str, &str)]) -> Files {
    let texts = texts.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    Files { texts: texts.collect(), ..Files::default() }
}

fn read(origin: Origin, texts: &[(&str, &str)]) -> (Vec<Package>, Vec<Problem>) {
    let (mut packages, mut problems) = (Vec::new(), Vec::new());
    catalogue(&files(texts), &BTreeMap::new(), origin, &mut packages, &mut problems);
    assert!(packages.iter().all(|package| package.origin == origin));
    (packages, problems)
}

/// Purl, place and dependencies of each package.
#[track_caller]
fn lines(origin: Origin, texts: &[(&str, &str)]) -> Vec<String> {
    let (packages, problems) = read(origin, texts);
    assert_eq!(problems, []);
    packages
        .iter()
        .map(|package| {
            let mut line = package.purl.clone();
            line.extend(package.locations.iter().map(|path| format!(" {path}")));
            line.extend(package.checksums.keys().map(|algorithm| format!(" {algorithm}")));
            line.extend(package.depends_on.iter().map(|purl| format!(" -> {purl}")));
            line
        })
        .collect()
}

const APP: (&str, &str) = (
    "/app/package.json",
    r#"{"name": "app", "version": "1.0.0", "dependencies": {"a": "^1"}, "devDependencies": {"b": "1"}}"#,
);
const A: (&str, &str) = (
    "/app/node_modules/a/package.json",
    r#"{"name": "a", "version": "1.0.0", "dependencies": {"@x/b": "1"}}"#,
);
const LOCK: (&str, &str) = (
    "/app/package-lock.json",
    r#"{"lockfileVersion": 3, "packages": {
        "node_modules/a": {"version": "1.0.0", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "dependencies": {"c": "1"}},
        "node_modules/c": {"version": "1.0.0"}, "node_modules/d": {"version": "1.0.0", "dev": true}}}"#,
);

#[test]
fn installed_packages_of_npm_are_connected_as_node_finds_them() {
    let b = (
        "/app/node_modules/a/node_modules/@x/b/package.json",
        r#"{"name": "@x/b", "version": "1.0.0+1"}"#,
    );
    let part = ("/app/node_modules/a/esm/package.json", r#"{"name": "part", "version": "1.0.0"}"#);
    assert_eq!(
        lines(Origin::Image, &[APP, A, b, part]),
        [
            "pkg:npm/%40x/b@1.0.0%2B1 /app/node_modules/a/node_modules/@x/b/package.json",
            "pkg:npm/a@1.0.0 /app/node_modules/a/package.json -> pkg:npm/%40x/b@1.0.0%2B1",
            "pkg:npm/app@1.0.0 /app/package.json -> pkg:npm/a@1.0.0",
        ]
    );
}

#[test]
fn a_lock_beside_installed_packages_adds_to_them_only() {
    let hidden = ("/app/node_modules/.package-lock.json", LOCK.1);
    let installed = "pkg:npm/a@1.0.0 /app/node_modules/a/package.json SHA1";
    assert_eq!(lines(Origin::Image, &[A, LOCK]), [installed]);
    assert_eq!(lines(Origin::Image, &[A, hidden]), [installed]);
    // A tool's own record makes no packages even where nothing is installed.
    assert_eq!(lines(Origin::Image, &[hidden]), [""; 0]);
    // In a project further down, of which nothing is installed, the packages above are used.
    let below = ("/app/packages/x/yarn.lock", "c@1:\n  version \"1.0.0\"\n");
    assert_eq!(lines(Origin::Image, &[A, below]).len(), 1);
}

#[test]
fn a_lock_of_a_project_with_nothing_installed_counts_without_development() {
    let npm = ("/usr/lib/node_modules/npm/package.json", r#"{"name": "npm", "version": "10.0.0"}"#);
    assert_eq!(
        lines(Origin::Image, &[npm, LOCK]),
        [
            "pkg:npm/npm@10.0.0 /usr/lib/node_modules/npm/package.json",
            "pkg:npm/a@1.0.0 /app/package-lock.json SHA1 -> pkg:npm/c@1.0.0",
            "pkg:npm/c@1.0.0 /app/package-lock.json",
        ]
    );
}

#[test]
fn python_packages_are_connected_within_their_site() {
    let metadata = |name: &str| format!("Name: {name}\nVersion: 1.0\nRequires-Dist: B_b\n");
    let (a, b) = (metadata("A"), "Name: b.b\nVersion: 2.0\n".to_owned());
    let poetry = "[[package]]\nname = \"c\"\nversion = \"1\"\n";
    assert_eq!(
        lines(
            Origin::Image,
            &[
                ("/usr/lib/python3/site-packages/a-1.0.dist-info/METADATA", &a),
                ("/usr/lib/python3/site-packages/b.b-2.0.egg-info", &b),
                ("/venv/site-packages/a-1.0.egg-info/PKG-INFO", &a),
                ("/app/poetry.lock", poetry),
            ]
        ),
        [
            "pkg:pypi/a@1.0 /usr/lib/python3/site-packages/a-1.0.dist-info/METADATA -> pkg:pypi/b-b@2.0",
            "pkg:pypi/b-b@2.0 /usr/lib/python3/site-packages/b.b-2.0.egg-info",
            "pkg:pypi/a@1.0 /venv/site-packages/a-1.0.egg-info/PKG-INFO",
        ]
    );
    assert_eq!(
        lines(Origin::Image, &[("/app/poetry.lock", poetry)]),
        ["pkg:pypi/c@1 /app/poetry.lock"]
    );
}

#[test]
fn gems_are_connected_with_default_ones() {
    let gem = "# stub: a 1.0 ruby lib\ns.add_runtime_dependency(%q<json>.freeze, [\">= 0\"])\n";
    assert_eq!(
        lines(
            Origin::Image,
            &[
                (
                    "/usr/lib/ruby/gems/3.2.0/specifications/default/json-2.0.gemspec",
                    "# stub: json 2.0 ruby lib\n"
                ),
                ("/bundle/specifications/a-1.0.gemspec", gem),
                ("/app/Gemfile.lock", "GEM\n  specs:\n    other (1.0)\n"),
            ]
        ),
        [
            "pkg:gem/a@1.0 /bundle/specifications/a-1.0.gemspec -> pkg:gem/json@2.0",
            "pkg:gem/json@2.0 /usr/lib/ruby/gems/3.2.0/specifications/default/json-2.0.gemspec",
        ]
    );
}

#[test]
fn cargo_and_mix_locks_count_in_the_image() {
    let cargo = "[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n";
    let mix = "  \"phoenix\": {:hex, :phoenix, \"1.7.0\", \"\", [:mix], [], \"hexpm\", \"\"},\n";
    assert_eq!(
        lines(
            Origin::Image,
            &[
                ("/app/Cargo.lock", cargo),
                ("/app/mix.lock", mix),
                ("/root/.cargo/registry/src/x/a-1.0.0/Cargo.lock", cargo),
                ("/app/go.mod", "require example.com/a v1.0.0\n"),
                ("/app/requirements.txt", "a==1\n"),
            ]
        ),
        ["pkg:cargo/serde@1.0.0 /app/Cargo.lock", "pkg:hex/phoenix@1.7.0 /app/mix.lock"]
    );
}

#[test]
fn composer_locks_count_unless_its_project_is_installed() {
    let lock = ("/app/composer.lock", r#"{"packages": [{"name": "A/b", "version": "v1"}]}"#);
    let none = ("/app/vendor/composer/installed.json", "[]");
    let one = ("/app/vendor/composer/installed.json", r#"[{"name": "A/b", "version": "v1"}]"#);
    assert_eq!(lines(Origin::Image, &[lock, none]), ["pkg:composer/a/b@v1 /app/composer.lock"]);
    let installed = ["pkg:composer/a/b@v1 /app/vendor/composer/installed.json"];
    assert_eq!(lines(Origin::Image, &[lock, one]), installed);
}

#[test]
fn in_the_context_locks_go_before_manifests() {
    let requirements = ("/app/requirements.txt", "a==1\n");
    let lock = ("/uv.lock", "[[package]]\nname = \"b\"\nversion = \"2\"\n");
    assert_eq!(lines(Origin::Context, &[requirements]), ["pkg:pypi/a@1 /app/requirements.txt"]);
    assert_eq!(lines(Origin::Context, &[requirements, lock]), ["pkg:pypi/b@2 /uv.lock"]);
    let expected = ["a@1.0.0", "c@1.0.0", "d@1.0.0"].map(|it| format!("pkg:npm/{it}"));
    let locked = lines(Origin::Context, &[APP, A, LOCK]);
    assert_eq!(locked.iter().map(|it| it.split(' ').next().unwrap()).collect::<Vec<_>>(), expected);
}

#[test]
fn go_sum_is_read_where_go_mod_is_an_old_one() {
    let sums = ("/go.sum", "example.com/b v1.0.0 h1:x=\n");
    let old = ("/go.mod", "go 1.16\nrequire example.com/a v1.0.0\n");
    let new = ("/go.mod", "go 1.17\nrequire example.com/a v1.0.0\n");
    let (a, b) =
        ("pkg:golang/example.com/a@v1.0.0 /go.mod", "pkg:golang/example.com/b@v1.0.0 /go.sum");
    assert_eq!(lines(Origin::Context, &[sums, old]), [a, b]);
    assert_eq!(lines(Origin::Context, &[sums, new]), [a]);
    assert_eq!(lines(Origin::Context, &[sums]), [b]);
}

#[test]
fn what_cannot_be_read_is_named_with_its_reason() {
    let (packages, problems) = read(
        Origin::Image,
        &[
            ("/app/node_modules/a/package.json", "{"),
            ("/app/package-lock.json", "[1,"),
            ("/b/bun.lockb", "#!/usr/bin/env bun\nbun-lockfile-format-v0\n"),
            ("/site-packages/a.dist-info/METADATA", "\n"),
        ],
    );
    assert_eq!(packages, []);
    let problems: Vec<_> = problems.iter().map(|it| format!("{} {}", it.path, it.why)).collect();
    let expected = [
        "/app/node_modules/a/package.json is not the JSON that was expected: line 1: ",
        "/site-packages/a.dist-info/METADATA has no `Name`",
        "/app/package-lock.json is not the JSON that was expected: line 1: ",
        "/b/bun.lockb is Bun's binary lock file",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn packages_beyond_the_limit_are_left_out_and_that_is_said() {
    let mut lock = String::new();
    for number in 0..PACKAGES_MAX + 10 {
        lock.push_str(&format!("a{number}@1:\n  version \"1\"\n"));
    }
    let (packages, problems) = read(Origin::Context, &[("/yarn.lock", &lock)]);
    assert_eq!(packages.len(), PACKAGES_MAX);
    assert_eq!(problems.len(), 1);
}

#[test]
fn purls_follow_the_rules_of_their_types() {
    for (kind, name, version, expected) in [
        (Kind::Npm, "@babel/core", "7.0.0", "pkg:npm/%40babel/core@7.0.0"),
        (Kind::Pypi, "Foo.Bar", "1.0+cpu", "pkg:pypi/foo-bar@1.0%2Bcpu"),
        (Kind::Golang, "github.com/x/y", "v1.0.0", "pkg:golang/github.com/x/y@v1.0.0"),
        (Kind::Maven, "org.slf4j:slf4j-api", "2.0", "pkg:maven/org.slf4j/slf4j-api@2.0"),
        (Kind::Composer, "Vendor/Name", "v1", "pkg:composer/vendor/name@v1"),
        (Kind::Nuget, "Newtonsoft.Json", "13.0.3", "pkg:nuget/Newtonsoft.Json@13.0.3"),
        (Kind::Cargo, "serde", "", "pkg:cargo/serde"),
    ] {
        assert_eq!(purl::of(kind, name, version), expected);
    }
}

#[test]
fn what_is_of_interest_is_known_by_its_path() {
    // Path, whether it is of interest in an image, and in a context.
    let samples = [
        ("/app/package.json", true, false),
        ("/package.json", true, false),
        ("/app/node_modules/a/package.json", true, false),
        ("/app/node_modules/@x/a/package.json", true, false),
        ("/app/node_modules/.pnpm/a@1/node_modules/a/package.json", true, false),
        ("/app/node_modules/a/dist/compiled/@x/b/package.json", true, false),
        ("/app/node_modules/@x/a/vendor/b/package.json", true, false),
        ("/app/node_modules/.package-lock.json", true, false),
        ("/app/node_modules/.pnpm/lock.yaml", true, false),
        ("/app/package-lock.json", true, true),
        ("/app/npm-shrinkwrap.json", true, true),
        ("/yarn.lock", true, true),
        ("/app/pnpm-lock.yaml", true, true),
        ("/app/bun.lock", true, true),
        ("/app/bun.lockb", true, true),
        ("/usr/lib/python3/dist-packages/a-1.0.egg-info", true, false),
        ("/usr/lib/python3/dist-packages/a-1.0.egg-info/PKG-INFO", true, false),
        ("/usr/lib/python3/site-packages/a-1.0.dist-info/METADATA", true, false),
        ("/app/poetry.lock", true, true),
        ("/app/uv.lock", true, true),
        ("/app/pdm.lock", true, true),
        ("/app/pylock.toml", true, true),
        ("/app/Pipfile.lock", true, true),
        ("/app/requirements.txt", false, true),
        ("/app/requirements-dev.txt", false, true),
        ("/app/requirements/base.txt", false, true),
        ("/app/Cargo.lock", true, true),
        ("/go.mod", false, true),
        ("/app/go.sum", false, true),
        ("/usr/lib/ruby/gems/3.2.0/specifications/a-1.gemspec", true, false),
        ("/usr/lib/ruby/gems/3.2.0/specifications/default/a-1.gemspec", true, false),
        ("/app/Gemfile.lock", true, true),
        ("/app/gems.locked", true, true),
        ("/app/vendor/composer/installed.json", true, false),
        ("/app/composer.lock", true, true),
        ("/app/App.deps.json", true, false),
        ("/app/packages.lock.json", true, true),
        ("/app/mix.lock", true, true),
        ("/app/gradle.lockfile", false, true),
        ("/app/pom.xml", false, true),
        ("/etc/passwd", false, false),
        ("/app/my-package.json", false, false),
        ("/app/xCargo.lock", false, false),
        ("/app/a.gemspec", false, false),
        ("/usr/lib/python3/site-packages/a-1.0.dist-info/RECORD", false, false),
        ("/usr/lib/python3/site-packages/METADATA", false, false),
        ("/app/notes.txt", false, false),
        ("/app/installed.json", false, false),
    ];
    for (path, in_image, in_context) in samples {
        assert_eq!(interest(path) != Interest::None, in_image, "{path} in an image");
        assert_eq!(context_interest(path) != Interest::None, in_context, "{path} in a context");
    }
}

#[test]
fn what_lies_inside_of_a_package_is_not_of_interest() {
    for path in [
        "/app/node_modules/a/esm/package.json",
        "/app/node_modules/@x/package.json",
        "/app/node_modules/@x/vendor/dist/package.json",
        "/app/node_modules/vendor/dist/package.json",
        "/app/node_modules/a/yarn.lock",
        "/usr/local/bundle/gems/a-1.0/Gemfile.lock",
        "/usr/local/cargo/registry/src/index/a-1.0/Cargo.lock",
        "/usr/lib/python3/dist-packages/a-1.0.egg-info/SOURCES.txt",
    ] {
        assert_eq!(interest(path), Interest::None, "{path}");
    }
    assert_eq!(context_interest("/vendor/example.com/a/go.mod"), Interest::None);
}

#[test]
fn mutations_of_a_whole_image_are_read() {
    let seed = [APP.1, A.1, LOCK.1].join("\u{1}");
    mutate(seed.as_bytes(), b"{}\":,/@\x01", 2_000, |bytes| {
        let mut texts = bytes.split(|byte| *byte == 1);
        let mut files = Files::default();
        for path in [APP.0, A.0, LOCK.0] {
            files.texts.insert(path.to_owned(), texts.next().unwrap_or_default().to_vec());
        }
        let (mut packages, mut problems) = (Vec::new(), Vec::new());
        catalogue(&files, &BTreeMap::new(), Origin::Image, &mut packages, &mut problems);
        assert!(packages.len() <= 4, "{packages:?}");
    });
}
