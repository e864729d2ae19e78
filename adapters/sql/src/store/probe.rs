//! Rows that mean nothing: whether changes are taken, and whether notifications arrive.

use std::time::Duration;

use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::{Db, DbError, Driver, Sql};

/// The row that is written to find out whether changes are taken.
const WRITTEN: &str = "written";
/// How long a probe that nobody asks for is kept: who sent it waits for minutes.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Writes the row that is there for it.
pub(super) async fn check<D: Driver>(db: &Db<D>) -> Result<(), DbError> {
    write(db, WRITTEN).await
}

pub(super) async fn note<D: Driver>(db: &Db<D>, probe: Uuid) -> Result<(), DbError> {
    write(db, &probe.to_string()).await?;
    let forget = |now: Stamp| {
        let forget = Sql::<D>::new("delete from probe where at < $1 and name <> $2 returning at");
        forget.bind(now.minus(KEPT).0).bind(WRITTEN)
    };
    db.execute::<(i64,)>(forget).await.map(drop)
}

pub(super) async fn take<D: Driver>(db: &Db<D>, probe: Uuid) -> Result<bool, DbError> {
    let probe = probe.to_string();
    let taken = |_: Stamp| {
        let taken = Sql::<D>::new("delete from probe where name = $1 returning at");
        taken.bind(probe.as_str())
    };
    Ok(!db.execute::<(i64,)>(taken).await?.is_empty())
}

async fn write<D: Driver>(db: &Db<D>, name: &str) -> Result<(), DbError> {
    let write = |now: Stamp| {
        let write = Sql::<D>::new(
            "insert into probe (name, at) values ($1, $2)
             on conflict (name) do update set at = excluded.at",
        );
        write.bind(name).bind(now.0)
    };
    db.execute::<(i64,)>(write).await.map(drop)
}
