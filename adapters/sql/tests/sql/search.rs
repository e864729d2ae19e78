//! Searches of studies on PostgreSQL: what they read, how long, and what rows lack that are older than searches.

use std::time::Duration;

use lobar_core::access::{SiteName, Sites};
use lobar_core::study::{Condition, Level, Name, Pattern, Search, SearchError, Studies, Text, Uid};
use lobar_sql::postgres::Deferred;
use lobar_testkit::services::postgres::{Cluster, Database};
use tokio::time::timeout;

use super::load::fill;
use super::open;
use super::plans::{EXPLAINING, explained, mark};

/// Enough that a scan costs more than a range.
const STUDIES: u64 = 20_000;
/// How often each search runs, so that prepared statements come to their generic plans as well.
const TIMES: usize = 8;

fn search(level: Level, conditions: Vec<Condition>) -> Search {
    let sites = Sites::one(SiteName::parse("site7").expect("a name"));
    Search { level, sites, conditions, offset: 0, limit: 10 }
}

fn named(name: &str) -> Condition {
    Condition::Name(Name::Patient, Pattern::new(name))
}

/// Studies of an instance each, as a release before searches wrote them.
fn studies(database: &Database, count: u64) {
    let made = "1700000000000000 + n * 1000000";
    database.sql(&format!(
        "insert into patient (id, site, issuer, patient_id, name)
         select md5('patient' || n)::uuid, 'site' || n % 20, '', n::text, 'N\u{e4}me' || n || '^A'
         from generate_series(1, {count}) as n;
         insert into study (id, patient, uid)
         select md5('study' || n)::uuid, md5('patient' || n)::uuid, '1.2.' || n
         from generate_series(1, {count}) as n;
         insert into series (id, study, uid)
         select md5('series' || n)::uuid, md5('study' || n)::uuid, '1.3.' || n
         from generate_series(1, {count}) as n;
         insert into instance (image, series, uid, given_issuer, made_at)
         select id, md5('series' || n)::uuid, '1.4.' || n, '', {made}
         from (select id, row_number() over (order by id) as n from image where state = 'ready') as image
         where n <= {count}"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_read_index_ranges() {
    let cluster = Cluster::start(&EXPLAINING).await;
    let database = cluster.database();
    fill(&database, 2 * STUDIES);
    studies(&database, STUDIES);
    database.sql(
        "update study set site = patient.site, made_at = instance.made_at
         from patient, series, instance where patient.id = study.patient
           and series.study = study.id and instance.series = series.id;
         update patient set name_key = lower(name);
         update image set identified = 1 from instance where instance.image = image.id",
    );
    let store = open(&database.url()).await;
    Deferred::of_this_release().run(&store).await.expect("migrated");
    database.sql("vacuum (analyze) image, patient, study, series, instance");
    let since = mark(&database);
    let uid = |level, uid: &str| Condition::Uids(level, Uid::parse(uid).into_iter().collect());
    for level in [Level::Study, Level::Series, Level::Instance] {
        for conditions in [
            vec![],
            vec![Condition::Text(Text::PatientId, Pattern::new("27"))],
            vec![Condition::Text(Text::Accession, Pattern::new("27"))],
            vec![uid(Level::Study, "1.2.27")],
            vec![uid(Level::Series, "1.3.27")],
            vec![uid(Level::Instance, "1.4.27")],
        ] {
            for _ in 0..TIMES {
                store.search(&search(level, conditions.clone())).await.expect("searched");
            }
        }
    }
    store.close().await;
    let plans = explained(&database, since);
    assert!(plans.iter().any(|plan| plan.contains("study_by_site")));
    for plan in plans.iter().filter(|plan| plan.starts_with("select")) {
        let large = ["image", "patient", "study", "series", "instance"];
        let scans = |table: &&str| plan.contains(&format!("Seq Scan on {table} "));
        assert!(!large.iter().any(scans), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn studies_that_are_older_than_searches_are_found_without_a_deferred_migration() {
    let cluster = Cluster::start(&EXPLAINING).await;
    let database = cluster.database();
    let count = 1_200;
    fill(&database, 2 * count);
    studies(&database, count);
    let store = open(&database.url()).await;
    let one = search(Level::Instance, vec![named("NAME7^a")]);
    let found = store.search(&one).await.expect("searched").found;
    let uids: Vec<&str> = found
        .iter()
        .filter_map(|found| Some(found.attributes.study.uid.as_ref()?.as_str()))
        .collect();
    assert_eq!(uids, ["1.2.7"]);
    let all = Search { limit: 1_000, ..search(Level::Study, vec![named("name*")]) };
    assert_eq!(store.search(&all).await.expect("searched").found.len(), 60);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_takes_too_long_is_given_up_and_the_next_one_is_answered() {
    let cluster = Cluster::start(&EXPLAINING).await;
    let database = cluster.database();
    let store = open(&database.url()).await;
    let mut other = store.pools().write.begin().await.expect("begun");
    sqlx::query("lock table study").execute(&mut *other).await.expect("locked");
    let newest = search(Level::Study, vec![]);
    let answer = timeout(Duration::from_secs(60), store.search(&newest)).await.expect("in time");
    assert!(matches!(answer, Err(SearchError::TooLong)), "{answer:?}");
    other.rollback().await.expect("rolled back");
    assert!(store.search(&newest).await.expect("searched").found.is_empty());
    store.close().await;
}
