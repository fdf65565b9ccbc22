//! `peelbox detect` on a monorepo of 100,000 files and on a small project, and the detectors of others on the same: wall
//! time and peak memory of the process, as the kernel accounts them (`/usr/bin/time`). Needs no daemon:
//! `cargo bench --bench detect`, or `make bench-detect`, which installs those that a registry has.
//!
//! Others are taken from `PEELBOX_BENCH_NIXPACKS` and `PEELBOX_BENCH_RAILPACK`, else from `PATH`; those that are not
//! there are left out. All take turns. Fails when a median of peelbox is over its limit, which stands beside the case.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench that cannot go on says where"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

struct Case {
    name: &'static str,
    make: fn(&Path),
    rounds: usize,
    wall_max_ms: f64,
    peak_max_mib: f64,
}

/// A program that looks at a folder and prints what it makes of it.
struct Detector {
    name: &'static str,
    program: PathBuf,
    command: &'static str,
    /// What a plan has; without it there is none.
    says: &'static str,
}

/// Milliseconds and MiB of one run.
type Cost = (f64, f64);

fn main() {
    let cases = [
        Case {
            name: "small project",
            make: small,
            rounds: 21,
            wall_max_ms: 10.0,
            peak_max_mib: 64.0,
        },
        Case {
            name: "monorepo of 100,000 files",
            make: monorepo,
            rounds: 7,
            wall_max_ms: 1000.0,
            peak_max_mib: 64.0,
        },
    ];
    let detectors = detectors();
    println!(
        "| case | detector | wall ms | peak MiB | time, memory × peelbox |\n|---|---|---|---|---|"
    );
    let mut is_over = false;
    for case in cases {
        let dir = tempfile::tempdir().unwrap();
        (case.make)(dir.path());
        let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); detectors.len()];
        for round in 0..=case.rounds {
            for (detector, costs) in detectors.iter().zip(&mut costs) {
                let cost = detector.run(dir.path());
                // The first round warms up.
                costs.extend(cost.filter(|_| round > 0));
            }
        }
        let own = medians(&costs[0]).unwrap();
        is_over |= own.0 > case.wall_max_ms || own.1 > case.peak_max_mib;
        for (detector, costs) in detectors.iter().zip(&costs) {
            let Some((wall_ms, peak_mib)) = medians(costs) else {
                println!("| {} | {} | fails | | |", case.name, detector.name);
                continue;
            };
            let (time, memory) = (wall_ms / own.0, peak_mib / own.1);
            println!(
                "| {} | {} | {wall_ms:.1} | {peak_mib:.1} | {time:.1}, {memory:.1} |",
                case.name, detector.name
            );
        }
    }
    assert!(!is_over, "a median of peelbox is over its limit");
}

/// peelbox, and those of the others that are there.
fn detectors() -> Vec<Detector> {
    let own = Detector {
        name: "peelbox",
        program: env!("CARGO_BIN_EXE_peelbox").into(),
        command: "detect",
        says: "\"runtime\"",
    };
    let others = [
        ("nixpacks", "PEELBOX_BENCH_NIXPACKS", "\"phases\""),
        // Without a network, for the tool by which it resolves versions, it ends well with nothing planned.
        ("railpack", "PEELBOX_BENCH_RAILPACK", "\"deploy\""),
    ];
    let found = others.into_iter().filter_map(|(name, variable, says)| {
        let program = env::var_os(variable).map(PathBuf::from).or_else(|| on_path(name));
        if program.is_none() {
            eprintln!("{name} is neither on PATH nor in {variable}: left out");
        }
        Some(Detector { name, program: program?, command: "plan", says })
    });
    [own].into_iter().chain(found).collect()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

impl Detector {
    /// Runs it; `None` when it fails or plans nothing, which peelbox may not.
    fn run(&self, dir: &Path) -> Option<Cost> {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-q", "-f", "%M"]).arg(&self.program).arg(self.command).arg(dir);
        let begun = Instant::now();
        let output = command.output().unwrap();
        let wall_ms = begun.elapsed().as_secs_f64() * 1e3;
        let stderr = String::from_utf8_lossy(&output.stderr);
        let says = String::from_utf8_lossy(&output.stdout).contains(self.says);
        if !output.status.success() || !says {
            assert!(self.name != "peelbox", "{stderr}");
            return None;
        }
        let kib: f64 = stderr.lines().last().unwrap().parse().unwrap();
        Some((wall_ms, kib / 1024.0))
    }
}

/// Of each the median; `None` without any run.
fn medians(costs: &[Cost]) -> Option<Cost> {
    let median = |of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Some((median(|cost| cost.0)?, median(|cost| cost.1)?))
}

fn small(dir: &Path) {
    let package = r#"{"name": "small", "scripts": {"start": "node src/server.js"}, "dependencies": {"express": "^5.0.0"}}"#;
    fs::write(dir.join("package.json"), package).unwrap();
    fs::create_dir(dir.join("src")).unwrap();
    fs::write(
        dir.join("src/server.js"),
        "require('express')().listen(process.env.PORT || 3000);\n",
    )
    .unwrap();
}

/// A workspace of 20 services and 180 libraries with 500 files each, besides folders that are not searched.
fn monorepo(dir: &Path) {
    let root = r#"{"name": "big", "workspaces": ["services/*", "libs/*"], "packageManager": "pnpm@9.15.0"}"#;
    fs::write(dir.join("package.json"), root).unwrap();
    fs::write(dir.join("pnpm-workspace.yaml"), "packages: ['services/*', 'libs/*']\n").unwrap();
    for number in 0..200 {
        let is_service = number < 20;
        let home =
            dir.join(if is_service { "services" } else { "libs" }).join(format!("p{number}"));
        let scripts = if is_service { r#""start": "node src/f0.js", "# } else { "" };
        let package = format!(
            r#"{{"name": "p{number}", "scripts": {{{scripts}"build": "tsc"}}, "dependencies": {{"express": "^5.0.0", "p{}": "*"}}}}"#,
            180 + number % 20
        );
        fs::create_dir_all(home.join("src")).unwrap();
        fs::write(home.join("package.json"), package).unwrap();
        fs::create_dir_all(home.join("node_modules/x")).unwrap();
        for file in 0..500 {
            let folder = home.join("src").join(format!("m{}", file / 50));
            if file % 50 == 0 {
                fs::create_dir(&folder).unwrap();
            }
            let path =
                if file == 0 { home.join("src/f0.js") } else { folder.join(format!("f{file}.js")) };
            fs::write(path, format!("export const value{file} = {number};\n")).unwrap();
        }
    }
}
