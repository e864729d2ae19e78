//! What is current in the bucket is on the list, whatever was put over it and taken off again.

use aws_sdk_s3::Client;
use lobar_core::image::{Lane, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::queue::Outgoing;
use lobar_tests::aws::s3_client;
use lobar_tests::kit;
use lobar_tests::rig::{BUCKET, Rig};

const KEY: &str = "incoming/north/a b+é.jpg";

async fn put(rig: &Rig, seed: u32) -> ObjectVersion {
    rig.put(KEY, Lane::Stat, kit::radiograph_jpeg(320, 300, seed)).await
}

/// Deletes a version, or puts a delete marker on the key; answers the version that it tells of.
async fn delete(client: &Client, version: Option<&str>) -> String {
    let delete = client.delete_object().bucket(BUCKET).key(KEY);
    let deleted = delete.set_version_id(version.map(str::to_owned)).send().await.expect("deleted");
    deleted.version_id().expect("a bucket with versions").to_owned()
}

async fn until(rig: &Rig, id: ImageId, state: State) {
    rig.until(&format!("{id} is {}", state.as_str()), async || {
        let image = rig.store.inner.image(id).await.expect("answers");
        image.is_some_and(|image| image.state == state)
    })
    .await;
}

/// The states that events told of, in order.
async fn told(rig: &Rig, id: ImageId) -> Vec<State> {
    let events = rig.events().await.into_iter();
    events.filter(|event| event.image == id).map(|event| event.state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_delete_marker_is_removed_is_on_the_list_again() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let client = s3_client(&rig.s3);
    let id = put(&rig, 1).await.id();
    until(&rig, id, State::Queued).await;
    let marker = delete(&client, None).await;
    until(&rig, id, State::Removed).await;
    delete(&client, Some(&marker)).await;
    until(&rig, id, State::Queued).await;
    assert_eq!(told(&rig, id).await, [State::Queued, State::Removed, State::Queued]);
    rig.until("it has another job", async || rig.depth(Lane::Stat).await.ready == 2).await;
    // As often as one likes.
    let marker = delete(&client, None).await;
    until(&rig, id, State::Removed).await;
    delete(&client, Some(&marker)).await;
    until(&rig, id, State::Queued).await;
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_newer_version_is_deleted_is_on_the_list_again() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let client = s3_client(&rig.s3);
    let (older, newer) = (put(&rig, 1).await, put(&rig, 2).await);
    until(&rig, newer.id(), State::Queued).await;
    until(&rig, older.id(), State::Superseded).await;
    delete(&client, newer.version.as_deref()).await;
    until(&rig, older.id(), State::Queued).await;
    until(&rig, newer.id(), State::Removed).await;
    assert_eq!(told(&rig, older.id()).await.last(), Some(&State::Queued));
    // The last one takes the key with it.
    delete(&client, older.version.as_deref()).await;
    until(&rig, older.id(), State::Removed).await;
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_that_is_deleted_leaves_the_current_one_as_it_is() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let client = s3_client(&rig.s3);
    let (older, newer) = (put(&rig, 1).await, put(&rig, 2).await);
    until(&rig, older.id(), State::Superseded).await;
    delete(&client, older.version.as_deref()).await;
    until(&rig, older.id(), State::Removed).await;
    assert_eq!(told(&rig, newer.id()).await, [State::Queued]);
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_from_before_notifications_is_admitted_when_it_is_current_again() {
    let rig = Rig::open().await;
    let client = s3_client(&rig.s3);
    let (unknown, newer) = (put(&rig, 1).await, put(&rig, 2).await);
    delete(&client, newer.version.as_deref()).await;
    rig.until("all is told", async || rig.uploads.inner.depth().await.expect("answers").ready == 3)
        .await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    // Its creation is told of, too, and late: it is one image all the same.
    until(&rig, unknown.id(), State::Queued).await;
    until(&rig, newer.id(), State::Removed).await;
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_asked_for_in_vain_is_asked_for_again() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let client = s3_client(&rig.s3);
    let (older, newer) = (put(&rig, 1).await, put(&rig, 2).await);
    until(&rig, older.id(), State::Superseded).await;
    rig.objects.switch.off();
    delete(&client, newer.version.as_deref()).await;
    rig.until("it was tried", async || rig.objects.switch.refused() > 0).await;
    assert_eq!(rig.image(older.id()).await.state, State::Superseded);
    rig.objects.switch.on();
    until(&rig, older.id(), State::Queued).await;
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_everything_says_nothing_of_a_key() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let client = s3_client(&rig.s3);
    let (older, newer) = (put(&rig, 1).await, put(&rig, 2).await);
    until(&rig, older.id(), State::Superseded).await;
    // As with credentials that expired: an answer to HEAD has no room for the reason.
    rig.objects.allowing.off();
    rig.objects.switch.off();
    delete(&client, newer.version.as_deref()).await;
    rig.until("it was tried", async || rig.objects.switch.refused() > 0).await;
    rig.objects.switch.on();
    rig.objects.allowing.on();
    until(&rig, older.id(), State::Queued).await;
    ingesting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unversioned_past_of_a_key_is_gone_when_nothing_else_is_there() {
    let rig = Rig::open().await;
    let ingesting = rig.ingest(Rig::ingest_settings());
    let key = "incoming/north/null.jpg";
    let event = |name: &str, order: u32| {
        let object = serde_json::json!({
            "key": key, "versionId": "null", "sequencer": format!("{order:X}"),
            "eTag": if order == 1 { "aa" } else { "" },
        });
        let s3 = serde_json::json!({ "bucket": { "name": BUCKET }, "object": object });
        let record = serde_json::json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": s3,
        });
        Outgoing::now(serde_json::json!({ "Records": [record] }).to_string())
    };
    let object = ObjectVersion {
        bucket: BUCKET.into(),
        key: key.into(),
        version: None,
        etag: Some("aa".into()),
        sequencer: None,
        size: None,
    };
    let send = async |message| {
        rig.uploads.inner.send(vec![message]).await.remove(0).expect("sent");
    };
    send(event("ObjectCreated:Put", 1)).await;
    until(&rig, object.id(), State::Queued).await;
    send(event("ObjectRemoved:Delete", 2)).await;
    until(&rig, object.id(), State::Removed).await;
    ingesting.stop().await;
}
