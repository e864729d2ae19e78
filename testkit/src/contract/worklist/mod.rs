//! The contract of the worklist.
#![allow(missing_docs)] // a sentence says it

mod claims;
mod double;
mod order;
mod readership;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::access::Sites;
use lobar_core::exposure::{Exposures, Reader};
use lobar_core::image::{Image, Lane, NewImage, Reason};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Filter, Outcome, Store};
use lobar_core::time::Stamp;
use lobar_core::verdict::{NewVerdict, Note, Opinion, Readers, Terms, Verdict, Verdicts};
use lobar_core::worklist::{Urgency, Worklist};
use uuid::Uuid;

use super::store::{complete, granted, object, ready};

pub use claims::*;
pub use double::*;
pub use order::*;
pub use readership::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/worklist/mod.rs");

/// Handles on one store.
#[derive(Clone)]
pub struct Kept {
    /// The images.
    pub store: Arc<dyn Store>,
    /// What takes them off the worklist.
    pub verdicts: Arc<dyn Verdicts>,
    /// What readers met of answers.
    pub exposures: Arc<dyn Exposures>,
    /// The port under test.
    pub worklist: Arc<dyn Worklist>,
}

/// An adapter under test, with the store whose images it is about.
#[async_trait]
pub trait WorklistHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> Kept;
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> Kept;
    /// Lets time pass.
    async fn advance(&self, by: Duration);
    /// What time it is there.
    fn now(&self) -> Stamp;
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside.
    async fn damage(&self, statement: &str);
}

/// Runs the contract of the worklist on a harness.
#[macro_export]
macro_rules! worklist_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::worklist, suite::DOCUMENTATION, [
            overdue_images_come_first_then_flagged_and_urgent_ones_then_those_that_need_a_human_then_the_rest_each_oldest_first,
            without_flags_the_order_tells_nothing_of_findings,
            pages_hold_to_the_moment_of_the_first_one_and_no_image_is_missed_or_shown_twice_while_others_arrive,
            filters_and_sites_narrow_the_worklist_and_its_total,
            a_verdict_takes_an_image_off_the_worklist_and_off_its_total,
            where_two_readers_are_needed_an_image_waits_for_the_second_one_and_not_for_the_first,
            two_readers_who_differ_leave_their_image_waiting_for_a_third_who_settles_it,
            a_verdict_that_is_withdrawn_puts_its_image_back_on_the_worklist,
            an_image_that_was_replaced_or_removed_is_not_on_the_worklist,
            an_image_that_is_analysed_anew_waits_for_a_reader_again,
            a_verdict_that_an_earlier_release_kept_takes_its_image_off_the_worklist,
            an_image_whose_state_cannot_be_read_waits_among_those_that_need_a_human,
            an_image_that_nobody_reads_is_claimed_and_everybody_is_told_by_whom_and_until_when,
            claiming_again_makes_a_claim_longer_and_leaves_its_beginning,
            a_claim_of_another_reader_stays_unless_it_is_taken_over,
            who_lost_a_claim_to_another_does_not_get_it_back_by_making_it_longer,
            of_several_who_claim_an_image_at_once_one_has_it,
            a_claim_lapses_by_itself,
            a_claim_is_released_by_its_own_reader_only,
            a_claim_a_take_over_and_a_release_each_write_an_event_and_making_it_longer_writes_none,
            what_is_not_there_is_not_claimed,
            the_newest_verdict_tells_who_has_read_an_image_and_before_any_what_was_painted_or_said_of_it_first,
            removing_an_image_removes_its_claim,
            everything_survives_closing_and_opening,
        ] }
    };
}

const MINUTE: Duration = Duration::from_secs(60);
/// The longest that an image should wait.
const CAP: Duration = Duration::from_secs(8 * 3600);
const LEASE: Duration = Duration::from_secs(600);

fn reader(n: u128) -> Reader {
    Reader { id: Uuid::from_u128(n), name: format!("reader {n}") }
}

fn key(site: &str, name: &str) -> ObjectVersion {
    object(&format!("incoming/{site}/{name}.jpg"), "v1", None)
}

fn blank() -> Outcome {
    Outcome::NeedsHuman { reason: Reason::Blank, detail: String::new() }
}

/// An image, analysed with an outcome; `None` while it waits for that.
async fn put(kept: &Kept, key: &ObjectVersion, lane: Lane, outcome: Option<Outcome>) -> ImageId {
    let new = NewImage { object: key.clone(), lane };
    kept.store.admit(&[new]).await.expect("admitted");
    if let Some(outcome) = outcome {
        let claimed = granted(&*kept.store, key.id()).await;
        assert!(complete(&*kept.store, &claimed, outcome).await);
    }
    key.id()
}

/// A flagged one of the site north.
async fn flagged(kept: &Kept, name: &str) -> ImageId {
    put(kept, &key("north", name), Lane::Routine, Some(ready(0.875))).await
}

async fn agree(kept: &Kept, image: ImageId, by: &Reader) {
    say(kept, image, by, Opinion::Agree, Readers::One).await;
}

async fn say(
    kept: &Kept,
    image: ImageId,
    by: &Reader,
    opinion: Opinion,
    readers: Readers,
) -> Verdict {
    let verdict = NewVerdict {
        image,
        model_version: Some("7".into()),
        opinion,
        note: Note::default(),
        reader: by.name.clone(),
        role: "clinician".into(),
        displayed: Vec::new(),
        rendering: None,
    };
    let terms = Terms { readers, seen: None };
    kept.verdicts.add(&verdict, &terms).await.expect("added")
}

fn everywhere() -> Filter {
    Filter::at(Sites::All)
}

/// The whole worklist, in pages; their totals must agree with it.
async fn all(kept: &Kept, filter: &Filter, urgency: &Urgency, limit: usize) -> Vec<Image> {
    let (mut images, mut after) = (Vec::new(), None);
    loop {
        let page =
            kept.worklist.to_read(filter, urgency, None, after, limit).await.expect("a page");
        assert!(page.next.is_none() || page.items.len() == limit, "only the last page is short");
        images.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => {
                assert_eq!(page.total as usize, images.len());
                return images;
            }
        }
    }
}

/// The ids of the whole worklist now.
async fn waiting<H: WorklistHarness>(harness: &H, kept: &Kept) -> Vec<ImageId> {
    let urgency = Urgency::at(harness.now(), CAP, true);
    all(kept, &everywhere(), &urgency, 100).await.iter().map(|image| image.id).collect()
}
