//! Reading verdicts: of one image, or pages of labels.

use lobar_core::object::ImageId;
use lobar_core::time::Stamp;
use lobar_core::verdict::{LabelKey, Labelled, Verdict};
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{Db, DbError, Driver, Sql};
use super::row::{LabelledRow, VerdictRow};
use super::{IS_NEWEST, IS_SETTLED};

pub(super) async fn of<D: Driver>(db: &Db<D>, image: ImageId) -> Result<Vec<Verdict>, DbError> {
    let rows: Vec<VerdictRow> = db.fetch_all(of_image(image)).await?;
    Ok(rows.into_iter().map(|row| row.verdict(db.unreadable())).collect())
}

/// The same, within a transaction.
pub(super) async fn rows<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
) -> Result<Vec<VerdictRow>, DbError> {
    of_image::<D>(image).all(tx).await
}

fn of_image<D: Driver>(image: ImageId) -> Sql<D> {
    let all = Sql::<D>::new(
        "select verdict.id, image, model_version, opinion, label, reason, verdict.reader, verdict.role,
           displayed, verdict.at, rendering, causes, readers_needed, verdict_withdrawal.at as withdrawn_at
         from verdict left join verdict_withdrawal on verdict_withdrawal.verdict = verdict.id
         where image = $1 order by verdict.at",
    );
    all.bind(image.0)
}

pub(super) async fn labelled<D: Driver>(
    db: &Db<D>,
    after: Option<LabelKey>,
    limit: usize,
) -> Result<Vec<Labelled>, DbError> {
    let mut after = after;
    loop {
        let rows: Vec<LabelledRow> = db.fetch_all(page(after, limit)).await?;
        let Some(last) = rows.last().map(LabelledRow::key) else { return Ok(Vec::new()) };
        let labelled: Vec<Labelled> =
            rows.into_iter().filter_map(|row| row.labelled(db.unreadable())).collect();
        // Nothing is the end of all pages, so a page on which no label can be read is passed over.
        if !labelled.is_empty() {
            return Ok(labelled);
        }
        after = Some(last);
    }
}

pub(super) async fn unseen<D: Driver>(db: &Db<D>) -> Result<u64, DbError> {
    let mut count = Sql::<D>::new(
        "select count(*) from verdict join image on image.id = verdict.image
         where verdict.label is not null and verdict.rendering is null
           and image.state not in ('superseded', 'removed') and ",
    );
    count.push(IS_NEWEST).push(" and ").push(IS_SETTLED);
    let (count,): (i64,) = db.fetch_one(count).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn page<D: Driver>(after: Option<LabelKey>, limit: usize) -> Sql<D> {
    // Nothing comes before the beginning of time.
    let after = after.unwrap_or(LabelKey { at: Stamp(i64::MIN), verdict: Uuid::nil() });
    let mut sql = Sql::<D>::new(
        "select verdict.id as verdict_id, verdict.label, verdict.at, image.id, image.bucket, image.key,
           image.version, image.etag, image.sequencer, image.size, finding.body as finding
         from verdict join image on image.id = verdict.image
           left join finding on finding.image = image.id
         where verdict.label is not null and verdict.rendering is not null and image.state not in ('superseded', 'removed')
           and ",
    );
    sql.push(IS_NEWEST).push(" and ").push(IS_SETTLED).push(" and (verdict.at, verdict.id) > ");
    sql.rows([(after.at.0, after.verdict)]);
    sql.push(" order by verdict.at, verdict.id limit ")
        .arg(i64::try_from(limit).unwrap_or(i64::MAX));
    sql
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

    #[tokio::test]
    async fn a_page_of_labels_reads_an_index_range() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        let after = Some(LabelKey { at: Stamp(7), verdict: Uuid::nil() });
        let plan: Vec<(i64, i64, i64, String)> =
            db.fetch_all(page::<Sqlite>(after, 50).explained()).await.expect("a plan");
        let lines: Vec<String> = plan.into_iter().map(|(.., line)| line).collect();
        assert!(
            lines.iter().any(|line| line.contains("verdict_labels (at>?")
                || line.contains("verdict_labels ((at,id)>(?,?))")),
            "{lines:?}"
        );
        assert!(!lines.iter().any(|line| line.starts_with("SCAN")), "{lines:?}");
        db.close().await;
    }
}
