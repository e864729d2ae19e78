//! Models, changes and the assignment as the database keeps them.

use lobar_core::model_registry::{Assignment, ModelChange, NewModel, RegisteredModel, Stage};
use lobar_core::time::Stamp;
use serde_json::Value;

use super::super::column::Column;
use super::super::{Db, DbError, Driver, Sql};

/// A row of `model`.
#[derive(sqlx::FromRow)]
pub struct ModelRow {
    version: String,
    sha256: String,
    key: String,
    bytes: i64,
    card: Column<String>,
    stage: Column<String>,
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
    card: Option<Column<String>>,
    stage: Option<Column<String>>,
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
    /// The model, which says what of it cannot be read. A stage that this release does not know is told as
    /// retired: it is none in which a model answers.
    pub(super) fn model(self) -> RegisteredModel {
        let card = self.card.reading(|json| serde_json::from_str(&json).ok()).read();
        let stage = self.stage.reading(|word| Stage::parse(&word)).read();
        let parts = [("card", card.is_none()), ("stage", stage.is_none())];
        RegisteredModel {
            stage: stage.unwrap_or(Stage::Retired),
            shadow: self.shadow != 0,
            registered_at: Stamp(self.registered_at),
            changed_at: Stamp(self.changed_at),
            unreadable: parts.iter().filter(|(_, unread)| *unread).map(|(part, _)| *part).collect(),
            model: NewModel {
                card: card.unwrap_or(Value::Null),
                version: self.version,
                sha256: self.sha256,
                key: self.key,
                bytes: u64::try_from(self.bytes).unwrap_or(0),
            },
        }
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

/// Tells an operator what of models cannot be read.
fn tell<D: Driver>(db: &Db<D>, models: &[RegisteredModel]) {
    for model in models {
        for part in &model.unreadable {
            let what = if *part == "card" { "model.card" } else { "model.stage" };
            db.unreadable().tell(what, &model.model.version);
        }
    }
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
pub(super) fn as_assignment(rows: Vec<AssignmentRow>) -> Assignment {
    let mut assignment = Assignment::default();
    for row in rows {
        assignment.revision = row.revision;
        let Some(row) = row.model() else { continue };
        let model = row.model();
        match model.stage {
            Stage::Active => assignment.active = Some(model),
            Stage::Candidate | Stage::Retired => assignment.shadow = Some(model),
        }
    }
    assignment
}

pub(super) async fn models<D: Driver>(db: &Db<D>) -> Result<Vec<RegisteredModel>, DbError> {
    // By version where a clock gave two the same time.
    let all = Sql::<D>::new(
        "select version, sha256, key, bytes, card, stage, shadow, registered_at, changed_at
         from model order by registered_at desc, version desc",
    );
    let rows: Vec<ModelRow> = db.fetch_all(all).await?;
    let models: Vec<RegisteredModel> = rows.into_iter().map(ModelRow::model).collect();
    tell(db, &models);
    Ok(models)
}

pub(super) async fn model<D: Driver>(
    db: &Db<D>,
    version: &str,
) -> Result<Option<RegisteredModel>, DbError> {
    let found: Vec<ModelRow> = db.fetch_all(of_version(version)).await?;
    Ok(found.into_iter().next().map(ModelRow::model))
}

pub(super) async fn assignment<D: Driver>(db: &Db<D>) -> Result<Assignment, DbError> {
    Ok(as_assignment(db.fetch_all(assigned()).await?))
}

pub(super) async fn history<D: Driver>(
    db: &Db<D>,
    limit: usize,
) -> Result<Vec<ModelChange>, DbError> {
    let newest = Sql::<D>::new(
        "select revision, action, version, made_by, at from model_change
         order by revision desc limit $1",
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<ChangeRow> = db.fetch_all(newest.bind(limit)).await?;
    let change = |row: ChangeRow| ModelChange {
        revision: row.revision,
        action: row.action,
        version: row.version,
        by: row.made_by,
        at: Stamp(row.at),
    };
    Ok(rows.into_iter().map(change).collect())
}
