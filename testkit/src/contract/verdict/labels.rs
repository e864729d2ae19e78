//! Pages of labelled images.
#![allow(missing_docs)] // a sentence says it

use lobar_core::verdict::{LabelKey, Labelled};

use super::*;
use crate::contract::store::image;

/// Every labelled image, `limit` a page.
pub(super) async fn pages(verdicts: &dyn Verdicts, limit: usize) -> Vec<Labelled> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = verdicts.labelled(after, limit).await.expect("asked");
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return all };
        after = Some(LabelKey { at: last.at, verdict: last.verdict });
        all.extend(page);
    }
}

fn labels(page: &[Labelled]) -> Vec<(ImageId, Label)> {
    page.iter().map(|one| (one.image, one.label)).collect()
}

pub async fn labelled_images_are_pages_by_time_and_each_bears_its_newest_label_only<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    assert_eq!(pages(&*verdicts, 2).await, []);
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(flagged(&*store, n).await);
    }
    let human = finished(&*store, &key(5), blank()).await;
    for id in &ids[..4] {
        // The second and the third at the same time.
        if *id != ids[2] {
            harness.advance(Duration::from_secs(1)).await;
        }
        say(&*verdicts, *id, Opinion::Agree).await;
    }
    verdicts
        .add(&new(human, None, disagree(Label::Normal)), &Terms::default())
        .await
        .expect("added");
    harness.advance(Duration::from_secs(1)).await;
    let newest = say(&*verdicts, ids[0], disagree(Label::Normal)).await;

    let whole = pages(&*verdicts, 100).await;
    assert!(whole.windows(2).all(|pair| pair[0].at <= pair[1].at), "oldest first");
    let mut found = labels(&whole);
    assert_eq!(found.last(), Some(&(ids[0], Label::Normal)), "its newest label, at its time");
    found.sort_by_key(|(image, _)| *image);
    let ill = |n: usize| (ids[n], Label::Pneumonia);
    let mut expected =
        vec![ill(1), ill(2), ill(3), (human, Label::Normal), (ids[0], Label::Normal)];
    expected.sort_by_key(|(image, _)| *image);
    assert_eq!(found, expected, "the unlabelled one is not among them");
    for limit in 1..=3 {
        assert_eq!(pages(&*verdicts, limit).await, whole, "in pages of {limit}");
    }
    let last = whole.last().expect("five");
    assert_eq!((last.verdict, last.at), (newest.id, newest.at));
    let shown = image(&*store, ids[0]).await;
    assert_eq!((&last.object, &last.finding), (&shown.object, &shown.finding));
    assert!(whole.iter().any(|one| one.image == human && one.finding.is_none()));
}

pub async fn images_found_not_assessable_bear_no_label<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    say(&*verdicts, image, not_assessable(&[])).await;
    assert_eq!(pages(&*verdicts, 10).await, []);
    say(&*verdicts, image, Opinion::Agree).await;
    assert_eq!(labels(&pages(&*verdicts, 10).await), [(image, Label::Pneumonia)]);
    say(&*verdicts, image, not_assessable(&[Cause::Rotation])).await;
    assert_eq!(pages(&*verdicts, 10).await, [], "the label before does not come back");
}

pub async fn a_label_given_without_the_picture_on_the_screen_is_kept_apart_from_the_labelled<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let (unseen, seen) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    let blind = |image| NewVerdict { rendering: None, ..new(image, Some(VERSION), Opinion::Agree) };
    let given = verdicts.add(&blind(unseen), &Terms::default()).await.expect("added");
    assert_eq!((given.label, &given.verdict.rendering), (Some(Label::Pneumonia), &None));
    assert_eq!(of(&*verdicts, unseen).await, [given], "it is kept");
    assert_eq!(verdicts.unseen().await.expect("asked"), 1, "and told of");
    say(&*verdicts, seen, Opinion::Agree).await;
    assert_eq!(labels(&pages(&*verdicts, 10).await), [(seen, Label::Pneumonia)]);
    // The newest verdict counts, so what was said before it with the picture is not learnt either.
    harness.advance(Duration::from_secs(1)).await;
    verdicts.add(&blind(seen), &Terms::default()).await.expect("added");
    assert_eq!(pages(&*verdicts, 10).await, []);
    assert_eq!(verdicts.unseen().await.expect("asked"), 2);
    harness.advance(Duration::from_secs(1)).await;
    say(&*verdicts, unseen, Opinion::Agree).await;
    assert_eq!(labels(&pages(&*verdicts, 10).await), [(unseen, Label::Pneumonia)]);
    assert_eq!(verdicts.unseen().await.expect("asked"), 1);
}

pub async fn superseded_images_are_not_among_the_labelled<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let (replaced, stays) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    for image in [replaced, stays] {
        say(&*verdicts, image, Opinion::Agree).await;
    }
    admit(&*store, &object("incoming/north/1.jpg", "v2", None)).await;
    assert_eq!(labels(&pages(&*verdicts, 10).await), [(stays, Label::Pneumonia)]);
    assert_eq!(of(&*verdicts, replaced).await.len(), 1, "it is kept all the same");
}

pub async fn everything_survives_closing_and_opening<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    say(&*verdicts, image, not_assessable(&[Cause::Other])).await;
    say(&*verdicts, image, disagree(Label::Normal)).await;
    let (kept, labelled) = (of(&*verdicts, image).await, pages(&*verdicts, 10).await);
    drop((store, verdicts));
    let (_, verdicts) = harness.reopen().await;
    assert_eq!(of(&*verdicts, image).await, kept);
    assert_eq!(pages(&*verdicts, 10).await, labelled);
}
