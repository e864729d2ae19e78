//! The store, the queues, the model registry, the verdicts, the worklist, the batches, the exposure record, the quarantine, the patients, the
//! requests for storage commitment, the accounts and the audit record in SQL, written once for every database.
//!
//! [`driver::Driver`] holds all that differs between databases: a handful of constants, how an error
//! is classed, and the types that may cross. [`statement::Sql`] builds a statement with `$n` arguments
//! on all of them. The verbs are generic over the driver; a vendor's module implements it and opens
//! the pools.
//!
//! Times are integer microseconds and come from the [`Clock`](lobar_core::time::Clock) the database
//! was opened with; leases therefore depend on the clocks of hosts agreeing to well within a lease.

mod accounts;
mod audit;
mod batches;
mod column;
mod commitments;
mod db;
mod driver;
mod error;
mod exposure;
mod notifier;
#[cfg(feature = "postgres")]
pub mod postgres;
mod quarantine;
mod queue;
mod registry;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod statement;
mod store;
mod studies;
mod tx;
mod unreadable;
mod verdicts;
mod worklist;

pub use db::{Db, Pools};
pub use driver::{Driver, DriverFuture, Query, Relaxed, Script};
pub use error::DbError;
pub use notifier::Notifier;
pub use queue::SqlQueue;
pub use statement::{Binds, Reads, Sql};

/// Rows in one statement. Bounds its arguments well under SQLite's limit of 32,766.
const BATCH: usize = 500;
