//! What is kept for a time only is deleted by ingest, in batches, and what must stay stays.

use std::time::Duration;

use lobar_core::audit::{Begin, Cursor, Filter, verify};
use lobar_core::image::{Lane, State};
use lobar_core::object::ImageId;
use lobar_core::store::Quarantined;
use lobar_ingest::{IngestSettings, Retention};
use lobar_tests::kit;
use lobar_tests::rig::{Rig, ScriptedEngine};

const HOUR: Duration = Duration::from_secs(3_600);

fn keeping(retention: Retention) -> IngestSettings {
    let prune_every = Duration::from_millis(50);
    IngestSettings { retention, prune_every, prune_batch: 3, ..Rig::ingest_settings() }
}

/// Assesses so many images, by an ingest that deletes nothing.
async fn assessed(rig: &Rig, count: usize) -> Vec<ImageId> {
    let ingesting = rig.ingest(Rig::ingest_settings());
    let working = rig.work(ScriptedEngine::new(ScriptedEngine::answer), Rig::worker_settings());
    let mut ids = Vec::new();
    for n in 0..count {
        let picture = kit::radiograph_jpeg(320, 300, n as u32);
        ids.push(rig.put(&format!("incoming/north/{n}.jpg"), Lane::Routine, picture).await.id());
    }
    for id in &ids {
        rig.until("it is assessed", async || state(rig, *id).await == Some(State::Ready)).await;
    }
    ingesting.stop().await;
    working.stop().await.expect("a clean stop");
    ids
}

async fn state(rig: &Rig, id: ImageId) -> Option<State> {
    rig.store.inner.image(id).await.expect("answers").map(|image| image.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_results_are_deleted_when_their_time_is_over_and_nothing_else_is() {
    let rig = Rig::open().await;
    let old = assessed(&rig, 4).await;
    let (source, reason) = ("uploads".into(), "malformed".into());
    let waiting = Quarantined { source, reason, body: b"?".to_vec() };
    rig.store.inner.quarantine(&waiting).await.expect("kept");
    rig.clock.advance(3 * HOUR);
    let events = rig.events().await.len();
    let retention = Retention {
        events: Some(HOUR),
        quarantine: Some(HOUR),
        results: Some(2 * HOUR),
        audit: Some(HOUR),
        images: None,
        exposure: Some(HOUR),
    };
    let ingesting = rig.ingest(keeping(retention));
    for id in &old {
        rig.until("it is removed", async || state(&rig, *id).await == Some(State::Removed)).await;
    }
    // The events of the removals are young, and all the others old.
    rig.until("old events are gone", async || rig.events().await.len() == old.len()).await;
    let pruned = |kind| ingesting.metric_of("lobar_ingest_pruned_total", kind);
    rig.until("they are counted", async || {
        pruned("events") == events as f64
            && pruned("results") == old.len() as f64
            && pruned("audit") == old.len() as f64
    })
    .await;
    assert_eq!(pruned("quarantine"), 0.0, "what waits stays");
    ingesting.stop().await;
    let kept = rig.audit.page(&Filter::default(), Cursor::After(0), 10).await.expect("read");
    assert!(kept.iter().all(|entry| entry.action == "pruned"), "{kept:?}");
    assert_eq!(verify(None, &kept).map(|verified| verified.begin), Ok(Begin::Pruned));
    for id in old {
        let image = rig.store.inner.image(id).await.expect("answers").expect("it is known");
        assert!(image.finding.is_none() && image.detail.is_some(), "{image:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_results_are_kept_and_two_that_delete_do_it_together() {
    let rig = Rig::open().await;
    let old = assessed(&rig, 5).await;
    rig.clock.advance(1_000 * HOUR);
    let retention = Retention { events: Some(HOUR), ..Retention::default() };
    let both = [rig.ingest(keeping(retention)), rig.ingest(keeping(retention))];
    // The newest stays, however old it is.
    rig.until("old events are gone", async || rig.events().await.len() == 1).await;
    let pruned =
        || both.iter().map(|one| one.metric_of("lobar_ingest_pruned_total", "events")).sum::<f64>();
    rig.until("each was counted once", async || pruned() == (old.len() * 3 - 1) as f64).await;
    for id in old {
        assert_eq!(state(&rig, id).await, Some(State::Ready));
    }
    for one in both {
        one.stop().await;
    }
}
