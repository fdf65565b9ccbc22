//! Signals that somebody has switched off stay off.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    daemon,
    workdir::{Workdir, debian},
};

#[test]
fn a_build_under_nohup_survives_the_end_of_its_terminal() {
    let unique = format!("echo under way since $((40 + 2)); sleep 2 # {}", std::process::id());
    let work = Workdir::with_spec(&debian("nohup", &[&unique, "mkdir /out"]));
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(daemon::binary())
        .args(["build", "--progress", "plain", "--output", "type=none", "--context", "context"])
        .arg("--spec")
        .arg(work.spec())
        .args(["--buildkit", &daemon::newest()])
        .current_dir(work.root())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(stderr.any(|line| line.ends_with("under way since 42")));
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let rest: Vec<String> = stderr.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:#?}");
}
