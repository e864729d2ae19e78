//! Queues in a table. A lease is a deadline and a version number that grows with each delivery;
//! both are checked by every extension and settlement.
//!
//! A waiting receiver is woken by this process's own sends, and by those of others where the database
//! carries the news. It looks by itself every [`POLL`]: for what nobody told, and for delays and leases
//! that ran out.
//!
//! Only sending waits for the disk. A lease or a settlement that a power cut undoes brings a message
//! back, which receivers must bear with anyway.

mod receipt;
mod statements;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::queue::{
    DeadLetter, Delivery, Depth, LeaseError, Outgoing, Queue, Receipt, Settlement,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{BATCH, Db, DbError, Driver};
use receipt::LeaseReceipt;

pub(super) use statements::{DeadRow, MessageRow};

/// How often a waiting receiver looks by itself, unless it is told otherwise.
const POLL: Duration = Duration::from_millis(200);

/// One queue of a database.
pub struct SqlQueue<D: Driver> {
    db: Arc<Db<D>>,
    name: String,
    waiter: Arc<Notify>,
    poll: Duration,
}

impl<D: Driver> SqlQueue<D> {
    /// The queue `name` of `db`. Queues need no declaration.
    pub fn new(db: Arc<Db<D>>, name: &str) -> Self {
        let waiter = db.notifier().waiter(name);
        Self { db, name: name.to_owned(), waiter, poll: POLL }
    }

    /// Looks by itself this often while it waits, and otherwise when it is told of a message.
    #[must_use]
    pub fn looking_every(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }

    async fn wait_and_take(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, DbError> {
        let started = Instant::now();
        loop {
            // Listens before it looks, so that nothing sent in between goes unheard.
            let mut notified = std::pin::pin!(self.waiter.notified());
            notified.as_mut().enable();
            let taken = self.take(max, lease).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
            loop {
                let left = wait.saturating_sub(started.elapsed());
                if left.is_zero() {
                    return Ok(Vec::new());
                }
                tokio::select! {
                    () = &mut notified => break,
                    () = tokio::time::sleep(left.min(self.poll)) => {
                        if self.is_ready().await? {
                            break;
                        }
                    }
                }
            }
        }
    }
}

#[async_trait]
impl<D: Driver> Queue for SqlQueue<D> {
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PortError>> {
        let mut answers = Vec::with_capacity(messages.len());
        for batch in messages.chunks(BATCH) {
            let sent = self.insert(batch).await;
            answers.extend(
                batch.iter().map(|_| sent.clone().map_err(|fault| fault.during("queue: send"))),
            );
        }
        self.db.notifier().notify(&self.name);
        answers
    }

    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, PortError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let taken = self.wait_and_take(max, wait, lease).await;
        taken.map_err(|fault| fault.during("queue: receive"))
    }

    async fn extend(&self, receipts: &[Receipt], lease: Duration) -> Vec<Result<(), LeaseError>> {
        let mut answers = Vec::with_capacity(receipts.len());
        for batch in receipts.chunks(BATCH) {
            let held: Vec<Option<LeaseReceipt>> = batch.iter().map(LeaseReceipt::parse).collect();
            let known: Vec<LeaseReceipt> = held.iter().flatten().copied().collect();
            let kept = some(&known, self.prolong(&known, lease)).await;
            answers.extend(held.iter().map(|held| match (held, &kept) {
                (Some(_), Err(fault)) => Err(fault.clone().during("queue: extend").into()),
                (Some(held), Ok(kept)) if kept.contains(&held.id) => Ok(()),
                _ => Err(LeaseError::Lost),
            }));
        }
        answers
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) -> Vec<Result<(), LeaseError>> {
        let mut answers = Vec::with_capacity(settlements.len());
        for batch in settlements.chunks(BATCH) {
            // Of one receipt named twice, the first counts: the second finds it settled.
            let mut named = HashSet::new();
            let held: Vec<Option<LeaseReceipt>> = batch
                .iter()
                .map(|(receipt, _)| LeaseReceipt::parse(receipt).filter(|held| named.insert(*held)))
                .collect();
            let (mut done, mut back) = (Vec::new(), Vec::new());
            for (held, (_, settlement)) in held.iter().zip(batch) {
                match (held, settlement) {
                    (Some(held), Settlement::Done) => done.push(*held),
                    (Some(held), other) => back.push((*held, other.clone())),
                    (None, _) => {}
                }
            }
            let forgotten = some(&done, self.forget(&done)).await;
            let put_back = some(&back, self.put_back(&back)).await;
            answers.extend(held.iter().zip(batch).map(|(held, (_, settlement))| {
                let settled = if *settlement == Settlement::Done { &forgotten } else { &put_back };
                match (held, settled) {
                    (Some(_), Err(fault)) => Err(fault.clone().during("queue: settle").into()),
                    (Some(held), Ok(settled)) if settled.contains(&held.id) => Ok(()),
                    _ => Err(LeaseError::Lost),
                }
            }));
            if !back.is_empty() {
                self.db.notifier().notify(&self.name);
            }
        }
        answers
    }

    async fn dead_letters(&self, max: usize) -> Result<Vec<DeadLetter>, PortError> {
        self.list_dead(max).await.map_err(|fault| fault.during("queue: dead letters"))
    }

    async fn redrive(&self, max: usize) -> Result<usize, PortError> {
        let redriven = self.redrive_dead(max).await;
        self.db.notifier().notify(&self.name);
        redriven.map_err(|fault| fault.during("queue: redrive"))
    }

    async fn depth(&self) -> Result<Depth, PortError> {
        self.count().await.map_err(|fault| fault.during("queue: depth"))
    }
}

/// Runs `statement` unless it would be about nothing.
async fn some<T>(
    items: &[T],
    statement: impl Future<Output = Result<HashSet<i64>, DbError>>,
) -> Result<HashSet<i64>, DbError> {
    if items.is_empty() { Ok(HashSet::new()) } else { statement.await }
}

#[cfg(test)]
mod tests {
    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;
    use crate::Sql;

    #[tokio::test]
    async fn a_dead_message_keeps_its_reason() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("queues.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let db = Arc::new(db);
        let queue = SqlQueue::new(db.clone(), "uploads");
        assert!(queue.send(vec![Outgoing::now("a")]).await[0].is_ok());
        let taken =
            queue.receive(1, Duration::ZERO, Duration::from_secs(9)).await.expect("received");
        let dead = Settlement::Dead { reason: "nobody reads this".into() };
        let settled = queue.settle(vec![(taken[0].receipt.clone(), dead)]).await;
        assert!(settled[0].is_ok());
        let kept: (String, i64) = Sql::<Sqlite>::new("select dead_reason, id from message")
            .one(&mut *db.pools().read.acquire().await.expect("a connection"))
            .await
            .expect("a row");
        assert_eq!(kept.0, "nobody reads this");
        db.close().await;
    }

    #[tokio::test]
    async fn a_receive_that_is_dropped_leaves_no_connection_behind_that_skips_the_disk() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("queues.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let db = Arc::new(db);
        let queue = SqlQueue::new(db.clone(), "uploads");
        let (mut dropped, lease) = (0, Duration::from_secs(9));
        for micros in (0..1_000).step_by(10) {
            let receive = queue.receive(1, Duration::ZERO, lease);
            let ended = tokio::time::timeout(Duration::from_micros(micros), receive).await;
            dropped += usize::from(ended.is_err());
            let level: (i64,) = Sql::<Sqlite>::new("pragma synchronous")
                .one(&mut *db.pools().write.acquire().await.expect("a connection"))
                .await
                .expect("a level");
            assert_eq!(level.0, 2, "2 is full");
        }
        assert!(dropped > 0, "some were dropped in the middle");
        db.close().await;
    }
}
