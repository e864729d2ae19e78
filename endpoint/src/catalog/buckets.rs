//! Buckets and their versioning.

use lobar_core::time::Stamp;
use s3s::S3ErrorCode;
use sqlx::{FromRow as _, Row as _, SqliteConnection};

use super::Catalog;
use crate::fault::EndpointFault;

/// Whether a bucket keeps old versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioning {
    /// Never switched on: versions have no ids.
    Off,
    Enabled,
    /// Switched off again: new versions take the id `null`, old ones stay.
    Suspended,
}

impl Versioning {
    pub(crate) fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Enabled => Some("Enabled"),
            Self::Suspended => Some("Suspended"),
        }
    }

    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("Enabled") => Self::Enabled,
            Some("Suspended") => Self::Suspended,
            _ => Self::Off,
        }
    }
}

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) versioning: Versioning,
    pub(crate) created: Stamp,
}

impl sqlx::FromRow<'_, sqlx::sqlite::SqliteRow> for Bucket {
    fn from_row(row: &sqlx::sqlite::SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            versioning: Versioning::parse(row.try_get("versioning")?),
            created: Stamp(row.try_get("created_at")?),
        })
    }
}

/// The versioning of a bucket that must exist.
pub(super) async fn versioning(
    sql: &mut SqliteConnection,
    bucket: &str,
) -> Result<Versioning, EndpointFault> {
    let row = sqlx::query("select name, versioning, created_at from bucket where name = ?")
        .bind(bucket)
        .fetch_optional(sql)
        .await?;
    let row = row.ok_or(S3ErrorCode::NoSuchBucket)?;
    Ok(Bucket::from_row(&row)?.versioning)
}

impl Catalog {
    /// Makes a bucket; `false` when it is there already.
    pub(crate) async fn create_bucket(
        &self,
        name: String,
        versioning: Versioning,
    ) -> Result<bool, EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                let now = change.now;
                let made = sqlx::query(
                    "insert into bucket (name, versioning, created_at) values (?, ?, ?)
                     on conflict do nothing",
                )
                .bind(name)
                .bind(versioning.as_str())
                .bind(now.0)
                .execute(change.sql())
                .await?;
                Ok(made.rows_affected() > 0)
            })
        })
        .await
    }

    /// Removes a bucket without versions and uploads.
    pub(crate) async fn delete_bucket(&self, name: String) -> Result<(), EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                versioning(change.sql(), &name).await?;
                let used: bool = sqlx::query_scalar(
                    "select exists (select 1 from version where bucket = ?1)
                         or exists (select 1 from upload where bucket = ?1)",
                )
                .bind(&name)
                .fetch_one(change.sql())
                .await?;
                if used {
                    return Err(S3ErrorCode::BucketNotEmpty.into());
                }
                sqlx::query("delete from bucket where name = ?")
                    .bind(&name)
                    .execute(change.sql())
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// The bucket of this name.
    pub(crate) async fn bucket(&self, name: &str) -> Result<Bucket, EndpointFault> {
        let found =
            sqlx::query_as("select name, versioning, created_at from bucket where name = ?")
                .bind(name)
                .fetch_optional(&self.readers)
                .await?;
        found.ok_or_else(|| S3ErrorCode::NoSuchBucket.into())
    }

    /// All buckets by name.
    pub(crate) async fn buckets(&self) -> Result<Vec<Bucket>, EndpointFault> {
        let all = sqlx::query_as("select name, versioning, created_at from bucket order by name")
            .fetch_all(&self.readers)
            .await?;
        Ok(all)
    }

    /// Switches versioning on, or off again.
    pub(crate) async fn set_versioning(
        &self,
        name: String,
        versioning: Versioning,
    ) -> Result<(), EndpointFault> {
        self.write(Vec::new(), move |change| {
            Box::pin(async move {
                let done = sqlx::query("update bucket set versioning = ? where name = ?")
                    .bind(versioning.as_str())
                    .bind(name)
                    .execute(change.sql())
                    .await?;
                if done.rows_affected() == 0 {
                    return Err(S3ErrorCode::NoSuchBucket.into());
                }
                Ok(())
            })
        })
        .await
    }
}
