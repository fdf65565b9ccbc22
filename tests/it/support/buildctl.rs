//! BuildKit's own client, to compare with.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{daemon, workdir::Workdir};

/// Builds a definition from `peelbox plan --format llb`, with the context of `work`.
pub(crate) fn build<S: AsRef<OsStr>>(
    work: &Workdir,
    definition: &Path,
    args: impl IntoIterator<Item = S>,
) {
    let done = Command::new(daemon::variable("PEELBOX_TEST_BUILDCTL"))
        .args(["--addr", &daemon::newest(), "build", "--progress", "plain"])
        .arg("--local")
        .arg(format!("context={}", work.context().display()))
        .args(args)
        .current_dir(work.root())
        .stdin(fs::File::open(definition).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Builds the Dockerfile of the folder `dockerfile` with `context`, both relative to the place of `work`.
pub(crate) fn dockerfile(work: &Workdir, context: &str, dockerfile: &str, output: &str) {
    let done = Command::new(daemon::variable("PEELBOX_TEST_BUILDCTL"))
        .args(["--addr", &daemon::newest(), "build", "--frontend", "dockerfile.v0"])
        .args(["--local", &format!("context={context}")])
        .args(["--local", &format!("dockerfile={dockerfile}")])
        .args(["--output", output])
        .current_dir(work.root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
