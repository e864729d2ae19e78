//! Dispatcher: submits batches to the device thread and watches it (watchdog).
//!
//! The device's place is reserved first and the batch cut then. A second batch is handed over while
//! one is computed only when it is full, so that the device need not wait for us, and images that
//! trickle in still gather.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::EngineInfo;
use lobar_core::queue::Settlement;
use lobar_core::store::Outcome;
use lobar_core::study::AgeTold;
use lobar_core::time::{Clock, SystemClock};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::batcher::Batcher;
use crate::context::Context;
use crate::device::{Answer, DEPTH, Device, DeviceFault, Reply};
use crate::finding;
use crate::model::Swap;
use crate::work::ms;
use crate::work_item::{Decoded, End, Finished};

/// How long the engine's thread may take to end.
const CLOSING: Duration = Duration::from_secs(2);

pub(crate) struct Dispatcher {
    context: Arc<Context>,
    device: Device,
    swaps: mpsc::Receiver<Swap>,
    batcher: Batcher<Decoded>,
    at_device: VecDeque<AtDevice>,
    /// When the batch at the head of the device began to count against the watchdog.
    head_since: Instant,
}

struct AtDevice {
    images: Vec<Decoded>,
    /// From the handing over to the answer, one an image.
    spans: Vec<Span>,
    reply: oneshot::Receiver<Reply>,
}

impl Dispatcher {
    pub(crate) fn new(context: Arc<Context>, device: Device, swaps: mpsc::Receiver<Swap>) -> Self {
        let batcher = Batcher::new(context.settings.routine_patience);
        let at_device = VecDeque::with_capacity(DEPTH);
        Self { context, device, swaps, batcher, at_device, head_since: Instant::now() }
    }

    /// Works until `complete` is cancelled and everything that came in has gone out.
    ///
    /// # Errors
    /// When the engine failed. What was in hand has been given back by then.
    pub(crate) async fn run(
        mut self,
        mut decoded: mpsc::Receiver<Decoded>,
        complete: CancellationToken,
    ) -> Result<(), DeviceFault> {
        let give_up = self.context.give_up.clone();
        let mut fresh = Vec::new();
        let mut open = true;
        loop {
            self.feed().await;
            if !open && self.batcher.is_empty() && self.at_device.is_empty() {
                self.device.close(CLOSING).await;
                return Ok(());
            }
            let deadline = self.head_since + self.context.settings.watchdog;
            let busy = !self.at_device.is_empty();
            self.context.shadow.main_engine_is_busy(busy);
            tokio::select! {
                biased;
                () = give_up.cancelled() => {
                    decoded.close();
                    while let Some(one) = decoded.recv().await {
                        self.batcher.push(one.item.claimed.lane, one);
                    }
                    self.give_back().await;
                    return Ok(());
                }
                reply = head(&mut self.at_device), if busy => self.answered(reply, &mut decoded).await?,
                () = tokio::time::sleep_until(deadline), if busy => {
                    let hung = DeviceFault::Hung(self.context.settings.watchdog);
                    return Err(self.fail(hung, &mut decoded).await);
                }
                Some(Swap { engine, before }) = self.swaps.recv() => {
                    // Without a place for it the sender hears of it by the closed channel.
                    if let Ok(old) = self.device.change(engine) {
                        let _ = before.send(old);
                    }
                }
                // With `complete`, the channel is closed for senders and emptied first.
                () = complete.cancelled(), if open && !decoded.is_closed() => decoded.close(),
                count = decoded.recv_many(&mut fresh, self.context.slots.total()), if open => {
                    open = count > 0;
                    for one in fresh.drain(..) {
                        if one.item.runs_alone() {
                            self.batcher.push_alone(one);
                        } else {
                            self.batcher.push(one.item.claimed.lane, one);
                        }
                    }
                }
            }
        }
    }

    /// Hands batches over while there is a place and reason to.
    async fn feed(&mut self) {
        let most = self.device.info.max_batch.min(self.context.settings.capacity.batch()).max(1);
        while match self.at_device.len() {
            0 => !self.batcher.is_empty(),
            ahead => ahead < DEPTH && self.batcher.fills(most),
        } {
            let mut images = Vec::with_capacity(most);
            for one in self.batcher.cut(most) {
                if one.item.lease_is_lost() {
                    self.context.finish(Finished::Image(one.item, End::Lost)).await;
                } else {
                    images.push(one);
                }
            }
            if images.is_empty() {
                continue;
            }
            if self.at_device.is_empty() {
                self.head_since = Instant::now();
            }
            let inputs = images.iter().map(|one| one.input.clone()).collect();
            let around = images.iter().map(|one| &*one.item.message.span);
            let traced = around.clone().filter_map(lobar_trace::context).collect();
            let spans = around.map(|span| tracing::info_span!(parent: span, "infer")).collect();
            let reply = self.device.submit_traced(inputs, traced);
            self.at_device.push_back(AtDevice { images, spans, reply });
        }
    }

    async fn answered(
        &mut self,
        reply: Result<Reply, oneshot::error::RecvError>,
        decoded: &mut mpsc::Receiver<Decoded>,
    ) -> Result<(), DeviceFault> {
        let Ok(reply) = reply else {
            let fault = DeviceFault::Lost("the engine's thread has ended".into());
            return Err(self.fail(fault, decoded).await);
        };
        let answers = match reply.answers {
            Ok(answers) => answers,
            Err(fault) => return Err(self.fail(fault, decoded).await),
        };
        let Some(batch) = self.at_device.pop_front() else { return Ok(()) };
        batch.spans.iter().for_each(|span| lobar_trace::link(span, reply.trace));
        drop(batch.spans);
        self.head_since = Instant::now();
        // The device gets its next batch before this one is written.
        Box::pin(self.feed()).await;
        let metrics = &self.context.metrics;
        if reply.was_cut {
            metrics.batches_failed.inc();
        }
        metrics.batch_size.observe(batch.images.len() as f64);
        self.context.health.batch_done(batch.images.len(), reply.busy, SystemClock.now());
        for (mut image, answer) in batch.images.into_iter().zip(answers) {
            let waited = reply.started.saturating_duration_since(image.since);
            metrics.stage("wait", waited.as_secs_f64());
            metrics.stage("infer", reply.busy.as_secs_f64());
            image.timings_ms.insert("wait".into(), ms(waited));
            image.timings_ms.insert("infer".into(), ms(reply.busy));
            image.item.message.span.record("model", reply.engine.model.version.as_str());
            image.item.basis.model = Some(reply.engine.model.clone());
            let end = end(&reply.engine, &mut image, answer);
            if let End::Complete(Outcome::Ready(finding)) = &end {
                self.context.shadow.offer(image.item.claimed.id, finding, image.input);
            }
            self.context.finish(Finished::Image(image.item, end)).await;
        }
        Ok(())
    }

    /// The engine is of no use any more. The batch at its head is counted an attempt when it may be
    /// to blame; everything else is given back uncounted.
    async fn fail(
        &mut self,
        fault: DeviceFault,
        decoded: &mut mpsc::Receiver<Decoded>,
    ) -> DeviceFault {
        tracing::error!(error = %fault, "engine failed; the worker ends, and others take over when its leases lapse");
        let blamed = !matches!(fault, DeviceFault::Lost(_));
        if blamed && let Some(head) = self.at_device.pop_front() {
            for image in head.images {
                self.context.finish(Finished::Image(image.item, End::Retry)).await;
            }
        }
        decoded.close();
        while let Some(one) = decoded.recv().await {
            self.batcher.push(one.item.claimed.lane, one);
        }
        self.give_back().await;
        fault
    }

    async fn give_back(&mut self) {
        let at_device = self.at_device.drain(..).flat_map(|batch| batch.images);
        let images: Vec<Decoded> = at_device.chain(self.batcher.drain()).collect();
        for image in images {
            let end = End::Release(Settlement::Release);
            self.context.finish(Finished::Image(image.item, end)).await;
        }
    }
}

/// The answer on the batch that the device works on.
async fn head(at_device: &mut VecDeque<AtDevice>) -> Result<Reply, oneshot::error::RecvError> {
    match at_device.front_mut() {
        Some(batch) => (&mut batch.reply).await,
        None => std::future::pending().await,
    }
}

fn end(engine: &EngineInfo, image: &mut Decoded, answer: Answer) -> End {
    match answer {
        Answer::Prediction(prediction) => {
            let warnings = std::mem::take(&mut image.warnings);
            let timings = std::mem::take(&mut image.timings_ms);
            // The claim does not tell when the image was received: today stands for it.
            let age = AgeTold::of(image.item.basis.identity.as_deref(), SystemClock.now());
            End::Complete(finding::assemble(engine, prediction, warnings, timings, &age))
        }
        Answer::Unusable(why) => {
            tracing::warn!(image = %image.item.claimed.id, error = why, "engine gave no usable answer; the image needs a human");
            End::Complete(finding::unusable("The network's answer is not a number."))
        }
        Answer::Failed(why) => {
            tracing::warn!(image = %image.item.claimed.id, error = why, "engine failed on an image; it is tried again");
            End::Retry
        }
    }
}
