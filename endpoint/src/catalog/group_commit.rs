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
use super::transaction::Transaction;
use crate::bodies::Bodies;
use crate::fault::EndpointFault;

/// The most changes of one transaction.
const SHARING: usize = 64;

/// A change under way.
pub(super) struct WriteTx {
    transaction: Transaction,
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
type Reply = Box<dyn FnOnce(Option<Arc<sqlx::Error>>) + Send>;

/// What is to become of a change that was done.
enum Verdict {
    Keep,
    Undo,
    /// It failed in the database, which may have rolled back more than the change.
    Failed(Arc<sqlx::Error>),
}

/// What somebody asked to be done, and waits for.
trait Change: Send {
    /// Does it.
    fn run(self: Box<Self>, tx: &mut WriteTx) -> BoxFuture<'_, (Verdict, Reply)>;

    /// Leaves it undone, for its transaction cannot be.
    fn leave(self: Box<Self>) -> Reply;
}

struct Asked<T, F> {
    work: F,
    answer: oneshot::Sender<Result<T, EndpointFault>>,
}

impl<T, F> Change for Asked<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut WriteTx) -> BoxFuture<'c, Result<T, EndpointFault>> + Send + 'static,
{
    fn run(self: Box<Self>, tx: &mut WriteTx) -> BoxFuture<'_, (Verdict, Reply)> {
        let Self { work, answer } = *self;
        let done = work(tx);
        Box::pin(async move {
            let outcome = done.await;
            let verdict = match &outcome {
                Ok(_) => Verdict::Keep,
                Err(EndpointFault::Database(error)) => Verdict::Failed(error.clone()),
                Err(_) => Verdict::Undo,
            };
            let reply: Reply = Box::new(move |failed| {
                let told = match (outcome, failed) {
                    // What failed by itself says so itself. All else, refusals too, rests on a state that
                    // never came to be when the transaction failed.
                    (Err(EndpointFault::Database(error)), _) | (_, Some(error)) => {
                        Err(EndpointFault::Database(error))
                    }
                    (outcome, None) => outcome,
                };
                // Nobody listens when the client has gone away; the change stands.
                let _ = answer.send(told);
            });
            (verdict, reply)
        })
    }

    fn leave(self: Box<Self>) -> Reply {
        let answer = self.answer;
        Box::new(move |failed| {
            let fault = failed.map_or(EndpointFault::Ended, EndpointFault::Database);
            let _ = answer.send(Err(fault));
        })
    }
}

/// A change in line.
struct PendingWrite {
    /// Bodies that it is to make visible.
    fresh: Vec<Uuid>,
    change: Box<dyn Change>,
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
        let change = Box::new(Asked { work, answer });
        self.line.waiting().push_back(PendingWrite { fresh, change });
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
        let mut taken = taken.into_iter();
        let mut replies = Vec::with_capacity(taken.len());
        let outcome = self.transact(&mut taken, &mut replies).await;
        replies.extend(taken.map(|left| (false, left.change.leave())));
        drop(turn);

        let (unused, failed) = match outcome {
            Ok(mut unused) => {
                let kept = replies.iter().map(|(keep, _)| *keep);
                let dropped = fresh.iter_mut().zip(kept).filter(|(_, keep)| !keep);
                unused.extend(dropped.flat_map(|(bodies, _)| bodies.drain(..)));
                (unused, None)
            }
            Err(error) => (fresh.into_iter().flatten().collect(), Some(error)),
        };
        if !unused.is_empty()
            && let Err(error) = discard(&self.writer, &self.bodies, unused).await
        {
            tracing::warn!(%error, "embedded S3: unused files not deleted; the next start deletes them");
        }
        for (_, reply) in replies {
            reply(failed.clone());
        }
    }

    /// Returns the bodies that were released. What is left of `taken` afterwards was not tried.
    async fn transact(
        &self,
        taken: &mut std::vec::IntoIter<PendingWrite>,
        replies: &mut Vec<(bool, Reply)>,
    ) -> Result<Vec<Uuid>, Arc<sqlx::Error>> {
        let transaction = Transaction::write(&self.writer).await?;
        let (now, watched) = (self.clock.now(), self.watched.clone());
        let mut tx = WriteTx { transaction, now, watched, released: Vec::new(), tell: false };
        while taken.len() > 0 {
            tx.say("savepoint one").await?;
            let Some(PendingWrite { change, .. }) = taken.next() else { break };
            let before = (tx.released.len(), tx.tell);
            let (verdict, reply) = change.run(&mut tx).await;
            replies.push((matches!(verdict, Verdict::Keep), reply));
            if !matches!(verdict, Verdict::Keep) {
                let undone = tx.say("rollback to one").await;
                match (undone, verdict) {
                    // The savepoint went with the whole transaction: why, the change knows.
                    (Err(_), Verdict::Failed(why)) => return Err(why),
                    (undone, _) => undone?,
                }
                tx.released.truncate(before.0);
                tx.tell = before.1;
            }
            tx.say("release one").await?;
        }
        tx.transaction.commit().await?;
        if tx.tell {
            self.announced.notify_one();
        }
        Ok(tx.released)
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
