//! Searching studies, series and instances.
//!
//! The places of results come first: when their study was made and which row it is, up to the end of the page. They come from
//! ranges that are ordered already, one a site, of studies and of images of which nothing is known; or, where a condition names
//! few studies, from those. Then what is known of the results of the page is read, and their studies are counted.

mod conditions;
mod results;
mod unknown;

pub(in super::super) use self::results::SeriesRow;

use lobar_core::access::{SiteName, Sites};
use lobar_core::study::{Condition, Level, Results, Search, Uid};
use uuid::Uuid;

use self::conditions::{instances, names_few, studies};
use self::unknown::Unknown;
use super::super::store::rows;
use super::super::{Db, DbError, Driver, Sql};

/// A result's place.
#[derive(Clone, Copy)]
struct Place {
    made_at: i64,
    /// The study; the image itself where nothing is known of it.
    study: Uuid,
    /// The study, the series or the image.
    row: Uuid,
    known: bool,
}

pub(super) async fn find<D: Driver>(db: &Db<D>, search: &Search) -> Result<Results, DbError> {
    let none = Results { found: Vec::new(), more: false };
    if search.sites.is_empty() {
        return Ok(none);
    }
    let end = search.offset.saturating_add(search.limit);
    let mut places = Vec::new();
    for sites in ranges(search) {
        let known: Vec<(i64, Uuid, Uuid)> = db.fetch_all(known(search, &sites, end + 1)).await?;
        places.extend(known.into_iter().map(|(made_at, study, row)| Place {
            made_at,
            study,
            row,
            known: true,
        }));
        if let Some(unknown) = Unknown::of(search) {
            let found = unknown.find(db, &sites, end + 1).await?;
            places.extend(found.into_iter().map(|(made_at, image)| Place {
                made_at,
                study: image,
                row: image,
                known: false,
            }));
        }
    }
    // Stable: what one study holds stays in its order.
    places.sort_by_key(|place| std::cmp::Reverse((place.made_at, place.study)));
    let more = places.len() > end;
    let page: Vec<Place> = places.into_iter().take(end).skip(search.offset).collect();
    let found = results::read(db, search.level, &page).await?;
    Ok(Results { found, more })
}

/// Sites that are read together: each by itself, where studies are read in their order.
fn ranges(search: &Search) -> Vec<Sites> {
    match &search.sites {
        Sites::Only(sites) if !names_few(search) => sites.iter().cloned().map(Sites::one).collect(),
        sites => vec![sites.clone()],
    }
}

/// The places of what something is known of.
fn known<D: Driver>(search: &Search, sites: &Sites, limit: usize) -> Sql<D> {
    let mut sql = Sql::<D>::new(match search.level {
        Level::Study => {
            "select study.made_at, study.id, study.id from study
               join patient on patient.id = study.patient where "
        }
        Level::Series => {
            "select study.made_at, study.id, series.id from study
               join patient on patient.id = study.patient join series on series.study = study.id where "
        }
        Level::Instance => {
            "select study.made_at, study.id, instance.image from study
               join patient on patient.id = study.patient join series on series.study = study.id
               join instance on instance.series = series.id join image on image.id = instance.image where "
        }
    });
    sql.push("study.made_at is not null");
    if let Sites::Only(sites) = sites {
        sql.push(" and study.site in (").list(sites.iter().map(SiteName::as_str)).push(")");
    }
    studies(&mut sql, search);
    match search.level {
        Level::Study => {
            sql.push(
                " and exists (select 1 from series join instance on instance.series = series.id
                    join image on image.id = instance.image where series.study = study.id",
            );
            instances(&mut sql, search);
            sql.push(")");
        }
        Level::Series => {
            sql.push(
                " and exists (select 1 from instance join image on image.id = instance.image
                   where instance.series = series.id",
            );
            instances(&mut sql, search);
            sql.push(")");
        }
        Level::Instance => instances(&mut sql, search),
    }
    // Few are sorted; without the index a planner cannot hope to meet them early on its way through all.
    sql.push(match names_few(search) {
        true => " order by study.made_at + 0 desc, study.id desc",
        false => " order by study.made_at desc, study.id desc",
    });
    sql.push(match search.level {
        Level::Study => "",
        Level::Series => ", series.number is null, series.number, series.id",
        Level::Instance => {
            ", series.number is null, series.number, series.id, instance.number is null,
               instance.number, instance.image"
        }
    });
    sql.push(" limit ").arg(rows(limit));
    sql
}

/// The lists of UIDs that are asked for of a level.
fn uids(search: &Search, level: Level) -> impl Iterator<Item = &Vec<Uid>> {
    search.conditions.iter().filter_map(move |condition| match condition {
        Condition::Uids(of, uids) if *of == level => Some(uids),
        _ => None,
    })
}
