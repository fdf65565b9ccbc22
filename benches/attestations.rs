//! What SBOM and provenance add: `peelbox build` as it is typed against `--no-sbom --no-provenance`, and against a scanner
//! that the daemon runs (`--sbom=generator=…`), in one run, turn about.
//!
//! Needs the testbed (`make bench`), and for the scanner syft (`tests/testbed/install syft`). Prints two tables and, with
//! `PEELBOX_BENCH_JSON=FILE`, one JSON line per case. CPU and memory are those of the client alone. One image has 400 packages
//! that a step writes in no time, so what is said of them is as large a part of its first build as can be; the others are the
//! examples, whose first builds fetch packages.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on says where"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;

use crate::support::{Cost, Costs, Meter, Side, chosen, head, turns, variable};

#[expect(dead_code, reason = "other benches use the rest")]
mod support;

/// What happens before each run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A step of the spec is another one.
    Fresh,
    /// The client forgets the SBOMs that it has made, as on a machine that is new each time.
    Forget,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Image {
    /// Debian's and Python's packages, and further ones up to 400.
    Packages,
    Node,
    Python,
}

impl Image {
    /// The example's folder, its spec, and further files of its context.
    fn example(self) -> Option<(&'static str, &'static str, &'static [&'static str])> {
        match self {
            Self::Packages => None,
            Self::Node => Some((
                "examples/node-express",
                include_str!("../examples/node-express/universalbuild.json"),
                &["package.json", "package-lock.json", "server.js"],
            )),
            Self::Python => Some((
                "examples/python-flask",
                include_str!("../examples/python-flask/universalbuild.json"),
                &["requirements.txt", "app.py"],
            )),
        }
    }
}

/// What the build as it is typed is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Than {
    /// `--no-sbom --no-provenance`
    Without,
    /// Syft, run by the daemon.
    Scanner,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// A tar on standard output.
    Stdout,
    /// A Docker Engine with containerd's store, which builds it itself.
    Docker,
    /// One with the classic store.
    Classic,
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    image: Image,
    to: To,
    before: Before,
    than: Than,
    rounds: usize,
}

#[rustfmt::skip]
const CASES: [Case; 14] = [
    Case { name: "400 packages to a tar, nothing changed", image: Image::Packages, to: To::Stdout, before: Before::Nothing, than: Than::Without, rounds: 15 },
    Case { name: "400 packages into Docker, nothing changed", image: Image::Packages, to: To::Docker, before: Before::Nothing, than: Than::Without, rounds: 15 },
    Case { name: "400 packages into Docker (classic), nothing changed", image: Image::Packages, to: To::Classic, before: Before::Nothing, than: Than::Without, rounds: 15 },
    Case { name: "400 packages to a tar, nothing changed, nothing kept", image: Image::Packages, to: To::Stdout, before: Before::Forget, than: Than::Without, rounds: 7 },
    Case { name: "400 packages into Docker, nothing changed, nothing kept", image: Image::Packages, to: To::Docker, before: Before::Forget, than: Than::Without, rounds: 7 },
    Case { name: "400 packages to a tar, first", image: Image::Packages, to: To::Stdout, before: Before::Fresh, than: Than::Without, rounds: 5 },
    Case { name: "400 packages into Docker, first", image: Image::Packages, to: To::Docker, before: Before::Fresh, than: Than::Without, rounds: 5 },
    Case { name: "node-express to a tar, first", image: Image::Node, to: To::Stdout, before: Before::Fresh, than: Than::Without, rounds: 5 },
    Case { name: "node-express into Docker, first", image: Image::Node, to: To::Docker, before: Before::Fresh, than: Than::Without, rounds: 5 },
    Case { name: "python-flask to a tar, first", image: Image::Python, to: To::Stdout, before: Before::Fresh, than: Than::Without, rounds: 5 },
    Case { name: "python-flask into Docker, first", image: Image::Python, to: To::Docker, before: Before::Fresh, than: Than::Without, rounds: 5 },
    Case { name: "400 packages, syft as scanner, first", image: Image::Packages, to: To::Stdout, before: Before::Fresh, than: Than::Scanner, rounds: 3 },
    Case { name: "400 packages, syft as scanner, nothing changed", image: Image::Packages, to: To::Stdout, before: Before::Nothing, than: Than::Scanner, rounds: 7 },
    Case { name: "node-express, syft as scanner, first", image: Image::Node, to: To::Stdout, before: Before::Fresh, than: Than::Scanner, rounds: 3 },
];

impl To {
    /// The address of the engine, where it is one.
    fn engine(self) -> Option<String> {
        match self {
            Self::Stdout => None,
            Self::Docker => Some(variable("PEELBOX_TEST_DOCKER")),
            Self::Classic => Some(variable("PEELBOX_TEST_DOCKER_GRAPH")),
        }
    }
}

/// Scans as BuildKit asks for it, with the catalogers that BuildKit's own scanner lets syft choose.
const SCAN: &str = r#"#!/bin/sh
set -e
out="$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"
printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":' >"$out"
SYFT_CHECK_FOR_APP_UPDATE=false HOME=/tmp /syft scan "dir:$BUILDKIT_SCAN_SOURCE" --quiet --output spdx-json >>"$out"
echo '}' >>"$out"
"#;

/// Those that a step adds to Debian's and Python's.
const ADDED: usize = 276;

fn main() {
    let cases = chosen(CASES, |case| case.name);
    let (scanned, bare): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.than == Than::Scanner);
    let mut bench = Bench {
        peelbox: PathBuf::from(env!("CARGO_BIN_EXE_peelbox")),
        buildkit: variable("PEELBOX_TEST_BUILDKIT"),
        meter: Meter::new(),
        work: tempfile::tempdir().unwrap(),
        scanner: String::new(),
    };
    if !bare.is_empty() {
        bench.table("without", &bare);
    }
    match env::var_os("PEELBOX_TEST_SYFT") {
        Some(syft) if !scanned.is_empty() => {
            bench.scanner = bench.push_scanner(Path::new(&syft));
            bench.table("scanner", &scanned);
        }
        None if !scanned.is_empty() => {
            println!("Not against a scanner: `tests/testbed/install syft` builds one.\n");
        }
        _ => {}
    }
}

struct Bench {
    peelbox: PathBuf,
    buildkit: String,
    meter: Meter,
    work: tempfile::TempDir,
    /// An image that the daemon can run as scanner.
    scanner: String,
}

/// A place of its own for each side, so that neither finds what the other has built.
struct Place {
    root: PathBuf,
    name: &'static str,
}

impl Bench {
    fn table(&self, rival: &str, cases: &[Case]) {
        head(rival);
        let notes: Vec<String> = cases.iter().map(|case| self.run(*case)).collect();
        notes.iter().for_each(|note| println!("\n{note}"));
        println!();
    }

    /// Makes a scanner of syft (BuildKit `docs/attestations/sbom-protocol.md`) and pushes it to the testbed's registry.
    fn push_scanner(&self, syft: &Path) -> String {
        let dir = self.work.path().join("scanner");
        fs::create_dir(&dir).unwrap();
        fs::copy(syft, dir.join("syft")).unwrap();
        fs::write(dir.join("scan"), SCAN).unwrap();
        let base = "docker.io/library/debian:bookworm-slim";
        let spec = json!({
            "version": "1.0",
            "metadata": { "project_name": "scanner" },
            "build": { "base": base, "commands": ["chmod +x scan syft"] },
            "runtime": {
                "base": base,
                "copy": [{ "from": "scan", "to": "/" }, { "from": "syft", "to": "/" }],
                "command": ["/scan"]
            }
        });
        let spec_file = self.work.path().join("scanner.json");
        fs::write(&spec_file, spec.to_string()).unwrap();
        let image = format!("{}/peelbox-bench-scanner:1", variable("PEELBOX_TEST_REGISTRY"));
        let mut command = Command::new(&self.peelbox);
        command.args(["build", "--quiet", "--push", "--no-sbom", "--no-provenance"]);
        command.args(["--buildkit", &self.buildkit, "--tag", &image, "--spec"]).arg(spec_file);
        command.arg("--context").arg(dir).stdout(Stdio::null());
        assert!(command.status().unwrap().success());
        image
    }

    /// What there is to say below the table.
    fn run(&self, case: Case) -> String {
        let [ours, theirs] = ["with", "without"].map(|name| self.place(case.image, name));
        let mut costs = Costs::default();
        for round in 0..=case.rounds {
            for side in turns(round) {
                let place = if side == Side::Ours { &ours } else { &theirs };
                match case.before {
                    Before::Nothing => {}
                    Before::Fresh => place.write_spec(case.image, round),
                    Before::Forget => {
                        // There is nothing where nothing is made.
                        drop(fs::remove_dir_all(place.root.join("home/.cache/peelbox")));
                    }
                }
                costs.add(round, side, self.build(case, place, side));
            }
        }
        let difference_ms = costs.report(case.name);
        if let Some(engine) = case.to.engine() {
            let mut command = Command::new(variable("PEELBOX_TEST_DOCKER_CLI"));
            command.args(["image", "rm", "--force", ours.name, theirs.name]);
            command.env("DOCKER_HOST", engine).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().unwrap();
        }
        for place in [ours, theirs] {
            fs::remove_dir_all(place.root).unwrap();
        }
        format!("{}: {:+.0} ms.", case.name, difference_ms)
    }

    fn place(&self, image: Image, side: &str) -> Place {
        let root = self.work.path().join(side);
        let name = if side == "with" { "peelbox-bench-with" } else { "peelbox-bench-without" };
        let place = Place { root, name };
        fs::create_dir_all(place.root.join("context")).unwrap();
        if let Some((folder, _, files)) = image.example() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for file in files {
                fs::copy(folder.join(file), place.root.join("context").join(file)).unwrap();
            }
        }
        place.write_spec(image, usize::MAX);
        place
    }

    fn build(&self, case: Case, place: &Place, side: Side) -> Cost {
        let mut command = self.meter.timed(0, &self.peelbox);
        command.args(["build", "--progress", "plain", "--tag", place.name, "--spec", "spec.json"]);
        command.args(["--context", "context"]).current_dir(&place.root);
        match (side, case.than) {
            (Side::Ours, _) => {}
            (Side::Theirs, Than::Without) => drop(command.args(["--no-sbom", "--no-provenance"])),
            (Side::Theirs, Than::Scanner) => {
                command.arg(format!("--sbom=generator={}", self.scanner));
            }
        }
        match case.to.engine() {
            None => command.args(["--buildkit", &self.buildkit, "--output", "type=oci,dest=-"]),
            Some(engine) => command.env("DOCKER_HOST", engine),
        };
        command.env("HOME", place.root.join("home"));
        let others = ["BUILDKIT_HOST", "DOCKER_CONTEXT", "XDG_CACHE_HOME", "XDG_DATA_HOME"];
        for name in others {
            command.env_remove(name);
        }
        self.meter.measure(vec![command])
    }
}

impl Place {
    /// The spec of a round, as no other run of the bench has it.
    fn write_spec(&self, image: Image, round: usize) {
        let fresh = format!("{} {} {round}", self.name, std::process::id());
        let spec = match image.example() {
            None => json!({
                "version": "1.0",
                "metadata": { "project_name": self.name },
                "build": {
                    "base": "docker.io/library/python:3.11-slim-bookworm",
                    "commands": [format!("{PACKAGES}\necho {fresh} >/out/fresh")],
                    "env": { "ADDED": ADDED.to_string() }
                },
                "runtime": {
                    "base": "docker.io/library/python:3.11-slim-bookworm",
                    "copy": [{ "from": "/out", "to": "/srv" }],
                    "command": ["python3"]
                }
            }),
            Some((_, example, _)) => {
                let mut spec: serde_json::Value = serde_json::from_str(example).unwrap();
                // The first step, so that all run anew.
                spec["build"]["env"]["FRESH"] = json!(fresh);
                spec
            }
        };
        fs::write(self.root.join("spec.json"), spec.to_string()).unwrap();
    }
}

/// Writes packages as pip would install them, without their code.
const PACKAGES: &str = "i=0; while [ $i -lt $ADDED ]; do
d=/out/lib/python3.11/site-packages/package_$i-1.$i.dist-info; mkdir -p $d
printf 'Metadata-Version: 2.1\\nName: package-%s\\nVersion: 1.%s\\nLicense: MIT\\n\\nText.\\n' $i $i >$d/METADATA
echo pip >$d/INSTALLER; echo package_$i/__init__.py,, >$d/RECORD; i=$((i+1)); done";
