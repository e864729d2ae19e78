//! What becomes of the other images of an instance when the one that stood for it goes.

use std::collections::BTreeSet;

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql, studies};
use super::admit::queue_again;
use super::changes::{Changes, Kind};
use super::row::state;

/// Queues again what was superseded by images that stand no more, so that no film is in nobody's list. Before their
/// instances are forgotten. Of images without instances it finds nothing.
///
/// A superseded image has no job: the sweeper gives it one.
pub(super) async fn queue_twins<D: Driver>(
    tx: &mut Tx<D>,
    going: &[ImageId],
    except: &BTreeSet<ImageId>,
    now: Stamp,
    changes: &mut Changes,
) -> Result<(), DbError> {
    if going.is_empty() {
        return Ok(());
    }
    let twins = studies::twins(tx, going, except).await?;
    for batch in twins.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select id, state, flag, lane, site from image where id in (");
        sql.list(batch.iter().map(|id| id.0)).push(")").push(D::LOCK_ROWS);
        for (id, was, flag, lane, site) in
            sql.all::<(Uuid, String, String, String, Option<String>)>(tx).await?
        {
            let from = (state(&was), &*flag);
            if from.0 == State::Superseded {
                queue_again(tx, ImageId(id), now).await?;
                let kind = Kind::new(site, lane);
                changes.moved(ImageId(id), kind, from, (State::Queued, "none"));
            }
        }
    }
    Ok(())
}
