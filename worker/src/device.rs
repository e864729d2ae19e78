//! The device thread: one named thread owns the engine, since engines are synchronous and libtorch
//! keeps per-thread state.
//!
//! The engine can be changed for another between two batches: orders are carried out in the order in
//! which they came, so what was handed over before is computed by the old one and what comes after by
//! the new one, and every reply names the one that made it.
//!
//! A batch that fails is cut in two once. When nothing of it succeeds, the engine is tried on an
//! input that is known to be good: if that fails as well, the device is at fault and not the images.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use lobar_core::engine::{Engine, EngineError, EngineInfo, NetworkInput, Prediction};
use lobar_core::liveness::Pulse;
use lobar_core::trace::TraceContext;
use tokio::sync::oneshot;
use tracing::Span;

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

/// What became of one image of a batch.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The network's answer.
    Prediction(Prediction),
    /// The network gives no number for this image, now or later.
    Unusable(String),
    /// Its batch failed, and its half of it too.
    Failed(String),
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

fn still_answers(engine: &mut dyn Engine) -> bool {
    let asked = catch_unwind(AssertUnwindSafe(|| once(engine, &[probe()])));
    matches!(asked, Ok(Ok(Ok(answers))) if matches!(answers.first(), Some(Answer::Prediction(_))))
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

fn answer(
    engine: &mut dyn Engine,
    inputs: &[NetworkInput],
    was_cut: &mut bool,
) -> Result<Vec<Answer>, DeviceFault> {
    let why = match once(engine, inputs)? {
        Ok(answers) => return Ok(answers),
        Err(why) => why,
    };
    *was_cut = true;
    let mut answers = Vec::with_capacity(inputs.len());
    if inputs.len() > 1 {
        let (left, right) = inputs.split_at(inputs.len().div_ceil(2));
        for half in [left, right] {
            match once(engine, half)? {
                Ok(half) => answers.extend(half),
                Err(why) => answers.extend(half.iter().map(|_| Answer::Failed(why.clone()))),
            }
        }
    } else {
        answers.extend(inputs.iter().map(|_| Answer::Failed(why.clone())));
    }
    if answers.iter().all(|answer| matches!(answer, Answer::Failed(_)))
        && let Err(why) = once(engine, &[probe()])?
    {
        return Err(DeviceFault::Lost(format!("it fails on a known good input too: {why}")));
    }
    Ok(answers)
}

/// One call of the engine; the inner error is the batch's own.
fn once(
    engine: &mut dyn Engine,
    inputs: &[NetworkInput],
) -> Result<Result<Vec<Answer>, String>, DeviceFault> {
    match engine.infer(inputs) {
        Ok(answers) if answers.len() == inputs.len() => Ok(Ok(answers
            .into_iter()
            .map(|answer| answer.map_or_else(Answer::Unusable, Answer::Prediction))
            .collect())),
        Ok(answers) => Ok(Err(format!("{} answers for {} images", answers.len(), inputs.len()))),
        Err(EngineError::Batch { why, .. }) => Ok(Err(why)),
        Err(EngineError::DeviceLost(why)) => Err(DeviceFault::Lost(why)),
    }
}

/// An input that every engine can compute: an even slope of greys.
pub(crate) fn probe() -> NetworkInput {
    let side = NetworkInput::SIDE;
    let pixels: Vec<u8> = (0..side * side).map(|at| (at % side).to_le_bytes()[0]).collect();
    NetworkInput::new(pixels).expect("it has side × side pixels")
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lobar_core::engine::NoveltyPolicy;
    use lobar_core::finding::ModelRef;

    type Script =
        Box<dyn FnMut(usize) -> Result<Vec<Result<Prediction, String>>, EngineError> + Send>;

    /// An engine that does what the test says, given the size of each batch.
    struct Scripted(EngineInfo, Script);

    impl Engine for Scripted {
        fn info(&self) -> &EngineInfo {
            &self.0
        }
        fn infer(
            &mut self,
            batch: &[NetworkInput],
        ) -> Result<Vec<Result<Prediction, String>>, EngineError> {
            (self.1)(batch.len())
        }
    }

    fn device(
        script: impl FnMut(usize) -> Result<Vec<Result<Prediction, String>>, EngineError>
        + Send
        + 'static,
    ) -> Device {
        Device::start("engine", engine("test", script)).expect("a thread")
    }

    fn engine(
        version: &str,
        script: impl FnMut(usize) -> Result<Vec<Result<Prediction, String>>, EngineError>
        + Send
        + 'static,
    ) -> Box<dyn Engine + Send> {
        let model = ModelRef {
            version: version.into(),
            sha256: "0".repeat(64),
            preprocessing: "test".into(),
        };
        let info = EngineInfo {
            model,
            threshold: 0.5,
            max_batch: 8,
            device: "test".into(),
            tolerance: 0.0,
            novelty_policy: NoveltyPolicy::NoDetector,
        };
        Box::new(Scripted(info, Box::new(script)))
    }

    fn good(n: usize) -> Result<Vec<Result<Prediction, String>>, EngineError> {
        let prediction =
            Prediction { probability: 0.25, bacterial: None, heatmap: None, novelty: None };
        Ok(vec![Ok(prediction); n])
    }

    fn bad(size: usize) -> Result<Vec<Result<Prediction, String>>, EngineError> {
        Err(EngineError::Batch { size, why: "out of memory".into() })
    }

    async fn reply(device: &Device, n: usize) -> Reply {
        device.submit(vec![probe(); n]).await.expect("a reply")
    }

    #[tokio::test]
    async fn a_batch_that_fails_as_a_whole_succeeds_in_halves() {
        let device = device(|n| if n > 2 { bad(n) } else { good(n) });
        let reply = reply(&device, 4).await;
        assert!(reply.was_cut);
        let answers = reply.answers.expect("no fault");
        assert_eq!(answers.len(), 4);
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Prediction(_))));
    }

    #[tokio::test]
    async fn a_half_that_fails_too_spoils_only_itself() {
        let mut call = 0;
        let device = device(move |n| {
            call += 1;
            if call <= 2 { bad(n) } else { good(n) }
        });
        let answers = reply(&device, 5).await.answers.expect("no fault");
        let failed: Vec<bool> =
            answers.iter().map(|answer| matches!(answer, Answer::Failed(_))).collect();
        assert_eq!(failed, [true, true, true, false, false]);
    }

    #[tokio::test]
    async fn an_image_that_fails_alone_is_blamed_only_when_the_engine_still_works() {
        let mut call = 0;
        let works = device(move |n| {
            call += 1;
            if call == 1 { bad(n) } else { good(n) }
        });
        let answers = reply(&works, 1).await.answers.expect("no fault");
        assert!(matches!(answers.as_slice(), [Answer::Failed(_)]));
        let broken = device(bad);
        assert!(matches!(reply(&broken, 1).await.answers, Err(DeviceFault::Lost(_))));
    }

    #[tokio::test]
    async fn too_few_answers_are_no_answers() {
        let device = device(|n| good(n.saturating_sub(usize::from(n == 3))));
        let answers = reply(&device, 3).await.answers.expect("no fault");
        assert_eq!(answers.len(), 3);
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Prediction(_))));
    }

    #[tokio::test]
    async fn each_reply_names_the_engine_that_computed_it_and_the_old_one_comes_back() {
        let (go, gone) = sync_channel(2);
        let old = engine("old", move |n| {
            gone.recv().expect("the test lives");
            good(n)
        });
        let mut device = Device::start("engine", old).expect("a thread");
        // Both are handed over before the change, and none is computed yet.
        let before = [device.submit(vec![probe()]), device.submit(vec![probe()])];
        let old = device.change(engine("new", good)).unwrap_or_else(|_| panic!("there is a place"));
        assert_eq!(device.info.model.version, "new");
        for _ in 0..2 {
            go.send(()).expect("the engine lives");
        }
        for reply in before {
            assert_eq!(reply.await.expect("a reply").engine.model.version, "old");
        }
        assert_eq!(old.await.expect("it comes back").info().model.version, "old");
        assert_eq!(reply(&device, 1).await.engine.model.version, "new");
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_and_ends_the_thread() {
        let device = device(|_| panic!("as told"));
        let reply = reply(&device, 1).await;
        assert!(matches!(&reply.answers, Err(DeviceFault::Panicked(why)) if why == "as told"));
        device.close(Duration::from_secs(60)).await;
    }

    #[test]
    fn an_engine_without_work_shows_that_it_answers_and_one_that_does_not_falls_silent() {
        let until = |what: &str, reached: &dyn Fn() -> bool| {
            let began = Instant::now();
            while !reached() {
                assert!(began.elapsed() < Duration::from_secs(60), "in vain: {what}");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = calls.clone();
        // It answers three times, and then no more.
        let script = move |n| match counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0..3 => good(n),
            3 => panic!("by the test"),
            _ => Err(EngineError::DeviceLost("gone".into())),
        };
        let pulse = Pulse::new(Duration::ZERO);
        let watch = Some((pulse.clone(), Duration::from_millis(1)));
        let device = Device::run("engine", engine("test", script), watch).expect("a thread");
        let asked = || calls.load(std::sync::atomic::Ordering::SeqCst);
        until("it was asked, and is asked again", &|| asked() > 5);
        until("its silence is told of", &|| pulse.stopped_for().is_some());
        drop(device);
        until("it rests once it is out of use", &|| pulse.stopped_for().is_none());
    }
}
