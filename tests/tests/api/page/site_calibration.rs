//! What the page says of a score whose model was calibrated to a site.

use lobar_core::model_registry::NewModel;
use serde_json::json;

use crate::browser::Browser;
use crate::fixture::{Fixture, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_were_measured_at_the_parent_s_threshold_are_not_shown_as_the_model_s() {
    let fixture = Fixture::open().await;
    let validation = json!({ "images": 607, "specificity": 0.987, "specificity_at_half": 0.94,
        "confusion": { "true_negative": 153, "false_positive": 2, "true_positive": 430, "false_negative": 22 },
        "at_threshold_of": "parent", "at_threshold": 0.859 });
    let model = NewModel {
        version: "test-1".into(),
        key: "test-1/a.safetensors".into(),
        sha256: "ab".repeat(32),
        bytes: 1_000,
        card: json!({ "version": "test-1", "threshold": 0.4, "validation": validation }),
    };
    fixture.models.register(&model, "ada").await.expect("registered");
    let ids = fixture.admit(["incoming/north/0.jpg".to_owned()]).await;
    fixture.finish(&ids, &ready(0.78)).await;
    let browser = Browser::open(&fixture.url("/")).await;
    browser.text_becomes("#count", "Showing 1 of 1").await;
    browser.click(&format!("tr[data-id='{}'] .open", ids[0])).await;
    browser.text_becomes("#viewer .facts", "above the threshold").await;
    browser.text_becomes("#viewer .facts", "0.400").await;
    let facts = browser.text("#viewer .facts").await;
    assert!(!facts.contains("higher than") && !facts.contains("validation images"), "{facts}");
    browser.close().await;
}
