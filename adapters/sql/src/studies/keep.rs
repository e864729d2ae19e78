//! Writing whose images are, with their outcome.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lobar_core::audit::Digest;
use lobar_core::object::ImageId;
use lobar_core::study::{
    ANOTHER_PERSON, Attributes, Patient, PatientId, Uids, made_at, may_be_family, name_key,
};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql};
use super::children::{Child, series, studies};
use super::row::{AliasRow, MovedRow, PatientRow};
use super::versions::{Displaced, decide};

/// An image that is finished, of which something is known.
pub(in super::super) struct Seen<'a> {
    pub(in super::super) image: ImageId,
    pub(in super::super) site: Option<&'a str>,
    pub(in super::super) received_at: Stamp,
    /// Of its bytes.
    pub(in super::super) sha256: Option<Digest>,
    pub(in super::super) attributes: &'a Attributes,
}

/// What keeping it came to.
#[derive(Default)]
pub(in super::super) struct Kept {
    /// Images that are superseded as they are finished, with the reason in words.
    pub(in super::super) ends: BTreeMap<ImageId, &'static str>,
    /// Warnings of the others, and further ones of images finished earlier.
    pub(in super::super) warnings: BTreeMap<ImageId, BTreeSet<String>>,
    /// Images finished earlier that are superseded.
    pub(in super::super) displaced: Vec<Displaced>,
}

/// An id within a site, as the image names it.
pub(super) type Given<'a> = (&'a str, &'a str, &'a str);

impl Seen<'_> {
    /// Site, issuer and id of its patient; `None` for one who is of this image alone.
    fn given(&self) -> Option<Given<'_>> {
        let PatientId { issuer, id } = &self.attributes.patient.id;
        let site = self.site.filter(|_| !id.is_empty())?;
        Some((site, issuer, id))
    }
}

/// Keeps it. Only in a transaction that [began](super::begin) so.
pub(in super::super) async fn keep<D: Driver>(
    tx: &mut Tx<D>,
    seen: &[Seen<'_>],
) -> Result<Kept, DbError> {
    let mut kept = Kept::default();
    for seen in seen.chunks(BATCH) {
        let finished: BTreeSet<ImageId> = seen.iter().map(|one| one.image).collect();
        let mut sql = Sql::<D>::new("select image from instance where image in (");
        sql.list(finished.iter().map(|id| id.0)).push(")");
        let known: HashSet<Uuid> =
            sql.all::<(Uuid,)>(tx).await?.into_iter().map(|(id,)| id).collect();
        let fresh: Vec<&Seen<'_>> =
            seen.iter().filter(|one| !known.contains(&one.image.0)).collect();
        let mut persons = BTreeSet::new();
        let places = places(tx, &fresh, &mut persons).await?;
        insert(tx, &fresh, &places).await?;
        let mut versions = decide(tx, &finished).await?;
        for image in persons {
            versions.warnings.entry(image).or_default().insert(ANOTHER_PERSON);
        }
        for (image, before) in &versions.replaces {
            let sql = Sql::<D>::new(
                "update instance set replaces = $1 where image = $2 and replaces is null",
            );
            sql.bind(Some(before.0)).bind(image.0).run(tx).await?;
        }
        for (image, further) in versions.warnings {
            let warnings = versions.kept.entry(image).or_default();
            let before = warnings.len();
            warnings.extend(further.into_iter().map(str::to_owned));
            if warnings.len() > before {
                let words: Vec<&str> = warnings.iter().map(String::as_str).collect();
                let sql = Sql::<D>::new("update instance set warnings = $1 where image = $2");
                sql.bind(words.join(" ").as_str()).bind(image.0).run(tx).await?;
                kept.warnings.insert(image, warnings.clone());
            }
        }
        // An image that is finished again has the warnings of before.
        let again = versions
            .kept
            .into_iter()
            .filter(|(image, words)| finished.contains(image) && !words.is_empty());
        kept.warnings.extend(again);
        kept.ends.extend(versions.ends);
        kept.displaced.extend(versions.displaced);
    }
    Ok(kept)
}

/// An image's series and the uid of its instance.
struct Place {
    series: Uuid,
    uid: String,
}

/// Finds or makes the patient, the study and the series of each image.
async fn places<D: Driver>(
    tx: &mut Tx<D>,
    seen: &[&Seen<'_>],
    others: &mut BTreeSet<ImageId>,
) -> Result<HashMap<ImageId, Place>, DbError> {
    if seen.is_empty() {
        return Ok(HashMap::new());
    }
    let uids: Vec<Uids> =
        seen.iter().map(|one| Uids::of(one.image, one.site, one.attributes)).collect();
    let moved = moved(tx, seen, &uids).await?;
    let of_moved = |one: &Seen<'_>, uids: &Uids| {
        let (site, issuer, id) = one.given()?;
        let key = [site, issuer, id, uids.study.as_str()].map(str::to_owned);
        moved.get(&key).copied()
    };
    let mut placed: Vec<(&Seen<'_>, &Uids, Option<Uuid>)> = Vec::new();
    placed.extend(seen.iter().zip(&uids).map(|(one, uids)| (*one, uids, of_moved(one, uids))));

    let unmoved: Vec<&Seen<'_>> =
        placed.iter().filter(|(.., study)| study.is_none()).map(|(one, ..)| *one).collect();
    let patients = patients(tx, &unmoved, others).await?;
    let children = placed.iter().filter_map(|(one, uids, study)| match study {
        Some(_) => None,
        None => Some(Child::new(*patients.get(&one.image)?, uids.study.as_str(), one)),
    });
    let studies = studies(tx, children.collect()).await?;
    let study = |one: &Seen<'_>, uids: &Uids, moved: Option<Uuid>| {
        let of_patient = || {
            let name = (*patients.get(&one.image)?, uids.study.as_str().to_owned());
            studies.get(&name).copied()
        };
        moved.or_else(of_patient)
    };
    let children = placed.iter().filter_map(|(one, uids, moved)| {
        Some(Child::new(study(one, uids, *moved)?, uids.series.as_str(), one))
    });
    let series = series(tx, children.collect()).await?;
    let place = |(one, uids, moved): (&Seen<'_>, &Uids, Option<Uuid>)| {
        let name = (study(one, uids, moved)?, uids.series.as_str().to_owned());
        let uid = uids.instance.as_str().to_owned();
        Some((one.image, Place { series: *series.get(&name)?, uid }))
    };
    Ok(placed.into_iter().filter_map(place).collect())
}

/// Studies that were moved away from the patients that these images name.
async fn moved<D: Driver>(
    tx: &mut Tx<D>,
    seen: &[&Seen<'_>],
    uids: &[Uids],
) -> Result<HashMap<[String; 4], Uuid>, DbError> {
    let keys: BTreeSet<(&str, &str, &str, &str)> = seen
        .iter()
        .zip(uids)
        .filter_map(|(one, uids)| {
            let (site, issuer, id) = one.given()?;
            Some((site, issuer, id, uids.study.as_str()))
        })
        .collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::<D>::new(
        "select site, issuer, patient_id, uid, study from study_moved
         where (site, issuer, patient_id, uid) in (values ",
    );
    sql.rows(keys).push(")");
    let rows: Vec<MovedRow> = sql.all(tx).await?;
    let row = |row: MovedRow| ([row.site, row.issuer, row.patient_id, row.uid], row.study);
    Ok(rows.into_iter().map(row).collect())
}

/// Finds or makes the patient of each image.
async fn patients<D: Driver>(
    tx: &mut Tx<D>,
    seen: &[&Seen<'_>],
    others: &mut BTreeSet<ImageId>,
) -> Result<HashMap<ImageId, Uuid>, DbError> {
    let (mut found, mut new) = (HashMap::new(), Vec::new());
    let mut known: BTreeMap<Given<'_>, Patient> = BTreeMap::new();
    for one in seen {
        match one.given() {
            Some(given) => {
                let said = &one.attributes.patient;
                let known = known.entry(given).or_insert_with(|| said.clone());
                fill(&mut known.name, &said.name);
                fill(&mut known.birth_date, &said.birth_date);
                fill(&mut known.sex, &said.sex);
            }
            None => new.push((Uuid::now_v7(), *one)),
        }
    }
    let mut rows: HashMap<[String; 3], PatientRow> = HashMap::new();
    if !known.is_empty() {
        for alias in aliases(tx, known.keys().copied()).await? {
            let key = [alias.site, alias.issuer, alias.patient_id];
            known.retain(|given, _| *given != (&*key[0], &*key[1], &*key[2]));
            let mut sql = Sql::<D>::new(PATIENT);
            sql.push("id = ").arg(alias.patient);
            rows.extend(sql.optional::<PatientRow>(tx).await?.map(|row| (key, row)));
        }
    }
    if !known.is_empty() {
        for row in upsert(tx, &known).await? {
            let id = row.patient_id.clone().unwrap_or_default();
            let key = [row.site.clone().unwrap_or_default(), row.issuer.clone(), id];
            rows.insert(key, row);
        }
    }
    for one in seen {
        let Some((site, issuer, id)) = one.given() else { continue };
        let Some(row) = rows.get(&[site, issuer, id].map(str::to_owned)) else { continue };
        let said = &one.attributes.patient;
        let differ = |kept: &Option<String>, said: &Option<String>| {
            kept.is_some() && said.is_some() && kept != said
        };
        let named_otherwise = match (&row.name, &said.name) {
            (Some(kept), Some(said)) => !may_be_family(kept, said),
            _ => false,
        };
        if named_otherwise
            || differ(&row.birth_date, &said.birth_date)
            || differ(&row.sex, &said.sex)
        {
            others.insert(one.image);
        }
        found.insert(one.image, row.id);
    }
    if !new.is_empty() {
        let mut sql = Sql::<D>::new(INSERT_PATIENT);
        sql.rows(new.iter().map(|(id, one)| {
            let patient = &one.attributes.patient;
            // Without a site an id says nothing; it is kept to be shown.
            let said = Some(patient.id.id.clone()).filter(|id| !id.is_empty());
            let site = one.site.filter(|_| said.is_none()).map(str::to_owned);
            let (name, birth_date) = (patient.name.clone(), patient.birth_date.clone());
            let issuer = patient.id.issuer.as_str();
            let key = name.as_deref().map(name_key);
            (*id, site, issuer, said, name, key, birth_date, patient.sex.clone())
        }));
        sql.run(tx).await?;
        found.extend(new.into_iter().map(|(id, one)| (one.image, id)));
    }
    Ok(found)
}

const INSERT_PATIENT: &str =
    "insert into patient (id, site, issuer, patient_id, name, name_key, birth_date, sex) values ";

/// The beginning of a question for patients.
pub(super) const PATIENT: &str =
    "select id, site, issuer, patient_id, name, birth_date, sex from patient where ";

/// Those of these ids that were merged into another patient's.
pub(super) async fn aliases<'a, D: Driver>(
    tx: &mut Tx<D>,
    ids: impl Iterator<Item = Given<'a>>,
) -> Result<Vec<AliasRow>, DbError> {
    let mut sql = Sql::<D>::new(
        "select site, issuer, patient_id, patient, former, name, birth_date, sex, filled
         from patient_alias where (site, issuer, patient_id) in (values ",
    );
    sql.rows(ids).push(")");
    sql.all(tx).await
}

/// What is said first stands.
pub(super) fn fill<T: Clone>(known: &mut Option<T>, said: &Option<T>) {
    if known.is_none() {
        known.clone_from(said);
    }
}

/// Makes patients of these ids, or fills in what was missing of those that are there.
async fn upsert<D: Driver>(
    tx: &mut Tx<D>,
    known: &BTreeMap<Given<'_>, Patient>,
) -> Result<Vec<PatientRow>, DbError> {
    let mut sql = Sql::<D>::new(INSERT_PATIENT);
    sql.rows(known.iter().map(|((site, issuer, id), patient)| {
        let (site, id) = (Some((*site).to_owned()), Some((*id).to_owned()));
        let (name, birth_date) = (patient.name.clone(), patient.birth_date.clone());
        let key = name.as_deref().map(name_key);
        (Uuid::now_v7(), site, *issuer, id, name, key, birth_date, patient.sex.clone())
    }));
    sql.push(
        " on conflict (site, issuer, patient_id) do update set
            name = coalesce(patient.name, excluded.name),
            name_key = coalesce(patient.name_key, excluded.name_key),
            birth_date = coalesce(patient.birth_date, excluded.birth_date),
            sex = coalesce(patient.sex, excluded.sex)
          returning id, site, issuer, patient_id, name, birth_date, sex",
    );
    sql.all(tx).await
}

async fn insert<D: Driver>(
    tx: &mut Tx<D>,
    seen: &[&Seen<'_>],
    places: &HashMap<ImageId, Place>,
) -> Result<(), DbError> {
    let rows: Vec<_> =
        seen.iter().filter_map(|one| Some((*one, places.get(&one.image)?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::<D>::new(
        "insert into instance (image, series, uid, site, given_issuer, given_id, given_name,
           given_birth_date, given_sex, made_at, sha256, sop_class, transfer_syntax, number, view_position, acquired_date, acquired_time,
           pixel_rows, pixel_columns, bits_stored, photometric_interpretation, frames,
           burned_in_annotation, patient_age) values ",
    );
    sql.rows(rows.into_iter().map(|(one, place)| {
        let Attributes { patient, study, instance, .. } = one.attributes;
        let made = made_at(study.date.as_deref(), study.time.as_deref())
            .or_else(|| made_at(instance.date.as_deref(), instance.time.as_deref()));
        let uid =
            |uid: &Option<lobar_core::study::Uid>| uid.as_ref().map(|uid| uid.as_str().to_owned());
        (
            one.image.0,
            place.series,
            place.uid.as_str(),
            one.site.map(str::to_owned),
            patient.id.issuer.as_str(),
            Some(patient.id.id.clone()).filter(|id| !id.is_empty()),
            patient.name.clone(),
            patient.birth_date.clone(),
            patient.sex.clone(),
            made.unwrap_or(one.received_at).0,
            one.sha256.map(|digest| digest.0.to_vec()),
            uid(&instance.class),
            uid(&instance.transfer_syntax),
            instance.number.map(i64::from),
            instance.view_position.clone(),
            instance.date.clone(),
            instance.time.clone(),
            instance.rows.map(i64::from),
            instance.columns.map(i64::from),
            instance.bits_stored.map(i64::from),
            instance.photometric_interpretation.clone(),
            instance.frames.map(i64::from),
            instance.burned_in_annotation.map(i64::from),
            patient.age.clone(),
        )
    }));
    sql.run(tx).await?;
    let mut sql = Sql::<D>::new("update image set identified = 1 where id in (");
    sql.list(seen.iter().map(|one| one.image.0)).push(")");
    sql.run(tx).await.map(drop)
}
