//! Transactions on connections that return to their pool only when these have ended.
//!
//! SQLite ends a transaction by itself when the disk is full or fails it; what was to end it then fails in its
//! turn. A connection of which it is not known whether it is inside a transaction would fail, or hold an old
//! view of the database, for as long as it lives: such a one is closed, by which SQLite rolls back.

use std::ops::{Deref, DerefMut};

use sqlx::SqliteConnection;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqlitePool};

/// A transaction. Dropped before [`Transaction::commit`], it has not happened.
pub(super) struct Transaction {
    connection: PoolConnection<Sqlite>,
    ended: bool,
}

impl Transaction {
    /// Opens one for reading: everything is seen as of the first read.
    pub(super) async fn read(pool: &SqlitePool) -> Result<Self, sqlx::Error> {
        Self::begin(pool, "begin").await
    }

    /// Opens one for writing, with the write lock.
    pub(super) async fn write(pool: &SqlitePool) -> Result<Self, sqlx::Error> {
        Self::begin(pool, "begin immediate").await
    }

    async fn begin(pool: &SqlitePool, begin: &'static str) -> Result<Self, sqlx::Error> {
        let mut transaction = Self { connection: pool.acquire().await?, ended: false };
        sqlx::query(begin).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Makes it happen. After an error it has not, and the connection is closed.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("commit").execute(&mut *self).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;
    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
