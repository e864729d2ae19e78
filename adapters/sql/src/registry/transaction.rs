//! A change of the registry: a transaction that holds the one row of `assignment`, so that changes come one after
//! the other and each sees what the one before left. Unique indexes on the active model and on the shadow
//! stand behind it.
//!
//! Activations are a stack: each remembers the one `beneath` it, and the assignment names the one that is
//! `standing`. A rollback goes to what is beneath and leaves the rest of the history as it is.

use lobar_core::model_registry::{Assignment, RegisteredModel, RegistryError};
use lobar_core::time::Stamp;

use super::super::tx::Tx;
use super::super::{Db, DbError, Driver, Sql};
use super::ChangeResult;
use super::row::{self, ModelRow};

/// See the module's documentation.
pub(super) struct RegistryTx<D: Driver> {
    tx: Tx<D>,
    now: Stamp,
    /// Of the change that this transaction makes.
    revision: i64,
    /// The activation that the active model is active by.
    pub(super) standing: Option<i64>,
}

impl<D: Driver> RegistryTx<D> {
    /// Waits until no other change is under way.
    pub(super) async fn begin(db: &Db<D>) -> Result<Self, DbError> {
        let mut tx = db.begin().await?;
        let mut row = Sql::<D>::new("select revision, standing from assignment");
        row.push(D::LOCK_ROWS);
        let (revision, standing): (i64, Option<i64>) = row.one(&mut tx).await?;
        Ok(Self { tx, now: db.now(), revision: revision + 1, standing })
    }

    /// A model as it stands.
    pub(super) async fn model(
        &mut self,
        version: &str,
    ) -> Result<Option<RegisteredModel>, DbError> {
        let row: Option<ModelRow> = row::of_version::<D>(version).optional(&mut self.tx).await?;
        Ok(row.map(ModelRow::model))
    }

    /// The assignment as it stands.
    pub(super) async fn assignment(&mut self) -> Result<Assignment, DbError> {
        Ok(row::as_assignment(row::assigned::<D>().all(&mut self.tx).await?))
    }

    /// Runs a statement that changes models; it is told the time, as the database keeps it.
    pub(super) async fn change(
        &mut self,
        statement: impl FnOnce(i64) -> Sql<D>,
    ) -> Result<(), DbError> {
        statement(self.now.0).run(&mut self.tx).await.map(drop)
    }

    /// The activation beneath the one that stands, with its model.
    pub(super) async fn previous_activation(&mut self) -> Result<Option<(i64, String)>, DbError> {
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
    pub(super) async fn record_change(
        &mut self,
        action: &'static str,
        version: &str,
        by: &str,
    ) -> Result<(), DbError> {
        self.note_over(action, version, by, None).await
    }

    /// Keeps an activation, which now stands over the one before.
    pub(super) async fn record_activation(
        &mut self,
        version: &str,
        by: &str,
    ) -> Result<(), DbError> {
        let beneath = self.standing.replace(self.revision);
        self.note_over("activate", version, by, beneath).await
    }

    async fn note_over(
        &mut self,
        action: &'static str,
        version: &str,
        by: &str,
        beneath: Option<i64>,
    ) -> Result<(), DbError> {
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

    /// Commits, and makes its change, if it made one, last.
    pub(super) async fn commit<T>(self, answer: T) -> ChangeResult<T> {
        self.tx.commit().await.map(|()| Ok(answer))
    }

    /// Commits, with the assignment as it is now.
    pub(super) async fn commit_with_assignment(mut self) -> ChangeResult<Assignment> {
        let assignment = self.assignment().await?;
        self.commit(assignment).await
    }

    /// Ends a transaction that changed nothing. It commits only so that its connection can be used again.
    pub(super) async fn rollback_with<T>(self, refusal: RegistryError) -> ChangeResult<T> {
        self.tx.commit().await.map(|()| Err(refusal))
    }
}
