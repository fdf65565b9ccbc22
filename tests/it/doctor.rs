//! `peelbox doctor`: what it says of real engines and daemons is what a build then does.

use serde_json::Value;

use crate::support::{daemon::variable, peelbox::Run, workdir::Workdir};

/// `peelbox doctor` where Docker is at the address of that variable.
fn doctor(docker: &str, args: &[&str]) -> Run {
    let work = Workdir::new();
    let host = variable(docker);
    work.peelbox().arg("doctor").args(args).env("DOCKER_HOST", &host).run()
}

/// The facts of the first place that can build.
fn facts(docker: &str, args: &[&str]) -> (Value, Value) {
    let run = doctor(docker, &[args, &["--format", "json"]].concat()).ok();
    let report: Value = serde_json::from_str(run.stdout_text()).unwrap();
    let at = usize::try_from(report["builder"].as_u64().unwrap()).unwrap();
    (report["places"][at].clone(), report)
}

#[test]
fn an_engine_is_told_with_its_store_and_what_follows_from_it() {
    for (docker, store, can, snapshotter) in [
        ("PEELBOX_TEST_DOCKER", "containerd", true, Some("overlayfs")),
        ("PEELBOX_TEST_DOCKER_GRAPH", "classic (graph driver)", false, None),
    ] {
        let (place, report) = facts(docker, &[]);
        let host = variable(docker);
        assert_eq!(place["place"], format!("Docker at {host}"));
        assert_eq!(place["from"], "from `DOCKER_HOST`");
        assert!(place["docker"]["version"].as_str().unwrap().starts_with("29."), "{place}");
        let buildkit = &place["buildkit"];
        assert!(buildkit["version"].as_str().unwrap().starts_with("v0."), "{place}");
        assert_eq!(buildkit["imageStore"], store);
        assert_eq!(buildkit["attestations"], can);
        assert_eq!(buildkit["multiPlatform"], can);
        assert_eq!(buildkit["snapshotter"].as_str(), snapshotter);
        assert_eq!(buildkit["cacheExports"][0], "inline");
        assert!(buildkit["platforms"][0].as_str().unwrap().starts_with("linux/"), "{place}");
        assert!(report["docker"].as_str().unwrap().ends_with(&host), "{report}");
    }
}

#[test]
fn a_daemon_that_was_named_builds_and_docker_gets_the_image() {
    let address = variable("PEELBOX_TEST_BUILDKIT");
    let (place, report) = facts("PEELBOX_TEST_DOCKER_GRAPH", &["--buildkit", &address]);
    assert_eq!(place["place"], address);
    assert_eq!(place["buildkit"]["snapshotter"], "overlayfs");
    let docker = report["docker"].as_str().unwrap();
    assert!(docker.ends_with(&variable("PEELBOX_TEST_DOCKER_GRAPH")), "{report}");
    let run = doctor("PEELBOX_TEST_DOCKER", &["--buildkit", &address]).ok();
    let text = run.stdout_text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("  PLACE"), "{text}");
    assert!(lines[1].starts_with(&format!("* {address}")), "{text}");
    assert!(lines[2].contains("from `DOCKER_HOST`") && lines[2].contains("for images"), "{text}");
    assert!(text.contains("\na build would use   BuildKit v0."), "{text}");
}

#[test]
fn an_engine_that_is_too_old_is_told_with_its_version_and_the_next_step() {
    let run = doctor("PEELBOX_TEST_DOCKER_OLD", &[]).ended(4);
    assert!(run.stdout_text().contains("Docker Engine 20.10."), "{}", run.stdout_text());
    assert!(run.stdout_text().contains("Docker 24 or newer is needed"), "{}", run.stdout_text());
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
    drop(run.says(&["upgrade to Docker 24"]));
}

#[test]
fn a_place_where_nobody_is_has_its_reason_in_the_table() {
    let work = Workdir::new();
    let absent = format!("unix://{}", work.path("absent.sock").display());
    let run = work.peelbox().args(["doctor", "--buildkit", &absent]);
    let run = run.env("DOCKER_HOST", variable("PEELBOX_TEST_DOCKER")).run().ended(3);
    let text = run.stdout_text();
    let row = text.lines().find(|line| line.contains(&absent)).unwrap();
    assert!(row.ends_with("there is no such socket"), "{text}");
    assert!(text.contains("a build would use   nothing"), "{text}");
    let wrong = work.peelbox().args(["doctor", "--buildkit", "x://y"]).run().ended(2);
    drop(wrong.says(&["cannot understand the address `x://y`"]));
}
