//! Shadows, and what they saw.
#![allow(missing_docs)] // a sentence says it

use lobar_core::finding::Label;
use lobar_core::model_registry::{Comparison, RegistryError, ShadowFinding, Stage};
use lobar_core::object::ImageId;
use lobar_core::verdict::{NewVerdict, Note, Opinion, Terms};
use uuid::Uuid;

use super::*;
use crate::contract::store::{admit, complete, granted, object, ready};

/// What a shadow saw in the image of a number, flagged from 0.5 on.
pub(super) fn finding(
    image: u128,
    version: &str,
    probability: f64,
    shown_version: &str,
    shown_probability: f64,
) -> ShadowFinding {
    ShadowFinding {
        image: ImageId(Uuid::from_u128(image)),
        version: version.into(),
        probability,
        flagged: probability >= 0.5,
        shown_version: shown_version.into(),
        shown_probability,
        shown_flagged: shown_probability >= 0.5,
    }
}

pub async fn a_shadow_is_a_model_that_is_not_active<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 3).await;
    let before = activate(&*registry, "1").await;
    let refused = registry.shadow(Some("1"), "ada").await;
    assert!(matches!(refused, Err(RegistryError::Refused(_))), "{refused:?}");
    let refused = registry.shadow(Some("4"), "ada").await;
    assert!(matches!(refused, Err(RegistryError::Unknown(version)) if version == "4"));
    assert_eq!(assignment(&*registry).await, before);

    let assigned = registry.shadow(Some("2"), "ada").await.expect("shadows");
    assert_eq!((active(&assigned), shadowing(&assigned)), (Some("1"), Some("2")));
    assert_eq!(registry.shadow(Some("2"), "ada").await.expect("already"), assigned);
    let assigned = registry.shadow(Some("3"), "ada").await.expect("in its place");
    assert_eq!(shadowing(&assigned), Some("3"));
    let shadows = registry.models().await.expect("asked").into_iter().filter(|model| model.shadow);
    assert_eq!(shadows.map(|model| model.model.version).collect::<Vec<_>>(), ["3"]);
    assert_eq!(stage(&*registry, "3").await, Stage::Candidate, "a stage of its own it is not");

    let ended = registry.shadow(None, "ada").await.expect("ended");
    assert_eq!((active(&ended), shadowing(&ended)), (Some("1"), None));
    assert_eq!(registry.shadow(None, "ada").await.expect("there is none"), ended);
}

pub async fn activating_the_shadow_ends_its_shadowing<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 2).await;
    activate(&*registry, "1").await;
    registry.shadow(Some("2"), "ada").await.expect("shadows");
    let assigned = activate(&*registry, "2").await;
    assert_eq!((active(&assigned), shadowing(&assigned)), (Some("2"), None));
    // The same on the way back.
    registry.shadow(Some("1"), "ada").await.expect("shadows");
    let assigned = roll_back(&*registry).await;
    assert_eq!((active(&assigned), shadowing(&assigned)), (Some("1"), None));
    // Another one goes on.
    register(&*registry, "3").await;
    registry.shadow(Some("3"), "ada").await.expect("shadows");
    assert_eq!(shadowing(&activate(&*registry, "2").await), Some("3"));
}

pub async fn ending_a_model_s_shadowing_leaves_another_shadow_alone<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 3).await;
    activate(&*registry, "1").await;
    let assigned = registry.shadow(Some("2"), "ada").await.expect("shadows");
    let history = registry.history(10).await.expect("asked");
    for other in ["1", "3"] {
        let after = registry.stop_shadow(other, "ada").await.expect("left as it is");
        assert_eq!(after, assigned, "{other}");
    }
    let refused = registry.stop_shadow("4", "ada").await;
    assert!(matches!(refused, Err(RegistryError::Unknown(version)) if version == "4"));
    assert_eq!(registry.history(10).await.expect("asked"), history, "which is no change");

    let ended = registry.stop_shadow("2", "grace").await.expect("ended");
    assert_eq!((active(&ended), shadowing(&ended)), (Some("1"), None));
    assert!(ended.revision > assigned.revision);
    let last = registry.history(1).await.expect("asked").remove(0);
    assert_eq!((last.action.as_str(), last.version.as_str()), ("unshadow", "2"));
    assert_eq!(last.by, "grace");
    assert_eq!(registry.stop_shadow("2", "ada").await.expect("it does not shadow"), ended);
}

pub async fn a_retired_model_can_shadow_until_it_is_retired_again<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 2).await;
    activate(&*registry, "1").await;
    activate(&*registry, "2").await;
    let assigned = registry.shadow(Some("1"), "ada").await.expect("shadows");
    assert_eq!(shadowing(&assigned), Some("1"));
    let retired = registry.retire("1", "ada").await.expect("retired");
    assert_eq!((retired.stage, retired.shadow), (Stage::Retired, false));
    let after = assignment(&*registry).await;
    assert!(after.revision > assigned.revision && after.shadow.is_none());
}

pub async fn a_shadow_finding_is_kept_once_an_image_and_model<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    let first = finding(1, "2", 0.75, "1", 0.5);
    // Twice in one call, again in another with another answer, and beside other images and models.
    registry.record_shadow(&[first.clone(), first]).await.expect("kept");
    let later = [
        finding(1, "2", 0.25, "1", 0.25),
        finding(1, "3", 0.25, "1", 0.5),
        finding(2, "2", 0.75, "1", 0.5),
    ];
    registry.record_shadow(&later).await.expect("kept");
    registry.record_shadow(&[]).await.expect("nothing to keep");
    let two = registry.compare("2").await.expect("asked").remove(0);
    assert_eq!((two.images, two.both_flagged, two.mean_difference), (2, 2, 0.25));
    assert_eq!(registry.compare("3").await.expect("asked").remove(0).images, 1);
}

pub async fn a_comparison_counts_the_images_that_both_models_answered<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    assert_eq!(registry.compare("2").await.expect("asked"), []);
    let seen = [
        finding(1, "2", 1.0, "1", 0.75),
        finding(2, "2", 0.5, "1", 0.25),
        finding(3, "2", 0.25, "1", 1.0),
        finding(4, "2", 0.25, "1", 0.25),
        finding(5, "2", 0.0, "1", 0.25),
        finding(6, "2", 0.0, "0", 1.0),
    ];
    registry.record_shadow(&seen).await.expect("kept");
    let against_one = Comparison {
        version: "2".into(),
        shown_version: "1".into(),
        images: 5,
        both_flagged: 1,
        only_shadow_flagged: 1,
        only_shown_flagged: 1,
        mean_difference: -0.1,
        mean_absolute_difference: 0.3,
        largest_difference: 0.75,
        ..Comparison::default()
    };
    let against_zero = Comparison {
        shown_version: "0".into(),
        images: 1,
        both_flagged: 0,
        only_shadow_flagged: 0,
        mean_difference: -1.0,
        mean_absolute_difference: 1.0,
        largest_difference: 1.0,
        ..against_one.clone()
    };
    let compared = registry.compare("2").await.expect("asked");
    assert_eq!(compared.len(), 2);
    for (found, expected) in compared.into_iter().zip([against_one, against_zero]) {
        assert!((found.mean_difference - expected.mean_difference).abs() < 1e-12, "{found:?}");
        let away = found.mean_absolute_difference - expected.mean_absolute_difference;
        assert!(away.abs() < 1e-12, "{found:?}");
        let (mean_difference, mean_absolute_difference) =
            (expected.mean_difference, expected.mean_absolute_difference);
        assert_eq!(Comparison { mean_difference, mean_absolute_difference, ..found }, expected);
    }
}

pub async fn a_comparison_counts_on_whose_side_the_newest_verdicts_are<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    let (store, verdicts) = harness.images().await;
    let normal = || Opinion::Disagree { label: Label::Normal };
    let unreadable = || Opinion::NotAssessable { causes: Vec::new() };
    // Shown as flagged, each; the shadow flags the first three. The newest verdict counts.
    let said = [
        vec![Opinion::Agree],
        vec![normal()],
        vec![normal(), Opinion::Agree],
        vec![Opinion::Agree, normal()],
        vec![Opinion::Agree, unreadable()],
        vec![],
        vec![Opinion::Agree],
    ];
    // The reader of the last one had no picture on the screen.
    let blind = said.len() - 1;
    let mut seen = Vec::new();
    for (n, opinions) in said.into_iter().enumerate() {
        let object = object(&format!("incoming/north/{n}.jpg"), "v1", None);
        admit(&*store, &object).await;
        let claimed = granted(&*store, object.id()).await;
        assert!(complete(&*store, &claimed, ready(0.75)).await);
        for opinion in opinions {
            let verdict = NewVerdict {
                image: object.id(),
                model_version: Some("7".into()),
                opinion,
                note: Note::default(),
                reader: "ada".into(),
                role: "radiologist".into(),
                displayed: Vec::new(),
                rendering: (n != blind).then(|| "seen".into()),
            };
            verdicts.add(&verdict, &Terms::default()).await.expect("added");
        }
        let probability = if n < 3 || n == blind { 0.75 } else { 0.25 };
        let image = object.id();
        seen.push(ShadowFinding { image, ..finding(0, "2", probability, "7", 0.75) });
    }
    registry.record_shadow(&seen).await.expect("kept");
    let compared = registry.compare("2").await.expect("asked").remove(0);
    assert_eq!((compared.images, compared.verdicts), (7, 4));
    // The labels: pneumonia, normal, pneumonia, normal.
    assert_eq!((compared.verdicts_for_shadow, compared.verdicts_for_shown), (3, 2));
    assert_eq!((compared.both_flagged, compared.only_shown_flagged), (4, 3));
    assert!((compared.mean_difference + 1.5 / 7.0).abs() < 1e-12, "{compared:?}");
}

pub async fn thousands_of_shadow_findings_are_taken<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let (one, other) = (harness.open().await, harness.open().await);
    let findings: Vec<_> = (0..2_000).map(|n| finding(n, "2", 0.25, "1", 0.25)).collect();
    let backwards: Vec<_> = findings.iter().rev().cloned().collect();
    // Two workers with the same images in opposite orders.
    let both = tokio::join!(one.record_shadow(&findings), other.record_shadow(&backwards));
    both.0.and(both.1).expect("kept");
    assert_eq!(one.compare("2").await.expect("asked").remove(0).images, 2_000);
}
