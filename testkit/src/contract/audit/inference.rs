//! What is recorded of images that were worked on.

use lobar_core::audit::{Audit, Cursor, Digest, Entry, Filter};
use lobar_core::finding::ModelRef;
use lobar_core::image::Reason;
use lobar_core::object::ObjectVersion;
use lobar_core::population::AGE_UNKNOWN;
use lobar_core::store::{Basis, Claim, Completion, Outcome, Store};
use serde_json::json;

use super::super::store::{admit, complete, granted, object, ready};
use super::{AuditHarness, all, verified};

fn film(name: &str) -> ObjectVersion {
    object(&format!("incoming/north/{name}.jpg"), "v1", None)
}

async fn of_image(audit: &dyn Audit, object: &ObjectVersion) -> Vec<Entry> {
    let filter = Filter { image: Some(object.id()), ..Filter::default() };
    audit.page(&filter, Cursor::After(0), 10).await.expect("read")
}

/// Finishes an image whose bytes are `input`.
async fn finish(store: &dyn Store, object: &ObjectVersion, outcome: Outcome, basis: Basis) {
    admit(store, object).await;
    let claimed = granted(store, object.id()).await;
    let (id, fence) = (claimed.id, claimed.fence);
    let done = Completion { id, fence, outcome, trace: None, basis };
    assert_eq!(store.complete(&[done]).await.expect("completed"), [true]);
}

pub async fn an_answered_image_is_recorded_with_its_input_its_model_and_its_score<
    H: AuditHarness,
>() {
    let harness = H::start().await;
    let (store, audit) = harness.open().await;
    let input = Digest::of(b"a picture");
    let Outcome::Ready(mut warned) = ready(0.75) else { panic!("a finding") };
    warned.warnings = ["tinted", AGE_UNKNOWN, "A sentence."].map(str::to_owned).into();
    let basis = Basis { input: Some(input), ..Basis::default() };
    finish(&*store, &film("a"), Outcome::Ready(warned), basis).await;
    let entry = of_image(&*audit, &film("a")).await.remove(0);
    assert_eq!((&*entry.action, &*entry.actor_kind), ("inferred", "system"));
    assert_eq!(entry.site.as_deref(), Some("north"));
    let Outcome::Ready(finding) = ready(0.75) else { panic!("a finding") };
    let told = json!({
        "input_sha256": input.to_string(), "score": 0.75, "threshold": 0.5, "flagged": true,
        "model": finding.model.version, "model_sha256": finding.model.sha256,
        "preprocessing": finding.model.preprocessing, "warnings": [AGE_UNKNOWN],
    });
    assert_eq!(entry.detail(), told);
    assert!(verified(&*audit).await.is_ok());
}

pub async fn an_image_that_is_not_assessed_is_recorded_with_its_reason<H: AuditHarness>() {
    let harness = H::start().await;
    let (store, audit) = harness.open().await;
    let detail = String::new;
    let model =
        ModelRef { version: "7".into(), sha256: "00ff".into(), preprocessing: "grey".into() };
    let unlike = Outcome::NeedsHuman { reason: Reason::UnlikeTraining, detail: detail() };
    let basis = Basis { input: Some(Digest::of(b"")), model: Some(model), identity: None };
    finish(&*store, &film("unlike"), unlike, basis).await;
    let entry = of_image(&*audit, &film("unlike")).await.remove(0);
    assert_eq!(entry.action, "not_assessed");
    let told = json!({
        "state": "needs_human", "reason": Reason::UnlikeTraining.code(), "model": "7",
        "model_sha256": "00ff", "preprocessing": "grey", "input_sha256": Digest::of(b"").to_string(),
    });
    assert_eq!(entry.detail(), told);

    let unread = Outcome::Failed { reason: Reason::FetchFailed, detail: detail() };
    finish(&*store, &film("unread"), unread, Basis::default()).await;
    let entry = of_image(&*audit, &film("unread")).await.remove(0);
    let told = json!({ "state": "failed", "reason": Reason::FetchFailed.code() });
    assert_eq!((&*entry.action, entry.detail()), ("not_assessed", told));

    // One that a claim puts aside.
    admit(&*store, &film("tried")).await;
    store.claim(&[film("tried").id()], 1).await.expect("claimed");
    let second = store.claim(&[film("tried").id()], 1).await.expect("claimed");
    assert!(matches!(second[0], Claim::Settled(_)), "{second:?}");
    let entry = of_image(&*audit, &film("tried")).await.remove(0);
    let told = json!({ "state": "failed", "reason": Reason::RepeatedFailure.code() });
    assert_eq!((&*entry.action, entry.detail()), ("not_assessed", told));

    // Of a version that is gone nothing was found out.
    finish(&*store, &film("gone"), Outcome::Superseded, Basis::default()).await;
    assert_eq!(of_image(&*audit, &film("gone")).await, []);
    assert!(verified(&*audit).await.is_ok());
}

pub async fn a_completion_that_is_refused_is_not_recorded<H: AuditHarness>() {
    let harness = H::start().await;
    let (store, audit) = harness.open().await;
    admit(&*store, &film("a")).await;
    let first = granted(&*store, film("a").id()).await;
    let second = granted(&*store, film("a").id()).await;
    assert!(!complete(&*store, &first, ready(0.9)).await);
    assert_eq!(all(&*audit).await, []);
    assert!(complete(&*store, &second, ready(0.1)).await);
    assert!(!complete(&*store, &second, ready(0.1)).await);
    assert_eq!(all(&*audit).await.len(), 1);
}
