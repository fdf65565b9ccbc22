//! A socket between `peelbox` and a daemon, to be frozen.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// Passes every byte on until it is told not to.
pub(crate) struct Relay {
    gate: Arc<(Mutex<bool>, Condvar)>,
    address: String,
}

impl Relay {
    /// Listens at `path` for connections to the socket of `daemon` (`unix://…`).
    pub(crate) fn start(path: &Path, daemon: &str) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let daemon = daemon.strip_prefix("unix://").unwrap().to_owned();
        let gate = Arc::new((Mutex::new(true), Condvar::new()));
        let its = Arc::clone(&gate);
        named("relay", move || {
            while let Ok((client, _)) = listener.accept() {
                let server = UnixStream::connect(&daemon).unwrap();
                for (from, to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let gate = Arc::clone(&its);
                    named("relay-half", move || pass(from, to, &gate));
                }
            }
        });
        Self { gate, address: format!("unix://{}", path.display()) }
    }

    /// For `--buildkit`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on nothing passes; nobody is told.
    pub(crate) fn freeze(&self) {
        *self.gate.0.lock().unwrap() = false;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }
}

fn named(name: &str, body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.to_owned()).spawn(body).unwrap();
}

fn pass(mut from: UnixStream, mut to: UnixStream, (is_open, changed): &(Mutex<bool>, Condvar)) {
    let mut buf = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buf) {
        drop(changed.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        if to.write_all(&buf[..n]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}
