//! The life of an image in workers' hands: claim, complete, give back.

use std::collections::{BTreeSet, HashMap};

use lobar_core::finding::Finding;
use lobar_core::image::{Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Claim, Claimed, Completion, Fence, Outcome};
use lobar_core::time::Stamp;
use sqlx::Transaction;
use sqlx::types::Json;
use uuid::Uuid;

use super::super::{BATCH, Db, Driver, Fault, Sql};
use super::events::record;
use super::row::{lane, state};

/// What a claim gives back.
#[derive(sqlx::FromRow)]
pub struct ClaimRow {
    id: Uuid,
    fence: i64,
    attempts: i64,
    bucket: String,
    key: String,
    version: Option<String>,
    etag: Option<String>,
    sequencer: Option<String>,
    size: Option<i64>,
    lane: String,
}

pub(super) async fn claim<D: Driver>(
    db: &Db<D>,
    ids: &[ImageId],
    max_attempts: u32,
) -> Result<Vec<Claim>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<Uuid> =
        ids.iter().map(|id| id.0).collect::<BTreeSet<_>>().into_iter().collect();
    let mut tx = db.begin().await?;
    let now = db.now();
    let (mut claims, mut events) = (HashMap::new(), Vec::new());
    for batch in wanted.chunks(BATCH) {
        for row in grant(&mut tx, batch, max_attempts, now).await? {
            events.push((ImageId(row.id), State::Analysing));
            claims.insert(ImageId(row.id), Claim::Granted(row.claimed::<D>()?));
        }
        let spent = quarantine(&mut tx, batch, max_attempts, now, &claims).await?;
        events.extend(spent.into_iter().map(|(id,)| (ImageId(id), State::Failed)));

        let mut sql = Sql::<D>::new("select id, state from image where id in (");
        sql.list(batch.iter().copied()).push(")");
        for (id, word) in sql.all::<(Uuid, String)>(&mut tx).await? {
            let settled = Claim::Settled(state::<D>(&word)?);
            claims.entry(ImageId(id)).or_insert(settled);
        }
    }
    record(&mut tx, &events, now).await?;
    db.commit(tx).await?;
    Ok(ids.iter().map(|id| claims.get(id).cloned().unwrap_or(Claim::Unknown)).collect())
}

async fn grant<D: Driver>(
    tx: &mut Transaction<'static, D>,
    batch: &[Uuid],
    max_attempts: u32,
    now: Stamp,
) -> Result<Vec<ClaimRow>, Fault> {
    let mut sql = Sql::<D>::new(
        "update image set state = 'analysing', attempts = attempts + 1, fence = fence + 1,
           touched_at = $1
         where state in ('queued', 'analysing') and attempts < $2 and id in (",
    )
    .bind(now.0)
    .bind(i64::from(max_attempts));
    sql.list(batch.iter().copied())
        .push(") returning id, fence, attempts, bucket, key, version, etag, sequencer, size, lane");
    sql.all(tx).await
}

/// Ends what has been tried too often.
async fn quarantine<D: Driver>(
    tx: &mut Transaction<'static, D>,
    batch: &[Uuid],
    max_attempts: u32,
    now: Stamp,
    granted: &HashMap<ImageId, Claim>,
) -> Result<Vec<(Uuid,)>, Fault> {
    let rest: Vec<Uuid> =
        batch.iter().copied().filter(|id| !granted.contains_key(&ImageId(*id))).collect();
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::<D>::new(
        "update image set state = 'failed', fence = fence + 1, finished_at = $1, touched_at = $1,
           reason = $2
         where state in ('queued', 'analysing') and attempts >= $3 and id in (",
    )
    .bind(now.0)
    .bind(Reason::RepeatedFailure.code())
    .bind(i64::from(max_attempts));
    sql.list(rest).push(") returning id");
    sql.all(tx).await
}

impl ClaimRow {
    fn claimed<D: Driver>(self) -> Result<Claimed, Fault> {
        Ok(Claimed {
            id: ImageId(self.id),
            fence: Fence(self.fence),
            attempt: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            object: ObjectVersion {
                bucket: self.bucket,
                key: self.key,
                version: self.version,
                etag: self.etag,
                sequencer: self.sequencer,
                size: self.size.and_then(|size| u64::try_from(size).ok()),
            },
            lane: lane::<D>(&self.lane)?,
        })
    }
}

pub(super) async fn complete<D: Driver>(
    db: &Db<D>,
    completions: &[Completion],
) -> Result<Vec<bool>, Fault> {
    if completions.is_empty() {
        return Ok(Vec::new());
    }
    // Of one image named twice, the first counts: the second would find it finished.
    let mut named = BTreeSet::new();
    let firsts: Vec<bool> =
        completions.iter().map(|done| named.insert((done.id, done.fence))).collect();
    let distinct: Vec<&Completion> = completions
        .iter()
        .zip(&firsts)
        .filter(|(_, first)| **first)
        .map(|(done, _)| done)
        .collect();

    let mut tx = db.begin().await?;
    let now = db.now();
    let (mut accepted, mut events) = (HashMap::new(), Vec::new());
    for batch in distinct.chunks(BATCH) {
        for (id, fence) in finish(&mut tx, batch, now).await? {
            accepted.insert(ImageId(id), Fence(fence));
        }
        let current = |done: &&&Completion| accepted.get(&done.id) == Some(&done.fence);
        let fresh: Vec<&Completion> = batch.iter().filter(current).copied().collect();
        keep_findings(&mut tx, &fresh, now).await?;
        events.extend(fresh.iter().map(|done| (done.id, ending(&done.outcome))));
    }
    record(&mut tx, &events, now).await?;
    db.commit(tx).await?;
    let accepted = |done: &Completion| accepted.get(&done.id) == Some(&done.fence);
    Ok(completions.iter().zip(firsts).map(|(done, first)| first && accepted(done)).collect())
}

/// The state in which an outcome leaves its image.
fn ending(outcome: &Outcome) -> State {
    match outcome {
        Outcome::Ready(_) => State::Ready,
        Outcome::NeedsHuman { .. } => State::NeedsHuman,
        Outcome::Superseded => State::Superseded,
    }
}

/// Moves the images whose fence is current to their ends; answers which.
async fn finish<D: Driver>(
    tx: &mut Transaction<'static, D>,
    batch: &[&Completion],
    now: Stamp,
) -> Result<Vec<(Uuid, i64)>, Fault> {
    let mut sql = Sql::<D>::new("with done (target, held, ending, why, more, answer) as (values ");
    sql.rows(batch.iter().map(|done| {
        let (flag, reason, detail) = match &done.outcome {
            Outcome::Ready(finding) => (if finding.flagged { "yes" } else { "no" }, None, None),
            Outcome::NeedsHuman { reason, detail } => {
                ("none", Some(reason.code().to_owned()), Some(detail.clone()))
            }
            Outcome::Superseded => ("none", None, None),
        };
        (done.id.0, done.fence.0, ending(&done.outcome).as_str(), reason, detail, flag)
    }));
    sql.push(
        ") update image set state = done.ending, reason = done.why, detail = done.more,
             flag = done.answer, finished_at = ",
    )
    .arg(now.0)
    .push(", touched_at = ")
    .arg(now.0)
    .push(
        " from done
          where image.id = done.target and image.fence = done.held and image.state = 'analysing'
          returning id, fence",
    );
    sql.all(tx).await
}

async fn keep_findings<D: Driver>(
    tx: &mut Transaction<'static, D>,
    done: &[&Completion],
    now: Stamp,
) -> Result<(), Fault> {
    let findings: Vec<(ImageId, &Finding)> = done
        .iter()
        .filter_map(|done| match &done.outcome {
            Outcome::Ready(finding) => Some((done.id, finding.as_ref())),
            _ => None,
        })
        .collect();
    if findings.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "insert into finding (image, model_version, probability, body, made_at) values ",
    );
    sql.rows(findings.iter().map(|(id, finding)| {
        let version = finding.model.version.as_str();
        (id.0, version, finding.probability, Json(*finding), now.0)
    }));
    sql.run(tx).await?;
    Ok(())
}

/// Queues images again; `uncounted` attempts are taken back. Old fences are passed over.
pub(super) async fn give_back<D: Driver>(
    db: &Db<D>,
    work: &[(ImageId, Fence)],
    uncounted: i64,
) -> Result<(), Fault> {
    if work.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    let now = db.now();
    let mut events = Vec::new();
    for batch in work.chunks(BATCH) {
        let mut sql = Sql::<D>::new("with back (target, held) as (values ");
        sql.rows(batch.iter().map(|(id, fence)| (id.0, fence.0)));
        sql.push(") update image set state = 'queued', fence = fence + 1, attempts = attempts - ")
            .arg(uncounted)
            .push(", touched_at = ")
            .arg(now.0)
            .push(
                " from back
                  where image.id = back.target and image.fence = back.held
                    and image.state = 'analysing'
                  returning id",
            );
        let given: Vec<(Uuid,)> = sql.all(&mut tx).await?;
        events.extend(given.into_iter().map(|(id,)| (ImageId(id), State::Queued)));
    }
    record(&mut tx, &events, now).await?;
    db.commit(tx).await
}
