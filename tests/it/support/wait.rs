//! For what tells nobody that it has happened.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(
    what: &str,
    patience: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in {patience:?}: {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
}
