//! What a thread of its own finds out while other things are done.

use std::{
    io,
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
};

/// An answer that will be there; it is taken once.
#[derive(Debug)]
pub(crate) struct Later<T>(Mutex<Option<JoinHandle<T>>>);

impl<T: Send + 'static> Later<T> {
    /// On a thread with that name, of which 15 bytes are seen, and a stack of so many bytes.
    pub(crate) fn begin(
        name: &str,
        stack_bytes: usize,
        find_out: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes);
        Ok(Self(Mutex::new(Some(thread.spawn(find_out)?))))
    }

    /// Waits for it; `None`: it was never begun, or taken before, or the thread gave up.
    pub(crate) fn take(&self) -> Option<T> {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.and_then(|thread| thread.join().ok())
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
        let later = Later::begin("test", 1 << 20, || 7).unwrap();
        assert_eq!([later.take(), later.take()], [Some(7), None]);
        assert_eq!(Later::<i32>::default().take(), None);
    }
}
