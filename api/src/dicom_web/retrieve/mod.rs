//! WADO-RS (PS3.18, 10.4): instances, what they say of themselves, their frames and their pictures. One instance of a
//! request is in memory at a time; what it is given to read them in, and what it may have under way, is bounded as for
//! pictures.

mod accept;
mod frames;
mod instance;
mod metadata;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use dicom_dictionary_std::uids;
use futures::{Stream, stream};
use lobar_core::audit::Action;
use lobar_core::study::{Place, Stored, Uid, Uids};
use lobar_imaging::{Format, draw, sniff};

use self::accept::{Range, ranges};
use self::instance::{is_native, read};
use super::address::Address;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::rate::Client;
use crate::record::about;
use crate::routes::picture::{fetched, not_drawn};
use crate::visible::{missing, unknown};

/// Instances in one answer. Of what has more, a series or an instance is asked for.
const INSTANCES_MAX: usize = 2_000;
/// Room for the attributes of an instance on their way out, in bytes: more than any image has.
const ATTRIBUTES: usize = 4 << 20;
const DICOM: &str = "application/dicom";
const JSON: &str = "application/dicom+json";

macro_rules! routes {
    ($($name:ident $path:tt $serve:ident $media:tt [$($parameter:tt $of:tt),+] $doc:tt;)+) => {$(
        #[doc = $doc]
        #[utoipa::path(get, path = $path, tag = "dicom-web",
            params($(($parameter = String, Path, description = $of)),+),
            responses(
                (status = 200, description = "As it was asked for.", content_type = $media),
                (status = 400, description = "A UID or a parameter is none.", content_type = "application/problem+json"),
                (status = 404, description = "Not known, or its file cannot be read so.", content_type = "application/problem+json"),
                (status = 406, description = "The client takes nothing that it can be had as.", content_type = "application/problem+json"),
                (status = 409, description = "Images of several patients have this UID.", content_type = "application/problem+json"),
                (status = 410, description = "It was erased.", content_type = "application/problem+json"),
            ),
        )]
        pub(crate) async fn $name(
            allowed: Allowed<need::ReadImages>,
            context: Data<Context>,
            request: HttpRequest,
        ) -> Result<HttpResponse, Problem> {
            $serve(&allowed, &context, &request).await
        }
    )+};
}

routes! {
    study "/dicom-web/studies/{study}" instances "multipart/related"
        ["study" "Study Instance UID"]
        "The instances of a study (WADO-RS).";
    series "/dicom-web/studies/{study}/series/{series}" instances "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID"]
        "The instances of a series (WADO-RS).";
    instance "/dicom-web/studies/{study}/series/{series}/instances/{instance}" instances "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"]
        "An instance (WADO-RS).";
    study_metadata "/dicom-web/studies/{study}/metadata" attributes "application/dicom+json"
        ["study" "Study Instance UID"]
        "The attributes of the instances of a study (WADO-RS).";
    series_metadata "/dicom-web/studies/{study}/series/{series}/metadata" attributes "application/dicom+json"
        ["study" "Study Instance UID", "series" "Series Instance UID"]
        "The attributes of the instances of a series (WADO-RS).";
    instance_metadata "/dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata" attributes "application/dicom+json"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"]
        "The attributes of an instance (WADO-RS).";
    frames "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}" pixels "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID", "frames" "Numbers from 1, with commas between them"]
        "Frames of an instance (WADO-RS).";
    rendered "/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered" picture "image/png"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"]
        "The picture of an instance, as the page shows it (WADO-RS).";
}

type Granted = Allowed<need::ReadImages>;

/// The instances that the address names, of the caller's sites; at least one.
async fn found(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<Vec<Stored>, Problem> {
    let uid = |name: &str| match request.match_info().get(name) {
        None => Ok(None),
        Some(text) => Uid::parse(text).map(Some).ok_or_else(|| {
            Problem::new(Kind::BadParameter, format!("The {name} in the address is no UID."))
        }),
    };
    let study = uid("study")?.ok_or_else(unknown)?;
    let place = Place { study, series: uid("series")?, instance: uid("instance")? };
    let sites = allowed.sites().clone();
    let asked = place.clone();
    let found = context.ask_port(&context.studies, move |studies| async move {
        studies.instances(&sites, &asked, INSTANCES_MAX + 1).await
    });
    let mut found = found.await?;
    if found.len() > INSTANCES_MAX {
        let detail =
            format!("It has more than {INSTANCES_MAX} instances; ask for a series or an instance.");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let patients: BTreeSet<_> = found.iter().map(|stored| stored.identity.patient).collect();
    if patients.len() > 1 {
        // Whoever shows them would put one name over all.
        return Err(Problem::new(
            Kind::SeveralPatients,
            "Images of several patients have this UID; look at each on the page, and correct whose they are.",
        ));
    }
    newest_versions(&mut found);
    if found.is_empty() {
        return Err(match Uids::image_of(&place.study) {
            Some(image) => missing(context, allowed, image).await?,
            None => unknown(),
        });
    }
    Ok(found)
}

/// Leaves of each instance the version that was received last.
fn newest_versions(found: &mut Vec<Stored>) {
    let uids = |stored: &Stored| {
        let attributes = &stored.identity.attributes;
        (attributes.series.uid.clone(), attributes.instance.uid.clone())
    };
    let mut newest = BTreeMap::new();
    for stored in found.iter() {
        let received = (stored.image.received_at, stored.image.id);
        let latest = newest.entry(uids(stored)).or_insert(received);
        *latest = received.max(*latest);
    }
    found.retain(|stored| newest.get(&uids(stored)).is_some_and(|(_, id)| *id == stored.image.id));
}

/// Records what is about to be given.
fn note(
    allowed: &Granted,
    context: &Data<Context>,
    action: Action,
    found: &[Stored],
) -> Result<(), Problem> {
    for stored in found {
        context.recorder.note(about(allowed, action, &stored.image))?;
    }
    Ok(())
}

/// Fetches an instance and works on its bytes, within the room for files and as many at once as pictures.
async fn worked_on<T: Send + 'static>(
    context: &Arc<Context>,
    client: Option<Client>,
    stored: &Arc<Stored>,
    work: impl FnOnce(Bytes) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = match client {
        Some(client) => Some(context.drawing_shares.of(client).acquire_owned().await),
        None => None,
    };
    let slot = Arc::clone(&context.drawing).acquire_owned().await;
    let room = context.room.of(stored.image.object.size).await;
    let (own, stored) = (Arc::clone(context), Arc::clone(stored));
    let done = context.run(async move {
        let _held = (turn, slot);
        let (bytes, _room) = fetched(&own, &stored.image, room).await?;
        own.compute(move || work(bytes)).await?
    });
    done.await?
}

/// Room for an instance on its way out, in bytes: what was stored, or as much as there may be where it is made, or inflated.
fn size(context: &Context, stored: &Stored) -> usize {
    let most = context.settings.limits.max_bytes;
    let syntax = stored.identity.attributes.instance.transfer_syntax.as_ref().map(Uid::as_str);
    match syntax {
        None | Some(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) => most,
        Some(_) => {
            let size = stored.image.object.size.and_then(|size| usize::try_from(size).ok());
            size.map_or(most, |size| size.saturating_add(ATTRIBUTES).min(most))
        }
    }
}

fn not_acceptable(detail: &str) -> Problem {
    Problem::new(Kind::NotAcceptable, detail)
}

/// How an instance is given, by what its client takes: as it is stored, or in Explicit VR Little Endian.
fn form(stored: &Stored, ranges: &[Range], single: bool) -> Option<(bool, Option<bool>)> {
    let syntax = stored.identity.attributes.instance.transfer_syntax.as_ref().map(Uid::as_str);
    let fit = |range: &&Range| range.takes(DICOM) && (single || range.multipart != Some(false));
    ranges.iter().filter(fit).find_map(|range| {
        let asked = range.syntax.as_deref().unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let as_stored = match (asked, syntax) {
            // What came as no DICOM file is made in Explicit VR Little Endian; of a DICOM file that could not be read, it is
            // not known.
            ("*", None) => Some(true),
            (asked, None) => (asked == uids::EXPLICIT_VR_LITTLE_ENDIAN).then_some(false),
            (asked, Some(own)) if asked == "*" || asked == own => Some(true),
            // Whoever takes anything takes it as it is.
            (_, Some(_)) if range.kind == "*/*" && range.syntax.is_none() => Some(true),
            (uids::EXPLICIT_VR_LITTLE_ENDIAN, Some(own)) if is_native(own) => Some(false),
            _ => None,
        };
        Some((as_stored?, range.multipart))
    })
}

async fn instances(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let ranges = ranges(request);
    let found = found(allowed, context, request).await?;
    let single = request.match_info().get("instance").is_some();
    let given: Option<Vec<_>> = found.iter().map(|stored| form(stored, &ranges, single)).collect();
    let given = given.ok_or_else(|| {
            not_acceptable("Ask for application/dicom, of several instances in multipart/related, with transfer-syntax=*: compressed pixels are given as they are stored.")
    })?;
    note(allowed, context, Action::PictureViewed, &found)?;
    let forms = found.into_iter().zip(given);
    let mut forms: Vec<_> = forms
        .map(|(stored, (as_stored, multipart))| (Arc::new(stored), as_stored, multipart))
        .collect();
    let context = Arc::clone(context);
    let client = Client::caller(&allowed.caller().who);
    // Room for the largest: the others follow it one by one.
    let largest = forms.iter().map(|(stored, ..)| size(&context, stored)).max();
    let mut reserved = context.sending.reserve(client, largest.unwrap_or_default()).await?;
    let alone = single && forms.first().is_some_and(|(_, _, multipart)| *multipart == Some(false));
    let limits = context.settings.limits;
    let own = Arc::clone(&context);
    let file = move |(stored, as_stored, _): (Arc<Stored>, bool, Option<bool>)| {
        let (context, identity) = (Arc::clone(&own), stored.identity.clone());
        async move {
            worked_on(&context, client, &stored, move |bytes| {
                if as_stored && sniff(&bytes) == Some(Format::Dicom) {
                    return Ok(bytes);
                }
                let read = read(&bytes, &identity, &limits)?;
                instance::explicit(read)?
                    .ok_or_else(|| not_acceptable("Its pixels are compressed."))
            })
            .await
        }
    };
    let mut response = if alone {
        let bytes = file(forms.swap_remove(0)).await?;
        reserved.shrink(bytes.len());
        HttpResponse::Ok().content_type(DICOM).body(bytes)
    } else {
        // The first is read before anything is answered: a problem is one then.
        let mut forms = forms.into_iter();
        let first = match forms.next() {
            Some(form) => file(form).await?,
            None => return Err(unknown()),
        };
        let rest = stream::unfold((forms, file), |(mut forms, file)| async move {
            let next = file(forms.next()?).await;
            Some((next, (forms, file)))
        });
        multipart(DICOM, stream_of(first, rest))
    };
    response.extensions_mut().insert(reserved);
    Ok(response)
}

fn stream_of(
    first: Bytes,
    rest: impl Stream<Item = Result<Bytes, Problem>> + 'static,
) -> impl Stream<Item = Result<Bytes, Problem>> + 'static {
    use futures::StreamExt as _;
    stream::once(async move { Ok(first) }).chain(rest)
}

/// A body of parts (PS3.18, 8.6.1.2).
fn multipart(
    media_type: &str,
    parts: impl Stream<Item = Result<Bytes, Problem>> + 'static,
) -> HttpResponse {
    use futures::StreamExt as _;
    // Random: it cannot occur in what others made before.
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let head = format!("--{boundary}\r\nContent-Type: {media_type}\r\n\r\n");
    let end = format!("--{boundary}--\r\n");
    let parts = parts.flat_map(move |part| {
        let pieces = match part {
            Ok(bytes) => {
                vec![Ok(Bytes::from(head.clone())), Ok(bytes), Ok(Bytes::from_static(b"\r\n"))]
            }
            Err(problem) => vec![Err(problem)],
        };
        stream::iter(pieces)
    });
    let body = parts.chain(stream::once(async move { Ok(Bytes::from(end)) }));
    let root = media_type.split(';').next().unwrap_or_default();
    let kind = format!("multipart/related; type=\"{root}\"; boundary={boundary}");
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, kind)).streaming(body)
}

async fn attributes(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    use futures::StreamExt as _;
    let ranges = ranges(request);
    if !ranges.iter().any(|range| range.takes(JSON) || range.takes("application/json")) {
        return Err(not_acceptable(
            "The answer is application/dicom+json; XML is not written here.",
        ));
    }
    let found = found(allowed, context, request).await?;
    note(allowed, context, Action::Viewed, &found)?;
    let (context, address) = (Arc::clone(context), Address::of(request));
    let client = Client::caller(&allowed.caller().who);
    let limits = context.settings.limits;
    let reserved = context.sending.reserve(client, ATTRIBUTES).await?;
    let one = move |stored: Stored| {
        let (context, address, stored) = (Arc::clone(&context), address.clone(), Arc::new(stored));
        async move {
            let identity = stored.identity.clone();
            worked_on(&context, client, &stored, move |bytes| {
                match read(&bytes, &identity, &limits) {
                    // One file that cannot be read does not hide the others of its study.
                    Err(_) if sniff(&bytes) == Some(Format::Dicom) => {
                        metadata::known(&identity, &address)
                    }
                    read => metadata::of(read?, &identity, &address),
                }
            })
            .await
        }
    };
    let mut found = found.into_iter();
    let first = match found.next() {
        Some(stored) => one(stored).await?,
        None => return Err(unknown()),
    };
    let rest = stream::unfold((found, one), |(mut found, one)| async move {
        let next = one(found.next()?).await;
        Some((next.map(|told| Bytes::from(format!(",{told}"))), (found, one)))
    });
    let end = stream::once(async { Ok(Bytes::from_static(b"]")) });
    let body = stream_of(Bytes::from(format!("[{first}")), rest).chain(end);
    let mut response = HttpResponse::Ok();
    let mut response = response.insert_header((header::CONTENT_TYPE, JSON)).streaming(body);
    response.extensions_mut().insert(reserved);
    Ok(response)
}

async fn pixels(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let ranges = ranges(request);
    let numbers = frames::numbers(request.match_info().get("frames").unwrap_or_default())?;
    let (context, client, stored) = only(allowed, context, request).await?;
    let limits = context.settings.limits;
    let mut reserved = context.sending.reserve(client, size(&context, &stored)).await?;
    let identity = stored.identity.clone();
    let found = worked_on(&context, client, &stored, move |bytes| {
        frames::find(&read(&bytes, &identity, &limits)?, &numbers, &ranges)
    });
    let frames::Frames { media_type, multipart: in_parts, mut frames } = found.await?;
    reserved.shrink(frames.iter().map(Bytes::len).sum());
    let mut response = if in_parts {
        multipart(&media_type, stream::iter(frames.into_iter().map(Ok)))
    } else {
        HttpResponse::Ok().insert_header((header::CONTENT_TYPE, media_type)).body(frames.remove(0))
    };
    response.extensions_mut().insert(reserved);
    Ok(response)
}

async fn picture(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    if !ranges(request).iter().any(|range| range.takes("image/png")) {
        return Err(not_acceptable("Pictures are image/png."));
    }
    if request
        .query_string()
        .split('&')
        .any(|pair| !pair.is_empty() && !pair.starts_with("accept="))
    {
        let detail = "Pictures are drawn as the page shows them: window, viewport and quality are not taken.";
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let (context, client, stored) = only(allowed, context, request).await?;
    let mut reserved = context.sending.reserve(client, context.settings.largest_picture()).await?;
    let (limits, side) = (context.settings.limits, context.settings.picture_side);
    let drawn = worked_on(&context, client, &stored, move |bytes| {
        draw(&bytes, &limits, side).map_err(not_drawn)
    });
    let drawn = drawn.await?;
    reserved.shrink(drawn.len());
    let mut response = HttpResponse::Ok().content_type("image/png").body(drawn);
    response.extensions_mut().insert(reserved);
    Ok(response)
}

/// The one instance that the address names.
async fn only(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<(Arc<Context>, Option<Client>, Arc<Stored>), Problem> {
    let found = found(allowed, context, request).await?;
    note(allowed, context, Action::PictureViewed, &found)?;
    let stored = found.into_iter().next().ok_or_else(unknown)?;
    Ok((Arc::clone(context), Client::caller(&allowed.caller().who), Arc::new(stored)))
}
