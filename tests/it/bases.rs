//! Bases: from a layout on disk, with packages, with a user of their own.

use std::{fs, os::unix::fs::MetadataExt as _};

use serde_json::{Value, json};

use crate::support::{
    buildctl, daemon,
    image::{Image, unpack},
    private::Private,
    workdir::{DEBIAN, Workdir, debian},
};

const FILE: [&str; 2] = ["--output", "type=oci,dest=app.tar"];

/// Writes an OCI layout of Debian below the context, with buildctl.
fn write_layout(work: &Workdir) {
    let dockerfile = work.path("dockerfile");
    fs::create_dir(&dockerfile).unwrap();
    fs::write(dockerfile.join("Dockerfile"), format!("FROM {DEBIAN}\nENV FROM_LAYOUT=yes\n"))
        .unwrap();
    buildctl::dockerfile(
        work,
        "dockerfile",
        "dockerfile",
        "type=oci,tar=false,name=base:v1,dest=context/base",
    );
}

/// On the layout both in the build and in the image.
fn on_layout(reference: &str) -> Value {
    json!({
        "version": "1.0",
        "metadata": { "project_name": "layout" },
        "build": { "base": reference, "commands": ["echo $FROM_LAYOUT >answer"] },
        "runtime": {
            "base": reference,
            "copy": [{ "from": "answer", "to": "/srv/" }],
            "command": ["cat", "/srv/answer"]
        }
    })
}

fn check_layout(address: &str) {
    let work = Workdir::with_spec(&on_layout("oci-layout://base")).on(address);
    // Nothing of the layout is part of the context.
    work.write(".dockerignore", "base\n");
    write_layout(&work);
    drop(work.build().args(FILE).run().ok());
    let image = Image::read(&work.path("app.tar"));
    image.check();
    let env = image.config()["config"]["Env"].clone();
    assert!(env.as_array().unwrap().contains(&json!("FROM_LAYOUT=yes")), "{env}");
    let root = unpack(&work.path("app.tar"));
    assert_eq!(fs::read_to_string(root.join("srv/answer")).unwrap(), "yes\n");
    assert!(root.join("etc/debian_version").is_file(), "the base is below");
    let again = work.build().args(FILE).args(["--progress", "rawjson"]).run().ok().steps();
    assert_eq!(again.worked(), Vec::<&str>::new());
}

#[test]
fn a_layout_on_disk_is_a_base_without_any_registry() {
    check_layout(&daemon::newest());
}

#[test]
fn a_layout_on_disk_is_a_base_for_the_oldest_supported_daemon() {
    check_layout(&daemon::oldest());
}

#[test]
fn a_layout_is_found_by_tag_and_digest_or_refused_with_what_it_holds() {
    let work = Workdir::with_spec(&on_layout("oci-layout://base:v1"));
    write_layout(&work);
    work.write(".dockerignore", "base\n");
    drop(work.build().args(FILE).run().ok());
    let digest = fs::read(work.context().join("base/index.json")).unwrap();
    let digest: Value = serde_json::from_slice(&digest).unwrap();
    let digest = digest["manifests"][0]["digest"].as_str().unwrap().to_owned();
    work.set_spec(&on_layout(&format!("oci-layout://base@{digest}")));
    drop(work.build().args(FILE).run().ok());

    let refused = |reference: &str, expected: &[&str]| {
        work.set_spec(&on_layout(reference));
        let run = work.build().args(FILE).run().ended(2);
        drop(run.says(&[&format!("cannot use `{reference}`"), "build.base"]).says(expected));
    };
    refused("oci-layout://base:v2", &["v1"]);
    refused("oci-layout://none", &["none"]);
    fs::write(work.context().join("base/index.json"), "{").unwrap();
    refused("oci-layout://base", &["index.json"]);
}

#[test]
fn a_damaged_layer_of_a_layout_is_refused() {
    let work = Workdir::with_spec(&on_layout("oci-layout://base"));
    write_layout(&work);
    work.write(".dockerignore", "base\n");
    // A content no daemon knows yet, so that it must be fetched.
    let blobs = work.context().join("base/blobs/sha256");
    let largest = fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap())
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap();
    let mut layer = fs::read(largest.path()).unwrap();
    fs::write(largest.path(), "no layer").unwrap();
    let refused = ["cannot use `oci-layout://base` (build.base, runtime.base)", "is damaged"];
    drop(work.build().args(FILE).run().ended(2).says(&refused));
    // Of the right size, so that only who reads it can tell.
    let middle = layer.len() / 2;
    layer[middle] ^= 1;
    fs::write(largest.path(), layer).unwrap();
    let private = Private::start();
    let work = work.on(private.address());
    let run = work.build().args(FILE).run().ended(1);
    drop(run.says(&["unexpected commit digest sha256:", &file_name(&largest)]));
    assert!(!work.path("app.tar").exists());
}

fn file_name(entry: &fs::DirEntry) -> String {
    entry.file_name().into_string().unwrap()
}

#[test]
fn packages_are_installed_in_the_build_and_in_the_image() {
    let mut spec = debian("packages", &["jq --version >version && mkdir /out && cp version /out"]);
    spec["build"]["packages"] = json!(["jq"]);
    spec["runtime"]["base"] = json!(DEBIAN);
    spec["runtime"]["packages"] = json!(["file"]);
    let work = Workdir::with_spec(&spec);
    drop(work.build().args(FILE).run().ok());
    let root = unpack(&work.path("app.tar"));
    let version = fs::read_to_string(root.join("version")).unwrap();
    assert!(version.starts_with("jq-1."), "{version}");
    assert!(root.join("usr/bin/file").exists(), "a package of the image");
    assert!(!root.join("usr/bin/jq").exists(), "a package of the build alone");
    let lists: Vec<_> = fs::read_dir(root.join("var/lib/apt/lists"))
        .map_or(Vec::new(), |dir| dir.map(|entry| entry.unwrap().file_name()).collect());
    assert!(
        lists.iter().all(|name| name == "lock" || name == "partial" || name == "auxfiles"),
        "{lists:?}"
    );
    let again = work.build().args(FILE).args(["--progress", "rawjson"]).run().ok().steps();
    // One file, whose key is enough: it is not written again, and BuildKit does not say `cached` of such a step.
    assert_eq!(again.worked(), ["[packages] keep downloaded packages"]);
}

#[test]
fn a_package_that_does_not_exist_fails_the_build_with_the_words_of_the_package_manager() {
    let mut spec = debian("no-package", &["true"]);
    spec["build"]["packages"] = json!(["no-such-package-at-all"]);
    let run = Workdir::with_spec(&spec).build().args(["--output", "type=none"]).run().ended(1);
    drop(run.says(&["Unable to locate package no-such-package-at-all"]));
}

#[test]
fn packages_on_a_base_that_has_no_os_release_are_refused_with_advice() {
    let work = Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": "bare" },
        "build": { "base": "scratch" },
        "runtime": {
            "base": "oci-layout://bare",
            "packages": ["curl"],
            "copy": [{ "from": "file", "to": "/" }]
        }
    }));
    work.write("file", "x");
    work.write("dockerfile/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    buildctl::dockerfile(
        &work,
        "context/dockerfile",
        "context/dockerfile",
        "type=oci,tar=false,name=bare:v1,dest=context/bare",
    );
    let run = work.build().args(FILE).run().ended(2);
    drop(run.says(&["`runtime.packages`", "`/etc/os-release`", "hint: use a base with apk"]));
}

#[test]
fn the_user_of_a_base_runs_the_commands_and_owns_what_they_make() {
    let work = Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": "user" },
        "build": {
            "base": "oci-layout://base",
            "commands": ["id -un >who", "touch source-dir/mine", "mkdir \"$HOME/x\""],
            "cache": ["/home/worker/.cache"]
        },
        "runtime": {
            "base": "oci-layout://base",
            "copy": [{ "from": "who", "to": "/srv/" }],
            "command": ["cat", "/srv/who"]
        }
    }));
    work.write("source-dir/file", "x");
    work.write(
        "Dockerfile",
        format!(
            "FROM {DEBIAN}\nRUN useradd --create-home worker\nUSER worker\nENV HOME=/home/worker\n"
        ),
    );
    work.write(".dockerignore", "base\n");
    buildctl::dockerfile(
        &work,
        "context",
        "context",
        "type=oci,tar=false,name=base:v1,dest=context/base",
    );
    drop(work.build().args(FILE).run().ok());
    let root = unpack(&work.path("app.tar"));
    assert_eq!(fs::read_to_string(root.join("srv/who")).unwrap(), "worker\n");
    assert_eq!(Image::read(&work.path("app.tar")).config()["config"]["User"], "worker");
}

#[test]
fn the_working_directory_is_the_users_and_what_lies_in_it_is_not() {
    let mut spec = debian("workdir", &["mkdir dist && echo x >dist/file"]);
    spec["runtime"]["copy"] =
        json!([{ "from": ".", "to": "/app" }, { "from": "dist", "to": "/app/dist" }]);
    spec["runtime"]["user"] = json!("1000:1000");
    spec["runtime"]["workdir"] = json!("/app");
    let work = Workdir::with_spec(&spec);
    drop(work.build().args(FILE).run().ok());
    let root = unpack(&work.path("app.tar"));
    let owner = |path: &str| fs::metadata(root.join(path)).unwrap().uid();
    assert_eq!(["app", "app/dist", "app/dist/file"].map(owner), [1000, 0, 0]);
}
