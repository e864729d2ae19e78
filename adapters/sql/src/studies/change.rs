//! What people change of patients: merges, their undoing, corrections, studies of the wrong patient.

use std::collections::BTreeSet;

use lobar_core::access::SiteName;
use lobar_core::audit::NewEntry;
use lobar_core::object::ImageId;
use lobar_core::study::{Changed, Correction, PatientError, PatientId, name_key};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::audit;
use super::super::store::{Changes, state};
use super::super::tx::Tx;
use super::super::{BATCH, Db, DbError, Driver, Sql};
use super::begin;
use super::forget::prune_patients;
use super::keep::{PATIENT, aliases};
use super::person::{describe, fill, take_out};
use super::row::{AliasRow, ChildRow, PatientRow};

type Outcome = Result<Result<Changed, PatientError>, DbError>;

/// Ends a transaction in which nothing was changed, so that its connection can be used again.
async fn refuse<D: Driver>(tx: Tx<D>, why: PatientError) -> Outcome {
    tx.commit().await.map(|()| Err(why))
}

pub(super) async fn merge<D: Driver>(
    db: &Db<D>,
    site: &SiteName,
    (from, into): (&PatientId, &PatientId),
    by: &NewEntry,
) -> Outcome {
    let mut tx = begin(db).await?;
    if from == into {
        return refuse(tx, PatientError::Same).await;
    }
    let target = match alias(&mut tx, site, into).await? {
        Some(alias) => by_uuid(&mut tx, alias.patient).await?,
        None => named(&mut tx, site, into).await?,
    };
    if let Some(alias) = alias(&mut tx, site, from).await? {
        // By somebody before: to the same, or to another, who then is who must be named.
        let done = target.is_some_and(|target| target.id == alias.patient);
        let changed = Changed { patient: alias.patient, images: Vec::new() };
        let answer = if done { Ok(changed) } else { Err(PatientError::Merged) };
        return tx.commit().await.map(|()| answer);
    }
    let Some(source) = named(&mut tx, site, from).await? else {
        return refuse(tx, PatientError::Unknown).await;
    };
    let target = match target {
        // `into` was merged into `from` before.
        Some(target) if target.id == source.id => return refuse(tx, PatientError::Same).await,
        Some(target) => target.id,
        None => make(&mut tx, site, into).await?,
    };
    let now = db.now();
    let mut images = images_of(&mut tx, "study.patient = ", source.id).await?;
    let filled = fill(&mut tx, target, &source).await?;
    if !filled.is_empty() {
        images.extend(images_of(&mut tx, "study.patient = ", target).await?);
    }
    for study in studies_of(&mut tx, source.id).await? {
        give(&mut tx, &study, target).await?;
    }
    for table in ["patient_alias", "patient_before"] {
        let mut sql = Sql::<D>::new("update ");
        sql.push(table).push(" set patient = ").arg(target);
        sql.push(" where patient = ").arg(source.id);
        sql.run(&mut tx).await?;
    }
    let mut sql = Sql::<D>::new(
        "insert into patient_alias
           (site, issuer, patient_id, patient, former, name, birth_date, sex, filled, merged_at)
         values ",
    );
    let (name, birth_date, sex) =
        (source.name.clone(), source.birth_date.clone(), source.sex.clone());
    let (issuer, id) = (from.issuer.as_str(), from.id.as_str());
    let row = (
        site.as_str(),
        issuer,
        id,
        target,
        source.id,
        name,
        birth_date,
        sex,
        filled.as_str(),
        now.0,
    );
    sql.rows([row]);
    sql.run(&mut tx).await?;
    Sql::<D>::new("delete from patient where id = $1").bind(source.id).run(&mut tx).await?;
    let detail = json!({ "change": "merged", "from": source.id, "into": target });
    finish(db, tx, target, images, by, detail).await
}

pub(super) async fn separate<D: Driver>(
    db: &Db<D>,
    site: &SiteName,
    from: &PatientId,
    by: &NewEntry,
) -> Outcome {
    let mut tx = begin(db).await?;
    let Some(alias) = alias(&mut tx, site, from).await? else {
        return refuse(tx, PatientError::Unknown).await;
    };
    Sql::<D>::new("delete from patient_alias where site = $1 and issuer = $2 and patient_id = $3")
        .bind(site.as_str())
        .bind(from.issuer.as_str())
        .bind(from.id.as_str())
        .run(&mut tx)
        .await?;
    let AliasRow { patient, former, name, birth_date, sex, filled, .. } = alias;
    let said = (name.clone(), birth_date.clone(), sex.clone());
    let (at, id) = (Some(site.as_str().to_owned()), Some(from.id.clone()));
    let issuer = from.issuer.clone();
    let restored =
        PatientRow { id: former, site: at, issuer, patient_id: id, name, birth_date, sex };
    insert(&mut tx, &restored).await?;
    let mut images = BTreeSet::new();
    for study in studies_of(&mut tx, patient).await? {
        let mut others = Sql::<D>::new(
            "select instance.image from instance join series on series.id = instance.series
             where series.study = $1 and (instance.given_issuer <> $2
               or instance.given_id is null or instance.given_id <> $3) limit 1",
        );
        others = others.bind(study.id).bind(from.issuer.as_str()).bind(from.id.as_str());
        if others.optional::<(Uuid,)>(&mut tx).await?.is_none() {
            images.extend(images_of(&mut tx, "study.id = ", study.id).await?);
            give(&mut tx, &study, former).await?;
        }
    }
    if take_out(&mut tx, patient, from, &filled, said).await? {
        images.extend(images_of(&mut tx, "study.patient = ", patient).await?);
    }
    prune_patients(&mut tx, BTreeSet::from([patient, former])).await?;
    let detail = json!({ "change": "separated", "from": patient, "into": former });
    finish(db, tx, former, images, by, detail).await
}

pub(super) async fn correct<D: Driver>(
    db: &Db<D>,
    site: &SiteName,
    (id, correction): (&PatientId, &Correction),
    by: &NewEntry,
) -> Outcome {
    let mut tx = begin(db).await?;
    if alias(&mut tx, site, id).await?.is_some() {
        return refuse(tx, PatientError::Merged).await;
    }
    let Some(before) = named(&mut tx, site, id).await? else {
        return refuse(tx, PatientError::Unknown).await;
    };
    let mut fields = Vec::new();
    let mut choose = |field: &'static str, kept: &Option<String>, said: &Option<String>| {
        if said.is_some() && said != kept {
            fields.push(field);
        }
        said.clone().or_else(|| kept.clone())
    };
    let name = choose("name", &before.name, &correction.name);
    let birth_date = choose("birth_date", &before.birth_date, &correction.birth_date);
    let sex = choose("sex", &before.sex, &correction.sex);
    if fields.is_empty() {
        let changed = Changed { patient: before.id, images: Vec::new() };
        return tx.commit().await.map(|()| Ok(changed));
    }
    let images = images_of(&mut tx, "study.patient = ", before.id).await?;
    let mut sql = Sql::<D>::new(
        "insert into patient_before (id, patient, name, birth_date, sex, corrected_at) values ",
    );
    let was = (before.name, before.birth_date, before.sex);
    sql.rows([(Uuid::now_v7(), before.id, was.0, was.1, was.2, db.now().0)]);
    sql.run(&mut tx).await?;
    describe(&mut tx, before.id, (name, birth_date, sex)).await?;
    let detail = json!({ "change": "corrected", "fields": fields });
    finish(db, tx, before.id, images, by, detail).await
}

pub(super) async fn move_study<D: Driver>(
    db: &Db<D>,
    image: ImageId,
    to: &PatientId,
    by: &NewEntry,
) -> Outcome {
    let mut tx = begin(db).await?;
    let of_image = Sql::<D>::new(
        "select study.id, study.patient as parent, study.uid from instance
           join series on series.id = instance.series join study on study.id = series.study
         where instance.image = $1",
    );
    let study: Option<ChildRow> = of_image.bind(image.0).optional(&mut tx).await?;
    let source = match &study {
        Some(study) => by_uuid(&mut tx, study.parent).await?,
        None => None,
    };
    // Of an unknown site nobody knows which patients there are.
    let site = source.as_ref().and_then(|source| SiteName::parse(source.site.as_deref()?));
    let (Some(study), Some(source), Some(site)) = (study, source, site) else {
        return refuse(tx, PatientError::Unknown).await;
    };
    if alias(&mut tx, &site, to).await?.is_some() {
        return refuse(tx, PatientError::Merged).await;
    }
    let target = match named(&mut tx, &site, to).await? {
        Some(target) if target.id == source.id => {
            let changed = Changed { patient: source.id, images: Vec::new() };
            return tx.commit().await.map(|()| Ok(changed));
        }
        Some(target) => target.id,
        None => make(&mut tx, &site, to).await?,
    };
    let images = images_of(&mut tx, "study.id = ", study.id).await?;
    let given = given(&mut tx, study.id, &source).await?;
    let kept = give(&mut tx, &study, target).await?;
    redirect(&mut tx, &site, &study.uid, kept, given.iter().filter(|id| *id != to)).await?;
    Sql::<D>::new(
        "delete from study_moved where site = $1 and issuer = $2 and patient_id = $3 and uid = $4",
    )
    .bind(site.as_str())
    .bind(to.issuer.as_str())
    .bind(to.id.as_str())
    .bind(study.uid.as_str())
    .run(&mut tx)
    .await?;
    prune_patients(&mut tx, BTreeSet::from([source.id])).await?;
    let detail =
        json!({ "change": "study_moved", "study": kept, "from": source.id, "into": target });
    finish(db, tx, target, images, by, detail).await
}

/// Writes the events and the record, and ends.
async fn finish<D: Driver>(
    db: &Db<D>,
    mut tx: Tx<D>,
    patient: Uuid,
    images: BTreeSet<Uuid>,
    by: &NewEntry,
    mut detail: Value,
) -> Outcome {
    detail["images"] = images.len().into();
    let mut entry = by.clone();
    (entry.subject, entry.detail) = (Some(patient), detail);
    let mut changes = Changes::default();
    let ids: Vec<Uuid> = images.into_iter().collect();
    for batch in ids.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select id, state from image where id in (");
        sql.list(batch.iter().copied()).push(")").push(D::LOCK_ROWS);
        for (id, word) in sql.all::<(Uuid, String)>(&mut tx).await? {
            changes.retold(ImageId(id), state(&word));
        }
    }
    let now = db.now();
    if ids.is_empty() {
        audit::turn(&mut tx).await?;
        audit::write(&mut tx, now, &[entry]).await?;
    } else {
        changes.recorded(entry);
        changes.record(&mut tx, now).await?;
    }
    tx.commit().await?;
    Ok(Ok(Changed { patient, images: ids.into_iter().map(ImageId).collect() }))
}

async fn alias<D: Driver>(
    tx: &mut Tx<D>,
    site: &SiteName,
    id: &PatientId,
) -> Result<Option<AliasRow>, DbError> {
    let key = (site.as_str(), id.issuer.as_str(), id.id.as_str());
    Ok(aliases(tx, std::iter::once(key)).await?.into_iter().next())
}

async fn named<D: Driver>(
    tx: &mut Tx<D>,
    site: &SiteName,
    id: &PatientId,
) -> Result<Option<PatientRow>, DbError> {
    let mut sql = Sql::<D>::new(PATIENT);
    sql.push("site = ").arg(site.as_str());
    sql.push(" and issuer = ").arg(id.issuer.as_str());
    sql.push(" and patient_id = ").arg(id.id.as_str());
    sql.optional(tx).await
}

pub(super) async fn by_uuid<D: Driver>(
    tx: &mut Tx<D>,
    id: Uuid,
) -> Result<Option<PatientRow>, DbError> {
    let mut sql = Sql::<D>::new(PATIENT);
    sql.push("id = ").arg(id);
    sql.optional(tx).await
}

/// A patient of an id, of whom nothing else is known.
async fn make<D: Driver>(tx: &mut Tx<D>, site: &SiteName, id: &PatientId) -> Result<Uuid, DbError> {
    let row = PatientRow {
        id: Uuid::now_v7(),
        site: Some(site.as_str().to_owned()),
        issuer: id.issuer.clone(),
        patient_id: Some(id.id.clone()),
        name: None,
        birth_date: None,
        sex: None,
    };
    insert(tx, &row).await?;
    Ok(row.id)
}

async fn insert<D: Driver>(tx: &mut Tx<D>, row: &PatientRow) -> Result<(), DbError> {
    let mut sql = Sql::<D>::new(
        "insert into patient (id, site, issuer, patient_id, name, name_key, birth_date, sex) values ",
    );
    let PatientRow { id, site, issuer, patient_id, name, birth_date, sex } = row;
    let (name, birth_date, sex) = (name.clone(), birth_date.clone(), sex.clone());
    let key = name.as_deref().map(name_key);
    let patient_id = patient_id.clone();
    sql.rows([(*id, site.clone(), issuer.as_str(), patient_id, name, key, birth_date, sex)]);
    sql.run(tx).await.map(drop)
}

async fn studies_of<D: Driver>(tx: &mut Tx<D>, patient: Uuid) -> Result<Vec<ChildRow>, DbError> {
    let sql = Sql::<D>::new("select id, patient as parent, uid from study where patient = $1");
    sql.bind(patient).all(tx).await
}

/// Images of what `which` says.
async fn images_of<D: Driver>(
    tx: &mut Tx<D>,
    which: &'static str,
    id: Uuid,
) -> Result<BTreeSet<Uuid>, DbError> {
    let mut sql = Sql::<D>::new(
        "select instance.image from study join series on series.study = study.id
           join instance on instance.series = series.id where ",
    );
    sql.push(which).arg(id);
    Ok(sql.all::<(Uuid,)>(tx).await?.into_iter().map(|(id,)| id).collect())
}

/// The ids under which further images of a study may come.
async fn given<D: Driver>(
    tx: &mut Tx<D>,
    study: Uuid,
    owner: &PatientRow,
) -> Result<Vec<PatientId>, DbError> {
    let sql = Sql::<D>::new(
        "select distinct instance.given_issuer, instance.given_id from instance
           join series on series.id = instance.series where series.study = $1",
    );
    let rows: Vec<(String, Option<String>)> = sql.bind(study).all(tx).await?;
    let own = (owner.issuer.clone(), owner.patient_id.clone());
    let id = |(issuer, id): (String, Option<String>)| Some(PatientId { issuer, id: id? });
    let mut ids: Vec<PatientId> = rows.into_iter().chain([own]).filter_map(id).collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Gives a study to a patient; answers the study that has its images then: one of the same uid that they had, or itself.
async fn give<D: Driver>(tx: &mut Tx<D>, study: &ChildRow, patient: Uuid) -> Result<Uuid, DbError> {
    let there = Sql::<D>::new(
        "select id, patient as parent, uid from study where patient = $1 and uid = $2",
    );
    let there = there.bind(patient).bind(study.uid.as_str());
    let Some(there) = there.optional::<ChildRow>(tx).await? else {
        let sql = Sql::<D>::new("update study set patient = $1 where id = $2");
        sql.bind(patient).bind(study.id).run(tx).await?;
        return Ok(study.id);
    };
    let series = "select id, study as parent, uid from series where study = $1";
    let theirs: Vec<ChildRow> = Sql::<D>::new(series).bind(there.id).all(tx).await?;
    for one in Sql::<D>::new(series).bind(study.id).all::<ChildRow>(tx).await? {
        let Some(same) = theirs.iter().find(|theirs| theirs.uid == one.uid) else {
            let sql = Sql::<D>::new("update series set study = $1 where id = $2");
            sql.bind(there.id).bind(one.id).run(tx).await?;
            continue;
        };
        fill_series(tx, same.id, one.id).await?;
        let sql = Sql::<D>::new("update instance set series = $1 where series = $2");
        sql.bind(same.id).bind(one.id).run(tx).await?;
        Sql::<D>::new("delete from series where id = $1").bind(one.id).run(tx).await?;
    }
    let sql = Sql::<D>::new("update study_moved set study = $1 where study = $2");
    sql.bind(there.id).bind(study.id).run(tx).await?;
    fill_study(tx, there.id, study.id).await?;
    Sql::<D>::new("delete from study where id = $1").bind(study.id).run(tx).await?;
    Ok(there.id)
}

/// Fills in what a study lacks from one that goes; it has the date that is filled in, or the earlier receipt where neither has one.
async fn fill_study<D: Driver>(tx: &mut Tx<D>, study: Uuid, gone: Uuid) -> Result<(), DbError> {
    let sql = Sql::<D>::new(
        "update study set
            study_id = coalesce(study.study_id, gone.study_id),
            site = coalesce(study.site, gone.site),
            made_at = case when study.made_at is null
                or (study.study_date is null
                  and (gone.study_date is not null or gone.made_at < study.made_at))
                or (study.study_date = gone.study_date and study.study_time is null)
              then gone.made_at else study.made_at end,
            accession = coalesce(study.accession, gone.accession),
            study_date = coalesce(study.study_date, gone.study_date),
            study_time = case when study.study_date is null or study.study_date = gone.study_date
              then coalesce(study.study_time, gone.study_time) else study.study_time end,
            description = coalesce(study.description, gone.description),
            referring_physician = coalesce(study.referring_physician, gone.referring_physician)
          from study as gone where study.id = $1 and gone.id = $2",
    );
    sql.bind(study).bind(gone).run(tx).await.map(drop)
}

/// Fills in what a series lacks from one that goes.
async fn fill_series<D: Driver>(tx: &mut Tx<D>, series: Uuid, gone: Uuid) -> Result<(), DbError> {
    let sql = Sql::<D>::new(
        "update series set
            modality = coalesce(series.modality, gone.modality),
            number = coalesce(series.number, gone.number),
            description = coalesce(series.description, gone.description),
            body_part = coalesce(series.body_part, gone.body_part)
          from series as gone where series.id = $1 and gone.id = $2",
    );
    sql.bind(series).bind(gone).run(tx).await.map(drop)
}

/// What comes of a study under these ids goes to another patient's from now on.
async fn redirect<'a, D: Driver>(
    tx: &mut Tx<D>,
    site: &SiteName,
    uid: &str,
    study: Uuid,
    ids: impl Iterator<Item = &'a PatientId>,
) -> Result<(), DbError> {
    for id in ids {
        let mut sql =
            Sql::<D>::new("insert into study_moved (site, issuer, patient_id, uid, study) values ");
        sql.rows([(site.as_str(), id.issuer.as_str(), id.id.as_str(), uid, study)]);
        sql.push(
            " on conflict (site, issuer, patient_id, uid) do update set study = excluded.study",
        );
        sql.run(tx).await?;
    }
    Ok(())
}
