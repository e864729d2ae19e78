//! Versions whose time is over: those that are not current any more, and delete markers of which nothing is left beneath.
//!
//! As S3 counts it, from when the next version of the key was put
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>, noncurrent days). No event tells
//! of it: nothing changes for a reader of the key, and what was found out of a replaced upload is kept.

use lobar_core::time::Stamp;

use super::versions::segments;
use super::{Catalog, WriteTx};
use crate::fault::EndpointFault;

/// Versions that are looked at at once.
const LOOKED_AT: i64 = 1_000;
/// Versions that are removed together.
const TOGETHER: usize = 100;

/// Ends a `select … from version as v where`: what is over by a time, which is bound once.
const IS_OVER: &str = "case when v.latest = 0 then
      (select next.modified_at from version as next
       where next.bucket = v.bucket and next.key = v.key and next.seq > v.seq order by next.seq limit 1)
    when v.marker = 1 and not exists
      (select 1 from version as other where other.bucket = v.bucket and other.key = v.key and other.seq <> v.seq)
    then v.modified_at end < ";

impl Catalog {
    /// Removes what has not been current since before `before`, and its files; answers how many versions.
    pub(crate) async fn expire(&self, before: Stamp) -> Result<usize, EndpointFault> {
        let (mut after, mut removed) = (0_i64, 0);
        let page = "select v.seq, ".to_owned()
            + "coalesce("
            + IS_OVER
            + "?, 0) from version as v
            where v.seq > ? order by v.seq limit ?";
        loop {
            let seen: Vec<(i64, bool)> = sqlx::query_as(sqlx::AssertSqlSafe(page.clone()))
                .bind(before.0)
                .bind(after)
                .bind(LOOKED_AT)
                .fetch_all(&self.readers)
                .await?;
            let Some((last, _)) = seen.last() else { return Ok(removed) };
            after = *last;
            let over: Vec<i64> =
                seen.iter().filter(|(_, over)| *over).map(|(seq, _)| *seq).collect();
            for batch in over.chunks(TOGETHER) {
                let batch = batch.to_vec();
                removed += self
                    .write(Vec::new(), move |change| {
                        Box::pin(async move { change.expire(&batch, before).await })
                    })
                    .await?;
            }
        }
    }
}

impl WriteTx {
    /// Removes those that are over still: one may have become current again meanwhile.
    async fn expire(&mut self, batch: &[i64], before: Stamp) -> Result<usize, EndpointFault> {
        let still = "select 1 from version as v where v.seq = ? and ".to_owned() + IS_OVER + "?";
        let mut removed = 0;
        for seq in batch {
            let over = sqlx::query(sqlx::AssertSqlSafe(still.clone()));
            let over = over.bind(seq).bind(before.0).fetch_optional(self.sql()).await?;
            if over.is_none() {
                continue;
            }
            let gone = segments(self.sql(), *seq).await?;
            self.released.extend(gone.iter().map(|segment| segment.body));
            sqlx::query("delete from version where seq = ?").bind(seq).execute(self.sql()).await?;
            removed += 1;
        }
        Ok(removed)
    }
}
