//! Queues in a table. A lease is a deadline in the future and a number that grows with each delivery:
//! the receipt. Whoever comes too late finds the deadline passed or the number changed.
//!
//! A waiting receiver is woken by this process's own sends, and looks by itself every [`POLL`] for
//! what other processes sent and for delays and leases that ran out.
//!
//! Only sending waits for the disk. A lease or a settlement that a power cut undoes brings a message
//! back, which receivers must bear with anyway.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::failure::PortError;
use lobar_core::queue::{Delivery, Depth, LeaseError, Outgoing, Queue, Receipt, Settlement};
use lobar_core::time::Stamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{BATCH, Db, Driver, Fault, Sql};

/// How often a waiting receiver looks by itself.
const POLL: Duration = Duration::from_millis(200);

/// One queue of a database.
pub struct SqlQueue<D: Driver> {
    db: Arc<Db<D>>,
    name: String,
    bell: Arc<Notify>,
}

/// A message as it is received.
#[derive(sqlx::FromRow)]
pub struct MessageRow {
    id: i64,
    lease: i64,
    receives: i64,
    body: Vec<u8>,
    sent_at: i64,
}

impl<D: Driver> SqlQueue<D> {
    /// The queue `name` of `db`. Queues need no declaration.
    pub fn new(db: Arc<Db<D>>, name: &str) -> Self {
        let bell = db.bell(name);
        Self { db, name: name.to_owned(), bell }
    }

    async fn insert(&self, batch: &[Outgoing]) -> Result<(), Fault> {
        let now = self.db.now();
        let mut sql = Sql::<D>::new("insert into message (queue, body, sent_at, ready_at) values ");
        sql.rows(batch.iter().map(|message| {
            (self.name.as_str(), &message.body[..], now.0, now.plus(message.delay).0)
        }));
        sql.run(&mut *self.db.writer().await?).await?;
        Ok(())
    }

    /// Leases what is ready, the longest ready first.
    async fn take(&self, max: usize, lease: Duration) -> Result<Vec<Delivery>, Fault> {
        let statement = |now: Stamp| {
            let mut sql = Sql::<D>::new(
                "with ready as materialized (
                   select id from message
                   where queue = $1 and dead_reason is null and ready_at <= $2
                   order by ready_at, id limit $3",
            );
            sql.push(D::SKIP_LOCKED).push(
                ") update message set lease = lease + 1, leased = 1, receives = receives + 1,
                   ready_at = $4
                 where id in (select id from ready) returning id, lease, receives, body, sent_at",
            );
            sql.bind(self.name.as_str())
                .bind(now.0)
                .bind(i64::try_from(max).unwrap_or(i64::MAX))
                .bind(now.plus(lease).0)
        };
        let mut taken: Vec<MessageRow> = self.db.relaxed(statement).await?;
        taken.sort_by_key(|row| row.id);
        Ok(taken.into_iter().map(MessageRow::delivery).collect())
    }

    /// Whether there is something to take; asked of a reader, since taking locks out every writer.
    async fn is_ready(&self) -> Result<bool, Fault> {
        let ready: Option<(i64,)> = Sql::<D>::new(
            "select id from message
             where queue = $1 and dead_reason is null and ready_at <= $2 limit 1",
        )
        .bind(self.name.as_str())
        .bind(self.db.now().0)
        .optional(&mut *self.db.reader().await?)
        .await?;
        Ok(ready.is_some())
    }

    async fn wait_and_take(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Delivery>, Fault> {
        let started = Instant::now();
        loop {
            // Listens before it looks, so that nothing sent in between goes unheard.
            let mut rung = std::pin::pin!(self.bell.notified());
            rung.as_mut().enable();
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
                    () = &mut rung => break,
                    () = tokio::time::sleep(left.min(POLL)) => {
                        if self.is_ready().await? {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Answers the ids whose lease was still held, as do the next two.
    async fn prolong(&self, batch: &[Held], lease: Duration) -> Result<HashSet<i64>, Fault> {
        let statement = |now: Stamp| {
            let sql = Sql::<D>::new("update message set ready_at = $1");
            held(sql.bind(now.plus(lease).0), batch, now)
        };
        Ok(ids(self.db.relaxed(statement).await?))
    }

    async fn forget(&self, batch: &[Held]) -> Result<HashSet<i64>, Fault> {
        let statement = |now: Stamp| held(Sql::<D>::new("delete from message"), batch, now);
        Ok(ids(self.db.relaxed(statement).await?))
    }

    async fn put_back(&self, batch: &[(Held, Settlement)]) -> Result<HashSet<i64>, Fault> {
        let statement = |now: Stamp| {
            let mut sql = Sql::<D>::new("with put (target, held, at, uncounted, why) as (values ");
            sql.rows(batch.iter().map(|(held, settlement)| {
                let (at, uncounted, why) = match settlement {
                    Settlement::Done | Settlement::Release => (now, 1, None),
                    Settlement::Retry { after } => (now.plus(*after), 0, None),
                    Settlement::Dead { reason } => (now, 0, Some(reason.clone())),
                };
                (held.id, held.lease, at.0, uncounted, why)
            }));
            sql.push(
                ") update message set leased = 0, lease = lease + 1, ready_at = put.at,
                     receives = receives - put.uncounted, dead_reason = put.why from put
                 where message.id = put.target and message.lease = put.held
                   and leased = 1 and ready_at > ",
            )
            .arg(now.0)
            .push(" returning id");
            sql
        };
        Ok(ids(self.db.relaxed(statement).await?))
    }

    async fn count(&self) -> Result<Depth, Fault> {
        let now = self.db.now();
        let (ready, in_flight, delayed, dead, oldest): (i64, i64, i64, i64, Option<i64>) =
            Sql::<D>::new(
                "select count(*) filter (where dead_reason is null and ready_at <= $1),
                   count(*) filter (where dead_reason is null and ready_at > $1 and leased = 1),
                   count(*) filter (where dead_reason is null and ready_at > $1 and leased = 0),
                   count(*) filter (where dead_reason is not null),
                   min(sent_at) filter (where dead_reason is null and (ready_at <= $1 or leased = 1))
                 from message where queue = $2",
            )
            .bind(now.0)
            .bind(self.name.as_str())
            .one(&mut *self.db.reader().await?)
            .await?;
        let messages = |count: i64| u64::try_from(count).unwrap_or(0);
        Ok(Depth {
            ready: messages(ready),
            in_flight: messages(in_flight),
            delayed: messages(delayed),
            dead: messages(dead),
            oldest: oldest.map(Stamp),
        })
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
        self.bell.notify_waiters();
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
            let held: Vec<Option<Held>> = batch.iter().map(Held::parse).collect();
            let known: Vec<Held> = held.iter().flatten().copied().collect();
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
            let held: Vec<Option<Held>> = batch
                .iter()
                .map(|(receipt, _)| Held::parse(receipt).filter(|held| named.insert(*held)))
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
                self.bell.notify_waiters();
            }
        }
        answers
    }

    async fn depth(&self) -> Result<Depth, PortError> {
        self.count().await.map_err(|fault| fault.during("queue: depth"))
    }
}

/// Runs `statement` unless it would be about nothing.
async fn some<T>(
    items: &[T],
    statement: impl Future<Output = Result<HashSet<i64>, Fault>>,
) -> Result<HashSet<i64>, Fault> {
    if items.is_empty() { Ok(HashSet::new()) } else { statement.await }
}

/// Ends a statement about the messages whose lease is held. Their ids are of the whole database, so
/// the queue need not be named; naming it, or not naming the ids alone first, would make SQLite walk
/// through all that is in flight.
fn held<D: Driver>(mut sql: Sql<D>, batch: &[Held], now: Stamp) -> Sql<D> {
    sql.push(" where id in (").list(batch.iter().map(|held| held.id));
    sql.push(") and (id, lease) in (values ");
    sql.rows(batch.iter().map(|held| (held.id, held.lease)));
    sql.push(") and leased = 1 and ready_at > ").arg(now.0).push(" returning id");
    sql
}

fn ids(rows: Vec<(i64,)>) -> HashSet<i64> {
    rows.into_iter().map(|(id,)| id).collect()
}

/// A receipt, read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Held {
    id: i64,
    lease: i64,
}

impl Held {
    fn receipt(self) -> Receipt {
        Receipt(format!("{}.{}", self.id, self.lease))
    }

    /// `None` for a text that this adapter never gave out: nothing is held by it.
    fn parse(receipt: &Receipt) -> Option<Self> {
        let (id, lease) = receipt.0.split_once('.')?;
        Some(Self { id: id.parse().ok()?, lease: lease.parse().ok()? })
    }
}

impl MessageRow {
    fn delivery(self) -> Delivery {
        Delivery {
            receipt: Held { id: self.id, lease: self.lease }.receipt(),
            body: self.body.into(),
            receive_count: u32::try_from(self.receives).unwrap_or(u32::MAX),
            sent_at: Stamp(self.sent_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

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
            .one(&mut *db.reader().await.expect("a connection"))
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
                .one(&mut *db.writer().await.expect("a connection"))
                .await
                .expect("a level");
            assert_eq!(level.0, 2, "2 is full");
        }
        assert!(dropped > 0, "some were dropped in the middle");
        db.close().await;
    }
}
