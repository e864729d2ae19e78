//! Values that are left out of the attributes, each under an address of its own (PS3.18, 10.4.1.1.4).
//!
//! The address ends with where the value is: its tag, and before it, for each sequence that it is in, the sequence's tag and
//! the number of the item from 1, with points between them: `00283010.1.00283006`.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use dicom_core::header::HasLength as _;
use dicom_core::value::Value;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use futures::stream;
use lobar_core::audit::Action;
use lobar_core::study::{Identity, Stored};
use lobar_imaging::{Format, Limits, sniff};

use super::accept::{Range, ranges};
use super::answer::Lacking;
use super::frames::agreed;
use super::instance::is_moved;
use super::metadata::{self, Told};
use super::multipart::{Part, multipart_of, stream_of};
use super::pixel_data::PixelData;
use super::{Granted, found, made, not_acceptable, note, only, reading, size, worked_on};
use crate::context::Context;
use crate::dicom_web::address::Address;
use crate::problem::Problem;
use crate::rate::Client;

/// Values above so many bytes stand apart.
const VALUE_MAX: u64 = 16 << 10;
/// The same in lookup tables, without which an image is shown otherwise: one of 16 bits fits.
const LUT_MAX: u64 = 256 << 10;
/// Bytes of all values together that do not.
const ALL_MAX: u64 = 1 << 20;
/// Values up to so many bytes stand where they are: their address is no shorter.
const SMALL: u64 = 256;
const OCTETS: &str = "application/octet-stream";
/// Where the pixel data is.
pub(super) const PIXELS: &str = "7FE00010";

/// A value that stands apart.
pub(super) struct Apart {
    /// Where it is.
    pub(super) path: String,
    pub(super) vr: VR,
    value: PrimitiveValue,
}

/// Takes the large values out of a data set and leaves those elements empty. The pixel data is not among them.
pub(super) fn take_apart(object: &mut InMemDicomObject) -> Vec<Apart> {
    let mut taking = Taking { left: ALL_MAX, apart: Vec::new() };
    taking.take(object, "", VALUE_MAX);
    taking.apart
}

struct Taking {
    /// Bytes that may still stay.
    left: u64,
    apart: Vec<Apart>,
}

impl Taking {
    /// `before`: where the data set is. `most`: bytes that a value may have to stay.
    fn take(&mut self, object: &mut InMemDicomObject, before: &str, most: u64) {
        let tags: Vec<Tag> = object.iter().map(|element| element.header().tag).collect();
        for tag in tags.into_iter().filter(|tag| *tag != tags::PIXEL_DATA) {
            let Some(element) = object.get(tag) else { continue };
            let (vr, path) = (element.header().vr(), format!("{before}{}", name(tag)));
            let is_sequence = matches!(element.value(), Value::Sequence(_));
            if !is_sequence && !self.is_large(element, most) {
                continue;
            }
            let Some(element) = object.take(tag) else { continue };
            match element.into_value() {
                Value::Primitive(value) => {
                    self.apart.push(Apart { path, vr, value });
                    object.put(DataElement::empty(tag, vr));
                }
                Value::Sequence(mut items) => {
                    let is_lut = matches!(tag, tags::MODALITY_LUT_SEQUENCE | tags::VOILUT_SEQUENCE);
                    for (index, item) in items.items_mut().iter_mut().enumerate() {
                        let before = format!("{path}.{}.", index + 1);
                        self.take(item, &before, if is_lut { LUT_MAX } else { most });
                    }
                    object.put(DataElement::new(tag, vr, Value::Sequence(items)));
                }
                value @ Value::PixelSequence(_) => {
                    object.put(DataElement::new(tag, vr, value));
                }
            }
        }
    }

    fn is_large(&mut self, element: &InMemElement, most: u64) -> bool {
        let (vr, value) = (element.header().vr(), element.value());
        let is_of_numbers = matches!(
            vr,
            VR::OB
                | VR::OW
                | VR::OF
                | VR::OD
                | VR::OL
                | VR::OV
                | VR::UN
                | VR::US
                | VR::SS
                | VR::UL
                | VR::SL
                | VR::UV
                | VR::SV
                | VR::FL
                | VR::FD
        );
        if !is_of_numbers || !matches!(value, Value::Primitive(_)) {
            return false;
        }
        let bytes = u64::from(value.length().get().unwrap_or(u32::MAX));
        let is_large = bytes > SMALL && (bytes > most || bytes > self.left);
        self.left = self.left.saturating_sub(if is_large { 0 } else { bytes });
        is_large
    }
}

/// A tag as DICOM JSON writes it.
fn name(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}

/// Puts the addresses of what stands apart into attributes in DICOM JSON.
pub(super) fn point(told: &mut serde_json::Value, apart: &[Apart], place: &str) {
    for Apart { path, vr, .. } in apart {
        let mut pointer = String::new();
        let mut names = path.split('.');
        while let Some(tag) = names.next() {
            pointer.push_str(&format!("/{tag}"));
            if let Some(item) = names.next().and_then(|item| item.parse::<usize>().ok()) {
                pointer.push_str(&format!("/Value/{}", item - 1));
            }
        }
        if let Some(at) = told.pointer_mut(&pointer) {
            *at =
                serde_json::json!({ "vr": vr.to_string(), "BulkDataURI": address_of(place, path) });
        }
    }
}

/// The address of a value of the instance at `place`.
pub(super) fn address_of(place: &str, path: &str) -> String {
    format!("{place}/bulkdata/{path}")
}

/// The value of an address.
pub(super) async fn bulk_data(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (ranges, address) = (ranges(request), Address::of(request));
    let path = request.match_info().get("path").unwrap_or_default().to_owned();
    let (context, client, stored) = only(allowed, context, request).await?;
    let limits = context.settings.limits;
    let mut reserved = context.sending.reserve(client, size(&context, &stored, true)).await?;
    let identity = stored.identity.clone();
    let parts = worked_on(&context, client, &stored, move |bytes| {
        values(&bytes, &identity, &address, Some(path), &ranges, &limits)
    });
    let (in_parts, mut parts) = parts.await?;
    reserved.shrink(parts.iter().map(|part| part.bytes.len()).sum());
    let root = parts.first().map(|part| part.media_type.clone()).unwrap_or_default();
    let mut response = match parts.pop() {
        Some(only) if !in_parts && parts.is_empty() => {
            HttpResponse::Ok().content_type(only.media_type).body(only.bytes)
        }
        last => {
            parts.extend(last);
            multipart_of(&root, stream::iter(parts.into_iter().map(Ok)))
        }
    };
    response.extensions_mut().insert(reserved);
    Ok(response)
}

/// Whether they come in parts, and values as parts of a body: the one of a path, or all that the client takes.
pub(super) type Values = (bool, Vec<Part>);

/// The values of the bytes that were stored.
fn values(
    bytes: &[u8],
    identity: &Identity,
    address: &Address,
    path: Option<String>,
    ranges: &[Range],
    limits: &Limits,
) -> Result<Values, Problem> {
    if sniff(bytes) == Some(Format::Dicom) {
        return reading::values(bytes, identity, address, (path, ranges), limits);
    }
    let read = made::read(bytes, identity, limits)?;
    let told = metadata::told(read, metadata::placed(identity, address), is_moved(identity));
    Ok(of(told, path.as_deref(), ranges)?)
}

/// The value of a path, or all.
pub(super) fn of(told: Told, path: Option<&str>, ranges: &[Range]) -> Result<Values, Lacking> {
    let Some(path) = path else { return Ok((true, parts(told, ranges))) };
    if path == PIXELS {
        return pixels(&told, ranges);
    }
    let takes = |range: &&Range| {
        range.takes(OCTETS) && range.syntax.as_deref().is_none_or(is_little_endian)
    };
    let range = ranges.iter().find(takes);
    let range =
        range.ok_or_else(|| Lacking::NotTaken("A value is application/octet-stream.".into()))?;
    let value = told.apart.into_iter().find(|apart| apart.path == path);
    let value = value.ok_or_else(|| none("Its attributes have no value under this address."))?;
    let part = value.into_part(&told.place);
    Ok((range.multipart.unwrap_or(true), vec![part]))
}

/// Whatever is not pixels is little endian.
fn is_little_endian(syntax: &str) -> bool {
    matches!(syntax, "*" | dicom_dictionary_std::uids::EXPLICIT_VR_LITTLE_ENDIAN)
}

impl Apart {
    fn into_part(self, place: &str) -> Part {
        let bytes = Bytes::from(self.value.to_bytes().into_owned());
        Part { media_type: OCTETS.into(), location: Some(address_of(place, &self.path)), bytes }
    }
}

/// All pixel data: whole, or where it is compressed a part for each frame.
fn pixels(told: &Told, ranges: &[Range]) -> Result<Values, Lacking> {
    let read = told.pixels.as_ref().ok_or_else(|| none("It has no pixel data."))?;
    // What cannot be cut into frames is had as it lies there.
    if let Some(whole) = whole(read) {
        let (media_type, in_parts) = agreed(read, false, ranges)?;
        let part = Part { media_type, location: told.pixels_at.clone(), bytes: whole };
        return Ok((in_parts, vec![part]));
    }
    let data = PixelData::of(read).map_err(none)?;
    let (media_type, in_parts) = agreed(read, data.count() > 1, ranges)?;
    let part = |index| {
        let location = format!("{}/frames/{}", told.place, index + 1);
        let bytes = data.frame(index)?;
        Some(Part { media_type: media_type.clone(), location: Some(location), bytes })
    };
    let parts: Vec<Part> = (0..data.count()).filter_map(part).collect();
    Ok((in_parts, parts))
}

fn none(detail: &str) -> Lacking {
    Lacking::NotThere(detail.into())
}

/// Pixel data that is not compressed, as it lies there.
fn whole(read: &super::instance::Read) -> Option<Bytes> {
    let pixels = read.object.get(tags::PIXEL_DATA)?.value();
    match pixels {
        Value::Primitive(pixels) if super::instance::is_native(&read.syntax) => {
            Some(Bytes::from(pixels.to_bytes().into_owned())).filter(|bytes| !bytes.is_empty())
        }
        _ => None,
    }
}

/// All that stands apart in the instances of an address.
pub(super) async fn all_bulk_data(
    allowed: &Granted,
    context: &Data<Context>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let ranges: Arc<[Range]> = ranges(request).into();
    if !ranges.iter().any(|range| range.multipart != Some(false)) {
        return Err(not_acceptable("Bulk data comes in parts: multipart/related."));
    }
    let found = found(allowed, context, request).await?;
    note(allowed, context, Action::PictureViewed, &found)?;
    let (context, address) = (Arc::clone(context), Address::of(request));
    let client = Client::caller(&allowed.caller().who);
    let limits = context.settings.limits;
    let largest = found.iter().map(|stored| size(&context, stored, true)).max();
    let reserved = context.sending.reserve(client, largest.unwrap_or_default()).await?;
    let own = Arc::clone(&context);
    let parts_of = move |stored: Stored| {
        let (context, address, ranges) = (Arc::clone(&own), address.clone(), Arc::clone(&ranges));
        async move {
            let (stored, identity) = (Arc::new(stored.clone()), stored.identity);
            let parts = worked_on(&context, client, &stored, move |bytes| {
                let values = values(&bytes, &identity, &address, None, &ranges, &limits)?;
                Ok(values.1)
            });
            match parts.await {
                // One file that cannot be read does not hide the others of its study.
                Err(problem) if problem.is_of_this_picture() => Ok(Vec::new()),
                parts => parts,
            }
        }
    };
    let mut found = found.into_iter();
    let mut first = Vec::new();
    // Until there is something: a problem is one then, and nothing is no body of parts.
    while first.is_empty() {
        let Some(stored) = found.next() else {
            return Err(not_acceptable(
                "It has no bulk data of a media type that the client takes.",
            ));
        };
        first = parts_of(stored).await?;
    }
    let rest = stream::unfold((found, parts_of), |(mut found, parts_of)| async move {
        let next = parts_of(found.next()?).await;
        Some((next, (found, parts_of)))
    });
    let root = first.first().map_or(OCTETS.to_owned(), |part| part.media_type.clone());
    let parts = futures::StreamExt::flat_map(stream_of(first, rest), |parts| {
        stream::iter(match parts {
            Ok(parts) => parts.into_iter().map(Ok).collect(),
            Err(problem) => vec![Err(problem)],
        })
    });
    let mut response = multipart_of(&root, parts);
    response.extensions_mut().insert(reserved);
    Ok(response)
}

/// What of an instance the client takes.
fn parts(told: Told, ranges: &[Range]) -> Vec<Part> {
    let in_parts: Vec<Range> =
        ranges.iter().filter(|range| range.multipart != Some(false)).cloned().collect();
    let mut parts = pixels(&told, &in_parts).map(|(_, parts)| parts).unwrap_or_default();
    let takes =
        |range: &Range| range.takes(OCTETS) && range.syntax.as_deref().is_none_or(is_little_endian);
    if in_parts.iter().any(takes) {
        parts.extend(told.apart.into_iter().map(|apart| apart.into_part(&told.place)));
    }
    parts
}

#[cfg(test)]
mod tests {
    use dicom_core::value::DataSetSequence;

    use super::*;

    fn bytes(tag: Tag, vr: VR, length: usize) -> InMemElement {
        DataElement::new(tag, vr, PrimitiveValue::from(vec![7_u8; length]))
    }

    fn sequence(tag: Tag, item: InMemElement) -> InMemElement {
        let items = DataSetSequence::from(vec![InMemDicomObject::from_element_iter([item])]);
        DataElement::new(tag, VR::SQ, Value::from(items))
    }

    fn paths(apart: &[Apart]) -> Vec<&str> {
        apart.iter().map(|apart| apart.path.as_str()).collect()
    }

    #[test]
    fn large_values_stand_apart_in_sequences_too_and_lookup_tables_only_where_they_are_very_large()
    {
        let mut object = InMemDicomObject::from_element_iter([
            bytes(Tag(0x0009, 0x1001), VR::OB, 16 << 10),
            bytes(Tag(0x0009, 0x1002), VR::OB, (16 << 10) + 2),
            sequence(tags::VOILUT_SEQUENCE, bytes(tags::LUT_DATA, VR::OW, 128 << 10)),
            sequence(tags::MODALITY_LUT_SEQUENCE, bytes(tags::LUT_DATA, VR::OW, 300 << 10)),
            sequence(tags::ICON_IMAGE_SEQUENCE, bytes(tags::LUT_DATA, VR::OW, 32 << 10)),
            bytes(tags::PIXEL_DATA, VR::OW, 32 << 10),
        ]);
        let apart = take_apart(&mut object);
        let expected = ["00091002", "00283000.1.00283006", "00880200.1.00283006"];
        assert_eq!(paths(&apart), expected);
        let mut told = dicom_json::to_value(&object).expect("JSON");
        point(&mut told, &apart, "x");
        assert_eq!(
            told["00283000"]["Value"][0]["00283006"],
            serde_json::json!({ "vr": "OW", "BulkDataURI": "x/bulkdata/00283000.1.00283006" })
        );
        assert!(told["00091001"]["InlineBinary"].is_string());
        assert_eq!(told["00091002"]["BulkDataURI"], "x/bulkdata/00091002");
        assert!(told["00091002"]["InlineBinary"].is_null());
        assert!(told["00283010"]["Value"][0]["00283006"]["InlineBinary"].is_string());
    }

    #[test]
    fn of_many_values_those_beyond_a_bound_stand_apart_but_for_small_ones() {
        let large = (0..200).map(|n| bytes(Tag(0x0009, 0x1000 + n), VR::UN, 16 << 10));
        let small = (0..200).map(|n| bytes(Tag(0x0011, 0x1000 + n), VR::UN, 256));
        let mut object = InMemDicomObject::from_element_iter(large.chain(small));
        let apart = take_apart(&mut object);
        assert_eq!(apart.len(), 200 - 64);
        assert!(apart.iter().all(|apart| apart.path.starts_with("0009")));
        // What is taken does not depend on anything else.
        assert_eq!(take_apart(&mut object).len(), 0);
    }
}
