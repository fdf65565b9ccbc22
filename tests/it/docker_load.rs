//! Built by a BuildKit of its own, then loaded into a Docker Engine.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    daemon,
    docker::Engine,
    image::Image,
    middle::{Load, Middle},
    peelbox::{Peelbox, Run},
    workdir::{DEBIAN, PYTHON, Workdir, debian},
};

/// What the questions to an engine may have; the smallest image has more.
const QUESTIONS_BYTES_MAX: u64 = 100_000;

/// An image nobody has made before, on Debian.
fn image(name: &str) -> Workdir {
    let work = Workdir::new();
    work.set_spec(&json!({
        "version": "1.0",
        "metadata": { "project_name": name },
        "build": {
            "base": DEBIAN,
            "commands": [format!("mkdir /out && echo '{}' >/out/index.html", work.root().display())]
        },
        "runtime": {
            "base": DEBIAN,
            "copy": [{ "from": "/out", "to": "/srv" }],
            "command": ["cat", "/srv/index.html"]
        }
    }));
    work
}

/// A build for Docker by that builder.
fn build(work: &Workdir, builder: &str, host: &str, tags: &[&str]) -> Peelbox {
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--buildkit", builder];
    let tags = tags.iter().flat_map(|tag| ["--tag", tag]);
    work.peelbox().args(args).args(tags).env("DOCKER_HOST", host)
}

/// Nothing of the image was sent, or even said to be.
fn check_unchanged(run: &Run) {
    let text = &run.stderr;
    assert!(text.contains(", unchanged\n"), "{text}");
    let step = text.lines().find_map(|line| line.strip_suffix(" loading into docker")).unwrap();
    assert!(text.contains(&format!("\n{step} CACHED\n")), "{text}");
    assert!(!text.contains(&format!("\n{step} sending tarball")), "{text}");
}

fn check_load(builder: &str, engine: &Engine) {
    let work = image("loaded");
    let mut spec: Value = serde_json::from_slice(&fs::read(work.spec()).unwrap()).unwrap();
    spec["runtime"]["base"] = json!(PYTHON);
    spec["runtime"]["workdir"] = json!("/srv");
    spec["runtime"]["command"] = json!(["python3", "-m", "http.server", "8000"]);
    spec["runtime"]["ports"] = json!([8000]);
    work.set_spec(&spec);
    let (one, two) = (engine.tag("one"), engine.tag("two"));
    // What goes to the engine is counted for each build.
    let through = |socket: &str, args: &[&str]| {
        let middle = Middle::start(&work.path(socket), engine.socket(), Load::Pass);
        let build = build(&work, builder, middle.address(), &[&one, &two]).args(args);
        (build.run().ok(), middle.sent_bytes())
    };
    let plain = ["--progress", "plain"];

    let (run, sent_bytes) = through("first.sock", &plain);
    let place = format!("at unix://{}", work.path("first.sock").display());
    let run = run.says(&["loading into docker", "loaded into ", " Docker Engine 29.", &place]);
    assert!(!run.stderr.contains("unchanged"), "{}", run.stderr);
    assert!(sent_bytes > 10_000_000, "{sent_bytes}");
    let id = engine.id(&one).unwrap();
    assert_eq!(engine.id(&two).unwrap(), id);
    assert_eq!(engine.image(&id).unwrap()["Config"]["WorkingDir"], "/srv");
    let service = engine.run(&two, 8000);
    assert_eq!(service.get("/index.html").1.trim_end(), work.root().to_str().unwrap());
    drop(service);

    let (run, sent_bytes) = through("second.sock", &plain);
    check_unchanged(&run);
    assert!(sent_bytes < QUESTIONS_BYTES_MAX, "{sent_bytes}");

    engine.ask(&["rmi", &two]);
    let files = ["--quiet", "--iidfile", "id", "--metadata-file", "meta.json"];
    let (run, sent_bytes) = through("third.sock", &files);
    assert!(sent_bytes < QUESTIONS_BYTES_MAX, "{sent_bytes}");
    assert_eq!(engine.id(&two).unwrap(), id);
    assert_eq!(run.stderr, "");
    assert_eq!(fs::read_to_string(work.path("id")).unwrap(), id, "the id that Docker knows");
    let meta: Value = serde_json::from_slice(&fs::read(work.path("meta.json")).unwrap()).unwrap();
    assert_eq!(run.stdout_text().trim_end(), id);
    assert_eq!(meta["image.name"], format!("docker.io/library/{one},docker.io/library/{two}"));

    // Another image under the same names.
    spec["runtime"]["env"] = json!({ "CHANGED": "yes" });
    work.set_spec(&spec);
    let (run, _) = through("changed.sock", &[&plain[..], &["--iidfile", "id"]].concat());
    assert!(!run.stderr.contains("unchanged"), "{}", run.stderr);
    let changed = engine.id(&one).unwrap();
    assert_ne!(changed, id);
    assert_eq!(fs::read_to_string(work.path("id")).unwrap(), changed);
    engine.ask(&["rmi", "--force", &id]);
}

#[test]
fn an_image_of_the_newest_buildkit_is_loaded_into_docker_once() {
    check_load(&daemon::newest(), &Engine::containerd("load"));
}

#[test]
fn an_image_of_the_newest_buildkit_is_loaded_into_the_classic_store_once() {
    check_load(&daemon::newest(), &Engine::classic("load"));
}

#[test]
fn an_image_of_the_oldest_buildkit_is_loaded_into_docker_once() {
    check_load(&daemon::oldest(), &Engine::containerd("load-oldest"));
}

#[test]
fn an_image_of_the_oldest_buildkit_is_loaded_into_the_classic_store_once() {
    check_load(&daemon::oldest(), &Engine::classic("load-oldest"));
}

#[test]
fn a_tar_for_docker_needs_no_docker_and_is_taken_by_every_store() {
    let engines = [Engine::containerd("tar"), Engine::classic("tar")];
    let tag = engines[0].tag("1");
    for builder in [daemon::newest(), daemon::oldest()] {
        let work = image("tar");
        let build = |output: &str| {
            let build = build(&work, &builder, "unix:///nowhere.sock", &[&tag]);
            build.args(["--output", output, "--progress", "plain"]).run().ok()
        };
        drop(build("type=docker,dest=app.tar").says(&["written to", "app.tar"]));
        let run = build("type=docker,dest=-");
        fs::write(work.path("stdout.tar"), &run.stdout).unwrap();
        assert_eq!(Image::parse(&run.stdout).digest(), Image::read(&work.path("app.tar")).digest());
        for engine in &engines {
            for file in ["app.tar", "stdout.tar"] {
                assert_eq!(engine.load(&work.path(file)), format!("Loaded image: {tag}"));
                assert_eq!(engine.output_of(&tag), work.root().to_str().unwrap());
                engine.ask(&["rmi", &tag]);
            }
        }
    }
}

/// The image does not get into the engine, for that reason; nothing of it is there afterwards.
fn check_failure(engine: &Engine, load: Load, reasons: &[&str]) {
    let work = image("failing");
    let tag = engine.tag("never");
    let digest = digest(&work);
    let middle = Middle::start(&work.path("middle.sock"), engine.socket(), load);
    let build = build(&work, &daemon::newest(), middle.address(), &[&tag]);
    let run = build.args(["--progress", "plain", "--metadata-file", "meta.json"]).run().ended(6);
    assert!(run.elapsed < Duration::from_secs(30), "{load:?}: {:?}\n{}", run.elapsed, run.stderr);
    let place = format!("\nerror: cannot load the image into Docker at {}: ", middle.address());
    let run = run.says(&[&place]).says(reasons);
    assert!(!run.stderr.contains("loaded into"), "{load:?}: {}", run.stderr);
    assert!(!work.path("meta.json").exists());
    drop(middle);
    check_nothing(engine, &digest);
}

/// Digest of the image's manifest and of its config.
fn digest(work: &Workdir) -> [String; 2] {
    let build = build(work, &daemon::newest(), "unix:///nowhere.sock", &[]);
    drop(build.args(["--output", "type=docker,dest=whole.tar", "--quiet"]).run().ok());
    let image = Image::read(&work.path("whole.tar"));
    fs::remove_file(work.path("whole.tar")).unwrap();
    [image.digest(), image.manifest()["config"]["digest"].as_str().unwrap().to_owned()]
}

fn check_nothing(engine: &Engine, digests: &[String]) {
    assert_eq!(engine.tags(), Vec::<String>::new());
    for digest in digests {
        assert_eq!(engine.image(digest), None, "not even without a name");
    }
}

const CLOSED: &str = "it closed the connection\n";

#[test]
fn an_engine_that_dies_while_an_image_comes_is_told_and_has_nothing_of_it() {
    for engine in [Engine::containerd("cut"), Engine::classic("cut")] {
        check_failure(&engine, Load::Cut(1), &[CLOSED]);
        check_failure(&engine, Load::Cut(5_000_000), &[CLOSED]);
    }
}

#[test]
fn an_engine_that_dies_while_it_unpacks_is_told_and_has_nothing_of_it() {
    for engine in [Engine::containerd("cut-end"), Engine::classic("cut-end")] {
        check_failure(&engine, Load::CutAtTheEnd, &[CLOSED]);
    }
}

#[test]
fn what_an_engine_says_instead_of_taking_an_image_is_shown() {
    let engine = Engine::containerd("refuses");
    let full = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n{\"message\":\"no space left on device!\"}";
    check_failure(&engine, Load::Answer(2_000_000, full), &["no space left on device!\n"]);
    let late = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n49\r\n{\"errorDetail\":{\"message\":\"bad archive\"},\"error\":\"bad archive: what now\"}\r\n0\r\n\r\n";
    check_failure(&engine, Load::Answer(2_000_000, late), &["bad archive: what now\n"]);
    check_failure(&engine, Load::Answer(2_000_000, "nonsense\r\n\r\n"), &["HTTP"]);
}

#[test]
fn ctrl_c_ends_a_load_that_does_not_go_on() {
    let engine = Engine::containerd("interrupted");
    for load in [Load::Freeze(1), Load::Freeze(3_000_000), Load::FreezeAtTheEnd] {
        let work = image("interrupted");
        let tag = engine.tag("never");
        let digest = digest(&work);
        let middle = Middle::start(&work.path("middle.sock"), engine.socket(), load);
        let build = build(&work, &daemon::newest(), middle.address(), &[&tag]);
        let mut running = build.args(["--progress", "plain"]).start();
        running.wait_for("loading into docker");
        middle.wait_for_freeze();
        let sent = Instant::now();
        running.signal(Signal::INT);
        let run = running.finish().ended(130);
        let took = sent.elapsed();
        assert!(took < Duration::from_secs(5), "{load:?}: {took:?}\n{}", run.stderr);
        drop((run.says(&["interrupted"]), middle));
        check_nothing(&engine, &digest);
    }
}

#[test]
fn a_build_that_fails_leaves_the_image_in_docker_as_it_was() {
    let engine = Engine::containerd("failed");
    let tag = engine.tag("1");
    let work = image("failed-before");
    drop(build(&work, &daemon::newest(), engine.host(), &[&tag]).run().ok());
    let id = engine.id(&tag);
    work.set_spec(&debian("failed-now", &["exit 3"]));
    let run = build(&work, &daemon::newest(), engine.host(), &[&tag]).run().ended(1);
    assert!(!run.stderr.contains("loading into docker"), "{}", run.stderr);
    assert_eq!(engine.id(&tag), id);
}

/// Nothing was asked of the daemon: no line of progress.
fn check_refusal(run: Run, code: i32, says: &[&str]) {
    let run =
        run.ended(code).says(&["error: there is no Docker to load the image into\n"]).says(says);
    let first = run.stderr.lines().next().unwrap();
    assert!(first.starts_with("error: "), "nothing was built: {}", run.stderr);
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
}

#[test]
fn without_a_docker_nothing_is_built_and_the_hint_names_a_file() {
    let work = Workdir::with_spec(&debian("no-docker", &["true"]));
    let absent = work.path("absent.sock");
    let host = format!("unix://{}", absent.display());
    let hint = "\nhint: start that Docker, or unset `DOCKER_HOST` to try the usual sockets; or add `--output type=oci,dest=app.tar`";
    let named = format!("\n  Docker at {host} (from `DOCKER_HOST`): there is no such socket");
    let usual =
        "\n  Docker at unix:///var/run/docker.sock (Docker's default): there is no such socket";
    let run = build(&work, &daemon::newest(), &host, &[]).alone(&work).run();
    check_refusal(run, 3, &[&named, usual, hint]);
    let run = build(&work, &daemon::newest(), "", &[]).alone(&work).run();
    // What comes before depends on what is installed.
    check_refusal(run, 3, &[usual, "; or add `--output type=oci,dest=app.tar`"]);
}

#[test]
fn an_old_docker_is_no_place_for_an_image() {
    let host = daemon::variable("PEELBOX_TEST_DOCKER_OLD");
    let work = Workdir::with_spec(&debian("old-docker-load", &["true"]));
    let run = build(&work, &daemon::newest(), &host, &[]).alone(&work).run();
    let reason = format!("\n  Docker at {host} (from `DOCKER_HOST`): Docker Engine 20.10.");
    check_refusal(run, 4, &[&reason, "Docker 24 or newer", "type=oci,dest="]);
}

/// The most memory a process has had so far, in KiB; `None` when it has ended.
fn peak_kib(pid: u32) -> Option<u64> {
    let status =
        fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn an_image_on_its_way_into_docker_is_never_held_in_memory() {
    let engine = Engine::containerd("large");
    let mut spec = debian("large", &["mkdir /out && head -c 256M /dev/zero >/out/zeros"]);
    spec["build"]["env"]["PROCESS"] = json!(std::process::id().to_string());
    let work = Workdir::with_spec(&spec);
    let middle = Middle::start(&work.path("middle.sock"), engine.socket(), Load::Pass);
    let tag = engine.tag("1");
    let build = build(&work, &daemon::newest(), middle.address(), &[&tag]);
    let mut running = build.args(["--output", "type=docker,compression=uncompressed"]).start();
    let pid = running.pid().as_raw_nonzero().get().unsigned_abs();
    let mut most_kib = 0;
    while !running.has_ended() {
        most_kib = most_kib.max(peak_kib(pid).unwrap_or_default());
        thread::park_timeout(Duration::from_millis(10));
    }
    drop(running.finish().ok());
    assert!(middle.sent_bytes() > 256 << 20, "{}", middle.sent_bytes());
    // A debug build needs twice what a release build does, which has 20 MiB here.
    assert!((1..48 << 10).contains(&most_kib), "{most_kib} KiB");
}
