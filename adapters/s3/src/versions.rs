//! The listing of a bucket's versions.

use async_trait::async_trait;
use aws_sdk_s3::types::ObjectVersion as Version;
use lobar_core::failure::PortError;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{ListedVersion, ObjectListing, VersionMarker, VersionPage};
use lobar_core::time::Stamp;
use tracing::instrument::WithSubscriber as _;

use super::S3ObjectStore;
use super::error::S3Error;

const WHAT: &str = "s3: list versions";

#[async_trait]
impl ObjectListing for S3ObjectStore {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        let (key, version) = after.clone().map(|marker| (marker.key, marker.version)).unzip();
        let list = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
        let list = list.set_key_marker(key).set_version_id_marker(version.flatten()).send();
        let page = Box::pin(list.with_subscriber(self.log.clone())).await;
        let page = page.map_err(|error| S3Error::of(&error).into_port(WHAT))?;
        let versions =
            page.versions().iter().filter_map(|version| listed(&self.bucket, version)).collect();
        let next = page.is_truncated().unwrap_or(false).then(|| {
            let key = page.next_key_marker()?.to_owned();
            Some(VersionMarker { key, version: page.next_version_id_marker().map(str::to_owned) })
        });
        let next = match next {
            None => None,
            // Pages that make no end.
            Some(marker) if marker.is_none() || marker == after => {
                return Err(S3Error::Unreadable.into_port(WHAT));
            }
            Some(marker) => marker,
        };
        Ok(VersionPage { versions, next })
    }
}

fn listed(bucket: &str, version: &Version) -> Option<ListedVersion> {
    let named = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let modified = version.last_modified()?.as_nanos() / 1_000;
    Some(ListedVersion {
        object: ObjectVersion {
            bucket: bucket.to_owned(),
            key: version.key()?.to_owned(),
            // What was written without versioning is named so, and without a version in events.
            version: named(version.version_id()).filter(|id| id != "null"),
            etag: named(version.e_tag().map(|etag| etag.trim_matches('"'))),
            sequencer: None,
            size: version.size().and_then(|size| u64::try_from(size).ok()),
        },
        latest: version.is_latest().unwrap_or(false),
        modified_at: Stamp(i64::try_from(modified).unwrap_or(i64::MAX)),
    })
}
