//! Port of the object store. There is one implementation, on the S3 API; it is a port because roles
//! may not name a vendor (docs/adr/0002).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::accounts::S3KeyPair;
use crate::batch::BatchId;
use crate::failure::PortError;
use crate::image::{Lane, NewImage};
use crate::object::ObjectVersion;
use crate::time::Stamp;

/// Why the notified bytes could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The version is gone, or another one is there now.
    #[error("the notified version is no longer there")]
    Gone,
    /// No object of this key exists at all.
    #[error("the object does not exist")]
    Missing,
    /// The bucket refuses.
    #[error("access to the object is denied")]
    Denied,
    /// Larger than the caller accepts; nothing more was read.
    #[error("the object is larger than {limit} bytes")]
    TooLarge {
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// The object store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// An upload by this program on behalf of a client.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The key to store it under.
    pub key: String,
    /// The content.
    pub body: Bytes,
    /// Which lane it asks for.
    pub lane: Lane,
    /// What else is said of it.
    pub metadata: ObjectMetadata,
}

/// What whoever stored an object said of it beside the bytes: `x-amz-meta-NAME`, by lower-case name, values as they were
/// sent. Personal: `Debug` says nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ObjectMetadata(BTreeMap<String, String>);

impl ObjectMetadata {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// With one name more.
    pub fn with(mut self, name: &str, value: String) -> Self {
        self.0.insert(name.to_ascii_lowercase(), value);
        self
    }

    /// Each name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for ObjectMetadata {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }
}

impl fmt::Debug for ObjectMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectMetadata(…)")
    }
}

/// What the metadata of an object asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The fast lane, by `priority: stat`.
    pub lane: Lane,
    /// To be of this batch, by `batch: UUID`. What is no UUID asks for nothing.
    pub batch: Option<BatchId>,
}

/// What became of an upload that was to be stored only where its key has nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is this version.
    Stored(ObjectVersion),
    /// Something is there already, and was left alone.
    There,
}

/// What was fetched of an object.
#[derive(Clone)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Bytes,
    /// What was said of it when it was stored.
    pub metadata: ObjectMetadata,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetched({} bytes)", self.bytes.len())
    }
}

/// See the module's documentation.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Exactly the bytes of the notified version, at most `limit` of them, and its metadata: one request.
    async fn fetch(&self, object: &ObjectVersion, limit: u64) -> Result<Fetched, FetchError>;

    /// What the object's metadata asks for.
    async fn asked(&self, object: &ObjectVersion) -> Result<Asked, FetchError>;

    /// What its bucket holds under the key of `object` now, whichever version that is, and which lane that asks
    /// for; `None` when there is nothing, or a delete marker. As of when it is current is not known: it
    /// comes without a sequencer.
    async fn current(&self, object: &ObjectVersion) -> Result<Option<NewImage>, FetchError>;

    /// Stores an object in the uploads bucket, and says which version it became.
    async fn put(&self, upload: Upload) -> Result<ObjectVersion, PortError>;

    /// Stores an object in the uploads bucket unless its key has one that is current: of two that store under one key at
    /// the same time exactly one does, and the other is told that it is there. A delete marker is nothing. Where the
    /// bucket knows no conditions (RFC 9110, section 13.1.2) it is as [`ObjectStore::put`].
    async fn put_new(&self, upload: Upload) -> Result<Created, PortError>;

    /// A URL that lets its holder PUT this key, and nothing else, until it expires. The same
    /// `lane` must then be sent as the header `x-amz-meta-priority` when it is `stat`, and `metadata` as
    /// `x-amz-meta-NAME`. It is signed with `pair` where one is given: then it holds no longer than that does.
    async fn presign_put(
        &self,
        key: &str,
        lane: Lane,
        metadata: &ObjectMetadata,
        valid: Duration,
        pair: Option<&S3KeyPair>,
    ) -> Result<String, PortError>;

    /// Whether the uploads bucket can be reached.
    async fn check(&self) -> Result<(), PortError>;
}

/// One version of an object as its bucket lists it. Delete markers are not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVersion {
    /// Which.
    pub object: ObjectVersion,
    /// Whether it is what a reader of its key gets.
    pub latest: bool,
    /// When it was stored.
    pub modified_at: Stamp,
}

/// Where a page of versions ends. Holds a key: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct VersionMarker {
    /// The last key of the page.
    pub key: String,
    /// The last version of that key, where the bucket says so.
    pub version: Option<String>,
}

/// One page of versions.
pub struct VersionPage {
    /// In the order of keys, at most a thousand.
    pub versions: Vec<ListedVersion>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<VersionMarker>,
}

/// All that lies in the uploads bucket: for those who compare it with the store.
#[async_trait]
pub trait ObjectListing: Send + Sync {
    /// The bucket's name.
    fn bucket(&self) -> &str;

    /// Versions of keys that begin with `prefix`, a page at a time.
    async fn versions(
        &self,
        prefix: &str,
        after: Option<VersionMarker>,
    ) -> Result<VersionPage, PortError>;
}

/// Why a version was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The bucket has it, and refuses: a permission is missing (`s3:DeleteObjectVersion`, `s3:ListBucketVersions`,
    /// `s3:GetObject`), deleting asks for MFA, or an object lock or a legal hold keeps it.
    #[error(
        "the bucket refuses to delete a version: a permission is missing, or MFA delete, an object lock or a legal \
         hold keeps it"
    )]
    Refused,
    /// The object store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Deleting for good: versions by their ids, so that nothing can be undeleted.
#[async_trait]
pub trait ObjectErasure: ObjectListing {
    /// Deletes one version, in whichever bucket it says it is. It is no error if that is gone. Where the bucket has no
    /// versions, another content that has been stored under the key since is left alone; one that is stored between the
    /// look and the deletion is not seen.
    async fn erase(&self, object: &ObjectVersion) -> Result<(), EraseError>;

    /// Deletes the delete markers of a key of which no version is left.
    async fn erase_markers(&self, bucket: &str, key: &str) -> Result<(), EraseError>;
}
