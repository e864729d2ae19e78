//! SQLite: store and queues of one machine.
//!
//! Write-ahead log, so that readers never wait; `synchronous = full`, since an answer given must
//! survive a power cut (queues relax it where nothing is lost). One connection writes, as SQLite has
//! one writer at a time: who waits then stands in the pool's fair queue, while SQLite's own waiting is
//! a polling one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{FutureExt, TryFutureExt};
use lobar_core::failure::{Disposition, PortError};
use lobar_core::retry::Backoff;
use lobar_core::study::Pattern;
use lobar_core::time::Clock;
use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use tokio::time::sleep;

use crate::{Db, DbError, Driver, DriverFuture, Pools, Query, Relaxed, Script, SqlQueue};

/// A database file; it is the store.
pub type SqliteStore = Db<Sqlite>;
/// One queue in a database file.
pub type SqliteQueue = SqlQueue<Sqlite>;

/// Connections that only read.
const READERS: u32 = 4;
/// How long to wait for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);
/// Between two tries to open a file that another process is creating.
const RETRY: Backoff =
    Backoff { first: Duration::from_millis(20), max: Duration::from_millis(500) };

/// Of SQLite's virtual machine, between two looks at the time.
const INSTRUCTIONS: i32 = 10_000;

impl Driver for Sqlite {
    const MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");
    // The write lock at once: a transaction that reads, then writes, fails with SQLITE_BUSY_SNAPSHOT
    // when another wrote in between, and no waiting heals that.
    const BEGIN: &'static str = "begin immediate";
    const BEGIN_MIGRATION: &'static str = Self::BEGIN;
    const LOCK_ROWS: &'static str = "";
    const BY_BYTES: &'static str = "";
    const GLOB: &'static str = " glob ";
    const SKIP_LOCKED: &'static str = "";
    const EVENT_LOCK: &'static str = "";
    const JOIN_IN_ORDER: &'static str = " cross join ";
    // An error, rather than another plan, should the index not be there.
    const BY_INDEX: Option<&'static str> = Some(" indexed by ");
    // It knows no `lateral`; `cross join` keeps the order of its loops.
    const FOUND_FOR_EACH: [&'static str; 2] =
        [" cross join image as found where found.rowid in (select image.rowid from image", ")"];
    const RELAXED: Option<Relaxed> =
        Some(Relaxed { begin: "pragma synchronous = normal", end: "pragma synchronous = full" });

    fn begin_on(_: &BTreeSet<u16>) -> Script {
        Self::BEGIN.into() // nobody else writes meanwhile
    }

    fn glob(pattern: &Pattern) -> String {
        pattern.as_str().replace('[', "[[]")
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
        // Out of memory, I/O error, disk full.
        let passing = matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed)
            || matches!(primary_code(error), Some(7 | 10 | 13));
        if passing || is_busy(error) { Disposition::Transient } else { Disposition::Permanent }
    }

    fn is_conflict(_: &sqlx::Error) -> bool {
        false
    }

    fn limit(conn: &mut SqliteConnection, limit: Option<Duration>) -> DriverFuture<'_, ()> {
        async move {
            let mut handle = conn.lock_handle().await?;
            match limit {
                Some(limit) => {
                    let begun = Instant::now();
                    handle.set_progress_handler(INSTRUCTIONS, move || begun.elapsed() < limit);
                }
                None => handle.remove_progress_handler(),
            }
            Ok(())
        }
        .boxed()
    }

    fn is_out_of_time(error: &sqlx::Error) -> bool {
        primary_code(error) == Some(9) // SQLITE_INTERRUPT
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
        // What is deleted is overwritten with zeros: erased keys do not stay in free pages.
        .pragma("secure_delete", "on")
        .statement_cache_capacity(512);
    let write = pool(1, options.clone().create_if_missing(true)).await?;
    let migrated = Db::migrate(&write).await?;
    let read = pool(READERS, options.read_only(true)).await?;
    Ok(Db::new(Pools { write, read }, clock, migrated))
}

/// A pool whose connections stay open. While another process creates the file, SQLite answers the switch to
/// a write-ahead log with `SQLITE_BUSY` at once, whatever the busy timeout: waiting would be a
/// deadlock (<https://sqlite.org/c3ref/busy_handler.html>). So the waiting is done here.
async fn pool(max_connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool, DbError> {
    let started = Instant::now();
    for attempt in 0.. {
        let pool = SqlitePoolOptions::new().max_connections(max_connections);
        let pool = pool.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        match pool.connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && started.elapsed() < BUSY => {
                sleep(RETRY.delay(attempt, rand::random())).await;
            }
            ended => return ended.map_err(DbError::of::<Sqlite>),
        }
    }
    unreachable!("attempts have no end")
}

/// Whether another connection's lock was in the way.
fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

/// The low byte of a result code, <https://sqlite.org/rescode.html>.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<i32>().ok()? & 0xff)
}
