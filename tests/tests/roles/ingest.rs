//! Ingest, against a real store, real queues and a real bucket that announces its changes itself.

use std::time::Duration;

use lobar_core::image::{Lane, Reason, State};
use lobar_core::object::ObjectVersion;
use lobar_core::quarantine::{QuarantineError, replay};
use lobar_core::queue::{Outgoing, Queue, Settlement};
use lobar_core::store::{Claim, Store};
use lobar_ingest::IngestSettings;
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine};

const KEY: &str = "incoming/north/a+b %2B é/1.jpg";

fn picture(seed: u32) -> Vec<u8> {
    kit::radiograph_jpeg(320, 300, seed)
}

/// Messages on the uploads queue that are not finished with.
async fn notifications(rig: &Rig) -> u64 {
    let depth = rig.uploads.inner.depth().await.expect("answers");
    depth.ready + depth.in_flight + depth.delayed
}

async fn jobs(rig: &Rig, lane: Lane) -> u64 {
    let depth = rig.depth(lane).await;
    depth.ready + depth.in_flight + depth.delayed
}

/// Waits until `images` are known and every notification is settled.
async fn until_admitted(rig: &Rig, images: u64) {
    rig.until("everything notified is admitted", async || {
        let known: u64 = {
            let overview = rig.store.inner.overview().await.expect("answers");
            overview.by_state.iter().map(|(_, n)| n).sum()
        };
        known == images && notifications(rig).await == 0
    })
    .await;
}

async fn notify(rig: &Rig, body: impl Into<Vec<u8>>) {
    let sent = rig.uploads.inner.send(vec![Outgoing::now(body.into())]).await;
    assert!(sent.iter().all(Result::is_ok));
}

/// S3's own event on an object.
fn event(name: &str, object: &ObjectVersion) -> serde_json::Value {
    serde_json::json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": { "bucket": { "name": object.bucket }, "object": {
            "key": object.key, "versionId": object.version, "eTag": object.etag,
            "sequencer": object.sequencer, "size": object.size,
        } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_put_into_the_bucket_becomes_an_image_with_a_job() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let object = rig.put(KEY, Lane::Routine, picture(1)).await;
    until_admitted(&rig, 1).await;
    let image = rig.image(object.id()).await;
    assert_eq!((image.state, image.lane), (State::Queued, Lane::Routine));
    assert_eq!(image.object.key, KEY);
    assert_eq!((jobs(&rig, Lane::Routine).await, jobs(&rig, Lane::Stat).await), (1, 0));
    assert!(ingesting.health.is_ready());
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_or_the_metadata_asks_for_the_fast_lane() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let by_key = rig.put("incoming/north/stat/1.jpg", Lane::Routine, picture(1)).await;
    let by_metadata = rig.put("incoming/north/2.jpg", Lane::Stat, picture(2)).await;
    let neither = rig.put("incoming/north/3.jpg", Lane::Routine, picture(3)).await;
    until_admitted(&rig, 3).await;
    assert_eq!(rig.image(by_key.id()).await.lane, Lane::Stat);
    assert_eq!(rig.image(by_metadata.id()).await.lane, Lane::Stat);
    assert_eq!(rig.image(neither.id()).await.lane, Lane::Routine);
    assert_eq!((jobs(&rig, Lane::Stat).await, jobs(&rig, Lane::Routine).await), (2, 1));
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_notified_again_and_again_is_one_image_with_one_result() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let object = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    let put = event("ObjectCreated:Put", &object);
    let multipart = event("ObjectCreated:CompleteMultipartUpload", &object);
    for _ in 0..5 {
        notify(&rig, serde_json::json!({ "Records": [put, multipart] }).to_string()).await;
    }
    until_admitted(&rig, 1).await;
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    // One that comes long afterwards, from a dead-letter queue, needs no job any more.
    notify(&rig, serde_json::json!({ "Records": [put] }).to_string()).await;
    until_admitted(&rig, 1).await;
    assert_eq!(jobs(&rig, Lane::Routine).await, 0);
    assert_eq!(rig.image(object.id()).await.state, State::Ready);
    rig.assert_each_ended_once(&[object.id()]).await;
    ingesting.stop().await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_put_aside_and_its_neighbours_are_admitted() {
    let rig = Rig::open().await;
    let object = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    let foreign = ObjectVersion { bucket: "somebody-elses".into(), ..object.clone() };
    let mut newer = event("ObjectCreated:Put", &object);
    newer["eventVersion"] = "3.0".into();
    let mixed = serde_json::json!({ "Records": [
        event("ObjectCreated:Put", &foreign),
        newer,
        event("ObjectTagging:Put", &object),
        event("ObjectCreated:Put", &ObjectVersion { version: Some("v2".into()), ..object.clone() }),
    ] });
    notify(&rig, "garbage").await;
    notify(&rig, mixed.to_string()).await;
    notify(&rig, r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"xrays"}"#).await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    until_admitted(&rig, 2).await;
    let aside = rig.store.quarantined.lock().expect("nobody panicked").clone();
    let mut reasons: Vec<&str> = aside.iter().map(|one| one.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["malformed", "unsupported_version", "wrong_source"]);
    assert!(aside.iter().any(|one| one.body == b"garbage"));
    assert_eq!(ingesting.health.test_events(), 1);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_under_a_wrong_bucket_setting_wait_in_quarantine_and_all_come_back() {
    const UPLOADS: usize = 12;
    let rig = Rig::open().await;
    let mut objects = Vec::new();
    for n in 0..UPLOADS {
        let key = format!("incoming/north/{n}.jpg");
        objects.push(rig.put(&key, Lane::Routine, picture(1)).await);
    }
    let wrong = IngestSettings { buckets: vec!["xray".into()], ..Rig::ingest_settings() };
    let ingesting = rig.ingest(wrong);
    until_admitted(&rig, 0).await;
    let messages = "lobar_ingest_messages_total";
    rig.until("all are settled", async || ingesting.metric(messages) >= UPLOADS as f64).await;
    let settled = [messages, messages, "lobar_ingest_quarantined_total"];
    let counted: Vec<f64> = settled
        .iter()
        .zip(["quarantined", "done", "wrong_source"])
        .map(|(name, label)| ingesting.metric_of(name, label))
        .collect();
    assert_eq!(counted, [UPLOADS as f64, 0.0, UPLOADS as f64], "they are not told of as done");
    ingesting.stop().await;

    let waiting = rig.quarantine.list(false, None, 100).await.expect("listed");
    assert_eq!(waiting.len(), UPLOADS);
    // Killed before the entry is marked, it still waits: replayed again, it is sent twice.
    let kept = rig.quarantine.entry(waiting[0].id).await.expect("asked").expect("known");
    notify(&rig, kept.body).await;
    for entry in &waiting {
        let uploads: &dyn Queue = &*rig.uploads.inner;
        replay(&*rig.quarantine, uploads, entry.id, "test").await.expect("replayed");
    }
    assert_eq!(rig.quarantine.waiting().await.expect("counted"), []);
    let ingesting = rig.ingest(Rig::ingest_settings());
    until_admitted(&rig, UPLOADS as u64).await;
    for object in &objects {
        assert_eq!(rig.image(object.id()).await.state, State::Queued);
    }
    assert_eq!(rig.quarantine.waiting().await.expect("counted"), []);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_queue_does_not_take_stays_in_quarantine() {
    let rig = Rig::open().await;
    notify(&rig, "garbage").await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    rig.until("it is put aside", async || {
        rig.quarantine.list(false, None, 1).await.expect("listed").len() == 1
    })
    .await;
    ingesting.stop().await;
    let id = rig.quarantine.list(false, None, 1).await.expect("listed")[0].id;
    rig.uploads.switch.off();
    let refused = replay(&*rig.quarantine, &*rig.uploads, id, "test").await;
    assert!(matches!(refused, Err(QuarantineError::Port(_))), "{refused:?}");
    assert_eq!(rig.quarantine.list(false, None, 1).await.expect("listed")[0].id, id);
    rig.uploads.switch.on();
    replay(&*rig.quarantine, &*rig.uploads, id, "test").await.expect("replayed");
    assert_eq!(notifications(&rig).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_loses_nothing_and_burns_no_receive_count() {
    let rig = Rig::open().await;
    rig.store.switch.off();
    let object = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let outages = "lobar_ingest_outages_total";
    rig.until("the outage is known", async || ingesting.metric(outages) >= 1.0).await;
    rig.until("it is not ready", async || !ingesting.health.is_ready()).await;
    assert_eq!(jobs(&rig, Lane::Routine).await, 0);
    let lease = Duration::from_secs(3600);
    // While the store is away, only the probe asks for it, so the message lies there.
    let mut taken = rig.uploads.inner.receive(1, Duration::from_secs(5), lease).await;
    let taken = taken.as_mut().expect("answers").remove(0);
    assert_eq!(taken.receive_count, 1);
    rig.uploads.inner.settle(vec![(taken.receipt, Settlement::Release)]).await;
    rig.store.switch.on();
    until_admitted(&rig, 1).await;
    assert_eq!(rig.image(object.id()).await.state, State::Queued);
    assert_eq!(jobs(&rig, Lane::Routine).await, 1);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_notification_is_settled_before_its_job_is_durable() {
    let rig = Rig::open().await;
    rig.jobs.routine.switch.off();
    rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let outages = "lobar_ingest_outages_total";
    rig.until("the outage is known", async || ingesting.metric(outages) >= 1.0).await;
    assert_eq!(rig.count(State::Queued).await, 1, "admitted");
    assert_eq!(notifications(&rig).await, 1, "but not settled");
    rig.jobs.routine.switch.on();
    until_admitted(&rig, 1).await;
    assert_eq!(jobs(&rig, Lane::Routine).await, 1);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_settlement_costs_a_second_job_and_nothing_else() {
    let rig = Rig::open().await;
    let object = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    rig.uploads.settling.off();
    let ingesting = rig.ingest(Rig::ingest_settings());
    rig.until("the job is sent", async || jobs(&rig, Lane::Routine).await == 1).await;
    ingesting.crash(&rig).await;
    rig.uploads.settling.on();
    rig.clock.advance(Duration::from_secs(2 * 24 * 3600));
    let ingesting = rig.ingest(Rig::ingest_settings());
    until_admitted(&rig, 1).await;
    assert_eq!(jobs(&rig, Lane::Routine).await, 2);
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    rig.until_quiet().await;
    rig.assert_each_ended_once(&[object.id()]).await;
    assert_eq!(rig.image(object.id()).await.attempts, 1);
    ingesting.stop().await;
    working.stop().await.expect("a graceful stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_cannot_be_read_is_asked_for_again_and_then_done_without() {
    let rig = Rig::open().await;
    let object = rig.put("incoming/north/1.jpg", Lane::Stat, picture(1)).await;
    rig.objects.switch.off();
    let ingesting = rig.ingest(IngestSettings { max_receives: 4, ..Rig::ingest_settings() });
    until_admitted(&rig, 1).await;
    assert_eq!(rig.image(object.id()).await.lane, Lane::Routine);
    let settled = "lobar_ingest_messages_total";
    rig.until("three retries, then done", async || ingesting.metric(settled) == 4.0).await;
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_cancels_what_is_pending() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let object = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    until_admitted(&rig, 1).await;
    let marker =
        ObjectVersion { version: Some("marker".into()), sequencer: None, ..object.clone() };
    let deleted = event("ObjectRemoved:DeleteMarkerCreated", &marker);
    notify(&rig, serde_json::json!({ "Records": [deleted] }).to_string()).await;
    until_admitted(&rig, 1).await;
    assert_eq!(rig.image(object.id()).await.state, State::Removed);
    let claims = rig.store.claim(&[object.id()], 5).await.expect("answers");
    assert_eq!(claims, [Claim::Settled(State::Removed)]);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_after_a_deletion_in_one_message_stands() {
    let rig = Rig::open().await;
    let object = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await;
    let plain = |version: &str| ObjectVersion {
        version: Some(version.into()),
        sequencer: None,
        ..object.clone()
    };
    let (first, second) = (plain("v1"), plain("v2"));
    let records = [
        event("ObjectCreated:Put", &first),
        event("ObjectRemoved:DeleteMarkerCreated", &first),
        event("ObjectCreated:Put", &second),
    ];
    let ingesting = rig.ingest(Rig::ingest_settings());
    until_admitted(&rig, 1).await;
    notify(&rig, serde_json::json!({ "Records": records }).to_string()).await;
    until_admitted(&rig, 3).await;
    assert_eq!(rig.image(first.id()).await.state, State::Removed);
    assert_eq!(rig.image(second.id()).await.state, State::Queued);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_replaces_a_lost_job_and_leaves_a_waiting_one_alone() {
    let rig = Rig::open().await;
    let image = rig.put("incoming/north/1.jpg", Lane::Routine, picture(1)).await.id();
    let ingesting = rig.ingest(Rig::ingest_settings());
    until_admitted(&rig, 1).await;
    ingesting.stop().await;
    // Starting sweeps once; the next would be an hour later.
    let hour = Duration::from_secs(3600);
    let settings = IngestSettings { sweep_every: hour, ..Rig::ingest_settings() };
    rig.clock.advance(hour);
    let ingesting = rig.ingest(settings.clone());
    let probe = rig.put("incoming/north/2.jpg", Lane::Routine, picture(2)).await.id();
    until_admitted(&rig, 2).await;
    ingesting.stop().await;
    assert_eq!(jobs(&rig, Lane::Routine).await, 2, "one each: the old one was not swept");

    let queue = &rig.jobs.routine.inner;
    for lost in queue.receive(2, Duration::ZERO, hour).await.expect("answers") {
        queue.settle(vec![(lost.receipt, Settlement::Done)]).await.remove(0).expect("settled");
    }
    assert_eq!(jobs(&rig, Lane::Routine).await, 0);
    rig.clock.advance(hour);
    let ingesting = rig.ingest(settings);
    rig.until("they have jobs again", async || jobs(&rig, Lane::Routine).await == 2).await;
    let swept = "lobar_ingest_swept_total";
    rig.until("both are counted", async || ingesting.metric(swept) == 2.0).await;
    assert_eq!(rig.image(image).await.state, State::Queued);
    assert_eq!(rig.image(probe).await.state, State::Queued);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_upload_is_accounted_for_to_the_last_object() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let working = rig.work(ScriptedEngine::truthful(), Rig::worker_settings());
    let mut images = Vec::new();
    for seed in 0..40 {
        let key = format!("incoming/site {}/{seed}.jpg", seed % 3);
        images.push(rig.put(&key, Lane::Routine, picture(seed)).await.id());
    }
    let empty = rig.put("incoming/north/empty.jpg", Lane::Routine, Vec::new()).await.id();
    rig.put("incoming/folder/", Lane::Routine, Vec::new()).await;
    until_admitted(&rig, 41).await;
    rig.until_quiet().await;
    for image in &images {
        assert_eq!(rig.image(*image).await.state, State::Ready);
    }
    let empty = rig.image(empty).await;
    assert_eq!((empty.state, empty.reason), (State::NeedsHuman, Some(Reason::Empty)));
    rig.assert_each_ended_once(&images).await;
    ingesting.stop().await;
    working.stop().await.expect("a graceful stop");
}
