//! Ignore files leave out what BuildKit's own reading of them leaves out.

use std::fs;

use serde_json::json;

use crate::support::{
    buildctl, listing,
    workdir::{PYTHON, Workdir, lister},
};

/// Patterns with every corner that the format has.
const DOCKERIGNORE: &str = "\u{feff}# a byte order mark before a comment\r
.dockerignore
*.log
!keep.log\r

  #not-a-comment
**/node_modules
!**/node_modules/keep/**
/rooted
sub/*.tmp
!sub/important.tmp
**/*.o
docs/**
!docs/README.md
!docs/deep/**/readme.md
a?c
[x-z]file
[^m-z]range
\\!bang
trailing-slash/
./dotted/../cleaned
   spaced name\t
secret*/**/key
**/middle/**/end
x.y
b.c/
!back/in
back
!back/again
.*
!.visible
nothing/like/this
**/last?
";

/// Files, each with its own name in it; folders come along.
const FILES: &[&str] = &[
    "app.log",
    "keep.log",
    "sub/app.log",
    "sub/keep.log",
    "#not-a-comment",
    "#comment",
    "node_modules/a/index.js",
    "node_modules/keep/b/index.js",
    "pkg/node_modules/a.js",
    "pkg/node_modules/keep/a.js",
    "pkg/node_modules/keep/deep/er/a.js",
    "not_node_modules/a.js",
    "rooted/a",
    "sub/rooted/a",
    "rootedly",
    "sub/a.tmp",
    "sub/important.tmp",
    "sub/sub/a.tmp",
    "a.tmp",
    "main.o",
    "deep/er/still/main.o",
    "main.ol",
    "docs/README.md",
    "docs/other.md",
    "docs/deep/readme.md",
    "docs/deep/er/readme.md",
    "docs/deep/er/other.md",
    "abc",
    "a/c",
    "ac",
    "abbc",
    "sub/abc",
    "xfile",
    "yfile",
    "wfile",
    "arange",
    "nrange",
    "!bang",
    "bang",
    "trailing-slash/in",
    "sub/trailing-slash/in",
    "cleaned/in",
    "dotted/in",
    "spaced name/in",
    "spaced",
    "secret/key",
    "secrets/a/key",
    "secrets/a/b/key",
    "secrets/a/keys",
    "secrets/lock",
    "middle/end",
    "a1/middle/b/end",
    "a1/middle/b/c/end/in",
    "middle/ending",
    "x.y",
    "xzy",
    "sub/x.y",
    "b.c/in",
    "b0c/in",
    "back/in/a",
    "back/again/a",
    "back/b",
    ".hidden",
    ".visible",
    ".config/in",
    "sub/.hidden",
    "last1",
    "p/q/last2",
    "last",
    "unicode-größe",
    "with\nnewline.log",
    "with\nnewline",
];

fn fill(work: &Workdir) {
    for file in FILES {
        work.write(file, file);
    }
    fs::create_dir_all(work.context().join("empty/node_modules/keep")).unwrap();
    fs::create_dir_all(work.context().join("back/empty")).unwrap();
}

/// Paths, kinds and digests: a copy by a Dockerfile gives folders other times.
fn without_times(lines: &[String]) -> Vec<String> {
    let words = |line: &String| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.remove(4);
        words.join(" ")
    };
    lines.iter().map(words).collect()
}

/// What the Dockerfile frontend takes of the same context: it reads `.dockerignore` itself.
fn seen_by_dockerfile(work: &Workdir) -> Vec<String> {
    let folder = work.path("dockerfile");
    fs::create_dir(&folder).unwrap();
    let dockerfile = format!(
        "FROM {PYTHON} AS list\nCOPY . /build\nWORKDIR /build\nRUN python3 - >/listing <<'EOF'{}EOF\n\
         FROM scratch\nCOPY --from=list /listing /\n",
        listing::SCRIPT
    );
    fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    buildctl::dockerfile(work, "context", "dockerfile", "type=local,dest=by-dockerfile");
    without_times(&listing::read(&work.path("by-dockerfile/listing")))
}

#[test]
fn a_dockerignore_leaves_out_what_a_dockerfile_build_leaves_out() {
    let work = Workdir::with_spec(&lister("dockerignore"));
    fill(&work);
    work.write(".dockerignore", DOCKERIGNORE);
    let expected = seen_by_dockerfile(&work);
    let here = listing::expected(&work.context());
    // Neither all nor nothing.
    assert!((30..here.len() - 30).contains(&expected.len()), "{expected:#?}");
    listing::assert_same("with .dockerignore", &expected, &without_times(&listing::seen(&work)));
}

#[test]
fn exclude_of_the_spec_adds_to_the_ignore_file() {
    let (first, second) = DOCKERIGNORE.split_once("docs/**").unwrap();
    let exclude: Vec<&str> = std::iter::once("docs/**")
        .chain(second.lines().map(str::trim).filter(|line| !line.is_empty()))
        .collect();
    let mut spec = lister("exclude");
    spec["build"]["exclude"] = json!(exclude);
    let work = Workdir::with_spec(&spec);
    fill(&work);
    work.write(".dockerignore", DOCKERIGNORE);
    let expected = seen_by_dockerfile(&work);
    work.write(".dockerignore", first);
    listing::assert_same("with exclude", &expected, &without_times(&listing::seen(&work)));
}

#[test]
fn without_a_dockerignore_git_and_what_its_ignore_file_says_stay_out() {
    let work = Workdir::with_spec(&lister("gitignore"));
    let names = |work: &Workdir| -> Vec<String> {
        let lines = listing::seen(work);
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    for file in [".git/HEAD", "sub/.git/HEAD", "target/debug/app", "src/target", "src/main.rs"] {
        work.write(file, file);
    }
    assert_eq!(
        names(&work),
        ["src", "src/main.rs", "src/target", "sub", "target", "target/debug", "target/debug/app"]
    );
    work.write(".gitignore", "/target\n*.log\n!keep.log\n");
    work.write("src/app.log", "");
    work.write("src/keep.log", "");
    assert_eq!(
        names(&work),
        [".gitignore", "src", "src/keep.log", "src/main.rs", "src/target", "sub"]
    );
    // With a `.dockerignore` it alone counts, as in docker.
    work.write(".dockerignore", "src\n.dockerignore\n");
    assert_eq!(
        names(&work),
        [
            ".git", ".git/HEAD", ".gitignore", "sub", "sub/.git", "sub/.git/HEAD", "target",
            "target/debug", "target/debug/app"
        ]
    );
}
