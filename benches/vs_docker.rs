//! peelbox against Docker's own ways to an image in Docker, in one run, turn about: `docker buildx build --load` with the
//! BuildKit inside the engine, and `buildctl build --output type=docker | docker load` with a daemon beside it.
//!
//! Needs the testbed (`make bench`). Prints tables and, with `PEELBOX_BENCH_JSON=FILE`, one JSON line per case. Costs are
//! those of the clients alone; of the pipe, CPU and peak memory of both programs together. All are started as they are
//! typed, so peelbox adds SBOM and provenance and the pipe does not. Cases with "bare" compare the least to do: peelbox adds
//! neither, and buildx is its own program without `docker` around it, and without the provenance that it adds by itself. Its
//! Dockerfile has the steps of the spec, and no `# syntax=` line that would fetch a frontend.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on says where"
)]

use std::{
    env,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::support::{Cost, Costs, Meter, Side, chosen, files, head, turns, variable};

mod support;

/// What happens before each run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A line of `server.js` changes.
    Line,
    /// Nothing, but the builder must not use its cache.
    NoCache,
    /// Docker loses the image; the builder has it in its cache.
    Remove,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rival {
    /// As it is typed.
    Buildx,
    /// The program itself, with the least to do.
    BareBuildx,
    /// As it is typed.
    Pipe,
    /// The same; peelbox has the least to do.
    BarePipe,
}

impl Rival {
    fn is_pipe(self) -> bool {
        matches!(self, Self::Pipe | Self::BarePipe)
    }
}

#[derive(Clone, Copy)]
enum Image {
    /// `examples/node-express`.
    Example,
    /// A small program on a base with a JDK, as many services have one.
    Jdk,
    /// One layer of 1 GiB, not compressed.
    Large,
}

struct Case {
    name: &'static str,
    rival: Rival,
    image: Image,
    before: Before,
    rounds: usize,
    /// Variable with the engine's address.
    engine: &'static str,
}

const CONTAINERD: &str = "PEELBOX_TEST_DOCKER";
const GRAPH: &str = "PEELBOX_TEST_DOCKER_GRAPH";

#[rustfmt::skip]
const CASES: [Case; 15] = [
    Case { name: "containerd store, first", rival: Rival::Buildx, image: Image::Example, before: Before::NoCache, rounds: 3, engine: CONTAINERD },
    Case { name: "containerd store, nothing changed", rival: Rival::Buildx, image: Image::Example, before: Before::Nothing, rounds: 11, engine: CONTAINERD },
    Case { name: "containerd store, nothing changed, bare", rival: Rival::BareBuildx, image: Image::Example, before: Before::Nothing, rounds: 11, engine: CONTAINERD },
    Case { name: "containerd store, one line changed", rival: Rival::Buildx, image: Image::Example, before: Before::Line, rounds: 5, engine: CONTAINERD },
    Case { name: "classic store, first", rival: Rival::Buildx, image: Image::Example, before: Before::NoCache, rounds: 3, engine: GRAPH },
    Case { name: "classic store, nothing changed", rival: Rival::Buildx, image: Image::Example, before: Before::Nothing, rounds: 11, engine: GRAPH },
    Case { name: "classic store, nothing changed, bare", rival: Rival::BareBuildx, image: Image::Example, before: Before::Nothing, rounds: 11, engine: GRAPH },
    Case { name: "classic store, one line changed", rival: Rival::Buildx, image: Image::Example, before: Before::Line, rounds: 5, engine: GRAPH },
    Case { name: "daemon beside Docker, first load", rival: Rival::Pipe, image: Image::Example, before: Before::Remove, rounds: 5, engine: CONTAINERD },
    Case { name: "daemon beside Docker, nothing changed", rival: Rival::Pipe, image: Image::Example, before: Before::Nothing, rounds: 21, engine: CONTAINERD },
    Case { name: "daemon beside Docker, nothing changed, bare", rival: Rival::BarePipe, image: Image::Example, before: Before::Nothing, rounds: 21, engine: CONTAINERD },
    Case { name: "daemon beside Docker, one line changed", rival: Rival::Pipe, image: Image::Example, before: Before::Line, rounds: 5, engine: CONTAINERD },
    Case { name: "daemon beside Docker, a JDK, nothing changed", rival: Rival::Pipe, image: Image::Jdk, before: Before::Nothing, rounds: 11, engine: CONTAINERD },
    Case { name: "daemon beside Docker, a layer of 1 GiB, nothing changed", rival: Rival::Pipe, image: Image::Large, before: Before::Nothing, rounds: 3, engine: CONTAINERD },
    Case { name: "daemon beside Docker, a layer of 1 GiB", rival: Rival::Pipe, image: Image::Large, before: Before::Remove, rounds: 3, engine: CONTAINERD },
];

fn main() {
    let (pipe, buildx): (Vec<Case>, Vec<Case>) =
        chosen(CASES, |case| case.name).into_iter().partition(|case| case.rival.is_pipe());
    if buildx.is_empty() && pipe.is_empty() {
        return;
    }
    let bench = Bench {
        peelbox: PathBuf::from(env!("CARGO_BIN_EXE_peelbox")),
        buildx: variable("PEELBOX_TEST_BUILDX"),
        buildctl: variable("PEELBOX_TEST_BUILDCTL"),
        docker: variable("PEELBOX_TEST_DOCKER_CLI"),
        buildkit: variable("PEELBOX_TEST_BUILDKIT"),
        meter: Meter::new(),
        work: tempfile::tempdir().unwrap(),
    };
    // Neither the user's credentials nor his builders.
    let plugins = bench.work.path().join("config/cli-plugins");
    fs::create_dir_all(&plugins).unwrap();
    symlink(&bench.buildx, plugins.join("docker-buildx")).unwrap();
    for (title, cases) in [("buildx", buildx), ("pipe", pipe)] {
        if !cases.is_empty() {
            head(title);
        }
        let notes: Vec<String> = cases.iter().filter_map(|case| bench.run(case)).collect();
        notes.iter().for_each(|note| println!("\n{note}"));
        println!();
    }
}

struct Bench {
    peelbox: PathBuf,
    buildx: String,
    buildctl: String,
    docker: String,
    /// The daemon beside Docker.
    buildkit: String,
    meter: Meter,
    work: tempfile::TempDir,
}

/// A place of its own for each side, so that neither finds what the other has built.
struct Place {
    context: PathBuf,
    spec: PathBuf,
    tag: &'static str,
}

impl Bench {
    /// What there is to say below the table.
    fn run(&self, case: &Case) -> Option<String> {
        let engine = variable(case.engine);
        let ours = self.place(case.image, "ours", "peelbox-bench-ours");
        let theirs = self.place(case.image, "theirs", "peelbox-bench-theirs");
        if case.rival.is_pipe() {
            self.plan(&theirs);
        }
        let run = |side, engine: &str| match (side, case.rival) {
            (Side::Ours, _) => self.ours(case, &ours, engine),
            (Side::Theirs, Rival::Buildx | Rival::BareBuildx) => self.buildx(case, &theirs, engine),
            (Side::Theirs, Rival::Pipe | Rival::BarePipe) => self.pipe(case, &theirs, engine),
        };
        let mut costs = Costs::default();
        for round in 0..=case.rounds {
            for side in turns(round) {
                match case.before {
                    Before::Line => {
                        change(if side == Side::Ours { &ours } else { &theirs }, round);
                    }
                    // Both: they share layers.
                    Before::Remove => self.remove(&engine),
                    Before::Nothing | Before::NoCache => {}
                }
                costs.add(round, side, run(side, &engine));
            }
        }
        costs.report(case.name);
        let note = (case.rival.is_pipe() && case.before == Before::Nothing).then(|| {
            let [ours, theirs] = [Side::Ours, Side::Theirs].map(|side| {
                let counter =
                    Counter::start(&self.work.path().join(format!("{side:?}.sock")), &engine);
                run(side, &counter.address);
                counter.bytes.load(Ordering::Relaxed)
            });
            format!("{}: {ours} bytes to Docker, {theirs} by the pipe.", case.name)
        });
        self.remove(&engine);
        for place in [ours, theirs] {
            fs::remove_dir_all(place.context).unwrap();
        }
        note
    }

    fn place(&self, image: Image, name: &str, tag: &'static str) -> Place {
        let context = self.work.path().join(name);
        fs::create_dir(&context).unwrap();
        match image {
            Image::Example => {
                let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node-express");
                for file in fs::read_dir(example).unwrap() {
                    let file = file.unwrap();
                    fs::copy(file.path(), context.join(file.file_name())).unwrap();
                }
                fs::write(context.join("Dockerfile"), DOCKERFILE).unwrap();
            }
            Image::Jdk => {
                fs::write(context.join("Main.java"), "class Main {}").unwrap();
                fs::write(context.join("universalbuild.json"), JDK).unwrap();
            }
            Image::Large => {
                files(&context, 1, 8, 128 << 20);
                fs::write(context.join("universalbuild.json"), LARGE).unwrap();
            }
        }
        Place { spec: context.join("universalbuild.json"), context, tag }
    }

    fn remove(&self, engine: &str) {
        let mut command = Command::new(&self.docker);
        command.args(["image", "rm", "--force", "peelbox-bench-ours", "peelbox-bench-theirs"]);
        command.env("DOCKER_HOST", engine).stdout(Stdio::null()).stderr(Stdio::null());
        // Either may not be there.
        command.status().unwrap();
    }

    /// Writes the graph that peelbox would build for buildctl.
    fn plan(&self, place: &Place) {
        let mut command = Command::new(&self.peelbox);
        command.args(["plan", "--format", "llb", "--buildkit", &self.buildkit, "--spec"]);
        command.arg(&place.spec).arg("--context").arg(&place.context);
        let done = command.stderr(Stdio::inherit()).output().unwrap();
        assert!(done.status.success(), "{command:?}");
        fs::write(self.work.path().join("plan.llb"), done.stdout).unwrap();
    }

    fn ours(&self, case: &Case, place: &Place, engine: &str) -> Cost {
        let mut command = self.client(0, &self.peelbox, engine);
        command.args(["build", "--progress", "plain", "--tag", place.tag, "--spec"]);
        command.arg(&place.spec).arg("--context").arg(&place.context);
        if case.before == Before::NoCache {
            command.arg("--no-cache");
        }
        if case.rival.is_pipe() {
            command.args(["--buildkit", &self.buildkit]);
        }
        if matches!(case.rival, Rival::BareBuildx | Rival::BarePipe) {
            command.args(["--no-sbom", "--no-provenance"]);
        }
        if let Image::Large = case.image {
            command.args(["--output", "type=docker,compression=uncompressed"]);
        }
        self.meter.measure(vec![command])
    }

    fn buildx(&self, case: &Case, place: &Place, engine: &str) -> Cost {
        let is_bare = case.rival == Rival::BareBuildx;
        let program = if is_bare { &self.buildx } else { &self.docker };
        let mut command = self.client(0, program, engine);
        command.args(if is_bare {
            &["build", "--provenance=false"][..]
        } else {
            &["buildx", "build"]
        });
        command.args(["--builder", "default", "--progress", "plain", "--load"]);
        command.args(["--tag", place.tag]).arg(&place.context);
        if case.before == Before::NoCache {
            command.arg("--no-cache");
        }
        self.meter.measure(vec![command])
    }

    fn pipe(&self, case: &Case, place: &Place, engine: &str) -> Cost {
        let mut build = self.client(0, &self.buildctl, engine);
        let compression = match case.image {
            Image::Example | Image::Jdk => "",
            Image::Large => ",compression=uncompressed",
        };
        build
            .args(["--addr", &self.buildkit, "build", "--progress", "plain", "--local"])
            .arg(format!("context={}", place.context.display()))
            .arg("--output")
            .arg(format!("type=docker,name=docker.io/library/{}:latest{compression}", place.tag))
            .stdin(File::open(self.work.path().join("plan.llb")).unwrap());
        let mut load = self.client(1, &self.docker, engine);
        load.arg("load");
        self.meter.measure(vec![build, load])
    }

    fn client(&self, part: usize, program: impl AsRef<Path>, engine: &str) -> Command {
        let mut command = self.meter.timed(part, program.as_ref());
        command.env("DOCKER_HOST", engine).env("DOCKER_CONFIG", self.work.path().join("config"));
        for name in ["BUILDKIT_HOST", "BUILDX_BUILDER", "BUILDX_CONFIG", "DOCKER_CONTEXT"] {
            command.env_remove(name);
        }
        command.current_dir(self.work.path());
        command
    }
}

/// Gives the source a line that no build has seen.
fn change(place: &Place, round: usize) {
    let mut source = File::options().append(true).open(place.context.join("server.js")).unwrap();
    writeln!(source, "// {} {} {round}", place.tag, std::process::id()).unwrap();
}

/// Passes an engine's connections on and counts what it is sent.
struct Counter {
    address: String,
    bytes: Arc<AtomicU64>,
}

impl Counter {
    fn start(path: &Path, engine: &str) -> Self {
        // That of a case before, if any.
        drop(fs::remove_file(path));
        let listener = UnixListener::bind(path).unwrap();
        let engine = engine.strip_prefix("unix://").unwrap().to_owned();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        let thread = thread::Builder::new().name("counter".to_owned());
        let accept = move || {
            while let Ok((client, _)) = listener.accept() {
                let server = UnixStream::connect(&engine).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let counted = Arc::clone(&counted);
                let half = thread::Builder::new().name("counter".to_owned());
                half.spawn(move || pass(client, server, &counted)).unwrap();
                let half = thread::Builder::new().name("counter".to_owned());
                half.spawn(move || pass(back.0, back.1, &AtomicU64::new(0))).unwrap();
            }
        };
        // It ends with the bench.
        thread.spawn(accept).unwrap();
        Self { address: format!("unix://{}", path.display()), bytes }
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, counted: &AtomicU64) {
    let mut buf = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buf) {
        counted.fetch_add(n as u64, Ordering::Relaxed);
        if to.write_all(&buf[..n]).is_err() {
            break;
        }
    }
    // The other end may be gone.
    drop(to.shutdown(Shutdown::Write));
}

/// The steps of `examples/node-express/universalbuild.json`.
const DOCKERFILE: &str = r#"FROM docker.io/library/node:22-bookworm-slim AS build
ENV NODE_ENV=production
WORKDIR /src
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --no-audit --no-fund
COPY . .
RUN --mount=type=cache,target=/root/.npm node --check server.js

FROM docker.io/library/node:22-bookworm-slim
ENV NODE_ENV=production PORT=3000
WORKDIR /app
COPY --from=build /src/node_modules /app/node_modules
COPY --from=build /src/package.json /app/
COPY --from=build /src/server.js /app/
USER node
EXPOSE 3000
LABEL io.peelbox.health.endpoint=/health org.opencontainers.image.title=node-express
ENTRYPOINT ["node", "server.js"]
"#;

/// A program is compiled and stands on what it runs on.
const JDK: &str = r#"{"version":"1.0","metadata":{"project_name":"jdk"},
"build":{"base":"docker.io/library/maven:3.9-eclipse-temurin-17","commands":["javac -d /out Main.java"]},
"runtime":{"base":"docker.io/library/maven:3.9-eclipse-temurin-17","copy":[{"from":"/out","to":"/app"}],"command":["java","-cp","/app","Main"]}}"#;

/// The folder with the files is the one layer.
const LARGE: &str = r#"{"version":"1.0","metadata":{"project_name":"large"},
"build":{"base":"scratch"},"runtime":{"base":"scratch","copy":[{"from":"d0","to":"/d0"}],"command":["/d0/f0"]}}"#;
