//! Programs and containers that carry a connection, and the care that is taken of connecting at all.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    daemon::{self, variable},
    peelbox::{Peelbox, Run, Running},
    relay::Relay,
    wait::eventually,
    workdir::{Workdir, debian},
};

/// Nothing is found there.
const NO_PATH: &str = "/none";
/// How long what a build has started may outlive it.
const END_PATIENCE: Duration = Duration::from_secs(20);

fn work(name: &str) -> Workdir {
    Workdir::with_spec(&debian(name, &["mkdir /out && echo built >/out/file"]))
}

/// A build with that daemon.
fn build(work: &Workdir, address: &str) -> Peelbox {
    let spec = work.spec().to_str().unwrap();
    let args = ["build", "--spec", spec, "--context", "context", "--progress", "plain"];
    work.peelbox().args(args).args(["--buildkit", address])
}

/// The same without an output.
fn dry(work: &Workdir, address: &str) -> Peelbox {
    build(work, address).args(["--output", "type=none"])
}

/// No daemon there, for that reason, with that next step.
fn refused(run: Peelbox, address: &str, reason: &str, step: &str) -> Run {
    let line = format!("\n  {address} (from `--buildkit`): {reason}");
    run.run().ended(3).says(&[&line, &format!("\nhint: {step}")])
}

fn path_with(folder: impl AsRef<Path>) -> String {
    format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.as_ref().display())
}

/// The Docker that has the containers.
fn docker() -> String {
    variable("PEELBOX_TEST_DOCKER")
}

/// Docker's own client.
fn docker_cli(work: &Workdir, args: &[&str]) -> String {
    let done = Command::new(variable("PEELBOX_TEST_DOCKER_CLI"))
        .args(["--config", work.path("docker").to_str().unwrap()])
        .args(args)
        .env_remove("DOCKER_CONTEXT")
        .env_remove("DOCKER_HOST")
        .output()
        .unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_container_of_docker_builds_without_the_docker_program() {
    let work = work("in-docker");
    let name = variable("PEELBOX_TEST_BUILDKIT_CONTAINER");
    let address = format!("docker-container://{name}");
    let tag = format!("peelbox-it-carried:{}", std::process::id());
    let run = build(&work, &address).args(["--tag", &tag]);
    let run = run.env("PATH", NO_PATH).env("DOCKER_HOST", docker()).run().ok();
    // The image is loaded into the Docker around it.
    drop(run.says(&[&format!(" at {address}\n"), "loaded into", "Docker Engine"]));
    let there = ["--host", &docker(), "image", "rm", &tag];
    assert!(docker_cli(&work, &there).contains(&tag));

    // A context says where, whatever else is named.
    docker_cli(&work, &["context", "create", "near", "--docker", &format!("host={}", docker())]);
    let in_context = format!("{address}?context=near");
    for other in [None, Some("unix:///none.sock")] {
        let mut run = dry(&work, &in_context).env("DOCKER_CONFIG", work.path("docker"));
        if let Some(host) = other {
            run = run.env("DOCKER_HOST", host);
        }
        drop(run.env("PATH", NO_PATH).run().ok().says(&[&format!(" at {in_context}\n")]));
    }
}

#[test]
fn a_container_that_cannot_build_is_told_apart_from_one_that_is_not_there() {
    let work = work("no-container");
    let check = |name: &str, reason: &str, step: &str| {
        let address = format!("docker-container://{name}");
        let run = dry(&work, &address).env("DOCKER_HOST", docker());
        drop(refused(run, &address, reason, step));
    };
    check("no-such", "there is no container `no-such`\n", "name a container with BuildKit in it");
    let stopped = variable("PEELBOX_TEST_CONTAINER_STOPPED");
    let reason = format!("the container `{stopped}` does not run: ");
    check(&stopped, &reason, "start that container");
    let plain = variable("PEELBOX_TEST_CONTAINER_PLAIN");
    let reason = format!(
        "`buildctl dial-stdio` cannot be started in the container `{plain}`, is it a BuildKit daemon? (OCI runtime exec failed: exec failed: unable to start container process: exec: \"buildctl\": executable file not found in $PATH"
    );
    check(&plain, &reason, "name a container with BuildKit in it");
    // Which Docker was asked in vain.
    let run = dry(&work, "docker-container://x").env("DOCKER_HOST", "unix:///none.sock");
    let reason = "no Docker at unix:///none.sock (from `DOCKER_HOST`)";
    drop(refused(run, "docker-container://x", reason, "start Docker"));
    let run = dry(&work, "docker-container://x?context=no").env("DOCKER_HOST", docker());
    let reason = "there is no Docker context `no`";
    drop(refused(run, "docker-container://x?context=no", reason, "name a context"));
}

#[test]
fn a_container_of_podman_builds_and_podman_has_the_last_word() {
    let work = work("in-podman");
    let path = path_with(variable("PEELBOX_TEST_PODMAN_BIN"));
    let address = format!("podman-container://{}", variable("PEELBOX_TEST_BUILDKIT_CONTAINER"));
    let run = dry(&work, &address).env("PATH", &path).run().ok();
    drop(run.says(&[&format!(" at {address}\n")]));
    let address = "podman-container://no-such";
    let reason = "the command said: Error: no container with name or ID \"no-such\" found";
    let step = "make this work in a shell: `podman exec -i no-such buildctl dial-stdio`";
    drop(refused(dry(&work, address).env("PATH", &path), address, reason, step));
}

#[test]
fn ssh_carries_a_build_and_what_it_says_is_in_the_error() {
    let work = work("far");
    let path = path_with(variable("PEELBOX_TEST_SSH_BIN"));
    let far = variable("PEELBOX_TEST_SSH");
    let run = dry(&work, &far).env("PATH", &path).run().ok();
    drop(run.says(&[&format!(" at {far}\n")]));
    // The server's key is known by its address alone.
    let port = far.rsplit_once(':').unwrap().1;
    let unknown = format!("ssh://localhost:{port}");
    let refused_connection = "ssh: connect to host 127.0.0.1 port 1: Connection refused\n";
    let check = |address: &str, says: &str| {
        let words = format!("the command said: {says}");
        let run = dry(&work, address).env("PATH", &path);
        drop(refused(run, address, &words, "make this work in a shell: `ssh -p "));
        // A Docker that is reached the same way.
        let run = dry(&work, "docker://").env("PATH", &path).env("DOCKER_HOST", address);
        let line = format!("\n  Docker at {address} (from `DOCKER_HOST`): {words}");
        let hint = "\nhint: make this work in a shell: `ssh -p ";
        drop(run.run().ended(3).says(&[&line, hint, " docker system dial-stdio`"]));
    };
    check("ssh://127.0.0.1:1", refused_connection);
    check(&unknown, "No ED25519 host key is known for [localhost]");
    let missing = format!("{far}/none.sock");
    let reason =
        "the command said: error: dial unix /none.sock: connect: no such file or directory";
    let run = dry(&work, &missing).env("PATH", &path);
    drop(refused(run, &missing, reason, "make this work in a shell: `ssh -p "));
}

#[test]
fn a_docker_behind_ssh_builds_and_takes_the_image() {
    let work = work("far-docker");
    let path = path_with(variable("PEELBOX_TEST_SSH_BIN"));
    let far = variable("PEELBOX_TEST_SSH");
    let tag = format!("peelbox-it-far:{}", std::process::id());
    let run = build(&work, "docker://").args(["--tag", &tag]);
    let run = run.env("PATH", &path).env("DOCKER_HOST", &far).run().ok();
    drop(run.says(&["Using Docker's BuildKit v0.", &format!("at {far})")]));
    assert!(docker_cli(&work, &["--host", &docker(), "image", "rm", &tag]).contains(&tag));
    // As the only place that is there; a BuildKit of this machine would come first.
    if !Path::new("/run/buildkit/buildkitd.sock").exists() {
        let spec = work.spec().to_str().unwrap();
        let args = ["build", "--spec", spec, "--context", "context", "--tag", &tag];
        let run = work.peelbox().args(args).env("PATH", &path).env("DOCKER_HOST", &far).run().ok();
        drop(run.says(&["loaded into", "Docker Engine", &format!(" at {far}\n")]));
        docker_cli(&work, &["--host", &docker(), "image", "rm", &tag]);
    }
}

/// A program of a test's own on PATH, in place of one that cannot be had here.
struct Program {
    folder: PathBuf,
}

impl Program {
    /// Leaves its process id, then runs `script`.
    fn new(work: &Workdir, name: &str, script: &str) -> Self {
        let folder = work.path("bin");
        fs::create_dir_all(&folder).unwrap();
        let text = format!("#!/bin/sh\necho $$ >'{}'\n{script}\n", folder.join("pid").display());
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Called with exactly these arguments it carries the connection of a real daemon.
    fn carrying(work: &Workdir, name: &str, arguments: &str) -> Self {
        let real = real();
        let script = format!(
            "[ \"$*\" = '{arguments}' ] || {{ echo \"called with $*\" >&2; exit 64; }}\nexec {real}"
        );
        Self::new(work, name, &script)
    }

    fn path(&self) -> String {
        path_with(&self.folder)
    }

    /// Once it has been started.
    fn pid(&self) -> Pid {
        let pid = eventually("the program runs", END_PATIENCE, || {
            let text = fs::read_to_string(self.folder.join("pid")).ok()?;
            text.strip_suffix('\n')?.parse().ok()
        });
        Pid::from_raw(pid).unwrap()
    }
}

/// What the real program would run at the far end.
fn real() -> String {
    format!("'{}' --addr '{}' dial-stdio", variable("PEELBOX_TEST_BUILDCTL"), daemon::newest())
}

/// A process and what is left of one until its end is asked for.
fn is_in_process_table(pid: Pid) -> bool {
    Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists()
}

/// Processes of one terminal that get its Ctrl-C together.
fn process_group(pid: Pid) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn nerdctl_kubectl_and_podman_are_called_as_their_manuals_say() {
    let work = work("carried");
    for (address, name, arguments) in [
        ("podman-container://box", "podman", "exec -i box buildctl dial-stdio"),
        ("nerdctl-container://box", "nerdctl", "exec -i box buildctl dial-stdio"),
        (
            "nerdctl-container://box?namespace=k8s.io",
            "nerdctl",
            "exec --namespace k8s.io -i box buildctl dial-stdio",
        ),
        ("kube-pod://pod-1", "kubectl", "exec -i pod-1 -- buildctl dial-stdio"),
        (
            "kube-pod://pod-1?context=me@far&namespace=ci&container=buildkitd",
            "kubectl",
            "--context=me@far --namespace=ci exec --container=buildkitd -i pod-1 -- buildctl dial-stdio",
        ),
    ] {
        let program = Program::carrying(&work, name, arguments);
        let run = dry(&work, address).env("PATH", program.path()).run().ok();
        drop(run.says(&[&format!(" at {address}\n")]));
        assert!(!is_in_process_table(program.pid()), "{address}: the program is left");
    }
}

#[test]
fn a_program_that_is_not_there_or_fails_is_told_in_its_own_words() {
    let work = work("carrier-fails");
    for (address, name) in [
        ("podman-container://box", "podman"),
        ("nerdctl-container://box", "nerdctl"),
        ("kube-pod://pod-1", "kubectl"),
        ("ssh://far", "ssh"),
    ] {
        let run = dry(&work, address).env("PATH", NO_PATH);
        let reason = format!("cannot start `{name}`: there is no such program on PATH\n");
        drop(refused(run, address, &reason, "install that program"));
        // First what does not matter, then why it ends; both are shown.
        let program = Program::new(
            &work,
            name,
            "echo 'Defaulted container' >&2; echo 'no such box' >&2; exit 1",
        );
        let run = dry(&work, address).env("PATH", program.path());
        let reason = "the command said: Defaulted container; no such box\n";
        let run = refused(run, address, reason, &format!("make this work in a shell: `{name} "));
        assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
        let silent = Program::new(&work, name, "exit 1");
        let run = dry(&work, address).env("PATH", silent.path());
        drop(refused(run, address, "the command ended without a word\n", "make this work"));
    }
}

/// A build through `program` whose step waits for longer than any test.
fn start_waiting(name: &str, program: &Program, work: &Workdir) -> (Running, impl Fn() -> bool) {
    // Unique, so that the step is no other build's and not in any cache.
    let seconds = format!("{}.{}", 2000 + name.len(), std::process::id());
    work.set_spec(&debian(name, &[&format!("echo under way since $((40 + 2)); sleep {seconds}")]));
    let run = build(work, "kube-pod://pod-1").args(["--output", "type=oci,dest=app.tar"]);
    let mut running = run.env("PATH", program.path()).start();
    running.wait_for("under way since 42");
    let command = format!("sleep\0{seconds}\0").into_bytes();
    let is_step_running = move || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok()).any(|c| c == command)
    };
    (running, is_step_running)
}

#[test]
fn a_program_that_ends_in_the_middle_of_a_build_ends_it_with_its_words() {
    let work = Workdir::new();
    let real = real();
    let script = format!(
        "exec 3<&0\n{real} <&3 &\ntrap 'kill -KILL $!; echo the tunnel has collapsed >&2; exit 3' TERM\nwait $!"
    );
    let program = Program::new(&work, "kubectl", &script);
    let (running, is_step_running) = start_waiting("carrier-lost", &program, &work);
    let ended = Instant::now();
    kill_process(program.pid(), Signal::TERM).unwrap();
    let run = running.finish().ended(7);
    assert!(ended.elapsed() < Duration::from_secs(5), "{:?}\n{}", ended.elapsed(), run.stderr);
    drop(run.says(&[
        "error: the daemon went away in the middle of the build: ",
        "the program that carries the connection ended: the tunnel has collapsed\n",
    ]));
    assert!(!is_in_process_table(program.pid()), "the program is left");
    assert!(!work.path("app.tar").exists());
    eventually("the step is gone", END_PATIENCE, || (!is_step_running()).then_some(()));
}

#[test]
fn ctrl_c_is_for_peelbox_alone_and_takes_the_program_with_it() {
    let work = Workdir::new();
    let program = Program::new(&work, "kubectl", &format!("exec {}", real()));
    let (running, is_step_running) = start_waiting("carrier-interrupted", &program, &work);
    let pid = program.pid();
    // A terminal sends Ctrl-C to a group: the program must carry on until the daemon has heard of it.
    assert_ne!(process_group(pid), process_group(running.pid()));
    let sent = Instant::now();
    running.signal(Signal::INT);
    let run = running.finish().ended(130).says(&["interrupted"]);
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}\n{}", sent.elapsed(), run.stderr);
    assert!(!is_in_process_table(pid), "the program is left");
    eventually("the step is gone", END_PATIENCE, || (!is_step_running()).then_some(()));
}

#[test]
fn a_program_that_neither_speaks_nor_ends_is_given_up_and_does_not_stay() {
    let work = work("carrier-silent");
    // One asks for the daemon in a container, the other for a Docker.
    for (address, name) in [("kube-pod://pod-1", "kubectl"), ("docker://", "ssh")] {
        let program = Program::new(&work, name, "exec sleep 1000");
        let start = || {
            fs::remove_file(program.folder.join("pid")).unwrap_or_default();
            let run = dry(&work, address).args(["--connect-timeout", "1"]);
            run.env("PATH", program.path()).env("DOCKER_HOST", "ssh://far").start()
        };
        let running = start();
        let pid = program.pid();
        let sent = Instant::now();
        running.signal(Signal::INT);
        let run = running.finish().ended(130);
        assert!(sent.elapsed() < Duration::from_secs(2), "{:?}\n{}", sent.elapsed(), run.stderr);
        assert!(!is_in_process_table(pid), "{name} is left after Ctrl-C");
        let run = start().finish().ended(3).says(&[": no answer in time\n"]);
        assert!(run.elapsed < Duration::from_secs(12), "{:?}", run.elapsed);
        assert!(!is_in_process_table(program.pid()), "{name} is left");
    }
}

#[test]
fn wait_takes_a_daemon_that_comes_up_later() {
    let work = work("wait");
    let path = work.path("late.sock");
    let address = format!("unix://{}", path.display());
    // Something is there that is about to end, then nothing, then a daemon.
    let ending = UnixListener::bind(&path).unwrap();
    let running = dry(&work, &address).arg("--wait").start();
    drop(ending.accept().unwrap());
    drop(ending);
    fs::remove_file(&path).unwrap();
    let relay = Relay::start(&path, &daemon::newest());
    drop(running.finish().ok().says(&[&format!(" at {address}\n")]));
    drop(relay);
}

#[test]
fn without_wait_a_daemon_that_is_not_there_is_told_at_once() {
    let work = work("no-wait");
    let address = format!("unix://{}", work.path("none.sock").display());
    let reason = "there is no such socket\n";
    let run = refused(dry(&work, &address), &address, reason, "start that daemon");
    assert!(run.elapsed < Duration::from_secs(3), "{:?}", run.elapsed);
    let run = dry(&work, &address).arg("--wait=1");
    let run = refused(run, &address, reason, "start that daemon");
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(8));
    assert!(run.elapsed >= least && run.elapsed < most, "{:?}", run.elapsed);
}

#[test]
fn connecting_takes_no_longer_than_is_allowed() {
    let work = work("no-answer");
    // Taken by the system, and by nobody else.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", silent.local_addr().unwrap());
    let (_held, path) = (crate::connecting::full(&work.path("full.sock")), "full.sock");
    let full = format!("unix://{}", work.path(path).display());
    let ca = format!("--tlscacert={}/ca.pem", variable("PEELBOX_TEST_TLS_DIR"));
    let check = |address: &str, flags: &[&str], most: Duration| {
        let run = dry(&work, address).args(["--connect-timeout", "1"]).args(flags);
        let run = refused(run, address, "no answer in time\n", "start that daemon");
        assert!(run.elapsed < most, "{address}: {:?}", run.elapsed);
    };
    thread::scope(|scope| {
        scope.spawn(|| check(&full, &[], Duration::from_secs(4)));
        scope.spawn(|| check(&address, &[&ca], Duration::from_secs(4)));
        // Connected at once; the first answer has a time of its own.
        scope.spawn(|| check(&address, &[], Duration::from_secs(10)));
    });
}
