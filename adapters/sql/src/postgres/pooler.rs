//! Whether a connection is one to a server, or to a pooler that gives each transaction to another one, as PgBouncer does
//! with `pool_mode = transaction`.
//!
//! Such a pooler is refused. What a session is told stays with a server that others are given next: with
//! `synchronous_commit = off`, as readers set it, others' commits would be acknowledged before they are on the disk. Time
//! limits, prepared statements (before PgBouncer 1.21) and LISTEN are lost as well.
//! <https://www.pgbouncer.org/features.html>

use std::time::Duration;

use futures::future::try_join;
use lobar_core::failure::PortError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::OPEN;

/// How long a pooler may take to find a server for two at once; a server itself never does.
const ANSWER: Duration = Duration::from_secs(5);

/// What is said of it.
pub(super) const REFUSED: &str = "a pooler stands between that gives each transaction to another connection \
    (PgBouncer with pool_mode = transaction or statement); settings of a session get lost there, among them whether \
    commits wait for the disk; connect to the server itself, or set pool_mode = session";

/// An error where each transaction gets a server of its own. A connection that fails is not judged.
pub(super) async fn refuse(options: &PgConnectOptions) -> Result<(), PortError> {
    match tokio::time::timeout(ANSWER, shares_servers(options)).await {
        Ok(Ok(true)) => Err(PortError::permanent(OPEN, REFUSED)),
        _ => Ok(()),
    }
}

/// Whether two transactions of one connection can run on two servers: the second one does where another connection
/// holds the server of the first. Of poolers, PgBouncer takes the server that was given back last.
pub(super) async fn shares_servers(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let (mut one, mut other) = try_join(options.connect(), options.connect()).await?;
    // Of no meaning, but a setting of the session: Amazon's RDS Proxy keeps to one server from then on, as it does for
    // every connection of ours.
    for conn in [&mut one, &mut other] {
        sqlx::raw_sql("set lobar.asks = 'who answers'").execute(conn).await?;
    }
    let first = server(&mut one).await?;
    // Simple statements: a pooler may not know prepared ones.
    match sqlx::raw_sql("begin").execute(&mut other).await {
        // PgBouncer's own words; it has no code for it.
        Err(error) if error.to_string().contains("statement pooling mode") => return Ok(true),
        begun => begun?,
    };
    let held = server(&mut other).await?;
    let second = server(&mut one).await?;
    sqlx::raw_sql("rollback").execute(&mut other).await?;
    one.close().await?;
    other.close().await?;
    // The server of one connection is never that of another, unless they share.
    Ok(first != second || first == held)
}

/// The process that serves this transaction.
async fn server(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let rows = sqlx::raw_sql("select pg_backend_pid()").fetch_one(conn).await?;
    rows.try_get(0)
}
