//! A change's turn: a transaction that holds the one row of `assignment`, so that changes come one after
//! the other and each sees what the one before left. Unique indexes on the active model and on the shadow
//! stand behind it.
//!
//! Activations are a stack: each remembers the one `beneath` it, and the assignment names the one that is
//! `standing`. A rollback goes to what is beneath and leaves the rest of the history as it is.

use lobar_core::model_registry::{Assignment, RegisteredModel, RegistryError};
use lobar_core::time::Stamp;

use super::super::tx::Tx;
use super::super::{Db, Driver, Fault, Sql};
use super::Outcome;
use super::row::{self, ModelRow};

/// See the module's documentation.
pub(super) struct Turn<D: Driver> {
    tx: Tx<D>,
    now: Stamp,
    /// Of the change that this turn makes.
    revision: i64,
    /// The activation that the active model is active by.
    pub(super) standing: Option<i64>,
}

impl<D: Driver> Turn<D> {
    /// Waits until no other change is under way.
    pub(super) async fn begin(db: &Db<D>) -> Result<Self, Fault> {
        let mut tx = db.begin().await?;
        let mut row = Sql::<D>::new("select revision, standing from assignment");
        row.push(D::LOCK_ROWS);
        let (revision, standing): (i64, Option<i64>) = row.one(&mut tx).await?;
        Ok(Self { tx, now: db.now(), revision: revision + 1, standing })
    }

    /// A model as it stands.
    pub(super) async fn model(&mut self, version: &str) -> Result<Option<RegisteredModel>, Fault> {
        let row: Option<ModelRow> = row::of_version::<D>(version).optional(&mut self.tx).await?;
        Ok(row.map(ModelRow::model))
    }

    /// The assignment as it stands.
    pub(super) async fn assignment(&mut self) -> Result<Assignment, Fault> {
        Ok(row::as_assignment(row::assigned::<D>().all(&mut self.tx).await?))
    }

    /// Runs a statement that changes models; it is told the time, as the database keeps it.
    pub(super) async fn change(
        &mut self,
        statement: impl FnOnce(i64) -> Sql<D>,
    ) -> Result<(), Fault> {
        statement(self.now.0).run(&mut self.tx).await.map(drop)
    }

    /// The activation beneath the one that stands, with its model.
    pub(super) async fn beneath(&mut self) -> Result<Option<(i64, String)>, Fault> {
        let found: Vec<(String, i64)> = Sql::<D>::new(
            "select below.version, below.revision from model_change above
             join model_change below on below.revision = above.beneath where above.revision = $1",
        )
        .bind(self.standing)
        .all(&mut self.tx)
        .await?;
        Ok(found.into_iter().next().map(|(version, revision)| (revision, version)))
    }

    /// Keeps what was done, by whom.
    pub(super) async fn note(
        &mut self,
        action: &'static str,
        version: &str,
        by: &str,
    ) -> Result<(), Fault> {
        self.note_over(action, version, by, None).await
    }

    /// Keeps an activation, which now stands over the one before.
    pub(super) async fn note_activation(&mut self, version: &str, by: &str) -> Result<(), Fault> {
        let beneath = self.standing.replace(self.revision);
        self.note_over("activate", version, by, beneath).await
    }

    async fn note_over(
        &mut self,
        action: &'static str,
        version: &str,
        by: &str,
        beneath: Option<i64>,
    ) -> Result<(), Fault> {
        Sql::<D>::new(
            "insert into model_change (revision, action, version, made_by, at, beneath)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.revision)
        .bind(action)
        .bind(version)
        .bind(by)
        .bind(self.now.0)
        .bind(beneath)
        .run(&mut self.tx)
        .await?;
        Sql::<D>::new("update assignment set revision = $1, standing = $2")
            .bind(self.revision)
            .bind(self.standing)
            .run(&mut self.tx)
            .await
            .map(drop)
    }

    /// Ends the turn and makes its change, if it made one, last.
    pub(super) async fn end<T>(self, answer: T) -> Outcome<T> {
        self.tx.commit().await.map(|()| Ok(answer))
    }

    /// Ends the turn with the assignment as it is now.
    pub(super) async fn end_assigned(mut self) -> Outcome<Assignment> {
        let assignment = self.assignment().await?;
        self.end(assignment).await
    }

    /// Ends a turn that changed nothing. It commits only so that its connection can be used again.
    pub(super) async fn refuse<T>(self, refusal: RegistryError) -> Outcome<T> {
        self.tx.commit().await.map(|()| Err(refusal))
    }
}
