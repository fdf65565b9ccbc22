//! Where results go: files, streams, names, and nothing else on standard output.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
};

use serde_json::{Value, json};

use crate::support::{
    image::Image,
    workdir::{Workdir, debian},
};

const FILE: [&str; 2] = ["--output", "type=oci,dest=app.tar"];

fn work(name: &str) -> Workdir {
    Workdir::with_spec(&debian(name, &["mkdir /out && echo data >/out/file"]))
}

/// Names of the image, one for each entry of the index.
fn names(image: &Image) -> Vec<String> {
    let index = image.index();
    let entries = index["manifests"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["annotations"]["io.containerd.image.name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_image_in_a_file_is_whole_and_standard_output_stays_empty() {
    let work = work("file");
    for progress in ["plain", "quiet", "tty", "rawjson", "auto"] {
        let run = work.build().args(FILE).args(["--progress", progress]).run().ok();
        assert_eq!(run.stdout_text(), "", "{progress}");
        assert_eq!(run.stderr.is_empty(), progress == "quiet", "{progress}: {}", run.stderr);
        Image::read(&work.path("app.tar")).check();
        fs::remove_file(work.path("app.tar")).unwrap();
    }
}

#[test]
fn dest_dash_streams_the_same_tar_to_standard_output_and_progress_stays_away_from_it() {
    let work = work("stream");
    drop(work.build().args(FILE).run().ok());
    let run = work.build().args(["--output", "type=oci,dest=-", "--progress", "plain"]).run().ok();
    let (stream, file) = (Image::parse(&run.stdout), Image::read(&work.path("app.tar")));
    stream.check();
    assert_eq!(stream.digest(), file.digest());
    drop(run.says(&["exporting to oci image format", &stream.top()]));
    let run = work.build().args(["--output", "type=oci,dest=-", "-q"]).run().ok();
    assert_eq!(Image::parse(&run.stdout).digest(), file.digest(), "no digest is mixed in");
}

#[test]
fn a_reader_that_goes_away_is_a_failed_output() {
    let work = work("gone");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let writer = File::from(std::os::fd::OwnedFd::from(writer));
    let run = work.build().args(["--output", "type=oci,dest=-"]).stdout(writer).run();
    drop(run.ended(6).says(&["error: ", "roken pipe"]));
}

#[test]
fn quiet_prints_the_digest_and_nothing_else() {
    let work = work("quiet");
    let run = work.build().args(FILE).arg("-q").run().ok();
    let digest = Image::read(&work.path("app.tar")).top();
    assert_eq!((run.stdout_text(), &*run.stderr), (&*format!("{digest}\n"), ""));
}

#[test]
fn metadata_and_iid_files_tell_digests_and_names() {
    let work = work("metadata");
    let files = ["--metadata-file", "meta.json", "--iidfile", "iid", "-t", "app:1"];
    drop(work.build().args(FILE).args(files).run().ok());
    let image = Image::read(&work.path("app.tar"));
    let meta: Value = serde_json::from_slice(&fs::read(work.path("meta.json")).unwrap()).unwrap();
    let config = &image.manifest()["config"]["digest"];
    assert_eq!(meta["containerimage.digest"], image.top());
    assert_eq!(meta["containerimage.descriptor"]["digest"], image.top());
    assert_eq!(meta["peelbox.manifest"], image.digest());
    assert_eq!(meta["containerimage.config.digest"], *config);
    assert_eq!(meta["image.name"], "docker.io/library/app:1");
    assert_eq!(meta["peelbox.service"], "metadata");
    assert_eq!(fs::read_to_string(work.path("iid")).unwrap(), config.as_str().unwrap());
}

#[test]
fn every_tag_names_the_image_once_and_the_project_names_it_without_tags() {
    let work = work("tagged");
    let tags = ["-t", "app", "--tag", "app:latest", "--tag", "example.com:5000/team/app:v1.2"];
    drop(work.build().args(FILE).args(tags).run().ok());
    let mut expected = ["docker.io/library/app:latest", "example.com:5000/team/app:v1.2"];
    expected.sort_unstable();
    let mut got = names(&Image::read(&work.path("app.tar")));
    got.sort();
    assert_eq!(got, expected);
    drop(work.build().args(FILE).run().ok());
    assert_eq!(names(&Image::read(&work.path("app.tar"))), ["docker.io/library/tagged:latest"]);
}

#[test]
fn the_spec_and_the_entrypoint_flag_become_the_image_config() {
    let mut spec = debian("config", &["mkdir /out && echo data >/out/file"]);
    spec["runtime"] = json!({
        "base": "scratch",
        "copy": [{ "from": "/out", "to": "/" }],
        "command": ["/app", "--serve"],
        "env": { "MODE": "production" },
        "ports": [8080, 9090],
        "health": { "endpoint": "/healthz" },
        "user": "1000:1000",
        "workdir": "/srv",
        "labels": { "team": "blue" },
        "stop_signal": "SIGQUIT"
    });
    let work = Workdir::with_spec(&spec);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    work.write(".git/HEAD", "ref: refs/heads/main\n");
    work.write(".git/refs/heads/main", format!("{commit}\n"));
    drop(work.build().args(FILE).run().ok());
    let image = Image::read(&work.path("app.tar"));
    let config = &image.config()["config"];
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = json!({
        "User": "1000:1000",
        "ExposedPorts": { "8080/tcp": {}, "9090/tcp": {} },
        "Env": [path, "MODE=production"],
        "Entrypoint": ["/app", "--serve"],
        "WorkingDir": "/srv",
        "Labels": {
            "team": "blue",
            "io.peelbox.health.endpoint": "/healthz",
            "org.opencontainers.image.title": "config",
            "org.opencontainers.image.revision": commit
        },
        "StopSignal": "SIGQUIT"
    });
    assert_eq!(*config, expected);
    let annotations = &image.manifest()["annotations"];
    assert_eq!(annotations["org.opencontainers.image.title"], "config");
    assert_eq!(annotations["org.opencontainers.image.revision"], commit);

    let entrypoint = ["--entrypoint", "[\"/other\", \"a b\"]"];
    drop(work.build().args(FILE).args(entrypoint).run().ok());
    let config = Image::read(&work.path("app.tar")).config();
    assert_eq!(config["config"]["Entrypoint"], json!(["/other", "a b"]));
}

#[test]
fn the_daemons_platform_is_the_default() {
    let work = work("platform");
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    drop(work.build().args(FILE).run().ok());
    let default = Image::read(&work.path("app.tar"));
    assert_eq!(default.config()["architecture"], arch);
    assert_eq!(default.config()["os"], "linux");
    drop(work.build().args(FILE).args(["--platform", &format!("linux/{arch}")]).run().ok());
    assert_eq!(Image::read(&work.path("app.tar")).digest(), default.digest());
}

#[test]
fn an_output_is_replaced_when_a_build_succeeds_and_kept_when_it_fails() {
    let work = work("replace");
    fs::write(work.path("app.tar"), "what was there").unwrap();
    symlink("app.tar", work.path("link.tar")).unwrap();
    let before = File::open(work.path("app.tar")).unwrap();
    let failing = debian("replace", &["mkdir /out; exit 3"]);
    work.set_spec(&failing);
    let output = ["--output", "type=oci,dest=link.tar"];
    drop(work.build().args(output).run().ended(1));
    assert_eq!(fs::read_to_string(work.path("app.tar")).unwrap(), "what was there");
    work.set_spec(&debian("replace", &["mkdir /out"]));
    drop(work.build().args(output).run().ok());
    Image::read(&work.path("app.tar")).check();
    assert!(work.path("link.tar").is_symlink(), "the link is still one");
    // Who has the old file open can read it to its end.
    assert_eq!(std::io::read_to_string(before).unwrap(), "what was there");
}

#[test]
fn type_none_builds_and_writes_nothing() {
    let work = work("none");
    let run = work.build().args(["--output", "type=none"]).run().ok();
    assert_eq!(run.stdout_text(), "");
    let mut left: Vec<_> =
        fs::read_dir(work.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["context", "home", "universalbuild.json"]);
}

#[test]
fn attributes_of_the_exporter_reach_it() {
    let work = work("attributes");
    let output = "type=oci,dest=app.tar,compression=zstd,force-compression=true";
    drop(work.build().args(["--output", output]).run().ok());
    let image = Image::read(&work.path("app.tar"));
    let media_type = image.manifest()["layers"][0]["mediaType"].as_str().unwrap().to_owned();
    assert_eq!(media_type, "application/vnd.oci.image.layer.v1.tar+zstd");
}

#[test]
fn a_spec_comes_from_standard_input_and_a_service_out_of_several() {
    let work = work("unused");
    let services = json!([
        debian("api", &["mkdir /out && echo api >/out/name"]),
        debian("web", &["mkdir /out && echo web >/out/name"]),
    ]);
    let args = ["build", "--spec", "-", "--context", "context", "--service", "web", "-q"];
    let run = work
        .peelbox()
        .args(args)
        .args(FILE)
        .args(["--buildkit", &crate::support::daemon::newest()])
        .stdin(services.to_string())
        .run()
        .ok();
    let image = Image::read(&work.path("app.tar"));
    assert_eq!(run.stdout_text().trim(), image.top());
    assert_eq!(names(&image), ["docker.io/library/web:latest"]);
}
