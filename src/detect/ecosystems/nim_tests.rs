//! The worked example of CONTRIBUTING.md.

use crate::detect::prelude::*;

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
    let found =
        crate::detect::assemble::assemble(Family::Official, super::nim::find(&project).remove(0));
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
    let own = include_str!("nim.rs");
    assert!(page.contains(&format!("```rust\n{own}```")), "copy the example to CONTRIBUTING.md");
    let rows = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let crystal = include_str!("crystal.rs");
    for row in rows.lines().filter(|line| !line.starts_with("//")) {
        assert!(crystal.contains(row.trim()), "`{row}` stands no longer in crystal.rs");
    }
}
