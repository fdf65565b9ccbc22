//! The end of `Solve`, and whether it can still come: a daemon that is shutting down, frozen, gone or stuck is given up.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    control,
    grpc::{Cancel, Channel, Code, Status, client::Pending, io::block_on_until},
    pb::control::SolveResponse,
    progress::StatusUpdate,
    transport::Witness,
};

/// How long a daemon may take for what it owes.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often the build's end is waited for before the silence is looked at.
    pub interval: Duration,
    /// How long there may be no news of the build before the daemon is asked who it is.
    pub silence: Duration,
    /// How long it may then take to answer. While it builds it also looks every five seconds whether the session is well
    /// (BuildKit `session/grpc.go`, since v0.11), so one that sends nothing has missed this six times by then.
    pub sign_of_life: Duration,
    /// How often such an answer may stay out while little else comes: an image on its way here may hold it up, the
    /// questions about the session do not.
    pub unanswered: usize,
    /// How long a build may neither run a step nor tell anything. Builds of others may hold all of a daemon's slots
    /// (`max-parallelism`), so this is long.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            silence: Duration::from_secs(30),
            sign_of_life: Duration::from_secs(30),
            unanswered: 4,
            idle: Duration::from_secs(1800),
        }
    }
}

/// Less than this is no image.
const TRICKLE_BYTES: u64 = 64 << 10;
/// Steps that are told apart; of a daemon that runs more at once all count as running.
const RUNNING_MAX: usize = 4096;

/// What the news say of a build: when the last came, and whether anything runs.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Debug)]
struct Beat {
    heard_at: Instant,
    running: HashSet<String>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Beat { heard_at: Instant::now(), running: HashSet::new() }))
    }
}

impl Pulse {
    pub(super) fn hear(&self, update: &StatusUpdate) {
        /// Longer names are no digests.
        const DIGEST_BYTES_MAX: usize = 256;
        let mut beat = self.beat();
        beat.heard_at = Instant::now();
        for vertex in update.vertexes.iter().filter(|v| v.digest.0.len() <= DIGEST_BYTES_MAX) {
            if vertex.completed.is_some() {
                beat.running.remove(&vertex.digest.0);
            } else if vertex.started.is_some() && beat.running.len() < RUNNING_MAX {
                beat.running.insert(vertex.digest.0.clone());
            }
        }
    }

    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of one build.
pub(super) struct Watch {
    pub(super) channel: Channel,
    pub(super) witness: Arc<Witness>,
    pub(super) patience: Patience,
    pub(super) pulse: Arc<Pulse>,
    /// The daemon has all that it needs to end the build well.
    pub(super) is_handed_over: Arc<AtomicBool>,
}

/// How far apart two signs of one end may be; a daemon gives both within milliseconds.
const AFTERTHOUGHT: Duration = Duration::from_millis(300);

impl Watch {
    /// How `Solve` ends, or why that is not waited for.
    pub(super) fn until_end(
        &self,
        solving: &mut Pending<SolveResponse>,
    ) -> Result<SolveResponse, Status> {
        let mut asked_at = Instant::now();
        let mut unanswered = 0;
        let mut closing = self.channel.closing().clone();
        loop {
            let deadline = Instant::now() + self.patience.interval;
            if let Some(result) = solving.wait_until(Some(deadline), &closing) {
                return result.map_err(|status| self.cause(status));
            }
            if closing.is_cancelled() {
                if !self.is_handed_over.load(Ordering::Acquire) {
                    // A connection that is gone tells every call on it why; one that is shutting down leaves them open.
                    let end = Some(Instant::now() + AFTERTHOUGHT);
                    if let Some(result) = solving.wait_until(end, &Cancel::default()) {
                        return result.map_err(|status| self.cause(status));
                    }
                    // A call that is still to be made could not be begun.
                    return Err(Status::closing());
                }
                // What runs may come to its end (RFC 9113, section 6.8).
                closing = Cancel::default();
            }
            let (heard_at, is_running) = {
                let beat = self.pulse.beat();
                (beat.heard_at, !beat.running.is_empty())
            };
            if !is_running && heard_at.elapsed() >= self.patience.idle {
                return Err(Status::gone(format!(
                    "it has run no step of this build for {} s",
                    heard_at.elapsed().as_secs()
                )));
            }
            if heard_at.max(asked_at).elapsed() < self.patience.silence {
                continue;
            }
            if heard_at > asked_at {
                unanswered = 0;
            }
            unanswered = self.ask(asked_at.max(heard_at), unanswered)?;
            asked_at = Instant::now();
        }
    }

    /// A daemon that is asked to stop may cancel its builds first, and say so afterwards (BuildKit v0.11 `cmd/buildkitd/main.go`,
    /// `unaryInterceptor`).
    fn cause(&self, status: Status) -> Status {
        if status.code != Code::Canceled || status.is_transport {
            return status;
        }
        let closing = self.channel.closing();
        let end = Some(Instant::now() + AFTERTHOUGHT);
        let _ = block_on_until(closing.guard(std::future::pending::<()>()), end);
        if closing.is_cancelled() { Status::closing() } else { status }
    }

    /// Asks for a sign of life; how many stayed out one after the other.
    fn ask(&self, since: Instant, unanswered: usize) -> Result<usize, Status> {
        let bytes = self.witness.received_bytes();
        // It cannot be asked any more; what it still sends is what says that it lives.
        let is_closing = self.channel.closing().is_cancelled();
        if !is_closing && control::is_alive(&self.channel, self.patience.sign_of_life) {
            return Ok(0);
        }
        if is_closing {
            let end = Instant::now() + self.patience.sign_of_life;
            while self.witness.received_bytes() == bytes && Instant::now() < end {
                std::thread::park_timeout(self.patience.interval);
            }
        }
        let received = self.witness.received_bytes() - bytes;
        let unanswered = if received > TRICKLE_BYTES { 0 } else { unanswered + 1 };
        if received == 0 || unanswered >= self.patience.unanswered {
            return Err(Status::gone(format!(
                "it has said nothing for {} s",
                since.elapsed().as_secs()
            )));
        }
        Ok(unanswered)
    }
}
