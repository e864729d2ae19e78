//! What shadows saw, and how they compare.

use std::collections::BTreeMap;

use lobar_core::model_registry::{Comparison, ShadowFinding};
use uuid::Uuid;

use super::super::verdicts::{IS_NEWEST, IS_SETTLED};
use super::super::{BATCH, Db, DbError, Driver, Sql};

/// Figures of a shadow against one model that was shown.
#[derive(sqlx::FromRow)]
pub struct ComparisonRow {
    shown_version: String,
    images: i64,
    both_flagged: i64,
    only_shadow_flagged: i64,
    only_shown_flagged: i64,
    mean_difference: f64,
    mean_absolute_difference: f64,
    largest_difference: f64,
    verdicts: i64,
    verdicts_for_shadow: i64,
    verdicts_for_shown: i64,
}

pub(super) async fn record<D: Driver>(
    db: &Db<D>,
    findings: &[ShadowFinding],
) -> Result<(), DbError> {
    // In one order for all, so that two workers with the same images do not wait for each other in a ring;
    // the first of two on the same image counts, as it does between workers.
    let mut once = BTreeMap::new();
    for finding in findings {
        once.entry((&finding.version, finding.image)).or_insert(finding);
    }
    if once.is_empty() {
        return Ok(());
    }
    let findings: Vec<&ShadowFinding> = once.into_values().collect();
    let mut tx = db.begin().await?;
    let now = db.now();
    for batch in findings.chunks(BATCH) {
        // Held to the end of the transaction: what erases an image finds what was kept of it, or has left its mark.
        let mut sql = Sql::<D>::new("select id from image where id in (");
        sql.list(batch.iter().map(|finding| finding.image.0)).push(")").push(D::LOCK_ROWS);
        sql.all::<(Uuid,)>(&mut tx).await?;
        let mut sql = Sql::<D>::new("select image from erasure where image in (");
        sql.list(batch.iter().map(|finding| finding.image.0)).push(")");
        let erased = sql.all::<(Uuid,)>(&mut tx).await?;
        let is_there = |finding: &&&ShadowFinding| !erased.contains(&(finding.image.0,));
        let batch: Vec<&ShadowFinding> = batch.iter().filter(is_there).copied().collect();
        if batch.is_empty() {
            continue;
        }
        let mut sql = Sql::<D>::new(
            "insert into shadow_finding (version, image, probability, flagged, shown_version,
               shown_probability, shown_flagged, made_at) values ",
        );
        sql.rows(batch.iter().map(|finding| {
            (
                finding.version.as_str(),
                finding.image.0,
                finding.probability,
                i64::from(finding.flagged),
                finding.shown_version.as_str(),
                finding.shown_probability,
                i64::from(finding.shown_flagged),
                now.0,
            )
        }));
        sql.push(" on conflict (version, image) do nothing");
        sql.run(&mut tx).await?;
    }
    tx.commit().await
}

pub(super) async fn compare<D: Driver>(
    db: &Db<D>,
    version: &str,
) -> Result<Vec<Comparison>, DbError> {
    let mut figures = Sql::<D>::new(
        "select shown_version, count(*) as images,
           cast(sum(flagged * shown_flagged) as bigint) as both_flagged,
           cast(sum(flagged * (1 - shown_flagged)) as bigint) as only_shadow_flagged,
           cast(sum((1 - flagged) * shown_flagged) as bigint) as only_shown_flagged,
           avg(probability - shown_probability) as mean_difference,
           avg(abs(probability - shown_probability)) as mean_absolute_difference,
           max(abs(probability - shown_probability)) as largest_difference,
           count(label) as verdicts,
           cast(sum(case when label is null then 0 when (label = 'PNEUMONIA') = (flagged = 1) then 1
             else 0 end) as bigint) as verdicts_for_shadow,
           cast(sum(case when label is null then 0 when (label = 'PNEUMONIA') = (shown_flagged = 1)
             then 1 else 0 end) as bigint) as verdicts_for_shown
         from shadow_finding left join (
           select verdict.image as labelled, verdict.label from verdict join image on image.id = verdict.image
           where verdict.label is not null and verdict.rendering is not null and ",
    );
    figures.push(IS_NEWEST).push(" and ").push(IS_SETTLED).push(
        ") as newest on newest.labelled = shadow_finding.image
         where version = $1
         group by shown_version order by images desc, shown_version",
    );
    let rows: Vec<ComparisonRow> = db.fetch_all(figures.bind(version)).await?;
    let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
    let comparison = |row: ComparisonRow| Comparison {
        version: version.to_owned(),
        shown_version: row.shown_version,
        images: count(row.images),
        both_flagged: count(row.both_flagged),
        only_shadow_flagged: count(row.only_shadow_flagged),
        only_shown_flagged: count(row.only_shown_flagged),
        mean_difference: row.mean_difference,
        mean_absolute_difference: row.mean_absolute_difference,
        largest_difference: row.largest_difference,
        verdicts: count(row.verdicts),
        verdicts_for_shadow: count(row.verdicts_for_shadow),
        verdicts_for_shown: count(row.verdicts_for_shown),
    };
    Ok(rows.into_iter().map(comparison).collect())
}
