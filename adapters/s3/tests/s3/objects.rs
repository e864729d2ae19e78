//! The adapter of the object store on another S3 than ours, and on its bad days.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lobar_core::image::Lane;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{Created, FetchError, ObjectErasure as _, ObjectStore, Upload};
use lobar_s3::S3ObjectStore;
use lobar_testkit::services::http_proxy::{Fault, HttpProxy, Response};
use lobar_testkit::services::ministack::{self, MiniStack};

const LIMIT: u64 = 1 << 20;
const KEY: &str = "in/a b+c é/x&y%.dcm";

struct Bucket {
    ministack: &'static MiniStack,
    proxy: HttpProxy,
    objects: S3ObjectStore,
    name: String,
}

async fn bucket(versions: bool) -> Bucket {
    let ministack = ministack::shared().await;
    let queues = ministack.queues(5).await;
    let name = ministack.bucket(&queues, versions).await;
    let proxy = HttpProxy::open(ministack.port).await;
    let mut options = crate::options(&name, proxy.url());
    options.attempts = 3;
    options.body_timeout = Duration::from_secs(1);
    let objects = S3ObjectStore::connect(options).await;
    Bucket { ministack, proxy, objects, name }
}

impl Bucket {
    async fn put(&self, body: impl Into<Vec<u8>>) -> ObjectVersion {
        self.objects.put(upload(body)).await.expect("stored")
    }

    async fn fetch(&self, object: &ObjectVersion) -> Result<Vec<u8>, FetchError> {
        self.objects.fetch(object, LIMIT).await.map(|fetched| fetched.bytes.into())
    }
}

fn upload(body: impl Into<Vec<u8>>) -> Upload {
    let body: Vec<u8> = body.into();
    Upload {
        key: KEY.to_owned(),
        body: body.into(),
        lane: Lane::Stat,
        metadata: Default::default(),
    }
}

fn by_etag(object: &ObjectVersion) -> ObjectVersion {
    ObjectVersion { version: None, ..object.clone() }
}

fn transient(answer: &Result<Vec<u8>, FetchError>) -> bool {
    matches!(answer, Err(FetchError::Port(error)) if error.is_transient())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_versions_exactly_the_notified_one_is_read() {
    let bucket = bucket(true).await;
    let (old, new) = (bucket.put("old").await, bucket.put("new").await);
    assert!(old.version.is_some() && old.version != new.version);
    assert_eq!(bucket.fetch(&old).await.expect("there"), b"old");
    assert_eq!(bucket.fetch(&new).await.expect("there"), b"new");
    assert_eq!(bucket.objects.asked(&old).await.expect("there").lane, Lane::Stat);

    let s3 = bucket.ministack.s3().await;
    let delete = s3.delete_object().bucket(&bucket.name).key(KEY);
    delete.set_version_id(old.version.clone()).send().await.expect("deleted");
    assert!(matches!(bucket.fetch(&old).await, Err(FetchError::Gone)));
    assert!(matches!(bucket.objects.asked(&old).await, Err(FetchError::Gone)));
    s3.delete_object().bucket(&bucket.name).key(KEY).send().await.expect("hidden");
    assert_eq!(bucket.fetch(&new).await.expect("a marker hides it from others only"), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_versions_the_tag_says_whether_it_is_still_the_same() {
    let bucket = bucket(false).await;
    let old = bucket.put("old").await;
    assert_eq!(old.version, None);
    assert_eq!(bucket.fetch(&old).await.expect("there"), b"old");
    let new = bucket.put("new").await;
    // 412: another one is there now.
    assert!(matches!(bucket.fetch(&by_etag(&old)).await, Err(FetchError::Gone)));
    assert_eq!(bucket.fetch(&by_etag(&new)).await.expect("there"), b"new");
    let s3 = bucket.ministack.s3().await;
    s3.delete_object().bucket(&bucket.name).key(KEY).send().await.expect("deleted");
    assert!(matches!(bucket.fetch(&by_etag(&new)).await, Err(FetchError::Missing)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_one_object_is_told_from_a_store_that_is_away() {
    let bucket = bucket(true).await;
    let object = bucket.put("x").await;
    let answer =
        |status, code| bucket.proxy.rule(move |_| Fault::Answer(Response::s3(status, code)));
    answer(403, "AccessDenied");
    assert!(matches!(bucket.fetch(&object).await, Err(FetchError::Denied)));
    answer(404, "NoSuchVersion");
    assert!(matches!(bucket.fetch(&object).await, Err(FetchError::Gone)));
    answer(404, "NoSuchKey");
    assert!(matches!(bucket.fetch(&by_etag(&object)).await, Err(FetchError::Missing)));
    answer(412, "PreconditionFailed");
    assert!(matches!(bucket.fetch(&by_etag(&object)).await, Err(FetchError::Gone)));
    for (status, code) in [(500, "InternalError"), (503, "SlowDown"), (403, "ExpiredToken")] {
        answer(status, code);
        assert!(transient(&bucket.fetch(&object).await), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_what_stays_on_this_machine_is_not_hashed_for_the_signature() {
    let bucket = bucket(true).await;
    bucket.proxy.rule(|request| {
        assert_eq!(request.header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
        assert!(request.header("authorization").is_some());
        Fault::Pass
    });
    let stored = bucket.put("x").await;
    bucket.proxy.rule(|_| Fault::Pass);
    assert_eq!(bucket.fetch(&stored).await.expect("there"), b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_bucket_knows_no_conditions_it_is_put_without_and_not_asked_again() {
    let bucket = bucket(true).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    bucket.proxy.rule(move |request| match request.header("if-none-match") {
        Some("*") => {
            counted.fetch_add(1, Ordering::SeqCst);
            Fault::Answer(Response::s3(501, "NotImplemented"))
        }
        _ => Fault::Pass,
    });
    for body in ["one", "two"] {
        let stored = bucket.objects.put_new(upload(body)).await.expect("stored");
        let Created::Stored(object) = stored else { panic!("{stored:?}") };
        assert_eq!(bucket.fetch(&object).await.expect("there"), body.as_bytes());
    }
    // The client of the SDK tries a 501 as often as any other answer from 500 on.
    assert!((1..=3).contains(&asked.load(Ordering::SeqCst)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_told_and_a_conflict_is_tried_again() {
    let bucket = bucket(true).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    bucket.objects.put(upload("x")).await.expect("stored");
    bucket.proxy.rule(move |request| {
        if request.method != "PUT" {
            return Fault::Pass;
        }
        assert_eq!(request.header("if-none-match"), Some("*"));
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Fault::Answer(Response::s3(409, "ConditionalRequestConflict")),
            _ => Fault::Answer(Response::s3(412, "PreconditionFailed")),
        }
    });
    assert_eq!(bucket.objects.put_new(upload("x")).await.expect("answered"), Created::There);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // Whoever deletes and stores it all the time: it may be tried later.
    bucket.proxy.rule(|_| Fault::Answer(Response::s3(409, "ConditionalRequestConflict")));
    let error = bucket.objects.put_new(upload("x")).await.expect_err("never");
    assert!(error.is_transient());
}

/// The client of the SDK tries again by itself: the second try finds what the first one stored.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_by_a_try_whose_answer_was_lost_is_stored_and_is_told_from_what_others_stored()
 {
    let bucket = bucket(true).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    bucket.proxy.rule(move |request| {
        match (request.method.as_str(), counted.load(Ordering::SeqCst)) {
            ("PUT", tries) => {
                counted.fetch_add(1, Ordering::SeqCst);
                if tries == 0 { Fault::Lose } else { Fault::Pass }
            }
            _ => Fault::Pass,
        }
    });
    let stored = bucket.objects.put_new(upload("x")).await.expect("answered");
    let Created::Stored(object) = stored else { panic!("{stored:?}") };
    assert!(asked.load(Ordering::SeqCst) >= 2, "it was tried again");
    assert!(object.version.is_some());
    assert_eq!(bucket.fetch(&object).await.expect("there"), b"x");
    let current = bucket.objects.current(&object).await.expect("asked").expect("there");
    assert_eq!(current.object.id(), object.id(), "the one version");
    assert_eq!(bucket.objects.put_new(upload("x")).await.expect("answered"), Created::There);
}

/// What a worker asks before it believes that one object is denied.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_denies_every_read_is_a_service_that_is_away() {
    let bucket = bucket(true).await;
    bucket.objects.check().await.expect("everything is allowed");
    // The bucket's own address has no key behind the name.
    let name = bucket.name.clone();
    bucket.proxy.rule(move |request| {
        let path = request.target.split('?').next().unwrap_or_default().trim_matches('/');
        match path == name {
            true => Fault::Pass,
            false => Fault::Answer(Response::s3(403, "AccessDenied")),
        }
    });
    let error = bucket.objects.check().await.expect_err("no object can be read");
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_busy_for_a_moment_is_asked_again() {
    let bucket = bucket(true).await;
    let object = bucket.put("x").await;
    let turn = AtomicU32::new(0);
    bucket.proxy.rule(move |_| match turn.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => Fault::Answer(Response::s3(503, "SlowDown")),
        1 => Fault::Lose,
        _ => Fault::Pass,
    });
    assert_eq!(bucket.fetch(&object).await.expect("the third time"), b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_asked_for_again_and_never_taken_for_whole() {
    let bucket = bucket(true).await;
    let body: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let object = bucket.put(body.clone()).await;
    let turn = AtomicU32::new(0);
    bucket.proxy.rule(move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0 => Fault::Truncate(1),
        1 => Fault::Truncate(70_000),
        _ => Fault::Pass,
    });
    assert!(bucket.fetch(&object).await.expect("the third time") == body);
    bucket.proxy.rule(|_| Fault::Truncate(70_000));
    assert!(transient(&bucket.fetch(&object).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_given_up_after_its_time() {
    let bucket = bucket(true).await;
    let large = bucket.put(vec![7; 1_000_000]).await;
    bucket.proxy.rule(|_| Fault::Drip(1, Duration::from_millis(50)));
    // It would take half a day.
    assert!(transient(&bucket.fetch(&large).await));
    bucket.proxy.rule(|_| Fault::Pass);
    let object = bucket.put(vec![7; 1_000]).await;
    bucket.proxy.rule(|_| Fault::Drip(250, Duration::from_millis(50)));
    assert_eq!(bucket.fetch(&object).await.expect("slow, but in time").len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_read_whether_its_length_is_announced_or_not() {
    let bucket = bucket(true).await;
    let object = bucket.put(vec![7; LIMIT as usize + 1]).await;
    let too_large = |answer| matches!(answer, Err(FetchError::TooLarge { limit: LIMIT }));
    // Announced: not one byte of it is waited for.
    bucket.proxy.rule(|_| Fault::Drip(1, Duration::from_secs(60)));
    assert!(too_large(bucket.fetch(&object).await));
    bucket.proxy.rule(|_| Fault::Unannounced);
    assert!(too_large(bucket.fetch(&object).await));
    let fits = bucket.put(vec![7; LIMIT as usize]).await;
    assert_eq!(bucket.fetch(&fits).await.expect("at the limit").len(), LIMIT as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_neither_keys_nor_addresses() {
    let bucket = bucket(true).await;
    let object = bucket.put("x").await;
    bucket.proxy.rule(|_| Fault::Answer(Response::s3(500, "InternalError")));
    let Err(FetchError::Port(error)) = bucket.fetch(&object).await else { panic!("it answers") };
    let text = format!("{error} {error:?}");
    assert!(text.contains("500"), "{text}");
    for secret in ["x&y", "dcm", "127.0.0.1", &bucket.name] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_erased_by_its_id_and_the_last_one_takes_the_delete_markers_along() {
    let bucket = bucket(true).await;
    let (old, new) = (bucket.put("old").await, bucket.put("new").await);
    let s3 = bucket.ministack.s3().await;
    s3.delete_object().bucket(&bucket.name).key(KEY).send().await.expect("hidden");
    bucket.objects.erase(&old).await.expect("erased");
    bucket.objects.erase(&old).await.expect("erased already");
    bucket.objects.erase_markers(&bucket.name, KEY).await.expect("looked");
    let left = s3.list_object_versions().bucket(&bucket.name).send().await.expect("listed");
    assert_eq!((left.versions().len(), left.delete_markers().len()), (1, 1), "one is hidden still");
    assert_eq!(bucket.fetch(&new).await.expect("there"), b"new");
    bucket.objects.erase(&new).await.expect("erased");
    bucket.objects.erase_markers(&bucket.name, KEY).await.expect("erased");
    let left = s3.list_object_versions().bucket(&bucket.name).send().await.expect("listed");
    assert!(left.versions().is_empty() && left.delete_markers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_versions_only_the_content_that_is_meant_is_erased() {
    let bucket = bucket(false).await;
    let old = bucket.put("old").await;
    let new = bucket.put("new").await;
    bucket.objects.erase(&by_etag(&old)).await.expect("it is gone already");
    assert_eq!(bucket.fetch(&by_etag(&new)).await.expect("there"), b"new");
    bucket.objects.erase(&by_etag(&new)).await.expect("erased");
    assert!(bucket.fetch(&by_etag(&new)).await.is_err());
    bucket.objects.erase(&by_etag(&new)).await.expect("erased already");
}
