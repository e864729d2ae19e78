//! Migrations that take long on large tables: run by an operator's `lobar migrate` beside the running
//! system, never at start. See migrations/README.md for their rules.
//!
//! Each statement runs on its own, outside a transaction, as `create index concurrently` asks for. What
//! was interrupted is begun again from its first statement; a table remembers what has come to its end.

use std::time::Duration;

use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::PgStore;

/// Held by the session that runs them, so that there is one. Nobody waits for it: a session that waits
/// for a lock holds a snapshot, and `create index concurrently` waits for every snapshot.
const LOCK: &str = "select pg_try_advisory_lock(1280262721, 3)";
const SESSION: &str = "set statement_timeout = 0; set lock_timeout = 0";
const TABLE: &str = "create table if not exists deferred_migration (
    version     bigint not null constraint deferred_migration_pk primary key,
    description text   not null,
    checksum    bytea  not null,
    started_at  timestamptz not null,
    finished_at timestamptz
)";
/// How long to try to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// A set of deferred migrations.
pub struct Deferred(Migrator);

/// Why they could not be run.
#[derive(Debug, thiserror::Error)]
pub enum DeferredError {
    /// Another process is at it.
    #[error("another process is running deferred migrations; look again when it has ended")]
    Busy,
    /// A file that was run has been edited since.
    #[error("deferred migration {0} was run in another form: its file must not be edited")]
    Edited(String),
    /// One of its statements failed; the next run begins it again.
    #[error("deferred migration {name}, statement {statement}: {error}")]
    Failed {
        /// Which.
        name: String,
        /// Which statement, from 1.
        statement: usize,
        /// What the server said.
        error: sqlx::Error,
    },
    /// The database could not be asked.
    #[error("deferred migrations: {0}")]
    Database(#[from] sqlx::Error),
}

impl Deferred {
    /// Those of this release.
    pub fn of_this_release() -> Self {
        Self(sqlx::migrate!("../../migrations/postgres/deferred"))
    }

    /// Others, for tests.
    pub fn new(migrations: Vec<Migration>) -> Self {
        Self(Migrator::with_migrations(migrations))
    }

    /// The names of those that have not come to their end.
    ///
    /// # Errors
    /// When the database cannot be asked, or a file that was run has been edited.
    pub async fn pending(&self, db: &PgStore) -> Result<Vec<String>, DeferredError> {
        let mut conn = connect(&db.pools().write).await?;
        let pending = self.rest_names(&mut conn).await?;
        conn.close().await?;
        Ok(pending)
    }

    /// Runs those that are pending; answers their names.
    ///
    /// # Errors
    /// See [`DeferredError`]. What has come to its end stays.
    pub async fn run(&self, db: &PgStore) -> Result<Vec<String>, DeferredError> {
        let mut conn = connect(&db.pools().write).await?;
        // The lock ends with the session.
        if self.rest(&mut conn).await?.is_empty() {
            return Ok(Vec::new());
        }
        let (alone,): (bool,) = sqlx::query_as(LOCK).fetch_one(&mut conn).await?;
        if !alone {
            return Err(DeferredError::Busy);
        }
        sqlx::raw_sql(TABLE).execute(&mut conn).await?;
        let mut ran = Vec::new();
        for migration in self.rest(&mut conn).await? {
            run(&mut conn, migration).await?;
            ran.push(name(migration));
        }
        conn.close().await?;
        Ok(ran)
    }

    /// The names of those that have not come to their end, asked over a connection of the caller's.
    pub(super) async fn rest_names(
        &self,
        conn: &mut PgConnection,
    ) -> Result<Vec<String>, DeferredError> {
        Ok(self.rest(conn).await?.into_iter().map(name).collect())
    }

    async fn rest(&self, conn: &mut PgConnection) -> Result<Vec<&Migration>, DeferredError> {
        let (begun,): (bool,) =
            sqlx::query_as("select to_regclass('deferred_migration') is not null")
                .fetch_one(&mut *conn)
                .await?;
        let mut done: Vec<(i64, Vec<u8>)> = Vec::new();
        if begun {
            done = sqlx::query_as(
                "select version, checksum from deferred_migration where finished_at is not null",
            )
            .fetch_all(conn)
            .await?;
        }
        let mut rest = Vec::new();
        for migration in self.0.iter() {
            match done.iter().find(|(version, _)| *version == migration.version) {
                None => rest.push(migration),
                Some((_, checksum)) if *checksum == *migration.checksum => {}
                Some(_) => return Err(DeferredError::Edited(name(migration))),
            }
        }
        Ok(rest)
    }
}

async fn connect(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    let options = pool.connect_options();
    let mut conn = tokio::time::timeout(CONNECT, options.connect()).await.map_err(late)??;
    sqlx::raw_sql(SESSION).execute(&mut conn).await?;
    Ok(conn)
}

async fn run(conn: &mut PgConnection, migration: &Migration) -> Result<(), DeferredError> {
    sqlx::query(
        "insert into deferred_migration (version, description, checksum, started_at)
         values ($1, $2, $3, clock_timestamp())
         on conflict (version) do update
         set checksum = excluded.checksum, started_at = excluded.started_at",
    )
    .bind(migration.version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .execute(&mut *conn)
    .await?;
    for (place, statement) in statements(migration.sql.as_str()).into_iter().enumerate() {
        // Safe: a file of ours.
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *conn).await;
        done.map_err(|error| {
            let name = name(migration);
            DeferredError::Failed { name, statement: place + 1, error }
        })?;
    }
    sqlx::query("update deferred_migration set finished_at = clock_timestamp() where version = $1")
        .bind(migration.version)
        .execute(conn)
        .await?;
    Ok(())
}

/// The statements of a file: each ends at a semicolon that ends its line.
fn statements(text: &str) -> Vec<String> {
    let (mut statements, mut statement) = (Vec::new(), String::new());
    for line in text.lines().filter(|line| !line.trim_start().starts_with("--")) {
        statement.push_str(line);
        statement.push('\n');
        if line.trim_end().ends_with(';') {
            statements.push(std::mem::take(&mut statement));
        }
    }
    statements.push(statement);
    statements.retain(|statement| !statement.trim().is_empty());
    statements
}

fn name(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_into_its_statements() {
        let text = "-- why; because\ndrop index concurrently if exists a;\n\ncreate index\n  a on b (c);\n";
        assert_eq!(
            statements(text),
            ["drop index concurrently if exists a;\n", "\ncreate index\n  a on b (c);\n"]
        );
        assert!(statements("-- nothing yet\n").is_empty());
    }
}
