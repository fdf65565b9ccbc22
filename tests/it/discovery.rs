//! Which place builds, which Docker gets the image, and why none does.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    thread,
    time::Duration,
};

use crate::support::{
    daemon,
    docker::{Contexts, Engine},
    peelbox::{Peelbox, Run},
    wait::eventually,
    workdir::{Workdir, debian},
};

/// A build whose place is found by what is around it, on a machine without daemons.
fn build(work: &Workdir, output: &str) -> Peelbox {
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--output", output];
    work.peelbox().args(args).args(["--progress", "plain"])
}

/// A step is the same in all of them: what differs is who builds.
fn work(name: &str) -> Workdir {
    Workdir::with_spec(&debian(name, &["mkdir /out && echo here >/out/file"]))
}

/// A name for a socket that exists, at a place where nobody listens by itself.
fn link(work: &Workdir, at: &str, address: &str) -> String {
    let path = work.path(at);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(address.strip_prefix("unix://").unwrap(), &path).unwrap();
    format!("unix://{}", path.display())
}

/// It was built there.
fn built_at(run: Run, place: &str) {
    let run = run.ok();
    let first = run.stderr.lines().find(|line| line.starts_with("#0 ")).unwrap();
    assert!(first.trim_end_matches(')').ends_with(&format!(" at {place}")), "{first}");
    assert!(!run.stderr.contains("warning: "), "{}", run.stderr);
}

#[test]
fn a_buildkit_comes_before_docker_and_its_image_lands_in_docker() {
    let work = work("buildkit-first");
    let engine = Engine::classic("buildkit-first");
    let tag = engine.tag("1");
    let root = link(&work, "run/buildkit/buildkitd.sock", &daemon::oldest());
    let root = root.replace(work.root().to_str().unwrap(), "");
    let into_docker = || {
        let build = build(&work, "type=docker").args(["--tag", &tag]);
        build.env("DOCKER_HOST", engine.host()).env("XDG_RUNTIME_DIR", work.path("xdg"))
    };
    let run = into_docker().alone(&work).run().ok();
    let run = run.says(&["#0 BuildKit v0.11.6 at ", "loading into docker", engine.host()]);
    built_at(run, &root);
    let id = engine.id(&tag).unwrap();
    engine.ask(&["rmi", &tag]);

    let rootless = link(&work, "xdg/buildkit/buildkitd.sock", &daemon::newest());
    built_at(into_docker().alone(&work).run(), &rootless);
    assert!(engine.id(&tag).is_some_and(|other| other != id), "{id} was made by the other");
}

#[test]
fn a_buildkit_that_was_named_is_the_only_place_though_docker_is_there() {
    let work = work("named-only");
    let engine = Engine::containerd("named-only");
    let absent = format!("unix://{}", work.path("absent.sock").display());
    let build = || build(&work, "type=docker").env("DOCKER_HOST", engine.host());
    for (run, origin) in [
        (build().args(["--buildkit", &absent]), "from `--buildkit`"),
        (build().env("BUILDKIT_HOST", &absent), "from `BUILDKIT_HOST`"),
    ] {
        let run = run.alone(&work).run().ended(3);
        let account = format!(
            "error: no BuildKit daemon answers\n  {absent} ({origin}): there is no such socket\nhint: "
        );
        assert!(run.stderr.starts_with(&account), "{}", run.stderr);
        assert_eq!(run.stderr.matches("\nhint: ").count(), 1, "{}", run.stderr);
    }
}

#[test]
fn docker_is_found_by_host_then_context_then_its_own_sockets() {
    let work = work("docker-order");
    let (containerd, classic) =
        (daemon::variable("PEELBOX_TEST_DOCKER"), daemon::variable("PEELBOX_TEST_DOCKER_GRAPH"));
    let (tls_host, tls) =
        (daemon::variable("PEELBOX_TEST_DOCKER_TLS"), daemon::variable("PEELBOX_TEST_TLS_DIR"));
    let by_name = |at: &str, engine: &str| link(&work, at, engine);
    let (host, current) = (by_name("host.sock", &classic), by_name("current.sock", &containerd));
    let other = by_name("other.sock", &classic);
    let contexts = Contexts::new(&work)
        .with("current", &format!("host={current}"))
        .with("other", &format!("host={other}"))
        .with(
            "encrypted",
            &format!("host={tls_host},ca={tls}/ca.pem,cert={tls}/cert.pem,key={tls}/key.pem"),
        );
    contexts.choose("current");
    let build = || build(&work, "type=none").env("XDG_RUNTIME_DIR", work.path("xdg"));
    let config = || build().env("DOCKER_CONFIG", contexts.dir());

    let all = || config().env("DOCKER_HOST", &host).env("DOCKER_CONTEXT", "other");
    built_at(all().alone(&work).run(), &host);
    built_at(config().env("DOCKER_CONTEXT", "other").alone(&work).run(), &other);
    built_at(config().env("DOCKER_CONTEXT", "encrypted").alone(&work).run(), &tls_host);
    built_at(config().alone(&work).run(), &current);
    // By name, whatever else is there; and never a BuildKit of its own.
    link(&work, "xdg/buildkit/buildkitd.sock", &daemon::newest());
    built_at(all().args(["--buildkit", "docker://current"]).alone(&work).run(), &current);
    built_at(all().args(["--buildkit", "docker://encrypted"]).alone(&work).run(), &tls_host);
    built_at(all().args(["--buildkit", "docker://"]).alone(&work).run(), &host);
    built_at(config().env("BUILDKIT_HOST", "docker://").alone(&work).run(), &current);
    fs::remove_file(work.path("xdg/buildkit/buildkitd.sock")).unwrap();

    let rootless = link(&work, "xdg/docker.sock", &classic);
    built_at(build().alone(&work).run(), &rootless);
    link(&work, "run/docker.sock", &containerd);
    built_at(build().alone(&work).run(), "unix:///var/run/docker.sock");
    let default = config().env("DOCKER_CONTEXT", "default");
    built_at(default.alone(&work).run(), "unix:///var/run/docker.sock");
}

#[test]
fn a_docker_that_was_named_and_is_not_there_is_passed_over_with_a_warning() {
    let work = work("passed-over");
    let engine = Engine::containerd("passed-over");
    let contexts = Contexts::new(&work).with("good", &format!("host={}", engine.host()));
    contexts.choose("good");
    let host = format!("unix://{}", work.path("absent.sock").display());
    let tag = engine.tag("1");
    let build = || {
        let build = build(&work, "type=docker").args(["--tag", &tag]);
        build.env("DOCKER_CONFIG", contexts.dir())
    };
    let check = |run: Peelbox, refused: &str| {
        let warning = format!("warning: {refused}; using Docker at {}\n", engine.host());
        let run = run.alone(&work).run().ok().says(&[&warning]);
        assert_eq!(run.stderr.matches("warning: ").count(), 1, "{}", run.stderr);
        assert!(engine.id(&tag).is_some(), "{}", run.stderr);
        engine.ask(&["rmi", &tag]);
    };
    let absent =
        format!("Docker at {host} (from `DOCKER_HOST`) is not used: there is no such socket");
    check(build().env("DOCKER_HOST", &host), &absent);
    check(build().env("DOCKER_HOST", &host).args(["--buildkit", "docker://"]), &absent);
    // The builder is not Docker, the place for the image is.
    let newest = daemon::newest();
    check(build().env("DOCKER_HOST", &host).args(["--buildkit", &newest]), &absent);
    let old = daemon::variable("PEELBOX_TEST_DOCKER_OLD");
    let too_old = format!("Docker at {old} (from `DOCKER_HOST`) is not used: Docker Engine 20.10.");
    let run = build().env("DOCKER_HOST", &old).alone(&work).run().ok();
    drop(run.says(&[&format!("warning: {too_old}"), "Docker 24 or newer is needed; using Docker"]));
    engine.ask(&["rmi", &tag]);
    let unknown = "Docker (from `DOCKER_CONTEXT` (nonesuch)) is not used: there is no Docker context `nonesuch`";
    let run = build().env("DOCKER_CONTEXT", "nonesuch").alone(&work).run().ok();
    drop(run.says(&[&format!("warning: {unknown}")]));
}

#[test]
fn places_that_say_nothing_are_waited_for_together_and_only_when_they_count() {
    let work = work("silent");
    fs::create_dir_all(work.path("xdg/buildkit")).unwrap();
    let _silent = ["xdg/buildkit/buildkitd.sock", "host.sock"]
        .map(|at| UnixListener::bind(work.path(at)).unwrap());
    let host = format!("unix://{}", work.path("host.sock").display());
    let good = daemon::variable("PEELBOX_TEST_DOCKER");
    let contexts = Contexts::new(&work).with("good", &format!("host={good}"));
    let build = || {
        let build = build(&work, "type=none").args(["--connect-timeout", "1"]);
        let build = build.env("DOCKER_CONFIG", contexts.dir()).env("DOCKER_HOST", &host);
        build.env("XDG_RUNTIME_DIR", work.path("xdg"))
    };
    let run = build().env("DOCKER_CONTEXT", "good").alone(&work).run().ok();
    let warning = format!(
        "warning: Docker at {host} (from `DOCKER_HOST`) is not used: no answer in time; using Docker at {good}\n"
    );
    let run = run.says(&[&warning]);
    // One after the other they took five and ten seconds.
    assert!(run.elapsed < Duration::from_secs(10), "{:?}\n{}", run.elapsed, run.stderr);

    link(&work, "first/buildkit/buildkitd.sock", &daemon::newest());
    let run = build().env("XDG_RUNTIME_DIR", work.path("first")).alone(&work).run().ok();
    assert!(run.elapsed < Duration::from_secs(4), "{:?}\n{}", run.elapsed, run.stderr);

    let run = build().alone(&work).run().ended(3);
    assert!(run.elapsed < Duration::from_secs(10), "{:?}\n{}", run.elapsed, run.stderr);
    let run = run.says(&[
        "buildkit/buildkitd.sock (rootless default): no answer in time\n",
        &format!("\n  Docker at {host} (from `DOCKER_HOST`): no answer in time\n"),
        "\n  Docker at unix:///var/run/docker.sock (Docker's default): there is no such socket\n",
        "\nhint: start that Docker, or unset `DOCKER_HOST` to try the usual sockets\n",
    ]);
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
}

#[test]
fn a_docker_that_is_not_there_yet_can_be_waited_for() {
    let work = work("waited-for");
    let host = format!("unix://{}", work.path("late.sock").display());
    let build = build(&work, "type=none").args(["--wait=60"]).env("DOCKER_HOST", &host);
    let mut running = build.alone(&work).start();
    eventually("it looks for Docker", Duration::from_secs(10), || {
        let tasks = fs::read_dir(format!("/proc/{}/task", running.pid().as_raw_nonzero())).ok()?;
        let mut names = tasks.flatten().map(|task| fs::read(task.path().join("comm")));
        names.any(|name| name.is_ok_and(|name| name == b"peelbox\n")).then_some(())
    });
    assert!(!running.has_ended());
    link(&work, "late.sock", &daemon::variable("PEELBOX_TEST_DOCKER"));
    built_at(running.finish(), &host);
}

/// Answers whatever is asked with these bytes.
fn serve(path: &Path, answer: &'static str) {
    let listener = UnixListener::bind(path).unwrap();
    let body = move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut asked = [0; 4096];
            drop(stream.read(&mut asked));
            drop(stream.write_all(answer.as_bytes()));
        }
    };
    thread::Builder::new().name("no-docker".to_owned()).spawn(body).unwrap();
}

/// The account says exactly that of what `DOCKER_HOST` names, and there is one hint, which begins so.
fn check_reason(run: Run, host: &str, code: i32, reason: &str, hint: &str) {
    let run = run.ended(code).says(&[
        "error: no BuildKit daemon answers\n",
        &format!("\n  Docker at {host} (from `DOCKER_HOST`): {reason}\n"),
        &format!("\nhint: {hint}"),
    ]);
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
}

#[test]
fn what_docker_host_names_and_is_no_docker_is_told_with_its_reason_and_one_hint() {
    let work = work("no-docker");
    let run = |host: &str| build(&work, "type=docker").env("DOCKER_HOST", host).alone(&work).run();
    let check = |name: &str, reason: &str, hint: &str| {
        let host = format!("unix://{}", work.path(name).display());
        check_reason(run(&host), &host, 3, reason, hint);
    };
    let start = "start that Docker, or unset `DOCKER_HOST` to try the usual sockets\n";
    let correct = "correct `DOCKER_HOST`, or unset it";
    check("absent.sock", "there is no such socket", start);
    drop(UnixListener::bind(work.path("stale.sock")).unwrap());
    check("stale.sock", "connection refused, nobody listens there", start);
    serve(
        &work.path("http.sock"),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\nConnection: close\r\n\r\nnot found\n",
    );
    check("http.sock", "not Docker: it answers `/_ping` with HTTP 404", correct);
    serve(
        &work.path("podman.sock"),
        "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 5.4.2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK",
    );
    check("podman.sock", "not Docker: it is Podman, which has no BuildKit", correct);
    serve(&work.path("ssh.sock"), "SSH-2.0-OpenSSH_9.2\r\n");
    let run_ssh = run(&format!("unix://{}", work.path("ssh.sock").display()));
    drop(run_ssh.ended(3).says(&["(from `DOCKER_HOST`): not Docker: it does not speak HTTP"]));
    serve(&work.path("closing.sock"), "");
    check("closing.sock", "not Docker: it closed the connection", correct);
    let nonsense = run("npipe:////./pipe/docker").ended(3);
    drop(
        nonsense.says(&["\n  Docker (from `DOCKER_HOST`): cannot understand the address", correct]),
    );
}

#[test]
fn a_docker_of_somebody_else_is_told_with_the_group_to_join() {
    let work = work("denied");
    let path = work.path("docker.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let host = format!("unix://{}", path.display());
    let run =
        build(&work, "type=docker").env("DOCKER_HOST", &host).not_root(&work).alone(&work).run();
    let hint = "join the group of Docker: `sudo usermod -aG docker $USER`";
    check_reason(run, &host, 3, "permission denied", hint);
    // The same as the place for an image.
    let build = build(&work, "type=docker").env("DOCKER_HOST", &host);
    let run = build.args(["--buildkit", &daemon::newest_tcp()]).not_root(&work).alone(&work).run();
    let place = format!("\n  Docker at {host} (from `DOCKER_HOST`): permission denied\n");
    let run = run.ended(3).says(&[&place, "usermod -aG docker", "type=oci,dest="]);
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
}

#[test]
fn a_docker_before_24_is_told_with_its_version_and_what_is_needed() {
    let work = work("old-docker");
    let host = daemon::variable("PEELBOX_TEST_DOCKER_OLD");
    let run = build(&work, "type=docker").env("DOCKER_HOST", &host).alone(&work).run().ended(4);
    let run = run.says(&[
        &format!("\n  Docker at {host} (from `DOCKER_HOST`): Docker Engine 20.10."),
        "Docker 24 or newer is needed\n",
        "\nhint: upgrade to Docker 24 or newer\n",
    ]);
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
    // Named to be the builder.
    let build = build(&work, "type=docker").env("DOCKER_HOST", &host);
    let run = build.args(["--buildkit", "docker://"]).alone(&work).run().ended(4);
    drop(run.says(&["Docker Engine 20.10.", "Docker 24 or newer is needed"]));
}

#[test]
fn a_context_that_docker_does_not_know_is_told() {
    let work = work("no-context");
    let contexts = Contexts::new(&work).with("good", "host=unix:///nowhere.sock");
    let build = build(&work, "type=docker").env("DOCKER_CONFIG", contexts.dir());
    let run = build.args(["--buildkit", "docker://nonesuch"]).alone(&work).run().ended(3);
    let run = run.says(&[
        "\n  docker://nonesuch (from `--buildkit`): there is no Docker context `nonesuch`",
        "\nhint: name a context that `docker context ls` lists, or leave `--buildkit` out",
    ]);
    assert_eq!(run.stderr.matches("hint: ").count(), 1, "{}", run.stderr);
}
