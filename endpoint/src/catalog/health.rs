//! Whether the database reads and writes, asked as a request would.

use sqlx::{ConnectOptions as _, Connection as _};

use super::Catalog;
use crate::fault::EndpointFault;

/// A key that nobody has, as in a request for an object that is not there.
const NOBODYS: &[u8] = b"lobar-health/no-such-object";

impl Catalog {
    /// Looks for an object that is not there, and writes a row as it is. It looks over a connection of its own: those of
    /// requests may go on for a while from what they have in memory, whatever became of the file.
    pub(crate) async fn check(&self) -> Result<(), EndpointFault> {
        let mut fresh = self.reading.connect().await?;
        let looked =
            sqlx::query("select seq from version where bucket = ? and key = ? and latest = 1")
                .bind("")
                .bind(NOBODYS)
                .fetch_optional(&mut fresh)
                .await;
        fresh.close().await?;
        looked?;
        sqlx::query(
            "update bucket set created_at = created_at where name = (select min(name) from bucket)",
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}
