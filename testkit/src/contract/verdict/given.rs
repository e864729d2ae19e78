//! Giving verdicts, and what becomes of them.
#![allow(missing_docs)] // a sentence says it

use std::collections::HashSet;

use lobar_core::event::Seq;
use lobar_core::image::State;

use super::*;
use crate::contract::store::{image, told};

pub async fn a_verdict_is_added_to_an_image_that_has_a_finding_of_the_version_it_names<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let ill = flagged(&*store, 1).await;
    let agreed = say(&*verdicts, ill, Opinion::Agree).await;
    assert_eq!(agreed.verdict, new(ill, Some(VERSION), Opinion::Agree));
    assert_eq!(agreed.label, Some(Label::Pneumonia));
    assert_eq!(of(&*verdicts, ill).await, [agreed], "what is answered is what is there");

    let well = finished(&*store, &key(2), ready(0.25)).await;
    assert_eq!(say(&*verdicts, well, Opinion::Agree).await.label, Some(Label::Normal));
    let other = say(&*verdicts, well, disagree(Label::Pneumonia)).await;
    assert_eq!(other.label, Some(Label::Pneumonia));
    assert_eq!(of(&*verdicts, ill).await.len(), 1, "each image has its own");
}

pub async fn a_verdict_on_a_finding_that_has_been_replaced_is_stale_and_refused<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let ready_one = flagged(&*store, 1).await;
    let human = finished(&*store, &key(2), blank()).await;
    let superseded = flagged(&*store, 3).await;
    admit(&*store, &object("incoming/north/3.jpg", "v2", None)).await;
    admit(&*store, &key(4)).await;
    let stale = [
        new(ready_one, Some("6"), Opinion::Agree),
        new(ready_one, None, disagree(Label::Normal)),
        new(human, Some(VERSION), disagree(Label::Normal)),
        new(superseded, Some(VERSION), Opinion::Agree),
        new(key(4).id(), None, disagree(Label::Normal)),
        new(key(4).id(), Some(VERSION), Opinion::Agree),
    ];
    let before = store.events(Seq(0), 1_000).await.expect("events").len();
    for verdict in &stale {
        let refusal = refused(&*verdicts, verdict).await;
        assert!(matches!(refusal, VerdictError::Stale), "{verdict:?}: {refusal}");
        assert_eq!(of(&*verdicts, verdict.image).await, []);
    }
    assert_eq!(store.events(Seq(0), 1_000).await.expect("events").len(), before);
}

pub async fn a_verdict_on_an_unknown_image_is_refused<H: VerdictHarness>() {
    let harness = H::start().await;
    let (_, verdicts) = harness.open().await;
    for version in [None, Some(VERSION)] {
        let verdict = new(key(1).id(), version, disagree(Label::Normal));
        assert!(matches!(refused(&*verdicts, &verdict).await, VerdictError::Unknown));
    }
    assert_eq!(of(&*verdicts, key(1).id()).await, []);
}

pub async fn an_image_that_needs_a_human_can_be_labelled_without_a_finding<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let human = finished(&*store, &key(1), blank()).await;
    let verdict = new(human, None, disagree(Label::Pneumonia));
    let added = verdicts.add(&verdict, &Terms::default()).await.expect("added");
    assert_eq!((added.verdict, added.label), (verdict, Some(Label::Pneumonia)));
    admit(&*store, &key(2)).await;
    let failed = key(2).id();
    granted(&*store, failed).await;
    store.claim(&[failed], 1).await.expect("put in quarantine");
    let added = verdicts
        .add(&new(failed, None, not_assessable(&[Cause::NotFrontalChest])), &Terms::default())
        .await
        .expect("added");
    assert_eq!(added.label, None);
}

pub async fn agreeing_needs_a_finding_to_agree_with<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let human = finished(&*store, &key(1), blank()).await;
    let refusal = refused(&*verdicts, &new(human, None, Opinion::Agree)).await;
    assert!(matches!(refusal, VerdictError::NothingToAgreeWith), "{refusal}");
    assert_eq!(of(&*verdicts, human).await, []);
}

pub async fn earlier_verdicts_are_kept_beside_later_ones_oldest_first<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let said = [
        Opinion::Agree,
        not_assessable(&[Cause::Exposure, Cause::Other]),
        disagree(Label::Normal),
        Opinion::Agree,
    ];
    let mut kept = Vec::new();
    for (n, opinion) in said.into_iter().enumerate() {
        // Two of them at the same time by the clock.
        if n != 1 {
            harness.advance(Duration::from_secs(1)).await;
        }
        kept.push(say(&*verdicts, image, opinion).await);
    }
    assert!(kept.windows(2).all(|pair| pair[0].at < pair[1].at), "{kept:?}");
    assert_eq!(of(&*verdicts, image).await, kept);
}

pub async fn a_verdict_does_not_change_the_image_s_state_and_writes_an_event<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let ill = flagged(&*store, 1).await;
    let human = finished(&*store, &key(2), blank()).await;
    let before = [image(&*store, ill).await, image(&*store, human).await];
    let total = store.overview().await.expect("asked").by_state;
    let verdict = say(&*verdicts, ill, disagree(Label::Normal)).await;
    verdicts
        .add(&new(human, None, disagree(Label::Normal)), &Terms::default())
        .await
        .expect("added");
    assert_eq!([image(&*store, ill).await, image(&*store, human).await], before);
    assert_eq!(store.overview().await.expect("asked").by_state, total);
    let states = [State::Queued, State::Analysing, State::Ready, State::Ready];
    assert_eq!(told(&*store, ill).await, states);
    let events = store.events(Seq(0), 1_000).await.expect("events");
    let of_verdicts: Vec<_> = events.iter().filter(|event| event.verdict).collect();
    assert_eq!(of_verdicts.len(), 2);
    assert_eq!((of_verdicts[0].image, of_verdicts[0].at), (ill, verdict.at));
    assert_eq!((of_verdicts[1].image, of_verdicts[1].state), (human, State::NeedsHuman));
}

pub async fn removing_an_image_removes_what_was_said_of_it<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let (gone, stays) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    for image in [gone, stays] {
        say(&*verdicts, image, not_assessable(&[])).await;
        say(&*verdicts, image, Opinion::Agree).await;
    }
    store.remove(&key(1)).await.expect("removed");
    assert_eq!(of(&*verdicts, gone).await, []);
    assert_eq!(of(&*verdicts, stays).await.len(), 2);
    let labelled = verdicts.labelled(None, 10).await.expect("asked");
    assert_eq!(labelled.iter().map(|one| one.image).collect::<Vec<_>>(), [stays]);
    let refusal = refused(&*verdicts, &new(gone, Some(VERSION), Opinion::Agree)).await;
    assert!(matches!(refusal, VerdictError::Unknown), "{refusal}");

    // So does an image whose result is no longer kept.
    harness.advance(std::time::Duration::from_secs(7_200)).await;
    let hour = std::time::Duration::from_secs(3_600);
    store.prune(lobar_core::store::Retained::Results, hour, 10).await.expect("pruned");
    assert_eq!(of(&*verdicts, stays).await, []);
    assert_eq!(verdicts.labelled(None, 10).await.expect("asked"), []);
}

pub async fn concurrent_verdicts_on_one_image_are_all_kept_in_one_order<H: VerdictHarness>() {
    const HANDLES: usize = 3;
    const EACH: usize = 6;
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let mut racing = Vec::new();
    for _ in 0..HANDLES {
        let (_, handle) = harness.open().await;
        racing.push(async move {
            let mut added = Vec::new();
            for _ in 0..EACH {
                added.push(say(&*handle, image, Opinion::Agree).await);
            }
            added
        });
    }
    let added: Vec<Verdict> = futures::future::join_all(racing).await.concat();
    let kept = of(&*verdicts, image).await;
    assert_eq!(kept.len(), HANDLES * EACH);
    assert!(kept.windows(2).all(|pair| pair[0].at < pair[1].at));
    let ids: HashSet<_> = kept.iter().map(|verdict| verdict.id).collect();
    assert!(added.iter().all(|verdict| ids.contains(&verdict.id)));
}
