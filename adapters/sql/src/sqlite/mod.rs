//! SQLite: store and queues of one machine.
//!
//! Write-ahead log, so that readers never wait; `synchronous = full`, since an answer given must
//! survive a power cut (queues relax it where nothing is lost). One connection writes, as SQLite has one writer at a time: who waits then
//! stands in the pool's fair queue, while SQLite's own waiting is a polling one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{FutureExt, TryFutureExt};
use lobar_core::failure::{Disposition, PortError};
use lobar_core::time::Clock;
use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};

use crate::{Db, DbError, Driver, DriverFuture, Pools, Query, Relaxed, Script, SqlQueue};

/// A database file; it is the store.
pub type SqliteStore = Db<Sqlite>;
/// One queue in a database file.
pub type SqliteQueue = SqlQueue<Sqlite>;

/// Connections that only read.
const READERS: u32 = 4;
/// How long a writer waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

impl Driver for Sqlite {
    const MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");
    // The write lock at once: a transaction that reads, then writes, fails with SQLITE_BUSY_SNAPSHOT
    // when another wrote in between, and no waiting heals that.
    const BEGIN: &'static str = "begin immediate";
    const BEGIN_MIGRATION: &'static str = Self::BEGIN;
    const LOCK_ROWS: &'static str = "";
    const SKIP_LOCKED: &'static str = "";
    const EVENT_LOCK: &'static str = "";
    const RELAXED: Option<Relaxed> =
        Some(Relaxed { begin: "pragma synchronous = normal", end: "pragma synchronous = full" });

    fn begin_on(_: &BTreeSet<u16>) -> Script {
        Self::BEGIN.into() // nobody else writes meanwhile
    }

    fn script(conn: &mut SqliteConnection, text: Script) -> DriverFuture<'_, ()> {
        // Safe: drivers write it of their own text and of numbers.
        sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).map_ok(drop).boxed()
    }

    fn run(conn: &mut SqliteConnection, query: Query<Self>) -> DriverFuture<'_, u64> {
        query.execute(conn).map_ok(|done| done.rows_affected()).boxed()
    }

    fn rows(conn: &mut SqliteConnection, query: Query<Self>) -> DriverFuture<'_, Vec<SqliteRow>> {
        query.fetch_all(conn).boxed()
    }

    fn disposition(error: &sqlx::Error) -> Disposition {
        // The low byte of a result code is the primary one, <https://sqlite.org/rescode.html>:
        // busy, locked, out of memory, I/O error, disk full.
        let passing = match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => {
                let code = error.code().and_then(|code| code.parse::<i32>().ok());
                matches!(code.map(|code| code & 0xff), Some(5 | 6 | 7 | 10 | 13))
            }
            _ => false,
        };
        if passing { Disposition::Transient } else { Disposition::Permanent }
    }

    fn is_conflict(_: &sqlx::Error) -> bool {
        false
    }
}

/// Opens a database file, creates it if it is not there, and brings its schema up to date. Its folder
/// must exist.
///
/// # Errors
/// When the file cannot be opened or is no database of ours.
pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<SqliteStore, PortError> {
    connect(path, clock).await.map_err(|fault| fault.during("open database"))
}

async fn connect(path: &Path, clock: Arc<dyn Clock>) -> Result<SqliteStore, DbError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .pragma("cache_size", "-32768") // KiB
        .statement_cache_capacity(512);
    let pool = || {
        let pool = SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None);
        pool.test_before_acquire(false)
    };
    let create = options.clone().create_if_missing(true);
    let write =
        pool().max_connections(1).connect_with(create).await.map_err(DbError::of::<Sqlite>)?;
    let migrated = Db::migrate(&write).await?;
    let read = pool()
        .max_connections(READERS)
        .connect_with(options.read_only(true))
        .await
        .map_err(DbError::of::<Sqlite>)?;
    Ok(Db::new(Pools { write, read }, clock, migrated))
}
