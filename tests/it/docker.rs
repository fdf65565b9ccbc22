//! Built by the BuildKit inside a Docker Engine, which then has the image.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    buildctl,
    daemon::variable,
    docker::Engine,
    image::Image,
    middle::Middle,
    peelbox::{Peelbox, Run},
    wait::eventually,
    workdir::{DEBIAN, Workdir, debian},
};

/// How long an engine may take to start or end a step.
const PATIENCE: Duration = Duration::from_secs(20);

/// A build of that place that names nothing but the engine.
fn build(work: &Workdir, host: &str) -> Peelbox {
    let spec = work.spec().to_str().unwrap();
    work.peelbox().args(["build", "--spec", spec, "--context", "context"]).env("DOCKER_HOST", host)
}

/// The header that says who builds comes once, and is no warning.
fn check_header(run: &Run, host: &str) {
    let lines: Vec<&str> =
        run.stderr.lines().filter(|line| line.contains("Using Docker's BuildKit")).collect();
    let [line] = lines[..] else { panic!("{}", run.stderr) };
    assert!(line.contains("Using Docker's BuildKit v0."), "{line}");
    assert!(line.contains(" (Docker Engine 29."), "{line}");
    assert!(line.ends_with(&format!(" at {host})")), "{line}");
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
}

/// What the example's spec says, as Docker shows it.
fn check_config(image: &Value) {
    let config = &image["Config"];
    assert_eq!(config["User"], "node");
    assert_eq!(config["WorkingDir"], "/app");
    assert_eq!(config["Entrypoint"], json!(["node", "server.js"]));
    assert!(config["Cmd"].is_null(), "{config}");
    assert_eq!(config["ExposedPorts"], json!({ "3000/tcp": {} }));
    let env = config["Env"].as_array().unwrap();
    assert!(env.contains(&json!("NODE_ENV=production")) && env.contains(&json!("PORT=3000")));
    let labels = &config["Labels"];
    assert_eq!(labels["io.peelbox.health.endpoint"], "/health");
    assert_eq!(labels["org.opencontainers.image.title"], "node-express");
    assert_eq!(image["Os"], "linux");
}

/// The whole life of an image: built, run, built again, changed.
fn check_example(engine: &Engine) {
    let work = Workdir::example("node-express");
    let tags = [engine.tag("one"), engine.tag("two")];
    let named = ["--tag", &tags[0], "--tag", &tags[1]];
    let build = || build(&work, engine.host()).args(named);
    let loaded_into = format!("at {}", engine.host());

    let run = build().args(["--progress", "plain"]).run().ok();
    check_header(&run, engine.host());
    let run = run.says(&["loaded into ", " Docker Engine 29.", &loaded_into, &tags[0], &tags[1]]);
    assert!(!run.stderr.contains("unchanged"), "{}", run.stderr);
    assert_eq!(run.stdout_text(), "");
    let id = engine.id(&tags[0]).unwrap();
    assert_eq!(engine.id(&tags[1]).unwrap(), id);
    check_config(&engine.image(&id).unwrap());
    let service = engine.run(&tags[1], 3000);
    let (status, body) = service.get("/");
    assert!(status.contains(" 200 ") && body.starts_with("Hello from node-express"), "{body}");
    let check = &engine.image(&id).unwrap()["Config"]["Healthcheck"]["Test"];
    assert_eq!(check[0], "CMD-SHELL", "{check}");
    service.shell(check[1].as_str().unwrap());
    drop(service);

    let files = ["--quiet", "--iidfile", "id", "--metadata-file", "meta.json"];
    let run = build().args(files).run().ok();
    assert_eq!(run.stderr, "");
    // An index with a provenance is another one each time.
    let id = engine.id(&tags[0]).unwrap();
    assert_eq!(fs::read_to_string(work.path("id")).unwrap(), id, "the id that Docker knows");
    let meta: Value = serde_json::from_slice(&fs::read(work.path("meta.json")).unwrap()).unwrap();
    assert_eq!(run.stdout_text().trim_end(), meta["containerimage.digest"].as_str().unwrap());
    assert_eq!(meta["containerimage.digest"], *id);

    let run = build().args(["--progress", "plain"]).run().ok();
    drop(run.says(&["7 steps, all cached", &format!("{loaded_into}, unchanged\n")]));

    // The store of containerd forgets an image that has no name.
    let id = engine.id(&tags[0]).unwrap();
    let kept = engine.tag("kept");
    engine.ask(&["tag", &id, &kept]);
    let source = fs::read_to_string(work.context().join("server.js")).unwrap();
    let edited = format!("Edited {} says", work.root().display());
    work.write("server.js", source.replacen("Hello from", &edited, 1));
    let run = build().args(["--progress", "rawjson", "--tag", &engine.tag("raw")]).run().ok();
    let steps = run.steps();
    for part in ["copy package.json, package-lock.json", "npm ci"] {
        assert!(steps.is_cached(part), "`{part}` does not depend on the source: {steps:#?}");
    }
    assert!(!steps.is_cached("copy context"), "{steps:#?}");
    assert_ne!(engine.id(&tags[0]).unwrap(), id);
    assert!(engine.run(&tags[0], 3000).get("/").1.starts_with(&edited));
    // The name moves, the steps are cached: what Docker has under that name is another image than before.
    engine.ask(&["tag", &kept, &tags[0]]);
    let run = build().args(["--progress", "plain"]).run().ok().says(&["7 steps, all cached"]);
    assert!(!run.stderr.contains("unchanged"), "{}", run.stderr);
}

#[test]
fn docker_builds_an_image_and_has_it_under_every_tag() {
    check_example(&Engine::containerd("embedded"));
}

#[test]
fn docker_with_the_classic_store_builds_an_image_and_has_it_under_every_tag() {
    check_example(&Engine::classic("embedded"));
}

/// On an image that is a folder of the context.
fn on_layout(name: &str) -> Workdir {
    let work = Workdir::with_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": { "base": "oci-layout://base", "commands": ["echo $FROM_LAYOUT >answer"] },
        "runtime": {
            "base": "oci-layout://base",
            "copy": [{ "from": "answer", "to": "/srv/" }],
            "command": ["cat", "/srv/answer"]
        }
    }));
    work.write(".dockerignore", "base\ndockerfile\n");
    work.write("dockerfile/Dockerfile", format!("FROM {DEBIAN}\nENV FROM_LAYOUT={name}\n"));
    let folder = "context/dockerfile";
    let output = "type=oci,tar=false,name=base:v1,dest=context/base";
    buildctl::dockerfile(&work, folder, folder, output);
    work
}

#[test]
fn docker_builds_on_an_image_of_the_context_and_writes_files() {
    let engine = Engine::containerd("layout");
    let tag = engine.tag("1");
    let work = on_layout("docker-layout");
    let build = |output: &str, args: &[&str]| {
        let build = build(&work, engine.host()).args(["--tag", &tag, "--progress", "plain"]);
        build.args(["--output", output]).args(args).run().ok()
    };
    drop(build("type=oci,dest=oci.tar", &[]));
    Image::read(&work.path("oci.tar")).check();
    let run = build("type=docker,dest=docker.tar", &[]);
    check_header(&run, engine.host());
    assert_eq!(engine.id(&tag), None, "what is written to a file is not in Docker");
    engine.load(&work.path("docker.tar"));
    assert_eq!(engine.output_of(&tag), "docker-layout");
    let run = build("type=docker", &["--no-sbom", "--no-provenance"]);
    let run = run.says(&["3 steps, all cached"]);
    assert!(run.stderr.contains(", unchanged\n"), "it is the image of the file: {}", run.stderr);
    let run = build("type=docker", &[]);
    assert!(!run.stderr.contains(", unchanged\n"), "that had no SBOM: {}", run.stderr);
}

#[test]
fn what_docker_with_the_classic_store_cannot_do_is_told_before_the_build() {
    let engine = Engine::classic("refused");
    let refused = |work: &Workdir, output: &str, expected: &str| {
        let tag = engine.tag("1");
        let build = build(work, engine.host()).args(["--tag", &tag, "--output", output]);
        let run = build.args(["--progress", "plain"]).run().ended(4);
        let run = run.says(&[expected, "classic image store", "Docker Engine 29.", "\nhint: "]);
        assert!(run.stderr.contains(engine.host()) && run.stderr.contains("--buildkit ADDRESS"));
        assert!(!run.stderr.contains("#1 "), "nothing of the build: {}", run.stderr);
        assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
    };
    let work = Workdir::with_spec(&debian("classic-files", &["mkdir /out"]));
    for output in ["type=oci,dest=app.tar", "type=docker,dest=app.tar", "type=oci,dest=-"] {
        refused(&work, output, "cannot write an image to a file");
        assert!(!work.path("app.tar").exists());
    }
    refused(&work, "type=registry", "cannot push an image while it builds");
    let work = on_layout("classic-layout");
    refused(&work, "type=docker", "`oci-layout://base` (build.base, runtime.base)");
    let spec = work.spec().to_str().unwrap();
    let plan = work.peelbox().args(["plan", "--spec", spec, "--context", "context"]);
    let run = plan.env("DOCKER_HOST", engine.host()).run().ended(4);
    drop(run.says(&["`oci-layout://base`", "classic image store"]));
}

#[test]
fn type_none_builds_in_docker_and_leaves_no_image() {
    let engine = Engine::classic("none");
    let work = Workdir::with_spec(&debian("docker-none", &["mkdir /out"]));
    let build =
        build(&work, engine.host()).args(["--tag", &engine.tag("1"), "--output", "type=none"]);
    let run = build.args(["--progress", "plain"]).run().ok();
    check_header(&run, engine.host());
    assert!(!run.stderr.contains("loaded into"), "{}", run.stderr);
    assert_eq!(engine.tags(), Vec::<String>::new());
}

#[test]
fn ctrl_c_ends_a_step_that_runs_in_docker() {
    let engine = Engine::containerd("interrupted");
    let seconds = format!("1000.{}", std::process::id());
    let command = format!("echo under way since $((40 + 2)); sleep {seconds}");
    let work = Workdir::with_spec(&debian("docker-interrupted", &[&command]));
    let is_running = || {
        let expected = format!("sleep\0{seconds}\0").into_bytes();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut commands = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        commands.any(|command| command == expected)
    };
    let mut running = build(&work, engine.host()).args(["--tag", &engine.tag("1")]).start();
    running.wait_for("under way since 42");
    eventually("the step runs", PATIENCE, || is_running().then_some(()));
    let sent = Instant::now();
    running.signal(Signal::INT);
    let run = running.finish().ended(130).says(&["interrupted"]);
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}\n{}", sent.elapsed(), run.stderr);
    eventually("the step is gone", PATIENCE, || (!is_running()).then_some(()));
    assert_eq!(engine.tags(), Vec::<String>::new());
}

#[test]
fn an_engine_before_direct_grpc_is_asked_for_an_upgrade() {
    for engine in [Engine::containerd("upgrade"), Engine::classic("upgrade")] {
        let tag = engine.tag("1");
        let work = Workdir::with_spec(&debian("docker-upgrade", &["mkdir /out && date >/out/now"]));
        let old = Middle::old(&work.path("old.sock"), engine.socket(), "1.44");
        let run =
            build(&work, old.address()).args(["--tag", &tag, "--progress", "plain"]).run().ok();
        check_header(&run, old.address());
        assert!(old.was_asked("POST /grpc HTTP/1.1"));
        assert!(engine.id(&tag).is_some());
        // The same engine without that: no upgrade, which is deprecated.
        let new = Middle::old(&work.path("new.sock"), engine.socket(), "1.56");
        let again =
            || build(&work, new.address()).args(["--tag", &tag, "--progress", "plain"]).run().ok();
        // What is remembered is remembered of an address.
        drop(again());
        drop(again().says(&[", unchanged\n"]));
        assert!(!new.was_asked("POST /grpc") && new.was_asked("PRI * HTTP/2.0"));
    }
}

/// A build that reaches Docker over TLS, with the files of the folder.
fn over_tls(work: &Workdir, files: &str) -> Peelbox {
    let build = build(work, &variable("PEELBOX_TEST_DOCKER_TLS")).env("DOCKER_TLS_VERIFY", "1");
    build.env("DOCKER_CERT_PATH", files).args(["--progress", "plain"])
}

#[test]
fn docker_is_reached_over_tls() {
    let engine = Engine::containerd("tls");
    let (host, tls) = (variable("PEELBOX_TEST_DOCKER_TLS"), variable("PEELBOX_TEST_TLS_DIR"));
    let work = Workdir::with_spec(&debian("docker-tls", &["mkdir /out && date >/out/now"]));
    let tag = engine.tag("1");
    let run = over_tls(&work, &tls).args(["--tag", &tag]).run().ok();
    check_header(&run, &host);
    assert!(engine.id(&tag).is_some());
    // As the place for an image that another daemon makes.
    let tag = engine.tag("loaded");
    let load = over_tls(&work, &tls).args(["--tag", &tag, "--buildkit"]);
    let run = load.arg(variable("PEELBOX_TEST_BUILDKIT")).run().ok();
    drop(run.says(&["loading into docker", &format!(" at {host}\n")]));
    assert!(engine.id(&tag).is_some());
}

#[test]
fn a_docker_that_is_not_reached_over_tls_is_told_with_the_reason() {
    let (host, tls) = (variable("PEELBOX_TEST_DOCKER_TLS"), variable("PEELBOX_TEST_TLS_DIR"));
    let work = Workdir::with_spec(&debian("docker-no-tls", &["true"]));
    let folder = |name: &str, files: &[(&str, &str)]| {
        fs::create_dir(work.path(name)).unwrap();
        for (from, to) in files {
            fs::copy(format!("{tls}/{from}"), work.path(name).join(to)).unwrap();
        }
        work.path(name).to_str().unwrap().to_owned()
    };
    let check = |run: Run, reason: &str, hint: &str| {
        let line = format!("\n  Docker at {host} (from `DOCKER_HOST`): {reason}");
        let run = run.ended(3).says(&[&line, &format!("\nhint: {hint}")]);
        assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
    };
    let certificates = "look at the certificates in `DOCKER_CERT_PATH`";
    let anonymous = folder("anonymous", &[("ca.pem", "ca.pem")]);
    let reason = "no TLS connection: the server wants a client certificate";
    check(over_tls(&work, &anonymous).run(), reason, certificates);
    let strange = [("other/ca.pem", "ca.pem"), ("cert.pem", "cert.pem"), ("key.pem", "key.pem")];
    let reason = "no TLS connection: the server's certificate";
    check(over_tls(&work, &folder("strange", &strange)).run(), reason, certificates);
    let stranger =
        [("ca.pem", "ca.pem"), ("other/cert.pem", "cert.pem"), ("other/key.pem", "key.pem")];
    let reason = "no TLS connection: ";
    check(over_tls(&work, &folder("stranger", &stranger)).run(), reason, certificates);
    let reason = "no TLS connection: the server speaks TLS";
    check(build(&work, &host).run(), reason, "set `DOCKER_TLS_VERIFY=1`");
}
