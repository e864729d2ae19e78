//! Adding files to a batch.

use std::collections::BTreeSet;

use lobar_core::batch::{Added, BatchMention};
use lobar_core::object::ImageId;
use uuid::Uuid;

use super::super::{BATCH, Db, DbError, Driver, Sql};

pub(super) async fn add<D: Driver>(
    db: &Db<D>,
    to: &BatchMention,
    files: &[ImageId],
    added: Added,
) -> Result<bool, DbError> {
    let mut tx = db.begin().await?;
    let now = db.now();
    // Clocks of hosts differ by a little.
    let own = Sql::<D>::new(
        "insert into batch (id, site, uploader, uploader_name, opened_at, last_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (id) do update set
           last_at = case when batch.last_at < excluded.last_at
             then excluded.last_at else batch.last_at end,
           uploader = coalesce(batch.uploader, excluded.uploader),
           uploader_name = coalesce(batch.uploader_name, excluded.uploader_name)
         where batch.site is not distinct from excluded.site
         returning id",
    )
    .bind(to.batch.0)
    .bind(to.site.as_ref().map(|site| site.as_str().to_owned()))
    .bind(to.by.as_ref().map(|by| by.id))
    .bind(to.by.as_ref().map(|by| by.name.clone()))
    .bind(now.0)
    .bind(now.0);
    if own.optional::<(Uuid,)>(&mut tx).await?.is_none() {
        return Ok(false);
    }
    // Each once and in one order: two that add the same files wait for each other in a row.
    let files: Vec<Uuid> =
        files.iter().map(|file| file.0).collect::<BTreeSet<_>>().into_iter().collect();
    for files in files.chunks(BATCH) {
        let mut sql = Sql::<D>::new("with file (batch, image) as (values ");
        sql.rows(files.iter().map(|file| (to.batch.0, *file)));
        sql.push(") insert into batch_file (batch, image, kind) select file.batch, file.image, ");
        match added {
            Added::Image => sql.push(
                "case when exists (select 1 from image where image.id = file.image)
                   then 'duplicate' else 'image' end
                 from file where true on conflict (batch, image) do nothing",
            ),
            Added::PutAside => sql.push(
                "'put_aside' from file where true
                 on conflict (batch, image) do update set kind = 'put_aside'",
            ),
        };
        sql.run(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}
