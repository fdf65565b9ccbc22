//! What SBOM and provenance add: `peelbox build` as it is typed against `--no-sbom --no-provenance`, in one run, turn about.
//!
//! Needs the testbed (`make bench`). Prints a table and, with `PEELBOX_BENCH_JSON=FILE`, one JSON line per case. Costs are
//! those of the client alone. One image has 400 packages that a step writes in no time, so what is said of them is as large
//! a part of its first build as can be; the other is the Node example, whose first build fetches packages.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on says where"
)]

use std::{
    fs,
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
    /// `examples/node-express`.
    Example,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    /// A tar on standard output.
    Stdout,
    /// A Docker Engine with containerd's store, which builds it itself.
    Docker,
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    image: Image,
    to: To,
    before: Before,
    rounds: usize,
}

#[rustfmt::skip]
const CASES: [Case; 8] = [
    Case { name: "400 packages to a tar, first", image: Image::Packages, to: To::Stdout, before: Before::Fresh, rounds: 5 },
    Case { name: "400 packages to a tar, nothing changed", image: Image::Packages, to: To::Stdout, before: Before::Nothing, rounds: 15 },
    Case { name: "400 packages to a tar, nothing changed, nothing kept", image: Image::Packages, to: To::Stdout, before: Before::Forget, rounds: 7 },
    Case { name: "400 packages into Docker, first", image: Image::Packages, to: To::Docker, before: Before::Fresh, rounds: 5 },
    Case { name: "400 packages into Docker, nothing changed", image: Image::Packages, to: To::Docker, before: Before::Nothing, rounds: 15 },
    Case { name: "400 packages into Docker, nothing changed, nothing kept", image: Image::Packages, to: To::Docker, before: Before::Forget, rounds: 7 },
    Case { name: "node-express to a tar, first", image: Image::Example, to: To::Stdout, before: Before::Fresh, rounds: 5 },
    Case { name: "node-express into Docker, first", image: Image::Example, to: To::Docker, before: Before::Fresh, rounds: 5 },
];

/// Those that a step adds to Debian's and Python's.
const ADDED: usize = 276;

fn main() {
    let cases = chosen(CASES, |case| case.name);
    if cases.is_empty() {
        return;
    }
    let bench = Bench {
        peelbox: PathBuf::from(env!("CARGO_BIN_EXE_peelbox")),
        buildkit: variable("PEELBOX_TEST_BUILDKIT"),
        docker: variable("PEELBOX_TEST_DOCKER"),
        client: variable("PEELBOX_TEST_DOCKER_CLI"),
        meter: Meter::new(),
        work: tempfile::tempdir().unwrap(),
    };
    head("without");
    let notes: Vec<String> = cases.iter().map(|case| bench.run(*case)).collect();
    notes.iter().for_each(|note| println!("\n{note}"));
    println!();
}

struct Bench {
    peelbox: PathBuf,
    buildkit: String,
    docker: String,
    client: String,
    meter: Meter,
    work: tempfile::TempDir,
}

/// A place of its own for each side, so that neither finds what the other has built.
struct Place {
    root: PathBuf,
    name: &'static str,
}

impl Bench {
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
                        // There is none where none is made.
                        drop(fs::remove_dir_all(place.root.join("home/.cache/peelbox/sbom")));
                    }
                }
                costs.add(round, side, self.build(case, place, side));
            }
        }
        let difference_ms = costs.report(case.name);
        if case.to == To::Docker {
            let mut command = Command::new(&self.client);
            command.args(["image", "rm", "--force", ours.name, theirs.name]);
            command.env("DOCKER_HOST", &self.docker).stdout(Stdio::null()).stderr(Stdio::null());
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
        if image == Image::Example {
            let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node-express");
            for file in ["package.json", "package-lock.json", "server.js"] {
                fs::copy(example.join(file), place.root.join("context").join(file)).unwrap();
            }
        }
        place.write_spec(image, usize::MAX);
        place
    }

    fn build(&self, case: Case, place: &Place, side: Side) -> Cost {
        let mut command = self.meter.timed(0, &self.peelbox);
        command.args(["build", "--progress", "plain", "--tag", place.name, "--spec", "spec.json"]);
        command.args(["--context", "context"]).current_dir(&place.root);
        if side == Side::Theirs {
            command.args(["--no-sbom", "--no-provenance"]);
        }
        match case.to {
            To::Stdout => {
                command.args(["--buildkit", &self.buildkit, "--output", "type=oci,dest=-"]);
            }
            To::Docker => {
                command.env("DOCKER_HOST", &self.docker);
            }
        }
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
        let spec = match image {
            Image::Packages => json!({
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
            Image::Example => {
                let example = include_str!("../examples/node-express/universalbuild.json");
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
