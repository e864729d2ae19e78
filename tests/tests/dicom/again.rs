//! An instance that the bucket has already, sent again: success stands for an image that is, or will be, assessed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::accounts::S3KeyPair;
use lobar_core::audit::Actor;
use lobar_core::erasure::{ErasureOrder, ErasureReason};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, NewImage, State};
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{
    Asked, Created, FetchError, Fetched, ObjectMetadata, ObjectStore, Upload,
};
use lobar_core::store::Store;
use lobar_tests::rig::Rig;
use tokio::sync::Barrier;

use super::client::{Peer, data_set};
use super::fixture::{Running, serve, serve_on, settings, uid, versions};

async fn send(lobar: &Running) {
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    assert_eq!(peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await, 0);
    peer.release().await;
}

/// An instance in the bucket that ingest has admitted.
async fn admitted(rig: &Rig, lobar: &Running) -> ObjectVersion {
    send(lobar).await;
    let object = versions(rig).await.remove(0).object;
    let image = rig.bucket.current(&object).await.expect("asked").expect("there");
    rig.store.admit(std::slice::from_ref(&image)).await.expect("admitted");
    image.object
}

async fn state(rig: &Rig, object: &ObjectVersion) -> Option<State> {
    rig.store.states(&[object.id()]).await.expect("asked")[0]
}

#[tokio::test]
async fn one_that_waits_for_its_assessment_is_not_stored_again() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let object = admitted(&rig, &lobar).await;
    assert_eq!(state(&rig, &object).await, Some(State::Queued));
    send(&lobar).await;
    assert_eq!(versions(&rig).await.len(), 1);
    lobar.stop().await;
}

#[tokio::test]
async fn one_whose_image_was_removed_is_stored_again() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let object = admitted(&rig, &lobar).await;
    rig.store.remove(&object).await.expect("removed");
    assert_eq!(state(&rig, &object).await, Some(State::Removed));
    send(&lobar).await;
    assert_eq!(versions(&rig).await.len(), 2);
    lobar.stop().await;
}

#[tokio::test]
async fn one_whose_image_failed_is_stored_again() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let object = admitted(&rig, &lobar).await;
    rig.store.claim(&[object.id()], 0).await.expect("given up");
    assert_eq!(state(&rig, &object).await, Some(State::Failed));
    send(&lobar).await;
    assert_eq!(versions(&rig).await.len(), 2);
    lobar.stop().await;
}

#[tokio::test]
async fn one_that_is_erased_while_the_bucket_still_has_it_is_stored_again() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let object = admitted(&rig, &lobar).await;
    let order = ErasureOrder {
        reason: ErasureReason::Request,
        actor: Actor::local("ada"),
        role: None,
        request: None,
        detail: serde_json::json!({}),
    };
    rig.erasure.erasures.erase(&[object], &order).await.expect("erased");
    send(&lobar).await;
    assert_eq!(versions(&rig).await.len(), 2);
    lobar.stop().await;
}

#[tokio::test]
async fn one_that_comes_by_two_peers_of_a_site_is_one_however_urgent_it_is_to_them() {
    let rig = Rig::open().await;
    let mut listed = settings();
    let list = "CR1=127.0.0.1 site=north lane=stat; PACS=127.0.0.1 site=north";
    listed.peers = list.parse().expect("a list");
    let lobar = serve(&rig, listed).await;
    for title in ["CR1", "PACS"] {
        let mut peer = Peer::associate(lobar.address, title).await;
        assert_eq!(peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await, 0);
        peer.release().await;
    }
    let stored = versions(&rig).await;
    assert_eq!(stored.len(), 1);
    let lane = rig.bucket.asked(&stored[0].object).await.expect("asked").lane;
    assert_eq!(lane, Lane::Stat, "as the first of them has it");
    lobar.stop().await;
}

/// A bucket that answers the first two who ask what it has together: both learn the same.
struct Together(Arc<dyn ObjectStore>, Barrier, AtomicU32);

impl Together {
    fn on(rig: &Rig) -> Arc<Self> {
        Arc::new(Self(rig.objects.clone(), Barrier::new(2), AtomicU32::new(0)))
    }
}

#[async_trait]
impl ObjectStore for Together {
    async fn fetch(&self, object: &ObjectVersion, limit: u64) -> Result<Fetched, FetchError> {
        self.0.fetch(object, limit).await
    }
    async fn asked(&self, object: &ObjectVersion) -> Result<Asked, FetchError> {
        self.0.asked(object).await
    }
    async fn current(&self, object: &ObjectVersion) -> Result<Option<NewImage>, FetchError> {
        let current = self.0.current(object).await?;
        if self.2.fetch_add(1, Ordering::SeqCst) < 2 {
            self.1.wait().await;
        }
        Ok(current)
    }
    async fn put(&self, upload: Upload) -> Result<ObjectVersion, PortError> {
        self.0.put(upload).await
    }
    async fn put_new(&self, upload: Upload) -> Result<Created, PortError> {
        self.0.put_new(upload).await
    }
    async fn presign_put(
        &self,
        key: &str,
        lane: Lane,
        metadata: &ObjectMetadata,
        valid: Duration,
        pair: Option<&S3KeyPair>,
    ) -> Result<String, PortError> {
        self.0.presign_put(key, lane, metadata, valid, pair).await
    }
    async fn check(&self) -> Result<(), PortError> {
        self.0.check().await
    }
}

#[tokio::test]
async fn one_that_comes_to_two_processes_at_the_same_time_is_one_object() {
    let rig = Rig::open().await;
    let bucket = Together::on(&rig);
    let one = serve_on(&rig, bucket.clone(), settings()).await;
    let other = serve_on(&rig, bucket, settings()).await;
    futures::join!(send(&one), send(&other));
    assert_eq!(versions(&rig).await.len(), 1);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn one_whose_image_failed_and_that_comes_to_two_processes_at_the_same_time_is_stored_once_more()
 {
    let rig = Rig::open().await;
    let first = serve(&rig, settings()).await;
    let object = admitted(&rig, &first).await;
    rig.store.claim(&[object.id()], 0).await.expect("given up");
    first.stop().await;
    let bucket = Together::on(&rig);
    let one = serve_on(&rig, bucket.clone(), settings()).await;
    let other = serve_on(&rig, bucket, settings()).await;
    futures::join!(send(&one), send(&other));
    assert_eq!(versions(&rig).await.len(), 2, "the one that failed, and one more");
    one.stop().await;
    other.stop().await;
}
