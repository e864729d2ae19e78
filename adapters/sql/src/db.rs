//! An open database.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lobar_core::store::Held;
use lobar_core::time::{Clock, Stamp};
use sqlx::Pool;
use sqlx::migrate::Migrate;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::tx::{StatementConnection, Tx};
use super::unreadable::Unreadable;
use super::{DbError, Driver, Notifier, Reads, Sql};

/// How often a transaction that was undone because of another one is done again at once.
const MAX_CONFLICT_RETRIES: u32 = 5;

/// How long to wait for what is running when a database is closed.
const CLOSE: Duration = Duration::from_secs(20);

/// Where a database is reached.
pub struct Pools<D: Driver> {
    /// For what must last.
    pub write: Pool<D>,
    /// For what only reads, and for what may be lost in a power cut where [`Driver::RELAXED`] is `None`.
    pub read: Pool<D>,
}

/// A database: where to write, where to read, and what time it is there. It is a
/// [`Store`](lobar_core::store::Store), a [`ModelRegistry`](lobar_core::model_registry::ModelRegistry), the
/// [`Verdicts`](lobar_core::verdict::Verdicts), the [`Quarantine`](lobar_core::quarantine::Quarantine), the
/// [`Commitments`](lobar_core::commitment::Commitments), the [`Accounts`](lobar_core::accounts::Accounts), the
/// [`Audit`](lobar_core::audit::Audit) record, the [`Exposures`](lobar_core::exposure::Exposures) and the
/// [`Worklist`](lobar_core::worklist::Worklist);
/// [`SqlQueue`](super::SqlQueue) makes queues in it.
pub struct Db<D: Driver> {
    pools: Pools<D>,
    clock: Arc<dyn Clock>,
    notifier: Arc<Notifier>,
    migrated: Vec<String>,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Claims whose commit was not answered: nobody knows whether they are held.
    in_doubt: Mutex<Vec<Held>>,
    unreadable: Unreadable,
    /// Whether images with verdicts of earlier releases were looked for by this process.
    verdicts_marked: AtomicBool,
}

impl<D: Driver> Db<D> {
    /// A database that is open. The schema must be there: see [`Db::migrate`], whose answer is
    /// `migrated`.
    pub fn new(pools: Pools<D>, clock: Arc<dyn Clock>, migrated: Vec<String>) -> Self {
        Self {
            pools,
            clock,
            notifier: Arc::default(),
            migrated,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            in_doubt: Mutex::default(),
            unreadable: Unreadable::default(),
            verdicts_marked: AtomicBool::default(),
        }
    }

    /// Brings the schema up to date, in one transaction, so that processes that start together do it
    /// once; answers what it did, by name. A schema that a newer release has expanded is left alone.
    pub async fn migrate(pool: &Pool<D>) -> Result<Vec<String>, DbError> {
        let mut migrations = D::MIGRATIONS;
        migrations.set_ignore_missing(true);
        // The lock that ours takes lasts until the commit, when the next one sees what was done.
        migrations.set_locking(false);
        let failed = |error: sqlx::migrate::MigrateError| DbError::of::<D>(error.into());
        let mut tx = pool.begin_with(D::BEGIN_MIGRATION).await.map_err(DbError::of::<D>)?;
        tx.ensure_migrations_table(&migrations.table_name).await.map_err(failed)?;
        let before = tx.list_applied_migrations(&migrations.table_name).await.map_err(failed)?;
        let before: BTreeSet<i64> = before.iter().map(|applied| applied.version).collect();
        migrations.run_direct(None, &mut *tx, false).await.map_err(failed)?;
        tx.commit().await.map_err(DbError::of::<D>)?;
        let fresh = migrations.iter().filter(|migration| !before.contains(&migration.version));
        Ok(fresh.map(|one| format!("{:04} {}", one.version, one.description)).collect())
    }

    /// The migrations that opening it ran.
    pub fn migrated(&self) -> &[String] {
        &self.migrated
    }

    /// Where it is reached.
    pub fn pools(&self) -> &Pools<D> {
        &self.pools
    }

    /// Wakes receivers of its queues.
    pub fn notifier(&self) -> &Arc<Notifier> {
        &self.notifier
    }

    /// Runs a task that belongs to this database: it is told when to end, and closing waits for it.
    pub fn run_beside<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(self.closing.clone()));
    }

    /// Closes every connection; what is running ends first.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        for pool in [&self.pools.read, &self.pools.write] {
            // A connection whose peer is gone without a word never ends.
            let _ = tokio::time::timeout(CLOSE, pool.close()).await;
        }
    }

    /// What is stored and cannot be read.
    pub(super) fn unreadable(&self) -> &Unreadable {
        &self.unreadable
    }

    /// Whether images with verdicts of earlier releases are marked as read.
    pub(super) fn are_verdicts_marked(&self) -> bool {
        self.verdicts_marked.load(Ordering::Relaxed)
    }

    /// They are.
    pub(super) fn note_verdicts_marked(&self) {
        self.verdicts_marked.store(true, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> Stamp {
        self.clock.now()
    }

    pub(super) async fn begin(&self) -> Result<Tx<D>, DbError> {
        Tx::begin(self.pools.write.acquire().await.map_err(DbError::of::<D>)?, D::BEGIN).await
    }

    /// Begins, and keeps others from admitting or removing objects of these groups of keys.
    pub(super) async fn begin_on(&self, groups: &BTreeSet<u16>) -> Result<Tx<D>, DbError> {
        let conn = self.pools.write.acquire().await.map_err(DbError::of::<D>)?;
        Tx::begin(conn, D::begin_on(groups)).await
    }

    /// Runs a transaction, and again at once when it was undone only because of another one.
    pub(super) async fn retry_on_conflict<T, F>(
        &self,
        transaction: impl Fn() -> F,
    ) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        let mut left = MAX_CONFLICT_RETRIES;
        loop {
            match transaction().await {
                Err(fault) if fault.is_conflict() && left > 0 => left -= 1,
                outcome => return outcome,
            }
        }
    }

    /// Runs one statement that reads.
    pub(super) async fn fetch_all<T>(&self, statement: Sql<D>) -> Result<Vec<T>, DbError>
    where
        D: Reads<T>,
        T: Send,
    {
        let mut conn =
            StatementConnection::new(self.pools.read.acquire().await.map_err(DbError::of::<D>)?);
        let rows = statement.all(&mut conn).await;
        conn.after(rows)
    }

    /// Runs one statement that reads, and is given up when it takes longer ([`DbError::is_out_of_time`]).
    pub(super) async fn fetch_all_within<T>(
        &self,
        limit: Duration,
        statement: Sql<D>,
    ) -> Result<Vec<T>, DbError>
    where
        D: Reads<T>,
        T: Send,
    {
        // Closed, should it be dropped before the limit is taken off.
        let mut conn =
            StatementConnection::new(self.pools.read.acquire().await.map_err(DbError::of::<D>)?);
        D::limit(&mut conn, Some(limit)).await.map_err(DbError::of::<D>)?;
        let rows = statement.all(&mut conn).await;
        D::limit(&mut conn, None).await.map_err(DbError::of::<D>)?;
        conn.after(rows)
    }

    /// Runs one statement that reads, and answers its only row.
    pub(super) async fn fetch_one<T>(&self, statement: Sql<D>) -> Result<T, DbError>
    where
        D: Reads<T>,
        T: Send,
    {
        let row = self.fetch_all(statement).await?.into_iter().next();
        row.ok_or_else(|| DbError::of::<D>(sqlx::Error::RowNotFound))
    }

    /// Runs one statement that writes. It is told the time once it is its turn.
    pub(super) async fn execute<T>(
        &self,
        statement: impl FnOnce(Stamp) -> Sql<D> + Send,
    ) -> Result<Vec<T>, DbError>
    where
        D: Reads<T>,
        T: Send,
    {
        let mut conn =
            StatementConnection::new(self.pools.write.acquire().await.map_err(DbError::of::<D>)?);
        let rows = statement(self.now()).all(&mut conn).await;
        conn.after(rows)
    }

    /// Runs one statement whose loss in a power cut would only have it done again: it need not wait
    /// for the disk. `statement` is told the time once it is its turn.
    pub(super) async fn relaxed<T>(
        &self,
        statement: impl FnOnce(Stamp) -> Sql<D> + Send,
    ) -> Result<Vec<T>, DbError>
    where
        D: Reads<T>,
        T: Send,
    {
        let Some(relaxed) = D::RELAXED else {
            let mut conn = StatementConnection::new(
                self.pools.read.acquire().await.map_err(DbError::of::<D>)?,
            );
            let rows = statement(self.now()).all(&mut conn).await;
            return conn.after(rows);
        };
        let conn = self.pools.write.acquire().await.map_err(DbError::of::<D>)?;
        let mut lax = RelaxedConnection { conn, restored: false };
        Sql::<D>::new(relaxed.begin).run(&mut lax.conn).await?;
        let rows = statement(self.now()).all(&mut lax.conn).await;
        Sql::<D>::new(relaxed.end).run(&mut lax.conn).await?;
        // One whose statement broke off is closed, as everywhere ([`StatementConnection`]).
        lax.restored = rows.as_ref().err().is_none_or(|fault: &DbError| !fault.is_transient());
        rows
    }

    /// The claims that are in doubt.
    pub(super) fn doubts(&self) -> Vec<Held> {
        self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds claims that are in doubt.
    pub(super) fn doubt(&self, claims: impl IntoIterator<Item = Held>) {
        self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner).extend(claims);
    }

    /// Claims that were taken back, or never came about.
    pub(super) fn no_longer_doubt(&self, claims: &[Held]) {
        let mut in_doubt = self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner);
        in_doubt.retain(|claim| !claims.contains(claim));
    }
}

/// A connection that does not wait for the disk. If it is dropped before it does again, it is closed:
/// nobody may take it for a durable one.
struct RelaxedConnection<D: Driver> {
    conn: sqlx::pool::PoolConnection<D>,
    restored: bool,
}

impl<D: Driver> Drop for RelaxedConnection<D> {
    fn drop(&mut self) {
        if !self.restored {
            self.conn.close_on_drop();
        }
    }
}
