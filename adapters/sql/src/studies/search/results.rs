//! What is known of the results of a page.

use std::collections::{BTreeMap, BTreeSet};

use lobar_core::object::ImageId;
use lobar_core::study::{
    Found, Identity, Instance, Level, OTHER_MODALITY, Series, day_of, made, time_of,
};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::super::{BATCH, Db, DbError, Driver, Sql};
use super::super::read;
use super::Place;

/// A series that has instances.
#[derive(sqlx::FromRow)]
pub struct SeriesRow {
    study: Uuid,
    series: Uuid,
    uid: String,
    modality: Option<String>,
    instances: i64,
    /// The newest of them.
    image: Option<Uuid>,
}

pub(super) async fn read<D: Driver>(
    db: &Db<D>,
    level: Level,
    page: &[Place],
) -> Result<Vec<Found>, DbError> {
    let studies: BTreeSet<Uuid> =
        page.iter().filter(|place| place.known).map(|place| place.study).collect();
    let mut series: BTreeMap<Uuid, Vec<SeriesRow>> = BTreeMap::new();
    for row in series_of(db, studies.into_iter().collect()).await? {
        series.entry(row.study).or_default().push(row);
    }
    let image = |place: &Place| match (level, place.known) {
        (Level::Instance, _) | (_, false) => Some(place.row),
        (Level::Study, _) => series.get(&place.study)?.iter().find_map(|row| row.image),
        (Level::Series, _) => {
            series.get(&place.study)?.iter().find(|row| row.series == place.row)?.image
        }
    };
    let images: Vec<Option<Uuid>> = page.iter().map(image).collect();
    let ids: Vec<ImageId> = images.iter().flatten().copied().map(ImageId).collect();
    let known = read::of(db, &ids).await?;
    let mut found = Vec::with_capacity(page.len());
    for (place, image) in page.iter().zip(images) {
        // What went meanwhile is no result.
        let Some(image) = image.map(ImageId) else { continue };
        let identity = match place.known {
            true => known.get(&image).cloned(),
            false => Some(Identity::of_image(image, Stamp(place.made_at))),
        };
        let Some(identity) = identity else { continue };
        let rows = series.get(&place.study).map(Vec::as_slice).unwrap_or_default();
        found.push(result(level, place, image, identity, rows));
    }
    Ok(found)
}

fn result(
    level: Level,
    place: &Place,
    image: ImageId,
    identity: Identity,
    series: &[SeriesRow],
) -> Found {
    let mut attributes = identity.attributes;
    let dated_by_receipt = attributes.study.date.is_none();
    if dated_by_receipt {
        let made_at = Stamp(place.made_at);
        attributes.study.date = Some(day_of(made_at));
        attributes.study.time = Some(time_of(made_at));
    }
    made(&mut attributes);
    let count = |row: &SeriesRow| u64::try_from(row.instances).unwrap_or(0);
    let own: Option<&SeriesRow> = series.iter().find(|row| match level {
        Level::Study => false,
        Level::Series => row.series == place.row,
        Level::Instance => {
            attributes.series.uid.as_ref().is_some_and(|uid| uid.as_str() == row.uid)
        }
    });
    let modality =
        |row: &SeriesRow| row.modality.clone().unwrap_or_else(|| OTHER_MODALITY.to_owned());
    let mut modalities: BTreeSet<String> = series.iter().map(modality).collect();
    if !place.known {
        modalities.extend(attributes.series.modality.clone());
    }
    let at_least = |count: u64| if place.known { count } else { 1 };
    let instances_in_series = at_least(own.map_or(0, count));
    if level == Level::Study {
        attributes.series = Series::default();
    }
    if level != Level::Instance {
        attributes.instance = Instance::default();
    }
    Found {
        attributes,
        dated_by_receipt,
        image,
        modalities: modalities.into_iter().collect(),
        series_in_study: at_least(series.len() as u64),
        instances_in_study: at_least(series.iter().map(count).sum()),
        instances_in_series: if level == Level::Study { 0 } else { instances_in_series },
    }
}

/// The series of these studies, with their instances counted.
async fn series_of<D: Driver>(db: &Db<D>, studies: Vec<Uuid>) -> Result<Vec<SeriesRow>, DbError> {
    let mut series = Vec::new();
    for batch in studies.chunks(BATCH) {
        let mut sql = Sql::<D>::new(
            "select series.study, series.id as series, series.uid, series.modality, count(*) as instances,
               (select other.image from instance as other join image as shown on shown.id = other.image
                 where other.series = series.id and shown.state || '' not in ('superseded', 'removed')
                 order by shown.received_at desc, shown.id desc limit 1) as image
             from series join instance on instance.series = series.id
               join image on image.id = instance.image
             where image.state || '' not in ('superseded', 'removed') and series.study in (",
        );
        sql.list(batch.iter().copied());
        sql.push(
            ") group by series.study, series.id, series.uid, series.modality, series.number
               order by series.number is null, series.number, series.id",
        );
        series.extend(db.fetch_all::<SeriesRow>(sql).await?);
    }
    Ok(series)
}
