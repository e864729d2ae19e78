//! Which images are read: `image.read_at`, set with the verdict that settles what an image shows, and taken away where that
//! is withdrawn or the image is analysed anew.

use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::store::rows;
use super::super::tx::Tx;
use super::super::verdicts::IS_NEWEST;
use super::super::{BATCH, Db, DbError, Driver, Sql};

/// A verdict was given or withdrawn. In its transaction, which has locked the image.
pub(in super::super) async fn mark<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
    at: Option<Stamp>,
) -> Result<(), DbError> {
    let mark = Sql::<D>::new("update image set read_at = $1 where id = $2");
    mark.bind(at.map(|at| at.0)).bind(image.0).run(tx).await.map(drop)
}

/// Marks images with verdicts that a release kept which knew no mark. Once a process: another release may have run beside
/// this one until shortly before.
pub(super) async fn mark_earlier<D: Driver>(db: &Db<D>) -> Result<(), DbError> {
    if db.are_verdicts_marked() {
        return Ok(());
    }
    let mut last = Uuid::nil();
    loop {
        let next = Sql::<D>::new(
            "select distinct image from verdict where image > $1 order by image limit $2",
        );
        let next = next.bind(last).bind(rows(BATCH));
        let images: Vec<Uuid> =
            db.fetch_all::<(Uuid,)>(next).await?.into_iter().map(|(image,)| image).collect();
        let Some(end) = images.last() else { break };
        last = *end;
        // What two readers are needed for is marked by releases that know of them.
        let newest = "(select verdict.at from verdict where verdict.image = image.id
               and coalesce(verdict.readers_needed, 1) = 1 and ";
        let mut sql = Sql::<D>::new("update image set read_at = ");
        sql.push(newest).push(IS_NEWEST).push(
            ") where read_at is null and state not in ('superseded', 'removed') and finished_at <= ",
        );
        sql.push(newest).push(IS_NEWEST).push(") and id in (");
        sql.list(images).push(")");
        let mut tx = db.begin().await?;
        sql.run(&mut tx).await?;
        tx.commit().await?;
    }
    db.note_verdicts_marked();
    Ok(())
}
