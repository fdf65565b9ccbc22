//! Waiting without a runtime: parking threads, ringing the driver, bytes of a non-blocking socket.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use crate::threads::{STACK_BYTES, spawn};
use crate::transport::Socket;

/// Runs a future on this thread, parking while it waits; `None` when `deadline` came first.
pub fn block_on_until<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return Some(value);
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }
}

/// Runs a future on this thread to its end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_until(future, None).expect("without a deadline only the result ends the wait")
}

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

/// A switch that ends waiting calls from another thread.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
    /// Thrown too when this one is.
    parent: Option<Cancel>,
}

impl Cancel {
    /// Ends every call that was given this switch, now and later.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A switch that counts as thrown when it is, or this one.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(CancelState { parent: Some(self.clone()), ..CancelState::default() }))
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
            || self.0.parent.as_ref().is_some_and(Self::is_cancelled)
    }

    /// Runs `future` until it is ready or the switch is thrown (`None`).
    pub async fn guard<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.register(cx.waker());
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn register(&self, waker: &Waker) {
        if let Some(parent) = &self.0.parent {
            parent.register(waker);
        }
        let mut wakers = self.wakers();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            // Threads come and go; those that finished have nothing to wake and are few.
            const WAKERS_MAX: usize = 64;
            if wakers.len() == WAKERS_MAX {
                wakers.remove(0).wake();
            }
            wakers.push(waker.clone());
        }
    }

    fn wakers(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a socket waits for; set when an operation would block, read by the driver before it sleeps.
#[derive(Debug, Default)]
pub struct Interest(AtomicU8);

impl Interest {
    const READ: u8 = 1;
    const WRITE: u8 = 2;

    /// Forgets everything: called before each round of polling.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether reading, and whether writing would have blocked.
    pub fn wanted(&self) -> (bool, bool) {
        let bits = self.0.load(Ordering::Relaxed);
        (bits & Self::READ != 0, bits & Self::WRITE != 0)
    }

    fn set(&self, bit: u8) {
        self.0.fetch_or(bit, Ordering::Relaxed);
    }
}

/// A non-blocking socket as `h2` wants it. Wakes nobody itself: the driver polls again after `poll(2)`.
#[derive(Debug)]
pub struct SocketIo {
    socket: Arc<Socket>,
    interest: Arc<Interest>,
}

impl SocketIo {
    /// Bytes of `socket`; `interest` tells the driver what to wait for.
    pub fn new(socket: Arc<Socket>, interest: Arc<Interest>) -> Self {
        Self { socket, interest }
    }

    fn settle<T>(&self, result: io::Result<T>, bit: u8) -> Option<Poll<io::Result<T>>> {
        match result {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.interest.set(bit);
                Some(Poll::Pending)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => None,
            other => Some(Poll::Ready(other)),
        }
    }
}

impl AsyncRead for SocketIo {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let result = self.socket.read(buf.initialize_unfilled());
            if let Some(done) = self.settle(result, Interest::READ) {
                return done.map_ok(|n| buf.advance(n));
            }
        }
    }
}

impl AsyncWrite for SocketIo {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(done) = self.settle(self.socket.write(buf), Interest::WRITE) {
                return done;
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(done) = self.settle(self.socket.write_vectored(bufs), Interest::WRITE) {
                return done;
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(done) = self.settle(self.socket.flush(), Interest::WRITE) {
                return done;
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.shutdown_write();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn block_on_until_gives_up_at_the_deadline() {
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(block_on_until(std::future::pending::<()>(), Some(deadline)), None);
    }

    #[test]
    fn cancel_ends_a_wait_on_another_thread() {
        let cancel = Cancel::default();
        let theirs = cancel.clone();
        let waiter =
            spawn("test-wait", move || block_on(theirs.guard(std::future::pending::<()>())))
                .unwrap();
        cancel.cancel();
        assert_eq!(waiter.join().unwrap(), None);
    }

    #[test]
    fn a_switch_ends_the_waits_of_its_children_and_not_those_of_its_parent() {
        let parent = Cancel::default();
        let (child, other) = (parent.child().child(), parent.child());
        let waiting = child.clone();
        let waiter =
            spawn("test-wait", move || block_on(waiting.guard(std::future::pending::<()>())))
                .unwrap();
        other.cancel();
        assert!(!parent.is_cancelled() && !child.is_cancelled());
        parent.cancel();
        assert_eq!(waiter.join().unwrap(), None);
        assert!(child.is_cancelled());
    }

    #[test]
    fn a_cancelled_switch_stays_cancelled() {
        let cancel = Cancel::default();
        cancel.cancel();
        assert_eq!(block_on(cancel.guard(async { 1 })), None);
    }
}
