//! Connections.

use std::time::Duration;

use futures::future::FutureExt;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions, Connection, Error};

use crate::{DbError, Driver, Pools};

/// Connections of a process whose commits wait for the disk.
pub(super) const WRITERS: u32 = 8;
/// Connections of a process that read, lease and settle.
pub(super) const READERS: u32 = 8;
/// And one that listens.
pub(super) const CONNECTIONS: u32 = WRITERS + READERS + 1;
/// How long to wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is asked first whether it still lives. Under load none is, and
/// nothing is asked.
const IDLE: Duration = Duration::from_secs(1);
/// How long it may take to say that it lives.
const PING: Duration = Duration::from_secs(2);
/// Idle connections are given back after this long.
const UNUSED: Duration = Duration::from_secs(600);

/// What is said of a URL that cannot be read.
const UNREADABLE: &str = "the URL cannot be read; it has the form \
    postgres://USER:PASSWORD@HOST:PORT/DATABASE[?sslmode=MODE], MODE one of disable, allow, prefer, require, \
    verify-ca and verify-full";

/// What the server ends by itself: a process that is frozen in the middle of a transaction holds locks
/// that all others wait for. And how single statements see each other.
macro_rules! session {
    ($more:literal) => {
        concat!(
            "set statement_timeout = '30s'; set lock_timeout = '10s'; ",
            "set idle_in_transaction_session_timeout = '15s'; ",
            "set default_transaction_isolation = 'read committed'",
            $more
        )
    };
}

/// Whether a URL can be read, without connecting.
///
/// # Errors
/// What it should be; never the URL, which may hold a password.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    url.parse::<PgConnectOptions>().map(drop).map_err(|_| UNREADABLE)
}

/// How to connect to what a URL names. TLS is asked for by its `sslmode`.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, DbError> {
    // The parser's own text may quote the URL.
    let unreadable = |_| DbError::of::<Postgres>(Error::Configuration(UNREADABLE.into()));
    let options: PgConnectOptions = url.parse().map_err(unreadable)?;
    let named = options.get_application_name().is_some();
    let options = options.statement_cache_capacity(512);
    Ok(if named { options } else { options.application_name("lobar") })
}

/// Both pools. The commits of the one that reads do not wait for the disk.
pub(super) fn pools(options: &PgConnectOptions) -> Pools<Postgres> {
    Pools {
        write: pool(WRITERS, session!("")).connect_lazy_with(options.clone()),
        read: pool(READERS, session!("; set synchronous_commit = off"))
            .connect_lazy_with(options.clone()),
    }
}

/// Why no connection can be had, where that is the fault: a pool only says that it waited in vain.
pub(super) async fn why_not(options: &PgConnectOptions) -> Option<DbError> {
    let connected = tokio::time::timeout(PING, options.connect()).await.ok()?;
    connected.err().map(DbError::of::<Postgres>)
}

/// A pool of one connection, for a listener.
pub(super) fn listening(options: &PgConnectOptions) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
    pool.idle_timeout(None).max_lifetime(None).connect_lazy_with(options.clone())
}

fn pool(connections: u32, session: &'static str) -> PoolOptions<Postgres> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(UNUSED)
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            async move {
                if meta.idle_for < IDLE {
                    return Ok(true);
                }
                let lives = tokio::time::timeout(PING, conn.ping()).await;
                Ok(matches!(lives, Ok(Ok(()))))
            }
            .boxed()
        })
        .after_connect(|conn, _| Postgres::script(conn, session.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_telling_it() {
        for url in
            ["postgres://lobar:secret@host:notaport/db", "postgres://u:secret@h/d?sslmode=secret"]
        {
            let text = options(url).expect_err("refused").to_string();
            assert!(!text.contains("secret") && text.contains("postgres://USER"), "{text}");
        }
    }

    #[test]
    fn a_name_in_the_url_is_kept() {
        let named = options("postgres://h/d?application_name=north").expect("read");
        assert_eq!(named.get_application_name(), Some("north"));
        let ours = options("postgres://h/d").expect("read");
        assert_eq!(ours.get_application_name(), Some("lobar"));
    }
}
