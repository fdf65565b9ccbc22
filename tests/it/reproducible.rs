//! The same input gives the same image, wherever and whenever it is built.

use std::{
    fs::{self, FileTimes},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    image::Image,
    workdir::{DEBIAN, Workdir, debian},
};

const EPOCH: &str = "1700000000";

/// A compiled program on scratch, and sources on a base.
fn go_and_sources() -> [Value; 2] {
    let go = json!({
        "version": "1.0",
        "metadata": { "project_name": "hello" },
        "build": {
            "base": "docker.io/library/golang:1.26-bookworm",
            "env": { "CGO_ENABLED": "0" },
            "commands": ["go build -trimpath -o /out/hello ."]
        },
        "runtime": {
            "base": "scratch",
            "copy": [{ "from": "/out/hello", "to": "/hello" }],
            "files": [{ "path": "/etc/hello/settings", "content": "loud\n" }],
            "command": ["/hello"]
        }
    });
    let sources = json!({
        "version": "1.0",
        "metadata": { "project_name": "hello" },
        "build": {
            "base": DEBIAN,
            "commands": ["mkdir -p out/a && cp *.go out/a && ln -s a out/b"],
            "files": [{ "path": "spec.go", "content": "package main\n" }]
        },
        "runtime": {
            "base": DEBIAN,
            "copy": [{ "from": "out", "to": "/srv/app/" }, { "from": "main.go", "to": "/srv/" }],
            "files": [
                { "path": "/usr/local/bin/start", "content": "#!/bin/sh\n", "mode": "0755" },
                { "path": "/var/lib/new/state", "content": "" },
                { "path": "/srv/app/settings", "content": "loud\n" }
            ],
            "command": ["cat", "/srv/main.go"]
        }
    });
    [go, sources]
}

/// The same tree in a folder of its own, with file times of its own.
fn copy(spec: &Value, age: Duration) -> Workdir {
    let work = Workdir::with_spec(spec);
    work.write("go.mod", "module example.com/hello\n\ngo 1.26\n");
    work.write("main.go", "package main\n\nfunc main() { println(\"hello\") }\n");
    for file in ["go.mod", "main.go"] {
        let file = fs::File::open(work.context().join(file)).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_times(FileTimes::new().set_modified(written - age)).unwrap();
    }
    work
}

#[test]
fn with_source_date_epoch_two_copies_built_anew_give_the_same_manifest() {
    for spec in go_and_sources() {
        let images = [0, 86_400].map(|age| {
            let work = copy(&spec, Duration::from_secs(age));
            let args = ["--no-cache", "--output", "type=oci,dest=app.tar"];
            drop(work.build().args(args).env("SOURCE_DATE_EPOCH", EPOCH).run().ok());
            Image::read(&work.path("app.tar"))
        });
        let [one, two] = &images;
        assert_eq!(one.config(), two.config());
        assert_eq!(one.digest(), two.digest(), "{:#}\n{:#}", one.manifest(), two.manifest());
        assert_eq!(one.config()["created"], "2023-11-14T22:13:20Z");
    }
}

#[test]
fn without_source_date_epoch_a_rebuild_from_the_cache_gives_the_same_manifest() {
    for mut spec in go_and_sources() {
        let work = copy(&spec, Duration::ZERO);
        // The cache may give what somebody beside us builds anew of the same content.
        work.write("own.go", format!("package main\n\n// {}\n", work.root().display()));
        spec["runtime"]["files"][0]["content"] = json!(work.root().display().to_string());
        work.set_spec(&spec);
        let digests = ["one.tar", "two.tar"].map(|name| {
            let output = format!("type=oci,dest={name}");
            drop(work.build().args(["--output", &output]).run().ok());
            Image::read(&work.path(name)).digest()
        });
        assert_eq!(digests[0], digests[1]);
    }
}

#[test]
fn an_epoch_that_is_no_number_of_seconds_is_refused() {
    let work = Workdir::with_spec(&debian("epoch", &["true"]));
    for epoch in ["yesterday", "-1", "1.5", "99999999999999999999"] {
        let run =
            work.build().args(["--output", "type=none"]).env("SOURCE_DATE_EPOCH", epoch).run();
        drop(run.ended(2).says(&["SOURCE_DATE_EPOCH", epoch]));
    }
}
