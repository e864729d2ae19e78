//! The statements of a queue.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use lobar_core::queue::{DeadLetter, Delivery, Depth, Outgoing, Settlement};
use lobar_core::time::Stamp;
use lobar_core::trace::TraceContext;

use super::super::{DbError, Driver, Sql};
use super::SqlQueue;
use super::receipt::LeaseReceipt;

/// A message as it is received.
#[derive(sqlx::FromRow)]
pub struct MessageRow {
    id: i64,
    lease: i64,
    receives: i64,
    body: Vec<u8>,
    sent_at: i64,
    trace: Option<String>,
    turn: i64,
}

impl<D: Driver> SqlQueue<D> {
    /// A message gets the turn after its group's last, or the one that is received next, whichever is later: start-time fair
    /// queueing (Goyal, Vin and Cheng, SIGCOMM 1996), whose virtual time is the lowest turn that waits.
    pub(super) async fn insert(&self, batch: &[Outgoing]) -> Result<(), DbError> {
        let insert = |now: Stamp| {
            let mut sql =
                Sql::<D>::new("with sent (body, ready_at, trace, of_group, place) as (values ");
            let mut places: HashMap<&str, i64> = HashMap::new();
            sql.rows(batch.iter().map(|message| {
                let group = message.group.as_deref().unwrap_or_default();
                let place = places.entry(group).or_default();
                let trace = message.trace.map(|trace| trace.to_string());
                let row = (&message.body[..], now.plus(message.delay).0, trace, group, *place);
                *place += 1;
                row
            }));
            sql.push("), next (turn) as (select coalesce((select turn from message where queue = ");
            sql.arg(self.name.as_str());
            sql.push(
                " and dead_reason is null and leased = 0 order by turn, id limit 1),
                 (select max(turn) from message where queue = ",
            );
            sql.arg(self.name.as_str());
            sql.push(
                " and dead_reason is null and leased = 1), 0)),
                last (of_group, turn) as (select of_group, (select max(turn) from message
                   where queue = ",
            );
            sql.arg(self.name.as_str());
            sql.push(
                " and dead_reason is null and message.of_group = named.of_group)
                 from (select distinct of_group from sent) as named)
                insert into message (queue, body, sent_at, ready_at, trace, of_group, turn)
                select ",
            );
            sql.arg(self.name.as_str()).push(", body, ").arg(now.0);
            sql.push(
                ", ready_at, trace, sent.of_group,
                   place + case when last.turn >= next.turn then last.turn + 1 else next.turn end
                 from sent join last on last.of_group = sent.of_group cross join next",
            );
            sql
        };
        self.db.execute::<(i64,)>(insert).await.map(drop)
    }

    /// Leases what is ready: what was on lease first, then by turns.
    pub(super) async fn take(&self, max: usize, lease: Duration) -> Result<Vec<Delivery>, DbError> {
        let statement = |now: Stamp| {
            let mut sql = Sql::<D>::new(
                "with lapsed as materialized (
                   select id from message
                   where queue = $1 and dead_reason is null and leased = 1 and ready_at <= $2
                   order by ready_at, id limit $3",
            );
            sql.push(D::SKIP_LOCKED).push(
                "), waiting as materialized (
                   select id from message
                   where queue = $1 and dead_reason is null and leased = 0 and ready_at <= $2
                   order by turn, id limit $3",
            );
            sql.push(D::SKIP_LOCKED).push(
                "), ready as materialized (
                   select id from (select 0 as kind, id from lapsed
                                   union all select 1, id from waiting) as both_kinds
                   order by kind limit $3
                 ) update message set lease = lease + 1, leased = 1, receives = receives + 1,
                   ready_at = $4
                 where id in (select id from ready) returning id, lease, receives, body, sent_at,
                   trace, turn",
            );
            sql.bind(self.name.as_str())
                .bind(now.0)
                .bind(i64::try_from(max).unwrap_or(i64::MAX))
                .bind(now.plus(lease).0)
        };
        let mut taken: Vec<MessageRow> = self.db.relaxed(statement).await?;
        taken.sort_by_key(|row| (row.turn, row.id));
        Ok(taken.into_iter().map(MessageRow::delivery).collect())
    }

    /// Whether there is something to take; asked of a reader, since taking locks out every writer.
    pub(super) async fn is_ready(&self) -> Result<bool, DbError> {
        let ready = Sql::<D>::new(
            "select id from message
             where queue = $1 and dead_reason is null and ready_at <= $2 limit 1",
        )
        .bind(self.name.as_str())
        .bind(self.db.now().0);
        Ok(!self.db.fetch_all::<(i64,)>(ready).await?.is_empty())
    }

    /// Answers the ids whose lease was still held, as do the next two.
    pub(super) async fn prolong(
        &self,
        batch: &[LeaseReceipt],
        lease: Duration,
    ) -> Result<HashSet<i64>, DbError> {
        let statement = |now: Stamp| {
            let sql = Sql::<D>::new("update message set ready_at = $1");
            held(sql.bind(now.plus(lease).0), batch, now)
        };
        Ok(ids(self.db.relaxed(statement).await?))
    }

    pub(super) async fn forget(&self, batch: &[LeaseReceipt]) -> Result<HashSet<i64>, DbError> {
        let statement = |now: Stamp| held(Sql::<D>::new("delete from message"), batch, now);
        Ok(ids(self.db.relaxed(statement).await?))
    }

    pub(super) async fn put_back(
        &self,
        batch: &[(LeaseReceipt, Settlement)],
    ) -> Result<HashSet<i64>, DbError> {
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

    pub(super) async fn list_dead(&self, max: usize) -> Result<Vec<DeadLetter>, DbError> {
        let dead = Sql::<D>::new(
            "select body, dead_reason, sent_at, trace from message
             where queue = $1 and dead_reason is not null order by id limit $2",
        )
        .bind(self.name.as_str())
        .bind(i64::try_from(max).unwrap_or(i64::MAX));
        let rows: Vec<DeadRow> = self.db.fetch_all(dead).await?;
        Ok(rows.into_iter().map(DeadRow::letter).collect())
    }

    /// As if they had just been sent, but for their age. They are received next: the turn that they had means nothing to a
    /// queue that has been empty since.
    pub(super) async fn redrive_dead(&self, max: usize) -> Result<usize, DbError> {
        let statement = |now: Stamp| {
            let mut sql = Sql::<D>::new(
                "with dead as materialized (
                   select id from message where queue = $1 and dead_reason is not null
                   order by id limit $2",
            );
            sql.push(D::SKIP_LOCKED).push(
                ") update message set dead_reason = null, receives = 0, ready_at = $3,
                   turn = coalesce((select turn from message as waiting
                     where queue = $1 and dead_reason is null and leased = 0
                     order by turn, id limit 1), 0)
                 where id in (select id from dead) returning id",
            );
            sql.bind(self.name.as_str()).bind(i64::try_from(max).unwrap_or(i64::MAX)).bind(now.0)
        };
        Ok(self.db.execute::<(i64,)>(statement).await?.len())
    }

    pub(super) async fn count(&self) -> Result<Depth, DbError> {
        let now = self.db.now();
        let counts = Sql::<D>::new(
            "select count(*) filter (where dead_reason is null and ready_at <= $1),
                   count(*) filter (where dead_reason is null and ready_at > $1 and leased = 1),
                   count(*) filter (where dead_reason is null and ready_at > $1 and leased = 0),
                   count(*) filter (where dead_reason is not null),
                   min(sent_at) filter (where dead_reason is null and (ready_at <= $1 or leased = 1))
                 from message where queue = $2",
        )
        .bind(now.0)
        .bind(self.name.as_str());
        let (ready, in_flight, delayed, dead, oldest): (i64, i64, i64, i64, Option<i64>) =
            self.db.fetch_one(counts).await?;
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

/// Ends a statement about the messages whose lease is held. Their ids are of the whole database, so
/// the queue need not be named; naming it, or not naming the ids alone first, would make SQLite walk
/// through all that is in flight.
fn held<D: Driver>(mut sql: Sql<D>, batch: &[LeaseReceipt], now: Stamp) -> Sql<D> {
    sql.push(" where id in (").list(batch.iter().map(|held| held.id));
    sql.push(") and (id, lease) in (values ");
    sql.rows(batch.iter().map(|held| (held.id, held.lease)));
    sql.push(") and leased = 1 and ready_at > ").arg(now.0).push(" returning id");
    sql
}

fn ids(rows: Vec<(i64,)>) -> HashSet<i64> {
    rows.into_iter().map(|(id,)| id).collect()
}

/// A message that is kept aside.
#[derive(sqlx::FromRow)]
pub struct DeadRow {
    body: Vec<u8>,
    dead_reason: String,
    sent_at: i64,
    trace: Option<String>,
}

impl DeadRow {
    fn letter(self) -> DeadLetter {
        DeadLetter {
            body: self.body.into(),
            reason: Some(self.dead_reason),
            sent_at: Stamp(self.sent_at),
            trace: self.trace.as_deref().and_then(TraceContext::parse),
        }
    }
}

impl MessageRow {
    fn delivery(self) -> Delivery {
        Delivery {
            receipt: LeaseReceipt { id: self.id, lease: self.lease }.receipt(),
            body: self.body.into(),
            receive_count: u32::try_from(self.receives).unwrap_or(u32::MAX),
            sent_at: Stamp(self.sent_at),
            trace: self.trace.as_deref().and_then(TraceContext::parse),
        }
    }
}
