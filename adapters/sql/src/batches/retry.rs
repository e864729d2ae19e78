//! Queueing again what failed of a batch.

use lobar_core::batch::BatchId;
use lobar_core::image::State;
use lobar_core::object::{ImageId, ObjectVersion};
use uuid::Uuid;

use super::super::store::{Changes, Kind, queue_again, rows};
use super::super::{Db, DbError, Driver, Sql};

/// An image that failed.
#[derive(sqlx::FromRow)]
pub struct FailedRow {
    id: Uuid,
    lane: String,
    site: Option<String>,
    flag: String,
    bucket: String,
    key: String,
    version: Option<String>,
    etag: Option<String>,
    size: Option<i64>,
}

pub(super) async fn retry<D: Driver>(
    db: &Db<D>,
    batch: BatchId,
    after: Option<ImageId>,
    limit: usize,
) -> Result<Vec<ObjectVersion>, DbError> {
    let mut tx = db.begin().await?;
    let now = db.now();
    let (mut objects, mut changes) = (Vec::new(), Changes::default());
    let mut found: Vec<FailedRow> = failed::<D>(batch, after, limit).all(&mut tx).await?;
    found.sort_unstable_by_key(|row| row.id);
    for row in found {
        let id = ImageId(row.id);
        queue_again(&mut tx, id, now).await?;
        let (from, to) = ((State::Failed, &*row.flag), (State::Queued, "none"));
        changes.moved(id, Kind::new(row.site, row.lane), from, to);
        objects.push(ObjectVersion {
            bucket: row.bucket,
            key: row.key,
            version: row.version,
            etag: row.etag,
            sequencer: None,
            size: row.size.and_then(|size| u64::try_from(size).ok()),
        });
    }
    changes.record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(objects)
}

/// In words that no index of states has: the batch comes first.
pub(super) fn failed<D: Driver>(batch: BatchId, after: Option<ImageId>, limit: usize) -> Sql<D> {
    let mut sql = Sql::<D>::new(
        "select id, lane, site, flag, bucket, key, version, etag, size from image where id in (
           select image.id from batch_file join image on image.id = batch_file.image
           where batch_file.batch = ",
    );
    sql.arg(batch.0).push(" and batch_file.image > ").arg(after.map_or(Uuid::nil(), |id| id.0));
    sql.push(" and image.state || '' = 'failed' order by batch_file.image limit ").arg(rows(limit));
    // Again, of the rows as they are once they are locked.
    sql.push(") and state || '' = 'failed'").push(D::LOCK_ROWS);
    sql
}
