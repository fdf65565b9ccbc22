//! What a build prints, and when.

use std::{io::Write as _, net::TcpListener};

use crate::support::workdir::{Workdir, debian};

const NONE: [&str; 2] = ["--output", "type=none"];

#[test]
fn a_line_of_a_step_is_printed_while_the_step_still_runs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The step goes on when this test has seen its first line; steps share the network of this machine.
    let command = format!(
        "bash -c 'echo first $((40 + 2)); read -r word </dev/tcp/127.0.0.1/{port}; echo then $word'"
    );
    for progress in ["plain", "rawjson"] {
        let work = Workdir::with_spec(&debian("live", &[&command, "mkdir /out"]));
        let args = ["--no-cache", "--progress", progress];
        let mut running = work.build().args(NONE).args(args).start();
        match progress {
            // base64 of `first 42`, wherever it stands in the piece
            "rawjson" => running.wait_for("\"logs\""),
            _ => running.wait_for("first 42"),
        }
        assert!(!running.has_ended());
        let (mut step, _) = listener.accept().unwrap();
        step.write_all(b"go-on\n").unwrap();
        let run = running.finish().ok();
        if progress == "rawjson" {
            assert_eq!(run.steps().log, "first 42\nthen go-on\n");
        } else {
            drop(run.says(&["first 42", "then go-on"]));
        }
    }
}

#[test]
fn plain_numbers_the_steps_and_ends_with_what_was_made() {
    let work = Workdir::with_spec(&debian("shown", &["mkdir /out && echo made >/out/file"]));
    let output = ["--output", "type=oci,dest=app.tar"];
    let args = ["--progress", "plain", "--tag", "shown:1.2"];
    drop(work.build().args(output).args(args).run().ok());
    let run = work.build().args(output).args(args).run().ok();
    let run = run.says(&[
        "#0 BuildKit v0.",
        "[internal] load metadata for docker.io/library/debian:bookworm-slim",
        "[shown] load context",
        "[shown] mkdir /out && echo made >/out/file",
        " CACHED\n",
        " DONE 0.",
        "transferring context: ",
        "exporting to oci image format",
        "shown:1.2    sha256:",
        "app.tar",
        " 3 steps, all cached · context 0 entries, ",
    ]);
    assert!(!run.stderr.contains('\x1b'), "no terminal: {:?}", run.stderr);
}

#[test]
fn tty_progress_is_the_same_build_on_something_that_is_no_terminal() {
    let work = Workdir::with_spec(&debian("tty", &["mkdir /out", "echo to be seen"]));
    let run = work.build().args(NONE).args(["--progress", "tty"]).run().ok();
    drop(run.says(&["[tty] mkdir /out", "[tty] echo to be seen"]));
}

#[test]
fn rawjson_tells_of_a_failure_too() {
    let work = Workdir::with_spec(&debian("raw", &["echo bye; exit 4"]));
    let run = work.build().args(NONE).args(["--progress", "rawjson"]).run().ended(1);
    let (messages, last) = run.stderr.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(last, "error: step `[raw] echo bye; exit 4` failed with exit code 4");
    let steps = crate::support::progress::Steps::parse(messages);
    assert_eq!(steps.log, "bye\n");
    assert!(steps.step("echo bye").error.ends_with("exit code: 4"), "{steps:#?}");
}

#[test]
fn a_terminal_gets_a_view_that_is_redrawn_and_keeps_the_summary() {
    let work = Workdir::with_spec(&debian("terminal", &["mkdir /out", "echo to be seen"]));
    let output = ["--output", "type=oci,dest=app.tar"];
    let run = work.build().args(output).on_terminal().run().ok();
    let screen = run.stdout_text();
    for text in ["\x1b[", "[terminal] mkdir /out", "terminal:latest", "written to", "app.tar"] {
        assert!(screen.contains(text), "expected {text:?} on the screen: {screen}");
    }
    let plain = work.build().args(NONE).args(["--progress", "plain"]).on_terminal().run().ok();
    assert!(plain.stdout_text().contains("#0 BuildKit v0."), "{}", plain.stdout_text());
    // A tar file would be gibberish there.
    let tar = work.build().args(["--output", "type=oci,dest=-"]).on_terminal().run().ended(6);
    assert!(tar.stdout_text().contains("terminal"), "{}", tar.stdout_text());
}

#[test]
fn verbose_names_the_platform_the_bases_and_what_is_left_out() {
    let work = Workdir::with_spec(&debian("verbose", &["mkdir /out"]));
    work.write(".dockerignore", "secret\n");
    drop(work.build().args(NONE).arg("-v").run().ok().says(&[
        "\nplatform: linux/",
        "\nbuild base: docker.io/library/debian:bookworm-slim@sha256:",
        "\nruntime base: scratch",
        "\nignore patterns: secret",
    ]));
}
