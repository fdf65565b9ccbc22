//! Image files made in memory, as they should be and otherwise.

use std::{fs, io::Write as _};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{tar::tests::entry, *};
use crate::{attestation, mutation::mutate, sbom::Files};

/// An image file that is put together.
#[derive(Clone)]
struct Made {
    blobs: BTreeMap<String, Vec<u8>>,
    index: Value,
    others: Vec<(String, Vec<u8>)>,
}

fn digest(bytes: &[u8]) -> String {
    crate::digest::sha256(bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Regular files, folders (`x/`), hard links (`x=y`).
fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        tar.extend(match (name.split_once('='), name.ends_with('/')) {
            (Some((name, target)), _) => entry(name, b'1', b"", target),
            (None, true) => entry(name, b'5', b"", ""),
            (None, false) => entry(name, b'0', content, ""),
        });
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

impl Made {
    fn new() -> Self {
        Self { blobs: BTreeMap::new(), index: json!({"manifests": []}), others: Vec::new() }
    }

    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn json(&mut self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, value.to_string().as_bytes())
    }

    /// The manifest of an image of these layers.
    fn image(&mut self, platform: [&str; 2], layers: &[Vec<u8>], tars: &[Vec<u8>]) -> Value {
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| self.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer))
            .collect();
        let diff_ids: Vec<_> = tars.iter().map(|tar| digest(tar)).collect();
        let config = json!({
            "os": platform[0],
            "architecture": platform[1],
            "created": "2026-01-02T03:04:05Z",
            "config": {
                "Entrypoint": ["/app"],
                "Cmd": null,
                "Env": ["PATH=/bin", "TOKEN=hidden"],
                "User": "1000",
                "WorkingDir": "/srv",
                "ExposedPorts": {"8080/tcp": {}},
                "Labels": {"team": "blue"},
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [
                {"created_by": "FROM base"},
                {"created_by": "ENV", "empty_layer": true},
                {"created_by": "COPY app"},
            ],
        });
        let config = self.json("application/vnd.oci.image.config.v1+json", &config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut manifest = self.json("application/vnd.oci.image.manifest.v1+json", &manifest);
        manifest["platform"] = json!({"os": platform[0], "architecture": platform[1]});
        manifest
    }

    /// The manifest of statements about another, as BuildKit makes it.
    fn attestations(&mut self, about: &str, statements: &[(&str, Vec<u8>)]) -> Value {
        let layers: Vec<_> = statements
            .iter()
            .map(|(kind, statement)| {
                let mut layer = self.blob("application/vnd.in-toto+json", statement);
                layer["annotations"] = json!({"in-toto.io/predicate-type": kind});
                layer
            })
            .collect();
        let config = json!({"os": "unknown", "architecture": "unknown"});
        let config = self.json("application/vnd.oci.image.config.v1+json", &config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut manifest = self.json("application/vnd.oci.image.manifest.v1+json", &manifest);
        manifest["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about,
        });
        manifest
    }

    fn list(&mut self, mut image: Value, name: &str) {
        image["annotations"] = json!({
            "io.containerd.image.name": format!("docker.io/library/app:{name}"),
            "org.opencontainers.image.ref.name": name,
        });
        self.index["manifests"].as_array_mut().unwrap().push(image);
    }

    fn tar(&self) -> Vec<u8> {
        let mut tar = entry("oci-layout", b'0', br#"{"imageLayoutVersion":"1.0.0"}"#, "");
        for (digest, bytes) in &self.blobs {
            let name = digest.replace("sha256:", "blobs/sha256/");
            tar.extend(entry(&name, b'0', bytes, ""));
        }
        if !self.index.is_null() {
            tar.extend(entry("index.json", b'0', self.index.to_string().as_bytes(), ""));
        }
        for (name, bytes) in &self.others {
            tar.extend(entry(name, b'0', bytes, ""));
        }
        tar.resize(tar.len() + 1024, 0);
        tar
    }
}

fn statement(kind: &str, digest: &str) -> Vec<u8> {
    let subject =
        attestation::Subject { name: "pkg:docker/app@1".to_owned(), digest: digest.to_owned() };
    let predicate = json!({
        "spdxVersion": "SPDX-2.3",
        "packages": [{"primaryPackagePurpose": "CONTAINER"}, {"name": "bash"}],
    });
    attestation::statement(kind, &[subject], &predicate)
}

/// An image of two layers with an SBOM, and its digest.
fn sound() -> (Made, String) {
    let mut made = Made::new();
    let tars = [layer(&[("etc/", b""), ("etc/a", b"1")]), layer(&[("app", b"2")])];
    let image = made.image(["linux", "amd64"], &[gzip(&tars[0]), tars[1].clone()], &tars);
    let about = image["digest"].as_str().unwrap().to_owned();
    let kind = attestation::SPDX_PREDICATE;
    let attestations = made.attestations(&about, &[(kind, statement(kind, &about))]);
    let index = json!({"schemaVersion": 2, "manifests": [image, attestations]});
    let index = made.json("application/vnd.oci.image.index.v1+json", &index);
    made.list(index.clone(), "1");
    made.list(index, "2");
    (made, about)
}

struct Opened {
    dir: TempDir,
}

impl Opened {
    fn new(tar: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("app.tar"), tar).unwrap();
        Self { dir }
    }

    fn file(&self) -> Result<ImageFile, ImageFileError> {
        ImageFile::open(&self.dir.path().join("app.tar"))
    }

    fn report(&self) -> Report {
        self.file().unwrap().inspect(Depth::Whole).unwrap()
    }
}

fn report(tar: &[u8]) -> Report {
    Opened::new(tar).report()
}

/// The only fault has this in it.
fn check_fault(tar: &[u8], expected: &str) {
    let faults = report(tar).faults;
    assert!(faults.len() == 1 && faults[0].contains(expected), "{expected}: {faults:#?}");
}

fn check_error(tar: &[u8], expected: &str) {
    let opened = Opened::new(tar);
    let error = opened.file().and_then(|file| file.inspect(Depth::Whole)).expect_err(expected);
    let source = error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error}: {source}");
    assert!(text.contains(expected), "{expected}: {text}");
}

#[test]
fn a_sound_image_is_shown_as_it_is() {
    let (made, about) = sound();
    let report = report(&made.tar());
    assert_eq!(report.faults, [""; 0]);
    assert_eq!(report.form, Form::OciTar);
    let [image] = report.images.as_slice() else { panic!("{report:#?}") };
    assert_eq!(image.names, ["docker.io/library/app:1", "docker.io/library/app:2"]);
    let [manifest] = image.manifests.as_slice() else { panic!("{image:#?}") };
    assert_eq!(manifest.digest.as_ref(), Some(&about));
    assert_eq!(manifest.platform, "linux/amd64");
    assert_eq!(manifest.config.env, ["PATH", "TOKEN"], "values stay where they are");
    assert_eq!(manifest.config.exposed_ports, ["8080/tcp"]);
    let [base, app] = manifest.layers.as_slice() else { panic!("{manifest:#?}") };
    assert_eq!(base.created_by.as_deref(), Some("FROM base"));
    assert_eq!(app.created_by.as_deref(), Some("COPY app"));
    assert_eq!(base.unpacked_bytes, Some(1536 + 1024));
    assert_ne!(Some(&base.digest), base.diff_id.as_ref());
    assert_eq!(Some(&app.digest), app.diff_id.as_ref());
    let [sbom] = manifest.attestations.as_slice() else { panic!("{manifest:#?}") };
    assert!(sbom.statement.is_about_image);
    assert_eq!(sbom.statement.subjects, ["pkg:docker/app@1"]);
    assert!(matches!(sbom.statement.predicate, Facts::Sbom { packages: 1, .. }));
    // Index, manifest, config, layers; manifest, config and statement of what is said.
    assert_eq!(report.verified_blobs, 8);
    let json = serde_json::to_value(&report).unwrap();
    let shown = &json["images"][0]["manifests"][0]["attestations"][0];
    assert_eq!(shown["predicate"]["kind"], "sbom");
    assert_eq!(json["form"], "oci_tar");
}

#[test]
fn a_blob_that_is_changed_is_named() {
    let (made, about) = sound();
    let report = report(&made.tar());
    let layers = &report.images[0].manifests[0].layers;
    for name in [&about, &layers[0].digest, &layers[1].digest] {
        let mut changed = made.clone();
        let blob = changed.blobs.get_mut(name).unwrap();
        // A blank in JSON, the time of a file in a tar, the time in the head of gzip.
        let at = if name == &about { blob.len() - 1 } else { 4 };
        if name == &about {
            blob.pop();
            blob.extend(b" }");
        } else {
            blob[at] ^= 1;
        }
        let faults = Opened::new(&changed.tar()).report().faults;
        let expected = format!("{name} has the digest sha256:");
        assert!(faults.iter().any(|fault| fault.starts_with(&expected)), "{faults:#?}");
    }
}

#[test]
fn a_blob_that_is_missing_is_named() {
    let (made, about) = sound();
    let all = report(&made.tar());
    let manifest = &all.images[0].manifests[0];
    let attestation = &manifest.attestations[0];
    for (name, expected) in [
        (&manifest.layers[0].digest, "the layer sha256:"),
        (&manifest.config_digest, "the config sha256:"),
        (&attestation.digest, "the statement sha256:"),
        (&attestation.manifest_digest, "the attestations sha256:"),
        (all.images[0].digest.as_ref().unwrap(), "sha256:"),
    ] {
        let mut changed = made.clone();
        changed.blobs.remove(name).unwrap();
        let faults = Opened::new(&changed.tar()).report().faults;
        let fault = &faults[0];
        assert!(fault.starts_with(expected) && fault.contains("missing"), "{faults:#?}");
    }
    // Of a platform that is not in the file nothing is missing, but one there must be.
    let mut changed = made.clone();
    changed.blobs.remove(&about).unwrap();
    check_fault(&changed.tar(), "no platform is in the file");
}

#[test]
fn statements_must_be_about_the_image_they_are_with() {
    let kind = attestation::SPDX_PREDICATE;
    let (sound, about) = sound();
    let other = digest(b"other");
    let with = |about: &str, said: &str, statement: &[u8]| {
        let mut made = sound.clone();
        made.index = json!({"manifests": []});
        let manifest = &sound.blobs[&about_of(&sound)];
        let image = made.blob("application/vnd.oci.image.manifest.v1+json", manifest);
        let attestations = made.attestations(about, &[(said, statement.to_vec())]);
        made.list(image, "1");
        made.index["manifests"].as_array_mut().unwrap().push(attestations);
        made.tar()
    };
    assert_eq!(report(&with(&about, kind, &statement(kind, &about))).faults, [""; 0]);
    check_fault(&with(&about, kind, &statement(kind, &other)), &format!("is about {other}"));
    check_fault(&with(&other, kind, &statement(kind, &about)), "which the index does not name");
    check_fault(&with(&about, "x", &statement(kind, &about)), "another type");
    check_fault(&with(&about, "", b"{}"), "is about nothing");
    check_fault(&with(&about, kind, b"nothing"), "cannot be understood");

    fn about_of(made: &Made) -> String {
        report(&made.tar()).images[0].manifests[0].digest.clone().unwrap()
    }
}

#[test]
fn what_describes_the_image_must_fit_to_it() {
    let tar = layer(&[("a", b"1")]);
    let check = |platform: [&str; 2], layers: &[Vec<u8>], tars: &[Vec<u8>], expected: &str| {
        let mut made = Made::new();
        let mut image = made.image(platform, layers, tars);
        image["platform"]["architecture"] = "arm64".into();
        made.list(image, "1");
        check_fault(&made.tar(), expected);
    };
    let one = std::slice::from_ref(&tar);
    check(
        ["linux", "amd64"],
        one,
        one,
        "is said to be for linux/arm64, its config is for linux/amd64",
    );
    check(
        ["linux", "arm64"],
        one,
        &[tar.clone(), tar.clone()],
        "has 1 layers, its config speaks of 2",
    );
    check(["linux", "arm64"], one, &[layer(&[("b", b"1")])], ", the config says sha256:");
    let half = gzip(&tar);
    check(["linux", "arm64"], &[half[..half.len() / 2].to_vec()], one, "cannot be unpacked");
    check(["linux", "arm64"], &[b"BZh91AY".to_vec()], one, "compressed with bzip2");
}

#[test]
fn descriptors_tell_sizes_and_digests_of_sha256() {
    let (made, _) = sound();
    let mut changed = made.clone();
    for entry in changed.index["manifests"].as_array_mut().unwrap() {
        entry["size"] = 7.into();
    }
    check_fault(&changed.tar(), "bytes, its descriptor says 7");
    let mut changed = made;
    changed.index["manifests"] = json!([{"digest": "sha512:ab\u{1b}[2J", "size": 1}]);
    let faults = report(&changed.tar()).faults;
    assert!(faults[0].contains(r"`sha512:ab\u{1b}[2J` is not `sha256:`"), "{faults:#?}");
}

#[test]
fn what_is_no_image_is_refused_with_the_reason() {
    let (made, _) = sound();
    let tar = made.tar();
    check_error(b"", "a tar without an image");
    check_error(&[b'x'; 2048], "it is no tar (at byte 0)");
    check_error(&tar[..1500], "the tar ends in the middle of an entry");
    check_error(&gzip(&tar), "is compressed with gzip");
    check_error(&layer(&[("README", b"")]), "a tar without an image");
    check_error(&layer(&[("index.json", b"{")]), "cannot understand `index.json`");
    check_error(&layer(&[("manifest.json", b"{}")]), "cannot understand `manifest.json`");
    check_error(
        &layer(&[("index.json", b"{}"), ("./index.json", b"{}")]),
        "two files `index.json`",
    );
    check_fault(&layer(&[("index.json", b"{}")]), "names no image");
    let dir = tempfile::tempdir().unwrap();
    let missing = ImageFile::open(&dir.path().join("no.tar")).expect_err("it is not there");
    assert!(matches!(missing, ImageFileError::Open { .. }));
    let folder = ImageFile::open(dir.path()).expect_err("it is empty");
    assert!(folder.to_string().contains("not an OCI image layout"), "{folder}");
    assert!(matches!(ImageFile::open(Path::new("/dev/null")), Err(ImageFileError::NoFile(_))));
}

#[test]
fn indexes_that_lead_nowhere_end() {
    let mut made = Made::new();
    let mut below = made.image(["linux", "amd64"], &[], &[]);
    for _ in 0..10 {
        let index = json!({"manifests": [below]});
        below = made.json("application/vnd.oci.image.index.v1+json", &index);
    }
    made.list(below, "1");
    let faults = report(&made.tar()).faults;
    assert!(faults[0].contains("more manifests than an image has"), "{faults:#?}");
    let mut made = Made::new();
    let image = made.image(["linux", "amd64"], &[], &[]);
    let index = json!({"manifests": vec![image; 3000]});
    let index = made.json("application/vnd.oci.image.index.v1+json", &index);
    made.list(index, "1");
    let faults = report(&made.tar()).faults;
    assert!(faults.len() <= 100 && faults[0].contains("more manifests"), "{}", faults.len());
}

#[test]
fn a_tar_of_docker_save_is_compared_too() {
    let tars = [layer(&[("a", b"1")]), layer(&[("b", b"2")])];
    let mut of_index = Made::new();
    let image = of_index.image(["linux", "amd64"], &tars, &tars);
    let manifest: Value =
        serde_json::from_slice(&of_index.blobs[image["digest"].as_str().unwrap()]).unwrap();
    let path = |descriptor: &Value| {
        descriptor["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/")
    };
    let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(path).collect();
    let docker = |layers: &[String]| {
        let config = path(&manifest["config"]);
        let saved = json!([{"Config": config, "RepoTags": ["app:1"], "Layers": layers}]);
        ("manifest.json".to_owned(), saved.to_string().into_bytes())
    };
    of_index.list(image, "1");
    of_index.others = vec![docker(&layers)];
    let both = report(&of_index.tar());
    assert_eq!((both.form, both.faults.len()), (Form::OciAndDockerTar, 0), "{:#?}", both.faults);

    let mut differs = of_index.clone();
    differs.others = vec![docker(&layers[..1])];
    check_fault(&differs.tar(), "an image that `index.json` has not");

    let mut alone = of_index.clone();
    alone.index = Value::Null;
    let found = report(&alone.tar());
    assert_eq!((found.form, found.faults.len()), (Form::DockerTar, 0), "{:#?}", found.faults);
    assert_eq!(found.images[0].names, ["app:1"]);
    assert_eq!(found.images[0].manifests[0].config_digest, manifest["config"]["digest"]);
    assert_eq!(found.images[0].manifests[0].layers[1].digest, digest(&tars[1]));

    let mut changed = alone.clone();
    changed.others = vec![docker(&[layers[1].clone(), layers[0].clone()])];
    let faults = report(&changed.tar()).faults;
    assert_eq!(faults.len(), 2, "layers in another order: {faults:#?}");
    let mut changed = alone;
    changed.others = vec![docker(&[layers[0].clone(), "gone/layer.tar".to_owned()])];
    check_fault(&changed.tar(), "`gone/layer.tar` is missing");
}

#[test]
fn databases_behind_links_are_gathered() {
    let status = b"Package: a\nStatus: install ok installed\nVersion: 1\n";
    let text = |files: &Files, path: &str| files.texts.get(path).cloned();
    let tar = |entries: &[(&str, u8, &[u8], &str)]| {
        let mut tar: Vec<u8> = entries
            .iter()
            .flat_map(|(name, kind, data, to)| entry(name, *kind, data, to))
            .collect();
        tar.resize(tar.len() + 1024, 0);
        tar
    };
    let real = ("usr/lib/sysimage/dpkg/status", b'0', &status[..], "");
    let folder = ("var/lib/dpkg", b'2', &b""[..], "../../usr/lib/sysimage/dpkg");
    for layers in [
        vec![tar(&[real, folder])],
        vec![tar(&[folder]), tar(&[real])],
        vec![tar(&[real]), tar(&[folder])],
        vec![tar(&[
            ("opt", b'2', b"", "/usr/lib"),
            real,
            ("var/lib/dpkg", b'2', b"", "/opt/sysimage/dpkg"),
        ])],
        vec![tar(&[("x.file", b'0', status, ""), ("var/lib/dpkg/status", b'1', b"", "x.file")])],
        vec![tar(&[("x.file", b'0', status, ""), ("var/lib/dpkg/status", b'2', b"", "/x.file")])],
    ] {
        let files = gather(&layers).unwrap();
        assert_eq!(text(&files, "/var/lib/dpkg/status").as_deref(), Some(&status[..]));
        assert_eq!(files.problems, []);
    }
    // What was removed is not there.
    let gone = [tar(&[real, folder]), tar(&[("usr/lib/sysimage/.wh.dpkg", b'0', b"", "")])];
    assert_eq!(text(&gather(&gone).unwrap(), "/var/lib/dpkg/status"), None);
    let unlinked = [tar(&[real, folder]), tar(&[("var/lib/.wh.dpkg", b'0', b"", "")])];
    assert_eq!(text(&gather(&unlinked).unwrap(), "/var/lib/dpkg/status"), None);
    let ring = tar(&[("var/lib/dpkg", b'2', b"", "dpkg"), real]);
    assert_eq!(text(&gather(&[ring]).unwrap(), "/var/lib/dpkg/status"), None);
}

/// A tar of `docker save` with one image: its config and its layers by these names.
fn saved(
    config_name: &str,
    layers: &[&str],
    tar: &[u8],
    files: &[(&str, u8, &[u8], &str)],
) -> Vec<u8> {
    let diff_ids = vec![digest(tar); layers.len()];
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let saved = json!([{"Config": config_name, "RepoTags": ["app:1"], "Layers": layers}]);
    let mut archive = entry(config_name, b'0', config.to_string().as_bytes(), "");
    for (name, kind, content, target) in files {
        archive.extend(entry(name, *kind, content, target));
    }
    archive.extend(entry("manifest.json", b'0', saved.to_string().as_bytes(), ""));
    archive.resize(archive.len() + 1024, 0);
    archive
}

#[test]
fn layers_that_are_links_to_others_are_read() {
    let tar = layer(&[("a", b"1")]);
    let layers = ["aaa/layer.tar", "bbb/layer.tar"];
    for (kind, target) in
        [(b'2', "../aaa/layer.tar"), (b'2', "/aaa/layer.tar"), (b'1', "aaa/layer.tar")]
    {
        let files = [(layers[1], kind, &b""[..], target), (layers[0], b'0', &tar, "")];
        let found = report(&saved("c.json", &layers, &tar, &files));
        assert_eq!(found.faults, [""; 0], "{kind} {target}");
        let size = |at: usize| found.images[0].manifests[0].layers[at].size_bytes;
        assert_eq!(size(0), size(1));
    }
    let dangling = [(layers[1], b'2', &b""[..], "../gone"), (layers[0], b'0', &tar, "")];
    check_fault(&saved("c.json", &layers, &tar, &dangling), "`bbb/layer.tar` is missing");
    let twice = [(layers[0], b'2', &b""[..], "../bbb/layer.tar"), (layers[0], b'0', &tar, "")];
    check_error(&saved("c.json", &layers[..1], &tar, &twice), "two files `aaa/layer.tar`");
}

#[test]
fn files_that_are_called_by_a_digest_are_compared_with_it() {
    let tar = layer(&[("a", b"1")]);
    let packed = gzip(&tar);
    let hex = |bytes: &[u8]| digest(bytes).replace("sha256:", "");
    let sound = format!("{}.tar.gz", hex(&packed));
    let found = report(&saved("c.json", &[&sound], &tar, &[(&sound, b'0', &packed, "")]));
    assert_eq!((found.faults.len(), found.verified_blobs), (0, 2), "the layer and what it holds");
    let wrong = format!("{}.tar.gz", "0".repeat(64));
    let archive = saved("c.json", &[&wrong], &tar, &[(&wrong, b'0', &packed, "")]);
    check_fault(&archive, &format!("`{wrong}` has the digest"));
    let config = format!("sha256:{}", "0".repeat(64));
    let archive = saved(&config, &["l.tar"], &tar, &[("l.tar", b'0', &tar, "")]);
    check_fault(&archive, &format!("`{config}` has the digest"));
}

#[test]
fn files_beside_are_read_and_compared() {
    let (made, about) = sound();
    let opened = Opened::new(&made.tar());
    let kind = attestation::SPDX_PREDICATE;
    let beside = opened.dir.path().join("app.tar.sbom.spdx.json");
    fs::write(&beside, statement(kind, &about)).unwrap();
    let found = opened.report();
    assert_eq!(found.faults, [""; 0]);
    assert_eq!(found.beside[0].file, "app.tar.sbom.spdx.json");
    assert!(found.beside[0].statement.is_about_image);
    fs::write(&beside, statement(kind, &digest(b"other"))).unwrap();
    assert!(opened.report().faults[0].starts_with("`app.tar.sbom.spdx.json` is about sha256:"));
    fs::write(&beside, b"{").unwrap();
    assert!(opened.report().faults[0].contains("cannot be understood"));
    fs::remove_file(&beside).unwrap();
    fs::create_dir(&beside).unwrap();
    assert!(opened.report().faults[0].contains("it is no file"));
    let cyclonedx = opened.dir.path().join("app.tar.sbom.cdx.json");
    fs::remove_dir(&beside).unwrap();
    let document = json!({"specVersion": "1.6", "metadata": {"component": {"version": about}}});
    fs::write(&cyclonedx, document.to_string()).unwrap();
    assert_eq!(opened.report().faults, [""; 0]);
}

/// What is gathered of these layers, the last on top.
fn gather(layers: &[Vec<u8>]) -> Result<Files, String> {
    let tars: Vec<_> = layers.to_vec();
    gather_packed(layers, &tars)
}

fn gather_packed(layers: &[Vec<u8>], tars: &[Vec<u8>]) -> Result<Files, String> {
    let mut made = Made::new();
    let image = made.image(["linux", "amd64"], layers, tars);
    made.list(image, "1");
    let opened = Opened::new(&made.tar());
    let file = opened.file().unwrap();
    let report = file.inspect(Depth::Descriptions).unwrap();
    assert_eq!(report.faults, [""; 0]);
    file.gather(&report.images[0].manifests[0], opened.dir.path()).map_err(|e| e.to_string())
}

fn paths(files: &Files) -> Vec<&str> {
    files.texts.keys().chain(files.binaries.keys()).map(String::as_str).collect()
}

const STATUS: &str = "var/lib/dpkg/status";

#[test]
fn upper_layers_replace_and_hide_what_is_below() {
    let base = layer(&[
        (STATUS, b"old"),
        ("var/lib/dpkg/status.d/a", b"a"),
        ("var/lib/dpkg/status.d/b", b"b"),
        ("etc/os-release", b"ID=x"),
        ("app/node_modules/x/package.json", b"{}"),
        ("opt/x/node_modules/y/package.json", b"{}"),
    ]);
    assert_eq!(paths(&gather(std::slice::from_ref(&base)).unwrap()).len(), 6);
    let upper = layer(&[
        // Behind its entries, and still about those below alone.
        ("var/lib/dpkg/status.d/c", b"c"),
        ("var/lib/dpkg/status.d/.wh..wh..opq", b""),
        ("./var/lib/dpkg/status", b"new"),
        ("etc/.wh.os-release", b""),
        ("app/node_modules/.wh.x", b""),
        // A file in the place of a folder.
        ("opt", b""),
    ]);
    let files = gather(&[base, upper]).unwrap();
    assert_eq!(paths(&files), ["/var/lib/dpkg/status", "/var/lib/dpkg/status.d/c"]);
    assert_eq!(files.texts["/var/lib/dpkg/status"], b"new");
    assert!(files.problems.is_empty());
}

#[test]
fn layers_are_read_in_each_compression() {
    let program = [b"\x7fELF".as_slice(), &[7; 5000]].concat();
    let tar = layer(&[
        (STATUS, b"x"),
        ("usr/bin/tool", &program),
        ("usr/bin/script", b"#!/bin/sh"),
        ("usr/bin/other=usr/bin/tool", b""),
        ("opt/empty", b""),
    ]);
    let half = tar.len() / 2;
    let zstd = |bytes: &[u8]| {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    };
    let skipped = [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for packed in [
        tar.clone(),
        gzip(&tar),
        // As tools that can seek in them write them.
        [gzip(&tar[..half]), gzip(&tar[half..])].concat(),
        zstd(&tar),
        [skipped.clone(), zstd(&tar[..half]), zstd(&tar[half..]), skipped].concat(),
    ] {
        let files = gather_packed(&[packed], std::slice::from_ref(&tar)).unwrap();
        let expected = ["/var/lib/dpkg/status", "/usr/bin/other", "/usr/bin/tool"];
        assert_eq!(paths(&files), expected);
        for name in ["/usr/bin/tool", "/usr/bin/other"] {
            let binary = &files.binaries[name];
            let mut found = vec![0; 6000];
            assert_eq!(binary.size_bytes(), program.len() as u64);
            let count = binary.read_at(1, &mut found).unwrap();
            assert_eq!(found[..count], program[1..], "{name}");
            assert_eq!(binary.read_at(1 << 40, &mut found).unwrap(), 0);
        }
    }
}

#[test]
fn links_and_lengths_that_nobody_has_are_problems_or_errors() {
    let interest = crate::sbom::interest("/usr/share/doc/b/copyright", crate::sbom::Origin::Image);
    let crate::sbom::Interest::Text { bytes_max } = interest else { panic!("{interest:?}") };
    let tar = layer(&[
        ("usr/share/doc/a/copyright=etc/passwd", b""),
        ("usr/share/doc/b/copyright", &vec![b'x'; bytes_max as usize + 1]),
        ("../../etc/os-release", b"ID=x"),
    ]);
    let files = gather(&[tar]).unwrap();
    assert_eq!(paths(&files), ["/etc/os-release"]);
    let why: Vec<_> = files.problems.iter().map(|p| (p.path.as_str(), p.why.as_str())).collect();
    let expected = [
        ("/usr/share/doc/a/copyright", "it is another name of `/etc/passwd`"),
        ("/usr/share/doc/b/copyright", &format!("it has more than {bytes_max} bytes")),
    ];
    assert_eq!(why, expected);
    let error = |layer: Vec<u8>| gather(&[layer]).err().expect("it is hostile");
    let huge = tar::tests::header(STATUS, b'0', 60 << 20, "");
    assert!(error(huge).contains("the tar ends in the middle of an entry"));
    assert!(error(vec![b'x'; 600]).contains("it is no tar"));
    let plain = layer(&[(STATUS, b"x")]);
    let mut packed = gzip(&plain);
    packed.truncate(packed.len() / 2);
    assert!(gather_packed(&[packed], &[plain]).is_err());
}

#[test]
fn a_layer_that_does_not_have_its_digest_is_not_read() {
    let tar = layer(&[(STATUS, b"x")]);
    let mut made = Made::new();
    let image =
        made.image(["linux", "amd64"], std::slice::from_ref(&tar), std::slice::from_ref(&tar));
    made.list(image, "1");
    let blob = made.blobs.get_mut(&digest(&tar)).unwrap();
    let at = blob.iter().position(|b| *b == b'x').unwrap();
    blob[at] = b'y';
    let opened = Opened::new(&made.tar());
    let file = opened.file().unwrap();
    let report = file.inspect(Depth::Descriptions).unwrap();
    let error = file.gather(&report.images[0].manifests[0], opened.dir.path());
    assert!(error.err().unwrap().to_string().contains("has another digest"));
}

#[test]
fn what_unpacks_to_more_than_an_image_has_is_given_up() {
    let zeros = gzip(&vec![0; 10 << 20]);
    let opened = Opened::new(&zeros);
    let file = Arc::new(File::open(opened.dir.path().join("app.tar")).unwrap());
    let piece = Piece { file, offset: 0, size_bytes: zeros.len() as u64 };
    let mut layer = decompress::Layer::open(&piece, 1 << 20).unwrap();
    let read = io::copy(&mut layer, &mut io::sink()).expect_err("it is longer");
    assert!(read.to_string().contains("longer than the layers"), "{read}");
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let (made, _) = sound();
    let tar = made.tar();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.tar");
    mutate(&tar, b"\0 017{}[]\":,x\x80\xff", 300, |bytes| {
        fs::write(&path, bytes).unwrap();
        let Ok(file) = ImageFile::open(&path) else { return };
        let Ok(report) = file.inspect(Depth::Whole) else { return };
        for manifest in report.images.iter().flat_map(|image| &image.manifests) {
            drop(file.gather(manifest, dir.path()));
            for attestation in &manifest.attestations {
                drop(file.statement(attestation));
            }
        }
    });
    // What was changed inside a blob is not compared, but read.
    for digest in made.blobs.keys() {
        mutate(&made.blobs[digest], b"\0 017{}[]\":,x\x80\xff", 60, |bytes| {
            let mut changed = made.clone();
            changed.blobs.insert(digest.clone(), bytes.to_vec());
            fs::write(&path, changed.tar()).unwrap();
            let file = ImageFile::open(&path).unwrap();
            drop(file.inspect(Depth::Whole).unwrap());
        });
    }
}
