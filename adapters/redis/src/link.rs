//! One multiplexed connection for many callers, with a timeout per call.
//!
//! Connecting runs in the background. The first caller waits for it within its own timeout; later
//! ones fail at once, also while the connection backs off after a failure. A reply that times out
//! closes the connection, since it may be half-open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lobar_core::failure::PortError;
use lobar_core::retry::Backoff;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How long connecting may take, with names looked up and TLS agreed on.
const CONNECT: Duration = Duration::from_secs(2);
/// How long callers wait at least for an attempt to connect, counted from its start.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a link rests after failures.
const RESTS: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) };

/// See the module's documentation.
pub(super) struct SharedConnection {
    client: Client,
    /// How long an answer may take.
    limit: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that an old one's failure does not break a new one.
    number: u64,
    /// Since when an attempt to connect is under way.
    connecting: Option<Instant>,
    /// No attempts before.
    rest: Option<Instant>,
    /// Failures since the last answer.
    failures: u32,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("Redis is away")]
    Away,
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl SharedConnection {
    /// A link whose questions are answered within `limit`, or not at all.
    pub(super) fn new(client: Client, limit: Duration) -> Arc<Self> {
        Arc::new(Self { client, limit, state: Mutex::default(), changed: Notify::new() })
    }

    /// The same server with another limit.
    pub(super) fn within(&self, limit: Duration) -> Arc<Self> {
        Self::new(self.client.clone(), limit)
    }

    /// Puts one question.
    pub(super) async fn ask<T, F>(
        self: &Arc<Self>,
        what: &'static str,
        question: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, PortError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut used = None;
        let asked = timeout(self.limit, async {
            let (connection, number) = self.connection().await?;
            used = Some(number);
            Ok(question(connection).await?)
        });
        let fault = match asked.await {
            Ok(Ok(answer)) => {
                self.lock().failures = 0;
                return Ok(answer);
            }
            Ok(Err(fault)) => fault,
            Err(_) => ConnectionError::Late(self.limit),
        };
        if let Some(number) = used
            && breaks(&fault)
        {
            self.broken(number);
        }
        Err(match is_permanent(&fault) {
            true => PortError::permanent(what, fault),
            false => PortError::transient(what, fault),
        })
    }

    /// The open connection, or the one that an attempt brings.
    async fn connection(self: &Arc<Self>) -> Result<(MultiplexedConnection, u64), ConnectionError> {
        loop {
            // Listens before it looks.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let since = {
                let mut state = self.lock();
                if let Some(connection) = &state.connection {
                    return Ok((connection.clone(), state.number));
                }
                let now = Instant::now();
                if state.rest.is_some_and(|until| now < until) {
                    return Err(ConnectionError::Away);
                }
                // An attempt that outlived its limit died with its runtime.
                match state.connecting.filter(|since| since.elapsed() < CONNECT * 2) {
                    Some(since) => since,
                    None => {
                        state.connecting = Some(now);
                        self.connect();
                        now
                    }
                }
            };
            if tokio::time::timeout_at(since + PATIENCE.max(self.limit), changed).await.is_err() {
                return Err(ConnectionError::Away);
            }
        }
    }

    /// Connects in the background: a caller that gives up must not end the attempt.
    #[allow(clippy::disallowed_methods, reason = "ends by itself within seconds")]
    fn connect(self: &Arc<Self>) {
        let link = Arc::clone(self);
        tokio::spawn(async move {
            // Limits are ours, so that they can differ from question to question.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(None);
            let client = link.client.clone();
            let attempt = client.get_multiplexed_async_connection_with_config(&config);
            let connected = timeout(CONNECT, attempt).await;
            let mut state = link.lock();
            state.connecting = None;
            match connected {
                Ok(Ok(connection)) => {
                    state.number += 1;
                    state.rest = None;
                    state.connection = Some(connection);
                }
                _ => state.failed(),
            }
            drop(state);
            link.changed.notify_waiters();
        });
    }

    fn broken(&self, number: u64) {
        let mut state = self.lock();
        if state.number == number && state.connection.take().is_some() {
            state.failed();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn failed(&mut self) {
        // Many processes lose it at once and should not all come back at once.
        self.rest = Some(Instant::now() + RESTS.delay(self.failures, rand::random()));
        self.failures = self.failures.saturating_add(1);
    }
}

/// Whether the connection is of no use any more.
fn breaks(fault: &ConnectionError) -> bool {
    match fault {
        ConnectionError::Away => false,
        ConnectionError::Late(_) => true,
        ConnectionError::Redis(error) => error.is_unrecoverable_error() || error.is_timeout(),
    }
}

/// Whether the settings are at fault, not the moment.
fn is_permanent(fault: &ConnectionError) -> bool {
    let ConnectionError::Redis(error) = fault else { return false };
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::Server(ServerErrorKind::NoPerm)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ping(link: &Arc<SharedConnection>) -> Result<(), PortError> {
        let ping =
            |mut connection| async move { redis::cmd("PING").exec_async(&mut connection).await };
        link.ask("ping", ping).await
    }

    #[tokio::test]
    async fn one_caller_waits_for_a_server_that_does_not_answer_and_the_others_do_not() {
        // Takes connections and says nothing.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("redis://{}", silent.local_addr().expect("bound"));
        let client = super::super::client(&url).expect("a URL");
        let link = SharedConnection::new(client, Duration::from_millis(20));
        let asked = ping(&link).await.expect_err("no answer");
        assert!(asked.is_transient() && asked.to_string().contains("20ms"), "{asked}");
        tokio::time::sleep(PATIENCE).await;
        let began = Instant::now();
        for _ in 0..1_000 {
            let error = ping(&link).await.expect_err("no answer");
            assert!(error.to_string().contains("away"), "{error}");
        }
        // The attempt goes on for two seconds.
        assert!(began.elapsed() < CONNECT - PATIENCE);
    }

    #[tokio::test]
    async fn a_link_whose_server_is_away_rests_longer_each_time() {
        let mut state = State::default();
        let mut rests = Vec::new();
        for _ in 0..40 {
            let now = Instant::now();
            state.failed();
            rests.push(state.rest.expect("rests") - now);
        }
        assert!(rests[2] > rests[0] && rests[39] >= RESTS.max / 2);
        assert!(rests[39] < RESTS.max + Duration::from_secs(1));
    }
}
