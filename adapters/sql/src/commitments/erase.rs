//! What requests name of images that are erased.

use std::collections::{BTreeMap, BTreeSet};

use lobar_core::object::{ImageId, ObjectVersion};
use lobar_core::study::instance_of_key;
use lobar_core::time::Stamp;
use uuid::Uuid;

use super::super::tx::Tx;
use super::super::{BATCH, DbError, Driver, Sql};

/// Requests that name one of these images name nothing from now on, are due at once, and nobody holds them: who is about to
/// report what was true before reports nothing. Before it is forgotten whose the images are.
pub(in super::super) async fn forget<D: Driver>(
    tx: &mut Tx<D>,
    erased: &BTreeMap<ImageId, &ObjectVersion>,
    now: Stamp,
) -> Result<(), DbError> {
    // Erasing by age goes through all images there are, and seldom is a request waiting.
    let some = Sql::<D>::new("select commitment from commitment_instance limit 1");
    if some.optional::<(Uuid,)>(tx).await?.is_none() {
        return Ok(());
    }
    let mut instances: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut names = |site: String, uid: String| instances.entry(site).or_default().insert(uid);
    for object in erased.values() {
        if let Some((site, uid)) = instance_of_key(&object.key) {
            names(site.as_str().to_owned(), uid.as_str().to_owned());
        }
    }
    let ids: Vec<Uuid> = erased.keys().map(|id| id.0).collect();
    for batch in ids.chunks(BATCH) {
        let mut known = Sql::<D>::new("select uid, site from instance where image in (");
        known.list(batch.iter().copied()).push(")");
        for (uid, site) in known.all::<(String, Option<String>)>(tx).await? {
            if let Some(site) = site {
                names(site, uid);
            }
        }
    }
    for (site, uids) in instances {
        let uids: Vec<String> = uids.into_iter().collect();
        for batch in uids.chunks(BATCH) {
            let mut sql = Sql::<D>::new(
                "select distinct commitment from commitment_instance
                 join commitment on commitment.id = commitment_instance.commitment
                 where commitment.site = ",
            );
            sql.arg(site.as_str()).push(" and commitment_instance.uid in (");
            sql.list(batch.iter().map(String::as_str)).push(")");
            let naming = sql.all::<(Uuid,)>(tx).await?;
            naming_nothing(tx, naming.into_iter().map(|(id,)| id).collect(), now).await?;
        }
    }
    Ok(())
}

async fn naming_nothing<D: Driver>(
    tx: &mut Tx<D>,
    requests: Vec<Uuid>,
    now: Stamp,
) -> Result<(), DbError> {
    for batch in requests.chunks(BATCH) {
        let mut sql = Sql::<D>::new("update commitment set fence = fence + 1, due_at = ");
        sql.arg(now.0).push(" where id in (");
        sql.list(batch.iter().copied()).push(")");
        sql.run(tx).await?;
        let mut sql = Sql::<D>::new("delete from commitment_instance where commitment in (");
        sql.list(batch.iter().copied()).push(")");
        sql.run(tx).await?;
    }
    Ok(())
}
