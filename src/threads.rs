//! Threads: each has a name and a stack of a known size. And answers that come from them later.

use std::{
    io,
    sync::{Mutex, PoisonError},
    thread::{Builder, JoinHandle, Scope, ScopedJoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, bounded};

/// Stack of a thread of the engine: a trial ran with half of it.
pub const STACK_BYTES: usize = 256 << 10;
/// Stack of a thread that shakes hands with TLS, asks the system's resolver or reads JSON.
pub(crate) const LARGE_STACK_BYTES: usize = 2 << 20;

/// Starts a thread with a name (15 bytes are visible in `top`) and a small stack.
///
/// # Errors
/// The system has no room for another thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    spawn_with(name, STACK_BYTES, body)
}

/// The same with a stack of so many bytes.
pub(crate) fn spawn_with<T: Send + 'static>(
    name: &str,
    stack_bytes: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).stack_size(stack_bytes).spawn(body)
}

/// The same within a scope.
pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    stack_bytes: usize,
    body: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().name(name.to_owned()).stack_size(stack_bytes).spawn_scoped(scope, body)
}

/// An answer that will be there; it is taken once.
#[derive(Debug)]
pub(crate) struct Later<T>(Mutex<Option<Receiver<T>>>);

impl<T: Send + 'static> Later<T> {
    /// Finds out on a thread with that name and a stack of so many bytes.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub(crate) fn begin(
        name: &str,
        stack_bytes: usize,
        find_out: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let (tx, rx) = bounded(1);
        // Nobody may wait any more.
        spawn_with(name, stack_bytes, move || drop(tx.try_send(find_out())))?;
        Ok(Self(Mutex::new(Some(rx))))
    }

    /// Waits for it; `None`: it was never begun, or taken before, or the thread gave up.
    pub(crate) fn take(&self) -> Option<T> {
        self.receiver().and_then(|answer| answer.recv().ok())
    }

    /// The same, for so long at most.
    pub(crate) fn take_within(&self, patience: Duration) -> Option<T> {
        self.receiver().and_then(|answer| answer.recv_timeout(patience).ok())
    }

    fn receiver(&self) -> Option<Receiver<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What was never begun.
impl<T> Default for Later<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_once() {
        let later = Later::begin("test", STACK_BYTES, || 7).unwrap();
        assert_eq!([later.take(), later.take()], [Some(7), None]);
        assert_eq!(Later::<i32>::default().take(), None);
    }

    #[test]
    fn an_answer_that_takes_too_long_is_none() {
        let (hold, held) = bounded::<()>(1);
        let later = Later::begin("test", STACK_BYTES, move || held.recv().is_ok()).unwrap();
        assert_eq!(later.take_within(Duration::ZERO), None);
        drop(hold);
    }
}
