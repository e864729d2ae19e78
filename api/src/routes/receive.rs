//! `POST /v1/images`: stores one file in the bucket. The bucket's event does the rest, so that
//! uploads here and by any S3 client take the same path.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::error::{ParseError, PayloadError};
use actix_web::http::header::{self, ContentDisposition, DispositionType, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use lobar_core::audit::{Action, NewEntry};
use lobar_core::batch::METADATA;
use lobar_core::image::{Lane, State};
use lobar_core::object::{ImageId, ObjectVersion, is_site_name};
use lobar_core::object_store::{self, ObjectMetadata};
use lobar_core::quarantine::NO_IMAGE;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::{Allowed, Need, need};
use crate::batch;
use crate::context::Context;
use crate::intake;
use crate::key;
use crate::pending_uploads::Upload;
use crate::problem::{Kind, Problem};
use crate::record::{entry, refused};
use crate::said::Said;

/// Longest text field of a form, in bytes.
const FIELD_MAX: usize = 256;

/// Where an upload comes from and how urgent it is; a form may say so in fields instead.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiveQuery {
    /// Uploading site: letters, digits, `.`, `_`, `-`.
    site: Option<String>,
    /// `stat` or `routine`.
    priority: Option<String>,
    /// The batch that it is uploaded in: a UUID that the client makes up, the same for all files of one upload.
    #[param(value_type = Option<Uuid>)]
    batch: Option<String>,
}

/// A form with one file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in the OpenAPI document")]
pub(crate) struct ReceiveForm {
    /// The image.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// As in the address.
    site: Option<String>,
    /// As in the address.
    priority: Option<String>,
    /// As in the address.
    #[schema(value_type = Option<Uuid>)]
    batch: Option<String>,
    /// Whom it shows, for a JPEG or PNG: the patient's id at the site.
    patient_id: Option<String>,
    /// Who gave out that id.
    patient_issuer: Option<String>,
    /// `Doe^Jane`.
    patient_name: Option<String>,
    /// `YYYYMMDD`.
    patient_birth_date: Option<String>,
    /// `M`, `F`, `O`.
    patient_sex: Option<String>,
    /// The accession number.
    accession: Option<String>,
    /// `YYYYMMDD`.
    study_date: Option<String>,
    /// `PA`, `AP`, `LL`.
    view_position: Option<String>,
}

/// A stored upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Receipt {
    id: Uuid,
    /// `queued`.
    #[schema(value_type = String, example = "queued")]
    status: &'static str,
    /// `no_image` where the file is none by its name and its content: it stays in the bucket, is put aside, and comes to be
    /// no image.
    #[schema(value_type = Option<String>, example = "no_image")]
    #[serde(skip_serializing_if = "Option::is_none")]
    put_aside: Option<&'static str>,
    links: Links,
}

/// Where to look next.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Links {
    /// The image.
    #[serde(rename = "self")]
    own: String,
    /// Its picture.
    picture: String,
    /// The live events.
    events: String,
}

/// What a request brought.
#[derive(Default)]
struct Received {
    file: Option<Bytes>,
    name: String,
    site: Option<String>,
    priority: Option<String>,
    batch: Option<String>,
    said: Said,
}

/// Stores one file: a form with the field `file`, or the bytes themselves as the body.
#[utoipa::path(post, path = "/v1/images", tag = "images", params(ReceiveQuery),
    request_body(content((ReceiveForm = "multipart/form-data"), (Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 202, body = Receipt),
        (status = 400, description = "No file, or a bad field.", content_type = "application/problem+json"),
        (status = 409, description = "The batch belongs to another site.", content_type = "application/problem+json"),
        (status = 408, description = "It stood still, or came too slowly.", content_type = "application/problem+json"),
        (status = 413, description = "Too large.", content_type = "application/problem+json"),
        (status = 415, description = "Compressed.", content_type = "application/problem+json"),
        (status = 503, description = "No room for it now; `Retry-After` says when to come back.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn receive(
    allowed: Allowed<need::Upload>,
    context: Data<Context>,
    request: HttpRequest,
    query: Query<ReceiveQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let limit = context.settings.limits.max_bytes;
    refuse_declared_size(&request, limit)?;
    let mut received = read(&request, payload, limit).await?;
    let ReceiveQuery { site, priority, batch } = query.into_inner();
    let site = site_or_default(&context, &allowed, received.site.take().or(site)).await?;
    let lane = lane(received.priority.take().or(priority).as_deref())?;
    let body = received.file.take().ok_or_else(|| {
        Problem::new(Kind::MissingFile, "Send a form with the field `file`, or the bytes as body.")
    })?;
    let batch = batch::said(received.batch.take().or(batch).as_deref())?;
    let mut metadata = received.said.metadata()?;
    if let Some(batch) = batch {
        metadata = metadata.with(METADATA, batch.to_string());
    }
    let named = Named { name: &received.name, metadata };
    // Before anything is stored: it may be another site's.
    context.add_to_batch(&allowed, batch, Some(&site), Vec::new()).await?;
    let object = store(&context, body.clone(), &site, lane, named).await?;
    let id = object.id();
    context.add_to_batch(&allowed, batch, Some(&site), vec![id]).await?;
    let put_aside = context.settings.junk_names.match_file(&object.key, &body).then_some(NO_IMAGE);
    if put_aside.is_some() {
        context.accepted.forget(id);
    }
    context.recorder.note_upload(uploaded(&allowed, Action::Uploaded, id, &site))?;
    tracing::Span::current().record("image", tracing::field::display(id));
    let own = format!("/v1/images/{id}");
    let links = Links { picture: format!("{own}/picture"), events: "/v1/events".into(), own };
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, links.own.clone()))
        .json(Receipt { id: id.0, status: State::Queued.as_str(), put_aside, links }))
}

/// An image that a caller put in.
pub(crate) fn uploaded<N: Need>(
    allowed: &Allowed<N>,
    action: Action,
    id: ImageId,
    site: &str,
) -> NewEntry {
    let mut uploaded = entry(allowed, action, Some(site));
    uploaded.image = Some(id);
    uploaded
}

/// A file's name and what is said of it.
#[derive(Default)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) metadata: ObjectMetadata,
}

/// Puts a file into the bucket, and remembers its id until ingest has admitted it.
pub(super) async fn store(
    context: &Context,
    body: Bytes,
    site: &str,
    lane: Lane,
    Named { name, metadata }: Named<'_>,
) -> Result<ObjectVersion, Problem> {
    let upload = object_store::Upload { key: key::fresh(site, lane, name), body, lane, metadata };
    let objects = std::sync::Arc::clone(&context.objects);
    let object = context.run(async move { objects.put(upload).await }).await??;
    let noted = Upload { site: site.to_owned(), lane, at: context.clock.now() };
    context.accepted.note(object.id(), noted);
    Ok(object)
}

/// The site that was named, if it can be one and the caller may put images there. Who may at one site only need not
/// name it.
pub(crate) async fn site_or_default<N: Need>(
    context: &Context,
    allowed: &Allowed<N>,
    named: Option<String>,
) -> Result<String, Problem> {
    site_or(context, &context.settings.default_site, allowed, named).await
}

/// The same, with another site for those who may everywhere and name none.
pub(super) async fn site_or<N: Need>(
    context: &Context,
    default: &str,
    allowed: &Allowed<N>,
    named: Option<String>,
) -> Result<String, Problem> {
    match named.filter(|site| !site.is_empty()) {
        None if allowed.at(Some(default)) => Ok(default.to_owned()),
        None => allowed.only_site().map(|site| site.as_str().to_owned()).ok_or_else(|| {
            Problem::new(Kind::BadParameter, "`site` says for which of your sites it is.")
        }),
        Some(site) if !is_site_name(&site) => {
            let detail = "`site` is 1 to 63 letters, digits, `.`, `_` or `-`.";
            Err(Problem::new(Kind::BadParameter, detail))
        }
        Some(site) if allowed.at(Some(&site)) => Ok(site),
        Some(site) => Err(refuse_site(context, allowed, &site).await),
    }
}

/// Somebody tries to put images into a site that is not theirs. The record names it if there is such a site: what else
/// was typed there may be anything.
async fn refuse_site<N: Need>(context: &Context, allowed: &Allowed<N>, site: &str) -> Problem {
    let asked =
        context.ask_port(&context.accounts, |accounts| async move { accounts.sites().await });
    let sites = asked.await.unwrap_or_default();
    let known = sites.iter().any(|known| known.name.as_str() == site).then_some(site);
    match context.recorder.note_refused(refused(allowed, None, known)) {
        Ok(()) => Problem::new(Kind::NotAllowed, "You cannot put images into this site."),
        Err(problem) => problem,
    }
}

/// The lane that was named.
pub(crate) fn lane(named: Option<&str>) -> Result<Lane, Problem> {
    match named.filter(|word| !word.is_empty()) {
        None => Ok(Lane::default()),
        Some(word) => Lane::parse(word)
            .ok_or_else(|| Problem::new(Kind::BadParameter, "`priority` is stat or routine.")),
    }
}

/// A size that is too large is refused before a byte of the body is read. A form has a little
/// more than the file.
fn refuse_declared_size(request: &HttpRequest, limit: usize) -> Result<(), Problem> {
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > limit as u64 + 16_384) {
        return Err(too_large(limit));
    }
    Ok(())
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("A file may have at most {limit} bytes."))
}

async fn read(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Received, Problem> {
    let payload = payload.into_inner();
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if let Some(headers) = kind.and_then(as_mixed) {
        return read_form(Multipart::new(&headers, payload), limit).await;
    }
    if kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/")) {
        return Err(Problem::new(Kind::WrongMediaType, "Of forms only multipart/form-data."));
    }
    let body = capped(payload.map_err(|error| intake::problem(&error)), limit).await?;
    // An empty body is a slip of the client; an empty file in a form is a file.
    let file = (!body.is_empty()).then_some(body);
    Ok(Received { file, ..Received::default() })
}

async fn read_form(mut form: Multipart, limit: usize) -> Result<Received, Problem> {
    let mut received = Received::default();
    while let Some(mut field) = form.try_next().await.map_err(unread_form)? {
        let head = disposition(field.headers()).ok_or_else(broken_form)?;
        match head.get_name() {
            Some("file") if received.file.is_some() => {
                let detail = "One file a request; send several requests side by side.";
                return Err(Problem::new(Kind::BadMultipart, detail));
            }
            Some("file") => {
                received.name = head.get_filename().unwrap_or_default().to_owned();
                received.file = Some(bytes_of(&mut field, limit).await?);
            }
            Some("site") => received.site = Some(text_of(&mut field).await?),
            Some("priority") => received.priority = Some(text_of(&mut field).await?),
            Some("batch") => received.batch = Some(text_of(&mut field).await?),
            Some(name) if received.said.field(name).is_some() => {
                let text = text_of(&mut field).await?;
                received.said.field(name).map(|field| field.replace(text));
            }
            _ => {
                let detail = "A form has the fields `file`, `site`, `priority`, `batch`, and those that say whom it shows.";
                return Err(Problem::new(Kind::BadMultipart, detail));
            }
        }
    }
    Ok(received)
}

async fn bytes_of(field: &mut Field, limit: usize) -> Result<Bytes, Problem> {
    capped(field.map_err(unread_form), limit).await
}

async fn text_of(field: &mut Field) -> Result<String, Problem> {
    let bytes = bytes_of(field, FIELD_MAX).await?;
    String::from_utf8(bytes.into()).map_err(|_| broken_form())
}

/// The head of a form's body under another name. The parser of `multipart/form-data` refuses a part whose head is no
/// UTF-8, as browsers send from pages in Latin-1; that of `multipart/mixed` leaves heads alone.
fn as_mixed(kind: &str) -> Option<HeaderMap> {
    const FORM: &str = "multipart/form-data";
    let (start, rest) = kind.split_at_checked(FORM.len())?;
    if !start.eq_ignore_ascii_case(FORM) {
        return None;
    }
    let mixed = HeaderValue::from_str(&format!("multipart/mixed{rest}")).ok()?;
    Some(HeaderMap::from_iter([(header::CONTENT_TYPE, mixed)]))
}

/// What a part of a form says of itself: in UTF-8, or else taken for Latin-1, of which every byte is a letter.
fn disposition(headers: &HeaderMap) -> Option<ContentDisposition> {
    let raw = headers.get(header::CONTENT_DISPOSITION)?;
    let parsed = ContentDisposition::from_raw(raw).or_else(|_| {
        let text: String = raw.as_bytes().iter().copied().map(char::from).collect();
        let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| ParseError::Header)?;
        ContentDisposition::from_raw(&value)
    });
    parsed.ok().filter(|parsed| parsed.disposition == DispositionType::FormData)
}

fn unread_form(error: MultipartError) -> Problem {
    match error {
        MultipartError::Payload(error @ PayloadError::Io(_)) => intake::problem(&error),
        _ => broken_form(),
    }
}

fn broken_form() -> Problem {
    Problem::new(Kind::BadMultipart, "The form is damaged or ended early.")
}

/// Everything a stream brings, refused as soon as it passes `limit`.
pub(crate) async fn capped(
    stream: impl Stream<Item = Result<Bytes, Problem>>,
    limit: usize,
) -> Result<Bytes, Problem> {
    let mut stream = std::pin::pin!(stream);
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The id of an object, for routes that know its parts only.
pub(super) fn id_of(
    bucket: &str,
    key: String,
    version: Option<String>,
    etag: Option<String>,
) -> ImageId {
    let etag = etag.map(|etag| etag.trim_matches('"').to_owned());
    let bucket = bucket.to_owned();
    ObjectVersion { bucket, key, version, etag, sequencer: None, size: None }.id()
}
