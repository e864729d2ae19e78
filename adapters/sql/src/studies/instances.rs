//! The instances of a study by their UIDs, and images of which nothing is known by those that are made of their ids.

use std::collections::HashMap;

use lobar_core::access::{SiteName, Sites};
use lobar_core::image::{Image, State};
use lobar_core::object::ImageId;
use lobar_core::study::{Identity, Place, Stored, Uids};
use uuid::Uuid;

use super::super::store::{images, rows};
use super::super::{Db, DbError, Driver, Sql};
use super::read;

pub(super) async fn find<D: Driver>(
    db: &Db<D>,
    sites: &Sites,
    place: &Place,
    limit: usize,
) -> Result<Vec<Stored>, DbError> {
    if sites.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::<D>::new(
        "select instance.image from study join series on series.study = study.id
            join instance on instance.series = series.id join image on image.id = instance.image
         where image.state || '' not in ('superseded', 'removed') and study.uid = ",
    );
    sql.arg(place.study.as_str());
    if let Some(series) = &place.series {
        sql.push(" and series.uid = ").arg(series.as_str());
    }
    if let Some(instance) = &place.instance {
        sql.push(" and instance.uid = ").arg(instance.as_str());
    }
    if let Sites::Only(sites) = sites {
        sql.push(" and image.site in (").list(sites.iter().map(SiteName::as_str)).push(")");
    }
    // Databases order nulls differently: what has no number comes last.
    sql.push(
        " order by series.number is null, series.number, instance.number is null,
            instance.number, instance.image limit ",
    );
    sql.arg(rows(limit));
    let ids: Vec<(Uuid,)> = db.fetch_all(sql).await?;
    if ids.is_empty() {
        return Ok(unknown(db, sites, place).await?.into_iter().take(limit).collect());
    }
    let ids: Vec<ImageId> = ids.into_iter().map(|(id,)| ImageId(id)).collect();
    let mut known = read::of(db, &ids).await?;
    let mut found: HashMap<ImageId, Image> = HashMap::new();
    found.extend(images(db, &ids).await?.into_iter().map(|image| (image.id, image)));
    let stored = |id| Some(Stored { image: found.remove(id)?, identity: known.remove(id)? });
    Ok(ids.iter().filter_map(stored).collect())
}

/// The image whose id the UIDs are made of, if nothing is known of it.
async fn unknown<D: Driver>(
    db: &Db<D>,
    sites: &Sites,
    place: &Place,
) -> Result<Option<Stored>, DbError> {
    let Some(id) = Uids::image_of(&place.study) else { return Ok(None) };
    let uids = Uids::of_image(id);
    let is_asked = |asked: &Option<_>, own| asked.as_ref().is_none_or(|asked| asked == own);
    if !is_asked(&place.series, &uids.series) || !is_asked(&place.instance, &uids.instance) {
        return Ok(None);
    }
    let Some(image) = images(db, &[id]).await?.pop() else { return Ok(None) };
    let is_finished = matches!(image.state, State::Ready | State::NeedsHuman);
    if !is_finished || !sites.include(image.object.site()) || !read::of(db, &[id]).await?.is_empty()
    {
        return Ok(None);
    }
    let identity = Identity::of_image(id, image.received_at);
    Ok(Some(Stored { image, identity }))
}
