//! SBOM and provenance of an image for Docker: in the image where its store can hold them, else beside it.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    attested::{Attested, SPDX, in_tar, one, packages, statement, subjects},
    daemon,
    docker::Engine,
    image::Image,
    middle::{Load, Middle},
    peelbox::{Peelbox, Run},
    workdir::{DEBIAN, Workdir},
};

/// An image on Debian that nobody has made before.
fn work(name: &str) -> Workdir {
    let work = Workdir::new();
    let content = format!("mkdir /out && echo '{}' >/out/index.html", work.root().display());
    work.set_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": { "base": DEBIAN, "commands": [content], "env": { "TEST": name } },
        "runtime": {
            "base": DEBIAN,
            "copy": [{ "from": "/out", "to": "/srv" }],
            "command": ["cat", "/srv/index.html"]
        }
    }));
    work
}

/// A build for that engine; by the BuildKit inside it, or by `builder`.
fn build(work: &Workdir, builder: Option<&str>, host: &str) -> Peelbox {
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--progress", "plain"];
    let builder = builder.iter().flat_map(|builder| ["--buildkit", builder]);
    let build = work.peelbox().args(args).args(builder).env("DOCKER_HOST", host);
    build.env("XDG_DATA_HOME", work.path("data"))
}

/// What Docker's store has of an image, as `docker save` writes it.
fn saved(engine: &Engine, work: &Workdir, tag: &str) -> Attested {
    let file = work.path("saved.tar");
    engine.ask(&["save", "--output", file.to_str().unwrap(), tag]);
    one(in_tar(&Image::read(&file)))
}

fn check_inside(name: &str, builder: Option<&str>) {
    let engine = Engine::containerd(name);
    let work = work(name);
    let tag = engine.tag("1");
    let build_at = |host: &str, args: &[&str]| {
        build(&work, builder, host).args(["--tag", &tag]).args(args).run().ok()
    };
    let build = |args: &[&str]| build_at(engine.host(), args);
    let run = build(&["--require-attestations"]);
    drop(run.says(&["attested", " packages, provenance in the image"]));
    let attested = saved(&engine, &work, &tag);
    attested.check_subjects();
    assert!(packages(attested.spdx(), "deb").len() > 50);
    assert!(attested.kinds().iter().any(|kind| kind.starts_with("https://slsa.dev/provenance/")));
    assert_eq!(engine.output_of(&tag), work.root().to_str().unwrap());
    assert!(!work.path("data").exists(), "nothing is beside it");

    let id = engine.id(&tag).unwrap();
    let run = build(&["--iidfile", "id", "--metadata-file", "metadata.json"]);
    assert!(run.stderr.contains(", unchanged\n"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(work.path("id")).unwrap(), id);
    let metadata: Value =
        serde_json::from_slice(&fs::read(work.path("metadata.json")).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.digest"], id);
    assert_eq!(metadata["peelbox.manifest"], attested.manifest);
    // It is what was there.
    assert_eq!(engine.id(&tag).unwrap(), id);

    // Another name is given without making anything.
    let other = engine.tag("2");
    assert!(build(&["--tag", &other]).stderr.contains(", unchanged\n"));
    assert_eq!(engine.id(&other).unwrap(), id);

    // That this engine keeps such images is known from the one that it has.
    let middle = Middle::start(&work.path("middle.sock"), engine.socket(), Load::Pass);
    // What is remembered is remembered of a builder at its address.
    drop(build_at(middle.address(), &[]));
    middle.forget_requests();
    assert!(build_at(middle.address(), &[]).stderr.contains(", unchanged\n"));
    assert!(middle.was_asked("/history") && !middle.was_asked("/info"));

    // The same image with other things said of it is not what is there.
    let run = build(&["--provenance", "min"]);
    assert!(!run.stderr.contains(", unchanged\n"), "{}", run.stderr);
    let again = saved(&engine, &work, &tag);
    assert_eq!(again.manifest, attested.manifest);
    again.check_subjects();
    assert_eq!(again.spdx(), attested.spdx());
    assert_ne!(engine.id(&tag).unwrap(), id);

    // Nothing is claimed of an image of which nothing is remembered.
    let bare = build(&["--no-sbom"]);
    assert!(!bare.stderr.contains(", unchanged\n"), "{}", bare.stderr);
    fs::remove_dir_all(work.path("home/.cache/peelbox")).unwrap();
    let run = build_at(middle.address(), &[]);
    assert!(!run.stderr.contains(", unchanged\n"), "{}", run.stderr);
    // A builder inside the engine tells it by itself.
    assert_eq!(middle.was_asked("/info"), builder.is_some());
    assert_eq!(saved(&engine, &work, &tag).spdx(), attested.spdx());
}

#[test]
fn no_step_runs_twice_or_is_told_twice_though_the_image_is_exported_by_a_build_of_its_own() {
    let engine = Engine::containerd("attested-once");
    let work = work("attested-once");
    let tag = engine.tag("1");
    let uuid = "/proc/sys/kernel/random/uuid";
    let mut spec: Value = serde_json::from_slice(&fs::read(work.spec()).unwrap()).unwrap();
    spec["build"]["commands"] = json!([format!(
        "mkdir /out && cat {uuid} >/out/index.html && echo it is $(cat /out/index.html)"
    )]);
    work.set_spec(&spec);
    let mut seen = BTreeSet::new();
    for builder in [None, Some(daemon::newest()), Some(daemon::oldest())] {
        let build = build(&work, builder.as_deref(), engine.host()).args(["--tag", &tag]);
        let run = build.arg("--no-cache").run().ok();
        // Not the name of the step.
        let said = run.stderr.lines().filter(|line| !line.contains("$("));
        let made: Vec<&str> =
            said.filter_map(|line| line.split_once(" it is ").map(|(_, uuid)| uuid)).collect();
        let [made] = made.as_slice() else { panic!("{made:?} in\n{}", run.stderr) };
        assert_eq!(engine.output_of(&tag), *made);
        assert!(seen.insert((*made).to_owned()), "{seen:?}");
        for name in [" exporting to ", " copy /out → /srv"] {
            // The head of a step comes again when another one spoke in between, with the same number.
            let heads = run.stderr.lines().filter(|line| line.contains(name));
            let heads: BTreeSet<&str> = heads.collect();
            assert_eq!(heads.len(), 1, "{heads:?} in\n{}", run.stderr);
        }
    }
}

#[test]
fn docker_holds_the_attestations_of_what_it_builds() {
    check_inside("attested-in", None);
}

#[test]
fn docker_holds_the_attestations_of_what_another_daemon_builds() {
    check_inside("attested-load", Some(&daemon::newest()));
}

#[test]
fn docker_holds_the_attestations_of_what_the_oldest_daemon_builds() {
    check_inside("attested-load-old", Some(&daemon::oldest()));
}

/// Both statements that lie beside an image in the user's data folder, which is named by its id.
fn beside(work: &Workdir, id: &str) -> [PathBuf; 2] {
    let dir = work.path("data/peelbox/attestations").join(id.replace(':', "-"));
    ["sbom.spdx.json", "provenance.json"].map(|name| dir.join(name))
}

/// They are of the image named `digest`.
fn check_statements(paths: &[PathBuf; 2], digest: &str) {
    let [sbom, provenance] = paths.each_ref().map(|path| statement(path));
    for statement in [&sbom, &provenance] {
        assert_eq!(subjects(statement), BTreeSet::from([digest.to_owned()]));
    }
    assert_eq!(sbom["predicateType"], SPDX);
    assert!(packages(&sbom["predicate"], "deb").len() > 50);
    let kind = provenance["predicateType"].as_str().unwrap();
    assert!(kind.starts_with("https://slsa.dev/provenance/v"), "{kind}");
    let told = provenance["predicate"].to_string();
    assert!(told.contains("pkg:docker/debian@bookworm-slim") && told.contains("llbDefinition"));
    assert!(told.contains("peelbox:spec"), "{told}");
}

/// Images without a name that have the same files as this one.
fn twins(engine: &Engine, id: &str) -> Vec<String> {
    let layers = |id: &str| engine.image(id).map(|image| image["RootFS"]["Layers"].clone());
    let own = layers(id);
    let listed = engine.ask(&["images", "--no-trunc", "--quiet", "--filter", "dangling=true"]);
    let others = listed.lines().filter(|other| *other != id && layers(other) == own);
    others.map(str::to_owned).collect()
}

fn names_them(run: Run, paths: &[PathBuf; 2]) -> Run {
    let [sbom, provenance] = paths.each_ref().map(|path| path.to_str().unwrap());
    run.says(&[" packages, provenance beside the image", sbom, provenance])
}

fn check_beside(name: &str, builder: Option<&str>) {
    let engine = Engine::classic(name);
    let work = work(name);
    let tag = engine.tag("1");
    let build =
        |args: &[&str]| build(&work, builder, engine.host()).args(["--tag", &tag]).args(args).run();
    let run = build(&["--require-attestations"]).ended(4);
    let run = run.says(&["classic image store cannot hold attestations", "\nhint: "]);
    assert!(!run.stderr.contains("#1 "), "nothing of the build: {}", run.stderr);
    assert_eq!((engine.tags(), work.path("data").exists()), (Vec::new(), false));

    let run = build(&[]).ok();
    let id = engine.id(&tag).unwrap();
    let paths = beside(&work, &id);
    drop(names_them(run, &paths));
    check_statements(&paths, &id);
    let sbom = fs::read(&paths[0]).unwrap();
    assert_eq!(twins(&engine, &id), Vec::<String>::new(), "images that nobody asked for");
    if builder.is_none() {
        let version = &statement(&paths[0])["predicate"]["packages"][0]["versionInfo"];
        assert_eq!(*version, *id);
    }

    // Both files are left as they are while they are.
    let provenance = fs::read(&paths[1]).unwrap();
    let there = " SBOM, provenance are beside the image since it was made\n";
    let run = build(&[]).ok().says(&[", unchanged\n", there]);
    assert!(run.stderr.contains(paths[1].to_str().unwrap()), "{}", run.stderr);
    assert_eq!(paths.each_ref().map(|path| fs::read(path).unwrap()), [sbom.clone(), provenance]);
    fs::write(&paths[1], "{}").unwrap();
    let run = names_them(build(&[]).ok(), &paths);
    assert!(run.stderr.contains(", unchanged\n"), "{}", run.stderr);
    check_statements(&paths, &id);
    assert_eq!(fs::read(&paths[0]).unwrap(), sbom);

    let dir = ["sbom.spdx.json", "provenance.json"].map(|name| work.path("said").join(name));
    drop(
        build(&["--attest-dir", "said"])
            .ok()
            .says(&["said/sbom.spdx.json", "said/provenance.json"]),
    );
    check_statements(&dir, &id);

    fs::remove_dir_all(work.path("data")).unwrap();
    let run = build(&["--no-sbom", "--no-provenance"]).ok();
    drop(run.says(&["no SBOM (--no-sbom), no provenance (--no-provenance)"]));
    assert!(!work.path("data").exists());
    let least = build(&["--provenance", "min", "--no-sbom"]).ok();
    drop(least.says(&["no SBOM (--no-sbom), provenance beside the image"]));
    let [sbom, provenance] = beside(&work, &id);
    assert!(!sbom.exists());
    let told = fs::read_to_string(provenance).unwrap();
    assert!(!told.contains("llbDefinition") && told.contains("pkg:docker/debian@bookworm-slim"));
}

#[test]
fn what_the_classic_store_cannot_hold_lies_beside_the_image() {
    check_beside("attested-classic", None);
}

#[test]
fn what_the_classic_store_cannot_hold_lies_beside_the_image_of_another_daemon() {
    check_beside("attested-classic-load", Some(&daemon::newest()));
}

#[test]
fn what_the_classic_store_cannot_hold_lies_beside_the_image_of_the_oldest_daemon() {
    check_beside("attested-classic-old", Some(&daemon::oldest()));
}

/// What an SBOM says besides the image's own name.
fn listed(run: Run) -> (BTreeSet<String>, Value) {
    let spdx: Value = serde_json::from_slice(&run.ok().stdout).unwrap();
    let packages = spdx["packages"].as_array().unwrap().iter().skip(1);
    let relations = spdx["relationships"].as_array().unwrap().len();
    let said = packages.map(|package| {
        let mut package = package.clone();
        package.as_object_mut().unwrap().remove("SPDXID");
        package.to_string()
    });
    (said.collect(), json!([relations, spdx["comment"]]))
}

#[test]
fn the_layers_of_an_image_say_what_a_list_of_all_its_files_says() {
    let work = Workdir::new();
    let spec = |version: &str| {
        let package = format!(r#"{{"name":"left","version":"{version}"}}"#);
        json!({
            "version": "1.0",
            "metadata": { "project_name": "attested-layers" },
            "build": { "base": DEBIAN, "commands": [
                format!("mkdir -p /out/m/left /out/m/right && echo '{package}' >/out/m/left/package.json"),
                "ln /out/m/left/package.json /out/m/right/package.json",
                "sed '/^Package: tar$/,/^$/d' /var/lib/dpkg/status >/out/status",
            ] },
            "runtime": {
                "base": DEBIAN,
                "packages": ["procps"],
                "copy": [
                    { "from": "/out/status", "to": "/var/lib/dpkg/status" },
                    { "from": "/out/m", "to": "/app/node_modules" },
                ],
                "command": ["true"]
            }
        })
    };
    let (daemons, classic) = ([daemon::newest(), daemon::oldest()], Engine::classic("listed"));
    // The second time the base is known, and one layer is new.
    for version in ["1.0.0", "1.0.1"] {
        work.set_spec(&spec(version));
        let sbom = || {
            let file = work.spec().to_str().unwrap();
            work.peelbox().args(["sbom", "--spec", file, "--context", "context"])
        };
        let all = listed(sbom().env("DOCKER_HOST", classic.host()).run());
        let text = format!("{all:?}");
        assert!(text.contains(&format!("pkg:npm/left@{version}")), "{text}");
        assert!(text.contains("pkg:deb/debian/bash@") && !text.contains("pkg:deb/debian/tar@"));
        assert!(text.contains("/app/node_modules/right/package.json"), "{text}");
        for daemon in &daemons {
            assert_eq!(listed(sbom().args(["--buildkit", daemon]).run()), all);
        }
    }
    let daemons = fs::read_dir(work.path("home/.cache/peelbox/daemons")).unwrap();
    let layers = daemons.map(|daemon| daemon.unwrap().path().join("layers"));
    let kept = layers.map(|dir| fs::read_dir(dir).unwrap().count()).max().unwrap();
    // The base, and layers: packages, one file, and both versions of the other.
    assert!(kept >= 5, "{kept}");
}

#[test]
fn a_tar_for_docker_has_its_attestations_beside_it() {
    for (at, builder) in [daemon::newest(), daemon::oldest()].into_iter().enumerate() {
        let work = work("attested-tar").on(&builder);
        let output = format!("type=docker,dest=app{at}.tar");
        let run = work.build().args(["--output", &output, "--progress", "plain"]).run().ok();
        let name = |name: &str| work.path(&format!("app{at}.tar.{name}"));
        let paths = ["sbom.spdx.json", "provenance.json"].map(name);
        drop(run.says(&["provenance beside the image", &format!("app{at}.tar.provenance.json")]));
        let tar = Image::read(&work.path(&format!("app{at}.tar")));
        tar.check();
        check_statements(&paths, &tar.digest());
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_told_before_the_build() {
    let work = work("attested-nowhere");
    fs::write(work.path("file"), "").unwrap();
    for dir in ["file", "none/below"] {
        let args = ["--output", "type=docker,dest=app.tar", "--attest-dir", dir];
        let run = work.build().args(args).args(["--progress", "plain"]).run().ended(6);
        let run = run.says(&[&format!("`--attest-dir {dir}`")]);
        assert!(!run.stderr.contains("#1 "), "nothing of the build: {}", run.stderr);
    }
    assert!(!work.path("app.tar").exists());
}

/// The daemon's records of builds of that spec.
fn records(address: &str, work: &Workdir) -> usize {
    let out = Command::new(daemon::variable("PEELBOX_TEST_BUILDCTL"))
        .args(["--addr", address, "debug", "histories", "--format", "{{json .}}"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let digest = Sha256::digest(fs::read(work.spec()).unwrap());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    let text = String::from_utf8(out.stdout).unwrap();
    serde_json::Deserializer::from_str(&text)
        .into_iter::<Value>()
        .map(Result::unwrap)
        .flat_map(|value| match value {
            Value::Array(all) => all,
            one => vec![one],
        })
        .filter(|record| record.to_string().contains(&hex))
        .count()
}

#[test]
fn the_daemon_keeps_no_record_of_a_build_unless_it_is_asked_to() {
    let engine = Engine::classic("attested-record");
    let (builder, work) = (daemon::newest(), work("attested-record"));
    let tag = engine.tag("1");
    let load = |args: &[&str]| {
        let build = build(&work, Some(&builder), engine.host()).args(["--tag", &tag]);
        drop(build.args(args).run().ok());
    };
    load(&[]);
    load(&["--output", "type=docker,dest=app.tar"]);
    load(&["--output", "type=oci,dest=app.tar"]);
    assert_eq!(records(&builder, &work), 0);
    load(&["--record"]);
    assert_eq!(records(&builder, &work), 1);
    load(&["--record", "--output", "type=oci,dest=app.tar"]);
    assert_eq!(records(&builder, &work), 2);
}
