//! What became of the files of batches: read from their images each time.

use std::collections::HashMap;

use lobar_core::batch::{BatchCounts, BatchId};
use lobar_core::image::{Reason, State};
use lobar_core::reading::Reading;
use uuid::Uuid;

use super::super::column::Column;
use super::super::{BATCH, Db, DbError, Driver, Sql};

/// Files of one kind.
#[derive(sqlx::FromRow)]
pub struct CountRow {
    batch: Uuid,
    kind: String,
    state: Option<Column<String>>,
    flag: Option<Column<String>>,
    reason: Option<Column<String>>,
    erased: i64,
    files: i64,
}

/// Counts of these batches; those without files are left out.
pub(super) async fn counts<D: Driver>(
    db: &Db<D>,
    batches: &[BatchId],
) -> Result<HashMap<BatchId, BatchCounts>, DbError> {
    let mut counts: HashMap<BatchId, BatchCounts> = HashMap::new();
    for batch in batches.chunks(BATCH) {
        for row in db.fetch_all::<CountRow>(statement::<D>(batch)).await? {
            row.count(counts.entry(BatchId(row.batch)).or_default());
        }
    }
    Ok(counts)
}

pub(super) fn statement<D: Driver>(batches: &[BatchId]) -> Sql<D> {
    let mut sql = Sql::<D>::new(
        "select batch_file.batch, batch_file.kind, image.state, image.flag, image.reason,
           cast(case when erasure.image is null then 0 else 1 end as bigint) as erased,
           count(*) as files
         from batch_file left join image on image.id = batch_file.image
         left join erasure on erasure.image = batch_file.image
         where batch_file.batch in (",
    );
    sql.list(batches.iter().map(|batch| batch.0)).push(") group by 1, 2, 3, 4, 5, 6");
    sql
}

impl CountRow {
    fn count(&self, counts: &mut BatchCounts) {
        let files = u64::try_from(self.files).unwrap_or(0);
        if self.kind == "duplicate" {
            counts.duplicates += files;
        }
        let Some(state) = &self.state else {
            match (self.kind.as_str(), self.erased > 0) {
                ("put_aside", _) => counts.put_aside += files,
                (_, true) => counts.erased += files,
                (_, false) => counts.arriving += files,
            }
            return;
        };
        let read = state.clone().reading(|word| State::parse(&word));
        let reason = Column::reading_of(self.reason.clone(), |code| Reason::parse(&code));
        let (state, reason) = match (read, reason) {
            (Reading::Read(state), Reading::Read(reason)) => (state, Some(reason)),
            (Reading::Read(state), Reading::Missing) => (state, None),
            // As the images themselves tell it.
            _ => (State::NeedsHuman, Some(Reason::RecordUnreadable)),
        };
        *counts.by_state.entry(state).or_default() += files;
        let flag = self.flag.clone().and_then(|flag| flag.reading(Some).read());
        if state == State::Ready && flag.as_deref() == Some("yes") {
            counts.flagged += files;
        }
        if let (State::NeedsHuman | State::Failed, Some(reason)) = (state, reason) {
            *counts.reasons.entry((state, reason)).or_default() += files;
        }
    }
}
