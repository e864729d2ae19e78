//! What the audit record has of images that a worker finished.

use lobar_core::audit::{Audit, Cursor, Digest, Entry, Filter, verify};
use lobar_core::image::{Lane, State};
use lobar_core::object::ImageId;
use lobar_tests::rig::{Rig, ScriptedEngine};
use serde_json::json;

use super::{admit, picture};

async fn entry(audit: &dyn Audit, image: ImageId) -> Entry {
    let filter = Filter { image: Some(image), ..Filter::default() };
    let mut page = audit.page(&filter, Cursor::After(0), 10).await.expect("read");
    assert_eq!(page.len(), 1, "{page:?}");
    page.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_finished_image_is_recorded_with_the_digest_of_its_bytes_and_the_model_that_was_asked()
 {
    let rig = Rig::open().await;
    let images = admit(&rig, Lane::Routine, 0..3).await;
    let broken = b"no picture at all".to_vec();
    let unread = rig.admit("incoming/north/broken.jpg", Lane::Routine, broken.clone()).await;
    let engine = ScriptedEngine::new(|batch| {
        let mut answers = ScriptedEngine::answer(batch)?;
        for (answer, input) in answers.iter_mut().zip(batch) {
            if *input == super::input(&picture(0)) {
                *answer = Err("NaN".into());
            }
        }
        Ok(answers)
    });
    let working = rig.work(engine, Rig::worker_settings());
    rig.until_quiet().await;
    for (n, image) in (0..).zip(&images) {
        let (shown, entry) = (rig.image(*image).await, entry(&*rig.audit, *image).await);
        let detail = entry.detail();
        assert_eq!(detail["input_sha256"], Digest::of(&picture(n)).to_string());
        let Some(finding) = shown.finding else {
            assert_eq!((n, shown.state), (0, State::NeedsHuman));
            assert_eq!((&*entry.action, &detail["state"]), ("not_assessed", &json!("needs_human")));
            assert!(detail["model_sha256"].is_string(), "the network was asked: {detail}");
            continue;
        };
        assert_eq!((&*entry.action, &detail["score"]), ("inferred", &json!(finding.probability)));
        assert_eq!(detail["model_sha256"], finding.model.sha256);
        assert_eq!(detail["flagged"], finding.flagged);
    }
    let detail = entry(&*rig.audit, unread).await.detail();
    assert_eq!(detail["input_sha256"], Digest::of(&broken).to_string());
    assert!(detail.get("model").is_none() && detail["reason"].is_string(), "{detail}");
    let all = rig.audit.page(&Filter::default(), Cursor::After(0), 100).await.expect("read");
    assert_eq!(verify(None, &all).map(|verified| verified.entries), Ok(4));
    working.stop().await.expect("a graceful stop");
}
