//! A million images in SQLite: how long a page of the newest takes. Takes a minute and 1 GB of disk:
//!
//!     LOBAR_IMAGES=1000000 cargo test --release -p lobar-sql --test sql -- \
//!       --ignored --nocapture sqlite_pages_of_the_newest

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lobar_core::access::{SiteName, Sites};
use lobar_core::study::{Level, Search, Studies as _};
use lobar_core::time::SystemClock;
use lobar_sql::sqlite;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

/// Pages of each kind.
const PAGES: usize = 50;

/// Of four images three are instances of studies, and of the fourth nothing is known; twenty sites.
async fn fill(file: &Path, images: u64) {
    let mut database =
        SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.expect("opens");
    let at = "1700000000000000 + n * 3000000";
    let script = format!(
        "pragma synchronous = off; pragma foreign_keys = off;
         begin;
         create temp table made as
           with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {images})
           select n, randomblob(16) as image, randomblob(16) as patient, randomblob(16) as study,
             randomblob(16) as series, 'site' || n % 20 as site, {at} as at from numbers;
         insert into image (id, key_id, bucket, key, version, etag, size, site, lane, state, flag,
             attempts, fence, received_at, finished_at, touched_at, identified)
           select image, image, 'xrays', 'incoming/' || site || '/' || n || '.jpg', 'v1', n, 900000, site,
             'routine', 'ready', 'no', 1, 2, at, at + 5000000, at + 5000000, n % 4 > 0 from made;
         insert into patient (id, site, issuer, patient_id, name, name_key)
           select patient, site, '', n, 'Name' || n || '^A', 'name' || n || '^a' from made where n % 4 > 0;
         insert into study (id, patient, uid, site, made_at)
           select study, patient, '1.2.' || n, site, at from made where n % 4 > 0;
         insert into series (id, study, uid, modality)
           select series, study, '1.3.' || n, 'CR' from made where n % 4 > 0;
         insert into instance (image, series, uid, site, given_issuer, made_at)
           select image, series, '1.4.' || n, site, '', at from made where n % 4 > 0;
         commit; drop table made;"
    );
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut database).await.expect("filled");
    database.close().await.expect("closes");
}

#[tokio::test]
#[ignore = "a measurement: a minute, and a gigabyte of disk"]
async fn sqlite_pages_of_the_newest() {
    let images =
        std::env::var("LOBAR_IMAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lobar.db");
    let open = || sqlite::open(&file, Arc::new(SystemClock));
    open().await.expect("opens").close().await;
    fill(&file, images).await;
    let store = open().await.expect("opens");
    let one = Sites::one(SiteName::parse("site7").expect("a name"));
    println!("| newest of {images} images | p50 ms | longest ms |\n|---|---|---|");
    for level in [Level::Study, Level::Series, Level::Instance] {
        for (of, sites) in [("all sites", Sites::All), ("one site", one.clone())] {
            let mut times: Vec<f64> = Vec::new();
            for page in 0..PAGES {
                let search = Search {
                    level,
                    sites: sites.clone(),
                    conditions: vec![],
                    offset: page * 100,
                    limit: 100,
                };
                let began = Instant::now();
                let found = store.search(&search).await.expect("searched").found;
                times.push(began.elapsed().as_secs_f64() * 1e3);
                assert_eq!(found.len(), 100);
            }
            times.sort_by(f64::total_cmp);
            println!("| {level:?}, {of} | {:.1} | {:.1} |", times[PAGES / 2], times[PAGES - 1]);
        }
    }
    store.close().await;
}
