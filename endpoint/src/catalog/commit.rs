//! Group commit: changes queue up; the next holder of the write connection runs all queued ones in
//! one transaction, each behind a savepoint, so that each succeeds or fails alone and they share
//! one fsync.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use lobar_core::time::{Clock, Stamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use super::Catalog;
use crate::bodies::Bodies;
use crate::fault::EndpointFault;

/// The most changes of one transaction.
const SHARING: usize = 64;

/// A change under way.
pub(super) struct WriteTx {
    transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
    pub(super) now: Stamp,
    /// The bucket whose changes are announced.
    pub(super) watched: String,
    /// Bodies that the change took a name away from.
    pub(super) released: Vec<Uuid>,
    /// Whether the change put something into the outbox.
    pub(super) tell: bool,
}

impl WriteTx {
    pub(super) fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    async fn say(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(self.sql()).await.map(drop)
    }
}

/// Tells whoever waits for a change, once its transaction has ended; with the error if that failed.
type Reply = Box<dyn FnOnce(Option<EndpointFault>) + Send>;
/// Does the change; says whether to keep it.
type Work = Box<dyn for<'c> FnOnce(&'c mut WriteTx) -> BoxFuture<'c, (bool, Reply)> + Send>;

/// A change in line.
struct PendingWrite {
    /// Bodies that it is to make visible.
    fresh: Vec<Uuid>,
    work: Work,
}

/// The changes in line, and what it takes to write them.
pub(super) struct WriteQueue {
    writer: SqlitePool,
    bodies: Arc<Bodies>,
    clock: Arc<dyn Clock>,
    watched: String,
    announced: Arc<Notify>,
    waiting: Mutex<VecDeque<PendingWrite>>,
    /// Held by whoever writes.
    turn: tokio::sync::Mutex<()>,
}

impl Catalog {
    /// Does `work` atomically. `fresh` are bodies that it is to make visible: when it fails, those
    /// that nothing names are removed, as are bodies that it released when it succeeds.
    pub(super) async fn write<T, F>(&self, fresh: Vec<Uuid>, work: F) -> Result<T, EndpointFault>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut WriteTx) -> BoxFuture<'c, Result<T, EndpointFault>>
            + Send
            + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |change| {
            let done = work(change);
            Box::pin(async move {
                let outcome = done.await;
                let keep = outcome.is_ok();
                let reply: Reply = Box::new(move |failed| {
                    // Nobody listens when the client has gone away; the change stands.
                    let _ = answer.send(failed.map_or(outcome, Err));
                });
                (keep, reply)
            })
        });
        self.line.waiting().push_back(PendingWrite { fresh, work });
        let line = self.line.clone();
        self.tasks.spawn(async move { line.write_waiting().await });
        answered.await.unwrap_or(Err(EndpointFault::Ended))
    }
}

impl WriteQueue {
    pub(super) fn new(
        writer: SqlitePool,
        bodies: Arc<Bodies>,
        clock: Arc<dyn Clock>,
        watched: String,
        announced: Arc<Notify>,
    ) -> Self {
        let (waiting, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { writer, bodies, clock, watched, announced, waiting, turn }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<PendingWrite>> {
        // A queue is whole whatever its holder died of.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits. One call is made for each change, so every change is taken by some call.
    async fn write_waiting(&self) {
        let turn = self.turn.lock().await;
        let taken: Vec<PendingWrite> = {
            let mut waiting = self.waiting();
            let count = waiting.len().min(SHARING);
            waiting.drain(..count).collect()
        };
        if taken.is_empty() {
            return;
        }
        let mut fresh: Vec<Vec<Uuid>> = taken.iter().map(|w| w.fresh.clone()).collect();
        let mut replies = Vec::with_capacity(taken.len());
        let outcome = self.transact(taken, &mut replies).await;
        drop(turn);

        let (unused, failed) = match outcome {
            Ok(mut unused) => {
                let kept = replies.iter().map(|(keep, _)| *keep);
                let dropped = fresh.iter_mut().zip(kept).filter(|(_, keep)| !keep);
                unused.extend(dropped.flat_map(|(bodies, _)| bodies.drain(..)));
                (unused, None)
            }
            Err(error) => (fresh.into_iter().flatten().collect(), Some(Arc::new(error))),
        };
        if !unused.is_empty()
            && let Err(error) = discard(&self.writer, &self.bodies, unused).await
        {
            tracing::warn!(%error, "embedded S3: unused files not deleted; the next start deletes them");
        }
        for (_, reply) in replies {
            reply(failed.clone().map(EndpointFault::Commit));
        }
    }

    /// Returns the bodies that were released. Changes whose reply is missing afterwards were not
    /// tried; their askers learn of it by the closed channel.
    async fn transact(
        &self,
        taken: Vec<PendingWrite>,
        replies: &mut Vec<(bool, Reply)>,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        let transaction = self.writer.begin_with("begin immediate").await?;
        let (now, watched) = (self.clock.now(), self.watched.clone());
        let mut change = WriteTx { transaction, now, watched, released: Vec::new(), tell: false };
        for PendingWrite { work, .. } in taken {
            let before = (change.released.len(), change.tell);
            change.say("savepoint one").await?;
            let (keep, reply) = work(&mut change).await;
            replies.push((keep, reply));
            if !keep {
                change.say("rollback to one").await?;
                change.released.truncate(before.0);
                change.tell = before.1;
            }
            change.say("release one").await?;
        }
        change.transaction.commit().await?;
        if change.tell {
            self.announced.notify_one();
        }
        Ok(change.released)
    }
}

/// Removes those of `candidates` that no row names, and says how many there were.
pub(super) async fn discard(
    writer: &SqlitePool,
    bodies: &Arc<Bodies>,
    mut candidates: Vec<Uuid>,
) -> Result<usize, EndpointFault> {
    let mut connection = writer.acquire().await?;
    let mut named = Vec::new();
    for body in &candidates {
        let found: bool = sqlx::query_scalar(
            "select exists (select 1 from segment where body = ?1)
                 or exists (select 1 from part where body = ?1)",
        )
        .bind(body)
        .fetch_one(&mut *connection)
        .await?;
        if found {
            named.push(*body);
        }
    }
    drop(connection);
    candidates.retain(|body| !named.contains(body));
    let bodies = bodies.clone();
    tokio::task::spawn_blocking(move || {
        for body in &candidates {
            bodies.remove(*body)?;
        }
        Ok(candidates.len())
    })
    .await?
}
