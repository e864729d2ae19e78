//! Images of one instance at one site: which stay, and which are superseded.
//!
//! Nothing is superseded but by an image of the same patient, and nothing that is assessed but by one that is, too. In doubt
//! both stay, and the one received later has a warning.

use std::collections::{BTreeMap, BTreeSet};

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::study::{ANOTHER_VERSION, NEWER_VERSION, SAME_INSTANCE, UID_SHARED};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::store::state;
use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql};
use super::row::SiblingRow;

/// An image, finished earlier, whose place another takes.
pub(in super::super) struct Displaced {
    pub(in super::super) image: ImageId,
    pub(in super::super) state: State,
    pub(in super::super) flag: String,
    pub(in super::super) lane: String,
    pub(in super::super) site: Option<String>,
    pub(in super::super) why: &'static str,
}

/// What becomes of images that are finished together, and of those before them.
#[derive(Default)]
pub(super) struct Versions {
    /// Images that are superseded as they are finished, with the reason in words.
    pub(super) ends: BTreeMap<ImageId, &'static str>,
    /// Those finished earlier that are superseded.
    pub(super) displaced: Vec<Displaced>,
    /// Warnings of those that stay, now or earlier, beside those that they have.
    pub(super) warnings: BTreeMap<ImageId, BTreeSet<&'static str>>,
    /// Whose place an image took.
    pub(super) replaces: BTreeMap<ImageId, ImageId>,
    /// The warnings that are kept of these images, and of others of their instances.
    pub(super) kept: BTreeMap<ImageId, BTreeSet<String>>,
}

/// The columns of [`SiblingRow`].
const SIBLING: &str =
    "instance.image, instance.site, instance.uid, instance.sha256, instance.warnings,
    study.patient, patient.patient_id, study.uid as study_uid, image.state, image.flag, image.lane,
    image.received_at, image.detail";

/// From an instance up to its patient, and to its image.
const AROUND: &str = " join series on series.id = instance.series
    join study on study.id = series.study join patient on patient.id = study.patient
    join image on image.id = instance.image ";

impl SiblingRow {
    fn id(&self) -> ImageId {
        ImageId(self.image)
    }

    /// When it was received, and among others of that moment.
    fn order(&self) -> (Stamp, ImageId) {
        (Stamp(self.received_at), self.id())
    }

    fn stands(&self) -> bool {
        !matches!(state(&self.state), State::Superseded | State::Removed)
    }

    fn is_assessed(&self) -> bool {
        state(&self.state) == State::Ready
    }

    /// Two that name nobody may be the same.
    fn is_of_patient_of(&self, other: &Self) -> bool {
        let nobody = self.patient_id.is_none() && other.patient_id.is_none();
        self.patient == other.patient || nobody
    }

    fn is_copy_of(&self, other: &Self) -> bool {
        self.sha256.is_some() && self.sha256 == other.sha256 && self.is_of_patient_of(other)
    }

    fn is_version_of(&self, other: &Self) -> bool {
        self.study_uid == other.study_uid && self.is_of_patient_of(other)
    }
}

/// Decides on images that are finished, whose instances are kept already. Others of their instances are locked.
pub(super) async fn decide<D: Driver>(
    tx: &mut Tx<D>,
    finished: &BTreeSet<ImageId>,
) -> Result<Versions, DbError> {
    let mut sql = Sql::<D>::new(
        "select other.image from instance own
           join instance other on other.site = own.site and other.uid = own.uid
         where own.image in (",
    );
    sql.list(finished.iter().map(|id| id.0)).push(")");
    let mut ids: BTreeSet<Uuid> =
        sql.all::<(Uuid,)>(tx).await?.into_iter().map(|(id,)| id).collect();
    let others: Vec<Uuid> =
        ids.iter().copied().filter(|id| !finished.contains(&ImageId(*id))).collect();
    for batch in others.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select id from image where id in (");
        sql.list(batch.iter().copied()).push(")").push(D::LOCK_ROWS);
        sql.all::<(Uuid,)>(tx).await?;
    }
    ids.extend(finished.iter().map(|id| id.0));
    let mut versions = Versions::default();
    let mut instances: BTreeMap<(String, String), Vec<SiblingRow>> = BTreeMap::new();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    for batch in ids.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select ");
        sql.push(SIBLING).push(" from instance").push(AROUND).push("where instance.image in (");
        sql.list(batch.iter().copied()).push(")");
        for row in sql.all::<SiblingRow>(tx).await? {
            let warnings = row.warnings.split_whitespace().map(str::to_owned).collect();
            versions.kept.insert(row.id(), warnings);
            // Of an unknown site, it is compared with no other.
            let Some(site) = row.site.clone() else { continue };
            instances.entry((site, row.uid.clone())).or_default().push(row);
        }
    }
    for rows in instances.into_values().filter(|rows| rows.len() > 1) {
        versions.settle(rows, finished);
    }
    for ended in versions.ends.keys() {
        versions.warnings.remove(ended);
    }
    Ok(versions)
}

impl Versions {
    /// Decides on the images of one instance.
    fn settle(&mut self, rows: Vec<SiblingRow>, finished: &BTreeSet<ImageId>) {
        let (mut fresh, earlier): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| finished.contains(&row.id()));
        let (mut standing, mut outdated): (Vec<_>, Vec<_>) =
            earlier.into_iter().partition(SiblingRow::stands);
        outdated.retain(|row| row.detail.as_deref() == Some(NEWER_VERSION));
        fresh.retain(SiblingRow::stands);
        fresh.sort_by_key(SiblingRow::order);
        for one in fresh {
            let is_there = standing
                .iter()
                .any(|other| other.is_copy_of(&one) && (other.is_assessed() || !one.is_assessed()));
            let was_there = outdated.iter().any(|old| {
                old.is_copy_of(&one)
                    && standing.iter().any(|newer| {
                        newer.is_assessed()
                            && newer.is_version_of(&one)
                            && old.order() < newer.order()
                    })
            });
            if is_there || was_there {
                self.ends.insert(one.id(), SAME_INSTANCE);
                continue;
            }
            let mut is_outdated = false;
            for other in std::mem::take(&mut standing) {
                if other.is_copy_of(&one) {
                    self.displace(&other, SAME_INSTANCE, finished);
                    continue;
                }
                let is_older = other.order() < one.order();
                let (older, newer) = if is_older { (&other, &one) } else { (&one, &other) };
                let is_version = newer.is_version_of(older);
                let warning = if is_version { ANOTHER_VERSION } else { UID_SHARED };
                self.warnings.entry(newer.id()).or_default().insert(warning);
                if !is_version || !newer.is_assessed() {
                    standing.push(other);
                    continue;
                }
                self.replaces.entry(newer.id()).or_insert(older.id());
                if is_older {
                    self.displace(&other, NEWER_VERSION, finished);
                    outdated.push(other);
                } else {
                    is_outdated = true;
                    standing.push(other);
                }
            }
            if is_outdated {
                self.ends.insert(one.id(), NEWER_VERSION);
                outdated.push(one);
            } else {
                standing.push(one);
            }
        }
    }

    fn displace(&mut self, other: &SiblingRow, why: &'static str, finished: &BTreeSet<ImageId>) {
        if finished.contains(&other.id()) {
            self.ends.insert(other.id(), why);
            return;
        }
        self.displaced.push(Displaced {
            image: other.id(),
            state: state(&other.state),
            flag: other.flag.clone(),
            lane: other.lane.clone(),
            site: other.site.clone(),
            why,
        });
    }
}

/// Whether an image was superseded because its instance was there already, and is there still.
pub(in super::super) async fn is_duplicate<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
) -> Result<bool, DbError> {
    let mut sql = Sql::<D>::new(
        "select other.image from image own
           join instance on instance.image = own.id
           join instance other on other.site = instance.site and other.uid = instance.uid
             and other.image <> instance.image
           join image on image.id = other.image
         where image.state || '' not in ('superseded', 'removed') and own.id = ",
    );
    sql.arg(image.0)
        .push(" and own.detail in (")
        .list([SAME_INSTANCE, NEWER_VERSION])
        .push(") limit 1");
    Ok(sql.optional::<(Uuid,)>(tx).await?.is_some())
}

/// Of images that stand no more: for each patient, the newest other image of the same instance that was superseded, and whose
/// object may still be there. With `except`, which go as well.
pub(in super::super) async fn twins<D: Driver>(
    tx: &mut Tx<D>,
    going: &[ImageId],
    except: &BTreeSet<ImageId>,
) -> Result<Vec<ImageId>, DbError> {
    let mut newest: BTreeMap<(String, Option<Uuid>), SiblingRow> = BTreeMap::new();
    for batch in going.chunks(BATCH) {
        let mut sql = Sql::<D>::new("select distinct ");
        sql.push(SIBLING).push(
            " from instance going join instance on instance.site = going.site
                and instance.uid = going.uid and instance.image <> going.image",
        );
        sql.push(AROUND).push(
            "where image.state || '' = 'superseded' and not exists (
               select 1 from image later where later.key_id = image.key_id
                 and later.id <> image.id and later.received_at >= image.received_at)
             and image.detail in (",
        );
        sql.list([SAME_INSTANCE, NEWER_VERSION]).push(") and going.image in (");
        sql.list(batch.iter().map(|id| id.0)).push(")");
        for row in sql.all::<SiblingRow>(tx).await? {
            if except.contains(&row.id()) {
                continue;
            }
            let name = format!("{} {}", row.site.as_deref().unwrap_or_default(), row.uid);
            let key = (name, row.patient_id.is_some().then_some(row.patient));
            match newest.get(&key) {
                Some(other) if other.order() > row.order() => {}
                _ => drop(newest.insert(key, row)),
            }
        }
    }
    Ok(newest.values().map(SiblingRow::id).collect())
}
