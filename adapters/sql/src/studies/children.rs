//! Studies of patients and series of studies: found by their uid, or made.

use std::collections::{BTreeMap, HashMap};

use lobar_core::study::{Attributes, Series, Study, made_at};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{DbError, Driver, Sql};
use super::keep::{Seen, fill};
use super::row::ChildRow;

/// One of them as an image says it.
pub(super) struct Child<'a> {
    parent: Uuid,
    uid: &'a str,
    seen: &'a Seen<'a>,
}

impl<'a> Child<'a> {
    pub(super) fn new(parent: Uuid, uid: &'a str, seen: &'a Seen<'a>) -> Self {
        Self { parent, uid, seen }
    }
}

/// What they are known by: their parent and their uid.
pub(super) type Name = (Uuid, String);

/// Each once, with what each image says of it: a statement must not meet a row twice.
fn distinct<'a, T: Clone>(
    children: Vec<Child<'a>>,
    of: fn(&Attributes) -> &T,
    fill: fn(&mut T, &T),
) -> BTreeMap<(Uuid, &'a str), T> {
    let mut distinct = BTreeMap::new();
    for child in children {
        let said = of(child.seen.attributes);
        let known = distinct.entry((child.parent, child.uid)).or_insert_with(|| said.clone());
        fill(known, said);
    }
    distinct
}

fn fill_study(known: &mut Study, said: &Study) {
    fill(&mut known.id, &said.id);
    fill(&mut known.accession, &said.accession);
    fill(&mut known.date, &said.date);
    fill(&mut known.time, &said.time);
    fill(&mut known.description, &said.description);
    fill(&mut known.referring_physician, &said.referring_physician);
}

fn fill_series(known: &mut Series, said: &Series) {
    fill(&mut known.modality, &said.modality);
    fill(&mut known.number, &said.number);
    fill(&mut known.description, &said.description);
    fill(&mut known.body_part, &said.body_part);
}

pub(super) async fn studies<D: Driver>(
    tx: &mut Tx<D>,
    children: Vec<Child<'_>>,
) -> Result<HashMap<Name, Uuid>, DbError> {
    let mut received: BTreeMap<(Uuid, &str), (Option<&str>, Stamp)> = BTreeMap::new();
    for Child { parent, uid, seen } in &children {
        let first = received.entry((*parent, *uid)).or_insert((seen.site, seen.received_at));
        first.1 = first.1.min(seen.received_at);
    }
    let children = distinct(children, |said| &said.study, fill_study);
    if children.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::<D>::new(
        "insert into study (id, patient, uid, study_id, accession, study_date, study_time,
           description, referring_physician, site, made_at) values ",
    );
    sql.rows(children.iter().map(|((patient, uid), study)| {
        let (site, first) = received.get(&(*patient, *uid)).copied().unwrap_or_default();
        let made = made_at(study.date.as_deref(), study.time.as_deref()).unwrap_or(first);
        (
            Uuid::now_v7(),
            *patient,
            *uid,
            study.id.clone(),
            study.accession.clone(),
            study.date.clone(),
            study.time.clone(),
            study.description.clone(),
            study.referring_physician.clone(),
            site.map(str::to_owned),
            made.0,
        )
    }));
    sql.push(
        " on conflict (patient, uid) do update set
            study_id = coalesce(study.study_id, excluded.study_id),
            made_at = case when study.made_at is null
                or (study.study_date is null and excluded.study_date is not null)
                or (study.study_date = excluded.study_date and study.study_time is null)
              then excluded.made_at else study.made_at end,
            accession = coalesce(study.accession, excluded.accession),
            study_date = coalesce(study.study_date, excluded.study_date),
            study_time = coalesce(study.study_time, excluded.study_time),
            description = coalesce(study.description, excluded.description),
            referring_physician = coalesce(study.referring_physician, excluded.referring_physician)
          returning id, patient as parent, uid",
    );
    found(sql, tx).await
}

pub(super) async fn series<D: Driver>(
    tx: &mut Tx<D>,
    children: Vec<Child<'_>>,
) -> Result<HashMap<Name, Uuid>, DbError> {
    let children = distinct(children, |said| &said.series, fill_series);
    if children.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::<D>::new(
        "insert into series (id, study, uid, modality, number, description, body_part) values ",
    );
    sql.rows(children.iter().map(|((study, uid), series)| {
        (
            Uuid::now_v7(),
            *study,
            *uid,
            series.modality.clone(),
            series.number.map(i64::from),
            series.description.clone(),
            series.body_part.clone(),
        )
    }));
    sql.push(
        " on conflict (study, uid) do update set
            modality = coalesce(series.modality, excluded.modality),
            number = coalesce(series.number, excluded.number),
            description = coalesce(series.description, excluded.description),
            body_part = coalesce(series.body_part, excluded.body_part)
          returning id, study as parent, uid",
    );
    found(sql, tx).await
}

async fn found<D: Driver>(sql: Sql<D>, tx: &mut Tx<D>) -> Result<HashMap<Name, Uuid>, DbError> {
    let rows: Vec<ChildRow> = sql.all(tx).await?;
    Ok(rows.into_iter().map(|row| ((row.parent, row.uid), row.id)).collect())
}
