//! Two readers for an image, and verdicts that are withdrawn.
#![allow(missing_docs)] // a sentence says it

use lobar_core::finding::Label;
use lobar_core::verdict::Withdrawal;
use lobar_core::worklist::ReadState;

use super::*;

const NORMAL: Opinion = Opinion::Disagree { label: Label::Normal };

/// The ids of what waits for a reader.
async fn for_reader<H: WorklistHarness>(harness: &H, kept: &Kept, reader: &Reader) -> Vec<ImageId> {
    let urgency = Urgency::at(harness.now(), CAP, true);
    let name = Some(reader.name.as_str());
    let page = kept.worklist.to_read(&everywhere(), &urgency, name, None, 100).await;
    let page = page.expect("a page");
    assert_eq!(page.total as usize, page.items.len());
    page.items.iter().map(|image| image.id).collect()
}

async fn state(kept: &Kept, image: ImageId) -> ReadState {
    let known = kept.worklist.readership(&[image]).await.expect("asked").remove(&image);
    known.unwrap_or_default().state()
}

pub async fn where_two_readers_are_needed_an_image_waits_for_the_second_one_and_not_for_the_first<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    say(&kept, image, &reader(1), Opinion::Agree, Readers::Two).await;
    assert_eq!(state(&kept, image).await, ReadState::PartlyRead);
    // Also where marks of earlier releases are looked for anew.
    let kept = harness.reopen().await;
    assert_eq!(for_reader(&harness, &kept, &reader(1)).await, []);
    assert_eq!(for_reader(&harness, &kept, &reader(2)).await, [image]);
    assert_eq!(waiting(&harness, &kept).await, [image]);
    // Their own second verdict is no second reader.
    say(&kept, image, &reader(1), NORMAL, Readers::Two).await;
    assert_eq!(for_reader(&harness, &kept, &reader(2)).await, [image]);
    say(&kept, image, &reader(2), NORMAL, Readers::Two).await;
    assert_eq!(state(&kept, image).await, ReadState::Verified);
    assert_eq!(waiting(&harness, &kept).await, []);
}

pub async fn two_readers_who_differ_leave_their_image_waiting_for_a_third_who_settles_it<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    say(&kept, image, &reader(1), Opinion::Agree, Readers::Two).await;
    say(&kept, image, &reader(2), NORMAL, Readers::Two).await;
    assert_eq!(state(&kept, image).await, ReadState::Disagreement);
    for (n, waits) in [(1, vec![]), (2, vec![]), (3, vec![image])] {
        assert_eq!(for_reader(&harness, &kept, &reader(n)).await, waits, "reader {n}");
    }
    say(&kept, image, &reader(3), NORMAL, Readers::Two).await;
    assert_eq!(state(&kept, image).await, ReadState::Verified);
    assert_eq!(waiting(&harness, &kept).await, []);
}

pub async fn a_verdict_that_is_withdrawn_puts_its_image_back_on_the_worklist<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let one = flagged(&kept, "1").await;
    harness.advance(MINUTE).await;
    let two = flagged(&kept, "2").await;
    let withdraw = async |image, by: &Reader, verdict: Verdict| {
        let (reader, role) = (by.name.clone(), "clinician".into());
        let withdrawal = Withdrawal { image, verdict: verdict.id, reader, role };
        kept.verdicts.withdraw(&withdrawal).await.expect("withdrawn");
    };
    let given = say(&kept, one, &reader(1), Opinion::Agree, Readers::One).await;
    assert_eq!(waiting(&harness, &kept).await, [two]);
    withdraw(one, &reader(1), given).await;
    assert_eq!(waiting(&harness, &kept).await, [one, two]);
    assert_eq!(for_reader(&harness, &kept, &reader(1)).await, [one, two]);
    assert_eq!(state(&kept, one).await, ReadState::Unread);

    say(&kept, two, &reader(1), Opinion::Agree, Readers::Two).await;
    let given = say(&kept, two, &reader(2), Opinion::Agree, Readers::Two).await;
    assert_eq!(waiting(&harness, &kept).await, [one]);
    withdraw(two, &reader(2), given).await;
    assert_eq!(state(&kept, two).await, ReadState::PartlyRead);
    assert_eq!(for_reader(&harness, &kept, &reader(2)).await, [one, two]);
    // Where it counted once, it is not marked as one of an earlier release either.
    let kept = harness.reopen().await;
    assert_eq!(waiting(&harness, &kept).await, [one, two]);
}
