//! An image made by another BuildKit, streamed into an engine: `POST /images/load`.

use std::{
    fmt,
    io::{self, Read},
    mem,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::{
    docker::{Engine, EngineError, Image, http, settle},
    output::{Announced, Loader, OutputError},
    threads::{LARGE_STACK_BYTES, Later},
};

/// How long an engine may take to unpack what it was given.
const UNPACK_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Longest answer that is kept, in bytes: a line of JSON for each image.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How often it is told how much was sent.
const TELL_INTERVAL: Duration = Duration::from_millis(100);
/// How old may be what is known of an image before the engine is asked anew.
const AGE_MAX: Duration = Duration::from_secs(1);

/// Puts an image into an engine, unless it is there already.
#[derive(Debug)]
pub struct EngineLoader {
    engine: Arc<Engine>,
    /// Normalised references.
    tags: Vec<String>,
    seen: Mutex<Seen>,
    sink: Sink,
    loaded: OnceLock<Loaded>,
}

/// What is known of the image that has the first name.
#[derive(Debug)]
enum Seen {
    /// The engine was not asked.
    Nothing,
    /// Its answer will be here.
    Soon(Later<Look>),
    Known(Look),
}

#[derive(Debug, Clone)]
struct Look {
    image: Option<Image>,
    asked: Instant,
}

/// What happens while an image is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadEvent {
    /// The daemon has begun to send.
    Began,
    /// So many bytes were given to the engine; told from time to time.
    Sent(u64),
    /// All of them were; the engine unpacks.
    AllSent(u64),
    /// The engine has the image.
    Done {
        /// It had it before, and nothing was sent.
        is_unchanged: bool,
    },
}

/// Takes the events of a load.
pub type LoadSink = Arc<dyn Fn(LoadEvent) + Send + Sync>;

/// An image that an engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What the engine calls it.
    pub id: String,
    /// The engine had it before.
    pub is_unchanged: bool,
}

impl EngineLoader {
    /// Loads into `engine` under `tags`, which are normalised references.
    pub fn new(engine: Arc<Engine>, tags: Vec<String>, sink: LoadSink) -> Self {
        let seen = Mutex::new(Seen::Nothing);
        Self { engine, tags, seen, sink: Sink(sink), loaded: OnceLock::new() }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The image that the engine has, once it has it.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.loaded.get()
    }

    /// Asks which image has the first name while the builder works; a build of nothing new then finds it known.
    pub fn look_ahead(self: &Arc<Self>) {
        let loader = Arc::clone(self);
        // Without the thread it only takes longer.
        if let Ok(look) = Later::begin("pbx-look-up", LARGE_STACK_BYTES, move || loader.look()) {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::Soon(look);
        }
    }

    fn look(&self) -> Look {
        let asked = Instant::now();
        let tag = self.tags.first().map_or("", String::as_str);
        // An engine that does not say gets the image.
        Look { image: self.engine.image(tag).ok().flatten(), asked }
    }

    /// The image that has the first name, as it was when the engine was asked: once before it can have got another.
    pub fn before(&self) -> Option<Image> {
        self.seen(Duration::MAX)
    }

    /// The same, as it was so long ago at most.
    fn seen(&self, age_max: Duration) -> Option<Image> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match mem::replace(&mut *seen, Seen::Nothing) {
            Seen::Nothing => None,
            Seen::Soon(answer) => answer.take(),
            Seen::Known(look) => Some(look),
        };
        let look = match known {
            Some(look) if look.asked.elapsed() < age_max => look,
            _ => self.look(),
        };
        *seen = Seen::Known(look.clone());
        look.image
    }

    /// Whether the image that has the first name `is_it` already; if so, it has all the names afterwards.
    ///
    /// # Errors
    /// The engine does not give it a name.
    pub fn hold(&self, is_it: impl Fn(&Image) -> bool) -> Result<bool, OutputError> {
        let Some(image) = self.seen(AGE_MAX).filter(is_it) else { return Ok(false) };
        let id = self.name(&image).map_err(|source| self.failed(source))?;
        self.settle(Loaded { id, is_unchanged: true });
        Ok(true)
    }

    fn settle(&self, loaded: Loaded) {
        // There is one load to a build.
        drop(self.loaded.set(loaded));
    }

    fn failed(&self, source: EngineError) -> OutputError {
        OutputError::Load { place: self.engine.host.to_string(), source: Box::new(source) }
    }

    /// The id of exactly this image, if the engine has it; then it has all the names afterwards.
    fn held(&self, announced: &Announced) -> Result<Option<String>, EngineError> {
        let mut seen = self.seen(AGE_MAX);
        // A graph driver's id of an image is the digest of its config, containerd's that of its manifest.
        for digest in [&announced.digest, &announced.config_digest].into_iter().flatten() {
            let image = match seen.take_if(|image| image.id == *digest) {
                Some(image) => Some(image),
                None => self.engine.image(digest)?.filter(|image| image.id == *digest),
            };
            if let Some(image) = image {
                return self.name(&image).map(Some);
            }
        }
        Ok(None)
    }

    /// Gives it the names it has not; gives its id.
    fn name(&self, image: &Image) -> Result<String, EngineError> {
        // To set a name anew costs twice as much as to look (29.8, containerd: 12 ms).
        for tag in self.tags.iter().filter(|tag| !image.has_name(tag)) {
            self.engine.tag(&image.id, tag)?;
        }
        Ok(image.id.clone())
    }

    /// The id of the image that was loaded.
    fn loaded_id(&self) -> Result<String, EngineError> {
        let tag = self.tags.first().map_or("", String::as_str);
        self.engine
            .image(tag)?
            .map(|image| image.id)
            .ok_or_else(|| EngineError::Answer(format!("it has no image `{tag}` now")))
    }

    fn stream(&self, body: &mut dyn Read) -> Result<(), EngineError> {
        let is_deaf = Arc::new(AtomicBool::new(false));
        let mut body = Body::new(body, &self.sink, Arc::clone(&is_deaf));
        let agent = http::agent(&self.engine.host, self.engine.connect_timeout, is_deaf);
        let path = self.engine.path("/images/load?quiet=1");
        let request = agent.post(format!("http://docker{path}"));
        let request = request.header("Content-Type", "application/x-tar").config();
        let request = request.timeout_recv_response(Some(UNPACK_TIMEOUT)).build();
        let answer = request.send(ureq::SendBody::from_reader(&mut body));
        let answer = settle(answer, ANSWER_BYTES_MAX)?;
        match failure(&answer) {
            // With a yes in front: the engine had begun to answer before it knew.
            Some(message) => Err(EngineError::Refused { status: 200, message }),
            None => Ok(()),
        }
    }
}

impl Loader for EngineLoader {
    fn load(&self, announced: &Announced, body: &mut dyn Read) -> Result<bool, OutputError> {
        self.sink.tell(LoadEvent::Began);
        let held = self.held(announced).map_err(|source| self.failed(source))?;
        let is_new = held.is_none();
        let id = match held {
            Some(id) => id,
            None => {
                let loaded = self.stream(body).and_then(|()| self.loaded_id());
                loaded.map_err(|source| self.failed(source))?
            }
        };
        self.settle(Loaded { id, is_unchanged: !is_new });
        self.sink.tell(LoadEvent::Done { is_unchanged: !is_new });
        Ok(is_new)
    }
}

#[derive(Clone)]
struct Sink(LoadSink);

impl Sink {
    fn tell(&self, event: LoadEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

/// Counts what goes through, and ends when the engine takes no more.
struct Body<'a> {
    body: &'a mut dyn Read,
    sink: &'a Sink,
    is_deaf: Arc<AtomicBool>,
    sent_bytes: u64,
    told: Instant,
}

impl<'a> Body<'a> {
    fn new(body: &'a mut dyn Read, sink: &'a Sink, is_deaf: Arc<AtomicBool>) -> Self {
        Self { body, sink, is_deaf, sent_bytes: 0, told: Instant::now() }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // The engine has answered: what it says counts, not how much it could have had.
        if self.is_deaf.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let n = self.body.read(buf)?;
        self.sent_bytes += n as u64;
        if n == 0 {
            self.sink.tell(LoadEvent::AllSent(self.sent_bytes));
        } else if self.told.elapsed() >= TELL_INTERVAL {
            self.told = Instant::now();
            self.sink.tell(LoadEvent::Sent(self.sent_bytes));
        }
        Ok(n)
    }
}

/// What went wrong, if anything, by the lines of JSON with which an engine answers.
fn failure(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        error: Option<String>,
    }
    let lines = answer.split(|byte| *byte == b'\n');
    let mut errors = lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()?.error);
    errors.next().map(|error| http::one_line(&error))
}

/// Takes `data` for the answer to a load; must not panic.
#[doc(hidden)]
pub fn fuzz_load_answer(data: &[u8]) {
    if let Some(text) = failure(data) {
        assert!(!text.contains('\n'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn the_first_error_of_an_answer_counts() {
        let good = b"{\"stream\":\"Loaded image: app:latest\\n\"}\r\n";
        assert_eq!(failure(good), None);
        let bad = b"{\"stream\":\"x\"}\r\n{\"errorDetail\":{\"message\":\"no\\nspace\"},\"error\":\"no\\nspace\"}\r\n";
        assert_eq!(failure(bad).as_deref(), Some("no space"));
        assert_eq!(failure(b""), None);
        mutate(bad, b"{}\":\n\\", 1000, fuzz_load_answer);
    }
}
