//! Dispatcher: submits batches to the device threads of the engine and its replicas, and watches them (watchdog).
//!
//! A device's place is reserved first and the batch cut then. What waits is shared among the devices that have nothing to do. A
//! second batch is handed over while one is computed only when it is full, so that the device need not wait for us, and images
//! that trickle in still gather; and only where batches are short, since an urgent image cannot overtake what was handed over. Where
//! they are not, urgent images are computed without routine ones beside them.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::engine::EngineInfo;
use lobar_core::queue::Settlement;
use lobar_core::store::Outcome;
use lobar_core::study::AgeTold;
use lobar_core::time::{Clock, SystemClock};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::batcher::Batcher;
use crate::context::Context;
use crate::device::{Answer, Answered, DeviceFault, Replicas};
use crate::finding;
use crate::model::Swap;
use crate::work::ms;
use crate::work_item::{Decoded, End, Finished};

/// A full batch that takes longer than this keeps an urgent image waiting. Then none is handed over ahead: what the device
/// waits for the next one, well below a millisecond, is nothing beside it.
const SHORT: Duration = Duration::from_millis(50);
/// How long the engine's thread may take to end.
const CLOSING: Duration = Duration::from_secs(2);

pub(crate) struct Dispatcher {
    context: Arc<Context>,
    replicas: Replicas,
    swaps: mpsc::Receiver<Swap>,
    batcher: Batcher<Decoded>,
    /// How long the last full batch took; nothing before the first one.
    full_batch: Duration,
}

impl Dispatcher {
    pub(crate) fn new(
        context: Arc<Context>,
        replicas: Replicas,
        swaps: mpsc::Receiver<Swap>,
    ) -> Self {
        let batcher = Batcher::new(context.settings.routine_patience);
        Self { context, replicas, swaps, batcher, full_batch: Duration::ZERO }
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
            let oldest = self.replicas.oldest();
            let busy = oldest.is_some();
            if !open && self.batcher.is_empty() && !busy {
                self.replicas.close(CLOSING).await;
                return Ok(());
            }
            let watchdog = self.context.settings.watchdog;
            let hung = async move {
                match oldest {
                    Some((place, since)) => {
                        tokio::time::sleep_until(since + watchdog).await;
                        place
                    }
                    None => std::future::pending().await,
                }
            };
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
                (place, reply) = self.replicas.answered() => self.answered(place, reply, &mut decoded).await?,
                place = hung => {
                    return Err(self.fail(place, DeviceFault::Hung(watchdog), &mut decoded).await);
                }
                Some(Swap { engine, before }) = self.swaps.recv() => {
                    // Where it cannot be changed the sender hears of it by the closed channel.
                    if let Some(old) = self.replicas.change(engine) {
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
        let largest = self.largest();
        while let Some(place) = self.replicas.next() {
            let waiting = (self.batcher.len(), self.batcher.fills(largest));
            let most = next_size(self.replicas.idle(), waiting, largest, self.full_batch);
            if most == 0 {
                return;
            }
            let mut images = Vec::with_capacity(most);
            for one in self.batcher.cut(most, self.full_batch > SHORT) {
                if one.item.lease_is_lost() {
                    self.context.finish(Finished::Image(one.item, End::Lost)).await;
                } else {
                    images.push(one);
                }
            }
            if !images.is_empty() {
                self.replicas.submit(place, images);
            }
        }
    }

    /// The largest batch.
    fn largest(&self) -> usize {
        let most = self.context.settings.capacity.batch();
        self.replicas.info().max_batch.min(most).max(1)
    }

    async fn answered(
        &mut self,
        place: usize,
        reply: Answered,
        decoded: &mut mpsc::Receiver<Decoded>,
    ) -> Result<(), DeviceFault> {
        let Ok(mut reply) = reply else {
            let fault = DeviceFault::Lost("the engine's thread has ended".into());
            return Err(self.fail(place, fault, decoded).await);
        };
        let answers = match std::mem::replace(&mut reply.answers, Ok(Vec::new())) {
            Ok(answers) => answers,
            Err(fault) => return Err(self.fail(place, fault, decoded).await),
        };
        let Some(batch) = self.replicas.take_head(place) else { return Ok(()) };
        let images = batch.into_images(&reply);
        if images.len() >= self.largest() {
            self.full_batch = reply.busy;
        }
        // The device gets its next batch before this one is written.
        Box::pin(self.feed()).await;
        let metrics = &self.context.metrics;
        if reply.was_cut {
            metrics.batches_failed.inc();
        }
        metrics.batch_size.observe(images.len() as f64);
        // As long as all replicas together would have been busy with it.
        let busy = reply.busy / u32::try_from(self.replicas.count()).unwrap_or(u32::MAX);
        self.context.health.batch_done(images.len(), busy, SystemClock.now());
        for (mut image, answer) in images.into_iter().zip(answers) {
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

    /// The engine at `place` is of no use any more. The batch at its head is counted an attempt when it may be to blame;
    /// everything else is given back uncounted.
    async fn fail(
        &mut self,
        place: usize,
        fault: DeviceFault,
        decoded: &mut mpsc::Receiver<Decoded>,
    ) -> DeviceFault {
        tracing::error!(error = %fault, "engine failed; the worker ends, and others take over when its leases lapse");
        let blamed = !matches!(fault, DeviceFault::Lost(_));
        if blamed && let Some(head) = self.replicas.take_head(place) {
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
        let at_device = self.replicas.drain().flat_map(|batch| batch.images);
        let images: Vec<Decoded> = at_device.chain(self.batcher.drain()).collect();
        for image in images {
            let end = End::Release(Settlement::Release);
            self.context.finish(Finished::Image(image.item, end)).await;
        }
    }
}

/// How many images the next batch takes at most, 0 while it has to wait: of `waiting` ones, which are enough for a full batch
/// or not, with so many `idle` devices. See the module's documentation.
fn next_size(
    idle: usize,
    (waiting, is_full): (usize, bool),
    largest: usize,
    full_batch: Duration,
) -> usize {
    match idle {
        0 if is_full && full_batch <= SHORT => largest,
        0 => 0,
        idle => waiting.div_ceil(idle).min(largest),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_shared_among_idle_devices() {
        let size = |idle, waiting| next_size(idle, (waiting, waiting >= 16), 16, Duration::MAX);
        assert_eq!([size(1, 5), size(2, 5), size(2, 40), size(3, 0)], [5, 3, 16, 0]);
    }

    #[test]
    fn only_full_and_short_batches_are_handed_over_while_all_devices_are_busy() {
        let size = |waiting, full_batch| next_size(0, (waiting, waiting >= 16), 16, full_batch);
        assert_eq!([size(15, SHORT), size(16, SHORT), size(40, Duration::ZERO)], [0, 16, 16]);
        assert_eq!(size(40, SHORT * 2), 0, "an urgent image could not overtake it");
    }
}
