//! STOW-RS, `POST /dicom-web/studies` (PS3.18, 10.5): instances into the bucket, one in memory at a time. The bucket's
//! event does the rest, as with every other upload.

use std::pin::pin;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use lobar_core::access::{SiteName, Who};
use lobar_core::study::Uid;
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use super::address::Address;
use super::keep::{Destination, Kept, keep};
use super::metadata::{self, METADATA_MAX, Metadata};
use super::outcome::{Failure, MEDIA_TYPE, Outcome};
use super::related::{Part, Parts, Related};
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::intake;
use crate::problem::{Kind, Problem};
use crate::routes::receive::{lane, site_or_default};

/// Instances in one request. A client that has more sends several.
const INSTANCES_MAX: usize = 2_000;
/// Parts with bulk data in one request.
const BULK_MAX: usize = 8_000;
/// Requests at once whose metadata are in memory: no other bound counts those.
const DESCRIBED_MAX: usize = 4;
static DESCRIBED: Semaphore = Semaphore::const_new(DESCRIBED_MAX);

/// Where the instances come from and how urgent they are.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreQuery {
    /// Uploading site: letters, digits, `.`, `_`, `-`. Needed by whoever may upload at several.
    site: Option<String>,
    /// `stat` or `routine`.
    priority: Option<String>,
    /// What the client takes, where it cannot say so in the header (PS3.18, 8.3.3.1).
    accept: Option<String>,
}

/// Stores instances of any study (STOW-RS).
#[utoipa::path(post, path = "/dicom-web/studies", tag = "dicom-web", params(StoreQuery),
    request_body(content = Vec<u8>, content_type = "multipart/related; type=\"application/dicom\"",
        description = "DICOM files, a part each; or, as application/dicom+json, metadata and then bulk data, a part each."),
    responses(
        (status = 200, description = "All are stored, or were before.", content_type = "application/dicom+json"),
        (status = 202, description = "Some are stored; those that are not stand in (0008,1198) and (0008,119A).", content_type = "application/dicom+json"),
        (status = 400, description = "The body is damaged, or has no part.", content_type = "application/problem+json"),
        (status = 406, description = "The answer is application/dicom+json only.", content_type = "application/problem+json"),
        (status = 408, description = "It stood still, or came too slowly.", content_type = "application/problem+json"),
        (status = 409, description = "None is stored.", content_type = "application/dicom+json"),
        (status = 413, description = "There are too many instances.", content_type = "application/problem+json"),
        (status = 415, description = "Not multipart/related of application/dicom or application/dicom+json.", content_type = "application/problem+json"),
        (status = 503, description = "They cannot be stored now; send all of them again when `Retry-After` says.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn store(
    allowed: Allowed<need::Upload>,
    context: Data<Context>,
    request: HttpRequest,
    query: Query<StoreQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    receive(&allowed, &context, &request, query.into_inner(), payload, None).await
}

/// Stores instances of one study (STOW-RS).
#[utoipa::path(post, path = "/dicom-web/studies/{study}", tag = "dicom-web",
    params(("study" = String, Path, description = "Study Instance UID"), StoreQuery),
    request_body(content = Vec<u8>, content_type = "multipart/related; type=\"application/dicom\"",
        description = "DICOM files, a part each; or, as application/dicom+json, metadata and then bulk data, a part each."),
    responses(
        (status = 200, description = "All are stored, or were before.", content_type = "application/dicom+json"),
        (status = 202, description = "Some are stored; an instance of another study fails with reason 0xA900.", content_type = "application/dicom+json"),
        (status = 400, description = "The body is damaged, has no part, or the study is no UID.", content_type = "application/problem+json"),
        (status = 406, description = "The answer is application/dicom+json only.", content_type = "application/problem+json"),
        (status = 408, description = "It stood still, or came too slowly.", content_type = "application/problem+json"),
        (status = 409, description = "None is stored.", content_type = "application/dicom+json"),
        (status = 413, description = "There are too many instances.", content_type = "application/problem+json"),
        (status = 415, description = "Not multipart/related of application/dicom or application/dicom+json.", content_type = "application/problem+json"),
        (status = 503, description = "They cannot be stored now; send all of them again when `Retry-After` says.", content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn store_in_study(
    allowed: Allowed<need::Upload>,
    context: Data<Context>,
    request: HttpRequest,
    query: Query<StoreQuery>,
    study: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let study = Uid::parse(&study)
        .ok_or_else(|| Problem::new(Kind::BadParameter, "The study in the address is no UID."))?;
    receive(&allowed, &context, &request, query.into_inner(), payload, Some(study)).await
}

async fn receive(
    allowed: &Allowed<need::Upload>,
    context: &Data<Context>,
    request: &HttpRequest,
    StoreQuery { site, priority, accept }: StoreQuery,
    payload: Payload,
    study: Option<Uid>,
) -> Result<HttpResponse, Problem> {
    match accept {
        Some(accept) => acceptable([accept.as_str()])?,
        None => acceptable(accepted(request.headers()))?,
    }
    let related = related(request.headers())?;
    let site = site_of(context, allowed, site).await?;
    let lane = lane(priority.as_deref())?;
    let to = SiteName::parse(&site).map(|site| Arc::new(Destination { site, lane, study }));
    let to = to.ok_or_else(|| Problem::new(Kind::BadParameter, "`site` can be no site."))?;
    let parts = related.parts(payload.into_inner());
    let receiving = Receiving { allowed, context, request, to, outcome: Outcome::default() };
    match related.root.as_str() {
        MEDIA_TYPE => receiving.described(parts).await,
        _ => receiving.files(parts).await,
    }
}

/// A request whose instances are being stored.
struct Receiving<'a> {
    allowed: &'a Allowed<need::Upload>,
    context: &'a Data<Context>,
    request: &'a HttpRequest,
    to: Arc<Destination>,
    outcome: Outcome,
}

impl Receiving<'_> {
    /// A file in each part.
    async fn files(mut self, mut parts: Parts) -> Result<HttpResponse, Problem> {
        let mut count = 0;
        while let Some(part) = parts.next().await? {
            count += 1;
            if count > INSTANCES_MAX {
                return Err(too_many());
            }
            let is_dicom = part.media_type().is_none_or(|kind| kind == "application/dicom");
            let limit = if is_dicom { self.context.settings.limits.max_bytes } else { 0 };
            match content(part, limit, || intake::let_go(self.request)).await? {
                _ if !is_dicom => self.outcome.failed(None, Failure::NotUnderstood),
                None => self.outcome.failed(None, Failure::TooLarge),
                Some(file) => self.file(file).await?,
            }
            // What was read of the body is in the bucket, or dropped; the next instance has the time that one has.
            intake::begin_anew(self.request);
        }
        if count == 0 {
            return Err(without_parts());
        }
        self.outcome.answer(&Address::of(self.request))
    }

    /// Metadata in the first part, bulk data in those behind it.
    async fn described(mut self, mut parts: Parts) -> Result<HttpResponse, Problem> {
        let first = parts.next().await?.ok_or_else(without_parts)?;
        if first.media_type().is_some_and(|kind| kind != MEDIA_TYPE) {
            return Err(Problem::new(Kind::BadMultipart, "The first part has to be the metadata."));
        }
        let _described = DESCRIBED.try_acquire().map_err(|_| {
            let detail =
                "Others send metadata with bulk data apart at the same time; send it again.";
            Problem::new(Kind::Busy, detail)
        })?;
        let json = content(first, METADATA_MAX, || ()).await?;
        let json = json.ok_or_else(|| {
            let detail = format!(
                "The metadata are longer than {METADATA_MAX} bytes; send pixels as bulk data."
            );
            Problem::new(Kind::TooLarge, detail)
        })?;
        let read = reading(self.context, move || Metadata::read(&json)).await?;
        let mut metadata = read.filter(|metadata| metadata.len() > 0).ok_or_else(|| {
            Problem::new(Kind::BadMultipart, "The metadata are no list of data sets in DICOM JSON.")
        })?;
        if metadata.len() > INSTANCES_MAX {
            return Err(too_many());
        }
        let mut count = 0;
        loop {
            let complete = metadata.complete();
            let is_further = !complete.is_empty();
            for described in complete {
                self.one(described).await?;
            }
            // The time that an instance has begins with the one before it: what nobody wanted does not renew it.
            if is_further && !metadata.holds_some() {
                intake::begin_anew(self.request);
            }
            let Some(part) = parts.next().await? else { break };
            count += 1;
            if count > BULK_MAX {
                return Err(too_many());
            }
            let location = part.location().map(str::to_owned);
            let wanted = metadata.wants(location.as_deref());
            let limit = if wanted { self.context.settings.limits.max_bytes } else { 0 };
            let kind = metadata::Kind::of(part.media_type(), part.transfer_syntax());
            // What waits for more of its bulk data stays counted.
            let holds_some = metadata.holds_some();
            let drop = || {
                if !holds_some {
                    intake::let_go(self.request);
                }
            };
            let content = content(part, limit, drop).await?;
            metadata.add(location.as_deref(), kind, content);
        }
        for described in metadata.incomplete() {
            self.one(described).await?;
        }
        self.outcome.answer(&Address::of(self.request))
    }

    /// An instance that is described and whose bulk data have come, or failed.
    async fn one(&mut self, described: metadata::Described) -> Result<(), Problem> {
        let limit = self.context.settings.limits.max_bytes;
        match reading(self.context, move || described.file(limit)).await? {
            Ok(file) => self.file(file).await?,
            Err((instance, why)) => self.outcome.failed(instance, why),
        }
        Ok(())
    }

    /// A file: stored, or not.
    async fn file(&mut self, file: Bytes) -> Result<(), Problem> {
        let to = Arc::clone(&self.to);
        match reading(self.context, move || to.judge(file)).await? {
            Ok((instance, upload)) => {
                match keep(self.allowed, self.context, &self.to, upload).await? {
                    Kept::There => self.outcome.stored(instance),
                    Kept::Erased => self.outcome.failed(Some(instance), Failure::Erased),
                }
            }
            Err((instance, why)) => self.outcome.failed(instance, why),
        }
        Ok(())
    }
}

fn too_many() -> Problem {
    let detail =
        format!("At most {INSTANCES_MAX} instances a request; send the others in another.");
    Problem::new(Kind::TooLarge, detail)
}

fn without_parts() -> Problem {
    Problem::new(Kind::BadMultipart, "The body has no part: send each instance as one.")
}

/// The site that was named, or the only one of the caller. Clients have one address and forget what comes behind it: who
/// may upload at several sites has to name one, so that nobody's images go into another's. Only on the machine that Lobar
/// runs on is there a default.
async fn site_of(
    context: &Data<Context>,
    allowed: &Allowed<need::Upload>,
    named: Option<String>,
) -> Result<String, Problem> {
    let is_named = named.as_ref().is_some_and(|site| !site.is_empty());
    if is_named || allowed.caller().who == Who::Local {
        return site_or_default(context, allowed, named).await;
    }
    let only = allowed.only_site().map(|site| site.as_str().to_owned());
    only.ok_or_else(|| {
        Problem::new(Kind::BadParameter, "`site` says for which of your sites it is.")
    })
}

/// The content of a part; `None` where it has more bytes than `limit`. It is read to its end all the same: others come
/// behind it. `dropped` is called where what came of it is not held any more.
async fn content(
    part: Part<'_>,
    limit: usize,
    dropped: impl Fn(),
) -> Result<Option<Bytes>, Problem> {
    let mut pieces = pin!(part.content());
    let (mut content, mut fits) = (BytesMut::new(), true);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        fits = fits && content.len() + piece.len() <= limit;
        if fits {
            content.extend_from_slice(&piece);
        } else {
            content = BytesMut::new();
            dropped();
        }
    }
    Ok(fits.then(|| content.freeze()))
}

/// Reads what an instance says of itself. As many at once as there are cores: a deflated data set is inflated for it, and a
/// client that hangs up does not end the work.
async fn reading<T: Send + 'static>(
    context: &Data<Context>,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let reading = Arc::clone(&context.reading).acquire_owned().await;
    let reading = reading.map_err(|error| Problem::internal("computation", &error))?;
    context
        .compute(move || {
            let read = read();
            drop(reading);
            read
        })
        .await
}

/// What a client says that it takes.
pub(super) fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::ACCEPT).filter_map(|said| said.to_str().ok())
}

/// Refuses a client that takes no `application/dicom+json` (PS3.18, 8.7.4).
pub(super) fn acceptable<'a>(said: impl IntoIterator<Item = &'a str>) -> Result<(), Problem> {
    let mut said = said.into_iter().peekable();
    if said.peek().is_none() {
        return Ok(());
    }
    let mut ranges = said.flat_map(|said| said.split(','));
    let takes = ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused =
            parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !refused
            && ["", "*/*", "application/*", MEDIA_TYPE, "application/json"].contains(&kind.as_str())
    });
    match takes {
        true => Ok(()),
        false => Err(Problem::new(
            Kind::NotAcceptable,
            "The answer is application/dicom+json; XML is not written here.",
        )),
    }
}

fn related(headers: &HeaderMap) -> Result<Related, Problem> {
    let wrong = |detail: &str| Problem::new(Kind::WrongMediaType, detail);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let related = kind.and_then(Related::parse).ok_or_else(|| {
        wrong("Send multipart/related; type=\"application/dicom\" with a boundary of 1 to 128 characters.")
    })?;
    match related.root.as_str() {
        "" | "application/dicom" | MEDIA_TYPE => Ok(related),
        _ => Err(wrong(
            "Of multipart/related only type=\"application/dicom\" and type=\"application/dicom+json\".",
        )),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a value"))])
    }

    #[test]
    fn only_json_is_answered() {
        assert!(acceptable(accepted(&HeaderMap::new())).is_ok());
        for accept in [
            "*/*",
            "application/dicom+json",
            "application/dicom+xml, application/dicom+json;q=0.5",
            "application/*",
            "application/json",
        ] {
            assert!(acceptable(accepted(&headers(header::ACCEPT, accept))).is_ok(), "{accept}");
        }
        for accept in ["application/dicom+xml", "text/html", "application/dicom+json;q=0"] {
            let refused = acceptable(accepted(&headers(header::ACCEPT, accept))).expect_err(accept);
            assert_eq!(refused.kind(), Kind::NotAcceptable);
        }
    }

    #[test]
    fn other_bodies_are_refused_by_what_they_are() {
        let read = |kind| related(&headers(header::CONTENT_TYPE, kind));
        assert!(read("multipart/related; type=\"application/dicom\"; boundary=b").is_ok());
        assert!(read("multipart/related; type=\"application/dicom+json\"; boundary=b").is_ok());
        for kind in [
            "multipart/related; type=\"application/dicom+xml\"; boundary=b",
            "multipart/related; type=\"image/jpeg\"; boundary=b",
            "multipart/form-data; boundary=b",
            "application/dicom",
        ] {
            assert_eq!(read(kind).expect_err(kind).kind(), Kind::WrongMediaType);
        }
    }
}
