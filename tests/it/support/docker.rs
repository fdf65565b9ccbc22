//! Docker Engines of the testbed, seen with Docker's own client.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{daemon::variable, wait::eventually, workdir::Workdir};

/// How long a service may take to listen on a busy machine; one in Java takes half a minute.
const START_PATIENCE: Duration = Duration::from_secs(180);
/// How long it may take to answer before it is asked again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);

/// An engine, and the images a test makes in it; they are removed when it is dropped.
pub(crate) struct Engine {
    host: String,
    prefix: String,
}

impl Engine {
    /// Keeps images in containerd's store; `name` tells apart what the tests make.
    pub(crate) fn containerd(name: &str) -> Self {
        Self::new("PEELBOX_TEST_DOCKER", name)
    }

    /// Keeps images with a graph driver.
    pub(crate) fn classic(name: &str) -> Self {
        Self::new("PEELBOX_TEST_DOCKER_GRAPH", name)
    }

    fn new(variable_name: &str, name: &str) -> Self {
        Self {
            host: variable(variable_name),
            prefix: format!("pbx-it-{name}-{}", std::process::id()),
        }
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> &Path {
        Path::new(self.host.strip_prefix("unix://").unwrap())
    }

    /// A name of this test's own for an image.
    pub(crate) fn tag(&self, tag: &str) -> String {
        format!("{}:{tag}", self.prefix)
    }

    /// What its client says.
    pub(crate) fn client(&self, args: &[&str]) -> Output {
        client(&["-H", &self.host]).args(args).output().unwrap()
    }

    /// What its client prints, which must succeed.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        text_of(&self.client(args), args)
    }

    /// The image of that name, digest or id.
    pub(crate) fn image(&self, name: &str) -> Option<Value> {
        let out = self.client(&["image", "inspect", name]);
        let found: Vec<Value> = serde_json::from_slice(&out.stdout).unwrap();
        found.into_iter().next()
    }

    /// Its id for that name.
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        self.image(name).map(|image| image["Id"].as_str().unwrap().to_owned())
    }

    /// The tags it has of this test's images, sorted.
    pub(crate) fn tags(&self) -> Vec<String> {
        let listed = self.ask(&["images", "--format", "{{.Tag}}", &self.prefix]);
        let mut tags: Vec<String> = listed.lines().map(str::to_owned).collect();
        tags.sort();
        tags
    }

    /// Loads a file with Docker's client; gives what that says.
    pub(crate) fn load(&self, file: &Path) -> String {
        self.ask(&["load", "--input", file.to_str().unwrap()])
    }

    /// Runs an image that serves HTTP at `port`.
    pub(crate) fn run(&self, image: &str, port: u16) -> Container<'_> {
        self.run_with(image, port, &[])
    }

    /// The same with more options.
    pub(crate) fn run_with(&self, image: &str, port: u16, options: &[&str]) -> Container<'_> {
        let publish = format!("127.0.0.1::{port}");
        let args = [&["run", "--detach", "--publish", &publish], options, &[image]].concat();
        let id = self.ask(&args);
        let mut container = Container { engine: self, id, address: String::new() };
        let published = self.ask(&["port", &container.id, &port.to_string()]);
        published.lines().next().unwrap().clone_into(&mut container.address);
        container
    }

    /// What an image prints when it is run.
    pub(crate) fn output_of(&self, image: &str) -> String {
        self.ask(&["run", "--rm", image])
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let listed = self.client(&["images", "--format", "{{.Repository}}:{{.Tag}}", &self.prefix]);
        for image in String::from_utf8_lossy(&listed.stdout).lines() {
            drop(self.client(&["rmi", "--force", image]));
        }
    }
}

/// A service that runs; removed when dropped.
pub(crate) struct Container<'a> {
    engine: &'a Engine,
    id: String,
    address: String,
}

impl Container<'_> {
    /// Status line and body of an answer; waits until the service listens.
    pub(crate) fn get(&self, path: &str) -> (String, String) {
        eventually("the service answers", START_PATIENCE, || {
            let state = self.engine.ask(&["inspect", "--format", "{{.State.Status}}", &self.id]);
            if state != "running" {
                let log = self.engine.client(&["logs", &self.id]);
                panic!("the service is {state}: {log:?}");
            }
            // Who takes the connection first is the engine, which closes it when the service does not listen.
            let mut stream = TcpStream::connect(&self.address).ok()?;
            stream.set_read_timeout(Some(ANSWER_PATIENCE)).unwrap();
            write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            Some((head.lines().next().unwrap().to_owned(), body.to_owned()))
        })
    }
}

impl Container<'_> {
    /// The user that its first process is of.
    pub(crate) fn uid(&self) -> u32 {
        let pid = self.engine.ask(&["inspect", "--format", "{{.State.Pid}}", &self.id]);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .unwrap_or_else(|e| panic!("{e}: {:?}", self.engine.client(&["logs", &self.id])));
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Runs a shell's script in it, which must succeed.
    pub(crate) fn shell(&self, script: &str) {
        self.engine.ask(&["exec", &self.id, "sh", "-c", script]);
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        drop(self.engine.client(&["rm", "--force", "--volumes", &self.id]));
    }
}

/// A folder for `DOCKER_CONFIG` below `work`, with contexts as Docker's own client writes them.
pub(crate) struct Contexts {
    dir: String,
}

impl Contexts {
    /// An empty one.
    pub(crate) fn new(work: &Workdir) -> Self {
        Self { dir: work.path("docker-config").to_str().unwrap().to_owned() }
    }

    /// With one more context, whose description `docker` is as `docker context create --docker` takes it.
    #[must_use]
    pub(crate) fn with(self, name: &str, docker: &str) -> Self {
        self.ask(&["context", "create", name, "--docker", docker]);
        self
    }

    /// That one is the current one.
    pub(crate) fn choose(&self, name: &str) {
        self.ask(&["context", "use", name]);
    }

    /// For `DOCKER_CONFIG`.
    pub(crate) fn dir(&self) -> &str {
        &self.dir
    }

    fn ask(&self, args: &[&str]) {
        let out = client(&["--config", &self.dir]).args(args).output().unwrap();
        text_of(&out, args);
    }
}

/// Docker's client, which knows nothing of whoever runs the tests.
fn client(args: &[&str]) -> Command {
    let mut command = Command::new(variable("PEELBOX_TEST_DOCKER_CLI"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/nonexistent");
    command
}

fn text_of(out: &Output, args: &[&str]) -> String {
    assert!(out.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
