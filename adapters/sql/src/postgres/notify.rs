//! Wakes receivers of other processes by LISTEN/NOTIFY.
//!
//! A hint: it goes out after the commit, on its own, so that no sender waits for it (and not in the
//! sender's transaction, since a transaction that notifies holds a lock of the whole server while it
//! commits). What is lost, receivers find by looking.

use std::sync::Arc;
use std::time::Duration;

use lobar_core::retry::Backoff;
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::pool;
use crate::Notifier;

const CHANNEL: &str = "lobar_queues";
/// Between two rounds of news: a busy sender tells no more often.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a listener may hear nothing before it asks whether it is still connected.
const SILENCE: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const ANSWER: Duration = Duration::from_secs(5);
const RECONNECT: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// Carries news both ways until `closing`.
pub(super) async fn run(
    listening: PgConnectOptions,
    telling: PgPool,
    notifier: Arc<Notifier>,
    closing: CancellationToken,
) {
    // What this process itself sent has rung here already.
    let origin = Uuid::new_v4().simple().to_string();
    let (publish, listen) =
        (publish(telling, &notifier, &origin), listen(listening, &notifier, &origin));
    tokio::select! {
        () = async { tokio::join!(publish, listen); } => {}
        () = closing.cancelled() => {}
    }
}

async fn publish(pool: PgPool, notifier: &Notifier, origin: &str) {
    loop {
        for queue in notifier.take_notified().await {
            let told = sqlx::query("select pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(format!("{origin}:{queue}"))
                .execute(&pool);
            if let Ok(Err(error)) = timeout(ANSWER, told).await {
                tracing::debug!(%error, "NOTIFY not sent: other processes find the message by polling");
            }
        }
        sleep(PAUSE).await;
    }
}

async fn listen(options: PgConnectOptions, notifier: &Notifier, origin: &str) {
    let mut failures = 0;
    loop {
        let heard = listen_once(&options, notifier, origin, &mut failures).await;
        if failures == 0 {
            tracing::debug!(error = ?heard.err(), "LISTEN ended: finding messages by polling and connecting again");
        }
        failures += 1;
        sleep(RECONNECT.delay(failures, rand::random())).await;
    }
}

/// Listens until the connection is lost.
async fn listen_once(
    options: &PgConnectOptions,
    notifier: &Notifier,
    origin: &str,
    failures: &mut u32,
) -> Result<(), sqlx::Error> {
    // A pool of its own each time: the last one's connection may never come back.
    let mut listener = PgListener::connect_with(&pool::listening(options)).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    *failures = 0;
    notifier.notify_all();
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(news))) => match news.payload().split_once(':') {
                Some((from, queue)) if from != origin => notifier.notify_remote(queue),
                _ => {}
            },
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => match timeout(ANSWER, listener.execute("select 1")).await {
                Ok(alive) => {
                    alive?;
                }
                Err(_) => return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            },
        }
    }
}
