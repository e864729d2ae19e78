//! How a patient is called, and what merges change of it.

use std::collections::BTreeSet;

use lobar_core::study::{PatientId, name_key};
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{DbError, Driver, Sql};
use super::change::by_uuid;
use super::keep;
use super::row::{GivenRow, PatientRow};

/// Name, birth date and sex.
pub(super) type Person = (Option<String>, Option<String>, Option<String>);

pub(super) async fn describe<D: Driver>(
    tx: &mut Tx<D>,
    id: Uuid,
    (name, birth_date, sex): Person,
) -> Result<(), DbError> {
    let key = name.as_deref().map(name_key);
    Sql::<D>::new(
        "update patient set name = $1, name_key = $2, birth_date = $3, sex = $4 where id = $5",
    )
    .bind(name)
    .bind(key)
    .bind(birth_date)
    .bind(sex)
    .bind(id)
    .run(tx)
    .await
    .map(drop)
}

/// What was missing of a patient, from another who turned out to be the same; answers what that was, in words.
pub(super) async fn fill<D: Driver>(
    tx: &mut Tx<D>,
    id: Uuid,
    from: &PatientRow,
) -> Result<String, DbError> {
    let Some(PatientRow { mut name, mut birth_date, mut sex, .. }) = by_uuid(tx, id).await? else {
        return Ok(String::new());
    };
    let mut filled = Vec::new();
    for (field, kept, said) in [
        ("name", &mut name, &from.name),
        ("birth_date", &mut birth_date, &from.birth_date),
        ("sex", &mut sex, &from.sex),
    ] {
        if kept.is_none() && said.is_some() {
            filled.push(field);
            kept.clone_from(said);
        }
    }
    if !filled.is_empty() {
        describe(tx, id, (name, birth_date, sex)).await?;
    }
    Ok(filled.join(" "))
}

/// Takes what a merge filled in out of a patient again, where nobody corrected it since: what their own images say comes in
/// its place. Answers whether that changed anything.
pub(super) async fn take_out<D: Driver>(
    tx: &mut Tx<D>,
    patient: Uuid,
    from: &PatientId,
    filled: &str,
    said: Person,
) -> Result<bool, DbError> {
    let left = by_uuid(tx, patient).await?.filter(|_| !filled.is_empty());
    let Some(PatientRow { issuer, patient_id, mut name, mut birth_date, mut sex, .. }) = left
    else {
        return Ok(false);
    };
    let ids = Sql::<D>::new("select issuer, patient_id from patient_alias where patient = $1");
    let ids: Vec<(String, Option<String>)> = ids.bind(patient).all(tx).await?;
    let mut own: BTreeSet<(String, Option<String>)> = ids.into_iter().collect();
    own.insert((issuer, patient_id));
    own.remove(&(from.issuer.clone(), Some(from.id.clone())));
    let given = Sql::<D>::new(
        "select instance.given_issuer, instance.given_id, instance.given_name,
           instance.given_birth_date, instance.given_sex
         from study join series on series.study = study.id
           join instance on instance.series = series.id join image on image.id = instance.image
         where study.patient = $1 order by image.received_at, image.id",
    );
    let mut first: Person = (None, None, None);
    for row in given.bind(patient).all::<GivenRow>(tx).await? {
        if own.contains(&(row.given_issuer, row.given_id)) {
            keep::fill(&mut first.0, &row.given_name);
            keep::fill(&mut first.1, &row.given_birth_date);
            keep::fill(&mut first.2, &row.given_sex);
        }
    }
    let mut changed = false;
    for (field, kept, said, own) in [
        ("name", &mut name, said.0, first.0),
        ("birth_date", &mut birth_date, said.1, first.1),
        ("sex", &mut sex, said.2, first.2),
    ] {
        if *kept == said && *kept != own && filled.split(' ').any(|word| word == field) {
            *kept = own;
            changed = true;
        }
    }
    if changed {
        describe(tx, patient, (name, birth_date, sex)).await?;
    }
    Ok(changed)
}
