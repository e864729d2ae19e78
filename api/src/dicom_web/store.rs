//! STOW-RS, `POST /dicom-web/studies` (PS3.18, 10.5): instances into the bucket, one in memory at a time. The bucket's
//! event does the rest, as with every other upload.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use lobar_core::access::SiteName;
use lobar_core::audit::Action;
use lobar_core::image::Lane;
use lobar_core::object::ObjectVersion;
use lobar_core::object_store::{self, FetchError};
use lobar_core::study::{Uid, instance_key};
use serde::Deserialize;
use utoipa::IntoParams;

use super::outcome::{Failure, Instance, MEDIA_TYPE, Outcome};
use super::part10;
use super::related::{Part, Related};
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::intake;
use crate::pending_uploads::Upload;
use crate::problem::{Kind, Problem};
use crate::routes::receive::{capped, lane, site_or_default, uploaded};

/// Instances in one request. A client that has more sends several.
const INSTANCES_MAX: usize = 2_000;

/// Where the instances come from and how urgent they are.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreQuery {
    /// Uploading site: letters, digits, `.`, `_`, `-`. Needed by whoever may upload at several.
    site: Option<String>,
    /// `stat` or `routine`.
    priority: Option<String>,
}

/// Stores instances of any study (STOW-RS).
#[utoipa::path(post, path = "/dicom-web/studies", tag = "dicom-web", params(StoreQuery),
    request_body(content = Vec<u8>, content_type = "multipart/related; type=\"application/dicom\"",
        description = "DICOM files, a part each."),
    responses(
        (status = 200, description = "All are stored, or were before.", content_type = "application/dicom+json"),
        (status = 202, description = "Some are stored; those that are not stand in (0008,1198) and (0008,119A).", content_type = "application/dicom+json"),
        (status = 400, description = "The body is damaged, or has no part.", content_type = "application/problem+json"),
        (status = 406, description = "The answer is application/dicom+json only.", content_type = "application/problem+json"),
        (status = 409, description = "None is stored.", content_type = "application/dicom+json"),
        (status = 413, description = "An instance is too large, or there are too many.", content_type = "application/problem+json"),
        (status = 415, description = "Not multipart/related of application/dicom.", content_type = "application/problem+json"),
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
        description = "DICOM files, a part each."),
    responses(
        (status = 200, description = "All are stored, or were before.", content_type = "application/dicom+json"),
        (status = 202, description = "Some are stored; an instance of another study fails with reason 0xA900.", content_type = "application/dicom+json"),
        (status = 400, description = "The body is damaged, has no part, or the study is no UID.", content_type = "application/problem+json"),
        (status = 406, description = "The answer is application/dicom+json only.", content_type = "application/problem+json"),
        (status = 409, description = "None is stored.", content_type = "application/dicom+json"),
        (status = 413, description = "An instance is too large, or there are too many.", content_type = "application/problem+json"),
        (status = 415, description = "Not multipart/related of application/dicom.", content_type = "application/problem+json"),
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
    StoreQuery { site, priority }: StoreQuery,
    payload: Payload,
    study: Option<Uid>,
) -> Result<HttpResponse, Problem> {
    acceptable(request.headers())?;
    let related = related(request.headers())?;
    let site = site_or_default(context, allowed, site).await?;
    let lane = lane(priority.as_deref())?;
    let to = SiteName::parse(&site).map(|site| Arc::new(Destination { site, lane, study }));
    let to = to.ok_or_else(|| Problem::new(Kind::BadParameter, "`site` can be no site."))?;
    let (mut outcome, mut count) = (Outcome::default(), 0);
    let mut parts = related.parts(payload.into_inner());
    while let Some(part) = parts.next().await? {
        count += 1;
        if count > INSTANCES_MAX {
            let detail =
                format!("At most {INSTANCES_MAX} instances a request; send the others in another.");
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        refuse_other_types(&part)?;
        let file = capped(part.content(), context.settings.limits.max_bytes).await?;
        let (named, file) = (Arc::clone(&to), file);
        let judged = context.compute(move || named.judge(file)).await?;
        match judged {
            Ok((instance, upload)) => {
                keep(allowed, context, &to, upload).await?;
                outcome.stored(instance);
            }
            Err((instance, why)) => outcome.failed(instance, why),
        }
        // What was read of the body is in the bucket, or dropped.
        intake::let_go(request);
    }
    if count == 0 {
        return Err(Problem::new(
            Kind::BadMultipart,
            "The body has no part: send each instance as one.",
        ));
    }
    outcome.answer()
}

/// Where instances go.
struct Destination {
    site: SiteName,
    lane: Lane,
    study: Option<Uid>,
}

impl Destination {
    /// The object that a file becomes, or why it becomes none. Hashes the data set.
    fn judge(
        &self,
        file: Bytes,
    ) -> Result<(Instance, object_store::Upload), (Option<Instance>, Failure)> {
        let read = lobar_imaging::attributes(&file);
        let named = read.and_then(|read| {
            let instance = Instance { class: read.instance.class?, uid: read.instance.uid? };
            Some((instance, read.study.uid, read.instance.transfer_syntax))
        });
        let (instance, study, syntax) = match named {
            Some((instance, Some(study), syntax)) => (instance, study, syntax),
            Some((instance, None, _)) => return Err((Some(instance), Failure::NotUnderstood)),
            None => return Err((None, Failure::NotUnderstood)),
        };
        if self.study.as_ref().is_some_and(|wanted| *wanted != study) {
            return Err((Some(instance), Failure::OtherStudy));
        }
        let syntax = syntax.as_ref().map(Uid::as_str).unwrap_or_default();
        let data_set = part10::data_set(&file);
        let key = instance_key(&self.site, &instance.uid, &instance.class, syntax, data_set);
        Ok((
            instance,
            object_store::Upload {
                key,
                body: file,
                lane: self.lane,
                metadata: object_store::ObjectMetadata::default(),
            },
        ))
    }
}

/// Puts an instance into the bucket, unless it is there.
async fn keep(
    allowed: &Allowed<need::Upload>,
    context: &Data<Context>,
    to: &Destination,
    upload: object_store::Upload,
) -> Result<(), Problem> {
    let objects = Arc::clone(&context.objects);
    let bucket = context.settings.bucket.clone();
    let put = context.run(async move {
        let object = ObjectVersion {
            bucket,
            key: upload.key.clone(),
            version: None,
            etag: None,
            sequencer: None,
            size: None,
        };
        match objects.current(&object).await {
            // The key has the hash of the data set: these are the same bytes.
            Ok(Some(_)) => Ok(None),
            Ok(None) | Err(FetchError::Gone | FetchError::Missing) => {
                objects.put(upload).await.map(Some).map_err(Problem::from)
            }
            Err(FetchError::Port(error)) => Err(Problem::from(error)),
            Err(error) => Err(Problem::internal("object store", &error)),
        }
    });
    let Some(object) = put.await?? else { return Ok(()) };
    let (id, site) = (object.id(), to.site.as_str());
    let noted = Upload { site: site.to_owned(), lane: to.lane, at: context.clock.now() };
    context.accepted.note(id, noted);
    context.recorder.note_upload(uploaded(allowed, Action::Uploaded, id, site))
}

/// Refuses a client that takes no `application/dicom+json` (PS3.18, 8.7.4).
fn acceptable(headers: &HeaderMap) -> Result<(), Problem> {
    let mut said = headers.get_all(header::ACCEPT).peekable();
    if said.peek().is_none() {
        return Ok(());
    }
    let mut ranges = said.filter_map(|said| said.to_str().ok()).flat_map(|said| said.split(','));
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
        wrong("Send multipart/related; type=\"application/dicom\" with a boundary of 1 to 70 characters.")
    })?;
    match related.root.as_str() {
        "" | "application/dicom" => Ok(related),
        "application/dicom+json" | "application/dicom+xml" => Err(wrong(
            "Metadata with bulk data are not taken: send whole files, type=\"application/dicom\".",
        )),
        _ => Err(wrong("Of multipart/related only type=\"application/dicom\".")),
    }
}

fn refuse_other_types(part: &Part) -> Result<(), Problem> {
    match part.media_type().as_deref() {
        None | Some("application/dicom") => Ok(()),
        Some(_) => Err(Problem::new(Kind::WrongMediaType, "Each part is application/dicom.")),
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
        assert!(acceptable(&HeaderMap::new()).is_ok());
        for accept in [
            "*/*",
            "application/dicom+json",
            "application/dicom+xml, application/dicom+json;q=0.5",
            "application/*",
            "application/json",
        ] {
            assert!(acceptable(&headers(header::ACCEPT, accept)).is_ok(), "{accept}");
        }
        for accept in ["application/dicom+xml", "text/html", "application/dicom+json;q=0"] {
            let refused = acceptable(&headers(header::ACCEPT, accept)).expect_err(accept);
            assert_eq!(refused.kind(), Kind::NotAcceptable);
        }
    }

    #[test]
    fn bulk_data_and_other_bodies_are_refused_by_what_they_are() {
        let read = |kind| related(&headers(header::CONTENT_TYPE, kind));
        assert!(read("multipart/related; type=\"application/dicom\"; boundary=b").is_ok());
        for kind in [
            "multipart/related; type=\"application/dicom+json\"; boundary=b",
            "multipart/related; type=\"image/jpeg\"; boundary=b",
            "multipart/form-data; boundary=b",
            "application/dicom",
        ] {
            assert_eq!(read(kind).expect_err(kind).kind(), Kind::WrongMediaType);
        }
    }
}
