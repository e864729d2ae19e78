//! One client's stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use lobar_core::access::Sites;
use lobar_core::position::Position;
use lobar_core::store::{Resumed, Store};
use prometheus::IntGauge;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::Start;
use super::batch::Batch;
use super::frame;
use super::hub::{Hub, PAGE};
use crate::rate::Slot;

/// A connected client, at a position of its own.
pub(crate) struct Client {
    hub: Arc<Hub>,
    store: Arc<dyn Store>,
    batches: Receiver<Arc<Batch>>,
    /// Everything of its sites up to here was sent.
    position: Position,
    /// It is told of events of these.
    sites: Sites,
    /// Something between the position and the live batches is missing: read the store.
    behind: bool,
    opening: Option<Bytes>,
    over: bool,
    heartbeat: Duration,
    last_sent: Instant,
    _open: OpenStream,
}

/// Counts a client as long as it lives.
pub(crate) struct OpenStream {
    clients: IntGauge,
    /// Its place among the streams of its caller.
    _place: Option<Slot<Uuid>>,
}

impl OpenStream {
    /// Counts one more; `None` when that is more than `max`.
    pub(crate) fn open(hub: &Hub, max: usize, place: Option<Slot<Uuid>>) -> Option<Self> {
        // Counted before it is compared: of many that come at once, no more than `max` pass.
        hub.clients.inc();
        let opened = Self { clients: hub.clients.clone(), _place: place };
        (hub.open_streams() <= max).then_some(opened)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.clients.dec();
    }
}

impl Client {
    /// A client that begins at `start`. `batches` must have been subscribed before `start` was
    /// found, so that nothing falls in between.
    pub(crate) fn new(
        hub: Arc<Hub>,
        store: Arc<dyn Store>,
        batches: Receiver<Arc<Batch>>,
        start: Start,
        sites: Sites,
        heartbeat: Duration,
        open: OpenStream,
    ) -> Self {
        let mut opening = frame::OPENING.to_owned();
        if start.reset {
            opening.push_str(&frame::reset(start.after));
        }
        if let Some(since) = hub.stale_since() {
            opening.push_str(&frame::stale(since));
        }
        Self {
            behind: start.after != hub.position(),
            hub,
            store,
            batches,
            position: start.after,
            sites,
            opening: Some(opening.into()),
            over: false,
            heartbeat,
            last_sent: Instant::now(),
            _open: open,
        }
    }

    /// The bytes of the stream, until the client goes or the server stops.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
        stream::unfold(self, |mut client| async move {
            let bytes = client.next().await?;
            client.last_sent = Instant::now();
            Some((Ok(bytes), client))
        })
    }

    /// When a sign of life is due unless something is sent before.
    pub(super) fn next_heartbeat(&self) -> Instant {
        self.last_sent + self.heartbeat
    }

    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        if self.over {
            return None;
        }
        let stop = self.hub.stop.clone();
        let Some(bytes) = stop.run_until_cancelled(self.live_or_stored()).await else {
            self.over = true;
            return Some(frame::GOODBYE);
        };
        Some(bytes)
    }

    async fn live_or_stored(&mut self) -> Bytes {
        loop {
            if self.behind {
                if let Some(bytes) = self.stored().await {
                    return bytes;
                }
                continue;
            }
            let due = self.next_heartbeat();
            tokio::select! {
                biased;
                batch = self.batches.recv() => {
                    if let Some(bytes) = self.live(batch) {
                        return bytes;
                    }
                }
                () = sleep_until(due) => return self.sign_of_life(),
            }
        }
    }

    /// What a batch brings at this position; `None` when it brings nothing, or when the client is
    /// behind and must read the store first.
    fn live(&mut self, batch: Result<Arc<Batch>, RecvError>) -> Option<Bytes> {
        match batch {
            Ok(batch) if batch.resets => {
                self.behind = false;
                self.position = batch.last();
                Some(batch.all())
            }
            Ok(batch) if batch.last().seq() <= self.position.seq() => None,
            Ok(batch) if batch.follows.seq() <= self.position.seq() => {
                let bytes = batch.after(self.position, &self.sites);
                self.position = batch.last();
                (!bytes.is_empty()).then_some(bytes)
            }
            // The hub lives as long as the client, so the channel cannot be closed.
            Ok(_) | Err(RecvError::Lagged(_) | RecvError::Closed) => {
                self.behind = true;
                None
            }
        }
    }

    /// The next page from the store; `None` when it told nothing of its sites.
    async fn stored(&mut self) -> Option<Bytes> {
        match self.hub.read(&self.store, self.position).await {
            Ok(Resumed::Joined(events)) => {
                // What the follower has not handed out comes in a batch, to which the client was subscribed before:
                // a client that is told earlier would ask for the image and be answered from before the change.
                let handed_out = self.hub.position().seq();
                let count = events.partition_point(|event| event.seq <= handed_out);
                self.behind = count == PAGE;
                let events = &events[..count];
                self.position = events.last()?.position();
                let bytes = frame::images(events.iter().filter(|event| event.is_at(&self.sites)));
                if bytes.is_empty() { self.due_sign_of_life() } else { Some(bytes) }
            }
            // The store was restored, or events were pruned, while this client was behind.
            Ok(Resumed::Unknown { newest: after } | Resumed::Pruned { after }) => {
                self.position = after;
                Some(frame::reset(after).into())
            }
            Err(_) => {
                sleep(self.heartbeat.min(Duration::from_secs(1))).await;
                self.due_sign_of_life()
            }
        }
    }

    /// While pages are read that tell it nothing.
    fn due_sign_of_life(&self) -> Option<Bytes> {
        (Instant::now() >= self.next_heartbeat()).then(|| self.sign_of_life())
    }

    fn sign_of_life(&self) -> Bytes {
        match self.hub.stale_since() {
            Some(since) => frame::stale(since).into(),
            None => frame::HEARTBEAT,
        }
    }
}
