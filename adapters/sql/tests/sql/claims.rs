//! Claims on PostgreSQL beside another worker's transaction.

use lobar_core::image::{Lane, NewImage};
use lobar_core::object::ObjectVersion;
use lobar_core::store::{Claim, Store};
use lobar_testkit::services::postgres::Cluster;
use tokio::task::{block_in_place, spawn_blocking};
use tokio::time::sleep;

use crate::open;

/// A worker gives the image back, its attempt uncounted; the commit takes two seconds.
const GIVEN_BACK: &str = "begin;
  update image set state = 'queued', attempts = 0, fence = fence + 1;
  select pg_sleep(2);
  commit;";
const GIVING_BACK: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and query like '%select pg_sleep(2)%' and state = 'active'
      and pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_given_back_while_it_is_claimed_is_granted() {
    let cluster = Cluster::shared().await;
    let database = std::sync::Arc::new(cluster.database());
    let store = open(&database.url()).await;
    let object = ObjectVersion {
        bucket: "xrays".into(),
        key: "incoming/north/1.jpg".into(),
        version: Some("v1".into()),
        etag: None,
        sequencer: None,
        size: None,
    };
    let id = object.id();
    store.admit(&[NewImage { object, lane: Lane::Routine }]).await.expect("admitted");
    assert!(matches!(store.claim(&[id], 9).await.expect("claimed")[..], [Claim::Granted(_)]));
    let giving_back = spawn_blocking({
        let database = database.clone();
        move || database.sql(GIVEN_BACK)
    });
    while !giving_back.is_finished() && block_in_place(|| database.sql(GIVING_BACK)) != "1" {
        sleep(std::time::Duration::from_millis(10)).await;
    }
    let claims = store.claim(&[id], 9).await.expect("claimed");
    giving_back.await.expect("committed");
    assert!(matches!(claims[..], [Claim::Granted(_)]), "{claims:?}");
    store.close().await;
}
