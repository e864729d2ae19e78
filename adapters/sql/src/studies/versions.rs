//! Versions of one instance at one site: which image is the newest, and what becomes of the others.
//!
//! The image that was received last is the newest, whichever is finished first; of two with the same bytes the one that was
//! finished first stays.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lobar_core::image::State;
use lobar_core::object::ImageId;
use lobar_core::study::{ANOTHER_VERSION, NEWER_VERSION, SAME_INSTANCE};
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::store::state;
use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql};
use super::keep::Seen;
use super::row::{NewestRow, StandingRow};

/// An image, finished earlier, whose place another takes.
pub(in super::super) struct Displaced {
    pub(in super::super) image: ImageId,
    pub(in super::super) state: State,
    pub(in super::super) flag: String,
    pub(in super::super) lane: String,
    pub(in super::super) site: Option<String>,
}

/// What becomes of images that are finished together, and of those before them.
#[derive(Default)]
pub(super) struct Versions {
    /// Images that are superseded as they are finished, with the reason in words.
    pub(super) ends: BTreeMap<ImageId, &'static str>,
    /// Warnings of the others.
    pub(super) warnings: BTreeMap<ImageId, &'static str>,
    /// Those finished earlier that are superseded.
    pub(super) displaced: Vec<Displaced>,
    /// Those finished earlier that are newer than one of these, which they are warned of now.
    pub(super) warned: Vec<ImageId>,
    /// Whose place an image took.
    pub(super) replaces: BTreeMap<ImageId, ImageId>,
    /// Instances that are the newest no more.
    pub(super) outdated: BTreeSet<Uuid>,
    /// Images whose instances are kept already.
    pub(super) known: HashSet<ImageId>,
}

/// The newest of one uid.
struct Newest {
    image: ImageId,
    sha256: Option<Vec<u8>>,
    received_at: Stamp,
    /// How it stands; `None` for one of those that are finished now.
    earlier: Option<StandingRow>,
}

/// An instance is known by its site and its uid.
type Name = (String, String);

pub(super) async fn decide<D: Driver>(
    tx: &mut Tx<D>,
    seen: &[Seen<'_>],
) -> Result<Versions, DbError> {
    let mut versions = Versions::default();
    let mut sql =
        Sql::<D>::new("select image, site, uid, sha256, newest from instance where image in (");
    sql.list(seen.iter().map(|one| one.image.0)).push(")");
    let own: HashMap<ImageId, NewestRow> =
        sql.all::<NewestRow>(tx).await?.into_iter().map(|row| (ImageId(row.image), row)).collect();
    versions.known.extend(own.keys().copied());
    let mut named: Vec<(&Seen<'_>, Name)> =
        seen.iter().filter_map(|one| Some((one, one.name()?))).collect();
    if named.is_empty() {
        return Ok(versions);
    }
    named.sort_by_key(|(one, _)| one.order());
    let mut newest = newest_of(tx, seen, &named, &mut versions).await?;
    for (one, name) in named {
        if own.get(&one.image).is_some_and(|row| row.newest == 1) {
            continue;
        }
        let fresh = Newest {
            image: one.image,
            sha256: one.sha256.map(|digest| digest.0.to_vec()),
            received_at: one.received_at,
            earlier: None,
        };
        let Some(before) = newest.get_mut(&name) else {
            newest.insert(name, fresh);
            continue;
        };
        if before.sha256.is_some() && before.sha256 == fresh.sha256 {
            versions.ends.insert(one.image, SAME_INSTANCE);
        } else if (before.received_at, before.image) < one.order() {
            versions.outdated.insert(before.image.0);
            versions.replaces.insert(one.image, before.image);
            versions.warnings.insert(one.image, ANOTHER_VERSION);
            let before = std::mem::replace(before, fresh);
            versions.displace(before);
        } else {
            versions.ends.insert(one.image, NEWER_VERSION);
            versions.replaces.entry(before.image).or_insert(one.image);
            match before.earlier {
                Some(_) => versions.warned.push(before.image),
                None => drop(versions.warnings.insert(before.image, ANOTHER_VERSION)),
            }
        }
    }
    Ok(versions)
}

impl Versions {
    fn displace(&mut self, before: Newest) {
        match before.earlier {
            Some(StandingRow { state: word, flag, lane, site, .. }) => {
                let (image, state) = (before.image, state(&word));
                self.displaced.push(Displaced { image, state, flag, lane, site });
            }
            None => {
                self.ends.insert(before.image, NEWER_VERSION);
                self.warnings.remove(&before.image);
            }
        }
    }
}

/// The newest instances of these names that still stand. Their images are locked.
async fn newest_of<D: Driver>(
    tx: &mut Tx<D>,
    seen: &[Seen<'_>],
    named: &[(&Seen<'_>, Name)],
    versions: &mut Versions,
) -> Result<HashMap<Name, Newest>, DbError> {
    let names: BTreeSet<(&str, &str)> =
        named.iter().map(|(_, (site, uid))| (site.as_str(), uid.as_str())).collect();
    let mut sql = Sql::<D>::new(
        "select image, site, uid, sha256, newest from instance
         where newest = 1 and (site, uid) in (values ",
    );
    sql.rows(names).push(")");
    let rows: Vec<NewestRow> = sql.all(tx).await?;
    let received: HashMap<ImageId, Stamp> =
        seen.iter().map(|one| (one.image, one.received_at)).collect();
    let mut standing = HashMap::new();
    let earlier = |row: &&NewestRow| !received.contains_key(&ImageId(row.image));
    let others: Vec<Uuid> = rows.iter().filter(earlier).map(|row| row.image).collect();
    for batch in others.chunks(BATCH) {
        let mut sql = Sql::<D>::new(
            "select id, state, flag, lane, site, received_at from image where id in (",
        );
        sql.list(batch.iter().copied()).push(")").push(D::LOCK_ROWS);
        standing.extend(sql.all::<StandingRow>(tx).await?.into_iter().map(|row| (row.id, row)));
    }
    let mut newest = HashMap::new();
    for row in rows {
        let (image, sha256) = (ImageId(row.image), row.sha256);
        let Some(name) = row.site.map(|site| (site, row.uid)) else { continue };
        let one = match (received.get(&image), standing.remove(&row.image)) {
            (Some(at), _) => Newest { image, sha256, received_at: *at, earlier: None },
            (None, Some(row)) if stands(&row.state) => {
                let received_at = Stamp(row.received_at);
                Newest { image, sha256, received_at, earlier: Some(row) }
            }
            _ => {
                versions.outdated.insert(row.image);
                continue;
            }
        };
        newest.insert(name, one);
    }
    Ok(newest)
}

fn stands(word: &str) -> bool {
    !matches!(state(word), State::Superseded | State::Removed)
}

/// Whether an image was superseded because its instance was there already, and is there still.
pub(in super::super) async fn is_duplicate<D: Driver>(
    tx: &mut Tx<D>,
    image: ImageId,
) -> Result<bool, DbError> {
    let twins = Sql::<D>::new(
        "select image.id from instance
           join instance other on other.site = instance.site and other.uid = instance.uid
             and other.newest = 1 and other.image <> instance.image
           join image on image.id = other.image
         where instance.image = $1 and instance.newest = 0
           and image.state || '' not in ('superseded', 'removed')",
    );
    Ok(twins.bind(image.0).optional::<(Uuid,)>(tx).await?.is_some())
}
