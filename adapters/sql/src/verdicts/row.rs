//! Verdicts and labelled images as the database keeps them.

use lobar_core::finding::{Finding, Label};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::time::Stamp;
use lobar_core::verdict::{Labelled, NewVerdict, Opinion, Verdict};
use sqlx::types::Json;
use uuid::Uuid;

use super::super::{Driver, Fault};

/// A row of `verdict`.
#[derive(sqlx::FromRow)]
pub struct VerdictRow {
    id: Uuid,
    image: Uuid,
    model_version: Option<String>,
    opinion: String,
    label: Option<String>,
    reason: String,
    reader: String,
    role: String,
    displayed: String,
    at: i64,
}

/// An image with its newest label.
#[derive(sqlx::FromRow)]
pub struct LabelledRow {
    verdict_id: Uuid,
    label: String,
    at: i64,
    id: Uuid,
    bucket: String,
    key: String,
    version: Option<String>,
    etag: Option<String>,
    sequencer: Option<String>,
    size: Option<i64>,
    finding: Option<Json<Finding>>,
}

impl VerdictRow {
    /// The verdict; fails on words that this release does not know.
    pub(super) fn verdict<D: Driver>(self) -> Result<Verdict, Fault> {
        let label = self.label.as_deref().map(label::<D>).transpose()?;
        let opinion = match (self.opinion.as_str(), label) {
            ("agree", _) => Opinion::Agree,
            ("disagree", Some(label)) => Opinion::Disagree { label },
            ("not_assessable", _) => Opinion::NotAssessable { reason: self.reason },
            _ => return Err(Fault::unreadable::<D>("a stored opinion")),
        };
        let displayed = serde_json::from_str(&self.displayed)
            .map_err(|_| Fault::unreadable::<D>("what was displayed with a verdict"))?;
        Ok(Verdict {
            id: self.id,
            verdict: NewVerdict {
                image: ImageId(self.image),
                model_version: self.model_version,
                opinion,
                reader: self.reader,
                role: self.role,
                displayed,
            },
            label,
            at: Stamp(self.at),
        })
    }
}

impl LabelledRow {
    /// The image; fails on words that this release does not know.
    pub(super) fn labelled<D: Driver>(self) -> Result<Labelled, Fault> {
        Ok(Labelled {
            image: ImageId(self.id),
            object: ObjectVersion {
                bucket: self.bucket,
                key: self.key,
                version: self.version,
                etag: self.etag,
                sequencer: self.sequencer,
                size: self.size.and_then(|size| u64::try_from(size).ok()),
            },
            label: label::<D>(&self.label)?,
            verdict: self.verdict_id,
            at: Stamp(self.at),
            finding: self.finding.map(|Json(finding)| finding),
        })
    }
}

fn label<D: Driver>(word: &str) -> Result<Label, Fault> {
    Label::parse(word).ok_or_else(|| Fault::unreadable::<D>("a stored label"))
}
