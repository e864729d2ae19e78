//! Candidate, active, retired, and back.
#![allow(missing_docs)] // a sentence says it

use std::collections::HashSet;
use std::time::Duration;

use lobar_core::model_registry::{ModelChange, RegistryError, Stage};
use serde_json::json;

use super::shadow::finding;
use super::*;

pub async fn a_model_is_registered_once_however_often_the_same_file_is_registered<
    H: ModelRegistryHarness,
>() {
    let harness = H::start().await;
    let (one, other) = (harness.open().await, harness.open().await);
    let first = register(&*one, "1").await;
    assert_eq!((&first.model, first.stage, first.shadow), (&new("1"), Stage::Candidate, false));
    harness.advance(Duration::from_secs(1)).await;
    assert_eq!(other.register(&new("1"), "grace").await.expect("known"), first);
    activate(&*one, "1").await;
    assert_eq!(register(&*other, "1").await.stage, Stage::Active, "as it stands by now");
    assert_eq!(one.models().await.expect("asked").len(), 1);

    let new = new("2");
    let both = tokio::join!(one.register(&new, "ada"), other.register(&new, "grace"));
    assert_eq!(both.0.expect("registered"), both.1.expect("registered"));
    let versions: Vec<_> =
        one.models().await.expect("asked").into_iter().map(|model| model.model.version).collect();
    assert_eq!(versions, ["2", "1"], "newest first");
}

pub async fn a_version_that_is_taken_by_other_weights_is_refused<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    let known = register(&*registry, "1").await;
    let other = NewModel { sha256: "f".repeat(64), ..new("1") };
    match registry.register(&other, "ada").await {
        Err(RegistryError::Taken { version, registered }) => {
            assert_eq!((version, registered), ("1".into(), known.model.sha256.clone()));
        }
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(registry.models().await.expect("asked"), [known]);
}

pub async fn a_new_model_is_a_candidate_and_changes_nothing_that_is_served<
    H: ModelRegistryHarness,
>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    assert_eq!(assignment(&*registry).await, Assignment::default(), "nothing was registered");
    register(&*registry, "1").await;
    assert_eq!(active(&assignment(&*registry).await), None);
    activate(&*registry, "1").await;
    let before = assignment(&*registry).await;
    assert_eq!(register(&*registry, "2").await.stage, Stage::Candidate);
    let after = assignment(&*registry).await;
    assert_eq!((after.active, after.shadow), (before.active, None));
}

pub async fn activating_a_model_retires_the_one_that_was_active<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 2).await;
    assert_eq!(active(&activate(&*registry, "1").await), Some("1"));
    harness.advance(Duration::from_secs(1)).await;
    let assigned = activate(&*registry, "2").await;
    assert_eq!(active(&assigned), Some("2"));
    assert_eq!(assigned, assignment(&*registry).await, "what is answered is what is there");
    assert_eq!(stage(&*registry, "1").await, Stage::Retired);
    for model in registry.models().await.expect("asked") {
        assert_eq!(model.changed_at, model.registered_at.plus(Duration::from_secs(1)));
    }
    activate(&*registry, "1").await;
    assert_eq!(stage(&*registry, "1").await, Stage::Active, "a retired model can come back");
}

pub async fn activating_the_active_model_changes_nothing<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 2).await;
    activate(&*registry, "1").await;
    let before = activate(&*registry, "2").await;
    let history = registry.history(10).await.expect("asked");
    harness.advance(Duration::from_secs(1)).await;
    assert_eq!(activate(&*registry, "2").await, before);
    assert_eq!(registry.history(10).await.expect("asked"), history);
    assert_eq!(active(&roll_back(&*registry).await), Some("1"), "nor is it an activation");
}

pub async fn an_unknown_model_cannot_be_activated<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 1).await;
    let before = activate(&*registry, "1").await;
    let refused = registry.activate("2", "ada").await;
    assert!(matches!(refused, Err(RegistryError::Unknown(version)) if version == "2"));
    let refused = registry.retire("2", "ada").await;
    assert!(matches!(refused, Err(RegistryError::Unknown(version)) if version == "2"));
    assert_eq!(registry.model("2").await.expect("asked"), None);
    assert_eq!(assignment(&*registry).await, before);
}

pub async fn a_first_activation_happens_only_where_no_model_was_ever_active<
    H: ModelRegistryHarness,
>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 4).await;
    let refused = registry.activate_first("5", "ada").await;
    assert!(matches!(refused, Err(RegistryError::Unknown(version)) if version == "5"));
    let mut racing = Vec::new();
    for version in 1..=4 {
        let handle = harness.open().await;
        racing.push(async move {
            handle.activate_first(&version.to_string(), "lobar").await.expect("asked")
        });
    }
    let did = futures::future::join_all(racing).await;
    assert_eq!(did.iter().filter(|did| **did).count(), 1, "{did:?}");
    let first = (did.iter().position(|did| *did).expect("one") + 1).to_string();
    let assigned = assignment(&*registry).await;
    assert_eq!(active(&assigned), Some(first.as_str()));
    let last = registry.history(1).await.expect("asked").remove(0);
    assert_eq!(
        (last.action.as_str(), last.version, last.by),
        ("activate", first.clone(), "lobar".into())
    );

    // Nor the one that is active already, nor after it was replaced or rolled back to.
    let other = if first == "1" { "2" } else { "1" };
    for changes in 0..3 {
        for version in ["1", "2", "3", "4"] {
            assert!(!registry.activate_first(version, "lobar").await.expect("asked"));
        }
        match changes {
            0 => assert_eq!(assignment(&*registry).await, assigned),
            1 => drop(activate(&*registry, other).await),
            _ => assert_eq!(active(&roll_back(&*registry).await), Some(first.as_str())),
        }
    }
}

pub async fn rolling_back_activates_the_model_that_was_active_before<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 3).await;
    activate(&*registry, "1").await;
    activate(&*registry, "2").await;
    assert_eq!(active(&roll_back(&*registry).await), Some("1"));
    assert_eq!(stage(&*registry, "2").await, Stage::Retired);
    // From there on as if the other had never been active.
    activate(&*registry, "3").await;
    assert_eq!(active(&roll_back(&*registry).await), Some("1"));
}

pub async fn rolling_back_twice_goes_back_two_activations<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 3).await;
    for version in ["1", "2", "1", "3"] {
        activate(&*registry, version).await;
    }
    for before in ["1", "2", "1"] {
        assert_eq!(active(&roll_back(&*registry).await), Some(before));
    }
    assert!(registry.roll_back("ada").await.is_err());
}

pub async fn without_an_earlier_model_there_is_nothing_to_roll_back_to<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    for _ in 0..2 {
        let before = assignment(&*registry).await;
        let refused = registry.roll_back("ada").await;
        assert!(matches!(refused, Err(RegistryError::Refused(_))), "{refused:?}");
        assert_eq!(assignment(&*registry).await, before);
        // And again with one model that is the first.
        registered(&*registry, 2).await;
        activate(&*registry, "1").await;
    }
}

pub async fn the_active_model_cannot_be_retired<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 2).await;
    let before = activate(&*registry, "1").await;
    let refused = registry.retire("1", "ada").await;
    assert!(matches!(refused, Err(RegistryError::Refused(_))), "{refused:?}");
    assert_eq!(assignment(&*registry).await, before);
    assert_eq!(registry.retire("2", "ada").await.expect("retired").stage, Stage::Retired);
    let once = registry.history(10).await.expect("asked");
    registry.retire("2", "ada").await.expect("it is already");
    assert_eq!(registry.history(10).await.expect("asked"), once, "which is no change");
}

pub async fn every_change_gives_the_assignment_a_new_revision<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    let mut last = assignment(&*registry).await.revision;
    assert_eq!(last, 0);
    for step in 0..7 {
        match step {
            0 => drop(register(&*registry, "1").await),
            1 => drop(register(&*registry, "2").await),
            2 => drop(activate(&*registry, "1").await),
            3 => drop(registry.shadow(Some("2"), "ada").await.expect("shadows")),
            4 => drop(activate(&*registry, "2").await),
            5 => drop(roll_back(&*registry).await),
            _ => drop(registry.shadow(Some("2"), "ada").await.expect("shadows")),
        }
        let revision = assignment(&*registry).await.revision;
        assert!(revision > last, "step {step}");
        last = revision;
    }
    assert!(registry.shadow(None, "ada").await.expect("ended").revision > last);
}

pub async fn every_change_is_kept_with_its_time_and_who_made_it<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    let began = register(&*registry, "1").await.registered_at;
    let second = Duration::from_secs(1);
    harness.advance(second).await;
    registry.register(&new("2"), "grace").await.expect("registered");
    registry.activate("1", "lobar").await.expect("activated");
    registry.shadow(Some("2"), "grace").await.expect("shadows");
    registry.shadow(None, "ada").await.expect("ended");
    registry.activate("2", "ada").await.expect("activated");
    harness.advance(second).await;
    registry.roll_back("grace").await.expect("rolled back");
    registry.retire("2", "ada").await.expect("it is already");
    register(&*registry, "3").await;
    registry.retire("3", "ada").await.expect("retired");
    let change = |revision, action: &str, version: &str, by: &str, seconds| ModelChange {
        revision,
        action: action.into(),
        version: version.into(),
        by: by.into(),
        at: began.plus(second * seconds),
    };
    let kept = [
        change(9, "retire", "3", "ada", 2),
        change(8, "register", "3", "ada", 2),
        change(7, "rollback", "1", "grace", 2),
        change(6, "activate", "2", "ada", 1),
        change(5, "unshadow", "2", "ada", 1),
        change(4, "shadow", "2", "grace", 1),
        change(3, "activate", "1", "lobar", 1),
        change(2, "register", "2", "grace", 1),
        change(1, "register", "1", "ada", 0),
    ];
    assert_eq!(registry.history(100).await.expect("asked"), kept);
    assert_eq!(registry.history(2).await.expect("asked"), kept[..2], "the newest");
}

pub async fn concurrent_activations_leave_one_model_active<H: ModelRegistryHarness>() {
    const HANDLES: usize = 3;
    const ROUNDS: usize = 8;
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, HANDLES).await;
    let mut racing = Vec::new();
    for version in 1..=HANDLES {
        let handle = harness.open().await;
        racing.push(async move {
            let mut seen = Vec::new();
            for _ in 0..ROUNDS {
                let version = version.to_string();
                let assigned = handle.activate(&version, "ada").await.expect("activated");
                assert_eq!(active(&assigned), Some(version.as_str()), "as of its own change");
                seen.push(assigned.revision);
            }
            seen
        });
    }
    let revisions: Vec<i64> = futures::future::join_all(racing).await.concat();
    let models = registry.models().await.expect("asked");
    let active = models.iter().filter(|model| model.stage == Stage::Active);
    assert_eq!(active.count(), 1, "{models:?}");
    // Each change has a revision of its own, and they were made one after the other.
    let history = registry.history(1000).await.expect("asked");
    let of_history: HashSet<_> = history.iter().map(|change| change.revision).collect();
    assert_eq!(of_history.len(), history.len());
    assert!(revisions.iter().all(|revision| of_history.contains(revision)));
    let activations: Vec<_> = history.iter().filter(|c| c.action == "activate").collect();
    assert!(activations.windows(2).all(|pair| pair[0].version != pair[1].version));
    for before in activations.iter().skip(1) {
        let assigned = roll_back(&*registry).await;
        assert_eq!(super::active(&assigned), Some(before.version.as_str()));
    }
}

pub async fn everything_survives_closing_and_opening_the_registry<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    registered(&*registry, 3).await;
    activate(&*registry, "1").await;
    activate(&*registry, "2").await;
    registry.shadow(Some("3"), "ada").await.expect("shadows");
    registry.record_shadow(&[finding(1, "3", 0.9, "2", 0.2)]).await.expect("kept");
    let (models, assigned) =
        (registry.models().await.expect("asked"), assignment(&*registry).await);
    let history = registry.history(100).await.expect("asked");
    let compared = registry.compare("3").await.expect("asked");
    drop(registry);
    let registry = harness.reopen().await;
    assert_eq!(registry.models().await.expect("asked"), models);
    assert_eq!(assignment(&*registry).await, assigned);
    assert_eq!(registry.history(100).await.expect("asked"), history);
    assert_eq!(registry.compare("3").await.expect("asked"), compared);
    assert_eq!(active(&roll_back(&*registry).await), Some("1"));
}

pub async fn a_card_comes_back_as_it_was_registered<H: ModelRegistryHarness>() {
    let harness = H::start().await;
    let registry = harness.open().await;
    // What a database's own JSON would write otherwise, or refuse.
    let card = json!({
        "threshold": 0.1, "rate": 1e-3, "whole": 10.0, "large": 5e20, "images": 5232,
        "order": { "z": 1, "a": 2 }, "nothing": null, "text": "a\u{0}b 'c' \"d\" \u{e9}",
    });
    let model = NewModel { card: card.clone(), ..new("1") };
    registry.register(&model, "ada").await.expect("registered");
    let kept = registry.model("1").await.expect("asked").expect("known");
    assert_eq!(kept.model, model);
    assert_eq!(activate(&*registry, "1").await.active.expect("active").model.card, card);
}
