//! Models whose rows cannot be read in full.
#![allow(missing_docs)] // a sentence says it

use lobar_core::model_registry::{RegistryError, Stage};
use serde_json::Value;

use super::*;

/// Puts other values into columns of a model.
async fn set<H: ModelRegistryHarness>(harness: &H, version: &str, assignment: &str) {
    harness.damage(&format!("update model set {assignment} where version = '{version}'")).await;
}

pub async fn a_model_that_cannot_be_read_in_full_says_what_is_unreadable_and_hides_no_other<
    H: ModelRegistryHarness,
>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 3).await;
    set(&harness, "2", "card = 'a card', stage = 'withdrawn'").await;
    let models = registry.models().await.expect("asked");
    assert_eq!(models.len(), 3);
    for model in models {
        let asked = registry.model(&model.model.version).await.expect("asked");
        assert_eq!(asked.as_ref(), Some(&model));
        if model.model.version == "2" {
            assert_eq!(model.unreadable, ["card", "stage"]);
            assert_eq!((&model.model.card, model.stage), (&Value::Null, Stage::Retired));
            assert_eq!(model.model.sha256, new("2").sha256);
        } else {
            assert!(model.unreadable.is_empty());
            assert_eq!(model.model, new(&model.model.version));
        }
    }
}

pub async fn a_model_whose_card_cannot_be_read_still_answers<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 2).await;
    activate(&*registry, "1").await;
    registry.shadow(Some("2"), "ada").await.expect("shadows");
    set(&harness, "1", "card = '{'").await;
    set(&harness, "2", "card = ''").await;
    let assigned = assignment(&*registry).await;
    assert_eq!((active(&assigned), shadowing(&assigned)), (Some("1"), Some("2")));
    assert_eq!(active(&activate(&*registry, "2").await), Some("2"));
    assert_eq!(active(&roll_back(&*registry).await), Some("1"));
}

pub async fn a_model_whose_stage_cannot_be_read_is_neither_activated_nor_shadowed<
    H: ModelRegistryHarness,
>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 3).await;
    activate(&*registry, "1").await;
    activate(&*registry, "2").await;
    set(&harness, "1", "stage = 'withdrawn'").await;
    let refusals = [
        registry.activate("1", "ada").await.err(),
        registry.activate_first("1", "ada").await.err(),
        registry.shadow(Some("1"), "ada").await.err(),
        registry.roll_back("ada").await.err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Some(RegistryError::Refused(_))), "{refusal:?}");
    }
    let assigned = assignment(&*registry).await;
    assert_eq!((active(&assigned), shadowing(&assigned)), (Some("2"), None));
    assert_eq!(active(&activate(&*registry, "3").await), Some("3"), "the others are");
}
