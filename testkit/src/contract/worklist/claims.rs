//! Claims: who has an image open.

use std::collections::BTreeSet;

use lobar_core::event::Seq;
use lobar_core::worklist::{Claiming, ReadingClaim};

use super::*;

async fn claim(kept: &Kept, image: ImageId, by: u128, claiming: Claiming) -> ReadingClaim {
    let claimed = kept.worklist.claim_reading(image, &reader(by), claiming, LEASE).await;
    claimed.expect("asked").expect("it is there").claim
}

/// What everybody is told.
pub(super) async fn told(kept: &Kept, image: ImageId) -> Option<ReadingClaim> {
    kept.worklist.readership(&[image]).await.expect("asked").remove(&image)?.claim
}

pub async fn an_image_that_nobody_reads_is_claimed_and_everybody_is_told_by_whom_and_until_when<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let (kept, beside) = (harness.open().await, harness.open().await);
    let image = flagged(&kept, "1").await;
    assert_eq!(told(&kept, image).await, None);
    let claimed = claim(&kept, image, 1, Claiming::Open).await;
    let (since, until) = (harness.now(), harness.now().plus(LEASE));
    assert_eq!(claimed, ReadingClaim { reader: reader(1), since, until });
    assert_eq!(told(&beside, image).await, Some(claimed));
    // It waits for its reader as before.
    assert_eq!(waiting(&harness, &kept).await, [image]);
}

pub async fn claiming_again_makes_a_claim_longer_and_leaves_its_beginning<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    let first = claim(&kept, image, 1, Claiming::Open).await;
    harness.advance(MINUTE).await;
    for claiming in [Claiming::Open, Claiming::TakeOver] {
        let longer = claim(&kept, image, 1, claiming).await;
        let until = harness.now().plus(LEASE);
        assert_eq!(longer, ReadingClaim { until, ..first.clone() });
        assert_eq!(told(&kept, image).await, Some(longer));
    }
}

pub async fn a_claim_of_another_reader_stays_unless_it_is_taken_over<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    let first = claim(&kept, image, 1, Claiming::Open).await;
    harness.advance(MINUTE).await;
    assert_eq!(claim(&kept, image, 2, Claiming::Open).await, first);
    assert_eq!(told(&kept, image).await, Some(first));
    let taken = kept.worklist.claim_reading(image, &reader(2), Claiming::TakeOver, LEASE).await;
    let taken = taken.expect("asked").expect("it is there");
    assert_eq!((taken.is_new, taken.taken_from), (true, Some(reader(1))));
    assert_eq!((&taken.claim.reader, taken.claim.since), (&reader(2), harness.now()));
    assert_eq!(told(&kept, image).await, Some(taken.claim));
}

pub async fn who_lost_a_claim_to_another_does_not_get_it_back_by_making_it_longer<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    claim(&kept, image, 1, Claiming::Open).await;
    let taken = claim(&kept, image, 2, Claiming::TakeOver).await;
    assert_eq!(claim(&kept, image, 1, Claiming::Open).await, taken);
}

pub async fn of_several_who_claim_an_image_at_once_one_has_it<H: WorklistHarness>() {
    let harness = H::start().await;
    let (kept, beside) = (harness.open().await, harness.open().await);
    let image = flagged(&kept, "1").await;
    let at = |kept: &Kept, by| {
        let kept = kept.clone();
        async move { claim(&kept, image, by, Claiming::Open).await.reader.id }
    };
    let (one, two, three, four) =
        tokio::join!(at(&kept, 1), at(&beside, 2), at(&kept, 3), at(&beside, 4));
    let holders: BTreeSet<Uuid> = [one, two, three, four].into();
    assert_eq!(holders.len(), 1, "all are told of the same one");
}

pub async fn a_claim_lapses_by_itself<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    claim(&kept, image, 1, Claiming::Open).await;
    harness.advance(LEASE).await;
    assert_eq!(told(&kept, image).await, None);
    assert!(!kept.worklist.release_reading(image, &reader(1)).await.expect("asked"));
    let next = claim(&kept, image, 2, Claiming::Open).await;
    assert_eq!((next.reader, next.since), (reader(2), harness.now()));
}

pub async fn a_claim_is_released_by_its_own_reader_only<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    let claimed = claim(&kept, image, 1, Claiming::Open).await;
    assert!(!kept.worklist.release_reading(image, &reader(2)).await.expect("asked"));
    assert_eq!(told(&kept, image).await, Some(claimed));
    assert!(kept.worklist.release_reading(image, &reader(1)).await.expect("asked"));
    assert_eq!(told(&kept, image).await, None);
    assert!(!kept.worklist.release_reading(image, &reader(1)).await.expect("asked"));
}

pub async fn a_claim_a_take_over_and_a_release_each_write_an_event_and_making_it_longer_writes_none<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    let events = async || kept.store.events(Seq(0), 1_000).await.expect("events");
    let before = events().await;
    claim(&kept, image, 1, Claiming::Open).await;
    assert_eq!(events().await.len(), before.len() + 1);
    claim(&kept, image, 1, Claiming::Open).await;
    claim(&kept, image, 2, Claiming::Open).await;
    assert_eq!(events().await.len(), before.len() + 1);
    claim(&kept, image, 2, Claiming::TakeOver).await;
    kept.worklist.release_reading(image, &reader(1)).await.expect("asked");
    assert_eq!(events().await.len(), before.len() + 2);
    kept.worklist.release_reading(image, &reader(2)).await.expect("asked");
    let after = events().await;
    assert_eq!(after.len(), before.len() + 3);
    let last = before.last().expect("it was finished");
    for event in &after[before.len()..] {
        assert_eq!((event.image, event.state), (image, last.state), "the state is as before");
    }
}

pub async fn what_is_not_there_is_not_claimed<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    flagged(&kept, "1").await;
    flagged(&kept, "2").await;
    put(&kept, &object("incoming/north/1.jpg", "v2", None), Lane::Routine, None).await;
    kept.store.remove(&key("north", "2")).await.expect("removed");
    for name in ["1", "2", "3"] {
        for claiming in [Claiming::Open, Claiming::TakeOver] {
            let id = key("north", name).id();
            let claimed = kept.worklist.claim_reading(id, &reader(1), claiming, LEASE).await;
            assert_eq!(claimed.expect("asked"), None, "{name}");
            assert!(!kept.worklist.release_reading(id, &reader(1)).await.expect("asked"));
        }
    }
}

pub async fn removing_an_image_removes_its_claim<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let image = flagged(&kept, "1").await;
    claim(&kept, image, 1, Claiming::Open).await;
    kept.store.remove(&key("north", "1")).await.expect("removed");
    assert_eq!(told(&kept, image).await, None);
    let kept = harness.reopen().await;
    assert_eq!(told(&kept, image).await, None);
}

pub async fn everything_survives_closing_and_opening<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let (one, two) = (flagged(&kept, "1").await, flagged(&kept, "2").await);
    let claimed = claim(&kept, one, 1, Claiming::Open).await;
    agree(&kept, two, &reader(2)).await;
    let before = kept.worklist.readership(&[one, two]).await.expect("asked");
    let kept = harness.reopen().await;
    assert_eq!(told(&kept, one).await, Some(claimed));
    assert_eq!(kept.worklist.readership(&[one, two]).await.expect("asked"), before);
    assert_eq!(waiting(&harness, &kept).await, [one]);
}
