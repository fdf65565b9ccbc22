//! `peelbox inspect` and `peelbox sbom` on images that were really built and saved.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    daemon,
    peelbox::Run,
    workdir::{DEBIAN, Workdir},
};

/// A small image with Debian's list of packages.
fn work(name: &str) -> Workdir {
    let commands = [
        "mkdir -p /out/var/lib/dpkg /out/etc",
        "cp /var/lib/dpkg/status /out/var/lib/dpkg/ && cp /etc/os-release /out/etc/",
    ];
    Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": { "base": DEBIAN, "commands": commands, "env": { "TEST": name } },
        "runtime": {
            "base": "scratch",
            "copy": [{ "from": "/out/var", "to": "/var" }, { "from": "/out/etc", "to": "/etc" }],
            "command": ["/none"],
            "env": { "SETTING": "value-that-is-not-shown" }
        }
    }))
}

/// The same database behind a link to its folder, a link to its file, and as a further name of another file.
fn linked(name: &str, link: &str) -> Workdir {
    let commands = [
        "mkdir -p /out/var/lib/dpkg /out/etc /out/var/data",
        "cp /var/lib/dpkg/status /out/var/data/status && cp /etc/os-release /out/etc/",
        link,
    ];
    Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": { "base": DEBIAN, "commands": commands },
        "runtime": {
            "base": "scratch",
            "copy": [{ "from": "/out/var", "to": "/var" }, { "from": "/out/etc", "to": "/etc" }],
            "command": ["/none"]
        }
    }))
}

#[test]
fn a_package_database_behind_links_is_listed_by_the_build_and_from_the_file() {
    for (at, link) in [
        "rmdir /out/var/lib/dpkg && ln -s ../data /out/var/lib/dpkg",
        "ln -s /var/data/status /out/var/lib/dpkg/status",
        "mv /out/var/data/status /out/var/data/any.file && ln /out/var/data/any.file /out/var/lib/dpkg/status",
    ]
    .iter()
    .enumerate()
    {
        let work = linked(&format!("sbom-linked-{at}"), link);
        drop(work.build().args(["--output", "type=oci,dest=app.tar"]).run().ok());
        let of_build = purls(&sbom(&work, &["app.tar"]));
        assert!(of_build.len() > 50, "{link}: {of_build:?}");
        assert_eq!(purls(&sbom(&work, &["app.tar", "--scan"])), of_build, "{link}");
    }
}

fn inspect(work: &Workdir, file: &str) -> Run {
    work.peelbox().args(["inspect", file, "--format", "json"]).run()
}

fn parsed(run: &Run) -> Value {
    serde_json::from_slice(&run.stdout).unwrap()
}

fn sbom(work: &Workdir, args: &[&str]) -> Value {
    parsed(&work.peelbox().arg("sbom").args(args).run().ok())
}

/// Purls of an SPDX document, without that of the image.
fn purls(document: &Value) -> BTreeSet<String> {
    let packages = document["packages"].as_array().unwrap().iter();
    packages
        .flat_map(|package| package["externalRefs"].as_array().into_iter().flatten())
        .map(|reference| reference["referenceLocator"].as_str().unwrap().to_owned())
        .filter(|purl| !purl.starts_with("pkg:oci/"))
        .collect()
}

/// The one platform of the one image.
fn manifest(report: &Value) -> &Value {
    assert_eq!(report["images"].as_array().unwrap().len(), 1, "{report:#}");
    let manifests = report["images"][0]["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 1, "{report:#}");
    &manifests[0]
}

#[test]
fn an_image_of_each_compression_is_what_it_says() {
    let work = work("compressed");
    let mut found = BTreeSet::new();
    for compression in ["gzip", "zstd", "estargz", "uncompressed"] {
        let output =
            format!("type=oci,dest=app.tar,compression={compression},force-compression=true");
        let metadata = ["--metadata-file", "meta.json"];
        drop(work.build().args(["--output", &output]).args(metadata).run().ok());
        let report = parsed(&inspect(&work, "app.tar").ok());
        assert_eq!(report["faults"], json!([]), "{compression}");
        let meta: Value =
            serde_json::from_slice(&fs::read(work.path("meta.json")).unwrap()).unwrap();
        assert_eq!(report["images"][0]["digest"], meta["containerimage.digest"]);
        assert_eq!(report["images"][0]["names"], json!(["docker.io/library/compressed:latest"]));
        let manifest = manifest(&report);
        assert_eq!(manifest["digest"], meta["peelbox.manifest"]);
        let kinds: BTreeSet<&str> = manifest["attestations"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|attestation| attestation["is_about_image"] == true)
            .map(|attestation| attestation["predicate"]["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, BTreeSet::from(["invocation", "provenance", "sbom"]));
        assert_eq!(manifest["config"]["env"], json!(["PATH", "SETTING"]));
        assert!(!report.to_string().contains("value-that-is-not-shown"));
        let layers = manifest["layers"].as_array().unwrap();
        assert!(layers[0]["created_by"].as_str().unwrap().contains("/var"), "{layers:?}");
        let inside = sbom(&work, &["app.tar"]);
        let scanned = sbom(&work, &["app.tar", "--scan"]);
        assert!(purls(&inside).iter().any(|purl| purl.starts_with("pkg:deb/debian/bash@")));
        assert_eq!(purls(&inside), purls(&scanned), "{compression}");
        found.insert(purls(&scanned));
    }
    assert_eq!(found.len(), 1, "compression changes nothing of the packages");
}

#[test]
fn a_build_that_makes_nothing_has_the_same_sbom() {
    let work = work("nothing");
    let spec = work.spec().to_str().unwrap();
    let builder = daemon::newest();
    let args = ["sbom", "--spec", spec, "--context", "context", "--buildkit", &builder];
    let run = work.peelbox().args(args).run().ok().says(&[" SBOM ", "packages"]);
    let built = parsed(&run);
    let output = ["--output", "type=oci,dest=app.tar"];
    drop(work.build().args(output).run().ok());
    let inside = sbom(&work, &["app.tar"]);
    assert_eq!(purls(&built), purls(&inside));
    assert_eq!(built["packages"][0]["versionInfo"], inside["packages"][0]["versionInfo"]);
    let to_file = ["--format", "cyclonedx", "--output", "a.cdx.json", "--progress", "quiet"];
    let run = work.peelbox().args(args).args(to_file).run().ok();
    assert_eq!((run.stdout_text(), &*run.stderr), ("", ""));
    let document: Value =
        serde_json::from_slice(&fs::read(work.path("a.cdx.json")).unwrap()).unwrap();
    assert_eq!(document["specVersion"], "1.6");
    let components = document["components"].as_array().unwrap().len();
    // The distribution is one of them.
    assert_eq!(components, purls(&built).len() + 1);
    let failing = Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": "failing" },
        "build": { "base": DEBIAN, "commands": ["echo no >&2; exit 7"] },
        "runtime": { "base": "scratch", "copy": [{ "from": "/x", "to": "/" }], "command": ["/x"] }
    }));
    let spec = failing.spec().to_str().unwrap();
    let args = ["sbom", "--spec", spec, "--context", "context", "--buildkit", &builder];
    let run = failing.peelbox().args(args).run().ended(1).says(&["exit code 7"]);
    assert_eq!(run.stdout_text(), "");
}

#[test]
fn a_tar_for_docker_is_compared_with_what_lies_beside_it() {
    let work = work("loadable").on(&daemon::oldest());
    drop(work.build().args(["--output", "type=docker,dest=app.tar"]).run().ok());
    let report = parsed(&inspect(&work, "app.tar").ok());
    assert_eq!(report["form"], "oci_and_docker_tar");
    let beside = report["beside"].as_array().unwrap();
    assert_eq!(beside.len(), 2, "{report:#}");
    assert!(beside.iter().all(|beside| beside["is_about_image"] == true), "{report:#}");
    let inside = sbom(&work, &["app.tar"]);
    assert_eq!(purls(&inside), purls(&sbom(&work, &["app.tar", "--scan"])));
    // Of another image.
    let path = work.path("app.tar.sbom.spdx.json");
    let digest = manifest(&report)["digest"].as_str().unwrap().trim_start_matches("sha256:");
    let text = fs::read_to_string(&path).unwrap().replacen(digest, &"0".repeat(64), 1);
    fs::write(&path, text).unwrap();
    let run = inspect(&work, "app.tar").ended(1).says(&["not about the image it is with"]);
    assert_eq!(parsed(&run)["faults"].as_array().unwrap().len(), 1);
    let run = work.peelbox().args(["sbom", "app.tar"]).run().ended(1).says(&["peelbox inspect"]);
    assert_eq!(run.stdout_text(), "");
}

#[test]
fn what_docker_saves_can_be_read() {
    for variable in ["PEELBOX_TEST_DOCKER", "PEELBOX_TEST_DOCKER_GRAPH"] {
        let host = daemon::variable(variable);
        let work = work("saved");
        let tag = format!("pbx-it-saved-{}:{}", std::process::id(), variable.to_lowercase());
        let docker = |args: &[&str]| {
            let done = Command::new(daemon::variable("PEELBOX_TEST_DOCKER_CLI"))
                .args(args)
                .env("DOCKER_HOST", &host)
                .current_dir(work.root())
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let spec = work.spec().to_str().unwrap();
        let args = ["build", "--spec", spec, "--context", "context", "--tag", &tag];
        drop(work.peelbox().args(args).env("DOCKER_HOST", &host).run().ok());
        docker(&["save", "--output", "saved.tar", &tag]);
        docker(&["rmi", "--force", &tag]);
        let report = parsed(&inspect(&work, "saved.tar").ok());
        let names = report["images"][0]["names"].to_string();
        assert!(names.contains("pbx-it-saved-"), "{report:#}");
        assert_eq!(manifest(&report)["layers"].as_array().unwrap().len(), 2);
        let found = purls(&sbom(&work, &["saved.tar"]));
        assert!(found.iter().any(|purl| purl.starts_with("pkg:deb/debian/bash@")), "{found:?}");
    }
}

#[test]
fn a_file_that_was_changed_or_cut_is_told_with_the_reason() {
    let work = work("changed");
    drop(work.build().args(["--output", "type=oci,dest=app.tar"]).run().ok());
    let whole = fs::read(work.path("app.tar")).unwrap();
    let report = parsed(&inspect(&work, "app.tar").ok());
    let layer = manifest(&report)["layers"][0]["digest"].as_str().unwrap();
    let name = layer.replace("sha256:", "blobs/sha256/");
    let at = whole.windows(name.len()).position(|bytes| bytes == name.as_bytes()).unwrap();
    let mut changed = whole.clone();
    changed[at + 512 + 100] ^= 0x10;
    fs::write(work.path("app.tar"), &changed).unwrap();
    let fault = format!("{layer} has the digest sha256:");
    let run = inspect(&work, "app.tar").ended(1).says(&["`app.tar` is not what it says", &fault]);
    assert!(parsed(&run)["faults"][0].as_str().unwrap().starts_with(&fault));
    let run = work.peelbox().args(["inspect", "app.tar"]).run().ended(1);
    assert!(run.stdout_text().contains("not as it should be"), "{}", run.stdout_text());
    drop(work.peelbox().args(["sbom", "app.tar", "--scan"]).run().ended(1).says(&[layer]));

    fs::write(work.path("app.tar"), &whole[..whole.len() / 2]).unwrap();
    drop(inspect(&work, "app.tar").ended(2).says(&["the tar ends in the middle of an entry"]));
    fs::write(work.path("app.tar"), b"#!/bin/sh\n".repeat(100)).unwrap();
    drop(inspect(&work, "app.tar").ended(2).says(&["it is no tar"]));
    drop(inspect(&work, "gone.tar").ended(2).says(&["cannot read `gone.tar`: No such file"]));
    drop(inspect(&work, "context").ended(2).says(&["not an OCI image layout", "hint: "]));
}

#[test]
fn a_layout_in_a_folder_is_read_and_a_pipe_is_not_waited_for() {
    let work = work("folder");
    drop(work.build().args(["--output", "type=oci,dest=app.tar"]).run().ok());
    fs::create_dir(work.path("layout")).unwrap();
    let unpacked = Command::new("tar")
        .args(["-xf", "app.tar", "-C", "layout"])
        .current_dir(work.root())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let (folder, tar) = (inspect(&work, "layout").ok(), inspect(&work, "app.tar").ok());
    let (folder, tar) = (parsed(&folder), parsed(&tar));
    assert_eq!(folder["form"], "oci_folder");
    assert_eq!(folder["images"], tar["images"]);
    assert_eq!(sbom(&work, &["layout"]), sbom(&work, &["app.tar"]));

    let made = Command::new("mkfifo").arg(work.path("pipe")).status().unwrap();
    assert!(made.success());
    let started = Instant::now();
    drop(inspect(&work, "pipe").ended(2).says(&["neither a file nor a folder"]));
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// An octal field of a header.
fn field(text: String) -> Vec<u8> {
    format!("{text}\0").into_bytes()
}

fn header(name: &str, size: u64) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[124..136].copy_from_slice(&field(format!("{size:011o}")));
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(&field(format!("{sum:06o}")));
    header
}

/// A file of `size` bytes of which nothing is on the disk, behind `head`.
fn sparse(path: &Path, head: &[u8], size: u64) {
    fs::write(path, head).unwrap();
    fs::OpenOptions::new().append(true).open(path).unwrap().set_len(size).unwrap();
}

#[test]
fn memory_does_not_grow_with_the_image() {
    const LAYER_BYTES: u64 = 256 << 20;
    let work = Workdir::new();
    // The digest of so many zeros is not known here: the file is wrong, and read to its end.
    let digest = "0".repeat(64);
    let saved = json!([{"Config": "config.json", "RepoTags": ["big:1"], "Layers": ["layer.tar"]}]);
    let saved = saved.to_string();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [format!("sha256:{digest}")]}});
    let config = config.to_string();
    let mut tar = Vec::new();
    for (name, text) in [("manifest.json", &saved), ("config.json", &config)] {
        tar.extend(header(name, text.len() as u64));
        tar.extend(text.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.extend(header("layer.tar", LAYER_BYTES));
    let size = tar.len() as u64 + LAYER_BYTES + 1024;
    sparse(&work.path("big.tar"), &tar, size);
    // In kibibytes; a debug build of the program itself has 50 MB.
    let line = "ulimit -v 131072; exec \"$0\" inspect big.tar";
    let done = Command::new("sh")
        .args(["-c", line])
        .arg(daemon::binary())
        .current_dir(work.root())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(text.contains("the config says sha256:"), "{text}");
}
