//! Admission: see [`plan`](super::plan) for the rules, here is the SQL.

use std::collections::BTreeSet;

use lobar_core::image::{NewImage, State};
use lobar_core::object::ImageId;
use lobar_core::store::Admission;
use lobar_core::time::Stamp;
use sqlx::Transaction;
use uuid::Uuid;

use super::super::{BATCH, Db, Driver, Fault, Sql};
use super::events::record;
use super::plan::{Fresh, Plan, key_id};
use super::row::state;

pub(super) async fn admit<D: Driver>(
    db: &Db<D>,
    images: &[NewImage],
) -> Result<Vec<Admission>, Fault> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = db.begin().await?;
    let now = db.now();
    let (mut answers, mut events) = (Vec::with_capacity(images.len()), Vec::new());
    for batch in images.chunks(BATCH) {
        let mut plan = remember(&mut tx, batch).await?;
        answers.extend(plan.admit(batch));
        supersede(&mut tx, &plan, now, &mut events).await?;
        renew(&mut tx, &plan, now, &mut events).await?;
        insert(&mut tx, &plan.fresh, now).await?;
        events.extend(plan.fresh.iter().map(|fresh| (fresh.id, fresh.state)));
    }
    record(&mut tx, &events, now).await?;
    db.commit(tx).await?;
    Ok(answers)
}

/// What is stored about the objects of a batch.
async fn remember<'a, D: Driver>(
    tx: &mut Transaction<'static, D>,
    batch: &[NewImage],
) -> Result<Plan<'a>, Fault> {
    let ids: BTreeSet<Uuid> = batch.iter().map(|image| image.object.id().0).collect();
    let keys: BTreeSet<Uuid> = batch.iter().map(|image| key_id(&image.object).0).collect();
    let mut plan = Plan::default();

    let mut sql = Sql::<D>::new("select id, state from image where id in (");
    sql.list(ids.iter().copied()).push(")");
    for (id, word) in sql.all::<(Uuid, String)>(tx).await? {
        plan.known.insert(ImageId(id), state::<D>(&word)?);
    }

    let mut sql = Sql::<D>::new("select key_id, max(sequence) from image where key_id in (");
    sql.list(keys.iter().copied()).push(") and sequence is not null group by key_id");
    for (key, sequence) in sql.all::<(Uuid, String)>(tx).await? {
        plan.newest.insert(ImageId(key), sequence);
    }

    let mut sql = Sql::<D>::new("select target, sequence from removal where target in (");
    sql.list(ids.union(&keys).copied()).push(")");
    for (target, sequence) in sql.all::<(Uuid, Option<String>)>(tx).await? {
        plan.removals.insert(ImageId(target), sequence);
    }
    Ok(plan)
}

/// Takes the place of what is stored under the same keys.
async fn supersede<D: Driver>(
    tx: &mut Transaction<'static, D>,
    plan: &Plan<'_>,
    now: Stamp,
    events: &mut Vec<(ImageId, State)>,
) -> Result<(), Fault> {
    if plan.retired_keys.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "update image set state = 'superseded', fence = fence + 1, touched_at = $1,
           finished_at = coalesce(finished_at, $1)
         where state not in ('superseded', 'removed') and key_id in (",
    )
    .bind(now.0);
    sql.list(plan.retired_keys.iter().map(|key| key.0)).push(") returning id");
    let retired: Vec<(Uuid,)> = sql.all(tx).await?;
    events.extend(retired.into_iter().map(|(id,)| (ImageId(id), State::Superseded)));
    Ok(())
}

/// Queues images that were put again, as if new.
async fn renew<D: Driver>(
    tx: &mut Transaction<'static, D>,
    plan: &Plan<'_>,
    now: Stamp,
    events: &mut Vec<(ImageId, State)>,
) -> Result<(), Fault> {
    for (id, renewed) in &plan.renewed {
        Sql::<D>::new("update image set sequencer = $1, sequence = $2 where id = $3")
            .bind(renewed.sequencer.clone())
            .bind(renewed.sequence.clone())
            .bind(id.0)
            .run(tx)
            .await?;
        if renewed.state != State::Queued {
            continue;
        }
        Sql::<D>::new("delete from finding where image = $1").bind(id.0).run(tx).await?;
        Sql::<D>::new(
            "update image set state = 'queued', flag = 'none', reason = null, detail = null,
               attempts = 0, fence = fence + 1, finished_at = null, touched_at = $1
             where id = $2",
        )
        .bind(now.0)
        .bind(id.0)
        .run(tx)
        .await?;
        events.push((*id, State::Queued));
    }
    Ok(())
}

async fn insert<D: Driver>(
    tx: &mut Transaction<'static, D>,
    fresh: &[Fresh<'_>],
    now: Stamp,
) -> Result<(), Fault> {
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
