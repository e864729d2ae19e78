//! The registry's contract.

mod life;
mod shadow;
mod unreadable;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::model_registry::{Assignment, ModelRegistry, NewModel, RegisteredModel, Stage};
use lobar_core::store::Store;
use lobar_core::verdict::Verdicts;
use serde_json::json;

pub use life::*;
pub use shadow::*;
pub use unreadable::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/model_registry.rs");

/// An adapter under test.
#[async_trait]
pub trait ModelRegistryHarness: Sized + Send + Sync {
    /// A registry that nobody has used.
    async fn start() -> Self;
    /// A handle on it, as another process has one.
    async fn open(&self) -> Arc<dyn ModelRegistry>;
    /// Closes every handle, then opens it anew.
    async fn reopen(&self) -> Arc<dyn ModelRegistry>;
    /// The images of the same store, and what readers said of them.
    async fn images(&self) -> (Arc<dyn Store>, Arc<dyn Verdicts>);
    /// Lets time pass for the registry.
    async fn advance(&self, by: Duration);
    /// Runs a statement of SQL on what is kept, with the adapter's checks put aside: as an accident would, or a newer
    /// release that keeps other values.
    async fn damage(&self, statement: &str);
}

/// Runs the registry's contract on a harness.
#[macro_export]
macro_rules! registry_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::registry, suite::DOCUMENTATION, [
            a_model_is_registered_once_however_often_the_same_file_is_registered,
            a_version_that_is_taken_by_other_weights_is_refused,
            a_new_model_is_a_candidate_and_changes_nothing_that_is_served,
            activating_a_model_retires_the_one_that_was_active,
            activating_the_active_model_changes_nothing,
            an_unknown_model_cannot_be_activated,
            a_first_activation_happens_only_where_no_model_was_ever_active,
            rolling_back_activates_the_model_that_was_active_before,
            rolling_back_twice_goes_back_two_activations,
            without_an_earlier_model_there_is_nothing_to_roll_back_to,
            the_active_model_cannot_be_retired,
            a_shadow_is_a_model_that_is_not_active,
            activating_the_shadow_ends_its_shadowing,
            ending_a_model_s_shadowing_leaves_another_shadow_alone,
            every_change_gives_the_assignment_a_new_revision,
            every_change_is_kept_with_its_time_and_who_made_it,
            concurrent_activations_leave_one_model_active,
            a_shadow_finding_is_kept_once_an_image_and_model,
            a_comparison_counts_the_images_that_both_models_answered,
            a_comparison_counts_on_whose_side_the_newest_verdicts_are,
            everything_survives_closing_and_opening_the_registry,
            a_card_comes_back_as_it_was_registered,
            a_retired_model_can_shadow_until_it_is_retired_again,
            thousands_of_shadow_findings_are_taken,
            a_model_that_cannot_be_read_in_full_says_what_is_unreadable_and_hides_no_other,
            a_model_whose_card_cannot_be_read_still_answers,
            a_model_whose_stage_cannot_be_read_is_neither_activated_nor_shadowed,
        ] }
    };
}

/// A model as it is registered; a version has its own weights.
fn new(version: &str) -> NewModel {
    let sha256 = format!("{version:0>64}");
    NewModel {
        version: version.into(),
        key: format!("{version}/{sha256}.safetensors"),
        sha256,
        bytes: 50_000_000,
        card: json!({ "version": version, "threshold": 0.729_980_426_117_209_1 }),
    }
}

async fn register(registry: &dyn ModelRegistry, version: &str) -> RegisteredModel {
    registry.register(&new(version), "ada").await.expect("registered")
}

/// Registers the models `1` to `count`.
async fn registered(registry: &dyn ModelRegistry, count: usize) {
    for version in 1..=count {
        register(registry, &version.to_string()).await;
    }
}

async fn activate(registry: &dyn ModelRegistry, version: &str) -> Assignment {
    registry.activate(version, "ada").await.expect("activated")
}

async fn roll_back(registry: &dyn ModelRegistry) -> Assignment {
    registry.roll_back("ada").await.expect("rolled back")
}

async fn assignment(registry: &dyn ModelRegistry) -> Assignment {
    registry.assignment().await.expect("asked")
}

async fn stage(registry: &dyn ModelRegistry, version: &str) -> Stage {
    registry.model(version).await.expect("asked").expect("known").stage
}

fn active(assignment: &Assignment) -> Option<&str> {
    assignment.active.as_ref().map(|model| model.model.version.as_str())
}

fn shadowing(assignment: &Assignment) -> Option<&str> {
    assignment.shadow.as_ref().map(|model| model.model.version.as_str())
}
