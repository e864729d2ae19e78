//! Verdicts and labelled images as the database keeps them.

use lobar_core::finding::{Finding, Label};
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::reading::Reading;
use lobar_core::time::Stamp;
use lobar_core::verdict::{
    Cause, Given, LabelKey, Labelled, NewVerdict, Note, Opinion, Readers, Verdict,
};
use sqlx::types::Json;
use uuid::Uuid;

use super::super::column::Column;
use super::super::unreadable::Unreadable;

/// Stands for what was displayed where that cannot be read.
const UNREADABLE: &str = "unreadable";

/// A row of `verdict`.
#[derive(sqlx::FromRow)]
pub struct VerdictRow {
    id: Uuid,
    image: Uuid,
    model_version: Option<String>,
    opinion: Column<String>,
    label: Option<Column<String>>,
    reason: Column<String>,
    reader: String,
    role: String,
    displayed: Column<String>,
    at: i64,
    rendering: Option<String>,
    causes: Option<Column<String>>,
    readers_needed: Option<i64>,
    withdrawn_at: Option<i64>,
}

/// An image with its newest label.
#[derive(sqlx::FromRow)]
pub struct LabelledRow {
    verdict_id: Uuid,
    label: Column<String>,
    at: i64,
    id: Uuid,
    bucket: String,
    key: String,
    version: Option<String>,
    etag: Option<String>,
    sequencer: Option<String>,
    size: Option<i64>,
    finding: Option<Column<Json<Finding>>>,
}

impl VerdictRow {
    /// The verdict. One that this release does not understand bears no label, and says that it was given.
    pub(super) fn verdict(self, unreadable: &Unreadable) -> Verdict {
        let label = Column::reading_of(self.label, |word| Label::parse(&word));
        // A word of a newer release is left out; the verdict says the same without it.
        let causes = Column::reading_of(self.causes, |json| serde_json::from_str(&json).ok());
        let causes: Vec<String> = causes.read().unwrap_or_default();
        let causes = causes.iter().filter_map(|word| Cause::parse(word)).collect();
        let note = self.reason.reading(Some);
        let opinion = self.opinion.reading(|word| match (word.as_str(), label) {
            ("agree", Reading::Read(_)) => Some(Opinion::Agree),
            ("disagree", Reading::Read(label)) => Some(Opinion::Disagree { label }),
            ("not_assessable", Reading::Missing) => Some(Opinion::NotAssessable { causes }),
            _ => None,
        });
        let opinion = opinion.read().unwrap_or(Opinion::Unreadable);
        let label = match &opinion {
            Opinion::Agree | Opinion::Disagree { .. } => label.read(),
            Opinion::NotAssessable { .. } | Opinion::Unreadable => None,
        };
        if opinion == Opinion::Unreadable {
            unreadable.tell("verdict.opinion", self.id);
        }
        let displayed = self.displayed.reading(|json| serde_json::from_str(&json).ok()).read();
        let displayed = displayed.unwrap_or_else(|| {
            unreadable.tell("verdict.displayed", self.id);
            vec![UNREADABLE.to_owned()]
        });
        Verdict {
            id: self.id,
            verdict: NewVerdict {
                image: ImageId(self.image),
                model_version: self.model_version,
                opinion,
                note: Note(note.read().unwrap_or_default()),
                reader: self.reader,
                role: self.role,
                displayed,
                rendering: self.rendering,
            },
            label,
            at: Stamp(self.at),
            withdrawn_at: self.withdrawn_at.map(Stamp),
        }
    }

    /// How many readers the site had when it was given.
    pub(super) fn needed(&self) -> Readers {
        Readers::of_number(self.readers_needed)
    }
}

/// A verdict as far as [double reading](lobar_core::verdict::double) is about it.
pub(super) fn given(verdict: &Verdict, needed: Readers) -> Given {
    Given { reader: verdict.verdict.reader.clone(), label: verdict.label, at: verdict.at, needed }
}

impl LabelledRow {
    /// Its place in the order of pages.
    pub(super) fn key(&self) -> LabelKey {
        LabelKey { at: Stamp(self.at), verdict: self.verdict_id }
    }

    /// The image, unless its label cannot be read: nothing is learnt from it then. Its finding is `None` where
    /// that cannot be read.
    pub(super) fn labelled(self, unreadable: &Unreadable) -> Option<Labelled> {
        let label = self.label.reading(|word| Label::parse(&word)).read();
        if label.is_none() {
            unreadable.tell("verdict.label", self.verdict_id);
        }
        let finding = Column::reading_of(self.finding, |Json(finding)| Some(finding));
        if finding == Reading::Unreadable {
            unreadable.tell("finding.body", self.id);
        }
        Some(Labelled {
            image: ImageId(self.id),
            object: ObjectVersion {
                bucket: self.bucket,
                key: self.key,
                version: self.version,
                etag: self.etag,
                sequencer: self.sequencer,
                size: self.size.and_then(|size| u64::try_from(size).ok()),
            },
            label: label?,
            verdict: self.verdict_id,
            at: Stamp(self.at),
            finding: finding.read(),
        })
    }
}
