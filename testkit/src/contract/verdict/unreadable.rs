//! Verdicts that cannot be read, and verdicts on what cannot be read.
#![allow(missing_docs)] // a sentence says it

use lobar_core::image::State;

use super::labels::pages;
use super::*;
use crate::contract::store::image;

/// Puts other values into columns of an image's verdicts, or of some of them.
async fn set<H: VerdictHarness>(harness: &H, n: usize, assignment: &str, further: &str) {
    let key = key(n).key;
    let of = format!("image = (select id from image where key = '{key}')");
    harness.damage(&format!("update verdict set {assignment} where {of}{further}")).await;
}

pub async fn a_verdict_that_cannot_be_read_is_told_of_as_unreadable_and_hides_no_other<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let first = say(&*verdicts, image, Opinion::Agree).await;
    harness.advance(Duration::from_secs(1)).await;
    say(&*verdicts, image, disagree(Label::Normal)).await;
    harness.advance(Duration::from_secs(1)).await;
    let last = say(&*verdicts, image, Opinion::Agree).await;
    set(&harness, 1, "opinion = 'unsure', label = null", " and opinion = 'disagree'").await;
    let at = last.at.0;
    set(&harness, 1, "displayed = 'heatmap'", &format!(" and at = {at}")).await;
    let said = of(&*verdicts, image).await;
    assert_eq!(said.len(), 3);
    assert_eq!(said[0], first);
    assert_eq!((&said[1].verdict.opinion, said[1].label), (&Opinion::Unreadable, None));
    assert_eq!((&said[2].verdict.opinion, said[2].label), (&Opinion::Agree, last.label));
    assert_eq!(said[2].verdict.displayed, ["unreadable"]);
    let refusal = refused(&*verdicts, &new(image, Some(VERSION), Opinion::Unreadable)).await;
    assert!(matches!(refusal, VerdictError::Port(_)), "{refusal}");
    assert_eq!(of(&*verdicts, image).await.len(), 3);
}

pub async fn a_label_that_cannot_be_read_is_left_out_of_the_labelled_and_hides_no_other<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(flagged(&*store, n).await);
        say(&*verdicts, ids[n], Opinion::Agree).await;
        harness.advance(Duration::from_secs(1)).await;
    }
    for n in [1, 2, 3, 5] {
        set(&harness, n, "label = 'INDETERMINATE'", "").await;
    }
    for limit in [1, 2, 100] {
        let labelled: Vec<ImageId> =
            pages(&*verdicts, limit).await.into_iter().map(|one| one.image).collect();
        assert_eq!(labelled, [ids[0], ids[4]], "{limit} a page");
    }
    assert_eq!(of(&*verdicts, ids[1]).await[0].label, None);
}

pub async fn an_image_whose_finding_cannot_be_read_is_labelled_like_one_that_needs_a_human<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let (unreadable, whole) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    let of_image = format!("image = (select id from image where key = '{}')", key(1).key);
    harness.damage(&format!("update finding set body = '[]' where {of_image}")).await;
    let shown = image(&*store, unreadable).await;
    assert_eq!((shown.state, shown.finding), (State::NeedsHuman, None));
    let blind = refused(&*verdicts, &new(unreadable, Some(VERSION), Opinion::Agree)).await;
    assert!(matches!(blind, VerdictError::Stale), "nobody can have seen it: {blind}");
    let nothing = refused(&*verdicts, &new(unreadable, None, Opinion::Agree)).await;
    assert!(matches!(nothing, VerdictError::NothingToAgreeWith), "{nothing}");
    let given = new(unreadable, None, disagree(Label::Normal));
    let kept = verdicts.add(&given, &Terms::default()).await.expect("added");
    assert_eq!(kept.label, Some(Label::Normal));
    say(&*verdicts, whole, Opinion::Agree).await;
    let labelled = pages(&*verdicts, 100).await;
    assert_eq!(labelled.iter().map(|one| one.image).collect::<Vec<_>>(), [unreadable, whole]);
    assert!(labelled[0].finding.is_none() && labelled[1].finding.is_some());
}
