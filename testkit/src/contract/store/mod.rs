//! The store's contract.

mod admission;
mod events;
pub mod model;
mod positions;
mod pruning;
mod reading;
mod resends;
mod restoring;
mod unreadable;
mod work;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::event::Seq;
use lobar_core::finding::{Finding, Heatmap, Label, ModelRef, Subtype, SubtypeLabel};
use lobar_core::image::{Image, Lane, NewImage, State};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Admission, Basis, Claim, Claimed, Completion, Outcome, Store};

pub use admission::*;
pub use events::*;
pub use positions::*;
pub use pruning::*;
pub use reading::*;
pub use resends::*;
pub use restoring::*;
pub use unreadable::*;
pub use work::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/store.rs");

/// An adapter under test.
#[async_trait]
pub trait StoreHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// A handle on it, as another process has one.
    async fn open(&self) -> Arc<dyn Store>;
    /// Closes every handle, and the service where there is one, then opens it anew.
    async fn reopen(&self) -> Arc<dyn Store>;
    /// Lets time pass for the store.
    async fn advance(&self, by: Duration);
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside: as an accident would, or a newer
    /// release that keeps other values.
    async fn damage(&self, statement: &str);
    /// Loses the events after one, as a restore from a backup does: their numbers are given again.
    async fn lose_events(&self, after: Seq);
}

/// Runs the store's contract on a harness.
#[macro_export]
macro_rules! store_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::store, suite::DOCUMENTATION, [
            an_image_is_admitted_once_however_often_it_is_notified,
            a_newer_version_of_the_same_key_supersedes_the_older_ones,
            an_older_version_that_arrives_late_is_stored_as_superseded,
            versions_without_an_order_supersede_in_the_order_of_arrival,
            a_superseded_image_in_a_worker_s_hands_loses_its_fence,
            the_same_content_put_again_after_another_is_current_again,
            a_version_that_is_current_again_after_a_deletion_is_queued_as_if_new,
            a_version_that_was_admitted_without_an_order_is_current_again_after_a_deletion,
            a_version_that_was_itself_deleted_never_comes_back,
            an_image_whose_object_could_not_be_read_is_queued_as_if_new_when_the_object_is_put_again,
            a_deletion_from_before_an_image_was_seen_current_leaves_it_alone,
            an_old_notification_does_not_bring_a_superseded_image_back,
            an_image_that_the_bucket_shows_again_is_queued_as_if_new,
            nothing_is_restored_that_is_unknown_current_or_changed_since_it_was_seen,
            removing_an_object_cancels_its_pending_work_and_marks_the_image,
            removing_an_object_before_it_was_admitted_marks_it_when_it_is,
            removing_a_key_removes_all_versions_that_are_older,
            an_upload_after_a_removal_without_order_is_a_new_one,
            a_claim_takes_a_queued_image_and_counts_its_first_attempt,
            claims_after_the_first_count_no_attempt_until_it_is_counted_where_the_work_begins,
            an_attempt_is_not_counted_for_an_old_fence,
            a_claim_on_an_image_that_another_worker_holds_takes_it_over_with_a_new_fence,
            a_finished_image_cannot_be_claimed,
            an_unknown_image_cannot_be_claimed,
            an_image_claimed_too_often_goes_to_quarantine_instead,
            a_completion_with_the_current_fence_is_accepted_and_visible_with_its_event,
            a_completion_with_an_old_fence_is_refused_and_changes_nothing,
            the_event_of_a_completion_carries_its_trace_context,
            one_stale_completion_in_a_batch_does_not_spoil_the_others,
            a_released_image_is_queued_again_and_its_attempt_does_not_count,
            a_retried_image_is_queued_again_and_its_attempt_counts,
            counting_and_giving_back_again_what_was_counted_or_given_back_changes_nothing,
            two_workers_never_finish_the_same_image_both,
            the_sweeper_finds_what_stayed_unfinished_too_long_once_a_period,
            lists_are_pages_by_key_newest_first_and_no_image_is_missed_or_shown_twice,
            filters_narrow_a_list_and_its_total,
            a_list_holds_images_of_the_asked_sites_only_and_its_total_counts_no_other,
            images_of_unknown_site_are_listed_for_all_sites_only,
            an_event_names_the_site_of_its_image,
            hostile_keys_are_kept_byte_for_byte,
            the_overview_counts_by_state_and_lane,
            the_overview_tells_of_each_registered_site_and_of_no_other,
            a_finding_of_every_earlier_release_is_read,
            an_image_whose_finding_cannot_be_read_needs_a_human_and_hides_no_other,
            an_image_whose_state_or_reason_cannot_be_read_needs_a_human_and_hides_no_other,
            an_image_that_cannot_be_read_is_finished_and_is_not_claimed_again,
            an_image_that_cannot_be_read_is_superseded_and_removed_like_any_other,
            an_event_whose_state_cannot_be_read_tells_of_its_image_and_hides_no_other,
            a_store_that_takes_changes_says_so_and_one_whose_tables_cannot_be_written_does_not,
            states_of_many_images_are_answered_in_the_order_of_the_question,
            a_probe_that_arrived_is_told_of_once,
            a_probe_that_nobody_asked_for_is_forgotten_after_a_day,
            of_several_that_store_the_bytes_of_a_dead_image_once_more_one_at_a_time_may_until_it_is_done_or_its_lease_lapses,
            everything_survives_closing_and_opening_the_store,
            events_are_numbered_in_the_order_of_commit_without_gaps_for_a_reader_that_resumes,
            the_history_of_an_image_is_its_own_events_the_oldest_first,
            concurrent_writers_never_let_a_reader_miss_an_event,
            a_reader_resumes_at_every_position_that_it_was_given_and_from_the_start,
            a_position_of_events_that_a_restore_has_lost_is_not_resumed_at_even_where_their_numbers_are_given_again,
            a_reader_whose_next_events_were_pruned_is_told_so_and_resumes_with_what_is_kept,
            events_are_pruned_from_the_oldest_on_and_the_newest_stays,
            readers_that_resume_while_events_are_pruned_miss_nothing_that_is_not_said,
            what_waits_in_quarantine_is_never_pruned,
            an_image_whose_result_is_pruned_is_removed_with_its_verdicts_and_says_why,
            what_is_younger_or_unfinished_is_not_pruned,
            a_message_put_aside_is_no_error,
            batches_of_thousands_are_taken,
            a_batch_of_nothing_is_answered_with_nothing,
        ] }
    };
}

/// Compares a store with its model.
#[macro_export]
macro_rules! store_model {
    ($harness:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn whatever_is_done_to_it_the_store_does_what_its_model_does() {
            $crate::contract::store::model::agrees::<$harness>().await;
        }
    };
}

/// An object with a version id, and a sequencer when `order` is given.
pub(crate) fn object(key: &str, version: &str, order: Option<u64>) -> ObjectVersion {
    ObjectVersion {
        bucket: "xrays".into(),
        key: key.into(),
        version: Some(version.into()),
        etag: Some(format!("etag-{version}")),
        sequencer: order.map(|order| format!("{order:018X}")),
        size: Some(1_000),
    }
}

/// An object of a bucket without versioning.
fn unversioned(key: &str, etag: &str, order: Option<u64>) -> ObjectVersion {
    ObjectVersion { version: None, etag: Some(etag.into()), ..object(key, "", order) }
}

fn new(object: &ObjectVersion) -> NewImage {
    NewImage { object: object.clone(), lane: Lane::Routine }
}

pub(crate) async fn admit(store: &dyn Store, object: &ObjectVersion) -> Admission {
    let mut answers = store.admit(&[new(object)]).await.expect("admitted");
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].id(), object.id());
    answers.remove(0)
}

async fn claim(store: &dyn Store, id: ImageId) -> Claim {
    let mut answers = store.claim(&[id], 100).await.expect("claimed");
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

pub(crate) async fn granted(store: &dyn Store, id: ImageId) -> Claimed {
    match claim(store, id).await {
        Claim::Granted(claimed) => claimed,
        other => panic!("not granted: {other:?}"),
    }
}

pub(crate) async fn complete(store: &dyn Store, claimed: &Claimed, outcome: Outcome) -> bool {
    let done = Completion {
        id: claimed.id,
        fence: claimed.fence,
        outcome,
        trace: None,
        basis: Basis::default(),
    };
    let answers = store.complete(&[done]).await.expect("completed");
    assert_eq!(answers.len(), 1);
    answers[0]
}

pub(crate) async fn image(store: &dyn Store, id: ImageId) -> Image {
    store.image(id).await.expect("asked").expect("known")
}

async fn state(store: &dyn Store, object: &ObjectVersion) -> State {
    image(store, object.id()).await.state
}

/// The states that an image went through, as the events tell.
pub(crate) async fn told(store: &dyn Store, id: ImageId) -> Vec<State> {
    let events = store.events(Seq(0), usize::MAX).await.expect("events");
    events.into_iter().filter(|event| event.image == id).map(|event| event.state).collect()
}

fn finding(probability: f64) -> Finding {
    let flagged = probability >= 0.5;
    Finding {
        model: ModelRef {
            version: "7".into(),
            sha256: "00ff".into(),
            preprocessing: "bilinear-224".into(),
        },
        probability,
        threshold: 0.5,
        flagged,
        label: if flagged { Label::Pneumonia } else { Label::Normal },
        subtype: flagged.then_some(Subtype {
            label: SubtypeLabel::Viral,
            probability: 0.75,
            experimental: true,
        }),
        heatmap: Some(Heatmap { width: 2, height: 1, cells: vec![0.25, 1.0] }),
        warnings: vec!["oriented".into()],
        timings_ms: [("infer".to_owned(), 12.5)].into(),
    }
}

pub(crate) fn ready(probability: f64) -> Outcome {
    Outcome::Ready(Box::new(finding(probability)))
}
