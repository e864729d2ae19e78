//! PostgreSQL 13 and later: the store and the queues of any number of processes and machines.
//!
//! Two pools. What must last is written through one whose commits wait for the disk; what reads, and the
//! leases and settlements of queues, go through one whose commits do not: a power cut on the server
//! undoes the last of them, and brings messages back, which receivers must bear with anyway.
//!
//! Nothing waits for ever: not for a lock, not for a server that is gone without a word, and not for a
//! process that stopped in the middle of a transaction.
//!
//! What wakes a queue's receivers is carried to other processes by `notify` ([`notify`]), as a hint.

mod deferred;
mod errors;
mod examine;
mod notify;
mod pool;
mod pooler;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, TryFutureExt};
use lobar_core::failure::{Disposition, PortError};
use lobar_core::study::Pattern;
use lobar_core::time::Clock;
use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, Postgres};

use crate::{Db, DbError, Driver, DriverFuture, Query, Relaxed, Script, SqlQueue};

pub use deferred::{Deferred, DeferredError};
pub use examine::examine;
pub use pool::check_url;

/// A database; it is the store.
pub type PgStore = Db<Postgres>;
/// One queue in a database.
pub type PgQueue = SqlQueue<Postgres>;

/// What opening one is called in errors.
const OPEN: &str = "open database";
/// Longer than the server lets a statement run, so that the server's own word comes first.
const ANSWER: Duration = Duration::from_secs(35);

/// The locks of ours, by their second number; the first is the same for all ("LOBA" in ASCII), so that
/// others may use the same database. They are known to one database only.
macro_rules! lock {
    ($number:literal) => {
        concat!("pg_advisory_xact_lock(1280262721, ", $number, ")")
    };
}

impl Driver for Postgres {
    const MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");
    const BEGIN_MIGRATION: &'static str = concat!(
        "begin isolation level read committed; set local statement_timeout = 0; set local lock_timeout = 0; ",
        "set local idle_in_transaction_session_timeout = 0; select ",
        lock!(2)
    );
    // Whatever the server's default: what is read under a lock must be what is there by then.
    const BEGIN: &'static str = "begin isolation level read committed";
    // In the order of ids, so that two statements about the same rows wait for each other, not in a ring.
    const LOCK_ROWS: &'static str = " order by id for update";
    const BY_BYTES: &'static str = " collate \"C\"";
    const GLOB: &'static str = " like ";
    const SKIP_LOCKED: &'static str = " for update skip locked";
    // Numbers are given out above the join, hence after the lock is held, and the lock is let go after
    // the commit is visible.
    const EVENT_LOCK: &'static str = concat!(", (select ", lock!(1), ") as event_lock");
    const JOIN_IN_ORDER: &'static str = " join ";
    const BY_INDEX: Option<&'static str> = None;
    const FOUND_FOR_EACH: [&'static str; 2] =
        [" cross join lateral (select received_at, id from image", ") as found"];
    const RELAXED: Option<Relaxed> = None;

    fn begin_on(groups: &BTreeSet<u16>) -> Script {
        let mut script = String::from(Self::BEGIN);
        for (place, group) in groups.iter().enumerate() {
            let lock = if place == 0 { "; select " } else { ", " };
            let number = 100 + u32::from(*group);
            write!(script, "{lock}pg_advisory_xact_lock(1280262721, {number})")
                .expect("writing to a String cannot fail");
        }
        script.into()
    }

    fn glob(pattern: &Pattern) -> String {
        let escaped = |one| match one {
            '*' => "%".to_owned(),
            '?' => "_".to_owned(),
            '%' | '_' | '\\' => format!("\\{one}"),
            other => String::from(other),
        };
        pattern.as_str().chars().map(escaped).collect()
    }

    fn script(conn: &mut PgConnection, text: Script) -> DriverFuture<'_, ()> {
        // Safe: drivers write it of their own text and of numbers.
        answered(sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).map_ok(drop))
    }

    fn run(conn: &mut PgConnection, query: Query<Self>) -> DriverFuture<'_, u64> {
        answered(query.execute(conn).map_ok(|done| done.rows_affected()))
    }

    fn rows(conn: &mut PgConnection, query: Query<Self>) -> DriverFuture<'_, Vec<PgRow>> {
        answered(query.fetch_all(conn))
    }

    fn disposition(error: &sqlx::Error) -> Disposition {
        errors::disposition(error)
    }

    fn is_conflict(error: &sqlx::Error) -> bool {
        errors::is_conflict(error)
    }

    fn limit(conn: &mut PgConnection, limit: Option<Duration>) -> DriverFuture<'_, ()> {
        let script = match limit {
            // Local to a transaction: a pooler may give the next one to another connection of the server.
            Some(limit) => {
                let limit = limit.as_millis().max(1);
                format!("{}; set local statement_timeout = {limit}", Self::BEGIN)
            }
            None => "commit".to_owned(),
        };
        Self::script(conn, script.into())
    }

    fn is_out_of_time(error: &sqlx::Error) -> bool {
        let code = error.as_database_error().and_then(|error| error.code());
        code.as_deref() == Some("57014")
    }
}

/// Waits for an answer, but not for a server that nobody will hear of again.
fn answered<'a, T: 'a>(
    answer: impl Future<Output = sqlx::Result<T>> + Send + 'a,
) -> BoxFuture<'a, sqlx::Result<T>> {
    async {
        tokio::time::timeout(ANSWER, answer)
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
    }
    .boxed()
}

/// Connects to the database that `url` names, and brings its schema up to date. Deferred migrations are left to [`Deferred`].
///
/// # Errors
/// When it cannot be reached, or is no database of ours. The text holds neither URL nor password.
pub async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<PgStore, PortError> {
    let options = pool::options(url).map_err(|fault| fault.during(OPEN))?;
    pooler::refuse(&options).await?;
    connect(options, clock).await.map_err(|fault| fault.during(OPEN))
}

async fn connect(options: PgConnectOptions, clock: Arc<dyn Clock>) -> Result<PgStore, DbError> {
    let pools = pool::pools(&options);
    let migrated = match Db::migrate(&pools.write).await {
        Ok(migrated) => migrated,
        Err(fault) => return Err(pool::why_not(&options).await.unwrap_or(fault)),
    };
    let db = Db::new(pools, clock, migrated);
    let (notifier, pool) = (db.notifier().clone(), db.pools().read.clone());
    db.run_beside(|closing| notify::run(options, pool, notifier, closing));
    Ok(db)
}
