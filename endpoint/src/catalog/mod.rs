//! The endpoint's database: which buckets, versions, uploads there are, and which files hold them.
//!
//! One connection writes, others read. Every change is atomic, run to its end even when the client
//! goes away, and an event is written with what it tells of. Changes that wait for one another share
//! a transaction ([`group_commit`]), and so the disk's time for it.

mod buckets;
#[cfg(test)]
mod full_disk;
mod group_commit;
mod health;
mod lifecycle;
mod outbox;
mod pages;
mod transaction;
mod uploads;
mod version_writes;
mod versions;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lobar_core::time::{Clock, Stamp};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::bodies::Bodies;
use super::fault::EndpointFault;

pub(super) use buckets::Versioning;
use group_commit::{WriteQueue, WriteTx, discard};
pub(super) use pages::Listed;
pub(super) use uploads::{NewPart, Upload};
pub(super) use versions::{Content, CopyRequest, New, Stored};

/// How many connections read at once.
const READERS: u32 = 4;

/// How long a request waits for a connection before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module's documentation.
pub(super) struct Catalog {
    writer: SqlitePool,
    readers: SqlitePool,
    /// How a reader connects.
    reading: SqliteConnectOptions,
    bodies: Arc<Bodies>,
    tasks: TaskTracker,
    /// Told after each commit that put something into the outbox.
    pub(super) announced: Arc<Notify>,
    /// Changes that wait to be written.
    line: Arc<WriteQueue>,
}

impl Catalog {
    /// Opens or makes the database at `path`.
    pub(super) async fn open(
        path: &Path,
        bodies: Arc<Bodies>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        watched: String,
    ) -> Result<Self, EndpointFault> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // Keys of deleted objects do not stay in free pages.
            .pragma("secure_delete", "on")
            .busy_timeout(Duration::from_secs(10));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone())
            .await?;
        let migrations = sqlx::migrate!("../migrations/objects");
        migrations.run(&writer).await.map_err(sqlx::Error::from)?;
        let reading = options.read_only(true);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .test_before_acquire(false)
            .acquire_timeout(PATIENCE)
            .connect_with(reading.clone())
            .await?;
        let announced = Arc::new(Notify::new());
        let line =
            WriteQueue::new(writer.clone(), bodies.clone(), clock, watched, announced.clone());
        Ok(Self { writer, readers, reading, bodies, tasks, announced, line: Arc::new(line) })
    }

    /// Closes the database: readers first, so that the last one out checkpoints.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Removes what a crash or a client's change of mind left over: uploads begun before `before`,
    /// and bodies that nothing names. Only for the start, before anything is being received.
    pub(super) async fn sweep(&self, before: Stamp) -> Result<usize, EndpointFault> {
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
