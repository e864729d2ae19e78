//! An open database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lobar_core::time::{Clock, Stamp};
use sqlx::pool::PoolConnection;
use sqlx::{Pool, Transaction};
use tokio::sync::Notify;

use super::{Driver, Fault, Reads, Sql};

/// A database: where to write, where to read (one pool may serve both), and what time it is there.
/// It is a [`Store`](lobar_core::store::Store); [`SqlQueue`](super::SqlQueue) makes queues in it.
pub struct Db<D: Driver> {
    write: Pool<D>,
    read: Pool<D>,
    clock: Arc<dyn Clock>,
    /// One bell a queue: rung when something is sent to it by this process.
    bells: Mutex<HashMap<String, Arc<Notify>>>,
}

impl<D: Driver> Db<D> {
    /// Puts open pools together. The schema must be there: see [`Db::migrate`].
    pub fn new(write: Pool<D>, read: Pool<D>, clock: Arc<dyn Clock>) -> Self {
        Self { write, read, clock, bells: Mutex::default() }
    }

    /// Brings the schema up to date, in one transaction, so that processes that start together do it
    /// once. A schema that a newer release has expanded is left alone.
    pub async fn migrate(pool: &Pool<D>) -> Result<(), Fault> {
        let mut migrations = D::MIGRATIONS;
        migrations.set_ignore_missing(true);
        let mut tx = pool.begin_with(D::BEGIN).await.map_err(Fault::of::<D>)?;
        let ran = migrations.run_direct(None, &mut *tx, false).await;
        ran.map_err(|error| Fault::of::<D>(error.into()))?;
        tx.commit().await.map_err(Fault::of::<D>)
    }

    /// Closes every connection; what is running ends first.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    pub(super) fn now(&self) -> Stamp {
        self.clock.now()
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, D>, Fault> {
        self.write.begin_with(D::BEGIN).await.map_err(Fault::of::<D>)
    }

    pub(super) async fn commit(&self, tx: Transaction<'static, D>) -> Result<(), Fault> {
        tx.commit().await.map_err(Fault::of::<D>)
    }

    pub(super) async fn writer(&self) -> Result<PoolConnection<D>, Fault> {
        self.write.acquire().await.map_err(Fault::of::<D>)
    }

    /// Runs one statement whose loss in a power cut would only have it done again: it need not wait
    /// for the disk. `statement` is told the time once it is its turn.
    pub(super) async fn relaxed<T>(
        &self,
        statement: impl FnOnce(Stamp) -> Sql<D> + Send,
    ) -> Result<Vec<T>, Fault>
    where
        D: Reads<T>,
        T: Send,
    {
        let mut lax = Lax { conn: self.writer().await?, restored: false };
        Sql::<D>::new(D::RELAXED).run(&mut lax.conn).await?;
        let rows = statement(self.now()).all(&mut lax.conn).await;
        Sql::<D>::new(D::DURABLE).run(&mut lax.conn).await?;
        lax.restored = true;
        rows
    }

    pub(super) async fn reader(&self) -> Result<PoolConnection<D>, Fault> {
        self.read.acquire().await.map_err(Fault::of::<D>)
    }

    pub(super) fn bell(&self, queue: &str) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(queue.to_owned()).or_default().clone()
    }
}

/// A connection that does not wait for the disk. If it is dropped before it does again, it is closed:
/// nobody may take it for a durable one.
struct Lax<D: Driver> {
    conn: PoolConnection<D>,
    restored: bool,
}

impl<D: Driver> Drop for Lax<D> {
    fn drop(&mut self) {
        if !self.restored {
            self.conn.close_on_drop();
        }
    }
}
