//! The one thread that moves bytes: it polls every HTTP/2 connection and sleeps in `poll(2)`.
//!
//! Both the outer client connection and the session's server connection nested in it are tasks of one driver. A
//! trial with a second thread for the nested one cost 36 % more CPU, and reader and writer threads per socket cost a
//! hand-over per read. Tasks are few (below ten), so after each wake-up all are polled: no queues, no ids, nothing to lose.
//! A task must never block: what it gives to other threads goes into memory that is bounded by the protocol.

use std::{
    future::Future,
    io,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Wake, Waker},
    thread::JoinHandle,
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use crate::{
    grpc::io::{Interest, SocketIo, spawn},
    transport::Socket,
};

/// Something the driver polls until it is finished.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running thread; dropping it asks the thread to stop and waits for it.
#[derive(Debug)]
pub struct Driver {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Gives work to the driver; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

struct Shared {
    bell: Arc<Bell>,
    arrivals: Mutex<Arrivals>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Arrivals {
    tasks: Vec<Task>,
    sockets: Vec<Registered>,
}

struct Registered {
    socket: Arc<Socket>,
    interest: Arc<Interest>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("stop", &self.stop).finish_non_exhaustive()
    }
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// No file descriptor or no thread could be had.
    pub fn start() -> io::Result<Self> {
        let bell = Bell {
            fd: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            state: AtomicU8::new(RUNNING),
        };
        let shared = Shared {
            bell: Arc::new(bell),
            arrivals: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        let handle = Handle(Arc::new(shared));
        let theirs = handle.clone();
        let thread = spawn("pbx-io", move || theirs.run())?;
        Ok(Self { handle, thread: Some(thread) })
    }

    /// The way to give it work.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.handle.0.stop.store(true, Ordering::SeqCst);
        self.handle.0.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic on it was already reported by the panic hook.
            drop(thread.join());
        }
    }
}

impl Handle {
    /// Polls `task` until it is finished.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.arrivals().tasks.push(Box::pin(task));
        self.0.bell.ring();
    }

    /// Puts a non-blocking socket under the driver's care.
    pub fn register(&self, socket: Socket) -> SocketIo {
        let socket = Arc::new(socket);
        let interest = Arc::new(Interest::default());
        self.arrivals()
            .sockets
            .push(Registered { socket: Arc::clone(&socket), interest: Arc::clone(&interest) });
        SocketIo::new(socket, interest)
    }

    fn arrivals(&self) -> std::sync::MutexGuard<'_, Arrivals> {
        self.0.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let bell = &self.0.bell;
        let waker = Waker::from(Arc::clone(bell));
        let mut cx = Context::from_waker(&waker);
        let mut tasks: Vec<Task> = Vec::new();
        let mut sockets: Vec<Registered> = Vec::new();
        loop {
            // Before all that it may tell of, `stop` too: who rings later is heard.
            bell.state.store(RUNNING, Ordering::SeqCst);
            if self.0.stop.load(Ordering::SeqCst) {
                return;
            }
            {
                let mut arrivals = self.arrivals();
                tasks.append(&mut arrivals.tasks);
                sockets.append(&mut arrivals.sockets);
            }
            // A socket nobody but this list holds has lost its connection task.
            sockets.retain(|s| Arc::strong_count(&s.socket) > 1);
            sockets.iter().for_each(|s| s.interest.reset());
            tasks.retain_mut(|task| task.as_mut().poll(&mut cx).is_pending());
            if bell
                .state
                .compare_exchange(RUNNING, SLEEPING, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                sleep(bell, &sockets);
            }
        }
    }
}

/// Waits until the bell rings or a socket can do what it could not do before.
fn sleep(bell: &Bell, sockets: &[Registered]) {
    let mut fds = Vec::with_capacity(1 + 2 * sockets.len());
    fds.push(PollFd::new(&bell.fd, PollFlags::IN));
    for Registered { socket, interest } in sockets {
        let (read, write) = interest.wanted();
        if read {
            fds.push(PollFd::from_borrowed_fd(socket.fd(), PollFlags::IN));
        }
        if write || socket.wants_write() {
            fds.push(PollFd::from_borrowed_fd(socket.fd(), PollFlags::OUT));
        }
    }
    // Interrupted or not, the next round polls everything; errors of a socket show in its own read.
    let _ = poll(&mut fds, None);
    if fds[0].revents().contains(PollFlags::IN) {
        let _ = rustix::io::read(bell.fd.as_fd(), &mut [0; 8]);
    }
}

/// Wakes the driver; the eventfd is written only when it really sleeps.
struct Bell {
    fd: OwnedFd,
    state: AtomicU8,
}

const RUNNING: u8 = 0;
const NOTIFIED: u8 = 1;
const SLEEPING: u8 = 2;

impl Bell {
    fn ring(&self) {
        if self.state.swap(NOTIFIED, Ordering::SeqCst) == SLEEPING {
            // The counter of an eventfd can only refuse at 2^64 - 1.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use super::*;

    #[test]
    fn a_task_is_polled_until_it_is_ready() {
        let driver = Driver::start().unwrap();
        let (tx, rx) = crossbeam_channel::bounded(1);
        let mut left = 1000;
        driver.handle().spawn(async move {
            poll_fn(|cx| {
                left -= 1;
                cx.waker().wake_by_ref();
                if left == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
    }

    #[test]
    fn wake_ups_from_other_threads_are_never_lost() {
        let driver = Driver::start().unwrap();
        for _ in 0..2000 {
            let (tx, rx) = crossbeam_channel::bounded(1);
            driver.handle().spawn(async move { tx.send(()).unwrap() });
            rx.recv().unwrap();
        }
    }

    #[test]
    fn a_driver_that_is_busy_when_it_is_dropped_still_ends() {
        for _ in 0..2000 {
            let driver = Driver::start().unwrap();
            let (turning, is_turning) = crossbeam_channel::bounded(1);
            // One more turn after the first: `stop` may come between them.
            let mut left = 2_u32;
            driver.handle().spawn(poll_fn(move |cx| {
                let _ = turning.try_send(());
                left = left.saturating_sub(1);
                if left > 0 {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }));
            is_turning.recv().unwrap();
            drop(driver);
        }
    }

    #[test]
    fn dropping_the_driver_ends_its_thread_and_drops_its_tasks() {
        let alive = Arc::new(());
        let theirs = Arc::clone(&alive);
        let driver = Driver::start().unwrap();
        driver.handle().spawn(async move {
            std::future::pending::<()>().await;
            drop(theirs);
        });
        drop(driver);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
