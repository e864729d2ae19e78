//! Erasing with the bucket: interrupted at any call, refused by the bucket, and by age.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::audit::{Actor, Cursor, Filter};
use lobar_core::erasure::{
    ErasureOrder, ErasurePorts, ErasureReason, Erasures, ObjectSelector, Tombstone,
};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::object_store::{
    EraseError, FetchError, ObjectErasure, ObjectListing, ObjectStore as _, VersionMarker,
    VersionPage,
};
use lobar_core::store::{Admission, Claim};
use lobar_ingest::{IngestSettings, Retention};
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine};
use tokio::sync::Notify;

const HOUR: Duration = Duration::from_secs(3_600);
const KEY: &str = "incoming/north/Doe Jane/1.jpg";

/// Ports of which only so many calls are answered: whoever asks further is as good as killed there.
struct Interrupted {
    inner: ErasurePorts,
    left: AtomicUsize,
    reached: Notify,
}

impl Interrupted {
    async fn call(&self) {
        let left =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Erasures for Interrupted {
    async fn erase(
        &self,
        objects: &[ObjectVersion],
        order: &ErasureOrder,
    ) -> Result<Vec<ImageId>, PortError> {
        self.call().await;
        let done = self.inner.erasures.erase(objects, order).await;
        self.call().await;
        done
    }

    async fn unfinished(
        &self,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError> {
        self.inner.erasures.unfinished(after, limit).await
    }

    async fn unfinished_of(&self, id: ImageId) -> Result<Option<ObjectVersion>, PortError> {
        self.inner.erasures.unfinished_of(id).await
    }

    async fn finish(&self, erased: &[ImageId]) -> Result<(), PortError> {
        self.call().await;
        let done = self.inner.erasures.finish(erased).await;
        self.call().await;
        done
    }

    async fn tombstone(&self, id: ImageId) -> Result<Option<Tombstone>, PortError> {
        self.inner.erasures.tombstone(id).await
    }

    async fn find(
        &self,
        which: &ObjectSelector,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError> {
        self.inner.erasures.find(which, after, limit).await
    }
}

#[async_trait]
impl ObjectListing for Interrupted {
    fn bucket(&self) -> &str {
        self.inner.objects.bucket()
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        self.call().await;
        self.inner.objects.versions(prefix, after).await
    }
}

#[async_trait]
impl ObjectErasure for Interrupted {
    async fn erase(&self, object: &ObjectVersion) -> Result<(), EraseError> {
        self.call().await;
        let done = self.inner.objects.erase(object).await;
        self.call().await;
        done
    }

    async fn erase_markers(&self, bucket: &str, key: &str) -> Result<(), EraseError> {
        self.call().await;
        let done = self.inner.objects.erase_markers(bucket, key).await;
        self.call().await;
        done
    }
}

/// Erases a key, interrupted after so many calls; whether it came to its end before.
async fn interrupted(rig: &Rig, key: &str, calls: usize) -> bool {
    let ports = Arc::new(Interrupted {
        inner: rig.erasure.clone(),
        left: AtomicUsize::new(calls),
        reached: Notify::new(),
    });
    let erasing = ErasurePorts { erasures: ports.clone(), objects: ports.clone() };
    let order = order();
    tokio::select! {
        done = erasing.erase_key(("xrays", key), &order) => done.map(|_| true).expect("erased"),
        () = ports.reached.notified() => false,
    }
}

fn order() -> ErasureOrder {
    let (actor, role, request) = (Actor::local("ada"), None, None);
    let (reason, detail) = (ErasureReason::Request, serde_json::Value::Null);
    ErasureOrder { reason, actor, role, request, detail }
}

/// Uploads a picture, and waits until it is assessed.
async fn assessed(rig: &Rig, key: &str, seed: u32) -> ObjectVersion {
    let picture = kit::radiograph_jpeg(320, 300, seed);
    let object = rig.put(key, Lane::Routine, picture).await;
    rig.until("it is assessed", async || state(rig, object.id()).await == Some(State::Ready)).await;
    object
}

async fn state(rig: &Rig, id: ImageId) -> Option<State> {
    rig.store.inner.image(id).await.expect("answers").map(|image| image.state)
}

async fn listed(rig: &Rig) -> usize {
    rig.bucket.versions("", None).await.expect("listed").versions.len()
}

/// Nothing of it is known, served, or comes back.
async fn assert_erased(rig: &Rig, object: &ObjectVersion, case: &str) {
    let id = object.id();
    assert_eq!(state(rig, id).await, None, "{case}");
    let claims = rig.store.inner.claim(&[id], 9).await.expect("asked");
    assert_eq!(claims, [Claim::Settled(State::Removed)], "{case}");
    let again = lobar_core::image::NewImage { object: object.clone(), lane: Lane::Stat };
    let admitted = rig.store.inner.admit(&[again]).await.expect("asked");
    assert_eq!(admitted, [Admission::Settled(id)], "{case}");
    let grave = rig.erasure.erasures.tombstone(id).await.expect("asked").expect("a tombstone");
    assert!(grave.erased_at.is_some(), "{case}: {grave:?}");
    let fetched = rig.bucket.fetch(object, 1_000_000).await;
    assert!(matches!(fetched, Err(FetchError::Gone | FetchError::Missing)), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_at_any_call_an_erasure_shows_nothing_once_begun_and_ends_in_the_background() {
    let rig = Rig::open().await;
    let working = rig.work(ScriptedEngine::new(ScriptedEngine::answer), Rig::worker_settings());
    let settings =
        IngestSettings { erase_every: Duration::from_millis(20), ..Rig::ingest_settings() };
    let mut calls = 0;
    loop {
        let key = format!("{KEY}{calls}");
        let ingesting = rig.ingest(Rig::ingest_settings());
        let first = assessed(&rig, &key, 1).await;
        let second = assessed(&rig, &key, 2).await;
        ingesting.stop().await;
        let ended = interrupted(&rig, &key, calls).await;
        let case = format!("after {calls} calls");
        let begun = rig.erasure.erasures.tombstone(second.id()).await.expect("asked").is_some();
        assert_eq!(state(&rig, second.id()).await.is_none(), begun, "{case}");
        assert_eq!(state(&rig, first.id()).await.is_none(), begun, "{case}");
        // By itself where it was begun; asked for again where it was not.
        if !begun {
            assert!(!interrupted(&rig, &key, 3).await);
        }
        let ingesting = rig.ingest(settings.clone());
        rig.until("nothing waits", async || {
            rig.erasure.erasures.unfinished(None, 1).await.expect("asked").is_empty()
        })
        .await;
        // The bucket's own word that it was deleted brings nothing back.
        rig.until_quiet().await;
        ingesting.stop().await;
        for object in [&first, &second] {
            assert_erased(&rig, object, &case).await;
        }
        assert_eq!(listed(&rig).await, 0, "{case}");
        if ended {
            break;
        }
        calls += 1;
    }
    assert!(calls >= 8, "{calls} calls were interrupted");
    working.stop().await.expect("a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_erasure_is_finished_by_itself_while_others_wait() {
    let rig = Rig::open().await;
    let working = rig.work(ScriptedEngine::new(ScriptedEngine::answer), Rig::worker_settings());
    let ingesting = rig.ingest(Rig::ingest_settings());
    let one = assessed(&rig, "incoming/north/one.jpg", 1).await;
    let other = assessed(&rig, "incoming/north/other.jpg", 2).await;
    ingesting.stop().await;
    let both = [one.clone(), other.clone()];
    let forgotten = rig.erasure.erasures.erase(&both, &order()).await.expect("forgotten");
    assert_eq!(forgotten.len(), 2);
    let done = rig.erasure.finish_one(one.id()).await.expect("finished");
    assert_eq!((done.gone, done.refused), (1, 0));
    let waiting = rig.erasure.erasures.unfinished(None, 10).await.expect("asked");
    assert_eq!(waiting.iter().map(ObjectVersion::id).collect::<Vec<_>>(), [other.id()]);
    assert_eq!(listed(&rig).await, 1);
    assert_eq!(rig.erasure.finish_one(one.id()).await.expect("nothing to do").gone, 0);
    assert_erased(&rig, &one, "by itself").await;
    working.stop().await.expect("a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_erased_with_all_its_versions_and_delete_markers_and_put_again_it_is_a_new_image()
{
    let rig = Rig::open().await;
    let working = rig.work(ScriptedEngine::new(ScriptedEngine::answer), Rig::worker_settings());
    let ingesting = rig.ingest(Rig::ingest_settings());
    let first = assessed(&rig, KEY, 1).await;
    // Deleted as any client does it, by a delete marker, and put again under another name that begins so.
    rig.bucket.remove(&ObjectVersion { version: None, ..first.clone() }).await.expect("deleted");
    let other = assessed(&rig, &format!("{KEY}.2"), 2).await;
    rig.until("it is removed", async || state(&rig, first.id()).await == Some(State::Removed))
        .await;
    let done = rig.erasure.erase_key(("xrays", KEY), &order()).await.expect("erased");
    assert_eq!((done.images.as_slice(), done.gone, done.refused), (&[first.id()][..], 1, 0));
    rig.until_quiet().await;
    assert_erased(&rig, &first, "deleted before").await;
    assert_eq!(state(&rig, other.id()).await, Some(State::Ready), "another key");
    let again = assessed(&rig, KEY, 1).await;
    assert_ne!(again.id(), first.id());
    ingesting.stop().await;
    working.stop().await.expect("a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_erased_when_their_time_is_over_and_younger_versions_of_their_keys_stay() {
    let rig = Rig::open().await;
    let working = rig.work(ScriptedEngine::new(ScriptedEngine::answer), Rig::worker_settings());
    let ingesting = rig.ingest(Rig::ingest_settings());
    let old = assessed(&rig, KEY, 1).await;
    let other = assessed(&rig, "incoming/north/2.jpg", 2).await;
    rig.clock.advance(3 * HOUR);
    let young = assessed(&rig, KEY, 3).await;
    ingesting.stop().await;
    let retention = Retention { images: Some(2 * HOUR), ..Retention::default() };
    let erase_every = Duration::from_millis(20);
    let ingesting = rig.ingest(IngestSettings { retention, erase_every, ..Rig::ingest_settings() });
    rig.until("two are gone", async || {
        ingesting.metric_of("lobar_ingest_erased_total", "gone") == 2.0
    })
    .await;
    rig.until_quiet().await;
    ingesting.stop().await;
    for object in [&old, &other] {
        assert_erased(&rig, object, "old").await;
    }
    assert_eq!(state(&rig, young.id()).await, Some(State::Ready));
    let filter = Filter { action: Some(lobar_core::audit::Action::Erased), ..Filter::default() };
    let entries = rig.audit.page(&filter, Cursor::After(0), 10).await.expect("read");
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.actor_kind == "system"), "{entries:?}");
    working.stop().await.expect("a clean stop");
}

/// A bucket that lists, and keeps what is to be deleted: as one under an object lock does.
struct Locked(Arc<dyn ObjectErasure>);

#[async_trait]
impl ObjectListing for Locked {
    fn bucket(&self) -> &str {
        self.0.bucket()
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        self.0.versions(prefix, after).await
    }
}

#[async_trait]
impl ObjectErasure for Locked {
    async fn erase(&self, _: &ObjectVersion) -> Result<(), EraseError> {
        Err(EraseError::Refused)
    }

    async fn erase_markers(&self, bucket: &str, key: &str) -> Result<(), EraseError> {
        self.0.erase_markers(bucket, key).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bucket_refuses_is_not_shown_and_goes_on_waiting() {
    let rig = Rig::open().await;
    let working = rig.work(ScriptedEngine::new(ScriptedEngine::answer), Rig::worker_settings());
    let ingesting = rig.ingest(Rig::ingest_settings());
    let image = assessed(&rig, KEY, 1).await;
    let locked = ErasurePorts {
        objects: Arc::new(Locked(rig.erasure.objects.clone())),
        ..rig.erasure.clone()
    };
    let done = locked.erase_key(("xrays", KEY), &order()).await.expect("erased");
    assert_eq!((done.images.len(), done.gone, done.refused), (1, 0, 1));
    assert_eq!(state(&rig, image.id()).await, None);
    assert_eq!(locked.finish().await.expect("asked").refused, 1);
    let grave = rig.erasure.erasures.tombstone(image.id()).await.expect("asked").expect("there");
    assert_eq!(grave.erased_at, None);
    // The lock is over.
    assert_eq!(rig.erasure.finish().await.expect("asked").gone, 1);
    rig.until_quiet().await;
    assert_erased(&rig, &image, "refused at first").await;
    ingesting.stop().await;
    working.stop().await.expect("a clean stop");
}

/// A bucket that never answers for one key as it should.
struct Broken {
    inner: Arc<dyn ObjectErasure>,
    key: &'static str,
    error: fn() -> PortError,
}

#[async_trait]
impl ObjectListing for Broken {
    fn bucket(&self) -> &str {
        self.inner.bucket()
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        self.inner.versions(prefix, after).await
    }
}

#[async_trait]
impl ObjectErasure for Broken {
    async fn erase(&self, object: &ObjectVersion) -> Result<(), EraseError> {
        match object.key == self.key {
            true => Err((self.error)().into()),
            false => self.inner.erase(object).await,
        }
    }

    async fn erase_markers(&self, bucket: &str, key: &str) -> Result<(), EraseError> {
        self.inner.erase_markers(bucket, key).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_that_can_never_be_deleted_holds_up_no_other() {
    let rig = Rig::open().await;
    // Keys are gone through in their order.
    let (first, second) = ("incoming/north/1.jpg", "incoming/north/2.jpg");
    let mut objects = Vec::new();
    for key in [first, second] {
        objects.push(rig.put(key, Lane::Stat, kit::radiograph_jpeg(320, 300, 1)).await);
    }
    rig.erasure.erasures.erase(&objects, &order()).await.expect("forgotten");
    let broken = |error| ErasurePorts {
        objects: Arc::new(Broken { inner: rig.erasure.objects.clone(), key: first, error }),
        ..rig.erasure.clone()
    };
    let waiting = async || {
        let waiting = rig.erasure.erasures.unfinished(None, 10).await.expect("asked");
        waiting.into_iter().map(|object| object.key).collect::<Vec<_>>()
    };
    let away = broken(|| PortError::transient("bucket", "away")).finish().await;
    assert!(away.is_err_and(|error| error.is_transient()));
    assert_eq!(waiting().await.len(), 2, "a bucket that is away is not asked on");
    let failed = broken(|| PortError::permanent("bucket", "never")).finish().await;
    assert!(failed.is_err_and(|error| !error.is_transient()));
    assert_eq!(waiting().await, [first]);
}
