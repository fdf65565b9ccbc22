//! `peelbox plan` tells what `peelbox build` does, and what it writes for other clients builds the same.

use std::fs;

use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{
    buildctl,
    image::Image,
    workdir::{Workdir, lister},
};

/// One field of an `--output` record, quoted as CSV.
fn quoted(key: &str, value: &str) -> String {
    format!("\"{key}={}\"", value.replace('"', "\"\""))
}

/// Builds with both and compares all that an image is.
fn check(work: &Workdir) {
    drop(work.build().args(["--output", "type=oci,dest=peelbox.tar"]).run().ok());
    let plan = work.plan().args(["--format", "json"]).run().ok();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let definition = work.plan().args(["--format", "llb"]).run().ok();
    fs::write(work.path("plan.llb"), &definition.stdout).unwrap();
    let config = quoted("containerimage.config", &plan["image_config"].to_string());
    let output = format!("type=oci,dest=buildctl.tar,{config}");
    buildctl::build(work, &work.path("plan.llb"), ["--output", &output]);

    let [ours, theirs] = ["peelbox.tar", "buildctl.tar"].map(|name| Image::read(&work.path(name)));
    ours.check();
    theirs.check();
    assert_eq!(ours.manifest()["layers"], theirs.manifest()["layers"]);
    assert_eq!(ours.config(), theirs.config());
    assert_eq!(ours.config()["rootfs"], theirs.config()["rootfs"], "diff ids");
}

/// Other tests build the examples at the same time: of two results for the same content a daemon may give either.
fn example_of_its_own(name: &str, file: &str, comment: &str) -> Workdir {
    let work = Workdir::example(name);
    let source = fs::read_to_string(work.context().join(file)).unwrap();
    work.write(file, format!("{source}{comment} {}\n", work.root().display()));
    work
}

#[test]
fn buildctl_builds_the_same_node_image_from_the_plan() {
    check(&example_of_its_own("node-express", "server.js", "//"));
}

#[test]
fn buildctl_builds_the_same_python_image_from_the_plan() {
    check(&example_of_its_own("python-flask", "app.py", "#"));
}

#[test]
fn buildctl_builds_the_same_go_image_from_the_plan() {
    check(&example_of_its_own("go-http", "main.go", "//"));
}

#[test]
fn a_plan_is_the_same_bytes_every_time_and_no_session_is_in_it() {
    let work = Workdir::example("node-express");
    for format in ["text", "json", "llb"] {
        let [one, two] = [(); 2].map(|()| work.plan().args(["--format", format]).run().ok());
        assert_eq!(one.stdout, two.stdout, "{format}");
        assert_eq!(one.stderr, "", "{format}");
    }
    let llb = work.plan().args(["--format", "llb"]).run().ok();
    let definition = peelbox::pb::llb::Definition::decode(&*llb.stdout).unwrap();
    assert!(definition.def.len() > 5 && definition.metadata.len() == definition.def.len());
    for op in &definition.def {
        assert!(!String::from_utf8_lossy(op).contains("sessionid"), "{op:?}");
    }
}

#[test]
fn a_plan_names_the_steps_of_the_build_and_builds_nothing() {
    let work = Workdir::with_spec(&lister("planned"));
    // Would stop a build, if there were one.
    let plan = work.plan().run().ok();
    let text = plan.stdout_text();
    for line in [
        "planned (linux/",
        "  build    docker.io/library/python:3.11-slim-bookworm@sha256:",
        "  runtime  scratch",
        "[planned build] FROM docker.io/library/python:3.11-slim-bookworm",
        "[planned] load context",
        "[planned] copy context  ← ",
        "[planned] mkdir /out …  ← ",
        "[planned] copy /out → /  ← ",
        "  entrypoint  [\"/none\"]",
    ] {
        assert!(text.contains(line), "expected `{line}` in:\n{text}");
    }
    work.write("unique", work.root().as_os_str().as_encoded_bytes());
    let built = work.build().args(["--output", "type=none", "--progress", "rawjson"]).run().ok();
    let plan = work.plan().args(["--format", "json"]).run().ok();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let names = plan["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap());
    // A base has the name that the first of the builds at that moment gave it.
    let names: Vec<&str> = names.filter(|name| !name.contains("FROM")).collect();
    assert!(names.len() > 3, "{names:?}");
    for name in names {
        assert!(built.steps().step(name).is_completed, "{name}");
    }
}

#[test]
fn flags_of_the_build_count_in_the_plan() {
    let work = Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": "nothing" },
        "build": { "base": "scratch" },
        "runtime": { "base": "scratch", "copy": [{ "from": ".", "to": "/" }] }
    }));
    let plan = work
        .plan()
        .args([
            "--format", "json", "--platform", "linux/arm64", "--entrypoint", "[\"/x\", \"y z\"]",
        ])
        .run()
        .ok();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["platform"], "linux/arm64");
    assert_eq!(plan["image_config"]["architecture"], "arm64");
    assert_eq!(plan["image_config"]["config"]["Entrypoint"], json!(["/x", "y z"]));
}
