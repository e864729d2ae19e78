//! The audit record: rows that are only added, each with the hash of the one before it.

mod append;
mod prune;
mod read;
mod row;

use async_trait::async_trait;
use lobar_core::audit::{Audit, Checkpoint, Cursor, Entry, Filter, NewEntry};
use lobar_core::failure::PortError;

pub(super) use append::{turn, write};
pub(super) use prune::prune;
pub(super) use row::AuditRow;

use super::{Db, Driver};

#[async_trait]
impl<D: Driver> Audit for Db<D> {
    async fn append(&self, entries: &[NewEntry]) -> Result<(), PortError> {
        let done = self.retry_on_conflict(|| append::append(self, entries)).await;
        done.map_err(|fault| fault.during("audit: append"))
    }

    async fn page(
        &self,
        filter: &Filter,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Vec<Entry>, PortError> {
        read::page(self, filter, cursor, limit).await.map_err(|fault| fault.during("audit: page"))
    }

    async fn newest(&self) -> Result<Checkpoint, PortError> {
        read::newest(self).await.map_err(|fault| fault.during("audit: newest entry"))
    }
}
