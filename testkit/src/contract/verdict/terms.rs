//! What a verdict is given on: what its reader had before them, and how many readers there are.
#![allow(missing_docs)] // a sentence says it

use lobar_core::verdict::Newer;

use super::*;

/// A verdict of a reader on a `ready` image.
fn by(reader: &str, image: ImageId, opinion: Opinion) -> NewVerdict {
    NewVerdict { reader: reader.into(), ..new(image, Some(VERSION), opinion) }
}

async fn finished_at(store: &dyn Store, image: ImageId) -> Option<lobar_core::time::Stamp> {
    store.image(image).await.expect("asked").expect("known").finished_at
}

fn on(seen: Seen) -> Terms {
    Terms { seen: Some(vec![seen]), ..Terms::default() }
}

pub async fn a_verdict_is_refused_where_something_newer_is_there_than_its_reader_saw_and_what_is_newer_is_told<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let finished_at = finished_at(&*store, image).await;
    let nothing = Seen { finished_at, newest: None };
    let agree = by("ada", image, Opinion::Agree);
    let first = verdicts.add(&agree, &on(nothing)).await.expect("nothing is newer");

    let refused = async |seen: Seen| match verdicts.add(&agree, &on(seen)).await {
        Err(VerdictError::Newer(newer)) => newer,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(nothing).await, Newer::Verdict);
    let earlier = Seen { finished_at: None, newest: Some(first.id) };
    assert_eq!(refused(earlier).await, Newer::Result);
    let kept = of(&*verdicts, image).await;
    assert_eq!(kept, std::slice::from_ref(&first), "what is refused is not kept");

    let seen = Seen { finished_at, newest: Some(first.id) };
    let any = Terms { seen: Some(vec![nothing, seen]), ..Terms::default() };
    let second = verdicts.add(&agree, &any).await.expect("one of them is what is there");
    verdicts.add(&agree, &Terms::default()).await.expect("who does not say is not asked");
    let kept = of(&*verdicts, image).await;
    let last = Seen { finished_at, newest: kept.last().map(|verdict| verdict.id) };
    let (reader, role) = ("ada".into(), String::new());
    let withdrawal = Withdrawal { image, verdict: kept[2].id, reader, role };
    verdicts.withdraw(&withdrawal).await.expect("withdrawn");
    assert_eq!(refused(last).await, Newer::Verdict, "it counts no more");
    let before = Seen { finished_at, newest: Some(second.id) };
    verdicts.add(&agree, &on(before)).await.expect("the one before counts again");
}

pub async fn what_another_reader_said_is_nothing_newer_to_a_second_reader_who_must_not_know_it<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let finished_at = finished_at(&*store, image).await;
    let on =
        |newest| Terms { readers: Readers::Two, seen: Some(vec![Seen { finished_at, newest }]) };
    let first = verdicts.add(&by("ada", image, Opinion::Agree), &on(None)).await.expect("added");
    let second = by("ben", image, disagree(Label::Normal));
    let told = verdicts.add(&second, &on(Some(first.id))).await;
    assert!(
        matches!(told, Err(VerdictError::Newer(Newer::Verdict))),
        "it names what was kept from them"
    );
    let second = verdicts.add(&second, &on(None)).await.expect("nothing that they know is newer");

    // They differ: whoever decides sees both.
    let third = by("eve", image, Opinion::Agree);
    let blind = verdicts.add(&third, &on(None)).await;
    assert!(matches!(blind, Err(VerdictError::Newer(Newer::Verdict))), "{blind:?}");
    verdicts.add(&third, &on(Some(second.id))).await.expect("added");
}

pub async fn an_image_on_which_readers_differ_is_not_among_the_labelled_until_that_is_settled<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let two = Terms { readers: Readers::Two, seen: None };
    let labels = async || {
        let labelled = verdicts.labelled(None, 10).await.expect("asked");
        labelled.into_iter().map(|one| one.label).collect::<Vec<_>>()
    };
    verdicts.add(&by("ada", image, Opinion::Agree), &two).await.expect("added");
    assert_eq!(labels().await, [], "one of two");
    verdicts.add(&by("ben", image, disagree(Label::Normal)), &two).await.expect("added");
    assert_eq!(labels().await, [], "they differ");
    verdicts.add(&by("eve", image, Opinion::Agree), &two).await.expect("added");
    assert_eq!(labels().await, [Label::Pneumonia]);
}
