//! The hub: broadcast of events from the follower to the SSE clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use lobar_core::failure::PortError;
use lobar_core::position::Position;
use lobar_core::store::{Resumed, Store};
use lobar_core::time::Stamp;
use prometheus::IntGauge;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::batch::Batch;

/// Events a client reads from the store at once when it is behind.
pub(crate) const PAGE: usize = 256;
/// Clients that may read the store at once.
const READERS: usize = 8;

/// Shared by the follower and every client of a process.
#[derive(Debug)]
pub(crate) struct Hub {
    sender: broadcast::Sender<Arc<Batch>>,
    position: AtomicI64,
    /// Since when the store cannot be read, in microseconds; 0 when it can.
    stale_since: AtomicI64,
    readers: Semaphore,
    runtime: Handle,
    /// Ends every stream with a goodbye.
    pub(crate) stop: CancellationToken,
    /// Connected clients.
    pub(crate) clients: IntGauge,
}

impl Hub {
    /// A hub whose follower has read up to `position`. Clients may lag `lag` batches.
    pub(crate) fn new(position: Position, lag: usize, runtime: Handle, clients: IntGauge) -> Self {
        Self {
            sender: broadcast::Sender::new(lag.max(1)),
            position: AtomicI64::new(position.number()),
            stale_since: AtomicI64::new(0),
            readers: Semaphore::new(READERS),
            runtime,
            stop: CancellationToken::new(),
            clients,
        }
    }

    /// Hears of every batch from now on. Subscribe before reading [`Hub::position`]: then every
    /// event is either in a batch to come or at or before that position.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.sender.subscribe()
    }

    /// Streams that are open.
    pub(crate) fn open_streams(&self) -> usize {
        usize::try_from(self.clients.get()).unwrap_or(0)
    }

    /// After the newest event that was handed out.
    pub(crate) fn position(&self) -> Position {
        Position::from_number(self.position.load(Ordering::SeqCst))
    }

    /// Hands out new events, or the word to begin anew. The position moves first, so that nobody who subscribes in between
    /// takes an older position without hearing of the batch.
    pub(super) fn hand_out(&self, batch: Batch) {
        self.position.store(batch.last().number(), Ordering::SeqCst);
        // Nobody listening is no error.
        let _ = self.sender.send(Arc::new(batch));
    }

    /// Whether the store could be read at last, seen at `now`.
    pub(super) fn note_read(&self, ok: bool, now: Stamp) {
        let since = if ok { 0 } else { now.0.max(1) };
        if ok || self.stale_since().is_none() {
            self.stale_since.store(since, Ordering::SeqCst);
        }
    }

    /// Since when the store cannot be read.
    pub(crate) fn stale_since(&self) -> Option<Stamp> {
        let since = self.stale_since.load(Ordering::SeqCst);
        (since != 0).then_some(Stamp(since))
    }

    /// One page of events after `position`, a few clients at a time.
    pub(super) async fn read(
        &self,
        store: &Arc<dyn Store>,
        position: Position,
    ) -> Result<Resumed, PortError> {
        let _permit = self.readers.acquire().await;
        let store = Arc::clone(store);
        let read = self.runtime.spawn(async move { store.resume(position, PAGE).await });
        read.await.unwrap_or_else(|e| Err(PortError::permanent("event stream: read", e)))
    }
}
