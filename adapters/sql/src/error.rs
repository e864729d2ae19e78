//! An error of a database, classed.

use std::sync::Arc;

use lobar_core::failure::{Disposition, PortError};

use super::Driver;

/// What a statement failed with, and what to do about it. Cheap to copy, since every item of a failed
/// batch answers with it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{driver}: {error}")]
pub struct DbError {
    driver: &'static str,
    disposition: Disposition,
    conflict: bool,
    error: Arc<sqlx::Error>,
}

impl DbError {
    /// Classes an error of the driver `D`.
    pub fn of<D: Driver>(error: sqlx::Error) -> Self {
        Self {
            driver: D::NAME,
            disposition: D::disposition(&error),
            conflict: D::is_conflict(&error),
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

    /// As the port says it; `what` is the operation.
    pub fn during(self, what: &'static str) -> PortError {
        PortError { what, disposition: self.disposition, source: Box::new(self) }
    }
}
