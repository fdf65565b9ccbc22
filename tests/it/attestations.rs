//! SBOM and provenance in an image: what a registry and another program find there.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    attested::{
        Attested, SLSA_0_2, SLSA_1, SPDX, by_skopeo, in_tar, one, one_in_tar, packages,
        skopeo_copy, statement, subjects,
    },
    daemon,
    image::Image,
    workdir::{DEBIAN, Workdir},
};

const OCI: [&str; 2] = ["--output", "type=oci,dest=app.tar"];

/// An image on Debian that nobody has made before.
fn work(name: &str) -> Workdir {
    let work = Workdir::new();
    work.set_spec(&spec(name, &work));
    work
}

fn spec(name: &str, work: &Workdir) -> Value {
    let content = format!("mkdir /out && echo '{}' >/out/index.html", work.root().display());
    json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": { "base": DEBIAN, "commands": [content], "env": { "TEST": name } },
        "runtime": {
            "base": DEBIAN,
            "copy": [{ "from": "/out", "to": "/srv" }],
            "command": ["cat", "/srv/index.html"]
        }
    })
}

/// What every image says by default.
fn check(attested: &Attested, slsa: &str) {
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    assert_eq!(attested.platform, format!("linux/{arch}"));
    attested.check_subjects();
    let kinds = attested.kinds();
    assert!(kinds.contains(SPDX) && kinds.contains(slsa), "{kinds:?}");
    let spdx = attested.spdx();
    assert_eq!(spdx["spdxVersion"], "SPDX-2.3");
    assert!(packages(spdx, "deb").len() > 50, "all of Debian: {:?}", packages(spdx, "deb"));
    assert!(spdx.to_string().contains(&attested.manifest), "the document says of which image");
}

fn check_oci(address: &str, slsa: &str) {
    let work = work("attested").on(address);
    let run = work.build().args(OCI).args(["--progress", "plain"]).run().ok();
    drop(run.says(&["attested", "SBOM of ", " packages, provenance in the image"]));
    let tar = Image::read(&work.path("app.tar"));
    let [attested] = &in_tar(&tar)[..] else { panic!("one platform") };
    check(attested, slsa);
    assert_eq!(attested.predicate(slsa).get("buildDefinition").is_some(), slsa == SLSA_1);

    // Another program reads the same, from the file and from a registry.
    let source = format!("oci-archive:{}", work.path("app.tar").display());
    let copied = one(by_skopeo(&source, &work.path("from-tar")));
    assert_eq!(copied.statements, attested.statements);
    let registry = daemon::variable("PEELBOX_TEST_REGISTRY");
    let name = work.root().file_name().unwrap().to_str().unwrap().to_lowercase();
    let target = format!("docker://{registry}/{name}:it");
    skopeo_copy(&source, &target);
    let pulled = one(by_skopeo(&target, &work.path("from-registry")));
    check(&pulled, slsa);
    assert_eq!(pulled.manifest, attested.manifest);
    assert_eq!(pulled.statements, attested.statements);
}

#[test]
fn an_image_carries_sbom_and_provenance_into_a_registry() {
    check_oci(&daemon::newest(), SLSA_1);
}

#[test]
fn an_image_of_the_oldest_daemon_carries_sbom_and_provenance_into_a_registry() {
    check_oci(&daemon::oldest(), SLSA_0_2);
}

#[test]
fn a_provenance_tells_spec_commit_and_materials() {
    let work = work("attested-provenance");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    work.write(".git/HEAD", "ref: refs/heads/main\n");
    work.write(".git/refs/heads/main", format!("{commit}\n"));
    let digest = format!("sha256:{}", hex(&fs::read(work.spec()).unwrap()));
    let check = |provenance: &Value, is_inside: bool| {
        let dependencies =
            provenance["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
        let base = "pkg:docker/debian@bookworm-slim";
        let [debian] =
            &dependencies.iter().filter(|d| d.to_string().contains(base)).collect::<Vec<_>>()[..]
        else {
            panic!("{dependencies:#?}")
        };
        assert_eq!(debian["digest"]["sha256"].as_str().unwrap().len(), 64);
        if !is_inside {
            let args = &provenance["buildDefinition"]["externalParameters"]["request"]["args"];
            assert_eq!(args["peelbox:spec"], *digest);
            assert_eq!(args["peelbox:version"], env!("CARGO_PKG_VERSION"));
            assert!(args["vcs:revision"].as_str().unwrap().starts_with(commit), "{args}");
        }
    };
    drop(work.build().args(OCI).run().ok());
    let inside = one_in_tar(&work.path("app.tar"));
    check(inside.predicate(SLSA_1), true);
    // How peelbox was called is in the image too, wherever the daemon lets it be.
    let all: String = inside.statements.iter().map(Value::to_string).collect();
    for part in [&*digest, commit, env!("CARGO_PKG_VERSION")] {
        assert!(all.contains(part), "{part} in none of {:?}", inside.kinds());
    }
    drop(work.build().args(["--output", "type=docker,dest=docker.tar"]).run().ok());
    let beside = statement(&work.path("docker.tar.provenance.json"));
    assert_eq!(beside["predicateType"], SLSA_1);
    check(&beside["predicate"], false);
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether the provenance tells the steps of the build.
fn has_steps(provenance: &Value) -> bool {
    provenance.to_string().contains("\"llbDefinition\"")
}

#[test]
fn a_provenance_tells_as_much_as_is_asked_for_inside_and_beside() {
    let work = work("attested-mode");
    for (mode, is_full) in
        [("min", false), ("max", true), ("version=v0.2", true), ("min,version=v1", false)]
    {
        let slsa = if mode.contains("v0.2") { SLSA_0_2 } else { SLSA_1 };
        let build =
            |output| work.build().args(["--output", output, "--provenance", mode]).run().ok();
        drop(build("type=oci,dest=app.tar"));
        let inside = one_in_tar(&work.path("app.tar"));
        assert_eq!(has_steps(inside.predicate(slsa)), is_full, "{mode} inside");
        if mode.contains("version=v0.2") {
            // The record of the daemon is what it is: told, or converted, but never mixed up.
            continue;
        }
        drop(build("type=docker,dest=docker.tar"));
        let beside = statement(&work.path("docker.tar.provenance.json"));
        assert_eq!(beside["predicateType"], slsa);
        assert_eq!(has_steps(&beside["predicate"]), is_full, "{mode} beside");
        let tar = Image::read(&work.path("docker.tar"));
        assert_eq!(subjects(&beside), BTreeSet::from([tar.digest()]));
    }
    drop(work.build().args(OCI).args(["--provenance", "full"]).run().ended(2).says(&["`full`"]));
}

#[test]
fn what_is_not_wanted_is_not_made_and_the_summary_says_so() {
    let work = work("attested-not");
    let build = |args: &[&str]| work.build().args(["--progress", "plain"]).args(args).run().ok();
    let both = ["--no-sbom", "--no-provenance"];
    let run = build(&[&OCI[..], &both].concat());
    drop(run.says(&["no SBOM (--no-sbom), no provenance (--no-provenance)"]));
    let tar = Image::read(&work.path("app.tar"));
    tar.check();
    // As before there were any: the manifest itself, no index around it.
    assert_eq!(tar.top(), tar.digest());

    drop(
        build(&[&OCI[..], &both[..1]].concat())
            .says(&["no SBOM (--no-sbom), provenance in the image"]),
    );
    let image = one_in_tar(&work.path("app.tar"));
    assert!(image.kinds().contains(SLSA_1) && !image.kinds().contains(SPDX), "{:?}", image.kinds());
    let run = build(&[&OCI[..], &both[1..]].concat());
    drop(run.says(&[" packages, no provenance (--no-provenance) in the image"]));
    assert_eq!(one_in_tar(&work.path("app.tar")).kinds(), [SPDX].into());

    drop(build(&[&["--output", "type=docker,dest=docker.tar"][..], &both].concat()));
    let dest = ["docker.tar.sbom.spdx.json", "docker.tar.provenance.json"];
    assert!(dest.iter().all(|file| !work.path(file).exists()));
    drop(build(&["--output", "type=docker,dest=docker.tar", "--no-sbom"]));
    assert_eq!(dest.map(|file| work.path(file).exists()), [false, true]);
}

#[test]
fn a_secret_in_the_environment_of_the_build_is_refused_with_advice() {
    let work = work("attested-secret");
    let mut spec = spec("attested-secret", &work);
    // Parts, so that no scanner of repositories takes it for one.
    let token = ["np", "m_", "Zq81", "abcdefghijklmnopqrstuvwxyz0123456789"].concat();
    spec["build"]["env"]["NPM_TOKEN"] = json!(token);
    work.set_spec(&spec);
    let run = work.build().args(OCI).args(["--progress", "plain"]).run().ended(2);
    let run =
        run.says(&["`build.env.NPM_TOKEN`", "looks like a secret", "\nhint: ", "`build.secrets`"]);
    assert!(!run.stderr.contains(&token) && !run.stderr.contains("#1 "), "{}", run.stderr);
    assert!(!work.path("app.tar").exists());
    drop(work.build().args(OCI).arg("--no-provenance").run().ok());
    // The same in a command and in a file.
    spec["build"]["env"] = json!({});
    spec["build"]["files"] = json!([{"path": "pip.conf", "content": "[global]\nindex-url = https://user:pw@host/simple\n"}]);
    work.set_spec(&spec);
    drop(
        work.build()
            .args(OCI)
            .run()
            .ended(2)
            .says(&["`build.files[0].content` looks like a secret: it has a password in a URL"]),
    );
    spec["build"]["files"] = json!([]);
    spec["build"]["commands"] =
        json!(["true", format!("echo //registry/:_authToken={token} > .npmrc")]);
    work.set_spec(&spec);
    drop(work.build().args(OCI).run().ended(2).says(&["`build.commands[1]` looks like a secret"]));
}

#[test]
fn an_image_that_must_hold_its_attestations_holds_them_or_is_not_built() {
    let work = work("attested-required");
    let build = |output| {
        work.build()
            .args(["--require-attestations", "--progress", "plain", "--output", output])
            .run()
    };
    drop(build("type=oci,dest=app.tar").ok());
    check(&one_in_tar(&work.path("app.tar")), SLSA_1);
    let run = build("type=docker,dest=docker.tar").ended(4);
    let run = run.says(&["a tar for `docker load` cannot hold attestations", "\nhint: "]);
    assert!(!run.stderr.contains("#1 "), "nothing of the build: {}", run.stderr);
    assert!(!work.path("docker.tar").exists());
}

/// Runs a program of the Python environment with the validators.
fn validator(program: &str, args: &[&str]) {
    let path = Path::new(&daemon::variable("PEELBOX_TEST_SBOM_VENV")).join("bin").join(program);
    let done = Command::new(&path).args(args).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&said));
}

/// Reads one document and says what is wrong with it (strict: no unknown fields).
const CYCLONEDX: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(wrong) if wrong else 0)
";

#[test]
fn both_formats_are_valid_and_the_same_image_has_the_same_sbom() {
    let work = Workdir::example("node-express");
    let build = |name: &str, args: &[&str]| {
        let output = format!("type=oci,dest={name}.tar");
        drop(
            work.build()
                .args(["--output", &output, "--sbom-format", "cyclonedx"])
                .args(args)
                .run()
                .ok(),
        );
        one_in_tar(&work.path(&format!("{name}.tar"))).spdx().clone()
    };
    let first = build("first", &[]);
    let spdx = work.path("sbom.spdx.json");
    fs::write(&spdx, first.to_string()).unwrap();
    validator("pyspdxtools", &["--infile", spdx.to_str().unwrap()]);
    let cyclonedx = work.path("first.tar.sbom.cdx.json");
    validator("python", &["-c", CYCLONEDX, cyclonedx.to_str().unwrap()]);
    let document: Value = serde_json::from_slice(&fs::read(&cyclonedx).unwrap()).unwrap();
    let components = document["components"].as_array().unwrap();
    assert!(components.iter().any(|c| c["name"] == "express"), "{components:#?}");

    // Without what was kept of the first build.
    fs::remove_dir_all(work.path("home/.cache/peelbox/daemons")).unwrap();
    let second = build("second", &[]);
    assert_eq!(first.to_string(), second.to_string());
    let kept = build("third", &[]);
    assert_eq!(first.to_string(), kept.to_string());
    let cyclonedx = |name: &str| fs::read(work.path(&format!("{name}.tar.sbom.cdx.json"))).unwrap();
    assert!(cyclonedx("first") == cyclonedx("second") && cyclonedx("first") == cyclonedx("third"));
}

#[test]
fn a_pushed_image_has_its_attestations_in_the_registry() {
    let registry = daemon::variable("PEELBOX_TEST_REGISTRY");
    let docker = daemon::variable("PEELBOX_TEST_DOCKER");
    for (at, builder) in [daemon::newest(), daemon::oldest(), docker.clone()].iter().enumerate() {
        let work = work("attested-push");
        let name = work.root().file_name().unwrap().to_str().unwrap().to_lowercase();
        let tag = format!("{registry}/{name}:{at}");
        let spec = work.spec().to_str().unwrap();
        let args = ["build", "--spec", spec, "--context", "context", "--progress", "plain"];
        let build = work.peelbox().args(args).args(["--push", "--require-attestations"]);
        let build = build.args(["--tag", &tag, "--metadata-file", "metadata.json"]);
        let build = if *builder == docker {
            build.env("DOCKER_HOST", builder)
        } else {
            build.args(["--buildkit", builder])
        };
        drop(build.run().ok().says(&["provenance in the image", "pushed to", &registry]));
        let pushed = one(by_skopeo(&format!("docker://{tag}"), &work.path("pushed")));
        pushed.check_subjects();
        assert!(packages(pushed.spdx(), "deb").len() > 50);
        let metadata: Value =
            serde_json::from_slice(&fs::read(work.path("metadata.json")).unwrap()).unwrap();
        assert_eq!(metadata["peelbox.manifest"], pushed.manifest);
        assert_eq!(metadata["image.name"], tag);
    }
}

/// A scanner as BuildKit runs them (`docs/attestations/sbom-protocol.md`): says one package, and whose file it has seen.
const SCANNER: &str = r#"#!/bin/sh
seen=$(cat "$BUILDKIT_SCAN_SOURCE/srv/index.html")
cat >"$BUILDKIT_SCAN_DESTINATION/scan.spdx.json" <<END
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
 "predicate": {"spdxVersion": "SPDX-2.3", "name": "$seen", "packages": []}}
END
"#;

#[test]
fn a_scanner_of_choice_makes_the_sbom() {
    let scanner = Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": "attested-scanner" },
        "build": { "base": DEBIAN, "commands": ["chmod +x scan"] },
        "runtime": {
            "base": DEBIAN,
            "copy": [{ "from": "scan", "to": "/" }],
            "command": ["/scan"]
        }
    }));
    scanner.write("scan", SCANNER);
    drop(scanner.build().args(OCI).args(["--no-sbom", "--no-provenance"]).run().ok());
    let name = scanner.root().file_name().unwrap().to_str().unwrap().to_lowercase();
    let image = format!("{}/{name}:scanner", daemon::variable("PEELBOX_TEST_REGISTRY"));
    let tar = format!("oci-archive:{}", scanner.path("app.tar").display());
    skopeo_copy(&tar, &format!("docker://{image}"));

    let work = work("attested-generator");
    let generator = format!("--sbom=generator={image}");
    let run = work.build().args(OCI).args([&generator, "--progress", "plain"]).run().ok();
    drop(run.says(&[&format!("SBOM of {image}, provenance in the image")]));
    let attested = one_in_tar(&work.path("app.tar"));
    attested.check_subjects();
    assert_eq!(attested.spdx()["name"], work.root().to_str().unwrap());
    // Nothing of it comes out of the daemon elsewhere: told before the build.
    let run = work.build().args(["--output", "type=docker,dest=docker.tar", &generator]).run();
    drop(run.ended(4).says(&["cannot hold the SBOM of a scanner", "\nhint: "]));
}
