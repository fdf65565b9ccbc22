//! A registry that asks who one is: a base is there, or an image goes there.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    attested::{by_skopeo, one},
    daemon,
    workdir::{Workdir, debian, on_base},
};

const USER: &str = "me";
const SECRET: &str = "s3cret-of-the-test";

/// In front of the testbed's registry, and lets nobody in without name and password.
struct Guarded {
    address: String,
    offered: Arc<Mutex<Vec<String>>>,
}

impl Guarded {
    fn start() -> Self {
        // BuildKit speaks plain HTTP to registries of this machine.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let offered = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&offered);
        named(move || {
            for client in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                // A client that leaves early is the daemon's business.
                named(move || drop(serve(client, &seen)));
            }
        });
        Self { address, offered }
    }

    /// A build on a base that is there.
    fn work(&self) -> Workdir {
        let base = format!("{}/library/debian:bookworm-slim", self.address);
        Workdir::with_spec(&on_base(&base, "private", &["mkdir /out"]))
    }

    fn was_offered(&self, authorization: &str) -> bool {
        self.offered.lock().unwrap().iter().any(|offered| offered == authorization)
    }
}

fn named(body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name("registry".to_owned()).spawn(body).unwrap();
}

fn authorization() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{SECRET}")))
}

/// Answers one request; a body has a length.
fn serve(client: TcpStream, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut client = client;
    let offered = head.iter().find_map(|line| line.strip_prefix("Authorization: "));
    seen.lock().unwrap().extend(offered.map(str::to_owned));
    if offered != Some(&*authorization()) {
        return client.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"\r\n\
              Content-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let upstream = daemon::variable("PEELBOX_TEST_REGISTRY");
    let mut registry = TcpStream::connect(&upstream)?;
    let kept = |line: &&String| !line.starts_with("Host: ") && !line.starts_with("Authorization: ");
    let mut request: String = head.iter().filter(kept).map(|line| format!("{line}\r\n")).collect();
    request += &format!("Host: {upstream}\r\nConnection: close\r\n\r\n");
    registry.write_all(request.as_bytes())?;
    let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    io::copy(&mut reader.take(length), &mut registry)?;
    let mut answer = Vec::new();
    registry.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.shutdown(Shutdown::Both)
}

fn docker_config(work: &Workdir, content: &str) {
    fs::create_dir_all(work.path("home/.docker")).unwrap();
    fs::write(work.path("home/.docker/config.json"), content).unwrap();
}

fn with_auth(address: &str) -> Value {
    json!({ "auths": { address: { "auth": STANDARD.encode(format!("{USER}:{SECRET}")) } } })
}

#[test]
fn an_image_is_pushed_with_what_docker_login_left() {
    let registry = Guarded::start();
    let work = Workdir::with_spec(&debian("pushed", &["mkdir /out"]));
    let name = work.root().file_name().unwrap().to_str().unwrap().to_lowercase();
    let tag = format!("{}/{name}:1", registry.address);
    let push = || work.build().args(["--push", "--tag", &tag, "--progress", "plain"]).run();
    let run = push().ended(5);
    drop(run.says(&["error: cannot push the image: ", &tag, "401", "hint: ", "`docker login`"]));
    docker_config(&work, &with_auth(&registry.address).to_string());
    drop(push().ok().says(&["pushed to ", &registry.address]));
    assert!(registry.was_offered(&authorization()));
    let upstream = daemon::variable("PEELBOX_TEST_REGISTRY");
    let pushed = one(by_skopeo(&format!("docker://{upstream}/{name}:1"), &work.path("pushed")));
    pushed.check_subjects();
}

const NONE: [&str; 2] = ["--output", "type=none"];

#[test]
fn what_docker_login_left_opens_a_private_registry() {
    let registry = Guarded::start();
    let work = registry.work();
    docker_config(&work, &with_auth(&registry.address).to_string());
    let run = work.build().args(NONE).args(["--progress", "plain"]).run().ok();
    assert!(registry.was_offered(&authorization()));
    assert!(!run.stderr.contains(SECRET), "{}", run.stderr);

    // The same folder under another name.
    let registry = Guarded::start();
    let work = registry.work();
    fs::create_dir(work.path("elsewhere")).unwrap();
    let config = with_auth(&registry.address).to_string();
    fs::write(work.path("elsewhere/config.json"), config).unwrap();
    drop(work.build().args(NONE).env("DOCKER_CONFIG", work.path("elsewhere")).run().ok());
}

#[test]
fn a_credential_helper_opens_a_private_registry() {
    let registry = Guarded::start();
    let work = registry.work();
    docker_config(&work, &json!({ "credHelpers": { &registry.address: "it" } }).to_string());
    fs::create_dir(work.path("bin")).unwrap();
    let helper = work.path("bin/docker-credential-it");
    let answer = json!({ "ServerURL": "", "Username": USER, "Secret": SECRET });
    let script = format!("#!/bin/sh\n[ \"$1\" = get ] && cat >>\"$0.asked\" && echo '{answer}'\n");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", work.path("bin").display());
    drop(work.build().args(NONE).env("PATH", path).run().ok());
    let asked = fs::read_to_string(work.path("bin/docker-credential-it.asked")).unwrap();
    assert!(asked.starts_with(&registry.address), "{asked}");
}

#[test]
fn without_credentials_a_private_registry_stays_closed_and_the_way_in_is_told() {
    let registry = Guarded::start();
    let work = registry.work();
    let run = work.build().args(NONE).run().ended(5);
    let base = format!("cannot resolve `{}/library/debian:bookworm-slim`", registry.address);
    drop(run.says(&[&base, "(build.base)", "401 Unauthorized", "docker login"]));
    drop(work.plan().run().ended(5).says(&[&base, "docker login"]));
    docker_config(
        &work,
        &json!({ "auths": { &registry.address: { "auth": "bWU6d3Jvbmc=" } } }).to_string(),
    );
    drop(work.build().args(NONE).run().ended(5).says(&[&base]));
    assert!(registry.was_offered("Basic bWU6d3Jvbmc="));
}

#[test]
fn a_broken_docker_configuration_is_told_with_its_file() {
    let registry = Guarded::start();
    let work = registry.work();
    docker_config(&work, "{ \"auths\": ");
    drop(work.build().args(NONE).run().ended(5).says(&["home/.docker/config.json"]));
    docker_config(&work, &json!({ "credHelpers": { &registry.address: "not-there" } }).to_string());
    drop(work.build().args(NONE).run().ended(5).says(&["docker-credential-not-there"]));
}

#[test]
fn a_base_that_is_nowhere_is_told_with_its_field() {
    let registry = daemon::variable("PEELBOX_TEST_REGISTRY");
    for base in [
        "docker.io/library/debian:there-is-no-such-tag".to_owned(),
        format!("{registry}/no/such/image:1"),
        // Port 1: nobody listens.
        "127.0.0.1:1/x:y".to_owned(),
    ] {
        let work = Workdir::with_spec(&on_base(&base, "nowhere", &["true"]));
        let error = format!("error: cannot resolve `{base}` (build.base): ");
        drop(work.build().args(NONE).run().ended(5).says(&[&error, "hint: "]));
    }
}
