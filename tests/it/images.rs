//! The examples, built, run and asked over HTTP.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{daemon, image::Image, peelbox::Run, wait::eventually, workdir::Workdir};

/// How long a service may take to unpack and to listen.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// An image that runs; ended when dropped.
struct Service {
    child: Child,
    port: u16,
}

impl Service {
    fn run(work: &Workdir, image: &str) -> Self {
        // Free now; nobody else is told of it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(daemon::variable("PEELBOX_TEST_RUN_IMAGE"))
            .args(["-e", &format!("PORT={port}")])
            .arg(work.path(image))
            .stdin(Stdio::null())
            .stdout(fs::File::create(work.path("service.log")).unwrap())
            .stderr(fs::File::create(work.path("service.err")).unwrap())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    /// Status line and body of an answer; waits until the service listens.
    fn get(&mut self, path: &str) -> (String, String) {
        let mut stream = eventually("the service listens", START_PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the service ended: {ended:?}");
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        stream.set_read_timeout(Some(START_PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// Asks it to end, as a container engine would.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
        assert!(TcpStream::connect(("127.0.0.1", self.port)).is_err(), "it still listens");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The script ends its container when it is asked to; it may have ended already.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            drop(self.child.wait());
        }
    }
}

/// What a theme knows of an example.
struct Example {
    name: &'static str,
    /// Begin of the answer to `/`.
    greeting: &'static str,
    /// Part of the name of each step that must not run for a source edit.
    dependencies: &'static [&'static str],
    /// A file, and a text in it that may be changed.
    edit: (&'static str, &'static str),
}

const NODE: Example = Example {
    name: "node-express",
    greeting: "Hello from node-express: express ",
    dependencies: &["copy package.json, package-lock.json", "npm ci"],
    edit: ("server.js", "Hello from"),
};
const PYTHON: Example = Example {
    name: "python-flask",
    greeting: "Hello from python-flask: flask ",
    dependencies: &["copy requirements.txt", "python -m venv", "pip install"],
    edit: ("app.py", "Hello from"),
};
const GO: Example = Example {
    name: "go-http",
    greeting: "Hello from go-http: chi router, go1.",
    dependencies: &["copy go.mod, go.sum", "go mod download"],
    edit: ("main.go", "Hello from"),
};

/// Built twice and run; gives the place back.
fn check_build(example: &Example, address: &str) -> Workdir {
    let work = Workdir::example(example.name).on(address);
    drop(build(&work, example, "first.tar"));
    let image = Image::read(&work.path("first.tar"));
    image.check();
    let annotations = &image.index()["manifests"][0]["annotations"];
    let name = format!("docker.io/library/{}:it", example.name);
    assert_eq!(annotations["io.containerd.image.name"], name);
    let mut service = Service::run(&work, "first.tar");
    let (status, body) = service.get("/");
    assert!(status.contains(" 200 ") && body.starts_with(example.greeting), "{status}\n{body}");
    let (status, body) = service.get("/health");
    assert!(status.contains(" 200 "), "{status}\n{body}");
    assert_eq!(body.split_whitespace().collect::<String>(), r#"{"status":"ok"}"#);
    service.stop();

    let second = build(&work, example, "second.tar");
    let steps = second.steps();
    assert_eq!(steps.worked(), Vec::<&str>::new(), "a second build is found in the cache");
    assert_eq!(Image::read(&work.path("second.tar")).digest(), image.digest());
    work
}

fn check_edit(example: &Example, work: &Workdir) {
    let (file, text) = example.edit;
    let source = fs::read_to_string(work.context().join(file)).unwrap();
    // Never seen by any daemon before, so nothing of it can be in its cache.
    let edited = format!("Edited {} says", work.root().display());
    work.write(file, source.replacen(text, &edited, 1));
    let steps = build(work, example, "edited.tar").steps();
    for part in example.dependencies {
        assert!(steps.is_cached(part), "`{part}` does not depend on the source: {steps:#?}");
    }
    assert!(!steps.is_cached("copy context"), "{steps:#?}");
    let mut service = Service::run(work, "edited.tar");
    assert!(service.get("/").1.starts_with(&edited), "the edit is in the image");
    service.stop();
}

fn build(work: &Workdir, example: &Example, image: &str) -> Run {
    let output = format!("type=oci,dest={image}");
    let tag = format!("{}:it", example.name);
    work.build().args(["--tag", &tag, "--output", &output, "--progress", "rawjson"]).run().ok()
}

#[test]
fn the_node_example_is_built_runs_and_an_edit_keeps_its_dependencies() {
    check_edit(&NODE, &check_build(&NODE, &daemon::newest()));
}

#[test]
fn the_python_example_is_built_runs_and_an_edit_keeps_its_dependencies() {
    check_edit(&PYTHON, &check_build(&PYTHON, &daemon::newest()));
}

#[test]
fn the_go_example_is_built_runs_and_an_edit_keeps_its_dependencies() {
    check_edit(&GO, &check_build(&GO, &daemon::newest()));
}

#[test]
fn the_oldest_supported_daemon_builds_the_go_example_too() {
    drop(check_build(&GO, &daemon::oldest()));
}
