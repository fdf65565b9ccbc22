//! A bound in bytes for what waits in a channel.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use crate::grpc::{Cancel, io::block_on};

/// Weighs what is sent; clones share what it holds.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    max: usize,
    load: Arc<Mutex<Load>>,
}

#[derive(Debug, Default)]
struct Load {
    bytes: usize,
    waiting: Option<Waker>,
}

/// A value that counts until it is dropped.
#[derive(Debug)]
pub struct Weighed<T> {
    value: T,
    bytes: usize,
    load: Arc<Mutex<Load>>,
}

impl Scale {
    pub(super) fn new(max: usize) -> Self {
        Self { max, load: Arc::default() }
    }

    /// Waits until there is room for `bytes`, or nothing else, or `cancel` is thrown.
    ///
    /// One thread waits at a time.
    pub(super) fn weigh<T>(&self, value: T, bytes: usize, cancel: &Cancel) -> Weighed<T> {
        block_on(cancel.guard(std::future::poll_fn(|cx| {
            let mut load = lock(&self.load);
            if load.bytes == 0 || load.bytes + bytes <= self.max {
                return std::task::Poll::Ready(());
            }
            load.waiting = Some(cx.waker().clone());
            std::task::Poll::Pending
        })));
        lock(&self.load).bytes += bytes;
        Weighed { value, bytes, load: Arc::clone(&self.load) }
    }
}

impl<T> Deref for Weighed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Weighed<T> {
    fn drop(&mut self) {
        let mut load = lock(&self.load);
        load.bytes -= self.bytes;
        if let Some(waker) = load.waiting.take() {
            waker.wake();
        }
    }
}

fn lock(load: &Mutex<Load>) -> MutexGuard<'_, Load> {
    load.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::spawn;

    #[test]
    fn who_weighs_too_much_waits_for_others_to_be_dropped() {
        let scale = Scale::new(10);
        let (tx, rx) = crossbeam_channel::bounded(100);
        let its = scale.clone();
        let sender = spawn("sender", move || {
            for value in 0..50 {
                // Some alone are more than all may be.
                tx.send(its.weigh(value, value % 14, &Cancel::default())).unwrap();
                assert!(lock(&its.load).bytes <= 13);
            }
        })
        .unwrap();
        let values: Vec<usize> = rx.iter().map(|weighed| *weighed).collect();
        sender.join().unwrap();
        assert_eq!(values, (0..50).collect::<Vec<_>>());
        assert_eq!(lock(&scale.load).bytes, 0);
    }

    #[test]
    fn a_wait_for_room_can_be_cancelled() {
        let (scale, cancel) = (Scale::new(1), Cancel::default());
        let first = scale.weigh((), 1, &cancel);
        let (its, theirs) = (scale.clone(), cancel.clone());
        let second = spawn("second", move || drop(its.weigh((), 1, &theirs))).unwrap();
        cancel.cancel();
        second.join().unwrap();
        drop(first);
    }
}
