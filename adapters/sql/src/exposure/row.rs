//! Exposures and first opinions as the database keeps them. A word that this release does not know leaves its row out.

use lobar_core::exposure::{
    Answer, Exposure, FirstOpinion, Last, NewOpinion, Reader, Source, Visible,
};
use lobar_core::finding::Label;
use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use uuid::Uuid;

/// A row of `exposure`.
#[derive(sqlx::FromRow)]
pub struct ExposureRow {
    id: Uuid,
    image: Uuid,
    reader: Uuid,
    session: Option<Uuid>,
    source: String,
    visible: i64,
    model_version: String,
    model_sha256: String,
    at: i64,
    millis: i64,
}

/// A row of `first_opinion`.
#[derive(sqlx::FromRow)]
pub struct OpinionRow {
    id: Uuid,
    image: Uuid,
    reader: Uuid,
    name: String,
    role: String,
    session: Option<Uuid>,
    label: Option<String>,
    rendering: Option<String>,
    model_version: String,
    model_sha256: String,
    found: String,
    at: i64,
}

/// A first opinion with the newest verdict after it.
#[derive(sqlx::FromRow)]
pub struct CaseRow {
    #[sqlx(flatten)]
    first: OpinionRow,
    site: Option<String>,
    last_label: Option<String>,
    last_at: Option<i64>,
}

impl ExposureRow {
    pub(super) fn exposure(self) -> Option<Exposure> {
        let source = match self.source.as_str() {
            "sent" => Source::Sent,
            "painted" => Source::Painted,
            _ => return None,
        };
        let (model_version, model_sha256) = (self.model_version, self.model_sha256);
        Some(Exposure {
            id: self.id,
            image: ImageId(self.image),
            reader: self.reader,
            session: self.session,
            source,
            visible: Visible::of_bits(self.visible),
            answer: Answer { model_version, model_sha256 },
            at: Stamp(self.at),
            millis: u64::try_from(self.millis).unwrap_or_default(),
        })
    }
}

impl OpinionRow {
    pub(super) fn opinion(self) -> Option<FirstOpinion> {
        let label = match self.label {
            None => None,
            Some(word) => Some(Label::parse(&word)?),
        };
        let (model_version, model_sha256) = (self.model_version, self.model_sha256);
        Some(FirstOpinion {
            id: self.id,
            opinion: NewOpinion {
                image: ImageId(self.image),
                reader: Reader { id: self.reader, name: self.name },
                role: self.role,
                session: self.session,
                label,
                rendering: self.rendering,
            },
            answer: Answer { model_version, model_sha256 },
            found: Label::parse(&self.found)?,
            at: Stamp(self.at),
        })
    }
}

impl CaseRow {
    /// The first opinion, the site and the last verdict.
    pub(super) fn parts(self) -> Option<(FirstOpinion, Option<String>, Option<Last>)> {
        let last = self.last_at.map(|at| {
            let label = self.last_label.as_deref().and_then(Label::parse);
            Last { label, at: Stamp(at) }
        });
        Some((self.first.opinion()?, self.site, last))
    }
}
