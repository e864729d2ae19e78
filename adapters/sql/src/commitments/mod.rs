//! Requests for storage commitment, and what they name.
//!
//! `due_at` is when a report is due, or while it is held, when its lease lapses; whoever claims it counts up `fence`, which
//! all that came before no longer hold.

mod erase;
mod row;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::commitment::{
    CommitmentClaim, CommitmentOverview, CommitmentRequest, CommitmentRoom, Commitments, DueReport,
    GIVEN_UP_KEPT, SopReference,
};
use lobar_core::failure::PortError;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::store::rows;
use super::tx::Tx;
use super::{BATCH, Db, DbError, Driver, Sql, studies};

pub(super) use erase::forget;
pub(super) use row::CommitmentRow;

/// The lock of whoever adds a request, beside those of the groups of keys and of patients: so no two take the last place.
const LOCK: u16 = studies::LOCK + 1;

#[async_trait]
impl<D: Driver> Commitments for Db<D> {
    async fn keep(
        &self,
        request: &CommitmentRequest,
        room: CommitmentRoom,
        lease: Duration,
    ) -> Result<Option<DueReport>, PortError> {
        let kept = self.retry_on_conflict(|| keep(self, request, room, lease)).await;
        kept.map_err(|fault| fault.during("commitments: keep"))
    }

    async fn claim(&self, lease: Duration, limit: usize) -> Result<Vec<DueReport>, PortError> {
        let claimed = async {
            // Asked of a reader: claiming locks out every writer.
            match is_due(self).await? {
                true => self.retry_on_conflict(|| claim(self, lease, limit)).await,
                false => Ok(Vec::new()),
            }
        };
        claimed.await.map_err(|fault: DbError| fault.during("commitments: claim"))
    }

    async fn extend(&self, claim: CommitmentClaim, lease: Duration) -> Result<bool, PortError> {
        let extended = self.execute::<(Uuid,)>(|now| {
            Sql::<D>::new(
                "update commitment set due_at = $1
                 where id = $2 and fence = $3 and given_up_at is null returning id",
            )
            .bind(now.plus(lease).0)
            .bind(claim.id)
            .bind(claim.fence)
        });
        held(extended.await, "commitments: extend")
    }

    async fn put_back(
        &self,
        claim: CommitmentClaim,
        after: Duration,
        tried: bool,
    ) -> Result<bool, PortError> {
        let put = self.execute::<(Uuid,)>(|now| {
            Sql::<D>::new(
                "update commitment set due_at = $1, fence = fence + 1, tries = tries + $2
                 where id = $3 and fence = $4 and given_up_at is null returning id",
            )
            .bind(now.plus(after).0)
            .bind(i64::from(tried))
            .bind(claim.id)
            .bind(claim.fence)
        });
        held(put.await, "commitments: put back")
    }

    async fn finish(&self, claim: CommitmentClaim) -> Result<bool, PortError> {
        let finished = self.execute::<(Uuid,)>(|_| {
            Sql::<D>::new(
                "delete from commitment
                 where id = $1 and fence = $2 and given_up_at is null returning id",
            )
            .bind(claim.id)
            .bind(claim.fence)
        });
        held(finished.await, "commitments: finish")
    }

    async fn give_up(&self, claim: CommitmentClaim) -> Result<bool, PortError> {
        let given_up = self.retry_on_conflict(|| give_up(self, claim)).await;
        given_up.map_err(|fault| fault.during("commitments: give up"))
    }

    async fn commitments(&self) -> Result<CommitmentOverview, PortError> {
        let counts = Sql::<D>::new(
            "select count(*) filter (where given_up_at is null),
               count(*) filter (where given_up_at > $1),
               min(asked_at) filter (where given_up_at is null)
             from commitment",
        );
        let counts = counts.bind(self.now().minus(GIVEN_UP_KEPT).0);
        let counted = self.fetch_one::<(i64, i64, Option<i64>)>(counts).await;
        let (waiting, given_up, oldest) =
            counted.map_err(|fault| fault.during("commitments: count"))?;
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let (waiting, given_up) = (count(waiting), count(given_up));
        Ok(CommitmentOverview { waiting, oldest: oldest.map(Stamp), given_up })
    }
}

/// Whether it was held.
fn held(touched: Result<Vec<(Uuid,)>, DbError>, during: &'static str) -> Result<bool, PortError> {
    Ok(!touched.map_err(|fault| fault.during(during))?.is_empty())
}

async fn keep<D: Driver>(
    db: &Db<D>,
    request: &CommitmentRequest,
    room: CommitmentRoom,
    lease: Duration,
) -> Result<Option<DueReport>, DbError> {
    let who = &request.requester;
    let mut tx = db.begin_on(&BTreeSet::from([LOCK])).await?;
    let now = db.now();
    let before = Sql::<D>::new(
        "delete from commitment where site = $1 and title = $2 and transaction_uid = $3",
    );
    let before = before.bind(who.site.as_str()).bind(who.title.as_str());
    before.bind(request.transaction.as_str()).run(&mut tx).await?;
    let waiting = Sql::<D>::new(
        "select count(*), count(*) filter (where site = $1 and title = $2)
         from commitment where given_up_at is null",
    );
    let waiting = waiting.bind(who.site.as_str()).bind(who.title.as_str());
    let (all, of_one): (i64, i64) = waiting.one(&mut tx).await?;
    let is_full = |count: i64, most: usize| usize::try_from(count).is_ok_and(|it| it >= most);
    if is_full(all, room.all) || is_full(of_one, room.of_one) {
        return Ok(None);
    }
    let claim = CommitmentClaim { id: Uuid::new_v4(), fence: 1 };
    Sql::<D>::new(
        "insert into commitment (id, site, title, called, host, certificate, transaction_uid,
           asked_at, due_at, fence, tries)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)",
    )
    .bind(claim.id)
    .bind(who.site.as_str())
    .bind(who.title.as_str())
    .bind(who.called.as_str())
    .bind(Some(who.host.to_string()))
    .bind(who.certificate.map(|it| it.to_vec()))
    .bind(request.transaction.as_str())
    .bind(now.0)
    .bind(now.plus(lease).0)
    .bind(claim.fence)
    .run(&mut tx)
    .await?;
    let places: Vec<(i64, &SopReference)> = (0_i64..).zip(&request.references).collect();
    for batch in places.chunks(BATCH) {
        let mut named = Sql::<D>::new(
            "insert into commitment_instance (commitment, place, sop_class, uid) values ",
        );
        named.rows(
            batch
                .iter()
                .map(|(place, one)| (claim.id, *place, one.class.as_str(), one.instance.as_str())),
        );
        named.run(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(Some(DueReport { claim, request: request.clone(), age: Duration::ZERO, tries: 0 }))
}

async fn is_due<D: Driver>(db: &Db<D>) -> Result<bool, DbError> {
    let due = Sql::<D>::new(
        "select id from commitment where given_up_at is null and due_at <= $1 limit 1",
    );
    Ok(!db.fetch_all::<(Uuid,)>(due.bind(db.now().0)).await?.is_empty())
}

async fn claim<D: Driver>(
    db: &Db<D>,
    lease: Duration,
    limit: usize,
) -> Result<Vec<DueReport>, DbError> {
    let mut tx = db.begin().await?;
    let now = db.now();
    let mut due = Sql::<D>::new(
        "select id from commitment where given_up_at is null and due_at <= $1
         order by due_at, id limit $2",
    );
    due.push(D::SKIP_LOCKED);
    let due: Vec<(Uuid,)> = due.bind(now.0).bind(rows(limit)).all(&mut tx).await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let mut taken = HashMap::new();
    for batch in due.chunks(BATCH) {
        let mut take =
            Sql::<D>::new("update commitment set fence = fence + 1, due_at = $1 where id in (")
                .bind(now.plus(lease).0);
        take.list(batch.iter().map(|(id,)| *id)).push(
            ") returning id, fence, site, title, called, host, certificate, transaction_uid,
               asked_at, tries",
        );
        taken.extend(take.all::<CommitmentRow>(&mut tx).await?.into_iter().map(|it| (it.id, it)));
    }
    let mut references = named(&mut tx, &due).await?;
    tx.commit().await?;
    let mut reports = Vec::new();
    for (id,) in due {
        let Some(row) = taken.remove(&id) else { continue };
        // One that cannot be read is another release's: it is left to that, and comes again when its lease lapses.
        let named = references.remove(&id).unwrap_or(Some(Vec::new()));
        match named.and_then(|named| row.due(named, now)) {
            Some(report) => reports.push(report),
            None => tracing::warn!("a request for storage commitment cannot be read; it is left"),
        }
    }
    Ok(reports)
}

/// What requests name; `None` for one of which something cannot be read.
async fn named<D: Driver>(
    tx: &mut Tx<D>,
    requests: &[(Uuid,)],
) -> Result<HashMap<Uuid, Option<Vec<SopReference>>>, DbError> {
    let mut all: HashMap<Uuid, Option<Vec<SopReference>>> = HashMap::new();
    for batch in requests.chunks(BATCH) {
        let mut named = Sql::<D>::new(
            "select commitment, sop_class, uid from commitment_instance where commitment in (",
        );
        named.list(batch.iter().map(|(id,)| *id)).push(") order by commitment, place");
        for (id, class, uid) in named.all::<(Uuid, String, String)>(tx).await? {
            let of_one = all.entry(id).or_insert_with(|| Some(Vec::new()));
            match (row::reference(&class, &uid), of_one.as_mut()) {
                (Some(one), Some(of_one)) => of_one.push(one),
                _ => *of_one = None,
            }
        }
    }
    Ok(all)
}

async fn give_up<D: Driver>(db: &Db<D>, claim: CommitmentClaim) -> Result<bool, DbError> {
    let mut tx = db.begin().await?;
    let now = db.now();
    let done = Sql::<D>::new(
        "update commitment set given_up_at = $1, transaction_uid = null, fence = fence + 1
         where id = $2 and fence = $3 and given_up_at is null returning id",
    );
    let done = done.bind(now.0).bind(claim.id).bind(claim.fence);
    if done.all::<(Uuid,)>(&mut tx).await?.is_empty() {
        return Ok(false);
    }
    let named = Sql::<D>::new("delete from commitment_instance where commitment = $1");
    named.bind(claim.id).run(&mut tx).await?;
    let old = Sql::<D>::new("delete from commitment where given_up_at <= $1");
    old.bind(now.minus(GIVEN_UP_KEPT).0).run(&mut tx).await?;
    tx.commit().await?;
    Ok(true)
}
