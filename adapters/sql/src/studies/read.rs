//! Whose images are, and which came before.

use std::collections::BTreeMap;

use lobar_core::image::Image;
use lobar_core::object::ImageId;
use lobar_core::study::Identity;

use super::super::store::{COLUMNS, ImageRow, rows};
use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::row::{IDENTITY, IdentityRow, PlaceRow};

/// From an instance up to its patient.
const UP: &str = " from instance join series on series.id = instance.series
    join study on study.id = series.study join patient on patient.id = study.patient ";

pub(super) async fn of<D: Driver>(
    db: &Db<D>,
    images: &[ImageId],
) -> Result<BTreeMap<ImageId, Identity>, DbError> {
    let mut found = BTreeMap::new();
    for batch in images.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select ");
        sql.push(IDENTITY).push(UP).push("where instance.image in (");
        sql.list(batch.iter().map(|id| id.0)).push(")");
        let rows: Vec<IdentityRow> = db.fetch_all(sql).await?;
        found.extend(rows.into_iter().map(IdentityRow::identity));
    }
    Ok(found)
}

pub(super) async fn priors<D: Driver>(
    db: &Db<D>,
    image: ImageId,
    limit: usize,
) -> Result<Vec<Image>, DbError> {
    let mut sql = Sql::<D>::new(
        "select study.id as study, study.patient, instance.made_at, image.received_at",
    );
    sql.push(UP).push("join image on image.id = instance.image where instance.image = ");
    sql.arg(image.0);
    let place: Option<PlaceRow> = db.fetch_all(sql).await?.into_iter().next();
    let Some(place) = place else { return Ok(Vec::new()) };
    let mut sql = Sql::<D>::new("select ");
    sql.push(COLUMNS).push(
        " from study join series on series.study = study.id
            join instance on instance.series = series.id
            join image on image.id = instance.image left join finding on finding.image = image.id
          where image.state || '' not in ('superseded', 'removed') and study.patient = ",
    );
    sql.arg(place.patient).push(" and study.id <> ").arg(place.study);
    sql.push(" and (instance.made_at, image.received_at, image.id) < ");
    sql.rows([(place.made_at, place.received_at, image.0)]);
    sql.push(" order by instance.made_at desc, image.received_at desc, image.id desc limit ");
    sql.arg(rows(limit));
    let found: Vec<ImageRow> = db.fetch_all(sql).await?;
    Ok(found.into_iter().map(|row| row.image(db.unreadable())).collect())
}
