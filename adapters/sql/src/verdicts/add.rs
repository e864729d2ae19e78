//! Adding a verdict: lock, check, insert, mark and event in one transaction.

use lobar_core::failure::PortError;
use lobar_core::finding::{Finding, Label};
use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::reading::{Reading, Standing};
use lobar_core::time::Stamp;
use lobar_core::verdict::{
    Agreement, NewVerdict, Newer, Opinion, Readers, Readings, Seen, Terms, Verdict, VerdictError,
};
use sqlx::types::Json;
use uuid::Uuid;

use super::super::column::Column;
use super::super::store::flagged;
use super::super::tx::Tx;
use super::super::worklist::mark;
use super::super::{Db, DbError, Driver, Sql};
use super::read;
use super::row::given;

/// What is shown of an image.
#[derive(sqlx::FromRow)]
pub struct ShownRow {
    state: String,
    flag: String,
}

/// The finding that is shown of an image.
#[derive(sqlx::FromRow)]
pub struct FindingRow {
    model_version: String,
    body: Column<Json<Finding>>,
}

/// The same, read.
struct Shown {
    state: State,
    /// Version of the model whose finding is shown, with its label.
    finding: Option<(String, Label)>,
}

/// Added, refused, or not known.
type AddResult = Result<Result<Verdict, VerdictError>, DbError>;

pub(super) async fn add<D: Driver>(db: &Db<D>, new: &NewVerdict, terms: &Terms) -> AddResult {
    let mut tx = db.begin().await?;
    let judged = match shown(&mut tx, new.image).await? {
        None => Err(VerdictError::Unknown),
        Some(shown) => {
            let course = Course::of(db, &mut tx, new.image).await?;
            let judged = course.holds(&new.reader, terms).and_then(|()| judge(&shown, new));
            judged.map(|label| (shown.state, label, course))
        }
    };
    let (state, label, mut course) = match judged {
        Ok(judged) => judged,
        // It commits only so that its connection can be used again.
        Err(refusal) => return tx.commit().await.map(|()| Err(refusal)),
    };
    let at = course.time(db.now());
    let (id, withdrawn_at) = (Uuid::now_v7(), None);
    let verdict = Verdict { id, verdict: new.clone(), label, at, withdrawn_at };
    keep(&mut tx, &verdict, terms.readers).await?;
    course.verdicts.push((verdict.clone(), terms.readers));
    mark(&mut tx, new.image, course.read_at()).await?;
    tell(&mut tx, new.image, state, at).await?;
    tx.commit().await?;
    Ok(Ok(verdict))
}

/// The verdicts on an image that is locked until the transaction ends.
pub(super) struct Course {
    /// When the work on it ended: verdicts before are on what it showed before.
    finished_at: Option<Stamp>,
    /// Oldest first, each with the number of readers that the site had then.
    pub(super) verdicts: Vec<(Verdict, Readers)>,
}

impl Course {
    pub(super) async fn of<D: Driver>(
        db: &Db<D>,
        tx: &mut Tx<D>,
        image: ImageId,
    ) -> Result<Self, DbError> {
        let ended = Sql::<D>::new("select coalesce(finished_at, -1) from image where id = $1");
        let ended: Option<(i64,)> = ended.bind(image.0).optional(tx).await?;
        let finished_at = ended.and_then(|(at,)| (at >= 0).then_some(Stamp(at)));
        let rows = read::rows(tx, image).await?.into_iter();
        let verdicts = rows.map(|row| (row.needed(), row.verdict(db.unreadable())));
        let verdicts = verdicts.map(|(needed, verdict)| (verdict, needed)).collect();
        Ok(Self { finished_at, verdicts })
    }

    fn counting(&self) -> impl Iterator<Item = &(Verdict, Readers)> {
        self.verdicts.iter().filter(|(verdict, _)| verdict.counts())
    }

    /// What those come to that are on what the image shows now.
    pub(super) fn readings(&self) -> Readings {
        let now = self.counting().filter(|(verdict, _)| Some(verdict.at) >= self.finished_at);
        Readings::of(now.map(|(verdict, needed)| given(verdict, *needed)))
    }

    /// When the image was read: as [`mark`] keeps it.
    pub(super) fn read_at(&self) -> Option<Stamp> {
        let readings = self.readings();
        let settled = readings.agreement() == Agreement::Settled;
        readings.newest().filter(|_| settled).map(|newest| newest.at)
    }

    /// Whether what the reader had before them is what is there, as far as they may see it.
    fn holds(&self, reader: &str, terms: &Terms) -> Result<(), VerdictError> {
        let Some(seen) = &terms.seen else { return Ok(()) };
        let kept_from = self.readings().are_kept_from(reader, terms.readers);
        let told = |verdict: &&(Verdict, Readers)| !kept_from || verdict.0.verdict.reader == reader;
        let newest = self.counting().filter(told).last().map(|(verdict, _)| verdict.id);
        let now = Seen { finished_at: self.finished_at, newest };
        if seen.contains(&now) {
            return Ok(());
        }
        let same_result = seen.iter().any(|seen| seen.finished_at == now.finished_at);
        Err(VerdictError::Newer(if same_result { Newer::Verdict } else { Newer::Result }))
    }

    /// Now, or just after the newest verdict on this image where a clock is behind it; never before the end of the work on
    /// it, since an earlier verdict is on what the image showed before.
    fn time(&self, now: Stamp) -> Stamp {
        let now = self.finished_at.map_or(now, |ended| now.max(ended));
        let newest = self.verdicts.last().map(|(verdict, _)| verdict.at);
        newest.map_or(now, |at| now.max(Stamp(at.0.saturating_add(1))))
    }
}

/// What is shown, and will be until the transaction ends; `None` when there is no image (any more).
async fn shown<D: Driver>(tx: &mut Tx<D>, image: ImageId) -> Result<Option<Shown>, DbError> {
    let told = standing(tx, image).await?;
    Ok(told.map(|(state, finding)| {
        let finding = finding.map(|(version, finding)| (version, finding.label));
        Shown { state, finding }
    }))
}

/// The state and the finding of an image that is locked until the transaction ends, with the version of the finding's model; `None`
/// when there is no image (any more).
pub(in super::super) async fn standing<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
) -> Result<Option<(State, Option<(String, Finding)>)>, DbError> {
    let mut sql = Sql::<D>::new("select state, flag from image where id = $1").bind(image.0);
    sql.push(D::LOCK_ROWS);
    let Some(ShownRow { state, flag }) = sql.optional(tx).await? else { return Ok(None) };
    let of_image = Sql::<D>::new("select model_version, body from finding where image = $1");
    let row: Option<FindingRow> = of_image.bind(image.0).optional(tx).await?;
    let (version, finding) = match row {
        None => (None, Reading::Missing),
        Some(row) => (Some(row.model_version), row.body.reading(|Json(finding)| Some(finding))),
    };
    // As lists and pages tell it: a finding that cannot be read is not shown.
    let state = Reading::known(State::parse(&state));
    let told = Standing::of(state, Reading::Missing, finding, flagged(&flag));
    if told.state == State::Removed {
        return Ok(None);
    }
    Ok(Some((told.state, version.zip(told.finding))))
}

/// The label that a verdict on this comes to, or why it cannot be given.
fn judge(shown: &Shown, new: &NewVerdict) -> Result<Option<Label>, VerdictError> {
    if new.opinion == Opinion::Unreadable {
        let why = "an opinion that could not be read is none to add";
        return Err(PortError::permanent("verdicts: add", why).into());
    }
    let found = match (shown.state, &shown.finding, &new.model_version) {
        (State::Ready, Some((version, label)), Some(named)) if version == named => Some(*label),
        (State::NeedsHuman | State::Failed, None, None) => None,
        _ => return Err(VerdictError::Stale),
    };
    match &new.opinion {
        Opinion::Agree => found.map(Some).ok_or(VerdictError::NothingToAgreeWith),
        Opinion::Disagree { label } => Ok(Some(*label)),
        Opinion::NotAssessable { .. } | Opinion::Unreadable => Ok(None),
    }
}

async fn keep<D: Driver>(
    tx: &mut Tx<D>,
    verdict: &Verdict,
    readers: Readers,
) -> Result<(), DbError> {
    let new = &verdict.verdict;
    let causes = match &new.opinion {
        Opinion::NotAssessable { causes } if !causes.is_empty() => {
            Some(serde_json::json!(causes).to_string())
        }
        _ => None,
    };
    let displayed = serde_json::json!(new.displayed).to_string();
    Sql::<D>::new(
        "insert into verdict
           (id, image, model_version, opinion, label, reason, reader, role, displayed, at, rendering, causes,
            readers_needed)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(verdict.id)
    .bind(new.image.0)
    .bind(new.model_version.clone())
    .bind(new.opinion.word())
    .bind(verdict.label.map(|label| label.word().to_owned()))
    .bind(new.note.0.as_str())
    .bind(new.reader.as_str())
    .bind(new.role.as_str())
    .bind(displayed.as_str())
    .bind(verdict.at.0)
    .bind(new.rendering.clone())
    .bind(causes)
    .bind(i64::from(readers.number()))
    .run(tx)
    .await
    .map(drop)
}

/// Writes the event. Others wait for their turn from here to the end of the transaction.
pub(super) async fn tell<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
    state: State,
    at: Stamp,
) -> Result<(), DbError> {
    let mut sql = Sql::<D>::new("with fresh (image, state, at) as (values ");
    sql.rows([(image.0, state.as_str(), at.0)]);
    sql.push(
        ") insert into event (image, state, at, verdict) select image, state, at, 1 from fresh",
    );
    sql.push(D::EVENT_LOCK);
    sql.run(tx).await.map(drop)
}

#[cfg(test)]
mod tests {
    use lobar_core::verdict::Note;

    use super::*;

    fn verdict(version: Option<&str>, opinion: Opinion) -> NewVerdict {
        NewVerdict {
            image: ImageId(Uuid::nil()),
            model_version: version.map(str::to_owned),
            opinion,
            note: Note::default(),
            reader: "ada".into(),
            role: "doctor".into(),
            displayed: Vec::new(),
            rendering: None,
        }
    }

    #[test]
    fn only_what_is_shown_can_be_judged() {
        let ready = Shown { state: State::Ready, finding: Some(("7".into(), Label::Pneumonia)) };
        let label = |shown: &Shown, version, opinion| judge(shown, &verdict(version, opinion)).ok();
        assert_eq!(label(&ready, Some("7"), Opinion::Agree), Some(Some(Label::Pneumonia)));
        let other = Opinion::Disagree { label: Label::Normal };
        assert_eq!(label(&ready, Some("7"), other.clone()), Some(Some(Label::Normal)));
        assert_eq!(label(&ready, Some("6"), other.clone()), None);
        assert_eq!(label(&ready, None, other.clone()), None);

        let human = Shown { state: State::NeedsHuman, finding: None };
        assert_eq!(label(&human, None, other.clone()), Some(Some(Label::Normal)));
        let refused = judge(&human, &verdict(None, Opinion::Agree));
        assert!(matches!(refused, Err(VerdictError::NothingToAgreeWith)));
        for state in [State::Queued, State::Analysing, State::Superseded] {
            let finding = (state == State::Superseded).then(|| ("7".to_owned(), Label::Normal));
            let shown = Shown { state, finding };
            assert_eq!(label(&shown, None, other.clone()), None, "{state}");
            assert_eq!(label(&shown, Some("7"), other.clone()), None, "{state}");
        }
    }
}
