//! What goes wrong is told with what to do next, and with an exit code of its own.

use std::{fs, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    daemon,
    private::Private,
    workdir::{Workdir, debian},
};

const NONE: [&str; 2] = ["--output", "type=none"];
const FILE: [&str; 2] = ["--output", "type=oci,dest=app.tar"];

#[test]
fn a_failing_step_is_named_with_its_exit_code_and_the_end_of_its_log() {
    let command = "seq -f 'line %g' 100; echo 'cannot go on'; exit 7";
    let work = Workdir::with_spec(&debian("failing", &["true", command]));
    for progress in ["plain", "quiet", "tty"] {
        let run = work.build().args(FILE).args(["--progress", progress]).run().ended(1);
        let step = format!("[failing] {command}");
        let report = run.stderr.split("failed: ").nth(1).unwrap_or_default().to_owned();
        assert!(report.contains("exit code 7"), "{progress}: {}", run.stderr);
        for line in ["| line 99", "| line 100", "| cannot go on"] {
            assert!(report.contains(line), "expected `{line}` in {report}");
        }
        assert!(!report.contains("| line 50\n"), "only the end is repeated: {report}");
        drop(run.says(&[&format!("error: step `{step}` failed with exit code 7")]));
    }
    assert_eq!(left_in(&work), ["context", "home", "universalbuild.json"]);
}

#[test]
fn a_failing_step_of_the_oldest_supported_daemon_is_told_as_well() {
    let work = Workdir::with_spec(&debian("failing-old", &["echo nope; exit 9"]));
    let run = work.on(&daemon::oldest()).build().args(NONE).run().ended(1);
    drop(run.says(&[
        "error: step `[failing-old] echo nope; exit 9` failed with exit code 9",
        "| nope",
    ]));
}

#[test]
fn a_step_killed_by_a_signal_and_a_command_that_is_missing_have_hints() {
    let work = Workdir::with_spec(&debian("hints", &["no-such-program --now"]));
    drop(work.build().args(NONE).run().ended(1).says(&["exit code 127", "was not found"]));
    let work = Workdir::with_spec(&debian("hints", &["sh -c 'kill -9 $$'"]));
    drop(work.build().args(NONE).run().ended(1).says(&["exit code 137"]));
}

#[test]
fn an_artifact_that_is_not_there_fails_the_build_with_its_path() {
    let work = Workdir::with_spec(&debian("missing", &["true"]));
    let run = work.build().args(NONE).run().ended(1);
    drop(run.says(&["error: step `[missing] copy /out → /`", "not found"]));
}

#[test]
fn a_wrong_spec_is_told_with_line_column_and_path() {
    let work = Workdir::new();
    for (text, expected) in [
        ("{\n  \"version\": \"1.0\",\n  \"build\": { \"base\": 3 }\n}", "universalbuild.json:3:"),
        ("{ \"version\": \"1.0\", \"runtime\": { \"comand\": [] } }", "command"),
        ("{ \"version\": \"7\" }", "1.0"),
        ("{", "universalbuild.json:1:"),
        ("", "universalbuild.json"),
    ] {
        fs::write(work.spec(), text).unwrap();
        drop(work.build().args(NONE).run().ended(2).says(&["error: ", expected]));
    }
    fs::remove_file(work.spec()).unwrap();
    drop(work.build().args(NONE).run().ended(2).says(&["cannot read the spec", "No such file"]));
}

#[test]
fn wrong_and_removed_arguments_are_told_with_what_to_type() {
    let work = Workdir::with_spec(&debian("usage", &["true"]));
    let check = |args: &[&str], expected: &[&str]| {
        drop(work.peelbox().args(args).run().ended(2).says(expected));
    };
    check(&["build", "--spce", "x"], &["--spce", "--spec"]);
    check(&["bulid"], &["build"]);
    check(&["frontend", "--spec", "x.json"], &["peelbox build --spec x.json --tag app:latest"]);
    check(&["frontend"], &["peelbox build --spec universalbuild.json"]);
    let spec = ["build", "--spec", "s.json"];
    let build = |more: &[&'static str]| [&spec[..], more].concat();
    check(&build(&["--context-name", "src"]), &["peelbox build --spec s.json --context DIR"]);
    check(&build(&["--output", "type=cacheonly"]), &["`type=cacheonly`", "type=docker"]);
    check(&build(&["--output", "type=local"]), &["`type=local` needs `dest=DIR`"]);
    check(&build(&["--output", "type=image,dest=x"]), &["`type=image`", "`dest`"]);
    check(&build(&["--output", "type=none", "--push"]), &["`--push` needs `type=image`"]);
    check(&build(&["--output", "app.tar"]), &["--output type=oci,dest=app.tar"]);
    check(&build(&["--output", "type=oci"]), &["dest"]);

    let check = |more: &[&str], expected: &[&str]| {
        drop(work.build().args(NONE).args(more).run().ended(2).says(expected));
    };
    check(&["--tag", "UPPER:case"], &["UPPER:case"]);
    check(&["--platform", "nonsense"], &["nonsense", "linux/amd64"]);
    check(&["--platform", "linux/amd64,linux/arm64"], &["several platforms"]);
    check(&["--platform", "windows/amd64"], &["windows/amd64", "--platform linux/amd64"]);
    check(
        &["--platform", "linux/s390x"],
        &["base `docker.io/library/debian:bookworm-slim`", "s390x"],
    );
    check(&["--entrypoint", "[1]"], &["entrypoint"]);
    check(&["--service", "other"], &["other", "usage"]);
}

#[test]
fn a_spec_of_several_services_asks_which() {
    let work = Workdir::with_spec(&json!([debian("api", &["true"]), debian("web", &["true"])]));
    drop(work.build().args(NONE).run().ended(2).says(&["--service", "api", "web"]));
}

#[test]
fn a_daemon_before_v0_11_is_refused_with_the_version_that_is_needed() {
    let work = Workdir::with_spec(&debian("old", &["true"])).on(&daemon::too_old());
    let expected = ["error: the daemon is older than BuildKit v0.11.0", "hint: upgrade"];
    drop(work.build().args(NONE).run().ended(4).says(&expected));
    drop(work.plan().run().ended(4).says(&expected));
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_or_after_the_build() {
    let work = Workdir::with_spec(&debian("output", &["mkdir /out && echo data >/out/file"]));
    let check = |dest: &str, expected: &[&str]| {
        let output = format!("type=oci,dest={dest}");
        drop(work.build().args(["--output", &output]).run().ended(6).says(expected));
    };
    check("/dev/full", &["/dev/full", "No space left"]);
    check("no/such/folder/app.tar", &["no/such/folder"]);
    check("context", &["`context`"]);
    check("universalbuild.json/app.tar", &["universalbuild.json"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let run = work.build().args(["--output", "type=oci,dest=-"]).stdout(full).run();
    drop(run.ended(6).says(&["No space left"]));
    let run = work.build().args(NONE).args(["--metadata-file", "no/such/meta.json"]).run();
    drop(run.ended(6).says(&["no/such"]));
    assert_eq!(left_in(&work), ["context", "home", "universalbuild.json"]);
}

#[test]
fn an_output_may_not_be_written_is_told_before_the_build() {
    let work = Workdir::with_spec(&debian("forbidden", &["true"])).on(&daemon::newest_tcp());
    fs::create_dir(work.path("closed")).unwrap();
    let output = ["--output", "type=oci,dest=closed/app.tar"];
    let run = work.build().args(output).not_root(&work);
    // Root may write anywhere; whoever runs the tests otherwise is kept out by the mode.
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(work.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    let run = run.run().ended(6).says(&["closed/app.tar", "denied"]);
    assert!(!run.stderr.contains("FROM"), "nothing was built: {}", run.stderr);
}

#[test]
fn a_daemon_that_is_killed_ends_the_build_soon_and_leaves_no_output() {
    let work =
        Workdir::with_spec(&debian("killed", &["echo under way since $((40 + 2)); sleep 987.65"]));
    let mut daemon = Private::start();
    let work = work.on(daemon.address());
    let mut running = work.build().args(FILE).start();
    running.wait_for("under way since 42");
    daemon.signal(Signal::KILL);
    let killed = std::time::Instant::now();
    let run = running.finish().ended(7).says(&["error: ", "the daemon"]);
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}\n{}", killed.elapsed(), run.stderr);
    assert_eq!(left_in(&work), ["context", "home", "universalbuild.json"]);
}

/// Names in the folder that `peelbox` was started in, sorted.
fn left_in(work: &Workdir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(work.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
