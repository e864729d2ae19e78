//! Whom files show that do not say it themselves.

use serde::Serialize;

/// What is said of the patient and the study of all files of an upload (`docs/patients.md`); what is `None` is not said. The
/// server refuses what cannot be kept. It is never shown in errors or progress.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The patient's id at the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_id: Option<String>,
    /// Who gave out the id; `None` where that is the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_issuer: Option<String>,
    /// As DICOM writes names: `Doe^Jane`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    /// `YYYYMMDD` or `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_birth_date: Option<String>,
    /// `M`, `F`, `O`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_sex: Option<String>,
    /// The accession number: images of one are one study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accession: Option<String>,
    /// `YYYYMMDD` or `YYYY-MM-DD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_date: Option<String>,
    /// `PA`, `AP`, `LL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_position: Option<String>,
}

impl Identity {
    /// As one text, always the same of the same; `None` where nothing is said.
    pub(crate) fn text(&self) -> Option<String> {
        (*self != Self::default()).then(|| serde_json::json!(self).to_string())
    }
}
