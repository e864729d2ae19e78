//! Batches as clients see them, and what uploads say of them.

use lobar_core::access::SiteName;
use lobar_core::batch::{Added, Batch, BatchId, BatchMention, Uploader};
use lobar_core::image::State;
use lobar_core::object::ImageId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{Allowed, Need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::timestamp::rfc3339;

/// Files that were uploaded together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchItem {
    /// The id that whoever uploaded gave it.
    id: Uuid,
    /// Where its files were put; null where their keys name no site.
    site: Option<String>,
    /// Who uploaded it: a person, or a machine's token; null where only the bucket told of its files.
    uploaded_by: Option<String>,
    /// When its first file was added: RFC 3339, UTC.
    opened_at: String,
    /// When a file was added last: RFC 3339, UTC.
    last_at: String,
    /// How many files it has: the sum of `counts`.
    files: u64,
    counts: BatchCountsBody,
    /// Of those that are `ready`: how many are flagged. Null for a caller whose own opinion is asked for before some results
    /// are shown.
    flagged: Option<u64>,
    /// Of all: files whose image was there before they were uploaded in this batch.
    duplicates: u64,
    /// Why images were not assessed: how many for which reason.
    reasons: Vec<BatchReason>,
}

/// What became of the files of a batch. Each file is counted once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchCountsBody {
    /// In the bucket, and not admitted yet.
    arriving: u64,
    queued: u64,
    analysing: u64,
    /// Assessed.
    ready: u64,
    needs_human: u64,
    failed: u64,
    /// A newer upload took their place.
    superseded: u64,
    /// Deleted from the bucket, or their results' time was over.
    removed: u64,
    /// Erased for good.
    erased: u64,
    /// By name and content no images: nobody is shown them.
    put_aside: u64,
}

/// Images that were not assessed for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchReason {
    /// `needs_human` or `failed`.
    #[schema(value_type = String, example = "failed")]
    status: &'static str,
    /// Stable code.
    #[schema(value_type = String, example = "repeated_failure")]
    reason: &'static str,
    /// The reason as a sentence.
    #[schema(value_type = String)]
    reason_text: &'static str,
    images: u64,
}

impl BatchItem {
    /// As somebody sees it who may know of flags, or may not.
    pub(crate) fn new(batch: &Batch, with_flags: bool) -> Self {
        let counts = &batch.counts;
        let of = |state| counts.by_state.get(&state).copied().unwrap_or(0);
        let reasons = counts.reasons.iter().map(|((state, reason), images)| BatchReason {
            status: state.as_str(),
            reason: reason.code(),
            reason_text: reason.text(),
            images: *images,
        });
        Self {
            id: batch.id.0,
            site: batch.site.as_ref().map(|site| site.as_str().to_owned()),
            uploaded_by: batch.by.as_ref().map(|by| by.name.clone()),
            opened_at: rfc3339(batch.opened_at),
            last_at: rfc3339(batch.last_at),
            files: counts.files(),
            counts: BatchCountsBody {
                arriving: counts.arriving,
                queued: of(State::Queued),
                analysing: of(State::Analysing),
                ready: of(State::Ready),
                needs_human: of(State::NeedsHuman),
                failed: of(State::Failed),
                superseded: of(State::Superseded),
                removed: of(State::Removed),
                erased: counts.erased,
                put_aside: counts.put_aside,
            },
            flagged: with_flags.then_some(counts.flagged),
            duplicates: counts.duplicates,
            reasons: reasons.collect(),
        }
    }
}

/// The batch that an upload names; none where it names none.
pub(crate) fn said(text: Option<&str>) -> Result<Option<BatchId>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Problem::new(Kind::BadParameter, "`batch` is a UUID that you made up.");
    BatchId::parse(text).map(Some).ok_or_else(wrong)
}

impl Context {
    /// Adds files that the caller put into a site to the batch that they said; with none, sees to it that the batch is there.
    ///
    /// # Errors
    /// Where the batch is another site's, and where the store does not answer.
    pub(crate) async fn add_to_batch<N: Need>(
        &self,
        allowed: &Allowed<N>,
        batch: Option<BatchId>,
        site: Option<&str>,
        files: Vec<ImageId>,
    ) -> Result<(), Problem> {
        let Some(batch) = batch else { return Ok(()) };
        let who = &allowed.caller().who;
        let by = Some(Uploader { id: who.id(), name: who.name().to_owned() });
        let to = BatchMention { batch, site: site.and_then(SiteName::parse), by };
        let added = self.ask_port(&self.batches, move |batches| async move {
            batches.add(&to, &files, Added::Image).await
        });
        match added.await? {
            true => Ok(()),
            false => {
                let detail = "Files of another site have this batch's id; make up another one.";
                Err(Problem::new(Kind::BatchElsewhere, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lobar_core::batch::BatchCounts;
    use lobar_core::time::Stamp;

    use super::*;

    #[test]
    fn each_file_is_counted_once_and_flags_are_told_to_those_who_may_know() {
        let by_state = State::ALL.into_iter().zip(1..).collect::<BTreeMap<_, _>>();
        let counts = BatchCounts {
            by_state,
            flagged: 2,
            arriving: 10,
            erased: 20,
            put_aside: 30,
            ..BatchCounts::default()
        };
        let (at, id) = (Stamp(0), BatchId(Uuid::from_u128(1)));
        let batch = Batch { id, site: None, by: None, opened_at: at, last_at: at, counts };
        let item = serde_json::to_value(BatchItem::new(&batch, true)).expect("JSON");
        let each = item["counts"].as_object().expect("counts").values();
        let sum: u64 = each.filter_map(serde_json::Value::as_u64).sum();
        assert_eq!((sum, item["files"].as_u64()), (88, Some(88)));
        assert_eq!(item["flagged"], 2);
        assert_eq!(BatchItem::new(&batch, false).flagged, None);
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        assert!(said(Some(" ")).is_err());
        assert_eq!(said(None).ok(), Some(None));
        assert!(said(Some("monday")).is_err());
        let id = Uuid::from_u128(7);
        assert_eq!(said(Some(&id.to_string())).ok(), Some(Some(BatchId(id))));
    }
}
