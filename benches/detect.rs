//! `peelbox detect` on a monorepo of 100,000 files and on a small project: wall time and peak memory of the process, as the
//! kernel accounts them (`/usr/bin/time`). Needs no daemon: `cargo bench --bench detect`.
//!
//! Fails when a median is over its limit, which stands beside the case.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on says where"
)]

use std::{fs, path::Path, process::Command, time::Instant};

struct Case {
    name: &'static str,
    make: fn(&Path),
    rounds: usize,
    wall_max_ms: f64,
    peak_max_mib: f64,
}

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
    println!("| case | wall ms | peak MiB |\n|---|---|---|");
    let mut is_over = false;
    for case in cases {
        let dir = tempfile::tempdir().unwrap();
        (case.make)(dir.path());
        let mut runs: Vec<(f64, f64)> = (0..=case.rounds).map(|_| run(dir.path())).collect();
        // The first one warms up.
        runs.remove(0);
        let wall_ms = median(runs.iter().map(|run| run.0));
        let peak_mib = median(runs.iter().map(|run| run.1));
        println!("| {} | {wall_ms:.1} | {peak_mib:.1} |", case.name);
        is_over |= wall_ms > case.wall_max_ms || peak_mib > case.peak_max_mib;
    }
    assert!(!is_over, "a median is over its limit");
}

/// Milliseconds and MiB of one run.
fn run(dir: &Path) -> (f64, f64) {
    let mut command = Command::new("/usr/bin/time");
    command.args(["-q", "-f", "%M", env!("CARGO_BIN_EXE_peelbox"), "detect"]).arg(dir);
    let begun = Instant::now();
    let output = command.output().unwrap();
    let wall_ms = begun.elapsed().as_secs_f64() * 1e3;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{stderr}");
    let kib: f64 = stderr.lines().last().unwrap().parse().unwrap();
    (wall_ms, kib / 1024.0)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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
