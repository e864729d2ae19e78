//! A server that rejects results for good: one image's by a trigger, everybody's by another release's schema.

use lobar_core::image::{Lane, Reason, State};
use lobar_core::object::ImageId;
use lobar_testkit::services::postgres::{Cluster, Database};
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine};

/// A system whose store and queues are in a database of its own, and images with their jobs.
async fn open(images: u32) -> (Database, Rig, Vec<ImageId>) {
    let database = Cluster::shared().await.database();
    let url = database.url();
    let rig = Rig::open_on(Some(&url), Some(&url)).await;
    let mut admitted = Vec::new();
    for seed in 0..images {
        let picture = kit::radiograph_jpeg(320, 300, seed);
        let key = format!("incoming/north/{seed}.jpg");
        admitted.push(rig.admit(&key, Lane::Routine, picture).await);
    }
    (database, rig, admitted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_a_trigger_rejects_ends_in_quarantine_and_the_others_are_ready() {
    let (database, rig, images) = open(6).await;
    let victim = images[2];
    database.sql(&format!(
        "create function test() returns trigger language plpgsql as $$
         begin
           if new.image = '{victim}' then raise exception 'as told'; end if;
           return new;
         end $$;
         create trigger test before insert on finding for each row execute function test();"
    ));
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    for image in &images {
        let image = rig.image(*image).await;
        let (state, reason, attempts) = match image.id == victim {
            true => (State::Failed, Some(Reason::RepeatedFailure), 5),
            false => (State::Ready, None, 1),
        };
        assert_eq!((image.state, image.reason, image.attempts), (state, reason, attempts));
    }
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_rejects_every_result_is_waited_out_and_costs_no_image() {
    let (database, rig, images) = open(6).await;
    database.sql("alter table finding add column later text not null");
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    let rejections = "lobar_worker_rejections_total";
    rig.until("many were rejected", async || working.metric(rejections) >= 30.0).await;
    database.sql("alter table finding drop column later");
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 6);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}
