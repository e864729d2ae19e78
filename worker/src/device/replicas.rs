//! The engine and its replicas: a device thread each, and the batches that were handed to it.

use std::collections::VecDeque;
use std::task::Poll;
use std::time::Duration;

use lobar_core::engine::{Engine, EngineInfo};
use lobar_core::liveness::Pulse;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Span;

use super::{DEPTH, Device, Reply};
use crate::work_item::Decoded;

/// A batch that was handed over and is not answered yet.
pub(crate) struct AtDevice {
    pub(crate) images: Vec<Decoded>,
    /// From the handing over to the answer, one an image.
    spans: Vec<Span>,
    reply: oneshot::Receiver<Reply>,
}

impl AtDevice {
    /// Its images; the spans of its computation end, linked with the batch's.
    pub(crate) fn into_images(self, reply: &Reply) -> Vec<Decoded> {
        self.spans.iter().for_each(|span| lobar_trace::link(span, reply.trace));
        self.images
    }
}

/// What the thread of a replica answers, or that it has ended.
pub(crate) type Answered = Result<Reply, oneshot::error::RecvError>;

/// Engines that went out of use, one a replica.
pub(crate) type Before = Vec<oneshot::Receiver<Box<dyn Engine + Send>>>;

struct Replica {
    device: Device,
    batches: VecDeque<AtDevice>,
    /// When the batch at its head began to count against the watchdog.
    head_since: Instant,
}

/// See the module's documentation. Replicas are told apart by their place, from 0.
pub(crate) struct Replicas(Vec<Replica>);

impl Replicas {
    /// As many threads as the engine says that it should have replicas; each answer beats `pulse`.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub(crate) fn start(engine: Box<dyn Engine + Send>, pulse: &Pulse) -> std::io::Result<Self> {
        let most = engine.info().replicas;
        let engines = replicate(engine, most);
        let start = |(place, engine): (usize, _)| {
            let device = Device::watched(&format!("engine-{place}"), engine, pulse.clone())?;
            Ok(Replica {
                device,
                batches: VecDeque::with_capacity(DEPTH),
                head_since: Instant::now(),
            })
        };
        Ok(Self(engines.into_iter().enumerate().map(start).collect::<std::io::Result<_>>()?))
    }

    /// The engine that will compute the next batch to be handed over.
    pub(crate) fn info(&self) -> &EngineInfo {
        &self.0[0].device.info
    }

    /// The threads, each alone.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.0.iter().map(|replica| &replica.device)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many have nothing to do.
    pub(crate) fn idle(&self) -> usize {
        self.0.iter().filter(|replica| replica.batches.is_empty()).count()
    }

    /// The one that should get the next batch: with the fewest batches in hand. `None` while all have [`DEPTH`].
    pub(crate) fn next(&self) -> Option<usize> {
        let (place, least) =
            self.0.iter().enumerate().min_by_key(|(_, replica)| replica.batches.len())?;
        (least.batches.len() < DEPTH).then_some(place)
    }

    /// Hands a batch to the replica at `place`.
    pub(crate) fn submit(&mut self, place: usize, images: Vec<Decoded>) {
        let replica = &mut self.0[place];
        if replica.batches.is_empty() {
            replica.head_since = Instant::now();
        }
        let inputs = images.iter().map(|one| one.input.clone()).collect();
        let around = images.iter().map(|one| &*one.item.message.span);
        let traced = around.clone().filter_map(lobar_trace::context).collect();
        let spans = around.map(|span| tracing::info_span!(parent: span, "infer")).collect();
        let reply = replica.device.submit_traced(inputs, traced);
        replica.batches.push_back(AtDevice { images, spans, reply });
    }

    /// The next answer, and whose. Pending while there is nothing to do.
    pub(crate) async fn answered(&mut self) -> (usize, Answered) {
        std::future::poll_fn(|context| {
            for (place, replica) in self.0.iter_mut().enumerate() {
                if let Some(head) = replica.batches.front_mut()
                    && let Poll::Ready(reply) =
                        Future::poll(std::pin::Pin::new(&mut head.reply), context)
                {
                    return Poll::Ready((place, reply));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes the batch that was answered; the one behind it counts from now.
    pub(crate) fn take_head(&mut self, place: usize) -> Option<AtDevice> {
        let replica = &mut self.0[place];
        replica.head_since = Instant::now();
        replica.batches.pop_front()
    }

    /// Which batch has been computed for longest, and since when. `None` while there is none.
    pub(crate) fn oldest(&self) -> Option<(usize, Instant)> {
        let busy = self.0.iter().enumerate().filter(|(_, replica)| !replica.batches.is_empty());
        busy.map(|(place, replica)| (place, replica.head_since)).min_by_key(|(_, since)| *since)
    }

    /// Changes all engines for `engine` and its replicas, for every batch after those that were handed over before.
    /// `None` when it has too few replicas, or a thread has ended.
    pub(crate) fn change(&mut self, engine: Box<dyn Engine + Send>) -> Option<Before> {
        let engines = replicate(engine, self.0.len());
        if engines.len() < self.0.len() {
            return None;
        }
        let pairs = self.0.iter_mut().zip(engines);
        pairs.map(|(replica, engine)| replica.device.change(engine).ok()).collect()
    }

    /// Takes every batch.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = AtDevice> {
        self.0.iter_mut().flat_map(|replica| replica.batches.drain(..))
    }

    /// Lets the threads end, and waits for that at most `limit`.
    pub(crate) async fn close(self, limit: Duration) {
        let until = Instant::now() + limit;
        for replica in self.0 {
            replica.device.close(until.saturating_duration_since(Instant::now())).await;
        }
    }
}

/// The engine and its replicas: `count`, or as many as there can be.
fn replicate(engine: Box<dyn Engine + Send>, count: usize) -> Vec<Box<dyn Engine + Send>> {
    let mut engines: Vec<_> = (1..count).map_while(|_| engine.replica()).collect();
    engines.insert(0, engine);
    engines
}
