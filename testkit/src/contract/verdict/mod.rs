//! The contract of verdicts.

mod given;
mod labels;
mod terms;
mod unreadable;
mod withdrawn;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::finding::Label;
use lobar_core::image::Reason;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Outcome, Store};
use lobar_core::verdict::{
    Cause, NewVerdict, Note, Opinion, Readers, Seen, Terms, Verdict, VerdictError, Verdicts,
    WithdrawError, Withdrawal,
};

use super::store::{admit, complete, granted, object, ready};

pub use given::*;
pub use labels::*;
pub use terms::*;
pub use unreadable::*;
pub use withdrawn::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/verdict.rs");

/// The version of the model in the store suite's findings.
const VERSION: &str = "7";

/// An adapter under test, with the store whose images it is about.
#[async_trait]
pub trait VerdictHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>);
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>);
    /// Lets time pass.
    async fn advance(&self, by: Duration);
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside: as an accident would, or a newer
    /// release that keeps other values.
    async fn damage(&self, statement: &str);
}

/// Runs the contract of verdicts on a harness.
#[macro_export]
macro_rules! verdict_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::verdict, suite::DOCUMENTATION, [
            a_verdict_is_added_to_an_image_that_has_a_finding_of_the_version_it_names,
            a_verdict_on_a_finding_that_has_been_replaced_is_stale_and_refused,
            a_verdict_on_an_unknown_image_is_refused,
            a_verdict_is_refused_where_something_newer_is_there_than_its_reader_saw_and_what_is_newer_is_told,
            what_another_reader_said_is_nothing_newer_to_a_second_reader_who_must_not_know_it,
            an_image_that_needs_a_human_can_be_labelled_without_a_finding,
            earlier_verdicts_are_kept_beside_later_ones_oldest_first,
            agreeing_needs_a_finding_to_agree_with,
            a_verdict_does_not_change_the_image_s_state_and_writes_an_event,
            labelled_images_are_pages_by_time_and_each_bears_its_newest_label_only,
            images_found_not_assessable_bear_no_label,
            causes_and_a_note_are_kept_with_a_verdict,
            a_reader_withdraws_their_own_newest_verdict_and_it_is_kept_and_counts_no_more,
            withdrawing_again_changes_nothing,
            a_verdict_of_another_reader_or_one_that_is_not_the_newest_of_its_reader_is_not_withdrawn,
            an_image_on_which_readers_differ_is_not_among_the_labelled_until_that_is_settled,
            a_label_given_without_the_picture_on_the_screen_is_kept_apart_from_the_labelled,
            removing_an_image_removes_what_was_said_of_it,
            everything_survives_closing_and_opening,
            concurrent_verdicts_on_one_image_are_all_kept_in_one_order,
            superseded_images_are_not_among_the_labelled,
            a_verdict_that_cannot_be_read_is_told_of_as_unreadable_and_hides_no_other,
            a_label_that_cannot_be_read_is_left_out_of_the_labelled_and_hides_no_other,
            an_image_whose_finding_cannot_be_read_is_labelled_like_one_that_needs_a_human,
        ] }
    };
}

fn key(n: usize) -> ObjectVersion {
    object(&format!("incoming/north/{n}.jpg"), "v1", None)
}

/// An image that a worker brought to its end.
async fn finished(store: &dyn Store, object: &ObjectVersion, outcome: Outcome) -> ImageId {
    admit(store, object).await;
    let claimed = granted(store, object.id()).await;
    assert!(complete(store, &claimed, outcome).await);
    object.id()
}

/// An image that was flagged.
async fn flagged(store: &dyn Store, n: usize) -> ImageId {
    finished(store, &key(n), ready(0.75)).await
}

fn blank() -> Outcome {
    Outcome::NeedsHuman { reason: Reason::Blank, detail: "Every pixel is 7.".into() }
}

fn new(image: ImageId, version: Option<&str>, opinion: Opinion) -> NewVerdict {
    NewVerdict {
        image,
        model_version: version.map(str::to_owned),
        opinion,
        note: Note::default(),
        reader: "ada".into(),
        role: "radiologist".into(),
        displayed: vec!["picture".into(), "heatmap".into()],
        rendering: Some("seen".into()),
    }
}

fn disagree(label: Label) -> Opinion {
    Opinion::Disagree { label }
}

fn not_assessable(causes: &[Cause]) -> Opinion {
    Opinion::NotAssessable { causes: causes.to_vec() }
}

/// A verdict on what is shown of a `ready` image.
async fn say(verdicts: &dyn Verdicts, image: ImageId, opinion: Opinion) -> Verdict {
    verdicts.add(&new(image, Some(VERSION), opinion), &Terms::default()).await.expect("added")
}

async fn of(verdicts: &dyn Verdicts, image: ImageId) -> Vec<Verdict> {
    verdicts.of(image).await.expect("asked")
}

async fn refused(verdicts: &dyn Verdicts, verdict: &NewVerdict) -> VerdictError {
    verdicts.add(verdict, &Terms::default()).await.expect_err("refused")
}
