//! A bucket that is away or slow, and a role that is killed between any two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::accounts::S3KeyPair;
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, NewImage};
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{
    Asked, Created, FetchError, Fetched, ObjectMetadata, ObjectStore, Upload,
};
use lobar_s3::S3ObjectStore;
use lobar_testkit::services::proxy::{Proxy, Weather};
use lobar_tests::aws::s3_options;
use lobar_tests::rig::{BUCKET, Rig};

use super::client::{Peer, data_set};
use super::fixture::{PATIENCE, serve, serve_on, settings, uid, versions};

#[tokio::test]
async fn a_bucket_that_is_away_is_answered_out_of_resources_and_the_association_goes_on() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    rig.objects.switch.off();
    assert_eq!(peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await, 0xA700);
    rig.objects.switch.on();
    assert_eq!(peer.store(2, &uid(0), &data_set(&uid(0)), 4096).await, 0);
    peer.release().await;
    assert_eq!(versions(&rig).await.len(), 1);
    lobar.stop().await;
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_no_hang_and_its_late_answer_doubles_nothing() {
    let rig = Rig::open().await;
    let address = rig.s3.trim_start_matches("http://").parse().expect("an address");
    let proxy = Proxy::open(address).await;
    let options = s3_options(BUCKET, format!("http://{}", proxy.address));
    let bucket: Arc<dyn ObjectStore> = Arc::new(S3ObjectStore::connect(options).await);
    let mut impatient = settings();
    impatient.limits.storing = Duration::from_millis(300);
    let lobar = serve_on(&rig, bucket, impatient).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    proxy.set(Weather::Blackhole);
    assert_eq!(peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await, 0xA700);
    proxy.set(Weather::Fair);
    // As a modality does: until it is told that the image is stored.
    let stored = async {
        for message in 2.. {
            if peer.store(message, &uid(0), &data_set(&uid(0)), 4096).await == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, stored).await.expect("it is taken in the end");
    peer.release().await;
    assert_eq!(versions(&rig).await.len(), 1);
    lobar.stop().await;
}

#[tokio::test]
async fn the_same_instance_on_several_associations_at_once_is_stored_once() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let set = Arc::new(data_set(&uid(0)));
    let sent: Vec<_> = (0..8)
        .map(|_| {
            let (set, address) = (Arc::clone(&set), lobar.address);
            tokio::spawn(async move {
                let mut peer = Peer::associate(address, "PEER").await;
                let status = peer.store(1, &uid(0), &set, 4096).await;
                peer.release().await;
                status
            })
        })
        .collect();
    for one in sent {
        assert_eq!(one.await.expect("no panic"), 0);
    }
    assert_eq!(versions(&rig).await.len(), 1);
    lobar.stop().await;
}

#[tokio::test]
async fn a_kill_between_any_two_steps_loses_and_doubles_nothing_after_the_modality_s_retry() {
    // Before and after the look whether it is there, and before and after it is put.
    for step in 1..=4 {
        let rig = Rig::open().await;
        let lobar = serve(&rig, settings()).await;
        let mut peer = Peer::associate(lobar.address, "PEER").await;
        rig.line.draw(step);
        let address = lobar.address;
        let sending =
            tokio::spawn(async move { peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await });
        rig.line.reached().await;
        sending.abort();
        lobar.kill();
        rig.line.erase();
        let there = versions(&rig).await.len();
        assert_eq!(there, usize::from(step == 4), "step {step}");
        let mut again = settings();
        again.listen = address;
        again.listen.set_port(0);
        let lobar = serve(&rig, again).await;
        let mut peer = Peer::associate(lobar.address, "PEER").await;
        assert_eq!(peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await, 0, "step {step}");
        peer.release().await;
        assert_eq!(versions(&rig).await.len(), 1, "step {step}");
        lobar.stop().await;
    }
}

#[tokio::test]
async fn a_stop_finishes_the_instance_that_is_under_way_and_takes_no_other() {
    let rig = Rig::open().await;
    let lobar = serve(&rig, settings()).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    rig.objects.answering.off();
    let sending = tokio::spawn(async move {
        let status = peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await;
        (status, peer.read().await)
    });
    let began = async {
        while rig.objects.answering.held() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, began).await.expect("in time");
    let mut other = Peer::associate(lobar.address, "OTHER").await;
    lobar.stop.receiving.cancel();
    // Who has nothing under way is aborted at once.
    assert!(matches!(other.read().await, Some(dicom_ul::pdu::Pdu::AbortRQ { .. })));
    rig.objects.answering.on();
    let (status, then) = sending.await.expect("no panic");
    assert_eq!(status, 0);
    assert!(matches!(then, Some(dicom_ul::pdu::Pdu::AbortRQ { .. })), "{then:?}");
    lobar.stop().await;
    assert_eq!(versions(&rig).await.len(), 1);
}

/// A bucket whose first call to put something panics.
struct Panicking(Arc<dyn ObjectStore>, AtomicBool);

#[async_trait]
impl ObjectStore for Panicking {
    async fn fetch(&self, object: &ObjectVersion, limit: u64) -> Result<Fetched, FetchError> {
        self.0.fetch(object, limit).await
    }
    async fn asked(&self, object: &ObjectVersion) -> Result<Asked, FetchError> {
        self.0.asked(object).await
    }
    async fn current(&self, object: &ObjectVersion) -> Result<Option<NewImage>, FetchError> {
        self.0.current(object).await
    }
    async fn put(&self, upload: Upload) -> Result<ObjectVersion, PortError> {
        self.0.put(upload).await
    }
    async fn put_new(&self, upload: Upload) -> Result<Created, PortError> {
        assert!(self.1.swap(true, Ordering::SeqCst), "the first call");
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
async fn an_instance_whose_put_panicked_is_taken_when_it_is_sent_again() {
    let rig = Rig::open().await;
    let bucket = Arc::new(Panicking(rig.objects.clone(), AtomicBool::new(false)));
    let lobar = serve_on(&rig, bucket, settings()).await;
    let mut peer = Peer::associate(lobar.address, "PEER").await;
    assert_eq!(peer.store(1, &uid(0), &data_set(&uid(0)), 4096).await, 0xA700);
    assert_eq!(peer.store(2, &uid(0), &data_set(&uid(0)), 4096).await, 0);
    peer.release().await;
    assert_eq!(versions(&rig).await.len(), 1);
    lobar.stop().await;
}
