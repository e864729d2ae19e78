//! Claim, complete, release, retry.
//!
//! Images are named by their ids, and their states are only looked at: `state || ''` keeps a planner from
//! reading the range of a state instead, which may hold millions, or the traces of millions that left it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use lobar_core::finding::Finding;
use lobar_core::image::{Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Claim, Claimed, Completion, Fence, Held, Outcome};
use lobar_core::time::Stamp;
use sqlx::types::Json;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, Db, DbError, Driver, Sql, studies};
use super::changes::{Changes, Kind, Standing};
use super::row::{lane, state};
use super::{identity, inference};

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
    received_at: i64,
}

pub(super) async fn claim<D: Driver>(
    db: &Db<D>,
    ids: &[ImageId],
    max_attempts: u32,
) -> Result<Vec<Claim>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    end_doubts(db).await?;
    let wanted: Vec<Uuid> =
        ids.iter().map(|id| id.0).collect::<BTreeSet<_>>().into_iter().collect();
    let mut tx = db.begin().await?;
    let now = db.now();
    let (mut claims, mut changes) = (HashMap::new(), Changes::default());
    let mut doubtful = Vec::new();
    for batch in wanted.chunks(BATCH) {
        let mut rest = batch.to_vec();
        // Those never tried, then those that were; then again the first, as which a worker may just have given one
        // back.
        for counted in [true, false, true] {
            if rest.is_empty() {
                break;
            }
            for row in grant(&mut tx, &rest, max_attempts, counted, now).await? {
                let id = ImageId(row.id);
                changes.told(id, State::Analysing);
                let claimed = row.claimed(counted);
                doubtful.push(claimed.held());
                claims.insert(id, Claim::Granted(claimed));
            }
            rest.retain(|id| !claims.contains_key(&ImageId(*id)));
        }
        if rest.is_empty() {
            continue;
        }
        for (id, lane, site) in quarantine(&mut tx, &rest, max_attempts, now).await? {
            let (from, to) = ((State::Analysing, "none"), (State::Failed, "none"));
            changes.recorded(inference::given_up(ImageId(id), site.as_deref()));
            changes.moved(ImageId(id), Kind::new(site, lane), from, to);
        }
        let mut sql = Sql::<D>::new("select id, state from image where id in (");
        sql.list(rest.iter().copied()).push(")");
        for (id, word) in sql.all::<(Uuid, String)>(&mut tx).await? {
            claims.insert(ImageId(id), Claim::Settled(state(&word)));
        }
        rest.retain(|id| !claims.contains_key(&ImageId(*id)));
        if rest.is_empty() {
            continue;
        }
        let mut sql = Sql::<D>::new("select image from erasure where image in (");
        sql.list(rest).push(")");
        for (id,) in sql.all::<(Uuid,)>(&mut tx).await? {
            claims.insert(ImageId(id), Claim::Settled(State::Removed));
        }
    }
    changes.record(&mut tx, now).await?;
    if let Err(fault) = tx.commit().await {
        // The server's own word that it was undone leaves no doubt.
        if !fault.is_conflict() {
            db.doubt(doubtful);
            // Now if possible: the caller lets go of the jobs next, and another process, which knows nothing
            // of this, may claim the images first.
            let _ = end_doubts(db).await;
        }
        return Err(fault);
    }
    Ok(ids.iter().map(|id| claims.get(id).cloned().unwrap_or(Claim::Unknown)).collect())
}

/// Takes back what this process may hold without knowing, so that its attempts do not count. Nothing is
/// claimed here before that is done; two claims that do it at once do no harm, since fences tell.
///
/// The claim may still be under way: its connection is gone, but the server has the commit and waits for its
/// disk. Looking past it would find nothing to take back, and the attempt would count after all; so this
/// waits first until nobody is changing those images.
async fn end_doubts<D: Driver>(db: &Db<D>) -> Result<(), DbError> {
    let doubtful = db.doubts();
    for batch in doubtful.chunks(BATCH) {
        let mut held = Sql::<D>::new("select id from image where id in (");
        held.list(batch.iter().map(|claim| claim.id.0)).push(")").push(D::LOCK_ROWS);
        db.fetch_all::<(Uuid,)>(held).await?;
    }
    give_back(db, &doubtful, Attempt::Uncounted).await?;
    db.no_longer_doubt(&doubtful);
    Ok(())
}

/// Takes those that were never tried, which counts an attempt (`counted`), or those that were, which
/// counts none.
async fn grant<D: Driver>(
    tx: &mut Tx<D>,
    batch: &[Uuid],
    max_attempts: u32,
    counted: bool,
    now: Stamp,
) -> Result<Vec<ClaimRow>, DbError> {
    let mut sql = Sql::<D>::new(if counted {
        "update image set state = 'analysing', attempts = 1, fence = fence + 1, touched_at = $1
         where state || '' in ('queued', 'analysing') and attempts = 0 and attempts < $2 and id in ("
    } else {
        "update image set state = 'analysing', fence = fence + 1, touched_at = $1
         where state || '' in ('queued', 'analysing') and attempts > 0 and attempts < $2 and id in ("
    })
    .bind(now.0)
    .bind(i64::from(max_attempts));
    sql.list(batch.iter().copied()).push(
        ") returning id, fence, attempts, bucket, key, version, etag, sequencer, size, lane,
                received_at",
    );
    sql.all(tx).await
}

/// Ends what has been tried too often; answers which, with lane and site.
async fn quarantine<D: Driver>(
    tx: &mut Tx<D>,
    batch: &[Uuid],
    max_attempts: u32,
    now: Stamp,
) -> Result<Vec<(Uuid, String, Option<String>)>, DbError> {
    let mut sql = Sql::<D>::new(
        "update image set state = 'failed', fence = fence + 1, finished_at = $1, touched_at = $1,
           reason = $2
         where state || '' in ('queued', 'analysing') and attempts >= $3 and id in (",
    )
    .bind(now.0)
    .bind(Reason::RepeatedFailure.code())
    .bind(i64::from(max_attempts));
    sql.list(batch.iter().copied()).push(") returning id, lane, site");
    sql.all(tx).await
}

impl ClaimRow {
    fn claimed(self, counted: bool) -> Claimed {
        let attempts = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        Claimed {
            id: ImageId(self.id),
            fence: Fence(self.fence),
            attempt: attempts.saturating_add(u32::from(!counted)),
            counted,
            object: ObjectVersion {
                bucket: self.bucket,
                key: self.key,
                version: self.version,
                etag: self.etag,
                sequencer: self.sequencer,
                size: self.size.and_then(|size| u64::try_from(size).ok()),
            },
            lane: lane(&self.lane),
            received_at: Stamp(self.received_at),
        }
    }
}

pub(super) async fn complete<D: Driver>(
    db: &Db<D>,
    completions: &[Completion],
) -> Result<Vec<bool>, DbError> {
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

    let mut tx = match distinct.iter().any(|done| done.basis.identity.is_some()) {
        true => studies::begin(db).await?,
        false => db.begin().await?,
    };
    let now = db.now();
    let (mut accepted, mut changes) = (BTreeSet::new(), Changes::default());
    for batch in distinct.chunks(BATCH) {
        let mut finished = HashMap::new();
        for (id, fence, lane, site, received_at) in finish(&mut tx, batch, now).await? {
            let finished_one = (Kind::new(site, lane), Stamp(received_at));
            finished.insert((ImageId(id), Fence(fence)), finished_one);
        }
        let taken: Vec<Finished<'_>> = batch
            .iter()
            .filter_map(|done| {
                let (kind, received_at) = finished.remove(&(done.id, done.fence))?;
                Some(Finished { done, kind, received_at })
            })
            .collect();
        let kept = identity::keep(&mut tx, &taken, now, &mut changes).await?;
        let mut fresh: Vec<(ImageId, Cow<'_, Finding>)> = Vec::with_capacity(taken.len());
        for Finished { done, kind, .. } in taken {
            let superseded = kept.ends.contains_key(&done.id);
            let to = if superseded { SUPERSEDED } else { ending(&done.outcome) };
            let of_person = kept.warnings.get(&done.id);
            let entry = inference::entry(done, &kind.site, of_person);
            if let Some(entry) = entry.filter(|_| !superseded) {
                changes.recorded(entry);
            }
            changes.moved(done.id, kind, (State::Analysing, "none"), to);
            changes.traced(done.trace);
            accepted.insert((done.id, done.fence));
            if let Outcome::Ready(finding) = &done.outcome
                && !superseded
            {
                fresh.push((done.id, identity::warned(finding, kept.warnings.get(&done.id))));
            }
        }
        keep_findings(&mut tx, &fresh, now).await?;
    }
    changes.record(&mut tx, now).await?;
    tx.commit().await?;
    let accepted = |done: &Completion| accepted.contains(&(done.id, done.fence));
    Ok(completions.iter().zip(firsts).map(|(done, first)| first && accepted(done)).collect())
}

/// A completion that is accepted.
pub(super) struct Finished<'a> {
    pub(super) done: &'a Completion,
    pub(super) kind: Kind,
    pub(super) received_at: Stamp,
}

/// Of what was never shown.
const SUPERSEDED: Standing<'static> = (State::Superseded, "none");

/// The state in which an outcome leaves its image, and the flag.
fn ending(outcome: &Outcome) -> Standing<'static> {
    match outcome {
        Outcome::Ready(finding) if finding.flagged => (State::Ready, "yes"),
        Outcome::Ready(_) => (State::Ready, "no"),
        Outcome::NeedsHuman { .. } => (State::NeedsHuman, "none"),
        Outcome::Failed { .. } => (State::Failed, "none"),
        Outcome::Superseded => (State::Superseded, "none"),
    }
}

/// Moves the images whose fence is current to their ends; answers which, with lane, site and when they were received.
async fn finish<D: Driver>(
    tx: &mut Tx<D>,
    batch: &[&Completion],
    now: Stamp,
) -> Result<Vec<(Uuid, i64, String, Option<String>, i64)>, DbError> {
    let mut sql = Sql::<D>::new("with done (target, held, ending, why, more, answer) as (values ");
    sql.rows(batch.iter().map(|done| {
        let (state, flag) = ending(&done.outcome);
        let (reason, detail) = match &done.outcome {
            Outcome::NeedsHuman { reason, detail } | Outcome::Failed { reason, detail } => {
                (Some(reason.code().to_owned()), Some(detail.clone()))
            }
            Outcome::Ready(_) | Outcome::Superseded => (None, None),
        };
        (done.id.0, done.fence.0, state.as_str(), reason, detail, flag)
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
          where image.id = done.target and image.fence = done.held and image.state || '' = 'analysing'
          returning id, fence, lane, site, received_at",
    );
    sql.all(tx).await
}

async fn keep_findings<D: Driver>(
    tx: &mut Tx<D>,
    findings: &[(ImageId, Cow<'_, Finding>)],
    now: Stamp,
) -> Result<(), DbError> {
    if findings.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "insert into finding (image, model_version, probability, body, made_at) values ",
    );
    sql.rows(findings.iter().map(|(id, finding)| {
        let version = finding.model.version.as_str();
        (id.0, version, finding.probability, Json(finding.as_ref()), now.0)
    }));
    sql.run(tx).await?;
    Ok(())
}

pub(super) async fn count_attempts<D: Driver>(
    db: &Db<D>,
    held: &[Held],
) -> Result<Vec<bool>, DbError> {
    let mut counted = BTreeSet::new();
    let now = db.now();
    let mut tx = db.begin().await?;
    for batch in held.chunks(BATCH) {
        let mut sql = Sql::<D>::new("with begun (target, held, attempt) as (values ");
        sql.rows(batch.iter().map(|one| (one.id.0, one.fence.0, i64::from(one.attempt))));
        sql.push(") update image set attempts = begun.attempt, touched_at = ").arg(now.0).push(
            " from begun
              where image.id = begun.target and image.fence = begun.held
                and image.state || '' = 'analysing'
              returning id",
        );
        let some: Vec<(Uuid,)> = sql.all(&mut tx).await?;
        counted.extend(some.into_iter().map(|(id,)| id));
    }
    tx.commit().await?;
    Ok(held.iter().map(|one| counted.contains(&one.id.0)).collect())
}

/// Whether the attempt of what is given back counts.
#[derive(Clone, Copy)]
pub(super) enum Attempt {
    Counted,
    Uncounted,
}

/// Queues images again. Old fences are passed over.
pub(super) async fn give_back<D: Driver>(
    db: &Db<D>,
    held: &[Held],
    attempt: Attempt,
) -> Result<(), DbError> {
    if held.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    let now = db.now();
    let mut changes = Changes::default();
    for batch in held.chunks(BATCH) {
        let attempts = |one: &Held| match attempt {
            Attempt::Counted => i64::from(one.attempt),
            Attempt::Uncounted => i64::from(one.attempt) - 1,
        };
        let mut sql = Sql::<D>::new("with back (target, held, attempts) as (values ");
        sql.rows(batch.iter().map(|one| (one.id.0, one.fence.0, attempts(one))));
        sql.push(
            ") update image set state = 'queued', fence = fence + 1, attempts = back.attempts,
               touched_at = ",
        )
        .arg(now.0)
        .push(
            " from back
              where image.id = back.target and image.fence = back.held
                and image.state || '' = 'analysing'
              returning id",
        );
        let given: Vec<(Uuid,)> = sql.all(&mut tx).await?;
        given.into_iter().for_each(|(id,)| changes.told(ImageId(id), State::Queued));
    }
    changes.record(&mut tx, now).await?;
    tx.commit().await
}
