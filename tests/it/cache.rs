//! What is found in the cache and what is not.

use crate::support::{
    peelbox::Peelbox,
    workdir::{Workdir, debian},
};

fn watched(work: &Workdir) -> Peelbox {
    work.build().args(["--output", "type=none", "--progress", "rawjson"])
}

/// A context and a command that no daemon has seen before, and no build beside this one has.
fn unique(command: &str) -> Workdir {
    let work = Workdir::new();
    let name = work.root().file_name().unwrap().to_str().unwrap().to_owned();
    work.set_spec(&debian("cache", &[&format!("{command} # {name}")]));
    work.write("unique", name);
    work
}

#[test]
fn no_cache_runs_every_step_anew_and_its_result_is_used_afterwards() {
    let work = unique("mkdir /out; date +%s.%N >/out/date");
    drop(watched(&work).run().ok());
    assert!(watched(&work).run().ok().steps().is_cached("mkdir /out"));
    let anew = watched(&work).arg("--no-cache").run().ok().steps();
    assert_eq!(anew.worked().len(), 3, "copy context, command, copy: {anew:#?}");
    assert!(watched(&work).run().ok().steps().is_cached("mkdir /out"));
}

#[test]
fn a_build_that_ignores_the_cache_does_not_take_it_from_one_beside_it() {
    let work = unique("mkdir /out");
    drop(watched(&work).run().ok());
    let other = unique("echo under way since $((40 + 2)); sleep 100");
    let mut beside = other.build().args(["--output", "type=none", "--no-cache"]).start();
    beside.wait_for("under way since 42");
    let steps = watched(&work).run().ok().steps();
    assert_eq!(steps.worked(), Vec::<&str>::new(), "all of it was built before");
    assert!(!beside.has_ended());
}
