//! Somebody between `peelbox` and a Docker Engine: counts, changes or breaks what passes.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::wait::eventually;

/// How long an image may be on its way to the place where it is held up.
const FREEZE_PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of an image on its way into the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// It passes.
    Pass,
    /// After so many bytes all of the connection is cut.
    Cut(usize),
    /// All but its end passes; then the connection is cut, as by an engine that dies while it unpacks.
    CutAtTheEnd,
    /// After so many bytes nothing is taken any more, and nobody says so.
    Freeze(usize),
    /// All but its end passes, and no answer comes.
    FreezeAtTheEnd,
    /// After so many bytes this is the answer, and the connection ends with what was not read in it.
    Answer(usize, &'static str),
}

/// Listens in place of an engine.
pub(crate) struct Middle {
    address: String,
    seen: Arc<Seen>,
}

/// What has passed.
#[derive(Default)]
struct Seen {
    to_engine: AtomicU64,
    /// First lines of the requests that begin a connection.
    requests: Mutex<Vec<String>>,
    /// Connections on which nothing passes any more.
    frozen: Mutex<Vec<(UnixStream, UnixStream)>>,
}

#[derive(Clone)]
struct Way {
    engine: PathBuf,
    load: Load,
    /// The engine says of itself that it is older.
    api: Option<&'static str>,
    seen: Arc<Seen>,
}

impl Middle {
    /// Listens at `path`; what is no image passes unchanged.
    pub(crate) fn start(path: &Path, engine: &Path, load: Load) -> Self {
        Self::listen(path, engine, load, None)
    }

    /// Passes all on, but the engine's newest API is called `api`, such as `1.44`.
    pub(crate) fn old(path: &Path, engine: &Path, api: &'static str) -> Self {
        Self::listen(path, engine, Load::Pass, Some(api))
    }

    fn listen(path: &Path, engine: &Path, load: Load, api: Option<&'static str>) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let seen = Arc::<Seen>::default();
        let way = Way { engine: engine.to_owned(), load, api, seen: Arc::clone(&seen) };
        named("middle", move || {
            while let Ok((client, _)) = listener.accept() {
                let way = way.clone();
                named("middle-way", move || way.carry(client));
            }
        });
        Self { address: format!("unix://{}", path.display()), seen }
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many bytes went to the engine.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.seen.to_engine.load(Ordering::Relaxed)
    }

    /// Nothing was asked yet.
    pub(crate) fn forget_requests(&self) {
        self.seen.requests.lock().unwrap().clear();
    }

    /// Whether a connection began with such a request.
    pub(crate) fn was_asked(&self, request: &str) -> bool {
        self.seen.requests.lock().unwrap().iter().any(|line| line.contains(request))
    }
}

impl Middle {
    /// Waits until nothing passes any more.
    pub(crate) fn wait_for_freeze(&self) {
        eventually("the image is held up", FREEZE_PATIENCE, || {
            (!self.seen.frozen.lock().unwrap().is_empty()).then_some(())
        });
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        for (client, engine) in self.seen.frozen.lock().unwrap().drain(..) {
            drop(client.shutdown(Shutdown::Both));
            drop(engine.shutdown(Shutdown::Both));
        }
    }
}

impl Way {
    fn carry(self, mut client: UnixStream) {
        let Ok(mut engine) = UnixStream::connect(&self.engine) else { return };
        let (back_from, back_to) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
        let api = self.api;
        named("middle-back", move || answers(back_from, back_to, api));
        let mut buf = vec![0; 1 << 16];
        let mut load_bytes = 0;
        // A piece is passed on when the next one comes, so that the last one can be kept back.
        let mut held: Vec<u8> = Vec::new();
        while let Ok(n @ 1..) = client.read(&mut buf) {
            let piece = &buf[..n];
            if load_bytes == 0 {
                let text = String::from_utf8_lossy(piece);
                let line = text.lines().next().unwrap_or_default();
                load_bytes = usize::from(line.contains("/images/load"));
                self.seen.requests.lock().unwrap().push(line.to_owned());
            }
            if load_bytes > 0 {
                load_bytes += n;
                // The end of a body in chunks (RFC 9112, section 7.1).
                if self.is_enough(load_bytes, piece.ends_with(b"0\r\n\r\n")) {
                    return self.end(client, engine);
                }
                if self.keeps_the_end() {
                    held.extend_from_slice(piece);
                    let ready = held.len() - n;
                    if engine.write_all(&held[..ready]).is_err() {
                        break;
                    }
                    held.drain(..ready);
                    continue;
                }
            }
            self.seen.to_engine.fetch_add(n as u64, Ordering::Relaxed);
            if engine.write_all(piece).is_err() {
                break;
            }
        }
        drop(engine.shutdown(Shutdown::Write));
    }

    fn keeps_the_end(&self) -> bool {
        matches!(self.load, Load::CutAtTheEnd | Load::FreezeAtTheEnd)
    }

    fn is_enough(&self, bytes: usize, is_last: bool) -> bool {
        match self.load {
            Load::Pass => false,
            Load::Cut(limit) | Load::Freeze(limit) | Load::Answer(limit, _) => bytes > limit,
            Load::CutAtTheEnd | Load::FreezeAtTheEnd => is_last,
        }
    }

    fn end(&self, mut client: UnixStream, engine: UnixStream) {
        match self.load {
            Load::Freeze(_) | Load::FreezeAtTheEnd => {
                self.seen.frozen.lock().unwrap().push((client, engine));
                return;
            }
            Load::Answer(_, answer) => client.write_all(answer.as_bytes()).unwrap(),
            Load::Pass | Load::Cut(_) | Load::CutAtTheEnd => {}
        }
        drop(client.shutdown(Shutdown::Both));
        drop(engine.shutdown(Shutdown::Both));
    }
}

fn answers(mut engine: UnixStream, mut client: UnixStream, api: Option<&'static str>) {
    const HEADER: &[u8] = b"Api-Version: 1.";
    let mut buf = vec![0; 1 << 16];
    while let Ok(n @ 1..) = engine.read(&mut buf) {
        let piece = &mut buf[..n];
        if let Some(api) = api {
            let at = piece.windows(HEADER.len()).position(|window| window == HEADER);
            if let Some(at) = at {
                let version = at + HEADER.len() - 2;
                piece[version..version + api.len()].copy_from_slice(api.as_bytes());
            }
        }
        if client.write_all(piece).is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Write));
}

fn named(name: &str, body: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.to_owned()).spawn(body).unwrap();
}
