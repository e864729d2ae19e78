//! The driver trait: what differs between PostgreSQL and SQLite.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use lobar_core::failure::Disposition;
use lobar_core::finding::Finding;
use lobar_core::study::Pattern;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::types::Json;
use sqlx::{Database, IntoArguments};
use uuid::Uuid;

use super::accounts::{AccountRow, SessionRow, SignedInRow, SiteRow, TokenRow};
use super::audit::AuditRow;
use super::batches::{BatchRow, CountRow, FailedRow};
use super::commitments::CommitmentRow;
use super::exposure::{CaseRow, ExposureRow, OpinionRow};
use super::quarantine::{EntryRow, KeptRow};
use super::queue::{DeadRow, MessageRow};
use super::registry::{AssignmentRow, ChangeRow, ComparisonRow, ModelRow};
use super::statement::{Binds, Reads};
use super::store::{ClaimRow, ErasedRow, EventRow, ImageRow, ObjectRow, StoredRow, TombstoneRow};
use super::studies::{
    AliasRow, ChildRow, GivenRow, IdentityRow, MovedRow, PatientRow, PlaceRow, SeriesRow,
    SiblingRow,
};
use super::verdicts::{FindingRow, LabelledRow, ShownRow, VerdictRow};
use super::worklist::{LookRow, ReadingClaimRow, ReadingRow, WaitingRow};

/// A statement with its arguments. The alias hides a `'static` that would defeat lifetime elision.
pub type Query<D> = sqlx::query::Query<'static, D, <D as Database>::Arguments>;
/// Statements without arguments.
pub type Script = Cow<'static, str>;
/// What a driver answers with.
pub type DriverFuture<'a, T> = BoxFuture<'a, sqlx::Result<T>>;

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
    + Binds<Option<Uuid>>
    + Binds<Option<String>>
    + Binds<Option<Vec<u8>>>
    + Reads<(i64,)>
    + Reads<(i64, i64)>
    + Reads<(i64, Option<i64>)>
    + Reads<(i64, i64, Option<i64>)>
    + Reads<(i64, Vec<u8>)>
    + Reads<(Uuid,)>
    + Reads<(String, i64)>
    + Reads<(String, Option<String>)>
    + Reads<(Uuid, i64)>
    + Reads<(i64, Uuid, Uuid)>
    + Reads<(Uuid, String)>
    + Reads<(Uuid, String, String)>
    + Reads<(Uuid, String, i64)>
    + Reads<(Uuid, Option<String>)>
    + Reads<(Uuid, Option<String>, Option<String>)>
    + Reads<(Uuid, String, Option<String>)>
    + Reads<(Uuid, i64, String, Option<String>, i64)>
    + Reads<(Uuid, String, String, String, Option<String>)>
    + Reads<(String, String, i64)>
    + Reads<(String, Option<i64>, Option<i64>)>
    + Reads<(String, String, String, i64)>
    + Reads<(Option<i64>, Option<i64>)>
    + Reads<(i64, i64, i64, i64, Option<i64>)>
    + Reads<AccountRow>
    + Reads<AliasRow>
    + Reads<AssignmentRow>
    + Reads<AuditRow>
    + Reads<BatchRow>
    + Reads<CaseRow>
    + Reads<ChildRow>
    + Reads<ChangeRow>
    + Reads<ClaimRow>
    + Reads<CommitmentRow>
    + Reads<ComparisonRow>
    + Reads<CountRow>
    + Reads<DeadRow>
    + Reads<EntryRow>
    + Reads<ErasedRow>
    + Reads<EventRow>
    + Reads<ExposureRow>
    + Reads<FailedRow>
    + Reads<FindingRow>
    + Reads<GivenRow>
    + Reads<IdentityRow>
    + Reads<ImageRow>
    + Reads<KeptRow>
    + Reads<LabelledRow>
    + Reads<MessageRow>
    + Reads<ModelRow>
    + Reads<MovedRow>
    + Reads<OpinionRow>
    + Reads<ObjectRow>
    + Reads<PatientRow>
    + Reads<PlaceRow>
    + Reads<SeriesRow>
    + Reads<SessionRow>
    + Reads<ShownRow>
    + Reads<SignedInRow>
    + Reads<SiteRow>
    + Reads<SiblingRow>
    + Reads<StoredRow>
    + Reads<TokenRow>
    + Reads<TombstoneRow>
    + Reads<VerdictRow>
    + Reads<LookRow>
    + Reads<ReadingRow>
    + Reads<ReadingClaimRow>
    + Reads<WaitingRow>
{
    /// The schema.
    const MIGRATIONS: Migrator;
    /// Opens a transaction that will change the schema, as the only one that does.
    const BEGIN_MIGRATION: &'static str;
    /// Opens a transaction that will write.
    const BEGIN: &'static str;
    /// Ends a `select` whose rows are about to be changed, so that nobody changes them first.
    const LOCK_ROWS: &'static str;
    /// Behind a column of text: compared by its bytes, whatever the database's language is.
    const BY_BYTES: &'static str;
    /// Between a text and a pattern of [`Driver::glob`].
    const GLOB: &'static str;
    /// Ends a `select` whose rows are about to be leased.
    const SKIP_LOCKED: &'static str;
    /// A table of one row, after a comma, to be read before events are numbered: reading it waits until
    /// every transaction that numbered events has ended, so that events become visible in the order of
    /// `seq`. Empty where writers are serial anyway.
    const EVENT_LOCK: &'static str;
    /// Joins rows of `image`, as `found`, to what stands before it: those that a subquery on `image` finds for each row
    /// of that. What stands before the subquery's condition, and after its end.
    const FOUND_FOR_EACH: [&'static str; 2];
    /// An inner join whose left side is read first, where the planner would not see by itself that this is cheaper.
    const JOIN_IN_ORDER: &'static str;
    /// Before the name of the index that a table is read by, where the planner would rather read all of it and sort. `None`
    /// where it sees by itself that a page of what is ordered already is cheaper.
    const BY_INDEX: Option<&'static str>;
    /// How a connection stops and begins again to wait for the disk; `None` where the pool that reads
    /// never waits for it.
    const RELAXED: Option<Relaxed>;
    /// Opens a transaction in which nobody else admits or removes objects of these groups of keys. The
    /// groups come in ascending order, which keeps two transactions from waiting for each other.
    fn begin_on(groups: &BTreeSet<u16>) -> Script;
    /// A pattern in the database's own words.
    fn glob(pattern: &Pattern) -> String;
    /// Runs statements without arguments, in one exchange.
    fn script(conn: &mut Self::Connection, text: Script) -> DriverFuture<'_, ()>;
    /// Runs a statement; answers how many rows it touched.
    fn run(conn: &mut Self::Connection, query: Query<Self>) -> DriverFuture<'_, u64>;
    /// Runs a statement to its end and answers its rows.
    fn rows(conn: &mut Self::Connection, query: Query<Self>) -> DriverFuture<'_, Vec<Self::Row>>;
    /// What to do after an error.
    fn disposition(error: &sqlx::Error) -> Disposition;
    /// Whether the transaction was undone only because of another one at the same time.
    fn is_conflict(error: &sqlx::Error) -> bool;
    /// From here on statements that read are given up when they take longer; with `None` that ends. It may be a transaction.
    fn limit(conn: &mut Self::Connection, limit: Option<Duration>) -> DriverFuture<'_, ()>;
    /// Whether the statement was given up by [`Driver::limit`].
    fn is_out_of_time(error: &sqlx::Error) -> bool;
}

/// See [`Driver::RELAXED`].
#[derive(Clone, Copy, Debug)]
pub struct Relaxed {
    /// From now on commits survive the process's end, but not a power cut.
    pub begin: &'static str,
    /// From now on commits survive a power cut, as those of a new connection do.
    pub end: &'static str,
}
