//! `--secret`: there while a step runs, and nowhere else.

use std::{fs, path::Path};

use serde_json::json;

use crate::support::{
    attested::one_in_tar,
    buildctl, daemon,
    docker::Engine,
    image::unpack,
    peelbox::{Peelbox, Run},
    workdir::{DEBIAN, Workdir, debian},
};

const VALUE: &str = "hunter-not-to-be-seen";
/// The same with each letter turned into the next, as a step may say it.
const TURNED: &str = "ivoufs-opu-up-cf-tffo";

/// Its steps fail unless they see the value in a file and in a variable.
fn work(name: &str) -> Workdir {
    let is_it = |value: &str| format!("[ \"$(printf %s {value} | tr a-y b-z)\" = {TURNED} ]");
    let steps = [is_it("\"$(cat /run/secrets/token)\""), is_it("\"$TOKEN\"")];
    let mut spec = debian(name, &[&steps[0], &steps[1], "mkdir /out && date >/out/now"]);
    spec["build"]["secrets"] = json!([{ "id": "token" }, { "id": "token", "env": "TOKEN" }]);
    let work = Workdir::with_spec(&spec);
    fs::write(work.path("token.txt"), VALUE).unwrap();
    work
}

fn build(work: &Workdir, args: &[&str]) -> Peelbox {
    work.build().args(["--progress", "plain"]).args(args)
}

const OCI: [&str; 2] = ["--output", "type=oci,dest=app.tar"];
const FROM_FILE: [&str; 2] = ["--secret", "id=token,src=token.txt"];

/// No file below holds the value.
fn check_files(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            check_files(&entry.path());
        } else if entry.file_type().unwrap().is_file() {
            check_bytes(&fs::read(entry.path()).unwrap());
        }
    }
}

fn check_bytes(data: &[u8]) {
    let holds = data.windows(VALUE.len()).any(|bytes| bytes == VALUE.as_bytes());
    assert!(!holds, "{}", String::from_utf8_lossy(data));
}

fn check_nowhere(work: &Workdir, run: &Run) {
    check_bytes(run.stderr.as_bytes());
    let files = unpack(&work.path("app.tar"));
    check_files(&files);
    fs::remove_dir_all(files).unwrap();
    let statements = one_in_tar(&work.path("app.tar")).statements;
    let said = serde_json::to_string(&statements).unwrap();
    assert!(said.contains("\"token\""), "the provenance names the secret: {said}");
    check_bytes(said.as_bytes());
}

#[test]
fn steps_see_a_secret_in_a_file_and_a_variable_and_the_image_does_not() {
    for (at, daemon) in [daemon::newest(), daemon::oldest()].into_iter().enumerate() {
        let work = work(&format!("secret-{at}")).on(&daemon);
        let run = build(&work, &[OCI, FROM_FILE].concat()).run().ok();
        check_nowhere(&work, &run);
        // The variable that the steps see is taken from the environment.
        let args = [&OCI[..], &["--no-cache"]].concat();
        check_nowhere(&work, &build(&work, &args).env("TOKEN", VALUE).run().ok());
        // From a variable, which need not be named when it has the secret's name.
        for flag in ["id=token,env=CI_TOKEN", "id=CI_TOKEN"] {
            let args = ["--no-cache", "--secret", flag];
            let run = build(&work, &[&OCI[..], &args].concat()).env("CI_TOKEN", VALUE).run();
            if flag == "id=CI_TOKEN" {
                drop(run.ended(2).says(&["the build needs the secret `token`"]));
            } else {
                check_nowhere(&work, &run.ok());
            }
        }
    }
}

#[test]
fn steps_see_a_secret_in_docker() {
    for engine in [Engine::containerd("secret"), Engine::classic("secret")] {
        let work = work("secret-docker");
        let spec = work.spec().to_str().unwrap();
        let args = ["build", "--spec", spec, "--context", "context", "--output", "type=none"];
        let build = work.peelbox().args(args).args(FROM_FILE).arg("--no-cache");
        drop(build.env("DOCKER_HOST", engine.host()).run().ok());
    }
}

#[test]
fn a_secret_is_no_part_of_the_cache_key() {
    let work = work("secret-key");
    drop(build(&work, &[OCI, FROM_FILE].concat()).run().ok());
    fs::write(work.path("token.txt"), "another").unwrap();
    let run = build(&work, &[OCI, FROM_FILE].concat()).run().ok();
    drop(run.says(&[", all cached"]));
}

#[test]
fn a_secret_that_is_needed_is_asked_for_before_the_build() {
    let work = work("secret-needed");
    fs::write(work.path("long"), vec![b'x'; 600 << 10]).unwrap();
    let refused = |args: &[&str], says: &[&str]| {
        let run = build(&work, &[&OCI, args].concat()).run().ended(2).says(says);
        assert!(!run.stderr.contains("#1 "), "nothing of the build: {}", run.stderr);
    };
    let hint = "\nhint: hand it over with `--secret id=token,src=FILE`";
    refused(&[], &["error: the build needs the secret `token`", hint]);
    refused(&["--secret", "id=other,src=token.txt"], &["needs the secret `token`"]);
    refused(&["--secret", "token"], &["cannot understand `--secret token`", "\nhint: "]);
    let absent = "cannot read the secret `token` from `absent`";
    refused(&["--secret", "id=token,src=absent"], &[absent]);
    refused(&["--secret", "id=token,src=long"], &["from `long`", "more than 512000 bytes"]);
    let unset = "the variable `NOT_SET` for the secret `token` is not set";
    refused(&["--secret", "id=token,env=NOT_SET"], &[unset]);
    let twice = [FROM_FILE, FROM_FILE].concat();
    refused(&twice, &["the secret `token` is given twice"]);
    assert!(!work.path("app.tar").exists());
}

#[test]
fn steps_that_can_do_without_a_secret_run_without() {
    let mut spec = debian("secret-optional", &["[ ! -e /run/secrets/a ] && mkdir /out"]);
    spec["build"]["secrets"] =
        json!([{ "id": "a", "required": false }, { "id": "b", "env": "B", "required": false }]);
    drop(build(&Workdir::with_spec(&spec), &OCI).run().ok());
}

#[test]
fn commands_that_are_not_root_can_read_a_secret() {
    let work = work("secret-user");
    let mut spec =
        debian("secret-user", &["id -un; cat /run/secrets/token >/dev/null", "mkdir out"]);
    spec["build"]["base"] = json!("oci-layout://base");
    spec["build"]["secrets"] = json!([{ "id": "token" }]);
    spec["runtime"]["copy"] = json!([{ "from": "out", "to": "/" }]);
    work.set_spec(&spec);
    work.write("Dockerfile", format!("FROM {DEBIAN}\nRUN useradd worker\nUSER worker\n"));
    work.write(".dockerignore", "base\n");
    let output = "type=oci,tar=false,name=base:v1,dest=context/base";
    buildctl::dockerfile(&work, "context", "context", output);
    let run = build(&work, &[OCI, FROM_FILE].concat()).arg("--no-cache").run().ok();
    assert!(run.stderr.contains(" worker\n"), "{}", run.stderr);
}
