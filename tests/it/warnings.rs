//! What does not stop a build and should be known all the same.

use serde_json::json;

use crate::support::workdir::{Workdir, debian};

#[test]
fn a_warning_is_shown_when_it_is_known_and_counted_in_the_summary() {
    let mut spec = debian("warned", &["true"]);
    spec["runtime"]["copy"] = json!([]);
    spec["runtime"]["base"] = spec["build"]["base"].clone();
    let work = Workdir::with_spec(&spec);
    let run = work.build().args(["--output", "type=none"]).run().ok();
    drop(run.says(&["warning: `runtime.copy` is empty", "1 warning"]));
}
