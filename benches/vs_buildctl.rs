//! peelbox against buildctl, in one run: the same LLB, the same daemon, the same context, turn about.
//!
//! Needs the testbed (`make bench`). Prints a table and, with `PEELBOX_BENCH_JSON=FILE`, one JSON line per case.
//! Wall time, CPU time and peak memory are those of the client process alone, as the kernel accounts them
//! (`/usr/bin/time`). "first" means that the daemon has no copy of the context yet: each run has another shared key,
//! buildctl's by a hint in the LLB, peelbox's by another path of the folder.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on says where"
)]

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use peelbox::{
    plan::{Options, Plan, Platform, ResolvedBases},
    spec,
};
use prost::Message as _;

use crate::support::{Cost, Costs, Meter, Side, chosen, files, head, turns, variable};

mod support;

struct Bench {
    peelbox: PathBuf,
    buildctl: PathBuf,
    address: String,
    meter: Meter,
    work: tempfile::TempDir,
}

struct Case {
    name: &'static str,
    make: fn(&Path),
    rounds: usize,
    /// The daemon has no copy of the context before a run.
    is_first: bool,
}

fn main() {
    let bench = Bench {
        peelbox: PathBuf::from(env!("CARGO_BIN_EXE_peelbox")),
        buildctl: PathBuf::from(variable("PEELBOX_TEST_BUILDCTL")),
        address: variable("PEELBOX_TEST_BUILDKIT"),
        meter: Meter::new(),
        work: tempfile::tempdir().unwrap(),
    };
    let cases = [
        Case {
            name: "10 files, nothing changed",
            make: |d| files(d, 1, 10, 1 << 10),
            rounds: 15,
            is_first: false,
        },
        Case {
            name: "50,000 x 1 KiB, first",
            make: |d| files(d, 500, 100, 1 << 10),
            rounds: 3,
            is_first: true,
        },
        Case {
            name: "50,000 x 1 KiB, nothing changed",
            make: |d| files(d, 500, 100, 1 << 10),
            rounds: 5,
            is_first: false,
        },
        Case {
            name: "8 x 128 MiB, first",
            make: |d| files(d, 1, 8, 128 << 20),
            rounds: 3,
            is_first: true,
        },
    ];
    let cases = chosen(cases, |case| case.name);
    if !cases.is_empty() {
        head("buildctl");
    }
    for case in cases {
        bench.run(&case);
    }
}

impl Bench {
    fn run(&self, case: &Case) {
        let folder = self.work.path().join(case.name.replace([' ', ','], "-"));
        let mut context = folder.clone();
        fs::create_dir_all(&context).unwrap();
        (case.make)(&context);
        let spec = self.work.path().join("universalbuild.json");
        fs::write(&spec, SPEC).unwrap();

        let mut costs = Costs::default();
        for round in 0..=case.rounds {
            let serial = if case.is_first { round } else { 0 };
            let moved = folder.with_extension(serial.to_string());
            fs::rename(&context, &moved).unwrap();
            context = moved;
            let plan = self.plan(&format!("{}-{serial}", std::process::id()));
            for side in turns(round) {
                let cost = match side {
                    Side::Ours => self.peelbox(&spec, &context),
                    Side::Theirs => self.buildctl(&plan, &context),
                };
                costs.add(round, side, cost);
            }
        }
        costs.report(case.name);
        fs::remove_dir_all(&context).unwrap();
    }

    /// The graph peelbox builds, for a copy of the context that is named by `hint`.
    fn plan(&self, hint: &str) -> PathBuf {
        let file = spec::parse(SPEC.as_bytes(), "bench").unwrap();
        let service = file.select(None).unwrap();
        let options = Options {
            shared_key_hint: Some(hint.to_owned()),
            exclude: vec!["**/.git".to_owned()],
            ..Options::new(Platform::new("linux", env::consts::ARCH, ""), "bench")
        };
        let plan = Plan::new(&service.spec, &ResolvedBases::default(), &options).unwrap();
        let path = self.work.path().join("plan.llb");
        fs::write(&path, plan.definition().encode_to_vec()).unwrap();
        path
    }

    fn peelbox(&self, spec: &Path, context: &Path) -> Cost {
        let mut command = self.meter.timed(0, &self.peelbox);
        command
            .args([
                "build", "--progress", "plain", "--output", "type=none", "--buildkit",
                &self.address, "--spec",
            ])
            .arg(spec)
            .arg("--context")
            .arg(context);
        self.meter.measure(vec![command])
    }

    fn buildctl(&self, plan: &Path, context: &Path) -> Cost {
        let mut command = self.meter.timed(0, &self.buildctl);
        command
            .args(["--addr", &self.address, "build", "--progress", "plain", "--local"])
            .arg(format!("context={}", context.display()))
            .stdin(File::open(plan).unwrap());
        self.meter.measure(vec![command])
    }
}

/// Copies one small file into an empty image: the transfer is all the work.
const SPEC: &str = r#"{"version":"1.0","metadata":{"project_name":"bench"},
"build":{"base":"scratch"},"runtime":{"base":"scratch","copy":[{"from":"d0/f0","to":"/f0"}],"command":["/f0"]}}"#;
