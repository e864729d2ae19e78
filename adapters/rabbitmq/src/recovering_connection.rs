//! A connection to the broker that is reopened after it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use lobar_core::retry::Backoff;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::error::BrokerError;

/// How long any single exchange with the broker may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Between attempts to connect.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// What a connection is for. Publishing has its own, because the broker stops reading from a connection
/// that publishes when it runs short of memory or disk, and acknowledgements must still get through.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Publish,
    Consume,
}

/// A connection on demand.
pub(super) struct RecoveringConnection {
    uri: AMQPUri,
    purpose: Purpose,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<LiveConnection>,
    closed: bool,
    failures: u32,
    /// No new attempt before.
    not_before: Option<Instant>,
    last: Option<BrokerError>,
}

/// A connection, with a number that no other has.
#[derive(Clone)]
pub(super) struct LiveConnection {
    pub(super) connection: Arc<Connection>,
    pub(super) generation: u64,
}

impl LiveConnection {
    /// A new channel.
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        let opened = timeout(PATIENCE, self.connection.create_channel()).await;
        opened
            .map_err(|_| BrokerError::slow("opening a channel"))?
            .map_err(|error| BrokerError::of(&error))
    }
}

impl RecoveringConnection {
    pub(super) fn new(uri: AMQPUri, purpose: Purpose) -> Self {
        Self { uri, purpose, state: Mutex::default() }
    }

    /// The connection, made now if there is none. After a failure, attempts are spaced out, and calls in
    /// between answer with that failure.
    pub(super) async fn line(&self) -> Result<LiveConnection, BrokerError> {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let mut state = self.state.lock().await;
        if state.closed {
            return Err(BrokerError::transient("the queue was closed"));
        }
        if let Some(line) = &state.open {
            if line.connection.status().connected() {
                return Ok(line.clone());
            }
            tracing::warn!(purpose = ?self.purpose, "RabbitMQ: connection lost; connecting again");
            state.open = None;
        }
        if state.not_before.is_some_and(|instant| Instant::now() < instant)
            && let Some(last) = &state.last
        {
            return Err(last.clone());
        }
        let fault = match timeout(PATIENCE, self.connect()).await {
            Ok(Ok(connection)) => {
                let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
                let line = LiveConnection { connection: Arc::new(connection), generation };
                state.failures = 0;
                state.open = Some(line.clone());
                return Ok(line);
            }
            Ok(Err(error)) => BrokerError::of(&error),
            Err(_) => BrokerError::slow("connecting"),
        };
        let pause = BACKOFF.delay(state.failures, rand::random());
        state.failures = state.failures.saturating_add(1);
        state.not_before = Some(Instant::now() + pause);
        state.last = Some(fault.clone());
        Err(fault)
    }

    async fn connect(&self) -> lapin::Result<Connection> {
        let name = match self.purpose {
            Purpose::Publish => "lobar: publish",
            Purpose::Consume => "lobar: consume",
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Connection::connect_uri(self.uri.clone(), properties).await
    }

    /// Ends it for good.
    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.closed = true;
        if let Some(line) = state.open.take() {
            let closing =
                timeout(CLOSE_TIMEOUT, line.connection.close(200, "closing".into())).await;
            if !matches!(closing, Ok(Ok(()))) {
                tracing::debug!("RabbitMQ: connection closed without the broker's answer");
            }
        }
    }
}
