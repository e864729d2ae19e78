//! The endpoint's database: which buckets, versions, uploads there are, and which files hold them.
//!
//! One connection writes, others read. Every change is one transaction, run to its end even when
//! the client goes away, and an event is written in the transaction of what it tells of.

mod buckets;
mod outbox;
mod pages;
mod uploads;
mod versions;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use lobar_core::time::{Clock, Stamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::bodies::Bodies;
use super::fault::Fault;

pub(super) use buckets::Versioning;
pub(super) use pages::Listed;
pub(super) use uploads::{NewPart, Upload};
pub(super) use versions::{Content, New, Source, Stored};

/// How many connections read at once.
const READERS: u32 = 4;

/// How long a request waits for a connection before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module's documentation.
pub(super) struct Catalog {
    writer: SqlitePool,
    readers: SqlitePool,
    bodies: Arc<Bodies>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    /// Told after each commit that put something into the outbox.
    pub(super) announced: Arc<Notify>,
    /// The bucket whose changes are announced.
    watched: String,
}

impl Catalog {
    /// Opens or makes the database at `path`.
    pub(super) async fn open(
        path: &Path,
        bodies: Arc<Bodies>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        watched: String,
    ) -> Result<Self, Fault> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone())
            .await?;
        let migrations = sqlx::migrate!("../migrations/objects");
        migrations.run(&writer).await.map_err(|error| Fault::Database(error.into()))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .connect_with(options.read_only(true))
            .await?;
        let announced = Arc::new(Notify::new());
        Ok(Self { writer, readers, bodies, clock, tasks, announced, watched })
    }

    /// Closes the database: readers first, so that the last one out checkpoints.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Runs `work` as one transaction. `fresh` are bodies that it is to make visible; when it
    /// fails, those that nothing names are removed, and so are bodies that it released.
    async fn write<T, F>(&self, fresh: Vec<Uuid>, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Change) -> BoxFuture<'c, Result<T, Fault>> + Send + 'static,
    {
        let (writer, bodies) = (self.writer.clone(), self.bodies.clone());
        let (announced, now, watched) =
            (self.announced.clone(), self.clock.now(), self.watched.clone());
        let task = self.tasks.spawn(async move {
            let outcome = transact(&writer, now, watched, work).await;
            let (answer, unused, tell) = match outcome {
                Ok((value, released, tell)) => (Ok(value), released, tell),
                Err(fault) => (Err(fault), fresh, false),
            };
            if tell {
                announced.notify_one();
            }
            if !unused.is_empty()
                && let Err(error) = discard(&writer, &bodies, unused).await
            {
                tracing::warn!(%error, "embedded S3: unused bodies stay until the next start");
            }
            answer
        });
        task.await?
    }

    /// Removes what a crash or a client's change of mind left over: uploads begun before `before`,
    /// and bodies that nothing names. Only for the start, before anything is being received.
    pub(super) async fn sweep(&self, before: Stamp) -> Result<usize, Fault> {
        sqlx::query("delete from upload where created_at < ?")
            .bind(before.0)
            .execute(&self.writer)
            .await?;
        let bodies = self.bodies.clone();
        let folders = tokio::task::spawn_blocking(move || bodies.folders()).await??;
        let mut removed = 0;
        for folder in folders {
            let ids = tokio::task::spawn_blocking({
                let folder = folder.clone();
                move || Bodies::ids(&folder)
            });
            removed += discard(&self.writer, &self.bodies, ids.await??).await?;
            tokio::task::spawn_blocking(move || Bodies::tidy(&folder)).await?;
        }
        Ok(removed)
    }
}

/// A transaction under way.
struct Change {
    transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
    now: Stamp,
    watched: String,
    released: Vec<Uuid>,
    tell: bool,
}

impl Change {
    fn sql(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

async fn transact<T, F>(
    writer: &SqlitePool,
    now: Stamp,
    watched: String,
    work: F,
) -> Result<(T, Vec<Uuid>, bool), Fault>
where
    F: for<'c> FnOnce(&'c mut Change) -> BoxFuture<'c, Result<T, Fault>>,
{
    let transaction = writer.begin_with("begin immediate").await?;
    let mut change = Change { transaction, now, watched, released: Vec::new(), tell: false };
    let value = work(&mut change).await?;
    change.transaction.commit().await?;
    Ok((value, change.released, change.tell))
}

/// Removes those of `bodies` that no row names, and says how many there were.
async fn discard(
    writer: &SqlitePool,
    bodies: &Arc<Bodies>,
    mut candidates: Vec<Uuid>,
) -> Result<usize, Fault> {
    let mut connection = writer.acquire().await?;
    let mut named = Vec::new();
    for body in &candidates {
        let found: bool = sqlx::query_scalar(
            "select exists (select 1 from segment where body = ?1)
                 or exists (select 1 from part where body = ?1)",
        )
        .bind(body)
        .fetch_one(&mut *connection)
        .await?;
        if found {
            named.push(*body);
        }
    }
    drop(connection);
    candidates.retain(|body| !named.contains(body));
    let bodies = bodies.clone();
    tokio::task::spawn_blocking(move || {
        for body in &candidates {
            bodies.remove(*body)?;
        }
        Ok(candidates.len())
    })
    .await?
}
