//! Claims whose commit nobody heard of: the image is given back, and none of it counts as an attempt.

use std::time::{Duration, Instant};

use lobar_core::image::{Lane, NewImage};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Claim, Store};
use lobar_testkit::services::postgres::Cluster;
use lobar_testkit::services::proxy::{Proxy, Weather};
use tokio::task::block_in_place;
use tokio::time::sleep;
use uuid::Uuid;

use crate::open;

const PATIENCE: Duration = Duration::from_secs(60);

/// Commits of claims take until the disk is there: as long as a slow one would.
const LATE: &str = "create table disk (there boolean);
  create function late() returns trigger language plpgsql as $$
    begin
      while new.state = 'analysing' and not exists (select from disk) loop
        perform pg_sleep(0.01);
      end loop;
      return null;
    end $$;
  create constraint trigger late after insert on event deferrable initially deferred
    for each row execute function late()";

/// How many commits are under way at the server.
const COMMITTING: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and query = 'commit' and state = 'active'";

/// The connection goes while the server commits, and the commit comes about all the same: perhaps only after
/// the next claim has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_commit_outlives_its_connection_costs_no_attempt() {
    let cluster = Cluster::shared().await;
    let database = cluster.database();
    block_in_place(|| database.sql(LATE));
    let server = format!("127.0.0.1:{}", cluster.port()).parse().expect("an address");
    for away in [false, true] {
        block_in_place(|| database.sql("delete from disk"));
        let proxy = Proxy::open(server).await;
        let url = database.url_through(proxy.address.port());
        let store = open(&url).await;
        let object = ObjectVersion {
            bucket: "xrays".into(),
            key: format!("incoming/north/{away}.jpg"),
            version: Some("v1".into()),
            etag: None,
            sequencer: None,
            size: None,
        };
        let id = object.id();
        store.admit(&[NewImage { object, lane: Lane::Routine }]).await.expect("admitted");
        let claiming = {
            let store = store.clone();
            tokio::spawn(async move { store.claim(&[id], 9).await.is_ok() })
        };
        let began = Instant::now();
        while block_in_place(|| database.sql(COMMITTING)) != "1" {
            assert!(began.elapsed() < PATIENCE, "it never commits");
            sleep(Duration::from_millis(10)).await;
        }
        match away {
            false => proxy.cut(),
            true => proxy.set(Weather::Down),
        }
        assert!(!claiming.await.expect("ended"), "nobody heard of it");
        proxy.set(Weather::Fair);
        // Two at once: neither may go ahead of what the other takes back.
        let stranger = ImageId(Uuid::from_u128(1));
        let commits = async {
            // Claims that were begun wait for it by now, or find it done.
            sleep(Duration::from_millis(100)).await;
            block_in_place(|| database.sql("insert into disk values (true)"));
        };
        let (other, ours, ()) = tokio::join!(claim(&*store, stranger), claim(&*store, id), commits);
        assert_eq!(other, Claim::Unknown);
        match ours {
            Claim::Granted(claimed) => assert_eq!(claimed.attempt, 1, "away: {away}"),
            other => panic!("not granted: {other:?}"),
        }
        store.close().await;
    }
}

/// Claims until the store answers, as a worker does that gets the job again.
async fn claim(store: &dyn Store, id: ImageId) -> Claim {
    let began = Instant::now();
    loop {
        match store.claim(&[id], 9).await {
            Ok(mut claims) => return claims.remove(0),
            Err(error) => assert!(began.elapsed() < PATIENCE, "never answered: {error}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}
