//! Causes, notes, and verdicts that are taken back.
#![allow(missing_docs)] // a sentence says it

use lobar_core::event::Seq;

use super::*;

fn withdrawal(image: ImageId, verdict: &Verdict, reader: &str) -> Withdrawal {
    let (reader, role) = (reader.into(), "radiologist".into());
    Withdrawal { image, verdict: verdict.id, reader, role }
}

async fn labels(verdicts: &dyn Verdicts) -> Vec<Label> {
    let labelled = verdicts.labelled(None, 10).await.expect("asked");
    labelled.into_iter().map(|one| one.label).collect()
}

async fn events(store: &dyn Store) -> usize {
    let events = store.events(Seq(0), 1_000).await.expect("events");
    events.iter().filter(|event| event.verdict).count()
}

pub async fn causes_and_a_note_are_kept_with_a_verdict<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let note = Note("Too dark: \"0\", \u{e9}\n".into());
    for opinion in
        [not_assessable(&Cause::ALL), not_assessable(&[]), Opinion::Agree, disagree(Label::Normal)]
    {
        let verdict = NewVerdict { note: note.clone(), ..new(image, Some(VERSION), opinion) };
        let added = verdicts.add(&verdict, &Terms::default()).await.expect("added");
        assert_eq!(added.verdict, verdict);
        assert_eq!(of(&*verdicts, image).await.last(), Some(&added));
    }
    // A cause of a newer release is left out, and hides no other.
    harness
        .damage("update verdict set causes = '[\"boredom\",\"rotation\"]' where causes is not null")
        .await;
    let kept = of(&*verdicts, image).await;
    assert_eq!(kept[0].verdict.opinion, not_assessable(&[Cause::Rotation]));
    assert_eq!(kept[0].verdict.note, note);
}

pub async fn a_reader_withdraws_their_own_newest_verdict_and_it_is_kept_and_counts_no_more<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let first = say(&*verdicts, image, Opinion::Agree).await;
    let second = say(&*verdicts, image, disagree(Label::Normal)).await;
    assert_eq!(labels(&*verdicts).await, [Label::Normal]);
    let told = events(&*store).await;
    harness.advance(Duration::from_secs(1)).await;
    let taken = verdicts.withdraw(&withdrawal(image, &second, "ada")).await.expect("withdrawn");
    assert!(taken.withdrawn_at > Some(second.at), "{taken:?}");
    assert_eq!(Verdict { withdrawn_at: None, ..taken.clone() }, second);
    assert_eq!(events(&*store).await, told + 1);
    assert_eq!(of(&*verdicts, image).await, [first.clone(), taken]);
    assert_eq!(labels(&*verdicts).await, [Label::Pneumonia], "the one before counts again");

    verdicts.withdraw(&withdrawal(image, &first, "ada")).await.expect("withdrawn");
    assert_eq!(labels(&*verdicts).await, []);
    assert_eq!(verdicts.unseen().await.expect("asked"), 0);
    let (_, verdicts) = harness.reopen().await;
    assert!(of(&*verdicts, image).await.iter().all(|verdict| !verdict.counts()));
}

pub async fn withdrawing_again_changes_nothing<H: VerdictHarness>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let image = flagged(&*store, 1).await;
    let verdict = say(&*verdicts, image, Opinion::Agree).await;
    let withdrawal = withdrawal(image, &verdict, "ada");
    let once = verdicts.withdraw(&withdrawal).await.expect("withdrawn");
    let told = events(&*store).await;
    harness.advance(Duration::from_secs(1)).await;
    // Also beside a newer one.
    say(&*verdicts, image, Opinion::Agree).await;
    assert_eq!(verdicts.withdraw(&withdrawal).await.expect("answered"), once);
    assert_eq!(events(&*store).await, told + 1, "that of the newer verdict");
}

pub async fn a_verdict_of_another_reader_or_one_that_is_not_the_newest_of_its_reader_is_not_withdrawn<
    H: VerdictHarness,
>() {
    let harness = H::start().await;
    let (store, verdicts) = harness.open().await;
    let (image, other) = (flagged(&*store, 1).await, flagged(&*store, 2).await);
    let first = say(&*verdicts, image, Opinion::Agree).await;
    let second = say(&*verdicts, image, Opinion::Agree).await;
    let told = events(&*store).await;
    let refused =
        async |withdrawal: Withdrawal| verdicts.withdraw(&withdrawal).await.expect_err("refused");
    let error = refused(withdrawal(image, &first, "ada")).await;
    assert!(matches!(error, WithdrawError::NotNewest), "{error}");
    for (image, reader) in [(image, "ben"), (other, "ada"), (key(3).id(), "ada")] {
        let error = refused(withdrawal(image, &second, reader)).await;
        assert!(matches!(error, WithdrawError::Unknown), "{error}");
    }
    assert_eq!(of(&*verdicts, image).await, [first, second]);
    assert_eq!(events(&*store).await, told);
}
