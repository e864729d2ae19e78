//! The device thread: one named thread owns an engine, since engines are synchronous and libtorch
//! keeps per-thread state. An engine and its [`replicas`] have a thread each.
//!
//! The engine can be changed for another between two batches: orders are carried out in the order in
//! which they came, so what was handed over before is computed by the old one and what comes after by
//! the new one, and every reply names the one that made it.

mod answer;
mod replicas;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use lobar_core::engine::{Engine, EngineInfo, NetworkInput};
use lobar_core::liveness::Pulse;
use lobar_core::trace::TraceContext;
use tokio::sync::oneshot;
use tracing::Span;

pub(crate) use answer::{Answer, probe};
use answer::{answer, still_answers};
pub(crate) use replicas::{Answered, Before, Replicas};

/// Batches that may be at the device at once: one being computed, one waiting.
pub(crate) const DEPTH: usize = 2;
/// How long a watched engine is left without work before it is asked whether it still answers.
const IDLE: Duration = Duration::from_secs(20);
/// Another engine that may wait with them.
const CHANGES: usize = 1;

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DeviceFault {
    /// The device is lost, or answers nothing any more.
    #[error("the device is lost: {0}")]
    Lost(String),
    /// The engine panicked.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// A batch took longer than the watchdog allows.
    #[error("the engine has not answered for {0:?}")]
    Hung(Duration),
}

/// What became of a batch.
pub(crate) struct Reply {
    /// The engine that computed it.
    pub(crate) engine: Arc<EngineInfo>,
    /// One answer an image, in order.
    pub(crate) answers: Result<Vec<Answer>, DeviceFault>,
    /// When the device began.
    pub(crate) started: Instant,
    /// How long it computed.
    pub(crate) busy: Duration,
    /// Whether the batch failed as a whole at first.
    pub(crate) was_cut: bool,
    /// The span of its computation, where it is recorded.
    pub(crate) trace: Option<TraceContext>,
}

enum Order {
    Batch {
        inputs: Vec<NetworkInput>,
        /// The spans of its images.
        images: Vec<TraceContext>,
        reply: oneshot::Sender<Reply>,
    },
    /// Another engine from here on; the one before comes back.
    Change { engine: Box<dyn Engine + Send>, before: oneshot::Sender<Box<dyn Engine + Send>> },
}

/// The way to the thread. Dropping it ends the thread after the batch at hand.
pub(crate) struct Device {
    orders: SyncSender<Order>,
    ended: oneshot::Receiver<()>,
    /// The engine that will compute the next batch to be handed over.
    pub(crate) info: EngineInfo,
}

impl Device {
    /// Moves the engine to its thread, which is called `name`.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub(crate) fn start(name: &str, engine: Box<dyn Engine + Send>) -> std::io::Result<Self> {
        Self::run(name, engine, None)
    }

    /// The same; each answer beats `pulse`. While no batch comes the engine is asked every [`IDLE`] on a known good
    /// input.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub(crate) fn watched(
        name: &str,
        engine: Box<dyn Engine + Send>,
        pulse: Pulse,
    ) -> std::io::Result<Self> {
        Self::run(name, engine, Some((pulse, IDLE)))
    }

    fn run(
        name: &str,
        engine: Box<dyn Engine + Send>,
        watch: Option<(Pulse, Duration)>,
    ) -> std::io::Result<Self> {
        let info = engine.info().clone();
        let (orders, received) = sync_channel(DEPTH + CHANGES);
        let (alive, ended) = oneshot::channel();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            serve(engine, &received, watch.as_ref());
            if let Some((pulse, _)) = watch {
                pulse.rest();
            }
            drop(alive);
        })?;
        Ok(Self { orders, ended, info })
    }

    /// Hands a batch over. At most [`DEPTH`] at once; more, and everything after the thread's end,
    /// is answered by a closed channel.
    pub(crate) fn submit(&self, inputs: Vec<NetworkInput>) -> oneshot::Receiver<Reply> {
        self.submit_traced(inputs, Vec::new())
    }

    /// The same; the batch's span is linked with those of its images, where they are recorded.
    pub(crate) fn submit_traced(
        &self,
        inputs: Vec<NetworkInput>,
        images: Vec<TraceContext>,
    ) -> oneshot::Receiver<Reply> {
        let (reply, answer) = oneshot::channel();
        // A refused order drops its reply, and that closes the channel.
        let _ = self.orders.try_send(Order::Batch { inputs, images, reply });
        answer
    }

    /// Hands another engine over, for every batch after those that were handed over before. The one
    /// before comes back once it is out of use. One at a time; the engine itself comes back when there
    /// is no place, or no thread any more.
    pub(crate) fn change(
        &mut self,
        engine: Box<dyn Engine + Send>,
    ) -> Result<oneshot::Receiver<Box<dyn Engine + Send>>, Box<dyn Engine + Send>> {
        let info = engine.info().clone();
        let (before, old) = oneshot::channel();
        match self.orders.try_send(Order::Change { engine, before }) {
            Ok(()) => {
                self.info = info;
                Ok(old)
            }
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => match order {
                Order::Change { engine, .. } => Err(engine),
                Order::Batch { .. } => unreachable!("what was sent comes back"),
            },
        }
    }

    /// Lets the thread end, and waits for that at most `limit`.
    pub(crate) async fn close(self, limit: Duration) {
        drop(self.orders);
        let _ = tokio::time::timeout(limit, self.ended).await;
    }
}

fn serve(
    mut engine: Box<dyn Engine + Send>,
    orders: &Receiver<Order>,
    watch: Option<&(Pulse, Duration)>,
) {
    let mut info = Arc::new(engine.info().clone());
    while let Some(order) = next(engine.as_mut(), orders, watch) {
        let (inputs, images, reply) = match order {
            Order::Batch { inputs, images, reply } => (inputs, images, reply),
            Order::Change { engine: next, before } => {
                info = Arc::new(next.info().clone());
                let old = std::mem::replace(&mut engine, next);
                // Taken apart elsewhere, unless nobody waits for it.
                let _ = before.send(old);
                continue;
            }
        };
        let started = Instant::now();
        let mut was_cut = false;
        let infer = || answer(engine.as_mut(), &inputs, &mut was_cut);
        let span = span(&info, inputs.len(), &images);
        let answers = span
            .in_scope(|| catch_unwind(AssertUnwindSafe(infer)))
            .unwrap_or_else(|panic| Err(DeviceFault::Panicked(panic_message(panic.as_ref()))));
        let broken = answers.is_err();
        if broken || was_cut {
            lobar_trace::failed(&span, "the engine failed on the batch as a whole");
        }
        let trace = lobar_trace::context(&span);
        drop(span);
        let (busy, engine) = (started.elapsed(), info.clone());
        let _ = reply.send(Reply { engine, answers, started, busy, was_cut, trace });
        if broken {
            return;
        }
        if let Some((pulse, _)) = watch {
            pulse.beat();
        }
    }
}

/// The next order; `None` when none will come any more. Meanwhile the engine shows that it still answers.
fn next(
    engine: &mut dyn Engine,
    orders: &Receiver<Order>,
    watch: Option<&(Pulse, Duration)>,
) -> Option<Order> {
    let Some((pulse, idle)) = watch else { return orders.recv().ok() };
    loop {
        match orders.recv_timeout(*idle) {
            Ok(order) => return Some(order),
            Err(RecvTimeoutError::Disconnected) => return None,
            // One that does not answer stays silent: its next batch, or whoever watches the pulse, ends it.
            Err(RecvTimeoutError::Timeout) if still_answers(engine) => pulse.beat(),
            Err(RecvTimeoutError::Timeout) => {
                tracing::error!(
                    "the engine does not answer on a known good input while it has nothing to do"
                );
            }
        }
    }
}

/// A batch belongs to the traces of all its images, so it has one of its own and is linked with theirs.
fn span(info: &EngineInfo, images: usize, traced: &[TraceContext]) -> Span {
    if traced.is_empty() {
        return Span::none();
    }
    let model = info.model.version.as_str();
    let span = tracing::info_span!(parent: None, "batch", images, model);
    traced.iter().for_each(|image| lobar_trace::link(&span, Some(*image)));
    span
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".into())
}
