//! Writing what readers were sent. It is gathered for a moment and written together, as what they saw is in the audit
//! record. A process that is killed loses the moment.
//!
//! Where opinions are asked for first, results depend on this record: while more waits than there is room for, or the store
//! refuses exposures for good, no result is sent, and a refusal fails the check `exposure` of `/readyz` until the store takes
//! what waits. Where they are not, nothing depends on it: what cannot be kept is left out, and the log says so once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lobar_core::access::Who;
use lobar_core::exposure::{Answer, Exposure, Exposures, Source, Visible};
use lobar_core::failure::PortError;
use lobar_core::object::ImageId;
use lobar_core::retry::Backoff;
use lobar_core::time::Clock;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::{Allowed, Need};
use crate::problem::{Kind, Problem};
use crate::readiness::Check;

/// Exposures that wait to be written.
const WAITING: usize = 10_000;
/// Exposures that are written together.
const TOGETHER: usize = 400;
/// How long they are gathered.
const GATHERED: Duration = Duration::from_millis(200);
/// Between tries, while the store is away.
const RESTS: Backoff = Backoff { first: Duration::from_millis(200), max: Duration::from_secs(5) };
/// Exposures that are remembered, so that the same one is not written again and again.
const REMEMBERED: usize = 50_000;

/// What one reader was sent of one image; whose answer it was is the value's hash.
type Key = (Uuid, ImageId, Visible);

/// See the module's documentation.
pub(crate) struct Sent {
    clock: Arc<dyn Clock>,
    waiting: Sender<Exposure>,
    known: Mutex<HashMap<Key, u64>>,
    kept: Kept,
}

/// Exposures on their way to the store.
pub(crate) struct SentWriter {
    exposures: Arc<dyn Exposures>,
    waiting: Receiver<Exposure>,
    kept: Kept,
}

/// Whether exposures are kept, and what depends on it.
#[derive(Clone)]
struct Kept {
    /// Whether results may be sent only where it is on record.
    needed: bool,
    /// Whether the store refuses them for good.
    refused: Arc<AtomicBool>,
    /// Whether some were left out since the store last took any.
    left_out: Arc<AtomicBool>,
    check: Check,
}

impl Kept {
    /// What the store said to a batch; whether it is to be tried again.
    fn note(&self, answer: Result<(), &PortError>) -> bool {
        match answer {
            Ok(()) => {
                self.left_out.store(false, Ordering::Relaxed);
                if self.refused.swap(false, Ordering::Relaxed) {
                    tracing::info!("the exposure record takes entries again");
                    self.check.pass();
                }
                false
            }
            Err(error) if error.is_transient() => true,
            Err(error) if self.needed => {
                if !self.refused.swap(true, Ordering::Relaxed) {
                    tracing::error!(operation = error.what, %error, "not ready: the store refuses exposures; no result is shown to people until it takes them");
                }
                self.check.fail("the store refuses entries of the exposure record");
                true
            }
            Err(error) => {
                if !self.left_out.swap(true, Ordering::Relaxed) {
                    tracing::warn!(operation = error.what, %error, "the store refuses exposures; what readers are sent is not kept until it takes them");
                }
                false
            }
        }
    }

    fn is_refused(&self) -> bool {
        self.needed && self.refused.load(Ordering::Relaxed)
    }

    /// One does not fit.
    fn overflow(&self) -> Result<(), Problem> {
        if self.needed {
            return Err(unwritable());
        }
        if !self.left_out.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "more exposures wait than there is room for; what readers are sent is not kept until the store takes them"
            );
        }
        Ok(())
    }
}

/// A record of what is sent, and what writes for it. `needed` where opinions are asked for first: `check` fails then while
/// the store refuses entries.
pub(crate) fn sent(
    exposures: Arc<dyn Exposures>,
    clock: Arc<dyn Clock>,
    check: Check,
    needed: bool,
) -> (Sent, SentWriter) {
    let (sender, waiting) = channel(WAITING);
    check.pass();
    let (refused, left_out) = Default::default();
    let kept = Kept { needed, refused, left_out, check };
    let sent = Sent { clock, waiting: sender, known: Mutex::default(), kept: kept.clone() };
    (sent, SentWriter { exposures, waiting, kept })
}

fn unwritable() -> Problem {
    let detail = "The exposure record cannot be written; no result is shown until it can.";
    Problem::new(Kind::Unavailable, detail)
}

impl Sent {
    /// Records what a person is about to be sent of an answer. What machines fetch is in the audit record alone.
    ///
    /// # Errors
    /// Where opinions are asked for first: while it cannot be recorded, it must not be sent.
    pub(crate) fn note<N: Need>(
        &self,
        allowed: &Allowed<N>,
        image: ImageId,
        visible: Visible,
        answer: impl FnOnce() -> Answer,
    ) -> Result<(), Problem> {
        let who = &allowed.caller().who;
        if matches!(who, Who::Machine { .. }) {
            return Ok(());
        }
        let (key, answer) = ((who.id(), image, visible), answer());
        let mut hasher = DefaultHasher::new();
        answer.model_sha256.hash(&mut hasher);
        let of = hasher.finish();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&key) == Some(&of) {
            return Ok(());
        }
        if self.kept.is_refused() {
            return Err(unwritable());
        }
        let exposure = Exposure {
            id: Uuid::now_v7(),
            image,
            reader: who.id(),
            session: allowed.session().map(|session| session.0),
            source: Source::Sent,
            visible,
            answer,
            at: self.clock.now(),
            millis: 0,
        };
        if self.waiting.try_send(exposure).is_err() {
            return self.kept.overflow();
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, of);
        Ok(())
    }
}

impl SentWriter {
    /// Writes until `stop`, and then what still waits, if the store takes it within `drain`.
    pub(crate) async fn run(mut self, stop: CancellationToken, drain: Duration) {
        let mut batch = Vec::with_capacity(TOGETHER);
        while stop.run_until_cancelled(self.waiting.recv_many(&mut batch, TOGETHER)).await.is_some()
        {
            if batch.len() < TOGETHER && stop.run_until_cancelled(sleep(GATHERED)).await.is_some() {
                self.gather(&mut batch);
            }
            if stop.run_until_cancelled(self.write(&batch)).await.is_none() {
                break;
            }
            batch.clear();
        }
        let rest = async {
            loop {
                self.write(&batch).await;
                batch.clear();
                self.gather(&mut batch);
                if batch.is_empty() {
                    return;
                }
            }
        };
        if tokio::time::timeout(drain, rest).await.is_err() {
            tracing::warn!(
                "the last exposures were not written: the store did not take them before the stop"
            );
        }
    }

    fn gather(&mut self, batch: &mut Vec<Exposure>) {
        while batch.len() < TOGETHER
            && let Ok(exposure) = self.waiting.try_recv()
        {
            batch.push(exposure);
        }
    }

    /// Tries until the store has taken them, or they are left out.
    async fn write(&self, batch: &[Exposure]) {
        let mut tries = 0;
        while !batch.is_empty() {
            let written = self.exposures.expose(batch).await;
            let again = self.kept.note(written.as_ref().copied());
            let Err(error) = written else { return };
            if !again {
                return;
            }
            tracing::warn!(operation = error.what, %error, "exposures not written; trying again until they are");
            sleep(RESTS.delay(tries, 0.5)).await;
            tries += 1;
        }
    }
}
