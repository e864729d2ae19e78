//! The port of the object store on S3's API: Amazon's, the embedded endpoint, or anything alike.
//!
//! Errors and log lines of the SDK name URLs, and URLs hold object keys: neither leaves this module.

mod announcements;
mod download;
mod erasure;
mod error;
mod examine;
mod listing;
mod local;
mod versions;
mod weights;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Config, Credentials as KeyPair, RequestChecksumCalculation};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::BytesMut;
use lobar_aws::{Access, Credentials};
use lobar_core::accounts::S3KeyPair;
use lobar_core::batch::{self, BatchId};
use lobar_core::failure::PortError;
use lobar_core::image::{Lane, NewImage};
use lobar_core::log_filter;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{
    Asked, Created, FetchError, Fetched, ObjectMetadata, ObjectStore, Upload,
};
use lobar_core::retry::Backoff;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use error::{BodyError, S3Error};
pub use listing::{Listed, S3Folder};
use local::is_local;
pub use weights::S3Weights;

/// The metadata name and value that ask for the fast lane.
const PRIORITY: (&str, &str) = ("priority", "stat");
/// How often a body that breaks off is asked for, and the pauses between.
const BODY_ATTEMPTS: u32 = 3;
const BODY_PAUSES: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) };
/// How often a put is tried that conflicts with another one of the same key.
const CONFLICT_ATTEMPTS: u32 = 4;
/// The most that is set aside for a body before its bytes are there.
const RESERVE: u64 = 16 << 20;

/// Marks what one conditional put stores, in the object's metadata.
struct Mark(String);

impl Mark {
    /// The metadata name.
    const NAME: &str = "lobar-put";

    fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }
}

/// Where the object store is.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Another endpoint than Amazon's, as a URL. Buckets are then addressed by path.
    pub endpoint: Option<String>,
    /// The region; without one, the environment's.
    pub region: Option<String>,
    /// A key pair; without one, the usual chain: environment, profile, the machine's role.
    pub credentials: Option<Credentials>,
    /// The bucket.
    pub bucket: String,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one attempt may take until its answer begins.
    pub attempt_timeout: Duration,
    /// How long one body may take, however steadily it comes.
    pub body_timeout: Duration,
    /// Attempts of one operation, the first included.
    pub attempts: u32,
}

impl S3Options {
    /// The usual patience, for this bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            endpoint: None,
            region: None,
            credentials: None,
            bucket: bucket.into(),
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(120),
            attempts: 4,
        }
    }
}

/// See the module's documentation.
pub struct S3ObjectStore {
    client: Client,
    bucket: String,
    body_timeout: Duration,
    /// Requests stay on this machine: see [`is_local`].
    is_local: bool,
    /// The bucket has said that it knows no `If-None-Match` on a put.
    unconditional: AtomicBool,
    /// Where log lines go, without those of the SDK.
    log: Dispatch,
}

impl S3ObjectStore {
    /// Reads the surroundings for what the options leave open. Asks nothing of the store yet.
    pub async fn connect(options: S3Options) -> Self {
        let (client, log) = client(&options).await;
        let is_local = options.endpoint.as_deref().is_some_and(is_local);
        let (bucket, body_timeout) = (options.bucket, options.body_timeout);
        let unconditional = AtomicBool::new(false);
        Self { client, bucket, body_timeout, is_local, unconditional, log }
    }

    async fn open(&self, object: &ObjectVersion) -> Result<GetObjectOutput, FetchError> {
        let pinned = object.version.as_deref();
        let by_etag = object.etag.as_deref().filter(|_| pinned.is_none());
        self.client
            .get_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .set_version_id(pinned.map(str::to_owned))
            .set_if_match(by_etag.map(quoted))
            .send()
            .with_subscriber(self.log.clone())
            .await
            .map_err(|error| S3Error::of(&error).into_fetch("s3: get", pinned.is_some()))
    }

    async fn read(&self, object: &ObjectVersion, limit: u64) -> Result<Fetched, FetchError> {
        let mut output = self.open(object).await?;
        let metadata = output.metadata.take().unwrap_or_default().into_iter().collect();
        let broken = |why| PortError::transient("s3: get", why);
        let announced = output.content_length().and_then(|length| u64::try_from(length).ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(FetchError::TooLarge { limit });
        }
        let whole = self.drain(output.body, announced.unwrap_or(0), limit);
        let whole = tokio::time::timeout(self.body_timeout, whole).await;
        let bytes = whole.map_err(|_| broken(BodyError::TooSlow))??;
        if announced.is_some_and(|length| length != bytes.len() as u64) {
            return Err(broken(BodyError::Short).into());
        }
        Ok(Fetched { bytes: bytes.freeze(), metadata })
    }

    /// Puts an object, or one with a mark under the condition `If-None-Match`.
    async fn send(
        &self,
        upload: Upload,
        condition: Option<(&Mark, &str)>,
    ) -> Result<ObjectVersion, S3Error> {
        let size = upload.body.len() as u64;
        let put = self.client.put_object().bucket(&self.bucket).key(&upload.key);
        let mut metadata = said(upload.lane, &upload.metadata);
        metadata.extend(condition.map(|(mark, _)| (Mark::NAME.to_owned(), mark.0.clone())));
        let if_none_match = condition.map(|(_, value)| value.to_owned());
        let put = put.set_metadata(Some(metadata)).set_if_none_match(if_none_match);
        let mut put = put.body(upload.body.into()).customize();
        if self.is_local {
            put = put.disable_payload_signing();
        }
        let done = put.send().with_subscriber(self.log.clone()).await;
        let done = done.map_err(|error| S3Error::of(&error))?;
        Ok(ObjectVersion {
            bucket: self.bucket.clone(),
            key: upload.key,
            version: named(done.version_id()),
            etag: done.e_tag().map(bare),
            sequencer: None,
            size: Some(size),
        })
    }

    /// What the bucket has under a key, of this size, where it has this mark.
    async fn marked(
        &self,
        key: &str,
        mark: &Mark,
        size: u64,
    ) -> Result<Option<ObjectVersion>, S3Error> {
        let head = self.client.head_object().bucket(&self.bucket).key(key).send();
        let head = match head.with_subscriber(self.log.clone()).await {
            Ok(head) => head,
            Err(error) => match S3Error::of(&error) {
                // Deleted since: another one's, or one's own.
                S3Error::Answered { status: 404, .. } => return Ok(None),
                error => return Err(error),
            },
        };
        let is_own = head.metadata().and_then(|it| it.get(Mark::NAME)) == Some(&mark.0);
        Ok(is_own.then(|| ObjectVersion {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            version: named(head.version_id()),
            etag: head.e_tag().map(bare),
            sequencer: None,
            size: Some(size),
        }))
    }

    /// All of a body, at most `limit` bytes of it.
    async fn drain(
        &self,
        mut body: ByteStream,
        announced: u64,
        limit: u64,
    ) -> Result<BytesMut, FetchError> {
        let reserved = usize::try_from(announced.min(RESERVE)).unwrap_or(0);
        let mut bytes = BytesMut::with_capacity(reserved);
        loop {
            // The error's own text may name the URL: only that it broke off is passed on.
            let next = body.try_next().with_subscriber(self.log.clone()).await;
            let next = next.map_err(|_| PortError::transient("s3: get", BodyError::BrokeOff))?;
            let Some(chunk) = next else { return Ok(bytes) };
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(FetchError::TooLarge { limit });
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

impl S3ObjectStore {
    /// Removes a version of an object for good; without a version id, whatever is stored under its key.
    ///
    /// # Errors
    /// The store cannot be asked, or refuses.
    pub async fn remove(&self, object: &ObjectVersion) -> Result<(), PortError> {
        let delete = self.client.delete_object().bucket(&object.bucket).key(&object.key);
        let delete = delete.set_version_id(object.version.clone()).send();
        let done = delete.with_subscriber(self.log.clone()).await;
        done.map(drop).map_err(|error| S3Error::of(&error).into_port("s3: delete"))
    }
}

#[async_trait]
impl ObjectStore for S3ObjectStore {
    async fn fetch(&self, object: &ObjectVersion, limit: u64) -> Result<Fetched, FetchError> {
        for attempt in 1..BODY_ATTEMPTS {
            match self.read(object, limit).await {
                // The SDK has tried again already unless the answer had begun.
                Err(FetchError::Port(error)) if BodyError::off(&error) => {
                    tokio::time::sleep(BODY_PAUSES.delay(attempt - 1, rand::random())).await;
                }
                outcome => return outcome,
            }
        }
        self.read(object, limit).await
    }

    async fn asked(&self, object: &ObjectVersion) -> Result<Asked, FetchError> {
        let pinned = object.version.as_deref();
        let by_etag = object.etag.as_deref().filter(|_| pinned.is_none());
        let head = self
            .client
            .head_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .set_version_id(pinned.map(str::to_owned))
            .set_if_match(by_etag.map(quoted))
            .send()
            .with_subscriber(self.log.clone())
            .await
            .map_err(|error| S3Error::of(&error).into_fetch("s3: head", pinned.is_some()))?;
        let batch = head.metadata().and_then(|metadata| metadata.get(batch::METADATA));
        let batch = batch.and_then(|id| BatchId::parse(id));
        Ok(Asked { lane: asked_lane(head.metadata()), batch })
    }

    async fn current(&self, object: &ObjectVersion) -> Result<Option<NewImage>, FetchError> {
        let head = self.client.head_object().bucket(&object.bucket).key(&object.key).send();
        let head = match head.with_subscriber(self.log.clone()).await {
            Ok(head) => head,
            Err(error) => match S3Error::of(&error).into_fetch("s3: head", false) {
                FetchError::Missing | FetchError::Gone => return Ok(None),
                error => return Err(error),
            },
        };
        let current = ObjectVersion {
            version: named(head.version_id()),
            etag: head.e_tag().map(bare),
            sequencer: None,
            size: head.content_length().and_then(|length| u64::try_from(length).ok()),
            ..object.clone()
        };
        Ok(Some(NewImage { object: current, lane: asked_lane(head.metadata()) }))
    }

    async fn put(&self, upload: Upload) -> Result<ObjectVersion, PortError> {
        self.send(upload, None).await.map_err(|error| error.into_port("s3: put"))
    }

    async fn put_new(&self, upload: Upload) -> Result<Created, PortError> {
        const WHAT: &str = "s3: put where nothing is";
        let mut attempt = 0;
        // What a try stored whose answer was lost is there at the next one: this tells it from what others stored.
        let mark = Mark::random();
        while !self.unconditional.load(Ordering::Relaxed) {
            let error = match self.send(upload.clone(), Some((&mark, "*"))).await {
                Ok(object) => return Ok(Created::Stored(object)),
                Err(error) => error,
            };
            attempt += 1;
            match error {
                S3Error::Answered { status: 412, .. } => {
                    let own = self.marked(&upload.key, &mark, upload.body.len() as u64).await;
                    let own = own.map_err(|error| error.into_port(WHAT))?;
                    return Ok(own.map_or(Created::There, Created::Stored));
                }
                error if error.knows_no_conditions() => {
                    self.unconditional.store(true, Ordering::Relaxed);
                    tracing::warn!(
                        %error,
                        "the bucket knows no If-None-Match: an instance that comes twice at once may be stored twice"
                    );
                }
                // Another put of this key is under way, or a deletion: only afterwards it is known who was first.
                S3Error::Answered { status: 409, .. } if attempt < CONFLICT_ATTEMPTS => {
                    tokio::time::sleep(BODY_PAUSES.delay(attempt - 1, rand::random())).await;
                }
                error @ S3Error::Answered { status: 409, .. } => {
                    return Err(PortError::transient(WHAT, error));
                }
                error => return Err(error.into_port(WHAT)),
            }
        }
        self.put(upload).await.map(Created::Stored)
    }

    async fn presign_put(
        &self,
        key: &str,
        lane: Lane,
        metadata: &ObjectMetadata,
        valid: Duration,
        pair: Option<&S3KeyPair>,
    ) -> Result<String, PortError> {
        const WHAT: &str = "s3: presign";
        let config = PresigningConfig::expires_in(valid)
            .map_err(|error| PortError::permanent(WHAT, error))?;
        let put = self.client.put_object().bucket(&self.bucket).key(key);
        let put = put.set_metadata(Some(said(lane, metadata)));
        let mut put = put.customize();
        if let Some(pair) = pair {
            let pair = KeyPair::new(&pair.access_key, &pair.secret_key, None, None, "lobar");
            put = put.config_override(Config::builder().credentials_provider(pair));
        }
        let signed = put.presigned(config).with_subscriber(self.log.clone()).await;
        let signed = signed.map_err(|error| S3Error::of(&error).into_port(WHAT))?;
        Ok(signed.uri().to_owned())
    }

    async fn check(&self) -> Result<(), PortError> {
        let head = self.client.head_bucket().bucket(&self.bucket).send();
        let head = head.with_subscriber(self.log.clone()).await;
        head.map_err(|error| S3Error::of(&error).into_port("s3: check"))?;
        // A bucket may answer while its objects do not. An object that is not there is denied where reading or listing
        // is: then every image would be denied, which says nothing of one.
        let head = self.client.head_object().bucket(&self.bucket).key(examine::PROBE).send();
        match head.with_subscriber(self.log.clone()).await.map_err(|error| S3Error::of(&error)) {
            Ok(_) | Err(S3Error::Answered { status: 404, .. }) => Ok(()),
            Err(denied @ S3Error::Answered { status: 401 | 403, .. }) => {
                Err(PortError::transient("s3: check", denied))
            }
            Err(error) => Err(error.into_port("s3: check")),
        }
    }
}

/// A client for these options, and where its log lines go.
async fn client(options: &S3Options) -> (Client, Dispatch) {
    let log = log_filter::ours_only();
    let timeouts = lobar_aws::timeouts(options.connect_timeout, options.attempt_timeout);
    let retry = RetryConfig::standard().with_max_attempts(options.attempts);
    let access =
        Access { region: options.region.clone(), credentials: options.credentials.clone() };
    let shared = lobar_aws::config(access, retry, timeouts, &log).await;
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        // The signature covers the body as it is; a further checksum would be signed into
        // presigned URLs, whose holder cannot know it.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .force_path_style(options.endpoint.is_some());
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    (Client::from_conf(config.build()), log)
}

fn quoted(etag: &str) -> String {
    format!("\"{}\"", bare(etag))
}

fn bare(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

/// The version that an answer names. Buckets whose versioning is suspended say `null`, and leave it out of
/// their events.
fn named(version: Option<&str>) -> Option<String> {
    version.filter(|id| *id != "null").map(str::to_owned)
}

/// What is said of an object when it is put.
fn said(lane: Lane, metadata: &ObjectMetadata) -> HashMap<String, String> {
    let stat = (lane == Lane::Stat).then_some(PRIORITY);
    let all = metadata.iter().chain(stat);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The lane that an object's metadata asks for.
fn asked_lane(metadata: Option<&HashMap<String, String>>) -> Lane {
    let (name, value) = PRIORITY;
    let asked = metadata.and_then(|metadata| metadata.get(name));
    if asked.is_some_and(|asked| asked == value) { Lane::Stat } else { Lane::Routine }
}

/// A prefix as all keys of that folder begin: empty, or with one `/` at its end.
fn folder(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}
