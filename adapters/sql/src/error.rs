//! An error of a database, classed.

use std::sync::Arc;

use lobar_core::failure::{Disposition, PortError};
use sqlx::migrate::MigrateError;

use super::Driver;

/// What a statement failed with, and what to do about it. Cheap to copy, since every item of a failed
/// batch answers with it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{driver}: {error}")]
pub struct DbError {
    driver: &'static str,
    disposition: Disposition,
    conflict: bool,
    out_of_time: bool,
    error: Arc<sqlx::Error>,
}

impl DbError {
    /// Classes an error of the driver `D`.
    pub fn of<D: Driver>(error: sqlx::Error) -> Self {
        let cause = cause(&error);
        Self {
            driver: D::NAME,
            disposition: D::disposition(cause),
            conflict: D::is_conflict(cause),
            out_of_time: D::is_out_of_time(cause),
            error: Arc::new(error),
        }
    }

    /// Whether trying again may help.
    pub(super) fn is_transient(&self) -> bool {
        self.disposition == Disposition::Transient
    }

    /// Whether it was undone only because of another transaction at the same time: doing it again at
    /// once may succeed.
    pub(super) fn is_conflict(&self) -> bool {
        self.conflict
    }

    /// Whether the statement was given up because it took longer than it may.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.out_of_time
    }

    /// As the port says it; `what` is the operation.
    pub fn during(self, what: &'static str) -> PortError {
        PortError { what, disposition: self.disposition, source: Box::new(self) }
    }
}

/// What went wrong: a migration fails as its statement does, so that a database which takes no changes yet, or goes
/// away meanwhile, is worth another try.
fn cause(error: &sqlx::Error) -> &sqlx::Error {
    let sqlx::Error::Migrate(migrate) = error else { return error };
    match &**migrate {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => cause,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_worth_another_try_when_its_statement_is() {
        let is_transient = |error: MigrateError| {
            DbError::of::<sqlx::Sqlite>(sqlx::Error::Migrate(Box::new(error))).is_transient()
        };
        assert!(is_transient(MigrateError::Execute(sqlx::Error::PoolTimedOut)));
        assert!(is_transient(MigrateError::ExecuteMigration(sqlx::Error::PoolTimedOut, 1)));
        assert!(!is_transient(MigrateError::Execute(sqlx::Error::RowNotFound)));
        assert!(!is_transient(MigrateError::VersionMismatch(1)));
    }
}
