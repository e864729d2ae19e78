//! The seam: all that differs between databases.

use futures::future::BoxFuture;
use lobar_core::failure::Disposition;
use lobar_core::finding::Finding;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::types::Json;
use sqlx::{Database, IntoArguments};
use uuid::Uuid;

use super::queue::MessageRow;
use super::statement::{Binds, Reads};
use super::store::{ClaimRow, EventRow, ImageRow, LaneRow};

/// A statement with its arguments. The alias hides a `'static` that would defeat lifetime elision.
pub type Query<D> = sqlx::query::Query<'static, D, <D as Database>::Arguments>;
/// What a driver answers with.
pub type Ran<'a, T> = BoxFuture<'a, sqlx::Result<T>>;

/// The types that may cross (as supertraits, so that `D: Driver` implies them all and no verb needs
/// bounds of its own), then the differences of behaviour.
pub trait Driver:
    Database<Arguments: IntoArguments<Self>, Connection: Migrate>
    + Binds<i64>
    + Binds<f64>
    + Binds<Uuid>
    + for<'a> Binds<&'a str>
    + for<'a> Binds<&'a [u8]>
    + for<'a> Binds<Json<&'a Finding>>
    + Binds<Option<i64>>
    + Binds<Option<String>>
    + Reads<(i64,)>
    + Reads<(Uuid,)>
    + Reads<(String, i64)>
    + Reads<(Uuid, i64)>
    + Reads<(Uuid, String)>
    + Reads<(Uuid, Option<String>)>
    + Reads<(i64, i64, i64, i64, Option<i64>)>
    + Reads<ClaimRow>
    + Reads<EventRow>
    + Reads<ImageRow>
    + Reads<LaneRow>
    + Reads<MessageRow>
{
    /// The schema.
    const MIGRATIONS: Migrator;
    /// Opens a transaction that will write.
    const BEGIN: &'static str;
    /// Ends a `select` whose rows are about to be leased.
    const SKIP_LOCKED: &'static str;
    /// Runs just before events are written, so that they become visible in the order of `seq`;
    /// `None` where writers are serial anyway.
    const LOCK_EVENTS: Option<&'static str>;
    /// Makes a connection's commits survive a power cut, as those of a new connection do.
    const DURABLE: &'static str;
    /// Makes a connection's commits survive the process's end, but not a power cut.
    const RELAXED: &'static str;

    /// Runs a statement; answers how many rows it touched.
    fn run(conn: &mut Self::Connection, query: Query<Self>) -> Ran<'_, u64>;
    /// Runs a statement to its end and answers its rows.
    fn rows(conn: &mut Self::Connection, query: Query<Self>) -> Ran<'_, Vec<Self::Row>>;
    /// What to do after an error.
    fn disposition(error: &sqlx::Error) -> Disposition;
}
