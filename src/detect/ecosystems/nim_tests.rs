//! Nim: a `.nimble` file.

use crate::detect::prelude::*;

static NIM: Language = Language {
    id: "nim",
    tool: "nimble",
    default: "2.2.4",
    version_files: &[".nim-version"],
    version_tools: &["nim"],
    sources: &["nim"],
    listens: &["Port("],
    reads: &["public", "templates"],
    images: Images { official: NIMLANG, wolfi: NIMLANG, debian: NIMLANG },
    ..NOTHING
};

const NIMLANG: Pair =
    Pair::of(stage("nimlang/nim:{v}", &[]), stage(DEBIAN, &["ca-certificates", "libssl3"]))
        .user(NOBODY);

static FRAMEWORKS: &[Framework] =
    &[framework("jester", &["jester"], 5000), framework("prologue", &["prologue"], 8080)];

/// All services in Nim.
pub(super) fn find(project: &Project<'_>) -> Vec<Facts> {
    let packages = project.tree.dirs().filter_map(|(dir, entries)| {
        Some((Folder::new(project, dir), entries.ending(".nimble").next()?))
    });
    packages.filter_map(|(at, manifest)| service(at, manifest)).collect()
}

fn service(at: Folder<'_>, manifest: &str) -> Option<Facts> {
    let text = at.read(manifest)?;
    let here = |line| at.place(manifest, line);
    let rule = Rule::Named(manifest.to_owned());
    let mut facts = Facts::new(&NIM, at.dir).known_by(rule, here(None));
    let parse = |text: &str| Some(Version::parse(text)?.to_string());
    facts.version(pins::choose(at.pins(&NIM), parse, NIM.default));
    let fetch = Step::new(Kind::Install, at.dir, "nimble install --depsOnly --accept");
    facts.install(at.those(&[manifest, "nimble.lock"]), [fetch]);
    let program = manifest.trim_end_matches(".nimble");
    facts.build(at.dir, format!("nim compile -d:release --out:{OUT}/{program} src/{program}"));
    facts.name = program.to_owned();
    if text.line_of("bin ").is_none() {
        return Some(facts.nothing(Fixed::NoProgram, [here(None)]));
    }
    let command = facts.program(program);
    facts.start([command], Fixed::BuiltProgram, [here(text.line_of("bin "))]);
    facts.weight = Weight::Starts;
    let known = framework::find(FRAMEWORKS, |name| Some(here(Some(text.line_of(name)?))));
    facts.of_framework(known.as_ref(), Fixed::ADependency);
    let default = known.map(|known| (known.framework.port, Fixed::FrameworkDefault.into()));
    let sources = at.sources(NIM.sources, &|_| false);
    facts.take_read(at.project, |name| Some(vec![source::names_path(&sources, name)?]));
    facts.port(source::port(&sources, NIM.listens, default));
    Some(facts)
}

// The example of CONTRIBUTING.md ends here.

#[test]
fn the_worked_example_detects_a_program_of_nim() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("shop.nimble", "version = \"1.0\"\nbin = @[\"shop\"]\nrequires \"jester >= 0.6\"\n"),
        ("src/shop.nim", "settings: port = Port(5050)\nconst pages = \"./templates/x\"\n"),
        ("templates/x", "x"),
        (".tool-versions", "nim 2.0.8\n"),
    ];
    for (path, text) in files {
        std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(path), text).unwrap();
    }
    let tree = crate::detect::Tree::walk(dir.path(), &[]).unwrap();
    let settings = crate::detect::settings::Settings::default();
    let project = Project { tree: &tree, bases: Family::Official, settings: &settings };
    let found = crate::detect::assemble::assemble(Family::Official, find(&project).remove(0));
    let spec = &found.spec;
    assert_eq!(spec.runtime.command, ["/app/shop"]);
    assert_eq!((spec.runtime.ports.as_slice(), &*found.dir), (&[5050][..], "."));
    assert_eq!(spec.metadata.framework.as_deref(), Some("jester"));
    let to: Vec<&str> = spec.runtime.copy.iter().map(|copy| copy.to.as_str()).collect();
    assert_eq!(to, ["/app/shop", "/app/templates"]);
    let crate::spec::Base::Image(base) = &spec.build.base else { panic!("{:?}", spec.build.base) };
    assert_eq!(base, "docker.io/nimlang/nim:2.0.8");
}

#[test]
fn contributing_shows_this_very_code() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let own = include_str!("nim_tests.rs");
    let (example, _) = own.split_once("\n// The example of CONTRIBUTING.md ends here.").unwrap();
    assert!(
        page.contains(&format!("```rust\n{example}```")),
        "copy the example to CONTRIBUTING.md"
    );
    let rows = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let crystal = include_str!("crystal.rs");
    for row in rows.lines().filter(|line| !line.starts_with("//")) {
        assert!(crystal.contains(row.trim()), "`{row}` stands no longer in crystal.rs");
    }
}
