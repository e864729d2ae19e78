//! Models, changes and the assignment as the database keeps them.

use lobar_core::registry::{Assignment, Change, Model, NewModel, Stage};
use lobar_core::time::Stamp;
use serde_json::Value;

use super::super::{Db, Driver, Fault, Sql};

/// A row of `model`.
#[derive(sqlx::FromRow)]
pub struct ModelRow {
    version: String,
    sha256: String,
    key: String,
    bytes: i64,
    card: String,
    stage: String,
    shadow: i64,
    registered_at: i64,
    changed_at: i64,
}

/// The revision with one of the models that it assigns; with none where it assigns none.
#[derive(sqlx::FromRow)]
pub struct AssignmentRow {
    revision: i64,
    version: Option<String>,
    sha256: Option<String>,
    key: Option<String>,
    bytes: Option<i64>,
    card: Option<String>,
    stage: Option<String>,
    shadow: Option<i64>,
    registered_at: Option<i64>,
    changed_at: Option<i64>,
}

/// A row of `model_change`.
#[derive(sqlx::FromRow)]
pub struct ChangeRow {
    revision: i64,
    action: String,
    version: String,
    made_by: String,
    at: i64,
}

impl ModelRow {
    /// The model; fails on words that this release does not know.
    pub(super) fn model<D: Driver>(self) -> Result<Model, Fault> {
        let unreadable = Fault::unreadable::<D>;
        Ok(Model {
            stage: Stage::parse(&self.stage).ok_or_else(|| unreadable("a stored stage"))?,
            shadow: self.shadow != 0,
            registered_at: Stamp(self.registered_at),
            changed_at: Stamp(self.changed_at),
            model: NewModel {
                card: card::<D>(&self.card)?,
                version: self.version,
                sha256: self.sha256,
                key: self.key,
                bytes: u64::try_from(self.bytes).unwrap_or(0),
            },
        })
    }
}

impl AssignmentRow {
    fn model(self) -> Option<ModelRow> {
        Some(ModelRow {
            version: self.version?,
            sha256: self.sha256?,
            key: self.key?,
            bytes: self.bytes?,
            card: self.card?,
            stage: self.stage?,
            shadow: self.shadow?,
            registered_at: self.registered_at?,
            changed_at: self.changed_at?,
        })
    }
}

fn card<D: Driver>(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::unreadable::<D>("a stored model card"))
}

/// The one model of a version, if there is one.
pub(super) fn of_version<D: Driver>(version: &str) -> Sql<D> {
    Sql::new(
        "select version, sha256, key, bytes, card, stage, shadow, registered_at, changed_at
         from model where version = $1",
    )
    .bind(version)
}

/// One statement, so that revision and models are of one moment.
pub(super) fn assigned<D: Driver>() -> Sql<D> {
    Sql::new(
        "select assignment.revision, version, sha256, key, bytes, card, stage, shadow, registered_at,
           changed_at
         from assignment left join model on stage = 'active' or shadow = 1",
    )
}

/// What the rows of [`assigned`] come to.
pub(super) fn as_assignment<D: Driver>(rows: Vec<AssignmentRow>) -> Result<Assignment, Fault> {
    let mut assignment = Assignment::default();
    for row in rows {
        assignment.revision = row.revision;
        let Some(row) = row.model() else { continue };
        let model = row.model::<D>()?;
        match model.stage {
            Stage::Active => assignment.active = Some(model),
            Stage::Candidate | Stage::Retired => assignment.shadow = Some(model),
        }
    }
    Ok(assignment)
}

pub(super) async fn models<D: Driver>(db: &Db<D>) -> Result<Vec<Model>, Fault> {
    // By version where a clock gave two the same time.
    let all = Sql::<D>::new(
        "select version, sha256, key, bytes, card, stage, shadow, registered_at, changed_at
         from model order by registered_at desc, version desc",
    );
    db.ask::<ModelRow>(all).await?.into_iter().map(ModelRow::model::<D>).collect()
}

pub(super) async fn model<D: Driver>(db: &Db<D>, version: &str) -> Result<Option<Model>, Fault> {
    let found: Vec<ModelRow> = db.ask(of_version(version)).await?;
    found.into_iter().next().map(ModelRow::model::<D>).transpose()
}

pub(super) async fn assignment<D: Driver>(db: &Db<D>) -> Result<Assignment, Fault> {
    as_assignment::<D>(db.ask(assigned()).await?)
}

pub(super) async fn history<D: Driver>(db: &Db<D>, limit: usize) -> Result<Vec<Change>, Fault> {
    let newest = Sql::<D>::new(
        "select revision, action, version, made_by, at from model_change
         order by revision desc limit $1",
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<ChangeRow> = db.ask(newest.bind(limit)).await?;
    let change = |row: ChangeRow| Change {
        revision: row.revision,
        action: row.action,
        version: row.version,
        by: row.made_by,
        at: Stamp(row.at),
    };
    Ok(rows.into_iter().map(change).collect())
}
