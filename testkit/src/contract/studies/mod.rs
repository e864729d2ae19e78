//! The contract of patients and their studies.
#![allow(missing_docs)] // a sentence says it

mod changes;
mod forgetting;
mod instances;
mod kept;
mod searching;
mod versions;

use lobar_core::access::SiteName;
use lobar_core::audit::{Action, Actor, Digest, NewEntry};
use lobar_core::image::Reason;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::{Basis, Completion, Outcome};
use lobar_core::study::{Attributes, Identity, PatientId, Uid};

pub use changes::*;
pub use forgetting::*;
pub use instances::*;
pub use kept::*;
pub use searching::*;
pub use versions::*;

use super::erasure::{ErasureHarness, Kept};
use super::store::{admit, granted, object, ready};

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/study/studies.rs");

/// Runs the contract of patients on a harness of [erasure](super::erasure::ErasureHarness).
#[macro_export]
macro_rules! studies_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::studies, suite::DOCUMENTATION, [
            what_is_known_of_an_image_is_kept_with_its_outcome_also_where_it_needs_a_human,
            an_image_of_which_nothing_is_known_has_no_patient,
            an_outcome_that_is_refused_says_nothing_of_whose_image_it_is,
            images_of_one_patient_id_at_one_site_are_one_patient_s_and_those_of_another_site_or_issuer_another_s,
            an_image_without_a_patient_id_or_of_an_unknown_site_is_a_patient_s_of_its_own,
            what_is_said_first_of_a_patient_stands_and_what_was_missing_is_filled_in,
            another_birth_date_sex_or_family_name_under_the_same_patient_id_is_warned_of_also_where_there_is_no_result,
            earlier_images_of_the_same_patient_come_newest_first_and_those_of_the_same_study_are_not_among_them,
            superseded_and_removed_images_are_nobody_s_prior,
            the_same_instance_with_the_same_bytes_is_one_image_and_the_later_one_is_superseded,
            of_two_with_the_same_bytes_the_one_that_has_a_result_stays,
            the_same_instance_with_other_bytes_is_a_new_version_with_a_warning_and_the_older_one_is_superseded,
            an_older_version_that_is_finished_late_is_superseded_and_the_newer_one_has_the_warning,
            a_newer_version_without_a_result_supersedes_nothing_and_has_the_warning,
            the_bytes_of_an_older_version_again_are_no_new_version,
            one_instance_uid_of_two_patients_or_two_studies_supersedes_nothing_and_the_later_image_is_warned_of,
            a_derived_uid_that_comes_back_as_a_stored_one_refuses_nothing,
            when_an_image_goes_what_it_superseded_is_queued_again,
            the_same_instance_again_after_the_earlier_one_was_removed_is_a_new_image,
            the_same_instance_at_another_site_is_another_image,
            two_workers_that_finish_the_same_instance_leave_one_image,
            versions_finished_in_one_batch_leave_the_newest,
            a_duplicate_is_not_restored_by_a_look_into_the_bucket_while_its_image_is_there,
            merged_patients_are_one_and_late_images_of_the_old_id_come_to_the_one_that_is_left,
            a_patient_merged_into_an_id_that_is_not_known_takes_it,
            merging_again_changes_nothing_and_what_was_merged_is_merged_into_no_third,
            separated_patients_have_the_images_of_their_own_ids_again,
            separated_patients_have_their_own_names_again,
            a_correction_stands_against_what_later_images_say_and_what_was_before_is_kept,
            a_moved_study_is_another_patient_s_with_what_comes_of_it_later,
            a_study_moved_and_moved_back_has_its_patient_again,
            a_study_is_not_moved_to_an_id_that_was_merged_into_another,
            the_instances_of_a_study_of_a_series_or_one_are_found_by_their_uids_at_the_asked_sites_only,
            an_image_of_which_nothing_is_known_is_the_one_instance_of_a_study_of_its_own,
            superseded_and_removed_images_are_no_instances,
            a_search_finds_studies_series_and_instances_at_the_asked_sites_only_the_newest_study_first,
            a_search_matches_single_values_lists_of_uids_wildcards_ranges_and_numbers,
            names_are_searched_without_case_and_accents_in_each_of_their_groups,
            a_search_by_a_merged_id_finds_the_patient_that_is_left,
            a_study_has_its_counts_and_modalities_and_one_that_has_no_instance_left_is_not_found,
            an_image_of_which_nothing_is_known_is_found_as_a_study_of_its_own_in_the_order_of_the_others,
            pages_of_a_search_have_every_result_once,
            pages_of_a_search_at_several_sites_are_in_one_order,
            a_study_that_takes_in_another_of_its_uid_is_found_by_what_it_lacked,
            a_series_is_shown_by_its_newest_image_that_is_left,
            a_corrected_or_moved_study_is_found_by_what_it_is_now,
            a_list_of_images_is_narrowed_to_one_patient_by_their_id_and_by_one_that_was_merged_into_it,
            a_list_of_images_is_searched_by_a_patient_s_id_an_accession_number_or_the_beginning_of_a_name,
            a_change_of_patients_is_on_record_without_a_name,
            images_finished_while_their_patients_are_merged_are_lost_to_neither,
            an_erased_image_leaves_nothing_of_its_patient_and_others_keep_theirs,
            a_removed_image_or_one_whose_result_is_pruned_is_nobody_s,
            images_of_a_patient_are_found_to_be_erased,
            images_of_the_same_instance_and_patient_are_found_to_be_erased,
            text_that_no_database_would_take_does_not_lose_a_result,
            everything_survives_closing_and_opening,
        ] }
    };
}

/// A store that nobody has used, and handles on it.
async fn fresh<H: ErasureHarness>() -> (H, Kept) {
    let harness = H::start().await;
    let kept = harness.open().await;
    (harness, kept)
}

fn film(site: &str, name: &str) -> ObjectVersion {
    object(&format!("incoming/{site}/{name}"), "v1", Some(1))
}

fn id(id: &str) -> PatientId {
    PatientId { issuer: String::new(), id: id.into() }
}

fn north() -> SiteName {
    SiteName::parse("north").expect("a name")
}

/// An image of a patient, of a study of its own on a day.
fn of(patient: &str, study: &str, day: &str) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.patient.id = id(patient);
    attributes.patient.name = Some(format!("Doe^{patient}"));
    attributes.study.uid = Uid::parse(study);
    attributes.study.date = Some(day.into());
    attributes
}

/// The same, with a UID of its own.
fn instance(patient: &str, uid: &str) -> Attributes {
    let mut attributes = of(patient, "1.2", "20260301");
    attributes.instance.uid = Uid::parse(uid);
    attributes
}

fn by() -> NewEntry {
    NewEntry { site: Some(north()), ..NewEntry::new(Action::PatientChanged, Actor::local("ada")) }
}

/// A completion of an image in hand.
async fn completion(
    kept: &Kept,
    object: &ObjectVersion,
    outcome: Outcome,
    identity: Option<Attributes>,
    bytes: &[u8],
) -> Completion {
    let claimed = granted(&*kept.store, object.id()).await;
    let identity = identity.map(Box::new);
    let basis = Basis { input: Some(Digest::of(bytes)), model: None, identity };
    Completion { id: claimed.id, fence: claimed.fence, outcome, trace: None, basis }
}

/// Admits an image with these bytes and finishes it without a result; answers its id.
async fn refuse(kept: &Kept, object: &ObjectVersion, known: Attributes, bytes: &[u8]) -> ImageId {
    admit(&*kept.store, object).await;
    let human = Outcome::NeedsHuman { reason: Reason::EngineFailed, detail: "x".into() };
    let done = completion(kept, object, human, Some(known), bytes).await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    object.id()
}

/// Admits and finishes an image with these bytes; answers its id.
async fn finish(kept: &Kept, object: &ObjectVersion, known: Attributes, bytes: &[u8]) -> ImageId {
    admit(&*kept.store, object).await;
    let done = completion(kept, object, ready(0.9), Some(known), bytes).await;
    assert_eq!(kept.store.complete(&[done]).await.expect("completed"), [true]);
    object.id()
}

async fn identity(kept: &Kept, image: ImageId) -> Option<Identity> {
    kept.studies.of(&[image]).await.expect("asked").remove(&image)
}

async fn known(kept: &Kept, image: ImageId) -> Identity {
    identity(kept, image).await.expect("known")
}

async fn priors(kept: &Kept, image: ImageId) -> Vec<ImageId> {
    let found = kept.studies.priors(image, 100).await.expect("asked");
    found.into_iter().map(|image| image.id).collect()
}
