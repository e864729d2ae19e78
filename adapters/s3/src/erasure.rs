//! Deleting for good: versions by their ids, and the delete markers above them.

use async_trait::async_trait;
use aws_sdk_s3::types::DeleteMarkerEntry;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{EraseError, ObjectErasure};
use tracing::instrument::WithSubscriber as _;

use super::error::S3Error;
use super::{S3ObjectStore, bare};

const HEAD: &str = "s3: look before erasing";
const DELETE: &str = "s3: erase";
const LIST: &str = "s3: list delete markers";

/// What S3 calls the version of what was stored without versioning. Named, it is deleted in buckets of every kind; without
/// a version, a bucket that has versions by now would put a delete marker on top and keep the bytes.
const NULL: &str = "null";

#[async_trait]
impl ObjectErasure for S3ObjectStore {
    async fn erase(&self, object: &ObjectVersion) -> Result<(), EraseError> {
        let version = object.version.as_deref().unwrap_or(NULL);
        if object.version.is_none() && !self.is_still(object).await? {
            return Ok(());
        }
        self.delete(&object.bucket, &object.key, version).await
    }

    async fn erase_markers(&self, bucket: &str, key: &str) -> Result<(), EraseError> {
        let mut markers: Vec<String> = Vec::new();
        let (mut at, mut version) = (None, None);
        loop {
            let list = self.client.list_object_versions().bucket(bucket).prefix(key);
            let list = list.set_key_marker(at.clone()).set_version_id_marker(version.clone());
            let page = Box::pin(list.send().with_subscriber(self.log.clone())).await;
            let page = match page.map_err(|error| S3Error::of(&error)) {
                Ok(page) => page,
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(refused(error, LIST)),
            };
            // Keys are listed in their order, the shortest of a prefix first.
            let further = page.versions().iter().filter_map(|one| one.key());
            let mut keys = further.chain(page.delete_markers().iter().filter_map(|one| one.key()));
            let others = keys.any(|one| one != key);
            if page.versions().iter().any(|one| one.key() == Some(key)) {
                return Ok(());
            }
            let own = |marker: &&DeleteMarkerEntry| marker.key() == Some(key);
            let own = page.delete_markers().iter().filter(own);
            markers.extend(own.filter_map(|marker| marker.version_id()).map(str::to_owned));
            if others || !page.is_truncated().unwrap_or(false) {
                break;
            }
            let next = page.next_key_marker().map(str::to_owned);
            let next_version = page.next_version_id_marker().map(str::to_owned);
            if next.is_none() || (&next, &next_version) == (&at, &version) {
                return Err(S3Error::Unreadable.into_port(LIST).into());
            }
            (at, version) = (next, next_version);
        }
        for marker in markers {
            self.delete(bucket, key, &marker).await?;
        }
        Ok(())
    }
}

impl S3ObjectStore {
    /// Whether what lies without a version under the object's key is this content. Another one is another image.
    async fn is_still(&self, object: &ObjectVersion) -> Result<bool, EraseError> {
        let head = self.client.head_object().bucket(&object.bucket).key(&object.key);
        let head = head.version_id(NULL).send().with_subscriber(self.log.clone()).await;
        match head {
            Ok(head) => Ok(object.etag.is_none() || head.e_tag().map(bare) == object.etag),
            Err(error) => match S3Error::of(&error) {
                // A delete marker answers 405.
                S3Error::Answered { status: 404 | 405, .. } => Ok(false),
                error => Err(refused(error, HEAD)),
            },
        }
    }

    async fn delete(&self, bucket: &str, key: &str, version: &str) -> Result<(), EraseError> {
        let delete = self.client.delete_object().bucket(bucket).key(key).version_id(version);
        match delete.send().with_subscriber(self.log.clone()).await {
            Ok(_) => Ok(()),
            Err(error) => match S3Error::of(&error) {
                error if is_gone(&error) => Ok(()),
                error => Err(refused(error, DELETE)),
            },
        }
    }
}

/// Whether a version cannot be there: it was deleted, or it is of the form of another store, which had the bucket before. A
/// bucket that is not there proves nothing: the settings may lead to the wrong store.
fn is_gone(error: &S3Error) -> bool {
    let S3Error::Answered { status, code } = error else { return false };
    *status == 404 && code != "NoSuchBucket"
        || *status == 400 && matches!(code.as_str(), "InvalidArgument" | "NoSuchVersion")
}

/// A bucket that refuses one version says nothing of the others.
fn refused(error: S3Error, what: &'static str) -> EraseError {
    match error.refuses() {
        true => EraseError::Refused,
        false => error.into_port(what).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_or_is_of_another_store_is_gone() {
        let gone = |status, code: &str| is_gone(&S3Error::Answered { status, code: code.into() });
        assert!(gone(404, "NoSuchKey") && gone(404, "NoSuchVersion"));
        assert!(!gone(404, "NoSuchBucket"));
        assert!(gone(400, "InvalidArgument") && gone(400, "NoSuchVersion"));
        assert!(
            !gone(400, "InvalidRequest") && !gone(403, "AccessDenied") && !gone(503, "SlowDown")
        );
        assert!(!is_gone(&S3Error::Timeout));
    }
}
