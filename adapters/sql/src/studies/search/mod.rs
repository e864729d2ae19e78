//! Searching studies, series and instances.
//!
//! The places of results come first: when their study was made and which row it is, up to the end of the page. They come from
//! ranges that are ordered already, one a site, of studies and of images of which nothing is known; or, where a condition names
//! few studies, from those. Then what is known of the results of the page is read, and their studies are counted.

mod conditions;
mod fill;
mod results;
mod unknown;

pub(in super::super) use self::results::SeriesRow;

use std::time::{Duration, Instant};

use lobar_core::access::{SiteName, Sites};
use lobar_core::study::{Condition, Level, Results, Search, Uid};
use uuid::Uuid;

use self::conditions::{instances, names_a_range, names_few, studies};
use self::unknown::Unknown;
use super::super::store::rows;
use super::super::{Db, DbError, Driver, Sql};

/// How long the places of results may be looked for: what takes longer has most of the database read.
const LIMIT: Duration = Duration::from_secs(5);

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
    fill::fill(db, LIMIT, search).await?;
    let begun = Instant::now();
    let left = || LIMIT.saturating_sub(begun.elapsed());
    let end = search.offset.saturating_add(search.limit);
    let mut places = Vec::new();
    for sites in ranges(search) {
        let known: Vec<(i64, Uuid, Uuid)> =
            db.fetch_all_within(left(), known(search, &sites, end + 1)).await?;
        places.extend(known.into_iter().map(|(made_at, study, row)| Place {
            made_at,
            study,
            row,
            known: true,
        }));
        if let Some(unknown) = Unknown::of(search) {
            let found = unknown.find(db, left(), &sites, end + 1).await?;
            places.extend(found.into_iter().map(|(made_at, image)| Place {
                made_at,
                study: image,
                row: image,
                known: false,
            }));
        }
        // Stable: what one study holds stays in its order. However many sites there are, no more than a page's end is held.
        places.sort_by_key(|place| std::cmp::Reverse((place.made_at, place.study)));
        places.truncate(end + 1);
    }
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
        Level::Study => "select study.made_at, study.id, study.id from study",
        Level::Series => "select study.made_at, study.id, series.id from study",
        Level::Instance => "select study.made_at, study.id, instance.image from study",
    });
    // Few are found by what names them: SQLite knows no better than to read the site's studies in their order.
    let few = names_few(search);
    if !few && !names_a_range(search) {
        sql.by_index(match sites {
            Sites::All => "study_newest",
            Sites::Only(_) => "study_by_site",
        });
    }
    // Studies come in their order, or few of them: what they hold is looked up for each.
    let joined = [
        (Level::Study, "patient on patient.id = study.patient"),
        (Level::Series, "series on series.study = study.id"),
        (Level::Instance, "instance on instance.series = series.id"),
        (Level::Instance, "image on image.id = instance.image"),
    ];
    for (_, table) in joined.into_iter().filter(|(level, _)| *level <= search.level) {
        sql.push(D::JOIN_IN_ORDER).push(table);
    }
    sql.push(" where ");
    sql.push(if few { "study.made_at + 0 is not null" } else { "study.made_at is not null" });
    if let Sites::Only(sites) = sites {
        sql.push(if few { " and study.site || '' in (" } else { " and study.site in (" })
            .list(sites.iter().map(SiteName::as_str))
            .push(")");
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
    sql.push(match few {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::study::{Condition, Pattern, Text};
    use lobar_core::time::{Stamp, SystemClock};
    use sqlx::Sqlite;

    use super::*;

    async fn open(folder: &tempfile::TempDir) -> Db<Sqlite> {
        let file = folder.path().join("lobar.db");
        crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database")
    }

    async fn plan(db: &Db<Sqlite>, sql: Sql<Sqlite>) -> String {
        let lines: Vec<(i64, i64, i64, String)> =
            db.fetch_all(sql.explained()).await.expect("a plan");
        lines.into_iter().map(|(.., line)| line + "\n").collect()
    }

    #[tokio::test]
    async fn sqlite_reads_index_ranges_for_the_newest_those_of_a_patient_and_those_of_a_uid() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let db = open(&folder).await;
        let north = Sites::one(SiteName::parse("north").expect("a name"));
        let patient = Condition::Text(Text::PatientId, Pattern::new("7"));
        let accession = Condition::Text(Text::Accession, Pattern::new("AB*"));
        let uid = |level| Condition::Uids(level, Uid::parse("1.2").into_iter().collect());
        let searches = [
            (vec![], north.clone(), "study USING INDEX study_by_site (site=?"),
            (vec![], Sites::All, "study USING INDEX study_newest"),
            (vec![accession], Sites::All, "study_by_accession (accession>? AND accession<?"),
            (vec![patient.clone()], north.clone(), "patient_by_id (patient_id=?)"),
            (vec![uid(Level::Study)], north.clone(), "study_by_uid (uid=?)"),
            (vec![uid(Level::Series)], north.clone(), "series_by_uid (uid=?)"),
            (vec![uid(Level::Instance)], north.clone(), "instance_by_own_uid (uid=?)"),
        ];
        for (level, (conditions, sites, index)) in [Level::Study, Level::Series, Level::Instance]
            .into_iter()
            .flat_map(|level| searches.iter().map(move |one| (level, one.clone())))
        {
            let narrowed = !conditions.is_empty();
            let search = Search { level, sites: sites.clone(), conditions, offset: 0, limit: 10 };
            let plan = plan(&db, known(&search, &sites, 11)).await;
            assert!(plan.contains(index) && !plan.contains("SCAN"), "{level:?} {index}: {plan}");
            let sorted = plan.contains("USE TEMP B-TREE FOR ORDER BY");
            assert!(narrowed || !sorted, "{plan}");
        }
    }

    #[tokio::test]
    async fn sqlite_reads_the_newest_images_of_which_nothing_is_known_off_an_index() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let db = open(&folder).await;
        let north = Sites::one(SiteName::parse("north").expect("a name"));
        let today = Condition::Made(Stamp(5), Stamp(10));
        for (sites, conditions, range) in [
            (Sites::All, vec![], "SCAN image USING INDEX image_unidentified"),
            (
                Sites::All,
                vec![today.clone()],
                "image_unidentified (received_at>? AND received_at<?",
            ),
            (north.clone(), vec![], "image_unidentified_by_site (site=?"),
            (north, vec![today], "image_unidentified_by_site (site=? AND received_at>?"),
        ] {
            let level = Level::Instance;
            let search = Search { level, sites, conditions, offset: 0, limit: 10 };
            let unknown = Unknown::of(&search).expect("some may match");
            let plan = plan(&db, unknown.statement(&search.sites, 11)).await;
            assert!(plan.contains(range) && !plan.contains("TEMP B-TREE"), "{range}: {plan}");
        }
    }

    #[tokio::test]
    async fn sqlite_gives_up_what_takes_longer_and_reads_on() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let db = open(&folder).await;
        let endless = "with recursive n (i) as (select 1 union all select i + 1 from n)
             select i, i from n where i < 0";
        for _ in 0..10 {
            let read = db.fetch_all_within::<(i64, i64)>(Duration::ZERO, Sql::new(endless)).await;
            assert!(read.expect_err("given up").is_out_of_time());
        }
        let long = "with recursive n (i) as (select 1 union all select i + 1 from n limit 100000)
             select max(i), 1 from n";
        let read: Vec<(i64, i64)> = db.fetch_all(Sql::new(long)).await.expect("read");
        assert_eq!(read, [(100_000, 1)]);
    }
}
