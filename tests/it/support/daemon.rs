//! Real daemons, started by `make test` (tests/testbed) and named in the environment.

use std::env;

/// A variable of the testbed.
///
/// A test that needs a daemon fails without one: it never passes over it in silence.
#[expect(clippy::disallowed_methods, reason = "tests get their daemons from the environment")]
pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!(
            "`{name}` is not set: run the tests with `make test`, it starts the daemons they need"
        )
    })
}

/// The program under test: cargo's, or another build of it (`make test-release` names the static one).
pub(crate) fn binary() -> std::path::PathBuf {
    env::var_os("PEELBOX_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_peelbox").into(), Into::into)
}

/// Address of the newest supported BuildKit.
pub(crate) fn newest() -> String {
    variable("PEELBOX_TEST_BUILDKIT")
}

/// The same, where every user of this machine can reach it.
pub(crate) fn newest_tcp() -> String {
    variable("PEELBOX_TEST_BUILDKIT_TCP")
}

/// Address of the oldest supported BuildKit, v0.11.
pub(crate) fn oldest() -> String {
    variable("PEELBOX_TEST_BUILDKIT_0_11")
}

/// Address of a BuildKit before v0.11.
pub(crate) fn too_old() -> String {
    variable("PEELBOX_TEST_BUILDKIT_0_10")
}
