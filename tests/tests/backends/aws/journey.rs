//! An upload's way from a foreign S3 to the store: its event on SQS, ingest, a job on SQS, a worker.

use std::time::Duration;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use lobar_core::image::{Lane, State};
use lobar_core::object::ObjectVersion;
use lobar_core::queue::Queue;
use lobar_ingest::IngestSettings;
use lobar_testkit::services::http_proxy::{Fault, Request, fail_entries};
use lobar_tests::kit;

use super::fixture::{Cloud, until};

const STRANGE: &str = "in/a b+c é/x&y%.dcm";

fn picture(seed: u32) -> Vec<u8> {
    kit::radiograph_jpeg(320, 300, seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_upload_becomes_one_image_with_one_result_whatever_its_key() {
    let cloud = Cloud::open(true).await;
    let (ingesting, working) = (cloud.ingest(cloud.ingest_settings()), cloud.work());
    let mut ids = Vec::new();
    let keys = [
        STRANGE,
        "/leading/slash.jpg",
        "../../etc/passwd.jpg",
        "a+b%2B.jpg",
        "incoming/north/ümläut 100%.jpg",
        "emoji/🫁.jpg",
    ];
    for (seed, key) in keys.into_iter().enumerate() {
        ids.push(cloud.put(key, picture(seed as u32)).await.id());
    }
    let long = format!("incoming/north/{}.jpg", "é".repeat(500));
    ids.push(cloud.put(&long, picture(90)).await.id());
    cloud.until_quiet(ids.len() as u64).await;
    let ends = cloud.ends().await;
    for (id, key) in ids.iter().zip(keys) {
        let image = cloud.image(*id).await;
        assert!(image.object.key == key, "the key of {id} is another");
        assert_eq!((image.state, ends[id]), (State::Ready, 1));
    }
    working.stop().await.expect("a graceful stop");
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_or_the_metadata_asks_for_the_fast_lane() {
    let cloud = Cloud::open(false).await;
    let ingesting = cloud.ingest(cloud.ingest_settings());
    let by_key = cloud.put("incoming/north/stat/1.jpg", picture(1)).await.id();
    let by_metadata = cloud.put_with("incoming/north/2.jpg", picture(2), Some("stat")).await.id();
    let neither = cloud.put_with("incoming/north/3.jpg", picture(3), Some("low")).await.id();
    cloud.until_admitted(3).await;
    assert_eq!(cloud.image(by_key).await.lane, Lane::Stat);
    assert_eq!(cloud.image(by_metadata).await.lane, Lane::Stat);
    assert_eq!(cloud.image(neither).await.lane, Lane::Routine);
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_supersede_one_another_and_deletions_reach_their_own() {
    let cloud = Cloud::open(true).await;
    let ingesting = cloud.ingest(cloud.ingest_settings());
    let first = cloud.put(STRANGE, picture(1)).await;
    cloud.until_admitted(1).await;
    let second = cloud.put(STRANGE, picture(2)).await;
    cloud.until_admitted(2).await;
    assert_eq!(cloud.image(first.id()).await.state, State::Superseded);
    assert_eq!(cloud.image(second.id()).await.state, State::Queued);

    let s3 = cloud.ministack.s3().await;
    let delete = |key: &str, version: Option<String>| {
        s3.delete_object().bucket(&cloud.bucket).key(key).set_version_id(version).send()
    };
    delete(STRANGE, second.version.clone()).await.expect("deleted");
    until("its version is removed", async || {
        cloud.image(second.id()).await.state == State::Removed
    })
    .await;
    let other = cloud.put("incoming/north/other.jpg", picture(3)).await;
    cloud.until_admitted(3).await;
    delete("incoming/north/other.jpg", None).await.expect("hidden by a marker");
    until("the whole key is removed", async || {
        cloud.image(other.id()).await.state == State::Removed
    })
    .await;
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_versions_each_content_of_a_key_is_an_image_of_its_own() {
    let cloud = Cloud::open(false).await;
    let ingesting = cloud.ingest(cloud.ingest_settings());
    let first = cloud.put("incoming/north/1.jpg", picture(1)).await;
    cloud.until_admitted(1).await;
    let second = cloud.put("incoming/north/1.jpg", picture(2)).await;
    cloud.until_admitted(2).await;
    assert_eq!((&first.version, &second.version), (&None, &None));
    assert_eq!(cloud.image(first.id()).await.state, State::Superseded);
    let working = cloud.work();
    cloud.until_quiet(2).await;
    assert_eq!(cloud.image(second.id()).await.state, State::Ready);
    let s3 = cloud.ministack.s3().await;
    s3.delete_object().bucket(&cloud.bucket).key("incoming/north/1.jpg").send().await.expect("ok");
    until("it is removed", async || cloud.image(second.id()).await.state == State::Removed).await;
    working.stop().await.expect("a graceful stop");
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multipart_upload_is_one_image() {
    let cloud = Cloud::open(true).await;
    let (ingesting, working) = (cloud.ingest(cloud.ingest_settings()), cloud.work());
    let s3 = cloud.ministack.s3().await;
    let (bucket, key) = (cloud.bucket.as_str(), "incoming/north/large.jpg");
    let begun = s3.create_multipart_upload().bucket(bucket).key(key).send().await.expect("begun");
    let upload = begun.upload_id().expect("an id");
    let body = picture(1);
    // MiniStack takes small parts.
    let mut parts = Vec::new();
    for (number, piece) in (1..).zip(body.chunks(body.len() / 2 + 1)) {
        let part = s3.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number);
        let done = part.body(piece.to_vec().into()).send().await.expect("stored");
        let part = CompletedPart::builder().part_number(number);
        parts.push(part.set_e_tag(done.e_tag().map(str::to_owned)).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let end = s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload);
    let done = end.multipart_upload(parts).send().await.expect("completed");
    let object = ObjectVersion {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: done.version_id().map(str::to_owned),
        etag: done.e_tag().map(|etag| etag.trim_matches('"').to_owned()),
        sequencer: None,
        size: None,
    };
    cloud.until_quiet(1).await;
    assert_eq!(cloud.image(object.id()).await.state, State::Ready);
    working.stop().await.expect("a graceful stop");
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_test_events_are_counted_and_are_no_images() {
    let cloud = Cloud::open(true).await;
    let sqs = cloud.ministack.sqs().await;
    let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b","Time":"t"}"#;
    let send = sqs.send_message().queue_url(&cloud.notified.url).message_body(test);
    send.send().await.expect("sent");
    cloud.put("incoming/north/", Vec::new()).await;
    let image = cloud.put("incoming/north/1.jpg", picture(1)).await;
    let ingesting = cloud.ingest(cloud.ingest_settings());
    cloud.until_admitted(1).await;
    assert_eq!(cloud.image(image.id()).await.state, State::Queued);
    let records = "lobar_ingest_records_total";
    assert_eq!(ingesting.metric(records, |kind| kind == "folder"), 1.0);
    assert!(ingesting.metric(records, |kind| kind == "test_event") >= 1.0);
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_off_the_list_and_garbage_are_put_aside() {
    let cloud = Cloud::open(true).await;
    let sqs = cloud.ministack.sqs().await;
    let send = sqs.send_message().queue_url(&cloud.notified.url).message_body("garbage");
    send.send().await.expect("sent");
    let foreign = cloud.ministack.bucket(&cloud.notified, true).await;
    let s3 = cloud.ministack.s3().await;
    s3.put_object().bucket(&foreign).key("a").body(vec![1].into()).send().await.expect("stored");
    let ours = cloud.put("incoming/north/1.jpg", picture(1)).await;
    let ingesting = cloud.ingest(cloud.ingest_settings());
    cloud.until_admitted(1).await;
    let records = "lobar_ingest_records_total";
    assert_eq!(ingesting.metric(records, |kind| kind == "wrong_source"), 1.0);
    assert_eq!(ingesting.metric(records, |kind| kind == "malformed"), 1.0);
    assert_eq!(cloud.image(ours.id()).await.state, State::Queued);
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_kept_from_the_receipt_on_and_a_lost_one_is_counted_and_costs_nothing() {
    let cloud = Cloud::open(true).await;
    let lease = Duration::from_secs(3);
    // Reading the metadata takes two leases.
    let slow = |request: &Request| request.method == "HEAD";
    cloud.proxy.rule(move |request| match slow(request) {
        true => Fault::Late(lease * 2),
        false => Fault::Pass,
    });
    let ingesting = cloud.ingest(IngestSettings { lease, ..cloud.ingest_settings() });
    let (lost, admitted) = ("lobar_ingest_leases_lost_total", "lobar_ingest_admissions_total");
    cloud.put("incoming/north/1.jpg", picture(1)).await;
    cloud.until_admitted(1).await;
    assert_eq!(ingesting.metric(admitted, |_| true), 1.0, "nobody else received it");
    assert_eq!(ingesting.metric(lost, |_| true), 0.0);
    cloud.proxy.rule(move |request| match request.action() {
        "ChangeMessageVisibilityBatch" => {
            fail_entries(request, "ReceiptHandleIsInvalid", true, || true)
        }
        _ if slow(request) => Fault::Late(lease * 2),
        _ => Fault::Pass,
    });
    let second = cloud.put("incoming/north/2.jpg", picture(2)).await;
    until("its lease is lost", async || ingesting.metric(lost, |_| true) >= 1.0).await;
    cloud.proxy.fair();
    cloud.until_admitted(2).await;
    assert_eq!(cloud.image(second.id()).await.state, State::Queued);
    ingesting.stop().await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_nothing_received_by_nobody() {
    let cloud = Cloud::open(true).await;
    // A poll longer than any stop may take.
    let wait = Duration::from_secs(15);
    let lease = Duration::from_secs(600);
    let settings = IngestSettings { wait, lease, ..cloud.ingest_settings() };
    let ingesting = cloud.ingest(settings);
    tokio::time::sleep(Duration::from_secs(1)).await;
    ingesting.stop().await;
    cloud.put("incoming/north/1.jpg", picture(1)).await;
    cloud.uploads.close().await;
    until("it can be received", async || {
        let depth = cloud.uploads.depth().await.expect("answers");
        (depth.ready, depth.in_flight) == (1, 0)
    })
    .await;
    let ingesting = cloud.ingest(cloud.ingest_settings());
    cloud.until_admitted(1).await;
    ingesting.stop().await;
    cloud.close().await;
}
