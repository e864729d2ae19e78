//! Migrations: once however many start, newer schemas, and the long ones.

use std::borrow::Cow;
use std::sync::Arc;

use lobar_core::access::Sites;
use lobar_core::image::{Lane, NewImage, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::queue::{Outgoing, Queue};
use lobar_core::store::{Basis, Claim, Completion, Filter, Outcome, Store};
use lobar_core::time::SystemClock;
use lobar_sql::postgres::{self, Deferred, DeferredError, PgStore};
use lobar_testkit::services::postgres::Cluster;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType};

async fn open(url: &str) -> PgStore {
    postgres::open(url, Arc::new(SystemClock)).await.expect("opens")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_migrate_once() {
    let database = Cluster::shared().await.empty_database();
    let url = database.url();
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move {
                let db = open(&url).await;
                let ran = db.migrated().to_vec();
                db.overview().await.expect("the schema is there for everyone");
                db.close().await;
                ran
            })
        })
        .collect();
    let mut ran = Vec::new();
    for opening in opening {
        ran.extend(opening.await.expect("opened"));
    }
    let there = database.sql("select count(*) from _sqlx_migrations where success");
    assert_eq!(ran.len().to_string(), there, "each was run by one of them: {ran:?}");
    assert!(ran.iter().any(|name| name == "0001 images events queues"), "{ran:?}");
}

#[tokio::test]
async fn a_database_that_takes_no_changes_yet_is_worth_another_try() {
    let cluster = Cluster::shared().await;
    for database in [cluster.database(), cluster.empty_database()] {
        let url = database.url() + "&options[default_transaction_read_only]=on";
        let opened = postgres::open(&url, Arc::new(SystemClock)).await;
        let error = opened.err().expect("nothing can be written");
        assert!(error.is_transient(), "{error:?}");
    }
}

/// One image's whole life, and one message's.
async fn works(db: &PgStore, key: &str) {
    let object = ObjectVersion {
        bucket: "xrays".into(),
        key: key.into(),
        version: Some("v1".into()),
        etag: None,
        sequencer: None,
        size: None,
    };
    let id: ImageId = object.id();
    db.admit(&[NewImage { object, lane: Lane::Routine }]).await.expect("admitted");
    let Claim::Granted(claimed) = db.claim(&[id], 3).await.expect("claimed").remove(0) else {
        panic!("granted")
    };
    let outcome =
        Outcome::NeedsHuman { reason: lobar_core::image::Reason::Blank, detail: String::new() };
    let done =
        Completion { id, fence: claimed.fence, outcome, trace: None, basis: Basis::default() };
    assert_eq!(db.complete(&[done]).await.expect("completed"), [true]);
    let filter = Filter { states: vec![State::NeedsHuman], ..Filter::at(Sites::All) };
    let page = db.list(&filter, None, 1_000).await.expect("listed");
    assert!(
        page.items.iter().any(|image| image.id == id) && page.total as usize == page.items.len()
    );
}

#[tokio::test]
async fn a_schema_that_a_newer_release_expanded_still_serves_this_one() {
    let database = Cluster::shared().await.database();
    let older = open(&database.url()).await;
    works(&older, "incoming/north/before.jpg").await;
    database.sql(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
           values (9001, 'of a newer release', true, '\\x00', 1);
         alter table image add column study text;
         alter table event add column site text default 'nowhere';
         alter table message add column tenant bytea;
         create table visit (id text primary key);
         create index image_study on image (study)",
    );
    // One that runs already, with statements prepared before, and one that starts.
    works(&older, "incoming/north/after.jpg").await;
    let started = open(&database.url()).await;
    assert!(started.migrated().is_empty());
    works(&started, "incoming/north/anew.jpg").await;
    let started = Arc::new(started);
    let queue = postgres::PgQueue::new(started.clone(), "jobs");
    queue.send(vec![Outgoing::now("a")]).await.remove(0).expect("sent");
    assert_eq!(queue.depth().await.expect("counted").ready, 1);
    older.close().await;
    started.close().await;
}

#[tokio::test]
async fn a_migration_that_was_edited_is_refused() {
    let database = Cluster::shared().await.database();
    database.sql("update _sqlx_migrations set checksum = '\\x00' where version = 1");
    let refused = postgres::open(&database.url(), Arc::new(SystemClock)).await;
    let text = refused.err().expect("refused").to_string();
    assert!(text.contains('1') && text.contains("modified"), "{text}");
}

fn migration(version: i64, sql: &'static str) -> Migration {
    let description = Cow::Borrowed("long one");
    Migration::new(version, description, MigrationType::Simple, sql.into_sql_str(), true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_migrations_run_beside_the_system_and_begin_again_where_they_failed() {
    let database = Cluster::shared().await.database();
    let db = Arc::new(open(&database.url()).await);
    let index = "drop index concurrently if exists image_lane_late;\n\
                 create index concurrently image_lane_late on image (lane);\n";
    let broken = "create index concurrently if not exists event_late on event (at);\n\
                  create index concurrently nonsense on nowhere (a);\n";
    let mended = "drop index concurrently if exists event_late;\n\
                  create index concurrently event_late on event (at);\n";

    let first = Deferred::new(vec![migration(1, index), migration(2, broken)]);
    assert_eq!(first.pending(&db).await.expect("asked").len(), 2);
    let writing = {
        let db = db.clone();
        tokio::spawn(async move {
            for n in 0..30 {
                works(&db, &format!("incoming/north/{n}.jpg")).await;
            }
        })
    };
    let failed = first.run(&db).await.expect_err("the second fails");
    assert!(matches!(failed, DeferredError::Failed { statement: 2, .. }), "{failed}");
    writing.await.expect("the system ran on meanwhile");
    assert_eq!(first.pending(&db).await.expect("asked"), ["0002 long one"]);

    let second = Deferred::new(vec![migration(1, index), migration(2, mended)]);
    assert_eq!(second.run(&db).await.expect("ran"), ["0002 long one"]);
    assert!(second.run(&db).await.expect("nothing left").is_empty());
    let valid = database.sql(
        "select count(*) from pg_index where indisvalid
           and indexrelid in ('image_lane_late'::regclass, 'event_late'::regclass)",
    );
    assert_eq!(valid, "2");

    let edited = Deferred::new(vec![migration(1, "select 1;\n")]);
    assert!(matches!(edited.pending(&db).await, Err(DeferredError::Edited(_))));
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_migrations_are_run_by_one_process_and_the_other_is_told() {
    let database = Cluster::shared().await.database();
    let db = Arc::new(open(&database.url()).await);
    let long = || Deferred::new(vec![migration(1, "select pg_sleep(2);\n")]);
    let running = {
        let db = db.clone();
        tokio::spawn(async move { long().run(&db).await })
    };
    // Both start at about the same time: one of them finds the other.
    let other = loop {
        let locked = database.sql(
            "select count(*) from pg_locks where locktype = 'advisory' and classid = 1280262721
               and database = (select oid from pg_database where datname = current_database())",
        );
        if locked == "1" {
            break long().run(&db).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(matches!(other, Err(DeferredError::Busy)), "{other:?}");
    assert_eq!(running.await.expect("ended").expect("ran").len(), 1);
    db.close().await;
}

#[tokio::test]
async fn the_release_s_own_deferred_migrations_run_and_then_none_is_pending() {
    let database = Cluster::shared().await.database();
    let db = open(&database.url()).await;
    let deferred = Deferred::of_this_release();
    let ran = deferred.run(&db).await.expect("ran");
    assert!(deferred.pending(&db).await.expect("asked").is_empty(), "after {ran:?}");
    let unproven = database.sql("select conname from pg_constraint where not convalidated");
    assert_eq!(unproven, "", "every constraint holds for every row");
    db.close().await;
}
