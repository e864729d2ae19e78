//! WADO-RS (PS3.18, 10.4): instances, what they say of themselves, their frames and their pictures. One instance of a
//! request is in memory at a time; what it is given to read them in, and what it may have under way, is bounded as for
//! pictures.

mod accept;
mod answer;
mod bulk_data;
mod frames;
mod instance;
mod made;
mod metadata;
mod multipart;
mod picture;
mod pixel_data;
mod reading;
mod rendering;
mod single_frame;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use dicom_dictionary_std::uids;
use futures::stream;
use lobar_core::access::Sites;
use lobar_core::audit::Action;
use lobar_core::study::{Place, Stored, Uid, Uids};
use lobar_imaging::{Format, sniff};

use self::accept::{Range, ranges};
use self::bulk_data::{all_bulk_data, bulk_data as value_apart};
use self::instance::{is_native, is_read};
use self::multipart::{multipart, stream_of};
use self::picture::{rendered as pictures, thumbnail};
use super::address::Address;
use crate::access::{Allowed, need};
use crate::context::Context;
use crate::problem::{Kind, Problem};
use crate::rate::Client;
use crate::record::about;
use crate::routes::picture::fetched;
use crate::visible::{hidden, missing, unknown};

pub use self::reading::read_instance;

/// Instances in one answer. Of what has more, a series or an instance is asked for.
const INSTANCES_MAX: usize = 2_000;
/// Room for the attributes of an instance on their way out, in bytes: more than any image has.
const ATTRIBUTES: usize = 4 << 20;
const DICOM: &str = "application/dicom";
const JSON: &str = "application/dicom+json";

macro_rules! routes {
    ($($name:ident $path:tt $serve:ident $media:tt [$($parameter:tt $of:tt),+] [$($query:tt $about:tt),*] $doc:literal;)+) => {$(
        #[doc = $doc]
        #[utoipa::path(get, path = $path, tag = "dicom-web",
            params(
                $(($parameter = String, Path, description = $of)),+
                $(, ($query = Option<String>, Query, description = $about))*
            ),
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
        ["study" "Study Instance UID"] []
        "The instances of a study (WADO-RS).";
    series "/dicom-web/studies/{study}/series/{series}" instances "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID"] []
        "The instances of a series (WADO-RS).";
    instance "/dicom-web/studies/{study}/series/{series}/instances/{instance}" instances "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"] []
        "An instance (WADO-RS).";
    study_metadata "/dicom-web/studies/{study}/metadata" attributes "application/dicom+json"
        ["study" "Study Instance UID"] []
        "The attributes of the instances of a study (WADO-RS).";
    series_metadata "/dicom-web/studies/{study}/series/{series}/metadata" attributes "application/dicom+json"
        ["study" "Study Instance UID", "series" "Series Instance UID"] []
        "The attributes of the instances of a series (WADO-RS).";
    instance_metadata "/dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata" attributes "application/dicom+json"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"] []
        "The attributes of an instance (WADO-RS).";
    frames "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}" pixels "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID", "frames" "Numbers from 1, with commas between them"] []
        "Frames of an instance (WADO-RS).";
    study_rendered "/dicom-web/studies/{study}/rendered" pictures "image/jpeg"
        ["study" "Study Instance UID"]
        ["window" "center,width,function: in place of the window of the file, of values after the modality lookup table; linear, linear-exact or sigmoid",
           "viewport" "vw,vh or vw,vh,sx,sy,sw,sh: the size to fit into, and the region that is shown",
           "quality" "Of a JPEG, 1 to 100", "accept" "In place of the header"]
        "Pictures of the instances of a study (WADO-RS).";
    series_rendered "/dicom-web/studies/{study}/series/{series}/rendered" pictures "image/jpeg"
        ["study" "Study Instance UID", "series" "Series Instance UID"]
        ["window" "center,width,function: in place of the window of the file, of values after the modality lookup table; linear, linear-exact or sigmoid",
           "viewport" "vw,vh or vw,vh,sx,sy,sw,sh: the size to fit into, and the region that is shown",
           "quality" "Of a JPEG, 1 to 100", "accept" "In place of the header"]
        "Pictures of the instances of a series (WADO-RS).";
    rendered "/dicom-web/studies/{study}/series/{series}/instances/{instance}/rendered" pictures "image/jpeg"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"]
        ["window" "center,width,function: in place of the window of the file, of values after the modality lookup table; linear, linear-exact or sigmoid",
           "viewport" "vw,vh or vw,vh,sx,sy,sw,sh: the size to fit into, and the region that is shown",
           "quality" "Of a JPEG, 1 to 100", "accept" "In place of the header"]
        "Pictures of an instance (WADO-RS).";
    frames_rendered "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered" pictures "image/jpeg"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID", "frames" "Numbers from 1, with commas between them"]
        ["window" "center,width,function: in place of the window of the file, of values after the modality lookup table; linear, linear-exact or sigmoid",
           "viewport" "vw,vh or vw,vh,sx,sy,sw,sh: the size to fit into, and the region that is shown",
           "quality" "Of a JPEG, 1 to 100", "accept" "In place of the header"]
        "Pictures of frames of an instance (WADO-RS).";
    study_thumbnail "/dicom-web/studies/{study}/thumbnail" thumbnail "image/jpeg"
        ["study" "Study Instance UID"]
        ["viewport" "vw,vh: the size to fit into", "accept" "In place of the header"]
        "A small picture of a study (WADO-RS).";
    series_thumbnail "/dicom-web/studies/{study}/series/{series}/thumbnail" thumbnail "image/jpeg"
        ["study" "Study Instance UID", "series" "Series Instance UID"]
        ["viewport" "vw,vh: the size to fit into", "accept" "In place of the header"]
        "A small picture of a series (WADO-RS).";
    instance_thumbnail "/dicom-web/studies/{study}/series/{series}/instances/{instance}/thumbnail" thumbnail "image/jpeg"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"]
        ["viewport" "vw,vh: the size to fit into", "accept" "In place of the header"]
        "A small picture of an instance (WADO-RS).";
    frames_thumbnail "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail" thumbnail "image/jpeg"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID", "frames" "Numbers from 1, with commas between them"]
        ["viewport" "vw,vh: the size to fit into", "accept" "In place of the header"]
        "A small picture of a frame (WADO-RS).";
    study_bulk_data "/dicom-web/studies/{study}/bulkdata" all_bulk_data "multipart/related"
        ["study" "Study Instance UID"] []
        "The large values and the pixels of the instances of a study (WADO-RS).";
    series_bulk_data "/dicom-web/studies/{study}/series/{series}/bulkdata" all_bulk_data "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID"] []
        "The large values and the pixels of the instances of a series (WADO-RS).";
    instance_bulk_data "/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata" all_bulk_data "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID"] []
        "The large values and the pixels of an instance (WADO-RS).";
    bulk_data "/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}" value_apart "multipart/related"
        ["study" "Study Instance UID", "series" "Series Instance UID", "instance" "SOP Instance UID", "path" "Tags, and numbers of items from 1, with points between them, as `BulkDataURI` has it"] []
        "A large value of an instance (WADO-RS).";
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
        if let Some(other) = elsewhere(allowed, context, &place).await? {
            let (id, site) = (other.image.id, other.image.object.site());
            return Err(hidden(context, allowed, id, site));
        }
        return Err(match Uids::image_of(&place.study) {
            Some(image) => missing(context, allowed, image).await?,
            None => unknown(),
        });
    }
    Ok(found)
}

/// One of the instances that the address names at sites where the caller may see none: that it was asked for is on record.
async fn elsewhere(
    allowed: &Granted,
    context: &Data<Context>,
    place: &Place,
) -> Result<Option<Stored>, Problem> {
    if *allowed.sites() == Sites::All {
        return Ok(None);
    }
    let place = place.clone();
    let found = context.ask_port(&context.studies, move |studies| async move {
        studies.instances(&Sites::All, &place, 1).await
    });
    Ok(found.await?.into_iter().next())
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
fn note<'a>(
    allowed: &Granted,
    context: &Context,
    action: Action,
    found: impl IntoIterator<Item = &'a Stored>,
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

/// The transfer syntax of a file; `None` where it came as no DICOM file, or could not be read.
fn syntax(stored: &Stored) -> Option<&str> {
    stored.identity.attributes.instance.transfer_syntax.as_ref().map(Uid::as_str)
}

/// Room for an instance on its way out, in bytes: what was stored, or its pixels where it is uncompressed, or as much as there
/// may be where it is made, or inflated.
fn size(context: &Context, stored: &Stored, as_stored: bool) -> usize {
    let most = context.settings.limits.max_bytes;
    match syntax(stored) {
        Some(own) if !as_stored && !is_native(own) => {
            let instance = &stored.identity.attributes.instance;
            let sides = instance.rows.zip(instance.columns);
            let pixels = sides.map(|(rows, columns)| u64::from(rows) * u64::from(columns));
            let photometric = instance.photometric_interpretation.as_deref().unwrap_or_default();
            let samples = if matches!(photometric.get(..3), Some("RGB" | "YBR")) { 3 } else { 1 };
            let bytes = if instance.bits_stored.is_some_and(|bits| bits <= 8) { 1 } else { 2 };
            let frames = u64::from(instance.frames.unwrap_or(1).max(1));
            let largest = reading::largest(&context.settings.limits);
            let all = pixels.and_then(|pixels| pixels.checked_mul(samples * bytes * frames));
            let all = all.map_or(largest, |all| all.saturating_add(ATTRIBUTES as u64).min(largest));
            usize::try_from(all).unwrap_or(usize::MAX)
        }
        None | Some(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) => most,
        Some(_) => {
            let size = stored.image.object.size.and_then(|size| usize::try_from(size).ok());
            size.map_or(most, |size| size.saturating_add(ATTRIBUTES).min(most))
        }
    }
}

/// As text, for an answer of several.
fn json(told: &serde_json::Value) -> Result<Bytes, Problem> {
    let text = serde_json::to_vec(told).map_err(|error| Problem::internal("dicom json", &error));
    text.map(Bytes::from)
}

fn not_acceptable(detail: &str) -> Problem {
    Problem::new(Kind::NotAcceptable, detail)
}

/// How an instance is given, by what its client takes: as it is stored, or in Explicit VR Little Endian, uncompressed.
fn form(stored: &Stored, ranges: &[Range], single: bool) -> Option<(bool, Option<bool>)> {
    let syntax = syntax(stored);
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
            (uids::EXPLICIT_VR_LITTLE_ENDIAN, Some(own)) => {
                (is_native(own) || is_read(own)).then_some(false)
            }
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
    let given = found.iter().map(|stored| {
        form(stored, &ranges, single).ok_or_else(|| {
            let own = syntax(stored).unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN);
            let uncompressed =
                if is_native(own) || is_read(own) { "" } else { ", which is not uncompressed here" };
            not_acceptable(&format!(
                "Ask for application/dicom, of several instances in multipart/related, with transfer-syntax=*: an instance is of transfer syntax {own}{uncompressed}."
            ))
        })
    });
    let given = given.collect::<Result<Vec<_>, _>>()?;
    note(allowed, context, Action::PictureViewed, &found)?;
    let forms = found.into_iter().zip(given);
    let mut forms: Vec<_> = forms
        .map(|(stored, (as_stored, multipart))| (Arc::new(stored), as_stored, multipart))
        .collect();
    let context = Arc::clone(context);
    let client = Client::caller(&allowed.caller().who);
    // Room for the largest: the others follow it one by one.
    let largest =
        forms.iter().map(|(stored, as_stored, _)| size(&context, stored, *as_stored)).max();
    let mut reserved = context.sending.reserve(client, largest.unwrap_or_default()).await?;
    let alone = single && forms.first().is_some_and(|(_, _, multipart)| *multipart == Some(false));
    let limits = context.settings.limits;
    let own = Arc::clone(&context);
    let file = move |(stored, as_stored, _): (Arc<Stored>, bool, Option<bool>)| {
        let (context, identity) = (Arc::clone(&own), stored.identity.clone());
        async move {
            worked_on(&context, client, &stored, move |bytes| {
                match (sniff(&bytes) == Some(Format::Dicom), as_stored) {
                    (true, true) => Ok(bytes),
                    (true, false) => reading::explicit_of(&bytes, &limits),
                    (false, _) => made::file(&bytes, &identity, &limits),
                }
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
                if sniff(&bytes) != Some(Format::Dicom) {
                    return made::attributes(&bytes, &identity, &address, &limits);
                }
                match reading::attributes(&bytes, &identity, &address, &limits) {
                    // One file that cannot be read does not hide the others of its study.
                    Err(_) => json(&metadata::known(&identity, &address)?),
                    told => told,
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
        let next = next.map(|told| Bytes::from([&b","[..], &told[..]].concat()));
        Some((next, (found, one)))
    });
    let end = stream::once(async { Ok(Bytes::from_static(b"]")) });
    let body = stream_of([&b"["[..], &first[..]].concat().into(), rest).chain(end);
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
    let expected = syntax(&stored).unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let form = frames::form(expected, numbers.len() > 1, &ranges)?;
    let room = size(&context, &stored, !form.uncompressed);
    let mut reserved = context.sending.reserve(client, room).await?;
    let identity = stored.identity.clone();
    let expected = expected.to_owned();
    let found = worked_on(&context, client, &stored, move |bytes| {
        if sniff(&bytes) != Some(Format::Dicom) {
            let made = made::read(&bytes, &identity, &limits)?;
            return Ok((frames::find(&made, &numbers), form));
        }
        let several = numbers.len() > 1;
        let given = reading::frames_of(&bytes, numbers.clone(), form.uncompressed, &limits)?;
        if given.syntax == expected {
            return Ok((given, form));
        }
        // What is known of it is not what it is.
        let form = frames::form(&given.syntax, several, &ranges)?;
        Ok((reading::frames_of(&bytes, numbers, form.uncompressed, &limits)?, form))
    });
    let (given, form) = found.await?;
    let media_type = given.media_type(form);
    let mut frames = given.frames?;
    reserved.shrink(frames.iter().map(Bytes::len).sum());
    let mut response = if form.multipart {
        multipart(&media_type, stream::iter(frames.into_iter().map(Ok)))
    } else {
        HttpResponse::Ok().insert_header((header::CONTENT_TYPE, media_type)).body(frames.remove(0))
    };
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
