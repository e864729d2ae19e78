//! What is no image by name and content is put aside, and nothing else is.

use lobar_core::image::Lane;
use lobar_core::quarantine::{NO_IMAGE, replay};
use lobar_ingest::{IngestSettings, ReconcileOptions, ReconcilePorts, reconcile};
use lobar_tests::kit;
use lobar_tests::rig::Rig;

/// Every notification is settled, and so many images are there.
async fn until_settled(rig: &Rig, images: u64) {
    rig.until("every notification is settled", async || {
        let depth = rig.uploads.inner.depth().await.expect("answers");
        let overview = rig.store.inner.overview().await.expect("answers");
        let known: u64 = overview.by_state.iter().map(|(_, count)| count).sum();
        known == images && depth.ready + depth.in_flight + depth.delayed == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_put_aside_by_its_name_and_its_content_together() {
    let rig = Rig::open().await;
    let picture = kit::radiograph_jpeg(320, 300, 1);
    let junk = [
        ("incoming/north/Thumbs.db", b"\xD0\xCF\x11\xE0".to_vec()),
        ("incoming/north/stat/read me.TXT", b"Dear colleague".to_vec()),
        ("incoming/north/.DS_Store", b"\0\0\0\x01Bud1".to_vec()),
        ("incoming/north/desktop.ini", Vec::new()),
    ];
    let meant = [
        ("incoming/north/notes.txt", picture.clone()),
        ("incoming/north/1.jpg", b"Dear colleague".to_vec()),
        ("incoming/north/IM0001", picture),
        ("incoming/north/large.txt", vec![b'a'; (2 << 20) + 1]),
    ];
    for (key, bytes) in junk.iter().chain(&meant) {
        rig.put(key, Lane::Routine, bytes.clone()).await;
    }
    let ingesting = rig.ingest(Rig::ingest_settings());
    until_settled(&rig, 4).await;
    ingesting.stop().await;
    let waiting = rig.quarantine.waiting().await.expect("answers");
    assert_eq!(waiting, [(NO_IMAGE.to_owned(), 4)]);

    // A comparison of bucket and store finds none of them lost.
    let ports = ReconcilePorts {
        uploads: rig.uploads.clone(),
        store: rig.store.clone(),
        objects: rig.objects.clone(),
        listing: rig.bucket.clone(),
        clock: std::sync::Arc::new(rig.clock.clone()),
    };
    rig.clock.advance(std::time::Duration::from_secs(3600));
    let done = reconcile(&ports, &ReconcileOptions::default()).await.expect("compared");
    assert_eq!((done.objects, done.admitted, done.restored, done.removed), (8, 0, 0, 0));

    // One of them was meant after all: the list is shortened, and its notification comes again.
    let junk = "thumbs.db,desktop.ini,.ds_store".parse().expect("names");
    let ingesting = rig.ingest(IngestSettings { junk, ..Rig::ingest_settings() });
    let entries = rig.quarantine.list(false, None, 10).await.expect("listed");
    for entry in &entries {
        let uploads = &*rig.uploads.inner;
        replay(&*rig.quarantine, uploads, entry.id, "ada").await.expect("replayed");
    }
    until_settled(&rig, 5).await;
    ingesting.stop().await;
    let waiting = rig.quarantine.waiting().await.expect("answers");
    assert_eq!(waiting, [(NO_IMAGE.to_owned(), 3)], "the others are put aside again");
}
