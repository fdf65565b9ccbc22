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
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use peelbox::{
    plan::{Options, Plan, Platform, ResolvedBases},
    spec,
};
use prost::Message as _;

/// What one run of a client cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
}

struct Bench {
    peelbox: PathBuf,
    buildctl: PathBuf,
    address: String,
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
    let filter: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    println!("| case | wall ours/buildctl | ratio | cpu | ratio | peak MiB | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for case in cases {
        if filter.is_empty() || filter.iter().any(|f| case.name.contains(f.as_str())) {
            bench.run(&case);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the testbed names its daemons in the environment")]
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("`{name}` is not set: run `make bench`"))
}

impl Bench {
    fn run(&self, case: &Case) {
        let folder = self.work.path().join(case.name.replace([' ', ','], "-"));
        let mut context = folder.clone();
        fs::create_dir_all(&context).unwrap();
        (case.make)(&context);
        let spec = self.work.path().join("universalbuild.json");
        fs::write(&spec, SPEC).unwrap();

        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        // Round 0 warms both up and is not counted.
        for round in 0..=case.rounds {
            let serial = if case.is_first { round } else { 0 };
            let moved = folder.with_extension(serial.to_string());
            fs::rename(&context, &moved).unwrap();
            context = moved;
            let plan = self.plan(&format!("{}-{serial}", std::process::id()));
            // Turn about, and who begins changes, so that a drift of the machine hits both.
            for turn in 0..2 {
                let is_ours = (round + turn) % 2 == 0;
                let cost = if is_ours {
                    self.peelbox(&spec, &context)
                } else {
                    self.buildctl(&plan, &context)
                };
                if round > 0 {
                    if is_ours { ours.push(cost) } else { theirs.push(cost) }
                }
            }
        }
        report(case.name, &ours, &theirs);
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
        let mut command = self.timed(&self.peelbox);
        command
            .args([
                "build",
                "--progress",
                "plain",
                "--output",
                "type=none",
                "--buildkit",
                &self.address,
                "--spec",
            ])
            .arg(spec)
            .arg("--context")
            .arg(context);
        self.measure(command)
    }

    fn buildctl(&self, plan: &Path, context: &Path) -> Cost {
        let mut command = self.timed(&self.buildctl);
        command
            .args(["--addr", &self.address, "build", "--progress", "plain", "--local"])
            .arg(format!("context={}", context.display()))
            .stdin(File::open(plan).unwrap());
        self.measure(command)
    }

    fn timed(&self, program: &Path) -> Command {
        let mut command = Command::new("/usr/bin/time");
        command
            .args(["-q", "-f", "%e %U %S %M", "-o"])
            .arg(self.work.path().join("cost"))
            .arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn measure(&self, mut command: Command) -> Cost {
        let log = File::create(self.work.path().join("log")).unwrap();
        let begun = std::time::Instant::now();
        let status = command.stderr(log).status().unwrap();
        let wall_s = begun.elapsed().as_secs_f64();
        let log = fs::read_to_string(self.work.path().join("log")).unwrap();
        assert!(status.success(), "{command:?}\n{log}");
        let cost = fs::read_to_string(self.work.path().join("cost")).unwrap();
        let figures: Vec<f64> = cost.split_whitespace().map(|f| f.parse().unwrap()).collect();
        Cost { wall_s, cpu_s: figures[1] + figures[2], peak_mib: figures[3] / 1024.0 }
    }
}

/// Copies one small file into an empty image: the transfer is all the work.
const SPEC: &str = r#"{"version":"1.0","metadata":{"project_name":"bench"},
"build":{"base":"scratch"},"runtime":{"base":"scratch","copy":[{"from":"d0/f0","to":"/f0"}],"command":["/f0"]}}"#;

/// `folders` of `count` files with `bytes` bytes each; every file different.
fn files(dir: &Path, folders: usize, count: usize, bytes: usize) {
    let mut block = vec![0_u8; bytes];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for byte in &mut block {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        *byte = seed as u8;
    }
    for folder in 0..folders {
        let folder_path = dir.join(format!("d{folder}"));
        fs::create_dir(&folder_path).unwrap();
        for file in 0..count {
            let mut out = File::create(folder_path.join(format!("f{file}"))).unwrap();
            block[..16].copy_from_slice(format!("{folder:8}{file:8}").as_bytes());
            out.write_all(&block).unwrap();
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(name: &str, ours: &[Cost], theirs: &[Cost]) {
    let column = |pick: fn(&Cost) -> f64| {
        let (a, b) =
            (median(ours.iter().map(pick).collect()), median(theirs.iter().map(pick).collect()));
        (a, b, a / b)
    };
    let (wall, cpu, peak) = (column(|c| c.wall_s), column(|c| c.cpu_s), column(|c| c.peak_mib));
    println!(
        "| {name} | {:.3} / {:.3} s | {:.2} | {:.2} / {:.2} s | {:.2} | {:.1} / {:.1} | {:.2} |",
        wall.0, wall.1, wall.2, cpu.0, cpu.1, cpu.2, peak.0, peak.1, peak.2
    );
    if let Some(path) = env::var_os("PEELBOX_BENCH_JSON") {
        let mut line = String::new();
        write!(
            line,
            "{{\"case\":\"{name}\",\"rounds\":{},\"wall_s\":[{},{}],\"cpu_s\":[{},{}],\"peak_mib\":[{},{}]}}",
            ours.len(), wall.0, wall.1, cpu.0, cpu.1, peak.0, peak.1
        )
        .unwrap();
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}
