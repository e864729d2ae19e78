//! The contract of the exposure record.

mod cases;
mod kept;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lobar_core::exposure::{
    Answer, Case, Exposure, Exposures, FirstOpinion, NewOpinion, Reader, Source, Visible,
};
use lobar_core::finding::Label;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::store::Store;
use lobar_core::time::Stamp;
use lobar_core::verdict::{NewVerdict, Note, Opinion, Terms, Verdicts};
use uuid::Uuid;

use super::store::{admit, complete, granted, object, ready};

pub use cases::*;
pub use kept::*;

/// The port's documentation.
pub const DOCUMENTATION: &str = include_str!("../../../../core/src/exposure/mod.rs");

/// Handles on one store.
pub type Ports = (Arc<dyn Store>, Arc<dyn Verdicts>, Arc<dyn Exposures>);

/// An adapter under test, with the store whose images it is about.
#[async_trait]
pub trait ExposureHarness: Sized + Send + Sync {
    /// A store that nobody has used.
    async fn start() -> Self;
    /// Handles on it, as another process has them.
    async fn open(&self) -> Ports;
    /// Closes every handle, then opens them anew.
    async fn reopen(&self) -> Ports;
    /// Lets time pass.
    async fn advance(&self, by: Duration);
    /// What time it is there.
    fn now(&self) -> Stamp;
}

/// Runs the contract of the exposure record on a harness.
#[macro_export]
macro_rules! exposure_contract {
    ($harness:ty) => {
        $crate::each_sentence! { $harness, $crate::contract::exposure, suite::DOCUMENTATION, [
            the_key_of_the_draw_is_made_once_and_is_the_same_for_every_process,
            a_first_opinion_is_kept_with_the_answer_that_was_withheld_meanwhile,
            a_reader_s_first_opinion_on_an_image_is_given_once_and_stays,
            there_is_no_first_opinion_on_an_image_without_a_result,
            who_gave_a_first_opinion_or_was_sent_a_result_has_met_it_and_nobody_else_has,
            the_answers_to_many_images_are_told_at_once_with_their_sites,
            what_was_sent_is_kept_once_however_often_it_is_sent,
            what_was_painted_is_kept_once_by_its_id,
            an_image_s_exposures_are_told_in_the_order_of_time,
            a_case_joins_a_first_opinion_with_the_last_verdict_of_the_same_reader_after_it,
            a_case_tells_what_was_met_before_the_first_opinion_and_what_was_painted_between_it_and_the_verdict,
            cases_are_pages_by_time_and_none_is_missed_or_told_twice,
            the_labels_of_one_reader_are_their_newest,
            removing_an_image_removes_what_was_met_of_it,
            nothing_is_kept_of_an_image_that_is_not_there_any_more,
            what_is_no_longer_kept_goes_with_its_first_opinion_and_not_before,
            everything_survives_closing_and_opening,
        ] }
    };
}

const ADA: Uuid = Uuid::from_u128(1);
const BEN: Uuid = Uuid::from_u128(2);

fn key(n: usize) -> ObjectVersion {
    object(&format!("incoming/north/{n}.jpg"), "v1", None)
}

/// An image that was flagged.
async fn flagged(store: &dyn Store, n: usize) -> ImageId {
    admit(store, &key(n)).await;
    let claimed = granted(store, key(n).id()).await;
    assert!(complete(store, &claimed, ready(0.75)).await);
    key(n).id()
}

fn name(reader: Uuid) -> String {
    format!("reader {}", reader.as_u128())
}

fn opinion(image: ImageId, reader: Uuid, label: Option<Label>) -> NewOpinion {
    NewOpinion {
        image,
        reader: Reader { id: reader, name: name(reader) },
        role: "clinician".into(),
        session: Some(Uuid::from_u128(7)),
        label,
        rendering: Some("seen".into()),
    }
}

fn exposure(image: ImageId, reader: Uuid, source: Source, visible: Visible, at: Stamp) -> Exposure {
    Exposure {
        id: Uuid::now_v7(),
        image,
        reader,
        session: None,
        source,
        visible,
        answer: Answer { model_version: "7".into(), model_sha256: "00ff".into() },
        at,
        millis: 250,
    }
}

async fn give(
    exposures: &dyn Exposures,
    image: ImageId,
    reader: Uuid,
    label: Label,
) -> FirstOpinion {
    exposures.give(&opinion(image, reader, Some(label))).await.expect("given")
}

async fn judge(verdicts: &dyn Verdicts, image: ImageId, reader: Uuid, opinion: Opinion) {
    let verdict = NewVerdict {
        image,
        model_version: Some("7".into()),
        opinion,
        note: Note::default(),
        reader: name(reader),
        role: "clinician".into(),
        displayed: Vec::new(),
        rendering: None,
    };
    verdicts.add(&verdict, &Terms::default()).await.expect("added");
}

async fn cases(exposures: &dyn Exposures) -> Vec<Case> {
    exposures.cases(None, None, 1_000).await.expect("asked")
}
