//! The contracts on SQLite and PostgreSQL, and what PostgreSQL brings beside them: migrations, plans, the
//! order of commits among many processes, and the faults that a server of its own can have.

#![allow(clippy::disallowed_methods)] // the tasks that a test spawns end before it does
#![allow(clippy::print_stdout)] // counters and figures are to be read

mod account_plans;
mod claims;
mod examine;
mod full;
mod in_doubt;
mod load;
mod migrations;
mod order;
mod plans;
mod pooler;
mod postgres_contract;
mod scale;
mod search;
mod sqlite_contract;
mod sqlite_scale;
mod worklist;

use std::sync::Arc;

use lobar_core::time::SystemClock;
use lobar_sql::postgres::{self, PgStore};

/// A database as another process would open it.
async fn open(url: &str) -> Arc<PgStore> {
    Arc::new(postgres::open(url, Arc::new(SystemClock)).await.expect("opens"))
}
