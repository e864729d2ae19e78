//! Our own adapter of the port on the endpoint.

use std::time::Duration;

use bytes::Bytes;
use lobar_aws::Credentials;
use lobar_core::image::Lane;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{Created, FetchError, ObjectStore, Upload};

use crate::fixture::{aws, http, key_pair, noise, start};

const LIMIT: u64 = 1 << 20;

fn upload(key: &str, body: impl Into<Bytes>, lane: Lane) -> Upload {
    Upload { key: key.to_owned(), body: body.into(), lane, metadata: Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_notified_version_is_fetched() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    objects.check().await.expect("reachable");
    let key = "incoming/north/a b+é%.jpg";
    let old = objects.put(upload(key, "old", Lane::Stat)).await.expect("stored");
    let new = objects.put(upload(key, "new", Lane::Routine)).await.expect("stored");
    assert_ne!(old.id(), new.id());
    assert_eq!(objects.fetch(&old, LIMIT).await.expect("there").bytes, "old");
    assert_eq!(objects.fetch(&new, LIMIT).await.expect("there").bytes, "new");
    assert_eq!(objects.asked(&old).await.expect("there").lane, Lane::Stat);
    assert_eq!(objects.asked(&new).await.expect("there").lane, Lane::Routine);

    let by_etag = |object: &ObjectVersion| ObjectVersion { version: None, ..object.clone() };
    assert_eq!(objects.fetch(&by_etag(&new), LIMIT).await.expect("there").bytes, "new");
    assert!(matches!(objects.fetch(&by_etag(&old), LIMIT).await, Err(FetchError::Gone)));
    let absent = ObjectVersion { version: Some("0".repeat(32)), ..new.clone() };
    assert!(matches!(objects.fetch(&absent, LIMIT).await, Err(FetchError::Gone)));
    assert!(matches!(objects.asked(&absent).await, Err(FetchError::Gone)));
    let missing = ObjectVersion { key: "missing".to_owned(), ..by_etag(&new) };
    assert!(matches!(objects.fetch(&missing, LIMIT).await, Err(FetchError::Missing)));
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_key_holds_now_is_told_whichever_version_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let key = "incoming/north/a b+é%.jpg";
    let old = objects.put(upload(key, "old", Lane::Stat)).await.expect("stored");
    let new = objects.put(upload(key, "newer", Lane::Routine)).await.expect("stored");
    let current = async || objects.current(&old).await.expect("asked");
    let now = current().await.expect("there");
    assert_eq!((now.object, now.lane), (new.clone(), Lane::Routine));

    let delete = ["s3api", "delete-object", "--bucket", "xrays", "--key", key];
    let version = new.version.as_deref().expect("a version");
    aws(&endpoint.url(), &[&delete[..], &["--version-id", version]].concat()).await;
    let now = current().await.expect("there");
    assert_eq!((now.object, now.lane), (old.clone(), Lane::Stat));
    aws(&endpoint.url(), &delete).await;
    assert_eq!(current().await, None);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_that_store_under_one_key_at_the_same_time_exactly_one_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let bodies = (0..8).map(|number| upload("k", noise(1 << 16, number), Lane::Routine));
    let all = futures::future::join_all(bodies.map(|one| objects.put_new(one))).await;
    let all: Vec<Created> = all.into_iter().collect::<Result<_, _>>().expect("answered");
    let stored: Vec<&ObjectVersion> = all
        .iter()
        .filter_map(|one| match one {
            Created::Stored(object) => Some(object),
            Created::There => None,
        })
        .collect();
    assert_eq!(stored.len(), 1, "{all:?}");
    let now = objects.current(stored[0]).await.expect("asked").expect("there");
    assert_eq!(now.object, *stored[0]);
    assert_eq!(endpoint.events(1).await.len(), 1);

    // A delete marker is nothing; what is there is left alone, whatever it is.
    aws(&endpoint.url(), &["s3api", "delete-object", "--bucket", "xrays", "--key", "k"]).await;
    let again = objects.put_new(upload("k", "x", Lane::Routine)).await.expect("answered");
    assert!(matches!(again, Created::Stored(_)), "{again:?}");
    let other = objects.put_new(upload("k", "y", Lane::Routine)).await.expect("answered");
    assert_eq!(other, Created::There);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_of_an_upload_names_the_version_that_the_upload_returned() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let put = objects.put(upload("k", "x", Lane::Routine)).await.expect("stored");
    let events = endpoint.events(1).await;
    assert_eq!(events.len(), 1);
    let object = &events[0]["s3"]["object"];
    assert_eq!(object["versionId"].as_str(), put.version.as_deref());
    assert_eq!(object["eTag"].as_str(), put.etag.as_deref());
    assert_eq!(object["size"], 1);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_beyond_the_limit_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let body = noise(LIMIT as usize + 1, 1);
    let put = objects.put(upload("large", body.clone(), Lane::Routine)).await.expect("stored");
    let refused = objects.fetch(&put, LIMIT).await;
    assert!(matches!(refused, Err(FetchError::TooLarge { limit: LIMIT })), "{refused:?}");
    assert!(objects.fetch(&put, LIMIT + 1).await.expect("there").bytes[..] == body[..]);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_and_a_dead_store_are_not_the_images_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let put = objects.put(upload("secret name", "x", Lane::Routine)).await.expect("stored");
    let wrong = Credentials { secret_key: "wrong".to_owned(), ..key_pair() };
    let stranger = endpoint.objects_with(wrong).await;
    let refused = stranger.fetch(&put, LIMIT).await;
    let Err(FetchError::Port(error)) = refused else { panic!("{refused:?}") };
    assert!(error.is_transient() && error.to_string().contains("SignatureDoesNotMatch"));
    endpoint.stop().await;
    let Err(FetchError::Port(error)) = objects.fetch(&put, LIMIT).await else {
        panic!("nothing answers any more")
    };
    assert!(error.is_transient());
    let text = format!("{error} {error:?}");
    assert!(!text.contains("secret") && !text.contains("127.0.0.1"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presigned_url_lets_its_holder_put_this_key_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = start(folder.path()).await;
    let objects = endpoint.objects().await;
    let hour = Duration::from_secs(3600);
    let http = http();
    let put = async |url: &str, stat: bool| {
        let request = http.put(url).body("picture");
        let request = if stat { request.header("x-amz-meta-priority", "stat") } else { request };
        request.send().await.expect("an answer").status().as_u16()
    };
    let url = objects
        .presign_put("in/a b+é.jpg", Lane::Routine, &Default::default(), hour, None)
        .await
        .expect("signed");
    assert_eq!(put(&url, false).await, 200);
    assert_eq!(put(&url.replace("in/", "out/"), false).await, 403);
    let url = objects
        .presign_put("in/urgent.jpg", Lane::Stat, &Default::default(), hour, None)
        .await
        .expect("signed");
    assert_eq!(put(&url, false).await, 403);
    assert_eq!(put(&url, true).await, 200);

    let events = endpoint.events(2).await;
    let keys: Vec<_> = events.iter().map(|e| e["s3"]["object"]["key"].clone()).collect();
    assert_eq!(keys, ["in/a+b%2B%C3%A9.jpg", "in/urgent.jpg"]);
    let version = events[1]["s3"]["object"]["versionId"].as_str().map(str::to_owned);
    let urgent = ObjectVersion {
        bucket: "xrays".to_owned(),
        key: "in/urgent.jpg".to_owned(),
        version,
        etag: None,
        sequencer: None,
        size: None,
    };
    assert_eq!(objects.asked(&urgent).await.expect("there").lane, Lane::Stat);
    endpoint.stop().await;
}
