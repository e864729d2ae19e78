//! The order, its pages, and what is on the list at all.

use lobar_core::access::SiteName;
use lobar_core::image::State;
use lobar_core::worklist::{Rank, Waiting};

use super::*;

/// Images of every kind, at two sites and without one, a few older than the cap, several of one moment.
async fn populate<H: WorklistHarness>(harness: &H, kept: &Kept) {
    for round in 0..3 {
        for place in ["incoming/north", "incoming/south", "elsewhere"] {
            for lane in Lane::ALL {
                let endings = [Some(ready(0.875)), Some(ready(0.125)), Some(blank()), None];
                for (n, outcome) in endings.into_iter().enumerate() {
                    let name = format!("{place}/{round}/{}-{n}.jpg", lane.as_str());
                    put(kept, &object(&name, "v1", None), lane, outcome).await;
                }
            }
        }
        let pause = if round == 0 { CAP } else { MINUTE };
        harness.advance(pause).await;
    }
}

fn rank(urgency: &Urgency, image: &Image) -> Rank {
    let flagged = image.finding.as_ref().map(|finding| finding.flagged);
    let Image { lane, state, received_at, .. } = image;
    urgency.rank(&Waiting { lane: *lane, state: *state, flagged, received_at: *received_at })
}

/// Whether it is in the order that the domain says.
fn assert_in_order(urgency: &Urgency, images: &[Image]) {
    let places = images.iter().map(|image| (rank(urgency, image), image.received_at, image.id));
    assert!(places.clone().is_sorted_by(|one, other| one < other), "{:?}", Vec::from_iter(places));
}

pub async fn overdue_images_come_first_then_flagged_and_urgent_ones_then_those_that_need_a_human_then_the_rest_each_oldest_first<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    populate(&harness, &kept).await;
    let urgency = Urgency::at(harness.now(), CAP, true);
    let listed = all(&kept, &everywhere(), &urgency, 1_000).await;
    assert_in_order(&urgency, &listed);
    assert_eq!(listed.len(), 3 * 3 * 8);
    for (of, count) in [(Rank::Overdue, 24), (Rank::Flagged, 30), (Rank::NeedsHuman, 6)] {
        assert_eq!(listed.iter().filter(|image| rank(&urgency, image) == of).count(), count);
    }
    for limit in [1, 7, 24, 25] {
        assert_eq!(all(&kept, &everywhere(), &urgency, limit).await, listed, "pages of {limit}");
    }
    let none = kept.worklist.to_read(&everywhere(), &urgency, None, None, 0).await.expect("a page");
    assert_eq!((none.items.len(), none.total, none.next), (0, 72, None));
}

pub async fn without_flags_the_order_tells_nothing_of_findings<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    populate(&harness, &kept).await;
    let urgency = Urgency::at(harness.now(), CAP, false);
    let listed = all(&kept, &everywhere(), &urgency, 10).await;
    assert_in_order(&urgency, &listed);
    let shuffled = |image: &Image| image.lane == Lane::Routine && image.state == State::Ready;
    let flags =
        listed.iter().filter(|image| shuffled(image) && rank(&urgency, image) == Rank::Rest);
    let flags: Vec<bool> =
        flags.filter_map(|image| image.finding.as_ref()).map(|finding| finding.flagged).collect();
    assert!(flags.len() == 12 && !flags.is_sorted() && !flags.is_sorted_by(|a, b| a >= b));
}

pub async fn pages_hold_to_the_moment_of_the_first_one_and_no_image_is_missed_or_shown_twice_while_others_arrive<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    populate(&harness, &kept).await;
    let urgency = Urgency::at(harness.now(), CAP, true);
    let before: Vec<ImageId> =
        all(&kept, &everywhere(), &urgency, 100).await.iter().map(|image| image.id).collect();
    let (mut seen, mut after, mut fresh) = (Vec::new(), None, 0);
    loop {
        let page =
            kept.worklist.to_read(&everywhere(), &urgency, None, after, 5).await.expect("a page");
        seen.extend(page.items.iter().map(|image| image.id));
        after = page.next;
        // They become overdue meanwhile, and others arrive at every place of the order.
        harness.advance(CAP / 4).await;
        fresh += 1;
        flagged(&kept, &format!("fresh {fresh}")).await;
        put(&kept, &key("south", &format!("fresh {fresh}")), Lane::Routine, None).await;
        if after.is_none() || fresh > 100 {
            break;
        }
    }
    let known: Vec<ImageId> = seen.iter().copied().filter(|id| before.contains(id)).collect();
    assert_eq!(known, before, "as they stood when the first page was read");
    let once: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "none twice");
}

pub async fn filters_and_sites_narrow_the_worklist_and_its_total<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    populate(&harness, &kept).await;
    let urgency = Urgency::at(harness.now(), CAP, true);
    let at = |names: &[&str]| {
        Sites::Only(names.iter().map(|name| SiteName::parse(name).expect("a name")).collect())
    };
    let states = |states: &[State]| Filter { states: states.to_vec(), ..everywhere() };
    for (filter, count) in [
        (Filter::at(at(&["north"])), 24),
        (Filter::at(at(&["north", "south", "nowhere"])), 48),
        (Filter::at(at(&["nowhere"])), 0),
        (Filter::at(Sites::none()), 0),
        (states(&[State::NeedsHuman, State::Failed]), 18),
        (Filter { flagged: Some(true), ..everywhere() }, 18),
        (Filter { flagged: Some(false), ..Filter::at(at(&["south"])) }, 6),
        (states(&[State::Removed]), 0),
    ] {
        for limit in [2, 100] {
            let listed = all(&kept, &filter, &urgency, limit).await;
            assert_eq!(listed.len(), count, "{filter:?}");
            assert_in_order(&urgency, &listed);
            assert!(listed.iter().all(|image| filter.sites.include(image.object.site())));
        }
    }
}

pub async fn a_verdict_takes_an_image_off_the_worklist_and_off_its_total<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let (one, two) = (flagged(&kept, "1").await, flagged(&kept, "2").await);
    agree(&kept, one, &reader(1)).await;
    assert_eq!(waiting(&harness, &kept).await, [two]);
    agree(&kept, two, &reader(2)).await;
    assert_eq!(waiting(&harness, &kept).await, []);
}

pub async fn an_image_that_was_replaced_or_removed_is_not_on_the_worklist<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    flagged(&kept, "1").await;
    flagged(&kept, "2").await;
    let newer = object("incoming/north/1.jpg", "v2", None);
    let newer = put(&kept, &newer, Lane::Routine, None).await;
    kept.store.remove(&key("north", "2")).await.expect("removed");
    assert_eq!(waiting(&harness, &kept).await, [newer]);
}

pub async fn an_image_that_is_analysed_anew_waits_for_a_reader_again<H: WorklistHarness>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let first = object("incoming/north/1.jpg", "v1", Some(1));
    let id = put(&kept, &first, Lane::Routine, Some(ready(0.875))).await;
    agree(&kept, id, &reader(1)).await;
    harness.advance(MINUTE).await;
    put(&kept, &object("incoming/north/1.jpg", "v2", Some(2)), Lane::Routine, None).await;
    harness.advance(MINUTE).await;
    assert!(kept.store.restore(&first, harness.now()).await.expect("asked"), "it is current again");
    assert_eq!(waiting(&harness, &kept).await, [id]);
    let claimed = granted(&*kept.store, id).await;
    assert!(complete(&*kept.store, &claimed, ready(0.125)).await);
    // Also where the marks of earlier verdicts are looked for anew.
    let kept = harness.reopen().await;
    assert_eq!(waiting(&harness, &kept).await, [id]);
    let known = kept.worklist.readership(&[id]).await.expect("asked");
    assert!(known.get(&id).is_none_or(|known| known.waits()), "nor is it verified");
    agree(&kept, id, &reader(1)).await;
    assert_eq!(waiting(&harness, &kept).await, []);
}

pub async fn a_verdict_that_an_earlier_release_kept_takes_its_image_off_the_worklist<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let mut left = Vec::new();
    for n in 0..4 {
        let id = flagged(&kept, &n.to_string()).await;
        if n < 3 {
            agree(&kept, id, &reader(1)).await;
            agree(&kept, id, &reader(2)).await;
        } else {
            left.push(id);
        }
    }
    harness.damage("update image set read_at = null").await;
    let kept = harness.reopen().await;
    assert_eq!(waiting(&harness, &kept).await, left);
}

pub async fn an_image_whose_state_cannot_be_read_waits_among_those_that_need_a_human<
    H: WorklistHarness,
>() {
    let harness = H::start().await;
    let kept = harness.open().await;
    let rest = put(&kept, &key("north", "1"), Lane::Routine, Some(ready(0.125))).await;
    let damaged = put(&kept, &key("north", "2"), Lane::Routine, Some(ready(0.125))).await;
    let damage = "update image set state = 'enlightened' where key = 'incoming/north/2.jpg'";
    harness.damage(damage).await;
    assert_eq!(waiting(&harness, &kept).await, [damaged, rest]);
}
