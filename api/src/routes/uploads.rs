//! `POST /v1/uploads`: leave to PUT files straight into the bucket, and the ids they got there.
//!
//! An id is derived from the version that the bucket gives an object, so it is known only after the
//! PUT: its answer's `x-amz-version-id` and `ETag` go to `POST /v1/uploads/identify`.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::Data;
use lobar_core::accounts::KeyOwner;
use lobar_core::audit::Action;
use lobar_core::batch::METADATA;
use lobar_core::image::Lane;
use lobar_core::object::{ImageId, site_of};
use lobar_core::object_store::ObjectMetadata;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::receive::{id_of, lane, site_or_default};
use crate::access::{Allowed, need};
use crate::batch;
use crate::context::Context;
use crate::json::Json;
use crate::key;
use crate::problem::{Kind, Problem};
use crate::record::entry;
use crate::said::Said;
use crate::timestamp::rfc3339;

pub(super) const NAMES_MAX: usize = 1000;
/// S3's own limit, in bytes.
pub(super) const KEY_MAX: usize = 1024;

/// Files about to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresignBody {
    /// Uploading site.
    site: Option<String>,
    /// `stat` or `routine`.
    priority: Option<String>,
    /// Letters, digits and `-`, at most 64: a word of the uploader's for these files, such as a
    /// digest of their content. An interrupted upload that is tried again with the same word puts
    /// the same objects, not further ones. A fresh word for each file when left out.
    folder: Option<String>,
    /// The batch that they are uploaded in: a UUID that the client makes up, the same for all files of one upload.
    #[schema(value_type = Option<Uuid>)]
    batch: Option<String>,
    /// Whom the files show, for JPEG and PNG. It is the same for all of them.
    #[serde(default)]
    identity: Said,
    /// File names, 1 to 1,000; only the last component is kept, in the key.
    names: Vec<String>,
}

/// Leave to PUT, in the order of the names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Presigned {
    uploads: Vec<PresignedPut>,
    /// RFC 3339, UTC.
    expires_at: String,
}

/// Leave to PUT one object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PresignedPut {
    /// The name that was asked for.
    name: String,
    /// Opaque; for `/v1/uploads/identify`.
    key: String,
    /// `PUT`.
    #[schema(value_type = String)]
    method: &'static str,
    url: String,
    /// Headers that must be sent, exactly so.
    headers: BTreeMap<String, String>,
}

/// Objects that were PUT.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentifyBody {
    /// The batch that they were uploaded in, where there is one: it knows of them then before the bucket has told.
    #[schema(value_type = Option<Uuid>)]
    batch: Option<String>,
    uploads: Vec<PutObject>,
}

/// One object with what the bucket answered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutObject {
    key: String,
    /// The header `x-amz-version-id` of the answer.
    version_id: Option<String>,
    /// The header `ETag` of the answer.
    etag: Option<String>,
}

/// Ids in the order of the objects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Identified {
    ids: Vec<Uuid>,
}

/// Presigned URLs for a list of names.
#[utoipa::path(post, path = "/v1/uploads", tag = "uploads", request_body = PresignBody, responses(
    (status = 200, body = Presigned),
    (status = 400, description = "A bad field.", content_type = "application/problem+json"),
))]
pub(crate) async fn presign(
    allowed: Allowed<need::Upload>,
    context: Data<Context>,
    body: Json<PresignBody>,
) -> Result<Json<Presigned>, Problem> {
    let body = body.into_inner();
    let lane = body.check()?;
    let mut metadata = body.identity.metadata()?;
    let batch = batch::said(body.batch.as_deref())?;
    if let Some(batch) = batch {
        metadata = metadata.with(METADATA, batch.to_string());
    }
    let site = site_or_default(&context, &allowed, body.site.clone()).await?;
    context.add_to_batch(&allowed, batch, Some(&site), Vec::new()).await?;
    let noted = site.clone();
    let valid = context.settings.presigned_for;
    let expires_at = rfc3339(context.clock.now().plus(valid));
    let objects = Arc::clone(&context.objects);
    let owner = KeyOwner::from(&allowed.caller().who);
    let pair = context.settings.s3_keys.as_ref().map(|keys| keys.pair(owner));
    let uploads = context.run(async move {
        let mut uploads = Vec::with_capacity(body.names.len());
        for name in body.names {
            let key = key_of(&site, lane, body.folder.as_deref(), &name);
            let url = objects.presign_put(&key, lane, &metadata, valid, pair.as_ref()).await?;
            let headers = headers(lane, &metadata);
            uploads.push(PresignedPut { name, key, method: "PUT", url, headers });
        }
        Ok::<_, lobar_core::failure::PortError>(uploads)
    });
    let uploads = uploads.await??;
    let mut given = entry(&allowed, Action::Uploaded, Some(&noted));
    given.detail = json!({ "links": uploads.len() });
    context.recorder.note_upload(given)?;
    Ok(Json(Presigned { uploads, expires_at }))
}

/// Which image ids the bucket's answers mean.
#[utoipa::path(post, path = "/v1/uploads/identify", tag = "uploads", request_body = IdentifyBody,
    responses(
        (status = 200, body = Identified),
        (status = 400, description = "A bad field.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn identify(
    allowed: Allowed<need::Upload>,
    context: Data<Context>,
    body: Json<IdentifyBody>,
) -> Result<Json<Identified>, Problem> {
    let body = body.into_inner();
    let batch = batch::said(body.batch.as_deref())?;
    let keys = body.uploads.iter().map(|upload| site_of(&upload.key).map(str::to_owned));
    let sites: Vec<Option<String>> = keys.collect();
    let ids = body.ids(&context.settings.bucket)?;
    let mut by_site: BTreeMap<Option<String>, Vec<ImageId>> = BTreeMap::new();
    for (site, id) in sites.into_iter().zip(&ids) {
        // What the caller may not upload is in no batch by their word.
        if allowed.at(site.as_deref()) {
            by_site.entry(site).or_default().push(ImageId(*id));
        }
    }
    for (site, files) in by_site {
        context.add_to_batch(&allowed, batch, site.as_deref(), files).await?;
    }
    Ok(Json(Identified { ids }))
}

/// Ids that uploads were given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownBody {
    /// The batch that they would be uploaded in: those that are known are told of in it as duplicates.
    #[schema(value_type = Option<Uuid>)]
    batch: Option<String>,
    ids: Vec<Uuid>,
}

/// In the order of the ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KnownList {
    known: Vec<bool>,
}

/// Which images are known still, of those at sites where the caller may upload. It tells nothing else of them. Erased ones
/// are known: they are not to be uploaded again.
#[utoipa::path(post, path = "/v1/uploads/known", tag = "uploads", request_body = KnownBody,
    responses(
        (status = 200, body = KnownList),
        (status = 400, description = "Too many, or no ids.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn known(
    allowed: Allowed<need::Upload>,
    context: Data<Context>,
    body: Json<KnownBody>,
) -> Result<Json<KnownList>, Problem> {
    let KnownBody { batch, ids } = body.into_inner();
    let batch = batch::said(batch.as_deref())?;
    check_count(ids.len())?;
    let mut by_site: BTreeMap<Option<String>, Vec<ImageId>> = BTreeMap::new();
    let mut known = Vec::with_capacity(ids.len());
    for id in ids.into_iter().map(ImageId) {
        let image = context.ask(move |store| async move { store.image(id).await }).await?;
        let waiting = context.accepted.get(id).filter(|upload| allowed.at(Some(&upload.site)));
        let admitted = image.filter(|image| allowed.at(image.object.site()));
        let site = match (&admitted, &waiting) {
            (Some(image), _) => Some(image.object.site().map(str::to_owned)),
            (None, Some(upload)) => Some(Some(upload.site.clone())),
            (None, None) => None,
        };
        known.push(site.is_some() || is_erased(&context, &allowed, id).await?);
        if let Some(site) = site {
            by_site.entry(site).or_default().push(id);
        }
    }
    for (site, files) in by_site {
        context.add_to_batch(&allowed, batch, site.as_deref(), files).await?;
    }
    Ok(Json(KnownList { known }))
}

/// Whether it was erased, at a site where the caller may upload.
async fn is_erased(
    context: &Data<Context>,
    allowed: &Allowed<need::Upload>,
    id: ImageId,
) -> Result<bool, Problem> {
    let erasures = &context.erasure.erasures;
    let tombstone = context.ask_port(erasures, move |port| async move { port.tombstone(id).await });
    let site = tombstone.await?.map(|tombstone| tombstone.site);
    Ok(site.is_some_and(|site| allowed.at(site.as_ref().map(|site| site.as_str()))))
}

impl PresignBody {
    /// The lane that is asked for; a problem where a member is not what it can be.
    pub(crate) fn check(&self) -> Result<Lane, Problem> {
        check_count(self.names.len())?;
        if self.folder.as_deref().is_some_and(|folder| !key::is_folder(folder)) {
            let detail = "`folder` takes letters, digits and `-`, at most 64.";
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        lane(self.priority.as_deref())
    }

    /// The keys that the files get, in the order of their names.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn keys(&self, site: &str, lane: Lane) -> Vec<String> {
        self.names.iter().map(|name| key_of(site, lane, self.folder.as_deref(), name)).collect()
    }
}

fn key_of(site: &str, lane: Lane, folder: Option<&str>, name: &str) -> String {
    match folder {
        Some(folder) => key::within(site, lane, folder, name),
        None => key::fresh(site, lane, name),
    }
}

impl IdentifyBody {
    /// The ids of the images, in the order of the objects.
    pub(crate) fn ids(self, bucket: &str) -> Result<Vec<Uuid>, Problem> {
        check_count(self.uploads.len())?;
        self.uploads.into_iter().map(|upload| upload.id(bucket)).collect()
    }
}

impl PutObject {
    fn id(self, bucket: &str) -> Result<Uuid, Problem> {
        if self.key.is_empty() || self.key.len() > KEY_MAX {
            let detail = format!("A key has 1 to {KEY_MAX} bytes.");
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        if self.version_id.is_none() && self.etag.is_none() {
            let detail = "Send `version_id`, or `etag` when the bucket has no versions.";
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        Ok(id_of(bucket, self.key, self.version_id, self.etag).0)
    }
}

fn check_count(count: usize) -> Result<(), Problem> {
    if (1..=NAMES_MAX).contains(&count) {
        return Ok(());
    }
    Err(Problem::new(Kind::BadParameter, format!("1 to {NAMES_MAX} files a request.")))
}

fn headers(lane: Lane, metadata: &ObjectMetadata) -> BTreeMap<String, String> {
    let stat = (lane == Lane::Stat).then_some(("priority", "stat"));
    let all = metadata.iter().chain(stat);
    all.map(|(name, value)| (format!("x-amz-meta-{name}"), value.to_owned())).collect()
}
