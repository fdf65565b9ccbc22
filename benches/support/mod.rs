//! What the benches share: clients that are timed, two of them turn about, and the table.

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

/// What one run of a client cost; of a pipe, CPU and memory of all its processes together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
}

/// Times programs with `/usr/bin/time`, which asks the kernel.
pub(crate) struct Meter {
    dir: tempfile::TempDir,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// `program`, to be timed as the given part of a pipe.
    pub(crate) fn timed(&self, part: usize, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/usr/bin/time");
        command
            .args(["-q", "-f", "%U %S %M", "-o"])
            .arg(self.dir.path().join(format!("cost-{part}")))
            .arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs the parts of a pipe, mostly one, all made by [`timed`](Self::timed).
    pub(crate) fn measure(&self, mut parts: Vec<Command>) -> Cost {
        let last = parts.len() - 1;
        let log = |part: usize| self.dir.path().join(format!("log-{part}"));
        let begun = Instant::now();
        let mut children = Vec::new();
        let mut before = None;
        for (part, command) in parts.iter_mut().enumerate() {
            if let Some(stdout) = before.take() {
                command.stdin(stdout);
            }
            if part < last {
                command.stdout(Stdio::piped());
            }
            let mut child = command.stderr(File::create(log(part)).unwrap()).spawn().unwrap();
            before = child.stdout.take();
            children.push(child);
        }
        let ends: Vec<_> = children.iter_mut().map(|child| child.wait().unwrap()).collect();
        let mut cost = Cost { wall_s: begun.elapsed().as_secs_f64(), ..Cost::default() };
        for (part, end) in ends.into_iter().enumerate() {
            let words = fs::read_to_string(log(part)).unwrap();
            assert!(end.success(), "{:?}\n{words}", parts[part]);
            let figures = fs::read_to_string(self.dir.path().join(format!("cost-{part}"))).unwrap();
            let figures: Vec<f64> =
                figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
            cost.cpu_s += figures[0] + figures[1];
            cost.peak_mib += figures[2] / 1024.0;
        }
        cost
    }
}

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

/// What both cost, run by run.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    ours: Vec<Cost>,
    theirs: Vec<Cost>,
}

/// Both sides; who begins changes from round to round, so that a drift of the machine hits both.
pub(crate) fn turns(round: usize) -> [Side; 2] {
    match round % 2 {
        0 => [Side::Ours, Side::Theirs],
        _ => [Side::Theirs, Side::Ours],
    }
}

impl Costs {
    /// Round 0 warms both up and is not counted.
    pub(crate) fn add(&mut self, round: usize, side: Side, cost: Cost) {
        match (round, side) {
            (0, _) => {}
            (_, Side::Ours) => self.ours.push(cost),
            (_, Side::Theirs) => self.theirs.push(cost),
        }
    }

    /// Prints a row and, with `PEELBOX_BENCH_JSON=FILE`, appends a line of JSON; gives the difference of wall
    /// time in milliseconds.
    pub(crate) fn report(&self, name: &str) -> f64 {
        let column = |pick: fn(&Cost) -> f64| {
            let (a, b) = (median(&self.ours, pick), median(&self.theirs, pick));
            (a, b, a / b)
        };
        let (wall, cpu, peak) = (column(|c| c.wall_s), column(|c| c.cpu_s), column(|c| c.peak_mib));
        println!(
            "| {name} | {:.4} / {:.4} s | {:.3} | {:.2} / {:.2} s | {:.2} | {:.1} / {:.1} | {:.2} |",
            wall.0, wall.1, wall.2, cpu.0, cpu.1, cpu.2, peak.0, peak.1, peak.2
        );
        if let Some(path) = env::var_os("PEELBOX_BENCH_JSON") {
            let mut line = String::new();
            write!(
                line,
                "{{\"case\":\"{name}\",\"rounds\":{},\"wall_s\":[{},{}],\"cpu_s\":[{},{}],\"peak_mib\":[{},{}]}}",
                self.ours.len(), wall.0, wall.1, cpu.0, cpu.1, peak.0, peak.1
            )
            .unwrap();
            let mut file = File::options().create(true).append(true).open(path).unwrap();
            writeln!(file, "{line}").unwrap();
        }
        (wall.0 - wall.1) * 1000.0
    }
}

fn median(costs: &[Cost], pick: fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(pick).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The cases of which the command line names a part; all when it names none.
pub(crate) fn chosen<C>(cases: impl IntoIterator<Item = C>, name: impl Fn(&C) -> &str) -> Vec<C> {
    let filter: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let is_chosen =
        |case: &C| filter.is_empty() || filter.iter().any(|f| name(case).contains(f.as_str()));
    cases.into_iter().filter(is_chosen).collect()
}

/// The table's head.
pub(crate) fn head(rival: &str) {
    println!("| case | wall ours/{rival} | ratio | cpu | ratio | peak MiB | ratio |");
    println!("|---|---|---|---|---|---|---|");
}

#[expect(clippy::disallowed_methods, reason = "the testbed names its daemons in the environment")]
pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("`{name}` is not set: run `make bench`"))
}

/// `folders` of `count` files with `bytes` bytes each; every file different.
pub(crate) fn files(dir: &Path, folders: usize, count: usize, bytes: usize) {
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
