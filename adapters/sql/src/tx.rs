//! Connections that return to the pool only in a clean state.
//!
//! A failed or cancelled statement may leave its connection inside a transaction or with an unread
//! result. Such a connection is closed instead of returned; the server then rolls back.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;

use super::{DbError, Driver, Script};

/// A connection for statements of their own.
pub(super) struct StatementConnection<D: Driver> {
    conn: PoolConnection<D>,
    ended: bool,
}

impl<D: Driver> StatementConnection<D> {
    pub(super) fn new(conn: PoolConnection<D>) -> Self {
        Self { conn, ended: false }
    }

    /// Puts it back if what was done on it has come to its end, be it with an error of a statement.
    pub(super) fn after<T>(mut self, outcome: Result<T, DbError>) -> Result<T, DbError> {
        self.ended = outcome.as_ref().err().is_none_or(|fault| !fault.is_transient());
        outcome
    }
}

/// A transaction. Dropped without a commit, it has not happened.
pub(super) struct Tx<D: Driver>(StatementConnection<D>);

impl<D: Driver> Tx<D> {
    /// Opens one by the statements `begin`.
    pub(super) async fn begin(
        conn: PoolConnection<D>,
        begin: impl Into<Script>,
    ) -> Result<Self, DbError> {
        let mut tx = Self(StatementConnection::new(conn));
        D::script(&mut tx, begin.into()).await.map_err(DbError::of::<D>)?;
        Ok(tx)
    }

    /// Makes it happen. After an error nobody knows whether it did.
    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        D::script(&mut self, "commit".into()).await.map_err(DbError::of::<D>)?;
        self.0.ended = true;
        Ok(())
    }
}

impl<D: Driver> Drop for StatementConnection<D> {
    fn drop(&mut self) {
        if !self.ended {
            self.conn.close_on_drop();
        }
    }
}

impl<D: Driver> Deref for StatementConnection<D> {
    type Target = D::Connection;
    fn deref(&self) -> &D::Connection {
        &self.conn
    }
}

impl<D: Driver> DerefMut for StatementConnection<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.conn
    }
}

impl<D: Driver> Deref for Tx<D> {
    type Target = D::Connection;
    fn deref(&self) -> &D::Connection {
        &self.0
    }
}

impl<D: Driver> DerefMut for Tx<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.0
    }
}
