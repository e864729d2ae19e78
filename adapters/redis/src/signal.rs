//! The signal on pub/sub.
//!
//! A publication reaches those who are connected at that moment and nobody else. So a subscriber
//! hears something after each connection too, and while there is none it hears something four times
//! a second, as with `poll:`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use lobar_core::failure::PortError;
use lobar_core::retry::Backoff;
use lobar_core::signal::LOOK_EVERY;
use lobar_core::signal::Signal;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{Client, RedisError, RedisResult, Value};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::link::SharedConnection;

/// How long publishing may hold up a role, whose results are safe already.
const PUBLISH: Duration = Duration::from_millis(100);
/// How long connecting and subscribing may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a silent subscription is asked whether it lives, and how long it may take to say so.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect.
const PAUSES: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) };

/// Publishes and subscribes on one channel, named after the database, since channels know none.
pub struct RedisSignal {
    link: Arc<SharedConnection>,
    client: Client,
    channel: String,
}

impl RedisSignal {
    /// Connects when it is first used, so that an absent Redis prevents no start.
    pub fn open(url: &str) -> Result<Self, PortError> {
        let client = super::client(url)?;
        let database = client.get_connection_info().redis_settings().db();
        let channel = format!("lobar:{database}:changes");
        Ok(Self { link: SharedConnection::new(client.clone(), PUBLISH), client, channel })
    }

    /// Waits up to `limit` for each publication instead.
    pub fn within(self, limit: Duration) -> Self {
        Self { link: self.link.within(limit), ..self }
    }
}

#[async_trait]
impl Signal for RedisSignal {
    async fn publish(&self) -> Result<(), PortError> {
        let publish = |mut connection: MultiplexedConnection| async move {
            redis::cmd("PUBLISH").arg(&self.channel).arg("").query_async(&mut connection).await
        };
        self.link.ask("redis signal: publish", publish).await
    }

    #[allow(clippy::disallowed_methods, reason = "ends when its subscriber is dropped")]
    async fn subscribe(&self) -> Result<BoxStream<'static, ()>, PortError> {
        let (told, changes) = watch::channel(());
        tokio::spawn(supervise(self.client.clone(), self.channel.clone(), told));
        // One item for all that was missed: a slow subscriber delays nobody.
        let changes = futures::stream::unfold(changes, |mut changes| async {
            changes.changed().await.ok()?;
            Some(((), changes))
        });
        Ok(changes.boxed())
    }
}

/// Keeps one subscriber connected until it is dropped.
async fn supervise(client: Client, channel: String, told: watch::Sender<()>) {
    let mut failures = 0_u32;
    loop {
        let connecting = timeout(CONNECT, connect(&client, &channel));
        let Some(connected) = looking_meanwhile(connecting, &told).await else { return };
        match connected.unwrap_or_else(|_| Err(late())) {
            Ok((sink, messages)) => {
                if failures > 0 {
                    tracing::info!("signal subscribed: Redis answers");
                }
                failures = 0;
                tokio::select! {
                    () = relay(sink, messages, &told) => {}
                    () = told.closed() => return,
                }
                tracing::warn!(
                    "signal lost: the connection to Redis ended; polling for changes and connecting again"
                );
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "signal not subscribed to: Redis unreachable; polling for changes and connecting again");
                }
            }
        }
        // Many processes lose it at once and should not all come back at once.
        let pause = PAUSES.delay(failures, rand::random());
        failures = failures.saturating_add(1);
        if looking_meanwhile(sleep(pause), &told).await.is_none() {
            return;
        }
    }
}

async fn connect(client: &Client, channel: &str) -> RedisResult<(PubSubSink, PubSubStream)> {
    let (mut sink, messages) = client.get_async_pubsub().await?.split();
    sink.subscribe(channel).await?;
    Ok((sink, messages))
}

fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Tells the subscriber of the connection and of every message, until the connection is lost.
async fn relay(mut sink: PubSubSink, mut messages: PubSubStream, told: &watch::Sender<()>) {
    told.send_replace(());
    let hear = async {
        while messages.next().await.is_some() {
            told.send_replace(());
        }
    };
    let live = async {
        loop {
            sleep(HEARTBEAT).await;
            match timeout(HEARTBEAT, sink.ping::<Value>()).await {
                Ok(Ok(_)) => {}
                _ => return,
            }
        }
    };
    tokio::select! {
        () = hear => {}
        () = live => {}
    }
}

/// Waits for `work`, and tells the subscriber to look again and again meanwhile. `None` when it is
/// gone.
async fn looking_meanwhile<T>(
    work: impl Future<Output = T>,
    told: &watch::Sender<()>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            _ = looks.tick() => { told.send_replace(()); }
            () = told.closed() => return None,
        }
    }
}
