//! Erasure: rows of images become tombstones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use lobar_core::access::SiteName;
use lobar_core::audit::{Action, NewEntry};
use lobar_core::erasure::{
    ErasureOrder, ErasureReason, Erasures, Mentions, ObjectSelector, Tombstone,
};
use lobar_core::failure::PortError;
use lobar_core::image::State;
use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, Db, DbError, Driver, Sql, commitments, studies};
use super::admit::{groups, is_current};
use super::changes::{Changes, Kind};
use super::plan::{key_id, sequence};
use super::remove::forget_persons;
use super::row::state;
use super::rows;
use super::twins::queue_twins;

/// Images that one statement looks at for those whose key begins so: no index knows beginnings, and a statement over all
/// images would be cancelled by `statement_timeout` on a large store.
const LOOKED_AT: i64 = 20_000;
/// Messages in quarantine that are looked through at once.
const MESSAGES: i64 = 100;

/// An object, as it is named until it is gone.
#[derive(sqlx::FromRow)]
pub struct ObjectRow {
    bucket: String,
    key: String,
    version: Option<String>,
    etag: Option<String>,
    /// Only of images that are not erased.
    #[sqlx(default)]
    sequencer: Option<String>,
}

/// A row of `erasure`, without what names the object.
#[derive(sqlx::FromRow)]
pub struct TombstoneRow {
    site: Option<String>,
    reason: String,
    asked_at: i64,
    erased_at: Option<i64>,
}

/// An image about to be erased.
#[derive(sqlx::FromRow)]
pub struct ErasedRow {
    id: Uuid,
    key_id: Uuid,
    state: String,
    flag: String,
    lane: String,
    site: Option<String>,
    sequence: Option<String>,
}

#[async_trait]
impl<D: Driver> Erasures for Db<D> {
    async fn erase(
        &self,
        objects: &[ObjectVersion],
        order: &ErasureOrder,
    ) -> Result<Vec<ImageId>, PortError> {
        let done = self.retry_on_conflict(|| erase(self, objects, order)).await;
        done.map_err(|fault| fault.during("erasures: erase"))
    }

    async fn unfinished(
        &self,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError> {
        let page = Sql::<D>::new(
            "select bucket, key, version, etag from erasure
             where erased_at is null and image > $1 order by image limit $2",
        );
        let page = page.bind(after.map_or(Uuid::nil(), |id| id.0)).bind(rows(limit));
        let found = self.fetch_all::<ObjectRow>(page).await;
        let found = found.map_err(|fault| fault.during("erasures: unfinished"))?;
        Ok(found.into_iter().map(ObjectRow::object).collect())
    }

    async fn unfinished_of(&self, id: ImageId) -> Result<Option<ObjectVersion>, PortError> {
        let one = Sql::<D>::new(
            "select bucket, key, version, etag from erasure where erased_at is null and image = $1",
        );
        let found = self.fetch_all::<ObjectRow>(one.bind(id.0)).await;
        let found = found.map_err(|fault| fault.during("erasures: unfinished, of an image"))?;
        Ok(found.into_iter().next().map(ObjectRow::object))
    }

    async fn finish(&self, erased: &[ImageId]) -> Result<(), PortError> {
        for batch in erased.chunks(BATCH) {
            let done = self.execute::<(Uuid,)>(|now| {
                let mut sql = Sql::<D>::new(
                    "update erasure set erased_at = $1, bucket = null, key = null, version = null, etag = null
                     where erased_at is null and image in (",
                )
                .bind(now.0);
                sql.list(batch.iter().map(|id| id.0)).push(") returning image");
                sql
            });
            done.await.map_err(|fault| fault.during("erasures: finish"))?;
        }
        Ok(())
    }

    async fn tombstone(&self, id: ImageId) -> Result<Option<Tombstone>, PortError> {
        let one =
            Sql::<D>::new("select site, reason, asked_at, erased_at from erasure where image = $1");
        let found = self.fetch_all::<TombstoneRow>(one.bind(id.0)).await;
        let found = found.map_err(|fault| fault.during("erasures: tombstone"))?;
        Ok(found.into_iter().next().map(|row| Tombstone {
            id,
            site: row.site.as_deref().and_then(SiteName::parse),
            reason: row.reason.parse::<ErasureReason>().ok(),
            asked_at: Stamp(row.asked_at),
            erased_at: row.erased_at.map(Stamp),
        }))
    }

    async fn find(
        &self,
        which: &ObjectSelector,
        after: Option<ImageId>,
        limit: usize,
    ) -> Result<Vec<ObjectVersion>, PortError> {
        let found = match which {
            ObjectSelector::Key { bucket, key } => {
                let mut sql = Sql::<D>::new(OBJECTS);
                sql.push("key_id = ").arg(key_id(&whole(bucket, key)).0);
                sql.push(" and id > ").arg(after.map_or(Uuid::nil(), |id| id.0));
                sql.push(" order by id limit ").arg(rows(limit));
                self.fetch_all::<ObjectRow>(sql).await
            }
            ObjectSelector::Prefix { bucket, prefix } => {
                beginning_with(self, (bucket, prefix), after, limit, LOOKED_AT).await
            }
            ObjectSelector::Patient { site, id } => {
                let mut sql = Sql::<D>::new(OBJECTS);
                sql.push("id > ").arg(after.map_or(Uuid::nil(), |id| id.0));
                sql.push(
                    " and id in (select instance.image from study
                     join series on series.study = study.id
                     join instance on instance.series = series.id where study.patient in (
                       select id from patient where site = ",
                )
                .arg(site.as_str());
                sql.push(" and issuer = ").arg(id.issuer.as_str());
                sql.push(" and patient_id = ").arg(id.id.as_str());
                sql.push(" union select patient from patient_alias where site = ")
                    .arg(site.as_str());
                sql.push(" and issuer = ").arg(id.issuer.as_str());
                sql.push(" and patient_id = ").arg(id.id.as_str());
                sql.push(")) order by id limit ").arg(rows(limit));
                self.fetch_all::<ObjectRow>(sql).await
            }
            ObjectSelector::Instance(image) => {
                let mut sql = Sql::<D>::new(OBJECTS);
                sql.push("id > ").arg(after.map_or(Uuid::nil(), |id| id.0));
                sql.push(
                    " and id in (select other.image from instance own
                     join series own_series on own_series.id = own.series
                     join study own_study on own_study.id = own_series.study
                     join patient own_patient on own_patient.id = own_study.patient
                     join instance other on other.site = own.site and other.uid = own.uid
                       and other.image <> own.image
                     join series on series.id = other.series join study on study.id = series.study
                     join patient on patient.id = study.patient
                     where (patient.id = own_patient.id
                       or (patient.patient_id is null and own_patient.patient_id is null))
                     and own.image = ",
                );
                sql.arg(image.0).push(") order by id limit ").arg(rows(limit));
                self.fetch_all::<ObjectRow>(sql).await
            }
            ObjectSelector::OlderThan(age) => {
                let mut sql = Sql::<D>::new(OBJECTS);
                let before = self.now().minus(*age).0;
                sql.push("received_at < ").arg(before).push(" and finished_at < ").arg(before);
                sql.push(" order by received_at, id limit ");
                sql.arg(rows(limit));
                self.fetch_all::<ObjectRow>(sql).await
            }
        };
        let found = found.map_err(|fault| fault.during("erasures: find"))?;
        Ok(found.into_iter().map(ObjectRow::object).collect())
    }
}

const OBJECTS: &str = "select bucket, key, version, etag, sequencer from image where ";

/// Images whose key begins so, in the order of their ids. No statement looks at more than `looked_at` of them.
async fn beginning_with<D: Driver>(
    db: &Db<D>,
    (bucket, prefix): (&str, &str),
    after: Option<ImageId>,
    limit: usize,
    looked_at: i64,
) -> Result<Vec<ObjectRow>, DbError> {
    let (mut found, mut after) = (Vec::new(), after.map_or(Uuid::nil(), |id| id.0));
    while found.len() < limit {
        let end = db.fetch_all::<(Uuid,)>(end_of_range(after, looked_at)).await?;
        let end = end.first().map(|(id,)| *id);
        let range = (after, end.unwrap_or(Uuid::max()));
        let left = limit.saturating_sub(found.len());
        found.extend(db.fetch_all::<ObjectRow>(in_range((bucket, prefix), range, left)).await?);
        let Some(end) = end else { break };
        after = end;
    }
    Ok(found)
}

/// The last of the next `looked_at` ids; none where fewer are left.
fn end_of_range<D: Driver>(after: Uuid, looked_at: i64) -> Sql<D> {
    let sql = Sql::<D>::new("select id from image where id > $1 order by id limit 1 offset $2");
    sql.bind(after).bind(looked_at.saturating_sub(1))
}

fn in_range<D: Driver>(
    (bucket, prefix): (&str, &str),
    (after, end): (Uuid, Uuid),
    limit: usize,
) -> Sql<D> {
    let mut sql = Sql::<D>::new(OBJECTS);
    sql.push("id > ").arg(after).push(" and id <= ").arg(end);
    sql.push(" and bucket = ").arg(bucket);
    // Byte for byte: `like` has wildcards and, in SQLite, no case.
    sql.push(" and substr(key, 1, length(").arg(prefix);
    sql.push(")) = ").arg(prefix);
    sql.push(" order by id limit ").arg(rows(limit));
    sql
}

fn whole(bucket: &str, key: &str) -> ObjectVersion {
    let (version, etag, sequencer, size) = (None, None, None, None);
    ObjectVersion { bucket: bucket.into(), key: key.into(), version, etag, sequencer, size }
}

impl ObjectRow {
    fn object(self) -> ObjectVersion {
        let Self { bucket, key, version, etag, sequencer } = self;
        ObjectVersion { bucket, key, version, etag, sequencer, size: None }
    }
}

async fn erase<D: Driver>(
    db: &Db<D>,
    objects: &[ObjectVersion],
    order: &ErasureOrder,
) -> Result<Vec<ImageId>, DbError> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let mut held = groups(objects.iter());
    held.insert(studies::LOCK);
    let mut tx = db.begin_on(&held).await?;
    let now = db.now();
    let named: BTreeMap<ImageId, &ObjectVersion> =
        objects.iter().map(|object| (object.id(), object)).collect();
    let ids: Vec<Uuid> = named.keys().map(|id| id.0).collect();

    let mut sql = Sql::<D>::new(
        "select id, key_id, state, flag, lane, site, sequence from image where id in (",
    );
    sql.list(ids.iter().copied()).push(")").push(D::LOCK_ROWS);
    let known: HashMap<ImageId, ErasedRow> = sql
        .all::<ErasedRow>(&mut tx)
        .await?
        .into_iter()
        .map(|row| (ImageId(row.id), row))
        .collect();
    let mut sql = Sql::<D>::new("select image from erasure where image in (");
    sql.list(ids.iter().copied()).push(")");
    if !order.is_by_age() {
        sql.push(" and erased_at is null");
    }
    let done: BTreeSet<Uuid> =
        sql.all::<(Uuid,)>(&mut tx).await?.into_iter().map(|(id,)| id).collect();

    let (mut erased, mut changes) = (Vec::new(), Changes::default());
    for (id, object) in &named {
        let row = known.get(id);
        if row.is_none() && done.contains(&id.0) {
            continue;
        }
        let site = row.map_or_else(|| object.site().map(str::to_owned), |row| row.site.clone());
        changes.recorded(entry(*id, site.as_deref(), order));
        match row {
            Some(row) => {
                let kind = Kind::new(row.site.clone(), row.lane.clone());
                changes.went(*id, kind, (state(&row.state), &row.flag));
            }
            None => changes.told(*id, State::Removed),
        }
        erased.push((*id, *object, site));
    }
    let ids: Vec<ImageId> = erased.iter().map(|(id, ..)| *id).collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    let stood: Vec<ImageId> =
        known.iter().filter(|(_, row)| is_current(state(&row.state))).map(|(id, _)| *id).collect();
    let going: BTreeSet<ImageId> = ids.iter().copied().collect();
    queue_twins(&mut tx, &stood, &going, now, &mut changes).await?;
    commitments::forget(&mut tx, &named, now).await?;
    forget(&mut tx, &ids).await?;
    bury(&mut tx, &erased, order, now).await?;
    let stored =
        known.values().filter_map(|row| Some((ImageId(row.key_id), row.sequence.clone()?)));
    let told = named.values().filter_map(|object| Some((key_id(object), sequence(object)?)));
    let mut newest: BTreeMap<ImageId, String> = BTreeMap::new();
    for (key, sequence) in stored.chain(told) {
        let highest = newest.entry(key).or_default();
        if sequence > *highest {
            *highest = sequence;
        }
    }
    remember(&mut tx, &newest, now).await?;
    let keys: BTreeSet<(&str, &str)> =
        named.values().map(|object| (object.bucket.as_str(), object.key.as_str())).collect();
    empty_quarantine(&mut tx, &keys, now).await?;
    changes.record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(ids)
}

fn entry(id: ImageId, site: Option<&str>, order: &ErasureOrder) -> NewEntry {
    let mut entry = NewEntry::new(Action::Erased, order.actor.clone());
    entry.role = order.role;
    entry.image = Some(id);
    entry.site = site.and_then(SiteName::parse);
    entry.detail = order.detail.clone();
    entry.detail["reason"] = order.reason.as_str().into();
    entry.request.clone_from(&order.request);
    entry
}

/// Everything that is kept of images, but for what the audit record and the events have: their ids.
async fn forget<D: Driver>(tx: &mut Tx<D>, ids: &[ImageId]) -> Result<(), DbError> {
    forget_persons(tx, ids).await?;
    for batch in ids.chunks(BATCH) {
        let each = || batch.iter().map(|id| id.0);
        // By version first, as its key is.
        let mut sql = Sql::<D>::new(
            "delete from shadow_finding where version in (select version from model) and image in (",
        );
        sql.list(each()).push(")");
        sql.run(tx).await?;
        let mut sql = Sql::<D>::new("delete from finding where image in (");
        sql.list(each()).push(")");
        sql.run(tx).await?;
        let mut sql = Sql::<D>::new("delete from image where id in (");
        sql.list(each()).push(")");
        sql.run(tx).await?;
    }
    Ok(())
}

/// Puts tombstones. What was finished waits again: its object may be back, from a backup of the bucket.
async fn bury<D: Driver>(
    tx: &mut Tx<D>,
    erased: &[(ImageId, &ObjectVersion, Option<String>)],
    order: &ErasureOrder,
    now: Stamp,
) -> Result<(), DbError> {
    for batch in erased.chunks(BATCH) {
        let mut sql = Sql::<D>::new(
            "insert into erasure (image, site, reason, asked_at, bucket, key, version, etag) values ",
        );
        sql.rows(batch.iter().map(|(id, object, site)| {
            (
                id.0,
                site.clone(),
                order.reason.as_str(),
                now.0,
                object.bucket.as_str(),
                object.key.as_str(),
                object.version.clone(),
                object.etag.clone(),
            )
        }));
        sql.push(
            " on conflict (image) do update set reason = excluded.reason, asked_at = excluded.asked_at,
                erased_at = null, bucket = excluded.bucket, key = excluded.key,
                version = excluded.version, etag = excluded.etag",
        );
        sql.run(tx).await?;
    }
    Ok(())
}

/// Keeps up to where keys are erased, for versions that are told of late.
async fn remember<D: Driver>(
    tx: &mut Tx<D>,
    newest: &BTreeMap<ImageId, String>,
    now: Stamp,
) -> Result<(), DbError> {
    for (key, sequence) in newest {
        Sql::<D>::new(
            "insert into removal (target, sequence, removed_at, erased_sequence) values ($1, $2, $3, $4)
             on conflict (target) do update set
               sequence = case when removal.sequence < excluded.sequence
                 then excluded.sequence else removal.sequence end,
               erased_sequence = case when removal.erased_sequence > excluded.erased_sequence
                 then removal.erased_sequence else excluded.erased_sequence end",
        )
        .bind(key.0)
        .bind(sequence.as_str())
        .bind(now.0)
        .bind(sequence.as_str())
        .run(tx)
        .await?;
    }
    Ok(())
}

/// Takes the bytes of messages that name these keys. That they were there stays known.
async fn empty_quarantine<D: Driver>(
    tx: &mut Tx<D>,
    keys: &BTreeSet<(&str, &str)>,
    now: Stamp,
) -> Result<(), DbError> {
    let mut after = 0_i64;
    loop {
        let page = Sql::<D>::new(
            "select id, body from quarantine where id > $1 and length(body) > 0 order by id limit $2",
        );
        let page: Vec<(i64, Vec<u8>)> = page.bind(after).bind(MESSAGES).all(tx).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (id, body) in page {
            let mentions = Mentions::of(&body);
            if !keys.iter().any(|(bucket, key)| mentions.name(bucket, key)) {
                continue;
            }
            let empty: &[u8] = &[];
            Sql::<D>::new(
                "update quarantine set state = 'discarded', body = $1, changed_at = $2, changed_by = 'erasure'
                 where id = $3",
            )
            .bind(empty)
            .bind(now.0)
            .bind(id)
            .run(tx)
            .await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lobar_core::image::{Lane, NewImage};
    use lobar_core::store::Store as _;
    use lobar_core::time::SystemClock;
    use sqlx::Sqlite;

    use super::*;

    async fn database() -> (tempfile::TempDir, Arc<Db<Sqlite>>) {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("lobar.db");
        let db = crate::sqlite::open(&file, Arc::new(SystemClock)).await.expect("a database");
        (folder, Arc::new(db))
    }

    #[tokio::test]
    async fn a_beginning_is_looked_for_in_ranges_and_on_behind_those_without_it() {
        let (_folder, db) = database().await;
        let key = |n: usize| match n % 7 {
            0 => format!("incoming/north/7/{n}.jpg"),
            _ => format!("incoming/north/8/{n}.jpg"),
        };
        let objects: Vec<_> = (0..50).map(|n| whole("xrays", &key(n))).collect();
        let new = |object: &ObjectVersion| NewImage { object: object.clone(), lane: Lane::Stat };
        let new: Vec<_> = objects.iter().map(new).collect();
        db.admit(&new).await.expect("admitted");
        let mut expected: Vec<_> =
            objects.iter().filter(|one| one.key.contains("/7/")).map(ObjectVersion::id).collect();
        expected.sort_unstable();
        for (looked_at, limit) in [(1, 1), (1, 100), (3, 2), (50, 3), (1_000, 100)] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let which = ("xrays", "incoming/north/7/");
                let page =
                    beginning_with(&db, which, after, limit, looked_at).await.expect("asked");
                assert!(page.len() <= limit);
                let last = page.len() < limit;
                found.extend(page.into_iter().map(|row| row.object().id()));
                after = found.last().copied();
                if last {
                    break;
                }
            }
            assert_eq!(found, expected, "{looked_at} at once, {limit} a page");
        }
        db.close().await;
    }

    #[tokio::test]
    async fn a_range_is_read_by_ids() {
        let (_folder, db) = database().await;
        let range = in_range::<Sqlite>(("xrays", "a"), (Uuid::nil(), Uuid::max()), 10);
        let end = end_of_range::<Sqlite>(Uuid::nil(), 10);
        for (sql, wanted) in [(range, "(id>? AND id<?)"), (end, "(id>?)")] {
            let lines: Vec<(i64, i64, i64, String)> =
                db.fetch_all(sql.explained()).await.expect("a plan");
            assert!(lines.len() == 1 && lines[0].3.ends_with(wanted), "{lines:?}");
        }
        db.close().await;
    }
}
