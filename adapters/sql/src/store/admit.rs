//! Admission: see [`plan`](super::plan) for the rules, here is the SQL.
//!
//! What is known of the keys of a batch must stay true until the batch is written, so nobody else admits
//! or removes objects of these keys meanwhile, and the images that are stored are locked.

use std::collections::{BTreeSet, HashMap};

use lobar_core::image::{NewImage, Reason, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::Admission;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::changes::{Changes, Kind};
use super::plan::{Fresh, Plan, key_id};
use super::row::state;
use super::twins::queue_twins;

/// What is stored of an image.
#[derive(sqlx::FromRow)]
pub struct StoredRow {
    id: Uuid,
    key_id: Uuid,
    state: String,
    flag: String,
    reason: Option<String>,
    lane: String,
    site: Option<String>,
    sequence: Option<String>,
}

/// The part of it that counts.
struct Stored {
    state: State,
    flag: String,
    kind: Kind,
}

pub(super) async fn admit<D: Driver>(
    db: &Db<D>,
    images: &[NewImage],
) -> Result<Vec<Admission>, DbError> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = db.begin_on(&groups(images.iter().map(|image| &image.object))).await?;
    let now = db.now();
    let (mut answers, mut changes) = (Vec::with_capacity(images.len()), Changes::default());
    for batch in images.chunks(BATCH) {
        let (mut plan, mut stored) = remember(&mut tx, batch).await?;
        answers.extend(plan.admit(batch));
        supersede(&mut tx, &plan, &mut stored, now, &mut changes).await?;
        confirm(&mut tx, &plan).await?;
        renew(&mut tx, &plan, &stored, now, &mut changes).await?;
        insert(&mut tx, &plan.fresh, now).await?;
        for fresh in &plan.fresh {
            let site = fresh.image.object.site().map(str::to_owned);
            let kind = Kind::new(site, fresh.image.lane.as_str().to_owned());
            changes.came(fresh.id, kind, fresh.state);
        }
    }
    changes.record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(answers)
}

/// How many groups of keys there are: a batch of thousands takes no more locks than this, and two small
/// batches seldom have one in common. The number after the last is [`studies::LOCK`](super::super::studies::LOCK).
const GROUPS: u16 = 512;

/// The groups that the keys of objects are in.
pub(super) fn groups<'a>(objects: impl Iterator<Item = &'a ObjectVersion>) -> BTreeSet<u16> {
    let group = |object: &ObjectVersion| {
        let [.., high, low] = key_id(object).0.into_bytes();
        u16::from_be_bytes([high, low]) % GROUPS
    };
    objects.map(group).collect()
}

/// What is stored about the objects of a batch.
async fn remember<'a, D: Driver>(
    tx: &mut Tx<D>,
    batch: &[NewImage],
) -> Result<(Plan<'a>, HashMap<ImageId, Stored>), DbError> {
    let ids: BTreeSet<Uuid> = batch.iter().map(|image| image.object.id().0).collect();
    let keys: BTreeSet<Uuid> = batch.iter().map(|image| key_id(&image.object).0).collect();
    let (mut plan, mut stored) = (Plan::default(), HashMap::new());

    let mut sql = Sql::<D>::new(
        "select id, key_id, state, flag, reason, lane, site, sequence from image where key_id in (",
    );
    sql.list(keys.iter().copied()).push(")").push(D::LOCK_ROWS);
    for row in sql.all::<StoredRow>(tx).await? {
        let id = ImageId(row.id);
        let state = state(&row.state);
        plan.known.insert(id, state);
        if state == State::Failed && row.reason.as_deref() == Some(Reason::FetchFailed.code()) {
            plan.unread.insert(id);
        }
        let kind = Kind::new(row.site, row.lane);
        stored.insert(id, Stored { state, flag: row.flag, kind });
        if let Some(sequence) = row.sequence {
            plan.own.insert(id, sequence.clone());
            let newest = plan.newest.entry(ImageId(row.key_id)).or_default();
            if sequence > *newest {
                *newest = sequence;
            }
        }
    }

    let mut sql =
        Sql::<D>::new("select target, sequence, erased_sequence from removal where target in (");
    sql.list(ids.union(&keys).copied()).push(")");
    for (target, sequence, erased) in sql.all::<(Uuid, Option<String>, Option<String>)>(tx).await? {
        plan.removals.insert(ImageId(target), sequence);
        if let Some(erased) = erased {
            plan.erased_keys.insert(ImageId(target), erased);
        }
    }
    let mut sql = Sql::<D>::new("select image from erasure where image in (");
    sql.list(ids.iter().copied()).push(")");
    plan.erased.extend(sql.all::<(Uuid,)>(tx).await?.into_iter().map(|(id,)| ImageId(id)));
    Ok((plan, stored))
}

/// Takes the place of what is stored under the same keys.
async fn supersede<D: Driver>(
    tx: &mut Tx<D>,
    plan: &Plan<'_>,
    stored: &mut HashMap<ImageId, Stored>,
    now: Stamp,
    changes: &mut Changes,
) -> Result<(), DbError> {
    let current = stored.values().any(|image| is_current(image.state));
    if plan.retired_keys.is_empty() || !current {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "update image set state = 'superseded', fence = fence + 1, touched_at = $1,
           finished_at = coalesce(finished_at, $1)
         where state not in ('superseded', 'removed') and key_id in (",
    )
    .bind(now.0);
    sql.list(plan.retired_keys.iter().map(|key| key.0)).push(") returning id");
    let mut stood = Vec::new();
    for (id,) in sql.all::<(Uuid,)>(tx).await? {
        stood.push(ImageId(id));
        let Some(image) = stored.get_mut(&ImageId(id)) else { continue };
        let (from, to) = ((image.state, &*image.flag), (State::Superseded, &*image.flag));
        changes.moved(ImageId(id), image.kind.clone(), from, to);
        image.state = State::Superseded;
    }
    queue_twins(tx, &stood, &BTreeSet::new(), now, changes).await
}

pub(super) fn is_current(state: State) -> bool {
    !matches!(state, State::Superseded | State::Removed)
}

/// Keeps as of when current images are known to be so.
async fn confirm<D: Driver>(tx: &mut Tx<D>, plan: &Plan<'_>) -> Result<(), DbError> {
    for (id, confirmed) in &plan.confirmed {
        Sql::<D>::new("update image set sequencer = $1, sequence = $2 where id = $3")
            .bind(confirmed.sequencer.clone())
            .bind(Some(confirmed.sequence.clone()))
            .bind(id.0)
            .run(tx)
            .await?;
    }
    Ok(())
}

/// Queues images that are current again, as if new.
async fn renew<D: Driver>(
    tx: &mut Tx<D>,
    plan: &Plan<'_>,
    stored: &HashMap<ImageId, Stored>,
    now: Stamp,
    changes: &mut Changes,
) -> Result<(), DbError> {
    for (id, renewed) in &plan.renewed {
        Sql::<D>::new("update image set sequencer = $1, sequence = $2 where id = $3")
            .bind(renewed.sequencer.clone())
            .bind(renewed.sequence.clone())
            .bind(id.0)
            .run(tx)
            .await?;
        let Some(image) = stored.get(id).filter(|_| renewed.state == State::Queued) else {
            continue;
        };
        queue_again(tx, *id, now).await?;
        let (from, to) = ((image.state, &*image.flag), (State::Queued, "none"));
        changes.moved(*id, image.kind.clone(), from, to);
    }
    Ok(())
}

/// Makes a stored image what a new one is: it waits for a reader again.
pub(in super::super) async fn queue_again<D: Driver>(
    tx: &mut Tx<D>,
    id: ImageId,
    now: Stamp,
) -> Result<(), DbError> {
    Sql::<D>::new("delete from finding where image = $1").bind(id.0).run(tx).await?;
    Sql::<D>::new(
        "update image set state = 'queued', flag = 'none', reason = null, detail = null,
           attempts = 0, fence = fence + 1, finished_at = null, read_at = null, touched_at = $1
         where id = $2",
    )
    .bind(now.0)
    .bind(id.0)
    .run(tx)
    .await?;
    Ok(())
}

async fn insert<D: Driver>(tx: &mut Tx<D>, fresh: &[Fresh<'_>], now: Stamp) -> Result<(), DbError> {
    if fresh.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "insert into image (id, key_id, bucket, key, version, etag, sequencer, sequence, size, site,
           lane, state, received_at, finished_at, touched_at) values ",
    );
    sql.rows(fresh.iter().map(|fresh| {
        let object = &fresh.image.object;
        (
            fresh.id.0,
            fresh.key_id.0,
            object.bucket.as_str(),
            object.key.as_str(),
            object.version.clone(),
            object.etag.clone(),
            object.sequencer.clone(),
            fresh.sequence.clone(),
            object.size.and_then(|size| i64::try_from(size).ok()),
            object.site().map(str::to_owned),
            fresh.image.lane.as_str(),
            fresh.state.as_str(),
            now.0,
            fresh.state.is_terminal().then_some(now.0),
            now.0,
        )
    }));
    sql.run(tx).await?;
    Ok(())
}
