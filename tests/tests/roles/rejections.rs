//! A database that rejects what is written about one image for good.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lobar_core::image::{Image, Lane, Reason, State};
use lobar_core::object::ImageId;
use lobar_core::queue::Settlement;
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine, Working};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

async fn execute(database: &Path, sql: &str) {
    let mut database =
        SqliteConnection::connect(&format!("sqlite:{}", database.display())).await.expect("opens");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut database).await.expect("done");
    database.close().await.expect("closes");
}

/// An SQL literal.
fn literal(image: ImageId) -> String {
    format!("x'{}'", image.0.simple())
}

/// A worker that counts its batches.
fn work(rig: &Rig) -> (Working, Arc<AtomicUsize>) {
    let batches = Arc::new(AtomicUsize::new(0));
    let counted = batches.clone();
    let engine = ScriptedEngine::new(move |batch| {
        counted.fetch_add(1, Ordering::SeqCst);
        ScriptedEngine::answer(batch)
    });
    (rig.work(engine, Rig::worker_settings()), batches)
}

async fn admit(rig: &Rig, seeds: std::ops::Range<u32>) -> Vec<ImageId> {
    let mut images = Vec::new();
    for seed in seeds {
        let picture = kit::radiograph_jpeg(320, 300, seed);
        images.push(rig.admit(&format!("incoming/north/{seed}.jpg"), Lane::Routine, picture).await);
    }
    images
}

fn assert_in_quarantine(image: &Image) {
    assert_eq!((image.state, image.reason), (State::Failed, Some(Reason::RepeatedFailure)));
    assert_eq!(image.attempts, 5, "each try was counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_the_store_rejects_for_good_ends_in_quarantine_after_counted_tries() {
    let rig = Rig::open().await;
    let trigger =
        "create trigger test before insert on finding begin select raise(abort, 'as told'); end";
    execute(&rig.database(), trigger).await;
    let images = admit(&rig, 0..1).await;
    let (working, batches) = work(&rig);
    rig.until_quiet().await;
    assert_in_quarantine(&rig.image(images[0]).await);
    assert_eq!(batches.load(Ordering::SeqCst), 5, "computed once a try");
    assert_eq!(working.metric_of("lobar_worker_rejections_total", "complete"), 5.0);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_of_the_batch_do_not_suffer_for_a_rejected_result() {
    let rig = Rig::open().await;
    let images = admit(&rig, 0..8).await;
    let victim = literal(images[3]);
    let trigger = format!(
        "create trigger test before insert on finding when new.image = {victim}
         begin select raise(abort, 'as told'); end"
    );
    execute(&rig.database(), &trigger).await;
    let (working, _) = work(&rig);
    rig.until_quiet().await;
    for (seed, image) in images.iter().enumerate() {
        let image = rig.image(*image).await;
        match seed {
            3 => assert_in_quarantine(&image),
            _ => assert_eq!((image.state, image.attempts), (State::Ready, 1)),
        }
    }
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_rejects_every_result_for_a_while_costs_few_attempts_and_no_image() {
    let rig = Rig::open().await;
    let trigger =
        "create trigger test before insert on finding begin select raise(abort, 'as told'); end";
    execute(&rig.database(), trigger).await;
    let images = admit(&rig, 0..8).await;
    let (working, _) = work(&rig);
    let rejections = "lobar_worker_rejections_total";
    rig.until("many were rejected", async || working.metric(rejections) >= 40.0).await;
    execute(&rig.database(), "drop trigger test").await;
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 8);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_whose_image_nothing_can_be_written_is_put_aside_with_a_reason() {
    let rig = Rig::open().await;
    let images = admit(&rig, 0..4).await;
    let victim = literal(images[1]);
    let trigger = format!(
        "create trigger test before update on image when new.id = {victim}
         begin select raise(abort, 'as told'); end"
    );
    execute(&rig.database(), &trigger).await;
    let (working, _) = work(&rig);
    rig.until("its job is put aside", async || rig.depth(Lane::Routine).await.dead == 1).await;
    rig.until("the others are ready", async || rig.count(State::Ready).await == 3).await;
    let dead = rig.jobs.routine.dead.lock().expect("nobody panicked").clone();
    assert_eq!(dead[0].0, "the store rejects every claim of this image");
    assert_eq!(working.metric_of("lobar_worker_dead_letters_total", "claim_rejected"), 1.0);
    // Once the store takes it again, the sweeper's next job for it is worked on as any other.
    execute(&rig.database(), "drop trigger test").await;
    rig.send(images[1], Lane::Routine).await;
    rig.until_quiet().await;
    assert_eq!(rig.count(State::Ready).await, 4);
    rig.assert_each_ended_once(&images).await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_the_sweeper_cannot_mark_keeps_no_other_from_its_job() {
    let rig = Rig::open().await;
    let images = admit(&rig, 0..3).await;
    let lane = &rig.jobs.routine.inner;
    // Their jobs are lost.
    let hour = Duration::from_secs(3600);
    for lost in lane.receive(3, Duration::ZERO, hour).await.expect("answers") {
        lane.settle(vec![(lost.receipt, Settlement::Done)]).await.remove(0).expect("settled");
    }
    let victim = literal(images[0]);
    let trigger = format!(
        "create trigger test before update on image when new.id = {victim}
         begin select raise(abort, 'as told'); end"
    );
    execute(&rig.database(), &trigger).await;
    rig.clock.advance(hour);
    let swept = rig.store.inner.sweep(Duration::from_secs(60), 10).await.expect("answers");
    let mut swept: Vec<ImageId> = swept.into_iter().map(|(image, _)| image).collect();
    swept.sort_unstable();
    let mut expected = vec![images[1], images[2]];
    expected.sort_unstable();
    assert_eq!(swept, expected);
    let alone = rig.store.inner.sweep(Duration::from_secs(60), 10).await;
    assert!(alone.is_err_and(|error| !error.is_transient()), "nothing else is left to say");
}
