//! First opinions and exposures as they are kept.
#![allow(missing_docs)] // a sentence says it

use std::collections::{BTreeMap, BTreeSet};

use lobar_core::exposure::{Answered, OpinionError};
use lobar_core::store::Retained;

use super::*;

pub async fn the_key_of_the_draw_is_made_once_and_is_the_same_for_every_process<
    H: ExposureHarness,
>() {
    let harness = H::start().await;
    let (_, _, one) = harness.open().await;
    let (_, _, other) = harness.open().await;
    let (first, second) = tokio::join!(one.draw_key(), other.draw_key());
    let key = first.expect("made");
    assert_eq!(key, second.expect("made"));
    assert_ne!(key.0, [0; 32]);
    let (_, _, again) = harness.reopen().await;
    assert_eq!(again.draw_key().await.expect("asked"), key);
}

pub async fn a_first_opinion_is_kept_with_the_answer_that_was_withheld_meanwhile<
    H: ExposureHarness,
>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let given = give(&*exposures, image, ADA, Label::Normal).await;
    assert_eq!(given.opinion, opinion(image, ADA, Some(Label::Normal)));
    assert_eq!((given.found, given.answer.model_version.as_str()), (Label::Pneumonia, "7"));
    harness.advance(Duration::from_secs(1)).await;
    let unsure = exposures.give(&opinion(image, BEN, None)).await.expect("given");
    assert_eq!(exposures.opinions(image).await.expect("asked"), [given, unsure]);
}

pub async fn a_reader_s_first_opinion_on_an_image_is_given_once_and_stays<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let (_, _, beside) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let (normal, ill) = (Some(Label::Normal), Some(Label::Pneumonia));
    let (normal, ill) = (opinion(image, ADA, normal), opinion(image, ADA, ill));
    let (one, other) = tokio::join!(exposures.give(&normal), beside.give(&ill));
    let (kept, refused) = match (one, other) {
        (Ok(kept), Err(refused)) | (Err(refused), Ok(kept)) => (kept, refused),
        _ => panic!("one of two is kept"),
    };
    assert!(matches!(refused, OpinionError::Given), "{refused}");
    assert_eq!(exposures.opinions(image).await.expect("asked"), [kept]);
}

pub async fn there_is_no_first_opinion_on_an_image_without_a_result<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    admit(&*store, &key(1)).await;
    let new = opinion(key(1).id(), ADA, None);
    let refused = exposures.give(&new).await.expect_err("refused");
    assert!(matches!(refused, OpinionError::NoResult), "{refused}");
    let unknown = opinion(key(2).id(), ADA, None);
    let refused = exposures.give(&unknown).await.expect_err("refused");
    assert!(matches!(refused, OpinionError::Unknown), "{refused}");
}

pub async fn who_gave_a_first_opinion_or_was_sent_a_result_has_met_it_and_nobody_else_has<
    H: ExposureHarness,
>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let (one, two, three) =
        (flagged(&*store, 1).await, flagged(&*store, 2).await, flagged(&*store, 3).await);
    give(&*exposures, one, ADA, Label::Normal).await;
    let now = harness.now();
    let all = [
        exposure(two, ADA, Source::Sent, Visible::RESULT, now),
        exposure(three, ADA, Source::Painted, Visible::WORD, now),
        exposure(three, BEN, Source::Sent, Visible::HEATMAP, now),
    ];
    exposures.expose(&all).await.expect("kept");
    let met = async |reader| exposures.met(reader, &[one, two, three]).await.expect("asked");
    assert_eq!(met(ADA).await, BTreeSet::from([one, two]));
    assert_eq!(met(BEN).await, BTreeSet::from([three]));
    assert_eq!(exposures.met(ADA, &[]).await.expect("asked"), BTreeSet::new());
}

pub async fn the_answers_to_many_images_are_told_at_once_with_their_sites<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let shown = [flagged(&*store, 1).await, flagged(&*store, 2).await];
    let gone = flagged(&*store, 3).await;
    store.remove(&key(3)).await.expect("removed");
    admit(&*store, &key(4)).await;
    let asked = [shown[0], gone, key(4).id(), key(5).id(), shown[1], shown[0]];
    let answer = Answer { model_version: "7".into(), model_sha256: "00ff".into() };
    let answered = Answered { site: Some("north".into()), answer };
    assert_eq!(
        exposures.answers(&asked).await.expect("asked"),
        BTreeMap::from(shown.map(|image| (image, answered.clone())))
    );
    assert!(exposures.answers(&[]).await.expect("asked").is_empty());
}

pub async fn what_was_sent_is_kept_once_however_often_it_is_sent<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let sent = |visible| exposure(image, ADA, Source::Sent, visible, harness.now());
    let first = sent(Visible::RESULT);
    exposures.expose(&[first.clone(), sent(Visible::RESULT)]).await.expect("kept");
    exposures.expose(&[sent(Visible::RESULT)]).await.expect("kept");
    assert_eq!(exposures.of_image(image).await.expect("asked"), [first]);
    exposures.expose(&[sent(Visible::HEATMAP)]).await.expect("kept");
    assert_eq!(exposures.of_image(image).await.expect("asked").len(), 2);
}

pub async fn what_was_painted_is_kept_once_by_its_id<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let painted = exposure(image, ADA, Source::Painted, Visible::WORD, harness.now());
    let again = Exposure { millis: 9_000, ..painted.clone() };
    exposures.expose(&[painted.clone(), again.clone()]).await.expect("kept");
    exposures.expose(&[again]).await.expect("kept");
    assert_eq!(exposures.of_image(image).await.expect("asked"), std::slice::from_ref(&painted));
    let nothing = exposure(image, ADA, Source::Painted, Visible::NOTHING, harness.now());
    exposures.expose(&[nothing]).await.expect("left out");
    let more = exposure(image, ADA, Source::Painted, Visible::WORD, harness.now());
    exposures.expose(&[more]).await.expect("kept");
    assert_eq!(exposures.of_image(image).await.expect("asked").len(), 2);
}

pub async fn an_image_s_exposures_are_told_in_the_order_of_time<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let at = |seconds: i64| Stamp(harness.now().0 + seconds * 1_000_000);
    let all: Vec<_> = [3, 1, 2]
        .map(|n| exposure(image, ADA, Source::Painted, Visible::WORD | Visible::HEATMAP, at(n)))
        .into();
    exposures.expose(&all).await.expect("kept");
    let [third, first, second] = all.try_into().expect("three");
    assert_eq!(exposures.of_image(image).await.expect("asked"), [first, second, third]);
}

pub async fn removing_an_image_removes_what_was_met_of_it<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let (gone, kept) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    for image in [gone, kept] {
        give(&*exposures, image, ADA, Label::Normal).await;
        let painted = exposure(image, ADA, Source::Painted, Visible::WORD, harness.now());
        exposures.expose(&[painted]).await.expect("kept");
    }
    store.remove(&key(1)).await.expect("removed");
    assert_eq!(exposures.opinions(gone).await.expect("asked"), []);
    assert_eq!(exposures.of_image(gone).await.expect("asked"), []);
    assert_eq!(exposures.of_image(kept).await.expect("asked").len(), 1);
    assert_eq!(cases(&*exposures).await.len(), 1);
}

pub async fn nothing_is_kept_of_an_image_that_is_not_there_any_more<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let (gone, kept) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    store.remove(&key(1)).await.expect("removed");
    // Told late, as pages and other processes do.
    let of = |image| exposure(image, ADA, Source::Painted, Visible::WORD, harness.now());
    let unknown = key(3).id();
    exposures.expose(&[of(gone), of(unknown), of(kept)]).await.expect("left out");
    for image in [gone, unknown] {
        assert_eq!(exposures.of_image(image).await.expect("asked"), []);
    }
    assert_eq!(exposures.of_image(kept).await.expect("asked").len(), 1);
}

pub async fn what_is_no_longer_kept_goes_with_its_first_opinion_and_not_before<
    H: ExposureHarness,
>() {
    const AGE: Duration = Duration::from_secs(3600);
    let harness = H::start().await;
    let (store, _, exposures) = harness.open().await;
    let (old, young) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    let met = async |image, reader| {
        let painted = exposure(image, reader, Source::Painted, Visible::WORD, harness.now());
        exposures.expose(&[painted]).await.expect("kept");
    };
    give(&*exposures, old, ADA, Label::Normal).await;
    met(old, ADA).await;
    met(young, ADA).await;
    met(young, BEN).await;
    harness.advance(AGE).await;
    give(&*exposures, young, ADA, Label::Normal).await;
    let prune = async |limit| store.prune(Retained::Exposure, AGE, limit).await.expect("pruned");
    assert_eq!(prune(10).await, 0, "none is that old");
    harness.advance(Duration::from_secs(1)).await;
    assert_eq!(prune(1).await, 1, "a batch");
    assert_eq!(prune(10).await, 2);
    assert_eq!(prune(10).await, 0);
    assert_eq!(exposures.opinions(old).await.expect("asked"), []);
    assert_eq!(exposures.of_image(old).await.expect("asked"), []);
    let left = exposures.of_image(young).await.expect("asked");
    let readers: Vec<_> = left.iter().map(|exposure| exposure.reader).collect();
    assert_eq!(readers, [ADA], "what was met before a first opinion that stays");
    let [case] = cases(&*exposures).await.try_into().expect("one");
    assert_eq!(case.before, Visible::WORD);
}

pub async fn everything_survives_closing_and_opening<H: ExposureHarness>() {
    let harness = H::start().await;
    let (store, verdicts, exposures) = harness.open().await;
    let image = flagged(&*store, 1).await;
    give(&*exposures, image, ADA, Label::Normal).await;
    let painted = exposure(image, ADA, Source::Painted, Visible::HEATMAP, harness.now());
    exposures.expose(std::slice::from_ref(&painted)).await.expect("kept");
    harness.advance(Duration::from_secs(1)).await;
    judge(&*verdicts, image, ADA, Opinion::Agree).await;
    let before = cases(&*exposures).await;
    drop((store, verdicts, exposures));
    let (_, _, exposures) = harness.reopen().await;
    assert_eq!(cases(&*exposures).await, before);
    assert_eq!(exposures.of_image(image).await.expect("asked"), [painted]);
}
