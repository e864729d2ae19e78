//! Forgetting whose images are: their instances, and what has no images left.

use std::collections::BTreeSet;

use lobar_core::object::ImageId;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql};

/// Nobody's from now on. Only in a transaction that [began](super::begin) so.
pub(in super::super) async fn forget<D: Driver>(
    tx: &mut Tx<D>,
    images: &[ImageId],
) -> Result<(), DbError> {
    for batch in images.chunks(BATCH) {
        let mut sql = Sql::<D>::new("delete from instance where image in (");
        sql.list(batch.iter().map(|id| id.0)).push(") returning series");
        let series = ids(sql, tx).await?;
        if !series.is_empty() {
            let mut sql = Sql::<D>::new("update image set identified = 0 where id in (");
            sql.list(batch.iter().map(|id| id.0)).push(")");
            sql.run(tx).await?;
        }
        prune_series(tx, series).await?;
    }
    Ok(())
}

/// Deletes those of these series that have no images, and what is left without any by that.
pub(super) async fn prune_series<D: Driver>(
    tx: &mut Tx<D>,
    series: BTreeSet<Uuid>,
) -> Result<(), DbError> {
    if series.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "delete from series where not exists (
           select 1 from instance where instance.series = series.id) and id in (",
    );
    sql.list(series).push(") returning study");
    let studies = ids(sql, tx).await?;
    if studies.is_empty() {
        return Ok(());
    }
    // Whom a study was taken from: kept for its way back, and no longer than the study.
    let mut sql = Sql::<D>::new(
        "select patient.id from study_moved join patient on patient.site = study_moved.site
           and patient.issuer = study_moved.issuer and patient.patient_id = study_moved.patient_id
         where study_moved.study in (",
    );
    sql.list(studies.iter().copied()).push(")");
    let mut patients = ids(sql, tx).await?;
    let mut sql = Sql::<D>::new(
        "delete from study where not exists (
           select 1 from series where series.study = study.id) and id in (",
    );
    sql.list(studies).push(") returning patient");
    patients.extend(ids(sql, tx).await?);
    prune_patients(tx, patients).await
}

/// Deletes those of these patients who have no studies, and none that was moved away from them.
pub(super) async fn prune_patients<D: Driver>(
    tx: &mut Tx<D>,
    patients: BTreeSet<Uuid>,
) -> Result<(), DbError> {
    if patients.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "delete from patient where not exists (
           select 1 from study where study.patient = patient.id)
         and not exists (
           select 1 from study_moved where study_moved.site = patient.site
             and study_moved.issuer = patient.issuer
             and study_moved.patient_id = patient.patient_id)
         and id in (",
    );
    sql.list(patients).push(")");
    sql.run(tx).await.map(drop)
}

async fn ids<D: Driver>(sql: Sql<D>, tx: &mut Tx<D>) -> Result<BTreeSet<Uuid>, DbError> {
    Ok(sql.all::<(Uuid,)>(tx).await?.into_iter().map(|(id,)| id).collect())
}
