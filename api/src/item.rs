//! One image as clients see it. The object's key is not among it.

use std::collections::BTreeMap;

use lobar_core::exposure::Answer;
use lobar_core::finding::Finding;
use lobar_core::image::{Image, State};
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::verdict::Verdict;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::exposure::Withheld;
use crate::pending_uploads::Upload;
use crate::readership::ReadingBody;
use crate::statement::STATEMENT_OF_USE;
use crate::timestamp::rfc3339;
use crate::verdict::VerdictMark;
use crate::verdict_tag;
use crate::whose::{InstanceBody, PatientBody, SeriesBody, StudyBody, Whose};

/// One image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageItem {
    /// Its opaque id.
    id: Uuid,
    /// `queued`, `analysing`, `ready`, `needs_human`, `failed`, `superseded`, `removed`.
    #[schema(value_type = String, example = "ready")]
    status: &'static str,
    /// Stable code of the reason when it was not assessed. `result_unreadable` and `record_unreadable`: something is
    /// stored of it that this release cannot read; a person must look at the image.
    #[schema(value_type = Option<String>, example = json!(null))]
    reason: Option<&'static str>,
    /// The reason as a sentence.
    #[schema(value_type = Option<String>)]
    reason_text: Option<&'static str>,
    /// A sentence more: sizes, formats.
    reason_detail: Option<String>,
    /// The uploading site, when the key names one.
    site: Option<String>,
    /// `stat` or `routine`.
    #[schema(value_type = String, example = "routine")]
    priority: &'static str,
    /// RFC 3339, UTC.
    received_at: String,
    /// RFC 3339, UTC; null until the end is reached.
    finished_at: Option<String>,
    /// What the network saw; null when it did not assess the image (yet), or when the image was removed.
    result: Option<ResultBody>,
    /// Why a result that there is is not shown to this caller, null where nothing is withheld: `own_opinion_first` until they
    /// have given their own opinion (`POST /v1/images/{id}/opinion`), `record_unavailable` while nobody can tell whether they
    /// have. It says nothing about the result.
    #[schema(value_type = Option<String>, example = json!(null))]
    withheld: Option<&'static str>,
    /// Whom it shows; null where nothing is known of it.
    patient: Option<PatientBody>,
    /// The examination; as the patient.
    study: Option<StudyBody>,
    /// The series; as the patient.
    series: Option<SeriesBody>,
    /// The image as an instance of DICOM; as the patient.
    instance: Option<InstanceBody>,
    /// Whether these four are null only because they cannot be read at the moment: whose image it is is not known then. Missing
    /// where they could be. Not in lists.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    identity_unavailable: bool,
    /// How far it has been read, by whom, and how long it waits; null where it is not there to be read any more, or that
    /// cannot be told at the moment.
    reading: Option<ReadingBody>,
    /// The newest verdict that was not withdrawn, null when there is none, or where others' are kept from the caller until
    /// they have given theirs. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<VerdictMark>)]
    verdict: Option<Option<VerdictMark>>,
    /// What to send as `If-Match` with a verdict on what is shown here: the `ETag` of `/v1/images/{id}/verdicts`. Null where the
    /// result is withheld. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    verdicts_etag: Option<Option<String>>,
}

/// What the network saw.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResultBody {
    model: ModelBody,
    /// The network's score for pneumonia, 0 to 1. A probability only as far as the model's card shows that its calibration holds.
    probability: f64,
    /// The model's operating point, 0 to 1.
    threshold: f64,
    /// `probability >= threshold`.
    flagged: bool,
    /// `PNEUMONIA` or `NORMAL`; the latter only means "not flagged".
    #[schema(value_type = String, example = "PNEUMONIA")]
    label: &'static str,
    /// Bacterial or viral, when flagged and the model has that output.
    subtype: Option<SubtypeBody>,
    /// Whether `/v1/images/{id}/heatmap` has one.
    heatmap: bool,
    /// What a reader should know about the input.
    warnings: Vec<String>,
    /// Milliseconds by stage.
    timings_ms: BTreeMap<String, f64>,
    /// What results are for.
    #[schema(value_type = String)]
    statement_of_use: &'static str,
}

/// Which weights, exactly.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelBody {
    version: String,
    /// SHA-256 of the weights file.
    sha256: String,
    /// Preprocessing version.
    preprocessing: String,
}

/// The second output.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubtypeBody {
    /// `BACTERIAL` or `VIRAL`.
    #[schema(value_type = String)]
    label: &'static str,
    /// Probability of that label, 0.5 to 1.
    probability: f64,
    /// True until validated.
    experimental: bool,
}

/// A finding as clients see it: the `result` of an image.
pub fn result_json(finding: Finding) -> serde_json::Value {
    // Strings, numbers and lists only: nothing in it can fail to serialise.
    serde_json::to_value(ResultBody::from(finding)).unwrap_or_default()
}

impl From<Image> for ImageItem {
    fn from(image: Image) -> Self {
        Self {
            id: image.id.0,
            status: image.state.as_str(),
            reason: image.reason.map(|reason| reason.code()),
            reason_text: image.reason.map(|reason| reason.text()),
            reason_detail: image.detail,
            site: image.object.site().map(str::to_owned),
            priority: image.lane.as_str(),
            received_at: rfc3339(image.received_at),
            finished_at: image.finished_at.map(rfc3339),
            // Who deletes an X-ray wants nothing of it shown any more.
            result: image.finding.filter(|_| image.state != State::Removed).map(ResultBody::from),
            withheld: None,
            patient: None,
            study: None,
            series: None,
            instance: None,
            identity_unavailable: false,
            reading: None,
            verdict: None,
            verdicts_etag: None,
        }
    }
}

impl ImageItem {
    /// With whose image it is.
    pub(crate) fn with_whose(self, whose: Option<Whose>) -> Self {
        let Whose { patient, study, series, instance } = whose.unwrap_or_default();
        Self { patient, study, series, instance, ..self }
    }

    /// With who has read it.
    pub(crate) fn with_reading(self, reading: Option<ReadingBody>) -> Self {
        Self { reading, ..self }
    }

    /// An upload that is stored and waits to be admitted.
    pub(crate) fn accepted(id: ImageId, upload: Upload) -> Self {
        Self {
            id: id.0,
            status: State::Queued.as_str(),
            reason: None,
            reason_text: None,
            reason_detail: None,
            site: Some(upload.site),
            priority: upload.lane.as_str(),
            received_at: rfc3339(upload.at),
            finished_at: None,
            result: None,
            withheld: None,
            patient: None,
            study: None,
            series: None,
            instance: None,
            identity_unavailable: false,
            reading: None,
            verdict: Some(None),
            verdicts_etag: Some(None),
        }
    }

    /// Without its result and what anybody said of it.
    pub(crate) fn withhold(self, why: Withheld) -> Self {
        let verdict = self.verdict.map(|_| None);
        let verdicts_etag = self.verdicts_etag.map(|_| None);
        Self { result: None, withheld: Some(why.word()), verdict, verdicts_etag, ..self }
    }

    /// Whose answer it shows.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let model = &self.result.as_ref()?.model;
        let (model_version, model_sha256) = (model.version.clone(), model.sha256.clone());
        Some(Answer { model_version, model_sha256 })
    }

    /// With the newest of its verdicts that counts, if there is one, and what a verdict on that names.
    pub(crate) fn with_verdicts(self, finished_at: Option<Stamp>, verdicts: &[Verdict]) -> Self {
        let newest = verdicts.iter().rfind(|verdict| verdict.counts());
        let etag = verdict_tag::quoted(verdict_tag::seen(finished_at, verdicts));
        Self {
            verdict: Some(newest.map(VerdictMark::from)),
            verdicts_etag: Some(Some(etag)),
            ..self
        }
    }
}

impl From<Finding> for ResultBody {
    fn from(finding: Finding) -> Self {
        // By name, so that what is added to a finding and forgotten here does not compile.
        let Finding {
            model,
            probability,
            threshold,
            flagged,
            label,
            subtype,
            heatmap,
            warnings,
            timings_ms,
        } = finding;
        Self {
            model: ModelBody {
                version: model.version,
                sha256: model.sha256,
                preprocessing: model.preprocessing,
            },
            probability,
            threshold,
            flagged,
            label: label.word(),
            subtype: subtype.map(|subtype| SubtypeBody {
                label: subtype.label.word(),
                probability: subtype.probability,
                experimental: subtype.experimental,
            }),
            heatmap: heatmap.is_some(),
            warnings,
            timings_ms,
            statement_of_use: STATEMENT_OF_USE,
        }
    }
}
